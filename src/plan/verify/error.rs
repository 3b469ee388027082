//! Why a plan is refused.
use crate::plan::op::{At, Phase, Width};
use std::fmt;
use thiserror::Error;

/// A plan that must not run, and the first reason for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyError {
    /// Index of the op at which it was found; `None` when it is about the plan as a whole.
    pub op: Option<usize>,
    /// Name of that op, or of the part of the plan.
    pub context: &'static str,
    /// What is wrong.
    pub fault: Fault,
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.op {
            Some(op) => write!(f, "op {op} ({}): {}", self.context, self.fault),
            None => write!(f, "{}: {}", self.context, self.fault),
        }
    }
}

impl std::error::Error for VerifyError {}

/// What is wrong with a plan.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// The C ABI has no place for the prototype's types, or plans have no ops for them.
    #[error("the prototype cannot be called: {0}")]
    Prototype(String),
    /// The wasm type of a parameter or result.
    #[error("the wasm type does not belong to the C type of {0}")]
    Lowering(String),
    /// `Plan::call` is not the index of the only `Call`.
    #[error("there must be one call, at the index that the plan gives")]
    Call,
    /// An op stands behind one of a later phase.
    #[error("an op of phase {phase:?} after one of phase {after:?}")]
    Order {
        /// Of the op.
        phase: Phase,
        /// Of an op before it.
        after: Phase,
    },
    /// An op stands before one that it must follow within its phase.
    #[error("it stands {0}")]
    Sequence(&'static str),
    /// A part of the frame's layout.
    #[error("the frame's {part} is {found}, it must be {expected}")]
    Frame {
        /// Which part.
        part: &'static str,
        /// What the prototype and the ops ask for.
        expected: usize,
        /// What the layout says.
        found: usize,
    },
    /// Bytes outside of the part of the frame where they belong, or not aligned.
    #[error("{bytes} bytes at offset {} are not in the frame's {area}", at.offset())]
    Area {
        /// Where they are.
        at: At,
        /// How many.
        bytes: usize,
        /// Where they would have to be.
        area: &'static str,
    },
    /// Bytes of the frame that two ops write.
    #[error("offset {} was already written by op {by}", at.offset())]
    Twice {
        /// Where they are.
        at: At,
        /// Who wrote there first.
        by: usize,
    },
    /// An argument's register or stack slot that no op writes.
    #[error("{0} is never placed")]
    Missing(String),
    /// Something read that no earlier op has written, or that is not what the op needs.
    #[error("there is no {what} at offset {} at this point", at.offset())]
    Unknown {
        /// What the op needs.
        what: &'static str,
        /// Where it looks.
        at: At,
    },
    /// An integer read with another width than it was written with.
    #[error("the integer at offset {} is {written:?}, it is read as {read:?}", at.offset())]
    Width {
        /// Where it is.
        at: At,
        /// How it was written.
        written: Width,
        /// How it is read.
        read: Width,
    },
    /// A guest slot that the import does not have, or that belongs to another parameter.
    #[error("guest slot {0} is not the one that it must read")]
    Slot(u16),
    /// An index beyond the end of a table.
    #[error("index {index} is past the end of the plan's {table}")]
    Table {
        /// Which table.
        table: &'static str,
        /// The index.
        index: usize,
    },
    /// An entry of a table that no op uses.
    #[error("entry {index} of the plan's {table} is not used")]
    Unused {
        /// Which table.
        table: &'static str,
        /// The entry.
        index: usize,
    },
    /// Something that contradicts what the prototype says.
    #[error("{what} of {subject} is not what the prototype says")]
    Disagrees {
        /// Which detail.
        what: &'static str,
        /// The parameter, or the result.
        subject: String,
    },
    /// Something that the prototype demands and no op does.
    #[error("nothing {what} {subject}")]
    Undone {
        /// What would have to be done.
        what: &'static str,
        /// The parameter, or the result.
        subject: String,
    },
    /// An op that the prototype has no use for.
    #[error("the prototype does not ask for this")]
    Unasked,
    /// An expression that cannot be evaluated.
    #[error("expression {index}: {reason}")]
    Expression {
        /// Which one.
        index: usize,
        /// Why not.
        reason: &'static str,
    },
    /// Guest slots that are not those of the parameters.
    #[error("the guest slots of the parameters are wrong")]
    Slots,
    /// Moves that are not those of a type.
    #[error("the moves of {subject}: {reason}")]
    Moves {
        /// What is wrong.
        reason: String,
        /// The parameter, or the result.
        subject: String,
    },
    /// The plan of a callback.
    #[error("callback {index}: {error}")]
    Callback {
        /// Which one.
        index: usize,
        /// What is wrong with it.
        error: Box<VerifyError>,
    },
    /// A shape that is not that of a type.
    #[error("the shapes of {subject}: {reason}")]
    Shape {
        /// What is wrong.
        reason: String,
        /// The parameter, or the result.
        subject: String,
    },
    /// A fact that the ops contradict.
    #[error("the fact `{0}` is wrong")]
    Fact(&'static str),
}
