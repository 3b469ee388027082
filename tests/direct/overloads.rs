//! Overloads that guests call directly: each its own trampoline, one choice in front of them, and what all tiers say of
//! the same calls.
#![expect(unsafe_code, reason = "it plays a C library")]
use crate::World;
use crate::library::what_is_at;
use portcullis::host::{Bridge, BridgeBuilder, ImportStatus, NativeImport, Tier};
use std::arch::naked_asm;
use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::time::{Duration, Instant};
use wasmtime::{Engine, Module};

const INTERFACE: &str = r#"
#pragma portcullis library "libset.so" module "set"
typedef struct thing thing __drop(thing_close);
thing *thing_open(int id) __leaf;
void thing_close(thing *__consumes it) __leaf;

long long here(int which __range(1)) __leaf;
long long here(int which __range(2, 3)) __leaf;

int pick(int which __range(1), long long n) __leaf;
long pick(int which __range(2, 4) __range(7), long long n) __leaf;
short pick(int which __range(5), long long n) __leaf;
int pick(int which __range(-3), long long n) __errno __leaf;

int use(int which __range(1), const uint8_t *__counted_by(n) p, unsigned n) __leaf;
int use(int which __range(2), const char *text, unsigned char n) __leaf;
int use(int which __range(3), thing *it, int n) __leaf;
int use(int which __range(4), int *_Out_ __single out, int n) __leaf;
int use(int which __range(n, 100), int m, int n __range(10, 99)) __leaf;
int use(unsigned char which __range(200, 255), int m, int n) __leaf;

double mix(int a, double b, long long c, float d, int e, int f, int g, int which __range(1)) __leaf;
double mix(int a, double b, long long c, float d, int e, int f, int g, int which __range(2, 3)) __leaf;

int run(int which __range(1), int (*f)(int n), int n);
int run(int which __range(2), int m, int n) __leaf;
"#;

