//! Profiles of guests whose times are known: the clock is planted, and native functions and the host move it.
//!
//! Nothing here depends on how fast the machine is.
#![cfg(all(feature = "cli", feature = "cranelift"))]
mod counts;
mod show;
mod support;
mod times;
