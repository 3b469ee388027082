//! The only place where a call error is made.
//!
//! Interpreter and compiled code know only that an op failed, and which one. Here the op's rule is
//! gone through again, slowly, on the same frame, and what does not hold gets a name: which
//! parameter, which value, what would have been right. The texts are in [`super::problem`].
//!
//! Not here: errors of the embedding that no op examines (a missing library, a denied import, too
//! little stack, an allocator that trapped).
use super::frame::{FrameHead, FrameLayout};
use super::op::{
    At, Count, DeepOp, Null, Op, Operand, Ownership, Ranged, Returns, TakeExtent, Width,
};
use super::{Plan, Problem, Subject, WasmType};
use crate::signature::{NoteKind, Variadic};
use handles::{handle, handle_kind, handle_limit, handle_problem, lost_lender};
use readings::{readings, readings_but};
use view::View;

mod callback;
pub(super) mod deep;
mod handles;
mod life;
mod readings;
mod view;

/// What is wrong with the call that op number `op` of `plan` has stopped.
///
/// Call it before anything of the call is undone: before marks on handles are taken back, before
/// the frame is left. If the call's memory may have grown since it began, bring the binding up to
/// date and try the op again first. A rule that holds after all gives [`Problem::Changed`].
///
/// # Safety
/// The plan was verified. `frame` points at a whole frame of that plan (with its stack area and
/// locals, [`super::frame::FrameLayout::size`] bytes) in which every op before `op` has done its
/// work; its guest slots and its binding are alive, and the binding is one of a function with this
/// plan.
#[expect(unsafe_code, reason = "the frame is known by its address only")]
#[must_use]
pub unsafe fn diagnose(plan: &Plan, op: usize, frame: *const FrameHead) -> (Subject, Problem) {
    // SAFETY: the contract of this function is that of the view.
    let view = unsafe { View::new(plan, frame) };
    let Some(op) = plan.ops.get(op) else { return (Subject::Call, Problem::Changed) };
    (subject(plan, op), problem(plan, op, view).unwrap_or(Problem::Changed))
}

/// What an error of op number `op` is about, for failures that leave no trace in the frame: an
/// allocator without room, a limit on the sum of what a call copies.
#[must_use]
pub fn subject_of(plan: &Plan, op: usize) -> Subject {
    plan.ops.get(op).map_or(Subject::Call, |op| subject(plan, op))
}

/// What an error of that op is about.
fn subject(plan: &Plan, op: &Op) -> Subject {
    match *op {
        Op::Int8 { slot, .. }
        | Op::UInt8 { slot, .. }
        | Op::Int16 { slot, .. }
        | Op::UInt16 { slot, .. }
        | Op::Bool { slot, .. }
        | Op::Int32 { slot, .. }
        | Op::Int64 { slot, .. }
        | Op::Long32 { slot, .. }
        | Op::ULong32 { slot, .. }
        | Op::Float32 { slot, .. }
        | Op::Float64 { slot, .. }
        | Op::Pair { slot, .. }
        | Op::Extended { slot, .. }
        | Op::Vector { slot, .. }
        | Op::Object { slot, .. }
        | Op::Text { slot, .. }
        | Op::Cell { slot, .. }
        | Op::PointerCell { slot, .. }
        | Op::TextCell { slot, .. }
        | Op::Handle { slot, .. }
        | Op::Consume { slot, .. }
        | Op::StoreCell { slot, .. }
        | Op::EndLoans { slot } => of_value(plan, plan.param_of(slot)),
        Op::Range { param, .. }
        | Op::Evaluate { param, .. }
        | Op::Value { param, .. }
        | Op::Fits { param, .. }
        | Op::Inside { param, .. }
        | Op::Take { param, .. }
        | Op::Give { param, .. } => of_value(plan, param.into()),
        Op::Buffer { param, .. } => of_value(plan, param.into()),
        Op::Format { param, .. } => of_value(plan, param.into()),
        Op::Room { .. } | Op::FitsObject { .. } | Op::StoreObject { .. } => result(plan),
        Op::Address { .. }
        | Op::Native(_)
        | Op::Upcall(_)
        | Op::Deep(
            DeepOp::Settle
            | DeepOp::Commit
            | DeepOp::Fill
            | DeepOp::Fetch
            | DeepOp::KeepFunctions { .. },
        ) => Subject::Call,
        Op::Deep(
            DeepOp::Copy { param, .. }
            | DeepOp::Take { param, .. }
            | DeepOp::Keep { param, .. }
            | DeepOp::Box { param, .. },
        ) => of_value(plan, param.into()),
        Op::Deep(DeepOp::Recall { of, .. } | DeepOp::End { of, .. }) => deep::boxed_at(plan, of),
        Op::Callback(op) => callback::subject(plan, op),
        Op::Life(op) => life::subject(plan, op),
        Op::Apart { text, .. } => text_slot(plan, text),
        Op::Measure { to, .. } => measured(plan, to),
        Op::InsideOr { .. }
        | Op::FreeNative { .. }
        | Op::Adopt { .. }
        | Op::Return { .. }
        | Op::Call { .. } => result(plan),
        Op::Require { of: Some(Ranged { param, .. }), .. } => of_value(plan, param.into()),
        Op::Require { of: None, .. } | Op::Reserve { .. } => Subject::Call,
    }
}

