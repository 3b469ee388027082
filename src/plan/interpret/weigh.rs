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
use crate::plan::moves::Move;
use crate::plan::op::{At, Count, DeepOp, LifeOp, Op};
use crate::plan::recorder::Bytes;

/// What goes in.
///
/// # Safety
/// All ops before the call have run in this frame, and native code has not.
pub(super) unsafe fn before(space: &Space<'_>, memory: Option<&CallMemory>) -> Bytes {
    let mut bytes = Bytes::default();
    for op in &space.plan.ops[..usize::from(space.plan.call)] {
        // SAFETY: the caller's promise: what the op has written is there.
        unsafe { weigh(op, space, &mut bytes) };
    }
    for block in memory.iter().flat_map(|memory| &memory.blocks).filter(|block| block.inward) {
        bytes.checked += block.elements * block.guest_size;
        let moved = block.elements * block.host_size;
        *if block.flat { &mut bytes.copied } else { &mut bytes.transformed } += moved;
    }
    bytes
}

/// What goes out, and strings that were copied meanwhile. What results lead to is counted where it is taken.
///
/// # Safety
/// As [`before`], and native code has returned.
pub(super) unsafe fn after(space: &Space<'_>, memory: Option<&CallMemory>) -> Bytes {
    let mut bytes = Bytes::default();
    for op in &space.plan.ops[usize::from(space.plan.call)..] {
        // SAFETY: the caller's promise: the guest's arguments are there.
        unsafe { weigh(op, space, &mut bytes) };
    }
    let Some(memory) = memory else { return bytes };
    bytes.copied += memory.text_bytes();
    for block in memory.blocks.iter().filter(|block| block.outward) {
        let moved = block.elements * block.guest_size;
        *if block.flat { &mut bytes.copied } else { &mut bytes.transformed } += moved;
    }
    bytes
}

/// What one op has to do with.
///
/// # Safety
/// It has run, if it is one of those before the call; else the guest's arguments are there.
unsafe fn weigh(op: &Op, space: &Space<'_>, bytes: &mut Bytes) {
    let members = |moves: u16| -> u64 {
        let all = space.plan.moves[usize::from(moves)].iter();
        all.map(|one: &Move| u64::from(one.kind.memory_bytes())).sum()
    };
    // SAFETY: the caller's promise.
    unsafe {
        let there = |at: At| space.read::<u64>(at) != 0;
        let given = |slot: u16| space.pointer(slot) != 0;
        match *op {
            Op::Buffer { to, count, size, .. } if there(to) => {
                let count = match count {
                    Count::Exactly(count) => u64::from(count),
                    Count::Of(operand) => space.count(operand).unwrap_or(0),
                };
                bytes.checked += count.saturating_mul(size.into());
            }
            Op::Text { to, extent, .. } if there(to) => bytes.checked += space.read::<u64>(extent),
            Op::Object { size, moves, .. } => {
                bytes.checked += u64::from(size);
                bytes.transformed += members(moves);
            }
            Op::Room { size, .. } => bytes.checked += u64::from(size),
            Op::Cell { slot, guest, direction, .. } if given(slot) => {
                bytes.checked += guest.bytes() as u64;
                if direction.is_in() {
                    bytes.transformed += guest.bytes() as u64;
                }
            }
            Op::PointerCell { slot, .. } if given(slot) => bytes.checked += space.pointer_size(),
            Op::TextCell { slot, cell, extent, .. } if given(slot) => {
                bytes.checked += space.pointer_size();
                bytes.transformed += space.pointer_size();
                if there(cell) {
                    bytes.checked += space.read::<u64>(extent);
                }
            }
            Op::StoreCell { slot, width, .. } if given(slot) => {
                bytes.transformed += width.bytes() as u64;
            }
            Op::StoreObject { moves, .. } => bytes.transformed += members(moves),
            Op::Life(op) => match op {
                LifeOp::DescriptorCell { slot, .. } if given(slot) => bytes.checked += 4,
                LifeOp::HandleCell { slot, .. } if given(slot) => {
                    bytes.checked += 4;
                    bytes.transformed += 4;
                }
                LifeOp::Keep { at, extent, .. } if there(at) => {
                    bytes.copied += space.read::<u64>(extent);
                }
                LifeOp::Cookie { .. }
                | LifeOp::Descriptor { .. }
                | LifeOp::DescriptorCell { .. }
                | LifeOp::HandleCell { .. }
                | LifeOp::Exclusive { .. }
                | LifeOp::Recall { .. }
                | LifeOp::Capturable { .. }
                | LifeOp::Keep { .. }
                | LifeOp::ConsumeHeld { .. }
                | LifeOp::Retain { .. }
                | LifeOp::Capture { .. }
                | LifeOp::HandOver { .. }
                | LifeOp::FromCookie { .. }
                | LifeOp::Emptied { .. }
                | LifeOp::AdoptDescriptor { .. }
                | LifeOp::Remember { .. } => {}
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
            | Op::Apart { .. } => {}
            Op::Buffer { .. }
            | Op::Text { .. }
            | Op::Cell { .. }
            | Op::PointerCell { .. }
            | Op::TextCell { .. }
            | Op::StoreCell { .. }
            | Op::Int8 { .. }
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
            | Op::Callback(_) => {}
        }
    }
}
