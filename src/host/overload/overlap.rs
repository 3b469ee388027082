//! Overloads that the same arguments suit: the first is taken, which whoever wrote them may not know.
//!
//! Only what is certain is told: ranges with constant bounds are compared as boxes of integers. An overload whose
//! bounds are computed may be covered by an earlier one, but does not cover, and nothing is said of where it
//! begins.
use super::{Decode, Guard, Test, guard};
use crate::plan::Plan;
use crate::plan::op::{Op, Width};
use std::collections::BTreeMap;

/// Two overloads, or more, that the same arguments suit. Positions are those in the set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Overlap {
    /// The later one is not taken for some of its arguments.
    Partly {
        /// The one that is taken.
        earlier: usize,
        /// The one that is not.
        later: usize,
        /// The positions of parameters that decide it, and the intervals in which both hold. No others of either
        /// count; where there are none, it is for all arguments.
        at: Vec<(usize, Intervals)>,
    },
    /// The later one is never taken.
    Never {
        /// Those that are taken.
        earlier: Vec<usize>,
        /// The one that is not.
        later: usize,
    },
}

/// Intervals with both ends, in order and apart.
pub type Intervals = Vec<(i128, i128)>;

/// What is left of an overload is not followed through more pieces than that.
const MOST: usize = 1000;

/// The overloads of a set, which have one wasm type and are in their order, that share arguments.
pub(in crate::host) fn overlaps(plans: &[&Plan]) -> Vec<Overlap> {
    let areas: Vec<Area> = plans.iter().map(|plan| Area::of(plan)).collect();
    let mut found = Vec::new();
    for (later, area) in areas.iter().enumerate() {
        let mut left = vec![area.space.clone()];
        let mut shared = Vec::new();
        for (earlier, other) in areas[..later].iter().enumerate() {
            if !other.is_exact || !area.is_comparable(other) {
                continue;
            }
            let both: Vec<Space> =
                left.iter().filter_map(|piece| intersection(piece, &other.space)).collect();
            if both.is_empty() {
                continue;
            }
            shared.push((earlier, area.names(other, &both)));
            left = left.iter().flat_map(|piece| without(piece, &other.space)).collect();
            if left.len() > MOST {
                break;
            }
        }
        if left.is_empty() && !shared.is_empty() {
            let earlier = shared.into_iter().map(|(earlier, _)| earlier).collect();
            found.push(Overlap::Never { earlier, later });
        } else if area.is_exact {
            let partly = |(earlier, at)| Overlap::Partly { earlier, later, at };
            found.extend(shared.into_iter().map(partly));
        }
    }
    found
}

/// A slot's values. Slots without any have all values.
type Space = BTreeMap<u16, Intervals>;

/// The arguments that suit an overload.
struct Area {
    space: Space,
    /// By slot: the parameter, and how it is read.
    read: BTreeMap<u16, (usize, Decode, Width)>,
    /// Nothing else decides.
    is_exact: bool,
}

impl Area {
    fn of(plan: &Plan) -> Area {
        let mut area = Area { space: Space::new(), read: BTreeMap::new(), is_exact: true };
        for op in &plan.ops {
            match (guard(plan, op), op) {
                (None, _) => {}
                (
                    Some(Ok(Guard { value, test: Test::Within(ranges) })),
                    Op::Range { param, .. },
                ) => {
                    let reading = (usize::from(*param), value.decode, value.operand.width);
                    let is_first = area.read.insert(value.slot, reading).is_none();
                    let within = ordered(&ranges);
                    let known = area.space.remove(&value.slot).filter(|_| !is_first);
                    let within = known.map_or(within.clone(), |known| common(&known, &within));
                    area.space.insert(value.slot, within);
                }
                (Some(_), _) => area.is_exact = false,
            }
        }
        area
    }

    /// Whether both read the slots that decide in the same way.
    fn is_comparable(&self, other: &Area) -> bool {
        let reading = |(_, decode, width): (usize, Decode, Width)| (decode, width);
        self.read.iter().all(|(slot, one)| {
            other.read.get(slot).is_none_or(|two| reading(*one) == reading(*two))
        })
    }

