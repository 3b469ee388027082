//! Differential test: random nested structures behind pointers, through callees compiled by gcc that
//! walk, change and report them; in the interpreter, and by the plan's trampoline.
//!
//! Each case is a type (`types`), random data of it in a guest's memory, and what a model that was
//! written apart (`model`) says of it: the digest that C must report, and every byte of the memory
//! afterwards, padding included. `PORTCULLIS_SEED` chooses others.
#![expect(unsafe_code, reason = "plans are run over memory of the test, the library is called")]
mod model;
#[path = "../support/native.rs"]
mod native;
#[path = "../support/rng.rs"]
#[expect(dead_code, reason = "other tests use more of it")]
mod rng;
mod types;

use libloading::Library;
use model::{Model, answer};
#[cfg(feature = "cranelift")]
use portcullis::cranelift_backend::Trampoline;
use portcullis::plan::abi::Abi;
use portcullis::plan::compile::{Target, compile};
use portcullis::plan::frame::GuestSlot;
use portcullis::plan::handles::{HandleType, Loan};
use portcullis::plan::interpret::callback::{Closure, Function, enter_any};
use portcullis::plan::interpret::{Guest, GuestStopped, Stop, run};
use portcullis::plan::layout::DataModel;
use portcullis::plan::{
    Binding, Callback, CallbackProblem, HandleTypes, Limits, Plan, Problem, StoreBlock,
};
use portcullis::signature::{Record, Scope, parse_prototype};
use rng::Rng;
use std::cell::Cell;
use std::ffi::c_void;
use std::fmt::Write as _;
use std::ptr::NonNull;
use std::sync::Arc;
use types::{Field, Generator, Pointee, Scalar, Struct};

const BATCHES: u64 = 12;
const SIGNATURES: usize = 100;
const VALUES: usize = 12;
const MEMORY: usize = 1 << 17;

struct OneType;
impl HandleTypes for OneType {
    fn number(&self, _: &Record) -> HandleType {
        HandleType(1)
    }
}

/// A guest of four functions, which are known by their table indices. It has no allocator: no case
/// needs one.
#[derive(Default)]
struct Functions {
    closures: Vec<((u64, *const Plan), NonNull<Closure>)>,
    calls: u64,
}

impl Drop for Functions {
    fn drop(&mut self) {
        for (_, closure) in &self.closures {
            // SAFETY: made in `closure`, and native code has returned.
            unsafe { Closure::retire(*closure) };
        }
    }
}

unsafe fn free_nothing(_: *const c_void) {}

impl Guest for Functions {
    fn closure(
        &mut self,
        index: u64,
        callback: &Callback,
        binding: &Binding,
    ) -> Result<NonNull<Closure>, Problem> {
        let key = (index, Arc::as_ptr(&callback.plan));
        if let Some((_, known)) = self.closures.iter().find(|(other, _)| *other == key) {
            return Ok(*known);
        }
        if index > 4 {
            return Err(Problem::Callback(Box::new(CallbackProblem::NoFunction { index })));
        }
        let function = Function {
            function: std::ptr::without_provenance(usize::try_from(index).expect("small")),
            free: free_nothing,
            binding: Binding {
                target: std::ptr::null(),
                store: binding.store,
                memory_base: Cell::new(binding.memory_base.get()),
                memory_len: Cell::new(binding.memory_len.get()),
                callees: std::ptr::null(),
                instance: 0,
                errno: Cell::new(0),
            },
            may_move: false,
            enter: enter_any,
            typing: None,
        };
        // SAFETY: the plan was verified with that of the call; the store lives longer than this.
        let made = unsafe { Closure::new(callback, function) }.expect("there are stubs");
        self.closures.push((key, made));
        Ok(made)
    }
    unsafe fn enter(
        &mut self,
        function: *const c_void,
        slots: *mut GuestSlot,
        _: usize,
    ) -> Result<(), GuestStopped> {
        self.calls += 1;
        // SAFETY: the caller has two slots, both written.
        unsafe {
            let (user, x) = ((*slots).low as u32, (*slots.add(1)).low as i32);
            (*slots).low = answer(function.addr() as u64, user, x).cast_unsigned().into();
        }
        Ok(())
    }

    fn refresh(&mut self, _: &Binding) {}
    fn allocate(&mut self, _: u64, _: u32) -> Result<u64, GuestStopped> {
        Err(GuestStopped)
    }
    fn release(&mut self, _: Loan) -> Result<(), GuestStopped> {
        Err(GuestStopped)
    }
    fn static_copy(&mut self, _: usize) -> Result<Option<(u64, u64)>, Problem> {
        Ok(None)
    }
    fn keep_static_copy(&mut self, _: usize, _: u64, _: u64) {}
}

