//! How many bytes a call has to do with, for a profile.
//!
//! *Checked* are bytes of the guest's memory that were found to be inside of it: they are lent to native code
//! where they are, or read. *Copied* are those that were copied as they are, *transformed* those that were put
//! into another layout; both in either direction, a byte that goes there and back twice. What goes back
//! counts when native code has returned, whether the guest gets it in the end or not.
//!
//! Not counted: what data that is copied lends where it is (a buffer inside of a struct), and numbers, which are
//! in registers on both sides.
#![expect(unsafe_code, reason = "looks at a call's frame")]
use super::{CallMemory, Space};
use crate::plan::Plan;
use crate::plan::moves::Move;
use crate::plan::op::{At, Count, DeepOp, LifeOp, Op, Operand};
use crate::plan::recorder::Bytes;

/// What the ops of a plan weigh, as far as their places in the plan say: what is left to look at in a call.
#[derive(Debug, Default)]
pub struct Scale {
    before: Box<[Weight]>,
    after: Box<[Weight]>,
}

impl Scale {
    /// The scale of a plan.
    #[must_use]
    pub fn of(plan: &Plan) -> Scale {
        let (before, after) = plan.ops.split_at(plan.call.into());
        let weights = |ops: &[Op]| ops.iter().filter_map(|op| Weight::of(op, plan)).collect();
        Scale { before: weights(before), after: weights(after) }
    }

    /// What goes in.
    ///
    /// # Safety
    /// The space is a call of the plan; all ops before native code have run in this frame, and native code has not.
    #[inline(always)]
    pub(super) unsafe fn before(
        &self,
        space: &Space<'_>,
        memory: Option<&CallMemory>,
        bytes: &mut Bytes,
    ) {
        for weight in &self.before {
            // SAFETY: the caller's promise: what the op has written is there.
            unsafe { weight.weigh(space, bytes) };
        }
        if let Some(memory) = memory {
            copied_in(memory, bytes);
        }
    }

    /// What goes out, and strings that were copied meanwhile. What results lead to is counted where it is taken.
    ///
    /// # Safety
    /// As [`Scale::before`], and native code has returned.
    #[inline(always)]
    pub(super) unsafe fn after(
        &self,
        space: &Space<'_>,
        memory: Option<&CallMemory>,
        bytes: &mut Bytes,
    ) {
        for weight in &self.after {
            // SAFETY: the caller's promise: the guest's arguments are there.
            unsafe { weight.weigh(space, bytes) };
        }
        if let Some(memory) = memory {
            copied_out(memory, bytes);
        }
    }
}

/// As [`Scale::before`], of a plan whose scale nobody has.
///
/// # Safety
/// As there.
pub(super) unsafe fn before(space: &Space<'_>, memory: Option<&CallMemory>) -> Bytes {
    let mut bytes = Bytes::default();
    let ops = &space.plan.ops[..usize::from(space.plan.call)];
    for weight in ops.iter().filter_map(|op| Weight::of(op, space.plan)) {
        // SAFETY: the caller's promise.
        unsafe { weight.weigh(space, &mut bytes) };
    }
    if let Some(memory) = memory {
        copied_in(memory, &mut bytes);
    }
    bytes
}

/// As [`Scale::after`], of a plan whose scale nobody has.
///
/// # Safety
/// As there.
pub(super) unsafe fn after(space: &Space<'_>, memory: Option<&CallMemory>) -> Bytes {
    let mut bytes = Bytes::default();
    let ops = &space.plan.ops[usize::from(space.plan.call)..];
    for weight in ops.iter().filter_map(|op| Weight::of(op, space.plan)) {
        // SAFETY: the caller's promise.
        unsafe { weight.weigh(space, &mut bytes) };
    }
    if let Some(memory) = memory {
        copied_out(memory, &mut bytes);
    }
    bytes
}

