//! The ops of guest functions that native code calls.
use super::Phase;

/// An op of a call that passes a guest function, or of native code's call of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallbackOp {}

impl CallbackOp {
    /// The part of a plan that this op belongs to.
    #[must_use]
    pub fn phase(self) -> Phase {
        match self {}
    }
}
