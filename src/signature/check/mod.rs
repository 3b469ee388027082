//! Whether what a prototype says makes sense: the parser accepts what has the right form, this
//! module decides whether a host could keep it.
//!
//! Here are the walk over a prototype's types and the rules about functions as a whole. `notes`
//! knows what each annotation can describe, `expr` what expressions may mention, `size` which
//! pointers say too little. What only a whole interface can tell (is `fn` of `__freed_by(fn)`
//! granted?) is in `cross`.
mod class;
mod cross;
mod data;
mod expr;
mod notes;
mod size;
mod walk;

pub(super) use class::{Direction, direction, is_string};
pub(super) use cross::{grants, interface};
pub(super) use notes::bare;

use super::diagnostic::MAX_ERRORS;
use super::parse::{Names, is_unknown};
use super::tail::not_for_a_format;
use super::{
    Diagnostic, Expr, ExprKind, Field, Function, Ident, NoteKind, Param, Prototype, RecordBody,
    RecordKind, Span, Type, TypeKind, Variadic,
};

/// Whether a prototype may leave out what an interface would have to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// No: it stands for itself.
    Refused,
    /// Yes: it will be compared with a grant, or never reaches native code.
    Allowed,
}

/// Checks a prototype.
pub(super) fn prototype(
    prototype: &Prototype,
    names: &Names<'_>,
    missing: Missing,
    errors: &mut Vec<Diagnostic>,
) {
    let mut checker = Checker { names, errors, missing, frames: Vec::new() };
    if let Some(data) = prototype.data
        && !is_unknown(&prototype.function.result)
        && !checker.data(prototype, data)
    {
        return;
    }
    checker.function(&prototype.function, false);
    checker.frames.push(Frame::of(&prototype.function));
    checker.whole(prototype);
}

/// Checks the body of a record that was just defined.
pub(super) fn record(
    body: &RecordBody,
    kind: RecordKind,
    names: &Names<'_>,
    errors: &mut Vec<Diagnostic>,
) {
    let mut checker = Checker { names, errors, missing: Missing::Allowed, frames: Vec::new() };
    checker.record(body, kind);
}

/// Checks the type of a typedef.
pub(super) fn typedef(ty: &Type, names: &Names<'_>, errors: &mut Vec<Diagnostic>) {
    let mut checker = Checker { names, errors, missing: Missing::Allowed, frames: Vec::new() };
    checker
        .ty(ty, &Site { place: Place::Typedef, level: 0, outer: None, name: None, after: false });
}

/// What a type belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Param,
    Result,
    /// Parameters of a function pointer: C passes them to the guest.
    CallbackParam,
    CallbackResult,
    Field,
    Typedef,
    /// An argument named after `...`.
    Tail,
}

/// Where in a declaration a type stands.
#[derive(Clone, Copy)]
struct Site<'a> {
    place: Place,
    /// How many pointers and arrays are around it.
    level: usize,
    /// The innermost of these.
    outer: Option<&'a Type>,
    /// The name that is declared.
    name: Option<&'a Ident>,
    /// Whether its expressions are computed after the call.
    after: bool,
}

