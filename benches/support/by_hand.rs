//! Host functions as an embedder would write them, one a row.
//!
//! `wrap` is wasmtime's usual way; `floor` reads and writes the values itself, which is as little
//! as a host function can do. Both keep the memory in the store's data: looking it up by name at each
//! call would cost more than everything else.
use crate::contenders::{Address, State};
use crate::rows::Row;
use std::ffi::c_void;
use std::mem::{MaybeUninit, transmute};
use wasmtime::{Caller, Func, FuncType, Result, Store, ValRaw, format_err};

/// Calls `$then` with as many names as the row has `int`s; `None` for another kind of row.
macro_rules! by_count {
    ($count:expr, $then:ident) => {
        match $count {
            0 => $then!(),
            1 => $then!(a),
            2 => $then!(a b),
            3 => $then!(a b c),
            4 => $then!(a b c d),
            5 => $then!(a b c d e),
            6 => $then!(a b c d e f),
            7 => $then!(a b c d e f g),
            8 => $then!(a b c d e f g h),
            9 => $then!(a b c d e f g h i),
            10 => $then!(a b c d e f g h i j),
            11 => $then!(a b c d e f g h i j k),
            12 => $then!(a b c d e f g h i j k l),
            more => unreachable!("no row has {more} `int`s and nothing else"),
        }
    };
}

/// `int`, whatever the name.
macro_rules! int {
    ($name:ident) => {
        i32
    };
}

/// How many `int`s the function of a row takes, if it takes nothing else.
fn ints(row: &Row) -> Option<usize> {
    match &*row.symbol {
        "add" => Some(2),
        "eight" => Some(8),
        _ => row.slope,
    }
}

type Buffer = unsafe extern "C" fn(*const u8, i32, usize) -> i32;
type Text = unsafe extern "C" fn(*const u8, i32) -> i32;
/// `struct pair`
#[derive(Clone, Copy)]
#[repr(C)]
struct Pair {
    x: f64,
    y: f64,
}
type Swap = unsafe extern "C" fn(Pair) -> Pair;
/// `struct stamp`
#[repr(C)]
struct Stamp {
    sec: i64,
    nsec: i32,
}
/// `struct piece`
#[derive(Clone, Copy)]
#[repr(C)]
struct Piece {
    base: *const u8,
    len: usize,
}
type Within = unsafe extern "C" fn(*const u8, i32) -> i32;
type Since = unsafe extern "C" fn(*const Stamp, i32) -> i32;
type Gather = unsafe extern "C" fn(*const Piece, i32, i32) -> i32;
type Half = unsafe extern "C" fn(f64) -> f64;
#[rustfmt::skip]
type Mixed = unsafe extern "C" fn(
    i64, i64, i64, i64, i64, i64, f64, f64, f64, f64, f64, f64, f64, f64, i64, i64, i64, i64,
) -> i64;

/// The native address of so many bytes of the guest's memory.
#[inline]
fn buffer(caller: &Caller<'_, State>, start: u32, length: u32) -> Result<*const u8> {
    let memory = caller.data().memory.ok_or_else(|| format_err!("no memory"))?.data(caller);
    let (start, length) = (start as usize, length as usize);
    let bytes = start.checked_add(length).and_then(|end| memory.get(start..end));
    Ok(bytes.ok_or_else(|| format_err!("out of bounds"))?.as_ptr())
}

/// The native address of a string of the guest's memory.
#[inline]
fn text(caller: &Caller<'_, State>, start: u32) -> Result<*const u8> {
    let memory = caller.data().memory.ok_or_else(|| format_err!("no memory"))?.data(caller);
    let bytes = memory.get(start as usize..).unwrap_or_default();
    memchr::memchr(0, bytes).ok_or_else(|| format_err!("unterminated"))?;
    Ok(bytes.as_ptr())
}

