//! What a running call reaches: its binding, and through it the store block.
//!
//! Both are `#[repr(C)]`, because compiled code reads them without a `Caller`. They hold what is
//! not in the frame: the native address, the memory, handles, limits. The host owns them (see
//! `host::bridge`); everything here is plain data.
use super::handles::{Entry, HandleTable};
use super::interpret::Spare;
use super::recorder::Recorder;
use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use thiserror::Error;

/// One import of one instance: the native function, and that instance's memory. 48 bytes.
///
/// The memory's length is a lower bound: memories only grow. Whoever enters a call refreshes both
/// words when a check fails, or always when the memory may move.
#[derive(Debug)]
#[repr(C)]
pub struct Binding {
    /// The native function.
    pub target: *const c_void,
    /// The block of the store that the instance lives in.
    pub store: *const StoreBlock,
    /// First byte of the guest's memory.
    pub memory_base: Cell<*mut u8>,
    /// Its length in bytes.
    pub memory_len: Cell<u64>,
    /// Addresses of the plan's `callees`, in its order.
    pub callees: *const *const c_void,
    /// The host's number of the instance: who frees what its allocator gave.
    pub instance: u32,
    /// `errno` after the last call whose plan keeps it (the host copies it to the instance).
    pub errno: Cell<i32>,
}

/// What all bindings of a store share.
#[derive(Debug)]
#[repr(C)]
pub struct StoreBlock {
    /// Bounds on what a guest may use.
    pub limits: Limits,
    /// Calls that have not returned.
    pub depth: Cell<u32>,
    /// First entry of the handle table, for compiled code.
    handle_entries: Cell<*const Entry>,
    /// Number of entries there.
    handle_count: Cell<usize>,
    /// The handles. Borrowed only for the length of one operation of the table, never across
    /// guest or native code.
    handles: RefCell<HandleTable>,
    /// Calls of closures that were not allowed. Closures share it: they outlive the block.
    pub strays: Arc<Strays>,
    /// Memory that calls have copied to and that the next one uses again.
    pub(super) spare_memory: RefCell<Option<Box<Spare>>>,
    /// Whether the interpreter watches what native code does: see `interpret::watch`.
    pub watched: bool,
    /// For the guard.
    pub guarded: bool,
    /// For a profile.
    pub recorder: Option<Box<Recorder>>,
}

/// Calls of a store's closures for which no guest code ran: by another thread, from a function that was
/// said to be a leaf, or after the closure's time. They wait here until the store's next native call
/// ends.
#[derive(Debug, Default)]
pub struct Strays {
    pending: AtomicU32,
    /// Closed as long as there are any: the next call is one that tells.
    pub gate: Gate,
}

impl Strays {
    /// One more. Any thread may say so.
    pub fn add(&self) {
        // A number that stands still at its end is better than one that starts anew.
        let more = |pending: u32| pending.checked_add(1);
        let _ = self.pending.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more);
        self.gate.close();
    }

    /// Lets guest code with one of these stack limits pass, unless somebody has something to tell.
    pub fn open(&self, limits: Range<usize>) {
        self.gate.open(limits);
        // Who adds one does it before closing the gate: one of the two sees the other.
        if self.pending.load(Ordering::SeqCst) != 0 {
            self.gate.close();
        }
    }

    /// Whether there are any.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pending.load(Ordering::Relaxed) == 0
    }

    /// How many there are; they are told now.
    #[must_use]
    pub fn take(&self) -> u32 {
        self.pending.swap(0, Ordering::Relaxed)
    }
}

/// Which of a store's calls may go without their host: those of guest code that wasmtime stops at a stack
/// limit which leaves native code the stack that it must find. Compiled code reads it: it passes when
/// `limit - low <= span`, unsigned.
#[derive(Debug)]
#[repr(C)]
pub struct Gate {
    low: AtomicUsize,
    span: AtomicUsize,
}

impl Gate {
    /// Where compiled code finds the lowest limit that passes.
    pub const LOW: usize = std::mem::offset_of!(Gate, low);
    /// And how far above it others pass.
    pub const SPAN: usize = std::mem::offset_of!(Gate, span);
    /// No stack is there.
    const NOWHERE: usize = 1;

    /// A gate that nothing passes.
    #[must_use]
    pub const fn closed() -> Gate {
        Gate { low: AtomicUsize::new(Gate::NOWHERE), span: AtomicUsize::new(0) }
    }

    /// Nothing passes any more. Any thread may say so.
    pub fn close(&self) {
        self.span.store(0, Ordering::SeqCst);
        self.low.store(Gate::NOWHERE, Ordering::SeqCst);
    }

    fn open(&self, limits: Range<usize>) {
        let span = limits.len().saturating_sub(1);
        self.close();
        self.span.store(span, Ordering::SeqCst);
        self.low.store(limits.start, Ordering::SeqCst);
    }

    /// Whether a limit passes.
    #[must_use]
    #[inline]
    pub fn lets_pass(&self, limit: usize) -> bool {
        let low = self.low.load(Ordering::Relaxed);
        limit.wrapping_sub(low) <= self.span.load(Ordering::Relaxed)
    }
}

