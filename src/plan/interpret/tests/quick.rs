//! The short way and the long way do the same: what they return, what they say, what they leave behind.
use super::*;

/// Any numbers will do, as long as they are the same ones each time.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 ^ self.0 >> 31
    }
}

impl Bench {
    /// As [`Bench::call`], the short way for as long as that goes.
    fn call_quickly(&mut self, arguments: &[u64]) -> Result<u64, String> {
        let quick = Quick::of(&self.plan).expect("it takes the short way");
        let mut slots: Vec<GuestSlot> =
            arguments.iter().map(|low| GuestSlot { low: *low, high: 0 }).collect();
        slots.resize(slots.len().max(1), GuestSlot::default());
        let (plan, binding, at) = (&self.plan, &self.binding, slots.as_mut_ptr());
        // SAFETY: as `Bench::call`; nothing has happened when the call is made once more.
        unsafe {
            let done = if quick.is_held() {
                quick.run_held(plan, binding, at, &mut self.guest)
            } else {
                quick.run(plan, binding, at)
            };
            let done = match done {
                Ok(()) => Ok(()),
                Err(Halt::Before) => return self.call(arguments),
                Err(Halt::After(left)) => left.resume(plan, &mut self.guest),
                Err(Halt::Stopped(stop)) => Err(stop),
            };
            Bench::outcome(done, slots[0])
        }
    }
}

/// The bits of a result that mean something.
fn meant(bench: &Bench, value: Result<u64, String>) -> Result<u64, String> {
    let wide = matches!(
        bench.plan.lowering.results.first(),
        Some(crate::plan::WasmType::I64 | crate::plan::WasmType::F64)
    );
    value.map(|value| if wide { value } else { value & 0xffff_ffff })
}

fn both_ways(prototype: &str, target: *const c_void, arguments: impl Fn(&mut Numbers) -> Vec<u64>) {
    let (mut long, mut short) = (Bench::new(prototype, target), Bench::new(prototype, target));
    let mut numbers = Numbers(1);
    let (mut good, mut bad) = (0, 0);
    for _ in 0..500 {
        let arguments = arguments(&mut numbers);
        let expected = long.call(&arguments);
        let expected = meant(&long, expected);
        let got = short.call_quickly(&arguments);
        assert_eq!(meant(&short, got), expected, "{prototype} {arguments:x?}");
        assert!(long.memory == short.memory, "{prototype} {arguments:x?}");
        if expected.is_ok() { good += 1 } else { bad += 1 }
    }
    assert!(good > 20 && (bad == 0 || bad > 20), "{prototype}: {good} and {bad}");
}

fn random(count: usize) -> impl Fn(&mut Numbers) -> Vec<u64> {
    move |numbers| (0..count).map(|_| numbers.next()).collect()
}

extern "C" fn small(a: i8, b: u8, c: i16, d: u16, e: bool, f: i64) -> i64 {
    let sum = i64::from(a) * 3 + i64::from(b) * 5 + i64::from(c) * 7 + i64::from(d) * 11;
    sum ^ i64::from(e) ^ f
}

extern "C" fn six(a: c_int, b: u32, c: c_int, d: c_int, e: c_int, f: c_int) -> c_int {
    let all = [b.cast_signed(), c, d, e, f];
    all.into_iter().fold(a, |sum, one| sum.wrapping_mul(31).wrapping_add(one))
}

extern "C" fn ten(
    a: c_int,
    b: c_int,
    c: c_int,
    d: c_int,
    e: c_int,
    f: c_int,
    g: c_int,
    h: c_int,
) -> i8 {
    let all = [b, c, d, e, f, g, h];
    all.into_iter().fold(a, |sum, one| sum.wrapping_mul(31).wrapping_add(one)).to_le_bytes()[1]
        .cast_signed()
}

extern "C" fn three(a: c_int, b: u32, c: c_int) -> c_int {
    a.wrapping_mul(31).wrapping_add(b.cast_signed()).wrapping_mul(31).wrapping_add(c)
}

