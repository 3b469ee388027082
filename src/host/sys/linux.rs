//! Shared libraries and stacks as glibc knows them.
#![expect(unsafe_code, reason = "loads libraries and reads what the dynamic linker says of them")]
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use std::error::Error;
use std::ffi::{CStr, OsStr, c_char, c_int, c_uint, c_void};
use std::mem::{MaybeUninit, offset_of};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr;

/// A loaded library. It stays loaded until the process ends.
#[derive(Debug)]
pub(in super::super) struct Handle {
    /// What `dlopen` returned.
    raw: *mut c_void,
    path: PathBuf,
    /// Where its code is.
    code: Vec<Range<usize>>,
    /// Where all of it is.
    whole: Vec<Range<usize>>,
}

// SAFETY: the pointer is `dlopen`'s handle of a library that is never closed; `dlsym` may be called
// with it on every thread.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

/// The beginning of the dynamic linker's record of a library (`link.h`).
#[repr(C)]
struct LinkMap {
    /// What was added to the addresses of the file.
    base: usize,
    /// Path of the file; empty for the program.
    name: *const c_char,
}

impl Handle {
    /// Loads a library: a plain name is searched for by the dynamic linker.
    pub(in super::super) fn open(name: &Path) -> Result<Handle, String> {
        // SAFETY: loading runs the library's initialisers. Only names that the embedder or an
        // interface that it grants wrote come here, and granting a library means trusting it.
        let library =
            unsafe { Library::open(Some(name), RTLD_NOW | RTLD_LOCAL) }.map_err(reason)?;
        // Never closed: guests' plans and native objects point into it.
        let raw = library.into_raw();
        let mut map: *const LinkMap = ptr::null();
        // SAFETY: `raw` is a live handle, and the request writes one pointer to a link map, which
        // lives as long as the library is loaded.
        let failed =
            unsafe { libc::dlinfo(raw, libc::RTLD_DI_LINKMAP, ptr::from_mut(&mut map).cast()) };
        if failed != 0 || map.is_null() {
            return Err("the dynamic linker does not say where the library is".to_owned());
        }
        // SAFETY: see above; the struct's first two fields are those of `struct link_map`.
        let (base, file) = unsafe { ((*map).base, (*map).name) };
        let path = path_of(file).unwrap_or_else(|| name.to_owned());
        let Segments { code, whole, .. } = segments_of(base, file);
        Ok(Handle { raw, path, code, whole })
    }

    /// The file that was loaded.
    pub(in super::super) fn path(&self) -> &Path {
        &self.path
    }

    /// The address of a symbol of the library, or of a library that it needs.
    pub(in super::super) fn find(&self, symbol: &str) -> Option<*const c_void> {
        let symbol = std::ffi::CString::new(symbol).ok()?;
        // SAFETY: `raw` is a live handle, the name ends with NUL.
        let address = unsafe { libc::dlsym(self.raw, symbol.as_ptr()) };
        (!address.is_null()).then_some(address.cast_const())
    }

    /// Whether that address is in the code of this very library.
    pub(in super::super) fn holds_code(&self, address: *const c_void) -> bool {
        self.code.iter().any(|range| range.contains(&address.addr()))
    }

    /// Whether that address is anywhere in this very library.
    pub(in super::super) fn holds(&self, address: *const c_void) -> bool {
        self.whole.iter().any(|range| range.contains(&address.addr()))
    }
}

/// The symbol of that name that the program and what it is linked with see: the first in their order.
pub(in super::super) fn first_of_all(symbol: &str) -> Option<*const c_void> {
    let symbol = std::ffi::CString::new(symbol).ok()?;
    // SAFETY: the name ends with NUL.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, symbol.as_ptr()) };
    (!address.is_null()).then_some(address.cast_const())
}

/// The file of the library that this address belongs to.
pub(in super::super) fn definer(address: *const c_void) -> Option<PathBuf> {
    path_of(object_of(address)?.dli_fname)
}

/// Whether that address is in the library that the kernel puts into every process.
pub(in super::super) fn is_kernels(address: *const c_void) -> bool {
    // SAFETY: reads the words that the kernel gave the process.
    let base = unsafe { libc::getauxval(libc::AT_SYSINFO_EHDR) };
    base != 0 && object_of(address).is_some_and(|info| info.dli_fbase.addr() as u64 == base)
}

/// What the dynamic linker knows of the library that this address belongs to.
fn object_of(address: *const c_void) -> Option<libc::Dl_info> {
    let mut info = MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: `dladdr` takes any address; the record that it fills may be all zeros before.
    unsafe {
        if libc::dladdr(address, info.as_mut_ptr()) == 0 {
            return None;
        }
        Some(info.assume_init())
    }
}

/// The directories in which the dynamic linker looks for libraries that this program asks for.
pub(in super::super) fn search_directories() -> Vec<PathBuf> {
    /// `Dl_serpath` of `dlfcn.h`
    #[repr(C)]
    struct SearchPath {
        name: *const c_char,
        flags: c_uint,
    }
    /// `Dl_serinfo`; `count` paths follow.
    #[repr(C)]
    struct SearchInfo {
        size: usize,
        count: c_uint,
        paths: [SearchPath; 0],
    }

    let program = Library::this().into_raw();
    let mut needed = SearchInfo { size: 0, count: 0, paths: [] };
    // SAFETY: the handle of the program is always valid; the request fills both words.
    let failed = unsafe {
        libc::dlinfo(program, libc::RTLD_DI_SERINFOSIZE, ptr::from_mut(&mut needed).cast())
    };
    if failed != 0 {
        return Vec::new();
    }
    // Words, so that the memory is aligned.
    let mut memory = vec![0_u64; needed.size.div_ceil(8).max(2)];
    let info: *mut SearchInfo = memory.as_mut_ptr().cast();
    // SAFETY: the memory has the size that the dynamic linker asked for, and begins with the two
    // words that it wants to find there.
    let failed = unsafe {
        info.write(needed);
        libc::dlinfo(program, libc::RTLD_DI_SERINFO, info.cast())
    };
    if failed != 0 {
        return Vec::new();
    }
    // SAFETY: `count` records follow the head, all inside the memory that was asked for.
    let paths = unsafe {
        let first: *const SearchPath = info.cast::<u8>().add(offset_of!(SearchInfo, paths)).cast();
        std::slice::from_raw_parts(first, (*info).count as usize)
    };
    let mut directories = Vec::new();
    for path in paths {
        if let Some(directory) = path_of(path.name)
            && !directories.contains(&directory)
        {
            directories.push(directory);
        }
    }
    directories
}

