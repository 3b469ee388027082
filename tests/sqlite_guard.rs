//! The guard of SQLite: SQL of a guest makes no code pointers, and everything else still works.
use portcullis::host::{Bridge, Natives};
use portcullis::interfaces;
use wasmtime::{Engine, Instance, Linker, Module, Store};

/// `run(n)` executes the statements at address `n` on a fresh connection and returns SQLite's code;
/// `limit()` asks for the longest LIKE pattern.
const GUEST: &str = r#"(module
  (import "sqlite3" "sqlite3_open" (func $open (param i32 i32) (result i32)))
  (import "sqlite3" "sqlite3_prepare_v2" (func $prepare (param i32 i32 i32 i32 i32) (result i32)))
  (import "sqlite3" "sqlite3_step" (func $step (param i32) (result i32)))
  (import "sqlite3" "sqlite3_finalize" (func $finalize (param i32) (result i32)))
  (import "sqlite3" "sqlite3_limit" (func $limit (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (global $next (mut i32) (i32.const 8192))
  (func (export "malloc") (param i32) (result i32)
    (global.get $next)
    (global.set $next (i32.add (global.get $next) (i32.and (i32.add (local.get 0) (i32.const 15)) (i32.const -16)))))
  (func (export "free") (param i32))
  (func $connection (result i32)
    (drop (call $open (i32.const 16) (i32.const 8)))
    (i32.load (i32.const 8)))
  (func (export "run") (param $sql i32) (result i32) (local $db i32) (local $code i32)
    (local.set $db (call $connection))
    (loop $statement
      (local.set $code (call $prepare (local.get $db) (local.get $sql) (i32.const -1) (i32.const 8) (i32.const 12)))
      (if (local.get $code) (then (return (local.get $code))))
      (drop (call $step (i32.load (i32.const 8))))
      (local.set $code (call $finalize (i32.load (i32.const 8))))
      (if (local.get $code) (then (return (local.get $code))))
      (local.set $sql (i32.load (i32.const 12)))
      (br_if $statement (i32.load8_u (local.get $sql))))
    (i32.const 0))
  (func (export "limit") (param i32) (result i32)
    (call $limit (call $connection) (i32.const 8) (local.get 0)))
  (data (i32.const 16) ":memory:\00")
  (data (i32.const 256) "SELECT hex(fts3_tokenizer('simple'))\00")
  (data (i32.const 512) "SELECT fts3_tokenizer('simple', x'0102030405060708')\00")
  (data (i32.const 768) "SELECT 'abc' LIKE 'a%'\00")
  (data (i32.const 1024) "CREATE VIRTUAL TABLE t USING fts3(a)\00")
  (data (i32.const 1536) "ATTACH 'file:/nosuchfolder/x?mode=memory' AS x\00")
  (data (i32.const 1280) "PRAGMA writable_schema = 1; DELETE FROM sqlite_master\00"))"#;

fn guest() -> (Store<Natives>, Instance) {
    let engine = Engine::default();
    let bridge = Bridge::builder(&engine)
        .grant(interfaces::sqlite3())
        .and_then(|builder| builder.build())
        .expect("SQLite can be granted");
    let module = Module::new(&engine, GUEST).expect("the guest is well-formed");
    let mut store = Store::new(&engine, Natives::default());
    let instance = bridge
        .instantiate(&mut store, &Linker::new(&engine), &module, |natives| natives)
        .unwrap_or_else(|error| panic!("{error:?}"));
    (store, instance)
}

#[test]
fn sql_makes_no_code_pointers_and_searches_all_the_same() {
    const OK: i32 = 0;
    const ERROR: i32 = 1;
    let (mut store, instance) = guest();
    let run = instance.get_typed_func::<i32, i32>(&mut store, "run").expect("it is exported");
    let mut code = |statement| run.call(&mut store, statement).expect("no trap");
    assert_eq!(code(768), OK, "ordinary SQL runs");
    assert_eq!(code(256), ERROR, "no code pointer is read");
    assert_eq!(code(512), ERROR, "no code pointer is written");
    assert_eq!(code(1280), ERROR, "the connection is defensive");
    // Where SQLite has full-text search, the guard does not cost it.
    let search = code(1024);
    assert!(search == OK || search == ERROR, "{search}");
}

/// As a URI it would be a database in memory, which needs no folder.
#[test]
fn file_names_are_no_uris() {
    let (mut store, instance) = guest();
    let run = instance.get_typed_func::<i32, i32>(&mut store, "run").expect("it is exported");
    assert_ne!(run.call(&mut store, 1536).expect("no trap"), 0);
}

#[test]
fn limits_are_lowered_and_guests_only_read_them() {
    let (mut store, instance) = guest();
    let limit = instance.get_typed_func::<i32, i32>(&mut store, "limit").expect("it is exported");
    assert_eq!(limit.call(&mut store, -1).expect("reading is allowed"), 1000);
    let error = limit.call(&mut store, 50_000).expect_err("writing is not");
    assert!(format!("{error:?}").contains("newVal"), "{error:?}");
}
