//! What direct calls need beside trampolines, by hand.
#![expect(unsafe_code, reason = "machine code by hand")]
use super::{Context, FuncRef};
use std::arch::naked_asm;
use std::ffi::c_void;
use std::mem::offset_of;

/// What a host that calls such an import enters: it goes on in the ordinary function.
///
/// # Safety
/// As wasmtime calls it: the first argument is a [`Context`] whose `redo` is set.
#[unsafe(naked)]
unsafe extern "sysv64" fn array_call() {
    naked_asm!(
        "mov rax, [rdi + {redo}]",
        "mov rdi, [rax + {vmctx}]",
        "jmp qword ptr [rax + {array_call}]",
        redo = const offset_of!(Context, redo),
        vmctx = const offset_of!(FuncRef, vmctx),
        array_call = const offset_of!(FuncRef, array_call),
    )
}

/// What guests enter as long as there is no trampoline: it goes on in the ordinary function.
///
/// # Safety
/// As guests call it: the first argument is a [`Context`] whose `redo` is set, and filled.
#[unsafe(naked)]
unsafe extern "sysv64" fn wasm_call() {
    naked_asm!(
        "mov rax, [rdi + {redo}]",
        "mov rdi, [rax + {vmctx}]",
        "jmp qword ptr [rax + {wasm_call}]",
        redo = const offset_of!(Context, redo),
        vmctx = const offset_of!(FuncRef, vmctx),
        wasm_call = const offset_of!(FuncRef, wasm_call),
    )
}

/// Where a [`Stub`](super::Stub) goes at first.
#[must_use]
pub fn first_entry() -> *const c_void {
    wasm_call as *const c_void
}

/// What a [`FuncRef`] of a [`Context`] has for the host.
#[must_use]
pub fn host_entry() -> *const c_void {
    array_call as *const c_void
}