const GUEST: &str = r#"(module
    (import "set" "thing_open" (func $open (param i32) (result i32)))
    (import "set" "thing_close" (func $close (param i32)))
    (import "set" "here" (func $here (param i32) (result i64)))
    (import "set" "pick" (func $pick (param i32 i64) (result i32)))
    (import "set" "use" (func $use (param i32 i32 i32) (result i32)))
    (import "set" "mix" (func $mix (param i32 f64 i64 f32 i32 i32 i32 i32) (result f64)))
    (import "set" "run" (func $run (param i32 i32 i32) (result i32)))
    (import "portcullis" "errno" (func $errno (result i32)))
    (memory (export "memory") 1)
    (table (export "table") 3 funcref) (elem (i32.const 1) func $more $use_more)
    (data (i32.const 16) "some text\00")
    (func $more (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
    (func $use_more (param i32) (result i32) (call $run (i32.const 2) (local.get 0) (i32.const 1)))
    (func (export "open") (param i32) (result i32) (call $open (local.get 0)))
    (func (export "close") (param i32) (call $close (local.get 0)))
    (func (export "here") (param i32) (result i64) (call $here (local.get 0)))
    (func (export "pick") (param i32 i64) (result i32) (call $pick (local.get 0) (local.get 1)))
    (func (export "errno") (result i32) (call $errno))
    (func (export "use") (param i32 i32 i32) (result i32)
        (call $use (local.get 0) (local.get 1) (local.get 2)))
    (func (export "mix") (param i32) (result f64)
        (call $mix (i32.const 1) (f64.const 2) (i64.const 3) (f32.const 4) (i32.const 5) (i32.const 6) (i32.const 7)
            (local.get 0)))
    (func (export "run") (param i32 i32 i32) (result i32)
        (call $run (local.get 0) (local.get 1) (local.get 2)))
    (func (export "again") (export "ref") (param i32 i64) (result i32)
        (call $pick (local.get 0) (local.get 1)))
    (func (export "grow") (drop (memory.grow (i32.const 1))))
    (func (export "read") (param i32) (result i32) (i32.load (local.get 0))))"#;

thread_local! {
    static CALLS: Cell<u32> = const { Cell::new(0) };
}

fn called() {
    CALLS.set(CALLS.get() + 1);
}

#[unsafe(naked)]
extern "C" fn here() -> i64 {
    naked_asm!("mov rax, [rsp]", "ret")
}

extern "C" fn pick(which: c_int, n: i64) -> i64 {
    called();
    if which == -3 {
        // SAFETY: it is the thread's own.
        unsafe { *libc::__errno_location() = n as c_int };
    }
    n.wrapping_mul(3).wrapping_add(which.into())
}

unsafe extern "C" fn use_(which: c_int, what: *mut c_void, n: c_uint) -> c_int {
    called();
    // SAFETY: the prototypes say what is there.
    unsafe {
        match which {
            1 => (0..n as usize).map(|at| c_int::from(what.cast::<u8>().add(at).read())).sum(),
            2 => {
                CStr::from_ptr(what.cast::<c_char>()).to_bytes().len() as c_int * 1000 + n as c_int
            }
            3 => what.addr() as c_int + n as c_int,
            4 => {
                what.cast::<c_int>().write(n as c_int);
                44
            }
            _ => which * 1_000_000 + what.addr() as c_int * 1000 + n as c_int,
        }
    }
}

extern "C" fn mix(
    a: c_int,
    b: f64,
    c: i64,
    d: f32,
    e: c_int,
    f: c_int,
    g: c_int,
    which: c_int,
) -> f64 {
    called();
    let parts = [a.into(), b, c as f64, d.into(), e.into(), f.into(), g.into(), which.into()];
    parts.into_iter().fold(0.0, |sum, part| 10.0 * sum + part)
}

unsafe extern "C" fn run(which: c_int, what: *const c_void, n: c_int) -> c_int {
    called();
    if which == 2 {
        return what.addr() as c_int * 2 + n;
    }
    // SAFETY: the prototype says so.
    let f: extern "C" fn(c_int) -> c_int = unsafe { std::mem::transmute(what) };
    f(n) + f(n + 1)
}

extern "C" fn thing_open(id: c_int) -> *mut c_void {
    std::ptr::without_provenance_mut(id as usize)
}

extern "C" fn thing_close(_: *mut c_void) {}

fn granted(engine: &Engine) -> BridgeBuilder {
    let functions = [
        ("here", here as *const c_void),
        ("pick", pick as *const c_void),
        ("use", use_ as *const c_void),
        ("mix", mix as *const c_void),
        ("run", run as *const c_void),
        ("thing_open", thing_open as *const c_void),
        ("thing_close", thing_close as *const c_void),
    ];
    // SAFETY: the interface is true of the functions above.
    let builder = unsafe { Bridge::builder(engine).grant_interface("set.h", INTERFACE) };
    let builder = builder.unwrap_or_else(|error| panic!("{error}"));
    functions.into_iter().fold(builder, |builder, (name, address)| {
        // SAFETY: these are those functions, and static.
        unsafe { builder.symbol("libset.so", name, address) }
    })
}

fn overloads(bridge: &Bridge, module: &Module, name: &str) -> Vec<NativeImport> {
    let import = bridge.describe(module).into_iter().find(|import| import.name == name);
    match import.expect("it is imported").status {
        ImportStatus::Native(functions) => functions,
        other => panic!("{other:?}"),
    }
}

fn tiers(bridge: &Bridge, module: &Module, name: &str) -> Vec<Tier> {
    overloads(bridge, module, name).iter().map(|one| one.tier).collect()
}

fn compiled(bridge: &Bridge) -> Module {
    Module::new(bridge.engine(), GUEST).expect("a module")
}

/// What a call came to, and how often native code was called.
fn told<R: std::fmt::Debug>(result: wasmtime::Result<R>) -> String {
    let calls = CALLS.replace(0);
    match result {
        Ok(value) => format!("{value:?}, {calls} calls"),
        Err(error) => {
            let error = error.downcast_ref::<portcullis::plan::CallError>().expect("a call error");
            format!("{error}, {calls} calls")
        }
    }
}

/// What becomes of all kinds of calls.
fn outcomes(world: &mut World) -> Vec<String> {
    CALLS.set(0);
    let memory = world.instance.get_memory(&mut world.store, "memory").expect("it is exported");
    memory.write(&mut world.store, 16, b"some text\0").expect("it fits");
    memory.write(&mut world.store, 65532, &[0; 4]).expect("it fits");
    let mut all = Vec::new();
    for which in [1, 2, 3, 4, 5, 7, -3, 0, 6, 8, -1, i32::MIN, i32::MAX, 0x101] {
        for n in [14, -1, 1 << 30, 0x7fff, 1_i64 << 40] {
            all.push(told(world.call::<_, i32>("pick", (which, n))));
            all.push(told(world.call::<_, i32>("errno", ())));
        }
    }
    let thing = world.call::<_, i32>("open", 77).expect("it opens");
    for which in [1, 2, 3, 4, 0, 5, 10, 11, 50, 99, 100, 101, 200, 255, 256, 300, 467, -1] {
        for (what, n) in [(16, 4), (16, 0), (16, 12), (65532, 4), (65532, 5), (0, 3), (3, 300)] {
            all.push(told(world.call::<_, i32>("use", (which, what, n))));
        }
        let what = if which == 3 { thing } else { 99 };
        all.push(told(world.call::<_, i32>("use", (which, what, 12))));
        all.push(told(world.call::<_, i32>("read", 16)));
        all.push(told(world.call::<_, i32>("read", 65532)));
    }
    world.call::<_, ()>("close", thing).expect("it is open");
    let dead = told(world.call::<_, i32>("use", (3, thing, 1)));
    all.push(dead.replace(&format!("{thing:#x}"), "it"));
    for which in [1, 2, 3, 4, 0] {
        all.push(told(world.call::<_, f64>("mix", which)));
    }
    for (which, what) in [(1, 1), (2, 1), (1, 2), (1, 0), (2, 5), (3, 1)] {
        all.push(told(world.call::<_, i32>("run", (which, what, 40))));
    }
    all
}

/// Without direct calls, by the interpreter.
fn expected() -> Vec<String> {
    let bridge = granted(&Engine::default()).max_tier(Tier::Interpreter).build();
    let bridge = bridge.expect("a bridge");
    let module = compiled(&bridge);
    let all = outcomes(&mut World::of(&bridge, &module));
    // Each way a call can end is among them.
    for part in ["43, 1 calls", "none of the 4 granted", "none of the 6", "0 calls", "does not fit"]
    {
        assert!(all.iter().any(|one| one.contains(part)), "{part}: {all:#?}");
    }
    all
}

#[track_caller]
fn same(found: &[String], expected: &[String], way: &str) {
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(found, expected, "{way}, call {index}");
    }
    assert_eq!(found.len(), expected.len());
}

