//! Objects that a guest's structs mirror (`__boxed`), after the call.
#![expect(unsafe_code, reason = "copies and objects are reached through raw pointers")]
use super::super::boxed::transfer;
use super::super::copies::{Block, BoxUse, CallMemory};
use super::super::{Failure, Space};
use super::After;
use crate::plan::expression::Step;
use crate::plan::handles::Loan;
use crate::plan::moves::MoveKind;
use crate::plan::op::{At, Boxing, Direction};
use crate::plan::shape::{Reach, Shape};
use std::num::NonZeroU16;

/// The guest's bytes of a struct whose object is made that the call leaves alone: what a counted
/// pointer and its count are is the guest's matter until it hands them over.
fn left_alone(space: &Space<'_>, shape: &Shape, object: *const u8) -> Vec<(u64, u64)> {
    let mut all = Vec::new();
    for link in &shape.links {
        // SAFETY: the verifier has shown that links lie inside of objects.
        let native = unsafe { object.add(link.host as usize).cast::<u64>().read_unaligned() };
        if native != 0 {
            continue; // the object has one of its own: that of another object, of which it is a copy
        }
        all.push((link.guest.into(), space.pointer_size()));
        let Reach::Counted { expr, .. } = link.reach else { continue };
        for step in &space.plan.expressions[usize::from(expr)].steps {
            let Step::Field { offset, width } = *step else { continue };
            let holds = |host: u32, bytes: u32| (host..host + bytes).contains(&offset);
            let one = shape.moves.iter().find(|one| holds(one.host, one.kind.frame_bytes()));
            if let Some(one) = one {
                let (skipped, bytes) = match one.kind {
                    MoveKind::Bytes(_) => (offset - one.host, width.bytes() as u64),
                    MoveKind::Signed32 | MoveKind::Unsigned32 => (0, 4),
                    MoveKind::Clear(_) | MoveKind::Bits(_) | MoveKind::Bool => (0, 1),
                    MoveKind::Extended => continue,
                };
                all.push((u64::from(one.guest + skipped), bytes));
            }
        }
    }
    all
}

/// An object is gone.
fn end(space: &Space<'_>, one: &mut BoxUse) -> Vec<Loan> {
    one.ended = true;
    space.store().with_handles(|handles| {
        handles.give_up(one.handle);
        handles.consume_marked(one.handle)
    })
}

impl After<'_> {
    /// Runs [`DeepOp::Fetch`](crate::plan::op::DeepOp::Fetch).
    pub(super) fn fetch_objects(&mut self) {
        let space = self.space;
        let Some(memory) = &mut self.memory else { return };
        let CallMemory { boxes, blocks, .. } = &mut **memory;
        for one in boxes {
            let block = &blocks[one.block as usize];
            // SAFETY: as in `boxed::fill`; the handle is still alive.
            unsafe {
                let shape = &space.plan.shapes[usize::from(block.shape)];
                transfer(shape, one.object, block.host, Direction::Out);
            }
            one.clear();
            if one.boxing == Boxing::Ended {
                self.ended.extend(end(&space, one));
            }
        }
    }

    /// Runs [`DeepOp::End`](crate::plan::op::DeepOp::End).
    ///
    /// # Safety
    /// As [`After::step`].
    pub(super) unsafe fn end_object(&mut self, of: At, condition: u16) {
        let space = self.space;
        if !self.holds(NonZeroU16::new(condition.saturating_add(1))) {
            return;
        }
        // SAFETY: the caller's promise: the object's address was placed there.
        let object = unsafe { space.read::<u64>(of) };
        let boxes = self.memory.iter_mut().flat_map(|memory| &mut memory.boxes);
        for one in boxes.filter(|one| one.object.expose_provenance() as u64 == object) {
            self.ended.extend(end(&space, one));
        }
    }

    /// Keeps what the guest has of structs whose objects are made, to be written back.
    pub(super) fn kept_bytes(&self, block: &Block, number: usize) -> Vec<(u64, Vec<u8>)> {
        let space = self.space;
        let Some(memory) = &self.memory else { return Vec::new() };
        let made = memory
            .boxes
            .iter()
            .any(|one| one.block as usize == number && one.boxing == Boxing::Made);
        if !made {
            return Vec::new();
        }
        let shape = &space.plan.shapes[usize::from(block.shape)];
        let alone = left_alone(&space, shape, block.host).into_iter().filter_map(|(at, bytes)| {
            let at = block.guest.checked_add(at)?;
            // SAFETY: nothing writes to the guest's memory meanwhile.
            unsafe { space.guest_bytes(at, bytes) }.map(|bytes| (at, bytes.to_vec()))
        });
        alone.collect()
    }

    /// Makes handles of the objects that the call has made, and writes them to their mirrors.
    ///
    /// # Safety
    /// As [`After::step`]; the mirrors have been written.
    pub(super) unsafe fn commit_objects(&mut self) -> Result<(), Failure> {
        let space = self.space;
        let count = self.memory.as_ref().map_or(0, |memory| memory.boxes.len());
        for index in 0..count {
            let Some(memory) = &mut self.memory else { return Ok(()) };
            let one = &mut memory.boxes[index];
            let at = memory.blocks[one.block as usize].guest + u64::from(one.field.at);
            let size = usize::from(one.field.bytes);
            let (object, kind) = (one.object.expose_provenance() as u64, one.kind);
            let handle = match one.boxing {
                Boxing::Used => continue,
                Boxing::Ended | Boxing::EndedIf if !one.ended => continue,
                Boxing::Ended | Boxing::EndedIf => 0,
                Boxing::Made => {
                    let owned = one.owned.take();
                    let handle = self.adopt(object, kind, false, None)?;
                    let kept = owned.map(|owned| {
                        space.store().with_handles(|handles| handles.keep(handle, owned))
                    });
                    // The handle is alive: it was just made.
                    drop(kept);
                    if let Some(memory) = &mut self.memory {
                        memory.boxes[index].handle = handle;
                    }
                    handle
                }
            };
            // SAFETY: no slice of guest memory is alive.
            unsafe { space.write_guest(at, &u64::from(handle).to_le_bytes()[..size]) }
                .ok_or(Failure::Check)?;
        }
        Ok(())
    }

    /// Destroys the objects that the call has made and that nobody will have.
    ///
    /// # Safety
    /// As [`After::abandon`].
    pub(super) unsafe fn abandon_objects(&mut self) {
        let space = self.space;
        let Some(memory) = &mut self.memory else { return };
        for one in &mut memory.boxes {
            let Some(owned) = one.owned.take() else { continue };
            match space.plan.handle_kinds[usize::from(one.kind)].drop {
                Some(drop) => {
                    let object = one.object.expose_provenance() as u64;
                    // SAFETY: the prototype says that this function destroys such an object, which
                    // this call has made and nobody else will get.
                    unsafe { super::call_with_pointer(space.callee(drop).0, object) };
                }
                None => space.store().with_handles(|handles| handles.abandon(owned)),
            }
        }
    }
}
