//! Memory of one call: copies of the guest's data that native code gets instead of it.
//!
//! Strings are copied one by one. What plans have shapes for lies in *blocks*: so many objects of one
//! shape, all of them in chunks that are freed together when the call is over. One address that is
//! passed twice with one shape and count is one block.
#![expect(unsafe_code, reason = "blocks lie in memory that is allocated by hand")]
use super::callback::Closure;
use crate::plan::binding::StoreBlock;
use crate::plan::handles;
use crate::plan::op::{At, Boxing, HandleField};
use crate::plan::shape::Keep;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::collections::BTreeMap;
use std::ptr::{self, NonNull};

/// What a block costs beside its bytes, when a call's copies are counted.
const BLOCK_COST: u64 = 64;
/// Size of the first chunk and of the others, unless a block asks for more. Chunks are zeroed: most calls copy
/// little.
const CHUNKS: [usize; 2] = [256, 4096];
/// So many blocks are searched one by one, which is quicker than a tree.
const FIRST: usize = 8;
/// So many blocks may a store have room for between calls.
const SPARE_BLOCKS: usize = 64;

/// Copies of guest memory that the call made for native code.
#[derive(Debug)]
pub struct CallMemory {
    /// Strings, and the guest address of each.
    copies: Vec<(u64, Box<[u8]>)>,
    bytes: u64,
    chunks: Vec<(*mut u8, Layout)>,
    /// Bytes of the last chunk that are in use.
    used: usize,
    pub blocks: Vec<Block>,
    /// The number of each block by its address, shape and number of objects: the first ones, which are searched one by
    /// one, and all others.
    first: Vec<((u64, u16, u64), u32)>,
    known: BTreeMap<(u64, u16, u64), u32>,
    /// Blocks by their native address, once `order` has been called.
    ordered: Vec<u32>,
    /// What the store keeps between calls.
    recycled: Option<Box<Spare>>,
    /// Handles in the copies, marked as in use until the call is over.
    marked: Vec<u32>,
    /// Handles that the call may destroy.
    pub doomed: Vec<u32>,
    /// Handles that were reserved for what native code may leave in the copies.
    reserved: u32,
    pub(super) store: *const StoreBlock,
    /// Objects that copies mirror.
    pub boxes: Vec<BoxUse>,
    /// Guest functions in the copies.
    functions: Vec<Held>,
    /// Native code may call them.
    callable: bool,
    /// Their code and table indices, by their code, once `order` has been called.
    indices: Vec<(u64, u64)>,
    /// What native code keeps after the call, by the place of its address.
    pub kept: Vec<(At, handles::Block)>,
}

/// Where a block was found: a link of an object in another block.
#[derive(Clone, Copy, Debug)]
pub struct Parent {
    pub block: u32,
    pub element: u64,
    pub link: u16,
}

/// Objects of one shape.
#[derive(Debug)]
pub struct Block {
    pub shape: u16,
    /// Where they are in the guest's memory.
    pub guest: u64,
    /// The copy.
    pub host: *mut u8,
    pub elements: u64,
    /// How many of them have pointers that lead on: all but the one that ends an array.
    pub linked: u64,
    pub guest_size: u64,
    pub host_size: u64,
    /// Both sides are the same bytes.
    pub flat: bool,
    /// The guest's data was copied in.
    pub inward: bool,
    /// What native code leaves is copied back.
    pub outward: bool,
    /// What it leads to is being copied.
    pub open: bool,
    /// The native pointers that were put there: of each linked object, one a link.
    pub placed: Vec<u64>,
    /// Who leads here; `None`: the root.
    pub parent: Option<Parent>,
    pub root: u16,
    pub param: u16,
}

/// An object that the guest's struct mirrors, while a call has it.
#[derive(Debug)]
pub struct BoxUse {
    /// The copy of the mirror.
    pub block: u32,
    pub object: *mut u8,
    /// The memory of one that is made, until its handle owns that.
    pub owned: Option<handles::Block>,
    /// 0: it is being made.
    pub handle: u32,
    pub kind: u16,
    /// Where the handle is in the guest's struct.
    pub field: HandleField,
    pub boxing: Boxing,
    /// No other argument may be it.
    pub alone: bool,
    /// Native code has ended it.
    pub ended: bool,
    /// Where the object has pointers to what the guest has passed.
    pub links: Vec<u32>,
}

/// A guest function in a copy, which native code may call.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    pub closure: NonNull<Closure>,
    /// The guest's index.
    pub guest: u64,
    pub keep: Keep,
}

