//! Which memory pointers point into, and when it is known.
use crate::mock;
use crate::support::*;
use portcullis::host::{ImportStatus, LinkProblem, Tier};
use portcullis::plan::Problem;
use wasmtime::{Config, Engine, Linker, Memory, MemoryType, Module, Ref, Store, Val};

/// Fills `n` bytes at `p` of its own memory, and reads one.
const FILLER: &str = r#"(module
    (import "mock" "fill" (func $fill (param i32 i32 i32)))
    (memory (export "memory") 1)
    (func (export "fill") (param i32 i32 i32)
        (call $fill (local.get 0) (local.get 1) (local.get 2)))
    (func (export "grow") (result i32) (memory.grow (i32.const 1)))
    (func (export "at") (param i32) (result i32) (i32.load8_u (local.get 0))))"#;

#[test]
fn each_instance_has_its_own_memory() {
    let bridge = mock();
    let mut guest = Guest::new(&bridge, FILLER).unwrap();
    let first = guest.instance;
    let second = guest.add(&bridge, FILLER).unwrap();
    guest.call_in::<_, ()>(&first, "fill", (8, 4, 0x11)).unwrap();
    guest.call_in::<_, ()>(&second, "fill", (10, 4, 0x22)).unwrap();
    let mut row = |instance| {
        (8..14).map(|at| guest.call_in::<i32, i32>(instance, "at", at).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(row(&first), [0x11, 0x11, 0x11, 0x11, 0, 0]);
    assert_eq!(row(&second), [0, 0, 0x22, 0x22, 0x22, 0x22]);
}

#[test]
fn the_length_is_that_of_now() {
    let mut guest = Guest::new(&mock(), FILLER).unwrap();
    let page = 65536;
    guest.call::<_, ()>("fill", (page - 1, 1, 5)).unwrap();
    let before = mock::calls();
    let error = trapped(guest.call::<_, ()>("fill", (page - 1, 2, 5)));
    assert_eq!(mock::calls(), before);
    assert_eq!(
        error.to_string(),
        "mock.fill: parameter 1 \"buf\" (uint8_t *_Out_ __counted_by(n)): 2 bytes at 0xffff reach past the memory of 65536 bytes"
    );
    assert_eq!(guest.call::<(), i32>("grow", ()).unwrap(), 1);
    guest.call::<_, ()>("fill", (page - 1, 2, 5)).unwrap();
    assert_eq!(guest.call::<i32, i32>("at", page).unwrap(), 5);
}

/// A memory that cannot move is only looked at again when a check fails, by every tier.
#[test]
fn what_has_grown_since_the_last_call_is_seen_by_every_tier() {
    const PAGE: i32 = 65536;
    let tiers = [Tier::Template, Tier::Interpreter];
    let compiled = cfg!(feature = "cranelift").then_some(Tier::Cranelift);
    for tier in tiers.into_iter().chain(compiled) {
        let engine = Engine::default();
        let bridge = mock::granted(&engine, mock::INTERFACE).max_tier(tier).build().unwrap();
        let module = Module::new(&engine, FILLER).unwrap();
        let ImportStatus::Native(functions) = &bridge.describe(&module)[0].status else { panic!() };
        assert_eq!(functions[0].tier, tier);
        let mut guest = Guest::new(&bridge, FILLER).unwrap();
        let memory = guest.instance.get_memory(&mut guest.store, "memory").unwrap();
        // The call is made, once, and what it wrote is there.
        let works = |guest: &mut Guest, at: i32, n: i32, value: i32| {
            let before = mock::calls();
            guest.call::<_, ()>("fill", (at, n, value)).unwrap();
            assert_eq!(mock::calls(), before + 1, "{tier}: {n} bytes at {at}");
            for at in [at, at + n - 1] {
                assert_eq!(guest.call::<i32, i32>("at", at).unwrap(), value, "{tier}");
            }
        };
        // The call is not made, and the trap knows the memory of now.
        let traps = |guest: &mut Guest, at: i32, n: i32, pages: i32| {
            let before = mock::calls();
            let error = trapped(guest.call::<_, ()>("fill", (at, n, 0)));
            assert_eq!(mock::calls(), before, "{tier}: {n} bytes at {at}");
            let length = pages * PAGE;
            let (noun, verb) = if n == 1 { ("byte", "reaches") } else { ("bytes", "reach") };
            let text = format!("{n} {noun} at {at:#x} {verb} past the memory of {length} bytes");
            assert!(error.to_string().ends_with(&text), "{tier}: {error}, not {text}");
        };
        // Twice, so that the second one does not look where the memory is.
        works(&mut guest, 8, 4, 1);
        works(&mut guest, PAGE - 4, 4, 2);
        traps(&mut guest, PAGE - 4, 5, 1);
        works(&mut guest, 8, 4, 3);
        // Grown by the guest: over the old end, behind it, up to the new one.
        assert_eq!(guest.call::<(), i32>("grow", ()).unwrap(), 1);
        works(&mut guest, PAGE - 1, 2, 4);
        works(&mut guest, PAGE, 1, 5);
        works(&mut guest, 2 * PAGE - 8, 8, 6);
        traps(&mut guest, 2 * PAGE - 8, 9, 2);
        traps(&mut guest, 2 * PAGE, 1, 2);
        // Grown by the host, and the first thing after it is a trap.
        assert_eq!(memory.grow(&mut guest.store, 2).unwrap(), 2);
        traps(&mut guest, 4 * PAGE - 1, 2, 4);
        works(&mut guest, 4 * PAGE - 1, 1, 7);
        works(&mut guest, 2 * PAGE - 1, 2, 8);
        // By both before the next call.
        assert_eq!(guest.call::<(), i32>("grow", ()).unwrap(), 4);
        memory.grow(&mut guest.store, 1).unwrap();
        works(&mut guest, 5 * PAGE, PAGE, 9);
        traps(&mut guest, 5 * PAGE, PAGE + 1, 6);
    }
}

#[test]
fn memories_that_move_are_found_again() {
    let mut config = Config::new();
    config.memory_reservation(0).memory_reservation_for_growth(0).memory_may_move(true);
    let engine = Engine::new(&config).unwrap();
    let bridge = mock::granted(&engine, mock::INTERFACE).build().unwrap();
    let mut guest = Guest::new(&bridge, FILLER).unwrap();
    for round in 1..20 {
        guest.call::<(), i32>("grow", ()).unwrap();
        guest.call::<_, ()>("fill", (round * 65536, 100, round)).unwrap();
        assert_eq!(guest.call::<i32, i32>("at", round * 65536 + 99).unwrap(), round);
    }
}

#[test]
fn a_memory_that_cannot_be_found_is_a_link_error() {
    let import = r#"(import "mock" "fill" (func (param i32 i32 i32)))"#;
    let cases = [
        ("", "none"),
        ("(memory 1)", "export"),
        (r#"(memory (export "a") 1) (memory (export "b") 1)"#, "2 memories"),
    ];
    let bridge = mock();
    for (memory, reason) in cases {
        let error = refused(&bridge, &format!("(module {import} {memory})"));
        assert!(matches!(error.problem, LinkProblem::Memory { .. }), "{error}");
        assert!(error.to_string().contains(reason), "{error}");
        // Functions without pointers do not ask for one.
        let text = r#"(module (import "mock" "add" (func (param i32 i32) (result i32)))"#;
        Guest::new(&bridge, &format!("{text} {memory})")).unwrap();
    }
}

#[test]
fn the_interface_may_name_the_memory() {
    let interface = mock::INTERFACE.replace(
        "library \"libmock.so\" module \"mock\"",
        "library \"libmock.so\" module \"mock\" memory \"heap\"",
    );
    let bridge = mock::granted(&Engine::default(), &interface).build().unwrap();
    assert!(refused(&bridge, FILLER).to_string().contains("`heap`"));
    let text = FILLER.replace(
        "(memory (export \"memory\") 1)",
        "(memory (export \"heap\") 1)
        (memory (export \"memory\") 1)",
    );
    let mut guest = Guest::new(&bridge, &text).unwrap();
    guest.call::<_, ()>("fill", (3, 1, 9)).unwrap();
    assert_eq!(guest.call::<i32, i32>("at", 3).unwrap(), 9);
}

#[test]
fn an_imported_memory_is_used_where_it_is() {
    let bridge = mock();
    let text = r#"(module
        (import "env" "memory" (memory 1))
        (import "mock" "fill" (func $fill (param i32 i32 i32)))
        (func (export "fill") (param i32 i32 i32)
            (call $fill (local.get 0) (local.get 1) (local.get 2))))"#;
    let module = Module::new(bridge.engine(), text).unwrap();
    let mut store = Store::new(bridge.engine(), State::default());
    let memory = Memory::new(&mut store, MemoryType::new(1, None)).unwrap();
    let mut linker = Linker::new(bridge.engine());
    linker.define(&store, "env", "memory", memory).unwrap();
    let instance = bridge.instantiate(&mut store, &linker, &module, natives).unwrap();
    let fill = instance.get_typed_func::<(i32, i32, i32), ()>(&mut store, "fill").unwrap();
    fill.call(&mut store, (100, 3, 0x7f)).unwrap();
    assert_eq!(&memory.data(&store)[99..104], [0, 0x7f, 0x7f, 0x7f, 0]);
}

#[test]
fn the_last_of_255_parameters_may_be_a_pointer() {
    let numbers: String = (2..255).map(|at| format!("int a{at}, ")).collect();
    let interface = format!(
        "#pragma portcullis library \"libmock.so\" module \"mock\"
        void ignore(uint32_t n, {numbers}uint8_t *_Out_ __counted_by(n) last);"
    );
    let bridge = mock::granted(&Engine::default(), &interface).build().unwrap();
    let (types, zeros) = ("i32 ".repeat(255), "(i32.const 0) ".repeat(253));
    let text = format!(
        r#"(module (import "mock" "ignore" (func $ignore (param {types})))
        (memory (export "memory") 1)
        (func (export "run") (param i32 i32)
            (call $ignore (local.get 0) {zeros} (local.get 1))))"#
    );
    let mut guest = Guest::new(&bridge, &text).unwrap();
    guest.call::<_, ()>("run", (8, 65528)).unwrap();
    assert_eq!(
        trapped(guest.call::<_, ()>("run", (9, 65528))).to_string(),
        "mock.ignore: parameter 255 \"last\" (uint8_t *_Out_ __counted_by(n)): 9 bytes at 0xfff8 reach past the memory of 65536 bytes"
    );
}

#[test]
fn a_64_bit_memory_has_64_bit_pointers() {
    let mut config = Config::new();
    config.wasm_memory64(true);
    let engine = Engine::new(&config).unwrap();
    let bridge = mock::granted(&engine, mock::INTERFACE).build().unwrap();
    let text = r#"(module
        (import "mock" "sum" (func $sum (param i64 i32) (result i32)))
        (memory (export "memory") i64 1)
        (data (i64.const 16) "\01\02\03")
        (func (export "run") (param i64 i32) (result i32)
            (call $sum (local.get 0) (local.get 1))))"#;
    let mut guest = Guest::new(&bridge, text).unwrap();
    assert_eq!(guest.call::<_, i32>("run", (16i64, 3)).unwrap(), 6);
    let error = trapped(guest.call::<_, i32>("run", (1i64 << 32, 1)));
    assert!(
        matches!(error.problem, Problem::OutOfBounds { address: 0x1_0000_0000, .. }),
        "{error}"
    );
}

#[test]
fn start_functions_call_imports() {
    let text = r#"(module
        (import "mock" "fill" (func $fill (param i32 i32 i32)))
        (memory (export "memory") 1)
        (func $start (call $fill (i32.const 20) (i32.const 2) (i32.const 3)))
        (start $start)
        (func (export "at") (param i32) (result i32) (i32.load8_u (local.get 0))))"#;
    let mut guest = Guest::new(&mock(), text).unwrap();
    assert_eq!(guest.call::<i32, i32>("at", 21).unwrap(), 3);
    let error = Guest::new(&mock(), &text.replace("(i32.const 20)", "(i32.const -1)"));
    let error = trapped(error);
    assert!(matches!(error.problem, Problem::OutOfBounds { .. }), "{error}");
}

/// A guest whose start function puts its import into a table of somebody else, and then traps.
const LEAKER: &str = r#"(module
    (import "mock" "fill" (func $fill (param i32 i32 i32)))
    (import "mock" "add" (func $add (param i32 i32) (result i32)))
    (import "env" "table" (table 2 funcref))
    (memory (export "memory") 1)
    (elem (table 0) (i32.const 0) func $fill $add)
    (func $start unreachable)
    (start $start))"#;

