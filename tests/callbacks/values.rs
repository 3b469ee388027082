//! What native code passes to guest functions, and what it gets of them.
use crate::library::{Guest, bridge, text, trapped};

const COMPARE: &str = r#"
    (func $compare (param $a i32) (param $b i32) (result i32)
        (i32.sub (i32.gt_s (i32.load (local.get $a)) (i32.load (local.get $b)))
                 (i32.lt_s (i32.load (local.get $a)) (i32.load (local.get $b)))))
    (func $down (param $a i32) (param $b i32) (result i32)
        (call $compare (local.get $b) (local.get $a)))
"#;
const QSORT: (&str, &str) = ("qsort", "(param i32 i32 i32 i32)");

fn ints(guest: &mut Guest, at: usize, count: usize) -> Vec<i32> {
    let bytes = guest.read(at, 4 * count);
    bytes.chunks_exact(4).map(|c| i32::from_le_bytes(c.try_into().expect("four"))).collect()
}

#[test]
fn qsort_and_bsearch_call_the_guests_comparator() {
    let bsearch = ("bsearch", "(param i32 i32 i32 i32 i32) (result i32)");
    let guest = text(
        &[QSORT, bsearch],
        "$compare $down",
        &format!(
            r#"{COMPARE}
            (func (export "sort") (param $n i32) (param $by i32)
                (call $qsort (i32.const 1024) (local.get $n) (i32.const 4) (local.get $by)))
            (func (export "find") (param $n i32) (param $key i32) (result i32)
                (i32.store (i32.const 512) (local.get $key))
                (call $bsearch (i32.const 512) (i32.const 1024) (local.get $n) (i32.const 4) (i32.const 1)))"#
        ),
    );
    let mut guest = Guest::new(&bridge(), &guest);
    let numbers: Vec<i32> = (0..500).map(|n| (n * 7919) % 1009 - 500).collect();
    let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
    guest.write(1024, &bytes);
    let mut sorted = numbers.clone();
    sorted.sort_unstable();
    guest.run::<_, ()>("sort", (500, 1));
    assert_eq!(ints(&mut guest, 1024, 500), sorted);
    for (position, number) in sorted.iter().enumerate().step_by(37) {
        let found: i32 = guest.run("find", (500, *number));
        assert_eq!(usize::try_from(found).expect("an address"), 1024 + 4 * position);
    }
    assert_eq!(guest.run::<_, i32>("find", (500, 100_000)), 0);
    guest.run::<_, ()>("sort", (500, 2));
    sorted.reverse();
    assert_eq!(ints(&mut guest, 1024, 500), sorted);
    assert_eq!(guest.live(), 0);
}

#[test]
fn a_comparator_may_sort() {
    let guest = text(
        &[QSORT],
        "$compare $nested",
        &format!(
            r#"{COMPARE}
            (global $depth (mut i32) (i32.const 0))
            (func $nested (param $a i32) (param $b i32) (result i32)
                (call $qsort (i32.const 4096) (i32.const 3) (i32.const 4) (i32.const 1))
                (call $compare (local.get $a) (local.get $b)))
            (func (export "sort")
                (call $qsort (i32.const 1024) (i32.const 4) (i32.const 4) (i32.const 2)))"#
        ),
    );
    let mut guest = Guest::new(&bridge(), &guest);
    guest.write(1024, &[4, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0]);
    guest.write(4096, &[9, 0, 0, 0, 8, 0, 0, 0, 7, 0, 0, 0]);
    guest.run::<_, ()>("sort", ());
    assert_eq!(ints(&mut guest, 1024, 4), [1, 2, 3, 4]);
    assert_eq!(ints(&mut guest, 4096, 3), [7, 8, 9]);
}

/// A guest with one callback in its table (index 1), and an export `go` that calls the import with it.
fn one(import: (&str, &str), callback: &str, go: &str) -> Guest {
    Guest::new(&bridge(), &text(&[import], "$f", &format!("{callback}\n{go}")))
}