extern "C" fn sum_or_nothing(bytes: *const u8, n: usize) -> usize {
    if bytes.is_null() { n } else { sum(bytes, n) }
}

extern "C" fn mixed(a: c_int, x: f64, b: u32, y: f64) -> f64 {
    f64::from_bits(
        x.to_bits() ^ y.to_bits().rotate_left(7) ^ u64::from(a.cast_unsigned()) ^ u64::from(b) << 9,
    )
}

extern "C" fn floats(x: f32, y: f32) -> f32 {
    f32::from_bits(x.to_bits() ^ y.to_bits().rotate_left(3))
}

extern "C" fn longs(a: i64, b: u64) -> i64 {
    if b & 1 == 0 { a } else { a << 8 }
}

extern "C" fn nothing(_: c_int) {}

#[test]
fn scalars_are_the_same_both_ways() {
    let mixed = mixed as *const c_void;
    both_ways(
        "int64_t f(int8_t a, uint8_t b, int16_t c, uint16_t d, bool e, int64_t g)",
        small as *const c_void,
        random(6),
    );
    both_ways(
        "int f(int a, unsigned b, int c, int d, int e, int g)",
        six as *const c_void,
        random(6),
    );
    both_ways(
        "unsigned char f(int a, int b, int c, int d, int e, int g)",
        six as *const c_void,
        random(6),
    );
    both_ways(
        "int8_t f(int a, int b, int c, int d, int e, int g, int h, int i)",
        ten as *const c_void,
        random(8),
    );
    both_ways("double f(int a, double x, unsigned b, double y)", mixed, random(4));
    both_ways("float f(float x, float y)", floats as *const c_void, random(2));
    both_ways("void f(int a)", nothing as *const c_void, random(1));
    both_ways("long f(long a, size_t b)", longs as *const c_void, random(2));
    both_ways("unsigned f(int a, unsigned b)", longs as *const c_void, random(2));
}

#[test]
fn ranges_and_buffers_are_the_same_both_ways() {
    let near = |numbers: &mut Numbers| (numbers.next() % 12).wrapping_sub(6) & 0xffff_ffff;
    let three = three as *const c_void;
    let text = "int f(int a __range(-3, 5), unsigned b __range(1, 4294967294), int c __range(0, 1) __range(3, 4))";
    both_ways(text, three, |numbers| vec![near(numbers), near(numbers), near(numbers)]);
    let text =
        "size_t f(const uint8_t *__counted_by_or_null(n) p, size_t n __range(0, 0x7fffffff))";
    both_ways(text, sum_or_nothing as *const c_void, |numbers| {
        let edge = [0, 1, 8191, 8192, 8193, 0xffff_ffff, 0x7fff_ffff];
        let one = |n: u64| edge[usize::try_from(n % 7).expect("small")];
        vec![one(numbers.next()), one(numbers.next())]
    });
}

extern "C" fn number_of(object: *mut c_void, n: c_int) -> c_int {
    c_int::try_from(object.addr() >> 4).unwrap_or(0).wrapping_add(n)
}

extern "C" fn some_text(_: *mut c_void, n: c_int) -> *const c_char {
    match n {
        0 => std::ptr::null(),
        1 => c"short".as_ptr(),
        2 => c"a text that is somewhat longer".as_ptr(),
        _ => c"".as_ptr(),
    }
}

/// Calls on the handles of one store.
struct World {
    store: Box<StoreBlock>,
    handles: Vec<u64>,
    imports: Vec<Bench>,
}

