//! An import of an instance: what the closure of its host function owns, and the way of a call
//! through it.
//!
//! The hot way is short: is there stack, is the memory known, run the template. Everything else
//! goes the long way of [`Bound::call`]. What is not looked at in each call is where a memory is
//! that cannot move, and how long it is: memories only grow, so that a length of yesterday only
//! makes a check fail that now holds, and then the call is made once more with that of today.
#![expect(unsafe_code, reason = "hands unchecked wasm values and native addresses to the runner")]
use super::call::{Host, check_stack, no_memory, select, told_strays};
use super::hot::Hot;
use super::instance::InstanceState;
use super::link::{Link, Overload};
use super::stack;
use super::tier::Runner;
use super::trampolines::Entry;
use crate::plan::binding::Strays;
use crate::plan::frame::{FrameHead, GuestSlot};
use crate::plan::interpret::{
    self, Fallback, Guest, Halt, Quick, Status, has_small_frame, with_small_frame,
};
use crate::plan::template::Template;
use crate::plan::{Binding, Plan};
use std::cell::{Cell, OnceCell};
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::Arc;
use wasmtime::{Caller, Memory, ValRaw};

mod asked;
mod assisted;
#[cfg_attr(not(feature = "trampolines"), expect(dead_code, reason = "nothing is called directly"))]
mod direct;
mod memory;
mod profiled;
pub(super) use direct::SeenMemory;
pub(super) use memory::MemorySource;
use memory::{Origin, may_lag, runs_alone, runs_settled};

/// See the module. What every call reads stands first and is not behind another pointer.
pub(super) struct Bound {
    /// Of the first overload, most often the only one.
    binding: Binding,
    /// Bytes of native stack that must be left.
    stack_reserve: u64,
    /// Whether the binding's memory need not be looked at before a call, and no guest code runs in it.
    settled: Cell<bool>,
    needs_memory: bool,
    /// Of the store; its instance keeps it alive.
    strays: *const Strays,
    /// Of the first overload.
    keeps_errno: bool,
    /// Whether a binding may lag behind its memory: see the module. Not if the memory may move, nor
    /// if work after the call asks whether a pointer is inside the memory.
    may_lag: bool,
    /// Of the first overload.
    plan: Arc<Plan>,
    overload: Arc<Overload>,
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

impl Bound {
    pub(super) fn new(
        link: Arc<Link>,
        instance: Arc<InstanceState>,
        memory: MemorySource,
    ) -> Bound {
        let (first, others) = link.overloads();
        let other_bindings: Box<[_]> = others.iter().map(|one| binding(one, &instance)).collect();
        let known_memory = match &memory.origin {
            Origin::Known(memory) => OnceCell::from(*memory),
            Origin::None | Origin::Export(_) => OnceCell::new(),
        };
        let all = || link.overloads.iter();
        Bound {
            binding: binding(first, &instance),
            stack_reserve: instance.store.block.limits.stack_reserve,
            settled: Cell::new(!link.needs_memory && all().all(|one| runs_settled(one))),
            needs_memory: link.needs_memory,
            strays: Arc::as_ptr(&instance.store.block.strays),
            keeps_errno: first.keeps_errno,
            may_lag: !memory.may_move && all().all(|one| may_lag(one)),
            plan: Arc::clone(&first.plan),
            overload: Arc::clone(first),
            known_memory,
            other_bindings,
            link,
            instance,
            memory,
        }
    }

    /// The template of the function, when it alone can make calls: there are no overloads.
    pub(super) fn template(&self) -> Option<Template> {
        match &self.overload.choice.runner {
            Runner::Template(template) if self.other_bindings.is_empty() => Some(template.clone()),
            Runner::Template(_)
            | Runner::Interpreter
            | Runner::Compiled(_)
            | Runner::Direct(_)
            | Runner::Hot(_) => None,
        }
    }

    /// The trampoline of the function, when it alone can make calls: there are no overloads, and its
    /// frame is small. It lives as long as `self`.
    pub(super) fn trampoline(&self) -> Option<Entry> {
        match &self.overload.choice.runner {
            Runner::Compiled(compiled)
                if self.other_bindings.is_empty() && has_small_frame(&self.plan) =>
            {
                Some(compiled.entry())
            }
            Runner::Template(_)
            | Runner::Interpreter
            | Runner::Compiled(_)
            | Runner::Direct(_)
            | Runner::Hot(_) => None,
        }
    }

