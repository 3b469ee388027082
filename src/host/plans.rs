//! Plans shared by everything that a bridge links, and the numbers of handle types.
use crate::plan::handles::HandleType;
use crate::plan::{HandleTypes, Plan};
use crate::signature::{Record, RecordKind};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Who made a promise: names of opaque types mean the same thing only within one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Origin {
    /// The granted interface of that position.
    Interface(usize),
    /// Guests' own prototypes for the trusted library of that position.
    Trusted(usize),
}

/// The plans of a bridge: one object for equal plans.
#[derive(Debug, Default)]
pub(super) struct Plans {
    interned: Mutex<Interned>,
}

#[derive(Debug, Default)]
struct Interned {
    plans: HashSet<Arc<Plan>>,
    /// So many were in use when it was looked last.
    used: usize,
}

/// Guests name the tails of formats, and write their own prototypes for a trusted library, so that the
/// number of plans has no natural bound. What is beyond this is not shared.
const MOST_INTERNED: usize = 1 << 14;
/// So many plans that nobody uses any more may be kept beside as many as are in use.
const UNUSED: usize = 64;

impl Plans {
    /// The one object for plans that equal this one.
    pub(super) fn intern(&self, plan: Plan) -> Arc<Plan> {
        let mut interned = self.interned.lock().unwrap_or_else(PoisonError::into_inner);
        let Interned { plans, used } = &mut *interned;
        if let Some(known) = plans.get(&plan) {
            return Arc::clone(known);
        }
        if plans.len() >= (2 * *used + UNUSED).min(MOST_INTERNED) {
            plans.retain(|plan| Arc::strong_count(plan) > 1);
            *used = plans.len();
        }
        let plan = Arc::new(plan);
        if plans.len() < MOST_INTERNED {
            plans.insert(Arc::clone(&plan));
        }
        plan
    }
}

/// Numbers of handle types. They are unique in the process, so that tables never confuse the types
/// of two bridges.
#[derive(Debug, Default)]
pub(super) struct HandleNumbers {
    known: Mutex<HashMap<Name, HandleType>>,
}

/// An incomplete `struct` or `union` of somebody's, by its tag.
type Name = (Origin, RecordKind, Arc<str>);

/// `FILE` and `DIR` are the C library's own types, whoever mentions them.
const SHARED: [(&str, HandleType); 2] = [("FILE", HandleType(1)), ("DIR", HandleType(2))];
static NEXT: AtomicU32 = AtomicU32::new(SHARED.len() as u32 + 1);

impl HandleNumbers {
    /// The view of one interface.
    pub(super) fn of(&self, origin: Origin) -> HandleNumbersOf<'_> {
        HandleNumbersOf { numbers: self, origin }
    }
}

/// The handle types of one interface.
pub(super) struct HandleNumbersOf<'n> {
    numbers: &'n HandleNumbers,
    origin: Origin,
}

impl HandleTypes for HandleNumbersOf<'_> {
    fn number(&self, record: &Record) -> HandleType {
        // Incomplete types have a tag; one without would be a type of its own each time.
        let Some(tag) = record.tag.as_ref().map(|tag| Arc::clone(&tag.name)) else {
            return next();
        };
        let shared = SHARED.iter().find(|(name, _)| **name == *tag);
        if let Some((_, number)) = shared.filter(|_| record.kind == RecordKind::Struct) {
            return *number;
        }
        let mut known = self.numbers.known.lock().unwrap_or_else(PoisonError::into_inner);
        *known.entry((self.origin, record.kind, tag)).or_insert_with(next)
    }
}

fn next() -> HandleType {
    let number = NEXT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
        (next < HandleType::LAST).then_some(next + 1)
    });
    // A number used twice would let one type pass for another.
    HandleType(number.expect("a process has fewer than 2^31 handle types"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::{Ident, Span};

    fn record(kind: RecordKind, tag: &str) -> Record {
        let tag = Some(Ident { name: tag.into(), span: Span::default() });
        Record { kind, tag, body: None }
    }

    /// A guest names the tail of a format, so that it can ask for any number of plans.
    #[test]
    fn plans_that_nobody_uses_are_not_kept() {
        use crate::plan::abi::Abi;
        use crate::plan::compile::{Target, compile};
        use crate::plan::layout::DataModel;
        use crate::signature::{Scope, parse_prototype};
        let (plans, numbers, scope) =
            (Plans::default(), HandleNumbers::default(), Scope::default());
        let plan = |number: u32| {
            let text = format!("int f(int a __range(0, {number}))");
            let prototype = parse_prototype(&text, &scope).unwrap_or_else(|e| panic!("{e}"));
            let target = Target {
                model: DataModel::Ilp32,
                abi: Abi::SysvX86_64,
                leaf: true,
                scope: &scope,
                import: None,
                handle_types: &numbers.of(Origin::Trusted(0)),
                grants: &|_| None,
            };
            compile(&Arc::new(prototype), &target).unwrap_or_else(|e| panic!("{e}"))
        };
        let used: Vec<Arc<Plan>> = (0..10).map(|number| plans.intern(plan(number))).collect();
        for number in 10..1000 {
            drop(plans.intern(plan(number)));
            let kept = plans.interned.lock().expect("not poisoned").plans.len();
            assert!(kept <= 2 * used.len() + UNUSED, "{kept} plans");
        }
        for (number, one) in (0..).zip(&used) {
            assert!(Arc::ptr_eq(one, &plans.intern(plan(number))), "{number}");
        }
    }

    #[test]
    fn types_are_told_apart_by_bridge_interface_kind_and_tag() {
        let (one, other) = (HandleNumbers::default(), HandleNumbers::default());
        let db = record(RecordKind::Struct, "sqlite3");
        let number = one.of(Origin::Interface(0)).number(&db);
        assert_eq!(one.of(Origin::Interface(0)).number(&db), number);
        for different in [
            one.of(Origin::Interface(1)).number(&db),
            one.of(Origin::Trusted(0)).number(&db),
            one.of(Origin::Interface(0)).number(&record(RecordKind::Union, "sqlite3")),
            one.of(Origin::Interface(0)).number(&record(RecordKind::Struct, "sqlite3_stmt")),
            other.of(Origin::Interface(0)).number(&db),
        ] {
            assert_ne!(different, number);
        }
    }

    #[test]
    fn files_are_the_same_type_everywhere() {
        let (one, other) = (HandleNumbers::default(), HandleNumbers::default());
        let file = record(RecordKind::Struct, "FILE");
        let number = one.of(Origin::Interface(0)).number(&file);
        assert_eq!(other.of(Origin::Interface(3)).number(&file), number);
        assert_ne!(one.of(Origin::Interface(0)).number(&record(RecordKind::Union, "FILE")), number);
    }
}
