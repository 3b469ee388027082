//! The value of a constant expression: the length of an array, the bound of a range.
//!
//! Exact arithmetic on mathematical values within 128 bits. `sizeof` is asked of the caller, for it
//! has two answers: in the guest's memory and in the host's.
use super::{LayoutError, LayoutErrorKind};
use crate::signature::{BinaryOp, Builtin, Expr, ExprKind, Type, UnaryOp};

/// The value of `expr`; `size_of` answers its `sizeof`s.
pub(super) fn evaluate<'a>(
    expr: &'a Expr,
    size_of: &mut dyn FnMut(&'a Type) -> Result<u64, LayoutError>,
) -> Result<i128, LayoutError> {
    match &expr.kind {
        ExprKind::Integer(value) => Ok(*value),
        ExprKind::SizeOf(ty) => size_of(ty).map(i128::from),
        ExprKind::Unary(op, operand) => {
            let value = evaluate(operand, size_of)?;
            match op {
                UnaryOp::Negate => value.checked_neg().ok_or_else(|| overflow(expr)),
                UnaryOp::Complement => Ok(!value),
                UnaryOp::Not => Ok(i128::from(value == 0)),
            }
        }
        // Only the operand that decides is looked at, as in C.
        ExprKind::Binary(BinaryOp::And, a, b) => {
            Ok(i128::from(evaluate(a, size_of)? != 0 && evaluate(b, size_of)? != 0))
        }
        ExprKind::Binary(BinaryOp::Or, a, b) => {
            Ok(i128::from(evaluate(a, size_of)? != 0 || evaluate(b, size_of)? != 0))
        }
        ExprKind::Binary(op, a, b) => {
            binary(expr, *op, evaluate(a, size_of)?, evaluate(b, size_of)?)
        }
        ExprKind::Conditional(condition, then, otherwise) => {
            let chosen = if evaluate(condition, size_of)? != 0 { then } else { otherwise };
            evaluate(chosen, size_of)
        }
        ExprKind::Builtin(function, args) => {
            let mut values = Vec::with_capacity(args.len());
            for arg in args {
                values.push(evaluate(arg, size_of)?);
            }
            let value = match function {
                Builtin::Abs => values.first().and_then(|v| v.checked_abs()),
                Builtin::Min => values.into_iter().min(),
                Builtin::Max => values.into_iter().max(),
            };
            value.ok_or_else(|| overflow(expr))
        }
        ExprKind::Name(_)
        | ExprKind::Return
        | ExprKind::Deref(_)
        | ExprKind::Member(..)
        | ExprKind::Arrow(..)
        | ExprKind::Call(..) => Err(LayoutErrorKind::LengthNotConstant.at(expr.span)),
    }
}

fn binary(expr: &Expr, op: BinaryOp, a: i128, b: i128) -> Result<i128, LayoutError> {
    let by_zero = || LayoutErrorKind::NoValue("it divides by zero").at(expr.span);
    let shift = || {
        u32::try_from(b).ok().filter(|count| *count < 64).ok_or_else(|| {
            LayoutErrorKind::NoValue("it shifts by less than 0 or more than 63").at(expr.span)
        })
    };
    let exact = |value: Option<i128>| value.ok_or_else(|| overflow(expr));
    match op {
        BinaryOp::Add => exact(a.checked_add(b)),
        BinaryOp::Subtract => exact(a.checked_sub(b)),
        BinaryOp::Multiply => exact(a.checked_mul(b)),
        BinaryOp::Divide if b == 0 => Err(by_zero()),
        BinaryOp::Divide => exact(a.checked_div(b)),
        BinaryOp::Remainder if b == 0 => Err(by_zero()),
        BinaryOp::Remainder => exact(a.checked_rem(b)),
        BinaryOp::ShiftLeft => exact(a.checked_mul(1 << shift()?)),
        BinaryOp::ShiftRight => Ok(a >> shift()?),
        BinaryOp::Less => Ok((a < b).into()),
        BinaryOp::LessEqual => Ok((a <= b).into()),
        BinaryOp::Greater => Ok((a > b).into()),
        BinaryOp::GreaterEqual => Ok((a >= b).into()),
        BinaryOp::Equal => Ok((a == b).into()),
        BinaryOp::NotEqual => Ok((a != b).into()),
        BinaryOp::BitAnd => Ok(a & b),
        BinaryOp::BitXor => Ok(a ^ b),
        BinaryOp::BitOr => Ok(a | b),
        BinaryOp::And => Ok((a != 0 && b != 0).into()),
        BinaryOp::Or => Ok((a != 0 || b != 0).into()),
    }
}

fn overflow(expr: &Expr) -> LayoutError {
    LayoutErrorKind::NoValue("it is past 128 bits").at(expr.span)
}
