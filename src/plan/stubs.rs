//! Who has which stub: the addresses that C gets for closures.
//!
//! A stub finds its closure through a slot at a fixed distance. The first stubs are in the program's own
//! text; beyond them there are *blocks* of memory, of which one half is code that was written before it
//! became executable and is never written again, the other half slots:
//!
//! ```text
//!  high  +--------------------------------+
//!        | slots, 16 bytes each           |  read, write
//!        +--------------------------------+  64 KiB
//!        | stubs, 16 bytes each           |  written, then read, execute for good
//!  low   +--------------------------------+
//! ```
//!
//! Blocks are never given back: whoever calls a closure that is gone is to be told so. A stub that is
//! given back waits behind all others that were before it is used again.
//!
//! What a closure is, is up to who makes it (`ffi`, and the interpreter's callbacks): here it is a
//! [`Head`], which begins with a [`Context`].
#![expect(unsafe_code, reason = "writes code, and owns what its callers have given away")]
use super::interpret::upcall::{
    Context, STUB_STRIDE, TABLE_STUBS, TableSlot, stub_code, table_slot, table_stub,
};
use std::collections::VecDeque;
use std::ffi::c_void;
use std::ptr::{self, NonNull};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A stub that somebody has.
#[derive(Clone, Copy, Debug)]
pub struct Stub {
    /// What C calls.
    pub code: *const c_void,
    slot: &'static TableSlot,
}

/// What a stub leads to, and how it is freed.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    context: NonNull<Context>,
    free: unsafe fn(NonNull<Context>),
}

// SAFETY: whoever makes one promises that what is behind it may be freed by any thread.
unsafe impl Send for Head {}

impl Head {
    /// A head that somebody has leaked.
    ///
    /// # Safety
    /// `free` may be called with `context`, once, by any thread, when no stub leads there any more.
    #[must_use]
    pub unsafe fn new(context: NonNull<Context>, free: unsafe fn(NonNull<Context>)) -> Head {
        Head { context, free }
    }
}

/// The system refuses memory for code, and all stubs of the program are in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoStubs {
    /// How many closures there may be at once.
    pub most: usize,
}

// SAFETY: code is the same for every thread, and slots are atomic.
unsafe impl Send for Stub {}

/// So many stubs wait before one is used again while there is memory for new ones.
const QUARANTINE: usize = 64;
/// Size of the code of a block, and of its slots: whole pages on every system.
const BLOCK: usize = 64 << 10;
const BLOCK_STUBS: usize = BLOCK / STUB_STRIDE;

/// Asks the system for a block; the address of its code.
type Map = fn() -> Option<NonNull<u8>>;

/// All stubs of a process.
struct Pool {
    /// Stubs of the program's text that nobody has had.
    table: std::ops::Range<usize>,
    /// The newest block, and its stubs that nobody has had.
    block: Option<(NonNull<u8>, std::ops::Range<usize>)>,
    blocks: usize,
    /// Stubs that somebody has.
    taken: usize,
    /// Stubs that were given back, the longest waiting first, with what told late callers so.
    retired: VecDeque<(Stub, Head)>,
    map: Map,
}

// SAFETY: the pointers are to memory of the whole process.
unsafe impl Send for Pool {}

static POOL: Mutex<Pool> = Mutex::new(Pool::new(TABLE_STUBS, map));

fn pool() -> MutexGuard<'static, Pool> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A stub for that closure.
///
/// # Errors
/// When there is none.
pub fn take(head: Head) -> Result<Stub, NoStubs> {
    let (stub, before) = {
        let mut pool = pool();
        let taken = pool.take()?;
        pool.taken += 1;
        taken
    };
    stub.slot.context.store(head.context.as_ptr(), Ordering::Release);
    if let Some(before) = before {
        // SAFETY: its stub belongs to another closure now.
        unsafe { (before.free)(before.context) };
    }
    Ok(stub)
}

/// Gives a stub back. Its slot keeps pointing at the head.
pub fn retire(stub: Stub, head: Head) {
    let mut pool = pool();
    pool.taken -= 1;
    pool.retired.push_back((stub, head));
}

/// How many stubs somebody has.
#[must_use]
pub fn in_use() -> usize {
    pool().taken
}

impl Pool {
    const fn new(table: usize, map: Map) -> Pool {
        Pool { table: 0..table, block: None, blocks: 0, taken: 0, retired: VecDeque::new(), map }
    }

    /// A stub, and what its slot still points at.
    fn take(&mut self) -> Result<(Stub, Option<Head>), NoStubs> {
        if let Some(number) = self.table.next() {
            return Ok((Stub { code: table_stub(number), slot: table_slot(number) }, None));
        }
        if let Some(stub) = self.of_block() {
            return Ok((stub, None));
        }
        if self.retired.len() < QUARANTINE
            && let Some(code) = (self.map)()
        {
            self.block = Some((code, 0..BLOCK_STUBS));
            self.blocks += 1;
            if let Some(stub) = self.of_block() {
                return Ok((stub, None));
            }
        }
        let most = self.table.end + self.blocks * BLOCK_STUBS;
        let (stub, head) = self.retired.pop_front().ok_or(NoStubs { most })?;
        Ok((stub, Some(head)))
    }

