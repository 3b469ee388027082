//! What of a closure depends on its plan alone.
use super::reply::scalar;
use crate::plan::Plan;
use crate::plan::frame::{FrameHead, FrameLayout, GuestSlot};
use crate::plan::interpret::upcall::entry;
use crate::plan::moves::Move;
use crate::plan::op::{At, CallbackOp, Fetch, Op};
use std::ffi::c_void;
use std::mem::offset_of;

/// Whether cookies come in.
pub(super) fn has_cookies(plan: &Plan) -> bool {
    plan.ops.iter().any(|op| matches!(op, Op::Callback(CallbackOp::Cookie { .. })))
}

/// Which entry saves and loads what a plan needs.
pub(super) fn entry_of(plan: &Plan) -> *const c_void {
    let vectors = FrameLayout::vector(0).map_or(0, At::offset)..offset_of!(FrameHead, record);
    let reads = |op: &Op| match op {
        Op::Callback(
            CallbackOp::Scalar { from, .. }
            | CallbackOp::Vector { from, .. }
            | CallbackOp::Pair { low: from, .. },
        ) => vectors.contains(&from.offset()),
        Op::Callback(CallbackOp::Object { moves, behind: None, .. }) => {
            let moved = |one: &Move| vectors.contains(&one.frame.offset());
            plan.moves[usize::from(*moves)].iter().any(moved)
        }
        _ => false,
    };
    let splits = matches!(
        plan.ops.last(),
        Some(Op::Callback(CallbackOp::ReplySplit { .. } | CallbackOp::ReplyVector))
    );
    entry(splits, plan.ops.iter().any(reads))
}

/// What registers hold of a value.
#[expect(clippy::cast_precision_loss, reason = "C converts it likewise")]
pub(super) fn on_trap(plan: &Plan, value: i64) -> (u64, u64) {
    match plan.ops.last() {
        Some(Op::Callback(CallbackOp::Reply { fetch } | CallbackOp::ReplyWithin { fetch, .. })) => {
            match fetch {
                Fetch::Float32 => (0, (value as f32).to_bits().into()),
                Fetch::Float64 => (0, (value as f64).to_bits()),
                Fetch::Bool => (u64::from(value != 0), 0),
                Fetch::Integer(_) | Fetch::Whole => (value.cast_unsigned(), 0),
            }
        }
        _ => (0, 0),
    }
}

/// Whether C would get just that value if the guest's function had returned it: compiled entries let C have what
/// it gets of a trap as a result, converted from the guest's type, which may be narrower than C's.
pub(super) fn is_returned(plan: &Plan, on_trap: (u64, u64)) -> bool {
    let (integer, vector) = on_trap;
    let slot = GuestSlot { low: integer | vector, high: 0 };
    match plan.ops.last() {
        Some(Op::Callback(CallbackOp::Reply { fetch } | CallbackOp::ReplyWithin { fetch, .. })) => {
            // SAFETY: there is a slot, and it has been written whole.
            let given = unsafe { scalar(*fetch, &raw const slot) };
            (given.integer, given.vector.to_bits()) == on_trap
        }
        _ => true,
    }
}
