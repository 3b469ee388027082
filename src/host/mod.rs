//! The bridge between wasmtime's guests and native libraries.
//!
//! ```text
//! builder ──> bridge          what is granted; shared by stores and threads
//!               │ resolve
//! module_view ──┼── grants    which granted prototype does an import mean
//!               ├── link      plans and addresses for it      (library, overload, tier)
//!               └── denial    or what would allow it        (outlook: the same without a guest, to be told)
//! instantiate   one function an import and instance           (add_to_linker: one an import)
//!               │ call
//! call          stack, memory, then the plan is run           (stack, allocator, callbacks)
//! store_block   what the store owns, and its end              (instance, natives)
//! ```
//!
//! Not here: the language of prototypes (`signature`), what a call does with its arguments (`plan`).
#[cfg(feature = "trampolines")]
mod ahead;
mod allocator;
mod bound;
mod bridge;
mod builder;
mod call;
mod callbacks;
mod check;
mod data;
mod denial;
#[cfg_attr(not(feature = "trampolines"), path = "direct_absent.rs")]
mod direct;
mod errno;
mod error;
mod export;
#[cfg_attr(not(feature = "trampolines"), expect(dead_code, reason = "nothing is called directly"))]
mod gates;
mod grants;
mod guard;
mod hot;
mod instance;
mod instantiate;
mod library;
mod link;
mod link_cache;
mod linker;
mod memory;
mod module_links;
mod module_view;
mod natives;
mod not_direct;
#[cfg(feature = "cli")]
mod outlook;
mod overload;
mod plans;
mod policy;
mod recording;
mod report;
mod stack;
mod store_block;
mod sys;
mod tier;
#[cfg_attr(not(feature = "trampolines"), path = "trampolines_absent.rs")]
mod trampolines;
mod typing;
mod usage;
mod wasm_type;

#[cfg(feature = "trampolines")]
pub use ahead::{Precompiled, PrecompiledError, PrecompiledImport};
pub use bridge::Bridge;
pub use builder::BridgeBuilder;
pub use check::{MissingSymbol, missing_symbols};
pub use errno::wasi_errno;
pub use error::{BuildError, LinkError, LinkProblem, StoreError};
pub use grants::freed_by;
pub use instantiate::Prepared;
pub use natives::Natives;
pub use not_direct::NotDirect;
#[cfg(feature = "cli")]
pub use outlook::{
    Condition, Import, Meant, Outlook, conditions, meaning_of, outlook, overlaps, tell_apart,
};
#[cfg(feature = "cli")]
pub use overload::overlap::{Intervals, Overlap};
pub use policy::{Calling, Linking};
pub use recording::{Phase, Recorded, Recording};
pub use report::{ImportReport, ImportStatus, NativeImport};
pub use tier::Tier;
pub use usage::{Usage, usage};
