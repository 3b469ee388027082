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
//! Divisions are routines outside, whose divisor has been tested: Cranelift's own may trap.
use super::Lower;
use crate::cranelift_backend::Unsupported;
use crate::cranelift_backend::helpers::Helper;
use crate::plan::expression::{Expression, Step};
use crate::plan::op::Width;
use crate::plan::{Binding, Purpose};
use crate::signature::{BinaryOp, UnaryOp};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{AbiParam, Block, InstBuilder, Signature, Value, types};
use cranelift_codegen::isa::CallConv;
use std::collections::BTreeMap;
use std::mem::offset_of;

const I64: (i128, i128) = (i64::MIN as i128, i64::MAX as i128);
const U64: (i128, i128) = (0, u64::MAX as i128);

/// A number: 64 bits, and what it can be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exact {
    pub value: Value,
    /// The least and the greatest number, both within `i64` or both within `u64`.
    low: i128,
    high: i128,
}

impl Exact {
    /// The integer of that width.
    pub(super) fn of(value: Value, width: Width) -> Exact {
        let (low, high) = if width == Width::I128 { I64 } else { width.bounds() };
        Exact { value, low, high }
    }

    fn within(value: Value, (low, high): (i128, i128)) -> Exact {
        Exact { value, low, high }
    }

