//! Runs plans of calls that native code makes.
//!
//! The entry of a closure saves the registers that its plan reads into a frame and calls us with it
//! (`closure`). Arguments that lie whole in the frame are lent where they are: for most calls there is
//! nothing to do before the closure runs. Only values that came in several registers are put together in
//! scratch memory first.
use super::closure;
use super::result::Both;
use crate::plan::Plan;
use crate::plan::frame::{CallRecord, FrameHead, FrameLayout, SCRATCH};
use crate::plan::moves::{load, store};
use crate::plan::op::{At, Fetch, Op, UpcallOp, Width};
use std::ffi::c_void;
use std::marker::PhantomData;
use std::mem::{MaybeUninit, offset_of};
use std::sync::atomic::AtomicPtr;

/// The first two words of what belongs to a closure: its stub jumps to `entry` with the address of this
/// in `r11`, and that calls `run` with it.
#[derive(Debug)]
#[repr(C)]
pub struct Context {
    /// One of the entries; see [`entry_of`] and [`dead_entry`].
    pub entry: AtomicPtr<c_void>,
    /// What runs the closure; it ends with [`run`].
    pub run: unsafe extern "C" fn(*mut FrameHead, *const Context) -> Both,
}

/// The memory of arguments that are put together, and of results that leave in registers.
#[repr(C, align(16))]
struct Scratch(MaybeUninit<[u8; SCRATCH]>);

/// The arguments of a running call, and where its result goes.
#[derive(Debug)]
pub struct Lent<'a> {
    plan: &'a Plan,
    frame: *mut u8,
    scratch: *mut u8,
    result: *mut u8,
    /// Everything is gone when the call ends.
    call: PhantomData<&'a mut ()>,
}

impl Lent<'_> {
    /// How many arguments there are.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.plan.call.into()
    }

    /// Whether there are none.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.plan.call == 0
    }

    /// Where an argument is; `None` beyond the last.
    #[inline]
    #[must_use]
    pub fn argument(&self, index: usize) -> Option<*const u8> {
        let op = self.plan.ops.get(index).filter(|_| index < self.len())?;
        let Op::Upcall(op) = op else { return None };
        match *op {
            // SAFETY: a verified plan stays inside the frame; the caller's stack arguments are a part
            // of it as long as the call runs.
            UpcallOp::Lend { from } => Some(unsafe { self.frame.add(from.offset()) }),
            // SAFETY: likewise, and the address of the argument is there.
            UpcallOp::LendBehind { from } => {
                Some(unsafe { self.frame.add(from.offset()).cast::<*const u8>().read() })
            }
            UpcallOp::Join { offset, .. } => Some(self.scratch_at(offset)),
            UpcallOp::Call { .. }
            | UpcallOp::Reply { .. }
            | UpcallOp::ReplySplit { .. }
            | UpcallOp::ReplyHidden { .. } => None,
        }
    }

    /// Where the result goes. Of a `void` function somewhere harmless.
    #[inline]
    #[must_use]
    pub fn result(&self) -> *mut u8 {
        self.result
    }

    fn scratch_at(&self, offset: u32) -> *mut u8 {
        self.scratch.wrapping_add(offset as usize)
    }
}

