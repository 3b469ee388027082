//! Calls of a store that is profiled: the interpreter makes them, and a recorder times them.
//!
//! They end as they would otherwise, with the same errors, and go the same ways. Those that are not timed are only
//! noted: the recorder has no account of them alone, and counts the guest code that they run and their bytes.
use super::super::call::Host;
use super::super::link::Overload;
use super::{Bound, check_stack};
use crate::host::stack;
use crate::plan::frame::GuestSlot;
use crate::plan::handles::Loan;
use crate::plan::interpret::callback::Closure;
use crate::plan::interpret::weigh::Scale;
use crate::plan::interpret::{Guest, GuestStopped, Halt, Quick, Record, Stop};
use crate::plan::recorder::{Bytes, GuestCode, Import, Noted, Recorder};
use crate::plan::{Binding, Callback, Problem};
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use wasmtime::{Caller, ValRaw};

/// What is known of an import whose calls are recorded.
pub(in crate::host) struct Recorded {
    import: Import,
    /// Of the plan of the short way: the first overload's.
    scale: Scale,
    /// Of the other overloads.
    others: Box<[Scale]>,
    way: Way,
}

/// How calls are made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// In the interpreter's short way; no guest code runs meanwhile.
    Short,
    /// In that of plans that mark their handle.
    Held,
    /// In its usual way.
    Usual,
}

impl Bound {
    /// Where calls are recorded, if the store is profiled.
    pub(in crate::host) fn recorded(&self) -> Option<Recorded> {
        let recorder = self.instance.store.block.recorder.as_ref()?;
        let import = recorder.import(&self.link.name, self.overload.library.clone());
        let quick = self.overload.quick.as_ref().filter(|_| self.is_quick());
        let way = match quick.map(Quick::is_held) {
            // Who is asked may run guest code.
            Some(false) if !self.link.has_terms => Way::Short,
            Some(true) => Way::Held,
            Some(false) | None => Way::Usual,
        };
        import.known(way != Way::Short, !self.plan.callbacks.is_empty());
        let (_, others) = self.link.overloads();
        let others = others.iter().map(|one| Scale::of(&one.plan)).collect();
        Some(Recorded { import, scale: Scale::of(&self.plan), others, way })
    }

