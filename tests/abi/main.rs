//! Layouts and assignments of random types, held against what C compilers make of them.
//!
//! `PORTCULLIS_SEED` chooses other random types.
mod aapcs64;
mod c_types;
mod hollow;
mod layouts;
mod lowering;
mod properties;
#[cfg(all(target_arch = "x86_64", unix))]
mod sysv_x86_64;
