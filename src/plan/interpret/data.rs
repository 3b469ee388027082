//! Reading data of a library: what a call leaves in the record, without a call.
use crate::plan::frame::FrameHead;
use crate::plan::op::Datum;
use std::ffi::c_void;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

/// Puts what is at `target` into the call record as the result.
///
/// # Safety
/// As [`enter_with`](super::enter_with), and an object of the prototype's type is at `target`, whose
/// address is a multiple of its size. Other threads may write to it meanwhile.
pub unsafe fn read(frame: *mut FrameHead, target: *const c_void, datum: Datum) {
    // SAFETY: the caller's promise. C may write to its own data at any time: a plain read would be a
    // race with that, an atomic one finds one of its values.
    let load = |bytes: u8| unsafe {
        let order = Ordering::Relaxed;
        match bytes {
            1 => u64::from(AtomicU8::from_ptr(target.cast_mut().cast()).load(order)),
            2 => u64::from(AtomicU16::from_ptr(target.cast_mut().cast()).load(order)),
            4 => u64::from(AtomicU32::from_ptr(target.cast_mut().cast()).load(order)),
            _ => AtomicU64::from_ptr(target.cast_mut().cast()).load(order),
        }
    };
    let (integer, vector) = match datum {
        Datum::Integer(bytes) => (load(bytes), 0),
        Datum::Vector(bytes) => (0, load(bytes)),
        Datum::Address => (target.expose_provenance() as u64, 0),
    };
    // SAFETY: the frame is the caller's.
    unsafe {
        (&raw mut (*frame).record.integers).write([integer, 0]);
        (&raw mut (*frame).record.vectors).write([[vector, 0], [0; 2]]);
    }
}
