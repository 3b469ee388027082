//! What belongs to one store: the block that bindings point at, and its end.
//!
//! # Ownership
//!
//! ```text
//! Store ── closures of functions ──> Bound (import of an instance) ──> InstanceState ──> StoreState
//!   └── T ── Natives ─ ─ weak ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ┘
//! ```
//!
//! Only closures that the store owns keep a [`StoreState`] alive, so it goes when the store's
//! functions go: after the store's data, and, as wasmtime 48 does it, after its memories have been
//! unmapped. What is done then touches neither, which is why native code may not keep pointers into
//! them (`__captured_by` of data that is not `const` is refused). What the embedder keeps in its data finds the state again for the next instance; it is
//! not needed for calls, and it may be dropped, moved or swapped at any time.
#![expect(unsafe_code, reason = "calls native destructors; shares state that a store guards")]
use super::callbacks::Closures;
use super::instance::InstanceState;
use super::typing::Types;
use crate::plan::handles::{Argument, Leftovers};
use crate::plan::interpret::callback;
use crate::plan::recorder::Recorder;
use crate::plan::{Limits, StoreBlock};
use std::cell::RefCell;
use std::ffi::c_void;
use std::fmt;
use std::mem;
use std::sync::{Arc, Weak};

/// The state of one store for one bridge.
pub(super) struct StoreState {
    /// What bindings point at.
    pub block: StoreBlock,
    /// By their numbers.
    instances: RefCell<Vec<Weak<InstanceState>>>,
    /// Guest functions that native code was given. Dropped after the handles: their destructors are the
    /// last native code of the store.
    pub closures: RefCell<Closures>,
    /// Where their code comes from.
    pub types: Arc<Types>,
}

// SAFETY: the cells inside are read and written only by code that has exclusive access to the
// store: host functions called with its `Caller`, and instantiation, which has its
// `&mut` context. Whoever finds a state through a `Weak` first shows that it belongs to the store
// in its hands (see `natives`). Only `drop` runs without the store, when nobody else has a
// reference. The handles' pointers are native objects of libraries that may be used from every
// thread that has them to itself, which is what granting their constructors promises.
unsafe impl Send for StoreState {}
// SAFETY: as above.
unsafe impl Sync for StoreState {}

impl StoreState {
    /// `guarded` says whether native code is; `recorder` records calls.
    pub(super) fn new(
        limits: Limits,
        guarded: bool,
        recorder: Option<Recorder>,
        types: &Arc<Types>,
    ) -> StoreState {
        let mut block = StoreBlock::new(limits);
        block.watched = guarded || recorder.is_some();
        block.guarded = guarded;
        block.recorder = recorder.map(Box::new);
        StoreState {
            block,
            instances: RefCell::new(Vec::new()),
            closures: RefCell::default(),
            types: Arc::clone(types),
        }
    }

    /// A new instance, which gets the next number.
    pub(super) fn add(
        self: &Arc<Self>,
        make: impl FnOnce(u32, Arc<StoreState>) -> InstanceState,
    ) -> Arc<InstanceState> {
        let mut instances = self.instances.borrow_mut();
        // wasmtime's own limit of instances a store is far below this.
        let number = u32::try_from(instances.len()).expect("a store has fewer than 2^32 instances");
        let instance = Arc::new(make(number, Arc::clone(self)));
        instances.push(Arc::downgrade(&instance));
        instance
    }

    /// The instance of that number, if it is still there.
    pub(super) fn instance(&self, number: u32) -> Option<Arc<InstanceState>> {
        let position = usize::try_from(number).ok()?;
        self.instances.borrow().get(position)?.upgrade()
    }

    /// The instance for which `f` holds.
    pub(super) fn find(&self, f: impl Fn(&InstanceState) -> bool) -> Option<Arc<InstanceState>> {
        self.instances.borrow().iter().filter_map(Weak::upgrade).find(|instance| f(instance))
    }
}

impl Drop for StoreState {
    /// Destroys what guests have left behind: children before their parents, what keeps something
    /// before it, else the youngest first. Copies that those objects keep go last, when no destructor
    /// can read them any more.
    fn drop(&mut self) {
        let Leftovers { objects, memory } = self.block.with_handles(|handles| handles.drain());
        if !objects.is_empty() {
            let objects = objects.len();
            tracing::debug!(objects, "destroying native objects that a store leaves");
        }
        callback::while_a_store_ends(|| destroy(objects));
        drop(memory);
    }
}

/// Calls the destructors of what a store leaves.
fn destroy(objects: Vec<(Argument, *const c_void)>) {
    for (object, destructor) in objects {
        // SAFETY: the address is that of the function that the granted interface names as the
        // destructor of such objects, which takes one pointer, or of such descriptors, which takes
        // one 32-bit integer; what it returns is not looked at, and integer results may be
        // ignored in the C ABI. The object is alive and owned by the store: the handle table
        // lists it once for each owner.
        unsafe {
            match object {
                Argument::Pointer(object) => {
                    let destroy: unsafe extern "C" fn(*mut c_void) = mem::transmute(destructor);
                    destroy(object);
                }
                Argument::Descriptor(value) => {
                    let close: unsafe extern "C" fn(u32) = mem::transmute(destructor);
                    close(value);
                }
            }
        }
    }
}

impl fmt::Debug for StoreState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its cells may be in use by the store's thread.
        f.debug_struct("StoreState").finish_non_exhaustive()
    }
}
