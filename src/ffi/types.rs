//! C types that are put together at run time.
use super::{Error, ValueLayout};
use crate::plan::abi::Abi;
use crate::plan::layout::{Target, extent_of, record_on};
use crate::signature::{
    self, Diagnostic, Diagnostics, Expr, ExprKind, Float, Ident, Integer, Param, Prototype,
    Qualifiers, RecordBody, RecordKind, Scope, Span, TypeKind, Variadic, parse_declaration,
};
use std::sync::Arc;

/// A C type.
///
/// ```
/// use portcullis::ffi::{Field, Record, Type};
/// // struct { unsigned flags : 3, mode : 5; char name[6]; union { double d; void *p; } u; }
/// let value = Type::union_([Type::DOUBLE, Type::pointer()]);
/// let entry = Type::struct_([
///     Field::bits(Type::UINT, 3),
///     Field::bits(Type::UINT, 5),
///     Field::from(Type::CHAR.array(6)),
///     Field::from(value),
/// ]);
/// assert_eq!(entry.layout()?.size, 16);
/// assert_eq!(entry.field_offsets()?, [0, 0, 1, 8]);
/// let packed = Type::from(Record::struct_([Type::CHAR, Type::INT]).packed());
/// assert_eq!(packed.layout()?.size, 5);
/// # Ok::<(), portcullis::ffi::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Type(signature::Type);

const fn plain(kind: TypeKind) -> Type {
    let quals =
        Qualifiers { is_const: false, is_volatile: false, is_restrict: false, is_atomic: false };
    let span = Span { start: 0, end: 0 };
    Type(signature::Type { kind, quals, notes: Vec::new(), alias: None, span })
}

const fn integer(kind: Integer) -> Type {
    plain(TypeKind::Integer(kind))
}

#[expect(missing_docs, reason = "each is the C type of that name")]
impl Type {
    pub const VOID: Type = plain(TypeKind::Void);
    pub const BOOL: Type = plain(TypeKind::Bool);
    pub const CHAR: Type = integer(Integer::Char);
    pub const SCHAR: Type = integer(Integer::SignedChar);
    pub const UCHAR: Type = integer(Integer::UnsignedChar);
    pub const SHORT: Type = integer(Integer::Short);
    pub const USHORT: Type = integer(Integer::UnsignedShort);
    pub const INT: Type = integer(Integer::Int);
    pub const UINT: Type = integer(Integer::UnsignedInt);
    pub const LONG: Type = integer(Integer::Long);
    pub const ULONG: Type = integer(Integer::UnsignedLong);
    pub const LONG_LONG: Type = integer(Integer::LongLong);
    pub const ULONG_LONG: Type = integer(Integer::UnsignedLongLong);
    pub const INT8: Type = Type::SCHAR;
    pub const UINT8: Type = Type::UCHAR;
    pub const INT16: Type = Type::SHORT;
    pub const UINT16: Type = Type::USHORT;
    pub const INT32: Type = Type::INT;
    pub const UINT32: Type = Type::UINT;
    pub const INT64: Type = Type::LONG_LONG;
    pub const UINT64: Type = Type::ULONG_LONG;
    pub const INT128: Type = integer(Integer::Int128);
    pub const UINT128: Type = integer(Integer::UnsignedInt128);
    pub const SIZE: Type = Type::ULONG;
    pub const SSIZE: Type = Type::LONG;
    pub const FLOAT: Type = plain(TypeKind::Float(Float::Float));
    pub const DOUBLE: Type = plain(TypeKind::Float(Float::Double));
    pub const LONG_DOUBLE: Type = plain(TypeKind::Float(Float::LongDouble));
    pub const COMPLEX_FLOAT: Type = plain(TypeKind::Complex(Float::Float));
    pub const COMPLEX_DOUBLE: Type = plain(TypeKind::Complex(Float::Double));
    pub const COMPLEX_LONG_DOUBLE: Type = plain(TypeKind::Complex(Float::LongDouble));
}

