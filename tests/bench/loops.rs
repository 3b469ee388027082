//! C's loop is the one that gcc makes: the same calls, with the same arguments, in the same order. How fast they
//! are beside each other is measured by `cargo bench --bench comparison`.
#![expect(unsafe_code, reason = "calls C functions through their addresses")]
use crate::native;
use libloading::Library;
use portcullis::bench::row::{Address, c_loops};
use portcullis::bench::{self, Row, near};
use std::cell::RefCell;
use std::ffi::c_void;
use std::mem::transmute;
use tempfile::TempDir;

const GCC: &str = "int run(int (*f)(int, int), int n) {
  int (*volatile g)(int, int) = f;
  int last = 1;
  for (; n; n--) last = g(last, n);
  return last;
}";

type Function = unsafe extern "C" fn(i32, i32) -> i32;

thread_local! {
    static CALLS: RefCell<Vec<(i32, i32)>> = const { RefCell::new(Vec::new()) };
}

unsafe extern "C" fn recorded(a: i32, b: i32) -> i32 {
    CALLS.with_borrow_mut(|calls| calls.push((a, b)));
    a.wrapping_mul(31).wrapping_add(b)
}

#[test]
fn our_loop_makes_the_calls_that_gccs_makes() {
    let folder = TempDir::new().expect("a temporary folder");
    let path = native::compile(folder.path(), "libloop.so", GCC, &["-O2"]);
    // SAFETY: it has no constructors.
    let library = unsafe { Library::new(path) }.expect("it was just compiled");
    // SAFETY: it is of this type.
    unsafe {
        let run =
            library.get::<unsafe extern "C" fn(Function, i32) -> i32>("run").expect("defined");
        run(recorded, 1000);
    }
    let theirs = CALLS.take();
    let address = Address(recorded as Function as *const c_void);
    let call = |f: *const c_void, last: i32, n: i32| {
        // SAFETY: the function is of this type.
        unsafe { transmute::<*const c_void, Function>(f)(last, n) }
    };
    let (mut run, mut empty) = c_loops(address, 1, call, |last, n| last ^ n);
    run(1000);
    assert_eq!(CALLS.take(), theirs);
    assert_eq!(theirs.len(), 1000);
    empty(1000);
    assert_eq!(CALLS.take(), []);
    // The same of the loop that lies where libraries do.
    let near = near::loops("ints2", "int", address, address);
    assert_eq!(near.is_some(), cfg!(all(target_arch = "x86_64", unix)));
    if let Some((mut run, mut empty)) = near {
        run(1000);
        assert_eq!(CALLS.take(), theirs);
        empty(1000);
        assert_eq!(CALLS.take(), []);
    }
}

/// Functions that are written in assembly do what those of the program do.
#[cfg(all(target_arch = "x86_64", unix))]
#[test]
fn near_functions_are_the_functions_of_their_prototypes() {
    let address = |name: &str| near::function(name).expect("it is there").get();
    // SAFETY (of every call below): the functions are of these types.
    macro_rules! call {
        ($name:literal, fn($($ty:ty),*) -> $result:ty, $($value:expr),*) => {
            // SAFETY: see above.
            unsafe { transmute::<*const c_void, unsafe extern "C" fn($($ty),*) -> $result>(address($name))($($value),*) }
        };
    }
    assert_eq!(call!("ints0", fn() -> i32,), 7);
    assert_eq!(call!("ints1", fn(i32) -> i32, 1), 8);
    assert_eq!(call!("ints3", fn(i32, i32, i32) -> i32, 1, 20, 300), 328);
    assert_eq!(call!("ints4", fn(i32, i32, i32, i32) -> i32, 1, 20, 300, 4000), 4328);
    assert_eq!(call!("ints6", fn(i32, i32, i32, i32, i32, i32) -> i32, 1, 2, 3, 4, 50, 600), 667);
    #[rustfmt::skip]
    type Twelve = unsafe extern "C" fn(i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32) -> i32;
    // SAFETY: see above.
    let sum = unsafe {
        transmute::<*const c_void, Twelve>(address("ints12"))(
            1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 1000,
        )
    };
    assert_eq!(sum, 7 + 66 + 1000);
    assert_eq!(call!("half", fn(f64) -> f64, 5.0), 2.5);
    let bytes = *b"portcullis";
    assert_eq!(
        call!("buffer", fn(*const u8, i32, usize) -> i32, bytes.as_ptr(), 1, 3),
        1 + i32::from(b'r')
    );
    assert_eq!(call!("text", fn(*const u8, i32) -> i32, bytes.as_ptr(), 1), 1 + i32::from(b'l'));
    let words = [1_i64, 42];
    assert_eq!(call!("second", fn(*const i64, i32) -> i32, words.as_ptr(), 8), 50);
    let mut counter = 5;
    assert_eq!(call!("counter_add", fn(*mut i32, i32) -> i32, &raw mut counter, 8), 13);
    assert_eq!(counter, 13);
    extern "C" fn square(x: i32) -> i32 {
        x * x
    }
    assert_eq!(call!("apply", fn(extern "C" fn(i32) -> i32, i32) -> i32, square, 7), 50);
    assert_eq!(call!("triple", fn(i32) -> i32, 7), 21);
    #[repr(C)]
    struct Pair(f64, f64);
    let swapped = call!("swap", fn(Pair) -> Pair, Pair(1.0, 2.0));
    assert_eq!((swapped.0, swapped.1), (2.0, 1.0));
    #[rustfmt::skip]
    type Mixed = unsafe extern "C" fn(i64, i64, i64, i64, i64, i64, f64, f64, f64, f64, f64, f64, f64, f64, i64, i64, i64, i64) -> i64;
    // SAFETY: see above.
    let mixed = |last: f64| unsafe {
        transmute::<*const c_void, Mixed>(address("mixed"))(
            1, 2, 3, 4, 5, 6, 1., 1., 1., 1., 1., 1., 1., last, 7, 8, 9, 10,
        )
    };
    assert_eq!((mixed(-6.5), mixed(-7.5)), (56, 55));
}

#[test]
fn every_row_has_contenders_that_work() {
    let engine = wasmtime::Engine::default();
    let mut seen = Vec::new();
    for row in bench::rows() {
        let Row { id, .. } = &row;
        let contenders = bench::guests::contenders(&engine, &row, &[]);
        for (name, made) in contenders {
            match made {
                Ok(mut contender) => {
                    (contender.run)(3);
                    (contender.empty)(3);
                    seen.push((id.clone(), name));
                }
                // A tier may decline; a library may not be there; else there is something wrong.
                Err(why) => assert!(
                    why.contains("runs it") || why.contains("17 parameters") || why.contains(".so"),
                    "{id}, {name}: {why}"
                ),
            }
        }
    }
    for name in ["C", "wrap", "interpreter"] {
        let rows = seen.iter().filter(|(_, seen)| *seen == name).count();
        assert!(rows >= 17, "{name} is in {rows} rows");
    }
}
