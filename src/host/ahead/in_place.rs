//! Code that is run in the file where it is.
//!
//! wasmtime is given memory that is the file, mapped to be read. When it publishes the code in it, exactly those pages
//! are mapped once more in the same place, to be read and executed: nothing that could be written is ever
//! executable, and no page changes its protection. For engines that were not [configured](configure) so,
//! wasmtime maps the file itself.
#![expect(unsafe_code, reason = "maps memory, and has files run")]
use super::file::{PAGE, Whole};
use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Write as _};
use std::mem::ManuallyDrop;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::ptr::{self, NonNull};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wasmtime::{Config, CustomCodeMemory, Engine, Module};

/// See [`Precompiled::run_in_place`](super::Precompiled::run_in_place).
pub(super) fn configure(config: &mut Config) {
    config.with_custom_code_memory(Some(Arc::new(InPlace)));
}

/// The module of the guest.
pub(super) fn module(engine: &Engine, whole: &Whole) -> wasmtime::Result<Module> {
    // The module says itself how long it is.
    if let Ok(module) = mapped(engine, whole, 0, whole.size) {
        return Ok(module);
    }
    // SAFETY: whoever opened the file vouches for it.
    unsafe { Module::deserialize_open_file(engine, whole.file.try_clone()?) }
}

/// The module of the trial's guest.
pub(super) fn trial(engine: &Engine, whole: &Whole) -> wasmtime::Result<Module> {
    let (offset, length) = whole.trial;
    if let Ok(module) = mapped(engine, whole, offset, length) {
        return Ok(module);
    }
    // wasmtime maps files from their start: this one has nothing else.
    let mut bytes = vec![0; usize::try_from(length)?];
    whole.file.read_exact_at(&mut bytes, offset)?;
    let mut file = crate::cranelift_backend::memory_file()?;
    file.write_all(&bytes)?;
    // SAFETY: as above; nobody else has the file.
    unsafe { Module::deserialize_open_file(engine, file) }
}

/// A module of the file as it is mapped here; an error if the engine was not configured for that.
fn mapped(engine: &Engine, whole: &Whole, offset: u64, length: u64) -> wasmtime::Result<Module> {
    if offset.checked_add(length).is_none_or(|end| end > whole.size) {
        return Err(wasmtime::Error::msg("the module is not in the file"));
    }
    let memory = map(&whole.file, offset, usize::try_from(length)?)?;
    // SAFETY: whoever opened the file vouches for it; it stays mapped until the module's code is unpublished, which
    // its end begins with, and a little longer: see `Gone`.
    let module = unsafe { Module::deserialize_raw(engine, memory) };
    let start = memory.cast::<u8>().as_ptr().addr();
    match module {
        Ok(_) => mappings().iter_mut().for_each(|one| {
            if one.memory.start == start {
                // All code is published.
                one.file = None;
            }
        }),
        // If it came so far, its end has taken the mapping already.
        Err(_) => drop(take(|one| one.memory.start == start)),
    }
    module
}

/// Mapped memory, until it is dropped.
struct Memory {
    start: usize,
    length: usize,
}

impl Drop for Memory {
    fn drop(&mut self) {
        let start = ptr::with_exposed_provenance_mut::<libc::c_void>(self.start);
        // SAFETY: mapped by `map`; whoever drops this knows that no module has it.
        unsafe { libc::munmap(start, self.length) };
    }
}

/// A part of a file, mapped.
struct Mapping {
    memory: Memory,
    /// As long as code in it may have to be published.
    file: Option<File>,
    offset: u64,
}

impl Mapping {
    fn holds(&self, start: *const u8, length: usize) -> bool {
        let (start, memory) = (start.addr(), &self.memory);
        let end = memory.start + memory.length.next_multiple_of(PAGE);
        // What is empty and begins where this ends is another one's.
        (memory.start..end).contains(&start) && start + length <= end
    }
}

/// Those that modules are in.
static MAPPINGS: Mutex<Vec<Mapping>> = Mutex::new(Vec::new());

