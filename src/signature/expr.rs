//! Expressions of annotations, as parsed. Their constants are folded in `fold`; how the others are
//! computed is the plan's business.
use super::{Ident, Span, Type};

/// An integer expression.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where it stands.
    pub span: Span,
}

/// The forms of an expression. Constants (`#define`s and enum constants included) are folded to
/// [`ExprKind::Integer`] when they are parsed. Everything is exact arithmetic on integers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ExprKind {
    /// A constant.
    Integer(i128),
    /// A parameter, or a sibling field.
    Name(Ident),
    /// `return`: the function's result.
    Return,
    /// `*e`
    Deref(Box<Expr>),
    /// `e.f`: a remembered integer of a handle, or a field.
    Member(Box<Expr>, Ident),
    /// `e->f`
    Arrow(Box<Expr>, Ident),
    /// `sizeof(T)`, under the host's ABI.
    SizeOf(Box<Type>),
    /// A unary operator.
    Unary(UnaryOp, Box<Expr>),
    /// A binary operator.
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// `c ? a : b`
    Conditional(Box<Expr>, Box<Expr>, Box<Expr>),
    /// `abs`, `min`, `max`
    Builtin(Builtin, Vec<Expr>),
    /// The call of a granted prototype that is `const` or `pure`.
    Call(Ident, Vec<Expr>),
}

/// Unary operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the C operator of that name")]
pub enum UnaryOp {
    Negate,
    Complement,
    Not,
}

/// Binary operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the C operator of that name")]
pub enum BinaryOp {
    Multiply,
    Divide,
    Remainder,
    Add,
    Subtract,
    ShiftLeft,
    ShiftRight,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Equal,
    NotEqual,
    BitAnd,
    BitXor,
    BitOr,
    And,
    Or,
}

/// Functions that expressions know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the function of that name")]
pub enum Builtin {
    Abs,
    Min,
    Max,
}
