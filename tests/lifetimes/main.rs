//! What outlives a call: objects that keep others, copies that native code keeps, descriptors, integers
//! that it carries and that handles remember - and the end of a store, where all of it goes.
//!
//! The library's destructors read what their object keeps, and note when that is gone.
#![expect(unsafe_code, reason = "grants an interface and reads the journal of a C library")]
#![expect(clippy::cast_possible_truncation, reason = "guest values are 32 bits of 64")]

mod boxed;
mod captures;
mod cells;
mod cookies;
mod copies;
mod descriptors;
mod exclusive;
#[path = "../support/native.rs"]
mod native;
mod nested;
mod remembered;
mod teardown;
mod world;

/// The tier that calls use where they can; `lifetimes_compiled` has another.
const MOST: portcullis::host::Tier = portcullis::host::Tier::Template;
