//! What guests do in a round, and what must come of it.
use crate::guests::{self, INPUT, OUTPUT};
use crate::libraries::{CASES, check};
use crate::natives::Libraries;
use crate::rng::Rng;
use portcullis::host::{Bridge, Natives, Tier};
use portcullis::plan::{CallError, Limits};
use std::any::Any;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use wasmtime::{Engine, Instance, Linker, Module, Store, Trap, WasmParams, WasmResults};
use wasmtime_wasi::p1::{WasiP1Ctx, add_to_linker_sync};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtxBuilder};

/// The tiers that a bridge is asked for; `None` chooses by itself, and makes code after a few calls.
const TIERS: [Option<Tier>; 5] = [
    None,
    Some(Tier::Interpreter),
    Some(Tier::Template),
    Some(Tier::Cranelift),
    Some(Tier::Direct),
];

/// What was done so far.
#[derive(Debug, Default)]
pub struct Done {
    pub rounds: AtomicU64,
    pub bridges: AtomicU64,
    pub instances: AtomicU64,
    /// Native calls that the test's own guests have made; those of the shipped guests are not counted.
    pub calls: AtomicU64,
    /// Likewise of callbacks.
    pub callbacks: AtomicU64,
    /// Calls and guests that ended in an error, as they had to.
    pub errors: AtomicU64,
    /// Instances that were dropped with native objects left, or by an error.
    pub left: AtomicU64,
}

impl Done {
    fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }
}

/// What the embedder's own function raises.
#[derive(Debug)]
struct Leave;

impl fmt::Display for Leave {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("leaving")
    }
}

impl std::error::Error for Leave {}

/// A shipped guest, and what it prints natively.
struct Example {
    name: &'static str,
    module: Module,
    arguments: &'static [&'static str],
    expected: String,
}

/// Everything that is made once.
pub struct Traffic {
    engine: Engine,
    pub libraries: Libraries,
    modules: Vec<(&'static str, Module)>,
    examples: Vec<Example>,
    linker: Linker<Natives>,
    wasi: Linker<State>,
    pub done: Done,
}

struct State {
    wasi: WasiP1Ctx,
    natives: Natives,
}

/// A store with a guest.
struct Guest {
    store: Store<Natives>,
    instance: Instance,
}

impl Guest {
    fn call<P: WasmParams, R: WasmResults>(&mut self, name: &str, with: P) -> wasmtime::Result<R> {
        let function = self.instance.get_typed_func::<P, R>(&mut self.store, name)?;
        function.call(&mut self.store, with)
    }

    fn run<P: WasmParams, R: WasmResults>(&mut self, name: &str, with: P) -> R {
        self.call(name, with).unwrap_or_else(|error| panic!("{name}: {error:?}"))
    }

    fn bytes(&mut self) -> &mut [u8] {
        let memory = self.instance.get_memory(&mut self.store, "memory").expect("exported");
        memory.data_mut(&mut self.store)
    }

    fn write(&mut self, data: &[u8]) {
        self.bytes()[INPUT..INPUT + data.len()].copy_from_slice(data);
    }

