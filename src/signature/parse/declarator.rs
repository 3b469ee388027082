//! The second part of a declaration: `*buf`, `(*cb)(void *)`, `argv[]`, parameter lists.
use super::super::builtin::plain;
use super::super::lexer::Tok;
use super::super::{
    Diagnostic, Expr, Function, Ident, MAX_PARAMS, Note, NoteKind, Param, Prototype, Qualifiers,
    Span, Type, TypeKind, Variadic,
};
use super::annotation::Attributes;
use super::names::unknown;
use super::specifiers::{Specifiers, Storage, is_reserved};
use super::{MAX_DEPTH, Parse, Parser, Reported};

/// A declarator, read from the name outwards.
#[derive(Default)]
pub(super) struct Declarator {
    pub(super) name: Option<Ident>,
    /// What the name is first (`array of`), what that is of (`pointer to`), and so on.
    derived: Vec<Derived>,
    /// What stands after the name or after the whole.
    pub(super) trailing: Attributes,
}

enum Derived {
    Pointer { quals: Qualifiers, notes: Vec<Note>, span: Span },
    Array { length: Option<Expr>, quals: Qualifiers, span: Span },
    Function { params: Vec<Param>, variadic: Variadic, span: Span },
}

/// Whether a declarator has a name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    Required,
    Optional,
    Forbidden,
}

impl Declarator {
    pub(super) fn is_function(&self) -> bool {
        matches!(self.derived.first(), Some(Derived::Function { .. }))
    }
}

impl Parser<'_, '_> {
    /// `double cos(double x)`
    pub(super) fn prototype_declaration(&mut self) -> Parse<Prototype> {
        let start = self.span();
        let specifiers = self.specifiers()?;
        if specifiers.storage == Storage::Typedef {
            return self.fail(
                Diagnostic::new(start, "a prototype defines no types")
                    .help("write `typedef` into the interface"),
            );
        }
        let declarator = self.declarator(Naming::Required)?;
        if !declarator.is_function() {
            return self.finish_data(&specifiers, declarator, start);
        }
        self.finish_prototype(&specifiers, declarator, start)
    }

    /// The prototype that a function's declarator makes.
    pub(super) fn finish_prototype(
        &mut self,
        specifiers: &Specifiers,
        declarator: Declarator,
        start: Span,
    ) -> Parse<Prototype> {
        let span = self.since(start);
        let Declarator { name, derived, trailing } = declarator;
        let Some(name) = name else { return Err(Reported) };
        let base = self.vector_of(specifiers.ty.clone(), trailing.vector);
        let TypeKind::Function(function) = self.build(base, derived)?.kind else {
            return Err(Reported);
        };
        let mut function = *function;
        let mut notes = specifiers.function_notes.clone();
        for note in trailing.notes {
            let home = if note.kind.describes_function() {
                &mut notes
            } else {
                &mut function.result.notes
            };
            home.push(note);
        }
        let mut prototype = Prototype { name, function, notes, span, data: None };
        self.resolve_prototype(&mut prototype);
        Ok(prototype)
    }

    /// A type without a name, as in `sizeof`.
    pub(super) fn type_name(&mut self) -> Parse<Type> {
        let specifiers = self.specifiers()?;
        let declarator = self.declarator(Naming::Forbidden)?;
        self.build(specifiers.ty, declarator.derived)
    }

    /// The type that a declarator makes, and what stood after it.
    pub(super) fn declared_type(&mut self, base: Type, declarator: Declarator) -> Parse<Type> {
        let base = self.vector_of(base, declarator.trailing.vector);
        let mut ty = self.build(base, declarator.derived)?;
        ty.notes.extend(declarator.trailing.notes);
        Ok(ty)
    }

    pub(super) fn declarator(&mut self, naming: Naming) -> Parse<Declarator> {
        let mut declarator = Declarator::default();
        self.declarator_into(&mut declarator, naming)?;
        self.trailing_annotations(&mut declarator.trailing);
        Ok(declarator)
    }

