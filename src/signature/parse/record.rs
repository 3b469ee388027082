//! `struct`, `union` and `enum`, with or without a body.
use super::super::builtin::plain;
use super::super::lexer::Tok;
use super::super::{
    Diagnostic, Enum, Field, Ident, Integer, Param, Record, RecordBody, RecordKind, Span, Type,
    TypeKind, Variadic,
};
use super::annotation::Attributes;
use super::declarator::Naming;
use super::names::Size;
use super::specifiers::{Specifiers, Storage};
use super::{Parse, Parser, Reported};
use std::sync::Arc;

/// The most fields of a record and constants of an enum.
const MAX_MEMBERS: usize = 4096;

impl Parser<'_, '_> {
    /// From `struct` or `union` on.
    pub(super) fn record(&mut self) -> Parse<Type> {
        let start = self.span();
        let kind = if self.is_word("struct") { RecordKind::Struct } else { RecordKind::Union };
        self.advance();
        let mut attributes = Attributes::default();
        self.annotations(&mut attributes);
        let tag = match self.peek() {
            Tok::Ident(_) => Some(self.ident("a tag")?),
            _ => None,
        };
        let span = self.since(start);
        if !self.is("{") {
            let Some(tag) = tag else {
                return self.fail(self.unexpected("a tag or `{`", &format!("after `{kind}`")));
            };
            let body = self.names.record(kind, &tag.name);
            let ty =
                Type { span, ..plain(TypeKind::Record(Record { kind, tag: Some(tag), body })) };
            self.spend(&ty, span)?;
            return Ok(ty);
        }
        let body = self.record_body(&mut attributes, span)?;
        if let Some(tag) = &tag {
            self.define_record(kind, tag, &body);
        }
        // Its pointers may lead to what it is itself.
        super::super::check::record(&body, kind, &self.names, &mut self.errors);
        for note in attributes.notes {
            self.report(
                Diagnostic::new(note.span, "this annotation describes no record")
                    .help("write `__boxed` and `__drop` after the name of the typedef"),
            );
        }
        let record = Record { kind, tag, body: Some(body) };
        Ok(Type { span, ..plain(TypeKind::Record(record)) })
    }

    fn define_record(&mut self, kind: RecordKind, tag: &Ident, body: &Arc<RecordBody>) {
        let known = self.names.record(kind, &tag.name);
        if known.is_some_and(|known| known != *body) {
            let error = format!("`{kind} {tag}` is defined twice, with different bodies");
            self.report(Diagnostic::new(tag.span, error).label("the second time"));
        }
        self.names.own.records.insert((kind, Arc::clone(&tag.name)), Arc::clone(body));
    }

    /// From `{` to what follows `}`.
    fn record_body(&mut self, attributes: &mut Attributes, span: Span) -> Parse<Arc<RecordBody>> {
        self.expect("{", "")?;
        let mut fields = Vec::new();
        while !self.eat("}") {
            if self.peek() == Tok::End {
                return self.fail(self.unexpected("`}`", "to end the record"));
            }
            if self.eat(";") {
                continue;
            }
            let first = self.at;
            if self.fields(&mut fields).is_err() {
                self.skip_to(first, &[";", "}"]);
            }
            if !self.is("}") && !self.eat(";") {
                if self.peek() == Tok::End {
                    return Err(Reported);
                }
                self.report(self.unexpected("`;`", "after a field"));
                self.skip_to(first, &[";", "}"]);
                if !self.is(";") && !self.is("}") {
                    // A bracket that nothing opened: step over it, or this would not end.
                    self.advance();
                }
            }
            if fields.len() > MAX_MEMBERS {
                let error = format!("more than {MAX_MEMBERS} fields");
                return self.fail(Diagnostic::new(self.last_span(), error));
            }
        }
        // `struct { ... } __attribute__((packed))`; other annotations belong to the declaration.
        while self.is_word("__attribute__") {
            self.annotations(attributes);
        }
        self.resolve_fields(&mut fields);
        let packed = attributes.packed.is_some();
        let body = RecordBody { fields, packed, align: attributes.align.map(|(align, _)| align) };
        let size = Size::of_body(&body).and_then(|nodes| {
            self.budget.checked_sub(nodes).ok_or("all types of this text together are too large")
        });
        match size {
            Ok(left) => self.budget = left,
            Err(reason) => return self.fail(Diagnostic::new(span, reason)),
        }
        Ok(Arc::new(body))
    }

