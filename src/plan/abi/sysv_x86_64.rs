//! The System V calling convention of x86-64: psABI section 3.2.3, "Parameter Passing".
//!
//! A value is cut into eightbytes. Each gets a class; the classes say which registers the value
//! asks for. A value gets all of them or goes to the stack as a whole, and what it left is there
//! for the values after it.
use super::{AbiError, Assignment, Location, Piece, Role, StackArea, Value};
use crate::plan::layout::{
    BitRange, Calculator, Extent, LayoutError, Scalar, Target, body_of, scalar_of,
};
use crate::signature::{
    Field, Float, Function, Integer, Record, RecordBody, RecordKind, Scope, Span, Type, TypeKind,
};
use rustc_hash::FxHashMap;

/// General-purpose registers in the order in which parameters take them.
const INTEGER_PARAMETERS: [&str; 6] = ["rdi", "rsi", "rdx", "rcx", "r8", "r9"];
/// Vector registers in the order in which parameters take them.
const VECTOR_PARAMETERS: [&str; 8] =
    ["xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7"];
/// General-purpose registers in the order in which results take them.
const INTEGER_RESULTS: [&str; 2] = ["rax", "rdx"];
/// Vector registers in the order in which results take them.
const VECTOR_RESULTS: [&str; 2] = ["xmm0", "xmm1"];
/// The top of the x87 stack: `long double`, and the two parts of a complex one.
const X87_RESULTS: [&str; 2] = ["st0", "st1"];

pub(super) const INTEGER_COUNT: u8 = 6;
pub(super) const VECTOR_COUNT: u8 = 8;
const _: () = assert!(INTEGER_PARAMETERS.len() == INTEGER_COUNT as usize);
const _: () = assert!(VECTOR_PARAMETERS.len() == VECTOR_COUNT as usize);

/// Values of more eightbytes are passed in memory: the largest that fits in one register has eight.
const MAX_EIGHTBYTES: usize = 8;

pub(super) fn register_name(location: Location, role: Role) -> Option<&'static str> {
    let (names, number): (&[&'static str], u8) = match (location, role) {
        (Location::Integer(number), Role::Parameter) => (&INTEGER_PARAMETERS, number),
        (Location::Integer(number), Role::Result) => (&INTEGER_RESULTS, number),
        (Location::Vector(number), Role::Parameter) => (&VECTOR_PARAMETERS, number),
        (Location::Vector(number), Role::Result) => (&VECTOR_RESULTS, number),
        (Location::X87(number), Role::Result) => (&X87_RESULTS, number),
        (Location::X87(_), Role::Parameter) | (Location::Stack(_), _) => return None,
    };
    names.get(usize::from(number)).copied()
}

pub(super) fn assign(function: &Function, scope: &Scope) -> Result<Assignment, AbiError> {
    let mut classifier = Classifier::new(scope);
    let mut taken = Registers::default();
    let mut stack = StackArea::new();
    let result = result(&function.result, &mut classifier)?;
    if result.indirect.is_some() {
        taken.integer += 1;
    }
    let params = super::parameter_types(function)?
        .map(|ty| parameter(ty, &mut classifier, &mut taken, &mut stack))
        .collect::<Result<Vec<Value>, AbiError>>()?;
    Ok(Assignment {
        params,
        result,
        stack_size: stack.whole(),
        stack_align: stack.align,
        integer_registers: taken.integer,
        vector_registers: taken.vector,
    })
}

fn parameter<'a>(
    ty: &'a Type,
    classifier: &mut Classifier<'a>,
    taken: &mut Registers,
    stack: &mut StackArea,
) -> Result<Value, AbiError> {
    let (extent, classes) = classifier.value(ty)?;
    let in_registers = classes.and_then(|classes| {
        // An x87 class means memory for a parameter.
        taken.pieces(extent, &classes).filter(|(after, _)| {
            after.integer <= INTEGER_COUNT && after.vector <= VECTOR_COUNT && after.x87 == 0
        })
    });
    let pieces = match in_registers {
        Some((after, pieces)) => {
            *taken = after;
            pieces
        }
        None => vec![stack.take_whole(extent, extent.align, ty.span)?],
    };
    Ok(Value { extent, scalar: scalar_of(ty), pieces, indirect: None })
}

