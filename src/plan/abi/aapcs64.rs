//! The calling convention of 64-bit Arm on Linux: AAPCS64 section 6.8.2, "Parameter passing rules".
//!
//! Not that of Apple or Windows, which differ from it.
use super::{AbiError, Assignment, Location, Piece, Role, StackArea, Value, agreed};
use crate::plan::layout::{Calculator, Extent, Scalar, Target, body_of, scalar_of};
use crate::signature::{Float, Function, Record, RecordBody, Scope, Span, Type, TypeKind};
use rustc_hash::FxHashMap;

/// General-purpose registers of parameters and results in order, then the one that holds the
/// address of a hidden result (section 6.9, "Result return").
const INTEGER: [&str; 9] = ["x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8"];
/// Vector registers of parameters and results in order.
const VECTOR: [&str; 8] = ["v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7"];

pub(super) const INTEGER_COUNT: u8 = 8;
pub(super) const VECTOR_COUNT: u8 = 8;
const _: () = assert!(INTEGER.len() == INTEGER_COUNT as usize + 1);
const _: () = assert!(VECTOR.len() == VECTOR_COUNT as usize);

/// `x8`
const HIDDEN_RESULT: Location = Location::Integer(8);

/// A homogeneous aggregate has at most so many members.
const MAX_MEMBERS: u64 = 4;

/// Composites up to this size travel in general-purpose registers, larger ones by address.
const MAX_DIRECT: u64 = 16;

pub(super) fn register_name(location: Location, role: Role) -> Option<&'static str> {
    match (location, role) {
        (HIDDEN_RESULT, Role::Result) | (Location::X87(_) | Location::Stack(_), _) => None,
        (Location::Integer(number), _) => INTEGER.get(usize::from(number)).copied(),
        (Location::Vector(number), _) => VECTOR.get(usize::from(number)).copied(),
    }
}

pub(super) fn assign(function: &Function, scope: &Scope) -> Result<Assignment, AbiError> {
    let mut types = Types {
        scope,
        layouts: Calculator::new(scope, Target::Host(super::Abi::Aapcs64)),
        known: FxHashMap::default(),
    };
    let result = result(&function.result, &mut types)?;
    let mut taken = Taken::new();
    let params = super::parameter_types(function)?
        .map(|ty| taken.parameter(ty, &mut types))
        .collect::<Result<Vec<Value>, AbiError>>()?;
    Ok(Assignment {
        params,
        result,
        stack_size: taken.stack.whole(),
        stack_align: taken.stack.align,
        integer_registers: taken.integer,
        vector_registers: taken.vector,
    })
}

/// A result travels as the first parameter of its type would, but where that is by address, the
/// address is the caller's and in a register of its own.
fn result<'a>(ty: &'a Type, types: &mut Types<'a>) -> Result<Value, AbiError> {
    if ty.kind == TypeKind::Void {
        return Ok(Value::void());
    }
    let value = Taken::new().parameter(ty, types)?;
    Ok(Value { indirect: value.indirect.map(|_| HIDDEN_RESULT), ..value })
}

/// How the rules look at a type.
enum Kind {
    /// No bytes, nothing to pass.
    Empty,
    /// An integer or pointer.
    Integer,
    /// `count` members of `size` bytes, each in a vector register of its own: one floating value or
    /// vector, or a homogeneous aggregate of them.
    Vectors { count: u64, size: u32 },
    /// Any other composite.
    Composite,
}

/// What the rules ask about a type.
struct Look {
    extent: Extent,
    /// Alignment without an attribute on the type as a whole.
    natural_align: u32,
    kind: Kind,
}

/// What the parameters so far have taken: NGRN, NSRN and NSAA of the standard.
struct Taken {
    integer: u8,
    vector: u8,
    stack: StackArea,
}

impl Taken {
    fn new() -> Self {
        Taken { integer: 0, vector: 0, stack: StackArea::new() }
    }

