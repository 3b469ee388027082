//! Functions to be called, and C's loops around them, where libraries and the code of guests are.
//!
//! A processor takes longer for a call that goes far (this program's text is terabytes away from mapped libraries and from
//! code that wasmtime makes: 0.8 ns on the machine that this was found on). With functions of the program itself C's
//! loop would be near them and guests far. So both, as gcc compiles them with `-O2`, are position-independent code
//! that is copied into a mapping of its own. `cargo bench --bench comparison` measures gcc's own loop beside them.
#![expect(unsafe_code, reason = "maps code, and runs it")]
use super::harness::Loop;
use super::row::Address;
use std::ffi::c_void;
use std::mem::transmute;
use std::ptr;
use std::sync::OnceLock;

// Labels are global, because what refers to them may be compiled apart, and hidden. A loop gets: where the
// function's address is, which it reads in each turn; how many turns; and a pointer to pass. It keeps them in r12, ebx and
// r13. The functions' stack arguments are at rsp.
std::arch::global_asm!(
    r#"
.macro PORTCULLIS_LABEL name
    .balign 64
    .globl \name
    .hidden \name
\name:
.endm
.macro PORTCULLIS_ENTER
    push rbp
    mov rbp, rsp
    push rbx
    push r12
    push r13
    push r14
    sub rsp, 64
    mov r12, rdi
    mov ebx, esi
    mov r13, rdx
    mov eax, 1
    .balign 32
2:
.endm
.macro PORTCULLIS_CALL
    mov r11, [r12]
    call r11
    dec ebx
    jne 2b
    add rsp, 64
    pop r14
    pop r13
    pop r12
    pop rbx
    pop rbp
    ret
.endm
    .text
    .balign 64
    PORTCULLIS_LABEL portcullis_near_start

    PORTCULLIS_LABEL portcullis_f_ints0
    mov eax, 7
    ret
    PORTCULLIS_LABEL portcullis_f_ints1
    lea eax, [rdi + 7]
    ret
    PORTCULLIS_LABEL portcullis_f_ints2
    lea eax, [rdi + rsi + 7]
    ret
    PORTCULLIS_LABEL portcullis_f_ints3
    lea eax, [rdi + rsi + 7]
    add eax, edx
    ret
    PORTCULLIS_LABEL portcullis_f_ints4
    lea eax, [rdi + rsi + 7]
    add eax, edx
    add eax, ecx
    ret
    PORTCULLIS_LABEL portcullis_f_ints6
    lea eax, [rdi + rsi + 7]
    add eax, edx
    add eax, ecx
    add eax, r8d
    add eax, r9d
    ret
    PORTCULLIS_LABEL portcullis_f_ints8
    lea eax, [rdi + rsi + 7]
    add eax, edx
    add eax, ecx
    add eax, r8d
    add eax, r9d
    add eax, [rsp + 8]
    add eax, [rsp + 16]
    ret
    PORTCULLIS_LABEL portcullis_f_ints12
    lea eax, [rdi + rsi + 7]
    add eax, edx
    add eax, ecx
    add eax, r8d
    add eax, r9d
    add eax, [rsp + 8]
    add eax, [rsp + 16]
    add eax, [rsp + 24]
    add eax, [rsp + 32]
    add eax, [rsp + 40]
    add eax, [rsp + 48]
    ret
    PORTCULLIS_LABEL portcullis_f_half
    mov rax, 0x3fe0000000000000
    movq xmm1, rax
    mulsd xmm0, xmm1
    ret
    PORTCULLIS_LABEL portcullis_f_mixed
    lea rax, [rdi + rsi]
    add rax, rdx
    add rax, rcx
    add rax, r8
    add rax, r9
    add rax, [rsp + 8]
    add rax, [rsp + 16]
    add rax, [rsp + 24]
    add rax, [rsp + 32]
    addsd xmm0, xmm1
    addsd xmm0, xmm2
    addsd xmm0, xmm3
    addsd xmm0, xmm4
    addsd xmm0, xmm5
    addsd xmm0, xmm6
    addsd xmm0, xmm7
    xorpd xmm1, xmm1
    xor ecx, ecx
    ucomisd xmm0, xmm1
    seta cl
    add rax, rcx
    ret
    PORTCULLIS_LABEL portcullis_f_buffer
    movzx eax, byte ptr [rdi + rdx - 1]
    add eax, esi
    ret
    PORTCULLIS_LABEL portcullis_f_text
    movzx eax, byte ptr [rdi + 7]
    add eax, esi
    ret
    PORTCULLIS_LABEL portcullis_f_swap
    movapd xmm2, xmm0
    movapd xmm0, xmm1
    movapd xmm1, xmm2
    ret
    PORTCULLIS_LABEL portcullis_f_second
    mov eax, [rdi + 8]
    add eax, esi
    ret
    PORTCULLIS_LABEL portcullis_f_counter_add
    add [rdi], esi
    mov eax, [rdi]
    ret
    PORTCULLIS_LABEL portcullis_f_apply
    sub rsp, 8
    mov rax, rdi
    mov edi, esi
    call rax
    add eax, 1
    add rsp, 8
    ret
    PORTCULLIS_LABEL portcullis_f_triple
    lea eax, [rdi + 2 * rdi]
    ret
    .balign 32

    PORTCULLIS_LABEL portcullis_c_ints0
    PORTCULLIS_ENTER
    PORTCULLIS_CALL
    PORTCULLIS_LABEL portcullis_c_ints1
    PORTCULLIS_ENTER
    mov edi, eax
    PORTCULLIS_CALL
    PORTCULLIS_LABEL portcullis_c_ints2
    PORTCULLIS_ENTER
    mov edi, eax
    mov esi, ebx
    PORTCULLIS_CALL
    PORTCULLIS_LABEL portcullis_c_ints3
    PORTCULLIS_ENTER
    mov edi, eax
    mov esi, ebx
    mov edx, 2
    PORTCULLIS_CALL
    PORTCULLIS_LABEL portcullis_c_ints4
    PORTCULLIS_ENTER
    mov edi, eax
    mov esi, ebx
    mov edx, 2
    mov ecx, 3
    PORTCULLIS_CALL
    PORTCULLIS_LABEL portcullis_c_ints6
    PORTCULLIS_ENTER
    mov edi, eax
    mov esi, ebx
    mov edx, 2
    mov ecx, 3
    mov r8d, 4
    mov r9d, 5
    PORTCULLIS_CALL
    PORTCULLIS_LABEL portcullis_c_ints8
    PORTCULLIS_ENTER
    mov edi, eax
    mov esi, ebx
    mov edx, 2
    mov ecx, 3
    mov r8d, 4
    mov r9d, 5
    mov dword ptr [rsp], 6
    mov dword ptr [rsp + 8], 7
    PORTCULLIS_CALL
    PORTCULLIS_LABEL portcullis_c_ints12
    PORTCULLIS_ENTER
    mov edi, eax
    mov esi, ebx
    mov edx, 2
    mov ecx, 3
    mov r8d, 4
    mov r9d, 5
    mov dword ptr [rsp], 6
    mov dword ptr [rsp + 8], 7
    mov dword ptr [rsp + 16], 8
    mov dword ptr [rsp + 24], 9
    mov dword ptr [rsp + 32], 10
    mov dword ptr [rsp + 40], 11
    PORTCULLIS_CALL
    PORTCULLIS_LABEL portcullis_c_mixed
    PORTCULLIS_ENTER
    mov rdi, rax
    mov esi, ebx
    mov edx, 2
    mov ecx, 3
    mov r8d, 4
    mov r9d, 5
    mov qword ptr [rsp], 2
    mov qword ptr [rsp + 8], 3
    mov qword ptr [rsp + 16], 4
    mov qword ptr [rsp + 24], 5
    movsd xmm0, [r13]
    movsd xmm1, [r13 + 8]
    movsd xmm2, [r13 + 16]
    movsd xmm3, [r13 + 24]
    movsd xmm4, [r13 + 32]
    movsd xmm5, [r13 + 40]
    movsd xmm6, [r13 + 48]
    movsd xmm7, [r13 + 56]
    PORTCULLIS_CALL
    PORTCULLIS_LABEL portcullis_c_buffer
    PORTCULLIS_ENTER
    mov rdi, r13
    mov esi, eax
    mov edx, 64
    PORTCULLIS_CALL
    PORTCULLIS_LABEL portcullis_c_pointer
    PORTCULLIS_ENTER
    mov rdi, r13
    mov esi, eax
    PORTCULLIS_CALL
    PORTCULLIS_LABEL portcullis_c_doubles
    mov rax, 0x3ff0000000000000
    movq xmm0, rax
    mov rax, 0x4000000000000000
    movq xmm1, rax
    PORTCULLIS_ENTER
    PORTCULLIS_CALL

    PORTCULLIS_LABEL portcullis_e_int
    mov eax, 1
    .balign 32
2:
    xor eax, esi
    dec esi
    jne 2b
    ret
    PORTCULLIS_LABEL portcullis_e_long
    mov eax, 1
    .balign 32
2:
    xor rax, rsi
    dec esi
    jne 2b
    ret
    PORTCULLIS_LABEL portcullis_e_double
    mov rax, 0x3ff0000000000000
    movq xmm0, rax
    mov rax, 0x3fe0000000000000
    movq xmm1, rax
    .balign 32
2:
    mulsd xmm0, xmm1
    dec esi
    jne 2b
    ret
    .balign 64
    PORTCULLIS_LABEL portcullis_near_end
.purgem PORTCULLIS_LABEL
.purgem PORTCULLIS_ENTER
.purgem PORTCULLIS_CALL
"#
);

