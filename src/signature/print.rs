//! Types, annotations and expressions back to text.
//!
//! There are two texts of a type. The *canonical* one has every typedef resolved and every
//! annotation right behind what it describes; reading it gives the same type again, under any
//! scope that knows the same tags. That is what `Display` writes. The alternate form (`{:#}`) also
//! spells out the bodies of tagged records and enums where they are first mentioned, so that the
//! empty scope will do. *As written* keeps the names of typedefs; it is for people.
use super::{
    Builtin, Captor, Enum, Expr, ExprKind, Field, Float, Function, Integer, Lender, Note, NoteKind,
    Prototype, Qualifiers, Record, RecordKind, Type, TypeKind, UnaryOp, Variadic,
};
use std::cell::RefCell;
use std::fmt::{self, Display, Write as _};
use std::sync::Arc;

/// How types are written.
#[derive(Default)]
struct Printer {
    /// Typedef names stay.
    as_written: bool,
    /// Records and enums with tags get their bodies where they come first.
    bodies: bool,
    /// The types and annotations that are marked in the text, by address.
    marks: Vec<*const ()>,
    /// The tags whose bodies were written already.
    seen: RefCell<Vec<(&'static str, Arc<str>)>>,
}

/// What encloses a marked part while a text is put together; no identifier can hold it.
const MARK: [char; 2] = ['\u{1}', '\u{2}'];

/// The canonical text of a prototype with parts of it marked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Marked {
    pub(super) text: String,
    /// The marked ranges, in bytes.
    ranges: Vec<std::ops::Range<usize>>,
}

impl Marked {
    /// Marks the [`Type`]s and [`Note`]s of a prototype that stand at these addresses.
    pub(super) fn new(prototype: &Prototype, marks: &[*const ()]) -> Self {
        let printer = Printer { marks: marks.to_vec(), ..Printer::default() };
        let mut marked = Marked { text: String::new(), ranges: Vec::new() };
        let mut open = Vec::new();
        for c in printer.prototype(prototype).chars() {
            if c == MARK[0] {
                open.push(marked.text.len());
            } else if c == MARK[1] {
                let end = marked.text.len();
                marked.ranges.extend(open.pop().map(|start| start..end));
            } else {
                marked.text.push(c);
            }
        }
        marked
    }

    /// The line below the text; empty if nothing is marked.
    pub(super) fn carets(&self) -> String {
        // The text is ASCII: a byte is a column.
        let marked = |at: usize| self.ranges.iter().any(|range| range.contains(&at));
        let line: String =
            (0..self.text.len()).map(|at| if marked(at) { '^' } else { ' ' }).collect();
        line.trim_end().to_owned()
    }
}

/// Text in which typedefs keep their names, as [`Type::as_written`] and
/// [`Prototype::as_written`] give it.
#[derive(Clone, Copy, Debug)]
pub struct AsWritten<'a>(Node<'a>);

#[derive(Clone, Copy, Debug)]
enum Node<'a> {
    Type(&'a Type),
    Named(&'a Type, &'a str),
    Prototype(&'a Prototype),
}

impl Type {
    /// The type with the typedef names it was written with: `const uint8_t *__counted_by(len)`.
    #[must_use]
    pub fn as_written(&self) -> AsWritten<'_> {
        AsWritten(Node::Type(self))
    }

    /// A declaration of `name` with this type, typedef names kept: `const uint8_t
    /// *__counted_by(len) buf`.
    #[must_use]
    pub fn declare_as_written<'a>(&'a self, name: &'a str) -> AsWritten<'a> {
        AsWritten(Node::Named(self, name))
    }
}

impl Prototype {
    /// The prototype with the typedef names it was written with.
    ///
    /// ```
    /// use portcullis::signature::{Scope, parse_prototype};
    /// let text = "size_t strlen(const char *s)";
    /// let prototype = parse_prototype(text, &Scope::default())?;
    /// assert_eq!(prototype.as_written().to_string(), text);
    /// assert_eq!(prototype.to_string(), "unsigned long strlen(const char *s)");
    /// # Ok::<(), portcullis::signature::Diagnostics>(())
    /// ```
    #[must_use]
    pub fn as_written(&self) -> AsWritten<'_> {
        AsWritten(Node::Prototype(self))
    }
}

