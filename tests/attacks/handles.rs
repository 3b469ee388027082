//! Handles.
use crate::stage::{Attack, Ends::*};

const NEW: &str = "mock.box_new i32 -> i32";
const GET: &str = "mock.box_get i32 -> i32";
const FREE: &str = "mock.box_free i32";
const OPEN: &str = "cb.session_open -> i32";
const CLOSE: &str = "cb.session_close i32";

pub fn attacks() -> Vec<Attack> {
    let get = |name, tries, handle: i64, said| {
        let body = format!(
            r#"(func (export "go") (result i32)
            (drop (call $box_new (i32.const 1))) (call $box_get (i32.const {handle})))"#
        );
        Attack::guest(name, tries, &[NEW, GET], &body, Refused(said))
    };
    let go = |body: &str| {
        format!(r#"(func (export "go") (result i32) (local $a i32) (local $b i32) {body})"#)
    };
    vec![
        get("null_handle", "pass NULL for a handle", 0, "NULL is not allowed"),
        get("guessed_handle", "guess a handle", 5, "is no handle"),
        get("pointer_for_a_handle", "pass an address for a handle", 0x7f00_1000, "is no handle"),
        get("negative_handle", "pass -1 for a handle", -1, "is no handle"),
        get("next_generation", "guess the handle that a slot will have next", 0x0030_0001, "is no handle"),
        Attack::guest("use_after_free", "use a handle after its object is gone", &[NEW, GET, FREE],
            &go("(local.set $a (call $box_new (i32.const 1))) (call $box_free (local.get $a)) (call $box_get (local.get $a))"),
            Refused("is a handle that is no longer alive")),
        Attack::guest("slot_used_again", "use a handle whose slot has another object now", &[NEW, GET, FREE],
            &go("(local.set $a (call $box_new (i32.const 1))) (call $box_free (local.get $a))
                (drop (call $box_new (i32.const 2))) (call $box_get (local.get $a))"),
            Refused("is a handle that is no longer alive")),
        Attack::guest("double_free", "free an object twice", &[NEW, FREE],
            &go("(local.set $a (call $box_new (i32.const 1))) (call $box_free (local.get $a)) (call $box_free (local.get $a)) (i32.const 0)"),
            Refused("is a handle that is no longer alive")),
        Attack::guest("double_free_in_one_call", "free an object twice in one call", &[NEW, "mock.box_swallow_both i32 i32 -> i32"],
            &go("(local.set $a (call $box_new (i32.const 1))) (call $box_swallow_both (local.get $a) (local.get $a))"),
            Refused("parameter 2")),
        Attack::guest("free_beside_its_use", "free an object that the same call uses", &[NEW, "mock.box_swallow i32 i32 -> i32"],
            &go("(local.set $a (call $box_new (i32.const 1))) (call $box_swallow (local.get $a) (local.get $a))"),
            Refused("in use")),
        Attack::guest("free_the_parent_beside", "free an object whose child the same call uses",
            &[NEW, "mock.box_child i32 i32 -> i32", "mock.box_swallow i32 i32 -> i32"],
            &go("(local.set $a (call $box_new (i32.const 1))) (local.set $b (call $box_child (local.get $a) (i32.const 1)))
                (call $box_swallow (local.get $a) (local.get $b))"),
            Refused("in use")),
        Attack::guest("child_of_the_dead", "use a child of a dead object", &[NEW, GET, FREE, "mock.box_child i32 i32 -> i32"],
            &go("(local.set $a (call $box_new (i32.const 1))) (local.set $b (call $box_child (local.get $a) (i32.const 1)))
                (call $box_free (local.get $a)) (call $box_get (local.get $b))"),
            Refused("is a handle that is no longer alive")),
        Attack::guest("wrong_type", "pass a handle of another type", &["mock.other_new -> i32", GET],
            &go("(call $box_get (call $other_new))"), Refused("is a handle of another type")),
        Attack::guest("handle_of_another_library", "pass a handle of another library", &[OPEN, GET],
            &go("(call $box_get (call $session_open))"), Refused("is a handle of another type")),
        Attack::guest("freed_in_its_own_callback", "free the object that the running call uses", &[OPEN, CLOSE, "cb.with_session i32 i32 -> i32"],
            r#"(func $f0 (param i32) (result i32) (call $session_close (local.get 0)) (i32.const 0))
            (func (export "go") (result i32) (call $with_session (i32.const 1) (call $session_open)))"#,
            Refused("in use by a call that has not returned")),
        Attack::guest("freed_when_shown", "free an object that native code has shown to the callback",
            &[OPEN, CLOSE, "cb.session_watch i32", "cb.with_watched i32 i32 -> i32"],
            r#"(func $f0 (param i32) (result i32) (call $session_close (local.get 0)) (i32.const 0))
            (func (export "go") (result i32) (call $session_watch (call $session_open)) (call $with_watched (i32.const 1) (i32.const 2)))"#,
            Refused("in use by a call that has not returned")),
        Attack::guest("freed_when_given", "free an object that an earlier callback gave to native code", &[OPEN, CLOSE, "cb.ask_twice i32 -> i32"],
            r#"(global $s (mut i32) (i32.const 0))
            (func $f0 (param i32) (result i32)
                (if (local.get 0) (then (call $session_close (global.get $s))) (else (global.set $s (call $session_open))))
                (global.get $s))
            (func (export "go") (result i32) (call $ask_twice (i32.const 1)))"#,
            Refused("in use by a call that has not returned")),
        Attack::guest("callbacks_handle_afterwards", "keep a handle that was only a callback's", &["cb.with_new_session i32 -> i32", "cb.session_id i32 -> i32"],
            r#"(global $s (mut i32) (i32.const 0))
            (func $f0 (param i32) (result i32) (global.set $s (local.get 0)) (i32.const 1))
            (func (export "go") (result i32) (drop (call $with_new_session (i32.const 1))) (call $session_id (global.get $s)))"#,
            Refused("no longer alive")),
        Attack::guest("callbacks_handle_freed", "free an object that native code owns", &["cb.with_new_session i32 -> i32", CLOSE],
            r#"(func $f0 (param i32) (result i32) (call $session_close (local.get 0)) (i32.const 1))
            (func (export "go") (result i32) (call $with_new_session (i32.const 1)))"#,
            Refused("is borrowed: it cannot be consumed")),
        Attack::guest("out_handle_nowhere", "have a new object's handle written outside of the memory", &["mock.box_open i32 i32 -> i32"],
            &go("(call $box_open (i32.const 131070) (i32.const 1))"), Refused("past the memory")),
    ]
}
