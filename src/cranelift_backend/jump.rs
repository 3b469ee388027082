//! Direct trampolines of most functions, by hand: a dozen or two instructions and a jump.
//!
//! Cranelift gives every function a frame, which costs as much as all that such a trampoline does. What they
//! do is so little that it can be written down:
//!
//! ```text
//! gate    the stack limit of the store that rsi leads to, against the gate of the context in rdi
//! check   each range of the guest's memory against the length in the context; the handle against its entry
//! ready   the native function's address, the memory's base
//! move    each integer two registers down: C has no contexts in front of them; floats are in place already
//! jump    to the native function, which returns to the guest; where the guest has arguments on its stack, a call,
//!         and a return that takes them away
//! ask     out of line: of the handle table, while a running call has handles to itself
//! redo    the ordinary function's context in rdi, everything else as it came, and a jump into it
//! ```
//!
//! Registers that are written before the first argument moves (rax, r10, r11) carry no arguments in either
//! convention. What is rare goes to *redo*, though it may be right: NULL, and what is empty and lies outside.
use super::Part;
use super::direct::places_of;
use super::machine::Machine;
use super::unwind::Table;
use crate::plan::abi::Location;
use crate::plan::frame::FrameLayout;
use crate::plan::op::{At, Count, Fate, Null, Op, Operand, Returns, Stub, Width};
use crate::plan::{Kind, Plan, WasmType};
use crate::signature::Variadic;
use assembler::Move;

mod assembler;
mod emit;

/// What is done when everything was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Call {
    /// First those on the stack: none of them needs a register that another has got.
    arguments: Vec<Argument>,
    /// Bytes of C's arguments on the stack.
    stack: u32,
    /// The call among the ops.
    op: usize,
    /// There is a frame, because the guest has arguments on its stack: so many bytes of them are taken away.
    frame: Option<u16>,
}

/// One argument that is no float.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Argument {
    to: To,
    from: From,
    what: What,
    /// What has decided it.
    op: usize,
}

/// Where C has an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum To {
    /// So far above the stack pointer.
    Stack(u32),
    /// The integer register of that number.
    Register(u8),
}

/// Where the guest has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    /// The integer register of that number, behind those of the two contexts.
    Register(u8),
    /// So far above the first argument on the stack.
    Stack(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Scalar(Move),
    Range(Range),
    /// A live handle of that kind; or NULL, if it may be.
    Handle {
        kind: u16,
        null: bool,
    },
}

/// Guest memory, in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    bytes: Bytes,
    /// A power of two.
    align: u8,
}

/// How long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bytes {
    Exactly(u32),
    /// As many elements of `size` bytes as the guest's `i32` says, in the integer register of that number.
    Of {
        integer: u8,
        signed: bool,
        size: u32,
    },
}

