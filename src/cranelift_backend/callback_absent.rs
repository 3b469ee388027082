//! No entries of closures are made: the crate was built without Cranelift.
use super::Unsupported;
use crate::plan::Plan;
use crate::plan::interpret::callback::Code;
use std::sync::Arc;

/// There is none.
#[derive(Debug)]
pub enum Typed {}

impl Typed {
    /// Makes none.
    ///
    /// # Errors
    /// Always.
    pub fn compile(_: &Plan) -> Result<Typed, Unsupported> {
        Err(Unsupported::NoCompiler)
    }

    /// What there is none of.
    #[must_use]
    pub fn entry(self: &Arc<Typed>) -> Code {
        match **self {}
    }
}
