//! Whole calls without wasm: text to plan to native functions of this file.
use super::*;
use crate::plan::abi::Abi;
use crate::plan::compile::{Target, compile};
use crate::plan::handles::{HandleType, Loan};
use crate::plan::layout::DataModel;
use crate::plan::template::Template;
use crate::plan::{CallError, HandleTypes, Limits, StoreBlock};
use crate::signature::{Record, Scope, parse_prototype};
use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::Arc;

mod deep;
mod quick;

struct OneType;
impl HandleTypes for OneType {
    fn number(&self, _: &Record) -> HandleType {
        HandleType(1)
    }
}

/// A guest that hands out memory from address 4096 on.
struct Bump {
    next: u64,
    freed: Vec<u64>,
}
impl Guest for Bump {
    fn refresh(&mut self, _: &Binding) {}
    fn allocate(&mut self, size: u64, _: u32) -> Result<u64, GuestStopped> {
        let at = self.next;
        self.next += size.next_multiple_of(8);
        Ok(at)
    }
    fn release(&mut self, loan: Loan) -> Result<(), GuestStopped> {
        self.freed.push(loan.address);
        Ok(())
    }
    fn static_copy(&mut self, _: usize) -> Result<Option<(u64, u64)>, Problem> {
        Ok(None)
    }
    fn keep_static_copy(&mut self, _: usize, _: u64, _: u64) {}
}

/// One store with one import and 8 KiB of memory.
struct Bench {
    plan: Plan,
    memory: Vec<u8>,
    store: Box<StoreBlock>,
    binding: Binding,
    guest: Bump,
}

impl Bench {
    fn new(prototype: &str, target: *const c_void) -> Bench {
        Bench::of(prototype, target, true)
    }

    /// `leaf`: as far as its interface says, it does not call back.
    fn of(prototype: &str, target: *const c_void, leaf: bool) -> Bench {
        let scope = Scope::default();
        let prototype = Arc::new(parse_prototype(prototype, &scope).expect("it parses"));
        let plan = compile(
            &prototype,
            &Target {
                model: DataModel::Ilp32,
                abi: Abi::SysvX86_64,
                leaf,
                scope: &scope,
                import: None,
                handle_types: &OneType,
                grants: &|_| None,
            },
        )
        .expect("it compiles");
        let mut memory = vec![0; 8192];
        let store = Box::new(StoreBlock::new(Limits::default()));
        let binding = Binding {
            target,
            store: &raw const *store,
            memory_base: Cell::new(memory.as_mut_ptr()),
            memory_len: Cell::new(8192),
            callees: [].as_ptr(),
            instance: 0,
            errno: Cell::new(0),
        };
        Bench { plan, memory, store, binding, guest: Bump { next: 4096, freed: Vec::new() } }
    }

    fn call(&mut self, arguments: &[u64]) -> Result<u64, String> {
        let mut slots: Vec<GuestSlot> =
            arguments.iter().map(|low| GuestSlot { low: *low, high: 0 }).collect();
        slots.resize(slots.len().max(1), GuestSlot::default());
        // SAFETY: the plan has passed the verifier, the functions of this file are of the types
        // that their prototypes say, and the memory is `memory`.
        let done = unsafe { run(&self.plan, &self.binding, slots.as_mut_ptr(), &mut self.guest) };
        Bench::outcome(done, slots[0])
    }

    fn outcome(done: Result<(), Box<Stop>>, first: GuestSlot) -> Result<u64, String> {
        match done.map_err(|stop| *stop) {
            Ok(()) => Ok(first.low),
            Err(Stop::Guest) => Err("guest".into()),
            Err(Stop::Error { subject, problem, called }) => {
                let import = "t.f".into();
                Err(CallError { import, subject, problem, called }.to_string())
            }
        }
    }
}

