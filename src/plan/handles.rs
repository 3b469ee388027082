//! The handle table of a store: `i32`s that stand for native pointers.
//!
//! A handle is 20 bits of index and 12 of generation; 0 is NULL. A slot whose generation would
//! wrap is retired. Entries have a fixed layout that compiled code can read (see the test).
//!
//! Not here: what a call does with handles (the interpreter's ops), and who owns the table (the
//! host's store block).
use std::collections::HashMap;
use std::ffi::c_void;
use std::mem;
use std::ptr;
use thiserror::Error;

/// Number of a handle's type, unique in a process: handles of one type are interchangeable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct HandleType(pub u32);

/// Bits of a handle that are its index.
pub const INDEX_BITS: u32 = 20;
/// The greatest generation.
const LAST_GENERATION: u32 = (1 << (32 - INDEX_BITS)) - 1;

/// A native function that destroys an object: `int f(T *)` or `void f(T *)`.
pub type Destructor = *const c_void;

/// One handle. 48 bytes, alignment 8.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Entry {
    /// The native object; null when the slot is free.
    pub pointer: *mut c_void,
    /// Its type.
    pub kind: HandleType,
    /// The generation of the handle that stands for it now, or of the last one.
    pub generation: u32,
    /// How many times native code has given it away and not been given it back. 0 for a borrowed
    /// one.
    pub owners: u32,
    /// How many running calls use it.
    pub busy: u32,
    /// Index of the handle that lends it; 0 for none.
    pub parent: u32,
    /// Whether anything is lent by it (children or guest copies).
    pub lends: u32,
    /// What destroys it when the store goes; null for nothing.
    pub drop: Destructor,
    /// Order of creation.
    pub serial: u64,
}

const FREE: Entry = Entry {
    pointer: ptr::null_mut(),
    kind: HandleType(0),
    generation: 0,
    owners: 0,
    busy: 0,
    parent: 0,
    lends: 0,
    drop: ptr::null(),
    serial: 0,
};

/// A guest copy that a handle lends: where it is, and whose allocator made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loan {
    /// The instance whose memory holds it (the host's number).
    pub instance: u32,
    /// Its guest address.
    pub address: u64,
    /// Its size in bytes.
    pub size: u64,
}

/// Why a guest value is not a usable handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HandleError {
    /// It never was one.
    #[error("is no handle")]
    Forged,
    /// It was one.
    #[error("is a handle that is no longer alive")]
    Stale,
    /// It is one of another type.
    #[error("is a handle of another type")]
    WrongType,
    /// It is to be consumed or invalidated, and a running call uses it or something it lends.
    #[error("is in use by a call that has not returned")]
    Busy,
    /// It is to be consumed and is only borrowed.
    #[error("is borrowed: it cannot be consumed")]
    Borrowed,
}

/// No more handles can be made: the limit, or 2^20 slots used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the store has no room for {wanted} more handles (limit {limit})")]
pub struct Full {
    /// How many were asked for.
    pub wanted: u32,
    /// The limit in force.
    pub limit: u32,
}

/// The table. See the module.
#[derive(Debug)]
pub struct HandleTable {
    entries: Vec<Entry>,
    free: Vec<u32>,
    by_pointer: HashMap<(*mut c_void, HandleType), u32, rustc_hash::FxBuildHasher>,
    loans: HashMap<u32, Vec<Loan>, rustc_hash::FxBuildHasher>,
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
            free: Vec::new(),
            by_pointer: HashMap::default(),
            loans: HashMap::default(),
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

    /// First entry and number of entries, for compiled code. Valid until a handle is made.
    #[must_use]
    pub fn raw_parts(&self) -> (*const Entry, usize) {
        (self.entries.as_ptr(), self.entries.len())
    }

    /// The entry that `handle` stands for.
    ///
    /// # Errors
    /// When it is not a live handle of that type.
    #[inline]
    pub fn get(&self, handle: u32, kind: HandleType) -> Result<&Entry, HandleError> {
        let index = handle & ((1 << INDEX_BITS) - 1);
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

    /// Takes back one [`HandleTable::enter`]. The handle may have died meanwhile.
    pub fn leave(&mut self, handle: u32) {
        self.each_ancestor(handle, |entry| entry.busy = entry.busy.saturating_sub(1));
    }

    fn each_ancestor(&mut self, handle: u32, mut f: impl FnMut(&mut Entry)) {
        let index = handle & ((1 << INDEX_BITS) - 1);
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
        let entry = self.entries.get((handle & ((1 << INDEX_BITS) - 1)) as usize);
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
            return Some(entry.generation << INDEX_BITS | index);
        }
        let parent = parent.filter(|handle| self.is_live(*handle));
        let parent = parent.map_or(0, |handle| handle & ((1 << INDEX_BITS) - 1));
        if self.free.is_empty() {
            self.reserve(1).ok()?;
            self.release(1);
        }
        let index = self.free.pop()?;
        if parent != 0 {
            self.entries[parent as usize].lends += 1;
        }
        self.serial += 1;
        let entry = &mut self.entries[index as usize];
        *entry = Entry {
            pointer,
            kind,
            generation: entry.generation + 1,
            owners: u32::from(!borrowed),
            busy: 0,
            parent,
            lends: 0,
            drop: if borrowed { ptr::null() } else { drop },
            serial: self.serial,
        };
        self.by_pointer.insert((pointer, kind), index);
        self.live += 1;
        Some(entry.generation << INDEX_BITS | index)
    }

