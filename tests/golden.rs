//! Golden files of the signature language: what people read when a prototype is wrong.
#[path = "support/golden.rs"]
mod support;

use portcullis::signature::{Scope, agree, parse_declaration, parse_interface, parse_prototype};
use support::golden;

/// Every mistake of a prototype.
#[test]
fn errors_of_prototypes() {
    let count = golden("errors", |text| match parse_prototype(text, &Scope::default()) {
        Ok(prototype) => format!("accepted: {prototype}"),
        Err(errors) => errors.to_string(),
    });
    assert!(count >= 60, "only {count} cases");
}

/// Mistakes that only a whole interface can make.
#[test]
fn errors_of_interfaces() {
    let count = golden("interface_errors", |text| match parse_interface("example.h", text) {
        Ok(interface) => format!("accepted: {} grants", interface.grants.len()),
        Err(errors) => errors.to_string(),
    });
    assert!(count >= 15, "only {count} cases");
}

/// A guest's prototype (first line) against its grant (second line).
#[test]
fn disagreements() {
    let scope = Scope::default();
    let count = golden("disagreements", |text| {
        let (guest, grant) = text.split_once('\n').expect("two lines");
        let guest = parse_declaration(guest, &scope).unwrap_or_else(|errors| panic!("{errors}"));
        let grant = parse_prototype(grant, &scope).unwrap_or_else(|errors| panic!("{errors}"));
        match agree(&guest, &grant) {
            Ok(()) => "they agree".to_owned(),
            Err(disagreement) => disagreement.to_string(),
        }
    });
    assert!(count >= 8, "only {count} cases");
}