#[test]
fn an_instance_that_failed_to_start_has_no_memory() {
    let bridge = mock();
    let module = Module::new(bridge.engine(), LEAKER).unwrap();
    let mut store = Store::new(bridge.engine(), State::default());
    let ty = wasmtime::TableType::new(wasmtime::RefType::FUNCREF, 2, None);
    let table = wasmtime::Table::new(&mut store, ty, Ref::Func(None)).unwrap();
    let mut linker = Linker::new(bridge.engine());
    linker.define(&store, "env", "table", table).unwrap();
    bridge.instantiate(&mut store, &linker, &module, natives).unwrap_err();
    let Some(Ref::Func(Some(fill))) = table.get(&mut store, 0) else { panic!("it was put there") };
    let before = mock::calls();
    let arguments = [Val::I32(0), Val::I32(1), Val::I32(2)];
    let error = trapped(fill.call(&mut store, &arguments, &mut []));
    assert!(matches!(error.problem, Problem::NoMemory { .. }), "{error}");
    assert_eq!(mock::calls(), before);
    // What needs no memory works.
    let Some(Ref::Func(Some(add))) = table.get(&mut store, 1) else { panic!("it was put there") };
    let mut results = [Val::I32(0)];
    add.call(&mut store, &[Val::I32(2), Val::I32(3)], &mut results).unwrap();
    assert_eq!(results[0].i32(), Some(5));
}

