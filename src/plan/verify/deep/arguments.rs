//! How pointer parameters must be made: in place, or as copies.
use super::super::callback::captor;
use super::super::demand::{Argument, Elements, Reading, count_of, counted, find, has, is_text};
use super::data::{Data, Members, ranges};
use crate::plan::layout::{Extent, Scalar, scalar_of};
use crate::plan::op::Null;
use crate::signature::{Expr, ExprKind, Note, NoteKind, Type, TypeKind};

impl<'p> Data<'p> {
    /// Whether an expression of the prototype reads what a parameter points at.
    fn is_read(&self, index: usize) -> bool {
        let param = self.prototype.function.params.get(index);
        let Some(name) = param.and_then(|param| param.name.as_ref()) else { return false };
        let result = &self.prototype.function.result;
        let mut notes: Vec<&Note> = self.prototype.notes.iter().collect();
        for ty in self.types.iter().copied().chain([result]) {
            let mut next = Some(ty);
            while let Some(ty) = next {
                notes.extend(&ty.notes);
                next = ty.pointee();
            }
        }
        notes.into_iter().any(|note| match &note.kind {
            NoteKind::CountedBy(e)
            | NoteKind::SizedBy(e)
            | NoteKind::CountedByOrNull(e)
            | NoteKind::Requires(e)
            | NoteKind::Value(e)
            | NoteKind::ConsumesIf(e)
            | NoteKind::Remember(_, e)
            | NoteKind::OnTrap(e) => reads(e, &name.name),
            NoteKind::Range(low, high) => reads(low, &name.name) || reads(high, &name.name),
            _ => false,
        })
    }

    /// Whether nothing in the guest's memory changes through any other parameter.
    fn is_alone(&self, index: usize) -> bool {
        self.leaf
            && self.types.iter().enumerate().all(|(other, ty)| {
                let Some(pointee) = ty.pointee().filter(|_| other != index) else { return true };
                match &pointee.kind {
                    TypeKind::Function(_) => true,
                    TypeKind::Record(record) if self.body(record).is_none() => true,
                    TypeKind::Pointer(_) => is_cell(ty, pointee),
                    TypeKind::Void => pointee.quals.is_const,
                    _ => {
                        let mut members = Members::default();
                        let read = self.members(pointee, 0, 0, None, &mut members);
                        pointee.quals.is_const && read.is_ok() && members.pointers.is_empty()
                    }
                }
            })
    }

