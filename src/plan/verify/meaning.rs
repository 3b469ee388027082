//! What compiled expressions mean: their steps as a tree again, to be compared with the annotation
//! that they were compiled from.
//!
//! Reading the steps back checks them on the way: jumps go forward and form `c ? a : b`, the stack
//! never runs empty, never grows beyond its bound, and exactly one value is left.
use crate::plan::abi::Abi;
use crate::plan::expression::{MAX_DEPTH, Step};
use crate::plan::layout::{Target, extent_of};
use crate::plan::op::{At, Operand, Width};
use crate::plan::{Callee, Purpose};
use crate::signature::{BinaryOp, Builtin, Expr, ExprKind, Scope, UnaryOp};
use std::sync::Arc;

/// An expression, from steps or from an annotation.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Tree {
    Constant(i128),
    /// A constant that cannot be computed here: the size of a type that only the interface knows.
    AnyConstant,
    Load(Operand),
    /// A field of the object that the expression belongs to.
    Field(u32, Width),
    /// An integer of the copy whose address is there.
    Behind(At, u32, Width),
    Unary(UnaryOp, Box<Tree>),
    Binary(BinaryOp, Box<Tree>, Box<Tree>),
    Abs(Box<Tree>),
    Min(Box<Tree>, Box<Tree>),
    Max(Box<Tree>, Box<Tree>),
    Truth(Box<Tree>),
    If(Box<Tree>, Box<Tree>, Box<Tree>),
    Call(Arc<str>, Vec<Tree>),
}

/// What names of an annotation stand for.
pub(super) trait Names {
    /// An integer parameter or a handle.
    fn param(&self, name: &str) -> Option<Operand>;
    /// What a parameter points at.
    fn behind(&self, name: &str) -> Option<Operand>;
    /// What a handle remembers.
    fn remembered(&self, handle: &str, name: &str) -> Option<Operand>;
    /// The result.
    fn result(&self) -> Option<Operand>;
    /// An integer of data that is copied: a sibling field, `p->f`, `*p`.
    fn data(&self, expr: &Expr) -> Option<Tree>;
}

