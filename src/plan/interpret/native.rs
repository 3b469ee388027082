//! Runs plans of calls on plain C values.
//!
//! Nothing can fail here: what could was told when the plan was made, and by the caller of
//! [`call`]. A plan is made [`Ready`] once: a scalar is then one load, converted, and one store. Native
//! code is entered through the same stubs as for guests. There is no allocation in a call.
use super::SmallFrame;
use super::result::Both;
use super::{enter, stub};
use crate::plan::Plan;
use crate::plan::frame::{FrameHead, MAX_STACK_AREA};
use crate::plan::moves::{copy, load, store};
use crate::plan::op::{Fetch, NativeOp, Op, Stub, Width};
use std::ffi::c_void;
use std::mem::{self, MaybeUninit};
use std::ptr;

mod ready;

pub use ready::Ready;
use ready::{Copied, Source};

/// The largest frame: these plans have no locals.
#[repr(C, align(16))]
struct LargeFrame(MaybeUninit<[u8; size_of::<FrameHead>() + MAX_STACK_AREA]>);

/// Makes one call.
///
/// # Safety
/// - The plan was verified for this host's ABI.
/// - `target` is a function of the type that its prototype says, and calling it with these
///   arguments is sound.
/// - `args` points at as many pointers as it has parameters, each to a value of its type that can be
///   read; no alignment is asked for.
/// - `result` points at memory for a value of its result type, aligned as that type if it is a struct
///   or union; of a function without a result it may be anything.
pub unsafe fn call(
    ready: &Ready,
    target: *const c_void,
    args: *const *const c_void,
    result: *mut c_void,
) {
    if ready.small {
        let mut small = SmallFrame(MaybeUninit::uninit());
        // SAFETY: the frame is large enough and aligned; the rest is the caller's promise.
        unsafe { call_in(ptr::from_mut(&mut small).cast(), ready, target, args, result) }
    } else {
        // SAFETY: the caller's promise.
        unsafe { call_large(ready, target, args, result) }
    }
}

/// # Safety
/// As [`call`].
#[inline(never)]
unsafe fn call_large(
    ready: &Ready,
    target: *const c_void,
    args: *const *const c_void,
    result: *mut c_void,
) {
    let mut large = LargeFrame(MaybeUninit::uninit());
    // SAFETY: as large as any frame of such plans, and aligned; the rest is the caller's promise.
    unsafe { call_in(ptr::from_mut(&mut large).cast(), ready, target, args, result) }
}

/// # Safety
/// As [`call`]; `frame` is `plan.frame.size` bytes, 16-aligned, that nothing else uses.
#[inline(always)]
unsafe fn call_in(
    frame: *mut FrameHead,
    ready: &Ready,
    target: *const c_void,
    args: *const *const c_void,
    result: *mut c_void,
) {
    let bytes = frame.cast::<u8>();
    // SAFETY: a verified plan stays inside the frame, the arguments and its tables.
    unsafe {
        let sides = |copied: &Copied| {
            let from = (*args.add(copied.arg.into())).cast::<u8>().add(copied.from.into());
            (from, bytes.add(copied.to.into()))
        };
        for copied in ready.copies.get_unchecked(..ready.words) {
            let (from, to) = sides(copied);
            copy::<u64>(from, to);
        }
        for copied in ready.copies.get_unchecked(ready.words..ready.signed) {
            let (from, to) = sides(copied);
            let value = from.cast::<i32>().read_unaligned();
            to.cast::<u64>().write(i64::from(value).cast_unsigned());
        }
        for copied in ready.copies.get_unchecked(ready.signed..) {
            let (from, to) = sides(copied);
            to.cast::<u64>().write(from.cast::<u32>().read_unaligned().into());
        }
        if !ready.others.is_empty() {
            place_others(ready, bytes, args, result);
        }
        // Every register image and stack slot that the prototype asks for has been written.
        enter_with(frame, ready, target, result);
    }
}