/// A block that is to be made.
pub struct Wanted {
    pub guest: u64,
    pub shape: u16,
    pub elements: u64,
    pub host_bytes: u64,
    pub align: usize,
}

/// Memory of calls that are over, for the next one.
#[derive(Debug, Default)]
pub struct Spare {
    /// Zeroed, of the first chunk's size or that of the others, and aligned to 16 bytes.
    chunk: Option<(*mut u8, Layout)>,
    chunks: Vec<(*mut u8, Layout)>,
    blocks: Vec<Block>,
    first: Vec<((u64, u16, u64), u32)>,
    ordered: Vec<u32>,
}

impl Drop for Spare {
    fn drop(&mut self) {
        if let Some((chunk, layout)) = self.chunk {
            // SAFETY: allocated in `room` with this layout; nobody else has it.
            unsafe { dealloc(chunk, layout) };
        }
    }
}

impl CallMemory {
    pub fn new(store: &StoreBlock) -> CallMemory {
        // The first call of a store, and one inside of another, find nothing.
        let mut spare = store.spare_memory.take().unwrap_or_default();
        CallMemory {
            copies: Vec::new(),
            bytes: 0,
            chunks: std::mem::take(&mut spare.chunks),
            used: 0,
            blocks: std::mem::take(&mut spare.blocks),
            first: std::mem::take(&mut spare.first),
            known: BTreeMap::new(),
            ordered: std::mem::take(&mut spare.ordered),
            recycled: Some(spare),
            marked: Vec::new(),
            doomed: Vec::new(),
            reserved: 0,
            store,
            boxes: Vec::new(),
            functions: Vec::new(),
            callable: true,
            indices: Vec::new(),
            kept: Vec::new(),
        }
    }

    /// Counts what a call copies; `None` when the limit does not allow it.
    fn count(&mut self, bytes: u64, limit: u64) -> Option<()> {
        self.bytes = self.bytes.checked_add(bytes).filter(|total| *total <= limit)?;
        Some(())
    }

    /// Copies `bytes` of guest memory from `address`; `None` when the limit does not allow it.
    pub fn copy(&mut self, address: u64, bytes: &[u8], limit: u64) -> Option<*const u8> {
        self.count(u64::try_from(bytes.len()).ok()?, limit)?;
        self.copies.push((address, bytes.into()));
        self.copies.last().map(|(_, copy)| copy.as_ptr())
    }

    /// Bytes of all strings that were copied.
    pub fn text_bytes(&self) -> u64 {
        self.copies.iter().map(|(_, copy)| copy.len() as u64).sum()
    }

    /// The block that was made for that address, shape and number of objects.
    pub fn known(&self, guest: u64, shape: u16, elements: u64) -> Option<u32> {
        let key = (guest, shape, elements);
        let first = self.first.iter().find(|(known, _)| *known == key);
        first.map(|(_, number)| *number).or_else(|| self.known.get(&key).copied())
    }

    /// Zeroed memory for a block, which is known from now on by the number that it will have;
    /// `None` when the limit does not allow it.
    pub fn room(&mut self, wanted: &Wanted, limit: u64) -> Option<*mut u8> {
        self.count(wanted.host_bytes.checked_add(BLOCK_COST)?, limit)?;
        let number = u32::try_from(self.blocks.len()).ok()?;
        let key = (wanted.guest, wanted.shape, wanted.elements);
        if self.first.len() < FIRST {
            self.first.push((key, number));
        } else {
            self.known.insert(key, number);
        }
        // One byte lies between two blocks: a pointer past the end of one is none to the next.
        let bytes = usize::try_from(wanted.host_bytes).ok()?.checked_add(1)?;
        let start = self.used.next_multiple_of(wanted.align);
        if let Some((chunk, layout)) = self.chunks.last()
            && layout.align() >= wanted.align
            && start.checked_add(bytes).is_some_and(|end| end <= layout.size())
        {
            self.used = start + bytes;
            return Some(chunk.wrapping_add(start));
        }
        let fits = |(_, layout): &mut (_, Layout)| {
            layout.align() >= wanted.align && bytes <= layout.size()
        };
        let recycled = self.recycled.as_mut().and_then(|spare| spare.chunk.take_if(fits));
        if let Some((chunk, layout)) = recycled {
            self.chunks.push((chunk, layout));
            self.used = bytes;
            return Some(chunk);
        }
        let usual = CHUNKS[usize::from(!self.chunks.is_empty())];
        let layout = Layout::from_size_align(bytes.max(usual), wanted.align.max(16)).ok()?;
        // SAFETY: the size is not zero.
        let chunk = unsafe { alloc_zeroed(layout) };
        if chunk.is_null() {
            handle_alloc_error(layout);
        }
        self.chunks.push((chunk, layout));
        self.used = bytes;
        Some(chunk)
    }

