//! The libraries, as the test calls them itself: what guests get must be what native code gets.
use crate::native;
use libloading::os::unix::{Library, RTLD_NOW, Symbol};
use portcullis::interfaces::{self, Shipped};
use std::ffi::{c_int, c_long, c_uint, c_ulong};
use std::mem::ManuallyDrop;
use std::path::PathBuf;

type Checksum = unsafe extern "C" fn(c_ulong, *const u8, c_uint) -> c_ulong;
type Compress = unsafe extern "C" fn(*mut u8, *mut c_ulong, *const u8, c_ulong, c_int) -> c_int;

/// Libraries of this machine.
pub struct Libraries {
    /// Those that ship and whose library is installed.
    pub shipped: Vec<(&'static str, Shipped)>,
    /// Of the test's own library.
    pub path: PathBuf,
    alive: Symbol<unsafe extern "C" fn() -> c_long>,
    zlib: Option<Zlib>,
    sqlite_memory: Option<Symbol<unsafe extern "C" fn() -> i64>>,
    _folder: tempfile::TempDir,
}

struct Zlib {
    crc32: Symbol<Checksum>,
    compress2: Symbol<Compress>,
}

/// What a shipped interface needs; those of the C library need nothing.
fn library_of(file: &str) -> Option<&'static str> {
    Some(match file {
        "cblas.h" => "libopenblas.so.0",
        "crypto.h" => "libcrypto.so.3",
        "expat.h" => "libexpat.so.1",
        "gmp.h" => "libgmp.so.10",
        "sqlite3.h" => "libsqlite3.so.0",
        "zlib.h" | "gzfile.h" => "libz.so.1",
        _ => return None,
    })
}

/// Never unloaded, like those of bridges.
fn open(name: &str) -> Option<ManuallyDrop<Library>> {
    // SAFETY: system libraries, whose constructors have no conditions.
    unsafe { Library::open(Some(name), RTLD_NOW) }.ok().map(ManuallyDrop::new)
}

/// A function of a library.
///
/// # Safety
/// `T` is its type.
unsafe fn function<T>(library: &Library, name: &str) -> Symbol<T> {
    // SAFETY: the caller's promise.
    unsafe { library.get(name) }.unwrap_or_else(|error| panic!("{name}: {error}"))
}

impl Libraries {
    pub fn find() -> Libraries {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let source = include_str!("library.c");
        let path = native::compile(folder.path(), "libsoak.so", source, &["-O1"]);
        let own = open(path.to_str().expect("UTF-8")).expect("compiled just now");
        let mut shipped = interfaces::all();
        shipped.retain(|(file, _)| {
            // The PNG shim is compiled by whoever wants it.
            let there =
                *file != "pngshim.h" && library_of(file).is_none_or(|name| open(name).is_some());
            if !there {
                println!("without {file}: its library is not installed");
            }
            there
        });
        // SAFETY: the types are those of the headers.
        let (alive, zlib, sqlite_memory) = unsafe {
            let zlib = open("libz.so.1").map(|library| Zlib {
                crc32: function(&library, "crc32"),
                compress2: function(&library, "compress2"),
            });
            let memory = open("libsqlite3.so.0");
            let memory = memory.map(|library| function(&library, "sqlite3_memory_used"));
            (function(&own, "things_alive"), zlib, memory)
        };
        Libraries { shipped, path, alive, zlib, sqlite_memory, _folder: folder }
    }

    pub fn has(&self, file: &str) -> bool {
        self.shipped.iter().any(|(name, _)| *name == file)
    }

    /// Objects of the test's own library that live.
    pub fn things(&self) -> i64 {
        // SAFETY: it only reads a counter.
        unsafe { (self.alive)() }
    }

    /// Bytes that SQLite has; 0 without it.
    pub fn sqlite(&self) -> i64 {
        // SAFETY: any thread may ask at any time.
        self.sqlite_memory.as_ref().map_or(0, |memory| unsafe { memory() })
    }

    pub fn crc32(&self, data: &[u8]) -> u32 {
        let zlib = self.zlib.as_ref().expect("asked for first");
        let len = c_uint::try_from(data.len()).expect("small");
        // SAFETY: the range is that of the slice.
        let sum = unsafe { (zlib.crc32)(0, data.as_ptr(), len) };
        u32::try_from(sum).expect("a CRC has 32 bits")
    }

    /// What native zlib makes of it.
    pub fn compress(&self, data: &[u8], level: i32) -> Vec<u8> {
        let zlib = self.zlib.as_ref().expect("asked for first");
        let mut out = vec![0; data.len() + data.len() / 100 + 64];
        let mut len = out.len() as c_ulong;
        // SAFETY: both ranges are those of the slices.
        let status = unsafe {
            (zlib.compress2)(out.as_mut_ptr(), &raw mut len, data.as_ptr(), data.len() as _, level)
        };
        assert_eq!(status, 0, "there is room");
        out.truncate(usize::try_from(len).expect("it fits"));
        out
    }
}
