//! `run`: what is granted, trusted and loaded, and what is said when it is not.
use crate::support::*;
use std::path::PathBuf;
use std::process::Command;

#[test]
fn nothing_is_callable_without_a_grant_and_the_error_names_the_flag() {
    for (guest, flag) in [
        ("guest-examples/cos/cos.wat", "--grant libm"),
        ("guest-examples/cos/plain.wat", "--grant libm"),
        ("guest-examples/zlib/zlib.wasm", "--grant zlib"),
        ("guest-examples/sqlite/sqlite.wasm", "--grant sqlite3"),
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
    .says(1, &["not granted", "--grant libm"]);
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
    let by_value = "double f(struct { const char *p; } s)";
    let err = guest(&importing(by_value, "i32"), &["--trust-signatures", "libm.so.6"]);
    let err = err.says(1, &["are not followed", "^^^"]);
    assert_eq!(err.matches("are not followed").count(), 1, "{err}");
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
