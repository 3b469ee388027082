//! Attacks that take more than one guest, or the embedder's own hand.
use crate::stage::{Attack, World, builder, builder_for, call_error, contains, guest, text_of};
use portcullis::host::Tier;
use portcullis::plan::{CallError, Problem};
use wasmtime::{Config, Engine, Store, Trap};

const APPLY: &str = "cb.apply i32 i32 -> i32";

pub fn attacks() -> Vec<Attack> {
    vec![
        Attack::program("handle_of_another_store", "use a handle of another store", another_store),
        Attack::program(
            "memory_of_another_instance",
            "have another instance's memory checked instead of its own",
            another_memory,
        ),
        Attack::program(
            "shared_memory",
            "change checked bytes from another thread (a shared memory)",
            shared_memory,
        ),
        Attack::program("out_of_fuel", "run out of fuel in a callback", out_of_fuel),
        Attack::program("interrupted", "be interrupted in a callback", interrupted),
        Attack::program("exit_in_a_callback", "leave the program in a callback", exit),
        Attack::program("start_function", "call before its own memory is known", start_function),
        Attack::program(
            "import_of_another_instance",
            "call an import that another instance exports, with its own addresses",
            exported_import,
        ),
        Attack::program(
            "dead_store",
            "have native code call a function of a store that is gone",
            dead_store,
        ),
        Attack::program(
            "recursion_without_end",
            "nest guest and native code without end",
            recursion,
        ),
        Attack::program(
            "recursion_through_malloc",
            "nest the guest's `malloc` and native code without end",
            recursion_in_malloc,
        ),
        Attack::program(
            "under_a_leaf",
            "have guest code run under a function that was said to be a leaf",
            under_a_leaf,
        ),
        Attack::program("hooked_call", "make a call that the host's hook refuses", hooked),
    ]
}

fn world(tier: Tier, text: &str) -> Result<World, String> {
    let bridge = builder(tier).build().map_err(|error| error.to_string())?;
    World::new(&bridge, text).map_err(|error| text_of(&error))
}

fn failure(result: wasmtime::Result<i32>) -> Result<wasmtime::Error, String> {
    match result {
        Ok(value) => Err(format!("it returned {value}")),
        Err(error) => Ok(error),
    }
}

fn another_store(tier: Tier) -> Result<(), String> {
    let text = guest(
        &["mock.box_new i32 -> i32", "mock.box_get i32 -> i32"],
        r#"(global $b (export "b") (mut i32) (i32.const 0))
        (func (export "make") (result i32) (drop (call $box_new (i32.const 1))) (drop (call $box_new (i32.const 1)))
            (global.set $b (call $box_new (i32.const 41))) (global.get $b))
        (func (export "go") (result i32) (call $box_get (global.get $b)))"#,
    );
    let bridge = builder(tier).build().map_err(|error| error.to_string())?;
    let mut worlds = [World::new(&bridge, &text), World::new(&bridge, &text)]
        .map(|world| world.expect("linked"));
    let handle = worlds[0].call("make").map_err(|error| error.to_string())?;
    let global = worlds[1].instance.get_global(&mut worlds[1].store, "b").expect("exported");
    global.set(&mut worlds[1].store, handle.into()).expect("mutable");
    let error = failure(worlds[1].call("go"))?;
    call_error(error, false, "is no handle")?;
    worlds.iter_mut().try_for_each(World::works)
}

/// The memory of a call is that of the instance whose import is called.
fn another_memory(tier: Tier) -> Result<(), String> {
    let bridge = builder(tier).build().map_err(|error| error.to_string())?;
    let body = r#"(func (export "go") (result i32) (call $sum (i32.const 130000) (i32.const 8)))"#;
    let large = guest(&["mock.sum i32 i32 -> i32"], body);
    let small = large
        .replace("\"memory\") 2 8", "\"memory\") 1 1")
        .replace("(i32.const 65536))\n", "(i32.const 1024))\n");
    let mut world = World::new(&bridge, &large).map_err(|error| text_of(&error))?;
    world.call("go").map_err(|error| error.to_string())?;
    world.instance =
        World::add(&bridge, &mut world.store, &small).map_err(|error| text_of(&error))?;
    call_error(failure(world.call("go"))?, false, "past the memory of 65536 bytes")?;
    world.works()
}

/// This build's engines have no shared memories; where an engine has them, the bridge does not link the guest.
fn shared_memory(tier: Tier) -> Result<(), String> {
    let bridge = builder(tier).build().map_err(|error| error.to_string())?;
    let text = guest(
        &["mock.sum i32 i32 -> i32"],
        r#"(func (export "go") (result i32) (call $sum (i32.const 64) (i32.const 8)))"#,
    );
    let text = text.replace("\"memory\") 2 8", "\"memory\") 2 8 shared");
    match World::new(&bridge, &text) {
        Ok(_) => Err("it was linked".to_owned()),
        Err(error) => contains(&text_of(&error), "shared memor"),
    }
}