fn result<'a>(ty: &'a Type, classifier: &mut Classifier<'a>) -> Result<Value, AbiError> {
    if ty.kind == TypeKind::Void {
        return Ok(Value::void());
    }
    let (extent, classes) = classifier.value(ty)?;
    let value = Value { extent, scalar: scalar_of(ty), pieces: Vec::new(), indirect: None };
    if ty.kind == TypeKind::Complex(Float::LongDouble) {
        // Class COMPLEX_X87: memory everywhere else.
        let part = |number: u8| Piece {
            offset: 16 * u32::from(number),
            size: 16,
            location: Location::X87(number),
        };
        return Ok(Value { pieces: vec![part(0), part(1)], ..value });
    }
    match classes.and_then(|classes| Registers::default().pieces(extent, &classes)) {
        Some((_, pieces)) => Ok(Value { pieces, ..value }),
        None => Ok(Value { indirect: Some(Location::Integer(0)), ..value }),
    }
}

/// The class of an eightbyte.
///
/// The order is that of merging ("Classification", step 4): of two different classes the one that
/// stands first wins. The one exception is in [`Class::merge`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    /// In memory, and the whole value with it.
    Memory,
    /// In a general-purpose register.
    Integer,
    /// The mantissa of a `long double`.
    X87,
    /// Its sign and exponent.
    X87Up,
    /// In a vector register.
    Sse,
    /// In the same vector register as the eightbyte before it.
    SseUp,
    /// Padding.
    Nothing,
}

impl Class {
    fn merge(self, other: Class) -> Class {
        let (first, second) = (self.min(other), self.max(other));
        match first {
            Class::X87 | Class::X87Up if second != first && second != Class::Nothing => {
                Class::Memory
            }
            _ => first,
        }
    }
}

/// The classes of a value's eightbytes.
type Classes = [Class; MAX_EIGHTBYTES];

/// Why a value has no classes: it is passed in memory, or not at all.
enum Refusal {
    Memory,
    Error(AbiError),
}

impl From<LayoutError> for Refusal {
    fn from(error: LayoutError) -> Self {
        Refusal::Error(error.into())
    }
}

/// Finds the classes of types.
struct Classifier<'a> {
    scope: &'a Scope,
    layouts: Calculator<'a>,
    /// Classes of a body at an offset, `None` for memory. Without it unions that mention each other
    /// twice would take time exponential in their number.
    known: FxHashMap<(*const RecordBody, u64), Option<Classes>>,
    /// Whether an unnamed bit-field was met.
    met_unnamed: bool,
    /// Whether unnamed bit-fields count as integers.
    unnamed_counts: bool,
}

impl<'a> Classifier<'a> {
    fn new(scope: &'a Scope) -> Self {
        Classifier {
            scope,
            layouts: Calculator::new(scope, Target::Host(super::Abi::SysvX86_64)),
            known: FxHashMap::default(),
            met_unnamed: false,
            unnamed_counts: false,
        }
    }

    /// Size, alignment and classes of the type of a parameter or result; no classes for memory.
    fn value(&mut self, ty: &'a Type) -> Result<(Extent, Option<Classes>), AbiError> {
        if matches!(ty.kind, TypeKind::Array { .. }) {
            return Err(super::unsupported(ty));
        }
        let extent = self.layouts.extent(ty)?;
        super::agreed::check(ty, self.scope, &mut self.layouts)?;
        let eightbytes = usize::try_from(extent.size.div_ceil(8)).unwrap_or(usize::MAX);
        if eightbytes > MAX_EIGHTBYTES {
            return Ok((extent, None));
        }
        let classes = self.classes_or_memory(ty)?;
        if self.met_unnamed {
            // An unnamed bit-field is an integer to GCC and padding to clang, which matters when
            // its eightbyte holds nothing else or floating values only.
            self.known.clear();
            self.unnamed_counts = true;
            let counted = self.classes_or_memory(ty)?;
            self.known.clear();
            self.unnamed_counts = false;
            self.met_unnamed = false;
            if classes != counted {
                let what = "a record with unnamed bit-fields in eightbytes of their own";
                return Err(AbiError::Disputed { what, span: ty.span });
            }
        }
        Ok((extent, classes))
    }

    fn classes_or_memory(&mut self, ty: &'a Type) -> Result<Option<Classes>, AbiError> {
        match self.classify(ty, 0) {
            Ok(classes) => Ok(Some(classes)),
            Err(Refusal::Memory) => Ok(None),
            Err(Refusal::Error(error)) => Err(error),
        }
    }

