//! Sizes, alignments and field offsets of C types, in the guest's memory and in the host's.
//!
//! A guest's C compiler and the host's lay out the same declaration in two ways: `long`, `size_t`
//! and pointers are 4 bytes in a 32-bit memory and 8 bytes on the host. Every answer of this module
//! holds both, so that nobody can use one where the other is meant.
//!
//! The rules are those that GCC and clang share: the System V psABI for x86-64 (section 3.1.2,
//! "Data Representation"), AAPCS64 (sections 5 and 10.1, "Data types", "Bit-fields") and the
//! `BasicCABI` of the WebAssembly tool-conventions. Where the two compilers disagree the answer is
//! an error, never a guess.
//!
//! Where values travel in a call is not here but in [`super::abi`]; how the bytes of one layout
//! become those of the other is the plan's work.
use super::abi::Abi;
use crate::signature::{Expr, Float, Integer, Record, Scope, Span, Type, TypeKind};

mod calculate;
mod constant;
mod print;

pub(super) use calculate::{Calculator, body_of};
pub use print::describe;

/// Size of the data types that C leaves open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DataModel {
    /// `int`, `long` and pointers of 4 bytes: wasm32.
    Ilp32,
    /// `int` of 4 bytes, `long` and pointers of 8: wasm64, and every host.
    Lp64,
}

/// Whose memory a layout is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// A guest's linear memory.
    Guest(DataModel),
    /// The host's memory under that ABI.
    Host(Abi),
}

impl Target {
    /// The data model of that memory.
    #[must_use]
    pub fn data_model(self) -> DataModel {
        match self {
            Target::Guest(model) => model,
            Target::Host(Abi::SysvX86_64 | Abi::Aapcs64) => DataModel::Lp64,
        }
    }

    /// The largest object that C can speak of there, in bytes: differences of pointers have a sign.
    /// On 64 bits the address space that processors have, so that counts of bits and sums of two
    /// sizes fit in a `u64` too.
    fn max_size(self) -> u64 {
        match self.data_model() {
            DataModel::Ilp32 => (1 << 31) - 1,
            DataModel::Lp64 => (1 << 48) - 1,
        }
    }

    /// Alignment of a vector of `size` bytes.
    fn vector_align(self, size: u32) -> u32 {
        match self {
            Target::Host(Abi::Aapcs64) => size.min(16),
            Target::Guest(_) | Target::Host(Abi::SysvX86_64) => size,
        }
    }

    /// Up to which size an `_Atomic` object is aligned to its size.
    fn max_atomic(self) -> u64 {
        match self {
            Target::Guest(_) => 8,
            Target::Host(_) => 16,
        }
    }

    /// Whether a bit-field without a name aligns the record around it as one with a name does
    /// (AAPCS64, section 10.1.2: "without exception for zero-sized or anonymous bit-fields").
    fn unnamed_bit_fields_align(self) -> bool {
        self == Target::Host(Abi::Aapcs64)
    }
}

/// Size and alignment in one memory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Extent {
    /// What `sizeof` says: the distance of two elements of an array.
    pub size: u64,
    /// What `_Alignof` says: a power of two.
    pub align: u32,
}

/// Size and alignment in both memories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Layout {
    /// In the guest's linear memory.
    pub guest: Extent,
    /// In the host's memory.
    pub host: Extent,
}

/// Where a field is in both memories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FieldLayout {
    /// In the guest's linear memory.
    pub guest: Place,
    /// In the host's memory.
    pub host: Place,
}

/// Where a field is in one memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// Offset from the start of the record, in bytes. Of a bit-field: offset of the byte that holds
    /// its lowest bit.
    pub offset: u64,
    /// Size in bytes; zero of a flexible array member. Of a bit-field: the bytes that it touches.
    pub size: u64,
    /// The bits of a bit-field.
    pub bits: Option<BitRange>,
}

/// The bits of a bit-field, counted as little-endian memory has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BitRange {
    /// Bits below the field in the byte at its offset: 0 to 7.
    pub shift: u32,
    /// Width in bits.
    pub width: u32,
}

/// A struct or union in both memories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordLayout {
    /// Size and alignment of the whole.
    pub whole: Layout,
    /// Where the fields are, in the order of [`crate::signature::RecordBody::fields`], unnamed ones
    /// included.
    pub fields: Vec<FieldLayout>,
}