extern "C" fn eighteen(
    a: i64,
    b: i64,
    c: i64,
    d: i64,
    e: i64,
    f: i64,
    v: f64,
    w: f64,
    x: f64,
    y: f64,
    z: f64,
    p: f64,
    q: f64,
    r: f64,
    g: i64,
    h: i64,
    i: i64,
    j: i64,
) -> f64 {
    let integers = [a, b, c, d, e, f, g, h, i, j];
    let doubles = [v, w, x, y, z, p, q, r];
    let weighted = integers.iter().zip(1..).map(|(n, k)| (n * k) as f64).sum::<f64>();
    weighted + doubles.iter().zip(1..).map(|(n, k)| n * f64::from(k) * 1e6).sum::<f64>()
}

#[test]
fn registers_and_stack_get_what_belongs_there() {
    let text = "double f(long long a, long long b, long long c, long long d, long long e, long long f, \
        double v, double w, double x, double y, double z, double p, double q, double r, \
        long long g, long long h, long long i, long long j)";
    let mut bench = Bench::new(text, eighteen as *const c_void);
    let mut arguments: Vec<u64> = (1..=6).collect();
    arguments.extend((1..=8).map(|n| f64::from(n).to_bits()));
    arguments.extend(7..=10);
    let got = f64::from_bits(bench.call(&arguments).expect("it runs"));
    let squares = |n: u64| (1..=n).map(|k| (k * k) as f64).sum::<f64>();
    assert_eq!(got, squares(10) + squares(8) * 1e6);
}

extern "C" fn garbage(_: i8) -> u64 {
    0xdead_beef_ffff_ff85
}

#[test]
fn narrow_results_lose_the_garbage_above_them() {
    for (ty, expected) in [
        ("int8_t", 0xffff_ff85),
        ("uint8_t", 0x85),
        ("short", 0xffff_ff85),
        ("uint16_t", 0xff85),
        ("bool", 1),
    ] {
        let mut bench = Bench::new(&format!("{ty} f(int8_t x)"), garbage as *const c_void);
        assert_eq!(bench.call(&[0x1ff]), Ok(expected), "{ty}");
        let template = Template::of(&bench.plan).expect("scalars have a template");
        let mut slot = GuestSlot { low: 0x1ff, high: 0 };
        // SAFETY: as `Bench::call`.
        unsafe { template.run(&bench.binding, &raw mut slot) }.expect("it runs");
        assert_eq!(slot.low, expected, "{ty} by template");
        let mut slot = GuestSlot { low: 0x1ff, high: 0 };
        let quick = Quick::of(&bench.plan).expect("scalars are quick");
        // SAFETY: as `Bench::call`.
        unsafe { quick.run(&bench.plan, &bench.binding, &raw mut slot) }.expect("it runs");
        assert_eq!(slot.low, expected, "{ty} quickly");
    }
}

extern "C" fn sum(bytes: *const u8, n: usize) -> usize {
    if n == 0 {
        return usize::from(bytes.is_null());
    }
    // SAFETY: the caller has checked the range.
    unsafe { std::slice::from_raw_parts(bytes, n) }.iter().map(|b| usize::from(*b)).sum()
}