    /// One declaration of fields: `int a, *b;` without the `;`.
    fn fields(&mut self, fields: &mut Vec<Field>) -> Parse<()> {
        let specifiers = self.specifiers()?;
        if specifiers.storage != Storage::Plain {
            self.report(Diagnostic::new(specifiers.span, "a field has no storage class"));
        }
        for note in &specifiers.function_notes {
            self.report(Diagnostic::new(note.span, "this annotation describes a whole function"));
        }
        if self.is(";") || self.is("}") {
            let anonymous = matches!(&specifiers.ty.kind, TypeKind::Record(r) if r.body.is_some());
            if !anonymous {
                return self.fail(Diagnostic::new(specifiers.span, "this field has no name"));
            }
            let align = specifiers.attributes.align.map(|(align, _)| align);
            fields.push(Field { name: None, ty: specifiers.ty, bits: None, align });
            return Ok(());
        }
        loop {
            fields.push(self.field(&specifiers)?);
            if !self.eat(",") {
                return Ok(());
            }
        }
    }

    fn field(&mut self, specifiers: &Specifiers) -> Parse<Field> {
        let start = self.span();
        let mut declarator = self.declarator(Naming::Optional)?;
        let bits = if self.eat(":") {
            let span = self.span();
            let width = self.constant_expression("the width of a bit-field")?;
            match u32::try_from(width).ok().filter(|width| *width <= 64) {
                Some(width) => Some(width),
                None => return self.fail(Diagnostic::new(span, "a bit-field has 0 to 64 bits")),
            }
        } else {
            None
        };
        if bits.is_some() {
            self.trailing_annotations(&mut declarator.trailing);
        }
        if let Some(span) = specifiers.attributes.packed.or(declarator.trailing.packed) {
            self.report(
                Diagnostic::new(span, "`packed` on a field is not supported")
                    .help("write it after `struct` to pack the whole record"),
            );
        }
        let name = declarator.name.take();
        if name.is_none() && bits.is_none() {
            return self.fail(Diagnostic::new(self.since(start), "this field has no name"));
        }
        let mut align = specifiers.attributes.align;
        if let Some((own, span)) = declarator.trailing.align
            && align.is_none_or(|(known, _)| known < own)
        {
            align = Some((own, span));
        }
        let ty = self.declared_type(specifiers.ty.clone(), declarator)?;
        Ok(Field { name, ty, bits, align: align.map(|(align, _)| align) })
    }

    /// From `enum` on.
    pub(super) fn enumeration(&mut self) -> Parse<Type> {
        let start = self.span();
        self.advance();
        let mut attributes = Attributes::default();
        self.annotations(&mut attributes);
        if let Some(span) = attributes.packed {
            self.report(
                Diagnostic::new(span, "a packed enum has no type that its text shows")
                    .help("name it instead: `enum e : unsigned char { ... }`"),
            );
        }
        let tag = match self.peek() {
            Tok::Ident(_) => Some(self.ident("a tag")?),
            _ => None,
        };
        // `enum e :3` is an unnamed bit-field.
        let is_width = matches!(self.peek_at(1), Tok::Integer(_) | Tok::Punct(_));
        let fixed = if !is_width && self.eat(":") { Some(self.underlying()?) } else { None };
        let span = self.since(start);
        if !self.is("{") {
            let Some(tag) = tag else {
                return self.fail(self.unexpected("a tag or `{`", "after `enum`"));
            };
            let known = self.names.enumeration(&tag.name);
            let mention = known.unwrap_or_else(|| {
                let underlying = fixed.unwrap_or(Integer::UnsignedInt);
                Arc::new(Enum { tag: Some(tag), underlying, constants: Vec::new() })
            });
            return Ok(Type { span, ..plain(TypeKind::Enum(mention)) });
        }
        let constants = self.enum_constants()?;
        let negative = constants.iter().any(|(_, value)| *value < 0);
        let default = if negative { Integer::Int } else { Integer::UnsignedInt };
        let underlying = fixed.unwrap_or(default);
        for (name, value) in &constants {
            if !fits(underlying, *value) {
                let error = format!("{value} does not fit the type of this enum");
                let error = Diagnostic::new(name.span, error);
                self.report(match fixed {
                    Some(_) => error,
                    None => error.help("give it a wider one: `enum e : long long { ... }`"),
                });
            }
        }
        let body = Arc::new(Enum { tag: tag.clone(), underlying, constants });
        if let Some(tag) = &tag {
            if self.names.enumeration(&tag.name).is_some_and(|known| known != body) {
                let error = format!("`enum {tag}` is defined twice, with different constants");
                self.report(Diagnostic::new(tag.span, error).label("the second time"));
            }
            self.names.own.enums.insert(Arc::clone(&tag.name), Arc::clone(&body));
        }
        Ok(Type { span, ..plain(TypeKind::Enum(body)) })
    }

