//! What a prototype says: types, annotations and expressions, as parsed.
//!
//! This is the vocabulary that everything else shares. It is *not* about sizes (see
//! `plan::layout`), nor about where the C ABI puts things (`plan::abi`). Text becomes these types
//! in the parser beside this file; the printer turns them back into text.
//!
//! Equality is about meaning: [`Span`]s and the spelling of a typedef never make two prototypes
//! differ.
use super::Expr;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A range of bytes in the text that a prototype or interface was parsed from.
///
/// Spans compare as equal whatever they hold: where text stands is no part of what it says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Offset past the last byte.
    pub end: u32,
}

impl PartialEq for Span {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl Eq for Span {}
impl Hash for Span {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl Span {
    /// The smallest span that holds both.
    #[must_use]
    pub fn to(self, other: Span) -> Span {
        Span { start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// A name and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ident {
    /// The name.
    pub name: Arc<str>,
    /// Where it stands.
    pub span: Span,
}

impl fmt::Display for Ident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// One C function declaration with its annotations.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Prototype {
    /// The function's symbol.
    pub name: Ident,
    /// Result and parameters.
    pub function: Function,
    /// Annotations of the function as a whole (`__leaf`, `__errno`, `__requires`, `__format`,
    /// `const`, `pure`). What follows the parameter list but describes the result stands in the
    /// result's [`Type::notes`].
    pub notes: Vec<Note>,
    /// The whole declaration.
    pub span: Span,
    /// It declares data and no function: `function` has no parameters, and its result is what the
    /// guest gets.
    pub data: Option<Data>,
}

/// How what a guest gets of a library's data is found at its symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Data {
    /// It is the value there: `extern FILE *stdout`.
    Value,
    /// It is what stands there, an array that decays to a pointer: `extern const char name[]`.
    Array,
}

/// The most parameters that a function may have.
pub const MAX_PARAMS: usize = 255;

/// A function type: what a prototype and a function pointer share.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Function {
    /// What it returns; [`TypeKind::Void`] for nothing.
    pub result: Type,
    /// The parameters in order, arrays already decayed to pointers that carry
    /// [`NoteKind::CountedBy`].
    pub params: Vec<Param>,
    /// What follows the named parameters.
    pub variadic: Variadic,
}

/// The `...` of a function, if it has one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Variadic {
    /// None.
    #[default]
    No,
    /// `...`
    Untyped(Span),
    /// `..., double, int`: a tail whose types the prototype names.
    Typed(Vec<Type>),
}

/// One parameter.
#[derive(Clone, Debug, Eq)]
pub struct Param {
    /// Its name, if it has one.
    pub name: Option<Ident>,
    /// Its type, with the annotations that stand after the name.
    pub ty: Type,
    /// The whole declaration.
    pub span: Span,
}

/// Names of parameters matter only through the expressions that use them; two parameters are equal
/// when name and type are.
impl PartialEq for Param {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.ty == other.ty
    }
}
impl Hash for Param {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        self.ty.hash(state);
    }
}

/// A type with its qualifiers and annotations.
#[derive(Clone, Debug, Eq)]
pub struct Type {
    /// What it is, typedefs resolved.
    pub kind: TypeKind,
    /// Its own qualifiers (those of a pointee stand with the pointee).
    pub quals: Qualifiers,
    /// Its annotations, in the order in which they were written.
    pub notes: Vec<Note>,
    /// The typedef that it was written with (`uint8_t`, `sqlite3`). No part of equality.
    pub alias: Option<Arc<str>>,
    /// Where it was written.
    pub span: Span,
}

impl PartialEq for Type {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.quals == other.quals && self.notes == other.notes
    }
}
impl Hash for Type {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.kind.hash(state);
        self.quals.hash(state);
        self.notes.hash(state);
    }
}

/// The qualifiers of a type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Qualifiers {
    /// `const`
    pub is_const: bool,
    /// `volatile`
    pub is_volatile: bool,
    /// `restrict`
    pub is_restrict: bool,
    /// `_Atomic`
    pub is_atomic: bool,
}

/// What a type is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TypeKind {
    /// `void`
    Void,
    /// `bool`, `_Bool`
    Bool,
    /// An integer type, character types included.
    Integer(Integer),
    /// A real floating type.
    Float(Float),
    /// A complex type of that real type.
    Complex(Float),
    /// A SIMD vector (`__m128`, `__attribute__((vector_size(16)))`).
    Vector {
        /// Type of one lane.
        lane: Box<Type>,
        /// Size of the whole in bytes.
        bytes: u32,
    },
    /// `enum`; its values are those of `int` or `unsigned int` unless it says otherwise.
    Enum(Arc<Enum>),
    /// `struct` or `union`.
    Record(Record),
    /// A pointer to that type.
    Pointer(Box<Type>),
    /// An array (of a field or behind a pointer; a parameter's array has decayed).
    Array {
        /// Type of one element.
        element: Box<Type>,
        /// Number of elements; `None` for `[]`.
        length: Option<Expr>,
    },
    /// A function, always behind a pointer.
    Function(Box<Function>),
}

/// The integer types of C. Fixed-width names are resolved as both data models agree:
/// `int64_t` is `long long`, `size_t` is `unsigned long`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is the C type of that name")]
pub enum Integer {
    Char,
    SignedChar,
    UnsignedChar,
    Short,
    UnsignedShort,
    Int,
    UnsignedInt,
    Long,
    UnsignedLong,
    LongLong,
    UnsignedLongLong,
    Int128,
    UnsignedInt128,
}

/// The real floating types of C.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is the C type of that name")]
pub enum Float {
    Float,
    Double,
    LongDouble,
}

