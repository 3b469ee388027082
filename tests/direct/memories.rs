//! Memories of 64-bit guests, of modules that have several, and such as grow: all of it in direct calls.
use crate::library::{calls, granted, what_is_at};
use crate::{World, bridge};
use portcullis::host::{Bridge, ImportStatus, Natives, Tier};
use portcullis::plan::{CallError, Problem};
use wasmtime::{Config, Engine, Linker, Memory, MemoryType, Module, Store};

const PAGE: i64 = 65536;

/// The tier of each function that a module imports, and why it has no faster one.
fn tiers(bridge: &Bridge, module: &Module) -> Vec<(Tier, Option<String>)> {
    let native = bridge.describe(module).into_iter().filter_map(|import| match import.status {
        ImportStatus::Native(functions) => Some(functions),
        _ => None,
    });
    native.flatten().map(|one| (one.tier, one.why_no_faster)).collect()
}

fn all_direct(bridge: &Bridge, module: &Module) {
    let tiers = tiers(bridge, module);
    assert!(!tiers.is_empty() && tiers.iter().all(|one| *one == (Tier::Direct, None)), "{tiers:?}");
}

/// A guest with 64-bit pointers and handles.
fn wide(memory: &str) -> String {
    format!(
        r#"(module
        (import "direct" "here_buffer" (func $here_buffer (param i64 i32) (result i64)))
        (import "direct" "here_text" (func $here_text (param i64) (result i64)))
        (import "direct" "here_thing" (func $here_thing (param i64) (result i64)))
        (import "direct" "fill" (func $fill (param i64 i32 i32)))
        (import "direct" "split" (func $split (param i64 i64 i64)))
        (import "direct" "twice" (func $twice (param i64) (result i64)))
        (import "direct" "thing_open" (func $open (param i32) (result i64)))
        (import "direct" "thing_id" (func $id (param i64) (result i32)))
        (import "direct" "thing_close" (func $close (param i64)))
        (memory (export "memory") {memory}) (data (i64.const 16) "a text\00")
        (func (export "buffer") (param i64 i32) (result i64) (call $here_buffer (local.get 0) (local.get 1)))
        (func (export "text") (param i64) (result i64) (call $here_text (local.get 0)))
        (func (export "thing") (result i64) (call $here_thing (call $open (i32.const 1))))
        (func (export "fill") (param i64 i32) (call $fill (local.get 0) (local.get 1) (i32.const 7)))
        (func (export "split") (param i64 i64 i64) (call $split (local.get 0) (local.get 1) (local.get 2)))
        (func (export "twice") (param i64) (result i64) (call $twice (local.get 0)))
        (func (export "open") (param i32) (result i64) (call $open (local.get 0)))
        (func (export "id") (param i64) (result i32) (call $id (local.get 0)))
        (func (export "close") (param i64) (call $close (local.get 0)))
        (func (export "grow") (result i64) (memory.grow (i64.const 1)))
        (func (export "at") (param i64) (result i32) (i32.load8_u (local.get 0)))
        (func (export "long_at") (param i64) (result i64) (i64.load (local.get 0))))"#
    )
}

fn wide_bridge() -> Bridge {
    let engine = Engine::new(Config::new().wasm_memory64(true)).expect("an engine");
    granted(&engine).build().expect("a bridge")
}

#[track_caller]
fn problem<R>(result: wasmtime::Result<R>) -> Problem {
    let Err(error) = result else { panic!("this call must fail") };
    error.downcast::<CallError>().unwrap_or_else(|error| panic!("{error:?}")).problem
}

#[test]
fn guests_with_64_bit_memories_call_directly() {
    let bridge = wide_bridge();
    let module = Module::new(bridge.engine(), wide("i64 1 100")).expect("a module");
    all_direct(&bridge, &module);
    let mut world = World::of(&bridge, &module);
    for _ in 0..3 {
        for from in [
            world.call::<_, i64>("buffer", (PAGE - 8, 8)).expect("it fits"),
            world.call::<_, i64>("text", 16_i64).expect("it ends"),
            world.call::<_, i64>("thing", ()).expect("it lives"),
        ] {
            assert_eq!(what_is_at(from), "");
        }
    }
    // All 64 bits of an address count.
    for (at, len) in
        [(PAGE - 7, 8), (1 << 32, 1), ((1 << 32) + 16, 1), (-8, 8), (i64::MIN, 1), (-1, 2)]
    {
        let error = problem(world.call::<_, i64>("buffer", (at, len)));
        assert!(matches!(error, Problem::OutOfBounds { .. }), "{at:#x}: {error:?}");
    }
    problem(world.call::<_, i64>("text", (1_i64 << 32) + 16));
    // A `long` has 8 bytes there, and so has its cell.
    assert_eq!(world.call::<_, i64>("twice", 1_i64 << 40).expect("it fits"), 1 << 41);
    world.call::<_, ()>("split", (0x1122_3344_5566_7788_i64, 256_i64, 264_i64)).expect("it passes");
    assert_eq!(
        world.call::<_, i64>("long_at", 264_i64).expect("it is there"),
        0x1122_3344_5566_7788
    );
    problem(world.call::<_, ()>("split", (1_i64, 256_i64, PAGE - 4)));
}

