//! Reads what the C compiler wrote of its types: DWARF.
//!
//! Only variables of a compilation unit and their types; see [`header`](super::header) for which
//! variables there are.
use super::real::{Body, Member, Real, Records, Signature, keyword};
use anyhow::{Context as _, Result};
use gimli::{AttributeValue, DW_AT_type, DwTag, EndianSlice, RunTimeEndian, UnitOffset};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _};
use portcullis::signature::RecordKind;
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;

type Bytes<'a> = EndianSlice<'a, RunTimeEndian>;
type Dwarf<'a> = gimli::Dwarf<Bytes<'a>>;
type Unit<'a> = gimli::Unit<Bytes<'a>>;
type Entry<'a> = gimli::DebuggingInformationEntry<Bytes<'a>>;

/// The variables of an object file.
pub struct Variables {
    /// Their types.
    pub types: HashMap<String, Real>,
    /// Their sizes in bytes.
    pub sizes: HashMap<String, u64>,
    /// The structs and unions that the types lead to.
    pub records: Records,
    /// Names that C has for those: with a keyword, or a typedef for one without a tag.
    pub names: Vec<(String, usize)>,
}

/// Reads an object file.
pub fn read(file: &[u8]) -> Result<Variables> {
    let file = object::File::parse(file).context("the compiler's output is no object file")?;
    let sizes = file
        .symbols()
        .filter_map(|symbol| Some((symbol.name().ok()?.to_owned(), symbol.size())))
        .collect();
    let endian = if file.is_little_endian() { RunTimeEndian::Little } else { RunTimeEndian::Big };
    let mut sections = HashMap::new();
    for section in file.sections() {
        if let (Ok(name), Ok(data)) = (section.name(), section.uncompressed_data()) {
            sections.insert(name.to_owned(), data);
        }
    }
    let dwarf = Dwarf::load(|id| -> Result<Bytes<'_>> {
        let data = sections.get(id.name()).map_or(&[][..], Cow::as_ref);
        Ok(EndianSlice::new(data, endian))
    })?;
    let mut types = HashMap::new();
    let (mut records, mut names) = (Records::default(), Vec::new());
    let mut units = dwarf.units();
    while let Some(header) = units.next()? {
        let unit = dwarf.unit(header)?;
        let first = records.bodies.len();
        let reader = Reader { dwarf: &dwarf, unit: &unit, first, seen: RefCell::default() };
        let mut tree = unit.entries_tree(None)?;
        let mut children = tree.root()?.children();
        while let Some(child) = children.next()? {
            let entry = child.entry();
            if entry.tag() == gimli::DW_TAG_variable
                && let Some(name) = reader.name(entry)?
            {
                types.insert(name, reader.type_of(entry, 0)?);
            }
        }
        // Reading one finds others.
        let mut next = 0;
        while let Some(offset) = reader.record_to_read(next) {
            records.bodies.push(reader.body(offset)?);
            next += 1;
        }
        names.append(&mut reader.seen.borrow_mut().names);
    }
    names.sort_unstable();
    names.dedup();
    Ok(Variables { types, sizes, records, names })
}

/// One compilation unit.
struct Reader<'r, 'a> {
    dwarf: &'r Dwarf<'a>,
    unit: &'r Unit<'a>,
    /// The number of the first record of this unit.
    first: usize,
    seen: RefCell<Seen>,
}

/// The structs and unions that were found so far, in the order of their numbers.
#[derive(Default)]
struct Seen {
    offsets: Vec<UnitOffset>,
    numbers: HashMap<UnitOffset, usize>,
    names: Vec<(String, usize)>,
}