impl World {
    fn new() -> World {
        let store = Box::new(StoreBlock::new(Limits { loans: 5, ..Limits::default() }));
        let kind = HandleType(1);
        let mut handles: Vec<u64> = (1..=3)
            .map(|number| {
                let object = std::ptr::without_provenance_mut(number << 4);
                let made =
                    store.with_handles(|t| t.adopt(object, kind, false, None, std::ptr::null()));
                u64::from(made.expect("there is room"))
            })
            .collect();
        let gone = u32::try_from(handles[2]).expect("a handle");
        store.with_handles(|table| table.consume(gone));
        handles.extend([0, 0x7fff_ffff]);
        let leaf = |text, target| Bench::of(text, target, true);
        let mut imports = vec![
            leaf("int f(struct thing *_Nullable t, int n)", number_of as *const c_void),
            leaf(
                "const char *_Nullable __lifetimebound(t) f(struct thing *t, int n)",
                some_text as *const c_void,
            ),
            Bench::of(
                "int f(struct thing *t __invalidates, int n)",
                number_of as *const c_void,
                false,
            ),
            Bench::of("int f(struct thing *_Nullable t, int n)", number_of as *const c_void, false),
        ];
        imports.iter_mut().for_each(|import| import.binding.store = &raw const *store);
        World { store, handles, imports }
    }

    fn state(&self) -> (u32, Vec<u32>, Vec<&[u64]>) {
        let busy = |handle: &u64| {
            self.store.with_handles(|table| table.busy(u32::try_from(*handle).expect("a handle")))
        };
        let freed = self.imports.iter().map(|import| &import.guest.freed[..]).collect();
        (self.store.with_handles(|t| t.lent()), self.handles.iter().map(busy).collect(), freed)
    }
}

#[test]
fn handles_and_loans_are_the_same_both_ways() {
    let (mut long, mut short) = (World::new(), World::new());
    assert_eq!(long.handles, short.handles);
    let held: Vec<bool> = short
        .imports
        .iter()
        .map(|import| Quick::of(&import.plan).expect("it takes the short way").is_held())
        .collect();
    assert_eq!(held, [false, true, true, true]);
    let mut numbers = Numbers(2);
    let (mut good, mut bad) = (0, 0);
    for turn in 0..3000 {
        let [import, handle, n] =
            [(); 3].map(|()| usize::try_from(numbers.next() >> 33).expect("31 bits"));
        let (import, handle, n) = (import % 4, handle % 5, (n % 4) as u64);
        let arguments = [long.handles[handle], n];
        let expected = long.imports[import].call(&arguments);
        let got = short.imports[import].call_quickly(&arguments);
        assert_eq!(got, expected, "{turn}: import {import}, {arguments:x?}");
        assert_eq!(short.state(), long.state(), "{turn}: import {import}, {arguments:x?}");
        assert!(short.imports[import].memory == long.imports[import].memory, "{turn}");
        if got.is_ok() { good += 1 } else { bad += 1 }
    }
    assert!(good > 500 && bad > 500, "{good} and {bad}");
    assert!(short.imports[1].guest.next < 4096 + 400, "memory is lent again");
}

/// A call whose handle is in use, and one that must free a copy, go the long way and end as it does.
#[test]
fn what_is_out_of_the_ordinary_is_the_same_both_ways() {
    let (mut long, mut short) = (World::new(), World::new());
    for world in [&mut long, &mut short] {
        let handle = u32::try_from(world.handles[0]).expect("a handle");
        world.store.with_handles(|table| {
            let loan = Loan { instance: 0, address: 64, size: 1 << 20, back: 0 };
            table.lend(handle, HandleType(1), loan).expect("it is alive");
        });
    }
    let arguments = [long.handles[0], 0];
    let ends = |one: &mut Bench, quickly| {
        if quickly { one.call_quickly(&arguments) } else { one.call(&arguments) }
    };
    assert_eq!(ends(&mut long.imports[2], false), ends(&mut short.imports[2], true));
    assert_eq!(long.imports[2].guest.freed, [64]);
    assert_eq!(short.state(), long.state());
    for world in [&mut long, &mut short] {
        let handle = u32::try_from(world.handles[0]).expect("a handle");
        world.store.with_handles(|t| t.enter(handle, HandleType(1))).expect("it is alive");
    }
    let expected = ends(&mut long.imports[2], false);
    assert!(expected.as_ref().is_err_and(|text| text.contains("in use")), "{expected:?}");
    assert_eq!(ends(&mut short.imports[2], true), expected);
    assert_eq!(short.state(), long.state());
}
