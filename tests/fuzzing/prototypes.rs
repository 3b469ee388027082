//! Prototypes and interfaces of any text: reading ends in a prototype or in an error that says something,
//! within bounds of memory and of work; what was read is printed and read again as the same; what is
//! valid is compiled, and the compiler's work is what the verifier accepts.
use super::meter::{Spent, measured};
use super::source::Source;
use super::tally::count;
use super::text;
use portcullis::plan::HandleTypes;
use portcullis::plan::abi::Abi;
use portcullis::plan::compile::{CompileError, Target, compile};
use portcullis::plan::disassemble::disassemble;
use portcullis::plan::handles::HandleType;
use portcullis::plan::layout::DataModel;
use portcullis::signature::{
    Diagnostics, Prototype, Record, Scope, agree, parse_declaration, parse_interface,
    parse_prototype,
};
use std::sync::Arc;

/// Handle types numbered by tag.
pub struct ByTag;

impl HandleTypes for ByTag {
    fn number(&self, record: &Record) -> HandleType {
        let tag = record.tag.as_ref().map_or("", |tag| &tag.name);
        let hash = tag.bytes().fold(7_u32, |all, byte| all.wrapping_mul(31) + u32::from(byte));
        HandleType(hash & HandleType::LAST)
    }
}

/// What one text may cost: so much at least, and so much for each of its bytes.
struct Bound {
    what: &'static str,
    peak: (u64, u64),
    calls: (u64, u64),
}

const READING: Bound = Bound { what: "reading", peak: (1 << 20, 4096), calls: (4000, 400) };
/// Macros may stand for more than they say.
const EXPANDING: Bound =
    Bound { what: "reading an interface", peak: (512 << 20, 4096), calls: (20_000_000, 400) };
/// One prototype for one target.
const COMPILING: Bound =
    Bound { what: "compiling", peak: (64 << 20, 16384), calls: (400_000, 4000) };

impl Bound {
    fn holds<R>(&self, text: &str, f: impl FnOnce() -> R) -> R {
        let (result, Spent { calls, peak, .. }) = measured(f);
        let length = text.len() as u64;
        let most = |(least, each): (u64, u64)| least + each * length;
        let what = self.what;
        assert!(
            calls <= most(self.calls),
            "{what}: {calls} allocations for {length} bytes:\n{text}"
        );
        let peak = u64::try_from(peak).unwrap_or(0);
        assert!(peak <= most(self.peak), "{what}: {peak} bytes for {length} bytes:\n{text}");
        result
    }
}

/// The target.
pub fn check(data: &[u8]) {
    let mut source = Source::new(data);
    match source.byte() % 8 {
        0 => one(&String::from_utf8_lossy(source.rest())),
        1 => whole(&String::from_utf8_lossy(source.rest())),
        2 => one(&text::soup(&mut source)),
        3 => whole(&text::soup(&mut source)),
        4 => whole(&text::interface(&mut source)),
        5 => {
            // A valid text with a change in it.
            let mut bytes = text::prototype(&mut source).into_bytes();
            for _ in 0..1 + source.below(4) {
                let at = source.below(bytes.len());
                match source.below(3) {
                    0 => bytes[at] = source.byte(),
                    1 => drop(bytes.remove(at)),
                    _ => bytes.insert(at, source.pick(b"*,()[]{};:.-+ 09_x")),
                }
                if bytes.is_empty() {
                    break;
                }
            }
            one(&String::from_utf8_lossy(&bytes));
        }
        _ => one(&text::prototype(&mut source)),
    }
}

/// One text as a prototype.
pub fn one(text: &str) {
    let scope = Scope::default();
    if let Err(errors) = READING.holds(text, || parse_declaration(text, &scope)) {
        told(&errors, text);
    }
    match READING.holds(text, || parse_prototype(text, &scope)) {
        Ok(prototype) => {
            count("valid prototypes");
            round_trip(&prototype, text);
            compiled(Arc::new(prototype), &scope, true, &|_| None, text);
        }
        Err(errors) => told(&errors, text),
    }
}

/// One text as an interface.
pub fn whole(text: &str) {
    let interface = match EXPANDING.holds(text, || parse_interface("fuzz.h", text)) {
        Ok(interface) => interface,
        Err(errors) => return told(&errors, text),
    };
    count("valid interfaces");
    let find = |name: &str| {
        let mut found = interface.grants.iter().filter(|grant| &*grant.prototype.name.name == name);
        found.next().map(|grant| Arc::clone(&grant.prototype))
    };
    for grant in interface.grants.iter().take(20) {
        let short = grant.prototype.to_string();
        match parse_prototype(&short, &interface.scope) {
            Ok(again) => {
                assert_eq!(again, *grant.prototype, "{short}");
                assert_eq!(again.to_string(), short);
            }
            Err(errors) => panic!("{text}\nis printed as\n{short}\n{errors}"),
        }
        compiled(Arc::clone(&grant.prototype), &interface.scope, grant.leaf, &find, text);
    }
}

/// An error says something.
fn told(errors: &Diagnostics, text: &str) {
    count("errors");
    assert!(!errors.list().is_empty() && errors.list().len() <= 41, "{text}");
    assert!(!errors.to_string().is_empty());
}

/// Printing and reading are inverse.
fn round_trip(prototype: &Prototype, text: &str) {
    let whole = format!("{prototype:#}");
    if whole.len() < 60_000 {
        match parse_prototype(&whole, &Scope::default()) {
            Ok(again) => {
                assert_eq!(again, *prototype, "{text}\nis printed as\n{whole}");
                assert_eq!(format!("{again:#}"), whole, "{text}");
            }
            Err(errors) => panic!("{text}\nis printed as\n{whole}\n{errors}"),
        }
    }
    assert!(agree(prototype, prototype).is_ok(), "{text}");
    assert!(!prototype.as_written().to_string().is_empty());
}

/// A prototype is compiled or declined for every target; never is the compiler's work refused.
fn compiled(
    prototype: Arc<Prototype>,
    scope: &Scope,
    leaf: bool,
    grants: &dyn Fn(&str) -> Option<Arc<Prototype>>,
    text: &str,
) {
    for (abi, model) in [
        (Abi::SysvX86_64, DataModel::Ilp32),
        (Abi::SysvX86_64, DataModel::Lp64),
        (Abi::Aapcs64, DataModel::Ilp32),
    ] {
        let target = Target { model, abi, leaf, scope, import: None, handle_types: &ByTag, grants };
        match COMPILING.holds(text, || compile(&prototype, &target)) {
            Ok(plan) => {
                count("plans");
                assert!(!disassemble(&plan, abi).is_empty());
            }
            Err(CompileError::Refused(error)) => {
                panic!("{text}\nfor {abi:?}, {model:?}: the verifier refuses the plan: {error}")
            }
            Err(error) => {
                count("declined");
                assert!(!error.to_string().is_empty());
            }
        }
    }
}
