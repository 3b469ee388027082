//! Everything that a shipped interface grants has a plan: nothing in them waits for a later version.
use portcullis::plan::HandleTypes;
use portcullis::plan::abi::Abi;
use portcullis::plan::compile::{CompileError, Target, compile};
use portcullis::plan::handles::HandleType;
use portcullis::plan::layout::DataModel;
use portcullis::signature::{Interface, NoteKind, Record, parse_interface};
use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;

/// Numbers types in the order in which they are met.
#[derive(Default)]
struct Numbered(RefCell<Vec<Record>>);

impl HandleTypes for Numbered {
    fn number(&self, record: &Record) -> HandleType {
        let mut known = self.0.borrow_mut();
        let at = known.iter().position(|other| other == record).unwrap_or_else(|| {
            known.push(record.clone());
            known.len() - 1
        });
        HandleType(u32::try_from(at).expect("few types"))
    }
}

fn interface(name: &str) -> Interface {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("interfaces").join(name);
    let text = std::fs::read_to_string(path).expect("a readable interface");
    parse_interface(name, &text).unwrap_or_else(|errors| panic!("{errors}"))
}

/// The functions that `__freed_by` names. A guest's import of one is bound to its own `free`, so that it
/// needs no plan.
fn releases(interface: &Interface) -> Vec<&str> {
    let mut names = Vec::new();
    for grant in &interface.grants {
        let function = &grant.prototype.function;
        let types = function.params.iter().map(|param| &param.ty).chain([&function.result]);
        for ty in types.flat_map(|ty| [Some(ty), ty.pointee()]).flatten() {
            names.extend(ty.notes.iter().filter_map(|note| match &note.kind {
                NoteKind::FreedBy(name) => Some(&*name.name),
                _ => None,
            }));
        }
    }
    names
}

/// Compiles all grants and returns how many there are, and what was refused.
fn compile_all(name: &str, model: DataModel) -> (usize, Vec<String>) {
    let interface = interface(name);
    let numbers = Numbered::default();
    let find = |function: &str| {
        let mut found = interface.grants.iter().map(|grant| &grant.prototype);
        found.find(|prototype| &*prototype.name.name == function).map(Arc::clone)
    };
    let releases = releases(&interface);
    let mut refused = Vec::new();
    for grant in &interface.grants {
        if releases.contains(&&*grant.prototype.name.name) {
            continue;
        }
        let target = Target {
            model,
            abi: Abi::SysvX86_64,
            leaf: grant.leaf,
            scope: &interface.scope,
            import: None,
            handle_types: &numbers,
            grants: &find,
        };
        match compile(&grant.prototype, &target) {
            Ok(_) => {}
            Err(CompileError::Prototype(diagnostics)) => {
                let messages = diagnostics.iter().map(|diagnostic| diagnostic.message.as_str());
                let messages = messages.collect::<Vec<_>>().join("; ");
                refused.push(format!("{}: {messages}", grant.prototype));
            }
            Err(error) => refused.push(format!("{}: {error}", grant.prototype)),
        }
    }
    (interface.grants.len(), refused)
}

#[test]
fn every_grant_has_a_plan_under_both_data_models() {
    let mut all = Vec::new();
    for (name, at_least) in
        [("libm.h", 198), ("libc.h", 70), ("zlib.h", 17), ("gzfile.h", 22), ("sqlite3.h", 85)]
    {
        for model in [DataModel::Ilp32, DataModel::Lp64] {
            let (grants, refused) = compile_all(name, model);
            assert!(grants >= at_least, "{name}: only {grants} grants");
            all.extend(refused.into_iter().map(|what| format!("{name}, {model:?}: {what}")));
        }
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}
