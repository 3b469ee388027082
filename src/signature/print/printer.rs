//! The work of printing: C's declarations are written from the inside out.
use super::super::{
    Builtin, Captor, Data, Enum, Expr, ExprKind, Field, Function, Integer, Lender, Note, NoteKind,
    Prototype, Qualifiers, Record, RecordKind, Type, TypeKind, UnaryOp, Variadic,
};
use super::MARK;
use std::cell::RefCell;
use std::fmt::{self, Write as _};
use std::sync::Arc;

/// How types are written.
#[derive(Default)]
pub(super) struct Printer {
    /// Typedef names stay.
    as_written: bool,
    /// Records and enums with tags get their bodies where they come first.
    bodies: bool,
    /// The types and annotations that are marked in the text, by address.
    marks: Vec<*const ()>,
    /// The tags whose bodies were written already.
    seen: RefCell<Vec<(&'static str, Arc<str>)>>,
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
    /// Marks the types and annotations that stand at these addresses.
    pub(super) fn marking(marks: &[*const ()]) -> Self {
        Printer { marks: marks.to_vec(), ..Printer::default() }
    }

    pub(super) fn keeping_typedefs() -> Self {
        Printer { as_written: true, ..Printer::default() }
    }

    pub(super) fn canonical(f: &fmt::Formatter<'_>) -> Self {
        Printer { bodies: f.alternate(), ..Printer::default() }
    }

    pub(super) fn prototype(&self, prototype: &Prototype) -> String {
        let Prototype { name, function, notes, data, span: _ } = prototype;
        if let Some(data) = data {
            return format!("extern {}", self.data(&function.result, name.to_string(), *data));
        }
        let declarator = format!("{name}{}", self.parameters(function));
        let mut text = self.declare(&function.result, declarator);
        push_word(&mut text, &self.notes(notes));
        text
    }

    /// A declaration of data: what the guest gets of an array is a pointer to its elements.
    fn data(&self, ty: &Type, name: String, data: Data) -> String {
        let (Data::Array, TypeKind::Pointer(element)) = (data, &ty.kind) else {
            return self.declare(ty, name);
        };
        let (length, notes) = match ty.notes.split_first() {
            Some((Note { kind: NoteKind::CountedBy(length), .. }, rest)) => {
                (self.expr(length, LOOSEST), rest)
            }
            _ => (String::new(), &ty.notes[..]),
        };
        let brackets = self.mark(ty, format!("[{length}]"));
        let mut text = self.declare(element, format!("{name}{brackets}"));
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
    pub(super) fn declare(&self, ty: &Type, declarator: String) -> String {
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

    pub(super) fn note(&self, note: &NoteKind) -> String {
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
            NoteKind::Fuel(fuel) => format!("__fuel({fuel})"),
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
    pub(super) fn expr(&self, expr: &Expr, level: usize) -> String {
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

pub(super) const LOOSEST: usize = 0;
const TERNARY: usize = 0;
/// Tighter than every binary operator.
const UNARY: usize = 100;
const POSTFIX: usize = 101;
