//! What calls and closures of the wasm-free API cost: `cargo bench --bench ffi`, or with `-- --quick`.
//!
//! | name | what it is |
//! |---|---|
//! | C | a gcc -O2 loop that calls through a volatile pointer |
//! | ffi | `CallPlan::call` on arguments in memory |
//! | ffi, compiled | the same after `CallPlan::make_code` |
//! | libffi | `ffi_call` on the same arguments |
//! | closure, libffi closure | the C loop, calling a closure that does what the C function does |
//!
//! All run on one core, interleaved within one run, net of their own empty loops (see `calls.rs`).
#![expect(unsafe_code, reason = "calls C functions through their addresses")]
#[path = "../tests/support/native.rs"]
mod native;

use libffi::low;
use libffi::middle::{Cif, Type as FfiType};
use libloading::Library;
use portcullis::bench::harness::{self, Contender, Effort, Loop};
use portcullis::bench::machine;
use portcullis::bench::statistics::{Interval, Verdict, paired, spread};
use portcullis::ffi::{CallPlan, Closure, Error};
use std::ffi::c_void;
use std::hint::black_box;
use std::process::ExitCode;

/// Makes a closure of the row's prototype.
type Make = fn(&CallPlan) -> Result<Closure, Error>;

/// A function that is measured.
struct Row {
    title: &'static str,
    symbol: &'static str,
    /// Result, parameters, body, and what the C loop passes.
    c: [&'static str; 4],
    cif: fn() -> Cif,
    /// What a call through libffi 3.8's plans costs, measured elsewhere: the share of an `ffi_call`.
    plans: f64,
    /// The body as a closure for portcullis, if closures are measured.
    closure: Option<Make>,
    /// The same for libffi.
    callback: Option<low::RawCallback>,
}

const ROWS: &[Row] = &[
    Row {
        title: "i32(i32, i32)",
        symbol: "add",
        c: ["int", "int a, int b", "return a + b;", "n, 2"],
        cif: || Cif::new([FfiType::i32(), FfiType::i32()], FfiType::i32()),
        plans: 12.6 / 38.5,
        closure: Some(|plan| {
            Closure::new(plan, |args| {
                // SAFETY: `int add(int, int)`.
                unsafe {
                    let (a, b) = (*args.get(0).cast::<i32>(), *args.get(1).cast::<i32>());
                    *args.result().cast::<i32>() = a.wrapping_add(b);
                }
            })
        }),
        callback: Some(add_callback),
    },
    Row {
        title: "f64(f64)",
        symbol: "half",
        c: ["double", "double x", "return 0.5 * x;", "n"],
        cif: || Cif::new([FfiType::f64()], FfiType::f64()),
        plans: 10.8 / 22.5,
        closure: Some(|plan| {
            Closure::new(plan, |args| {
                // SAFETY: `double half(double)`.
                unsafe { *args.result().cast::<f64>() = 0.5 * *args.get(0).cast::<f64>() };
            })
        }),
        callback: Some(half_callback),
    },
    Row {
        title: "void *(void *, i32, size_t)",
        symbol: "fill",
        c: [
            "void *",
            "void *s, int c, size_t n",
            "return (char *)s + c + n;",
            "(void *)(long)n, 1, 64",
        ],
        cif: || Cif::new([FfiType::pointer(), FfiType::i32(), FfiType::u64()], FfiType::pointer()),
        plans: 19.6 / 49.7,
        closure: None,
        callback: None,
    },
    Row {
        title: "8 x i32",
        symbol: "eight",
        c: [
            "int",
            "int a, int b, int c, int d, int e, int f, int g, int h",
            "return a + b + c + d + e + f + g + h;",
            "n, 1, 2, 3, 4, 5, 6, 7",
        ],
        cif: || Cif::new((0..8).map(|_| FfiType::i32()), FfiType::i32()),
        plans: 39.2 / 107.0,
        closure: None,
        callback: None,
    },
    Row {
        title: "6 i64 + 8 f64 + 4 i64",
        symbol: "mixed",
        c: [
            "long",
            "long a, long b, long c, long d, long e, long f, double p, double q, double r, double s, \
             double t, double u, double v, double w, long g, long h, long i, long j",
            "return a + b + c + d + e + f + g + h + i + j + (p + q + r + s + t + u + v + w > 0);",
            "n, 1, 2, 3, 4, 5, 1., 2., 3., 4., 5., 6., 7., 8., 6, 7, 8, 9",
        ],
        cif: || {
            let int =
                |at: usize| if (6..14).contains(&at) { FfiType::f64() } else { FfiType::i64() };
            Cif::new((0..18).map(int), FfiType::i64())
        },
        plans: 61.0 / 241.0,
        closure: None,
        callback: None,
    },
    Row {
        title: "struct { f64, f64 } in and out",
        symbol: "turn",
        c: [
            "struct p { double x, y; }",
            "struct p { double x, y; } p",
            "return (struct p){0.5 * p.y, p.x};",
            "(struct p){n, 2}",
        ],
        cif: || {
            let point = || FfiType::structure([FfiType::f64(), FfiType::f64()]);
            Cif::new([point()], point())
        },
        plans: 1.0,
        closure: Some(|plan| {
            Closure::new(plan, |args| {
                // SAFETY: `struct p turn(struct p)`.
                unsafe {
                    let [x, y] = *args.get(0).cast::<[f64; 2]>();
                    *args.result().cast::<[f64; 2]>() = [0.5 * y, x];
                }
            })
        }),
        callback: Some(turn_callback),
    },
];

unsafe extern "C" fn add_callback(
    _: *mut low::ffi_cif,
    result: *mut c_void,
    args: *mut *mut c_void,
    _: *mut c_void,
) {
    // SAFETY: `int add(int, int)`; libffi widens results to a register.
    unsafe {
        let sum = (**args.cast::<*mut i32>()).wrapping_add(**args.add(1).cast::<*mut i32>());
        *result.cast::<i64>() = sum.into();
    }
}

unsafe extern "C" fn half_callback(
    _: *mut low::ffi_cif,
    result: *mut c_void,
    args: *mut *mut c_void,
    _: *mut c_void,
) {
    // SAFETY: `double half(double)`.
    unsafe { *result.cast::<f64>() = 0.5 * **args.cast::<*mut f64>() };
}

unsafe extern "C" fn turn_callback(
    _: *mut low::ffi_cif,
    result: *mut c_void,
    args: *mut *mut c_void,
    _: *mut c_void,
) {
    // SAFETY: `struct p turn(struct p)`.
    unsafe {
        let [x, y] = **args.cast::<*mut [f64; 2]>();
        *result.cast::<[f64; 2]>() = [0.5 * y, x];
    }
}

impl Row {
    fn prototype(&self) -> String {
        let [result, params, ..] = self.c;
        format!("{result} {}({params})", self.symbol)
    }