/// Where this thread's stack is: its lowest byte that may be used, and its size.
pub(in super::super) fn stack_bounds() -> Option<(usize, usize)> {
    let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
    // SAFETY: the attributes of the calling thread are written to memory of the right type.
    let failed = unsafe { libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) };
    if failed != 0 {
        return None;
    }
    let mut low = ptr::null_mut();
    let mut size = 0;
    let mut guard = 0;
    // SAFETY: `pthread_getattr_np` has succeeded, so the attributes are initialised; they are
    // destroyed once, after their last use.
    let failed = unsafe {
        let stack = libc::pthread_attr_getstack(attributes.as_ptr(), &mut low, &mut size);
        let guarded = libc::pthread_attr_getguardsize(attributes.as_ptr(), &mut guard);
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
        stack | guarded
    };
    // Older versions of glibc count the guard pages as part of the stack.
    (failed == 0 && guard < size).then(|| (low.addr() + guard, size - guard))
}

/// What is loaded of a library.
struct Segments {
    base: usize,
    name: *const c_char,
    /// What is executable.
    code: Vec<Range<usize>>,
    whole: Vec<Range<usize>>,
}

/// The segments of the library with that base and name.
fn segments_of(base: usize, name: *const c_char) -> Segments {
    unsafe extern "C" fn visit(
        info: *mut libc::dl_phdr_info,
        _: usize,
        search: *mut c_void,
    ) -> c_int {
        // SAFETY: `dl_iterate_phdr` passes a valid record, and on what it was given: the search
        // below, which nothing else uses meanwhile.
        let (info, search) = unsafe { (&*info, &mut *search.cast::<Segments>()) };
        // A path is one pointer in both records, but that is glibc's own business.
        let same = usize::try_from(info.dlpi_addr) == Ok(search.base)
            && path_of(info.dlpi_name) == path_of(search.name);
        if !same {
            return 0;
        }
        // SAFETY: the record says how many program headers the library has.
        let headers =
            unsafe { std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
        for header in headers {
            if header.p_type == libc::PT_LOAD {
                let start = usize::try_from(header.p_vaddr).unwrap_or(0).wrapping_add(search.base);
                let size = usize::try_from(header.p_memsz).unwrap_or(0);
                let range = start..start.saturating_add(size);
                if header.p_flags & libc::PF_X != 0 {
                    search.code.push(range.clone());
                }
                search.whole.push(range);
            }
        }
        1
    }
    let mut search = Segments { base, name, code: Vec::new(), whole: Vec::new() };
    // SAFETY: `visit` keeps to the contract of the callback and gets the search that it expects.
    unsafe { libc::dl_iterate_phdr(Some(visit), ptr::from_mut(&mut search).cast()) };
    search
}

/// A path of the dynamic linker's; `None` for none and for the empty one.
fn path_of(text: *const c_char) -> Option<PathBuf> {
    if text.is_null() {
        return None;
    }
    // SAFETY: the dynamic linker's strings end with NUL and live as long as the library.
    let bytes = unsafe { CStr::from_ptr(text) }.to_bytes();
    (!bytes.is_empty()).then(|| PathBuf::from(OsStr::from_bytes(bytes)))
}

/// What the dynamic linker said.
fn reason(error: libloading::Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_told_from_data_and_from_those_of_other_libraries() {
        let libc = Handle::open(Path::new("libc.so.6")).expect("every such system has it");
        let memcpy = libc.find("memcpy").expect("an indirect function");
        assert!(libc.holds_code(memcpy));
        let environ = libc.find("environ").expect("a variable");
        assert!(!libc.holds_code(environ));
        assert_eq!(definer(memcpy).as_deref(), Some(libc.path()));

        let libm = Handle::open(Path::new("libm.so.6")).expect("every such system has it");
        let cos = libm.find("cos").expect("an indirect function");
        assert!(libm.holds_code(cos) && !libc.holds_code(cos));
        let system = libm.find("system").expect("plain dlsym looks into dependencies");
        assert!(!libm.holds_code(system));
        assert!(libm.find("no_such_symbol").is_none() && libm.find("co\0s").is_none());
    }

    #[test]
    fn the_path_of_a_library_is_in_a_directory_that_is_searched() {
        let libm = Handle::open(Path::new("libm.so.6")).expect("every such system has it");
        assert!(libm.path().is_absolute());
        let directories = search_directories();
        assert!(
            directories.iter().any(|directory| directory.join("libm.so.6").exists()),
            "{directories:?}"
        );
    }

    #[test]
    fn a_missing_library_has_a_reason() {
        let error = Handle::open(Path::new("libnosuch.so.9")).expect_err("there is none");
        assert!(error.contains("libnosuch.so.9"), "{error}");
    }
}
