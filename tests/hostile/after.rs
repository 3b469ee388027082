//! What fails after the call: the function has run exactly once, nothing of the call's own memory
//! is written back, and what nobody will get is released.
use crate::world::{MEMORY, calls, everywhere, freed};
use portcullis::plan::handles::HandleError;
use portcullis::plan::{CallError, Problem};
use wasmtime::Val::{I32, I64};

#[test]
fn a_result_that_does_not_fit_is_named() {
    everywhere(|world| {
        assert_eq!(world.call("big_size", &[I64(0xffff_ffff)]), -1);
        for value in [1i64 << 32, i64::MIN, -1] {
            let message = format!(
                "result (size_t): the value {} does not fit: 0 to 4294967295 can be held",
                value.cast_unsigned()
            );
            world.fails_after("big_size", &[I64(value)], &message);
        }
        for value in [i64::from(i32::MIN), -1, 0, i64::from(i32::MAX)] {
            assert_eq!(world.call("big_long", &[I64(value)]), value);
        }
        for value in [i64::from(i32::MIN) - 1, i64::from(i32::MAX) + 1, i64::MIN, i64::MAX] {
            let message = format!(
                "result (long): the value {value} does not fit: -2147483648 to 2147483647 can be held"
            );
            world.fails_after("big_long", &[I64(value)], &message);
        }
    });
}

#[test]
fn an_out_value_that_does_not_fit_leaves_every_cell_as_it_was() {
    everywhere(|world| {
        let before = [0xa5; 16];
        world.write(512, &before);
        assert_eq!(world.call("out_size", &[I32(512), I64(0xffff_fffe)]), 7);
        assert_eq!(world.read::<8>(512), [0xfe, 0xff, 0xff, 0xff, 0xa5, 0xa5, 0xa5, 0xa5]);
        world.write(512, &before);
        world.fails_after(
            "out_size",
            &[I32(512), I64(1 << 32)],
            "parameter 1 \"size\" (size_t *_Out_): the value 4294967296 does not fit: 0 to 4294967295 can be held",
        );
        assert_eq!(world.read::<16>(512), before);
        // The misfit is the second value: the first is in place, native code itself has written it.
        world.fails_after(
            "two_out",
            &[I32(512), I32(520), I64(-1)],
            "parameter 2 \"second\" (size_t *_Out_): the value 18446744073709551615 does not fit: 0 to 4294967295 can be held",
        );
        assert_eq!(world.read::<8>(520), [0xa5; 8]);
        world.write(512, &i32::MAX.to_le_bytes());
        world.fails_after(
            "in_out_long",
            &[I32(512), I64(1)],
            "parameter 1 \"n\" (long *): the value 2147483648 does not fit: -2147483648 to 2147483647 can be held",
        );
        assert_eq!(world.read::<4>(512), i32::MAX.to_le_bytes());
        assert_eq!(world.call("in_out_long", &[I32(512), I64(-1)]), 7);
        assert_eq!(world.read::<4>(512), (i32::MAX - 1).to_le_bytes());
    });
}

#[test]
fn pointers_to_nowhere_come_back_as_errors() {
    const NOWHERE: &str = "native code returned a pointer to memory that the guest does not have; the prototype must say how far it reaches and who lends it (__lifetimebound, __freed_by)";
    everywhere(|world| {
        world.write(1024, b"abc\0");
        for (by, found) in [(0, 1024), (2, 1026), (-1024, 0), (64512, 65536)] {
            assert_eq!(world.call("inside", &[I32(1024), I64(by)]), found);
        }
        for by in [-1025, 64513, 1 << 40, i64::MIN / 2] {
            let message = format!("result (void *): {NOWHERE}");
            world.fails_after("inside", &[I32(1024), I64(by)], &message);
            world.write(512, &[0xa5; 4]);
            let message = format!("parameter 2 \"end\" (const char **): {NOWHERE}");
            world.fails_after("end_of", &[I32(1024), I32(512), I64(by)], &message);
            assert_eq!(world.read::<4>(512), [0xa5; 4], "no native address, nor a part of one");
        }
        assert_eq!(world.call("end_of", &[I32(1024), I32(512), I64(3)]), 7);
        assert_eq!(world.read::<4>(512), 1027u32.to_le_bytes());
    });
}

#[test]
fn an_extent_that_has_no_value_is_found_after_the_call() {
    everywhere(|world| {
        world.fails_after(
            "negative_extent",
            &[I32(-5)],
            "result (const char *__sized_by(n) __lifetimebound(static)): the count is -5, below zero",
        );
        let copy = world.call("negative_extent", &[I32(4)]);
        assert_eq!(world.read::<4>(i32::try_from(copy).expect("an address")), *b"text");
    });
}

#[test]
fn an_object_that_nobody_gets_is_destroyed() {
    everywhere(|world| {
        world.write(512, &[0xa5; 4]);
        let (called, gone) = (calls(), freed());
        let call = [I32(512), I64(1 << 33)];
        let error = world.try_call("box_and_size", &call).expect_err("the size does not fit");
        assert!(error.downcast_ref::<CallError>().is_some_and(|error| error.called), "{error:?}");
        // The constructor, and the destructor of what it made.
        assert_eq!((calls() - called, freed() - gone), (2, 1));
        assert_eq!(world.read::<4>(512), [0xa5; 4]);
        world.works();
        let made = world.call("box_and_size", &[I32(512), I64(3)]);
        assert_eq!(world.call("box_get", &[I32(i32::try_from(made).expect("a handle"))]), 1);
        assert_eq!(freed() - gone, 1);
    });
}

#[test]
fn what_native_code_has_consumed_is_gone_although_the_call_failed() {
    everywhere(|world| {
        let handle = I32(i32::try_from(world.call("box_new", &[I32(5)])).expect("a handle"));
        let gone = freed();
        world.fails_after(
            "box_free_size",
            &[handle, I64(-1)],
            "result (size_t): the value 18446744073709551615 does not fit: 0 to 4294967295 can be held",
        );
        assert_eq!(freed() - gone, 1);
        let error = world.try_call("box_get", &[handle]).expect_err("it is gone");
        let problem = error.downcast::<CallError>().expect("a call error").problem;
        assert!(matches!(problem, Problem::Handle { error: HandleError::Stale, .. }), "{problem}");
    });
}

#[test]
fn a_good_call_runs_once() {
    everywhere(|world| {
        world.write(1024, b"abc\0");
        for (name, arguments) in [
            ("sum", vec![I32(8), I32(4)]),
            ("sum64", vec![I32(8), I64(4)]),
            ("length", vec![I32(1024)]),
            ("repeat", vec![I32(1024), I32(1024), I32(2)]),
            ("big_size", vec![I64(1)]),
            ("out_size", vec![I32(512), I64(1)]),
            ("inside", vec![I32(1024), I64(1)]),
            ("box_new", vec![I32(1)]),
            ("sort", vec![I32(MEMORY - 4), I32(MEMORY - 8)]),
        ] {
            let before = calls();
            assert!(world.try_call(name, &arguments).is_ok(), "{name}");
            assert_eq!(calls() - before, 1, "{name} on {}", world.tier);
        }
    });
}