    /// Whether the bits are those of an `i64`.
    fn is_signed(self) -> bool {
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

fn fits((low, high): (i128, i128), (least, greatest): (i128, i128)) -> bool {
    least <= low && high <= greatest
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

    /// The number as an `i64`, if it is one.
    fn signed(&mut self, number: Exact) -> Exact {
        if number.is_signed() {
            return number;
        }
        let small = self.compare_to(IntCC::SignedGreaterThanOrEqual, number.value, 0);
        self.check(small);
        Exact { high: I64.1, ..number }
    }

    /// Two numbers of one kind, and whether that is `i64`.
    fn alike(&mut self, left: Exact, right: Exact) -> (Exact, Exact, bool) {
        if left.is_signed() && right.is_signed() {
            (left, right, true)
        } else if left.low >= 0 && right.low >= 0 {
            (left, right, false)
        } else {
            (self.signed(left), self.signed(right), true)
        }
    }

    fn truth(&mut self, truth: Value) -> Exact {
        let value = self.b.ins().uextend(types::I64, truth);
        Exact::within(value, (0, 1))
    }

    fn unary(&mut self, op: UnaryOp, number: Exact) -> Exact {
        match op {
            UnaryOp::Not => {
                let zero = self.compare_to(IntCC::Equal, number.value, 0);
                self.truth(zero)
            }
            UnaryOp::Negate => {
                let zero = self.constant(0);
                self.binary(BinaryOp::Subtract, Exact::within(zero, (0, 0)), number)
            }
            UnaryOp::Complement => {
                let number = self.signed(number);
                let value = self.b.ins().bnot(number.value);
                Exact::within(value, (!number.high, !number.low))
            }
        }
    }

    fn absolute(&mut self, number: Exact) -> Exact {
        if number.low >= 0 {
            return number;
        }
        if number.low == I64.0 {
            let least = self.compare_to(IntCC::Equal, number.value, 1 << 63);
            self.refuse(least);
        }
        let value = self.b.ins().iabs(number.value);
        let high = (-number.low.max(-I64.1)).max(number.high);
        Exact::within(value, (0, high))
    }

    fn extreme(&mut self, least: bool, left: Exact, right: Exact) -> Exact {
        let (left, right, signed) = self.alike(left, right);
        let (a, b) = (left.value, right.value);
        let ins = self.b.ins();
        let value = match (least, signed) {
            (true, true) => ins.smin(a, b),
            (true, false) => ins.umin(a, b),
            (false, true) => ins.smax(a, b),
            (false, false) => ins.umax(a, b),
        };
        let bounds = if least {
            (left.low.min(right.low), left.high.min(right.high))
        } else {
            (left.low.max(right.low), left.high.max(right.high))
        };
        Exact::within(value, bounds)
    }

    fn binary(&mut self, op: BinaryOp, left: Exact, right: Exact) -> Exact {
        match op {
            BinaryOp::Add | BinaryOp::Subtract | BinaryOp::Multiply => {
                self.arithmetic(op, left, right)
            }
            BinaryOp::Divide => self.divide(left, right, [Helper::Divide, Helper::DivideUnsigned]),
            BinaryOp::Remainder => {
                self.divide(left, right, [Helper::Remainder, Helper::RemainderUnsigned])
            }
            BinaryOp::ShiftLeft => self.shift_left(left, right),
            BinaryOp::ShiftRight => self.shift_right(left, right),
            BinaryOp::Less => self.ordered(IntCC::SignedLessThan, left, right),
            BinaryOp::LessEqual => self.ordered(IntCC::SignedLessThanOrEqual, left, right),
            BinaryOp::Greater => self.ordered(IntCC::SignedGreaterThan, left, right),
            BinaryOp::GreaterEqual => self.ordered(IntCC::SignedGreaterThanOrEqual, left, right),
            BinaryOp::Equal => self.ordered(IntCC::Equal, left, right),
            BinaryOp::NotEqual => self.ordered(IntCC::NotEqual, left, right),
            BinaryOp::BitAnd | BinaryOp::BitXor | BinaryOp::BitOr => self.bitwise(op, left, right),
            BinaryOp::And | BinaryOp::Or => {
                let left = self.compare_to(IntCC::NotEqual, left.value, 0);
                let right = self.compare_to(IntCC::NotEqual, right.value, 0);
                let truth = if op == BinaryOp::And {
                    self.b.ins().band(left, right)
                } else {
                    self.b.ins().bor(left, right)
                };
                self.truth(truth)
            }
        }
    }

    fn ordered(&mut self, how: IntCC, left: Exact, right: Exact) -> Exact {
        let (left, right, signed) = self.alike(left, right);
        let truth =
            self.compare(if signed { how } else { how.unsigned() }, left.value, right.value);
        self.truth(truth)
    }

    fn bitwise(&mut self, op: BinaryOp, left: Exact, right: Exact) -> Exact {
        let (left, right, signed) = self.alike(left, right);
        let (a, b) = (left.value, right.value);
        let value = match op {
            BinaryOp::BitAnd => self.b.ins().band(a, b),
            BinaryOp::BitOr => self.b.ins().bor(a, b),
            _ => self.b.ins().bxor(a, b),
        };
        let positive = left.low >= 0 && right.low >= 0;
        let greatest = left.high.max(right.high);
        let bounds = if op == BinaryOp::BitAnd && positive {
            (0, left.high.min(right.high))
        } else if positive {
            // No bit above the highest one of both.
            let bits = 128 - greatest.leading_zeros();
            (0, (1 << bits) - 1)
        } else if signed {
            I64
        } else {
            U64
        };
        Exact::within(value, bounds)
    }

    /// `+ - *`
    fn arithmetic(&mut self, op: BinaryOp, left: Exact, right: Exact) -> Exact {
        let interval = |left: Exact, right: Exact| {
            let of = |a: i128, b: i128| match op {
                BinaryOp::Add => a.checked_add(b),
                BinaryOp::Subtract => a.checked_sub(b),
                _ => a.checked_mul(b),
            };
            // Both are intervals, and the operation is monotonous in each operand.
            let ends = [
                of(left.low, right.low),
                of(left.low, right.high),
                of(left.high, right.low),
                of(left.high, right.high),
            ];
            let least = ends.iter().map(|end| end.unwrap_or(i128::MIN)).min();
            let greatest = ends.iter().map(|end| end.unwrap_or(i128::MAX)).max();
            (least.unwrap_or(i128::MIN), greatest.unwrap_or(i128::MAX))
        };
        let bounds = interval(left, right);
        if fits(bounds, I64) || fits(bounds, U64) {
            // The low 64 bits of both kinds are the same.
            let value = self.plain(op, left.value, right.value);
            return Exact::within(value, bounds);
        }
        let (mut left, mut right, mut signed) = self.alike(left, right);
        if op == BinaryOp::Subtract && !signed {
            // The difference of two `u64`s may be neither an `i64` nor a `u64`.
            (left, right, signed) = (self.signed(left), self.signed(right), true);
        }
        let bounds = interval(left, right);
        let kind = if signed { I64 } else { U64 };
        let (a, b) = (left.value, right.value);
        let value = self.plain(op, a, b);
        if !fits(bounds, kind) {
            let fails = self.overflows(op, signed, a, b, value);
            self.refuse(fails);
        }
        Exact::within(value, (bounds.0.max(kind.0), bounds.1.min(kind.1)))
    }

    fn plain(&mut self, op: BinaryOp, left: Value, right: Value) -> Value {
        match op {
            BinaryOp::Add => self.b.ins().iadd(left, right),
            BinaryOp::Subtract => self.b.ins().isub(left, right),
            _ => self.b.ins().imul(left, right),
        }
    }

    fn overflows(&mut self, op: BinaryOp, signed: bool, a: Value, b: Value, is: Value) -> Value {
        match (op, signed) {
            (BinaryOp::Add, false) => self.compare(IntCC::UnsignedLessThan, is, a),
            (BinaryOp::Subtract, false) => self.compare(IntCC::UnsignedLessThan, a, b),
            (BinaryOp::Add, true) => {
                // Both operands have the sign that the sum has not.
                let (left, right) = (self.b.ins().bxor(a, is), self.b.ins().bxor(b, is));
                let both = self.b.ins().band(left, right);
                self.compare_to(IntCC::SignedLessThan, both, 0)
            }
            (BinaryOp::Subtract, true) => {
                let (left, right) = (self.b.ins().bxor(a, b), self.b.ins().bxor(a, is));
                let both = self.b.ins().band(left, right);
                self.compare_to(IntCC::SignedLessThan, both, 0)
            }
            (_, false) => {
                let high = self.b.ins().umulhi(a, b);
                self.compare_to(IntCC::NotEqual, high, 0)
            }
            (_, true) => {
                let high = self.b.ins().smulhi(a, b);
                let by = self.constant(63);
                let sign = self.b.ins().sshr(is, by);
                self.compare(IntCC::NotEqual, high, sign)
            }
        }
    }

    /// `/` and `%` with a routine for each kind.
    fn divide(&mut self, left: Exact, right: Exact, [signed, unsigned]: [Helper; 2]) -> Exact {
        let (left, right, is_signed) = self.alike(left, right);
        if right.low <= 0 && right.high >= 0 {
            let zero = self.compare_to(IntCC::Equal, right.value, 0);
            self.refuse(zero);
        }
        if is_signed && left.low == I64.0 && right.low <= -1 && right.high >= -1 {
            // The one quotient that is no `i64`.
            let least = self.compare_to(IntCC::Equal, left.value, 1 << 63);
            let minus = self.compare_to(IntCC::Equal, right.value, u64::MAX);
            let both = self.b.ins().band(least, minus);
            self.refuse(both);
        }
        let helper = if is_signed { signed } else { unsigned };
        let value = self.ask(helper, &[left.value, right.value]);
        // No result is farther from zero than the dividend.
        let most = left.high.max(-left.low);
        let low = if left.low < 0 || right.low < 0 { (-most).max(I64.0) } else { 0 };
        let high = if is_signed { most.min(I64.1) } else { most };
        Exact::within(value, (low, high))
    }

    /// The number of bits to shift by, 0 to 63. The interpreter knows the others.
    fn shift_count(&mut self, by: Exact) -> Value {
        if by.low < 0 || by.high > 63 {
            let fails = self.compare_to(IntCC::UnsignedGreaterThan, by.value, 63);
            self.refuse(fails);
        }
        by.value
    }

    fn shift_left(&mut self, number: Exact, by: Exact) -> Exact {
        let count = self.shift_count(by);
        let value = self.b.ins().ishl(number.value, count);
        let signed = number.is_signed();
        let back =
            if signed { self.b.ins().sshr(value, count) } else { self.b.ins().ushr(value, count) };
        let lost = self.compare(IntCC::NotEqual, back, number.value);
        self.refuse(lost);
        let bounds = match (signed, number.low < 0) {
            (true, true) => I64,
            (true, false) => (0, I64.1),
            (false, _) => U64,
        };
        Exact::within(value, bounds)
    }

    fn shift_right(&mut self, number: Exact, by: Exact) -> Exact {
        let count = self.shift_count(by);
        if number.is_signed() {
            let value = self.b.ins().sshr(number.value, count);
            return Exact::within(value, (number.low.min(0), number.high.max(0)));
        }
        let value = self.b.ins().ushr(number.value, count);
        Exact::within(value, (0, number.high))
    }

    /// Calls a pure function of the library.
    fn pure_call(&mut self, callee: u16, arguments: &[Exact]) -> Result<Exact, Unsupported> {
        let plan = self.plan;
        let found = plan.callees.get(usize::from(callee)).map(|callee| &callee.purpose);
        let Some(Purpose::Pure { params, result }) = found else {
            return Err(Unsupported::Codegen("an expression calls what is not pure".to_owned()));
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
        let callees = self.load(types::I64, self.binding, offset_of!(Binding, callees));
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
    stack.pop().ok_or_else(|| Unsupported::Codegen("an expression has too few values".to_owned()))
}