    fn underlying(&mut self) -> Parse<Integer> {
        let ty = self.specifiers()?.ty;
        match ty.kind {
            TypeKind::Integer(integer) => Ok(integer),
            _ => self.fail(Diagnostic::new(ty.span, "an enum is based on an integer type")),
        }
    }

    fn enum_constants(&mut self) -> Parse<Vec<(Ident, i128)>> {
        self.expect("{", "")?;
        let mut constants: Vec<(Ident, i128)> = Vec::new();
        let mut next = 0;
        while !self.eat("}") {
            let name = self.ident("the name of a constant")?;
            self.annotations(&mut Attributes::default());
            let value =
                if self.eat("=") { self.constant_expression("an enum constant")? } else { next };
            next = value + 1;
            if self.names.constant(&name.name).is_some_and(|known| known != value) {
                let error = format!("`{name}` is defined twice, with different values");
                self.report(Diagnostic::new(name.span, error));
            }
            self.names.own.constants.insert(Arc::clone(&name.name), value);
            constants.push((name, value));
            if constants.len() > MAX_MEMBERS {
                let error = format!("more than {MAX_MEMBERS} constants");
                return self.fail(Diagnostic::new(self.last_span(), error));
            }
            if !self.eat(",") {
                self.expect("}", "after the constants of an enum")?;
                break;
            }
        }
        Ok(constants)
    }

    /// Fills in bodies that became known after the type was written down.
    pub(super) fn complete(&mut self, ty: &mut Type) {
        match &mut ty.kind {
            TypeKind::Pointer(inner) => self.complete(inner),
            TypeKind::Array { element, .. } => self.complete(element),
            TypeKind::Function(function) => {
                self.complete(&mut function.result);
                for Param { ty, .. } in &mut function.params {
                    self.complete(ty);
                }
                if let Variadic::Typed(tail) = &mut function.variadic {
                    tail.iter_mut().for_each(|ty| self.complete(ty));
                }
            }
            TypeKind::Record(Record { kind, tag: Some(tag), body: body @ None }) => {
                *body = self.names.record(*kind, &tag.name);
            }
            TypeKind::Enum(mention) if mention.constants.is_empty() => {
                if let Some(tag) = &mention.tag
                    && let Some(known) = self.names.enumeration(&tag.name)
                {
                    *mention = known;
                }
            }
            TypeKind::Record(_)
            | TypeKind::Enum(_)
            | TypeKind::Vector { .. }
            | TypeKind::Void
            | TypeKind::Bool
            | TypeKind::Integer(_)
            | TypeKind::Float(_)
            | TypeKind::Complex(_) => {}
        }
    }
}

/// Whether an enum of this type can have this value, under both data models.
fn fits(integer: Integer, value: i128) -> bool {
    let (bits, signed) = match integer {
        Integer::Char | Integer::SignedChar => (8, true),
        Integer::UnsignedChar => (8, false),
        Integer::Short => (16, true),
        Integer::UnsignedShort => (16, false),
        Integer::Int | Integer::Long => (32, true),
        Integer::UnsignedInt | Integer::UnsignedLong => (32, false),
        Integer::LongLong => (64, true),
        Integer::UnsignedLongLong => (64, false),
        Integer::Int128 | Integer::UnsignedInt128 => return true,
    };
    let span = 1i128 << bits;
    if signed { (-span / 2..span / 2).contains(&value) } else { (0..span).contains(&value) }
}
