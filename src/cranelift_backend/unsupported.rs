//! Why a plan has no trampoline.
use crate::plan::abi::Location;
use crate::plan::op::At;

/// Why a plan has no trampoline: another tier runs it. Never an error for a guest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    /// Trampolines are for x86-64 with the System V ABI.
    #[error("no trampolines on this processor")]
    Machine,
    /// The crate was built without the feature `cranelift`.
    #[error("built without a compiler (feature `cranelift`)")]
    NoCompiler,
    /// A plan of the `ffi` API.
    #[error("no guest")]
    NoGuest,
    /// The call is none that Cranelift could make: it has no signature.
    #[error(
        "the interpreter's stub makes the call: x87 registers, vectors of a variadic tail, aligned stack"
    )]
    ByStub,
    /// A frame that must be more aligned than contexts of direct calls are.
    #[error("memory of the call aligned to {align} bytes")]
    StackAlign {
        /// In bytes.
        align: u16,
    },
    /// An argument or result of a callback that is no scalar, no cookie and no pointer to the guest's memory.
    #[error("a callback with data, handles or ranges")]
    CallbackData,
    /// A callback with more arguments than registers.
    #[error("a callback whose arguments take more than five integer registers and eight others")]
    CallbackStack,
    /// The function may call back into the guest, or keeps functions of it: not without a host function.
    #[error("a function that may call back")]
    CallsBack,
    /// The interpreter does a part of the call, for which it needs what a host function has.
    #[error("a part of the call that the interpreter does")]
    CallsOut,
    /// A reference of the guest's, which only the host may look at.
    #[error("an argument or result that is a reference")]
    Reference,
    /// An op stands where no verified plan has it: a mistake of the backend.
    #[error("op {op} is out of place")]
    Misplaced {
        /// Its position.
        op: usize,
    },
    /// An op reads what no op has written, which the verifier refuses: a mistake of the backend.
    #[error("nothing has written the place at {}", at.offset())]
    Place {
        /// The place.
        at: At,
    },
    /// Something else that no verified plan asks for: a mistake of the backend.
    #[error("a mistake of the backend: {0}")]
    Internal(String),
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
