//! One call: from wasmtime's host function to the plan's runner, and from its outcome to a trap.
#![expect(unsafe_code, reason = "hands unchecked wasm values and native addresses to the runner")]
use super::export::Export;
use super::instance::InstanceState;
use super::link::{Link, Overload};
use super::memory::Place;
use super::stack;
use crate::plan::frame::GuestSlot;
use crate::plan::handles::Loan;
use crate::plan::interpret::{Guest, GuestStopped, Stop};
use crate::plan::{Binding, CallError, Problem, StoreBlock, Subject};
use std::cell::{Cell, OnceCell};
use std::mem::{MaybeUninit, size_of};
use std::ptr;
use std::slice;
use std::sync::Arc;
use wasmtime::{AsContextMut, Caller, Memory, Trap, ValRaw, WasmBacktrace};

/// An import of an instance: what the closure of its host function owns.
///
/// What every call reads stands first and is not behind another pointer.
pub(super) struct Bound {
    /// Of the first overload, most often the only one.
    binding: Binding,
    overload: Arc<Overload>,
    /// Bytes of native stack that must be left.
    stack_reserve: u64,
    needs_memory: bool,
    /// The memory, once it is known for good.
    known_memory: OnceCell<Memory>,
    /// Of the other overloads.
    other_bindings: Box<[Binding]>,
    link: Arc<Link>,
    instance: Arc<InstanceState>,
    memory: MemorySource,
}

// SAFETY: only the closure of a host function has it, which wasmtime calls with exclusive access to
// the store; see `StoreState`.
unsafe impl Send for Bound {}
// SAFETY: as above.
unsafe impl Sync for Bound {}

/// Where an import's memory comes from.
#[derive(Clone)]
pub(super) enum MemorySource {
    /// It needs none.
    None,
    /// The instance imports it.
    Known(Memory),
    /// The instance exports it.
    Export(Export),
}

impl MemorySource {
    /// For an import whose module has its memory at `place`. `imported` finds an imported memory.
    pub(super) fn of(place: Place, imported: impl FnOnce(usize) -> Option<Memory>) -> MemorySource {
        match place {
            Place::Export(export) => MemorySource::Export(export),
            Place::Import(position) => {
                imported(position).map_or(MemorySource::None, MemorySource::Known)
            }
        }
    }
}

impl Bound {
    pub(super) fn new(
        link: Arc<Link>,
        instance: Arc<InstanceState>,
        memory: MemorySource,
    ) -> Bound {
        let (first, others) = link.overloads();
        let other_bindings = others.iter().map(|one| binding(one, &instance)).collect();
        let known_memory = match &memory {
            MemorySource::Known(memory) => OnceCell::from(*memory),
            MemorySource::None | MemorySource::Export(_) => OnceCell::new(),
        };
        Bound {
            binding: binding(first, &instance),
            overload: Arc::clone(first),
            stack_reserve: instance.store.block.limits.stack_reserve,
            needs_memory: link.needs_memory,
            known_memory,
            other_bindings,
            link,
            instance,
            memory,
        }
    }

    /// Calls the native function.
    ///
    /// # Safety
    /// `slots` are what wasmtime passes to a host function of the link's type.
    #[inline]
    pub(super) unsafe fn call<T: 'static>(
        &self,
        caller: &mut Caller<'_, T>,
        slots: &mut [MaybeUninit<ValRaw>],
    ) -> wasmtime::Result<()> {
        check_stack(self.stack_reserve, || &self.link.name)?;
        let found;
        let memory = match (self.needs_memory, self.known_memory.get()) {
            (false, _) => None,
            (true, Some(memory)) => Some(memory),
            (true, None) => {
                found = self.find_memory(caller)?;
                Some(&found)
            }
        };
        let mut host = Host::new(caller, &self.link, &self.instance, memory);
        let slots = slots.as_mut_ptr().cast::<GuestSlot>();
        if self.other_bindings.is_empty() {
            // SAFETY: the caller's promise; the binding is that of the overload.
            return unsafe { host.run(&self.overload, &self.binding, slots) };
        }
        // SAFETY: the caller's promise.
        let (position, overload) = unsafe { select(&self.link, slots)? };
        let binding = match position.checked_sub(1) {
            None => &self.binding,
            Some(other) => &self.other_bindings[other],
        };
        // SAFETY: likewise; the binding is that of the overload.
        unsafe { host.run(overload, binding, slots) }
    }

    /// The memory of an instance whose exports are not known for good yet.
    #[cold]
    fn find_memory<T: 'static>(&self, caller: &mut Caller<'_, T>) -> wasmtime::Result<Memory> {
        let found = match &self.memory {
            MemorySource::None => None,
            MemorySource::Known(memory) => Some(*memory),
            MemorySource::Export(export) => {
                self.instance.export(caller, export).and_then(wasmtime::Extern::into_memory)
            }
        };
        let Some(memory) = found else {
            let reason = "the instance that imports this function has not started, or never did";
            return Err(no_memory(&self.link.name, reason));
        };
        if self.instance.is_ready() {
            let _ = self.known_memory.set(memory);
        }
        Ok(memory)
    }
}

