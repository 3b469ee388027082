//! One piece of the guest's memory under several names: what is one copy, what is refused, and what
//! may be in place.
use crate::world::{World, both};

/// Writes pointers or `long`s one after the other.
fn words(world: &mut World, at: i64, values: &[i64]) {
    let size = world.size();
    for (index, value) in (0..).zip(values) {
        world.put_word(at + index * size, *value);
    }
}

/// Writes a `struct pair`.
fn pair(world: &mut World, at: i64, large: i64, small: i64) {
    let size = world.size();
    world.put_word(at, large);
    world.put_int(at + size, small);
}

fn found(world: &World, at: i64) -> (i64, i64) {
    (world.word(at), world.int(at + world.size()))
}

#[test]
fn an_array_that_ends_and_one_that_is_counted_are_one_copy() {
    both(|world| {
        let size = world.size();
        world.write(1000, b"name\0");
        words(world, 512, &[11, 22]);
        // The element that ends the one has a pointer that the other follows.
        words(world, 64, &[1000, 512, 0, 512 + size]);
        for name in ["tails_ended_first", "tails_counted_first"] {
            assert_eq!(world.call(name, &[64, 64, 2]), 110_033, "{name}");
            assert_eq!(world.call(name, &[64, 64, 1]), 10_011, "{name}: another extent");
        }
        // What only the counted one leads to is looked at, too.
        words(world, 64, &[1000, 512, 0, 400 * 65536 - 1]);
        for name in ["tails_ended_first", "tails_counted_first"] {
            let (text, called) = world.fails(name, &[64, 64, 2]);
            assert!(!called && text.contains("[1].value"), "{text}");
        }
    });
}

#[test]
fn one_address_with_one_type_and_count_is_one_copy() {
    both(|world| {
        let size = 2 * world.size();
        pair(world, 64, 5, 6);
        pair(world, 64 + size, 7, 8);
        let same = world.call("pairs_move", &[64, 64, 2, 2]);
        assert_eq!((found(world, 64), found(world, 64 + size)), ((6, 7), (8, 9)));
        // Where nothing needs a copy but what is only read, C does not see one address.
        assert_eq!(same, i64::from(!world.wide));
    });
}

#[test]
fn copies_that_share_bytes_are_refused_when_one_goes_back() {
    let mut world = World::new(false);
    let world = &mut world;
    for at in 0..4 {
        pair(world, 64 + at * 8, at, 10 * at);
    }
    for arguments in
        [[64, 64, 2, 1], [64, 64, 1, 2], [64, 72, 2, 2], [72, 64, 2, 2], [64, 68, 1, 1]]
    {
        let (text, called) = world.fails("pairs_move", &arguments);
        assert!(!called && text.contains("shares bytes"), "{arguments:?}: {text}");
    }
    let before: Vec<_> = (0..4).map(|at| found(world, 64 + at * 8)).collect();
    assert_eq!(before, [(0, 0), (1, 10), (2, 20), (3, 30)], "nothing has happened");
    // Side by side, and none at all.
    assert_eq!(world.call("pairs_move", &[64, 80, 2, 2]), 0);
    assert_eq!(found(world, 64), (3, 21));
    assert_eq!(world.call("pairs_move", &[64, 72, 2, 0]), 0);
    // What is only read may be read twice.
    both(|world| {
        let size = 2 * world.size();
        pair(world, 64, 1, 2);
        pair(world, 64 + size, 3, 4);
        assert_eq!(world.call("pairs_sum", &[64, 64 + size, 2, 1]), 404);
        assert_eq!(world.call("pairs_sum", &[64, 64, 2, 1]), 402);
    });
}

#[test]
fn arrays_inside_of_arrays_share_nothing_either() {
    both(|world| {
        let size = 2 * world.size();
        let twig = |world: &mut World, at: i64, n: i64, kids: i64| {
            let word = world.size();
            world.put_int(at, n);
            world.put_word(at + word, kids);
        };
        let leaf = |world: &World, at: i64| world.int(at);
        // A root with two, of which the second has two.
        let kids = 256;
        twig(world, 64, 2, kids);
        twig(world, kids, 0, 0);
        twig(world, kids + size, 2, kids + 2 * size);
        twig(world, kids + 2 * size, 0, 0);
        twig(world, kids + 3 * size, 0, 0);
        assert_eq!(world.call("twigs", &[64]), 5);
        assert_eq!((leaf(world, kids), leaf(world, kids + size)), (-7, 2));
        for at in [0, 2, 3] {
            twig(world, kids + at * size, 0, 0);
        }
        // Its children are its siblings' siblings.
        twig(world, kids, 2, kids + size);
        twig(world, kids + size, 0, 0);
        let (text, called) = world.fails("twigs", &[64]);
        assert!(!called && text.contains("root->kids[0].kids"), "{text}");
        assert!(text.contains("shares bytes"), "{text}");
        assert_eq!(world.call("twigs_read", &[64]), 5, "read only, they may be");
        // Back to itself: as the only one of an array, as one of several, further down.
        twig(world, 64, 1, 64);
        let (text, called) = world.fails("twigs_read", &[64]);
        assert!(!called && text.contains("points back"), "{text}");
        twig(world, 64, 2, 64 - size);
        twig(world, 64 - size, 0, 0);
        let (text, called) = world.fails("twigs_read", &[64]);
        assert!(!called && text.contains("points back"), "{text}");
        twig(world, 64, 1, kids);
        twig(world, kids, 1, 64);
        let (text, called) = world.fails("twigs_read", &[64]);
        assert!(!called && text.contains("points back"), "{text}");
    });
}

