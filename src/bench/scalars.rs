//! Rows of scalars: `int`s, a `double`, eighteen arguments.
#![expect(unsafe_code, reason = "plays a C library and calls it through addresses")]
use super::near;
use super::row::{Address, Grant, Guest, Row, c_loops};
use std::ffi::c_void;
use std::mem::transmute;
use wasmtime::Func;

/// The interface of functions of this program.
pub(super) fn own(text: &str, symbols: Vec<(&'static str, Address)>) -> Grant {
    let text = format!("#pragma portcullis library \"libbench.so\" module \"bench\"\n{text}\n");
    Grant::Text { text, symbols, libraries: Vec::new() }
}

/// The function of that name that is where libraries are, or else the one of this program.
pub(super) fn near_or(name: &str, own: *const c_void) -> Address {
    near::function(name).unwrap_or(Address(own))
}

/// `i32`, whatever the name.
macro_rules! int {
    ($name:ident) => {
        i32
    };
}

/// The row of a function of so many `int`s.
macro_rules! ints {
    ($symbol:literal, $title:literal, |$last:ident, $n:ident| $($name:ident = $value:expr => $wat:literal),*) => {{
        type F = unsafe extern "C" fn($(int!($name)),*) -> i32;
        unsafe extern "C" fn callee($($name: i32),*) -> i32 {
            7_i32$(.wrapping_add($name))*
        }
        let address = near_or($symbol, callee as F as *const c_void);
        let params: &[&str] = &[$(concat!("int ", stringify!($name))),*];
        let wat: &[&str] = &[$($wat),*];
        let declared = if params.is_empty() { "void".to_owned() } else { params.join(", ") };
        let prototype = format!("int {}({declared})", $symbol);
        let call = format!("(call $f {})", wat.join(" "));
        Row {
            id: $symbol.to_owned(),
            title: $title.to_owned(),
            group: "scalars",
            grant: own(&format!("{prototype};"), vec![($symbol, address)]),
            prototype,
            arguments: Some(params.len()),
            listed: matches!(params.len(), 0 | 2 | 8),
            guest: Guest::chained("bench", $symbol, &vec!["i32"; params.len()].join(" "), "i32", &call),
            c: Box::new(move || {
                // SAFETY: the function is of this type.
                let call = |f: *const c_void, $last: i32, $n: i32| unsafe {
                    let _ = ($last, $n);
                    transmute::<*const c_void, F>(f)($($value),*)
                };
                let near = near::loops($symbol, "int", address, Address(std::ptr::null()));
                Ok(near.unwrap_or_else(|| c_loops(address, 1, call, |last, n| last ^ n)))
            }),
            wrap: Box::new(move |store| {
                let address = std::hint::black_box(address);
                Ok(Func::wrap(store, move |$($name: i32),*| -> i32 {
                    // SAFETY: the function is of this type.
                    unsafe { transmute::<*const c_void, F>(address.get())($($name),*) }
                }))
            }),
        }
    }};
}

/// The rows.
pub(super) fn rows() -> Vec<Row> {
    vec![
        ints!("ints0", "int f(void)", |last, n|),
        ints!("ints1", "1 × int", |last, n| a = last => "(local.get $last)"),
        ints!("ints2", "int f(int, int)", |last, n|
            a = last => "(local.get $last)", b = n => "(local.get $n)"),
        ints!("ints3", "3 × int", |last, n|
            a = last => "(local.get $last)", b = n => "(local.get $n)", c = 2 => "(i32.const 2)"),
        ints!("ints4", "4 × int", |last, n|
            a = last => "(local.get $last)", b = n => "(local.get $n)", c = 2 => "(i32.const 2)",
            d = 3 => "(i32.const 3)"),
        ints!("ints6", "6 × int", |last, n|
            a = last => "(local.get $last)", b = n => "(local.get $n)", c = 2 => "(i32.const 2)",
            d = 3 => "(i32.const 3)", e = 4 => "(i32.const 4)", f = 5 => "(i32.const 5)"),
        ints!("ints8", "8 × int", |last, n|
            a = last => "(local.get $last)", b = n => "(local.get $n)", c = 2 => "(i32.const 2)",
            d = 3 => "(i32.const 3)", e = 4 => "(i32.const 4)", f = 5 => "(i32.const 5)",
            g = 6 => "(i32.const 6)", h = 7 => "(i32.const 7)"),
        ints!("ints12", "12 × int", |last, n|
            a = last => "(local.get $last)", b = n => "(local.get $n)", c = 2 => "(i32.const 2)",
            d = 3 => "(i32.const 3)", e = 4 => "(i32.const 4)", f = 5 => "(i32.const 5)",
            g = 6 => "(i32.const 6)", h = 7 => "(i32.const 7)", i = 8 => "(i32.const 8)",
            j = 9 => "(i32.const 9)", k = 10 => "(i32.const 10)", l = 11 => "(i32.const 11)"),
        half(),
        mixed(),
    ]
}

type Half = unsafe extern "C" fn(f64) -> f64;
unsafe extern "C" fn half_of(x: f64) -> f64 {
    0.5 * x
}

fn half() -> Row {
    let address = near_or("half", half_of as Half as *const c_void);
    let prototype = "double half(double x)";
    Row {
        id: "half".to_owned(),
        title: "double f(double)".to_owned(),
        group: "scalars",
        prototype: prototype.to_owned(),
        arguments: None,
        listed: true,
        grant: own(&format!("{prototype};"), vec![("half", address)]),
        guest: Guest::chained("bench", "half", "f64", "f64", "(call $f (local.get $last))"),
        c: Box::new(move || {
            // SAFETY: the function is of this type.
            let call = |f, last, _: i32| unsafe { transmute::<*const c_void, Half>(f)(last) };
            let near = near::loops("doubles", "double", address, Address(std::ptr::null()));
            Ok(near.unwrap_or_else(|| c_loops(address, 1.0_f64, call, |last, _| 0.5 * last)))
        }),
        wrap: Box::new(move |store| {
            let address = std::hint::black_box(address);
            Ok(Func::wrap(store, move |x: f64| -> f64 {
                // SAFETY: likewise.
                unsafe { transmute::<*const c_void, Half>(address.get())(x) }
            }))
        }),
    }
}

#[rustfmt::skip]
type Mixed = unsafe extern "C" fn(
    i64, i64, i64, i64, i64, i64, f64, f64, f64, f64, f64, f64, f64, f64, i64, i64, i64, i64,
) -> i64;
#[rustfmt::skip]
#[expect(clippy::many_single_char_names, reason = "one a parameter")]
unsafe extern "C" fn eighteen(
    a: i64, b: i64, c: i64, d: i64, e: i64, f: i64, p: f64, q: f64, r: f64, s: f64, t: f64, u: f64, v: f64, w: f64,
    g: i64, h: i64, i: i64, j: i64,
) -> i64 {
    let integers = [b, c, d, e, f, g, h, i, j].into_iter().fold(a, i64::wrapping_add);
    integers.wrapping_add(i64::from(p + q + r + s + t + u + v + w > 0.0))
}

fn mixed() -> Row {
    static DOUBLES: [f64; 8] = [2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];
    let address = near_or("mixed", eighteen as Mixed as *const c_void);
    let prototype = "int64_t mixed(int64_t a, int64_t b, int64_t c, int64_t d, int64_t e, int64_t f, \
         double p, double q, double r, double s, double t, double u, double v, double w, \
         int64_t g, int64_t h, int64_t i, int64_t j)";
    let constants = |ty: &str, values: std::ops::Range<i32>| -> String {
        values.map(|value| format!("({ty}.const {value}) ")).collect()
    };
    let call = format!(
        "(call $f (local.get $last) (i64.extend_i32_u (local.get $n)) {}{}{})",
        constants("i64", 2..6),
        constants("f64", 2..10),
        constants("i64", 2..6)
    );
    let types = [vec!["i64"; 6], vec!["f64"; 8], vec!["i64"; 4]].concat().join(" ");
    Row {
        id: "mixed".to_owned(),
        title: "18 arguments: 10 × int64_t, 8 × double".to_owned(),
        group: "scalars",
        prototype: prototype.to_owned(),
        arguments: None,
        listed: true,
        grant: own(&format!("{prototype};"), vec![("mixed", address)]),
        guest: Guest::chained("bench", "mixed", &types, "i64", &call),
        c: Box::new(move || {
            // SAFETY: the function is of this type.
            let call = |f, last, n: i32| unsafe {
                #[rustfmt::skip]
                let found = transmute::<*const c_void, Mixed>(f)(
                    last, n.into(), 2, 3, 4, 5, 2., 3., 4., 5., 6., 7., 8., 9., 2, 3, 4, 5,
                );
                found
            };
            let near = near::loops("mixed", "long", address, Address(DOUBLES.as_ptr().cast()));
            Ok(near.unwrap_or_else(|| c_loops(address, 1_i64, call, |last, n| last ^ i64::from(n))))
        }),
        wrap: Box::new(|_| Err("`Func::wrap` takes 17 parameters at most".to_owned())),
    }
}
