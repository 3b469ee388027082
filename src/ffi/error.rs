//! Why there is no plan, no call or no closure.
use crate::plan::verify::VerifyError;
use crate::signature::Diagnostics;

/// What goes wrong in this module. All of it is told before native code runs.
///
/// ```
/// use portcullis::ffi::{CallPlan, Error};
/// let error = CallPlan::parse("int f(unit8_t x)").unwrap_err();
/// assert!(matches!(error, Error::Prototype(_)));
/// assert!(error.to_string().contains("did you mean `uint8_t`"));
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The prototype, or its declarations, have mistakes: each with its place. Of types that were put
    /// together at run time it is their C text that the places are in.
    #[error("{0}")]
    Prototype(Diagnostics),
    /// There is no code here that enters native code on this machine.
    #[error("calls without a guest work on x86-64 with the System V ABI, not on this machine")]
    UnsupportedHost,
    /// A call with another number of arguments than the prototype has.
    #[error(
        "`{prototype}` has {}, {} given",
        counted(*expected, "parameter", "parameters"),
        counted(*found, "argument was", "arguments were")
    )]
    ArgumentCount {
        /// The prototype.
        prototype: String,
        /// How many it has, those of a typed tail included.
        expected: usize,
        /// How many there were.
        found: usize,
    },
    /// The function to call is NULL.
    #[error("the function `{prototype}` is a null pointer")]
    NullFunction {
        /// The prototype.
        prototype: String,
    },
    /// The function has a result, and there is nowhere to put it.
    #[error("`{prototype}` has a result, and the pointer to its memory is null")]
    NullResult {
        /// The prototype.
        prototype: String,
    },
    /// The system refuses memory for code, and all stubs of the program itself are in use.
    #[error(
        "all {most} closures of this process are in use, and the system refuses memory for the \
         code of more"
    )]
    NoClosureSlots {
        /// How many closures there may be at once.
        most: usize,
    },
    /// There is no machine code for calls of this prototype: they are interpreted.
    #[error("calls of `{prototype}` are not compiled: {reason}")]
    NoCode {
        /// The prototype.
        prototype: String,
        /// Why.
        reason: String,
    },
    /// The verifier refused the compiler's work.
    #[error("the plan was refused, which is a bug of Portcullis: {0}")]
    Refused(#[from] VerifyError),
}

fn counted(count: usize, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}
