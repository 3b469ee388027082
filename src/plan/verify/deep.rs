//! Data behind pointers: which arguments must be copied, and whether the plan's shapes are those of
//! their types. Read from the prototype alone, with code of its own: members are compared byte by
//! byte, pointers by what their types and annotations say, counts by what they mean.
use super::boxed::Objects;
use super::demand::{
    Argument, Elements, Incoming, Reader, Reading, counted, find, has, is_text, name_of,
};
use super::error::Fault;
use super::meaning::{Names, Tree};
use super::moves::{Bytes, Origin, lay, plain};
use super::written::What;
use super::{Checked, Scene, Verifier};
use crate::plan::Plan;
use crate::plan::layout::{
    DataModel, Extent, Place, Scalar, Target as Memory, extent_of, record_on, scalar_of,
};
use crate::plan::moves::MoveKind;
use crate::plan::op::{At, DeepOp, Direction, Null, Operand, Width};
use crate::plan::shape::{Link, Reach, Target, Test};
use crate::signature::{
    Expr, ExprKind, Note, NoteKind, Prototype, Record, RecordBody, RecordKind, Scope, Type,
    TypeKind, Variadic,
};
use std::sync::Arc;

/// What the ops of copied data have done so far.
pub(super) struct Copies {
    /// Where the address of the copy of a parameter is.
    places: Vec<Option<At>>,
    /// The type that each shape was found to be of.
    types: Vec<Option<Type>>,
    roots: Vec<bool>,
    /// Roots that are copied before the call.
    copied: Vec<u16>,
    settled: bool,
    committed: bool,
    pub(super) objects: Objects,
}

impl Copies {
    pub(super) fn new(plan: &Plan, params: usize) -> Copies {
        Copies {
            places: vec![None; params],
            types: vec![None; plan.shapes.len()],
            roots: vec![false; plan.roots.len()],
            copied: Vec::new(),
            settled: false,
            committed: false,
            objects: Objects::new(params),
        }
    }
}

/// A prototype's data, as this module reads it.
pub(super) struct Data<'p> {
    pub(super) reader: Reader,
    pub(super) leaf: bool,
    prototype: &'p Prototype,
    types: Vec<&'p Type>,
    /// The records that the prototype has bodies of, and those that its interface has.
    pub(super) scope: Scope,
}

/// The record whose fields expressions may name, and its offset on the host.
#[derive(Clone)]
struct Owner {
    body: Arc<RecordBody>,
    host: u64,
    record: Record,
}

/// What an object is made of.
#[derive(Default)]
struct Members<'t> {
    bytes: Bytes,
    pointers: Vec<Member<'t>>,
    ranged: Vec<Member<'t>>,
    /// The host has fields that the guest has not.
    missing: bool,
}

struct Member<'t> {
    guest: u64,
    host: u64,
    ty: &'t Type,
    owner: Option<Owner>,
}

