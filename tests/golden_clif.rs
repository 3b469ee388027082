//! Golden files of what trampolines are made of: CLIF with the ops that each part of it does.
//!
//! An input is a prototype for a guest with a 32-bit memory, with a second line `may call back` where the function
//! may; the output its CLIF, or why there is none.
#![cfg(feature = "cranelift")]
#[path = "support/golden.rs"]
mod support;

use portcullis::cranelift_backend::plain::plain_listing;
use portcullis::cranelift_backend::{Listing, Unsupported, listing};
#[cfg(feature = "cli")]
use portcullis::cranelift_backend::{assembly, direct_listing, portable_listing};
use portcullis::plan::abi::Abi;
use portcullis::plan::compile::{Target, compile, compile_call};
use portcullis::plan::handles::HandleType;
use portcullis::plan::layout::DataModel;
use portcullis::plan::{HandleTypes, Plan};
use portcullis::signature::{Record, Scope, parse_declaration};
use std::sync::Arc;
use support::golden;

struct OneType;
impl HandleTypes for OneType {
    fn number(&self, _: &Record) -> HandleType {
        HandleType(7)
    }
}

fn clif(listing: Listing) -> String {
    listing.clif.unwrap_or_else(|| "none: by hand".to_owned())
}

fn listings_of(
    folder: &str,
    otherwise: bool,
    listing: impl Fn(&Plan) -> Result<String, Unsupported>,
) -> usize {
    golden(folder, |input| {
        let scope = Scope::default();
        let (input, leaf) = match input.split_once('\n') {
            Some((input, "may call back")) => (input, false),
            Some((_, line)) => panic!("what does {line} mean?"),
            None => (input, otherwise),
        };
        let prototype = parse_declaration(input, &scope).unwrap_or_else(|error| panic!("{error}"));
        let target = Target {
            model: DataModel::Ilp32,
            abi: Abi::SysvX86_64,
            leaf,
            scope: &scope,
            import: None,
            handle_types: &OneType,
            grants: &|_| None,
        };
        let plan = compile(&Arc::new(prototype), &target);
        let plan = plan.unwrap_or_else(|error| panic!("{input}: {error}"));
        listing(&plan).unwrap_or_else(|why| format!("none: {why}"))
    })
}

/// What processors get to see.
#[cfg(feature = "cli")]
fn code(listing: &Listing, plan: &Plan) -> String {
    assembly::text(&listing.code, plan, false).trim_end().to_owned()
}

#[test]
fn trampolines() {
    let count = listings_of("clif", true, |plan| listing(plan).map(clif));
    assert!(count >= 20, "only {count} cases");
}

/// Where the guest's code enters trampolines by itself.
#[cfg(feature = "cli")]
#[test]
fn direct_trampolines() {
    let count = listings_of("clif_direct", true, |plan| {
        let listing = direct_listing(plan)?;
        let by_hand = || format!("none, this is by hand:\n{}", code(&listing, plan));
        Ok(listing.clif.clone().unwrap_or_else(by_hand))
    });
    assert!(count >= 9, "only {count} cases");
}

/// What processors get to see, of both kinds of trampolines: a change in a lowering, in the compiler or in what is
/// written by hand shows here.
#[cfg(feature = "cli")]
#[test]
fn machine_code() {
    let count = listings_of("machine_code", true, |plan| {
        let code = |direct| match portable_listing(plan, direct) {
            Ok(listing) => code(&listing, plan),
            Err(why) => format!("none: {why}"),
        };
        Ok(format!("cranelift\n{}\ndirect\n{}", code(false), code(true)))
    });
    assert!(count >= 6, "only {count} cases");
}

/// What native code enters when it calls a guest's function.
#[test]
fn entries_of_closures() {
    let count =
        listings_of("clif_callback", false, |plan| listing(&plan.callbacks[0].plan).map(clif));
    assert!(count >= 5, "only {count} cases");
}

/// The same, as processors get to see it.
#[cfg(feature = "cli")]
#[test]
fn machine_code_of_closures() {
    let count = listings_of("machine_code_callback", false, |plan| {
        let plan = &plan.callbacks[0].plan;
        Ok(code(&portable_listing(plan, false)?, plan))
    });
    assert!(count >= 2, "only {count} cases");
}

/// Calls on plain C values: the `ffi` API's.
#[test]
fn calls_without_a_guest() {
    let count = golden("clif_plain", |input| {
        let scope = Scope::default();
        let prototype = parse_declaration(input, &scope).unwrap_or_else(|error| panic!("{error}"));
        let plan = compile_call(&Arc::new(prototype), &scope, Abi::SysvX86_64);
        let plan = plan.unwrap_or_else(|error| panic!("{input}: {error}"));
        match plain_listing(&plan) {
            Ok(listing) => clif(listing),
            Err(why) => format!("none: {why}"),
        }
    });
    assert!(count >= 4, "only {count} cases");
}
