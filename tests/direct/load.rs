//! Plans and closures that become hot while many threads make calls, in instances that come and go.
#![expect(unsafe_code, reason = "it plays a C library")]
use crate::World;
use portcullis::host::{Bridge, Tier};
use portcullis::plan::CallError;
use std::cell::Cell;
use std::ffi::{c_int, c_uint, c_void};
use std::sync::{Arc, Barrier};
use wasmtime::{Engine, Module};

const INTERFACE: &str = r#"
#pragma portcullis library "libload.so" module "load"
typedef struct thing thing __drop(thing_close);
int add(int a, int b) __leaf;
unsigned sum(const uint8_t *__counted_by(n) p, unsigned n) __leaf;
thing *thing_open(int id) __leaf;
int thing_id(thing *it) __leaf;
void thing_close(thing *__consumes it) __leaf;
int each(int (*f)(int a, int b, void *__cookie c), void *__cookie c, thing *it, int n);
"#;

/// `each` calls back, and the guest's function calls imports that guests enter by themselves.
const GUEST: &str = r#"(module
    (import "load" "add" (func $add (param i32 i32) (result i32)))
    (import "load" "sum" (func $sum (param i32 i32) (result i32)))
    (import "load" "thing_open" (func $open (param i32) (result i32)))
    (import "load" "thing_id" (func $id (param i32) (result i32)))
    (import "load" "thing_close" (func $close (param i32)))
    (import "load" "each" (func $each (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1) (data (i32.const 16) "\01\02\03\04")
    (table (export "table") 2 funcref) (elem (i32.const 1) func $f)
    (func $f (param $a i32) (param $id i32) (param $handle i32) (result i32)
        (call $add (local.get $a) (call $id (local.get $handle))))
    (func (export "work") (param $n i32) (result i32) (local $total i32) (local $thing i32)
        (loop $l
            (local.set $thing (call $open (local.get $n)))
            (local.set $total (call $add (local.get $total)
                (call $each (i32.const 1) (local.get $thing) (local.get $thing) (i32.const 3))))
            (local.set $total (call $add (local.get $total) (call $sum (i32.const 16) (i32.const 4))))
            (call $close (local.get $thing))
            (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (local.get $total))
    (func (export "leave") (param i32) (result i32) (call $open (local.get 0)))
    (func (export "past") (result i32) (call $sum (i32.const 65530) (i32.const 7)))
    (func (export "stale") (result i32) (local $thing i32)
        (local.set $thing (call $open (i32.const 1)))
        (call $close (local.get $thing)) (call $id (local.get $thing))))"#;

/// What `work(n)` is, and how many native functions it calls.
fn worked(n: i32) -> (i32, u32) {
    let one = |id| (0..3).map(|a| a + id).sum::<i32>() + 10;
    ((1..=n).map(one).sum(), (4 + 2 + 2 * 3) * n.cast_unsigned())
}

thread_local! {
    static CALLS: Cell<u32> = const { Cell::new(0) };
    /// Things that live.
    static THINGS: Cell<i32> = const { Cell::new(0) };
}

fn called() {
    CALLS.set(CALLS.get() + 1);
}

extern "C" fn add(a: c_int, b: c_int) -> c_int {
    called();
    a.wrapping_add(b)
}

unsafe extern "C" fn sum(p: *const u8, n: c_uint) -> c_uint {
    called();
    // SAFETY: the prototype says that `n` bytes are there.
    (0..n as usize).map(|at| u32::from(unsafe { p.add(at).read() })).sum()
}

extern "C" fn thing_open(id: c_int) -> *mut c_int {
    called();
    THINGS.set(THINGS.get() + 1);
    Box::into_raw(Box::new(id))
}

unsafe extern "C" fn thing_id(it: *const c_int) -> c_int {
    called();
    // SAFETY: it came from `thing_open`.
    unsafe { *it }
}

unsafe extern "C" fn thing_close(it: *mut c_int) {
    called();
    THINGS.set(THINGS.get() - 1);
    // SAFETY: it came from `thing_open`, and is closed once.
    drop(unsafe { Box::from_raw(it) });
}

unsafe extern "C" fn each(
    f: unsafe extern "C" fn(c_int, c_int, *mut c_void) -> c_int,
    c: *mut c_void,
    it: *const c_int,
    n: c_int,
) -> c_int {
    called();
    // SAFETY: the prototype says what it is called with.
    (0..n).map(|a| unsafe { f(a, *it, c) }).sum()
}

fn bridge(after: u32, direct: bool) -> Bridge {
    let functions: [(&str, *const c_void); 6] = [
        ("add", add as *const c_void),
        ("sum", sum as *const c_void),
        ("thing_open", thing_open as *const c_void),
        ("thing_id", thing_id as *const c_void),
        ("thing_close", thing_close as *const c_void),
        ("each", each as *const c_void),
    ];
    let most = if direct { Tier::Direct } else { Tier::Cranelift };
    let builder = Bridge::builder(&Engine::default()).max_tier(most).when_hot(after);
    // SAFETY: the interface is true of the functions above.
    let builder = unsafe { builder.grant_interface("load.h", INTERFACE) };
    let builder = builder.unwrap_or_else(|error| panic!("{error}"));
    let builder = functions.into_iter().fold(builder, |builder, (name, address)| {
        // SAFETY: these are those functions, and static.
        unsafe { builder.symbol("libload.so", name, address) }
    });
    builder.build().expect("a bridge")
}

/// Calls of one instance, all of which are right and counted, and errors that are those of every tier.
fn use_it(world: &mut World, turn: i32) {
    let n = 5 + turn % 7;
    CALLS.set(0);
    let total = world.call::<i32, i32>("work", n).expect("it passes");
    assert_eq!((total, CALLS.get()), worked(n));
    if turn % 4 == 0 {
        let past = world.call::<(), i32>("past", ()).expect_err("it reaches past the memory");
        let past = past.downcast::<CallError>().expect("a call error").to_string();
        assert!(past.contains("7 bytes at 0xfffa reach past the memory of 65536 bytes"), "{past}");
        let stale = world.call::<(), i32>("stale", ()).expect_err("it is closed");
        let stale = stale.downcast::<CallError>().expect("a call error");
        assert!(!stale.called, "{stale}");
        world.call::<i32, i32>("leave", turn).expect("it passes");
    }
}

#[test]
fn many_threads_make_plans_and_closures_hot() {
    const THREADS: usize = 16;
    for (after, direct) in
        [(1, true), (40, true), (300, true), (1, false), (40, false), (300, false)]
    {
        let bridge = bridge(after, direct);
        let module = Module::new(bridge.engine(), GUEST).expect("a module");
        let start = Arc::new(Barrier::new(THREADS));
        let threads = (0..THREADS).map(|_| {
            let (bridge, module, start) = (bridge.clone(), module.clone(), Arc::clone(&start));
            std::thread::spawn(move || {
                start.wait();
                let mut worlds: Vec<World> = Vec::new();
                for turn in 0..24 {
                    worlds.push(World::of(&bridge, &module));
                    let at = turn as usize % worlds.len();
                    use_it(&mut worlds[at], turn);
                    if turn % 3 != 1 {
                        worlds.swap_remove(at);
                    }
                }
                worlds.truncate(1);
                drop(worlds.pop());
                assert_eq!(THINGS.get(), 0, "stores that go take what they own with them");
                World::of(&bridge, &module)
            })
        });
        let threads: Vec<_> = threads.collect();
        drop((bridge, module));
        // They outlive the threads that made them, and the bridge.
        for thread in threads {
            let mut world = thread.join().expect("it does not panic");
            use_it(&mut world, 4);
        }
    }
}
