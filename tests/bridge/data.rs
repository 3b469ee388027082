//! Data of libraries: what a guest gets of it, and when.
#![expect(unsafe_code, reason = "grants interfaces of its own")]
use crate::mock;
use crate::support::*;
use portcullis::host::{Bridge, LinkProblem};
use portcullis::plan::Problem;
use std::ffi::{c_char, c_void};
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicPtr, AtomicU32, AtomicU64, Ordering};
use wasmtime::{Engine, Linker, Module, Store};

const INTERFACE: &str = r#"
#pragma portcullis library "libmock.so" module "mock"
typedef struct thing thing __drop(thing_close);
thing *thing_open(int id);
int thing_id(thing *it);
void thing_close(thing *__consumes it);

extern int level;
extern long wide;
extern double ratio;
extern float half;
extern bool on;
extern signed char sign;
extern unsigned short port;
extern const char *version;
extern const char banner[];
extern const uint16_t table[4];
extern thing *current;
"#;

static LEVEL: AtomicI32 = AtomicI32::new(7);
static WIDE: AtomicI64 = AtomicI64::new(-5);
static RATIO: AtomicU64 = AtomicU64::new(0);
static HALF: AtomicU32 = AtomicU32::new(0);
static ON: u8 = 1;
static SIGN: i8 = -3;
static PORT: u16 = 65535;
static VERSION: AtomicPtr<c_char> = AtomicPtr::new(ptr::null_mut());
static BANNER: [u8; 6] = *b"hello\0";
static TABLE: [u16; 4] = [1, 2, 3, 0xffff];
static CURRENT: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());

/// The statics are of the whole process.
static TURN: Mutex<()> = Mutex::new(());

fn address<T>(of: &'static T) -> *const c_void {
    ptr::from_ref(of).cast()
}

fn bridge() -> Bridge {
    let engine = Engine::default();
    // SAFETY: the interface is true of the statics and functions.
    let builder = unsafe {
        Bridge::builder(&engine).max_tier(crate::MOST).grant_interface("mock.h", INTERFACE)
    };
    let builder = builder.unwrap_or_else(|error| panic!("{error}"));
    let symbols = [
        ("level", address(&LEVEL)),
        ("wide", address(&WIDE)),
        ("ratio", address(&RATIO)),
        ("half", address(&HALF)),
        ("on", address(&ON)),
        ("sign", address(&SIGN)),
        ("port", address(&PORT)),
        ("version", address(&VERSION)),
        ("banner", address(&BANNER)),
        ("table", address(&TABLE)),
        ("current", address(&CURRENT)),
    ];
    mock::with_data(builder, &symbols).build().unwrap()
}

