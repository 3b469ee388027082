//! Copied data that native code keeps: copied once more, with all that it leads to, into one block that
//! outlives the call. The bounds are those that the first copy was made by, read from that copy.
use super::super::Failure;
use super::super::copies::CallMemory;
use super::super::space::{ObjectEnvironment, Space};
use super::usize_of;
use crate::plan::diagnose::deep::{Fault, problem};
use crate::plan::expression::evaluate;
use crate::plan::handles::Block;
use crate::plan::op::At;
use crate::plan::problem::Problem;
use crate::plan::shape::{Link, Reach, Target};
use std::collections::BTreeMap;

/// Objects of a shape whose pointers are still to be followed.
struct Item {
    shape: u16,
    elements: u64,
    linked: u64,
    at: usize,
}

struct Keeping<'a> {
    space: Space<'a>,
    /// The block, as the host lays it out.
    bytes: Vec<u8>,
    /// Places of pointers, and what they point at, in `bytes`.
    pointers: Vec<(usize, usize)>,
    known: BTreeMap<(u64, u16, u64, u64), usize>,
    next: Vec<Item>,
    limit: u64,
}

/// Runs [`DeepOp::Keep`](crate::plan::op::DeepOp::Keep).
///
/// # Safety
/// As [`super::copy`], and a [`DeepOp::Copy`](crate::plan::op::DeepOp::Copy) of that root has put the
/// address at `at`.
#[inline(never)]
pub unsafe fn keep(
    space: &Space<'_>,
    memory: &mut Option<Box<CallMemory>>,
    at: At,
    root: u16,
) -> Result<(), Failure> {
    // SAFETY: the caller's promise.
    let native = unsafe { space.read::<u64>(at) };
    let Some(memory) = memory.as_mut().filter(|_| native != 0) else { return Ok(()) };
    let pending: u64 = memory.kept.iter().map(|(_, block)| block.len()).sum();
    let known = space.store().with_handles(|handles| handles.captured_bytes());
    let limit = space.store().limits.captured_bytes;
    let mut keeping = Keeping {
        space: *space,
        bytes: Vec::new(),
        pointers: Vec::new(),
        known: BTreeMap::new(),
        next: Vec::new(),
        limit: limit.saturating_sub(known.saturating_add(pending)),
    };
    // SAFETY: the caller's promise: what the root leads to was copied, or lies in the guest's memory,
    // which nothing writes to meanwhile.
    unsafe {
        keeping.enter(&space.plan.roots[usize::from(root)], native, std::ptr::null())?;
        while let Some(item) = keeping.next.pop() {
            keeping.follow(&item)?;
        }
    }
    let Keeping { bytes, pointers, .. } = keeping;
    let mut block = Block::copy_of(&bytes);
    let (start, address) = (block.start(), block.address());
    for (place, target) in pointers {
        // SAFETY: places are those of pointers inside of the block's objects.
        unsafe { start.add(place).cast::<u64>().write_unaligned(address + target as u64) };
    }
    memory.kept.push((at, block));
    // SAFETY: the caller's promise.
    unsafe { space.write::<u64>(at, address) };
    Ok(())
}

impl Keeping<'_> {
    fn room(&mut self, bytes: u64, align: u32) -> Result<usize, Failure> {
        let at = self.bytes.len().next_multiple_of(align.max(1) as usize);
        let end = (at as u64).checked_add(bytes).filter(|end| *end <= self.limit);
        let Some(end) = end else {
            let value = self.space.store().limits.captured_bytes;
            return Err(Problem::Limit { limit: "captured_bytes", value }.into());
        };
        self.bytes.resize(usize_of(end), 0);
        Ok(at)
    }

    /// Where in the block is what a pointer leads to; `None` for what is no data.
    ///
    /// # Safety
    /// As [`keep`]; `object` is the copy of the object that the link is in.
    unsafe fn enter(
        &mut self,
        link: &Link,
        native: u64,
        object: *const u8,
    ) -> Result<Option<usize>, Failure> {
        let plan = self.space.plan;
        let (size, align) = match link.target {
            Target::Data(shape) => {
                let shape = &plan.shapes[usize::from(shape)];
                (u64::from(shape.host_size), shape.host_align)
            }
            Target::Bytes { size, align } => (size.into(), align.into()),
            Target::Handle { .. }
            | Target::Function { .. }
            | Target::Cookie { .. }
            | Target::Native => return Ok(None),
        };
        let start = std::ptr::with_exposed_provenance::<u8>(usize_of(native));
        let (elements, linked) = match link.reach {
            Reach::One => (1, 1),
            Reach::Counted { expr, bytes } => {
                let expression = &plan.expressions[usize::from(expr)];
                let space = self.space;
                let fail = |fault| Failure::from(problem(&space, fault, None));
                let count = evaluate(expression, &mut ObjectEnvironment { space, object });
                let count = count.map_err(|error| fail(Fault::Expression { expr, error }))?;
                let count = u64::try_from(count).map_err(|_| fail(Fault::Negative { count }))?;
                let count = if bytes { count / size.max(1) } else { count };
                (count, count)
            }
            Reach::Ends { host, host_bytes, .. } => {
                let mut end = 0;
                // SAFETY: the copy has an element with zeros there, and this is none behind it.
                while unsafe {
                    let field = start.add(usize_of(end * size) + host as usize);
                    let field = std::slice::from_raw_parts(field, host_bytes.into());
                    field.iter().any(|byte| *byte != 0)
                } {
                    end += 1;
                }
                (end + 1, end)
            }
        };
        let shape = if let Target::Data(shape) = link.target { Some(shape) } else { None };
        let key = shape.map(|shape| (native, shape, elements, linked));
        if let Some(at) = key.and_then(|key| self.known.get(&key)) {
            return Ok(Some(*at));
        }
        let bytes = elements.saturating_mul(size);
        let at = self.room(bytes, align)?;
        // SAFETY: the caller's promise: so many bytes were copied, or checked.
        let found = unsafe { std::slice::from_raw_parts(start, usize_of(bytes)) };
        self.bytes[at..at + found.len()].copy_from_slice(found);
        if let (Some(key), Some(shape)) = (key, shape) {
            self.known.insert(key, at);
            self.next.push(Item { shape, elements, linked, at });
        }
        Ok(Some(at))
    }

    /// # Safety
    /// As [`keep`].
    unsafe fn follow(&mut self, item: &Item) -> Result<(), Failure> {
        let shape = &self.space.plan.shapes[usize::from(item.shape)];
        if shape.links.is_empty() {
            return Ok(());
        }
        for element in 0..item.elements {
            let at = item.at + usize_of(element) * shape.host_size as usize;
            let end = at + shape.host_size as usize;
            // Counts read the object as it was copied, whose pointers they do not look at.
            let object: Box<[u8]> = self.bytes[at..end].into();
            for link in &shape.links {
                let place = at + link.host as usize;
                if element >= item.linked {
                    // What ends an array leads nowhere.
                    self.bytes[place..place + 8].fill(0);
                    continue;
                }
                let mut native = [0; 8];
                native.copy_from_slice(&self.bytes[place..place + 8]);
                let native = u64::from_ne_bytes(native);
                if native == 0 {
                    continue;
                }
                // SAFETY: the caller's promise.
                if let Some(target) = unsafe { self.enter(link, native, object.as_ptr())? } {
                    self.pointers.push((place, target));
                }
            }
        }
        Ok(())
    }
}
