//! The command-line program, through the real binary: what it prints and the status it exits with.
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// How a run of the program ended.
#[derive(Debug)]
struct Ended {
    status: Option<i32>,
    out: String,
    err: String,
}

impl Ended {
    /// The output, if the status is that one.
    #[track_caller]
    fn with(self, status: i32) -> (String, String) {
        assert_eq!(self.status, Some(status), "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        (self.out, self.err)
    }

    /// What was said on standard error, if the status is that one and each of `parts` is said.
    #[track_caller]
    fn says(self, status: i32, parts: &[&str]) -> String {
        let (_, err) = self.with(status);
        for part in parts {
            assert!(err.contains(part), "{part:?} is not in:\n{err}");
        }
        err
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.current_dir(root()).stdin(Stdio::null());
    command
}

fn run(command: &mut Command) -> Ended {
    let output = command.output().expect("the program was built");
    let text = |bytes| String::from_utf8(bytes).expect("the program prints UTF-8");
    Ended { status: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// The program in the root of the repository, without standard input.
fn portcullis(args: &[&str]) -> Ended {
    run(command().args(args))
}

/// A folder with files in it.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, content) in files {
        fs::write(folder.path().join(name), content).expect("a file in it");
    }
    folder
}

/// Runs a guest in text form with these options.
fn guest(text: &str, options: &[&str]) -> Ended {
    let folder = folder(&[("guest.wat", text)]);
    let path = folder.path().join("guest.wat");
    run(command().arg("run").args(options).arg(path))
}

fn path_text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

// What the repository is for.

#[test]
fn a_ten_line_guest_calls_cos() {
    let cos = ["run", "--grant", "interfaces/libm.h", "--invoke", "cos_of"];
    for guest in ["guest-examples/cos/cos.wat", "guest-examples/cos/plain.wat"] {
        for (value, result) in
            [("0.5", "0.8775825618903728"), ("0", "1"), ("-0.0", "1"), ("inf", "NaN")]
        {
            let (out, err) = run(command().args(cos).args([guest, value])).with(0);
            assert_eq!((out.as_str(), err.as_str()), (&*format!("{result}\n"), ""));
        }
    }
}

#[test]
fn results_are_printed_a_line_each() {
    let frexp = ["run", "--grant", "libm", "--invoke", "frexp_of", "guest-examples/cos/plain.wat"];
    let (out, _) = run(command().args(frexp).arg("80")).with(0);
    assert_eq!(out, "0.625\n7\n");
}

/// CRC-32 as zlib has it, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc: u32, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 }
        })
    })
}

#[test]
fn a_guest_compresses_a_file_with_the_systems_zlib() {
    for file in ["Cargo.lock", "guest-examples/README.md"] {
        let zlib = ["run", "--dir", ".", "--grant", "interfaces/zlib.h"];
        let guest = ["guest-examples/zlib/zlib.wasm", file];
        let (out, err) = run(command().args(zlib).args(guest)).with(0);
        let content = fs::read(root().join(file)).expect("a file of the repository");
        assert_eq!(err, "");
        assert!(out.contains(&format!("{file}: {} bytes, compressed ", content.len())), "{out}");
        assert!(out.contains(&format!("crc32: {:08x}\n", crc32(&content))), "{out}");
        let again = format!("uncompressed again: the same {} bytes\n", content.len());
        assert!(out.ends_with(&again), "{out}");
    }
}

#[test]
fn the_other_guests_print_what_they_should() {
    let expected = |name: &str| {
        let path = root().join("guest-examples").join(name).join("expected.txt");
        fs::read_to_string(path).expect("the expected output of a guest")
    };
    let (out, _) =
        portcullis(&["run", "--grant", "sqlite3", "guest-examples/sqlite/sqlite.wasm"]).with(0);
    assert_eq!(out, expected("sqlite"));
    for name in ["rust", "zig"] {
        for tier in ["auto", "template", "interpreter"] {
            let guest = format!("guest-examples/{name}/guest.wasm");
            let options = ["run", "--tier", tier, "--grant", "libm", "--grant", "zlib", &guest];
            let (out, _) = portcullis(&options).with(0);
            assert_eq!(out, expected(name), "{name} with {tier}");
        }
    }
}

