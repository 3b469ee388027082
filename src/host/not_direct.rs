//! Why a bridge has no direct calls.
use thiserror::Error;

/// Why a bridge makes no direct calls, although it may: one of the facts that they rest on does not hold. The
/// tier `cranelift` is used instead.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NotDirect {
    /// The crate was built without the feature `trampolines`.
    #[error("built without the feature `trampolines`")]
    Built,
    /// wasmtime's interpreter runs the guests.
    #[error("the engine runs guests in its interpreter (Pulley)")]
    Pulley,
    /// Winch, or no compiler, makes the guests' code.
    #[error("the engine's guests are not compiled by Cranelift ({found})")]
    Strategy {
        /// What makes it.
        found: String,
    },
    /// Guests can be debugged: wasmtime counts their calls of the host.
    #[error("the engine has guest debugging on")]
    GuestDebug,
    /// Calls of the host are recorded, or replayed.
    #[error("the engine records or replays executions")]
    Recording,
    /// Memories are guarded by protection keys, which change when guests call the host.
    #[error("the engine may use memory protection keys")]
    ProtectionKeys,
    /// A structure of wasmtime is laid out in another way.
    #[error("{part} of wasmtime is {found}, not {expected}")]
    Layout {
        /// Which part of it.
        part: &'static str,
        /// In bytes.
        expected: usize,
        /// In bytes.
        found: usize,
    },
    /// A trial call has found something elsewhere.
    #[error("a trial call found {what} to be {found:#x}, not {expected:#x}")]
    Trial {
        /// Of what.
        what: String,
        /// What should be there.
        expected: u64,
        /// What was there.
        found: u64,
    },
    /// The trial could not be made.
    #[error("a trial call was not possible: {0}")]
    NoTrial(String),
    /// The trial needs a small module, and the bridge [makes no code](super::BridgeBuilder::make_code).
    #[error("the bridge makes no code, and direct calls are tried with some")]
    MakesNoCode,
    /// A test has asked for it.
    #[error("told to do without")]
    Told,
}
