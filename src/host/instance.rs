//! One guest instance as its imports see it: where its memory and its allocator are.
//!
//! Imports exist before their instance does, and its start function may call them before wasmtime
//! has returned the instance to anybody. Until then its exports are looked up through the
//! `Caller` of each call; afterwards they are looked up once and kept.
#![expect(unsafe_code, reason = "shares state that a store guards")]
use super::allocator::{Allocator, AllocatorExports};
use super::export::Export;
use super::store_block::StoreState;
use crate::plan::Problem;
use std::borrow::Cow;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;
use wasmtime::{AsContext, AsContextMut, Caller, Extern, Instance, Memory, Table};

/// What the imports of one instance share. Only used by code that has the store in its hands: see
/// [`StoreState`].
pub(super) struct InstanceState {
    /// Its number in the store, which loans carry.
    pub number: u32,
    /// The store that it lives in.
    pub store: Arc<StoreState>,
    /// What its allocator is called.
    exports: AllocatorExports,
    /// Its function table, or why it has none.
    table_export: Result<Export, Arc<str>>,
    table: OnceCell<Table>,
    made_by: MadeBy,
    phase: Cell<Phase>,
    allocator: OnceCell<Allocator>,
    /// Guest copies of native constants: by native address, their guest address and size.
    copies: RefCell<HashMap<usize, (u64, u64), rustc_hash::FxBuildHasher>>,
    /// `errno` after the last call that keeps it.
    pub errno: Cell<i32>,
}

/// How the instance came to its imports.
#[derive(Clone, Copy)]
pub(super) enum MadeBy {
    /// `instantiate` made them for it.
    Instantiate,
    /// They are a linker's, and know it by its memory, if it has one.
    Linker(Option<Memory>),
}

// SAFETY: as [`StoreState`]: only code that has the store in its hands touches it.
unsafe impl Send for InstanceState {}
// SAFETY: as above.
unsafe impl Sync for InstanceState {}

/// How far the instance has come.
#[derive(Clone, Copy)]
enum Phase {
    /// Its exports can be reached through the `Caller` of a call that it makes.
    Starting,
    /// It is there.
    Ready(Instance),
    /// Instantiation has failed, but its functions may have got out.
    Failed,
}

impl InstanceState {
    pub(super) fn new(
        number: u32,
        store: Arc<StoreState>,
        exports: AllocatorExports,
        table_export: Result<Export, Arc<str>>,
        made_by: MadeBy,
    ) -> InstanceState {
        InstanceState {
            number,
            store,
            exports,
            table_export,
            table: OnceCell::new(),
            made_by,
            phase: Cell::new(Phase::Starting),
            allocator: OnceCell::new(),
            copies: RefCell::default(),
            errno: Cell::new(0),
        }
    }

    /// Instantiation has ended: with that instance, or without one.
    pub(super) fn settle(&self, instance: Option<Instance>) {
        self.phase.set(instance.map_or(Phase::Failed, Phase::Ready));
    }

    /// Looks an export up. `None`: there is no such instance, or `caller` is not it.
    pub(super) fn export<T>(&self, caller: &mut Caller<'_, T>, export: &Export) -> Option<Extern> {
        match self.phase.get() {
            Phase::Starting => export.of_caller(caller),
            Phase::Ready(instance) => {
                instance.get_module_export(caller.as_context_mut(), export.index())
            }
            Phase::Failed => None,
        }
    }

    /// As [`InstanceState::export`], when the instance is there.
    pub(super) fn ready_export(&self, store: impl AsContextMut, export: &Export) -> Option<Extern> {
        match self.phase.get() {
            Phase::Ready(instance) => instance.get_module_export(store, export.index()),
            Phase::Starting | Phase::Failed => None,
        }
    }

    /// Its allocator. `None` when it has none, or while it is starting and `caller` is not it.
    pub(super) fn allocator<T>(&self, caller: &mut Caller<'_, T>) -> Option<Cow<'_, Allocator>> {
        if let Some(known) = self.allocator.get() {
            return Some(Cow::Borrowed(known));
        }
        let found = self.exports.resolve(caller, |caller, export| self.export(caller, export))?;
        // A starting instance may have lent its import to another instance of the same module,
        // whose call this may be: what is found now holds for this call only.
        if self.knows_itself() {
            return Some(Cow::Borrowed(self.allocator.get_or_init(|| found)));
        }
        Some(Cow::Owned(found))
    }

    /// Its function table, or why there is none: the module exports none, or it is starting and `caller` is
    /// not it.
    pub(super) fn table<T>(&self, caller: &mut Caller<'_, T>) -> Result<Table, Arc<str>> {
        if let Some(known) = self.table.get() {
            return Ok(*known);
        }
        let export = self.table_export.as_ref().map_err(Arc::clone)?;
        let found = self.export(caller, export).and_then(Extern::into_table);
        let found = found.ok_or("it cannot be reached while the instance is starting")?;
        // See `allocator`.
        if self.knows_itself() {
            return Ok(*self.table.get_or_init(|| found));
        }
        Ok(found)
    }

    /// Why it cannot be asked for memory, if so.
    pub(super) fn why_not_allocate(&self) -> Option<String> {
        self.exports.why_not_allocate()
    }

    /// Whether calls of its imports are surely its own.
    fn knows_itself(&self) -> bool {
        matches!(self.made_by, MadeBy::Linker(_)) || self.is_ready()
    }

    /// Whether exports are known for good.
    pub(super) fn is_ready(&self) -> bool {
        matches!(self.phase.get(), Phase::Ready(_))
    }

    /// Whether its imports are a linker's, and it is the instance with that memory.
    pub(super) fn is_linked_with(&self, memory: Option<Memory>, store: impl AsContext) -> bool {
        match (self.made_by, memory) {
            (MadeBy::Instantiate, _) => false,
            (MadeBy::Linker(None), None) => true,
            // Memories are told apart by where they are now; none is where another one is.
            (MadeBy::Linker(Some(own)), Some(memory)) => {
                own.data_ptr(&store) == memory.data_ptr(&store)
            }
            (MadeBy::Linker(_), _) => false,
        }
    }

    /// Guest address and size of its copy of a native constant.
    ///
    /// # Errors
    /// When it has none and as many others as it may have.
    pub(super) fn static_copy(&self, native: usize) -> Result<Option<(u64, u64)>, Problem> {
        let copies = self.copies.borrow();
        let most = u64::from(self.store.block.limits.static_copies);
        match copies.get(&native) {
            Some(copy) => Ok(Some(*copy)),
            None if copies.len() as u64 >= most => {
                Err(Problem::Limit { limit: "static_copies", value: most })
            }
            None => Ok(None),
        }
    }

    /// Remembers a copy. Not while the instance is starting: the call that made it may be that of
    /// another instance, and the copy is in that one's memory.
    pub(super) fn keep_static_copy(&self, native: usize, address: u64, size: u64) {
        if self.knows_itself() {
            self.copies.borrow_mut().insert(native, (address, size));
        }
    }
}
