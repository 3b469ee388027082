//! What is wrong with what outlives a call.
use super::view::View;
use super::{handle_kind, handle_problem, lost_lender, of_value, outside, result};
use crate::plan::cookie;
use crate::plan::frame::FrameLayout;
use crate::plan::handles::{HandleError, HandleType};
use crate::plan::op::{At, Holder, LifeOp, Null, Op};
use crate::plan::{Plan, Problem, Subject};

/// What an error of that op is about.
pub(super) fn subject(plan: &Plan, op: LifeOp) -> Subject {
    match op {
        LifeOp::Cookie { slot, .. }
        | LifeOp::Descriptor { slot, .. }
        | LifeOp::DescriptorCell { slot, .. }
        | LifeOp::HandleCell { slot, .. }
        | LifeOp::Exclusive { slot, .. }
        | LifeOp::Recall { slot, .. }
        | LifeOp::Capturable { slot, .. }
        | LifeOp::Retain { slot }
        | LifeOp::Capture { slot, .. }
        | LifeOp::Remember { of: Holder::Slot(slot), .. } => of_value(plan, plan.param_of(slot)),
        LifeOp::Keep { param, .. }
        | LifeOp::FromCookie { param, .. }
        | LifeOp::Emptied { param, .. } => of_value(plan, param.into()),
        LifeOp::ConsumeHeld { .. } => Subject::Call,
        LifeOp::AdoptDescriptor { from, .. } => made_of(plan, from.at),
        LifeOp::Remember { of: Holder::Made(made), .. } => {
            let from = plan.ops.iter().find_map(|op| match *op {
                Op::Adopt { from, to, .. } if to == made => Some(from),
                _ => None,
            });
            from.map_or(Subject::Call, |from| made_of(plan, from))
        }
        LifeOp::Remember { of: Holder::Object(at), .. } => super::deep::boxed_at(plan, at),
        LifeOp::HandOver { .. } => Subject::Call,
    }
}

/// The parameter in whose cell native code left something, or the result.
fn made_of(plan: &Plan, from: At) -> Subject {
    if from == FrameLayout::result_integer() {
        return result(plan);
    }
    let slot = plan.ops.iter().find_map(|op| match *op {
        Op::PointerCell { slot, cell, .. }
        | Op::Life(LifeOp::DescriptorCell { slot, cell, .. })
            if cell == from =>
        {
            Some(slot)
        }
        _ => None,
    });
    slot.map_or(Subject::Call, |slot| of_value(plan, plan.param_of(slot)))
}

/// The handle that remembers what is computed there.
pub(super) fn remembered(plan: &Plan, measure: At) -> Option<Subject> {
    plan.ops.iter().find_map(|op| match *op {
        Op::Life(LifeOp::Remember { value, of, name }) if value == measure => {
            Some(subject(plan, LifeOp::Remember { value, of, name }))
        }
        _ => None,
    })
}

/// The first part of the op's rule that does not hold.
pub(super) fn problem(plan: &Plan, view: &View<'_>, op: LifeOp) -> Option<Problem> {
    match op {
        LifeOp::Cookie { slot, .. } => match u32::try_from(view.slot(slot)) {
            Err(_) => Some(Problem::CookieTooLarge { value: view.slot(slot) }),
            Ok(cookie) => cookie::to_native(cookie).is_none().then_some(Problem::NoCookies),
        },
        LifeOp::Descriptor { slot, kind, fate, .. } => {
            let kind = plan.handle_kinds.get(usize::from(kind))?;
            handle_problem(view, view.slot(slot), kind, fate)
        }
        LifeOp::DescriptorCell { slot, null, .. } => match view.slot(slot) {
            0 => (null != Null::Allowed).then_some(Problem::Null),
            address => outside(view, address, 4),
        },
        LifeOp::Exclusive { slot, .. } => {
            let error = HandleError::Busy;
            Some(Problem::Handle { value: view.slot(slot), expected: expected(plan, slot), error })
        }
        LifeOp::Recall { slot, name, .. } => {
            let name = plan.names.get(usize::from(name))?.to_string();
            Some(Problem::Unset { handle: view.slot(slot), name })
        }
        LifeOp::Capturable { slot, by } => {
            let value = view.slot(slot);
            if by.is_some_and(|by| view.slot(by.number()) == value) {
                return Some(Problem::KeepsItself { handle: value });
            }
            let limit = view.store().limits.captures;
            let handle = u32::try_from(value).ok()?;
            let kind = kind_of(plan, slot)?;
            view.store().with_handles(|table| {
                if table.captures() >= limit {
                    return Some(Problem::Limit { limit: "captures", value: limit.into() });
                }
                let error = table.check_capturable(handle, kind).err()?;
                Some(Problem::Handle { value, expected: expected(plan, slot), error })
            })
        }
        LifeOp::FromCookie { .. } => Some(Problem::PlantedCookie),
        LifeOp::AdoptDescriptor { parent, .. } => {
            let lender = parent.and_then(|slot| lost_lender(plan, view, slot.number()));
            Some(lender.unwrap_or_else(|| super::handle_limit(view)))
        }
        // These never fail, or say themselves what is wrong, or leave no trace: see `subject_of`.
        LifeOp::Keep { .. }
        | LifeOp::HandleCell { .. }
        | LifeOp::ConsumeHeld { .. }
        | LifeOp::Emptied { .. }
        | LifeOp::Retain { .. }
        | LifeOp::Capture { .. }
        | LifeOp::HandOver { .. }
        | LifeOp::Remember { .. } => None,
    }
}

fn kind_of(plan: &Plan, slot: u16) -> Option<HandleType> {
    handle_kind(plan, slot)
}

/// What a handle parameter's type is called.
fn expected(plan: &Plan, slot: u16) -> String {
    let id = handle_kind(plan, slot);
    let kind = plan.handle_kinds.iter().find(|kind| Some(kind.id) == id);
    kind.map(|kind| kind.name.to_string()).unwrap_or_default()
}
