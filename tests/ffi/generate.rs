//! Random types and signatures.
//!
//! What compilers of one ABI pass in different ways is not made here, the crate refuses it:
//! `_Atomic` members, unnamed bit-fields in unions and in eightbytes of their own, bit-fields in
//! unions in packed records, over-aligned records without bytes. Flexible array members, arrays of no elements and records without
//! members are made for gcc alone, which is who the crate follows there.
use crate::rng::Rng;
use crate::types::{Facts, Field, MOST_WEIGHT, Record, SCALARS, Scalar, Type, named};

/// The most parameters of a function.
pub const MOST_PARAMS: usize = 20;
/// Scalars that are aligned to 16 bytes.
const LONGEST: Facts = Facts::LONG_DOUBLE.and(Facts::INT128).and(Facts::VECTOR);
/// Records may be nested so deeply.
const MOST_DEPTH: usize = 4;
/// About how large a record may be: twenty of them are passed at once.
const MOST_BULK: usize = 96;

/// Functions that share a library, and the types that they share.
#[derive(Debug)]
pub struct Batch {
    pub number: usize,
    pub records: Vec<Record>,
    pub cases: Vec<Case>,
}

/// One function.
#[derive(Debug)]
pub struct Case {
    /// In its batch.
    pub number: usize,
    /// `None` for `void`.
    pub result: Option<Type>,
    pub params: Vec<Type>,
    /// How many of them stand before `...`; `None` without one.
    pub named: Option<usize>,
    /// Whether its prototype holds the definitions of its types.
    pub inline: bool,
}

impl Case {
    /// What its types hold.
    pub fn facts(&self, records: &[Record]) -> Facts {
        let types = self.params.iter().chain(&self.result);
        types.fold(Facts::default(), |facts, ty| facts.and(ty.facts(records)))
    }

    /// Whether a wasm guest can call it: it has no pointers in records, and no union whose members
    /// one data model lays out differently from the other. Every `long` must then get a value that
    /// the guest's has too.
    pub fn suits_guests(&self, records: &[Record]) -> bool {
        self.params.iter().chain(&self.result).all(|ty| {
            let facts = ty.facts(records);
            let pointer_inside = facts.any(Facts::RECORD) && facts.any(Facts::POINTER);
            !pointer_inside && !facts.any(Facts::MODEL_UNION)
        })
    }
}

/// How large a batch is, and what is in it.
#[derive(Clone, Copy, Debug)]
pub struct Menu {
    /// Types with a tag.
    pub types: usize,
    pub cases: usize,
    /// Whether `__int128` may be among the types, and tails and members without bytes: of both
    /// clang has its own idea.
    pub gcc: bool,
}

/// Makes a batch.
pub fn batch(number: usize, menu: Menu, rng: &mut Rng) -> Batch {
    let Menu { types, cases, gcc } = menu;
    let mut maker = Maker { rng, records: special(gcc), gcc, names: 0 };
    while maker.records.len() < types {
        let record = maker.record();
        if record.bulk <= MOST_BULK && record.depth <= MOST_DEPTH {
            maker.records.push(record);
        }
    }
    let cases = (0..cases).map(|number| maker.case(number)).collect();
    Batch { number, records: maker.records, cases }
}

/// Records that try rules which chance seldom meets.
fn special(gcc: bool) -> Vec<Record> {
    let one = |spelling| Type::Scalar(named(spelling));
    let many = |spelling, length| Type::Array(Box::new(one(spelling)), length);
    let record = |is_union, types: Vec<Type>| {
        let field = |(at, ty)| Field { name: Some(format!("s{at}")), ty, bits: None, align: None };
        Record::new(is_union, types.into_iter().enumerate().map(field).collect(), &[])
    };
    let float2 = Type::Body(Box::new(record(false, vec![many("float", 2)])));
    let mut all = vec![
        record(false, vec![one("float"), one("float"), one("float")]),
        record(false, vec![one("double"), one("int")]),
        record(false, vec![one("int"), one("float"), one("double")]),
        record(false, vec![many("char", 17)]),
        record(false, vec![one("long double")]),
        record(false, vec![one("_Complex long double")]),
        record(false, vec![one("_Complex float"), one("float")]),
        record(false, vec![one("float"), one("_Complex float")]),
        record(false, vec![one(if gcc { "__int128" } else { "long long" })]),
        record(false, vec![one("vector_float_16")]),
        record(false, vec![Type::Array(Box::new(float2), 2)]),
        record(true, vec![one("long double"), one("int")]),
        record(true, vec![many("long", 2), one("long double")]),
        record(true, vec![one("double"), many("float", 2)]),
        record(false, vec![one("char"), one("double")]),
        record(false, vec![many("float", 4)]),
        record(false, vec![one("long")]),
    ];
    all[14].packed = true;
    all[15].align = Some(16);
    all[16].align = Some(64);
    if gcc {
        let tail = |spelling| Type::Tail(Box::new(one(spelling)));
        let empty = || Type::Body(Box::new(record(false, vec![])));
        all.extend([
            record(false, vec![one("float"), many("int", 0)]),
            record(false, vec![one("int"), tail("char")]),
            record(false, vec![one("long"), tail("long double")]),
            record(false, vec![]),
            record(false, vec![Type::Array(Box::new(empty()), 3), one("float")]),
            record(false, vec![one("int"), many("long double", 0)]),
        ]);
    }
    all.iter_mut().for_each(|record| record.sum_up(&[]));
    all
}