// Exit statuses.

const WASI: &str = r#"(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))"#;

#[test]
fn the_guests_status_is_the_programs() {
    for status in [0, 1, 7, 125] {
        let text = format!(
            r#"(module {WASI} (memory (export "memory") 1)
                (func (export "_start") (call $exit (i32.const {status}))))"#
        );
        guest(&text, &[]).with(status);
    }
    // Also from a start function, which runs before there is an instance.
    let text = format!(
        r#"(module {WASI} (memory (export "memory") 1)
            (func $start (call $exit (i32.const 9))) (start $start))"#
    );
    guest(&text, &[]).with(9);
}

#[test]
fn a_trap_is_134_and_says_where() {
    let text = r#"(module (func $inner unreachable) (func (export "_start") (call $inner)))"#;
    guest(text, &[]).says(134, &["the guest trapped", "unreachable", "0: inner at 0x", "1: "]);
    let text = r#"(module (func $main unreachable) (start $main))"#;
    guest(text, &[]).says(134, &["unreachable", "0: main"]);
    // Endless recursion ends in a trap, whatever the size of the stack.
    let text = r#"(module (func $f (export "_start") (call $f)))"#;
    guest(text, &[]).says(134, &["call stack exhausted", "more"]);
}

#[test]
fn a_failed_check_names_import_parameter_type_value_and_bound() {
    let text = r#"(module
        (import "zlib" "crc32" (func $crc32 (param i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "_start")
            (drop (call $crc32 (i32.const 0) (i32.const 0x1000) (i32.const 70000)))))"#;
    guest(text, &["--grant", "interfaces/zlib.h"]).says(
        134,
        &[
            "zlib.crc32: parameter 2 \"buf\" (const Bytef *__counted_by(len)): ",
            "70000 bytes at 0x1000 reach past the memory of 65536 bytes",
        ],
    );
}

