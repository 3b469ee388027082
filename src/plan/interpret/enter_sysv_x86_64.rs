//! The way into native code on x86-64 (System V psABI 3.2): loads the argument registers from the
//! frame, calls, and stores the result registers into the call record.
//!
//! Three stubs, because most calls need few registers. Registers that a prototype does not use are
//! loaded with whatever the frame holds: the callee does not read them.
use super::{
    Both, INTEGERS_AT, RESULT_INTEGERS_AT, RESULT_VECTORS_AT, RESULT_X87_AT, Straight, VECTORS_AT,
};
use crate::plan::frame::X87_STRIDE;
use crate::plan::frame::{FrameHead, GuestSlot};
use std::arch::naked_asm;
use std::ffi::c_void;

/// Whether this machine has stubs.
pub const SUPPORTED: bool = true;

/// Calls `target` with the integer registers of the frame.
///
/// # Safety
/// `frame` is a frame whose integer register images hold what `target` expects; calling it is sound.
#[unsafe(naked)]
pub unsafe extern "sysv64" fn integers(frame: *mut FrameHead, target: *const c_void) {
    naked_asm!(
        ".cfi_startproc",
        "push rbx",
        ".cfi_adjust_cfa_offset 8",
        ".cfi_rel_offset rbx, 0",
        "mov rbx, rdi",
        "mov r11, rsi",
        "mov rdi, [rbx + {integers}]",
        "mov rsi, [rbx + {integers} + 8]",
        "mov rdx, [rbx + {integers} + 16]",
        "mov rcx, [rbx + {integers} + 24]",
        "mov r8, [rbx + {integers} + 32]",
        "mov r9, [rbx + {integers} + 40]",
        "xor eax, eax",
        "call r11",
        "mov [rbx + {result_integers}], rax",
        "mov [rbx + {result_integers} + 8], rdx",
        "movups [rbx + {result_vectors}], xmm0",
        "pop rbx",
        ".cfi_adjust_cfa_offset -8",
        ".cfi_restore rbx",
        "ret",
        ".cfi_endproc",
        integers = const INTEGERS_AT,
        result_integers = const RESULT_INTEGERS_AT,
        result_vectors = const RESULT_VECTORS_AT,
    )
}

/// Calls `target` with the integer and vector registers of the frame.
///
/// # Safety
/// As [`integers`], for both kinds of registers.
#[unsafe(naked)]
pub unsafe extern "sysv64" fn registers(frame: *mut FrameHead, target: *const c_void) {
    naked_asm!(
        ".cfi_startproc",
        "push rbx",
        ".cfi_adjust_cfa_offset 8",
        ".cfi_rel_offset rbx, 0",
        "mov rbx, rdi",
        "mov r11, rsi",
        "movsd xmm0, [rbx + {vectors}]",
        "movsd xmm1, [rbx + {vectors} + 16]",
        "movsd xmm2, [rbx + {vectors} + 32]",
        "movsd xmm3, [rbx + {vectors} + 48]",
        "movsd xmm4, [rbx + {vectors} + 64]",
        "movsd xmm5, [rbx + {vectors} + 80]",
        "movsd xmm6, [rbx + {vectors} + 96]",
        "movsd xmm7, [rbx + {vectors} + 112]",
        "mov rdi, [rbx + {integers}]",
        "mov rsi, [rbx + {integers} + 8]",
        "mov rdx, [rbx + {integers} + 16]",
        "mov rcx, [rbx + {integers} + 24]",
        "mov r8, [rbx + {integers} + 32]",
        "mov r9, [rbx + {integers} + 40]",
        "mov eax, 8",
        "call r11",
        "mov [rbx + {result_integers}], rax",
        "mov [rbx + {result_integers} + 8], rdx",
        "movups [rbx + {result_vectors}], xmm0",
        "movups [rbx + {result_vectors} + 16], xmm1",
        "pop rbx",
        ".cfi_adjust_cfa_offset -8",
        ".cfi_restore rbx",
        "ret",
        ".cfi_endproc",
        integers = const INTEGERS_AT,
        vectors = const VECTORS_AT,
        result_integers = const RESULT_INTEGERS_AT,
        result_vectors = const RESULT_VECTORS_AT,
    )
}

/// Jumps to `target` with the integer registers of the frame: it returns straight to the caller.
///
/// # Safety
/// As [`integers`].
#[unsafe(naked)]
pub unsafe extern "sysv64" fn quick_integers(
    frame: *const FrameHead,
    target: *const c_void,
) -> Both {
    naked_asm!(
        "mov r11, rsi",
        "mov r10, rdi",
        "mov rdi, [r10 + {integers}]",
        "mov rsi, [r10 + {integers} + 8]",
        "mov rdx, [r10 + {integers} + 16]",
        "mov rcx, [r10 + {integers} + 24]",
        "mov r8, [r10 + {integers} + 32]",
        "mov r9, [r10 + {integers} + 40]",
        "xor eax, eax",
        "jmp r11",
        integers = const INTEGERS_AT,
    )
}

