//! Further instances of a module: what is remembered of its imports must not outlive what it depends on.
use crate::mock;
use crate::support::*;
use portcullis::host::{Bridge, LinkError, LinkProblem};
use portcullis::plan::CallError;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier};
use wasmtime::{Config, Engine, Linker, Module, Store};

const GUEST: &str = r#"(module
    (import "mock" "add" (func $add (param i32 i32) (result i32)))
    (import "env" "own" (func $own (param i32) (result i32)))
    (import "mock" "sum" (func $sum (param i32 i32) (result i32)))
    (memory (export "memory") 1) (data (i32.const 8) "\01\02\03")
    (func (export "run") (param i32) (result i32)
        (call $add (call $own (local.get 0)) (call $sum (i32.const 8) (i32.const 3)))))"#;

/// Another instance in a store of its own, whose linker has `own` multiply.
fn instance(bridge: &Bridge, module: &Module, times: Option<i32>) -> wasmtime::Result<Guest> {
    let mut store = Store::new(bridge.engine(), State::default());
    let mut linker = Linker::new(bridge.engine());
    if let Some(times) = times {
        linker.func_wrap("env", "own", move |value: i32| value * times)?;
    }
    let instance = bridge.instantiate(&mut store, &linker, module, natives)?;
    Ok(Guest { store, instance })
}

fn refused_again(bridge: &Bridge, module: &Module) -> LinkError {
    let Err(error) = instance(bridge, module, Some(2)) else { panic!("it must not be linked") };
    error.downcast::<LinkError>().expect("a link error")
}

#[test]
fn each_instance_has_what_its_own_linker_has() {
    let bridge = mock();
    let module = Module::new(bridge.engine(), GUEST).unwrap();
    for times in [2, 3, 5] {
        let mut guest = instance(&bridge, &module, Some(times)).unwrap();
        assert_eq!(guest.call::<_, i32>("run", 10).unwrap(), 10 * times + 6);
        let error = instance(&bridge, &module, None).err().unwrap();
        assert!(matches!(
            error.downcast::<LinkError>().unwrap().problem,
            LinkProblem::Unknown | LinkProblem::Denied { .. }
        ));
    }
}

#[test]
fn an_interface_that_is_revoked_between_two_instances_is_not_linked_again() {
    let bridge = mock::granted(&Engine::default(), mock::INTERFACE).revocable("mock.h");
    let bridge = bridge.build().unwrap();
    let module = Module::new(bridge.engine(), GUEST).unwrap();
    for _ in 0..3 {
        assert_eq!(
            instance(&bridge, &module, Some(1)).unwrap().call::<_, i32>("run", 1).unwrap(),
            7
        );
    }
    assert!(bridge.revoke("mock.h"));
    let errors: Vec<LinkError> = (0..3).map(|_| refused_again(&bridge, &module)).collect();
    for error in &errors {
        assert!(matches!(error.problem, LinkProblem::Revoked { .. }), "{error}");
        assert_eq!(error.to_string(), errors[0].to_string());
    }
    // As a module that was never there before.
    let other = Module::new(bridge.engine(), GUEST).unwrap();
    assert_eq!(refused_again(&bridge, &other).to_string(), errors[0].to_string());
}

#[test]
fn who_is_asked_when_something_is_linked_is_asked_for_each_instance() {
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let bridge = mock::granted(&Engine::default(), mock::INTERFACE).on_link(move |linking| {
        let before = count.fetch_add(1, Ordering::SeqCst);
        let full = before >= 6;
        if full { Err(format!("no more {}", linking.prototype.name)) } else { Ok(()) }
    });
    let bridge = bridge.build().unwrap();
    let module = Module::new(bridge.engine(), GUEST).unwrap();
    for instances in 1..=3 {
        instance(&bridge, &module, Some(1)).unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), 2 * instances);
    }
    assert!(refused_again(&bridge, &module).to_string().ends_with("no more add"));
}

#[test]
fn every_bridge_has_links_of_its_own() {
    let engine = Engine::default();
    let all = mock::granted(&engine, mock::INTERFACE).build().unwrap();
    let less = mock::granted(&engine, &mock::INTERFACE.replace("int add(int a, int b);", ""));
    let less = less.build().unwrap();
    let asked = mock::granted(&engine, mock::INTERFACE)
        .on_call(|_| true, |call| Err(format!("not {}", call.import)))
        .build()
        .unwrap();
    let module = Module::new(&engine, GUEST).unwrap();
    for _ in 0..3 {
        let mut guest = instance(&all, &module, Some(1)).unwrap();
        assert_eq!(guest.call::<_, i32>("run", 1).unwrap(), 7);
        assert!(refused_again(&less, &module).is_denial());
        let mut guest = instance(&asked, &module, Some(1)).unwrap();
        let error = guest.call::<_, i32>("run", 1).unwrap_err();
        assert!(error.downcast::<CallError>().unwrap().to_string().contains("not mock.sum"));
    }
}