#[test]
fn buffers_are_checked_at_every_edge_by_both_tiers() {
    let mut bench =
        Bench::new("size_t f(const uint8_t *__counted_by(n) p, size_t n)", sum as *const c_void);
    bench.memory.fill(1);
    let template = Template::of(&bench.plan).expect("a buffer has a template");
    let past = "t.f: parameter 1 \"p\" (const uint8_t *__counted_by(n)): ";
    for (p, n, expected) in [
        (0, 0, Ok(1)),
        (1, 0, Ok(0)),
        (0xffff_ffff, 0, Ok(0)),
        (0, 1, Err("the pointer is 0")),
        (8191, 1, Ok(1)),
        (1, 8191, Ok(8191)),
        (8191, 2, Err("2 bytes at 0x1fff reach past the memory of 8192 bytes")),
        (0xffff_ffff, 0xffff_ffff, Err("4294967295 bytes at 0xffffffff reach past")),
        (1, 8192, Err("8192 bytes at 0x1 reach past the memory of 8192 bytes")),
    ] {
        let got = bench.call(&[p, n]);
        match (&got, expected) {
            (Ok(got), Ok(expected)) => assert_eq!(*got, expected, "{p:#x} {n}"),
            (Err(got), Err(expected)) => {
                assert!(got.starts_with(&format!("{past}{expected}")), "{got}");
            }
            _ => panic!("{p:#x} {n}: {got:?}, not {expected:?}"),
        }
        let mut slots = [GuestSlot { low: p, high: 0 }, GuestSlot { low: n, high: 0 }];
        // SAFETY: as `Bench::call`.
        let done = unsafe { template.run(&bench.binding, slots.as_mut_ptr()) };
        match done {
            Ok(()) => assert_eq!(Ok(slots[0].low), got, "{p:#x} {n} by template"),
            Err(fallback) => assert_eq!(fallback, Fallback::Redo),
        }
        let quick = Quick::of(&bench.plan).expect("buffers are quick");
        let mut slots = [GuestSlot { low: p, high: 0 }, GuestSlot { low: n, high: 0 }];
        // SAFETY: as `Bench::call`.
        match unsafe { quick.run(&bench.plan, &bench.binding, slots.as_mut_ptr()) } {
            Ok(()) => assert_eq!(Ok(slots[0].low), got, "{p:#x} {n} quickly"),
            Err(halt) => assert!(got.is_err() && matches!(halt, Halt::Before)),
        }
    }
}

extern "C" fn shrink(dest: *mut u8, dest_len: *mut u64, by: u64) -> c_int {
    // SAFETY: the caller has checked both.
    unsafe {
        let n = usize::try_from(*dest_len).expect("it fits");
        std::slice::from_raw_parts_mut(dest, n).fill(7);
        *dest_len -= by;
    }
    0
}

const SHRINK: &str =
    "int f(uint8_t *__counted_by(*len) dest, unsigned long *_Inout_ len, unsigned long by)";

#[test]
fn a_count_cell_is_widened_narrowed_and_not_the_buffers_to_change() {
    let mut bench = Bench::new(SHRINK, shrink as *const c_void);
    bench.memory[16..20].copy_from_slice(&8u32.to_le_bytes());
    assert_eq!(bench.call(&[16, 16, 3]), Ok(0), "buffer and cell at the same address");
    assert_eq!(bench.memory[16..24], [5, 0, 0, 0, 7, 7, 7, 7]);
}

#[test]
fn nothing_is_written_back_when_an_out_value_does_not_fit() {
    let mut bench = Bench::new(SHRINK, shrink as *const c_void);
    bench.memory[16..20].copy_from_slice(&8u32.to_le_bytes());
    let error = bench.call(&[32, 16, 9]).expect_err("8 - 9 is no 32-bit count");
    assert!(error.contains("parameter 2 \"len\""), "{error}");
    assert!(error.contains("18446744073709551615"), "{error}");
    assert!(error.ends_with("the native function did run"), "{error}");
    assert_eq!(bench.memory[16..20], 8u32.to_le_bytes());
}

extern "C" fn greet(name: *const c_char, out: *mut c_char) -> *const c_char {
    // SAFETY: the caller has checked both.
    unsafe {
        out.write(b'#'.cast_signed());
        name.add(CStr::from_ptr(name).count_bytes())
    }
}

#[test]
fn a_string_that_overlaps_an_output_is_copied_and_pointers_into_it_come_back() {
    let text = "const char *f(const char *name, char *__counted_by(1) out)";
    let mut bench = Bench::new(text, greet as *const c_void);
    bench.memory[100..104].copy_from_slice(b"abc\0");
    // The callee erases the first character, and finds the end of the copy.
    assert_eq!(bench.call(&[100, 103]), Ok(103));
    assert_eq!(&bench.memory[100..104], b"abc#");
}

