//! Calls of a store that is profiled: the interpreter makes them, and a recorder times them.
//!
//! They end as they would otherwise, with the same errors. What is left out are short cuts only: a memory that
//! need not be looked at, plans that are run without a frame.
use super::super::call::Host;
use super::super::link::Overload;
use super::{Bound, check_stack, runs_alone};
use crate::plan::frame::GuestSlot;
use crate::plan::handles::Loan;
use crate::plan::interpret::callback::Closure;
use crate::plan::interpret::{Guest, GuestStopped};
use crate::plan::recorder::{GuestCode, Import, Recorder};
use crate::plan::{Binding, Callback, Problem};
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use wasmtime::{Caller, ValRaw};

impl Bound {
    /// Where calls are recorded, if the store is profiled.
    pub(in crate::host) fn recorded(&self) -> Option<Import> {
        let recorder = self.instance.store.block.recorder.as_ref()?;
        Some(recorder.import(&self.link.name, self.overload.library.clone()))
    }

    /// Calls the native function, and records it.
    ///
    /// # Safety
    /// As [`Bound::call`].
    pub(in crate::host) unsafe fn call_profiled<T: 'static>(
        &self,
        import: &Import,
        mut caller: Caller<'_, T>,
        slots: &mut [MaybeUninit<ValRaw>],
    ) -> wasmtime::Result<()> {
        let call = |timed: bool| {
            // SAFETY: the caller's promise; what is called quickly is such a plan.
            unsafe {
                if self.link.has_terms {
                    self.ask(&mut caller, slots)?;
                }
                if !timed && self.is_only_counted() {
                    self.call_quickly(caller, slots)?;
                } else {
                    self.call_in_frame(caller, slots)?;
                }
            }
            self.told_strays()
        };
        match &self.instance.store.block.recorder {
            Some(recorder) => recorder.call(import, call),
            None => call(true),
        }
    }

    /// Whether nothing happens in a call that is to be recorded, if it is not timed: no byte is moved, and no guest
    /// code runs.
    fn is_only_counted(&self) -> bool {
        !self.plan.facts.memory && self.is_quick() && runs_alone(&self.plan)
    }

    /// As [`Bound::call`], in the interpreter's usual way.
    ///
    /// # Safety
    /// As there.
    unsafe fn call_in_frame<T: 'static>(
        &self,
        mut caller: Caller<'_, T>,
        slots: &mut [MaybeUninit<ValRaw>],
    ) -> wasmtime::Result<()> {
        check_stack(self.stack_reserve, || &self.link.name)?;
        let slots = slots.as_mut_ptr().cast::<GuestSlot>();
        // SAFETY: the caller's promise.
        let (overload, binding) = unsafe { self.choose(slots)? };
        let memory = self.memory_of_call(&mut caller)?;
        let mut host = Host::new(&mut caller, &self.link, &self.instance, memory.as_ref());
        // SAFETY: the caller's promise; the binding is that of the overload.
        unsafe { host.run_profiled(overload, binding, slots) }
    }
}

impl<T: 'static> Host<'_, '_, T> {
    /// As [`Host::run`], with guest code that is timed if the store is profiled.
    ///
    /// # Safety
    /// As there.
    pub(in crate::host) unsafe fn run_profiled(
        &mut self,
        overload: &Overload,
        binding: &Binding,
        slots: *mut GuestSlot,
    ) -> wasmtime::Result<()> {
        self.refresh(binding);
        let instance = self.instance;
        let done = match &instance.store.block.recorder {
            // SAFETY: as in `Host::try_run`.
            Some(recorder) => unsafe {
                let mut timed = Timed { host: self, recorder };
                overload.choice.runner.run(&overload.plan, binding, slots, &mut timed)
            },
            // SAFETY: likewise.
            None => unsafe { overload.choice.runner.run(&overload.plan, binding, slots, self) },
        };
        done.map_err(|stop| self.raise(overload, binding, *stop))?;
        if overload.keeps_errno {
            self.instance.errno.set(binding.errno.get());
        }
        Ok(())
    }
}

/// A call's host side that records when guest code runs.
struct Timed<'t, 'c, 'h, T: 'static> {
    host: &'t mut Host<'c, 'h, T>,
    recorder: &'h Recorder,
}

impl<T: 'static> Guest for Timed<'_, '_, '_, T> {
    fn refresh(&mut self, binding: &Binding) {
        self.host.refresh(binding);
    }

    fn allocate(&mut self, size: u64, align: u32) -> Result<u64, GuestStopped> {
        self.recorder.guest(GuestCode::Allocator, || self.host.allocate(size, align))
    }

    fn release(&mut self, loan: Loan) -> Result<(), GuestStopped> {
        self.recorder.guest(GuestCode::Allocator, || self.host.release(loan))
    }

    fn static_copy(&mut self, native: usize) -> Result<Option<(u64, u64)>, Problem> {
        self.host.static_copy(native)
    }

    fn keep_static_copy(&mut self, native: usize, address: u64, size: u64) {
        self.host.keep_static_copy(native, address, size);
    }

    fn closure(
        &mut self,
        index: u64,
        callback: &Callback,
        binding: &Binding,
    ) -> Result<NonNull<Closure>, Problem> {
        self.host.closure(index, callback, binding)
    }

    fn function_index(&mut self, code: u64) -> Option<u64> {
        self.host.function_index(code)
    }

    unsafe fn closure_for(
        &mut self,
        function: *const c_void,
        index: u64,
        callback: &Callback,
        binding: &Binding,
    ) -> Result<NonNull<Closure>, Problem> {
        // SAFETY: the caller's promise.
        unsafe { self.host.closure_for(function, index, callback, binding) }
    }

    unsafe fn table_index(&mut self, function: *const c_void, code: u64) -> Option<u64> {
        // SAFETY: the caller's promise.
        unsafe { self.host.table_index(function, code) }
    }

    unsafe fn enter(
        &mut self,
        function: *const c_void,
        slots: *mut GuestSlot,
        count: usize,
    ) -> Result<(), GuestStopped> {
        self.recorder.guest(GuestCode::Callback, || {
            // SAFETY: the caller's promise.
            unsafe { self.host.enter(function, slots, count) }
        })
    }

    unsafe fn refresh_for(&mut self, function: *const c_void, binding: &Binding) {
        // SAFETY: the caller's promise.
        unsafe { self.host.refresh_for(function, binding) }
    }

    unsafe fn allocate_for(
        &mut self,
        function: *const c_void,
        size: u64,
        align: u32,
    ) -> Result<u64, GuestStopped> {
        self.recorder.guest(GuestCode::Allocator, || {
            // SAFETY: the caller's promise.
            unsafe { self.host.allocate_for(function, size, align) }
        })
    }
}
