//! How long it takes to make machine code of a row's function.
use super::model::{Code, FirstCode};
use super::row::Row;

/// Times of so many rounds; empty for tiers that do not take it, and without the feature `cranelift`.
#[cfg(not(feature = "cranelift"))]
pub(super) fn code(_: &Row, _: usize) -> Vec<Code> {
    Vec::new()
}

/// What the first code of this process costs; there is none without the feature `cranelift`.
#[cfg(not(feature = "cranelift"))]
pub(super) fn first(_: &[Row]) -> Option<FirstCode> {
    None
}

/// What the first code of this process costs, if nothing was compiled before: of the first function that `direct` takes, else
/// `cranelift`.
#[cfg(feature = "cranelift")]
pub(super) fn first(rows: &[Row]) -> Option<FirstCode> {
    use crate::cranelift_backend::Trampoline;
    use crate::cranelift_backend::direct::Direct;
    use std::time::Instant;
    let us = |start: Instant| (start.elapsed().as_secs_f64() * 1e9).round() / 1e3;
    rows.iter().find_map(|row| {
        let plans = compiled::plans(row)?;
        let first =
            |tier: &str, us| FirstCode { tier: tier.to_owned(), title: row.title.clone(), us };
        let start = Instant::now();
        // What the tier refuses it refuses before it compiles.
        if Direct::compile(plans.first()?).is_ok() {
            return Some(first("direct", us(start)));
        }
        let start = Instant::now();
        Trampoline::compile(plans.first()?).is_ok().then(|| first("cranelift", us(start)))
    })
}

/// Times of so many rounds; empty for tiers that do not take it.
#[cfg(feature = "cranelift")]
pub(super) fn code(row: &Row, rounds: usize) -> Vec<Code> {
    use crate::cranelift_backend::Trampoline;
    use crate::cranelift_backend::direct::Direct;
    use crate::plan::Plan;
    // Those of an overload set are made together.
    let Some(plans) = compiled::plans(row) else { return Vec::new() };
    let all = |size: &dyn Fn(&Plan) -> Option<usize>| plans.iter().map(size).sum();
    let cranelift = timed("cranelift", rounds, || {
        all(&|plan| Trampoline::compile(plan).ok().map(|t| t.size()))
    });
    let direct =
        timed("direct", rounds, || all(&|plan| Direct::compile(plan).ok().map(|t| t.size())));
    cranelift.into_iter().chain(direct).collect()
}

#[cfg(feature = "cranelift")]
fn timed(tier: &str, rounds: usize, mut make: impl FnMut() -> Option<usize>) -> Option<Code> {
    let bytes = make()?;
    let mut us = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let start = std::time::Instant::now();
        make()?;
        us.push((start.elapsed().as_secs_f64() * 1e9).round() / 1e3);
    }
    Some(Code { tier: tier.to_owned(), us, bytes })
}

#[cfg(feature = "cranelift")]
mod compiled {
    use super::super::row::{Grant, Row};
    use crate::plan::abi::Abi;
    use crate::plan::compile::{Target, compile};
    use crate::plan::handles::HandleType;
    use crate::plan::layout::DataModel;
    use crate::plan::{HandleTypes, Plan};
    use crate::signature::{Interface, Record, parse_interface};
    use std::cell::RefCell;
    use std::sync::Arc;

    /// Numbers handle types by their tags.
    #[derive(Default)]
    struct Numbers(RefCell<Vec<Option<Arc<str>>>>);

    impl HandleTypes for Numbers {
        fn number(&self, record: &Record) -> HandleType {
            let tag = record.tag.as_ref().map(|tag| Arc::clone(&tag.name));
            let mut known = self.0.borrow_mut();
            let at = known.iter().position(|one| *one == tag).unwrap_or_else(|| {
                known.push(tag);
                known.len() - 1
            });
            HandleType(u32::try_from(at + 1).unwrap_or(u32::MAX))
        }
    }

    /// The plans of a row's function, one a grant, as the bridge makes them.
    pub(super) fn plans(row: &Row) -> Option<Vec<Plan>> {
        let parsed;
        let interface: &Interface = match &row.grant {
            Grant::Shipped(shipped) => shipped.interface(),
            Grant::Text { text, .. } => {
                parsed = parse_interface("bench.h", text).ok()?;
                &parsed
            }
        };
        let find = |name: &str| {
            let grant =
                interface.grants.iter().find(|grant| *grant.prototype.name.name == *name)?;
            Some(Arc::clone(&grant.prototype))
        };
        let name = row.guest.import.1.as_str();
        let numbers = Numbers::default();
        let plans = interface.grants.iter().filter(|grant| *grant.prototype.name.name == *name);
        let plans = plans.map(|grant| {
            let target = Target {
                model: DataModel::Ilp32,
                abi: Abi::host_or_default(),
                leaf: grant.leaf,
                scope: &interface.scope,
                import: None,
                handle_types: &numbers,
                grants: &find,
            };
            compile(&grant.prototype, &target).ok()
        });
        let plans: Vec<Plan> = plans.collect::<Option<_>>()?;
        (!plans.is_empty()).then_some(plans)
    }
}
