//! What each annotation can describe, and which contradict each other.
use super::super::{Captor, Diagnostic, Expr, Ident, Lender, Note, NoteKind, Type, TypeKind};
use super::class::{Class, Direction, direction, has_extent};
use super::{Checker, Frame, Place, Site, expr};

type Test = fn(&NoteKind) -> bool;

/// Annotations of which a type can have one at most.
const EXCLUSIVE: [&[Test]; 6] = [
    // How far a pointer reaches.
    &[
        |k| matches!(k, NoteKind::CountedBy(_)),
        |k| matches!(k, NoteKind::SizedBy(_)),
        |k| matches!(k, NoteKind::CountedByOrNull(_)),
        |k| *k == NoteKind::Single,
        |k| *k == NoteKind::NullTerminated,
        |k| matches!(k, NoteKind::TerminatedBy(_)),
        |k| *k == NoteKind::Cookie,
        |k| matches!(k, NoteKind::Closure(_)),
    ],
    &[|k| *k == NoteKind::Nullable, |k| *k == NoteKind::Nonnull],
    &[|k| matches!(k, NoteKind::CountedByOrNull(_)), |k| *k == NoteKind::Nonnull],
    &[|k| *k == NoteKind::In, |k| *k == NoteKind::Out, |k| *k == NoteKind::Inout],
    &[
        |k| *k == NoteKind::Consumes,
        |k| matches!(k, NoteKind::ConsumesIf(_)),
        |k| *k == NoteKind::Retains,
    ],
    &[|k| matches!(k, NoteKind::LifetimeBound(_)), |k| matches!(k, NoteKind::FreedBy(_))],
];

