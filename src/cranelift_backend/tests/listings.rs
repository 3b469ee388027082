//! Listings are of the code that is run.
use super::super::{Emitted, Listing, callback, direct_listing, listing, make};
use crate::interfaces;
use crate::plan::abi::Abi;
use crate::plan::compile::{Target, compile};
use crate::plan::handles::HandleType;
use crate::plan::layout::DataModel;
use crate::plan::{HandleTypes, Plan};
use crate::signature::{Record, with_example_tail};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Tells types apart by what they are called.
#[derive(Default)]
struct Numbers(RefCell<Vec<String>>);

impl HandleTypes for Numbers {
    fn number(&self, record: &Record) -> HandleType {
        let name = record.tag.as_ref().map(ToString::to_string).unwrap_or_default();
        let mut known = self.0.borrow_mut();
        let at = known.iter().position(|one| *one == name).unwrap_or_else(|| {
            known.push(name);
            known.len() - 1
        });
        HandleType(u32::try_from(at).expect("there are few types") + 1)
    }
}

/// A plan of each function that an interface grants.
fn shipped(name: &str) -> Vec<Plan> {
    let all = interfaces::all();
    let (_, found) = all.iter().find(|(file, _)| *file == name).expect("it ships");
    let interface = found.interface();
    let numbers = Numbers::default();
    let grants = |symbol: &str| {
        let found = interface.grants.iter().find(|one| *one.prototype.name.name == *symbol);
        found.map(|grant| Arc::clone(&grant.prototype))
    };
    let plan = |grant: &crate::signature::Grant| {
        let target = Target {
            model: DataModel::Ilp32,
            abi: Abi::SysvX86_64,
            leaf: grant.leaf,
            scope: &interface.scope,
            import: None,
            handle_types: &numbers,
            grants: &grants,
        };
        // What frees has no plan: a guest's import of it is its own.
        compile(&Arc::new(with_example_tail(&grant.prototype)), &target).ok()
    };
    interface.grants.iter().filter_map(plan).collect()
}

#[test]
fn numbering_instructions_changes_no_code() {
    let (mut codes, mut direct, mut entries) = (0, 0, 0);
    for plan in ["zlib.h", "sqlite3.h", "expat.h", "libc.h"].iter().flat_map(|name| shipped(name)) {
        let says = &plan.prototype;
        let made = make::array(&plan).unwrap_or_else(|why| panic!("{says}: {why}"));
        let Listing { code, .. } = listing(&plan).expect("it was made");
        assert_eq!(code.bytes, *made.bytes, "{says}");
        is_told(&code, &plan);
        codes += 1;
        if let Ok(made) = make::direct(&plan) {
            let Listing { code, .. } = direct_listing(&plan).expect("it was made");
            assert_eq!(code.bytes, *made.machine.bytes, "{says}");
            is_told(&code, &plan);
            direct += 1;
        }
        for callback in &plan.callbacks {
            let Ok(made) = make::callback(&callback.plan) else { continue };
            let Listing { code, .. } = listing(&callback.plan).expect("it was made");
            let head = callback::head(made.integers).expect("it was made");
            assert_eq!(code.bytes, [&head[..], &made.machine.bytes].concat(), "{says}");
            is_told(&code, &callback.plan);
            entries += 1;
        }
    }
    assert!(codes > 200 && direct > 80 && entries > 5, "{codes}, {direct}, {entries}");
}

/// What each byte is for is said: of the whole plan, and of nothing else.
fn is_told(code: &Emitted, plan: &Plan) {
    let says = &plan.prototype;
    assert!(code.parts.is_sorted_by_key(|(at, _)| *at), "{says}");
    let ops: BTreeSet<usize> = code.parts.iter().filter_map(|(_, part)| part.op()).collect();
    assert!(ops.iter().all(|op| *op < plan.ops.len()), "{says}: {ops:?}");
    assert!(ops.contains(&usize::from(plan.call)), "{says}: the call is not in {ops:?}");
    #[cfg(feature = "cli")]
    is_decoded(code, plan);
}

/// Every byte is in an instruction, or in a constant, or between the two.
#[cfg(feature = "cli")]
fn is_decoded(code: &Emitted, plan: &Plan) {
    let says = &plan.prototype;
    let lines = super::super::assembly::lines(code, plan);
    let mut next = 0;
    for line in &lines {
        assert!(!line.text.contains("(bad)") && !line.bytes.is_empty(), "{says}: {line:?}");
        let between = &code.bytes[next..line.offset];
        assert!(between.len() < 16 && between.iter().all(|byte| *byte == 0), "{says}: {line:?}");
        assert_eq!(code.bytes[line.offset..][..line.bytes.len()], line.bytes, "{says}");
        next = line.offset + line.bytes.len();
    }
    assert_eq!(next, code.bytes.len(), "{says}");
    for (_, name) in &code.outside {
        let mentions = lines.iter().filter(|line| line.text.ends_with(&**name)).count();
        assert!(mentions > 0, "{says}: {name} is nowhere");
    }
    let words = lines.iter().flat_map(|line| line.text.split([' ', '[', ']']));
    let is_label = |word: &&str| word.starts_with(['L', 'C']) && word[1..].parse::<usize>().is_ok();
    for label in words.filter(is_label) {
        let places = lines.iter().filter(|line| line.label.as_deref() == Some(label)).count();
        assert_eq!(places, 1, "{says}: {label}");
    }
}
