//! The first part of a declaration: `static const unsigned long`, `struct tm`, `size_t`.
use super::super::builtin::plain;
use super::super::lexer::Tok;
use super::super::{Diagnostic, Float, Integer, Note, NoteKind, Qualifiers, Span, Type, TypeKind};
use super::annotation::Attributes;
use super::names::{self, Size};
use super::{MAX_ERRORS, Parse, Parser, names::unknown};
use std::sync::Arc;

/// What a declaration starts with.
#[derive(Debug)]
pub(super) struct Specifiers {
    /// The type before any declarator, with its annotations.
    pub(super) ty: Type,
    pub(super) storage: Storage,
    /// Annotations that describe a function, whatever its result.
    pub(super) function_notes: Vec<Note>,
    /// Alignment and `packed`, for those who can use them.
    pub(super) attributes: Attributes,
    /// Whether the type was written with a body, or is the mention of a tag alone.
    pub(super) tagged: bool,
    pub(super) span: Span,
}

/// How a declared name is to be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Storage {
    Plain,
    Extern,
    Typedef,
}

/// How often each word of C was written.
#[derive(Default)]
struct Words {
    list: Vec<(&'static str, Span)>,
}

const TYPE_WORDS: [&str; 19] = [
    "void",
    "_Bool",
    "bool",
    "char",
    "short",
    "int",
    "long",
    "float",
    "double",
    "signed",
    "__signed__",
    "__signed",
    "unsigned",
    "_Complex",
    "__complex__",
    "__int128",
    "__int128_t",
    "__uint128_t",
    "complex",
];

const OTHER_WORDS: [&str; 7] =
    ["struct", "union", "enum", "_BitInt", "typeof", "__typeof__", "_Float16"];

pub(super) fn is_qualifier(word: &str) -> bool {
    matches!(
        word,
        "const"
            | "__const"
            | "__const__"
            | "volatile"
            | "__volatile__"
            | "restrict"
            | "__restrict"
            | "__restrict__"
            | "_Atomic"
    )
}

/// Whether a word starts a type in C itself.
pub(super) fn is_keyword(word: &str) -> bool {
    TYPE_WORDS.contains(&word) || OTHER_WORDS.contains(&word) || is_qualifier(word)
}

/// Words that no name may be.
pub(super) fn is_reserved(word: &str) -> bool {
    is_keyword(word)
        || matches!(
            word,
            "return" | "sizeof" | "static" | "extern" | "typedef" | "inline" | "register" | "auto"
        )
}

impl Parser<'_, '_> {
    /// Adds a qualifier if one stands here.
    pub(super) fn qualifier(&mut self, quals: &mut Qualifiers) -> bool {
        let Tok::Ident(word) = self.peek() else { return false };
        match word {
            "const" | "__const" | "__const__" => quals.is_const = true,
            "volatile" | "__volatile__" => quals.is_volatile = true,
            "restrict" | "__restrict" | "__restrict__" => quals.is_restrict = true,
            "_Atomic" if self.peek_at(1) != Tok::Punct("(") => quals.is_atomic = true,
            _ => return false,
        }
        self.advance();
        true
    }

