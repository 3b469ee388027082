//! Handles: forged, stale, of another type, of another store, used up twice, lent and taken back.
use crate::rng::{Rng, seed};
use crate::world::{INTERFACE, TIERS, World, calls, everywhere, freed, granted};
use portcullis::plan::Limits;
use wasmtime::Engine;
use wasmtime::Val::I32;

/// What a refused handle is called.
fn bad(parameter: &str, handle: i32, problem: &str) -> String {
    let handle = handle.cast_unsigned();
    format!("{parameter}: {handle:#x} {problem}; a live `struct box` handle is needed")
}

const GET: &str = "parameter 1 \"b\" (box *)";
const FREE: &str = "parameter 1 \"b\" (box *__consumes)";
const NO_HANDLE: &str = "is no handle";
const STALE: &str = "is a handle that is no longer alive";
const BUSY: &str = "is in use by a call that has not returned";

fn new(world: &mut World, value: i32) -> i32 {
    handle(world.call("box_new", &[I32(value)]))
}

fn handle(value: i64) -> i32 {
    i32::try_from(value).expect("handles are i32s")
}

#[test]
fn forged_handles_are_refused() {
    let seed = seed(11);
    everywhere(|world| {
        let mut rng = Rng::new(seed);
        let live: Vec<i32> = (0..20).map(|value| new(world, value)).collect();
        for near in live.iter().flat_map(|live| [live + (1 << 20), live - (1 << 20), live + 100]) {
            if !live.contains(&near) {
                world.refused("box_get", &[I32(near)], &bad(GET, near, NO_HANDLE));
            }
        }
        world.refused(
            "box_get",
            &[I32(0)],
            &format!("{GET}: the pointer is 0, and NULL is not allowed here"),
        );
        assert_eq!(world.call("box_optional", &[I32(0)]), -1);
        let before = calls();
        for _ in 0..10_000 {
            let forged = u32::try_from(rng.next() >> 32).expect("32 bits").cast_signed();
            if !live.contains(&forged) {
                assert!(world.try_call("box_get", &[I32(forged)]).is_err(), "{forged:#x}");
                assert!(world.try_call("box_free", &[I32(forged)]).is_err(), "{forged:#x}");
            }
        }
        assert_eq!(calls(), before);
        for (value, handle) in (0..).zip(live) {
            assert_eq!(world.call("box_get", &[I32(handle)]), value);
        }
    });
}

#[test]
fn stale_handles_stay_stale_when_their_slot_is_used_again() {
    everywhere(|world| {
        let first = new(world, 1);
        world.call("box_free", &[I32(first)]);
        for _ in 0..5000 {
            world.refused("box_get", &[I32(first)], &bad(GET, first, STALE));
            world.refused("box_free", &[I32(first)], &bad(FREE, first, STALE));
            let next = new(world, 2);
            assert_ne!(next, first);
            assert_eq!(world.call("box_get", &[I32(next)]), 2);
            world.call("box_free", &[I32(next)]);
        }
    });
}

#[test]
fn handles_of_another_type_are_refused() {
    everywhere(|world| {
        let other = handle(world.call("other_new", &[]));
        let message = bad(GET, other, "is a handle of another type");
        world.refused("box_get", &[I32(other)], &message);
        let mine = new(world, 1);
        let message = format!(
            "parameter 1 \"o\" (other *__consumes): {mine:#x} is a handle of another type; a live `struct other` handle is needed"
        );
        world.refused("other_free", &[I32(mine)], &message);
        world.call("other_free", &[I32(other)]);
    });
}

