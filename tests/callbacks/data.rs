//! Data behind the pointers that native code gives to guest functions and gets of them.
use crate::library::{Guest, bridge, refused, text, trapped};
use portcullis::plan::{CallbackProblem, Problem};
use wasmtime::{Linker, Module};

fn guest(imports: &[(&str, &str)], elements: &str, functions: &str) -> Guest {
    Guest::new(&bridge(), &text(imports, elements, functions))
}

const ONE: &str = "(param i32 i32) (result i32)";

/// Length of a string, and the sum of numbers.
const HELPERS: &str = r#"
    (func $length (param $s i32) (result i32) (local $n i32)
        (block $end (loop $next
            (br_if $end (i32.eqz (i32.load8_u (i32.add (local.get $s) (local.get $n)))))
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br $next)))
        (local.get $n))
    (func $sum (param $at i32) (param $n i32) (result i32) (local $sum i32)
        (block $end (loop $next
            (br_if $end (i32.eqz (local.get $n)))
            (local.set $sum (i32.add (local.get $sum) (i32.load (local.get $at))))
            (local.set $at (i32.add (local.get $at) (i32.const 4)))
            (local.set $n (i32.sub (local.get $n) (i32.const 1)))
            (br $next)))
        (local.get $sum))
"#;

#[test]
fn structs_with_pointers_are_the_guests_while_it_runs() {
    let mut guest = guest(
        &[("with_rec", ONE)],
        "$f",
        &format!(
            r#"{HELPERS}
            (func $f (param $r i32) (result i32)
                (if (i32.eqz (local.get $r)) (then (return (i32.const -1))))
                (i32.add (i32.mul (global.get $live) (i32.const 100000))
                    (i32.add (i32.mul (call $length (i32.load (local.get $r))) (i32.const 1000))
                        (i32.add (i32.mul (call $sum (i32.load offset=8 (local.get $r)) (i32.load offset=4 (local.get $r)))
                                (i32.const 10))
                            (i32.load offset=12 (local.get $r))))))
            (func (export "go") (param i32) (result i32) (call $with_rec (i32.const 1) (local.get 0)))"#
        ),
    );
    // One block; 6 characters; 3 + 4 + 5; -9.
    assert_eq!(guest.run::<_, i32>("go", 0), 106_000 + 120 - 9);
    assert_eq!(guest.run::<_, i32>("go", 1), 106_000 - 9);
    assert_eq!(guest.run::<_, i32>("go", 3), -1, "NULL is 0");
    assert_eq!(guest.live(), 0);
    let error = trapped(guest.call::<_, i32>("go", 2)).to_string();
    assert!(error.contains("in the callback \"f\": parameter 1 \"r\""), "{error}");
    assert!(error.contains("r->total") && error.contains("1099511627776"), "{error}");
    assert_eq!(guest.live(), 0);
}

#[test]
fn arrays_of_structs_are_the_guests_while_it_runs() {
    let mut guest = guest(
        &[("recs", ONE)],
        "$f",
        &format!(
            r#"{HELPERS}
            (func $f (param $n i32) (param $at i32) (result i32) (local $all i32)
                (block $end (loop $next
                    (br_if $end (i32.eqz (local.get $n)))
                    (local.set $all (i32.add (i32.mul (local.get $all) (i32.const 10))
                        (i32.add (call $length (i32.load (local.get $at)))
                            (call $sum (i32.load offset=8 (local.get $at)) (i32.load offset=4 (local.get $at))))))
                    (local.set $at (i32.add (local.get $at) (i32.const 16)))
                    (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                    (br $next)))
                (local.get $all))
            (func (export "go") (param i32) (result i32) (call $recs (i32.const 1) (local.get 0)))"#
        ),
    );
    // 3 + 1, 2 + 3, 1 + 6, 0 + 10
    assert_eq!(guest.run::<_, i32>("go", 4), 4580);
    assert_eq!(guest.run::<_, i32>("go", 0), 0);
    assert_eq!(guest.live(), 0);
}

/// The guest doubles the number, clears the flag, and does with the pointers what it is told.
fn changer(what: &str) -> Guest {
    guest(
        &[("change", ONE)],
        "$f",
        &format!(
            r#"(func $f (param $c i32)
                (i32.store (local.get $c) (i32.mul (i32.load (local.get $c)) (i32.const 2)))
                (i32.store8 offset=4 (local.get $c) (i32.const 0))
                {what})
            (func (export "go") (param i32) (result i32) (call $change (i32.const 1) (local.get 0)))"#
        ),
    )
}

