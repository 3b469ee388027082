//! Runs plans of calls on plain C values.
//!
//! Nothing can fail here: what could was told when the plan was made, and by the caller of
//! [`call`]. A plan is made [`Ready`] once: a scalar is then one load, converted, and one store. Native
//! code is entered through the same stubs as for guests. There is no allocation in a call.
use super::enter;
use super::result::Both;
use super::{SMALL_FRAME, SmallFrame};
use crate::plan::Plan;
use crate::plan::frame::{FrameHead, FrameLayout, MAX_STACK_AREA};
use crate::plan::moves::{copy, load, store};
use crate::plan::op::{Fetch, NativeOp, Op, Returns, Stub, Width};
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr;

/// The largest frame: these plans have no locals.
#[repr(C, align(16))]
struct LargeFrame(MaybeUninit<[u8; size_of::<FrameHead>() + MAX_STACK_AREA]>);

/// A scalar that is copied: from an argument to a place of the frame.
#[derive(Clone, Copy, Debug)]
struct Pair {
    arg: u16,
    to: u16,
}

/// A plan that is ready to be run.
///
/// The order in which arguments are placed does not matter: each place is written once, and nothing of
/// the frame is read before the call. So the ops that most calls consist of are sorted by what they do,
/// and each kind of them is one short loop without a decision in it.
#[derive(Debug)]
pub struct Ready {
    plan: Plan,
    /// First those that copy 8 bytes, then those that extend 4 with their sign, then those that extend
    /// 4 with zeros.
    pairs: Box<[Pair]>,
    words: usize,
    signed: usize,
    /// Everything else before the call.
    others: Box<[NativeOp]>,
    stub: Stub,
    returns: Returns,
    /// The frame is a small one.
    small: bool,
}

impl Ready {
    /// Sorts the ops of a verified plan of the kind [`Call`](crate::plan::Kind::Call).
    #[must_use]
    pub fn new(plan: Plan) -> Ready {
        let [mut words, mut signed, mut unsigned] = [const { Vec::new() }; 3];
        let mut others = Vec::new();
        let (mut stub, mut returns) = (Stub::Integers, Returns::Void);
        for op in &plan.ops[..=usize::from(plan.call)] {
            if let Op::Call { stub: with, returns: how } = *op {
                (stub, returns) = (with, how);
            }
            let Op::Native(op) = *op else { continue };
            let NativeOp::Fetch { arg, to, fetch } = op else {
                others.push(op);
                continue;
            };
            let kind = match fetch {
                Fetch::Integer(Width::I64 | Width::U64) | Fetch::Float64 => &mut words,
                Fetch::Integer(Width::I32) => &mut signed,
                Fetch::Integer(Width::U32) | Fetch::Float32 => &mut unsigned,
                Fetch::Integer(Width::I8 | Width::U8 | Width::I16 | Width::U16 | Width::I128)
                | Fetch::Bool
                | Fetch::Whole => {
                    others.push(op);
                    continue;
                }
            };
            let to = u16::try_from(to.offset()).expect("places are below 64 KiB");
            kind.push(Pair { arg, to });
        }
        let (first, second) = (words.len(), words.len() + signed.len());
        let pairs = [words, signed, unsigned].concat().into();
        let small = usize::from(plan.frame.size) <= SMALL_FRAME;
        let others = others.into();
        Ready { plan, pairs, words: first, signed: second, others, stub, returns, small }
    }

    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }
}

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
        let sides = |pair: &Pair| {
            let from = (*args.add(pair.arg.into())).cast::<u8>();
            (from, bytes.add(pair.to.into()))
        };
        for pair in ready.pairs.get_unchecked(..ready.words) {
            let (from, to) = sides(pair);
            copy::<u64>(from, to);
        }
        for pair in ready.pairs.get_unchecked(ready.words..ready.signed) {
            let (from, to) = sides(pair);
            fetch_to(Fetch::Integer(Width::I32), from, to);
        }
        for pair in ready.pairs.get_unchecked(ready.signed..) {
            let (from, to) = sides(pair);
            fetch_to(Fetch::Integer(Width::U32), from, to);
        }
        for op in &ready.others {
            place(*op, bytes, &ready.plan, args, result);
        }
        // Every register image and stack slot that the prototype asks for has been written.
        enter_with(frame, &ready.plan, ready.stub, ready.returns, target, result);
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

/// # Safety
/// As [`call_in`]; everything before the call has been placed.
#[inline(always)]
unsafe fn enter_with(
    frame: *mut FrameHead,
    plan: &Plan,
    stub: Stub,
    returns: Returns,
    target: *const c_void,
    result: *mut c_void,
) {
    // SAFETY: the caller's promise. `Stub::Integers` and `Stub::Registers` of plans that keep no
    // record jump instead of calling.
    unsafe {
        let area = frame.cast::<u8>().add(FrameLayout::STACK).cast::<u64>();
        let slots = usize::from(plan.frame.stack) / 8;
        let both = match (stub, returns) {
            (Stub::Integers, Returns::Record) => {
                enter::integers(frame, target);
                return deliver(frame, plan, result);
            }
            (Stub::Registers, Returns::Record) => {
                enter::registers(frame, target);
                return deliver(frame, plan, result);
            }
            (Stub::Integers, _) => enter::quick_integers(frame, target),
            (Stub::Registers, _) => enter::quick_registers(frame, target),
            (Stub::Stack, _) => {
                enter::stack(frame, target, area, slots);
                Both::of_first(&raw const (*frame).record)
            }
            (Stub::Whole { x87 }, _) => {
                let align = plan.frame.stack_align.into();
                enter::whole(frame, target, area, slots, align, x87.into());
                Both::of_first(&raw const (*frame).record)
            }
        };
        if returns == Returns::Record {
            return deliver(frame, plan, result);
        }
        write(returns, &both, result.cast());
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

/// Writes a scalar result: as many bytes as its type has, whatever else the register holds.
///
/// # Safety
/// `result` has room for the result.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "bits above the width are garbage")]
unsafe fn write(returns: Returns, both: &Both, result: *mut u8) {
    // SAFETY: the caller's promise.
    unsafe {
        match returns {
            Returns::Int32 => result.cast::<u32>().write_unaligned(both.integer as u32),
            Returns::Int64 => result.cast::<u64>().write_unaligned(both.integer),
            Returns::Float32 => {
                result.cast::<u32>().write_unaligned(both.vector.to_bits() as u32);
            }
            Returns::Float64 => result.cast::<u64>().write_unaligned(both.vector.to_bits()),
            Returns::Int8 | Returns::UInt8 => result.write(both.integer as u8),
            Returns::Bool => result.write(both.integer as u8 & 1),
            Returns::Int16 | Returns::UInt16 => {
                result.cast::<u16>().write_unaligned(both.integer as u16);
            }
            // The last three are a guest's.
            Returns::Void
            | Returns::Record
            | Returns::Long32
            | Returns::ULong32
            | Returns::Vector => {}
        }
    }
}
