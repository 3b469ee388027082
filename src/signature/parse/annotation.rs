//! Annotations, under the names of this language and under those of GCC's and Clang's attributes.
use super::super::diagnostic::did_you_mean;
use super::super::lexer::Tok;
use super::super::{Captor, Diagnostic, Expr, ExprKind, Lender, Note, NoteKind, Span};
use super::{Parse, Parser};

/// Every annotation that is written as a bare word or as a word with parentheses.
pub(in super::super) const NAMES: [&str; 44] = [
    "__counted_by",
    "__sized_by",
    "__counted_by_or_null",
    "__single",
    "__null_terminated",
    "__terminated_by",
    "_Nullable",
    "_Nonnull",
    "_Null_unspecified",
    "_In_",
    "_Out_",
    "_Inout_",
    "__range",
    "__requires",
    "__value",
    "__format",
    "__consumes",
    "__consumes_if",
    "__retains",
    "__drop",
    "__borrowed",
    "__lifetimebound",
    "__invalidates",
    "__captured_by",
    "__escapes",
    "__freed_by",
    "__boxed",
    "__private",
    "__remember",
    "__exclusive",
    "__handle",
    "__cookie",
    "__closure",
    "__on_trap",
    "__leaf",
    "__errno",
    "__fuel",
    "__host_only",
    "__attribute__",
    "__attribute",
    // Harmless words of real headers.
    "__nonnull",
    "__wur",
    "__THROW",
    "__extension__",
];

/// Attributes that say nothing about how a function may be called.
const HARMLESS: [&str; 27] = [
    "access",
    "alloc_align",
    "alloc_size",
    "always_inline",
    "cold",
    "const_ptr",
    "deprecated",
    "export_name",
    "fallthrough",
    "gnu_inline",
    "hot",
    "import_module",
    "import_name",
    "leaf",
    "malloc",
    "maybe_unused",
    "may_alias",
    "nodiscard",
    "nonnull",
    "noreturn",
    "nothrow",
    "returns_nonnull",
    "sentinel",
    "unused",
    "used",
    "visibility",
    "warn_unused_result",
];

/// The attributes that mean something here.
const MEANINGFUL: [&str; 10] = [
    "aligned",
    "const",
    "counted_by",
    "fd_arg",
    "format",
    "lifetimebound",
    "packed",
    "pure",
    "sized_by",
    "vector_size",
];

/// What stands in one place where annotations may stand.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    pub(super) notes: Vec<Note>,
    /// `packed`
    pub(super) packed: Option<Span>,
    /// The largest `aligned(n)` or `_Alignas(n)`.
    pub(super) align: Option<(u32, Span)>,
    /// `vector_size(n)`
    pub(super) vector: Option<(u32, Span)>,
}

impl Attributes {
    pub(super) fn raise_align(&mut self, align: u32, span: Span) {
        if self.align.is_none_or(|(known, _)| known < align) {
            self.align = Some((align, span));
        }
    }
}

impl Parser<'_, '_> {
    /// Whether an annotation stands here.
    pub(super) fn at_annotation(&self) -> bool {
        match self.peek() {
            Tok::Ident(word) => NAMES.contains(&word) || self.at_misspelt_annotation(word),
            Tok::Punct("[") => self.peek_at(1) == Tok::Punct("["),
            _ => false,
        }
    }

    /// Whether the next word looks like an annotation and stands where only one can: a name or a
    /// `*` follows it and its parentheses. (`int __finite(double)` declares a function.)
    fn at_misspelt_annotation(&self, word: &str) -> bool {
        if !word.starts_with('_')
            || super::specifiers::is_keyword(word)
            || self.names.typedef(word).is_some()
            || did_you_mean(word, NAMES).is_none()
        {
            return false;
        }
        let mut ahead = 1;
        if self.peek_at(1) == Tok::Punct("(") {
            let mut open = 0;
            loop {
                match self.peek_at(ahead) {
                    Tok::Punct("(") => open += 1,
                    Tok::Punct(")") => open -= 1,
                    Tok::End => return false,
                    _ => {}
                }
                ahead += 1;
                // The longest annotation is short.
                if open == 0 || ahead > 64 {
                    break;
                }
            }
        }
        match self.peek_at(ahead) {
            Tok::Ident(next) => !NAMES.contains(&next),
            Tok::Punct("*") => true,
            _ => false,
        }
    }

