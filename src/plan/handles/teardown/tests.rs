//! Random families and captures, against what is promised of their life and of their end.
use super::*;
use crate::plan::handles::{HandleType, index_of};
use std::collections::HashSet;
use std::ptr;

const KIND: HandleType = HandleType(7);

/// xorshift
struct Rng(u64);

impl Rng {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).expect("48 bits") % end
    }
}

fn object(number: usize) -> *mut c_void {
    ptr::without_provenance_mut(0x1000 + number * 16)
}

/// What a test knows of a table.
#[derive(Default)]
struct Model {
    /// Each with the position of its parent.
    handles: Vec<(u32, Option<usize>)>,
    /// Captor and captured, by position.
    captures: Vec<(usize, usize)>,
}

impl Model {
    fn random(rng: &mut Rng, table: &mut HandleTable, all_destroyed: bool) -> Model {
        let mut model = Model::default();
        for number in 0..2 + rng.below(30) {
            let alive: Vec<usize> =
                (0..model.handles.len()).filter(|at| table.is_live(model.handles[*at].0)).collect();
            let parent =
                (!alive.is_empty() && rng.below(2) == 0).then(|| alive[rng.below(alive.len())]);
            let (borrowed, drop) = if all_destroyed || rng.below(4) > 0 {
                (false, ptr::dangling())
            } else {
                (rng.below(2) == 0, ptr::null())
            };
            let lender = parent.map(|at| model.handles[at].0);
            let handle = table.adopt(object(number), KIND, borrowed, lender, drop);
            model.handles.push((handle.expect("there is room"), parent));
            for _ in 0..rng.below(3) {
                let (a, b) = (rng.below(model.handles.len()), rng.below(model.handles.len()));
                let live = |at: usize| table.is_live(model.handles[at].0);
                if a != b && live(a) && live(b) {
                    table.capture(model.handles[a].0, model.handles[b].0);
                    model.captures.push((a, b));
                }
            }
            let victim = model.handles[rng.below(model.handles.len())].0;
            if rng.below(4) == 0 && table.check_consumable(victim, KIND).is_ok() {
                table.consume(victim);
            }
            model.holds(table);
        }
        model
    }

    /// What lives keeps what it keeps alive.
    fn holds(&self, table: &HandleTable) {
        for (captor, captured) in &self.captures {
            let live = |at: usize| table.is_live(self.handles[at].0);
            assert!(!live(*captor) || live(*captured), "{captor} keeps {captured}, which is gone");
        }
    }

    /// What must be destroyed before what, among those that live.
    fn constraints(&self, table: &HandleTable) -> Vec<(usize, usize)> {
        let live = |at: usize| table.is_live(self.handles[at].0);
        let children = (0..self.handles.len()).filter_map(|at| Some((at, self.handles[at].1?)));
        children
            .chain(self.captures.iter().copied())
            .filter(|(a, b)| live(*a) && live(*b))
            .collect()
    }
}

fn reaches(constraints: &[(usize, usize)], from: usize, to: usize) -> bool {
    let (mut seen, mut next) = (HashSet::new(), vec![from]);
    while let Some(at) = next.pop() {
        if at == to {
            return true;
        }
        if seen.insert(at) {
            next.extend(constraints.iter().filter(|(a, _)| *a == at).map(|(_, b)| *b));
        }
    }
    false
}

#[test]
fn everything_that_lives_goes_in_an_order_that_harms_nobody() {
    for seed in 1..3000 {
        let (mut rng, mut table) = (Rng(seed * 0x9e37_79b9_7f4a_7c15), HandleTable::new(100));
        let model = Model::random(&mut rng, &mut table, true);
        let constraints = model.constraints(&table);
        let live = (0..model.handles.len()).filter(|at| table.is_live(model.handles[*at].0));
        let mut live: Vec<usize> = live.collect();
        let order: Vec<usize> = table
            .drain()
            .objects
            .into_iter()
            .map(|(argument, _)| match argument {
                Argument::Pointer(pointer) => (pointer.addr() - 0x1000) / 16,
                Argument::Descriptor(_) => panic!("there are none"),
            })
            .collect();
        let place = |at: usize| order.iter().position(|other| *other == at).expect("all go");
        for (first, then) in &constraints {
            let parent = model.handles[*first].1 == Some(*then);
            let in_order = place(*first) < place(*then);
            assert!(in_order || !parent, "seed {seed}: parent {then} before its child {first}");
            // What keeps another may only come later when it cannot come first.
            assert!(in_order || reaches(&constraints, *then, *first), "seed {seed}: {order:?}");
        }
        live.sort_unstable();
        let mut gone = order.clone();
        gone.sort_unstable();
        assert_eq!(gone, live, "seed {seed}");
        assert_eq!((table.live(), table.captures()), (0, 0));
    }
}

#[test]
fn what_stays_is_whole() {
    for seed in 1..3000 {
        let (mut rng, mut table) = (Rng(seed * 0x9e37_79b9_7f4a_7c15), HandleTable::new(100));
        let model = Model::random(&mut rng, &mut table, false);
        let constraints = model.constraints(&table);
        let live = |at: usize| table.is_live(model.handles[at].0);
        let number_of = |at: usize| index_of(model.handles[at].0);
        let stays = table.what_stays();
        let gone: HashSet<usize> = (0..model.handles.len())
            .filter(|at| live(*at) && !stays[number_of(*at) as usize])
            .collect();
        for (captor, captured) in &constraints {
            let parent = model.handles[*captor].1 == Some(*captured);
            if gone.contains(captured) && !parent {
                assert!(gone.contains(captor), "seed {seed}: {captor} stays, {captured} does not");
            }
            if gone.contains(captured) && parent {
                assert!(gone.contains(captor), "seed {seed}: {captor} stays without its lender");
            }
        }
    }
}

#[test]
fn tens_of_thousands_in_a_row_go_together() {
    const MANY: usize = 60_000;
    let mut table = HandleTable::new(u32::MAX);
    let mut last = None;
    for number in 0..MANY {
        let next = table.adopt(object(number), KIND, false, last, ptr::dangling());
        if let (Some(next), Some(last)) = (next, last)
            && number % 2 == 0
        {
            table.capture(next, last);
        }
        last = next;
        if number == MANY / 2 {
            last = None;
        }
    }
    let first = 1 << 20 | 1;
    table.consume(first);
    assert_eq!(table.drain().objects.len(), MANY / 2 - 1);
}

/// Whatever is gone with a store, children that nobody destroys among it, keeps no closure any more; what stays does.
#[test]
fn what_is_gone_keeps_no_closure() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    let mut table = HandleTable::new(16);
    let owner = table.adopt(object(1), KIND, false, None, ptr::dangling()).expect("there is room");
    let child =
        table.adopt(object(2), KIND, true, Some(owner), ptr::null()).expect("there is room");
    let stays = table.adopt(object(3), KIND, true, None, ptr::null()).expect("there is room");
    let uses: [Arc<AtomicU32>; 3] = Default::default();
    for (handle, uses) in [owner, child, stays].into_iter().zip(&uses) {
        table.keep_closure(handle, uses);
    }
    table.drain();
    assert_eq!(uses.map(|uses| uses.load(Ordering::Relaxed)), [0, 0, 1]);
}