    fn declarator_into(&mut self, sink: &mut Declarator, naming: Naming) -> Parse<()> {
        let mut pointers = Vec::new();
        while self.is("*") {
            let span = self.span();
            self.advance();
            let mut quals = Qualifiers::default();
            let mut attributes = Attributes::default();
            loop {
                if self.at_annotation() {
                    self.annotations(&mut attributes);
                } else if self.eat_word("_Atomic") {
                    // No type can start here, so parentheses after it are the declarator's.
                    quals.is_atomic = true;
                } else if !self.qualifier(&mut quals) {
                    break;
                }
            }
            let notes = attributes.notes;
            let span = self.since(span);
            pointers.push(Derived::Pointer { quals, notes, span });
            self.check_depth(sink.derived.len() + pointers.len())?;
        }
        match self.peek() {
            Tok::Ident(word) if naming != Naming::Forbidden && !is_reserved(word) => {
                sink.name = Some(self.ident("a name")?);
            }
            Tok::Punct("(") if naming == Naming::Required || self.at_nested_declarator() => {
                self.advance();
                self.nested(|p| p.declarator_into(sink, naming))?;
                self.expect(")", "to close `(`")?;
            }
            _ if naming == Naming::Required => {
                return self.fail(self.unexpected("the name of the function", ""));
            }
            _ => {}
        }
        if self.at_annotation() {
            self.annotations(&mut sink.trailing);
        }
        loop {
            let span = self.span();
            if self.eat("(") {
                let (params, variadic) = self.nested(Self::parameters)?;
                let span = self.since(span);
                sink.derived.push(Derived::Function { params, variadic, span });
            } else if self.is("[") && self.peek_at(1) != Tok::Punct("[") {
                self.advance();
                let (length, quals) = self.array_length()?;
                let span = self.since(span);
                sink.derived.push(Derived::Array { length, quals, span });
            } else {
                break;
            }
            self.check_depth(sink.derived.len())?;
        }
        sink.derived.extend(pointers.into_iter().rev());
        self.check_depth(sink.derived.len())
    }

    fn check_depth(&mut self, derivations: usize) -> Parse<()> {
        if derivations <= MAX_DEPTH {
            return Ok(());
        }
        let error = Diagnostic::new(
            self.last_span(),
            format!("this is nested too deep: {MAX_DEPTH} levels are the most"),
        );
        self.at = self.tokens.len();
        self.fail(error)
    }

    /// Whether the `(` here opens a declarator and no parameter list.
    fn at_nested_declarator(&self) -> bool {
        match self.peek_at(1) {
            Tok::Punct("*" | "(") => true,
            Tok::Punct("[") => self.peek_at(2) != Tok::Punct("["),
            Tok::Ident(word) => {
                !is_reserved(word)
                    && self.names.typedef(word).is_none()
                    // `int (cb)(int)` has a name here, `int (unknown x)` an unknown type.
                    && self.peek_at(2) == Tok::Punct(")")
            }
            _ => false,
        }
    }

    /// What stands between `[` and `]`, and the `]`.
    fn array_length(&mut self) -> Parse<(Option<Expr>, Qualifiers)> {
        let mut quals = Qualifiers::default();
        while self.eat_word("static") || self.qualifier(&mut quals) {}
        if self.eat("]") {
            return Ok((None, quals));
        }
        if self.is("*") && self.peek_at(1) == Tok::Punct("]") {
            return self.fail(
                Diagnostic::new(self.span(), "`[*]` says nothing about the length")
                    .help("write the number of elements: `[n]`"),
            );
        }
        let length = self.expression()?;
        self.expect("]", "after the length of an array")?;
        Ok((Some(length), quals))
    }

    /// What stands between `(` and `)`, and the `)`.
    fn parameters(&mut self) -> Parse<(Vec<Param>, Variadic)> {
        let mut params = Vec::new();
        let mut variadic = Variadic::No;
        if self.eat(")") {
            return Ok((params, variadic));
        }
        if self.is_word("void") && self.peek_at(1) == Tok::Punct(")") {
            self.advance();
            self.advance();
            return Ok((params, variadic));
        }
        loop {
            let (first, span) = (self.at, self.span());
            if self.eat("...") {
                variadic = Variadic::Untyped(span);
                if self.eat(",") {
                    variadic = Variadic::Typed(self.typed_tail()?);
                }
                self.expect(")", "after `...`")?;
                return Ok((params, variadic));
            }
            let param = self.parameter(span);
            let broken = param.is_err();
            params.push(param.unwrap_or_else(|Reported| {
                self.skip_to(first, &[",", ")", ";"]);
                Param { name: None, ty: unknown(span), span }
            }));
            if params.len() > MAX_PARAMS {
                self.at = self.tokens.len();
                let error = format!("more than {MAX_PARAMS} parameters");
                return self.fail(Diagnostic::new(span, error));
            }
            if self.eat(")") {
                return Ok((params, variadic));
            }
            if !self.eat(",") {
                if broken && self.peek() == Tok::End {
                    return Err(Reported);
                }
                return self.fail(self.unexpected("`,` or `)`", "after a parameter"));
            }
        }
    }

