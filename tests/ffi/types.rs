//! C types as the generator knows them: scalars in a table, records in a pool.
//!
//! Sizes, offsets and classes are not known here: gcc has them, and the crate is asked for them.

/// The largest [`Scalar::weight`].
pub const MOST_WEIGHT: usize = 10;

/// A type that is no array and no record.
#[derive(Debug)]
pub struct Scalar {
    /// How C writes it after [`crate::c_text::PRELUDE`].
    pub spelling: &'static str,
    /// How a prototype without definitions writes it.
    pub inline: &'static str,
    pub fill: Fill,
    /// How many lanes, parts or bytes [`Scalar::fill`] is about.
    pub count: usize,
    /// Widest bit-field of it, under both data models; 0 for none.
    pub bits: usize,
    /// Whether it stays itself after `...`.
    pub promoted: bool,
    pub facts: Facts,
    /// How often it is chosen, at most [`MOST_WEIGHT`].
    pub weight: usize,
}

/// What the value of a scalar is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// Any bytes.
    Bytes,
    /// 0 or 1.
    Bool,
    /// Finite numbers: what is no number may be changed by those who convert.
    Floats,
    Doubles,
    /// Normal numbers of 10 bytes, 16 apart.
    LongDoubles,
}

impl Fill {
    /// The suffix of the functions that make and hash it.
    pub fn name(self) -> &'static str {
        match self {
            Fill::Bytes => "bytes",
            Fill::Bool => "bools",
            Fill::Floats => "floats",
            Fill::Doubles => "doubles",
            Fill::LongDoubles => "long_doubles",
        }
    }
}

/// What a type holds, anywhere in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts(pub u32);

impl Facts {
    pub const POINTER: Facts = Facts(1);
    /// `long`: ILP32 and LP64 differ.
    pub const LONG: Facts = Facts(1 << 1);
    pub const UNION: Facts = Facts(1 << 2);
    /// A union with members that ILP32 and LP64 lay out differently: nobody could convert it.
    pub const MODEL_UNION: Facts = Facts(1 << 3);
    pub const BIT_FIELD: Facts = Facts(1 << 4);
    /// Bit-fields in a union: in packed records compilers disagree about them.
    pub const UNION_BIT_FIELD: Facts = Facts(1 << 5);
    pub const PACKED: Facts = Facts(1 << 6);
    /// An alignment of its own.
    pub const ALIGNED: Facts = Facts(1 << 7);
    pub const VECTOR: Facts = Facts(1 << 8);
    pub const INT128: Facts = Facts(1 << 9);
    pub const LONG_DOUBLE: Facts = Facts(1 << 10);
    pub const COMPLEX: Facts = Facts(1 << 11);
    pub const ARRAY: Facts = Facts(1 << 12);
    pub const NESTED: Facts = Facts(1 << 13);
    pub const RECORD: Facts = Facts(1 << 14);
    pub const FLOATING: Facts = Facts(1 << 15);
    pub const INTEGER: Facts = Facts(1 << 16);
    /// Records in records in records in records.
    pub const DEPTH_4: Facts = Facts(1 << 17);
    /// Flexible array members.
    pub const FLEXIBLE: Facts = Facts(1 << 18);
    /// Arrays of no elements.
    pub const NO_ELEMENTS: Facts = Facts(1 << 19);
    /// Records without members.
    pub const EMPTY: Facts = Facts(1 << 20);
    /// What clang passes in other ways than gcc, here and there.
    pub const HOLLOW: Facts = Facts::FLEXIBLE.and(Facts::NO_ELEMENTS).and(Facts::EMPTY);

