//! Guest functions as C function pointers: from an index of the guest's table to a closure, and from a
//! closure back into the guest.
//!
//! A store has one closure for each function, instance and type of callback; it stays until the store
//! ends. What native code's calls do with their arguments is in `plan::interpret::callback`.
#![expect(unsafe_code, reason = "calls guest functions with unchecked values; owns closures")]
use super::call::{Deeper, Host, call_error};
use super::instance::InstanceState;
use super::memory::may_move;
use super::stack::{self, Unfit};
use super::typing::Wanted;
use super::wasm_type::{describe, lowering_of};
use crate::plan::frame::GuestSlot;
use crate::plan::interpret::callback::{Closure, Function, enter_with};
use crate::plan::interpret::{Guest, GuestStopped};
use crate::plan::{Binding, Callback, CallbackProblem, Problem};
use rustc_hash::FxBuildHasher;
use std::cell::Cell;
use std::collections::HashMap;
use std::ffi::c_void;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use wasmtime::{AsContext, AsContextMut, Caller, Func, Memory, Ref, ValRaw};

/// What closures keep of their function.
struct HostFunction {
    func: Func,
    /// Of its instance.
    memory: Option<Memory>,
    /// The instance's number.
    instance: u32,
    /// Where in the instance's table it was found last.
    index: Cell<u64>,
}

/// A guest function, by the address of what wasmtime knows of it, and whose table it came from.
type Who = (usize, u32);

/// What a callback is, by its plan and what C gets after a trap.
type Type = (usize, i64);

/// The closures of a store.
#[derive(Default)]
pub(super) struct Closures {
    known: HashMap<(Who, Type), NonNull<Closure>, FxBuildHasher>,
    by_function: HashMap<Who, Vec<NonNull<Closure>>, FxBuildHasher>,
    by_code: HashMap<usize, NonNull<Closure>, FxBuildHasher>,
}

impl Closures {
    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.known.len()
    }
}

impl Drop for Closures {
    fn drop(&mut self) {
        for closure in self.known.values() {
            // SAFETY: made by `Closure::new`; the store's calls are over.
            unsafe { Closure::retire(*closure) };
        }
    }
}

