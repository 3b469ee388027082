//! The rules: how one target lays out scalars, arrays, structs, unions and bit-fields.
use super::{
    BitRange, Extent, LayoutError, LayoutErrorKind, Place, Scalar, Target, constant, scalar_of,
};
use crate::signature::{
    Expr, Field, NoteKind, Record, RecordBody, RecordKind, Scope, Span, Type, TypeKind,
};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Records, arrays and expressions may be nested so deeply; C asks for 63 levels.
const MAX_DEPTH: usize = 128;

/// A struct or union, laid out.
pub(in crate::plan) struct Body {
    /// Size and alignment.
    pub(in crate::plan) extent: Extent,
    /// What its alignment would be without an attribute on the whole; AAPCS64 asks.
    pub(in crate::plan) natural_align: u32,
    /// Where the fields are, in order.
    pub(in crate::plan) places: Vec<Place>,
}

/// Lays out types for one target.
///
/// Each body is laid out once: records that mention each other by tag would otherwise take time
/// exponential in the length of their text.
pub(in crate::plan) struct Calculator<'a> {
    scope: &'a Scope,
    target: Target,
    known: FxHashMap<*const RecordBody, Extent>,
    /// Bodies that are being laid out, outermost first.
    active: Vec<*const RecordBody>,
    depth: usize,
}

impl<'a> Calculator<'a> {
    pub(in crate::plan) fn new(scope: &'a Scope, target: Target) -> Self {
        Calculator { scope, target, known: FxHashMap::default(), active: Vec::new(), depth: 0 }
    }

    pub(in crate::plan) fn extent(&mut self, ty: &'a Type) -> Result<Extent, LayoutError> {
        if self.depth == MAX_DEPTH {
            return Err(LayoutErrorKind::TooDeep(MAX_DEPTH).at(ty.span));
        }
        self.depth += 1;
        let extent = self.plain_extent(ty);
        self.depth -= 1;
        if ty.quals.is_atomic { self.atomic(extent?, ty.span) } else { extent }
    }

    fn plain_extent(&mut self, ty: &'a Type) -> Result<Extent, LayoutError> {
        match &ty.kind {
            TypeKind::Void => Err(LayoutErrorKind::Void.at(ty.span)),
            TypeKind::Function(_) => Err(LayoutErrorKind::Function.at(ty.span)),
            TypeKind::Bool
            | TypeKind::Integer(_)
            | TypeKind::Float(_)
            | TypeKind::Enum(_)
            | TypeKind::Pointer(_) => {
                let scalar = scalar_of(ty).expect("each of these kinds is a scalar");
                Ok(self.scalar(scalar))
            }
            TypeKind::Complex(part) => {
                let part = self.scalar(Scalar::Float(*part));
                Ok(Extent { size: 2 * part.size, align: part.align })
            }
            TypeKind::Vector { lane, bytes } => self.vector(lane, *bytes, ty.span),
            TypeKind::Array { element, length: Some(length) } => {
                self.array(element, length, ty.span)
            }
            TypeKind::Array { length: None, .. } => Err(LayoutErrorKind::UnsizedArray.at(ty.span)),
            TypeKind::Record(record) => self.record_extent(record, ty.span),
        }
    }

    fn scalar(&self, scalar: Scalar) -> Extent {
        let size = scalar.size(self.target.data_model());
        Extent { size: size.into(), align: size }
    }

    fn vector(&self, lane: &Type, bytes: u32, span: Span) -> Result<Extent, LayoutError> {
        let lane = match scalar_of(lane) {
            Some(scalar @ (Scalar::Integer(_) | Scalar::Float(_))) => self.scalar(scalar),
            Some(Scalar::Bool | Scalar::Pointer) | None => {
                return Err(LayoutErrorKind::Vector.at(span));
            }
        };
        if !bytes.is_power_of_two() || !(8..=64).contains(&bytes) || lane.size > 8 {
            return Err(LayoutErrorKind::Vector.at(span));
        }
        Ok(Extent { size: bytes.into(), align: self.target.vector_align(bytes) })
    }

    fn array(
        &mut self,
        element: &'a Type,
        length: &'a Expr,
        span: Span,
    ) -> Result<Extent, LayoutError> {
        let element = self.extent(element)?;
        let length = self.length(length)?;
        if length < 0 {
            return Err(LayoutErrorKind::NegativeLength(length).at(span));
        }
        let size = u64::try_from(length).ok().and_then(|length| length.checked_mul(element.size));
        self.sized(size, element.align, span)
    }