/// An integer of the guest's memory.
#[inline]
fn word(caller: &Caller<'_, State>, at: u32) -> Result<[u8; 4]> {
    let memory = caller.data().memory.ok_or_else(|| format_err!("no memory"))?.data(caller);
    let bytes = memory.get(at as usize..).and_then(|bytes| bytes.first_chunk());
    Ok(*bytes.ok_or_else(|| format_err!("out of bounds"))?)
}

/// Calls a function with the record at `at`: in place, converted, or an array of at most two.
#[inline]
fn behind(
    caller: &Caller<'_, State>,
    symbol: Symbol,
    (at, a, n): (u32, i32, i32),
    address: Address,
) -> Result<i32> {
    let next = |offset: u32| at.checked_add(offset).ok_or_else(|| format_err!("out of bounds"));
    // SAFETY (of every call below): the row's function is of this type, its pointers were checked.
    match symbol {
        Symbol::Within => {
            let span = buffer(caller, at, 16)?;
            if !at.is_multiple_of(8) {
                return Err(format_err!("not aligned"));
            }
            // SAFETY: see above.
            Ok(unsafe { transmute::<*const c_void, Within>(address.get())(span, a) })
        }
        Symbol::Since => {
            let sec = i32::from_le_bytes(word(caller, at)?).into();
            let stamp = Stamp { sec, nsec: i32::from_le_bytes(word(caller, next(4)?)?) };
            // SAFETY: see above.
            Ok(unsafe { transmute::<*const c_void, Since>(address.get())(&raw const stamp, a) })
        }
        Symbol::Gather => {
            let mut pieces = [Piece { base: std::ptr::null(), len: 0 }; 2];
            let count = usize::try_from(n)?;
            let pieces = pieces.get_mut(..count).ok_or_else(|| format_err!("too many"))?;
            for (piece, offset) in pieces.iter_mut().zip((0..).step_by(8)) {
                let base = u32::from_le_bytes(word(caller, next(offset)?)?);
                let len = u32::from_le_bytes(word(caller, next(offset + 4)?)?);
                *piece = Piece { base: buffer(caller, base, len)?, len: len as usize };
            }
            // SAFETY: see above.
            Ok(unsafe { transmute::<*const c_void, Gather>(address.get())(pieces.as_ptr(), a, n) })
        }
    }
}

/// The functions that take a record by pointer.
#[derive(Clone, Copy)]
enum Symbol {
    Within,
    Since,
    Gather,
}

impl Symbol {
    fn of(row: &Row) -> Option<Symbol> {
        Some(match &*row.symbol {
            "within" => Symbol::Within,
            "since" => Symbol::Since,
            "gather" => Symbol::Gather,
            _ => return None,
        })
    }
}

/// Calls a function with the pair at `from` and leaves its result at `to`.
#[inline]
fn swap(caller: &mut Caller<'_, State>, to: u32, from: u32, address: Address) -> Result<()> {
    let memory = caller.data().memory.ok_or_else(|| format_err!("no memory"))?.data_mut(caller);
    let at = |start: u32| start as usize..start as usize + 16;
    let outside = || format_err!("out of bounds");
    let half = |bytes: &[u8]| f64::from_le_bytes(bytes.try_into().expect("eight bytes"));
    let from = memory.get(at(from)).ok_or_else(outside)?;
    let pair = Pair { x: half(&from[..8]), y: half(&from[8..]) };
    let to = memory.get_mut(at(to)).ok_or_else(outside)?;
    // SAFETY: the row's function is of this type.
    let Pair { x, y } = unsafe { transmute::<*const c_void, Swap>(address.get())(pair) };
    to[..8].copy_from_slice(&x.to_le_bytes());
    to[8..].copy_from_slice(&y.to_le_bytes());
    Ok(())
}

