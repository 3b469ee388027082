//! Runs plans of calls that native code makes.
//!
//! The entry of a closure saves the registers that its plan reads into a frame and calls us with it
//! (`closure`). Arguments that lie whole in the frame are lent where they are: for most calls there is
//! nothing to do before the closure runs. Only values that came in several registers are put together in
//! scratch memory first.
use super::closure;
use super::result::Both;
use crate::plan::Plan;
use crate::plan::frame::{CallRecord, FrameHead, FrameLayout, SCRATCH, X87_STRIDE};
use crate::plan::moves::{Move, MoveKind, copy, load, store};
use crate::plan::op::{At, Fetch, Op, UpcallOp, Width};
use std::ffi::c_void;
use std::marker::PhantomData;
use std::mem::offset_of;
use std::sync::atomic::AtomicPtr;

/// The first words of what belongs to a closure: its stub jumps to `entry` with the address of this in
/// `r11`, and that calls `run` with it.
#[derive(Debug)]
#[repr(C)]
pub struct Context {
    /// One of the entries; see [`entry_of`] and [`dead_entry`].
    pub entry: AtomicPtr<c_void>,
    /// What runs the closure; it ends with [`run`].
    pub run: unsafe extern "C" fn(*mut FrameHead, *const Context) -> Both,
    /// What is called instead when the closure is gone.
    pub gone: unsafe extern "C" fn(*const Context) -> !,
}

/// What becomes of the result.
#[derive(Clone, Copy, Debug)]
enum Reply {
    /// There is none.
    Nothing,
    /// It is one scalar.
    Int8,
    UInt8,
    Int16,
    UInt16,
    Int32,
    UInt32,
    Word,
    Bool,
    Float32,
    Float64,
    /// It is taken apart by those moves; what the entry must load.
    Split {
        moves: u16,
        loads: u8,
    },
    /// Its memory is where that place of the frame points, and so is what is returned.
    Hidden(u16),
}

/// A plan that is ready to be run: its ops are looked at once.
#[derive(Debug)]
pub struct Ready {
    plan: Plan,
    /// Where the arguments are: so many bytes above the frame's start, the scratch memory is below it.
    places: Box<[i32]>,
    /// Where the result's memory is, unless it is hidden.
    result: i32,
    /// Arguments that are put together before the closure runs.
    joins: Box<[Word]>,
    /// And those with other moves than of 8 bytes.
    joins_others: bool,
    reply: Reply,
    /// What of the result is taken apart, if all moves are of 8 bytes.
    splits: Box<[Word]>,
}

/// Eight bytes that are copied, both places counted from the frame's start; a result's from its own.
#[derive(Clone, Copy, Debug)]
struct Word {
    from: i32,
    to: i32,
}

/// Added to a place at which there is not the argument, but its address.
const BEHIND: i32 = 1 << 20;

impl Ready {
    /// Looks at a verified plan of the kind [`Closure`](crate::plan::Kind::Closure).
    #[must_use]
    pub fn new(plan: Plan) -> Ready {
        let frame = |at: At| i32::try_from(at.offset()).expect("frames are small");
        let scratch = |offset: u32| {
            let below = SCRATCH.checked_sub(offset as usize).expect("inside the scratch memory");
            -i32::try_from(below).expect("scratch memory is small")
        };
        let (mut places, mut joins, mut splits) = (Vec::new(), Vec::new(), Vec::new());
        let mut joins_others = false;
        let (mut result, mut reply) = (scratch(0), Reply::Nothing);
        for op in &plan.ops {
            let Op::Upcall(op) = *op else { continue };
            match op {
                UpcallOp::Lend { from } => places.push(frame(from)),
                UpcallOp::LendBehind { from } => places.push(frame(from) + BEHIND),
                UpcallOp::Join { moves, offset } => {
                    let to = scratch(offset);
                    places.push(to);
                    match words(&plan.moves[usize::from(moves)]) {
                        Some(words) => joins
                            .extend(words.map(|(memory, at)| Word { from: at, to: to + memory })),
                        None => joins_others = true,
                    }
                }
                UpcallOp::Call { result: offset, hidden: _ } => result = scratch(offset),
                UpcallOp::Reply { fetch } => reply = Reply::of(fetch),
                UpcallOp::ReplySplit { moves } => {
                    let list = &plan.moves[usize::from(moves)];
                    let loads = loads(list);
                    if let Some(words) = words(list) {
                        splits.extend(words.map(|(from, to)| Word { from, to }));
                    }
                    reply = Reply::Split { moves, loads };
                }
                UpcallOp::ReplyHidden { from } => {
                    reply = Reply::Hidden(u16::try_from(from.offset()).expect("frames are small"));
                }
            }
        }
        let (places, joins, splits) = (places.into(), joins.into(), splits.into());
        Ready { plan, places, result, joins, joins_others, reply, splits }
    }

    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }
}