    /// The comments name the rules of stage C.
    fn parameter<'a>(&mut self, ty: &'a Type, types: &mut Types<'a>) -> Result<Value, AbiError> {
        let Look { extent, natural_align, kind } = types.look(ty)?;
        let mut indirect = None;
        let pieces = match kind {
            Kind::Empty => Vec::new(),
            Kind::Vectors { count, size } => {
                match in_registers(&mut self.vector, VECTOR_COUNT, count) {
                    // C.1, C.2
                    Some(first) => (0..)
                        .zip(first..self.vector)
                        .map(|(index, register)| Piece {
                            offset: index * size,
                            size,
                            location: Location::Vector(register),
                        })
                        .collect(),
                    // Before clang 16 only the alignment of the members counted here.
                    None if natural_align.clamp(8, 16) != size.clamp(8, 16) => {
                        let what = "a packed or aligned aggregate of floating members";
                        return Err(AbiError::Disputed { what, span: ty.span });
                    }
                    // C.3 to C.6
                    None => vec![self.on_stack(extent, natural_align, ty.span)?],
                }
            }
            // B.4: a copy, and its address as the argument.
            Kind::Composite if extent.size > MAX_DIRECT => {
                indirect = Some(match in_registers(&mut self.integer, INTEGER_COUNT, 1) {
                    Some(register) => Location::Integer(register),
                    None => self.stack.take(8, 8, ty.span)?,
                });
                Vec::new()
            }
            Kind::Integer | Kind::Composite => self.integers(extent, natural_align, ty.span)?,
        };
        Ok(Value { extent, scalar: scalar_of(ty), pieces, indirect })
    }

    /// C.9 to C.17: general-purpose registers, all or none.
    fn integers(
        &mut self,
        extent: Extent,
        natural_align: u32,
        span: Span,
    ) -> Result<Vec<Piece>, AbiError> {
        if natural_align >= 16 {
            // C.10: an even register first, whether or not it will fit.
            self.integer = self.integer.next_multiple_of(2);
        }
        match in_registers(&mut self.integer, INTEGER_COUNT, extent.size.div_ceil(8)) {
            Some(first) => {
                let size = u32::try_from(extent.size).expect("at most two registers");
                let offsets = (0..size).step_by(8).zip(first..);
                Ok(offsets
                    .map(|(offset, register)| Piece {
                        offset,
                        size: (size - offset).min(8),
                        location: Location::Integer(register),
                    })
                    .collect())
            }
            None => Ok(vec![self.on_stack(extent, natural_align, span)?]),
        }
    }

    /// C.4, C.14: slots are aligned to 8 or to 16 bytes, never more.
    fn on_stack(&mut self, extent: Extent, align: u32, span: Span) -> Result<Piece, AbiError> {
        self.stack.take_whole(extent, align.clamp(8, 16), span)
    }
}

/// The first of `count` registers, when so many are left. When they are not, none is left for what
/// follows either (C.3, C.13).
fn in_registers(taken: &mut u8, available: u8, count: u64) -> Option<u8> {
    let first = *taken;
    match u8::try_from(count).ok().and_then(|count| first.checked_add(count)) {
        Some(after) if after <= available => {
            *taken = after;
            Some(first)
        }
        _ => {
            *taken = available;
            None
        }
    }
}

/// What a homogeneous aggregate is made of, as far as it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Members {
    /// No members yet.
    None,
    /// So many of that base type.
    Some { base: Base, count: u64 },
    /// It is not homogeneous.
    Mixed,
}

/// The base type of a homogeneous aggregate. Vectors count as equal when their sizes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Base {
    Float(Float),
    Vector(u32),
}

impl Base {
    fn size(self) -> u32 {
        match self {
            Base::Float(kind) => Scalar::Float(kind).host_size(),
            Base::Vector(size) => size,
        }
    }
}

