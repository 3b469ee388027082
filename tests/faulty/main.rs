//! Libraries that break their promises: what is found, and what a bridge that watches them finds beside.
//!
//! SECURITY.md says of each kind what it means. What ends the process is tried in a process of its own.
#![expect(unsafe_code, reason = "grants a C library")]
#[path = "../support/native.rs"]
mod native;

use portcullis::host::{Bridge, BridgeBuilder, Natives, Tier};
use portcullis::plan::{CallError, CallbackProblem, Problem, Subject, Unruly};
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::OnceLock;
use tempfile::TempDir;
use wasmtime::{Engine, Instance, Linker, Module, Store};

const INTERFACE: &str = include_str!("library.h");

fn files() -> &'static TempDir {
    static FILES: OnceLock<TempDir> = OnceLock::new();
    FILES.get_or_init(|| {
        let folder = TempDir::new().expect("a temporary folder");
        let flags = ["-O1", "-frounding-math", "-pthread", "-Wl,--no-as-needed", "-lm"];
        native::compile(folder.path(), "libfaulty.so", include_str!("library.c"), &flags);
        std::fs::write(folder.path().join("throw.cc"), include_str!("throw.cc")).expect("a file");
        let made = Command::new("g++")
            .args(["-shared", "-fPIC", "-o", "libthrow.so", "throw.cc"])
            .current_dir(folder.path())
            .status();
        assert!(made.expect("g++ is installed").success());
        folder
    })
}

fn builder(tier: Tier) -> BridgeBuilder {
    let builder = Bridge::builder(&Engine::default()).max_tier(tier);
    let builder =
        builder.library("libfaulty.so", files().path().join("libfaulty.so")).expect("absolute");
    let builder =
        builder.library("libthrow.so", files().path().join("libthrow.so")).expect("absolute");
    // SAFETY: the library touches nothing but what it is given; what else it does is what is tested.
    let builder = unsafe { builder.grant_interface("library.h", INTERFACE) }.expect("valid");
    let throws = "#pragma portcullis library \"libthrow.so\" module \"throw\"\nint throws(int x);";
    // SAFETY: likewise; whoever calls it with a number ends the process.
    unsafe { builder.grant_interface("throw.h", throws) }.expect("valid")
}

const GUEST: &str = r#"(module
    (import "faulty" "scribble" (func $scribble (param i32 i32) (result i32)))
    (import "faulty" "shout" (func $shout (param i32) (result i32)))
    (import "faulty" "behave" (func $behave (param i32 i32) (result i32)))
    (import "faulty" "overrun" (func $overrun (param i32) (result i32)))
    (import "faulty" "overrun_cell" (func $overrun_cell (param i32) (result i32)))
    (import "faulty" "round_up" (func $round_up (param f64) (result f64)))
    (import "faulty" "flush" (func $flush (param f64) (result f64)))
    (import "faulty" "single" (func $single (param f64) (result f64)))
    (import "faulty" "block" (func $block (param i32) (result i32)))
    (import "faulty" "wild" (func $wild (param i64) (result i32)))
    (import "faulty" "keep_quietly" (func $keep_quietly (param i32) (result i32)))
    (import "faulty" "use_quietly" (func $use_quietly (param i32) (result i32)))
    (import "faulty" "call_from_a_thread" (func $call_from_a_thread (param i32) (result i32)))
    (import "faulty" "fork_quietly" (func $fork_quietly (param i32) (result i32)))
    (import "faulty" "leave" (func $leave (param i32)))
    (import "throw" "throws" (func $throws (param i32) (result i32)))
    (memory (export "memory") 1)
    (table (export "__indirect_function_table") 4 funcref)
    (elem (i32.const 1) func $f)
    (data (i32.const 64) "hello\00")
    (global $next (mut i32) (i32.const 4096))
    (func (export "malloc") (param i32) (result i32)
        (global.get $next) (global.set $next (i32.add (global.get $next) (local.get 0))))
    (func (export "free") (param i32))
    (func $f (param i32) (result i32) (i32.add (local.get 0) (i32.const 41)))
    (func (export "scribble") (result i32) (call $scribble (i32.const 64) (i32.const 5)))
    (func (export "shout") (result i32) (call $shout (i32.const 64)))
    (func (export "behave") (result i32) (call $behave (i32.const 64) (i32.const 5)))
    (func (export "overrun") (result i32)
        (drop (call $overrun (i32.const 128))) (i32.load (i32.const 136)))
    (func (export "overrun_cell") (result i32) (call $overrun_cell (i32.const 128)))
    (func (export "round_up") (result i32) (drop (call $round_up (f64.const 1))) (i32.const 0))
    (func (export "flush") (result i32) (drop (call $flush (f64.const 1))) (i32.const 0))
    (func (export "single") (result i32) (drop (call $single (f64.const 1))) (i32.const 0))
    (func (export "block") (result i32) (call $block (i32.const 12)))
    (func (export "wild") (result i32) (i32.load8_u (call $wild (i64.const 0))))
    (func (export "keep_quietly") (result i32) (call $keep_quietly (i32.const 1)))
    (func (export "use_quietly") (result i32) (call $use_quietly (i32.const 1)))
    (func (export "call_from_a_thread") (result i32) (call $call_from_a_thread (i32.const 1)))
    (func (export "fork_quietly") (result i32) (call $fork_quietly (i32.const 7)))
    (func (export "leave") (result i32) (call $leave (i32.const 33)) (i32.const 0))
    (func (export "throws") (result i32) (call $throws (i32.const 1))))"#;

