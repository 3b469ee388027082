//! What the expressions of a prototype read.
use crate::signature::{Expr, ExprKind, Note, NoteKind, Prototype, Type, Variadic};

/// Whether an expression of the prototype reads what parameter `index` points at. Such an integer
/// is passed as a copy: what a check has read, C must not read again from memory that can change.
pub(super) fn is_read(prototype: &Prototype, index: usize) -> bool {
    let function = &prototype.function;
    let name = function.params.get(index).and_then(|param| param.name.as_ref());
    let Some(name) = name else { return false };
    let tail = match &function.variadic {
        Variadic::Typed(tail) => tail.as_slice(),
        Variadic::No | Variadic::Untyped(_) => &[],
    };
    let types = function.params.iter().map(|p| &p.ty).chain(tail).chain([&function.result]);
    let notes = prototype.notes.iter().chain(types.flat_map(notes_within));
    notes.flat_map(|note| expressions_of(&note.kind)).any(|expr| derefs(expr, &name.name))
}

/// The annotations of a type and of everything behind its pointers.
fn notes_within(ty: &Type) -> Vec<&Note> {
    let mut all = Vec::new();
    let mut next = Some(ty);
    while let Some(ty) = next {
        all.extend(&ty.notes);
        next = ty.pointee();
    }
    all
}

fn expressions_of(note: &NoteKind) -> Vec<&Expr> {
    match note {
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
}

/// Whether `*name` or `name->field` occurs in an expression.
fn derefs(expr: &Expr, name: &str) -> bool {
    match &expr.kind {
        ExprKind::Deref(inner) | ExprKind::Arrow(inner, _) => {
            matches!(&inner.kind, ExprKind::Name(n) if *n.name == *name) || derefs(inner, name)
        }
        ExprKind::Integer(_) | ExprKind::Name(_) | ExprKind::Return | ExprKind::SizeOf(_) => false,
        ExprKind::Member(inner, _) | ExprKind::Unary(_, inner) => derefs(inner, name),
        ExprKind::Binary(_, left, right) => derefs(left, name) || derefs(right, name),
        ExprKind::Conditional(a, b, c) => [a, b, c].iter().any(|e| derefs(e, name)),
        ExprKind::Builtin(_, all) | ExprKind::Call(_, all) => all.iter().any(|e| derefs(e, name)),
    }
}
