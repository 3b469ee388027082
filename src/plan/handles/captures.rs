//! What native code keeps for as long as an object lives (`__captured_by`): other objects, and copies
//! of data.
//!
//! A captured object must not be destroyed, nor anything that would take it along: every capture is
//! counted on the captured handle and on each handle that lends it, up to (and without) the first one
//! that lends the captor too, which would take both.
use super::{FOR_EVER, HandleError, HandleTable, HandleType, TAKEN, index_of};
use rustc_hash::FxBuildHasher;
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

/// One captor holds one object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Capture {
    /// Of the captured handle when it was captured.
    generation: u32,
    /// The first handle that lends both; 0 for none. It and those above it do not count the capture.
    above: u32,
}

/// What one captor keeps.
#[derive(Debug, Default)]
pub(super) struct Hoard {
    /// Objects, by index.
    pub(super) objects: HashMap<u32, Capture, FxBuildHasher>,
    pub(super) blocks: Vec<Block>,
}

/// Bytes that native code may read, at an address that does not change: aligned for every C type, and
/// followed by zeros up to the next multiple of 16.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Block {
    words: Box<[u128]>,
    bytes: usize,
}

impl Block {
    /// A copy.
    #[must_use]
    pub fn copy_of(bytes: &[u8]) -> Block {
        let word = |chunk: &[u8]| {
            let mut word = [0; 16];
            word[..chunk.len()].copy_from_slice(chunk);
            u128::from_ne_bytes(word)
        };
        // An empty one has an address of its own too.
        let words = bytes.chunks(16).map(word).chain(bytes.is_empty().then_some(0));
        Block { words: words.collect(), bytes: bytes.len() }
    }

    /// So many zeros, for an object of native code's.
    #[must_use]
    pub fn zeroed(bytes: usize) -> Block {
        Block { words: vec![0; bytes.div_ceil(16).max(1)].into(), bytes }
    }

    /// The first of the bytes, for native code to write to.
    pub fn start(&mut self) -> *mut u8 {
        self.words.as_mut_ptr().cast()
    }

    /// Where the bytes are.
    #[must_use]
    pub fn address(&self) -> u64 {
        self.words.as_ptr().expose_provenance() as u64
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.bytes as u64
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }
}

/// What libraries keep until the process ends: no store may free it, because the next one calls the
/// same library.
static KEPT: Mutex<Option<HashSet<Block, FxBuildHasher>>> = Mutex::new(None);

/// The address of a block as the given one that is never freed, if there is one.
#[must_use]
pub fn kept_for_ever(block: &Block) -> Option<u64> {
    let kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    kept.as_ref()?.get(block).map(Block::address)
}

/// Never frees a block, whose address native code knows.
pub fn keep_for_ever(block: Block) {
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    // Another thread may have been faster: an equal one at another address is no replacement.
    if let Some(own) = kept.get_or_insert_default().replace(block) {
        abandon(own);
    }
}

/// Keeps a block for ever whose address native code knows already.
pub(super) fn abandon(block: Block) {
    // Equal bytes at another address are no replacement.
    std::mem::forget(block);
}

impl HandleTable {
    /// Whether an object may be captured: no running call may destroy it, nor what lends it.
    ///
    /// # Errors
    /// As [`HandleTable::get`], and [`HandleError::Doomed`].
    pub fn check_capturable(&self, handle: u32, kind: HandleType) -> Result<(), HandleError> {
        self.get(handle, kind)?;
        let doomed = |index: u32| self.entries[index as usize].flags & TAKEN != 0;
        if self.lineage(index_of(handle)).any(doomed) {
            return Err(HandleError::Doomed);
        }
        Ok(())
    }

    /// How many objects are captured, each counted once for each captor.
    #[must_use]
    pub fn captures(&self) -> u32 {
        self.captures
    }

    /// How many bytes of copies handles keep, or libraries for this store.
    #[must_use]
    pub fn captured_bytes(&self) -> u64 {
        self.captured_bytes
    }

