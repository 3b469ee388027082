//! What one call of a guest function by native code costs: `cargo bench --bench callbacks`, or with
//! `-- --quick`.
//!
//! `qsort` sorts 10,000 `int`s with a comparator of the guest's; beside it the embedder calls the same
//! comparator, as often, through `TypedFunc::call`, once in a loop and once from a comparator of `qsort`'s that
//! was written by hand, and C sorts with a comparator of its own. All of them
//! run interleaved on one core; a figure is the median over all rounds of the time of a comparison, what
//! `qsort` itself takes included, with its 95 % interval.
#![expect(unsafe_code, reason = "grants and calls the C library's `qsort`")]
#[path = "support/prologue.rs"]
mod prologue;

use portcullis::bench::statistics::{Interval, paired};
use portcullis::host::{Bridge, Natives, Tier};
use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::process::ExitCode;
use std::ptr;
use std::time::Instant;
use wasmtime::{Engine, Linker, Module, Store, TypedFunc};

const COUNT: usize = 10_000;
/// How many nanoseconds a callback may cost more than `TypedFunc::call`.
const AIM: f64 = 4.0;

const INTERFACE: &str = r#"
#include "portcullis.h"
#pragma portcullis library "libc.so.6" module "libc"
void qsort(void *__sized_by(n * size) base, size_t n, size_t size,
           int (*compar)(const void *__sized_by(size) a, const void *__sized_by(size) b));
"#;

const GUEST: &str = r#"(module
    (import "libc" "qsort" (func $qsort (param i32 i32 i32 i32)))
    (memory (export "memory") 4)
    (table (export "__indirect_function_table") 2 funcref)
    (elem (i32.const 1) func $compare)
    (func $compare (export "compare") (param $a i32) (param $b i32) (result i32)
        (local $x i32) (local $y i32)
        (local.set $x (i32.load (local.get $a)))
        (local.set $y (i32.load (local.get $b)))
        (i32.sub (i32.gt_s (local.get $x) (local.get $y)) (i32.lt_s (local.get $x) (local.get $y))))
    (func (export "sort") (param $n i32)
        (call $qsort (i32.const 1024) (local.get $n) (i32.const 4) (i32.const 1))))"#;

unsafe extern "C" {
    fn qsort(
        base: *mut c_void,
        n: usize,
        size: usize,
        compare: unsafe extern "C" fn(*const c_void, *const c_void) -> c_int,
    );
}

/// What the comparator by hand calls.
struct ByHand {
    store: Store<Natives>,
    guest: TypedFunc<(i32, i32), i32>,
    base: usize,
}

thread_local! {
    static BY_HAND: Cell<*mut ByHand> = const { Cell::new(ptr::null_mut()) };
    static COMPARED: Cell<u32> = const { Cell::new(0) };
}

/// # Safety
/// Both are `int`s.
unsafe extern "C" fn compare(a: *const c_void, b: *const c_void) -> c_int {
    // SAFETY: the caller's promise.
    let (a, b) = unsafe { (a.cast::<c_int>().read(), b.cast::<c_int>().read()) };
    c_int::from(a > b) - c_int::from(a < b)
}

/// # Safety
/// As [`compare`].
unsafe extern "C" fn counting(a: *const c_void, b: *const c_void) -> c_int {
    COMPARED.set(COMPARED.get() + 1);
    // SAFETY: the caller's promise.
    unsafe { compare(a, b) }
}

/// # Safety
/// `BY_HAND` is set, and both are in the memory of its instance.
unsafe extern "C" fn by_hand(a: *const c_void, b: *const c_void) -> c_int {
    // SAFETY: the caller's promise.
    let by_hand = unsafe { &mut *BY_HAND.get() };
    let offset = |at: *const c_void| i32::try_from(at.addr() - by_hand.base).expect("inside");
    let arguments = (offset(a), offset(b));
    by_hand.guest.call(&mut by_hand.store, arguments).expect("it compares")
}

fn numbers() -> Vec<i32> {
    let mut state = 1_u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
        i32::try_from(state >> 33).expect("31 bits")
    };
    std::iter::repeat_with(next).take(COUNT).collect()
}

fn timed(f: impl FnOnce()) -> f64 {
    let start = Instant::now();
    f();
    start.elapsed().as_secs_f64() * 1e9
}

