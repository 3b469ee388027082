//! Whether a guest's own prototype agrees with the one that the host grants.
//!
//! The plan is compiled from the grant alone; what the guest wrote only has to describe the same
//! call. So C types must be the same, names of parameters do not matter, annotations may be left
//! out, and each that is written has to be the grant's.
use super::check::{Direction, direction, is_string};
use super::print::Marked;
use super::{Captor, Ident};
use super::{
    Data, Expr, ExprKind, Function, Lender, Note, NoteKind, Param, Prototype, Qualifiers, Span,
    Type, TypeKind, Variadic,
};
use std::fmt;

/// Compares the prototype that a guest wrote ([`parse_declaration`](super::parse_declaration))
/// with a granted one.
///
/// ```
/// use portcullis::signature::{Scope, agree, parse_declaration, parse_prototype};
/// let scope = Scope::default();
/// let grant = parse_prototype("size_t f(const uint8_t *__counted_by(n) buf, size_t n)", &scope)?;
/// let guest = parse_declaration("size_t f(const uint8_t *bytes, size_t length)", &scope)?;
/// assert!(agree(&guest, &grant).is_ok());
///
/// let guest = parse_declaration("size_t f(const uint8_t *, int)", &scope)?;
/// let message = agree(&guest, &grant).unwrap_err().to_string();
/// assert!(message.contains("parameter 2 `n` is `int`, granted is `size_t`"));
/// # Ok::<(), portcullis::signature::Diagnostics>(())
/// ```
///
/// # Errors
/// Every difference.
pub fn agree(guest: &Prototype, grant: &Prototype) -> Result<(), Disagreement> {
    let mut comparison = Comparison::default();
    if guest.name != grant.name {
        let message = format!("the guest names `{}`, granted is `{}`", guest.name, grant.name);
        comparison.differ(message, (guest.name.span, &[]), (grant.name.span, &[]));
    }
    let formatted = grant.has(|kind| matches!(kind, NoteKind::Format(..)));
    match (guest.data, grant.data) {
        (None, None) => comparison.functions(&guest.function, &grant.function, "", formatted),
        (a, b) if a == b => {
            let (a, b) = (&guest.function.result, &grant.function.result);
            comparison.types(a, b, &format!("`{}`", grant.name), false);
        }
        (a, b) => {
            let message = format!("the guest declares {}, granted is {}", what(a), what(b));
            comparison.differ(message, (guest.span, &[]), (grant.span, &[]));
        }
    }
    comparison.frames.push((&guest.function.params, &grant.function.params));
    comparison.notes(&guest.notes, &grant.notes, None, "the function");
    if comparison.differences.is_empty() {
        return Ok(());
    }
    Err(Disagreement {
        symbol: grant.name.to_string(),
        differences: comparison.differences,
        texts: Box::new([
            Marked::new(guest, &comparison.guest_marks),
            Marked::new(grant, &comparison.grant_marks),
        ]),
    })
}

fn what(data: Option<Data>) -> &'static str {
    match data {
        None => "a function",
        Some(Data::Value) => "data",
        Some(Data::Array) => "an array",
    }
}

/// How a guest's prototype differs from its grant. Displays both with the differences marked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disagreement {
    symbol: String,
    differences: Vec<Difference>,
    /// The guest's and the grant's.
    texts: Box<[Marked; 2]>,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What differs.
    pub message: String,
    /// Where, in the guest's text.
    pub guest: Span,
    /// Where, in the text of the grant.
    pub grant: Span,
}

impl Disagreement {
    /// All differences, in the order of the guest's text.
    #[must_use]
    pub fn differences(&self) -> &[Difference] {
        &self.differences
    }
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the guest's prototype of `{}` disagrees with its grant", self.symbol)?;
        for Difference { message, .. } in &self.differences {
            writeln!(f, "  {message}")?;
        }
        let [guest, grant] = &*self.texts;
        write!(f, "guest: {}", guest.text)?;
        carets(f, guest)?;
        write!(f, "\ngrant: {}", grant.text)?;
        carets(f, grant)?;
        Ok(())
    }
}