    /// Reads specifiers. Fails only when no type could be made out.
    pub(super) fn specifiers(&mut self) -> Parse<Specifiers> {
        let start = self.span();
        let mut quals = Qualifiers::default();
        let mut attributes = Attributes::default();
        let mut storage = Storage::Plain;
        let mut words = Words::default();
        let mut ty: Option<Type> = None;
        let mut tagged = false;
        loop {
            if self.qualifier(&mut quals) {
                continue;
            }
            if self.at_annotation() {
                self.annotations(&mut attributes);
                continue;
            }
            let Tok::Ident(word) = self.peek() else { break };
            let span = self.span();
            match word {
                "typedef" => {
                    storage = Storage::Typedef;
                    self.advance();
                }
                "extern" => {
                    storage = Storage::Extern;
                    self.advance();
                }
                "static" | "inline" | "__inline" | "__inline__" => {
                    let error = format!("`{word}` has no place here: a library does not export it");
                    self.report(Diagnostic::new(span, error));
                    self.advance();
                }
                "register" | "_Noreturn" => self.advance(),
                "_Alignas" | "alignas" => {
                    self.advance();
                    let align = self.alignment(word)?;
                    attributes.raise_align(align, self.since(span));
                }
                "_Atomic" => {
                    self.advance();
                    self.expect("(", "after `_Atomic`")?;
                    let mut inner = self.nested(Self::type_name)?;
                    self.expect(")", "after the type of `_Atomic`")?;
                    inner.quals.is_atomic = true;
                    self.set_type(&mut ty, &words, inner, span);
                }
                "struct" | "union" => {
                    tagged = true;
                    let record = self.nested(|p| p.record())?;
                    self.set_type(&mut ty, &words, record, span);
                }
                "enum" => {
                    tagged = true;
                    let enumeration = self.enumeration()?;
                    self.set_type(&mut ty, &words, enumeration, span);
                }
                "_BitInt" | "typeof" | "__typeof__" | "_Float16" => {
                    return self.fail(Diagnostic::new(
                        span,
                        format!("`{word}` is not part of the language of prototypes"),
                    ));
                }
                _ => {
                    if let Some(known) = TYPE_WORDS.iter().find(|known| **known == word)
                        // `complex` is a macro, which a parameter may well be called instead.
                        && (word != "complex" || ty.is_none() && !words.list.is_empty())
                    {
                        if ty.is_some() {
                            self.two_types(span);
                        } else {
                            words.list.push((*known, span));
                        }
                        self.advance();
                    } else if ty.is_none() && words.list.is_empty() {
                        ty = Some(self.named_type(word, span)?);
                    } else {
                        break;
                    }
                }
            }
        }
        let mut ty = match ty {
            Some(ty) => ty,
            None => self.combine(&words, start)?,
        };
        self.qualify(&mut ty, quals);
        ty = self.vector_of(ty, attributes.vector.take());
        let notes = std::mem::take(&mut attributes.notes);
        let (function_notes, notes): (Vec<_>, Vec<_>) =
            notes.into_iter().partition(|note| note.kind.describes_function());
        ty.notes.extend(notes);
        let span = self.since(start);
        Ok(Specifiers { ty, storage, function_notes, attributes, tagged, span })
    }

    /// Qualifiers of an array are those of its elements.
    pub(super) fn qualify(&mut self, ty: &mut Type, quals: Qualifiers) {
        match &mut ty.kind {
            TypeKind::Array { element, .. } => self.qualify(element, quals),
            _ => {
                ty.quals.is_const |= quals.is_const;
                ty.quals.is_volatile |= quals.is_volatile;
                ty.quals.is_restrict |= quals.is_restrict;
                ty.quals.is_atomic |= quals.is_atomic;
            }
        }
    }

    fn set_type(&mut self, slot: &mut Option<Type>, words: &Words, ty: Type, span: Span) {
        if slot.is_some() || !words.list.is_empty() {
            self.two_types(span);
        } else {
            *slot = Some(ty);
        }
    }

    fn two_types(&mut self, span: Span) {
        self.report(Diagnostic::new(span, "two types for one declaration").label("the second"));
    }

    /// A typedef, or a word that should have been one.
    fn named_type(&mut self, word: &str, span: Span) -> Parse<Type> {
        if let Some(mut ty) = self.names.typedef(word) {
            self.advance();
            self.complete(&mut ty);
            self.spend(&ty, span)?;
            names::move_to(&mut ty, span);
            // Of a type that is unknown nothing more is said, under whatever name.
            if !names::is_unknown(&ty) {
                ty.alias = Some(Arc::from(word));
            }
            return Ok(ty);
        }
        if is_reserved(word) {
            return self.fail(self.unexpected("a type", ""));
        }
        if self.peek_at(1) == Tok::Punct("(") && self.depth == 0 {
            return self.fail(
                Diagnostic::new(span, format!("`{word}` has no result type"))
                    .help(format!("write `void {word}(...)` if it returns nothing")),
            );
        }
        if self.errors.len() >= MAX_ERRORS {
            // Nobody would read it, and looking for what was meant takes time.
            self.advance();
            return Ok(unknown(span));
        }
        let shown = if word.len() <= 64 { word } else { "..." };
        let error = Diagnostic::new(span, format!("unknown type name `{shown}`"));
        let error = match self.names.similar_type(word) {
            Some(similar) => error.help(format!("did you mean `{similar}`?")),
            None if word == "va_list" => error.help("nobody but C can make a `va_list`"),
            None => error.help(
                "only C's own types, those of the standard headers and those of the interface \
                 are known",
            ),
        };
        self.report(error);
        self.advance();
        Ok(unknown(span))
    }

    /// Counts what a type that is mentioned adds to the declaration.
    pub(super) fn spend(&mut self, ty: &Type, span: Span) -> Parse<()> {
        let left = Size::of(ty).and_then(|nodes| {
            self.budget.checked_sub(nodes).ok_or("all types of this text together are too large")
        });
        match left {
            Ok(left) => {
                self.budget = left;
                Ok(())
            }
            Err(reason) => self.fail(Diagnostic::new(span, reason)),
        }
    }

