//! What the shipped C sources do when they are compiled for this machine.
//!
//! The guests of `guest-examples` are ordinary C programs: built natively they call the same library without
//! Portcullis, which is where `expected.txt` comes from. That the built `.wasm` prints the same is tested with
//! the command line.
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

fn stdout(command: &mut Command) -> String {
    String::from_utf8(run(command).stdout).expect("text")
}

/// Builds a guest natively, with its own build script.
fn build_guest(name: &str, folder: &Path) -> PathBuf {
    let program = folder.join(name);
    let script = root().join("guest-examples").join(name).join("build.sh");
    let mut build = Command::new("sh");
    let output = build.arg(script).arg("native").arg(&program).output().expect("a shell");
    let said = String::from_utf8_lossy(&output.stderr);
    let packages = "`.ci/run` lists the packages that the tests need and installs them";
    assert!(output.status.success(), "{build:?}: {said}\n{packages}");
    program
}

#[test]
fn the_sqlite_guest_prints_natively_what_is_expected_of_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let program = build_guest("sqlite", folder.path());
    let expected = root().join("guest-examples/sqlite/expected.txt");
    let expected = std::fs::read_to_string(expected).expect("the expected output");
    assert_eq!(stdout(&mut Command::new(program)), expected);
}

#[test]
fn the_zlib_guest_prints_natively_what_its_readme_says() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let program = build_guest("zlib", folder.path());
    let printed = stdout(Command::new(&program).arg("LICENSE-MIT").current_dir(root()));
    let size = std::fs::metadata(root().join("LICENSE-MIT")).expect("the licence").len();
    assert!(printed.contains(&format!("LICENSE-MIT: {size} bytes, compressed ")), "{printed}");
    assert!(printed.contains("crc32: "), "{printed}");

    let refused = Command::new(&program).args(["LICENSE-MIT", "11"]).output().expect("a run");
    assert_eq!(refused.status.code(), Some(2));
    let missing = Command::new(&program).arg("/no/such/file").output().expect("a run");
    assert_eq!(missing.status.code(), Some(1));
}

#[test]
fn guests_print_natively_what_is_expected_of_them() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let feed = root().join("guest-examples/expat/feed.xml");
    let feed: &[&str] = &[feed.to_str().expect("a path in UTF-8")];
    for (name, arguments) in [
        ("blas", &[][..]),
        ("callbacks", &[]),
        ("deflate-stream", &[]),
        ("digest", &[]),
        ("expat", feed),
        ("files", &[]),
        ("gmp", &[]),
        ("png", &[]),
        ("sqlite-functions", &[]),
    ] {
        let program = build_guest(name, folder.path());
        let expected = root().join("guest-examples").join(name).join("expected.txt");
        let expected = std::fs::read_to_string(expected).expect("the expected output");
        let printed = stdout(Command::new(program).args(arguments).current_dir(folder.path()));
        assert_eq!(printed, expected, "{name}");
    }
}
