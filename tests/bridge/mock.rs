//! A native library in Rust: the bridge gets the addresses of its functions.
#![expect(unsafe_code, reason = "it plays a C library")]
use portcullis::host::{Bridge, BridgeBuilder};
use std::cell::{Cell, RefCell};
use std::ffi::{c_char, c_int, c_uint, c_void};
use wasmtime::Engine;

pub const INTERFACE: &str = r#"
#include "portcullis.h"
#pragma portcullis library "libmock.so" module "mock"

typedef struct thing thing __drop(thing_close);

int add(int a, int b);
long twice(long n);
void fill(uint8_t *_Out_ __counted_by(n) buf, unsigned int n, uint8_t value);
unsigned int sum(const uint8_t *__counted_by(n) buf, unsigned int n);
const char *greeting(void);
const char *letter(int n);
char *__null_terminated __freed_by(text_free) text_new(int n);
void text_free(void *text);
int fail_with(int number) __errno;
const char *fail_softly(int number) __errno;
thing *thing_open(int id);
thing *__lifetimebound(parent) thing_child(thing *parent, int id);
int thing_id(thing *it);
void thing_close(thing *__consumes it);
const char *__lifetimebound(it) thing_name(thing *it);
void thing_turn(thing *__invalidates it, int id);

int choose(int option __range(1), int value);
int choose(int option __range(2), const char *text);
"#;

thread_local! {
    static CALLS: Cell<u32> = const { Cell::new(0) };
    static CLOSED: RefCell<Vec<i32>> = const { RefCell::new(Vec::new()) };
    static FREED: Cell<u32> = const { Cell::new(0) };
}

/// How many native functions have been called on this thread.
pub fn calls() -> u32 {
    CALLS.get()
}

/// The things that have been closed on this thread, in order.
pub fn closed() -> Vec<i32> {
    CLOSED.with_borrow(Clone::clone)
}

/// How many texts have been freed on this thread.
pub fn freed() -> u32 {
    FREED.get()
}

fn called() {
    CALLS.set(CALLS.get() + 1);
}

/// A builder that grants `interface` with the addresses of this library.
pub fn granted(engine: &Engine, interface: &str) -> BridgeBuilder {
    let builder = Bridge::builder(engine).max_tier(crate::MOST);
    // SAFETY: the interface is one of these tests', true of the functions below.
    let builder = unsafe { builder.grant_interface("mock.h", interface) };
    with_symbols(builder.unwrap_or_else(|error| panic!("{error}")))
}

/// Supplies the addresses of this library.
pub fn with_symbols(builder: BridgeBuilder) -> BridgeBuilder {
    functions().into_iter().fold(builder, |builder, (name, address)| {
        // SAFETY: the functions are those of the interfaces of these tests, and static.
        unsafe { builder.symbol("libmock.so", name, address) }
    })
}

/// The address of one of the functions.
pub fn address(name: &str) -> *const c_void {
    functions().into_iter().find(|(known, _)| *known == name).expect("it is one of ours").1
}

/// Supplies the address of data.
pub fn with_data(builder: BridgeBuilder, symbols: &[(&str, *const c_void)]) -> BridgeBuilder {
    symbols.iter().fold(with_symbols(builder), |builder, (name, address)| {
        // SAFETY: they are statics of these tests, of the types that their interfaces say.
        unsafe { builder.symbol("libmock.so", name, *address) }
    })
}

