//! Data that native code has left in memory of its own, taken as the guest lays it out.
#![expect(unsafe_code, reason = "native memory is reached through raw pointers")]
use super::super::deep::untrue;
use super::super::space::ObjectEnvironment;
use super::super::{Failure, Guest, Space};
use super::deep::{misfit, name_at};
use super::{After, usize_of};
use crate::plan::diagnose::deep::{Fault, problem};
use crate::plan::expression::evaluate;
use crate::plan::moves::store_run;
use crate::plan::shape::{Link, Reach, Target};
use std::collections::BTreeMap;

/// Data that was taken from native memory, as the guest lays it out.
pub(in crate::plan::interpret) struct Taken {
    pub(in crate::plan::interpret) bytes: Vec<u8>,
    /// Offsets of pointers, which are offsets in `bytes` until the guest's address is known.
    pub(in crate::plan::interpret) pointers: Vec<usize>,
}

impl Taken {
    pub(super) fn plain(bytes: Vec<u8>) -> Taken {
        Taken { bytes, pointers: Vec::new() }
    }

    /// Makes the pointers the guest's, who has the data at that address.
    pub(super) fn settle(&mut self, address: u64, wide: bool) {
        settle(&mut self.bytes, &self.pointers, address, wide);
    }
}

/// Makes the pointers at those offsets, which are offsets in the bytes themselves, the guest's, who has
/// these bytes at that address.
pub(in crate::plan::interpret) fn settle(
    bytes: &mut [u8],
    pointers: &[usize],
    address: u64,
    wide: bool,
) {
    let size = if wide { 8 } else { 4 };
    for at in pointers {
        let place = &mut bytes[*at..*at + size];
        let offset = place.iter().rev().fold(0, |sum: u64, byte| sum << 8 | u64::from(*byte));
        place.copy_from_slice(&offset.wrapping_add(address).to_le_bytes()[..size]);
    }
}

impl After<'_> {
    /// Data behind a native pointer, with all that it leads to, in one block as the guest lays it out.
    ///
    /// # Safety
    /// As [`After::step`]; what the prototype says of the data is true.
    pub(super) unsafe fn taken_deep(
        &self,
        native: u64,
        root: u16,
        guest: &mut dyn Guest,
    ) -> Result<Taken, Failure> {
        let space = self.space;
        let link = &space.plan.roots[usize::from(root)];
        let limit = space.store().limits.copied_bytes.saturating_sub(self.copied);
        let mut taking = Taking {
            after: self,
            guest,
            taken: Taken::plain(Vec::new()),
            known: BTreeMap::new(),
            next: Vec::new(),
            limit,
        };
        // SAFETY: the caller's promise.
        unsafe {
            taking.enter(link, native, std::ptr::null())?;
            while let Some(item) = taking.next.pop() {
                taking.follow(&item)?;
            }
        }
        Ok(taking.taken)
    }
}

/// Objects whose bytes are still to be taken.
struct Item {
    native: u64,
    shape: u16,
    elements: u64,
    linked: u64,
    at: usize,
}

struct Taking<'t, 'a> {
    after: &'t After<'a>,
    guest: &'t mut dyn Guest,
    taken: Taken,
    known: BTreeMap<(u64, u16, u64), usize>,
    next: Vec<Item>,
    limit: u64,
}

