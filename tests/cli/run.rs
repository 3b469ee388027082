//! `run`: what guests print, and the status that the program exits with.
use crate::native;
use crate::support::*;
use std::fs;
use std::path::Path;

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
fn a_guest_draws_through_a_library_of_ones_own() {
    let folder = folder(&[]);
    let shim = folder.path().join("libportcullis_png.so");
    let mut build = std::process::Command::new("sh");
    build.arg(root().join("guest-examples/png/build.sh")).arg("shim").arg(&shim);
    let built = build.status().expect("a shell");
    assert!(
        built.success(),
        "{build:?} needs a C compiler and libpng-dev; `.ci/run` installs both"
    );
    let mut draw = command();
    draw.args(["run", "--grant", "interfaces/pngshim.h"]);
    draw.arg(format!("--dir={}::.", path_text(folder.path())));
    draw.arg(format!("--library=libportcullis_png.so={}", path_text(&shim)));
    let (out, _) = run(draw.arg("guest-examples/png/picture.wasm").arg("picture.png")).with(0);
    let expected = root().join("guest-examples/png/expected.txt");
    assert_eq!(out, fs::read_to_string(expected).expect("the expected output"));
    let picture = fs::read(folder.path().join("picture.png")).expect("it was drawn");
    assert!(picture.starts_with(b"\x89PNG\r\n"));
}

#[test]
fn the_other_guests_print_what_they_should() {
    let expected = |name: &str| {
        let path = root().join("guest-examples").join(name).join("expected.txt");
        fs::read_to_string(path).expect("the expected output of a guest")
    };
    for (name, module, grant, argument) in [
        ("blas", "blas", "cblas", None),
        ("callbacks", "callbacks", "libc", None),
        ("deflate-stream", "stream", "zlib", None),
        ("digest", "digest", "crypto", None),
        ("gmp", "numbers", "gmp", None),
        ("expat", "feed", "expat", Some("guest-examples/expat/feed.xml")),
        ("sqlite", "sqlite", "sqlite3", None),
        ("sqlite-functions", "functions", "sqlite3", None),
    ] {
        let mut run_it = command();
        run_it.args(["run", "--dir", ".", "--grant", grant, "--grant", "datetime"]);
        run_it.arg(format!("guest-examples/{name}/{module}.wasm")).args(argument);
        assert_eq!(run(&mut run_it).with(0).0, expected(name), "{name}");
    }
    for name in ["rust", "zig"] {
        for tier in ["auto", "template", "interpreter", "cranelift", "direct"] {
            let guest = format!("guest-examples/{name}/guest.wasm");
            let options = ["run", "--tier", tier, "--grant", "libm", "--grant", "zlib", &guest];
            let (out, _) = portcullis(&options).with(0);
            assert_eq!(out, expected(name), "{name} with {tier}");
        }
    }
}

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
    portcullis(&["run", "--grant", "nosuch.h", "guest-examples/cos/cos.wat"]).says(
        1,
        &[
            "nosuch.h",
            "cblas, crypto, datetime, expat, gmp, gzfile, libc, libm, sqlite3, streams, zlib",
        ],
    );
}

#[test]
fn several_denials_say_how_to_see_all() {
    let sin = r#"(import "libm" "sin" (func (param f64) (result f64)))"#;
    let cos = r#"(import "libm" "cos" (func (param f64) (result f64)))"#;
    let main = r#"(func (export "_start"))"#;
    let all = "2 imports are denied, of which this is one; `portcullis imports ";
    guest(&format!("(module {sin} {cos} {main})"), &[]).says(1, &[all, "`libm` `sin`"]);
    let (_, err) = guest(&format!("(module {sin} {main})"), &[]).with(1);
    assert!(err.contains("`libm` `sin`") && !err.contains("portcullis imports"), "{err}");
}

#[test]
fn a_library_that_is_not_there_says_how_to_name_its_file() {
    let vendor = folder(&[(
        "vendor.h",
        "#pragma portcullis library \"libnosuchvendor.so.3\"\nint f(int x);\n",
    )]);
    let path = vendor.path().join("vendor.h");
    let text = r#"(module (import "libnosuchvendor.so.3" "f" (func (param i32) (result i32)))
        (func (export "_start")))"#;
    let said = "`--library libnosuchvendor.so.3=PATH`";
    guest(text, &["--grant", path_text(&path)]).says(1, &["cannot be loaded", said]);
}

#[test]
fn trust_under_another_name_is_told() {
    let text = r#"(module (import "libm.so.6" "double cos(double)" (func (param f64) (result f64)))
        (func (export "_start")))"#;
    let said =
        "`libm` is trusted, which is another name than the guest's: `--trust-signatures libm.so.6`";
    guest(text, &["--trust-signatures", "libm"]).says(1, &[said]);
}