impl Type {
    /// `void *`; to a call all pointers are alike.
    ///
    /// ```
    /// use portcullis::ffi::Type;
    /// assert_eq!(Type::pointer().layout()?.size, 8);
    /// # Ok::<(), portcullis::ffi::Error>(())
    /// ```
    #[must_use]
    pub fn pointer() -> Type {
        plain(TypeKind::Pointer(Box::new(Type::VOID.0)))
    }

    /// An array, for members of structs: C passes none by value. Of length 0 it is GNU C's array
    /// without elements.
    ///
    /// ```
    /// use portcullis::ffi::Type;
    /// assert_eq!(Type::SHORT.array(3).array(2).layout()?.size, 12);
    /// # Ok::<(), portcullis::ffi::Error>(())
    /// ```
    #[must_use]
    pub fn array(self, length: usize) -> Type {
        let length = i128::try_from(length).unwrap_or(i128::MAX);
        let length = Expr { kind: ExprKind::Integer(length), span: Span::default() };
        plain(TypeKind::Array { element: Box::new(self.0), length: Some(length) })
    }

    /// A flexible array member (`T tail[]`), for the end of a struct that has other members. A value
    /// has none of its elements: C copies as many bytes as `sizeof` says.
    #[must_use]
    pub fn flexible_array(self) -> Type {
        plain(TypeKind::Array { element: Box::new(self.0), length: None })
    }

    /// A SIMD vector of so many bytes (`__attribute__((vector_size(16)))`).
    ///
    /// ```
    /// use portcullis::ffi::Type;
    /// let m128 = Type::vector(Type::FLOAT, 16);
    /// assert_eq!(m128.layout()?.align, 16);
    /// # Ok::<(), portcullis::ffi::Error>(())
    /// ```
    #[must_use]
    pub fn vector(lane: Type, bytes: u32) -> Type {
        plain(TypeKind::Vector { lane: Box::new(lane.0), bytes })
    }

    /// A struct of those members; see [`Record`] for packed and over-aligned ones.
    ///
    /// ```
    /// use portcullis::ffi::Type;
    /// let pair = Type::struct_([Type::CHAR, Type::LONG]);
    /// assert_eq!(pair.field_offsets()?, [0, 8]);
    /// # Ok::<(), portcullis::ffi::Error>(())
    /// ```
    #[must_use]
    pub fn struct_(fields: impl IntoIterator<Item = impl Into<Field>>) -> Type {
        Record::struct_(fields).into()
    }

    /// A union of those members.
    ///
    /// ```
    /// use portcullis::ffi::Type;
    /// assert_eq!(Type::union_([Type::FLOAT, Type::LONG]).layout()?.size, 8);
    /// # Ok::<(), portcullis::ffi::Error>(())
    /// ```
    #[must_use]
    pub fn union_(fields: impl IntoIterator<Item = impl Into<Field>>) -> Type {
        Record::union_(fields).into()
    }

    /// Size and alignment on this machine.
    ///
    /// ```
    /// use portcullis::ffi::Type;
    /// assert_eq!(Type::COMPLEX_LONG_DOUBLE.layout()?.size, 32);
    /// assert!(Type::VOID.layout().is_err());
    /// # Ok::<(), portcullis::ffi::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Prototype`] when it has no size.
    pub fn layout(&self) -> Result<ValueLayout, Error> {
        self.check()?;
        let extent = extent_of(&self.0, &Scope::default(), host()?);
        extent.map(ValueLayout::of).map_err(|error| self.explain(&error.to_string()))
    }

    /// Offsets of the members of a struct or union, in bytes; of a bit-field that of the byte with its
    /// lowest bit. Empty for other types.
    ///
    /// ```
    /// use portcullis::ffi::Type;
    /// let header = Type::struct_([Type::CHAR, Type::SHORT, Type::DOUBLE]);
    /// assert_eq!(header.field_offsets()?, [0, 2, 8]);
    /// # Ok::<(), portcullis::ffi::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Type::layout`].
    pub fn field_offsets(&self) -> Result<Vec<usize>, Error> {
        self.check()?;
        let TypeKind::Record(record) = &self.0.kind else { return Ok(Vec::new()) };
        let places = record_on(record, Span::default(), &Scope::default(), host()?);
        let (_, places) = places.map_err(|error| self.explain(&error.to_string()))?;
        Ok(places.iter().map(|p| usize::try_from(p.offset).unwrap_or(usize::MAX)).collect())
    }

