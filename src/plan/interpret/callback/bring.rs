//! Data behind native pointers on its way to a guest function: copied, with all that it leads to, into one
//! block of guest memory.
//!
//! Native bytes are read first, all of them, then the guest is asked for memory: its allocator is guest
//! code, which may change what native code has lent. What is the same bytes on both sides and in the guest's memory
//! already is not copied. What lies in the guest's memory and holds pointers is refused: the guest could have
//! written them.
//!
//! Not here: what goes back (`back`), and what a shape says (`plan::shape`).
use super::arrive::not_the_guests;
use super::call::Call;
use crate::plan::cookie;
use crate::plan::diagnose::deep::{Fault, problem};
use crate::plan::expression::evaluate;
use crate::plan::interpret::Failure;
use crate::plan::interpret::after::{misfit, name_at};
use crate::plan::interpret::copies::Parent;
use crate::plan::interpret::deep::{Blocks, Way, path_to, untrue};
use crate::plan::interpret::space::ObjectEnvironment;
use crate::plan::moves::store_run;
use crate::plan::problem::{CallbackProblem, Problem};
use crate::plan::shape::{Link, Reach, Shape, Target};
use rustc_hash::FxBuildHasher;
use std::collections::HashMap;
use std::ptr;

/// What a block costs beside its bytes, when a callback's copies are counted.
const BLOCK_COST: u64 = 64;

/// What one call of a callback has brought to the guest, and takes back.
#[derive(Default)]
pub(super) struct Brought {
    /// What the guest gets, in one block.
    pub(super) bytes: Vec<u8>,
    /// Offsets of pointers in `bytes` to other bytes of it, as offsets until it is known where it will be.
    pub(super) pointers: Vec<usize>,
    /// Guest slots, and which byte each gets the address of.
    pub(super) slots: Vec<(u16, usize)>,
    /// Where the guest puts its result.
    pub(super) room: Option<usize>,
    /// Where the block is; 0 until the guest was asked.
    pub(super) address: u64,
    /// Native data that is in the block.
    pub(super) lent: Vec<Lent>,
    known: HashMap<(u64, u16, u64), u32, FxBuildHasher>,
    /// Blocks of which nothing was read yet.
    next: Vec<u32>,
    /// Handles that this call has made.
    pub(super) shown: Vec<u32>,
    /// Beside `bytes`, what is counted of them.
    cost: u64,
}

/// Native objects of one shape, copied.
pub(super) struct Lent {
    pub(super) native: *mut u8,
    pub(super) shape: u16,
    pub(super) elements: u64,
    /// How many of them have pointers, and go back: all but the one that ends an array.
    pub(super) linked: u64,
    /// Offset in the block.
    pub(super) at: usize,
    /// It was read.
    pub(super) inward: bool,
    /// What the guest leaves goes back.
    pub(super) outward: bool,
    pub(super) parent: Option<Parent>,
    pub(super) root: u16,
}

impl Blocks for Brought {
    fn way(&self, block: u32) -> Way {
        let lent = &self.lent[block as usize];
        Way { shape: lent.shape, root: lent.root, parent: lent.parent }
    }
}

/// What the guest gets instead of a native pointer.
enum Found {
    /// That.
    Value(u64),
    /// The address of that byte of the block.
    Inside(usize),
}

