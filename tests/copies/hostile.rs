//! Hostile data: what must be refused, and what must not disturb anything.
use crate::world::{World, both, freed};
use portcullis::plan::Limits;

/// Writes words one after the other.
fn words(world: &mut World, at: i64, values: &[i64]) {
    let size = world.size();
    for (index, value) in (0..).zip(values) {
        world.put_word(at + index * size, *value);
    }
}

#[test]
fn sizes_overflow_nothing() {
    both(|world| {
        let size = world.size();
        world.write(1000, b"\x01\x02\x03");
        words(world, 64, &[1000, 3, 1001, 2]);
        assert_eq!(world.call("vec_sum", &[64, 2]), 11);
        words(world, 64, &[1000, 3, 1001, -1]);
        let (text, called) = world.fails("vec_sum", &[64, 2]);
        assert!(!called && text.contains("v[1].base"), "{text}");
        for n in [-1, i64::from(i32::MIN)] {
            let (text, called) = world.fails("vec_sum", &[64, n]);
            assert!(!called && text.contains("below zero"), "{text}");
        }
        let (text, called) = world.fails("vec_sum", &[64, i64::from(i32::MAX)]);
        assert!(!called && text.contains("memory"), "{text}");
        // The last byte, and one more.
        let end = 400 * 65536;
        words(world, end - 2 * size, &[end - 1, 1]);
        assert_eq!(world.call("vec_sum", &[end - 2 * size, 1]), 0);
        words(world, end - 2 * size, &[end - 1, 2]);
        let (text, _) = world.fails("vec_sum", &[end - 2 * size, 1]);
        assert!(text.contains("v[0].base"), "{text}");
        let (text, called) = world.fails("vec_sum", &[end - 2 * size + 1, 1]);
        assert!(!called && text.contains("memory"), "{text}");
    });
}

#[test]
fn counts_in_structs_are_not_negative() {
    both(|world| {
        let size = world.size();
        for n in [-1, i64::from(i32::MIN)] {
            world.put_int(64, n);
            world.put_word(64 + size, 64);
            let (text, called) = world.fails("sample_sum", &[64]);
            assert!(!called && text.contains("below zero"), "{text}");
        }
        world.put_int(64, i64::from(i32::MAX));
        let (text, called) = world.fails("sample_sum", &[64]);
        assert!(!called && text.contains("s->at"), "{text}");
    });
}

#[test]
fn cycles_are_refused_wherever_they_lead() {
    both(|world| {
        // One node, and two.
        words(world, 64, &[1, 64]);
        let (text, called) = world.fails("list_sum", &[64]);
        assert!(!called && text.contains("list->next"), "{text}");
        words(world, 64, &[1, 128]);
        words(world, 128, &[2, 64]);
        assert!(!world.fails("list_sum", &[64]).1);
        words(world, 128, &[2, 0]);
        assert_eq!(world.call("list_sum", &[64]), 3);
    });
}

#[test]
fn arrays_end_inside_the_memory() {
    both(|world| {
        let (size, end) = (world.size(), 400 * 65536);
        world.write(1000, b"abc\0de\0");
        words(world, 64, &[1000, 1004, 1006, 0]);
        assert_eq!(world.call("arguments", &[64]), 30200);
        // The array of pointers, and a string, without an end.
        words(world, end - size, &[1000]);
        let (text, called) = world.fails("arguments", &[end - size]);
        assert!(!called && text.contains("end"), "{text}");
        world.write(end - 1, b"x");
        words(world, 64, &[1000, end - 1, 0]);
        let (text, called) = world.fails("arguments", &[64]);
        assert!(!called && text.contains("argv[1]"), "{text}");
        // Structs that end with a field.
        words(world, 64, &[1000, 1, 1004, 2, 0, 9]);
        assert_eq!(world.call("options", &[64]), 44);
        words(world, end - 2 * size, &[1000, 1]);
        let (text, called) = world.fails("options", &[end - 2 * size]);
        assert!(!called && text.contains("end"), "{text}");
        assert!(!world.fails("options", &[end + 1]).1);
        assert!(!world.fails("options", &[end]).1);
    });
}

