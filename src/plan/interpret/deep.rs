//! Pointed-to data on its way to native code: copied, with all that it leads to.
//!
//! The walk keeps its own stack, because the guest decides how deep its data is. A block that is
//! being walked is *open*; data that leads back to it is a cycle and refused. A block that was walked
//! is shared by whatever else leads to it.
//!
//! Not here: what a shape says (`plan::shape`), and the way back (`after::deep`).
#![expect(unsafe_code, reason = "guest memory and copies are reached through raw pointers")]
use super::Failure;
use super::before::load_integer;
use super::copies::{Block, CallMemory, Parent, Wanted};
use super::space::{ObjectEnvironment, Space};
use crate::plan::Plan;
use crate::plan::diagnose::deep::{Fault, counted_problem, problem};
use crate::plan::expression::evaluate;
use crate::plan::moves::load_run;
use crate::plan::op::{At, Null};
use crate::plan::shape::{Link, Reach, Shape, Target, Test};

mod fields;
mod kept;
mod overlap;
mod path;

pub use kept::keep;
pub use path::{Blocks, Way, path_to};

/// An object whose pointers are being followed.
struct Level {
    block: u32,
    element: u64,
    link: usize,
}

struct Walk<'a, 'm> {
    space: Space<'a>,
    memory: &'m mut CallMemory,
    levels: Vec<Level>,
    root: u16,
    param: u16,
}

/// Runs [`DeepOp::Copy`](crate::plan::op::DeepOp::Copy).
///
/// # Safety
/// As [`super::before::step`].
#[inline(never)]
pub unsafe fn copy(
    space: &Space<'_>,
    memory: &mut Option<Box<CallMemory>>,
    slot: u16,
    to: At,
    (root, param): (u16, u16),
) -> Result<(), Failure> {
    let memory = memory.get_or_insert_with(|| Box::new(CallMemory::new(space.store())));
    let mut walk = Walk { space: *space, memory, levels: Vec::new(), root, param };
    let link = &space.plan.roots[usize::from(root)];
    // SAFETY: the caller's promise: the slot and the place exist.
    unsafe {
        let guest = space.pointer(slot);
        let native = walk.enter(link, guest, None)?;
        walk.follow()?;
        walk.apart()?;
        space.write::<u64>(to, native);
    }
    Ok(())
}

/// Reads a pointer of a data model.
///
/// # Safety
/// As many bytes as a pointer has are readable at `at`.
pub unsafe fn read_pointer(space: &Space<'_>, at: *const u8) -> u64 {
    // SAFETY: the caller's promise.
    unsafe {
        if space.plan.facts.wide {
            at.cast::<u64>().read_unaligned()
        } else {
            at.cast::<u32>().read_unaligned().into()
        }
    }
}

/// A test that does not hold, if there is one, and its value.
///
/// # Safety
/// An object of the shape that the tests are of is readable at `object`.
pub unsafe fn untrue<'t>(
    space: &Space<'_>,
    tests: &'t [Test],
    object: *const u8,
) -> Option<(&'t Test, Fault)> {
    tests.iter().find_map(|test| {
        // SAFETY: the verifier has shown that the integer lies inside the object.
        let value = unsafe { load_integer(object.add(test.host as usize), test.width) };
        let mut ranges = Vec::new();
        for (low, high) in &test.intervals {
            let bound = |expr: u16| {
                let expression = &space.plan.expressions[usize::from(expr)];
                evaluate(expression, &mut ObjectEnvironment { space: *space, object })
                    .map_err(|error| (test, Fault::Expression { expr, error }))
            };
            match (bound(*low), bound(*high)) {
                (Ok(low), Ok(high)) if (low..=high).contains(&value) => return None,
                (Ok(low), Ok(high)) => ranges.push((low, high)),
                (Err(error), _) | (_, Err(error)) => return Some(error),
            }
        }
        Some((test, Fault::Range { value, ranges }))
    })
}

