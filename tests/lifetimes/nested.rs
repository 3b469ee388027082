//! What callbacks may use of the objects that a call is busy with: not what is `__exclusive`, nor what that
//! lends; not what the call `__invalidates` to have it invalidated again. And what must be remembered.
use crate::native;
use portcullis::host::{Bridge, Natives};
use portcullis::plan::handles::HandleError;
use portcullis::plan::{CallError, Problem};
use wasmtime::{Engine, Instance, Linker, Module, Store, Val};

/// `callback` calls the function that it is given the number of, with the handle in `of`.
const GUEST: &str = r#"(module
    (import "nested" "conn_open" (func $conn_open (result i32)))
    (import "nested" "conn_close" (func $conn_close (param i32)))
    (import "nested" "conn_exec" (func $conn_exec (param i32) (result i32)))
    (import "nested" "query_new" (func $query_new (param i32) (result i32)))
    (import "nested" "query_free" (func $query_free (param i32)))
    (import "nested" "query_id" (func $query_id (param i32) (result i32)))
    (import "nested" "query_run" (func $query_run (param i32 i32 i32) (result i32)))
    (import "nested" "query_end" (func $query_end (param i32 i32) (result i32)))
    (import "nested" "query_on" (func $query_on (param i32 i32) (result i32)))
    (import "nested" "query_join" (func $query_join (param i32 i32) (result i32)))
    (import "nested" "parser_new" (func $parser_new (result i32)))
    (import "nested" "parser_parse" (func $parser_parse (param i32 i32 i32) (result i32)))
    (import "nested" "parser_line" (func $parser_line (param i32) (result i32)))
    (import "nested" "context_new" (func $context_new (result i32)))
    (import "nested" "context_start" (func $context_start (param i32 i32) (result i32)))
    (import "nested" "context_use" (func $context_use (param i32) (result i32)))
    (memory (export "memory") 1)
    (table (export "__indirect_function_table") 2 funcref)
    (elem (i32.const 1) $callback)
    (global $of (mut i32) (i32.const 0))
    (func $callback (param $what i32) (result i32)
        (local $of i32)
        (local.set $of (global.get $of))
        (if (i32.eq (local.get $what) (i32.const 1))
            (then (return (call $conn_exec (local.get $of)))))
        (if (i32.eq (local.get $what) (i32.const 2))
            (then (return (call $query_run (local.get $of) (i32.const 0) (i32.const 0)))))
        (if (i32.eq (local.get $what) (i32.const 3))
            (then (return (call $query_id (local.get $of)))))
        (if (i32.eq (local.get $what) (i32.const 4))
            (then (return (call $parser_parse (local.get $of) (i32.const 0) (i32.const 0)))))
        (if (i32.eq (local.get $what) (i32.const 5))
            (then (return (call $parser_line (local.get $of)))))
        (call $query_new (local.get $of)))
    (func (export "query_run") (param $q i32) (param $what i32) (param $of i32) (result i32)
        (global.set $of (local.get $of))
        (call $query_run (local.get $q) (i32.const 1) (local.get $what)))
    (func (export "parser_parse") (param $p i32) (param $what i32) (param $of i32) (result i32)
        (global.set $of (local.get $of))
        (call $parser_parse (local.get $p) (i32.const 1) (local.get $what)))
    (export "conn_open" (func $conn_open))
    (export "conn_close" (func $conn_close))
    (export "conn_exec" (func $conn_exec))
    (export "query_new" (func $query_new))
    (export "query_free" (func $query_free))
    (export "query_end" (func $query_end))
    (export "query_on" (func $query_on))
    (export "query_join" (func $query_join))
    (export "parser_new" (func $parser_new))
    (export "context_new" (func $context_new))
    (export "context_start" (func $context_start))
    (export "context_use" (func $context_use)))"#;

const EXEC: i32 = 1;
const RUN: i32 = 2;
const ID: i32 = 3;
const PARSE: i32 = 4;
const LINE: i32 = 5;
const NEW: i32 = 6;

struct World {
    store: Store<Natives>,
    instance: Instance,
    _folder: tempfile::TempDir,
}

