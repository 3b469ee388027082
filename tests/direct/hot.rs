//! Functions whose code is made when they are called often.
use crate::library::{calls, granted, what_is_at};
use crate::{World, guest};
use portcullis::host::{Bridge, ImportStatus, Tier};
use std::sync::Arc;
use wasmtime::{Engine, Module};

const LOOPS: &str = r#"
    (memory (export "memory") 1)
    (func (export "until_it_changes") (result i64) (local $first i64) (local $now i64)
        (local.set $first (call $here))
        (loop $l
            (local.set $now (call $here))
            (br_if $l (i64.eq (local.get $first) (local.get $now))))
        (local.get $now))
    (func (export "work") (param $n i32) (result i32) (local $a i32)
        (loop $l
            (local.set $a (call $add (local.get $a) (call $low (local.get $n))))
            (call $fill (local.get $n) (i32.const 4) (local.get $n))
            (call $thing_close (call $thing_open (local.get $n)))
            (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (local.get $a))
    (func (export "twice") (param i64) (result i32) (call $twice (local.get 0)))
    (func (export "sum") (param i32 i32) (result f64)
        (call $sum (i32.const 1) (f32.const 2) (i64.const 3) (f64.const 4) (i32.const 5) (i32.const 6) (i32.const 7)
            (i64.const 8) (f32.const 9) (f64.const 10) (f64.const 11) (f64.const 12) (f64.const 13) (f64.const 14)
            (f32.const 15) (f64.const 16) (i32.const 17) (local.get 0) (local.get 1)))"#;

fn hot_after(calls: u32) -> Bridge {
    granted(&Engine::default()).when_hot(calls).build().expect("a bridge")
}

fn tiers(bridge: &Bridge, module: &Module) -> Vec<(Tier, Option<String>)> {
    let imports = bridge.describe(module).into_iter();
    let functions = imports.filter_map(|import| match import.status {
        ImportStatus::Native(functions) => Some(functions),
        _ => None,
    });
    functions.flatten().map(|one| (one.tier, one.why_no_faster)).collect()
}

/// The guest's loop ends only because its calls begin to go another way while it runs.
#[test]
fn a_loop_that_does_not_end_gets_its_code() {
    let bridge = hot_after(100);
    let module = Module::new(bridge.engine(), guest(LOOPS)).expect("a module");
    for (tier, why) in tiers(&bridge, &module) {
        assert!(tier <= Tier::Template);
        assert_eq!(why.as_deref(), Some("direct after 100 calls, if that is possible"));
    }
    let mut world = World::of(&bridge, &module);
    let from: i64 = world.call("until_it_changes", ()).expect("it ends");
    assert_eq!(what_is_at(from), "");
    let tiers = tiers(&bridge, &module);
    assert_eq!(tiers[0], (Tier::Direct, None));
    assert!(tiers[1].0 < Tier::Direct, "nobody has called it");
}

#[test]
fn no_call_is_lost_or_made_twice_when_the_way_changes() {
    let bridge = hot_after(1000);
    let mut world = World::new(&bridge, &guest(LOOPS));
    calls();
    for round in 1..20 {
        assert_eq!(world.call::<i32, i32>("work", 1000).expect("it passes"), 500_500);
        assert_eq!(calls(), 5000, "round {round}");
    }
    for value in 0..3000 {
        assert_eq!(world.call::<i64, i32>("twice", value).expect("it fits"), 2 * value as i32);
        world.call::<i64, i32>("twice", 1 << 40).expect_err("it does not");
        let expected = (1..=17).rev().fold(0.0, |sum, part| 2.0 * sum + f64::from(part));
        assert_eq!(world.call::<_, f64>("sum", (60_000, 4)).expect("it passes"), expected);
        world.call::<_, f64>("sum", (65530, 1234)).expect_err("it reaches past the memory");
        assert_eq!(calls(), 3);
    }
}

/// Many threads, instances that come and go, and plans that become hot meanwhile.
#[test]
fn functions_become_hot_under_load() {
    for after in [1, 50, 777] {
        let bridge = Arc::new(hot_after(after));
        let module = Arc::new(Module::new(bridge.engine(), guest(LOOPS)).expect("a module"));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (bridge, module) = (Arc::clone(&bridge), Arc::clone(&module));
                std::thread::spawn(move || {
                    let mut worlds: Vec<World> = Vec::new();
                    for turn in 0..60 {
                        worlds.push(World::of(&bridge, &module));
                        let at = turn % worlds.len();
                        let sum = worlds[at].call::<i32, i32>("work", 100).expect("it passes");
                        assert_eq!(sum, 5050);
                        if turn % 3 == 0 {
                            worlds.swap_remove(at);
                        }
                    }
                    worlds.pop()
                })
            })
            .collect();
        drop((bridge, module));
        for thread in threads {
            let mut world = thread.join().expect("it does not panic").expect("some are left");
            assert_eq!(world.call::<i32, i32>("work", 100).expect("it passes"), 5050);
        }
    }
}
