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
//! know what to take off; those do not stand for others unless it was their turn.
//!
//! Not here: what the clock itself costs and how ticks become nanoseconds (`profile`), which bytes a plan
//! moves (`interpret::weigh`).
use rustc_hash::FxBuildHasher;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

mod account;
mod clock;

pub use account::{Account, Sum};
pub use clock::{Clock, Moment};

/// What one store has recorded.
#[derive(Debug)]
pub struct Sums {
    accounts: Mutex<Vec<Arc<Account>>>,
    /// One call in so many is timed.
    pub every: Sum,
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

/// Which calls are timed.
#[derive(Clone, Copy, Debug)]
pub enum Sampling {
    /// One in so many.
    Every(u64),
    /// All, until timing them has taken more than one part in `part` of the time since the guest began; then less and
    /// less. `cost` is what timing a call takes, in ticks.
    Within {
        /// What timing a call takes.
        cost: u64,
        /// 33: three per cent.
        part: u64,
    },
}

/// A store's. See the module.
#[derive(Debug)]
pub struct Recorder {
    clock: Clock,
    sampling: Sampling,
    began: u64,
    sums: Arc<Sums>,
    stack: RefCell<Vec<Frame>>,
    known: RefCell<HashMap<String, Import, FxBuildHasher>>,
    /// Calls that were timed, for whatever reason.
    timed: Cell<u64>,
    /// How many it were when it was looked last whether that takes too long.
    looked: Cell<u64>,
    random: Cell<u64>,
}

/// An import of a store that is profiled.
#[derive(Clone, Debug)]
pub struct Import {
    number: u64,
    account: Arc<Account>,
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
    /// Calls of imports in `nested`.
    inner: u64,
    clocked_guest: u64,
    bytes: Bytes,
}

/// Guest code that a call runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuestCode {
    /// A function that native code has called.
    Callback,
    /// The guest's allocator.
    Allocator,
}