#[test]
fn scalars_of_every_kind_arrive() {
    let many = "(param i32) (result i32)";
    // Each argument is compared with what the library passes; the sum of the positions that differ comes back.
    let mut guest = one(
        ("many", many),
        r#"(func $f (param $a i32) (param $b i32) (param $c i32) (param $d i32) (param $e i32)
              (param $f f32) (param $g f64) (param $h i32) (param $i i32) (param $j f64) (param $k i32) (result i32)
            (i32.or (i32.ne (local.get $a) (i32.const -1))
            (i32.or (i32.shl (i32.ne (local.get $b) (i32.const -2)) (i32.const 1))
            (i32.or (i32.shl (i32.ne (local.get $c) (i32.const -3)) (i32.const 2))
            (i32.or (i32.shl (i32.ne (local.get $d) (i32.const 250)) (i32.const 3))
            (i32.or (i32.shl (i32.ne (local.get $e) (i32.const -5)) (i32.const 4))
            (i32.or (i32.shl (f32.ne (local.get $f) (f32.const 1.5)) (i32.const 5))
            (i32.or (i32.shl (f64.ne (local.get $g) (f64.const 2.5)) (i32.const 6))
            (i32.or (i32.shl (i32.ne (local.get $h) (i32.const 8)) (i32.const 7))
            (i32.or (i32.shl (i32.ne (local.get $i) (i32.const -9)) (i32.const 8))
            (i32.or (i32.shl (f64.ne (local.get $j) (f64.const 3.25)) (i32.const 9))
                    (i32.shl (i32.ne (local.get $k) (i32.const 1)) (i32.const 10)))))))))))))"#,
        r#"(func (export "go") (result i32) (call $many (i32.const 1)))"#,
    );
    assert_eq!(guest.run::<_, i32>("go", ()), 0);
}

#[test]
fn results_are_converted_as_c_asks() {
    let mut guest = one(
        ("apply_float", "(param i32 f32) (result f32)"),
        "(func $f (param f32 f64) (result f32) (f32.add (local.get 0) (f32.demote_f64 (local.get 1))))",
        r#"(func (export "go") (param f32) (result f32) (call $apply_float (i32.const 1) (local.get 0)))"#,
    );
    assert_eq!(guest.run::<_, f32>("go", 1.5_f32), 4.5);
    let mut guest = one(
        ("apply_double", "(param i32 f64) (result f64)"),
        "(func $f (param f64) (result f64) (f64.sqrt (local.get 0)))",
        r#"(func (export "go") (param f64) (result f64) (call $apply_double (i32.const 1) (local.get 0)))"#,
    );
    assert_eq!(guest.run::<_, f64>("go", 6.25_f64), 2.5);
    // Only eight bits are C's.
    let mut guest = one(
        ("apply_byte", "(param i32 i32) (result i32)"),
        "(func $f (param i32) (result i32) (i32.add (local.get 0) (i32.const 0x1234500)))",
        r#"(func (export "go") (param i32) (result i32) (call $apply_byte (i32.const 1) (local.get 0)))"#,
    );
    assert_eq!(guest.run::<_, i32>("go", 0x107), 7);
    let mut guest = one(
        ("apply", "(param i32 i32) (result i32)"),
        "(func $f (param i32) (result i32) (i32.mul (local.get 0) (i32.const -2)))",
        r#"(func (export "go") (param i32) (result i32) (call $apply (i32.const 1) (local.get 0)))"#,
    );
    assert_eq!(guest.run::<_, i32>("go", 10), -42);
}

#[test]
fn wide_values_travel_whole() {
    // long double in, out, and an __int128: 1 more than what the guest returns, unchanged.
    let mut guest = one(
        ("apply_wide", "(param i32 i32 i64 i64)"),
        r#"(func $f (param $to i32) (param $lo i64) (param $hi i64) (param $ilo i64) (param $ihi i64)
            (if (i32.or (i64.ne (local.get $ilo) (i64.const 5)) (i64.ne (local.get $ihi) (i64.const 1))) (then unreachable))
            (i64.store (local.get $to) (local.get $lo))
            (i64.store offset=8 (local.get $to) (local.get $hi)))"#,
        r#"(func (export "go") (call $apply_wide (i32.const 256) (i32.const 1)
                (i64.const 0) (i64.const 0x4000_8000_0000_0000)))"#,
    );
    guest.run::<_, ()>("go", ());
    let bytes = guest.read(256, 16);
    // 3 + 1 as a binary128.
    assert_eq!(u128::from_le_bytes(bytes.try_into().expect("16")), 0x4001_u128 << 112);
    assert_eq!(guest.live(), 0);
}

