//! What types of pointed-to data are made of, read with code of its own: bytes, pointers, ranges.
use super::super::demand::{Reader, Reading, has};
use super::super::moves::{Bytes, Origin, lay, plain};
use crate::plan::Plan;
use crate::plan::layout::{
    DataModel, Extent, Place, Scalar, Target as Memory, extent_of, record_on, scalar_of,
};
use crate::plan::moves::MoveKind;
use crate::plan::op::{Direction, Width};
use crate::signature::{
    Expr, Note, NoteKind, Prototype, Record, RecordBody, RecordKind, Scope, Type, TypeKind,
    Variadic,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A prototype's data, as this module reads it.
pub(in super::super) struct Data<'p> {
    pub(in super::super) reader: Reader,
    pub(in super::super) leaf: bool,
    pub(super) prototype: &'p Prototype,
    pub(super) types: Vec<&'p Type>,
    /// The records that the prototype has bodies of, and those that its interface has.
    pub(in super::super) scope: Scope,
}

/// The record whose fields expressions may name, and its offsets.
#[derive(Clone)]
pub(super) struct Owner {
    pub(super) body: Arc<RecordBody>,
    pub(super) guest: u64,
    pub(super) host: u64,
    pub(super) record: Record,
}

/// What an object is made of.
#[derive(Default)]
pub(super) struct Members<'t> {
    pub(super) bytes: Bytes,
    pub(super) pointers: Vec<Member<'t>>,
    pub(super) ranged: Vec<Member<'t>>,
    /// Which way the bytes of single fields go that do not go both ways, by their offsets on the host.
    pub(super) ways: BTreeMap<u64, Direction>,
    /// The host has fields that the guest has not.
    missing: bool,
}

pub(super) struct Member<'t> {
    pub(super) guest: u64,
    pub(super) host: u64,
    pub(super) ty: &'t Type,
    pub(super) owner: Option<Owner>,
}

