//! Why a plan has no trampoline.
use crate::plan::abi::Location;
use crate::plan::op::At;

/// Why a plan has no trampoline: another tier runs it. Never an error for a guest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    /// Trampolines are for x86-64 with the System V ABI.
    #[error("no trampolines on this processor")]
    Machine,
    /// A plan of the `ffi` API.
    #[error("no guest")]
    NoGuest,
    /// A `long double` argument or result.
    #[error("a `long double`: Cranelift does not know x87 registers")]
    X87,
    /// Vector registers carry arguments of a variadic function.
    #[error("floating-point arguments of a variadic function: Cranelift cannot count them in al")]
    VariadicFloat,
    /// Stack arguments that must be aligned to more than 16 bytes.
    #[error("stack arguments aligned to {align} bytes")]
    StackAlign {
        /// In bytes.
        align: u16,
    },
    /// A string that native code gets as a copy.
    #[error("a string that is copied")]
    Copy,
    /// A value that the C ABI passes by its address.
    #[error("a value in memory of the call")]
    ByAddress,
    /// A format that is gone through on every call.
    #[error("a format")]
    Format,
    /// An op of [`DeepOp`](crate::plan::op::DeepOp).
    #[error("data that is copied")]
    Deep,
    /// An op of [`CallbackOp`](crate::plan::op::CallbackOp).
    #[error("a callback")]
    Callback,
    /// The function may call back into the guest.
    #[error("a function that may call back")]
    CallsBack,
    /// An op of [`LifeOp`](crate::plan::op::LifeOp).
    #[error("something that outlives the call")]
    Life,
    /// Handles are marked while the call runs.
    #[error("handles that are marked while the call runs")]
    Marks,
    /// A reference of the guest's, which only the host may look at.
    #[error("an argument or result that is a reference")]
    Reference,
    /// An op stands where the backend does not expect it.
    #[error("op {op} is out of place")]
    Misplaced {
        /// Its position.
        op: usize,
    },
    /// An op reads what no op has written.
    #[error("nothing has written the place at {}", at.offset())]
    Place {
        /// The place.
        at: At,
    },
    /// Cranelift would put an argument or result elsewhere than the C ABI does.
    #[error("Cranelift would put a value in {found:?} that belongs in {wanted:?}")]
    Location {
        /// Where it must be.
        wanted: Option<Location>,
        /// Where it would be.
        found: Option<Location>,
    },
    /// A trial call has shown that Cranelift puts values elsewhere than is known of it.
    #[error("a trial call found a value of {wanted:#x} to be {found:#x} in word {word}")]
    Probe {
        /// Of what the trial recorded.
        word: usize,
        /// What should be there.
        wanted: u64,
        /// What was there.
        found: u64,
    },
    /// Cranelift has refused the code, or its verifier has.
    #[error("Cranelift: {0}")]
    Codegen(String),
    /// The code has instructions that may trap, which would end the process.
    #[error("the code has {0} instructions that may trap")]
    Traps(usize),
    /// The code refers to something that nobody knows.
    #[error("among {0} relocations is one of another kind")]
    Relocations(usize),
    /// A patch of the code is not in it, or means nothing to the plan.
    #[error("no patch belongs at {at:#x}")]
    Patch {
        /// Its offset in the code.
        at: u32,
    },
    /// The system gives no memory for code.
    #[error("no memory for code: {0}")]
    Memory(String),
}
