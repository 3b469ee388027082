//! Integers that are kept with a handle (`__remember`).
use super::{HandleTable, index_of};
use std::sync::Arc;

impl HandleTable {
    /// Keeps an integer with a handle, in the place of one of that name. Nothing happens when the
    /// handle is no longer alive. There are as many names as the granted prototypes have.
    pub fn remember(&mut self, handle: u32, name: &Arc<str>, value: i128) {
        if !self.is_live(handle) {
            return;
        }
        let all = self.remembered.entry(index_of(handle)).or_default();
        match all.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => all.push((Arc::clone(name), value)),
        }
    }

    /// The integer of that name that is kept with a handle.
    #[must_use]
    pub fn recall(&self, handle: u32, name: &str) -> Option<i128> {
        let all = self.remembered.get(&index_of(handle)).filter(|_| self.is_live(handle))?;
        all.iter().find(|(known, _)| **known == *name).map(|(_, value)| *value)
    }
}
