//! The bridge between guests and native functions.
//!
//! Most tests call functions of the mock library in `mock`, whose addresses are supplied through
//! `BridgeBuilder::symbol`; the rest call libm.
mod again;
mod allocator;
mod data;
mod grants;
mod linker;
mod memory;
mod mock;
mod overloads;
mod ownership;
mod policy;
mod support;

/// The tier that calls use where they can. `tests/bridge_compiled` runs the same tests on another one.
const MOST: portcullis::host::Tier = portcullis::host::Tier::Template;