struct World {
    store: Store<Natives>,
    instance: Instance,
}

impl World {
    fn new(builder: BridgeBuilder) -> World {
        let bridge = builder.build().expect("it can be built");
        let module = Module::new(bridge.engine(), GUEST).expect("valid");
        let mut store = Store::new(bridge.engine(), Natives::default());
        let linker = Linker::new(bridge.engine());
        let instance = bridge.instantiate(&mut store, &linker, &module, |natives| natives);
        World { store, instance: instance.expect("it links") }
    }

    fn call(&mut self, name: &str) -> wasmtime::Result<i32> {
        let function = self.instance.get_typed_func::<(), i32>(&mut self.store, name)?;
        function.call(&mut self.store, ())
    }

    #[track_caller]
    fn fails(&mut self, name: &str) -> CallError {
        let Err(error) = self.call(name) else { panic!("{name}: this call must fail") };
        let error = error.downcast::<CallError>();
        let error = error.unwrap_or_else(|error| panic!("{name}: no call error: {error:#}"));
        assert!(error.called, "{error}");
        error
    }
}

const TIERS: [Tier; 4] = [Tier::Interpreter, Tier::Template, Tier::Cranelift, Tier::Direct];

#[test]
fn constant_memory_is_compared() {
    for tier in TIERS {
        let mut world = World::new(builder(tier).guard(true));
        let error = world.fails("scribble");
        assert_eq!(error.problem, Problem::Unruly(Unruly::Constant));
        assert!(
            matches!(&error.subject, Subject::Parameter { number: 1, name: Some(name), .. } if name == "data")
        );
        assert_eq!(
            error.to_string(),
            "faulty.scribble: parameter 1 \"data\" (const uint8_t *__counted_by(n)): native code has written to it, although it is `const`: the prototype or the library is wrong; the native function did run"
        );
        assert_eq!(world.fails("shout").problem, Problem::Unruly(Unruly::Constant));
        assert_eq!(world.call("behave").expect("it harms nobody"), i32::from(b'H'));
        // Who does not watch does not see it.
        let mut world = World::new(builder(tier));
        assert_eq!(world.call("scribble").expect("unseen"), 5);
    }
}

#[test]
fn the_thread_is_as_it_was() {
    let mut world = World::new(builder(Tier::Direct).guard(true));
    for name in ["round_up", "flush", "single"] {
        assert_eq!(world.fails(name).problem, Problem::Unruly(Unruly::FloatingPoint), "{name}");
        // Rounded to nearest again, denormals are numbers, 64 bits of the x87 unit count.
        let third = std::hint::black_box(1.0) / std::hint::black_box(3.0);
        assert_eq!(f64::to_bits(third), 0x3fd5_5555_5555_5555, "{name}");
        assert_ne!(std::hint::black_box(f64::MIN_POSITIVE) / 2.0, 0.0, "{name}");
        assert_eq!(world.call("behave").expect("usable"), i32::from(b'h'));
    }
    assert_eq!(world.fails("block").problem, Problem::Unruly(Unruly::Signals));
    // SAFETY: nothing is changed.
    let blocked = unsafe {
        let mut set = std::mem::zeroed();
        libc::pthread_sigmask(libc::SIG_SETMASK, std::ptr::null(), &raw mut set);
        libc::sigismember(&raw const set, 12)
    };
    assert_eq!(blocked, 0);
}

/// What lies behind the memory that a call was given: its own, which is compared, or the guest's, which harms nobody else.
#[test]
fn memory_of_the_call_is_compared() {
    for tier in TIERS {
        let mut world = World::new(builder(tier).guard(true));
        assert_eq!(world.fails("overrun_cell").problem, Problem::Unruly(Unruly::Frame), "{tier}");
        assert_eq!(world.call("overrun").expect("it is the guest's memory"), 7);
    }
}

