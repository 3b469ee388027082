//! The handle table of a store: `i32`s that stand for native pointers.
//!
//! A handle is 20 bits of index and 11 of generation; 0 is NULL. A slot whose generation would
//! wrap is retired. Entries have a fixed layout that compiled code can read (see the test).
//!
//! ```text
//! entry        one handle; why a guest value is none
//! family       which handle lends which
//! held         what a running call has to itself
//! loans        guest copies that handles lend
//! captures     what native code keeps for as long as an object lives
//! closures     guest functions that it keeps
//! remembered   integers that are kept with a handle
//! heirs        what it keeps when its handle ends before it does
//! shown        handles that callbacks get: for how long they live, and what may not happen to them
//! teardown     what is destroyed when the store goes, and in which order
//! ```
//!
//! Not here: what a call does with handles (the interpreter's ops), and who owns the table (the
//! host's store block).
use captures::Hoard;
use closures::Closures;
use entry::{FREE, LAST_GENERATION};
use family::Link;
use loans::Lending;
use std::collections::HashMap;
use std::ffi::c_void;
use std::mem;
use std::ptr;
use std::sync::Arc;

mod captures;
mod closures;
mod entry;
mod family;
mod heirs;
mod held;
mod loans;
mod remembered;
mod shown;
mod teardown;

pub use captures::{Block, keep_for_ever, kept_for_ever};
pub use entry::{
    DESCRIPTOR, Destructor, EXCLUSIVE, Entry, FOR_EVER, Full, HandleError, HandleType, INDEX_BITS,
    TAKEN, descriptor_pointer, descriptor_value,
};
pub use loans::Loan;
pub use teardown::{Argument, Leftovers};

/// The index of a handle.
pub(crate) fn index_of(handle: u32) -> u32 {
    handle & ((1 << INDEX_BITS) - 1)
}

/// The table. See the module.
#[derive(Debug)]
pub struct HandleTable {
    entries: Vec<Entry>,
    /// As many as entries.
    links: Vec<Link>,
    /// Likewise.
    lending: Vec<Lending>,
    free: Vec<u32>,
    by_pointer: HashMap<(*mut c_void, HandleType), u32, rustc_hash::FxBuildHasher>,
    /// By captor.
    hoards: HashMap<u32, Hoard, rustc_hash::FxBuildHasher>,
    closures: Closures,
    remembered: HashMap<u32, Vec<(Arc<str>, i128)>, rustc_hash::FxBuildHasher>,
    captures: u32,
    captured_bytes: u64,
    /// Indices of handles that were made for the callbacks that are running.
    shown: Vec<u32>,
    /// Handles that running calls have shown to callbacks, with all that lend them: how often.
    passed: HashMap<u32, u32, rustc_hash::FxBuildHasher>,
    /// Handles that a running call has to itself.
    exclusive: u32,
    limit: u32,
    live: u32,
    reserved: u32,
    lent: u32,
    serial: u64,
}

impl HandleTable {
    /// A table that holds at most `limit` live handles (never more than 2^20 - 1).
    #[must_use]
    pub fn new(limit: u32) -> HandleTable {
        HandleTable {
            entries: vec![FREE],
            links: vec![Link::default()],
            lending: vec![Lending::default()],
            free: Vec::new(),
            shown: Vec::new(),
            passed: HashMap::default(),
            by_pointer: HashMap::default(),
            hoards: HashMap::default(),
            closures: Closures::default(),
            remembered: HashMap::default(),
            captures: 0,
            captured_bytes: 0,
            exclusive: 0,
            limit: limit.min((1 << INDEX_BITS) - 1),
            live: 0,
            reserved: 0,
            lent: 0,
            serial: 0,
        }
    }

    /// How many handles are alive.
    #[must_use]
    pub fn live(&self) -> u32 {
        self.live
    }

    /// First entry, and how many compiled code may look at by itself. Valid until the table changes.
    ///
    /// None of them while a running call has handles to itself: whether one is free then depends on what
    /// lends it, and the table is asked.
    #[must_use]
    pub fn raw_parts(&self) -> (*const Entry, usize) {
        let count = if self.exclusive == 0 { self.entries.len() } else { 0 };
        (self.entries.as_ptr(), count)
    }