impl<'p> Data<'p> {
    pub(in super::super) fn new(plan: &'p Plan, reader: Reader) -> Data<'p> {
        let function = &plan.prototype.function;
        let tail = match &function.variadic {
            Variadic::Typed(tail) => tail.as_slice(),
            Variadic::No | Variadic::Untyped(_) => &[],
        };
        let types: Vec<&Type> = function.params.iter().map(|p| &p.ty).chain(tail).collect();
        let mut scope = Scope::default();
        let mut next: Vec<&Type> = types.iter().copied().chain([&function.result]).collect();
        let add = |record: &Record, scope: &mut Scope| {
            let (Some(tag), Some(body)) = (&record.tag, &record.body) else { return };
            let key = (record.kind, Arc::clone(&tag.name));
            scope.records.entry(key).or_insert_with(|| Arc::clone(body));
        };
        while let Some(ty) = next.pop() {
            match &ty.kind {
                TypeKind::Pointer(inner) => next.push(inner),
                TypeKind::Array { element, .. } => next.push(element),
                TypeKind::Record(record) => {
                    let known = scope.records.len();
                    add(record, &mut scope);
                    let is_new = record.tag.is_none() || scope.records.len() > known;
                    if let Some(body) = record.body.as_ref().filter(|_| is_new) {
                        next.extend(body.fields.iter().map(|field| &field.ty));
                    }
                }
                _ => {}
            }
        }
        for record in &plan.records {
            add(record, &mut scope);
        }
        let prototype = &*plan.prototype;
        Data { reader, leaf: plan.facts.leaf, prototype, types, scope }
    }

    pub(in super::super) fn body(&self, record: &Record) -> Option<Arc<RecordBody>> {
        let known = || {
            let tag = record.tag.as_ref()?;
            self.scope.records.get(&(record.kind, Arc::clone(&tag.name)))
        };
        record.body.as_ref().or_else(known).map(Arc::clone)
    }

    pub(super) fn extents(&self, ty: &Type) -> Reading<(Extent, Extent)> {
        let on = |memory| extent_of(ty, &self.scope, memory).map_err(|error| error.to_string());
        Ok((on(Memory::Guest(self.reader.model))?, on(Memory::Host(self.reader.abi))?))
    }

    /// Whether the data is the same bytes on both sides, as the host has it.
    pub(in super::super) fn same_bytes(&self, ty: &Type, read: bool) -> Option<Extent> {
        if ty.kind == TypeKind::Void {
            return Some(Extent { size: 1, align: 1 });
        }
        let (guest, host) = self.extents(ty).ok()?;
        let mut members = Members::default();
        if scalar_of(ty).is_some() {
            let mut plain = ty.clone();
            plain.quals = crate::signature::Qualifiers::default();
            self.members(&plain, 0, 0, None, &mut members).ok()?;
            return self.same(&members, read).filter(|()| guest.size == host.size).map(|()| host);
        }
        self.members(ty, 0, 0, None, &mut members).ok()?;
        self.same(&members, read).filter(|()| guest.size == host.size).map(|()| host)
    }

    fn same(&self, members: &Members<'_>, read: bool) -> Option<()> {
        let stays = |(at, origin): (&u64, &Origin)| match origin {
            Origin::Plain { memory, .. } => memory == at,
            Origin::Converted { kind: MoveKind::Bool, memory, .. } => memory == at && !read,
            Origin::Converted { .. } => false,
        };
        let plain = members.pointers.is_empty() && members.ranged.is_empty() && !members.missing;
        (plain && members.bytes.iter().all(stays)).then_some(())
    }

    pub(super) fn members<'t>(
        &self,
        ty: &'t Type,
        guest: u64,
        host: u64,
        owner: Option<&Owner>,
        all: &mut Members<'t>,
    ) -> Reading<()> {
        if ty.quals.is_atomic {
            return Err("`_Atomic` data".to_owned());
        }
        let member = || Member { guest, host, ty, owner: owner.cloned() };
        if !ranges(ty).is_empty() {
            all.ranged.push(member());
        }
        match &ty.kind {
            TypeKind::Pointer(_) => {
                all.pointers.push(member());
                Ok(())
            }
            TypeKind::Complex(part) => {
                let part = Scalar::Float(*part);
                let size = u64::from(part.host_size());
                self.reader.scalar_origins(part, guest, host, &mut all.bytes)?;
                self.reader.scalar_origins(part, guest + size, host + size, &mut all.bytes)
            }
            TypeKind::Vector { bytes, .. } => plain(guest, host, (*bytes).into(), &mut all.bytes),
            TypeKind::Array { length: None, .. } => Err("an array without a length".to_owned()),
            TypeKind::Array { element, .. } => {
                let ((small, one), (_, whole)) = (self.extents(element)?, self.extents(ty)?);
                for index in 0..whole.size.checked_div(one.size).unwrap_or(0) {
                    let (guest, host) = (guest + index * small.size, host + index * one.size);
                    self.members(element, guest, host, owner, all)?;
                }
                Ok(())
            }
            TypeKind::Record(record) => {
                let Some(body) = &record.body else {
                    // The body is found by the tag; a copy of it cannot be borrowed from.
                    return Err("a struct whose body stands elsewhere".to_owned());
                };
                self.record(record, body, ty, (guest, host), owner, all)
            }
            TypeKind::Void | TypeKind::Function(_) => Err("a member that is no value".to_owned()),
            TypeKind::Bool | TypeKind::Integer(_) | TypeKind::Float(_) | TypeKind::Enum(_) => {
                let scalar = scalar_of(ty).ok_or("a member that is no value")?;
                self.reader.scalar_origins(scalar, guest, host, &mut all.bytes)
            }
        }
    }

