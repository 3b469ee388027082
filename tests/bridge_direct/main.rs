//! The tests of `tests/bridge` once more, with direct calls of every function that can have them.
#![cfg(feature = "cranelift")]
#[path = "../bridge/again.rs"]
mod again;
#[path = "../bridge/allocator.rs"]
mod allocator;
#[path = "../bridge/data.rs"]
mod data;
#[path = "../bridge/grants.rs"]
mod grants;
#[path = "../bridge/linker.rs"]
mod linker;
#[path = "../bridge/memory.rs"]
mod memory;
#[path = "../bridge/mock.rs"]
mod mock;
#[path = "../bridge/overloads.rs"]
mod overloads;
#[path = "../bridge/ownership.rs"]
mod ownership;
#[path = "../bridge/policy.rs"]
mod policy;
#[path = "../bridge/support.rs"]
mod support;

/// The tier that calls use where they can.
const MOST: portcullis::host::Tier = portcullis::host::Tier::Direct;
