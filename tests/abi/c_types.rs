//! Random C types: as the crate has them, and as text for a C compiler, which is written here and
//! not by the crate's printer, so that a mistake in one of the two shows.
use crate::hollow::FIRST;
use portcullis::plan::layout::{Target, extent_of, record_on, scalar_of};
use portcullis::signature::{
    Enum, Expr, ExprKind, Field, Float, Function, Ident, Integer, Param, Qualifiers, Record,
    RecordBody, RecordKind, Scope, Span, Type, TypeKind, Variadic, parse_declaration,
};
use std::fmt::Write as _;
use std::sync::Arc;

/// SplitMix64: enough for tests, the same everywhere.
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).expect("fits")).expect("fits")
    }

    /// True once in `n` times.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// Where random choices start: the same in every run, unless `PORTCULLIS_SEED` says otherwise.
pub fn seed() -> u64 {
    match std::env::var("PORTCULLIS_SEED") {
        Ok(seed) => seed.parse().expect("PORTCULLIS_SEED is a number"),
        Err(_) => 2,
    }
}

pub fn ty(kind: TypeKind) -> Type {
    Type {
        kind,
        quals: Qualifiers::default(),
        notes: Vec::new(),
        alias: None,
        span: Span::default(),
    }
}

pub fn ident(name: &str) -> Ident {
    Ident { name: Arc::from(name), span: Span::default() }
}

pub const INTEGERS: [(Integer, &str); 13] = [
    (Integer::Char, "char"),
    (Integer::SignedChar, "signed char"),
    (Integer::UnsignedChar, "unsigned char"),
    (Integer::Short, "short"),
    (Integer::UnsignedShort, "unsigned short"),
    (Integer::Int, "int"),
    (Integer::UnsignedInt, "unsigned"),
    (Integer::Long, "long"),
    (Integer::UnsignedLong, "unsigned long"),
    (Integer::LongLong, "long long"),
    (Integer::UnsignedLongLong, "unsigned long long"),
    (Integer::Int128, "__int128"),
    (Integer::UnsignedInt128, "unsigned __int128"),
];

const FLOATS: [(Float, &str); 3] =
    [(Float::Float, "float"), (Float::Double, "double"), (Float::LongDouble, "long double")];

/// Lanes of vectors, with the names that [`PRELUDE`] gives them.
const LANES: [(TypeKind, &str); 4] = [
    (TypeKind::Integer(Integer::UnsignedChar), "byte"),
    (TypeKind::Integer(Integer::Int), "int"),
    (TypeKind::Float(Float::Float), "float"),
    (TypeKind::Float(Float::Double), "double"),
];

/// What every generated file starts with.
pub const PRELUDE: &str = "\
enum unsigned_enum { UNSIGNED_ENUM = 1 };
enum signed_enum { SIGNED_ENUM = -1 };
typedef unsigned char vector_byte_8 __attribute__((vector_size(8)));
typedef unsigned char vector_byte_16 __attribute__((vector_size(16)));
typedef int vector_int_8 __attribute__((vector_size(8)));
typedef int vector_int_16 __attribute__((vector_size(16)));
typedef float vector_float_8 __attribute__((vector_size(8)));
typedef float vector_float_16 __attribute__((vector_size(16)));
typedef double vector_double_16 __attribute__((vector_size(16)));
";