/// A type that is one value: an integer, a real floating value, a pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scalar {
    /// `bool`
    Bool,
    /// An integer type; that of an enum is the type of its values.
    Integer(Integer),
    /// A real floating type.
    Float(Float),
    /// A pointer to data or to a function.
    Pointer,
}

impl Scalar {
    /// Size and alignment in bytes; every scalar is aligned to its size.
    ///
    /// ```
    /// use portcullis::plan::layout::{DataModel, Scalar};
    /// use portcullis::signature::Integer;
    /// let long = Scalar::Integer(Integer::Long);
    /// assert_eq!((long.size(DataModel::Ilp32), long.size(DataModel::Lp64)), (4, 8));
    /// ```
    #[must_use]
    pub const fn size(self, model: DataModel) -> u32 {
        match self {
            Scalar::Bool => 1,
            Scalar::Integer(kind) => match kind {
                Integer::Char | Integer::SignedChar | Integer::UnsignedChar => 1,
                Integer::Short | Integer::UnsignedShort => 2,
                Integer::Int | Integer::UnsignedInt => 4,
                Integer::Long | Integer::UnsignedLong => model.word(),
                Integer::LongLong | Integer::UnsignedLongLong => 8,
                Integer::Int128 | Integer::UnsignedInt128 => 16,
            },
            Scalar::Float(Float::Float) => 4,
            Scalar::Float(Float::Double) => 8,
            Scalar::Float(Float::LongDouble) => 16,
            Scalar::Pointer => model.word(),
        }
    }

    /// Size in bytes on the host.
    #[must_use]
    pub const fn host_size(self) -> u32 {
        self.size(DataModel::Lp64)
    }

    /// Size in bytes in the guest's memory.
    #[must_use]
    pub const fn guest_size(self, model: DataModel) -> u32 {
        self.size(model)
    }

    /// Whether it is a signed integer to the guest. Hosts agree but for plain `char`: see
    /// [`Abi::is_signed`].
    #[must_use]
    pub const fn is_signed(self) -> bool {
        match self {
            Scalar::Integer(kind) => match kind {
                Integer::Char
                | Integer::SignedChar
                | Integer::Short
                | Integer::Int
                | Integer::Long
                | Integer::LongLong
                | Integer::Int128 => true,
                Integer::UnsignedChar
                | Integer::UnsignedShort
                | Integer::UnsignedInt
                | Integer::UnsignedLong
                | Integer::UnsignedLongLong
                | Integer::UnsignedInt128 => false,
            },
            Scalar::Bool | Scalar::Float(_) | Scalar::Pointer => false,
        }
    }

    /// Whether it is a real floating type.
    #[must_use]
    pub const fn is_float(self) -> bool {
        matches!(self, Scalar::Float(_))
    }
}

impl DataModel {
    /// Size of `long`, `size_t` and pointers in bytes.
    #[must_use]
    pub const fn word(self) -> u32 {
        match self {
            DataModel::Ilp32 => 4,
            DataModel::Lp64 => 8,
        }
    }
}

/// A type that has no layout, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct LayoutError {
    /// What is wrong.
    pub kind: LayoutErrorKind,
    /// Where the type or field stands.
    pub span: Span,
}

/// Why a type has no layout.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutErrorKind {
    /// `void` has no objects.
    #[error("`void` has no size")]
    Void,
    /// Functions are not objects.
    #[error("a function has no size")]
    Function,
    /// A record without a body.
    #[error("`{0}` is incomplete here: its size is not known")]
    Incomplete(String),
    /// A record that contains itself other than through a pointer.
    #[error("`{0}` contains itself: write a pointer to it")]
    Recursive(String),
    /// `T x[]` where a size is needed.
    #[error("an array without a length has no size")]
    UnsizedArray,
    /// `T x[]` that is not the last field of a struct.
    #[error("only the last field of a struct may be an array without a length")]
    FlexibleArrayNotLast,
    /// The length of an array is not a constant.
    #[error("the length of an array must be a constant")]
    LengthNotConstant,
    /// The length of an array is negative.
    #[error("the length of this array is {0}")]
    NegativeLength(i128),
    /// A constant expression without a value: division by zero, overflow, a bad shift.
    #[error("this constant has no value: {0}")]
    NoValue(&'static str),
    /// Larger than an object may be.
    #[error("this type is larger than the {limit} bytes that an object may have {place}")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
        /// In which memory.
        place: &'static str,
    },
    /// An alignment that is not a power of two.
    #[error("an alignment of {0} is not a power of two")]
    BadAlignment(u32),
    /// A bit-field of a type that has none.
    #[error("a bit-field must be an integer, `bool` or an enum")]
    BitFieldType,
    /// A bit-field wider than its type.
    #[error("a bit-field of {width} bits is wider than the {available} bits of its type")]
    BitFieldWidth {
        /// Its width.
        width: u32,
        /// The bits of its type, in the memory where they are fewer.
        available: u32,
    },
    /// A bit-field of width 0 with a name.
    #[error("a bit-field with a name has at least one bit")]
    BitFieldEmpty,
    /// An alignment on a bit-field.
    #[error("a bit-field cannot have an alignment of its own")]
    BitFieldAlignment,
    /// A vector whose size or lane no target has.
    #[error(
        "a vector has 8 to 64 bytes, a power of two, of integer or floating lanes of at most 8"
    )]
    Vector,
    /// An `_Atomic` type that compilers disagree on.
    #[error("compilers disagree on the layout of an `_Atomic` type of {0} bytes")]
    Atomic(u64),
    /// Records and arrays nested too deeply.
    #[error("types are nested more than {0} deep here")]
    TooDeep(usize),
}

