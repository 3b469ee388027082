//! What is wrong with a guest function that is passed, or with native code's call of one.
use super::view::View;
use super::{computed, does_not_fit, of_value, outside, result};
use crate::plan::cookie;
use crate::plan::op::{CallbackOp, Fetch, Null, Operand, REMOTE, Returns, Width};
use crate::plan::{Plan, Problem, Subject};

/// What an error of that op is about.
pub(super) fn subject(plan: &Plan, op: CallbackOp) -> Subject {
    match op {
        CallbackOp::Pass { slot, .. }
        | CallbackOp::Scalar { slot, .. }
        | CallbackOp::ScalarWithin { slot, .. }
        | CallbackOp::Descriptor { slot, .. }
        | CallbackOp::Function { slot, .. }
        | CallbackOp::Pair { slot, .. }
        | CallbackOp::Vector { slot, .. }
        | CallbackOp::Cookie { slot, .. }
        | CallbackOp::Inside { slot, .. }
        | CallbackOp::Copy { slot, .. }
        | CallbackOp::Handle { slot, .. }
        | CallbackOp::Object { slot, .. } => of_value(plan, plan.param_of(slot)),
        CallbackOp::Room { .. }
        | CallbackOp::Reply { .. }
        | CallbackOp::ReplyWithin { .. }
        | CallbackOp::ReplyVector
        | CallbackOp::ReplySplit { .. }
        | CallbackOp::ReplyBehind { .. }
        | CallbackOp::ReplyHandle { .. }
        | CallbackOp::ReplyDescriptor { .. }
        | CallbackOp::ReplyCookie
        | CallbackOp::ReplyText { .. }
        | CallbackOp::ReplyBuffer { .. }
        | CallbackOp::ReplyCopy { .. }
        | CallbackOp::ReplyFunction { .. } => result(plan),
        CallbackOp::Enter | CallbackOp::Keep { .. } | CallbackOp::KeepReturned { .. } => {
            Subject::Call
        }
    }
}

/// The first part of the op's rule that does not hold.
pub(super) fn problem(plan: &Plan, op: CallbackOp, view: &View<'_>) -> Option<Problem> {
    match op {
        CallbackOp::Pass { slot, null, .. } => {
            (view.slot(slot) == 0 && null != Null::Allowed).then_some(Problem::Null)
        }
        CallbackOp::ScalarWithin { from, range, returns, slot } => {
            let value = view.operand(from);
            let ranges = plan.ranges.get(usize::from(range))?.to_vec();
            if ranges.iter().any(|(low, high)| (*low..=*high).contains(&value)) {
                return problem(plan, CallbackOp::Scalar { from: from.at, slot, returns }, view);
            }
            Some(Problem::OutOfRange { value, ranges })
        }
        CallbackOp::ReplyWithin { fetch, range } => {
            let low = view.slot(0);
            let value = match fetch {
                Fetch::Integer(width) => width.of_low(low),
                Fetch::Bool => i128::from(low != 0),
                Fetch::Whole | Fetch::Float32 | Fetch::Float64 => return None,
            };
            let ranges = plan.ranges.get(usize::from(range))?.to_vec();
            Some(Problem::OutOfRange { value, ranges })
        }
        CallbackOp::Scalar { from, returns, .. } => {
            let (held, width) = match returns {
                Returns::Long32 => (Width::I64, Width::I32),
                Returns::ULong32 => (Width::U64, Width::U32),
                Returns::Void
                | Returns::Record
                | Returns::Int8
                | Returns::UInt8
                | Returns::Int16
                | Returns::UInt16
                | Returns::Bool
                | Returns::Int32
                | Returns::Int64
                | Returns::Float32
                | Returns::Float64
                | Returns::Vector => return None,
            };
            does_not_fit(view.operand(Operand { at: from, width: held }), width)
        }
        CallbackOp::Inside { .. } => Some(Problem::Unreachable),
        CallbackOp::Cookie { .. } => Some(Problem::PlantedCookie),
        CallbackOp::ReplyCookie => match u32::try_from(view.slot(0)) {
            Err(_) => Some(Problem::CookieTooLarge { value: view.slot(0) }),
            Ok(cookie) => cookie::to_native(cookie).is_none().then_some(Problem::NoCookies),
        },
        CallbackOp::Object { moves, behind, .. } => {
            let moves = plan.moves.get(usize::from(moves))?;
            match behind {
                None => view.misfit(moves),
                Some(at) => view.misfit_behind(moves, at, REMOTE),
            }
        }
        CallbackOp::ReplyFunction { null, .. } => {
            (view.slot(0) == 0 && null != Null::Allowed).then_some(Problem::Null)
        }
        CallbackOp::ReplyHandle { kind, null } => {
            super::handle(plan, view, 0, kind, null, crate::plan::op::Fate::Kept)
        }
        CallbackOp::ReplyText { unit, null } => super::text(view, 0, unit, null, false),
        CallbackOp::ReplyBuffer { expr, size, align, null } => {
            let count = match expr {
                None => 1,
                Some(expr) => match computed(plan, view, expr) {
                    Ok(count) => count,
                    Err(problem) => return Some(problem),
                },
            };
            super::buffer(view, 0, count, size, align, null)
        }
        CallbackOp::ReplySplit { size, .. } | CallbackOp::ReplyBehind { size, .. } => {
            outside(view, 0, size.into())
        }
        CallbackOp::Keep { .. }
        | CallbackOp::KeepReturned { .. }
        | CallbackOp::Pair { .. }
        | CallbackOp::Vector { .. }
        // They say themselves what is wrong.
        | CallbackOp::Copy { .. }
        | CallbackOp::ReplyCopy { .. }
        | CallbackOp::ReplyDescriptor { .. }
        | CallbackOp::Descriptor { .. }
        | CallbackOp::Function { .. }
        | CallbackOp::Handle { .. }
        | CallbackOp::Room { .. }
        | CallbackOp::Enter
        | CallbackOp::Reply { .. }
        | CallbackOp::ReplyVector => None,
    }
}
