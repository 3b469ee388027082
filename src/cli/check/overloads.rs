//! Warnings about overloads that the same arguments suit: a call takes the first, which is no error.
use super::shapes::Warning;
use crate::cli::explain::compile_for;
use portcullis::host::{Intervals, Overlap, freed_by, overlaps};
use portcullis::plan::Plan;
use portcullis::plan::abi::Abi;
use portcullis::plan::layout::DataModel;
use portcullis::signature::{Grant, Interface, Prototype, with_example_tail};
use std::sync::Arc;

/// All of them.
pub fn warnings(interface: &Interface) -> Vec<Warning> {
    let own = freed_by(interface);
    let all: Vec<Arc<Prototype>> =
        interface.grants.iter().map(|grant| Arc::clone(&grant.prototype)).collect();
    let mut sets: Vec<Vec<&Grant>> = Vec::new();
    for grant in &interface.grants {
        let prototype = &grant.prototype;
        if prototype.data.is_some() || own.contains(&prototype.name.name) {
            continue;
        }
        let is_same = |set: &&mut Vec<&Grant>| {
            set[0].library == grant.library && set[0].prototype.name.name == prototype.name.name
        };
        match sets.iter_mut().find(is_same) {
            Some(set) => set.push(grant),
            None => sets.push(vec![grant]),
        }
    }
    let mut list = Vec::new();
    for set in sets.iter().filter(|set| set.len() > 1) {
        let plan = |grant: &&Grant| {
            let tried = Arc::new(with_example_tail(&grant.prototype));
            let (scope, abi) = (&interface.scope, Abi::host_or_default());
            compile_for(&tried, scope, grant.leaf, DataModel::Ilp32, abi, &all).ok()
        };
        let mut left: Vec<(&Prototype, Plan)> =
            set.iter().filter_map(|grant| Some((&*grant.prototype, plan(grant)?))).collect();
        // An import gets the grants of its wasm type.
        while let Some((_, first)) = left.first() {
            let lowering = first.lowering.clone();
            let (same, others): (Vec<_>, Vec<_>) =
                left.into_iter().partition(|(_, plan)| plan.lowering == lowering);
            left = others;
            let plans: Vec<&Plan> = same.iter().map(|(_, plan)| plan).collect();
            for overlap in overlaps(&plans) {
                let of = |number: usize| same[number].0;
                list.push(warning(&interface.text, &overlap, &of));
            }
        }
    }
    list
}

fn warning<'p>(text: &str, overlap: &Overlap, of: &dyn Fn(usize) -> &'p Prototype) -> Warning {
    let (later, message) = match overlap {
        Overlap::Never { earlier, later } => {
            let lines: Vec<String> =
                earlier.iter().map(|one| line(text, of(*one)).to_string()).collect();
            let before = match &lines[..] {
                [line] => format!("the one of line {line} is"),
                [first @ .., last] => {
                    format!("those of lines {} and {last} are", first.join(", "))
                }
                [] => String::new(),
            };
            (later, format!("can never be taken: {before} first, for all its arguments"))
        }
        Overlap::Partly { earlier, later, at } => {
            let (prototype, other) = (of(*later), line(text, of(*earlier)));
            let params = &prototype.function.params;
            let name = |at: usize| {
                let name = params.get(at).and_then(|param| param.name.as_ref());
                name.map_or_else(|| format!("parameter {}", at + 1), |name| format!("`{name}`"))
            };
            let at: Vec<String> = at
                .iter()
                .map(|(param, within)| format!("{} is {}", name(*param), told(within)))
                .collect();
            let at = at.join(" and ");
            let message = format!(
                "overlaps with the one of line {other} where {at}: the first, of line {other}, is taken there"
            );
            (later, message)
        }
    };
    let prototype = of(*later);
    let function = prototype.name.name.to_string();
    let message = format!("this overload of `{function}` {message}");
    Warning { function, span: prototype.name.span, message }
}

/// `5`, `1 to 9 or 12`.
fn told(within: &Intervals) -> String {
    let one = |(low, high): &(i128, i128)| {
        if low == high { low.to_string() } else { format!("{low} to {high}") }
    };
    within.iter().map(one).collect::<Vec<_>>().join(" or ")
}

fn line(text: &str, prototype: &Prototype) -> usize {
    let start = usize::try_from(prototype.name.span.start).unwrap_or(usize::MAX);
    text.bytes().take(start).filter(|byte| *byte == b'\n').count() + 1
}