    /// What may become hot and cannot be called directly, when it alone can make calls.
    pub(super) fn hot_here(&self) -> Option<Arc<Hot>> {
        match &self.overload.choice.runner {
            Runner::Hot(hot) if self.other_bindings.is_empty() => Some(Arc::clone(hot)),
            Runner::Hot(_)
            | Runner::Template(_)
            | Runner::Interpreter
            | Runner::Compiled(_)
            | Runner::Direct(_) => None,
        }
    }

    /// Calls the native function as it can be called now, and counts calls until there is code.
    ///
    /// # Safety
    /// As [`Bound::call`]; `hot` is what runs the only overload.
    #[inline]
    pub(super) unsafe fn call_hot<T: 'static>(
        &self,
        hot: &Arc<Hot>,
        caller: Caller<'_, T>,
        slots: &mut [MaybeUninit<ValRaw>],
    ) -> wasmtime::Result<()> {
        // SAFETY: the caller's promise. Code that is there now stays as long as the overload; what is called in the
        // end counts by itself.
        unsafe {
            match (hot.entry(), &hot.template) {
                (Some(entry), _) if has_small_frame(&self.plan) => {
                    self.call_compiled(entry, caller, slots)
                }
                (None, Some(template)) => {
                    hot.count();
                    self.call_template(template, caller, slots)
                }
                (None, None) if self.overload.quick.is_some() => {
                    hot.count();
                    self.call_quickly(caller, slots)
                }
                _ => self.call(caller, slots),
            }
        }
    }