impl Reply {
    fn of(fetch: Fetch) -> Reply {
        match fetch {
            Fetch::Integer(Width::I8) => Reply::Int8,
            Fetch::Integer(Width::U8) => Reply::UInt8,
            Fetch::Integer(Width::I16) => Reply::Int16,
            Fetch::Integer(Width::U16) => Reply::UInt16,
            Fetch::Integer(Width::I32) => Reply::Int32,
            Fetch::Integer(Width::U32) => Reply::UInt32,
            Fetch::Integer(Width::I64 | Width::U64) => Reply::Word,
            Fetch::Bool => Reply::Bool,
            Fetch::Float32 => Reply::Float32,
            Fetch::Float64 => Reply::Float64,
            // Verified plans take these apart.
            Fetch::Integer(Width::I128) | Fetch::Whole => Reply::Nothing,
        }
    }
}

/// The arguments of a running call, and where its result goes.
#[derive(Debug)]
pub struct Lent<'a> {
    places: &'a [i32],
    frame: *mut u8,
    result: *mut u8,
    /// Everything is gone when the call ends.
    call: PhantomData<&'a mut ()>,
}

impl Lent<'_> {
    /// How many arguments there are.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Where an argument is; `None` beyond the last.
    #[inline]
    #[must_use]
    pub fn argument(&self, index: usize) -> Option<*const u8> {
        let place = *self.places.get(index)?;
        // SAFETY: a verified plan stays inside the frame and the scratch memory below it; the caller's
        // stack arguments are a part of the frame as long as the call runs.
        unsafe {
            if place >= BEHIND {
                let address = self.frame.offset((place - BEHIND) as isize);
                return Some(address.cast::<*const u8>().read());
            }
            Some(self.frame.offset(place as isize))
        }
    }

    /// Where the result goes. Of a `void` function somewhere harmless.
    #[inline]
    #[must_use]
    pub fn result(&self) -> *mut u8 {
        self.result
    }
}

