//! Memory for code.
//!
//! Code lies in *arenas*: files without a name (`memfd`) that are mapped once, to be read and
//! executed, and never otherwise. It is written through the file:
//!
//! ```text
//! pwrite ──> memfd ──> | code | free | code | ... |    one mapping, r-x, shared
//! ```
//!
//! Of the two ways that were considered, two mappings of one file and a batch of functions a page, this
//! is the first one without the second mapping. A batch a page needs the functions of a page to be made
//! at the same time, which hot functions are not: each would cost a page, and a place that is free again
//! could not be used without making a page writable in which other code runs. Here no page is ever
//! writable, none changes its protection, small functions lie side by side, and what is freed is used
//! again, while other threads run what lies beside it.
//!
//! The price is that the file is shared with a process that this one forks: either could write where
//! the other still runs. So nothing is written to an arena any more once the process has forked; both
//! go on in new arenas.
//!
//! Arenas lie near the C library, or near this program for code that calls it, where there is room, because a
//! call between regions that are more than 4 GiB apart is slow; they are unmapped with the last code in them, but for one.
#![expect(unsafe_code, reason = "maps memory")]
use super::unwind::Registered;
use std::fs::File;
use std::io;
use std::os::fd::FromRawFd;
use std::os::unix::fs::FileExt;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};

/// Size of an arena, when nothing larger is asked for.
const ARENA: usize = 64 << 10;
/// `int3`: what is between functions, and what is left of one that is gone.
const FILLER: u8 = 0xcc;

/// A function. Its memory is given back when it is dropped.
#[derive(Debug)]
pub(super) struct Code {
    /// Taken back before the code goes.
    table: Option<Registered>,
    arena: Arc<Arena>,
    offset: usize,
    /// What it takes of the arena.
    room: usize,
    size: usize,
}

/// What code should lie near to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Near {
    /// The C library, and others most likely.
    Libraries,
    /// This crate's own code.
    Program,
}

impl Code {
    /// Writes code where it can be run, near libraries. It must not depend on where that is.
    pub(super) fn new(code: &[u8], align: u32) -> io::Result<Code> {
        Code::near(Near::Libraries, code, align)
    }

    /// Likewise, near something.
    pub(super) fn near(near: Near, code: &[u8], align: u32) -> io::Result<Code> {
        let align = usize::try_from(align).unwrap_or(64).max(16);
        let room = code.len().next_multiple_of(align).max(align);
        let (arena, offset) = pool().take(near, room, align)?;
        let written = Code { table: None, arena, offset, room, size: code.len() };
        written.arena.file.write_all_at(code, offset as u64)?;
        Ok(written)
    }

    /// Says how to walk through it.
    pub(super) fn describe(&mut self, table: Registered) {
        self.table = Some(table);
    }

    pub(super) fn start(&self) -> *const u8 {
        // SAFETY: inside the arena.
        unsafe { self.arena.start.as_ptr().add(self.offset) }
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        drop(self.table.take());
        pool().give_back(&self.arena, self.offset, self.room);
    }
}

/// A file, mapped.
#[derive(Debug)]
struct Arena {
    near: Near,
    file: File,
    start: NonNull<u8>,
    size: usize,
    /// How often the process had forked when it was made.
    forks: u64,
}

// SAFETY: the mapping is only read; who may write where is decided under the lock of the pool.
unsafe impl Send for Arena {}
// SAFETY: likewise.
unsafe impl Sync for Arena {}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: mapped by `Arena::new`; no code in it has an owner any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.size) };
    }
}

/// How often this process has forked, or was forked.
static FORKS: AtomicU64 = AtomicU64::new(0);

extern "C" fn has_forked() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

impl Arena {
    fn new(near: Near, size: usize) -> io::Result<Arena> {
        static WATCH_FORKS: Once = Once::new();
        WATCH_FORKS.call_once(|| {
            // SAFETY: the handlers only count. Without memory for them forks are not seen, as with
            // system calls that bypass the C library.
            unsafe { libc::pthread_atfork(None, Some(has_forked), Some(has_forked)) };
        });
        let file = memory_file()?;
        file.set_len(size as u64)?;
        file.write_all_at(&vec![FILLER; size], 0)?;
        let start = map(&file, size, near)?;
        Ok(Arena { near, file, start, size, forks: FORKS.load(Ordering::Relaxed) })
    }

    /// Whether another process may run code in it.
    fn is_shared(&self) -> bool {
        self.forks != FORKS.load(Ordering::Relaxed)
    }
}

/// A file without a name, which may be mapped to be executed.
pub(crate) fn memory_file() -> io::Result<File> {
    let name = c"portcullis".as_ptr();
    // Kernels that do not know `MFD_EXEC` make files that may be executed anyway.
    for flags in [libc::MFD_CLOEXEC | libc::MFD_EXEC, libc::MFD_CLOEXEC] {
        // SAFETY: the name is a string.
        let file = unsafe { libc::memfd_create(name, flags) };
        if file >= 0 {
            // SAFETY: just opened, and nobody else's.
            return Ok(unsafe { File::from_raw_fd(file) });
        }
    }
    Err(io::Error::last_os_error())
}

