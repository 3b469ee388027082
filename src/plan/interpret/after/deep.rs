//! Pointed-to data on its way back: what native code has left in the call's copies is looked
//! through, then written.
#![expect(unsafe_code, reason = "copies and native memory are reached through raw pointers")]
use super::super::copies::Parent;
use super::super::deep::{path_to, untrue};
use super::super::{Failure, Guest};
use super::{After, usize_of};
use crate::plan::diagnose::deep::{Fault, problem};
use crate::plan::diagnose::of_value;
use crate::plan::moves::{MoveKind, misfit_run, store_run};
use crate::plan::op::Width;
use crate::plan::shape::{Shape, Target};
use std::collections::BTreeSet;

/// What is to be done with pointers that native code has changed.
#[derive(Default)]
pub(super) struct Changed {
    /// Guest addresses of pointers, and what is written there.
    pointers: Vec<(u64, u64)>,
    /// Guest address, native pointer, kind, whether it is borrowed.
    handles: Vec<(u64, u64, u16, bool)>,
}

/// The integer of a move that does not fit.
///
/// # Safety
/// An object of the shape is readable at `object`.
pub(in crate::plan::interpret) unsafe fn misfit(
    shape: &Shape,
    object: *const u8,
) -> Option<(u32, Fault)> {
    shape.moves.iter().find_map(|one| {
        // SAFETY: the verifier has shown that moves lie inside of objects.
        let value = unsafe { misfit_run(one.kind, object.add(one.host as usize)) }?;
        let width = if one.kind == MoveKind::Signed32 { Width::I32 } else { Width::U32 };
        Some((one.host, Fault::Misfit { value, width }))
    })
}

pub(in crate::plan::interpret) fn name_at(shape: &Shape, host: u32) -> &str {
    shape.names.iter().find(|(at, _)| *at == host).map_or("", |(_, name)| name)
}

