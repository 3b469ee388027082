//! Tails that a guest names for a function whose format tells native code the types.
//!
//! A grant says `...` and `__format`; the guest's own prototype says which arguments it passes. What
//! is called is the grant with that tail: a prototype like any other, whose conversions are checked
//! on every call.
use super::{
    Diagnostic, Float, Integer, NoteKind, Prototype, Qualifiers, Span, Type, TypeKind, Variadic,
};
use std::sync::Arc;

/// The prototype to call when a guest's own agrees with its grant ([`agree`](super::agree)): the
/// grant, with the guest's tail where the grant leaves it to a format.
///
/// ```
/// use portcullis::signature::{Scope, parse_declaration, parse_prototype, with_tail};
/// use std::sync::Arc;
/// let scope = Scope::default();
/// let grant = "int printf(const char *format, ...) __format(printf, 1, 2)";
/// let grant = Arc::new(parse_prototype(grant, &scope)?);
/// let guest = parse_declaration("int printf(const char *, ..., double, int)", &scope)?;
/// let called = with_tail(&guest, &grant).unwrap();
/// assert_eq!(
///     called.to_string(),
///     "int printf(const char *format, ..., double, int) __format(printf, 1, 2)"
/// );
/// # Ok::<(), portcullis::signature::Diagnostics>(())
/// ```
///
/// # Errors
/// When the guest leaves the tail out, or names types that no conversion takes. Places are in the
/// guest's text.
pub fn with_tail(
    guest: &Prototype,
    grant: &Arc<Prototype>,
) -> Result<Arc<Prototype>, Vec<Diagnostic>> {
    let Some(place) = open_tail(grant) else { return Ok(Arc::clone(grant)) };
    let tail = match &guest.function.variadic {
        Variadic::Typed(tail) => tail,
        Variadic::Untyped(span) => {
            let error = "the types of the arguments behind `...` are not known";
            let help = "name those that are passed: `..., double, int`";
            return Err(vec![Diagnostic::new(*span, error).help(help)]);
        }
        Variadic::No => return Ok(Arc::clone(grant)),
    };
    let errors: Vec<Diagnostic> = tail.iter().filter_map(not_for_a_format).collect();
    if !errors.is_empty() {
        return Err(errors);
    }
    let mut called = Prototype::clone(grant);
    called.function.variadic = Variadic::Typed(tail.iter().map(|ty| plain(ty, place)).collect());
    Ok(Arc::new(called))
}

/// Where the `...` is that a format describes and no types follow.
#[must_use]
pub fn open_tail(prototype: &Prototype) -> Option<Span> {
    match prototype.function.variadic {
        Variadic::Untyped(span) if prototype.has(|kind| matches!(kind, NoteKind::Format(..))) => {
            Some(span)
        }
        Variadic::Untyped(_) | Variadic::Typed(_) | Variadic::No => None,
    }
}

/// The prototype with a tail of every kind that conversions take: an example, and what an interface
/// is tried with.
#[must_use]
pub fn with_example_tail(prototype: &Prototype) -> Prototype {
    let mut example = prototype.clone();
    if let Some(span) = open_tail(prototype) {
        let ty = |kind| Type {
            kind,
            quals: Qualifiers::default(),
            notes: Vec::new(),
            alias: None,
            span,
        };
        let mut character = ty(TypeKind::Integer(Integer::Char));
        character.quals.is_const = true;
        example.function.variadic = Variadic::Typed(vec![
            ty(TypeKind::Float(Float::Double)),
            ty(TypeKind::Integer(Integer::Int)),
            ty(TypeKind::Pointer(Box::new(character))),
        ]);
    }
    example
}

/// The type without what changes nothing, so that equal tails have equal plans. Its place is that of
/// the grant's `...`: the guest's is in another text.
fn plain(ty: &Type, span: Span) -> Type {
    let kind = match &ty.kind {
        TypeKind::Pointer(pointee) => {
            TypeKind::Pointer(Box::new(Type { notes: Vec::new(), span, ..Type::clone(pointee) }))
        }
        other => other.clone(),
    };
    Type { kind, quals: Qualifiers::default(), notes: Vec::new(), alias: ty.alias.clone(), span }
}

/// Why an argument cannot be described by a format. Types that C promotes are told elsewhere.
pub(super) fn not_for_a_format(ty: &Type) -> Option<Diagnostic> {
    use Integer::{
        Char, Int, Int128, Long, LongLong, Short, SignedChar, UnsignedChar, UnsignedInt,
        UnsignedInt128, UnsignedLong, UnsignedLongLong, UnsignedShort,
    };
    let integer = |integer: Integer| match integer {
        Int | UnsignedInt | Long | UnsignedLong | LongLong | UnsignedLongLong => true,
        // Told where promotions are.
        Char | SignedChar | UnsignedChar | Short | UnsignedShort => true,
        Int128 | UnsignedInt128 => false,
    };
    let taken = match &ty.kind {
        TypeKind::Integer(kind) => integer(*kind),
        TypeKind::Enum(kind) => matches!(kind.underlying, Int | UnsignedInt),
        TypeKind::Bool | TypeKind::Float(_) => true,
        TypeKind::Pointer(pointee) => {
            let Qualifiers { is_const, is_volatile, is_atomic, is_restrict: _ } = pointee.quals;
            pointee.kind == TypeKind::Integer(Char) && is_const && !is_volatile && !is_atomic
        }
        TypeKind::Void
        | TypeKind::Complex(_)
        | TypeKind::Vector { .. }
        | TypeKind::Record(_)
        | TypeKind::Array { .. }
        | TypeKind::Function(_) => false,
    };
    if !taken {
        let error = format!("no conversion of a format takes a `{}`", ty.as_written());
        return Some(Diagnostic::new(ty.span, error).help(
            "they take `int`, `long`, `long long` and their unsigned types, `double`, `long double` \
             and `const char *`",
        ));
    }
    let says_nothing = |kind: &NoteKind| {
        let said = [NoteKind::NullTerminated, NoteKind::Nonnull, NoteKind::In];
        ty.pointee().is_some() && said.contains(kind)
    };
    let note = ty.notes.iter().find(|note| !says_nothing(&note.kind))?;
    let error = format!("`{}` says nothing of an argument that a format describes", note.kind);
    Some(Diagnostic::new(note.span, error).help("leave it out: conversions say what they take"))
}
