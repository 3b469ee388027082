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
use super::module_links::{Import, Imports};
use super::module_view::ModuleView;
use super::natives::{Natives, Owner};
use std::fmt;
use std::mem::MaybeUninit;
use std::sync::{Arc, Weak};
use wasmtime::{
    AsContextMut, Caller, Engine, Extern, Func, FuncType, ImportType, Instance, Linker, Module,
    StoreContextMut, ValRaw,
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
        let Slots { imports: known, theirs } = self.slots(&mut store, linker, &view)?;
        if !known.has_ours() {
            let imports = theirs.into_iter().flatten().collect();
            return Ok(Prepared { imports, owner, instance: None, direct: Vec::new() });
        }
        let state = natives(store.data_mut()).find(owner, &self.shared);
        let state = state.unwrap_or_else(|| {
            let state = Arc::new(self.shared.new_store());
            natives(store.data_mut()).remember(owner, &self.shared, &state);
            state
        });
        let instance = state.add(|number, state| {
            let (allocator, table) = (view.allocator().clone(), view.table().map_err(Arc::from));
            InstanceState::new(number, state, allocator, table, MadeBy::Instantiate)
        });
        let imported = |at: usize| match theirs.get(at)? {
            Some(Extern::Memory(memory)) => Some(*memory),
            Some(_) | None => None,
        };
        let source = |name: Option<&str>| {
            view.memory(name)
                .map_or(MemorySource::NONE, |memory| MemorySource::of(memory, imported))
        };
        let usual = source(None);
        let memory = |link: &Link| match &link.memory {
            _ if !link.needs_memory => MemorySource::NONE,
            None => usual.clone(),
            named => source(named.as_deref()),
        };
        let mut direct = Vec::new();
        let (mut imports, mut theirs) = (Vec::with_capacity(known.len()), theirs.iter().flatten());
        for import in known.iter() {
            imports.push(match import.ours() {
                Some((resolved, ty)) => {
                    make(&mut store, &instance, resolved, ty, memory, &mut direct).into()
                }
                None => theirs.next().expect("all were found").clone(),
            });
        }
        tracing::trace!(
            imports = imports.len(),
            direct = direct.len(),
            "bound the imports of an instance"
        );
        Ok(Prepared { imports, owner, instance: Some(Arc::downgrade(&instance)), direct })
    }

    /// What each import of a module is. Everything is resolved before anything is made.
    fn slots<T: 'static>(
        &self,
        store: &mut StoreContextMut<'_, T>,
        linker: &Linker<T>,
        view: &ModuleView<'_>,
    ) -> wasmtime::Result<Slots> {
        let shared = &self.shared;
        let mut find = |import: &ImportType<'_>| {
            let found = linker.try_get_by_import(&mut *store, import)?;
            found.ok_or_else(|| wasmtime::Error::from(shared.unknown(import)))
        };
        let all = view.module.imports();
        let mut theirs = Vec::new();
        if let Some(imports) = shared.modules.get(view) {
            if shared.rules.ask_when_linked() || !imports.are_all_ours() {
                theirs.reserve(all.len());
                for (import, known) in all.zip(imports.iter()) {
                    theirs.push(match known.ours() {
                        Some((resolved, _)) => {
                            shared.ask(&import, resolved).map_err(|error| *error)?;
                            None
                        }
                        None => Some(find(&import)?),
                    });
                }
            }
            return Ok(Slots { imports, theirs });
        }
        let mut imports = Vec::with_capacity(all.len());
        for import in all {
            let resolved = shared.resolve(view, &import, CallerOf::Instance);
            let resolved = resolved.map_err(|error| *error)?;
            theirs.push(if resolved.is_some() { None } else { Some(find(&import)?) });
            imports.push(Import::new(&import, resolved));
        }
        let imports = Arc::new(Imports::new(imports, view));
        shared.modules.insert(view.module, &imports);
        Ok(Slots { imports, theirs })
    }
}

/// What the imports of an instance are.
struct Slots {
    imports: Arc<Imports>,
    /// Those that the linker has, at their places; empty where there are none.
    theirs: Vec<Option<Extern>>,
}

/// The host function of an import.
fn make<T: 'static>(
    store: &mut impl AsContextMut<Data = T>,
    instance: &Arc<InstanceState>,
    resolved: &Resolved,
    ty: &FuncType,
    memory: impl Fn(&Link) -> MemorySource,
    direct: &mut Vec<Weak<direct::Import>>,
) -> Func {
    let instance = Arc::clone(instance);
    match resolved {
        Resolved::Native(link) => {
            let ty = ty.clone();
            let has_terms = link.has_terms;
            let bound = Bound::new(Arc::clone(link), instance, memory(link));
            if let Some(entry) = bound.direct() {
                // SAFETY: the link's lowering is the import's type.
                let (function, import) = unsafe { direct::make(store, ty, bound, entry) };
                if direct.is_empty() {
                    import.open_gate();
                }
                direct.push(Arc::downgrade(&import));
                return function;
            }
            // SAFETY: the link's lowering is the import's type, so that wasmtime passes the values
            // that `Bound::call` expects, and its plan leaves a result of that type.
            unsafe {
                if let Some(recorded) = bound.recorded() {
                    return Func::new_unchecked(
                        store,
                        ty,
                        move |caller: Caller<'_, T>, slots: &mut [MaybeUninit<ValRaw>]| {
                            bound.call_profiled(&recorded, caller, slots)
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
            let (wide, name) = (*wide, Arc::clone(name));
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
        Resolved::Errno { wasi } => {
            let wasi = *wasi;
            Func::wrap(store, move || -> i32 { errno(&instance, wasi) })
        }
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
            let mut seen = direct::SeenMemory::default();
            for import in self.direct.iter().filter_map(Weak::upgrade) {
                import.settle(&mut store, &mut seen);
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