#[test]
fn what_the_guest_leaves_in_a_struct_goes_back() {
    // 77 is the session that stays, 5 the length of the label.
    assert_eq!(changer("").run::<_, i32>("go", -21), 7_700_000 - 4_200 + 5);
    let mut guest = changer("(i32.store offset=8 (local.get $c) (i32.const 0))");
    assert_eq!(guest.run::<_, i32>("go", 3), 7_700_000 + 600 + 9, "NULL may be left");
    let mut guest = changer("(i32.store offset=12 (local.get $c) (i32.const 0))");
    assert_eq!(guest.run::<_, i32>("go", 3), 600 + 5);
    // Any byte but 0 is `true`.
    let mut guest = changer("(i32.store8 offset=4 (local.get $c) (i32.const 0x40))");
    assert_eq!(guest.run::<_, i32>("go", 3), 7_700_000 + 600 + 10 + 5);
    // What is said to be constant does not change, wherever the guest has it.
    let mut guest = changer("(i32.store8 (i32.load offset=8 (local.get $c)) (i32.const 0))");
    assert_eq!(guest.run::<_, i32>("go", 3), 7_700_000 + 600 + 5);
    assert_eq!(guest.live(), 0);
}

#[test]
fn pointers_that_nothing_would_keep_do_not_go_back() {
    let mut guest = changer("(i32.store offset=8 (local.get $c) (i32.const 512))");
    let error = trapped(guest.call::<_, i32>("go", 3)).to_string();
    assert!(error.contains("c->label") && error.contains("another pointer"), "{error}");
    assert_eq!(guest.live(), 0);
    let mut guest = changer("(i32.store offset=12 (local.get $c) (i32.const 99))");
    let error = trapped(guest.call::<_, i32>("go", 3)).to_string();
    assert!(error.contains("c->who") && error.contains("is no handle"), "{error}");
}

#[test]
fn what_the_guest_is_asked_for_is_all_its_own() {
    let mut guest = guest(
        &[("ask", "(param i32) (result i32)")],
        "$f",
        r#"(func $f (param $a i32) (param $c i32)
                ;; What was there before does not reach the guest.
                (if (i32.or (i32.load (local.get $a)) (i32.load (local.get $c))) (then unreachable))
                (if (i32.load offset=12 (local.get $c)) (then unreachable))
                (i32.store (local.get $a) (i32.const -8))
                (i32.store (local.get $c) (i32.const 6))
                (i32.store8 offset=4 (local.get $c) (i32.const 1)))
           (func (export "go") (result i32) (call $ask (i32.const 1)))"#,
    );
    assert_eq!(guest.run::<_, i32>("go", ()), -8000 + 61);
    assert_eq!(guest.live(), 0);
}

#[test]
fn lists_end_and_circles_are_circles() {
    let mut guest = guest(
        &[("list", ONE)],
        "$f",
        r#"(func $f (param $head i32) (result i32) (local $at i32) (local $n i32)
                (local.set $at (local.get $head))
                (block $end (loop $next
                    (br_if $end (i32.eqz (local.get $at)))
                    (local.set $n (i32.add (local.get $n) (i32.const 1)))
                    (local.set $at (i32.load offset=4 (local.get $at)))
                    (br_if $end (i32.eq (local.get $at) (local.get $head)))
                    (br $next)))
                (local.get $n))
           (func (export "go") (param i32) (result i32) (call $list (i32.const 1) (local.get 0)))"#,
    );
    assert_eq!(guest.run::<_, i32>("go", 1), 1_000_001);
    assert_eq!(guest.run::<_, i32>("go", 900), 900_000_900);
    assert_eq!(guest.live(), 0);
}

/// What lies in the guest's memory the guest may have written: its pointers are not followed.
#[test]
fn pointers_in_the_guests_memory_are_not_believed() {
    let mut guest = guest(
        &[("node_in_guest", ONE)],
        "$f",
        r#"(func $f (param i32) (result i32) (i32.load (local.get 0)))
           (func (export "go") (param i32) (result i32) (call $node_in_guest (i32.const 1) (local.get 0)))
           ;; What it holds looks like native pointers: to its own page.
           (func (export "grow") (result i32) (local $at i32)
                (local.set $at (i32.mul (memory.grow (i32.const 1)) (i32.const 65536)))
                (i32.store (local.get $at) (i32.const 7))
                (i64.store offset=8 (local.get $at) (i64.const 0x1000))
                (local.get $at))"#,
    );
    let refused = |guest: &mut Guest, at: i32| {
        let error = trapped(guest.call::<_, i32>("go", at)).to_string();
        assert!(error.contains("in the callback \"f\": parameter 1 \"head\""), "{error}");
        assert!(error.contains("lies in the guest's own memory"), "{error}");
        assert_eq!(guest.live(), 0);
    };
    refused(&mut guest, 1024);
    // Memory that has grown since the closure was made is the guest's as well.
    for _ in 0..2 {
        let at = guest.run("grow", ());
        refused(&mut guest, at);
    }
}