#[test]
fn what_cannot_start_is_1() {
    let missing = portcullis(&["run", "nosuch.wasm"]);
    missing.says(1, &["cannot read the guest nosuch.wasm", "No such file"]);
    let text = portcullis(&["run", "Cargo.toml"]);
    text.says(1, &["Cargo.toml is not a WebAssembly module"]);
    let not_a_program = portcullis(&["run", "--grant", "libm", "guest-examples/cos/cos.wat"]);
    not_a_program.says(1, &["exports no `_start`", "--invoke"]);
    guest(r#"(module (func (export "_start") (result i32) (i32.const 1)))"#, &[])
        .says(1, &["neither parameters nor results"]);
    guest(r#"(module (import "env" "gl" (func)))"#, &[]).says(1, &["`env` `gl`"]);
    portcullis(&["run", "--dir", "nosuch", "guest-examples/cos/cos.wat"])
        .says(1, &["cannot open the directory nosuch"]);
    portcullis(&["run", "--library", "libm.so.6=/nosuch.so", "guest-examples/cos/cos.wat"])
        .says(1, &["/nosuch.so", "libm.so.6"]);
    portcullis(&["run", "--grant", "nosuch.h", "guest-examples/cos/cos.wat"])
        .says(1, &["nosuch.h", "gzfile, libc, libm, sqlite3, zlib"]);
}

#[test]
fn mistakes_in_a_guest_in_text_form_are_pointed_at() {
    guest("(module\n  (func (export \"_start\") (lcal i32)))", &[])
        .says(1, &["guest.wat:2:28", "(lcal i32)", "^"]);
}

#[test]
fn wrong_usage_is_2() {
    for (args, said) in [
        (&[][..], "Usage:"),
        (&["run"], "required"),
        (&["frobnicate"], "unrecognized subcommand"),
        (&["run", "--tier", "warp", "x.wasm"], "[possible values: auto, interpreter, template]"),
        (&["run", "--library", "libz", "x.wasm"], "NAME=PATH"),
        (&["run", "--env", "=x", "guest-examples/cos/cos.wat"], "--env =x"),
        (&["run", "--dir", "x::", "guest-examples/cos/cos.wat"], "HOST::GUEST"),
        (&["explain"], "required"),
        (&["check", "zlib", "--cc", "gcc"], "--header"),
    ] {
        portcullis(args).says(2, &[said]);
    }
}

#[test]
fn invoke_says_what_it_expects() {
    let cos = |args: &[&str]| {
        let fixed = ["run", "--grant", "libm", "--invoke"];
        run(command().args(fixed).args(args))
    };
    let file = "guest-examples/cos/cos.wat";
    cos(&["sin_of", file]).says(2, &["no function `sin_of`", "it exports cos_of"]);
    cos(&["cos_of", file]).says(2, &["`cos_of` takes 1 parameter (f64), the command line has 0"]);
    cos(&["cos_of", file, "1", "2"]).says(2, &["has 2"]);
    cos(&["cos_of", file, "half"]).says(2, &["parameter 1 of `cos_of` is of type f64", "`half`"]);
}

#[test]
fn a_wrong_invoke_runs_nothing_of_the_guest() {
    let traps = "(module (func $start unreachable) (start $start) (memory (export \"memory\") 1)
        (func (export \"one\") (param i32)))";
    guest(traps, &["--invoke", "two"]).says(2, &["no function `two`", "it exports one"]);
    guest(traps, &["--invoke", "memory"]).says(2, &["no function `memory`"]);
    guest(traps, &["--invoke", "one"]).says(2, &["`one` takes 1 parameter (i32)"]);
    // Not granted either, but that is not what is wrong first.
    let denied = "(module (import \"libm\" \"cos\" (func (param f64) (result f64))))";
    guest(denied, &["--invoke", "two"]).says(2, &["no function `two`, and no other"]);
}

#[test]
fn invoke_takes_and_prints_every_number() {
    let text = r#"(module (func (export "same") (param i32 i64 f32 f64) (result i32 i64 f32 f64)
        (local.get 0) (local.get 1) (local.get 2) (local.get 3)))"#;
    let folder = folder(&[("guest.wat", text)]);
    let path = folder.path().join("guest.wat");
    let same = |args: [&str; 4]| {
        run(command().args(["run", "--invoke", "same"]).arg(&path).args(args)).with(0).0
    };
    assert_eq!(same(["-1", "-9", "1.5", "-inf"]), "-1\n-9\n1.5\n-inf\n");
    assert_eq!(same(["0xffffffff", "18446744073709551615", "0.1", "1e21"]), {
        "-1\n-1\n0.1\n1000000000000000000000\n"
    });
}

// Permissions.

#[test]
fn nothing_is_callable_without_a_grant_and_the_error_names_the_flag() {
    for (guest, flag) in [
        ("guest-examples/cos/cos.wat", "--grant interfaces/libm.h"),
        ("guest-examples/cos/plain.wat", "--grant interfaces/libm.h"),
        ("guest-examples/zlib/zlib.wasm", "--grant interfaces/zlib.h"),
        ("guest-examples/sqlite/sqlite.wasm", "--grant interfaces/sqlite3.h"),
    ] {
        portcullis(&["run", guest]).says(1, &["cannot link", "not granted", flag]);
    }
    // Granting another library does not help.
    portcullis(&[
        "run",
        "--grant",
        "zlib",
        "--invoke",
        "cos_of",
        "guest-examples/cos/cos.wat",
        "1",
    ])
    .says(1, &["not granted", "--grant interfaces/libm.h"]);
}

#[test]
fn a_prototype_that_cannot_be_used_is_pointed_at() {
    let importing = |name: &str, param: &str| {
        format!(
            r#"(module (import "libm.so.6" "{name}" (func (param {param}) (result f64)))
                (func (export "_start")))"#
        )
    };
    guest(&importing("double cos(dobule x)", "f64"), &["--grant", "libm"]).says(
        1,
        &[
            "cannot link",
            "1 | double cos(dobule x)\n  |            ^^^^^^",
            "did you mean `double`",
        ],
    );
    guest(&importing("double cos(float x)", "f64"), &["--grant", "libm"]).says(
        1,
        &[
            "contradicts what `libm.h` grants",
            "guest: double cos(float x)",
            "grant: double cos(double x)",
        ],
    );
    let callback = "double f(double (*cb)(double x))";
    let err = guest(&importing(callback, "i32"), &["--trust-signatures", "libm.so.6"]);
    let err = err.says(1, &["callbacks: not supported yet", "^^^"]);
    assert_eq!(err.matches("not supported yet").count(), 1, "{err}");
}

#[test]
fn an_interface_with_mistakes_is_pointed_at() {
    let text = "#pragma portcullis library \"libx.so\"\nint f(unit8_t x);\nint g(void *p);\n";
    let folder = folder(&[("wrong.h", text)]);
    let mut command = command();
    command.args(["run", "--grant"]).arg(folder.path().join("wrong.h"));
    run(command.arg("guest-examples/cos/cos.wat"))
        .says(1, &["wrong.h:2:7", "did you mean `uint8_t`", "wrong.h:3:13", "`p` has no size"]);
}

#[test]
fn a_module_that_is_no_program_is_initialized_before_a_call() {
    let text = r#"(module (global $ready (mut i32) (i32.const 0))
        (func (export "_initialize") (global.set $ready (i32.const 42)))
        (func (export "ready") (result i32) (global.get $ready)))"#;
    assert_eq!(guest(text, &["--invoke", "ready"]).with(0).0, "42\n");
}

