//! The way from native code into closures on x86-64 (System V psABI 3.2).
//!
//! A closure's address is that of a *stub*: it loads the closure's context into `r11` and jumps to the
//! entry that the context names. An *entry* saves registers into a frame right below the caller's,
//! calls the context's `run`, and returns what that returned.
//!
//! ```text
//!   stub     endbr64; mov r11, [slot]; jmp [r11]        16 bytes, the slot at a fixed distance
//!   entry    frame = registers, scratch memory below; run(frame, r11); ret
//! ```
//!
//! Stubs are in the program's own text ([`TABLE_STUBS`] of them), and beyond that in pages that are filled
//! from [`stub_code`].
use super::{INTEGERS_AT, RESULT_INTEGERS_AT, RESULT_VECTORS_AT, RESULT_X87_AT, VECTORS_AT};
use crate::plan::frame::{FrameHead, SCRATCH, X87_STRIDE};
use crate::plan::interpret::callback::Words;
use crate::plan::interpret::upcall::{Context, LOAD_ST0, LOAD_ST1, LOAD_WHOLE};
use std::arch::naked_asm;
use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::AtomicPtr;

/// How many stubs there are in the program's text.
pub const TABLE_STUBS: usize = 1024;
/// Distance of two stubs, and of two slots.
pub const STUB_STRIDE: usize = 16;

/// Where a stub finds the context of its closure.
#[derive(Debug)]
#[repr(C, align(16))]
pub struct TableSlot {
    /// The context.
    pub context: AtomicPtr<Context>,
}

const _: () = assert!(size_of::<TableSlot>() == STUB_STRIDE);

static TABLE: [TableSlot; TABLE_STUBS] =
    [const { TableSlot { context: AtomicPtr::new(ptr::null_mut()) } }; TABLE_STUBS];

/// The code of the stub of that number in the program's text.
#[must_use]
pub fn table_stub(number: usize) -> *const c_void {
    debug_assert!(number < TABLE_STUBS);
    (stubs as *const c_void).wrapping_byte_add(number * STUB_STRIDE)
}

/// The slot of that stub.
#[must_use]
pub fn table_slot(number: usize) -> &'static TableSlot {
    &TABLE[number]
}

/// The code of a stub whose slot lies `distance` bytes above it.
#[must_use]
pub fn stub_code(distance: u32) -> [u8; STUB_STRIDE] {
    // The processor counts from the end of `mov`.
    let [a, b, c, d] = (distance - 11).to_le_bytes();
    [0xf3, 0x0f, 0x1e, 0xfa, 0x4c, 0x8b, 0x1d, a, b, c, d, 0x41, 0xff, 0x23, 0xcc, 0xcc]
}

#[unsafe(naked)]
unsafe extern "sysv64" fn stubs() {
    naked_asm!(
        ".cfi_startproc",
        ".set portcullis_slot, 0",
        ".rept {count}",
        ".byte 0xf3, 0x0f, 0x1e, 0xfa", // endbr64
        "mov r11, qword ptr [rip + {table} + portcullis_slot]",
        "jmp qword ptr [r11]",
        ".byte 0xcc, 0xcc",
        ".set portcullis_slot, portcullis_slot + {stride}",
        ".endr",
        ".cfi_endproc",
        count = const TABLE_STUBS,
        table = sym TABLE,
        stride = const STUB_STRIDE,
    )
}

/// What a closure's compiled entry calls with its own arguments to have the interpreter make the call; `integers`:
/// how many integer registers C's take.
#[must_use]
pub fn typed_back(integers: u8) -> Option<*const c_void> {
    let back = match integers {
        0 => back_0 as *const c_void,
        1 => back_1 as *const c_void,
        2 => back_2 as *const c_void,
        3 => back_3 as *const c_void,
        4 => back_4 as *const c_void,
        5 => back_5 as *const c_void,
        _ => return None,
    };
    Some(back)
}

/// The argument behind C's integers is the context.
macro_rules! back {
    ($($back:ident $register:literal)*) => {$(
        #[unsafe(naked)]
        unsafe extern "sysv64" fn $back() {
            naked_asm!(
                ".cfi_startproc",
                "endbr64",
                concat!("mov r11, ", $register),
                "jmp qword ptr [r11 + {interpreted}]",
                ".cfi_endproc",
                interpreted = const Words::INTERPRETED,
            )
        }
    )*};
}

back! {
    back_0 "rdi"
    back_1 "rsi"
    back_2 "rdx"
    back_3 "rcx"
    back_4 "r8"
    back_5 "r9"
}

/// For plans whose arguments lie in integer registers and on the stack, and whose result is a scalar.
#[unsafe(naked)]
pub unsafe extern "sysv64" fn entry_integers() {
    naked_asm!(
        ".cfi_startproc",
        "endbr64",
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        "sub rsp, {frame} + {scratch}",
        "mov [rsp + {scratch} + {integers}], rdi",
        "mov [rsp + {scratch} + {integers} + 8], rsi",
        "mov [rsp + {scratch} + {integers} + 16], rdx",
        "mov [rsp + {scratch} + {integers} + 24], rcx",
        "mov [rsp + {scratch} + {integers} + 32], r8",
        "mov [rsp + {scratch} + {integers} + 40], r9",
        "lea rdi, [rsp + {scratch}]",
        "mov rsi, r11",
        "call [r11 + 8]",
        "leave",
        ".cfi_def_cfa rsp, 8",
        "ret",
        ".cfi_endproc",
        frame = const size_of::<FrameHead>(),
        scratch = const SCRATCH,
        integers = const INTEGERS_AT,
    )
}

