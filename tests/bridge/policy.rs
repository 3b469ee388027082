//! What embedders may say about imports and calls: hooks, revoking, threads, fuel.
use crate::mock;
use crate::support::*;
use portcullis::host::{Bridge, BuildError, ImportStatus, LinkProblem, Tier};
use portcullis::plan::Problem;
use std::sync::{Arc, Mutex};
use wasmtime::{Config, Engine, Linker, Module, Store, Trap, Val};

const ADD: &str = r#"(module
    (import "mock" "add" (func $add (param i32 i32) (result i32)))
    (func (export "run") (param i32 i32) (result i32) (call $add (local.get 0) (local.get 1)))
    (func (export "run_forever") (loop (drop (call $add (i32.const 1) (i32.const 2))) (br 0))))"#;

fn builder(engine: &Engine) -> portcullis::host::BridgeBuilder {
    mock::granted(engine, mock::INTERFACE)
}

#[test]
fn a_hook_decides_what_is_linked() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&seen);
    let bridge = builder(&Engine::default()).on_link(move |linking| {
        let name = linking.prototype.name.to_string();
        told.lock().unwrap().push((
            linking.module.to_owned(),
            linking.interface.to_owned(),
            name.clone(),
        ));
        if name == "add" { Err("nobody adds here".to_owned()) } else { Ok(()) }
    });
    let bridge = bridge.build().unwrap();
    let error = refused(&bridge, ADD);
    assert!(!error.is_denial());
    assert!(
        matches!(&error.problem, LinkProblem::Refused { reason } if reason == "nobody adds here"),
        "{error}"
    );
    assert!(error.to_string().ends_with("the host refuses it: nobody adds here"), "{error}");
    let twice = r#"(module (import "mock" "twice" (func $twice (param i64) (result i64)))
        (func (export "run") (param i64) (result i64) (call $twice (local.get 0))))"#;
    // Each instance is asked for, also where the link is known.
    for _ in 0..2 {
        let mut guest = Guest::new(&bridge, twice).unwrap();
        assert_eq!(guest.call::<_, i64>("run", 21i64).unwrap(), 42);
    }
    let one = |name: &str| ("mock".to_owned(), "mock.h".to_owned(), name.to_owned());
    assert_eq!(*seen.lock().unwrap(), [one("add"), one("twice"), one("twice")]);
    // It decides for linkers and for descriptions too.
    let module = Module::new(bridge.engine(), ADD).unwrap();
    let mut linker = Linker::<State>::new(bridge.engine());
    assert!(bridge.add_to_linker(&mut linker, &module, natives).is_err());
    assert!(matches!(bridge.describe(&module)[0].status, ImportStatus::Refused(_)));
}

/// A bridge that lets nobody add odd numbers.
fn even() -> Bridge {
    let selects = |linking: &portcullis::host::Linking<'_>| &*linking.prototype.name.name == "add";
    let bridge = builder(&Engine::default()).on_call(selects, |call| match call.arguments {
        [Val::I32(a), Val::I32(b)] if a % 2 == 0 && b % 2 == 0 => Ok(()),
        [Val::I32(a), Val::I32(b)] => Err(format!("{} of {a} and {b} is odd", call.import)),
        other => Err(format!("these are no arguments of `add`: {other:?}")),
    });
    bridge.build().unwrap()
}

#[test]
fn a_hook_decides_which_calls_pass() {
    let bridge = even();
    let mut guest = Guest::new(&bridge, ADD).unwrap();
    assert_eq!(guest.call::<_, i32>("run", (2, 40)).unwrap(), 42);
    let before = mock::calls();
    let error = trapped(guest.call::<_, i32>("run", (2, 41)));
    assert_eq!(
        error.to_string(),
        "mock.add: the host refuses this call: mock.add of 2 and 41 is odd"
    );
    assert!(!error.called && mock::calls() == before, "it has not been called");
    assert_eq!(guest.call::<_, i32>("run", (4, 4)).unwrap(), 8, "the guest is usable after that");
    // Such functions are never called directly, and say so.
    let module = Module::new(bridge.engine(), ADD).unwrap();
    let ImportStatus::Native(functions) = &bridge.describe(&module)[0].status else {
        panic!("granted")
    };
    assert!(functions[0].tier < Tier::Direct);
    if crate::MOST == Tier::Direct {
        let why = functions[0].why_no_faster.as_deref().unwrap_or_default();
        assert!(why.contains("each call is asked for"), "{why}");
    }
    // Functions of a linker are asked for too.
    let mut linker = Linker::<State>::new(bridge.engine());
    bridge.add_to_linker(&mut linker, &module, natives).unwrap();
    let mut store = Store::new(bridge.engine(), State::default());
    let instance = linker.instantiate(&mut store, &module).unwrap();
    let run = instance.get_typed_func::<(i32, i32), i32>(&mut store, "run").unwrap();
    assert_eq!(run.call(&mut store, (2, 2)).unwrap(), 4);
    assert!(matches!(trapped(run.call(&mut store, (1, 1))).problem, Problem::Refused { .. }));
}