impl<'p> Data<'p> {
    pub(super) fn new(plan: &'p Plan, reader: Reader) -> Data<'p> {
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

    pub(super) fn body(&self, record: &Record) -> Option<Arc<RecordBody>> {
        let known = || {
            let tag = record.tag.as_ref()?;
            self.scope.records.get(&(record.kind, Arc::clone(&tag.name)))
        };
        record.body.as_ref().or_else(known).map(Arc::clone)
    }

    fn extents(&self, ty: &Type) -> Reading<(Extent, Extent)> {
        let on = |memory| extent_of(ty, &self.scope, memory).map_err(|error| error.to_string());
        Ok((on(Memory::Guest(self.reader.model))?, on(Memory::Host(self.reader.abi))?))
    }

    /// Whether the data is the same bytes on both sides, as the host has it.
    fn same_bytes(&self, ty: &Type, read: bool) -> Option<Extent> {
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

    fn members<'t>(
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
        let own = Owner { body: Arc::clone(body), host, record: record.clone() };
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

    /// Whether an expression of the prototype reads what a parameter points at.
    fn is_read(&self, index: usize) -> bool {
        let param = self.prototype.function.params.get(index);
        let Some(name) = param.and_then(|param| param.name.as_ref()) else { return false };
        let result = &self.prototype.function.result;
        let mut notes: Vec<&Note> = self.prototype.notes.iter().collect();
        for ty in self.types.iter().copied().chain([result]) {
            let mut next = Some(ty);
            while let Some(ty) = next {
                notes.extend(&ty.notes);
                next = ty.pointee();
            }
        }
        notes.into_iter().any(|note| match &note.kind {
            NoteKind::CountedBy(e)
            | NoteKind::SizedBy(e)
            | NoteKind::CountedByOrNull(e)
            | NoteKind::Requires(e)
            | NoteKind::Value(e)
            | NoteKind::ConsumesIf(e)
            | NoteKind::Remember(_, e)
            | NoteKind::OnTrap(e) => reads(e, &name.name),
            NoteKind::Range(low, high) => reads(low, &name.name) || reads(high, &name.name),
            _ => false,
        })
    }

    /// Whether nothing in the guest's memory changes through any other parameter.
    fn is_alone(&self, index: usize) -> bool {
        self.leaf
            && self.types.iter().enumerate().all(|(other, ty)| {
                let Some(pointee) = ty.pointee().filter(|_| other != index) else { return true };
                match &pointee.kind {
                    TypeKind::Function(_) => true,
                    TypeKind::Record(record) if self.body(record).is_none() => true,
                    TypeKind::Pointer(_) => is_cell(ty, pointee),
                    TypeKind::Void => pointee.quals.is_const,
                    _ => {
                        let mut members = Members::default();
                        let read = self.members(pointee, 0, 0, None, &mut members);
                        pointee.quals.is_const && read.is_ok() && members.pointers.is_empty()
                    }
                }
            })
    }

    /// How a pointer parameter must be made, unless it is one that this module does not know.
    pub(super) fn argument(&self, index: usize) -> Reading<Option<Argument<'p>>> {
        let ty = self.types[index];
        let Some(pointee) = ty.pointee() else { return Ok(None) };
        let cookie = |kind: &NoteKind| matches!(kind, NoteKind::Cookie | NoteKind::Closure(_));
        if ty.notes.iter().any(|note| cookie(&note.kind)) {
            return Ok(None);
        }
        let inward = !has(ty, &NoteKind::Out);
        let ranged = !ranges(pointee).is_empty();
        let writable = !pointee.quals.is_const;
        let nullable = has(ty, &NoteKind::Nullable);
        let null = if nullable { Null::Allowed } else { Null::Refused };
        let copied = Ok(Some(Argument::Copied));
        let terminated = find(ty, |kind| match kind {
            NoteKind::TerminatedBy(_) => Some(()),
            _ => None,
        });
        let buffer = |extent: Extent| -> Reading<Option<Argument<'p>>> {
            let (count, null, size) = match counted(ty) {
                None => (Elements::One, null, extent.size),
                Some((note, by_bytes)) => {
                    let or_null = matches!(note, NoteKind::CountedByOrNull(_));
                    let null = match (has(ty, &NoteKind::Nonnull), or_null) {
                        (true, _) => Null::Refused,
                        (false, true) => Null::Allowed,
                        (false, false) => Null::IfEmpty,
                    };
                    let size = if by_bytes { 1 } else { extent.size };
                    (Elements::Counted(super::demand::count_of(note)?), null, size)
                }
            };
            Ok(Some(Argument::Buffer { count, size, align: extent.align, null, writable }))
        };
        match &pointee.kind {
            TypeKind::Function(_) => Ok(None),
            TypeKind::Record(record) if self.body(record).is_none() => Ok(None),
            TypeKind::Record(_) => {
                let same = self.same_bytes(pointee, inward).filter(|extent| extent.size > 0);
                let in_place = same.filter(|_| {
                    terminated.is_none() && !self.is_read(index) && self.is_alone(index)
                });
                in_place.map_or(copied, buffer)
            }
            TypeKind::Pointer(_) => {
                let inout = has(ty, &NoteKind::Inout) && is_single(ty);
                if inout && leads_to_text(ty) && self.leaf && !self.copies_beside(index)? {
                    return Ok(None);
                }
                if is_cell(ty, pointee) { Ok(None) } else { copied }
            }
            TypeKind::Void => Ok(None),
            _ if counted(ty).is_some() => match self.same_bytes(pointee, inward) {
                Some(extent) if !ranged => buffer(extent),
                _ => copied,
            },
            _ if is_text(ty) => {
                let same = self.same_bytes(pointee, false).filter(|extent| extent.size <= 4);
                let in_place = same.is_some() && (!writable || self.is_alone(index));
                if in_place && !ranged { Ok(None) } else { copied }
            }
            _ => match scalar_of(pointee) {
                Some(scalar @ (Scalar::Bool | Scalar::Integer(_))) if scalar.host_size() <= 8 => {
                    let as_bool = scalar == Scalar::Bool && inward;
                    let untold = ranged && (!inward || nullable);
                    if as_bool || untold { copied } else { Ok(None) }
                }
                _ => match self.same_bytes(pointee, true) {
                    Some(extent) if !ranged && !self.is_read(index) => buffer(extent),
                    _ => copied,
                },
            },
        }
    }

    /// Whether another parameter is copied. Pointers to strings that go both ways are not, if none
    /// else is.
    fn copies_beside(&self, index: usize) -> Reading<bool> {
        for (other, ty) in self.types.iter().enumerate().filter(|(other, _)| *other != index) {
            let both = has(ty, &NoteKind::Inout) && is_single(ty);
            let pointers = ty.pointee().is_some_and(|inner| inner.pointee().is_some());
            let is_copied = if both && pointers {
                !leads_to_text(ty)
            } else {
                matches!(self.argument(other)?, Some(Argument::Copied))
            };
            if is_copied {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a pointer from native code leads to data that is taken by its shape.
    pub(super) fn is_shaped(&self, ty: &Type) -> bool {
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

    pub(super) fn is_data(&self, record: &Record) -> bool {
        self.body(record).is_some()
    }

    /// Offset on one side and type of a field that an expression may name.
    fn field(&self, record: &Record, name: &str, memory: Memory) -> Option<(u64, Type)> {
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

    fn width(&self, ty: &Type) -> Option<Width> {
        self.reader.width(scalar_of(ty)?, DataModel::Lp64)
    }
}

/// The `__range`s of a type.
fn ranges(ty: &Type) -> Vec<(&Expr, &Expr)> {
    let range = |note| match note {
        &Note { kind: NoteKind::Range(ref low, ref high), .. } => Some((low, high)),
        _ => None,
    };
    ty.notes.iter().filter_map(range).collect()
}

fn is_single(ty: &Type) -> bool {
    counted(ty).is_none() && !has(ty, &NoteKind::NullTerminated)
}

/// A cell of the call's own that native code puts a pointer into.
fn is_cell(ty: &Type, pointee: &Type) -> bool {
    let inward = has(ty, &NoteKind::In) || has(ty, &NoteKind::Inout) || pointee.quals.is_const;
    is_single(ty) && !inward
}

/// A pointer to a string of bytes that native code only reads.
fn leads_to_text(ty: &Type) -> bool {
    ty.pointee().is_some_and(|inner| {
        is_text(inner)
            && inner.pointee().is_some_and(|unit| {
                unit.quals.is_const && scalar_of(unit).is_some_and(|unit| unit.host_size() == 1)
            })
    })
}

/// Whether `*name` or `name->f` occurs in an expression.
fn reads(expr: &Expr, name: &str) -> bool {
    let is_name = |e: &Expr| matches!(&e.kind, ExprKind::Name(found) if *found.name == *name);
    match &expr.kind {
        ExprKind::Deref(e) | ExprKind::Arrow(e, _) => is_name(e) || reads(e, name),
        ExprKind::Member(e, _) | ExprKind::Unary(_, e) => reads(e, name),
        ExprKind::Binary(_, a, b) => reads(a, name) || reads(b, name),
        ExprKind::Conditional(a, b, c) => [a, b, c].iter().any(|e| reads(e, name)),
        ExprKind::Builtin(_, all) | ExprKind::Call(_, all) => all.iter().any(|e| reads(e, name)),
        ExprKind::Integer(_) | ExprKind::Name(_) | ExprKind::Return | ExprKind::SizeOf(_) => false,
    }
}

/// Names of an expression that belongs to an object.
struct Inside<'v, 'p> {
    scene: Scene<'v, 'p>,
    owner: Option<&'v Owner>,
}

impl Names for Inside<'_, '_> {
    fn param(&self, name: &str) -> Option<Operand> {
        self.scene.param(name)
    }
    fn behind(&self, name: &str) -> Option<Operand> {
        self.scene.behind(name)
    }
    fn result(&self) -> Option<Operand> {
        self.scene.result()
    }
    fn remembered(&self, handle: &str, name: &str) -> Option<Operand> {
        self.scene.remembered(handle, name)
    }
    fn data(&self, expr: &Expr) -> Option<Tree> {
        let data = &self.scene.verifier.data;
        let own = || {
            let owner = self.owner?;
            let (at, ty) = sibling(data, owner, expr)?;
            Some(Tree::Field(u32::try_from(owner.host + at).ok()?, data.width(&ty)?))
        };
        own().or_else(|| self.scene.data(expr))
    }
}

/// A field of the owner, or a member of one.
fn sibling(data: &Data<'_>, owner: &Owner, expr: &Expr) -> Option<(u64, Type)> {
    let host = Memory::Host(data.reader.abi);
    match &expr.kind {
        ExprKind::Name(name) => data.field(&owner.record, &name.name, host),
        ExprKind::Member(inner, field) => {
            let (at, ty) = sibling(data, owner, inner)?;
            let TypeKind::Record(record) = &ty.kind else { return None };
            let (offset, ty) = data.field(record, &field.name, host)?;
            Some((at + offset, ty))
        }
        _ => None,
    }
}

impl Scene<'_, '_> {
    /// `*p`, `p->f` and `p->f.g` of a parameter whose one object was copied.
    pub(super) fn behind_copy(&self, expr: &Expr) -> Option<Tree> {
        let (at, offset, ty) = self.in_copy(expr)?;
        Some(Tree::Behind(at, u32::try_from(offset).ok()?, self.verifier.data.width(&ty)?))
    }

    fn in_copy(&self, expr: &Expr) -> Option<(At, u64, Type)> {
        let data = &self.verifier.data;
        let object = |name: &Expr| {
            let ExprKind::Name(name) = &name.kind else { return None };
            let index = self.index(&name.name)?;
            let at = self.verifier.copies.places[index]?;
            Some((at, 0, data.types[index].pointee()?.clone()))
        };
        let member = |(at, offset, ty): (At, u64, Type), name: &str| {
            let TypeKind::Record(record) = &ty.kind else { return None };
            let (inner, ty) = data.field(record, name, Memory::Host(data.reader.abi))?;
            Some((at, offset + inner, ty))
        };
        match &expr.kind {
            ExprKind::Deref(inner) => object(inner),
            ExprKind::Arrow(inner, field) => member(object(inner)?, &field.name),
            ExprKind::Member(inner, field) => member(self.in_copy(inner)?, &field.name),
            _ => None,
        }
    }
}

impl<'p> Verifier<'p> {
    pub(super) fn wrong<T>(&self, reason: impl Into<String>, index: usize) -> Checked<T> {
        Err(Fault::Shape { reason: reason.into(), subject: self.subject(index) })
    }

    /// Checks one op of copied data.
    pub(super) fn deep_before(&mut self, op: DeepOp) -> Checked {
        let DeepOp::Copy { slot, to, root, param } = op else { return self.objects_before(op) };
        let index = self.place_bytes(slot, to, 8, What::Address)?;
        self.agrees(usize::from(param) == index, "the number", index)?;
        if !matches!(self.params[index].wants, Argument::Copied) {
            return Err(self.disagrees("the type", index));
        }
        let ty = self.params[index].ty;
        self.root(root, ty, index, false)?;
        let link = &self.plan.roots[usize::from(root)];
        if matches!(link.reach, Reach::One | Reach::Ends { .. }) {
            // What is in an object is not what was checked.
            if !self.is_boxed(ty) {
                self.copies.places[index] = Some(to);
            }
        }
        if self.is_boxed(ty) {
            self.mirrored(index, to, root);
        }
        self.copies.copied.push(root);
        Ok(())
    }

    pub(super) fn settle(&mut self) -> Checked {
        if std::mem::replace(&mut self.copies.settled, true) || !self.gives_back() {
            return Err(Fault::Unasked);
        }
        Ok(())
    }

    pub(super) fn commit(&mut self) -> Checked {
        if !self.copies.settled {
            return Err(Fault::Sequence("before the copies were looked through"));
        }
        if std::mem::replace(&mut self.copies.committed, true) {
            return Err(Fault::Unasked);
        }
        Ok(())
    }

    /// Whether something of what is copied goes back. Shapes were found to be those of types.
    fn gives_back(&self) -> bool {
        let mut seen = vec![false; self.plan.shapes.len()];
        let mut next: Vec<&Link> =
            self.copies.copied.iter().map(|root| &self.plan.roots[usize::from(*root)]).collect();
        while let Some(link) = next.pop() {
            let Target::Data(shape) = link.target else { continue };
            if link.direction.is_out() {
                return true;
            }
            let shape = usize::from(shape);
            if !std::mem::replace(&mut seen[shape], true) {
                next.extend(&self.plan.shapes[shape].links);
            }
        }
        false
    }

    /// Everything that must happen to copies has, and no shape is idle.
    pub(super) fn copies_done(&self) -> Checked {
        if self.copies.objects.any() != self.copies.objects.fetched {
            let subject = "the objects".to_owned();
            return Err(Fault::Undone { what: "reads", subject });
        }
        if self.gives_back() != self.copies.committed {
            let subject = "the copies".to_owned();
            return Err(Fault::Undone { what: "gives back", subject });
        }
        if let Some(index) = self.copies.types.iter().position(Option::is_none) {
            return Err(Fault::Unused { table: "shapes", index });
        }
        if let Some(index) = self.copies.roots.iter().position(|used| !used) {
            return Err(Fault::Unused { table: "roots", index });
        }
        Ok(())
    }

    /// Checks what a parameter or result leads to.
    pub(super) fn root(&mut self, root: u16, ty: &Type, index: usize, after: bool) -> Checked {
        let entry = usize::from(root);
        let plan = self.plan;
        let Some(link) = plan.roots.get(entry) else {
            return Err(Fault::Table { table: "roots", index: entry });
        };
        if std::mem::replace(&mut self.copies.roots[entry], true) {
            return Err(Fault::Unasked);
        }
        let member = Member { guest: 0, host: 0, ty, owner: None };
        self.link(link, &member, index, true, after)
    }

    fn link(
        &mut self,
        link: &'p Link,
        member: &Member<'_>,
        index: usize,
        is_root: bool,
        after: bool,
    ) -> Checked {
        let ty = member.ty;
        let same = u64::from(link.guest) == member.guest && u64::from(link.host) == member.host;
        if !same {
            return self.wrong("a pointer is elsewhere", index);
        }
        let Some(pointee) = ty.pointee() else { return self.wrong("no pointer", index) };
        let lent =
            |kind: &NoteKind| matches!(kind, NoteKind::FreedBy(_) | NoteKind::LifetimeBound(_));
        let foreign = |kind: &NoteKind| {
            use NoteKind::{CapturedBy, Closure, Cookie};
            matches!(kind, Cookie | Closure(_) | CapturedBy(_)) || !is_root && lent(kind)
        };
        if ty.notes.iter().any(|note| foreign(&note.kind)) {
            return self.wrong("an annotation that copies do not have", index);
        }
        if self.is_boxed(ty) && (!is_root || after) {
            return self.wrong("a boxed object inside of other data", index);
        }
        let nullable = has(ty, &NoteKind::Nullable);
        let mut null = if nullable { Null::Allowed } else { Null::Refused };
        if let TypeKind::Record(record) = &pointee.kind
            && !self.data.is_data(record)
        {
            let Target::Handle { kind, borrowed } = link.target else {
                return self.wrong("a handle that is none", index);
            };
            let direction = link.direction == Direction::In && link.reach == Reach::One;
            let right = borrowed == has(ty, &NoteKind::Borrowed) && link.null == null && direction;
            if !right || after {
                return self.wrong("a handle", index);
            }
            return self.kind(kind, &name_of(record), index);
        }
        if matches!(pointee.kind, TypeKind::Function(_)) {
            return self.wrong("a pointer to a function", index);
        }
        // How many there are.
        let count = counted(ty);
        let field = find(ty, |kind| match kind {
            NoteKind::TerminatedBy(field) => Some(field),
            _ => None,
        });
        let mut by_bytes = false;
        match (count, field, link.reach) {
            (Some((note, bytes)), _, Reach::Counted { expr, bytes: found }) => {
                by_bytes = bytes && pointee.kind != TypeKind::Void;
                let tree = self.expression(expr.into())?;
                let annotation = super::demand::count_of(note).map_err(Fault::Prototype)?;
                if !self.means_inside(&tree, annotation, member.owner.as_ref(), after && is_root) {
                    return self.wrong("a count", index);
                }
                let in_place = matches!(link.target, Target::Bytes { .. });
                if found != (by_bytes && !in_place) {
                    return self.wrong("the unit of a count", index);
                }
                let or_null = matches!(note, NoteKind::CountedByOrNull(_)) || nullable;
                null = match (has(ty, &NoteKind::Nonnull), or_null) {
                    (true, _) => Null::Refused,
                    (false, true) => Null::Allowed,
                    (false, false) => Null::IfEmpty,
                };
            }
            (None, field, Reach::Ends { guest, host, guest_bytes, host_bytes }) => {
                if field.is_none() && !is_text(ty) {
                    return self.wrong("an end that nothing tells", index);
                }
                let mut at = (0, 0);
                let mut end = pointee.clone();
                if let (Some(field), TypeKind::Record(record)) = (field, &pointee.kind) {
                    let model = self.reader.model;
                    let one = self.data.field(record, &field.name, Memory::Guest(model));
                    let two = self.data.field(record, &field.name, Memory::Host(self.reader.abi));
                    let (Some((one, ty)), Some((two, _))) = (one, two) else {
                        return self.wrong("an end without a place", index);
                    };
                    (at, end) = ((one, two), ty);
                }
                let (small, large) = self.data.extents(&end).map_err(Fault::Prototype)?;
                let right = scalar_of(&end).is_some()
                    && (u64::from(guest), u64::from(host)) == at
                    && (u64::from(guest_bytes), u64::from(host_bytes)) == (small.size, large.size);
                if !right {
                    return self.wrong("the end of an array", index);
                }
            }
            (None, None, Reach::One) if !is_text(ty) => {}
            _ => return self.wrong("how many there are", index),
        }
        if link.null != null {
            return self.wrong("the meaning of 0", index);
        }
        // A pointer without a size in an object is only ever set by native code.
        let bytes = scalar_of(pointee)
            .is_some_and(|scalar| matches!(scalar, Scalar::Integer(_)) && scalar.host_size() == 1);
        let sizeless = pointee.kind == TypeKind::Void || bytes && !has(ty, &NoteKind::Single);
        if link.reach == Reach::One && !is_root && sizeless {
            let right = link.target == Target::Native;
            return if right { Ok(()) } else { self.wrong("data without a size", index) };
        }
        // Which way it goes.
        let pointers = pointee.pointee().is_some() && !pointee.quals.is_const;
        let direction = if has(ty, &NoteKind::Inout) {
            Direction::InOut
        } else if has(ty, &NoteKind::Out) {
            Direction::Out
        } else if has(ty, &NoteKind::In) || pointee.quals.is_const || pointers && is_text(ty) {
            Direction::In
        } else if pointers {
            Direction::Out
        } else {
            Direction::InOut
        };
        if link.direction != direction {
            return self.wrong("a direction", index);
        }
        let in_place = !is_root
            && !matches!(pointee.kind, TypeKind::Record(_))
            && !matches!(link.reach, Reach::Ends { .. });
        let same = self.data.same_bytes(pointee, direction.is_in()).filter(|_| in_place);
        match (same, link.target) {
            (Some(extent), Target::Bytes { size, align }) => {
                let unit = if by_bytes { 1 } else { extent.size };
                let right = u64::from(size) == unit && u32::from(align) == extent.align;
                if right { Ok(()) } else { self.wrong("the elements of a buffer", index) }
            }
            (None, Target::Data(shape)) => self.shape(shape, pointee, index, after),
            _ => self.wrong("what a pointer leads to", index),
        }
    }

    fn means_inside(&self, tree: &Tree, expr: &Expr, owner: Option<&Owner>, after: bool) -> bool {
        let names = Inside { scene: Scene { verifier: self, after }, owner };
        Tree::of_annotation(expr, &names, self.reader.abi).is_some_and(|a| tree.means(&a))
    }

    /// Checks that a shape is that of a type, and those that it leads to.
    fn shape(&mut self, number: u16, ty: &Type, index: usize, after: bool) -> Checked {
        let entry = usize::from(number);
        let plan = self.plan;
        let Some(shape) = plan.shapes.get(entry) else {
            return Err(Fault::Table { table: "shapes", index: entry });
        };
        if let Some(known) = &self.copies.types[entry] {
            let same = known.kind == ty.kind && known.notes == ty.notes;
            if !same {
                return self.wrong("a shape of another type", index);
            }
            // What native code leaves has no handles; it was not looked at for that before.
            return Ok(());
        }
        self.copies.types[entry] = Some(ty.clone());
        let mut whole = ty.clone();
        if let TypeKind::Record(record) = &mut whole.kind
            && record.body.is_none()
        {
            record.body = self.data.body(record);
        }
        let (guest, host) = self.data.extents(&whole).map_err(Fault::Prototype)?;
        let found = [
            (shape.guest_size.into(), shape.guest_align),
            (shape.host_size.into(), shape.host_align),
        ];
        if found != [(guest.size, guest.align), (host.size, host.align)] {
            return self.wrong("the size of a shape", index);
        }
        let mut members = Members::default();
        self.data.members(&whole, 0, 0, None, &mut members).map_err(Fault::Prototype)?;
        let mut moved = Bytes::new();
        for one in &shape.moves {
            for byte in 0..one.kind.frame_bytes() {
                let memory = u64::from(one.guest);
                let origin = match one.kind {
                    MoveKind::Clear(_) => return self.wrong("a move that clears", index),
                    MoveKind::Bytes(_) => {
                        Origin::Plain { memory: memory + u64::from(byte), mask: u8::MAX }
                    }
                    MoveKind::Bits(mask) => Origin::Plain { memory, mask },
                    kind => Origin::Converted { kind, memory, index: byte },
                };
                if moved.insert(u64::from(one.host) + u64::from(byte), origin).is_some() {
                    return self.wrong("a byte that is moved twice", index);
                }
            }
        }
        if moved != members.bytes {
            return self.wrong("other bytes than the type has", index);
        }
        if shape.tests.len() != members.ranged.len() || shape.links.len() != members.pointers.len()
        {
            return self.wrong("members that are not looked at", index);
        }
        for (test, member) in shape.tests.iter().zip(&members.ranged) {
            self.range_inside(test, member, index)?;
        }
        for (link, member) in shape.links.iter().zip(&members.pointers) {
            self.link(link, member, index, false, after)?;
        }
        Ok(())
    }

    fn range_inside(&mut self, test: &'p Test, member: &Member<'_>, index: usize) -> Checked {
        let ranges = ranges(member.ty);
        let place = u64::from(test.host) == member.host
            && Some(test.width) == self.data.width(member.ty)
            && test.intervals.len() == ranges.len();
        if !place {
            return self.wrong("a range", index);
        }
        for ((low, high), (least, greatest)) in test.intervals.iter().zip(ranges) {
            for (expr, bound) in [(low, least), (high, greatest)] {
                let tree = self.expression((*expr).into())?;
                if !self.means_inside(&tree, bound, member.owner.as_ref(), false) {
                    return self.wrong("the bound of a range", index);
                }
            }
        }
        Ok(())
    }

    /// Data that native code has left, taken by its shape.
    pub(super) fn take_deep(&mut self, op: DeepOp) -> Checked {
        let DeepOp::Take { from, take, root, unless, param } = op else {
            return Err(Fault::Unasked);
        };
        let index = self.source(from)?;
        self.agrees(usize::from(param) == index, "the number", index)?;
        let shaped = matches!(
            self.incoming(index),
            Some(Incoming::Copy { extent: super::demand::Reach::Shape, .. })
        );
        self.agrees(shaped && unless.is_none(), "the extent", index)?;
        let ty = match self.params.get(index) {
            Some(param) => param.ty.pointee(),
            None => Some(&self.plan.prototype.function.result),
        };
        let Some(ty) = ty else { return Err(Fault::Unasked) };
        self.root(root, ty, index, true)?;
        self.taken_as(index, take)
    }
}
