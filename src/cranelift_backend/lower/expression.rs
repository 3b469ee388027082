//! Expressions of annotations, in 64 bits.
//!
//! The interpreter computes with 128 bits and asks at the end whether the value fits 64. Here every
//! value is 64 bits and comes with the interval of numbers that it can be, known when the code is
//! made: an operation whose result may leave both `i64` and `u64` is tested, and if it does leave
//! them the call goes back to the interpreter, whose word is the last one: the value may come back,
//! or be an error.
//!
//! ```text
//! interval within i64   the bits are those of an i64
//! else within u64       the bits are those of a u64
//! ```
//!
//! Not here: the operations themselves (`arithmetic`).
use super::Lower;
use super::internal;
use crate::cranelift_backend::Unsupported;
use crate::plan::expression::{Expression, Step};
use crate::plan::op::{At, Width};
use crate::plan::{Binding, Purpose};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{AbiParam, Block, InstBuilder, Signature, Value, types};
use cranelift_codegen::isa::CallConv;
use std::collections::BTreeMap;
use std::mem::offset_of;

pub(super) const I64: (i128, i128) = (i64::MIN as i128, i64::MAX as i128);

/// A number: 64 bits, and what it can be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exact {
    pub value: Value,
    /// The least and the greatest number, both within `i64` or both within `u64`.
    pub low: i128,
    pub high: i128,
}

impl Exact {
    /// The integer of that width.
    pub(super) fn of(value: Value, width: Width) -> Exact {
        let (low, high) = if width == Width::I128 { I64 } else { width.bounds() };
        Exact { value, low, high }
    }

    pub(super) fn within(value: Value, (low, high): (i128, i128)) -> Exact {
        Exact { value, low, high }
    }

    /// Whether the bits are those of an `i64`.
    pub(super) fn is_signed(self) -> bool {
        self.high <= I64.1
    }

    pub(super) fn is_negative_possible(self) -> bool {
        self.low < 0
    }

    /// The least and the greatest number.
    pub(super) fn bounds(self) -> (i128, i128) {
        (self.low, self.high)
    }
}

/// Where jumps of an expression go: a block, and what can be on the stack there.
struct Target {
    block: Block,
    stack: Vec<(i128, i128)>,
}

