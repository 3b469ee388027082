//! A function with every kind of step that trampolines call out for: each of them fails in turn, with all before it
//! done, and what is left behind is what the interpreter leaves: the error, the guest's memory, the handle table with
//! its marks and captures, closures, native objects. Then the same call succeeds, in the same store, whose limits have
//! room for nothing that a failed call might have kept.
#![cfg(all(feature = "cranelift", target_arch = "x86_64"))]
#![expect(unsafe_code, reason = "grants a C library, reads its counters and the state of stores")]
#[path = "../support/native.rs"]
mod native;

use libloading::Library;
use portcullis::host::{Bridge, ImportStatus, Natives, Tier, usage};
use portcullis::plan::handles::Entry;
use portcullis::plan::{CallError, Limits};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use wasmtime::{Engine, Instance, Linker, Memory, Module, Store, Val};

const GUEST: &str = r#"(module
    (import "all" "everything" (func $everything
        (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
    (import "all" "db_open" (func $db_open (param i32) (result i32)))
    (import "all" "db_close" (func $db_close (param i32)))
    (import "all" "db_fire" (func $db_fire (param i32 i32) (result i32)))
    (import "all" "item_new" (func $item_new (param i32) (result i32)))
    (import "all" "item_free" (func $item_free (param i32)))
    (import "all" "item_id" (func $item_id (param i32) (result i32)))
    (import "all" "fd_open" (func $fd_open (param i32) (result i32)))
    (import "all" "gauge_init" (func $gauge_init (param i32) (result i32)))
    (import "all" "gauge_end" (func $gauge_end (param i32) (result i32)))
    (import "all" "set_mode" (func $set_mode (param i32)))
    (memory (export "memory") 1)
    (table (export "__indirect_function_table") 8 funcref)
    (elem (i32.const 1) $inc $twice $trap $other $frees)
    (global $victim (mut i32) (i32.const 0))
    (func $inc (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
    (func $twice (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
    (func $trap (param i32) (result i32) (unreachable))
    (func $other (param i64) (result i32) (i32.const 0))
    ;; Frees what the call is about to consume.
    (func $frees (param i32) (result i32) (call $item_free (global.get $victim)) (i32.const 0))
    (func (export "set_victim") (param i32) (global.set $victim (local.get 0)))
    (export "everything" (func $everything)) (export "db_open" (func $db_open))
    (export "db_close" (func $db_close)) (export "db_fire" (func $db_fire))
    (export "item_new" (func $item_new)) (export "item_free" (func $item_free))
    (export "item_id" (func $item_id)) (export "fd_open" (func $fd_open))
    (export "gauge_init" (func $gauge_init)) (export "gauge_end" (func $gauge_end))
    (export "set_mode" (func $set_mode)))"#;

/// Where things are in the guest's memory.
const TEXT: usize = 64;
const NAME: usize = 96;
const PAIRS: usize = 128;
const INOUT: usize = 192;
const HOOKS: usize = 224;
const METER: usize = 256;
const DATA: usize = 320;
const MADE: usize = 352;
const PAGE: usize = 65536;

/// The parameters of `everything`, from 0 on.
const D: usize = 0;
const AT_TEXT: usize = 1;
const AT_PAIRS: usize = 2;
const N: usize = 3;
const AT_INOUT: usize = 4;
const AT_HOOKS: usize = 5;
const G: usize = 6;
const KEPT: usize = 7;
const IT: usize = 8;
const AT_NAME: usize = 9;
const FD: usize = 10;
const AT_METER: usize = 11;
const USER: usize = 12;
const GONE: usize = 13;
const AT_MADE: usize = 14;
const PARAMS: usize = 15;

/// What is wrong with a call, once all else is right.
#[derive(Clone, Copy, Debug)]
enum Wrong {
    Nothing,
    /// An argument.
    Argument(usize, i32),
    /// An argument that is another one.
    Same(usize, usize),
    /// A word of the guest's memory.
    Word(usize, i32),
    /// A word that is an argument: a handle in data.
    Handle(usize, usize),
    /// What native code does.
    Mode(i32),
    /// The name is as long as that.
    LongName(usize),
}

/// Every one of them, and which parameter (from 1 on) the error is about; 0: the result, or the call.
const CASES: [(Wrong, usize); 47] = [
    (Wrong::Argument(D, 0), 1),
    (Wrong::Argument(D, 0x12_3456), 1),
    (Wrong::Same(D, IT), 1),
    (Wrong::Argument(AT_TEXT, 0), 2),
    (Wrong::Argument(AT_TEXT, PAGE as i32 - 1), 2),
    (Wrong::Argument(AT_TEXT, PAGE as i32), 2),
    (Wrong::Argument(AT_PAIRS, 0), 3),
    (Wrong::Argument(AT_PAIRS, PAGE as i32 - 8), 3),
    (Wrong::Argument(N, -1), 3),
    (Wrong::Argument(N, i32::MAX), 3),
    (Wrong::Word(PAIRS + 12, 0x777), 3),
    (Wrong::Handle(PAIRS + 12, D), 3),
    (Wrong::Handle(PAIRS + 12, GONE), 3),
    (Wrong::Argument(AT_INOUT, 0), 5),
    (Wrong::Argument(AT_INOUT, PAGE as i32 - 4), 5),
    (Wrong::Word(INOUT + 4, 0x777), 5),
    (Wrong::Handle(INOUT + 4, GONE), 5),
    (Wrong::Argument(AT_HOOKS, 0), 6),
    (Wrong::Argument(AT_HOOKS, -4), 6),
    (Wrong::Word(HOOKS, 0), 6),
    (Wrong::Word(HOOKS, 4), 6),
    (Wrong::Word(HOOKS, 99), 6),
    (Wrong::Argument(G, 0), 7),
    (Wrong::Argument(G, 4), 7),
    (Wrong::Argument(G, 7), 7),
    (Wrong::Argument(G, 99), 7),
    (Wrong::Argument(KEPT, 0), 8),
    (Wrong::Argument(KEPT, 4), 8),
    (Wrong::Argument(KEPT, -1), 8),
    (Wrong::Argument(IT, 0), 9),
    (Wrong::Argument(IT, 5), 9),
    (Wrong::Same(IT, GONE), 14),
    (Wrong::Argument(AT_NAME, 0), 10),
    (Wrong::Argument(AT_NAME, PAGE as i32), 10),
    (Wrong::LongName(9000), 10),
    (Wrong::Argument(FD, -1), 11),
    (Wrong::Same(FD, IT), 11),
    (Wrong::Argument(AT_METER, 0), 12),
    (Wrong::Word(METER + 8, 0), 12),
    (Wrong::Word(METER, i32::MAX), 12),
    (Wrong::Argument(GONE, 0), 14),
    (Wrong::Same(GONE, IT), 14),
    (Wrong::Argument(AT_MADE, 0), 15),
    (Wrong::Argument(AT_MADE, PAGE as i32 - 2), 15),
    (Wrong::Mode(1), 0),
    (Wrong::Mode(2), 5),
    (Wrong::Mode(3), 12),
];

/// The guest's memory, which no message shows.
#[derive(PartialEq)]
struct Bytes(Vec<u8>);

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// What a call leaves behind.
#[derive(Debug, PartialEq)]
struct Traces {
    /// The result, or the error and whether the function ran.
    outcome: Result<i32, (String, bool)>,
    calls: i32,
    /// How many native objects more there are.
    made: i32,
    memory: Bytes,
    /// Of each handle that lives: itself, its owners, uses, lender, captures, flags.
    table: Vec<[u32; 6]>,
    captured: (u32, u64),
    lent: u32,
    closures: usize,
}

struct World {
    tier: Tier,
    store: Store<Natives>,
    instance: Instance,
    memory: Memory,
    /// Good arguments, but for what each call consumes.
    good: [i32; PARAMS],
}

/// Room for what the world has, for what a good call makes, and for nothing else.
const HANDLES: u32 = 8;

impl World {
    fn new(tier: Tier, library: &Path) -> World {
        let limits = Limits { handles: HANDLES, captured_bytes: 8192, ..Limits::default() };
        let builder = Bridge::builder(&Engine::default()).max_tier(tier).limits(limits);
        let builder = builder.library("liball.so", library).expect("an absolute path");
        // SAFETY: the interface is true of the library.
        let builder = unsafe { builder.grant_interface("all.h", include_str!("library.h")) };
        let bridge = builder.and_then(|builder| builder.build());
        let bridge = bridge.unwrap_or_else(|error| panic!("{error}"));
        let module = Module::new(bridge.engine(), GUEST).unwrap_or_else(|e| panic!("{e:?}"));
        for import in bridge.describe(&module) {
            let ImportStatus::Native(all) = &import.status else { panic!("{import:?}") };
            assert!(*import.name != *"everything" || all[0].tier == tier, "{import:?}");
        }
        let mut store = Store::new(bridge.engine(), Natives::default());
        let linker = Linker::new(bridge.engine());
        let instance = bridge.instantiate(&mut store, &linker, &module, |natives| natives);
        let instance = instance.unwrap_or_else(|error| panic!("{error:?}"));
        let memory = instance.get_memory(&mut store, "memory").expect("it is exported");
        let mut world = World { tier, store, instance, memory, good: [0; PARAMS] };
        let (d, it) = (world.int("db_open", &[1000]), world.int("item_new", &[30]));
        let other = world.int("item_new", &[40]);
        let fd = world.int("fd_open", &[5]);
        world.write(METER, &[0; 16]);
        world.int("gauge_init", &[METER as i32]);
        world.write(TEXT, b"text\0");
        world.write(DATA, &[1, 2, 3, 4]);
        world.write(PAGE - 1, b"x");
        world.good = [
            d,
            TEXT as i32,
            PAIRS as i32,
            2,
            INOUT as i32,
            HOOKS as i32,
            1,
            2,
            it,
            NAME as i32,
            fd,
            METER as i32,
            77,
            0,
            MADE as i32,
        ];
        world.words(PAIRS, &[10, it, 20, other]);
        world.words(HOOKS, &[2, 77]);
        world
    }

    fn write(&mut self, at: usize, bytes: &[u8]) {
        self.memory.write(&mut self.store, at, bytes).expect("inside");
    }

    fn words(&mut self, at: usize, words: &[i32]) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.write(at, &bytes);
    }

    fn word(&self, at: usize) -> i32 {
        let bytes = &self.memory.data(&self.store)[at..at + 4];
        i32::from_le_bytes(bytes.try_into().expect("four bytes"))
    }

    fn try_call(&mut self, name: &str, arguments: &[i32]) -> wasmtime::Result<i32> {
        let function = self.instance.get_func(&mut self.store, name).expect("it is exported");
        let arguments: Vec<Val> = arguments.iter().map(|value| Val::I32(*value)).collect();
        let mut results = vec![Val::I32(0); function.ty(&self.store).results().len()];
        function.call(&mut self.store, &arguments, &mut results)?;
        Ok(results.first().map_or(0, Val::unwrap_i32))
    }

    #[track_caller]
    fn int(&mut self, name: &str, arguments: &[i32]) -> i32 {
        self.try_call(name, arguments).unwrap_or_else(|error| panic!("{name}: {error:?}"))
    }

    /// Makes a call in which that is wrong, and looks at everything.
    fn call(&mut self, wrong: Wrong, library: &Library) -> Traces {
        let mut arguments = self.good;
        arguments[GONE] = self.int("item_new", &[50]);
        let gone = arguments[GONE];
        self.int("set_victim", &[gone]);
        self.words(INOUT, &[6, self.good[IT]]);
        self.words(METER, &[4, DATA as i32]);
        self.words(MADE, &[0x5555]);
        self.write(NAME, b"name\0");
        let mut undo = None;
        let mut mode = 0;
        let mut set = |world: &mut World, at: usize, value: i32| {
            undo = Some((at, world.word(at)));
            world.words(at, &[value]);
        };
        match wrong {
            Wrong::Nothing => {}
            Wrong::Argument(at, value) => arguments[at] = value,
            Wrong::Same(at, other) => arguments[at] = arguments[other],
            Wrong::Word(at, value) => set(self, at, value),
            Wrong::Handle(at, other) => set(self, at, arguments[other]),
            Wrong::Mode(number) => mode = number,
            Wrong::LongName(bytes) => {
                self.write(8192, &vec![b'x'; bytes]);
                self.write(8192 + bytes, &[0]);
                arguments[AT_NAME] = 8192;
            }
        }
        self.int("set_mode", &[mode]);
        let count_live = || {
            // SAFETY: the library defines it so.
            unsafe { library.get::<extern "C" fn() -> i32>("count_live").expect("defined")() }
        };
        let before = count_live();
        let outcome = self.try_call("everything", &arguments).map_err(|error| {
            match error.downcast::<CallError>() {
                Ok(error) => (error.to_string(), error.called),
                Err(other) => (other.root_cause().to_string(), true),
            }
        });
        let made = count_live() - before;
        // SAFETY: the library defines it so.
        let calls =
            unsafe { library.get::<extern "C" fn() -> i32>("take_calls").expect("defined")() };
        let mut traces = Traces {
            outcome,
            calls,
            made,
            memory: Bytes(self.memory.data(&self.store).to_vec()),
            table: Vec::new(),
            captured: (0, 0),
            lent: 0,
            closures: 0,
        };
        // SAFETY: the store is this thread's, and none of its calls runs.
        unsafe {
            self.store.data().look_at_state(|block, closures| {
                traces.closures = closures;
                block.look_at_handles(|table| {
                    let (entries, count) = table.raw_parts();
                    // Not while a call has something to itself: none has.
                    assert!(count > 0, "a call still has a handle to itself");
                    let all: &[Entry] = std::slice::from_raw_parts(entries, count);
                    let live = all.iter().filter(|entry| !entry.pointer.is_null());
                    traces.table = live
                        .map(|e| [e.handle, e.owners, e.busy, e.parent, e.captured, e.flags])
                        .collect();
                    traces.captured = (table.captures(), table.captured_bytes());
                    traces.lent = table.lent();
                });
            });
        }
        assert!(
            traces.table.iter().all(|entry| entry[2] == 0),
            "a handle stays in use: {traces:?}"
        );
        // What the call has not consumed, and what it has made.
        if traces.table.iter().any(|entry| entry[0] == gone.cast_unsigned()) {
            self.int("item_free", &[gone]);
        }
        let made = self.word(MADE);
        if made != 0x5555 && made != 0 {
            self.int("item_free", &[made]);
        }
        if let Some((at, value)) = undo {
            self.words(at, &[value]);
        }
        traces
    }
}

#[test]
fn each_step_fails_in_turn_and_leaves_what_the_interpreter_leaves() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = native::compile(folder.path(), "liball.so", include_str!("library.c"), &["-O1"]);
    // SAFETY: it has no constructors.
    let library = unsafe { Library::new(&path) }.expect("it loads");
    let before = usage();
    let mut worlds = [Tier::Interpreter, Tier::Cranelift].map(|tier| World::new(tier, &path));
    let mut failed: BTreeMap<usize, usize> = BTreeMap::new();
    let both = |worlds: &mut [World; 2], wrong: Wrong| {
        let [interpreted, compiled] = worlds.each_mut().map(|world| world.call(wrong, &library));
        assert!(interpreted == compiled, "{wrong:?}\n{}", difference(&interpreted, &compiled));
        assert!(interpreted.calls <= 1, "{wrong:?}: {}", interpreted.calls);
        interpreted
    };
    let first = both(&mut worlds, Wrong::Nothing);
    assert_eq!(
        (&first.outcome, first.calls),
        (&Ok(1000 + 4 + 5 + 50 + 30 + 4 + 100 + 2 + 3 + 6 + 1), 1)
    );
    let mut last = both(&mut worlds, Wrong::Nothing);
    for (wrong, about) in CASES {
        let traces = both(&mut worlds, wrong);
        let Err((error, called)) = &traces.outcome else { panic!("{wrong:?}: {traces:?}") };
        let subject = match error.split_once("parameter ") {
            Some((_, rest)) => {
                rest.split(' ').next().and_then(|n| n.parse().ok()).expect("a number")
            }
            None => 0,
        };
        assert_eq!(subject, about, "{wrong:?}: {error}");
        assert_eq!(
            (i32::from(*called), matches!(wrong, Wrong::Mode(_))),
            (traces.calls, *called),
            "{error}"
        );
        *failed.entry(about).or_default() += 1;
        if !called {
            assert_eq!(traces.captured, last.captured, "{wrong:?}: something is kept");
        }
        // Nothing of it is in the way of the next call.
        last = both(&mut worlds, Wrong::Nothing);
        assert_eq!(last.outcome, first.outcome, "after {wrong:?}");
        let kept = |traces: &Traces| (traces.table.len(), traces.captured.0, traces.closures);
        assert_eq!(kept(&last), kept(&first), "after {wrong:?}");
        let fired = worlds.each_mut().map(|world| world.int("db_fire", &[world.good[D], 4]));
        assert_eq!(fired, [8 + 4 + 30; 2]);
    }
    // Every parameter but the count, whose errors are those of the pairs, and the cookie, which is never wrong.
    let expected: Vec<usize> = (0..=PARAMS).filter(|at| ![N + 1, USER + 1].contains(at)).collect();
    assert_eq!(failed.into_keys().collect::<Vec<_>>(), expected);
    // Callbacks that trap, or free what the call consumes, behind all that was done before the call.
    for wrong in [
        Wrong::Argument(G, 3),
        Wrong::Argument(KEPT, 3),
        Wrong::Word(HOOKS, 3),
        Wrong::Argument(G, 5),
    ] {
        let traces = both(&mut worlds, wrong);
        assert!(traces.outcome.is_err() && traces.calls == 1, "{wrong:?}: {:?}", traces.outcome);
        assert_eq!(both(&mut worlds, Wrong::Nothing).outcome, first.outcome, "after {wrong:?}");
    }
    for world in worlds {
        println!("{}: {} closures", world.tier, usage().closures);
        drop(world.store);
    }
    assert_eq!(
        usage().closures,
        before.closures,
        "closures stay in use when their stores are gone"
    );
    // SAFETY: the library defines it so.
    let live = unsafe { library.get::<extern "C" fn() -> i32>("count_live").expect("defined")() };
    assert_eq!(live, 0, "native objects are left");
}

/// What differs.
fn difference(interpreted: &Traces, compiled: &Traces) -> String {
    let mut both = interpreted.memory.0.iter().zip(&compiled.memory.0);
    let at = both.position(|(one, other)| one != other);
    format!("{interpreted:?}\n{compiled:?}\nmemory differs at {at:?}")
}
