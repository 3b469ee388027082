//! Native code that does all that its prototype allows: it reads every byte that it was promised, writes
//! every byte that it may, follows every pointer, and returns what its annotations say.
//!
//! It is written from the prototype, the host's layouts and the C ABI alone: it knows nothing of ops. What it
//! cannot reach, or finds to be something else than the prototype says, is a trespass.
use super::machine::{Memory, NATIVE, What, drawn, whole};
use crate::fuzzing::prototypes::ByTag;
use crate::fuzzing::source::Source;
use crate::plan::HandleTypes;
use crate::plan::abi::{Abi, Assignment, Location, Value};
use crate::plan::cookie;
use crate::plan::layout::{Scalar, Target, extent_of, record_on, scalar_of};
use crate::signature::{
    BinaryOp, Builtin, Expr, ExprKind, Function, Integer, NoteKind, Record, RecordBody, RecordKind,
    Scope, Type, TypeKind, UnaryOp, Variadic,
};
use std::collections::HashMap;
use std::sync::Arc;

mod produce;
mod value;

use value::reads_result;

/// How far native code goes: data may be long, or circular.
const MOST_ELEMENTS: u64 = 64;
const MOST_DEPTH: u32 = 6;

/// A running native function.
pub struct Native<'p, 's, 'a> {
    pub function: &'p Function,
    pub scope: &'p Scope,
    pub abi: Abi,
    pub assignment: &'p Assignment,
    pub memory: &'s mut Memory,
    pub source: &'s mut Source<'a>,
    /// The bodies of the prototype's own records: inside of them they are mentioned by their tags alone.
    bodies: HashMap<(RecordKind, Arc<str>), Arc<RecordBody>>,
    /// What each argument is.
    pub arguments: Vec<Vec<u8>>,
    /// The result, when there is one.
    pub result: Option<i128>,
    /// It is data of the library, not a function: what it points at is there.
    pub is_data: bool,
    /// Addresses of closures.
    pub closures: Vec<u64>,
    /// Ranges that native code may write to, and of what they are: scalars in the guest's memory.
    writable: Vec<(u64, u64)>,
    /// Strings that it only reads.
    texts: Vec<(u64, u64)>,
    /// What it writes when it has looked at everything.
    outputs: Vec<(u64, Type, u64)>,
}

/// The object whose fields an expression may name.
#[derive(Clone, Copy)]
pub struct Within<'t> {
    record: &'t Record,
    at: u64,
}

