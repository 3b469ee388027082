//! Native imports in an embedder's own `Linker`, for those who need `InstancePre`.
//!
//! A linker's functions belong to no store and no instance, so that every call looks up what
//! [`instantiate`](super::instantiate) knows beforehand: the store's state in its data, the memory
//! through the `Caller`. Instances are told apart by their memories.
#![expect(unsafe_code, reason = "makes host functions that take unchecked wasm values")]
use super::allocator::AllocatorExports;
use super::bound::binding;
use super::bridge::{Bridge, Resolved, Shared};
use super::call::{Host, check_stack, no_memory, select, told_strays};
use super::callbacks::release_callback;
use super::error::{LinkError, LinkProblem, StoreError};
use super::export::Export;
use super::instance::{InstanceState, MadeBy};
use super::instantiate::{errno, guest_free};
use super::link::{CallerOf, Link};
use super::memory::Place;
use super::module_view::ModuleView;
use super::natives::{Natives, Owner};
use crate::plan::frame::GuestSlot;
use std::collections::HashSet;
use std::mem::MaybeUninit;
use std::sync::Arc;
use wasmtime::{
    AsContext, AsContextMut, Caller, Engine, Extern, Func, Linker, Memory, Module, ValRaw,
};

/// What every call through a linker must find again.
#[derive(Clone)]
struct Finder<N> {
    shared: Arc<Shared>,
    natives: N,
    /// The module's usual memory.
    memory: Option<Export>,
    exports: AllocatorExports,
    table: Result<Export, Arc<str>>,
}

impl Bridge {
    /// Defines the native imports of `module` in `linker`, so that it can be instantiated with
    /// wasmtime's own means, many times and in many stores. Calls are slower than after
    /// [`Bridge::instantiate`]: each finds the instance's memory and the store's state anew.
    ///
    /// The functions work for instances of this module only, called by themselves; the module must
    /// export the memory that its pointers point into.
    ///
    /// # Errors
    /// [`LinkError`] when an import cannot be linked. Imports that nobody grants are left out:
    /// wasmtime will name them, [`Bridge::describe`] says what would allow them.
    pub fn add_to_linker<T: 'static>(
        &self,
        linker: &mut Linker<T>,
        module: &Module,
        natives: impl Fn(&mut T) -> &mut Natives + Clone + Send + Sync + 'static,
    ) -> wasmtime::Result<()> {
        let engine = self.engine();
        if !Engine::same(engine, module.engine()) || !Engine::same(engine, linker.engine()) {
            return Err(StoreError::OtherEngine.into());
        }
        let view = ModuleView::new(module);
        let finder = Finder {
            shared: Arc::clone(&self.shared),
            natives,
            memory: view.memory(None).ok().and_then(|memory| match memory.place {
                Place::Export(export) => Some(export),
                Place::Import(_) => None,
            }),
            exports: view.allocator().clone(),
            table: view.table().map_err(Arc::from),
        };
        // The same import may stand in a module twice.
        let mut defined = HashSet::new();
        for import in module.imports() {
            let resolved =
                self.shared.resolve(&view, &import, CallerOf::Linker).map_err(|error| *error)?;
            let Some((resolved, ty)) = resolved else { continue };
            let (module, name) = (import.module(), import.name());
            if !defined.insert((module, name)) {
                continue;
            }
            let finder = finder.clone();
            match resolved {
                Resolved::Native(link) => {
                    let memory = match exported_memory(&view, &link) {
                        Ok(memory) => memory,
                        Err(problem) => {
                            let (module, name) = (module.to_owned(), name.to_owned());
                            return Err(LinkError { module, name, problem }.into());
                        }
                    };
                    let call =
                        move |mut caller: Caller<'_, T>, slots: &mut [MaybeUninit<ValRaw>]| {
                            // SAFETY: these are the values of a call of the link's type.
                            unsafe { finder.call(&mut caller, &link, memory.as_ref(), slots) }
                        };
                    // SAFETY: the link's lowering is the import's type; the function takes the
                    // values of such a call and leaves a result of its type.
                    unsafe { linker.func_new_unchecked(module, name, ty, call)? };
                }
                Resolved::GuestFree { wide, name: import } => {
                    let free = move |mut caller: Caller<'_, T>, address: u64| {
                        let memory = finder.memory(&mut caller);
                        let instance = finder.instance(&mut caller, memory)?;
                        guest_free(&instance, caller, &import, address)
                    };
                    if wide {
                        linker.func_wrap(module, name, free)?;
                    } else {
                        let free =
                            move |caller: Caller<'_, T>, address: u32| free(caller, address.into());
                        linker.func_wrap(module, name, free)?;
                    }
                }
                Resolved::ReleaseCallback => {
                    let release = move |mut caller: Caller<'_, T>, index: u32| {
                        let memory = finder.memory(&mut caller);
                        let instance = finder.instance(&mut caller, memory)?;
                        release_callback(&instance, &mut caller, index.into())
                    };
                    linker.func_wrap(module, name, release)?;
                }
                Resolved::Errno { wasi } => {
                    linker.func_wrap(
                        module,
                        name,
                        move |mut caller: Caller<'_, T>| -> wasmtime::Result<i32> {
                            let memory = finder.memory(&mut caller);
                            Ok(errno(&*finder.instance(&mut caller, memory)?, wasi))
                        },
                    )?;
                }
            }
        }
        Ok(())
    }
}