    /// Classes of the eightbytes of the whole value, as far as the part of it at `offset`, of type
    /// `ty`, says.
    fn classify(&mut self, ty: &'a Type, offset: u64) -> Result<Classes, Refusal> {
        let extent = self.layouts.extent(ty)?;
        if extent.size == 0 {
            return self.no_bytes(ty, offset);
        }
        let mut classes = [Class::Nothing; MAX_EIGHTBYTES];
        match &ty.kind {
            TypeKind::Record(record) => return self.record(record, ty.span, offset),
            TypeKind::Array { element, .. } => {
                let size = self.layouts.extent(element)?.size;
                for start in (0..extent.size).step_by(small(size)) {
                    merge(&mut classes, &self.classify(element, offset + start)?);
                }
            }
            _ if !offset.is_multiple_of(extent.align.into()) => return Err(Refusal::Memory),
            TypeKind::Complex(Float::LongDouble) => return Err(Refusal::Memory),
            TypeKind::Complex(Float::Float | Float::Double) => {
                let last = offset + extent.size - 1;
                classes[small(offset / 8)..=small(last / 8)].fill(Class::Sse);
            }
            TypeKind::Vector { lane, bytes } => {
                // Compilers disagree on vectors of one lane, and what is wider than 16 bytes
                // travels as the callee's instruction set allows.
                let one_lane = self.layouts.extent(lane)?.size == u64::from(*bytes);
                if *bytes > 16 || one_lane {
                    return Err(Refusal::Error(super::unsupported(ty)));
                }
                let (first, last) = (small(offset / 8), small((offset + extent.size - 1) / 8));
                classes[first..=last].fill(Class::SseUp);
                classes[first] = Class::Sse;
            }
            _ => {
                let first = small(offset / 8);
                match scalar_of(ty) {
                    Some(Scalar::Integer(Integer::Int128 | Integer::UnsignedInt128)) => {
                        classes[first..first + 2].fill(Class::Integer);
                    }
                    Some(Scalar::Bool | Scalar::Integer(_) | Scalar::Pointer) => {
                        classes[first] = Class::Integer;
                    }
                    Some(Scalar::Float(Float::Float | Float::Double)) => {
                        classes[first] = Class::Sse;
                    }
                    Some(Scalar::Float(Float::LongDouble)) => {
                        classes[first] = Class::X87;
                        classes[first + 1] = Class::X87Up;
                    }
                    None => return Err(Refusal::Error(super::unsupported(ty))),
                }
            }
        }
        Ok(classes)
    }

    /// Classes of what has no bytes. An array of no elements that ends in the middle of an
    /// eightbyte gives it the class that its first element would have there: GCC's way, which
    /// clang does not share (`struct { float f; int none[0]; }` is an integer to GCC). A flexible
    /// array member never counts to GCC, see [`Self::fields`].
    fn no_bytes(&mut self, ty: &'a Type, offset: u64) -> Result<Classes, Refusal> {
        let mut classes = [Class::Nothing; MAX_EIGHTBYTES];
        let within = offset % 8;
        if within == 0 {
            return Ok(classes);
        }
        match &ty.kind {
            TypeKind::Record(record) => return self.record(record, ty.span, offset),
            TypeKind::Array { element, .. } => {
                let size = self.layouts.extent(element)?.size;
                if within + size > 16 {
                    return Err(Refusal::Memory); // more than two eightbytes, none of a vector
                }
                classes[small(offset / 8)] = self.classify(element, within)?[0];
            }
            _ => {}
        }
        Ok(classes)
    }

    fn record(&mut self, record: &'a Record, span: Span, offset: u64) -> Result<Classes, Refusal> {
        let body = body_of(record, self.scope, span)?;
        let key = (std::ptr::from_ref(body), offset);
        if let Some(known) = self.known.get(&key) {
            return known.ok_or(Refusal::Memory);
        }
        let classes = self.fields(record, body, span, offset);
        match &classes {
            Ok(classes) => drop(self.known.insert(key, Some(*classes))),
            Err(Refusal::Memory) => drop(self.known.insert(key, None)),
            Err(Refusal::Error(_)) => {}
        }
        classes
    }

