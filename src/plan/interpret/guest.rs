//! The host's side of a call: what the interpreter asks of whoever runs guests.
#![expect(unsafe_code, reason = "guest functions are known by their addresses")]
use super::callback::Closure;
use crate::plan::Callback;
use crate::plan::binding::Binding;
use crate::plan::frame::GuestSlot;
use crate::plan::handles::Loan;
use crate::plan::problem::{CallbackProblem, Problem};
use std::ffi::c_void;
use std::ptr::NonNull;

/// What a running call asks of the host.
pub trait Guest {
    /// Guest code has run: brings the binding's memory up to date.
    fn refresh(&mut self, binding: &Binding);

    /// Asks the instance's allocator for memory. Guest code runs.
    ///
    /// # Errors
    /// When that code traps. The host keeps the trap.
    fn allocate(&mut self, size: u64, align: u32) -> Result<u64, GuestStopped>;

    /// Frees what an allocator gave. Guest code runs.
    ///
    /// # Errors
    /// When that code traps. The host keeps the trap.
    fn release(&mut self, loan: Loan) -> Result<(), GuestStopped>;

    /// Guest address and size of the copy of the native constant at that address, if the instance
    /// has one.
    ///
    /// # Errors
    /// [`Problem::Limit`] when it has none and may not get another.
    fn static_copy(&mut self, native: usize) -> Result<Option<(u64, u64)>, Problem>;

    /// Remembers such a copy.
    fn keep_static_copy(&mut self, native: usize, address: u64, size: u64);

    /// The closure of a function of the guest's table, of the wasm type of that callback.
    ///
    /// A guest without functions need not say any of this.
    ///
    /// # Errors
    /// When there is no such function, or there may be no more closures.
    fn closure(
        &mut self,
        index: u64,
        _callback: &Callback,
        _binding: &Binding,
    ) -> Result<NonNull<Closure>, Problem> {
        Err(Problem::Callback(Box::new(CallbackProblem::NoFunction { index })))
    }

    /// The index in the guest's table of the function whose closure has that code; `None` when it is the
    /// code of none, or the function is no longer where it was.
    fn function_index(&mut self, _code: u64) -> Option<u64> {
        None
    }

    /// As [`Guest::closure`], for a function of the table of another function's instance.
    ///
    /// # Errors
    /// As [`Guest::closure`].
    ///
    /// # Safety
    /// The function is one of a closure of this store.
    unsafe fn closure_for(
        &mut self,
        _function: *const c_void,
        index: u64,
        callback: &Callback,
        binding: &Binding,
    ) -> Result<NonNull<Closure>, Problem> {
        self.closure(index, callback, binding)
    }

    /// As [`Guest::function_index`], in the table of that function's instance.
    ///
    /// # Safety
    /// The function is one of a closure of this store.
    unsafe fn table_index(&mut self, _function: *const c_void, _code: u64) -> Option<u64> {
        None
    }

    /// Calls a guest function. The first slot gets its result.
    ///
    /// # Errors
    /// When it may not run, or traps. The host keeps why.
    ///
    /// # Safety
    /// The function is one of a closure of this store; `slots` are as many as it has parameters, at least
    /// one, and all parameters have been written.
    unsafe fn enter(
        &mut self,
        _function: *const c_void,
        _slots: *mut GuestSlot,
        _count: usize,
    ) -> Result<(), GuestStopped> {
        Err(GuestStopped)
    }

    /// As [`Guest::refresh`], for the instance of a guest function.
    ///
    /// # Safety
    /// The function is one of a closure of this store.
    unsafe fn refresh_for(&mut self, _function: *const c_void, binding: &Binding) {
        self.refresh(binding);
    }

    /// As [`Guest::allocate`], for the instance of a guest function.
    ///
    /// # Errors
    /// As [`Guest::allocate`].
    ///
    /// # Safety
    /// The function is one of a closure of this store.
    unsafe fn allocate_for(
        &mut self,
        _function: *const c_void,
        size: u64,
        align: u32,
    ) -> Result<u64, GuestStopped> {
        self.allocate(size, align)
    }
}

/// Guest code that a call ran has trapped; the host has the trap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestStopped;