    fn of_block(&mut self) -> Option<Stub> {
        let (code, free) = self.block.as_mut()?;
        let at = free.next()? * STUB_STRIDE;
        // SAFETY: inside the block, which is never given back; memory from the system is zero, which is
        // a slot without a context.
        unsafe {
            let slot = code.add(BLOCK + at).cast::<TableSlot>().as_ref();
            Some(Stub { code: code.as_ptr().add(at).cast(), slot })
        }
    }
}

/// A block from the system, its stubs written and executable. `None` when the system refuses it.
#[cfg(unix)]
fn map() -> Option<NonNull<u8>> {
    let distance = u32::try_from(BLOCK).ok()?;
    // SAFETY: new memory, at an address that the system chooses.
    let start = unsafe {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANON;
        libc::mmap(ptr::null_mut(), 2 * BLOCK, protection, flags, -1, 0)
    };
    if start == libc::MAP_FAILED {
        return None;
    }
    let code = NonNull::new(start.cast::<u8>())?;
    let stub = stub_code(distance);
    for number in 0..BLOCK_STUBS {
        // SAFETY: inside the block, which nobody else knows yet.
        unsafe { code.add(number * STUB_STRIDE).cast::<[u8; STUB_STRIDE]>().write(stub) };
    }
    // SAFETY: the first half of the block, in which nothing runs yet.
    let refused = unsafe { libc::mprotect(start, BLOCK, libc::PROT_READ | libc::PROT_EXEC) } != 0;
    if refused {
        // SAFETY: mapped above, and nobody knows it.
        unsafe { libc::munmap(start, 2 * BLOCK) };
        return None;
    }
    Some(code)
}

#[cfg(not(unix))]
fn map() -> Option<NonNull<u8>> {
    let _ = (stub_code, ptr::null::<u8>);
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(number: usize) -> Head {
        unsafe fn free(_: NonNull<Context>) {}
        let context =
            NonNull::without_provenance(std::num::NonZero::new(number).expect("not zero"));
        // SAFETY: freeing it does nothing.
        unsafe { Head::new(context, free) }
    }

    #[test]
    fn without_memory_for_code_there_are_only_the_programs_stubs() {
        let mut pool = Pool::new(3, || None);
        let stubs: Vec<Stub> = (0..3).map(|_| pool.take().expect("in the text").0).collect();
        let error = pool.take().expect_err("there are no more");
        assert_eq!(error, NoStubs { most: 3 });
        // The longest waiting first, even when few wait.
        for number in [1, 0, 2] {
            pool.retired.push_back((stubs[number], head(number + 1)));
        }
        for number in [1, 0, 2] {
            let (stub, before) = pool.take().expect("one was given back");
            let before = before.map(|head| head.context);
            assert_eq!((stub.code, before), (stubs[number].code, Some(head(number + 1).context)));
        }
        assert!(pool.take().is_err());
    }

    #[test]
    fn stubs_wait_while_there_is_memory_for_new_ones() {
        let mut pool = Pool::new(1, map);
        let (first, _) = pool.take().expect("in the text");
        pool.retired.push_back((first, head(1)));
        let mut seen = std::collections::HashSet::new();
        for _ in 0..BLOCK_STUBS {
            let (stub, before) = pool.take().expect("in a block");
            assert!(seen.insert(stub.code) && stub.code != first.code && before.is_none());
        }
        assert_eq!(pool.blocks, 1);
        // A second block, for only one waits; when enough do, the first of them is used again.
        pool.take().expect("in another block");
        assert_eq!(pool.blocks, 2);
        pool.block = None;
        for number in 0..QUARANTINE {
            pool.retired.push_back((first, head(number + 2)));
        }
        let before = pool.take().expect("it waited").1;
        assert_eq!(before.map(|head| head.context), Some(head(1).context));
        assert_eq!(pool.blocks, 2);
    }

    /// What the kernel says of the mapping at an address.
    fn protection(at: *const c_void) -> String {
        let maps = std::fs::read_to_string("/proc/self/maps").expect("Linux has it");
        let holds = |line: &&str| {
            let (start, end) =
                line.split(' ').next().and_then(|r| r.split_once('-')).expect("maps");
            let number = |text| usize::from_str_radix(text, 16).expect("an address");
            (number(start)..number(end)).contains(&at.addr())
        };
        let line = maps.lines().find(holds).expect("it is mapped");
        line.split(' ').nth(1).expect("its protection").to_owned()
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn no_page_is_writable_and_executable() {
        let mut pool = Pool::new(0, map);
        let (stub, _) = pool.take().expect("in a block");
        assert_eq!(protection(stub.code), "r-xp");
        assert_eq!(protection(ptr::from_ref(stub.slot).cast()), "rw-p");
        assert_eq!(protection(table_stub(0)), "r-xp");
        assert_eq!(protection(ptr::from_ref(table_slot(0)).cast()), "rw-p");
    }
}
