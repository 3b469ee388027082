//! From raw result registers to the guest's value.
use crate::plan::frame::{CallRecord, GuestSlot};
use crate::plan::op::Returns;

/// A result that does not fit the guest's type.
pub struct Misfit;

/// What `rax` and `xmm0` hold after a call: the C ABI returns this struct in exactly these two
/// registers (psABI 3.2.3: one INTEGER and one SSE eightbyte), so that one function type serves
/// both kinds of results. The register that the function did not set holds garbage.
#[derive(Debug)]
#[repr(C)]
pub struct Both {
    /// `rax`
    pub integer: u64,
    /// `xmm0`
    pub vector: f64,
}

impl Both {
    /// The two registers in a record.
    #[inline]
    pub fn of(record: &CallRecord) -> Both {
        Both { integer: record.integers[0], vector: f64::from_bits(record.vectors[0][0]) }
    }

    /// The two registers in a record of which nothing else may have been written.
    ///
    /// # Safety
    /// A stub has filled it.
    #[inline]
    pub unsafe fn of_first(record: *const CallRecord) -> Both {
        // SAFETY: the caller's promise; every stub writes these two.
        unsafe {
            let vector = f64::from_bits((&raw const (*record).vectors[0][0]).read());
            Both { integer: (&raw const (*record).integers[0]).read(), vector }
        }
    }
}

/// Puts what a call has returned over the first guest slot.
///
/// # Errors
/// When it does not fit.
///
/// # Safety
/// `slots` has room for the result.
#[inline(always)]
pub unsafe fn give(returns: Returns, both: &Both, slots: *mut GuestSlot) -> Result<(), Misfit> {
    if let Some(low) = decode(returns, both.integer, both.vector.to_bits())? {
        // SAFETY: the caller's promise.
        unsafe { (&raw mut (*slots).low).write(low) };
    }
    Ok(())
}

/// The guest's value of a raw result; `None` where there is none. Fails when it does not fit.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "this is C's conversion: bits above the width are garbage and are dropped"
)]
pub fn decode(returns: Returns, integer: u64, vector: u64) -> Result<Option<u64>, Misfit> {
    let sign_extended = |value: i32| u64::from(value as u32);
    let value = match returns {
        Returns::Void | Returns::Record => return Ok(None),
        Returns::Int8 => sign_extended(i32::from(integer as i8)),
        Returns::UInt8 => u64::from(integer as u8),
        Returns::Int16 => sign_extended(i32::from(integer as i16)),
        Returns::UInt16 => u64::from(integer as u16),
        Returns::Bool => integer & 1,
        Returns::Int32 => u64::from(integer as u32),
        Returns::Int64 => integer,
        Returns::Long32 => sign_extended(i32::try_from(integer.cast_signed()).map_err(|_| Misfit)?),
        Returns::ULong32 => u64::from(u32::try_from(integer).map_err(|_| Misfit)?),
        Returns::Float32 => u64::from(vector as u32),
        Returns::Float64 => vector,
        // Only its low half fits here: plans leave it to an op of its own.
        Returns::Vector => return Ok(None),
    };
    Ok(Some(value))
}