    /// Calls the native function, and records it.
    ///
    /// # Safety
    /// As [`Bound::call`].
    #[inline]
    pub(in crate::host) unsafe fn call_profiled<T: 'static>(
        &self,
        to: &Recorded,
        caller: Caller<'_, T>,
        slots: &mut [MaybeUninit<ValRaw>],
    ) -> wasmtime::Result<()> {
        if let Some(recorder) = &self.instance.store.block.recorder
            && stack::check(self.stack_reserve).is_ok()
            && (self.settled.get() || to.way != Way::Short)
            && let Some(noted) = recorder.note(&to.import)
        {
            // SAFETY: the caller's promise.
            return unsafe {
                match to.way {
                    Way::Short => {
                        self.call_noted(to, noted, caller, slots)?;
                        self.told_strays()
                    }
                    Way::Held | Way::Usual => self.call_counted(to, noted, recorder, caller, slots),
                }
            };
        }
        // SAFETY: the caller's promise.
        unsafe { self.call_told(to, caller, slots) }
    }

    /// A call that is only counted, with the guest code that it runs.
    ///
    /// # Safety
    /// As [`Bound::call`].
    #[inline(never)]
    unsafe fn call_counted<T: 'static>(
        &self,
        to: &Recorded,
        noted: Noted<'_>,
        recorder: &Recorder,
        caller: Caller<'_, T>,
        slots: &mut [MaybeUninit<ValRaw>],
    ) -> wasmtime::Result<()> {
        // SAFETY: the caller's promise.
        noted.counts(|| unsafe { self.call_its_way(to, None, recorder, caller, slots) })
    }

    /// A call of the short way that is only counted.
    ///
    /// # Safety
    /// As [`Bound::call`]; the memory is settled, and there is stack.
    #[inline(always)]
    unsafe fn call_noted<T: 'static>(
        &self,
        to: &Recorded,
        noted: Noted<'_>,
        caller: Caller<'_, T>,
        slots: &mut [MaybeUninit<ValRaw>],
    ) -> wasmtime::Result<()> {
        let Some(quick) = &self.overload.quick else {
            // SAFETY: the caller's promise.
            return noted.tells(|| unsafe { self.call_in_frame(caller, slots) });
        };
        let mut record = Record { scale: &to.scale, clock: None, bytes: Bytes::default() };
        let at = slots.as_mut_ptr().cast();
        // SAFETY: as in `Bound::call_quickly`; the scale is that of the plan.
        let done = unsafe { quick.run_recorded(&self.plan, &self.binding, at, &mut record) };
        noted.bytes(record.bytes);
        match done {
            Ok(()) => Ok(()),
            // SAFETY: the plan has just halted like this.
            Err(halt) => noted.tells(|| unsafe { self.go_on_told(halt, caller, slots) }),
        }
    }

    /// A call that the recorder hears of, and that it may time.
    ///
    /// # Safety
    /// As [`Bound::call`].
    #[inline(never)]
    unsafe fn call_told<T: 'static>(
        &self,
        to: &Recorded,
        caller: Caller<'_, T>,
        slots: &mut [MaybeUninit<ValRaw>],
    ) -> wasmtime::Result<()> {
        let Some(recorder) = &self.instance.store.block.recorder else {
            // SAFETY: the caller's promise.
            return unsafe { self.call_in_frame(caller, slots) };
        };
        recorder.call(&to.import, |timed| {
            let clock = timed.then_some(&**recorder);
            // SAFETY: the caller's promise.
            unsafe { self.call_its_way(to, clock, recorder, caller, slots) }
        })
    }

    /// The call itself, timed if there is a clock.
    ///
    /// # Safety
    /// As [`Bound::call`].
    #[inline(always)]
    unsafe fn call_its_way<T: 'static>(
        &self,
        to: &Recorded,
        clock: Option<&Recorder>,
        recorder: &Recorder,
        mut caller: Caller<'_, T>,
        slots: &mut [MaybeUninit<ValRaw>],
    ) -> wasmtime::Result<()> {
        let record = Record { scale: &to.scale, clock, bytes: Bytes::default() };
        // SAFETY: the caller's promise; the memory is settled where it must be, and there is stack.
        unsafe {
            if self.link.has_terms {
                self.ask(&mut caller, slots)?;
            }
            let ready = self.settled.get() && stack::check(self.stack_reserve).is_ok();
            if !self.other_bindings.is_empty() {
                self.call_overload(to, ready, clock, recorder, caller, slots)?;
                return self.told_strays();
            }
            recorder.weighs(&self.plan, &to.scale);
            match (&self.overload.quick, to.way) {
                (Some(quick), Way::Short) if ready => {
                    self.call_short(quick, record, recorder, caller, slots)?;
                }
                (Some(quick), Way::Held) if ready => {
                    self.call_held_told(quick, record, recorder, caller, slots)?;
                }
                _ => self.call_in_frame(caller, slots)?,
            }
        }
        self.told_strays()
    }

    /// The call of an import with overloads, quickly if the one for these arguments can be.
    ///
    /// # Safety
    /// As [`Bound::call`]; if it is `ready`, the memory is settled, and there is stack.
    unsafe fn call_overload<T: 'static>(
        &self,
        to: &Recorded,
        ready: bool,
        clock: Option<&Recorder>,
        recorder: &Recorder,
        mut caller: Caller<'_, T>,
        slots: &mut [MaybeUninit<ValRaw>],
    ) -> wasmtime::Result<()> {
        let at = slots.as_mut_ptr().cast::<GuestSlot>();
        // SAFETY: the caller's promise.
        let (overload, binding) = unsafe { self.choose(at)? };
        let is_it = |other: &Binding| ptr::eq(other, binding);
        let scale = match self.other_bindings.iter().position(is_it) {
            None => &to.scale,
            Some(other) => &to.others[other],
        };
        recorder.weighs(&overload.plan, scale);
        if ready && let Some(quick) = overload.quick.as_ref().filter(|quick| !quick.is_held()) {
            let mut record = Record { scale, clock, bytes: Bytes::default() };
            // SAFETY: as in `Bound::call`; the scale is that of the plan.
            let done = unsafe { quick.run_recorded(&overload.plan, binding, at, &mut record) };
            match done {
                Ok(()) => {
                    recorder.bytes(record.bytes);
                    return Ok(());
                }
                // Nothing has happened.
                Err(Halt::Before | Halt::Stopped(_)) => {}
                Err(Halt::After(left)) => {
                    recorder.bytes(record.bytes);
                    let mut host = Host::new(&mut caller, &self.link, &self.instance, None);
                    // SAFETY: as in `go_on`.
                    let done = unsafe { left.resume(&overload.plan, &mut host) };
                    return done.map_err(|stop| host.raise(overload, binding, *stop));
                }
            }
        }
        // SAFETY: the caller's promise.
        unsafe { self.call_in_frame(caller, slots) }
    }

    /// As [`Bound::call_quickly`].
    ///
    /// # Safety
    /// As there; the memory is settled, and there is stack.
    unsafe fn call_short<T: 'static>(
        &self,
        quick: &Quick,
        mut record: Record<'_>,
        recorder: &Recorder,
        caller: Caller<'_, T>,
        slots: &mut [MaybeUninit<ValRaw>],
    ) -> wasmtime::Result<()> {
        let at = slots.as_mut_ptr().cast();
        // SAFETY: as in `Bound::call_quickly`; the scale is that of the plan.
        let done = unsafe { quick.run_recorded(&self.plan, &self.binding, at, &mut record) };
        recorder.bytes(record.bytes);
        // SAFETY: the plan has just halted like this.
        done.or_else(|halt| unsafe { self.go_on_told(halt, caller, slots) })
    }

    /// As [`Bound::call_held`], with guest code that is timed.
    ///
    /// # Safety
    /// As there.
    unsafe fn call_held_told<T: 'static>(
        &self,
        quick: &Quick,
        mut record: Record<'_>,
        recorder: &Recorder,
        mut caller: Caller<'_, T>,
        slots: &mut [MaybeUninit<ValRaw>],
    ) -> wasmtime::Result<()> {
        let memory = self.known_memory.get();
        let mut host = Host::new(&mut caller, &self.link, &self.instance, memory);
        let at = slots.as_mut_ptr().cast();
        // SAFETY: as in `Bound::call_held`; the scale is that of the plan.
        let done = unsafe {
            let mut timed = Timed { host: &mut host, recorder };
            quick.run_held_recorded(&self.plan, &self.binding, at, &mut timed, &mut record)
        };
        recorder.bytes(record.bytes);
        match done {
            Ok(()) => Ok(()),
            Err(Halt::Stopped(stop)) => Err(host.raise(&self.overload, &self.binding, *stop)),
            // SAFETY: the plan has just halted like this.
            Err(halt) => unsafe { self.go_on_told(halt, caller, slots) },
        }
    }

    /// Goes on where a quick plan has stopped. The recorder hears of the call.
    ///
    /// # Safety
    /// As [`Bound::go_on`].
    #[cold]
    #[inline(never)]
    unsafe fn go_on_told<T: 'static>(
        &self,
        halt: Halt,
        caller: Caller<'_, T>,
        slots: &mut [MaybeUninit<ValRaw>],
    ) -> wasmtime::Result<()> {
        // SAFETY: the caller's promise. Before native code nothing has happened.
        unsafe {
            match halt {
                Halt::Before => self.call_in_frame(caller, slots),
                Halt::After(_) | Halt::Stopped(_) => self.go_on(halt, caller, slots),
            }
        }
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
        if self.settled.get() {
            let memory = self.known_memory.get();
            let mut host = Host::new(&mut caller, &self.link, &self.instance, memory);
            // SAFETY: the caller's promise; the binding is that of the overload, and its memory is known well enough.
            let stop = match unsafe { host.try_run_profiled(overload, binding, slots) } {
                Ok(()) => return Ok(()),
                Err(stop) => stop,
            };
            if self.is_final(&stop, binding, host.caller) {
                return Err(host.raise(overload, binding, *stop));
            }
        }
        let memory = self.memory_of_call(&mut caller)?;
        let mut host = Host::new(&mut caller, &self.link, &self.instance, memory.as_ref());
        // SAFETY: the caller's promise; the binding is that of the overload.
        let outcome = unsafe { host.run_profiled(overload, binding, slots) };
        self.settle(&mut host);
        outcome
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
        // SAFETY: the caller's promise; the memory was brought up to date just now.
        let done = unsafe { self.try_run_profiled(overload, binding, slots) };
        done.map_err(|stop| self.raise(overload, binding, *stop))
    }

    /// As [`Host::try_run`], likewise.
    ///
    /// # Safety
    /// As there.
    unsafe fn try_run_profiled(
        &mut self,
        overload: &Overload,
        binding: &Binding,
        slots: *mut GuestSlot,
    ) -> Result<(), Box<Stop>> {
        let Some(recorder) = &self.instance.store.block.recorder else {
            // SAFETY: the caller's promise.
            return unsafe { self.try_run(overload, binding, slots) };
        };
        let mut timed = Timed { host: self, recorder };
        // SAFETY: as in `Host::try_run`.
        unsafe { overload.choice.runner.run(&overload.plan, binding, slots, &mut timed)? };
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
