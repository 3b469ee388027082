//! The way of a call: that it is direct, from the first on, and what happens where it cannot be.
use crate::library::{granted, what_is_at};
use crate::{World, bridge, guest};
use portcullis::host::{ImportStatus, NativeImport, NotDirect, Tier};
use wasmtime::{Config, Engine, Module};

const WAYS: &str = r#"
    (memory (export "memory") 1)
    (data (i32.const 16) "a text\00")
    (func (export "here") (result i64) (call $here))
    (func (export "int") (result i64) (call $here_int (i32.const 1) (i64.const 2) (f64.const 3)))
    (func (export "buffer") (result i64) (call $here_buffer (i32.const 8) (i32.const 8)))
    (func (export "empty") (result i64) (call $here_buffer (i32.const 8) (i32.const 0)))
    (func (export "text") (result i64) (call $here_text (i32.const 16)))
    (func (export "thing") (result i64) (call $here_thing (call $thing_open (i32.const 1))))
    (func (export "many") (result i64) (call $caller_many (i32.const 1) (i32.const 2) (i32.const 3)
        (i32.const 4) (i32.const 5) (i32.const 6) (i32.const 7) (i32.const 8)))
    (func (export "cell") (result i64) (call $caller_cell (i32.const 8)))"#;
const ALL: [&str; 8] = ["here", "int", "buffer", "empty", "text", "thing", "many", "cell"];

/// Code of guests has no file; that of trampolines has this one.
const TRAMPOLINES: &str = "/memfd:portcullis";

fn functions(bridge: &portcullis::host::Bridge, module: &Module) -> Vec<NativeImport> {
    let imports = bridge.describe(module).into_iter();
    let functions = imports.filter_map(|import| match import.status {
        ImportStatus::Native(functions) => Some(functions),
        _ => None,
    });
    functions.flatten().collect()
}

#[test]
fn native_code_returns_to_the_guest_from_the_first_call_on() {
    let bridge = bridge();
    assert_eq!(bridge.why_not_direct(), None);
    let module = Module::new(bridge.engine(), guest(WAYS)).expect("a module");
    for function in functions(&bridge, &module) {
        assert_eq!((function.tier, function.why_no_faster), (Tier::Direct, None));
    }
    for name in ALL {
        // Each in a store that has called nothing before.
        let mut world = World::of(&bridge, &module);
        for call in 0..3 {
            let from: i64 = world.call(name, ()).unwrap_or_else(|error| panic!("{error:?}"));
            assert_eq!(what_is_at(from), "", "call {call} of {name}");
        }
    }
}

#[test]
fn without_direct_calls_trampolines_are_entered_by_the_host() {
    let bridge = granted(&Engine::default()).without_direct_calls().build().expect("a bridge");
    assert_eq!(bridge.why_not_direct(), Some(NotDirect::Told));
    let module = Module::new(bridge.engine(), guest(WAYS)).expect("a module");
    for function in functions(&bridge, &module) {
        assert_eq!(function.tier, Tier::Cranelift);
        assert_eq!(function.why_no_faster.as_deref(), Some("told to do without"));
    }
    let mut world = World::of(&bridge, &module);
    for name in ["here", "int", "buffer", "empty", "text", "thing"] {
        let from: i64 = world.call(name, ()).unwrap_or_else(|error| panic!("{error:?}"));
        assert!(what_is_at(from).starts_with(TRAMPOLINES), "{name}: {}", what_is_at(from));
    }
    let program = std::env::current_exe().expect("it has a name");
    for name in ["many", "cell"] {
        let from: i64 = world.call(name, ()).unwrap_or_else(|error| panic!("{error:?}"));
        assert_eq!(what_is_at(from), program.to_string_lossy(), "{name}");
    }
}

#[test]
fn memories_that_may_move_are_left_to_the_host() {
    let mut config = Config::new();
    config.memory_reservation(1 << 20).memory_reservation_for_growth(0).memory_guard_size(0);
    let engine = Engine::new(&config).expect("an engine");
    let bridge = granted(&engine).build().expect("a bridge");
    let text = guest(&format!(
        "{WAYS} (func (export \"grow\") (result i32) (memory.grow (i32.const 100)))"
    ));
    let module = Module::new(&engine, text).expect("a module");
    for function in functions(&bridge, &module) {
        let moves = function.prototype.contains("uint8_t")
            || function.prototype.contains("char *")
            || function.prototype.contains("int *");
        assert_eq!(function.tier, if moves { Tier::Cranelift } else { Tier::Direct });
        let why = moves.then_some("the memory may move");
        assert_eq!(function.why_no_faster.as_deref(), why, "{}", function.prototype);
    }
    let mut world = World::of(&bridge, &module);
    for _ in 0..3 {
        let from: i64 = world.call("here", ()).expect("it passes");
        assert_eq!(what_is_at(from), "");
        world.call::<(), i64>("buffer", ()).expect("it passes");
        world.call::<(), i32>("grow", ()).expect("it grows");
    }
}

