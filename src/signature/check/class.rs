//! What kind of thing a type is for the rules of DESIGN 5.2.
use super::super::parse::Names;
use super::super::{Expr, ExprKind, Field, Integer, NoteKind, Type, TypeKind};
use super::Checker;

/// Types by what the rules distinguish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Class {
    Void,
    /// Integers, `bool` and enums.
    Integer,
    /// Floats, complex numbers, vectors.
    Number,
    /// A complete struct or union.
    Aggregate,
    Opaque,
    Array,
    Function,
    /// A pointer to an opaque record.
    Handle,
    /// A pointer to a function.
    Callback,
    /// A pointer to `void`.
    VoidPointer,
    /// A pointer to a character type.
    Characters,
    /// A pointer to a pointer.
    Indirect,
    /// A pointer to any other complete type.
    Object,
}

impl Class {
    pub(in super::super) fn of(ty: &Type, names: &Names<'_>) -> Class {
        match &ty.kind {
            TypeKind::Void => Class::Void,
            TypeKind::Bool | TypeKind::Integer(_) | TypeKind::Enum(_) => Class::Integer,
            TypeKind::Float(_) | TypeKind::Complex(_) | TypeKind::Vector { .. } => Class::Number,
            TypeKind::Record(record) if names.is_opaque(record) => Class::Opaque,
            TypeKind::Record(_) => Class::Aggregate,
            TypeKind::Array { .. } => Class::Array,
            TypeKind::Function(_) => Class::Function,
            TypeKind::Pointer(pointee) => match &pointee.kind {
                TypeKind::Void => Class::VoidPointer,
                TypeKind::Integer(Integer::Char | Integer::SignedChar | Integer::UnsignedChar) => {
                    Class::Characters
                }
                TypeKind::Pointer(_) => Class::Indirect,
                TypeKind::Function(_) => Class::Callback,
                TypeKind::Record(record) if names.is_opaque(record) => Class::Handle,
                _ => Class::Object,
            },
        }
    }

    /// A pointer to bytes that may be the guest's.
    pub(super) fn is_data_pointer(self) -> bool {
        matches!(self, Class::VoidPointer | Class::Characters | Class::Indirect | Class::Object)
    }

    pub(super) fn is_pointer(self) -> bool {
        self.is_data_pointer() || matches!(self, Class::Handle | Class::Callback)
    }
}

/// Which way the bytes behind a pointer go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Direction {
    In,
    Out,
    Inout,
}

/// The direction that annotations name, else the one that the type suggests.
pub(in super::super) fn direction(pointer: &Type) -> Direction {
    let named = pointer.notes.iter().find_map(|note| match note.kind {
        NoteKind::In => Some(Direction::In),
        NoteKind::Out => Some(Direction::Out),
        NoteKind::Inout => Some(Direction::Inout),
        _ => None,
    });
    let Some(pointee) = pointer.pointee() else { return Direction::In };
    named.unwrap_or_else(|| {
        let terminated = pointer.has(|kind| *kind == NoteKind::NullTerminated);
        match &pointee.kind {
            _ if pointee.quals.is_const => Direction::In,
            // `char *argv[]`, but `char **end`.
            TypeKind::Pointer(_) if terminated => Direction::In,
            TypeKind::Pointer(_) => Direction::Out,
            _ => Direction::Inout,
        }
    })
}

/// Whether a type is said how far it reaches, or needs not be.
pub(super) fn has_extent(pointer: &Type, class: Class) -> bool {
    let said = pointer.has(|kind| {
        matches!(
            kind,
            NoteKind::CountedBy(_)
                | NoteKind::SizedBy(_)
                | NoteKind::CountedByOrNull(_)
                | NoteKind::Single
                | NoteKind::NullTerminated
                | NoteKind::TerminatedBy(_)
                | NoteKind::Cookie
                | NoteKind::Closure(_)
        )
    });
    said || match class {
        Class::VoidPointer => false,
        Class::Characters => is_string(pointer),
        _ => true,
    }
}

/// `const char *`, which ends with a zero.
pub(in super::super) fn is_string(pointer: &Type) -> bool {
    pointer.pointee().is_some_and(|pointee| {
        pointee.quals.is_const && pointee.kind == TypeKind::Integer(Integer::Char)
    })
}

impl Checker<'_, '_> {
    pub(super) fn class(&self, ty: &Type) -> Class {
        Class::of(ty, self.names)
    }

    /// Whether a type has no bytes: nothing in it has a name but arrays of no elements. A pointer to
    /// it says nothing of how much is there. Lengths that have to be computed count as some.
    pub(super) fn is_hollow(&self, ty: &Type) -> bool {
        match &ty.kind {
            TypeKind::Array { element, length } => {
                let none = matches!(length, Some(Expr { kind: ExprKind::Integer(0), .. }) | None);
                none || self.is_hollow(element)
            }
            TypeKind::Record(record) => self.names.body(record).is_some_and(|body| {
                let is_padding = |field: &Field| field.bits.is_some() && field.name.is_none();
                body.fields.iter().all(|field| is_padding(field) || self.is_hollow(&field.ty))
            }),
            _ => false,
        }
    }

    /// Whether native code may write through this pointer what the guest then sees.
    pub(super) fn may_write(&self, pointer: &Type) -> bool {
        direction(pointer) != Direction::In
    }

    /// An integer that names a resource.
    pub(super) fn is_descriptor(&self, ty: &Type) -> bool {
        self.class(ty) == Class::Integer && ty.has(|kind| *kind == NoteKind::Handle)
    }

    /// A handle, the cell of one, or an integer that names a resource.
    pub(super) fn is_resource(&self, ty: &Type) -> bool {
        match self.class(ty) {
            Class::Handle => true,
            Class::Indirect => ty.pointee().is_some_and(|p| self.class(p) == Class::Handle),
            Class::Integer => ty.has(|kind| *kind == NoteKind::Handle),
            _ => false,
        }
    }
}
