//! The ops of what outlives a call: cookies, descriptors, captures, what a handle remembers.
use super::Phase;

/// An op of something that native code keeps, or gives back later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LifeOp {}

impl LifeOp {
    /// The part of a plan that this op belongs to.
    #[must_use]
    pub fn phase(self) -> Phase {
        match self {}
    }
}