/// Nor where it lies in the memory of another instance, which has made the call.
#[test]
fn pointers_in_a_callers_memory_are_not_believed() {
    let bridge = bridge();
    let mut walker = Guest::new(
        &bridge,
        &text(
            &[("session_open", "(result i32)"), ("session_walk", "(param i32 i32)")],
            "$f",
            r#"(func $f (param i32) (result i32) (i32.load (local.get 0)))
               (func (export "session") (result i32) (local $s i32)
                    (local.set $s (call $session_open))
                    (call $session_walk (local.get $s) (i32.const 1))
                    (local.get $s))"#,
        ),
    );
    let caller = text(
        &[("session_walked", ONE)],
        "",
        r#"(func (export "go") (param i32 i32) (result i32)
                ;; A node whose pointer leads anywhere.
                (i64.store offset=8 (local.get 1) (i64.const 0x1000))
                (call $session_walked (local.get 0) (local.get 1)))"#,
    );
    let module = Module::new(bridge.engine(), caller).expect("valid");
    let linker = Linker::new(bridge.engine());
    let other = bridge.instantiate(&mut walker.store, &linker, &module, |state| &mut state.natives);
    let other = other.expect("it links");
    let session = walker.run::<_, i32>("session", ());
    let go = other.get_typed_func::<(i32, i32), i32>(&mut walker.store, "go").expect("exported");
    let error = trapped(go.call(&mut walker.store, (session, 1024))).to_string();
    assert!(error.contains("lies in the guest's own memory"), "{error}");
    assert_eq!(walker.live(), 0);
}

#[test]
fn terminated_arrays_end_for_the_guest_too() {
    let mut guest = guest(
        &[("longs", ONE)],
        "$f",
        r#"(func $f (param $all i32) (param $kvs i32) (result i32) (local $sum i32)
                (block $end (loop $next
                    (br_if $end (i32.eqz (i32.load (local.get $all))))
                    (local.set $sum (i32.add (local.get $sum) (i32.load (local.get $all))))
                    (local.set $all (i32.add (local.get $all) (i32.const 4)))
                    (br $next)))
                (local.set $sum (i32.mul (local.get $sum) (i32.const 1000)))
                (block $end (loop $next
                    (br_if $end (i32.eqz (i32.load (local.get $kvs))))
                    (local.set $sum (i32.add (local.get $sum) (i32.load offset=4 (local.get $kvs))))
                    (local.set $kvs (i32.add (local.get $kvs) (i32.const 8)))
                    (br $next)))
                (local.get $sum))
           (func (export "go") (param i32) (result i32) (call $longs (i32.const 1) (local.get 0)))"#,
    );
    assert_eq!(guest.run::<_, i32>("go", 3), -6000 + 281);
    assert_eq!(guest.run::<_, i32>("go", 1), -1000 + 300);
    assert_eq!(guest.run::<_, i32>("go", 0), 0);
    assert_eq!(guest.live(), 0);
}

#[test]
fn counts_may_be_behind_pointers_and_change() {
    let mut guest = guest(
        &[("put", ONE)],
        "$f",
        r#"(func $f (param $data i32) (param $n i32) (result i32)
                (memory.fill (local.get $data) (i32.const 10) (i32.load (local.get $n)))
                (i32.store (local.get $n) (i32.const 2))
                (i32.const 5))
           (func (export "go") (param i32) (result i32) (call $put (i32.const 1) (local.get 0)))"#,
    );
    // As many as were counted before go back.
    assert_eq!(guest.run::<_, i32>("go", 8), 5_002_080);
    assert_eq!(guest.run::<_, i32>("go", 3), 5_002_000 + 30 + 30);
    assert_eq!(guest.live(), 0);
}