/// Declares labels, and finds them by name.
macro_rules! labels {
    ($($name:literal $label:ident),+ $(,)?) => {
        unsafe extern "C" {
            static portcullis_near_start: u8;
            static portcullis_near_end: u8;
            $(static $label: u8;)+
        }

        /// How far behind the beginning that is.
        fn offset(wanted: &str) -> Option<usize> {
            let start = (&raw const portcullis_near_start).addr();
            let at = match wanted {
                $($name => (&raw const $label).addr(),)+
                _ => return None,
            };
            Some(at - start)
        }
    };
}
labels! {
    "f ints0" portcullis_f_ints0, "f ints1" portcullis_f_ints1, "f ints2" portcullis_f_ints2,
    "f ints3" portcullis_f_ints3, "f ints4" portcullis_f_ints4, "f ints6" portcullis_f_ints6,
    "f ints8" portcullis_f_ints8, "f ints12" portcullis_f_ints12, "f half" portcullis_f_half,
    "f mixed" portcullis_f_mixed, "f buffer" portcullis_f_buffer, "f text" portcullis_f_text,
    "f swap" portcullis_f_swap, "f second" portcullis_f_second,
    "f counter_add" portcullis_f_counter_add, "f apply" portcullis_f_apply, "f triple" portcullis_f_triple,
    "c ints0" portcullis_c_ints0, "c ints1" portcullis_c_ints1, "c ints2" portcullis_c_ints2,
    "c ints3" portcullis_c_ints3, "c ints4" portcullis_c_ints4, "c ints6" portcullis_c_ints6,
    "c ints8" portcullis_c_ints8, "c ints12" portcullis_c_ints12, "c mixed" portcullis_c_mixed,
    "c buffer" portcullis_c_buffer, "c pointer" portcullis_c_pointer, "c doubles" portcullis_c_doubles,
    "e int" portcullis_e_int, "e long" portcullis_e_long, "e double" portcullis_e_double,
}