impl<T: 'static> Host<'_, '_, T> {
    /// See [`Guest::closure`](crate::plan::interpret::Guest::closure).
    pub(super) fn find_closure(
        &mut self,
        index: u64,
        callback: &Callback,
        binding: &Binding,
    ) -> Result<NonNull<Closure>, Problem> {
        let memory = self.memory.copied();
        let state = self.instance;
        self.closure_of(state, memory, index, callback, binding)
    }

    /// The closure of a function of that instance, whose memory that is.
    fn closure_of(
        &mut self,
        state: &InstanceState,
        memory: Option<Memory>,
        index: u64,
        callback: &Callback,
        binding: &Binding,
    ) -> Result<NonNull<Closure>, Problem> {
        let func = function_at(state, self.caller, index).map_err(Problem::Callback)?;
        let instance = state.number;
        let who = (func.to_raw(self.caller.as_context_mut()).addr(), instance);
        let ty = (Arc::as_ptr(&callback.plan).addr(), callback.on_trap);
        let closures = &self.instance.store.closures;
        if let Some(known) = closures.borrow().known.get(&(who, ty)) {
            // SAFETY: closures live as long as their store, and were made below.
            unsafe { function_of(*known) }.index.set(index);
            return Ok(*known);
        }
        let expected = &callback.plan.lowering;
        let found = func.ty(&*self.caller);
        if lowering_of(&found).as_ref() != Some(expected) {
            let (expected, found) = (expected.to_string(), describe(&found));
            let problem = CallbackProblem::WrongType { index, expected, found };
            return Err(Problem::Callback(Box::new(problem)));
        }
        if callback.plan.facts.allocates
            && let Some(reason) = state.why_not_allocate()
        {
            return Err(Problem::Allocator { reason });
        }
        let limit = u64::from(self.instance.store.block.limits.callbacks);
        if closures.borrow().known.len() as u64 >= limit {
            return Err(Problem::Limit { limit: "callbacks", value: limit });
        }
        let may_move = memory.filter(|_| callback.plan.facts.memory).is_some_and(|memory| {
            let store = self.caller.as_context();
            may_move(store.engine(), &memory.ty(&store))
        });
        let function = Box::into_raw(Box::new(HostFunction {
            func,
            memory,
            instance,
            index: Cell::new(index),
        }));
        let mut function = Function {
            function: function.cast_const().cast(),
            free: free_function,
            binding: Binding {
                target: ptr::null(),
                store: &raw const self.instance.store.block,
                memory_base: Cell::new(binding.memory_base.get()),
                memory_len: Cell::new(binding.memory_len.get()),
                callees: ptr::null(),
                instance,
                errno: Cell::new(0),
            },
            may_move,
            enter: enter::<T>,
            typing: None,
        };
        let mut code = None;
        match state.store.types.of(&callback.plan) {
            Wanted::Now(now) => code = Some(now),
            Wanted::Later(hot) => function.typing = Some(hot),
            Wanted::Never => {}
        }
        // SAFETY: plans of links were verified for this host, those of their callbacks with them. The
        // block is the store's, which retires its closures when it ends.
        let made = unsafe { Closure::new(callback, function) };
        let closure = made.map_err(|error| {
            Problem::Callback(Box::new(CallbackProblem::NoCode { most: error.most }))
        })?;
        if let Some(code) = code {
            // SAFETY: it was made just now, and the code for its plan.
            unsafe { closure.as_ref().install(code) };
        }
        let mut closures = closures.borrow_mut();
        closures.known.insert((who, ty), closure);
        // SAFETY: it was made just now.
        closures.by_code.insert(unsafe { closure.as_ref() }.code().addr(), closure);
        closures.by_function.entry(who).or_default().push(closure);
        Ok(closure)
    }

    /// See [`Guest::function_index`](crate::plan::interpret::Guest::function_index).
    pub(super) fn index_of_code(&mut self, code: u64) -> Option<u64> {
        let own = self.instance;
        self.index_in(own, code)
    }

    /// See [`Guest::table_index`](crate::plan::interpret::Guest::table_index).
    ///
    /// # Safety
    /// The function is one of a closure of this store.
    pub(super) unsafe fn index_for(&mut self, function: *const c_void, code: u64) -> Option<u64> {
        // SAFETY: the caller's promise.
        let other = unsafe { self.other_instance(function) };
        let own = self.instance;
        self.index_in(other.as_deref().unwrap_or(own), code)
    }

    /// The index in the table of that instance.
    fn index_in(&mut self, state: &InstanceState, code: u64) -> Option<u64> {
        let code = usize::try_from(code).ok()?;
        let closure = *self.instance.store.closures.borrow().by_code.get(&code)?;
        // SAFETY: closures live as long as their store, and were made by `closure_of`.
        let function = unsafe { function_of(closure) };
        let index = function.index.get();
        // The guest may have put another there, or this may be another guest.
        let found = function_at(state, self.caller, index).ok()?;
        let wanted = function.func.to_raw(self.caller.as_context_mut());
        ptr::eq(found.to_raw(self.caller.as_context_mut()), wanted).then_some(index)
    }

    /// See [`Guest::closure_for`](crate::plan::interpret::Guest::closure_for).
    ///
    /// # Safety
    /// As there.
    pub(super) unsafe fn find_closure_for(
        &mut self,
        function: *const c_void,
        index: u64,
        callback: &Callback,
        binding: &Binding,
    ) -> Result<NonNull<Closure>, Problem> {
        // SAFETY: the caller's promise: made by `closure_of`, freed with its closure.
        let (memory, other) =
            unsafe { ((*function.cast::<HostFunction>()).memory, self.other_instance(function)) };
        let own = self.instance;
        self.closure_of(other.as_deref().unwrap_or(own), memory, index, callback, binding)
    }

    /// See [`Guest::enter`](crate::plan::interpret::Guest::enter).
    ///
    /// # Safety
    /// As there.
    #[inline]
    pub(super) unsafe fn enter_function(
        &mut self,
        function: *const c_void,
        slots: *mut GuestSlot,
        count: usize,
    ) -> Result<(), GuestStopped> {
        const { assert!(align_of::<GuestSlot>() >= align_of::<ValRaw>()) };
        // SAFETY: the caller's promise: made by `find_closure`, freed with its closure.
        let function = unsafe { &*function.cast::<HostFunction>() };
        let block = &self.instance.store.block;
        if let Err(unfit) = stack::check_for_guest(block.limits.stack_reserve) {
            return Err(self.refuse(unfit));
        }
        let _deeper = match Deeper::enter(block, &self.link.name, true) {
            Ok(deeper) => deeper,
            Err(error) => return Err(self.stop_with(error)),
        };
        let slots = ptr::slice_from_raw_parts_mut(slots.cast::<ValRaw>(), count);
        // SAFETY: the function has the wasm type for which the slots were written, and is of this store:
        // closures are called under calls of their own store only. This is not a fiber of wasmtime's
        // (`check_for_guest`), on which such a call would not be allowed.
        let done = unsafe { function.func.call_unchecked(self.caller.as_context_mut(), slots) };
        done.map_err(|error| self.did_not_return(error))
    }

    #[cold]
    fn did_not_return(&mut self, error: wasmtime::Error) -> GuestStopped {
        let import = &self.link.name;
        self.stop_with(error.context(format!("{import}: a callback did not return")))
    }

    #[cold]
    fn refuse(&mut self, unfit: Unfit) -> GuestStopped {
        let needed = self.instance.store.block.limits.stack_reserve;
        let problem = match unfit {
            Unfit::Exhausted { left } => Problem::StackExhausted { left, needed },
            Unfit::OtherStack => Problem::Callback(Box::new(CallbackProblem::Async)),
        };
        self.stop_with(call_error(&self.link.name, problem))
    }

    /// See [`Guest::refresh_for`](crate::plan::interpret::Guest::refresh_for).
    ///
    /// # Safety
    /// As there.
    pub(super) unsafe fn refresh_function(&mut self, function: *const c_void, binding: &Binding) {
        // SAFETY: the caller's promise.
        let function = unsafe { &*function.cast::<HostFunction>() };
        if let Some(memory) = function.memory {
            binding.memory_base.set(memory.data_ptr(&*self.caller));
            binding.memory_len.set(memory.data_size(&*self.caller) as u64);
        }
    }

    /// The instance of a closure's function; `None` when it is the one that calls.
    ///
    /// # Safety
    /// The function is one of a closure of this store.
    pub(super) unsafe fn other_instance(
        &self,
        function: *const c_void,
    ) -> Option<Arc<InstanceState>> {
        // SAFETY: the caller's promise.
        let number = unsafe { (*function.cast::<HostFunction>()).instance };
        let other = (number != self.instance.number).then_some(number)?;
        self.instance.store.instance(other)
    }
}

