//! Guest functions that native code calls.
use crate::stage::{Attack, Ends::*};
use wasmtime::Trap;

const APPLY: &str = "cb.apply i32 i32 -> i32";
const GO: &str = r#"(func (export "go") (result i32) (call $apply (i32.const 1) (i32.const 3)))"#;

pub fn attacks() -> Vec<Attack> {
    let apply = |name, tries, index: i64, said| {
        let body = format!(
            r#"(func $f0 (param i64) (result i32) (i32.const 0))
            (func (export "go") (result i32) (call $apply (i32.const {index}) (i32.const 3)))"#
        );
        Attack::guest(name, tries, &[APPLY], &body, Refused(said))
    };
    let body = |f0: &str| format!("(func $f0 (param i32) (result i32) {f0}) {GO}");
    let kept = &["cb.keep i32", "cb.fire i32 -> i32", "cb.fire_thread i32 -> i32"];
    let keep = |go: &str| {
        format!(
            r#"(func $f0 (param i32) (result i32) (i32.const 7))
            (func (export "go") (result i32) (call $keep (i32.const 1)) {go})"#
        )
    };
    vec![
        apply(
            "function_of_another_type",
            "pass a function of another type",
            1,
            "is (func (param i64) (result i32))",
        ),
        apply(
            "empty_slot",
            "pass an empty slot of the table",
            9,
            "there is no function at index 9",
        ),
        apply("outside_of_the_table", "pass an index outside of the table", 64, "64"),
        apply("index_of_32_bits", "pass index 2^32 - 1", -1, "4294967295"),
        apply("null_function", "pass NULL where a function is called", 0, "NULL is not allowed"),
        Attack::guest(
            "trap_in_a_callback",
            "unwind native frames by a trap",
            &[APPLY],
            &body("unreachable"),
            Trapped(Trap::UnreachableCodeReached),
        ),
        Attack::guest(
            "memory_trap_in_a_callback",
            "unwind them by reading outside of the memory",
            &[APPLY],
            &body("(i32.load (i32.const 0x7fffffff))"),
            Trapped(Trap::MemoryOutOfBounds),
        ),
        Attack::guest(
            "division_trap_in_a_callback",
            "unwind them by a division",
            &[APPLY],
            &body("(i32.div_s (local.get 0) (i32.const 0))"),
            Trapped(Trap::IntegerDivisionByZero),
        ),
        Attack::guest(
            "refused_in_a_callback",
            "make a wrong call inside a callback",
            &[APPLY, "mock.sum i32 i32 -> i32"],
            &body("(call $sum (i32.const 0) (i32.const 8))"),
            Refused("NULL is not allowed"),
        ),
        Attack::guest(
            "transient_function_later",
            "have a function called after its call",
            &[
                "cb.session_open -> i32",
                "cb.session_hook i32 i32",
                "cb.session_close i32",
                "cb.session_fire i32 i32 -> i32",
            ],
            r#"(func $f0 (param i32) (result i32) (i32.const 7))
            (func (export "go") (result i32) (local $s i32)
                (local.set $s (call $session_open)) (call $session_hook (local.get $s) (i32.const 1))
                (call $session_close (local.get $s)) (call $session_fire (local.get $s) (i32.const 1)))"#,
            Refused("no longer alive"),
        ),
        Attack::guest(
            "from_another_thread",
            "have guest code run on another thread",
            kept,
            &keep("(call $fire_thread (i32.const 1))"),
            Caught("from another thread"),
        ),
        Attack::guest(
            "released_and_fired",
            "release a function and have it called",
            kept,
            &keep("(call $release (i32.const 1)) (call $fire (i32.const 1))"),
            Caught("called a guest function"),
        ),
        Attack::guest(
            "release_while_it_runs",
            "release the function that is running",
            &["cb.keep i32", "cb.fire i32 -> i32"],
            r#"(func $f0 (param i32) (result i32) (call $release (i32.const 1)) (i32.const 7))
            (func (export "go") (result i32) (call $keep (i32.const 1)) (call $fire (i32.const 1)))"#,
            Harmless(7),
        ),
        Attack::guest(
            "release_what_was_not_kept",
            "release a function that nobody keeps",
            &[APPLY],
            r#"(func $f0 (param i32) (result i32) (local.get 0))
            (func (export "go") (result i32) (call $release (i32.const 1)) (i32.const 0))"#,
            Harmless(0),
        ),
        Attack::guest(
            "table_changes_meanwhile",
            "clear the table while native code has one of its functions",
            &[APPLY],
            r#"(func $f0 (param i32) (result i32) (table.set (i32.const 1) (ref.null func)) (i32.const 4))
                (func (export "go") (result i32) (table.set (i32.const 1) (ref.func $f0)) (call $apply (i32.const 1) (i32.const 3)))"#,
            Harmless(8),
        ),
        Attack::guest(
            "memory_grows_meanwhile",
            "grow the memory while native code has a part of it",
            &["cb.qsort i32 i32 i32 i32"],
            r#"(func $f0 (param i32 i32) (result i32) (drop (memory.grow (i32.const 1)))
                (i32.sub (i32.load (local.get 0)) (i32.load (local.get 1))))
            (func (export "go") (result i32)
                (i32.store (i32.const 512) (i32.const 3)) (i32.store (i32.const 516) (i32.const 1))
                (call $qsort (i32.const 512) (i32.const 2) (i32.const 4) (i32.const 1))
                (i32.load (i32.const 512)))"#,
            Harmless(1),
        ),
        Attack::guest(
            "comparison_that_lies",
            "sort with a comparison that contradicts itself",
            &["cb.qsort i32 i32 i32 i32"],
            r#"(global $n (mut i32) (i32.const 0))
            (func $f0 (param i32 i32) (result i32) (global.set $n (i32.xor (global.get $n) (i32.const -1))) (i32.or (global.get $n) (i32.const 1)))
            (func (export "go") (result i32) (call $qsort (i32.const 512) (i32.const 1000) (i32.const 8) (i32.const 1)) (i32.const 0))"#,
            Harmless(0),
        ),
        Attack::guest(
            "planted_function",
            "be handed the address of a function that is not the guest's",
            &["cb.handed i32 i32 i32 i32 -> i32"],
            r#"(func $f0 (param i32 i32) (result i32) (local.get 0)) (func $f1 (param i32) (result i32) (local.get 0))
            (func (export "go") (result i32) (call $handed (i32.const 1) (i32.const 2) (i32.const 1) (i32.const 2)))"#,
            Caught("not in the guest's table"),
        ),
    ]
}