#[test]
fn a_hook_reads_what_native_code_will_read() {
    let selects =
        |linking: &portcullis::host::Linking<'_>| &*linking.prototype.name.name == "choose";
    let bridge = builder(&Engine::default()).on_call(selects, |call| {
        let [Val::I32(2), Val::I32(text)] = call.arguments else { return Ok(()) };
        match call.string(text.cast_unsigned().into()) {
            Some(b"four") => Ok(()),
            Some(other) => Err(format!("not {:?}", String::from_utf8_lossy(other))),
            None => Err("no string".to_owned()),
        }
    });
    let bridge = bridge.build().unwrap();
    let text = r#"(module
        (import "mock" "choose" (func $choose (param i32 i32) (result i32)))
        (memory (export "memory") 1) (data (i32.const 64) "four\00five\00") (data (i32.const 65532) "last")
        (func (export "run") (param i32 i32) (result i32) (call $choose (local.get 0) (local.get 1)))
        (func $start (drop (call $choose (i32.const 2) (i32.const 64)))) (start $start))"#;
    let mut guest = Guest::new(&bridge, text).unwrap();
    assert_eq!(guest.call::<_, i32>("run", (2, 64)).unwrap(), 4);
    assert_eq!(guest.call::<_, i32>("run", (1, 69)).unwrap(), 70, "the other overload");
    for (at, reason) in
        [(69, "not \"five\""), (65532, "no string"), (65536, "no string"), (-1, "no string")]
    {
        let error = trapped(guest.call::<_, i32>("run", (2, at)));
        assert_eq!(error.problem, Problem::Refused { reason: reason.to_owned() }, "{at}");
    }
}

#[test]
fn an_interface_is_revoked_while_a_guest_calls_it() {
    let bridge = builder(&Engine::default()).revocable("mock.h").build().unwrap();
    assert!(!bridge.revoke("zlib.h"), "nobody said so of it");
    let (started, wait) = std::sync::mpsc::channel();
    let guests = (0..3).map(|_| {
        let (bridge, started) = (bridge.clone(), started.clone());
        std::thread::spawn(move || {
            let mut guest = Guest::new(&bridge, ADD).unwrap();
            assert_eq!(guest.call::<_, i32>("run", (1, 2)).unwrap(), 3);
            started.send(()).unwrap();
            // Only the revocation ends this.
            let error = trapped(guest.call::<_, ()>("run_forever", ()));
            assert_eq!(error.problem, Problem::Revoked { interface: "mock.h".to_owned() });
            assert!(matches!(
                trapped(guest.call::<_, i32>("run", (1, 2))).problem,
                Problem::Revoked { .. }
            ));
        })
    });
    let guests: Vec<_> = guests.collect();
    (0..3).for_each(|_| wait.recv().unwrap());
    assert!(bridge.revoke("mock.h"));
    guests.into_iter().for_each(|guest| guest.join().unwrap());
    let error = refused(&bridge, ADD);
    assert!(matches!(error.problem, LinkProblem::Revoked { .. }), "{error}");
}

#[test]
fn what_a_revoked_interface_owns_is_destroyed_with_its_store() {
    let bridge = builder(&Engine::default()).revocable("mock.h").build().unwrap();
    let text = r#"(module (import "mock" "thing_open" (func $open (param i32) (result i32)))
        (func (export "open") (param i32) (result i32) (call $open (local.get 0))))"#;
    let mut guest = Guest::new(&bridge, text).unwrap();
    assert!(guest.call::<_, i32>("open", 4711).unwrap() != 0);
    assert!(bridge.revoke("mock.h"));
    trapped(guest.call::<_, i32>("open", 4712));
    drop(guest);
    assert_eq!(mock::closed(), [4711]);
}

#[test]
fn an_interface_belongs_to_the_first_thread_that_calls_it() {
    let bridge = builder(&Engine::default()).pin_to_thread("mock.h").build().unwrap();
    let mut guest = Guest::new(&bridge, ADD).unwrap();
    let other = bridge.clone();
    let first = std::thread::spawn(move || {
        let mut guest = Guest::new(&other, ADD).unwrap();
        guest.call::<_, i32>("run", (1, 2)).unwrap()
    });
    assert_eq!(first.join().unwrap(), 3);
    let before = mock::calls();
    let error = trapped(guest.call::<_, i32>("run", (1, 2)));
    assert_eq!(error.problem, Problem::OtherThread { interface: "mock.h".to_owned() });
    assert_eq!(mock::calls(), before);
}

