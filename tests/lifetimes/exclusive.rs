//! Handles that are never in two calls at once. The guest's `malloc` runs while a call that lends a
//! string has its handle.
use crate::world::World;
use portcullis::plan::Problem;
use portcullis::plan::handles::HandleError;

const ID: i64 = 1;
const LABEL: i64 = 2;

#[track_caller]
fn busy(problem: Problem) {
    let busy = matches!(problem, Problem::Handle { error: HandleError::Busy, .. });
    assert!(busy, "{problem}");
}

#[test]
fn nobody_else_gets_in() {
    let mut world = World::new();
    let [a, b] = [1, 2].map(|id| world.call("node_new", &[id]));
    let child = world.call("node_child", &[a, 3]);
    for (outer, inner, of) in [
        ("node_label", ID, a),     // used by the call that has it
        ("node_label", LABEL, a),  // has it twice
        ("node_label", ID, child), // lent by it
        ("node_text", LABEL, a),   // used by a call that lets others in
    ] {
        world.set("during", inner);
        world.set("of", of);
        busy(world.try_call(outer, &[a]).expect_err("it is in use").problem);
        // The marks are gone.
        assert!(world.call("node_label", &[a]) > 0, "{outer} {inner}");
        assert_eq!(world.call("node_id", &[child]), 3);
    }
    for (outer, inner, of) in
        [("node_text", ID, a), ("node_label", ID, b), ("node_label", LABEL, b)]
    {
        world.set("during", inner);
        world.set("of", of);
        assert!(world.call(outer, &[a]) > 0, "{outer} {inner}");
    }
    // A child in use keeps its parent from being had alone.
    world.set("during", LABEL);
    world.set("of", a);
    busy(world.try_call("node_text", &[child]).expect_err("it is in use").problem);
}

#[test]
fn not_twice_in_one_call_either() {
    let mut world = World::new();
    let [a, b] = [1, 2].map(|id| world.call("node_new", &[id]));
    assert_eq!(world.call("node_two", &[a, b]), 3);
    busy(world.refused("node_two", &[a, a]));
    assert_eq!(world.call("node_two", &[b, a]), 3);
    world.call("node_free", &[a]);
    assert!(matches!(world.refused("node_two", &[b, a]), Problem::Handle { .. }));
    world.call("node_free", &[b]);
}
