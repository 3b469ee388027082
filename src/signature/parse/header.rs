//! Whole interfaces: annotated C headers.
use super::super::lexer::{Lexer, Tok, Token};
use super::super::preprocess::{Preprocessed, preprocess};
use super::super::{
    Diagnostic, Diagnostics, Ident, Interface, Library, Note, NoteKind, Prototype, Record, Scope,
    Span, Type, TypeKind, builtin, check,
};
use super::declarator::{Declarator, Naming};
use super::specifiers::{Specifiers, Storage};
use super::{MAX_INTERFACE, Parse, Parser, Reported, finish, names::is_unknown, too_long};
use std::sync::Arc;

/// Reads an interface: an annotated C header that names libraries and what they grant.
///
/// `name` is what messages call it.
///
/// ```
/// let interface = portcullis::signature::parse_interface(
///     "trig.h",
///     r#"
///     #pragma portcullis library "libm.so.6" module "libm"
///     double cos(double x);
///     "#,
/// )?;
/// assert_eq!(interface.libraries[0].module.as_deref(), Some("libm"));
/// assert_eq!(interface.find("cos").count(), 1);
/// # Ok::<(), portcullis::signature::Diagnostics>(())
/// ```
///
/// # Errors
/// Every mistake that it has, also those that only show when its prototypes are seen together.
pub fn parse_interface(name: &str, text: &str) -> Result<Interface, Diagnostics> {
    if text.len() > MAX_INTERFACE {
        return Err(too_long(name, text, MAX_INTERFACE));
    }
    let nothing = Scope::default();
    let Preprocessed { tokens, macros, errors } = preprocess(text, &|tokens, span| {
        // An `#if` with nothing behind it points at its line.
        let mut parser =
            Parser::new(tokens, usize::try_from(span.end).unwrap_or(0), &nothing, vec![]);
        let value = parser.whole_constant("the condition");
        value.map(|value| value != 0).map_err(|Reported| parser.errors)
    });
    let mut parser = Parser::new(tokens, text.len(), &nothing, errors);
    let mut contents = Contents { lost: !parser.errors.is_empty(), ..Contents::default() };
    while parser.peek() != Tok::End {
        let before = parser.at;
        if parser.external(&mut contents).is_err() {
            contents.lost = true;
            parser.skip_declaration(before);
        }
        // Every round has to read something, or a mistake would be told for ever.
        if parser.at == before {
            parser.advance();
        }
    }
    for (_, prototype) in &mut contents.prototypes {
        parser.complete_prototype(prototype);
    }
    let Parser { mut errors, mut names, .. } = parser;
    for (name, body) in macros {
        let mut parser = Parser::new(body, 0, &names.own, Vec::new());
        if let Ok(value) = parser.whole_constant("")
            && !names.own.constants.contains_key(name)
        {
            names.own.constants.insert(Arc::from(name), value);
        }
    }
    let leaf = check::interface(&contents.prototypes, &names, contents.lost, &mut errors);
    if !errors.is_empty() {
        return Err(finish(name, text, errors));
    }
    Ok(Interface {
        name: Arc::from(name),
        text: Arc::from(text),
        libraries: contents.libraries,
        grants: check::grants(contents.prototypes, leaf),
        scope: names.own,
    })
}

/// What was read so far.
#[derive(Default)]
struct Contents {
    libraries: Vec<Library>,
    /// The library that the next prototypes belong to.
    library: Option<usize>,
    prototypes: Vec<(usize, Prototype)>,
    /// How many `extern "C" {` are open.
    open: usize,
    /// Whether a declaration could not be read, so that names may be missing.
    lost: bool,
}

impl Parser<'_, '_> {
    /// A constant expression and nothing else.
    fn whole_constant(&mut self, what: &str) -> Parse<i128> {
        let value = self.constant_expression(what)?;
        match self.peek() {
            Tok::End => Ok(value),
            _ => self.fail(self.unexpected("an operator", "after an expression")),
        }
    }

    /// One thing at the outermost level of a header.
    fn external(&mut self, contents: &mut Contents) -> Parse<()> {
        let start = self.span();
        match (self.peek(), self.peek_at(1)) {
            (Tok::Punct(";"), _) => {
                self.advance();
                Ok(())
            }
            (Tok::Directive(line), _) => {
                self.advance();
                self.pragma(line, start, contents)
            }
            (Tok::Ident("extern"), Tok::Str("C" | "C++")) => {
                self.advance();
                self.advance();
                if self.eat("{") {
                    contents.open += 1;
                }
                Ok(())
            }
            (Tok::Punct("}"), _) if contents.open > 0 => {
                self.advance();
                contents.open -= 1;
                Ok(())
            }
            (Tok::Ident("PORTCULLIS_END"), _) => {
                self.advance();
                Ok(())
            }
            (Tok::Ident("PORTCULLIS_MODULE"), _) => {
                self.advance();
                self.expect("(", "after `PORTCULLIS_MODULE`")?;
                if let Tok::Str(_) = self.peek() {
                    self.advance();
                }
                self.expect(")", "after the name of the module")
            }
            (Tok::Ident("_Static_assert" | "static_assert"), _) => {
                self.advance();
                let open = self.at;
                self.expect("(", "")?;
                self.skip_to(open, &[")"]);
                self.expect(")", "")?;
                self.expect(";", "after an assertion")
            }
            _ => self.declaration(contents),
        }
    }

