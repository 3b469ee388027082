//! Types that conventions are known to be tricky about, by hand.
//!
//! Every call is made twice: to the C function, and to a closure that hands its arguments on to it.
use crate::native;
use libloading::Library;
use portcullis::ffi::{CallPlan, Closure};
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::sync::LazyLock;

const DECLARATIONS: &str = include_str!("named.h");

static LIBRARY: LazyLock<Library> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let source = [DECLARATIONS, include_str!("named.c")].concat();
    let path = native::compile(folder.path(), "named.so", &source, &["-O1"]);
    // SAFETY: the library has no constructors.
    unsafe { Library::new(path) }.unwrap_or_else(|error| panic!("{error}"))
});

fn symbol(name: &str) -> *const c_void {
    // SAFETY: only the address is used.
    let symbol = unsafe { LIBRARY.get::<*const c_void>(name) };
    *symbol.unwrap_or_else(|error| panic!("{error}"))
}

fn plan(prototype: &str) -> CallPlan {
    CallPlan::parse_in(prototype, DECLARATIONS)
        .unwrap_or_else(|error| panic!("{prototype}: {error}"))
}

/// The address of a value, as calls want it.
fn at<T>(value: &T) -> *const c_void {
    std::ptr::from_ref(value).cast()
}

/// Room for a result, and what must not be overwritten.
#[repr(C)]
struct Room<R> {
    result: MaybeUninit<R>,
    behind: [u8; 64],
}

/// Calls the function of that prototype, and again through a closure.
///
/// # Safety
/// `R` and what the arguments point at are what the prototype says.
unsafe fn call<R: PartialEq + std::fmt::Debug>(prototype: &str, arguments: &[*const c_void]) -> R {
    let name = prototype.split('(').next().and_then(|head| head.rsplit([' ', '*']).next());
    let function = symbol(name.expect("a prototype has a name"));
    let plan = plan(prototype);
    // SAFETY: the caller's promise.
    let direct: R = unsafe { call_at(&plan, function, arguments) };
    let (inner, function) = (plan.clone(), function.addr());
    let closure = Closure::new(&plan, move |arguments| {
        let given: Vec<_> = (0..arguments.len()).map(|index| arguments.get(index)).collect();
        let function = std::ptr::with_exposed_provenance(function);
        // SAFETY: the arguments are those of the same prototype.
        unsafe { inner.call(function, &given, arguments.result()) }.expect("it was called before");
    })
    .unwrap_or_else(|error| panic!("{prototype}: {error}"));
    // SAFETY: the closure does what the function does.
    let through: R = unsafe { call_at(&plan, closure.as_ptr(), arguments) };
    assert_eq!(through, direct, "{prototype}, through a closure");
    direct
}

unsafe fn call_at<R>(plan: &CallPlan, function: *const c_void, arguments: &[*const c_void]) -> R {
    let layout = plan.result().expect("all of these return something");
    assert_eq!((layout.size, layout.align), (size_of::<R>(), align_of::<R>()));
    let mut room = Room { result: MaybeUninit::<R>::uninit(), behind: [0xa5; 64] };
    // SAFETY: the caller's promise, and the layouts agree.
    unsafe {
        plan.call(function, arguments, room.result.as_mut_ptr().cast()).expect("it can be called");
        assert_eq!(room.behind, [0xa5; 64], "something was written behind the result");
        room.result.assume_init()
    }
}

/// A small positive whole number as x87 has it. Only its 10 bytes are compared.
#[repr(C, align(16))]
#[derive(Clone, Copy, Debug)]
struct LongDouble {
    bytes: [u8; 16],
}

impl From<u64> for LongDouble {
    fn from(value: u64) -> LongDouble {
        let zeros = value.leading_zeros();
        let exponent = u16::try_from(16383 + 63 - zeros).expect("small");
        let mut bytes = [0xee; 16];
        bytes[..8].copy_from_slice(&(value << zeros).to_le_bytes());
        bytes[8..10].copy_from_slice(&exponent.to_le_bytes());
        LongDouble { bytes }
    }
}

impl LongDouble {
    fn negated(mut self) -> LongDouble {
        self.bytes[9] ^= 0x80;
        self
    }
}

impl PartialEq for LongDouble {
    fn eq(&self, other: &LongDouble) -> bool {
        self.bytes[..10] == other.bytes[..10]
    }
}

#[repr(C)]
#[derive(Debug, PartialEq)]
struct DoubleInt(f64, i32);
#[repr(C)]
struct Mixed(i32, f32, f64);
#[repr(C, align(16))]
#[derive(Debug, PartialEq)]
struct Float4([f32; 4]);
#[repr(C, align(32))]
struct Aligned32(i64);
#[repr(C, align(64))]
struct Aligned64([u8; 128]);
impl PartialEq for Aligned64 {
    fn eq(&self, other: &Aligned64) -> bool {
        self.0[..65] == other.0[..65]
    }
}
impl std::fmt::Debug for Aligned64 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0[..65].fmt(f)
    }
}
#[repr(C, packed)]
#[derive(Clone, Copy, Debug, PartialEq)]
struct Unaligned(i8, f64);

