//! Objects that live in native memory, and the guest's mirrors of them.
use crate::native;
use portcullis::host::{Bridge, Natives};
use portcullis::plan::handles::HandleError;
use portcullis::plan::{CallError, Problem};
use std::path::PathBuf;
use wasmtime::{Engine, Instance, Linker, Memory, Module, Store, Val};

/// The struct in the guest's memory: 20 bytes.
const IN: usize = 0;
const N: usize = 4;
const TOTAL: usize = 8;
const HANDLE: usize = 12;
const SUM: usize = 16;
const SIZE: usize = 20;

const A: usize = 256;
const B: usize = 512;

struct World {
    store: Store<Natives>,
    instance: Instance,
    memory: Memory,
    folder: tempfile::TempDir,
}

fn guest() -> String {
    let names = "init spoiled add big small wild end";
    let names = names.split(' ').map(|name| format!("counter_{name}"));
    let names = names.chain(["other_init", "other_end"].map(str::to_owned));
    let mut text: String = names
        .map(|name| {
            format!(
                "(import \"boxed\" \"{name}\" (func ${name} (param i32) (result i32)))
                 (export \"{name}\" (func ${name}))"
            )
        })
        .collect();
    text.push_str(
        "(import \"boxed\" \"counter_both\" (func $both (param i32 i32) (result i32)))
         (export \"counter_both\" (func $both))
         (import \"boxed\" \"counters_living\" (func $living (result i32)))
         (export \"counters_living\" (func $living))
         (memory (export \"memory\") 1)",
    );
    format!("(module {text})")
}

impl World {
    fn new() -> World {
        let folder = tempfile::tempdir().expect("a temporary folder");
        native::compile(folder.path(), "libboxed.so", include_str!("boxed.c"), &["-O1"]);
        World::in_folder(folder)
    }

    fn library(folder: &tempfile::TempDir) -> PathBuf {
        folder.path().join("libboxed.so")
    }

    fn in_folder(folder: tempfile::TempDir) -> World {
        let engine = Engine::default();
        let builder = Bridge::builder(&engine).library("libboxed.so", World::library(&folder));
        let builder = builder.expect("an absolute path");
        // SAFETY: the interface is true of the library.
        let builder = unsafe { builder.grant_interface("boxed.h", include_str!("boxed.h")) };
        let bridge = builder.and_then(|builder| builder.build());
        let bridge = bridge.unwrap_or_else(|error| panic!("{error}"));
        let module = Module::new(&engine, guest()).unwrap_or_else(|error| panic!("{error:?}"));
        let mut store = Store::new(&engine, Natives::default());
        let linker = Linker::new(&engine);
        let instance = bridge.instantiate(&mut store, &linker, &module, |natives| natives);
        let instance = instance.unwrap_or_else(|error| panic!("{error:?}"));
        let memory = instance.get_memory(&mut store, "memory").expect("it is exported");
        World { store, instance, memory, folder }
    }

    fn try_call(&mut self, name: &str, arguments: &[usize]) -> Result<i32, Box<CallError>> {
        let function = self.instance.get_func(&mut self.store, name).expect("it is exported");
        let arguments: Vec<Val> = arguments
            .iter()
            .map(|value| Val::I32(u32::try_from(*value).expect("32 bits").cast_signed()))
            .collect();
        let mut results = [Val::I32(0)];
        match function.call(&mut self.store, &arguments, &mut results) {
            Ok(()) => Ok(results[0].unwrap_i32()),
            Err(error) => {
                Err(Box::new(error.downcast().unwrap_or_else(|e| panic!("{name}: {e:?}"))))
            }
        }
    }

    #[track_caller]
    fn call(&mut self, name: &str, arguments: &[usize]) -> i32 {
        self.try_call(name, arguments).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    #[track_caller]
    fn refused(&mut self, name: &str, arguments: &[usize], wanted: HandleError) {
        let error = self.try_call(name, arguments).expect_err("it is no such object");
        let right = matches!(&error.problem, Problem::Handle { error, .. } if *error == wanted);
        assert!(right, "{error}");
    }

    fn read(&self, at: usize) -> u32 {
        let data = self.memory.data(&self.store);
        u32::from_le_bytes(data[at..at + 4].try_into().expect("four bytes"))
    }

    fn write(&mut self, at: usize, value: u32) {
        self.memory.data_mut(&mut self.store)[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }

    fn copy(&mut self, from: usize, to: usize) {
        self.memory.data_mut(&mut self.store).copy_within(from..from + SIZE, to);
    }

    fn give(&mut self, object: usize, bytes: &[u8]) {
        self.memory.data_mut(&mut self.store)[64..64 + bytes.len()].copy_from_slice(bytes);
        self.write(object + IN, 64);
        self.write(object + N, bytes.len() as u32);
    }
}

#[test]
fn an_object_stays_where_it_is_and_the_guest_has_its_members() {
    let mut world = World::new();
    // What is there before is no business of a call that makes an object, and what the guest means
    // to pass stays.
    world.memory.data_mut(&mut world.store)[A..A + SIZE].fill(0xee);
    world.give(A, &[1, 2, 3]);
    assert_eq!(world.call("counter_init", &[A]), 0);
    assert_eq!([IN, N, TOTAL, SUM].map(|at| world.read(A + at)), [64, 3, 7, 0]);
    assert_ne!(world.read(A + HANDLE), 0xeeee_eeee);
    assert_eq!(world.call("counter_add", &[A]), 6);
    assert_eq!([IN, N, TOTAL, SUM].map(|at| world.read(A + at)), [67, 0, 10, 6]);
    // Members go both ways; the mirror may move; both are mirrors of the one object.
    world.write(A + SUM, 100);
    world.copy(A, B);
    world.give(B, &[5]);
    assert_eq!(world.call("counter_add", &[B]), 105);
    assert_eq!(world.call("counter_add", &[A]), 100);
    world.write(A + IN, 0);
    assert_eq!(world.call("counters_living", &[]), 1);
    assert_eq!(world.call("counter_end", &[A]), 0);
    assert_eq!(world.call("counters_living", &[]), 0);
    assert_eq!(world.read(A + HANDLE), 0);
    world.refused("counter_add", &[A], HandleError::Forged);
    world.refused("counter_add", &[B], HandleError::Stale);
    world.refused("counter_end", &[B], HandleError::Stale);
    assert_eq!(world.call("counter_init", &[B]), 0);
    world.refused("counter_end", &[A], HandleError::Forged);
}

#[test]
fn hostile_mirrors_harm_nobody() {
    let mut world = World::new();
    assert_eq!(world.call("counter_init", &[A]), 0);
    assert_eq!(world.call("other_init", &[B]), 0);
    let [handle, other] = [A, B].map(|at| world.read(at + HANDLE));
    world.refused("counter_add", &[B], HandleError::WrongType);
    for wrong in [0, 1, handle + 7, handle | 1 << 31, handle ^ 1 << 20, u32::MAX] {
        world.write(A + HANDLE, wrong);
        world.refused("counter_add", &[A], HandleError::Forged);
    }
    world.write(A + HANDLE, other);
    world.refused("counter_end", &[A], HandleError::WrongType);
    world.write(A + HANDLE, handle);
    // One object is in one argument.
    world.copy(A, 1024);
    world.refused("counter_both", &[A, 1024], HandleError::Busy);
    world.refused("counter_both", &[A, A], HandleError::Busy);
    assert_eq!(world.call("counter_add", &[A]), 0);
    // Counts are checked each time, of the mirror's copy.
    for (address, count) in [(64, u32::MAX), (64, 65536), (65535, 2), (u32::MAX, 1)] {
        world.write(A + IN, address);
        world.write(A + N, count);
        let error = world.try_call("counter_add", &[A]).expect_err("it is outside");
        assert!(matches!(error.problem, Problem::Within { .. }), "{error}");
        assert!(error.to_string().contains("c->in"), "{error}");
    }
    world.write(A + IN, 0);
    world.write(A + N, 0);
    assert_eq!(world.call("counter_add", &[A]), 0);
    for at in [65536 - SIZE + 1, 65536, 0xffff_ffff, 0] {
        assert!(world.try_call("counter_add", &[at]).is_err(), "{at}");
        assert!(world.try_call("counter_init", &[at]).is_err(), "{at}");
    }
    assert_eq!(world.call("counters_living", &[]), 2);
    assert_eq!(world.call("counter_end", &[A]), 0);
    assert_eq!(world.call("other_end", &[B]), 0);
}

#[test]
fn what_does_not_fit_is_not_written_back() {
    let mut world = World::new();
    assert_eq!(world.call("counter_init", &[A]), 0);
    let error = world.try_call("counter_big", &[A]).expect_err("it does not fit");
    assert!(error.to_string().contains("c->total"), "{error}");
    assert_eq!((world.read(A + TOTAL), world.read(A + SUM)), (7, 0));
    let error = world.try_call("counter_wild", &[A]).expect_err("a native address");
    assert!(error.to_string().contains("c->in"), "{error}");
    assert_eq!(world.read(A + IN), 0);
    // The marks are gone, and the object is whole.
    assert_eq!(world.call("counter_small", &[A]), 0);
    assert_eq!(world.read(A + TOTAL), 5);
    // One that the guest does not get is destroyed.
    assert!(world.try_call("counter_spoiled", &[B]).is_err());
    assert_eq!(world.read(B + HANDLE), 0);
    assert_eq!(world.call("counters_living", &[]), 1);
}

#[test]
fn the_stores_end_is_that_of_its_objects() {
    let mut world = World::new();
    // SAFETY: the library has no constructors.
    let library = unsafe { libloading::Library::new(World::library(&world.folder)) };
    let library = library.expect("it was just compiled");
    // SAFETY: the function's type.
    let living = unsafe { library.get::<extern "C" fn() -> i32>("counters_living") };
    let living = living.expect("it is defined");
    for at in [A, B, 1024] {
        assert_eq!(world.call("counter_init", &[at]), 0);
        world.give(at, &[1, 2]);
        assert_eq!(world.call("counter_add", &[at]), 3);
    }
    assert_eq!(living(), 3);
    let World { store, folder, .. } = world;
    drop(store);
    assert_eq!(living(), 0);
    drop(folder);
}