/// The parameter at that position (counted from 0, those of a typed tail after the named ones);
/// any position past the last one means the result.
pub(super) fn of_value(plan: &Plan, index: usize) -> Subject {
    let function = &plan.prototype.function;
    let tail = match &function.variadic {
        Variadic::Typed(tail) => tail.as_slice(),
        Variadic::No | Variadic::Untyped(_) => &[],
    };
    let (name, ty) = match function.params.get(index) {
        Some(param) => (param.name.as_ref(), &param.ty),
        None => match index.checked_sub(function.params.len()).and_then(|index| tail.get(index)) {
            Some(ty) => (None, ty),
            None => return result(plan),
        },
    };
    Subject::Parameter {
        number: index + 1,
        name: name.map(ToString::to_string),
        ty: ty.as_written().to_string(),
    }
}

fn result(plan: &Plan) -> Subject {
    let ty = plan.prototype.function.result.as_written().to_string();
    if plan.prototype.data.is_some() { Subject::Data { ty } } else { Subject::Result { ty } }
}

/// The parameter whose string is at that place.
fn text_slot(plan: &Plan, text: At) -> Subject {
    let slot = plan.ops.iter().find_map(|op| match *op {
        Op::Text { slot, to, .. } if to == text => Some(slot),
        Op::TextCell { slot, cell, .. } if cell == text => Some(slot),
        _ => None,
    });
    slot.map_or(Subject::Call, |slot| of_value(plan, plan.param_of(slot)))
}

/// What is measured by the expression whose value goes there: what is then taken.
fn measured(plan: &Plan, measure: At) -> Subject {
    let param = plan.ops.iter().find_map(|op| match *op {
        Op::Take { extent: TakeExtent::Counted { count, .. }, param, .. }
            if count.at == measure =>
        {
            Some(param)
        }
        _ => None,
    });
    let remembered = || life::remembered(plan, measure).unwrap_or(Subject::Call);
    param.map_or_else(remembered, |param| of_value(plan, param.into()))
}