    fn explain(&self, message: &str) -> Error {
        let error = Diagnostic::new(Span::default(), message);
        Error::Prototype(Diagnostics::new("type", format!("{:#}", self.0), vec![error]))
    }

    /// Everything that walks types later on does so recursively.
    fn check(&self) -> Result<(), Error> {
        let mut nodes = 0;
        let Err(message) = walk(&self.0, MAX_DEPTH, &mut nodes) else { return Ok(()) };
        let error = Diagnostic::new(Span::default(), message);
        Err(Error::Prototype(Diagnostics::new("type", "", vec![error])))
    }
}

/// As deep as a parsed type may be, and deeper than any real one.
const MAX_DEPTH: usize = 64;
/// As large as a parsed type may be. What is inside of two members counts twice: a union of two unions
/// of two unions is small in memory, and takes forever to walk.
const MAX_NODES: usize = 1 << 14;

/// What is wrong with the size of a type, if something is.
fn walk(ty: &signature::Type, depth: usize, nodes: &mut usize) -> Result<(), String> {
    *nodes += 1;
    if *nodes > MAX_NODES {
        return Err(format!(
            "a type of more than {MAX_NODES} types: pass a pointer to a part of it"
        ));
    }
    let below = depth.checked_sub(1);
    let below = below.ok_or_else(|| format!("types are nested more than {MAX_DEPTH} deep here"))?;
    match &ty.kind {
        TypeKind::Array { element, .. } => walk(element, below, nodes),
        TypeKind::Vector { lane, .. } => walk(lane, below, nodes),
        TypeKind::Pointer(inner) => walk(inner, below, nodes),
        TypeKind::Record(record) => {
            let mut fields = record.body.iter().flat_map(|body| &body.fields);
            fields.try_for_each(|field| walk(&field.ty, below, nodes))
        }
        TypeKind::Void
        | TypeKind::Bool
        | TypeKind::Integer(_)
        | TypeKind::Float(_)
        | TypeKind::Complex(_)
        | TypeKind::Enum(_)
        | TypeKind::Function(_) => Ok(()),
    }
}

/// A type that a prototype has: what its annotations say is ignored.
impl From<signature::Type> for Type {
    fn from(ty: signature::Type) -> Type {
        Type(ty)
    }
}

fn host() -> Result<Target, Error> {
    Abi::host().map(Target::Host).ok_or(Error::UnsupportedHost)
}

/// A struct or union with its layout attributes.
///
/// ```
/// use portcullis::ffi::{Record, Type};
/// let line = Type::from(Record::struct_([Type::CHAR.array(10)]).aligned(64));
/// assert_eq!((line.layout()?.size, line.layout()?.align), (64, 64));
/// # Ok::<(), portcullis::ffi::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    kind: RecordKind,
    fields: Vec<Field>,
    packed: bool,
    align: Option<u32>,
}

impl Record {
    /// A struct of those members.
    ///
    /// ```
    /// use portcullis::ffi::{Record, Type};
    /// let pair = Type::from(Record::struct_([Type::INT, Type::FLOAT]));
    /// assert_eq!(pair, Type::struct_([Type::INT, Type::FLOAT]));
    /// ```
    #[must_use]
    pub fn struct_(fields: impl IntoIterator<Item = impl Into<Field>>) -> Record {
        let fields = fields.into_iter().map(Into::into).collect();
        Record { kind: RecordKind::Struct, fields, packed: false, align: None }
    }

    /// A union of those members.
    ///
    /// ```
    /// use portcullis::ffi::{Record, Type};
    /// assert_eq!(Type::from(Record::union_([Type::INT])), Type::union_([Type::INT]));
    /// ```
    #[must_use]
    pub fn union_(fields: impl IntoIterator<Item = impl Into<Field>>) -> Record {
        Record { kind: RecordKind::Union, ..Record::struct_(fields) }
    }