#[test]
fn arrays_of_bool_are_copied() {
    let mut guest = guest(
        &[("boxes", "(param i32) (result i32)")],
        "$f",
        r#"(func $f (param i32 i32) (result i32)
                (i32.add (i32.mul (i32.load8_u (local.get 0)) (i32.const 100))
                    (i32.add (i32.mul (i32.load8_u offset=1 (local.get 0)) (i32.const 10)) (i32.load8_u offset=2 (local.get 0)))))
           (func (export "go") (result i32) (call $boxes (i32.const 1)))"#,
    );
    assert_eq!(guest.run::<_, i32>("go", ()), 101);
}

/// A guest that makes a struct at 2048, the same each time.
fn maker(made: &str) -> Guest {
    guest(
        &[("made", ONE)],
        "$f",
        &format!(
            r#"(data (i32.const 512) "four\00")
            (func $f (param $i i32) (result i32)
                (i32.store (i32.const 2048) (i32.add (i32.const 512) (local.get $i)))
                (i32.store (i32.const 2052) (local.get $i))
                (i32.store (i32.const 2056) (i32.const 4096))
                (i32.store (i32.const 2060) (i32.const 100))
                (i32.store (i32.const 4096) (i32.const 7))
                (i32.store (i32.const 4100) (i32.const 8))
                {made})
            (func (export "go") (param i32) (result i32) (call $made (i32.const 1) (local.get 0)))"#
        ),
    )
}

#[test]
fn structs_from_callbacks_live_until_the_call_is_over() {
    // The guest uses the same memory for each: C has three copies. 4, 3, 2 characters.
    let mut guest = maker("(i32.const 2048)");
    let sum = |all: i32, (length, values): (i32, i32)| all * 10 + length + values + 100;
    let expected = [(4, 0), (3, 7), (2, 15)].into_iter().fold(0, sum);
    assert_eq!(guest.run::<_, i32>("go", 3), expected);
    assert_eq!(maker("(i32.const 0)").run::<_, i32>("go", 1), -1, "NULL may be returned");
    let error = trapped(maker("(i32.const 131068)").call::<_, i32>("go", 1)).to_string();
    assert!(error.contains("in the callback \"f\": result ("), "{error}");
    let mut guest = maker("(i32.store (i32.const 2056) (i32.const 131070)) (i32.const 2048)");
    let error = trapped(guest.call::<_, i32>("go", 2)).to_string();
    assert!(error.contains("return->values"), "{error}");
}

#[test]
fn arrays_of_strings_may_be_returned() {
    let mut guest = guest(
        &[("words", "(param i32) (result i32)")],
        "$f",
        r#"(data (i32.const 512) "one\00three\00\00")
           (data (i32.const 1024) "\00\02\00\00\04\02\00\00\0a\02\00\00\00\00\00\00")
           (func $f (param i32) (result i32)
                (if (i32.ne (i32.load8_u (local.get 0)) (i32.const 103)) (then unreachable))
                (i32.const 1024))
           (func (export "go") (result i32) (call $words (i32.const 1)))"#,
    );
    assert_eq!(guest.run::<_, i32>("go", ()), 350);
    assert_eq!(guest.live(), 0);
}

