//! Plans: valid prototypes are compiled, their plans tampered with, and whatever the verifier accepts is run by
//! an executor that looks at every access.
//!
//! ```text
//! shared    the plans and the ways of tampering that the verifier's own tests have
//! execute   what ops do, each access looked at
//! copies    the same, of data with pointers
//! native    what native code does, from the prototype alone
//! outside   plans without a guest, `ffi` calls and closures
//! machine   the memory of all that
//! ```
use super::prototypes::ByTag;
use super::source::Source;
use super::tally::count;
use super::text;
use crate::plan::abi::Abi;
use crate::plan::compile::{Target, compile, compile_call, compile_closure};
use crate::plan::disassemble::disassemble;
use crate::plan::layout::{DataModel, Target as Memories, extent_of};
use crate::plan::verify::{verify, verify_drops};
use crate::plan::{Kind, Plan, WasmType};
use crate::signature::{NoteKind, Prototype, Scope, TypeKind, parse_prototype};
use execute::Executor;
use machine::{Memory, What};
use shared::{corpus, mutate};
use std::sync::Arc;

mod copies;
mod execute;
mod machine;
mod native;
mod outside;

/// What the library's own tests of the verifier use.
#[path = "../../../src/plan/verify/tests"]
mod shared {
    pub mod corpus;
    pub mod mutate;
}

/// Bytes of the guest's memory.
const GUEST: usize = 2048;

/// The target.
pub fn check(data: &[u8]) {
    let mut source = Source::new(data);
    let Some((plan, abi, scope)) = compiled(&mut source) else { return };
    count("compiled");
    let mut mutant = plan.clone();
    for _ in 0..source.below(4) {
        mutate::one_of(&mut mutant, source.integer(), source.integer());
    }
    let accepted = verify(&mutant, abi).and_then(|()| verify_drops(&mutant, scope));
    if accepted.is_err() {
        count("refused");
        // What was refused is not run; the plan itself is.
        mutant = plan.clone();
    } else if mutant != plan {
        count("accepted mutants");
    }
    let _says = Says(&mutant, &plan, abi);
    for round in 0..3 {
        count("executed");
        if execute(&mutant, abi, scope, &mut source, round) {
            count("called");
        }
    }
    for plan in without_guests(&plan, abi, scope) {
        without_a_guest(&plan, abi, &mut Source::new(&backwards(data)));
    }
}

/// The plans of the same prototype without a guest. Not all types can be passed there.
fn without_guests(plan: &Plan, abi: Abi, scope: &Scope) -> impl Iterator<Item = Plan> {
    let makes = [compile_call, compile_closure];
    makes.into_iter().filter_map(move |make| make(&plan.prototype, scope, abi).ok())
}

/// Choices that the ones before have not read, most likely.
fn backwards(data: &[u8]) -> Vec<u8> {
    data.iter().rev().copied().collect()
}

/// The same with plans that have no guest.
fn without_a_guest(plan: &Plan, abi: Abi, source: &mut Source<'_>) {
    let mut mutant = plan.clone();
    for _ in 0..source.below(3) {
        outside::tamper(&mut mutant, source);
    }
    if verify(&mutant, abi).is_err() {
        count("refused without a guest");
        mutant = plan.clone();
    } else if mutant != *plan {
        count("accepted mutants without a guest");
    }
    let _says = Says(&mutant, plan, abi);
    outside::execute(&mutant, abi, source);
    count("executed without a guest");
}

/// Runs a plan that the verifier refuses, which may well panic; whether there was one.
pub fn refused(data: &[u8]) -> bool {
    let mut source = Source::new(data);
    let Some((plan, abi, scope)) = compiled(&mut source) else { return false };
    let mut mutant = plan.clone();
    mutate::one_of(&mut mutant, source.integer(), source.integer());
    if verify(&mutant, abi).is_ok() {
        return false;
    }
    for round in 0..3 {
        execute(&mutant, abi, scope, &mut source, round);
    }
    true
}

/// The same of a plan without a guest.
pub fn refused_without_a_guest(data: &[u8]) -> bool {
    let Some((plan, abi, scope)) = compiled(&mut Source::new(data)) else { return false };
    let bytes = backwards(data);
    let mut source = Source::new(&bytes);
    let made: Vec<Plan> = without_guests(&plan, abi, scope).collect();
    let Some(mut mutant) = made.get(source.below(2)).cloned() else { return false };
    outside::tamper(&mut mutant, &mut source);
    if verify(&mutant, abi).is_ok() {
        return false;
    }
    outside::execute(&mutant, abi, &mut source);
    true
}

/// Says which plan it was when a check panics.
struct Says<'a>(&'a Plan, &'a Plan, Abi);

impl Drop for Says<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", disassemble(self.0, self.2));
            if self.0 != self.1 {
                println!("instead of\n{}", disassemble(self.1, self.2));
            }
        }
    }
}