    fn fields(
        &mut self,
        record: &'a Record,
        body: &'a RecordBody,
        span: Span,
        offset: u64,
    ) -> Result<Classes, Refusal> {
        let layout = self.layouts.record(record, span)?;
        let mut classes = [Class::Nothing; MAX_EIGHTBYTES];
        for (field, place) in body.fields.iter().zip(&layout.places) {
            let start = offset + place.offset;
            match (&field.ty.kind, place.bits) {
                (_, Some(BitRange { width: 0, .. })) => {}
                // clang passes the whole record in memory.
                (TypeKind::Array { length: None, .. }, None) => {}
                // Of 2, 4 or 8 bytes and aligned in its own record, it is a plain member to GCC,
                // which a packed record around that one may have moved.
                (_, Some(BitRange { shift: 0, width: width @ (16 | 32 | 64) }))
                    if place.offset.is_multiple_of(u64::from(width / 8))
                        && !start.is_multiple_of(u64::from(width / 8)) =>
                {
                    let what = "a packed record with bit-fields that fill whole integers";
                    return Err(Refusal::Error(AbiError::Disputed { what, span }));
                }
                (_, Some(_)) if field.name.is_none() && !self.unnamed_counts => {
                    self.met_unnamed = true;
                }
                (_, Some(_))
                    if record.kind == RecordKind::Union && self.unaligned(field, start)? =>
                {
                    // GCC takes it for a member of its declared type.
                    let what = "a packed union with bit-fields";
                    return Err(Refusal::Error(AbiError::Disputed { what, span }));
                }
                (_, Some(bits)) => {
                    // Bit-fields never count as unaligned.
                    let low = 8 * start + u64::from(bits.shift);
                    let high = low + u64::from(bits.width) - 1;
                    for class in &mut classes[small(low / 64)..=small(high / 64)] {
                        *class = class.merge(Class::Integer);
                    }
                }
                (_, None) => merge(&mut classes, &self.classify(&field.ty, start)?),
            }
        }
        let eightbytes = small(layout.extent.size.div_ceil(8));
        clean_up(&mut classes, small(offset / 8), eightbytes)?;
        Ok(classes)
    }

    fn unaligned(&mut self, field: &'a Field, offset: u64) -> Result<bool, LayoutError> {
        Ok(!offset.is_multiple_of(self.layouts.extent(&field.ty)?.align.into()))
    }
}

fn merge(classes: &mut Classes, others: &Classes) {
    for (class, other) in classes.iter_mut().zip(others) {
        *class = class.merge(*other);
    }
}

/// Step 5, "post merger cleanup", of an aggregate that starts in eightbyte `first`.
fn clean_up(classes: &mut Classes, first: usize, eightbytes: usize) -> Result<(), Refusal> {
    let alone = |class: &Class| *class == Class::SseUp;
    if classes.contains(&Class::Memory)
        || (eightbytes > 2
            && !(classes[first] == Class::Sse
                && classes[first + 1..first + eightbytes].iter().all(alone)))
    {
        return Err(Refusal::Memory);
    }
    let mut before = Class::Nothing;
    for class in classes {
        match (before, *class) {
            (Class::X87, Class::X87Up) => {}
            (_, Class::X87Up) => return Err(Refusal::Memory),
            (Class::Sse | Class::SseUp, Class::SseUp) => {}
            (_, Class::SseUp) => *class = Class::Sse,
            _ => {}
        }
        before = *class;
    }
    Ok(())
}

/// How many registers of each kind are taken.
#[derive(Clone, Copy, Debug, Default)]
struct Registers {
    integer: u8,
    vector: u8,
    x87: u8,
}

impl Registers {
    /// The pieces of a value of those classes and what is taken then; `None` when it is in memory.
    fn pieces(self, extent: Extent, classes: &Classes) -> Option<(Registers, Vec<Piece>)> {
        let mut taken = self;
        let mut pieces: Vec<Piece> = Vec::new();
        let size = u32::try_from(extent.size).ok()?;
        for (offset, class) in (0..size).step_by(8).zip(classes) {
            let length = (size - offset).min(8);
            let location = match class {
                Class::Memory => return None,
                Class::Integer => Location::Integer(next(&mut taken.integer)),
                Class::Sse => Location::Vector(next(&mut taken.vector)),
                Class::X87 => Location::X87(next(&mut taken.x87)),
                Class::SseUp | Class::X87Up => {
                    pieces.last_mut()?.size += length;
                    continue;
                }
                Class::Nothing => continue,
            };
            pieces.push(Piece { offset, size: length, location });
        }
        Some((taken, pieces))
    }
}

fn next(count: &mut u8) -> u8 {
    *count += 1;
    *count - 1
}

/// An offset inside a value of at most [`MAX_EIGHTBYTES`].
fn small(n: u64) -> usize {
    usize::try_from(n).expect("values with classes are small")
}
