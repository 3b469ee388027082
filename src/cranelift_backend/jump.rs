//! Direct trampolines of functions of a few scalars, by hand: a dozen instructions and a jump.
//!
//! Cranelift gives every function a frame, which costs as much as all that such a trampoline does. What they
//! do is so little that it can be written down:
//!
//! ```text
//! gate    the stack limit of the store that rsi leads to, against the gate of the context in rdi
//! move    each integer two registers down: C has no contexts in front of them; floats are in place already
//! jump    to the native function, which returns to the guest
//! redo    the ordinary function's context in rdi, everything else as it came, and a jump into it
//! ```
//!
//! Registers that are written before the first argument moves (rax, r11) carry no arguments in either
//! convention.
use super::direct::{Context, FuncRef, places_of, stack_limit, store_context};
use super::machine::Machine;
use crate::plan::abi::Location;
use crate::plan::binding::Gate;
use crate::plan::frame::FrameLayout;
use crate::plan::op::{At, Op, Returns, Stub};
use crate::plan::{Binding, Kind, Plan};
use crate::signature::Variadic;
use std::mem::offset_of;

/// How an integer is made wider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    Zero32,
    Sign32,
    Whole,
    Zero16,
    Sign16,
    Zero8,
    Sign8,
}

/// Code, and how it reads.
pub(super) struct Jump {
    pub machine: Machine,
    pub text: String,
}

/// Registers as instructions number them.
const RAX: u8 = 0;
const RCX: u8 = 1;
const RDX: u8 = 2;
const RSI: u8 = 6;
const RDI: u8 = 7;
const R8: u8 = 8;
const R9: u8 = 9;
const R11: u8 = 11;

/// Where C has integers, and where the guest has them.
const TO: [u8; 4] = [RDI, RSI, RDX, RCX];
const FROM: [u8; 4] = [RDX, RCX, R8, R9];

/// The trampoline of a plan that needs no more; `None` for all others, and for those that are declined.
pub(super) fn jump(plan: &Plan) -> Option<Jump> {
    if !cfg!(all(target_arch = "x86_64", unix)) {
        return None;
    }
    let facts = &plan.facts;
    if plan.kind != Kind::Import || !facts.leaf || facts.after || facts.errno || facts.marks {
        return None;
    }
    // `al` would have to say how many vector registers are used, and the jump goes through it.
    if plan.prototype.function.variadic != Variadic::No {
        return None;
    }
    let (before, rest) = plan.ops.split_at(plan.call.into());
    let [Op::Call { stub: Stub::Integers | Stub::Registers, returns }] = rest else { return None };
    if !matches!(
        returns,
        Returns::Void | Returns::Int32 | Returns::Int64 | Returns::Float32 | Returns::Float64
    ) {
        return None;
    }
    let places = places_of(&plan.lowering.params).ok()?;
    if plan.frame.stack > 0 || places.iter().any(|place| matches!(place, Location::Stack(_))) {
        return None;
    }
    let mut moves = [None; 4];
    for op in before {
        let (slot, to, how) = match *op {
            Op::Int32 { slot, to } | Op::ULong32 { slot, to } => (slot, to, Move::Zero32),
            Op::Long32 { slot, to } => (slot, to, Move::Sign32),
            Op::Int64 { slot, to } => (slot, to, Move::Whole),
            Op::UInt16 { slot, to } => (slot, to, Move::Zero16),
            Op::Int16 { slot, to } => (slot, to, Move::Sign16),
            Op::UInt8 { slot, to } => (slot, to, Move::Zero8),
            Op::Int8 { slot, to } => (slot, to, Move::Sign8),
            Op::Float32 { slot, to } | Op::Float64 { slot, to } => {
                if !stays(*places.get(usize::from(slot))?, to) {
                    return None;
                }
                continue;
            }
            _ => return None,
        };
        // Behind the two contexts, in the same order.
        let Location::Integer(from) = *places.get(usize::from(slot))? else { return None };
        let number = from.checked_sub(2)?;
        if FrameLayout::integer(number) != Some(to) {
            return None;
        }
        *moves.get_mut(usize::from(number))? = Some(how);
    }
    Some(emit(&moves))
}

/// Whether a float is where C wants it.
fn stays(from: Location, to: At) -> bool {
    match from {
        Location::Vector(number) => FrameLayout::vector(number) == Some(to),
        Location::Integer(_) | Location::Stack(_) | Location::X87(_) => false,
    }
}

/// Instructions, as bytes and as text.
#[derive(Default)]
struct Code {
    bytes: Vec<u8>,
    text: String,
}

impl Code {
    fn add(&mut self, bytes: &[u8], text: &str) {
        self.bytes.extend_from_slice(bytes);
        self.text.push_str("  ");
        self.text.push_str(text);
        self.text.push('\n');
    }

    /// An instruction with a register and memory at `base` and an offset of one byte.
    fn memory(&mut self, opcode: u8, register: u8, base: u8, offset: usize, text: &str) {
        let rex = 0x48 | (register >> 3) << 2 | base >> 3;
        let operands = 0x40 | (register & 7) << 3 | base & 7;
        self.add(&[rex, opcode, operands, byte(offset)], text);
    }

