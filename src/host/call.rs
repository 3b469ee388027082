//! One call: from wasmtime's host function to the plan's runner, and from its outcome to a trap.
#![expect(unsafe_code, reason = "hands unchecked wasm values and native addresses to the runner")]
use super::instance::InstanceState;
use super::link::{Link, Overload};
use super::overload::Given;
use super::stack;
use crate::plan::binding::Strays;
use crate::plan::frame::GuestSlot;
use crate::plan::handles::Loan;
use crate::plan::interpret::callback::Closure;
use crate::plan::interpret::{Guest, GuestStopped, Stop, resume_with};
use crate::plan::{Binding, CallError, Callback, CallbackProblem, Problem, StoreBlock, Subject};
use std::ffi::c_void;
use std::ptr::NonNull;
use std::slice;
use std::sync::Arc;
use wasmtime::{AsContextMut, Caller, Memory, Trap, ValRaw, WasmBacktrace};

/// The first overload whose ranges hold for the arguments, and its position.
///
/// # Safety
/// `slots` are the arguments of a call of `link`.
pub(super) unsafe fn select(
    link: &Link,
    slots: *const GuestSlot,
) -> wasmtime::Result<(usize, &Arc<Overload>)> {
    // SAFETY: there is a slot for each parameter.
    let arguments = unsafe { slice::from_raw_parts(slots, link.lowering.params.len()) };
    match position(link, arguments) {
        Some(position) => Ok((position, &link.overloads[position])),
        None => {
            let overloads = link.overloads.len();
            Err(call_error(&link.name, Problem::NoOverload { overloads }))
        }
    }
}

/// The position of that overload.
#[inline]
pub(super) fn position(link: &Link, arguments: &(impl Given + ?Sized)) -> Option<usize> {
    link.overloads.iter().position(|one| one.guards.iter().all(|guard| guard.holds(arguments)))
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

/// Closures of the store were called where they must not be: whoever hears of it first stops.
#[inline]
pub(super) fn told_strays(strays: &Strays, import: &str) -> wasmtime::Result<()> {
    if strays.is_empty() { Ok(()) } else { Err(stray_error(strays, import)) }
}

#[cold]
fn stray_error(strays: &Strays, import: &str) -> wasmtime::Error {
    let problem = CallbackProblem::Stray { calls: strays.take() };
    let (import, problem) = (import.to_owned(), Problem::Callback(Box::new(problem)));
    wasmtime::Error::new(CallError { import, subject: Subject::Call, problem, called: true })
}

/// One more level of guest code inside native calls, for as long as this lives.
pub(super) struct Deeper<'b> {
    block: &'b StoreBlock,
}