    /// The entry that `handle` stands for.
    ///
    /// # Errors
    /// When it is not a live handle of that type.
    #[inline]
    pub fn get(&self, handle: u32, kind: HandleType) -> Result<&Entry, HandleError> {
        let index = index_of(handle);
        let entry = self.entries.get(index as usize).ok_or(HandleError::Forged)?;
        if entry.generation == handle >> INDEX_BITS && !entry.pointer.is_null() {
            if entry.kind == kind { Ok(entry) } else { Err(HandleError::WrongType) }
        } else if index != 0 && (1..=entry.generation).contains(&(handle >> INDEX_BITS)) {
            Err(HandleError::Stale)
        } else {
            Err(HandleError::Forged)
        }
    }

    /// Marks a handle and everything it depends on as used by one more running call.
    ///
    /// # Errors
    /// As [`HandleTable::get`].
    pub fn enter(&mut self, handle: u32, kind: HandleType) -> Result<(), HandleError> {
        self.get(handle, kind)?;
        self.each_ancestor(handle, |entry| entry.busy += 1);
        Ok(())
    }

    /// Enters a handle that a callback gives to native code. What a running call may destroy or has to
    /// itself, nobody else gets, and neither what it lends.
    ///
    /// # Errors
    /// When the handle is not live, or such a call has it.
    pub fn lend_to_native(
        &mut self,
        handle: u32,
        kind: HandleType,
    ) -> Result<*mut c_void, HandleError> {
        let pointer = self.get(handle, kind)?.pointer;
        self.check_free(handle)?;
        let taken = |index: u32| self.entries[index as usize].flags & TAKEN != 0;
        if self.lineage(index_of(handle)).any(taken) {
            return Err(HandleError::Busy);
        }
        self.enter(handle, kind)?;
        Ok(pointer)
    }

    /// Whether an object has a handle of that type that lives.
    pub fn knows(&self, pointer: *mut std::ffi::c_void, kind: HandleType) -> bool {
        self.by_pointer.contains_key(&(pointer, kind))
    }

    /// Takes back one [`HandleTable::enter`]. The handle may have died meanwhile.
    pub fn leave(&mut self, handle: u32) {
        self.each_ancestor(handle, |entry| entry.busy = entry.busy.saturating_sub(1));
    }

    fn each_ancestor(&mut self, handle: u32, mut f: impl FnMut(&mut Entry)) {
        let index = index_of(handle);
        let mut next = index as usize;
        if self.entries.get(next).is_none_or(|e| e.generation != handle >> INDEX_BITS) {
            return;
        }
        // A parent was alive when its child was made, so that the chain ends; see `adopt`.
        while next != 0 {
            let Some(entry) = self.entries.get_mut(next) else { return };
            f(entry);
            next = entry.parent as usize;
        }
    }

    /// How many running calls use a handle, or what it lends.
    #[must_use]
    pub fn busy(&self, handle: u32) -> u32 {
        let entry = self.entries.get((handle & ((1 << INDEX_BITS) - 1)) as usize);
        entry.filter(|e| e.generation == handle >> INDEX_BITS).map_or(0, |entry| entry.busy)
    }

    /// Whether it is a live handle, of whatever type.
    #[must_use]
    pub fn is_live(&self, handle: u32) -> bool {
        let entry = self.entries.get(index_of(handle) as usize);
        entry.is_some_and(|e| !e.pointer.is_null() && e.generation == handle >> INDEX_BITS)
    }

    /// Makes sure that `count` handles can be made, whatever other calls do before
    /// [`HandleTable::release`] takes the reservation back.
    ///
    /// # Errors
    /// When the limit forbids it.
    pub fn reserve(&mut self, count: u32) -> Result<(), Full> {
        let full = Full { wanted: count, limit: self.limit };
        let wanted = self.reserved.checked_add(count).ok_or(full)?;
        if self.live.checked_add(wanted).is_none_or(|n| n > self.limit) {
            return Err(full);
        }
        let missing = (wanted as usize).saturating_sub(self.free.len());
        if self.entries.len() + missing > 1 << INDEX_BITS {
            return Err(full);
        }
        for _ in 0..missing {
            let index = u32::try_from(self.entries.len()).map_err(|_| full)?;
            self.entries.push(FREE);
            self.links.push(Link::default());
            self.lending.push(Lending::default());
            self.free.push(index);
        }
        self.reserved = wanted;
        Ok(())
    }