impl World {
    fn new() -> World {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path =
            native::compile(folder.path(), "libnested.so", include_str!("nested.c"), &["-O1"]);
        let engine = Engine::default();
        let builder = Bridge::builder(&engine)
            .max_tier(crate::MOST)
            .library("libnested.so", path)
            .expect("absolute");
        // SAFETY: the interface is true of the library.
        let builder = unsafe { builder.grant_interface("nested.h", include_str!("nested.h")) };
        let bridge = builder.and_then(|builder| builder.build());
        let bridge = bridge.unwrap_or_else(|error| panic!("{error}"));
        let module = Module::new(&engine, GUEST).unwrap_or_else(|error| panic!("{error:?}"));
        let mut store = Store::new(&engine, Natives::default());
        let linker = Linker::new(&engine);
        let instance = bridge.instantiate(&mut store, &linker, &module, |natives| natives);
        let instance = instance.unwrap_or_else(|error| panic!("{error:?}"));
        World { store, instance, _folder: folder }
    }

    fn try_call(&mut self, name: &str, arguments: &[i32]) -> Result<i32, Box<CallError>> {
        let function = self.instance.get_func(&mut self.store, name).expect("it is exported");
        let arguments: Vec<Val> = arguments.iter().map(|value| Val::I32(*value)).collect();
        let mut results = vec![Val::I32(0); function.ty(&self.store).results().len()];
        match function.call(&mut self.store, &arguments, &mut results) {
            Ok(()) => Ok(results.first().map_or(0, Val::unwrap_i32)),
            Err(error) => {
                Err(Box::new(error.downcast().unwrap_or_else(|e| panic!("{name}: {e:?}"))))
            }
        }
    }

    #[track_caller]
    fn call(&mut self, name: &str, arguments: &[i32]) -> i32 {
        self.try_call(name, arguments).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    #[track_caller]
    fn busy(&mut self, name: &str, arguments: &[i32]) {
        let problem = self.try_call(name, arguments).expect_err("it is in use").problem;
        let busy = matches!(problem, Problem::Handle { error: HandleError::Busy, .. });
        assert!(busy, "{problem}");
    }
}

#[test]
fn a_call_has_what_lends_its_handles_to_itself() {
    let mut world = World::new();
    let [a, b] = [(); 2].map(|()| world.call("conn_open", &[]));
    let [one, two] = [(); 2].map(|()| world.call("query_new", &[a]));
    let other = world.call("query_new", &[b]);
    for (what, of) in [(EXEC, a), (RUN, two), (RUN, one), (ID, two), (NEW, a)] {
        world.busy("query_run", &[one, what, of]);
        // The marks are gone.
        assert!(world.call("conn_exec", &[a]) > 0, "{what}");
    }
    for (what, of) in [(EXEC, b), (RUN, other), (ID, other), (NEW, b)] {
        assert!(world.call("query_run", &[one, what, of]) > 0, "{what}");
    }
    // What dies in a call gives up what it was lent by.
    world.call("query_free", &[two]);
    assert!(world.call("query_end", &[one, a]) > 0);
    assert!(world.call("conn_exec", &[a]) > 0);
    world.call("conn_close", &[a]);
    world.busy("query_run", &[other, EXEC, b]);
    assert!(world.call("conn_exec", &[b]) > 0);
}

#[test]
fn arguments_of_one_call_share_what_lends_them() {
    let mut world = World::new();
    let conn = world.call("conn_open", &[]);
    let [one, two] = [(); 2].map(|()| world.call("query_new", &[conn]));
    assert_eq!(world.call("query_on", &[one, conn]), 1);
    assert_eq!(world.call("query_join", &[one, two]), 1);
    assert_eq!(world.call("query_join", &[one, one]), 1);
    assert!(world.call("conn_exec", &[conn]) > 0);
}

#[test]
fn a_call_that_invalidates_is_not_entered_twice_but_lets_others_in() {
    let mut world = World::new();
    let [one, two] = [(); 2].map(|()| world.call("parser_new", &[]));
    world.busy("parser_parse", &[one, PARSE, one]);
    assert_eq!(world.call("parser_parse", &[one, LINE, one]), 7);
    assert_eq!(world.call("parser_parse", &[one, PARSE, two]), 1);
}

#[test]
fn what_a_call_returned_is_remembered_until_the_next_says_otherwise() {
    let mut world = World::new();
    let context = world.call("context_new", &[]);
    let problem = world.try_call("context_use", &[context]).expect_err("never started").problem;
    assert!(matches!(&problem, Problem::Unset { name, .. } if name == "ready"), "{problem}");
    world.call("context_start", &[context, 0]);
    let problem = world.try_call("context_use", &[context]).expect_err("it failed").problem;
    assert!(!matches!(problem, Problem::Unset { .. }), "{problem}");
    world.call("context_start", &[context, 1]);
    assert_eq!(world.call("context_use", &[context]), 5);
    world.call("context_start", &[context, 0]);
    assert!(world.try_call("context_use", &[context]).is_err(), "the latest counts");
}