    fn length(&mut self, length: &'a Expr) -> Result<i128, LayoutError> {
        constant::evaluate(length, &mut |ty| self.extent(ty).map(|extent| extent.size))
    }

    /// Whether an array of that length has no elements: `[0]`, and the `[]` of a flexible array
    /// member.
    pub(in crate::plan) fn is_hollow(
        &mut self,
        length: Option<&'a Expr>,
    ) -> Result<bool, LayoutError> {
        length.map_or(Ok(true), |length| Ok(self.length(length)? == 0))
    }

    /// An extent, if it is not too large.
    fn sized(&self, size: Option<u64>, align: u32, span: Span) -> Result<Extent, LayoutError> {
        let limit = self.target.max_size();
        match size {
            Some(size) if size <= limit => Ok(Extent { size, align }),
            _ => {
                let place = match self.target {
                    Target::Guest(_) => "in the guest's memory",
                    Target::Host(_) => "on the host",
                };
                Err(LayoutErrorKind::TooLarge { limit, place }.at(span))
            }
        }
    }

    /// `_Atomic` aligns an object that the machine can exchange at once to its size. GCC leaves
    /// sizes that are not powers of two alone, clang pads them.
    fn atomic(&self, extent: Extent, span: Span) -> Result<Extent, LayoutError> {
        if extent.size == 0 || extent.size > self.target.max_atomic() {
            return Ok(extent);
        }
        match u32::try_from(extent.size) {
            Ok(size) if size.is_power_of_two() => {
                Ok(Extent { align: extent.align.max(size), ..extent })
            }
            _ => Err(LayoutErrorKind::Atomic(extent.size).at(span)),
        }
    }

    fn record_extent(&mut self, record: &'a Record, span: Span) -> Result<Extent, LayoutError> {
        let body = body_of(record, self.scope, span)?;
        if let Some(extent) = self.known.get(&std::ptr::from_ref(body)) {
            return Ok(*extent);
        }
        Ok(self.record(record, span)?.extent)
    }

    /// Size, alignment and places of the fields of a struct or union.
    pub(in crate::plan) fn record(
        &mut self,
        record: &'a Record,
        span: Span,
    ) -> Result<Body, LayoutError> {
        let body = body_of(record, self.scope, span)?;
        if self.active.contains(&std::ptr::from_ref(body)) {
            return Err(LayoutErrorKind::Recursive(name_of(record)).at(span));
        }
        self.active.push(body);
        let laid_out = self.body(record.kind, body, span);
        self.active.pop();
        let laid_out = laid_out?;
        self.known.insert(body, laid_out.extent);
        Ok(laid_out)
    }

    fn body(
        &mut self,
        kind: RecordKind,
        body: &'a RecordBody,
        span: Span,
    ) -> Result<Body, LayoutError> {
        let mut cursor = Cursor { kind, bits: 0, end: 0, align: 1 };
        let mut places = Vec::with_capacity(body.fields.len());
        for (index, field) in body.fields.iter().enumerate() {
            let place = if self.is_missing(field) {
                Place { offset: cursor.end.div_ceil(8), size: 0, bits: None }
            } else if let Some(width) = field.bits {
                self.bit_field(&mut cursor, body, field, width)?
            } else {
                let last = kind == RecordKind::Struct && index + 1 == body.fields.len();
                let extent = self.field_extent(field, last)?;
                let align = if body.packed { 1 } else { extent.align };
                cursor.field(extent.size, align.max(explicit(field.align, field.ty.span)?))
            };
            // Each step adds at most a size and an alignment, so sums before this test are far from
            // overflow.
            self.sized(Some(cursor.end.div_ceil(8)), 1, field.ty.span)?;
            places.push(place);
        }
        let align = cursor.align.max(explicit(body.align, span)?);
        let size = cursor.end.div_ceil(8).next_multiple_of(align.into());
        let extent = self.sized(Some(size), align, span)?;
        Ok(Body { extent, natural_align: cursor.align, places })
    }

    /// Whether a guest does not have this field.
    fn is_missing(&self, field: &Field) -> bool {
        matches!(self.target, Target::Guest(_)) && field.ty.has(|n| *n == NoteKind::HostOnly)
    }

