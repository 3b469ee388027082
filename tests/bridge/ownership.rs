//! Who owns what: stores, what the embedder keeps, the end of native objects, threads.
use crate::mock;
use crate::support::*;
use portcullis::host::{Bridge, Natives};
use portcullis::plan::Problem;
use std::mem;
use wasmtime::{Linker, Module, Store};

const THINGS: &str = r#"(module
    (import "mock" "thing_open" (func $open (param i32) (result i32)))
    (import "mock" "thing_child" (func $child (param i32 i32) (result i32)))
    (import "mock" "thing_id" (func $id (param i32) (result i32)))
    (import "mock" "thing_close" (func $close (param i32)))
    (memory (export "memory") 1)
    (func (export "open") (param i32) (result i32) (call $open (local.get 0)))
    (func (export "child") (param i32 i32) (result i32)
        (call $child (local.get 0) (local.get 1)))
    (func (export "id") (param i32) (result i32) (call $id (local.get 0)))
    (func (export "close") (param i32) (call $close (local.get 0))))"#;

/// What `f` closes, in order.
fn closed_by(f: impl FnOnce()) -> Vec<i32> {
    let before = mock::closed().len();
    f();
    mock::closed().split_off(before)
}

fn open(guest: &mut Guest, id: i32) -> i32 {
    guest.call::<i32, i32>("open", id).unwrap()
}

#[test]
fn what_a_store_leaves_is_destroyed_the_youngest_first() {
    let mut guest = Guest::new(&mock(), THINGS).unwrap();
    let parent = open(&mut guest, 1);
    let child = guest.call::<_, i32>("child", (parent, 2)).unwrap();
    guest.call::<_, i32>("child", (child, 3)).unwrap();
    let gone = open(&mut guest, 4);
    open(&mut guest, 5);
    assert_eq!(closed_by(|| guest.call::<i32, ()>("close", gone).unwrap()), [4]);
    assert_eq!(closed_by(|| drop(guest)), [5, 3, 2, 1]);
}

#[test]
fn the_embedders_part_may_go_at_any_time() {
    // Dropped while the store lives: calls go on, and nothing is destroyed.
    let mut guest = Guest::new(&mock(), THINGS).unwrap();
    let thing = open(&mut guest, 1);
    let nothing = closed_by(|| drop(mem::take(&mut guest.store.data_mut().natives)));
    assert_eq!(nothing, []);
    assert_eq!(guest.call::<i32, i32>("id", thing).unwrap(), 1);
    // Taken out with the whole data, which outlives the store's memories and functions.
    let Guest { store, .. } = guest;
    let mut kept = None;
    assert_eq!(closed_by(|| kept = Some(store.into_data())), [1]);
    drop(kept);
    // Dropped with the store, of which the data goes first.
    let mut guest = Guest::new(&mock(), THINGS).unwrap();
    open(&mut guest, 2);
    assert_eq!(closed_by(|| drop(guest)), [2]);
}

#[test]
fn instances_of_one_store_share_handles() {
    let bridge = mock();
    let mut guest = Guest::new(&bridge, THINGS).unwrap();
    let thing = open(&mut guest, 7);
    let second = guest.add(&bridge, THINGS).unwrap();
    assert_eq!(guest.call_in::<i32, i32>(&second, "id", thing).unwrap(), 7);
    // Without the embedder's part, the next instance gets state of its own, and old ones keep theirs.
    guest.store.data_mut().natives = Natives::default();
    let third = guest.add(&bridge, THINGS).unwrap();
    let error = trapped(guest.call_in::<i32, i32>(&third, "id", thing));
    assert!(matches!(error.problem, Problem::Handle { .. }), "{error}");
    guest.call_in::<i32, i32>(&third, "open", 8).unwrap();
    assert_eq!(guest.call_in::<i32, i32>(&second, "id", thing).unwrap(), 7);
    let mut closed = closed_by(|| drop(guest));
    closed.sort_unstable();
    assert_eq!(closed, [7, 8]);
}

#[test]
fn natives_of_another_store_are_not_used() {
    let bridge = mock();
    let mut one = Guest::new(&bridge, THINGS).unwrap();
    let mut other = Guest::new(&bridge, THINGS).unwrap();
    let thing = open(&mut one, 1);
    mem::swap(&mut one.store.data_mut().natives, &mut other.store.data_mut().natives);
    let late = other.add(&bridge, THINGS).unwrap();
    let error = trapped(other.call_in::<i32, i32>(&late, "id", thing));
    assert!(matches!(error.problem, Problem::Handle { .. }), "{error}");
    assert_eq!(one.call::<i32, i32>("id", thing).unwrap(), 1);
    // The first store goes; its state, which the second one's data still knows, goes with it.
    assert_eq!(closed_by(|| drop(one)), [1]);
    let late = other.add(&bridge, THINGS).unwrap();
    let second = other.call_in::<i32, i32>(&late, "open", 2).unwrap();
    assert_eq!(other.call_in::<i32, i32>(&late, "id", second).unwrap(), 2);
    assert_eq!(closed_by(|| drop(other)), [2]);
}

