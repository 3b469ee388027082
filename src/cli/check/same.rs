//! Whether a type of the interface is one of the header.
use super::c_text::{tag, untagged_name};
use super::class::Class;
use super::compare::Side;
use super::real::Real;
use portcullis::plan::layout::{Scalar, Target, extent_of, scalar_of};
use portcullis::signature::{Type, TypeKind};

impl Side<'_> {
    /// Whether two types are the same but for the spelling of integers of one size, and for what is
    /// in structs and unions. At the outermost level qualifiers do not matter: the callee gets a
    /// copy.
    pub(super) fn same(self, ours: &Type, real: &Real, outermost: bool) -> bool {
        let is_array = matches!(ours.kind, TypeKind::Array { .. });
        if !outermost && !is_array && ours.quals.is_const != real.is_const() {
            return false;
        }
        match (&ours.kind, real.bare()) {
            (TypeKind::Pointer(ours), Real::Pointer(real)) => self.same(ours, real, false),
            (TypeKind::Record(record), Real::Record { kind, tag: theirs, .. }) => {
                record.kind == *kind
                    && match (&record.tag, theirs) {
                        (Some(_), Some(theirs)) => tag(record) == *theirs,
                        (None, None) => untagged_name(ours, self.scope) == real.untagged_name(),
                        _ => false,
                    }
            }
            (TypeKind::Array { element, .. }, Real::Array { element: theirs, length }) => {
                self.length(ours, element) == length.unwrap_or(0)
                    && self.same(element, theirs, false)
            }
            (TypeKind::Vector { lane, bytes }, Real::Vector { lane: theirs, bytes: size }) => {
                u64::from(*bytes) == *size && self.same(lane, theirs, true)
            }
            (TypeKind::Function(ours), Real::Function(real)) => {
                ours.params.len() == real.params.len()
                    && self.same(&ours.result, &real.result, true)
                    && ours
                        .params
                        .iter()
                        .zip(&real.params)
                        .all(|(ours, real)| self.same(&ours.ty, real, true))
            }
            _ => match (Class::of_ours(ours, self.abi), Class::of_real(real, self.abi)) {
                (Some(a), Some(b)) => {
                    a == b && (scalar_of(ours) == Some(Scalar::Pointer)) == is_pointer(real)
                }
                _ => false,
            },
        }
    }

    /// The length of an array of ours; 0 where it is not known, as of a flexible array member.
    pub(super) fn length(self, array: &Type, element: &Type) -> u64 {
        let size = |ty| extent_of(ty, self.scope, Target::Host(self.abi)).ok().map(|of| of.size);
        size(array).zip(size(element)).and_then(|(all, one)| all.checked_div(one)).unwrap_or(0)
    }

    /// Whether both are pointers to objects of known but different sizes: the call would look
    /// right, and the function would read or write past them. Bytes may stand for anything: their
    /// number is what the annotations say. What is in structs and unions is judged for itself.
    pub(super) fn points_elsewhere(self, ours: &Type, real: &Real) -> bool {
        let (TypeKind::Pointer(ours), Real::Pointer(real)) = (&ours.kind, real.bare()) else {
            return false;
        };
        match (Class::of_ours(ours, self.abi), Class::of_real(real, self.abi)) {
            (Some(Class::Void | Class::Integer { size: 1, .. }), _) | (_, Some(Class::Void)) => {
                false
            }
            (Some(Class::Record(_)), _) | (_, Some(Class::Record(_))) => false,
            // Two numbers in a row.
            (Some(Class::Complex { size }), Some(Class::Float { size: part }))
            | (Some(Class::Float { size: part }), Some(Class::Complex { size })) => {
                size != 2 * part
            }
            (Some(here), Some(there)) => here != there || self.points_elsewhere(ours, real),
            _ => match (&ours.kind, real.bare()) {
                (TypeKind::Array { element, .. }, Real::Array { length, .. }) => {
                    let here = self.length(ours, element);
                    length.is_some_and(|there| here != 0 && here != there)
                }
                _ => false,
            },
        }
    }
}

fn is_pointer(real: &Real) -> bool {
    matches!(real.bare(), Real::Pointer(_))
}
