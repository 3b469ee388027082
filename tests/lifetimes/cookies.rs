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
            assert_eq!(error.problem, Problem::Planted, "{name} {planted:#x}");
            assert!(error.called);
            let text = error.to_string();
            assert!(!text.contains("0x"), "an address was told: {text}");
        }
        assert_eq!(world.read(64), 7, "nothing is written back");
        world.call("cookie_plant", &[n, 0]);
        assert_eq!(world.call("cookie_swap", &[n, 0]), 0);
    }
}
