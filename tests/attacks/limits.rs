//! Limits: what a guest may use of each, and that the error names it.
use crate::native;
use crate::stage::{Attack, World, builder, call_error, contains, guest, text_of};
use portcullis::host::{Bridge, Tier};
use portcullis::plan::Limits;
use std::path::PathBuf;
use std::sync::OnceLock;
use wasmtime::{Linker, Module, Store};

pub fn attacks() -> Vec<Attack> {
    vec![
        Attack::program(
            "every_limit",
            "use more than each limit allows, one after the other",
            every_limit,
        ),
        Attack::program(
            "hundred_thousand_callbacks",
            "have 100,000 functions called by native code, and one more",
            hundred_thousand_callbacks,
        ),
        Attack::program(
            "memory_exhaustion",
            "have native memory kept until there is none",
            memory_exhaustion,
        ),
    ]
}

fn library() -> &'static PathBuf {
    static LIBRARY: OnceLock<(PathBuf, tempfile::TempDir)> = OnceLock::new();
    let made = || {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let source = include_str!("limits.c");
        (native::compile(folder.path(), "liblimits.so", source, &["-O1"]), folder)
    };
    &LIBRARY.get_or_init(made).0
}

fn bridge(tier: Tier, limits: Limits) -> Bridge {
    let builder = builder(tier).library("liblimits.so", library()).expect("an absolute path");
    // SAFETY: the interface is true of the library.
    let builder = unsafe { builder.grant_interface("limits.h", include_str!("limits.h")) };
    builder.expect("valid").limits(limits).build().expect("a bridge")
}

/// Imports and a body that uses without end what the limit of that name bounds, and whether native code has run when the
/// error is raised.
fn without_end(limit: &str) -> (&'static [&'static str], &'static str, bool) {
    match limit {
        "handles" => (
            &["limits.keeper_new -> i32"],
            r#"(func (export "go") (result i32)
                (loop $more (drop (call $keeper_new)) (br $more)) (i32.const 0))"#,
            false,
        ),
        "stack_reserve" => (
            &["limits.applied i32 i32 -> i32"],
            r#"(func $f0 (param i32) (result i32) (i32.const 0))
            (func (export "go") (result i32) (call $applied (i32.const 1) (i32.const 3)))"#,
            false,
        ),
        "depth" => (
            &["limits.applied i32 i32 -> i32"],
            r#"(func $f0 (param i32) (result i32) (call $applied (i32.const 1) (local.get 0)))
            (func (export "go") (result i32) (call $applied (i32.const 1) (i32.const 3)))"#,
            // Inside of calls that run already.
            true,
        ),
        "copied_bytes" => (
            // A string that a callback could change is copied.
            &["cb.steady i32 i32 i32 -> i32"],
            r#"(func $f0 (param i32) (result i32) (i32.const 0))
            (func (export "go") (result i32)
                (memory.fill (i32.const 512) (i32.const 65) (i32.const 20000))
                (call $steady (i32.const 512) (i32.const 80000) (i32.const 1)))"#,
            false,
        ),
        "loans" => (
            &["mock.box_new i32 -> i32", "mock.box_name i32 -> i32"],
            r#"(func (export "go") (result i32)
                (loop $more (drop (call $box_name (call $box_new (i32.const 1)))) (br $more))
                (i32.const 0))"#,
            true,
        ),
        "static_copies" => (
            &["limits.constant i32 -> i32"],
            r#"(func (export "go") (result i32) (local $n i32)
                (loop $more
                    (drop (call $constant (local.get $n)))
                    (local.set $n (i32.add (local.get $n) (i32.const 1))) (br $more))
                (i32.const 0))"#,
            true,
        ),
        "captured_bytes" => (
            &["limits.keeper_new -> i32", "limits.keeper_text i32 i32"],
            r#"(func (export "go") (result i32) (local $k i32)
                (memory.fill (i32.const 512) (i32.const 65) (i32.const 1000))
                (local.set $k (call $keeper_new))
                (loop $more (call $keeper_text (local.get $k) (i32.const 512)) (br $more))
                (i32.const 0))"#,
            false,
        ),
        "captures" => (
            &["limits.keeper_new -> i32", "limits.keeper_other i32 i32"],
            r#"(func (export "go") (result i32) (local $k i32)
                (local.set $k (call $keeper_new))
                (loop $more (call $keeper_other (local.get $k) (call $keeper_new)) (br $more))
                (i32.const 0))"#,
            false,
        ),
        "callbacks" => (
            &["limits.applied i32 i32 -> i32"],
            r#"(func $f0 (param i32) (result i32) (i32.const 0))
            (func $f1 (param i32) (result i32) (i32.const 0))
            (func $f2 (param i32) (result i32) (i32.const 0))
            (func $f3 (param i32) (result i32) (i32.const 0))
            (func (export "go") (result i32) (local $n i32)
                (loop $more
                    (local.set $n (i32.add (local.get $n) (i32.const 1)))
                    (drop (call $applied (local.get $n) (i32.const 1)))
                    (br_if $more (i32.lt_u (local.get $n) (i32.const 4))))
                (i32.const 0))"#,
            false,
        ),
        other => panic!("the limit `{other}` is new: what is beyond it?"),
    }
}

