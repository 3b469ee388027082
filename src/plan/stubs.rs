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
//! One that native code was told to keep without end is different: that the library has forgotten it since is
//! a guest's word. It goes to a closure of the same plan only, so that whoever calls the old one late finds a
//! function of the very type that it calls, or, mostly, one that may not run.
//!
//! What a closure is, is up to who makes it (`ffi`, and the interpreter's callbacks): here it is a
//! [`Head`], which begins with a [`Context`].
#![expect(unsafe_code, reason = "writes code, and owns what its callers have given away")]
use super::Plan;
use super::interpret::upcall::{
    Context, STUB_STRIDE, TABLE_STUBS, TableSlot, stub_code, table_slot, table_stub,
};
use rustc_hash::FxBuildHasher;
use std::collections::{HashMap, VecDeque};
use std::ffi::c_void;
use std::hash::{Hash, Hasher};
use std::ptr::{self, NonNull};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    may_be_reused: unsafe fn(NonNull<Context>) -> bool,
    free: unsafe fn(NonNull<Context>),
}

// SAFETY: whoever makes one promises that what is behind it may be freed by any thread.
unsafe impl Send for Head {}

impl Head {
    /// A head that somebody has leaked. `may_be_reused` is asked before a stub that was given back leads
    /// elsewhere: when it says no, the stub stays as it is for ever.
    ///
    /// # Safety
    /// `free` may be called with `context`, once, by any thread, when no stub leads there any more, and
    /// `may_be_reused` by any thread before.
    #[must_use]
    pub unsafe fn new(
        context: NonNull<Context>,
        may_be_reused: unsafe fn(NonNull<Context>) -> bool,
        free: unsafe fn(NonNull<Context>),
    ) -> Head {
        Head { context, may_be_reused, free }
    }

    fn may_be_reused(self) -> bool {
        // SAFETY: as `new` says; it waits, and was not freed.
        unsafe { (self.may_be_reused)(self.context) }
    }
}

/// Which closures may get a stub that native code was told to keep: those whose plans are equal.
#[derive(Clone, Debug)]
struct Type(Arc<Plan>);

