//! Results that are copied into the guest's memory.
use crate::mock;
use crate::support::*;
use portcullis::host::LinkProblem;
use portcullis::plan::{Limits, Problem};
use wasmtime::{
    Caller, Engine, Func, Global, GlobalType, Linker, Module, Mutability, Store, Val, ValType,
};

/// A bump allocator that counts what it frees.
const ALLOCATOR: &str = r#"
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 1024))
    (global $freed (mut i32) (i32.const 0))
    (func (export "malloc") (param i32) (result i32)
        (local $at i32)
        (local.set $at (global.get $next))
        (global.set $next (i32.add (global.get $next) (i32.and
            (i32.add (local.get 0) (i32.const 15)) (i32.const -16))))
        (local.get $at))
    (func (export "free") (param i32)
        (global.set $freed (i32.add (global.get $freed) (i32.const 1))))
    (func (export "freed") (result i32) (global.get $freed))
    (func (export "at") (param i32) (result i32) (i32.load8_u (local.get 0)))"#;

fn guest(imports: &str, functions: &str) -> String {
    format!("(module {imports} {ALLOCATOR} {functions})")
}

/// The NUL-terminated text at that address.
fn text(guest: &mut Guest, address: i32) -> String {
    let bytes = (address..).map(|at| guest.call::<i32, i32>("at", at).unwrap());
    bytes.take_while(|byte| *byte != 0).map(|byte| char::from(byte as u8)).collect()
}

#[test]
fn a_returned_constant_is_copied_once() {
    let text_of = guest(
        r#"(import "mock" "greeting" (func $greeting (result i32)))"#,
        r#"(func (export "run") (result i32) (call $greeting))"#,
    );
    let mut guest = Guest::new(&mock(), &text_of).unwrap();
    let first = guest.call::<(), i32>("run", ()).unwrap();
    assert_eq!(text(&mut guest, first), "hello from outside");
    assert_eq!(guest.call::<(), i32>("run", ()).unwrap(), first);
    // Another instance of the same store has a copy of its own.
    let bridge = mock();
    let mut guest = Guest::new(&bridge, &text_of).unwrap();
    let second = guest.add(&bridge, &text_of).unwrap();
    guest.call::<(), i32>("run", ()).unwrap();
    let at = guest.call_in::<(), i32>(&second, "run", ()).unwrap();
    assert_eq!(guest.call_in::<i32, i32>(&second, "at", at).unwrap(), i32::from(b'h'));
}