fn mappings() -> MutexGuard<'static, Vec<Mapping>> {
    MAPPINGS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The one mapping for which that holds.
fn take(which: impl Fn(&Mapping) -> bool) -> Option<Mapping> {
    let mut all = mappings();
    let at = all.iter().position(which)?;
    Some(all.swap_remove(at))
}

thread_local! {
    /// What a module was in whose end this thread has begun last.
    static GONE: RefCell<Option<Memory>> = const { RefCell::new(None) };
}

/// Keeps the memory of a module that ends until this thread comes by again, or ends itself. wasmtime tells of the end
/// before it takes the module's tables from the unwinder, which reads them once more, and all of that happens
/// on one thread, without a word from us: so whoever gets here again is through with the module before.
fn keep_for_now(memory: Memory) {
    // Only a thread that is ending itself has no such place any more: there it stays mapped.
    let mut memory = ManuallyDrop::new(memory);
    let _ = GONE.try_with(|gone| {
        // SAFETY: taken once.
        let memory = unsafe { ManuallyDrop::take(&mut memory) };
        drop(gone.replace(Some(memory)));
    });
}

fn map(file: &File, offset: u64, length: usize) -> io::Result<NonNull<[u8]>> {
    let _ = GONE.try_with(|gone| drop(gone.take()));
    let at = i64::try_from(offset).map_err(io::Error::other)?;
    let (read, private) = (libc::PROT_READ, libc::MAP_PRIVATE);
    let copy = file.try_clone()?;
    // SAFETY: new memory.
    let start = unsafe { libc::mmap(ptr::null_mut(), length, read, private, file.as_raw_fd(), at) };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    let memory = Memory { start: start.expose_provenance(), length };
    let start = NonNull::new(start.cast::<u8>()).ok_or_else(|| io::Error::other("mapped at 0"))?;
    mappings().push(Mapping { memory, file: Some(copy), offset });
    Ok(NonNull::slice_from_raw_parts(start, length))
}

/// Publishes code that is in a mapped file, and other code as wasmtime does.
struct InPlace;

impl CustomCodeMemory for InPlace {
    fn required_alignment(&self) -> usize {
        PAGE
    }

    fn publish_executable(&self, start: *const u8, length: usize) -> wasmtime::Result<()> {
        let code = libc::PROT_READ | libc::PROT_EXEC;
        let all = mappings();
        let Some(mapping) = all.iter().find(|one| one.holds(start, length)) else {
            return protect(start, length, code);
        };
        let Some(file) = &mapping.file else {
            return Err(wasmtime::Error::msg("code in a file that nobody has open any more"));
        };
        let at = mapping.offset + (start.addr() - mapping.memory.start) as u64;
        let at = i64::try_from(at).map_err(io::Error::other)?;
        let (place, file) = (start.cast_mut().cast(), file.as_raw_fd());
        let flags = libc::MAP_PRIVATE | libc::MAP_FIXED;
        // SAFETY: the same bytes of the same file in the same place, which nobody has written to.
        let mapped = unsafe { libc::mmap(place, length, code, flags, file, at) };
        if mapped == libc::MAP_FAILED {
            return Err(io::Error::last_os_error().into());
        }
        Ok(())
    }

    /// A module of a file has come to its end: nothing else takes code back that is not wasmtime's own memory.
    fn unpublish_executable(&self, start: *const u8, length: usize) -> wasmtime::Result<()> {
        match take(|one| one.holds(start, length)) {
            Some(mapping) => {
                keep_for_now(mapping.memory);
                Ok(())
            }
            None => protect(start, length, libc::PROT_READ | libc::PROT_WRITE),
        }
    }
}

fn protect(start: *const u8, length: usize, protection: i32) -> wasmtime::Result<()> {
    // SAFETY: wasmtime asks for it, and has the memory.
    if unsafe { libc::mprotect(start.cast_mut().cast(), length, protection) } != 0 {
        return Err(io::Error::last_os_error().into());
    }
    Ok(())
}
