//! What messages call a place in the data.
use super::super::copies::{CallMemory, Parent};
use crate::plan::Plan;
use crate::plan::shape::Reach;

/// Objects that were reached through pointers, by numbers.
pub trait Blocks {
    /// How the block of that number was reached.
    fn way(&self, block: u32) -> Way;
}

/// How a block was reached.
pub struct Way {
    pub shape: u16,
    pub root: u16,
    /// Who leads there; `None`: the root.
    pub parent: Option<Parent>,
}

impl Blocks for CallMemory {
    fn way(&self, block: u32) -> Way {
        let block = &self.blocks[block as usize];
        Way { shape: block.shape, root: block.root, parent: block.parent }
    }
}

/// The way from a parameter to a member of an object: `vec[3].iov_base`.
pub fn path_to(plan: &Plan, blocks: &dyn Blocks, from: Parent, member: &str) -> String {
    /// Of a long way the middle is left out.
    const SHOWN: usize = 6;
    let link_of = |parent: Parent| {
        let shape = blocks.way(parent.block).shape;
        plan.shapes[usize::from(shape)].links.get(usize::from(parent.link))
    };
    let is_many = |way: &Way| match way.parent {
        Some(parent) => link_of(parent).is_some_and(|link| link.reach != Reach::One),
        None => plan.roots[usize::from(way.root)].reach != Reach::One,
    };
    let way = blocks.way(from.block);
    let mut steps = vec![(is_many(&way), from.element, member)];
    let root = way.root;
    let mut next = way.parent;
    while let Some(parent) = next {
        let way = blocks.way(parent.block);
        let link = link_of(parent).map_or("", |link| &*link.path);
        steps.push((is_many(&way), parent.element, link));
        next = way.parent;
    }
    let mut text = plan.roots[usize::from(root)].path.to_string();
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