    /// A plan with code, of another name: equal plans share it.
    fn compiled(&self) -> Option<CallPlan> {
        let [result, params, ..] = self.c;
        let plan = CallPlan::parse(&format!("{result} compiled_{}({params})", self.symbol));
        let plan = plan.unwrap_or_else(|error| panic!("{error}"));
        plan.make_code().map_err(|error| eprintln!("{error}")).ok()?;
        Some(plan)
    }

    /// The function, and loops around a call of it through a pointer.
    fn source(&self) -> String {
        let [result, params, body, call] = self.c;
        let symbol = self.symbol;
        let result = result.replace(" { double x, y; }", "");
        let params = params.replace(" { double x, y; }", "");
        format!(
            "{result} {symbol}({params}) {{ {body} }}
void *address_{symbol}(void) {{ return {symbol}; }}
void run_{symbol}(void *f, int n) {{
  {result} (*volatile call)({params}) = f;
  for (; n; n--) sink_{symbol} = call({call});
}}
void empty_{symbol}(void *f, int n) {{
  for (; n; n--) __asm__ volatile(\"\");
}}
"
        )
        .replacen(
            &format!("void *address_{symbol}"),
            &format!("{result} sink_{symbol};\nvoid *address_{symbol}"),
            1,
        )
    }
}

/// Arguments and result of a call in memory.
struct Call {
    values: Vec<[u64; 2]>,
    pointers: Vec<*const c_void>,
    result: [u64; 4],
    /// The first argument of the first call: not a denormal, if it is a `double`.
    first: u64,
}

impl Call {
    fn new(row: &Row) -> Call {
        let is_float = |at: usize| row.symbol != "mixed" || (6..14).contains(&at);
        let plan = CallPlan::parse(&row.prototype()).expect("a prototype");
        let count = plan.params().len();
        let value = |at: usize| match (is_float(at), row.symbol) {
            (true, "half" | "turn" | "mixed") => [1.5_f64.to_bits(), 2.5_f64.to_bits()],
            _ => [u64::try_from(at).unwrap_or(0) + 2, 0],
        };
        let values: Vec<[u64; 2]> = (0..count).map(value).collect();
        let pointers = values.iter().map(|value| value.as_ptr().cast()).collect();
        let first = values.first().map_or(0, |value| value[0]);
        Call { values, pointers, result: [0; 4], first }
    }

