//! After a declaration is read: names in its expressions that are constants become constants.
//!
//! That has to wait until all names are known, because `char buf[len]` may stand before `len`, and
//! a parameter hides a constant of its name.
use super::super::{
    Diagnostic, Expr, Field, Function, Note, Param, Prototype, Type, TypeKind, Variadic, fold,
};
use super::Parser;
use std::sync::Arc;

/// The names that are no constants here, innermost last.
type Hidden = Vec<Arc<str>>;

impl Parser<'_, '_> {
    pub(super) fn resolve_prototype(&mut self, prototype: &mut Prototype) {
        let mut hidden = Hidden::new();
        self.function_with(&mut prototype.function, &mut prototype.notes, &mut hidden);
    }

    pub(super) fn resolve_fields(&mut self, fields: &mut [Field]) {
        let mut hidden: Hidden =
            fields.iter().filter_map(|f| f.name.as_ref()).map(|n| Arc::clone(&n.name)).collect();
        for field in fields {
            self.ty(&mut field.ty, &mut hidden);
        }
    }

    pub(super) fn resolve_type(&mut self, ty: &mut Type) {
        self.ty(ty, &mut Hidden::new());
    }

    pub(super) fn resolve_constant(&mut self, expr: &mut Expr) {
        self.expr(expr, &Hidden::new());
    }

    fn function_with(&mut self, function: &mut Function, notes: &mut [Note], hidden: &mut Hidden) {
        let outer = hidden.len();
        let names = function.params.iter().filter_map(|p| p.name.as_ref());
        hidden.extend(names.map(|name| Arc::clone(&name.name)));
        self.ty(&mut function.result, hidden);
        for Param { ty, .. } in &mut function.params {
            self.ty(ty, hidden);
        }
        if let Variadic::Typed(tail) = &mut function.variadic {
            for ty in tail {
                self.ty(ty, hidden);
            }
        }
        self.notes(notes, hidden);
        hidden.truncate(outer);
    }

    fn ty(&mut self, ty: &mut Type, hidden: &mut Hidden) {
        self.notes(&mut ty.notes, hidden);
        match &mut ty.kind {
            TypeKind::Pointer(inner) => self.ty(inner, hidden),
            TypeKind::Array { element, length } => {
                self.ty(element, hidden);
                if let Some(length) = length {
                    self.expr(length, hidden);
                }
            }
            TypeKind::Function(function) => self.function_with(function, &mut [], hidden),
            // A body was resolved when it was read.
            TypeKind::Record(_)
            | TypeKind::Vector { .. }
            | TypeKind::Void
            | TypeKind::Bool
            | TypeKind::Integer(_)
            | TypeKind::Float(_)
            | TypeKind::Complex(_)
            | TypeKind::Enum(_) => {}
        }
    }

    fn notes(&mut self, notes: &mut [Note], hidden: &Hidden) {
        for note in notes {
            for expr in note.kind.exprs_mut() {
                self.expr(expr, hidden);
            }
        }
    }

    fn expr(&mut self, expr: &mut Expr, hidden: &Hidden) {
        let names = &self.names;
        let constant = |name: &str| {
            if hidden.iter().any(|h| &**h == name) { None } else { names.constant(name) }
        };
        let mut errors: Vec<Diagnostic> = Vec::new();
        fold::resolve(expr, &constant, &mut errors);
        for error in errors {
            self.report(error);
        }
    }
}