impl After<'_> {
    /// Runs [`DeepOp::Settle`](crate::plan::op::DeepOp::Settle).
    ///
    /// # Safety
    /// As [`After::step`].
    pub(super) unsafe fn settle_copies(&mut self, guest: &mut dyn Guest) -> Result<(), Failure> {
        let space = self.space;
        let Some(memory) = &self.memory else { return Ok(()) };
        let mut changed = Changed::default();
        for (number, block) in memory.blocks.iter().enumerate().filter(|(_, block)| block.outward) {
            let shape = &space.plan.shapes[usize::from(block.shape)];
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            let fail = |element, member: &str, fault| {
                let parent = Parent { block: number, element, link: 0 };
                let path = path_to(space.plan, &**memory, parent, member);
                let subject = of_value(space.plan, block.param.into());
                Failure::Told(Box::new((subject, problem(&space, fault, Some(path)))))
            };
            let nothing = shape.moves.is_empty() && shape.links.is_empty();
            if nothing || block.flat && (shape.tests.is_empty() || block.inward) {
                continue;
            }
            for element in 0..block.elements {
                let object = block.host.wrapping_add(usize_of(element * block.host_size));
                // SAFETY: the object lies in its block, which lives as long as the call.
                unsafe {
                    if let Some((at, fault)) = misfit(shape, object) {
                        return Err(fail(element, name_at(shape, at), fault));
                    }
                    if !block.inward
                        && let Some((test, fault)) = untrue(&space, &shape.tests, object)
                    {
                        return Err(fail(element, &test.path, fault));
                    }
                }
                for (index, link) in shape.links.iter().enumerate() {
                    let place = usize_of(element) * shape.links.len() + index;
                    // SAFETY: likewise.
                    let native =
                        unsafe { object.add(link.host as usize).cast::<u64>().read_unaligned() };
                    let placed = block.placed.get(place).copied().unwrap_or(0);
                    if native == placed && block.inward {
                        continue;
                    }
                    let at = block.guest + element * block.guest_size + u64::from(link.guest);
                    match link.target {
                        Target::Handle { kind, borrowed } if native != 0 => {
                            changed.handles.push((at, native, kind, borrowed));
                        }
                        Target::Function { .. } => match self.index_of(native, guest) {
                            Ok(index) => changed.pointers.push((at, index)),
                            Err(fault) => return Err(fail(element, &link.path, fault)),
                        },
                        Target::Cookie { .. } => match After::cookie_of(native) {
                            Ok(value) => changed.pointers.push((at, value)),
                            Err(fault) => return Err(fail(element, &link.path, fault)),
                        },
                        _ => match self.guest_address(native) {
                            Some(address) => changed.pointers.push((at, address)),
                            None => return Err(fail(element, &link.path, Fault::Unreachable)),
                        },
                    }
                }
            }
        }
        self.changed = changed;
        Ok(())
    }

    /// Runs [`DeepOp::Commit`](crate::plan::op::DeepOp::Commit).
    ///
    /// # Safety
    /// As [`After::step`]; the copies were settled.
    pub(super) unsafe fn commit_copies(&mut self) -> Result<(), Failure> {
        let space = self.space;
        let changed = std::mem::take(&mut self.changed);
        let mut made = Vec::with_capacity(changed.handles.len());
        // What the guest gave in one place and finds in another has no owner more for that.
        let mut given = BTreeSet::new();
        if !changed.handles.is_empty() {
            let blocks = self.memory.iter().flat_map(|memory| &memory.blocks);
            given.extend(blocks.flat_map(|block| &block.placed).copied());
        }
        for (at, native, kind, borrowed) in changed.handles {
            let borrowed = borrowed || given.contains(&native);
            made.push((at, u64::from(self.adopt(native, kind, borrowed, None)?)));
        }
        let mut left = Vec::new();
        let Some(memory) = &self.memory else { return Ok(()) };
        for (number, block) in memory.blocks.iter().enumerate() {
            if !block.outward || block.elements == 0 {
                continue;
            }
            left.extend(self.kept_bytes(block, number));
            let shape = &space.plan.shapes[usize::from(block.shape)];
            if shape.moves.is_empty() {
                continue;
            }
            let bytes = block.elements * block.guest_size;
            let to = space.inside(block.guest, bytes).ok_or(Failure::Check)?;
            // SAFETY: all objects lie inside the guest's memory, which does not shrink, and in the
            // block; nothing else uses the guest's memory.
            unsafe {
                if block.flat {
                    block.host.copy_to_nonoverlapping(to, usize_of(bytes));
                    continue;
                }
                for element in 0..usize_of(block.elements) {
                    let from = block.host.add(element * usize_of(block.host_size));
                    let to = to.add(element * usize_of(block.guest_size));
                    for one in &shape.moves {
                        store_run(
                            one.kind,
                            from.add(one.host as usize),
                            to.add(one.guest as usize),
                        );
                    }
                }
            }
        }
        let size = usize_of(space.pointer_size());
        for (at, value) in changed.pointers.into_iter().chain(made) {
            // SAFETY: no slice of guest memory is alive.
            unsafe { space.write_guest(at, &value.to_le_bytes()[..size]) }.ok_or(Failure::Check)?;
        }
        for (at, bytes) in left {
            // SAFETY: likewise.
            unsafe { space.write_guest(at, &bytes) }.ok_or(Failure::Check)?;
        }
        // SAFETY: the caller's promise.
        unsafe { self.commit_objects() }
    }

    /// Destroys the objects that native code has left in copies that will not be written back.
    ///
    /// # Safety
    /// As [`After::abandon`].
    pub(super) unsafe fn abandon_copies(&self) {
        let Some(memory) = &self.memory else { return };
        let plan = self.space.plan;
        let mut destroyed = BTreeSet::new();
        for block in memory.blocks.iter().filter(|block| block.outward) {
            let shape = &plan.shapes[usize::from(block.shape)];
            for (index, link) in shape.links.iter().enumerate() {
                let Target::Handle { kind, borrowed: false } = link.target else { continue };
                let (kind, drop) = {
                    let kind = &plan.handle_kinds[usize::from(kind)];
                    let Some(drop) = kind.drop else { continue };
                    (kind.id, drop)
                };
                for element in 0..block.elements {
                    let object = block.host.wrapping_add(usize_of(element * block.host_size));
                    let place = usize_of(element) * shape.links.len() + index;
                    let placed = block.placed.get(place).copied().unwrap_or(0);
                    // SAFETY: the object lies in its block.
                    let native =
                        unsafe { object.add(link.host as usize).cast::<u64>().read_unaligned() };
                    // What has a handle is somebody's already: native code has only moved it here.
                    let has_handle = || {
                        let native = std::ptr::with_exposed_provenance_mut(usize_of(native));
                        self.space.store().with_handles(|table| table.knows(native, kind))
                    };
                    if native != 0
                        && native != placed
                        && !destroyed.contains(&native)
                        && !has_handle()
                    {
                        destroyed.insert(native);
                        // SAFETY: the pointer was given to us by this call, and nobody else will get
                        // it.
                        unsafe {
                            let (function, _) = self.space.callee(drop);
                            super::call_with_pointer(function, native);
                        }
                    }
                }
            }
        }
    }
}