/// The spelling of `name` declared as `ty`.
pub fn declare(ty: &Type, name: &str) -> String {
    let atomic = if ty.quals.is_atomic { "_Atomic " } else { "" };
    let base = match &ty.kind {
        TypeKind::Void => "void".to_owned(),
        TypeKind::Bool => "_Bool".to_owned(),
        TypeKind::Integer(kind) => spelling(&INTEGERS, *kind).to_owned(),
        TypeKind::Float(kind) => spelling(&FLOATS, *kind).to_owned(),
        TypeKind::Complex(kind) => format!("_Complex {}", spelling(&FLOATS, *kind)),
        TypeKind::Vector { lane, bytes } => {
            let (_, lane) = LANES.iter().find(|(kind, _)| *kind == lane.kind).expect("a lane");
            format!("vector_{lane}_{bytes}")
        }
        TypeKind::Enum(e) => format!("enum {}", e.tag.as_ref().expect("has a tag")),
        TypeKind::Pointer(_) => return format!("void *{atomic}{name}"),
        TypeKind::Record(record @ Record { tag: Some(tag), .. }) => {
            format!("{} {tag}", keyword(record))
        }
        TypeKind::Record(record) => body(record),
        TypeKind::Array { element, length } => {
            let length = match length {
                None => String::new(),
                Some(Expr { kind: ExprKind::Integer(length), .. }) => length.to_string(),
                Some(_) => panic!("the generator only makes constants"),
            };
            return declare(element, &format!("{name}[{length}]"));
        }
        TypeKind::Function(_) => panic!("the generator makes no functions"),
    };
    format!("{atomic}{base} {name}")
}

