//! Plans without a guest: calls on plain C values, and calls that native code makes.
//!
//! # What it proves
//!
//! *Calls.* Every byte that the C ABI puts into a register or stack slot is written exactly once, from
//! that byte of that argument; scalars are extended as their types ask; nothing else is written.
//! The stub loads every register that has an argument and keeps every one that has a result. Every byte
//! of a result that registers bring is written exactly once, from the right register; nothing is written
//! outside of it. The address of a result in memory is the caller's.
//!
//! *Closures.* There is one op an argument, in order. Where it is lent in place, its bytes lie there side
//! by side, aligned; where it is put together, each byte comes from its register, into scratch memory
//! that nothing else uses. The result is read as its type asks and every byte of it that the ABI puts
//! into a register is.
//!
//! *Both.* The frame is as large as the ABI asks; tables that have no use here are empty, the others
//! have no unused entry.
//!
//! # What it does not prove
//!
//! That the caller's pointers point at values of the prototype's types: whoever calls promises it.
use super::error::{Fault, VerifyError};
use super::{Checked, image};
use crate::plan::abi::{Abi, Assignment, Location, Piece, Value, assign};
use crate::plan::disassemble::mnemonic;
use crate::plan::frame::{FrameLayout, MAX_STACK_AREA, SCRATCH};
use crate::plan::layout::Scalar;
use crate::plan::moves::{Move, MoveKind};
use crate::plan::op::{At, Fetch, NativeOp, Op, Phase, Returns, Stub, Width};
use crate::plan::{Facts, Kind, Lowering, Plan};
use crate::signature::{Float, Integer, MAX_PARAMS, Scope, TypeKind, Variadic};
use std::collections::BTreeMap;

pub(super) mod closure;

/// Decides whether a plan that is not an import's may run.
pub(super) fn verify(plan: &Plan, abi: Abi) -> Result<(), VerifyError> {
    let whole = |context| move |fault| VerifyError { op: None, context, fault };
    let mut outside = Outside::new(plan, abi).map_err(whole("prototype"))?;
    outside.frame().map_err(whole("frame"))?;
    outside.nothing_else().map_err(whole("tables"))?;
    let mut last = Phase::Before;
    for (index, op) in plan.ops.iter().enumerate() {
        outside.index = index;
        outside
            .phase(op, &mut last)
            .and_then(|()| outside.op(op))
            .map_err(|fault| VerifyError { op: Some(index), context: mnemonic(op), fault })?;
    }
    outside.done().map_err(whole("end"))
}

/// What a byte of the frame, or of a result, holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Byte {
    /// That byte of that argument.
    Of(usize, u64),
    /// What makes the eight bytes of a narrow scalar whole.
    Extension(usize),
    /// The address where the result goes.
    Destination,
}

/// A plan that is being read.
struct Outside<'p> {
    plan: &'p Plan,
    abi: Abi,
    assignment: Assignment,
    /// What ops have written, and which.
    written: BTreeMap<usize, (Byte, usize)>,
    /// Scratch memory in use, by ranges.
    scratch: Vec<(usize, usize)>,
    /// Arguments of a closure that have been lent.
    lent: usize,
    called: bool,
    replied: bool,
    moves: Vec<bool>,
    index: usize,
}

