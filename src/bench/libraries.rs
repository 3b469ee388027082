//! Rows of real libraries, through the interfaces that ship: libm, zlib, SQLite.
#![expect(unsafe_code, reason = "calls functions of libraries through their addresses")]
use super::memory::buffer;
use super::near;
use super::row::{Address, Grant, Guest, Row, State, c_loops, symbol};
use crate::interfaces;
use std::ffi::{CStr, c_char, c_void};
use std::mem::transmute;
use std::ptr;
use wasmtime::{Caller, Func, Result, format_err};

/// The rows.
pub(super) fn rows() -> Vec<Row> {
    vec![cosine(), crc32(64, "64 B"), crc32(65_536, "64 KiB"), step()]
}

const GROUP: &str = "real libraries";

fn cosine() -> Row {
    type Cos = unsafe extern "C" fn(f64) -> f64;
    let find = || symbol("libm.so.6", "cos");
    Row {
        id: "cos".to_owned(),
        title: "libm: cos".to_owned(),
        group: GROUP,
        prototype: "double cos(double x)".to_owned(),
        arguments: None,
        listed: true,
        grant: Grant::Shipped(interfaces::libm()),
        guest: Guest::chained("libm", "cos", "f64", "f64", "(call $f (local.get $last))"),
        c: Box::new(move || {
            // SAFETY: the function is of this type.
            let call = |f, last, _: i32| unsafe { transmute::<*const c_void, Cos>(f)(last) };
            let address = find()?;
            let near = near::loops("doubles", "double", address, Address(ptr::null()));
            Ok(near.unwrap_or_else(|| c_loops(address, 1.0_f64, call, |last, _| 0.5 * last)))
        }),
        wrap: Box::new(move |store| {
            let address = find()?;
            Ok(Func::wrap(store, move |x: f64| -> f64 {
                // SAFETY: likewise.
                unsafe { transmute::<*const c_void, Cos>(address.get())(x) }
            }))
        }),
    }
}

fn crc32(bytes: u32, size: &str) -> Row {
    type Crc = unsafe extern "C" fn(u64, *const u8, u32) -> u64;
    let find = || symbol("libz.so.1", "crc32");
    let call = format!("(call $f (local.get $last) (i32.const 1024) (i32.const {bytes}))");
    Row {
        id: format!("crc32_{bytes}"),
        title: format!("zlib: crc32 of {size}"),
        group: GROUP,
        prototype: "uLong crc32(uLong crc, const Bytef *__counted_by(len) buf, uInt len)"
            .to_owned(),
        arguments: None,
        listed: true,
        grant: Grant::Shipped(interfaces::zlib()),
        guest: Guest { pages: 2, ..Guest::chained("zlib", "crc32", "i32 i32 i32", "i32", &call) },
        c: Box::new(move || {
            let data = vec![0_u8; bytes as usize];
            #[expect(clippy::cast_possible_truncation, reason = "a checksum has 32 bits")]
            // SAFETY: the function is of this type, and there are so many bytes.
            let call = move |f, last: i32, _| unsafe {
                let last = u64::from(last.cast_unsigned());
                let sum = transmute::<*const c_void, Crc>(f)(last, data.as_ptr(), bytes);
                (sum as u32).cast_signed()
            };
            Ok(c_loops(find()?, 1, call, |last, n| last ^ n))
        }),
        wrap: Box::new(move |store| {
            let address = find()?;
            let glue =
                move |caller: Caller<'_, State>, crc: u32, at: u32, len: u32| -> Result<u32> {
                    let data = buffer(&caller, at, len)?;
                    // SAFETY: likewise; the range was checked.
                    let sum = unsafe {
                        transmute::<*const c_void, Crc>(address.get())(crc.into(), data, len)
                    };
                    Ok(u32::try_from(sum)?)
                };
            Ok(Func::wrap(store, glue))
        }),
    }
}

