//! Direct calls that have no code: guests enter the interpreter by themselves.
use crate::library::{calls, granted};
use crate::{World, guest};
use portcullis::host::{Bridge, ImportStatus, Tier};
use wasmtime::{Engine, Module};

/// Nothing ever becomes hot.
pub(crate) fn bridge() -> Bridge {
    granted(&Engine::default()).when_hot(u32::MAX).build().expect("a bridge")
}

const GUEST: &str = r#"
    (memory (export "memory") 1)
    (func (export "by_host") (result i32) (call $by_host (i32.const 10) (f64.const 1)))
    (func $start (drop (call $by_host (i32.const 10) (f64.const 1))) (call $fill (i32.const 8) (i32.const 4) (i32.const 7)))
    (start $start)
    (func (export "filled") (result i32) (i32.load (i32.const 8)))
    (func (export "recur") (param $n i32) (result i32)
        (if (result i32) (local.get $n)
            (then (i32.add (call $recur (i32.sub (local.get $n) (i32.const 1))) (call $add (local.get $n) (i32.const 0))))
            (else (i32.const 0))))
    (func $recur (param $n i32) (result i32)
        (if (result i32) (local.get $n)
            (then (i32.add (call $recur (i32.sub (local.get $n) (i32.const 1))) (call $add (local.get $n) (i32.const 0))))
            (else (i32.const 0))))"#;

#[test]
fn no_function_of_the_host_is_entered() {
    let module = |bridge: &Bridge| Module::new(bridge.engine(), guest(GUEST)).expect("a module");
    let ordinary = granted(&Engine::default()).max_tier(Tier::Interpreter).build();
    for (bridge, expected) in [(bridge(), 10), (ordinary.expect("a bridge"), 11)] {
        let module = module(&bridge);
        for import in bridge.describe(&module) {
            let ImportStatus::Native(functions) = import.status else { continue };
            assert!(functions[0].tier < Tier::Cranelift, "{}", import.name);
            // What reads registers alone. Others look at pointers, keep `errno`, or make and end handles.
            let simple = [
                "by_host",
                "here",
                "here_int",
                "here_thing",
                "caller_many",
                "low",
                "add",
                "twice",
                "thing_id",
            ];
            let straight = expected == 10 && simple.contains(&&*import.name);
            assert_eq!(functions[0].straight, straight, "{}", import.name);
        }
        let mut world = World::of(&bridge, &module);
        for _ in 0..3 {
            assert_eq!(world.call::<(), i32>("by_host", ()).expect("it passes"), expected);
        }
        assert_eq!(world.call::<(), i32>("filled", ()).expect("it has started"), 0x0707_0707);
    }
}

#[test]
fn recursion_ends_where_guest_code_ends_and_the_next_call_passes() {
    let mut world = World::new(&bridge(), &guest(GUEST));
    for _ in 0..3 {
        world.call::<i32, i32>("recur", 1 << 24).expect_err("the stack ends");
        calls();
        assert_eq!(world.call::<i32, i32>("recur", 100).expect("it passes"), 5050);
        assert_eq!(calls(), 100);
    }
}

/// The gate knows one thread; each call is made once on others too.
#[test]
fn stores_move_between_threads() {
    let bridge = bridge();
    let mut world = World::new(&bridge, &guest(GUEST));
    for _ in 0..3 {
        world = std::thread::spawn(move || {
            calls();
            assert_eq!(world.call::<i32, i32>("recur", 100).expect("it passes"), 5050);
            assert_eq!(calls(), 100);
            world
        })
        .join()
        .expect("it does not panic");
        assert_eq!(world.call::<i32, i32>("recur", 10).expect("it passes"), 55);
    }
}