#[test]
fn handles_of_64_bit_guests_are_checked_whole() {
    let bridge = wide_bridge();
    let mut world = World::new(&bridge, &wide("i64 1 100"));
    let thing = world.call::<_, i64>("open", 42).expect("it passes");
    assert!(thing > 0 && thing <= i64::from(u32::MAX));
    for _ in 0..3 {
        assert_eq!(world.call::<_, i32>("id", thing).expect("it lives"), 42);
        calls();
        for wrong in [thing | 1 << 32, thing | i64::MIN, !0 << 32 | thing, -thing, thing + 1] {
            problem(world.call::<_, i32>("id", wrong));
            problem(world.call::<_, ()>("close", wrong));
        }
        assert_eq!(calls(), 0);
    }
    // No mark is left behind by those that were refused.
    world.call::<_, ()>("close", thing).expect("it lives");
    problem(world.call::<_, i32>("id", thing));
}

#[test]
fn a_64_bit_memory_that_may_move_is_left_to_the_host() {
    let bridge = wide_bridge();
    let module = Module::new(bridge.engine(), wide("i64 1")).expect("a module");
    for (tier, why) in tiers(&bridge, &module) {
        match why {
            Some(why) => assert!(tier < Tier::Direct && why == "the memory may move", "{why}"),
            None => assert_eq!(tier, Tier::Direct),
        }
    }
    let mut world = World::of(&bridge, &module);
    for pages in 1..20 {
        world.call::<_, ()>("fill", (pages * PAGE - 2, 2)).expect("it fits");
        assert_eq!(world.call::<_, i32>("at", pages * PAGE - 1).expect("it is there"), 7);
        problem(world.call::<_, ()>("fill", (pages * PAGE - 1, 2)));
        world.call::<(), i64>("grow", ()).expect("it grows");
    }
}

#[test]
fn memories_grow_between_calls_and_within_a_loop_of_them() {
    let bridge = wide_bridge();
    let mut world = World::new(&bridge, &wide("i64 1 100"));
    for pages in 1..20 {
        problem(world.call::<_, ()>("fill", (pages * PAGE - 1, 2)));
        world.call::<_, ()>("fill", (pages * PAGE - 2, 2)).expect("it fits");
        assert_eq!(world.call::<(), i64>("grow", ()).expect("it grows"), pages);
        world.call::<_, ()>("fill", (pages * PAGE - 1, 2)).expect("it fits now");
        assert_eq!(world.call::<_, i32>("at", pages * PAGE).expect("it is there"), 7);
    }
    let text = r#"(module
        (import "direct" "fill" (func $fill (param i32 i32 i32)))
        (import "direct" "here_buffer" (func $here (param i32 i32) (result i64)))
        (memory (export "memory") 1)
        (func $step (param $page i32)
            (drop (memory.grow (i32.const 1)))
            (call $fill (i32.shl (local.get $page) (i32.const 16)) (i32.const 65536) (local.get $page)))
        (func $start (local $page i32) (loop $l
            (call $step (local.tee $page (i32.add (local.get $page) (i32.const 1))))
            (br_if $l (i32.lt_u (local.get $page) (i32.const 20)))))
        (start $start)
        (func (export "again") (result i64) (call $start)
            (call $here (i32.const 8) (i32.const 1376248)))
        (func (export "at") (param i32) (result i32) (i32.load8_u (local.get 0))))"#;
    let module = Module::new(bridge.engine(), text).expect("a module");
    all_direct(&bridge, &module);
    calls();
    let mut world = World::of(&bridge, &module);
    assert_eq!(calls(), 20, "by the start function");
    for _ in 0..2 {
        for page in 1..=20 {
            let last = page * 65536 + 65535;
            assert_eq!(world.call::<_, i32>("at", last).expect("it is there"), page);
        }
        world.call::<(), i64>("again", ()).expect("it passes");
    }
}