/// Where something of the code is, once it has been copied; `None` if there is no memory for it.
fn place(name: &str) -> Option<Address> {
    static CODE: OnceLock<Option<Address>> = OnceLock::new();
    let start = (*CODE.get_or_init(copy))?;
    // SAFETY: the label is inside of what was copied.
    Some(Address(unsafe { start.get().byte_add(offset(name)?) }))
}

/// Copies the code to where the system maps libraries. It stays there.
fn copy() -> Option<Address> {
    let start = &raw const portcullis_near_start;
    let size = (&raw const portcullis_near_end).addr() - start.addr();
    // SAFETY: a new mapping; it is filled, and only then executable, and never both.
    unsafe {
        let (access, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        let code = libc::mmap(ptr::null_mut(), size, access, flags, -1, 0);
        if code == libc::MAP_FAILED {
            return None;
        }
        code.cast::<u8>().copy_from_nonoverlapping(start, size);
        let made = libc::mprotect(code, size, libc::PROT_READ | libc::PROT_EXEC);
        (made == 0).then_some(Address(code.cast_const()))
    }
}

/// A function that is to be called.
#[must_use]
pub fn function(name: &str) -> Option<Address> {
    place(&format!("f {name}"))
}

/// C's loop `name` around such a function, and the `empty` one. `data` is what the loop passes, if it passes a pointer.
#[must_use]
pub fn loops(name: &str, empty: &str, function: Address, data: Address) -> Option<(Loop, Loop)> {
    type Run = unsafe extern "C" fn(*const *const c_void, i32, *const c_void);
    type Empty = unsafe extern "C" fn(*const c_void, i32);
    let (run, empty) = (place(&format!("c {name}"))?, place(&format!("e {empty}"))?);
    // SAFETY: the code is a function of this type.
    let run = unsafe { transmute::<*const c_void, Run>(run.get()) };
    // SAFETY: likewise.
    let empty = unsafe { transmute::<*const c_void, Empty>(empty.get()) };
    let run = move |turns: u32| {
        let cell = function.get();
        // SAFETY: the function takes what the loop passes; not a turn would be 2³² of them.
        unsafe { run(&raw const cell, turns.cast_signed().max(1), data.get()) };
    };
    let empty = move |turns: u32| {
        // SAFETY: it touches nothing.
        unsafe { empty(ptr::null(), turns.cast_signed().max(1)) };
    };
    Some((Box::new(run), Box::new(empty)))
}
