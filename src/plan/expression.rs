//! Expressions of annotations, compiled to postfix steps, and their evaluation.
//!
//! Arithmetic is exact: every step works on 128-bit integers and an overflow of those is an error,
//! as is a value that does not fit 64 bits at the end. What an expression reads has been placed in
//! the frame by earlier ops; it never reads guest memory.
use super::op::{At, Operand, Width};
use crate::signature::{BinaryOp, UnaryOp};
use thiserror::Error;

/// The deepest stack that an expression may need.
pub const MAX_DEPTH: usize = 32;

/// A compiled expression.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Expression {
    /// The steps; the value is what they leave on the stack.
    pub steps: Box<[Step]>,
    /// As it was written, for messages.
    pub text: Box<str>,
}

/// One step. Operands are popped, the result is pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Pushes a constant.
    Constant(i64),
    /// Pushes a constant beyond the range of [`Step::Constant`].
    Large(u64),
    /// Pushes an integer of the frame.
    Load(Operand),
    /// Pushes an integer of the object that the expression belongs to, as the host has it.
    Field {
        /// Its offset in bytes.
        offset: u32,
        /// How it is stored.
        width: Width,
    },
    /// Pushes an integer of the copy whose native address was placed at `at`; there is none behind
    /// NULL.
    Behind {
        /// Where the address is.
        at: At,
        /// The integer's offset in bytes.
        offset: u32,
        /// How it is stored.
        width: Width,
    },
    /// Replaces the top.
    Unary(UnaryOp),
    /// Replaces the two on top. `&&` and `||` are made of jumps.
    Binary(BinaryOp),
    /// Replaces the top by its absolute value.
    Abs,
    /// Replaces the two on top by the smaller.
    Min,
    /// Replaces the two on top by the greater.
    Max,
    /// Replaces the top by 1 if it is not zero.
    Truth,
    /// Goes on so many steps further.
    Jump(u16),
    /// Pops the top; goes on so many steps further if it was zero.
    JumpIfZero(u16),
    /// Pops `arguments` values (the last on top), calls `Plan::callees[callee]` with them, and
    /// pushes the result.
    Call {
        /// Index into `Plan::callees`.
        callee: u16,
        /// How many arguments.
        arguments: u8,
    },
}

/// Why an expression has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EvaluationError {
    /// `/` or `%` by zero.
    #[error("divides by zero")]
    DivisionByZero,
    /// An intermediate value beyond 128 bits or a final one beyond 64.
    #[error("has a value past 64 bits")]
    TooLarge,
    /// A function is called with a value that its parameter cannot hold.
    #[error("passes {0}, which the parameter of the function that it calls cannot hold")]
    Argument(i128),
    /// A shift by a negative count or by more than 127.
    #[error("shifts by {0} bits")]
    Shift(i128),
    /// What it reads is behind a pointer that is NULL.
    #[error("reads what is behind a pointer that is NULL")]
    Null,
}

/// What an expression reads and calls. The interpreter implements it over a frame.
pub trait Environment {
    /// An integer of the frame.
    fn load(&self, operand: Operand) -> i128;
    /// An integer of the object that the expression belongs to.
    fn field(&self, offset: u32, width: Width) -> i128;
    /// An integer behind the pointer that was placed at `at`.
    ///
    /// # Errors
    /// When it is NULL.
    fn behind(&self, at: At, offset: u32, width: Width) -> Result<i128, EvaluationError>;
    /// Calls a pure native function.
    ///
    /// # Errors
    /// When a parameter of it cannot hold its argument.
    fn call(&mut self, callee: u16, arguments: &[i128]) -> Result<i128, EvaluationError>;

    /// As [`Environment::load`], where that is quicker; `None`: ask that.
    #[inline]
    fn load_small(&self, _operand: Operand) -> Option<i64> {
        None
    }

    /// As [`Environment::call`], likewise. What it returns `None` for was not called.
    #[inline]
    fn call_small(&mut self, _callee: u16, _arguments: &[i64]) -> Option<i64> {
        None
    }
}

/// Evaluates `steps`, which the verifier has accepted.
///
/// # Errors
/// See [`EvaluationError`].
pub fn evaluate(
    expression: &Expression,
    environment: &mut impl Environment,
) -> Result<i128, EvaluationError> {
    if let Some(value) = evaluate_small(expression, environment) {
        return Ok(value.into());
    }
    evaluate_exactly(expression, environment)
}

/// The most values on the stack of [`evaluate_small`].
const SMALL_DEPTH: usize = 4;

