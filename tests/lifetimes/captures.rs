//! Objects that keep others: what they keep cannot be destroyed.
use crate::world::{World, journal};
use portcullis::plan::handles::HandleError;
use portcullis::plan::{Limits, Problem};

fn kept(handle: i64, by: Option<i64>) -> Problem {
    let by = by.map(|by| by as u32);
    Problem::Kept { handle: handle as u64, by }
}

#[test]
fn a_captured_object_lives_as_long_as_its_captor() {
    let mut world = World::new();
    let (captor, captured) = (world.call("node_new", &[1]), world.call("node_new", &[2]));
    assert_eq!(world.call("node_keep", &[captor, captured]), 0);
    assert_eq!(world.refused("node_free", &[captured]), kept(captured, Some(captor)));
    let text = world.told("node_free", &[captured]);
    let expected = format!(
        "keep.node_free: parameter 1 \"n\" (node *__consumes): {captured:#x} or something that it lends is kept by the handle {captor:#x}, which must go first"
    );
    assert_eq!(text, expected);
    assert_eq!(world.call("node_id", &[captured]), 2, "it can be used");
    world.call("node_free", &[captor]);
    world.call("node_free", &[captured]);
    assert_eq!(journal(), "1 2");
}

#[test]
fn each_captor_counts_and_only_once() {
    let mut world = World::new();
    let [a, b, c] = [1, 2, 3].map(|id| world.call("node_new", &[id]));
    for captor in [a, b, a, a] {
        world.call("node_keep", &[captor, c]);
    }
    assert_eq!(world.refused("node_free", &[c]), kept(c, Some(a)));
    world.call("node_free", &[a]);
    assert_eq!(world.refused("node_free", &[c]), kept(c, Some(b)));
    world.call("node_free", &[b]);
    world.call("node_free", &[c]);
    assert_eq!(journal(), "1 2 3");
}

#[test]
fn what_lends_a_captured_object_cannot_go_either() {
    let mut world = World::new();
    let [parent, captor] = [1, 2].map(|id| world.call("node_new", &[id]));
    let child = world.call("node_child", &[parent, 3]);
    let grandchild = world.call("node_child", &[child, 4]);
    world.call("node_keep", &[captor, grandchild]);
    for kin in [parent, child, grandchild] {
        assert_eq!(world.refused("node_free", &[kin]), kept(kin, Some(captor)));
    }
    world.call("node_free", &[captor]);
    world.call("node_free", &[grandchild]);
    world.call("node_free", &[child]);
    world.call("node_free", &[parent]);
    assert_eq!(journal(), "2 4 3 1");
}

/// What takes the captor along may take what it keeps along.
#[test]
fn a_family_that_keeps_itself_goes_together() {
    let mut world = World::new();
    let parent = world.call("node_new", &[1]);
    let (a, b) = (world.call("node_child", &[parent, 2]), world.call("node_child", &[parent, 3]));
    world.call("node_keep", &[a, b]);
    world.call("node_keep", &[b, parent]);
    assert_eq!(world.refused("node_free", &[b]), kept(b, Some(a)));
    world.call("node_free", &[parent]);
    for gone in [parent, a, b] {
        assert!(matches!(
            world.refused("node_id", &[gone]),
            Problem::Handle { error: HandleError::Stale, .. }
        ));
    }
    // Their slots are used again, and know nothing of what was kept.
    let again: Vec<i64> = (0..5).map(|id| world.call("node_new", &[id])).collect();
    for handle in again {
        world.call("node_free", &[handle]);
    }
}

#[test]
fn results_keep_and_libraries_do_for_ever() {
    let mut world = World::new();
    let [a, b] = [1, 2].map(|id| world.call("node_new", &[id]));
    let view = world.call("node_view", &[a, 3]);
    assert_eq!(world.refused("node_free", &[a]), kept(a, Some(view)));
    let child = world.call("node_child", &[b, 4]);
    assert_eq!(world.call("node_for_ever", &[child]), 4);
    for kin in [child, b] {
        assert_eq!(world.refused("node_free", &[kin]), kept(kin, None));
    }
    world.call("node_free", &[view]);
    world.call("node_free", &[a]);
    assert_eq!(journal(), "3 1");
    assert_eq!(world.end(), "", "the library may use them for as long as there is one");
}

#[test]
fn misuse_is_refused() {
    let mut world = World::new();
    let [a, b] = [1, 2].map(|id| world.call("node_new", &[id]));
    assert_eq!(world.refused("node_keep", &[a, a]), Problem::KeepsItself { handle: a as u64 });
    assert_eq!(world.call("node_keep", &[0, b]), -1, "nobody keeps it");
    assert_eq!(world.call("node_keep", &[a, 0]), -1, "nothing is kept");
    world.call("node_free", &[b]);
    for arguments in [[a, b], [b, a], [a, 77], [77, a]] {
        assert!(matches!(world.refused("node_keep", &arguments), Problem::Handle { .. }));
    }
    world.call("node_free", &[a]);
}

#[test]
fn captures_are_bounded() {
    let mut world = World::with_limits(Limits { captures: 2, ..Limits::default() });
    let all: Vec<i64> = (0..4).map(|id| world.call("node_new", &[id])).collect();
    world.call("node_keep", &[all[0], all[1]]);
    world.call("node_keep", &[all[0], all[2]]);
    let limit = Problem::Limit { limit: "captures", value: 2 };
    assert_eq!(world.refused("node_keep", &[all[0], all[3]]), limit);
    world.call("node_free", &[all[0]]);
    world.call("node_keep", &[all[1], all[3]]);
}

/// An invalidated lender's borrowed children die, which one that is kept must not.
#[test]
fn loans_that_are_kept_do_not_end() {
    let mut world = World::new();
    let [lender, captor] = [1, 2].map(|id| world.call("node_new", &[id]));
    let lent = world.call("node_peek", &[lender]);
    world.call("node_keep", &[captor, lent]);
    assert_eq!(world.refused("node_step", &[lender]), kept(lender, Some(captor)));
    world.call("node_free", &[captor]);
    world.call("node_step", &[lender]);
    assert!(matches!(world.refused("node_id", &[lent]), Problem::Handle { .. }));
}

#[test]
fn owners_more_and_less() {
    let mut world = World::new();
    let n = world.call("node_new", &[1]);
    world.call("node_ref", &[n]);
    world.call("node_free", &[n]);
    assert_eq!((world.call("node_id", &[n]), journal().as_str()), (1, ""));
    world.call("node_free", &[n]);
    assert_eq!(journal(), "1");
    // A borrowed one becomes an owned one.
    let lender = world.call("node_new", &[2]);
    let lent = world.call("node_peek", &[lender]);
    assert!(matches!(
        world.refused("node_free", &[lent]),
        Problem::Handle { error: HandleError::Borrowed, .. }
    ));
    world.call("node_ref", &[lent]);
    world.call("node_free", &[lent]);
    assert!(matches!(world.refused("node_ref", &[lent]), Problem::Handle { .. }));
    // What the guest does not give back, the store does, once for each owner.
    world.call("node_ref", &[lender]);
    world.call("node_ref", &[lender]);
    assert_eq!(world.end(), "2");
}
