//! Machine code in words: what the processor executes, instruction by instruction, beside the ops that it is for.
//!
//! What is decoded are the bytes that are run, not what a compiler says that it emits. Instructions are spelled as Intel
//! does it: `mov eax, [rsi]` loads.
//!
//! Not here: where the bytes come from, and what knows what they are for (`emitted`).
use super::{Emitted, Part};
use crate::plan::Plan;
use crate::plan::abi::Abi;
use crate::plan::disassemble::describe_op;
use iced_x86::{
    Decoder, DecoderOptions, FlowControl, Formatter, Instruction, IntelFormatter, OpKind, Register,
    SymbolResolver, SymbolResult,
};
use std::collections::BTreeMap;

/// An instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Offset of its first byte.
    pub offset: usize,
    /// What jumps to it call it.
    pub label: Option<String>,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What it does.
    pub text: String,
    /// What is not to be seen in it.
    pub comment: Option<String>,
    /// What it is for.
    pub part: Part,
}

/// All instructions of some code that was made of a plan, in order, and then its constants.
#[must_use]
pub fn lines(code: &Emitted, plan: &Plan) -> Vec<Line> {
    let (instructions, constants) = decoded(&code.bytes);
    let labels = labels(code, &instructions, &constants);
    let mut formatter = formatter(Names { labels: labels.clone(), outside: code.outside.clone() });
    let mut known = Known::default();
    let mut lines = Vec::new();
    for instruction in &instructions {
        let (offset, end) = (place(instruction.ip()), place(instruction.next_ip()));
        let label = labels.get(&offset).cloned();
        if label.is_some() {
            known = Known::default();
        }
        let part = code.part_at(offset);
        let comment = known.comment(instruction, code, part, plan);
        let mut text = String::new();
        formatter.format(instruction, &mut text);
        let bytes = code.bytes.get(offset..end).unwrap_or_default().to_vec();
        lines.push(Line { offset, label, bytes, text, comment, part });
    }
    for (number, offset) in constants.iter().enumerate() {
        let end = constants.get(number + 1).copied().unwrap_or(code.bytes.len());
        let bytes = code.bytes.get(*offset..end).unwrap_or_default().to_vec();
        let text = format!("bytes {}", hexadecimal(&bytes));
        let (label, part) = (labels.get(offset).cloned(), Part::Around("constants"));
        lines.push(Line { offset: *offset, label, bytes, text, comment: None, part });
    }
    lines
}

/// The instructions, and where the constants behind them are that they read.
fn decoded(bytes: &[u8]) -> (Vec<Instruction>, Vec<usize>) {
    let mut decoder = Decoder::with_ip(64, bytes, 0, DecoderOptions::NONE);
    let mut instructions: Vec<Instruction> = Vec::new();
    let mut constants: Vec<usize> = Vec::new();
    while decoder.can_decode() {
        let at = decoder.position();
        let end = constants.iter().min().copied().unwrap_or(bytes.len());
        // Constants are aligned: zeros behind the last instruction are none.
        let padding = bytes.get(at..end).unwrap_or_default();
        let is_over = instructions.last().is_some_and(is_last) && padding.iter().all(|b| *b == 0);
        if at >= end || is_over {
            break;
        }
        let instruction = decoder.decode();
        if instruction.is_ip_rel_memory_operand() {
            let read = place(instruction.ip_rel_memory_address());
            if read < bytes.len() && !constants.contains(&read) {
                constants.push(read);
            }
        }
        instructions.push(instruction);
    }
    constants.sort_unstable();
    (instructions, constants)
}

/// Whether nothing runs behind it that nobody jumps to.
fn is_last(instruction: &Instruction) -> bool {
    use FlowControl::{IndirectBranch, Return, UnconditionalBranch};
    matches!(instruction.flow_control(), Return | IndirectBranch | UnconditionalBranch)
}

/// The same as text, with a line in front of what belongs together that says what it is for. With the bytes of each
/// instruction, if somebody wants to see them.
#[must_use]
pub fn text(code: &Emitted, plan: &Plan, with_bytes: bool) -> String {
    let lines = lines(code, plan);
    let mut text = String::new();
    let mut seen: Vec<Part> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        if at == 0 || lines[at - 1].part != line.part {
            let again = seen.contains(&line.part);
            text.push_str(&format!("; {}\n", heading(line.part, plan, again)));
            seen.push(line.part);
        }
        if let Some(label) = &line.label {
            text.push_str(&format!("{label}:\n"));
        }
        let bytes = match with_bytes {
            true => format!("{:<34}", hexadecimal(&line.bytes)),
            false => String::new(),
        };
        let comment = line.comment.as_ref().map(|comment| format!("; {comment}"));
        let width = if comment.is_some() { 34 } else { 0 };
        let comment = comment.unwrap_or_default();
        text.push_str(&format!("  {:04x}  {bytes}{:<width$}{comment}\n", line.offset, line.text));
    }
    text
}