impl<'a> Taking<'_, 'a> {
    fn space(&self) -> Space<'a> {
        self.after.space
    }

    #[cold]
    fn fail<T>(&self, member: &str, fault: Fault) -> Result<T, Failure> {
        let path = (!member.is_empty() && member != "return").then(|| format!("return->{member}"));
        Err(problem(&self.space(), fault, path).into())
    }

    /// Room for so many bytes in the guest's block.
    fn room(&mut self, bytes: u64, align: u32) -> Result<usize, Failure> {
        let at = self.taken.bytes.len().next_multiple_of(align.max(1) as usize);
        let end = (at as u64).checked_add(bytes).filter(|end| *end <= self.limit);
        let Some(end) = end else { return self.fail("", Fault::Limit) };
        self.taken.bytes.resize(usize_of(end), 0);
        Ok(at)
    }

    /// Where in the guest's block is what a native pointer points at: an offset, or a pointer that is
    /// the guest's already.
    ///
    /// # Safety
    /// What the prototype says of the data is true.
    unsafe fn enter(
        &mut self,
        link: &Link,
        native: u64,
        object: *const u8,
    ) -> Result<Option<Result<usize, u64>>, Failure> {
        if native == 0 {
            return Ok(None);
        }
        let start = std::ptr::with_exposed_provenance::<u8>(usize_of(native));
        let shapes = &self.after.space.plan.shapes;
        let size = match link.target {
            Target::Data(shape) => u64::from(shapes[usize::from(shape)].host_size),
            Target::Bytes { size, .. } => size.into(),
            Target::Function { .. } | Target::Cookie { .. } => {
                let found = match link.target {
                    Target::Cookie { .. } => After::cookie_of(native),
                    _ => self.after.index_of(native, self.guest),
                };
                return match found {
                    Ok(value) => Ok(Some(Err(value))),
                    Err(fault) => self.fail(&link.path, fault),
                };
            }
            Target::Handle { .. } | Target::Native => {
                return match self.after.guest_address(native) {
                    Some(address) => Ok(Some(Err(address))),
                    None => self.fail(&link.path, Fault::Unreachable),
                };
            }
        };
        let (elements, linked) = match link.reach {
            Reach::One => (1, 1),
            Reach::Counted { expr, bytes } => {
                let expression = &self.after.space.plan.expressions[usize::from(expr)];
                let space = self.after.space;
                let count = evaluate(expression, &mut ObjectEnvironment { space, object });
                let count = match count {
                    Ok(count) => count,
                    Err(error) => return self.fail(&link.path, Fault::Expression { expr, error }),
                };
                let Ok(count) = u64::try_from(count) else {
                    return self.fail(&link.path, Fault::Negative { count });
                };
                let count = if bytes { count / size.max(1) } else { count };
                (count, count)
            }
            Reach::Ends { host, host_bytes, .. } => {
                let mut end = 0;
                // SAFETY: the caller's promise: the array has not ended yet, so that this element
                // exists.
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
        match link.target {
            Target::Data(number) => {
                if let Some(at) = self.known.get(&(native, number, elements)) {
                    return Ok(Some(Ok(*at)));
                }
                let shape = &self.after.space.plan.shapes[usize::from(number)];
                let bytes = elements.saturating_mul(shape.guest_size.into());
                let at = self.room(bytes, shape.guest_align)?;
                self.known.insert((native, number, elements), at);
                self.next.push(Item { native, shape: number, elements, linked, at });
                Ok(Some(Ok(at)))
            }
            Target::Bytes { size, align } => {
                let bytes = elements.saturating_mul(size.into());
                let at = self.room(bytes, align.into())?;
                // SAFETY: the caller's promise: so many bytes are there.
                let found = unsafe { std::slice::from_raw_parts(start, usize_of(bytes)) };
                self.taken.bytes[at..at + found.len()].copy_from_slice(found);
                Ok(Some(Ok(at)))
            }
            Target::Handle { .. }
            | Target::Native
            | Target::Function { .. }
            | Target::Cookie { .. } => Ok(None),
        }
    }

    /// # Safety
    /// As [`Taking::enter`].
    unsafe fn follow(&mut self, item: &Item) -> Result<(), Failure> {
        let plan = self.after.space.plan;
        let shape = &plan.shapes[usize::from(item.shape)];
        if shape.moves.is_empty() && shape.links.is_empty() {
            return Ok(());
        }
        let size = usize_of(self.after.space.pointer_size());
        for element in 0..usize_of(item.elements) {
            let start = std::ptr::with_exposed_provenance::<u8>(usize_of(item.native));
            // SAFETY: the caller's promise: as many objects as the prototype says are there; moves and
            // links lie inside of objects on both sides, and `room` made room for them.
            let object = unsafe { start.add(element * shape.host_size as usize) };
            let at = item.at + element * shape.guest_size as usize;
            // SAFETY: likewise.
            unsafe {
                if let Some((host, fault)) = misfit(shape, object) {
                    return self.fail(name_at(shape, host), fault);
                }
                let space = self.after.space;
                if let Some((test, fault)) = untrue(&space, &shape.tests, object) {
                    return self.fail(&test.path, fault);
                }
                let to = self.taken.bytes.as_mut_ptr().add(at);
                for one in &shape.moves {
                    store_run(one.kind, object.add(one.host as usize), to.add(one.guest as usize));
                }
            }
            if element as u64 >= item.linked {
                continue;
            }
            for link in &shape.links {
                // SAFETY: likewise.
                let found = unsafe {
                    let native = object.add(link.host as usize).cast::<u64>().read_unaligned();
                    self.enter(link, native, object)?
                };
                let place = at + link.guest as usize;
                let value = match found {
                    None => continue,
                    Some(Ok(offset)) => {
                        self.taken.pointers.push(place);
                        offset as u64
                    }
                    Some(Err(address)) => address,
                };
                self.taken.bytes[place..place + size].copy_from_slice(&value.to_le_bytes()[..size]);
            }
        }
        Ok(())
    }
}