/// The first part of the op's rule that does not hold.
fn problem(plan: &Plan, op: &Op, view: View<'_>) -> Option<Problem> {
    match *op {
        Op::Range { value, set, .. } => {
            let value = view.operand(value);
            let ranges = plan.ranges.get(usize::from(set))?;
            let inside = ranges.iter().any(|(low, high)| (*low..=*high).contains(&value));
            (!inside).then(|| Problem::OutOfRange { value, ranges: ranges.to_vec() })
        }
        Op::Evaluate { expr, .. } | Op::Measure { expr, .. } => computed(plan, &view, expr).err(),
        Op::Require { expr, of } => match computed(plan, &view, expr) {
            Ok(0) => Some(match of {
                Some(of) => out_of_range(plan, &view, expr, of),
                None => {
                    let read = readings(plan, &view, expr);
                    Problem::Requirement { text: expression_text(plan, expr), read }
                }
            }),
            Ok(_) => None,
            Err(problem) => Some(problem),
        },
        Op::Value { expr, width, .. } => match computed(plan, &view, expr) {
            Ok(value) => does_not_fit(value, width),
            Err(problem) => Some(problem),
        },
        Op::Buffer { slot, count, size, align, null, .. } => {
            let count = match count {
                Count::Exactly(count) => i128::from(count),
                Count::Of(operand) => view.operand(operand),
            };
            buffer(&view, slot, count, size, align, null)
        }
        Op::Text { slot, unit, null, copy, .. } => text(&view, slot, unit, null, copy),
        Op::Cell { slot, guest, host, direction, null, .. } => {
            let address = match pointer(&view, slot, guest.bytes(), null) {
                Ok(address) => address?,
                Err(problem) => return Some(problem),
            };
            let value = view.memory_integer(address, guest).filter(|_| direction.is_in())?;
            does_not_fit(value, host)
        }
        Op::PointerCell { slot, null, .. } => {
            pointer(&view, slot, pointer_width(&view, slot).bytes(), null).err()
        }
        Op::TextCell { slot, null, .. } => {
            let width = pointer_width(&view, slot);
            let address = match pointer(&view, slot, width.bytes(), null) {
                Ok(address) => address?,
                Err(problem) => return Some(problem),
            };
            let string = u64::try_from(view.memory_integer(address, width)?).ok()?;
            if string == 0 { None } else { string_problem(&view, string, 1) }
        }
        Op::Handle { slot, kind, null, fate, .. } => handle(plan, &view, slot, kind, null, fate),
        Op::Apart { .. } => Some(copy_limit(&view)),
        Op::Reserve { .. } => Some(handle_limit(&view)),
        Op::Adopt { parent, .. } => {
            let lender = parent.and_then(|slot| lost_lender(plan, &view, slot.number()));
            Some(lender.unwrap_or_else(|| handle_limit(&view)))
        }
        // It fails only when it decodes its result.
        Op::Call { returns, .. } => {
            let (from, width) = match returns {
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
            let result = Operand { at: FrameLayout::result_integer(), width: from };
            does_not_fit(view.operand(result), width)
        }
        Op::Fits { from, width, .. } => does_not_fit(view.operand(from), width),
        Op::Object { slot, size, .. } | Op::Room { slot, size } => {
            outside(&view, view.slot(slot), size.into())
        }
        Op::FitsObject { moves } => view.misfit(plan.moves.get(usize::from(moves))?),
        Op::Format { text, extent, .. } => view.format(text, extent),
        Op::Inside { .. } => Some(Problem::Unreachable),
        Op::Take { extent: TakeExtent::Counted { count, size }, .. } => match view.operand(count) {
            count if count < 0 => Some(Problem::NegativeCount { count }),
            count => {
                let bytes = count.cast_unsigned().saturating_mul(size.into());
                let limit = u128::from(view.store().limits.copied_bytes);
                (bytes > limit).then(|| copy_limit(&view))
            }
        },
        // Its length is not measured again: the bytes may be gone.
        Op::Take { extent: TakeExtent::Text(_) | TakeExtent::Object(_), .. } => {
            Some(copy_limit(&view))
        }
        Op::Callback(op) => callback::problem(plan, op, &view),
        Op::Give { owner: Ownership::Handle { slot, .. }, .. } => lost_lender(plan, &view, slot),
        Op::Life(op) => life::problem(plan, &view, op),
        // These never fail, or leave no trace: see `subject_of`.
        Op::Give { owner: Ownership::Guest | Ownership::Static, .. }
        | Op::Int8 { .. }
        | Op::UInt8 { .. }
        | Op::Int16 { .. }
        | Op::UInt16 { .. }
        | Op::Bool { .. }
        | Op::Int32 { .. }
        | Op::Int64 { .. }
        | Op::Long32 { .. }
        | Op::ULong32 { .. }
        | Op::Float32 { .. }
        | Op::Float64 { .. }
        | Op::Pair { .. }
        | Op::Extended { .. }
        | Op::Vector { .. }
        | Op::Address { .. }
        | Op::StoreObject { .. }
        | Op::Native(_)
        | Op::Upcall(_)
        | Op::Deep(_)
        | Op::Consume { .. }
        | Op::InsideOr { .. }
        | Op::FreeNative { .. }
        | Op::StoreCell { .. }
        | Op::EndLoans { .. }
        | Op::Return { .. } => None,
    }
}

fn computed(plan: &Plan, view: &View<'_>, expr: u16) -> Result<i128, Problem> {
    view.value(expr).map_err(|error| {
        let read = readings(plan, view, expr);
        Problem::Expression { text: expression_text(plan, expr), error, read }
    })
}

/// A value outside of ranges whose bounds are computed. They are told as they were written.
fn out_of_range(plan: &Plan, view: &View<'_>, expr: u16, of: Ranged) -> Problem {
    let param = plan.prototype.function.params.get(usize::from(of.param));
    let ty = param.map(|param| param.ty.pointee().unwrap_or(&param.ty));
    let ranges = ty.into_iter().flat_map(|ty| &ty.notes).filter_map(|note| match &note.kind {
        NoteKind::Range(low, high) => Some((low.to_string(), high.to_string())),
        _ => None,
    });
    let read = readings_but(plan, view, expr, Some(of.value));
    Problem::OutOfComputedRange { value: view.operand(of.value), ranges: ranges.collect(), read }
}

fn expression_text(plan: &Plan, expr: u16) -> String {
    plan.expressions.get(usize::from(expr)).map(|e| e.text.to_string()).unwrap_or_default()
}

fn does_not_fit(value: i128, width: Width) -> Option<Problem> {
    (!width.holds(value)).then_some(Problem::DoesNotFit { value, width })
}

/// `count` elements of `size` bytes, in place.
fn buffer(
    view: &View<'_>,
    slot: u16,
    count: i128,
    size: u32,
    align: u8,
    null: Null,
) -> Option<Problem> {
    let Ok(elements) = u128::try_from(count) else {
        return Some(Problem::NegativeCount { count });
    };
    let address = view.slot(slot);
    if address == 0 && is_refused(null, elements == 0) {
        return Some(Problem::Null);
    }
    let bytes = elements.saturating_mul(size.into());
    if bytes == 0 || address == 0 && null == Null::Allowed {
        return None;
    }
    let align = u64::from(align.max(1));
    outside(view, address, bytes).or_else(|| {
        (!address.is_multiple_of(align)).then_some(Problem::Misaligned { address, align })
    })
}

fn is_refused(null: Null, empty: bool) -> bool {
    match null {
        Null::IfEmpty => !empty,
        Null::Allowed => false,
        Null::Refused => true,
    }
}

/// `bytes` bytes behind a pointer without a count. `Ok(None)` is NULL.
fn pointer(view: &View<'_>, slot: u16, bytes: usize, null: Null) -> Result<Option<u64>, Problem> {
    match view.slot(slot) {
        0 if is_refused(null, false) => Err(Problem::Null),
        0 => Ok(None),
        address => match outside(view, address, u128::try_from(bytes).unwrap_or(u128::MAX)) {
            Some(problem) => Err(problem),
            None => Ok(Some(address)),
        },
    }
}

fn outside(view: &View<'_>, address: u64, bytes: u128) -> Option<Problem> {
    let Some(memory) = view.memory_size() else { return Some(no_memory()) };
    let inside = u128::from(address).checked_add(bytes).is_some_and(|end| end <= memory.into());
    (!inside).then_some(Problem::OutOfBounds { bytes, address, memory })
}

fn no_memory() -> Problem {
    Problem::NoMemory { reason: "the import was called before its instance had one".to_owned() }
}

fn text(view: &View<'_>, slot: u16, unit: u8, null: Null, copy: bool) -> Option<Problem> {
    let address = view.slot(slot);
    if address == 0 {
        return is_refused(null, false).then_some(Problem::Null);
    }
    string_problem(view, address, unit).or_else(|| {
        let limit = view.store().limits.copied_bytes;
        let length = view.string_length(address, unit).and_then(|len| u64::try_from(len).ok());
        let too_long = length.is_some_and(|length| length > limit);
        (copy && too_long).then(|| copy_limit(view))
    })
}

fn string_problem(view: &View<'_>, address: u64, unit: u8) -> Option<Problem> {
    if let Some(problem) = outside(view, address, unit.into()) {
        return Some(problem);
    }
    if view.string_length(address, unit).is_none() {
        let memory = view.memory_size().unwrap_or_default();
        return Some(Problem::Unterminated { address, memory });
    }
    let align = u64::from(unit.max(1));
    (!address.is_multiple_of(align)).then_some(Problem::Misaligned { address, align })
}

/// The width of a pointer in the guest's memory: that of the pointers that it passes.
fn pointer_width(view: &View<'_>, slot: u16) -> Width {
    match view.slot_type(slot) {
        Some(WasmType::I64) => Width::U64,
        _ => Width::U32,
    }
}

fn copy_limit(view: &View<'_>) -> Problem {
    Problem::Limit { limit: "copied_bytes", value: view.store().limits.copied_bytes }
}

#[cfg(test)]
mod tests;