#[test]
fn without_an_allocator_the_guest_is_not_linked() {
    let import = r#"(import "mock" "greeting" (func (result i32)))"#;
    let error = refused(&mock(), &format!(r#"(module {import} (memory (export "memory") 1))"#));
    assert!(matches!(error.problem, LinkProblem::Allocator { .. }), "{error}");
    assert!(error.to_string().contains("`malloc` (func (param i32) (result i32))"), "{error}");
    let import = r#"(import "mock" "text_free" (func (param i32)))"#;
    let error = refused(&mock(), &format!(r#"(module {import} (memory (export "memory") 1))"#));
    assert!(matches!(error.problem, LinkProblem::Allocator { .. }), "{error}");
    let wrong = guest(r#"(import "mock" "text_free" (func (param i64)))"#, "");
    let error = refused(&mock(), &wrong);
    assert!(matches!(error.problem, LinkProblem::WasmType { .. }), "{error}");
}

#[test]
fn a_function_that_frees_is_the_guests_own_free() {
    let text_of = guest(
        r#"(import "mock" "text_new" (func $new (param i32) (result i32)))
           (import "mock" "void text_free(void *text)" (func $free (param i32)))"#,
        r#"(func (export "run") (param i32) (result i32) (call $new (local.get 0)))
           (func (export "drop") (param i32) (call $free (local.get 0)))"#,
    );
    let mut guest = Guest::new(&mock(), &text_of).unwrap();
    let before = mock::freed();
    let at = guest.call::<i32, i32>("run", 12).unwrap();
    assert_eq!(text(&mut guest, at), "text 12");
    assert_eq!(mock::freed(), before + 1, "the native text was freed when it was copied");
    guest.call::<i32, ()>("drop", at).unwrap();
    assert_eq!(guest.call::<(), i32>("freed", ()).unwrap(), 1);
    guest.call::<i32, ()>("drop", 0).unwrap();
    assert_eq!(guest.call::<(), i32>("freed", ()).unwrap(), 1, "NULL is nothing to free");
    assert_eq!(mock::freed(), before + 1);
}

#[test]
fn loans_end_with_their_handle_even_from_another_instance() {
    let bridge = mock();
    let lender = guest(
        r#"(import "mock" "thing_open" (func $open (param i32) (result i32)))
           (import "mock" "thing_name" (func $name (param i32) (result i32)))"#,
        r#"(func (export "open") (param i32) (result i32) (call $open (local.get 0)))
           (func (export "name") (param i32) (result i32) (call $name (local.get 0)))"#,
    );
    let closer = r#"(module
        (import "mock" "thing_close" (func $close (param i32)))
        (func (export "close") (param i32) (call $close (local.get 0))))"#;
    let mut guest = Guest::new(&bridge, &lender).unwrap();
    let closer = guest.add(&bridge, closer).unwrap();
    let thing = guest.call::<i32, i32>("open", 3).unwrap();
    let name = guest.call::<i32, i32>("name", thing).unwrap();
    assert_eq!(text(&mut guest, name), "thing 3");
    guest.call_in::<i32, ()>(&closer, "close", thing).unwrap();
    assert_eq!(guest.call::<(), i32>("freed", ()).unwrap(), 1);
    let error = trapped(guest.call::<i32, i32>("name", thing));
    assert!(matches!(error.problem, Problem::Handle { .. }), "{error}");
}

/// A guest that opens things, names and turns them, and lets its memory grow.
fn namer() -> String {
    guest(
        r#"(import "mock" "thing_open" (func $open (param i32) (result i32)))
           (import "mock" "thing_name" (func $name (param i32) (result i32)))
           (import "mock" "thing_turn" (func $turn (param i32 i32)))
           (import "mock" "thing_close" (func $close (param i32)))"#,
        r#"(func (export "open") (param i32) (result i32) (call $open (local.get 0)))
           (func (export "name") (param i32) (result i32) (call $name (local.get 0)))
           (func (export "turn") (param i32 i32) (call $turn (local.get 0) (local.get 1)))
           (func (export "close") (param i32) (call $close (local.get 0)))
           (func (export "used") (result i32) (global.get $next))
           (func (export "grow")
               (global.set $next (i32.shl (memory.grow (i32.const 1)) (i32.const 16))))
           (func (export "poke") (param i32) (i32.store8 (local.get 0) (i32.const 120)))"#,
    )
}

#[test]
fn copies_that_end_leave_their_memory_to_the_next() {
    let mut guest = Guest::new(&mock(), &namer()).unwrap();
    let thing = guest.call::<i32, i32>("open", 3).unwrap();
    let turned = |guest: &mut Guest, id: i32| {
        guest.call::<(i32, i32), ()>("turn", (thing, id)).unwrap();
        let at = guest.call::<i32, i32>("name", thing).unwrap();
        assert_eq!(text(guest, at), format!("thing {id}"));
        at
    };
    let short = turned(&mut guest, 4);
    let long = turned(&mut guest, 123_456_789);
    assert_ne!(short, long, "it does not fit there");
    let used = guest.call::<(), i32>("used", ()).unwrap();
    for id in 0..50 {
        // What the guest writes there meanwhile is gone with the copy.
        guest.call::<i32, ()>("poke", if id % 2 == 0 { short } else { long }).unwrap();
        let at = turned(&mut guest, if id % 3 == 0 { 987_654_321 } else { id });
        assert!(at == short || at == long, "{at}");
    }
    // Memory that the guest has taken back is its own affair: the next copy goes there.
    guest.call::<i32, ()>("free", short).unwrap();
    guest.call::<i32, ()>("free", long).unwrap();
    let at = turned(&mut guest, 5);
    assert!(at == short || at == long, "{at}");
    assert_eq!(guest.call::<(), i32>("used", ()).unwrap(), used, "nothing was allocated");
    assert_eq!(guest.call::<(), i32>("freed", ()).unwrap(), 2, "nothing but that");
    // A copy beyond what the memory was when these calls were first made.
    guest.call::<(), ()>("grow", ()).unwrap();
    let high = turned(&mut guest, i32::MAX);
    assert!(high >= 1 << 16, "{high}");
    let used = guest.call::<(), i32>("used", ()).unwrap();
    for _ in 0..3 {
        assert_eq!(turned(&mut guest, i32::MAX), high);
    }
    assert_eq!(guest.call::<(), i32>("used", ()).unwrap(), used, "nothing was allocated");
    guest.call::<i32, ()>("close", thing).unwrap();
    assert_eq!(guest.call::<(), i32>("freed", ()).unwrap(), 5, "each goes back once");
    let error = trapped(guest.call::<i32, i32>("name", thing));
    assert!(matches!(error.problem, Problem::Handle { .. }), "{error}");
}

#[test]
fn each_instance_gets_copies_in_its_own_memory() {
    let bridge = mock();
    let mut guest = Guest::new(&bridge, &namer()).unwrap();
    let other = guest.add(&bridge, &namer()).unwrap();
    let instances = [guest.instance, other];
    let thing = guest.call::<i32, i32>("open", 1).unwrap();
    // The one's copies lie where the other has no memory.
    guest.call::<(), ()>("grow", ()).unwrap();
    let mut seen = Vec::new();
    for turn in 0..12 {
        let instance = instances[turn % 3 % 2];
        let name = guest.call_in::<i32, i32>(&instance, "name", thing).unwrap();
        let first = guest.call_in::<i32, i32>(&instance, "at", name).unwrap();
        assert_eq!(first, i32::from(b't'), "{turn}");
        seen.push((turn % 3 % 2, name));
        if turn % 2 == 1 {
            guest.call_in::<(i32, i32), ()>(&other, "turn", (thing, 7)).unwrap();
        }
    }
    let [mine, others] = [0, 1].map(|one| {
        let mut all: Vec<i32> = seen.iter().filter(|s| s.0 == one).map(|s| s.1).collect();
        all.sort_unstable();
        all.dedup();
        all
    });
    assert!(mine.len() <= 2 && mine.iter().all(|at| *at >= 1 << 16), "{mine:?}");
    assert!(others.len() <= 2 && others.iter().all(|at| *at < 1 << 16), "{others:?}");
    guest.call::<i32, ()>("close", thing).unwrap();
    for (instance, copies) in [(guest.instance, mine.len()), (other, others.len())] {
        let freed = guest.call_in::<(), i32>(&instance, "freed", ()).unwrap();
        assert_eq!(freed, i32::try_from(copies).unwrap());
    }
}

#[test]
fn cabi_realloc_will_do() {
    let text_of = r#"(module
        (import "mock" "greeting" (func $greeting (result i32)))
        (memory (export "memory") 1)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
        (func (export "at") (param i32) (result i32) (i32.load8_u (local.get 0)))
        (func (export "run") (result i32) (call $greeting)))"#;
    let mut guest = Guest::new(&mock(), text_of).unwrap();
    assert_eq!(guest.call::<(), i32>("run", ()).unwrap(), 4096);
    assert_eq!(text(&mut guest, 4096), "hello from outside");
}

#[test]
fn hostile_allocators_harm_nobody() {
    let with = |malloc: &str| {
        format!(
            r#"(module
            (import "mock" "greeting" (func $greeting (result i32)))
            (memory (export "memory") 1)
            (func (export "malloc") (param i32) (result i32) {malloc})
            (func (export "free") (param i32))
            (func $run (export "run") (result i32) (call $greeting)))"#
        )
    };
    for address in ["(i32.const 0)", "(i32.const -4)", "(i32.const 65530)"] {
        let mut guest = Guest::new(&mock(), &with(address)).unwrap();
        let error = trapped(guest.call::<(), i32>("run", ()));
        assert!(error.called && matches!(error.problem, Problem::Allocation { .. }), "{error}");
    }
    // A trap in the allocator is the guest's own trap.
    let mut guest = Guest::new(&mock(), &with("unreachable")).unwrap();
    let error = guest.call::<(), i32>("run", ()).unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&wasmtime::Trap::UnreachableCodeReached));
    assert!(format!("{error:?}").contains("mock.greeting"), "{error:?}");
    // An allocator that allocates through the same import never ends by itself.
    let recursive = with("(call $run)");
    let run = move || {
        let mut guest = Guest::new(&mock(), &recursive).unwrap();
        guest.call::<(), i32>("run", ()).unwrap_err();
    };
    std::thread::Builder::new().stack_size(4 << 20).spawn(run).unwrap().join().unwrap();
    // One that grows the memory is fine.
    let growing = "(drop (memory.grow (i32.const 1))) (i32.const 65536)";
    let mut guest = Guest::new(&mock(), &with(growing)).unwrap();
    assert_eq!(guest.call::<(), i32>("run", ()).unwrap(), 65536);
}