/// Looks at types as the rules do.
struct Types<'a> {
    scope: &'a Scope,
    layouts: Calculator<'a>,
    /// Members of bodies that were looked at before.
    known: FxHashMap<*const RecordBody, Members>,
}

impl<'a> Types<'a> {
    fn look(&mut self, ty: &'a Type) -> Result<Look, AbiError> {
        let extent = self.layouts.extent(ty)?;
        agreed::check(ty, self.scope, &mut self.layouts)?;
        let mut natural_align = extent.align;
        if let TypeKind::Record(record) = &ty.kind {
            natural_align = self.layouts.record(record, ty.span)?.natural_align;
        }
        let kind = match (&ty.kind, self.members(ty)?) {
            (TypeKind::Array { .. }, _) => return Err(super::unsupported(ty)),
            _ if extent.size == 0 => Kind::Empty,
            (_, Members::Some { base, count }) if count <= MAX_MEMBERS => {
                Kind::Vectors { count, size: base.size() }
            }
            (TypeKind::Record(_), _) => Kind::Composite,
            _ => Kind::Integer,
        };
        Ok(Look { extent, natural_align, kind })
    }

    /// The members of a type, if all are of one base type and there is no padding between them.
    fn members(&mut self, ty: &'a Type) -> Result<Members, AbiError> {
        let one = |base| Members::Some { base, count: 1 };
        let extent = self.layouts.extent(ty)?;
        Ok(match &ty.kind {
            TypeKind::Float(kind) => one(Base::Float(*kind)),
            TypeKind::Complex(kind) => Members::Some { base: Base::Float(*kind), count: 2 },
            TypeKind::Vector { lane, bytes } => {
                let one_lane = self.layouts.extent(lane)?.size == u64::from(*bytes);
                if *bytes > 16 || one_lane {
                    return Err(super::unsupported(ty));
                }
                one(Base::Vector(*bytes))
            }
            // GCC calls no aggregate with such an array homogeneous. So does clang, but where the
            // array is all that an inner record has.
            TypeKind::Array { length, .. } if self.layouts.is_hollow(length.as_ref())? => {
                Members::Mixed
            }
            TypeKind::Array { element, .. } => match self.members(element)? {
                Members::Some { base, .. } => exactly(base, extent.size),
                other => other,
            },
            TypeKind::Record(record) => self.members_of(record, ty.span)?,
            _ => Members::Mixed,
        })
    }

    fn members_of(&mut self, record: &'a Record, span: Span) -> Result<Members, AbiError> {
        let body = body_of(record, self.scope, span)?;
        if let Some(known) = self.known.get(&std::ptr::from_ref(body)) {
            return Ok(*known);
        }
        let layout = self.layouts.record(record, span)?;
        let mut members = Members::None;
        // One past the last byte of a member, to see padding.
        let mut end = 0;
        for (field, place) in body.fields.iter().zip(&layout.places) {
            let more = match place.bits {
                Some(bits) if bits.width == 0 => continue,
                Some(_) => Members::Mixed,
                None if matches!(field.ty.kind, TypeKind::Array { length: None, .. }) => {
                    Members::Mixed
                }
                None => self.members(&field.ty)?,
            };
            members = match (members, more) {
                (members, Members::None) => members,
                (Members::None, more) => more,
                (Members::Some { base, .. }, Members::Some { base: other, .. })
                    if base == other =>
                {
                    members
                }
                _ => Members::Mixed,
            };
            if place.offset > end {
                members = Members::Mixed;
            }
            end = end.max(place.offset + place.size);
        }
        if let Members::Some { base, .. } = members {
            members = if end == layout.extent.size { exactly(base, end) } else { Members::Mixed };
        }
        self.known.insert(body, members);
        Ok(members)
    }
}

/// So many members of `base` as fill `size` bytes.
fn exactly(base: Base, size: u64) -> Members {
    match size / u64::from(base.size()) {
        0 => Members::None,
        count => Members::Some { base, count },
    }
}
