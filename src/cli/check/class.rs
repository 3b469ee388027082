//! What the machine sees of a type.
use super::real::Real;
use portcullis::plan::abi::Abi;
use portcullis::plan::layout::{Scalar, scalar_of};
use portcullis::signature::{RecordKind, Type, TypeKind};

/// What a value is to the C ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Void,
    /// Only 0 and 1 are values, so that no other integer may stand for it.
    Bool,
    /// Integers and pointers.
    Integer {
        size: u64,
        signed: bool,
    },
    Float {
        size: u64,
    },
    Complex {
        size: u64,
    },
    /// Whatever its lanes are.
    Vector {
        size: u64,
    },
    /// What is in it is judged for itself.
    Record(RecordKind),
}

impl Class {
    /// `None` for what is no value.
    pub fn of_ours(ty: &Type, abi: Abi) -> Option<Class> {
        match &ty.kind {
            TypeKind::Void => return Some(Class::Void),
            TypeKind::Complex(part) => {
                let size = 2 * u64::from(Scalar::Float(*part).host_size());
                return Some(Class::Complex { size });
            }
            TypeKind::Vector { bytes, .. } => {
                return Some(Class::Vector { size: u64::from(*bytes) });
            }
            TypeKind::Record(record) => return Some(Class::Record(record.kind)),
            _ => {}
        }
        let scalar = scalar_of(ty)?;
        let size = u64::from(scalar.host_size());
        Some(match scalar {
            Scalar::Bool => Class::Bool,
            Scalar::Integer(_) => Class::Integer { size, signed: abi.is_signed(scalar) },
            Scalar::Float(_) => Class::Float { size },
            Scalar::Pointer => Class::Integer { size, signed: false },
        })
    }

    /// The same of the compiler's type.
    pub fn of_real(real: &Real, abi: Abi) -> Option<Class> {
        Some(match real.bare() {
            // `_Float128` has the size of `long double`, and not its registers.
            Real::Float { name, .. } | Real::Complex { name, .. }
                if abi == Abi::SysvX86_64 && name.contains("128") =>
            {
                return None;
            }
            Real::Void => Class::Void,
            Real::Bool => Class::Bool,
            Real::Integer { size, signed, .. } => Class::Integer { size: *size, signed: *signed },
            Real::Float { size, .. } => Class::Float { size: *size },
            Real::Pointer(_) => Class::Integer { size: 8, signed: false },
            Real::Complex { size, .. } => Class::Complex { size: *size },
            Real::Vector { bytes, .. } => Class::Vector { size: *bytes },
            Real::Record { kind, .. } => Class::Record(*kind),
            Real::Function(_)
            | Real::Array { .. }
            | Real::Other(_)
            | Real::Typedef { .. }
            | Real::Qualified { .. } => return None,
        })
    }

    /// Whether the machine sees no difference.
    pub fn passes_as(self, other: Class) -> bool {
        match (self, other) {
            // Only below 32 bits does the caller extend, by sign or by zeros.
            (Class::Integer { size, signed }, Class::Integer { size: s, signed: t }) => {
                size == s && (size >= 4 || signed == t)
            }
            (a, b) => a == b,
        }
    }

    /// Whether a result may be left where it is: no memory is passed for it, and nothing stays on
    /// the stack of the x87.
    pub fn may_be_ignored(self) -> bool {
        match self {
            Class::Void | Class::Bool | Class::Integer { .. } | Class::Vector { .. } => true,
            Class::Float { size } => size <= 8,
            Class::Complex { size } => size <= 16,
            Class::Record(_) => false,
        }
    }
}