struct Case {
    ty: Struct,
    constant: bool,
    counted: bool,
    text: String,
}

impl Case {
    fn new(rng: &mut Rng, next: &mut usize, number: usize) -> Case {
        let mut generator = Generator { rng, next: *next };
        let mut ty = generator.structure(4);
        // Most cases have all that leads to no data.
        if !number.is_multiple_of(16) {
            generator.enrich(&mut ty);
        }
        *next = generator.next;
        let (constant, counted) = (rng.chance(1, 3), rng.chance(1, 3));
        let (count, reach) = if counted { (", int n", "__counted_by(n) ") } else { ("", "") };
        let quals = if constant { "const " } else { "" };
        let text = format!("uint64_t c{number}({quals}{} *{reach}p{count})", ty.text());
        Case { ty, constant, counted, text }
    }

    fn calls_back(&self) -> bool {
        let function = |field: &Field| matches!(field, Field::Function { .. } | Field::Functions);
        self.ty.count(&function) > 0
    }

    fn plan(&self, model: DataModel) -> Plan {
        let scope = Scope::default();
        let prototype = parse_prototype(&self.text, &scope);
        let prototype = prototype.unwrap_or_else(|error| panic!("{}\n{error}", self.text));
        let target = Target {
            model,
            abi: Abi::SysvX86_64,
            leaf: !self.calls_back(),
            scope: &scope,
            import: None,
            handle_types: &OneType,
            grants: &|_| None,
        };
        let plan = compile(&Arc::new(prototype), &target);
        plan.unwrap_or_else(|error| panic!("{}\n{error}", self.text))
    }
}

const PRELUDE: &str = r#"
#include <stdint.h>
#include <stdbool.h>
#include <string.h>
#include <ctype.h>
#define __counted_by(n)
#define __null_terminated
#define __single
#define _Nullable
#define _In_
#define __cookie
#define __closure(f)
unsigned things[3] = { 11, 22, 33 };
struct thing;
static struct thing *const other = (struct thing *)&things[2];
static uint64_t mix(uint64_t h, uint64_t v) {
    h = (h ^ v) * 0x100000001b3;
    return h << 7 | h >> 57;
}
static uint64_t bits32(const float *f) { uint32_t b; memcpy(&b, f, 4); return b; }
static uint64_t bits64(const double *d) { uint64_t b; memcpy(&b, d, 8); return b; }
static uint64_t text(uint64_t h, char *s, int w) {
    for (; *s; s++) { h = mix(h, (unsigned char)*s); if (w) *s = toupper(*s); }
    return mix(h, 3);
}
"#;

fn source(cases: &[Case]) -> String {
    let mut text = PRELUDE.to_owned();
    for (number, case) in cases.iter().enumerate() {
        let _ = writeln!(text, "{};", case.ty.text());
        case.ty.walker(&mut text);
        let (s, w) = (case.ty.number, u8::from(!case.constant));
        let body = if case.counted {
            format!("for (int i = 0; i < n; i++) h = w{s}((struct s{s} *)p + i, {w}, h);")
        } else {
            format!("h = w{s}((struct s{s} *)p, {w}, h);")
        };
        let params = if case.counted { "const void *p, int n" } else { "const void *p" };
        let _ =
            writeln!(text, "uint64_t c{number}({params}) {{ uint64_t h = 5; {body} return h; }}");
    }
    text
}

#[derive(Debug, Default)]
struct Coverage {
    cases: usize,
    wide: usize,
    counted: usize,
    constant: usize,
    deep: usize,
    strings: usize,
    arrays_of_strings: usize,
    handles: usize,
    structs: usize,
    in_place: usize,
    bools: usize,
    functions: usize,
    cookies: usize,
    /// Cases with functions, cookies and handles.
    whole: usize,
    leaves: usize,
    calls: u64,
}