/// Runs one call: `body` gets the arguments, and has put the result in its place when it returns. What
/// comes back is for the entry stub: the result registers, or, if the plan takes the result apart into the
/// call record, what of the record it must load.
///
/// # Safety
/// The plan was verified for this host's ABI, and `frame` is what the entry that [`entry_of`] gives for it
/// has filled, with scratch memory below it. `body` does not unwind.
#[inline(always)]
pub unsafe fn run(ready: &Ready, frame: *mut FrameHead, body: impl FnOnce(&Lent<'_>)) -> Both {
    let frame = frame.cast::<u8>();
    let integer = |integer| Both { integer, vector: 0.0 };
    let vector = |bits| Both { integer: 0, vector: f64::from_bits(bits) };
    // SAFETY: a verified plan stays inside the frame and the scratch memory, of which 32 bytes, as much
    // as any result in registers has, are the result's. A closure that leaves its result alone returns
    // zero.
    unsafe {
        for word in &ready.joins {
            let (from, to) = (frame.offset(word.from as isize), frame.offset(word.to as isize));
            copy::<u64>(from, to);
        }
        if ready.joins_others {
            join(&ready.plan, frame);
        }
        let mut result = frame.offset(ready.result as isize);
        if let Reply::Hidden(at) = ready.reply {
            result = frame.add(at.into()).cast::<*mut u8>().read();
        } else {
            result.cast::<[u64; 4]>().write([0; 4]);
        }
        body(&Lent { places: &ready.places, frame, result, call: PhantomData });
        match ready.reply {
            Reply::Nothing => integer(0),
            Reply::Int32 => integer(i64::from(result.cast::<i32>().read()).cast_unsigned()),
            Reply::UInt32 => integer(result.cast::<u32>().read().into()),
            Reply::Word => integer(result.cast::<u64>().read()),
            Reply::Float32 => vector(result.cast::<u32>().read().into()),
            Reply::Float64 => vector(result.cast::<u64>().read()),
            Reply::Int8 => integer(i64::from(result.cast::<i8>().read()).cast_unsigned()),
            Reply::UInt8 => integer(result.read().into()),
            Reply::Int16 => integer(i64::from(result.cast::<i16>().read()).cast_unsigned()),
            Reply::UInt16 => integer(result.cast::<u16>().read().into()),
            Reply::Bool => integer((result.read() != 0).into()),
            Reply::Hidden(_) => integer(result.expose_provenance() as u64),
            Reply::Split { moves, loads } => {
                for word in &ready.splits {
                    let to = frame.offset(word.to as isize);
                    copy::<u64>(result.offset(word.from as isize), to);
                }
                if ready.splits.is_empty() {
                    split(&ready.plan, moves, frame, result);
                }
                integer(loads.into())
            }
        }
    }
}

/// The moves as pairs of offsets in memory and frame, if all of them are of 8 bytes.
fn words(moves: &[Move]) -> Option<impl Iterator<Item = (i32, i32)>> {
    let small = |n: usize| i32::try_from(n).ok();
    let word = |one: &Move| {
        let is_word = one.kind == MoveKind::Bytes(8);
        is_word.then_some((small(one.memory as usize)?, small(one.frame.offset())?))
    };
    let words: Option<Vec<(i32, i32)>> = moves.iter().map(word).collect();
    words.map(IntoIterator::into_iter)
}

/// Puts together what came in several registers.
///
/// # Safety
/// As [`run`].
unsafe fn join(plan: &Plan, frame: *mut u8) {
    for op in &plan.ops[..usize::from(plan.call)] {
        if let Op::Upcall(UpcallOp::Join { moves, offset }) = *op {
            let moves = &plan.moves[usize::from(moves)];
            // SAFETY: a verified plan stays inside the frame and the scratch memory.
            unsafe { store(moves, frame, frame.sub(SCRATCH).add(offset as usize)) };
        }
    }
}

/// Takes the result apart.
///
/// # Safety
/// As [`run`]; the result is in its memory.
unsafe fn split(plan: &Plan, moves: u16, frame: *mut u8, result: *const u8) {
    // SAFETY: a verified plan stays inside the frame and the result.
    unsafe { load(&plan.moves[usize::from(moves)], frame, result) };
}

/// What the entry must load from the record beside the low halves of all registers: [`LOAD_ST0`],
/// [`LOAD_ST1`], [`LOAD_WHOLE`].
pub(super) fn loads(moves: &[Move]) -> u8 {
    let vectors = offset_of!(FrameHead, record) + offset_of!(CallRecord, vectors);
    let (first, second) = (super::RESULT_X87_AT, super::RESULT_X87_AT + X87_STRIDE);
    moves.iter().fold(0, |loads, one| match one.frame.offset() {
        offset if offset >= second => loads | LOAD_ST1,
        offset if offset >= first => loads | LOAD_ST0,
        offset if offset >= vectors && one.kind.frame_bytes() > 8 => loads | LOAD_WHOLE,
        _ => loads,
    })
}

/// A result in `st(0)`.
pub const LOAD_ST0: u8 = 1;
/// Another one in `st(1)`.
pub const LOAD_ST1: u8 = 2;
/// Results of 16 bytes in vector registers.
pub const LOAD_WHOLE: u8 = 4;

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
    entry(splits, plan.ops.iter().any(reads_vector))
}

/// The entry that takes results apart if `splits`, and saves vector registers if `vectors`.
pub(super) fn entry(splits: bool, vectors: bool) -> *const c_void {
    match (splits, vectors) {
        (true, _) => closure::entry_record as *const c_void,
        (false, true) => closure::entry_all as *const c_void,
        (false, false) => closure::entry_integers as *const c_void,
    }
}

/// The entry of a closure that is gone.
#[must_use]
pub fn dead_entry() -> *const c_void {
    closure::entry_dead as *const c_void
}

pub use closure::{STUB_STRIDE, TABLE_STUBS, TableSlot, stub_code, table_slot, table_stub};

const _: () = assert!(offset_of!(Context, entry) == 0 && offset_of!(Context, run) == 8);
const _: () = assert!(offset_of!(Context, gone) == 16);
const _: () = assert!(size_of::<FrameHead>() == FrameLayout::STACK);