#[test]
fn longs_must_fit() {
    let mut guest = one(
        ("apply_long", "(param i32 i64) (result i32)"),
        "(func $f (param i32) (result i32) (i32.sub (local.get 0) (i32.const 1)))",
        r#"(func (export "go") (param i64) (result i32) (call $apply_long (i32.const 1) (local.get 0)))"#,
    );
    assert_eq!(guest.run::<_, i32>("go", -5_i64), -6);
    let error = trapped(guest.call::<_, i32>("go", 1_i64 << 40));
    assert_eq!(
        error.to_string(),
        "cb.apply_long: in the callback \"f\": parameter 1 (long): the value 1099511627776 does not fit: \
         -2147483648 to 2147483647 can be held; the native function did run"
    );
}

const LENGTH: &str = r#"(func $length (param $s i32) (result i32) (local $n i32)
    (block $end (loop $next
        (br_if $end (i32.eqz (i32.load8_u (i32.add (local.get $s) (local.get $n)))))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br $next)))
    (local.get $n))"#;

#[test]
fn native_strings_and_arrays_are_in_guest_memory_while_the_callback_runs() {
    let mut guest = one(
        ("with_text", "(param i32 i32) (result i32)"),
        &format!(
            r#"{LENGTH} (func $f (param i32) (result i32)
            (if (i32.eqz (local.get 0)) (then (return (i32.const -5))))
            (i32.add (i32.mul (global.get $live) (i32.const 100)) (call $length (local.get 0))))"#
        ),
        r#"(func (export "go") (param i32) (result i32) (call $with_text (i32.const 1) (local.get 0)))"#,
    );
    assert_eq!(guest.run::<_, i32>("go", 0), 105);
    assert_eq!(guest.run::<_, i32>("go", 1), 116);
    assert_eq!(guest.run::<_, i32>("go", 2), -5);
    assert_eq!(guest.live(), 0);

    let sum = r#"(func $f (param $p i32) (param $n i32) (result i32) (local $sum i32)
        (block $end (loop $next
            (br_if $end (i32.eqz (local.get $n)))
            (local.set $n (i32.sub (local.get $n) (i32.const 1)))
            (local.set $sum (i32.add (local.get $sum) (i32.load8_u (i32.add (local.get $p) (local.get $n)))))
            (i32.store8 (i32.add (local.get $p) (local.get $n)) (i32.const 3))
            (br $next)))
        (local.get $sum))"#;
    let mut guest = one(
        ("with_bytes", "(param i32 i32) (result i32)"),
        sum,
        r#"(func (export "go") (param i32) (result i32) (call $with_bytes (i32.const 1) (local.get 0)))"#,
    );
    assert_eq!(guest.run::<_, i32>("go", 100), 5050);
    assert_eq!(guest.run::<_, i32>("go", 0), 0);
    assert_eq!(guest.live(), 0);

    // What is not `const` goes back.
    let sum = sum.replace("(result i32) (local", "(local").replace("(local.get $sum))", ")");
    let mut guest = one(
        ("fill_bytes", "(param i32 i32) (result i32)"),
        &sum,
        r#"(func (export "go") (param i32) (result i32) (call $fill_bytes (i32.const 1) (local.get 0)))"#,
    );
    assert_eq!(guest.run::<_, i32>("go", 20), 60);
    let error = trapped(guest.call::<_, i32>("go", -1));
    assert!(error.to_string().contains("the count is -1, below zero"), "{error}");
    assert_eq!(guest.live(), 0);
}