#[test]
fn calls_cost_the_fuel_that_their_prototype_says() {
    let interface = mock::INTERFACE
        .replace("int add(int a, int b);", "int add(int a, int b) __fuel(10 * 100);");
    let mut config = Config::new();
    config.consume_fuel(true);
    let engine = Engine::new(&config).unwrap();
    let bridge = mock::granted(&engine, &interface).build().unwrap();
    let mut guest = Guest::new(&bridge, ADD).unwrap();
    guest.store.set_fuel(5_000).unwrap();
    let spent = |guest: &mut Guest| {
        let before = guest.store.get_fuel().unwrap();
        assert_eq!(guest.call::<_, i32>("run", (1, 2)).unwrap(), 3);
        before - guest.store.get_fuel().unwrap()
    };
    assert!((1_000..1_100).contains(&spent(&mut guest)));
    guest.store.set_fuel(1_020).unwrap();
    assert!(spent(&mut guest) <= 1_020);
    guest.store.set_fuel(900).unwrap();
    let before = mock::calls();
    let error = guest.call::<_, i32>("run", (1, 2)).expect_err("there is no fuel for it");
    assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::OutOfFuel), "{error:?}");
    assert_eq!((mock::calls(), guest.store.get_fuel().unwrap()), (before, 0));
    // Where no fuel is counted, none is charged.
    let bridge = mock::granted(&Engine::default(), &interface).build().unwrap();
    let mut guest = Guest::new(&bridge, ADD).unwrap();
    assert_eq!(guest.call::<_, i32>("run", (1, 2)).unwrap(), 3);
}

/// Two overloads of one function: the hook, the fuel or the thread is of one of them.
mod one_of_two {
    use super::*;

    const TEXT: &str = r#"(module
        (import "mock" "choose" (func $choose (param i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 16) "four\00")
        (func (export "run") (param i32 i32) (result i32)
            (call $choose (local.get 0) (local.get 1))))"#;
    const FREE: i32 = 1;
    const TERMS: i32 = 2;

    /// The one with terms first and last, at once and when it is hot.
    fn each(engine: &Engine, terms: &str, test: impl Fn(portcullis::host::BridgeBuilder)) {
        let with = format!("int choose(int option __range(2), const char *text) __leaf {terms};");
        let without = "int choose(int option __range(1), int value) __leaf;";
        for first_has in [true, false] {
            let (one, other) = if first_has { (&*with, without) } else { (without, &*with) };
            let interface = format!(
                "#include \"portcullis.h\"\n#pragma portcullis library \"libmock.so\" module \"mock\"\n{one}\n{other}\n"
            );
            test(mock::granted(engine, &interface));
            test(mock::granted(engine, &interface).when_hot(3));
        }
    }

    /// Calls of the free one, so many that it is hot, and what it says.
    fn warm(guest: &mut Guest) {
        for n in 0..20 {
            assert_eq!(guest.call::<_, i32>("run", (FREE, n)).unwrap(), n + 1);
        }
    }

    #[test]
    fn a_hook_decides() {
        each(&Engine::default(), "", |builder| {
            let selects = |linking: &portcullis::host::Linking<'_>| {
                linking.prototype.to_string().contains("__range(2)")
            };
            let bridge = builder.on_call(selects, |call| match call.arguments {
                [_, Val::I32(n)] if n % 2 == 0 => Ok(()),
                _ => Err("odd".to_owned()),
            });
            let mut guest = Guest::new(&bridge.build().unwrap(), TEXT).unwrap();
            for _ in 0..10 {
                warm(&mut guest);
                assert_eq!(guest.call::<_, i32>("run", (TERMS, 16)).unwrap(), 4);
                let before = mock::calls();
                let error = trapped(guest.call::<_, i32>("run", (TERMS, 17)));
                assert!(matches!(error.problem, Problem::Refused { .. }), "{error}");
                assert_eq!(mock::calls(), before);
            }
        });
    }

    #[test]
    fn it_is_charged() {
        let mut config = Config::new();
        config.consume_fuel(true);
        let engine = Engine::new(&config).unwrap();
        each(&engine, "__fuel(1000)", |builder| {
            let mut guest = Guest::new(&builder.build().unwrap(), TEXT).unwrap();
            for _ in 0..10 {
                guest.store.set_fuel(10_000).unwrap();
                warm(&mut guest);
                let before = guest.store.get_fuel().unwrap();
                assert!(before > 9_000, "the free one costs its instructions");
                assert_eq!(guest.call::<_, i32>("run", (TERMS, 16)).unwrap(), 4);
                let spent = before - guest.store.get_fuel().unwrap();
                assert!((1_000..1_100).contains(&spent), "{spent}");
                guest.store.set_fuel(900).unwrap();
                let before = mock::calls();
                let error = guest.call::<_, i32>("run", (TERMS, 16)).expect_err("too little");
                assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::OutOfFuel), "{error:?}");
                assert_eq!(mock::calls(), before);
            }
        });
    }
}

#[test]
fn what_is_said_of_unknown_interfaces_is_a_mistake() {
    for name in ["mock", "zlib", ""] {
        for builder in [
            builder(&Engine::default()).revocable(name),
            builder(&Engine::default()).pin_to_thread(name),
        ] {
            let error = builder.build().expect_err("nothing of that name is granted");
            assert!(
                matches!(&error, BuildError::NotGranted { interface, .. } if interface == name),
                "{error}"
            );
            assert!(error.to_string().contains("granted: mock.h"), "{error}");
        }
    }
}
