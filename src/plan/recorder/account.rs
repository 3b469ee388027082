//! What is known of one import.
use super::Bytes;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

/// A number that one thread adds to and any may read.
#[derive(Debug, Default)]
pub struct Sum(AtomicU64);

impl Sum {
    /// A number to begin with.
    pub(super) fn of(value: u64) -> Sum {
        Sum(AtomicU64::new(value))
    }

    /// Adds, at the price of a plain addition: only one thread does it.
    #[inline]
    pub(crate) fn add(&self, more: u64) {
        self.set(self.get().wrapping_add(more));
    }

    #[inline]
    pub(super) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// What it is now.
    #[inline]
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// The same of what may be less than nothing.
    #[inline]
    #[must_use]
    pub fn signed(&self) -> i64 {
        self.get().cast_signed()
    }

    /// The same as a floating-point number.
    pub(super) fn float(&self) -> f64 {
        f64::from_bits(self.get())
    }
}

/// What is known of one import. Times are in ticks, each multiplied by the number of calls that it stands for.
#[derive(Debug, Default)]
pub struct Account {
    /// What errors call it: `libz.so.1.crc32`.
    pub name: String,
    /// The file of the library; `None` when the embedder supplied the address.
    pub library: Option<PathBuf>,
    /// Whether calls go the interpreter's usual way, and not its short one: 1 or 0.
    pub usual: Sum,
    /// Whether they are given guest functions: likewise.
    pub takes_functions: Sum,
    /// Calls that have begun.
    pub calls: Sum,
    /// Those that were timed for their own sake.
    pub timed: Sum,
    /// How many calls these stand for.
    pub weight: Sum,
    /// The same, of those that have reached native code.
    pub entered: Sum,
    /// Calls that were timed, for whatever reason.
    pub clocked: Sum,
    /// Calls that are in no other; of these the timed ones, and how many calls they stand for.
    pub outer_calls: Sum,
    /// See there.
    pub outer_timed: Sum,
    /// See there.
    pub outer_weight: Sum,
    /// Calls of imports by guest code that these calls have run, in timed calls, each as often as its call counts.
    pub inner_weight: Sum,
    /// Callbacks, and calls of the allocator, that were timed.
    pub clocked_guest: Sum,
    /// Those in timed calls, each as often as its call counts.
    pub clocked_guest_weight: Sum,
    /// In native code: [signed](Sum::signed), because guest code that it runs is estimated.
    pub native: Sum,
    /// In checking, copying and handles.
    pub marshalling: Sum,
    /// In guest functions that native code has called.
    pub callback: Sum,
    /// In the guest's allocator.
    pub allocator: Sum,
    /// From beginning to end, of calls that are in no other.
    pub outermost: Sum,
    /// Of the whole spans of timed calls, each as often as it stands for a call that was not: the sum of the squares.
    pub(super) squares: Sum,
    /// And the sum.
    pub(super) spans: Sum,
    /// The squares of how many calls each of them stands for.
    pub(super) stood_for: Sum,
    /// Guest functions that native code has called.
    pub callbacks: Sum,
    /// Those in timed calls, each as often as its call counts.
    pub callback_weight: Sum,
    /// Calls of the guest's allocator.
    pub allocations: Sum,
    /// Likewise.
    pub allocation_weight: Sum,
    /// Likewise, of those that were asked for while native code ran: for what callbacks get.
    pub inner_allocation_weight: Sum,
    /// Bytes of the guest's memory that were found to be there and lent to native code, or read.
    pub checked: Sum,
    /// Bytes that were copied as they are, in either direction.
    pub copied: Sum,
    /// Bytes that were put into another layout, in either direction.
    pub transformed: Sum,
    /// So many calls are not timed before the next one that is.
    pub(super) left: Sum,
    /// How many calls it will stand for.
    pub(super) gap: Sum,
}

impl Account {
    /// An import that was not called.
    pub(crate) fn of(name: &str, library: Option<PathBuf>) -> Account {
        Account { name: name.to_owned(), library, ..Account::default() }
    }

    /// A call has moved so many bytes.
    #[inline]
    pub(super) fn weighed(&self, bytes: Bytes) {
        self.checked.add(bytes.checked);
        self.copied.add(bytes.copied);
        self.transformed.add(bytes.transformed);
    }

    /// By how many ticks the times of all calls may be off because not all were timed: two standard errors. `every`:
    /// one call in so many was.
    #[must_use]
    pub fn sampling_error(&self, every: u64) -> f64 {
        let float = |sum: &Sum| sum.get() as f64;
        let (timed, calls, weight) = (float(&self.timed), float(&self.calls), float(&self.weight));
        let unseen = weight - timed;
        if every <= 1 || unseen < 1.0 {
            return 0.0;
        }
        let mean = self.spans.float() / unseen;
        let stood_for = self.stood_for.float();
        let error = if stood_for >= unseen * unseen {
            // One call says nothing of the others.
            mean * unseen
        } else {
            let variance = (self.squares.float() / unseen - mean * mean).max(0.0);
            2.0 * (variance * stood_for).sqrt()
        };
        // Those behind the last one that was timed are like those before.
        error * (calls / weight).max(1.0)
    }