/// `call!("prototype", values...)`: the values are as the prototype says.
macro_rules! call {
    ($prototype:expr $(, $argument:expr)*) => {
        // SAFETY: each test gives values of the types of its prototype, and takes one.
        unsafe { call($prototype, &[$(at(&$argument)),*]) }
    };
}

#[test]
fn three_floats_take_two_vector_registers() {
    let turned: [f32; 3] =
        call!("struct floats turn(struct floats v, float by)", [1f32, 2.0, 3.0], 4f32);
    assert_eq!(turned, [8.0, 3.0, 1.0]);
}

#[test]
fn a_double_and_an_int_take_a_register_of_each_kind() {
    let sum: DoubleInt =
        call!("struct double_int add(struct double_int a, int b)", DoubleInt(1.5, 10), 4i32);
    assert_eq!(sum, DoubleInt(5.5, 6));
}

#[test]
fn seventeen_bytes_travel_in_memory() {
    let bytes: [u8; 17] = std::array::from_fn(|index| u8::try_from(index).expect("small"));
    let next: [u8; 17] = call!("struct bytes17 next(struct bytes17 v, int by)", bytes, 3i32);
    assert_eq!(next, bytes.map(|byte| byte + 3));
}

#[test]
fn a_union_of_long_double_and_int_travels_in_memory() {
    let mut union_ = LongDouble::from(1);
    union_.bytes[..4].copy_from_slice(&40i32.to_le_bytes());
    let sum: i32 = call!("int narrow(int before, union extended v)", 2i32, union_);
    assert_eq!(sum, 42);
    let wide: LongDouble = call!("union extended widen(int v)", 7i32);
    assert_eq!(wide, LongDouble::from(7));
}

#[test]
fn what_does_not_fit_in_the_registers_that_are_left_takes_none() {
    let sum: i64 = call!(
        "long one_left(long a, long b, long c, long d, long e, struct pair p, long g)",
        1i64,
        2i64,
        3i64,
        4i64,
        5i64,
        [6i64, 7],
        8i64
    );
    assert_eq!(sum, 87_654_321);
    let sum: f64 = call!(
        "double one_vector_left(double a, double b, double c, double d, double e, double f, \
         double g, struct doubles p, double h)",
        0f64,
        0f64,
        0f64,
        0f64,
        0f64,
        0f64,
        1f64,
        [2f64, 3.0],
        4f64
    );
    assert_eq!(sum, 4321.0);
    let sum: f64 = call!(
        "double mixed_left(long a, long b, long c, long d, long e, long f, struct mixed m, \
         double x)",
        1i64,
        1i64,
        1i64,
        1i64,
        1i64,
        1i64,
        Mixed(10, 0.5, 20.0),
        2f64
    );
    assert_eq!(sum, 236.5);
}

#[test]
fn an_int128_on_the_stack_is_aligned() {
    let value = 1i128 << 100;
    let sum: i128 = call!(
        "__int128 wide_on_stack(long a, long b, long c, long d, long e, long f, long g, \
         struct wide w, long h)",
        1i64,
        2i64,
        3i64,
        4i64,
        5i64,
        6i64,
        7i64,
        value,
        8i64
    );
    assert_eq!(sum, 2 * value + 36);
}

#[test]
fn complex_long_doubles_come_back_on_the_x87_stack() {
    let turned: [LongDouble; 2] = call!(
        "_Complex long double turn_complex(_Complex long double z)",
        [LongDouble::from(3), LongDouble::from(5)]
    );
    assert_eq!(turned, [LongDouble::from(5).negated(), LongDouble::from(3)]);
    let half: [f32; 2] = call!("_Complex float half_complex(_Complex float z)", [3f32, 5.0]);
    assert_eq!(half, [1.5, 2.5]);
}

#[test]
fn a_long_double_alone_in_a_struct_comes_back_on_the_x87_stack() {
    let (three, four) = (LongDouble::from(3), LongDouble::from(4));
    let twice: LongDouble = call!("struct extended_alone twice(struct extended_alone v)", three);
    assert_eq!(twice, LongDouble::from(6));
    let sum: LongDouble =
        call!("long double sum3(int a, long double b, struct extended_alone c)", 2i32, three, four);
    assert_eq!(sum, LongDouble::from(9));
}

#[test]
fn over_aligned_arguments_are_aligned_on_the_stack() {
    let sum: i64 =
        call!("long where32(int a, struct aligned32 v, char b)", 1i32, Aligned32(40), 1i8);
    assert_eq!(sum, 42);
    let mut text = [0; 128];
    text[64] = 2;
    let sum: i64 = call!(
        "long where64(struct aligned64 v, struct aligned32 w)",
        Aligned64(text),
        Aligned32(40)
    );
    assert_eq!(sum, 42);
    let made: Aligned64 = call!("struct aligned64 make64(int c)", 2i32);
    assert_eq!(made, Aligned64(text));
}