/// A guest whose callback goes on for ever.
fn endless() -> String {
    guest(
        &[APPLY],
        r#"(func $f0 (param i32) (result i32) (loop $more (br $more)) (i32.const 0))
        (func (export "go") (result i32) (call $apply (i32.const 1) (i32.const 3)))"#,
    )
}

fn out_of_fuel(tier: Tier) -> Result<(), String> {
    let mut config = Config::new();
    config.consume_fuel(true);
    let engine = Engine::new(&config).map_err(|error| error.to_string())?;
    let bridge = builder_for(&engine, tier).build().map_err(|error| error.to_string())?;
    let mut world = World::new(&bridge, &endless()).map_err(|error| text_of(&error))?;
    world.store.set_fuel(10_000).map_err(|error| error.to_string())?;
    let error = failure(world.call("go"))?;
    if error.downcast_ref() != Some(&Trap::OutOfFuel) {
        return Err(text_of(&error));
    }
    world.store.set_fuel(10_000).map_err(|error| error.to_string())?;
    world.works()
}

fn interrupted(tier: Tier) -> Result<(), String> {
    let mut config = Config::new();
    config.epoch_interruption(true);
    let engine = Engine::new(&config).map_err(|error| error.to_string())?;
    let bridge = builder_for(&engine, tier).build().map_err(|error| error.to_string())?;
    let mut world = World::new(&bridge, &endless()).map_err(|error| text_of(&error))?;
    world.store.set_epoch_deadline(1);
    // From another thread, in the middle of the callback or before it: both end it.
    let clock = std::thread::spawn(move || engine.increment_epoch());
    let error = failure(world.call("go"))?;
    clock.join().map_err(|_| "the clock has stopped")?;
    if error.downcast_ref() != Some(&Trap::Interrupt) {
        return Err(text_of(&error));
    }
    world.store.set_epoch_deadline(1_000);
    world.works()
}

fn exit(tier: Tier) -> Result<(), String> {
    #[derive(Debug, thiserror::Error)]
    #[error("leaving")]
    struct Exit;
    let bridge = builder(tier).build().map_err(|error| error.to_string())?;
    let text = guest(
        &[APPLY],
        r#"(func $f0 (param i32) (result i32) (call $exit) (i32.const 1))
        (func (export "go") (result i32) (call $apply (i32.const 1) (i32.const 3)))"#,
    );
    let text = text.replacen("(module ", r#"(module (import "env" "exit" (func $exit))"#, 1);
    let module = wasmtime::Module::new(bridge.engine(), text).map_err(|error| text_of(&error))?;
    let mut linker = wasmtime::Linker::new(bridge.engine());
    let leave = || -> wasmtime::Result<()> { Err(wasmtime::Error::new(Exit)) };
    linker.func_wrap("env", "exit", leave).map_err(|error| error.to_string())?;
    let mut store = Store::new(bridge.engine(), portcullis::host::Natives::default());
    let instance = bridge.instantiate(&mut store, &linker, &module, |natives| natives);
    let instance = instance.map_err(|error| text_of(&error))?;
    let mut world = World { store, instance };
    let error = failure(world.call("go"))?;
    if error.downcast_ref::<Exit>().is_none() {
        return Err(text_of(&error));
    }
    world.works()
}

fn start_function(tier: Tier) -> Result<(), String> {
    let text = guest(
        &["mock.sum i32 i32 -> i32"],
        r#"(func $start (drop (call $sum (i32.const 131071) (i32.const 2)))) (start $start)
        (func (export "go") (result i32) (i32.const 0))"#,
    );
    let bridge = builder(tier).build().map_err(|error| error.to_string())?;
    let Err(error) = World::new(&bridge, &text) else {
        return Err("it was instantiated".to_owned());
    };
    call_error(error, false, "past the memory of 131072 bytes")?;
    world(tier, &guest(&[], ""))?.works()
}

fn exported_import(tier: Tier) -> Result<(), String> {
    let bridge = builder(tier).build().map_err(|error| error.to_string())?;
    let lender = guest(
        &["mock.sum i32 i32 -> i32"],
        r#"(export "sum" (func $sum)) (func (export "go") (result i32) (i32.const 0))"#,
    );
    let mut world = World::new(&bridge, &lender).map_err(|error| text_of(&error))?;
    let sum = world.instance.get_func(&mut world.store, "sum").expect("exported");
    // Its own memory is larger: an address that only lies in that one.
    let text = r#"(module (import "lender" "sum" (func $sum (param i32 i32) (result i32)))
        (memory (export "memory") 8)
        (func (export "go") (result i32) (call $sum (i32.const 400000) (i32.const 8))))"#;
    let module = wasmtime::Module::new(bridge.engine(), text).map_err(|error| text_of(&error))?;
    let borrower = wasmtime::Instance::new(&mut world.store, &module, &[sum.into()]);
    let lender = std::mem::replace(&mut world.instance, borrower.map_err(|error| text_of(&error))?);
    call_error(failure(world.call("go"))?, false, "past the memory of 131072 bytes")?;
    world.instance = lender;
    world.works()
}

