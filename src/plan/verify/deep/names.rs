//! The names that expressions of copied data may read.
use super::super::Scene;
use super::super::demand::has;
use super::super::meaning::{Names, Tree};
use super::data::{Data, Owner};
use crate::plan::layout::Target as Memory;
use crate::plan::op::{At, Operand};
use crate::signature::{Expr, ExprKind, NoteKind, Type, TypeKind};

/// Names of an expression that belongs to an object.
pub(super) struct Inside<'v, 'p> {
    pub(super) scene: Scene<'v, 'p>,
    pub(super) owner: Option<&'v Owner>,
}

impl Names for Inside<'_, '_> {
    fn param(&self, name: &str) -> Option<Operand> {
        self.scene.param(name)
    }
    fn behind(&self, name: &str) -> Option<Operand> {
        self.scene.behind(name)
    }
    fn result(&self) -> Option<Operand> {
        self.scene.result()
    }
    fn remembered(&self, handle: &str, name: &str) -> Option<Operand> {
        self.scene.remembered(handle, name)
    }
    fn data(&self, expr: &Expr) -> Option<Tree> {
        let data = &self.scene.verifier.data;
        let own = || {
            let owner = self.owner?;
            let (at, ty) = sibling(data, owner, expr)?;
            Some(Tree::Field(u32::try_from(owner.host + at).ok()?, data.width(&ty)?))
        };
        own().or_else(|| self.scene.data(expr))
    }
}

/// A field of the owner, or a member of one.
fn sibling(data: &Data<'_>, owner: &Owner, expr: &Expr) -> Option<(u64, Type)> {
    let host = Memory::Host(data.reader.abi);
    match &expr.kind {
        ExprKind::Name(name) => {
            let found = data.field(&owner.record, &name.name, host);
            // A copy does not have what the guest does not set.
            let natives = |ty: &Type| has(ty, &NoteKind::Private) || has(ty, &NoteKind::Out);
            found.filter(|(_, ty)| ty.pointee().is_some() || !natives(ty))
        }
        ExprKind::Member(inner, field) => {
            let (at, ty) = sibling(data, owner, inner)?;
            let TypeKind::Record(record) = &ty.kind else { return None };
            let (offset, ty) = data.field(record, &field.name, host)?;
            Some((at + offset, ty))
        }
        _ => None,
    }
}

impl Scene<'_, '_> {
    /// `*p`, `p->f` and `p->f.g` of a parameter whose one object was copied.
    pub(in super::super) fn behind_copy(&self, expr: &Expr) -> Option<Tree> {
        if let Some(tree) = self.in_object(expr) {
            return Some(tree);
        }
        let (at, offset, ty) = self.in_copy(expr)?;
        Some(Tree::Behind(at, u32::try_from(offset).ok()?, self.verifier.data.width(&ty)?))
    }

    fn in_copy(&self, expr: &Expr) -> Option<(At, u64, Type)> {
        let data = &self.verifier.data;
        let object = |name: &Expr| {
            let ExprKind::Name(name) = &name.kind else { return None };
            let index = self.index(&name.name)?;
            let at = self.verifier.copies.places[index]?;
            Some((at, 0, data.types[index].pointee()?.clone()))
        };
        let member = |(at, offset, ty): (At, u64, Type), name: &str| {
            let TypeKind::Record(record) = &ty.kind else { return None };
            let (inner, ty) = data.field(record, name, Memory::Host(data.reader.abi))?;
            Some((at, offset + inner, ty))
        };
        match &expr.kind {
            ExprKind::Deref(inner) => object(inner),
            ExprKind::Arrow(inner, field) => member(object(inner)?, &field.name),
            ExprKind::Member(inner, field) => member(self.in_copy(inner)?, &field.name),
            _ => None,
        }
    }
}