/// Pointers go into the memory that is meant, whatever others do.
#[test]
fn modules_with_several_memories_call_directly() {
    let engine = Engine::new(Config::new().wasm_multi_memory(true).wasm_memory64(true));
    let bridge = granted(&engine.expect("an engine")).build().expect("a bridge");
    let text = r#"(module
        (import "direct" "fill" (func $fill (param i32 i32 i32)))
        (import "direct" "here_buffer" (func $here (param i32 i32) (result i64)))
        (import "env" "far" (memory $far 3))
        (memory $first 5) (memory $wide (export "wide") i64 1) (memory $own (export "memory") 2)
        (func (export "fill") (param i32 i32) (call $fill (local.get 0) (local.get 1) (i32.const 9)))
        (func (export "here") (param i32 i32) (result i64) (call $here (local.get 0) (local.get 1)))
        (func (export "grow") (drop (memory.grow $first (i32.const 1))) (drop (memory.grow $wide (i64.const 1)))
            (drop (memory.grow $far (i32.const 1))))
        (func (export "grow_own") (drop (memory.grow $own (i32.const 1))))
        (func (export "elsewhere") (param i32) (result i32)
            (i32.or (i32.load8_u $first (local.get 0))
                (i32.or (i32.load8_u $far (local.get 0))
                    (i32.load8_u $wide (i64.extend_i32_u (i32.and (local.get 0) (i32.const 65535)))))))
        (func (export "at") (param i32) (result i32) (i32.load8_u $own (local.get 0))))"#;
    let module = Module::new(bridge.engine(), text).expect("a module");
    all_direct(&bridge, &module);
    let mut store = Store::new(bridge.engine(), Natives::default());
    let far = Memory::new(&mut store, MemoryType::new(3, None)).expect("a memory");
    let mut linker = Linker::new(bridge.engine());
    linker.define(&mut store, "env", "far", far).expect("new");
    let instance = bridge.instantiate(&mut store, &linker, &module, |natives| natives);
    let mut world = World { instance: instance.expect("it starts"), store };
    for pages in 2..6 {
        let end = pages * 65536;
        // The first call behind what was known goes through the host, which looks.
        world.call::<_, i64>("here", (end - 8, 8)).expect("it fits");
        let from: i64 = world.call("here", (end - 8, 8)).expect("it fits");
        assert_eq!(what_is_at(from), "");
        world.call::<_, ()>("fill", (end - 1, 1)).expect("the last byte");
        problem(world.call::<_, ()>("fill", (end - 1, 2)));
        assert_eq!(world.call::<_, i32>("at", end - 1).expect("it is there"), 9);
        if pages < 3 {
            assert_eq!(world.call::<_, i32>("elsewhere", end - 1).expect("they are there"), 0);
        }
        // That of others means nothing.
        world.call::<(), ()>("grow", ()).expect("they grow");
        problem(world.call::<_, ()>("fill", (end - 1, 2)));
        world.call::<(), ()>("grow_own", ()).expect("it grows");
        world.call::<_, ()>("fill", (end - 1, 2)).expect("it fits now");
    }
}

/// Several instances in one store: each has its own memory, and calls those of the others.
#[test]
fn instances_of_one_store_call_each_other_directly() {
    let bridge = bridge();
    let text = |next: &str| {
        format!(
            r#"(module
            (import "direct" "fill" (func $fill (param i32 i32 i32)))
            (import "direct" "here" (func $here (result i64)))
            {next}
            (memory (export "memory") 1)
            (func (export "fill") (param i32 i32) (result i64)
                (call $fill (local.get 0) (i32.const 1) (local.get 1)) {then} (call $here))
            (func (export "grow") (drop (memory.grow (i32.const 1))))
            (func (export "at") (param i32) (result i32) (i32.load8_u (local.get 0))))"#,
            then = match next {
                "" => "",
                _ => "(drop (call $next (local.get 0) (i32.add (local.get 1) (i32.const 1))))",
            },
        )
    };
    let mut store = Store::new(bridge.engine(), Natives::default());
    let mut instances = Vec::new();
    for number in 0..5 {
        let mut linker = Linker::new(bridge.engine());
        let next = match instances.last() {
            None => "",
            Some(last) => {
                linker.instance(&mut store, "next", *last).expect("new names");
                r#"(import "next" "fill" (func $next (param i32 i32) (result i64)))"#
            }
        };
        let module = Module::new(bridge.engine(), text(next)).expect("a module");
        all_direct(&bridge, &module);
        let made = bridge.instantiate(&mut store, &linker, &module, |natives| natives);
        instances.push(made.unwrap_or_else(|error| panic!("{number}: {error:?}")));
    }
    let last = *instances.last().expect("there are some");
    let fill = last.get_typed_func::<(i32, i32), i64>(&mut store, "fill").expect("exported");
    for turn in 0..3 {
        let from = fill.call(&mut store, (8 + turn, 1)).expect("it passes");
        assert_eq!(what_is_at(from), "");
        for (value, instance) in (1..).zip(instances.iter().rev()) {
            let at = instance.get_typed_func::<i32, i32>(&mut store, "at").expect("exported");
            assert_eq!(at.call(&mut store, 8 + turn).expect("it is there"), value);
        }
    }
    // The third alone grows: the call fails in the fourth, behind it, and has been made in those before it.
    let third = instances[2].get_typed_func::<(), ()>(&mut store, "grow").expect("exported");
    instances[4]
        .get_typed_func::<(), ()>(&mut store, "grow")
        .expect("exported")
        .call(&mut store, ())
        .expect("it grows");
    third.call(&mut store, ()).expect("it grows");
    calls();
    problem(fill.call(&mut store, (65536, 1)));
    assert_eq!(calls(), 1);
    let at = last.get_typed_func::<i32, i32>(&mut store, "at").expect("exported");
    assert_eq!(at.call(&mut store, 65536).expect("it is there"), 1);
}