/// Fills `word`, then moves the cursor to the end of the string that it points into.
extern "C" fn next_word(cursor: *mut *const c_char, word: *mut c_char) {
    // SAFETY: the caller has checked both: eight bytes, and a string behind the cursor.
    unsafe {
        word.write_bytes(b'#', 8);
        *cursor = (*cursor).add(CStr::from_ptr(*cursor).count_bytes());
    }
}

#[test]
fn a_string_behind_a_cell_is_told_from_an_output_too() {
    let text = "void f(const char **_Inout_ cursor, char *_Out_ __counted_by(8) word)";
    let mut bench = Bench::new(text, next_word as *const c_void);
    // The string ends with the memory, and so does the output.
    bench.memory[8184..].copy_from_slice(b"abcdefg\0");
    bench.memory[64..68].copy_from_slice(&8184_u32.to_le_bytes());
    assert!(bench.call(&[64, 8184]).is_ok());
    assert_eq!(&bench.memory[8184..], b"########");
    assert_eq!(bench.memory[64..68], 8191_u32.to_le_bytes());
}

thread_local! {
    static DROPPED: Cell<usize> = const { Cell::new(0) };
}

extern "C" fn open(out: *mut *mut c_void) -> c_int {
    // SAFETY: the caller has checked the cell.
    unsafe { *out = std::ptr::without_provenance_mut(0x5000) };
    7
}

extern "C" fn close(object: *mut c_void) -> c_int {
    DROPPED.set(object.addr());
    0
}

#[test]
fn handles_go_out_come_in_and_die() {
    let mut opener = Bench::new("int f(struct thing **_Out_ out)", open as *const c_void);
    assert_eq!(opener.call(&[64]), Ok(7));
    let handle = u32::from_le_bytes(opener.memory[64..68].try_into().expect("four bytes"));
    assert_ne!(handle, 0);
    let mut closer = Bench::new("int f(struct thing *t __consumes)", close as *const c_void);
    closer.binding.store = &raw const *opener.store;
    assert_eq!(closer.call(&[u64::from(handle)]), Ok(0));
    assert_eq!(DROPPED.get(), 0x5000);
    let error = closer.call(&[u64::from(handle)]).expect_err("it is dead");
    assert!(error.contains("no longer alive") && error.contains("struct thing"), "{error}");
    assert!(closer.call(&[0x1234]).expect_err("forged").contains("no handle"));
}

extern "C" fn name_of(_: *mut c_void, n: c_int) -> *const c_char {
    if n == 0 { std::ptr::null() } else { c"lent".as_ptr() }
}

#[test]
fn lent_copies_are_given_recorded_and_freed_and_marks_are_taken_back() {
    let mut opener = Bench::new("int f(struct thing **_Out_ out)", open as *const c_void);
    assert_eq!(opener.call(&[64]), Ok(7));
    let handle = u64::from(opener.memory[64]) | u64::from(opener.memory[66]) << 16;
    let lend = "const char *__lifetimebound(t) f(struct thing *t, int n)";
    let mut lender = Bench::new(lend, name_of as *const c_void);
    lender.binding.store = &raw const *opener.store;
    assert_eq!(lender.call(&[handle, 0]), Ok(0), "NULL");
    assert_eq!(lender.call(&[handle, 1]), Ok(4096));
    assert_eq!(lender.memory[4096..4101], *b"lent\0");
    let mut stepper = Bench::new("int f(struct thing *t __invalidates)", close as *const c_void);
    stepper.binding.store = &raw const *opener.store;
    let lent = |bench: &Bench| bench.store.with_handles(|table| table.lent());
    assert_eq!((lent(&opener), stepper.call(&[handle])), (1, Ok(0)), "no call is running any more");
    assert_eq!((lent(&opener), stepper.call(&[handle])), (0, Ok(0)));
    // Its memory stays with the handle, for the next one.
    lender.memory[4096..4101].fill(9);
    assert_eq!(lender.call(&[handle, 1]), Ok(4096));
    assert_eq!((lent(&opener), &lender.memory[4096..4101]), (1, &b"lent\0"[..]));
    assert_eq!(lender.call(&[handle, 1]), Ok(4104), "it is in use");
    let mut closer = Bench::new("int f(struct thing *t __consumes)", close as *const c_void);
    closer.binding.store = &raw const *opener.store;
    assert_eq!(closer.call(&[handle]), Ok(0));
    assert_eq!((&stepper.guest.freed[..], &closer.guest.freed[..]), (&[][..], &[4096, 4104][..]));
}