#[test]
fn a_count_inside_of_its_own_array_is_read_once_and_written_last() {
    both(|world| {
        let size = 2 * world.size();
        pair(world, 64, 7, 7);
        pair(world, 64 + size, 7, 7);
        // The count is the first member of the first element.
        world.put_word(64, 2);
        assert_eq!(world.call("pairs_fill", &[64, 64]), 1000);
        assert_eq!(world.int(64), 1000);
        assert_eq!(world.int(64 + world.size()), -1);
        assert_eq!(found(world, 64 + size), (-1, -1));
    });
}

#[test]
fn counts_of_any_size_are_told_at_once() {
    both(|world| {
        let size = world.size();
        pair(world, 512, 1, 2);
        words(world, 64, &[1, 512]);
        assert_eq!(world.call("many_sum", &[64]), 2);
        let most = if world.wide { i64::MAX } else { i64::from(i32::MAX) };
        for n in [-1, most, most / 2 + 1, 1 << 27] {
            words(world, 64, &[n, 512]);
            let (text, called) = world.fails("many_sum", &[64]);
            assert!(!called && text.contains("m->all") && text.contains("memory"), "{text}");
            words(world, 64, &[n, 0]);
            let (text, called) = world.fails("many_sum", &[64]);
            assert!(!called && text.contains("m->all") && text.contains("NULL"), "{text}");
        }
        words(world, 64, &[1, 1, 512]);
        assert_eq!(world.call("square_sum", &[64]), 2);
        words(world, 64, &[-1, -1, 512]);
        let (text, called) = world.fails("square_sum", &[64]);
        assert!(!called && text.contains("s->all"), "{text}");
        words(world, 64, &[0, -1, 0]);
        assert_eq!(world.call("square_sum", &[64]), 0);
        // Nothing in the guest's memory, however many there are.
        for name in ["nones", "nones_out"] {
            assert_eq!(world.call(name, &[64, 1000]), 0);
            for n in [most, -1, 1 << 30] {
                let (text, called) = world.fails(name, &[64, n]);
                assert!(!called && text.contains("copied_bytes"), "{name}: {text}");
            }
        }
        // No bytes on either side: they cost nothing.
        for n in [0, 1, most, -1] {
            words(world, 64, &[n, 512]);
            assert_eq!(world.call("hollows", &[64]), 1);
            assert_eq!((world.word(64), world.word(64 + size)), (n, 512));
        }
    });
}

#[test]
fn copies_need_no_alignment_and_what_is_in_place_does() {
    both(|world| {
        let size = 2 * world.size();
        pair(world, 65, 3, 4);
        pair(world, 65 + size, 5, 6);
        if world.wide {
            // Nobody writes: in place.
            let (text, called) = world.fails("pairs_sum", &[65, 64, 2, 0]);
            assert!(!called && text.contains("multiple of 8"), "{text}");
        } else {
            assert_eq!(world.call("pairs_sum", &[65, 65, 2, 2]), 810);
        }
        world.put_int(1001, 5);
        world.put_int(1005, 7);
        let (text, called) = world.fails("flat_only", &[1001]);
        assert!(!called && text.contains("multiple of 4"), "{text}");
        assert_eq!(world.call("flat_steady", &[1001, 2000, 8]), 1, "this one is copied");
    });
}

#[test]
fn what_c_reads_does_not_change_while_it_writes() {
    both(|world| {
        // Beside something that C writes to, a struct is copied.
        for out in [64, 60, 68, 56, 71] {
            world.put_int(64, 5);
            world.put_int(68, 6);
            assert_eq!(world.call("flat_steady", &[64, out, 12]), 1);
            assert_eq!(world.bytes(out, 12), [0xff; 12], "{out}");
        }
        world.put_int(64, 5);
        world.put_int(68, 6);
        world.call("flat_copy", &[64, 64]);
        assert_eq!(world.int(64), 6);
        // Alone it is in place: both members are written at once, where they are.
        world.put_int(64, 5);
        world.put_int(68, 6);
        assert_eq!(world.call("flat_only", &[64]), 11);
        assert_eq!((world.int(64), world.int(68)), (6, 5));
    });
}

#[test]
fn a_string_behind_a_cell_is_copied_beside_what_c_writes() {
    both(|world| {
        // C writes over the string, and over its end, and then measures it.
        world.write(64, b"abcdef\0\0\0");
        world.put_word(128, 64);
        assert_eq!(world.call("word_steady", &[128, 64]), 6);
        assert_eq!(world.bytes(64, 8), *b"xxxxxxxx");
        assert_eq!(world.word(128), 65, "the pointer into the copy is the guest's");
        // The cell itself is in what C writes.
        world.write(256, b"abc\0");
        world.put_word(128, 256);
        assert_eq!(world.call("word_steady", &[128, 128]), 3);
    });
}