impl Tree {
    /// Reads steps back.
    pub(super) fn of_steps(steps: &[Step], callees: &[Callee]) -> Result<Tree, &'static str> {
        let mut stack = Vec::new();
        block(steps, callees, &mut stack, 0)?;
        match (stack.pop(), stack.is_empty()) {
            (Some(tree), true) => Ok(tree),
            _ => Err("it does not leave one value"),
        }
    }

    /// What an annotation says; `None` when a name in it stands for nothing.
    pub(super) fn of_annotation(expr: &Expr, names: &dyn Names, abi: Abi) -> Option<Tree> {
        let of = |expr: &Expr| Tree::of_annotation(expr, names, abi);
        if let Some(data) = names.data(expr) {
            return Some(data);
        }
        Some(match &expr.kind {
            ExprKind::Integer(value) => Tree::Constant(*value),
            ExprKind::Name(name) => Tree::Load(names.param(&name.name)?),
            ExprKind::Return => Tree::Load(names.result()?),
            ExprKind::Deref(inner) => match &inner.kind {
                ExprKind::Name(name) => Tree::Load(names.behind(&name.name)?),
                _ => return None,
            },
            ExprKind::SizeOf(ty) => match extent_of(ty, &Scope::default(), Target::Host(abi)) {
                Ok(extent) => Tree::Constant(extent.size.into()),
                Err(_) => Tree::AnyConstant,
            },
            ExprKind::Unary(op, inner) => unary(*op, of(inner)?),
            ExprKind::Binary(BinaryOp::And, left, right) => Tree::and(of(left)?, of(right)?),
            ExprKind::Binary(BinaryOp::Or, left, right) => Tree::or(of(left)?, of(right)?),
            ExprKind::Binary(op, left, right) => {
                Tree::Binary(*op, of(left)?.into(), of(right)?.into())
            }
            ExprKind::Conditional(condition, yes, no) => choice(of(condition)?, of(yes)?, of(no)?),
            ExprKind::Builtin(Builtin::Abs, arguments) => match arguments.as_slice() {
                [one] => Tree::Abs(of(one)?.into()),
                _ => return None,
            },
            ExprKind::Builtin(Builtin::Min, arguments) => fold(arguments, Tree::Min, of)?,
            ExprKind::Builtin(Builtin::Max, arguments) => fold(arguments, Tree::Max, of)?,
            ExprKind::Call(function, arguments) => {
                let arguments = arguments.iter().map(of).collect::<Option<_>>()?;
                Tree::Call(Arc::clone(&function.name), arguments)
            }
            ExprKind::Member(of, name) => match &of.kind {
                ExprKind::Name(handle) => Tree::Load(names.remembered(&handle.name, &name.name)?),
                _ => return None,
            },
            ExprKind::Arrow(..) => return None,
        })
    }

    /// `left && right`
    pub(super) fn and(left: Tree, right: Tree) -> Tree {
        choice(left, Tree::Truth(right.into()), Tree::Constant(0))
    }

    /// `left || right`
    pub(super) fn or(left: Tree, right: Tree) -> Tree {
        choice(left, Tree::Constant(1), Tree::Truth(right.into()))
    }

    /// Whether these steps compute what the annotation says.
    pub(super) fn means(&self, annotation: &Tree) -> bool {
        use Tree as T;
        match (self, annotation) {
            (T::Constant(_), T::AnyConstant) => true,
            (T::Unary(a, x), T::Unary(b, y)) => a == b && x.means(y),
            (T::Binary(a, x, v), T::Binary(b, y, w)) => a == b && x.means(y) && v.means(w),
            (T::Abs(x), T::Abs(y)) | (T::Truth(x), T::Truth(y)) => x.means(y),
            (T::Min(x, v), T::Min(y, w)) | (T::Max(x, v), T::Max(y, w)) => x.means(y) && v.means(w),
            (T::If(c, a, b), T::If(d, x, y)) => c.means(d) && a.means(x) && b.means(y),
            (T::Call(f, a), T::Call(g, b)) => {
                f == g && a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.means(b))
            }
            _ => self == annotation,
        }
    }

    /// Calls `f` for the place of every integer that is passed on to a function as it is.
    pub(super) fn passes(&self, f: &mut dyn FnMut(At)) {
        match self {
            Tree::Constant(_)
            | Tree::AnyConstant
            | Tree::Field(..)
            | Tree::Behind(..)
            | Tree::Load(_) => {}
            Tree::Unary(_, a) | Tree::Abs(a) | Tree::Truth(a) => a.passes(f),
            Tree::Binary(_, a, b) | Tree::Min(a, b) | Tree::Max(a, b) => {
                a.passes(f);
                b.passes(f);
            }
            Tree::If(a, b, c) => [a, b, c].into_iter().for_each(|tree| tree.passes(f)),
            Tree::Call(_, arguments) => {
                for argument in arguments {
                    match argument {
                        Tree::Load(operand) => f(operand.at),
                        _ => argument.passes(f),
                    }
                }
            }
        }
    }

    /// Calls `f` for every integer that is read; `true` with those that are passed on as they are
    /// where a function takes 64 bits, which is how handles travel.
    pub(super) fn loads(&self, f: &mut dyn FnMut(Operand, bool), callees: &[Callee]) {
        match self {
            Tree::Constant(_) | Tree::AnyConstant | Tree::Field(..) | Tree::Behind(..) => {}
            Tree::Load(operand) => f(*operand, false),
            Tree::Unary(_, a) | Tree::Abs(a) | Tree::Truth(a) => a.loads(f, callees),
            Tree::Binary(_, a, b) | Tree::Min(a, b) | Tree::Max(a, b) => {
                a.loads(f, callees);
                b.loads(f, callees);
            }
            Tree::If(a, b, c) => {
                for tree in [a, b, c] {
                    tree.loads(f, callees);
                }
            }
            Tree::Call(symbol, arguments) => {
                let widths = callees.iter().find_map(|callee| match &callee.purpose {
                    Purpose::Pure { params, .. } if callee.symbol == *symbol => Some(params),
                    _ => None,
                });
                for (index, argument) in arguments.iter().enumerate() {
                    let wide = widths.and_then(|w| w.get(index)) == Some(&Width::U64);
                    match argument {
                        Tree::Load(operand) => f(*operand, wide),
                        _ => argument.loads(f, callees),
                    }
                }
            }
        }
    }
}

