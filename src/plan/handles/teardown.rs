//! The end of a table: in which order what it still owns is destroyed.
use super::captures::{Block, Hoard, abandon};
use super::{DESCRIPTOR, Destructor, FOR_EVER, HandleTable, descriptor_value};
use std::collections::BinaryHeap;
use std::ffi::c_void;

/// What a store leaves behind.
#[derive(Debug)]
pub struct Leftovers {
    /// What is destroyed, in this order: the argument of its destructor, and that.
    pub objects: Vec<(Argument, Destructor)>,
    /// What those objects keep: freed once all are gone.
    pub memory: Vec<Block>,
}

/// What a destructor takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    /// An object.
    Pointer(*mut c_void),
    /// A descriptor, as wide as an `int`.
    Descriptor(u32),
}

impl HandleTable {
    /// Empties the table. Returns what is still owned, in an order in which
    ///
    /// - children come before their parents, always;
    /// - what keeps another object comes before it, unless objects keep each other in a circle or keep
    ///   what they lend;
    /// - the youngest come first among those that may come next.
    ///
    /// What nobody destroys (it is borrowed, has no destructor, or native code keeps it for ever) may
    /// be used by its library later: what it keeps is neither destroyed nor freed.
    pub fn drain(&mut self) -> Leftovers {
        let stays = self.what_stays();
        let order = self.order();
        let mut objects = Vec::new();
        for index in order {
            let entry = &self.entries[index as usize];
            if stays[index as usize] {
                continue;
            }
            // What goes with its parent calls nobody any more either.
            self.closures.end(index);
            if entry.drop.is_null() {
                continue;
            }
            let argument = if entry.flags & DESCRIPTOR != 0 {
                Argument::Descriptor(descriptor_value(entry.pointer))
            } else {
                Argument::Pointer(entry.pointer)
            };
            objects.extend((0..entry.owners).map(|_| (argument, entry.drop)));
        }
        let mut memory = Vec::new();
        for (captor, hoard) in std::mem::take(&mut self.hoards) {
            if stays[captor as usize] {
                hoard.blocks.into_iter().for_each(abandon);
            } else {
                memory.extend(hoard.blocks);
            }
        }
        *self = HandleTable::new(self.limit);
        Leftovers { objects, memory }
    }

    /// By index: whether the native object will still be there when everything else is gone.
    fn what_stays(&self) -> Vec<bool> {
        let mut stays = vec![false; self.entries.len()];
        // Children go with their parents: older ones are looked at first.
        let mut alive = self.alive();
        alive.sort_unstable_by_key(|index| self.entries[*index as usize].serial);
        let mut reasons = Vec::new();
        let mut gone = vec![false; self.entries.len()];
        for index in alive {
            let entry = &self.entries[index as usize];
            let destroyed = entry.owners > 0 && !entry.drop.is_null();
            gone[index as usize] = destroyed || gone[entry.parent as usize];
            if entry.flags & FOR_EVER != 0 || !gone[index as usize] {
                reasons.push(index);
            }
        }
        while let Some(index) = reasons.pop() {
            if std::mem::replace(&mut stays[index as usize], true) {
                continue;
            }
            // What lends it would take it along, and does not any more with what else it lends.
            reasons.extend(self.lineage(index).skip(1));
            let unowned = |child: &u32| {
                let child = &self.entries[*child as usize];
                child.owners == 0 || child.drop.is_null()
            };
            reasons.extend(self.children(index).filter(unowned));
            reasons.extend(self.kept_by(index));
        }
        stays
    }

    /// The living objects that a handle keeps.
    fn kept_by(&self, captor: u32) -> impl Iterator<Item = u32> {
        let objects = self.hoards.get(&captor).map(|hoard: &Hoard| hoard.objects.iter());
        objects
            .into_iter()
            .flatten()
            .filter(|(index, one)| self.is_kept(**index, one))
            .map(|(i, _)| *i)
    }

    fn alive(&self) -> Vec<u32> {
        let all = (0..).zip(&self.entries).filter(|(_, entry)| !entry.pointer.is_null());
        all.map(|(index, _)| index).collect()
    }

    /// All living handles, as [`HandleTable::drain`] promises.
    fn order(&self) -> Vec<u32> {
        let alive = self.alive();
        let mut later: Vec<Vec<u32>> = vec![Vec::new(); self.entries.len()];
        for index in &alive {
            let parent = Some(self.entries[*index as usize].parent).filter(|parent| *parent != 0);
            later[*index as usize].extend(parent.into_iter().chain(self.kept_by(*index)));
        }
        // Within a circle only parents count: that order always exists.
        let circle = circles(&alive, &later);
        for index in &alive {
            let parent = self.entries[*index as usize].parent;
            later[*index as usize].retain(|next| {
                *next == parent || circle[*next as usize] != circle[*index as usize]
            });
        }
        let mut waits = vec![0_u32; self.entries.len()];
        for next in alive.iter().flat_map(|index| &later[*index as usize]) {
            waits[*next as usize] += 1;
        }
        let age = |index: u32| (self.entries[index as usize].serial, index);
        let ready = alive.iter().filter(|index| waits[**index as usize] == 0);
        let mut ready: BinaryHeap<_> = ready.map(|index| age(*index)).collect();
        let mut order = Vec::with_capacity(alive.len());
        while let Some((_, index)) = ready.pop() {
            order.push(index);
            for next in &later[index as usize] {
                waits[*next as usize] -= 1;
                if waits[*next as usize] == 0 {
                    ready.push(age(*next));
                }
            }
        }
        order
    }
}

/// By index, a number that those share which can be reached from each other: Tarjan's strongly
/// connected components, without recursion.
fn circles(alive: &[u32], later: &[Vec<u32>]) -> Vec<u32> {
    const NEW: u32 = u32::MAX;
    let (mut found, mut low) = (vec![NEW; later.len()], vec![0; later.len()]);
    let mut circle = vec![NEW; later.len()];
    // Those whose circle is not known yet, and the way to the one that is looked at.
    let (mut open, mut way) = (Vec::new(), Vec::new());
    let (mut count, mut circles) = (0, 0);
    for start in alive {
        if found[*start as usize] != NEW {
            continue;
        }
        way.push((*start, 0));
        while let Some((index, next)) = way.pop() {
            let at = index as usize;
            if next == 0 {
                (found[at], low[at]) = (count, count);
                count += 1;
                open.push(index);
            }
            match later[at].get(next) {
                Some(to) => {
                    way.push((index, next + 1));
                    if found[*to as usize] == NEW {
                        way.push((*to, 0));
                    } else if circle[*to as usize] == NEW {
                        low[at] = low[at].min(found[*to as usize]);
                    }
                }
                None => {
                    if let Some((before, _)) = way.last() {
                        let before = *before as usize;
                        low[before] = low[before].min(low[at]);
                    }
                    if low[at] == found[at] {
                        while let Some(member) = open.pop() {
                            circle[member as usize] = circles;
                            if member == index {
                                break;
                            }
                        }
                        circles += 1;
                    }
                }
            }
        }
    }
    circle
}

#[cfg(test)]
mod tests;
