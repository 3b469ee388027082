//! Structs of whole words: most of those that travel by value. Their moves stand ready, so that nothing is asked of them
//! while a call is made.
#![expect(
    unsafe_code,
    reason = "the frame and the guest's memory are reached through raw pointers"
)]
use super::scalars::{number, offset};
use crate::plan::Plan;
use crate::plan::binding::Binding;
use crate::plan::frame::FrameHead;
use crate::plan::moves::{Move, MoveKind, copy};
use crate::plan::op::Op;

/// Eight bytes.
#[derive(Clone, Copy, Debug)]
pub struct Word {
    /// Offset in the struct.
    memory: u16,
    /// Offset in the frame.
    frame: u16,
}

/// A struct that goes back to the guest behind the call.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Where the guest's 32-bit pointer is, as an offset in its slots.
    pub(super) from: u16,
    /// How many bytes are written, from the pointer on.
    pub(super) size: u16,
    pub(super) words: Box<[Word]>,
}

/// Moves that are nothing but words.
pub(super) fn words(moves: &[Move]) -> Option<Vec<Word>> {
    let word = |one: &Move| match one.kind {
        MoveKind::Bytes(8) => {
            Some(Word { memory: u16::try_from(one.memory).ok()?, frame: number(one.frame)? })
        }
        MoveKind::Bytes(_)
        | MoveKind::Clear(_)
        | MoveKind::Bits(_)
        | MoveKind::Bool
        | MoveKind::Signed32
        | MoveKind::Unsigned32
        | MoveKind::Extended => None,
    };
    moves.iter().map(word).collect()
}

/// What is behind a call, if it is structs of words that go back, and nothing else.
pub(super) fn outgoing(plan: &Plan, after: &[Op]) -> Option<Box<[Outgoing]>> {
    let one = |op: &Op| {
        let Op::StoreObject { slot, moves } = *op else { return None };
        let words = words(plan.moves.get(usize::from(moves))?)?;
        let end = words.iter().map(|word| word.memory.saturating_add(8)).max()?;
        Some(Outgoing { from: offset(slot)?, size: end, words: words.into() })
    };
    if plan.facts.wide { None } else { after.iter().map(one).collect() }
}

/// Where so many bytes at a 32-bit pointer of the guest's are; `None` when they are not inside its memory.
///
/// # Safety
/// The pointer can be read at `at`.
#[inline(always)]
pub(super) unsafe fn inside(binding: &Binding, at: *const u8, size: u64) -> Option<*mut u8> {
    // SAFETY: the caller's promise.
    let address = u64::from(unsafe { at.cast::<u32>().read() });
    let len = binding.memory_len.get();
    if size > len || address > len - size {
        return None;
    }
    Some(binding.memory_base.get().wrapping_add(usize::try_from(address).ok()?))
}

/// To the frame.
///
/// # Safety
/// The struct that the words are of can be read at `memory`, and the frame is one of its plan.
#[inline(always)]
pub(super) unsafe fn load(words: &[Word], frame: *mut FrameHead, memory: *const u8) {
    for word in words {
        // SAFETY: the caller's promise; the plan was verified.
        unsafe {
            let to = frame.cast::<u8>().add(word.frame.into());
            copy::<u64>(memory.add(word.memory.into()), to);
        }
    }
}

impl Outgoing {
    /// To the guest's memory; `None` when it ends before.
    ///
    /// # Safety
    /// The guest's slots are at `slots`, the frame is one of the plan's, and its call is over.
    #[inline(always)]
    pub(super) unsafe fn store(
        &self,
        binding: &Binding,
        frame: *const FrameHead,
        slots: *const u8,
    ) -> Option<()> {
        // SAFETY: the caller's promise; the range is inside the guest's memory.
        unsafe {
            let to = inside(binding, slots.add(self.from.into()), self.size.into())?;
            for word in &self.words {
                let from = frame.cast::<u8>().add(word.frame.into());
                copy::<u64>(from, to.add(word.memory.into()));
            }
        }
        Some(())
    }
}