fn fold(
    arguments: &[Expr],
    pair: fn(Box<Tree>, Box<Tree>) -> Tree,
    of: impl Fn(&Expr) -> Option<Tree>,
) -> Option<Tree> {
    let mut trees = arguments.iter().map(of);
    let first = trees.next()??;
    trees.try_fold(first, |all, next| Some(pair(all.into(), next?.into())))
}

fn unary(op: UnaryOp, inner: Tree) -> Tree {
    match (op, inner) {
        (UnaryOp::Negate, Tree::Constant(value)) if value != i128::MIN => Tree::Constant(-value),
        (op, inner) => Tree::Unary(op, inner.into()),
    }
}

/// `!c ? a : b` is `c ? b : a`.
fn choice(condition: Tree, yes: Tree, no: Tree) -> Tree {
    match condition {
        Tree::Unary(UnaryOp::Not, condition) => choice(*condition, no, yes),
        condition => Tree::If(condition.into(), yes.into(), no.into()),
    }
}

/// Reads steps that leave their values above the `below` values of a stack.
fn block(
    steps: &[Step],
    callees: &[Callee],
    stack: &mut Vec<Tree>,
    below: usize,
) -> Result<(), &'static str> {
    const EMPTY: &str = "a step finds too few values";
    let mut next = 0;
    while let Some(step) = steps.get(next) {
        next += 1;
        let mut pop = || if stack.len() > below { stack.pop().ok_or(EMPTY) } else { Err(EMPTY) };
        let tree = match *step {
            Step::Constant(value) => Tree::Constant(value.into()),
            Step::Large(value) => Tree::Constant(value.into()),
            Step::Load(operand) => Tree::Load(operand),
            Step::Field { offset, width } => Tree::Field(offset, width),
            Step::Behind { at, offset, width } => Tree::Behind(at, offset, width),
            Step::Unary(op) => unary(op, pop()?),
            Step::Binary(BinaryOp::And | BinaryOp::Or) => {
                return Err("`&&` and `||` must be made of jumps");
            }
            Step::Binary(op) => {
                let right = pop()?;
                Tree::Binary(op, pop()?.into(), right.into())
            }
            Step::Abs => Tree::Abs(pop()?.into()),
            Step::Min => {
                let right = pop()?;
                Tree::Min(pop()?.into(), right.into())
            }
            Step::Max => {
                let right = pop()?;
                Tree::Max(pop()?.into(), right.into())
            }
            Step::Truth => Tree::Truth(pop()?.into()),
            Step::Jump(_) => return Err("a jump that ends no arm of a choice"),
            Step::JumpIfZero(by) => {
                let condition = pop()?;
                let (yes, no, after) = arms(steps, next, by)?;
                next = after;
                let yes = arm(yes, callees, stack)?;
                choice(condition, yes, arm(no, callees, stack)?)
            }
            Step::Call { callee, arguments } => {
                let callee = callees.get(usize::from(callee)).ok_or("it calls no callee")?;
                let Purpose::Pure { params, .. } = &callee.purpose else {
                    return Err("it calls a function that is not pure");
                };
                if params.len() != usize::from(arguments) || params.len() > 6 {
                    return Err("it calls a function with a wrong number of arguments");
                }
                let mut values = Vec::with_capacity(params.len());
                for _ in 0..arguments {
                    values.push(pop()?);
                }
                values.reverse();
                Tree::Call(Arc::clone(&callee.symbol), values)
            }
        };
        if stack.len() >= MAX_DEPTH {
            return Err("it needs too many values at once");
        }
        stack.push(tree);
    }
    Ok(())
}

