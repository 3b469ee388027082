//! One piece of the guest's memory, copied twice.
//!
//! One address with one type and one extent is one copy. Copies of one type that share only some bytes
//! are several: native code would not see in one what it writes to another, and of what it leaves in
//! both the guest would get one. So that is refused where anything goes back.
use super::super::copies::CallMemory;

/// The later one of two blocks of one shape that share bytes, if one of them goes back.
pub(super) fn overlapping(memory: &CallMemory) -> Option<u32> {
    let blocks = &memory.blocks;
    if blocks.len() < 2 || !blocks.iter().any(|block| block.outward) {
        return None;
    }
    let all = blocks.iter().enumerate().filter(|(_, block)| block.elements > 0);
    let mut order: Vec<usize> = all.map(|(number, _)| number).collect();
    order.sort_unstable_by_key(|number| (blocks[*number].shape, blocks[*number].guest));
    // Of the blocks of this shape so far: which reaches farthest, and which of those that go back.
    let mut farthest: [Option<(u64, usize)>; 2] = [None; 2];
    let mut shape = None;
    for number in order {
        let block = &blocks[number];
        if shape.replace(block.shape) != Some(block.shape) {
            farthest = [None; 2];
        }
        let end = block.guest.saturating_add(block.elements.saturating_mul(block.guest_size));
        let [any, outward] = farthest;
        let before = if block.outward { any } else { outward };
        if let Some((_, other)) =
            before.filter(|(reach, _)| *reach > block.guest && end > block.guest)
        {
            return u32::try_from(number.max(other)).ok();
        }
        let later = |known: Option<(u64, usize)>| match known {
            Some((reach, _)) if reach >= end => known,
            _ => Some((end, number)),
        };
        farthest = [later(any), if block.outward { later(outward) } else { outward }];
    }
    None
}