    fn record<'t>(
        &self,
        record: &Record,
        body: &'t Arc<RecordBody>,
        ty: &Type,
        (guest, host): (u64, u64),
        owner: Option<&Owner>,
        all: &mut Members<'t>,
    ) -> Reading<()> {
        let places = |memory| {
            let laid_out = record_on(record, ty.span, &self.scope, memory);
            laid_out.map(|(_, places)| places).map_err(|error| error.to_string())
        };
        let kept: Vec<Place> = places(Memory::Guest(self.reader.model))?;
        let found: Vec<Place> = places(Memory::Host(self.reader.abi))?;
        let own = Owner { body: Arc::clone(body), guest, host, record: record.clone() };
        let is_union = record.kind == RecordKind::Union;
        let pointers = all.pointers.len();
        let mut laid = Bytes::new();
        for ((field, kept), found) in body.fields.iter().zip(kept).zip(found) {
            if has(&field.ty, &NoteKind::Private) && owner.is_some() {
                return Err("a boxed object inside of other data".to_owned());
            }
            if has(&field.ty, &NoteKind::HostOnly) || has(&field.ty, &NoteKind::Private) {
                all.missing = true;
                continue;
            }
            let mut bytes = Bytes::new();
            if let Some(bits) = found.bits {
                if field.name.is_none() {
                    continue;
                }
                if kept.bits != found.bits {
                    return Err("bit-fields that differ".to_owned());
                }
                let set: u128 = ((1 << bits.width) - 1) << bits.shift;
                for (byte, mask) in (0..).zip(set.to_le_bytes()).filter(|(_, mask)| *mask != 0) {
                    let memory = guest + kept.offset + byte;
                    bytes.insert(host + found.offset + byte, Origin::Plain { memory, mask });
                }
            } else {
                // The fields of a record without a name are those of the one around it.
                let around = match owner {
                    Some(owner) if self.is_unnamed_in(owner, record) => owner.clone(),
                    _ => own.clone(),
                };
                let before = std::mem::take(&mut all.bytes);
                let at = (guest + kept.offset, host + found.offset);
                self.members(&field.ty, at.0, at.1, Some(&around), all)?;
                bytes = std::mem::replace(&mut all.bytes, before);
            }
            if owner.is_none() && field.ty.pointee().is_none() {
                let way = match (has(&field.ty, &NoteKind::In), has(&field.ty, &NoteKind::Out)) {
                    (true, _) => Direction::In,
                    (false, true) => Direction::Out,
                    (false, false) => Direction::InOut,
                };
                if way != Direction::InOut {
                    all.ways.extend(bytes.keys().map(|at| (*at, way)));
                }
            }
            for (at, origin) in bytes {
                lay(&mut laid, at, origin, is_union)?;
            }
        }
        if is_union && all.pointers.len() > pointers {
            return Err("a pointer in a union".to_owned());
        }
        all.bytes.extend(laid);
        Ok(())
    }

    /// Whether `record` is a member without a name of the owner, or of such a member.
    fn is_unnamed_in(&self, owner: &Owner, record: &Record) -> bool {
        fn within(body: &RecordBody, record: &Record) -> bool {
            body.fields.iter().filter(|field| field.name.is_none()).any(|field| {
                match &field.ty.kind {
                    TypeKind::Record(inner) => {
                        let same = match (&inner.body, &record.body) {
                            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                            _ => false,
                        };
                        same || inner.body.as_ref().is_some_and(|body| within(body, record))
                    }
                    _ => false,
                }
            })
        }
        within(&owner.body, record)
    }

    /// Whether a pointer from native code leads to data that is taken by its shape.
    pub(in super::super) fn is_shaped(&self, ty: &Type) -> bool {
        let Some(pointee) = ty.pointee() else { return false };
        match &pointee.kind {
            TypeKind::Function(_) | TypeKind::Void => false,
            TypeKind::Record(record) => self.body(record).is_some(),
            TypeKind::Pointer(_) => true,
            _ => {
                let same = self.same_bytes(pointee, false);
                same.is_none() || !ranges(pointee).is_empty()
            }
        }
    }

    pub(in super::super) fn is_data(&self, record: &Record) -> bool {
        self.body(record).is_some()
    }

    /// Offset on one side and type of a field that an expression may name.
    pub(in super::super) fn field(
        &self,
        record: &Record,
        name: &str,
        memory: Memory,
    ) -> Option<(u64, Type)> {
        let body = self.body(record)?;
        let (_, places) = record_on(record, self.prototype.span, &self.scope, memory).ok()?;
        body.fields.iter().zip(places).find_map(|(field, place)| {
            match (&field.name, &field.ty.kind) {
                (Some(own), _) if *own.name == *name => {
                    let there = place.bits.is_none() && !has(&field.ty, &NoteKind::HostOnly);
                    there.then(|| (place.offset, field.ty.clone()))
                }
                (None, TypeKind::Record(inner)) => {
                    let (offset, ty) = self.field(inner, name, memory)?;
                    Some((place.offset + offset, ty))
                }
                _ => None,
            }
        })
    }

    pub(in super::super) fn width(&self, ty: &Type) -> Option<Width> {
        self.reader.width(scalar_of(ty)?, DataModel::Lp64)
    }
}

/// The `__range`s of a type.
pub(super) fn ranges(ty: &Type) -> Vec<(&Expr, &Expr)> {
    let range = |note| match note {
        &Note { kind: NoteKind::Range(ref low, ref high), .. } => Some((low, high)),
        _ => None,
    };
    ty.notes.iter().filter_map(range).collect()
}
