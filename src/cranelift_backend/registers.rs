//! How many registers carry values on x86-64.

/// Registers that carry integers: rdi rsi rdx rcx r8 r9.
pub const INTEGERS: u8 = 6;
/// Registers that carry floating-point values and vectors: xmm0 to xmm7.
pub const VECTORS: u8 = 8;
/// rax rdx, and xmm0 xmm1.
#[cfg(feature = "cranelift")]
pub const RESULTS: u8 = 2;