impl Default for Gate {
    fn default() -> Gate {
        Gate::closed()
    }
}

/// Bounds on what one store's guests may use. All can be set when a bridge is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Limits {
    /// Live handles.
    pub handles: u32,
    /// Nesting of guest and native code.
    pub depth: u32,
    /// Bytes that one call may copy out of the guest or into it.
    pub copied_bytes: u64,
    /// Bytes of native stack that must be left when native code is entered.
    pub stack_reserve: u64,
    /// Guest copies that handles lend at one time.
    pub loans: u32,
    /// Native constants that one instance may have copies of. A function that returns another
    /// address each time must not fill the host's memory.
    pub static_copies: u32,
    /// Bytes of data that native code keeps after calls (`__captured_by`).
    pub captured_bytes: u64,
    /// Handles that other handles keep at one time, each counted once for each that keeps it.
    pub captures: u32,
    /// Closures: guest functions that native code was given, one for each function and type. Each takes about
    /// half a KiB of the host's memory until the store ends.
    pub callbacks: u32,
    /// Bytes of a name that a guest imports by: how long a prototype of its own may be. At most 65,536.
    pub prototype_bytes: u32,
}

/// There is no limit of that name, or it cannot have that value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NoLimit {
    /// No such name.
    #[error("there is no limit `{name}`: they are {}", Limits::NAMES.join(", "))]
    Unknown {
        /// The name.
        name: String,
    },
    /// It is too large.
    #[error("the limit `{name}` is a number of 32 bits: {value} is too large")]
    TooLarge {
        /// The name.
        name: &'static str,
        /// The value.
        value: u64,
    },
}

impl Limits {
    /// What errors and [`Limits::set`] call them, and what each counts.
    pub const MEANINGS: [(&str, &str); 10] = [
        ("handles", "native objects that a store has at one time"),
        ("depth", "how deep guest and native code may call each other"),
        ("copied_bytes", "bytes that one call may copy out of the guest or into it"),
        ("stack_reserve", "bytes of stack that must be left when native code is entered"),
        ("loans", "guest copies that handles lend at one time"),
        ("static_copies", "constants of libraries that an instance may have copies of"),
        ("captured_bytes", "bytes of data that native code keeps after calls"),
        ("captures", "handles that other handles keep at one time"),
        ("callbacks", "guest functions that native code was given, about half a KiB each"),
        ("prototype_bytes", "bytes of an import's name, which may be a prototype; at most 65536"),
    ];

    /// What errors and [`Limits::set`] call them.
    pub const NAMES: [&str; 10] = {
        let mut names = [""; 10];
        let mut at = 0;
        while at < names.len() {
            names[at] = Limits::MEANINGS[at].0;
            at += 1;
        }
        names
    };

    /// The limit of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<u64> {
        Some(match name {
            "copied_bytes" => self.copied_bytes,
            "stack_reserve" => self.stack_reserve,
            "captured_bytes" => self.captured_bytes,
            "handles" => self.handles.into(),
            "depth" => self.depth.into(),
            "loans" => self.loans.into(),
            "static_copies" => self.static_copies.into(),
            "captures" => self.captures.into(),
            "callbacks" => self.callbacks.into(),
            "prototype_bytes" => self.prototype_bytes.into(),
            _ => return None,
        })
    }

    /// Sets the limit of that name: for command lines and configuration files.
    ///
    /// ```
    /// use portcullis::plan::Limits;
    ///
    /// let mut limits = Limits::default();
    /// limits.set("handles", 100)?;
    /// assert_eq!(limits.handles, 100);
    /// assert!(limits.set("wishes", 3).is_err());
    /// # Ok::<(), portcullis::plan::NoLimit>(())
    /// ```
    ///
    /// # Errors
    /// When there is none of that name, or it cannot be that large.
    pub fn set(&mut self, name: &str, value: u64) -> Result<(), NoLimit> {
        let unknown = || NoLimit::Unknown { name: name.to_owned() };
        let name = Limits::NAMES.into_iter().find(|known| *known == name).ok_or_else(unknown)?;
        let small = u32::try_from(value).map_err(|_| NoLimit::TooLarge { name, value });
        match name {
            "copied_bytes" => self.copied_bytes = value,
            "stack_reserve" => self.stack_reserve = value,
            "captured_bytes" => self.captured_bytes = value,
            "handles" => self.handles = small?,
            "depth" => self.depth = small?,
            "loans" => self.loans = small?,
            "static_copies" => self.static_copies = small?,
            "captures" => self.captures = small?,
            "callbacks" => self.callbacks = small?,
            _ => self.prototype_bytes = small?,
        }
        Ok(())
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            handles: 1 << 16,
            depth: 256,
            copied_bytes: 256 << 20,
            stack_reserve: 256 << 10,
            loans: 1 << 20,
            static_copies: 1 << 16,
            captured_bytes: 64 << 20,
            captures: 1 << 20,
            callbacks: 1 << 17,
            prototype_bytes: 1 << 16,
        }
    }
}

