//! Pointers that say too little: nobody could tell what native code may touch.
use super::super::parse::is_unknown;
use super::super::{
    Diagnostic, Expr, ExprKind, Function, Ident, Note, NoteKind, Param, RecordKind, Span, Type,
    TypeKind,
};
use super::class::{Class, Direction, direction, has_extent, is_string};
use super::{Checker, Frame};
use std::sync::Arc;

/// Words in the names of parameters that tell how long another one is.
const LENGTH_WORDS: [&str; 12] =
    ["len", "size", "count", "num", "cnt", "bytes", "nmemb", "nelem", "sz", "avail", "max", "cap"];

impl Checker<'_, '_> {
    /// Looks for pointers without a size among the parameters and the result.
    pub(super) fn sizes(&mut self, function: &Function, callback: bool) {
        for (at, param) in function.params.iter().enumerate() {
            if is_unknown(&param.ty) {
                continue;
            }
            let who = match &param.name {
                Some(name) => format!("`{name}`"),
                None => format!("parameter {}", at + 1),
            };
            if callback {
                self.returned(&param.ty, at, &who, param.name.as_ref());
            } else {
                self.given(&param.ty, at, &who, param.name.as_ref());
            }
        }
        let result = &function.result;
        if is_unknown(result) {
            return;
        }
        if callback {
            self.given(result, usize::MAX, "the result of the callback", None);
        } else {
            self.returned(result, usize::MAX, "the result", None);
        }
    }

    /// A pointer that the guest gives to C.
    fn given(&mut self, ty: &Type, at: usize, who: &str, name: Option<&Ident>) {
        let class = self.class(ty);
        if !class.is_data_pointer() {
            return;
        }
        if !has_extent(ty, class) {
            self.no_size(ty, at, who, name);
        }
        let Some(pointee) = ty.pointee() else { return };
        self.points_at_something(pointee, who, name);
        if class != Class::Indirect {
            return;
        }
        self.said_direction(ty, who, name);
        let inner = format!("the pointer behind {who}");
        match direction(ty) {
            Direction::Out => self.returned(pointee, at, &inner, None),
            Direction::In | Direction::Inout => self.given(pointee, at, &inner, None),
        }
    }

    /// A pointer to a struct without members is most likely meant to be opaque, and "one of it"
    /// would let native code have a pointer to anything.
    fn points_at_something(&mut self, pointee: &Type, who: &str, name: Option<&Ident>) {
        if !self.is_hollow(pointee) {
            return;
        }
        let TypeKind::Record(record) = &pointee.kind else { return };
        let keyword = match record.kind {
            RecordKind::Struct => "struct",
            RecordKind::Union => "union",
        };
        let tag = record.tag.as_ref().map_or("name", |tag| &*tag.name);
        let span = name.map_or(pointee.span, |name| name.span);
        self.report(
            Diagnostic::new(span, format!("{who} points at a type without bytes"))
                .label(format!("nothing in `{}` has a size", super::notes::bare(pointee)))
                .help(format!("for an opaque type leave out the braces: `{keyword} {tag}`")),
        );
    }

    fn no_size(&mut self, ty: &Type, at: usize, who: &str, name: Option<&Ident>) {
        let span = name.map_or(ty.span, |name| name.span);
        let help = self.size_help(ty, at, name);
        self.report(
            Diagnostic::new(span, format!("{who} has no size"))
                .label(format!("`{}`", super::notes::bare(ty)))
                .help(help),
        );
    }

    /// An array of pointers is read as often as it is written: the default for one cell (out)
    /// would be a guess.
    fn said_direction(&mut self, ty: &Type, who: &str, name: Option<&Ident>) {
        let counted = |kind: &NoteKind| {
            matches!(
                kind,
                NoteKind::CountedBy(_) | NoteKind::SizedBy(_) | NoteKind::CountedByOrNull(_)
            )
        };
        let said = |kind: &NoteKind| {
            matches!(kind, NoteKind::In | NoteKind::Out | NoteKind::Inout | NoteKind::Consumes)
        };
        let constant = ty.pointee().is_some_and(|pointee| pointee.quals.is_const);
        if ty.has(counted) && !ty.has(said) && !constant {
            let span = name.map_or(ty.span, |name| name.span);
            self.report(
                Diagnostic::new(span, format!("{who} does not say which way its pointers go"))
                    .label(format!("`{}`", super::notes::bare(ty)))
                    .help("add `_In_`, `_Out_` or `_Inout_`, or make the pointers `const`"),
            );
        }
    }

