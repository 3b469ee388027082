//! Trampolines that are written by hand (`src/cranelift_backend/jump.rs`) do what the interpreter does: the same
//! values reach C, the same calls are refused with the same words, and no call is made twice.
#![expect(unsafe_code, reason = "it plays a C library")]
use portcullis::host::{Bridge, ImportStatus, Natives, Tier};
use std::cell::Cell;
use std::ffi::{c_int, c_uint, c_void};
use wasmtime::{Engine, Linker, Module, Store, Val};

const INTERFACE: &str = r#"
#pragma portcullis library "libhand.so" module "hand"
typedef struct thing thing;
typedef struct other other;
typedef struct owner owner __exclusive;
struct both { long long first; int second, third; };

long long bytes(const uint8_t *__counted_by(n) p, unsigned n) __leaf;
long long sized(const uint8_t *__counted_by(n) p, size_t n) __leaf;
long long ints(const int *__counted_by(n) p, int n) __leaf;
long long longs(const int64_t *__counted_by(n) p, unsigned n, int a) __leaf;
long long pairs(const uint8_t *__counted_by(n) a, const uint8_t *__counted_by(n) b, unsigned n) __leaf;
long long single(const struct both *__single p) __leaf;
long long narrow(signed char a, unsigned short b, short c, unsigned char d) __leaf;
long long five(int a, int b, int c, int d, long e) __leaf;
long long seven(int a, unsigned char b, int c, int d, signed char e, short f, long long g) __leaf;
long long ten(int a, long long b, int c, int d, long long e, long f, short g, unsigned short h, signed char i, int j)
    __leaf;
double floats(int a, double b, float c, int d, double e, int f, int g, long h, int i) __leaf;
void leave(int a, int b, int c, int d, int e, int f, int g, int h) __leaf;
long long stacked(int a, int b, int c, const uint8_t *__counted_by(4) p, int e, int f, int g, int h) __leaf;
thing *__borrowed make_thing(int id) __leaf;
other *__borrowed make_other(int id) __leaf;
owner *__borrowed make_owner(int id) __leaf;
thing *__borrowed __lifetimebound(o) lend_thing(owner *o, int id) __leaf;
long long look(thing *it, int a) __leaf;
long long look_or(int a, thing *_Nullable it) __leaf;
long long look_with(thing *it, const uint8_t *__counted_by(n) p, unsigned n) __leaf;
long long hold(owner *o, long long (*f)(int a), int a);
"#;

/// Name, parameters, result.
const FUNCTIONS: [(&str, &str, &str); 21] = [
    ("bytes", "i32 i32", "i64"),
    ("sized", "i32 i32", "i64"),
    ("ints", "i32 i32", "i64"),
    ("longs", "i32 i32 i32", "i64"),
    ("pairs", "i32 i32 i32", "i64"),
    ("single", "i32", "i64"),
    ("narrow", "i32 i32 i32 i32", "i64"),
    ("five", "i32 i32 i32 i32 i32", "i64"),
    ("seven", "i32 i32 i32 i32 i32 i32 i64", "i64"),
    ("ten", "i32 i64 i32 i32 i64 i32 i32 i32 i32 i32", "i64"),
    ("floats", "i32 f64 f32 i32 f64 i32 i32 i32 i32", "f64"),
    ("leave", "i32 i32 i32 i32 i32 i32 i32 i32", ""),
    ("stacked", "i32 i32 i32 i32 i32 i32 i32 i32", "i64"),
    ("make_thing", "i32", "i32"),
    ("make_other", "i32", "i32"),
    ("make_owner", "i32", "i32"),
    ("lend_thing", "i32 i32", "i32"),
    ("look", "i32 i32", "i64"),
    ("look_or", "i32 i32", "i64"),
    ("look_with", "i32 i32 i32", "i64"),
    ("hold", "i32 i32 i32", "i64"),
];

/// What is certainly by hand: the others hold handles, make some, or call back.
const DIRECT: [&str; 16] = [
    "bytes",
    "sized",
    "ints",
    "longs",
    "pairs",
    "single",
    "narrow",
    "five",
    "seven",
    "ten",
    "floats",
    "leave",
    "stacked",
    "look",
    "look_or",
    "look_with",
];

thread_local! {
    static CALLS: Cell<u32> = const { Cell::new(0) };
    static LEFT: Cell<i64> = const { Cell::new(0) };
}

/// One number of all that C has got, in this order.
fn digest(values: impl IntoIterator<Item = i64>) -> i64 {
    CALLS.set(CALLS.get() + 1);
    values.into_iter().fold(7, |sum: i64, value| sum.wrapping_mul(1_000_003).wrapping_add(value))
}

