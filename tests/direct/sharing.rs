//! Whose memory it is: start functions, other instances, tables, the host, threads.
use crate::library::{calls, granted};
use crate::{IMPORTS, World, bridge, guest};
use portcullis::host::Natives;
use std::sync::Arc;
use wasmtime::{Engine, Extern, Instance, Linker, Memory, MemoryType, Module, Ref, Store, Val};

/// Passes its imports on, in a table and as exports.
const LENDER: &str = r#"
    (memory (export "memory") 1)
    (type $fill (func (param i32 i32 i32)))
    (type $add (func (param i32 i32) (result i32)))
    (table (export "table") 4 funcref)
    (elem (i32.const 0) func $fill $add $twice)
    (elem declare func $add)
    (export "fill" (func $fill))
    (export "add" (func $add))
    (export "twice" (func $twice))
    (func (export "ref") (result funcref) (ref.func $add))
    (func (export "indirect") (param i32 i32 i32)
        (call_indirect (type $fill) (local.get 0) (local.get 1) (local.get 2) (i32.const 0)))
    (func (export "at") (param i32) (result i32) (i32.load8_u (local.get 0)))"#;

/// Calls what another instance has lent it.
const BORROWER: &str = r#"(module
    (import "lender" "fill" (func $fill (param i32 i32 i32)))
    (import "lender" "add" (func $add (param i32 i32) (result i32)))
    (import "lender" "table" (table 4 funcref))
    (type $fill (func (param i32 i32 i32)))
    (memory (export "memory") 1)
    (func (export "fill") (param i32 i32 i32) (call $fill (local.get 0) (local.get 1) (local.get 2)))
    (func (export "indirect") (param i32 i32 i32)
        (call_indirect (type $fill) (local.get 0) (local.get 1) (local.get 2) (i32.const 0)))
    (func (export "add") (param i32 i32) (result i32) (call $add (local.get 0) (local.get 1)))
    (func (export "at") (param i32) (result i32) (i32.load8_u (local.get 0))))"#;

#[test]
fn start_functions_call_directly_without_memory_and_safely_with_it() {
    let text = guest(
        r#"(memory (export "memory") 1)
        (global $sum (mut i32) (i32.const 0))
        (func $start
            (global.set $sum (call $add (call $add (i32.const 1) (i32.const 2)) (call $low (i32.const 65540))))
            (call $fill (i32.const 100) (i32.const 3) (i32.const 9))
            (call $fill (i32.const 0) (i32.const 0) (i32.const 9))
            (call $split (i64.const 5) (i32.const 8) (i32.const 12)))
        (start $start)
        (func (export "sum") (result i32) (global.get $sum))
        (func (export "at") (param i32) (result i32) (i32.load8_u (local.get 0)))"#,
    );
    calls();
    let mut world = World::new(&bridge(), &text);
    assert_eq!(calls(), 6);
    assert_eq!(world.call::<(), i32>("sum", ()).expect("it passes"), 7);
    for (at, value) in [(99, 0), (100, 9), (102, 9), (103, 0), (12, 5)] {
        assert_eq!(world.call::<i32, i32>("at", at).expect("it passes"), value, "at {at}");
    }
}

#[test]
fn functions_that_are_passed_on_keep_their_memory() {
    let bridge = bridge();
    let mut world = World::new(&bridge, &guest(LENDER));
    let borrower = Module::new(bridge.engine(), BORROWER).expect("a module");
    let mut linker = Linker::new(bridge.engine());
    linker.instance(&mut world.store, "lender", world.instance).expect("new names");
    let borrower = linker.instantiate(&mut world.store, &borrower).expect("an instance");
    let mut call = |of: &Instance, name: &str, params: (i32, i32, i32)| {
        let f = of.get_typed_func::<(i32, i32, i32), ()>(&mut world.store, name);
        f.expect("exported").call(&mut world.store, params)
    };
    let lender = world.instance;
    call(&borrower, "fill", (10, 1, 1)).expect("it fits");
    call(&borrower, "indirect", (11, 1, 2)).expect("it fits");
    call(&lender, "indirect", (12, 1, 3)).expect("it fits");
    // The host calls the import itself.
    call(&lender, "fill", (13, 1, 4)).expect("it fits");
    let error = call(&borrower, "indirect", (65536, 1, 5)).expect_err("it does not fit");
    assert!(error.is::<portcullis::plan::CallError>(), "{error:?}");
    let error = call(&lender, "fill", (65536, 1, 5)).expect_err("it does not fit");
    assert!(error.is::<portcullis::plan::CallError>(), "{error:?}");
    let mut at = |of: &Instance, at: i32| {
        let f = of.get_typed_func::<i32, i32>(&mut world.store, "at").expect("exported");
        f.call(&mut world.store, at).expect("it passes")
    };
    assert_eq!([10, 11, 12, 13, 14].map(|place| at(&lender, place)), [1, 2, 3, 4, 0]);
    assert_eq!([10, 11, 12, 13, 14].map(|place| at(&borrower, place)), [0; 5]);
    let add = borrower.get_typed_func::<(i32, i32), i32>(&mut world.store, "add");
    assert_eq!(add.expect("exported").call(&mut world.store, (2, 3)).expect("it passes"), 5);
}

