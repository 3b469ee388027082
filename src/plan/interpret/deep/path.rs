//! What messages call a place in the data.
use super::super::copies::{Block, CallMemory, Parent};
use crate::plan::Plan;
use crate::plan::shape::Reach;

/// The way from a parameter to a member of an object: `vec[3].iov_base`.
pub fn path_to(plan: &Plan, memory: &CallMemory, from: Parent, member: &str) -> String {
    /// Of a long way the middle is left out.
    const SHOWN: usize = 6;
    let block = &memory.blocks[from.block as usize];
    let is_many = |block: &Block| match block.parent {
        Some(parent) => {
            let shape = memory.blocks[parent.block as usize].shape;
            let link = plan.shapes[usize::from(shape)].links.get(usize::from(parent.link));
            link.is_some_and(|link| link.reach != Reach::One)
        }
        None => plan.roots[usize::from(block.root)].reach != Reach::One,
    };
    let mut steps = vec![(is_many(block), from.element, member)];
    let mut next = block.parent;
    while let Some(parent) = next {
        let block = &memory.blocks[parent.block as usize];
        let shape = &plan.shapes[usize::from(block.shape)];
        let link = shape.links.get(usize::from(parent.link)).map_or("", |link| &*link.path);
        steps.push((is_many(block), parent.element, link));
        next = block.parent;
    }
    let mut text = plan.roots[usize::from(block.root)].path.to_string();
    let count = steps.len();
    for (number, (many, element, member)) in steps.into_iter().rev().enumerate() {
        if number >= SHOWN && number + SHOWN < count {
            if number == SHOWN {
                text.push_str("->...");
            }
            continue;
        }
        if text.starts_with('*') && (many || !member.is_empty()) {
            text = format!("({text})");
        }
        match (many, member) {
            (true, "") => text.push_str(&format!("[{element}]")),
            (true, member) => text.push_str(&format!("[{element}].{member}")),
            (false, "") => text.insert(0, '*'),
            (false, member) => text.push_str(&format!("->{member}")),
        }
    }
    text
}