    /// Reads all annotations that stand here. Mistakes are told and skipped.
    pub(super) fn annotations(&mut self, sink: &mut Attributes) {
        self.annotations_while(sink, Self::at_annotation);
    }

    /// Reads the annotations after a declarator, where no other word can stand.
    pub(super) fn trailing_annotations(&mut self, sink: &mut Attributes) {
        self.annotations_while(sink, |p| {
            p.at_annotation() || matches!(p.peek(), Tok::Ident(word) if word.starts_with('_'))
        });
    }

    fn annotations_while(&mut self, sink: &mut Attributes, at: impl Fn(&Self) -> bool) {
        while at(self) {
            let before = self.at;
            if self.annotation(sink).is_err() {
                // Skip the rest of its parentheses.
                self.skip_arguments(before);
            }
        }
    }

    /// Goes behind the annotation that starts at token `start`.
    fn skip_arguments(&mut self, start: usize) {
        if self.at == self.tokens.len() {
            return;
        }
        let attribute = self.tokens[start].tok == Tok::Punct("[");
        self.at = start + 1;
        if attribute {
            self.skip_to(start + 1, &["]"]);
            self.eat("]");
            self.eat("]");
        } else if self.eat("(") {
            self.skip_to(start + 1, &[")"]);
            self.eat(")");
        }
    }

    fn annotation(&mut self, sink: &mut Attributes) -> Parse<()> {
        let start = self.span();
        let word = match self.peek() {
            Tok::Ident(word) => word,
            _ => return self.bracketed(sink),
        };
        self.advance();
        let kind = match word {
            "__attribute__" | "__attribute" => return self.gnu_attributes(sink),
            "_Null_unspecified" | "__wur" | "__THROW" | "__extension__" => return Ok(()),
            "__nonnull" => return self.skip_parenthesized(),
            "__counted_by" => NoteKind::CountedBy(self.expression_in_parentheses(word)?),
            "__sized_by" => NoteKind::SizedBy(self.expression_in_parentheses(word)?),
            "__counted_by_or_null" => {
                NoteKind::CountedByOrNull(self.expression_in_parentheses(word)?)
            }
            "__single" => NoteKind::Single,
            "__null_terminated" => NoteKind::NullTerminated,
            "__terminated_by" => {
                self.expect("(", "after `__terminated_by`")?;
                self.expect(".", "before the name of the field that ends the array")?;
                let field = self.ident("the name of a field")?;
                self.expect(")", "after the field")?;
                NoteKind::TerminatedBy(field)
            }
            "_Nullable" => NoteKind::Nullable,
            "_Nonnull" => NoteKind::Nonnull,
            "_In_" => NoteKind::In,
            "_Out_" => NoteKind::Out,
            "_Inout_" => NoteKind::Inout,
            "__range" => self.range()?,
            "__requires" => NoteKind::Requires(self.expression_in_parentheses(word)?),
            "__value" => NoteKind::Value(self.expression_in_parentheses(word)?),
            "__format" => self.format(word)?,
            "__consumes" => NoteKind::Consumes,
            "__consumes_if" => NoteKind::ConsumesIf(self.expression_in_parentheses(word)?),
            "__retains" => NoteKind::Retains,
            "__drop" => NoteKind::Drop(self.name_in_parentheses(word)?),
            "__borrowed" => NoteKind::Borrowed,
            "__lifetimebound" => self.lifetime_bound()?,
            "__invalidates" => NoteKind::Invalidates,
            "__captured_by" => self.captured_by()?,
            "__escapes" => NoteKind::CapturedBy(Captor::Global),
            "__freed_by" => NoteKind::FreedBy(self.name_in_parentheses(word)?),
            "__boxed" => NoteKind::Boxed,
            "__private" => NoteKind::Private,
            "__remember" => {
                self.expect("(", "after `__remember`")?;
                let name = self.ident("the name of what is remembered")?;
                self.expect("=", "between the name and the value")?;
                let value = self.expression()?;
                self.expect(")", "after the value")?;
                NoteKind::Remember(name, value)
            }
            "__exclusive" => NoteKind::Exclusive,
            "__handle" => NoteKind::Handle,
            "__cookie" => NoteKind::Cookie,
            "__closure" => NoteKind::Closure(self.name_in_parentheses(word)?),
            "__on_trap" => NoteKind::OnTrap(self.expression_in_parentheses(word)?),
            "__leaf" => NoteKind::Leaf,
            "__errno" => NoteKind::Errno,
            "__fuel" => self.fuel()?,
            "__host_only" => NoteKind::HostOnly,
            _ => {
                let error = Diagnostic::new(start, format!("there is no annotation `{word}`"));
                let similar = did_you_mean(word, NAMES);
                return self.fail(match similar {
                    Some(similar) => error.help(format!("did you mean `{similar}`?")),
                    None => error,
                });
            }
        };
        sink.notes.push(Note { kind, span: self.since(start) });
        Ok(())
    }