impl<'p> Outside<'p> {
    fn new(plan: &'p Plan, abi: Abi) -> Checked<Outside<'p>> {
        let function = &plan.prototype.function;
        if function.params.len() > MAX_PARAMS {
            return Err(Fault::Prototype(format!("it has more than {MAX_PARAMS} parameters")));
        }
        if let Variadic::Untyped(_) = function.variadic {
            return Err(Fault::Prototype("it has untyped arguments".to_owned()));
        }
        let assignment = assign(function, &Scope::default(), abi)
            .map_err(|error| Fault::Prototype(error.to_string()))?;
        if usize::try_from(assignment.stack_size).is_ok_and(|size| size <= MAX_STACK_AREA) {
            Ok(Outside {
                plan,
                abi,
                assignment,
                written: BTreeMap::new(),
                scratch: Vec::new(),
                lent: 0,
                called: false,
                replied: false,
                moves: vec![false; plan.moves.len()],
                index: 0,
            })
        } else {
            Err(Fault::Prototype("its arguments take too much stack".to_owned()))
        }
    }

    fn frame(&self) -> Checked {
        let part = |part, expected: usize, found: u16| {
            let found = usize::from(found);
            if expected == found { Ok(()) } else { Err(Fault::Frame { part, expected, found }) }
        };
        let whole = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
        let FrameLayout { stack, stack_align, locals, size, align } = self.plan.frame;
        let area = whole(self.assignment.stack_size).next_multiple_of(16);
        let start = match self.plan.kind {
            Kind::Import | Kind::Call => FrameLayout::STACK,
            Kind::Closure | Kind::Callback => FrameLayout::CALLER_STACK,
        };
        part("stack area", area, stack)?;
        part("alignment of the stack area", whole(self.assignment.stack_align), stack_align)?;
        part("alignment", 16, align)?;
        part("start of cells and locals", start + area, locals)?;
        part("size", start + area, size)
    }

    /// What only imports have.
    fn nothing_else(&self) -> Checked {
        let plan = self.plan;
        if plan.lowering != Lowering::default() {
            return Err(Fault::Lowering("the whole prototype".to_owned()));
        }
        for (table, is_empty) in [
            ("expressions", plan.expressions.is_empty()),
            ("ranges", plan.ranges.is_empty()),
            ("slots", plan.slots.is_empty()),
            ("callees", plan.callees.is_empty()),
            ("handle kinds", plan.handle_kinds.is_empty()),
            ("callbacks", plan.callbacks.is_empty()),
            ("names", plan.names.is_empty()),
        ] {
            if !is_empty {
                return Err(Fault::Unused { table, index: 0 });
            }
        }
        let after = plan.ops.len() > usize::from(plan.call) + 1;
        if plan.facts == (Facts { after, ..Facts::default() }) {
            Ok(())
        } else {
            Err(Fault::Fact("after"))
        }
    }

    fn phase(&self, op: &Op, last: &mut Phase) -> Checked {
        if op.phase() < *last {
            return Err(Fault::Order { phase: op.phase(), after: *last });
        }
        if (op.phase() == Phase::Call) != (self.index == usize::from(self.plan.call)) {
            return Err(Fault::Call);
        }
        *last = op.phase();
        Ok(())
    }

    fn op(&mut self, op: &Op) -> Checked {
        if let (Op::Upcall(op), Kind::Closure) = (op, self.plan.kind) {
            return self.upcall(*op);
        }
        if self.plan.kind != Kind::Call {
            return Err(Fault::Unasked);
        }
        if let Op::Call { stub, returns } = *op {
            self.called = true;
            return self.ready().and_then(|()| self.call(stub, returns));
        }
        let Op::Native(op) = *op else { return Err(Fault::Unasked) };
        match op {
            NativeOp::Fetch { arg, to, fetch } => self.fetch(arg.into(), to, fetch),
            NativeOp::Split { arg, moves } => {
                let arg = usize::from(arg);
                let size = self.param(arg)?.extent.size;
                for one in self.list(moves)? {
                    for byte in 0..plain(one, size)? {
                        let from = Byte::Of(arg, u64::from(one.memory) + byte);
                        self.write(one.frame, byte, from)?;
                    }
                }
                Ok(())
            }
            NativeOp::Destination { to } => {
                (0..8).try_for_each(|byte| self.write(to, byte, Byte::Destination))
            }
            NativeOp::Deliver { moves } => {
                if self.replied || self.returned() != Returns::Record {
                    return Err(Fault::Unasked);
                }
                self.replied = true;
                let list = self.list(moves)?;
                self.result(list)
            }
        }
    }

    fn fetch(&mut self, arg: usize, to: At, fetch: Fetch) -> Checked {
        let value = self.param(arg)?;
        let (size, scalar) = (value.extent.size, value.scalar);
        let read = match fetch {
            Fetch::Integer(width) => u64::try_from(width.bytes()).unwrap_or(u64::MAX),
            Fetch::Bool => 1,
            Fetch::Float32 => 4,
            Fetch::Float64 => 8,
            Fetch::Whole => 16,
        };
        let right = match scalar {
            Some(scalar) => fetch == fetched(scalar, self.abi),
            None => matches!(fetch, Fetch::Float64 | Fetch::Whole),
        };
        if !right || read > size {
            return Err(self.disagrees("the conversion", arg));
        }
        for byte in 0..read.max(8) {
            let from = if byte < read { Byte::Of(arg, byte) } else { Byte::Extension(arg) };
            self.write(to, byte, from)?;
        }
        Ok(())
    }

    fn write(&mut self, at: At, offset: u64, byte: Byte) -> Checked {
        let position = at.offset() + usize::try_from(offset).unwrap_or(usize::MAX);
        match self.written.insert(position, (byte, self.index)) {
            None => Ok(()),
            Some((_, by)) => Err(Fault::Twice { at, by }),
        }
    }

    fn param(&self, arg: usize) -> Checked<&Value> {
        self.assignment.params.get(arg).ok_or(Fault::Table { table: "arguments", index: arg })
    }

    fn list(&mut self, moves: u16) -> Checked<&'p [Move]> {
        let index = usize::from(moves);
        let list = self.plan.moves.get(index).ok_or(Fault::Table { table: "moves", index })?;
        self.moves[index] = true;
        Ok(list)
    }

