//! Data that native code keeps: a copy, for as long as the object lives that keeps it.
use crate::world::{World, journal};
use portcullis::plan::{Limits, Problem};

#[test]
fn what_is_kept_does_not_change_with_the_guests_memory() {
    let mut world = World::new();
    let n = world.call("node_new", &[1]);
    world.write(64, b"first\0second\0");
    assert_eq!(world.call("node_name", &[n, 64]), 5);
    world.write(64, b"other\0");
    world.write(128, b"first\0");
    assert_eq!(world.call("node_name_is", &[n, 128]), 1);
    assert_eq!(world.call("node_name_is", &[n, 64]), 0);
    // An unaligned array is refused, an aligned one is as aligned as C asks.
    world.write(200, &[1, 0, 2, 0, 3, 0]);
    assert_eq!(
        world.refused("node_data", &[n, 201, 3]),
        Problem::Misaligned { address: 201, align: 2 }
    );
    assert_eq!(world.call("node_data", &[n, 200, 3]), 0);
    world.write(200, &[9; 6]);
    assert_eq!(world.call("node_sum", &[n]), 6);
    world.call("node_free", &[n]);
    assert_eq!(journal(), "1(first)[1][2][3]", "its own destructor reads it");
}

#[test]
fn the_stores_end_comes_before_that_of_copies() {
    let mut world = World::new();
    world.write(64, b"kept\0");
    for id in 1..4 {
        let n = world.call("node_new", &[id]);
        world.call("node_name", &[n, 64]);
    }
    world.write(64, b"gone\0");
    assert_eq!(world.end(), "3(kept) 2(kept) 1(kept)");
}

#[test]
fn nothing_is_kept_of_null_or_for_nobody() {
    let mut world = World::new();
    let n = world.call("node_new", &[1]);
    assert_eq!(world.call("node_name", &[n, 0]), -1);
    world.write(64, b"name\0");
    assert_eq!(world.call("node_name", &[0, 64]), 0, "nobody keeps it");
    assert_eq!(world.call("node_data", &[n, 0, 0]), 0);
    for bad in [65535, 65536, 0x7fff_ffff, -1] {
        world.write(65535, b"x");
        assert!(matches!(
            world.refused("node_name", &[n, bad]),
            Problem::Unterminated { .. } | Problem::OutOfBounds { .. }
        ));
    }
    assert!(matches!(world.refused("node_data", &[n, 65534, 2]), Problem::OutOfBounds { .. }));
    assert_eq!(world.refused("node_data", &[n, 64, -1]), Problem::NegativeCount { count: -1 });
}

#[test]
fn copies_are_bounded_and_given_back() {
    let mut world = World::with_limits(Limits { captured_bytes: 16, ..Limits::default() });
    world.write(64, b"1234567\0");
    let [a, b] = [1, 2].map(|id| world.call("node_new", &[id]));
    world.call("node_name", &[a, 64]);
    world.call("node_name", &[b, 64]);
    let limit = Problem::Limit { limit: "captured_bytes", value: 16 };
    assert_eq!(world.refused("node_name", &[a, 64]), limit);
    world.call("node_free", &[b]);
    world.call("node_name", &[a, 64]);
    assert_eq!(world.refused("node_name", &[a, 64]), limit);
    // What the call only had for nobody counts no longer.
    world.call("node_free", &[a]);
    for _ in 0..10 {
        world.call("node_name", &[0, 64]);
    }
}

#[test]
fn results_keep_copies_and_lost_ones_take_them_along() {
    let mut world = World::with_limits(Limits { captured_bytes: 30, ..Limits::default() });
    world.write(64, b"result\0");
    let n = world.call("node_named", &[1, 64, 128, 5]);
    world.write(64, b"change\0");
    assert_eq!(world.call("node_name_is", &[n, 64]), 0);
    assert_eq!(world.call("node_named", &[-1, 64, 128, 5]), 0, "NULL keeps nothing");
    for _ in 0..10 {
        // The object is destroyed, and reads its name when it is.
        let error = world.try_call("node_named", &[2, 64, 128, 1 << 33]).expect_err("too large");
        assert!(error.called, "{error}");
        assert_eq!(journal(), "2(change)");
    }
    world.call("node_free", &[n]);
    assert_eq!(journal(), "1(result)");
}

/// Another store calls the same library.
#[test]
fn what_a_library_keeps_outlives_the_store() {
    let names = {
        let mut world = World::new();
        world.write(64, b"for ever\0");
        world.call("library_name", &[64]);
        world.call("library_names", &[])
    };
    let mut world = World::with_limits(Limits { captured_bytes: 20, ..Limits::default() });
    world.write(64, b"for ever\0");
    assert_eq!(world.call("library_name_is", &[64]), 1);
    for _ in 0..10 {
        world.call("library_name", &[64]);
    }
    assert_eq!(world.call("library_names", &[]), names, "equal ones are kept once");
    world.write(64, b"0123456789abcdef\0");
    world.call("library_name", &[64]);
    world.write(64, b"0123456789abcdeX\0");
    let limit = Problem::Limit { limit: "captured_bytes", value: 20 };
    assert_eq!(world.refused("library_name", &[64]), limit);
}