    /// Adds what another account has, of an import of the same name.
    pub(crate) fn absorb(&self, other: &Account) {
        let Account {
            name: _,
            library: _,
            // What is to come in a store that has ended.
            left: _,
            gap: _,
            squares,
            spans,
            stood_for,
            usual,
            takes_functions,
            calls,
            timed,
            weight,
            entered,
            clocked,
            outer_calls,
            outer_timed,
            outer_weight,
            inner_weight,
            clocked_guest,
            clocked_guest_weight,
            native,
            marshalling,
            callback,
            allocator,
            outermost,
            callbacks,
            callback_weight,
            allocations,
            allocation_weight,
            inner_allocation_weight,
            checked,
            copied,
            transformed,
        } = other;
        for (mine, other) in [(&self.usual, usual), (&self.takes_functions, takes_functions)] {
            mine.set(mine.get() | other.get());
        }
        for (mine, more) in [
            (&self.calls, calls),
            (&self.timed, timed),
            (&self.weight, weight),
            (&self.entered, entered),
            (&self.clocked, clocked),
            (&self.outer_calls, outer_calls),
            (&self.outer_timed, outer_timed),
            (&self.outer_weight, outer_weight),
            (&self.inner_weight, inner_weight),
            (&self.clocked_guest, clocked_guest),
            (&self.clocked_guest_weight, clocked_guest_weight),
            (&self.native, native),
            (&self.marshalling, marshalling),
            (&self.callback, callback),
            (&self.allocator, allocator),
            (&self.outermost, outermost),
            (&self.callbacks, callbacks),
            (&self.callback_weight, callback_weight),
            (&self.allocations, allocations),
            (&self.allocation_weight, allocation_weight),
            (&self.inner_allocation_weight, inner_allocation_weight),
            (&self.checked, checked),
            (&self.copied, copied),
            (&self.transformed, transformed),
        ] {
            mine.add(more.get());
        }
        for (mine, more) in
            [(&self.squares, squares), (&self.spans, spans), (&self.stood_for, stood_for)]
        {
            mine.set((mine.float() + more.float()).to_bits());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers of an account, with the names of their fields.
    fn numbers(account: &Account) -> Vec<(String, u64)> {
        let shown = format!("{account:?}");
        let parts = shown.split(", ").filter_map(|part| part.split_once(": Sum("));
        let digits = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>();
        parts
            .map(|(name, rest)| (name.to_owned(), digits(rest).parse().expect("a number")))
            .collect()
    }

    #[test]
    fn accounts_that_are_added_up_lose_nothing() {
        let one = Account {
            calls: Sum::of(1),
            timed: Sum::of(2),
            weight: Sum::of(3),
            entered: Sum::of(4),
            clocked: Sum::of(5),
            outer_calls: Sum::of(6),
            outer_timed: Sum::of(7),
            outer_weight: Sum::of(8),
            inner_weight: Sum::of(9),
            clocked_guest: Sum::of(10),
            clocked_guest_weight: Sum::of(11),
            native: Sum::of(12),
            marshalling: Sum::of(13),
            callback: Sum::of(14),
            allocator: Sum::of(15),
            outermost: Sum::of(16),
            callbacks: Sum::of(17),
            callback_weight: Sum::of(18),
            allocations: Sum::of(19),
            allocation_weight: Sum::of(20),
            checked: Sum::of(21),
            copied: Sum::of(22),
            transformed: Sum::of(23),
            inner_allocation_weight: Sum::of(24),
            ..Account::default()
        };
        let sum = Account::default();
        sum.absorb(&one);
        sum.absorb(&one);
        let (once, twice) = (numbers(&one), numbers(&sum));
        assert!(once.len() == 31 && once.iter().filter(|(_, number)| *number > 0).count() == 24);
        for ((name, number), (_, double)) in once.iter().zip(&twice) {
            assert_eq!(*double, 2 * number, "{name}");
        }
        one.squares.set(1.5f64.to_bits());
        one.spans.set(2.5f64.to_bits());
        sum.absorb(&one);
        sum.absorb(&one);
        assert_eq!((sum.squares.float(), sum.spans.float()), (3.0, 5.0));
        one.usual.set(1);
        sum.absorb(&one);
        sum.absorb(&one);
        assert_eq!((sum.usual.get(), sum.takes_functions.get()), (1, 0));
    }

    #[test]
    fn what_was_not_timed_is_uncertain() {
        let account = Account::default();
        let set = |[calls, timed, weight]: [u64; 3], [spans, squares, stood_for]: [f64; 3]| {
            account.calls.set(calls);
            account.timed.set(timed);
            account.weight.set(weight);
            account.spans.set(spans.to_bits());
            account.squares.set(squares.to_bits());
            account.stood_for.set(stood_for.to_bits());
        };
        // One call of 7 stands for 99 others.
        set([100, 1, 100], [99.0 * 7.0, 99.0 * 49.0, 99.0 * 99.0]);
        assert_eq!(account.sampling_error(1), 0.0);
        assert_eq!(account.sampling_error(100), 99.0 * 7.0);
        // Ten of 10 and ten of 20, each of which stands for four others: each of these is off by 5 on average.
        set([100, 20, 100], [80.0 * 15.0, 40.0 * 100.0 + 40.0 * 400.0, 20.0 * 16.0]);
        let expected = 2.0 * (25.0 * 20.0 * 16.0f64).sqrt();
        assert!((account.sampling_error(5) - expected).abs() < 1e-9);
        // However long calls took that stand for themselves only, nothing is uncertain of them.
        set([100, 100, 100], [0.0; 3]);
        assert_eq!(account.sampling_error(5), 0.0);
    }
}
