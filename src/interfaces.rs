//! The interfaces that ship with the crate: what of well-known libraries is safe to lend.
//!
//! Each is the header of the same name in `interfaces/`; its comment says what a guest that gets
//! the grant can do with it. Interfaces of your own go through
//! [`BridgeBuilder::grant_interface`](crate::host::BridgeBuilder::grant_interface), which is
//! unsafe, because whoever writes one makes a promise about native code.
use crate::signature::{Interface, parse_interface};
use std::sync::{Arc, LazyLock};

/// An interface that ships with the crate: its promises have been checked, so that granting it is
/// safe. Made by the functions of [this module](self) only.
#[derive(Clone, Debug)]
pub struct Shipped {
    interface: Arc<Interface>,
}

impl Shipped {
    /// What it grants.
    #[must_use]
    pub fn interface(&self) -> &Interface {
        &self.interface
    }

    pub(crate) fn into_interface(self) -> Arc<Interface> {
        self.interface
    }
}

/// Defines the function that returns a shipped interface, and the list of all.
macro_rules! shipped {
    ($($(#[doc = $doc:literal])+ $name:ident: $file:literal;)+) => {
        $(
            $(#[doc = $doc])+
            #[must_use]
            pub fn $name() -> Shipped {
                static PARSED: LazyLock<Arc<Interface>> =
                    LazyLock::new(|| parse($file, include_str!(concat!("../interfaces/", $file))));
                Shipped { interface: Arc::clone(&PARSED) }
            }
        )+

        /// All of them, by the names of their files.
        #[must_use]
        pub fn all() -> Vec<(&'static str, Shipped)> {
            vec![$(($file, $name())),+]
        }

        /// Their names in Rust and those of their files, without reading them.
        pub(crate) const NAMES: &[(&str, &str)] = &[$((stringify!($name), $file)),+];
    };
}

shipped! {
    /// OpenBLAS: vectors and matrices, `double` and `float`.
    cblas: "cblas.h";
    /// OpenSSL's digests, HMAC, PBKDF2 and random bytes.
    crypto: "crypto.h";
    /// Dates and clocks of the C library.
    datetime: "datetime.h";
    /// expat, a stream parser for XML. Its old versions have a weakness: read the header.
    expat: "expat.h";
    /// GNU MP: integers of any size.
    gmp: "gmp.h";
    /// The gzip files of zlib: `gzopen`, `gzread`, `gzwrite` and their like. A guest that gets it
    /// opens any file that the host process may.
    gzfile: "gzfile.h";
    /// The part of the C library that is safe to lend.
    libc: "libc.h";
    /// The C mathematics library, `double` and `float`.
    libm: "libm.h";
    /// SQLite, callbacks included. SQL can do more than it seems: read the header.
    sqlite3: "sqlite3.h";
    /// The standard output streams of the host process. A guest that gets it prints past WASI.
    streams: "streams.h";
    /// zlib: checksums, one-call compression, streams.
    zlib: "zlib.h";
}

fn parse(name: &str, text: &str) -> Arc<Interface> {
    match parse_interface(name, text) {
        Ok(interface) => Arc::new(interface),
        // A test of this module parses each of them.
        Err(errors) => panic!("{errors}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_interface_is_correct_and_grants_something() {
        for (file, shipped) in all() {
            let interface = shipped.interface();
            assert_eq!(&*interface.name, file);
            assert!(!interface.libraries.is_empty() && !interface.grants.is_empty(), "{file}");
        }
    }
}
