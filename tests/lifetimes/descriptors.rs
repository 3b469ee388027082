//! Integers that name resources.
use crate::world::{World, journal};
use portcullis::plan::handles::HandleError;
use portcullis::plan::{Limits, Problem};

fn error(problem: Problem) -> HandleError {
    match problem {
        Problem::Handle { error, .. } => error,
        other => panic!("{other}"),
    }
}

#[test]
fn guests_get_handles_and_errors_as_they_are() {
    let mut world = World::new();
    for value in [0, 1, 3, i64::from(i32::MAX)] {
        let handle = world.call("res_open", &[value]);
        assert!(handle > 0 && handle != value, "{handle}");
        assert_eq!(world.call("res_value", &[handle]), value);
        assert_eq!(world.call("res_close", &[handle]), 0);
        assert_eq!(journal(), format!("close {value}"));
        assert_eq!(error(world.refused("res_value", &[handle])), HandleError::Stale);
        assert_eq!(error(world.refused("res_close", &[handle])), HandleError::Stale);
    }
    for failed in [-1, -9, i64::from(i32::MIN)] {
        assert_eq!(world.call("res_open", &[failed]), failed);
        assert_eq!(world.call("res_out", &[failed, 64]), 7);
        assert_eq!(world.read(64), failed);
    }
    assert_eq!(journal(), "", "nothing was opened");
}

#[test]
fn forged_descriptors_are_refused() {
    let mut world = World::new();
    let handle = world.call("res_open", &[5]);
    // Real descriptors of this process among them.
    for forged in (-3..40).chain([handle + 1, handle + (1 << 20), i64::from(i32::MIN)]) {
        for name in ["res_value", "res_close"] {
            assert_eq!(error(world.refused(name, &[forged])), HandleError::Forged, "{forged}");
        }
    }
    assert_eq!(error(world.refused("other_value", &[handle])), HandleError::WrongType);
    let node = world.call("node_new", &[5]);
    assert_eq!(error(world.refused("res_value", &[node])), HandleError::WrongType);
    assert_eq!(error(world.refused("node_id", &[handle])), HandleError::WrongType);
    assert_eq!(journal(), "");
}

#[test]
fn descriptors_come_out_of_cells() {
    let mut world = World::new();
    assert_eq!(world.call("res_out", &[0, 64]), 7);
    let handle = world.read(64);
    assert_eq!(world.call("res_value", &[handle]), 0);
    assert_eq!(world.call("res_out", &[4, 0]), 7, "nobody wants it");
    world.write(64, &[0; 4]);
    assert_eq!(world.call("res_out", &[-100, 64]), 7);
    assert_eq!(world.read(64), -1, "what was left alone is not descriptor 0");
    let text = world.told("res_out", &[1, 65536]);
    assert!(text.contains("4 bytes at 0x10000 reach past the memory"), "{text}");
}

#[test]
fn owners_are_counted_and_conditions_kept() {
    let mut world = World::new();
    let handle = world.call("res_open", &[6]);
    assert_eq!(world.call("res_open", &[6]), handle, "the same while it lives");
    assert_eq!(world.call("res_try_close", &[handle, 1]), 1);
    assert_eq!(world.call("res_value", &[handle]), 6);
    world.call("res_try_close", &[handle, 0]);
    world.call("res_try_close", &[handle, 0]);
    assert_eq!(error(world.refused("res_value", &[handle])), HandleError::Stale);
    let borrowed = world.call("res_std", &[1]);
    assert_eq!(error(world.refused("res_close", &[borrowed])), HandleError::Borrowed);
    assert_eq!(journal(), "close 6 close 6");
}

#[test]
fn what_nobody_closes_the_store_does() {
    let mut world = World::new();
    for value in [0, 8, 9] {
        world.call("res_open", &[value]);
    }
    world.call("res_std", &[2]);
    world.call("other_open", &[11]);
    let closed = world.call("res_open", &[10]);
    world.call("res_close", &[closed]);
    assert_eq!(world.end(), "close 9 close 8 close 0");
}

#[test]
fn what_nobody_gets_is_closed_at_once() {
    let mut world = World::new();
    let error = world.try_call("res_fail", &[12, 64, 68, 1 << 32]).expect_err("too large");
    assert!(error.called && matches!(error.problem, Problem::DoesNotFit { .. }), "{error}");
    assert_eq!(journal(), "close 12");
    assert_eq!((world.read(64), world.read(68)), (0, 0));
    world.try_call("res_fail", &[-12, 64, 68, 1 << 32]).expect_err("too large");
    assert_eq!(world.end(), "", "an error is nothing to close");
}

#[test]
fn handles_are_never_negative() {
    let mut world = World::with_limits(Limits { handles: 1, ..Limits::default() });
    let mut seen = std::collections::HashSet::new();
    for _ in 0..5000 {
        let handle = world.call("res_open", &[3]);
        assert!(handle > 0 && seen.insert(handle), "{handle:#x}");
        world.call("res_close", &[handle]);
    }
}

#[test]
fn descriptors_may_be_unsigned() {
    let mut world = World::new();
    for value in [0_i64, 7, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe] {
        let passed = i64::from((value as u32).cast_signed());
        let handle = world.call("socket_open", &[passed]);
        assert!(handle > 0, "{handle}");
        let flipped = i64::from((value as u32 ^ 1 << 31).cast_signed());
        assert_eq!(world.call("socket_value", &[handle]), flipped);
        world.call("socket_close", &[handle]);
        assert_eq!(journal(), format!("close {value}"));
    }
    assert_eq!(world.call("socket_open", &[-1]), -1, "all bits set is none");
    assert_eq!(world.call("socket_pair", &[64, 128]), 1);
    assert_eq!(world.read(128), -1);
    let handle = world.read(64);
    assert_eq!(world.call("socket_value", &[handle]), 0x7fff_fffe);
    world.call("socket_close", &[handle]);
    assert_eq!(journal(), "close 4294967294");
}