/// Runs one call: `body` gets the arguments, and has put the result in its place when it returns. What
/// comes back is for the entry stub: the result registers, or, if the plan takes the result apart into the
/// call record, what of the record it must load.
///
/// # Safety
/// `plan` is a verified plan of the kind [`Closure`](crate::plan::Kind::Closure) for this host's ABI, and
/// `frame` is what the entry that [`entry_of`] gives for it has filled. `body` does not unwind.
#[inline(always)]
pub unsafe fn run(plan: &Plan, frame: *mut FrameHead, body: impl FnOnce(&Lent<'_>)) -> Both {
    let mut memory = Scratch(MaybeUninit::uninit());
    let scratch = (&raw mut memory).cast::<u8>();
    let frame = frame.cast::<u8>();
    let call = usize::from(plan.call);
    if !plan.moves.is_empty() {
        // SAFETY: the caller's promise.
        unsafe { join(plan, frame, scratch) };
    }
    let mut result = scratch;
    if let Some(Op::Upcall(UpcallOp::Call { result: offset, hidden })) = plan.ops.get(call) {
        result = match hidden {
            // SAFETY: the address that the caller passed is in the frame.
            Some(at) => unsafe { frame.add(at.offset()).cast::<*mut u8>().read() },
            None => scratch.wrapping_add(*offset as usize),
        };
    }
    let reply = match plan.ops.get(call + 1) {
        Some(Op::Upcall(reply)) => Some(*reply),
        _ => None,
    };
    if let Some(UpcallOp::Reply { .. } | UpcallOp::ReplySplit { .. }) = reply {
        // A closure that leaves its result alone returns zero. Results in registers have at most 32
        // bytes.
        // SAFETY: a verified plan's result lies in scratch memory with all its bytes; the greatest
        // offset leaves 32.
        unsafe {
            result.cast::<u64>().write(0);
            if let Some(UpcallOp::ReplySplit { .. }) = reply {
                result.cast::<[u64; 4]>().write([0; 4]);
            }
        }
    }
    body(&Lent { plan, frame, scratch, result, call: PhantomData });
    // SAFETY: the closure has written its result, or it is zero.
    unsafe { replied(reply, plan, frame, result) }
}

/// Puts together what came in several registers.
///
/// # Safety
/// As [`run`]; `scratch` is [`SCRATCH`] bytes.
#[inline(never)]
unsafe fn join(plan: &Plan, frame: *mut u8, scratch: *mut u8) {
    for op in &plan.ops[..usize::from(plan.call)] {
        if let Op::Upcall(UpcallOp::Join { moves, offset }) = *op {
            let moves = &plan.moves[usize::from(moves)];
            // SAFETY: a verified plan stays inside the frame and the scratch memory.
            unsafe { store(moves, frame, scratch.add(offset as usize)) };
        }
    }
}

/// # Safety
/// As [`run`]; the result is in its memory.
#[inline(always)]
unsafe fn replied(reply: Option<UpcallOp>, plan: &Plan, frame: *mut u8, result: *mut u8) -> Both {
    let nothing = Both { integer: 0, vector: 0.0 };
    // SAFETY: the caller's promise.
    unsafe {
        match reply {
            None => nothing,
            Some(UpcallOp::Reply { fetch }) => scalar(fetch, result),
            Some(UpcallOp::ReplyHidden { from }) => {
                Both { integer: frame.add(from.offset()).cast::<u64>().read(), vector: 0.0 }
            }
            Some(UpcallOp::ReplySplit { moves }) => {
                let moves = &plan.moves[usize::from(moves)];
                load(moves, frame, result);
                Both {
                    integer: loads(moves.iter().map(|one| (one.frame, one.kind.frame_bytes()))),
                    vector: 0.0,
                }
            }
            // Not after a call.
            Some(
                UpcallOp::Lend { .. }
                | UpcallOp::LendBehind { .. }
                | UpcallOp::Join { .. }
                | UpcallOp::Call { .. },
            ) => nothing,
        }
    }
}

/// # Safety
/// `from` holds a value that `fetch` reads.
#[inline(always)]
unsafe fn scalar(fetch: Fetch, from: *const u8) -> Both {
    let integer = |integer| Both { integer, vector: 0.0 };
    let vector = |bits| Both { integer: 0, vector: f64::from_bits(bits) };
    // SAFETY: the caller's promise; the result's memory is 16-aligned.
    unsafe {
        match fetch {
            Fetch::Integer(Width::I32) => {
                integer(i64::from(from.cast::<i32>().read()).cast_unsigned())
            }
            Fetch::Integer(Width::I64 | Width::U64) => integer(from.cast::<u64>().read()),
            Fetch::Integer(Width::U32) => integer(from.cast::<u32>().read().into()),
            Fetch::Float64 => vector(from.cast::<u64>().read()),
            Fetch::Float32 => vector(from.cast::<u32>().read().into()),
            Fetch::Integer(Width::I8) => {
                integer(i64::from(from.cast::<i8>().read()).cast_unsigned())
            }
            Fetch::Integer(Width::U8) => integer(from.read().into()),
            Fetch::Integer(Width::I16) => {
                integer(i64::from(from.cast::<i16>().read()).cast_unsigned())
            }
            Fetch::Integer(Width::U16) => integer(from.cast::<u16>().read().into()),
            Fetch::Bool => integer((from.read() != 0).into()),
            // Not of a `Reply`.
            Fetch::Integer(Width::I128) | Fetch::Whole => integer(0),
        }
    }
}

/// What the entry must load from the record beside the low halves of all registers: [`LOAD_ST0`],
/// [`LOAD_ST1`], [`LOAD_WHOLE`].
#[inline]
fn loads(moves: impl Iterator<Item = (At, u32)>) -> u64 {
    let vectors = offset_of!(FrameHead, record) + offset_of!(CallRecord, vectors);
    let (first, second) = (super::RESULT_X87_AT, super::RESULT_X87_AT + 16);
    moves.fold(0, |loads, (at, bytes)| match at.offset() {
        offset if offset >= second => loads | LOAD_ST0 | LOAD_ST1,
        offset if offset >= first => loads | LOAD_ST0,
        offset if offset >= vectors && bytes > 8 => loads | LOAD_WHOLE,
        _ => loads,
    })
}

/// A result in `st(0)`.
pub const LOAD_ST0: u64 = 1;
/// Another one in `st(1)`.
pub const LOAD_ST1: u64 = 2;
/// Results of 16 bytes in vector registers.
pub const LOAD_WHOLE: u64 = 4;

/// The least entry that saves every register that a plan reads and loads every one that has a result.
#[must_use]
pub fn entry_of(plan: &Plan) -> *const c_void {
    let vectors = FrameLayout::vector(0).map_or(0, At::offset)..offset_of!(FrameHead, record);
    let reads_vector = |op: &Op| match op {
        Op::Upcall(UpcallOp::Lend { from }) => vectors.contains(&from.offset()),
        Op::Upcall(UpcallOp::Join { moves, .. }) => plan
            .moves
            .get(usize::from(*moves))
            .is_none_or(|moves| moves.iter().any(|one| vectors.contains(&one.frame.offset()))),
        _ => false,
    };
    let splits = matches!(plan.ops.last(), Some(Op::Upcall(UpcallOp::ReplySplit { .. })));
    match (splits, plan.ops.iter().any(reads_vector)) {
        (true, _) => closure::entry_record as *const c_void,
        (false, true) => closure::entry_all as *const c_void,
        (false, false) => closure::entry_integers as *const c_void,
    }
}

/// The entry of a closure that is gone: it calls `run` with a null frame, which does not return.
#[must_use]
pub fn dead_entry() -> *const c_void {
    closure::entry_dead as *const c_void
}

pub use closure::{STUB_STRIDE, TABLE_STUBS, TableSlot, stub_code, table_slot, table_stub};

const _: () = assert!(offset_of!(Context, entry) == 0 && offset_of!(Context, run) == 8);
const _: () = assert!(size_of::<FrameHead>() == FrameLayout::STACK);
