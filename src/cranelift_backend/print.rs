//! CLIF and machine code to be read.
use super::Unsupported;
use super::callback;
use super::compile::{Compiler, compiler};
use super::emitted::{Emitted, Part, number};
use super::jump::{Jump, jump};
use super::lower::{Lowered, NAMES, Notes, Way};
use crate::plan::abi::Abi;
use crate::plan::disassemble::describe_op;
use crate::plan::{Kind, Plan};
use cranelift_codegen::entity::SecondaryMap;
use cranelift_codegen::ir::{Block, Function, Inst, Value};
use cranelift_codegen::write::{FuncWriter, PlainWriter, decorate_function};
use std::fmt::{self, Write};

/// What a plan becomes.
#[derive(Clone, Debug)]
pub struct Listing {
    /// CLIF, with the ops that it was made of; `None` where the code is written down instruction by instruction.
    pub clif: Option<String>,
    /// The machine code.
    pub code: Emitted,
}

/// What a plan becomes.
///
/// # Errors
/// Why it has no trampoline.
pub fn listing(plan: &Plan) -> Result<Listing, Unsupported> {
    listing_of(plan, Way::Array)
}

/// What a plan becomes where the guest's code enters it by itself.
///
/// # Errors
/// Why it has no direct trampoline.
pub fn direct_listing(plan: &Plan) -> Result<Listing, Unsupported> {
    match by_hand(plan) {
        Some(listing) => Ok(listing),
        None => listing_of(plan, Way::Direct),
    }
}

/// What a plan becomes on a processor that has nothing but what every x86-64 processor has: the same text everywhere.
/// `direct`: where the guest's code enters it by itself.
///
/// # Errors
/// Why there is none.
pub fn portable_listing(plan: &Plan, direct: bool) -> Result<Listing, Unsupported> {
    let compiler = Compiler::portable()?;
    match by_hand(plan).filter(|_| direct) {
        Some(listing) => Ok(listing),
        None => listing_by(&compiler, plan, if direct { Way::Direct } else { Way::Array }),
    }
}

fn by_hand(plan: &Plan) -> Option<Listing> {
    let Jump { machine, parts, labels } = jump(plan)?;
    Some(Listing { clif: None, code: Emitted { labels, ..Emitted::new(&machine, parts) } })
}

pub(super) fn listing_of(plan: &Plan, way: Way) -> Result<Listing, Unsupported> {
    listing_by(compiler()?, plan, way)
}

fn listing_by(compiler: &Compiler, plan: &Plan, way: Way) -> Result<Listing, Unsupported> {
    let mut lowered = compiler.lower(plan, way)?;
    let mut clif = String::new();
    let mut writer = Commented { plan, notes: &lowered.notes };
    // Writing to a string does not fail.
    let _ = decorate_function(&mut writer, &mut clif, &lowered.function);
    for (number, what) in lowered.notes.outside.iter().enumerate().rev() {
        let name = format!("%{}", what.name());
        for known_as in [format!("u{NAMES}:{number}"), format!("userextname{number}")] {
            clif = clif.replace(&known_as, &name);
        }
    }
    let parts = number(&mut lowered.function, &lowered.notes);
    let Lowered { function, notes, signature, .. } = lowered;
    let (machine, ranges) = compiler.finish_numbered(function, &notes.outside)?;
    let part = |(start, number): (u32, u32)| Some((start as usize, *parts.get(number as usize)?));
    let code = Emitted::new(&machine, ranges.into_iter().filter_map(part).collect());
    let code = match plan.kind {
        Kind::Callback => {
            let head = callback::head(signature.integers.saturating_sub(1))?;
            code.behind(&head, Part::Around("a stub of the closure's has jumped here"))
        }
        Kind::Import | Kind::Call | Kind::Closure => code,
    };
    Ok(Listing { clif: Some(clif), code })
}

struct Commented<'a> {
    plan: &'a Plan,
    notes: &'a Notes,
}

impl FuncWriter for Commented<'_> {
    fn write_block_header(
        &mut self,
        w: &mut dyn Write,
        func: &Function,
        block: Block,
        indent: usize,
    ) -> fmt::Result {
        let found = self.notes.blocks.iter().find(|(number, _)| *number == block.as_u32());
        if let Some((_, what)) = found {
            writeln!(w, "; {what}")?;
        }
        PlainWriter.write_block_header(w, func, block, indent)
    }

    fn write_instruction(
        &mut self,
        w: &mut dyn Write,
        func: &Function,
        aliases: &SecondaryMap<Value, Vec<Value>>,
        inst: Inst,
        indent: usize,
    ) -> fmt::Result {
        let number = inst.as_u32();
        for (_, op) in self.notes.ops.iter().filter(|(first, _)| *first == number) {
            let line = describe_op(self.plan, *op, Abi::SysvX86_64);
            writeln!(w, "{:indent$}; {}", "", line.trim_start())?;
        }
        PlainWriter.write_instruction(w, func, aliases, inst, indent)
    }
}