impl<'p, 's, 'a> Native<'p, 's, 'a> {
    pub fn new(
        (function, scope, abi): (&'p Function, &'p Scope, Abi),
        assignment: &'p Assignment,
        memory: &'s mut Memory,
        source: &'s mut Source<'a>,
    ) -> Native<'p, 's, 'a> {
        Native {
            function,
            scope,
            abi,
            assignment,
            memory,
            source,
            bodies: bodies(function),
            arguments: Vec::new(),
            result: None,
            is_data: false,
            closures: Vec::new(),
            writable: Vec::new(),
            texts: Vec::new(),
            outputs: Vec::new(),
        }
    }

    fn types(&self) -> Vec<&'p Type> {
        let tail: &[Type] = match &self.function.variadic {
            Variadic::Typed(tail) => tail,
            Variadic::No | Variadic::Untyped(_) => &[],
        };
        self.function.params.iter().map(|param| &param.ty).chain(tail).collect()
    }

    /// Runs: `bytes` reads what an argument travels in.
    pub fn run(&mut self, argument: impl Fn(&Memory, &Value) -> Vec<u8>) {
        let (assignment, types) = (self.assignment, self.types());
        self.arguments =
            assignment.params.iter().map(|value| argument(self.memory, value)).collect();
        for (index, ty) in types.iter().enumerate() {
            let bytes = self.arguments[index].clone();
            self.scalar(ty, &bytes);
            if let TypeKind::Pointer(_) = ty.kind {
                let value = whole(&bytes, false) as u64;
                self.pointer(ty, value, None, 0);
            }
        }
        // What it writes may be what it has still to read.
        for (at, len) in std::mem::take(&mut self.writable) {
            let mut bytes = self.memory.read(at, len.min(256), "what is to be written");
            for byte in &mut bytes {
                *byte = self.source.byte() | 1;
            }
            self.memory.write(at, &bytes, "native code");
        }
        for (at, unit) in std::mem::take(&mut self.texts) {
            self.ends(at, 0, unit, unit, "a string after native code has written");
        }
        for (at, ty, elements) in std::mem::take(&mut self.outputs) {
            let size = self.size(&ty);
            for element in 0..elements {
                self.produce(&ty, at + element * size, None, 0);
            }
        }
    }

    /// Scalars are what their types can be.
    fn scalar(&self, ty: &Type, bytes: &[u8]) {
        if ty.kind == TypeKind::Bool {
            assert!(bytes[0] <= 1, "trespass: a `bool` is {}", bytes[0]);
        }
    }

    pub fn size(&self, ty: &Type) -> u64 {
        match &ty.kind {
            TypeKind::Void => 1,
            TypeKind::Record(record) if record.body.is_none() => {
                self.body(record).map_or(0, |body| {
                    let whole = Record { body: Some(body), ..record.clone() };
                    record_on(&whole, ty.span, self.scope, Target::Host(self.abi))
                        .map_or(0, |(extent, _)| extent.size)
                })
            }
            _ => extent_of(ty, self.scope, Target::Host(self.abi)).map_or(0, |extent| extent.size),
        }
    }

    fn body(&self, record: &Record) -> Option<Arc<RecordBody>> {
        record.body.clone().or_else(|| {
            let key = (record.kind, record.tag.as_ref()?.name.clone());
            self.scope.records.get(&key).or_else(|| self.bodies.get(&key)).cloned()
        })
    }

    fn is_opaque(&self, record: &Record) -> bool {
        self.body(record).is_none()
    }

    fn is_boxed(&self, record: &Record) -> bool {
        record.tag.as_ref().is_some_and(|tag| {
            let notes = self.scope.record_notes.get(&(record.kind, tag.name.clone()));
            notes.is_some_and(|notes| notes.iter().any(|note| note.kind == NoteKind::Boxed))
        })
    }

    /// Whether there are pointers in values of a type, which contain none of themselves but behind pointers.
    fn has_pointers(&self, ty: &Type) -> bool {
        match &ty.kind {
            TypeKind::Pointer(_) => true,
            TypeKind::Array { element, .. } => self.has_pointers(element),
            TypeKind::Record(record) => {
                self.fields(record).iter().any(|(ty, _)| self.has_pointers(ty))
            }
            _ => false,
        }
    }

    /// The fields of a record, and where they are.
    fn fields(&self, record: &Record) -> Vec<(Type, crate::plan::layout::Place)> {
        let Some(body) = self.body(record) else { return Vec::new() };
        let whole = Record { body: Some(body.clone()), ..record.clone() };
        let places = record_on(&whole, Default::default(), self.scope, Target::Host(self.abi));
        let Ok((_, places)) = places else { return Vec::new() };
        body.fields.iter().map(|field| field.ty.clone()).zip(places).collect()
    }

    /// A pointer that native code was given.
    fn pointer(&mut self, ty: &Type, value: u64, within: Option<Within<'_>>, depth: u32) {
        let Some(pointee) = ty.pointee() else { return };
        let has = |kind: &NoteKind| ty.has(|note| note == kind);
        if has(&NoteKind::Cookie) || ty.has(|note| matches!(note, NoteKind::Closure(_))) {
            assert!(cookie::to_guest(value).is_some(), "trespass: {value:#x} is no cookie");
            return;
        }
        // A string that goes in and comes out may be none.
        let in_cell = depth == 1 && within.is_none() && pointee.quals.is_const;
        let nullable = has(&NoteKind::Nullable) || in_cell;
        match &pointee.kind {
            TypeKind::Function(_) => {
                assert!(
                    value == 0 && nullable || self.closures.contains(&value),
                    "trespass: {value:#x} is no function"
                );
                return;
            }
            TypeKind::Record(record) if self.is_opaque(record) => {
                if value == 0 {
                    assert!(nullable, "trespass: a handle is NULL");
                    return;
                }
                let found = self.memory.handles.values().any(|object| {
                    object.pointer == value && object.alive && object.kind == ByTag.number(record)
                });
                assert!(found, "trespass: {value:#x} is no live `{ty}`");
                return;
            }
            TypeKind::Record(record) if self.is_boxed(record) && depth == 0 => {
                if value != 0 {
                    let size = self.size(pointee);
                    assert_eq!(
                        self.memory.what(value, size),
                        Some(What::Object),
                        "trespass: `{ty}`"
                    );
                }
                return;
            }
            _ => {}
        }
        let size = self.size(pointee);
        let terminated = has(&NoteKind::NullTerminated)
            || !ty.notes.iter().any(|note| {
                matches!(
                    note.kind,
                    NoteKind::CountedBy(_)
                        | NoteKind::SizedBy(_)
                        | NoteKind::CountedByOrNull(_)
                        | NoteKind::Single
                )
            }) && pointee.quals.is_const
                && pointee.kind == TypeKind::Integer(Integer::Char);
        let by_field = ty.notes.iter().find_map(|note| match &note.kind {
            NoteKind::TerminatedBy(field) => Some(field.clone()),
            _ => None,
        });
        let mut or_null = nullable;
        let count = ty.notes.iter().find_map(|note| match &note.kind {
            NoteKind::CountedBy(e) => Some((e, false, 1)),
            NoteKind::CountedByOrNull(e) => {
                or_null = true;
                Some((e, false, 1))
            }
            NoteKind::SizedBy(e) => Some((e, true, size.max(1))),
            _ => None,
        });
        let elements = match count {
            _ if terminated || by_field.is_some() => None,
            Some((e, bytes, unit)) => {
                let Some(units) = self.value(e, within) else {
                    // Of what comes out only the end of the call knows how much there is.
                    assert!(
                        value == 0 && or_null || reads_result(e),
                        "trespass: `{ty}` has no extent"
                    );
                    return;
                };
                let Ok(units) = u64::try_from(units) else {
                    assert!(value == 0 && or_null, "trespass: `{ty}` has {units} elements");
                    return;
                };
                if bytes && matches!(pointee.kind, TypeKind::Void) {
                    Some(units)
                } else {
                    Some(units / unit)
                }
            }
            None => Some(1),
        };
        if value == 0 {
            assert!(or_null || elements == Some(0), "trespass: `{ty}` is NULL");
            return;
        }
        let (reads, writes) = direction(ty);
        let elements = match elements {
            Some(elements) => elements,
            None => {
                let (offset, bytes) = match by_field.as_ref().zip(record_of(pointee)) {
                    Some((field, record)) => self
                        .field(record, &field.name)
                        .map_or((0, size), |(ty, at)| (at, self.size(&ty))),
                    None => (0, size),
                };
                let elements = self.ends(value, offset, bytes, size, "an array that ends");
                if self.memory.what(value, 1) == Some(What::Guest) && !writes {
                    self.texts.push((value, size));
                }
                elements
            }
        };
        let len = elements.saturating_mul(size);
        if len == 0 {
            return;
        }
        let what = self.memory.what(value, len);
        assert!(what.is_some(), "trespass: `{ty}`: {len} bytes at {value:#x}");
        let pointers = self.has_pointers(pointee);
        if reads && !pointers && what != Some(What::Frame) {
            self.memory.read(value, len, "native code");
        }
        if writes {
            assert!(what != Some(What::Kept), "trespass: native code writes to what is kept");
            if what == Some(What::Guest) {
                assert!(!pointers, "trespass: native pointers in the guest's memory");
                let keeps_end = if terminated { size } else { 0 };
                self.writable.push((value, len - keeps_end));
            } else if !terminated && by_field.is_none() {
                self.outputs.push((value, pointee.clone(), elements.min(MOST_ELEMENTS)));
            }
        }
        if reads && pointers && depth < MOST_DEPTH {
            let linked = if terminated { elements - 1 } else { elements };
            for element in 0..linked.min(MOST_ELEMENTS) {
                self.follow(pointee, value + element * size, depth + 1);
            }
        }
    }

    /// The pointers in a value in memory.
    fn follow(&mut self, ty: &Type, at: u64, depth: u32) {
        match &ty.kind {
            TypeKind::Pointer(_) => {
                let value = self.memory.integer(at, 8, false, "a pointer in data") as u64;
                self.pointer(ty, value, None, depth);
            }
            TypeKind::Array { element, .. } => {
                let (whole, one) = (self.size(ty), self.size(element).max(1));
                for index in 0..(whole / one).min(8) {
                    self.follow(element, at + index * one, depth);
                }
            }
            TypeKind::Record(record) if record.kind == crate::signature::RecordKind::Struct => {
                for (field, place) in self.fields(record) {
                    let at_field = at + place.offset;
                    if let TypeKind::Pointer(_) = field.kind {
                        let value = self.memory.integer(at_field, 8, false, "a field") as u64;
                        self.pointer(&field, value, Some(Within { record, at }), depth);
                    } else if self.has_pointers(&field) {
                        self.follow(&field, at_field, depth);
                    }
                }
            }
            _ => {}
        }
    }

    /// How many elements there are up to and with the one whose bytes are zero.
    fn ends(&self, at: u64, offset: u64, bytes: u64, size: u64, why: &str) -> u64 {
        let mut elements = 0;
        loop {
            let field = self.memory.read(at + elements * size + offset, bytes, why);
            elements += 1;
            if field.iter().all(|byte| *byte == 0) {
                return elements;
            }
        }
    }

    fn field(&self, record: &Record, name: &str) -> Option<(Type, u64)> {
        let body = self.body(record)?;
        let fields = self.fields(record);
        let index =
            body.fields.iter().position(|f| f.name.as_ref().is_some_and(|n| &*n.name == name));
        match index {
            Some(index) => fields.get(index).map(|(ty, place)| (ty.clone(), place.offset)),
            // In a record without a name.
            None => fields.iter().find_map(|(ty, place)| match &ty.kind {
                TypeKind::Record(inner) => {
                    self.field(inner, name).map(|(ty, at)| (ty, place.offset + at))
                }
                _ => None,
            }),
        }
    }
}

