//! What can be wrong with a call, and how it is said.
//!
//! Errors are made in one place, `diagnose`; this file is only their vocabulary and text:
//! `zlib.crc32: parameter 2 "buf" (const uint8_t *__counted_by(len)): 70000 bytes at 0x1000 reach
//! past the memory of 65536 bytes`.
use super::expression::EvaluationError;
use super::format::FormatProblem;
use super::handles::HandleError;
use super::op::Width;

mod text;

/// A call that could not be made, or whose outcome could not be given to the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallError {
    /// The import, as `module.symbol`.
    pub import: String,
    /// What the error is about.
    pub subject: Subject,
    /// What is wrong.
    pub problem: Problem,
    /// Whether the native function ran before the error was found.
    pub called: bool,
}

/// What an error is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The call as a whole.
    Call,
    /// A parameter.
    Parameter {
        /// Its position, counted from 1.
        number: usize,
        /// Its name, if it has one.
        name: Option<String>,
        /// Its type as it was written.
        ty: String,
    },
    /// The value of data.
    Data {
        /// Its type as it was written.
        ty: String,
    },
    /// The result.
    Result {
        /// Its type as it was written.
        ty: String,
    },
}

/// An integer that an expression reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What the expression calls it: `n`, `*len`, `return`.
    pub name: String,
    /// Its value.
    pub value: i128,
}

/// Why a handle cannot lend what a call returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LostLender {
    /// It is NULL. Told before the call.
    Null,
    /// The call has consumed it, or what it came from.
    Consumed,
    /// It died otherwise.
    Gone,
}

/// What is wrong with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// A pointer is 0 where NULL is not allowed.
    Null,
    /// A range leaves the guest's memory.
    OutOfBounds {
        /// Its length in bytes.
        bytes: u128,
        /// Its guest address.
        address: u64,
        /// Size of the memory in bytes.
        memory: u64,
    },
    /// A pointer that C dereferences is not aligned for its type.
    Misaligned {
        /// The guest address.
        address: u64,
        /// The alignment asked for, in bytes.
        align: u64,
    },
    /// A string does not end inside the memory.
    Unterminated {
        /// Its guest address.
        address: u64,
        /// Size of the memory in bytes.
        memory: u64,
    },
    /// A count is negative.
    NegativeCount {
        /// The count.
        count: i128,
    },
    /// A value is outside of its `__range`s.
    OutOfRange {
        /// The value.
        value: i128,
        /// The intervals.
        ranges: Vec<(i128, i128)>,
    },
    /// A value is outside of its `__range`s, whose bounds are computed.
    OutOfComputedRange {
        /// The value.
        value: i128,
        /// The bounds of the intervals as they were written.
        ranges: Vec<(String, String)>,
        /// What the bounds read.
        read: Vec<Reading>,
    },
    /// An expression has no value.
    Expression {
        /// As it was written.
        text: String,
        /// Why not.
        error: EvaluationError,
        /// What it reads.
        read: Vec<Reading>,
    },
    /// A `__requires` does not hold.
    Requirement {
        /// As it was written.
        text: String,
        /// What it reads.
        read: Vec<Reading>,
    },
    /// A value does not fit the type that it must have.
    DoesNotFit {
        /// The value.
        value: i128,
        /// What it would have to fit.
        width: Width,
    },
    /// A format does not fit the arguments, or is refused.
    Format(Box<FormatProblem>),
    /// Something in the data that a pointer leads to.
    Within {
        /// Where: `vec[3].iov_base`.
        path: String,
        /// The expression that says how many there are, as it was written, if that may be what is wrong.
        count: Option<String>,
        /// What.
        problem: Box<Problem>,
    },
    /// Data leads back to itself.
    Cycle,
    /// Data that native code may change shares bytes with other data of its type.
    Overlap,
    /// Bytes are no whole number of elements.
    PartOfElement {
        /// How many bytes.
        bytes: u64,
        /// Size of an element on the host.
        size: u32,
    },
    /// A pointer that only native code may set is not 0.
    Planted {
        /// What it is.
        address: u64,
    },
    /// A handle cannot be used.
    Handle {
        /// What the guest passed.
        value: u64,
        /// The type that was expected (`struct sqlite3`).
        expected: String,
        /// Why it cannot be used.
        error: HandleError,
    },
    /// A handle is to be consumed, or its loans to be ended, while something is kept that would go
    /// with it.
    Kept {
        /// What the guest passed.
        handle: u64,
        /// The handle that keeps it; `None`: a library, for ever.
        by: Option<u32>,
    },
    /// A handle is to keep itself.
    KeepsItself {
        /// The handle.
        handle: u64,
    },
    /// An integer is read that nothing has kept with the handle.
    Unset {
        /// The handle.
        handle: u64,
        /// The name of the integer.
        name: String,
    },
    /// A cookie that is too large to be carried.
    CookieTooLarge {
        /// The guest's value.
        value: u64,
    },
    /// The system refuses the addresses that cookies need.
    NoCookies,
    /// Native code gave back a cookie that it was never given.
    PlantedCookie,
    /// A limit of the store is reached.
    Limit {
        /// Its name, as the builder calls it.
        limit: &'static str,
        /// Its value.
        value: u64,
    },
    /// Native code returned a pointer that the guest has no way to reach.
    Unreachable,
    /// The guest's allocator failed.
    Allocation {
        /// How many bytes it was asked for.
        bytes: u64,
        /// What it returned.
        returned: u64,
    },
    /// The guest's allocator trapped or is not there.
    Allocator {
        /// What happened.
        reason: String,
    },
    /// What the call returns has nobody to lend it.
    LenderGone {
        /// What has become of the handle that should.
        lender: LostLender,
    },
    /// Too little native stack is left.
    StackExhausted {
        /// How many bytes are left.
        left: u64,
        /// How many there must be.
        needed: u64,
    },
    /// The embedder does not let the call pass.
    Refused {
        /// Why, in its words.
        reason: String,
    },
    /// The embedder has taken the interface away.
    Revoked {
        /// Its name.
        interface: String,
    },
    /// Another thread has the interface to itself.
    OtherThread {
        /// Its name.
        interface: String,
    },
    /// Native code has done what it must not. Only told by bridges that watch it
    /// (`BridgeBuilder::guard`).
    Unruly(Unruly),
    /// No overload of the function accepts the arguments.
    NoOverload {
        /// How many there are.
        overloads: usize,
    },
    /// Something about a guest function that native code is given.
    Callback(Box<CallbackProblem>),
    /// The instance's memory is not known (yet).
    NoMemory {
        /// Why.
        reason: String,
    },
    /// A check failed, and what it saw is no longer there: another thread writes to the guest's
    /// memory.
    Changed,
}

