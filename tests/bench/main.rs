//! `portcullis bench`: statistics, machines, loops, and what is made of a run.
#![cfg(feature = "cli")]
mod loops;
mod machine;
#[path = "../support/native.rs"]
mod native;
mod page;
#[path = "../support/rng.rs"]
#[expect(dead_code, reason = "this test needs a part of it only")]
mod rng;
mod show;
mod statistics;
