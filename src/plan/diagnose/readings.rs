//! What a condition read, by the names that its author used.
use super::view::View;
use crate::plan::frame::FrameLayout;
use crate::plan::op::{At, CallbackOp, DeepOp, LifeOp, Op, Operand};
use crate::plan::{Plan, Reading, expression::Step};

/// The integers that an expression reads, in their order, each once. Handles are left out: what an
/// expression passes on of them is a native address.
pub(super) fn readings(plan: &Plan, view: &View<'_>, expr: u16) -> Vec<Reading> {
    readings_but(plan, view, expr, None)
}

/// As [`readings`], without one that is told apart from them.
pub(super) fn readings_but(
    plan: &Plan,
    view: &View<'_>,
    expr: u16,
    but: Option<Operand>,
) -> Vec<Reading> {
    let mut read: Vec<Reading> = Vec::new();
    let steps = plan.expressions.get(usize::from(expr)).map_or(&[][..], |e| &e.steps);
    for step in steps {
        if let Step::Load(operand) = *step
            && but != Some(operand)
            && let Some(name) = name_of(plan, operand.at)
            && read.iter().all(|known| known.name != name)
        {
            read.push(Reading { name, value: view.operand(operand) });
        }
    }
    read
}

/// What expressions call the integer there.
fn name_of(plan: &Plan, at: At) -> Option<String> {
    if at == FrameLayout::result_integer() {
        return Some("return".to_owned());
    }
    let name = |index: usize| {
        let param = plan.prototype.function.params.get(index)?;
        param.name.as_ref().map(ToString::to_string)
    };
    plan.ops.iter().find_map(|op| match *op {
        Op::Int8 { slot, to }
        | Op::UInt8 { slot, to }
        | Op::Int16 { slot, to }
        | Op::UInt16 { slot, to }
        | Op::Bool { slot, to }
        | Op::Int32 { slot, to }
        | Op::Int64 { slot, to }
        | Op::Long32 { slot, to }
        | Op::ULong32 { slot, to } => name(plan.param_of(slot)).filter(|_| to == at),
        Op::Callback(CallbackOp::Scalar { from, slot, .. }) => {
            name(plan.param_of(slot)).filter(|_| from == at)
        }
        Op::Value { to, param, .. } => name(param.into()).filter(|_| to == at),
        Op::Cell { slot, cell, .. } => {
            name(plan.param_of(slot)).filter(|_| cell == at).map(|n| format!("*{n}"))
        }
        // `h.n`
        Op::Life(LifeOp::Recall { slot, name: index, to }) => {
            let of = name(plan.param_of(slot)).filter(|_| to == at);
            of.and_then(|of| Some(format!("{of}.{}", plan.names.get(usize::from(index))?)))
        }
        Op::Deep(DeepOp::Recall { of, name: index, to }) => {
            let param = plan.ops.iter().find_map(|op| match *op {
                Op::Deep(DeepOp::Box { to, param, .. }) if to == of => Some(param),
                _ => None,
            });
            let of = name(param?.into()).filter(|_| to == at);
            of.and_then(|of| Some(format!("{of}.{}", plan.names.get(usize::from(index))?)))
        }
        Op::Life(_)
        | Op::Float32 { .. }
        | Op::Float64 { .. }
        | Op::Pair { .. }
        | Op::Extended { .. }
        | Op::Vector { .. }
        | Op::Object { .. }
        | Op::Address { .. }
        | Op::Room { .. }
        | Op::Format { .. }
        | Op::FitsObject { .. }
        | Op::StoreObject { .. }
        | Op::Native(_)
        | Op::Upcall(_)
        | Op::Deep(_)
        | Op::Callback(_)
        | Op::Range { .. }
        | Op::Evaluate { .. }
        | Op::Require { .. }
        | Op::Buffer { .. }
        | Op::Text { .. }
        | Op::PointerCell { .. }
        | Op::TextCell { .. }
        | Op::Handle { .. }
        | Op::Apart { .. }
        | Op::Reserve { .. }
        | Op::Call { .. }
        | Op::Consume { .. }
        | Op::EndLoans { .. }
        | Op::Measure { .. }
        | Op::Fits { .. }
        | Op::Inside { .. }
        | Op::InsideOr { .. }
        | Op::Take { .. }
        | Op::FreeNative { .. }
        | Op::Give { .. }
        | Op::Adopt { .. }
        | Op::StoreCell { .. }
        | Op::Return { .. } => None,
    })
}