/// A query without an end.
const SQL: &CStr =
    c"WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT (x + 1) & 1023 FROM c) SELECT x FROM c";
const LIBRARY: &str = "libsqlite3.so.0";
/// What each step returns: there is a row.
const ROW: i32 = 100;
type Step = unsafe extern "C" fn(*mut c_void) -> i32;

/// Prepares the query natively.
fn statement() -> std::result::Result<Address, String> {
    type Open = unsafe extern "C" fn(*const c_char, *mut *mut c_void) -> i32;
    type Prepare = unsafe extern "C" fn(
        *mut c_void,
        *const c_char,
        i32,
        *mut *mut c_void,
        *mut *const c_char,
    ) -> i32;
    let (open, prepare) =
        (symbol(LIBRARY, "sqlite3_open")?, symbol(LIBRARY, "sqlite3_prepare_v2")?);
    let (mut db, mut statement) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: the functions are of these types; strings end, and there is room for the pointers.
    let status = unsafe {
        transmute::<*const c_void, Open>(open.get())(c":memory:".as_ptr(), &raw mut db)
            | transmute::<*const c_void, Prepare>(prepare.get())(
                db,
                SQL.as_ptr(),
                -1,
                &raw mut statement,
                ptr::null_mut(),
            )
    };
    if status != 0 {
        return Err(format!("SQLite says {status}"));
    }
    Ok(Address(statement.cast_const()))
}

fn step() -> Row {
    let sql = SQL.to_str().unwrap_or_default();
    // `$last` counts the steps that gave a row; after setup `$h` is the statement.
    let call = "(call $f (global.get $h))";
    Row {
        id: "sqlite_step".to_owned(),
        title: "SQLite: sqlite3_step to the next row".to_owned(),
        group: GROUP,
        prototype: "int sqlite3_step(sqlite3_stmt *__invalidates stmt)".to_owned(),
        arguments: None,
        listed: true,
        grant: Grant::Shipped(interfaces::sqlite3()),
        guest: Guest {
            imports: "(import \"sqlite3\" \"sqlite3_open\" (func $open (param i32 i32) (result i32)))
(import \"sqlite3\" \"sqlite3_prepare_v2\" (func $prepare (param i32 i32 i32 i32 i32) (result i32)))"
                .to_owned(),
            setup: "(if (call $open (i32.const 1024) (i32.const 1040)) (then (unreachable)))
(if (call $prepare (i32.load (i32.const 1040)) (i32.const 2048) (i32.const -1) (i32.const 1044) (i32.const 0))
  (then (unreachable)))
(global.set $h (i32.load (i32.const 1044)))"
                .to_owned(),
            rest: format!(
                "(data (i32.const 1024) \":memory:\\00\") (data (i32.const 2048) \"{sql}\\00\")"
            ),
            ..Guest::chained("sqlite3", "sqlite3_step", "i32", "i32", call)
        },
        c: Box::new(move || {
            let statement = statement()?;
            // SAFETY: the function is of this type; the statement is never finalised.
            let call = move |f, _: i32, _: i32| unsafe {
                transmute::<*const c_void, Step>(f)(statement.get().cast_mut())
            };
            Ok(c_loops(symbol(LIBRARY, "sqlite3_step")?, ROW, call, |last, n| last ^ n))
        }),
        wrap: Box::new(move |store| {
            let step = symbol(LIBRARY, "sqlite3_step")?;
            store.data_mut().objects = vec![statement()?];
            let glue = move |caller: Caller<'_, State>, handle: u32| -> Result<i32> {
                let object = caller.data().objects.get(handle as usize);
                let object = object.ok_or_else(|| format_err!("no such object"))?.0;
                // SAFETY: likewise.
                Ok(unsafe { transmute::<*const c_void, Step>(step.get())(object.cast_mut()) })
            };
            Ok(Func::wrap(store, glue))
        }),
    }
}
