//! Golden files of what prototypes become: layouts, assignments, plans.
//!
//! An input is a prototype, or the name of an interface that ships and a symbol. A plan's may have a
//! second line that says for whom: `wasm64`, `AAPCS64`, `may call back`, `import (func ...)`,
//! separated by commas; without it the guest has a 32-bit memory and the host is x86-64.
#[path = "support/golden.rs"]
mod support;

use portcullis::interfaces;
use portcullis::plan::abi::{self, Abi, assign};
use portcullis::plan::compile::{CompileError, Target, compile};
use portcullis::plan::disassemble::disassemble;
use portcullis::plan::handles::HandleType;
use portcullis::plan::layout::{self, DataModel};
use portcullis::plan::op::Op;
use portcullis::plan::verify::verify;
use portcullis::plan::{HandleTypes, Lowering, Plan, WasmType};
use portcullis::signature::{
    Diagnostics, Interface, Prototype, Record, Scope, parse_declaration, parse_prototype,
};
use std::sync::Arc;
use support::golden;

struct OneType;
impl HandleTypes for OneType {
    fn number(&self, record: &Record) -> HandleType {
        let name = record.tag.as_ref().map_or("", |tag| &tag.name);
        HandleType(name.bytes().fold(7, |sum, byte| sum.wrapping_mul(31) + u32::from(byte)))
    }
}

/// What an input names: the grants of a symbol of a shipped interface (`zlib crc32`), or a
/// prototype of its own.
fn named(input: &str) -> Result<(Vec<Arc<Prototype>>, Option<Interface>), String> {
    let words: Vec<&str> = input.split_whitespace().collect();
    if let [interface, symbol] = *words
        && let Some((_, shipped)) = interfaces::all()
            .into_iter()
            .find(|(name, _)| name.strip_suffix(".h") == Some(interface))
    {
        let interface = shipped.interface().clone();
        let of_symbol = interface.grants.iter().filter(|g| &*g.prototype.name.name == symbol);
        let prototypes = of_symbol.map(|g| Arc::clone(&g.prototype)).collect();
        return Ok((prototypes, Some(interface)));
    }
    let prototype = parse_prototype(input, &Scope::default()).map_err(|e| e.to_string())?;
    Ok((vec![Arc::new(prototype)], None))
}

/// Sizes, alignments and offsets of what a prototype's pointers point at.
#[test]
fn layouts() {
    let count = golden("layouts", |input| {
        let scope = Scope::default();
        let prototype = parse_declaration(input, &scope).unwrap_or_else(|e| panic!("{e}"));
        let types = prototype.function.params.iter().filter_map(|param| param.ty.pointee());
        let described = types.map(|ty| {
            layout::describe(ty, &scope, Abi::SysvX86_64)
                .unwrap_or_else(|error| format!("error: {error}\n"))
        });
        described.collect()
    });
    assert!(count >= 8, "only {count} cases");
}

/// Where both ABIs put arguments and results.
#[test]
fn assignments() {
    let count = golden("assignments", |input| {
        let (prototypes, interface) = match named(input) {
            Ok(named) => named,
            Err(errors) => return errors,
        };
        let scope = interface.map_or_else(Scope::default, |interface| interface.scope);
        let mut text = String::new();
        for abi in Abi::ALL {
            match assign(&prototypes[0].function, &scope, abi) {
                Ok(assignment) => {
                    text += &abi::describe(&assignment, &prototypes[0].function, abi);
                }
                Err(error) => text += &format!("{}: {error}\n", abi.name()),
            }
        }
        text
    });
    assert!(count >= 8, "only {count} cases");
}

/// For whom a plan is.
struct Options {
    model: DataModel,
    abi: Abi,
    may_call_back: bool,
    import: Option<Lowering>,
}

impl Options {
    fn read(text: &str) -> Options {
        let (model, abi) = (DataModel::Ilp32, Abi::SysvX86_64);
        let mut options = Options { model, abi, may_call_back: false, import: None };
        for option in text.split(',').map(str::trim).filter(|option| !option.is_empty()) {
            match option {
                "wasm64" => options.model = DataModel::Lp64,
                "AAPCS64" => options.abi = Abi::Aapcs64,
                "may call back" => options.may_call_back = true,
                _ => {
                    let types = option.strip_prefix("import ").expect("an option that exists");
                    options.import = Some(lowering(types));
                }
            }
        }
        options
    }
}