#[test]
fn what_c_reads_in_place_is_aligned() {
    both(|world| {
        let size = world.size();
        world.write(1000, &2.5_f64.to_le_bytes());
        world.write(1008, &3.5_f64.to_le_bytes());
        world.put_int(64, 2);
        world.put_word(64 + size, 1000);
        assert_eq!(world.call("sample_sum", &[64]), 6);
        world.put_word(64 + size, 1001);
        let (text, called) = world.fails("sample_sum", &[64]);
        assert!(!called && text.contains("s->at") && text.contains("multiple of 8"), "{text}");
    });
}

#[test]
fn ranges_in_structs_hold_in_both_directions() {
    both(|world| {
        let setting = |world: &mut World, level, lower| {
            world.put_int(64, level);
            world.put_int(68, lower);
        };
        setting(world, 5, 4);
        assert_eq!(world.call("setting_sum", &[64]), 9);
        setting(world, 10, 4);
        let (text, called) = world.fails("setting_sum", &[64]);
        assert!(!called && text.contains("level") && text.contains("10"), "{text}");
        setting(world, 5, 6);
        let (text, called) = world.fails("setting_sum", &[64]);
        assert!(!called && text.contains("lower"), "{text}");
        world.call("setting_make", &[64, 7, 7]);
        assert_eq!((world.int(64), world.int(68)), (7, 7));
        let (text, called) = world.fails("setting_make", &[64, 3, 4]);
        assert!(called && text.contains("lower"), "{text}");
        assert_eq!((world.int(64), world.int(68)), (7, 7), "nothing is written back");
    });
}

#[test]
fn a_struct_in_its_own_buffer_is_read_once() {
    both(|world| {
        let size = world.size();
        // The room covers the struct: C fills it with ones, and must still stop after `room`.
        let sink = |world: &mut World, at: i64, buffer: i64, room: i64| {
            world.put_word(at, buffer);
            world.put_int(at + size, room);
            world.put_int(at + size + 4, 0);
        };
        sink(world, 64, 64, 16);
        assert_eq!(world.call("drain", &[64, 0x7f]), 16);
        assert_eq!(world.int(64 + size + 4), 16, "members come last");
        assert_eq!(world.int(64 + size), 16);
        sink(world, 64, 60, 24 + size);
        assert_eq!(world.call("drain", &[64, 0xff]), 24 + size);
        assert_eq!(world.int(60), -1);
        assert_eq!(world.int(64 + size), 24 + size);
    });
}

#[test]
fn one_address_may_have_two_types() {
    both(|world| {
        let size = world.size();
        world.put_int(128, 5);
        world.put_word(128 + size, 0);
        words(world, 64, &[128, 128]);
        let large = world.word(128);
        assert_eq!(world.call("under_two_types", &[64]), 5000 + large);
        words(world, 64, &[0, 128]);
        assert_eq!(world.call("under_two_types", &[64]), large);
    });
}

#[test]
fn pointers_of_the_librarys_own_cannot_be_planted() {
    both(|world| {
        let size = world.size();
        world.put_int(64, 1);
        world.put_word(64 + size, 64);
        let (text, called) = world.fails("hidden_value", &[64, 0]);
        assert!(!called && text.contains("h->own"), "{text}");
        world.put_word(64 + size, 0);
        assert_eq!(world.call("hidden_value", &[64, 0]), 0);
        assert_eq!(world.int(64), 2);
        // C leaves a pointer into the copy, which is the guest's; then one that is not.
        assert_eq!(world.call("hidden_value", &[64, 1]), 0);
        assert_eq!((world.int(64), world.word(64 + size)), (3, 64));
        world.put_word(64 + size, 0);
        let (text, called) = world.fails("hidden_value", &[64, 2]);
        assert!(called && text.contains("h->own"), "{text}");
        assert_eq!((world.int(64), world.word(64 + size)), (3, 0), "nothing is written back");
    });
}

#[test]
fn fields_of_the_host_go_neither_way() {
    both(|world| {
        let size = world.size();
        let after = 2 * size;
        world.write(64, &[0xee; 32]);
        world.put_int(64, 5);
        world.put_word(64 + size, -6);
        assert_eq!(world.call("zone_turn", &[64]), 0);
        assert_eq!((world.int(64), world.word(64 + size)), (-6, 5));
        assert_eq!(world.bytes(64 + after, 4), [0xee; 4], "the guest has no such field");
    });
}

#[test]
fn what_c_does_not_write_is_zero() {
    both(|world| {
        let size = world.size();
        words(world, 64, &[9, 9, 9]);
        world.call("nothing_out", &[64]);
        let found: Vec<i64> = (0..3).map(|at| world.word(64 + at * size)).collect();
        assert_eq!(found, [0, 0, 0]);
    });
}