#[test]
fn callbacks_may_return_functions() {
    let mut guest = guest(
        &[("picked", ONE)],
        "$pick $twice $other",
        r#"(global $second (export "second") (mut i32) (i32.const 3))
           (func $pick (param i32) (result i32)
                (if (result i32) (local.get 0) (then (global.get $second)) (else (i32.const 2))))
           (func $twice (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
           (func $other (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
           (func (export "go") (param i32) (result i32) (call $picked (i32.const 1) (local.get 0)))
           (func (export "choose") (param i32) (global.set $second (local.get 0)))"#,
    );
    assert_eq!(guest.run::<_, i32>("go", 5), 1006);
    guest.run::<_, ()>("choose", 0);
    assert_eq!(guest.run::<_, i32>("go", 5), 999, "NULL is a function too");
    guest.run::<_, ()>("choose", 40);
    let error = trapped(guest.call::<_, i32>("go", 5)).to_string();
    assert!(error.contains("no function at index 40"), "{error}");
}

#[test]
fn functions_of_the_guest_come_back_as_what_they_were() {
    let mut guest = guest(
        &[("handed", "(param i32 i32 i32 i32) (result i32)")],
        "$f $twice",
        r#"(type $int (func (param i32) (result i32)))
           (func $f (param $g i32) (param $x i32) (result i32)
                (if (i32.eqz (local.get $g)) (then (return (i32.const -1))))
                (i32.add (i32.mul (local.get $g) (i32.const 100))
                    (call_indirect (type $int) (local.get $x) (local.get $g))))
           (func $twice (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
           (func (export "go") (param i32) (result i32)
                (call $handed (i32.const 1) (i32.const 2) (i32.const 21) (local.get 0)))
           (func (export "clear") (table.set (i32.const 2) (ref.null func)))"#,
    );
    assert_eq!(guest.run::<_, i32>("go", 0), 242);
    assert_eq!(guest.run::<_, i32>("go", 1), -1);
    let problem = refused(guest.call::<_, i32>("go", 2));
    let CallbackProblem::Inside { problem: Problem::Callback(inner), .. } = problem else {
        panic!("{problem}")
    };
    assert_eq!(*inner, CallbackProblem::NotTheGuests);
}

#[test]
fn lent_objects_live_as_long_as_their_lender() {
    let mut guest = guest(
        &[
            ("lends", "(param i32 i32 i32) (result i32)"),
            ("session_open", "(result i32)"),
            ("session_close", "(param i32)"),
            ("session_sum", ONE),
            ("session_id", "(param i32) (result i32)"),
        ],
        "$f",
        r#"(global $child (mut i32) (i32.const 0))
           (func $f (param i32 i32) (result i32) (global.set $child (local.get 1)) (i32.const 1))
           (func (export "open") (result i32) (call $session_open))
           (func (export "close") (param i32) (call $session_close (local.get 0)))
           (func (export "go") (param i32 i32) (result i32) (call $lends (i32.const 1) (local.get 0) (local.get 1)))
           (func (export "id") (result i32) (call $session_id (global.get $child)))"#,
    );
    let session: i32 = guest.run("open", ());
    assert_eq!(guest.run::<_, i32>("go", (session, 2)), 1);
    assert_eq!(guest.run::<_, i32>("id", ()), 503, "the callback is over");
    guest.run::<_, ()>("close", session);
    let error = trapped(guest.call::<_, i32>("id", ())).to_string();
    assert!(error.contains("no longer alive"), "{error}");
}

#[test]
fn descriptors_are_handles_in_callbacks() {
    let mut guest = guest(
        &[("fds", ONE), ("fd_value", "(param i32) (result i32)"), ("fd_back", ONE)],
        "$f $g",
        r#"(global $kept (mut i32) (i32.const 0))
           (func $f (param i32) (result i32)
                (global.set $kept (local.get 0))
                (if (i32.lt_s (local.get 0) (i32.const 0)) (then (return (local.get 0))))
                (call $fd_value (local.get 0)))
           (func $g (param i32) (result i32) (local.get 0))
           (func (export "go") (param i32) (result i32) (call $fds (i32.const 1) (local.get 0)))
           (func (export "back") (param i32) (result i32) (call $fd_back (i32.const 2) (local.get 0)))
           (func (export "forge") (result i32) (call $fd_back (i32.const 1) (i32.const 4)))
           (func (export "after") (result i32) (call $fd_value (global.get $kept)))
           (func (export "kept") (result i32) (global.get $kept))"#,
    );
    assert_eq!(guest.run::<_, i32>("go", 4321), 4321);
    assert_ne!(guest.run::<_, i32>("kept", ()), 4321, "the guest never sees the number");
    assert!(trapped(guest.call::<_, i32>("after", ())).to_string().contains("no longer alive"));
    assert_eq!(guest.run::<_, i32>("go", -5), -5, "errors are passed on");
    assert_eq!(guest.run::<_, i32>("back", 17), 17);
    assert_eq!(guest.run::<_, i32>("back", -1), -1);
    let error = trapped(guest.call::<_, i32>("forge", ())).to_string();
    assert!(error.contains("in the callback \"f\": result ("), "{error}");
}

#[test]
fn ranges_hold_on_both_ways() {
    let mut guest = guest(
        &[("ranged", ONE), ("range_back", ONE)],
        "$f",
        r#"(func $f (param i32) (result i32) (local.get 0))
           (func (export "in") (param i32) (result i32) (call $ranged (i32.const 1) (local.get 0)))
           (func (export "out") (param i32) (result i32) (call $range_back (i32.const 1) (local.get 0)))"#,
    );
    for (name, good, bad) in [("in", [0, 9], [-1, 10]), ("out", [-1, 1], [-2, 2])] {
        for value in good {
            assert_eq!(guest.run::<_, i32>(name, value), value);
        }
        for value in bad {
            let problem = refused(guest.call::<_, i32>(name, value));
            let CallbackProblem::Inside {
                problem: Problem::OutOfRange { value: found, .. }, ..
            } = problem
            else {
                panic!("{problem}")
            };
            assert_eq!(found, i128::from(value));
        }
    }
}