#[test]
fn mistakes_in_a_guest_in_text_form_are_pointed_at() {
    guest("(module\n  (func (export \"_start\") (lcal i32)))", &[])
        .says(1, &["guest.wat:2:28", "(lcal i32)", "^"]);
}

#[test]
fn a_guest_has_streams_of_the_host_as_handles() {
    let (out, _) =
        portcullis(&["run", "--grant", "interfaces/files.h", "guest-examples/files/lines.wasm"])
            .with(0);
    let expected = fs::read_to_string(root().join("guest-examples/files/expected.txt"));
    assert_eq!(out, expected.expect("what it prints natively"));
}

/// Data as a handle, and formats, through a real library.
#[test]
fn a_guest_prints_to_the_hosts_streams() {
    let text = r#"(module
        (import "streams" "extern FILE *stdout" (func $stdout (result i32)))
        (import "streams" "stderr" (func $stderr (result i32)))
        (import "streams" "int fprintf(FILE *, const char *, ..., int, double, const char *)"
            (func $fprintf (param i32 i32 i32 f64 i32) (result i32)))
        (import "streams" "fputs" (func $fputs (param i32 i32) (result i32)))
        (import "libc" "int snprintf(char s[n], size_t n, const char *fmt, ..., double, int)"
            (func $snprintf (param i32 i32 i32 f64 i32) (result i32)))
        (import "streams" "fflush" (func $fflush (param i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 16) "%d, %.2f, %s\n\00")
        (data (i32.const 48) "text\00")
        (data (i32.const 64) "%g and %d\n\00")
        (func (export "print") (result i32)
            (drop (call $fprintf (call $stdout) (i32.const 16)
                (i32.const -7) (f64.const 2.5) (i32.const 48)))
            (drop (call $snprintf (i32.const 512) (i32.const 64) (i32.const 64)
                (f64.const 0.5) (i32.const 3)))
            (drop (call $fputs (i32.const 512) (call $stderr)))
            (call $fflush (call $stdout))))"#;
    let options = ["--grant", "streams", "--grant", "libc", "--invoke", "print"];
    let (out, err) = guest(text, &options).with(0);
    assert_eq!(out, "-7, 2.50, text\n0\n");
    assert!(err.contains("0.5 and 3\n"), "{err}");
    let wrong = text.replace("%d, %.2f", "%s, %.2f");
    guest(&wrong, &options).says(
        134,
        &["parameter 2 \"format\"", "`%s` at byte 0 of the format", "argument 3 is `int`", "`%d`"],
    );
}

/// A symbol of a library may be taken over, by a copy relocation of the program for instance. What is
/// at the library's own is then not what the library uses.
#[test]
fn data_that_something_else_has_taken_over_is_not_read() {
    let folder = folder(&[(
        "c.h",
        "#pragma portcullis library \"libc.so.6\" module \"c\"\nextern int opterr;\n",
    )]);
    let other = native::compile(folder.path(), "libother.so", "int opterr = 7;\n", &[]);
    let text =
        r#"(module (import "c" "opterr" (func $get (result i32))) (export "get" (func $get)))"#;
    std::fs::write(folder.path().join("guest.wat"), text).expect("a file");
    let get = |preload: &str| {
        let mut command = command();
        command.env("LD_PRELOAD", preload).args(["run", "--invoke", "get", "--grant"]);
        run(command.arg(folder.path().join("c.h")).arg(folder.path().join("guest.wat")))
    };
    assert_eq!(get("").with(0).0, "1\n");
    get(path_text(&other))
        .says(1, &["`opterr` of ", "is not what the library uses", "libother.so"]);
}

#[test]
fn limits_and_the_guard_are_options() {
    let cos = ["run", "--grant", "libm", "--invoke", "cos_of", "guest-examples/cos/cos.wat", "0"];
    let with = |more: &[&str]| {
        let mut all = cos.to_vec();
        all.splice(1..1, more.iter().copied());
        run(command().args(all))
    };
    let (out, _) =
        with(&["--guard", "--limit", "handles=5", "--limit", "prototype_bytes=100"]).with(0);
    assert_eq!(out, "1\n");
    let (_, err) = with(&["--limit", "prototype_bytes=5"]).with(1);
    assert!(err.contains("the limit `prototype_bytes` of 5 is exceeded"), "{err}");
    for (wrong, said) in [
        ("wishes=3", "there is no limit `wishes`"),
        ("handles", "NAME=N"),
        ("depth=x", "is no number"),
    ] {
        let (_, err) = with(&["--limit", wrong]).with(2);
        assert!(err.contains(said), "{err}");
    }
}