#[test]
fn imports_may_be_called_by_the_host_exported_again_and_put_into_tables() {
    let bridge = mock();
    let text = r#"(module
        (import "mock" "fill" (func $fill (param i32 i32 i32)))
        (import "mock" "add" (func $add (param i32 i32) (result i32)))
        (memory (export "memory") 1)
        (table (export "table") funcref (elem $fill $add))
        (export "fill" (func $fill))
        (func (export "at") (param i32) (result i32) (i32.load8_u (local.get 0)))
        (func (export "sum") (param i32 i32) (result i32)
            (call_indirect (param i32 i32) (result i32)
                (local.get 0) (local.get 1) (i32.const 1))))"#;
    let mut guest = Guest::new(&bridge, text).unwrap();
    // The host calls the import itself.
    guest.call::<_, ()>("fill", (5, 1, 8)).unwrap();
    assert_eq!(guest.call::<i32, i32>("at", 5).unwrap(), 8);
    assert_eq!(guest.call::<_, i32>("sum", (2, 40)).unwrap(), 42);
    // Another instance, with a memory of its own, calls it out of the first one's table: it still
    // works on the memory of the instance that imported it.
    let other = r#"(module
        (import "first" "table" (table 2 funcref))
        (memory (export "memory") 1)
        (func (export "run") (param i32 i32 i32)
            (call_indirect (param i32 i32 i32)
                (local.get 0) (local.get 1) (local.get 2) (i32.const 0)))
        (func (export "at") (param i32) (result i32) (i32.load8_u (local.get 0))))"#;
    let mut linker = Linker::new(bridge.engine());
    let first = guest.instance;
    linker.instance(&mut guest.store, "first", first).unwrap();
    let module = Module::new(bridge.engine(), other).unwrap();
    let second = bridge.instantiate(&mut guest.store, &linker, &module, natives).unwrap();
    guest.call_in::<_, ()>(&second, "run", (6, 1, 9)).unwrap();
    assert_eq!(guest.call_in::<i32, i32>(&second, "at", 6).unwrap(), 0);
    assert_eq!(guest.call_in::<i32, i32>(&first, "at", 6).unwrap(), 9);
}

#[test]
fn recursion_through_imports_ends_cleanly() {
    // The exported `free` is the import that stands for it: each call calls itself.
    let text = r#"(module
        (import "mock" "text_free" (func $free (param i32)))
        (memory (export "memory") 1)
        (export "free" (func $free))
        (func (export "run") (call $free (i32.const 8))))"#;
    let run = || {
        let mut guest = Guest::new(&mock(), text).unwrap();
        let error = trapped(guest.call::<(), ()>("run", ()));
        assert!(
            matches!(error.problem, Problem::StackExhausted { .. } | Problem::Limit { .. }),
            "{error}"
        );
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(run).unwrap().join().unwrap();
}
