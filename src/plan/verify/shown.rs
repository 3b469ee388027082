//! What the pointers of callbacks' prototypes demand: those that native code passes to the guest, and those
//! that the guest returns.
use super::crossing::Crossing;
use super::demand::{
    Argument, Elements, Reader, Reading, count_of, counted, has, is_text, name_of,
};
use crate::plan::layout::{Scalar, scalar_of};
use crate::signature::{Expr, NoteKind, Type, TypeKind};

/// How a pointer that native code passes to a callback becomes the guest's.
pub(super) enum Shown<'p> {
    /// As a handle.
    Object(String),
    /// It points into the guest's memory.
    Inside,
    /// So it does, or a string is copied, of elements of so many bytes.
    Text(u32),
    /// Or so many elements of so many bytes.
    Counted(&'p Expr, u64),
    /// Or one value.
    Value,
    /// As the integer of a cookie.
    Cookie,
    /// An array of pointers is copied: so many, or up to a NULL; each of them leads to that.
    Pointers(Option<&'p Expr>, Lead),
}

/// What the pointers in an array lead to.
pub(super) enum Lead {
    /// Strings of elements of so many bytes.
    Text(u32),
    /// Objects.
    Object(String),
}

/// Whether what the guest leaves behind a pointer that it was given is native code's.
pub(super) fn writes(ty: &Type) -> bool {
    let is_const = ty.pointee().is_none_or(|pointee| pointee.quals.is_const);
    !is_const && !has(ty, &NoteKind::In)
}

/// Whether a pointer is an integer of the guest.
fn is_cookie(ty: &Type) -> Reading<bool> {
    let cookie = has(ty, &NoteKind::Cookie);
    if !cookie {
        return Ok(false);
    }
    let nothing_else = |kind: &NoteKind| *kind == NoteKind::Cookie;
    refuse_but(ty, nothing_else)?;
    match ty.pointee() {
        Some(pointee) if pointee.kind == TypeKind::Void && pointee.notes.is_empty() => Ok(true),
        _ => Err("a cookie that is no pointer to `void`".to_owned()),
    }
}

/// Annotations that ask for more than callbacks can do.
pub(super) fn refuse_in_callback(ty: &Type) -> Reading<()> {
    refuse_but(ty, |_| false)
}

fn refuse_but(ty: &Type, allowed: impl Fn(&NoteKind) -> bool) -> Reading<()> {
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
                | N::TerminatedBy(_)
                | N::Handle
                | N::Consumes
                | N::ConsumesIf(_)
                | N::Invalidates
                | N::FreedBy(_)
                | N::Range(..)
                | N::LifetimeBound(_)
        )
    };
    match ty.notes.iter().find(|note| refused(&note.kind) && !allowed(&note.kind)) {
        Some(note) => Err(format!("`{}` in a callback", note.kind)),
        None => Ok(()),
    }
}

impl Reader {
    /// How a pointer that native code passes to a callback becomes the guest's. `known`: whether a count can
    /// be computed from the callback's own arguments.
    pub(super) fn shown<'p>(
        &self,
        ty: &'p Type,
        known: &dyn Fn(&Expr) -> bool,
    ) -> Reading<Shown<'p>> {
        let pointee = ty.pointee().ok_or("a pointer without a pointee")?;
        if is_cookie(ty)? {
            return Ok(Shown::Cookie);
        }
        refuse_in_callback(ty)?;
        refuse_in_callback(pointee)?;
        match &pointee.kind {
            TypeKind::Record(record) if record.body.is_none() => {
                return Ok(Shown::Object(name_of(record)));
            }
            TypeKind::Record(_) if counted(ty).is_none() => return Ok(Shown::Value),
            TypeKind::Function(_) => return Err("a pointer to a function".to_owned()),
            TypeKind::Pointer(inner) => {
                refuse_in_callback(inner)?;
                if has(ty, &NoteKind::Out) || has(ty, &NoteKind::Inout) {
                    return Err("pointers that the guest writes".to_owned());
                }
                let count = match counted(ty) {
                    Some((note, false)) => Some(count_of(note)?).filter(|expr| known(expr)),
                    Some((_, true)) => None,
                    None if has(ty, &NoteKind::NullTerminated) => {
                        return Ok(Shown::Pointers(None, self.lead(pointee, inner)?));
                    }
                    None => None,
                };
                let count = count.ok_or("pointers of which nobody says how many")?;
                return Ok(Shown::Pointers(Some(count), self.lead(pointee, inner)?));
            }
            _ => {}
        }
        if let Some((note, by_bytes)) = counted(ty) {
            let expr = count_of(note)?;
            if !known(expr) {
                return Ok(Shown::Inside);
            }
            if scalar_of(pointee) == Some(Scalar::Bool) {
                return Err("an array of `bool`".to_owned());
            }
            let element = self.element(pointee)?.size;
            return Ok(Shown::Counted(expr, if by_bytes { 1 } else { element }));
        }
        if is_text(ty) {
            return Ok(Shown::Text(self.text_unit(ty)?));
        }
        if pointee.kind == TypeKind::Void { Ok(Shown::Inside) } else { Ok(Shown::Value) }
    }

    /// What a pointer in an array leads to.
    fn lead(&self, ty: &Type, pointee: &Type) -> Reading<Lead> {
        match &pointee.kind {
            TypeKind::Record(record) if record.body.is_none() => Ok(Lead::Object(name_of(record))),
            _ if is_text(ty) => Ok(Lead::Text(self.text_unit(ty)?)),
            _ => Err("pointers to neither strings nor objects".to_owned()),
        }
    }

    /// How a pointer that a callback returns becomes native code's.
    pub(super) fn given<'p>(&self, ty: &'p Type) -> Reading<Argument<'p>> {
        if is_cookie(ty)? {
            return Ok(Argument::Cookie { with: None });
        }
        refuse_in_callback(ty)?;
        let pointee = ty.pointee().ok_or("a pointer without a pointee")?;
        refuse_in_callback(pointee)?;
        if matches!(&pointee.kind, TypeKind::Record(record) if record.body.is_some()) {
            return Err("a struct from a callback".to_owned());
        }
        Ok(match self.argument(ty, Crossing::One(Scalar::Pointer))? {
            Argument::Integer { guest, host, null, writable, .. } if guest == host => {
                let size = host.bytes() as u64;
                let align = u32::try_from(size).unwrap_or(1);
                Argument::Buffer { count: Elements::One, size, align, null, writable }
            }
            other => other,
        })
    }
}