/// # Safety
/// So many are there, or `p` is NULL.
unsafe fn seen<T: Copy + Into<i64>>(p: *const T, n: i64) -> i64 {
    // SAFETY: the caller's promise.
    let all = (0..n).map(|at| unsafe { p.add(at as usize).read().into() });
    digest([n, i64::from(p.is_null())].into_iter().chain(all))
}

unsafe extern "C" fn bytes(p: *const u8, n: c_uint) -> i64 {
    // SAFETY: the prototype says so; so below.
    unsafe { seen(p, n.into()) }
}

unsafe extern "C" fn sized(p: *const u8, n: usize) -> i64 {
    // SAFETY: see above.
    unsafe { seen(p, n as i64) }
}

unsafe extern "C" fn ints(p: *const c_int, n: c_int) -> i64 {
    // SAFETY: see above.
    unsafe { seen(p, n.into()) }
}

unsafe extern "C" fn longs(p: *const i64, n: c_uint, a: c_int) -> i64 {
    // SAFETY: see above.
    unsafe { seen(p, n.into()) }.wrapping_add(a.into())
}

unsafe extern "C" fn pairs(a: *const u8, b: *const u8, n: c_uint) -> i64 {
    let before = CALLS.get();
    // SAFETY: see above.
    let both = unsafe { seen(a, n.into()).wrapping_mul(31).wrapping_add(seen(b, n.into())) };
    CALLS.set(before + 1);
    both
}

unsafe extern "C" fn single(p: *const [i32; 4]) -> i64 {
    // SAFETY: see above.
    unsafe { seen(p.cast::<i32>(), 4) }
}

// Of narrow arguments, compilers rely on 32 bits.
extern "C" fn narrow(a: i32, b: u32, c: i32, d: u32) -> i64 {
    digest([a.into(), b.into(), c.into(), d.into()])
}

extern "C" fn five(a: i32, b: i32, c: i32, d: i32, e: i64) -> i64 {
    digest([a.into(), b.into(), c.into(), d.into(), e])
}

extern "C" fn seven(a: i32, b: u32, c: i32, d: i32, e: i32, f: i32, g: i64) -> i64 {
    digest([a.into(), b.into(), c.into(), d.into(), e.into(), f.into(), g])
}

extern "C" fn ten(
    a: i32,
    b: i64,
    c: i32,
    d: i32,
    e: i64,
    f: i64,
    g: i32,
    h: u32,
    i: i32,
    j: i32,
) -> i64 {
    digest([a.into(), b, c.into(), d.into(), e, f, g.into(), h.into(), i.into(), j.into()])
}

extern "C" fn floats(
    a: i32,
    b: f64,
    c: f32,
    d: i32,
    e: f64,
    f: i32,
    g: i32,
    h: i64,
    i: i32,
) -> f64 {
    let bits = [b.to_bits().cast_signed(), c.to_bits().into(), e.to_bits().cast_signed()];
    let integers = [a.into(), d.into(), f.into(), g.into(), h, i.into()];
    f64::from(digest(bits.into_iter().chain(integers)) as i32)
}

extern "C" fn leave(a: i32, b: i32, c: i32, d: i32, e: i32, f: i32, g: i32, h: i32) {
    LEFT.set(digest([a, b, c, d, e, f, g, h].map(i64::from)));
}

unsafe extern "C" fn stacked(
    a: i32,
    b: i32,
    c: i32,
    p: *const u8,
    e: i32,
    f: i32,
    g: i32,
    h: i32,
) -> i64 {
    // SAFETY: see above.
    let last = unsafe { p.add(3).read() };
    digest([a, b, c, last.into(), e, f, g, h].map(i64::from))
}

/// Nobody looks behind these pointers.
extern "C" fn make(id: c_int) -> *const c_void {
    std::ptr::without_provenance(0x1000 + id as usize)
}

extern "C" fn lend(_: *const c_void, id: c_int) -> *const c_void {
    make(id)
}

extern "C" fn look(it: *const c_void, a: c_int) -> i64 {
    digest([it.addr() as i64, a.into()])
}

extern "C" fn look_or(a: c_int, it: *const c_void) -> i64 {
    digest([it.addr() as i64, a.into()])
}

unsafe extern "C" fn look_with(it: *const c_void, p: *const u8, n: c_uint) -> i64 {
    // SAFETY: see above.
    unsafe { seen(p, n.into()) }.wrapping_add(it.addr() as i64)
}

extern "C" fn hold(_: *const c_void, f: extern "C" fn(c_int) -> i64, a: c_int) -> i64 {
    f(a)
}