/// `(func (param i32 i64) (result f64))`
fn lowering(text: &str) -> Lowering {
    let mut lowering = Lowering::default();
    let mut is_result = false;
    for word in text.split(|c: char| c.is_whitespace() || "()".contains(c)) {
        let ty = match word {
            "" | "func" => continue,
            "param" | "result" => {
                is_result = word == "result";
                continue;
            }
            "i32" => WasmType::I32,
            "i64" => WasmType::I64,
            "f32" => WasmType::F32,
            "f64" => WasmType::F64,
            other => panic!("`{other}` is no wasm type"),
        };
        if is_result { &mut lowering.results } else { &mut lowering.params }.push(ty);
    }
    lowering
}

/// Plans, and why there is none.
#[test]
fn plans() {
    let count = golden("plans", |input| {
        let (input, options) = input.split_once('\n').unwrap_or((input, ""));
        let options = Options::read(options);
        let (prototypes, interface) = match named(input) {
            Ok(named) => named,
            Err(errors) => return errors,
        };
        let own = Scope::default();
        let scope = interface.as_ref().map_or(&own, |interface| &interface.scope);
        let find = |symbol: &str| {
            let grants = interface.as_ref().map_or(&[][..], |interface| &interface.grants);
            let found = grants.iter().find(|grant| &*grant.prototype.name.name == symbol);
            found.map(|grant| Arc::clone(&grant.prototype))
        };
        let compiled = prototypes.iter().map(|prototype| {
            let grants = interface.as_ref().map_or(&[][..], |interface| &interface.grants);
            let own = grants.iter().find(|grant| Arc::ptr_eq(&grant.prototype, prototype));
            let leaf = own.is_none_or(|grant| grant.leaf) && !options.may_call_back;
            let target = Target {
                model: options.model,
                abi: options.abi,
                leaf,
                scope,
                import: options.import.as_ref(),
                handle_types: &OneType,
                grants: &find,
            };
            match compile(prototype, &target) {
                Ok(plan) => disassemble(&plan, options.abi),
                Err(CompileError::Prototype(errors)) => {
                    let (name, text) = match &interface {
                        Some(interface) => (&*interface.name, &*interface.text),
                        None => ("prototype", input),
                    };
                    Diagnostics::new(name, text, errors).to_string()
                }
                Err(error) => error.to_string(),
            }
        });
        compiled.collect::<Vec<_>>().join("\n")
    });
    assert!(count >= 70, "only {count} cases");
}

/// Ops name parameters in 8 bits: the parser refuses more than that can say, and so do the compiler
/// and the verifier for prototypes that no parser has made.
#[test]
fn the_most_parameters_are_255() {
    let text = |count: usize| {
        let numbers: String = (2..count).map(|at| format!("int a{at}, ")).collect();
        format!("void f(int n, {numbers}const uint8_t *__counted_by(n) last)")
    };
    let errors = parse_prototype(&text(256), &Scope::default()).expect_err("too many");
    assert_eq!(errors.list()[0].message, "more than 255 parameters");
    let most = parse_prototype(&text(255), &Scope::default()).unwrap_or_else(|e| panic!("{e}"));
    let target = Target {
        model: DataModel::Ilp32,
        abi: Abi::SysvX86_64,
        leaf: true,
        scope: &Scope::default(),
        import: None,
        handle_types: &OneType,
        grants: &|_| None,
    };
    let plan = compile(&Arc::new(most.clone()), &target).unwrap_or_else(|error| panic!("{error}"));
    assert!(plan.ops.iter().any(|op| matches!(op, Op::Buffer { slot: 254, param: 254, .. })));
    let mut more = most;
    more.function.params.insert(1, more.function.params[1].clone());
    let more = Arc::new(more);
    let error = compile(&more, &target).expect_err("too many");
    assert_eq!(error.to_string(), "more than 255 parameters");
    let error = verify(&Plan { prototype: more, ..plan }, Abi::SysvX86_64).expect_err("too many");
    assert!(error.to_string().contains("more than 255 parameters"), "{error}");
}