impl Coverage {
    fn add(&mut self, case: &Case, wide: bool) {
        let to = |wanted: fn(&Pointee) -> bool| {
            case.ty.count(&|field| matches!(field, Field::Pointer { to, .. } if wanted(to)))
        };
        self.cases += 1;
        self.wide += usize::from(wide);
        self.counted += usize::from(case.counted);
        self.constant += usize::from(case.constant);
        self.deep += usize::from(case.ty.depth() >= 4);
        self.strings += to(|to| matches!(to, Pointee::Text));
        self.arrays_of_strings += to(|to| matches!(to, Pointee::Texts));
        self.structs += to(|to| matches!(to, Pointee::Structs(_)));
        self.in_place += to(|to| matches!(to, Pointee::Scalars(Scalar::U8 | Scalar::I32)));
        let handles = |field: &Field| matches!(field, Field::Handle | Field::Handles);
        let cookies = |field: &Field| matches!(field, Field::Cookie { .. } | Field::Cookies);
        let functions = |field: &Field| matches!(field, Field::Function { .. } | Field::Functions);
        let found = [case.ty.count(&handles), case.ty.count(&cookies), case.ty.count(&functions)];
        self.handles += found[0];
        self.cookies += found[1];
        self.functions += found[2];
        self.whole += usize::from(found.iter().all(|count| *count > 0));
        self.leaves += usize::from(!case.calls_back());
        self.bools += case.ty.count(&|field| matches!(field, Field::Scalar(Scalar::Bool)));
    }
}

/// One call with random data; what differs from what the model says.
fn try_case(
    case: &Case,
    plan: &Plan,
    trampoline: Option<&Trampoline>,
    target: *const c_void,
    things: *mut u32,
    rng: &mut Rng,
) -> Result<u64, String> {
    let store = Box::new(StoreBlock::new(Limits::default()));
    let handle = |index: usize| {
        let object = things.wrapping_add(index).cast();
        let made = store.with_handles(|table| {
            table.adopt(object, HandleType(1), false, None, std::ptr::null())
        });
        made.expect("there is room")
    };
    let handles = vec![(handle(0), 11), (handle(1), 22)];
    let other = handle(2);
    let mut model = Model {
        rng,
        word: if plan.facts.wide { 8 } else { 4 },
        before: vec![0xa5; MEMORY],
        after: vec![0xa5; MEMORY],
        next: 64,
        digest: 5,
        handles,
        other,
        cookie: None,
        calls: 0,
    };
    let (size, align) = model.extent(&case.ty);
    let elements = if case.counted { model.rng.below(4) } else { 1 };
    let at = model.next.next_multiple_of(align);
    model.next = at + elements * size;
    for index in 0..elements {
        model.structure(&case.ty, at + index * size, !case.constant);
    }
    let Model { before, after, digest, calls, .. } = model;
    let seen = Seen { target, arguments: [at, elements], before, after, digest, calls };
    seen.check(plan, &store, &mut |binding, slots, guest| {
        // SAFETY: the plan was verified, the function is the one of its prototype, the memory is the
        // test's.
        unsafe { run(plan, binding, slots, guest) }
    })?;
    if let Some(trampoline) = trampoline {
        let entered = seen.check(plan, &store, &mut |binding, slots, guest| {
            // SAFETY: likewise; the trampoline was made of the plan.
            unsafe { trampoline.run(plan, binding, slots, guest) }
        });
        entered.map_err(|difference| format!("its trampoline: {difference}"))?;
    }
    Ok(calls)
}

/// What a call must do.
struct Seen {
    target: *const c_void,
    arguments: [usize; 2],
    before: Vec<u8>,
    after: Vec<u8>,
    digest: u64,
    calls: u64,
}

type Way<'w> = &'w mut dyn FnMut(&Binding, *mut GuestSlot, &mut Functions) -> Result<(), Box<Stop>>;

impl Seen {
    /// Makes the call; what is not as it must be.
    fn check(&self, plan: &Plan, store: &StoreBlock, call: Way<'_>) -> Result<(), String> {
        // As aligned as a memory's start is.
        let mut memory = vec![0_u128; MEMORY / 16];
        let start = memory.as_mut_ptr().cast::<u8>();
        // SAFETY: both are that large.
        unsafe { start.copy_from_nonoverlapping(self.before.as_ptr(), MEMORY) };
        let binding = Binding {
            target: self.target,
            store: &raw const *store,
            memory_base: Cell::new(start),
            memory_len: Cell::new(MEMORY as u64),
            callees: [].as_ptr(),
            instance: 0,
            errno: Cell::new(0),
        };
        let low = |value: usize| GuestSlot { low: value as u64, high: 0 };
        let mut slots = self.arguments.map(low);
        assert!(slots.len() >= plan.lowering.params.len());
        let mut guest = Functions::default();
        let done = call(&binding, slots.as_mut_ptr(), &mut guest);
        if let Err(stop) = done {
            return Err(match *stop {
                Stop::Error { problem, .. } => problem.to_string(),
                Stop::Guest => "guest code ran".to_owned(),
            });
        }
        if slots[0].low != self.digest {
            return Err(format!("C saw {:#x}, not {:#x}", slots[0].low, self.digest));
        }
        // SAFETY: the memory is that large, and native code has returned.
        let found = unsafe { std::slice::from_raw_parts(start, MEMORY) };
        if guest.calls != self.calls {
            return Err(format!("C called the guest {} times, not {}", guest.calls, self.calls));
        }
        let Some(wrong) = (0..MEMORY).find(|at| found[*at] != self.after[*at]) else {
            return Ok(());
        };
        let near = wrong & !7..(wrong & !7) + 16;
        Err(format!(
            "at {wrong:#x}: {:02x?}, not {:02x?}, was {:02x?}",
            &found[near.clone()],
            &self.after[near.clone()],
            &self.before[near]
        ))
    }
}

