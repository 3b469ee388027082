//! Routines that compiled code calls: what is long, or slow, or may not trap.
//!
//! They are reached by their addresses, which the code holds as constants. None of them unwinds: a
//! panic in one ends the process.
#![expect(unsafe_code, reason = "compiled code passes addresses")]
use crate::plan::StoreBlock;
use crate::plan::handles::HandleType;
use crate::plan::interpret::assist::{self, Noted};
use crate::plan::interpret::{self, text_length};
use crate::plan::op::Fate;
#[cfg(feature = "cranelift")]
use cranelift_codegen::ir::{AbiParam, Signature, types};
#[cfg(feature = "cranelift")]
use cranelift_codegen::isa::CallConv;
use serde::{Deserialize, Serialize};
use std::ffi::c_void;
use std::ptr;
use std::slice;

/// A routine outside of compiled code. All arguments and results are 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum Helper {
    /// Bytes of a string of 1-byte characters, terminator included; 0 when there is none.
    TextLength,
    /// Of 2-byte characters.
    TextLength16,
    /// Of 4-byte characters.
    TextLength32,
    /// `/` of signed numbers whose quotient exists.
    Divide,
    /// `%` of such numbers.
    Remainder,
    /// `/` of unsigned numbers, not by zero.
    DivideUnsigned,
    /// `%` likewise.
    RemainderUnsigned,
    /// The pointer of a handle; NULL when it is not fit.
    EnterHandle,
    /// As `EnterHandle`, and notes on it that a call uses it.
    MarkHandle,
    /// As `MarkHandle`, of the only handle of a call, which may get it for itself.
    EnterAlone,
    /// Takes back what was noted.
    LeaveHandle,
    /// Reserves handles; 0 when there is no room.
    ReserveHandles,
    /// Where this thread's `errno` is.
    ErrnoLocation,
    /// The interpreter runs an op before the call; 0 when it fails.
    Step,
    /// What ops have taken is given back: the interpreter makes the call.
    Undo,
    /// Native code runs next, and may call closures.
    BeginCall,
    /// Enters native code through the interpreter's stub.
    EnterNative,
    /// It has returned; 0 when something else has happened.
    EndCall,
}

impl Helper {
    /// What readers of CLIF see instead of an address.
    #[cfg(feature = "cranelift")]
    pub(super) fn name(self) -> &'static str {
        match self {
            Helper::TextLength => "text_length",
            Helper::TextLength16 => "text_length_16",
            Helper::TextLength32 => "text_length_32",
            Helper::Divide => "divide",
            Helper::Remainder => "remainder",
            Helper::DivideUnsigned => "divide_unsigned",
            Helper::RemainderUnsigned => "remainder_unsigned",
            Helper::EnterHandle => "enter_handle",
            Helper::MarkHandle => "mark_handle",
            Helper::EnterAlone => "enter_alone",
            Helper::LeaveHandle => "leave_handle",
            Helper::ReserveHandles => "reserve_handles",
            Helper::ErrnoLocation => "errno_location",
            Helper::Step => "step",
            Helper::Undo => "undo",
            Helper::BeginCall => "begin_call",
            Helper::EnterNative => "enter_native",
            Helper::EndCall => "end_call",
        }
    }

    pub(super) fn address(self) -> u64 {
        let address: *const () = match self {
            Helper::TextLength => text_length_of::<1> as *const (),
            Helper::TextLength16 => text_length_of::<2> as *const (),
            Helper::TextLength32 => text_length_of::<4> as *const (),
            Helper::Divide => divide as *const (),
            Helper::Remainder => remainder as *const (),
            Helper::DivideUnsigned => divide_unsigned as *const (),
            Helper::RemainderUnsigned => remainder_unsigned as *const (),
            Helper::EnterHandle => enter_handle::<false> as *const (),
            Helper::MarkHandle => enter_handle::<true> as *const (),
            Helper::EnterAlone => enter_alone as *const (),
            Helper::LeaveHandle => leave_handle as *const (),
            Helper::ReserveHandles => reserve_handles as *const (),
            Helper::ErrnoLocation => libc::__errno_location as *const (),
            Helper::Step => assist::step as *const (),
            Helper::Undo => assist::undo as *const (),
            Helper::BeginCall => assist::begin as *const (),
            Helper::EnterNative => assist::enter_native as *const (),
            Helper::EndCall => assist::end as *const (),
        };
        address.expose_provenance() as u64
    }

    #[cfg(feature = "cranelift")]
    pub(super) fn signature(self) -> Signature {
        let (params, results) = match self {
            Helper::TextLength | Helper::TextLength16 | Helper::TextLength32 => (2, 1),
            Helper::Divide | Helper::Remainder => (2, 1),
            Helper::DivideUnsigned | Helper::RemainderUnsigned => (2, 1),
            Helper::EnterHandle | Helper::MarkHandle | Helper::EnterAlone => (4, 1),
            Helper::LeaveHandle => (3, 0),
            Helper::ReserveHandles => (2, 1),
            Helper::ErrnoLocation => (0, 1),
            Helper::Step => (2, 1),
            Helper::Undo => (2, 0),
            Helper::BeginCall | Helper::EnterNative => (1, 0),
            Helper::EndCall => (1, 1),
        };
        let mut signature = Signature::new(CallConv::SystemV);
        signature.params.extend((0..params).map(|_| AbiParam::new(types::I64)));
        signature.returns.extend((0..results).map(|_| AbiParam::new(types::I64)));
        signature
    }
}