fn every_limit(tier: Tier) -> Result<(), String> {
    for name in Limits::NAMES {
        let mut limits = Limits::default();
        // More of the stack must be left than the thread has that calls.
        let small = match name {
            "stack_reserve" => 1200 << 10,
            "copied_bytes" | "captured_bytes" => 10_000,
            _ => 3,
        };
        if name == "prototype_bytes" {
            // It is there when a guest is linked: see `prototype_without_end`.
            continue;
        }
        limits.set(name, small).map_err(|error| error.to_string())?;
        let (imports, body, called) = without_end(name);
        let mut world = World::new(&bridge(tier, limits), &guest(imports, body))
            .map_err(|error| format!("{name}: {}", text_of(&error)))?;
        for _ in 0..2 {
            let outcome = match name {
                "stack_reserve" => on_a_small_stack(&mut world),
                _ => world.call("go"),
            };
            let error = match outcome {
                Ok(value) => return Err(format!("{name}: it returned {value}")),
                Err(error) => error,
            };
            let said = format!("the limit `{name}`");
            call_error(error, called, &said).map_err(|why| format!("{name}: {why}"))?;
            world.works().map_err(|why| format!("{name}: {why}"))?;
        }
    }
    Ok(())
}

fn on_a_small_stack(world: &mut World) -> wasmtime::Result<i32> {
    std::thread::scope(|scope| {
        let small = std::thread::Builder::new().stack_size(1 << 20);
        let thread = small.spawn_scoped(scope, || world.call("go")).expect("a thread");
        thread.join().expect("it does not panic")
    })
}

/// A store has one closure for each function and instance: 200 instances of 500 functions.
fn hundred_thousand_callbacks(tier: Tier) -> Result<(), String> {
    const FUNCTIONS: i32 = 500;
    const INSTANCES: i32 = 200;
    let functions: String = (0..FUNCTIONS)
        .map(|n| format!("(func $f{n} (param i32) (result i32) (i32.const {n}))\n"))
        .collect();
    let go = r#"(func (export "go") (param i32) (result i32) (call $applied (local.get 0) (i32.const 1)))"#;
    let text = guest(&["limits.applied i32 i32 -> i32"], &(functions + go))
        .replace("64 funcref", "501 funcref")
        .replace("\"memory\") 2 8", "\"memory\") 0");
    let limits = Limits { callbacks: 100_000 - 1, ..Limits::default() };
    let bridge = bridge(tier, limits);
    let failed = |error: wasmtime::Error| text_of(&error);
    let module = Module::new(bridge.engine(), text).map_err(failed)?;
    let mut store = Store::new(bridge.engine(), portcullis::host::Natives::default());
    let linker = Linker::new(bridge.engine());
    let (mut works, mut refused) = (0, None);
    for _ in 0..INSTANCES {
        let one = bridge.instantiate(&mut store, &linker, &module, |natives| natives);
        let one = one.map_err(failed)?;
        let go = one.get_typed_func::<i32, i32>(&mut store, "go").map_err(failed)?;
        for index in 1..=FUNCTIONS {
            match go.call(&mut store, index) {
                Ok(sum) if sum == 2 * (index - 1) => works += 1,
                Ok(sum) => return Err(format!("function {index} made {sum}")),
                Err(error) => refused = Some(error),
            }
        }
    }
    if works != FUNCTIONS * INSTANCES - 1 {
        return Err(format!("{works} functions were called"));
    }
    let error = refused.ok_or("nothing was refused")?;
    call_error(error, false, "the limit `callbacks` of 99999")
}

/// With the limits that there are when nobody sets them.
fn memory_exhaustion(tier: Tier) -> Result<(), String> {
    let text = guest(
        &["limits.keeper_new -> i32", "limits.keeper_text i32 i32"],
        r#"(func (export "go") (result i32) (local $k i32)
            (memory.fill (i32.const 512) (i32.const 65) (i32.const 60000))
            (local.set $k (call $keeper_new))
            (loop $more (call $keeper_text (local.get $k) (i32.const 512)) (br $more))
            (i32.const 0))"#,
    );
    let world = World::new(&bridge(tier, Limits::default()), &text);
    let mut world = world.map_err(|error| text_of(&error))?;
    let Err(error) = world.call("go") else { return Err("it ended".to_owned()) };
    let said = text_of(&error);
    call_error(error, false, "the limit `captured_bytes`")?;
    contains(&said, "67108864")?;
    world.works()
}