/// How many integer registers [`straight_integers`] loads.
pub const STRAIGHT_INTEGERS: usize = 6;
/// How many vector registers [`straight_registers`] loads beside them.
pub const STRAIGHT_VECTORS: usize = 4;

/// Jumps to `target` with values of the guest in the integer registers: 32 bits each, zero-extended, from
/// those offsets in its slots.
///
/// # Safety
/// 4 bytes are at each of the offsets; calling `target` with these arguments is sound.
#[unsafe(naked)]
pub unsafe extern "sysv64" fn straight_integers(
    slots: *const GuestSlot,
    target: *const c_void,
    straight: *const Straight,
) -> Both {
    naked_asm!(
        "mov r10, rdi",
        "mov r11, rsi",
        "mov rax, rdx",
        "movzx edi, word ptr [rax]",
        "movzx esi, word ptr [rax + 2]",
        "movzx edx, word ptr [rax + 4]",
        "movzx ecx, word ptr [rax + 6]",
        "movzx r8d, word ptr [rax + 8]",
        "movzx r9d, word ptr [rax + 10]",
        "mov edi, [r10 + rdi]",
        "mov esi, [r10 + rsi]",
        "mov edx, [r10 + rdx]",
        "mov ecx, [r10 + rcx]",
        "mov r8d, [r10 + r8]",
        "mov r9d, [r10 + r9]",
        "xor eax, eax",
        "jmp r11",
    )
}

/// As [`straight_integers`], and with 64 bits each in the first vector registers.
///
/// # Safety
/// As there, with 8 bytes at the offsets of vectors.
#[unsafe(naked)]
pub unsafe extern "sysv64" fn straight_registers(
    slots: *const GuestSlot,
    target: *const c_void,
    straight: *const Straight,
) -> Both {
    naked_asm!(
        "mov r10, rdi",
        "mov r11, rsi",
        "mov rax, rdx",
        "movzx edi, word ptr [rax + 12]",
        "movzx esi, word ptr [rax + 14]",
        "movzx edx, word ptr [rax + 16]",
        "movzx ecx, word ptr [rax + 18]",
        "movsd xmm0, [r10 + rdi]",
        "movsd xmm1, [r10 + rsi]",
        "movsd xmm2, [r10 + rdx]",
        "movsd xmm3, [r10 + rcx]",
        "movzx edi, word ptr [rax]",
        "movzx esi, word ptr [rax + 2]",
        "movzx edx, word ptr [rax + 4]",
        "movzx ecx, word ptr [rax + 6]",
        "movzx r8d, word ptr [rax + 8]",
        "movzx r9d, word ptr [rax + 10]",
        "mov edi, [r10 + rdi]",
        "mov esi, [r10 + rsi]",
        "mov edx, [r10 + rdx]",
        "mov ecx, [r10 + rcx]",
        "mov r8d, [r10 + r8]",
        "mov r9d, [r10 + r9]",
        "mov eax, 4",
        "jmp r11",
    )
}

/// Jumps to `target` with the integer and vector registers of the frame.
///
/// # Safety
/// As [`registers`].
#[unsafe(naked)]
pub unsafe extern "sysv64" fn quick_registers(
    frame: *const FrameHead,
    target: *const c_void,
) -> Both {
    naked_asm!(
        "mov r11, rsi",
        "mov r10, rdi",
        "movsd xmm0, [r10 + {vectors}]",
        "movsd xmm1, [r10 + {vectors} + 16]",
        "movsd xmm2, [r10 + {vectors} + 32]",
        "movsd xmm3, [r10 + {vectors} + 48]",
        "movsd xmm4, [r10 + {vectors} + 64]",
        "movsd xmm5, [r10 + {vectors} + 80]",
        "movsd xmm6, [r10 + {vectors} + 96]",
        "movsd xmm7, [r10 + {vectors} + 112]",
        "mov rdi, [r10 + {integers}]",
        "mov rsi, [r10 + {integers} + 8]",
        "mov rdx, [r10 + {integers} + 16]",
        "mov rcx, [r10 + {integers} + 24]",
        "mov r8, [r10 + {integers} + 32]",
        "mov r9, [r10 + {integers} + 40]",
        "mov eax, 8",
        "jmp r11",
        integers = const INTEGERS_AT,
        vectors = const VECTORS_AT,
    )
}