impl LayoutErrorKind {
    fn at(self, span: Span) -> LayoutError {
        LayoutError { kind: self, span }
    }
}

/// The scalar that a type is: `None` for `void`, records, arrays, functions, complex types and
/// vectors. An enum is the integer type of its values.
#[must_use]
pub fn scalar_of(ty: &Type) -> Option<Scalar> {
    match &ty.kind {
        TypeKind::Bool => Some(Scalar::Bool),
        TypeKind::Integer(kind) => Some(Scalar::Integer(*kind)),
        TypeKind::Float(kind) => Some(Scalar::Float(*kind)),
        TypeKind::Enum(e) => Some(Scalar::Integer(e.underlying)),
        TypeKind::Pointer(_) => Some(Scalar::Pointer),
        TypeKind::Void
        | TypeKind::Complex(_)
        | TypeKind::Vector { .. }
        | TypeKind::Record(_)
        | TypeKind::Array { .. }
        | TypeKind::Function(_) => None,
    }
}

/// Size and alignment of a type, in a guest's memory and in that of this host (on a machine whose
/// ABI is unknown: those of x86-64).
///
/// # Errors
/// When the type has no size, or no size that compilers agree on.
pub fn layout_of(ty: &Type, scope: &Scope, guest: DataModel) -> Result<Layout, LayoutError> {
    Ok(Layout {
        guest: extent_of(ty, scope, Target::Guest(guest))?,
        host: extent_of(ty, scope, Target::Host(Abi::host_or_default()))?,
    })
}

/// The value of an expression that reads nothing, with sizes as the host has them; `None` of one
/// that does read something, and where there is no value within 64 bits.
pub(super) fn constant_on_host(expr: &Expr, scope: &Scope, abi: Abi) -> Option<i128> {
    let size_of = &mut |ty| extent_of(ty, scope, Target::Host(abi)).map(|extent| extent.size);
    let value = constant::evaluate(expr, size_of).ok()?;
    (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&value).then_some(value)
}

/// Size and alignment of a type in one memory.
///
/// # Errors
/// As [`layout_of`].
pub fn extent_of(ty: &Type, scope: &Scope, target: Target) -> Result<Extent, LayoutError> {
    Calculator::new(scope, target).extent(ty)
}

/// Where the fields of a struct or union are, in a guest's memory and in that of this host. `span`
/// is where errors about the record as a whole point.
///
/// # Errors
/// As [`layout_of`].
pub fn record_layout(
    record: &Record,
    span: Span,
    scope: &Scope,
    guest: DataModel,
) -> Result<RecordLayout, LayoutError> {
    let guest = record_on(record, span, scope, Target::Guest(guest))?;
    let host = record_on(record, span, scope, Target::Host(Abi::host_or_default()))?;
    let fields = guest.1.into_iter().zip(host.1);
    Ok(RecordLayout {
        whole: Layout { guest: guest.0, host: host.0 },
        fields: fields.map(|(guest, host)| FieldLayout { guest, host }).collect(),
    })
}

/// Where the fields of a struct or union are in one memory.
///
/// # Errors
/// As [`layout_of`].
pub fn record_on(
    record: &Record,
    span: Span,
    scope: &Scope,
    target: Target,
) -> Result<(Extent, Vec<Place>), LayoutError> {
    let body = Calculator::new(scope, target).record(record, span)?;
    Ok((body.extent, body.places))
}

#[cfg(test)]
mod tests;
