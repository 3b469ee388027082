//! From how many calls on each tier pays: `cargo bench --bench tiering`.
//!
//! A guest makes N calls of each of three functions. What is timed is all that a bridge adds to a run: building it,
//! linking (where eager tiers make their code), the instance, the calls. The guest's own code is compiled before. Each
//! contender in turn in every round, in a store of its own; medians in microseconds. The automatic ones make code in the
//! background after so many calls; what they need of the second core is not in their time, what they wait for is. The last
//! column is what making code in the background costs more than making it when functions are linked: the median of what
//! each round says of `auto` and `direct`, with its 95 % interval.
#![expect(unsafe_code, reason = "it plays a C library")]
use portcullis::bench::statistics::{Interval, paired};
use portcullis::host::{Bridge, BridgeBuilder, Natives, Tier};
use std::ffi::{c_int, c_uint, c_void};
use std::time::Instant;
use wasmtime::{Engine, Linker, Module, Store};

const INTERFACE: &str = r#"
#pragma portcullis library "libtiers.so" module "tiers"
int add(int a, int b);
unsigned sum(const uint8_t *__counted_by(n) p, unsigned n);
double mixed(int a, double b, long c, double d, short e, double f, int g, long long h);
"#;

const GUEST: &str = r#"(module
    (import "tiers" "add" (func $add (param i32 i32) (result i32)))
    (import "tiers" "sum" (func $sum (param i32 i32) (result i32)))
    (import "tiers" "mixed" (func $mixed (param i32 f64 i32 f64 i32 f64 i32 i64) (result f64)))
    (memory (export "memory") 1)
    (func (export "run") (param $n i32)
        (loop $l
            (drop (call $add (local.get $n) (i32.const 2)))
            (drop (call $sum (i32.const 64) (i32.const 4)))
            (drop (call $mixed (local.get $n) (f64.const 1) (i32.const 2) (f64.const 3) (i32.const 4)
                (f64.const 5) (i32.const 6) (i64.const 7)))
            (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))"#;

extern "C" fn add(a: c_int, b: c_int) -> c_int {
    a.wrapping_add(b)
}

/// # Safety
/// `n` bytes are readable.
unsafe extern "C" fn sum(p: *const u8, n: c_uint) -> c_uint {
    // SAFETY: the caller's promise.
    (0..n as usize).map(|at| u32::from(unsafe { *p.add(at) })).sum()
}

extern "C" fn mixed(a: c_int, b: f64, c: i64, d: f64, e: i16, f: f64, g: c_int, h: i64) -> f64 {
    f64::from(a) + b + c as f64 + d + f64::from(e) + f + f64::from(g) + h as f64
}

type Contender = (&'static str, fn(BridgeBuilder) -> BridgeBuilder);

const CONTENDERS: [Contender; 9] = [
    ("interpreter", |builder| builder.max_tier(Tier::Interpreter)),
    ("template", |builder| builder.max_tier(Tier::Template)),
    ("cranelift", |builder| builder.max_tier(Tier::Cranelift)),
    ("direct", |builder| builder.max_tier(Tier::Direct)),
    ("auto", |builder| builder),
    ("after 200", |builder| builder.when_hot(200)),
    ("after 1000", |builder| builder.when_hot(1000)),
    ("after 5000", |builder| builder.when_hot(5000)),
    ("after 20000", |builder| builder.when_hot(20_000)),
];

/// Microseconds of a bridge, an instance, and so many calls of each function.
fn run(engine: &Engine, module: &Module, contender: Contender, calls: i32) -> f64 {
    let start = Instant::now();
    // SAFETY: the interface is true of the functions above, which are static.
    let builder = unsafe {
        let builder = Bridge::builder(engine).grant_interface("tiers.h", INTERFACE);
        let builder = builder.unwrap_or_else(|error| panic!("{error}"));
        let builder = builder.symbol("libtiers.so", "add", add as *const c_void);
        let builder = builder.symbol("libtiers.so", "sum", sum as *const c_void);
        builder.symbol("libtiers.so", "mixed", mixed as *const c_void)
    };
    let bridge = contender.1(builder).build().expect("a bridge");
    let mut store = Store::new(engine, Natives::default());
    let linker = Linker::new(engine);
    let instance = bridge.instantiate(&mut store, &linker, module, |natives| natives);
    let instance = instance.unwrap_or_else(|error| panic!("{error:?}"));
    let run = instance.get_typed_func::<i32, ()>(&mut store, "run").expect("exported");
    run.call(&mut store, calls).unwrap_or_else(|error| panic!("{error:?}"));
    start.elapsed().as_secs_f64() * 1e6
}

fn main() {
    let long = std::env::args().any(|argument| argument == "--bench");
    let quick = std::env::args().any(|argument| argument == "--quick");
    // Only this many calls of each function.
    let only: Option<i32> = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let engine = Engine::default();
    let module = Module::new(&engine, GUEST).unwrap_or_else(|error| panic!("{error:?}"));
    let first: Vec<f64> = CONTENDERS.map(|one| run(&engine, &module, one, 1)).to_vec();
    let most = if long { 7 } else { 2 };
    print!("{:>12}", "calls of each");
    CONTENDERS.iter().for_each(|(name, _)| print!("{name:>13}"));
    println!("{:>28}", "auto - direct");
    let row = |calls: &str, times: &[f64]| {
        print!("{calls:>12} ");
        times.iter().for_each(|time| print!("{time:>13.0}"));
    };
    // With whatever a process does once: trials of the compiler and of direct calls.
    row("first of all", &first);
    println!();
    let steps = (0..=most).flat_map(|power| [1, 3].map(|times| times * 10_i32.pow(power)));
    let steps = steps.take_while(|calls| *calls <= 10_i32.pow(most));
    for calls in steps.filter(|calls| only.is_none_or(|only| only == *calls)) {
        let rounds = match calls {
            _ if !long => 1,
            0..100_000 if quick => 21,
            0..100_000 => 201,
            100_000..1_000_000 if quick => 11,
            100_000..1_000_000 => 101,
            _ if quick => 3,
            1_000_000..10_000_000 => 31,
            _ => 11,
        };
        let mut times = vec![Vec::new(); CONTENDERS.len()];
        for _ in 0..rounds {
            for (contender, times) in CONTENDERS.into_iter().zip(&mut times) {
                times.push(run(&engine, &module, contender, calls));
            }
        }
        let medians: Vec<f64> = times.iter().map(|times| Interval::of(times).median).collect();
        row(&calls.to_string(), &medians);
        let of = |name: &str| CONTENDERS.iter().position(|one| one.0 == name).map(|at| &times[at]);
        let (auto, direct) = (of("auto").expect("it is one"), of("direct").expect("likewise"));
        let Interval { low, median, high } =
            Interval::of(&paired(auto, direct, |auto, eager| auto - eager));
        println!("{:>28}", format!("{median:.0} [{low:.0}, {high:.0}]"));
    }
}