fn copied_in(memory: &CallMemory, bytes: &mut Bytes) {
    for block in memory.blocks.iter().filter(|block| block.inward) {
        bytes.checked += block.elements * block.guest_size;
        let moved = block.elements * block.host_size;
        *if block.flat { &mut bytes.copied } else { &mut bytes.transformed } += moved;
    }
}

fn copied_out(memory: &CallMemory, bytes: &mut Bytes) {
    bytes.copied += memory.text_bytes();
    for block in memory.blocks.iter().filter(|block| block.outward) {
        let moved = block.elements * block.guest_size;
        *if block.flat { &mut bytes.copied } else { &mut bytes.transformed } += moved;
    }
}

/// What one op has to do with.
#[derive(Clone, Copy, Debug)]
enum Weight {
    /// So much, always.
    Fixed(Bytes),
    /// So much, if the guest's pointer is not NULL.
    Given { slot: u16, bytes: Bytes },
    /// So many checked bytes, if the native pointer is not NULL.
    Lent { to: At, bytes: u64 },
    /// So many checked elements, likewise.
    Counted { to: At, count: Operand, size: u32 },
    /// As many checked bytes as are in the extent, likewise.
    Text { to: At, extent: At },
    /// The same, copied.
    Kept { at: At, extent: At },
    /// A pointer to a string: both are looked at.
    TextCell { slot: u16, cell: At, extent: At },
}

impl Weight {
    /// `None` for ops that have nothing to do with the guest's memory, or are counted elsewhere.
    fn of(op: &Op, plan: &Plan) -> Option<Weight> {
        let members = |moves: u16| -> u64 {
            let all = plan.moves[usize::from(moves)].iter();
            all.map(|one: &Move| u64::from(one.kind.memory_bytes())).sum()
        };
        let checked = |bytes: u64| Bytes { checked: bytes, ..Bytes::default() };
        let transformed = |bytes: u64| Bytes { transformed: bytes, ..Bytes::default() };
        let both = |bytes: u64| Bytes { checked: bytes, transformed: bytes, copied: 0 };
        let pointer: u64 = if plan.facts.wide { 8 } else { 4 };
        match *op {
            Op::Buffer { to, count: Count::Exactly(count), size, .. } => {
                let bytes = u64::from(count).saturating_mul(size.into());
                Some(Weight::Lent { to, bytes })
            }
            Op::Buffer { to, count: Count::Of(count), size, .. } => {
                Some(Weight::Counted { to, count, size })
            }
            Op::Text { to, extent, .. } => Some(Weight::Text { to, extent }),
            Op::Object { size, moves, .. } => Some(Weight::Fixed(Bytes {
                checked: size.into(),
                transformed: members(moves),
                copied: 0,
            })),
            Op::Room { size, .. } => Some(Weight::Fixed(checked(size.into()))),
            Op::Cell { slot, guest, direction, .. } => {
                let size = guest.bytes() as u64;
                let bytes = if direction.is_in() { both(size) } else { checked(size) };
                Some(Weight::Given { slot, bytes })
            }
            Op::PointerCell { slot, .. } => Some(Weight::Given { slot, bytes: checked(pointer) }),
            Op::TextCell { slot, cell, extent, .. } => {
                Some(Weight::TextCell { slot, cell, extent })
            }
            Op::StoreCell { slot, width, .. } => {
                Some(Weight::Given { slot, bytes: transformed(width.bytes() as u64) })
            }
            Op::StoreObject { moves, .. } => Some(Weight::Fixed(transformed(members(moves)))),
            Op::Life(op) => match op {
                LifeOp::DescriptorCell { slot, .. } => {
                    Some(Weight::Given { slot, bytes: checked(4) })
                }
                LifeOp::HandleCell { slot, .. } => Some(Weight::Given { slot, bytes: both(4) }),
                LifeOp::Keep { at, extent, .. } => Some(Weight::Kept { at, extent }),
                LifeOp::Cookie { .. }
                | LifeOp::Descriptor { .. }
                | LifeOp::Exclusive { .. }
                | LifeOp::Recall { .. }
                | LifeOp::Capturable { .. }
                | LifeOp::ConsumeHeld { .. }
                | LifeOp::Retain { .. }
                | LifeOp::Capture { .. }
                | LifeOp::HandOver { .. }
                | LifeOp::FromCookie { .. }
                | LifeOp::Emptied { .. }
                | LifeOp::AdoptDescriptor { .. }
                | LifeOp::Remember { .. } => None,
            },
            // What they copy is in the call's memory, or is counted where it is taken.
            Op::Deep(
                DeepOp::Copy { .. }
                | DeepOp::Box { .. }
                | DeepOp::Keep { .. }
                | DeepOp::Recall { .. }
                | DeepOp::Fill
                | DeepOp::KeepFunctions { .. }
                | DeepOp::Fetch
                | DeepOp::End { .. }
                | DeepOp::Settle
                | DeepOp::Take { .. }
                | DeepOp::Commit,
            )
            | Op::Take { .. }
            | Op::Apart { .. } => None,
            Op::Int8 { .. }
            | Op::UInt8 { .. }
            | Op::Int16 { .. }
            | Op::UInt16 { .. }
            | Op::Bool { .. }
            | Op::Int32 { .. }
            | Op::Int64 { .. }
            | Op::Long32 { .. }
            | Op::ULong32 { .. }
            | Op::Float32 { .. }
            | Op::Float64 { .. }
            | Op::Pair { .. }
            | Op::Extended { .. }
            | Op::Vector { .. }
            | Op::Range { .. }
            | Op::Evaluate { .. }
            | Op::Require { .. }
            | Op::Value { .. }
            | Op::Address { .. }
            | Op::Format { .. }
            | Op::Handle { .. }
            | Op::Reserve { .. }
            | Op::Call { .. }
            | Op::Consume { .. }
            | Op::EndLoans { .. }
            | Op::Measure { .. }
            | Op::Fits { .. }
            | Op::FitsObject { .. }
            | Op::Inside { .. }
            | Op::InsideOr { .. }
            | Op::FreeNative { .. }
            | Op::Give { .. }
            | Op::Adopt { .. }
            | Op::Return { .. }
            | Op::Native(_)
            | Op::Upcall(_)
            | Op::Callback(_) => None,
        }
    }

