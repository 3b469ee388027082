//! Calls of C functions.
use super::*;

#[test]
fn narrow_integers_are_extended_and_results_are_cut() {
    // Rust's callees rely on extension to 32 bits, as clang's do.
    extern "C" fn wide(a: i8, b: u8, c: i16, d: u16, e: bool, f: i32, g: u32) -> i64 {
        let all = [a.into(), b.into(), c.into(), d.into(), e.into(), f.into(), g.into()];
        all.into_iter().fold(0_i64, |sum, value: i64| sum.wrapping_mul(31).wrapping_add(value))
    }
    let plan = plan("int64_t f(int8_t, uint8_t, int16_t, uint16_t, bool, int32_t, uint32_t)");
    let (a, b, c, d, e, f, g) = (-1_i8, 0xff_u8, -2_i16, 0xfffe_u16, true, i32::MIN, u32::MAX);
    let args = [at(&a), at(&b), at(&c), at(&d), at(&e), at(&f), at(&g)];
    // SAFETY: `wide` has that prototype.
    let found: i64 = unsafe { call(&plan, wide as *const c_void, &args) };
    assert_eq!(found, wide(a, b, c, d, e, f, g));

    extern "C" fn garbage() -> u64 {
        0xdead_beef_8bad_f00d
    }
    let mut memory = [0x55_u8; 8];
    for (ty, size) in [("int8_t", 1), ("uint8_t", 1), ("int16_t", 2), ("int", 4), ("long", 8)] {
        memory.fill(0x55);
        let plan = self::plan(&format!("{ty} f(void)"));
        assert_eq!(plan.result().map(|result| result.size), Some(size));
        // SAFETY: a result in `rax` with garbage above it.
        unsafe { plan.call(garbage as *const c_void, &[], memory.as_mut_ptr().cast()) }
            .expect("called");
        let expected = &garbage().to_le_bytes()[..size];
        assert_eq!((&memory[..size], &memory[size..]), (expected, &[0x55; 8][size..]), "{ty}");
    }
}

#[test]
fn a_bool_is_0_or_1_whatever_memory_holds() {
    extern "C" fn not(x: bool) -> bool {
        !x
    }
    let plan = plan("bool f(bool)");
    for byte in [0_u8, 1, 2, 0xff] {
        // SAFETY: the byte is a `bool` to the plan.
        let found: u8 = unsafe { call(&plan, not as *const c_void, &[at(&byte)]) };
        assert_eq!(found, u8::from(byte == 0));
    }
}

#[test]
fn many_arguments_spill_in_order() {
    extern "C" fn mixed(
        a: i64,
        b: i64,
        c: i64,
        d: i64,
        e: i64,
        f: i64,
        p: f64,
        q: f64,
        r: f64,
        s: f64,
        t: f64,
        u: f64,
        v: f64,
        w: f64,
        g: i32,
        x: f32,
        h: i8,
        i: u64,
    ) -> f64 {
        let ints = [a, b, c, d, e, f, g.into(), h.into(), i.cast_signed()];
        let floats = [p, q, r, s, t, u, v, w, x.into()];
        let weigh = |sum: f64, value: f64| sum * 3.0 + value;
        ints.iter().map(|n| *n as f64).fold(0.0, weigh) + floats.into_iter().fold(1.0, weigh)
    }
    let text = "double f(int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, double, double, \
        double, double, double, double, double, double, int, float, int8_t, uint64_t)";
    let plan = plan(text);
    let ints = [1_i64, -2, 3, -4, 5, -6];
    let floats = [0.5_f64, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5];
    let (g, x, h, i) = (-7_i32, 8.5_f32, -9_i8, 10_u64);
    let mut args: Vec<*const c_void> = ints.iter().map(at).collect();
    args.extend(floats.iter().map(at));
    args.extend([at(&g), at(&x), at(&h), at(&i)]);
    // SAFETY: `mixed` has that prototype.
    let found: f64 = unsafe { call(&plan, mixed as *const c_void, &args) };
    let [a, b, c, d, e, f] = ints;
    let [p, q, r, s, t, u, v, w] = floats;
    assert_eq!(found, mixed(a, b, c, d, e, f, p, q, r, s, t, u, v, w, g, x, h, i));
}

