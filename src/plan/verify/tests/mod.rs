//! Plans of the compiler are accepted; plans that were tampered with are refused.
use super::*;
use crate::plan::disassemble::disassemble;
use harmless::same_effect;
use mutate::mutants;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(in crate::plan) mod corpus;
mod harmless;
mod in_place;
mod mutate;

#[test]
fn what_the_compiler_makes_is_accepted() {
    let plans = corpus::plans();
    assert!(plans.len() >= 200, "only {}", plans.len());
    for (text, plan, abi) in &plans {
        if let Err(error) = verify(plan, *abi) {
            panic!("{text}: {error}\n{plan:#?}");
        }
    }
}

/// What became of mutants.
#[derive(Debug, Default)]
struct Tally {
    refused: BTreeMap<&'static str, usize>,
    harmless: BTreeMap<&'static str, usize>,
}

impl Tally {
    /// Verifies a mutant. One that is accepted must do what the original does.
    fn take(&mut self, original: &Plan, class: &'static str, mutant: &Plan, abi: Abi) {
        let accepted = verify(mutant, abi).and_then(|()| verify_drops(mutant, corpus::scope()));
        match accepted {
            Err(_) => *self.refused.entry(class).or_default() += 1,
            Ok(()) if same_effect(original, mutant) => {
                *self.harmless.entry(class).or_default() += 1;
            }
            Ok(()) => panic!(
                "accepted ({class}):\n{}\ninstead of\n{}",
                disassemble(mutant, abi),
                disassemble(original, abi)
            ),
        }
    }
}

impl Tally {
    fn counts(&self) -> (usize, usize) {
        (self.refused.values().sum(), self.harmless.values().sum())
    }
}

#[test]
fn every_single_change_is_refused_or_harmless() {
    let mut tally = Tally::default();
    for (_, plan, abi) in corpus::plans() {
        for (class, mutant) in mutants(&plan) {
            tally.take(&plan, class, &mutant, abi);
        }
    }
    let (refused, harmless) = tally.counts();
    assert!(refused >= 90_000, "only {refused} refused");
    assert!(harmless <= refused / 20, "{harmless} of {refused} are harmless: {tally:#?}");
    assert!(tally.refused.len() >= 45, "a way of tampering is gone: {tally:#?}");
    // What no change is harmless in: where C would see other values, or other memory.
    for class in ["conversion", "count", "size", "align", "null", "operand", "width", "owner"] {
        assert!(!tally.harmless.contains_key(class), "{class}: {tally:#?}");
        assert!(tally.refused[class] >= 250, "{class}: {tally:#?}");
    }
}

#[test]
fn several_changes_at_once_are_refused_or_harmless() {
    let plans = corpus::plans();
    let tally = std::cell::RefCell::new(Tally::default());
    let changes = proptest::collection::vec(0_usize..1 << 30, 2..5);
    let config = Config { cases: 2500, failure_persistence: None, ..Config::default() };
    let mut runner =
        TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let done = runner.run(&(0..plans.len(), changes), |(plan, changes)| {
        let (_, original, abi) = &plans[plan];
        let (mut mutant, mut class) = (original.clone(), "");
        for change in changes {
            let mut all = mutants(&mutant);
            (class, mutant) = all.swap_remove(change % all.len());
        }
        tally.borrow_mut().take(original, class, &mutant, *abi);
        Ok(())
    });
    done.unwrap_or_else(|error| panic!("{error}"));
    let (refused, harmless) = tally.borrow().counts();
    assert!(refused >= 2400 && harmless >= 1, "{refused} refused, {harmless} harmless");
}

