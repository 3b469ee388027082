//! What plans do with scalars, looked at once.
use crate::plan::Intervals;
use crate::plan::frame::GuestSlot;
use crate::plan::interpret::{Both, before, enter};
use crate::plan::op::{At, Returns};

/// A scalar that is copied as it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Copied {
    /// Offset in the guest's slots, in bytes.
    pub(super) from: u16,
    /// Offset in the frame.
    pub(super) to: u16,
}

/// Where registers are loaded from, as offsets in the guest's slots.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Straight {
    /// 32 bits each.
    pub integers: [u16; enter::STRAIGHT_INTEGERS],
    /// 64 bits each.
    pub vectors: [u16; enter::STRAIGHT_VECTORS],
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

/// How the result registers become the guest's result. Both are masked, whichever it is in: that takes less than
/// to tell them apart.
#[derive(Clone, Copy, Debug)]
pub struct Reply {
    integer: u64,
    vector: u64,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    None,
    /// The bits that the masks leave.
    Bits,
    /// It may not fit, or is extended with its sign.
    Decoded,
}

impl Reply {
    /// For results of that kind.
    pub fn of(returns: Returns) -> Reply {
        const LOW32: u64 = u32::MAX as u64;
        let new = |integer, vector, kind| Reply { integer, vector, kind };
        let (integer, vector) = (|mask| new(mask, 0, Kind::Bits), |mask| new(0, mask, Kind::Bits));
        match returns {
            Returns::Void | Returns::Record | Returns::Vector => new(0, 0, Kind::None),
            Returns::UInt8 => integer(0xff),
            Returns::UInt16 => integer(0xffff),
            Returns::Bool => integer(1),
            Returns::Int32 => integer(LOW32),
            Returns::Int64 => integer(u64::MAX),
            Returns::Float32 => vector(LOW32),
            Returns::Float64 => vector(u64::MAX),
            Returns::Int8 | Returns::Int16 | Returns::Long32 | Returns::ULong32 => {
                new(0, 0, Kind::Decoded)
            }
        }
    }

    /// The result, if there is one and nothing has to be asked.
    #[inline(always)]
    pub fn bits(&self, both: &Both) -> u64 {
        (both.integer & self.integer) | (both.vector.to_bits() & self.vector)
    }

    /// Whether [`Reply::bits`] is the result.
    #[inline(always)]
    pub fn is_bits(&self) -> bool {
        self.kind == Kind::Bits
    }

    /// Whether there is a result that has to be looked at.
    #[inline(always)]
    pub fn is_decoded(&self) -> bool {
        self.kind == Kind::Decoded
    }
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

/// The one interval of a range.
pub(super) fn interval(intervals: &Intervals) -> Option<(i64, i64)> {
    let clamped = |value: i128| {
        let clamped = value.clamp(i64::MIN.into(), i64::MAX.into());
        i64::try_from(clamped).ok()
    };
    // What is compared has 32 bits: bounds beyond 64 are as good as the last of those.
    match **intervals {
        [(low, high)] => Some((clamped(low)?, clamped(high)?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::offset_of;

    #[test]
    fn offsets_lie_where_stubs_read_them() {
        assert_eq!(offset_of!(Straight, integers), 0);
        assert_eq!(offset_of!(Straight, vectors), 2 * enter::STRAIGHT_INTEGERS);
        assert_eq!((enter::STRAIGHT_INTEGERS, enter::STRAIGHT_VECTORS), (6, 4));
    }

    #[test]
    fn only_single_intervals_are_short() {
        let one: Intervals = [(-1, i128::MAX)].into();
        assert_eq!(interval(&one), Some((-1, i64::MAX)));
        assert_eq!(interval(&[(0, 1), (5, 6)].into()), None);
        assert_eq!(interval(&[].into()), None);
    }
}
