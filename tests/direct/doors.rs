//! Redo and resume: native code is called once at most, whichever way a call goes, and errors are those of all
//! tiers, with the guest's frames.
use crate::library::calls;
use crate::{World, bridge, guest, straight};
use portcullis::plan::{CallError, Problem};
use wasmtime::WasmBacktrace;

const DOORS: &str = r#"
    (memory (export "memory") 1)
    (func (export "low") (param i32) (result i32) (call $low (local.get 0)))
    (func (export "twice") (param i64) (result i32) (call $twice (local.get 0)))
    (func $inner (param i64) (result i32) (call $twice (local.get 0)))
    (func (export "outer") (param i64) (result i32) (call $inner (local.get 0)))
    (func (export "fill") (param i32 i32 i32) (call $fill (local.get 0) (local.get 1) (local.get 2)))
    (func (export "split") (param i64) (result i32 i32)
        (call $split (local.get 0) (i32.const 8) (i32.const 12))
        (i32.load (i32.const 8)) (i32.load (i32.const 12)))
    (func (export "sum") (param i32 i32) (result f64)
        (call $sum (i32.const 1) (f32.const 2) (i64.const 3) (f64.const 4) (i32.const 5) (i32.const 6) (i32.const 7)
            (i64.const 8) (f32.const 9) (f64.const 10) (f64.const 11) (f64.const 12) (f64.const 13) (f64.const 14)
            (f32.const 15) (f64.const 16) (i32.const 17) (local.get 0) (local.get 1)))
    (func (export "fail") (param i32) (result i32 i32) (call $fail_with (local.get 0)) (call $errno))
    (func (export "open") (param i32) (result i32) (call $thing_open (local.get 0)))
    (func (export "id") (param i32) (result i32) (call $thing_id (local.get 0)))
    (func (export "close") (param i32) (call $thing_close (local.get 0)))
    (func (export "grow") (drop (memory.grow (i32.const 1))))
    (func (export "loop") (param $n i32) (result i32) (local $a i32)
        (loop $l
            (local.set $a (call $low (i32.add (local.get $a) (local.get $n))))
            (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (local.get $a))"#;

/// With code, and without.
fn worlds() -> [World; 2] {
    [bridge(), straight::bridge()].map(|bridge| World::new(&bridge, &guest(DOORS)))
}

#[track_caller]
fn refused<R: std::fmt::Debug>(called: wasmtime::Result<R>) -> CallError {
    called.expect_err("it must fail").downcast().expect("a call error")
}

#[test]
fn a_check_before_the_call_leaves_it_uncalled() {
    for mut world in worlds() {
        calls();
        for _ in 0..3 {
            let error = refused(world.call::<_, ()>("fill", (65530, 7, 1)));
            assert!(
                matches!(error.problem, Problem::OutOfBounds { .. }) && !error.called,
                "{error}"
            );
            assert_eq!(calls(), 0);
            world.call::<_, ()>("fill", (65530, 6, 1)).expect("it fits");
            assert_eq!(calls(), 1);
        }
        // Just grown: the check fails, and the call is made once all the same.
        world.call::<_, ()>("grow", ()).expect("it grows");
        world.call::<_, ()>("fill", (65530, 7, 1)).expect("it fits now");
        assert_eq!(calls(), 1);
        world.call::<_, ()>("fill", (0, 0, 1)).expect("nothing is filled");
        assert_eq!(calls(), 1);
    }
}

#[test]
fn a_check_after_the_call_does_not_call_again() {
    for mut world in worlds() {
        calls();
        for _ in 0..3 {
            assert_eq!(world.call::<i64, i32>("twice", 21).expect("it fits"), 42);
            assert_eq!(calls(), 1);
            let error = refused(world.call::<i64, i32>("twice", 1 << 40));
            assert!(error.called, "{error}");
            assert!(error.to_string().contains("2199023255552"), "{error}");
            assert_eq!(calls(), 1);
        }
        // Cells are written back all or none.
        assert_eq!(world.call::<i64, (i32, i32)>("split", 77).expect("it fits"), (0, 77));
        assert_eq!(calls(), 1);
        let error = refused(world.call::<i64, (i32, i32)>("split", (5 << 32) | 9));
        assert!(error.called && error.to_string().contains("21474836489"), "{error}");
        assert_eq!(calls(), 1);
        assert_eq!(world.call::<i64, (i32, i32)>("split", -1).expect("it fits"), (-1, -1));
    }
}

#[test]
fn work_after_the_call_is_done_once() {
    for mut world in worlds() {
        calls();
        for id in 1..100 {
            let thing = world.call::<i32, i32>("open", id).expect("it opens");
            assert_eq!(world.call::<i32, i32>("id", thing).expect("it is open"), id);
            world.call::<i32, ()>("close", thing).expect("it is open");
            assert_eq!(calls(), 3);
            let error = refused(world.call::<i32, i32>("id", thing));
            assert!(matches!(error.problem, Problem::Handle { .. }), "{error}");
            refused(world.call::<i32, ()>("close", thing));
            assert_eq!(calls(), 0);
            assert_eq!(world.call::<i32, (i32, i32)>("fail", id).expect("it fails"), (-1, id));
            assert_eq!(calls(), 1);
        }
    }
}

#[test]
fn results_are_cut_to_their_width() {
    for mut world in worlds() {
        calls();
        for value in [0, 1, -1, 0x7fff, 0x8000, 0xffff, 0x1_0000, 0x1234_8765, i32::MIN] {
            assert_eq!(
                world.call::<i32, i32>("low", value).expect("it passes"),
                i32::from(value as i16)
            );
        }
        assert_eq!(world.call::<i32, i32>("loop", 100_000).expect("it ends"), {
            (1..=100_000).rev().fold(0, |a: i32, n| i32::from((a + n) as i16))
        });
    }
}

/// All kinds of arguments in registers and on the stack, both ways.
#[test]
fn arguments_on_the_stack_arrive_and_go_on_to_redo() {
    for mut world in worlds() {
        calls();
        let expected = (1..=17).rev().fold(0.0, |sum, part| 2.0 * sum + f64::from(part));
        assert_eq!(world.call::<_, f64>("sum", (8, 4)).expect("it passes"), expected);
        assert_eq!(calls(), 1);
        let error = refused(world.call::<_, f64>("sum", (65530, 1234)));
        assert!(error.to_string().contains("1234 bytes at 0xfffa"), "{error}");
        assert_eq!(calls(), 0);
        // The host makes this call anew with what the guest has passed.
        world.call::<_, ()>("grow", ()).expect("it grows");
        assert_eq!(world.call::<_, f64>("sum", (65530, 1234)).expect("it passes"), expected);
        assert_eq!(calls(), 1);
    }
}

#[test]
fn errors_have_the_guests_frames() {
    for mut world in worlds() {
        calls();
        for (name, value) in [("outer", 1_i64 << 40), ("outer", 1 << 41)] {
            let error = world.call::<i64, i32>(name, value).expect_err("it does not fit");
            let frames =
                error.downcast_ref::<WasmBacktrace>().expect("it has a backtrace").frames();
            let names: Vec<_> = frames.iter().map(|frame| frame.func_name()).collect();
            assert_eq!(names, [Some("inner"), None]);
        }
        let error = world.call::<_, ()>("fill", (65530, 7, 1)).expect_err("it does not fit");
        let frames = error.downcast_ref::<WasmBacktrace>().expect("it has a backtrace").frames();
        assert_eq!(frames.len(), 1);
    }
}