impl std::error::Error for Disagreement {}

/// The line below a text, unless nothing of it is marked.
fn carets(f: &mut fmt::Formatter<'_>, text: &Marked) -> fmt::Result {
    let carets = text.carets();
    if carets.is_empty() { Ok(()) } else { write!(f, "\n       {carets}") }
}

#[derive(Default)]
struct Comparison<'a> {
    differences: Vec<Difference>,
    guest_marks: Vec<*const ()>,
    grant_marks: Vec<*const ()>,
    /// The parameters that names in expressions mean, of both sides, innermost last.
    frames: Vec<(&'a [Param], &'a [Param])>,
}

/// A place in one of the two: its span and what is marked there.
type At<'m> = (Span, &'m [*const ()]);

fn mark<T>(thing: &T) -> *const () {
    std::ptr::from_ref(thing).cast()
}

impl<'a> Comparison<'a> {
    fn differ(&mut self, message: String, guest: At<'_>, grant: At<'_>) {
        self.differences.push(Difference { message, guest: guest.0, grant: grant.0 });
        self.guest_marks.extend(guest.1);
        self.grant_marks.extend(grant.1);
    }

    fn functions(
        &mut self,
        guest: &'a Function,
        grant: &'a Function,
        within: &str,
        formatted: bool,
    ) {
        self.frames.push((&guest.params, &grant.params));
        self.types(&guest.result, &grant.result, &format!("the result{within}"), false);
        let (found, wanted) = (guest.params.len(), grant.params.len());
        if found != wanted {
            let extra = |params: &[Param], from: usize| -> Vec<*const ()> {
                params.iter().skip(from).map(|param| mark(&param.ty)).collect()
            };
            let message = format!("{found} parameters{within}, granted are {wanted}");
            let guest_at = (guest.result.span, &extra(&guest.params, wanted)[..]);
            let grant_at = (grant.result.span, &extra(&grant.params, found)[..]);
            self.differ(message, guest_at, grant_at);
        }
        for (at, (a, b)) in guest.params.iter().zip(&grant.params).enumerate() {
            let who = match a.name.as_ref().or(b.name.as_ref()) {
                Some(name) => format!("parameter {} `{name}`{within}", at + 1),
                None => format!("parameter {}{within}", at + 1),
            };
            self.types(&a.ty, &b.ty, &who, false);
        }
        self.tails(guest, grant, within, formatted);
        self.frames.pop();
    }

    fn tails(&mut self, guest: &'a Function, grant: &'a Function, within: &str, formatted: bool) {
        let (at_guest, at_grant) = (guest.result.span, grant.result.span);
        let message = match (&guest.variadic, &grant.variadic) {
            (Variadic::No, Variadic::No) | (Variadic::Untyped(_), Variadic::Untyped(_)) => return,
            // The format tells the types on every call; the guest tells them once for all.
            (Variadic::Typed(_), Variadic::Untyped(_)) if formatted => return,
            (Variadic::Typed(a), Variadic::Typed(b)) if a.len() == b.len() => {
                for (at, (a, b)) in a.iter().zip(b).enumerate() {
                    let who = format!("argument {} after `...`{within}", at + 1);
                    self.types(a, b, &who, false);
                }
                return;
            }
            (Variadic::Typed(a), Variadic::Typed(b)) => {
                format!("{} arguments after `...`{within}, granted are {}", a.len(), b.len())
            }
            (Variadic::Untyped(_), Variadic::Typed(_)) => {
                format!("`...`{within} without the types of the grant")
            }
            (Variadic::Typed(_), Variadic::Untyped(_)) => {
                format!("types after `...`{within}, the grant has none")
            }
            (Variadic::No, _) => format!("no `...`{within}, the grant has it"),
            (_, Variadic::No) => format!("`...`{within}, the grant has none"),
        };
        self.differ(message, (at_guest, &[]), (at_grant, &[]));
    }