    fn name_in_parentheses(&mut self, of: &str) -> Parse<super::super::Ident> {
        self.expect("(", &format!("after `{of}`"))?;
        let name = self.ident("a name")?;
        self.expect(")", &format!("after the name in `{of}`"))?;
        Ok(name)
    }

    fn skip_parenthesized(&mut self) -> Parse<()> {
        let open = self.at;
        if self.eat("(") {
            self.skip_to(open, &[")"]);
            self.expect(")", "after the arguments of an attribute")?;
        }
        Ok(())
    }

    fn range(&mut self) -> Parse<NoteKind> {
        self.expect("(", "after `__range`")?;
        let low = self.expression()?;
        let high = if self.eat(",") { self.expression()? } else { low.clone() };
        self.expect(")", "after the bounds of `__range`")?;
        Ok(NoteKind::Range(low, high))
    }

    /// `(1000)`
    fn fuel(&mut self) -> Parse<NoteKind> {
        self.expect("(", "after `__fuel`")?;
        let span = self.span();
        let value = self.constant_expression("how much fuel a call costs")?;
        self.expect(")", "after the amount")?;
        u64::try_from(value).map(NoteKind::Fuel).or_else(|_| {
            self.fail(Diagnostic::new(span, "fuel is counted from 0 to 18446744073709551615"))
        })
    }

    /// `(printf, 2, 3)`
    fn format(&mut self, of: &str) -> Parse<NoteKind> {
        self.expect("(", &format!("after `{of}`"))?;
        let language = self.ident("`printf`")?;
        if !matches!(&*language.name, "printf" | "__printf__" | "gnu_printf") {
            let error = format!("there is no format language `{}`", language.name);
            return self.fail(
                Diagnostic::new(language.span, error).help(
                    "only `printf` is known; functions with a dialect of their own have none",
                ),
            );
        }
        self.expect(",", "after the format language")?;
        let format = self.position()?;
        self.expect(",", "between the two positions")?;
        let first = self.position()?;
        self.expect(")", "after the positions")?;
        Ok(NoteKind::Format(format, first))
    }

    fn position(&mut self) -> Parse<u32> {
        let span = self.span();
        let value = self.constant_expression("a position")?;
        let position = u32::try_from(value).ok().filter(|position| *position <= 255);
        position.map_or_else(
            || self.fail(Diagnostic::new(span, "there is no parameter of this position")),
            Ok,
        )
    }

    fn lifetime_bound(&mut self) -> Parse<NoteKind> {
        self.expect("(", "after `__lifetimebound`")?;
        let lender = if self.eat_word("static") {
            Lender::Static
        } else {
            Lender::Param(self.ident("the parameter that lends, or `static`")?)
        };
        self.expect(")", "after the lender")?;
        Ok(NoteKind::LifetimeBound(lender))
    }

    fn captured_by(&mut self) -> Parse<NoteKind> {
        self.expect("(", "after `__captured_by`")?;
        let captor = if self.eat_word("return") {
            Captor::Return
        } else if self.eat_word("global") {
            Captor::Global
        } else {
            Captor::Param(self.ident("the parameter that keeps it, `return` or `global`")?)
        };
        self.expect(")", "after the captor")?;
        Ok(NoteKind::CapturedBy(captor))
    }