    fn declaration(&mut self, contents: &mut Contents) -> Parse<()> {
        let start = self.span();
        let mut specifiers = self.specifiers()?;
        if self.eat(";") {
            let notes = std::mem::take(&mut specifiers.ty.notes);
            if !specifiers.tagged {
                let error = Diagnostic::new(specifiers.span, "this declares nothing");
                return self.fail(error.label("no name follows"));
            }
            return self.record_notes(&mut specifiers.ty, notes);
        }
        loop {
            let declarator = self.declarator(Naming::Required)?;
            if specifiers.storage == Storage::Typedef {
                self.typedef(&specifiers, declarator)?;
            } else {
                self.grant(&specifiers, declarator, start, contents)?;
            }
            if self.eat(";") {
                return Ok(());
            }
            if self.is("{") {
                return self.fail(
                    Diagnostic::new(self.span(), "an interface has no function bodies")
                        .help("hide it from Portcullis with `#ifndef __PORTCULLIS__`"),
                );
            }
            self.expect(",", "or `;` after a declaration")?;
        }
    }

    fn grant(
        &mut self,
        specifiers: &Specifiers,
        declarator: Declarator,
        start: Span,
        contents: &mut Contents,
    ) -> Parse<()> {
        let prototype = if declarator.is_function() {
            self.finish_prototype(specifiers, declarator, start)?
        } else {
            self.finish_data(specifiers, declarator, start)?
        };
        let Some(library) = contents.library else {
            return self.fail(
                Diagnostic::new(
                    prototype.name.span,
                    format!("nothing says which library has `{}`", prototype.name),
                )
                .help(
                    "write `#pragma portcullis library \"libname.so.1\" module \"name\"` before it",
                ),
            );
        };
        contents.prototypes.push((library, prototype));
        Ok(())
    }

    fn typedef(&mut self, specifiers: &Specifiers, mut declarator: Declarator) -> Parse<()> {
        let Some(name) = declarator.name.take() else { return Err(Reported) };
        for note in specifiers.function_notes.iter().chain(&declarator.trailing.notes) {
            if note.kind.describes_function() {
                let error = format!("`{}` describes a function, not a type", note.kind);
                self.report(Diagnostic::new(note.span, error));
            }
        }
        declarator.trailing.notes.retain(|note| !note.kind.describes_function());
        for attributes in [&specifiers.attributes, &declarator.trailing] {
            if let Some(span) = attributes.align.map(|(_, span)| span).or(attributes.packed) {
                self.report(
                    Diagnostic::new(span, "the layout of a typedef is that of its type")
                        .label("this would be lost")
                        .help("write it between `}` and the name, or after `struct`"),
                );
            }
        }
        let mut ty = self.declared_type(specifiers.ty.clone(), declarator)?;
        self.resolve_type(&mut ty);
        self.spend(&ty, name.span)?;
        if let TypeKind::Record(_) = ty.kind {
            let notes = std::mem::take(&mut ty.notes);
            self.record_notes(&mut ty, notes)?;
        } else {
            check::typedef(&ty, &self.names, &mut self.errors);
        }
        let known = self.names.own.typedefs.get(&name.name).cloned();
        let from_c = known.is_none();
        let known = known.or_else(|| builtin::typedef(&name.name));
        if let Some(known) = known
            && known != ty
            && !is_unknown(&ty)
        {
            let error = Diagnostic::new(name.span, format!("`{name}` is defined twice"))
                .label(format!("now as `{}`", ty.as_written()));
            self.report(if from_c {
                error.help(format!("the standard headers have it as `{known}`"))
            } else {
                error.related(known.span, format!("first as `{}`", known.as_written()))
            });
        }
        self.names.own.typedefs.insert(name.name, ty);
        Ok(())
    }