extern "C" fn long_name_of(_: *mut c_void, out: *mut i64) -> *const c_char {
    // SAFETY: the caller has checked the cell.
    unsafe { *out += 1 << 30 };
    c"lent".as_ptr()
}

#[test]
fn loans_end_before_new_ones_begin_and_whatever_fails() {
    let mut opener = Bench::new("int f(struct thing **_Out_ out)", open as *const c_void);
    assert_eq!(opener.call(&[64]), Ok(7));
    let handle = u64::from(opener.memory[64]) | u64::from(opener.memory[66]) << 16;
    let next = "const char *__lifetimebound(t) f(struct thing *t __invalidates, long *_Inout_ n)";
    let mut next = Bench::new(next, long_name_of as *const c_void);
    next.binding.store = &raw const *opener.store;
    assert_eq!(next.call(&[handle, 64]), Ok(4096));
    assert_eq!(next.guest.freed, [], "what the call lends outlives it");
    let error = next.call(&[handle, 64]).expect_err("the count no longer fits");
    assert!(error.contains("parameter 2"), "{error}");
    let lent = opener.store.with_handles(|table| table.lent());
    assert_eq!(lent, 0, "native code has invalidated it all the same");
}

extern "C" fn too_long() -> u64 {
    1 << 32
}

#[test]
fn a_result_that_does_not_fit_is_an_error_after_the_call_on_both_tiers() {
    let mut bench = Bench::new("size_t f(void)", too_long as *const c_void);
    let error = bench.call(&[]).expect_err("it does not fit");
    assert!(error.contains("4294967296") && error.contains("did run"), "{error}");
    let template = Template::of(&bench.plan).expect("a scalar has a template");
    let mut slot = GuestSlot::default();
    // SAFETY: as `Bench::call`.
    let done = unsafe { template.run(&bench.binding, &raw mut slot) };
    assert_eq!(done, Err(Fallback::Resume { integer: 1 << 32 }));
    // SAFETY: the function has run and returned this.
    let stop = unsafe {
        resume_with(&bench.plan, &bench.binding, &raw mut slot, 1 << 32, &mut bench.guest)
    };
    let stop = stop.map_err(|stop| *stop);
    assert!(matches!(stop, Err(Stop::Error { called: true, .. })), "{stop:?}");
}

extern "C" fn end_child(_: *mut c_void, _: *mut c_void) -> c_int {
    0
}

#[test]
fn a_child_that_is_consumed_beside_its_parent_leaves_no_mark_on_it() {
    let mut opener = Bench::new("int f(struct thing **_Out_ out)", open as *const c_void);
    assert_eq!(opener.call(&[64]), Ok(7));
    let parent = u32::from_le_bytes(opener.memory[64..68].try_into().expect("four bytes"));
    let kind = HandleType(1);
    let object = std::ptr::without_provenance_mut(0x6000);
    let child = opener
        .store
        .with_handles(|table| table.adopt(object, kind, false, Some(parent), std::ptr::null()))
        .expect("there is room");
    let text = "int f(struct thing *__consumes c, struct thing *p)";
    let mut ender = Bench::new(text, end_child as *const c_void);
    ender.binding.store = &raw const *opener.store;
    assert_eq!(ender.call(&[u64::from(child), u64::from(parent)]), Ok(0));
    let free = opener.store.with_handles(|table| table.check_consumable(parent, kind));
    assert_eq!(free, Ok(()), "no call is running any more");
}