    /// `to` gets `from`.
    fn register(&mut self, how: Move, to: u8, from: u8) {
        let (wide, opcode, name): (u8, &[u8], _) = match how {
            Move::Zero32 => (0x40, &[0x8b], "movl"),
            Move::Sign32 => (0x48, &[0x63], "movslq"),
            Move::Whole => (0x48, &[0x8b], "movq"),
            Move::Zero16 => (0x40, &[0x0f, 0xb7], "movzwl"),
            Move::Sign16 => (0x48, &[0x0f, 0xbf], "movswq"),
            Move::Zero8 => (0x40, &[0x0f, 0xb6], "movzbl"),
            Move::Sign8 => (0x48, &[0x0f, 0xbe], "movsbq"),
        };
        let mut bytes = vec![wide | (to >> 3) << 2 | from >> 3];
        bytes.extend_from_slice(opcode);
        bytes.push(0xc0 | (to & 7) << 3 | from & 7);
        self.add(&bytes, &format!("{name} {}, {}", name_of(from), name_of(to)));
    }
}

fn name_of(register: u8) -> &'static str {
    match register {
        RAX => "%rax",
        RCX => "%rcx",
        RDX => "%rdx",
        RSI => "%rsi",
        RDI => "%rdi",
        R8 => "%r8",
        R9 => "%r9",
        _ => "%r11",
    }
}

/// An offset of a structure whose parts are near its start.
fn byte(offset: usize) -> u8 {
    debug_assert!(offset < 0x80, "structures are small");
    u8::try_from(offset & 0x7f).unwrap_or(0)
}

const MOV: u8 = 0x8b;
const SUB: u8 = 0x2b;
const CMP: u8 = 0x3b;

fn emit(moves: &[Option<Move>; 4]) -> Jump {
    let mut redo = Code::default();
    let door = offset_of!(Context, redo);
    redo.memory(MOV, RAX, RDI, door, &format!("movq {door}(%rdi), %rax"));
    let vmctx = offset_of!(FuncRef, vmctx);
    redo.memory(MOV, RDI, RAX, vmctx, &format!("movq {vmctx}(%rax), %rdi"));
    let call = offset_of!(FuncRef, wasm_call);
    redo.add(&[0xff, 0x60, byte(call)], &format!("jmpq *{call}(%rax)"));

    let mut pass = Code::default();
    let target = offset_of!(Context, binding) + offset_of!(Binding, target);
    pass.memory(MOV, RAX, RDI, target, &format!("movq {target}(%rdi), %rax"));
    for ((how, to), from) in moves.iter().zip(TO).zip(FROM) {
        if let Some(how) = how {
            pass.register(*how, to, from);
        }
    }
    pass.add(&[0xff, 0xe0], "jmpq *%rax");

    let mut code = Code::default();
    let (store, limit) = (store_context(), stack_limit());
    code.memory(MOV, R11, RSI, store, &format!("movq {store}(%rsi), %r11"));
    code.memory(MOV, R11, R11, limit, &format!("movq {limit}(%r11), %r11"));
    let gate = offset_of!(Context, gate);
    code.memory(MOV, RAX, RDI, gate, &format!("movq {gate}(%rdi), %rax"));
    code.memory(SUB, R11, RAX, Gate::LOW, &format!("subq {}(%rax), %r11", Gate::LOW));
    code.memory(CMP, R11, RAX, Gate::SPAN, &format!("cmpq {}(%rax), %r11", Gate::SPAN));
    code.add(&[0x77, byte(pass.bytes.len())], "ja redo");
    code.bytes.extend(pass.bytes);
    code.text += &pass.text;
    code.bytes.extend(redo.bytes);
    code.text = format!("{}redo:\n{}", code.text, redo.text);
    // No frame: native code that looks for its callers sees the guest.
    let machine =
        Machine { bytes: code.bytes.into(), align: 32, patches: Box::default(), table: None };
    Jump { machine, text: code.text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_encoded_as_the_manual_says() {
        let Jump { machine, text } =
            emit(&[Some(Move::Zero32), Some(Move::Sign32), Some(Move::Whole), Some(Move::Sign8)]);
        let expected: &[&[u8]] = &[
            &[0x4c, 0x8b, 0x5e, 0x08],
            &[0x4d, 0x8b, 0x5b, 0x18],
            &[0x48, 0x8b, 0x47, 0x08],
            &[0x4c, 0x2b, 0x58, 0x00],
            &[0x4c, 0x3b, 0x58, 0x08],
            &[0x77, 19],
            &[0x48, 0x8b, 0x47, 0x30],
            &[0x40, 0x8b, 0xfa],
            &[0x48, 0x63, 0xf1],
            &[0x49, 0x8b, 0xd0],
            &[0x49, 0x0f, 0xbe, 0xc9],
            &[0xff, 0xe0],
            &[0x48, 0x8b, 0x47, 0x10],
            &[0x48, 0x8b, 0x78, 0x18],
            &[0xff, 0x60, 0x08],
        ];
        assert_eq!(*machine.bytes, expected.concat(), "{text}");
    }
}