/// What native code has done that its prototype promises it would not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unruly {
    /// It has written to memory that it was given as `const`.
    Constant,
    /// It has written to the memory of the call where it was given none.
    Frame,
    /// It has changed how the thread rounds floating-point numbers, or which exceptions it raises.
    FloatingPoint,
    /// It has changed which signals the thread blocks.
    Signals,
}

/// What is wrong with a guest function that native code is given, or with native code's call of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallbackProblem {
    /// The guest's table ends before that index.
    OutOfTable {
        /// The index.
        index: u64,
        /// How many entries the table has.
        size: u64,
    },
    /// There is no function at that index.
    NoFunction {
        /// The index.
        index: u64,
    },
    /// The function there has another wasm type.
    WrongType {
        /// The index.
        index: u64,
        /// The wasm type that the prototype asks for.
        expected: String,
        /// That of the function.
        found: String,
    },
    /// The instance's table is not known (yet).
    NoTable {
        /// Why.
        reason: String,
    },
    /// What a handle lends is to go back to native memory when its callback ends, and it is none of a
    /// callback's, or of one of another instance's.
    LivesOn,
    /// Native memory that goes back when the callback ends is larger now than when the guest got its copy.
    Grown {
        /// Size of the copy, in bytes.
        lent: u64,
    },
    /// Native code passes data that holds pointers and lies in the guest's memory.
    Untrusted,
    /// The guest has left another pointer in native memory than it was given.
    LeftPointer,
    /// No code is left for closures.
    NoCode {
        /// How many closures the process has.
        most: usize,
    },
    /// A check of native code's call of the guest function has failed.
    Inside {
        /// The name of the callback.
        callback: String,
        /// What of the callback it is about.
        subject: Subject,
        /// What is wrong.
        problem: Problem,
    },
    /// Native code has left the address of a function that is none of the guest's.
    NotTheGuests,
    /// Guest functions were called where none may run.
    Stray {
        /// How often.
        calls: u32,
    },
    /// wasmtime does not run guest code here.
    Async,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_names_import_parameter_type_value_and_bound() {
        let error = CallError {
            import: "zlib.crc32".into(),
            subject: Subject::Parameter {
                number: 2,
                name: Some("buf".into()),
                ty: "const uint8_t *__counted_by(len)".into(),
            },
            problem: Problem::OutOfBounds { bytes: 70000, address: 0x1000, memory: 65536 },
            called: false,
        };
        assert_eq!(
            error.to_string(),
            "zlib.crc32: parameter 2 \"buf\" (const uint8_t *__counted_by(len)): 70000 bytes at 0x1000 reach past the memory of 65536 bytes"
        );
    }
}
