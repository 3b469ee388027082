//! Every grant of every interface that ships has a plan, for both data models.
use portcullis::plan::HandleTypes;
use portcullis::plan::abi::Abi;
use portcullis::plan::compile::{CompileError, Target, compile};
use portcullis::plan::handles::HandleType;
use portcullis::plan::layout::DataModel;
use portcullis::plan::template::Template;
use portcullis::signature::{Diagnostics, Record, parse_interface, with_example_tail};
use std::fs;
use std::path::Path;
use std::sync::Arc;

struct ByName;
impl HandleTypes for ByName {
    fn number(&self, record: &Record) -> HandleType {
        let name = record.tag.as_ref().map_or("", |tag| &tag.name);
        HandleType(name.bytes().fold(7, |sum, byte| sum.wrapping_mul(31) + u32::from(byte)))
    }
}

#[test]
fn every_shipped_grant_has_a_plan() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("interfaces");
    let mut plans = 0;
    let mut templates = 0;
    let mut trampolines = Trampolines::default();
    let mut failures = String::new();
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("the folder can be read").path();
        let name = path.file_name().expect("it is a file").to_string_lossy().into_owned();
        if !name.ends_with(".h") || name == "portcullis.h" {
            continue;
        }
        let text = fs::read_to_string(&path).expect("an interface is text");
        let interface = parse_interface(&name, &text).unwrap_or_else(|e| panic!("{e}"));
        let grants = |symbol: &str| {
            let found = interface.grants.iter().find(|g| &*g.prototype.name.name == symbol);
            found.map(|grant| Arc::clone(&grant.prototype))
        };
        let all: String = interface.grants.iter().map(|g| g.prototype.to_string()).collect();
        for grant in &interface.grants {
            // The guest's import of such a function is its own `free`: it is never compiled.
            if all.contains(&format!("__freed_by({})", grant.prototype.name)) {
                continue;
            }
            for model in [DataModel::Ilp32, DataModel::Lp64] {
                let target = Target {
                    model,
                    abi: Abi::SysvX86_64,
                    leaf: grant.leaf,
                    scope: &interface.scope,
                    import: None,
                    handle_types: &ByName,
                    grants: &grants,
                };
                match compile(&Arc::new(with_example_tail(&grant.prototype)), &target) {
                    Ok(plan) => {
                        plans += 1;
                        templates += usize::from(Template::of(&plan).is_ok());
                        trampolines.count(&plan);
                    }
                    Err(CompileError::Prototype(errors)) => {
                        let errors = Diagnostics::new(&*name, &*text, errors);
                        failures.push_str(&format!("{errors}\n"));
                    }
                    Err(error) => failures.push_str(&format!("{}: {error}\n", grant.prototype)),
                }
            }
        }
    }
    assert!(failures.is_empty(), "{failures}");
    assert!(plans >= 500, "only {plans} plans");
    assert!(templates >= 200, "only {templates} plans have a template");
    println!("{plans} plans, {templates} with a template, {trampolines:#?}");
    trampolines.check(plans);
}

/// How many plans become machine code, and why the others do not.
#[derive(Debug, Default)]
struct Trampolines {
    compiled: usize,
    declined: Vec<String>,
}

impl Trampolines {
    #[cfg(feature = "cranelift")]
    fn count(&mut self, plan: &portcullis::plan::Plan) {
        match portcullis::cranelift_backend::Trampoline::compile(plan) {
            Ok(_) => self.compiled += 1,
            Err(why) => self.declined.push(format!("{}: {why}", plan.prototype)),
        }
    }

    #[cfg(not(feature = "cranelift"))]
    fn count(&mut self, _: &portcullis::plan::Plan) {}

    fn check(&self, plans: usize) {
        assert_eq!(self.declined, [""; 0], "every plan has a trampoline");
        if cfg!(feature = "cranelift") {
            assert_eq!(self.compiled, plans);
        }
    }
}