    fn callbacks(&mut self) -> u64 {
        let global = self.instance.get_global(&mut self.store, "callbacks").expect("exported");
        u64::try_from(global.get(&mut self.store).unwrap_i32()).expect("a count")
    }
}

/// The call is refused by an error that says this.
fn refused<R: fmt::Debug>(result: wasmtime::Result<R>, says: &str) {
    let error = result.expect_err("it must be refused");
    let text = format!("{error:#}");
    assert!(error.downcast_ref::<CallError>().is_some(), "no call error: {text}");
    assert!(text.contains(says), "{says:?} is not in: {text}");
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

impl Traffic {
    pub fn new() -> Traffic {
        let engine = Engine::default();
        let libraries = Libraries::find();
        let text = |name| match name {
            "sort" => guests::sort(),
            "zlib" => guests::zlib(),
            "sqlite3" => guests::sqlite(),
            "expat" => guests::expat(),
            "things" => guests::things(),
            other => guests::forgetful(other),
        };
        let modules = [
            ("sort", "libc.h"),
            ("things", "libc.h"),
            ("zlib", "zlib.h"),
            ("sqlite3", "sqlite3.h"),
            ("expat", "expat.h"),
            ("crypto", "crypto.h"),
            ("gmp", "gmp.h"),
        ];
        let modules =
            modules.into_iter().filter(|(_, file)| libraries.has(file)).map(|(name, _)| {
                let module = Module::new(&engine, text(name));
                (name, module.unwrap_or_else(|error| panic!("{name}: {error:?}")))
            });
        let modules = modules.collect();
        let feed: &[&str] = &["guest-examples/expat/feed.xml"];
        let examples = [
            ("cblas.h", "blas", "blas/blas.wasm", &[][..]),
            ("libc.h", "callbacks", "callbacks/callbacks.wasm", &[]),
            ("zlib.h", "deflate-stream", "deflate-stream/stream.wasm", &[]),
            ("crypto.h", "digest", "digest/digest.wasm", &[]),
            ("expat.h", "expat", "expat/feed.wasm", feed),
            ("gmp.h", "gmp", "gmp/numbers.wasm", &[]),
            ("sqlite3.h", "sqlite-functions", "sqlite-functions/functions.wasm", &[]),
            ("sqlite3.h", "sqlite", "sqlite/sqlite.wasm", &[]),
        ];
        let examples = examples.into_iter().filter(|(file, ..)| libraries.has(file));
        let examples = examples.map(|(_, name, guest, arguments)| {
            let folder = root().join("guest-examples");
            let module = Module::from_file(&engine, folder.join(guest)).expect("it is shipped");
            let expected = std::fs::read_to_string(folder.join(name).join("expected.txt"));
            Example { name, module, arguments, expected: expected.expect("it is shipped") }
        });
        let examples = examples.collect();
        let mut linker = Linker::new(&engine);
        let leave = || -> wasmtime::Result<()> { Err(wasmtime::Error::new(Leave)) };
        linker.func_wrap("env", "leave", leave).expect("defined once");
        let mut wasi: Linker<State> = Linker::new(&engine);
        add_to_linker_sync(&mut wasi, |state| &mut state.wasi).expect("defined once");
        Traffic { engine, libraries, modules, examples, linker, wasi, done: Done::default() }
    }

    /// A bridge that grants everything, of any tier.
    pub fn bridge(&self, rng: &mut Rng) -> Bridge {
        Done::add(&self.done.bridges, 1);
        let tier = *rng.pick(&TIERS);
        let mut builder = Bridge::builder(&self.engine);
        builder = match tier {
            Some(tier) => builder.max_tier(tier),
            // So few that much is compiled behind the guests' backs, and some of it too late.
            None => builder.when_hot(u32::try_from(1 + rng.below(200)).expect("small")),
        };
        for (file, shipped) in &self.libraries.shipped {
            builder = builder.grant(shipped.clone()).unwrap_or_else(|e| panic!("{file}: {e}"));
        }
        let path: &PathBuf = &self.libraries.path;
        let own = include_str!("library.h").replace("@LIBRARY@", path.to_str().expect("UTF-8"));
        // SAFETY: the interface is true of the library.
        let builder = unsafe { builder.grant_interface("library.h", &own) }.expect("valid");
        let limits = Limits { depth: 40, ..Limits::default() };
        builder.limits(limits).build().expect("a bridge")
    }

    /// Some guests on a bridge of their own or on the one that threads share. Some of them outlive the bridge.
    pub fn round(&self, shared: &Bridge, rng: &mut Rng) {
        let own = rng.chance(1, 2).then(|| self.bridge(rng));
        let bridge = own.as_ref().unwrap_or(shared);
        let mut parked: Vec<Box<dyn Any>> = Vec::new();
        for _ in 0..3 + rng.below(6) {
            let left = self.guest(bridge, rng);
            if rng.chance(1, 3) {
                parked.extend(left);
            }
        }
        if rng.chance(1, 2) {
            self.example(bridge, rng);
        }
        if rng.chance(1, 2) && self.examples.len() == 8 {
            let case = rng.pick(CASES);
            check(bridge, case).unwrap_or_else(|wrong| panic!("{wrong}"));
            Done::add(&self.done.instances, 1);
            Done::add(&self.done.errors, 1);
        }
        drop(own);
        drop(parked);
        Done::add(&self.done.rounds, 1);
    }

    /// One more than the closures that a process has without asking for memory, so that those are used again from
    /// here on.
    pub fn use_all_stubs(&self, rng: &mut Rng) {
        let bridge = self.bridge(rng);
        let (_, module) = self.modules.iter().find(|(name, _)| *name == "things").expect("always");
        for _ in 0..400 {
            let mut guest = self.instantiate(&bridge, module);
            assert_eq!(guest.run::<_, i32>("called", (1, 5)), 13);
            assert_eq!(guest.run::<_, i32>("called", (4, 5)), 15);
            assert_eq!(guest.run::<_, i32>("called", (5, 5)), 17);
        }
    }

    fn instantiate(&self, bridge: &Bridge, module: &Module) -> Guest {
        Done::add(&self.done.instances, 1);
        let mut store = Store::new(&self.engine, Natives::default());
        let instance = bridge.instantiate(&mut store, &self.linker, module, |natives| natives);
        Guest { store, instance: instance.unwrap_or_else(|error| panic!("{error:?}")) }
    }

    /// A guest of the test's own, which is returned as it was left.
    fn guest(&self, bridge: &Bridge, rng: &mut Rng) -> Option<Box<dyn Any>> {
        let (name, module) = rng.pick(&self.modules);
        let mut guest = self.instantiate(bridge, module);
        let (calls, left) = match *name {
            "sort" => self.sort(&mut guest, rng),
            "zlib" => self.zlib(&mut guest, rng),
            "sqlite3" => self.sqlite(&mut guest, rng),
            "expat" => self.expat(&mut guest, rng),
            "things" => self.things(bridge, module, &mut guest, rng),
            "crypto" => (4, guest.run::<_, i32>("go", number(rng, 1000)) == 1),
            _ => (4, guest.run::<_, i32>("go", 1 + number(rng, 300)) == 1),
        };
        Done::add(&self.done.calls, calls);
        Done::add(&self.done.callbacks, guest.callbacks());
        Done::add(&self.done.left, left.into());
        Some(Box::new(guest))
    }

    fn sort(&self, guest: &mut Guest, rng: &mut Rng) -> (u64, bool) {
        let mut numbers: Vec<i32> = (0..20 + rng.below(200)).map(|_| rng.next() as i32).collect();
        let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        guest.write(&bytes);
        let n = i32::try_from(numbers.len()).expect("small");
        let by = 1 + number(rng, 4);
        let sorted = guest.call::<_, ()>("sort", (n, by));
        match by {
            1 => {
                sorted.expect("it is in order");
                numbers.sort_unstable();
                let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
                assert_eq!(&guest.bytes()[INPUT..INPUT + bytes.len()], bytes);
                return (1, false);
            }
            2 => {
                let error = sorted.expect_err("it traps");
                assert_eq!(error.downcast_ref(), Some(&Trap::UnreachableCodeReached));
            }
            3 => assert!(sorted.expect_err("it leaves").downcast_ref::<Leave>().is_some()),
            _ => refused(sorted, "`depth`"),
        }
        Done::add(&self.done.errors, 1);
        (1, true)
    }

    fn zlib(&self, guest: &mut Guest, rng: &mut Rng) -> (u64, bool) {
        let letters = 1 + rng.below(64);
        let data: Vec<u8> =
            (0..100 + rng.below(20_000)).map(|_| rng.below(letters) as u8).collect();
        guest.write(&data);
        let n = i32::try_from(data.len()).expect("small");
        let times = 1 + number(rng, 300);
        let sum = guest.run::<_, i32>("crc", (n, times));
        assert_eq!(sum as u32, self.libraries.crc32(&data));
        let level = number(rng, 10);
        let packed = guest.run::<_, i32>("squeeze", (n, level));
        let native = self.libraries.compress(&data, level);
        let range = OUTPUT..OUTPUT + usize::try_from(packed).expect("a length");
        assert_eq!(&guest.bytes()[range], native);
        assert_eq!(guest.run::<_, i32>("stretch", packed), n);
        let end = number(rng, 2);
        assert_eq!(guest.run::<_, i32>("stream", (n, end)), n);
        if rng.chance(1, 4) {
            refused(guest.call::<_, i32>("outside", ()), "reach past the memory");
            Done::add(&self.done.errors, 1);
        }
        (u64::from(times.unsigned_abs()) + 4, end == 0)
    }

    fn sqlite(&self, guest: &mut Guest, rng: &mut Rng) -> (u64, bool) {
        let numbers: Vec<i32> = (0..1 + rng.below(100)).map(|_| rng.next() as i32).collect();
        let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        guest.write(&bytes);
        let n = i32::try_from(numbers.len()).expect("small");
        let leave = number(rng, 3);
        let sum = guest.call::<_, i32>("rows", (n, leave));
        if leave == 2 {
            refused(sum, "sqlite3_close: parameter 1");
            Done::add(&self.done.errors, 1);
        } else {
            let expected = numbers.iter().fold(0_i32, |sum, n| sum.wrapping_add(*n));
            assert_eq!(sum.unwrap_or_else(|error| panic!("{error:?}")), expected);
        }
        (numbers.len() as u64 * 6 + 8, leave == 1)
    }

    fn expat(&self, guest: &mut Guest, rng: &mut Rng) -> (u64, bool) {
        let inner = rng.below(300);
        let document = format!("<a>{}</a>", "<b c='d'>text</b>".repeat(inner));
        guest.write(document.as_bytes());
        let n = i32::try_from(document.len()).expect("small");
        let leave = number(rng, 3);
        let count = guest.call::<_, i32>("elements", (n, leave));
        if leave == 2 {
            refused(count, "XML_ParserFree: parameter 1");
            Done::add(&self.done.errors, 1);
        } else {
            let count = count.unwrap_or_else(|error| panic!("{error:?}"));
            assert_eq!(usize::try_from(count), Ok(inner + 1));
        }
        (4, leave != 0)
    }

    fn things(
        &self,
        bridge: &Bridge,
        module: &Module,
        guest: &mut Guest,
        rng: &mut Rng,
    ) -> (u64, bool) {
        let (a, b, n) = (number(rng, 1000), number(rng, 1000), 1 + number(rng, 200));
        assert_eq!(guest.run::<_, i32>("copied", (a, b)), 2 * (6 + a + b + 1));
        assert_eq!(guest.run::<_, i32>("loop", n), n);
        assert_eq!(guest.run::<_, i32>("kept", a), a + 1);
        let expected: i32 = (1..=n).map(|n| (n + 6) + (n + 1) - 1).sum();
        assert_eq!(guest.run::<_, i32>("objects", n), expected);
        // Another instance of the same store, whose objects are not the first one's.
        let linker = &self.linker;
        let other = bridge.instantiate(&mut guest.store, linker, module, |natives| natives);
        let other = other.unwrap_or_else(|error| panic!("{error:?}"));
        Done::add(&self.done.instances, 1);
        let objects = other.get_typed_func::<i32, i32>(&mut guest.store, "objects");
        let objects = objects.expect("exported").call(&mut guest.store, n);
        assert_eq!(objects.expect("as before"), expected);
        match rng.below(6) {
            0 => refused(guest.call::<_, i32>("stale", ()), "thing_id: parameter 1"),
            1 => refused(guest.call::<_, i32>("orphan", ()), "thing_id: parameter 1"),
            2 => refused(guest.call::<_, i32>("forged", -3), "thing_id: parameter 1"),
            3 => refused(guest.call::<_, i32>("called", (3, 1)), "`depth`"),
            4 => refused(guest.call::<_, i32>("called", (40, 1)), "the table"),
            _ => {
                let error = guest.call::<_, i32>("called", (2, 1)).expect_err("it traps");
                assert_eq!(error.downcast_ref(), Some(&Trap::UnreachableCodeReached));
            }
        }
        Done::add(&self.done.errors, 1);
        assert_eq!(guest.run::<_, i32>("called", (1, 5)), 13);
        (u64::from(n.unsigned_abs()) * 19 + 10, true)
    }

    /// A shipped guest prints what the native program prints.
    fn example(&self, bridge: &Bridge, rng: &mut Rng) {
        if self.examples.is_empty() {
            return;
        }
        let example = rng.pick(&self.examples);
        let (stdout, stderr) = (MemoryOutputPipe::new(1 << 20), MemoryOutputPipe::new(1 << 20));
        let mut wasi = WasiCtxBuilder::new();
        wasi.arg(example.name).args(example.arguments);
        wasi.stdout(stdout.clone()).stderr(stderr.clone());
        wasi.preopened_dir(root(), ".", FsPerms::ReadOnly).expect("it is there");
        let state = State { wasi: wasi.build_p1(), natives: Natives::default() };
        let mut store = Store::new(&self.engine, state);
        let instance =
            bridge.instantiate(&mut store, &self.wasi, &example.module, |s| &mut s.natives);
        let instance = instance.unwrap_or_else(|error| panic!("{}: {error:?}", example.name));
        Done::add(&self.done.instances, 1);
        let start = instance.get_typed_func::<(), ()>(&mut store, "_start").expect("a program");
        match start.call(&mut store, ()) {
            Ok(()) => {}
            Err(error) if error.downcast_ref().is_some_and(|exit: &I32Exit| exit.0 == 0) => {}
            Err(error) => panic!("{}: {error:?}", example.name),
        }
        let text = String::from_utf8_lossy(&stdout.contents()).into_owned();
        let said = String::from_utf8_lossy(&stderr.contents()).into_owned();
        assert_eq!(text, example.expected, "{}: {said}", example.name);
    }
}

/// A small number.
fn number(rng: &mut Rng, below: usize) -> i32 {
    i32::try_from(rng.below(below)).expect("small")
}
