//! Callbacks that native code keeps: until they are released, while a handle lives, or longer than it should.
use crate::library::{Guest, State, bridge, builder, refused, text, trapped};
use portcullis::plan::{CallbackProblem, Limits, Problem};
use std::sync::{Mutex, MutexGuard, PoisonError};
use wasmtime::{Engine, Linker, Module, Store, Val};

/// The library keeps one callback for the whole process.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

const KEEPER: &str = r#"
    (func $twice (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
    (func (export "keep") (call $keep (i32.const 1)))
    (func (export "release") (call $release (i32.const 1)))
    (func (export "fire") (param i32) (result i32) (call $fire (local.get 0)))
    (func (export "leaf") (param i32) (result i32) (call $fire_leaf (local.get 0)))
    (func (export "thread") (param i32) (result i32) (call $fire_thread (local.get 0)))
    (func (export "count") (result i32) (call $count_calls))
"#;

fn keeper() -> String {
    text(
        &[
            ("keep", "(param i32)"),
            ("fire", "(param i32) (result i32)"),
            ("fire_leaf", "(param i32) (result i32)"),
            ("fire_thread", "(param i32) (result i32)"),
            ("count_calls", "(result i32)"),
        ],
        "$twice",
        KEEPER,
    )
}

#[test]
fn a_registered_callback_is_called_until_it_is_released() {
    let _alone = alone();
    let mut guest = Guest::new(&bridge(), &keeper());
    guest.run::<_, ()>("keep", ());
    assert_eq!(guest.run::<_, i32>("fire", 21), 42);
    guest.run::<_, ()>("keep", ());
    guest.run::<_, ()>("release", ());
    assert_eq!(refused(guest.call::<_, i32>("fire", 21)), CallbackProblem::Stray { calls: 1 });
    // That was told once; the function can be registered again.
    assert!(guest.call::<_, i32>("count", ()).is_ok());
    guest.run::<_, ()>("keep", ());
    assert_eq!(guest.run::<_, i32>("fire", 4), 8);
    guest.run::<_, ()>("release", ());
    guest.run::<_, ()>("release", ());
}

#[test]
fn foreign_threads_and_leaves_run_no_guest_code() {
    let _alone = alone();
    let mut guest = Guest::new(&bridge(), &keeper());
    guest.run::<_, ()>("keep", ());
    for name in ["thread", "leaf"] {
        let error = trapped(guest.call::<_, i32>(name, 3));
        assert!(error.called, "{error}");
        assert!(
            error
                .to_string()
                .contains("native code called a guest function once where none may run"),
            "{error}"
        );
        assert_eq!(guest.run::<_, i32>("fire", 3), 6, "after {name}");
    }
    guest.run::<_, ()>("release", ());
}

#[test]
fn a_callback_of_a_store_that_is_gone_does_nothing() {
    let _alone = alone();
    let bridge = bridge();
    let mut first = Guest::new(&bridge, &keeper());
    first.run::<_, ()>("keep", ());
    drop(first);
    // `__on_trap(-9)` is what C gets; the store of the caller has no part in it.
    let mut second = Guest::new(&bridge, &keeper());
    for number in 0..1000 {
        assert_eq!(second.run::<_, i32>("fire", number), -9);
    }
    // Its stub is nobody else's: others are called as before.
    second.run::<_, ()>("keep", ());
    assert_eq!(second.run::<_, i32>("fire", 5), 10);
    second.run::<_, ()>("release", ());
}

/// A thread of the library's own comes when it likes: what it calls is nobody else's, although the guest has released it.
#[test]
fn what_other_threads_call_is_never_used_again() {
    let _alone = alone();
    let bridge = bridge();
    let mut first = Guest::new(&bridge, &keeper());
    first.run::<_, ()>("keep", ());
    trapped(first.call::<_, i32>("thread", 3));
    first.run::<_, ()>("release", ());
    drop(first);
    let mut second = Guest::new(&bridge, &keeper());
    assert_eq!(second.run::<_, i32>("thread", 3), -9);
    // More closures come and go than there are stubs that wait.
    let (mut functions, mut elements) = (String::new(), String::new());
    for number in 0..60 {
        functions += &format!("(func $f{number} (param i32) (result i32) (i32.const {number}))\n");
        elements += &format!("$f{number} ");
    }
    let guest = text(&[APPLY_TO], &elements, &format!("{functions}{TRY}"));
    for _ in 0..40 {
        let mut other = Guest::new(&bridge, &guest);
        for index in 0..60 {
            assert_eq!(other.run::<_, i32>("go", (index + 1, 4)), 2 * index);
        }
        assert_eq!(second.run::<_, i32>("thread", 3), -9);
        drop(other);
        assert_eq!(second.run::<_, i32>("thread", 3), -9);
    }
}

/// As many guests as it takes to have each stub that waits used again, each with many functions of another type
/// than the library keeps.
fn none_of_another_type_is_kept(bridge: &portcullis::host::Bridge) {
    let (mut functions, mut elements) = (String::new(), String::new());
    for number in 0..60 {
        functions += &format!("(func $f{number} (param f64) (result f64) (local.get 0))\n");
        elements += &format!("$f{number} ");
    }
    functions += r#"(func (export "go") (param i32) (result i32) (call $is_kept (local.get 0)))"#;
    let guest = text(&[("is_kept", "(param i32) (result i32)")], &elements, &functions);
    for _ in 0..40 {
        let mut other = Guest::new(bridge, &guest);
        for index in 1..=60 {
            assert_eq!(other.run::<_, i32>("go", index), 0);
        }
    }
}

/// That a library has forgotten a function is a guest's word, which may be a lie.
#[test]
fn what_a_guest_says_was_forgotten_never_has_another_type() {
    let _alone = alone();
    let bridge = bridge();
    let mut first = Guest::new(&bridge, &keeper());
    first.run::<_, ()>("keep", ());
    first.run::<_, ()>("release", ());
    drop(first);
    none_of_another_type_is_kept(&bridge);
    // The library calls it all the same: nobody's function runs.
    let mut second = Guest::new(&bridge, &keeper());
    assert_eq!(second.run::<_, i32>("fire", 3), -9);
}

const CODE: (&str, &str) = ("kept_code", "(result i64)");

/// Keeps a function and says that it was forgotten; the address that the library got for it.
fn keep_and_release(bridge: &portcullis::host::Bridge) -> i64 {
    let guest = text(
        &[("keep", "(param i32)"), CODE],
        "$f",
        r#"(func $f (param i32) (result i32) (i32.const 1))
           (func (export "go") (result i64)
               (call $keep (i32.const 1)) (call $release (i32.const 1)) (call $kept_code))"#,
    );
    Guest::new(bridge, &guest).run("go", ())
}

#[test]
fn what_is_called_when_its_store_has_ended_is_never_used_again() {
    let _alone = alone();
    let bridge = bridge();
    let code = keep_and_release(&bridge);
    // Under a call of another store, on the thread of both.
    let mut second = Guest::new(&bridge, &keeper());
    assert_eq!(second.run::<_, i32>("fire", 3), -9);
    for _ in 0..300 {
        assert_ne!(keep_and_release(&bridge), code);
    }
}

/// Whatever a library keeps and is told to forget costs a process no more with each store. Nobody else has functions of
/// that type.
#[test]
fn functions_that_were_forgotten_are_few() {
    let bridge = bridge();
    let guest = text(
        &[("keep_odd", "(param i32)"), ("odd_code", "(result i64)")],
        "$f",
        r#"(func $f (param i32 i32 i32) (result i32) (i32.const 1))
           (func (export "go") (result i64)
               (call $keep_odd (i32.const 1)) (call $release (i32.const 1)) (call $odd_code))"#,
    );
    let codes: std::collections::HashSet<i64> =
        (0..500).map(|_| Guest::new(&bridge, &guest).run::<_, i64>("go", ())).collect();
    assert!(codes.len() <= 64, "{} stubs", codes.len());
}

const APPLY_TO: (&str, &str) = ("apply", "(param i32 i32) (result i32)");
const TRY: &str = r#"(func (export "go") (param i32 i32) (result i32) (call $apply (local.get 0) (local.get 1)))"#;

#[test]
fn another_store_is_not_entered() {
    let _alone = alone();
    let bridge = bridge();
    let (mut first, mut second) = (Guest::new(&bridge, &keeper()), Guest::new(&bridge, &keeper()));
    first.run::<_, ()>("keep", ());
    assert_eq!(second.run::<_, i32>("fire", 1), -9);
    // The store whose callback it was hears of it at its next call.
    assert_eq!(refused(first.call::<_, i32>("count", ())), CallbackProblem::Stray { calls: 1 });
    assert_eq!(first.run::<_, i32>("fire", 1), 2);
    first.run::<_, ()>("release", ());
}

#[test]
fn strings_of_registered_callbacks_live_on() {
    let _alone = alone();
    let guest = text(
        &[
            ("keep_text", "(param i32)"),
            ("fire_text", "(param i32) (result i32)"),
            ("outer_text", "(param i32) (result i32)"),
        ],
        "$f",
        r#"(data (i32.const 512) "hello\00")
           (func $f (param i32) (result i32) (i32.add (i32.const 512) (local.get 0)))
           (func (export "go") (result i32)
               (call $keep_text (i32.const 1))
               (drop (call $fire_text (i32.const 1)))
               (i32.store8 (i32.const 513) (i32.const 0))
               (call $outer_text (i32.const 0)))
           (func (export "again") (param i32) (result i32) (call $outer_text (local.get 0)))"#,
    );
    let mut guest = Guest::new(&bridge(), &guest);
    assert_eq!(guest.run::<_, i32>("go", ()), i32::from(b'e'));
    assert_eq!(guest.run::<_, i32>("again", 3), i32::from(b'o'));
}

const SESSIONS: &str = r#"
    (func $inc (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
    (func $closer (param i32) (result i32) (call $session_close (local.get 0)) (i32.const 0))
    (func (export "open") (result i32) (call $session_open))
    (func (export "close") (param i32) (call $session_close (local.get 0)))
    (func (export "hook") (param i32) (call $session_hook (local.get 0) (i32.const 1)))
    (func (export "with") (result i32) (call $session_with (i32.const 1)))
    (func (export "fire") (param i32 i32) (result i32) (call $session_fire (local.get 0) (local.get 1)))
    (func (export "hook_closer") (param i32) (call $session_hook (local.get 0) (i32.const 2)))
"#;

fn sessions() -> Guest {
    let guest = text(
        &[
            ("session_open", "(result i32)"),
            ("session_close", "(param i32)"),
            ("session_hook", "(param i32 i32)"),
            ("session_with", "(param i32) (result i32)"),
            ("session_fire", "(param i32 i32) (result i32)"),
        ],
        "$inc $closer",
        SESSIONS,
    );
    Guest::new(&bridge(), &guest)
}

#[test]
fn handles_keep_callbacks_as_long_as_they_live() {
    let mut guest = sessions();
    for open in ["open", "with"] {
        let session: i32 = guest.run(open, ());
        if open == "open" {
            guest.run::<_, ()>("hook", session);
            guest.run::<_, ()>("hook", session);
        }
        for number in 0..3 {
            assert_eq!(guest.run::<_, i32>("fire", (session, number)), number + 1);
        }
        guest.run::<_, ()>("close", session);
    }
    // What one handle has kept is gone with it, what another keeps is not.
    let (one, other): (i32, i32) = (guest.run("open", ()), guest.run("open", ()));
    guest.run::<_, ()>("hook", one);
    guest.run::<_, ()>("hook", other);
    guest.run::<_, ()>("close", one);
    assert_eq!(guest.run::<_, i32>("fire", (other, 7)), 8);
}

#[test]
fn the_handle_in_use_cannot_be_closed() {
    let mut guest = sessions();
    let session: i32 = guest.run("open", ());
    guest.run::<_, ()>("hook_closer", session);
    let error = trapped(guest.call::<_, i32>("fire", (session, session)));
    assert!(error.to_string().contains("is in use by a call that has not returned"), "{error}");
    guest.run::<_, ()>("close", session);
}

#[test]
fn closures_are_as_many_as_the_host_allows() {
    let engine = Engine::default();
    let limits = Limits { callbacks: 3, ..Limits::default() };
    let bridge = builder(&engine).limits(limits).build().expect("valid");
    let guest = text(
        &[("apply", "(param i32 i32) (result i32)")],
        "$a $b $c $d",
        r#"(func $a (param i32) (result i32) (local.get 0)) (func $b (param i32) (result i32) (local.get 0))
           (func $c (param i32) (result i32) (local.get 0)) (func $d (param i32) (result i32) (local.get 0))
           (func (export "go") (param i32) (result i32) (call $apply (local.get 0) (i32.const 1)))"#,
    );
    let mut guest = Guest::new(&bridge, &guest);
    for _ in 0..3 {
        for index in 1..=3 {
            assert_eq!(guest.run::<_, i32>("go", index), 3);
        }
    }
    let error = trapped(guest.call::<_, i32>("go", 4));
    assert_eq!(error.problem, Problem::Limit { limit: "callbacks", value: 3 });
    assert!(!error.called);
}

/// Far more than there are stubs in the program's text.
#[test]
fn a_hundred_thousand_closures_work_at_once() {
    const FUNCTIONS: i32 = 500;
    const INSTANCES: i32 = 200;
    let (mut functions, mut elements) = (String::new(), String::new());
    for number in 0..FUNCTIONS {
        functions += &format!(
            "(func $f{number} (param i32) (result i32) (i32.add (global.get $mine) (i32.const {number})))\n"
        );
        elements += &format!("$f{number} ");
    }
    functions += r#"(global $mine (export "mine") (mut i32) (i32.const 0))
        (func (export "go") (param i32) (result i32) (call $apply (local.get 0) (i32.const 1)))"#;
    let guest = text(&[("apply", "(param i32 i32) (result i32)")], &elements, &functions)
        .replace("64 funcref", &format!("{} funcref", FUNCTIONS + 1))
        .replace("(memory (export \"memory\") 2)", "(memory (export \"memory\") 0)");
    let bridge = bridge();
    let module = Module::new(bridge.engine(), guest).expect("valid");
    let mut store = Store::new(bridge.engine(), State::default());
    let linker = Linker::new(bridge.engine());
    let mut all = Vec::new();
    for number in 0..INSTANCES {
        let made = bridge.instantiate(&mut store, &linker, &module, |state| &mut state.natives);
        let made = made.expect("it links");
        let mine = made.get_global(&mut store, "mine").expect("exported");
        mine.set(&mut store, Val::I32(1000 * number)).expect("mutable");
        all.push(made.get_typed_func::<i32, i32>(&mut store, "go").expect("exported"));
    }
    for step in [1, 7] {
        for (number, go) in (0..INSTANCES).zip(&all) {
            for index in (0..FUNCTIONS).step_by(step) {
                let sum = go.call(&mut store, index + 1).expect("it is called");
                assert_eq!(sum, 2 * (1000 * number + index));
            }
        }
    }
}
