//! Callbacks that misbehave: typed errors or clean traps, and nothing is left behind.
use crate::library::{Guest, bridge, refused, text, trapped};
use portcullis::host::LinkError;
use portcullis::plan::{CallbackProblem, Problem};
use wasmtime::Trap;

const APPLY: (&str, &str) = ("apply", "(param i32 i32) (result i32)");
const APPLY_OR: (&str, &str) = ("apply_or", "(param i32 i32) (result i32)");
const GO: &str = r#"(func (export "go") (param i32 i32) (result i32) (call $apply (local.get 0) (local.get 1)))"#;

#[test]
fn what_is_no_function_of_the_type_is_refused() {
    let functions = format!(
        r#"(func $good (param i32) (result i32) (local.get 0))
           (func $bad (param i64) (result i32) (i32.const 0)) {GO}"#
    );
    let mut guest = Guest::new(&bridge(), &text(&[APPLY], "$good $bad", &functions));
    assert_eq!(guest.run::<_, i32>("go", (1, 4)), 9);
    let error = trapped(guest.call::<_, i32>("go", (2, 4)));
    assert_eq!(
        error.to_string(),
        "cb.apply: parameter 1 \"f\" (int (*)(int)): the function at index 2 of the table is \
         (func (param i64) (result i32)), (func (param i32) (result i32)) is needed"
    );
    let error = refused(guest.call::<_, i32>("go", (3, 4)));
    assert_eq!(error, CallbackProblem::NoFunction { index: 3 });
    let error = refused(guest.call::<_, i32>("go", (64, 4)));
    assert_eq!(error, CallbackProblem::OutOfTable { index: 64, size: 64 });
    let error = refused(guest.call::<_, i32>("go", (-1, 4)));
    assert_eq!(error, CallbackProblem::OutOfTable { index: 0xffff_ffff, size: 64 });
    let error = trapped(guest.call::<_, i32>("go", (0, 4)));
    assert_eq!((error.problem, error.called), (Problem::Null, false));
    assert_eq!(guest.run::<_, i32>("go", (1, 4)), 9);
}

#[test]
fn null_is_passed_where_it_may_be() {
    let functions = r#"(func $f (param i32) (result i32) (local.get 0))
        (func (export "go") (param i32) (result i32) (call $apply_or (local.get 0) (i32.const 3)))"#;
    let mut guest = Guest::new(&bridge(), &text(&[APPLY_OR], "$f", functions));
    assert_eq!(guest.run::<_, i32>("go", 0), -1);
    assert_eq!(guest.run::<_, i32>("go", 1), 303);
}

/// The guest's `size_t` has 4 bytes, C's has 8, of which `-1` is all.
#[test]
fn what_c_gets_of_a_trap_is_as_wide_as_its_type() {
    let functions = r#"(func $f (param i32) (result i32) (if (i32.ne (global.get $n) (i32.const 0)) (then unreachable)) (i32.const -2))
        (global $n (export "n") (mut i32) (i32.const 0))
        (func (export "trap") (global.set $n (i32.const 1)))
        (func (export "ask_size") (call $ask_size (i32.const 1)))
        (func (export "ask_long") (call $ask_long (i32.const 1)))
        (func (export "ask_unsigned") (call $ask_unsigned (i32.const 1)))
        (func (export "wide") (result i64) (call $was_wide))"#;
    let imports = [
        ("ask_size", "(param i32)"),
        ("ask_long", "(param i32)"),
        ("ask_unsigned", "(param i32)"),
        ("was_wide", "(result i64)"),
    ];
    let mut guest = Guest::new(&bridge(), &text(&imports, "$f", functions));
    let cases = [
        ("ask_size", 0xffff_fffe, -1),
        ("ask_long", -2, i64::MIN),
        ("ask_unsigned", 0xffff_fffe, 1 << 32),
    ];
    for (name, returned, _) in cases {
        guest.run::<_, ()>(name, ());
        assert_eq!(guest.run::<_, i64>("wide", ()), returned, "{name}");
    }
    guest.run::<_, ()>("trap", ());
    for (name, _, on_trap) in cases {
        let error = guest.call::<_, ()>(name, ()).expect_err("it traps");
        assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::UnreachableCodeReached), "{name}");
        assert_eq!(guest.run::<_, i64>("wide", ()), on_trap, "{name}");
    }
}

#[test]
fn a_trap_is_kept_until_native_code_has_returned() {
    let functions = r#"(global $entered (export "entered") (mut i32) (i32.const 0))
        (func $f (param i32) (result i32)
            (global.set $entered (i32.add (global.get $entered) (i32.const 1)))
            unreachable)
        (func (export "go") (result i32) (call $apply (i32.const 1) (i32.const 3)))
        (func (export "calls") (result i32) (call $count_calls))"#;
    let imports = [APPLY, ("count_calls", "(result i32)")];
    let mut guest = Guest::new(&bridge(), &text(&imports, "$f", functions));
    let error = guest.call::<_, i32>("go", ()).expect_err("it traps");
    assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::UnreachableCodeReached));
    // The library called twice; the second call came back at once.
    let entered = guest.instance.get_global(&mut guest.store, "entered").expect("exported");
    assert_eq!(entered.get(&mut guest.store).unwrap_i32(), 1);
}