    /// Before the call: each byte is where it must be, and no other is written.
    fn ready(&self) -> Checked {
        let mut wanted: BTreeMap<usize, Byte> = BTreeMap::new();
        let mut slack: BTreeMap<usize, usize> = BTreeMap::new();
        for (arg, value) in self.assignment.params.iter().enumerate() {
            if value.indirect.is_some() {
                return Err(Fault::Prototype("an argument travels by address".to_owned()));
            }
            for piece in &value.pieces {
                let at = self.place(*piece, arg)?;
                for byte in 0..piece.size {
                    let from = Byte::Of(arg, u64::from(piece.offset + byte));
                    wanted.insert(at + index(byte), from);
                }
                for byte in piece.size..piece.size.next_multiple_of(8) {
                    slack.insert(at + index(byte), arg);
                }
            }
        }
        if let Some(location) = self.assignment.result.indirect {
            let place = image(location).ok_or_else(|| Fault::Missing("the result".to_owned()))?;
            wanted.extend((0..8).map(|byte| (place.offset() + byte, Byte::Destination)));
        }
        for (position, byte) in &wanted {
            match (self.written.get(position), byte) {
                (Some((found, _)), _) if found == byte => {}
                (None, Byte::Of(arg, _) | Byte::Extension(arg)) => {
                    return Err(Fault::Missing(self.subject(*arg)));
                }
                (None, Byte::Destination) => {
                    return Err(Fault::Missing("the result's address".to_owned()));
                }
                (Some((Byte::Of(arg, _) | Byte::Extension(arg), _)), _) => {
                    return Err(self.disagrees("the place", *arg));
                }
                (Some((Byte::Destination, _)), _) => return Err(Fault::Unasked),
            }
        }
        for (position, (byte, _)) in &self.written {
            let asked = match byte {
                Byte::Extension(arg) => slack.get(position) == Some(arg),
                Byte::Of(..) | Byte::Destination => wanted.contains_key(position),
            };
            if !asked {
                return Err(Fault::Unasked);
            }
        }
        self.extensions(&slack)
    }

    /// Narrow scalars are extended.
    fn extensions(&self, slack: &BTreeMap<usize, usize>) -> Checked {
        let scalar = |arg: usize| self.assignment.params[arg].scalar.is_some();
        let missing = slack
            .iter()
            .find(|(position, arg)| scalar(**arg) && !self.written.contains_key(position));
        missing.map_or(Ok(()), |(_, arg)| Err(Fault::Missing(self.subject(*arg))))
    }

    fn place(&self, piece: Piece, arg: usize) -> Checked<usize> {
        let place = match self.plan.kind {
            Kind::Import | Kind::Call => image(piece.location),
            Kind::Closure | Kind::Callback => closure::incoming(piece.location),
        };
        place.map(At::offset).ok_or_else(|| Fault::Missing(self.subject(arg)))
    }

    fn call(&self, stub: Stub, returns: Returns) -> Checked {
        if stub != self.least_stub() {
            return Err(self.disagrees("the stub", self.assignment.params.len()));
        }
        if returns == self.returned() {
            Ok(())
        } else {
            Err(self.disagrees("the conversion", self.assignment.params.len()))
        }
    }

    /// The one stub that does all that is needed and nothing more.
    fn least_stub(&self) -> Stub {
        let Assignment { params, result, stack_size, stack_align, .. } = &self.assignment;
        let arguments = || params.iter().flat_map(|value| &value.pieces);
        let vector = |piece: &Piece| matches!(piece.location, Location::Vector(_));
        let wide = |piece: &Piece| vector(piece) && piece.size > 8;
        let x87 = result.pieces.iter().filter(|p| matches!(p.location, Location::X87(_))).count();
        if x87 > 0 || *stack_align > 16 || arguments().chain(&result.pieces).any(wide) {
            return Stub::Whole { x87: u8::try_from(x87).unwrap_or(u8::MAX) };
        }
        let vectors =
            arguments().any(vector) || result.pieces.iter().filter(|p| vector(p)).count() > 1;
        match (*stack_size, vectors) {
            (1.., _) => Stub::Stack,
            (0, true) => Stub::Registers,
            (0, false) => Stub::Integers,
        }
    }

    /// How the result gets into its memory.
    fn returned(&self) -> Returns {
        let result = &self.assignment.result;
        if result.indirect.is_some() || result.pieces.is_empty() {
            return Returns::Void;
        }
        let Some(scalar) = result.scalar else { return Returns::Record };
        match (scalar, scalar.host_size(), self.abi.is_signed(scalar)) {
            (Scalar::Bool, ..) => Returns::Bool,
            (Scalar::Float(Float::Float), ..) => Returns::Float32,
            (Scalar::Float(Float::Double), ..) => Returns::Float64,
            (_, 1, true) => Returns::Int8,
            (_, 1, false) => Returns::UInt8,
            (_, 2, true) => Returns::Int16,
            (_, 2, false) => Returns::UInt16,
            (_, 4, _) => Returns::Int32,
            (_, 8, _) => Returns::Int64,
            _ => Returns::Record,
        }
    }