    /// The first argument of the next call.
    #[inline(always)]
    fn next(&mut self, turn: u32) {
        self.values[0][0] = self.first + u64::from(turn);
    }
}

fn main() -> ExitCode {
    let mut effort = Effort { rounds: 1, sample: 1_000.0 };
    for argument in std::env::args().skip(1) {
        match &*argument {
            "--bench" if effort.rounds == 1 => effort = Effort { rounds: 201, sample: 200_000.0 },
            "--quick" => effort = Effort { rounds: 25, sample: 50_000.0 },
            _ => {}
        }
    }
    let core = match machine::pin(None) {
        Ok(core) => core,
        Err(error) => {
            eprintln!("cannot pin this process to a core: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("core {core} of {}; {} rounds", machine::processor(), effort.rounds);
    machine::warnings(core).iter().for_each(|warning| println!("warning: {warning}"));
    let source: String = ROWS.iter().map(Row::source).collect();
    let source = format!("#include <stddef.h>\nstruct p {{ double x, y; }};\n{source}");
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = native::compile(folder, "libffi_rows.so", &source, &["-O2", "-fno-tree-vectorize"]);
    // SAFETY: it has no constructors. It is never closed.
    let library = Box::leak(Box::new(unsafe { Library::new(path) }.expect("it was just made")));
    let mut aims = Vec::new();
    for row in ROWS {
        measure(row, library, effort, &mut aims);
    }
    println!("\naims");
    for (what, found, aim) in aims {
        let verdict = match found.at_most(aim) {
            Verdict::Met => "met",
            Verdict::Undecided => "undecided",
            Verdict::Missed => "MISSED",
        };
        println!("  {what:<58}{:>22}  at most {aim:.2}: {verdict}", show(found));
    }
    ExitCode::SUCCESS
}

fn measure(
    row: &'static Row,
    library: &'static Library,
    effort: Effort,
    aims: &mut Vec<(String, Interval, f64)>,
) {
    let symbol = row.symbol;
    // SAFETY: `void *address(void)`.
    let address = unsafe {
        library
            .get::<unsafe extern "C" fn() -> *const c_void>(format!("address_{symbol}"))
            .expect("every row has it")()
    };
    let plan = CallPlan::parse(&row.prototype()).unwrap_or_else(|error| panic!("{error}"));
    let c_loop = |name: &str, function: *const c_void| -> Loop {
        type Run = unsafe extern "C" fn(*const c_void, i32);
        // SAFETY: every loop is `void f(void *, int)`.
        let run = *unsafe { library.get::<Run>(format!("{name}_{symbol}")) }.expect("a loop");
        // SAFETY: the function has the row's prototype.
        Box::new(move |turns| unsafe { run(function, turns.try_into().expect("small")) })
    };
    let contender = |name, run, empty| Contender { name, run, empty };
    let mut all = vec![
        contender("C", c_loop("run", address), c_loop("empty", address)),
        contender("ffi", through_plan(row, plan.clone(), address), nothing(row)),
        contender("libffi", through_libffi(row, address), nothing(row)),
    ];
    if let Some(plan) = row.compiled() {
        all.push(contender("ffi, compiled", through_plan(row, plan, address), nothing(row)));
    }
    if let (Some(closure), Some(callback)) = (row.closure, row.callback) {
        let closure = closure(&plan).unwrap_or_else(|error| panic!("{error}"));
        // The bench needs it to its end.
        let closure = Box::leak(Box::new(closure)).as_ptr();
        all.push(contender("closure", c_loop("run", closure), c_loop("empty", closure)));
        let closure = libffi_closure(row, callback);
        all.push(contender("libffi closure", c_loop("run", closure), c_loop("empty", closure)));
    }
    let names: Vec<&str> = all.iter().map(|contender| contender.name).collect();
    let samples = harness::measure(&mut all.iter_mut().collect::<Vec<_>>(), effort);
    println!("\n{:<32}{:>24}{:>24}", row.title, "ns a call", "times C");
    for (name, times) in names.iter().zip(&samples) {
        let ratio = Interval::of(&paired(times, &samples[0], |time, c| time / c));
        let weak = if times.len() > 1 && spread(times) > 0.15 { "  (spreads)" } else { "" };
        println!("  {name:<30}{:>24}{:>24}{weak}", show(Interval::of(times)), show(ratio));
        match *name {
            "ffi" => {
                let libffi = &samples[2];
                let share = Interval::of(&paired(times, libffi, |time, libffi| time / libffi));
                aims.push((format!("call: share of ffi_call, {}", row.title), share, row.plans));
            }
            "closure" => {
                let more = Interval::of(&paired(times, &samples[0], |time, c| time - c));
                aims.push((format!("closure: ns above C, {}", row.title), more, 8.0));
            }
            _ => {}
        }
    }
}

fn through_plan(row: &Row, plan: CallPlan, address: *const c_void) -> Loop {
    let mut call = Call::new(row);
    Box::new(move |turns| {
        for turn in 0..turns {
            call.next(turn);
            let result = call.result.as_mut_ptr().cast();
            // SAFETY: the function has the plan's prototype, and the values are of its types.
            unsafe { plan.call(address, &call.pointers, result) }.expect("it can be called");
        }
    })
}

fn through_libffi(row: &Row, address: *const c_void) -> Loop {
    let mut call = Call::new(row);
    let cif = (row.cif)();
    Box::new(move |turns| {
        for turn in 0..turns {
            call.next(turn);
            let function = low::CodePtr(address.cast_mut());
            // SAFETY: as above.
            unsafe {
                libffi::raw::ffi_call(
                    cif.as_raw_ptr(),
                    Some(*function.as_safe_fun()),
                    call.result.as_mut_ptr().cast(),
                    call.pointers.as_mut_ptr().cast(),
                );
            }
        }
    })
}

/// The loop of both without the call.
fn nothing(row: &Row) -> Loop {
    let mut call = Call::new(row);
    Box::new(move |turns| {
        for turn in 0..turns {
            call.next(turn);
            black_box(&mut call);
        }
    })
}

fn libffi_closure(row: &Row, callback: low::RawCallback) -> *const c_void {
    let cif = Box::leak(Box::new((row.cif)()));
    let (closure, code) = low::closure_alloc();
    let code = code.as_mut_ptr();
    // SAFETY: the description of the function lives for ever, and so does the closure.
    let status = unsafe {
        let cif = cif.as_raw_ptr();
        libffi::raw::ffi_prep_closure_loc(closure, cif, Some(callback), std::ptr::null_mut(), code)
    };
    assert_eq!(status, libffi::raw::ffi_status_FFI_OK);
    code
}

fn show(Interval { low, median, high }: Interval) -> String {
    format!("{median:.2} [{low:.2}, {high:.2}]")
}