impl<'a> Checker<'a, '_> {
    /// Checks the annotations on one type.
    pub(super) fn notes(&mut self, ty: &'a Type, site: &Site<'a>) {
        self.contradictions(&ty.notes);
        for note in &ty.notes {
            match self.suits(&note.kind, ty, site) {
                Ok(()) => self.note(note, ty, site),
                Err(describes) => self.misplaced(note, describes, ty, site),
            }
        }
    }

    fn contradictions(&mut self, notes: &[Note]) {
        for (at, note) in notes.iter().enumerate() {
            let earlier = &notes[..at];
            let repeatable = matches!(note.kind, NoteKind::Range(..) | NoteKind::Remember(..));
            let same = earlier.iter().find(|earlier| {
                std::mem::discriminant(&earlier.kind) == std::mem::discriminant(&note.kind)
            });
            if let Some(first) = same {
                if !repeatable {
                    self.twice(note, first.span);
                }
                continue;
            }
            let clash = EXCLUSIVE.iter().find_map(|group| {
                let in_group = |kind: &NoteKind| group.iter().any(|is| is(kind));
                in_group(&note.kind).then(|| earlier.iter().find(|e| in_group(&e.kind)))?
            });
            if let Some(first) = clash {
                let error = format!("`{}` contradicts `{}`", note.kind, first.kind);
                self.report(
                    Diagnostic::new(note.span, error)
                        .label("one of the two has to go")
                        .related(first.span, "the other"),
                );
            }
        }
    }

    /// Whether an annotation can describe a type at that place; else what it does describe.
    fn suits(&self, kind: &NoteKind, ty: &Type, site: &Site<'_>) -> Result<(), &'static str> {
        let class = self.class(ty);
        let Site { place, level, .. } = *site;
        let outermost = level == 0;
        let cell = level == 1 && matches!(place, Place::Param | Place::Typedef);
        let given = matches!(place, Place::Param | Place::CallbackParam | Place::Typedef);
        let returned = matches!(place, Place::Result | Place::Typedef);
        let (fits, describes) = match kind {
            NoteKind::CountedBy(_) | NoteKind::SizedBy(_) | NoteKind::CountedByOrNull(_) => {
                (class.is_data_pointer(), "a pointer to data")
            }
            NoteKind::Single => (
                class.is_data_pointer() && class != Class::VoidPointer,
                "a pointer to data whose type is known",
            ),
            NoteKind::NullTerminated => {
                let elements = ty.pointee().map(|p| &p.kind);
                let ends = matches!(elements, Some(TypeKind::Integer(_) | TypeKind::Pointer(_)));
                (ends, "a pointer to characters, integers or pointers")
            }
            NoteKind::TerminatedBy(_) => {
                let structs = ty.pointee().is_some_and(|p| self.class(p) == Class::Aggregate);
                (structs, "a pointer to structs")
            }
            NoteKind::Nullable | NoteKind::Nonnull => (class.is_pointer(), "a pointer"),
            NoteKind::In | NoteKind::Out | NoteKind::Inout => {
                let boxed = class == Class::Handle
                    && matches!(ty.pointee().map(|p| &p.kind),
                        Some(TypeKind::Record(r)) if self.names.body(r).is_some());
                let field = place == Place::Field && outermost;
                (class.is_data_pointer() || boxed || field, "a pointer to data")
            }
            NoteKind::Range(..) => {
                let integer = class == Class::Integer;
                (
                    integer && !(place == Place::Result && outermost),
                    "an integer that the guest gives",
                )
            }
            NoteKind::Value(_) => (
                class == Class::Integer && place == Place::Param && outermost,
                "an integer parameter",
            ),
            NoteKind::Consumes | NoteKind::ConsumesIf(_) | NoteKind::Retains => {
                (self.is_resource(ty) && given && outermost, "a handle parameter")
            }
            NoteKind::Invalidates => {
                (class == Class::Handle && given && outermost, "a handle parameter")
            }
            NoteKind::Exclusive => {
                let opaque = class == Class::Opaque && place == Place::Typedef;
                (opaque || class == Class::Handle && given, "a handle parameter or an opaque type")
            }
            NoteKind::Borrowed => {
                let field = place == Place::Field && class == Class::Handle;
                (
                    (class == Class::Handle || self.is_descriptor(ty))
                        && (returned && outermost || cell)
                        || field,
                    "a handle that is returned",
                )
            }
            NoteKind::LifetimeBound(_) => {
                let pointer =
                    class.is_pointer() && class != Class::Callback || self.is_descriptor(ty);
                let lent = returned && outermost || cell || place == Place::CallbackParam;
                (pointer && lent, "a pointer that is returned, or given to a callback")
            }
            NoteKind::CapturedBy(_) => {
                let field = place == Place::Field && class == Class::Callback;
                (
                    class.is_pointer() && given && outermost || field,
                    "a pointer parameter, or a function in a struct",
                )
            }
            NoteKind::FreedBy(_) => (
                class.is_data_pointer() && (returned && outermost || cell),
                "a pointer to data that is returned",
            ),
            // What a typedef of integers says stands on every type that it is used for.
            NoteKind::Drop(_) => (
                class == Class::Opaque && place == Place::Typedef && outermost
                    || self.is_descriptor(ty),
                "the typedef of an opaque struct, or of a `__handle`",
            ),
            NoteKind::Boxed => (
                matches!(class, Class::Aggregate | Class::Opaque)
                    && place == Place::Typedef
                    && outermost,
                "the typedef of a struct",
            ),
            NoteKind::Private | NoteKind::HostOnly => {
                (place == Place::Field && outermost, "a field")
            }
            NoteKind::Remember(..) => (class == Class::Handle, "a handle"),
            NoteKind::Handle => (class == Class::Integer, "an integer"),
            NoteKind::Cookie | NoteKind::Closure(_) => (class == Class::VoidPointer, "a `void *`"),
            NoteKind::OnTrap(_) => (class == Class::Callback, "a pointer to a function"),
            NoteKind::Leaf
            | NoteKind::Errno
            | NoteKind::Fuel(_)
            | NoteKind::Requires(_)
            | NoteKind::Format(..)
            | NoteKind::Const
            | NoteKind::Pure => (false, "a whole function"),
        };
        if fits { Ok(()) } else { Err(describes) }
    }

    /// Tells that an annotation stands where it means nothing, and where it would.
    fn misplaced(&mut self, note: &Note, describes: &str, ty: &'a Type, site: &Site<'a>) {
        let handle = self.class(ty) == Class::Handle;
        let what = match ty.pointee() {
            Some(opaque) if handle => format!("a handle, `{}` has no body", bare(opaque)),
            _ => format!("`{}`", bare(ty)),
        };
        let subject = match (site.name, site.level) {
            (Some(name), 0) => format!("`{name}` is {what}"),
            _ => format!("this is {what}"),
        };
        let error = Diagnostic::new(note.span, format!("`{}` describes {describes}", note.kind))
            .label(subject);
        let name = site.name.map_or("", |name| &*name.name);
        let moved = |outer: bool| {
            // The same declaration with the annotation one `*` further out or in.
            let whole = if outer { site.outer? } else { ty };
            let mut whole = whole.clone();
            let TypeKind::Pointer(inner) = &mut whole.kind else { return None };
            if outer {
                inner.notes.retain(|other| other.kind != note.kind);
                whole.notes.insert(0, note.clone());
                let site = Site { level: site.level.checked_sub(1)?, outer: None, ..*site };
                self.suits(&note.kind, &whole, &site).ok()?;
            } else {
                inner.notes.push(note.clone());
                let site = Site { level: site.level + 1, ..*site };
                self.suits(&note.kind, inner, &site).ok()?;
                whole.notes.retain(|other| other.kind != note.kind);
            }
            Some(whole.declare_as_written(name).to_string())
        };
        let innermost_known = site.level <= 1;
        let better = moved(true)
            .filter(|_| innermost_known)
            .or_else(|| moved(false).filter(|_| site.level == 0));
        self.report(match (better, &note.kind) {
            (Some(better), _) => error
                .help(format!("an annotation follows the `*` that it describes: write `{better}`")),
            (None, NoteKind::Consumes | NoteKind::Borrowed | NoteKind::Invalidates) if !handle => {
                error.help("a handle is a pointer to a struct without a body: retype it to one")
            }
            (
                None,
                NoteKind::CountedBy(_) | NoteKind::CountedByOrNull(_) | NoteKind::SizedBy(_),
            ) if is_tail(ty, site) => error.help(
                "a pointer to this struct is one of it without its tail: leave the annotation \
                 out, and where the tail matters retype the pointer, `void *__sized_by(e)`",
            ),
            (
                None,
                NoteKind::Consumes
                | NoteKind::ConsumesIf(_)
                | NoteKind::Retains
                | NoteKind::Invalidates
                | NoteKind::Exclusive
                | NoteKind::CapturedBy(_),
            ) if site.place == Place::Field => error.help(
                "what a struct holds is only used while the call runs: pass it as a parameter of \
                 its own, a short C function can fill in the struct",
            ),
            (None, _) => error,
        });
    }

    /// Checks what a well-placed annotation says.
    fn note(&mut self, note: &'a Note, ty: &'a Type, site: &Site<'a>) {
        match &note.kind {
            NoteKind::CountedBy(e) | NoteKind::CountedByOrNull(e) => {
                if self.class(ty) == Class::VoidPointer {
                    let count = format!("__sized_by({e})");
                    self.report(
                        Diagnostic::new(note.span, "the elements of a `void *` have no size")
                            .help(format!("count its bytes: `{count}`")),
                    );
                }
                self.count(e, site);
            }
            NoteKind::SizedBy(e) => self.count(e, site),
            NoteKind::TerminatedBy(field) => self.terminator(field, ty),
            NoteKind::Out | NoteKind::Inout => self.writes(note, ty, site),
            NoteKind::Range(low, high) => {
                self.integer(low, site.after);
                if high != low {
                    self.integer(high, site.after);
                }
                if let (Some(a), Some(b)) = (low.constant(), high.constant())
                    && a > b
                {
                    let error = format!("no value is in the range from {a} to {b}");
                    self.report(
                        Diagnostic::new(note.span, error)
                            .help(format!("write `__range({b}, {a})`")),
                    );
                }
            }
            NoteKind::Value(e) => self.value_of(e, site),
            NoteKind::ConsumesIf(e) | NoteKind::Remember(_, e) => self.integer(e, true),
            NoteKind::OnTrap(e) => {
                if expr::mentions_names(e) {
                    self.report(Diagnostic::new(e.span, "`__on_trap` takes a constant"));
                } else {
                    self.integer(e, false);
                }
            }
            NoteKind::LifetimeBound(lender) => {
                if let Lender::Param(name) = lender {
                    self.handle_parameter(name, note, site);
                }
            }
            // Which parameter that is depends on the function that is passed the struct.
            NoteKind::CapturedBy(Captor::Param(_)) if site.place == Place::Field => {}
            NoteKind::CapturedBy(Captor::Param(name)) => self.handle_parameter(name, note, site),
            NoteKind::CapturedBy(Captor::Return) => self.captured_by_result(note),
            NoteKind::FreedBy(_) => {
                if !has_extent(ty, self.class(ty)) {
                    self.report(
                        Diagnostic::new(
                            note.span,
                            "nothing says how much to copy before it is freed",
                        )
                        .help("add `__null_terminated`, `__sized_by(e)` or `__counted_by(e)`"),
                    );
                }
            }
            NoteKind::Closure(callback) => self.closure(callback),
            NoteKind::NullTerminated => {
                if direction(ty) == Direction::Out && site.level == 0 && site.place == Place::Param
                {
                    self.report(
                        Diagnostic::new(note.span, "how far C will write is not known beforehand")
                            .help("count what the guest provides: `__counted_by(n)`"),
                    );
                }
            }
            NoteKind::CapturedBy(Captor::Global)
            | NoteKind::Single
            | NoteKind::Nullable
            | NoteKind::Nonnull
            | NoteKind::In
            | NoteKind::Requires(_)
            | NoteKind::Format(..)
            | NoteKind::Consumes
            | NoteKind::Retains
            | NoteKind::Drop(_)
            | NoteKind::Borrowed
            | NoteKind::Invalidates
            | NoteKind::Boxed
            | NoteKind::Private
            | NoteKind::Exclusive
            | NoteKind::Handle
            | NoteKind::Cookie
            | NoteKind::Leaf
            | NoteKind::Errno
            | NoteKind::Fuel(_)
            | NoteKind::HostOnly
            | NoteKind::Const
            | NoteKind::Pure => {}
        }
    }

    fn count(&mut self, e: &'a Expr, site: &Site<'a>) {
        if let Some(name) = site.name
            && site.level == 0
            && expr::mentions(e, &name.name)
        {
            self.report(
                Diagnostic::new(e.span, format!("the size of `{name}` depends on `{name}` itself"))
                    .help("what a bound is read from must not be inside the bounds"),
            );
            return;
        }
        self.integer(e, site.after);
        if let Some(n) = e.constant()
            && n < 0
        {
            self.report(Diagnostic::new(e.span, format!("a size of {n}")));
        }
    }

    fn terminator(&mut self, field: &Ident, ty: &Type) {
        let Some(TypeKind::Record(record)) = ty.pointee().map(|p| &p.kind) else { return };
        let Some(body) = self.names.body(record) else { return };
        match body.fields.iter().find(|f| f.name.as_ref() == Some(field)) {
            None => {
                let names = body.fields.iter().filter_map(|f| f.name.as_ref()).map(|n| &*n.name);
                self.unknown_name(field, "field", names.collect());
            }
            Some(found) => {
                let class = self.class(&found.ty);
                if class != Class::Integer && !class.is_pointer() {
                    let error = format!("`{field}` is `{}`, which is never just zero", found.ty);
                    self.report(Diagnostic::new(field.span, error));
                }
            }
        }
    }

    fn writes(&mut self, note: &Note, ty: &Type, site: &Site<'_>) {
        let Some(pointee) = ty.pointee() else { return };
        if pointee.quals.is_const {
            let mut fixed = ty.clone();
            if let TypeKind::Pointer(inner) = &mut fixed.kind {
                inner.quals.is_const = false;
            }
            let name = site.name.map_or("", |name| &*name.name);
            self.report(
                Diagnostic::new(
                    note.span,
                    format!("`{}`, but what it points at is `const`", note.kind),
                )
                .related(pointee.span, "this")
                .help(format!(
                    "write `{}`, or leave `{}` out",
                    fixed.declare_as_written(name),
                    note.kind
                )),
            );
        }
    }

    fn value_of(&mut self, e: &'a Expr, site: &Site<'a>) {
        if let Some(name) = site.name
            && expr::mentions(e, &name.name)
        {
            self.report(
                Diagnostic::new(
                    e.span,
                    format!("the value of `{name}` depends on `{name}` itself"),
                )
                .help("what the guest passes is not used at all"),
            );
            return;
        }
        if let Some(Frame::Function(function)) = self.frames.last() {
            let valued =
                function.params.iter().filter(|p| p.ty.has(|k| matches!(k, NoteKind::Value(_))));
            let names = valued.filter_map(|p| p.name.as_ref());
            if let Some(other) = names.into_iter().find(|name| expr::mentions(e, &name.name)) {
                let error = format!("`{other}` has a `__value` of its own");
                self.report(
                    Diagnostic::new(e.span, error).help("write that expression here as well"),
                );
                return;
            }
        }
        self.integer(e, false);
    }

    fn handle_parameter(&mut self, name: &Ident, note: &Note, site: &Site<'_>) {
        let Some(ty) = self.lookup(&name.name) else {
            let all = self.visible().into_iter();
            return self.unknown_name(name, "parameter", all.map(|(n, _)| &*n.name).collect());
        };
        if !self.is_resource(ty) && !super::is_unknown(ty) {
            let error = format!("`{name}` is no handle, so nothing can live as long as it");
            self.report(
                Diagnostic::new(name.span, error)
                    .label(format!("`{}`", bare(ty)))
                    .help("name a pointer to an opaque struct, or `static`"),
            );
        } else if site.level == 0 && site.name == Some(name) {
            self.report(Diagnostic::new(note.span, format!("`{name}` cannot depend on itself")));
        }
    }

    fn captured_by_result(&mut self, note: &Note) {
        let result = self.frames.iter().find_map(|frame| match frame {
            Frame::Function(function) => Some(&function.result),
            Frame::Fields(_) => None,
        });
        if let Some(result) = result
            && self.class(result) != Class::Handle
        {
            self.report(
                Diagnostic::new(note.span, "the result is no handle, so nothing can live as long")
                    .related(result.span, "the result"),
            );
        }
    }

    fn closure(&mut self, callback: &Ident) {
        let Some(ty) = self.lookup(&callback.name) else {
            let all = self.visible().into_iter();
            return self.unknown_name(callback, "parameter", all.map(|(n, _)| &*n.name).collect());
        };
        if self.class(ty) != Class::Callback && !super::is_unknown(ty) {
            self.report(
                Diagnostic::new(callback.span, format!("`{callback}` is no pointer to a function"))
                    .label(format!("`{}`", bare(ty))),
            );
        }
    }
}

/// A type without its own annotations: what it is, not what is said of it.
pub(in super::super) fn bare(ty: &Type) -> String {
    let mut ty = ty.clone();
    ty.notes.clear();
    if let TypeKind::Pointer(inner) = &mut ty.kind {
        inner.notes.clear();
    }
    ty.as_written().to_string()
}

/// Whether it is an array at the end of a struct, of any number of elements.
fn is_tail(ty: &Type, site: &Site<'_>) -> bool {
    site.place == Place::Field && matches!(ty.kind, TypeKind::Array { .. })
}
