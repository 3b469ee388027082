//! A clock that only moves when it is told to, and guests that move it.
#![expect(unsafe_code, reason = "grants native functions of its own")]
use portcullis::host::{Bridge, Natives, Recording};
use portcullis::plan::recorder::{Clock, Sampling};
use portcullis::profile::{Calibration, Import, Profile};
use std::cell::Cell;
use std::ffi::c_void;
use wasmtime::{Engine, Instance, Linker, Module, Store};

thread_local! {
    static NOW: Cell<u64> = const { Cell::new(0) };
}

pub fn now() -> u64 {
    NOW.get()
}

pub const CLOCK: Clock = Clock::Planted(now);

pub fn pass(time: u64) {
    NOW.set(NOW.get() + time);
}

/// Native code that takes so long.
extern "C" fn spend(time: u64) {
    pass(time);
}

/// Native code that takes 3 before and 4 after each of so many calls of a guest's function.
extern "C" fn each(times: u32, call: extern "C" fn(u32)) {
    for number in 0..times {
        pass(3);
        call(number);
        pass(4);
    }
}

extern "C" fn fill(bytes: *mut u8, length: *mut u64) {
    let _ = bytes;
    pass(1);
    // SAFETY: the interface says that there is one.
    unsafe { length.write(2) };
}

extern "C" fn read(_: *const u8, _: u32, _: *const u8) {
    pass(1);
}

extern "C" fn hello() -> *const u8 {
    pass(1);
    c"hello".as_ptr().cast()
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Wide {
    a: u64,
    b: u64,
    c: u64,
}

extern "C" fn turn(wide: *mut Wide) {
    // SAFETY: the interface says that there is one.
    let wide = unsafe { &mut *wide };
    (wide.a, wide.b, wide.c) = (wide.c, wide.a, wide.b);
    pass(1);
}

const INTERFACE: &str = "\
#pragma portcullis library \"libplanted.so\" module \"planted\"
void spend(unsigned long long time) __leaf;
void each(unsigned times, void (*call)(unsigned number));
void fill(uint8_t *_Out_ __sized_by(8) bytes, unsigned long *_Out_ length) __leaf;
void read(const uint8_t *__counted_by(length) bytes, unsigned length, const char *text) __leaf;
const char *hello(void) __leaf;
struct wide { unsigned long a; unsigned long b; unsigned long c; };
void turn(struct wide *_Inout_ wide) __leaf;
";

#[derive(Default)]
pub struct State {
    pub natives: Natives,
}

/// What was profiled.
pub struct Ran {
    pub profile: Profile,
    pub ended: wasmtime::Result<()>,
}

impl Ran {
    pub fn import(&self, name: &str) -> &Import {
        let found = self.profile.imports.iter().find(|import| import.name == name);
        found.unwrap_or_else(|| panic!("{name} is not there"))
    }
}

/// Runs the export `run` of such a guest. `work` of the module `host` takes as long as it is told to; it is no
/// import of the bridge's, and so it is the guest's own time.
pub fn run(guest: &str, sampling: Sampling) -> Ran {
    NOW.set(1000);
    let recording = Recording::new(CLOCK, sampling);
    let engine = Engine::default();
    // SAFETY: the functions are those above, and do what the interface says.
    let bridge = unsafe {
        let mut builder =
            Bridge::builder(&engine).grant_interface("planted.h", INTERFACE).expect("correct");
        for (name, address) in [
            ("spend", spend as *const c_void),
            ("each", each as *const c_void),
            ("fill", fill as *const c_void),
            ("read", read as *const c_void),
            ("hello", hello as *const c_void),
            ("turn", turn as *const c_void),
        ] {
            builder = builder.symbol("libplanted.so", name, address);
        }
        builder.record(&recording).build().expect("there are bridges here")
    };
    recording.phase("reading it");
    pass(50);
    let module = Module::new(&engine, guest).expect("correct");
    recording.phase("the guest");
    let mut store = Store::new(&engine, State::default());
    let mut linker = Linker::new(&engine);
    linker.func_wrap("host", "work", |time: u64| pass(time)).expect("new");
    linker
        .func_wrap("host", "exit", || -> wasmtime::Result<()> {
            Err(wasmtime::Error::msg("the guest has left"))
        })
        .expect("new");
    let instance: Instance = bridge
        .instantiate(&mut store, &linker, &module, |state: &mut State| &mut state.natives)
        .expect("it links");
    let function = instance.get_typed_func::<(), ()>(&mut store, "run").expect("it has one");
    let ended = function.call(&mut store, ());
    let recorded = recording.recorded();
    assert_eq!(recorded.wall, now() - 1000);
    Ran { profile: Profile::new(&recorded, &Calibration::none(CLOCK)), ended }
}

/// The sums are exact: nothing costs anything here, and everything was timed.
pub fn adds_up(profile: &Profile) {
    assert!((profile.sum() - profile.wall).abs() < 1e-6, "{} of {}", profile.sum(), profile.wall);
    assert!(profile.error == 0.0, "{}", profile.error);
}