    /// The parameters that decide, and their values in these pieces.
    fn names(&self, other: &Area, pieces: &[Space]) -> Vec<(usize, Intervals)> {
        let mut slots: Vec<u16> = self.read.keys().chain(other.read.keys()).copied().collect();
        slots.sort_unstable();
        slots.dedup();
        let named = slots.into_iter().filter_map(|slot| {
            let (param, ..) = *self.read.get(&slot).or_else(|| other.read.get(&slot))?;
            let all: Intervals =
                pieces.iter().filter_map(|piece| piece.get(&slot)).flatten().copied().collect();
            Some((param, ordered(&all)))
        });
        named.collect()
    }
}

/// In order, and what touches as one.
fn ordered(intervals: &[(i128, i128)]) -> Intervals {
    let mut all: Intervals = intervals.iter().copied().filter(|(low, high)| low <= high).collect();
    all.sort_unstable();
    let mut ordered: Intervals = Vec::new();
    for (low, high) in all {
        match ordered.last_mut() {
            Some((_, end)) if low <= end.saturating_add(1) => *end = high.max(*end),
            _ => ordered.push((low, high)),
        }
    }
    ordered
}

fn common(one: &Intervals, two: &Intervals) -> Intervals {
    let pairs = one.iter().flat_map(|a| two.iter().map(move |b| (a.0.max(b.0), a.1.min(b.1))));
    ordered(&pairs.collect::<Intervals>())
}

fn minus(one: &Intervals, two: &Intervals) -> Intervals {
    let mut left = one.clone();
    for (low, high) in two {
        let cut = |(l, h): (i128, i128)| {
            [(l, h.min(low.saturating_sub(1))), (l.max(high.saturating_add(1)), h)]
        };
        left = left.into_iter().flat_map(cut).filter(|(l, h)| l <= h).collect();
    }
    left
}

const ALL: (i128, i128) = (i128::MIN / 2, i128::MAX / 2);

fn values(space: &Space, slot: u16) -> Intervals {
    space.get(&slot).cloned().unwrap_or_else(|| vec![ALL])
}

fn intersection(one: &Space, two: &Space) -> Option<Space> {
    let mut both = one.clone();
    for (slot, within) in two {
        let common = common(&values(one, *slot), within);
        both.insert(*slot, common);
    }
    both.values().all(|within| !within.is_empty()).then_some(both)
}

/// The part of one that is outside of the other, in pieces that share nothing.
fn without(one: &Space, two: &Space) -> Vec<Space> {
    let mut pieces = Vec::new();
    let mut inside = one.clone();
    for (slot, within) in two {
        let values = values(&inside, *slot);
        let outside = minus(&values, within);
        if !outside.is_empty() {
            let mut piece = inside.clone();
            piece.insert(*slot, outside);
            pieces.push(piece);
        }
        let common = common(&values, within);
        if common.is_empty() {
            break;
        }
        inside.insert(*slot, common);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(of: &[(u16, &[(i128, i128)])]) -> Space {
        of.iter().map(|(slot, within)| (*slot, within.to_vec())).collect()
    }

    #[test]
    fn pieces_and_what_is_common_are_the_whole() {
        let one = space(&[(0, &[(0, 4)]), (1, &[(0, 4)])]);
        let two = space(&[(0, &[(3, 9)]), (1, &[(-1, 1), (4, 4)])]);
        let holds = |space: &Space, at: [i128; 2]| {
            at.iter().zip(0..).all(|(value, slot)| {
                values(space, slot).iter().any(|(low, high)| (low..=high).contains(&value))
            })
        };
        let pieces = without(&one, &two);
        let both = intersection(&one, &two).expect("they share some");
        for x in -2..11 {
            for y in -2..11 {
                let at = [x, y];
                let left = pieces.iter().filter(|piece| holds(piece, at)).count();
                assert_eq!(left, usize::from(holds(&one, at) && !holds(&two, at)), "{at:?}");
                assert_eq!(holds(&both, at), holds(&one, at) && holds(&two, at), "{at:?}");
            }
        }
        assert_eq!(intersection(&one, &space(&[(0, &[(5, 5)])])), None);
        assert_eq!(without(&one, &Space::new()), []);
    }

    #[test]
    fn intervals_that_touch_are_one() {
        assert_eq!(ordered(&[(5, 9), (1, 4), (3, 3), (12, 11)]), [(1, 9)]);
        assert_eq!(minus(&vec![(0, 9)], &vec![(0, 0), (4, 5), (9, 12)]), [(1, 3), (6, 8)]);
    }
}