    /// Takes a reservation back, used or not.
    pub fn release(&mut self, count: u32) {
        self.reserved = self.reserved.saturating_sub(count);
    }

    /// The handle of `pointer`: the one it has, with one owner more unless `borrowed`, or a new
    /// one, lent by `parent` if that is a live handle. `None` when there is no room, which cannot
    /// be after a reservation.
    pub fn adopt(
        &mut self,
        pointer: *mut c_void,
        kind: HandleType,
        borrowed: bool,
        parent: Option<u32>,
        drop: Destructor,
    ) -> Option<u32> {
        if let Some(&index) = self.by_pointer.get(&(pointer, kind)) {
            let entry = &mut self.entries[index as usize];
            if !borrowed {
                entry.owners = entry.owners.saturating_add(1);
                entry.drop = drop;
            }
            return Some(entry.handle);
        }
        let parent = parent.filter(|handle| self.is_live(*handle)).map_or(0, index_of);
        if self.free.is_empty() {
            self.reserve(1).ok()?;
            self.release(1);
        }
        let index = self.free.pop()?;
        if parent != 0 {
            self.entries[parent as usize].lends += 1;
            self.attach(index, parent);
        }
        self.serial += 1;
        let entry = &mut self.entries[index as usize];
        let generation = entry.generation + 1;
        *entry = Entry {
            pointer,
            kind,
            generation,
            handle: generation << INDEX_BITS | index,
            unused: 0,
            owners: u32::from(!borrowed),
            busy: 0,
            parent,
            lends: 0,
            drop: if borrowed { ptr::null() } else { drop },
            serial: self.serial,
            captured: 0,
            flags: 0,
        };
        self.by_pointer.insert((pointer, kind), index);
        self.live += 1;
        Some(entry.handle)
    }

    /// Whether native code may be given `handle` to end its loans: as
    /// [`HandleTable::check_exclusive`], and nothing that it lends without its being owned is kept.
    ///
    /// # Errors
    /// As [`HandleTable::check_exclusive`], and [`HandleError::Captured`].
    pub fn check_invalidatable(&self, handle: u32, kind: HandleType) -> Result<(), HandleError> {
        self.check_exclusive(handle, kind)?;
        let kept = |child: u32| {
            let child = &self.entries[child as usize];
            child.owners == 0 && (child.captured > 0 || child.flags & FOR_EVER != 0)
        };
        let entry = self.get(handle, kind)?;
        if (entry.captured > 0 || entry.flags & FOR_EVER != 0 || entry.lends > 0)
            && self.children(index_of(handle)).any(kept)
        {
            return Err(HandleError::Captured);
        }
        Ok(())
    }

    /// Whether native code may be given `handle` to destroy or to invalidate.
    ///
    /// # Errors
    /// As [`HandleTable::get`], and [`HandleError::Busy`].
    pub fn check_exclusive(&self, handle: u32, kind: HandleType) -> Result<(), HandleError> {
        let is_free = self.get(handle, kind)?.busy == 0 && !self.is_passed(handle);
        if is_free { Ok(()) } else { Err(HandleError::Busy) }
    }

    /// Whether native code may be given `handle` to destroy.
    ///
    /// # Errors
    /// As [`HandleTable::check_exclusive`], and [`HandleError::Borrowed`].
    pub fn check_consumable(&self, handle: u32, kind: HandleType) -> Result<(), HandleError> {
        self.check_exclusive(handle, kind)?;
        let entry = self.get(handle, kind)?;
        if entry.owners == 0 {
            Err(HandleError::Borrowed)
        } else if entry.captured > 0 || entry.flags & FOR_EVER != 0 {
            Err(HandleError::Captured)
        } else {
            Ok(())
        }
    }

    /// One owner more; a borrowed handle becomes an owned one, which `drop` destroys.
    pub fn retain(&mut self, handle: u32, drop: Destructor) {
        if self.is_live(handle) {
            let entry = &mut self.entries[index_of(handle) as usize];
            entry.owners = entry.owners.saturating_add(1);
            entry.drop = drop;
        }
    }

