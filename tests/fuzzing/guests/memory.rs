//! Guest memory with canaries on both sides, and in what it has not grown to.
#![expect(unsafe_code, reason = "memory for wasmtime")]
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::cell::RefCell;
use wasmtime::{LinearMemory, MemoryCreator, MemoryType};

/// Bytes of a canary.
const CANARY: usize = 4096;
const PAGE: usize = 65536;
const MARK: u8 = 0xc5;

thread_local! {
    /// The memories of this thread: where the block begins, the size, the capacity.
    static ALL: RefCell<Vec<(usize, usize, usize)>> = const { RefCell::new(Vec::new()) };
}

#[derive(Debug)]
pub struct Creator;

#[derive(Debug)]
struct Guarded {
    block: *mut u8,
    size: usize,
    capacity: usize,
}

// SAFETY: the block is this memory's own.
unsafe impl Send for Guarded {}
// SAFETY: likewise.
unsafe impl Sync for Guarded {}

fn layout(capacity: usize) -> Layout {
    Layout::from_size_align(capacity + 2 * PAGE, PAGE).expect("small")
}

// SAFETY: what is made has the capacity that was asked for and no guard, as the engine's configuration says.
unsafe impl MemoryCreator for Creator {
    fn new_memory(
        &self,
        _: MemoryType,
        minimum: usize,
        maximum: Option<usize>,
        reserved: Option<usize>,
        guard: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        if guard != 0 {
            return Err("no guards here".to_owned());
        }
        let capacity = reserved.or(maximum).unwrap_or(minimum).max(minimum);
        // SAFETY: the layout has a size.
        let block = unsafe { alloc_zeroed(layout(capacity)) };
        assert!(!block.is_null(), "memory");
        // SAFETY: the block has a page before the memory, its capacity, and a page behind it.
        unsafe {
            block.add(PAGE - CANARY).write_bytes(MARK, CANARY);
            block.add(PAGE + minimum).write_bytes(MARK, CANARY);
        }
        ALL.with_borrow_mut(|all| all.push((block.addr(), minimum, capacity)));
        Ok(Box::new(Guarded { block, size: minimum, capacity }))
    }
}

// SAFETY: as many bytes as it says are there, and do not move.
unsafe impl LinearMemory for Guarded {
    fn byte_size(&self) -> usize {
        self.size
    }

    fn byte_capacity(&self) -> usize {
        self.capacity
    }

    fn grow_to(&mut self, new_size: usize) -> wasmtime::Result<()> {
        if new_size > self.capacity {
            return Err(wasmtime::Error::msg("there is no more memory"));
        }
        untouched();
        // SAFETY: all of it is inside of the block.
        unsafe {
            self.block.add(PAGE + self.size).write_bytes(0, CANARY.min(new_size - self.size));
            self.block.add(PAGE + new_size).write_bytes(MARK, CANARY);
        }
        let own = self.block.addr();
        ALL.with_borrow_mut(|all| {
            all.iter_mut().filter(|one| one.0 == own).for_each(|one| one.1 = new_size);
        });
        self.size = new_size;
        Ok(())
    }

    fn as_ptr(&self) -> *mut u8 {
        // SAFETY: inside of the block.
        unsafe { self.block.add(PAGE) }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        untouched();
        let own = self.block.addr();
        let _ = ALL.try_with(|all| all.borrow_mut().retain(|one| one.0 != own));
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.block, layout(self.capacity)) };
    }
}

/// How many memories there are; each must be whole.
pub fn untouched() -> usize {
    ALL.with_borrow(|all| {
        for (block, size, _) in all {
            for start in [block + PAGE - CANARY, block + PAGE + size] {
                let start = std::ptr::with_exposed_provenance::<u8>(start);
                // SAFETY: inside of a block that is alive.
                let canary = unsafe { std::slice::from_raw_parts(start, CANARY) };
                let whole = canary.iter().all(|byte| *byte == MARK);
                assert!(whole, "something has written beside the guest's memory");
            }
        }
        all.len()
    })
}