    /// `__attribute__((packed))`
    ///
    /// ```
    /// use portcullis::ffi::{Record, Type};
    /// let packed = Type::from(Record::struct_([Type::CHAR, Type::DOUBLE]).packed());
    /// assert_eq!(packed.field_offsets()?, [0, 1]);
    /// # Ok::<(), portcullis::ffi::Error>(())
    /// ```
    #[must_use]
    pub fn packed(self) -> Record {
        Record { packed: true, ..self }
    }

    /// `__attribute__((aligned(align)))` on the whole; a power of two.
    ///
    /// ```
    /// use portcullis::ffi::{Record, Type};
    /// assert!(Type::from(Record::struct_([Type::CHAR]).aligned(3)).layout().is_err());
    /// ```
    #[must_use]
    pub fn aligned(self, align: u32) -> Record {
        Record { align: Some(align), ..self }
    }
}

impl From<Record> for Type {
    fn from(record: Record) -> Type {
        let Record { kind, fields, packed, align } = record;
        let fields = fields.into_iter().enumerate().map(|(index, field)| {
            let name = ident(&format!("f{index}"));
            signature::Field {
                name: field.named.then_some(name),
                ty: field.ty.0,
                bits: field.bits,
                align: field.align,
            }
        });
        let body = RecordBody { fields: fields.collect(), packed, align };
        // Without a tag: such types are the same when their bodies are.
        let record = signature::Record { kind, tag: None, body: Some(Arc::new(body)) };
        plain(TypeKind::Record(record))
    }
}

/// A member of a struct or union.
///
/// ```
/// use portcullis::ffi::{Field, Type};
/// let fields = [Field::from(Type::CHAR), Field::from(Type::CHAR).aligned(4)];
/// assert_eq!(Type::struct_(fields).field_offsets()?, [0, 4]);
/// # Ok::<(), portcullis::ffi::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    ty: Type,
    bits: Option<u32>,
    align: Option<u32>,
    named: bool,
}

impl From<Type> for Field {
    fn from(ty: Type) -> Field {
        Field { ty, bits: None, align: None, named: true }
    }
}

impl Field {
    /// A bit-field.
    ///
    /// ```
    /// use portcullis::ffi::{Field, Type};
    /// let fields = [Field::bits(Type::INT, 20), Field::bits(Type::INT, 20)];
    /// assert_eq!(Type::struct_(fields).layout()?.size, 8);
    /// # Ok::<(), portcullis::ffi::Error>(())
    /// ```
    #[must_use]
    pub fn bits(ty: Type, width: u32) -> Field {
        Field { bits: Some(width), ..Field::from(ty) }
    }

    /// A bit-field without a name: padding. A width of 0 ends the unit.
    ///
    /// ```
    /// use portcullis::ffi::{Field, Type};
    /// let fields = [Field::bits(Type::INT, 3), Field::padding(Type::INT, 0), Field::bits(Type::INT, 3)];
    /// assert_eq!(Type::struct_(fields).field_offsets()?, [0, 4, 4]);
    /// # Ok::<(), portcullis::ffi::Error>(())
    /// ```
    #[must_use]
    pub fn padding(ty: Type, width: u32) -> Field {
        Field { named: false, ..Field::bits(ty, width) }
    }

    /// `_Alignas(align)` on the member; a power of two.
    ///
    /// ```
    /// use portcullis::ffi::{Field, Type};
    /// let wide = Type::struct_([Field::from(Type::INT).aligned(32)]);
    /// assert_eq!(wide.layout()?.align, 32);
    /// # Ok::<(), portcullis::ffi::Error>(())
    /// ```
    #[must_use]
    pub fn aligned(self, align: u32) -> Field {
        Field { align: Some(align), ..self }
    }
}

