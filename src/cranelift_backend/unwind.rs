//! How to walk through compiled code: a table for the unwinder of the C library's compiler.
//!
//! `gdb` and `perf` do not look at these tables; they go by frame pointers, which all code here keeps.
//! `backtrace()` and everything else that is built on the unwinder does.
#![expect(unsafe_code, reason = "the unwinder keeps the address of the table")]
use serde::{Deserialize, Serialize};

#[cfg(feature = "cranelift")]
mod by_hand;
#[cfg(feature = "cranelift")]
mod of_cranelift;
#[cfg(feature = "cranelift")]
pub(super) use by_hand::Row;

unsafe extern "C" {
    fn __register_frame(table: *const u8);
    fn __deregister_frame(table: *const u8);
}

/// A table that the unwinder knows as long as this lives.
#[derive(Debug)]
pub(super) struct Registered(Box<[u8]>);

impl Registered {
    fn new(table: Box<[u8]>) -> Registered {
        // SAFETY: the table is whole, ends with a terminator, and stays where it is until it is taken
        // back.
        unsafe { __register_frame(table.as_ptr()) };
        Registered(table)
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        // SAFETY: registered in `new`, once.
        unsafe { __deregister_frame(self.0.as_ptr()) };
    }
}

/// A table before the code that it describes has a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Table {
    pub bytes: Box<[u8]>,
    /// Where the address of the code belongs: the offset of eight bytes.
    pub start: u32,
}

impl Table {
    /// Tells the unwinder of code that lies there now.
    pub(super) fn register(&self, code: *const u8) -> Registered {
        let mut bytes = self.bytes.clone();
        let address = code.expose_provenance() as u64;
        if let Some(place) = bytes.get_mut(self.start as usize..).and_then(|rest| rest.get_mut(..8))
        {
            place.copy_from_slice(&address.to_le_bytes());
        }
        Registered::new(bytes)
    }
}