#[test]
fn every_tier_says_the_same_of_every_call() {
    let expected = expected();
    for most in [Tier::Template, Tier::Cranelift, Tier::Direct] {
        let bridge = granted(&Engine::default()).max_tier(most).build().expect("a bridge");
        let module = compiled(&bridge);
        if most == Tier::Direct {
            for name in ["here", "pick", "use", "mix"] {
                for one in overloads(&bridge, &module, name) {
                    assert_eq!((one.tier, one.why_no_faster), (Tier::Direct, None), "{name}");
                }
            }
            // Each for itself: one of them calls back.
            assert_eq!(tiers(&bridge, &module, "run"), [Tier::Cranelift, Tier::Direct]);
        }
        let mut world = World::of(&bridge, &module);
        for round in 0..3 {
            same(&outcomes(&mut world), &expected, &format!("{most}, round {round}"));
        }
        world.call::<_, ()>("grow", ()).expect("it grows");
        assert_eq!(told(world.call::<_, i32>("use", (1, 65532, 5))), "5, 1 calls");
        assert_eq!(told(world.call::<_, i32>("use", (2, 65536, 5))), "5, 1 calls");
    }
}

#[test]
fn native_code_returns_to_the_guest() {
    let at = |most| {
        let bridge = granted(&Engine::default()).max_tier(most).build().expect("a bridge");
        let module = compiled(&bridge);
        let mut world = World::of(&bridge, &module);
        [1, 2, 3].map(|which| what_is_at(world.call("here", which).expect("it passes")))
    };
    assert_eq!(at(Tier::Direct), ["", "", ""], "code of guests has no file");
    assert_ne!(at(Tier::Cranelift), ["", "", ""]);
}