fn main() -> ExitCode {
    let rounds = match prologue::begin(51, 301, "") {
        Ok(rounds) => rounds,
        Err(code) => return code,
    };
    let engine = Engine::default();
    let module = Module::new(&engine, GUEST).expect("valid");
    let instantiate = |tier| {
        // SAFETY: the prototype is that of the C library.
        let builder = unsafe { Bridge::builder(&engine).grant_interface("qsort.h", INTERFACE) };
        let bridge = builder.expect("it parses").max_tier(tier).build().expect("it builds");
        let mut store = Store::new(&engine, Natives::default());
        let linker = Linker::new(&engine);
        let instance = bridge.instantiate(&mut store, &linker, &module, |natives| natives);
        (store, instance.expect("it links"))
    };
    let (mut slow_store, slow) = instantiate(Tier::Interpreter);
    let slow_memory = slow.get_memory(&mut slow_store, "memory").expect("exported");
    let slow_sort = slow.get_typed_func::<i32, ()>(&mut slow_store, "sort").expect("exported");
    let (mut store, instance) = instantiate(Tier::Cranelift);
    let memory = instance.get_memory(&mut store, "memory").expect("exported");
    let sort = instance.get_typed_func::<i32, ()>(&mut store, "sort").expect("exported");
    let guest =
        instance.get_typed_func::<(i32, i32), i32>(&mut store, "compare").expect("exported");

    let unsorted = numbers();
    let bytes: Vec<u8> = unsorted.iter().flat_map(|n| n.to_le_bytes()).collect();
    let mut own = unsorted.clone();
    // SAFETY: an array of so many `int`s.
    unsafe { qsort(own.as_mut_ptr().cast(), COUNT, 4, counting) };
    let compared = COMPARED.get();
    let count = i32::try_from(COUNT).expect("small");

    let base = memory.data_ptr(&store).addr();
    let mut hand = ByHand { store, guest: guest.clone(), base };
    let hand = &raw mut hand;
    BY_HAND.set(hand);
    // SAFETY: one of the contenders runs at a time, and nobody else has it.
    let store = || unsafe { &mut (*hand).store };

    let [mut callback, mut slowly, mut typed, mut native, mut glue] = [const { Vec::new() }; 5];
    for _ in 0..rounds {
        memory.write(store(), 1024, &bytes).expect("it fits");
        let sorts = || sort.call(store(), count).expect("it sorts");
        callback.push(timed(sorts) / f64::from(compared));
        slow_memory.write(&mut slow_store, 1024, &bytes).expect("it fits");
        let sorts = || slow_sort.call(&mut slow_store, count).expect("it sorts");
        slowly.push(timed(sorts) / f64::from(compared));
        memory.write(store(), 1024, &bytes).expect("it fits");
        // SAFETY: an array of so many `int`s in the memory of the instance.
        let sorts =
            || unsafe { qsort(memory.data_ptr(store()).add(1024).cast(), COUNT, 4, by_hand) };
        glue.push(timed(sorts) / f64::from(compared));
        let mut sum = 0;
        typed.push(
            timed(|| {
                for turn in 0..compared {
                    let at = 1024 + 4 * i32::try_from(turn % 9999).expect("small");
                    sum += guest.call(store(), (at, at + 4)).expect("it compares");
                }
            }) / f64::from(compared),
        );
        std::hint::black_box(sum);
        own.copy_from_slice(&unsorted);
        // SAFETY: as above.
        let sorts = || unsafe { qsort(own.as_mut_ptr().cast(), COUNT, 4, compare) };
        native.push(timed(sorts) / f64::from(compared));
    }
    let show = |name: &str, interval: Interval| {
        let Interval { low, median, high } = interval;
        println!("  {name:<44}{median:>8.1} [{low:.1}, {high:.1}]");
    };
    println!("ns a comparison, {compared} comparisons");
    show("qsort, the guest's comparator, compiled entry", Interval::of(&callback));
    show("qsort, the same by the interpreter", Interval::of(&slowly));
    show("qsort, a comparator by hand: TypedFunc::call", Interval::of(&glue));
    show("qsort, a C comparator", Interval::of(&native));
    show("TypedFunc::call of the comparator", Interval::of(&typed));
    let net = paired(&callback, &native, |callback, native| callback - native);
    show("one callback, net of qsort and C's comparator", Interval::of(&net));
    let more = Interval::of(&paired(&net, &typed, |a, b| a - b));
    show("  more than TypedFunc::call", more);
    let net = paired(&slowly, &native, |callback, native| callback - native);
    let slower = Interval::of(&paired(&net, &typed, |a, b| a - b));
    show("  of the interpreter", slower);
    let than_glue = Interval::of(&paired(&callback, &glue, |a, b| a - b));
    println!("  aim: at most {AIM} more: {:?}", more.at_most(AIM));
    show("  more than the comparator by hand", than_glue);
    ExitCode::SUCCESS
}