/// A pointer that leads to a string is followed, wherever it leads: the guest gets a copy, never the address.
#[test]
fn strings_are_copied_from_wherever_they_are() {
    for tier in TIERS {
        let mut world = World::new(builder(tier));
        assert_eq!(world.call("wild").expect("it is a string"), i32::from(b't'));
    }
}

#[test]
fn watched_calls_say_which_tier_they_use() {
    let bridge = builder(Tier::Direct).guard(true).build().expect("it can be built");
    let module = Module::new(bridge.engine(), GUEST).expect("valid");
    for report in bridge.describe(&module) {
        let portcullis::host::ImportStatus::Native(functions) = report.status else {
            panic!("granted")
        };
        assert_eq!(functions[0].tier, Tier::Interpreter);
        let why = functions[0].why_no_faster.as_deref().expect("it has a reason");
        assert!(why.contains("watched"), "{why}");
    }
}

#[test]
fn functions_that_are_kept_or_called_from_elsewhere_run_nothing() {
    for tier in TIERS {
        let mut world = World::new(builder(tier));
        assert_eq!(world.call("keep_quietly").expect("it is called in its time"), 42);
        let error = world.fails("use_quietly");
        assert!(
            matches!(&error.problem, Problem::Callback(problem) if matches!(**problem, CallbackProblem::Stray { calls: 1 })),
            "{error}"
        );
        let error = world.fails("call_from_a_thread");
        assert!(error.to_string().contains("from another thread"), "{error}");
        assert_eq!(world.call("behave").expect("usable"), i32::from(b'h'));
    }
}

/// A child process that the library forks and that ends at once leaves its parent alone.
#[test]
fn a_fork_leaves_the_parent_alone() {
    let mut world = World::new(builder(Tier::Direct));
    assert_eq!(world.call("fork_quietly").expect("it returns in the parent"), 1);
    assert_eq!(world.call("behave").expect("usable"), i32::from(b'h'));
}

/// What ends the process, in a process of its own: its exit status or signal.
fn alone(test: &str) -> Option<std::process::ExitStatus> {
    const ALONE: &str = "PORTCULLIS_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return None;
    }
    let program = std::env::current_exe().expect("this program");
    let mut again = Command::new(program);
    let output =
        again.args(["--exact", test, "--nocapture"]).env(ALONE, "1").output().expect("it starts");
    Some(output.status)
}

#[test]
fn exit_ends_the_process_with_its_status() {
    let Some(status) = alone("exit_ends_the_process_with_its_status") else {
        let _ = World::new(builder(Tier::Direct)).call("leave");
        unreachable!("the process has ended");
    };
    assert_eq!(status.code(), Some(33));
}

/// An exception never reaches guest code or Rust: there is no way to unwind through.
#[test]
fn an_exception_ends_the_process() {
    let Some(status) = alone("an_exception_ends_the_process") else {
        let _ = World::new(builder(Tier::Interpreter)).call("throws");
        unreachable!("the process has ended");
    };
    assert_eq!(status.signal(), Some(libc::SIGABRT));
}

/// One call may be given the same bytes to read and to write: that is no fault of the library.
#[test]
fn what_is_writable_too_is_not_constant() {
    let interface = "#pragma portcullis library \"libc.so.6\" module \"c\"\n\
        void *memmove(void *_Out_ __sized_by(n) to, const void *__sized_by(n) from, size_t n) __leaf;";
    // SAFETY: the prototype is true of the function.
    let builder = unsafe { Bridge::builder(&Engine::default()).grant_interface("c.h", interface) };
    let bridge = builder.expect("valid").guard(true).build().expect("it can be built");
    let guest = r#"(module (import "c" "memmove" (func $move (param i32 i32 i32) (result i32)))
        (memory (export "memory") 1) (data (i32.const 64) "abcdef")
        (func (export "go") (param i32 i32) (result i32)
            (drop (call $move (local.get 0) (local.get 1) (i32.const 4))) (i32.load (i32.const 64))))"#;
    let module = Module::new(bridge.engine(), guest).expect("valid");
    let mut store = Store::new(bridge.engine(), Natives::default());
    let linker = Linker::new(bridge.engine());
    let instance = bridge.instantiate(&mut store, &linker, &module, |natives| natives);
    let instance = instance.expect("it links");
    let go = instance.get_typed_func::<(i32, i32), i32>(&mut store, "go").expect("exported");
    let moved = go.call(&mut store, (66, 64)).expect("ranges may overlap");
    assert_eq!(moved.to_le_bytes(), *b"abab");
    assert_eq!(go.call(&mut store, (1024, 64)).expect("or not").to_le_bytes(), *b"abab");
}
