//! Plans as text: for `explain`, for golden files, for whoever debugs a call.
//!
//! One line an op, with the name that the source has for it; positions of the frame by the names
//! of the registers that they are images of; a comment with the parameter. Tables follow. There
//! are no addresses and no numbers that differ from one run to the next.
use super::abi::{Abi, Location, Role};
use super::expression::{Expression, Step};
use super::format::Passed;
use super::frame::{FrameLayout, INTEGER_REGISTERS, VECTOR_REGISTERS, X87_STRIDE};
use super::op::{At, DeepOp, NativeOp, Op, Operand, Phase};
use super::{Callee, Kind, Plan, Purpose};
use crate::signature::{UnaryOp, Variadic};
use names::{binary_name, kind_name, section, width_name};
use std::fmt::{self, Write as _};

mod callback;
mod deep;
mod life;
mod names;
mod ops;
mod outside;

pub(super) use names::mnemonic;

/// A plan as text. `abi` is the one that it was compiled for: it names the registers.
///
/// ```text
/// unsigned long crc32(unsigned long crc, const uint8_t *__counted_by(len) buf, unsigned int len)
/// import  (func (param i32 i32 i32) (result i32))
/// frame   320 bytes
/// facts   leaf, memory
///
/// before
///    0  ulong32   slot 0 -> rdi                               ; crc
///    1  int32     slot 2 -> rdx                               ; len
///    2  buffer    slot 1 -> rsi, u32 rdx x 1 byte, NULL if empty  ; buf
/// call
///    3  call      integer registers; result uint64 that fits u32
/// ```
#[must_use]
pub fn disassemble(plan: &Plan, abi: Abi) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = Printer { plan, abi }.plan(&mut text);
    text
}

/// One op of a plan, as [`disassemble`] writes it.
#[must_use]
pub fn describe_op(plan: &Plan, index: usize, abi: Abi) -> String {
    let printer = Printer { plan, abi };
    plan.ops.get(index).map_or_else(String::new, |op| printer.line(index, op))
}

struct Printer<'a> {
    plan: &'a Plan,
    abi: Abi,
}

/// Where comments begin, when the op is not longer.
const COMMENT: usize = 58;

