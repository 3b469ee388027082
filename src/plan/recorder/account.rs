//! What is known of one import.
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
    /// In native code.
    pub native: Sum,
    /// In checking, copying and handles.
    pub marshalling: Sum,
    /// In guest functions that native code has called.
    pub callback: Sum,
    /// In the guest's allocator.
    pub allocator: Sum,
    /// From beginning to end, of calls that are in no other.
    pub outermost: Sum,
    /// Of the whole spans of timed calls: the sum of the squares.
    pub(super) squares: Sum,
    /// And the sum.
    pub(super) spans: Sum,
    /// Guest functions that native code has called.
    pub callbacks: Sum,
    /// Those in timed calls, each as often as its call counts.
    pub callback_weight: Sum,
    /// Calls of the guest's allocator.
    pub allocations: Sum,
    /// Likewise.
    pub allocation_weight: Sum,
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
    /// By how many ticks the times of all calls may be off because not all were timed: two standard errors.
    #[must_use]
    pub fn sampling_error(&self) -> f64 {
        let (timed, weight) = (self.timed.get() as f64, self.weight.get() as f64);
        if timed < 2.0 || weight <= timed {
            return 0.0;
        }
        let mean = self.spans.float() / timed;
        let variance = (self.squares.float() / timed - mean * mean).max(0.0);
        // Of calls that were timed nothing is unknown.
        2.0 * (variance / timed * (1.0 - timed / weight)).sqrt() * weight
    }
}
