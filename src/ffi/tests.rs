//! Calls and closures of every kind of type, with rustc's own C ABI as the other side. Random
//! signatures, with gcc as the other side, are in `tests/ffi`.
use super::*;
use std::ffi::c_void;
use std::ptr;

mod calls;
mod closures;

/// What a call returns.
///
/// # Safety
/// As [`CallPlan::call`]; the result's type is `R`.
unsafe fn call<R>(plan: &CallPlan, function: *const c_void, args: &[*const c_void]) -> R {
    let mut result = std::mem::MaybeUninit::<R>::uninit();
    // SAFETY: the caller's promise.
    unsafe {
        plan.call(function, args, result.as_mut_ptr().cast()).expect("the call can be made");
        result.assume_init()
    }
}

fn plan(text: &str) -> CallPlan {
    CallPlan::parse(text).unwrap_or_else(|error| panic!("{error}"))
}

fn at<T>(value: &T) -> *const c_void {
    ptr::from_ref(value).cast()
}

#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
struct Mixed {
    a: i32,
    b: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
struct Floats {
    a: f64,
    b: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
struct Bytes {
    all: [u8; 3],
}

#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
struct Large {
    all: [i64; 5],
}

const DECLARED: &str = "struct mixed { int a; double b; }; struct floats { double a, b; };
    struct bytes { unsigned char all[3]; }; struct large { int64_t all[5]; };";

fn declared(text: &str) -> CallPlan {
    CallPlan::parse_in(text, DECLARED).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn types_that_take_forever_to_walk_are_refused() {
    let doubled = |mut ty: Type| {
        for _ in 0..60 {
            ty = Type::union_([ty.clone(), ty]);
        }
        ty
    };
    let error = doubled(Type::INT).layout().expect_err("it has 2^60 members");
    assert!(error.to_string().contains("more than 16384 types"), "{error}");
    let error = CallPlan::of(&Function::new(doubled(Type::INT))).expect_err("likewise");
    assert!(error.to_string().contains("more than 16384 types"), "{error}");
}

#[test]
fn tails_without_elements_are_laid_out_and_passed() {
    let list = Type::struct_([Type::INT, Type::DOUBLE.flexible_array()]);
    let layout = list.layout().expect("it has a layout");
    assert_eq!((layout.size, layout.align), (8, 8));
    let odd = Type::struct_([Type::FLOAT, Type::INT.array(0)]);
    let function =
        Function::new(odd.clone()).param(list).param(odd).param(Type::struct_([Type::INT; 0]));
    let plan = CallPlan::of(&function).expect("it has a plan");
    let sizes: Vec<usize> = plan.params().iter().map(|param| param.size).collect();
    assert_eq!(sizes, [8, 4, 0]);
}

#[test]
fn tails_without_end_are_refused() {
    let empty = Type::struct_([Type::INT; 0]);
    for count in [256, 70_000] {
        let tail = vec![empty.clone(); count].into_iter().chain([Type::INT]);
        let error = CallPlan::of(&Function::new(Type::VOID).tail(tail)).expect_err("too many");
        assert!(error.to_string().contains("more than 255 arguments after `...`"), "{error}");
    }
}
