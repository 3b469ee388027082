//! What a whole library costs a guest: `cargo bench --bench sqlite`, or with `-- --quick`.
//!
//! One C source (`benches/sqlite/rows.c`) inserts 100,000 rows into SQLite and reads them again, as a guest and
//! as native code on the same library. Both run in every round, in an order that changes, on one core; a
//! figure is the median over all rounds of guest against native within a round, with its 95 % interval.
#![expect(unsafe_code, reason = "calls the native side")]
#[path = "support/prologue.rs"]
mod prologue;

use libloading::Library;
use portcullis::bench::statistics::{Interval, paired};
use portcullis::host::{Bridge, Natives, Tier};
use portcullis::interfaces;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;
use wasmtime::{Engine, Instance, Linker, Module, Store, TypedFunc};

const ROWS: i32 = 100_000;
/// The aims, for the interpreter: guest against native.
const AIMS: [(&str, f64); 2] = [("insert", 1.1), ("select", 1.6)];

/// Guests, and native code as the last.
const SIDES: usize = 5;

/// One side: functions that run the work once.
trait Side {
    fn open(&mut self) -> i32;
    fn clear(&mut self) -> i32;
    fn insert(&mut self) -> i32;
    fn select(&mut self) -> f64;

    /// Milliseconds that inserting and selecting take.
    fn round(&mut self) -> [f64; 2] {
        assert_eq!(self.clear(), 0);
        let start = Instant::now();
        assert_eq!(self.insert(), 0);
        let inserted = start.elapsed();
        let start = Instant::now();
        let sum = self.select();
        let selected = start.elapsed();
        assert!(sum > 7.5e9, "the rows are there: {sum}");
        [inserted, selected].map(|time| time.as_secs_f64() * 1e3)
    }
}

struct Native(Library);

impl Native {
    fn build() -> Native {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let library = folder.path().join("librows.so");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/sqlite/build.sh");
        let built = Command::new("sh").arg(script).arg("native").arg(&library).status();
        assert!(built.expect("a shell").success(), "needs a C compiler and libsqlite3.so.0");
        // SAFETY: it has no constructors.
        Native(unsafe { Library::new(&library) }.expect("it was just built"))
    }

    fn call(&self, name: &str) -> i32 {
        // SAFETY: the functions that are called so are `int f(void)` (`rows.c`).
        unsafe { self.0.get::<extern "C" fn() -> i32>(name).expect("it is defined")() }
    }
}

impl Side for Native {
    fn open(&mut self) -> i32 {
        self.call("rows_open")
    }

    fn clear(&mut self) -> i32 {
        self.call("rows_clear")
    }

    fn insert(&mut self) -> i32 {
        // SAFETY: it is `int f(int)`.
        unsafe { self.0.get::<extern "C" fn(i32) -> i32>("rows_insert").expect("defined")(ROWS) }
    }

    fn select(&mut self) -> f64 {
        // SAFETY: it is `double f(void)`.
        unsafe { self.0.get::<extern "C" fn() -> f64>("rows_select").expect("defined")() }
    }
}

struct Guest {
    store: Store<Natives>,
    instance: Instance,
    insert: TypedFunc<i32, i32>,
    select: TypedFunc<(), f64>,
}

impl Guest {
    fn new(tier: Tier) -> Guest {
        let engine = Engine::default();
        let bridge = Bridge::builder(&engine).grant(interfaces::sqlite3());
        let bridge = bridge.expect("it can be granted").max_tier(tier).build().expect("a bridge");
        let module = Module::new(&engine, include_bytes!("sqlite/rows.wasm")).expect("valid");
        let mut store = Store::new(&engine, Natives::default());
        let linker = Linker::new(&engine);
        let instance = bridge.instantiate(&mut store, &linker, &module, |natives| natives);
        let instance = instance.expect("it links");
        let start = instance.get_typed_func::<(), ()>(&mut store, "_initialize").expect("exported");
        start.call(&mut store, ()).expect("it starts");
        let insert = instance.get_typed_func(&mut store, "rows_insert").expect("exported");
        let select = instance.get_typed_func(&mut store, "rows_select").expect("exported");
        Guest { store, instance, insert, select }
    }

    fn call(&mut self, name: &str) -> i32 {
        let function = self.instance.get_typed_func::<(), i32>(&mut self.store, name);
        function.expect("exported").call(&mut self.store, ()).expect("no trap")
    }
}

impl Side for Guest {
    fn open(&mut self) -> i32 {
        self.call("rows_open")
    }

    fn clear(&mut self) -> i32 {
        self.call("rows_clear")
    }

    fn insert(&mut self) -> i32 {
        self.insert.call(&mut self.store, ROWS).expect("no trap")
    }

    fn select(&mut self) -> f64 {
        self.select.call(&mut self.store, ()).expect("no trap")
    }
}

fn main() -> ExitCode {
    let rounds = match prologue::begin(11, 51, &format!(" of {ROWS} rows")) {
        Ok(rounds) => rounds,
        Err(code) => return code,
    };
    // The guests come first: their guard wants a library that is not in use.
    let mut sides: [(&str, Box<dyn Side>); SIDES] = [
        ("interpreter", Box::new(Guest::new(Tier::Interpreter))),
        ("template", Box::new(Guest::new(Tier::Template))),
        ("cranelift", Box::new(Guest::new(Tier::Cranelift))),
        ("direct", Box::new(Guest::new(Tier::Direct))),
        ("native", Box::new(Native::build())),
    ];
    for (name, side) in &mut sides {
        assert_eq!(side.open(), 0, "{name}");
        side.round(); // to warm up
    }
    let mut times: [[Vec<f64>; 2]; SIDES] = Default::default();
    for round in 0..rounds {
        for turn in 0..SIDES {
            let at = (turn + round) % SIDES;
            let taken = sides[at].1.round();
            times[at][0].push(taken[0]);
            times[at][1].push(taken[1]);
        }
    }
    for (what, (name, aim)) in AIMS.into_iter().enumerate() {
        let native = &times[SIDES - 1][what];
        println!("{name}: native {:.1} ms", Interval::of(native).median);
        for (side, (tier, _)) in sides.iter().enumerate().take(SIDES - 1) {
            let ratio = Interval::of(&paired(&times[side][what], native, |guest, c| guest / c));
            let Interval { low, median, high } = ratio;
            let verdict = ratio.at_most(aim);
            println!("  {tier:<12}{median:>6.2} [{low:.2}, {high:.2}], aim {aim}: {verdict:?}");
        }
    }
    ExitCode::SUCCESS
}
