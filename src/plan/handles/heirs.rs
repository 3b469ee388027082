//! What becomes of what an object keeps when its handle ends although nobody has destroyed the object: its
//! library may go on with it, and with the copies, functions and other objects that it was given.
//!
//! What lends the object has those from then on: its library does not use the object when that is gone. When
//! nothing lends it (a callback was shown it), nobody hears of its end, and it keeps them for ever.
use super::captures::abandon;
use super::{HandleTable, index_of};

impl HandleTable {
    /// A handle is about to end, with all that it lends, whose object does not, and which nothing lends.
    pub(super) fn leave_what_is_kept(&mut self, index: u32) {
        for index in self.keepers(index) {
            self.closures.abandon(index);
            let Some(hoard) = self.hoards.remove(&index) else { continue };
            hoard.blocks.into_iter().for_each(abandon);
            for (object, capture) in hoard.objects {
                // What is kept for ever is not counted among what the limit is for.
                self.captures = self.captures.saturating_sub(1);
                if self.is_kept(object, &capture) {
                    self.uncount(object, &capture);
                    let handle = self.handle_of(object);
                    self.capture_for_ever(handle);
                }
            }
        }
    }

    /// A handle is about to end, with all that it lends, whose object does not: the living handle `lender` has lent
    /// it.
    pub(super) fn leave_to_lender(&mut self, index: u32, lender: u32) {
        let lender_handle = self.handle_of(lender);
        for index in self.keepers(index) {
            self.closures.hand_over(index, lender);
            let Some(hoard) = self.hoards.remove(&index) else { continue };
            let mut objects = Vec::new();
            for (object, capture) in hoard.objects {
                self.captures = self.captures.saturating_sub(1);
                if self.is_kept(object, &capture) {
                    self.uncount(object, &capture);
                    objects.push(self.handle_of(object));
                }
            }
            // Their bytes are counted already.
            self.hoards.entry(lender).or_default().blocks.extend(hoard.blocks);
            for object in objects {
                // One that ends now is captured in vain, which its end puts right.
                if index_of(object) != lender {
                    self.capture(lender_handle, object);
                }
            }
        }
    }

    /// A handle and all that it lends, those of them that keep something.
    fn keepers(&self, index: u32) -> Vec<u32> {
        if self.hoards.is_empty() && self.closures.is_empty() {
            return Vec::new();
        }
        let (mut all, mut next) = (Vec::new(), vec![index]);
        while let Some(index) = next.pop() {
            next.extend(self.children(index));
            all.push(index);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Block, HandleError, HandleTable, HandleType};
    use std::ffi::c_void;
    use std::ptr;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    const KIND: HandleType = HandleType(7);

    fn object(table: &mut HandleTable, number: usize, owned: bool, parent: Option<u32>) -> u32 {
        let object = ptr::without_provenance_mut::<c_void>(4096 * number);
        table.adopt(object, KIND, !owned, parent, ptr::dangling()).expect("there is room")
    }

    fn numbers<const N: usize>(uses: &[Arc<AtomicU32>; N]) -> [u32; N] {
        uses.each_ref().map(|uses| uses.load(Ordering::Relaxed))
    }

    /// What a call invalidates is not destroyed: its library may go on with what it was given.
    #[test]
    fn what_an_invalidated_object_keeps_is_its_lenders() {
        let mut table = HandleTable::new(20);
        let lender = object(&mut table, 1, true, None);
        let child = object(&mut table, 2, false, Some(lender));
        let grandchild = object(&mut table, 3, true, Some(child));
        let (one, other) = (object(&mut table, 4, true, None), object(&mut table, 5, true, None));
        let uses: [Arc<AtomicU32>; 3] = Default::default();
        // Two functions of the child's, one of which the lender keeps too; one of the grandchild's.
        table.keep_closure(child, &uses[0]);
        table.keep_closure(child, &uses[1]);
        table.keep_closure(lender, &uses[1]);
        table.keep_closure(grandchild, &uses[2]);
        assert!(table.keep(child, Block::copy_of(b"kept")).is_ok());
        table.capture(child, one);
        table.capture(grandchild, other);
        table.capture(lender, other);
        table.capture(child, lender);
        assert_eq!((numbers(&uses), table.captures()), ([1, 2, 1], 4));
        table.end_loans(lender);
        assert_eq!(table.get(child, KIND).err(), Some(HandleError::Stale));
        assert_eq!(table.get(grandchild, KIND).err(), Some(HandleError::Stale));
        assert_eq!(numbers(&uses), [1, 1, 1], "the lender keeps each once");
        assert_eq!((table.captures(), table.captured_bytes()), (2, 4));
        for kept in [one, other] {
            assert_eq!(table.check_consumable(kept, KIND), Err(HandleError::Captured));
            assert_eq!(table.captor_of(kept), Some(lender));
        }
        // It goes with the lender, and nothing is left.
        assert_eq!(table.check_consumable(lender, KIND), Ok(()));
        table.consume(lender);
        assert_eq!(numbers(&uses), [0, 0, 0]);
        assert_eq!((table.captures(), table.captured_bytes()), (0, 0));
        for kept in [one, other] {
            assert_eq!(table.check_consumable(kept, KIND), Ok(()));
        }
    }

    /// Objects of a lender that capture each other, and end together.
    #[test]
    fn what_ends_together_leaves_nothing_behind() {
        let mut table = HandleTable::new(20);
        let lender = object(&mut table, 1, true, None);
        for number in 0..100 {
            let children =
                [2, 3, 4].map(|n| object(&mut table, 3 * number + n, false, Some(lender)));
            table.capture(children[0], children[1]);
            table.capture(children[1], children[2]);
            table.capture(children[2], children[0]);
            table.end_loans(lender);
            assert_eq!(table.live(), 1);
            assert!(table.captures() <= 3, "{} captures", table.captures());
            assert_eq!(table.check_consumable(lender, KIND), Ok(()));
        }
        table.consume(lender);
        assert_eq!((table.live(), table.captures()), (0, 0));
    }

    /// What is kept for ever is no part of what the limit of captures is for.
    #[test]
    fn objects_that_callbacks_were_shown_use_up_no_captures() {
        let mut table = HandleTable::new(20);
        let parent = object(&mut table, 1, true, None);
        let captured = object(&mut table, 2, true, Some(parent));
        for number in 0..100 {
            let shown = ptr::without_provenance_mut::<c_void>(4096 * (number + 10));
            let (shown, is_new) = table.show(shown, KIND).expect("there is room");
            assert!(is_new);
            table.capture(shown, captured);
            assert_eq!(table.captures(), 1);
            table.hide(shown);
            assert_eq!(table.captures(), 0);
        }
        for kept in [captured, parent] {
            assert_eq!(table.check_consumable(kept, KIND), Err(HandleError::Captured));
        }
    }
}