/// Machine code for the plan, where there is any.
#[cfg(feature = "cranelift")]
fn trampoline(plan: &Plan) -> Option<Trampoline> {
    Some(Trampoline::compile(plan).unwrap_or_else(|why| panic!("{}: {why}", plan.prototype)))
}

#[cfg(not(feature = "cranelift"))]
struct Trampoline;

#[cfg(not(feature = "cranelift"))]
fn trampoline(_: &Plan) -> Option<Trampoline> {
    None
}

#[cfg(not(feature = "cranelift"))]
impl Trampoline {
    unsafe fn run(
        &self,
        _: &Plan,
        _: &Binding,
        _: *mut GuestSlot,
        _: &mut dyn Guest,
    ) -> Result<(), Box<Stop>> {
        Ok(())
    }
}

/// Tries batches of so many signatures, each with so many values.
fn try_batches(batches: u64, signatures: usize, values: usize) -> Coverage {
    let seed = rng::seed(1);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut coverage = Coverage::default();
    let mut wrong = 0;
    for batch in 0..batches {
        let mut rng = Rng::new(seed.wrapping_mul(1000) + batch);
        let mut next = 0;
        let cases: Vec<Case> =
            (0..signatures).map(|number| Case::new(&mut rng, &mut next, number)).collect();
        let name = format!("libdeep{batch}.so");
        let path = native::compile(folder.path(), &name, &source(&cases), &["-O0"]);
        // SAFETY: it has no constructors.
        let library = unsafe { Library::new(&path) }.unwrap_or_else(|error| panic!("{error}"));
        let symbol = |name: &str| {
            // SAFETY: only the address is taken.
            unsafe { *library.get::<*mut c_void>(name).expect("it is defined") }
        };
        let things = symbol("things").cast::<u32>();
        for (number, case) in cases.iter().enumerate() {
            let target = symbol(&format!("c{number}"));
            for model in [DataModel::Ilp32, DataModel::Lp64] {
                let plan = case.plan(model);
                let code = trampoline(&plan);
                for _ in 0..values {
                    coverage.add(case, model == DataModel::Lp64);
                    let tried = try_case(case, &plan, code.as_ref(), target, things, &mut rng);
                    match tried {
                        Ok(calls) => coverage.calls += calls,
                        Err(difference) => {
                            wrong += 1;
                            println!("{model:?} {}\n    {difference}", case.text);
                            break;
                        }
                    }
                }
                assert!(wrong < 5, "{wrong} cases differ");
            }
        }
    }
    println!("{coverage:?}");
    assert_eq!(wrong, 0);
    coverage
}

/// A handful, for tools under which everything takes a hundred times as long.
#[test]
fn a_few_cases() {
    let coverage = try_batches(1, 15, 3);
    assert!(coverage.whole >= 20 && coverage.wide >= 10, "{coverage:?}");
}

#[test]
fn c_sees_and_leaves_what_the_model_says() {
    let coverage = try_batches(BATCHES, SIGNATURES, VALUES);
    assert!(coverage.whole >= 20_000 && coverage.wide >= 10_000, "{coverage:?}");
    assert!(coverage.calls >= 20_000, "{coverage:?}");
    for (what, count) in [
        ("counted", coverage.counted),
        ("constant", coverage.constant),
        ("four pointers deep", coverage.deep),
        ("strings", coverage.strings),
        ("arrays of strings", coverage.arrays_of_strings),
        ("handles", coverage.handles),
        ("counted structs", coverage.structs),
        ("buffers in place", coverage.in_place),
        ("bool", coverage.bools),
        ("functions", coverage.functions),
        ("cookies", coverage.cookies),
        ("leaves", coverage.leaves),
    ] {
        assert!(count >= 1_000, "only {count} {what}");
    }
}
