//! Whole calls: a random function, called by a guest on every tier, against the model of `tests/differential`,
//! which was written apart from the bridge.
//!
//! The function is a closure of libffi, which receives its arguments as the C ABI has them and knows nothing of
//! plans. It is called as it was generated (the model says what must be received, what must be in the guest's memory
//! and how the call must end), and then with arguments that are anything (both tiers must do the same, to the text of
//! the error).
//!
//! Nearly all of the time goes into compiling. So one input is one function, on the interpreter and on one of the
//! other tiers, which the input names; what has been made is called several times.
use super::tally::count;
use crate::case::{ARGUMENTS, Batch, Case, MEMORY};
use crate::compare::compare;
use crate::generate;
use crate::model::{End, expect};
use crate::rng::Rng;
use crate::text;
use portcullis::host::{Bridge, ImportStatus, Natives, Tier};
use portcullis::plan::{CallError, Subject};
use std::sync::OnceLock;
use wasmtime::{Config, Engine, Instance, Linker, Memory, Module, OptLevel, Store};

mod callee;

/// What is compared with the interpreter. The direct tier has more of its own than the others.
const TIERS: [Tier; 4] = [Tier::Direct, Tier::Cranelift, Tier::Template, Tier::Direct];
/// Calls with arguments that are anything.
const WILD: usize = 4;

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
    let (tier, number) = (*rng.pick(&TIERS), rng.below(12));
    let wide = number % 4 == 3;
    let mut case = generate::one(number, wide, &mut rng);
    // Arguments come from memory, so that the same guest passes others.
    for param in &mut case.params {
        param.constant = false;
    }
    let seed = rng.next();
    let image = (0..MEMORY).map(|at| (seed.wrapping_mul(at * 2 + 1) >> 40) as u8).collect();
    let batch = Batch { number, wide, cases: vec![case], image };
    let case = &batch.cases[0];
    let guest =
        Module::new(engine(), text::guest(&batch)).unwrap_or_else(|error| panic!("{error:?}"));
    let function = callee::Function::of(case);
    let callee = callee::Callee::new(&function);
    let memories: Vec<Vec<u8>> = (0..WILD)
        .map(|_| {
            let mut memory = batch.memory_before(case);
            for (position, bits) in wild(case, &mut rng).into_iter().enumerate() {
                let place = usize::try_from(ARGUMENTS).expect("small") + 8 * position;
                memory[place..place + 8].copy_from_slice(&bits.to_le_bytes());
            }
            memory
        })
        .collect();
    let [expected, endings] = [Tier::Interpreter, tier].map(|tier| {
        let mut running = Running::new(&batch, &guest, &callee, tier);
        count(running.tier);
        modelled(&batch, case, &mut running, tier);
        memories.iter().map(|memory| running.call(case, memory)).collect::<Vec<_>>()
    });
    for (expected, ending) in expected.iter().zip(&endings) {
        let what = || text::prototype(case);
        let (told, instead) = (&ending.told, &expected.told);
        assert!(told == instead, "{tier:?}: {told:?} instead of {instead:?}: {}", what());
        assert!(ending.memory == expected.memory, "{tier:?} leaves other memory: {}", what());
        // Pointers of two guests differ.
        assert!(
            ending.calls == expected.calls && ending.log.len() == expected.log.len(),
            "{tier:?} passes something else: {}",
            what()
        );
        count(if told.is_none() { "wild calls that return" } else { "wild calls that fail" });
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
    /// Which one the call goes through.
    tier: &'static str,
}

impl Running {
    #[expect(unsafe_code, reason = "grants an interface and gives addresses")]
    fn new(batch: &Batch, guest: &Module, callee: &callee::Callee<'_>, tier: Tier) -> Running {
        let builder = Bridge::builder(guest.engine()).max_tier(tier);
        // SAFETY: interface and callees are made from the same description; they touch what the annotations
        // say, and memory of their own. They live longer than the store.
        let builder = unsafe { builder.grant_interface("batch.h", &text::interface(batch)) };
        let builder = builder.unwrap_or_else(|error| panic!("{error}"));
        let (library, name) = (text::library(batch), format!("f{}", batch.cases[0].number));
        // SAFETY: likewise.
        let builder = unsafe { builder.symbol(&library, &name, callee.address()) };
        let bridge = builder.build().unwrap_or_else(|error| panic!("{error}"));
        let mut store = Store::new(guest.engine(), Natives::default());
        let linker = Linker::new(guest.engine());
        let instance = bridge.instantiate(&mut store, &linker, guest, |natives| natives);
        let instance = instance.unwrap_or_else(|error| panic!("{error:?}"));
        let memory = instance.get_memory(&mut store, "memory").expect("it is exported");
        let imports = bridge.describe(guest);
        let tier = match &imports[..] {
            [import] => match &import.status {
                ImportStatus::Native(functions) if functions.len() == 1 => {
                    match functions[0].tier {
                        Tier::Interpreter => "interpreter",
                        Tier::Template => "template",
                        Tier::Cranelift => "cranelift",
                        Tier::Direct => "direct",
                    }
                }
                other => panic!("{}: {other:?}", import.name),
            },
            other => panic!("{} imports", other.len()),
        };
        Running { store, instance, memory, tier }
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
    let what = || {
        format!(
            "{tier:?}: {}\n{:?}\n{:?}\n{case:?}",
            text::prototype(case),
            ending.error,
            expected.end
        )
    };
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
            assert!(about && problem.is(why) && *did_run == called, "another error: {}", what());
            count("calls that fail");
            usize::from(called)
        }
    };
    assert!(ending.calls == calls, "the function ran {} times: {}", ending.calls, what());
    let size = usize::try_from(MEMORY).expect("one page");
    if let Err(difference) = compare(&ending.log, &expected.log, base, size) {
        panic!("{difference}: {}", what());
    }
    let other =
        ending.memory.iter().zip(&expected.memory).enumerate().find(|(_, (is, was))| is != was);
    if let Some((at, (is, was))) = other {
        panic!("the guest's memory at {at} is {is}, not {was}: {}", what());
    }
}