/// Maps a file, near to that if there is room.
fn map(file: &File, size: usize, near: Near) -> io::Result<NonNull<u8>> {
    const STEP: usize = 2 << 20;
    const FAR: usize = 1 << 30;
    let there: *const () = match near {
        Near::Libraries => libc::__errno_location as *const (),
        Near::Program => has_forked as *const (),
    };
    let there = there.addr() & !(STEP - 1);
    let near = (1..FAR / STEP).map(|step| there.saturating_sub(step * STEP));
    let near = near.filter(|address| *address > FAR);
    let fixed = near.map(|address| (address, libc::MAP_FIXED_NOREPLACE));
    for (address, flag) in fixed.chain([(0, 0)]) {
        if let Ok(start) = map_at(file, size, address, flag) {
            return Ok(start);
        }
    }
    Err(io::Error::last_os_error())
}

fn map_at(file: &File, size: usize, address: usize, flag: i32) -> io::Result<NonNull<u8>> {
    use std::os::fd::AsRawFd;
    let wanted = ptr::without_provenance_mut(address);
    let protection = libc::PROT_READ | libc::PROT_EXEC;
    // SAFETY: new memory: with that flag nothing is replaced that is there.
    let start = unsafe {
        libc::mmap(wanted, size, protection, libc::MAP_SHARED | flag, file.as_raw_fd(), 0)
    };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // Kernels before 4.17 take the flag for a hint.
    if flag != 0 && start.addr() != address {
        // SAFETY: just mapped.
        unsafe { libc::munmap(start, size) };
        return Err(io::Error::from(io::ErrorKind::AddrInUse));
    }
    NonNull::new(start.cast()).ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))
}

/// Bytes of code, and of the arenas that it lies in.
pub(crate) fn in_use() -> (usize, usize) {
    let pool = pool();
    let mapped = pool.0.iter().map(|(arena, _)| arena.size).sum();
    let free: usize = pool.0.iter().flat_map(|(_, free)| &free.0).map(|(_, size)| size).sum();
    (mapped - free, mapped)
}

/// The arenas of the process, with what is free in each.
struct Pool(Vec<(Arc<Arena>, Free)>);

static POOL: Mutex<Pool> = Mutex::new(Pool(Vec::new()));

fn pool() -> MutexGuard<'static, Pool> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    fn take(&mut self, near: Near, room: usize, align: usize) -> io::Result<(Arc<Arena>, usize)> {
        let fit = |arena: &Arena| arena.near == near && !arena.is_shared();
        for (arena, free) in self.0.iter_mut().filter(|(arena, _)| fit(arena)) {
            if let Some(offset) = free.take(room, align) {
                return Ok((Arc::clone(arena), offset));
            }
        }
        let arena = Arc::new(Arena::new(near, room.next_multiple_of(ARENA))?);
        let mut free = Free::all(arena.size);
        let offset = free.take(room, align).ok_or(io::ErrorKind::OutOfMemory)?;
        self.0.push((Arc::clone(&arena), free));
        Ok((arena, offset))
    }

    fn give_back(&mut self, arena: &Arc<Arena>, offset: usize, room: usize) {
        let Some(at) = self.0.iter().position(|(one, _)| Arc::ptr_eq(one, arena)) else { return };
        let several = self.0.len() > 1;
        let (_, free) = &mut self.0[at];
        free.give_back(offset, room);
        let empty = free.is_all(arena.size);
        if empty && (several || arena.is_shared()) {
            self.0.swap_remove(at);
        } else if !arena.is_shared() {
            // Nothing to be done when it fails: nobody calls what was here.
            let _ = arena.file.write_all_at(&vec![FILLER; room], offset as u64);
        }
    }
}

/// The free parts of an arena, in order: offset and size. No two touch.
#[derive(Debug)]
struct Free(Vec<(usize, usize)>);

impl Free {
    fn all(size: usize) -> Free {
        Free(vec![(0, size)])
    }

    fn is_all(&self, size: usize) -> bool {
        *self.0 == [(0, size)]
    }

    /// The first part that is large enough.
    fn take(&mut self, room: usize, align: usize) -> Option<usize> {
        let fits = |(start, size): &(usize, usize)| {
            let offset = start.next_multiple_of(align);
            offset + room <= start + size
        };
        let at = self.0.iter().position(fits)?;
        let (start, size) = self.0.remove(at);
        let offset = start.next_multiple_of(align);
        let (before, after) = (offset - start, start + size - offset - room);
        if after > 0 {
            self.0.insert(at, (offset + room, after));
        }
        if before > 0 {
            self.0.insert(at, (start, before));
        }
        Some(offset)
    }

    fn give_back(&mut self, offset: usize, room: usize) {
        let at = self.0.partition_point(|(start, _)| *start < offset);
        self.0.insert(at, (offset, room));
        if let Some(&(next, size)) = self.0.get(at + 1)
            && offset + room == next
        {
            self.0[at].1 += size;
            self.0.remove(at + 1);
        }
        if let Some((start, size)) =
            at.checked_sub(1).and_then(|before| self.0.get(before).copied())
            && start + size == offset
        {
            self.0[at - 1].1 += self.0[at].1;
            self.0.remove(at);
        }
    }
}

#[cfg(test)]
mod tests;
