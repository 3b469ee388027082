//! Leaves in order, as few as possible.
use super::Leaf;
use crate::plan::moves::MoveKind;

/// Sorted, with what lies side by side put together.
pub(super) fn merged(mut leaves: Vec<Leaf>) -> Vec<Leaf> {
    leaves.sort_by_key(|leaf| leaf.host);
    let mut all: Vec<Leaf> = Vec::with_capacity(leaves.len());
    for mut leaf in leaves {
        if let (MoveKind::Bits(mask), Some(last)) = (leaf.kind, all.last_mut())
            && let MoveKind::Bits(other) = last.kind
            && (last.memory, last.host) == (leaf.memory, leaf.host)
            && last.direction == leaf.direction
        {
            last.kind = MoveKind::Bits(mask | other);
            continue;
        }
        settle(&mut all);
        if leaf.kind == MoveKind::Bits(u8::MAX) {
            leaf.kind = MoveKind::Bytes(1);
        }
        all.push(leaf);
        join(&mut all);
    }
    settle(&mut all);
    all
}

/// All bits of a byte are a byte.
fn settle(all: &mut Vec<Leaf>) {
    if let Some(last) = all.last_mut()
        && last.kind == MoveKind::Bits(u8::MAX)
    {
        last.kind = MoveKind::Bytes(1);
        join(all);
    }
}

/// Puts the last two runs of bytes together if there is nothing between them.
fn join(all: &mut Vec<Leaf>) {
    let [.., before, last] = all.as_mut_slice() else { return };
    if let (MoveKind::Bytes(one), MoveKind::Bytes(two)) = (before.kind, last.kind)
        && before.direction == last.direction
        && before.memory + u64::from(one) == last.memory
        && before.host + u64::from(one) == last.host
        && let Some(both) = one.checked_add(two)
    {
        before.kind = MoveKind::Bytes(both);
        all.pop();
    }
}