    /// Compares two types. `inner`: behind a pointer, where qualifiers count.
    fn types(&mut self, guest: &'a Type, grant: &'a Type, who: &str, inner: bool) {
        let whole = |ty: &Type| super::check::bare(ty);
        let same_quals = !inner || guest.quals == grant.quals;
        if !same_quals || !same_shape(&guest.kind, &grant.kind) {
            let mut message = format!("{who} is `{}`, granted is `{}`", whole(guest), whole(grant));
            if same_shape(&guest.kind, &grant.kind) {
                message = format!("{message}: `{}` differs", differing(guest.quals, grant.quals));
            }
            let (at_guest, at_grant) = (mark(guest), mark(grant));
            return self.differ(message, (guest.span, &[at_guest]), (grant.span, &[at_grant]));
        }
        self.notes(&guest.notes, &grant.notes, Some(grant), who);
        let behind = format!("what {who} points at");
        match (&guest.kind, &grant.kind) {
            (TypeKind::Pointer(a), TypeKind::Pointer(b)) => self.types(a, b, &behind, true),
            (
                TypeKind::Array { element: a, length: n },
                TypeKind::Array { element: b, length: m },
            ) => {
                let same = match (n, m) {
                    (Some(n), Some(m)) => self.same(n, m),
                    (None, None) => true,
                    _ => false,
                };
                if !same {
                    let message = format!("{who} has another length than its grant");
                    let (at_guest, at_grant) = (mark(guest), mark(grant));
                    self.differ(message, (guest.span, &[at_guest]), (grant.span, &[at_grant]));
                }
                self.types(a, b, &format!("an element of {who}"), true);
            }
            (TypeKind::Function(a), TypeKind::Function(b)) => {
                self.functions(a, b, &format!(" of {who}"), false);
            }
            // Compared by `same_shape`.
            _ => {}
        }
    }

    /// Each annotation that the guest wrote has to be one of the grant's. `on`: the grant's type.
    fn notes(&mut self, guest: &[Note], grant: &[Note], on: Option<&Type>, who: &str) {
        for note in guest {
            let found = grant.iter().any(|other| self.same_note(&note.kind, &other.kind));
            if found || on.is_some_and(|ty| is_default(&note.kind, ty)) {
                continue;
            }
            let same_kind = grant.iter().find(|other| {
                std::mem::discriminant(&other.kind) == std::mem::discriminant(&note.kind)
            });
            let at_grant = match (same_kind, on) {
                (Some(other), _) => (other.span, mark(other)),
                (None, Some(ty)) => (ty.span, mark(ty)),
                (None, None) => (Span::default(), std::ptr::null()),
            };
            let granted = match same_kind {
                Some(other) => format!("the grant says `{}`", other.kind),
                None => "the grant does not".to_owned(),
            };
            let message = format!("`{}` is said of {who}, {granted}", note.kind);
            self.differ(message, (note.span, &[mark(note)]), (at_grant.0, &[at_grant.1]));
        }
    }

    fn same_note(&self, a: &NoteKind, b: &NoteKind) -> bool {
        use NoteKind::{
            CapturedBy, Closure, ConsumesIf, CountedBy, CountedByOrNull, LifetimeBound, OnTrap,
            Range, Remember, Requires, SizedBy, Value,
        };
        match (a, b) {
            (CountedBy(a), CountedBy(b))
            | (SizedBy(a), SizedBy(b))
            | (CountedByOrNull(a), CountedByOrNull(b))
            | (Requires(a), Requires(b))
            | (Value(a), Value(b))
            | (ConsumesIf(a), ConsumesIf(b))
            | (OnTrap(a), OnTrap(b)) => self.same(a, b),
            (Range(low, high), Range(l, h)) => self.same(low, l) && self.same(high, h),
            (Remember(name, a), Remember(other, b)) => name == other && self.same(a, b),
            (Closure(a), Closure(b))
            | (LifetimeBound(Lender::Param(a)), LifetimeBound(Lender::Param(b)))
            | (CapturedBy(Captor::Param(a)), CapturedBy(Captor::Param(b))) => self.same_name(a, b),
            _ => a == b,
        }
    }

