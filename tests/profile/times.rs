//! Whose time is whose.
use super::support::{adds_up, run};
use portcullis::plan::recorder::Sampling;

const ALL: Sampling = Sampling::Every(1);

/// A guest that works, calls native code, and is called back by it, which calls native code again.
const NESTED: &str = r#"(module
    (import "host" "work" (func $work (param i64)))
    (import "planted" "spend" (func $spend (param i64)))
    (import "planted" "each" (func $each (param i32 i32)))
    (memory (export "memory") 1)
    (table (export "__indirect_function_table") 4 funcref)
    (elem (i32.const 1) $back $deeper)
    (func $back (param i32)
        (call $work (i64.const 10))
        (call $spend (i64.const 100))
        (call $work (i64.const 1)))
    (func $deeper (param i32)
        (call $work (i64.const 20))
        (call $each (i32.const 2) (i32.const 1)))
    (func (export "run")
        (call $work (i64.const 5000))
        (call $spend (i64.const 700))
        (call $each (i32.const 3) (i32.const 2))
        (call $work (i64.const 6000))))"#;

#[test]
fn every_account_has_its_own_time_and_no_other() {
    let ran = run(NESTED, ALL);
    ran.ended.as_ref().expect("it ends well");
    // `each` is called once, and in each of its three callbacks again, for two callbacks.
    let (each, spend) = (ran.import("planted.each"), ran.import("planted.spend"));
    assert_eq!((each.calls, each.timed, each.callbacks), (4, 4, 3 + 3 * 2));
    assert_eq!((spend.calls, spend.callbacks), (1 + 3 * 2, 0));
    assert_eq!(each.native, 7.0 * 9.0);
    assert_eq!(spend.native, 700.0 + 600.0);
    // What callbacks do without the calls that they make: 20 in each outer one, 11 in each inner one.
    assert_eq!(each.called_back, 3.0 * 20.0 + 6.0 * 11.0);
    assert_eq!(spend.called_back, 0.0);
    // The planted clock stands still in the bridge.
    assert_eq!((each.marshalling, spend.marshalling), (0.0, 0.0));
    let phases = &ran.profile.phases;
    assert_eq!((&*phases[0].name, phases[0].time), ("reading it", 50.0));
    assert_eq!((&*phases[1].name, phases[1].time), ("the guest", 11_000.0));
    assert_eq!(ran.profile.wall, 50.0 + 11_000.0 + 63.0 + 1300.0 + 126.0);
    adds_up(&ran.profile);
}

/// The same calls, so often that samples of them are worth something.
fn often(times: u32) -> String {
    NESTED
        .replace(
            r#"(call $spend (i64.const 700))"#,
            &format!(
                "(local $n i32) (local.set $n (i32.const {times}))
             (loop $more (call $spend (i64.const 7))
                (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))"
            ),
        )
        // Locals come first.
        .replace(
            "(call $work (i64.const 5000))\n        (local $n i32)",
            "(local $n i32) (call $work (i64.const 5000))",
        )
}

#[test]
fn counts_are_exact_when_times_are_sampled() {
    for every in [2, 7, 100] {
        let ran = run(&often(10_000), Sampling::Every(every));
        ran.ended.as_ref().expect("it ends well");
        let spend = ran.import("planted.spend");
        assert_eq!(spend.calls, 10_000 + 6);
        assert!(spend.timed < 2 * spend.calls / every, "{every}: {}", spend.timed);
        assert!(spend.timed > spend.calls / every / 2, "{every}: {}", spend.timed);
        assert_eq!(ran.import("planted.each").callbacks, 9);
        assert_eq!(ran.profile.every, every);
        // Nearly all calls take 7, six of them 100: the estimate is near, and says how near it may be.
        let off = (spend.native - 70_600.0).abs();
        assert!(off < 5000.0, "{every}: {}", spend.native);
        let wrong = (ran.profile.sum() - ran.profile.wall).abs();
        assert!(wrong <= ran.profile.error + 1e-6, "{every}: {wrong} of {}", ran.profile.error);
        // Which is not said of anything: the six that take longer are what is not known.
        assert!(ran.profile.error < ran.profile.wall / 10.0, "{every}: {}", ran.profile.error);
    }
}

#[test]
fn what_takes_too_long_is_timed_less_and_less() {
    // Timing a call takes 10, more than three per cent of its 7.
    let ran = run(&often(200_000), Sampling::Within { cost: 10, guest: 10, part: 33 });
    ran.ended.as_ref().expect("it ends well");
    let spend = ran.import("planted.spend");
    assert_eq!(spend.calls, 200_006);
    assert!(ran.profile.every >= 16, "one in {}", ran.profile.every);
    let cost = spend.timed * 10;
    assert!(cost * 20 < 1_400_000, "{} were timed", spend.timed);
    assert!((spend.native - 1_400_600.0).abs() < 14_000.0, "{}", spend.native);
    // Seldom enough it is all of them.
    let ran = run(&often(200_000), Sampling::Within { cost: 10, guest: 10, part: 0 });
    let spend = ran.import("planted.spend");
    assert_eq!((ran.profile.every, spend.timed), (1, spend.calls));
    adds_up(&ran.profile);
}

