//! Handles that a running call has to itself (`__exclusive`).
//!
//! An object that says so of its type is not used by two calls at once, and neither are two objects
//! that it lends: a call that uses a statement has its connection to itself. Flags say so in the
//! table, and every call looks at those of its handles' lineages ([`HandleTable::check_free`]).
use super::entry::{EXCLUSIVE, FOR_EVER};
use super::{HandleError, HandleTable, HandleType, INDEX_BITS, index_of};
use std::ffi::c_void;

const _: () = assert!(EXCLUSIVE == 1, "the flag is counted");

impl HandleTable {
    /// Gives to a call alone, until [`HandleTable::give_up`]: of a handle that it has entered and of
    /// all that lend it, those whose types are exclusive; with `own` the handle itself, too. `all` are
    /// the handles that the call has entered, one for each time.
    ///
    /// # Errors
    /// As [`HandleTable::get`], and [`HandleError::Busy`] when another call uses one of them, or, of
    /// the handle itself under `own`, another argument of this one. Nothing has changed then.
    pub fn hold(
        &mut self,
        handle: u32,
        kind: HandleType,
        own: bool,
        all: impl Iterator<Item = u32> + Clone,
    ) -> Result<(), HandleError> {
        if own && self.get(handle, kind)?.busy > 1 {
            return Err(HandleError::Busy);
        }
        self.get(handle, kind)?;
        // Without the marks of this call those of others are left.
        all.clone().for_each(|handle| self.leave(handle));
        let of_others = |index: u32| {
            let entry = &self.entries[index as usize];
            entry.kind.is_alone() && entry.busy > 0
        };
        let free = !self.lineage(index_of(handle)).any(of_others);
        all.for_each(|handle| self.each_ancestor(handle, |entry| entry.busy += 1));
        if !free {
            return Err(HandleError::Busy);
        }
        // What has the flag already has it for another argument of this call: a handle that anybody
        // else holds was not entered.
        let mut held = 0;
        let mut own = own;
        self.each_ancestor(handle, |entry| {
            if (entry.kind.is_alone() || own) && entry.flags & EXCLUSIVE == 0 {
                entry.flags |= EXCLUSIVE;
                held += 1;
            }
            own = false;
        });
        self.exclusive += held;
        Ok(())
    }

    /// Enters a handle as the only one of a call and, if it is to be `alone`, holds it: as
    /// [`HandleTable::enter`] and [`HandleTable::hold`] one after the other. `None`, and nothing has
    /// changed, when it is not fit for that, or when more would have to be looked at: something else is
    /// held, or the handle, whose loans are to end, lends other handles or is kept.
    pub fn enter_alone(
        &mut self,
        handle: u32,
        kind: HandleType,
        invalidated: bool,
        alone: bool,
    ) -> Option<*mut c_void> {
        let index = index_of(handle) as usize;
        let entry = self.entries.get(index)?;
        let pointer = entry.pointer;
        if entry.generation != handle >> INDEX_BITS || entry.kind != kind || pointer.is_null() {
            return None;
        }
        let used = entry.busy | entry.lends | entry.captured | (entry.flags & FOR_EVER);
        if self.exclusive > 0 || (invalidated && used != 0) {
            return None;
        }
        // A parent was alive when its child was made, so that the chain ends; see `adopt`.
        let mut next = if alone { index } else { 0 };
        while next != 0 {
            let entry = self.entries.get(next)?;
            if entry.kind.is_alone() && entry.busy > 0 {
                return None;
            }
            next = entry.parent as usize;
        }
        next = index;
        while next != 0 {
            let Some(entry) = self.entries.get_mut(next) else { break };
            entry.busy += 1;
            if alone && entry.kind.is_alone() {
                entry.flags |= EXCLUSIVE;
                self.exclusive += 1;
            }
            next = entry.parent as usize;
        }
        Some(pointer)
    }

    /// Takes a [`HandleTable::enter_alone`] back.
    pub fn leave_alone(&mut self, handle: u32) {
        let mut given_up = 0;
        self.each_ancestor(handle, |entry| {
            entry.busy = entry.busy.saturating_sub(1);
            given_up += entry.flags & EXCLUSIVE;
            entry.flags &= !EXCLUSIVE;
        });
        self.exclusive -= given_up;
    }

    /// Takes a [`HandleTable::hold`] back. The handle may have died meanwhile.
    pub fn give_up(&mut self, handle: u32) {
        if self.exclusive > 0 && self.is_live(handle) {
            let mut given_up = 0;
            self.each_ancestor(handle, |entry| {
                given_up += u32::from(entry.flags & EXCLUSIVE != 0);
                entry.flags &= !EXCLUSIVE;
            });
            self.exclusive -= given_up;
        }
    }

    /// Of a handle and all that lend it, what a call has to itself.
    pub(super) fn held_above(&self, handle: u32) -> Vec<u32> {
        if self.exclusive == 0 || !self.is_live(handle) {
            return Vec::new();
        }
        let held = |index: &u32| self.entries[*index as usize].flags & EXCLUSIVE != 0;
        self.lineage(index_of(handle)).filter(held).collect()
    }
}