    /// With their names, for what the test says of its coverage.
    pub const NAMED: [(Facts, &'static str); 21] = [
        (Facts::POINTER, "pointers"),
        (Facts::LONG, "long"),
        (Facts::UNION, "unions"),
        (Facts::MODEL_UNION, "unions that depend on the data model"),
        (Facts::BIT_FIELD, "bit-fields"),
        (Facts::UNION_BIT_FIELD, "bit-fields in unions"),
        (Facts::PACKED, "packed records"),
        (Facts::ALIGNED, "over-aligned records and members"),
        (Facts::VECTOR, "vectors"),
        (Facts::INT128, "__int128"),
        (Facts::LONG_DOUBLE, "long double"),
        (Facts::COMPLEX, "complex"),
        (Facts::ARRAY, "arrays"),
        (Facts::NESTED, "records in records"),
        (Facts::RECORD, "records"),
        (Facts::FLOATING, "float and double"),
        (Facts::INTEGER, "integers"),
        (Facts::DEPTH_4, "records nested to depth 4"),
        (Facts::FLEXIBLE, "flexible array members"),
        (Facts::NO_ELEMENTS, "arrays of no elements"),
        (Facts::EMPTY, "records without members"),
    ];

    pub const fn and(self, other: Facts) -> Facts {
        Facts(self.0 | other.0)
    }

    pub fn add(&mut self, other: Facts) {
        self.0 |= other.0;
    }

    /// Whether it has one of `others`.
    pub fn any(self, others: Facts) -> bool {
        self.0 & others.0 != 0
    }
}

const NONE: Facts = Facts(0);

const fn scalar(spelling: &'static str, fill: Fill, count: usize) -> Scalar {
    Scalar {
        spelling,
        inline: spelling,
        fill,
        count,
        bits: 0,
        promoted: true,
        facts: NONE,
        weight: 3,
    }
}

/// An integer of `count` bytes and bit-fields of up to `bits` bits.
const fn integer(spelling: &'static str, count: usize, bits: usize) -> Scalar {
    let facts = Facts::INTEGER;
    Scalar { bits, promoted: count >= 4, facts, ..scalar(spelling, Fill::Bytes, count) }
}

const fn with(facts: Facts, scalar: Scalar) -> Scalar {
    Scalar { facts: facts.and(scalar.facts), ..scalar }
}

const fn float(spelling: &'static str, fill: Fill, weight: usize) -> Scalar {
    Scalar { facts: Facts::FLOATING, weight, ..scalar(spelling, fill, 1) }
}

const fn vector(spelling: &'static str, inline: &'static str, fill: Fill, count: usize) -> Scalar {
    Scalar { inline, facts: Facts::VECTOR, weight: 1, ..scalar(spelling, fill, count) }
}

/// Every scalar type, and vectors.
pub static SCALARS: [Scalar; 33] = [
    Scalar { bits: 1, promoted: false, facts: Facts::INTEGER, ..scalar("_Bool", Fill::Bool, 1) },
    integer("char", 1, 8),
    integer("signed char", 1, 8),
    integer("unsigned char", 1, 8),
    integer("short", 2, 16),
    integer("unsigned short", 2, 16),
    Scalar { weight: 8, ..integer("int", 4, 32) },
    integer("unsigned", 4, 32),
    Scalar { weight: 6, ..with(Facts::LONG, integer("long", 8, 32)) },
    with(Facts::LONG, integer("unsigned long", 8, 32)),
    integer("long long", 8, 64),
    integer("unsigned long long", 8, 64),
    with(Facts::INT128, integer("__int128", 16, 0)),
    with(Facts::INT128, integer("unsigned __int128", 16, 0)),
    with(Facts::POINTER, scalar("void *", Fill::Bytes, 8)),
    Scalar {
        inline: "enum unsigned_enum { UNSIGNED_ENUM = 1 }",
        ..integer("enum unsigned_enum", 4, 32)
    },
    Scalar {
        inline: "enum signed_enum { SIGNED_ENUM = -1 }",
        ..integer("enum signed_enum", 4, 32)
    },
    Scalar { promoted: false, ..float("float", Fill::Floats, 10) },
    float("double", Fill::Doubles, 10),
    with(Facts::LONG_DOUBLE, Scalar { weight: 6, ..scalar("long double", Fill::LongDoubles, 1) }),
    with(Facts::COMPLEX, scalar("_Complex float", Fill::Floats, 2)),
    with(Facts::COMPLEX, scalar("_Complex double", Fill::Doubles, 2)),
    with(
        Facts::COMPLEX.and(Facts::LONG_DOUBLE),
        scalar("_Complex long double", Fill::LongDoubles, 2),
    ),
    vector("vector_byte_16", "__attribute__((vector_size(16))) unsigned char", Fill::Bytes, 16),
    vector("vector_short_16", "__attribute__((vector_size(16))) short", Fill::Bytes, 16),
    vector("vector_int_16", "__attribute__((vector_size(16))) int", Fill::Bytes, 16),
    vector("vector_long_16", "__attribute__((vector_size(16))) long long", Fill::Bytes, 16),
    vector("vector_float_16", "__attribute__((vector_size(16))) float", Fill::Floats, 4),
    vector("vector_double_16", "__attribute__((vector_size(16))) double", Fill::Doubles, 2),
    vector("__m128", "__m128", Fill::Floats, 4),
    vector("__m128i", "__m128i", Fill::Bytes, 16),
    vector("vector_byte_8", "__attribute__((vector_size(8))) unsigned char", Fill::Bytes, 8),
    vector("vector_float_8", "__attribute__((vector_size(8))) float", Fill::Floats, 2),
];

/// The number of the scalar that C writes so.
pub fn named(spelling: &str) -> usize {
    let found = SCALARS.iter().position(|scalar| scalar.spelling == spelling);
    found.unwrap_or_else(|| panic!("no scalar `{spelling}`"))
}

/// A type.
#[derive(Clone, Debug)]
pub enum Type {
    /// Of [`SCALARS`].
    Scalar(usize),
    /// Of the pool of a batch, which has its tag.
    Record(usize),
    /// A record without a tag, inside another.
    Body(Box<Record>),
    Array(Box<Type>, usize),
    /// A flexible array member.
    Tail(Box<Type>),
}

/// A struct or union.
#[derive(Clone, Debug)]
pub struct Record {
    pub is_union: bool,
    pub fields: Vec<Field>,
    pub packed: bool,
    pub align: Option<usize>,
    /// Whether its attributes stand behind its body.
    pub attributes_last: bool,
    /// The member of a union that holds the value.
    pub active: usize,
    pub depth: usize,
    /// About how large it is.
    pub bulk: usize,
    pub facts: Facts,
}

/// A member of a record.
#[derive(Clone, Debug)]
pub struct Field {
    /// `None` for a member without a name.
    pub name: Option<String>,
    pub ty: Type,
    pub bits: Option<usize>,
    /// An alignment of its own, and whether `_Alignas` says so.
    pub align: Option<(usize, bool)>,
}

/// The tagged records of a batch.
pub type Pool = [Record];

impl Type {
    pub fn facts(&self, pool: &Pool) -> Facts {
        match self {
            Type::Scalar(number) => SCALARS[*number].facts,
            Type::Record(number) => pool[*number].facts,
            Type::Body(record) => record.facts,
            Type::Array(element, 0) => element.facts(pool).and(Facts::NO_ELEMENTS),
            Type::Array(element, _) => element.facts(pool).and(Facts::ARRAY),
            Type::Tail(element) => element.facts(pool).and(Facts::FLEXIBLE),
        }
    }