    /// The handle of a descriptor, as [`HandleTable::adopt`].
    pub fn adopt_descriptor(
        &mut self,
        value: u32,
        kind: HandleType,
        borrowed: bool,
        parent: Option<u32>,
        drop: Destructor,
    ) -> Option<u32> {
        let handle = self.adopt(descriptor_pointer(value), kind, borrowed, parent, drop)?;
        self.entries[index_of(handle) as usize].flags |= DESCRIPTOR;
        Some(handle)
    }

    /// Whether a call may use a handle: no running call has it, or what lends it, to itself.
    ///
    /// # Errors
    /// [`HandleError::Busy`].
    #[inline]
    pub fn check_free(&self, handle: u32) -> Result<(), HandleError> {
        let held = |index: u32| self.entries[index as usize].flags & EXCLUSIVE != 0;
        if self.exclusive > 0 && self.lineage(index_of(handle)).any(held) {
            return Err(HandleError::Busy);
        }
        Ok(())
    }

    /// What a live handle of that type stands for, if a call that marks nothing may use it.
    #[inline]
    #[must_use]
    pub fn usable(&self, handle: u32, kind: HandleType) -> Option<*mut c_void> {
        let pointer = self.get(handle, kind).ok()?.pointer;
        self.check_free(handle).ok()?;
        Some(pointer)
    }

    /// Notes that a running call may destroy the handle, or that it did not.
    pub fn doom(&mut self, handle: u32, may_destroy: bool) {
        if self.is_live(handle) {
            if may_destroy {
                self.entries[index_of(handle) as usize].flags |= TAKEN;
            } else {
                self.unflag(index_of(handle), TAKEN);
            }
        }
    }

    fn unflag(&mut self, index: u32, flag: u32) {
        let flags = &mut self.entries[index as usize].flags;
        if flag & *flags & EXCLUSIVE != 0 {
            self.exclusive -= 1;
        }
        *flags &= !flag;
    }

    /// The handle that stands for the entry of that index now.
    fn handle_of(&self, index: u32) -> u32 {
        self.entries[index as usize].generation << INDEX_BITS | index
    }

    /// As [`HandleTable::consume`], in a call that has marked the handle itself: the mark goes, with
    /// those of what it depends on and what is held for it, and comes back if the handle lives on.
    pub fn consume_marked(&mut self, handle: u32) -> Vec<Loan> {
        self.leave(handle);
        let held = self.held_above(handle);
        let ended = self.consume(handle);
        if self.is_live(handle) {
            self.each_ancestor(handle, |entry| entry.busy += 1);
        } else {
            // Nothing leads from the dead handle to what lent it any more.
            held.into_iter().for_each(|index| self.unflag(index, EXCLUSIVE));
        }
        ended
    }

    /// One owner less; without any, the handle dies and what it lends with it. Returns the guest
    /// copies whose loans have ended.
    pub fn consume(&mut self, handle: u32) -> Vec<Loan> {
        let index = index_of(handle);
        let Some(entry) = self.entries.get_mut(index as usize) else { return Vec::new() };
        if index == 0 || entry.pointer.is_null() || entry.generation != handle >> INDEX_BITS {
            return Vec::new();
        }
        entry.owners = entry.owners.saturating_sub(1);
        let mut ended = Vec::new();
        if entry.owners == 0 {
            self.kill(index, &mut ended);
        }
        ended
    }

    fn kill(&mut self, index: u32, ended: &mut Vec<Loan>) {
        let mut dying = vec![index];
        while let Some(index) = dying.pop() {
            let entry = &mut self.entries[index as usize];
            if entry.pointer.is_null() {
                continue;
            }
            self.by_pointer.remove(&(entry.pointer, entry.kind));
            entry.lends = 0;
            entry.pointer = ptr::null_mut();
            entry.handle = 0;
            let parent = mem::take(&mut entry.parent);
            entry.captured = 0;
            if entry.generation < LAST_GENERATION {
                self.free.push(index);
            }
            self.live -= 1;
            // Children of this one still point here: they die with it.
            dying.extend(self.children(index));
            if parent != 0 {
                let entry = &mut self.entries[parent as usize];
                entry.lends = entry.lends.saturating_sub(1);
                self.detach(index, parent);
            }
            self.unflag(index, EXCLUSIVE | TAKEN | DESCRIPTOR | FOR_EVER);
            self.remembered.remove(&index);
            self.release_hoard(index);
            self.closures.end(index);
            ended.append(&mut self.take_loans(index));
        }
    }
}

#[cfg(test)]
mod tests;
