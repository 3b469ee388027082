//! What a pointer leads to, and which way: by its annotations, its type, and `const`.
use super::Compiler;
use super::held::owner_behind;
use super::life::captor_of;
use super::reads::is_read;
use crate::plan::layout::{Scalar, scalar_of};
use crate::plan::op::{Direction, Null};
use crate::signature::{Integer, NoteKind, Record, Type, TypeKind};

/// What a pointer parameter points at.
pub(super) enum Pointee<'t> {
    /// An object that only native code knows.
    Opaque(&'t Record),
    /// Elements of so many bytes, counted by an annotation.
    Counted(&'t NoteKind),
    /// A string.
    Text,
    /// One integer.
    Integer(Scalar),
    /// A pointer that native code fills in.
    Pointer,
    /// Nothing: an integer of the guest.
    Cookie,
    /// Bytes of which nothing more is said.
    Bytes,
    /// One object that is the same bytes on both sides.
    Plain { size: u32, align: u8 },
    /// Something that native code gets as a copy.
    Deep,
    /// A function.
    Code,
    /// No pointer: what it is.
    None(&'static str),
}

impl<'a> Compiler<'a> {
    /// How a pointer parameter is made.
    pub(super) fn argument(&self, index: usize) -> Pointee<'a> {
        let ty = self.ty(index);
        let found = self.passed(index);
        let kept = captor_of(ty).is_some() && !matches!(found, Pointee::None(_));
        let flat = matches!(
            self.pointee(ty),
            Pointee::Opaque(_) | Pointee::Cookie | Pointee::Code | Pointee::Bytes
        ) || matches!(found, Pointee::Counted(_) | Pointee::Text)
            && !ty.pointee().is_some_and(|pointee| matches!(pointee.kind, TypeKind::Record(_)));
        // What is kept is copied: as it is, or with all that it leads to.
        if kept && !flat { Pointee::Deep } else { found }
    }

    fn passed(&self, index: usize) -> Pointee<'a> {
        let ty = self.ty(index);
        let Some(pointee) = ty.pointee() else { return Pointee::None("this type") };
        let direction = direction(ty, pointee);
        let alone = || self.target.leaf && self.others_only_read(index);
        let is_ranged = pointee.has(|note| matches!(note, NoteKind::Range(..)));
        match self.pointee(ty) {
            // Whatever is said of their direction: see `held`.
            Pointee::Pointer | Pointee::Deep if owner_behind(&self.all[index]).is_some() => {
                Pointee::Pointer
            }
            Pointee::Deep => {
                let is_one = matches!(pointee.kind, TypeKind::Record(_))
                    && !ty.has(|n| matches!(n, NoteKind::TerminatedBy(_)));
                let plain = self
                    .plain(pointee, direction.is_in())
                    .filter(|_| is_one && !is_read(self.prototype, index) && alone());
                match plain.map(|extent| (u32::try_from(extent.size), u8::try_from(extent.align))) {
                    Some((Ok(size), Ok(align))) if size > 0 => match counting(ty) {
                        Some(note) => Pointee::Counted(note),
                        None => Pointee::Plain { size, align },
                    },
                    _ => Pointee::Deep,
                }
            }
            Pointee::Counted(_)
                if is_ranged || self.plain(pointee, direction.is_in()).is_none() =>
            {
                Pointee::Deep
            }
            Pointee::Text if !pointee.quals.is_const && !alone() => Pointee::Deep,
            Pointee::Text if is_ranged => Pointee::Deep,
            Pointee::Integer(scalar) => {
                let as_bool = scalar == Scalar::Bool && direction.is_in();
                let untold =
                    is_ranged && (!direction.is_in() || uncounted_null(ty) == Null::Allowed);
                if as_bool || untold { Pointee::Deep } else { Pointee::Integer(scalar) }
            }
            Pointee::Plain { .. } if is_read(self.prototype, index) => Pointee::Deep,
            Pointee::Pointer if direction == Direction::In => Pointee::Deep,
            Pointee::Pointer if ty.has(|n| *n == NoteKind::Inout) => {
                let mut others = (0..self.all.len()).filter(|other| *other != index);
                let beside_no_copy = others.all(|other| {
                    let ty = self.ty(other);
                    if ty.has(|n| *n == NoteKind::Inout)
                        && matches!(self.pointee(ty), Pointee::Pointer)
                    {
                        leads_to_text(ty)
                    } else {
                        !matches!(self.argument(other), Pointee::Deep)
                    }
                });
                let in_place = leads_to_text(ty) && self.target.leaf && beside_no_copy;
                if in_place { Pointee::Pointer } else { Pointee::Deep }
            }
            other => other,
        }
    }

    /// What a pointer points at, by its annotations and its type.
    pub(super) fn pointee<'t>(&self, ty: &'t Type) -> Pointee<'t> {
        let Some(pointee) = ty.pointee() else { return Pointee::None("this type") };
        if ty.has(|n| matches!(n, NoteKind::Cookie | NoteKind::Closure(_))) {
            return Pointee::Cookie;
        }
        if matches!(pointee.kind, TypeKind::Function(_)) {
            return Pointee::Code;
        }
        if let TypeKind::Record(record) = &pointee.kind {
            return if self.is_complete(record) { Pointee::Deep } else { Pointee::Opaque(record) };
        }
        if let Some(note) = counting(ty) {
            let same = pointee.pointee().is_none() && self.plain(pointee, false).is_some();
            return if same { Pointee::Counted(note) } else { Pointee::Deep };
        }
        if pointee.pointee().is_some() {
            let ends = ty.has(|n| *n == NoteKind::NullTerminated);
            return if ends { Pointee::Deep } else { Pointee::Pointer };
        }
        if is_text(ty) {
            let unit = self.plain(pointee, false).filter(|extent| extent.size <= 4);
            return if unit.is_some() { Pointee::Text } else { Pointee::Deep };
        }
        match (&pointee.kind, scalar_of(pointee)) {
            (TypeKind::Void, _) => Pointee::Bytes,
            (_, Some(scalar @ (Scalar::Bool | Scalar::Integer(_)))) if scalar.host_size() <= 8 => {
                Pointee::Integer(scalar)
            }
            _ => match self
                .plain(pointee, true)
                .map(|e| (u32::try_from(e.size), u8::try_from(e.align)))
            {
                Some((Ok(size), Ok(align))) => Pointee::Plain { size, align },
                _ => Pointee::Deep,
            },
        }
    }

    pub(super) fn is_complete(&self, record: &Record) -> bool {
        record.body.is_some()
            || record.tag.as_ref().is_some_and(|tag| {
                let key = (record.kind, std::sync::Arc::clone(&tag.name));
                self.target.scope.records.contains_key(&key)
            })
    }
}

