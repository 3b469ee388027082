//! Instances whose imports call native functions: one binding an import and instance.
#![expect(unsafe_code, reason = "makes host functions that take unchecked wasm values")]
use super::bound::{Bound, MemorySource};
use super::bridge::{Bridge, Resolved};
use super::call::{Deeper, check_stack, explain_guest_stop};
use super::callbacks::release_callback;
use super::direct;
use super::errno::wasi_errno;
use super::error::StoreError;
use super::instance::{InstanceState, MadeBy};
use super::link::{CallerOf, Link};
use super::module_view::ModuleView;
use super::natives::{Natives, Owner};
use std::fmt;
use std::mem::MaybeUninit;
use std::sync::{Arc, Weak};
use wasmtime::{
    AsContextMut, Caller, Engine, Extern, Func, FuncType, Instance, Linker, Memory, Module, ValRaw,
};

/// Imports for one instance, made by [`Bridge::prepare`].
pub struct Prepared {
    imports: Vec<Extern>,
    /// The store's data.
    owner: Owner,
    /// Weak, so that only the store's functions decide how long it lives.
    instance: Option<Weak<InstanceState>>,
    /// Imports that guests call directly. Weak likewise.
    direct: Vec<Weak<direct::Import>>,
}

impl Bridge {
    /// Instantiates `module` and runs its start function. Imports that are granted come from the
    /// bridge, all others from `linker`. `natives` finds the [`Natives`] in the store's data.
    ///
    /// # Errors
    /// [`LinkError`](super::LinkError) when an import is denied or cannot be linked; a
    /// [`CallError`](crate::plan::CallError) or trap when the start function fails.
    pub fn instantiate<T: 'static>(
        &self,
        mut store: impl AsContextMut<Data = T>,
        linker: &Linker<T>,
        module: &Module,
        natives: impl Fn(&mut T) -> &mut Natives,
    ) -> wasmtime::Result<Instance> {
        let prepared = self.prepare(&mut store, linker, module, natives)?;
        let made = Instance::new(&mut store, module, prepared.imports());
        prepared.finish(store, made)
    }

    /// The imports for one instance of `module`, in order: for embedders who instantiate
    /// asynchronously. [`Prepared::finish`] must be told how that went.
    ///
    /// ```no_run
    /// # use portcullis::host::{Bridge, Natives};
    /// # use wasmtime::{Instance, Linker, Module, Store};
    /// # fn f(bridge: Bridge, mut store: Store<Natives>, linker: Linker<Natives>, module: Module)
    /// #     -> wasmtime::Result<Instance> {
    /// let prepared = bridge.prepare(&mut store, &linker, &module, |natives| natives)?;
    /// let made = Instance::new(&mut store, &module, prepared.imports()); // or new_async(..).await
    /// prepared.finish(&mut store, made)
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Bridge::instantiate`].
    pub fn prepare<T: 'static>(
        &self,
        mut store: impl AsContextMut<Data = T>,
        linker: &Linker<T>,
        module: &Module,
        natives: impl Fn(&mut T) -> &mut Natives,
    ) -> wasmtime::Result<Prepared> {
        let mut store = store.as_context_mut();
        let engine = self.engine();
        if !Engine::same(engine, module.engine()) || !Engine::same(engine, store.engine()) {
            return Err(StoreError::OtherEngine.into());
        }
        let owner = Owner::of(store.data()).ok_or(StoreError::NoData)?;
        let view = ModuleView::new(module);
        // Everything is resolved before anything is made.
        let mut slots = Vec::with_capacity(module.imports().len());
        for import in module.imports() {
            slots.push(
                match self
                    .shared
                    .resolve(&view, &import, CallerOf::Instance)
                    .map_err(|error| *error)?
                {
                    Some((resolved, ty)) => Slot::Ours(resolved, ty),
                    None => match linker.try_get_by_import(&mut store, &import)? {
                        Some(theirs) => Slot::Theirs(theirs),
                        None => return Err(self.shared.unknown(&import).into()),
                    },
                },
            );
        }
        if !slots.iter().any(|slot| matches!(slot, Slot::Ours(..))) {
            let theirs = slots.into_iter().filter_map(Slot::theirs);
            let imports = theirs.collect();
            return Ok(Prepared { imports, owner, instance: None, direct: Vec::new() });
        }
        let known = natives(store.data_mut()).find(owner, &self.shared);
        let state = known.unwrap_or_else(|| {
            let state = Arc::new(self.shared.new_store());
            natives(store.data_mut()).remember(owner, &self.shared, &state);
            state
        });
        let instance = state.add(|number, state| {
            let (allocator, table) = (view.allocator().clone(), view.table().map_err(Arc::from));
            InstanceState::new(number, state, allocator, table, MadeBy::Instantiate)
        });
        let imported: Vec<Option<Memory>> = slots.iter().map(Slot::memory).collect();
        let memory = |link: &Link| match view.memory(link.memory.as_deref()) {
            Ok(memory) => MemorySource::of(memory, |at| *imported.get(at)?),
            Err(_) => MemorySource::NONE,
        };
        let mut direct = Vec::new();
        let imports = slots.into_iter().map(|slot| match slot {
            Slot::Theirs(theirs) => theirs,
            Slot::Ours(resolved, ty) => {
                make(&mut store, &instance, resolved, ty, memory, &mut direct).into()
            }
        });
        let imports = imports.collect();
        Ok(Prepared { imports, owner, instance: Some(Arc::downgrade(&instance)), direct })
    }
}

/// One import.
enum Slot {
    Ours(Resolved, FuncType),
    Theirs(Extern),
}

impl Slot {
    fn theirs(self) -> Option<Extern> {
        match self {
            Slot::Ours(..) => None,
            Slot::Theirs(theirs) => Some(theirs),
        }
    }

    fn memory(&self) -> Option<Memory> {
        match self {
            Slot::Theirs(Extern::Memory(memory)) => Some(*memory),
            Slot::Theirs(_) | Slot::Ours(..) => None,
        }
    }
}

/// The host function of an import.
fn make<T: 'static>(
    store: &mut impl AsContextMut<Data = T>,
    instance: &Arc<InstanceState>,
    resolved: Resolved,
    ty: FuncType,
    memory: impl Fn(&Link) -> MemorySource,
    direct: &mut Vec<Weak<direct::Import>>,
) -> Func {
    let instance = Arc::clone(instance);
    match resolved {
        Resolved::Native(link) => {
            let memory = if link.needs_memory { memory(&link) } else { MemorySource::NONE };
            let has_terms = link.has_terms;
            let bound = Bound::new(link, instance, memory);
            if bound.direct().is_some() {
                // SAFETY: the link's lowering is the import's type.
                let (function, import) = unsafe { direct::make(store, ty, bound) };
                direct.push(Arc::downgrade(&import));
                return function;
            }
            // SAFETY: the link's lowering is the import's type, so that wasmtime passes the values
            // that `Bound::call` expects, and its plan leaves a result of that type.
            unsafe {
                if let Some(import) = bound.recorded() {
                    return Func::new_unchecked(
                        store,
                        ty,
                        move |caller: Caller<'_, T>, slots: &mut [MaybeUninit<ValRaw>]| {
                            bound.call_profiled(&import, caller, slots)
                        },
                    );
                }
                if has_terms {
                    return Func::new_unchecked(
                        store,
                        ty,
                        move |mut caller: Caller<'_, T>, slots: &mut [MaybeUninit<ValRaw>]| {
                            bound.ask(&mut caller, slots)?;
                            bound.call(caller, slots)?;
                            bound.told_strays()
                        },
                    );
                }
                if let Some(entry) = bound.trampoline() {
                    return Func::new_unchecked(
                        store,
                        ty,
                        move |caller: Caller<'_, T>, slots: &mut [MaybeUninit<ValRaw>]| {
                            bound.call_compiled(entry, caller, slots)?;
                            bound.told_strays()
                        },
                    );
                }
                if let Some(hot) = bound.hot_here() {
                    return Func::new_unchecked(
                        store,
                        ty,
                        move |caller: Caller<'_, T>, slots: &mut [MaybeUninit<ValRaw>]| {
                            bound.call_hot(&hot, caller, slots)?;
                            bound.told_strays()
                        },
                    );
                }
                match bound.template() {
                    Some(template) => Func::new_unchecked(
                        store,
                        ty,
                        move |caller: Caller<'_, T>, slots: &mut [MaybeUninit<ValRaw>]| {
                            bound.call_template(&template, caller, slots)?;
                            bound.told_strays()
                        },
                    ),
                    None if bound.is_quick() => Func::new_unchecked(
                        store,
                        ty,
                        move |caller: Caller<'_, T>, slots: &mut [MaybeUninit<ValRaw>]| {
                            bound.call_quickly(caller, slots)?;
                            bound.told_strays()
                        },
                    ),
                    None => Func::new_unchecked(
                        store,
                        ty,
                        move |caller: Caller<'_, T>, slots: &mut [MaybeUninit<ValRaw>]| {
                            bound.call(caller, slots)?;
                            bound.told_strays()
                        },
                    ),
                }
            }
        }
        Resolved::GuestFree { wide, name } => {
            let free = move |caller: Caller<'_, T>, address: u64| {
                guest_free(&instance, caller, &name, address)
            };
            if wide {
                Func::wrap(store, free)
            } else {
                let free = move |caller: Caller<'_, T>, address: u32| free(caller, address.into());
                Func::wrap(store, free)
            }
        }
        Resolved::ReleaseCallback => {
            Func::wrap(store, move |mut caller: Caller<'_, T>, index: u32| {
                release_callback(&instance, &mut caller, index.into())
            })
        }
        Resolved::Errno { wasi } => Func::wrap(store, move || -> i32 { errno(&instance, wasi) }),
    }
}

/// The number that a guest gets for the `errno` of its last call that kept it.
pub(super) fn errno(instance: &InstanceState, wasi: bool) -> i32 {
    let errno = instance.errno.get();
    if wasi { wasi_errno(errno) } else { errno }
}

/// What a guest's import of a `__freed_by` function does: its results are copies in the guest's own
/// memory.
pub(super) fn guest_free<T: 'static>(
    instance: &InstanceState,
    mut caller: Caller<'_, T>,
    name: &str,
    address: u64,
) -> wasmtime::Result<()> {
    if address == 0 {
        return Ok(());
    }
    // The guest's `free` may be this very import, exported again: without this, that would recur
    // until the native stack is gone.
    check_stack(instance.store.block.limits.stack_reserve, || name)?;
    let _deeper = Deeper::enter(&instance.store.block, name, false)?;
    let Some(allocator) = instance.allocator(&mut caller) else {
        // Guest memory that nobody can free yet stays where it is.
        return Ok(());
    };
    allocator.free(&mut caller, address).map_err(|error| explain_guest_stop(error, name, false))
}

impl Prepared {
    /// What to instantiate the module with.
    #[must_use]
    pub fn imports(&self) -> &[Extern] {
        &self.imports
    }

    /// Takes note of how instantiation went, and returns just that. From now on imports find the
    /// instance's memory and allocator without looking for them at each call; without an instance,
    /// never.
    ///
    /// # Errors
    /// What `made` holds, and [`StoreError`] when `store` is another one.
    pub fn finish<T: 'static>(
        self,
        mut store: impl AsContextMut<Data = T>,
        made: wasmtime::Result<Instance>,
    ) -> wasmtime::Result<Instance> {
        if Owner::of(store.as_context().data()) != Some(self.owner) {
            return Err(StoreError::OtherStore.into());
        }
        if let Some(instance) = self.instance.as_ref().and_then(Weak::upgrade) {
            instance.settle(made.as_ref().ok().copied());
            for import in self.direct.iter().filter_map(Weak::upgrade) {
                import.settle(&mut store);
            }
        }
        made
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").field("imports", &self.imports.len()).finish_non_exhaustive()
    }
}
