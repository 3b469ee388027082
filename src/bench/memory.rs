//! Rows with what lies in the guest's memory: buffers, strings, structs.
#![expect(unsafe_code, reason = "plays a C library and calls it through addresses")]
use super::near;
use super::row::{Address, Guest, Held, Row, State, c_loops};
use super::scalars::{near_or, own};
use std::ffi::c_void;
use std::mem::transmute;
use wasmtime::{Caller, Func, Result, format_err};

/// Where things lie in the guest's memory.
const DATA_AT: u32 = 1024;
const PAIR_AT: u32 = 2048;
const SPAN_AT: u32 = 3072;
const STAMP_AT: u32 = 3104;

/// The rows.
pub(super) fn rows() -> Vec<Row> {
    vec![buffer_row(), text_row(), swap(), within(), since()]
}

/// The native address of so many bytes of the guest's memory, as a host function would find it.
#[inline]
pub(super) fn buffer(caller: &Caller<'_, State>, start: u32, length: u32) -> Result<*const u8> {
    let memory = caller.data().memory.ok_or_else(|| format_err!("no memory"))?.data(caller);
    let (start, length) = (start as usize, length as usize);
    let bytes = start.checked_add(length).and_then(|end| memory.get(start..end));
    Ok(bytes.ok_or_else(|| format_err!("out of bounds"))?.as_ptr())
}

/// The same of a string.
#[inline]
pub(super) fn text(caller: &Caller<'_, State>, start: u32) -> Result<*const u8> {
    let memory = caller.data().memory.ok_or_else(|| format_err!("no memory"))?.data(caller);
    let bytes = memory.get(start as usize..).unwrap_or_default();
    memchr::memchr(0, bytes).ok_or_else(|| format_err!("unterminated"))?;
    Ok(bytes.as_ptr())
}

/// A string there.
pub(super) fn data() -> String {
    format!("(data (i32.const {DATA_AT}) \"portcull\")")
}

static PORTCULL: &[u8; 64] =
    b"portcull\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

type Buffer = unsafe extern "C" fn(*const u8, i32, usize) -> i32;
/// # Safety
/// There are `len` bytes.
unsafe extern "C" fn last_of(data: *const u8, a: i32, len: usize) -> i32 {
    // SAFETY: the caller's promise.
    a.wrapping_add(unsafe { *data.add(len - 1) }.into())
}

fn buffer_row() -> Row {
    let address = near_or("buffer", last_of as Buffer as *const c_void);
    let prototype = "int buffer(const uint8_t *__counted_by(len) data, int a, size_t len)";
    let call = format!("(call $f (i32.const {DATA_AT}) (local.get $last) (i32.const 64))");
    Row {
        id: "buffer".to_owned(),
        title: "checked buffer: const uint8_t[len], int, size_t".to_owned(),
        group: "the guest's memory",
        prototype: prototype.to_owned(),
        arguments: None,
        listed: true,
        grant: own(&format!("{prototype};"), vec![("buffer", address)]),
        guest: Guest {
            rest: data(),
            ..Guest::chained("bench", "buffer", "i32 i32 i32", "i32", &call)
        },
        c: Box::new(move || {
            // SAFETY: the function is of this type, and there are 64 bytes.
            let call = |f, last: i32, _| unsafe {
                transmute::<*const c_void, Buffer>(f)(PORTCULL.as_ptr(), last, 64)
            };
            let near = near::loops("buffer", "int", address, Address(PORTCULL.as_ptr().cast()));
            Ok(near.unwrap_or_else(|| c_loops(address, 1, call, |last, n| last ^ n)))
        }),
        wrap: Box::new(move |store| {
            let address = std::hint::black_box(address);
            let glue = move |caller: Caller<'_, State>, at: u32, a: i32, len: u32| -> Result<i32> {
                let data = buffer(&caller, at, len)?;
                // SAFETY: likewise; the range was checked.
                Ok(unsafe {
                    transmute::<*const c_void, Buffer>(address.get())(data, a, len as usize)
                })
            };
            Ok(Func::wrap(store, glue))
        }),
    }
}

type Text = unsafe extern "C" fn(*const u8, i32) -> i32;
/// # Safety
/// There are 8 bytes.
unsafe extern "C" fn eighth(s: *const u8, a: i32) -> i32 {
    // SAFETY: the caller's promise.
    a.wrapping_add(unsafe { *s.add(7) }.into())
}