    /// How many records are nested in it.
    pub fn depth(&self, pool: &Pool) -> usize {
        match self {
            Type::Scalar(_) => 0,
            Type::Record(number) => pool[*number].depth,
            Type::Body(record) => record.depth,
            Type::Array(element, _) | Type::Tail(element) => element.depth(pool),
        }
    }

    /// About how many bytes it has.
    pub fn bulk(&self, pool: &Pool) -> usize {
        match self {
            Type::Scalar(number) => match SCALARS[*number].fill {
                Fill::Bytes | Fill::Bool => SCALARS[*number].count,
                Fill::Floats => 4 * SCALARS[*number].count,
                Fill::Doubles => 8 * SCALARS[*number].count,
                Fill::LongDoubles => 16 * SCALARS[*number].count,
            },
            Type::Record(number) => pool[*number].bulk,
            Type::Body(record) => record.bulk,
            Type::Array(element, length) => element.bulk(pool) * length,
            Type::Tail(_) => 0,
        }
    }
}

impl Record {
    /// With everything else that follows from its fields.
    pub fn new(is_union: bool, fields: Vec<Field>, pool: &Pool) -> Record {
        let mut record = Record {
            is_union,
            fields,
            packed: false,
            align: None,
            attributes_last: false,
            active: 0,
            depth: 0,
            bulk: 0,
            facts: NONE,
        };
        record.sum_up(pool);
        record
    }

    /// Computes depth, bulk and facts anew.
    pub fn sum_up(&mut self, pool: &Pool) {
        let mut facts = Facts::RECORD;
        if self.fields.is_empty() {
            facts.add(Facts::EMPTY);
        }
        (self.depth, self.bulk) = (1, 0);
        let mut depends = false;
        for field in &self.fields {
            let inner = field.ty.facts(pool);
            facts.add(inner);
            if inner.any(Facts::RECORD) {
                facts.add(Facts::NESTED);
            }
            depends |= inner.any(Facts::LONG.and(Facts::POINTER));
            if field.bits.is_some() {
                facts.add(Facts::BIT_FIELD);
                if self.is_union {
                    facts.add(Facts::UNION_BIT_FIELD);
                }
            }
            if field.align.is_some() {
                facts.add(Facts::ALIGNED);
            }
            self.depth = self.depth.max(1 + field.ty.depth(pool));
            let align = field.align.map_or(1, |(align, _)| align);
            let bulk = field.ty.bulk(pool).next_multiple_of(align);
            self.bulk = if self.is_union { self.bulk.max(bulk) } else { self.bulk + bulk };
        }
        self.bulk = self.bulk.next_multiple_of(self.align.unwrap_or(1));
        if self.is_union {
            facts.add(Facts::UNION);
            if depends {
                facts.add(Facts::MODEL_UNION);
            }
        }
        if self.packed {
            facts.add(Facts::PACKED);
        }
        if self.align.is_some() {
            facts.add(Facts::ALIGNED);
        }
        if self.depth >= 4 {
            facts.add(Facts::DEPTH_4);
        }
        self.facts = facts;
    }
}
