//! What the pointers of callbacks' prototypes demand: those that native code passes to the guest, and those
//! that the guest returns.
use super::super::deep::Data;
use super::super::demand::{Elements, Reading, count_of, counted, find, has, is_text, name_of};
use crate::plan::layout::Scalar;
use crate::plan::op::Null;
use crate::signature::{Expr, Lender, NoteKind, Type, TypeKind};

/// How a pointer that native code passes to a callback becomes the guest's.
pub(super) enum Shown<'p> {
    /// As a handle, for how long its annotation says.
    Object(String, Option<&'p Lender>),
    /// It points into the guest's memory.
    Inside,
    /// So it does, or what it leads to is copied.
    Copied,
    /// As the integer of a cookie.
    Cookie,
    /// As an index of the guest's table.
    Function,
}

/// How a pointer that a callback returns becomes native code's.
pub(super) enum Given<'p> {
    Cookie,
    Object(String, Null),
    Function(Null),
    /// A copy that closures may keep.
    Text(u32, Null),
    /// The guest's own memory.
    InPlace {
        count: Elements<'p>,
        size: u64,
        align: u32,
        null: Null,
    },
    /// A copy of all that it leads to.
    Copied,
}

/// Whether a pointer is an integer of the guest.
fn is_cookie(ty: &Type) -> Reading<bool> {
    if !has(ty, &NoteKind::Cookie) {
        return Ok(false);
    }
    refuse_but(ty, |kind| *kind == NoteKind::Cookie)?;
    match ty.pointee() {
        Some(pointee) if pointee.kind == TypeKind::Void && pointee.notes.is_empty() => Ok(true),
        _ => Err("a cookie that is no pointer to `void`".to_owned()),
    }
}

/// Annotations that have no meaning in a callback.
pub(super) fn refuse_but(ty: &Type, allowed: impl Fn(&NoteKind) -> bool) -> Reading<()> {
    let refused = |kind: &NoteKind| {
        use NoteKind as N;
        matches!(
            kind,
            N::CapturedBy(_)
                | N::Cookie
                | N::Closure(_)
                | N::Boxed
                | N::Retains
                | N::Exclusive
                | N::Remember(..)
                | N::Handle
                | N::Consumes
                | N::ConsumesIf(_)
                | N::Invalidates
                | N::FreedBy(_)
                | N::Range(..)
                | N::Value(_)
                | N::LifetimeBound(_)
        )
    };
    match ty.notes.iter().find(|note| refused(&note.kind) && !allowed(&note.kind)) {
        Some(note) => Err(format!("`{}` in a callback", note.kind)),
        None => Ok(()),
    }
}

/// What guest 0 means for a pointer.
fn null_of(ty: &Type) -> Null {
    match counted(ty) {
        None if has(ty, &NoteKind::Nullable) => Null::Allowed,
        None => Null::Refused,
        Some(_) if has(ty, &NoteKind::Nonnull) => Null::Refused,
        Some((NoteKind::CountedByOrNull(_), _)) => Null::Allowed,
        Some(_) => Null::IfEmpty,
    }
}

impl Data<'_> {
    /// How a pointer that native code passes to a callback becomes the guest's. `known`: whether a count can
    /// be computed from the callback's own arguments.
    pub(super) fn shown<'t>(
        &self,
        ty: &'t Type,
        known: &dyn Fn(&Expr) -> bool,
    ) -> Reading<Shown<'t>> {
        let pointee = ty.pointee().ok_or("a pointer without a pointee")?;
        if is_cookie(ty)? {
            return Ok(Shown::Cookie);
        }
        if let TypeKind::Record(record) = &pointee.kind
            && self.body(record).is_none()
        {
            refuse_but(ty, |kind| matches!(kind, NoteKind::LifetimeBound(_)))?;
            let lender = find(ty, |kind| match kind {
                NoteKind::LifetimeBound(lender) => Some(lender),
                _ => None,
            });
            return Ok(Shown::Object(name_of(record), lender));
        }
        refuse_but(ty, |_| false)?;
        if matches!(pointee.kind, TypeKind::Function(_)) {
            return Ok(Shown::Function);
        }
        if let Some((note, _)) = counted(ty) {
            let foreign = !known(count_of(note)?);
            if foreign && pointee.pointee().is_none() {
                return Ok(Shown::Inside);
            }
        } else if pointee.kind == TypeKind::Void {
            return Ok(Shown::Inside);
        }
        Ok(Shown::Copied)
    }

    /// How a pointer that a callback returns becomes native code's.
    pub(super) fn given<'t>(&self, ty: &'t Type) -> Reading<Given<'t>> {
        let pointee = ty.pointee().ok_or("a pointer without a pointee")?;
        if is_cookie(ty)? {
            return Ok(Given::Cookie);
        }
        if matches!(pointee.kind, TypeKind::Function(_)) {
            refuse_but(ty, |_| false)?;
            return Ok(Given::Function(null_of(ty)));
        }
        refuse_but(ty, |_| false)?;
        if let TypeKind::Record(record) = &pointee.kind
            && self.body(record).is_none()
        {
            return Ok(Given::Object(name_of(record), null_of(ty)));
        }
        let plain = match pointee.pointee() {
            None => self.same_bytes(pointee, true).filter(|extent| extent.size > 0),
            Some(_) => None,
        };
        match (counted(ty), plain) {
            // An array of structs may be large, and hold what is looked at.
            (Some((note, by_bytes)), Some(extent))
                if !matches!(pointee.kind, TypeKind::Record(_)) =>
            {
                let count = Elements::Counted(count_of(note)?);
                let size = if by_bytes { 1 } else { extent.size };
                return Ok(Given::InPlace { count, size, align: extent.align, null: null_of(ty) });
            }
            (None, _) if is_text(ty) => {
                let same = self.same_bytes(pointee, false).filter(|extent| extent.size <= 4);
                return Ok(match same {
                    Some(extent) if pointee.quals.is_const && ranges_free(pointee) => {
                        let unit = u32::try_from(extent.size).map_err(|e| e.to_string())?;
                        Given::Text(unit, null_of(ty))
                    }
                    _ => Given::Copied,
                });
            }
            (None, _) if ty.notes.iter().any(|n| matches!(n.kind, NoteKind::TerminatedBy(_))) => {}
            (None, _) if pointee.kind == TypeKind::Void => {
                return Err("a pointer without a size from a callback".to_owned());
            }
            (None, Some(extent)) => {
                let (size, align) = (extent.size, extent.align);
                return Ok(Given::InPlace { count: Elements::One, size, align, null: null_of(ty) });
            }
            _ => {}
        }
        Ok(Given::Copied)
    }
}

fn ranges_free(ty: &Type) -> bool {
    !ty.notes.iter().any(|note| matches!(note.kind, NoteKind::Range(..)))
}

/// Whether a result of that type crosses as an integer that a handle stands for.
pub(super) fn is_descriptor(ty: &Type, scalar: Scalar) -> bool {
    has(ty, &NoteKind::Handle) && scalar != Scalar::Pointer
}