const ENDLESS: &str = r#"(module
    (import "libm" "double cos(double)" (func $cos (param f64) (result f64)))
    (func (export "_start") (loop $again (drop (call $cos (f64.const 1))) (br $again))))"#;

#[test]
fn a_guest_is_stopped_after_its_time() {
    for tier in ["interpreter", "direct"] {
        let options = ["--timeout", "50ms", "--grant", "libm", "--tier", tier];
        let err =
            guest(ENDLESS, &options).says(124, &["longer than --timeout, 50ms", "in the guest"]);
        assert!(!err.contains("trapped"), "{err}");
    }
    // Who is done in time does not notice.
    let quick = r#"(module (func (export "_start")))"#;
    guest(quick, &["--timeout", "1h", "--fuel", "1000"]).with(0);
    guest(quick, &["--timeout", "99999999999999999999h"]).says(2, &["longer than 1000 years"]);
    guest(quick, &["--timeout", "5 parsecs"]).says(2, &["no unit of time"]);
}

#[test]
fn a_guest_is_stopped_when_its_fuel_is_used_up() {
    guest(ENDLESS, &["--fuel", "100000", "--grant", "libm"])
        .says(134, &["all fuel consumed: --fuel gives more", "in the guest"]);
    // What the interface says of a call counts, too.
    let folder = folder(&[
        (
            "dear.h",
            "#pragma portcullis library \"libm.so.6\" module \"libm\"\ndouble cos(double x) __fuel(1000);\n",
        ),
        (
            "once.wat",
            r#"(module (import "libm" "cos" (func $cos (param f64) (result f64)))
            (func (export "_start") (drop (call $cos (f64.const 1)))))"#,
        ),
    ]);
    let with = |options: &[&str]| {
        let mut once = command();
        once.arg("run").args(options).arg("--grant").arg(folder.path().join("dear.h"));
        run(once.arg(folder.path().join("once.wat")))
    };
    with(&["--fuel", "900"]).says(134, &["all fuel consumed: --fuel gives more"]);
    with(&["--fuel", "1100"]).with(0);
    with(&[]).with(0);
}

#[test]
fn files_of_another_kind_are_told_with_what_they_are() {
    let component = folder(&[("c.wat", "(component)"), ("empty.wasm", ""), ("h.h", "int f(int);")]);
    let of = |name: &str| component.path().join(name);
    std::fs::write(of("packed.gz"), b"\x1f\x8b\x08\0").expect("a file");
    std::fs::write(of("component.wasm"), b"\0asm\x0d\0\x01\0").expect("a file");
    let program = std::env::current_exe().expect("this test");
    let mut commands = vec!["run", "imports"];
    if cfg!(feature = "cranelift") {
        commands.extend(["profile", "compile"]);
    }
    for name in commands {
        let with = |path: &Path, says: &[&str]| {
            let mut other = command();
            other.arg(name);
            if name == "compile" {
                other.arg("-o").arg(of("output"));
            }
            run(other.arg(path)).says(1, says);
        };
        with(&program, &["is an ELF program or shared library, not a WebAssembly module"]);
        with(&of("c.wat"), &["is a WebAssembly component", "build the guest as a module"]);
        with(&of("component.wasm"), &["is a WebAssembly component"]);
        with(&of("packed.gz"), &["is compressed (gzip)", "unpack it first"]);
        with(&of("empty.wasm"), &["is empty"]);
        with(component.path(), &["is a directory"]);
        with(&of("nosuch.wasm"), &["cannot read the guest", "No such file"]);
        with(&of("h.h"), &["h.h"]);
        assert!(!of("output").exists(), "{name}");
    }
    for file in ["guest-examples/cos/cos.wat", "interfaces/zlib.h"] {
        portcullis(&["explain", file]).says(1, &["is a file, and `explain` takes a prototype"]);
    }
    let mut check = command();
    run(check.arg("check").arg(&program)).says(1, &["is an ELF program", "annotated C header"]);
    let mut ready = command();
    ready.args(["run", "--allow-precompiled"]);
    run(ready.arg("guest-examples/cos/cos.wat")).says(1, &["leave --allow-precompiled out"]);
}