    /// A vector of that type, if `vector_size` was written. Wherever it stands in a declaration, it
    /// makes vectors of the type that the declaration starts with.
    pub(super) fn vector_of(&mut self, lane: Type, size: Option<(u32, Span)>) -> Type {
        let Some((bytes, span)) = size else { return lane };
        let lane_ok = matches!(lane.kind, TypeKind::Integer(_) | TypeKind::Float(_));
        if !lane_ok {
            self.report(Diagnostic::new(span, "the lanes of a vector are integers or floats"));
        }
        let quals = lane.quals;
        let span = lane.span;
        let lane = Type { quals: Qualifiers::default(), ..lane };
        let kind = TypeKind::Vector { lane: Box::new(lane), bytes };
        Type { quals, span, ..plain(kind) }
    }

    /// The type that C's own words name together.
    fn combine(&mut self, words: &Words, start: Span) -> Parse<Type> {
        let Some((_, first)) = words.list.first() else {
            return self.fail(self.unexpected("a type", ""));
        };
        let span = words.list.iter().fold(*first, |all, (_, span)| all.to(*span));
        let kind = words.kind();
        match kind {
            Some(kind) => Ok(Type { span, ..plain(kind) }),
            None => self
                .fail(Diagnostic::new(self.since(start), "these words together name no type of C")),
        }
    }
}

impl Words {
    fn kind(&self) -> Option<TypeKind> {
        let mut words: Vec<&str> = self.list.iter().map(|(word, _)| *word).collect();
        let mut take = |names: &[&str]| {
            let before = words.len();
            words.retain(|word| !names.contains(word));
            before - words.len()
        };
        let complex = take(&["_Complex", "__complex__", "complex"]);
        let signed = take(&["signed", "__signed__", "__signed"]);
        let unsigned = take(&["unsigned"]);
        let long = take(&["long"]);
        let short = take(&["short"]);
        let int = take(&["int"]);
        if complex > 1 || signed + unsigned > 1 || short > 1 || int > 1 || long > 2 {
            return None;
        }
        let sign = signed + unsigned;
        let is_unsigned = unsigned == 1;
        let pick = |signed: Integer, unsigned: Integer| {
            Some(TypeKind::Integer(if is_unsigned { unsigned } else { signed }))
        };
        let float = match (&words[..], long) {
            (["float"], 0) => Some(Float::Float),
            (["double"], 0) => Some(Float::Double),
            (["double"], 1) => Some(Float::LongDouble),
            ([], 0) if complex == 1 && int + short + sign == 0 => Some(Float::Double),
            _ => None,
        };
        if let Some(float) = float {
            let kind = if complex == 1 { TypeKind::Complex(float) } else { TypeKind::Float(float) };
            return (sign + short + int == 0).then_some(kind);
        }
        if complex == 1 {
            return None;
        }
        match (&words[..], long, short) {
            (["void"], 0, 0) if sign + int == 0 => Some(TypeKind::Void),
            (["_Bool" | "bool"], 0, 0) if sign + int == 0 => Some(TypeKind::Bool),
            (["char"], 0, 0) if int == 0 && sign == 0 => Some(TypeKind::Integer(Integer::Char)),
            (["char"], 0, 0) if int == 0 => pick(Integer::SignedChar, Integer::UnsignedChar),
            (["__int128"], 0, 0) if int == 0 => pick(Integer::Int128, Integer::UnsignedInt128),
            (["__int128_t"], 0, 0) if int + sign == 0 => Some(TypeKind::Integer(Integer::Int128)),
            (["__uint128_t"], 0, 0) if int + sign == 0 => {
                Some(TypeKind::Integer(Integer::UnsignedInt128))
            }
            ([], 0, 1) => pick(Integer::Short, Integer::UnsignedShort),
            ([], 0, 0) if sign + int > 0 => pick(Integer::Int, Integer::UnsignedInt),
            ([], 1, 0) => pick(Integer::Long, Integer::UnsignedLong),
            ([], 2, 0) => pick(Integer::LongLong, Integer::UnsignedLongLong),
            _ => None,
        }
    }
}

impl NoteKind {
    /// Whether it can only describe a function as a whole.
    pub(in super::super) fn describes_function(&self) -> bool {
        matches!(
            self,
            NoteKind::Leaf
                | NoteKind::Errno
                | NoteKind::Fuel(_)
                | NoteKind::Requires(_)
                | NoteKind::Format(..)
                | NoteKind::Const
                | NoteKind::Pure
        )
    }
}
