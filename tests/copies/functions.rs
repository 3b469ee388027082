//! Guest functions and cookies in data: called, changed, kept, planted.
#![expect(unsafe_code, reason = "the interface of this test is vouched for")]
use crate::native;
use crate::world::{World, guest};
use portcullis::host::Bridge;
use std::path::PathBuf;
use std::sync::OnceLock;
use wasmtime::Engine;

const IMPORTS: &[(&str, &str, &str)] = &[
    ("ops_run", "p i32 i32", "i32"),
    ("ops_all", "p i32", "i32"),
    ("strict_all", "p i32", "i32"),
    ("tree_run", "p", "i32"),
    ("ops_swap", "p", "i32"),
    ("ops_plant", "p i32", "i32"),
    ("ops_set", "p p p", "i32"),
    ("ops_twice", "p", "i32"),
    ("fns_all", "p i32", "i32"),
    ("cookies_turn", "p i32", "p"),
    ("with_null", "p", "i32"),
    ("ops_keep", "p i32", "i32"),
    ("ops_late", "", "i32"),
    ("reg_new", "p", "p"),
    ("reg_more", "p p", ""),
    ("reg_fire", "p i32", "i32"),
    ("reg_module", "p p", ""),
    ("reg_use", "p i32", "p"),
    ("reg_names", "p p p", ""),
    ("reg_free", "p", ""),
    ("library_set", "p", ""),
    ("library_get", "i32", "p"),
    ("library_fire", "i32", "i32"),
];

/// What the guest's table has, by its indices.
const ADD: i64 = 1;
const SUB: i64 = 2;
const DOUBLE: i64 = 3;
const SMASH: i64 = 4;
const TRAP: i64 = 5;
const NEXT: i64 = 6;
const NOTHING: i64 = 7;

fn text(wide: bool) -> String {
    let word = if wide { "i64" } else { "i32" };
    let narrow = if wide { "(i32.wrap_i64 (local.get 0))" } else { "(local.get 0)" };
    let compare = format!("(param {word} i32 i32) (result i32)");
    let all = guest("functions", IMPORTS, wide);
    let all = all.trim_end().strip_suffix(')').expect("the end of the module");
    let all = all.replacen(
        "(memory",
        "(import \"portcullis\" \"release_callback\" (func $release (param i32))) (memory",
        1,
    );
    format!(
        r#"{all}
        (table (export "__indirect_function_table") 16 funcref)
        (elem (i32.const 1) func $add $sub $double $smash $trap $next)
        (func $add {compare} (i32.add (i32.mul {narrow} (i32.const 100))
            (i32.add (i32.mul (local.get 1) (i32.const 10)) (local.get 2))))
        (func $sub {compare} (i32.sub {narrow} (i32.sub (local.get 1) (local.get 2))))
        (func $double (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
        (func $next (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
        (func $smash {compare}
            (memory.fill ({word}.const 64) (i32.const 0xff) ({word}.const 128))
            (i32.add {narrow} (local.get 1)))
        (func $trap {compare} (unreachable))
        (func (export "release") (param i32) (call $release (local.get 0)))
        (func (export "forget") (param i32) (table.set (local.get 0) (ref.null func))))"#
    )
}

fn library() -> &'static PathBuf {
    static NATIVE: OnceLock<(PathBuf, tempfile::TempDir)> = OnceLock::new();
    let made = NATIVE.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let source = include_str!("functions.c");
        (native::compile(folder.path(), "libfunctions.so", source, &["-O1"]), folder)
    });
    &made.0
}

fn both(test: impl Fn(&mut World)) {
    for wide in [false, true] {
        let builder = Bridge::builder(&Engine::default()).max_tier(crate::MOST);
        let builder = builder.library("libfunctions.so", library()).expect("an absolute path");
        // SAFETY: the interface is true of the library.
        let builder =
            unsafe { builder.grant_interface("functions.h", include_str!("functions.h")) };
        let bridge = builder.unwrap_or_else(|error| panic!("{error}")).build();
        let bridge = bridge.unwrap_or_else(|error| panic!("{error}"));
        test(&mut World::of(&bridge, wide, &text(wide)));
    }
}

