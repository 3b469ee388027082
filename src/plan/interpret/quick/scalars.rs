//! What plans do with scalars, looked at once.
use crate::plan::frame::GuestSlot;
use crate::plan::interpret::before;
use crate::plan::op::{At, Returns};

/// A scalar that is copied as it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Copied {
    /// Offset in the guest's slots, in bytes.
    pub(super) from: u16,
    /// Offset in the frame.
    pub(super) to: u16,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Extend {
    Int8,
    UInt8,
    Int16,
    UInt16,
    Bool,
    Long32,
}

/// How the result registers become the guest's result.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reply {
    None,
    /// Bits of the integer register.
    Integer(u64),
    /// Bits of the vector register.
    Vector(u64),
    /// It may not fit, or is extended with its sign.
    Decoded,
}

/// Offset of a slot, in bytes.
pub(super) fn offset(slot: u16) -> Option<u16> {
    slot.checked_mul(size_of::<GuestSlot>().try_into().ok()?)
}

pub(super) fn number(at: At) -> Option<u16> {
    u16::try_from(at.offset()).ok()
}

pub(super) fn extended(kind: Extend, low: u32) -> u64 {
    match kind {
        Extend::Int8 => before::extend8(low),
        Extend::UInt8 => u64::from(low & 0xff),
        Extend::Int16 => before::extend16(low),
        Extend::UInt16 => u64::from(low & 0xffff),
        Extend::Bool => u64::from(low != 0),
        Extend::Long32 => i64::from(low.cast_signed()).cast_unsigned(),
    }
}

pub(super) fn reply(returns: Returns) -> Reply {
    const LOW32: u64 = u32::MAX as u64;
    match returns {
        Returns::Void | Returns::Record | Returns::Vector => Reply::None,
        Returns::UInt8 => Reply::Integer(0xff),
        Returns::UInt16 => Reply::Integer(0xffff),
        Returns::Bool => Reply::Integer(1),
        Returns::Int32 => Reply::Integer(LOW32),
        Returns::Int64 => Reply::Integer(u64::MAX),
        Returns::Float32 => Reply::Vector(LOW32),
        Returns::Float64 => Reply::Vector(u64::MAX),
        Returns::Int8 | Returns::Int16 | Returns::Long32 | Returns::ULong32 => Reply::Decoded,
    }
}