/// What the embedder's own function raises in a callback reaches the embedder as it is.
#[test]
fn other_errors_come_through() {
    #[derive(Debug, thiserror::Error)]
    #[error("leaving with {0}")]
    struct Exit(i32);
    let engine = wasmtime::Engine::default();
    let bridge = crate::library::builder(&engine).build().expect("valid");
    let guest = text(
        &[APPLY],
        "$f",
        &format!(r#"(func $f (param i32) (result i32) (call $exit) (i32.const 1)) {GO}"#),
    );
    let guest = guest.replacen("(module", r#"(module (import "env" "exit" (func $exit))"#, 1);
    let module = wasmtime::Module::new(&engine, guest).expect("valid");
    let mut store = wasmtime::Store::new(&engine, crate::library::State::default());
    let mut linker = wasmtime::Linker::new(&engine);
    let exit = || -> wasmtime::Result<()> { Err(wasmtime::Error::new(Exit(7))) };
    linker.func_wrap("env", "exit", exit).expect("defined once");
    let instance = bridge
        .instantiate(&mut store, &linker, &module, |state: &mut crate::library::State| {
            &mut state.natives
        })
        .expect("it links");
    let go = instance.get_typed_func::<(i32, i32), i32>(&mut store, "go").expect("exported");
    let error = go.call(&mut store, (1, 1)).expect_err("it leaves");
    assert_eq!(error.downcast_ref::<Exit>().map(|exit| exit.0), Some(7));
}

#[test]
fn endless_recursion_ends_in_a_clean_trap() {
    let functions = format!(
        r#"(func $f (param i32) (result i32) (call $apply (i32.const 1) (local.get 0))) {GO}"#
    );
    let mut guest = Guest::new(&bridge(), &text(&[APPLY], "$f", &functions));
    for _ in 0..3 {
        let error = guest.call::<_, i32>("go", (1, 1)).expect_err("it is endless");
        let said = format!("{error:#}");
        let deep = ["the limit `depth`", "nested too deeply", "call stack exhausted"];
        assert!(deep.iter().any(|what| said.contains(what)), "{said}");
    }
}

#[test]
fn memory_may_grow_and_arguments_be_overwritten() {
    let functions = r#"
        (func $compare (param $a i32) (param $b i32) (result i32)
            (drop (memory.grow (i32.const 1)))
            (i32.store (local.get $a) (i32.const 7))
            (i32.store (i32.mul (i32.sub (memory.size) (i32.const 1)) (i32.const 65536)) (i32.const 1))
            (i32.const -1))
        (func (export "go") (call $qsort (i32.const 1024) (i32.const 4) (i32.const 4) (i32.const 1)))
        (func (export "high") (result i32)
            (call $qsort (i32.mul (i32.sub (memory.size) (i32.const 1)) (i32.const 65536))
                (i32.const 4) (i32.const 4) (i32.const 1))
            (i32.load (i32.mul (i32.sub (memory.size) (i32.const 1)) (i32.const 65536))))"#;
    let imports = [("qsort", "(param i32 i32 i32 i32)")];
    let mut guest = Guest::new(&bridge(), &text(&imports, "$compare", functions));
    guest.run::<_, ()>("go", ());
    assert_eq!(guest.read(1024, 4), [7, 0, 0, 0]);
    assert_eq!(guest.run::<_, i32>("high", ()), 1);
}

/// A pointer that is neither the guest's nor of known extent does not get to it.
#[test]
fn pointers_to_elsewhere_are_refused() {
    let functions = r#"
        (func $compare (param i32 i32) (result i32) (i32.const 0))
        (func (export "go") (result i32)
            (call $bsearch (i32.const 8) (i32.const 1024) (i32.const 4) (i32.const 4) (i32.const 1)))"#;
    let imports = [("bsearch", "(param i32 i32 i32 i32 i32) (result i32)")];
    let mut guest = Guest::new(&bridge(), &text(&imports, "$compare", functions));
    assert_eq!(guest.run::<_, i32>("go", ()), 1032);
}

#[test]
fn without_a_table_nothing_is_linked() {
    let functions = format!("(func $f (param i32) (result i32) (local.get 0)) {GO}");
    let guest = text(&[APPLY], "$f", &functions).replace(
        r#"(table (export "__indirect_function_table") 64 funcref)"#,
        "(table 64 funcref)",
    );
    let error = Guest::try_new(&bridge(), &guest).expect_err("there is no table");
    let error = error.downcast::<LinkError>().expect("a link error");
    assert!(error.to_string().contains("export it as `__indirect_function_table`"), "{error}");
}

#[test]
fn an_allocator_that_fails_in_a_callback_is_told() {
    let functions = r#"(func $f (param i32) (result i32) (i32.const 0))
        (func (export "go") (result i32) (call $with_text (i32.const 1) (i32.const 0)))"#;
    let imports = [("with_text", "(param i32 i32) (result i32)")];
    let guest = text(&imports, "$f", functions).replace("(i32.const 65536)", "(i32.const -32)");
    let mut guest = Guest::new(&bridge(), &guest);
    let error = trapped(guest.call::<_, i32>("go", ()));
    assert!(error.to_string().contains("the guest's allocator was asked for 6 bytes"), "{error}");
    let trap = text(&imports, "$f", functions).replacen("(global.get $next)", "unreachable", 1);
    let mut guest = Guest::new(&bridge(), &trap);
    let error = guest.call::<_, i32>("go", ()).expect_err("it traps");
    assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::UnreachableCodeReached));
}