/// # Safety
/// As [`call_in`].
#[inline(never)]
unsafe fn place_others(
    ready: &Ready,
    frame: *mut u8,
    args: *const *const c_void,
    result: *mut c_void,
) {
    for op in &ready.others {
        // SAFETY: a verified plan stays inside the frame, the arguments and its tables.
        unsafe { place(*op, frame, &ready.plan, args, result) };
    }
}

/// # Safety
/// As [`call_in`]; `op` is one of the plan's.
#[inline(always)]
unsafe fn place(
    op: NativeOp,
    frame: *mut u8,
    plan: &Plan,
    args: *const *const c_void,
    result: *mut c_void,
) {
    // SAFETY: the caller's promise. Padding of structs may be uninitialised: it is copied, not
    // looked at.
    unsafe {
        match op {
            NativeOp::Fetch { arg, to, fetch } => {
                let from = (*args.add(usize::from(arg))).cast::<u8>();
                let to = frame.add(to.offset());
                fetch_to(fetch, from, to);
            }
            NativeOp::Split { arg, moves } => {
                let moves = plan.moves.get_unchecked(usize::from(moves));
                load(moves, frame, (*args.add(usize::from(arg))).cast());
            }
            NativeOp::Destination { to } => {
                frame.add(to.offset()).cast::<*mut c_void>().write(result);
            }
            NativeOp::Deliver { moves } => {
                store(plan.moves.get_unchecked(usize::from(moves)), frame, result.cast());
            }
        }
    }
}

/// # Safety
/// `from` is a value that `fetch` reads, `to` has room for the 8 or 16 bytes that it writes.
#[inline(always)]
unsafe fn fetch_to(fetch: Fetch, from: *const u8, to: *mut u8) {
    // SAFETY: the caller's promise.
    unsafe {
        let to64 = to.cast::<u64>();
        match fetch {
            Fetch::Integer(Width::I32) => {
                let value = from.cast::<i32>().read_unaligned();
                to64.write(i64::from(value).cast_unsigned());
            }
            Fetch::Integer(Width::U32) | Fetch::Float32 => {
                to64.write(from.cast::<u32>().read_unaligned().into());
            }
            Fetch::Integer(Width::I64 | Width::U64) | Fetch::Float64 => copy::<u64>(from, to),
            Fetch::Integer(Width::I8) => {
                to64.write(i64::from(from.cast::<i8>().read()).cast_unsigned());
            }
            Fetch::Integer(Width::U8) => to64.write(from.read().into()),
            Fetch::Integer(Width::I16) => {
                let value = from.cast::<i16>().read_unaligned();
                to64.write(i64::from(value).cast_unsigned());
            }
            Fetch::Integer(Width::U16) => to64.write(from.cast::<u16>().read_unaligned().into()),
            Fetch::Bool => to64.write((from.read() != 0).into()),
            Fetch::Integer(Width::I128) | Fetch::Whole => copy::<u128>(from, to),
        }
    }
}

/// What a stub that jumps into the function can say that it returns: two registers, whichever the type asks
/// for (psABI 3.2.3). Those that the function did not set hold garbage.
type Quick<R> = unsafe extern "sysv64" fn(*const FrameHead, *const c_void) -> R;

/// `rax` and `rdx`.
#[repr(C)]
struct Integers(u64, u64);

/// `xmm0` and `xmm1`.
#[repr(C)]
struct Vectors(f64, f64);

