//! Data that holds pointers, and formats.
use crate::stage::{Attack, Ends::*};

fn print(
    name: &'static str,
    tries: &'static str,
    tail: &str,
    format: &str,
    arguments: &str,
    ends: crate::stage::Ends,
) -> Attack {
    let types = tail.split(", ").filter(|ty| !ty.is_empty()).map(|ty| match ty {
        "double" => "f64",
        "long long" => "i64",
        _ => "i32",
    });
    let types: Vec<&str> = types.collect();
    let body = format!(
        r#"(data (i32.const 1024) "{format}\00")
        (func (export "go") (result i32)
            (call $print (i32.const 64) (i32.const 32) (i32.const 1024) {arguments}))"#
    );
    let import = format!("mock.print i32 i32 i32 {} -> i32", types.join(" "));
    let attack = Attack::guest(name, tries, &[&import], &body, ends);
    let prototype = format!("int print(char to[n], uint32_t n, const char *format, ..., {tail})");
    attack.with("\"print\"", &format!("\"{prototype}\""))
}

pub fn attacks() -> Vec<Attack> {
    let go = |body: &str| format!(r#"(func (export "go") (result i32) {body})"#);
    vec![
        print("format_writes", "write through `%n`", "int", "%n", "(i32.const 128)", Refused("%n")),
        print(
            "format_tells_an_address",
            "read an address with `%p`",
            "int",
            "%p",
            "(i32.const 1)",
            Refused("never see"),
        ),
        print(
            "format_of_another_type",
            "have an integer taken for a string",
            "int",
            "%s",
            "(i32.const 4660)",
            Refused("`%s`"),
        ),
        print(
            "format_with_too_little",
            "let the format take more than is passed",
            "int",
            "%d %d %d",
            "(i32.const 1)",
            Refused("only 1 argument"),
        ),
        print(
            "format_of_64_bits",
            "let the format take 8 bytes of 4",
            "int",
            "%lld",
            "(i32.const 1)",
            Refused("64 bits"),
        ),
        print(
            "format_of_positions",
            "take arguments by position",
            "int",
            "%2$d",
            "(i32.const 1)",
            Refused("position"),
        ),
        print(
            "format_of_endless_width",
            "have a gigabyte printed",
            "int",
            "%999999999d",
            "(i32.const 1)",
            Refused("characters"),
        ),
        print(
            "string_behind_a_format",
            "pass a string without end behind a format",
            "const char *",
            "%s",
            "(i32.const 131071)",
            Refused("has no terminator"),
        )
        .with(r#"(func (export "go")"#, r#"(data (i32.const 131071) "x") (func (export "go")"#),
        Attack::guest(
            "link_of_a_callbacks_data",
            "have forged links in the guest's memory followed for a callback",
            &["cb.node_in_guest i32 i32 -> i32"],
            r#"(func $f0 (param i32) (result i32) (i32.const 0))
            (func (export "go") (result i32)
                (i64.store (i32.const 1032) (i64.const 0x1000))
                (call $node_in_guest (i32.const 1) (i32.const 1024)))"#,
            Caught("lies in the guest's own memory"),
        ),
        Attack::guest(
            "planted_pointer_in_a_reply",
            "leave another pointer in data that goes back to native code",
            &["cb.change i32 i32 -> i32"],
            r#"(func $f0 (param i32) (i32.store offset=8 (local.get 0) (i32.const 64)))
            (func (export "go") (result i32) (call $change (i32.const 1) (i32.const 1)))"#,
            Caught("left another pointer"),
        ),
        Attack::guest(
            "handle_forged_in_a_reply",
            "leave a forged handle in data that goes back to native code",
            &["cb.change i32 i32 -> i32"],
            r#"(func $f0 (param i32) (i32.store offset=12 (local.get 0) (i32.const 0x12345)))
            (func (export "go") (result i32) (call $change (i32.const 1) (i32.const 1)))"#,
            Caught("is no handle"),
        ),
        Attack::guest(
            "endless_list_in_a_reply",
            "return a list of itself from a callback",
            &["cb.words i32 -> i32"],
            r#"(func $f0 (param i32) (result i32)
                (memory.fill (i32.const 131000) (i32.const 64) (i32.const 72)) (i32.const 131000))
            (func (export "go") (result i32) (call $words (i32.const 1)))"#,
            Caught("words"),
        ),
        Attack::guest(
            "untrue_bool",
            "leave a byte that is no `bool` where native code has one",
            &["cb.ask i32 -> i32"],
            r#"(func $f0 (param i32 i32) (i32.store8 offset=4 (local.get 1) (i32.const 2)))
            (func (export "go") (result i32) (call $ask (i32.const 1)))"#,
            Harmless(1),
        ),
        Attack::guest(
            "number_from_a_callback",
            "return a value outside of its range to native code",
            &["cb.range_back i32 i32 -> i32"],
            r#"(func $f0 (param i32) (result i32) (i32.const 2))
            (func (export "go") (result i32) (call $range_back (i32.const 1) (i32.const 1)))"#,
            Caught("2"),
        ),
        Attack::guest(
            "string_from_a_callback",
            "return a string without end to native code",
            &["cb.text_from i32 i32 -> i32"],
            r#"(data (i32.const 131071) "x") (func $f0 (param i32) (result i32) (i32.const 131071))
            (func (export "go") (result i32) (call $text_from (i32.const 1) (i32.const 1)))"#,
            Caught("has no terminator"),
        ),
        Attack::guest(
            "bytes_from_a_callback",
            "return fewer bytes than native code will read",
            &["cb.bytes_from i32 i32 -> i32"],
            r#"(func $f0 (param i32) (result i32) (i32.const 131070))
            (func (export "go") (result i32) (call $bytes_from (i32.const 1) (i32.const 3)))"#,
            Caught("past the memory"),
        ),
        Attack::guest(
            "arguments_change_in_a_callback",
            "overwrite a checked string and struct while native code has them",
            &["cb.steady i32 i32 i32 -> i32"],
            r#"(func $f0 (param i32) (result i32)
                (memory.fill (i32.const 512) (i32.const 0x55) (i32.const 4096)) (i32.const 0))
            (func (export "go") (result i32)
                (i64.store (i32.const 512) (i64.const 0x6f6c6c6568)) (i32.store (i32.const 768) (i32.const 41))
                (f64.store (i32.const 776) (f64.const 2.5))
                (call $steady (i32.const 512) (i32.const 768) (i32.const 1)))"#,
            Harmless(5_412),
        ),
        Attack::guest(
            "cookie_too_large",
            "smuggle a native address through a cookie",
            &["cb.carry_planted i32 i32 -> i32"],
            r#"(func $f0 (param i32) (result i32) (local.get 0))
            (func (export "go") (result i32) (call $carry_planted (i32.const 1) (i32.const 1)))"#,
            Caught("cookie"),
        ),
        Attack::guest(
            "integer_for_a_pointer",
            "have an integer taken for a native address",
            &["mock.load i32 -> i64"],
            &go("(i32.wrap_i64 (call $load (i32.const 0x7ffe0000)))"),
            Refused("past the memory"),
        ),
    ]
}
