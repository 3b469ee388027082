//! `run --invoke`: one function of a guest, called from the command line.
use crate::support::*;

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
fn dashes_before_the_parameters_are_none() {
    let cos = ["run", "--grant", "libm", "--invoke", "cos_of", "guest-examples/cos/cos.wat"];
    assert_eq!(run(command().args(cos).args(["--", "0"])).with(0).0, "1\n");
    run(command().args(cos).args(["--", "--"])).says(2, &["`--` is not"]);
    run(command().args(cos).arg("--")).says(2, &["the command line has 0"]);
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

#[test]
fn a_module_that_is_no_program_is_initialized_before_a_call() {
    let text = r#"(module (global $ready (mut i32) (i32.const 0))
        (func (export "_initialize") (global.set $ready (i32.const 42)))
        (func (export "ready") (result i32) (global.get $ready)))"#;
    assert_eq!(guest(text, &["--invoke", "ready"]).with(0).0, "42\n");
}

#[test]
fn a_struct_comes_back_in_the_guests_memory() {
    let text = r#"(module (import "libc" "div" (func $div (param i32 i32 i32)))
        (memory (export "memory") 1)
        (func (export "remainder") (param i32 i32) (result i32)
            (call $div (i32.const 16) (local.get 0) (local.get 1))
            (i32.load (i32.const 20))))"#;
    let interface = "#pragma portcullis library \"libc.so.6\" module \"libc\"\n\
        typedef struct { int quot; int rem; } div_t;\n\
        div_t div(int numerator, int denominator) __requires(denominator != 0);\n";
    let folder = folder(&[("div.wat", text), ("div.h", interface)]);
    let remainder = |args: [&str; 2]| {
        let mut command = command();
        command.arg("run").arg("--grant").arg(folder.path().join("div.h"));
        command.args(["--invoke", "remainder"]).arg(folder.path().join("div.wat")).args(args);
        run(&mut command)
    };
    assert_eq!(remainder(["-17", "5"]).with(0).0, "-2\n");
    // Native code would end the process.
    remainder(["17", "0"]).says(134, &["libc.div", "but denominator = 0"]);
}
