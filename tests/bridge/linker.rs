//! `add_to_linker`, wasmtime's own way with `InstancePre`.
use crate::mock;
use crate::support::*;
use portcullis::host::{Bridge, LinkError, Natives};
use portcullis::plan::Problem;
use std::mem;
use wasmtime::{InstancePre, Linker, Module, Store};

const GUEST: &str = r#"(module
    (import "mock" "fill" (func $fill (param i32 i32 i32)))
    (import "mock" "add" (func $add (param i32 i32) (result i32)))
    (import "mock" "thing_open" (func $open (param i32) (result i32)))
    (import "mock" "thing_id" (func $id (param i32) (result i32)))
    (import "mock" "fail_with" (func $fail (param i32) (result i32)))
    (import "mock" "choose" (func $choose (param i32 i32) (result i32)))
    (import "mock" "greeting" (func $greeting (result i32)))
    (import "mock" "text_free" (func $text_free (param i32)))
    (import "portcullis" "errno" (func $errno (result i32)))
    (memory (export "memory") 1)
    (global $freed (mut i32) (i32.const 0))
    (func (export "malloc") (param i32) (result i32) (i32.const 1024))
    (func (export "free") (param i32) (global.set $freed (local.get 0)))
    (func (export "freed") (result i32) (global.get $freed))
    (func (export "fill") (param i32 i32 i32)
        (call $fill (local.get 0) (local.get 1) (local.get 2)))
    (func (export "at") (param i32) (result i32) (i32.load8_u (local.get 0)))
    (func (export "add") (param i32 i32) (result i32) (call $add (local.get 0) (local.get 1)))
    (func (export "open") (param i32) (result i32) (call $open (local.get 0)))
    (func (export "id") (param i32) (result i32) (call $id (local.get 0)))
    (func (export "fail") (param i32) (result i32) (call $fail (local.get 0)))
    (func (export "choose") (param i32 i32) (result i32)
        (call $choose (local.get 0) (local.get 1)))
    (func (export "greeting") (result i32) (call $greeting))
    (func (export "text_free") (param i32) (call $text_free (local.get 0)))
    (func (export "errno") (result i32) (call $errno))
    (export "native_fill" (func $fill)))"#;

fn pre(bridge: &Bridge) -> InstancePre<State> {
    let module = Module::new(bridge.engine(), GUEST).unwrap();
    let mut linker = Linker::new(bridge.engine());
    bridge.add_to_linker(&mut linker, &module, natives).unwrap();
    linker.instantiate_pre(&module).unwrap()
}

fn guest(bridge: &Bridge, pre: &InstancePre<State>) -> Guest {
    let mut store = Store::new(bridge.engine(), State::default());
    let instance = pre.instantiate(&mut store).unwrap();
    Guest { store, instance }
}

#[test]
fn calls_work_as_after_instantiate() {
    let bridge = mock();
    let pre = pre(&bridge);
    let mut guest = guest(&bridge, &pre);
    assert_eq!(guest.call::<_, i32>("add", (2, 3)).unwrap(), 5);
    guest.call::<_, ()>("fill", (8, 2, 7)).unwrap();
    assert_eq!(guest.call::<i32, i32>("at", 9).unwrap(), 7);
    let error = trapped(guest.call::<_, ()>("fill", (65535, 2, 7)));
    assert!(matches!(error.problem, Problem::OutOfBounds { .. }), "{error}");
    assert_eq!(guest.call::<_, i32>("choose", (1, 4)).unwrap(), 5);
    assert_eq!(guest.call::<_, i32>("choose", (2, 8)).unwrap(), 2);
    assert_eq!(guest.call::<(), i32>("greeting", ()).unwrap(), 1024);
    assert_eq!(guest.call::<i32, i32>("at", 1024).unwrap(), i32::from(b'h'));
    guest.call::<i32, ()>("text_free", 77).unwrap();
    assert_eq!(guest.call::<(), i32>("freed", ()).unwrap(), 77);
    guest.call::<i32, i32>("fail", 11).unwrap();
    assert_eq!(guest.call::<(), i32>("errno", ()).unwrap(), 11);
}

#[test]
fn instances_of_one_store_are_told_apart_and_share_handles() {
    let bridge = mock();
    let pre = pre(&bridge);
    let mut guest = guest(&bridge, &pre);
    let first = guest.instance;
    let second = pre.instantiate(&mut guest.store).unwrap();
    guest.call_in::<i32, i32>(&first, "fail", 1).unwrap();
    guest.call_in::<i32, i32>(&second, "fail", 2).unwrap();
    assert_eq!(guest.call_in::<(), i32>(&first, "errno", ()).unwrap(), 1);
    assert_eq!(guest.call_in::<(), i32>(&second, "errno", ()).unwrap(), 2);
    guest.call_in::<_, ()>(&second, "fill", (4, 1, 9)).unwrap();
    assert_eq!(guest.call_in::<i32, i32>(&first, "at", 4).unwrap(), 0);
    let thing = guest.call_in::<i32, i32>(&first, "open", 3).unwrap();
    assert_eq!(guest.call_in::<i32, i32>(&second, "id", thing).unwrap(), 3);
}

#[test]
fn stores_do_not_share_and_the_store_owns() {
    let bridge = mock();
    let pre = pre(&bridge);
    let mut one = guest(&bridge, &pre);
    let mut other = guest(&bridge, &pre);
    let thing = one.call::<i32, i32>("open", 5).unwrap();
    trapped(other.call::<i32, i32>("id", thing));
    // Swapped between stores: neither is used for the other.
    mem::swap(&mut one.store.data_mut().natives, &mut other.store.data_mut().natives);
    trapped(other.call::<i32, i32>("id", thing));
    mem::swap(&mut one.store.data_mut().natives, &mut other.store.data_mut().natives);
    let before = mock::closed().len();
    // What the embedder drops is found no more, but lives as long as the store.
    one.store.data_mut().natives = Natives::default();
    trapped(one.call::<i32, i32>("id", thing));
    assert_eq!(mock::closed().len(), before);
    drop(one);
    assert_eq!(mock::closed()[before..], [5]);
}

#[test]
fn only_instances_of_the_module_have_a_memory() {
    let bridge = mock();
    let pre = pre(&bridge);
    let mut guest = guest(&bridge, &pre);
    let before = mock::calls();
    // The host calls the import itself: there is no caller whose memory could be meant.
    let error = trapped(guest.call::<_, ()>("native_fill", (0, 1, 2)));
    assert!(matches!(error.problem, Problem::NoMemory { .. }), "{error}");
    assert_eq!(mock::calls(), before);
}

#[test]
fn link_errors_come_at_once() {
    let bridge = mock();
    let define = |text: &str| {
        let module = Module::new(bridge.engine(), text).unwrap();
        let mut linker = Linker::<State>::new(bridge.engine());
        bridge.add_to_linker(&mut linker, &module, natives)
    };
    let cases = [
        r#"(module (import "mock" "add" (func)))"#,
        r#"(module (import "mock" "fill" (func (param i32 i32 i32))))"#,
        r#"(module (import "env" "memory" (memory 1))
            (import "mock" "fill" (func (param i32 i32 i32))))"#,
    ];
    for text in cases {
        let error = define(text).unwrap_err();
        assert!(error.is::<LinkError>(), "{error:?}");
    }
    // The same import twice is no conflict; what nobody grants is wasmtime's to name.
    let import = r#"(import "mock" "add" (func (param i32 i32) (result i32)))"#;
    define(&format!(r#"(module {import} {import} (import "env" "x" (func)))"#)).unwrap();
}