/// Size of `struct ops` in the guest's memory.
fn ops_size(world: &World) -> i64 {
    if world.wide { 24 } else { 12 }
}

fn ops(world: &mut World, at: i64, (function, user, n): (i64, i64, i64)) {
    let size = world.size();
    world.put_word(at, function);
    world.put_word(at + size, user);
    world.put_int(at + 2 * size, n);
}

fn found(world: &World, at: i64) -> (i64, i64, i64) {
    let size = world.size();
    (world.word(at), world.word(at + size), world.int(at + 2 * size))
}

#[test]
fn functions_in_structs_are_called_with_their_cookies() {
    both(|world| {
        ops(world, 64, (ADD, 7, 1));
        assert_eq!(world.call("ops_run", &[64, 2, 3]), 723);
        assert_eq!(found(world, 64), (ADD, 7, 2), "the struct came back");
        ops(world, 64, (0, 0, 5));
        assert_eq!(world.call("ops_run", &[64, 2, 3]), -1);
        assert_eq!(found(world, 64), (0, 0, 6));
        let size = ops_size(world);
        ops(world, 64, (ADD, 1, 0));
        ops(world, 64 + size, (SUB, 50, 0));
        ops(world, 64 + 2 * size, (0, 9, 0));
        assert_eq!(world.call("ops_all", &[64, 3]), 101 + 51 + 1000);
        assert_eq!(world.call("ops_all", &[64, 0]), 0);
    });
}

#[test]
fn they_are_found_wherever_they_are() {
    both(|world| {
        let word = world.size();
        // n, ops, more, kids
        let start = 512;
        world.put_int(start, 3);
        ops(world, start + word, (ADD, 1, 0));
        let behind = start + word + ops_size(world);
        world.put_word(behind, 64);
        world.put_word(behind + word, 256);
        ops(world, 64, (SUB, 5, 0));
        for (index, function) in (0..).zip([DOUBLE, NEXT, DOUBLE]) {
            world.put_word(256 + index * word, function);
        }
        assert_eq!(world.call("tree_run", &[start]), 112 + 6 + (2 + 4));
        assert_eq!(world.call("fns_all", &[256, 3]), 236);
        let (text, called) = {
            world.put_word(256 + word, 0);
            world.fails("tree_run", &[start])
        };
        assert!(!called && text.contains("t->kids[1].f") && text.contains("NULL"), "{text}");
    });
}

#[test]
fn what_is_no_function_of_the_type_is_refused_before_anything_runs() {
    both(|world| {
        let word = world.size();
        for (bad, why) in [
            (0, "NULL"),
            (NOTHING, "no function at index 7"),
            (ADD, "is needed"),
            (16, "past the table"),
            (0x7fff_ffff, "past the table"),
        ] {
            for (index, function) in (0..).zip([DOUBLE, NEXT, DOUBLE, bad]) {
                world.put_word(256 + index * word, function);
            }
            let (text, called) = world.fails("strict_all", &[256, 4]);
            assert!(!called && text.contains("all[3].f") && text.contains(why), "{text}");
            let (text, called) = world.fails("fns_all", &[256, 4]);
            assert!(!called && text.contains("fns[3]"), "{text}");
            assert_eq!(world.call("strict_all", &[256, 3]), 6, "nothing was left behind");
        }
        if world.wide {
            world.put_word(256, 1 << 32 | DOUBLE);
            let (text, _) = world.fails("strict_all", &[256, 1]);
            assert!(text.contains("past the table"), "{text}");
        }
    });
}

