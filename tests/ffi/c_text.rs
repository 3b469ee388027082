//! C text of a batch: types, functions that make and hash their values, callees and callers.
//!
//! Values never stand in the text. `make` fills the members of a value, and nothing else, from a
//! stream of random numbers; `hash` adds the members, never padding, to the hash in `world`.
//! Whoever knows where a stream starts knows every value of a call. The state is global and the
//! functions are small because gcc's time is what the test costs.
use crate::generate::{Batch, Case};
use crate::types::{Field, Fill, Pool, Record, SCALARS, Scalar, Type};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Types that every text may mention. The crate reads this too.
pub const PRELUDE: &str = "\
enum unsigned_enum { UNSIGNED_ENUM = 1 };
enum signed_enum { SIGNED_ENUM = -1 };
typedef __attribute__((vector_size(16))) unsigned char vector_byte_16;
typedef short __attribute__((vector_size(16))) vector_short_16;
typedef __attribute__((vector_size(16))) int vector_int_16;
typedef __attribute__((vector_size(16))) long long vector_long_16;
typedef float __attribute__((vector_size(16))) vector_float_16;
typedef __attribute__((vector_size(16))) double vector_double_16;
typedef __attribute__((vector_size(8))) unsigned char vector_byte_8;
typedef __attribute__((vector_size(8))) float vector_float_8;
";

/// What gcc alone reads: the stream, and how lanes are made and hashed.
const MACHINERY: &str = r"
typedef unsigned char u8;
typedef unsigned long long u64;
typedef float __m128 __attribute__((vector_size(16), may_alias));
typedef long long __m128i __attribute__((vector_size(16), may_alias));
#define COPY __builtin_memcpy
#define FAR __attribute__((noinline)) static
struct { u64 seed, stream, hash, seen, calls; } world;
FAR u64 next(void) {
    u64 z = world.stream += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    return z ^ z >> 29;
}
FAR void mix(u64 w) {
    u64 h = (world.hash ^ w) * 0x94d049bb133111eb;
    world.hash = h ^ h >> 31;
}
void received(void) {
    world.seen = world.hash;
    world.hash = 1;
    world.stream = ~world.seed;
    ++world.calls;
}
FAR void make_bytes(void *p, int n) {
    for (int i = 0; i < n; i += 8) { u64 w = next(); COPY((u8 *)p + i, &w, n - i < 8 ? n - i : 8); }
}
FAR void make_bools(void *p, int n) {
    for (int i = 0; i < n; ++i) ((u8 *)p)[i] = next() >> 7 & 1;
}
FAR void make_floats(void *p, int n) {
    for (int i = 0; i < n; ++i) { unsigned w = next() & ~0x40000000u; COPY((u8 *)p + 4 * i, &w, 4); }
}
FAR void make_doubles(void *p, int n) {
    for (int i = 0; i < n; ++i) { u64 w = next() & ~(1ull << 62); COPY((u8 *)p + 8 * i, &w, 8); }
}
FAR void make_long_doubles(void *p, int n) {
    for (int i = 0; i < n; ++i) {
        u64 w = next() | 1ull << 63;
        unsigned short e = next() & ~0x4000 | 1;
        COPY((u8 *)p + 16 * i, &w, 8);
        COPY((u8 *)p + 16 * i + 8, &e, 2);
    }
}
FAR void hash_bytes(const void *p, int n) {
    for (int i = 0; i < n; i += 8) {
        u64 w = 0;
        COPY(&w, (u8 *)p + i, n - i < 8 ? n - i : 8);
        mix(w);
    }
}
FAR void hash_bools(const void *p, int n) { hash_bytes(p, n); }
FAR void hash_floats(const void *p, int n) { hash_bytes(p, 4 * n); }
FAR void hash_doubles(const void *p, int n) { hash_bytes(p, 8 * n); }
FAR void hash_long_doubles(const void *p, int n) {
    for (int i = 0; i < n; ++i) hash_bytes((u8 *)p + 16 * i, 10);
}
";

/// The file name of a batch's library.
pub fn library_name(batch: &Batch) -> String {
    format!("batch{}.so", batch.number)
}

/// Whether a text has definitions before it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Defined,
    Inline,
}

/// Writes types; inline, the first mention of a tag has its body.
struct Writer<'a> {
    pool: &'a Pool,
    style: Style,
    met: BTreeSet<String>,
}

