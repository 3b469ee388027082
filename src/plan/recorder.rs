//! What a store's calls are recorded in while a guest is profiled.
//!
//! ```text
//! the guest calls        native code runs          a guest function runs
//! call ──────────┬─ enter_native ──────────┬─ guest ─────────────────────┐
//!    marshalling │        native           │  the guest, less the calls  │
//!                │                         │  that it makes: those are   │
//!  ──────────────┴─ leave_native ──────────┴─ calls of their own ────────┘
//! ```
//!
//! Calls nest; each keeps an account of its own on a stack. Times of an account are *exclusive*: what a nested call
//! took is in the account of that call and in no other, so that all accounts together are as long as the
//! outermost calls.
//!
//! A [`Recorder`] is used by the thread that has its store. What it counts is in [`Sums`], which any thread may read
//! while the guest runs.
//!
//! Counts are exact. Times are of *timed* calls: of all, or of one in N with random gaps, each of which then
//! stands for the calls since the one before it. Inside a timed call every call is timed, because the outer one must
//! know what to take off; those do not stand for others unless it was their turn. Where a timed call runs so many
//! callbacks that timing them takes too long, only some of these are timed, and calls inside of the others are as those
//! outside of all calls.
//!
//! While the thread waits for a core time stands still here (`waits`).
//!
//! Not here: what the clock itself costs and how ticks become nanoseconds (`profile`), which bytes a plan
//! moves (`interpret::weigh`).
use rustc_hash::FxBuildHasher;
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

mod account;
mod clock;
mod guest;
mod noted;
mod pace;
mod waits;

pub use account::{Account, Sum};
pub use clock::{Clock, Moment};
pub use guest::GuestCode;
pub use noted::Noted;
use noted::{Kept, Tally};
use pace::Pace;
pub use pace::Sampling;
pub use waits::Still;
use waits::Waits;

/// What one store has recorded.
#[derive(Debug)]
pub struct Sums {
    accounts: Mutex<Vec<Arc<Account>>>,
    /// One call in so many is timed.
    pub every: Sum,
    /// And, in timed calls, one callback in so many.
    pub every_callback: Sum,
    /// Time in which its thread waited, since its first call; it is in no account.
    pub still: Still,
    /// The number of the import that is being called, from 1 on, in the order of `accounts`; 0: none.
    running: Sum,
    /// Since when.
    since: Sum,
}

impl Sums {
    /// Its imports, in the order of their first calls (or of linking).
    #[must_use]
    pub fn accounts(&self) -> Vec<Arc<Account>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The outermost call that has not returned, and when it began (0 if it is not timed).
    #[must_use]
    pub fn running(&self) -> Option<(Arc<Account>, u64)> {
        let number = usize::try_from(self.running.get()).ok()?.checked_sub(1)?;
        Some((Arc::clone(self.accounts().get(number)?), self.since.get()))
    }
}

/// A store's. See the module.
#[derive(Debug)]
pub struct Recorder {
    clock: Clock,
    pace: Pace,
    sums: Arc<Sums>,
    /// Calls that are timed, or that tell what they do.
    stack: RefCell<Vec<Frame>>,
    tally: Tally,
    waits: Waits,
    known: RefCell<HashMap<String, Import, FxBuildHasher>>,
}

/// An import of a store that is profiled.
#[derive(Clone, Debug)]
pub struct Import {
    number: u64,
    account: Arc<Account>,
}

impl Import {
    /// Says what is known of all its calls: whether they go the interpreter's usual way, and whether they are given guest
    /// functions.
    pub fn known(&self, usual: bool, takes_functions: bool) {
        let Account { usual: is_usual, takes_functions: takes, .. } = &*self.account;
        is_usual.set(is_usual.get() | u64::from(usual));
        takes.set(takes.get() | u64::from(takes_functions));
    }
}

