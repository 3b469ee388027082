//! Bad input: every way in which a guest, a module or an interface can be wrong or hostile.
//!
//! What must come of it is the same everywhere: a clear error or a trap, no native call, and a host
//! that goes on. The functions of `mock.c` count their calls, so that each test can show that none
//! was made, or exactly one where a check after it failed; `World::refused` and
//! `World::fails_after` look at that, at the whole message, and at a good call afterwards.
//!
//! Random calls that are wrong in one place are in the differential test; what belongs to the
//! bridge's own life (memories, linkers, threads, allocators) is in the bridge's tests.
#![expect(unsafe_code, reason = "grants interfaces and reads the counters of a C library")]

mod after;
mod data;
mod formats;
mod handles;
mod libraries;
mod linking;
#[path = "../support/native.rs"]
mod native;
mod pointers;
mod results;
#[path = "../support/rng.rs"]
#[expect(dead_code, reason = "these tests need a part of it only")]
mod rng;
mod strings;
mod world;