impl<'a> Writer<'a> {
    fn new(pool: &'a Pool, style: Style) -> Self {
        Writer { pool, style, met: BTreeSet::new() }
    }

    /// `T name`
    fn declare(&mut self, ty: &Type, name: &str) -> String {
        match ty {
            Type::Scalar(number) => format!("{} {name}", self.scalar(&SCALARS[*number])),
            Type::Record(number) => {
                let record = &self.pool[*number];
                let tag = format!("r{number}");
                let mention = self.style == Style::Defined || !self.met.insert(tag.clone());
                let text = if mention {
                    format!("{} {tag}", keyword(record))
                } else {
                    self.body(record, &tag)
                };
                format!("{text} {name}")
            }
            Type::Body(record) => format!("{} {name}", self.body(record, "")),
            Type::Array(element, length) => self.declare(element, &format!("{name}[{length}]")),
            Type::Tail(element) => self.declare(element, &format!("{name}[]")),
        }
    }

    fn scalar(&mut self, scalar: &Scalar) -> &'static str {
        let mut first =
            || !scalar.inline.contains('{') || self.met.insert(scalar.spelling.to_owned());
        if self.style == Style::Inline && first() { scalar.inline } else { scalar.spelling }
    }

    /// `struct tag { ... }` with its attributes.
    fn body(&mut self, record: &Record, tag: &str) -> String {
        let mut attributes = String::new();
        if record.packed {
            attributes.push_str(" __attribute__((packed))");
        }
        if let Some(align) = record.align {
            let _ = write!(attributes, " __attribute__((aligned({align})))");
        }
        let (before, after) =
            if record.attributes_last { ("", &*attributes) } else { (&*attributes, "") };
        let mut text = format!("{}{before} {tag} {{ ", keyword(record));
        for field in &record.fields {
            let name = field.name.as_deref().unwrap_or_default();
            let declared = self.declare(&field.ty, name);
            match field.align {
                Some((align, true)) => {
                    let _ = write!(text, "_Alignas({align}) {declared}");
                }
                Some((align, false)) => {
                    let _ = write!(text, "{declared} __attribute__((aligned({align})))");
                }
                None => text.push_str(&declared),
            }
            if let Some(bits) = field.bits {
                let _ = write!(text, " : {bits}");
            }
            text.push_str("; ");
        }
        let _ = write!(text, "}}{after}");
        text
    }

    /// The head of a function: what it returns, its name, what is between its parentheses.
    fn head(&mut self, case: &Case, name: &str, tail: Tail) -> String {
        let result = match &case.result {
            Some(ty) => self.declare(ty, ""),
            None => "void ".to_owned(),
        };
        let mut params = Vec::new();
        for (at, ty) in case.params.iter().enumerate() {
            if case.named == Some(at) {
                params.push("...".to_owned());
            }
            match case.named {
                Some(named) if at >= named && tail == Tail::Untyped => {}
                Some(named) if at >= named => {
                    params.push(self.declare(ty, "").trim_end().to_owned())
                }
                _ => params.push(self.declare(ty, &format!("a{at}"))),
            }
        }
        let params = if params.is_empty() { "void".to_owned() } else { params.join(", ") };
        format!("{result}{name}({params})")
    }
}

/// Whether types follow `...`, which only the crate understands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tail {
    Typed,
    Untyped,
}

fn keyword(record: &Record) -> &'static str {
    if record.is_union { "union" } else { "struct" }
}

/// The prototype of a case as the crate is given it.
pub fn prototype(batch: &Batch, case: &Case) -> String {
    let style = if case.inline { Style::Inline } else { Style::Defined };
    let name = format!("f{}", case.number);
    Writer::new(&batch.records, style).head(case, &name, Tail::Typed)
}

/// The definitions that the prototype of a case mentions; nothing for one that holds them.
pub fn declarations(batch: &Batch, case: &Case) -> String {
    if case.inline {
        return String::new();
    }
    let mut needed = BTreeSet::new();
    for ty in case.params.iter().chain(&case.result) {
        collect(ty, &batch.records, &mut needed);
    }
    let mut text = PRELUDE.to_owned();
    define(&mut text, &batch.records, needed.into_iter());
    text
}

/// The tagged records that a type mentions; those with lower numbers are complete before it.
fn collect(ty: &Type, pool: &Pool, needed: &mut BTreeSet<usize>) {
    match ty {
        Type::Scalar(_) => {}
        Type::Record(number) => {
            if needed.insert(*number) {
                pool[*number].fields.iter().for_each(|field| collect(&field.ty, pool, needed));
            }
        }
        Type::Body(record) => {
            record.fields.iter().for_each(|field| collect(&field.ty, pool, needed));
        }
        Type::Array(element, _) | Type::Tail(element) => collect(element, pool, needed),
    }
}