    fn typed_tail(&mut self) -> Parse<Vec<Type>> {
        let mut tail = Vec::new();
        loop {
            let span = self.span();
            tail.push(self.parameter(span)?.ty);
            if tail.len() > MAX_PARAMS {
                let error = format!("more than {MAX_PARAMS} arguments after `...`");
                return self.fail(Diagnostic::new(span, error));
            }
            if !self.eat(",") {
                return Ok(tail);
            }
        }
    }

    fn parameter(&mut self, start: Span) -> Parse<Param> {
        let specifiers = self.specifiers()?;
        if specifiers.storage != Storage::Plain {
            self.report(Diagnostic::new(specifiers.span, "a parameter has no storage class"));
        }
        for note in &specifiers.function_notes {
            self.report(not_of_a_function(note));
        }
        let mut declarator = self.declarator(Naming::Optional)?;
        let (function_notes, notes): (Vec<_>, Vec<_>) =
            std::mem::take(&mut declarator.trailing.notes)
                .into_iter()
                .partition(|note| note.kind.describes_function());
        for note in &function_notes {
            self.report(not_of_a_function(note));
        }
        let name = declarator.name.take();
        let array_quals = match declarator.derived.first() {
            Some(Derived::Array { quals, .. }) => *quals,
            _ => Qualifiers::default(),
        };
        let base = self.vector_of(specifiers.ty, declarator.trailing.vector);
        let ty = self.build(base, declarator.derived)?;
        let mut ty = decay(ty);
        self.qualify(&mut ty, array_quals);
        ty.notes.extend(notes);
        Ok(Param { name, ty, span: self.since(start) })
    }

    /// Applies derivations to a base type, the outermost last.
    fn build(&mut self, base: Type, derived: Vec<Derived>) -> Parse<Type> {
        let mut ty = base;
        for derivation in derived.into_iter().rev() {
            ty = match derivation {
                Derived::Pointer { quals, notes, span } => {
                    let span = ty.span.to(span);
                    let kind = TypeKind::Pointer(Box::new(ty));
                    Type { quals, notes, span, ..plain(kind) }
                }
                Derived::Array { length, span, .. } => {
                    if matches!(ty.kind, TypeKind::Void | TypeKind::Function(_)) {
                        return self.fail(
                            Diagnostic::new(span, "an array of what is no object")
                                .help("a buffer of bytes is `uint8_t buf[n]`"),
                        );
                    }
                    let span = ty.span.to(span);
                    Type { span, ..plain(TypeKind::Array { element: Box::new(ty), length }) }
                }
                Derived::Function { params, variadic, span } => {
                    if matches!(ty.kind, TypeKind::Array { .. } | TypeKind::Function(_)) {
                        return self.fail(Diagnostic::new(
                            span,
                            "a function returns no array and no function, only pointers to them",
                        ));
                    }
                    let span = ty.span.to(span);
                    let function = Function { result: ty, params, variadic };
                    Type { span, ..plain(TypeKind::Function(Box::new(function))) }
                }
            };
        }
        Ok(ty)
    }
}

fn not_of_a_function(note: &Note) -> Diagnostic {
    Diagnostic::new(note.span, "this annotation describes a whole function, not a parameter")
        .help("write it after the parameter list")
}

/// What C makes of an array or a function among parameters.
pub(super) fn decay(ty: Type) -> Type {
    match ty.kind {
        TypeKind::Array { element, length } => {
            let span = ty.span;
            let mut notes = ty.notes;
            if let Some(length) = length {
                let span = length.span;
                notes.insert(0, Note { kind: NoteKind::CountedBy(length), span });
            }
            Type { quals: ty.quals, notes, span, ..plain(TypeKind::Pointer(element)) }
        }
        TypeKind::Function(_) => {
            let span = ty.span;
            Type { span, ..plain(TypeKind::Pointer(Box::new(ty))) }
        }
        _ => ty,
    }
}
