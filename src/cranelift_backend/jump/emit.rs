//! The machine code of a direct trampoline by hand: see the module above for what it does, and in what order.
use super::assembler::{
    Code, Label, Move, R8, R9, R10, R11, RAX, RCX, RDI, RDX, RSI, Register, When, With,
};
use super::{Argument, Bytes, Call, From, Range, To, What};
use crate::cranelift_backend::Part;
use crate::cranelift_backend::direct::{Context, FuncRef, stack_limit, store_context};
use crate::cranelift_backend::helpers::Helper;
use crate::cranelift_backend::machine::Outside;
use crate::cranelift_backend::unwind::Row;
use crate::plan::binding::Gate;
use crate::plan::handles::{Entry, INDEX_BITS};
use crate::plan::op::Fate;
use crate::plan::{Binding, StoreBlock};
use std::mem::offset_of;

/// Where C has integers, and where the guest has them.
const TO: [Register; 6] = [RDI, RSI, RDX, RCX, R8, R9];
const FROM: [Register; 4] = [RDX, RCX, R8, R9];
/// What a call of the handle table must leave as it is.
const KEPT: [Register; 6] = [RDI, RSI, RDX, RCX, R8, R9];

const BINDING: usize = offset_of!(Context, binding);

pub(super) fn emit(call: &Call) -> Code {
    Code::assemble(|code| {
        let handle = call.arguments.iter().find_map(|argument| match *argument {
            Argument { what: What::Handle { kind, null }, from, op, .. } => {
                Some((kind, null, register(from)?, op))
            }
            _ => None,
        });
        let op = |op| Part::Op { op, rare: None };
        let mut ranges = false;
        code.part(Part::Around("gate: whether native code finds enough stack"));
        gate(code);
        for Argument { what, from, op: of, .. } in &call.arguments {
            if let (What::Range(range), Some(from)) = (what, register(*from)) {
                code.part(op(*of));
                inside(code, range, from);
                ranges = true;
            }
        }
        if let Some((kind, null, from, of)) = handle {
            code.part(op(of));
            look(code, kind, null, from);
        }
        code.part(op(call.op));
        if call.frame.is_some() {
            code.raw(&[0x55]); // push rbp
            code.row(Row::FramePushed);
            code.raw(&[0x48, 0x89, 0xe5]); // mov rbp, rsp
            code.row(Row::Frame);
            if call.stack > 0 {
                code.make_room(call.stack);
            }
        }
        code.memory(With::Load, RAX, RDI, BINDING + offset_of!(Binding, target));
        if ranges {
            code.memory(With::Load, R10, RDI, BINDING + offset_of!(Binding, memory_base));
        }
        for argument in &call.arguments {
            code.part(op(argument.op));
            place(code, argument);
        }
        code.part(op(call.op));
        if let Some(popped) = call.frame {
            code.raw(&[0xff, 0xd0]); // call rax
            code.raw(&[0xc9]); // leave
            code.row(Row::FrameGone);
            let [low, high] = popped.to_le_bytes();
            code.raw(&[0xc2, low, high]); // ret, and so many bytes
        } else {
            code.raw(&[0xff, 0xe0]); // jmp rax
        }
        if let Some((kind, null, from, op)) = handle {
            code.part(Part::Op { op, rare: Some("the handle table is asked") });
            ask(code, op, kind, null, from);
        }
        code.part(Part::Around("redo: the interpreter makes the call"));
        code.label(Label::Redo);
        code.memory(With::Load, RAX, RDI, offset_of!(Context, redo));
        code.memory(With::Load, RDI, RAX, offset_of!(FuncRef, vmctx));
        code.jump_through(RAX, offset_of!(FuncRef, wasm_call));
    })
}

fn register(from: From) -> Option<Register> {
    match from {
        From::Register(number) => FROM.get(usize::from(number)).copied(),
        From::Stack(_) => None,
    }
}

/// Everything was checked: an argument gets where C has it. They come in an order in which none is overwritten.
fn place(code: &mut Code, argument: &Argument) {
    // Above the saved frame pointer and the return address.
    const ARGUMENTS: u32 = 16;
    let to = match argument.to {
        To::Register(number) => TO[usize::from(number)],
        To::Stack(_) => R11,
    };
    match (argument.what, argument.from) {
        (What::Scalar(how), From::Register(from)) => code.widen(how, to, FROM[usize::from(from)]),
        (What::Scalar(how), From::Stack(at)) => code.widen_argument(how, to, ARGUMENTS + at),
        (What::Range(_), From::Register(from)) => {
            code.widen(Move::Zero32, to, FROM[usize::from(from)]);
            code.add(to, R10);
        }
        (What::Handle { .. }, From::Register(_)) => code.widen(Move::Whole, to, R11),
        (What::Range(_) | What::Handle { .. }, From::Stack(_)) => {}
    }
    if let To::Stack(at) = argument.to {
        code.store(at, to);
    }
}