/// Whether no native address can be meant by a value.
pub fn is_guests(value: u64) -> bool {
    !(NATIVE..1 << 63).contains(&value)
}

fn record_of(ty: &Type) -> Option<&Record> {
    match &ty.kind {
        TypeKind::Record(record) => Some(record),
        _ => None,
    }
}

/// Whether native code reads what is behind a pointer, and whether it writes there.
fn direction(ty: &Type) -> (bool, bool) {
    for note in &ty.notes {
        match note.kind {
            NoteKind::In => return (true, false),
            NoteKind::Out => return (false, true),
            NoteKind::Inout => return (true, true),
            _ => {}
        }
    }
    let Some(pointee) = ty.pointee() else { return (true, false) };
    if pointee.quals.is_const {
        return (true, false);
    }
    let terminated = ty.has(|note| *note == NoteKind::NullTerminated);
    match pointee.kind {
        TypeKind::Pointer(_) if terminated => (true, false),
        TypeKind::Pointer(_) => (false, true),
        _ => (true, true),
    }
}

/// The bodies of all records of a function's types.
fn bodies(function: &Function) -> HashMap<(RecordKind, Arc<str>), Arc<RecordBody>> {
    let mut found = HashMap::new();
    let mut next: Vec<&Type> = function.params.iter().map(|param| &param.ty).collect();
    next.push(&function.result);
    if let Variadic::Typed(tail) = &function.variadic {
        next.extend(tail);
    }
    while let Some(ty) = next.pop() {
        match &ty.kind {
            TypeKind::Pointer(inner) | TypeKind::Array { element: inner, .. } => next.push(inner),
            TypeKind::Record(record) => {
                let Some(body) = &record.body else { continue };
                if let Some(tag) = &record.tag {
                    found.insert((record.kind, tag.name.clone()), body.clone());
                }
                next.extend(body.fields.iter().map(|field| &field.ty));
            }
            TypeKind::Function(function) => {
                next.extend(function.params.iter().map(|param| &param.ty));
                next.push(&function.result);
            }
            _ => {}
        }
    }
    found
}
