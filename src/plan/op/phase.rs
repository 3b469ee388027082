//! The order of a plan's parts.
use super::{NativeOp, Op, UpcallOp};

/// The part of a plan that an op belongs to, in the order in which they must stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// Decodes, checks, places.
    Before,
    /// The call.
    Call,
    /// What is true once native code has run.
    Facts,
    /// What can still fail.
    Checks,
    /// Guest code.
    Guest,
    /// What cannot fail.
    Commit,
}

impl Op {
    /// The part of a plan that this op belongs to.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self {
            Op::Int8 { .. }
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
            | Op::Object { .. }
            | Op::Address { .. }
            | Op::Room { .. }
            | Op::Format { .. }
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
            | Op::Reserve { .. } => Phase::Before,
            Op::Call { .. } => Phase::Call,
            Op::Consume { .. } | Op::EndLoans { .. } => Phase::Facts,
            Op::Measure { .. }
            | Op::Fits { .. }
            | Op::FitsObject { .. }
            | Op::Inside { .. }
            | Op::InsideOr { .. }
            | Op::Take { .. }
            | Op::FreeNative { .. } => Phase::Checks,
            Op::Give { .. } => Phase::Guest,
            Op::Adopt { .. }
            | Op::StoreCell { .. }
            | Op::StoreObject { .. }
            | Op::Return { .. } => Phase::Commit,
            Op::Deep(op) => op.phase(),
            Op::Callback(op) => op.phase(),
            Op::Life(op) => op.phase(),
            Op::Native(op) => match op {
                NativeOp::Fetch { .. } | NativeOp::Split { .. } | NativeOp::Destination { .. } => {
                    Phase::Before
                }
                NativeOp::Deliver { .. } => Phase::Commit,
            },
            Op::Upcall(op) => match op {
                UpcallOp::Lend { .. } | UpcallOp::LendBehind { .. } | UpcallOp::Join { .. } => {
                    Phase::Before
                }
                UpcallOp::Call { .. } => Phase::Call,
                UpcallOp::Reply { .. }
                | UpcallOp::ReplySplit { .. }
                | UpcallOp::ReplyHidden { .. } => Phase::Commit,
            },
        }
    }
}