#[test]
fn structs_go_both_ways() {
    extern "C" fn mixed(m: Mixed, l: Large, f: Floats, b: Bytes) -> Mixed {
        let sum: i64 = l.all.iter().sum();
        let bytes = b.all.iter().fold(0.0, |sum, byte| sum * 256.0 + f64::from(*byte));
        Mixed { a: m.a + i32::try_from(sum).unwrap_or(0), b: m.b + f.a * f.b + bytes }
    }
    extern "C" fn floats(f: Floats, i: i32) -> Floats {
        Floats { a: f.b, b: f.a + f64::from(i) }
    }
    extern "C" fn floats_of(i: i32) -> Floats {
        Floats { a: i.into(), b: f64::from(i) / 2.0 }
    }
    extern "C" fn bytes(b: Bytes) -> Bytes {
        Bytes { all: [b.all[2], b.all[1], b.all[0]] }
    }
    extern "C" fn large(by: i8, l: Large) -> Large {
        Large { all: l.all.map(|n| n * i64::from(by)) }
    }
    let (m, f) = (Mixed { a: 3, b: 0.25 }, Floats { a: 1.5, b: -2.0 });
    let (b, l) = (Bytes { all: [1, 2, 3] }, Large { all: [1, -2, 3, -4, 50] });
    let (i, by) = (7_i32, -3_i8);
    // SAFETY: each function has the prototype beside it.
    unsafe {
        let plan = declared(
            "struct mixed f(struct mixed m, struct large l, struct floats f, struct bytes b)",
        );
        let args = [at(&m), at(&l), at(&f), at(&b)];
        let found: Mixed = call(&plan, mixed as *const c_void, &args);
        assert_eq!(found, mixed(m, l, f, b));
        let plan = declared("struct floats f(struct floats f, int i)");
        let found: Floats = call(&plan, floats as *const c_void, &[at(&f), at(&i)]);
        assert_eq!(found, floats(f, i));
        let plan = declared("struct floats f(int i)");
        let found: Floats = call(&plan, floats_of as *const c_void, &[at(&i)]);
        assert_eq!(found, floats_of(i), "both vector registers are kept");
        let plan = declared("struct bytes f(struct bytes b)");
        let mut memory = [0x55_u8; 5];
        plan.call(bytes as *const c_void, &[at(&b)], memory.as_mut_ptr().cast()).expect("called");
        assert_eq!(memory, [3, 2, 1, 0x55, 0x55], "no byte more than its size is written");
        let plan = declared("struct large f(int8_t by, struct large l)");
        let found: Large = call(&plan, large as *const c_void, &[at(&by), at(&l)]);
        assert_eq!(found, large(by, l));
    }
}

#[test]
fn wide_scalars_and_vectors_go_both_ways() {
    use std::arch::x86_64::{__m128i, _mm_add_epi32, _mm_set_epi32};
    extern "C" fn wide(a: i64, b: i128, c: u128) -> i128 {
        i128::from(a) + b.wrapping_mul(c.cast_signed())
    }
    #[expect(improper_ctypes_definitions, reason = "C's own vector types are passed like this")]
    extern "C" fn add(a: __m128i, b: f64, c: __m128i) -> __m128i {
        assert_eq!(b, 2.5);
        // SAFETY: SSE2 is part of x86-64.
        unsafe { _mm_add_epi32(a, c) }
    }
    let (a, b, c) = (-5_i64, (1_i128 << 100) - 7, (1_u128 << 20) + 1);
    let plan = plan("__int128 f(long a, __int128 b, unsigned __int128 c)");
    // SAFETY: `wide` has that prototype.
    let found: i128 = unsafe { call(&plan, wide as *const c_void, &[at(&a), at(&b), at(&c)]) };
    assert_eq!(found, wide(a, b, c));
    let vector = Type::vector(Type::INT, 16);
    let function = Function::new(vector.clone()).param(vector.clone()).param(Type::DOUBLE);
    let plan = CallPlan::of(&function.param(vector)).unwrap_or_else(|error| panic!("{error}"));
    // SAFETY: SSE2 is part of x86-64; `add` has that prototype; vectors are 16 plain bytes.
    unsafe {
        let (a, b, c) = (_mm_set_epi32(1, 2, 3, 4), 2.5, _mm_set_epi32(-1, 20, 300, 4000));
        let found: [i32; 4] = call(&plan, add as *const c_void, &[at(&a), at(&b), at(&c)]);
        assert_eq!(found, [4004, 303, 22, 0]);
    }
}

