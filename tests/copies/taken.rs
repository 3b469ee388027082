//! Data that native code returns, as the guest gets it: one allocation, whatever it leads to.
use crate::world::{World, both, freed};
use portcullis::plan::Limits;

/// Name, age and next of a person, who is where in memory.
fn person(world: &World, at: i64) -> (String, i64, i64) {
    let size = world.size();
    (world.text(world.word(at)), world.word(at + size), world.word(at + 2 * size))
}

#[test]
fn a_struct_of_the_librarys_is_one_copy_rewritten() {
    both(|world| {
        let first = world.call("pair_static", &[-5]);
        assert_eq!((world.word(first), world.int(first + world.size())), (-5, 7));
        let second = world.call("pair_static", &[6]);
        assert_eq!((second, world.word(first)), (first, 6));
        assert_eq!(world.counts(), (1, 0));
    });
    let mut world = World::new(false);
    let at = world.call("pair_static", &[6]);
    let message = "return->large: 8589934592 does not fit into 32 bits";
    let (text, called) = world.fails("pair_static", &[1 << 33]);
    assert!(called && text.contains("8589934592"), "{text}, not {message}");
    assert_eq!(world.word(at), 6, "nothing is written back");
}

#[test]
fn a_list_is_one_allocation_and_one_free() {
    both(|world| {
        let before = freed();
        let first = world.call("people_new", &[3]);
        assert_eq!(freed() - before, 3, "the library's own is freed at once");
        let mut at = first;
        for number in 1..=3 {
            let (name, age, next) = person(world, at);
            assert_eq!((name, age), (format!("number {number}"), number * 10));
            at = next;
        }
        assert_eq!((at, world.counts()), (0, (1, 0)));
        world.call("people_free", &[first]);
        assert_eq!(world.counts(), (1, 1), "it is the guest's own free");
        assert_eq!(freed() - before, 3);
        assert_eq!(world.call("people_new", &[0]), 0);
    });
}

#[test]
fn lists_come_out_of_cells() {
    both(|world| {
        let before = freed();
        world.put_word(64, 99);
        assert_eq!(world.call("people_out", &[2, 64]), 2);
        let (name, age, next) = person(world, world.word(64));
        assert_eq!((name.as_str(), age, person(world, next).1), ("number 1", 10, 20));
        assert_eq!((world.counts(), freed() - before), ((1, 0), 2));
        assert_eq!(world.call("people_out", &[0, 64]), -1);
        assert_eq!((world.word(64), world.counts()), (0, (1, 0)), "what C did not write is 0");
    });
}

#[test]
fn what_a_handle_lends_is_freed_with_it() {
    both(|world| {
        let b = world.call("box_new", &[1]);
        let list = world.call("box_people", &[b, 2]);
        assert_eq!(person(world, person(world, list).2).0, "number 2");
        assert_eq!(world.counts(), (1, 0));
        world.call("box_free", &[b]);
        assert_eq!(world.counts(), (1, 1));
    });
}

#[test]
fn rings_stay_rings() {
    both(|world| {
        let first = world.call("ring", &[3]);
        let second = person(world, first).2;
        let third = person(world, second).2;
        assert_eq!(person(world, third), ("same".to_owned(), 2, first));
        let alone = world.call("ring", &[1]);
        assert_eq!(person(world, alone).2, alone);
    });
}

#[test]
fn arrays_of_strings_and_of_structs_are_taken() {
    both(|world| {
        let (all, size) = (world.call("names", &[]), world.size());
        let names: Vec<String> = (0..3).map(|at| world.text(world.word(all + at * size))).collect();
        assert_eq!(names, ["one", "two", ""]);
        assert_eq!(world.word(all + 3 * size), 0);
        let each = 2 * size;
        let pairs = world.call("pairs", &[4]);
        let third = (world.word(pairs + 2 * each), world.int(pairs + 2 * each + size));
        assert_eq!(third, (5, 6));
        assert_eq!(world.counts(), (2, 0));
    });
}

#[test]
fn counts_in_what_native_code_left_are_checked() {
    both(|world| {
        let at = world.call("table_of", &[3]);
        let size = world.size();
        let values = world.word(at + size);
        let found: Vec<i64> = (0..3).map(|index| world.word(values + index * size)).collect();
        assert_eq!(found, [1, -2, 3]);
        assert_eq!(world.text(world.word(at + 2 * size)), "title");
        let at = world.call("table_of", &[2]);
        assert_eq!(world.word(at + 2 * size), 0);
        let at = world.call("table_of", &[0]);
        assert_eq!(world.int(at), 0);
        let allocated = world.counts();
        let (text, called) = world.fails("table_of", &[-1]);
        assert!(called && text.contains("at") && text.contains("-1"), "{text}");
        assert_eq!(world.counts(), allocated);
    });
}

#[test]
fn what_is_taken_is_limited() {
    for wide in [false, true] {
        let limits = Limits { copied_bytes: 1000, ..Limits::default() };
        let mut world = World::with_limits(wide, limits);
        let before = freed();
        let (text, called) = world.fails("people_new", &[100]);
        assert!(called && text.contains("copied_bytes"), "{text}");
        assert_eq!(freed() - before, 100, "the library's own is freed although nobody gets it");
        assert_eq!(world.counts(), (0, 0));
        let (text, _) = world.fails("table_of", &[i64::from(i32::MAX)]);
        assert!(text.contains("copied_bytes"), "{text}");
        let (text, _) = world.fails("endless", &[]);
        assert!(text.contains("copied_bytes"), "{text}");
        world.call("people_new", &[3]);
    }
}

#[test]
fn a_million_nodes_are_taken() {
    let mut world = World::new(false);
    let first = world.call("endless", &[]);
    assert_eq!(person(&world, person(&world, first).2).1, 1);
    assert_eq!(world.counts(), (1, 0));
}