#[test]
fn trusting_a_guest_is_said_aloud() {
    let trust = ["run", "--trust-signatures", "libm.so.6", "--invoke", "cos_of"];
    let (out, err) = run(command().args(trust).args(["guest-examples/cos/cos.wat", "0"])).with(0);
    assert_eq!(out, "1\n");
    assert!(err.contains("full trust in the guest for `libm.so.6`"), "{err}");
}

#[test]
fn a_library_is_loaded_from_where_the_command_line_says() {
    let folder = folder(&[
        (
            "mylib.h",
            "#pragma portcullis library \"libnosuch.so.7\" module \"mylib\" also \"libc.so.6\"\n\
             double cos(double x);\n",
        ),
        (
            "guest.wat",
            r#"(module (import "mylib" "cos" (func $cos (param f64) (result f64)))
                (func (export "one") (result f64) (call $cos (f64.const 0))))"#,
        ),
    ]);
    let file = |name: &str| folder.path().join(name);
    let base = |command: &mut Command| {
        command.args(["run", "--invoke", "one", "--grant"]).arg(file("mylib.h"));
    };
    let mut without = command();
    base(&mut without);
    run(without.arg(file("guest.wat"))).says(1, &["libnosuch.so.7", "tried"]);
    let mut with = command();
    base(&mut with);
    with.arg("--library").arg(format!("libnosuch.so.7={}", path_text(&libm())));
    assert_eq!(run(with.arg(file("guest.wat"))).with(0).0, "1\n");
}

/// Where the dynamic linker finds libm: as `imports` says.
fn libm() -> PathBuf {
    let (out, _) =
        portcullis(&["imports", "--grant", "libm", "guest-examples/cos/cos.wat"]).with(0);
    let path = out.split_whitespace().find(|word| word.ends_with("/libm.so.6"));
    PathBuf::from(path.expect("the library's file"))
}

// What the guest sees of the system.

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

// The other commands.