#[test]
fn long_doubles_and_complex_numbers_are_the_c_librarys() {
    unsafe extern "C" {
        fn sqrtl();
        fn csqrt();
        fn csqrtf();
        fn cexpl();
    }
    // 2.25 in the x87's format, garbage in the padding.
    let mut x = [0_u8; 16];
    x[..10].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0x90, 0, 0x40]);
    x[10..].fill(0xee);
    // SAFETY: the functions have the prototypes beside them.
    unsafe {
        let mut root = [0x55_u8; 16];
        let plan = plan("long double sqrtl(long double x)");
        plan.call(sqrtl as *const c_void, &[at(&x)], root.as_mut_ptr().cast()).expect("called");
        assert_eq!(root[..10], [0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0x3f], "1.5");
        assert_eq!(root[10..], [0x55; 6], "padding is left alone");
        let plan = self::plan("double _Complex csqrt(double _Complex x)");
        let found: [f64; 2] = call(&plan, csqrt as *const c_void, &[at(&[-4.0_f64, 0.0])]);
        assert_eq!(found, [0.0, 2.0]);
        let plan = self::plan("float _Complex csqrtf(float _Complex x)");
        let found: [f32; 2] = call(&plan, csqrtf as *const c_void, &[at(&[-9.0_f32, 0.0])]);
        assert_eq!(found, [0.0, 3.0]);
        let plan = self::plan("long double _Complex cexpl(long double _Complex x)");
        let mut one = [0x55_u8; 32];
        plan.call(cexpl as *const c_void, &[at(&[0_u8; 32])], one.as_mut_ptr().cast())
            .expect("called");
        assert_eq!(one[..10], [0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x3f], "e^0");
        assert_eq!(one[16..26], [0; 10]);
    }
}

#[test]
fn typed_tails_are_passed_as_variadic_functions_find_them() {
    let plan = plan(
        "int snprintf(char *s, size_t n, const char *format, ..., int, double, \
        const char *, long long, long double)",
    );
    let mut text = [0_u8; 64];
    let (s, n, format) = (text.as_mut_ptr(), 64_usize, c"%d %.2f %s %lld %.1Lf".as_ptr());
    let (int, double, string, long) = (-5_i32, 2.75_f64, c"abc".as_ptr(), 1_i64 << 40);
    let mut extended = [0_u8; 16];
    extended[..10].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0x3f]);
    let args =
        [at(&s), at(&n), at(&format), at(&int), at(&double), at(&string), at(&long), at(&extended)];
    // SAFETY: the format asks for these types; the text fits.
    let length: i32 = unsafe { call(&plan, libc::snprintf as *const c_void, &args) };
    let length = usize::try_from(length).expect("it has been written");
    assert_eq!(std::str::from_utf8(&text[..length]), Ok("-5 2.75 abc 1099511627776 1.5"));
}

#[test]
fn over_aligned_and_packed_structs_reach_c_as_they_are() {
    #[derive(Clone, Copy, Debug, PartialEq)]
    #[repr(C, align(64))]
    struct Wide(i32);
    #[derive(Clone, Copy, Debug, PartialEq)]
    #[repr(C, packed)]
    struct Packed(u8, i64, f32);
    extern "C" fn wide(a: i8, b: Wide, c: Packed, d: Wide) -> usize {
        let aligned = [&raw const b, &raw const d].map(|at| at.addr() % 64);
        assert_eq!(aligned, [0, 0]);
        let Packed(x, y, z) = c;
        assert_eq!((x, y, z), (1, -2, 3.5));
        usize::try_from(i32::from(a) + b.0 + d.0).unwrap_or(0)
    }
    let plan = plan(
        "size_t f(signed char a, struct wide { int a; } __attribute__((aligned(64))) b, \
        struct packed { unsigned char a; int64_t b; float c; } __attribute__((packed)) c, \
        struct wide d)",
    );
    let (a, b, c, d) = (1_i8, Wide(20), Packed(1, -2, 3.5), Wide(300));
    for _ in 0..4 {
        // SAFETY: `wide` has that prototype.
        let found: usize =
            unsafe { call(&plan, wide as *const c_void, &[at(&a), at(&b), at(&c), at(&d)]) };
        assert_eq!(found, 321);
    }
}

