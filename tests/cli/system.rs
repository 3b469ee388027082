//! `run`: what a guest sees of the system around it.
use crate::support::*;
use std::fs;
use std::io::Write as _;
use std::process::Stdio;

#[test]
fn a_guest_sees_only_the_directories_that_it_is_given() {
    let outside = folder(&[("secret.txt", "secret")]);
    fs::create_dir(outside.path().join("inside")).expect("a folder");
    fs::write(outside.path().join("inside/open.txt"), "open").expect("a file");
    let inside = outside.path().join("inside");
    let zlib = |dir: Option<&str>, file: &str| {
        let mut command = command();
        command.args(["run", "--grant", "zlib"]);
        command.args(dir.map(|dir| format!("--dir={dir}")));
        run(command.args(["guest-examples/zlib/zlib.wasm", file]))
    };
    let here = path_text(&inside);
    let absolute = format!("{here}/open.txt");
    zlib(Some(here), &absolute).with(0);
    zlib(Some(&format!("{here}::/data")), "/data/open.txt").with(0);
    zlib(Some(&format!("{here}::.")), "open.txt").with(0);
    for (dir, file) in [
        (None, absolute.as_str()),
        (Some(here), &format!("{here}/../secret.txt")),
        (Some(here), &format!("{}/secret.txt", path_text(outside.path()))),
        (Some(&format!("{here}::/data")), "/data/../secret.txt"),
        (Some(&format!("{here}::/data")), absolute.as_str()),
    ] {
        // The guest's own status and message.
        let (out, err) = zlib(dir, file).with(1);
        assert!(out.is_empty() && err.contains(file), "{err}");
    }
}

/// Prints its arguments, then its environment, each ended by NUL; then copies its input.
const TELLER: &str = r#"(module
    (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_sizes_get" (func $env_sizes (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_get" (func $env (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func $tell (param $size i32)
        (i32.store (i32.const 0) (i32.const 4096))
        (i32.store (i32.const 4) (local.get $size))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
    (func (export "_start")
        (drop (call $args_sizes (i32.const 16) (i32.const 20)))
        (drop (call $args (i32.const 256) (i32.const 4096)))
        (call $tell (i32.load (i32.const 20)))
        (drop (call $env_sizes (i32.const 16) (i32.const 20)))
        (drop (call $env (i32.const 256) (i32.const 4096)))
        (call $tell (i32.load (i32.const 20)))
        (i32.store (i32.const 0) (i32.const 4096))
        (i32.store (i32.const 4) (i32.const 1000))
        (if (i32.eqz (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
            (then (call $tell (i32.load (i32.const 8)))))))"#;

#[test]
fn a_guest_gets_its_arguments_and_variables_and_no_others() {
    let folder = folder(&[("teller.wat", TELLER)]);
    let mut teller = command();
    teller.env("PASSED_ON", "yes").env("KEPT", "secret");
    teller.args(["run", "--env", "A=b=c", "--env", "PASSED_ON"]);
    teller.arg(folder.path().join("teller.wat")).args(["--env", "X=1", "-v", "", "ä b"]);
    let (out, err) = run(&mut teller).with(0);
    // The name of the program, not its path.
    let expected = "teller.wat\0--env\0X=1\0-v\0\0ä b\0A=b=c\0PASSED_ON=yes\0";
    assert_eq!((out.as_str(), err.as_str()), (expected, ""));
}

#[test]
fn a_guest_reads_standard_input() {
    let folder = folder(&[("teller.wat", TELLER)]);
    let mut teller = command();
    teller.arg("run").arg(folder.path().join("teller.wat"));
    teller.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = teller.spawn().expect("the program was built");
    child.stdin.take().expect("a pipe").write_all(b"from outside").expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.stdout, b"teller.wat\0from outside");
}