#[test]
fn imports_lists_what_is_wanted_and_fails_when_something_is_denied() {
    let guest = "guest-examples/rust/guest.wasm";
    let (out, _) = portcullis(&["imports", "--grant", "libm", "--grant", "zlib", guest]).with(0);
    let line = |needle: &str| {
        let found = out.lines().find(|line| line.contains(needle));
        found.unwrap_or_else(|| panic!("{needle} is not in:\n{out}")).to_owned()
    };
    let cos = line("double cos");
    assert!(cos.contains("granted") && cos.contains("libm.so.6"), "{cos}");
    assert!(cos.contains("(func (param f64) (result f64))"), "{cos}");
    assert!(cos.contains("template"), "{cos}");
    assert!(line("int compress").contains("interpreter (work after the call)"), "{out}");
    assert!(line("fd_write").contains("WASI"));
    assert!(!out.contains("denied"), "{out}");

    let (out, _) = portcullis(&["imports", "--grant", "libm", guest]).with(1);
    assert!(out.contains("denied") && out.contains("--grant interfaces/zlib.h"), "{out}");

    let folder =
        folder(&[("g.wat", r#"(module (import "wasi_snapshot_preview1" "nosuch" (func)))"#)]);
    let (out, _) = run(command().arg("imports").arg(folder.path().join("g.wat"))).with(1);
    assert!(out.contains("nosuch") && out.contains("denied"), "{out}");
}

#[test]
fn explain_shows_every_stage() {
    let crc = "unsigned long crc32(unsigned long crc, const uint8_t buf[len], unsigned len)";
    let (out, _) = portcullis(&["explain", crc]).with(0);
    for part in [
        "unsigned long crc32(unsigned long crc, const unsigned char *__counted_by(len) buf",
        "wasm32",
        "(func (param i32 i32 i32) (result i32))",
        "3 integer registers",
        "plan\n",
        "call",
    ] {
        assert!(out.contains(part), "{part} is not in:\n{out}");
    }
    let (out, _) = portcullis(&["explain", "--model", "wasm64", "--abi", "aapcs64", crc]).with(0);
    assert!(out.contains("(func (param i64 i64 i32) (result i64))"), "{out}");
    assert!(out.contains("AAPCS64") && out.contains("x0"), "{out}");
}

#[test]
fn explain_knows_the_functions_of_a_granted_interface() {
    let (out, _) = portcullis(&["explain", "--grant", "sqlite3", "sqlite3_prepare_v2"]).with(0);
    assert!(out.contains("sqlite3_stmt"), "{out}");
    // Both grants of an overloaded function.
    assert_eq!(out.matches("prototype\n").count(), 2, "{out}");
}

#[test]
fn explain_points_at_every_mistake() {
    let wrong = "int f(unit8_t x, const uint8_t *buf)";
    let err = portcullis(&["explain", wrong]).says(
        1,
        &[
            "unknown type name `unit8_t`",
            "did you mean `uint8_t`",
            "`buf` has no size",
            "counted_by",
        ],
    );
    assert_eq!(err.matches(wrong).count(), 2, "each with its place:\n{err}");
    assert!(err.contains("^^^^^^^"), "{err}");
    // What is not supported yet is shown after what is known.
    let (out, err) = portcullis(&["explain", "int f(int (*cb)(int x))"]).with(1);
    assert!(out.contains("assignment") && !out.contains("plan"), "{out}");
    assert!(err.contains("not supported yet") && err.contains("^^^"), "{err}");
}

/// The interfaces that ship, and the real headers that declare their functions.
const SHIPPED: [(&str, &[&str]); 5] = [
    ("libm", &["math.h"]),
    (
        "libc",
        &[
            "ctype.h",
            "inttypes.h",
            "stdlib.h",
            "string.h",
            "strings.h",
            "sys/random.h",
            "time.h",
            "unistd.h",
            "arpa/inet.h",
        ],
    ),
    ("zlib", &["zlib.h"]),
    ("gzfile", &["zlib.h"]),
    ("sqlite3", &["sqlite3.h"]),
];

#[test]
fn every_shipped_interface_agrees_with_library_and_header() {
    let mut skipped = Vec::new();
    for (name, headers) in SHIPPED {
        portcullis(&["check", name]).with(0);
        let there = headers.iter().all(|header| has_header(header));
        if !there {
            skipped.push(name);
            continue;
        }
        let mut check = command();
        check.args(["check", name]);
        for header in headers {
            check.args(["--header", header]);
        }
        let (out, err) = run(&mut check).with(0);
        assert!(out.contains("header: ") && !out.contains("differ"), "{name}:\n{out}{err}");
    }
    if !skipped.is_empty() {
        eprintln!("skipped for want of headers: {}", skipped.join(", "));
    }
    // Those of the C library come with any C compiler.
    assert!(SHIPPED.len() - skipped.len() >= 2, "only without {skipped:?}");
}

fn has_header(name: &str) -> bool {
    let mut cc = Command::new("cc");
    cc.args(["-E", "-x", "c", "-"]).stdin(Stdio::piped());
    let mut child =
        cc.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a C compiler is installed");
    let mut input = child.stdin.take().expect("a pipe");
    writeln!(input, "#include <{name}>").expect("it reads");
    drop(input);
    child.wait().expect("it ends").success()
}

const REAL_HEADER: &str = "
typedef unsigned long word;
struct box;
word agrees(word a, const char *b, struct box *c);
int retyped(int (*callback)(void *), void *arg);
int narrowed(void *handle);
int differs(long a);
short sign(unsigned char a);
int points(unsigned long *out);
int more(int a, int b);
#define macro(x) ((x) + 1)
int (macro)(int x);
";

const INTERFACE: &str = "
#pragma portcullis library \"libx.so\"
typedef unsigned long number;
struct box; struct handle;
number agrees(number a, const char *b, struct box *c);
int retyped(intptr_t callback __range(0), intptr_t arg __range(0));
int narrowed(struct handle *handle);
int differs(int a);
short sign(signed char a);
int points(unsigned *_Out_ out);
int more(int a);
int macro(int x);
int undeclared(int x);
";

#[test]
fn check_tells_what_agrees_from_what_is_retyped_and_what_differs() {
    let folder = folder(&[("real.h", REAL_HEADER), ("x.h", INTERFACE)]);
    let source = folder.path().join("x.c");
    let mut code = String::new();
    for name in ["agrees", "retyped", "narrowed", "differs", "sign", "points", "more", "macro"] {
        let _ = writeln!(code, "int {name}(void) {{ return 0; }}");
    }
    fs::write(&source, code).expect("a source file");
    let library = folder.path().join("libx.so");
    let built =
        Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status();
    assert!(built.expect("a C compiler is installed").success());
    let mut check = command();
    check.arg("check").arg(folder.path().join("x.h"));
    check.arg("--header").arg(folder.path().join("real.h"));
    check.arg("--library").arg(format!("libx.so={}", path_text(&library)));
    let (out, _) = run(&mut check).with(1);
    for (kind, name) in [
        ("retyped (ABI-equal)", "retyped"),
        ("retyped (ABI-equal)", "narrowed"),
        ("differs", "differs"),
        ("differs", "sign"),
        ("differs", "points"),
        ("differs", "more"),
        ("not in the header", "undeclared"),
        ("missing", "undeclared"),
    ] {
        let said =
            out.lines().any(|line| line.starts_with(kind) && line.contains(&format!("`{name}`")));
        assert!(said, "{kind}: {name} is not in:\n{out}");
    }
    assert!(
        out.contains(
            "parameter 1 `callback`: intptr_t __range(0) here, int (*)(void *) in the header"
        ),
        "{out}"
    );
    assert!(
        out.contains("header: 2 agree, 2 retyped (ABI-equal), 4 differ, 1 not in the header"),
        "{out}"
    );
}

#[test]
fn check_tells_what_is_the_guests_own_free_from_what_cannot_be_called_yet() {
    let (out, _) = portcullis(&["check", "sqlite3"]).with(0);
    assert!(out.contains("`sqlite3_free` is bound to the guest's own `free`"), "{out}");
    assert!(!out.contains("not yet"), "{out}");
    let interface = "#pragma portcullis library \"libc.so.6\"\n\
        char *__null_terminated __freed_by(free) strdup(const char *s);\n\
        void free(void *p);\nlong double strtold(const char *s, intptr_t end __range(0));\n";
    let folder = folder(&[("own.h", interface)]);
    let (out, _) = run(command().arg("check").arg(folder.path().join("own.h"))).with(0);
    for part in [
        "own.h:3: `free` is bound to the guest's own `free`",
        "own.h:4: `strtold`: `long double`: not supported yet",
        "1 function can be called, 1 is bound to the guest's own `free`, 1 cannot be yet",
    ] {
        assert!(out.contains(part), "{part:?} is not in:\n{out}");
    }
}

#[test]
fn check_says_why_a_header_or_compiler_cannot_be_used() {
    portcullis(&["check", "zlib", "--header", "nosuch.h"])
        .says(1, &["the C compiler `cc` cannot compile the header", "nosuch.h"]);
    portcullis(&["check", "zlib", "--header", "zlib.h", "--cc", "nosuchcc"])
        .says(1, &["cannot run the C compiler `nosuchcc`", "--cc"]);
    let folder =
        folder(&[("wrong.h", "#pragma portcullis library \"libx.so\"\nint f(unit8_t x);\n")]);
    run(command().arg("check").arg(folder.path().join("wrong.h")))
        .says(1, &["wrong.h:2:7", "did you mean `uint8_t`"]);
}

#[test]
fn help_teaches_and_lists_what_ships() {
    let (out, _) = portcullis(&["--help"]).with(0);
    for part in ["run", "imports", "explain", "check", "completions", "Examples:", "134"] {
        assert!(out.contains(part), "{part} is not in:\n{out}");
    }
    for name in ["run", "imports", "explain", "check", "completions"] {
        let (out, _) = portcullis(&[name, "--help"]).with(0);
        assert!(out.contains("Examples:"), "{name}:\n{out}");
    }
    let (out, _) = portcullis(&["run", "--help"]).with(0);
    let ships: Vec<&str> = SHIPPED.iter().map(|(name, _)| *name).collect();
    assert!(ships.iter().all(|name| out.contains(name)), "{out}");
    let (out, _) = portcullis(&["--version"]).with(0);
    assert_eq!(out, format!("portcullis {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn every_shell_gets_completions() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (out, _) = portcullis(&["completions", shell]).with(0);
        assert!(out.contains("trust-signatures"), "{shell}");
    }
    portcullis(&["completions", "csh"]).says(2, &["bash"]);
}

#[test]
fn there_are_no_colours_where_no_terminal_is() {
    for args in [
        &["run", "guest-examples/cos/cos.wat"][..],
        &["explain", "int f(unit8_t x)"],
        &["explain", "double cos(double x)"],
        &["imports", "guest-examples/zlib/zlib.wasm"],
        &["check", "libm"],
        &["--help"],
        &["-vv", "run", "--grant", "libm", "--invoke", "cos_of", "guest-examples/cos/cos.wat", "1"],
    ] {
        let ended = portcullis(args);
        assert!(!ended.out.contains('\u{1b}') && !ended.err.contains('\u{1b}'), "{ended:?}");
    }
}

#[test]
fn output_that_nobody_reads_is_no_error_and_output_that_cannot_be_written_is() {
    for args in
        [&["explain", "double cos(double x)"][..], &["completions", "bash"], &["check", "libm"]]
    {
        let mut child = command().args(args).stdout(Stdio::piped()).spawn().expect("it was built");
        drop(child.stdout.take());
        assert_eq!(child.wait().expect("it ends").code(), Some(0), "{args:?}");
        let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("a Linux system");
        // Standard output is given here, so that only the error comes back.
        let output = command().args(args).stdout(full).stderr(Stdio::piped()).spawn();
        let output = output.expect("it was built").wait_with_output().expect("it ends");
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {err}");
        assert!(err.contains("cannot write to standard output"), "{err}");
    }
}

#[test]
fn verbose_tells_what_happens() {
    let run =
        ["-v", "run", "--grant", "libm", "--invoke", "cos_of", "guest-examples/cos/cos.wat", "0"];
    let (out, err) = portcullis(&run).with(0);
    assert_eq!(out, "1\n");
    assert!(err.contains("loaded a native library"), "{err}");
}