#[test]
fn handles_of_another_store_mean_nothing_here() {
    for tier in TIERS {
        let bridge =
            granted(&Engine::default(), INTERFACE).max_tier(tier).build().expect("a bridge");
        let (mut one, mut two) = (World::of(&bridge, tier), World::of(&bridge, tier));
        let theirs: Vec<i32> = (0..10).map(|value| new(&mut one, value)).collect();
        for their in &theirs {
            two.refused("box_get", &[I32(*their)], &bad(GET, *their, NO_HANDLE));
        }
        // The same number in both stores is each store's own object.
        let mine = new(&mut two, 77);
        assert_eq!(two.call("box_get", &[I32(mine)]), 77);
        let gone = freed();
        two.call("box_free", &[I32(mine)]);
        assert_eq!(freed() - gone, 1);
        for (value, their) in (0..).zip(&theirs) {
            assert_eq!(one.call("box_get", &[I32(*their)]), value);
        }
        drop(one);
        assert_eq!(freed() - gone, 11, "what a store leaves is destroyed");
    }
}

#[test]
fn a_handle_is_consumed_once() {
    everywhere(|world| {
        let one = new(world, 1);
        world.call("box_free", &[I32(one)]);
        let gone = freed();
        world.refused("box_free", &[I32(one)], &bad(FREE, one, STALE));
        assert_eq!(freed(), gone);

        // Twice in one call: as something to read and something to free, and as two to free.
        let two = new(world, 2);
        world.refused("box_swallow", &[I32(two), I32(two)], &bad(FREE, two, BUSY));
        let message = bad("parameter 2 \"b\" (box *__consumes)", two, BUSY);
        world.refused("box_swallow_both", &[I32(two), I32(two)], &message);
        assert_eq!(freed(), gone);
        assert_eq!(world.call("box_get", &[I32(two)]), 2, "a refused call leaves no mark on it");
        let three = new(world, 3);
        assert_eq!(world.call("box_swallow", &[I32(two), I32(three)]), 3);
        world.refused("box_get", &[I32(two)], &bad(GET, two, STALE));
        let four = new(world, 4);
        world.call("box_swallow_both", &[I32(three), I32(four)]);
        assert_eq!(freed() - gone, 3);
    });
}

#[test]
fn what_is_only_sometimes_consumed_lives_on_otherwise() {
    everywhere(|world| {
        let it = new(world, 6);
        assert_eq!(world.call("box_try_free", &[I32(it), I32(5)]), 5);
        assert_eq!(world.call("box_get", &[I32(it)]), 6);
        assert_eq!(world.call("box_try_free", &[I32(it), I32(0)]), 0);
        world.refused("box_get", &[I32(it)], &bad(GET, it, STALE));
    });
}

#[test]
fn children_die_with_their_parent() {
    everywhere(|world| {
        let parent = new(world, 1);
        let child = handle(world.call("box_child", &[I32(parent), I32(1)]));
        let grandchild = handle(world.call("box_child", &[I32(child), I32(1)]));
        assert_eq!(world.call("box_get", &[I32(grandchild)]), 3);
        // A child in the same call keeps its parent from being consumed.
        world.refused("box_swallow", &[I32(parent), I32(grandchild)], &bad(FREE, parent, BUSY));
        let gone = freed();
        world.call("box_free", &[I32(parent)]);
        assert_eq!(freed() - gone, 1, "the library frees what belongs to the parent, if anything");
        for dead in [child, grandchild] {
            world.refused("box_get", &[I32(dead)], &bad(GET, dead, STALE));
            world.refused("box_free", &[I32(dead)], &bad(FREE, dead, STALE));
        }
    });
}

#[test]
fn a_borrowed_handle_is_the_same_and_owns_nothing() {
    everywhere(|world| {
        let it = new(world, 1);
        assert_eq!(
            handle(world.call("box_same", &[I32(it)])),
            it,
            "the same pointer, the same handle"
        );
        let gone = freed();
        world.call("box_free", &[I32(it)]);
        world.refused("box_free", &[I32(it)], &bad(FREE, it, STALE));
        assert_eq!(freed() - gone, 1);
    });
}