    /// # Safety
    /// The op has run, if it is one of those before the call; else the guest's arguments are there.
    #[inline(always)]
    unsafe fn weigh(&self, space: &Space<'_>, bytes: &mut Bytes) {
        // SAFETY: the caller's promise.
        unsafe {
            let there = |at: At| space.read::<u64>(at) != 0;
            let given = |slot: u16| space.pointer(slot) != 0;
            match *self {
                Weight::Fixed(fixed) => bytes.add(fixed),
                Weight::Given { slot, bytes: some } if given(slot) => bytes.add(some),
                Weight::Lent { to, bytes: some } if there(to) => bytes.checked += some,
                Weight::Counted { to, count, size } if there(to) => {
                    let count = space.count(count).unwrap_or(0);
                    bytes.checked += count.saturating_mul(size.into());
                }
                Weight::Text { to, extent } if there(to) => {
                    bytes.checked += space.read::<u64>(extent);
                }
                Weight::Kept { at, extent } if there(at) => {
                    bytes.copied += space.read::<u64>(extent);
                }
                Weight::TextCell { slot, cell, extent } if given(slot) => {
                    bytes.checked += space.pointer_size();
                    bytes.transformed += space.pointer_size();
                    if there(cell) {
                        bytes.checked += space.read::<u64>(extent);
                    }
                }
                Weight::Given { .. }
                | Weight::Lent { .. }
                | Weight::Counted { .. }
                | Weight::Text { .. }
                | Weight::Kept { .. }
                | Weight::TextCell { .. } => {}
            }
        }
    }
}