impl Lower<'_> {
    /// Computes an expression.
    pub(super) fn compute(&mut self, expression: &Expression) -> Result<Exact, Unsupported> {
        let mut stack: Vec<Exact> = Vec::new();
        let mut targets: BTreeMap<usize, Target> = BTreeMap::new();
        let mut reached = true;
        for (index, step) in expression.steps.iter().enumerate() {
            self.arrive(index, &mut targets, &mut stack, &mut reached);
            if !reached {
                continue;
            }
            match *step {
                Step::Constant(value) => {
                    let bits = self.constant(value.cast_unsigned());
                    stack.push(Exact::within(bits, (value.into(), value.into())));
                }
                Step::Large(value) => {
                    let bits = self.constant(value);
                    stack.push(Exact::within(bits, (value.into(), value.into())));
                }
                Step::Field { .. } => return Err(internal("an expression of an op reads a field")),
                Step::Behind { at, offset, width } => {
                    stack.push(self.behind(at, offset, width)?);
                }
                Step::Load(operand) => stack.push(self.integer(operand)?),
                Step::Unary(op) => {
                    let value = pop(&mut stack)?;
                    stack.push(self.unary(op, value));
                }
                Step::Binary(op) => {
                    let right = pop(&mut stack)?;
                    let left = pop(&mut stack)?;
                    stack.push(self.binary(op, left, right));
                }
                Step::Abs => {
                    let value = pop(&mut stack)?;
                    stack.push(self.absolute(value));
                }
                Step::Min | Step::Max => {
                    let right = pop(&mut stack)?;
                    let left = pop(&mut stack)?;
                    stack.push(self.extreme(*step == Step::Min, left, right));
                }
                Step::Truth => {
                    let value = pop(&mut stack)?;
                    let truth = self.compare_to(IntCC::NotEqual, value.value, 0);
                    stack.push(self.truth(truth));
                }
                Step::Jump(by) => {
                    let target = index + 1 + usize::from(by);
                    let (block, values) = self.depart(target, &mut targets, &mut stack);
                    self.jump(block, &values);
                    reached = false;
                }
                Step::JumpIfZero(by) => {
                    let value = pop(&mut stack)?;
                    let target = index + 1 + usize::from(by);
                    let next = self.b.create_block();
                    let (block, values) = self.depart(target, &mut targets, &mut stack);
                    let values: Vec<_> = values.into_iter().map(Into::into).collect();
                    self.b.ins().brif(value.value, next, &[], block, &values);
                    self.b.switch_to_block(next);
                }
                Step::Call { callee, arguments } => {
                    let first = stack.len().saturating_sub(arguments.into());
                    let arguments = stack.split_off(first);
                    stack.push(self.pure_call(callee, &arguments)?);
                }
            }
        }
        self.arrive(expression.steps.len(), &mut targets, &mut stack, &mut reached);
        pop(&mut stack)
    }

    /// Goes on in the block that jumps to step `index` have made, if there are any.
    fn arrive(
        &mut self,
        index: usize,
        targets: &mut BTreeMap<usize, Target>,
        stack: &mut Vec<Exact>,
        reached: &mut bool,
    ) {
        if !targets.contains_key(&index) {
            return;
        }
        if *reached {
            let (block, values) = self.depart(index, targets, stack);
            self.jump(block, &values);
        }
        let Some(target) = targets.remove(&index) else { return };
        self.b.switch_to_block(target.block);
        let values = self.b.block_params(target.block).to_vec();
        let meet = |(value, bounds)| Exact::within(value, bounds);
        *stack = values.into_iter().zip(target.stack).map(meet).collect();
        *reached = true;
    }

    /// The block of a jump's target, and the stack as it wants it: signed numbers.
    fn depart(
        &mut self,
        target: usize,
        targets: &mut BTreeMap<usize, Target>,
        stack: &mut [Exact],
    ) -> (Block, Vec<Value>) {
        for one in stack.iter_mut() {
            *one = self.signed(*one);
        }
        let target = targets.entry(target).or_insert_with(|| {
            let block = self.b.create_block();
            for _ in stack.iter() {
                self.b.append_block_param(block, types::I64);
            }
            Target { block, stack: stack.iter().map(|one| one.bounds()).collect() }
        });
        for ((low, high), one) in target.stack.iter_mut().zip(stack.iter()) {
            (*low, *high) = ((*low).min(one.low), (*high).max(one.high));
        }
        (target.block, stack.iter().map(|one| one.value).collect())
    }

    /// An integer of a copy, whose address is at `at`. There is none behind NULL, as the interpreter
    /// says.
    fn behind(&mut self, at: At, offset: u32, width: Width) -> Result<Exact, Unsupported> {
        let copy = self.word_bits(at.offset())?.0;
        self.check(copy);
        let ty = super::places::integer(width.bytes());
        let ty = ty.ok_or_else(|| internal("an integer of 16 bytes in a copy"))?;
        let raw = self.load_guest(ty, copy, offset);
        let value = match (ty == types::I64, width.is_signed()) {
            (true, _) => raw,
            (false, true) => self.b.ins().sextend(types::I64, raw),
            (false, false) => self.b.ins().uextend(types::I64, raw),
        };
        Ok(Exact::of(value, width))
    }

    /// Calls a pure function of the library.
    fn pure_call(&mut self, callee: u16, arguments: &[Exact]) -> Result<Exact, Unsupported> {
        let plan = self.plan;
        let found = plan.callees.get(usize::from(callee)).map(|callee| &callee.purpose);
        let Some(Purpose::Pure { params, result }) = found else {
            return Err(internal("an expression calls what is not pure"));
        };
        let mut signature = Signature::new(CallConv::SystemV);
        let mut values = Vec::new();
        for (argument, width) in arguments.iter().zip(params) {
            self.check_width(*argument, *width);
            signature.params.push(AbiParam::new(types::I64));
            values.push(argument.value);
        }
        signature.returns.push(AbiParam::new(types::I64));
        let signature = self.b.import_signature(signature);
        let callees = self.binding(types::I64, offset_of!(Binding, callees));
        let target = self.load(types::I64, callees, 8 * usize::from(callee));
        let call = self.b.ins().call_indirect(signature, target, &values);
        let raw = self.b.inst_results(call)[0];
        Ok(self.narrowed(raw, *result))
    }

    /// The integer of that width in the low bits of a register; above them is garbage.
    fn narrowed(&mut self, raw: Value, width: Width) -> Exact {
        let value = match super::places::integer(width.bytes()) {
            Some(narrow) if narrow != types::I64 => {
                let low = self.b.ins().ireduce(narrow, raw);
                if width.is_signed() {
                    self.b.ins().sextend(types::I64, low)
                } else {
                    self.b.ins().uextend(types::I64, low)
                }
            }
            _ => raw,
        };
        Exact::of(value, width)
    }
}

fn pop(stack: &mut Vec<Exact>) -> Result<Exact, Unsupported> {
    stack.pop().ok_or_else(|| internal("an expression has too few values"))
}