    /// Whether native code may be given `handle` to destroy or to invalidate.
    ///
    /// # Errors
    /// As [`HandleTable::get`], and [`HandleError::Busy`].
    pub fn check_exclusive(&self, handle: u32, kind: HandleType) -> Result<(), HandleError> {
        if self.get(handle, kind)?.busy == 0 { Ok(()) } else { Err(HandleError::Busy) }
    }

    /// Whether native code may be given `handle` to destroy.
    ///
    /// # Errors
    /// As [`HandleTable::check_exclusive`], and [`HandleError::Borrowed`].
    pub fn check_consumable(&self, handle: u32, kind: HandleType) -> Result<(), HandleError> {
        self.check_exclusive(handle, kind)?;
        if self.get(handle, kind)?.owners == 0 { Err(HandleError::Borrowed) } else { Ok(()) }
    }

    /// As [`HandleTable::consume`], in a call that has marked the handle itself: the mark goes, with
    /// those of what it depends on, and comes back if the handle lives on.
    pub fn consume_marked(&mut self, handle: u32) -> Vec<Loan> {
        self.leave(handle);
        let ended = self.consume(handle);
        if self.is_live(handle) {
            self.each_ancestor(handle, |entry| entry.busy += 1);
        }
        ended
    }

    /// One owner less; without any, the handle dies and what it lends with it. Returns the guest
    /// copies whose loans have ended.
    pub fn consume(&mut self, handle: u32) -> Vec<Loan> {
        let index = handle & ((1 << INDEX_BITS) - 1);
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
            let lends = mem::take(&mut entry.lends);
            entry.pointer = ptr::null_mut();
            let parent = mem::take(&mut entry.parent) as usize;
            if entry.generation < LAST_GENERATION {
                self.free.push(index);
            }
            self.live -= 1;
            if let Some(entry) = self.entries.get_mut(parent).filter(|_| parent != 0) {
                entry.lends = entry.lends.saturating_sub(1);
            }
            ended.append(&mut self.take_loans(index));
            if lends > 0 {
                dying.extend(self.children(index));
            }
        }
    }

    /// Records that `handle` lends a guest copy.
    ///
    /// # Errors
    /// When the handle is no longer alive; the loan ends at once.
    pub fn lend(&mut self, handle: u32, kind: HandleType, loan: Loan) -> Result<(), HandleError> {
        self.get(handle, kind)?;
        self.loans.entry(handle & ((1 << INDEX_BITS) - 1)).or_default().push(loan);
        self.lent += 1;
        Ok(())
    }

    /// How many guest copies are lent.
    #[must_use]
    pub fn lent(&self) -> u32 {
        self.lent
    }

    fn take_loans(&mut self, index: u32) -> Vec<Loan> {
        let loans = self.loans.remove(&index).unwrap_or_default();
        self.lent = self.lent.saturating_sub(u32::try_from(loans.len()).unwrap_or(u32::MAX));
        loans
    }

    /// Ends the loans of `handle` without ending its life: guest copies, and handles that it lends
    /// without their being owned. Returns the guest copies.
    pub fn end_loans(&mut self, handle: u32) -> Vec<Loan> {
        let index = handle & ((1 << INDEX_BITS) - 1);
        let mut ended = self.take_loans(index);
        if self.entries.get(index as usize).is_some_and(|entry| entry.lends > 0) {
            for child in self.children(index) {
                if self.entries[child as usize].owners == 0 {
                    self.kill(child, &mut ended);
                }
            }
        }
        ended
    }

    fn children(&self, parent: u32) -> Vec<u32> {
        let alive = self.entries.iter().enumerate().filter(|(_, entry)| !entry.pointer.is_null());
        alive
            .filter(|(_, entry)| entry.parent == parent)
            .filter_map(|(index, _)| u32::try_from(index).ok())
            .collect()
    }

    /// Empties the table. Returns what is still owned, the youngest first, with what destroys it.
    pub fn drain(&mut self) -> Vec<(*mut c_void, Destructor)> {
        let mut owned: Vec<Entry> =
            self.entries.drain(..).filter(|e| !e.pointer.is_null() && !e.drop.is_null()).collect();
        owned.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.serial));
        *self = HandleTable::new(self.limit);
        let each = |entry: Entry| (0..entry.owners).map(move |_| (entry.pointer, entry.drop));
        owned.into_iter().flat_map(each).collect()
    }
}

#[cfg(test)]
mod tests;
