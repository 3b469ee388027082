//! The end of a store: children before parents, captors before what they keep.
use crate::world::{World, journal};
use portcullis::plan::Problem;
use portcullis::plan::handles::HandleError;

#[test]
fn children_go_before_their_parents() {
    let mut world = World::new();
    let parent = world.call("node_new", &[1]);
    let child = world.call("node_child", &[parent, 2]);
    world.call("node_child", &[child, 3]);
    world.call("node_new", &[4]);
    world.call("node_child", &[parent, 5]);
    assert_eq!(world.end(), "5 4 3 2 1");
}

#[test]
fn captors_go_before_what_they_keep_although_it_is_younger() {
    let mut world = World::new();
    let captor = world.call("node_new", &[1]);
    let parent = world.call("node_new", &[2]);
    let kept = world.call("node_child", &[parent, 3]);
    world.call("node_keep", &[captor, kept]);
    let youngest = world.call("node_view", &[captor, 4]);
    world.call("node_child", &[youngest, 5]);
    assert_eq!(world.end(), "5 4 1 3 2");
}

/// The guest cannot bring the store to destroy something that is used.
#[test]
fn objects_that_keep_each_other_go_all_the_same() {
    let mut world = World::new();
    let [a, b] = [1, 2].map(|id| world.call("node_new", &[id]));
    world.call("node_keep", &[a, b]);
    world.call("node_keep", &[b, a]);
    assert!(matches!(world.refused("node_free", &[a]), Problem::Kept { .. }));
    assert!(matches!(world.refused("node_free", &[b]), Problem::Kept { .. }));
    assert_eq!(world.end(), "2 kept of 1 is gone! 1");
}

/// Nothing destroys the captor, whose library may use it later.
#[test]
fn what_nobody_destroys_keeps_what_it_has() {
    let mut world = World::new();
    let [kept, other] = [1, 2].map(|id| world.call("node_new", &[id]));
    let captor = world.call("bare_new", &[3]);
    world.write(64, b"bare\0");
    world.call("bare_keep", &[captor, kept, 64]);
    assert_eq!(
        world.refused("node_free", &[kept]),
        Problem::Kept { handle: kept as u64, by: Some(captor as u32) }
    );
    world.call("node_free", &[other]);
    assert_eq!(journal(), "2");
    assert_eq!(world.end(), "");
}

#[test]
fn a_parent_that_is_freed_first_takes_its_children_along() {
    let mut world = World::new();
    let parent = world.call("node_new", &[1]);
    let child = world.call("node_child", &[parent, 2]);
    world.call("node_free", &[parent]);
    assert_eq!(journal(), "1");
    for (name, arguments) in [
        ("node_id", vec![child]),
        ("node_free", vec![child]),
        ("node_child", vec![child, 3]),
        ("node_child", vec![parent, 3]),
    ] {
        let problem = world.refused(name, &arguments);
        let stale = matches!(problem, Problem::Handle { error: HandleError::Stale, .. });
        assert!(stale, "{name}: {problem}");
    }
    assert_eq!(world.end(), "", "nothing is destroyed twice");
}