#[test]
fn values_behind_pointers_are_converted_both_ways() {
    let mut guest = one(
        ("with_numbers", "(param i32) (result i32)"),
        r#"(func $f (param $a i32) (param $b i32) (param $c i32) (result i32)
            (f64.store (local.get $b) (f64.add (f64.load (local.get $b)) (f64.const 1)))
            (i32.store (local.get $c) (i32.mul (i32.load (local.get $c)) (i32.const 2)))
            (i32.store (local.get $a) (i32.const 99))
            (i32.const 5))"#,
        r#"(func (export "go") (result i32) (call $with_numbers (i32.const 1)))"#,
    );
    assert_eq!(guest.run::<_, i32>("go", ()), 50_000 + 350 - 6);
    let mut guest = one(
        ("with_point", "(param i32) (result i32)"),
        r#"(func $f (param $p i32) (result i32)
            (i32.add (i32.load (local.get $p)) (i32.trunc_f64_s (f64.mul (f64.const 100) (f64.load offset=8 (local.get $p))))))"#,
        r#"(func (export "go") (result i32) (call $with_point (i32.const 1)))"#,
    );
    assert_eq!(guest.run::<_, i32>("go", ()), 57);
    // struct big { long a; double b; int c; long d; }: 4 bytes at 0, 8 at 8, 4 at 16, 4 at 20.
    let mut guest = one(
        ("move_point", "(param i32) (result i32)"),
        r#"(func $f (param $p i32) (result i32)
            (i32.store (local.get $p) (i32.add (i32.load (local.get $p)) (i32.const 4)))
            (f64.store offset=8 (local.get $p) (f64.add (f64.load offset=8 (local.get $p)) (f64.const 1)))
            (i32.store offset=20 (local.get $p) (i32.const -4))
            (i32.load offset=16 (local.get $p)))"#,
        r#"(func (export "go") (result i32) (call $move_point (i32.const 1)))"#,
    );
    assert_eq!(guest.run::<_, i32>("go", ()), 3000 + 500 + 30 + 3 - 4);
    assert_eq!(guest.live(), 0);
}

#[test]
fn structs_by_value_go_both_ways() {
    let mut guest = one(
        ("by_value", "(param i32) (result f64)"),
        r#"(func $f (param $p i32) (param $s i32) (param $b i32) (result f64)
            (f64.add (f64.convert_i32_s (i32.add (i32.load (local.get $p))
                (i32.add (i32.mul (i32.const 10) (i32.load16_s (local.get $s)))
                (i32.add (i32.mul (i32.const 100) (i32.load offset=4 (local.get $s)))
                (i32.add (i32.mul (i32.const 1000) (i32.load (local.get $b)))
                (i32.add (i32.mul (i32.const 10000) (i32.load offset=16 (local.get $b)))
                         (i32.mul (i32.const 100000) (i32.load offset=20 (local.get $b)))))))))
            (f64.add (f64.load offset=8 (local.get $p)) (f64.load offset=8 (local.get $b)))))"#,
        r#"(func (export "go") (result f64) (call $by_value (i32.const 1)))"#,
    );
    assert_eq!(
        guest.run::<_, f64>("go", ()),
        1.0 + 30.0 + 400.0 + 5000.0 + 70_000.0 - 800_000.0 + 9.0
    );
    assert_eq!(guest.live(), 0);
    let guest = text(
        &[("give_struct", "(param i32 i32 i32) (result i32)")],
        "$big $point $small",
        r#"(func $big (param $to i32) (param i32)
                (i32.store (local.get $to) (i32.const 1)) (f64.store offset=8 (local.get $to) (f64.const 2))
                (i32.store offset=16 (local.get $to) (i32.const 3)) (i32.store offset=20 (local.get $to) (i32.const 4)))
           (func $point (param $to i32) (param i32)
                (i32.store (local.get $to) (i32.const 5)) (f64.store offset=8 (local.get $to) (f64.const 6)))
           (func $small (param $to i32) (param i32)
                (i32.store16 (local.get $to) (i32.const 7)) (i32.store offset=4 (local.get $to) (i32.const 1)))
           (func (export "go") (result i32) (call $give_struct (i32.const 1) (i32.const 2) (i32.const 3)))"#,
    );
    let mut guest = Guest::new(&bridge(), &guest);
    assert_eq!(guest.run::<_, i32>("go", ()), 1_234_568);
    assert_eq!(guest.live(), 0);
}