/// What a part is for, in a line. `again`: that was said before.
#[must_use]
pub fn heading(part: Part, plan: &Plan, again: bool) -> String {
    let (op, rare) = match part {
        Part::Around(what) => return what.to_owned(),
        Part::Op { op, rare } => (op, rare),
    };
    let line = describe_op(plan, op, Abi::SysvX86_64);
    let line = line.trim_start();
    if !again && rare.is_none() {
        return line.to_owned();
    }
    // The number and the name of the op are enough then.
    let words: Vec<&str> = line.split_whitespace().take(2).collect();
    let rare = rare.map_or_else(|| ", more of it".to_owned(), |rare| format!(", rarely: {rare}"));
    format!("{}{rare}", words.join("  "))
}

/// `48 8b 07`
#[must_use]
pub fn hexadecimal(bytes: &[u8]) -> String {
    let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.join(" ")
}

fn formatter(names: Names) -> IntelFormatter {
    let mut formatter = IntelFormatter::with_options(Some(Box::new(names)), None);
    let options = formatter.options_mut();
    options.set_hex_prefix("0x");
    options.set_hex_suffix("");
    options.set_uppercase_hex(false);
    options.set_space_after_operand_separator(true);
    options.set_show_branch_size(false);
    options.set_branch_leading_zeros(false);
    formatter
}

/// Where an instruction jumps to, if that is inside of the code.
fn target(instruction: &Instruction, code: &Emitted) -> Option<usize> {
    let near = instruction.op_count() > 0 && instruction.op0_kind() == OpKind::NearBranch64;
    let target = near.then(|| place(instruction.near_branch_target()))?;
    (target < code.bytes.len()).then_some(target)
}

/// Names of all places that are jumped to, and of constants.
fn labels(
    code: &Emitted,
    instructions: &[Instruction],
    constants: &[usize],
) -> BTreeMap<usize, String> {
    let targets = instructions.iter().filter_map(|one| target(one, code));
    let mut labels: BTreeMap<usize, String> = targets.map(|at| (at, String::new())).collect();
    for (number, (at, label)) in labels.iter_mut().enumerate() {
        let given = code.labels.iter().find(|(known, _)| known == at);
        *label = given.map_or_else(|| format!("L{}", number + 1), |(_, name)| (*name).to_owned());
    }
    labels.extend(constants.iter().enumerate().map(|(at, place)| (*place, format!("C{}", at + 1))));
    labels
}

/// Names instead of numbers.
struct Names {
    labels: BTreeMap<usize, String>,
    outside: Vec<(usize, String)>,
}

impl Names {
    fn of(&self, instruction: &Instruction, operand: Option<u32>) -> Option<&str> {
        match instruction.op_kind(operand?) {
            OpKind::NearBranch64 => {
                self.labels.get(&place(instruction.near_branch_target())).map(String::as_str)
            }
            OpKind::Memory if instruction.is_ip_rel_memory_operand() => {
                self.labels.get(&place(instruction.ip_rel_memory_address())).map(String::as_str)
            }
            OpKind::Immediate64 => patched(&self.outside, instruction),
            _ => None,
        }
    }
}

impl SymbolResolver for Names {
    fn symbol(
        &mut self,
        instruction: &Instruction,
        _: u32,
        operand: Option<u32>,
        address: u64,
        _: u32,
    ) -> Option<SymbolResult<'_>> {
        Some(SymbolResult::with_str(address, self.of(instruction, operand)?))
    }
}

/// What the number in an instruction will be.
fn patched<'a>(outside: &'a [(usize, String)], instruction: &Instruction) -> Option<&'a str> {
    let inside = place(instruction.ip())..place(instruction.next_ip());
    outside.iter().find(|(at, _)| inside.contains(at)).map(|(_, name)| name.as_str())
}

/// Which register has the address of which routine, since the last label.
#[derive(Default)]
struct Known {
    routines: Vec<(Register, String)>,
}

impl Known {
    /// What is called, where that is known.
    fn comment(
        &mut self,
        instruction: &Instruction,
        code: &Emitted,
        part: Part,
        plan: &Plan,
    ) -> Option<String> {
        let indirect = instruction.is_call_near_indirect() || instruction.is_jmp_near_indirect();
        if !indirect {
            if instruction.op_count() > 0 && instruction.op0_kind() == OpKind::Register {
                let register = instruction.op0_register().full_register();
                self.routines.retain(|(known, _)| *known != register);
                let name = patched(&code.outside, instruction);
                self.routines.extend(name.map(|name| (register, name.to_owned())));
            }
            return None;
        }
        let register = match instruction.op0_kind() {
            OpKind::Register => Some(instruction.op0_register().full_register()),
            _ => None,
        };
        let routine = self.routines.iter().find(|(known, _)| Some(*known) == register);
        let routine = routine.map(|(_, name)| name.clone());
        let is_call = matches!(part, Part::Op { op, .. } if op == usize::from(plan.call));
        routine.or_else(|| is_call.then(|| format!("`{}`", plan.prototype.name)))
    }
}

fn place(address: u64) -> usize {
    usize::try_from(address).unwrap_or(usize::MAX)
}
