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
}

/// Whether what the guest leaves behind a pointer that it was given is native code's.
pub(super) fn writes(ty: &Type) -> bool {
    let is_const = ty.pointee().is_none_or(|pointee| pointee.quals.is_const);
    !is_const && !has(ty, &NoteKind::In)
}

/// Annotations that ask for more than callbacks can do.
pub(super) fn refuse_in_callback(ty: &Type) -> Reading<()> {
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
    match ty.notes.iter().find(|note| refused(&note.kind)) {
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
        refuse_in_callback(ty)?;
        let pointee = ty.pointee().ok_or("a pointer without a pointee")?;
        refuse_in_callback(pointee)?;
        match &pointee.kind {
            TypeKind::Record(record) if record.body.is_none() => {
                return Ok(Shown::Object(name_of(record)));
            }
            TypeKind::Record(_) if counted(ty).is_none() => return Ok(Shown::Value),
            TypeKind::Function(_) | TypeKind::Pointer(_) => {
                return Err("a pointer to a pointer".to_owned());
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

    /// How a pointer that a callback returns becomes native code's.
    pub(super) fn given<'p>(&self, ty: &'p Type) -> Reading<Argument<'p>> {
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
