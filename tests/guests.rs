//! The guests of `guest-examples`, through the bridge and the real libraries.
//!
//! What they should print comes from the same sources compiled for this machine where there is a
//! native build (`native_guests`), and from `expected.txt`. The command line is tested elsewhere.
#![cfg(feature = "cli")] // for wasmtime-wasi

use portcullis::host::{Bridge, Natives, Tier};
use portcullis::interfaces;
use std::path::{Path, PathBuf};
use std::process::Command;
use wasmtime::{Engine, Linker, Module, Store};
use wasmtime_wasi::p1::{WasiP1Ctx, add_to_linker_sync};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtxBuilder};

/// The tier that calls use where they can: in `guests_compiled`, of which this is a module, machine code.
const MOST: Tier =
    if module_path!().len() == "guests".len() { Tier::Template } else { Tier::Cranelift };

struct State {
    wasi: WasiP1Ctx,
    natives: Natives,
}

/// What a finished guest left.
struct Ran {
    stdout: String,
    stderr: String,
    status: i32,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn example(name: &str) -> PathBuf {
    root().join("guest-examples").join(name)
}

fn bridge() -> Bridge {
    let mut builder = Bridge::builder(&Engine::default()).max_tier(MOST);
    for (_, shipped) in interfaces::all() {
        builder = builder.grant(shipped).expect("the shipped interfaces can be granted together");
    }
    builder.build().expect("a bridge")
}

/// Runs a WASI guest with the repository as its directory.
fn run(guest: &str, arguments: &[&str]) -> wasmtime::Result<Ran> {
    let bridge = bridge();
    let engine = bridge.engine().clone();
    let (stdout, stderr) = (MemoryOutputPipe::new(1 << 20), MemoryOutputPipe::new(1 << 20));
    let wasi = WasiCtxBuilder::new()
        .arg(guest)
        .args(arguments)
        .stdout(stdout.clone())
        .stderr(stderr.clone())
        .preopened_dir(root(), ".", FsPerms::ReadOnly)?
        .build_p1();
    let mut linker: Linker<State> = Linker::new(&engine);
    add_to_linker_sync(&mut linker, |state| &mut state.wasi)?;
    let mut store = Store::new(&engine, State { wasi, natives: Natives::default() });
    let module = Module::from_file(&engine, example(guest))?;
    let instance = bridge.instantiate(&mut store, &linker, &module, |s| &mut s.natives)?;
    let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
    let status = match start.call(&mut store, ()) {
        Ok(()) => 0,
        Err(error) => match error.downcast_ref::<I32Exit>() {
            Some(exit) => exit.0,
            None => return Err(error),
        },
    };
    drop(store);
    let text = |pipe: MemoryOutputPipe| String::from_utf8(pipe.contents().to_vec());
    Ok(Ran { stdout: text(stdout)?, stderr: text(stderr)?, status })
}

fn expected(name: &str) -> String {
    std::fs::read_to_string(example(name)).expect("the expected output")
}

/// Output of the same source, compiled for this machine.
fn native(name: &str, arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let program = folder.path().join(name);
    let mut build = Command::new("sh");
    build.arg(example(name).join("build.sh")).arg("native").arg(&program);
    assert!(build.status().expect("a shell").success(), "{build:?}");
    let output = Command::new(program).args(arguments).current_dir(root()).output();
    String::from_utf8(output.expect("a run").stdout).expect("text")
}

#[test]
fn the_zlib_guest_prints_what_the_native_program_prints() {
    for arguments in [&["LICENSE-APACHE"][..], &["LICENSE-APACHE", "1"], &["LICENSE-MIT", "0"]] {
        let ran = run("zlib/zlib.wasm", arguments).expect("a run");
        assert_eq!((ran.status, ran.stderr.as_str()), (0, ""));
        assert_eq!(ran.stdout, native("zlib", arguments));
    }
}

#[test]
fn the_zlib_guest_says_what_is_wrong() {
    let ran = run("zlib/zlib.wasm", &["no such file"]).expect("a run");
    assert_eq!(ran.status, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("no such file: No such file"), "{}", ran.stderr);
    let ran = run("zlib/zlib.wasm", &["LICENSE-MIT", "ten"]).expect("a run");
    assert_eq!(ran.status, 2, "{}", ran.stderr);
}

#[test]
fn the_sqlite_guest_keeps_a_database_on_the_host() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let database = folder.path().join("elements.db");
    let path = database.to_str().expect("a path in UTF-8");
    for _ in 0..2 {
        let ran = run("sqlite/sqlite.wasm", &[path]).expect("a run");
        assert_eq!(ran.stdout, expected("sqlite/expected.txt"));
    }
    let header = std::fs::read(&database).expect("the database");
    assert!(header.starts_with(b"SQLite format 3\0"));

