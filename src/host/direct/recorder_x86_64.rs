//! Functions in no particular calling convention, for trial calls.
//!
//! The *recorder* writes down where everything is and goes on in another function, having changed nothing:
//! it is right under any convention.
#![expect(unsafe_code, reason = "machine code by hand, which writes to a static")]
use std::arch::naked_asm;
use std::ffi::c_void;
use std::mem::offset_of;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Slots of the stack that are recorded, the return address first.
pub(super) const STACK: usize = 8;

/// What the recorder has found.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Record {
    /// rdi rsi rdx rcx r8 r9
    pub integers: [u64; 6],
    pub stack_pointer: u64,
    /// xmm0 to xmm7
    pub vectors: [[u64; 2]; 8],
    pub stack: [u64; STACK],
    spare: u64,
    go_on: u64,
}

const EMPTY: Record = Record {
    integers: [0; 6],
    stack_pointer: 0,
    vectors: [[0; 2]; 8],
    stack: [0; STACK],
    spare: 0,
    go_on: 0,
};

/// Of the trial that holds [`TRIAL`]: there is no argument that it could come in.
static mut RECORD: Record = EMPTY;
static TRIAL: Mutex<()> = Mutex::new(());

/// # Safety
/// [`TRIAL`] is held, and `RECORD.go_on` is a function that may be called as this one was.
#[unsafe(naked)]
unsafe extern "sysv64" fn recorder() {
    naked_asm!(
        "mov [rip + {record}], rdi",
        "mov [rip + {record} + 8], rsi",
        "mov [rip + {record} + 16], rdx",
        "mov [rip + {record} + 24], rcx",
        "mov [rip + {record} + 32], r8",
        "mov [rip + {record} + 40], r9",
        "mov [rip + {record} + {stack_pointer}], rsp",
        "movups [rip + {record} + {vectors}], xmm0",
        "movups [rip + {record} + {vectors} + 16], xmm1",
        "movups [rip + {record} + {vectors} + 32], xmm2",
        "movups [rip + {record} + {vectors} + 48], xmm3",
        "movups [rip + {record} + {vectors} + 64], xmm4",
        "movups [rip + {record} + {vectors} + 80], xmm5",
        "movups [rip + {record} + {vectors} + 96], xmm6",
        "movups [rip + {record} + {vectors} + 112], xmm7",
        "mov [rip + {record} + {spare}], r11",
        "mov r11, [rsp]",
        "mov [rip + {record} + {stack}], r11",
        "mov r11, [rsp + 8]",
        "mov [rip + {record} + {stack} + 8], r11",
        "mov r11, [rsp + 16]",
        "mov [rip + {record} + {stack} + 16], r11",
        "mov r11, [rsp + 24]",
        "mov [rip + {record} + {stack} + 24], r11",
        "mov r11, [rsp + 32]",
        "mov [rip + {record} + {stack} + 32], r11",
        "mov r11, [rsp + 40]",
        "mov [rip + {record} + {stack} + 40], r11",
        "mov r11, [rsp + 48]",
        "mov [rip + {record} + {stack} + 48], r11",
        "mov r11, [rsp + 56]",
        "mov [rip + {record} + {stack} + 56], r11",
        "mov r11, [rip + {record} + {spare}]",
        "jmp qword ptr [rip + {record} + {go_on}]",
        record = sym RECORD,
        stack_pointer = const offset_of!(Record, stack_pointer),
        vectors = const offset_of!(Record, vectors),
        stack = const offset_of!(Record, stack),
        spare = const offset_of!(Record, spare),
        go_on = const offset_of!(Record, go_on),
    )
}

/// What [`integer`] returns in rax.
pub(super) const INTEGER: u64 = 0x1234_5678_9abc_def1;
/// The bits of what [`number`] returns in xmm0.
pub(super) const NUMBER: u64 = 0x4009_21fb_5444_2d18;

/// # Safety
/// None is needed: it changes two registers that no convention keeps.
#[unsafe(naked)]
unsafe extern "sysv64" fn integer() {
    naked_asm!("movabs rax, {mark}", "ret", mark = const INTEGER)
}

/// # Safety
/// As [`integer`].
#[unsafe(naked)]
unsafe extern "sysv64" fn number() {
    naked_asm!("movabs rax, {mark}", "movq xmm0, rax", "ret", mark = const NUMBER)
}

/// The functions of a trial.
pub(super) fn functions() -> [*const c_void; 3] {
    [recorder as *const c_void, integer as *const c_void, number as *const c_void]
}

/// The record is one trial's alone as long as this lives.
pub(super) struct Held {
    _held: MutexGuard<'static, ()>,
}

impl Held {
    pub(super) fn new() -> Held {
        Held { _held: TRIAL.lock().unwrap_or_else(PoisonError::into_inner) }
    }

    /// Where the recorder goes on.
    pub(super) fn go_on_in(&self, function: *const c_void) {
        // SAFETY: the lock is held, and no trial call is being made.
        unsafe { RECORD = Record { go_on: function.expose_provenance() as u64, ..EMPTY } };
    }

    /// What it has found.
    pub(super) fn record(&self) -> Record {
        // SAFETY: the lock is held, and no trial call is being made.
        unsafe { RECORD }
    }
}
