//! What became of inputs, so that tests can say that enough of them meant something.
use std::cell::RefCell;
use std::collections::BTreeMap;

thread_local! {
    static TALLY: RefCell<BTreeMap<&'static str, u64>> = const { RefCell::new(BTreeMap::new()) };
}

/// One more of that.
pub fn count(what: &'static str) {
    TALLY.with_borrow_mut(|tally| *tally.entry(what).or_default() += 1);
}

/// All that this thread has counted.
pub fn counted() -> BTreeMap<&'static str, u64> {
    TALLY.with_borrow(Clone::clone)
}