    let ran = run("sqlite/sqlite.wasm", &["/no/such/folder/x.db"]).expect("a run");
    assert_eq!(ran.status, 1);
    assert!(ran.stderr.contains("unable to open database file (14)"), "{}", ran.stderr);
}

#[test]
fn guests_without_an_sdk_print_what_is_expected() {
    for language in ["rust", "zig"] {
        let ran = run(&format!("{language}/guest.wasm"), &[]).expect("a run");
        assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{language}");
        assert_eq!(ran.stdout, expected(&format!("{language}/expected.txt")));
    }
}

#[test]
fn guests_of_the_other_interfaces_print_what_is_expected() {
    let feed: &[&str] = &["guest-examples/expat/feed.xml"];
    for (guest, arguments) in [
        ("blas/blas.wasm", &[][..]),
        ("callbacks/callbacks.wasm", &[]),
        ("deflate-stream/stream.wasm", &[]),
        ("digest/digest.wasm", &[]),
        ("expat/feed.wasm", feed),
        ("gmp/numbers.wasm", &[]),
        ("sqlite-functions/functions.wasm", &[]),
        ("sqlite/sqlite.wasm", &[]),
    ] {
        let folder = guest.split_once('/').expect("a folder").0;
        let ran = run(guest, arguments);
        let ran = ran.unwrap_or_else(|error| panic!("{guest}: {error:?}"));
        assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{guest}");
        assert_eq!(ran.stdout, expected(&format!("{folder}/expected.txt")), "{guest}");
    }
}

#[test]
fn ten_lines_of_text_call_libm() {
    let bridge = bridge();
    let linker = Linker::new(bridge.engine());
    for (file, function) in [("cos/cos.wat", "cos_of"), ("cos/plain.wat", "cos_of")] {
        let module = Module::from_file(bridge.engine(), example(file)).expect("a module");
        let mut store = Store::new(bridge.engine(), Natives::default());
        let instance = bridge.instantiate(&mut store, &linker, &module, |n| n).expect(file);
        let cos = instance.get_typed_func::<f64, f64>(&mut store, function).expect(function);
        assert_eq!(cos.call(&mut store, 0.5).expect("a call"), 0.5_f64.cos());
    }
    let module = Module::from_file(bridge.engine(), example("cos/plain.wat")).expect("a module");
    let mut store = Store::new(bridge.engine(), Natives::default());
    let instance = bridge.instantiate(&mut store, &linker, &module, |n| n).expect("an instance");
    let frexp = instance.get_typed_func::<f64, (f64, i32)>(&mut store, "frexp_of").expect("frexp");
    assert_eq!(frexp.call(&mut store, 80.0).expect("a call"), (0.625, 7));
}

#[test]
fn streams_go_through_native_deflate() {
    let ran = run("deflate-stream/stream.wasm", &[]).unwrap_or_else(|error| panic!("{error:?}"));
    let expected = std::fs::read_to_string(example("deflate-stream").join("expected.txt"));
    assert_eq!(ran.stdout, expected.expect("it is there"), "{}", ran.stderr);
    assert_eq!(ran.status, 0);
}