#[test]
fn vectors_and_doubles_share_registers() {
    let scaled: Float4 = call!(
        "float4 scale(double by, float4 v, struct vector_alone w, int more)",
        2f64,
        Float4([1.0, 2.0, 3.0, 4.0]),
        Float4([0.5; 4]),
        10i32
    );
    assert_eq!(scaled, Float4([12.5, 14.5, 16.5, 18.5]));
    let alone: Float4 = call!("struct vector_alone alone(float4 v)", Float4([1.0, 2.0, 3.0, 4.0]));
    assert_eq!(alone, Float4([1.0, 2.0, 3.0, 4.0]));
}

#[test]
fn packed_records_and_bit_fields() {
    let swapped: Unaligned = call!("struct unaligned swap(struct unaligned v)", Unaligned(3, 4.0));
    assert_eq!(swapped, Unaligned(4, 3.0));
    // All four share the first 8 bytes: a from bit 0, b from 3, c at 16, d from 17.
    let bits = |a: u64, b: u64, c: u64, d: u64| a | b << 3 | c << 16 | d << 17;
    let counted: u64 = call!("struct bits count(struct bits v)", bits(2, 1000, 1, 5));
    assert_eq!(counted & (bits(0, 0, 0, 1 << 40) - 1), bits(3, 999, 0, 5 + (1 << 35)));
}

#[test]
fn variadic_calls_say_how_many_vector_registers_they_use() {
    let nine = "double sum_of(int n, ..., double, double, double, double, double, double, double, \
                double, double)";
    let sum: f64 = call!(nine, 9i32, 1f64, 2f64, 3f64, 4f64, 5f64, 6f64, 7f64, 8f64, 9f64);
    assert_eq!(sum, 123_456_789.0);
    // SAFETY: these are values of the types of the prototype.
    let used = |prototype: &str, arguments: &[*const c_void]| unsafe {
        call_at::<i32>(&plan(prototype), symbol("vectors_used"), arguments)
    };
    let nine = nine.replace("double sum_of", "int vectors_used");
    let number = at(&1f64);
    assert_eq!(used(&nine, &[&[at(&9i32)][..], &[number; 9]].concat()), 8);
    let three = "int vectors_used(int n, ..., double, double, double)";
    assert!((3..=8).contains(&used(three, &[at(&3i32), number, number, number])));
    let mixed: i64 = call!(
        "long mixed_tail(int n, ..., struct pair, long double, struct mixed, int)",
        1i32,
        [2i64, 3],
        LongDouble::from(4),
        Mixed(5, 0.0, 6.0),
        7i32
    );
    assert_eq!(mixed, 765_433);
}

#[test]
fn narrow_values_are_extended_and_cut() {
    // SAFETY: these are values of the types of the prototype.
    let all = |prototype: &str, argument: &i8| unsafe {
        call_at::<i32>(&plan(prototype), symbol("whole_register"), &[at(argument)])
    };
    // clang's callees rely on it.
    assert_eq!(all("int whole_register(signed char c)", &-2), -2);
    assert_eq!(all("int whole_register(unsigned char c)", &-2), 254);
    let short: i16 = call!("short garbage_above(void)");
    assert_eq!(short, -2);
    let is_true: u8 = call!("_Bool garbage_above_bool(void)");
    assert_eq!(is_true, 1);
}

#[test]
fn tails_without_elements_are_passed_as_gcc_passes_them() {
    for (declaration, prototype, bytes) in [
        (
            "struct flexible { int n; int tail[]; };",
            "int flexible(struct flexible v, int i)",
            [40i32, 0],
        ),
        (
            "struct no_elements { float x; int tail[0]; };",
            "int no_elements(struct no_elements v, int i)",
            [0x4220_0000, 0],
        ),
        (
            "struct empty_tail { int n; struct {} tail; };",
            "int empty_tail(struct empty_tail v, int i)",
            [40, 0],
        ),
    ] {
        let plan = CallPlan::parse_in(prototype, declaration);
        let plan = plan.unwrap_or_else(|errors| panic!("{errors}"));
        let name = &prototype[4..prototype.find('(').expect("a prototype")];
        // SAFETY: these are values of the types of the prototype.
        let sum: i32 = unsafe { call_at(&plan, symbol(name), &[at(&bytes), at(&2i32)]) };
        assert_eq!(sum, 42, "{prototype}");
    }
}

#[test]
fn plans_and_closures_can_be_shared() {
    fn shared<T: Send + Sync>() {}
    shared::<CallPlan>();
    shared::<Closure>();
    fn cloned<T: Clone>() {}
    cloned::<CallPlan>();
}