/// A binding for calls of `instance`. Its memory is filled in before each call.
pub(super) fn binding(overload: &Overload, instance: &InstanceState) -> Binding {
    Binding {
        target: overload.target.0,
        store: &raw const instance.store.block,
        memory_base: Cell::new(ptr::null_mut()),
        memory_len: Cell::new(0),
        callees: overload.callees.as_ptr().cast(),
        instance: instance.number,
        errno: Cell::new(0),
    }
}

/// The first overload whose ranges hold for the arguments, and its position.
///
/// # Safety
/// `slots` are the arguments of a call of `link`.
pub(super) unsafe fn select(
    link: &Link,
    slots: *const GuestSlot,
) -> wasmtime::Result<(usize, &Overload)> {
    // SAFETY: there is a slot for each parameter.
    let arguments = unsafe { slice::from_raw_parts(slots, link.lowering.params.len()) };
    let mut overloads = link.overloads.iter().enumerate();
    let found = overloads.find(|(_, one)| one.guards.iter().all(|guard| guard.holds(arguments)));
    match found {
        Some((position, overload)) => Ok((position, overload)),
        None => {
            let overloads = link.overloads.len();
            Err(call_error(&link.name, Problem::NoOverload { overloads }))
        }
    }
}

/// Native code must find enough stack. `import` is only asked for errors.
#[inline]
pub(super) fn check_stack<'n>(
    reserve: u64,
    import: impl FnOnce() -> &'n str,
) -> wasmtime::Result<()> {
    match stack::check(reserve) {
        Ok(()) => Ok(()),
        Err(stack::Exhausted { left }) => {
            Err(call_error(import(), Problem::StackExhausted { left, needed: reserve }))
        }
    }
}

/// An error about a call as a whole, before native code ran.
#[cold]
pub(super) fn call_error(import: &str, problem: Problem) -> wasmtime::Error {
    let import = import.to_owned();
    wasmtime::Error::new(CallError { import, subject: Subject::Call, problem, called: false })
}

#[cold]
pub(super) fn no_memory(import: &str, reason: &str) -> wasmtime::Error {
    call_error(import, Problem::NoMemory { reason: reason.to_owned() })
}

/// One more level of guest code inside native calls, for as long as this lives.
pub(super) struct Deeper<'b> {
    block: &'b StoreBlock,
}

impl<'b> Deeper<'b> {
    pub(super) fn enter(
        block: &'b StoreBlock,
        import: &str,
        called: bool,
    ) -> wasmtime::Result<Deeper<'b>> {
        let depth = block.depth.get();
        if depth >= block.limits.depth {
            let problem = Problem::Limit { limit: "depth", value: block.limits.depth.into() };
            let (import, subject) = (import.to_owned(), Subject::Call);
            let error = CallError { import, subject, problem, called };
            return Err(wasmtime::Error::new(error));
        }
        block.depth.set(depth + 1);
        Ok(Deeper { block })
    }
}

impl Drop for Deeper<'_> {
    fn drop(&mut self) {
        self.block.depth.set(self.block.depth.get() - 1);
    }
}

/// The host's side of a running call.
///
/// It borrows what others hold: values that were written a moment ago are slow to copy.
pub(super) struct Host<'c, 'h, T: 'static> {
    caller: &'h mut Caller<'c, T>,
    link: &'h Link,
    instance: &'h InstanceState,
    memory: Option<&'h Memory>,
    /// Why guest code that the call ran has stopped.
    stopped: Option<wasmtime::Error>,
}

