//! Golden files of what trampolines are made of: CLIF with the ops that each part of it does.
//!
//! An input is a prototype for a guest with a 32-bit memory, with a second line `may call back` where the function
//! may; the output its CLIF, or why there is none.
#![cfg(feature = "cranelift")]
#[path = "support/golden.rs"]
mod support;

use portcullis::cranelift_backend::plain::plain_listing;
use portcullis::cranelift_backend::{
    Listing, Unsupported, direct_listing, listing, portable_listing,
};
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

fn trampolines_of(folder: &str, listing: fn(&Plan) -> Result<Listing, Unsupported>) -> usize {
    listings_of(folder, true, listing)
}

fn listings_of(
    folder: &str,
    otherwise: bool,
    listing: impl Fn(&Plan) -> Result<Listing, Unsupported>,
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
        match listing(&plan) {
            Ok(listing) => listing.clif,
            Err(why) => format!("none: {why}"),
        }
    })
}

#[test]
fn trampolines() {
    let count = trampolines_of("clif", listing);
    assert!(count >= 20, "only {count} cases");
}

/// Where the guest's code enters trampolines by itself.
#[test]
fn direct_trampolines() {
    let count = trampolines_of("clif_direct", direct_listing);
    assert!(count >= 9, "only {count} cases");
}

/// What processors get to see, of both kinds of trampolines: a change in a lowering, in the compiler or in what is
/// written by hand shows here.
#[test]
fn machine_code() {
    let count = trampolines_of("machine_code", |plan| {
        let code = |direct| match portable_listing(plan, direct) {
            Ok(listing) => listing.assembly.trim_end().to_owned(),
            Err(why) => format!("none: {why}"),
        };
        let both = format!("cranelift\n{}\ndirect\n{}", code(false), code(true));
        Ok(Listing { clif: both, assembly: String::new() })
    });
    assert!(count >= 6, "only {count} cases");
}

/// What native code enters when it calls a guest's function.
#[test]
fn entries_of_closures() {
    let count = listings_of("clif_callback", false, |plan| listing(&plan.callbacks[0].plan));
    assert!(count >= 5, "only {count} cases");
}

/// The same, as processors get to see it.
#[test]
fn machine_code_of_closures() {
    let count = listings_of("machine_code_callback", false, |plan| {
        let Listing { assembly, .. } = portable_listing(&plan.callbacks[0].plan, false)?;
        Ok(Listing { clif: assembly.trim_end().to_owned(), assembly: String::new() })
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
            Ok(listing) => listing.clif,
            Err(why) => format!("none: {why}"),
        }
    });
    assert!(count >= 4, "only {count} cases");
}