#[test]
fn callbacks_of_one_call_are_sampled_too() {
    // One call of `each`, and in each of its 10,000 callbacks a call of `spend`.
    let many = NESTED.replace("(i32.const 3) (i32.const 2)", "(i32.const 10000) (i32.const 1)");
    for sampling in [Sampling::Every(7), Sampling::Within { cost: 10, guest: 10, part: 100 }] {
        let ran = run(&many, sampling);
        ran.ended.as_ref().expect("it ends well");
        let (each, spend) = (ran.import("planted.each"), ran.import("planted.spend"));
        assert_eq!((each.calls, each.timed, each.callbacks), (1, 1, 10_000));
        assert_eq!(spend.calls, 10_001);
        assert!(ran.profile.every_callback > 1, "{sampling:?}");
        // Nobody would see otherwise that calls are not timed any more because their callback is.
        assert!(spend.timed < 7_000, "{} were timed", spend.timed);
        let near = |found: f64, right: f64| {
            assert!((found / right - 1.0).abs() < 0.05, "{found} of {right}, {sampling:?}");
        };
        near(each.called_back, 11.0 * 10_000.0);
        near(each.native, 7.0 * 10_000.0);
        near(spend.native, 700.0 + 100.0 * 10_000.0);
        let wrong = (ran.profile.sum() - ran.profile.wall).abs();
        assert!(wrong <= ran.profile.error + 1e-6, "{wrong} of {}", ran.profile.error);
        assert!(ran.profile.error < ran.profile.wall / 20.0, "{}", ran.profile.error);
    }
    let ran = run(&many, ALL);
    let each = ran.import("planted.each");
    assert_eq!((each.called_back, each.native), (110_000.0, 70_000.0));
    assert_eq!(ran.profile.every_callback, 1);
    adds_up(&ran.profile);
}

/// Calls in callbacks of calls in callbacks, some of which are timed and some only counted, in every order.
#[test]
fn calls_that_are_only_counted_keep_apart_what_they_count() {
    let often = NESTED.replace("(func (export \"run\")", "(func $once").replace(
        "        (call $work (i64.const 6000))))",
        "        (call $work (i64.const 6000)))",
    ) + r#"(func (export "run") (local $n i32)
            (local.set $n (i32.const 500))
            (loop $more (call $once)
                (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))"#;
    for every in [1, 2, 3, 5, 16, 1 << 40] {
        let ran = run(&often, Sampling::Every(every));
        ran.ended.as_ref().expect("it ends well");
        let (each, spend) = (ran.import("planted.each"), ran.import("planted.spend"));
        assert_eq!((each.calls, each.callbacks), (500 * 4, 500 * (3 + 3 * 2)), "{every}");
        assert_eq!((spend.calls, spend.callbacks), (500 * (1 + 3 * 2), 0), "{every}");
        assert!(each.takes_functions && !spend.takes_functions);
        let profile = &ran.profile;
        let wrong = (profile.sum() - profile.wall).abs();
        assert!(wrong <= profile.error + 1e-6, "{every}: {wrong} of {}", profile.error);
        if every < 16 {
            let near = |found: f64, right: f64| {
                assert!((found / right - 1.0).abs() < 0.2, "{found} of {right}, one in {every}");
            };
            near(each.native, 500.0 * 63.0);
            near(each.called_back, 500.0 * 126.0);
            near(spend.native, 500.0 * 1300.0);
        }
    }
}

/// Calls of some callbacks each, which differ much: that of which a call is estimated too long is as often too short.
#[test]
fn estimates_of_callbacks_do_not_make_native_code_longer() {
    let guest = NESTED
        .replace(
            "(call $work (i64.const 10))\n        (call $spend (i64.const 100))\n        (call $work (i64.const 1))",
            "(call $work (select (i64.const 200) (i64.const 1) (i32.and (local.get 0) (i32.const 1))))",
        )
        .replace(
            "(call $each (i32.const 3) (i32.const 2))",
            "(loop $more (call $each (i32.const 6) (i32.const 1))
                (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))",
        )
        .replace(
            "(call $work (i64.const 5000))",
            "(local $n i32) (local.set $n (i32.const 4000)) (call $work (i64.const 5000))",
        );
    let ran = run(&guest, Sampling::Every(3));
    ran.ended.as_ref().expect("it ends well");
    let each = ran.import("planted.each");
    assert_eq!((each.calls, each.callbacks), (4000, 24_000));
    let near = |found: f64, right: f64| {
        assert!((found / right - 1.0).abs() < 0.1, "{found} of {right}");
    };
    near(each.native + each.called_back, 24_000.0 * 7.0 + 12_000.0 * 201.0);
    let profile = &ran.profile;
    let wrong = (profile.sum() - profile.wall).abs();
    assert!(wrong <= profile.error + 1e-6, "{wrong} of {}", profile.error);
}

#[test]
fn a_guest_that_traps_or_leaves_has_a_profile() {
    for (end, said) in [("(unreachable)", "unreachable"), ("(call $exit)", "the guest has left")] {
        let guest = NESTED
            .replace(r#"(call $work (i64.const 1))"#, end)
            .replace("(memory", r#"(import "host" "exit" (func $exit)) (memory"#);
        let ran = run(&guest, ALL);
        let error = format!("{:?}", ran.ended.as_ref().expect_err("it does not end well"));
        assert!(error.contains(said), "{error}");
        // The calls that were under way have ended, and so have their accounts.
        let (each, spend) = (ran.import("planted.each"), ran.import("planted.spend"));
        assert_eq!((each.calls, each.timed), (2, 2));
        assert_eq!((spend.calls, spend.native), (2, 800.0));
        assert!(ran.profile.running.is_empty());
        adds_up(&ran.profile);
    }
}

#[test]
fn a_call_that_is_refused_is_a_call_without_native_code() {
    let guest = NESTED.replace("(i32.const 3) (i32.const 2)", "(i32.const 3) (i32.const 77)");
    let ran = run(&guest, ALL);
    let error = format!("{:?}", ran.ended.as_ref().expect_err("there is no such function"));
    assert!(error.contains("77"), "{error}");
    let each = ran.import("planted.each");
    assert_eq!((each.calls, each.native, each.callbacks), (1, 0.0, 0));
    adds_up(&ran.profile);
}