    /// `((a, b))` after `__attribute__`.
    fn gnu_attributes(&mut self, sink: &mut Attributes) -> Parse<()> {
        self.expect("(", "after `__attribute__`")?;
        self.expect("(", "after `__attribute__(`")?;
        self.attribute_list(")", sink)?;
        self.expect(")", "after the attributes")?;
        self.expect(")", "after the attributes")
    }

    /// `[[a, gnu::b]]`
    fn bracketed(&mut self, sink: &mut Attributes) -> Parse<()> {
        self.expect("[", "")?;
        self.expect("[", "")?;
        self.attribute_list("]", sink)?;
        self.expect("]", "after the attributes")?;
        self.expect("]", "after the attributes")
    }

    fn attribute_list(&mut self, end: &str, sink: &mut Attributes) -> Parse<()> {
        while !self.is(end) {
            if self.eat(",") {
                continue;
            }
            let start = self.span();
            let mut name = self.ident("the name of an attribute")?;
            // `gnu::const`
            if self.eat(":") {
                self.expect(":", "in the name of an attribute")?;
                name = self.ident("the name of an attribute")?;
            }
            let plain = name.name.strip_prefix("__").and_then(|word| word.strip_suffix("__"));
            let plain = plain.unwrap_or(&name.name).to_owned();
            self.attribute(&plain, start, sink)?;
            if !self.is(end) {
                self.expect(",", "between attributes")?;
            }
        }
        Ok(())
    }

    fn attribute(&mut self, name: &str, start: Span, sink: &mut Attributes) -> Parse<()> {
        let kind = match name {
            "const" => NoteKind::Const,
            "pure" => NoteKind::Pure,
            "fd_arg" | "fd_arg_read" | "fd_arg_write" => {
                self.skip_parenthesized()?;
                NoteKind::Handle
            }
            "counted_by" => NoteKind::CountedBy(self.expression_in_parentheses(name)?),
            "sized_by" => NoteKind::SizedBy(self.expression_in_parentheses(name)?),
            "format" => self.format(name)?,
            "packed" => {
                sink.packed = Some(start);
                return Ok(());
            }
            "aligned" => {
                // Without a value it is the largest alignment that the ABI has.
                let align = if self.is("(") { self.alignment(name)? } else { 16 };
                sink.raise_align(align, self.since(start));
                return Ok(());
            }
            "vector_size" => {
                let bytes = self.expression_in_parentheses(name)?;
                let value = self.constant_of(bytes, "the size of a vector")?;
                let size = u32::try_from(value).ok();
                let Some(size) = size.filter(|n| n.is_power_of_two() && (1..=64).contains(n))
                else {
                    return self.fail(Diagnostic::new(
                        self.since(start),
                        "a vector has 1, 2, 4, 8, 16, 32 or 64 bytes",
                    ));
                };
                sink.vector = Some((size, self.since(start)));
                return Ok(());
            }
            _ if HARMLESS.contains(&name) => return self.skip_parenthesized(),
            _ => {
                let error = Diagnostic::new(
                    self.since(start),
                    "this attribute is not known, and it might change how the function is called",
                );
                return self.fail(
                    match did_you_mean(name, HARMLESS.into_iter().chain(MEANINGFUL)) {
                        Some(similar) => error.help(format!("did you mean `{similar}`?")),
                        None => error.help("leave it out if it does not"),
                    },
                );
            }
        };
        sink.notes.push(Note { kind, span: self.since(start) });
        Ok(())
    }

    fn constant_of(&mut self, mut expr: Expr, what: &str) -> Parse<i128> {
        self.resolve_constant(&mut expr);
        match expr.kind {
            ExprKind::Integer(value) => Ok(value),
            _ => self.fail(Diagnostic::new(expr.span, format!("{what} has to be a constant"))),
        }
    }

    /// `(16)` after `_Alignas` or `aligned`.
    pub(super) fn alignment(&mut self, of: &str) -> Parse<u32> {
        let value = self.expression_in_parentheses(of)?;
        let span = value.span;
        let value = self.constant_of(value, "an alignment")?;
        let align = u32::try_from(value).ok();
        match align.filter(|align| align.is_power_of_two() && *align <= 4096) {
            Some(align) => Ok(align),
            None => self.fail(Diagnostic::new(span, "an alignment is a power of two up to 4096")),
        }
    }
}
