//! The signature language: text in, types with spans out, and back.
//!
//! [`parse_prototype`] reads one C declaration, [`parse_interface`] an annotated header. Both check
//! what they read and tell every mistake at once ([`Diagnostics`]). `Display` writes the canonical
//! text of a prototype. [`agree`] compares what a guest wrote with what the host grants.
//!
//! Pure: this module knows nothing of layouts, ABIs, wasm or native libraries.
mod agree;
mod builtin;
mod check;
mod diagnostic;
mod expr;
mod fold;
mod interface;
mod lexer;
mod parse;
mod preprocess;
mod print;
mod tail;
mod types;

pub use agree::{Difference, Disagreement, agree};
pub use diagnostic::{Diagnostic, Diagnostics};
pub use expr::*;
pub use interface::*;
pub use parse::{parse_declaration, parse_interface, parse_prototype};
pub use print::AsWritten;
pub use tail::{open_tail, with_example_tail, with_tail};
pub use types::*;
