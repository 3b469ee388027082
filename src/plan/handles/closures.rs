//! What handles keep alive: closures, each known by the number of its uses.
use super::{HandleTable, index_of};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// By index of the handle, then by address of the number: a handle keeps a closure once.
#[derive(Debug, Default)]
pub(super) struct Closures {
    kept: HashMap<u32, Kept, rustc_hash::FxBuildHasher>,
}

type Kept = HashMap<usize, Arc<AtomicU32>, rustc_hash::FxBuildHasher>;

impl Closures {
    pub(super) fn begin(&mut self, index: u32, uses: &Arc<AtomicU32>) {
        let kept = self.kept.entry(index).or_default();
        kept.entry(Arc::as_ptr(uses).addr()).or_insert_with(|| {
            uses.fetch_add(1, Ordering::Relaxed);
            Arc::clone(uses)
        });
    }

    pub(super) fn end(&mut self, index: u32) {
        if self.kept.is_empty() {
            return;
        }
        for uses in self.kept.remove(&index).unwrap_or_default().into_values() {
            uses.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// As [`Closures::end`], but the object lives on and may call them at any time: they are in use for ever.
    pub(super) fn abandon(&mut self, index: u32) {
        self.kept.remove(&index);
    }

    /// What `index` keeps `to` keeps from now on.
    pub(super) fn hand_over(&mut self, index: u32, to: u32) {
        for (address, uses) in self.kept.remove(&index).into_iter().flatten() {
            if let Some(known) = self.kept.entry(to).or_default().insert(address, uses) {
                known.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }
}

impl HandleTable {
    /// Closures that `handle` keeps: `uses` is one more while it lives. Nothing happens when it does not.
    pub fn keep_closure(&mut self, handle: u32, uses: &Arc<AtomicU32>) {
        if self.is_live(handle) {
            self.closures.begin(index_of(handle), uses);
        }
    }
}
