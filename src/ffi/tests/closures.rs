//! Closures, called by C and by plans.
use super::*;
use std::sync::{Arc, Mutex};

fn closure(plan: &CallPlan, f: impl Fn(Arguments<'_>) + Send + Sync + 'static) -> Closure {
    Closure::new(plan, f).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn closures_are_called_with_every_kind_of_register() {
    let text = "double f(int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, double, double, \
        double, double, double, double, double, double, int, float, int8_t, uint64_t)";
    let plan = plan(text);
    let weigh = closure(&plan, |args| {
        // SAFETY: the types are those of the prototype.
        unsafe {
            let mut sum = 0.0;
            for index in 0..6 {
                sum = sum * 3.0 + args.read::<i64>(index) as f64;
            }
            for index in 6..14 {
                sum = sum * 3.0 + args.read::<f64>(index);
            }
            sum = sum * 3.0 + f64::from(args.read::<i32>(14));
            sum = sum * 3.0 + f64::from(args.read::<f32>(15));
            sum = sum * 3.0 + f64::from(args.read::<i8>(16));
            args.write(sum * 3.0 + args.read::<u64>(17) as f64);
        }
    });
    #[rustfmt::skip]
    type F = extern "C" fn(
        i64, i64, i64, i64, i64, i64, f64, f64, f64, f64, f64, f64, f64, f64, i32, f32, i8, u64,
    ) -> f64;
    // SAFETY: the closure has that prototype.
    let function: F = unsafe { std::mem::transmute(weigh.as_ptr()) };
    #[rustfmt::skip]
    let found = function(
        1, -2, 3, -4, 5, -6, 0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, -7, 8.5, -9, 10,
    );
    #[rustfmt::skip]
    let all = [
        1.0, -2.0, 3.0, -4.0, 5.0, -6.0, 0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, -7.0, 8.5, -9.0, 10.0,
    ];
    assert_eq!(found, all.into_iter().fold(0.0, |sum, value: f64| sum * 3.0 + value));
}

#[test]
fn closures_return_narrow_integers_extended() {
    let values: [(&str, u64, u64); 8] = [
        ("int8_t", 0x80, 0xffff_ffff_ffff_ff80),
        ("uint8_t", 0x80, 0x80),
        ("int16_t", 0x8000, 0xffff_ffff_ffff_8000),
        ("uint16_t", 0x8000, 0x8000),
        ("int", 0x8000_0000, 0xffff_ffff_8000_0000),
        ("unsigned", 0x8000_0000, 0x8000_0000),
        ("long", 1 << 63, 1 << 63),
        ("bool", 2, 1),
    ];
    for (ty, written, expected) in values {
        let plan = plan(&format!("{ty} f(void)"));
        let size = plan.result().map_or(0, |result| result.size);
        let returns = closure(&plan, move |args| {
            // SAFETY: so many bytes are the result's.
            unsafe { args.result().cast::<u8>().copy_from(at(&written).cast(), size) };
        });
        // SAFETY: the whole register is looked at.
        let function: extern "C" fn() -> u64 = unsafe { std::mem::transmute(returns.as_ptr()) };
        assert_eq!(function(), expected, "{ty}");
        let silent = closure(&plan, |_| ());
        // SAFETY: likewise.
        let function: extern "C" fn() -> u64 = unsafe { std::mem::transmute(silent.as_ptr()) };
        assert_eq!(function(), 0, "{ty}");
    }
}

/// Calls a closure of a prototype through that prototype's own plan: both must agree on where values
/// travel, whatever their types are. That the two are right, calls of real C functions show.
fn round_trip(text: &str) {
    let plan = declared(text);
    let (params, result) = (plan.params().to_vec(), plan.result());
    let value = |seed: usize, layout: ValueLayout| -> Vec<u8> {
        (0..layout.size).map(|at| u8::try_from((seed * 37 + at * 11) % 251).unwrap_or(0)).collect()
    };
    let is_bool = |index: usize| text.matches("bool").count() > 0 && params[index].size == 1;
    let mut values: Vec<Vec<u8>> =
        params.iter().enumerate().map(|(index, layout)| value(index, *layout)).collect();
    for (index, value) in values.iter_mut().enumerate() {
        if is_bool(index) {
            value[0] &= 1;
        }
    }
    let mut returned = result.map_or(Vec::new(), |layout| value(99, layout));
    if text.starts_with("bool") {
        returned[0] = 1;
    }
    if text.starts_with("long double") {
        // Numbers that are `double`s too: valgrind's x87 has no more bits.
        for part in returned.chunks_mut(16) {
            part[0] = 0;
            part[1] &= 0xf8;
            part[7] |= 0x80;
            part[8..10].copy_from_slice(&[1, 0x40]);
        }
    }
    let calls = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let (expected, answer, seen) = (values.clone(), returned.clone(), calls.clone());
    let checks = closure(&plan, move |args| {
        for (index, expected) in expected.iter().enumerate() {
            let align = params[index].align.min(if expected.is_empty() { 1 } else { 16 });
            assert!(args.get(index).addr().is_multiple_of(align), "argument {index}");
            // SAFETY: the argument has that size.
            let found =
                unsafe { std::slice::from_raw_parts(args.get(index).cast::<u8>(), expected.len()) };
            let long_double = expected.len() == 16 && params[index].align == 16;
            let meant = if long_double { 10 } else { expected.len() };
            assert_eq!(found[..meant], expected[..meant], "argument {index}");
        }
        // SAFETY: the result has that size.
        unsafe { args.result().cast::<u8>().copy_from(answer.as_ptr(), answer.len()) };
        seen.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    });
    let args: Vec<*const c_void> = values.iter().map(|value| value.as_ptr().cast()).collect();
    #[repr(align(64))]
    struct Room([u8; 8192]);
    let mut room = Room([0x55; 8192]);
    // SAFETY: the closure has the plan's prototype, and the room is large and aligned enough.
    unsafe { plan.call(checks.as_ptr(), &args, room.0.as_mut_ptr().cast()) }.expect("called");
    assert_eq!(calls.load(std::sync::atomic::Ordering::Relaxed), 1);
    let x87 = text.starts_with("long double");
    for (at, byte) in returned.iter().enumerate() {
        assert!(x87 && at % 16 >= 10 || room.0[at] == *byte, "{text}: byte {at} of the result");
    }
    assert!(room.0[returned.len()..].iter().all(|byte| *byte == 0x55), "{text}: too much");
}

#[test]
fn closures_and_calls_agree_on_every_type() {
    for text in [
        "void f(void)",
        "bool f(bool a, char b, signed char c, unsigned char d, short e, unsigned short f, int g)",
        "long f(float a, double b, long double c, long d, unsigned long long e, void *p)",
        "long double f(long double a, int b, long double c)",
        "long double _Complex f(long double _Complex a, float _Complex b, double _Complex c)",
        "float _Complex f(void)",
        "double _Complex f(double a)",
        "__int128 f(__int128 a, int b, __int128 c, int d, __int128 e)",
        "struct mixed f(struct mixed a, struct floats b, struct bytes c, struct large d, int e)",
        "struct floats f(struct floats a, struct floats b, struct floats c, struct floats d, struct floats e)",
        "struct bytes f(struct bytes a, struct bytes b, int c, struct bytes d, struct bytes e, struct bytes f, struct bytes g)",
        "struct large f(struct large a, struct mixed b, struct mixed c)",
        "enum e { A, B = -1 } f(enum e a, enum e b)",
        "union u { int a; double b; } f(union u a, union u b)",
        "struct s { struct { char a; struct { short b[2]; } c; } d; float e; } f(struct s a, struct s b)",
        "struct p { char a; double b; } __attribute__((packed)) f(struct p a, int b, struct p c)",
        "struct q { char a; short b; } __attribute__((packed)) f(struct q a, int b, struct q c)",
        "void f(char a, struct w { int a; } __attribute__((aligned(64))) b, char c, struct w d)",
        "struct w { long a, b; } __attribute__((aligned(16))) f(int a, struct w b, struct w c)",
        "struct b { unsigned a : 5, b : 11; int c : 16; long d; } f(struct b a, struct b b)",
        "struct v { float a, b, c; } f(struct v a, struct v b, struct v c, struct v d, struct v e)",
        "struct t { long a; char b; } f(struct t a, struct t b, struct t c, struct t d)",
        "int f(const char *format, ..., double, int, long double, struct mixed)",
        "void f(struct huge { char all[4000]; } a, char b)",
    ] {
        round_trip(text);
    }
    let vector = Type::vector(Type::FLOAT, 16);
    let half = Type::vector(Type::SHORT, 8);
    for result in [vector.clone(), half.clone()] {
        let mut function = Function::new(result);
        for _ in 0..6 {
            function = function.param(vector.clone()).param(half.clone()).param(Type::INT);
        }
        let plan = CallPlan::of(&function).unwrap_or_else(|error| panic!("{error}"));
        let size = plan.result().map_or(0, |result| result.size);
        let copy = closure(&plan, move |args| {
            let from = if size == 16 { 15 } else { 16 };
            // SAFETY: that argument has the type of the result.
            unsafe { args.result().cast::<u8>().copy_from(args.get(from).cast(), size) };
        });
        let values: Vec<[u8; 16]> = (0..18_u8).map(|index| [index + 1; 16]).collect();
        let args: Vec<*const c_void> = values.iter().map(at).collect();
        // SAFETY: the closure has the plan's prototype.
        let found: [u8; 8] = unsafe {
            let mut room = [[0_u8; 8]; 2];
            plan.call(copy.as_ptr(), &args, room.as_mut_ptr().cast()).expect("called");
            room[0]
        };
        let from = if plan.result().is_some_and(|result| result.size == 16) { 16 } else { 17 };
        assert_eq!(found, [from; 8]);
    }
}

#[test]
fn more_closures_than_the_program_has_stubs() {
    let plan = plan("int f(int a)");
    let closures: Vec<Closure> = (0..3000)
        .map(|number| {
            closure(&plan, move |args| {
                // SAFETY: both are `int`s.
                unsafe { args.write(args.read::<i32>(0) + number) }
            })
        })
        .collect();
    for (number, closure) in (0..).zip(&closures) {
        // SAFETY: the closure has that prototype.
        let found: i32 = unsafe { call(&plan, closure.as_ptr(), &[at(&1_i32)]) };
        assert_eq!(found, 1 + number);
    }
}

#[test]
fn threads_share_plans_and_closures() {
    let shared = plan("double f(int a, double b)");
    let product = closure(&shared, |args| {
        // SAFETY: the types are those of the prototype.
        unsafe { args.write(f64::from(args.read::<i32>(0)) * args.read::<f64>(1)) }
    });
    std::thread::scope(|scope| {
        for thread in 0..4_i32 {
            let (shared, product) = (&shared, &product);
            scope.spawn(move || {
                for turn in 0..300 {
                    let b = f64::from(turn);
                    let args = [at(&thread), at(&b)];
                    // SAFETY: both closures have the plan's prototype.
                    unsafe {
                        let found: f64 = call(shared, product.as_ptr(), &args);
                        assert_eq!(found, f64::from(thread) * b);
                        let own = plan("double f(int a, double b)");
                        assert_eq!(own, *shared);
                        let own = closure(&own, move |args| args.write(f64::from(turn)));
                        let found: f64 = call(shared, own.as_ptr(), &args);
                        assert_eq!(found, b);
                    }
                }
            });
        }
    });
}

#[test]
fn what_a_closure_holds_is_dropped_with_it() {
    let held = std::sync::Arc::new(());
    let in_closure = held.clone();
    let closure = closure(&plan("void f(void)"), move |_| {
        let _ = &in_closure;
    });
    assert_eq!(std::sync::Arc::strong_count(&held), 2);
    drop(closure);
    assert_eq!(std::sync::Arc::strong_count(&held), 1);
}

/// Runs one of the tests below in a process of its own, which is to abort, and returns what it said.
fn aborts(test: &str) -> String {
    use std::os::unix::process::ExitStatusExt;
    let this = std::env::current_exe().expect("a test has a program");
    let mut command = std::process::Command::new(this);
    command.args([
        "--exact",
        &format!("ffi::tests::closures::{test}"),
        "--nocapture",
        "--test-threads=1",
    ]);
    let done = command.env("PORTCULLIS_ABORTS", test).output().expect("it starts");
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.signal(), Some(libc::SIGABRT), "{said}");
    said
}

fn is_child(test: &str) -> bool {
    std::env::var("PORTCULLIS_ABORTS").is_ok_and(|name| name == test)
}

#[test]
fn a_panic_in_a_closure_aborts_and_says_where() {
    let name = "a_panic_in_a_closure_aborts_and_says_where";
    if is_child(name) {
        let plan = plan("int f(int a)");
        let panics = closure(&plan, |args| panic!("there are {} arguments", args.len()));
        // SAFETY: the closure has the plan's prototype.
        let _: i32 = unsafe { call(&plan, panics.as_ptr(), &[at(&1_i32)]) };
        return;
    }
    let said = aborts(name);
    assert!(
        said.contains("there are 1 arguments") && said.contains("src/ffi/tests/closures.rs"),
        "{said}"
    );
    assert!(said.contains("portcullis: the closure for `int f(int a)` panicked"), "{said}");
}

#[test]
fn a_call_after_the_drop_aborts_and_says_so() {
    let name = "a_call_after_the_drop_aborts_and_says_so";
    if is_child(name) {
        let plan = plan("struct l { long a[3]; } f(int a, double b)");
        let gone = closure(&plan, |_| ());
        let address = gone.as_ptr();
        drop(gone);
        let others: Vec<Closure> = (0..60).map(|_| closure(&plan, |_| ())).collect();
        drop(others);
        // SAFETY: a closure that is gone ends the process.
        let _: [i64; 3] = unsafe { call(&plan, address, &[at(&1_i32), at(&1.0_f64)]) };
        return;
    }
    let said = aborts(name);
    let expected = "portcullis: the closure for `struct l f(int a, double b)` was called after it was \
        dropped; aborting";
    assert!(said.contains(expected), "{said}");
}

#[test]
fn a_wrong_size_names_both_types() {
    let plan = CallPlan::parse("int f(short a)").expect("a plan");
    let told = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&told);
    let closure = Closure::new(&plan, move |args| {
        let wrong = |read: &dyn Fn()| {
            let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(read));
            *caught.expect_err("the size is wrong").downcast::<String>().expect("a text")
        };
        // SAFETY: neither reads or writes anything, the sizes are wrong.
        let read = wrong(&|| assert_eq!(unsafe { args.read::<i64>(0) }, 0));
        // SAFETY: likewise.
        let write = wrong(&|| unsafe { args.write(1_u8) });
        kept.lock().expect("nobody panics with it").extend([read, write]);
        // SAFETY: the result is an `int`.
        unsafe { args.write(0_i32) }
    });
    let closure = closure.expect("a closure");
    let (argument, mut result) = (1_i16, 1_i32);
    // SAFETY: the closure has that prototype.
    let called = unsafe {
        plan.call(closure.as_ptr(), &[(&raw const argument).cast()], (&raw mut result).cast())
    };
    called.expect("it is called");
    assert_eq!(
        *told.lock().expect("nobody panics with it"),
        [
            "argument 0 is `short`, of 2 bytes; `i64` has 8",
            "the result is `int`, of 4 bytes; `u8` has 1"
        ]
    );
}