/// The two arms of a choice whose `JumpIfZero(by)` stands before `start`, and the step after it.
fn arms(steps: &[Step], start: usize, by: u16) -> Result<(&[Step], &[Step], usize), &'static str> {
    const OUTSIDE: &str = "a jump leaves the expression";
    let no = start + usize::from(by);
    let yes = steps.get(start..no).ok_or(OUTSIDE)?;
    let Some((Step::Jump(over), yes)) = yes.split_last() else {
        return Err("an arm of a choice does not end in a jump");
    };
    let after = no + usize::from(*over);
    Ok((yes, steps.get(no..after).ok_or(OUTSIDE)?, after))
}

/// The one value of an arm.
fn arm(steps: &[Step], callees: &[Callee], stack: &mut Vec<Tree>) -> Result<Tree, &'static str> {
    let below = stack.len();
    block(steps, callees, stack, below)?;
    match stack.pop() {
        Some(tree) if stack.len() == below => Ok(tree),
        _ => Err("an arm of a choice does not leave one value"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(steps: &[Step]) -> Result<Tree, &'static str> {
        let params = Box::new([Width::U64, Width::I32]);
        let pure = Purpose::Pure { params, result: Width::I32 };
        let callees = [
            Callee { symbol: "size".into(), purpose: pure },
            Callee { symbol: "free".into(), purpose: Purpose::Free },
        ];
        Tree::of_steps(steps, &callees)
    }

    fn constant(value: i128) -> Box<Tree> {
        Tree::Constant(value).into()
    }

    #[test]
    fn jumps_are_read_as_choices() {
        let steps = [
            Step::Constant(1),
            Step::Unary(UnaryOp::Not),
            Step::JumpIfZero(2),
            Step::Constant(2),
            Step::Jump(2),
            Step::Constant(3),
            Step::Truth,
            Step::Constant(4),
            Step::Binary(BinaryOp::Add),
        ];
        let truth = Tree::Truth(constant(3));
        let choice = Tree::If(constant(1), truth.into(), constant(2));
        assert_eq!(read(&steps), Ok(Tree::Binary(BinaryOp::Add, choice.into(), constant(4))));
    }

    #[test]
    fn what_cannot_be_evaluated_is_refused() {
        use Step as S;
        let deep: Vec<Step> = vec![S::Constant(0); MAX_DEPTH + 1];
        for (steps, reason) in [
            (&[][..], "it does not leave one value"),
            (&[S::Constant(1), S::Constant(1)], "it does not leave one value"),
            (&[S::Constant(1), S::Min], "a step finds too few values"),
            (&[S::Jump(0), S::Constant(1)], "a jump that ends no arm of a choice"),
            (&[S::Constant(1), S::JumpIfZero(9)], "a jump leaves the expression"),
            (
                &[S::Constant(1), S::JumpIfZero(2), S::Constant(1), S::Jump(2), S::Constant(1)],
                "a jump leaves the expression",
            ),
            (
                &[S::Constant(1), S::JumpIfZero(1), S::Constant(1), S::Constant(1)],
                "an arm of a choice does not end in a jump",
            ),
            (
                &[
                    S::Constant(1),
                    S::Constant(1),
                    S::JumpIfZero(2),
                    S::Truth,
                    S::Jump(1),
                    S::Constant(1),
                ],
                "a step finds too few values",
            ),
            (
                &[S::Constant(1), S::JumpIfZero(2), S::Constant(1), S::Jump(0), S::Constant(1)],
                "an arm of a choice does not leave one value",
            ),
            (&[S::Call { callee: 2, arguments: 0 }], "it calls no callee"),
            (
                &[S::Constant(1), S::Call { callee: 1, arguments: 1 }],
                "it calls a function that is not pure",
            ),
            (
                &[S::Constant(1), S::Call { callee: 0, arguments: 1 }],
                "it calls a function with a wrong number of arguments",
            ),
            (&[S::Constant(1), S::Call { callee: 0, arguments: 2 }], "a step finds too few values"),
            (
                &[S::Constant(1), S::Constant(1), S::Binary(BinaryOp::And)],
                "`&&` and `||` must be made of jumps",
            ),
            (&deep, "it needs too many values at once"),
        ] {
            assert_eq!(read(steps), Err(reason), "{steps:?}");
        }
    }
}