/// A function type: what a [`CallPlan`](super::CallPlan) is made of.
///
/// ```
/// use portcullis::ffi::{CallPlan, Function, Type};
/// // int printf(const char *format, ...), called with a double and an int
/// let printf = Function::new(Type::INT).param(Type::pointer()).tail([Type::DOUBLE, Type::INT]);
/// assert_eq!(CallPlan::of(&printf)?.params().len(), 3);
/// # Ok::<(), portcullis::ffi::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    result: Type,
    params: Vec<Type>,
    tail: Option<Vec<Type>>,
}

impl Function {
    /// A function without parameters.
    ///
    /// ```
    /// use portcullis::ffi::{CallPlan, Function, Type};
    /// let plan = CallPlan::of(&Function::new(Type::VOID))?;
    /// assert_eq!((plan.params().len(), plan.result()), (0, None));
    /// # Ok::<(), portcullis::ffi::Error>(())
    /// ```
    #[must_use]
    pub fn new(result: Type) -> Function {
        Function { result, params: Vec::new(), tail: None }
    }

    /// With one more parameter.
    ///
    /// ```
    /// use portcullis::ffi::{CallPlan, Function, Type};
    /// let add = Function::new(Type::INT).param(Type::INT).param(Type::INT);
    /// assert_eq!(CallPlan::of(&add)?.params().len(), 2);
    /// # Ok::<(), portcullis::ffi::Error>(())
    /// ```
    #[must_use]
    pub fn param(mut self, ty: Type) -> Function {
        self.params.push(ty);
        self
    }

    /// With `...`, for calls with arguments of those types. C promotes what is narrower than `int`,
    /// and `float`: such types are refused.
    ///
    /// ```
    /// use portcullis::ffi::{CallPlan, Function, Type};
    /// let function = Function::new(Type::VOID).param(Type::INT).tail([Type::FLOAT]);
    /// assert!(CallPlan::of(&function).unwrap_err().to_string().contains("promotes it to `double`"));
    /// ```
    #[must_use]
    pub fn tail(mut self, types: impl IntoIterator<Item = Type>) -> Function {
        self.tail.get_or_insert_default().extend(types);
        self
    }

    /// The prototype that it is the type of.
    pub(super) fn prototype(&self) -> Result<Prototype, Error> {
        let tail = self.tail.iter().flatten();
        [&self.result].into_iter().chain(&self.params).chain(tail).try_for_each(Type::check)?;
        let span = Span::default();
        let param = |ty: &Type| Param { name: None, ty: ty.0.clone(), span };
        let variadic = match &self.tail {
            None => Variadic::No,
            Some(tail) => Variadic::Typed(tail.iter().map(|ty| ty.0.clone()).collect()),
        };
        let function = signature::Function {
            result: self.result.0.clone(),
            params: self.params.iter().map(param).collect(),
            variadic,
        };
        Ok(Prototype { name: ident("function"), function, data: None, notes: Vec::new(), span })
    }

    /// An error with the C text of the types. Their places are those of the text where it reads as the
    /// same function.
    pub(super) fn explain(&self, errors: Vec<Diagnostic>) -> Error {
        let Ok(prototype) = self.prototype() else { return Error::UnsupportedHost };
        let text = format!("{prototype:#}");
        let read = match parse_declaration(&text, &Scope::default()) {
            Ok(read) => read,
            // Types made at run time may have no C text (an empty struct): what was found stands.
            Err(_) => return Error::Prototype(Diagnostics::new("function", text, errors)),
        };
        let again = host().ok().and_then(|target| match target {
            Target::Host(abi) => {
                let compiled =
                    crate::plan::compile::compile_call(&Arc::new(read), &Scope::default(), abi);
                match compiled {
                    Err(crate::plan::compile::CompileError::Prototype(errors)) => Some(errors),
                    _ => None,
                }
            }
            Target::Guest(_) => None,
        });
        Error::Prototype(Diagnostics::new("function", text, again.unwrap_or(errors)))
    }
}

fn ident(name: &str) -> Ident {
    Ident { name: Arc::from(name), span: Span::default() }
}
