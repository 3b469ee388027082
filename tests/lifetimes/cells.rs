//! Handles behind a pointer that the call takes: `T **__consumes`.
use crate::boxed::World;
use portcullis::plan::Problem;
use portcullis::plan::handles::HandleError;

const CELL: usize = 64;

fn opened(world: &mut World) -> usize {
    assert_eq!(world.call("ctx_open", &[CELL]), 0);
    let handle = world.read(CELL) as usize;
    assert_eq!(world.call("ctx_number", &[handle]), 42);
    handle
}

#[test]
fn the_cell_is_empty_when_its_handle_is_gone() {
    let mut world = World::new();
    // Native code clears its pointer, or leaves one that dangles: the guest has neither.
    for how in [0, 1] {
        let handle = opened(&mut world);
        assert_eq!(world.call("ctx_close", &[CELL, how]), 1);
        assert_eq!(world.read(CELL), 0);
        world.refused("ctx_number", &[handle], HandleError::Stale);
        // An empty cell is allowed, which says so of what is in it.
        assert_eq!(world.call("ctx_close", &[CELL, how]), -1);
    }
    assert_eq!(world.call("counters_living", &[]), 0);
    let error = world.try_call("ctx_try", &[CELL, 0]).expect_err("it is empty");
    assert!(matches!(error.problem, Problem::Null), "{error}");
}

#[test]
fn what_was_not_taken_stays() {
    let mut world = World::new();
    let handle = opened(&mut world);
    assert_eq!(world.call("ctx_try", &[CELL, 5]), 5);
    assert_eq!(world.read(CELL) as usize, handle);
    assert_eq!(world.call("ctx_number", &[handle]), 42);
    // No mark is left on it.
    assert_eq!(world.call("ctx_try", &[CELL, 6]), 6);
    assert_eq!(world.call("ctx_try", &[CELL, 0]), 0);
    assert_eq!(world.read(CELL), 0);
    world.refused("ctx_number", &[handle], HandleError::Stale);
}

#[test]
fn hostile_cells_harm_nobody() {
    let mut world = World::new();
    let handle = opened(&mut world);
    for at in [65533, 65536, 0xffff_ffff, 0] {
        let error = world.try_call("ctx_close", &[at, 0]).expect_err("no cell");
        let right = matches!(error.problem, Problem::Null | Problem::OutOfBounds { .. });
        assert!(right, "{at}: {error}");
    }
    for wrong in [1, handle as u32 + 7, handle as u32 | 1 << 31, u32::MAX] {
        world.write(CELL, wrong);
        world.refused("ctx_close", &[CELL, 0], HandleError::Forged);
    }
    assert_eq!(world.call("counter_init", &[1024]), 0);
    let other = world.read(1024 + 12);
    world.write(CELL, other);
    world.refused("ctx_close", &[CELL, 0], HandleError::WrongType);
    world.write(CELL, handle as u32);
    // What the call takes is not another argument of it.
    world.refused("ctx_beside", &[CELL, handle], HandleError::Busy);
    assert_eq!(world.call("ctx_number", &[handle]), 42);
    assert_eq!(world.call("ctx_open", &[128]), 0);
    let second = world.read(128) as usize;
    assert_eq!(world.call("ctx_beside", &[CELL, second]), 42);
    world.refused("ctx_number", &[handle], HandleError::Stale);
}

#[test]
fn a_pointer_that_nobody_knows_is_not_handed_on() {
    let mut world = World::new();
    let handle = opened(&mut world);
    let error = world.try_call("ctx_close", &[CELL, 2]).expect_err("it is no object");
    assert!(matches!(error.problem, Problem::Unreachable), "{error}");
    // Nothing was written, and the object is gone all the same.
    assert_eq!(world.read(CELL) as usize, handle);
    world.refused("ctx_number", &[handle], HandleError::Stale);
    world.refused("ctx_close", &[CELL, 0], HandleError::Stale);
    assert_eq!(world.call("counters_living", &[]), 0);
}