#[test]
fn strings_and_buffers_come_back_checked() {
    let mut guest = one(
        ("text_from", "(param i32 i32) (result i32)"),
        r#"(data (i32.const 512) "abc\00") (data (i32.const 600) "abcdefg\00")
           (func $f (param i32) (result i32)
              (select (i32.const 512) (i32.add (local.get 0) (i32.const 600)) (i32.eq (local.get 0) (i32.const 1))))"#,
        r#"(func (export "go") (param i32) (result i32) (call $text_from (i32.const 1) (local.get 0)))"#,
    );
    assert_eq!(guest.run::<_, i32>("go", 0), 703);
    let error = trapped(guest.call::<_, i32>("go", 0x20_0000));
    assert!(error.to_string().contains("reaches past the memory"), "{error}");
    let error = trapped(guest.call::<_, i32>("go", -600));
    assert!(error.to_string().contains("result (const char *): the pointer is 0"), "{error}");
    let mut guest = one(
        ("bytes_from", "(param i32 i32) (result i32)"),
        r#"(data (i32.const 512) "\01\02\03\04")
           (func $f (param i32) (result i32) (select (i32.const 131070) (i32.const 512) (i32.gt_s (local.get 0) (i32.const 4))))"#,
        r#"(func (export "go") (param i32) (result i32) (call $bytes_from (i32.const 1) (local.get 0)))"#,
    );
    assert_eq!(guest.run::<_, i32>("go", 4), 10);
    let error = trapped(guest.call::<_, i32>("go", 5));
    assert!(error.to_string().contains("5 bytes at 0x1fffe reach past the memory"), "{error}");
}

#[test]
fn objects_are_handles_while_the_callback_runs() {
    let guest = text(
        &[
            ("session_open", "(result i32)"),
            ("session_close", "(param i32)"),
            ("session_id", "(param i32) (result i32)"),
            ("with_session", "(param i32 i32) (result i32)"),
            ("with_new_session", "(param i32) (result i32)"),
            ("pick", "(param i32 i32) (result i32)"),
        ],
        "$f $same $close",
        r#"(global $seen (mut i32) (i32.const 0))
           (func $f (param i32) (result i32) (global.set $seen (local.get 0)) (call $session_id (local.get 0)))
           (func $same (param i32) (result i32) (local.get 0))
           (func $close (param i32) (result i32) (call $session_close (local.get 0)) (i32.const 0))
           (func (export "own") (result i32) (local $s i32)
               (local.set $s (call $session_open))
               (i32.and (i32.eq (call $with_session (i32.const 1) (local.get $s)) (call $session_id (local.get $s)))
                        (i32.eq (global.get $seen) (local.get $s))))
           (func (export "new") (result i32) (call $with_new_session (i32.const 1)))
           (func (export "late") (result i32) (call $session_id (global.get $seen)))
           (func (export "pick") (result i32) (local $s i32)
               (local.set $s (call $session_open))
               (i32.eq (local.get $s) (call $pick (i32.const 2) (local.get $s))))
           (func (export "close") (result i32) (call $with_session (i32.const 3) (call $session_open)))
           (func (export "close_new") (result i32) (call $with_new_session (i32.const 3)))"#,
    );
    let mut guest = Guest::new(&bridge(), &guest);
    assert_eq!(guest.run::<_, i32>("own", ()), 1);
    for _ in 0..10_000 {
        assert!(guest.run::<_, i32>("new", ()) > 0);
    }
    let error = trapped(guest.call::<_, i32>("late", ()));
    assert!(error.to_string().contains("is a handle that is no longer alive"), "{error}");
    assert_eq!(guest.run::<_, i32>("pick", ()), 1);
    let error = trapped(guest.call::<_, i32>("close", ()));
    assert!(error.to_string().contains("is in use by a call that has not returned"), "{error}");
    let error = trapped(guest.call::<_, i32>("close_new", ()));
    assert!(error.to_string().contains("is borrowed: it cannot be consumed"), "{error}");
}

