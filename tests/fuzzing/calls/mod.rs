//! Whole calls: a random function, called by a guest on every tier, against the model of `tests/differential`,
//! which was written apart from the bridge.
//!
//! The function is a closure of libffi, which receives its arguments as the C ABI has them and knows nothing of
//! plans. Each case is called twice: as it was generated (the model says what must be received, what must be in the
//! guest's memory and how the call must end), and with arguments that are anything (all tiers must do the
//! same, to the text of the error).
use super::tally::count;
use crate::case::{ARGUMENTS, Batch, Case, MEMORY};
use crate::compare::compare;
use crate::generate;
use crate::model::{End, Wrong, expect};
use crate::rng::Rng;
use crate::text;
use portcullis::host::{Bridge, ImportStatus, Natives, Tier};
use portcullis::plan::{CallError, Problem, Subject};
use std::sync::OnceLock;
use wasmtime::{Config, Engine, Instance, Linker, Memory, Module, OptLevel, Store};

mod callee;

const TIERS: [Tier; 4] = [Tier::Interpreter, Tier::Template, Tier::Cranelift, Tier::Direct];
/// Functions in one guest: compiling it takes longer than calling it.
const CASES: usize = 3;

fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let mut config = Config::new();
        // The guests are calls and little else: nothing to optimise.
        config.cranelift_opt_level(OptLevel::None);
        Engine::new(&config).expect("a plain configuration")
    })
}

/// The target.
pub fn check(data: &[u8]) {
    let mut rng = Rng::from_bytes(data);
    let number = rng.below(8);
    let cases: Vec<Case> =
        (0..CASES).map(|at| generate::one(at, number % 4 == 3, &mut rng)).collect();
    let seed = rng.next();
    let image = (0..MEMORY).map(|at| (seed.wrapping_mul(at * 2 + 1) >> 40) as u8).collect();
    let mut batch = Batch { number, wide: number % 4 == 3, cases, image };
    // Arguments come from memory, so that the same guest passes others.
    for param in batch.cases.iter_mut().flat_map(|case| &mut case.params) {
        param.constant = false;
    }
    let guest =
        Module::new(engine(), text::guest(&batch)).unwrap_or_else(|error| panic!("{error:?}"));
    let callees: Vec<callee::Function> = batch.cases.iter().map(callee::Function::of).collect();
    let callees: Vec<callee::Callee<'_>> = callees.iter().map(callee::Callee::new).collect();
    let wild: Vec<Vec<u64>> = batch.cases.iter().map(|case| wild(case, &mut rng)).collect();
    let mut endings: Vec<Vec<Ending>> = vec![Vec::new(); batch.cases.len()];
    for tier in TIERS {
        let mut running = Running::new(&batch, &guest, &callees, tier);
        for (at, case) in batch.cases.iter().enumerate() {
            count(running.tiers[at]);
            modelled(&batch, case, &mut running, tier);
            let mut memory = batch.memory_before(case);
            for (position, bits) in wild[at].iter().enumerate() {
                let place = usize::try_from(ARGUMENTS).expect("small") + 8 * position;
                memory[place..place + 8].copy_from_slice(&bits.to_le_bytes());
            }
            endings[at].push(running.call(case, &memory));
        }
    }
    for (at, endings) in endings.iter().enumerate() {
        let what = || text::prototype(&batch.cases[at]);
        for (tier, ending) in TIERS.iter().zip(endings) {
            assert!(
                ending.told == endings[0].told,
                "{tier:?}: {:?} instead of {:?}: {}",
                ending.told,
                endings[0].told,
                what()
            );
            assert!(
                ending.memory == endings[0].memory,
                "{tier:?} leaves other guest memory: {}",
                what()
            );
            // Pointers of two guests differ.
            assert!(
                ending.calls == endings[0].calls && ending.log.len() == endings[0].log.len(),
                "{tier:?} passes something else: {}",
                what()
            );
        }
        count(if endings[0].told.is_none() {
            "wild calls that return"
        } else {
            "wild calls that fail"
        });
    }
}

/// Arguments that may be anything.
fn wild(case: &Case, rng: &mut Rng) -> Vec<u64> {
    let mut bits: Vec<u64> = case.params.iter().map(|param| param.bits).collect();
    for one in &mut bits {
        *one = match rng.below(8) {
            0 => rng.next(),
            1 => MEMORY - rng.next() % 64,
            2 => rng.next() % MEMORY,
            3 => one.wrapping_add(rng.next() % 16),
            4 => u64::from(u32::MAX) - rng.next() % 16,
            _ => *one,
        };
    }
    bits
}

