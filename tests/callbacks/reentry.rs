//! Guest functions that call native code again, and what happens around them meanwhile.
use crate::library::{Guest, State, bridge, builder, refused, text, trapped};
use portcullis::plan::{CallbackProblem, Limits, Problem};
use std::collections::HashSet;
use wasmtime::{Config, Engine, Linker, Module, Store};

const APPLY_OR: (&str, &str) = ("apply_or", "(param i32 i32) (result i32)");
const APPLY_LONG: (&str, &str) = ("apply_long", "(param i32 i64) (result i32)");

/// The same guest function under the same native function, three deep and more; each level has its own
/// arguments.
#[test]
fn a_callback_calls_the_same_function_again() {
    let functions = r#"
        (global $deep (mut i32) (i32.const 0)) (global $most (export "most") (mut i32) (i32.const 0))
        (func $f (param $n i32) (result i32) (local $r i32)
            (global.set $deep (i32.add (global.get $deep) (i32.const 1)))
            (if (i32.gt_s (global.get $deep) (global.get $most))
                (then (global.set $most (global.get $deep))))
            (if (local.get $n) (then
                (local.set $r (call $apply_long (i32.const 1)
                    (i64.extend_i32_s (i32.sub (local.get $n) (i32.const 1)))))))
            (global.set $deep (i32.sub (global.get $deep) (i32.const 1)))
            (i32.add (i32.mul (local.get $r) (i32.const 10)) (local.get $n)))
        (func (export "go") (param i32) (result i32)
            (call $apply_long (i32.const 1) (i64.extend_i32_s (local.get 0))))"#;
    let mut guest = Guest::new(&bridge(), &text(&[APPLY_LONG], "$f", functions));
    for (deep, expected) in [(0, 0), (3, 123), (7, 1_234_567)] {
        assert_eq!(guest.run::<_, i32>("go", deep), expected);
        let most = guest.instance.get_global(&mut guest.store, "most").expect("exported");
        assert_eq!(most.get(&mut guest.store).unwrap_i32(), deep + 1);
    }
}

/// Native code has the string and the struct as they were checked, whatever the guest makes of them meanwhile.
#[test]
fn arguments_of_the_running_call_do_not_change() {
    let functions = r#"
        (data (i32.const 512) "hello\00")
        (func $f (param i32) (result i32)
            ;; No NUL any more, and no number that was checked.
            (memory.fill (i32.const 512) (i32.const 0x55) (i32.const 4096))
            (drop (memory.grow (i32.const 3)))
            (i32.const 0))
        (func (export "go") (result i32)
            (i32.store (i32.const 768) (i32.const 41))
            (f64.store (i32.const 776) (f64.const 2.5))
            (call $steady (i32.const 512) (i32.const 768) (i32.const 1)))"#;
    let steady = ("steady", "(param i32 i32 i32) (result i32)");
    let mut guest = Guest::new(&bridge(), &text(&[steady], "$f", functions));
    assert_eq!(guest.run::<_, i32>("go", ()), 5_412);
    assert_eq!(guest.read(512, 6), [0x55; 6]);
}

#[test]
fn null_needs_no_table() {
    let functions = r#"(func $f (param i32) (result i32) (local.get 0))
        (func (export "go") (param i32) (result i32) (call $apply_or (local.get 0) (i32.const 3)))"#;
    let guest = text(&[APPLY_OR], "$f", functions).replace(
        r#"(table (export "__indirect_function_table") 64 funcref)"#,
        "(table 64 funcref)",
    );
    let bridge = bridge();
    let mut guest = Guest::new(&bridge, &guest);
    assert_eq!(guest.run::<_, i32>("go", 0), -1);
    let error = trapped(guest.call::<_, i32>("go", 1));
    assert!(!error.called);
    assert_eq!(
        error.to_string(),
        "cb.apply_or: parameter 1 \"f\" (int (*_Nullable __on_trap(-7))(int)): no function table: the module exports \
         no function table: export it as `__indirect_function_table` (wasm-ld: `--export-table`)"
    );
    assert_eq!(guest.run::<_, i32>("go", 0), -1);
}