/// Code, and what of it is for what.
pub(super) struct Jump {
    pub machine: Machine,
    pub parts: Vec<(usize, Part)>,
    pub labels: Vec<(usize, &'static str)>,
}

/// The trampoline of a plan that needs no more; `None` for all others, and for those that are declined.
pub(super) fn jump(plan: &Plan) -> Option<Jump> {
    if !cfg!(all(target_arch = "x86_64", unix)) {
        return None;
    }
    let code = emit::emit(&call(plan)?);
    // Where nothing is pushed, native code that looks for its callers sees the guest.
    let table = Table::by_hand(code.bytes.len(), &code.rows);
    let machine =
        Machine { bytes: code.bytes.into(), align: 64, patches: code.patches.into(), table };
    let labels = code.labels.iter().map(|(label, at)| (*at, label.name())).collect();
    Some(Jump { machine, parts: code.parts, labels })
}

/// What is done for a plan.
fn call(plan: &Plan) -> Option<Call> {
    let facts = &plan.facts;
    if plan.kind != Kind::Import || !facts.leaf || facts.after || facts.errno || facts.marks {
        return None;
    }
    // `al` would have to say how many vector registers are used, and the jump goes through it.
    if plan.prototype.function.variadic != Variadic::No {
        return None;
    }
    let (before, rest) = plan.ops.split_at(plan.call.into());
    let [Op::Call { stub: Stub::Integers | Stub::Registers | Stub::Stack, returns }] = rest else {
        return None;
    };
    if !matches!(
        returns,
        Returns::Void | Returns::Int32 | Returns::Int64 | Returns::Float32 | Returns::Float64
    ) {
        return None;
    }
    if plan.frame.stack_align > 16 {
        return None;
    }
    let places = places_of(&plan.lowering.params).ok()?;
    let mut arguments: Vec<Argument> = Vec::new();
    let (mut floats, mut handles) = (0, 0);
    for (number, op) in before.iter().enumerate() {
        let (slot, to, what) = match *op {
            Op::Int32 { slot, to } | Op::ULong32 { slot, to } => {
                (slot, to, What::Scalar(Move::Zero32))
            }
            Op::Long32 { slot, to } => (slot, to, What::Scalar(Move::Sign32)),
            Op::Int64 { slot, to } => (slot, to, What::Scalar(Move::Whole)),
            Op::UInt16 { slot, to } => (slot, to, What::Scalar(Move::Zero16)),
            Op::Int16 { slot, to } => (slot, to, What::Scalar(Move::Sign16)),
            Op::UInt8 { slot, to } => (slot, to, What::Scalar(Move::Zero8)),
            Op::Int8 { slot, to } => (slot, to, What::Scalar(Move::Sign8)),
            Op::Float32 { slot, to } | Op::Float64 { slot, to } => {
                if !stays(*places.get(usize::from(slot))?, to) {
                    return None;
                }
                floats += 1;
                continue;
            }
            Op::Buffer { slot, to, count, size, align, null, param: _, extent: None }
                if !facts.wide && null != Null::Allowed =>
            {
                let bytes = bytes(count, size, &arguments)?;
                (slot, to, What::Range(Range { bytes, align }))
            }
            Op::Handle { slot, to, kind, null, fate: Fate::Kept } if !facts.wide => {
                handles += 1;
                (slot, to, What::Handle { kind, null: null == Null::Allowed })
            }
            _ => return None,
        };
        let from = match *places.get(usize::from(slot))? {
            Location::Integer(register) => From::Register(register.checked_sub(2)?),
            Location::Stack(at) => From::Stack(at),
            Location::Vector(_) | Location::X87(_) => return None,
        };
        let to = to_of(to, &plan.frame)?;
        let simple = match (what, from, to) {
            // Behind the two contexts, in the same order: none is overwritten before it has moved.
            (_, From::Register(from), To::Register(to)) => from == to,
            (What::Scalar(_), From::Stack(_), _) => true,
            _ => false,
        };
        if !simple {
            return None;
        }
        arguments.push(Argument { to, from, what, op: number });
    }
    let frame = guest_stack(&plan.lowering.params, &places)?;
    // One register has the native pointer of a handle, arguments pass through it on their way to the stack, and
    // asking the table would lose floats.
    if handles > 1 || handles == 1 && (floats > 0 || frame.is_some()) {
        return None;
    }
    let stack = u32::from(plan.frame.stack).next_multiple_of(16);
    if stack > 0 && frame.is_none() {
        return None;
    }
    arguments.sort_by_key(|argument| argument.to);
    Some(Call { arguments, stack, op: plan.call.into(), frame })
}

/// Where an op puts an integer.
fn to_of(at: At, frame: &FrameLayout) -> Option<To> {
    if let Some(number) = integer_of(at) {
        return Some(To::Register(number));
    }
    let above = at.offset().checked_sub(FrameLayout::STACK)?;
    (above < usize::from(frame.stack)).then(|| u32::try_from(above).ok().map(To::Stack))?
}

fn integer_of(at: At) -> Option<u8> {
    (0..6).find(|number| FrameLayout::integer(*number) == Some(at))
}

/// How many bytes of the guest's arguments on its stack the callee takes away, if there are any: 16 at a time.
fn guest_stack(params: &[WasmType], places: &[Location]) -> Option<Option<u16>> {
    let mut end = 0;
    for (param, place) in params.iter().zip(places) {
        if let Location::Stack(at) = place {
            let size = if *param == WasmType::V128 { 16 } else { 8 };
            end = end.max(at + size);
        }
    }
    let bytes = u16::try_from(end.next_multiple_of(16)).ok()?;
    Some((bytes > 0).then_some(bytes))
}

/// The length of a range, if it is easily computed.
fn bytes(count: Count, size: u32, arguments: &[Argument]) -> Option<Bytes> {
    // Instructions have numbers of 31 bits.
    let small = |number: u32| i32::try_from(number).is_ok().then_some(number);
    let Operand { at, width } = match count {
        Count::Exactly(count) => return Some(Bytes::Exactly(small(count.checked_mul(size)?)?)),
        Count::Of(operand) => operand,
    };
    let to = To::Register(integer_of(at)?);
    let Argument { what: What::Scalar(how), from: From::Register(integer), .. } =
        *arguments.iter().find(|argument| argument.to == to)?
    else {
        return None;
    };
    let signed = match (how, width) {
        (Move::Zero32, Width::U32 | Width::U64 | Width::I64) => false,
        (Move::Zero32, Width::I32) | (Move::Sign32, Width::I32 | Width::I64) => true,
        _ => return None,
    };
    Some(Bytes::Of { integer, signed, size: small(size)? })
}

/// Whether a float is where C wants it.
fn stays(from: Location, to: At) -> bool {
    match from {
        Location::Vector(number) => FrameLayout::vector(number) == Some(to),
        Location::Integer(_) | Location::Stack(_) | Location::X87(_) => false,
    }
}