/// A running call.
#[derive(Debug, Default)]
struct Frame {
    /// How many calls it stands for; 0: it is timed, if at all, because an outer one is.
    weight: u64,
    timed: bool,
    start: u64,
    /// When native code was entered; 0: not yet.
    entered: u64,
    in_native: bool,
    native: u64,
    /// Guest code that ran while native code did, and while it did not.
    inside: u64,
    beside: u64,
    /// Calls of imports that this guest code has made.
    nested: u64,
    callback: u64,
    allocator: u64,
    callbacks: u64,
    allocations: u64,
    /// Those of them while native code ran.
    inner_allocations: u64,
    /// Calls of imports in `nested`.
    inner: u64,
    clocked_guest: u64,
    bytes: Bytes,
    /// A callback runs that is not timed.
    muted: bool,
    /// So many callbacks are not timed before the next one that is, and how many that will stand for.
    left: u64,
    gap: u64,
    sampled: guest::Sampled,
    /// What was counted of the call around it.
    outer: Kept,
}

impl Frame {
    /// Whether calls are timed because this one is.
    #[inline]
    fn times_calls(&self) -> bool {
        self.timed && !self.muted
    }
}

impl Recorder {
    /// A recorder without imports.
    #[must_use]
    pub fn new(clock: Clock, sampling: Sampling, began: u64) -> Recorder {
        let every = match sampling {
            Sampling::Every(every) => every.max(1),
            Sampling::Within { .. } => 1,
        };
        let sums = Sums {
            accounts: Mutex::default(),
            every: Sum::of(every),
            every_callback: Sum::of(every),
            still: Still::default(),
            running: Sum::default(),
            since: Sum::default(),
        };
        Recorder {
            clock,
            pace: Pace::new(sampling, began),
            sums: Arc::new(sums),
            stack: RefCell::default(),
            tally: Tally::default(),
            waits: Waits::new(clock),
            known: RefCell::default(),
        }
    }

    /// What it counts.
    #[must_use]
    pub fn sums(&self) -> &Arc<Sums> {
        &self.sums
    }

    /// The import of that name. Instances of one store share it.
    #[must_use]
    pub fn import(&self, name: &str, library: Option<PathBuf>) -> Import {
        if let Some(known) = self.known.borrow().get(name) {
            return known.clone();
        }
        let account = Arc::new(Account::of(name, library));
        let mut accounts = self.sums.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.push(Arc::clone(&account));
        let import = Import { number: accounts.len() as u64, account };
        self.known.borrow_mut().insert(name.to_owned(), import.clone());
        import
    }

    /// Records what `body` does as a call of that import, however it ends.
    ///
    /// `body` is told whether it is timed.
    #[inline]
    pub fn call<R>(&self, import: &Import, body: impl FnOnce(bool) -> R) -> R {
        let timed = self.begin(import);
        let end = End { recorder: self, account: &import.account };
        let result = body(timed);
        drop(end);
        result
    }

    #[inline]
    fn begin(&self, import: &Import) -> bool {
        let account = &import.account;
        account.calls.add(1);
        let mut stack = self.stack.borrow_mut();
        let weight = self.turn(account);
        let outermost = stack.is_empty() && !self.tally.is_on();
        let outer = self.tally.take();
        let timed = weight != 0 || !outer.is_on() && stack.last().is_some_and(Frame::times_calls);
        if timed {
            self.pace.calls.add(1);
            account.clocked.add(1);
        }
        if outermost {
            account.outer_calls.add(1);
        }
        stack.push(Frame { weight, timed, outer, ..Frame::default() });
        let start = if timed { self.now() } else { 0 };
        if let Some(frame) = stack.last_mut() {
            frame.start = start;
        }
        if outermost {
            self.sums.since.set(if timed { self.waits.seen() } else { 0 });
            self.sums.running.set(import.number);
        }
        timed
    }

    /// How many calls this one stands for.
    #[inline]
    fn turn(&self, account: &Account) -> u64 {
        let left = account.left.get();
        if left != 0 {
            account.left.set(left - 1);
            return 0;
        }
        let weight = account.gap.get().max(1);
        self.pace.own.add(1);
        let every = &self.sums.every;
        let gap = self.pace.gap(self, every, self.pace.calls.get());
        account.gap.set(gap);
        account.left.set(gap - 1);
        weight
    }