/// What opens a thing: the guest gets its number.
pub fn open_thing(store: &mut Store<State>, address: Address) -> Func {
    Func::wrap(store, move |mut caller: Caller<'_, State>| -> i32 {
        // SAFETY: it is of this type.
        let thing = unsafe {
            transmute::<*const c_void, unsafe extern "C" fn() -> *mut c_void>(address.get())()
        };
        let things = &mut caller.data_mut().things;
        things.push(Address::new(thing));
        i32::try_from(things.len()).expect("few things")
    })
}

/// Calls a function with a thing that the guest knows by its number.
#[inline]
fn with_thing(caller: &Caller<'_, State>, thing: i32, a: i32, address: Address) -> Result<i32> {
    let index = usize::try_from(thing).ok().and_then(|number| number.checked_sub(1));
    let thing = index.and_then(|index| caller.data().things.get(index));
    let thing = thing.ok_or_else(|| format_err!("no such thing"))?;
    // SAFETY: the row's function is of this type.
    Ok(unsafe { transmute::<*const c_void, Within>(address.get())(thing.get().cast(), a) })
}

/// With `Func::wrap`; `None` for more parameters than it takes (17).
pub fn wrap(store: &mut Store<State>, row: &Row, address: Address) -> Option<Func> {
    if let Some(count) = ints(row) {
        macro_rules! wrap {
            ($($name:ident)*) => {
                Func::wrap(store, move |$($name: i32),*| -> i32 {
                    type F = unsafe extern "C" fn($(int!($name)),*) -> i32;
                    // SAFETY: the row's function is of this type.
                    unsafe { transmute::<*const c_void, F>(address.get())($($name),*) }
                })
            };
        }
        return Some(by_count!(count, wrap));
    }
    // SAFETY (of every call below): the row's function is of this type, and its pointers were
    // checked.
    Some(match &*row.symbol {
        "half" => Func::wrap(store, move |x: f64| -> f64 {
            // SAFETY: see above.
            unsafe { transmute::<*const c_void, Half>(address.get())(x) }
        }),
        "buffer" => Func::wrap(
            store,
            move |caller: Caller<'_, State>, data: u32, a: i32, len: u32| -> Result<i32> {
                let data = buffer(&caller, data, len)?;
                // SAFETY: see above.
                Ok(unsafe {
                    transmute::<*const c_void, Buffer>(address.get())(data, a, len as usize)
                })
            },
        ),
        "swap" => Func::wrap(
            store,
            move |mut caller: Caller<'_, State>, to: u32, from: u32| -> Result<()> {
                swap(&mut caller, to, from, address)
            },
        ),
        "look" => {
            Func::wrap(store, move |caller: Caller<'_, State>, thing: i32, a: i32| -> Result<i32> {
                with_thing(&caller, thing, a, address)
            })
        }
        "within" | "since" => {
            let symbol = Symbol::of(row)?;
            Func::wrap(store, move |caller: Caller<'_, State>, at: u32, a: i32| -> Result<i32> {
                behind(&caller, symbol, (at, a, 0), address)
            })
        }
        "gather" => Func::wrap(
            store,
            move |caller: Caller<'_, State>, at: u32, a: i32, n: i32| -> Result<i32> {
                behind(&caller, Symbol::Gather, (at, a, n), address)
            },
        ),
        "text" => {
            Func::wrap(store, move |caller: Caller<'_, State>, s: u32, a: i32| -> Result<i32> {
                let s = text(&caller, s)?;
                // SAFETY: see above.
                Ok(unsafe { transmute::<*const c_void, Text>(address.get())(s, a) })
            })
        }
        _ => return None,
    })
}