/// How a call ended.
#[derive(Clone, Debug)]
struct Ending {
    /// The error's text, if there was one.
    told: Option<String>,
    error: Option<CallError>,
    memory: Vec<u8>,
    log: Vec<u8>,
    calls: usize,
}

struct Running {
    store: Store<Natives>,
    instance: Instance,
    memory: Memory,
    tiers: Vec<&'static str>,
}

impl Running {
    #[expect(unsafe_code, reason = "grants an interface and gives addresses")]
    fn new(batch: &Batch, guest: &Module, callees: &[callee::Callee<'_>], tier: Tier) -> Running {
        let builder = Bridge::builder(guest.engine()).max_tier(tier);
        // SAFETY: interface and callees are made from the same description; they touch what the annotations
        // say, and memory of their own. They live longer than the store.
        let builder = unsafe { builder.grant_interface("batch.h", &text::interface(batch)) };
        let mut builder = builder.unwrap_or_else(|error| panic!("{error}"));
        for (at, callee) in callees.iter().enumerate() {
            let name = format!("f{at}");
            // SAFETY: likewise.
            builder = unsafe { builder.symbol(&text::library(batch), &name, callee.address()) };
        }
        let bridge = builder.build().unwrap_or_else(|error| panic!("{error}"));
        let mut store = Store::new(guest.engine(), Natives::default());
        let linker = Linker::new(guest.engine());
        let instance = bridge.instantiate(&mut store, &linker, guest, |natives| natives);
        let instance = instance.unwrap_or_else(|error| panic!("{error:?}"));
        let memory = instance.get_memory(&mut store, "memory").expect("it is exported");
        let tiers = bridge.describe(guest).into_iter().map(|import| match import.status {
            ImportStatus::Native(functions) if functions.len() == 1 => match functions[0].tier {
                Tier::Interpreter => "interpreter",
                Tier::Template => "template",
                Tier::Cranelift => "cranelift",
                Tier::Direct => "direct",
            },
            other => panic!("{}: {other:?}", import.name),
        });
        Running { store, instance, memory, tiers: tiers.collect() }
    }

    fn call(&mut self, case: &Case, memory: &[u8]) -> Ending {
        callee::forget();
        self.memory.data_mut(&mut self.store).copy_from_slice(memory);
        let name = format!("c{}", case.number);
        let call = self.instance.get_typed_func::<(), ()>(&mut self.store, &name);
        let ended = call.expect("an export for each case").call(&mut self.store, ());
        let error = ended.err().map(|error| match error.downcast::<CallError>() {
            Ok(error) => error,
            Err(error) => panic!("no call error: {error:?}"),
        });
        let (log, calls) = callee::recorded();
        let memory = self.memory.data(&self.store).to_vec();
        Ending { told: error.as_ref().map(ToString::to_string), error, memory, log, calls }
    }
}

/// The call as it was generated does what the model says.
fn modelled(batch: &Batch, case: &Case, running: &mut Running, tier: Tier) {
    let expected = expect(batch, case);
    let base = running.memory.data_ptr(&running.store).addr();
    let ending = running.call(case, &batch.memory_before(case));
    let what =
        || format!("{tier:?}: {}\n{ending:?}\n{:?}\n{case:?}", text::prototype(case), expected.end);
    let calls = match expected.end {
        End::Returns => {
            assert!(ending.error.is_none(), "the call failed: {}", what());
            count("calls that return");
            1
        }
        End::Fails { subject, problem, called } => {
            let Some(CallError { subject: found, problem: why, called: did_run, .. }) =
                &ending.error
            else {
                panic!("the call did not fail: {}", what())
            };
            let about = match found {
                Subject::Parameter { number, .. } => *number == subject + 1,
                Subject::Result { .. } => subject == case.params.len(),
                Subject::Call | Subject::Data { .. } => false,
            };
            let right = matches!(
                (problem, why),
                (Wrong::Null, Problem::Null)
                    | (Wrong::OutOfBounds, Problem::OutOfBounds { .. })
                    | (Wrong::Misaligned, Problem::Misaligned { .. })
                    | (Wrong::Unterminated, Problem::Unterminated { .. })
                    | (Wrong::DoesNotFit, Problem::DoesNotFit { .. })
            );
            assert!(about && right && *did_run == called, "another error: {}", what());
            count("calls that fail");
            usize::from(called)
        }
    };
    assert!(ending.calls == calls, "the function ran {} times: {}", ending.calls, what());
    let size = usize::try_from(MEMORY).expect("one page");
    if let Err(difference) = compare(&ending.log, &expected.log, base, size) {
        panic!("{difference}: {}", what());
    }
    assert!(ending.memory == expected.memory, "other guest memory: {}", what());
}