#[test]
#[cfg(feature = "cranelift")]
fn what_is_compiled_already_is_not_compiled_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let [ready, again] = ["ready", "again"].map(|name| folder.path().join(name));
    let mut compile = command();
    compile.args(["compile", "--grant", "libm", "guest-examples/cos/cos.wat", "-o"]);
    run(compile.arg(&ready)).with(0);
    let mut twice = command();
    twice.args(["compile", "--grant", "libm"]).arg(&ready).arg("-o").arg(&again);
    run(&mut twice).says(1, &["was compiled ahead of time: `run --allow-precompiled` runs it"]);
    assert!(!again.exists());
    let before = fs::read(&ready).expect("it was written");
    let plain = folder.path().join("guest.wat");
    fs::copy(root().join("guest-examples/cos/cos.wat"), &plain).expect("a copy");
    let mut over = command();
    over.args(["compile", "--grant", "libm"]).arg(&plain).arg("-o").arg(&plain);
    run(&mut over).says(1, &["guest.wat is the guest itself"]);
    assert_eq!(fs::read(&plain).ok(), fs::read(root().join("guest-examples/cos/cos.wat")).ok());
    assert_eq!(fs::read(&ready).ok(), Some(before));
    let mut bounded = command();
    bounded.args(["run", "--allow-precompiled", "--fuel", "5", "--grant", "libm"]);
    run(bounded.arg(&ready)).says(1, &["has no checks for --timeout or --fuel"]);
}

#[test]
fn libraries_that_are_named_wrongly_are_told() {
    let cos = ["run", "--grant", "libm", "--invoke", "cos_of"];
    let with = |library: &str| {
        let mut named = command();
        named.args(cos).arg("--library").arg(library);
        run(named.args(["guest-examples/cos/cos.wat", "0"]))
    };
    let err = with("libm.so.6=README.md").says(1, &["the library `libm.so.6` cannot be loaded"]);
    assert!(err.contains("README.md: ") && err.contains("this file was named for it"), "{err}");
    assert!(!err.contains("BridgeBuilder") && !err.contains("README.md=PATH"), "{err}");
    let err = with("libm.so.5=README.md").says(0, &["`--library libm.so.5=...` does nothing"]);
    assert!(err.contains("did you mean `libm.so.6`?"), "{err}");
}

/// `run`, `imports` and the log count the same imports, and the log has each once.
#[test]
fn denials_are_counted_in_one_way() {
    let text = r#"(module
        (import "libm" "cos" (func (param f64) (result f64)))
        (import "libm" "sin" (func (param f64) (result f64)))
        (import "wasi_snapshot_preview1" "nosuch" (func))
        (import "nowhere" "f" (func))
        (import "libc.so.6" "int abs(int x" (func (param i32) (result i32)))
        (import "libc.so.6" "int abs(int x)" (func (param i32) (result i32)))
        (import "env" "memory" (memory 1))
        (func (export "_start")))"#;
    let folder = folder(&[("d.wat", text)]);
    let with = |what: &str, options: &[&str]| {
        run(command().args(["--log", "info", what]).args(options).arg(folder.path().join("d.wat")))
    };
    for (options, count) in [(&[][..], 7), (&["--grant", "libm"][..], 5)] {
        let (_, err) = with("run", options).with(1);
        assert!(err.contains(&format!("{count} imports are denied, of which")), "{err}");
        let logged: Vec<&str> =
            err.lines().filter(|line| line.contains("denied an import")).collect();
        assert_eq!(logged.len(), count, "{err}");
        for name in ["name=nosuch", "name=f ", "name=memory", "name=int abs(int x problem"] {
            assert_eq!(
                logged.iter().filter(|line| line.contains(name)).count(),
                1,
                "{name}: {err}"
            );
        }
        let (out, err) = with("imports", options).with(1);
        assert!(out.contains(&format!("{count} imports of 7 are denied")), "{out}");
        let denied = err.lines().filter(|line| line.contains("denied an import")).count();
        assert_eq!(denied, 0, "it is in the table: {err}");
    }
    // What would be refused is not offered as the way out.
    let (_, err) = with("run", &["--grant", "libm"]).with(1);
    let logged =
        err.split("denied an import").find(|one| one.contains("name=int abs(int x problem"));
    let logged = logged.expect("it is told");
    assert!(logged.contains("with `--grant libc` it would be refused: "), "{logged}");
}

#[test]
fn what_the_guard_keeps_away_is_logged() {
    let cos = |options: &[&str]| {
        let fixed = ["--log", "info", "run", "--grant", "libm", "--invoke", "cos_of"];
        let (_, err) =
            run(command().args(fixed).args(options).args(["guest-examples/cos/cos.wat", "0"]))
                .with(0);
        err
    };
    let said = "no direct calls, and no other code";
    assert!(cos(&["--guard", "--tier", "direct"]).contains(said));
    assert!(!cos(&["--guard"]).contains(said) && !cos(&["--tier", "template"]).contains(said));
}