fn text_row() -> Row {
    let address = near_or("text", eighth as Text as *const c_void);
    let prototype = "int text(const char *s, int a)";
    let call = format!("(call $f (i32.const {DATA_AT}) (local.get $last))");
    Row {
        id: "text".to_owned(),
        title: "string of 8 characters: const char *, int".to_owned(),
        group: "the guest's memory",
        prototype: prototype.to_owned(),
        arguments: None,
        listed: true,
        grant: own(&format!("{prototype};"), vec![("text", address)]),
        guest: Guest { rest: data(), ..Guest::chained("bench", "text", "i32 i32", "i32", &call) },
        c: Box::new(move || {
            // SAFETY: the function is of this type, and the string long enough.
            let call = |f, last: i32, _| unsafe {
                transmute::<*const c_void, Text>(f)(PORTCULL.as_ptr(), last)
            };
            let near = near::loops("pointer", "int", address, Address(PORTCULL.as_ptr().cast()));
            Ok(near.unwrap_or_else(|| c_loops(address, 1, call, |last, n| last ^ n)))
        }),
        wrap: Box::new(move |store| {
            let address = std::hint::black_box(address);
            let glue = move |caller: Caller<'_, State>, s: u32, a: i32| -> Result<i32> {
                let s = text(&caller, s)?;
                // SAFETY: likewise; the end was looked for.
                Ok(unsafe { transmute::<*const c_void, Text>(address.get())(s, a) })
            };
            Ok(Func::wrap(store, glue))
        }),
    }
}

/// `struct pair { double x, y; }`
#[derive(Clone, Copy)]
#[repr(C)]
struct Pair {
    x: f64,
    y: f64,
}

impl Held for Pair {
    fn held(self) -> Pair {
        Pair { x: self.x.held(), y: self.y }
    }
}

type Swap = unsafe extern "C" fn(Pair) -> Pair;
unsafe extern "C" fn swapped(p: Pair) -> Pair {
    Pair { x: p.y, y: p.x }
}

fn swap() -> Row {
    let address = near_or("swap", swapped as Swap as *const c_void);
    let prototype = "struct pair swap(struct pair p)";
    let at = format!("(i32.const {PAIR_AT})");
    let mut guest = Guest::chained("bench", "swap", "i32 i32", "f64", "");
    guest.result.clear();
    guest.rest = format!("(data (i32.const {PAIR_AT}) \"\\00\\00\\00\\00\\00\\00\\f0\\3f\")");
    guest.step = format!("(call $f {at} {at})");
    // What goes through memory from one call to the next is what such calls cost, and is not taken off.
    guest.nothing.clear();
    Row {
        id: "swap".to_owned(),
        title: "struct { double x, y; } by value, in and out".to_owned(),
        group: "the guest's memory",
        prototype: prototype.to_owned(),
        arguments: None,
        listed: true,
        grant: own(
            &format!("struct pair {{ double x, y; }};\n{prototype};"),
            vec![("swap", address)],
        ),
        guest,
        c: Box::new(move || {
            // SAFETY: the function is of this type.
            let call = |f, last: Pair, _| unsafe { transmute::<*const c_void, Swap>(f)(last) };
            let near = near::loops("doubles", "int", address, Address(std::ptr::null()));
            let start = Pair { x: 1.0, y: 2.0 };
            Ok(near.unwrap_or_else(|| c_loops(address, start, call, |last, _| last)))
        }),
        wrap: Box::new(move |store| {
            let address = std::hint::black_box(address);
            let glue = move |mut caller: Caller<'_, State>, to: u32, from: u32| -> Result<()> {
                let memory = caller.data().memory.ok_or_else(|| format_err!("no memory"))?;
                let memory = memory.data_mut(&mut caller);
                let outside = || format_err!("out of bounds");
                let bytes = |at: u32| memory.get(at as usize..)?.first_chunk::<16>().copied();
                let from = bytes(from).ok_or_else(outside)?;
                let half =
                    |bytes: &[u8]| f64::from_le_bytes(bytes.try_into().expect("eight bytes"));
                let pair = Pair { x: half(&from[..8]), y: half(&from[8..]) };
                let to = memory.get_mut(to as usize..).and_then(|to| to.first_chunk_mut::<16>());
                let to = to.ok_or_else(outside)?;
                // SAFETY: likewise.
                let Pair { x, y } =
                    unsafe { transmute::<*const c_void, Swap>(address.get())(pair) };
                to[..8].copy_from_slice(&x.to_le_bytes());
                to[8..].copy_from_slice(&y.to_le_bytes());
                Ok(())
            };
            Ok(Func::wrap(store, glue))
        }),
    }
}

/// `struct span { int64_t start, length; }`
#[repr(C)]
struct Span {
    start: i64,
    length: i64,
}
type Within = unsafe extern "C" fn(*const Span, i32) -> i32;
/// # Safety
/// There is a struct.
#[expect(clippy::cast_possible_truncation, reason = "as C does it")]
unsafe extern "C" fn length_of(s: *const Span, a: i32) -> i32 {
    // SAFETY: the caller's promise.
    a.wrapping_add(unsafe { (*s).length } as i32)
}
static SPAN: Span = Span { start: 1, length: 2 };