/// A plan of a random prototype.
fn compiled(source: &mut Source<'_>) -> Option<(Plan, Abi, &'static Scope)> {
    let model = if source.chance(60) { DataModel::Lp64 } else { DataModel::Ilp32 };
    let abi = if source.chance(40) { Abi::Aapcs64 } else { Abi::SysvX86_64 };
    let (leaf, scope) = (source.chance(128), corpus::scope());
    let number = source.below(corpus::PROTOTYPES.len() + corpus::LEAVES.len() + 120);
    let known =
        corpus::PROTOTYPES.iter().chain(if leaf { corpus::LEAVES } else { &[] }).nth(number);
    if let Some(text) = known {
        return Some((corpus::For { model, abi, leaf }.plan(text), abi, scope));
    }
    let text = text::prototype(source);
    let prototype = Arc::new(parse_prototype(&text, scope).ok()?);
    let grants = |name: &str| -> Option<Arc<Prototype>> {
        let free = format!("void {name}(void *__sized_by(0) p)");
        parse_prototype(&free, scope).ok().map(Arc::new)
    };
    let target =
        Target { model, abi, leaf, scope, import: None, handle_types: &ByTag, grants: &grants };
    Some((compile(&prototype, &target).ok()?, abi, scope))
}

/// Runs a plan once, with arguments that often are right. Whether native code has run.
fn execute(plan: &Plan, abi: Abi, scope: &Scope, source: &mut Source<'_>, round: u8) -> bool {
    if plan.kind != Kind::Import {
        return false;
    }
    let wide = plan.facts.wide;
    let mut guest = vec![0; GUEST];
    let word = if wide { 8 } else { 4 };
    for at in (0..GUEST).step_by(word) {
        // Most of it is zero: strings and arrays end.
        let value: u64 = match source.byte() {
            0..=99 => 0,
            100..=139 => source.byte().into(),
            140..=179 => u64::from(source.byte()) * 8,
            180..=199 => 0x101 + u64::from(source.byte() % 6),
            200..=219 => source.integer(),
            _ => continue,
        };
        guest[at..at + word].copy_from_slice(&value.to_le_bytes()[..word]);
    }
    let mut memory = Memory::new(plan.frame.size.into(), guest);
    for (at, kind) in plan.handle_kinds.iter().enumerate() {
        for alive in [true, true, false] {
            let pointer = match boxed_size(plan, abi, scope, &kind.name) {
                Some(size) => memory.place(What::Object, vec![0; size]),
                None => memory.opaque(),
            };
            let handle = memory.adopt(pointer, kind.id);
            if let Some(object) = memory.handles.get_mut(&handle) {
                object.alive = alive && at < 200;
            }
        }
    }
    let slots = arguments(plan, &memory, source, round);
    Executor::new((plan, abi, scope), memory, slots, source).run()
}

/// The size of the objects that stand behind handles of a type, if guests mirror them.
fn boxed_size(plan: &Plan, abi: Abi, scope: &Scope, name: &str) -> Option<usize> {
    plan.prototype.function.params.iter().find_map(|param| {
        let pointee = param.ty.pointee()?;
        let TypeKind::Record(record) = &pointee.kind else { return None };
        let tag = record.tag.as_ref()?;
        let notes = scope.record_notes.get(&(record.kind, tag.name.clone()))?;
        let boxed = notes.iter().any(|note| note.kind == NoteKind::Boxed);
        let named = name.split_whitespace().last() == Some(&*tag.name);
        let size = extent_of(pointee, scope, Memories::Host(abi)).ok()?.size;
        (boxed && named).then(|| usize::try_from(size).expect("small"))
    })
}

/// What the guest passes.
fn arguments(plan: &Plan, memory: &Memory, source: &mut Source<'_>, round: u8) -> Vec<[u64; 2]> {
    let handles: Vec<u32> = memory.handles.keys().copied().collect();
    let mut slots = Vec::new();
    for (slot, ty) in plan.lowering.params.iter().enumerate() {
        let param = plan.param_of(u16::try_from(slot).expect("few"));
        let ty_of_param = plan.prototype.function.params.get(param).map(|param| &param.ty);
        let pointee = ty_of_param.and_then(|ty| ty.pointee());
        let likely = source.byte();
        let opaque = pointee.is_some_and(|ty| match &ty.kind {
            TypeKind::Record(record) => record.body.is_none(),
            _ => false,
        });
        let is_handle =
            opaque || ty_of_param.is_some_and(|ty| ty.has(|note| *note == NoteKind::Handle));
        let value = match (likely, pointee.is_some() || param >= plan.slots.len()) {
            (240.., _) => source.integer(),
            (225..240, _) => 0,
            _ if is_handle && !handles.is_empty() => source.pick(&handles).into(),
            (0..200, true) => u64::from(source.byte()) * 8 + 8 * u64::from(round),
            (200..220, true) => (GUEST as u64).wrapping_sub(source.integer() % 65),
            (..225, true) => u64::from(source.byte() % 4),
            (0..200, false) => u64::from(source.byte() % 12),
            _ => source.integer(),
        };
        let low = match ty {
            // Garbage above what means something.
            WasmType::I32 | WasmType::F32 => value & 0xffff_ffff | 0xa5a5_a5a5 << 32,
            _ => value,
        };
        slots.push([low, source.integer()]);
    }
    slots
}