fn bridge(engine: &Engine, most: Tier) -> Bridge {
    let functions: [*const c_void; 21] = [
        bytes as _,
        sized as _,
        ints as _,
        longs as _,
        pairs as _,
        single as _,
        narrow as _,
        five as _,
        seven as _,
        ten as _,
        floats as _,
        leave as _,
        stacked as _,
        make as _,
        make as _,
        make as _,
        lend as _,
        look as _,
        look_or as _,
        look_with as _,
        hold as _,
    ];
    let builder = Bridge::builder(engine).max_tier(most);
    // SAFETY: the interface is true of the functions above.
    let builder = unsafe { builder.grant_interface("hand.h", INTERFACE) };
    let builder = builder.unwrap_or_else(|error| panic!("{error}"));
    let builder =
        FUNCTIONS.iter().zip(functions).fold(builder, |builder, ((name, ..), address)| {
            // SAFETY: these are those functions, and static.
            unsafe { builder.symbol("libhand.so", name, address) }
        });
    builder.build().expect("a bridge")
}

/// A guest that calls each of them with what it is given.
fn text() -> String {
    let mut imports = String::new();
    let mut calls = String::new();
    for (name, params, result) in FUNCTIONS {
        let result = if result.is_empty() { String::new() } else { format!("(result {result})") };
        imports +=
            &format!("(import \"hand\" \"{name}\" (func ${name} (param {params}) {result}))");
        let values = (0..params.split(' ').count()).map(|at| format!("(local.get {at})"));
        let values: String = values.collect();
        calls += &format!(
            "(func (export \"{name}\") (param {params}) {result} (call ${name} {values}))"
        );
    }
    format!(
        "(module {imports} (memory (export \"memory\") 1) (global $held (mut i32) (i32.const 0))
        (data (i32.const 0) \"a text of some length, with \\01\\ff\\80\\7f\")
        (data (i32.const 65500) \"at the very end of the only page    \")
        (table (export \"t\") funcref (elem $look_at_it $look_at_it))
        (func $look_at_it (param i32) (result i64) (call $look (global.get $held) (local.get 0)))
        (func (export \"hold_it\") (param i32 i32 i32) (result i64)
            (global.set $held (local.get 1))
            (call $hold (local.get 0) (i32.const 1) (local.get 2)))
        (func (export \"grow\") (drop (memory.grow (i32.const 1)))) {calls})"
    )
}

struct World {
    store: Store<Natives>,
    instance: wasmtime::Instance,
}

impl World {
    fn new(bridge: &Bridge, module: &Module) -> World {
        let mut store = Store::new(bridge.engine(), Natives::default());
        let linker = Linker::new(bridge.engine());
        let instance = bridge.instantiate(&mut store, &linker, module, |natives| natives);
        World { instance: instance.unwrap_or_else(|error| panic!("{error:?}")), store }
    }

    /// What comes of a call: its result or the first line of its error, how often C was called, what that left.
    fn call(&mut self, name: &str, params: &[Val]) -> (Result<String, String>, u32, i64) {
        CALLS.set(0);
        LEFT.set(0);
        let f = self.instance.get_func(&mut self.store, name).expect("it is exported");
        let mut results = vec![Val::I32(0); f.ty(&self.store).results().len()];
        let called = f.call(&mut self.store, params, &mut results);
        let said = match called {
            Ok(()) => Ok(format!("{results:?}")),
            Err(error) => Err(error
                .downcast_ref::<portcullis::plan::CallError>()
                .map_or_else(|| format!("{error:?}"), |error| error.to_string())),
        };
        (said, CALLS.get(), LEFT.get())
    }

    fn make(&mut self, name: &str, params: &[Val]) -> i32 {
        let f = self.instance.get_func(&mut self.store, name).expect("it is exported");
        let mut made = [Val::I32(0)];
        f.call(&mut self.store, params, &mut made).unwrap_or_else(|error| panic!("{error:?}"));
        made[0].unwrap_i32()
    }
}

/// Two worlds of the same guest, in which everything is the same but the tier.
fn both() -> [World; 2] {
    [Tier::Interpreter, Tier::Direct].map(|most| {
        let bridge = bridge(&Engine::default(), most);
        let module =
            Module::new(bridge.engine(), text()).unwrap_or_else(|error| panic!("{error:?}"));
        for import in bridge.describe(&module) {
            let ImportStatus::Native(functions) = &import.status else { panic!("{import:?}") };
            if DIRECT.contains(&&*import.name) {
                assert_eq!(
                    functions[0].tier, most,
                    "{}: {:?}",
                    import.name, functions[0].why_no_faster
                );
            }
        }
        World::new(&bridge, &module)
    })
}

#[track_caller]
fn same([one, other]: &mut [World; 2], name: &str, params: &[Val]) -> bool {
    let expected = one.call(name, params);
    // Twice: what comes of the first may have opened or closed something.
    for _ in 0..2 {
        assert_eq!(other.call(name, params), expected, "{name} {params:?}");
    }
    assert_eq!(expected.1, u32::from(expected.0.is_ok()), "{name} {params:?}: {expected:?}");
    expected.0.is_ok()
}

/// Numbers at which something changes.
const EDGES: [i32; 19] = [
    0,
    1,
    2,
    3,
    4,
    7,
    8,
    16,
    127,
    128,
    -1,
    -2,
    -128,
    0x7fff,
    0x8000,
    0x1_0001,
    i32::MAX,
    i32::MIN,
    -0x1_0000,
];

#[test]
fn ranges_are_those_of_the_interpreter() {
    let mut worlds = both();
    let starts =
        [0, 1, 4, 8, 12, 65_496, 65_528, 65_532, 65_535, 65_536, 65_537, 0x7fff_fff8, -8, -1];
    let counts =
        [0, 1, 2, 3, 4, 5, 8, 65_536, 65_537, 0x1000_0000, 0x2000_0001, i32::MAX, i32::MIN, -1];
    let mut passed = 0;
    for grown in [false, true] {
        for start in starts {
            for count in counts {
                for name in ["bytes", "sized", "ints"] {
                    passed += u32::from(same(&mut worlds, name, &[start.into(), count.into()]));
                }
                for name in ["longs", "pairs"] {
                    let params = [
                        start.into(),
                        if name == "pairs" { 8.into() } else { count.into() },
                        count.into(),
                    ];
                    passed += u32::from(same(&mut worlds, name, &params));
                    let params = [8.into(), start.into(), count.into()];
                    passed += u32::from(same(&mut worlds, "pairs", &params));
                }
            }
            same(&mut worlds, "single", &[start.into()]);
            let ones = [1, 2, 3, start, 5, 6, 7, 8].map(Val::from);
            passed += u32::from(same(&mut worlds, "stacked", &ones));
        }
        if !grown {
            for world in &mut worlds {
                world.call("grow", &[]).0.expect("it grows");
            }
        }
    }
    assert!(passed > 300, "{passed} calls were made");
}

#[test]
fn scalars_arrive_as_in_the_interpreter() {
    let mut worlds = both();
    let at = |of: usize| EDGES[of % EDGES.len()];
    let wide = |of: usize| Val::I64(i64::from(at(of)) << 31 | 5);
    for turn in 0..3 * EDGES.len() {
        let int = |of: usize| Val::I32(at(turn + of * 7));
        for (name, params, _) in FUNCTIONS.iter().filter(|(name, ..)| {
            matches!(*name, "narrow" | "five" | "seven" | "ten" | "floats" | "leave")
        }) {
            let params: Vec<Val> = params
                .split(' ')
                .enumerate()
                .map(|(position, ty)| match ty {
                    "i32" => int(position),
                    "i64" => wide(turn + position * 5),
                    "f32" => Val::F32(at(turn + position).cast_unsigned()),
                    _ => Val::F64(u64::from(at(turn + position).cast_unsigned()) << 31),
                })
                .collect();
            assert!(same(&mut worlds, name, &params), "{name} refuses nothing");
        }
    }
}

#[test]
fn handles_are_those_of_the_interpreter() {
    let mut worlds = both();
    let made = |worlds: &mut [World; 2], name: &str, params: &[Val]| {
        let [one, other] = worlds.each_mut().map(|world| world.make(name, params));
        assert_eq!(one, other);
        one
    };
    let things: Vec<i32> =
        (1..40).map(|id| made(&mut worlds, "make_thing", &[id.into()])).collect();
    let other = made(&mut worlds, "make_other", &[1.into()]);
    let owner = made(&mut worlds, "make_owner", &[2.into()]);
    let lent = made(&mut worlds, "lend_thing", &[owner.into(), 77.into()]);
    let forged = things.iter().flat_map(|thing| [thing + (1 << 20), thing ^ (1 << 19), -thing]);
    let all: Vec<i32> =
        things.iter().copied().chain(forged).chain([other, owner, lent]).chain(EDGES).collect();
    let mut passed = 0;
    for handle in all {
        passed += u32::from(same(&mut worlds, "look", &[handle.into(), 5.into()]));
        passed += u32::from(same(&mut worlds, "look_or", &[6.into(), handle.into()]));
        passed += u32::from(same(&mut worlds, "look_with", &[handle.into(), 8.into(), 3.into()]));
        same(&mut worlds, "look_with", &[handle.into(), 8.into(), (-3).into()]);
    }
    assert!(passed >= 3 * 40, "{passed} calls were made");
    // While a call has its owner to itself, a handle is looked for with all that lends it.
    for (handle, usable) in [(things[3], true), (lent, false), (other, false), (0, false)] {
        let params = [owner, handle, 9].map(Val::from);
        let passed = same(&mut worlds, "hold_it", &params);
        assert_eq!(passed, usable, "{handle:#x}: {:?}", worlds[1].call("hold_it", &params));
    }
    assert!(same(&mut worlds, "look", &[lent.into(), 5.into()]), "nobody holds anything any more");
}