#[test]
fn what_a_callback_has_given_native_code_is_in_use_until_the_call_ends() {
    let guest = text(
        &[
            ("session_open", "(result i32)"),
            ("session_close", "(param i32)"),
            ("session_id", "(param i32) (result i32)"),
            ("ask_twice", "(param i32) (result i32)"),
            ("session_source", "(param i32 i32)"),
            ("session_fetch", "(param i32 i32) (result i32)"),
        ],
        "$give_then_close $give",
        r#"(global $s (mut i32) (i32.const 0))
           (func $give_then_close (param i32) (result i32)
               (if (local.get 0) (then (call $session_close (global.get $s))))
               (global.get $s))
           (func $give (param i32) (result i32) (global.get $s))
           (func (export "twice") (result i32)
               (global.set $s (call $session_open))
               (call $ask_twice (i32.const 1)))
           (func (export "still") (result i32) (call $session_id (global.get $s)))
           (func (export "after") (param $times i32) (result i32) (local $kept i32) (local $sum i32)
               (local.set $kept (call $session_open))
               (call $session_source (local.get $kept) (i32.const 2))
               (loop $more
                   (global.set $s (call $session_open))
                   (local.set $sum (i32.add (local.get $sum)
                       (i32.eq (call $session_fetch (local.get $kept) (i32.const 0)) (call $session_id (global.get $s)))))
                   (call $session_close (global.get $s))
                   (br_if $more (local.tee $times (i32.sub (local.get $times) (i32.const 1)))))
               (local.get $sum))"#,
    );
    let mut guest = Guest::new(&bridge(), &guest);
    let error = trapped(guest.call::<_, i32>("twice", ()));
    assert!(error.to_string().contains("is in use by a call that has not returned"), "{error}");
    assert!(guest.run::<_, i32>("still", ()) > 0, "it lives, and the call that had it is over");
    // And not longer, also where native code is entered the short way.
    assert_eq!(guest.run::<_, i32>("after", 1000), 1000);
}

#[test]
fn what_a_callback_has_got_lives_until_the_call_ends() {
    let guest = text(
        &[
            ("session_open", "(result i32)"),
            ("session_close", "(param i32)"),
            ("session_watch", "(param i32)"),
            ("with_watched", "(param i32 i32) (result i32)"),
        ],
        "$close $close_then $nothing",
        r#"(global $s (mut i32) (i32.const 0))
           (global $turn (mut i32) (i32.const 0))
           (func $close (param i32) (result i32) (call $session_close (local.get 0)) (i32.const 0))
           (func $close_then (param i32) (result i32)
               (global.set $turn (i32.add (global.get $turn) (i32.const 1)))
               (if (i32.eq (global.get $turn) (i32.const 2)) (then (call $session_close (global.get $s))))
               (i32.const 0))
           (func $nothing (param i32) (result i32) (i32.const 0))
           (func (export "open") (global.set $s (call $session_open)) (call $session_watch (global.get $s)))
           (func (export "go") (param i32 i32) (result i32) (call $with_watched (local.get 0) (local.get 1)))
           (func (export "close") (call $session_close (global.get $s)))"#,
    );
    let mut guest = Guest::new(&bridge(), &guest);
    guest.run::<_, ()>("open", ());
    for (function, times) in [(1, 1), (2, 2)] {
        let error = trapped(guest.call::<_, i32>("go", (function, times)));
        assert!(error.to_string().contains("is in use by a call that has not returned"), "{error}");
    }
    // And not longer; showing it often leaves nothing behind.
    assert!(guest.run::<_, i32>("go", (3, 10_000)) > 0);
    guest.run::<_, ()>("close", ());
}