/// An `enum`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Enum {
    /// Its tag.
    pub tag: Option<Ident>,
    /// The type after `:`, or the one the values ask for (`int` or `unsigned int`, wider types
    /// are refused); `UnsignedInt` when GCC and clang would choose it (no negative value).
    pub underlying: Integer,
    /// Its constants; empty for a mention without a body.
    pub constants: Vec<(Ident, i128)>,
}

/// `struct` or `union`, or the mention of one.
#[derive(Clone, Debug, Eq)]
pub struct Record {
    /// Which of the two.
    pub kind: RecordKind,
    /// Its tag.
    pub tag: Option<Ident>,
    /// Its body. `None` for an incomplete type, and for the mention of a record inside its own
    /// body.
    pub body: Option<Arc<RecordBody>>,
}

/// Tags are compared by name; only records without a tag are compared by what is in them.
impl PartialEq for Record {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.tag == other.tag
            && (self.tag.is_some() || self.body == other.body)
    }
}
impl Hash for Record {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.kind.hash(state);
        self.tag.hash(state);
    }
}

/// `struct` or `union`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordKind {
    /// `struct`
    Struct,
    /// `union`
    Union,
}

/// What is between the braces of a record, and its layout attributes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RecordBody {
    /// The fields in order.
    pub fields: Vec<Field>,
    /// `__attribute__((packed))`
    pub packed: bool,
    /// The largest `_Alignas` or `aligned` attribute of the record itself, in bytes.
    pub align: Option<u32>,
}

/// One field of a record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Field {
    /// Its name; `None` for an anonymous record or an unnamed bit-field.
    pub name: Option<Ident>,
    /// Its type, with its annotations.
    pub ty: Type,
    /// Width of a bit-field, in bits.
    pub bits: Option<u32>,
    /// Its own `_Alignas`, in bytes.
    pub align: Option<u32>,
}

/// One annotation and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Note {
    /// What it says.
    pub kind: NoteKind,
    /// Where it stands.
    pub span: Span,
}

/// The annotations. The names are those of the language, without the underscores.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum NoteKind {
    /// `__counted_by(e)`: so many elements.
    CountedBy(Expr),
    /// `__sized_by(e)`: so many bytes.
    SizedBy(Expr),
    /// `__counted_by_or_null(e)`
    CountedByOrNull(Expr),
    /// `__single`: one object.
    Single,
    /// `__null_terminated`: ends with zero or NULL.
    NullTerminated,
    /// `__terminated_by(.field)`: ends with an element whose field is zero.
    TerminatedBy(Ident),
    /// `_Nullable`
    Nullable,
    /// `_Nonnull`
    Nonnull,
    /// `_In_`
    In,
    /// `_Out_`
    Out,
    /// `_Inout_`
    Inout,
    /// `__range(lo, hi)`; `__range(v)` has both ends equal. Several mean any of them.
    Range(Expr, Expr),
    /// `__requires(e)`
    Requires(Expr),
    /// `__value(e)`
    Value(Expr),
    /// `__format(printf, m, n)`: positions of format and first argument, counted from 1.
    Format(u32, u32),
    /// `__consumes`
    Consumes,
    /// `__consumes_if(e)`
    ConsumesIf(Expr),
    /// `__retains`
    Retains,
    /// `__drop(fn)`
    Drop(Ident),
    /// `__borrowed`
    Borrowed,
    /// `__lifetimebound(h)`
    LifetimeBound(Lender),
    /// `__invalidates`
    Invalidates,
    /// `__captured_by(h)`; `__escapes` is `__captured_by(global)`.
    CapturedBy(Captor),
    /// `__freed_by(fn)`
    FreedBy(Ident),
    /// `__boxed`
    Boxed,
    /// `__private` (a field of a boxed record)
    Private,
    /// `__remember(n = e)`
    Remember(Ident, Expr),
    /// `__exclusive`
    Exclusive,
    /// `__handle`, `fd_arg`
    Handle,
    /// `__cookie`
    Cookie,
    /// `__closure(cb)`
    Closure(Ident),
    /// `__on_trap(v)`
    OnTrap(Expr),
    /// `__leaf`
    Leaf,
    /// `__errno`
    Errno,
    /// `__fuel(n)`: so much fuel is charged before each call.
    Fuel(u64),
    /// `__host_only`
    HostOnly,
    /// `__attribute__((const))`
    Const,
    /// `__attribute__((pure))`
    Pure,
}

/// Who lends what a `__lifetimebound` result points at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Lender {
    /// The handle parameter of that name.
    Param(Ident),
    /// `static`: the library, for ever.
    Static,
}

/// Who keeps what a `__captured_by` argument points at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Captor {
    /// The handle parameter of that name.
    Param(Ident),
    /// `return`: the handle that the call returns.
    Return,
    /// `global`: the library, until it is told otherwise.
    Global,
}

impl Type {
    /// Whether an annotation for which `f` holds stands on this type.
    pub fn has(&self, f: impl Fn(&NoteKind) -> bool) -> bool {
        self.notes.iter().any(|note| f(&note.kind))
    }

    /// The pointee, if this is a pointer.
    pub fn pointee(&self) -> Option<&Type> {
        match &self.kind {
            TypeKind::Pointer(pointee) => Some(pointee),
            _ => None,
        }
    }
}

impl Prototype {
    /// Whether an annotation for which `f` holds stands on the function itself.
    pub fn has(&self, f: impl Fn(&NoteKind) -> bool) -> bool {
        self.notes.iter().any(|note| f(&note.kind))
    }

    /// Position of the parameter of that name, counted from 0.
    pub fn param_index(&self, name: &str) -> Option<usize> {
        self.function.params.iter().position(|p| p.name.as_ref().is_some_and(|n| &*n.name == name))
    }
}
