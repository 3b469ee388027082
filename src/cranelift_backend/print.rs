//! CLIF and machine code to be read.
use super::Unsupported;
use super::compile::compiler;
use super::jump::{Jump, jump};
use super::lower::{NAMES, Notes, Way};
use crate::plan::Plan;
use crate::plan::abi::Abi;
use crate::plan::disassemble::describe_op;
use cranelift_codegen::entity::SecondaryMap;
use cranelift_codegen::ir::{Block, Function, Inst, Value};
use cranelift_codegen::write::{FuncWriter, PlainWriter, decorate_function};
use std::fmt::{self, Write};

/// What a plan becomes.
#[derive(Clone, Debug)]
pub struct Listing {
    /// CLIF, with the ops that it was made of.
    pub clif: String,
    /// The code of this processor, as Cranelift writes it.
    pub assembly: String,
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
    if let Some(Jump { text, .. }) = jump(plan) {
        return Ok(Listing { clif: format!("none, this is by hand:\n{text}"), assembly: text });
    }
    listing_of(plan, Way::Direct)
}

pub(super) fn listing_of(plan: &Plan, way: Way) -> Result<Listing, Unsupported> {
    let compiler = compiler()?;
    let lowered = compiler.lower(plan, way)?;
    let mut clif = String::new();
    let mut writer = Commented { plan, notes: &lowered.notes };
    // Writing to a string does not fail.
    let _ = decorate_function(&mut writer, &mut clif, &lowered.function);
    let mut assembly = compiler.assembly(lowered.function)?;
    for (number, what) in lowered.notes.outside.iter().enumerate().rev() {
        let name = format!("%{}", what.name());
        for known_as in [format!("u{NAMES}:{number}"), format!("userextname{number}")] {
            clif = clif.replace(&known_as, &name);
        }
        assembly = assembly.replace(&format!("userextname{number}"), &name);
    }
    Ok(Listing { clif, assembly })
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