#[test]
fn functions_come_back_as_indices_and_nothing_else_does() {
    both(|world| {
        let size = ops_size(world);
        ops(world, 64, (ADD, 7, 1));
        ops(world, 64 + size, (SUB, u32::MAX.into(), 2));
        world.call("ops_swap", &[64]);
        let all = u32::MAX as i32;
        let user = if world.wide { i64::from(u32::MAX) } else { all.into() };
        assert_eq!((found(world, 64), found(world, 64 + size)), ((SUB, user, 2), (ADD, 7, 1)));
        // A function that the call was given elsewhere, too.
        ops(world, 64, (-1, -1, -1));
        world.call("ops_set", &[64, SUB, 3]);
        assert_eq!(found(world, 64), (SUB, 3, 0));
        world.call("ops_plant", &[64, 0]);
        assert_eq!(found(world, 64), (0, 0, 100));
        for (what, place, why) in [
            (1, "ops->cmp", "not in the guest's table"),
            (2, "ops->user", "none of the integers"),
            (3, "ops->cmp", "not in the guest's table"),
        ] {
            ops(world, 64, (ADD, 7, 1));
            let (text, called) = world.fails("ops_plant", &[64, what]);
            assert!(called && text.contains(place) && text.contains(why), "{text}");
            assert_eq!(found(world, 64), (ADD, 7, 1), "nothing is written back");
        }
    });
}

#[test]
fn what_is_no_longer_in_the_table_has_no_index() {
    both(|world| {
        ops(world, 64, (DOUBLE, 0, 0));
        world.call("library_set", &[64]);
        let at = world.call("library_get", &[0]);
        assert_eq!(world.word(at), DOUBLE);
        let (text, called) = world.fails("library_get", &[1]);
        assert!(called && text.contains("return->f") && text.contains("table"), "{text}");
        world.call("forget", &[DOUBLE]);
        let (text, called) = world.fails("library_get", &[0]);
        assert!(called && text.contains("return->f"), "{text}");
        // It is called all the same: the library has the function, not its place.
        assert_eq!(world.call("library_fire", &[4]), 8);
    });
}

#[test]
fn a_callback_that_overwrites_the_struct_changes_nothing_of_the_call() {
    both(|world| {
        ops(world, 64, (SMASH, 7, 1));
        assert_eq!(world.call("ops_twice", &[64]), 8 * 1000 + 9);
        assert_eq!(world.int(64 + 2 * world.size()), 1, "members go back");
        // The pointers, which native code has left alone, are what the guest has written.
        assert_eq!(world.word(64), -1);
    });
}

#[test]
fn traps_in_callbacks_write_nothing_back() {
    both(|world| {
        ops(world, 64, (TRAP, 7, 1));
        world.traps("ops_run", &[64, 1, 2]);
        assert_eq!(found(world, 64), (TRAP, 7, 1));
    });
}

#[test]
fn cookies_in_data_come_and_go() {
    both(|world| {
        let word = world.size();
        for (index, value) in (0..).zip([0, 5, 0x7fff_ffff]) {
            world.put_word(64 + index * word, value);
        }
        assert_eq!(world.call("cookies_turn", &[64, 3]), 3);
        let users: Vec<i64> = (0..3).map(|at| world.word(64 + at * word)).collect();
        assert_eq!(users, [0x7fff_ffff, 5, 0]);
        if world.wide {
            world.put_word(64 + word, 1 << 32);
            let (text, called) = world.fails("cookies_turn", &[64, 3]);
            assert!(!called && text.contains("users[1]"), "{text}");
        }
        // That of a function is NULL when the function is, and only then.
        for (function, user, expected) in [(0, 5, 3), (DOUBLE, 0, 0), (DOUBLE, 5, 0), (0, 0, 3)] {
            world.put_word(64, function);
            world.put_word(64 + word, user);
            assert_eq!(world.call("with_null", &[64]), expected);
        }
    });
}

