//! Cookies, and arrays of pointers, that native code passes to guest functions.
use crate::library::{Guest, bridge, text, trapped};

fn guest(imports: &[(&str, &str)], elements: &str, functions: &str) -> Guest {
    Guest::new(&bridge(), &text(imports, elements, functions))
}

#[test]
fn a_cookie_comes_back_to_every_callback() {
    let mut guest = guest(
        &[("carry", "(param i32 i32 i32) (result i32)")],
        "$f $g",
        r#"(func $f (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
           (func $g (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
           (func (export "go") (param i32 i32) (result i32)
                (call $carry (i32.const 1) (local.get 0) (local.get 1)))"#,
    );
    assert_eq!(guest.run::<_, i32>("go", (2, 7)), 80_014);
    assert_eq!(guest.run::<_, i32>("go", (2, 0)), 10_000);
    assert_eq!(guest.run::<_, i32>("go", (0, 7)), 80_000);
    // It is an integer, not an address of the guest's.
    assert_eq!(guest.run::<_, i32>("go", (0, -3)), -20_000);
}

#[test]
fn a_cookie_may_stand_before_its_callback_and_goes_with_it() {
    let mut guest = guest(
        &[("carry_before", "(param i32 i32) (result i32)")],
        "$f",
        r#"(func $f (param i32) (result i32) (local.get 0))
           (func (export "go") (param i32) (result i32) (call $carry_before (local.get 0) (i32.const 1)))"#,
    );
    assert_eq!(guest.run::<_, i32>("go", 41), 410);
    // 0 is a cookie too.
    assert_eq!(guest.run::<_, i32>("go", 0), 0);
}

#[test]
fn a_planted_cookie_traps() {
    let mut guest = guest(
        &[("carry_planted", "(param i32 i32) (result i32)")],
        "$f",
        r#"(func $f (param i32) (result i32) (i32.add (local.get 0) (i32.const 3)))
           (func (export "go") (param i32) (result i32) (call $carry_planted (i32.const 1) (local.get 0)))"#,
    );
    assert_eq!(guest.run::<_, i32>("go", 0), 3, "NULL is 0");
    let error = trapped(guest.call::<_, i32>("go", 1)).to_string();
    assert!(error.contains("in the callback \"f\": parameter 1 \"a\""), "{error}");
    assert!(error.contains("none of the integers it was given to carry"), "{error}");
}

#[test]
fn a_callback_may_return_a_cookie() {
    let mut guest = guest(
        &[("carry_back", "(param i32 i32) (result i32)")],
        "$f",
        r#"(func $f (param i32) (result i32) (i32.xor (local.get 0) (i32.const -1)))
           (func (export "go") (param i32) (result i32) (call $carry_back (i32.const 1) (local.get 0)))"#,
    );
    assert_eq!(guest.run::<_, i32>("go", 5), !5);
    assert_eq!(guest.run::<_, i32>("go", -1), 0);
}

/// Adds up the lengths of strings, and 100 for each NULL.
const LENGTHS: &str = r#"
    (func $length (param $s i32) (result i32) (local $n i32)
        (if (i32.eqz (local.get $s)) (then (return (i32.const 100))))
        (block $end (loop $next
            (br_if $end (i32.eqz (i32.load8_u (i32.add (local.get $s) (local.get $n)))))
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br $next)))
        (local.get $n))
    (func $lengths (param $at i32) (param $n i32) (result i32) (local $sum i32)
        (block $end (loop $next
            (br_if $end (i32.eqz (local.get $n)))
            (local.set $sum (i32.add (local.get $sum) (call $length (i32.load (local.get $at)))))
            (local.set $at (i32.add (local.get $at) (i32.const 4)))
            (local.set $n (i32.sub (local.get $n) (i32.const 1)))
            (br $next)))
        (local.get $sum))
"#;

#[test]
fn rows_of_strings_are_read_and_freed() {
    let mut guest = guest(
        &[("rows", "(param i32 i32 i32) (result i32)")],
        "$f",
        &format!(
            r#"{LENGTHS}
            (func $f (param $a i32) (param $n i32) (param $values i32) (param $names i32) (result i32)
                (if (i32.ne (local.get $a) (i32.const 77)) (then unreachable))
                (if (i32.eqz (local.get $values)) (then (return (i32.add (i32.const 5000) (local.get $n)))))
                (i32.add
                    (i32.mul (call $lengths (local.get $values) (local.get $n)) (i32.const 1000))
                    (i32.add (i32.mul (global.get $live) (i32.const 100))
                        (call $lengths (local.get $names) (local.get $n)))))
            (func (export "go") (param i32) (result i32)
                (call $rows (i32.const 1) (i32.const 77) (local.get 0)))"#
        ),
    );
    // 3 + 100 + 5 characters; 1 + 2 + 0; one block of guest memory meanwhile.
    assert_eq!(guest.run::<_, i32>("go", 0), 108_103);
    assert_eq!(guest.live(), 0);
    // Native code may pass no values at all.
    assert_eq!(guest.run::<_, i32>("go", 1), 5002);
    assert_eq!(guest.run::<_, i32>("go", 2), 5000);
    assert_eq!(guest.live(), 0);
}

#[test]
fn an_array_that_ends_with_null_does_so_for_the_guest() {
    let mut guest = guest(
        &[("attributes", "(param i32 i32) (result i32)")],
        "$f",
        &format!(
            r#"{LENGTHS}
            (func $f (param $at i32) (result i32) (local $n i32)
                (block $end (loop $next
                    (br_if $end (i32.eqz (i32.load (i32.add (local.get $at)
                        (i32.mul (local.get $n) (i32.const 4))))))
                    (local.set $n (i32.add (local.get $n) (i32.const 1)))
                    (br $next)))
                (i32.add (i32.mul (local.get $n) (i32.const 10))
                    (call $lengths (local.get $at) (local.get $n))))
            (func (export "go") (param i32) (result i32)
                (call $attributes (i32.const 1) (local.get 0)))"#
        ),
    );
    assert_eq!(guest.run::<_, i32>("go", 4), 46);
    assert_eq!(guest.run::<_, i32>("go", 2), 24);
    assert_eq!(guest.run::<_, i32>("go", 0), 0);
    assert_eq!(guest.live(), 0);
}

#[test]
fn handles_in_an_array_live_as_long_as_the_callback() {
    let mut guest = guest(
        &[("values", "(param i32 i32) (result i32)"), ("session_id", "(param i32) (result i32)")],
        "$f",
        r#"(global $kept (mut i32) (i32.const 0))
           (func $f (param $n i32) (param $at i32) (result i32) (local $sum i32) (local $last i32)
                (block $end (loop $next
                    (br_if $end (i32.eqz (local.get $n)))
                    (local.set $last (i32.load (local.get $at)))
                    (global.set $kept (local.get $last))
                    (drop (call $session_id (local.get $last)))
                    (local.set $sum (i32.add (local.get $sum) (i32.const 1)))
                    (local.set $at (i32.add (local.get $at) (i32.const 4)))
                    (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                    (br $next)))
                (local.get $sum))
           (func (export "same") (result i32) (global.get $kept))
           (func (export "go") (param i32) (result i32) (call $values (i32.const 1) (local.get 0)))
           (func (export "after") (result i32) (call $session_id (global.get $kept)))"#,
    );
    // The third is the first again.
    assert_eq!(guest.run::<_, i32>("go", 3), 3);
    let error = trapped(guest.call::<_, i32>("after", ())).to_string();
    assert!(error.contains("cb.session_id"), "{error}");
    assert_eq!(guest.run::<_, i32>("go", 0), 0);
    assert_eq!(guest.live(), 0);
}

#[test]
fn a_trap_inside_leaves_no_handle_of_an_array() {
    let mut guest = guest(
        &[("values", "(param i32 i32) (result i32)"), ("session_id", "(param i32) (result i32)")],
        "$f",
        r#"(global $kept (mut i32) (i32.const 0))
           (func $f (param $n i32) (param $at i32) (result i32)
                (global.set $kept (i32.load (local.get $at)))
                unreachable)
           (func (export "go") (result i32) (call $values (i32.const 1) (i32.const 2)))
           (func (export "after") (result i32) (call $session_id (global.get $kept)))"#,
    );
    assert!(guest.call::<_, i32>("go", ()).is_err());
    let error = trapped(guest.call::<_, i32>("after", ())).to_string();
    assert!(error.contains("cb.session_id"), "{error}");
}

const GROUP_MEMORY: (&str, &str) = ("group_memory", "(param i32 i32) (result i32)");

/// A guest that adds up in memory that a callback's handle lends.
fn groups(step: &str, last: &str) -> Guest {
    guest(
        &[
            GROUP_MEMORY,
            ("grouped", "(param i32 i32 i32) (result i32)"),
            ("group_open", "(result i32)"),
        ],
        "$step $final",
        &format!(
            r#"(func $step (param $g i32) (param $i i32) (local $at i32) {step})
            (func $final (param $g i32) (result i32) {last})
            (func (export "go") (param i32) (result i32)
                (call $grouped (i32.const 1) (i32.const 2) (local.get 0)))
            (func (export "owned") (result i32) (call $group_memory (call $group_open) (i32.const 4)))"#
        ),
    )
}

#[test]
fn memory_that_a_callbacks_handle_lends_goes_back() {
    let mut guest = groups(
        r#"(local.set $at (call $group_memory (local.get $g) (i32.const 4)))
           (i32.store8 (local.get $at) (i32.add (i32.load8_u (local.get $at)) (local.get $i)))
           ;; The same memory again: what was written is there.
           (local.set $at (call $group_memory (local.get $g) (i32.const 4)))
           (i32.store8 (local.get $at) (i32.add (i32.load8_u (local.get $at)) (i32.const 1)))
           (drop (memory.grow (i32.const 1)))"#,
        "(i32.load8_u (call $group_memory (local.get $g) (i32.const 4)))",
    );
    // 1 + 2 + 3, and 1 each time; C finds the same.
    assert_eq!(guest.run::<_, i32>("go", 3), 9009);
    assert_eq!(guest.live(), 0);
    assert_eq!(guest.run::<_, i32>("go", 0), 0);
    assert_eq!(guest.live(), 0);
}

#[test]
fn lent_memory_must_not_grow_while_the_guest_has_it() {
    let mut guest = groups(
        r#"(drop (call $group_memory (local.get $g) (i32.const 4)))
           (drop (call $group_memory (local.get $g) (i32.const 2)))
           (drop (call $group_memory (local.get $g) (i32.const 8)))"#,
        "(i32.const 0)",
    );
    let error = trapped(guest.call::<_, i32>("go", 1)).to_string();
    assert!(error.contains("the first 4 bytes of this memory"), "{error}");
}

#[test]
fn nothing_goes_back_after_a_trap() {
    let mut guest = groups(
        r#"(local.set $at (call $group_memory (local.get $g) (i32.const 4)))
           (i32.store8 (local.get $at) (i32.const 9))
           unreachable"#,
        "(i32.const 0)",
    );
    assert!(guest.call::<_, i32>("go", 1).is_err());
}

#[test]
fn a_handle_that_lives_on_lends_nothing_that_goes_back() {
    let mut guest = groups("", "(i32.const 0)");
    let error = trapped(guest.call::<_, i32>("owned", ())).to_string();
    assert!(error.contains("was not made for a callback"), "{error}");
    assert_eq!(guest.live(), 0);
}
