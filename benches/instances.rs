//! What an instance costs: `cargo bench --bench instances`.
//!
//! A module of 100 imports (scalars, checked buffers, strings, a handle in turn) and a memory is instantiated in a fresh store,
//! everything warm: by wasmtime alone, whose imports are closures in a `Linker`, through `InstancePre`, and by
//! bridges of each tier. Store and instance are made within the time; taking them down is a column of its own.
#![expect(unsafe_code, reason = "grants an interface")]
#[path = "support/prologue.rs"]
mod prologue;

use portcullis::bench::statistics::{Interval, Verdict, paired};
use portcullis::host::{Bridge, Natives, Tier};
use std::ffi::c_void;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Instant;
use wasmtime::{Engine, Linker, Module, Store};

const IMPORTS: usize = 100;
/// At most so many microseconds more than wasmtime alone.
const AIM: f64 = 50.0;

/// Never called.
extern "C" fn nothing() -> i64 {
    0
}

/// Prototype and wasm parameters of an import, whose result is an `i32`.
fn import(number: usize) -> (String, &'static str) {
    match number % 5 {
        0 => (format!("int f{number}(int a, int b)"), "i32 i32"),
        1 => (format!("int f{number}(const uint8_t *__counted_by(n) p, unsigned n)"), "i32 i32"),
        2 => (format!("int f{number}(const char *s, long a)"), "i32 i32"),
        3 => (format!("int f{number}(struct thing *t, int a)"), "i32 i32"),
        _ => (format!("int f{number}(int a, const int *__counted_by(4) p)"), "i32 i32"),
    }
}

fn text() -> String {
    let mut text = String::from("(module\n");
    for number in 0..IMPORTS {
        let (_, params) = import(number);
        writeln!(text, "(import \"m\" \"f{number}\" (func (param {params}) (result i32)))")
            .expect("a string takes everything");
    }
    text + "(memory (export \"memory\") 1))"
}

/// A way to make an instance in a fresh store, which is returned.
type Make = Box<dyn Fn() -> Box<dyn std::any::Any>>;

fn plain(engine: &Engine, module: &Module) -> Make {
    let mut linker = Linker::new(engine);
    for number in 0..IMPORTS {
        let added = linker.func_wrap("m", &format!("f{number}"), |a: i32, b: i32| -> i32 { a ^ b });
        added.expect("each has a name of its own");
    }
    let pre = linker.instantiate_pre(module).expect("everything is there");
    let engine = engine.clone();
    Box::new(move || {
        let mut store = Store::new(&engine, Natives::default());
        pre.instantiate(&mut store).expect("it starts");
        Box::new(store)
    })
}

fn bridged(engine: &Engine, module: &Module, tier: Tier, hot: bool) -> Make {
    let mut interface =
        "#pragma portcullis library \"libm100.so\" module \"m\"\nstruct thing;\n".to_owned();
    for number in 0..IMPORTS {
        writeln!(interface, "{} __leaf;", import(number).0).expect("a string takes everything");
    }
    // SAFETY: none of them is called.
    let builder = unsafe {
        Bridge::builder(engine).max_tier(tier).grant_interface("instances.h", &interface)
    };
    let builder = builder.unwrap_or_else(|error| panic!("{error}"));
    let builder = if hot { builder.when_hot(1000) } else { builder };
    let builder = (0..IMPORTS).fold(builder, |builder, number| {
        let address: *const c_void = nothing as *const c_void;
        // SAFETY: likewise.
        unsafe { builder.symbol("libm100.so", &format!("f{number}"), address) }
    });
    let bridge = builder.build().unwrap_or_else(|error| panic!("{error}"));
    let (linker, module) = (Linker::new(engine), module.clone());
    Box::new(move || {
        let mut store = Store::new(bridge.engine(), Natives::default());
        let made = bridge.instantiate(&mut store, &linker, &module, |natives| natives);
        made.unwrap_or_else(|error| panic!("{error:?}"));
        Box::new(store)
    })
}

fn main() -> ExitCode {
    let rounds = match prologue::begin(101, 1001, ", each one instance of every contender") {
        Ok(rounds) => rounds,
        Err(code) => return code,
    };
    let engine = Engine::default();
    let module = Module::new(&engine, text()).expect("a module");
    let contenders: [(&str, Make); 6] = [
        ("wasmtime alone", plain(&engine, &module)),
        ("interpreter", bridged(&engine, &module, Tier::Interpreter, false)),
        ("template", bridged(&engine, &module, Tier::Template, false)),
        ("cranelift", bridged(&engine, &module, Tier::Cranelift, false)),
        ("direct", bridged(&engine, &module, Tier::Direct, false)),
        ("direct when hot", bridged(&engine, &module, Tier::Direct, true)),
    ];
    let mut made = vec![Vec::with_capacity(rounds); contenders.len()];
    let mut dropped = made.clone();
    for (_, make) in &contenders {
        (0..3).for_each(|_| drop(make()));
    }
    for round in 0..rounds {
        for turn in 0..contenders.len() {
            let at = (round + turn) % contenders.len();
            let start = Instant::now();
            let store = contenders[at].1();
            let between = Instant::now();
            drop(store);
            made[at].push((between - start).as_secs_f64() * 1e6);
            dropped[at].push(between.elapsed().as_secs_f64() * 1e6);
        }
    }
    println!("\n{IMPORTS} imports{:>17}{:>24}{:>24}", "us to make", "us more", "us to drop");
    let show = |of: Interval| format!("{:.1} [{:.1}, {:.1}]", of.median, of.low, of.high);
    let mut missed = Vec::new();
    for (at, (name, _)) in contenders.iter().enumerate() {
        let more = Interval::of(&paired(&made[at], &made[0], |one, other| one - other));
        let (makes, drops) = (Interval::of(&made[at]), Interval::of(&dropped[at]));
        println!("  {name:<16}{:>22}{:>22}{:>24}", show(makes), show(more), show(drops));
        match more.at_most(AIM) {
            Verdict::Met => {}
            Verdict::Undecided => missed.push(format!("{name}: undecided")),
            Verdict::Missed => missed.push(format!("{name}: MISSED")),
        }
    }
    let verdict = if missed.is_empty() { "met".to_owned() } else { missed.join(", ") };
    println!("aim: at most {AIM} us more than wasmtime alone: {verdict}");
    ExitCode::SUCCESS
}