    #[inline]
    fn end(&self, account: &Account) {
        let mut stack = self.stack.borrow_mut();
        let Some(mut frame) = stack.pop() else { return };
        let counted = frame.outer.is_on();
        let outermost = stack.is_empty() && !counted;
        self.tally.restore(frame.outer);
        if outermost {
            self.sums.running.set(0);
        }
        account.callbacks.add(frame.callbacks);
        account.allocations.add(frame.allocations);
        account.clocked_guest.add(frame.clocked_guest);
        account.weighed(frame.bytes);
        if !frame.timed {
            return;
        }
        let span = self.now().saturating_sub(frame.start);
        if let Some(outer) = stack.last_mut().filter(|outer| !outer.muted && !counted) {
            outer.nested += span;
            outer.inner += 1;
        }
        let weight = frame.weight;
        if weight == 0 {
            return;
        }
        frame.settle_callbacks();
        let marshalling = span.saturating_sub(frame.native).saturating_sub(frame.beside);
        account.timed.add(1);
        account.weight.add(weight);
        account.entered.add(if frame.entered == 0 { 0 } else { weight });
        // What callbacks took is estimated, if not all were timed: that may be more than there is, and less in the next
        // call. Together it is right.
        account.native.add(weight.wrapping_mul(frame.native.wrapping_sub(frame.inside)));
        account.marshalling.add(weight * marshalling);
        account.callback.add(weight * frame.callback);
        account.allocator.add(weight * frame.allocator);
        account.callback_weight.add(weight * frame.callbacks);
        account.allocation_weight.add(weight * frame.allocations);
        account.inner_allocation_weight.add(weight * frame.inner_allocations);
        account.clocked_guest_weight.add(weight * frame.clocked_guest);
        account.inner_weight.add(weight * frame.sampled.inner);
        if outermost {
            account.outermost.add(weight * span);
            account.outer_timed.add(1);
            account.outer_weight.add(weight);
        }
        if weight > 1 {
            let (span, others) = (span as f64, (weight - 1) as f64);
            let add = |sum: &Sum, more: f64| sum.set((sum.float() + more).to_bits());
            add(&account.spans, others * span);
            add(&account.squares, others * span * span);
            add(&account.stood_for, others * others);
        }
    }

    /// Native code begins to run for the innermost call.
    #[inline]
    pub fn enter_native(&self) {
        if self.tally.is_on() {
            return;
        }
        if let Some(frame) = self.stack.borrow_mut().last_mut().filter(|frame| frame.timed) {
            frame.in_native = true;
            frame.entered = self.now().max(1);
        }
    }

    /// It has returned.
    #[inline]
    pub fn leave_native(&self) {
        if self.tally.is_on() {
            return;
        }
        if let Some(frame) = self.stack.borrow_mut().last_mut().filter(|frame| frame.timed) {
            frame.native += self.now().saturating_sub(frame.entered);
            frame.in_native = false;
        }
    }

    /// Records what `body` does as native code of the innermost call, which returns.
    #[inline]
    pub fn native<R>(&self, body: impl FnOnce() -> R) -> R {
        self.enter_native();
        let result = body();
        self.leave_native();
        result
    }

    /// The innermost call has moved so many bytes.
    pub fn bytes(&self, bytes: Bytes) {
        if self.tally.is_on() {
            self.tally.bytes(bytes);
        } else if let Some(frame) = self.stack.borrow_mut().last_mut() {
            frame.bytes.add(bytes);
        }
    }
}

/// Ends the innermost call.
struct End<'r> {
    recorder: &'r Recorder,
    account: &'r Account,
}

impl Drop for End<'_> {
    #[inline]
    fn drop(&mut self) {
        self.recorder.end(self.account);
    }
}

/// Bytes that a call has to do with. See [`Account`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bytes {
    /// See [`Account::checked`].
    pub checked: u64,
    /// See [`Account::copied`].
    pub copied: u64,
    /// See [`Account::transformed`].
    pub transformed: u64,
}

impl Bytes {
    /// And so many more.
    #[inline]
    pub fn add(&mut self, more: Bytes) {
        self.checked += more.checked;
        self.copied += more.copied;
        self.transformed += more.transformed;
    }
}
