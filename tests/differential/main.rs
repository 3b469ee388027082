//! Random functions, compiled by gcc, called from wasm guests: every engine must pass to them, and
//! bring back, exactly what a model says that was written apart from all of them.
//!
//! ```text
//! generate ── case ──┬── text    interface, C source, guest
//!                    └── model   what the function must receive, what the guest must find
//! engine  runs the guest's call; recorder reads what gcc's code received; this file compares
//! ```
//!
//! Functions have 0 to 20 parameters: scalars of every width with garbage above narrow ones, sized
//! buffers, pointers to single scalars that widen and narrow, strings. One call in ten has
//! something wrong with it: it must fail, with the right error, before or after the function ran.
#![expect(unsafe_code, reason = "grants interfaces and reads the log of a C library")]
use case::{Batch, Case, Fault, Kind, MEMORY, MOST_PARAMS, Returned, SCALARS};
use engine::{BridgeTier, Engine, Failure};
use model::{End, Expectation, expect};
use portcullis::host::Tier;
use portcullis::plan::{CallError, Subject};
use recorder::Recorder;
use rng::Rng;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use wasmtime::{Config, Module, OptLevel};

mod case;
mod compare;
mod engine;
mod generate;
mod model;
#[path = "../support/native.rs"]
mod native;
#[cfg(feature = "cranelift")]
#[path = "../support/places.rs"]
mod places;
mod recorder;
#[path = "../support/rng.rs"]
mod rng;
mod text;

/// Functions: batches of so many, and how many batches.
const BATCH: usize = 500;
const BATCHES: usize = 21;
/// gcc and wasmtime use a core each.
const THREADS: usize = 2;

static ENGINES: [&dyn Engine; 5] = [
    &BridgeTier { tier: Tier::Interpreter, floor: 100, straight: false },
    &BridgeTier { tier: Tier::Template, floor: 10, straight: false },
    &BridgeTier { tier: Tier::Cranelift, floor: compiled(100), straight: false },
    // Declined are the few that copy a string.
    &BridgeTier { tier: Tier::Direct, floor: compiled(99), straight: false },
    &BridgeTier { tier: Tier::Direct, floor: compiled(20), straight: true },
];

/// As many as that, if there is code at all.
const fn compiled(percent: usize) -> usize {
    if cfg!(feature = "cranelift") { percent } else { 0 }
}

/// What the cases of a run were about, so that the test says what it has tried.
#[derive(Default, Debug)]
struct Coverage {
    cases: usize,
    /// Cases by the number of parameters.
    params: [usize; MOST_PARAMS + 1],
    /// Parameters, results and pointees of each scalar type.
    spelled: BTreeMap<&'static str, usize>,
    /// Cases with arguments on the stack.
    spilled: usize,
    /// Pointers that widen and narrow.
    cells: usize,
    /// Strings that the function writes to.
    mutable_texts: usize,
    /// Calls that must fail, by what is wrong.
    faults: BTreeMap<&'static str, usize>,
    /// Cases by the engine that ran them.
    taken: BTreeMap<&'static str, usize>,
}

#[test]
fn guests_and_gcc_agree_on_random_functions() {
    let seed = rng::seed(0x506f_7274_6375_6c6c);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut config = Config::new();
    // The guests are calls and little else: nothing to optimise.
    config.cranelift_opt_level(OptLevel::None);
    let engine = wasmtime::Engine::new(&config).expect("a plain configuration");
    let coverage = Mutex::new(Coverage::default());
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= BATCHES {
                        return;
                    }
                    let offset = u64::try_from(number).expect("few") << 32;
                    let mut rng = Rng::new(seed.wrapping_add(offset));
                    let batch = generate::batch(number, BATCH, &mut rng);
                    run(&batch, &engine, folder.path(), &coverage);
                }
            });
        }
    });
    let coverage = coverage.into_inner().expect("no thread has panicked");
    println!("{coverage:#?}");
    check_coverage(&coverage);
}

