//! What the plan of a callback does, if an entry can do it.
use crate::cranelift_backend::Unsupported;
use crate::cranelift_backend::signature::{NativeSignature, VECTORS};
use crate::plan::frame::FrameLayout;
use crate::plan::interpret::callback::MOST_INTEGERS;
use crate::plan::op::{At, CallbackOp, Fetch, Op, Returns, Width};
use crate::plan::{Kind, Plan};
use cranelift_codegen::ir::types;

/// An argument of C's: which register, and what becomes of it.
pub(super) struct Arrival {
    pub op: usize,
    pub slot: u16,
    pub from: Register,
    pub how: How,
}

#[derive(Clone, Copy)]
pub(super) enum Register {
    Integer(u8),
    Vector(u8),
}

#[derive(Clone, Copy)]
pub(super) enum How {
    Scalar(Returns),
    Inside,
    Cookie,
}

/// What C gets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    Nothing,
    Scalar(Fetch),
}

/// What the plan does, if that is little enough.
pub(super) fn read(plan: &Plan) -> Result<(Vec<Arrival>, Reply), Unsupported> {
    if plan.kind != Kind::Callback {
        return Err(Unsupported::Misplaced { op: 0 });
    }
    let mut arrivals = Vec::new();
    let mut reply = Reply::Nothing;
    for (index, op) in plan.ops.iter().enumerate() {
        let Op::Callback(op) = *op else { return Err(Unsupported::Misplaced { op: index }) };
        let mut arrival = |from, slot, how| {
            arrivals.push(Arrival { op: index, slot, from: register(from)?, how });
            Ok::<_, Unsupported>(())
        };
        match op {
            CallbackOp::Scalar { from, slot, returns } => {
                arrival(from, slot, How::Scalar(returns))?;
            }
            CallbackOp::Inside { from, slot } => arrival(from, slot, How::Inside)?,
            CallbackOp::Cookie { from, slot } => arrival(from, slot, How::Cookie)?,
            CallbackOp::Enter => {}
            CallbackOp::Reply { fetch } => reply = Reply::Scalar(fetch),
            CallbackOp::ScalarWithin { .. }
            | CallbackOp::Pair { .. }
            | CallbackOp::Vector { .. }
            | CallbackOp::Descriptor { .. }
            | CallbackOp::Copy { .. }
            | CallbackOp::Handle { .. }
            | CallbackOp::Function { .. }
            | CallbackOp::Object { .. }
            | CallbackOp::Room { .. }
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
            | CallbackOp::ReplyFunction { .. } => return Err(Unsupported::CallbackData),
            CallbackOp::Pass { .. } | CallbackOp::Keep { .. } | CallbackOp::KeepReturned { .. } => {
                return Err(Unsupported::Misplaced { op: index });
            }
        }
    }
    Ok((arrivals, reply))
}

/// The register whose image is at that place.
fn register(from: At) -> Result<Register, Unsupported> {
    let integer = (0..MOST_INTEGERS).find(|n| FrameLayout::integer(*n) == Some(from));
    let vector = || (0..VECTORS).find(|n| FrameLayout::vector(*n) == Some(from));
    let integer = integer.map(Register::Integer);
    integer.or_else(|| vector().map(Register::Vector)).ok_or(Unsupported::CallbackStack)
}

/// Where C has put the arguments, and wants the result. The closure is one integer more.
pub(super) fn signature(
    arrivals: &[Arrival],
    reply: Reply,
) -> Result<NativeSignature, Unsupported> {
    let mut signature = NativeSignature { integers: 1, ..NativeSignature::default() };
    for arrival in arrivals {
        match arrival.from {
            Register::Integer(number) => signature.integers = signature.integers.max(number + 2),
            Register::Vector(number) => {
                let needed = usize::from(number) + 1;
                if signature.vectors.len() < needed {
                    signature.vectors.resize(needed, types::F64);
                }
                signature.vectors[needed - 1] = match arrival.how {
                    How::Scalar(Returns::Float32) => types::F32,
                    How::Scalar(Returns::Float64) => types::F64,
                    How::Scalar(_) | How::Inside | How::Cookie => {
                        return Err(Unsupported::Misplaced { op: arrival.op });
                    }
                };
            }
        }
    }
    match reply {
        Reply::Nothing => {}
        Reply::Scalar(Fetch::Float32) => signature.vector_results.push(types::F32),
        Reply::Scalar(Fetch::Float64) => signature.vector_results.push(types::F64),
        Reply::Scalar(Fetch::Integer(Width::I128) | Fetch::Whole) => {
            return Err(Unsupported::CallbackData);
        }
        Reply::Scalar(Fetch::Integer(_) | Fetch::Bool) => signature.integer_results = 1,
    }
    Ok(signature)
}