impl<'a> Reader<'_, 'a> {
    fn name(&self, entry: &Entry<'a>) -> Result<Option<String>> {
        let Some(value) = entry.attr_value(gimli::DW_AT_name) else { return Ok(None) };
        let name = self.dwarf.attr_string(self.unit, value)?;
        Ok(Some(name.to_string_lossy().into_owned()))
    }

    fn size(&self, entry: &Entry<'a>) -> u64 {
        self.number(entry, gimli::DW_AT_byte_size).unwrap_or(0)
    }

    fn number(&self, entry: &Entry<'a>, name: gimli::DwAt) -> Option<u64> {
        entry.attr_value(name)?.udata_value()
    }

    fn is_set(&self, entry: &Entry<'a>, flag: gimli::DwAt) -> bool {
        matches!(entry.attr_value(flag), Some(AttributeValue::Flag(true)))
    }

    /// The type that an entry refers to; `void` if it refers to none.
    fn type_of(&self, entry: &Entry<'a>, depth: u32) -> Result<Real> {
        match entry.attr_value(DW_AT_type) {
            Some(AttributeValue::UnitRef(offset)) => self.read(offset, depth + 1),
            Some(_) => Ok(Real::Other("(a type of another unit)".to_owned())),
            None => Ok(Real::Void),
        }
    }

    fn read(&self, offset: UnitOffset, depth: u32) -> Result<Real> {
        // Types of C are never that deep; those of a broken file may be a circle.
        const DEEPEST: u32 = 64;
        if depth > DEEPEST {
            return Ok(Real::Other("...".to_owned()));
        }
        let entry = self.unit.entry(offset)?;
        let of = |reader: &Self| reader.type_of(&entry, depth).map(Box::new);
        let name = self.name(&entry)?;
        Ok(match entry.tag() {
            gimli::DW_TAG_base_type => self.base(&entry, name.unwrap_or_default()),
            gimli::DW_TAG_unspecified_type => Real::Void,
            gimli::DW_TAG_enumeration_type => self.enumeration(&entry, name, depth)?,
            gimli::DW_TAG_pointer_type => Real::Pointer(of(self)?),
            gimli::DW_TAG_typedef => {
                let (name, of) = (name.unwrap_or_default(), of(self)?);
                if let Real::Record { tag: None, id, .. } = *of {
                    self.seen.borrow_mut().names.push((name.clone(), id));
                }
                Real::Typedef { name, of }
            }
            gimli::DW_TAG_subroutine_type => {
                Real::Function(Box::new(self.function(offset, depth)?))
            }
            gimli::DW_TAG_structure_type => self.record(RecordKind::Struct, name, offset),
            gimli::DW_TAG_union_type => self.record(RecordKind::Union, name, offset),
            gimli::DW_TAG_array_type => self.array(offset, depth)?,
            other => match qualifier(other) {
                Some(qualifier) => Real::Qualified { qualifier, of: of(self)? },
                None => Real::Other(name.unwrap_or_else(|| format!("({other})"))),
            },
        })
    }

    fn base(&self, entry: &Entry<'a>, name: String) -> Real {
        let size = self.size(entry);
        let encoding = match entry.attr_value(gimli::DW_AT_encoding) {
            Some(AttributeValue::Encoding(encoding)) => encoding,
            _ => return Real::Other(name),
        };
        match encoding {
            gimli::DW_ATE_boolean => Real::Bool,
            gimli::DW_ATE_float => Real::Float { name, size },
            gimli::DW_ATE_complex_float => Real::Complex { name: complex(name, size), size },
            gimli::DW_ATE_signed | gimli::DW_ATE_signed_char => {
                Real::Integer { name, size, signed: true }
            }
            gimli::DW_ATE_unsigned | gimli::DW_ATE_unsigned_char | gimli::DW_ATE_UTF => {
                Real::Integer { name, size, signed: false }
            }
            _ => Real::Other(name),
        }
    }

    /// A struct or union, to be read later.
    fn record(&self, kind: RecordKind, name: Option<String>, offset: UnitOffset) -> Real {
        let mut seen = self.seen.borrow_mut();
        let tag = tag(keyword(kind), name);
        let next = self.first + seen.offsets.len();
        let id = *seen.numbers.entry(offset).or_insert(next);
        if id == next {
            seen.offsets.push(offset);
            seen.names.extend(tag.clone().map(|tag| (tag, id)));
        }
        Real::Record { kind, tag, id }
    }

    fn record_to_read(&self, number: usize) -> Option<UnitOffset> {
        self.seen.borrow().offsets.get(number).copied()
    }

    /// What is in a struct or union; `None` if that is not known.
    fn body(&self, offset: UnitOffset) -> Result<Option<Body>> {
        let mut tree = self.unit.entries_tree(Some(offset))?;
        let root = tree.root()?;
        let entry = root.entry();
        if self.is_set(entry, gimli::DW_AT_declaration) {
            return Ok(None);
        }
        let size = self.size(entry);
        let align = self.number(entry, gimli::DW_AT_alignment);
        let mut members = Vec::new();
        let mut children = root.children();
        while let Some(child) = children.next()? {
            if child.entry().tag() == gimli::DW_TAG_member {
                members.push(self.member(child.entry())?);
            }
        }
        Ok(Some(Body { size, align, members }))
    }

    fn member(&self, entry: &Entry<'a>) -> Result<Member> {
        let ty = self.type_of(entry, 0)?;
        let number = |name| self.number(entry, name);
        let bits = number(gimli::DW_AT_bit_size);
        let byte = 8 * number(gimli::DW_AT_data_member_location).unwrap_or(0);
        // Before DWARF 4, bits were counted from the highest of a unit; some compilers still do.
        let at = match (bits, number(gimli::DW_AT_bit_offset)) {
            (Some(bits), Some(above)) => (byte + 8 * self.size(entry)).saturating_sub(above + bits),
            _ => number(gimli::DW_AT_data_bit_offset).unwrap_or(byte),
        };
        Ok(Member { name: self.name(entry)?, ty, at, bits })
    }

    /// An array or a vector.
    fn array(&self, offset: UnitOffset, depth: u32) -> Result<Real> {
        let mut tree = self.unit.entries_tree(Some(offset))?;
        let root = tree.root()?;
        let entry = root.entry();
        let mut ty = self.type_of(entry, depth)?;
        let is_vector = self.is_set(entry, gimli::DW_AT_GNU_vector);
        let mut lengths = Vec::new();
        let mut children = root.children();
        while let Some(child) = children.next()? {
            let range = child.entry();
            if range.tag() == gimli::DW_TAG_subrange_type {
                let last = self.number(range, gimli::DW_AT_upper_bound);
                let count = self.number(range, gimli::DW_AT_count);
                lengths.push(count.or_else(|| last?.checked_add(1)));
            }
        }
        if is_vector {
            let lane = match ty.bare() {
                Real::Integer { size, .. } | Real::Float { size, .. } => *size,
                _ => 0,
            };
            let lanes = lengths.first().copied().flatten().unwrap_or(0);
            return Ok(Real::Vector { lane: Box::new(ty), bytes: lane.saturating_mul(lanes) });
        }
        for length in lengths.into_iter().rev() {
            ty = Real::Array { element: Box::new(ty), length };
        }
        Ok(ty)
    }

    fn enumeration(&self, entry: &Entry<'a>, name: Option<String>, depth: u32) -> Result<Real> {
        let size = self.size(entry);
        let signed = match self.type_of(entry, depth)?.bare() {
            Real::Integer { signed, .. } => *signed,
            _ => false,
        };
        Ok(Real::Integer { name: tag("enum", name).unwrap_or("enum".to_owned()), size, signed })
    }

    fn function(&self, offset: UnitOffset, depth: u32) -> Result<Signature> {
        let mut tree = self.unit.entries_tree(Some(offset))?;
        let root = tree.root()?;
        let entry = root.entry();
        let mut signature = Signature {
            result: self.type_of(entry, depth)?,
            params: Vec::new(),
            variadic: false,
            prototyped: self.is_set(entry, gimli::DW_AT_prototyped),
        };
        let mut children = root.children();
        while let Some(child) = children.next()? {
            match child.entry().tag() {
                gimli::DW_TAG_formal_parameter => {
                    signature.params.push(self.type_of(child.entry(), depth)?);
                }
                gimli::DW_TAG_unspecified_parameters => signature.variadic = true,
                _ => {}
            }
        }
        // Parameters that nobody declared are marked like those of `...`.
        signature.variadic &= signature.prototyped;
        Ok(signature)
    }
}

/// A complex type as C spells it: GCC says `complex double`, clang `complex` of all of them.
fn complex(name: String, size: u64) -> String {
    match size {
        _ if name.contains("128") => name,
        8 => "float _Complex".to_owned(),
        16 => "double _Complex".to_owned(),
        32 => "long double _Complex".to_owned(),
        _ => name,
    }
}

fn tag(keyword: &str, name: Option<String>) -> Option<String> {
    name.map(|name| format!("{keyword} {name}"))
}

fn qualifier(tag: DwTag) -> Option<&'static str> {
    Some(match tag {
        gimli::DW_TAG_const_type => "const",
        gimli::DW_TAG_volatile_type => "volatile",
        gimli::DW_TAG_restrict_type => "restrict",
        gimli::DW_TAG_atomic_type => "_Atomic",
        _ => return None,
    })
}