#[test]
fn references_can_be_called_compared_and_passed_back() {
    let mut world = World::new(&bridge(), &guest(LENDER));
    let table = world.instance.get_table(&mut world.store, "table").expect("exported");
    let Some(Ref::Func(Some(from_table))) = table.get(&mut world.store, 1) else {
        panic!("no add")
    };
    let mut results = [Val::null_func_ref()];
    let reference = world.instance.get_func(&mut world.store, "ref").expect("exported");
    reference.call(&mut world.store, &[], &mut results).expect("it passes");
    let Val::FuncRef(Some(referred)) = results[0] else { panic!("no reference") };
    for add in [from_table, referred] {
        let mut sum = [Val::I32(0)];
        add.call(&mut world.store, &[Val::I32(4), Val::I32(5)], &mut sum).expect("it passes");
        assert_eq!(sum[0].unwrap_i32(), 9);
        assert_eq!(add.ty(&world.store).params().len(), 2);
        let typed = add.typed::<(i32, i32), i32>(&world.store).expect("its type");
        assert_eq!(typed.call(&mut world.store, (7, 8)).expect("it passes"), 15);
        table.set(&mut world.store, 3, Ref::Func(Some(add))).expect("it has room");
    }
    // A result that does not fit, called by the host.
    let twice = world.instance.get_typed_func::<i64, i32>(&mut world.store, "twice");
    let twice = twice.expect("exported");
    assert_eq!(twice.call(&mut world.store, 4).expect("it fits"), 8);
    calls();
    twice.call(&mut world.store, 1 << 40).expect_err("it does not fit");
    assert_eq!(calls(), 1);
}

#[test]
fn an_imported_memory_is_seen_as_it_is() {
    let engine = Engine::default();
    let bridge = granted(&engine).build().expect("a bridge");
    let text = format!(
        r#"(module {IMPORTS} (import "env" "memory" (memory 1))
        (func (export "fill") (param i32 i32 i32) (call $fill (local.get 0) (local.get 1) (local.get 2)))
        (func (export "grow") (drop (memory.grow (i32.const 1)))))"#
    );
    let module = Module::new(&engine, text).expect("a module");
    let mut store = Store::new(&engine, Natives::default());
    let memory = Memory::new(&mut store, MemoryType::new(1, Some(10))).expect("a memory");
    let mut linker = Linker::new(&engine);
    linker.define(&store, "env", "memory", memory).expect("new");
    let mut instances = Vec::new();
    for _ in 0..2 {
        let made = bridge.instantiate(&mut store, &linker, &module, |natives| natives);
        instances.push(made.expect("an instance"));
    }
    let page = 65536;
    for pages in 1..5 {
        for instance in &instances {
            let fill = instance.get_typed_func::<(i32, i32, i32), ()>(&mut store, "fill");
            let fill = fill.expect("exported");
            fill.call(&mut store, (pages * page - 1, 1, pages)).expect("the last byte");
            fill.call(&mut store, (pages * page - 1, 2, 1)).expect_err("one more");
            assert_eq!(memory.data(&store)[(pages * page - 1) as usize], pages as u8);
        }
        // Grown by the host, and by one of the two.
        if pages % 2 == 0 {
            memory.grow(&mut store, 1).expect("it grows");
        } else {
            let grow = instances[0].get_typed_func::<(), ()>(&mut store, "grow");
            grow.expect("exported").call(&mut store, ()).expect("it grows");
        }
    }
}

#[test]
fn the_embedders_own_functions_stand_beside_them() {
    let engine = Engine::default();
    let bridge = granted(&engine).build().expect("a bridge");
    let text = format!(
        r#"(module {IMPORTS} (import "env" "own" (func $own (param i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "both") (param i32) (result i32) (call $add (call $own (local.get 0)) (i32.const 1))))"#
    );
    let module = Module::new(&engine, text).expect("a module");
    let mut linker: Linker<Natives> = Linker::new(&engine);
    linker.func_wrap("env", "own", |value: i32| value * 2).expect("new");
    let mut store = Store::new(&engine, Natives::default());
    let instance = bridge.instantiate(&mut store, &linker, &module, |natives| natives);
    let instance = instance.unwrap_or_else(|error| panic!("{error:?}"));
    let both = instance.get_typed_func::<i32, i32>(&mut store, "both").expect("exported");
    assert_eq!(both.call(&mut store, 4).expect("it passes"), 9);
    assert!(matches!(instance.get_export(&mut store, "both"), Some(Extern::Func(_))));
}

#[test]
fn threads_have_a_store_each_and_stores_change_threads() {
    let text = guest(
        r#"(memory (export "memory") 1)
        (func (export "work") (param $n i32) (result i32) (local $a i32)
            (loop $l
                (local.set $a (call $add (local.get $a) (call $low (local.get $n))))
                (call $fill (local.get $n) (i32.const 4) (local.get $n))
                (call $thing_close (call $thing_open (local.get $n)))
                (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
            (local.get $a))"#,
    );
    let engine = Engine::default();
    let bridge = Arc::new(granted(&engine).build().expect("a bridge"));
    let module = Arc::new(Module::new(&engine, text).expect("a module"));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (bridge, module) = (Arc::clone(&bridge), Arc::clone(&module));
            std::thread::spawn(move || {
                // Instances come and go while others run the same code.
                let mut worlds: Vec<World> = Vec::new();
                for turn in 0..200 {
                    worlds.push(World::of(&bridge, &module));
                    let at = turn % worlds.len();
                    assert_eq!(worlds[at].call::<i32, i32>("work", 100).expect("it passes"), 5050);
                    if turn % 3 == 0 {
                        worlds.swap_remove(at);
                    }
                }
                worlds.pop().expect("some are left")
            })
        })
        .collect();
    let mut worlds: Vec<World> =
        threads.into_iter().map(|thread| thread.join().expect("it does not panic")).collect();
    for world in &mut worlds {
        assert_eq!(world.call::<i32, i32>("work", 100).expect("it passes"), 5050);
    }
    let moved = worlds.pop().expect("some are left");
    let thread = std::thread::spawn(move || {
        let mut world = moved;
        world.call::<i32, i32>("work", 10).expect("it passes")
    });
    assert_eq!(thread.join().expect("it does not panic"), 55);
}