#[test]
fn null_needs_no_allocator() {
    let functions = r#"(func $f (param i32) (result i32) (i32.load8_u (local.get 0)))
        (func (export "go") (param i32) (result i32) (call $maybe_text (local.get 0)))"#;
    let whole = text(&[("maybe_text", "(param i32) (result i32)")], "$f", functions);
    let mut guest = Guest::new(&bridge(), &whole);
    assert_eq!((guest.run::<_, i32>("go", 0), guest.run::<_, i32>("go", 1)), (-1, 116));
    let without = whole.replace(r#"(func (export "malloc")"#, "(func");
    let mut guest = Guest::new(&bridge(), &without);
    assert_eq!(guest.run::<_, i32>("go", 0), -1);
    let error = trapped(guest.call::<_, i32>("go", 1));
    assert!(matches!(error.problem, Problem::Allocator { .. }) && !error.called, "{error}");
    let said = error.to_string();
    assert!(said.contains("parameter 1 \"f\"") && said.contains("but no `malloc`"), "{said}");
}

/// A guest that sets the same functions again and again has as many closures as there are functions.
#[test]
fn setting_the_same_function_a_million_times_costs_one() {
    let engine = Engine::default();
    let limits = Limits { callbacks: 2, ..Limits::default() };
    let bridge = builder(&engine).limits(limits).build().expect("valid");
    let functions = r#"
        (func $inc (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
        (func $dec (param i32) (result i32) (i32.sub (local.get 0) (i32.const 1)))
        (func $more (param i32) (result i32) (local.get 0))
        (func (export "open") (result i32) (call $session_open))
        (func (export "set") (param i32 i32) (call $session_hook (local.get 0) (local.get 1)))
        (func (export "fire") (param i32 i32) (result i32) (call $session_fire (local.get 0) (local.get 1)))
        (func (export "many") (param $s i32) (local $n i32)
            (loop $again
                (call $session_hook (local.get $s) (i32.add (i32.and (local.get $n) (i32.const 1)) (i32.const 1)))
                (br_if $again (i32.lt_u
                    (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 1000000)))))"#;
    let imports = [
        ("session_open", "(result i32)"),
        ("session_hook", "(param i32 i32)"),
        ("session_fire", "(param i32 i32) (result i32)"),
    ];
    let mut guest = Guest::new(&bridge, &text(&imports, "$inc $dec $more", functions));
    let session: i32 = guest.run("open", ());
    guest.run::<_, ()>("many", session);
    assert_eq!(guest.run::<_, i32>("fire", (session, 5)), 4, "the last one is in force");
    guest.run::<_, ()>("set", (session, 1));
    assert_eq!(guest.run::<_, i32>("fire", (session, 5)), 6);
    let error = trapped(guest.call::<_, ()>("set", (session, 3)));
    assert_eq!(error.problem, Problem::Limit { limit: "callbacks", value: 2 });
}

/// A hundred thousand stores, each of which passes a function: their closures are used again. In a process of its
/// own, because stubs are the process's.
#[test]
fn stores_leave_no_closures() {
    const ALONE: &str = "PORTCULLIS_TEST_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let program = std::env::current_exe().expect("this program");
        let mut again = std::process::Command::new(program);
        again.args(["--exact", "reentry::stores_leave_no_closures"]).env(ALONE, "1");
        let output = again.output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let bridge = bridge();
    let functions = r#"(func $f (param i32) (result i32) (local.get 0))
        (func (export "go") (result i64) (call $code_of (i32.const 1)))"#;
    let code_of = ("code_of", "(param i32) (result i64)");
    let guest = text(&[code_of], "$f", functions).replace("\"memory\") 2)", "\"memory\") 0)");
    let module = Module::new(bridge.engine(), guest).expect("valid");
    let linker = Linker::new(bridge.engine());
    let mut codes = HashSet::new();
    for _ in 0..100_000 {
        let mut store = Store::new(bridge.engine(), State::default());
        let made = bridge.instantiate(&mut store, &linker, &module, |state| &mut state.natives);
        let go = made.expect("it links").get_typed_func::<(), i64>(&mut store, "go");
        codes.insert(go.expect("exported").call(&mut store, ()).expect("it works"));
    }
    // Those in the program's text come first; then those that waited, whose closures are freed.
    assert!(codes.len() < 2_000, "{} closures for 100,000 stores", codes.len());
}

/// A guest whose memory and table are 64-bit.
#[test]
fn guests_of_64_bits_take_callbacks() {
    let mut config = Config::new();
    config.wasm_memory64(true);
    let engine = Engine::new(&config).expect("valid");
    let bridge = builder(&engine).build().expect("valid");
    let guest = r#"(module
        (import "cb" "qsort" (func $qsort (param i64 i64 i64 i64)))
        (import "cb" "with_text" (func $with_text (param i64 i32) (result i32)))
        (import "cb" "text_from" (func $text_from (param i64 i32) (result i32)))
        (import "cb" "apply_long" (func $apply_long (param i64 i64) (result i64)))
        (memory (export "memory") i64 2 16)
        (table (export "__indirect_function_table") i64 8 funcref)
        (elem (table 0) (i64.const 1) func $compare $text $give $twice)
        (global $live (export "live") (mut i32) (i32.const 0))
        (func (export "malloc") (param i64) (result i64)
            (global.set $live (i32.add (global.get $live) (i32.const 1))) (i64.const 65536))
        (func (export "free") (param i64) (global.set $live (i32.sub (global.get $live) (i32.const 1))))
        (data (i64.const 1024) "\05\00\00\00\ff\ff\ff\ff\03\00\00\00\00\00\00\80")
        (data (i64.const 512) "four\00")
        (func $compare (param i64 i64) (result i32)
            (i32.sub (i32.gt_s (i32.load (local.get 0)) (i32.load (local.get 1)))
                (i32.lt_s (i32.load (local.get 0)) (i32.load (local.get 1)))))
        (func $text (param i64) (result i32) (i32.load8_u (local.get 0)))
        (func $give (param i32) (result i64) (i64.const 512))
        (func $twice (param i64) (result i64) (i64.mul (local.get 0) (i64.const 2)))
        (func (export "sort") (call $qsort (i64.const 1024) (i64.const 4) (i64.const 4) (i64.const 1)))
        (func (export "text") (result i32) (call $with_text (i64.const 2) (i32.const 0)))
        (func (export "give") (result i32) (call $text_from (i64.const 3) (i32.const 0)))
        (func (export "twice") (param i64) (result i64) (call $apply_long (i64.const 4) (local.get 0)))
        (func (export "far") (result i32) (call $with_text (i64.const 0x100000002) (i32.const 0))))"#;
    let mut guest = Guest::new(&bridge, guest);
    guest.run::<_, ()>("sort", ());
    let sorted: Vec<i32> = guest
        .read(1024, 16)
        .chunks(4)
        .map(|word| i32::from_le_bytes(word.try_into().expect("four bytes")))
        .collect();
    assert_eq!(sorted, [i32::MIN, -1, 3, 5]);
    assert_eq!((guest.run::<_, i32>("text", ()), guest.live()), (i32::from(b'h'), 0));
    assert_eq!(guest.run::<_, i32>("give", ()), 404);
    // No bits are lost on either way.
    assert_eq!(guest.run::<_, i64>("twice", 1_i64 << 40), 1 << 41);
    let problem = refused(guest.call::<_, i32>("far", ()));
    assert_eq!(problem, CallbackProblem::OutOfTable { index: 0x1_0000_0002, size: 8 });
}
