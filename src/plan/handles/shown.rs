//! Handles for the length of a callback: of objects that native code shows to the guest.
use super::entry::{LAST_GENERATION, descriptor_pointer};
use super::{HandleTable, HandleType, Loan, index_of};
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
        self.kill(index, &mut ended);
        let entry = &mut self.entries[index as usize];
        if entry.generation == LAST_GENERATION {
            entry.generation = 0;
            self.free.push(index);
        }
        ended
    }
}