    /// Keeps what is said of an opaque or boxed record with its tag.
    fn record_notes(&mut self, ty: &mut Type, notes: Vec<Note>) -> Parse<()> {
        if notes.is_empty() {
            return Ok(());
        }
        let TypeKind::Record(Record { kind, tag, .. }) = &ty.kind else {
            return self.fail(Diagnostic::new(
                notes[0].span,
                format!("`{}` describes no `{ty}`", notes[0].kind),
            ));
        };
        let Some(tag) = tag else {
            return self.fail(
                Diagnostic::new(notes[0].span, "this record has no tag to remember it by")
                    .help(format!("write `{kind} name {{ ... }}`")),
            );
        };
        let key = (*kind, Arc::clone(&tag.name));
        let known = self.names.own.record_notes.entry(key).or_default();
        for note in &notes {
            if !known.contains(note) {
                known.push(note.clone());
            }
        }
        let drops: Vec<Ident> = known
            .iter()
            .filter_map(|note| match &note.kind {
                NoteKind::Drop(function) => Some(function.clone()),
                _ => None,
            })
            .collect();
        if let [first, second, ..] = &drops[..] {
            self.report(
                Diagnostic::new(second.span, format!("`{kind} {tag}` is destroyed in two ways"))
                    .related(first.span, "the first"),
            );
        }
        // With the notes on it, for the rules about what they can describe.
        ty.notes = notes;
        check::typedef(ty, &self.names, &mut self.errors);
        ty.notes.clear();
        Ok(())
    }

    /// Goes behind a declaration that could not be read.
    fn skip_declaration(&mut self, first: usize) {
        self.skip_to(first, &[";", "{"]);
        if self.eat("{") {
            self.skip_to(first, &["}"]);
            self.eat("}");
        }
        self.eat(";");
    }

    fn complete_prototype(&mut self, prototype: &mut Prototype) {
        let function = &mut prototype.function;
        self.complete(&mut function.result);
        for param in &mut function.params {
            self.complete(&mut param.ty);
        }
        if let super::super::Variadic::Typed(tail) = &mut function.variadic {
            tail.iter_mut().for_each(|ty| self.complete(ty));
        }
    }

    /// `#pragma portcullis library "libz.so.1" module "zlib" also "libc.so.6" memory "m"`
    fn pragma(&mut self, line: &str, span: Span, contents: &mut Contents) -> Parse<()> {
        let mut lexer = Lexer::inside_directive(&line[1..], span.start + 1);
        let mut next = || lexer.next();
        next();
        next();
        let first = next();
        if first.tok != Tok::Ident("library") {
            let at = if first.tok == Tok::End { span } else { first.span };
            return self.fail(
                Diagnostic::new(at, "`#pragma portcullis` names a library")
                    .help("write `#pragma portcullis library \"libname.so.1\" module \"name\"`"),
            );
        }
        let file = next();
        let mut library = Library {
            file: self.library_name(file, span)?,
            module: None,
            also: Vec::new(),
            memory: None,
            guard: None,
            span,
        };
        loop {
            let word = next();
            if word.tok == Tok::End {
                break;
            }
            let value = next();
            let twice = match word.tok {
                Tok::Ident("module") => library.module.replace(self.string(value, span)?).is_some(),
                Tok::Ident("memory") => library.memory.replace(self.string(value, span)?).is_some(),
                Tok::Ident("guard") => library.guard.replace(self.string(value, span)?).is_some(),
                Tok::Ident("also") => {
                    library.also.push(self.library_name(value, span)?);
                    false
                }
                _ => {
                    return self.fail(
                        Diagnostic::new(word.span, "this says nothing about a library").help(
                            "`module`, `also`, `memory` and `guard` can follow, each with a string",
                        ),
                    );
                }
            };
            if twice {
                return self.fail(Diagnostic::new(word.span, "this was said already"));
            }
        }
        let clash = contents.libraries.iter().find(|known| {
            known.module.is_some() && known.module == library.module && known.file != library.file
        });
        if let Some(known) = clash {
            let module = library.module.as_deref().unwrap_or_default();
            return self.fail(
                Diagnostic::new(span, format!("two libraries are called `{module}`"))
                    .related(known.span, "the other"),
            );
        }
        // A header may go back and forth between its libraries.
        let known = contents
            .libraries
            .iter()
            .position(|known| Library { span, ..known.clone() } == library);
        contents.library = Some(known.unwrap_or_else(|| {
            contents.libraries.push(library);
            contents.libraries.len() - 1
        }));
        Ok(())
    }

    fn string(&mut self, token: Token<'_>, line: Span) -> Parse<Arc<str>> {
        let at = if token.tok == Tok::End { line } else { token.span };
        let Tok::Str(text) = token.tok else {
            return self.fail(Diagnostic::new(at, "a string has to follow here"));
        };
        if text.is_empty() || text.len() > 4096 || text.contains(['\\', '\0']) {
            return self.fail(Diagnostic::new(at, "this is no name").help("write it plainly"));
        }
        Ok(Arc::from(text))
    }

    fn library_name(&mut self, token: Token<'_>, line: Span) -> Parse<Arc<str>> {
        let name = self.string(token, line)?;
        if name.contains('/') && !name.starts_with('/') {
            return self.fail(
                Diagnostic::new(token.span, "a relative path means another file everywhere")
                    .help("write the library's name (`libz.so.1`), or an absolute path"),
            );
        }
        Ok(name)
    }
}