/// # Safety
/// As [`call_in`]; everything before the call has been placed.
#[inline(always)]
unsafe fn enter_with(
    frame: *mut FrameHead,
    ready: &Ready,
    target: *const c_void,
    result: *mut c_void,
) {
    let Ready { stub, source, size, .. } = *ready;
    // SAFETY: the caller's promise. The stubs that jump leave all result registers as the function has set
    // them, so that they may be said to return any of them; the others leave them in the record.
    unsafe {
        let quick: Quick<Both> = match stub {
            Stub::Integers => enter::quick_integers,
            Stub::Registers => enter::quick_registers,
            Stub::Stack | Stub::Whole { .. } | Stub::Data(_) => {
                return enter_slowly(frame, ready, target, result);
            }
        };
        let words = match source {
            Source::Integer => {
                let mut word = quick(frame, target).integer;
                if ready.is_bool {
                    word &= 1;
                }
                return write_word(word, size, result.cast());
            }
            Source::Vector => {
                let word = quick(frame, target).vector.to_bits();
                return write_word(word, size, result.cast());
            }
            Source::Integers => {
                let quick = mem::transmute::<Quick<Both>, Quick<Integers>>(quick);
                let Integers(first, second) = quick(frame, target);
                [first, second]
            }
            Source::Vectors => {
                let quick = mem::transmute::<Quick<Both>, Quick<Vectors>>(quick);
                let Vectors(first, second) = quick(frame, target);
                [first.to_bits(), second.to_bits()]
            }
            Source::IntegerVector => {
                let Both { integer, vector } = quick(frame, target);
                [integer, vector.to_bits()]
            }
            Source::VectorInteger => {
                let Both { integer, vector } = quick(frame, target);
                [vector.to_bits(), integer]
            }
            Source::Record => return enter_slowly(frame, ready, target, result),
        };
        write_words(words, size, result.cast());
    }
}

/// As [`enter_with`], with stubs that fill the call record.
///
/// # Safety
/// As [`enter_with`].
#[inline(never)]
unsafe fn enter_slowly(
    frame: *mut FrameHead,
    ready: &Ready,
    target: *const c_void,
    result: *mut c_void,
) {
    let plan = &ready.plan;
    // SAFETY: the caller's promise.
    unsafe {
        stub::enter(plan, target, frame, ready.stub);
        let Both { integer, vector } = Both::of_first(&raw const (*frame).record);
        match ready.source {
            Source::Integer if ready.is_bool => write_word(integer & 1, 1, result.cast()),
            Source::Integer => write_word(integer, ready.size, result.cast()),
            Source::Vector => write_word(vector.to_bits(), ready.size, result.cast()),
            Source::Integers
            | Source::Vectors
            | Source::IntegerVector
            | Source::VectorInteger
            | Source::Record => deliver(frame, plan, result),
        }
    }
}

/// Runs what stands after the call.
///
/// # Safety
/// As [`call_in`]; the record is complete.
#[inline]
unsafe fn deliver(frame: *mut FrameHead, plan: &Plan, result: *mut c_void) {
    for op in plan.ops.iter().skip(usize::from(plan.call) + 1) {
        if let Op::Native(op) = op {
            // SAFETY: the only op after the call is `Deliver`, which reads no argument.
            unsafe { place(*op, frame.cast(), plan, ptr::null(), result) };
        }
    }
}

/// Writes a result of at most 8 bytes: as many as its type has, whatever else the register holds.
///
/// # Safety
/// `result` has room for them.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "bits above the width are garbage")]
unsafe fn write_word(word: u64, size: u8, result: *mut u8) {
    // SAFETY: the caller's promise.
    unsafe {
        if size == 4 {
            result.cast::<u32>().write_unaligned(word as u32);
        } else if size == 8 {
            result.cast::<u64>().write_unaligned(word);
        } else if size == 1 {
            result.write(word as u8);
        } else if size == 2 {
            result.cast::<u16>().write_unaligned(word as u16);
        } else {
            write_words([word, 0], size, result);
        }
    }
}

/// Writes a result of at most 16 bytes.
///
/// # Safety
/// `result` has room for `size` bytes.
#[inline(always)]
unsafe fn write_words(words: [u64; 2], size: u8, result: *mut u8) {
    // SAFETY: the caller's promise; a result in two registers has at most 16 bytes.
    unsafe {
        if size == 16 {
            result.cast::<[u64; 2]>().write_unaligned(words);
        } else {
            let from = words.as_ptr().cast::<u8>();
            from.copy_to_nonoverlapping(result, usize::from(size).min(16));
        }
    }
}