    /// The bytes of a result that registers bring, or take: each exactly once.
    fn result(&self, list: &[Move]) -> Checked {
        let result = &self.assignment.result;
        let subject = self.assignment.params.len();
        let mut found: BTreeMap<u64, usize> = BTreeMap::new();
        for one in list {
            for byte in 0..plain(one, result.extent.size)? {
                let position = one.frame.offset() + usize::try_from(byte).unwrap_or(usize::MAX);
                if found.insert(u64::from(one.memory) + byte, position).is_some() {
                    return Err(self.disagrees("the memory", subject));
                }
            }
        }
        for piece in &result.pieces {
            let at = FrameLayout::result_register(piece.location);
            let at = at.ok_or_else(|| Fault::Missing("the result".to_owned()))?.offset();
            let used = match piece.location {
                Location::X87(_) => 10,
                Location::Integer(_) | Location::Vector(_) | Location::Stack(_) => piece.size,
            };
            for byte in 0..used {
                if found.remove(&u64::from(piece.offset + byte)) != Some(at + index(byte)) {
                    return Err(self.disagrees("the place", subject));
                }
            }
        }
        if found.is_empty() { Ok(()) } else { Err(Fault::Unasked) }
    }

    fn done(&self) -> Checked {
        if !self.called {
            return Err(Fault::Call);
        }
        let replies = match self.plan.kind {
            Kind::Import | Kind::Call => self.returned() == Returns::Record,
            Kind::Closure | Kind::Callback => {
                self.plan.prototype.function.result.kind != TypeKind::Void
                    && self.assignment.result.extent.size > 0
            }
        };
        if replies != self.replied {
            return Err(Fault::Undone { what: "delivers", subject: "the result".to_owned() });
        }
        match self.moves.iter().position(|used| !used) {
            Some(index) => Err(Fault::Unused { table: "moves", index }),
            None => Ok(()),
        }
    }

    fn subject(&self, arg: usize) -> String {
        let params = &self.plan.prototype.function.params;
        let name = params.get(arg).and_then(|param| param.name.as_ref());
        match name {
            Some(name) => format!("parameter {} \"{name}\"", arg + 1),
            None if arg < self.assignment.params.len() => format!("parameter {}", arg + 1),
            None => "the result".to_owned(),
        }
    }

    fn disagrees(&self, what: &'static str, arg: usize) -> Fault {
        Fault::Disagrees { what, subject: self.subject(arg) }
    }
}

/// How a scalar is read, as its type and the ABI ask.
fn fetched(scalar: Scalar, abi: Abi) -> Fetch {
    match scalar {
        Scalar::Bool => Fetch::Bool,
        Scalar::Float(Float::Float) => Fetch::Float32,
        Scalar::Float(Float::Double) => Fetch::Float64,
        Scalar::Float(Float::LongDouble)
        | Scalar::Integer(Integer::Int128 | Integer::UnsignedInt128) => Fetch::Whole,
        Scalar::Pointer | Scalar::Integer(_) => {
            Fetch::Integer(match (scalar.host_size(), abi.is_signed(scalar)) {
                (1, true) => Width::I8,
                (1, false) => Width::U8,
                (2, true) => Width::I16,
                (2, false) => Width::U16,
                (4, true) => Width::I32,
                (4, false) => Width::U32,
                (_, true) => Width::I64,
                (_, false) => Width::U64,
            })
        }
    }
}

/// How many bytes a move copies, all of which a value of that size has. Both sides have the same
/// layout: nothing but copying is right.
fn plain(one: &Move, size: u64) -> Checked<u64> {
    let MoveKind::Bytes(bytes) = one.kind else { return Err(Fault::Unasked) };
    if u64::from(one.memory) + u64::from(bytes) <= size {
        Ok(bytes.into())
    } else {
        Err(Fault::Area { at: one.frame, bytes: bytes.into(), area: "value" })
    }
}

fn index(byte: u32) -> usize {
    usize::try_from(byte).unwrap_or(usize::MAX)
}

/// Ranges of scratch memory never overlap and stay inside it.
fn take(scratch: &mut Vec<(usize, usize)>, start: u32, size: u64) -> bool {
    let start = index(start);
    let Some(end) = usize::try_from(size).ok().and_then(|size| start.checked_add(size)) else {
        return false;
    };
    let free = scratch.iter().all(|(from, to)| end <= *from || *to <= start);
    scratch.push((start, end));
    free && end <= SCRATCH
}

#[cfg(test)]
mod tests;
