//! The ops of pointed-to data that native code gets as a copy of the call's own.
use super::Phase;

/// An op of data whose layouts differ, that holds pointers, or that a bound depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeepOp {}

impl DeepOp {
    /// The part of a plan that this op belongs to.
    #[must_use]
    pub fn phase(self) -> Phase {
        match self {}
    }
}
