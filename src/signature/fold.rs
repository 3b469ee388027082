//! Constants of expressions: names of constants replaced, constant arithmetic done.
//!
//! Folding gives expressions one canonical form (`2 * 4`, `N` and `8` are equal), which is what
//! printing and the comparison of a guest's prototype with its grant rely on. How an expression
//! with parameters is computed is the plan's business.
use super::{BinaryOp, Builtin, Diagnostic, Expr, ExprKind, Span, UnaryOp};

/// Values that expressions can have: everything that a signed or an unsigned 64-bit integer holds.
const RANGE: std::ops::RangeInclusive<i128> = (i64::MIN as i128)..=(u64::MAX as i128);

/// An expression of that form, reduced to a constant if its operands are constants.
pub(super) fn expr(kind: ExprKind, span: Span) -> Result<Expr, Diagnostic> {
    let value = match &kind {
        ExprKind::Unary(op, operand) => operand.constant().map(|a| unary(*op, a)),
        ExprKind::Binary(op, left, right) => match (left.constant(), right.constant()) {
            (Some(a), Some(b)) => Some(binary(*op, a, b)),
            _ => None,
        },
        ExprKind::Conditional(condition, yes, no) => {
            match (condition.constant(), yes.constant(), no.constant()) {
                (Some(c), Some(a), Some(b)) => Some(Ok(if c != 0 { a } else { b })),
                _ => None,
            }
        }
        ExprKind::Builtin(builtin, arguments) => {
            let values: Option<Vec<i128>> = arguments.iter().map(Expr::constant).collect();
            values.and_then(|values| match (builtin, &values[..]) {
                (Builtin::Abs, [a]) => Some(Ok(a.abs())),
                (Builtin::Min, [a, rest @ ..]) => Some(Ok(rest.iter().fold(*a, |a, b| a.min(*b)))),
                (Builtin::Max, [a, rest @ ..]) => Some(Ok(rest.iter().fold(*a, |a, b| a.max(*b)))),
                _ => None,
            })
        }
        ExprKind::Integer(value) => Some(Ok(*value)),
        ExprKind::Name(_)
        | ExprKind::Return
        | ExprKind::Deref(_)
        | ExprKind::Member(..)
        | ExprKind::Arrow(..)
        | ExprKind::SizeOf(_)
        | ExprKind::Call(..) => None,
    };
    match value {
        None => Ok(Expr { kind, span }),
        Some(Ok(value)) if RANGE.contains(&value) => {
            Ok(Expr { kind: ExprKind::Integer(value), span })
        }
        Some(Ok(_)) => Err(Diagnostic::new(span, "this constant does not fit 64 bits")),
        Some(Err(reason)) => Err(Diagnostic::new(span, reason)),
    }
}

fn unary(op: UnaryOp, a: i128) -> Result<i128, &'static str> {
    Ok(match op {
        UnaryOp::Negate => -a,
        UnaryOp::Complement => !a,
        UnaryOp::Not => i128::from(a == 0),
    })
}

fn binary(op: BinaryOp, a: i128, b: i128) -> Result<i128, &'static str> {
    let too_large = "this constant does not fit 64 bits";
    Ok(match op {
        // Both are below 2^65: the product can pass 2^127.
        BinaryOp::Multiply => a.checked_mul(b).ok_or(too_large)?,
        BinaryOp::Divide => a.checked_div(b).ok_or("a division by zero")?,
        BinaryOp::Remainder => a.checked_rem(b).ok_or("a division by zero")?,
        BinaryOp::Add => a + b,
        BinaryOp::Subtract => a - b,
        BinaryOp::ShiftLeft => match u32::try_from(b) {
            Ok(b) if b < 64 => a.checked_mul(1 << b).ok_or(too_large)?,
            _ => return Err("a shift by a negative count, or by 64 and more"),
        },
        BinaryOp::ShiftRight => match u32::try_from(b) {
            Ok(b) if b < 64 => a >> b,
            _ => return Err("a shift by a negative count, or by 64 and more"),
        },
        BinaryOp::Less => i128::from(a < b),
        BinaryOp::LessEqual => i128::from(a <= b),
        BinaryOp::Greater => i128::from(a > b),
        BinaryOp::GreaterEqual => i128::from(a >= b),
        BinaryOp::Equal => i128::from(a == b),
        BinaryOp::NotEqual => i128::from(a != b),
        BinaryOp::BitAnd => a & b,
        BinaryOp::BitXor => a ^ b,
        BinaryOp::BitOr => a | b,
        BinaryOp::And => i128::from(a != 0 && b != 0),
        BinaryOp::Or => i128::from(a != 0 || b != 0),
    })
}

