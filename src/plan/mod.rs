//! From a prototype to what a call does: layouts, assignments, plans.
//!
//! Pure: this module knows the types of [`crate::signature`] and nothing of wasmtime, Cranelift or
//! native libraries. How plans are turned into machine code and how a guest reaches them is
//! elsewhere.
pub mod abi;
pub mod layout;