struct Maker<'r> {
    rng: &'r mut Rng,
    records: Vec<Record>,
    gcc: bool,
    names: usize,
}

impl Maker<'_> {
    fn name(&mut self) -> Option<String> {
        self.names += 1;
        Some(format!("f{}", self.names))
    }

    fn scalar(&mut self) -> usize {
        loop {
            let number = self.rng.below(SCALARS.len());
            let Scalar { weight, facts, .. } = SCALARS[number];
            let allowed = self.gcc || !facts.any(Facts::INT128);
            if allowed && self.rng.below(MOST_WEIGHT) < weight {
                return number;
            }
        }
    }

    /// The type of a member; in a packed record no bit-fields of unions.
    fn member(&mut self, depth: usize, packed: bool) -> Type {
        match self.rng.below(20) {
            0..=2 if depth < 3 => {
                let element = self.member(depth + 1, packed);
                let least = usize::from(!(self.gcc && self.rng.chance(1, 4)));
                Type::Array(Box::new(element), least * (1 + self.rng.below(4)))
            }
            3..=7 => {
                let number = self.rng.below(self.records.len());
                let record = &self.records[number];
                let refused = packed && record.facts.any(Facts::UNION_BIT_FIELD);
                if refused || record.depth >= MOST_DEPTH {
                    return Type::Scalar(self.scalar());
                }
                Type::Record(number)
            }
            9 if self.gcc && self.rng.chance(1, 3) => {
                Type::Body(Box::new(Record::new(false, Vec::new(), &self.records)))
            }
            8 if depth < 2 => Type::Body(Box::new(self.body(depth + 1, packed))),
            _ => Type::Scalar(self.scalar()),
        }
    }

    /// A record without a tag.
    fn body(&mut self, depth: usize, packed: bool) -> Record {
        let is_union = self.rng.chance(1, 3);
        let count = 1 + self.rng.below(3);
        let mut fields: Vec<Field> = Vec::new();
        for _ in 0..count {
            self.field(&mut fields, depth, packed, is_union);
        }
        self.finish(is_union, fields)
    }

    fn finish(&mut self, is_union: bool, fields: Vec<Field>) -> Record {
        let mut record = Record::new(is_union, fields, &self.records);
        // Mostly the largest member, which uses every byte.
        let by_size = |at: &usize| record.fields[*at].ty.bulk(&self.records);
        let largest = (0..record.fields.len()).max_by_key(by_size).expect("it has fields");
        let any = self.rng.below(record.fields.len());
        record.active = if self.rng.chance(2, 3) { largest } else { any };
        record
    }

    /// Adds a member, or two that belong together.
    fn field(&mut self, fields: &mut Vec<Field>, depth: usize, packed: bool, is_union: bool) {
        let bits_allowed = !(is_union && packed);
        if bits_allowed && self.rng.chance(1, 5) {
            self.bit_fields(fields, is_union);
            return;
        }
        let ty = self.member(depth, packed);
        let is_body = matches!(&ty, Type::Body(record) if !record.fields.is_empty());
        let name = if is_body && self.rng.chance(1, 2) { None } else { self.name() };
        // `_Alignas` may not lower what a type asks for; no scalar asks for more than 16.
        let raise = self.rng.chance(1, 25) && name.is_some();
        let alignas = matches!(ty, Type::Scalar(_)) && self.rng.chance(1, 2);
        let align = if !raise {
            None
        } else if alignas {
            Some((*self.rng.pick(&[16, 16, 32, 64]), true))
        } else {
            Some((*self.rng.pick(&[1, 2, 4, 8, 16, 32, 64]), false))
        };
        fields.push(Field { name, ty, bits: None, align });
    }

    fn bit_fields(&mut self, fields: &mut Vec<Field>, is_union: bool) {
        let number = loop {
            let number = self.scalar();
            if SCALARS[number].bits > 0 {
                break number;
            }
        };
        let widest = SCALARS[number].bits;
        let ty = Type::Scalar(number);
        let bit_field = |name, bits| Field { name, ty: ty.clone(), bits: Some(bits), align: None };
        let after_bits = fields.last().is_some_and(|field| field.bits.is_some());
        // `enum e : 3` is C23's way to name the type of an enum.
        let unnamed = !is_union && !SCALARS[number].spelling.starts_with("enum");
        let name = self.name();
        match self.rng.below(8) {
            // Ends the unit before it, or the record: a tail without a member.
            0 if unnamed && !fields.is_empty() => fields.push(bit_field(None, 0)),
            // In the byte of a member with a name, so that it is passed with it.
            1 if unnamed && !after_bits && widest >= 8 => {
                fields.push(bit_field(name, 5));
                fields.push(bit_field(None, 3));
            }
            _ => {
                // To GCC one that fills a whole integer is a plain member, which a packed record
                // around this one may leave unaligned: compilers pass that in different ways.
                let bits = match 1 + self.rng.below(widest) {
                    whole @ (16 | 32 | 64) => whole - 1,
                    bits => bits,
                };
                fields.push(bit_field(name, bits));
            }
        }
    }

    /// A record with a tag.
    fn record(&mut self) -> Record {
        let is_union = self.rng.chance(1, 5);
        let packed = self.rng.chance(1, 8);
        let most = *self.rng.pick(&[1, 2, 2, 3, 4, 8]);
        let count = 1 + self.rng.below(most);
        let mut fields: Vec<Field> = Vec::new();
        while fields.len() < count || fields.iter().all(|field| field.bits == Some(0)) {
            self.field(&mut fields, 0, packed, is_union);
        }
        let has_name = fields.iter().any(|field| field.name.is_some());
        if self.gcc && !is_union && has_name && self.rng.chance(1, 10) {
            let ty = Type::Tail(Box::new(Type::Scalar(self.scalar())));
            fields.push(Field { name: self.name(), ty, bits: None, align: None });
        }
        let mut record = self.finish(is_union, fields);
        record.packed = packed;
        if self.rng.chance(1, 10) {
            record.align = Some(*self.rng.pick(&[1, 2, 4, 8, 16, 32, 64]));
        }
        record.attributes_last = self.rng.chance(1, 2);
        record.sum_up(&self.records);
        record
    }

    /// The type of a parameter or result: a record every other time.
    fn value(&mut self) -> Type {
        if self.rng.chance(1, 2) {
            let ty = Type::Record(self.rng.below(self.records.len()));
            // Without bytes and aligned to more than the stack gcc disagrees with itself.
            if ty.bulk(&self.records) > 0 || !ty.facts(&self.records).any(Facts::ALIGNED) {
                return ty;
            }
        }
        Type::Scalar(self.scalar())
    }

    fn may_follow_dots(&self, ty: &Type) -> bool {
        match ty {
            Type::Scalar(number) => SCALARS[*number].promoted,
            // gcc 12's optimised `va_arg` takes it for granted that what fits in two integer
            // registers was saved at the alignment of its type, which may be 16.
            _ => {
                let facts = ty.facts(&self.records);
                let wide = facts.any(Facts::INT128.and(Facts::VECTOR));
                let unused = facts.any(Facts::UNION.and(Facts::HOLLOW));
                let wide = wide || facts.any(Facts::HOLLOW) && facts.any(LONGEST);
                let aligned = facts.any(Facts::ALIGNED) || unused && wide;
                ty.bulk(&self.records) > 16 || !aligned
            }
        }
    }

    fn case(&mut self, number: usize) -> Case {
        let result = if self.rng.chance(1, 6) { None } else { Some(self.value()) };
        let most = *self.rng.pick(&[3, 6, 8, MOST_PARAMS]);
        let count = self.rng.below(most + 1);
        let mut params: Vec<Type> = (0..count).map(|_| self.value()).collect();
        let mut named = None;
        if count > 1 && self.rng.chance(1, 5) {
            let before = 1 + self.rng.below(count.min(9) - 1);
            let tail = params.split_off(before);
            params.extend(tail.into_iter().filter(|ty| self.may_follow_dots(ty)));
            named = Some(before).filter(|before| *before < params.len());
        }
        Case { number, result, params, named, inline: self.rng.chance(1, 8) }
    }
}
