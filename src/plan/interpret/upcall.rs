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
use crate::plan::moves::{Move, load, store};
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

/// Where an argument is when the closure runs.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// There in the frame.
    Frame(u16),
    /// Where that place of the frame points.
    Behind(u16),
    /// There in the scratch memory.
    Scratch(u16),
}

/// What becomes of the result.
#[derive(Clone, Copy, Debug)]
enum Reply {
    /// There is none.
    Nothing,
    /// It is one scalar.
    Scalar(Fetch),
    /// It is taken apart by those moves; what the entry must load.
    Split { moves: u16, loads: u64 },
    /// Its memory is where that place of the frame points, and so is what is returned.
    Hidden(u16),
}

/// A plan that is ready to be run: its ops are looked at once.
#[derive(Debug)]
pub struct Ready {
    plan: Plan,
    places: Box<[Place]>,
    joins: bool,
    /// Where in the scratch memory the result goes, unless it is hidden.
    result: u16,
    reply: Reply,
}

impl Ready {
    /// Looks at a verified plan of the kind [`Closure`](crate::plan::Kind::Closure).
    #[must_use]
    pub fn new(plan: Plan) -> Ready {
        let small = |n: usize| u16::try_from(n).expect("frame and scratch memory are small");
        let at = |at: At| small(at.offset());
        let mut ready =
            Ready { places: Box::new([]), joins: false, result: 0, reply: Reply::Nothing, plan };
        let mut places = Vec::new();
        for op in &ready.plan.ops {
            let Op::Upcall(op) = *op else { continue };
            match op {
                UpcallOp::Lend { from } => places.push(Place::Frame(at(from))),
                UpcallOp::LendBehind { from } => places.push(Place::Behind(at(from))),
                UpcallOp::Join { offset, .. } => {
                    ready.joins = true;
                    places.push(Place::Scratch(small(offset as usize)));
                }
                UpcallOp::Call { result, hidden: _ } => ready.result = small(result as usize),
                UpcallOp::Reply { fetch } => ready.reply = Reply::Scalar(fetch),
                UpcallOp::ReplySplit { moves } => {
                    let list = &ready.plan.moves[usize::from(moves)];
                    ready.reply = Reply::Split { moves, loads: loads(list) };
                }
                UpcallOp::ReplyHidden { from } => ready.reply = Reply::Hidden(at(from)),
            }
        }
        ready.places = places.into();
        ready
    }

    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }
}

/// The arguments of a running call, and where its result goes.
#[derive(Debug)]
pub struct Lent<'a> {
    places: &'a [Place],
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
        // SAFETY: a verified plan stays inside the frame and the scratch memory; the caller's stack
        // arguments are a part of the frame as long as the call runs.
        unsafe {
            Some(match *self.places.get(index)? {
                Place::Frame(offset) => self.frame.add(offset.into()),
                Place::Scratch(offset) => self.scratch.add(offset.into()),
                Place::Behind(offset) => self.frame.add(offset.into()).cast::<*const u8>().read(),
            })
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
/// has filled. `body` does not unwind.
#[inline(always)]
pub unsafe fn run(ready: &Ready, frame: *mut FrameHead, body: impl FnOnce(&Lent<'_>)) -> Both {
    let mut memory = Scratch(MaybeUninit::uninit());
    let scratch = (&raw mut memory).cast::<u8>();
    let frame = frame.cast::<u8>();
    let nothing = Both { integer: 0, vector: 0.0 };
    // SAFETY: a verified plan stays inside the frame and the scratch memory, of which 32 bytes, as much
    // as any result in registers has, are the result's. A closure that leaves its result alone returns
    // zero.
    unsafe {
        if ready.joins {
            join(&ready.plan, frame, scratch);
        }
        let result = match ready.reply {
            Reply::Hidden(at) => frame.add(at.into()).cast::<*mut u8>().read(),
            Reply::Scalar(_) | Reply::Nothing => {
                let result = scratch.add(ready.result.into());
                result.cast::<u64>().write(0);
                result
            }
            Reply::Split { .. } => {
                let result = scratch.add(ready.result.into());
                result.cast::<[u64; 4]>().write([0; 4]);
                result
            }
        };
        body(&Lent { places: &ready.places, frame, scratch, result, call: PhantomData });
        match ready.reply {
            Reply::Nothing => nothing,
            Reply::Scalar(fetch) => scalar(fetch, result),
            Reply::Hidden(_) => Both { integer: result.expose_provenance() as u64, vector: 0.0 },
            Reply::Split { moves, loads } => {
                split(&ready.plan, moves, frame, result);
                Both { integer: loads, vector: 0.0 }
            }
        }
    }
}

/// Puts together what came in several registers.
///
/// # Safety
/// As [`run`]; `scratch` is [`SCRATCH`] bytes.
unsafe fn join(plan: &Plan, frame: *mut u8, scratch: *mut u8) {
    for op in &plan.ops[..usize::from(plan.call)] {
        if let Op::Upcall(UpcallOp::Join { moves, offset }) = *op {
            let moves = &plan.moves[usize::from(moves)];
            // SAFETY: a verified plan stays inside the frame and the scratch memory.
            unsafe { store(moves, frame, scratch.add(offset as usize)) };
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
fn loads(moves: &[Move]) -> u64 {
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