#[test]
fn a_plan_is_for_its_own_prototype_only() {
    let plans = corpus::plans();
    let mut pairs = 0;
    for (text, plan, abi) in &plans[..corpus::PROTOTYPES.len()] {
        for (other, source, _) in &plans[..corpus::PROTOTYPES.len()] {
            let mutant = Plan { prototype: Arc::clone(&source.prototype), ..plan.clone() };
            assert_eq!(verify(&mutant, *abi).is_ok(), text == other, "{text} as {other}");
            pairs += 1;
        }
    }
    assert!(pairs >= 800);
    let mut variadic = plans[0].1.clone();
    Arc::make_mut(&mut variadic.prototype).function.variadic =
        Variadic::Untyped(crate::signature::Span::default());
    let error = verify(&variadic, plans[0].2).expect_err("nobody knows where they travel");
    let said = "prototype: the prototype cannot be called: types of arguments are not known";
    assert_eq!(error.to_string(), said);
}

/// Every fault of a plan that the verifier can find is found by some change.
#[test]
fn every_fault_is_found() {
    let mut found = BTreeMap::<&str, usize>::new();
    for (_, plan, abi) in corpus::plans() {
        for (_, mutant) in mutants(&plan) {
            if let Err(error) = verify(&mutant, abi) {
                let fault = match error.fault {
                    Fault::Prototype(_) => panic!("{error}"),
                    Fault::Lowering(_) => "lowering",
                    Fault::Call => "call",
                    Fault::Order { .. } => "order",
                    Fault::Sequence(_) => "sequence",
                    Fault::Frame { .. } => "frame",
                    Fault::Area { .. } => "area",
                    Fault::Twice { .. } => "twice",
                    Fault::Missing(_) => "missing",
                    Fault::Unknown { .. } => "unknown",
                    Fault::Width { .. } => "width",
                    Fault::Slot(_) => "slot",
                    Fault::Slots => "slots",
                    Fault::Moves { .. } => "moves",
                    Fault::Table { .. } => "table",
                    Fault::Unused { .. } => "unused",
                    Fault::Disagrees { .. } => "disagrees",
                    Fault::Undone { .. } => "undone",
                    Fault::Unasked => "unasked",
                    Fault::Expression { .. } => "expression",
                    Fault::Fact(_) => "fact",
                    Fault::Callback { .. } => "callback",
                    Fault::Shape { .. } => "shape",
                };
                *found.entry(fault).or_default() += 1;
            }
        }
    }
    assert_eq!(found.len(), 22, "{found:#?}");
}

#[test]
fn an_error_says_where_and_what() {
    let one = corpus::For { model: DataModel::Ilp32, abi: Abi::SysvX86_64, leaf: true };
    let plan = one.plan("void fill(uint8_t *_Out_ __counted_by(n) s, size_t n)");
    let mut mutant = plan.clone();
    mutant.ops.swap(0, 1);
    let error = verify(&mutant, one.abi).expect_err("the count is not there yet");
    assert_eq!(error.to_string(), "op 0 (buffer): there is no integer at offset 24 at this point");
    let mut mutant = plan.clone();
    mutant.facts.memory = false;
    let error = verify(&mutant, one.abi).expect_err("a fact is wrong");
    assert_eq!(error.to_string(), "facts: the fact `memory` is wrong");
    assert_eq!(error.op, None);
}

/// The gaps that the module's documentation lists are real: this is not the place that closes them.
#[test]
fn what_only_the_interface_knows_is_not_proven() {
    let one = corpus::For { model: DataModel::Ilp32, abi: Abi::SysvX86_64, leaf: false };
    let mut plan = one.plan("int f(int a)");
    plan.facts.leaf = true;
    assert_eq!(verify(&plan, one.abi), Ok(()));
    let mut plan = one.plan("int step(struct stmt *s)");
    plan.handle_kinds[0].id.0 += 1;
    assert_eq!(verify(&plan, one.abi), Ok(()));
    plan.handle_kinds[0].drop = Some(0);
    plan.callees = Box::new([Callee { symbol: "anything".into(), purpose: Purpose::Drop }]);
    assert_eq!(verify(&plan, one.abi), Ok(()));
}