#[test]
fn a_starting_instance_allocates() {
    let text_of = guest(
        r#"(import "mock" "greeting" (func $greeting (result i32)))"#,
        r#"(global $kept (mut i32) (i32.const 0))
           (func $start (global.set $kept (call $greeting)))
           (start $start)
           (func (export "run") (result i32) (call $greeting))
           (func (export "kept") (result i32) (global.get $kept))"#,
    );
    let mut guest = Guest::new(&mock(), &text_of).unwrap();
    let kept = guest.call::<(), i32>("kept", ()).unwrap();
    assert_eq!(text(&mut guest, kept), "hello from outside");
    // Only what is copied from now on is surely this instance's.
    let copied = guest.call::<(), i32>("run", ()).unwrap();
    assert_ne!(copied, kept);
    assert_eq!(guest.call::<(), i32>("run", ()).unwrap(), copied);
}

#[test]
fn a_starting_instance_lends_no_copy_of_its_own() {
    // The first instance lends its import while it starts to another of the same module.
    let text_of = guest(
        r#"(import "mock" "greeting" (func $greeting (result i32)))
           (import "host" "lend" (func $lend (param funcref)))
           (import "host" "first" (global $first i32))"#,
        r#"(elem declare func $greeting)
           (func $start (if (global.get $first) (then (call $lend (ref.func $greeting)))))
           (start $start)
           (type $text (func (result i32)))
           (table $lent 1 funcref)
           (func (export "run_lent") (param funcref) (result i32)
               (table.set $lent (i32.const 0) (local.get 0))
               (drop (call_indirect $lent (type $text) (i32.const 0)))
               (call_indirect $lent (type $text) (i32.const 0)))
           (func (export "run") (result i32) (call $greeting))"#,
    );
    let bridge = mock();
    let module = Module::new(bridge.engine(), text_of).unwrap();
    let mut store = Store::new(bridge.engine(), State::default());
    let mut linker = Linker::new(bridge.engine());
    let first = |store: &mut Store<State>, is: i32| {
        let ty = GlobalType::new(ValType::I32, Mutability::Const);
        Global::new(store, ty, Val::I32(is)).unwrap()
    };
    let second = first(&mut store, 0);
    linker.func_wrap("host", "lend", |_: Option<Func>| {}).unwrap();
    linker.define(&store, "host", "first", second).unwrap();
    let second = bridge.instantiate(&mut store, &linker, &module, natives).unwrap();
    let lend = move |mut caller: Caller<'_, State>, lent: Option<Func>| -> wasmtime::Result<()> {
        // Its allocator has given memory before: its addresses are not the first one's.
        second.get_typed_func::<(), i32>(&mut caller, "run")?.call(&mut caller, ())?;
        let run = second.get_typed_func::<Option<Func>, i32>(&mut caller, "run_lent")?;
        run.call(&mut caller, lent)?;
        Ok(())
    };
    linker.allow_shadowing(true);
    linker.func_wrap("host", "lend", lend).unwrap();
    let is_first = first(&mut store, 1);
    linker.define(&store, "host", "first", is_first).unwrap();
    let instance = bridge.instantiate(&mut store, &linker, &module, natives).unwrap();
    let mut guest = Guest { store, instance };
    let copied = guest.call::<(), i32>("run", ()).unwrap();
    assert_eq!(copied, 1024, "the first that its own allocator gives");
    assert_eq!(text(&mut guest, copied), "hello from outside");
}

#[test]
fn the_copies_of_constants_are_limited() {
    let text_of = guest(
        r#"(import "mock" "letter" (func $letter (param i32) (result i32)))"#,
        r#"(func (export "run") (param i32) (result i32) (call $letter (local.get 0)))"#,
    );
    let engine = Engine::default();
    let limits = Limits { static_copies: 2, ..Limits::default() };
    let bridge = mock::granted(&engine, mock::INTERFACE).limits(limits).build().unwrap();
    let mut guest = Guest::new(&bridge, &text_of).unwrap();
    let first = guest.call::<i32, i32>("run", 24).unwrap();
    guest.call::<i32, i32>("run", 25).unwrap();
    let error = trapped(guest.call::<i32, i32>("run", 23));
    assert_eq!(error.problem, Problem::Limit { limit: "static_copies", value: 2 });
    // Those that are there stay.
    assert_eq!(guest.call::<i32, i32>("run", 24).unwrap(), first);
    assert_eq!(text(&mut guest, first), "yz");
}