/// The function at that index of an instance's table.
fn function_at<T: 'static>(
    instance: &InstanceState,
    caller: &mut Caller<'_, T>,
    index: u64,
) -> Result<Func, Box<CallbackProblem>> {
    let table = instance
        .table(caller)
        .map_err(|reason| Box::new(CallbackProblem::NoTable { reason: reason.to_string() }))?;
    match table.get(caller.as_context_mut(), index) {
        Some(Ref::Func(Some(func))) => Ok(func),
        Some(_) => Err(Box::new(CallbackProblem::NoFunction { index })),
        None => {
            let size = table.size(caller.as_context());
            Err(Box::new(CallbackProblem::OutOfTable { index, size }))
        }
    }
}

/// `portcullis.release_callback`: native code does not call that function any more. When it does all the
/// same, no guest code runs.
pub(super) fn release_callback<T: 'static>(
    instance: &InstanceState,
    caller: &mut Caller<'_, T>,
    index: u64,
) -> wasmtime::Result<()> {
    let func = function_at(instance, caller, index)
        .map_err(|problem| call_error("portcullis.release_callback", Problem::Callback(problem)))?;
    let who = (func.to_raw(caller.as_context_mut()).addr(), instance.number);
    let closures = instance.store.closures.borrow();
    for closure in closures.by_function.get(&who).into_iter().flatten() {
        // SAFETY: closures live as long as their store.
        unsafe { closure.as_ref() }.forget();
    }
    Ok(())
}

/// What a closure keeps of its function.
///
/// # Safety
/// It was made by `find_closure`, and its store lives as long as what is returned.
unsafe fn function_of<'a>(closure: NonNull<Closure>) -> &'a HostFunction {
    // SAFETY: the caller's promise.
    unsafe { &*closure.as_ref().function().cast::<HostFunction>() }
}

/// What compiled entries of closures enter the guest through.
///
/// # Safety
/// As [`Enter`](crate::plan::interpret::callback::Enter), of a closure that a [`Host`] of that type has made.
unsafe extern "C" fn enter<T: 'static>(
    closure: *const Closure,
    slots: *mut GuestSlot,
) -> *mut GuestSlot {
    let is_ample = |closure: &Closure| {
        // SAFETY: the caller's promise: a running call of the closure's store allows it.
        stack::is_ample(unsafe { closure.store_block() }.limits.stack_reserve)
    };
    // SAFETY: the caller's promise. A running call under which the closure may be called is one of the
    // closure's store, and so its host side is of the same type; nobody else uses that while native code runs.
    unsafe {
        let run = |closure: &Closure, guest: *mut (dyn Guest + 'static)| {
            let host = &mut *guest.cast::<Host<'_, '_, T>>();
            let func = &(*closure.function().cast::<HostFunction>()).func;
            let slots = ptr::slice_from_raw_parts_mut(slots.cast::<ValRaw>(), closure.slots());
            // SAFETY: as in `enter_function`; that there is room was seen just now.
            func.call_unchecked(host.caller.as_context_mut(), slots)
        };
        enter_with(closure, slots, is_ample, run, |guest, error| {
            let GuestStopped = (*guest.cast::<Host<'_, '_, T>>()).did_not_return(error);
        })
    }
}

/// # Safety
/// `function` was made by `find_closure`, and is not used again.
unsafe fn free_function(function: *const c_void) {
    // SAFETY: the caller's promise.
    drop(unsafe { Box::from_raw(function.cast_mut().cast::<HostFunction>()) });
}