impl<'b> Deeper<'b> {
    #[inline]
    pub(super) fn enter(
        block: &'b StoreBlock,
        import: &str,
        called: bool,
    ) -> wasmtime::Result<Deeper<'b>> {
        let depth = block.depth.get();
        if depth >= block.limits.depth {
            return Err(Deeper::too_deep(block, import, called));
        }
        block.depth.set(depth + 1);
        Ok(Deeper { block })
    }

    #[cold]
    fn too_deep(block: &StoreBlock, import: &str, called: bool) -> wasmtime::Error {
        let problem = Problem::Limit { limit: "depth", value: block.limits.depth.into() };
        let (import, subject) = (import.to_owned(), Subject::Call);
        wasmtime::Error::new(CallError { import, subject, problem, called })
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
    pub(super) caller: &'h mut Caller<'c, T>,
    pub(super) link: &'h Link,
    pub(super) instance: &'h InstanceState,
    pub(super) memory: Option<&'h Memory>,
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
        self.refresh(binding);
        // SAFETY: the caller's promise; the memory was brought up to date just now.
        match unsafe { self.try_run(overload, binding, slots) } {
            Ok(()) => Ok(()),
            Err(stop) => Err(self.raise(overload, binding, *stop)),
        }
    }

    /// Runs a plan with the memory that the binding says; [`Host::raise`] makes the trap when it
    /// stops.
    ///
    /// # Safety
    /// As [`Host::run`]; that memory is the guest's, although it may have grown since.
    #[inline]
    pub(super) unsafe fn try_run(
        &mut self,
        overload: &Overload,
        binding: &Binding,
        slots: *mut GuestSlot,
    ) -> Result<(), Box<Stop>> {
        const { assert!(size_of::<GuestSlot>() == size_of::<ValRaw>()) };
        // SAFETY: the plan was compiled for the granted prototype of the function at `target` and
        // verified; whoever granted it promised that the prototype is true. The binding lives in
        // `Bound` or in the caller's frame; its block is kept alive by the instance's state; its
        // memory is brought up to date again when guest code has run.
        unsafe { overload.choice.runner.run(&overload.plan, binding, slots, self)? };
        if overload.keeps_errno {
            self.instance.errno.set(binding.errno.get());
        }
        Ok(())
    }

    /// Gives the guest the result of a call that a template has made.
    ///
    /// # Safety
    /// As [`Host::run`]; the overload's template has just fallen back with that result.
    pub(super) unsafe fn resume(
        &mut self,
        overload: &Overload,
        binding: &Binding,
        slots: *mut GuestSlot,
        integer: u64,
    ) -> wasmtime::Result<()> {
        // SAFETY: the caller's promise.
        let done = unsafe { resume_with(&overload.plan, binding, slots, integer, self) };
        done.map_err(|stop| self.raise(overload, binding, *stop))
    }

    /// The trap of a call that did not end well.
    #[cold]
    pub(super) fn raise(
        &mut self,
        overload: &Overload,
        binding: &Binding,
        stop: Stop,
    ) -> wasmtime::Error {
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

    /// Asks the allocator of an instance.
    fn allocate_of(
        &mut self,
        instance: &InstanceState,
        size: u64,
        align: u32,
    ) -> Result<u64, GuestStopped> {
        let _deeper = self.enter_guest()?;
        let Some(allocator) = instance.allocator(self.caller) else {
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

    /// Before guest code runs.
    fn enter_guest(&mut self) -> Result<Deeper<'h>, GuestStopped> {
        Deeper::enter(&self.instance.store.block, &self.link.name, true).map_err(|error| {
            self.stopped = Some(error);
            GuestStopped
        })
    }

    /// Keeps why guest code that native code has called stopped, or could not run.
    #[cold]
    pub(super) fn stop_with(&mut self, error: wasmtime::Error) -> GuestStopped {
        self.stopped = Some(error);
        GuestStopped
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
        self.allocate_of(self.instance, size, align)
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

    fn closure(
        &mut self,
        index: u64,
        callback: &Callback,
        binding: &Binding,
    ) -> Result<NonNull<Closure>, Problem> {
        self.find_closure(index, callback, binding)
    }

    fn function_index(&mut self, code: u64) -> Option<u64> {
        self.index_of_code(code)
    }

    unsafe fn closure_for(
        &mut self,
        function: *const c_void,
        index: u64,
        callback: &Callback,
        binding: &Binding,
    ) -> Result<NonNull<Closure>, Problem> {
        // SAFETY: the caller's promise.
        unsafe { self.find_closure_for(function, index, callback, binding) }
    }

    unsafe fn table_index(&mut self, function: *const c_void, code: u64) -> Option<u64> {
        // SAFETY: the caller's promise.
        unsafe { self.index_for(function, code) }
    }

    #[inline]
    unsafe fn enter(
        &mut self,
        function: *const c_void,
        slots: *mut GuestSlot,
        count: usize,
    ) -> Result<(), GuestStopped> {
        // SAFETY: the caller's promise.
        unsafe { self.enter_function(function, slots, count) }
    }

    unsafe fn refresh_for(&mut self, function: *const c_void, binding: &Binding) {
        // SAFETY: the caller's promise.
        unsafe { self.refresh_function(function, binding) }
    }

    unsafe fn allocate_for(
        &mut self,
        function: *const c_void,
        size: u64,
        align: u32,
    ) -> Result<u64, GuestStopped> {
        // SAFETY: the caller's promise.
        match unsafe { self.other_instance(function) } {
            Some(other) => self.allocate_of(&other, size, align),
            None => self.allocate(size, align),
        }
    }
}