    /// How a pointer parameter must be made, unless it is one that this module does not know. What is
    /// kept is copied: as it is, or with all that it leads to.
    pub(in super::super) fn argument(&self, index: usize) -> Reading<Option<Argument<'p>>> {
        let (ty, found) = (self.types[index], self.passed(index)?);
        let Some(pointee) = ty.pointee().filter(|_| captor(ty).is_some()) else {
            return Ok(found);
        };
        let flat = match &pointee.kind {
            TypeKind::Function(_) | TypeKind::Void => true,
            TypeKind::Record(record) => self.body(record).is_none(),
            TypeKind::Pointer(_) => false,
            _ if counted(ty).is_some() => matches!(found, Some(Argument::Buffer { .. })),
            _ => is_text(ty) && found.is_none(),
        };
        Ok(if flat { found } else { Some(Argument::Copied) })
    }

    /// How a pointer parameter would be made if nobody kept it, unless it is one that this module does not know.
    fn passed(&self, index: usize) -> Reading<Option<Argument<'p>>> {
        let ty = self.types[index];
        let Some(pointee) = ty.pointee() else { return Ok(None) };
        let cookie = |kind: &NoteKind| matches!(kind, NoteKind::Cookie | NoteKind::Closure(_));
        if ty.notes.iter().any(|note| cookie(&note.kind)) {
            return Ok(None);
        }
        let inward = !has(ty, &NoteKind::Out);
        let ranged = !ranges(pointee).is_empty();
        let writable = !pointee.quals.is_const;
        let nullable = has(ty, &NoteKind::Nullable);
        let null = if nullable { Null::Allowed } else { Null::Refused };
        let copied = Ok(Some(Argument::Copied));
        let terminated = find(ty, |kind| match kind {
            NoteKind::TerminatedBy(_) => Some(()),
            _ => None,
        });
        let buffer = |extent: Extent| -> Reading<Option<Argument<'p>>> {
            let (count, null, size) = match counted(ty) {
                None => (Elements::One, null, extent.size),
                Some((note, by_bytes)) => {
                    let or_null = matches!(note, NoteKind::CountedByOrNull(_));
                    let null = match (has(ty, &NoteKind::Nonnull), or_null) {
                        (true, _) => Null::Refused,
                        (false, true) => Null::Allowed,
                        (false, false) => Null::IfEmpty,
                    };
                    let size = if by_bytes { 1 } else { extent.size };
                    (Elements::Counted(count_of(note)?), null, size)
                }
            };
            Ok(Some(Argument::Buffer { count, size, align: extent.align, null, writable }))
        };
        match &pointee.kind {
            TypeKind::Function(_) => Ok(None),
            TypeKind::Record(record) if self.body(record).is_none() => Ok(None),
            TypeKind::Record(_) => {
                let same = self.same_bytes(pointee, inward).filter(|extent| extent.size > 0);
                let in_place = same.filter(|_| {
                    terminated.is_none() && !self.is_read(index) && self.is_alone(index)
                });
                in_place.map_or(copied, buffer)
            }
            TypeKind::Pointer(_) if takes(ty) => Ok(None),
            TypeKind::Pointer(_) => {
                let inout = has(ty, &NoteKind::Inout) && is_single(ty);
                if inout && leads_to_text(ty) && self.leaf && !self.copies_beside(index)? {
                    return Ok(None);
                }
                if is_cell(ty, pointee) { Ok(None) } else { copied }
            }
            TypeKind::Void => Ok(None),
            _ if counted(ty).is_some() => match self.same_bytes(pointee, inward) {
                Some(extent) if !ranged => buffer(extent),
                _ => copied,
            },
            _ if is_text(ty) => {
                let same = self.same_bytes(pointee, false).filter(|extent| extent.size <= 4);
                let in_place = same.is_some() && (!writable || self.is_alone(index));
                if in_place && !ranged { Ok(None) } else { copied }
            }
            _ => match scalar_of(pointee) {
                Some(scalar @ (Scalar::Bool | Scalar::Integer(_))) if scalar.host_size() <= 8 => {
                    let as_bool = scalar == Scalar::Bool && inward;
                    let untold = ranged && (!inward || nullable);
                    if as_bool || untold { copied } else { Ok(None) }
                }
                _ => match self.same_bytes(pointee, true) {
                    Some(extent) if !ranged && !self.is_read(index) => buffer(extent),
                    _ => copied,
                },
            },
        }
    }

    /// Whether another parameter is copied. Pointers to strings that go both ways are not, if none
    /// else is.
    fn copies_beside(&self, index: usize) -> Reading<bool> {
        for (other, ty) in self.types.iter().enumerate().filter(|(other, _)| *other != index) {
            let both = has(ty, &NoteKind::Inout) && is_single(ty);
            let pointers = ty.pointee().is_some_and(|inner| inner.pointee().is_some());
            let is_copied = if both && pointers {
                !leads_to_text(ty)
            } else {
                matches!(self.argument(other)?, Some(Argument::Copied))
            };
            if is_copied {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn is_single(ty: &Type) -> bool {
    counted(ty).is_none() && !has(ty, &NoteKind::NullTerminated)
}

/// A cell of the call's own that native code puts a pointer into.
fn is_cell(ty: &Type, pointee: &Type) -> bool {
    let inward = has(ty, &NoteKind::In) || has(ty, &NoteKind::Inout) || pointee.quals.is_const;
    is_single(ty) && !inward
}

/// A pointer to a string of bytes that native code only reads.
fn leads_to_text(ty: &Type) -> bool {
    ty.pointee().is_some_and(|inner| {
        is_text(inner)
            && inner.pointee().is_some_and(|unit| {
                unit.quals.is_const && scalar_of(unit).is_some_and(|unit| unit.host_size() == 1)
            })
    })
}

/// Whether `*name` or `name->f` occurs in an expression.
fn reads(expr: &Expr, name: &str) -> bool {
    let is_name = |e: &Expr| matches!(&e.kind, ExprKind::Name(found) if *found.name == *name);
    match &expr.kind {
        ExprKind::Deref(e) | ExprKind::Arrow(e, _) => is_name(e) || reads(e, name),
        ExprKind::Member(e, _) | ExprKind::Unary(_, e) => reads(e, name),
        ExprKind::Binary(_, a, b) => reads(a, name) || reads(b, name),
        ExprKind::Conditional(a, b, c) => [a, b, c].iter().any(|e| reads(e, name)),
        ExprKind::Builtin(_, all) | ExprKind::Call(_, all) => all.iter().any(|e| reads(e, name)),
        ExprKind::Integer(_) | ExprKind::Name(_) | ExprKind::Return | ExprKind::SizeOf(_) => false,
    }
}

/// Whether the call takes what is behind a pointer, or is said to change who owns it.
fn takes(ty: &Type) -> bool {
    use NoteKind::{Consumes, ConsumesIf, Retains};
    ty.notes.iter().any(|note| matches!(note.kind, Consumes | ConsumesIf(_) | Retains))
}