impl<'c, 'h, T: 'static> Host<'c, 'h, T> {
    pub(super) fn new(
        caller: &'h mut Caller<'c, T>,
        link: &'h Link,
        instance: &'h InstanceState,
        memory: Option<&'h Memory>,
    ) -> Host<'c, 'h, T> {
        Host { caller, link, instance, memory, stopped: None }
    }

    /// Runs a plan.
    ///
    /// # Safety
    /// `overload` is one of the link's, `binding` belongs to it and to the instance, and `slots` are
    /// the arguments that wasmtime passed for the link's type.
    #[inline]
    pub(super) unsafe fn run(
        &mut self,
        overload: &Overload,
        binding: &Binding,
        slots: *mut GuestSlot,
    ) -> wasmtime::Result<()> {
        const { assert!(size_of::<GuestSlot>() == size_of::<ValRaw>()) };
        self.refresh(binding);
        // SAFETY: the plan was compiled for the granted prototype of the function at `target` and
        // verified; whoever granted it promised that the prototype is true. The binding lives in
        // `Bound` or in the caller's frame; its block is kept alive by the instance's state; its
        // memory was brought up to date just now, and `Host` does so again when guest code has run.
        match unsafe { overload.runner.run(&overload.plan, binding, slots, self) } {
            Ok(()) => {
                if overload.keeps_errno {
                    self.instance.errno.set(binding.errno.get());
                }
                Ok(())
            }
            Err(stop) => Err(self.raise(overload, binding, *stop)),
        }
    }

    /// The trap of a call that did not end well.
    #[cold]
    fn raise(&mut self, overload: &Overload, binding: &Binding, stop: Stop) -> wasmtime::Error {
        let called = !matches!(stop, Stop::Error { called: false, .. });
        if called && overload.keeps_errno {
            self.instance.errno.set(binding.errno.get());
        }
        match stop {
            Stop::Error { subject, problem, called } => {
                let import = self.link.name.clone();
                let error = CallError { import, subject, problem, called };
                tracing::debug!(%error, "a native call failed");
                wasmtime::Error::new(error)
            }
            Stop::Guest => self.stopped.take().unwrap_or_else(|| {
                let reason = "it stopped without a reason".to_owned();
                call_error(&self.link.name, Problem::Allocator { reason })
            }),
        }
    }

    /// Before guest code runs.
    fn enter_guest(&mut self) -> Result<Deeper<'h>, GuestStopped> {
        Deeper::enter(&self.instance.store.block, &self.link.name, true).map_err(|error| {
            self.stopped = Some(error);
            GuestStopped
        })
    }

    /// Keeps why guest code has stopped.
    #[cold]
    fn stop(&mut self, error: wasmtime::Error) -> GuestStopped {
        self.stopped = Some(explain_guest_stop(error, &self.link.name, true));
        GuestStopped
    }
}

/// The error of guest code that a native call had to run: its own trap, or, where wasmtime has
/// refused to run it, a call error that says why.
pub(super) fn explain_guest_stop(
    error: wasmtime::Error,
    import: &str,
    called: bool,
) -> wasmtime::Error {
    let ran = error.is::<Trap>() || error.downcast_ref::<WasmBacktrace>().is_some();
    if ran || !stack::on_other_stack() {
        return error.context(format!("{import}: the guest's allocator did not return"));
    }
    let reason = format!(
        "wasmtime does not call back into a guest under `call_async` ({error}); call this function outside of it"
    );
    let problem = Problem::Allocator { reason };
    let import = import.to_owned();
    wasmtime::Error::new(CallError { import, subject: Subject::Call, problem, called })
}

impl<T: 'static> Guest for Host<'_, '_, T> {
    #[inline]
    fn refresh(&mut self, binding: &Binding) {
        if let Some(memory) = self.memory {
            binding.memory_base.set(memory.data_ptr(&*self.caller));
            binding.memory_len.set(memory.data_size(&*self.caller) as u64);
        }
    }

    fn allocate(&mut self, size: u64, align: u32) -> Result<u64, GuestStopped> {
        let _deeper = self.enter_guest()?;
        let Some(allocator) = self.instance.allocator(self.caller) else {
            let reason = "it cannot be reached while the instance is starting".to_owned();
            let error = call_error(&self.link.name, Problem::Allocator { reason });
            self.stopped = Some(error);
            return Err(GuestStopped);
        };
        match allocator.allocate(self.caller.as_context_mut(), size, align) {
            // More than an address of the memory can say: as when there is none left.
            None => Ok(0),
            Some(Ok(address)) => Ok(address),
            Some(Err(error)) => Err(self.stop(error)),
        }
    }

    fn release(&mut self, loan: Loan) -> Result<(), GuestStopped> {
        let _deeper = self.enter_guest()?;
        let lender = self.instance.store.instance(loan.instance);
        let Some(lender) = lender else { return Ok(()) };
        // An instance that failed to start cannot be asked; what it holds goes with its memory.
        let Some(allocator) = lender.allocator(self.caller) else { return Ok(()) };
        allocator.free(self.caller.as_context_mut(), loan.address).map_err(|error| self.stop(error))
    }

    fn static_copy(&mut self, native: usize) -> Result<Option<(u64, u64)>, Problem> {
        self.instance.static_copy(native)
    }

    fn keep_static_copy(&mut self, native: usize, address: u64, size: u64) {
        self.instance.keep_static_copy(native, address, size);
    }
}