/// With `Func::new_unchecked`.
pub fn floor(store: &mut Store<State>, row: &Row, ty: FuncType, address: Address) -> Option<Func> {
    type Slots<'s> = &'s mut [MaybeUninit<ValRaw>];
    if let Some(count) = ints(row) {
        macro_rules! unchecked {
            ($($name:ident)*) => {{
                let call = move |_: Caller<'_, State>, slots: Slots<'_>| {
                    type F = unsafe extern "C" fn($(int!($name)),*) -> i32;
                    let slots = slots.as_mut_ptr().cast::<ValRaw>();
                    // SAFETY: there is a slot for each parameter and one for the result; the row's
                    // function is of this type.
                    unsafe {
                        let [$($name),*] = std::array::from_fn(|at| (*slots.add(at)).get_i32());
                        let function = transmute::<*const c_void, F>(address.get());
                        *slots = ValRaw::i32(function($($name),*));
                    }
                    Ok(())
                };
                // SAFETY: it leaves a result of the type.
                unsafe { Func::new_unchecked(store, ty, call) }
            }};
        }
        return Some(by_count!(count, unchecked));
    }
    macro_rules! unchecked {
        (|$caller:pat_param, $slots:ident| $call:expr) => {{
            let call = move |$caller: Caller<'_, State>, slots: Slots<'_>| {
                let $slots = slots.as_mut_ptr().cast::<ValRaw>();
                // SAFETY: there is a slot for each parameter and one for the result; the row's
                // function is of the type that it is called by, and its pointers were checked.
                unsafe { *$slots = $call };
                Ok(())
            };
            // SAFETY: it leaves a result of the type.
            unsafe { Func::new_unchecked(store, ty, call) }
        }};
    }
    Some(match &*row.symbol {
        "half" => unchecked!(|_, slots| {
            let function = transmute::<*const c_void, Half>(address.get());
            ValRaw::f64(function(f64::from_bits((*slots).get_f64())).to_bits())
        }),
        "buffer" => unchecked!(|caller, slots| {
            let (a, len) = ((*slots.add(1)).get_i32(), (*slots.add(2)).get_u32());
            let data = buffer(&caller, (*slots).get_u32(), len)?;
            let function = transmute::<*const c_void, Buffer>(address.get());
            ValRaw::i32(function(data, a, len as usize))
        }),
        "look" => unchecked!(|caller, slots| {
            let (thing, a) = ((*slots).get_i32(), (*slots.add(1)).get_i32());
            ValRaw::i32(with_thing(&caller, thing, a, address)?)
        }),
        "within" | "since" => {
            let symbol = Symbol::of(row)?;
            unchecked!(|caller, slots| {
                let (at, a) = ((*slots).get_u32(), (*slots.add(1)).get_i32());
                ValRaw::i32(behind(&caller, symbol, (at, a, 0), address)?)
            })
        }
        "gather" => unchecked!(|caller, slots| {
            let (at, a) = ((*slots).get_u32(), (*slots.add(1)).get_i32());
            let n = (*slots.add(2)).get_i32();
            ValRaw::i32(behind(&caller, Symbol::Gather, (at, a, n), address)?)
        }),
        "swap" => {
            let call = move |mut caller: Caller<'_, State>, slots: Slots<'_>| {
                // SAFETY: there are two `i32`s.
                let [to, from] = [0, 1].map(|at| unsafe { slots[at].assume_init_ref().get_u32() });
                swap(&mut caller, to, from, address)
            };
            // SAFETY: there is no result.
            unsafe { Func::new_unchecked(store, ty, call) }
        }
        "text" => unchecked!(|caller, slots| {
            let s = text(&caller, (*slots).get_u32())?;
            let function = transmute::<*const c_void, Text>(address.get());
            ValRaw::i32(function(s, (*slots.add(1)).get_i32()))
        }),
        "mixed" => unchecked!(|_, slots| {
            let i = |at: usize| (*slots.add(at)).get_i64();
            let d = |at: usize| f64::from_bits((*slots.add(at)).get_f64());
            let function = transmute::<*const c_void, Mixed>(address.get());
            ValRaw::i64(function(
                i(0),
                i(1),
                i(2),
                i(3),
                i(4),
                i(5),
                d(6),
                d(7),
                d(8),
                d(9),
                d(10),
                d(11),
                d(12),
                d(13),
                i(14),
                i(15),
                i(16),
                i(17),
            ))
        }),
        _ => return None,
    })
}
