//! How problems are said.
use super::LostLender;
use super::{CallError, CallbackProblem, Problem, Reading, Subject, Unruly};
use std::fmt;

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
            Problem::Within { path, count: None, problem } => write!(f, "`{path}`: {problem}"),
            Problem::Within { path, count: Some(count), problem } => {
                write!(f, "`{path}`, counted by `{count}`: {problem}")
            }
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
                "{left} bytes of native stack are left, the limit `stack_reserve` asks for {needed}: guest and native code are nested too deeply"
            ),
            Problem::Unruly(unruly) => f.write_str(match unruly {
                Unruly::Constant => "native code has written to it, although it is `const`: the prototype or the library is wrong",
                Unruly::Frame => "native code has written to memory of the call that it was not given: the prototype or the library is wrong",
                Unruly::FloatingPoint => "native code has changed how the thread rounds floating-point numbers; it is as before again",
                Unruly::Signals => "native code has changed which signals the thread blocks; it is as before again",
            }),
            Problem::Refused { reason } => write!(f, "the host refuses this call: {reason}"),
            Problem::Revoked { interface } => {
                write!(f, "the host has revoked `{interface}`: none of its functions can be called any more")
            }
            Problem::OtherThread { interface } => write!(
                f,
                "`{interface}` is pinned to one thread, and another one was the first to call it; run this guest there"
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