    /// Notes a handle that was marked as in use.
    pub fn mark(&mut self, handle: u32) {
        self.marked.push(handle);
    }

    /// Notes handles that were reserved.
    pub fn reserve(&mut self, handles: u32) {
        self.reserved += handles;
    }

    /// Notes a guest function, which native code may call from now on.
    pub fn hold(&mut self, held: Held) {
        // SAFETY: closures live as long as their store.
        unsafe { held.closure.as_ref() }.hold(held.keep != Keep::Call);
        self.functions.push(held);
    }

    /// Native code has returned: only functions that it keeps may still be called.
    pub fn let_go(&mut self) {
        if std::mem::take(&mut self.callable) {
            for held in &self.functions {
                // SAFETY: closures live as long as their store.
                unsafe { held.closure.as_ref() }.release();
            }
        }
    }

    /// The guest functions in the copies.
    pub fn functions(&self) -> &[Held] {
        &self.functions
    }

    /// The guest's index of a function in the copies, by its code, once [`CallMemory::order`] has been
    /// called.
    pub fn function_index(&self, code: u64) -> Option<u64> {
        let found = self.indices.binary_search_by_key(&code, |(code, _)| *code).ok()?;
        Some(self.indices[found].1)
    }

    /// Makes native addresses quick to find: no block is made any more.
    pub fn order(&mut self) {
        if !self.ordered.is_empty()
            && self.ordered.len() == self.blocks.len()
            && self.indices.len() == self.functions.len()
        {
            return;
        }
        let index = |held: &Held| {
            // SAFETY: closures live as long as their store.
            let code = unsafe { held.closure.as_ref() }.code();
            (code.expose_provenance() as u64, held.guest)
        };
        self.indices = self.functions.iter().map(index).collect();
        self.indices.sort_unstable();
        self.ordered.clear();
        self.ordered.extend(0..u32::try_from(self.blocks.len()).unwrap_or(u32::MAX));
        let blocks = &self.blocks;
        self.ordered.sort_unstable_by_key(|number| blocks[*number as usize].host.addr());
    }

    /// The guest address that `native` stands for, if it points into (or just past) a copy: to the
    /// start of an object, or anywhere where both sides are the same bytes.
    pub fn guest_address(&self, native: usize) -> Option<u64> {
        self.text_at(native).or_else(|| {
            let block = self.block_at(native)?;
            let offset = (native - block.host.addr()) as u64;
            if offset > block.elements * block.host_size {
                return None;
            }
            if block.flat {
                return Some(block.guest + offset);
            }
            let whole = offset.checked_rem(block.host_size).unwrap_or(0) == 0;
            let index = offset.checked_div(block.host_size).unwrap_or(0);
            whole.then(|| block.guest + index * block.guest_size)
        })
    }

    /// As [`CallMemory::guest_address`], of copies that native code does not change: the same bytes are in the
    /// guest's memory, unless the guest itself has changed them.
    pub fn unchanged_address(&self, native: usize) -> Option<u64> {
        self.text_at(native).or_else(|| {
            let block = self.block_at(native).filter(|block| block.flat && !block.outward)?;
            let offset = (native - block.host.addr()) as u64;
            (offset <= block.elements * block.host_size).then(|| block.guest + offset)
        })
    }

    fn text_at(&self, native: usize) -> Option<u64> {
        self.copies.iter().find_map(|(address, copy)| {
            let offset = native.checked_sub(copy.as_ptr().addr())?;
            (offset <= copy.len()).then(|| address + offset as u64)
        })
    }

    /// The last block that begins at `native` or before.
    fn block_at(&self, native: usize) -> Option<&Block> {
        let block = |number: &u32| &self.blocks[*number as usize];
        let behind = self.ordered.partition_point(|n| block(n).host.addr() <= native);
        Some(block(self.ordered.get(behind.checked_sub(1)?)?))
    }

    /// Another walk may begin, whose addresses and shapes have nothing to do with those before. Their copies stay
    /// where they are.
    pub fn forget(&mut self) {
        self.first.clear();
        self.known.clear();
        self.blocks.clear();
        self.ordered.clear();
    }
}

