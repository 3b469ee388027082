//! C's loop is the one that gcc makes: the same calls, with the same arguments, in the same order. How fast they
//! are beside each other is measured by `cargo bench --bench comparison`.
#![expect(unsafe_code, reason = "calls C functions through their addresses")]
use crate::native;
use libloading::Library;
use portcullis::bench::row::{Address, c_loops};
use portcullis::bench::{self, Row};
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
