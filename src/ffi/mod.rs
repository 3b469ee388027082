//! Dynamic C calls without WebAssembly: call plans and closures on plain C values in memory.
//!
//! This is what libffi is for, with a C prototype as the description of a function. A [`CallPlan`] is
//! compiled once, from text or from types that are put together at run time, by the same compiler,
//! checked by the same verifier and run by the same interpreter as the calls of guests. It can be
//! shared by threads and is shared by equal prototypes.
//!
//! ```
//! use portcullis::ffi::CallPlan;
//! use std::ffi::c_void;
//!
//! unsafe extern "C" {
//!     fn ldexp(x: f64, exponent: i32) -> f64;
//! }
//! let plan = CallPlan::parse("double ldexp(double x, int exponent)")?;
//! let (x, exponent, mut result) = (0.75_f64, 4_i32, 0.0_f64);
//! let args = [(&raw const x).cast(), (&raw const exponent).cast()];
//! // SAFETY: `ldexp` has that prototype, the arguments and the result are of its types.
//! unsafe { plan.call(ldexp as *const c_void, &args, (&raw mut result).cast())? };
//! assert_eq!(result, 12.0);
//! # Ok::<(), portcullis::ffi::Error>(())
//! ```
//!
//! # What it is not
//!
//! Nothing is checked that a C compiler would not check: a pointer is a pointer. Annotations of a
//! prototype (`__counted_by`, `__leaf`) are read and have no effect. For calls of code that is not
//! trusted see [`crate::host`].
//!
//! # For the builder of another VM
//!
//! A prototype that your program declares becomes a [`CallPlan`] when it is linked, or when a call site
//! first runs; keep it there, it is one pointer. Values of your VM are unboxed into C values in memory
//! ([`CallPlan::params`] says how large and how aligned each is; [`Type::field_offsets`] where the
//! members of structs are), an array of their addresses is passed to [`CallPlan::call`], and the result
//! is read from memory. A call allocates nothing and takes no lock. Functions of your VM that C calls
//! become [`Closure`]s, which get the addresses of C values in the same way. Functions with a variable
//! number of arguments have one plan for each list of types that they are called with:
//! `int printf(const char *format, ..., double, int)`. Calls that are made often become machine code with
//! [`CallPlan::make_code`].
//!
//! # What can be passed
//!
//! All types of C by value, both ways: scalars, enums, `bool`, pointers, `long double`, `_Complex`,
//! `__int128`, vectors of 8 and 16 bytes, structs and unions however nested, packed, over-aligned, with
//! bit-fields and arrays, with tails and members that have no bytes as gcc passes these. A `long double` has 16
//! bytes, of which 10 are the value; the other six are padding, which a result leaves as it was.
//! The integer types of `stdint.h`, `stddef.h`, `sys/types.h` and `time.h` are known by name (`uint8_t`, `size_t`,
//! `off_t`, `time_t`), and so are vectors (`__m128`); for others give the declarations to
//! [`CallPlan::parse_in`]. What compilers disagree on is refused (`struct s { int : 3; }`), and so are vectors
//! of 32 and 64 bytes: how those travel depends on whether the callee was compiled for AVX. Arguments may
//! take up to 4096 bytes of stack. Calls work on x86-64 with the System V ABI; elsewhere plans cannot be
//! made ([`Error::UnsupportedHost`]).
#![expect(unsafe_code, reason = "calls functions by address, on values behind pointers")]

mod closure;
#[cfg_attr(not(feature = "cranelift"), path = "code_absent.rs")]
mod code;
mod error;
mod plan;
mod types;

pub use closure::{Arguments, Closure};
pub use error::Error;
pub use plan::{CallPlan, ValueLayout};
pub use types::{Field, Function, Record, Type};

#[cfg(test)]
mod tests;