/// The value of what most bounds are: sums and products of a few integers and calls, all of 64 bits. `None`
/// where anything else turns up; functions that are called are pure, and may be called again.
#[inline]
fn evaluate_small(expression: &Expression, environment: &mut impl Environment) -> Option<i64> {
    let mut stack = [0; SMALL_DEPTH];
    let mut depth = 0;
    for step in &expression.steps {
        match *step {
            Step::Constant(value) => {
                *stack.get_mut(depth)? = value;
                depth += 1;
            }
            Step::Load(operand) => {
                *stack.get_mut(depth)? = environment.load_small(operand)?;
                depth += 1;
            }
            Step::Binary(op @ (BinaryOp::Add | BinaryOp::Subtract | BinaryOp::Multiply)) => {
                let right = *stack.get(depth.checked_sub(1)?)?;
                depth = depth.checked_sub(2)?;
                let left = stack[depth];
                stack[depth] = match op {
                    BinaryOp::Add => left.checked_add(right)?,
                    BinaryOp::Subtract => left.checked_sub(right)?,
                    _ => left.checked_mul(right)?,
                };
                depth += 1;
            }
            Step::Call { callee, arguments } => {
                let first = depth.checked_sub(arguments.into())?;
                let value = environment.call_small(callee, stack.get(first..depth)?)?;
                *stack.get_mut(first)? = value;
                depth = first + 1;
            }
            Step::Large(_)
            | Step::Field { .. }
            | Step::Behind { .. }
            | Step::Unary(_)
            | Step::Binary(_)
            | Step::Abs
            | Step::Min
            | Step::Max
            | Step::Truth
            | Step::Jump(_)
            | Step::JumpIfZero(_) => return None,
        }
    }
    stack.get(depth.checked_sub(1)?).copied()
}

fn evaluate_exactly(
    expression: &Expression,
    environment: &mut impl Environment,
) -> Result<i128, EvaluationError> {
    let mut stack = Stack { values: [0; MAX_DEPTH], depth: 0 };
    let mut next = 0;
    while let Some(step) = expression.steps.get(next) {
        next += 1;
        match *step {
            Step::Constant(value) => stack.push(i128::from(value)),
            Step::Large(value) => stack.push(i128::from(value)),
            Step::Load(operand) => stack.push(environment.load(operand)),
            Step::Field { offset, width } => stack.push(environment.field(offset, width)),
            Step::Behind { at, offset, width } => {
                stack.push(environment.behind(at, offset, width)?);
            }
            Step::Unary(op) => {
                let value = stack.pop();
                stack.push(unary(op, value)?);
            }
            Step::Binary(op) => {
                let right = stack.pop();
                let left = stack.pop();
                stack.push(binary(op, left, right)?);
            }
            Step::Abs => {
                let value = stack.pop();
                stack.push(value.checked_abs().ok_or(EvaluationError::TooLarge)?);
            }
            Step::Min => {
                let right = stack.pop();
                let left = stack.pop();
                stack.push(left.min(right));
            }
            Step::Max => {
                let right = stack.pop();
                let left = stack.pop();
                stack.push(left.max(right));
            }
            Step::Truth => {
                let value = stack.pop();
                stack.push(i128::from(value != 0));
            }
            Step::Jump(by) => next += usize::from(by),
            Step::JumpIfZero(by) => {
                if stack.pop() == 0 {
                    next += usize::from(by);
                }
            }
            Step::Call { callee, arguments } => {
                let first = stack.depth.saturating_sub(usize::from(arguments));
                let value = environment.call(callee, &stack.values[first..stack.depth])?;
                stack.depth = first;
                stack.push(value);
            }
        }
    }
    let value = stack.pop();
    if Width::I64.holds(value) || Width::U64.holds(value) {
        Ok(value)
    } else {
        Err(EvaluationError::TooLarge)
    }
}

/// The verifier has shown that the depth stays within bounds; the checks here keep the interpreter
/// safe without that proof.
struct Stack {
    values: [i128; MAX_DEPTH],
    depth: usize,
}

impl Stack {
    fn push(&mut self, value: i128) {
        if let Some(place) = self.values.get_mut(self.depth) {
            *place = value;
            self.depth += 1;
        }
    }

    fn pop(&mut self) -> i128 {
        self.depth = self.depth.saturating_sub(1);
        self.values[self.depth]
    }
}

fn unary(op: UnaryOp, value: i128) -> Result<i128, EvaluationError> {
    match op {
        UnaryOp::Negate => value.checked_neg().ok_or(EvaluationError::TooLarge),
        UnaryOp::Complement => Ok(!value),
        UnaryOp::Not => Ok(i128::from(value == 0)),
    }
}