fn define(text: &mut String, pool: &Pool, numbers: impl Iterator<Item = usize>) {
    let mut writer = Writer::new(pool, Style::Defined);
    for number in numbers {
        text.push_str(&writer.body(&pool[number], &format!("r{number}")));
        text.push_str(";\n");
    }
}

/// The number of a type in the table that a library exports.
pub fn table_index(ty: &Type) -> usize {
    match ty {
        Type::Scalar(number) => *number,
        Type::Record(number) => SCALARS.len() + number,
        Type::Body(_) | Type::Array(..) | Type::Tail(_) => {
            panic!("a function has none of these by value")
        }
    }
}

/// The suffix of the functions that make and hash a type.
fn suffix(ty: &Type) -> String {
    format!("_t{}", table_index(ty))
}

/// The C source of a batch.
pub fn source(batch: &Batch) -> String {
    let mut text = format!("{PRELUDE}{MACHINERY}");
    define(&mut text, &batch.records, 0..batch.records.len());
    let scalars = (0..SCALARS.len()).map(Type::Scalar);
    let records = (0..batch.records.len()).map(Type::Record);
    let types: Vec<Type> = scalars.chain(records).collect();
    for ty in &types {
        type_functions(&mut text, ty, &batch.records);
    }
    text.push_str("const struct { void *make, *hash; u64 size, align; } types[] = {\n");
    let mut writer = Writer::new(&batch.records, Style::Defined);
    for ty in &types {
        let (suffix, name) = (suffix(ty), writer.declare(ty, ""));
        let _ =
            writeln!(text, "{{ make{suffix}, hash{suffix}, sizeof({name}), _Alignof({name}) }},");
    }
    text.push_str("};\n");
    for case in &batch.cases {
        callee(&mut text, &mut writer, case);
        caller(&mut text, &mut writer, case);
    }
    text.push_str("void *const functions[][2] = {\n");
    for Case { number, .. } in &batch.cases {
        let _ = writeln!(text, "{{ f{number}, c{number} }},");
    }
    text.push_str("};\n");
    text
}

/// `make` and `hash` of a type.
fn type_functions(text: &mut String, ty: &Type, pool: &Pool) {
    let name = Writer::new(pool, Style::Defined).declare(ty, "*p");
    let suffix = suffix(ty);
    let (mut make, mut hash) = (Members::new(pool, Way::Make), Members::new(pool, Way::Hash));
    for members in [&mut make, &mut hash] {
        match ty {
            Type::Record(number) => members.record(&pool[*number], "p->", pool[*number].packed),
            _ => members.value(ty, "(*p)", false),
        }
    }
    let (make, hash) = (make.text, hash.text);
    let _ = writeln!(text, "FAR void make{suffix}({name}) {{ {make}}}");
    let _ = writeln!(text, "FAR void hash{suffix}(const {name}) {{ {hash}}}");
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Make,
    Hash,
}

/// Statements about every member of a value.
struct Members<'a> {
    pool: &'a Pool,
    way: Way,
    text: String,
    /// How many loops are open.
    level: usize,
}

impl<'a> Members<'a> {
    fn new(pool: &'a Pool, way: Way) -> Self {
        Members { pool, way, text: String::new(), level: 0 }
    }

    /// `path` is what stands before the name of a member. Where `loose`, members may be unaligned.
    fn record(&mut self, record: &Record, path: &str, loose: bool) {
        if record.is_union {
            self.field(&record.fields[record.active], path, loose);
        } else {
            record.fields.iter().for_each(|field| self.field(field, path, loose));
        }
    }

    fn field(&mut self, field: &Field, path: &str, loose: bool) {
        let Some(name) = &field.name else {
            // Members of a record without a name are members of the record around it.
            if let Type::Body(record) = &field.ty {
                self.record(record, path, loose);
            }
            return;
        };
        let place = format!("{path}{name}");
        match (field.bits, &field.ty) {
            (None, ty) => self.value(ty, &place, loose),
            (Some(_), Type::Scalar(number)) => {
                let is_bool = SCALARS[*number].fill == Fill::Bool;
                let mask = if is_bool { " & 1" } else { "" };
                let _ = match self.way {
                    Way::Make => write!(self.text, "{place} = next(){mask}; "),
                    Way::Hash => write!(self.text, "mix({place}); "),
                };
            }
            (Some(_), _) => panic!("a bit-field is a scalar"),
        }
    }

