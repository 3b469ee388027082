//! What can be wrong with a call, and how it is said.
//!
//! Errors are made in one place, `diagnose`; this file is only their vocabulary and text:
//! `zlib.crc32: parameter 2 "buf" (const uint8_t *__counted_by(len)): 70000 bytes at 0x1000 reach
//! past the memory of 65536 bytes`.
use super::expression::EvaluationError;
use super::format::FormatProblem;
use super::handles::HandleError;
use super::op::Width;
use std::fmt;

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

impl fmt::Display for CallbackProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallbackProblem::OutOfTable { index, size } => {
                write!(f, "the function index {index} is past the table of {size} entries")
            }
            CallbackProblem::NoFunction { index } => {
                write!(f, "there is no function at index {index} of the table")
            }
            CallbackProblem::WrongType { index, expected, found } => {
                write!(f, "the function at index {index} of the table is {found}, {expected} is needed")
            }
            CallbackProblem::NoTable { reason } => write!(f, "no function table: {reason}"),
            CallbackProblem::NotTheGuests => f.write_str(
                "native code left the address of a function that is not in the guest's table",
            ),
            CallbackProblem::Untrusted => f.write_str(
                "native code passes data that holds pointers and lies in the guest's own memory, where the guest could have written them",
            ),
            CallbackProblem::LeftPointer => f.write_str(
                "the guest has left another pointer there than it was given, and nothing would keep what it points at for native code",
            ),
            CallbackProblem::LivesOn => f.write_str(
                "what the guest leaves in this memory goes back to native code when a callback ends, and this handle was not made for a callback of this instance",
            ),
            CallbackProblem::Grown { lent } => write!(
                f,
                "the guest has a copy of the first {lent} bytes of this memory until the callback ends; ask for all of it at once"
            ),
            CallbackProblem::NoCode { most } => write!(
                f,
                "all {most} closures of this process are in use, and the system refuses memory for the code of more"
            ),
            CallbackProblem::Inside { callback, subject, problem } => {
                write!(f, "in the callback \"{callback}\": {subject}{problem}")
            }
            CallbackProblem::Stray { calls } => {
                let times = if *calls == 1 { "once".to_owned() } else { format!("{calls} times") };
                write!(
                    f,
                    "native code called a guest function {times} where none may run: from another thread, from a function that was said to be a leaf, or after the function's time; no guest code ran"
                )
            }
            CallbackProblem::Async => f.write_str(
                "native code called a guest function, which wasmtime does not run under `call_async`; call this function outside of it",
            ),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Call => Ok(()),
            Subject::Parameter { number, name: Some(name), ty } => {
                write!(f, "parameter {number} \"{name}\" ({ty}): ")
            }
            Subject::Parameter { number, name: None, ty } => {
                write!(f, "parameter {number} ({ty}): ")
            }
            Subject::Result { ty } => write!(f, "result ({ty}): "),
            Subject::Data { ty } => write!(f, "data ({ty}): "),
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.import, self.subject)?;
        write!(f, "{}", self.problem)?;
        if self.called { f.write_str("; the native function did run") } else { Ok(()) }
    }
}