#[test]
fn errors_are_the_same_each_time() {
    let bridge = mock();
    for text in [
        r#"(module (import "mock" "nothing" (func)))"#,
        r#"(module (import "mock" "add" (func (param i32) (result i32))))"#,
        r#"(module (import "mock" "int add(int" (func (param i32 i32) (result i32))))"#,
        r#"(module (import "mock" "long add(int, int)" (func (param i32 i32) (result i32))))"#,
        r#"(module (import "mock" "sum" (func (param i32 i32) (result i32))))"#,
        r#"(module (import "mock" "letter" (func (param i32) (result i32))) (memory (export "memory") 1))"#,
        r#"(module (import "mock" "text_free" (func (param i32))) (memory (export "memory") 1))"#,
        r#"(module (import "portcullis" "errno" (func (result i64))))"#,
        r#"(module (import "mock" "add" (func (param i32 i32) (result i32))) (import "else" "where" (func)))"#,
    ] {
        let module = Module::new(bridge.engine(), text).unwrap();
        let first = refused_again(&bridge, &module).to_string();
        for _ in 0..3 {
            assert_eq!(refused_again(&bridge, &module).to_string(), first);
        }
    }
}

/// Modules that are gone leave their addresses to others.
#[test]
fn a_module_is_never_taken_for_one_that_was_there_before() {
    let mut config = Config::new();
    config.wasm_memory64(true);
    let engine = Engine::new(&config).unwrap();
    let bridge = mock::granted(&engine, mock::INTERFACE).build().unwrap();
    let good = |model: &str, word: &str| {
        format!(
            r#"(module (import "mock" "sum" (func $sum (param {word} i32) (result i32)))
            (memory (export "memory") {model} 1) (data ({word}.const 8) "\01\02\03")
            (func (export "run") (param i32) (result i32) (call $sum ({word}.const 8) (i32.const 3))))"#
        )
    };
    // The same imports, and something else behind them.
    let private = good("", "i32").replace("(export \"memory\")", "");
    let twice = r#"(module (import "mock" "twice" (func $twice (param i64) (result i64)))
        (func (export "run") (param i32) (result i32) (i32.wrap_i64 (call $twice (i64.const 3)))))"#;
    let narrow = twice.replace("(result i64)))", "(result i32)))").replace("i32.wrap_i64 ", "");
    let narrow = narrow.replace("((call $twice (i64.const 3)))", "(call $twice (i64.const 3))");
    let own = r#"(module (import "env" "own" (func $own (param i32) (result i32)))
        (func (export "run") (param i32) (result i32) (call $own (i32.const 3))))"#;
    let kinds = [
        (good("", "i32"), true),
        (private, false),
        (good("i64", "i64"), true),
        (twice.to_owned(), true),
        (narrow, true),
        (own.to_owned(), true),
    ];
    for turn in 0..300 {
        // In another order each time around.
        let (text, fits) = &kinds[(turn * 5 + turn / 6) % kinds.len()];
        let module = Module::new(&engine, text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        for _ in 0..2 {
            match instance(&bridge, &module, Some(2)) {
                Ok(mut guest) => {
                    assert!(*fits, "{text}");
                    assert_eq!(guest.call::<_, i32>("run", 0).unwrap(), 6);
                }
                Err(error) => assert!(!fits && error.is::<LinkError>(), "{text}: {error:?}"),
            }
        }
    }
}

#[test]
fn threads_make_instances_of_one_module_at_once() {
    let bridge = mock();
    for _ in 0..20 {
        let module = Module::new(bridge.engine(), GUEST).unwrap();
        let start = Arc::new(Barrier::new(4));
        let threads = (0..4).map(|times| {
            let (bridge, module, start) = (bridge.clone(), module.clone(), Arc::clone(&start));
            std::thread::spawn(move || {
                start.wait();
                for _ in 0..5 {
                    let mut guest = instance(&bridge, &module, Some(times)).unwrap();
                    assert_eq!(guest.call::<_, i32>("run", 10).unwrap(), 10 * times + 6);
                }
            })
        });
        let threads: Vec<_> = threads.collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}