/// Replaces the names that `constant` knows and folds what becomes constant.
pub(super) fn resolve(
    target: &mut Expr,
    constant: &dyn Fn(&str) -> Option<i128>,
    errors: &mut Vec<Diagnostic>,
) {
    let mut each = |e: &mut Expr| resolve(e, constant, errors);
    match &mut target.kind {
        ExprKind::Name(name) => {
            if let Some(value) = constant(&name.name) {
                target.kind = ExprKind::Integer(value);
            }
            return;
        }
        ExprKind::Integer(_) | ExprKind::Return | ExprKind::SizeOf(_) => return,
        ExprKind::Deref(e) | ExprKind::Member(e, _) | ExprKind::Arrow(e, _) => each(e),
        ExprKind::Unary(_, e) => each(e),
        ExprKind::Binary(_, a, b) => {
            each(a);
            each(b);
        }
        ExprKind::Conditional(c, a, b) => {
            each(c);
            each(a);
            each(b);
        }
        ExprKind::Builtin(_, arguments) | ExprKind::Call(_, arguments) => {
            arguments.iter_mut().for_each(each);
        }
    }
    let placeholder = ExprKind::Integer(0);
    match expr(std::mem::replace(&mut target.kind, placeholder), target.span) {
        Ok(folded) => *target = folded,
        Err(error) => errors.push(error),
    }
}

impl Expr {
    /// Its value, if it is a constant.
    #[must_use]
    pub fn constant(&self) -> Option<i128> {
        match self.kind {
            ExprKind::Integer(value) => Some(value),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn int(value: i128) -> Expr {
        Expr { kind: ExprKind::Integer(value), span: Span::default() }
    }

    fn fold(op: BinaryOp, a: i128, b: i128) -> Result<i128, String> {
        let kind = ExprKind::Binary(op, Box::new(int(a)), Box::new(int(b)));
        match expr(kind, Span::default()) {
            Ok(e) => Ok(e.constant().expect("both are constants")),
            Err(e) => Err(e.message),
        }
    }

    #[test]
    fn arithmetic_is_exact_within_64_bits() {
        let max = i128::from(u64::MAX);
        assert_eq!(fold(BinaryOp::Add, max - 1, 1), Ok(max));
        assert_eq!(fold(BinaryOp::Divide, -7, 2), Ok(-3));
        assert_eq!(fold(BinaryOp::ShiftLeft, 1, 63), Ok(1 << 63));
        for (op, a, b) in [
            (BinaryOp::Add, max, 1),
            (BinaryOp::Multiply, max, max),
            (BinaryOp::Multiply, i128::from(i64::MIN), max),
            (BinaryOp::ShiftLeft, max, 63),
            (BinaryOp::ShiftLeft, 1, 64),
            (BinaryOp::ShiftRight, 1, -1),
            (BinaryOp::Divide, 1, 0),
            (BinaryOp::Remainder, 1, 0),
            (BinaryOp::Subtract, i128::from(i64::MIN), 1),
        ] {
            assert!(fold(op, a, b).is_err(), "{op:?} {a} {b}");
        }
    }
}