    /// `captor` keeps `captured` from now on. Nothing happens unless both are alive.
    pub fn capture(&mut self, captor: u32, captured: u32) {
        if !self.is_live(captor) || !self.is_live(captured) {
            return;
        }
        let (captor, captured) = (index_of(captor), index_of(captured));
        let generation = self.entries[captured as usize].generation;
        let known = self.hoards.get(&captor).and_then(|hoard| hoard.objects.get(&captured));
        if known.is_some_and(|known| known.generation == generation) {
            return;
        }
        let of_captor: HashSet<u32, FxBuildHasher> = self.lineage(captor).collect();
        let above = self.lineage(captured).find(|index| of_captor.contains(index)).unwrap_or(0);
        self.count(captured, above, |captures| captures.saturating_add(1));
        let capture = Capture { generation, above };
        let hoard = self.hoards.entry(captor).or_default();
        if hoard.objects.insert(captured, capture).is_none() {
            self.captures += 1;
        }
    }

    /// Native code keeps `captured` until the process ends.
    pub fn capture_for_ever(&mut self, captured: u32) {
        if !self.is_live(captured) {
            return;
        }
        let mut next = index_of(captured);
        while next != 0 {
            let entry = &mut self.entries[next as usize];
            entry.flags |= FOR_EVER;
            next = entry.parent;
        }
    }

    /// Keeps a copy for as long as `captor` lives, or gives it back when that is not alive.
    ///
    /// # Errors
    /// The block.
    pub fn keep(&mut self, captor: u32, block: Block) -> Result<(), Block> {
        if !self.is_live(captor) {
            return Err(block);
        }
        self.captured_bytes = self.captured_bytes.saturating_add(block.len());
        self.hoards.entry(index_of(captor)).or_default().blocks.push(block);
        Ok(())
    }

    /// Counts a copy that a library keeps until the process ends, or nobody may free.
    pub fn count_for_ever(&mut self, bytes: u64) {
        self.captured_bytes = self.captured_bytes.saturating_add(bytes);
    }

    /// Keeps a copy that native code knows, for an object that nobody has.
    pub fn abandon(&mut self, block: Block) {
        self.count_for_ever(block.len());
        abandon(block);
    }

    /// A handle has died: it keeps nothing any more. Its objects have been destroyed.
    pub(super) fn release_hoard(&mut self, captor: u32) {
        let Some(hoard) = self.hoards.remove(&captor) else { return };
        let bytes: u64 = hoard.blocks.iter().map(Block::len).sum();
        self.captured_bytes = self.captured_bytes.saturating_sub(bytes);
        for (index, capture) in hoard.objects {
            self.captures = self.captures.saturating_sub(1);
            // One that died meanwhile went together with all that counted it.
            if self.is_kept(index, &capture) {
                self.uncount(index, &capture);
            }
        }
    }

    /// One capture less of what is captured.
    pub(super) fn uncount(&mut self, index: u32, capture: &Capture) {
        self.count(index, capture.above, |captures| captures.saturating_sub(1));
    }

    /// Whether what was captured is still alive.
    pub(super) fn is_kept(&self, index: u32, capture: &Capture) -> bool {
        let entry = &self.entries[index as usize];
        entry.generation == capture.generation && !entry.pointer.is_null()
    }

    fn count(&mut self, from: u32, above: u32, count: impl Fn(u32) -> u32) {
        let mut next = from;
        while next != 0 && next != above {
            let entry = &mut self.entries[next as usize];
            entry.captured = count(entry.captured);
            next = entry.parent;
        }
    }

    /// A living handle that keeps `handle`, or something that it lends; `None` when it is a library,
    /// for ever. Slow: for errors.
    #[must_use]
    pub fn captor_of(&self, handle: u32) -> Option<u32> {
        let mut within = HashSet::with_hasher(FxBuildHasher);
        let mut next = vec![index_of(handle)];
        while let Some(index) = next.pop() {
            within.insert(index);
            next.extend(self.children(index));
        }
        let keeps = |index: &u32, capture: &Capture| {
            within.contains(index) && self.is_kept(*index, capture)
        };
        let holds = |captor: &u32| !within.contains(captor);
        let mut captors: Vec<u32> = self
            .hoards
            .iter()
            .filter(|(captor, hoard)| {
                holds(captor) && hoard.objects.iter().any(|(i, c)| keeps(i, c))
            })
            .map(|(captor, _)| *captor)
            .collect();
        captors.sort_unstable();
        captors.first().map(|captor| self.handle_of(*captor))
    }
}