/// After so many calls that were timed it is looked whether timing takes too long.
const LOOK: u64 = 1024;
/// And after so many more, once only some are timed: what the last change has changed must show.
const AGAIN: u64 = 256;

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
            running: Sum::default(),
            since: Sum::default(),
        };
        Recorder {
            clock,
            sampling,
            began,
            sums: Arc::new(sums),
            stack: RefCell::default(),
            known: RefCell::default(),
            timed: Cell::new(0),
            looked: Cell::new(0),
            // Any number but 0 will do; runs can be repeated.
            random: Cell::new(0x9e37_79b9_7f4a_7c15),
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
        let account = Account { name: name.to_owned(), library, ..Account::default() };
        let account = Arc::new(account);
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
        let outermost = stack.is_empty();
        let timed = weight != 0 || stack.last().is_some_and(|outer| outer.timed);
        if timed {
            self.timed.set(self.timed.get() + 1);
            account.clocked.add(1);
        }
        if outermost {
            account.outer_calls.add(1);
        }
        stack.push(Frame { weight, timed, ..Frame::default() });
        let start = if timed { self.clock.now() } else { 0 };
        if let Some(frame) = stack.last_mut() {
            frame.start = start;
        }
        if outermost {
            self.sums.since.set(start);
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
        let every = self.sums.every.get();
        if every > 1 || self.timed.get() & (LOOK - 1) == LOOK - 1 {
            self.next_gap(account, every);
        } else {
            account.gap.set(1);
        }
        weight
    }

    /// Chooses when a call of that import is timed again.
    #[cold]
    fn next_gap(&self, account: &Account, mut every: u64) {
        if let Sampling::Within { cost, part } = self.sampling
            && self.timed.get() - self.looked.get() >= AGAIN
        {
            self.looked.set(self.timed.get());
            let spent = self.timed.get().saturating_mul(cost).saturating_mul(part);
            let passed = self.clock.now().saturating_sub(self.began);
            if spent > passed && every < 1 << 20 {
                every *= 2;
            } else if spent.saturating_mul(4) < passed && every > 1 {
                every /= 2;
            }
            self.sums.every.set(every);
        }
        // Random, so that no rhythm of the guest's meets that of the samples; `every` on average.
        let mut x = self.random.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.random.set(x);
        let gap = 1 + x % (2 * every - 1);
        account.gap.set(gap);
        account.left.set(gap - 1);
    }

    #[inline]
    fn end(&self, account: &Account) {
        let mut stack = self.stack.borrow_mut();
        let Some(frame) = stack.pop() else { return };
        let outermost = stack.is_empty();
        if outermost {
            self.sums.running.set(0);
        }
        account.callbacks.add(frame.callbacks);
        account.allocations.add(frame.allocations);
        account.clocked_guest.add(frame.clocked_guest);
        account.checked.add(frame.bytes.checked);
        account.copied.add(frame.bytes.copied);
        account.transformed.add(frame.bytes.transformed);
        if !frame.timed {
            return;
        }
        let span = self.clock.now().saturating_sub(frame.start);
        if let Some(outer) = stack.last_mut() {
            outer.nested += span;
            outer.inner += 1;
        }
        let weight = frame.weight;
        if weight == 0 {
            return;
        }
        let marshalling = span.saturating_sub(frame.native).saturating_sub(frame.beside);
        account.timed.add(1);
        account.weight.add(weight);
        account.entered.add(if frame.entered == 0 { 0 } else { weight });
        account.native.add(weight * frame.native.saturating_sub(frame.inside));
        account.marshalling.add(weight * marshalling);
        account.callback.add(weight * frame.callback);
        account.allocator.add(weight * frame.allocator);
        account.callback_weight.add(weight * frame.callbacks);
        account.allocation_weight.add(weight * frame.allocations);
        account.inner_weight.add(weight * frame.inner);
        if outermost {
            account.outermost.add(weight * span);
            account.outer_timed.add(1);
            account.outer_weight.add(weight);
        }
        let float = span as f64;
        account.spans.set((account.spans.float() + float).to_bits());
        account.squares.set((account.squares.float() + float * float).to_bits());
    }

    /// Native code begins to run for the innermost call.
    #[inline]
    pub fn enter_native(&self) {
        if let Some(frame) = self.stack.borrow_mut().last_mut().filter(|frame| frame.timed) {
            frame.in_native = true;
            frame.entered = self.clock.now().max(1);
        }
    }

    /// It has returned.
    #[inline]
    pub fn leave_native(&self) {
        if let Some(frame) = self.stack.borrow_mut().last_mut().filter(|frame| frame.timed) {
            frame.native += self.clock.now().saturating_sub(frame.entered);
            frame.in_native = false;
        }
    }

    /// Records what `body` does as guest code of the innermost call, however it ends.
    #[inline]
    pub fn guest<R>(&self, code: GuestCode, body: impl FnOnce() -> R) -> R {
        let begun = self.begin_guest(code);
        let result = body();
        if let Some((start, nested)) = begun {
            self.end_guest(code, start, nested);
        }
        result
    }

    fn begin_guest(&self, code: GuestCode) -> Option<(u64, u64)> {
        let mut stack = self.stack.borrow_mut();
        let frame = stack.last_mut()?;
        match code {
            GuestCode::Callback => frame.callbacks += 1,
            GuestCode::Allocator => frame.allocations += 1,
        }
        if !frame.timed {
            return None;
        }
        frame.clocked_guest += 1;
        let nested = frame.nested;
        drop(stack);
        Some((self.clock.now(), nested))
    }

    fn end_guest(&self, code: GuestCode, start: u64, nested: u64) {
        let span = self.clock.now().saturating_sub(start);
        let mut stack = self.stack.borrow_mut();
        let Some(frame) = stack.last_mut() else { return };
        let own = span.saturating_sub(frame.nested - nested);
        match code {
            GuestCode::Callback => frame.callback += own,
            GuestCode::Allocator => frame.allocator += own,
        }
        if frame.in_native {
            frame.inside += span;
        } else {
            frame.beside += span;
        }
    }

    /// The innermost call has moved so many bytes.
    pub fn bytes(&self, bytes: Bytes) {
        if let Some(frame) = self.stack.borrow_mut().last_mut() {
            frame.bytes.checked += bytes.checked;
            frame.bytes.copied += bytes.copied;
            frame.bytes.transformed += bytes.transformed;
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