/// The stack limit of the store that rsi leads to, against the gate of the context in rdi.
fn gate(code: &mut Code) {
    code.memory(With::Load, R11, RSI, store_context());
    code.memory(With::Load, R11, R11, stack_limit());
    code.memory(With::Load, RAX, RDI, offset_of!(Context, gate));
    code.memory(With::Subtract, R11, RAX, Gate::LOW);
    code.memory(With::Compare, R11, RAX, Gate::SPAN);
    code.jump(When::Above, Label::Redo);
}

/// A range of the guest's memory that does not start at 0 and ends inside.
fn inside(code: &mut Code, range: &Range, from: Register) {
    code.test(from, false);
    code.jump(When::Equal, Label::Redo);
    if range.align > 1 {
        code.test_bits(from, range.align - 1);
        code.jump(When::NotEqual, Label::Redo);
    }
    // Both are below 2^32, and so is the size: no sum or product wraps.
    match range.bytes {
        Bytes::Exactly(bytes) => {
            code.widen(Move::Zero32, RAX, from);
            code.add_number(RAX, bytes);
        }
        Bytes::Of { integer, signed, size } => {
            let count = FROM[usize::from(integer)];
            code.widen(if signed { Move::Sign32 } else { Move::Zero32 }, R10, count);
            if signed {
                code.test(R10, true);
                code.jump(When::Negative, Label::Redo);
            }
            if size != 1 {
                code.multiply(R10, size);
            }
            code.widen(Move::Zero32, RAX, from);
            code.add(RAX, R10);
        }
    }
    code.memory(With::Compare, RAX, RDI, BINDING + offset_of!(Binding, memory_len));
    code.jump(When::Above, Label::Redo);
}

/// The native pointer of a handle into r11, if the table's entry says all that must be known.
fn look(code: &mut Code, kind: u16, null: bool, from: Register) {
    code.memory(With::Load, R11, RDI, BINDING + offset_of!(Binding, store));
    code.widen(Move::Zero32, RAX, from);
    code.and_number(RAX, (1 << INDEX_BITS) - 1);
    code.memory(With::Compare, RAX, R11, StoreBlock::HANDLE_COUNT);
    code.jump(When::AboveOrEqual, Label::Ask);
    const { assert!(size_of::<Entry>() == 64, "shifted") };
    code.shift_left(RAX, 6);
    code.memory(With::Add, RAX, R11, StoreBlock::HANDLE_ENTRIES);
    code.memory(With::Compare32, from, RAX, offset_of!(Entry, handle));
    code.jump(When::NotEqual, if null { Label::Null } else { Label::Redo });
    // NULL is what free slots have there, but they are of no type.
    code.outside(R10, Outside::HandleType(kind));
    code.memory(With::Compare32, R10, RAX, offset_of!(Entry, kind));
    code.jump(When::NotEqual, if null { Label::Null } else { Label::Redo });
    code.memory(With::Load, R11, RAX, offset_of!(Entry, pointer));
    code.label(Label::Ready);
}

/// Out of line: what the table knows and an entry does not say.
fn ask(code: &mut Code, op: usize, kind: u16, null: bool, from: Register) {
    code.label(Label::Ask);
    let mut pushed = 8;
    for register in KEPT {
        code.push(register);
        pushed += 8;
        code.row(Row::Pushed(pushed));
    }
    // The call of this code has pushed one word, this the seventh and eighth: aligned to 16 bytes.
    code.raw(&[0x48, 0x83, 0xec, 8]); // sub rsp, 8
    code.row(Row::Pushed(pushed + 8));
    code.memory(With::Load, RDI, RDI, BINDING + offset_of!(Binding, store));
    code.widen(Move::Zero32, RSI, from);
    code.outside(RDX, Outside::HandleType(kind));
    const { assert!(Fate::Kept as u64 == 0, "the fourth argument") };
    code.clear(RCX);
    code.outside(RAX, Outside::Helper(Helper::EnterHandle));
    code.raw(&[0xff, 0xd0]); // call rax
    code.raw(&[0x48, 0x83, 0xc4, 8]); // add rsp, 8
    code.row(Row::Pushed(pushed));
    for register in KEPT.into_iter().rev() {
        code.pop(register);
        pushed -= 8;
        code.row(Row::Pushed(pushed));
    }
    code.widen(Move::Whole, R11, RAX);
    code.test(R11, true);
    code.jump(When::NotEqual, Label::Ready);
    code.jump(When::Always, Label::Redo);
    if null {
        code.part(Part::Op { op, rare: Some("NULL") });
        code.label(Label::Null);
        code.test(from, false);
        code.jump(When::NotEqual, Label::Redo);
        code.clear(R11);
        code.jump(When::Always, Label::Ready);
    }
}
