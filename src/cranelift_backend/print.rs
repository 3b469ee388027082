//! CLIF and machine code to be read.
use super::Unsupported;
use super::compile::compiler;
use super::lower::Notes;
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
    let compiler = compiler()?;
    let lowered = compiler.lower(plan)?;
    let mut clif = String::new();
    let mut writer = Commented { plan, notes: &lowered.notes };
    // Writing to a string does not fail.
    let _ = decorate_function(&mut writer, &mut clif, &lowered.function);
    let mut assembly = compiler.assembly(lowered.function)?;
    for (_, helper) in &lowered.notes.helpers {
        assembly = assembly.replace(&helper.address().to_string(), helper.name());
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
        let mut line = String::new();
        PlainWriter.write_instruction(&mut line, func, aliases, inst, indent)?;
        // Addresses differ from one run to the next: neither as constants, nor in the comments that say
        // which constants an instruction uses.
        for (constant, helper) in &self.notes.helpers {
            let constant = Inst::from_u32(*constant);
            let value = func.dfg.first_result(constant);
            if constant == inst {
                let before = line.split_once("iconst.i64").map_or("", |(before, _)| before);
                return writeln!(w, "{before}iconst.i64 {}", helper.name());
            }
            if let Some((before, _)) = line.split_once(&format!("  ; {value} = ")) {
                return writeln!(w, "{before}");
            }
        }
        w.write_str(&line)
    }
}