impl Call<'_> {
    pub(super) fn brought(&mut self) -> &mut Brought {
        self.brought.get_or_insert_default()
    }

    /// Room in the guest's block.
    pub(super) fn make_room(&mut self, bytes: u64, align: u32) -> Result<usize, Failure> {
        let limit = self.space().store().limits.copied_bytes;
        let brought = self.brought();
        let at = brought.bytes.len().next_multiple_of(align.max(1) as usize);
        let end = (at as u64).checked_add(bytes);
        brought.cost += BLOCK_COST;
        let cost = brought.cost;
        let end = end.filter(|end| end.checked_add(cost).is_some_and(|all| all <= limit));
        let Some(end) = end else {
            return Err(Problem::Limit { limit: "copied_bytes", value: limit }.into());
        };
        brought.bytes.resize(usize_of(end), 0);
        Ok(at)
    }

    /// Runs [`CallbackOp::Copy`](crate::plan::op::CallbackOp::Copy).
    ///
    /// # Safety
    /// The root is one of the closure's plan, which was verified, and what the prototype says of what is behind the
    /// pointer is true. Native code does not run meanwhile.
    pub(super) unsafe fn bring(
        &mut self,
        native: u64,
        slot: u16,
        root: u16,
    ) -> Result<(), Failure> {
        let link = &self.closure.plan().roots[usize::from(root)];
        // SAFETY: the caller's promise, for all that it leads to.
        unsafe {
            let found = self.found(link, native, ptr::null(), None, root)?;
            while let Some(number) = self.brought().next.pop() {
                self.read(number)?;
            }
            match found {
                Found::Value(address) => self.write(slot, address, 0),
                Found::Inside(at) => self.brought().slots.push((slot, at)),
            }
        }
        Ok(())
    }

    #[cold]
    fn fail<T>(
        &mut self,
        parent: Option<Parent>,
        member: &str,
        fault: Fault,
    ) -> Result<T, Failure> {
        let space = self.space();
        let path = parent.map(|parent| path_to(space.plan, self.brought(), parent, member));
        Err(problem(&space, fault, path).into())
    }

    /// # Safety
    /// As [`Call::bring`]; `object` is the native object that the pointer is in, null for a root.
    unsafe fn found(
        &mut self,
        link: &Link,
        native: u64,
        object: *const u8,
        parent: Option<Parent>,
        root: u16,
    ) -> Result<Found, Failure> {
        if native == 0 {
            return Ok(Found::Value(0));
        }
        let space = self.space();
        let member = &*link.path;
        let shapes = &space.plan.shapes;
        let (number, flat, size) = match link.target {
            Target::Handle { kind, .. } => {
                let handle = self.show(native, kind)?;
                return Ok(Found::Value(handle.into()));
            }
            Target::Function { .. } => {
                return match self.index_of(native) {
                    Some(index) => Ok(Found::Value(index)),
                    None => self.fail(parent, member, Fault::Known(not_the_guests())),
                };
            }
            Target::Cookie { .. } => {
                return match cookie::to_guest(native) {
                    Some(value) => Ok(Found::Value(value.into())),
                    None => self.fail(parent, member, Fault::Known(Problem::PlantedCookie)),
                };
            }
            Target::Native => {
                return match self.find(native) {
                    Some(address) => Ok(Found::Value(address)),
                    None => self.fail(parent, member, Fault::Unreachable),
                };
            }
            Target::Bytes { size, .. } => (None, true, size),
            Target::Data(number) => {
                let shape = &shapes[usize::from(number)];
                (Some(number), is_same(shape), shape.host_size)
            }
        };
        if flat && let Some(address) = self.own(native) {
            return Ok(Found::Value(address));
        }
        if parent.is_none() {
            // How far the guest's memory reaches decides what is believed. No guest code runs until all is read.
            self.refresh();
        }
        let size = u64::from(size);
        // SAFETY: the caller's promise.
        let (elements, linked) = unsafe {
            match link.reach {
                Reach::One => (1, 1),
                Reach::Counted { expr, bytes } => {
                    let expression = &space.plan.expressions[usize::from(expr)];
                    let count = evaluate(expression, &mut ObjectEnvironment { space, object });
                    let count = match count {
                        Ok(count) => count,
                        Err(error) => {
                            return self.fail(parent, member, Fault::Expression { expr, error });
                        }
                    };
                    let Ok(count) = u64::try_from(count) else {
                        return self.fail(parent, member, Fault::Negative { count });
                    };
                    let count = if bytes { count / size.max(1) } else { count };
                    (count, count)
                }
                Reach::Ends { host, host_bytes, .. } => {
                    match self.length(native, size, (host, host_bytes)) {
                        Some(end) => (end + 1, end),
                        None => return self.fail(parent, member, Fault::Unreachable),
                    }
                }
            }
        };
        let bytes = elements.checked_mul(size);
        let has_links = number.is_some_and(|number| !shapes[usize::from(number)].links.is_empty());
        // Nor those of the instance that has made the call, which may be another one.
        // SAFETY: the running call is alive, and no guest code runs.
        let is_guests = || unsafe { (*self.running).is_callers(native) };
        let is_own = self.inside(native).is_some_and(|at| at < self.closure.memory().1);
        if has_links && (is_own || is_guests()) {
            let untrusted = Problem::Callback(Box::new(CallbackProblem::Untrusted));
            return self.fail(parent, member, Fault::Known(untrusted));
        }
        if bytes.is_none_or(|bytes| !self.may_be_read(native, bytes)) {
            return self.fail(parent, member, Fault::Unreachable);
        }
        let start = ptr::with_exposed_provenance_mut::<u8>(usize_of(native));
        let Some(number) = number else {
            let Target::Bytes { align, .. } = link.target else { return Ok(Found::Value(0)) };
            return self.brought_bytes(link, (start, elements * size), align.into(), parent, root);
        };
        let inward = link.direction.is_in();
        let outward = link.direction.is_out() && self.goes_back(parent);
        let known = self.brought().known.get(&(native, number, elements)).copied();
        let block = match known {
            Some(known) => known,
            None => {
                let shape = &shapes[usize::from(number)];
                let bytes = elements.saturating_mul(shape.guest_size.into());
                let at = self.make_room(bytes, shape.guest_align)?;
                let lent = Lent {
                    native: start,
                    shape: number,
                    elements,
                    linked,
                    at,
                    inward: false,
                    outward: false,
                    parent,
                    root,
                };
                let brought = self.brought();
                let block = u32::try_from(brought.lent.len()).unwrap_or(u32::MAX);
                brought.lent.push(lent);
                brought.known.insert((native, number, elements), block);
                block
            }
        };
        let brought = self.brought();
        let lent = &mut brought.lent[block as usize];
        lent.outward |= outward;
        if inward && !lent.inward {
            lent.inward = true;
            brought.next.push(block);
        }
        Ok(Found::Inside(lent.at))
    }

    /// Elements without a shape of their own.
    fn brought_bytes(
        &mut self,
        link: &Link,
        (start, bytes): (*mut u8, u64),
        align: u32,
        parent: Option<Parent>,
        root: u16,
    ) -> Result<Found, Failure> {
        let at = self.make_room(bytes, align)?;
        let brought = self.brought();
        if link.direction.is_in() {
            // SAFETY: the prototype says that so many bytes are there, and native code does not run.
            let found = unsafe { std::slice::from_raw_parts(start, usize_of(bytes)) };
            brought.bytes[at..at + found.len()].copy_from_slice(found);
        }
        if link.direction.is_out() && self.goes_back(parent) {
            self.brought().lent.push(Lent {
                native: start,
                shape: u16::MAX,
                elements: bytes,
                linked: bytes,
                at,
                inward: link.direction.is_in(),
                outward: true,
                parent,
                root,
            });
        }
        Ok(Found::Inside(at))
    }

    /// Whether what the guest leaves in that object goes back. What is reached through data that does not stays as
    /// it is too.
    fn goes_back(&mut self, object: Option<Parent>) -> bool {
        object.is_none_or(|parent| self.brought().lent[parent.block as usize].outward)
    }

    /// Reads objects, and follows their pointers.
    ///
    /// # Safety
    /// As [`Call::bring`].
    unsafe fn read(&mut self, number: u32) -> Result<(), Failure> {
        let space = self.space();
        let plan = self.closure.plan();
        let &Lent { native, shape, elements, linked, at, root, .. } =
            &self.brought().lent[number as usize];
        let shape = &plan.shapes[usize::from(shape)];
        let (host_size, guest_size) = (shape.host_size as usize, shape.guest_size as usize);
        if is_same(shape) {
            // SAFETY: the caller's promise: so many objects are there.
            let found =
                unsafe { std::slice::from_raw_parts(native, usize_of(elements) * host_size) };
            self.brought().bytes[at..at + found.len()].copy_from_slice(found);
            return Ok(());
        }
        let size = usize_of(space.pointer_size());
        for element in 0..elements {
            let index = usize_of(element);
            let object = native.wrapping_add(index * host_size).cast_const();
            let at = at + index * guest_size;
            let parent = |link| Parent { block: number, element, link };
            // SAFETY: as many objects as the prototype says are there; moves and links lie inside of objects on
            // both sides, and there is room for them.
            unsafe {
                if let Some((host, fault)) = misfit(shape, object) {
                    return self.fail(Some(parent(0)), name_at(shape, host), fault);
                }
                if element < linked
                    && let Some((test, fault)) = untrue(&space, &shape.tests, object)
                {
                    return self.fail(Some(parent(0)), &test.path, fault);
                }
                let to = self.brought().bytes[at..at + guest_size].as_mut_ptr();
                for one in &shape.moves {
                    store_run(one.kind, object.add(one.host as usize), to.add(one.guest as usize));
                }
            }
            if element >= linked {
                continue;
            }
            for (position, link) in shape.links.iter().enumerate() {
                let parent = parent(u16::try_from(position).unwrap_or(u16::MAX));
                // SAFETY: likewise.
                let found = unsafe {
                    let native = object.add(link.host as usize).cast::<u64>().read_unaligned();
                    self.found(link, native, object, Some(parent), root)?
                };
                let place = at + link.guest as usize;
                let brought = self.brought();
                let value = match found {
                    Found::Value(value) => value,
                    Found::Inside(offset) => {
                        brought.pointers.push(place);
                        offset as u64
                    }
                };
                brought.bytes[place..place + size].copy_from_slice(&value.to_le_bytes()[..size]);
            }
        }
        Ok(())
    }

    /// How many elements there are before the one whose bytes are zero; `None` when it is not in the guest's memory,
    /// where the first is.
    ///
    /// # Safety
    /// As [`Call::bring`].
    unsafe fn length(&self, native: u64, size: u64, (at, bytes): (u32, u8)) -> Option<u64> {
        let (base, len) = self.closure.memory();
        let most = match native.wrapping_sub(base) {
            inside if inside < len => (len - inside) / size.max(1),
            _ => u64::MAX,
        };
        let start = ptr::with_exposed_provenance::<u8>(usize_of(native));
        let mut end = 0;
        while end < most {
            // SAFETY: the caller's promise: the array has not ended yet, so that this element exists.
            let field = unsafe {
                let field = start.add(usize_of(end * size) + at as usize);
                std::slice::from_raw_parts(field, bytes.into())
            };
            if field.iter().all(|byte| *byte == 0) {
                return Some(end);
            }
            end += 1;
        }
        None
    }

    /// Whether native data may be believed to be there: all of it or nothing lies in the guest's memory.
    fn may_be_read(&self, native: u64, bytes: u64) -> bool {
        let (base, len) = self.closure.memory();
        let first = native.wrapping_sub(base);
        if first < len {
            return bytes <= len - first;
        }
        // It begins in front of the memory, or behind it.
        native.checked_add(bytes).is_some_and(|end| native >= base || end <= base)
    }

    /// The guest's address of something in its own memory, or in what the running call has copied of it and native
    /// code does not change.
    fn own(&mut self, native: u64) -> Option<u64> {
        self.inside(native).or_else(|| {
            self.refresh();
            self.inside(native).or_else(|| {
                let native = usize::try_from(native).ok()?;
                // SAFETY: the running call is alive, and nobody else looks at its memory meanwhile.
                unsafe { (*self.running).memory.as_ref()?.unchanged_address(native) }
            })
        })
    }
}

/// Whether objects are the same bytes on both sides, of which none is looked at.
pub(super) fn is_same(shape: &Shape) -> bool {
    shape.is_flat() && shape.tests.is_empty()
}

/// A native address on a 64-bit host.
pub(super) fn usize_of(value: u64) -> usize {
    usize::try_from(value).expect("bridges exist only on 64-bit hosts")
}