    /// A pointer that C gives to the guest.
    fn returned(&mut self, ty: &Type, at: usize, who: &str, name: Option<&Ident>) {
        let class = self.class(ty);
        if !class.is_data_pointer() || is_string(ty) {
            return;
        }
        if let Some(pointee) = ty.pointee() {
            self.points_at_something(pointee, who, name);
        }
        let has = |f: fn(&NoteKind) -> bool| ty.has(f);
        if has(|k| matches!(k, NoteKind::Cookie | NoteKind::Closure(_))) {
            return;
        }
        let lender = ty
            .notes
            .iter()
            .find(|note| matches!(note.kind, NoteKind::LifetimeBound(_) | NoteKind::FreedBy(_)));
        let span = name.map_or(ty.span, |name| name.span);
        match lender {
            // `__freed_by` has told that already.
            Some(Note { kind: NoteKind::FreedBy(_), .. }) => {}
            Some(note) if !has_extent(ty, class) => self.report(
                Diagnostic::new(span, format!("{who} has no size"))
                    .label(format!("`{}`", super::notes::bare(ty)))
                    .related(note.span, "so nothing says how much is lent")
                    .help("add `__null_terminated`, `__sized_by(e)` or `__counted_by(e)`"),
            ),
            Some(_) => {}
            // In a callback the loan ends with the callback.
            None if self.frames.len() > 1 && has_extent(ty, class) => {}
            None if self.has_origin(at) => {}
            None if self.frames.len() > 1 => self.no_size(ty, at, who, name),
            None => {
                let bound = "__lifetimebound(h)` (`h` a handle parameter that lends it) or \
                             `__lifetimebound(static)` (the library keeps it for ever)";
                let extent = match class {
                    Class::Characters => ", and how far it reaches, as `__null_terminated`",
                    Class::VoidPointer => ", and how far it reaches, as `__sized_by(e)`",
                    _ => "",
                };
                self.report(
                    Diagnostic::new(span, format!("nobody is said to own what {who} points at"))
                        .label("it cannot point into a parameter, no other pointer goes in")
                        .help(format!("say who owns it: `__freed_by(fn)`, `{bound}{extent}")),
                );
            }
        }
    }

    /// Whether a pointer that comes back can point into guest memory: some other parameter does.
    fn has_origin(&self, at: usize) -> bool {
        let callback = self.frames.len() > 1;
        self.frames.iter().enumerate().any(|(depth, frame)| match frame {
            Frame::Function(function) => {
                // What a callback gets can come from any argument of the function around it, but
                // not from its own.
                let own = depth + 1 == self.frames.len();
                !(callback && own)
                    && function.params.iter().enumerate().any(|(other, param)| {
                        (!own || other != at)
                            && self.class(&param.ty).is_data_pointer()
                            && !param
                                .ty
                                .has(|k| matches!(k, NoteKind::Cookie | NoteKind::Closure(_)))
                            && !self.only_leads_out(&param.ty)
                    })
            }
            Frame::Fields(_) => false,
        })
    }

    /// `T **`, whose inner pointers come out: the cell itself is hardly what they point at.
    fn only_leads_out(&self, ty: &Type) -> bool {
        self.class(ty) == Class::Indirect && direction(ty) == Direction::Out
    }

    /// The declaration with a size.
    fn size_help(&self, ty: &Type, at: usize, name: Option<&Ident>) -> String {
        let label = name.map_or("", |name| &*name.name);
        let void = self.class(ty) == Class::VoidPointer;
        let with = |count: ExprKind| {
            let count = Expr { kind: count, span: Span::default() };
            let kind = if void { NoteKind::SizedBy(count) } else { NoteKind::CountedBy(count) };
            let mut ty = ty.clone();
            ty.notes.insert(0, Note { kind, span: Span::default() });
            ty.declare_as_written(label).to_string()
        };
        if let Some((length, pointer)) = self.length_of(at, label) {
            let name = ExprKind::Name(length.clone());
            let count = if pointer {
                ExprKind::Deref(Box::new(Expr { kind: name, span: Span::default() }))
            } else {
                name
            };
            return format!("write `{}`", with(count));
        }
        let n = Ident { name: Arc::from("n"), span: Span::default() };
        let what = if void { "bytes" } else { "elements" };
        let mut help = format!(
            "write `{}`, where `n` is the number of {what}: a parameter, a constant, any \
             expression of them",
            with(ExprKind::Name(n))
        );
        let pointee = ty.pointee().map(|p| &p.kind);
        if matches!(pointee, Some(TypeKind::Integer(super::super::Integer::Char))) {
            help.push_str("; or `__null_terminated` if it ends with a zero");
        } else if !void {
            help.push_str("; or `__single` if it is just one");
        }
        help
    }

    /// The parameter that probably tells the length of parameter `at`, and whether it is behind a
    /// pointer.
    fn length_of(&self, at: usize, buffer: &str) -> Option<(&Ident, bool)> {
        let Some(Frame::Function(function)) = self.frames.last() else { return None };
        let buffer = buffer.to_ascii_lowercase();
        let candidates = function.params.iter().enumerate().filter_map(|(other, param)| {
            let Param { name: Some(name), ty, .. } = param else { return None };
            if other == at {
                return None;
            }
            let pointer = match self.class(ty) {
                Class::Integer => false,
                Class::Object if ty.pointee().is_some_and(|p| self.class(p) == Class::Integer) => {
                    true
                }
                _ => return None,
            };
            let word = name.name.to_ascii_lowercase();
            let length_like = matches!(&*word, "n" | "l" | "nn" | "nb")
                || LENGTH_WORDS.iter().any(|length| word.contains(length));
            if !length_like {
                return None;
            }
            let about_it = !buffer.is_empty() && word.contains(&buffer);
            let distance = if other > at { other - at } else { 2 * (at - other) };
            Some(((!about_it, pointer, distance), name, pointer))
        });
        candidates.min_by_key(|(rank, ..)| *rank).map(|(_, name, pointer)| (name, pointer))
    }
}