/// Where compiled code puts every value, for the same functions.
#[cfg(feature = "cranelift")]
#[test]
fn compiled_code_passes_every_value_where_the_abi_wants_it() {
    use portcullis::plan::abi::Abi;
    use portcullis::plan::compile::{Target, compile};
    use portcullis::plan::handles::HandleType;
    use portcullis::plan::layout::DataModel;
    use portcullis::signature::parse_interface;
    struct NoTypes;
    impl portcullis::plan::HandleTypes for NoTypes {
        fn number(&self, _: &portcullis::signature::Record) -> HandleType {
            HandleType(0)
        }
    }
    let seed = rng::seed(0x506f_7274_6375_6c6c);
    let mut places = places::Places::default();
    for number in 0..BATCHES {
        let offset = u64::try_from(number).expect("few") << 32;
        let batch = generate::batch(number, BATCH, &mut Rng::new(seed.wrapping_add(offset)));
        let interface = parse_interface("batch.h", &text::interface(&batch));
        let interface = interface.unwrap_or_else(|error| panic!("{error}"));
        for grant in &interface.grants {
            let target = Target {
                model: if batch.wide { DataModel::Lp64 } else { DataModel::Ilp32 },
                abi: Abi::SysvX86_64,
                leaf: grant.leaf,
                scope: &interface.scope,
                import: None,
                handle_types: &NoTypes,
                grants: &|_| None,
            };
            let plan = compile(&grant.prototype, &target);
            let plan = plan.unwrap_or_else(|error| panic!("{}: {error}", grant.prototype));
            places.check(&plan, &grant.prototype.function, &interface.scope);
        }
    }
    println!("{} plans, {} signatures tried", places.plans, places.tried.len());
    assert!(places.plans >= 10_000 && places.tried.len() >= 300, "{}", places.tried.len());
    // Those whose floats are behind three dots are called by the interpreter's stub.
    assert!(places.declined.keys().all(|why| why.contains("stub")), "{:?}", places.declined);
}

/// Runs one batch on every engine.
fn run(batch: &Batch, engine: &wasmtime::Engine, folder: &Path, coverage: &Mutex<Coverage>) {
    // Two kinds of callees: those that keep arguments in registers, and those that store them first.
    let level = if batch.number.is_multiple_of(2) { "-O1" } else { "-O0" };
    let library = native::compile(folder, &text::library(batch), &text::c(batch), &[level]);
    let guest = Module::new(engine, text::guest(batch)).unwrap_or_else(|error| panic!("{error:?}"));
    let recorder = Recorder::open(&library);
    let mut taken = BTreeMap::new();
    for engine in ENGINES {
        let mut running = engine.instantiate(batch, &guest, &library);
        let base = running.base();
        for case in batch.cases.iter().filter(|case| running.takes(case)).collect::<Vec<_>>() {
            *taken.entry(engine.name()).or_insert(0) += 1;
            let expected = expect(batch, case);
            recorder.reset();
            let (memory, ended) = running.call(case, &batch.memory_before(case));
            let right = check_end(case, &expected, &ended)
                .and_then(|()| check_calls(&expected, &recorder))
                .and_then(|()| {
                    let size = usize::try_from(MEMORY).expect("one page");
                    compare::compare(&recorder.log(), &expected.log, base, size)
                })
                .and_then(|()| check_memory(&expected.memory, &memory));
            if let Err(difference) = right {
                panic!(
                    "{}, batch {}{}: {}\n{difference}\nended: {ended:?}\nexpected: {:?}\n{case:?}",
                    engine.name(),
                    batch.number,
                    if batch.wide { " (64-bit memory)" } else { "" },
                    text::prototype(case),
                    expected.end,
                );
            }
        }
    }
    let mut coverage = coverage.lock().expect("no thread has panicked");
    for (engine, cases) in taken {
        *coverage.taken.entry(engine).or_default() += cases;
    }
    batch.cases.iter().for_each(|case| coverage.count(batch, case));
}

fn check_end(
    case: &Case,
    expected: &Expectation,
    ended: &Result<(), Failure>,
) -> Result<(), String> {
    let (subject, problem, called) = match (expected.end, ended) {
        (End::Returns, Ok(())) => return Ok(()),
        (End::Returns, Err(_)) => return Err("the call failed".to_owned()),
        (End::Fails { subject, problem, called }, _) => (subject, problem, called),
    };
    let error = match ended {
        Err(Failure::Call(error)) => error,
        Err(Failure::Other(other)) => return Err(format!("it is no call error: {other}")),
        Ok(()) => return Err("the call did not fail".to_owned()),
    };
    let CallError { import, subject: found, problem: why, called: did_run } = error;
    if !import.ends_with(&format!(".f{}", case.number)) {
        return Err(format!("the error is about `{import}`"));
    }
    let right_subject = match found {
        Subject::Parameter { number, name, .. } => {
            *number == subject + 1 && *name == Some(format!("a{subject}"))
        }
        Subject::Result { .. } => subject == case.params.len(),
        Subject::Call | Subject::Data { .. } => false,
    };
    if !right_subject {
        return Err(format!("the error is about {found:?}"));
    }
    if !problem.is(why) || *did_run != called {
        return Err(format!("the error says {why:?}, called: {did_run}"));
    }
    Ok(())
}