impl CallMemory {
    /// Gives the store back what the next call can use: at most a chunk and the room of some blocks.
    fn keep_spare(&mut self) {
        if ptr::eq(self.store, ptr::null()) || self.blocks.capacity() > SPARE_BLOCKS {
            return;
        }
        let Some(mut spare) = self.recycled.take() else { return };
        let small = |layout: &Layout| layout.align() == 16 && CHUNKS.contains(&layout.size());
        let last = self.chunks.pop_if(|(_, layout)| spare.chunk.is_none() && small(layout));
        if let Some((chunk, layout)) = last {
            // SAFETY: the store block outlives every call of its bindings.
            let guarded = unsafe { (*self.store).guarded };
            // Of a library that is watched nothing is taken for granted.
            let used = if guarded { layout.size() } else { self.used.min(layout.size()) };
            // SAFETY: of the last chunk so many bytes were given to blocks, which nobody uses any more.
            unsafe { chunk.write_bytes(0, used) };
            spare.chunk = Some((chunk, layout));
        }
        self.free_chunks();
        self.blocks.clear();
        self.first.clear();
        self.ordered.clear();
        spare.chunks = std::mem::take(&mut self.chunks);
        spare.blocks = std::mem::take(&mut self.blocks);
        spare.first = std::mem::take(&mut self.first);
        spare.ordered = std::mem::take(&mut self.ordered);
        // SAFETY: the store block outlives every call of its bindings.
        unsafe { &*self.store }.spare_memory.replace(Some(spare));
    }

    fn free_chunks(&mut self) {
        for (chunk, layout) in self.chunks.drain(..) {
            // SAFETY: allocated in `room` with this layout, freed once.
            unsafe { dealloc(chunk, layout) };
        }
    }
}

impl Drop for CallMemory {
    fn drop(&mut self) {
        self.let_go();
        self.end();
        self.keep_spare();
        self.free_chunks();
    }
}

impl CallMemory {
    /// Takes back what was noted in the store.
    fn end(&mut self) {
        self.spare();
        if self.marked.is_empty() && self.reserved == 0 || ptr::eq(self.store, ptr::null()) {
            return;
        }
        for one in &mut self.boxes {
            one.clear();
        }
        // SAFETY: the store block outlives every call of its bindings.
        let store = unsafe { &*self.store };
        store.with_handles(|handles| {
            for one in self.boxes.iter().filter(|one| one.handle != 0) {
                handles.give_up(one.handle);
                handles.doom(one.handle, false);
            }
            self.marked.iter().for_each(|handle| handles.leave(*handle));
            handles.release(self.reserved);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Limits;

    fn room(memory: &mut CallMemory, guest: u64, bytes: u64) -> *mut u8 {
        let wanted = Wanted { guest, shape: 0, elements: 1, host_bytes: bytes, align: 8 };
        memory.room(&wanted, u64::MAX).expect("there is no limit")
    }

    #[test]
    fn memory_is_used_again_when_it_is_zero_again() {
        let store = StoreBlock::new(Limits::default());
        let mut first = CallMemory::new(&store);
        let at = room(&mut first, 64, 100);
        // SAFETY: it has so many bytes.
        unsafe { at.write_bytes(0xff, 100) };
        drop(first);
        let mut second = CallMemory::new(&store);
        assert_eq!(second.known(64, 0, 1), None, "what was copied then is not known now");
        assert_eq!(room(&mut second, 128, 200), at);
        // SAFETY: likewise.
        let bytes = unsafe { std::slice::from_raw_parts(at, 200) };
        assert!(bytes.iter().all(|byte| *byte == 0));
        // A call inside of that one has memory of its own, and leaves it to the next.
        let mut inner = CallMemory::new(&store);
        let other = room(&mut inner, 128, 200);
        assert_ne!(other, at);
        drop(second);
        drop(inner);
        let mut third = CallMemory::new(&store);
        assert_eq!(room(&mut third, 64, 8), other);
    }

    #[test]
    fn a_store_keeps_little() {
        let store = StoreBlock::new(Limits::default());
        let mut large = CallMemory::new(&store);
        room(&mut large, 64, 1 << 20);
        drop(large);
        assert!(store.spare_memory.take().is_some_and(|spare| spare.chunk.is_none()));
        let mut many = CallMemory::new(&store);
        for guest in 0..100 {
            room(&mut many, 64 * guest, 64);
            assert_eq!(many.known(64 * guest, 0, 1), Some(0));
        }
        drop(many);
        let spare = store.spare_memory.take().expect("there is some");
        assert!(spare.chunk.is_some_and(|(_, layout)| layout.size() <= 4096));
        assert!(spare.first.capacity() <= 64 && spare.chunks.capacity() <= 64);
    }
}