/// # Safety
/// `left` bytes are readable at `start`, and nothing writes to them meanwhile.
unsafe extern "C" fn text_length_of<const UNIT: u8>(start: *const u8, left: u64) -> u64 {
    // SAFETY: the caller's promise; a length of memory fits an address.
    let bytes = unsafe { slice::from_raw_parts(start, left as usize) };
    text_length(bytes, UNIT).map_or(0, |length| length as u64)
}

extern "C" fn divide(left: i64, right: i64) -> i64 {
    left / right
}

extern "C" fn remainder(left: i64, right: i64) -> i64 {
    left % right
}

extern "C" fn divide_unsigned(left: u64, right: u64) -> u64 {
    left / right
}

extern "C" fn remainder_unsigned(left: u64, right: u64) -> u64 {
    left % right
}

/// # Safety
/// `store` is the block of the store that calls.
unsafe extern "C" fn enter_handle<const MARKS: bool>(
    store: *const StoreBlock,
    handle: u64,
    kind: u64,
    fate: u64,
) -> *mut c_void {
    // SAFETY: the caller's promise.
    let store = unsafe { &*store };
    let fate = fate_of(fate);
    let entered = handle_of(handle, kind).and_then(|(handle, kind)| {
        store.with_handles(|table| interpret::enter_handle(table, handle, kind, fate, MARKS)).ok()
    });
    entered.unwrap_or(ptr::null_mut())
}

/// What a guest passes as a handle, and the number of its type; `None` when no handle is so large.
fn handle_of(handle: u64, kind: u64) -> Option<(u32, HandleType)> {
    Some((u32::try_from(handle).ok()?, HandleType(u32::try_from(kind).ok()?)))
}

fn fate_of(number: u64) -> Fate {
    let mut fates = [Fate::Kept, Fate::Invalidated, Fate::Consumed].into_iter();
    fates.find(|one| *one as u64 == number).unwrap_or(Fate::Consumed)
}

/// # Safety
/// As [`enter_handle`].
unsafe extern "C" fn enter_alone(
    store: *const StoreBlock,
    handle: u64,
    kind: u64,
    fate: u64,
) -> *mut c_void {
    // SAFETY: the caller's promise.
    let store = unsafe { &*store };
    let (alone, fate) = (fate & Helper::ALONE != 0, fate_of(fate & !Helper::ALONE));
    let entered = handle_of(handle, kind).and_then(|(handle, kind)| {
        store.with_handles(|handles| assist::enter_alone(handles, handle, kind, fate, alone))
    });
    entered.unwrap_or(ptr::null_mut())
}

/// Beside the numbers of fates.
const EXCLUSIVE: u64 = 3;
const ALONE: u64 = 4;

impl Helper {
    /// Beside a fate, for [`Helper::EnterAlone`]: nobody else may use the handle.
    pub(super) const ALONE: u64 = 0x100;

    /// How [`Helper::LeaveHandle`] is told what was noted.
    #[cfg(feature = "cranelift")]
    pub(super) fn noted(noted: Noted) -> u64 {
        match noted {
            Noted::Used(fate) => fate as u64,
            Noted::Exclusive => EXCLUSIVE,
            Noted::Alone => ALONE,
        }
    }
}

/// # Safety
/// As [`enter_handle`]; that was noted on the handle, or it is 0.
unsafe extern "C" fn leave_handle(store: *const StoreBlock, handle: u64, noted: u64) {
    // SAFETY: the caller's promise.
    let store = unsafe { &*store };
    let Ok(handle) = u32::try_from(handle) else { return };
    let noted = match noted {
        EXCLUSIVE => Noted::Exclusive,
        ALONE => Noted::Alone,
        fate => Noted::Used(fate_of(fate)),
    };
    store.with_handles(|handles| assist::leave(handles, handle, noted));
}

/// # Safety
/// As [`enter_handle`].
unsafe extern "C" fn reserve_handles(store: *const StoreBlock, count: u64) -> u64 {
    // SAFETY: the caller's promise.
    let store = unsafe { &*store };
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    u64::from(store.with_handles(|handles| handles.reserve(count)).is_ok())
}