impl Display for AsWritten<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let printer = Printer { as_written: true, ..Printer::default() };
        match self.0 {
            Node::Type(ty) => f.write_str(&printer.declare(ty, String::new())),
            Node::Named(ty, name) => f.write_str(&printer.declare(ty, name.to_owned())),
            Node::Prototype(prototype) => f.write_str(&printer.prototype(prototype)),
        }
    }
}

impl Display for Prototype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Printer::canonical(f).prototype(self))
    }
}

impl Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Printer::canonical(f).declare(self, String::new()))
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Printer::canonical(f).expr(self, LOOSEST))
    }
}

impl Display for NoteKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Printer::canonical(f).note(self))
    }
}

impl Display for RecordKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RecordKind::Struct => "struct",
            RecordKind::Union => "union",
        })
    }
}

impl Display for Integer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Integer::Char => "char",
            Integer::SignedChar => "signed char",
            Integer::UnsignedChar => "unsigned char",
            Integer::Short => "short",
            Integer::UnsignedShort => "unsigned short",
            Integer::Int => "int",
            Integer::UnsignedInt => "unsigned int",
            Integer::Long => "long",
            Integer::UnsignedLong => "unsigned long",
            Integer::LongLong => "long long",
            Integer::UnsignedLongLong => "unsigned long long",
            Integer::Int128 => "__int128",
            Integer::UnsignedInt128 => "unsigned __int128",
        })
    }
}

impl Display for Float {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Float::Float => "float",
            Float::Double => "double",
            Float::LongDouble => "long double",
        })
    }
}

/// Appends a word behind a blank.
fn push_word(text: &mut String, word: &str) {
    if !text.is_empty() && !word.is_empty() {
        text.push(' ');
    }
    text.push_str(word);
}

fn qualifiers(quals: Qualifiers) -> String {
    let mut text = String::new();
    let words = [
        (quals.is_const, "const"),
        (quals.is_volatile, "volatile"),
        (quals.is_restrict, "restrict"),
        (quals.is_atomic, "_Atomic"),
    ];
    for (_, word) in words.iter().filter(|(set, _)| *set) {
        push_word(&mut text, word);
    }
    text
}

impl Printer {
    fn canonical(f: &fmt::Formatter<'_>) -> Self {
        Printer { bodies: f.alternate(), ..Printer::default() }
    }

    fn prototype(&self, prototype: &Prototype) -> String {
        let Prototype { name, function, notes, .. } = prototype;
        let declarator = format!("{name}{}", self.parameters(function));
        let mut text = self.declare(&function.result, declarator);
        push_word(&mut text, &self.notes(notes));
        text
    }

    fn parameters(&self, function: &Function) -> String {
        let mut list: Vec<String> = Vec::new();
        for param in &function.params {
            let name = param.name.as_ref().map_or(String::new(), ToString::to_string);
            list.push(self.declare(&param.ty, name));
        }
        match &function.variadic {
            Variadic::No if list.is_empty() => list.push("void".to_owned()),
            Variadic::No => {}
            Variadic::Untyped(_) => list.push("...".to_owned()),
            Variadic::Typed(tail) => {
                list.push("...".to_owned());
                list.extend(tail.iter().map(|ty| self.declare(ty, String::new())));
            }
        }
        format!("({})", list.join(", "))
    }

