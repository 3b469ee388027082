//! Handles of objects that native code shows to callbacks.
//!
//! One that the guest did not have lives as long as the callback, and nobody owns it. One that it had stays
//! alive until the call is over whose native code has shown it: that code may go on with the object when
//! the callback has returned.
use super::entry::{LAST_GENERATION, descriptor_pointer};
use super::{HandleTable, HandleType, Loan, index_of};
use std::collections::hash_map::Entry;
use std::ffi::c_void;
use std::ptr;

impl HandleTable {
    /// The handle of an object that native code shows to a callback: the one it has, or a new one,
    /// which nobody owns, and whether it is new. `None` when there is no room.
    pub fn show(&mut self, pointer: *mut c_void, kind: HandleType) -> Option<(u32, bool)> {
        let is_new = !self.by_pointer.contains_key(&(pointer, kind));
        let handle = self.adopt(pointer, kind, true, None, ptr::null())?;
        if is_new {
            self.shown.push(index_of(handle));
        }
        Some((handle, is_new))
    }

    /// The same of a descriptor.
    pub fn show_descriptor(&mut self, value: u32, kind: HandleType) -> Option<(u32, bool)> {
        let is_new = !self.knows(descriptor_pointer(value), kind);
        let handle = self.adopt_descriptor(value, kind, true, None, ptr::null())?;
        if is_new {
            self.shown.push(index_of(handle));
        }
        Some((handle, is_new))
    }

    /// Until [`HandleTable::end_passed`] a handle that was shown may be neither consumed nor invalidated, nor
    /// what lends it. Returns what that must be called with.
    pub fn pass(&mut self, handle: u32) -> Vec<u32> {
        let above: Vec<u32> =
            self.lineage(index_of(handle)).map(|index| self.handle_of(index)).collect();
        for handle in &above {
            *self.passed.entry(*handle).or_default() += 1;
            self.entries[index_of(*handle) as usize].captured += 1;
        }
        above
    }

    /// The call is over that has shown a handle. Some of them may have died: it has consumed them itself.
    pub fn end_passed(&mut self, handles: &[u32]) {
        for handle in handles {
            if let Entry::Occupied(mut count) = self.passed.entry(*handle) {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
            }
            if self.is_live(*handle) {
                let entry = &mut self.entries[index_of(*handle) as usize];
                entry.captured = entry.captured.saturating_sub(1);
            }
        }
    }

    /// Whether a running call has shown a handle, or what it lends.
    pub(super) fn is_passed(&self, handle: u32) -> bool {
        !self.passed.is_empty() && self.passed.contains_key(&handle)
    }

    /// Whether a handle lives only as long as a callback.
    pub(super) fn is_shown(&self, handle: u32) -> bool {
        let index = index_of(handle);
        self.entries.get(index as usize).is_some_and(|entry| entry.owners == 0)
            && self.shown.contains(&index)
    }

    /// Ends a handle that [`HandleTable::show`] has made, unless it has an owner by now. Its slot may be
    /// used without end: its generations begin anew. Returns the guest copies whose loans have ended.
    pub fn hide(&mut self, handle: u32) -> Vec<Loan> {
        let index = index_of(handle);
        if let Some(at) = self.shown.iter().rposition(|shown| *shown == index) {
            self.shown.swap_remove(at);
        }
        let mut ended = Vec::new();
        if !self.is_live(handle) || self.entries[index as usize].owners > 0 {
            return ended;
        }
        self.leave_what_is_kept(index);
        self.kill(index, &mut ended);
        let entry = &mut self.entries[index as usize];
        if entry.generation == LAST_GENERATION {
            entry.generation = 0;
            self.free.push(index);
        }
        ended
    }
}