#[test]
fn functions_live_as_long_as_they_are_kept() {
    both(|world| {
        let word = world.size();
        // For the call.
        ops(world, 64, (ADD, 7, 1));
        world.call("ops_keep", &[64, 1]);
        let (text, called) = world.fails("ops_late", &[]);
        assert!(called && text.contains("guest function"), "{text}");
        // Not even for that, when the call fails before native code runs.
        let size = ops_size(world);
        ops(world, 64 + size, (NOTHING, 7, 1));
        let (text, called) = world.fails("ops_keep", &[64, 2]);
        assert!(!called && text.contains("all[1].cmp"), "{text}");
        assert!(world.fails("ops_late", &[]).1);
        // With the handle that is made, and with one that is passed.
        world.put_word(64, DOUBLE);
        let reg = world.call("reg_new", &[64]);
        assert_eq!(world.call("reg_fire", &[reg, 4]), 8);
        for (at, next, function) in [(64, 128, NEXT), (128, 0, DOUBLE)] {
            world.put_word(at, next);
            world.put_word(at + word, function);
        }
        world.call("reg_more", &[reg, 64]);
        assert_eq!(world.call("reg_fire", &[reg, 4]), 18);
        world.call("reg_free", &[reg]);
        // Until it is released.
        world.put_word(64, NEXT);
        world.call("library_set", &[64]);
        assert_eq!(world.call("library_fire", &[4]), 5);
        world.call("release", &[NEXT]);
        let (text, called) = world.fails("library_fire", &[4]);
        assert!(called && text.contains("guest function"), "{text}");
    });
}

#[test]
fn what_a_handle_kept_is_gone_with_it() {
    both(|world| {
        world.put_word(64, NEXT);
        let (one, two) = (world.call("reg_new", &[64]), world.call("reg_new", &[64]));
        world.call("reg_free", &[one]);
        assert_eq!(world.call("reg_fire", &[two, 4]), 5, "the other still keeps it");
        world.call("reg_free", &[two]);
    });
}

#[test]
fn tables_of_functions_that_are_kept_are_copied_with_all_they_lead_to() {
    both(|world| {
        let word = world.size();
        let (reg, other) = {
            world.put_word(64, NEXT);
            (world.call("reg_new", &[64]), world.call("reg_new", &[64]))
        };
        let table = |world: &mut World, at: i64, fields: [i64; 6]| {
            let [name, n, numbers, function, user, next] = fields;
            world.put_word(at, name);
            world.put_int(at + word, n);
            for (index, value) in (2..).zip([numbers, function, user, next]) {
                world.put_word(at + index * word, value);
            }
        };
        world.write(1000, b"one\0three\0");
        world.write(1100, &[1, 0, 2, 0, 3, 0]);
        table(world, 512, [1000, 3, 1100, DOUBLE, 5, 600]);
        table(world, 600, [1004, 0, 0, NEXT, 0, 0]);
        world.call("reg_module", &[reg, 512]);
        for (index, name) in (0..).zip([1000, 1004, 0]) {
            world.put_word(700 + index * word, name);
        }
        world.put_word(800, 7);
        world.call("reg_names", &[reg, 700, 800]);
        // Whatever the guest does to its own.
        world.write(500, &[0xee; 700]);
        let once = (2 * 4 + 3 + 60) * 1000 + 5 + 5;
        assert_eq!(world.call("reg_use", &[reg, 4]), once + 8_000_000 + 7);
        // The library's other objects keep nothing of it.
        assert_eq!(world.call("reg_use", &[other, 4]), 0);
        world.call("reg_free", &[reg]);
        // What cannot be copied is not kept.
        table(world, 512, [1000, -1, 1100, DOUBLE, 5, 0]);
        let (text, called) = world.fails("reg_module", &[other, 512]);
        assert!(!called && text.contains("v->at"), "{text}");
        world.write(1000, b"x\0");
        table(world, 512, [1000, 0, 0, DOUBLE, 5, 512]);
        let (text, called) = world.fails("reg_module", &[other, 512]);
        assert!(!called && text.contains("points back"), "{text}");
        assert_eq!(world.call("reg_use", &[other, 4]), 0);
    });
}
