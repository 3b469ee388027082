//! Handles for the length of a callback: of objects that native code shows to the guest.
use super::entry::LAST_GENERATION;
use super::{HandleTable, HandleType, Loan, index_of};
use std::ffi::c_void;
use std::ptr;

impl HandleTable {
    /// The handle of an object that native code shows to a callback: the one it has, or a new one,
    /// which nobody owns, and whether it is new. `None` when there is no room.
    pub fn show(&mut self, pointer: *mut c_void, kind: HandleType) -> Option<(u32, bool)> {
        let is_new = !self.by_pointer.contains_key(&(pointer, kind));
        Some((self.adopt(pointer, kind, true, None, ptr::null())?, is_new))
    }

    /// Ends a handle that [`HandleTable::show`] has made, unless it has an owner by now. Its slot may be
    /// used without end: its generations begin anew. Returns the guest copies whose loans have ended.
    pub fn hide(&mut self, handle: u32) -> Vec<Loan> {
        let index = index_of(handle);
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
