//! What direct calls need beside trampolines, by hand.
#![expect(unsafe_code, reason = "machine code by hand")]
use super::{Context, FuncRef, Halted, Registers};
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

/// A frame with [`Registers`], which keep the integers of the arguments.
macro_rules! enter {
    () => {
        concat!(
            ".cfi_startproc\n",
            "push rbp\n",
            ".cfi_adjust_cfa_offset 8\n",
            ".cfi_rel_offset rbp, 0\n",
            "mov rbp, rsp\n",
            ".cfi_def_cfa_register rbp\n",
            "sub rsp, {kept}\n",
            "mov [rsp + {integers}], rdx\n",
            "mov [rsp + {integers} + 8], rcx\n",
            "mov [rsp + {integers} + 16], r8\n",
            "mov [rsp + {integers} + 24], r9\n",
        )
    };
}

/// They keep the floats too.
macro_rules! keep_vectors {
    () => {
        concat!(
            "movsd [rsp + {vectors}], xmm0\n",
            "movsd [rsp + {vectors} + 8], xmm1\n",
            "movsd [rsp + {vectors} + 16], xmm2\n",
            "movsd [rsp + {vectors} + 24], xmm3\n",
            "movsd [rsp + {vectors} + 32], xmm4\n",
            "movsd [rsp + {vectors} + 40], xmm5\n",
            "movsd [rsp + {vectors} + 48], xmm6\n",
            "movsd [rsp + {vectors} + 56], xmm7\n",
        )
    };
}

/// The integers of the arguments as they came.
macro_rules! integers_back {
    () => {
        concat!(
            "mov rdx, [rsp + {integers}]\n",
            "mov rcx, [rsp + {integers} + 8]\n",
            "mov r8, [rsp + {integers} + 16]\n",
            "mov r9, [rsp + {integers} + 24]\n",
        )
    };
}

/// The floats.
macro_rules! vectors_back {
    () => {
        concat!(
            "movsd xmm0, [rsp + {vectors}]\n",
            "movsd xmm1, [rsp + {vectors} + 8]\n",
            "movsd xmm2, [rsp + {vectors} + 16]\n",
            "movsd xmm3, [rsp + {vectors} + 24]\n",
            "movsd xmm4, [rsp + {vectors} + 32]\n",
            "movsd xmm5, [rsp + {vectors} + 40]\n",
            "movsd xmm6, [rsp + {vectors} + 48]\n",
            "movsd xmm7, [rsp + {vectors} + 56]\n",
        )
    };
}

/// Leaves the frame through the door of what `eax` says is left to do.
macro_rules! go_on_at_a_door {
    () => {
        concat!(
            "mov r10, [rsp + {context}]\n",
            "mov rsi, [rsp + {caller}]\n",
            "leave\n",
            ".cfi_def_cfa rsp, 8\n",
            ".cfi_restore rbp\n",
            "cmp eax, {after}\n",
            "mov rax, [r10 + {redo}]\n",
            "cmove rax, [r10 + {resume}]\n",
            "mov rdi, [rax + {vmctx}]\n",
            "jmp qword ptr [rax + {wasm_call}]\n",
            ".cfi_endproc\n",
        )
    };
}

/// Leaves the frame for the context in `rdi`.
macro_rules! go_on_there {
    () => {
        concat!(
            "mov rsi, [rsp + {caller}]\n",
            "leave\n",
            ".cfi_def_cfa rsp, 8\n",
            ".cfi_restore rbp\n",
            "jmp qword ptr [rdi + {entry}]\n",
            ".cfi_endproc\n",
        )
    };
}

/// What guests enter as long as there is no trampoline, and the interpreter takes the short way: see
/// [`Registers`]. What `interpret` leaves undone goes through one of the doors, with everything as it came. For
/// imports without floats, and without arguments on the stack.
///
/// # Safety
/// As guests call it: the first argument is a [`Context`] whose `interpret` takes such calls, and whose doors are
/// set and filled.
#[unsafe(naked)]
unsafe extern "sysv64" fn interpret_integers() {
    naked_asm!(
        enter!(),
        "mov [rsp + {context}], rdi",
        "mov [rsp + {caller}], rsi",
        "mov rdx, rsp",
        "call qword ptr [rdi + {interpret}]",
        "test eax, eax",
        "jnz 2f",
        "mov rax, rdx",
        "movq xmm0, rdx",
        "leave",
        ".cfi_remember_state",
        ".cfi_def_cfa rsp, 8",
        ".cfi_restore rbp",
        "ret",
        ".cfi_restore_state",
        "2:",
        integers_back!(),
        go_on_at_a_door!(),
        kept = const Registers::KEPT,
        after = const Halted::After as u32,
        integers = const offset_of!(Registers, integers),
        context = const offset_of!(Registers, context),
        caller = const offset_of!(Registers, caller),
        interpret = const offset_of!(Context, interpret),
        redo = const offset_of!(Context, redo),
        resume = const offset_of!(Context, resume),
        vmctx = const offset_of!(FuncRef, vmctx),
        wasm_call = const offset_of!(FuncRef, wasm_call),
    )
}

