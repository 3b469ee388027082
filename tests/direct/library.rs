//! A native library in Rust whose functions tell where they were called from, and how often.
#![expect(unsafe_code, reason = "it plays a C library")]
use portcullis::host::{Bridge, BridgeBuilder, Tier};
use std::arch::naked_asm;
use std::cell::Cell;
use std::ffi::{c_int, c_long, c_short, c_uint, c_void};
use wasmtime::Engine;

const INTERFACE: &str = r#"
#pragma portcullis library "libdirect.so" module "direct"
typedef struct thing thing __drop(thing_close);

long long here(void);
long long here_int(int a, long long b, double c);
long long here_buffer(const uint8_t *__counted_by(n) p, unsigned n);
long long here_text(const char *text);
long long here_thing(thing *it);
long long caller_many(int a, int b, int c, int d, int e, int f, int g, int h);
long long caller_cell(int *_Out_ __single p);
int by_host(int a, double b);
short low(int a);

int add(int a, int b);
long twice(long long n);
double sum(int a, float b, long long c, double d, int e, int f, int g, long long h, float i, double j,
    double k, double l, double m, double n, float o, double p, int q, const uint8_t *__counted_by(r) s, unsigned r);
void fill(uint8_t *_Out_ __counted_by(n) buf, unsigned n, uint8_t value);
void split(long long value, int *_Out_ __single high, long *_Out_ __single low);
int fail_with(int number) __errno;
thing *thing_open(int id);
int thing_id(thing *it);
void thing_close(thing *__consumes it);
"#;

thread_local! {
    static CALLS: Cell<u32> = const { Cell::new(0) };
}

/// How many native functions this thread has called since it was asked last.
pub fn calls() -> u32 {
    CALLS.replace(0)
}

fn called() {
    CALLS.set(CALLS.get() + 1);
}

/// A builder that grants the library, with direct calls.
pub fn granted(engine: &Engine) -> BridgeBuilder {
    let functions: [(&str, *const c_void); 18] = [
        ("here", here as *const c_void),
        ("here_int", here as *const c_void),
        ("here_buffer", here as *const c_void),
        ("here_text", here as *const c_void),
        ("here_thing", here as *const c_void),
        ("caller_many", caller as *const c_void),
        ("caller_cell", caller as *const c_void),
        ("by_host", by_host as *const c_void),
        ("low", low as *const c_void),
        ("add", add as *const c_void),
        ("twice", twice as *const c_void),
        ("sum", sum as *const c_void),
        ("fill", fill as *const c_void),
        ("split", split as *const c_void),
        ("fail_with", fail_with as *const c_void),
        ("thing_open", thing_open as *const c_void),
        ("thing_id", thing_id as *const c_void),
        ("thing_close", thing_close as *const c_void),
    ];
    let builder = Bridge::builder(engine).max_tier(Tier::Direct);
    // SAFETY: the interface is true of the functions below.
    let builder = unsafe { builder.grant_interface("direct.h", INTERFACE) };
    let builder = builder.unwrap_or_else(|error| panic!("{error}"));
    functions.into_iter().fold(builder, |builder, (name, address)| {
        // SAFETY: these are those functions, and static.
        unsafe { builder.symbol("libdirect.so", name, address) }
    })
}

/// Where it returns to.
#[unsafe(naked)]
extern "C" fn here() -> i64 {
    naked_asm!("mov rax, [rsp]", "ret")
}

/// Where its caller returns to.
#[unsafe(naked)]
extern "C" fn caller() -> i64 {
    naked_asm!("mov rax, [rbp + 8]", "ret")
}

/// Whether a function of the host was entered on the way here: wasmtime has a name for that.
extern "C" fn by_host(a: c_int, _: f64) -> c_int {
    let trace = std::backtrace::Backtrace::force_capture().to_string();
    assert!(trace.contains("by_host"), "{trace}");
    a + c_int::from(trace.contains("array_call_trampoline"))
}

extern "C" fn low(a: c_int) -> c_short {
    called();
    a as c_short
}

extern "C" fn add(a: c_int, b: c_int) -> c_int {
    called();
    a.wrapping_add(b)
}

extern "C" fn twice(n: i64) -> c_long {
    called();
    n.wrapping_mul(2)
}

/// Each argument weighs more than those before it together.
unsafe extern "C" fn sum(
    a: c_int,
    b: f32,
    c: i64,
    d: f64,
    e: c_int,
    f: c_int,
    g: c_int,
    h: i64,
    i: f32,
    j: f64,
    k: f64,
    l: f64,
    m: f64,
    n: f64,
    o: f32,
    p: f64,
    q: c_int,
    s: *const u8,
    r: c_uint,
) -> f64 {
    called();
    // SAFETY: the prototype says that `r` bytes are there.
    let bytes: u32 = (0..r as usize).map(|at| u32::from(unsafe { s.add(at).read() })).sum();
    let (c, h) = (c as f64, h as f64);
    let parts = [
        a.into(),
        b.into(),
        c,
        d,
        e.into(),
        f.into(),
        g.into(),
        h,
        i.into(),
        j,
        k,
        l,
        m,
        n,
        o.into(),
        p,
        q.into(),
        bytes.into(),
    ];
    parts.iter().rev().fold(0.0, |sum, part| 2.0 * sum + part)
}

unsafe extern "C" fn fill(buf: *mut u8, n: c_uint, value: u8) {
    called();
    // SAFETY: the prototype says that `n` bytes are there.
    unsafe { buf.write_bytes(value, n as usize) }
}

unsafe extern "C" fn split(value: i64, high: *mut c_int, low: *mut c_long) {
    called();
    // SAFETY: the prototype says that they are there.
    unsafe {
        *high = (value >> 32) as c_int;
        *low = value;
    }
}

extern "C" fn fail_with(number: c_int) -> c_int {
    called();
    // SAFETY: the thread's own `errno`.
    unsafe { *libc::__errno_location() = number };
    -1
}

extern "C" fn thing_open(id: c_int) -> *mut c_int {
    called();
    Box::into_raw(Box::new(id))
}

unsafe extern "C" fn thing_id(it: *const c_int) -> c_int {
    called();
    // SAFETY: it came from `thing_open`.
    unsafe { *it }
}

unsafe extern "C" fn thing_close(it: *mut c_int) {
    called();
    // SAFETY: it came from `thing_open`, and is closed once.
    drop(unsafe { Box::from_raw(it) });
}

/// What is at an address: the name of its file, or nothing.
pub fn what_is_at(address: i64) -> String {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("Linux");
    let mut lines = maps.lines().filter_map(|line| {
        let (range, rest) = line.split_once(' ')?;
        let (low, high) = range.split_once('-')?;
        let low = i64::from_str_radix(low, 16).ok()?;
        let high = i64::from_str_radix(high, 16).ok()?;
        let name = rest.split_whitespace().nth(4).unwrap_or_default();
        (low..high).contains(&address).then(|| name.to_owned())
    });
    lines.next().unwrap_or_else(|| panic!("nothing is at {address:#x}"))
}