impl StoreBlock {
    /// Where compiled code finds the first entry of the handle table.
    pub const HANDLE_ENTRIES: usize = std::mem::offset_of!(StoreBlock, handle_entries);
    /// Where it finds their number.
    pub const HANDLE_COUNT: usize = std::mem::offset_of!(StoreBlock, handle_count);

    /// A block without handles.
    #[must_use]
    pub fn new(limits: Limits) -> StoreBlock {
        let handles = HandleTable::new(limits.handles);
        let (entries, count) = handles.raw_parts();
        StoreBlock {
            limits,
            depth: Cell::new(0),
            handle_entries: Cell::new(entries),
            handle_count: Cell::new(count),
            handles: RefCell::new(handles),
            strays: Arc::default(),
            spare_memory: RefCell::default(),
            watched: false,
            guarded: false,
            recorder: None,
        }
    }

    /// Runs `f` on the handle table, which it does not change.
    ///
    /// # Panics
    /// If it is called from within [`StoreBlock::with_handles`].
    #[inline]
    pub fn look_at_handles<R>(&self, f: impl FnOnce(&HandleTable) -> R) -> R {
        f(&self.handles.borrow())
    }

    /// Runs `f` on the handle table.
    ///
    /// # Panics
    /// If `f` comes back here: it must neither run guest nor native code.
    #[inline]
    pub fn with_handles<R>(&self, f: impl FnOnce(&mut HandleTable) -> R) -> R {
        let mut handles = self.handles.borrow_mut();
        let result = f(&mut handles);
        let (entries, count) = handles.raw_parts();
        self.handle_entries.set(entries);
        self.handle_count.set(count);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::offset_of;

    #[test]
    fn compiled_code_finds_the_words_of_a_binding() {
        assert_eq!(offset_of!(Binding, target), 0);
        assert_eq!(offset_of!(Binding, store), 8);
        assert_eq!(offset_of!(Binding, memory_base), 16);
        assert_eq!(offset_of!(Binding, memory_len), 24);
        assert_eq!(offset_of!(Binding, callees), 32);
        assert_eq!(offset_of!(Binding, instance), 40);
        assert_eq!(offset_of!(Binding, errno), 44);
        assert_eq!(size_of::<Binding>(), 48);
    }

    #[test]
    fn a_gate_lets_some_limits_pass_until_it_is_closed() {
        let strays = Strays::default();
        assert_eq!((Gate::LOW, Gate::SPAN), (0, 8));
        let real = 0x7fff_0000_0000;
        assert!(!strays.gate.lets_pass(real) && !strays.gate.lets_pass(0));
        strays.open(real..real + 100);
        assert!(strays.gate.lets_pass(real) && strays.gate.lets_pass(real + 99));
        assert!(!strays.gate.lets_pass(real + 100) && !strays.gate.lets_pass(real - 1));
        strays.add();
        assert!(!strays.gate.lets_pass(real));
        strays.open(real..real + 100);
        assert!(!strays.gate.lets_pass(real), "somebody is waiting");
        assert_eq!(strays.take(), 1);
        strays.open(real..real + 100);
        assert!(strays.gate.lets_pass(real));
        strays.gate.close();
        assert!(!strays.gate.lets_pass(usize::MAX) && !strays.gate.lets_pass(0));
    }

    #[test]
    fn limits_are_set_by_name() {
        for (value, name) in (3..).zip(Limits::NAMES) {
            let mut limits = Limits::default();
            limits.set(name, value).expect("it is known");
            assert_eq!(limits.get(name), Some(value));
            let shown = format!("{limits:?}");
            assert!(shown.contains(&format!("{name}: {value}")), "{shown}");
        }
        let mut limits = Limits::default();
        assert_eq!(
            limits.set("handles", 1 << 32),
            Err(NoLimit::TooLarge { name: "handles", value: 1 << 32 })
        );
        let error = limits.set("handle", 1).expect_err("no such limit").to_string();
        assert!(error.contains("copied_bytes") && error.contains("prototype_bytes"), "{error}");
        assert_eq!(limits, Limits::default());
    }

    #[test]
    fn compiled_code_finds_the_words_of_a_store_block() {
        assert_eq!(offset_of!(StoreBlock, limits), 0);
        assert_eq!(offset_of!(Limits, handles), 0);
        assert_eq!(offset_of!(Limits, depth), 4);
        assert_eq!(offset_of!(Limits, copied_bytes), 8);
        assert_eq!(offset_of!(Limits, stack_reserve), 16);
        assert_eq!(offset_of!(Limits, loans), 24);
        assert_eq!(offset_of!(Limits, static_copies), 28);
        assert_eq!(offset_of!(Limits, captured_bytes), 32);
        assert_eq!(offset_of!(Limits, captures), 40);
        assert_eq!(offset_of!(Limits, callbacks), 44);
        assert_eq!(offset_of!(Limits, prototype_bytes), 48);
        assert_eq!(offset_of!(StoreBlock, depth), 56);
        assert_eq!(offset_of!(StoreBlock, handle_entries), 64);
        assert_eq!(offset_of!(StoreBlock, handle_count), 72);
    }
}