    fn value(&mut self, ty: &Type, place: &str, loose: bool) {
        match ty {
            Type::Scalar(number) => self.lanes(&SCALARS[*number], place, 1),
            Type::Record(_) => self.tagged(ty, place, loose),
            Type::Body(record) => self.record(record, &format!("{place}."), loose),
            Type::Tail(_) | Type::Array(_, 0) => {}
            Type::Array(element, length) => {
                let (mut scalar, mut total) = (&**element, *length);
                while let Type::Array(inner, length) = scalar {
                    (scalar, total) = (inner, total * length);
                }
                if let Type::Scalar(number) = scalar {
                    self.lanes(&SCALARS[*number], place, total);
                    return;
                }
                let i = format!("i{}", self.level);
                self.level += 1;
                let _ = write!(self.text, "for (int {i} = 0; {i} < {length}; ++{i}) {{ ");
                self.value(element, &format!("{place}[{i}]"), loose);
                self.level -= 1;
                self.text.push_str("} ");
            }
        }
    }

    fn lanes(&mut self, scalar: &Scalar, place: &str, length: usize) {
        let (fill, count) = (scalar.fill.name(), scalar.count * length);
        let _ = match self.way {
            Way::Make => write!(self.text, "make_{fill}(&{place}, {count}); "),
            Way::Hash => write!(self.text, "hash_{fill}(&{place}, {count}); "),
        };
    }

    /// A record with functions of its own. They take an aligned one.
    fn tagged(&mut self, ty: &Type, place: &str, loose: bool) {
        let suffix = suffix(ty);
        let copy = Writer::new(self.pool, Style::Defined).declare(ty, "t");
        let _ = match (self.way, loose) {
            (Way::Make, false) => write!(self.text, "make{suffix}(&{place}); "),
            (Way::Hash, false) => write!(self.text, "hash{suffix}(&{place}); "),
            (Way::Make, true) => {
                write!(self.text, "{{ {copy}; make{suffix}(&t); {place} = t; }} ")
            }
            (Way::Hash, true) => {
                write!(self.text, "{{ {copy} = {place}; hash{suffix}(&t); }} ")
            }
        };
    }
}

/// The function that is called: it hashes what it receives and makes its result.
fn callee(text: &mut String, writer: &mut Writer<'_>, case: &Case) {
    let head = writer.head(case, &format!("f{}", case.number), Tail::Untyped);
    let _ = writeln!(text, "{head} {{");
    if let Some(named) = case.named {
        let _ = writeln!(text, "__builtin_va_list l; __builtin_va_start(l, a{});", named - 1);
        for (at, ty) in case.params.iter().enumerate().skip(named) {
            let (variable, name) = (writer.declare(ty, &format!("a{at}")), writer.declare(ty, ""));
            let _ = writeln!(text, "{variable} = __builtin_va_arg(l, {name});");
        }
        text.push_str("__builtin_va_end(l);\n");
    }
    for (at, ty) in case.params.iter().enumerate() {
        let _ = writeln!(text, "hash{}(&a{at});", suffix(ty));
    }
    text.push_str("received();\n");
    if let Some(ty) = &case.result {
        let (variable, suffix) = (writer.declare(ty, "r"), suffix(ty));
        let _ = writeln!(text, "{variable}; make{suffix}(&r); return r;");
    }
    text.push_str("}\n");
}

/// The function that calls another through a pointer, and hashes the result.
fn caller(text: &mut String, writer: &mut Writer<'_>, case: &Case) {
    let pointer = writer.head(case, "(*f)", Tail::Untyped);
    let _ = writeln!(text, "void c{}({pointer}) {{", case.number);
    let mut arguments = Vec::new();
    for (at, ty) in case.params.iter().enumerate() {
        let (name, suffix) = (format!("a{at}"), suffix(ty));
        let _ = writeln!(text, "{}; make{suffix}(&{name});", writer.declare(ty, &name));
        arguments.push(name);
    }
    let call = format!("f({})", arguments.join(", "));
    let _ = match &case.result {
        Some(ty) => {
            writeln!(text, "{} = {call}; hash{}(&r);\n}}", writer.declare(ty, "r"), suffix(ty))
        }
        None => writeln!(text, "{call};\n}}"),
    };
}
