//! The command-line program, through the real binary: what it prints and the status it exits with.
mod bench;
mod callbacks;
mod check;
mod check_records;
mod every;
mod explain;
mod imports;
mod invoke;
#[path = "../support/native.rs"]
mod native;
mod permissions;
#[cfg(feature = "cranelift")]
mod profile;
mod run;
mod support;
mod system;