/// A guest that exports what it imports of the mock.
fn guest(imports: &[(&str, &str, &str)]) -> String {
    let mut text = String::from("(module ");
    for (export, import, ty) in imports {
        text += &format!(r#"(import "mock" "{import}" (func ${export} {ty}))"#);
    }
    text += r#"(memory (export "memory") 1)
        (global $next (mut i32) (i32.const 1024))
        (func (export "malloc") (param i32) (result i32)
            (global.get $next)
            (global.set $next (i32.add (global.get $next) (i32.const 64))))
        (func (export "free") (param i32))"#;
    for (export, ..) in imports {
        text += &format!(r#"(export "{export}" (func ${export}))"#);
    }
    text + ")"
}

const ALL: [(&str, &str, &str); 15] = [
    ("level", "extern int level", "(result i32)"),
    ("plain", "level", "(result i32)"),
    ("wide", "extern long wide;", "(result i32)"),
    ("wider", "wide", "(result i64)"),
    ("ratio", "extern double ratio", "(result f64)"),
    ("half", "half", "(result f32)"),
    ("on", "extern bool on", "(result i32)"),
    ("sign", "sign", "(result i32)"),
    ("port", "extern uint16_t port", "(result i32)"),
    ("version", "extern const char *version", "(result i32)"),
    ("banner", "extern const char banner[]", "(result i32)"),
    ("table", "extern const unsigned short table[4]", "(result i32)"),
    ("current", "extern thing *current", "(result i32)"),
    ("thing_open", "thing_open", "(param i32) (result i32)"),
    ("thing_id", "thing_id", "(param i32) (result i32)"),
];

fn text(guest: &mut Guest, at: i32) -> String {
    let memory = guest.instance.get_memory(&mut guest.store, "memory").unwrap();
    let bytes = &memory.data(&guest.store)[at as usize..];
    let end = bytes.iter().position(|byte| *byte == 0).unwrap();
    String::from_utf8(bytes[..end].to_vec()).unwrap()
}

#[test]
fn values_are_read_when_they_are_asked_for() {
    let _turn = TURN.lock();
    let mut guest = Guest::new(&bridge(), &guest(&ALL)).unwrap();
    for level in [7, -1, i32::MIN] {
        LEVEL.store(level, Ordering::Relaxed);
        assert_eq!(guest.call::<(), i32>("level", ()).unwrap(), level);
        assert_eq!(guest.call::<(), i32>("plain", ()).unwrap(), level);
    }
    RATIO.store(1.25_f64.to_bits(), Ordering::Relaxed);
    HALF.store(0.5_f32.to_bits(), Ordering::Relaxed);
    assert_eq!(guest.call::<(), f64>("ratio", ()).unwrap(), 1.25);
    assert_eq!(guest.call::<(), f32>("half", ()).unwrap(), 0.5);
    assert_eq!(guest.call::<(), i32>("on", ()).unwrap(), 1);
    assert_eq!(guest.call::<(), i32>("sign", ()).unwrap(), -3);
    assert_eq!(guest.call::<(), i32>("port", ()).unwrap(), 65535);
}

#[test]
fn a_long_that_does_not_fit_is_told() {
    let _turn = TURN.lock();
    let mut guest = Guest::new(&bridge(), &guest(&ALL)).unwrap();
    WIDE.store(-5, Ordering::Relaxed);
    assert_eq!(guest.call::<(), i32>("wide", ()).unwrap(), -5);
    WIDE.store(5_000_000_000, Ordering::Relaxed);
    let error = trapped(guest.call::<(), i32>("wide", ()));
    assert!(matches!(error.problem, Problem::DoesNotFit { value: 5_000_000_000, .. }), "{error}");
    assert!(!error.called, "nothing was called");
    assert!(
        error.to_string().starts_with("mock.wide: data (long): the value 5000000000"),
        "{error}"
    );
    assert_eq!(guest.call::<(), i64>("wider", ()).unwrap(), 5_000_000_000);
}

#[test]
fn strings_and_arrays_are_copied_once() {
    let _turn = TURN.lock();
    let mut guest = Guest::new(&bridge(), &guest(&ALL)).unwrap();
    VERSION.store(ptr::null_mut(), Ordering::Relaxed);
    assert_eq!(guest.call::<(), i32>("version", ()).unwrap(), 0);
    VERSION.store(c"1.2".as_ptr().cast_mut(), Ordering::Relaxed);
    let first = guest.call::<(), i32>("version", ()).unwrap();
    assert_eq!(text(&mut guest, first), "1.2");
    assert_eq!(guest.call::<(), i32>("version", ()).unwrap(), first);
    VERSION.store(c"1.3".as_ptr().cast_mut(), Ordering::Relaxed);
    let second = guest.call::<(), i32>("version", ()).unwrap();
    assert_eq!((text(&mut guest, first), text(&mut guest, second)), ("1.2".into(), "1.3".into()));
    let banner = guest.call::<(), i32>("banner", ()).unwrap();
    assert_eq!(text(&mut guest, banner), "hello");
    let table = guest.call::<(), i32>("table", ()).unwrap();
    let memory = guest.instance.get_memory(&mut guest.store, "memory").unwrap();
    let at = table as usize;
    assert_eq!(memory.data(&guest.store)[at..at + 8], [1, 0, 2, 0, 3, 0, 255, 255]);
}

#[test]
fn objects_are_borrowed() {
    let _turn = TURN.lock();
    let closing = [&ALL[..], &[("close", "thing_close", "(param i32)")]].concat();
    let mut guest = Guest::new(&bridge(), &guest(&closing)).unwrap();
    CURRENT.store(ptr::null_mut(), Ordering::Relaxed);
    assert_eq!(guest.call::<(), i32>("current", ()).unwrap(), 0);
    let thing = mock::thing(42);
    CURRENT.store(thing, Ordering::Relaxed);
    let handle = guest.call::<(), i32>("current", ()).unwrap();
    assert_ne!(handle, 0);
    assert_eq!(guest.call::<(), i32>("current", ()).unwrap(), handle);
    assert_eq!(guest.call::<i32, i32>("thing_id", handle).unwrap(), 42);
    let error = trapped(guest.call::<i32, ()>("close", handle));
    assert!(matches!(error.problem, Problem::Handle { .. }), "{error}");
    let closed = mock::closed().len();
    drop(guest);
    assert_eq!(mock::closed().len(), closed, "the store does not own it");
}

#[test]
fn what_contradicts_the_grant_is_not_linked() {
    let bridge = bridge();
    for (import, ty, message) in [
        ("extern long level", "(result i32)", "`level` is `long`, granted is `int`"),
        ("int level(void)", "(result i32)", "the guest declares a function, granted is data"),
        ("extern int thing_id", "(result i32)", "the guest declares data, granted is a function"),
        ("extern const char *banner", "(result i32)", "declares data, granted is an array"),
        ("extern const char banner[9]", "(result i32)", "`__counted_by(9)` is said of `banner`"),
        (
            "extern int level __range(0, 3)",
            "(result i32)",
            "`__range(0, 3)` describes an integer that the guest gives",
        ),
        ("int level", "(result i32)", "this declares no function"),
        ("level", "(param i32) (result i32)", "the prototype needs: (func (result i32))"),
        ("ratio", "(result f32)", "the prototype needs: (func (result f64))"),
        ("extern int levle", "(result i32)", "similar names that it grants: level"),
    ] {
        let error = refused(&bridge, &guest(&[("f", import, ty)])).to_string();
        assert!(error.contains(message), "{import}: {error}");
    }
}

/// Data of the real C library.
#[test]
fn the_streams_of_the_c_library_are_handles() {
    let engine = Engine::default();
    let interface = r#"
        #pragma portcullis library "libc.so.6" module "libc"
        extern int opterr;
        extern FILE *stdout;
        extern const char *program_invocation_name;
        int fflush(FILE *_Nullable stream);
        extern int abs;
        extern int stderr[3];"#;
    let wrong = interface.replace("extern int stderr[3];", "");
    // SAFETY: it is true of the library, but for `abs`, which is never linked.
    let builder = unsafe { Bridge::builder(&engine).grant_interface("c.h", &wrong) };
    let bridge = builder.unwrap_or_else(|error| panic!("{error}")).build().unwrap();
    let import = |name: &str, ty: &str| format!(r#"(import "libc" "{name}" (func ${name} {ty}))"#);
    let text = format!(
        r#"(module {} {} {}
        (func (export "flush") (result i32) (call $fflush (call $stdout)))
        (func (export "opterr") (result i32) (call $opterr)))"#,
        import("stdout", "(result i32)"),
        import("opterr", "(result i32)"),
        import("fflush", "(param i32) (result i32)"),
    );
    let mut guest = Guest::new(&bridge, &text).unwrap();
    assert_eq!(guest.call::<(), i32>("flush", ()).unwrap(), 0);
    assert_eq!(guest.call::<(), i32>("opterr", ()).unwrap(), 1);
    let error = refused(&bridge, r#"(module (import "libc" "abs" (func (result i32))))"#);
    assert!(matches!(error.problem, LinkProblem::Data { .. }), "{error}");
    assert!(error.to_string().contains("is not data"), "{error}");
    // SAFETY: it is refused.
    let builder = unsafe { Bridge::builder(&engine).grant_interface("c.h", interface) };
    assert!(builder.is_err(), "an array that changes is not copied");
}

/// By wasmtime's own means too, and without a memory where none is needed.
#[test]
fn data_needs_no_memory_of_its_own() {
    let _turn = TURN.lock();
    LEVEL.store(11, Ordering::Relaxed);
    let text = r#"(module (import "mock" "level" (func $level (result i32)))
        (func (export "level") (result i32) (call $level)))"#;
    let bridge = bridge();
    let mut one = Guest::new(&bridge, text).unwrap();
    assert_eq!(one.call::<(), i32>("level", ()).unwrap(), 11);
    let module = Module::new(bridge.engine(), text).unwrap();
    let mut linker = Linker::new(bridge.engine());
    bridge.add_to_linker(&mut linker, &module, natives).unwrap();
    let mut store = Store::new(bridge.engine(), State::default());
    let instance = linker.instantiate(&mut store, &module).unwrap();
    let level = instance.get_typed_func::<(), i32>(&mut store, "level").unwrap();
    assert_eq!(level.call(&mut store, ()).unwrap(), 11);
}