    /// Size and alignment of a field that is no bit-field; a flexible array member takes no room.
    fn field_extent(&mut self, field: &'a Field, last: bool) -> Result<Extent, LayoutError> {
        match &field.ty.kind {
            TypeKind::Array { element, length: None } if last => {
                Ok(Extent { size: 0, align: self.extent(element)?.align })
            }
            TypeKind::Array { length: None, .. } => {
                Err(LayoutErrorKind::FlexibleArrayNotLast.at(field.ty.span))
            }
            _ => self.extent(&field.ty),
        }
    }

    /// Places a bit-field as GCC and clang do for System V targets: right after the bit before it,
    /// unless it would then straddle a boundary of its declared type.
    fn bit_field(
        &mut self,
        cursor: &mut Cursor,
        body: &RecordBody,
        field: &'a Field,
        width: u32,
    ) -> Result<Place, LayoutError> {
        let span = field.ty.span;
        let unit = match scalar_of(&field.ty) {
            Some(scalar @ (Scalar::Bool | Scalar::Integer(_))) if !field.ty.quals.is_atomic => {
                self.scalar(scalar)
            }
            _ => return Err(LayoutErrorKind::BitFieldType.at(span)),
        };
        if field.align.is_some() {
            return Err(LayoutErrorKind::BitFieldAlignment.at(span));
        }
        if width == 0 && field.name.is_some() {
            return Err(LayoutErrorKind::BitFieldEmpty.at(span));
        }
        let available = match scalar_of(&field.ty) {
            Some(Scalar::Bool) => 1,
            _ => 8 * unit.align,
        };
        if width > available {
            return Err(LayoutErrorKind::BitFieldWidth { width, available }.at(span));
        }
        let straddles = |bits: u64| bits % (8 * unit.size) + u64::from(width) > 8 * unit.size;
        if width == 0 || (!body.packed && straddles(cursor.bits)) {
            cursor.bits = cursor.bits.next_multiple_of(8 * unit.size);
        }
        let counts = field.name.is_some() || self.target.unnamed_bit_fields_align();
        if counts && (!body.packed || width == 0) {
            cursor.align = cursor.align.max(unit.align);
        }
        Ok(cursor.bit_field(width))
    }
}

/// Where the next field goes.
struct Cursor {
    kind: RecordKind,
    /// First free bit; stays 0 in a union.
    bits: u64,
    /// Past the last bit of any field.
    end: u64,
    /// Largest alignment so far, in bytes.
    align: u32,
}

impl Cursor {
    fn field(&mut self, size: u64, align: u32) -> Place {
        self.align = self.align.max(align);
        let offset = self.bits.div_ceil(8).next_multiple_of(align.into());
        self.advance(8 * (offset + size));
        Place { offset, size, bits: None }
    }

    fn bit_field(&mut self, width: u32) -> Place {
        let (offset, shift) = (self.bits / 8, self.bits % 8);
        self.advance(self.bits + u64::from(width));
        Place {
            offset,
            size: (shift + u64::from(width)).div_ceil(8),
            bits: Some(BitRange { shift: u32::try_from(shift).expect("below 8"), width }),
        }
    }

    fn advance(&mut self, end: u64) {
        self.end = self.end.max(end);
        match self.kind {
            RecordKind::Struct => self.bits = end,
            RecordKind::Union => self.bits = 0,
        }
    }
}

/// The body of a record: its own, or that of its tag.
pub(in crate::plan) fn body_of<'a>(
    record: &'a Record,
    scope: &'a Scope,
    span: Span,
) -> Result<&'a RecordBody, LayoutError> {
    if let Some(body) = &record.body {
        return Ok(body);
    }
    record
        .tag
        .as_ref()
        .and_then(|tag| scope.records.get(&(record.kind, Arc::clone(&tag.name))))
        .map(Arc::as_ref)
        .ok_or_else(|| LayoutErrorKind::Incomplete(name_of(record)).at(span))
}

/// `struct tag`
pub(super) fn name_of(record: &Record) -> String {
    let kind = match record.kind {
        RecordKind::Struct => "struct",
        RecordKind::Union => "union",
    };
    match &record.tag {
        Some(tag) => format!("{kind} {tag}"),
        None => kind.to_owned(),
    }
}

/// An alignment that was written down. `_Alignas(0)` says nothing (C17, 6.7.5).
fn explicit(align: Option<u32>, span: Span) -> Result<u32, LayoutError> {
    match align {
        None | Some(0) => Ok(1),
        Some(align) if align.is_power_of_two() => Ok(align),
        Some(align) => Err(LayoutErrorKind::BadAlignment(align).at(span)),
    }
}