impl<'a> Walk<'a, '_> {
    fn plan(&self) -> &'a Plan {
        self.space.plan
    }

    #[cold]
    fn fail<T>(&self, link: &Link, parent: Option<Parent>, fault: Fault) -> Result<T, Failure> {
        let path = parent.map(|parent| path_to(self.plan(), self.memory, parent, &link.path));
        Err(counted_problem(&self.space, fault, path, link.reach).into())
    }

    /// What goes back is in one copy.
    fn apart(&self) -> Result<(), Failure> {
        let Some(number) = overlap::overlapping(self.memory) else { return Ok(()) };
        let plan = self.plan();
        let path = self.memory.blocks[number as usize].parent.map(|parent| {
            let shape = self.memory.blocks[parent.block as usize].shape;
            let link = plan.shapes[usize::from(shape)].links.get(usize::from(parent.link));
            path_to(plan, self.memory, parent, link.map_or("", |link| &link.path))
        });
        Err(problem(&self.space, Fault::Overlap, path).into())
    }

    /// Follows the pointers of every open block.
    ///
    /// # Safety
    /// As [`copy`].
    unsafe fn follow(&mut self) -> Result<(), Failure> {
        let plan = self.plan();
        while let Some(level) = self.levels.last_mut() {
            let block = &mut self.memory.blocks[level.block as usize];
            let shape = &plan.shapes[usize::from(block.shape)];
            if level.link == shape.links.len() {
                level.link = 0;
                level.element += 1;
            }
            if level.element >= block.linked || shape.links.is_empty() {
                block.open = false;
                self.levels.pop();
                continue;
            }
            let (element, index) = (level.element, level.link);
            level.link += 1;
            let link = &shape.links[index];
            let object = block.host.wrapping_add(usize_of(element * block.host_size));
            let start = block.guest + element * block.guest_size;
            let at = start + u64::from(link.guest);
            let number = u16::try_from(index).unwrap_or(u16::MAX);
            let parent = Parent { block: level.block, element, link: number };
            let block = level.block as usize;
            // SAFETY: the block's objects lie inside the guest's memory (`data` has checked that),
            // and in its copy; the verifier has shown that links lie inside of objects.
            unsafe {
                let Some(from) = self.space.inside(at, self.space.pointer_size()) else {
                    return Err(Failure::Check);
                };
                let guest = read_pointer(&self.space, from);
                let native = self.enter(link, guest, Some((parent, object, start)))?;
                object.add(link.host as usize).cast::<u64>().write_unaligned(native);
                let place = usize_of(element) * shape.links.len() + index;
                if let Some(placed) = self.memory.blocks[block].placed.get_mut(place) {
                    *placed = native;
                }
            }
        }
        Ok(())
    }

    /// The native pointer for the guest's. What it points at is copied, and its own pointers are
    /// followed later.
    ///
    /// # Safety
    /// As [`copy`]; the object that the link is in has been copied.
    unsafe fn enter(
        &mut self,
        link: &Link,
        guest: u64,
        inside: Option<(Parent, *mut u8, u64)>,
    ) -> Result<u64, Failure> {
        let parent = inside.map(|(parent, ..)| parent);
        let object = inside.map_or(std::ptr::null(), |(_, object, _)| object.cast_const());
        let at = inside.map(|(.., at)| at);
        let count = match link.reach {
            Reach::One | Reach::Ends { .. } => 1,
            Reach::Counted { expr, bytes } => {
                let expression = &self.plan().expressions[usize::from(expr)];
                let space = self.space;
                let count = match evaluate(expression, &mut ObjectEnvironment { space, object }) {
                    Ok(count) => count,
                    Err(error) => {
                        return self.fail(link, parent, Fault::Expression { expr, error });
                    }
                };
                let Ok(units) = u64::try_from(count) else {
                    return self.fail(link, parent, Fault::Negative { count });
                };
                match (bytes, link.target) {
                    (true, Target::Data(shape)) => {
                        let size = self.plan().shapes[usize::from(shape)].host_size.max(1);
                        if !units.is_multiple_of(size.into()) {
                            return self.fail(link, parent, Fault::Part { bytes: units, size });
                        }
                        units / u64::from(size)
                    }
                    _ => units,
                }
            }
        };
        if let Target::Cookie { with } = link.target {
            let at = at.unwrap_or_default();
            // SAFETY: the caller's promise.
            return unsafe { self.cookie(link, parent, guest, (with, at)) };
        }
        if guest == 0 {
            let allowed = match link.null {
                Null::Allowed => true,
                Null::IfEmpty => count == 0,
                Null::Refused => matches!(link.target, Target::Native),
            };
            return if allowed { Ok(0) } else { self.fail(link, parent, Fault::Null) };
        }
        match link.target {
            Target::Native => self.fail(link, parent, Fault::Planted { address: guest }),
            Target::Handle { kind, .. } => self.handle(link, parent, guest, kind),
            // SAFETY: the caller's promise.
            Target::Function { callback, keep } => unsafe {
                self.function(link, parent, guest, (callback, keep))
            },
            Target::Cookie { .. } => Err(Failure::Check), // see above
            Target::Bytes { size, align } => {
                let bytes = u128::from(count) * u128::from(size);
                let memory = self.space.binding.memory_len.get();
                let base = self.space.binding.memory_base.get().expose_provenance() as u64;
                if bytes == 0 {
                    return Ok(base + guest.min(memory));
                }
                let len = u64::try_from(bytes).unwrap_or(u64::MAX);
                if self.space.inside(guest, len).is_none() {
                    return self.fail(link, parent, Fault::Outside { bytes, address: guest });
                }
                let align = u64::from(align);
                if !guest.is_multiple_of(align) {
                    return self.fail(link, parent, Fault::Misaligned { address: guest, align });
                }
                Ok(base + guest)
            }
            // SAFETY: the caller's promise.
            Target::Data(number) => unsafe { self.data(link, parent, guest, (number, count)) },
        }
    }

    /// # Safety
    /// As [`copy`].
    unsafe fn data(
        &mut self,
        link: &Link,
        parent: Option<Parent>,
        guest: u64,
        (number, count): (u16, u64),
    ) -> Result<u64, Failure> {
        let shape = &self.plan().shapes[usize::from(number)];
        let (guest_size, host_size) = (u64::from(shape.guest_size), u64::from(shape.host_size));
        let (elements, linked) = match link.reach {
            Reach::One | Reach::Counted { .. } => (count, count),
            Reach::Ends { guest: at, guest_bytes, .. } => {
                // SAFETY: the caller's promise: nothing writes to the guest's memory meanwhile.
                match unsafe { self.end(guest, guest_size, (at, guest_bytes)) } {
                    Some(elements) => (elements, elements - 1),
                    // What begins where the memory ends has not even a first element: said as of a string in place.
                    None if self.space.inside(guest, guest_size).is_none() => {
                        let bytes = guest_size.into();
                        return self.fail(link, parent, Fault::Outside { bytes, address: guest });
                    }
                    None => return self.fail(link, parent, Fault::Endless { address: guest }),
                }
            }
        };
        let bytes = u128::from(elements) * u128::from(guest_size);
        let len = u64::try_from(bytes).unwrap_or(u64::MAX);
        let from = self.space.inside(guest, len);
        if from.is_none() && bytes > 0 {
            return self.fail(link, parent, Fault::Outside { bytes, address: guest });
        }
        let (inward, outward) = (link.direction.is_in(), link.direction.is_out());
        // What was found as an array that ends has pointers in its last element, too, when that is
        // counted.
        let mut unfollowed = None;
        let index = match self.memory.known(guest, number, elements) {
            Some(known) => {
                let block = &mut self.memory.blocks[known as usize];
                if block.open {
                    return self.fail(link, parent, Fault::Cycle);
                }
                if block.linked < linked && block.inward {
                    unfollowed = Some(block.linked);
                }
                block.linked = block.linked.max(linked);
                let many = usize_of(block.linked).saturating_mul(shape.links.len());
                block.placed.resize(many, 0);
                known
            }
            None => {
                let Some(host_bytes) = elements.checked_mul(host_size) else {
                    return self.fail(link, parent, Fault::Limit);
                };
                let align = shape.host_align.max(1) as usize;
                let wanted = Wanted { guest, shape: number, elements, host_bytes, align };
                let limit = self.space.store().limits.copied_bytes;
                let Some(host) = self.memory.room(&wanted, limit) else {
                    return self.fail(link, parent, Fault::Limit);
                };
                let many = usize_of(linked).saturating_mul(shape.links.len());
                self.memory.blocks.push(Block {
                    shape: number,
                    guest,
                    host,
                    elements,
                    linked,
                    guest_size,
                    host_size,
                    flat: shape.is_flat(),
                    inward: false,
                    outward: false,
                    open: false,
                    placed: vec![0; many],
                    parent,
                    root: self.root,
                    param: self.param,
                });
                u32::try_from(self.memory.blocks.len() - 1).unwrap_or(u32::MAX)
            }
        };
        let block = &mut self.memory.blocks[index as usize];
        let host = block.host;
        if outward && !block.outward {
            block.outward = true;
            self.reserve(link, parent, shape, elements)?;
        }
        let block = &mut self.memory.blocks[index as usize];
        if inward && !block.inward {
            block.inward = true;
            if let Some(from) = from.filter(|_| elements > 0) {
                // SAFETY: as many bytes as all objects have are inside the guest's memory, and as many
                // as they have on the host in the block.
                unsafe {
                    load(shape, from, host, elements);
                    if let Reach::Ends { host: at, host_bytes, .. } = link.reach {
                        let last = host.add(usize_of((elements - 1) * host_size));
                        last.add(at as usize).write_bytes(0, host_bytes.into());
                    }
                }
                self.test(shape, (index, elements))?;
            }
            unfollowed = Some(0);
        }
        if let Some(element) = unfollowed.filter(|_| inward && !shape.links.is_empty()) {
            let block = &mut self.memory.blocks[index as usize];
            block.open = element < block.linked;
            if block.open {
                self.levels.push(Level { block: index, element, link: 0 });
            }
        }
        Ok(host.expose_provenance() as u64)
    }

    /// How many elements there are, with the one whose bytes are zero.
    ///
    /// # Safety
    /// As [`copy`].
    unsafe fn end(&self, guest: u64, size: u64, (at, bytes): (u32, u8)) -> Option<u64> {
        let left = self.space.binding.memory_len.get().checked_sub(guest)?;
        // SAFETY: the caller's promise.
        let memory = unsafe { self.space.guest_bytes(guest, left)? };
        let size = usize_of(size.max(1));
        if size == 1 {
            return memchr::memchr(0, memory).map(|end| end as u64 + 1);
        }
        let field = at as usize..at as usize + usize::from(bytes);
        let zero = |element: &[u8]| element[field.clone()].iter().all(|byte| *byte == 0);
        memory.chunks_exact(size).position(zero).map(|end| end as u64 + 1)
    }

    /// Room for the handles that native code may leave in objects that go back.
    fn reserve(
        &mut self,
        link: &Link,
        parent: Option<Parent>,
        shape: &Shape,
        elements: u64,
    ) -> Result<(), Failure> {
        let is_handle = |link: &&Link| matches!(link.target, Target::Handle { .. });
        let each = shape.links.iter().filter(is_handle).count() as u64;
        if each == 0 {
            return Ok(());
        }
        let wanted = u32::try_from(elements.saturating_mul(each)).unwrap_or(u32::MAX);
        let reserved = self.space.store().with_handles(|table| table.reserve(wanted));
        if reserved.is_err() {
            return self.fail(link, parent, Fault::Handles);
        }
        self.memory.reserve(wanted);
        Ok(())
    }

    fn test(&mut self, shape: &Shape, (block, elements): (u32, u64)) -> Result<(), Failure> {
        if shape.tests.is_empty() {
            return Ok(());
        }
        for element in 0..elements {
            let object = self.memory.blocks[block as usize].host;
            let object = object.wrapping_add(usize_of(element * u64::from(shape.host_size)));
            // SAFETY: the object lies in the block.
            if let Some((test, fault)) = unsafe { untrue(&self.space, &shape.tests, object) } {
                let parent = Parent { block, element, link: 0 };
                let path = path_to(self.plan(), self.memory, parent, &test.path);
                return Err(problem(&self.space, fault, Some(path)).into());
            }
        }
        Ok(())
    }
}

/// Objects, without their pointers, from the guest's memory to a block.
///
/// # Safety
/// `elements` objects are readable at `from` and writable at `to`.
unsafe fn load(shape: &Shape, from: *const u8, to: *mut u8, elements: u64) {
    if shape.moves.is_empty() {
        return; // nothing moves, however many there are
    }
    // SAFETY: the caller's promise; the verifier has shown that moves lie inside of objects.
    unsafe {
        if shape.is_flat() {
            let bytes = usize_of(elements * u64::from(shape.host_size));
            from.copy_to_nonoverlapping(to, bytes);
            return;
        }
        for element in 0..usize_of(elements) {
            let from = from.add(element * shape.guest_size as usize);
            let to = to.add(element * shape.host_size as usize);
            for one in &shape.moves {
                load_run(one.kind, from.add(one.guest as usize), to.add(one.host as usize));
            }
        }
    }
}

fn usize_of(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}