#[test]
fn overloads_become_hot_one_by_one() {
    let expected = expected();
    let bridge = granted(&Engine::default()).max_tier(Tier::Direct).when_hot(10).build();
    let bridge = bridge.expect("a bridge");
    let module = compiled(&bridge);
    let mut world = World::of(&bridge, &module);
    // The second overload of three calls, and no other.
    let end = Instant::now() + Duration::from_secs(60);
    while tiers(&bridge, &module, "pick")[1] != Tier::Direct {
        assert_eq!(told(world.call::<_, i32>("pick", (2, 14_i64))), "44, 1 calls");
        assert!(Instant::now() < end, "it never becomes hot");
    }
    let now = tiers(&bridge, &module, "pick");
    assert!([now[0], now[2], now[3]].iter().all(|tier| *tier < Tier::Cranelift), "{now:?}");
    while tiers(&bridge, &module, "use").iter().any(|tier| *tier != Tier::Direct) {
        same(&outcomes(&mut world), &expected, "on the way");
        assert!(Instant::now() < end, "they never become hot");
    }
    for _ in 0..3 {
        same(&outcomes(&mut world), &expected, "hot");
    }
    let here = |world: &mut World| what_is_at(world.call("here", 3).expect("it passes"));
    assert_ne!(here(&mut world), "", "it was called too seldom");
    while !here(&mut world).is_empty() {
        assert!(Instant::now() < end, "it never becomes hot");
    }
}

#[test]
fn without_code_of_this_process() {
    let expected = expected();
    let engine = Engine::default();
    let bridge = granted(&engine).max_tier(Tier::Direct).build().expect("a bridge");
    let wasm = wat::parse_str(GUEST).expect("it is wasm");
    let guest = bridge.precompile(&wasm).expect("it compiles");
    for import in guest.imports() {
        // One overload of it calls back.
        assert_eq!(import.not_direct.is_none(), import.name != "run", "{import:?}");
    }
    let bridge = granted(&engine).max_tier(Tier::Direct).precompiled(&guest).make_code(false);
    let bridge = bridge.build().expect("a bridge");
    let module = bridge.load(&guest).expect("it was just compiled");
    assert_eq!(tiers(&bridge, &module, "use"), [Tier::Direct; 6]);
    assert_eq!(tiers(&bridge, &module, "run"), [Tier::Cranelift, Tier::Direct]);
    let mut world = World::of(&bridge, &module);
    for _ in 0..2 {
        same(&outcomes(&mut world), &expected, "precompiled");
    }
}

/// The host's calls, and those through a re-export, go the same ways.
#[test]
fn the_host_calls_overloads_too() {
    let bridge = granted(&Engine::default()).max_tier(Tier::Direct).build().expect("a bridge");
    let text = r#"(module (import "set" "pick" (func $pick (param i32 i64) (result i32)))
        (memory (export "memory") 1) (export "pick" (func $pick)))"#;
    let mut world = World::new(&bridge, text);
    CALLS.set(0);
    assert_eq!(told(world.call::<_, i32>("pick", (1, 14_i64))), "43, 1 calls");
    assert_eq!(told(world.call::<_, i32>("pick", (4, 14_i64))), "46, 1 calls");
    assert!(told(world.call::<_, i32>("pick", (9, 14_i64))).contains("none of the 4"));
}
