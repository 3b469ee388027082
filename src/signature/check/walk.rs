//! Walks over everything that a prototype holds.
use super::super::{Expr, ExprKind, Function, NoteKind, Prototype, Type, TypeKind, Variadic};

/// Calls `f` for every type of a function, outer types first. Bodies of records are not entered.
pub(super) fn types_of<'a>(function: &'a Function, f: &mut dyn FnMut(&'a Type)) {
    types_in(&function.result, f);
    for param in &function.params {
        types_in(&param.ty, f);
    }
    if let Variadic::Typed(tail) = &function.variadic {
        tail.iter().for_each(|ty| types_in(ty, f));
    }
}

/// Calls `f` for a type and every type in it.
pub(super) fn types_in<'a>(ty: &'a Type, f: &mut dyn FnMut(&'a Type)) {
    f(ty);
    match &ty.kind {
        TypeKind::Pointer(inner) => types_in(inner, f),
        TypeKind::Array { element, .. } => types_in(element, f),
        TypeKind::Vector { lane, .. } => types_in(lane, f),
        TypeKind::Function(function) => types_of(function, f),
        TypeKind::Void
        | TypeKind::Bool
        | TypeKind::Integer(_)
        | TypeKind::Float(_)
        | TypeKind::Complex(_)
        | TypeKind::Enum(_)
        | TypeKind::Record(_) => {}
    }
}

/// Calls `f` for every expression of a prototype's annotations.
pub(super) fn exprs_of<'a>(prototype: &'a Prototype, f: &mut dyn FnMut(&'a Expr)) {
    for note in &prototype.notes {
        note.kind.exprs().into_iter().for_each(&mut *f);
    }
    types_of(&prototype.function, &mut |ty| {
        for note in &ty.notes {
            note.kind.exprs().into_iter().for_each(&mut *f);
        }
    });
}

impl Expr {
    /// Calls `f` for this expression and every expression in it.
    pub(crate) fn each<'a>(&'a self, f: &mut dyn FnMut(&'a Expr)) {
        f(self);
        match &self.kind {
            ExprKind::Integer(_) | ExprKind::Name(_) | ExprKind::Return | ExprKind::SizeOf(_) => {}
            ExprKind::Deref(e)
            | ExprKind::Member(e, _)
            | ExprKind::Arrow(e, _)
            | ExprKind::Unary(_, e) => e.each(f),
            ExprKind::Binary(_, a, b) => [a, b].into_iter().for_each(|e| e.each(f)),
            ExprKind::Conditional(c, a, b) => [c, a, b].into_iter().for_each(|e| e.each(f)),
            ExprKind::Builtin(_, arguments) | ExprKind::Call(_, arguments) => {
                arguments.iter().for_each(|e| e.each(f));
            }
        }
    }
}

/// The expressions of an annotation, borrowed as the annotation is.
macro_rules! exprs {
    ($note:expr) => {
        match $note {
            NoteKind::CountedBy(e)
            | NoteKind::SizedBy(e)
            | NoteKind::CountedByOrNull(e)
            | NoteKind::Requires(e)
            | NoteKind::Value(e)
            | NoteKind::ConsumesIf(e)
            | NoteKind::Remember(_, e)
            | NoteKind::OnTrap(e) => vec![e],
            NoteKind::Range(low, high) => vec![low, high],
            NoteKind::Single
            | NoteKind::NullTerminated
            | NoteKind::TerminatedBy(_)
            | NoteKind::Nullable
            | NoteKind::Nonnull
            | NoteKind::In
            | NoteKind::Out
            | NoteKind::Inout
            | NoteKind::Format(..)
            | NoteKind::Consumes
            | NoteKind::Retains
            | NoteKind::Drop(_)
            | NoteKind::Borrowed
            | NoteKind::LifetimeBound(_)
            | NoteKind::Invalidates
            | NoteKind::CapturedBy(_)
            | NoteKind::FreedBy(_)
            | NoteKind::Boxed
            | NoteKind::Private
            | NoteKind::Exclusive
            | NoteKind::Handle
            | NoteKind::Cookie
            | NoteKind::Closure(_)
            | NoteKind::Leaf
            | NoteKind::Errno
            | NoteKind::Fuel(_)
            | NoteKind::HostOnly
            | NoteKind::Const
            | NoteKind::Pure => Vec::new(),
        }
    };
}

impl NoteKind {
    pub(crate) fn exprs(&self) -> Vec<&Expr> {
        exprs!(self)
    }

    pub(in super::super) fn exprs_mut(&mut self) -> Vec<&mut Expr> {
        exprs!(self)
    }
}