/// Whether a pointer is to a string: annotated so, or `const char *` without any size.
pub(super) fn is_text(ty: &Type) -> bool {
    let Some(pointee) = ty.pointee() else { return false };
    let plain = matches!(pointee.kind, TypeKind::Integer(Integer::Char)) && pointee.quals.is_const;
    let other = |n: &NoteKind| {
        use NoteKind::{CountedBy, CountedByOrNull, Single, SizedBy};
        matches!(n, Single | CountedBy(_) | CountedByOrNull(_) | SizedBy(_))
    };
    ty.has(|n| *n == NoteKind::NullTerminated) || (plain && !ty.has(other))
}

/// A pointer to a string that native code only reads.
fn leads_to_text(ty: &Type) -> bool {
    let reads = |ty: &Type| ty.quals.is_const && scalar_of(ty).is_some_and(is_byte);
    ty.pointee().is_some_and(|inner| is_text(inner) && inner.pointee().is_some_and(reads))
}

fn is_byte(scalar: Scalar) -> bool {
    scalar.host_size() == 1
}

/// The annotation that counts what is behind a pointer.
fn counting(ty: &Type) -> Option<&NoteKind> {
    let mut kinds = ty.notes.iter().map(|note| &note.kind);
    kinds.find(|kind| {
        use NoteKind::{CountedBy, CountedByOrNull, SizedBy};
        matches!(kind, CountedBy(_) | CountedByOrNull(_) | SizedBy(_))
    })
}

/// What guest 0 means for a pointer without a count.
pub(super) fn uncounted_null(ty: &Type) -> Null {
    if ty.has(|n| *n == NoteKind::Nullable) { Null::Allowed } else { Null::Refused }
}

/// Which way the pointee goes: what is written, else what `const` says.
pub(super) fn direction(pointer: &Type, pointee: &Type) -> Direction {
    if pointer.has(|n| *n == NoteKind::Out) {
        Direction::Out
    } else if pointer.has(|n| *n == NoteKind::In) || pointee.quals.is_const {
        Direction::In
    } else {
        Direction::InOut
    }
}