/// As [`entry_integers`], with arguments in vector registers.
#[unsafe(naked)]
pub unsafe extern "sysv64" fn entry_all() {
    naked_asm!(
        ".cfi_startproc",
        "endbr64",
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        "sub rsp, {frame} + {scratch}",
        "mov [rsp + {scratch} + {integers}], rdi",
        "mov [rsp + {scratch} + {integers} + 8], rsi",
        "mov [rsp + {scratch} + {integers} + 16], rdx",
        "mov [rsp + {scratch} + {integers} + 24], rcx",
        "mov [rsp + {scratch} + {integers} + 32], r8",
        "mov [rsp + {scratch} + {integers} + 40], r9",
        "movaps [rsp + {scratch} + {vectors}], xmm0",
        "movaps [rsp + {scratch} + {vectors} + 16], xmm1",
        "movaps [rsp + {scratch} + {vectors} + 32], xmm2",
        "movaps [rsp + {scratch} + {vectors} + 48], xmm3",
        "movaps [rsp + {scratch} + {vectors} + 64], xmm4",
        "movaps [rsp + {scratch} + {vectors} + 80], xmm5",
        "movaps [rsp + {scratch} + {vectors} + 96], xmm6",
        "movaps [rsp + {scratch} + {vectors} + 112], xmm7",
        "lea rdi, [rsp + {scratch}]",
        "mov rsi, r11",
        "call [r11 + 8]",
        "leave",
        ".cfi_def_cfa rsp, 8",
        "ret",
        ".cfi_endproc",
        frame = const size_of::<FrameHead>(),
        scratch = const SCRATCH,
        integers = const INTEGERS_AT,
        vectors = const VECTORS_AT,
    )
}

/// As [`entry_all`], for results that plans take apart into the call record. Vector registers are loaded
/// whole only if `run` says so: a wide load behind two narrow stores is slow.
#[unsafe(naked)]
pub unsafe extern "sysv64" fn entry_record() {
    naked_asm!(
        ".cfi_startproc",
        "endbr64",
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        "sub rsp, {frame} + {scratch}",
        "mov [rsp + {scratch} + {integers}], rdi",
        "mov [rsp + {scratch} + {integers} + 8], rsi",
        "mov [rsp + {scratch} + {integers} + 16], rdx",
        "mov [rsp + {scratch} + {integers} + 24], rcx",
        "mov [rsp + {scratch} + {integers} + 32], r8",
        "mov [rsp + {scratch} + {integers} + 40], r9",
        "movaps [rsp + {scratch} + {vectors}], xmm0",
        "movaps [rsp + {scratch} + {vectors} + 16], xmm1",
        "movaps [rsp + {scratch} + {vectors} + 32], xmm2",
        "movaps [rsp + {scratch} + {vectors} + 48], xmm3",
        "movaps [rsp + {scratch} + {vectors} + 64], xmm4",
        "movaps [rsp + {scratch} + {vectors} + 80], xmm5",
        "movaps [rsp + {scratch} + {vectors} + 96], xmm6",
        "movaps [rsp + {scratch} + {vectors} + 112], xmm7",
        "lea rdi, [rsp + {scratch}]",
        "mov rsi, r11",
        "call [r11 + 8]",
        "test eax, eax",
        "jnz 3f",
        "movsd xmm0, [rsp + {scratch} + {result_vectors}]",
        "movsd xmm1, [rsp + {scratch} + {result_vectors} + 16]",
        "2:",
        "mov rax, [rsp + {scratch} + {result_integers}]",
        "mov rdx, [rsp + {scratch} + {result_integers} + 8]",
        "leave",
        ".cfi_remember_state",
        ".cfi_def_cfa rsp, 8",
        "ret",
        ".cfi_restore_state",
        "3:",
        "movups xmm0, [rsp + {scratch} + {result_vectors}]",
        "movups xmm1, [rsp + {scratch} + {result_vectors} + 16]",
        "test al, {st1}",
        "jz 4f",
        "fld tbyte ptr [rsp + {scratch} + {result_x87} + {x87_stride}]",
        "4:",
        "test al, {st0}",
        "jz 2b",
        "fld tbyte ptr [rsp + {scratch} + {result_x87}]",
        "jmp 2b",
        ".cfi_endproc",
        frame = const size_of::<FrameHead>(),
        scratch = const SCRATCH,
        integers = const INTEGERS_AT,
        vectors = const VECTORS_AT,
        result_integers = const RESULT_INTEGERS_AT,
        result_vectors = const RESULT_VECTORS_AT,
        result_x87 = const RESULT_X87_AT,
        x87_stride = const X87_STRIDE,
        st0 = const LOAD_ST0,
        st1 = const LOAD_ST1,
    )
}

const _: () = assert!(LOAD_WHOLE != LOAD_ST0 && LOAD_WHOLE != LOAD_ST1);

/// For closures that are gone.
#[unsafe(naked)]
pub unsafe extern "sysv64" fn entry_dead() {
    naked_asm!(
        ".cfi_startproc",
        "endbr64",
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        "and rsp, -16",
        "mov rdi, r11",
        "call [r11 + 16]",
        "ud2",
        ".cfi_endproc",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(unsafe_code, reason = "reads the code of the program")]
    fn stubs_of_pages_are_those_of_the_table() {
        for number in [0, 1, TABLE_STUBS - 1] {
            let stub = table_stub(number);
            let slot = ptr::from_ref(table_slot(number)).addr();
            // SAFETY: a stub is so many bytes of the program's text.
            let found = unsafe { stub.cast::<[u8; STUB_STRIDE]>().read() };
            // The table may lie below the code: distances wrap.
            let distance = slot.wrapping_sub(stub.addr()) & 0xffff_ffff;
            let distance = u32::try_from(distance).expect("32 bits");
            assert_eq!(found, stub_code(distance));
        }
    }
}
