//! Errors of handles: why a guest value is none that the call can use.
use super::is_refused;
use super::view::View;
use crate::plan::handles::{HandleError, HandleType, INDEX_BITS};
use crate::plan::op::{Fate, LifeOp, Null, Op};
use crate::plan::{HandleKind, LostLender, Plan, Problem};
use crate::signature::NoteKind;

pub(super) fn handle(
    plan: &Plan,
    view: &View<'_>,
    slot: u16,
    kind: u16,
    null: Null,
    fate: Fate,
) -> Option<Problem> {
    let value = view.slot(slot);
    if value == 0 {
        let param = plan.prototype.function.params.get(plan.param_of(slot));
        // What may be NULL by its own type is refused because it lends.
        let lends = param.is_some_and(|param| param.ty.has(|n| *n == NoteKind::Nullable));
        let lender = LostLender::Null;
        let problem = if lends { Problem::LenderGone { lender } } else { Problem::Null };
        return is_refused(null, false).then_some(problem);
    }
    handle_problem(view, value, plan.handle_kinds.get(usize::from(kind))?, fate)
}

/// Why a value is no handle of that type that is fit for `fate`.
pub(super) fn handle_problem(
    view: &View<'_>,
    value: u64,
    kind: &HandleKind,
    fate: Fate,
) -> Option<Problem> {
    let Ok(handle) = u32::try_from(value) else {
        let (expected, error) = (kind.name.to_string(), HandleError::Forged);
        return Some(Problem::Handle { value, expected, error });
    };
    view.store().with_handles(|table| {
        let usable = match fate {
            Fate::Kept => table.get(handle, kind.id).map(|_| ()),
            Fate::Invalidated => table.check_invalidatable(handle, kind.id),
            Fate::Consumed => table.check_consumable(handle, kind.id),
        };
        let error = usable.and_then(|()| table.check_free(handle)).err()?;
        if error == HandleError::Captured {
            return Some(Problem::Kept { handle: value, by: table.captor_of(handle) });
        }
        Some(Problem::Handle { value, expected: kind.name.to_string(), error })
    })
}

/// The type of the handle that the guest passes in that slot.
pub(super) fn handle_kind(plan: &Plan, handle: u16) -> Option<HandleType> {
    let kind = plan.ops.iter().find_map(|op| match *op {
        Op::Handle { slot, kind, .. } | Op::Life(LifeOp::Descriptor { slot, kind, .. })
            if slot == handle =>
        {
            Some(kind)
        }
        _ => None,
    })?;
    plan.handle_kinds.get(usize::from(kind)).map(|kind| kind.id)
}

/// Whether the handle in that slot cannot lend what the call returns.
pub(super) fn lost_lender(plan: &Plan, view: &View<'_>, slot: u16) -> Option<Problem> {
    let kind = handle_kind(plan, slot)?;
    let is_live = |slot| {
        let handle = u32::try_from(view.slot(slot));
        handle.is_ok_and(|handle| view.store().with_handles(|table| table.is_live(handle)))
    };
    let handle = u32::try_from(view.slot(slot)).unwrap_or_default();
    if view.store().with_handles(|table| table.get(handle, kind).is_ok()) {
        return None;
    }
    let consumed =
        |op: &Op| if let Op::Consume { slot, .. } = *op { !is_live(slot) } else { false };
    let lender = if handle == 0 {
        LostLender::Null
    } else if plan.ops.iter().any(consumed) {
        LostLender::Consumed
    } else {
        LostLender::Gone
    };
    Some(Problem::LenderGone { lender })
}

pub(super) fn handle_limit(view: &View<'_>) -> Problem {
    let value = view.store().limits.handles.min((1 << INDEX_BITS) - 1);
    Problem::Limit { limit: "handles", value: value.into() }
}