fn binary(op: BinaryOp, left: i128, right: i128) -> Result<i128, EvaluationError> {
    let too_large = EvaluationError::TooLarge;
    match op {
        BinaryOp::Multiply => left.checked_mul(right).ok_or(too_large),
        BinaryOp::Add => left.checked_add(right).ok_or(too_large),
        BinaryOp::Subtract => left.checked_sub(right).ok_or(too_large),
        BinaryOp::Divide if right == 0 => Err(EvaluationError::DivisionByZero),
        BinaryOp::Divide => left.checked_div(right).ok_or(too_large),
        BinaryOp::Remainder if right == 0 => Err(EvaluationError::DivisionByZero),
        BinaryOp::Remainder => left.checked_rem(right).ok_or(too_large),
        BinaryOp::ShiftLeft => {
            let by = shift_count(right)?;
            let shifted = left << by;
            if shifted >> by == left { Ok(shifted) } else { Err(too_large) }
        }
        BinaryOp::ShiftRight => Ok(left >> shift_count(right)?),
        BinaryOp::Less => Ok(i128::from(left < right)),
        BinaryOp::LessEqual => Ok(i128::from(left <= right)),
        BinaryOp::Greater => Ok(i128::from(left > right)),
        BinaryOp::GreaterEqual => Ok(i128::from(left >= right)),
        BinaryOp::Equal => Ok(i128::from(left == right)),
        BinaryOp::NotEqual => Ok(i128::from(left != right)),
        BinaryOp::BitAnd => Ok(left & right),
        BinaryOp::BitXor => Ok(left ^ right),
        BinaryOp::BitOr => Ok(left | right),
        BinaryOp::And => Ok(i128::from(left != 0 && right != 0)),
        BinaryOp::Or => Ok(i128::from(left != 0 || right != 0)),
    }
}

fn shift_count(count: i128) -> Result<u32, EvaluationError> {
    u32::try_from(count).ok().filter(|by| *by < 128).ok_or(EvaluationError::Shift(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;
    impl Environment for Nothing {
        fn load(&self, _: Operand) -> i128 {
            0
        }
        fn field(&self, _: u32, _: Width) -> i128 {
            0
        }
        fn behind(&self, _: At, _: u32, _: Width) -> Result<i128, EvaluationError> {
            Err(EvaluationError::Null)
        }
        fn call(&mut self, _: u16, arguments: &[i128]) -> Result<i128, EvaluationError> {
            Ok(arguments.iter().sum())
        }
    }

    fn run(steps: &[Step]) -> Result<i128, EvaluationError> {
        evaluate(&Expression { steps: steps.into(), text: "".into() }, &mut Nothing)
    }

    #[test]
    fn arithmetic_is_exact_in_between_and_64_bits_at_the_end() {
        let big = [Step::Large(u64::MAX), Step::Constant(2), Step::Binary(BinaryOp::Multiply)];
        assert_eq!(run(&big), Err(EvaluationError::TooLarge));
        let back = [&big[..], &[Step::Constant(2), Step::Binary(BinaryOp::Divide)]].concat();
        assert_eq!(run(&back), Ok(i128::from(u64::MAX)));
    }

    #[test]
    fn division_by_zero_and_odd_shifts_are_errors() {
        let two = |op| run(&[Step::Constant(1), Step::Constant(0), Step::Binary(op)]);
        assert_eq!(two(BinaryOp::Divide), Err(EvaluationError::DivisionByZero));
        assert_eq!(two(BinaryOp::Remainder), Err(EvaluationError::DivisionByZero));
        let shift =
            |by| run(&[Step::Constant(1), Step::Constant(by), Step::Binary(BinaryOp::ShiftLeft)]);
        assert_eq!(shift(63), Ok(1 << 63));
        assert_eq!(shift(64), Err(EvaluationError::TooLarge));
        assert_eq!(shift(-1), Err(EvaluationError::Shift(-1)));
        assert_eq!(shift(127), Err(EvaluationError::TooLarge));
    }

    #[test]
    fn jumps_skip_what_must_not_be_computed() {
        // 0 ? 1 / 0 : 7
        let steps = [
            Step::Constant(0),
            Step::JumpIfZero(4),
            Step::Constant(1),
            Step::Constant(0),
            Step::Binary(BinaryOp::Divide),
            Step::Jump(1),
            Step::Constant(7),
        ];
        assert_eq!(run(&steps), Ok(7));
    }

    #[test]
    fn calls_take_their_arguments_from_the_stack() {
        let steps = [
            Step::Constant(100),
            Step::Constant(1),
            Step::Constant(2),
            Step::Call { callee: 0, arguments: 2 },
            Step::Binary(BinaryOp::Add),
        ];
        assert_eq!(run(&steps), Ok(103));
    }
}