#[test]
fn functions_of_a_linker_are_left_to_the_host() {
    let bridge = bridge();
    let module = Module::new(bridge.engine(), guest(WAYS)).expect("a module");
    let mut linker = wasmtime::Linker::new(bridge.engine());
    bridge
        .add_to_linker(&mut linker, &module, |natives: &mut portcullis::host::Natives| natives)
        .expect("it can be linked");
    let mut store = wasmtime::Store::new(bridge.engine(), portcullis::host::Natives::default());
    let instance = linker.instantiate(&mut store, &module).expect("an instance");
    let here = instance.get_typed_func::<(), i64>(&mut store, "here").expect("exported");
    let from = here.call(&mut store, ()).expect("it passes");
    assert!(what_is_at(from).starts_with(TRAMPOLINES));
    // And those of instances beside them are not.
    let mut world = World::of(&bridge, &module);
    let from: i64 = world.call("here", ()).expect("it passes");
    assert_eq!(what_is_at(from), "");
}

#[test]
fn where_the_stack_might_be_too_small_the_host_looks_on_every_call() {
    // Larger than what the C library keeps of threads that are gone.
    const STACK: usize = 64 << 20;
    let thread = std::thread::Builder::new().stack_size(STACK);
    let thread = thread.spawn(|| {
        let mut config = Config::new();
        config.async_stack_size(2 * STACK);
        let engine = Engine::new(&config).expect("an engine");
        let limits = portcullis::plan::Limits {
            stack_reserve: (STACK - (400 << 10)) as u64,
            ..Default::default()
        };
        let bridge = granted(&engine).limits(limits).build().expect("a bridge");
        let mut world = World::new(&bridge, &guest(WAYS));
        let program = std::env::current_exe().expect("it has a name");
        for _ in 0..3 {
            // There is enough of it here; guest code might go where there is not.
            let from: i64 = world.call("here", ()).expect("there is enough of it here");
            assert_eq!(what_is_at(from), program.to_string_lossy());
        }
    });
    thread.expect("a thread").join().expect("it does not panic");
}

/// Fuel and epochs are looked at by the guest's own code, as always.
#[test]
fn guests_whose_fuel_or_time_is_bounded_call_directly() {
    const LOOP: &str = "(memory (export \"memory\") 1)
        (func (export \"here\") (result i64) (call $here))
        (func (export \"calls\") (param $n i32)
            (loop $again
                (drop (call $here))
                (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))";
    let mut config = Config::new();
    config.consume_fuel(true).epoch_interruption(true);
    let engine = Engine::new(&config).expect("an engine");
    let module = Module::new(&engine, guest(LOOP)).expect("a module");
    let run = |tier: Tier| {
        let bridge = granted(&engine).max_tier(tier).build().expect("a bridge");
        let mut store = wasmtime::Store::new(&engine, portcullis::host::Natives::default());
        store.set_fuel(100_000).expect("it is counted");
        store.set_epoch_deadline(1);
        let linker = wasmtime::Linker::new(&engine);
        let instance =
            bridge.instantiate(&mut store, &linker, &module, |natives| natives).expect("it starts");
        let here = instance.get_typed_func::<(), i64>(&mut store, "here").expect("it is exported");
        let calls = instance.get_typed_func::<i32, ()>(&mut store, "calls").expect("likewise");
        let from = what_is_at(here.call(&mut store, ()).expect("it passes"));
        calls.call(&mut store, 100).expect("there is enough");
        let left = store.get_fuel().expect("it is counted");
        let dry = calls.call(&mut store, i32::MAX).expect_err("there is not enough for that");
        assert_eq!(dry.downcast_ref(), Some(&wasmtime::Trap::OutOfFuel), "{dry:?}");
        store.set_fuel(u64::MAX).expect("it is counted");
        engine.increment_epoch();
        let late = calls.call(&mut store, i32::MAX).expect_err("its time is over");
        assert_eq!(late.downcast_ref(), Some(&wasmtime::Trap::Interrupt), "{late:?}");
        (from, left)
    };
    let (host, guest) = (run(Tier::Interpreter), run(Tier::Direct));
    // Returning to code that no file has: the guest's.
    assert_eq!((guest.0.as_str(), guest.1), ("", host.1));
    assert_ne!(host.0, "");
}

/// Wherever it is called from, and on fibers.
#[test]
fn calls_under_call_async_are_direct_too() {
    let mut config = Config::new();
    config.async_stack_size(4 << 20);
    let engine = Engine::new(&config).expect("an engine");
    let bridge = granted(&engine).build().expect("a bridge");
    let module = Module::new(
        &engine,
        guest("(memory (export \"memory\") 1) (func (export \"here\") (result i64) (call $here))"),
    );
    let module = module.expect("a module");
    let mut store = wasmtime::Store::new(&engine, portcullis::host::Natives::default());
    let linker = wasmtime::Linker::new(&engine);
    let instance =
        bridge.instantiate(&mut store, &linker, &module, |natives| natives).expect("it starts");
    let here = instance.get_typed_func::<(), i64>(&mut store, "here").expect("it is exported");
    let mut direct = 0;
    for turn in 0..4 {
        let from = if turn == 2 {
            here.call(&mut store, ()).expect("it passes")
        } else {
            let mut call = std::pin::pin!(here.call_async(&mut store, ()));
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            let std::task::Poll::Ready(from) = call.as_mut().poll(&mut context) else {
                panic!("nothing is waited for")
            };
            from.expect("it passes")
        };
        direct += u32::from(what_is_at(from).is_empty());
    }
    // Each stack is new to the gate once.
    assert!(direct >= 1, "{direct} of the calls were direct");
}