fn functions() -> [(&'static str, *const c_void); 19] {
    [
        ("add", add as *const c_void),
        ("twice", twice as *const c_void),
        ("fill", fill as *const c_void),
        ("sum", sum as *const c_void),
        ("greeting", greeting as *const c_void),
        ("text_new", text_new as *const c_void),
        ("text_free", text_free as *const c_void),
        ("fail_with", fail_with as *const c_void),
        ("thing_open", thing_open as *const c_void),
        ("thing_child", thing_child as *const c_void),
        ("thing_id", thing_id as *const c_void),
        ("thing_close", thing_close as *const c_void),
        ("thing_name", thing_name as *const c_void),
        ("thing_turn", thing_turn as *const c_void),
        ("choose", choose as *const c_void),
        ("libmock_only", add as *const c_void),
        ("letter", letter as *const c_void),
        ("fail_softly", fail_softly as *const c_void),
        ("ignore", ignore as *const c_void),
    ]
}

extern "C" fn add(a: c_int, b: c_int) -> c_int {
    called();
    a.wrapping_add(b)
}

extern "C" fn twice(n: i64) -> i64 {
    called();
    n.wrapping_mul(2)
}

unsafe extern "C" fn fill(buf: *mut u8, n: c_uint, value: u8) {
    called();
    // SAFETY: the prototype says that `n` bytes are there.
    unsafe { buf.write_bytes(value, n as usize) }
}

unsafe extern "C" fn sum(buf: *const u8, n: c_uint) -> c_uint {
    called();
    // SAFETY: the prototype says that `n` bytes are there; NULL only if none are.
    (0..n as usize).map(|at| c_uint::from(unsafe { buf.add(at).read() })).sum()
}

extern "C" fn greeting() -> *const c_char {
    called();
    c"hello from outside".as_ptr()
}

/// The end of a constant: another address for each letter.
extern "C" fn letter(n: c_int) -> *const c_char {
    const LETTERS: &std::ffi::CStr = c"abcdefghijklmnopqrstuvwxyz";
    let at = n.rem_euclid(26).unsigned_abs() as usize;
    LETTERS.to_bytes_with_nul()[at..].as_ptr().cast()
}

/// Takes a pointer and leaves it alone: the wrong function for most purposes.
extern "C" fn ignore(_: *mut c_void) {}

extern "C" fn text_new(n: c_int) -> *mut c_char {
    called();
    std::ffi::CString::new(format!("text {n}")).unwrap().into_raw()
}

unsafe extern "C" fn text_free(text: *mut c_char) {
    FREED.set(FREED.get() + 1);
    // SAFETY: it came from `text_new`.
    drop(unsafe { std::ffi::CString::from_raw(text) });
}

extern "C" fn fail_with(number: c_int) -> c_int {
    called();
    // SAFETY: the thread's own `errno`.
    unsafe { *libc::__errno_location() = number };
    -1
}

/// Another constant for each number, and that number in `errno`.
extern "C" fn fail_softly(number: c_int) -> *const c_char {
    fail_with(number);
    letter(number)
}

/// An object of the library's own.
pub fn thing(id: c_int) -> *mut c_void {
    thing_open(id).cast()
}

pub struct Thing {
    id: c_int,
    name: std::ffi::CString,
}

extern "C" fn thing_open(id: c_int) -> *mut Thing {
    called();
    let name = std::ffi::CString::new(format!("thing {id}")).unwrap();
    Box::into_raw(Box::new(Thing { id, name }))
}

unsafe extern "C" fn thing_child(_: *mut Thing, id: c_int) -> *mut Thing {
    thing_open(id)
}

unsafe extern "C" fn thing_id(it: *mut Thing) -> c_int {
    called();
    // SAFETY: it came from `thing_open`.
    unsafe { (*it).id }
}

unsafe extern "C" fn thing_close(it: *mut Thing) {
    // SAFETY: it came from `thing_open`, and is closed once.
    let it = unsafe { Box::from_raw(it) };
    CLOSED.with_borrow_mut(|closed| closed.push(it.id));
}

unsafe extern "C" fn thing_name(it: *mut Thing) -> *const c_char {
    called();
    // SAFETY: it came from `thing_open`.
    unsafe { (*it).name.as_ptr() }
}

/// Gives it another name.
unsafe extern "C" fn thing_turn(it: *mut Thing, id: c_int) {
    called();
    // SAFETY: it came from `thing_open`.
    unsafe { (*it).name = std::ffi::CString::new(format!("thing {id}")).unwrap() };
}

/// The sum of its arguments, or the length of its text.
unsafe extern "C" fn choose(option: c_int, value: usize) -> c_int {
    called();
    if option == 1 {
        return value as u32 as c_int + 1;
    }
    // SAFETY: the prototype of this option says that it is a string.
    unsafe { libc::strlen(value as *const c_char) as c_int }
}
