//! The ways to call a native function that are compared, each with a guest of its own.
//!
//! | name | what it is |
//! |---|---|
//! | C | a loop that calls through a volatile pointer, compiled with this program |
//! | wrap | `Func::wrap` by hand, a function a row, memory and functions cached |
//! | interpreter, template, cranelift, direct | the tiers of the bridge |
#![expect(unsafe_code, reason = "grants interfaces of the benchmark's own functions")]
use super::harness::{Contender, Loop};
use super::row::{Grant, Row, State};
use crate::host::{Bridge, BridgeBuilder, ImportStatus, Tier};
use crate::plan::CallError;
use std::cell::RefCell;
use std::rc::Rc;
use wasmtime::{Engine, Func, Instance, Linker, Module, Store};

/// A contender, or why there is none.
pub type Entry = (&'static str, Result<Contender, String>);

/// A way to make the host function that programs outside of this library add.
pub type Extra<'e> = (&'static str, &'e dyn Fn(&Row, &mut Store<State>) -> Result<Func, String>);

/// The contenders of one row, in the order of tables. Each has made one call.
#[must_use]
pub fn contenders(engine: &Engine, row: &Row, extra: &[Extra<'_>]) -> Vec<Entry> {
    let tiers = [
        ("interpreter", Tier::Interpreter),
        ("template", Tier::Template),
        ("cranelift", Tier::Cranelift),
        ("direct", Tier::Direct),
    ];
    // Each has code of its own, as the C loops have: a call instruction that has many targets is one that processors
    // foretell by another, slower way.
    let module = |bridged| {
        let module = Module::new(engine, row.guest.text(bridged));
        module.map_err(told)
    };
    // Guards of interfaces want a library that is not in use, so the bridge comes first.
    let tiers: Vec<Entry> = tiers
        .into_iter()
        .map(|(name, tier)| {
            (name, module(true).and_then(|module| bridge_guest(name, &module, row, tier)))
        })
        .collect();
    let by_hand = |(name, make): &Extra<'_>| {
        let made =
            module(false).and_then(|module| by_hand(name, &module, |store| make(row, store)));
        (*name, made)
    };
    let wrap: Extra<'_> = ("wrap", &|row, store| (row.wrap)(store));
    let c = (row.c)().map(|(mut run, empty)| {
        run(1);
        Contender { name: "C", run, empty }
    });
    let mut all = vec![("C", c), by_hand(&wrap)];
    all.extend(extra.iter().map(by_hand));
    all.extend(tiers);
    all
}

/// A guest that gets a function that was made by hand.
fn by_hand(
    name: &'static str,
    module: &Module,
    make: impl FnOnce(&mut Store<State>) -> Result<Func, String>,
) -> Result<Contender, String> {
    let mut store = Store::new(module.engine(), State::default());
    let function = make(&mut store)?;
    let instance = Instance::new(&mut store, module, &[function.into()]);
    let instance = instance.map_err(told)?;
    contender(name, store, instance)
}

/// The bridge that grants a row's function.
///
/// # Errors
/// When an interface is not correct, or something that it needs is not there.
pub fn bridge(engine: &Engine, row: &Row, tier: Tier) -> Result<Bridge, String> {
    let builder = Bridge::builder(engine).max_tier(tier);
    let told = |error: crate::host::BuildError| error.to_string();
    let builder: BridgeBuilder = match &row.grant {
        Grant::Shipped(shipped) => builder.grant(shipped.clone()).map_err(told)?,
        Grant::Text { text, symbols, libraries } => {
            let mut builder = builder;
            for (name, path) in libraries {
                builder = builder.library(name, path).map_err(told)?;
            }
            // SAFETY: whoever has made the row vouches for it: the functions of this library are as
            // their interfaces say, and of those of a user the user says so.
            unsafe {
                builder = builder.grant_interface("bench.h", text).map_err(told)?;
                for (symbol, address) in symbols {
                    builder = builder.symbol("libbench.so", symbol, address.get());
                }
            }
            builder
        }
    };
    builder.build().map_err(told)
}

/// A guest of the bridge, if that tier runs the function.
fn bridge_guest(
    name: &'static str,
    module: &Module,
    row: &Row,
    tier: Tier,
) -> Result<Contender, String> {
    let bridge = bridge(module.engine(), row, tier)?;
    for import in bridge.describe(module) {
        if (&import.module, &import.name) != (&row.guest.import.0, &row.guest.import.1) {
            continue;
        }
        match import.status {
            ImportStatus::Native(functions) => {
                let other = functions.iter().find(|function| function.tier != tier);
                if let Some(other) = other {
                    let why = other.why_no_faster.as_deref().unwrap_or("no reason is given");
                    return Err(format!("{} runs it: {why}", other.tier));
                }
            }
            ImportStatus::Refused(error) => {
                // How an embedder helps against it is not for here.
                let why = error.problem.to_string();
                let lines = why.lines().filter(|line| !line.contains("BridgeBuilder::library"));
                return Err(lines.collect::<Vec<_>>().join("\n"));
            }
            _ => return Err("it is not granted".to_owned()),
        }
    }
    let mut store = Store::new(module.engine(), State::default());
    let linker = Linker::new(module.engine());
    let instance = bridge.instantiate(&mut store, &linker, module, |state| &mut state.natives);
    contender(name, store, instance.map_err(told)?)
}

/// What went wrong, without the guest's frames: they are of a loop that nobody has written.
fn told(error: wasmtime::Error) -> String {
    match error.downcast_ref::<CallError>() {
        Some(error) => error.to_string(),
        None => format!("{:#}", error.root_cause()),
    }
}

fn contender(
    name: &'static str,
    mut store: Store<State>,
    instance: Instance,
) -> Result<Contender, String> {
    store.data_mut().memory = instance.get_memory(&mut store, "memory");
    store.data_mut().table = instance.get_table(&mut store, "__indirect_function_table");
    let setup = instance.get_typed_func::<(), ()>(&mut store, "setup").map_err(told)?;
    setup.call(&mut store, ()).map_err(told)?;
    let store = Rc::new(RefCell::new(store));
    let named = |name: &str| -> Result<Loop, String> {
        let function = instance.get_func(&mut *store.borrow_mut(), name);
        let function = function.ok_or("the guest has loops")?;
        macro_rules! typed {
            ($ty:ty) => {{
                let function = function.typed::<u32, $ty>(&*store.borrow());
                function.map(|function| -> Loop {
                    let store = Rc::clone(&store);
                    Box::new(move |turns| {
                        function.call(&mut *store.borrow_mut(), turns).expect("no call fails");
                    })
                })
            }};
        }
        typed!(i32).or_else(|_| typed!(i64)).or_else(|_| typed!(f64)).map_err(told)
    };
    let (run, empty) = (named("run")?, named("empty")?);
    let first = instance.get_func(&mut *store.borrow_mut(), "run").ok_or("the guest has loops")?;
    // A call that fails says so here, and none does afterwards.
    let mut results = [wasmtime::Val::I32(0)];
    first.call(&mut *store.borrow_mut(), &[wasmtime::Val::I32(1)], &mut results).map_err(told)?;
    Ok(Contender { name, run, empty })
}