/// Names that expressions may use, and the result they may mention.
#[derive(Clone, Copy)]
enum Frame<'a> {
    Function(&'a Function),
    Fields(&'a [Field]),
}

impl<'a> Frame<'a> {
    fn of(function: &'a Function) -> Self {
        Frame::Function(function)
    }

    fn names(self) -> Vec<(&'a Ident, &'a Type)> {
        match self {
            Frame::Function(function) => {
                let params = function.params.iter();
                params.filter_map(|p| Some((p.name.as_ref()?, &p.ty))).collect()
            }
            Frame::Fields(fields) => {
                fields.iter().filter_map(|f| Some((f.name.as_ref()?, &f.ty))).collect()
            }
        }
    }
}

struct Checker<'a, 'e> {
    names: &'a Names<'a>,
    errors: &'e mut Vec<Diagnostic>,
    missing: Missing,
    /// Innermost last.
    frames: Vec<Frame<'a>>,
}

impl<'a> Checker<'a, '_> {
    fn report(&mut self, error: Diagnostic) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(error);
        }
    }

    fn function(&mut self, function: &'a Function, callback: bool) {
        self.frames.push(Frame::of(function));
        self.duplicate_names(&function.params);
        let (param_place, result_place) = if callback {
            (Place::CallbackParam, Place::CallbackResult)
        } else {
            (Place::Param, Place::Result)
        };
        let site = |place, name, after| Site { place, level: 0, outer: None, name, after };
        if function.result.kind == TypeKind::Void {
            for note in &function.result.notes {
                self.report(
                    Diagnostic::new(note.span, "this describes a result, and there is none")
                        .label("the function returns `void`"),
                );
            }
        } else {
            self.object(&function.result, "a result");
            self.ty(&function.result, &site(result_place, None, true));
        }
        for param in &function.params {
            if is_unknown(&param.ty) {
                continue;
            }
            self.object(&param.ty, "a parameter");
            self.ty(&param.ty, &site(param_place, param.name.as_ref(), false));
        }
        if let Variadic::Typed(tail) = &function.variadic {
            for ty in tail {
                self.object(ty, "an argument");
                self.tail(ty);
                self.ty(ty, &site(Place::Tail, None, false));
            }
        }
        if self.missing == Missing::Refused {
            self.sizes(function, callback);
        }
        self.frames.pop();
    }

    fn duplicate_names(&mut self, params: &[Param]) {
        for (at, param) in params.iter().enumerate() {
            let Some(name) = &param.name else { continue };
            let earlier = params[..at].iter().filter_map(|p| p.name.as_ref());
            if let Some(first) = earlier.into_iter().find(|earlier| *earlier == name) {
                self.report(
                    Diagnostic::new(name.span, format!("two parameters are called `{name}`"))
                        .label("the second")
                        .related(first.span, "the first"),
                );
            }
        }
    }

    /// What is passed or returned has to be a value.
    fn object(&mut self, ty: &Type, what: &str) {
        match &ty.kind {
            TypeKind::Void => self.report(
                Diagnostic::new(ty.span, format!("`void` is no type for {what}"))
                    .help("a pointer to anything is `void *`, no parameters at all are `(void)`"),
            ),
            TypeKind::Record(record) if self.names.body(record).is_none() => {
                let error = format!("{what} of the incomplete type `{ty}`");
                self.report(
                    Diagnostic::new(ty.span, error)
                        .help(format!("a handle is a pointer to it: `{ty} *`")),
                );
            }
            _ => {}
        }
    }

    /// Whether a field of that type would be the record itself, whose body that is.
    fn contains(&self, ty: &Type, body: &RecordBody) -> bool {
        match &ty.kind {
            TypeKind::Array { element, .. } => self.contains(element, body),
            TypeKind::Record(record) => {
                let found = self.names.body(record).filter(|_| record.body.is_none());
                found.is_some_and(|found| std::ptr::eq(&raw const *found, body))
            }
            _ => false,
        }
    }

    /// C promotes what follows `...`; the prototype has to name what is really passed.
    fn tail(&mut self, ty: &Type) {
        use super::{Float, Integer};
        let promoted = match ty.kind {
            TypeKind::Bool
            | TypeKind::Integer(
                Integer::Char
                | Integer::SignedChar
                | Integer::UnsignedChar
                | Integer::Short
                | Integer::UnsignedShort,
            ) => "int",
            TypeKind::Float(Float::Float) => "double",
            _ => return,
        };
        let error = format!("C passes no `{ty}` after `...`");
        self.report(Diagnostic::new(ty.span, error).help(format!("write `{promoted}`")));
    }

    /// Checks a type, the annotations on it, and everything in it.
    fn ty(&mut self, ty: &'a Type, site: &Site<'a>) {
        if is_unknown(ty) {
            return;
        }
        self.notes(ty, site);
        if ty.quals.is_restrict && ty.pointee().is_none() {
            self.report(
                Diagnostic::new(ty.span, "`restrict` describes pointers only")
                    .label(format!("this is `{ty}`")),
            );
        }
        let inside = |after| Site { level: site.level + 1, outer: Some(ty), after, ..*site };
        match &ty.kind {
            TypeKind::Pointer(pointee) => match &pointee.kind {
                TypeKind::Function(function) => self.function(function, true),
                _ => self.ty(pointee, &inside(site.after || self.may_write(ty))),
            },
            TypeKind::Array { element, length } => {
                match length {
                    Some(length) => self.array_length(length),
                    None if site.place == Place::Field && site.level == 0 => {}
                    None => self.report(
                        Diagnostic::new(ty.span, "this array has no length")
                            .help("only the outermost brackets of a parameter may be empty"),
                    ),
                }
                self.ty(element, &inside(site.after));
            }
            TypeKind::Function(function) => self.function(function, true),
            TypeKind::Void
            | TypeKind::Bool
            | TypeKind::Integer(_)
            | TypeKind::Float(_)
            | TypeKind::Complex(_)
            | TypeKind::Vector { .. }
            | TypeKind::Enum(_)
            // Checked where it was defined.
            | TypeKind::Record(_) => {}
        }
    }

    /// Lengths of arrays inside of types are part of the layout.
    fn array_length(&mut self, length: &'a Expr) {
        match &length.kind {
            // `[0]` is GNU C.
            ExprKind::Integer(n) if (0..=i128::from(u32::MAX)).contains(n) => {}
            ExprKind::Integer(n) => {
                let error = format!("an array of {n} elements");
                self.report(Diagnostic::new(length.span, error));
            }
            _ if expr::mentions_names(length) => self.report(
                Diagnostic::new(length.span, "the length of this array has to be a constant")
                    .help("only the outermost brackets of a parameter may name another one"),
            ),
            _ => {}
        }
    }

    fn record(&mut self, body: &'a RecordBody, kind: RecordKind) {
        self.frames.push(Frame::Fields(&body.fields));
        let last = body.fields.len().saturating_sub(1);
        for (at, field) in body.fields.iter().enumerate() {
            let Field { name, ty, bits, .. } = field;
            let duplicate = name.as_ref().and_then(|name| {
                let mut earlier = body.fields[..at].iter().filter_map(|f| f.name.as_ref());
                earlier.find(|earlier| *earlier == name).map(|first| (name, first))
            });
            if let Some((name, first)) = duplicate {
                self.report(
                    Diagnostic::new(name.span, format!("two fields are called `{name}`"))
                        .related(first.span, "the first"),
                );
            }
            self.object(ty, "a field");
            if self.contains(ty, body) {
                let error = format!("a field of the incomplete type `{ty}`");
                self.report(
                    Diagnostic::new(ty.span, error)
                        .help("a struct cannot hold itself: hold a pointer"),
                );
                continue;
            }
            if matches!(ty.kind, TypeKind::Function(_)) {
                self.report(
                    Diagnostic::new(ty.span, "a field is no function")
                        .help("a pointer to one is `int (*f)(int)`"),
                );
                continue;
            }
            let is_padding = |field: &Field| field.bits.is_some() && field.name.is_none();
            let alone = body.fields[..at].iter().all(is_padding);
            if let TypeKind::Array { length: None, .. } = ty.kind
                && (at != last || alone || kind == RecordKind::Union)
            {
                let error = "only the last of several fields of a struct may be an array without \
                             length";
                self.report(
                    Diagnostic::new(ty.span, error).help("an array of no elements is `[0]`"),
                );
            }
            if let Some(bits) = bits {
                self.bit_field(ty, *bits, name.as_ref());
            }
            let name = name.as_ref();
            self.ty(ty, &Site { place: Place::Field, level: 0, outer: None, name, after: false });
        }
        self.frames.pop();
    }

    fn bit_field(&mut self, ty: &Type, bits: u32, name: Option<&Ident>) {
        use super::Integer::{
            Char, Int, Int128, Long, LongLong, Short, SignedChar, UnsignedChar, UnsignedInt,
            UnsignedInt128, UnsignedLong, UnsignedLongLong, UnsignedShort,
        };
        let integer = match &ty.kind {
            TypeKind::Bool => UnsignedChar,
            TypeKind::Integer(integer) => *integer,
            TypeKind::Enum(enumeration) => enumeration.underlying,
            _ => {
                let error = "a bit-field is of an integer type";
                return self.report(Diagnostic::new(ty.span, error));
            }
        };
        let width = match integer {
            _ if ty.kind == TypeKind::Bool => 1,
            Char | SignedChar | UnsignedChar => 8,
            Short | UnsignedShort => 16,
            Int | UnsignedInt => 32,
            // As wide as the narrower data model has it.
            Long | UnsignedLong => 32,
            LongLong | UnsignedLongLong => 64,
            Int128 | UnsignedInt128 => 128,
        };
        if bits > width {
            let error = format!("a bit-field of {bits} bits in a type of {width}");
            self.report(Diagnostic::new(ty.span, error));
        }
        if let (0, Some(name)) = (bits, name) {
            self.report(Diagnostic::new(name.span, "a bit-field of no bits has no name"));
        }
    }

    /// The annotations of a function as a whole.
    fn whole(&mut self, prototype: &'a Prototype) {
        let function = &prototype.function;
        for (at, note) in prototype.notes.iter().enumerate() {
            let same = |kind: &NoteKind| {
                std::mem::discriminant(kind) == std::mem::discriminant(&note.kind)
            };
            let earlier = prototype.notes[..at].iter().find(|earlier| same(&earlier.kind));
            if let Some(first) = earlier
                && !matches!(note.kind, NoteKind::Requires(_))
            {
                self.twice(note, first.span);
            }
            match &note.kind {
                NoteKind::Requires(e) => self.integer(e, false),
                NoteKind::Format(format, first) => {
                    self.format(function, *format, *first, note.span);
                }
                NoteKind::Const | NoteKind::Pure if function.result.kind == TypeKind::Void => {
                    self.report(
                        Diagnostic::new(note.span, "a pure function without result does nothing")
                            .help("leave the attribute out, or give the function its result"),
                    );
                }
                _ => {}
            }
        }
        if let Variadic::Untyped(span) = function.variadic
            && self.missing == Missing::Refused
            && !prototype.has(|kind| matches!(kind, NoteKind::Format(..)))
        {
            self.report(Diagnostic::new(span, "`...` does not say what may follow").help(
                "name the types (`..., double, int`), or, if a format string tells them, \
                         add `__format(printf, m, n)` after the parameter list",
            ));
        }
    }

    fn format(&mut self, function: &Function, format: u32, first: u32, span: Span) {
        let count = function.params.len();
        if function.variadic == Variadic::No {
            return self.report(
                Diagnostic::new(span, "`__format` describes the arguments of a `...`")
                    .label("this function has none"),
            );
        }
        if let Variadic::Typed(tail) = &function.variadic {
            tail.iter().filter_map(not_for_a_format).for_each(|error| self.report(error));
        }
        let at = usize::try_from(format).unwrap_or(usize::MAX).wrapping_sub(1);
        let is_text = |ty: &Type| {
            let counted = |kind: &NoteKind| {
                use NoteKind::{CountedBy, CountedByOrNull, Nullable, Single, SizedBy};
                matches!(kind, Nullable | Single | CountedBy(_) | CountedByOrNull(_) | SizedBy(_))
            };
            is_string(ty) && !ty.has(counted)
        };
        match function.params.get(at) {
            None => self.report(
                Diagnostic::new(span, format!("there is no parameter {format} to hold a format"))
                    .label("parameters are counted from 1"),
            ),
            Some(param) if !is_text(&param.ty) && !is_unknown(&param.ty) => self.report(
                Diagnostic::new(span, format!("parameter {format} is no format string"))
                    .related(param.span, "this one")
                    .help("a format is a `const char *` that is never NULL"),
            ),
            Some(_) => {}
        }
        if usize::try_from(first).ok() != Some(count + 1) {
            self.report(
                Diagnostic::new(span, format!("the first argument after `...` is not {first}"))
                    .help(format!("write `__format(printf, {format}, {})`", count + 1)),
            );
        }
    }

    fn twice(&mut self, note: &super::Note, first: Span) {
        self.report(
            Diagnostic::new(note.span, format!("`{}` says again what was said", note.kind))
                .label("the second time")
                .related(first, "the first"),
        );
    }
}
