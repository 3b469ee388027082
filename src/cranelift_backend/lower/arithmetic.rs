//! The operations of expressions, in 64 bits: see `expression`.
//!
//! An operation looks at what its operands can be. Where no result is possible that is neither an
//! `i64` nor a `u64`, it is one instruction; else it is tested, and a test that fails is left to the
//! interpreter. Divisions are routines outside, whose divisor has been tested: Cranelift's own may trap.
use super::Lower;
use super::expression::{Exact, I64};
use crate::cranelift_backend::helpers::Helper;
use crate::signature::{BinaryOp, UnaryOp};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};

const U64: (i128, i128) = (0, u64::MAX as i128);

fn fits((low, high): (i128, i128), (least, greatest): (i128, i128)) -> bool {
    least <= low && high <= greatest
}

impl Lower<'_> {
    /// The number as an `i64`, if it is one.
    pub(super) fn signed(&mut self, number: Exact) -> Exact {
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

    pub(super) fn truth(&mut self, truth: Value) -> Exact {
        let value = self.b.ins().uextend(types::I64, truth);
        Exact::within(value, (0, 1))
    }

    pub(super) fn unary(&mut self, op: UnaryOp, number: Exact) -> Exact {
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

    pub(super) fn absolute(&mut self, number: Exact) -> Exact {
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

    pub(super) fn extreme(&mut self, least: bool, left: Exact, right: Exact) -> Exact {
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

    pub(super) fn binary(&mut self, op: BinaryOp, left: Exact, right: Exact) -> Exact {
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
}