/// Calls `target` with all registers of the frame and a copy of `slots` eight-byte stack slots at
/// its stack pointer.
///
/// # Safety
/// As [`registers`]; `area` points at `slots` readable slots, an even number of them (the stack
/// stays 16-aligned), and the native stack has room for them.
#[unsafe(naked)]
pub unsafe extern "sysv64" fn stack(
    frame: *mut FrameHead,
    target: *const c_void,
    area: *const u64,
    slots: usize,
) {
    naked_asm!(
        ".cfi_startproc",
        "push rbp",
        ".cfi_adjust_cfa_offset 8",
        ".cfi_rel_offset rbp, 0",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        "push rbx",
        ".cfi_rel_offset rbx, -8",
        "push rbx", // keeps the stack 16-aligned
        "mov rbx, rdi",
        "mov r11, rsi",
        // Copies the slots from the highest to the lowest, so that every store touches the next
        // lower stack address: a guard page is met in order.
        "2:",
        "test rcx, rcx",
        "jz 3f",
        "push qword ptr [rdx + 8 * rcx - 8]",
        "dec rcx",
        "jmp 2b",
        "3:",
        "movsd xmm0, [rbx + {vectors}]",
        "movsd xmm1, [rbx + {vectors} + 16]",
        "movsd xmm2, [rbx + {vectors} + 32]",
        "movsd xmm3, [rbx + {vectors} + 48]",
        "movsd xmm4, [rbx + {vectors} + 64]",
        "movsd xmm5, [rbx + {vectors} + 80]",
        "movsd xmm6, [rbx + {vectors} + 96]",
        "movsd xmm7, [rbx + {vectors} + 112]",
        "mov rdi, [rbx + {integers}]",
        "mov rsi, [rbx + {integers} + 8]",
        "mov rdx, [rbx + {integers} + 16]",
        "mov rcx, [rbx + {integers} + 24]",
        "mov r8, [rbx + {integers} + 32]",
        "mov r9, [rbx + {integers} + 40]",
        "mov eax, 8",
        "call r11",
        "mov [rbx + {result_integers}], rax",
        "mov [rbx + {result_integers} + 8], rdx",
        "movups [rbx + {result_vectors}], xmm0",
        "movups [rbx + {result_vectors} + 16], xmm1",
        "mov rbx, [rbp - 8]",
        "mov rsp, rbp",
        "pop rbp",
        ".cfi_def_cfa rsp, 8",
        ".cfi_restore rbx",
        ".cfi_restore rbp",
        "ret",
        ".cfi_endproc",
        integers = const INTEGERS_AT,
        vectors = const VECTORS_AT,
        result_integers = const RESULT_INTEGERS_AT,
        result_vectors = const RESULT_VECTORS_AT,
    )
}

/// As [`stack`], with whole vector registers, an area that is aligned to `align` bytes (a power of
/// two, at least 16) at the call, and `x87` results in x87 registers.
///
/// # Safety
/// As [`stack`]; of the vector registers all 16 bytes are loaded. The function returns exactly so
/// many values in x87 registers.
#[unsafe(naked)]
pub unsafe extern "sysv64" fn whole(
    frame: *mut FrameHead,
    target: *const c_void,
    area: *const u64,
    slots: usize,
    align: usize,
    x87: usize,
) {
    naked_asm!(
        ".cfi_startproc",
        "push rbp",
        ".cfi_adjust_cfa_offset 8",
        ".cfi_rel_offset rbp, 0",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        "push rbx",
        ".cfi_offset rbx, -24",
        "push r12",
        ".cfi_offset r12, -32",
        "mov rbx, rdi",
        "mov r11, rsi",
        "mov r12, r9",
        "lea rax, [rcx * 8]",
        "sub rsp, rax",
        "neg r8",
        "and rsp, r8",
        "mov rsi, rdx",
        "mov rdi, rsp",
        "rep movsq",
        "movups xmm0, [rbx + {vectors}]",
        "movups xmm1, [rbx + {vectors} + 16]",
        "movups xmm2, [rbx + {vectors} + 32]",
        "movups xmm3, [rbx + {vectors} + 48]",
        "movups xmm4, [rbx + {vectors} + 64]",
        "movups xmm5, [rbx + {vectors} + 80]",
        "movups xmm6, [rbx + {vectors} + 96]",
        "movups xmm7, [rbx + {vectors} + 112]",
        "mov rdi, [rbx + {integers}]",
        "mov rsi, [rbx + {integers} + 8]",
        "mov rdx, [rbx + {integers} + 16]",
        "mov rcx, [rbx + {integers} + 24]",
        "mov r8, [rbx + {integers} + 32]",
        "mov r9, [rbx + {integers} + 40]",
        "mov eax, 8",
        "call r11",
        "mov [rbx + {result_integers}], rax",
        "mov [rbx + {result_integers} + 8], rdx",
        "movups [rbx + {result_vectors}], xmm0",
        "movups [rbx + {result_vectors} + 16], xmm1",
        "test r12, r12",
        "jz 2f",
        "fstp tbyte ptr [rbx + {result_x87}]",
        "cmp r12, 1",
        "je 2f",
        "fstp tbyte ptr [rbx + {result_x87} + {x87_stride}]",
        "2:",
        "lea rsp, [rbp - 16]",
        "pop r12",
        "pop rbx",
        "pop rbp",
        ".cfi_def_cfa rsp, 8",
        ".cfi_restore r12",
        ".cfi_restore rbx",
        ".cfi_restore rbp",
        "ret",
        ".cfi_endproc",
        integers = const INTEGERS_AT,
        vectors = const VECTORS_AT,
        result_integers = const RESULT_INTEGERS_AT,
        result_vectors = const RESULT_VECTORS_AT,
        result_x87 = const RESULT_X87_AT,
        x87_stride = const X87_STRIDE,
    )
}