    /// A declaration: C puts the type around the name.
    fn declare(&self, ty: &Type, declarator: String) -> String {
        if self.as_written
            && let Some(alias) = &ty.alias
        {
            return self.base(ty, alias, declarator);
        }
        match &ty.kind {
            TypeKind::Pointer(pointee) => {
                let quals = qualifiers(ty.quals);
                let mut star = self.mark(ty, format!("*{quals}"));
                let notes = self.notes(&ty.notes);
                if !quals.is_empty() && !notes.is_empty() {
                    star.push(' ');
                }
                star.push_str(&notes);
                if !(quals.is_empty() && notes.is_empty() || declarator.is_empty()) {
                    star.push(' ');
                }
                star.push_str(&declarator);
                let keeps_name = self.as_written && pointee.alias.is_some();
                let wrap = matches!(pointee.kind, TypeKind::Array { .. } | TypeKind::Function(_));
                if wrap && !keeps_name {
                    star = format!("({star})");
                }
                self.declare(pointee, star)
            }
            TypeKind::Array { element, length } => {
                let length = length.as_ref().map_or(String::new(), |e| self.expr(e, LOOSEST));
                let length = self.mark(ty, format!("[{length}]"));
                let mut text = self.declare(element, format!("{declarator}{length}"));
                push_word(&mut text, &self.notes(&ty.notes));
                text
            }
            TypeKind::Function(function) => {
                let parameters = self.mark(ty, self.parameters(function));
                self.declare(&function.result, format!("{declarator}{parameters}"))
            }
            TypeKind::Void => self.base(ty, "void", declarator),
            TypeKind::Bool => self.base(ty, "bool", declarator),
            TypeKind::Integer(integer) => self.base(ty, &integer.to_string(), declarator),
            TypeKind::Float(float) => self.base(ty, &float.to_string(), declarator),
            TypeKind::Complex(float) => self.base(ty, &format!("{float} _Complex"), declarator),
            TypeKind::Vector { lane, bytes } => {
                let lane = self.declare(lane, String::new());
                let text = format!("{lane} __attribute__((vector_size({bytes})))");
                self.base(ty, &text, declarator)
            }
            TypeKind::Enum(enumeration) => {
                self.base(ty, &self.enumeration(enumeration), declarator)
            }
            TypeKind::Record(record) => self.base(ty, &self.record(record), declarator),
        }
    }

    /// Qualifiers, name, annotations, declarator.
    fn base(&self, ty: &Type, name: &str, declarator: String) -> String {
        let mut text = qualifiers(ty.quals);
        push_word(&mut text, name);
        text = self.mark(ty, text);
        let from_typedef = |note: &&Note| {
            let same = note.span.start == ty.span.start && note.span.end == ty.span.end;
            self.as_written && ty.alias.is_some() && same
        };
        for note in ty.notes.iter().filter(|note| !from_typedef(note)) {
            push_word(&mut text, &self.mark(note, self.note(&note.kind)));
        }
        push_word(&mut text, &declarator);
        text
    }

    fn record(&self, record: &Record) -> String {
        let Record { kind, tag, body } = record;
        let word = if *kind == RecordKind::Struct { "struct" } else { "union" };
        let tag = tag.as_ref().map(|tag| &tag.name);
        let Some(body) = body.as_ref().filter(|_| self.wants_body(word, tag)) else {
            return tag.map_or(format!("{word} {{...}}"), |tag| format!("{word} {tag}"));
        };
        let mut text = word.to_owned();
        if body.packed {
            text.push_str(" __attribute__((packed))");
        }
        if let Some(align) = body.align {
            let _ = write!(text, " __attribute__((aligned({align})))");
        }
        push_word(&mut text, tag.map_or("", |tag| tag));
        text.push_str(" { ");
        for field in &body.fields {
            text.push_str(&self.field(field));
            text.push_str("; ");
        }
        text.push('}');
        text
    }

    fn field(&self, field: &Field) -> String {
        let Field { name, ty, bits, align } = field;
        let mut declarator = name.as_ref().map_or(String::new(), ToString::to_string);
        if let Some(bits) = bits {
            if !declarator.is_empty() {
                declarator.push(' ');
            }
            let _ = write!(declarator, ": {bits}");
        }
        let declared = self.declare(ty, declarator);
        match align {
            Some(align) => format!("_Alignas({align}) {declared}"),
            None => declared,
        }
    }