fn within() -> Row {
    let address = near_or("second", length_of as Within as *const c_void);
    let prototype = "int within(const struct span *s, int a)";
    let call = format!("(call $f (i32.const {SPAN_AT}) (local.get $last))");
    let bytes = format!("\\{:02x}\\00\\00\\00\\00\\00\\00\\00\\{:02x}", SPAN.start, SPAN.length);
    Row {
        id: "within".to_owned(),
        title: "struct by pointer, the same bytes on both sides".to_owned(),
        group: "the guest's memory",
        prototype: prototype.to_owned(),
        arguments: None,
        listed: true,
        grant: own(
            &format!("struct span {{ int64_t start, length; }};\n{prototype};"),
            vec![("within", address)],
        ),
        guest: Guest {
            rest: format!("(data (i32.const {SPAN_AT}) \"{bytes}\")"),
            ..Guest::chained("bench", "within", "i32 i32", "i32", &call)
        },
        c: Box::new(move || {
            // SAFETY: the function is of this type.
            let call = |f, last: i32, _| unsafe {
                transmute::<*const c_void, Within>(f)(&raw const SPAN, last)
            };
            let near = near::loops("pointer", "int", address, Address((&raw const SPAN).cast()));
            Ok(near.unwrap_or_else(|| c_loops(address, 1, call, |last, n| last ^ n)))
        }),
        wrap: Box::new(move |store| {
            let address = std::hint::black_box(address);
            let glue = move |caller: Caller<'_, State>, at: u32, a: i32| -> Result<i32> {
                let span = buffer(&caller, at, 16)?;
                if !at.is_multiple_of(8) {
                    return Err(format_err!("not aligned"));
                }
                // SAFETY: likewise; range and alignment were checked.
                Ok(unsafe { transmute::<*const c_void, Within>(address.get())(span.cast(), a) })
            };
            Ok(Func::wrap(store, glue))
        }),
    }
}

/// `struct stamp { long sec; int nsec; }`
#[repr(C)]
struct Stamp {
    sec: i64,
    nsec: i32,
}
type Since = unsafe extern "C" fn(*const Stamp, i32) -> i32;
/// # Safety
/// There is a struct.
unsafe extern "C" fn nanoseconds(s: *const Stamp, a: i32) -> i32 {
    // SAFETY: the caller's promise.
    a.wrapping_add(unsafe { (*s).nsec })
}
static STAMP: Stamp = Stamp { sec: 1, nsec: 2 };

fn since() -> Row {
    let address = near_or("second", nanoseconds as Since as *const c_void);
    let prototype = "int since(const struct stamp *s, int a)";
    let call = format!("(call $f (i32.const {STAMP_AT}) (local.get $last))");
    let bytes = format!("\\{:02x}\\00\\00\\00\\{:02x}", STAMP.sec, STAMP.nsec);
    Row {
        id: "since".to_owned(),
        title: "struct by pointer, converted (a long grows)".to_owned(),
        group: "the guest's memory",
        prototype: prototype.to_owned(),
        arguments: None,
        listed: true,
        grant: own(
            &format!("struct stamp {{ long sec; int nsec; }};\n{prototype};"),
            vec![("since", address)],
        ),
        guest: Guest {
            rest: format!("(data (i32.const {STAMP_AT}) \"{bytes}\")"),
            ..Guest::chained("bench", "since", "i32 i32", "i32", &call)
        },
        c: Box::new(move || {
            // SAFETY: the function is of this type.
            let call = |f, last: i32, _| unsafe {
                transmute::<*const c_void, Since>(f)(&raw const STAMP, last)
            };
            let near = near::loops("pointer", "int", address, Address((&raw const STAMP).cast()));
            Ok(near.unwrap_or_else(|| c_loops(address, 1, call, |last, n| last ^ n)))
        }),
        wrap: Box::new(move |store| {
            let address = std::hint::black_box(address);
            let glue = move |caller: Caller<'_, State>, at: u32, a: i32| -> Result<i32> {
                let memory = caller.data().memory.ok_or_else(|| format_err!("no memory"))?;
                let bytes = memory.data(&caller).get(at as usize..);
                let bytes = bytes.and_then(|bytes| bytes.first_chunk::<8>());
                let bytes = bytes.ok_or_else(|| format_err!("out of bounds"))?;
                let word = |at: usize| {
                    i32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
                };
                let stamp = Stamp { sec: word(0).into(), nsec: word(4) };
                // SAFETY: likewise.
                Ok(unsafe { transmute::<*const c_void, Since>(address.get())(&raw const stamp, a) })
            };
            Ok(Func::wrap(store, glue))
        }),
    }
}
