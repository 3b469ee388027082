//! What the bridge asks of the operating system: shared libraries and the bounds of stacks.
//!
//! `linux` answers with glibc's means. `other` has the same interface and no answers, so that the
//! crate builds everywhere; no bridge is ever built there.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod linux;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(super) use linux::*;

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
mod other;
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(super) use other::*;