fn check_calls(expected: &Expectation, recorder: &Recorder) -> Result<(), String> {
    let wanted = match expected.end {
        End::Returns | End::Fails { called: true, .. } => 1,
        End::Fails { called: false, .. } => 0,
    };
    match recorder.calls() {
        calls if calls == wanted => Ok(()),
        calls => Err(format!("the function ran {calls} times instead of {wanted}")),
    }
}

fn check_memory(expected: &[u8], found: &[u8]) -> Result<(), String> {
    if expected == found {
        return Ok(());
    }
    let at = expected.iter().zip(found).position(|(a, b)| a != b).unwrap_or(expected.len());
    let end = (at + 16).min(expected.len());
    Err(format!(
        "guest memory differs at {at}: {:?} instead of {:?}",
        &found[at..end],
        &expected[at..end]
    ))
}

impl Coverage {
    fn count(&mut self, batch: &Batch, case: &Case) {
        self.cases += 1;
        self.params[case.params.len()] += 1;
        let (mut integers, mut vectors) = (0, 0);
        for param in &case.params {
            let ty = match &param.kind {
                Kind::Scalar { ty, .. } | Kind::Single { ty, .. } => Some(*ty),
                Kind::Buffer { element, .. } => *element,
                Kind::Text { .. } => None,
            };
            if let Some(ty) = ty {
                *self.spelled.entry(ty.spelling).or_default() += 1;
            }
            let floating =
                !param.kind.is_pointer() && matches!(param.wasm, case::Wasm::F32 | case::Wasm::F64);
            *(if floating { &mut vectors } else { &mut integers }) += 1;
            self.mutable_texts +=
                usize::from(matches!(param.kind, Kind::Text { mutable: true, .. }));
            self.cells += usize::from(
                matches!(param.kind, Kind::Single { .. }) && !param.kind.is_in_place(batch.wide),
            );
        }
        if let Returned::Scalar { ty, .. } = case.result {
            *self.spelled.entry(ty.spelling).or_default() += 1;
        }
        self.spilled += usize::from(integers > 6 || vectors > 8);
        let fault = match case.fault {
            None => return,
            Some(Fault::Null(_)) => "null",
            Some(Fault::PastEnd(_)) => "past the end",
            Some(Fault::Misaligned(_)) => "misaligned",
            Some(Fault::Unterminated(_)) => "unterminated",
            Some(Fault::CellTooLarge(_)) => "cell too large",
            Some(Fault::ResultTooLarge) => "result too large",
        };
        *self.faults.entry(fault).or_default() += 1;
    }
}

/// Ten thousand cases that are all alike would prove little.
fn check_coverage(coverage: &Coverage) {
    assert!(coverage.cases >= 10_000);
    for (params, cases) in coverage.params.iter().enumerate() {
        assert!(*cases >= 100, "only {cases} functions have {params} parameters");
    }
    for scalar in SCALARS {
        let uses = coverage.spelled.get(scalar.spelling).copied().unwrap_or_default();
        assert!(uses >= 100, "only {uses} uses of `{}`", scalar.spelling);
    }
    assert!(coverage.spilled >= 3_000, "arguments on the stack");
    assert!(coverage.cells >= 2_000, "pointers that widen");
    assert!(coverage.mutable_texts >= 100, "strings that are written to");
    let all = [
        "null",
        "past the end",
        "misaligned",
        "unterminated",
        "cell too large",
        "result too large",
    ];
    for fault in all {
        let calls = coverage.faults.get(fault).copied().unwrap_or_default();
        assert!(calls >= 20, "only {calls} calls with the fault `{fault}`");
    }
    for engine in ENGINES {
        let taken = coverage.taken.get(engine.name()).copied().unwrap_or_default();
        let floor = engine.floor(coverage.cases);
        assert!(taken >= floor, "{} ran only {taken} cases of {floor}", engine.name());
    }
}