impl Printer<'_> {
    fn plan(&self, text: &mut String) -> fmt::Result {
        let plan = self.plan;
        writeln!(text, "{}", plan.prototype.as_written())?;
        match plan.kind {
            Kind::Import => writeln!(text, "import  {}", plan.lowering)?,
            Kind::Call => writeln!(text, "call    on C values in memory")?,
            Kind::Closure => writeln!(text, "closure called by native code")?,
            Kind::Callback => writeln!(text, "guest   {}", plan.lowering)?,
        }
        let FrameLayout { stack, stack_align, locals, size, align } = plan.frame;
        write!(text, "frame   {size} bytes")?;
        if align > 16 {
            write!(text, " aligned to {align}")?;
        }
        if stack > 0 {
            write!(text, ", {stack} of stack arguments")?;
            if stack_align > 16 {
                write!(text, " aligned to {stack_align}")?;
            }
        }
        if size > locals {
            write!(text, ", {} of cells and locals", size - locals)?;
        }
        writeln!(text, "\nfacts   {}\n", self.facts())?;
        let mut heading = "";
        for (index, op) in plan.ops.iter().enumerate() {
            let section = section(op.phase());
            if section != heading {
                writeln!(text, "{section}")?;
                heading = section;
            }
            writeln!(text, "{}", self.line(index, op))?;
        }
        self.tables(text)?;
        self.callbacks(text)
    }

    fn line(&self, index: usize, op: &Op) -> String {
        let line = format!("{index:>4}  {:<10}{}", mnemonic(op), self.op(op));
        match self.comment(index, op) {
            Some(comment) => format!("{line:<COMMENT$}  ; {comment}"),
            None => line.trim_end().to_owned(),
        }
    }

    fn facts(&self) -> String {
        let facts = self.plan.facts;
        let all = [
            ("leaf", facts.leaf),
            ("memory", facts.memory),
            ("allocates", facts.allocates),
            ("errno", facts.errno),
            ("marks", facts.marks),
            ("after", facts.after),
            ("wide", facts.wide),
        ];
        let held: Vec<&str> =
            all.iter().filter(|(_, holds)| *holds).map(|(name, _)| *name).collect();
        if held.is_empty() { "none".to_owned() } else { held.join(", ") }
    }

    fn tables(&self, text: &mut String) -> fmt::Result {
        let plan = self.plan;
        if !plan.expressions.is_empty() {
            writeln!(text, "expressions")?;
        }
        for (index, expression) in plan.expressions.iter().enumerate() {
            let steps: Vec<String> = expression.steps.iter().map(|step| self.step(step)).collect();
            writeln!(text, "{index:>4}  {}", expression.text)?;
            writeln!(text, "      = {}", steps.join(" "))?;
        }
        if !plan.ranges.is_empty() {
            writeln!(text, "ranges")?;
        }
        for (index, intervals) in plan.ranges.iter().enumerate() {
            writeln!(text, "{index:>4}  {}", self.intervals(intervals))?;
        }
        if !plan.moves.is_empty() {
            writeln!(text, "moves")?;
        }
        for (index, moves) in plan.moves.iter().enumerate() {
            for (number, one) in moves.iter().enumerate() {
                let index = if number == 0 { index.to_string() } else { String::new() };
                writeln!(text, "{index:>4}  {}", self.moved_bytes(one))?;
            }
        }
        self.shapes(text)?;
        if !plan.passed.is_empty() {
            writeln!(text, "passed")?;
        }
        for (index, Passed { kind, at }) in plan.passed.iter().enumerate() {
            writeln!(text, "{index:>4}  {:<12}{}", kind_name(*kind), self.at(*at))?;
        }
        if !plan.callees.is_empty() {
            writeln!(text, "callees")?;
        }
        for (index, Callee { symbol, purpose }) in plan.callees.iter().enumerate() {
            write!(text, "{index:>4}  {symbol}: ")?;
            match purpose {
                Purpose::Free => writeln!(text, "frees")?,
                Purpose::Drop => writeln!(text, "destroys")?,
                Purpose::Pure { params, result } => {
                    let params: Vec<&str> = params.iter().map(|width| width_name(*width)).collect();
                    writeln!(text, "pure, ({}) -> {}", params.join(", "), width_name(*result))?;
                }
            }
        }
        if !plan.handle_kinds.is_empty() {
            writeln!(text, "handles")?;
        }
        for (index, kind) in plan.handle_kinds.iter().enumerate() {
            write!(text, "{index:>4}  {}", kind.name)?;
            match kind.drop {
                Some(drop) => writeln!(text, ", destroyed by {}", self.callee(drop))?,
                None => writeln!(text)?,
            }
        }
        Ok(())
    }

    fn slot_to(&self, slot: u16, to: At) -> String {
        format!("slot {slot} -> {}", self.at(to))
    }

    fn moved(&self, from: At, to: At) -> String {
        format!("{} -> {}", self.at(from), self.at(to))
    }

    fn unless(&self, unless: Option<At>) -> String {
        unless.map_or_else(String::new, |at| format!(", unless {} is known", self.at(at)))
    }

    fn operand(&self, operand: Operand) -> String {
        format!("{} {}", width_name(operand.width), self.at(operand.at))
    }

    fn intervals(&self, intervals: &[(i128, i128)]) -> String {
        let one = |(low, high): &(i128, i128)| {
            if low == high { low.to_string() } else { format!("{low}..{high}") }
        };
        intervals.iter().map(one).collect::<Vec<_>>().join(" or ")
    }

    /// A position of the frame by the name of what it is a part of.
    fn within(&self, at: At) -> String {
        let offset = at.offset();
        let register = |first: usize, stride: usize, count: usize| {
            let behind = offset.checked_sub(first)?;
            (behind < stride * count)
                .then(|| (At::new(first + behind / stride * stride), behind % stride))
        };
        let first = |at: Option<At>| at.map_or(0, At::offset);
        let parts = [
            (first(FrameLayout::integer(0)), 8, INTEGER_REGISTERS),
            (first(FrameLayout::vector(0)), 16, VECTOR_REGISTERS),
            (FrameLayout::result_integer().offset(), 8, 2),
            (FrameLayout::result_vector().offset(), 16, 2),
            (first(FrameLayout::result_register(Location::X87(0))), X87_STRIDE, 2),
        ];
        match parts.into_iter().find_map(|(first, stride, count)| register(first, stride, count)) {
            Some((Some(start), behind)) if behind > 0 => format!("{}+{behind}", self.at(start)),
            _ => self.at(at),
        }
    }

    /// A position of the frame by name.
    fn at(&self, at: At) -> String {
        let register = |location, role| {
            let name = self.abi.register_name(location, role);
            name.map_or_else(|| format!("{location:?}"), str::to_owned)
        };
        for number in 0..u8::try_from(INTEGER_REGISTERS).unwrap_or(u8::MAX) {
            if FrameLayout::integer(number) == Some(at) {
                return register(Location::Integer(number), Role::Parameter);
            }
        }
        for number in 0..u8::try_from(VECTOR_REGISTERS).unwrap_or(u8::MAX) {
            if FrameLayout::vector(number) == Some(at) {
                return register(Location::Vector(number), Role::Parameter);
            }
        }
        for number in 0..2 {
            for location in
                [Location::Integer(number), Location::Vector(number), Location::X87(number)]
            {
                if FrameLayout::result_register(location) == Some(at) {
                    return format!("result {}", register(location, Role::Result));
                }
            }
        }
        let (offset, locals) = (at.offset(), usize::from(self.plan.frame.locals));
        if offset >= locals {
            format!("local+{}", offset - locals)
        } else if offset >= self.stack_start() {
            format!("stack+{}", offset - self.stack_start())
        } else {
            format!("frame+{offset}")
        }
    }

    fn stack_start(&self) -> usize {
        match self.plan.kind {
            Kind::Import | Kind::Call => FrameLayout::STACK,
            Kind::Closure | Kind::Callback => FrameLayout::CALLER_STACK,
        }
    }

    fn expression(&self, expr: u16) -> &str {
        self.plan.expressions.get(usize::from(expr)).map_or("?", |Expression { text, .. }| text)
    }

    fn callee(&self, callee: u16) -> &str {
        self.plan.callees.get(usize::from(callee)).map_or("?", |callee| &callee.symbol)
    }

    fn kind(&self, kind: u16) -> &str {
        self.plan.handle_kinds.get(usize::from(kind)).map_or("?", |kind| &kind.name)
    }

    fn step(&self, step: &Step) -> String {
        match *step {
            Step::Constant(value) => value.to_string(),
            Step::Large(value) => value.to_string(),
            Step::Load(operand) => format!("[{}]", self.operand(operand)),
            Step::Field { offset, width } => format!("[{} field+{offset}]", width_name(width)),
            Step::Behind { at, offset, width } => {
                format!("[{} behind {}+{offset}]", width_name(width), self.at(at))
            }
            Step::Unary(op) => match op {
                UnaryOp::Negate => "negate",
                UnaryOp::Complement => "~",
                UnaryOp::Not => "!",
            }
            .to_owned(),
            Step::Binary(op) => binary_name(op).to_owned(),
            Step::Abs => "abs".to_owned(),
            Step::Min => "min".to_owned(),
            Step::Max => "max".to_owned(),
            Step::Truth => "truth".to_owned(),
            Step::Jump(by) => format!("jump+{by}"),
            Step::JumpIfZero(by) => format!("zero?jump+{by}"),
            Step::Call { callee, arguments } => format!("{}/{arguments}", self.callee(callee)),
        }
    }

    /// The parameters that an op is about.
    fn comment(&self, index: usize, op: &Op) -> Option<String> {
        match *op {
            Op::Pair { slot, .. }
            | Op::Extended { slot, .. }
            | Op::Vector { slot, .. }
            | Op::Object { slot, .. }
            | Op::Room { slot, .. }
            | Op::StoreObject { slot, .. }
            | Op::Int8 { slot, .. }
            | Op::UInt8 { slot, .. }
            | Op::Int16 { slot, .. }
            | Op::UInt16 { slot, .. }
            | Op::Bool { slot, .. }
            | Op::Int32 { slot, .. }
            | Op::Int64 { slot, .. }
            | Op::Long32 { slot, .. }
            | Op::ULong32 { slot, .. }
            | Op::Float32 { slot, .. }
            | Op::Float64 { slot, .. }
            | Op::Buffer { slot, .. }
            | Op::Text { slot, .. }
            | Op::Cell { slot, .. }
            | Op::PointerCell { slot, .. }
            | Op::TextCell { slot, .. }
            | Op::Handle { slot, .. }
            | Op::Consume { slot, .. }
            | Op::StoreCell { slot, .. }
            | Op::EndLoans { slot } => Some(self.param_of(slot)),
            Op::Range { param, .. }
            | Op::Format { param, .. }
            | Op::Evaluate { param, .. }
            | Op::Value { param, .. }
            | Op::Fits { param, .. }
            | Op::Inside { param, .. }
            | Op::Take { param, .. }
            | Op::Give { param, .. } => Some(self.param(param)),
            Op::Require { of, .. } => of.map(|of| self.param(of.param)),
            Op::Apart { text, buffer, .. } => {
                Some(format!("{} and {}", self.travels(text)?, self.travels(buffer)?))
            }
            Op::FitsObject { .. } => Some("result".to_owned()),
            Op::Native(NativeOp::Fetch { arg, .. } | NativeOp::Split { arg, .. }) => {
                Some(self.param(arg))
            }
            Op::Native(NativeOp::Destination { .. } | NativeOp::Deliver { .. }) => {
                Some("result".to_owned())
            }
            // A closure's arguments are lent in order.
            Op::Deep(
                DeepOp::Copy { param, .. }
                | DeepOp::Take { param, .. }
                | DeepOp::Keep { param, .. }
                | DeepOp::Box { param, .. },
            ) => Some(self.param(param)),
            Op::Deep(DeepOp::Recall { of, .. } | DeepOp::End { of, .. }) => self.travels(of),
            Op::Deep(
                DeepOp::Settle
                | DeepOp::Commit
                | DeepOp::Fill
                | DeepOp::Fetch
                | DeepOp::KeepFunctions { .. },
            ) => None,
            Op::Callback(op) => self.callback_comment(op),
            Op::Life(op) => self.life_subject(op),
            Op::Upcall(_) if op.phase() == Phase::Before => Some(self.subject(index)),
            Op::Upcall(_) => Some("result".to_owned()),
            Op::Address { .. }
            | Op::Reserve { .. }
            | Op::Call { .. }
            | Op::Measure { .. }
            | Op::InsideOr { .. }
            | Op::FreeNative { .. }
            | Op::Adopt { .. }
            | Op::Return { .. } => None,
        }
    }

    fn param_of(&self, slot: u16) -> String {
        self.subject(self.plan.param_of(slot))
    }

    fn param(&self, index: u16) -> String {
        self.subject(index.into())
    }

    fn subject(&self, index: usize) -> String {
        match self.plan.prototype.function.params.get(index) {
            None if index < self.arguments() => format!("parameter {}", index + 1),
            None => "result".to_owned(),
            Some(param) => match &param.name {
                Some(name) => name.to_string(),
                None => format!("parameter {}", index + 1),
            },
        }
    }

    /// How many arguments there are, those of a typed tail included.
    fn arguments(&self) -> usize {
        let function = &self.plan.prototype.function;
        match &function.variadic {
            Variadic::Typed(tail) => function.params.len() + tail.len(),
            Variadic::No | Variadic::Untyped(_) => function.params.len(),
        }
    }

    /// The parameter whose address is placed there.
    fn travels(&self, place: At) -> Option<String> {
        self.plan.ops.iter().find_map(|op| match *op {
            Op::Buffer { slot, to, .. }
            | Op::Text { slot, to, .. }
            | Op::TextCell { slot, cell: to, .. }
                if to == place =>
            {
                Some(self.param_of(slot))
            }
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests;
