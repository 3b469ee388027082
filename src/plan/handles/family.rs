//! Which handle lends which: children of a parent as a linked list, so that a parent that dies finds
//! them without looking at every handle.
use super::HandleTable;

/// The place of a handle among the children of its parent. All zero for none.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Link {
    first_child: u32,
    next: u32,
    previous: u32,
}

impl HandleTable {
    /// Makes `child`, whose parent is `parent` (not 0), the first of its children.
    pub(super) fn attach(&mut self, child: u32, parent: u32) {
        let first = std::mem::replace(&mut self.links[parent as usize].first_child, child);
        if first != 0 {
            self.links[first as usize].previous = child;
        }
        let link = &mut self.links[child as usize];
        (link.next, link.previous) = (first, 0);
    }

    /// Takes `child` out of the children of `parent` (not 0).
    pub(super) fn detach(&mut self, child: u32, parent: u32) {
        let Link { next, previous, .. } = self.links[child as usize];
        match previous {
            0 => self.links[parent as usize].first_child = next,
            previous => self.links[previous as usize].next = next,
        }
        if next != 0 {
            self.links[next as usize].previous = previous;
        }
        let link = &mut self.links[child as usize];
        (link.next, link.previous) = (0, 0);
    }

    /// The children of a handle, by index.
    pub(super) fn children(&self, parent: u32) -> impl Iterator<Item = u32> {
        let child = |index: u32| (index != 0).then_some(index);
        let first = child(self.links[parent as usize].first_child);
        std::iter::successors(first, move |at| child(self.links[*at as usize].next))
    }

    /// A handle and everything that lends it, by index, from it upwards.
    pub(super) fn lineage(&self, index: u32) -> impl Iterator<Item = u32> {
        // A parent was alive when its child was made, so that the chain ends; see `adopt`.
        let known = |index: &u32| *index != 0 && (*index as usize) < self.entries.len();
        let first = Some(index).filter(known);
        std::iter::successors(first, move |at| {
            Some(self.entries[*at as usize].parent).filter(known)
        })
    }
}