#[test]
fn what_does_not_fit_writes_nothing_back() {
    let mut world = World::new(false);
    words(&mut world, 64, &[9, 9]);
    let (text, called) = world.fails("long_out", &[64, 1 << 40]);
    assert!(called && text.contains("p->large"), "{text}");
    assert_eq!((world.word(64), world.int(68)), (9, 9));
    world.call("long_out", &[64, 40]);
    assert_eq!((world.word(64), world.int(68)), (40, 1));
}

#[test]
fn arrays_of_handles_come_and_go() {
    both(|world| {
        let size = world.size();
        words(world, 64, &[7, 7, 7]);
        assert_eq!(world.call("boxes_new", &[64, 3, 2]), 2);
        assert_eq!(world.word(64 + 2 * size), 0, "what C does not write is 0");
        assert_eq!(world.call("boxes_sum", &[64, 2]), 3);
        let (text, called) = world.fails("boxes_sum", &[64, 3]);
        assert!(!called && text.contains("all[2]"), "{text}");
        let first = world.word(64);
        world.call("box_free", &[first]);
        let (text, called) = world.fails("boxes_sum", &[64, 2]);
        assert!(!called && text.contains("all[0]"), "{text}");
        // Nobody uses the second one any more, although the calls above failed.
        let second = world.word(64 + size);
        let before = freed();
        world.call("box_free", &[second]);
        assert_eq!(freed() - before, 1000);
    });
}

#[test]
fn handles_in_structs_may_be_nobodys() {
    both(|world| {
        let own = world.call("box_new", &[3]);
        world.call("box_show", &[own, 64]);
        let (same, librarys) = (world.word(64), world.word(64 + world.size()));
        assert_eq!(same, own, "one object is one handle");
        assert_eq!(world.call("box_get", &[librarys]), 0);
        let (text, called) = world.fails("box_free", &[librarys]);
        assert!(!called && text.contains("borrowed"), "{text}");
        // It has one owner as before.
        let before = freed();
        world.call("box_free", &[own]);
        assert_eq!(freed() - before, 1000);
        assert!(!world.fails("box_get", &[own]).1);
    });
}

#[test]
fn handles_that_change_places_live_on_when_the_call_fails() {
    let mut world = World::new(false);
    let (one, two) = (world.call("box_new", &[1]), world.call("box_new", &[2]));
    words(&mut world, 64, &[one, 0, two, 0]);
    let before = freed();
    // C has swapped them, and then a value does not fit.
    let (text, called) = world.fails("held_swap", &[64, 1 << 40]);
    assert!(called && text.contains("value"), "{text}");
    assert_eq!(freed() - before, 0, "both are the guest's as before");
    assert_eq!((world.word(64), world.word(72)), (one, two));
    assert_eq!(world.call("box_get", &[one]), 1);
    assert_eq!(world.call("box_get", &[two]), 2);
    // It succeeds: they have changed places, and each still has one owner.
    assert_eq!(world.call("held_swap", &[64, 5]), 1);
    assert_eq!((world.word(64), world.word(68), world.word(72)), (two, 5, one));
    drop(world);
    assert_eq!(freed() - before, 2000);
}

#[test]
fn long_lists_cost_what_they_have() {
    const NODES: i64 = 1_000_000;
    let mut world = World::new(false);
    let mut data = Vec::new();
    for index in 0..NODES {
        let next = if index + 1 < NODES { 1024 + (index + 1) * 8 } else { 0 };
        data.extend_from_slice(&1_u32.to_le_bytes());
        data.extend_from_slice(&u32::try_from(next).expect("it is small").to_le_bytes());
    }
    world.write(1024, &data);
    assert_eq!(world.call("list_sum", &[1024]), NODES);
    // The last one leads back to the first: found, not followed for ever.
    world.put_word(1024 + (NODES - 1) * 8 + 4, 1024);
    assert!(!world.fails("list_sum", &[1024]).1);
    let mut world =
        World::with_limits(false, Limits { copied_bytes: 1 << 20, ..Limits::default() });
    world.write(1024, &data);
    let (text, called) = world.fails("list_sum", &[1024]);
    assert!(!called && text.contains("copied_bytes"), "{text}");
}