fn dead_store(tier: Tier) -> Result<(), String> {
    let bridge = builder(tier).build().map_err(|error| error.to_string())?;
    let keeper = guest(
        &["cb.keep i32"],
        r#"(func $f0 (param i32) (result i32) (i32.const 7))
        (func (export "go") (result i32) (call $keep (i32.const 1)) (i32.const 0))"#,
    );
    World::new(&bridge, &keeper)
        .map_err(|error| text_of(&error))?
        .call("go")
        .map_err(|error| error.to_string())?;
    // Its store is gone. Native code of another one has the function still.
    let text = guest(
        &["cb.fire i32 -> i32"],
        r#"(func (export "go") (result i32) (call $fire (i32.const 1)))"#,
    );
    let mut world = World::new(&bridge, &text).map_err(|error| text_of(&error))?;
    match world.call("go") {
        // What C gets of a callback that did not run.
        Ok(-9) => world.works(),
        Ok(other) => Err(format!("it returned {other}")),
        Err(error) => Err(text_of(&error)),
    }
}

fn hooked(tier: Tier) -> Result<(), String> {
    let hook = |_: &portcullis::host::Calling<'_>| Err("not today".to_owned());
    let bridge =
        builder(tier).on_call(|linking| &*linking.prototype.name.name == "sum", hook).build();
    let text = guest(
        &["mock.sum i32 i32 -> i32"],
        r#"(func (export "go") (result i32) (call $sum (i32.const 64) (i32.const 1)))"#,
    );
    let mut world = World::new(&bridge.map_err(|error| error.to_string())?, &text)
        .map_err(|error| text_of(&error))?;
    call_error(failure(world.call("go"))?, false, "the host refuses this call: not today")?;
    world.works()
}

/// Ends cleanly: at a limit, or where the guest's stack or the native one does.
fn too_deep(world: &mut World) -> Result<(), String> {
    for _ in 0..2 {
        let error = failure(world.call("go"))?;
        let cause = error.root_cause();
        let at_a_limit = cause.downcast_ref::<CallError>().is_some_and(|error| {
            matches!(
                error.problem,
                Problem::Limit { limit: "depth", .. } | Problem::StackExhausted { .. }
            )
        });
        if !at_a_limit && cause.downcast_ref() != Some(&Trap::StackOverflow) {
            return Err(cause.to_string());
        }
        world.works()?;
    }
    Ok(())
}

fn recursion(tier: Tier) -> Result<(), String> {
    let text = guest(
        &[APPLY],
        r#"(func $f0 (param i32) (result i32) (call $apply (i32.const 1) (local.get 0)))
        (func (export "go") (result i32) (call $apply (i32.const 1) (i32.const 3)))"#,
    );
    too_deep(&mut world(tier, &text)?)
}

fn recursion_in_malloc(tier: Tier) -> Result<(), String> {
    let name = "(call $box_name (call $box_new (i32.const 1)))";
    let text = guest(
        &["mock.box_new i32 -> i32", "mock.box_name i32 -> i32"],
        &format!(r#"(func (export "go") (result i32) {name})"#),
    );
    let text =
        text.replacen("(global.get $next)\n", &format!("(drop {name}) (global.get $next)\n"), 1);
    too_deep(&mut world(tier, &text)?)
}

/// No guest code runs. The call says so, or, where the guest calls directly, the next one.
fn under_a_leaf(tier: Tier) -> Result<(), String> {
    let text = guest(
        &["cb.keep i32", "cb.fire_leaf i32 -> i32"],
        r#"(global $ran (mut i32) (i32.const 0))
        (func $f0 (param i32) (result i32) (global.set $ran (i32.const 1)) (i32.const 7))
        (func (export "go") (result i32) (call $keep (i32.const 1)) (call $fire_leaf (i32.const 1)))
        (func (export "ran") (result i32) (global.get $ran))"#,
    );
    let mut world = world(tier, &text)?;
    let error = match world.call("go") {
        // What C gets of a callback that did not run.
        Ok(-9) if tier == Tier::Direct => failure(world.call("works"))?,
        outcome => failure(outcome)?,
    };
    call_error(error, true, "said to be a leaf")?;
    match world.call("ran") {
        Ok(0) => world.works(),
        _ => Err("guest code has run".to_owned()),
    }
}
