//! What the expressions of a prototype read.
use crate::signature::{Expr, ExprKind, Note, Prototype, Type, Variadic};

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
    notes.flat_map(|note| note.kind.exprs()).any(|expr| derefs(expr, &name.name))
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

/// Whether `*name` or `name->field` occurs in an expression.
fn derefs(expr: &Expr, name: &str) -> bool {
    let mut found = false;
    expr.each(&mut |inner| {
        if let ExprKind::Deref(of) | ExprKind::Arrow(of, _) = &inner.kind {
            found |= matches!(&of.kind, ExprKind::Name(n) if *n.name == *name);
        }
    });
    found
}