    /// Whether two names mean the same parameter.
    fn same_name(&self, guest: &Ident, grant: &Ident) -> bool {
        let position = |name: &Ident, of_guest: bool| {
            self.frames.iter().enumerate().rev().find_map(|(depth, (guest, grant))| {
                let mut params = if of_guest { guest.iter() } else { grant.iter() };
                let at = params.position(|param| param.name.as_ref() == Some(name))?;
                Some((depth, at))
            })
        };
        match (position(guest, true), position(grant, false)) {
            (Some(a), Some(b)) => a == b,
            // Neither is a parameter.
            (None, None) => guest == grant,
            _ => false,
        }
    }

    fn same(&self, guest: &Expr, grant: &Expr) -> bool {
        let all = |a: &[Expr], b: &[Expr]| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| self.same(a, b))
        };
        match (&guest.kind, &grant.kind) {
            (ExprKind::Name(a), ExprKind::Name(b)) => self.same_name(a, b),
            (ExprKind::Deref(a), ExprKind::Deref(b)) => self.same(a, b),
            (ExprKind::Member(a, f), ExprKind::Member(b, g))
            | (ExprKind::Arrow(a, f), ExprKind::Arrow(b, g)) => f == g && self.same(a, b),
            (ExprKind::Unary(o, a), ExprKind::Unary(p, b)) => o == p && self.same(a, b),
            (ExprKind::Binary(o, a, b), ExprKind::Binary(p, c, d)) => {
                o == p && self.same(a, c) && self.same(b, d)
            }
            (ExprKind::Conditional(a, b, c), ExprKind::Conditional(d, e, f)) => {
                self.same(a, d) && self.same(b, e) && self.same(c, f)
            }
            (ExprKind::Builtin(f, a), ExprKind::Builtin(g, b)) => f == g && all(a, b),
            (ExprKind::Call(f, a), ExprKind::Call(g, b)) => f == g && all(a, b),
            (a, b) => a == b,
        }
    }
}

/// Whether two types are the same as far as this level goes.
fn same_shape(a: &TypeKind, b: &TypeKind) -> bool {
    match (a, b) {
        (TypeKind::Pointer(_), TypeKind::Pointer(_))
        | (TypeKind::Array { .. }, TypeKind::Array { .. })
        | (TypeKind::Function(_), TypeKind::Function(_)) => true,
        (TypeKind::Enum(a), TypeKind::Enum(b)) => match (&a.tag, &b.tag) {
            // By tag, as records are: a mention is as good as a body.
            (Some(a), Some(b)) => a == b,
            _ => a == b,
        },
        _ => a == b,
    }
}

/// The qualifier that one has and the other has not.
fn differing(a: Qualifiers, b: Qualifiers) -> &'static str {
    if a.is_const != b.is_const {
        "const"
    } else if a.is_volatile != b.is_volatile {
        "volatile"
    } else if a.is_atomic != b.is_atomic {
        "_Atomic"
    } else {
        "restrict"
    }
}

/// Whether an annotation says what the type of the grant means without it.
fn is_default(note: &NoteKind, grant: &Type) -> bool {
    let extent = |kind: &NoteKind| {
        matches!(
            kind,
            NoteKind::CountedBy(_)
                | NoteKind::SizedBy(_)
                | NoteKind::CountedByOrNull(_)
                | NoteKind::TerminatedBy(_)
        )
    };
    match note {
        NoteKind::NullTerminated => is_string(grant) && !grant.has(extent),
        NoteKind::Nonnull => {
            grant.pointee().is_some()
                && !grant.has(extent)
                && !grant.has(|kind| *kind == NoteKind::Nullable)
        }
        NoteKind::In => grant.pointee().is_some() && direction(grant) == Direction::In,
        NoteKind::Out => grant.pointee().is_some() && direction(grant) == Direction::Out,
        NoteKind::Inout => grant.pointee().is_some() && direction(grant) == Direction::Inout,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
