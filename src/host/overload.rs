//! Overloads: several grants of one symbol, told apart by the `__range`s of their parameters.
//!
//! The ranges are looked at before anything else of a call is done, so that a pointer that makes
//! sense to a later overload only is no error. The plan that is chosen checks its ranges again.
use crate::plan::Plan;
use crate::plan::frame::GuestSlot;
use crate::plan::op::{At, Op, Width};

/// The range of one scalar parameter.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    /// The guest value.
    slot: u16,
    /// The op that decodes it, as a function of the value's low bits.
    decode: Decode,
    /// How much of what was decoded is looked at.
    width: Width,
    /// The intervals, any of them.
    ranges: Box<[(i128, i128)]>,
}

/// The guards of a plan: its `Range` ops that look at a parameter passed by value.
pub(super) fn guards(plan: &Plan) -> Box<[Guard]> {
    let guards = plan.ops.iter().filter_map(|op| {
        let Op::Range { value, set, .. } = *op else { return None };
        let (slot, decode) = plan.ops.iter().find_map(|op| decoder(op, value.at))?;
        let ranges = plan.ranges.get(usize::from(set))?.clone();
        Some(Guard { slot, decode, width: value.width, ranges })
    });
    guards.collect()
}

impl Guard {
    /// Whether the argument lies in one of the ranges.
    pub(super) fn holds(&self, slots: &[GuestSlot]) -> bool {
        let Some(slot) = slots.get(usize::from(self.slot)) else { return false };
        let value = read((self.decode)(slot.low), self.width);
        self.ranges.iter().any(|(low, high)| (*low..=*high).contains(&value))
    }
}

/// What an op does with the low bits of a guest value.
type Decode = fn(u64) -> u64;

/// The slot that `op` decodes to `at`, and what it does with the value.
fn decoder(op: &Op, at: At) -> Option<(u16, Decode)> {
    let (slot, to, decode): (u16, At, Decode) = match *op {
        Op::Int8 { slot, to } => (slot, to, |low| sign_extend(low, 8)),
        Op::UInt8 { slot, to } => (slot, to, |low| low & 0xff),
        Op::Int16 { slot, to } => (slot, to, |low| sign_extend(low, 16)),
        Op::UInt16 { slot, to } => (slot, to, |low| low & 0xffff),
        Op::Bool { slot, to } => (slot, to, |low| u64::from(low & 0xffff_ffff != 0)),
        Op::Int32 { slot, to } | Op::ULong32 { slot, to } => (slot, to, |low| low & 0xffff_ffff),
        Op::Int64 { slot, to } => (slot, to, |low| low),
        Op::Long32 { slot, to } => (slot, to, |low| sign_extend(low, 32)),
        Op::Float32 { .. }
        | Op::Float64 { .. }
        | Op::Range { .. }
        | Op::Evaluate { .. }
        | Op::Require { .. }
        | Op::Value { .. }
        | Op::Buffer { .. }
        | Op::Text { .. }
        | Op::Cell { .. }
        | Op::PointerCell { .. }
        | Op::TextCell { .. }
        | Op::Handle { .. }
        | Op::Apart { .. }
        | Op::Reserve { .. }
        | Op::Call { .. }
        | Op::Consume { .. }
        | Op::Measure { .. }
        | Op::Fits { .. }
        | Op::Inside { .. }
        | Op::InsideOr { .. }
        | Op::Take { .. }
        | Op::FreeNative { .. }
        | Op::Give { .. }
        | Op::Adopt { .. }
        | Op::StoreCell { .. }
        | Op::EndLoans { .. }
        | Op::Return { .. } => return None,
    };
    (to == at).then_some((slot, decode))
}

fn sign_extend(low: u64, bits: u32) -> u64 {
    let shift = 64 - bits;
    ((low << shift).cast_signed() >> shift).cast_unsigned()
}

/// The low bytes of a register's image as an integer of that width.
fn read(image: u64, width: Width) -> i128 {
    let bits = 8 * u32::try_from(width.bytes().min(8)).unwrap_or(8);
    if width.is_signed() {
        i128::from(sign_extend(image, bits).cast_signed())
    } else {
        i128::from(image << (64 - bits) >> (64 - bits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(decode: Decode, width: Width, range: (i128, i128)) -> Guard {
        Guard { slot: 0, decode, width, ranges: [range].into() }
    }

    fn holds(guard: &Guard, low: u64) -> bool {
        guard.holds(&[GuestSlot { low, high: 0 }])
    }

    #[test]
    fn garbage_above_the_value_is_not_looked_at() {
        let int = guard(|low| low & 0xffff_ffff, Width::I32, (-1, -1));
        assert!(holds(&int, 0xffff_ffff) && holds(&int, 0xdead_beef_ffff_ffff));
        assert!(!holds(&int, 0xffff_ffff_0000_0000));
        let unsigned = guard(|low| low & 0xffff_ffff, Width::U32, (0xffff_ffff, 0xffff_ffff));
        assert!(holds(&unsigned, 0xffff_ffff));
        let byte = guard(|low| sign_extend(low, 8), Width::I8, (-128, -128));
        assert!(holds(&byte, 0x1280) && !holds(&byte, 0x127f));
    }

    #[test]
    fn a_slot_that_is_not_there_holds_nothing() {
        assert!(!guard(|low| low, Width::I64, (i128::MIN, i128::MAX)).holds(&[]));
    }
}
