//! The value of what reads nothing: bounds of ranges. The compiler computes them on its own.
use super::meaning::Tree;
use crate::signature::{BinaryOp, UnaryOp};

/// The value of a constant expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Constant {
    Known(i128),
    /// It depends on the size of a type that only the interface knows.
    Unknown,
}

impl Constant {
    /// Whether it may have that value.
    pub(super) fn may_be(self, value: i128) -> bool {
        match self {
            Constant::Known(known) => known == value,
            Constant::Unknown => true,
        }
    }

    fn then(self, f: impl FnOnce(i128) -> Option<i128>) -> Option<Constant> {
        match self {
            Constant::Known(value) => f(value).map(Constant::Known),
            Constant::Unknown => Some(Constant::Unknown),
        }
    }

    fn with(self, other: Constant, f: impl FnOnce(i128, i128) -> Option<i128>) -> Option<Constant> {
        match (self, other) {
            (Constant::Known(a), Constant::Known(b)) => f(a, b).map(Constant::Known),
            _ => Some(Constant::Unknown),
        }
    }
}

impl Tree {
    /// Its value, if it reads and calls nothing and has one.
    pub(super) fn constant(&self) -> Option<Constant> {
        match self {
            Tree::Constant(value) => Some(Constant::Known(*value)),
            Tree::AnyConstant => Some(Constant::Unknown),
            Tree::Load(_) | Tree::Field(..) | Tree::Behind(..) | Tree::Call(..) => None,
            Tree::Unary(op, a) => a.constant()?.then(|a| match op {
                UnaryOp::Negate => a.checked_neg(),
                UnaryOp::Complement => Some(!a),
                UnaryOp::Not => Some((a == 0).into()),
            }),
            Tree::Binary(op, a, b) => a.constant()?.with(b.constant()?, |a, b| binary(*op, a, b)),
            Tree::Abs(a) => a.constant()?.then(i128::checked_abs),
            Tree::Truth(a) => a.constant()?.then(|a| Some((a != 0).into())),
            Tree::Min(a, b) => a.constant()?.with(b.constant()?, |a, b| Some(a.min(b))),
            Tree::Max(a, b) => a.constant()?.with(b.constant()?, |a, b| Some(a.max(b))),
            // Only the arm that is chosen counts, as in C.
            Tree::If(condition, yes, no) => match condition.constant()? {
                Constant::Known(0) => no.constant(),
                Constant::Known(_) => yes.constant(),
                // Then the other arm may be anything.
                Constant::Unknown => yes.constant().or(no.constant()).map(|_| Constant::Unknown),
            },
        }
    }
}

fn binary(op: BinaryOp, a: i128, b: i128) -> Option<i128> {
    let shift = || u32::try_from(b).ok().filter(|by| *by < 64);
    match op {
        BinaryOp::Add => a.checked_add(b),
        BinaryOp::Subtract => a.checked_sub(b),
        BinaryOp::Multiply => a.checked_mul(b),
        BinaryOp::Divide => a.checked_div(b),
        BinaryOp::Remainder => a.checked_rem(b),
        BinaryOp::ShiftLeft => a.checked_mul(1 << shift()?),
        BinaryOp::ShiftRight => Some(a >> shift()?),
        BinaryOp::BitAnd => Some(a & b),
        BinaryOp::BitOr => Some(a | b),
        BinaryOp::BitXor => Some(a ^ b),
        BinaryOp::Less => Some((a < b).into()),
        BinaryOp::LessEqual => Some((a <= b).into()),
        BinaryOp::Greater => Some((a > b).into()),
        BinaryOp::GreaterEqual => Some((a >= b).into()),
        BinaryOp::Equal => Some((a == b).into()),
        BinaryOp::NotEqual => Some((a != b).into()),
        // Trees have choices in their place.
        BinaryOp::And | BinaryOp::Or => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(value: i128) -> Box<Tree> {
        Tree::Constant(value).into()
    }

    #[test]
    fn what_cannot_be_known_makes_the_whole_unknown_unless_it_is_not_chosen() {
        let sum = Tree::Binary(BinaryOp::Add, known(1), Tree::AnyConstant.into());
        assert_eq!(sum.constant(), Some(Constant::Unknown));
        let chosen = Tree::If(known(0), sum.into(), known(3));
        assert_eq!(chosen.constant(), Some(Constant::Known(3)));
        let call = Tree::Call("f".into(), Vec::new());
        let either = Tree::If(Tree::AnyConstant.into(), call.clone().into(), known(3));
        assert_eq!(either.constant(), Some(Constant::Unknown));
        assert_eq!(Tree::If(known(1), call.into(), known(3)).constant(), None);
    }

    #[test]
    fn what_has_no_value_is_no_constant() {
        for (op, b) in [(BinaryOp::Divide, 0), (BinaryOp::ShiftLeft, 64), (BinaryOp::ShiftLeft, -1)]
        {
            assert_eq!(Tree::Binary(op, known(1), known(b)).constant(), None);
        }
    }
}