#[test]
fn loans_end_with_a_step_and_with_their_handle() {
    everywhere(|world| {
        let given_back = |world: &mut World| {
            let global = world.instance.get_global(&mut world.store, "given_back");
            global.expect("it is exported").get(&mut world.store).unwrap_i32()
        };
        let it = new(world, 12);
        let names =
            |world: &mut World| [(); 2].map(|()| handle(world.call("box_name", &[I32(it)])));
        let [name, other] = names(world);
        assert_eq!(world.read::<3>(name), *b"12\0");
        // Their memory stays with the handle, for the next ones.
        for _ in 0..20 {
            world.call("box_step", &[I32(it)]);
            world.write(name, &[b'x'; 3]);
            let again = names(world);
            assert!(again == [name, other] || again == [other, name], "{again:?}");
            assert_eq!(world.read::<3>(name), *b"12\0");
            assert_eq!(world.read::<3>(other), *b"12\0");
        }
        assert_eq!(given_back(world), 0);
        world.call("box_step", &[I32(it)]);
        world.call("box_name", &[I32(it)]);
        world.call("box_free", &[I32(it)]);
        assert_eq!(given_back(world), 2, "what is lent and what was, once each");
        world.refused(
            "box_step",
            &[I32(it)],
            &bad("parameter 1 \"b\" (box *__invalidates)", it, STALE),
        );
        let message = bad(GET, it, STALE);
        world.refused("box_name", &[I32(it)], &message);
    });
}

#[test]
fn the_limit_of_handles_holds_before_anything_is_made() {
    for tier in TIERS {
        let mut world = World::with_limits(tier, Limits { handles: 3, ..Limits::default() });
        let kept: Vec<i32> = (0..3).map(|value| new(&mut world, value)).collect();
        world.refused(
            "box_new",
            &[I32(4)],
            "the limit `handles` of 3 is reached; the host can raise it",
        );
        world.refused(
            "box_open",
            &[I32(512), I32(4)],
            "the limit `handles` of 3 is reached; the host can raise it",
        );
        world.call("box_free", &[I32(kept[1])]);
        new(&mut world, 5);
    }
}

#[test]
fn an_out_handle_needs_a_place() {
    everywhere(|world| {
        let message = "parameter 1 \"to\" (box **_Out_): ";
        world.refused(
            "box_open",
            &[I32(65533), I32(1)],
            &format!("{message}4 bytes at 0xfffd reach past the memory of 65536 bytes"),
        );
        world.refused(
            "box_open",
            &[I32(0), I32(1)],
            &format!("{message}the pointer is 0, and NULL is not allowed here"),
        );
        world.call("box_open", &[I32(513), I32(9)]);
        let made = i32::from_le_bytes(world.read(513));
        assert_eq!(world.call("box_get", &[I32(made)]), 9);
    });
}

#[test]
fn copies_are_limited() {
    for tier in TIERS {
        let mut world = World::with_limits(tier, Limits { copied_bytes: 8, ..Limits::default() });
        world.write(1024, b"abcdefg\0");
        assert_eq!(world.call("repeat", &[I32(1024), I32(1024), I32(1)]), 7);
        world.write(1024, b"abcdefgh\0");
        world.refused(
            "repeat",
            &[I32(1024), I32(1024), I32(1)],
            "parameter 1 \"s\" (const char *): the limit `copied_bytes` of 8 is reached; the host can raise it",
        );
    }
}

#[test]
fn null_lends_nothing_and_that_is_told_before_the_call() {
    everywhere(|world| {
        let it = handle(world.call("box_new", &[I32(3)]));
        assert_ne!(world.call("box_label", &[I32(it)]), 0);
        let next = handle(world.call("box_next", &[I32(it)]));
        assert_eq!(world.call("box_get", &[I32(next)]), 4);
        assert_eq!(world.call("box_first", &[I32(it), I32(16)]), 7);
        let why = "parameter 1 \"b\" (box *_Nullable): the handle is 0, and NULL cannot lend what the call returns";
        world.refused("box_label", &[I32(0)], why);
        world.refused("box_next", &[I32(0)], why);
        world.refused("box_first", &[I32(0), I32(16)], why);
    });
}
