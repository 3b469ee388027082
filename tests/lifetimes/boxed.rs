//! Objects that live in native memory, and the guest's mirrors of them.
use crate::native;
use portcullis::host::{Bridge, Natives};
use portcullis::plan::handles::HandleError;
use portcullis::plan::{CallError, Problem};
use std::path::PathBuf;
use wasmtime::{Engine, Instance, Linker, Memory, Module, Store, Val};

/// The struct in the guest's memory: 28 bytes.
const IN: usize = 0;
const N: usize = 4;
const TOTAL: usize = 8;
const HANDLE: usize = 12;
const SUM: usize = 16;
const SEEN: usize = 20;
const GIVEN: usize = 24;
const SIZE: usize = 28;

const A: usize = 256;
const B: usize = 512;

pub(crate) struct World {
    pub(crate) store: Store<Natives>,
    instance: Instance,
    memory: Memory,
    folder: tempfile::TempDir,
}

fn guest() -> String {
    let names = "init spoiled add big small wild end show";
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
         (export \"counters_living\" (func $living))",
    );
    for (name, count) in [
        ("counter_free", 2),
        ("counter_copy", 2),
        ("counter_alone", 2),
        ("counter_level", 2),
        ("counter_read", 2),
        ("hash_init", 2),
        ("hash_add", 3),
        ("hash_end", 1),
        ("hash_digits", 2),
        ("hash_text", 3),
        ("hash_times", 2),
        ("ctx_open", 1),
        ("ctx_number", 1),
        ("ctx_close", 2),
        ("ctx_try", 2),
        ("ctx_beside", 2),
    ] {
        let params = "i32 ".repeat(count);
        text.push_str(&format!(
            "(import \"boxed\" \"{name}\" (func ${name} (param {params}) (result i32)))
             (export \"{name}\" (func ${name}))"
        ));
    }
    format!("(module {text} (memory (export \"memory\") 1))")
}

impl World {
    pub(crate) fn new() -> World {
        let folder = tempfile::tempdir().expect("a temporary folder");
        native::compile(folder.path(), "libboxed.so", include_str!("boxed.c"), &["-O1"]);
        World::in_folder(folder)
    }

    fn library(folder: &tempfile::TempDir) -> PathBuf {
        folder.path().join("libboxed.so")
    }

    fn in_folder(folder: tempfile::TempDir) -> World {
        let engine = Engine::default();
        let builder = Bridge::builder(&engine)
            .max_tier(crate::MOST)
            .library("libboxed.so", World::library(&folder));
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

    pub(crate) fn try_call(
        &mut self,
        name: &str,
        arguments: &[usize],
    ) -> Result<i32, Box<CallError>> {
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
    pub(crate) fn call(&mut self, name: &str, arguments: &[usize]) -> i32 {
        self.try_call(name, arguments).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    #[track_caller]
    pub(crate) fn refused(&mut self, name: &str, arguments: &[usize], wanted: HandleError) {
        let error = self.try_call(name, arguments).expect_err("it is no such object");
        let right = matches!(&error.problem, Problem::Handle { error, .. } if *error == wanted);
        assert!(right, "{error}");
    }

    pub(crate) fn read(&self, at: usize) -> u32 {
        let data = self.memory.data(&self.store);
        u32::from_le_bytes(data[at..at + 4].try_into().expect("four bytes"))
    }

    pub(crate) fn write(&mut self, at: usize, value: u32) {
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
    // Of two mirrors of one object, nobody could say whose members count.
    world.copy(A, 1024);
    world.refused("counter_both", &[A, 1024], HandleError::Busy);
    assert_eq!(world.call("counter_both", &[A, A]), 0);
    world.refused("counter_alone", &[A, A], HandleError::Busy);
    world.refused("counter_copy", &[A, A], HandleError::Busy);
    assert_eq!(world.call("counter_add", &[A]), 0);
    // Counts are checked each time, of the mirror's copy.
    for (address, count) in [(64, u32::MAX), (64, 65536), (65535, 2), (u32::MAX, 1)] {
        world.write(A + IN, address);
        world.write(A + N, count);
        let error = world.try_call("counter_add", &[A]).expect_err("it is outside");
        assert!(matches!(error.problem, Problem::Within { .. }), "{error}");
        let said = format!(
            "parameter 1 \"c\" (counter *): `c->in`, counted by `n`: {count} byte{} at {address:#x} reach{} past the memory",
            if count == 1 { "" } else { "s" },
            if count == 1 { "es" } else { "" },
        );
        assert!(error.to_string().contains(&said), "{error}");
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

#[test]
fn fields_go_one_way_where_they_say_so() {
    let mut world = World::new();
    assert_eq!(world.call("counter_init", &[A]), 0);
    world.write(A + SEEN, 77);
    world.write(A + GIVEN, 3);
    assert_eq!(world.call("counter_show", &[A]), 1003);
    assert_eq!([SEEN, GIVEN].map(|at| world.read(A + at)), [1003, 3]);
    // What the guest writes there, native code does not see, and conditions do not read.
    world.write(A + SEEN, u32::MAX);
    world.write(A + GIVEN, 4);
    assert_eq!(world.call("counter_show", &[A]), 1004);
    assert_eq!(world.call("counter_level", &[B, 3]), 0);
    assert_eq!(world.read(B + SEEN), (-3_i32).cast_unsigned());
    world.write(B + SEEN, 5);
    let error = world.try_call("counter_read", &[B, 2048]).expect_err("the object says -3");
    assert!(matches!(error.problem, Problem::Requirement { .. }), "{error}");
}

#[test]
fn some_calls_end_an_object_and_some_do_not() {
    let mut world = World::new();
    assert_eq!(world.call("counter_init", &[A]), 0);
    let handle = world.read(A + HANDLE);
    assert_eq!(world.call("counter_free", &[A, 7]), 7);
    assert_eq!(world.read(A + HANDLE), handle);
    world.give(A, &[1, 2]);
    assert_eq!(world.call("counter_add", &[A]), 3);
    world.write(A + IN, 0);
    world.copy(A, B);
    assert_eq!(world.call("counter_free", &[A, 0]), 0);
    assert_eq!(world.read(A + HANDLE), 0);
    world.refused("counter_add", &[B], HandleError::Stale);
    world.refused("counter_free", &[B, 7], HandleError::Stale);
    assert_eq!(world.call("counters_living", &[]), 0);
}

#[test]
fn copies_that_native_code_makes_are_objects_of_their_own() {
    let mut world = World::new();
    assert_eq!(world.call("counter_init", &[A]), 0);
    world.give(A, &[1, 2, 3]);
    world.memory.data_mut(&mut world.store)[B..B + SIZE].fill(0xee);
    assert_eq!(world.call("counter_copy", &[B, A]), 0);
    // With what the first one points at.
    assert_eq!([IN, N, TOTAL, SUM].map(|at| world.read(B + at)), [64, 3, 7, 0]);
    assert_eq!(world.call("counter_add", &[B]), 6);
    assert_eq!(world.call("counter_add", &[A]), 6);
    assert_eq!(world.call("counter_both", &[A, B]), 1);
    for at in [A, B] {
        world.write(at + IN, 0);
        assert_eq!(world.call("counter_end", &[at]), 0);
    }
    assert_eq!(world.call("counters_living", &[]), 0);
}

#[test]
fn an_object_that_is_made_over_another_is_another() {
    let mut world = World::new();
    assert_eq!(world.call("counter_init", &[A]), 0);
    world.copy(A, B);
    let handle = world.read(A + HANDLE);
    assert_eq!(world.call("counter_level", &[A, 0]), 0);
    assert_ne!(world.read(A + HANDLE), handle);
    // The first one has another mirror, and lives.
    assert_eq!(world.call("counter_both", &[A, B]), 1);
    assert_eq!(world.call("counter_end", &[B]), 0);
    assert_eq!(world.call("counter_end", &[A]), 0);
}

#[test]
fn objects_remember_what_bounds_need() {
    let mut world = World::new();
    assert_eq!(world.call("counter_level", &[A, 0]), 0);
    assert_eq!(world.call("counter_init", &[B]), 0);
    let error = world.try_call("counter_read", &[B, 2048]).expect_err("nothing was remembered");
    assert!(matches!(&error.problem, Problem::Unset { name, .. } if name == "level"), "{error}");
    assert_eq!(world.call("counter_read", &[A, 65536]), 1);
}

#[test]
fn objects_without_public_members_are_in_several_arguments() {
    let mut world = World::new();
    let [one, two] = [2048, 2100];
    assert_eq!(world.call("hash_init", &[one, 5]), 0);
    assert_eq!(world.call("hash_init", &[two, 100]), 0);
    assert_eq!(world.call("hash_add", &[one, one, two]), 3);
    let text = |world: &mut World, of: usize, base: usize| {
        assert_eq!(world.call("hash_text", &[64, base, of]), 64);
        let data = world.memory.data(&world.store);
        let end = data[64..].iter().position(|byte| *byte == 0).expect("a string");
        String::from_utf8(data[64..64 + end].to_vec()).expect("digits")
    };
    assert_eq!(text(&mut world, one, 10), "105");
    assert_eq!(world.call("hash_add", &[one, one, one]), 3);
    assert_eq!(text(&mut world, one, 10), "210");
    assert_eq!(text(&mut world, one, 2), "11010010");
    // A mirror that was copied is the same object.
    world.memory.data_mut(&mut world.store).copy_within(one..one + 32, 2200);
    assert_eq!(world.call("hash_add", &[one, 2200, two]), 3);
    assert_eq!(text(&mut world, 2200, 10), "310");
    // Bounds ask the library; what they ask with has been tested.
    for (at, base) in [(65536 - 4, 10), (65536 - 3, 10)] {
        let fits = world.try_call("hash_text", &[at, base, one]);
        assert_eq!(fits.is_ok(), at == 65536 - 4, "{fits:?}");
    }
    for base in [0, 1, 11, 0xffff_ffff] {
        let error = world.try_call("hash_text", &[64, base, one]).expect_err("no such base");
        assert!(matches!(error.problem, Problem::OutOfRange { .. }), "{error}");
        assert!(world.try_call("hash_digits", &[one, base]).is_err());
    }
    // Private members are read where they are.
    assert_eq!(world.call("hash_times", &[one, 3]), 930);
    let error = world.try_call("hash_times", &[one, 100_000]).expect_err("too much");
    assert!(matches!(error.problem, Problem::Requirement { .. }), "{error}");
    assert_eq!(world.call("hash_times", &[one, 1]), 930);
    // Forged, ended, of another type.
    let handle = world.read(one + 8);
    for wrong in [0, handle + 7, u32::MAX] {
        world.write(one + 8, wrong);
        world.refused("hash_add", &[one, two, two], HandleError::Forged);
        world.refused("hash_add", &[two, one, two], HandleError::Forged);
    }
    world.write(one + 8, handle);
    assert_eq!(world.call("counter_init", &[A]), 0);
    let counter = world.read(A + HANDLE);
    world.write(two + 8, counter);
    world.refused("hash_add", &[one, two, one], HandleError::WrongType);
    assert_eq!(world.call("hash_end", &[2200]), 2);
    world.refused("hash_add", &[one, one, one], HandleError::Stale);
    assert_eq!(world.call("hash_init", &[2200, 1]), 0);
    world.refused("hash_add", &[2200, one, 2200], HandleError::Stale);
}

/// Nothing could be right about a pointer to a pointer to one: the guest's mirror is where the guest has it.
#[test]
fn objects_are_passed_by_a_pointer_of_their_own() {
    let interface = "#pragma portcullis library \"libc.so.6\" module \"c\"\n\
        typedef struct st { int a; void *p __private; } st __boxed __drop(free);\n\
        void free(st *__consumes s);\nint labs(st **_Out_ s);";
    let engine = Engine::default();
    // SAFETY: nothing of it is linked.
    let builder = unsafe { Bridge::builder(&engine).grant_interface("c.h", interface) };
    let bridge = builder.expect("valid").build().expect("a bridge");
    let guest = r#"(module (import "c" "labs" (func (param i32) (result i32)))
        (memory (export "memory") 1))"#;
    let module = Module::new(&engine, guest).expect("valid");
    let mut store = Store::new(&engine, Natives::default());
    let linker = Linker::new(&engine);
    let error = bridge.instantiate(&mut store, &linker, &module, |natives| natives);
    let error = format!("{:#}", error.expect_err("it is refused"));
    assert!(error.contains("a `__boxed` object is only passed by a pointer of its own"), "{error}");
}