    /// Calls the native function through its trampoline.
    ///
    /// # Safety
    /// As [`Bound::call`]; the entry is that of [`Bound::trampoline`].
    #[inline(always)]
    pub(super) unsafe fn call_compiled<T: 'static>(
        &self,
        entry: Entry,
        caller: Caller<'_, T>,
        slots: &mut [MaybeUninit<ValRaw>],
    ) -> wasmtime::Result<()> {
        if self.settled.get() && stack::check(self.stack_reserve).is_ok() {
            if entry.is_assisted() {
                // SAFETY: the caller's promise.
                return unsafe { self.call_assisted(entry, caller, slots) };
            }
            return with_small_frame(|frame| {
                // SAFETY: as in `Host::run`, and the memory is known well enough: see the module. The
                // frame is one of the plan, and the overload keeps the trampoline alive.
                match unsafe { entry.enter(&self.binding, slots.as_mut_ptr().cast(), frame) } {
                    Status::Done => {
                        if self.keeps_errno {
                            self.instance.errno.set(self.binding.errno.get());
                        }
                        Ok(())
                    }
                    // SAFETY: the caller's promise; nothing has happened.
                    Status::Redo => unsafe { self.fall_back(Fallback::Redo, caller, slots) },
                    // SAFETY: the caller's promise; the trampoline has just filled the frame.
                    Status::Resume => unsafe { self.resume(frame, caller) },
                }
            });
        }
        // SAFETY: the caller's promise.
        unsafe { self.call(caller, slots) }
    }

    /// Does the work after a call that a trampoline has made.
    ///
    /// # Safety
    /// As [`Bound::call`]; the trampoline has just left the call in that frame.
    #[cold]
    #[inline(never)]
    unsafe fn resume<T: 'static>(
        &self,
        frame: *mut FrameHead,
        mut caller: Caller<'_, T>,
    ) -> wasmtime::Result<()> {
        let mut host = Host::new(&mut caller, &self.link, &self.instance, None);
        // SAFETY: the caller's promise. Where guest code may run, or the memory is asked for, the
        // binding is never settled and needs no memory here.
        let done = unsafe { interpret::resume(&self.plan, frame, &mut host) };
        done.map_err(|stop| host.raise(&self.overload, &self.binding, *stop))?;
        if self.keeps_errno {
            self.instance.errno.set(self.binding.errno.get());
        }
        Ok(())
    }

    /// Whether the interpreter makes calls, and can make them quickly: there are no overloads, and the plan
    /// is quick.
    pub(super) fn is_quick(&self) -> bool {
        let compiled = matches!(self.overload.choice.runner, Runner::Compiled(_));
        !compiled && self.other_bindings.is_empty() && self.overload.quick.is_some()
    }

    /// Calls the native function through the interpreter.
    ///
    /// # Safety
    /// As [`Bound::call`], and [`Bound::is_quick`].
    #[inline(always)]
    pub(super) unsafe fn call_quickly<T: 'static>(
        &self,
        caller: Caller<'_, T>,
        slots: &mut [MaybeUninit<ValRaw>],
    ) -> wasmtime::Result<()> {
        if self.settled.get()
            && let Some(quick) = &self.overload.quick
            && stack::check(self.stack_reserve).is_ok()
        {
            if quick.is_held() {
                // SAFETY: the caller's promise.
                return unsafe { self.call_held(quick, caller, slots) };
            }
            // SAFETY: as in `Host::run`, and the memory is known well enough: see the module.
            match unsafe { quick.run(&self.plan, &self.binding, slots.as_mut_ptr().cast()) } {
                Ok(()) => return Ok(()),
                // SAFETY: the plan has just halted like this.
                Err(halt) => return unsafe { self.go_on(halt, caller, slots) },
            }
        }
        // SAFETY: the caller's promise.
        unsafe { self.call(caller, slots) }
    }

    /// As [`Bound::call_quickly`], for plans during which guest code may run.
    ///
    /// # Safety
    /// As there; the memory is settled, and there is stack.
    #[inline(never)]
    unsafe fn call_held<T: 'static>(
        &self,
        quick: &Quick,
        mut caller: Caller<'_, T>,
        slots: &mut [MaybeUninit<ValRaw>],
    ) -> wasmtime::Result<()> {
        let memory = self.known_memory.get();
        let mut host = Host::new(&mut caller, &self.link, &self.instance, memory);
        let at = slots.as_mut_ptr().cast();
        // SAFETY: as in `Host::run`, and the memory is known well enough: see the module.
        match unsafe { quick.run_held(&self.plan, &self.binding, at, &mut host) } {
            Ok(()) => Ok(()),
            Err(Halt::Stopped(stop)) => Err(host.raise(&self.overload, &self.binding, *stop)),
            // SAFETY: the plan has just halted like this.
            Err(halt) => unsafe { self.go_on(halt, caller, slots) },
        }
    }

    /// Goes on where a quick plan has stopped.
    ///
    /// # Safety
    /// As [`Bound::call`]; the plan has just halted like this for these slots.
    #[cold]
    #[inline(never)]
    unsafe fn go_on<T: 'static>(
        &self,
        halt: Halt,
        mut caller: Caller<'_, T>,
        slots: &mut [MaybeUninit<ValRaw>],
    ) -> wasmtime::Result<()> {
        match halt {
            // SAFETY: the caller's promise; nothing has happened.
            Halt::Before => unsafe { self.fall_back(Fallback::Redo, caller, slots) },
            Halt::Stopped(stop) => {
                let mut host = Host::new(&mut caller, &self.link, &self.instance, None);
                Err(host.raise(&self.overload, &self.binding, *stop))
            }
            Halt::After(left) => {
                let mut host = Host::new(&mut caller, &self.link, &self.instance, None);
                // SAFETY: the caller's promise; quick plans run no guest code, so that the memory is
                // known well enough.
                let done = unsafe { left.resume(&self.plan, &mut host) };
                done.map_err(|stop| host.raise(&self.overload, &self.binding, *stop))
            }
        }
    }

    /// Calls the native function through its template.
    ///
    /// # Safety
    /// As [`Bound::call`]; the template is that of [`Bound::template`].
    #[inline(always)]
    pub(super) unsafe fn call_template<T: 'static>(
        &self,
        template: &Template,
        caller: Caller<'_, T>,
        slots: &mut [MaybeUninit<ValRaw>],
    ) -> wasmtime::Result<()> {
        if self.settled.get() && stack::check(self.stack_reserve).is_ok() {
            // SAFETY: as in `Host::run`, and the memory is known well enough: see the module.
            match unsafe { template.run(&self.binding, slots.as_mut_ptr().cast()) } {
                Ok(()) => return Ok(()),
                // SAFETY: the template has just fallen back like this.
                Err(fallback) => return unsafe { self.fall_back(fallback, caller, slots) },
            }
        }
        // SAFETY: the caller's promise.
        unsafe { self.call(caller, slots) }
    }

    /// Goes on where the template has stopped.
    ///
    /// # Safety
    /// As [`Bound::call`]; the template has just fallen back like this for these slots, or another tier has
    /// failed before the call.
    #[cold]
    #[inline(never)]
    unsafe fn fall_back<T: 'static>(
        &self,
        fallback: Fallback,
        mut caller: Caller<'_, T>,
        slots: &mut [MaybeUninit<ValRaw>],
    ) -> wasmtime::Result<()> {
        match fallback {
            // Nothing has happened.
            Fallback::Redo => {
                self.settled.set(!self.needs_memory);
                // SAFETY: the caller's promise.
                unsafe { self.call(caller, slots) }
            }
            Fallback::Resume { integer } => {
                let mut host = Host::new(&mut caller, &self.link, &self.instance, None);
                let slots = slots.as_mut_ptr().cast::<GuestSlot>();
                // SAFETY: the caller's promise; templates have no work after the call that needs
                // the memory.
                unsafe { host.resume(&self.overload, &self.binding, slots, integer) }
            }
        }
    }

    /// Calls the native function.
    ///
    /// # Safety
    /// `slots` are what wasmtime passes to a host function of the link's type.
    #[inline(never)]
    pub(super) unsafe fn call<T: 'static>(
        &self,
        mut caller: Caller<'_, T>,
        slots: &mut [MaybeUninit<ValRaw>],
    ) -> wasmtime::Result<()> {
        check_stack(self.stack_reserve, || &self.link.name)?;
        let slots = slots.as_mut_ptr().cast::<GuestSlot>();
        // SAFETY: the caller's promise.
        let (overload, binding) = unsafe { self.choose(slots)? };
        if self.settled.get() {
            if let Some(quick) = &overload.quick
                && !self.other_bindings.is_empty()
                && !quick.is_held()
                && overload.choice.runner.entry().is_none()
            {
                overload.choice.runner.count();
                // SAFETY: as below; the overload is the one of these arguments.
                match unsafe { quick.run(&overload.plan, binding, slots) } {
                    Ok(()) => return Ok(()),
                    Err(Halt::Before | Halt::Stopped(_)) => {}
                    Err(Halt::After(left)) => {
                        let mut host = Host::new(&mut caller, &self.link, &self.instance, None);
                        // SAFETY: as in `go_on`.
                        let done = unsafe { left.resume(&overload.plan, &mut host) };
                        return done.map_err(|stop| host.raise(overload, binding, *stop));
                    }
                }
            }
            let memory = self.known_memory.get();
            let mut host = Host::new(&mut caller, &self.link, &self.instance, memory);
            // SAFETY: the caller's promise; the binding is that of the overload, and its memory is known
            // well enough.
            let stop = match unsafe { host.try_run(overload, binding, slots) } {
                Ok(()) => return Ok(()),
                Err(stop) => stop,
            };
            if self.is_final(&stop, binding, host.caller) {
                return Err(host.raise(overload, binding, *stop));
            }
        }
        let memory = self.memory_of_call(&mut caller)?;
        let mut host = Host::new(&mut caller, &self.link, &self.instance, memory.as_ref());
        // SAFETY: likewise.
        let outcome = unsafe { host.run(overload, binding, slots) };
        self.settle(&mut host);
        outcome
    }

    /// From now on the memory need not be looked at, if that is so.
    #[inline(always)]
    fn settle<T: 'static>(&self, host: &mut Host<'_, '_, T>) {
        let settled = self.may_lag && self.known_memory.get().is_some();
        if settled {
            let others = self.other_bindings.iter();
            others.chain([&self.binding]).for_each(|binding| host.refresh(binding));
        }
        self.settled.set(settled);
    }

    /// The overload for these arguments, and its binding.
    ///
    /// # Safety
    /// As [`Bound::call`].
    #[inline(always)]
    unsafe fn choose(
        &self,
        slots: *const GuestSlot,
    ) -> wasmtime::Result<(&Arc<Overload>, &Binding)> {
        if self.other_bindings.is_empty() {
            return Ok((&self.overload, &self.binding));
        }
        // SAFETY: the caller's promise.
        let (position, overload) = unsafe { select(&self.link, slots)? };
        let binding = match position.checked_sub(1) {
            None => &self.binding,
            Some(other) => &self.other_bindings[other],
        };
        Ok((overload, binding))
    }

    /// Whether a closure of the store was called where none may be: see `told_strays`. Asked once after
    /// each call that ended well, whichever way it went.
    #[inline(always)]
    pub(super) fn told_strays(&self) -> wasmtime::Result<()> {
        // SAFETY: the block of the instance's store has it.
        if unsafe { (*self.strays).is_empty() } { Ok(()) } else { self.tell_strays() }
    }

    #[cold]
    #[inline(never)]
    fn tell_strays(&self) -> wasmtime::Result<()> {
        told_strays(&self.instance.store.block.strays, &self.link.name)
    }
}

/// A binding for calls of `instance`. Its memory is filled in before a call.
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