/// The memory that calls of `link` work on.
fn exported_memory(view: &ModuleView<'_>, link: &Link) -> Result<Option<Export>, LinkProblem> {
    if !link.needs_memory {
        return Ok(None);
    }
    match view.memory(link.memory.as_deref()).map(|memory| memory.place) {
        Ok(Place::Export(export)) => Ok(Some(export)),
        Ok(Place::Import(_)) => Err(LinkProblem::Memory {
            reason: "with `add_to_linker` the module must export it as `memory`".to_owned(),
        }),
        Err(reason) => Err(LinkProblem::Memory { reason }),
    }
}

impl<N> Finder<N> {
    /// Calls the native function of `link`.
    ///
    /// # Safety
    /// `slots` are what wasmtime passes to a host function of the link's type.
    unsafe fn call<T: 'static>(
        &self,
        caller: &mut Caller<'_, T>,
        link: &Link,
        memory: Option<&Export>,
        slots: &mut [MaybeUninit<ValRaw>],
    ) -> wasmtime::Result<()>
    where
        N: Fn(&mut T) -> &mut Natives,
    {
        check_stack(self.shared.limits.stack_reserve, || &link.name)?;
        let memory = match memory {
            None => None,
            Some(export) => Some(look_up(caller, export).ok_or_else(|| {
                no_memory(&link.name, "the caller is no instance of the module that imports this")
            })?),
        };
        // Instances are told apart by their usual memory.
        let identity = match (memory, link.needs_instance()) {
            (Some(memory), _) if link.memory.is_none() => Some(memory),
            (_, true) => self.memory(caller),
            (_, false) => None,
        };
        let instance = self.instance(caller, identity)?;
        let slots = slots.as_mut_ptr().cast::<GuestSlot>();
        let overload = match link.overloads() {
            (only, []) => only,
            // SAFETY: the caller's promise.
            _ => unsafe { select(link, slots)? }.1,
        };
        let mut call = || {
            if let Some(terms) = &overload.terms {
                // SAFETY: the caller's promise.
                unsafe { terms.ask(caller, &link.name, overload, slots.cast(), memory)? };
            }
            let binding = binding(overload, &instance);
            let mut host = Host::new(caller, link, &instance, memory.as_ref());
            // SAFETY: the caller's promise; binding and instance live until the call is over.
            unsafe { host.run_profiled(overload, &binding, slots)? };
            told_strays(&instance.store.block.strays, &link.name)
        };
        match &instance.store.block.recorder {
            None => call(),
            Some(recorder) => {
                let import = recorder.import(&link.name, overload.library.clone());
                import.known(true, !overload.plan.callbacks.is_empty());
                recorder.call(&import, |_| call())
            }
        }
    }

    /// The usual memory of the instance that calls.
    fn memory<T: 'static>(&self, caller: &mut Caller<'_, T>) -> Option<Memory> {
        look_up(caller, self.memory.as_ref()?)
    }

    /// The state of the instance that calls, which has that memory.
    fn instance<T: 'static>(
        &self,
        caller: &mut Caller<'_, T>,
        memory: Option<Memory>,
    ) -> wasmtime::Result<Arc<InstanceState>>
    where
        N: Fn(&mut T) -> &mut Natives,
    {
        let owner = Owner::of(caller.data()).ok_or(StoreError::NoData)?;
        let known = (self.natives)(caller.data_mut()).find(owner, &self.shared);
        let found = known
            .as_ref()
            .and_then(|state| state.find(|one| one.is_linked_with(memory, caller.as_context())));
        if let Some(instance) = found {
            return Ok(instance);
        }
        let state = known.unwrap_or_else(|| {
            let state = Arc::new(self.shared.new_store());
            (self.natives)(caller.data_mut()).remember(owner, &self.shared, &state);
            state
        });
        let instance = state.add(|number, state| {
            let (exports, table) = (self.exports.clone(), self.table.clone());
            InstanceState::new(number, state, exports, table, MadeBy::Linker(memory))
        });
        // The store owns its state through a function that nobody calls: it goes when the store's
        // functions go.
        let anchor = Arc::clone(&instance);
        Func::wrap(caller.as_context_mut(), move || {
            let _ = &anchor;
        });
        Ok(instance)
    }
}

fn look_up<T: 'static>(caller: &mut Caller<'_, T>, export: &Export) -> Option<Memory> {
    export.of_caller(caller).and_then(Extern::into_memory)
}
