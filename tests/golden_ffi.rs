//! Golden files of plans without a guest: what calls on plain C values do, and what closures do.
//!
//! An input is a prototype; its plans are for x86-64.
#[path = "support/golden.rs"]
mod support;

use portcullis::plan::abi::Abi;
use portcullis::plan::compile::{CompileError, compile_call, compile_closure};
use portcullis::plan::disassemble::disassemble;
use portcullis::signature::{Diagnostics, Scope, parse_declaration};
use std::sync::Arc;
use support::golden;

#[test]
fn calls_and_closures() {
    let (scope, abi) = (Scope::default(), Abi::SysvX86_64);
    let count = golden("ffi", |input| {
        let prototype = match parse_declaration(input, &scope) {
            Ok(prototype) => Arc::new(prototype),
            Err(errors) => return errors.to_string(),
        };
        let plans =
            [compile_call, compile_closure].map(|compile| match compile(&prototype, &scope, abi) {
                Ok(plan) => disassemble(&plan, abi),
                Err(CompileError::Prototype(errors)) => {
                    Diagnostics::new("prototype", input, errors).to_string()
                }
                Err(error) => error.to_string(),
            });
        let [call, closure] = plans;
        if call == closure { call } else { format!("{call}\n{closure}") }
    });
    assert!(count >= 15, "only {count} cases");
}