/// As [`interpret_integers`], for all imports. It takes the arguments off the stack, when all is done, by
/// returning from above them.
///
/// # Safety
/// As there.
#[unsafe(naked)]
unsafe extern "sysv64" fn interpret_all() {
    naked_asm!(
        enter!(),
        keep_vectors!(),
        "mov [rsp + {context}], rdi",
        "mov [rsp + {caller}], rsi",
        "mov rdx, rsp",
        "call qword ptr [rdi + {interpret}]",
        "test eax, eax",
        "jnz 2f",
        "mov rax, rdx",
        "movq xmm0, rdx",
        "mov rcx, [rsp + {context}]",
        "mov ecx, [rcx + {popped}]",
        "leave",
        ".cfi_remember_state",
        ".cfi_def_cfa rsp, 8",
        ".cfi_restore rbp",
        "pop rdx",
        ".cfi_adjust_cfa_offset -8",
        ".cfi_register 16, 1",
        "add rsp, rcx",
        "push rdx",
        ".cfi_adjust_cfa_offset 8",
        ".cfi_offset 16, -8",
        "ret",
        ".cfi_restore_state",
        "2:",
        integers_back!(),
        vectors_back!(),
        go_on_at_a_door!(),
        kept = const Registers::KEPT,
        after = const Halted::After as u32,
        integers = const offset_of!(Registers, integers),
        vectors = const offset_of!(Registers, vectors),
        context = const offset_of!(Registers, context),
        caller = const offset_of!(Registers, caller),
        interpret = const offset_of!(Context, interpret),
        popped = const offset_of!(Context, popped),
        redo = const offset_of!(Context, redo),
        resume = const offset_of!(Context, resume),
        vmctx = const offset_of!(FuncRef, vmctx),
        wasm_call = const offset_of!(FuncRef, wasm_call),
    )
}

/// What guests enter where the interpreter makes the calls of a context. `simple` imports have integers alone,
/// all of them in registers.
#[must_use]
pub fn interpreter_entry(simple: bool) -> *const c_void {
    if simple { interpret_integers as *const c_void } else { interpret_all as *const c_void }
}

/// What guests enter where one of several functions is called, which the arguments choose: `interpret` returns the
/// context of that one as its result, and the call goes on where it says, with everything else as it came. For imports
/// without floats.
///
/// # Safety
/// As guests call it: the first argument is a [`Context`] whose `interpret` chooses, and returns a context whose
/// `entry` takes such calls.
#[unsafe(naked)]
unsafe extern "sysv64" fn choose_by_integers() {
    naked_asm!(
        enter!(),
        "mov [rsp + {caller}], rsi",
        "mov rdx, rsp",
        "call qword ptr [rdi + {interpret}]",
        "mov rdi, rdx",
        integers_back!(),
        go_on_there!(),
        kept = const Registers::KEPT,
        integers = const offset_of!(Registers, integers),
        caller = const offset_of!(Registers, caller),
        interpret = const offset_of!(Context, interpret),
        entry = const offset_of!(Context, entry),
    )
}

/// As [`choose_by_integers`], for all imports without vectors.
///
/// # Safety
/// As there.
#[unsafe(naked)]
unsafe extern "sysv64" fn choose_by_all() {
    naked_asm!(
        enter!(),
        keep_vectors!(),
        "mov [rsp + {caller}], rsi",
        "mov rdx, rsp",
        "call qword ptr [rdi + {interpret}]",
        "mov rdi, rdx",
        integers_back!(),
        vectors_back!(),
        go_on_there!(),
        kept = const Registers::KEPT,
        integers = const offset_of!(Registers, integers),
        vectors = const offset_of!(Registers, vectors),
        caller = const offset_of!(Registers, caller),
        interpret = const offset_of!(Context, interpret),
        entry = const offset_of!(Context, entry),
    )
}

/// What guests enter where the arguments choose the function. `integers`: no argument is a float.
#[must_use]
pub fn choosing_entry(integers: bool) -> *const c_void {
    if integers { choose_by_integers as *const c_void } else { choose_by_all as *const c_void }
}