fn spelling<T: PartialEq>(table: &[(T, &'static str)], kind: T) -> &'static str {
    table.iter().find(|(k, _)| *k == kind).expect("in the table").1
}

fn keyword(record: &Record) -> &'static str {
    match record.kind {
        RecordKind::Struct => "struct",
        RecordKind::Union => "union",
    }
}

/// `struct tag { ... }` with its attributes.
pub fn body(record: &Record) -> String {
    let body = record.body.as_ref().expect("has a body");
    let mut text = format!("{} ", keyword(record));
    if body.packed {
        text.push_str("__attribute__((packed)) ");
    }
    if let Some(align) = body.align {
        let _ = write!(text, "__attribute__((aligned({align}))) ");
    }
    if let Some(tag) = &record.tag {
        let _ = write!(text, "{tag} ");
    }
    text.push_str("{ ");
    for field in &body.fields {
        let name = field.name.as_ref().map_or("", |name| &name.name);
        text.push_str(&declare(&field.ty, name));
        if let Some(bits) = field.bits {
            let _ = write!(text, ":{bits}");
        }
        if let Some(align) = field.align {
            let _ = write!(text, " __attribute__((aligned({align})))");
        }
        text.push_str("; ");
    }
    text.push('}');
    text
}

/// What the generator may use.
#[derive(Clone, Copy)]
pub struct Menu {
    /// Bit-fields, named and not.
    pub bit_fields: bool,
    /// Unnamed bit-fields, whose bits no ABI passes.
    pub unnamed_bit_fields: bool,
    /// `packed` and `aligned`.
    pub attributes: bool,
    /// `_Atomic` members.
    pub atomics: bool,
    /// `__int128`, `long double`, complex types and vectors.
    pub wide: bool,
    /// The most fields of a record.
    pub fields: usize,
    /// Empty records, arrays of no elements, flexible array members.
    pub hollow: bool,
    /// Pointers; `unsigned char` instead of them if not.
    pub pointers: bool,
}

/// Makes random records.
pub struct Generator {
    pub rng: Rng,
    pub menu: Menu,
    /// The special ones and those made so far, each complete before its first use.
    pub records: Vec<Record>,
    names: usize,
}

impl Generator {
    pub fn new(seed: u64, menu: Menu) -> Self {
        Generator { rng: Rng(seed), menu, records: SPECIAL.map(parse).to_vec(), names: 0 }
    }

    /// The definitions of all records so far.
    pub fn definitions(&self) -> String {
        let mut text = PRELUDE.to_owned();
        for record in &self.records {
            text.push_str(&body(record));
            text.push_str(";\n");
        }
        text
    }

    fn name(&mut self) -> Ident {
        self.names += 1;
        ident(&format!("f{}", self.names))
    }

    pub fn integer(&mut self) -> Type {
        let few = if self.menu.wide { INTEGERS.len() } else { 11 };
        let kind = self.rng.below(few);
        ty(TypeKind::Integer(INTEGERS[kind].0))
    }

    pub fn scalar(&mut self) -> Type {
        let wide = self.menu.wide;
        match self.rng.below(if wide { 14 } else { 11 }) {
            0 => ty(TypeKind::Bool),
            1 if self.menu.pointers => ty(TypeKind::Pointer(Box::new(ty(TypeKind::Void)))),
            1 => ty(TypeKind::Integer(Integer::UnsignedChar)),
            2 => self.enumeration(),
            3 | 4 => ty(TypeKind::Float(Float::Float)),
            5 | 6 => ty(TypeKind::Float(Float::Double)),
            7..=10 => self.integer(),
            11 => ty(TypeKind::Float(Float::LongDouble)),
            12 => {
                let part = self.rng.pick(&FLOATS).0;
                ty(TypeKind::Complex(part))
            }
            _ => {
                let lane = LANES[self.rng.below(LANES.len())].0.clone();
                let double = lane == TypeKind::Float(Float::Double);
                let bytes = if double { 16 } else { self.rng.pick(&[8, 16]) };
                ty(TypeKind::Vector { lane: Box::new(ty(lane)), bytes })
            }
        }
    }

    fn enumeration(&mut self) -> Type {
        let (tag, underlying) = self
            .rng
            .pick(&[("unsigned_enum", Integer::UnsignedInt), ("signed_enum", Integer::Int)]);
        let tag = Some(ident(tag));
        ty(TypeKind::Enum(Arc::new(Enum { tag, underlying, constants: Vec::new() })))
    }

    /// A scalar, an array or a record.
    fn member(&mut self, depth: usize) -> Type {
        match self.rng.below(10) {
            0 if depth < 3 => {
                let element = self.member(depth + 1);
                let least = usize::from(!self.menu.hollow);
                let length = i128::try_from(least + self.rng.below(4)).expect("small");
                let length = Expr { kind: ExprKind::Integer(length), span: Span::default() };
                ty(TypeKind::Array { element: Box::new(element), length: Some(length) })
            }
            1 if !self.records.is_empty() => {
                let index = self.rng.below(self.records.len());
                ty(TypeKind::Record(self.records[index].clone()))
            }
            _ => self.scalar(),
        }
    }

    fn field(&mut self, depth: usize) -> Field {
        if self.menu.bit_fields && self.rng.once_in(4) {
            return self.bit_field();
        }
        if depth < 2 && self.rng.once_in(12) {
            let record = self.anonymous(depth + 1);
            return Field { name: None, ty: ty(TypeKind::Record(record)), bits: None, align: None };
        }
        let mut of = self.member(0);
        let simple = !matches!(of.kind, TypeKind::Array { .. } | TypeKind::Record(_));
        of.quals.is_atomic = simple
            && !matches!(of.kind, TypeKind::Vector { .. })
            && self.menu.atomics
            && self.rng.once_in(10);
        let aligned = self.menu.attributes && self.rng.once_in(12);
        let align = if aligned { Some(self.rng.pick(&[2, 4, 8, 16, 32])) } else { None };
        Field { name: Some(self.name()), ty: of, bits: None, align }
    }

    fn bit_field(&mut self) -> Field {
        // `long` is left out: a width that fits one data model may not fit the other.
        let of = match self.rng.below(6) {
            0 => ty(TypeKind::Bool),
            1 => self.enumeration(),
            _ => loop {
                let of = self.integer();
                let odd = [
                    Integer::Long,
                    Integer::UnsignedLong,
                    Integer::Int128,
                    Integer::UnsignedInt128,
                ];
                if !odd.iter().any(|kind| of.kind == TypeKind::Integer(*kind)) {
                    break of;
                }
            },
        };
        let widest = match &of.kind {
            TypeKind::Bool => 1,
            TypeKind::Integer(Integer::Short | Integer::UnsignedShort) => 16,
            TypeKind::Integer(Integer::LongLong | Integer::UnsignedLongLong) => 64,
            TypeKind::Enum(_) | TypeKind::Integer(Integer::Int | Integer::UnsignedInt) => 32,
            _ => 8,
        };
        let unnamed = self.menu.unnamed_bit_fields && self.rng.once_in(5);
        let least = usize::from(!unnamed);
        let bits = u32::try_from(least + self.rng.below(widest + 1 - least)).expect("small");
        let name = if unnamed { None } else { Some(self.name()) };
        Field { name, ty: of, bits: Some(bits), align: None }
    }

    fn anonymous(&mut self, depth: usize) -> Record {
        let kind = if self.rng.once_in(2) { RecordKind::Struct } else { RecordKind::Union };
        let fields = (0..1 + self.rng.below(3)).map(|_| self.field(depth)).collect();
        let body = RecordBody { fields, packed: false, align: None };
        Record { kind, tag: None, body: Some(Arc::new(body)) }
    }

    /// A new record, appended to [`Generator::records`].
    pub fn record(&mut self) -> Record {
        let kind = if self.rng.once_in(5) { RecordKind::Union } else { RecordKind::Struct };
        let least = usize::from(!self.menu.hollow || !self.rng.once_in(20));
        let count = least + self.rng.below(self.menu.fields);
        let mut fields: Vec<Field> = (0..count).map(|_| self.field(0)).collect();
        let named = fields.iter().any(|field| field.name.is_some());
        let struct_ = kind == RecordKind::Struct;
        if self.menu.hollow && struct_ && named && self.rng.once_in(12) {
            let element = Box::new(self.scalar());
            let of = ty(TypeKind::Array { element, length: None });
            fields.push(Field { name: Some(self.name()), ty: of, bits: None, align: None });
        }
        let attributes = self.menu.attributes;
        let packed = attributes && self.rng.once_in(8);
        let aligned = attributes && self.rng.once_in(10);
        let align = if aligned { Some(self.rng.pick(&[1, 2, 4, 8, 16, 32, 64])) } else { None };
        let tag = Some(ident(&format!("r{}", self.records.len())));
        let body = RecordBody { fields, packed, align };
        let record = Record { kind, tag, body: Some(Arc::new(body)) };
        self.records.push(record.clone());
        record
    }
}

/// A type of a parameter or result.
pub fn value(generator: &mut Generator) -> Type {
    let record = match generator.rng.below(8) {
        0 => generator.rng.below(SPECIAL.len()),
        1..4 => generator.rng.below(generator.records.len()),
        4 if generator.menu.hollow => FIRST + generator.rng.below(SPECIAL.len() - FIRST),
        _ => return generator.scalar(),
    };
    ty(TypeKind::Record(generator.records[record].clone()))
}

/// Records that try rules which chance seldom meets: they come first in [`Generator::records`].
const SPECIAL: [&str; 26] = [
    "union s0 { long double a; long b[2]; }",
    "union s1 { float a; long double b; }",
    "union s2 { long a; long double b; }",
    "union s3 { struct { long double a; } b; __int128 c; }",
    "struct s4 { long double a; }",
    "struct s5 { long double _Complex a; }",
    "struct s6 { float _Complex a; float b; }",
    "struct s7 { float a; float _Complex b; }",
    "struct s8 { int a; float b; double c; }",
    "struct s9 { __int128 a; }",
    "struct __attribute__((aligned(16))) s10 { long a; }",
    "struct s11 { long a __attribute__((aligned(16))); }",
    "struct __attribute__((aligned(16))) s12 { float a, b, c, d; }",
    "struct __attribute__((packed)) s13 { char a; double b; }",
    "struct s14 { struct { float a[2]; } b[2]; }",
    "union s15 { double a; float b[2]; }",
    "struct s16 { long double a __attribute__((aligned(32))), b; }",
    "struct s17 { float a; int b[0]; }",
    "struct s18 { int a; char b[]; }",
    "struct s19 { long a; long double b[]; }",
    "struct s20 { }",
    "struct s21 { struct { } a[3]; float b; }",
    "struct s22 { double a; double b[0]; }",
    "struct s23 { float a; struct { int b[0]; } c; }",
    "struct s24 { int a; struct { int b[5]; } c[0]; }",
    "struct s25 { struct { float a; short b[]; } c; }",
];

/// The record that a declaration defines.
fn parse(declaration: &str) -> Record {
    let prototype = parse_declaration(&format!("void f({declaration} x)"), &Scope::default());
    let prototype = prototype.unwrap_or_else(|errors| panic!("{errors}"));
    match &prototype.function.params[0].ty.kind {
        TypeKind::Record(record) => record.clone(),
        _ => panic!("{declaration} is no record"),
    }
}

/// What C promotes in a variadic tail.
fn is_promoted(of: &Type) -> bool {
    match scalar_of(of) {
        Some(scalar) if scalar.is_float() => of.kind == TypeKind::Float(Float::Float),
        Some(scalar) => scalar.host_size() < 4,
        None => false,
    }
}

/// A random signature. What follows `...` is as C promotes it.
pub fn signature(generator: &mut Generator) -> Function {
    let void = generator.rng.once_in(5);
    let result = if void { ty(TypeKind::Void) } else { value(generator) };
    let most = generator.rng.pick(&[4, 8, 8, 20]);
    let count = generator.rng.below(most);
    let param = |of| Param { name: None, ty: of, span: Span::default() };
    let mut params: Vec<Param> = (0..count).map(|_| param(value(generator))).collect();
    let mut variadic = Variadic::No;
    if count > 1 && generator.rng.once_in(4) {
        let tail = params.split_off(1).into_iter().map(|param| param.ty);
        variadic = Variadic::Typed(tail.filter(|of| !is_promoted(of)).collect());
    }
    Function { result, params, variadic }
}

/// The types of all parameters, those of a typed tail after the named ones.
pub fn types(function: &Function) -> Vec<&Type> {
    let tail: &[Type] = match &function.variadic {
        Variadic::Typed(tail) => tail,
        Variadic::No | Variadic::Untyped(_) => &[],
    };
    function.params.iter().map(|param| &param.ty).chain(tail).collect()
}

/// What `sizeof` says; zero of `void`.
pub fn size(of: &Type, target: Target) -> usize {
    if of.kind == TypeKind::Void {
        return 0;
    }
    let extent = extent_of(of, &Scope::default(), target).expect("laid out");
    usize::try_from(extent.size).expect("small")
}

/// The bits of a value that mean something: all but padding.
pub fn meaning(of: &Type, target: Target, base: usize, bits: &mut [u8]) {
    let scope = Scope::default();
    let bytes = size(of, target);
    match &of.kind {
        // On x86-64; other targets use all 16 bytes, of which this is a part.
        TypeKind::Float(Float::LongDouble) => bits[base..base + 10].fill(0xff),
        TypeKind::Complex(Float::LongDouble) => {
            bits[base..base + 10].fill(0xff);
            bits[base + 16..base + 26].fill(0xff);
        }
        TypeKind::Array { element, length } => {
            let Some(Expr { kind: ExprKind::Integer(length), .. }) = length else { return };
            for index in 0..usize::try_from(*length).expect("small") {
                meaning(element, target, base + index * size(element, target), bits);
            }
        }
        TypeKind::Record(record) => {
            let (_, places) = record_on(record, Span::default(), &scope, target).expect("laid out");
            let body = record.body.as_ref().expect("has a body");
            for (field, place) in body.fields.iter().zip(places) {
                let offset = base + usize::try_from(place.offset).expect("small");
                match place.bits {
                    None => {
                        let flexible =
                            matches!(field.ty.kind, TypeKind::Array { length: None, .. });
                        if !flexible {
                            meaning(&field.ty, target, offset, bits);
                        }
                    }
                    Some(_) if field.name.is_none() => {}
                    Some(range) => {
                        for bit in range.shift..range.shift + range.width {
                            bits[offset + usize::try_from(bit / 8).expect("small")] |=
                                1 << (bit % 8);
                        }
                    }
                }
            }
        }
        _ => bits[base..base + bytes].fill(0xff),
    }
}