    fn enumeration(&self, enumeration: &Enum) -> String {
        let Enum { tag, underlying, constants } = enumeration;
        let tag = tag.as_ref().map(|tag| &tag.name);
        let negative = constants.iter().any(|(_, value)| *value < 0);
        let usual = if negative { Integer::Int } else { Integer::UnsignedInt };
        let mut text = "enum".to_owned();
        push_word(&mut text, tag.map_or("", |tag| tag));
        let body = !constants.is_empty() && self.wants_body("enum", tag);
        if *underlying != usual && (body || constants.is_empty()) {
            let _ = write!(text, " : {underlying}");
        }
        if body {
            let list = constants.iter().map(|(name, value)| format!("{name} = {value}"));
            let _ = write!(text, " {{ {} }}", list.collect::<Vec<_>>().join(", "));
        }
        text
    }

    /// Whether a body is to be written here: it is the only name of the type, or asked for.
    fn wants_body(&self, word: &'static str, tag: Option<&Arc<str>>) -> bool {
        let Some(tag) = tag else { return true };
        if !self.bodies {
            return false;
        }
        let key = (word, Arc::clone(tag));
        let mut seen = self.seen.borrow_mut();
        let first = !seen.contains(&key);
        if first {
            seen.push(key);
        }
        first
    }

    /// The text of a type or annotation, enclosed if it is marked.
    fn mark<T>(&self, thing: &T, text: String) -> String {
        let marked = self.marks.contains(&std::ptr::from_ref(thing).cast());
        if marked { format!("{}{text}{}", MARK[0], MARK[1]) } else { text }
    }

    fn notes(&self, notes: &[Note]) -> String {
        let list = notes.iter().map(|note| self.mark(note, self.note(&note.kind)));
        list.collect::<Vec<_>>().join(" ")
    }

    fn note(&self, note: &NoteKind) -> String {
        let expr = |e: &Expr| self.expr(e, LOOSEST);
        match note {
            NoteKind::CountedBy(e) => format!("__counted_by({})", expr(e)),
            NoteKind::SizedBy(e) => format!("__sized_by({})", expr(e)),
            NoteKind::CountedByOrNull(e) => format!("__counted_by_or_null({})", expr(e)),
            NoteKind::Single => "__single".to_owned(),
            NoteKind::NullTerminated => "__null_terminated".to_owned(),
            NoteKind::TerminatedBy(field) => format!("__terminated_by(.{field})"),
            NoteKind::Nullable => "_Nullable".to_owned(),
            NoteKind::Nonnull => "_Nonnull".to_owned(),
            NoteKind::In => "_In_".to_owned(),
            NoteKind::Out => "_Out_".to_owned(),
            NoteKind::Inout => "_Inout_".to_owned(),
            NoteKind::Range(low, high) if low == high => format!("__range({})", expr(low)),
            NoteKind::Range(low, high) => format!("__range({}, {})", expr(low), expr(high)),
            NoteKind::Requires(e) => format!("__requires({})", expr(e)),
            NoteKind::Value(e) => format!("__value({})", expr(e)),
            NoteKind::Format(format, first) => format!("__format(printf, {format}, {first})"),
            NoteKind::Consumes => "__consumes".to_owned(),
            NoteKind::ConsumesIf(e) => format!("__consumes_if({})", expr(e)),
            NoteKind::Retains => "__retains".to_owned(),
            NoteKind::Drop(function) => format!("__drop({function})"),
            NoteKind::Borrowed => "__borrowed".to_owned(),
            NoteKind::LifetimeBound(Lender::Param(name)) => format!("__lifetimebound({name})"),
            NoteKind::LifetimeBound(Lender::Static) => "__lifetimebound(static)".to_owned(),
            NoteKind::Invalidates => "__invalidates".to_owned(),
            NoteKind::CapturedBy(Captor::Param(name)) => format!("__captured_by({name})"),
            NoteKind::CapturedBy(Captor::Return) => "__captured_by(return)".to_owned(),
            NoteKind::CapturedBy(Captor::Global) => "__captured_by(global)".to_owned(),
            NoteKind::FreedBy(function) => format!("__freed_by({function})"),
            NoteKind::Boxed => "__boxed".to_owned(),
            NoteKind::Private => "__private".to_owned(),
            NoteKind::Remember(name, e) => format!("__remember({name} = {})", expr(e)),
            NoteKind::Exclusive => "__exclusive".to_owned(),
            NoteKind::Handle => "__handle".to_owned(),
            NoteKind::Cookie => "__cookie".to_owned(),
            NoteKind::Closure(callback) => format!("__closure({callback})"),
            NoteKind::OnTrap(e) => format!("__on_trap({})", expr(e)),
            NoteKind::Leaf => "__leaf".to_owned(),
            NoteKind::Errno => "__errno".to_owned(),
            NoteKind::HostOnly => "__host_only".to_owned(),
            NoteKind::Const => "__attribute__((const))".to_owned(),
            NoteKind::Pure => "__attribute__((pure))".to_owned(),
        }
    }