#[test]
fn what_is_wrong_is_told_and_nothing_is_called() {
    extern "C" fn never() {
        panic!("nothing is called");
    }
    let plan = plan("int f(int a)");
    let (a, never) = (1_i32, never as *const c_void);
    // SAFETY: none of these calls is made.
    let told = |function, args: &[*const c_void], result| unsafe {
        plan.call(function, args, result).expect_err("refused").to_string()
    };
    let mut result = 0_i32;
    let to = (&raw mut result).cast();
    assert_eq!(told(never, &[], to), "`int f(int a)` has 1 parameter, 0 arguments were given");
    assert_eq!(told(ptr::null(), &[at(&a)], to), "the function `int f(int a)` is a null pointer");
    let no_room = told(never, &[at(&a)], ptr::null_mut());
    assert_eq!(no_room, "`int f(int a)` has a result, and the pointer to its memory is null");
}

#[test]
fn prototypes_that_cannot_be_called_are_told_with_their_place() {
    let mut wrong = Vec::new();
    for (text, told) in [
        ("int f(struct s x)", "incomplete type `struct s`"),
        ("struct s { struct s x; } f(void)", "incomplete"),
        ("void f(struct s { char all[5000]; } x)", "more than 4096 bytes of arguments"),
        ("void f(struct s { char all[1 << 30][1 << 30]; } x)", "larger than"),
        ("int f(const char *format, ...)", "name them: `..., int, double`"),
        ("int f(int, ..., float)", "`double`"),
        ("void f(struct s { int : 3; } x)", "compilers pass"),
        ("int f(", "expected"),
    ] {
        let error = CallPlan::parse(text).expect_err(text).to_string();
        let right = error.contains(told) && error.contains("--> prototype:1:");
        wrong.extend((!right).then(|| format!("{text}: {error}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let vector = Type::vector(Type::DOUBLE, 32);
    let error = CallPlan::of(&Function::new(Type::VOID).param(vector)).expect_err("AVX");
    assert!(error.to_string().contains("compiled for AVX"), "{error}");
    let error = CallPlan::of(&Function::new(Type::INT).param(Type::VOID.array(3)));
    assert!(error.expect_err("no value").to_string().contains("function:1:"));
    let mut deep = Type::INT;
    for _ in 0..1000 {
        deep = Type::struct_([deep]);
    }
    let error = CallPlan::of(&Function::new(deep)).expect_err("too deep");
    assert!(error.to_string().contains("nested more than 64 deep"), "{error}");
    let error = CallPlan::parse_in("int f(t x)", "typedef struct { it a; } t;").expect_err("it");
    assert!(error.to_string().contains("--> declarations:1:"), "{error}");
}

#[test]
fn equal_prototypes_share_one_plan_while_it_lives() {
    let texts =
        ["int f(long a, int)", "int32_t f(size_t, int)", "int f(struct a { long a; } b, int c)"];
    let [one, other, third] = texts.map(plan);
    let again = plan(" int  f(long a, int );");
    assert_eq!(one, again);
    assert!(one != other && one != third && other != third);
    // Two types of one tag are not the same type.
    let long = plan("void g(struct s { long a; } x)");
    assert_ne!(long, plan("void g(struct s { double a; } x)"));
    assert_eq!(long, plan("void g(struct s { long a; } x)"));
    let of = |ty: Type| {
        CallPlan::of(&Function::new(Type::VOID).param(ty)).unwrap_or_else(|error| panic!("{error}"))
    };
    assert_eq!(of(Type::struct_([Type::INT])), of(Type::struct_([Type::INT])));
    assert_ne!(of(Type::struct_([Type::INT])), of(Type::struct_([Type::UINT, Type::INT])));
}

#[test]
fn a_thousand_plans_leave_nothing_behind() {
    let before = plan::interned();
    for size in 1..1000 {
        drop(plan(&format!("void leaves_nothing(struct s {{ char a[{size}]; }} x)")));
    }
    // Other tests run beside this one.
    assert!(plan::interned() < before + 500);
}

#[test]
fn vectors_are_vectors_wherever_the_attribute_stands() {
    let declarations = "typedef float v4 __attribute__((vector_size(16)));
        typedef __attribute__((vector_size(16))) float w4;";
    let text = "v4 f(w4 a, float b __attribute__((vector_size(16))), float *c __attribute__((vector_size(16))), \
        struct s { float d __attribute__((vector_size(16))); } e)";
    let plan = CallPlan::parse_in(text, declarations).unwrap_or_else(|error| panic!("{error}"));
    let sizes: Vec<usize> = plan.params().iter().map(|param| param.size).collect();
    assert_eq!(sizes, [16, 16, 8, 16]);
    assert_eq!(plan.result(), Some(ValueLayout { size: 16, align: 16 }));
    for (text, told) in [
        ("void f(float x __attribute__((vector_size(32))))", "compiled for AVX"),
        ("void f(struct s { float x __attribute__((vector_size(32))); } x)", "vectors"),
    ] {
        let error = CallPlan::parse(text).expect_err("AVX").to_string();
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn declarations_may_name_types_before_they_define_them() {
    for (declarations, prototype, sizes) in [
        ("typedef struct p p; struct p { int x, y; };", "int f(p a)", vec![8]),
        (
            "typedef struct a A; struct b { struct a *p; A *q; }; struct a { int x; };
             typedef struct { A a; } C;",
            "C f(struct b b, A a)",
            vec![16, 4],
        ),
        (
            "typedef struct n n; typedef struct m { n *p; } m; struct n { m a; double b; };",
            "n f(m p, n q)",
            vec![8, 16],
        ),
    ] {
        let plan = CallPlan::parse_in(prototype, declarations);
        let plan = plan.unwrap_or_else(|error| panic!("{error}"));
        let found: Vec<usize> = plan.params().iter().map(|param| param.size).collect();
        assert_eq!(found, sizes);
        drop(Closure::new(&plan, |_| ()).expect("it can be called, too"));
    }
}

/// Calls by machine code do what the interpreter does; what it is not made of says why, and is called all the same.
#[cfg(feature = "cranelift")]
#[test]
fn machine_code_calls_as_the_interpreter_does() {
    extern "C" fn shift(a: i8, b: u16, c: f32, d: f64, e: bool) -> f64 {
        f64::from(a) + f64::from(b) + f64::from(c) + d + f64::from(u8::from(e))
    }
    let plan = CallPlan::parse("double shift(int8_t a, uint16_t b, float c, double d, bool e)");
    let plan = plan.expect("a prototype");
    let (a, b, c, d, e) = (-3_i8, 60_000_u16, 0.5_f32, 0.25_f64, 7_u8);
    let args = [
        (&raw const a).cast(),
        (&raw const b).cast(),
        (&raw const c).cast(),
        (&raw const d).cast(),
        (&raw const e).cast(),
    ];
    let call = || {
        let mut result = 0.0_f64;
        // SAFETY: `shift` has that prototype, and the values are of its types.
        unsafe { plan.call(shift as *const c_void, &args, (&raw mut result).cast()) }
            .expect("it can be called");
        result
    };
    let interpreted = call();
    assert!(!plan.has_code());
    plan.make_code().expect("it is compiled");
    assert!(plan.has_code() && plan.clone().has_code());
    let equal = CallPlan::parse("double shift(int8_t a, uint16_t b, float c, double d, bool e)");
    assert!(equal.expect("the same").has_code());
    assert_eq!((call(), interpreted), (59_998.75, 59_998.75));
}

/// A result is as wide as its type, whatever the register holds.
#[cfg(feature = "cranelift")]
#[test]
fn machine_code_writes_no_more_than_the_result() {
    extern "C" fn wide(x: u64) -> u64 {
        x
    }
    for (ty, bytes) in [("uint8_t", 1), ("short", 2), ("unsigned", 4), ("long", 8), ("void", 0)] {
        let plan = CallPlan::parse(&format!("{ty} wide_{bytes}(unsigned long x)"));
        let plan = plan.expect("a prototype");
        plan.make_code().expect("it is compiled");
        let (x, mut result) = (0x1122_3344_5566_7788_u64, [0xaa_u8; 16]);
        // SAFETY: the upper bits of narrow results are the callee's to choose.
        unsafe {
            plan.call(wide as *const c_void, &[(&raw const x).cast()], (&raw mut result).cast())
        }
        .expect("it can be called");
        let mut expected = [0xaa_u8; 16];
        expected[..bytes].copy_from_slice(&x.to_le_bytes()[..bytes]);
        assert_eq!(result, expected, "{ty}");
    }
}

#[cfg(feature = "cranelift")]
#[test]
fn what_cannot_be_compiled_says_why() {
    for (prototype, why) in [
        ("long double f(long double x)", "x87"),
        ("int printf(const char *format, ..., double)", "tail"),
    ] {
        let plan = CallPlan::parse(prototype).expect("a prototype");
        let error = plan.make_code().expect_err("it is interpreted");
        assert!(error.to_string().contains(why), "{error}");
        assert!(!plan.has_code());
    }
}