#[test]
fn natives_that_outlive_their_store_know_nothing_of_the_next() {
    // Stores of one size come and go at the same address.
    let bridge = mock();
    let mut kept = Natives::default();
    for id in 0..50 {
        let mut guest = Guest::new(&bridge, THINGS).unwrap();
        guest.store.data_mut().natives = mem::take(&mut kept);
        let again = guest.add(&bridge, THINGS).unwrap();
        let thing = guest.call_in::<i32, i32>(&again, "open", id).unwrap();
        assert_eq!(thing & 0xfffff, 1, "the table is new");
        kept = mem::take(&mut guest.store.data_mut().natives);
        assert_eq!(closed_by(|| drop(guest)), [id]);
    }
}

#[test]
fn a_store_may_be_used_through_two_bridges() {
    let one = mock();
    let other = Bridge::clone(&one);
    let stranger = mock::granted(one.engine(), mock::INTERFACE).build().unwrap();
    let mut guest = Guest::new(&one, THINGS).unwrap();
    let thing = open(&mut guest, 1);
    let same = guest.add(&other, THINGS).unwrap();
    assert_eq!(guest.call_in::<i32, i32>(&same, "id", thing).unwrap(), 1);
    let apart = guest.add(&stranger, THINGS).unwrap();
    trapped(guest.call_in::<i32, i32>(&apart, "id", thing));
    let again = guest.add(&one, THINGS).unwrap();
    assert_eq!(guest.call_in::<i32, i32>(&again, "id", thing).unwrap(), 1);
}

#[test]
fn the_bridge_may_go_before_its_stores() {
    let bridge = mock();
    let mut guest = Guest::new(&bridge, THINGS).unwrap();
    drop(bridge);
    let thing = open(&mut guest, 6);
    assert_eq!(guest.call::<i32, i32>("id", thing).unwrap(), 6);
    assert_eq!(closed_by(|| drop(guest)), [6]);
}

#[test]
fn threads_share_a_bridge_and_stores_may_move_between_them() {
    fn is_send_and_sync<T: Send + Sync>() {}
    is_send_and_sync::<Bridge>();
    is_send_and_sync::<Natives>();
    let bridge = mock();
    let module = Module::new(bridge.engine(), THINGS).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (bridge, module) = (&bridge, &module);
            scope.spawn(move || {
                for round in 0..50 {
                    let mut store = Store::new(bridge.engine(), State::default());
                    let linker = Linker::new(bridge.engine());
                    let instance =
                        bridge.instantiate(&mut store, &linker, module, natives).unwrap();
                    let mut guest = Guest { store, instance };
                    let thing = open(&mut guest, thread * 1000 + round);
                    let closed = std::thread::scope(|inner| {
                        let inner = inner.spawn(move || {
                            let id = guest.call::<i32, i32>("id", thing).unwrap();
                            assert_eq!(id, thread * 1000 + round);
                            closed_by(|| drop(guest))
                        });
                        inner.join().unwrap()
                    });
                    assert_eq!(closed, [thread * 1000 + round]);
                }
            });
        }
    });
}

#[test]
fn prepared_imports_belong_to_their_store() {
    let bridge = mock();
    let module = Module::new(bridge.engine(), THINGS).unwrap();
    let linker = Linker::new(bridge.engine());
    let mut store = Store::new(bridge.engine(), State::default());
    let mut other = Store::new(bridge.engine(), State::default());
    let prepared = bridge.prepare(&mut store, &linker, &module, natives).unwrap();
    let made = wasmtime::Instance::new(&mut store, &module, prepared.imports());
    assert!(prepared.finish(&mut other, made).is_err());
    let prepared = bridge.prepare(&mut store, &linker, &module, natives).unwrap();
    let made = wasmtime::Instance::new(&mut store, &module, prepared.imports());
    let instance = prepared.finish(&mut store, made).unwrap();
    let mut guest = Guest { store, instance };
    let thing = open(&mut guest, 4);
    assert_eq!(guest.call::<i32, i32>("id", thing).unwrap(), 4);
}