impl PartialEq for Type {
    fn eq(&self, other: &Type) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl Eq for Type {}

impl Hash for Type {
    /// Of little, because it is asked for with each closure.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.ops.len().hash(state);
        self.0.lowering.hash(state);
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
    /// Those that native code was told to keep, likewise.
    kept: HashMap<Type, VecDeque<(Stub, Head)>, FxBuildHasher>,
    map: Map,
}

// SAFETY: the pointers are to memory of the whole process.
unsafe impl Send for Pool {}

static POOL: Mutex<Pool> = Mutex::new(Pool::new(TABLE_STUBS, map));

fn pool() -> MutexGuard<'static, Pool> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A stub for that closure; `plan`: the one that native code's calls of it are made by, if it may get stubs that
/// others of that plan were kept by.
///
/// # Errors
/// When there is none.
pub fn take(head: Head, plan: Option<&Arc<Plan>>) -> Result<Stub, NoStubs> {
    let (stub, before) = {
        let mut pool = pool();
        let taken = pool.take(plan)?;
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

/// Gives a stub back that native code was told to keep, and may call at any time: only closures of that plan
/// get it.
pub fn retire_kept(stub: Stub, head: Head, plan: &Arc<Plan>) {
    let mut pool = pool();
    pool.taken -= 1;
    pool.kept.entry(Type(Arc::clone(plan))).or_default().push_back((stub, head));
}

/// How many stubs somebody has.
#[must_use]
pub fn in_use() -> usize {
    pool().taken
}

impl Pool {
    const fn new(table: usize, map: Map) -> Pool {
        Pool {
            table: 0..table,
            block: None,
            blocks: 0,
            taken: 0,
            retired: VecDeque::new(),
            kept: HashMap::with_hasher(FxBuildHasher),
            map,
        }
    }

    /// A stub, and what its slot still points at.
    fn take(&mut self, plan: Option<&Arc<Plan>>) -> Result<(Stub, Option<Head>), NoStubs> {
        if let Some(plan) = plan
            && !self.kept.is_empty()
            && let Some(waiting) = self.kept.get_mut(&Type(Arc::clone(plan)))
            && waiting.len() >= QUARANTINE
            && let Some((stub, head)) = first(waiting)
        {
            return Ok((stub, Some(head)));
        }
        if let Some(number) = self.table.next() {
            return Ok((Stub { code: table_stub(number), slot: table_slot(number) }, None));
        }
        if let Some(stub) = self.of_block() {
            return Ok((stub, None));
        }
        if self.retired.len() >= QUARANTINE
            && let Some((stub, head)) = first(&mut self.retired)
        {
            return Ok((stub, Some(head)));
        }
        if let Some(code) = (self.map)() {
            self.block = Some((code, 0..BLOCK_STUBS));
            self.blocks += 1;
            if let Some(stub) = self.of_block() {
                return Ok((stub, None));
            }
        }
        let most = self.table.end + self.blocks * BLOCK_STUBS;
        let own = || first(self.kept.get_mut(&Type(Arc::clone(plan?)))?);
        let (stub, head) = first(&mut self.retired).or_else(own).ok_or(NoStubs { most })?;
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

/// The one that has waited longest of those that may lead elsewhere. Those before it never will: nobody has them
/// from now on but native code.
fn first(waiting: &mut VecDeque<(Stub, Head)>) -> Option<(Stub, Head)> {
    while let Some((stub, head)) = waiting.pop_front() {
        if head.may_be_reused() {
            return Some((stub, head));
        }
    }
    None
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
        // SAFETY: freeing it does nothing, and nothing of it is looked at.
        unsafe { Head::new(context, |context| context.addr().get() < NEVER, free) }
    }

    /// Heads of this number and above may not be used again.
    const NEVER: usize = 1000;

    fn plan(prototype: &str) -> Arc<Plan> {
        use crate::plan::{abi::Abi, compile::compile_call};
        use crate::signature::{Scope, parse_prototype};
        let scope = Scope::default();
        let prototype = parse_prototype(prototype, &scope).unwrap_or_else(|e| panic!("{e}"));
        let plan = compile_call(&Arc::new(prototype), &scope, Abi::SysvX86_64);
        Arc::new(plan.unwrap_or_else(|error| panic!("{error}")))
    }

    /// The address and what was there before.
    fn taken(pool: &mut Pool, plan: Option<&Arc<Plan>>) -> (*const c_void, Option<usize>) {
        let (stub, before) = pool.take(plan).expect("there is one");
        (stub.code, before.map(|head| head.context.addr().get()))
    }

    #[test]
    fn without_memory_for_code_there_are_only_the_programs_stubs() {
        let mut pool = Pool::new(3, || None);
        let stubs: Vec<Stub> = (0..3).map(|_| pool.take(None).expect("in the text").0).collect();
        let error = pool.take(None).expect_err("there are no more");
        assert_eq!(error, NoStubs { most: 3 });
        // The longest waiting first, even when few wait.
        for number in [1, 0, 2] {
            pool.retired.push_back((stubs[number], head(number + 1)));
        }
        for number in [1, 0, 2] {
            assert_eq!(taken(&mut pool, None), (stubs[number].code, Some(number + 1)));
        }
        assert!(pool.take(None).is_err());
    }

    #[test]
    fn stubs_wait_while_there_is_memory_for_new_ones() {
        let mut pool = Pool::new(1, map);
        let (first, _) = pool.take(None).expect("in the text");
        pool.retired.push_back((first, head(1)));
        let mut seen = std::collections::HashSet::new();
        for _ in 0..BLOCK_STUBS {
            let (stub, before) = pool.take(None).expect("in a block");
            assert!(seen.insert(stub.code) && stub.code != first.code && before.is_none());
        }
        assert_eq!(pool.blocks, 1);
        // A second block, for only one waits; when enough do, the first of them is used again.
        pool.take(None).expect("in another block");
        assert_eq!(pool.blocks, 2);
        pool.block = None;
        for number in 0..QUARANTINE {
            pool.retired.push_back((first, head(number + 2)));
        }
        assert_eq!(taken(&mut pool, None).1, Some(1));
        assert_eq!(pool.blocks, 2);
    }

    #[test]
    fn what_native_code_was_told_to_keep_goes_to_closures_of_the_same_plan() {
        let (own, equal) = (plan("int f(int a)"), plan("int f(int a)"));
        let others = [plan("int f(long a)"), plan("void f(int a)"), plan("int f(unsigned a)")];
        let mut pool = Pool::new(1, || None);
        let (stub, _) = pool.take(None).expect("in the text");
        let keep = |pool: &mut Pool, number| {
            let waiting = pool.kept.entry(Type(Arc::clone(&own))).or_default();
            waiting.push_back((stub, head(number)));
        };
        keep(&mut pool, 1);
        for other in others.iter().map(Some).chain([None]) {
            assert!(pool.take(other).is_err(), "{other:?}");
        }
        // Without memory for another, at once; else when enough wait, and before new memory is asked for.
        assert_eq!(taken(&mut pool, Some(&equal)), (stub.code, Some(1)));
        assert!(pool.take(Some(&own)).is_err());
        pool.map = map;
        for number in 1..QUARANTINE {
            keep(&mut pool, number);
            assert_eq!(taken(&mut pool, Some(&own)).1, None, "{number}");
        }
        keep(&mut pool, QUARANTINE);
        for other in others.iter().map(Some).chain([None]) {
            assert_eq!(taken(&mut pool, other).1, None);
        }
        assert_eq!(taken(&mut pool, Some(&equal)).1, Some(1));
        assert_eq!(taken(&mut pool, Some(&own)).1, None);
        assert_eq!(pool.kept[&Type(own)].len(), QUARANTINE - 1);
    }

    #[test]
    fn what_was_called_while_it_waited_is_never_used_again() {
        let own = plan("int f(int a)");
        let mut pool = Pool::new(1, || None);
        let (stub, _) = pool.take(None).expect("in the text");
        for number in [NEVER, 1, NEVER + 1, NEVER + 2] {
            pool.retired.push_back((stub, head(number)));
        }
        assert_eq!(taken(&mut pool, None).1, Some(1));
        assert_eq!(pool.retired.len(), 2);
        assert!(pool.take(None).is_err());
        let waiting = pool.kept.entry(Type(Arc::clone(&own))).or_default();
        waiting.extend((0..2 * QUARANTINE).map(|number| (stub, head(NEVER + number))));
        waiting.push_back((stub, head(2)));
        assert_eq!(taken(&mut pool, Some(&own)).1, Some(2));
        assert!(pool.take(Some(&own)).is_err());
        // There is memory for new ones: whatever waits in vain is in nobody's way.
        pool.map = map;
        pool.retired.extend((0..2 * QUARANTINE).map(|number| (stub, head(NEVER + number))));
        assert_eq!(taken(&mut pool, None).1, None);
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
        let (stub, _) = pool.take(None).expect("in a block");
        assert_eq!(protection(stub.code), "r-xp");
        assert_eq!(protection(ptr::from_ref(stub.slot).cast()), "rw-p");
        assert_eq!(protection(table_stub(0)), "r-xp");
        assert_eq!(protection(ptr::from_ref(table_slot(0)).cast()), "rw-p");
    }
}
