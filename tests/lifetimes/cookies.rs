//! Integers that C carries.
use crate::world::World;
use portcullis::plan::Problem;

#[test]
fn cookies_come_back_as_they_went() {
    let mut world = World::new();
    let n = world.call("node_new", &[1]);
    assert_eq!(world.call("cookie_swap", &[n, 0]), 0, "none was set");
    let mut last = 0;
    for cookie in [1, 0x7fff_ffff, -0x8000_0000, -1, 0, 65536] {
        assert_eq!(world.call("cookie_swap", &[n, cookie]), last);
        assert_eq!(world.call("cookie_get", &[n, 64]), 1, "0 is a cookie too, and no NULL");
        assert_eq!(world.read(64), cookie);
        last = cookie;
    }
    assert_eq!(world.call("cookie_get", &[n, 0]), 1, "nobody wants to know");
}

#[test]
fn planted_cookies_trap() {
    let mut world = World::new();
    let n = world.call("node_new", &[1]);
    for planted in [1, 0x1000, -1, i64::MAX, i64::MIN] {
        world.call("cookie_plant", &[n, planted]);
        world.write(64, &7_u32.to_le_bytes());
        for (name, arguments) in [("cookie_swap", [n, 5]), ("cookie_get", [n, 64])] {
            if name == "cookie_get" {
                world.call("cookie_plant", &[n, planted]);
            }
            let error = world.try_call(name, &arguments).expect_err("planted");
            assert_eq!(error.problem, Problem::PlantedCookie, "{name} {planted:#x}");
            assert!(error.called);
            let text = error.to_string();
            assert!(!text.contains("0x"), "an address was told: {text}");
        }
        assert_eq!(world.read(64), 7, "nothing is written back");
        world.call("cookie_plant", &[n, 0]);
        assert_eq!(world.call("cookie_swap", &[n, 0]), 0);
    }
}

/// A guest of 64 bits has wider integers than C carries.
#[test]
fn cookies_of_wide_guests_have_32_bits_all_the_same() {
    let mut world = World::of_guest(
        r#"(module
        (import "keep" "node_new" (func $new (param i32) (result i64)))
        (import "keep" "cookie_swap" (func $swap (param i64 i64) (result i64)))
        (memory (export "memory") i64 1)
        (func (export "node_new") (param i32) (result i64) (call $new (local.get 0)))
        (func (export "cookie_swap") (param i64 i64) (result i64)
            (call $swap (local.get 0) (local.get 1))))"#,
    );
    let n = world.call("node_new", &[1]);
    let last = i64::from(u32::MAX);
    assert_eq!(world.call("cookie_swap", &[n, last]), 0);
    for large in [last + 1, i64::MAX, i64::MIN, -1] {
        let value = large.cast_unsigned();
        assert_eq!(world.refused("cookie_swap", &[n, large]), Problem::CookieTooLarge { value });
    }
    assert_eq!(world.call("cookie_swap", &[n, 7]), last, "zero-extended");
}