    /// What stands before `.` or `->`; a constant there would swallow the point.
    fn member_of(&self, e: &Expr) -> String {
        let text = self.expr(e, POSTFIX);
        if matches!(e.kind, ExprKind::Integer(0..)) { format!("({text})") } else { text }
    }

    /// An expression that stands where only operators at least as tight as `level` may.
    fn expr(&self, expr: &Expr, level: usize) -> String {
        let each = |list: &[Expr]| {
            let list: Vec<String> = list.iter().map(|e| self.expr(e, LOOSEST)).collect();
            list.join(", ")
        };
        let (own, text) = match &expr.kind {
            ExprKind::Integer(value) if *value < 0 => (UNARY, value.to_string()),
            ExprKind::Integer(value) => (POSTFIX, value.to_string()),
            ExprKind::Name(name) => (POSTFIX, name.to_string()),
            ExprKind::Return => (POSTFIX, "return".to_owned()),
            ExprKind::Deref(e) => (UNARY, format!("*{}", self.expr(e, UNARY))),
            ExprKind::Member(e, field) => (POSTFIX, format!("{}.{field}", self.member_of(e))),
            ExprKind::Arrow(e, field) => (POSTFIX, format!("{}->{field}", self.member_of(e))),
            ExprKind::SizeOf(ty) => {
                (POSTFIX, format!("sizeof({})", self.declare(ty, String::new())))
            }
            ExprKind::Unary(op, e) => {
                let sign = match op {
                    UnaryOp::Negate => "-",
                    UnaryOp::Complement => "~",
                    UnaryOp::Not => "!",
                };
                let operand = self.expr(e, UNARY);
                // Two signs in a row would be another operator.
                let blank = if sign == "-" && operand.starts_with('-') { " " } else { "" };
                (UNARY, format!("{sign}{blank}{operand}"))
            }
            ExprKind::Binary(op, a, b) => {
                let (tightness, sign) = op.spelling();
                let own = tightness + TERNARY + 1;
                (own, format!("{} {sign} {}", self.expr(a, own), self.expr(b, own + 1)))
            }
            ExprKind::Conditional(c, a, b) => {
                let (condition, no) = (self.expr(c, TERNARY + 1), self.expr(b, TERNARY));
                (TERNARY, format!("{condition} ? {} : {no}", self.expr(a, LOOSEST)))
            }
            ExprKind::Builtin(builtin, arguments) => {
                let name = match builtin {
                    Builtin::Abs => "abs",
                    Builtin::Min => "min",
                    Builtin::Max => "max",
                };
                (POSTFIX, format!("{name}({})", each(arguments)))
            }
            ExprKind::Call(function, arguments) => {
                (POSTFIX, format!("{function}({})", each(arguments)))
            }
        };
        if own < level { format!("({text})") } else { text }
    }
}

const LOOSEST: usize = 0;
const TERNARY: usize = 0;
/// Tighter than every binary operator.
const UNARY: usize = 100;
const POSTFIX: usize = 101;