impl std::error::Error for CallError {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Null => f.write_str("the pointer is 0, and NULL is not allowed here"),
            Problem::OutOfBounds { bytes, address, memory } => {
                let (noun, verb) = if *bytes == 1 { ("byte", "reaches") } else { ("bytes", "reach") };
                write!(f, "{bytes} {noun} at {address:#x} {verb} past the memory of {memory} bytes")
            }
            Problem::Misaligned { address, align } => {
                write!(f, "the address {address:#x} is not a multiple of {align}")
            }
            Problem::Unterminated { address, memory } => write!(
                f,
                "the string at {address:#x} has no terminator before the end of the memory of {memory} bytes"
            ),
            Problem::NegativeCount { count } => write!(f, "the count is {count}, below zero"),
            Problem::OutOfRange { value, ranges } => out_of_range(f, *value, ranges),
            Problem::OutOfComputedRange { value, ranges, read } => {
                out_of_range(f, *value, ranges)?;
                readings(f, "where", read)
            }
            Problem::Expression { text, error, read } => {
                write!(f, "`{text}` {error}")?;
                readings(f, "where", read)
            }
            Problem::Requirement { text, read } => {
                write!(f, "the call requires `{text}`")?;
                readings(f, "but", read)
            }
            Problem::DoesNotFit { value, width } => {
                let (low, high) = width.bounds();
                write!(f, "the value {value} does not fit: {low} to {high} can be held")
            }
            Problem::Format(problem) => problem.fmt(f),
            Problem::Within { path, problem } => write!(f, "`{path}`: {problem}"),
            Problem::Cycle => f.write_str("points back to an object that is being copied"),
            Problem::Overlap => f.write_str(
                "shares bytes with other data of its type, of which native code has another copy: what it leaves in one would be lost",
            ),
            Problem::PartOfElement { bytes, size } => {
                write!(f, "{bytes} bytes are no whole number of elements of {size} bytes")
            }
            Problem::Planted { address } => write!(
                f,
                "the pointer is {address:#x}, and nothing says how much is there: it must be 0"
            ),
            Problem::Handle { value, expected, error } => {
                write!(f, "{value:#x} {error}; a live `{expected}` handle is needed")
            }
            Problem::Kept { handle, by: Some(by) } => {
                write!(f, "{handle:#x} or something that it lends is kept by the handle {by:#x}, which must go first")
            }
            Problem::Kept { handle, by: None } => {
                write!(f, "{handle:#x} or something that it lends is kept by its library for ever")
            }
            Problem::KeepsItself { handle } => write!(f, "{handle:#x} cannot keep itself"),
            Problem::Unset { handle, name } => write!(
                f,
                "the handle {handle:#x} remembers no `{name}`: the calls that it went through have set none"
            ),
            Problem::CookieTooLarge { value } => write!(
                f,
                "the value {value} does not fit: native code carries integers of 32 bits, 0 to 4294967295"
            ),
            Problem::NoCookies => f.write_str(
                "the system gives the process no room of 4 GiB of addresses, which integers that native code carries need",
            ),
            Problem::PlantedCookie => {
                f.write_str("native code gave back a pointer that is none of the integers it was given to carry")
            }
            Problem::Limit { limit, value } => {
                write!(f, "the limit `{limit}` of {value} is reached; the host can raise it")
            }
            Problem::Unreachable => f.write_str(
                "native code returned a pointer to memory that the guest does not have; the prototype must say how far it reaches and who lends it (__lifetimebound, __freed_by)",
            ),
            Problem::Allocation { bytes, returned } => write!(
                f,
                "the guest's allocator was asked for {bytes} bytes and returned {returned:#x}, which has no room for them"
            ),
            Problem::Allocator { reason } => write!(f, "the guest's allocator: {reason}"),
            Problem::LenderGone { lender } => f.write_str(match lender {
                LostLender::Null => "the handle is 0, and NULL cannot lend what the call returns",
                LostLender::Consumed => "the call itself has consumed the handle that should lend it",
                LostLender::Gone => "the handle that should lend it died while guest code ran",
            }),
            Problem::StackExhausted { left, needed } => write!(
                f,
                "{left} bytes of native stack are left, {needed} must be: guest and native code are nested too deeply"
            ),
            Problem::NoOverload { overloads } => {
                write!(f, "none of the {overloads} granted overloads accepts these arguments")
            }
            Problem::Callback(problem) => problem.fmt(f),
            Problem::NoMemory { reason } => write!(f, "no guest memory: {reason}"),
            Problem::Changed => {
                f.write_str("a check failed, and what it saw has changed since; does another thread write there?")
            }
        }
    }
}

fn out_of_range<T: fmt::Display + PartialEq>(
    f: &mut fmt::Formatter<'_>,
    value: i128,
    ranges: &[(T, T)],
) -> fmt::Result {
    write!(f, "the value {value} is not allowed, only ")?;
    for (position, (low, high)) in ranges.iter().enumerate() {
        let or = if position > 0 { " or " } else { "" };
        if low == high {
            write!(f, "{or}{low}")?;
        } else {
            write!(f, "{or}{low} to {high}")?;
        }
    }
    Ok(())
}

/// `, where n = 5, lda = 3`
fn readings(f: &mut fmt::Formatter<'_>, before: &str, read: &[Reading]) -> fmt::Result {
    for (position, Reading { name, value }) in read.iter().enumerate() {
        let before = if position == 0 { format!(" {before}") } else { String::new() };
        write!(f, ",{before} {name} = {value}")?;
    }
    Ok(())
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
