//! What a value is made of, byte by byte, in two memories at once.
use crate::plan::abi::Abi;
use crate::plan::layout::{
    Place, Scalar, Target as Memory, body_of, extent_of, record_on, scalar_of,
};
use crate::plan::moves::MoveKind;
use crate::signature::{
    Diagnostic, Field, Float, NoteKind, Record, RecordKind, Scope, Span, Type, TypeKind,
};
use std::sync::Arc;

/// A run of bytes of a value: where it is on either side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    /// Offset where the value is kept: in the guest's memory, or in that of an `ffi` caller.
    pub(super) memory: u64,
    /// Offset in the value as the host's C code has it.
    pub(super) host: u64,
    /// Never `Clear`.
    pub(super) kind: MoveKind,
}

/// A value may have so many leaves.
const MAX_LEAVES: usize = 1 << 14;

/// Whose memory the value is kept in, and the host's ABI.
#[derive(Clone, Copy)]
pub(super) struct Sides<'a> {
    pub(super) scope: &'a Scope,
    pub(super) memory: Memory,
    pub(super) abi: Abi,
}

/// The leaves of a type, in the order of their bytes on the host, as few as possible.
///
/// # Errors
/// What cannot be passed by value.
pub(super) fn leaves(ty: &Type, sides: Sides<'_>) -> Result<Vec<Leaf>, Diagnostic> {
    let mut walk = Walk { sides, all: Vec::new(), inside: None };
    walk.add(ty, 0, 0)?;
    Ok(merged(walk.all))
}

/// What an object behind a pointer is made of.
pub(super) struct Contents<'a> {
    /// The bytes that move.
    pub(super) leaves: Vec<Leaf>,
    /// Pointers, which do not.
    pub(super) pointers: Vec<Inner<'a>>,
    /// Integers that have `__range`s; they are among the leaves.
    pub(super) ranged: Vec<Inner<'a>>,
    /// Integers that are narrower in the guest's memory; they are among the leaves.
    pub(super) narrow: Vec<Inner<'a>>,
    /// The host has fields that the guest has not.
    pub(super) host_only: bool,
}

/// A member of an object.
#[derive(Clone)]
pub(super) struct Inner<'a> {
    /// Offset in the guest's memory.
    pub(super) memory: u64,
    /// Offset on the host.
    pub(super) host: u64,
    pub(super) ty: &'a Type,
    /// How to get there from the object: `items[2].name`.
    pub(super) path: String,
    /// The record whose fields its annotations name.
    pub(super) owner: Option<Owner<'a>>,
}

/// A record inside of an object, and its offset in the guest's memory and on the host.
#[derive(Clone, Copy)]
pub(super) struct Owner<'a> {
    pub(super) record: &'a Record,
    pub(super) memory: u64,
    pub(super) host: u64,
}

/// The contents of an object behind a pointer.
///
/// # Errors
/// What cannot be copied.
pub(super) fn contents<'a>(ty: &'a Type, sides: Sides<'a>) -> Result<Contents<'a>, Diagnostic> {
    let inside = Some(Inside::default());
    let mut walk = Walk { sides, all: Vec::new(), inside };
    walk.add(ty, 0, 0)?;
    let Inside { pointers, ranged, narrow, host_only, .. } = walk.inside.unwrap_or_default();
    Ok(Contents { leaves: merged(walk.all), pointers, ranged, narrow, host_only })
}

/// What a walk through an object behind a pointer finds beside leaves, and where it is.
#[derive(Default)]
struct Inside<'a> {
    pointers: Vec<Inner<'a>>,
    ranged: Vec<Inner<'a>>,
    narrow: Vec<Inner<'a>>,
    host_only: bool,
    path: String,
    owner: Option<Owner<'a>>,
    /// What comes next is a field without a name.
    unnamed: bool,
}

struct Walk<'a> {
    sides: Sides<'a>,
    all: Vec<Leaf>,
    /// `None`: the value is passed, not pointed at.
    inside: Option<Inside<'a>>,
}

impl<'a> Walk<'a> {
    fn push(
        &mut self,
        memory: u64,
        host: u64,
        kind: MoveKind,
        span: Span,
    ) -> Result<(), Diagnostic> {
        let pointers = self.inside.as_ref().map_or(0, |inside| inside.pointers.len());
        if self.all.len() + pointers >= MAX_LEAVES {
            let error = |message| Diagnostic::new(span, message);
            return Err(if self.inside.is_some() {
                error(format!("an object that is copied has more than {MAX_LEAVES} members"))
                    .help("declare an array as a buffer behind a pointer of its own")
            } else {
                error(format!("a value passed by value has more than {MAX_LEAVES} members"))
                    .help("pass a pointer to it")
            });
        }
        self.all.push(Leaf { memory, host, kind });
        Ok(())
    }

    fn bytes(&mut self, memory: u64, host: u64, bytes: u64, span: Span) -> Result<(), Diagnostic> {
        if self.inside.is_some() {
            const MOST: u64 = 1 << 15;
            for start in (0..bytes).step_by(1 << 15) {
                let run = u16::try_from((bytes - start).min(MOST)).unwrap_or(u16::MAX);
                self.push(memory + start, host + start, MoveKind::Bytes(run), span)?;
            }
            return Ok(());
        }
        let bytes = u16::try_from(bytes).map_err(|_| too_large(span))?;
        self.push(memory, host, MoveKind::Bytes(bytes), span)
    }

    fn is_guest(&self) -> bool {
        matches!(self.sides.memory, Memory::Guest(_))
    }

    /// A member that is no leaf, or that is looked at.
    fn inner(&self, ty: &'a Type, memory: u64, host: u64) -> Option<Inner<'a>> {
        let Inside { path, owner, .. } = self.inside.as_ref()?;
        Some(Inner { memory, host, ty, path: path.clone(), owner: *owner })
    }

    fn add(&mut self, ty: &'a Type, memory: u64, host: u64) -> Result<(), Diagnostic> {
        let span = ty.span;
        if ty.quals.is_atomic && self.is_guest() {
            return Err(if self.inside.is_some() {
                let message = "`_Atomic` data cannot be copied: threads would not see each other";
                Diagnostic::new(span, message).help("pass a pointer to plain integers")
            } else {
                Diagnostic::new(span, "`_Atomic` data cannot be passed by value")
                    .help("declare the plain type: a value has no other thread")
            });
        }
        if ty.has(|note| matches!(note, NoteKind::Range(..))) {
            let inner = self.inner(ty, memory, host);
            if let Some(inside) = &mut self.inside {
                inside.ranged.extend(inner);
            }
        }
        if let Some(scalar) = scalar_of(ty)
            && scalar != Scalar::Pointer
            && scalar.host_size() != scalar.size(self.sides.memory.data_model())
        {
            let inner = self.inner(ty, memory, host);
            if let Some(inside) = &mut self.inside {
                inside.narrow.extend(inner);
            }
        }
        if ty.pointee().is_some()
            && let Some(inner) = self.inner(ty, memory, host)
            && let Some(inside) = &mut self.inside
        {
            if self.all.len() + inside.pointers.len() >= MAX_LEAVES {
                return self.push(memory, host, MoveKind::Bool, span);
            }
            inside.pointers.push(inner);
            return Ok(());
        }
        if let Some(scalar) = scalar_of(ty) {
            return self.scalar(scalar, memory, host, span);
        }
        match &ty.kind {
            TypeKind::Complex(part) => {
                let part = Scalar::Float(*part);
                let size = u64::from(part.host_size());
                self.scalar(part, memory, host, span)?;
                self.scalar(part, memory + size, host + size, span)
            }
            TypeKind::Vector { bytes, .. } => self.bytes(memory, host, (*bytes).into(), span),
            TypeKind::Array { length: None, .. } if self.inside.is_some() => {
                let message = "nothing says how many elements this array has";
                let help = "pass the struct as a buffer (`void *__sized_by(n)`)";
                Err(Diagnostic::new(span, message).help(help))
            }
            TypeKind::Array { length: None, .. } => Ok(()), // a flexible array member has no bytes
            TypeKind::Array { element, .. } => self.array(ty, element, memory, host),
            TypeKind::Record(record) => self.record(record, span, memory, host),
            TypeKind::Void
            | TypeKind::Function(_)
            | TypeKind::Bool
            | TypeKind::Integer(_)
            | TypeKind::Float(_)
            | TypeKind::Enum(_)
            | TypeKind::Pointer(_) => {
                let error = "a value of this type cannot be passed";
                Err(Diagnostic::new(span, error).help("pass a pointer to it"))
            }
        }
    }

    fn scalar(
        &mut self,
        scalar: Scalar,
        memory: u64,
        host: u64,
        span: Span,
    ) -> Result<(), Diagnostic> {
        let host_size = scalar.host_size();
        let size = scalar.size(self.sides.memory.data_model());
        match (scalar, self.sides.abi) {
            (Scalar::Pointer, _) if self.is_guest() => {
                let message = "pointers in structs that are passed by value are not followed";
                Err(Diagnostic::new(span, message).help("pass a pointer to the struct"))
            }
            (Scalar::Bool, _) if self.is_guest() => self.push(memory, host, MoveKind::Bool, span),
            (Scalar::Float(Float::LongDouble), Abi::SysvX86_64) if self.is_guest() => {
                self.push(memory, host, MoveKind::Extended, span)
            }
            // The other six bytes are padding.
            (Scalar::Float(Float::LongDouble), Abi::SysvX86_64) => {
                self.bytes(memory, host, 10, span)
            }
            _ if size == host_size => self.bytes(memory, host, size.into(), span),
            _ if self.sides.abi.is_signed(scalar) => {
                self.push(memory, host, MoveKind::Signed32, span)
            }
            _ => self.push(memory, host, MoveKind::Unsigned32, span),
        }
    }

    fn size(&self, ty: &Type, on: Memory) -> Result<u64, Diagnostic> {
        let extent = extent_of(ty, self.sides.scope, on);
        Ok(extent.map_err(|error| Diagnostic::new(error.span, error.to_string()))?.size)
    }

    fn array(
        &mut self,
        ty: &'a Type,
        element: &'a Type,
        memory: u64,
        host: u64,
    ) -> Result<(), Diagnostic> {
        let host_memory = Memory::Host(self.sides.abi);
        let (one, whole) = (self.size(element, host_memory)?, self.size(ty, host_memory)?);
        let one_in_memory = self.size(element, self.sides.memory)?;
        if one == 0 {
            return Ok(());
        }
        let first = self.all.len();
        let marks = self.inside.as_ref().map(|inside| {
            let found = [&inside.pointers, &inside.ranged, &inside.narrow].map(Vec::len);
            (found, inside.path.len(), inside.owner)
        });
        if let Some(inside) = &mut self.inside {
            // Every element gets its own number below.
            inside.path.push('\0');
        }
        self.add(element, memory, host)?;
        if let Some((found, path, owner)) = marks {
            self.repeat((found, path), (one, one_in_memory), whole / one, owner, ty.span)?;
            if let Some(inside) = &mut self.inside {
                inside.path.truncate(path);
                inside.owner = owner;
            }
        }
        let leaves = merged(self.all.split_off(first));
        // An array of plain bytes is one run of them.
        if let [Leaf { kind: MoveKind::Bytes(bytes), .. }] = leaves.as_slice()
            && u64::from(*bytes) == one
            && one == one_in_memory
        {
            return self.bytes(memory, host, whole, ty.span);
        }
        for index in 0..whole / one {
            for leaf in &leaves {
                let memory = leaf.memory + index * one_in_memory;
                self.push(memory, leaf.host + index * one, leaf.kind, ty.span)?;
            }
        }
        Ok(())
    }

    /// What was found in the first element of an array is in the others too. `before`: how much had
    /// been found before, `at`: the length of the path to the array.
    fn repeat(
        &mut self,
        (before, at): ([usize; 3], usize),
        (one, one_in_memory): (u64, u64),
        count: u64,
        outer: Option<Owner<'a>>,
        span: Span,
    ) -> Result<(), Diagnostic> {
        let Some(inside) = &mut self.inside else { return Ok(()) };
        let lists = [&mut inside.pointers, &mut inside.ranged, &mut inside.narrow];
        for (list, first) in lists.into_iter().zip(before) {
            let found = list.split_off(first);
            if found.is_empty() {
                continue;
            }
            for index in 0..count {
                if list.len() + found.len() > MAX_LEAVES {
                    let error = format!("this array has more than {MAX_LEAVES} members to look at");
                    return Err(Diagnostic::new(span, error).help("make it a buffer"));
                }
                list.extend(found.iter().cloned().map(|mut inner| {
                    inner.memory += index * one_in_memory;
                    inner.host += index * one;
                    inner.path.replace_range(at..=at, &format!("[{index}]"));
                    // A record of the element lies in each; one around the array does not.
                    let around = |own: &Owner<'_>| {
                        outer.is_some_and(|outer| {
                            std::ptr::eq(own.record, outer.record) && own.host == outer.host
                        })
                    };
                    if let Some(owner) = inner.owner.as_mut().filter(|own| !around(own)) {
                        owner.memory += index * one_in_memory;
                        owner.host += index * one;
                    }
                    inner
                }));
            }
        }
        Ok(())
    }

    fn record(
        &mut self,
        record: &'a Record,
        span: Span,
        memory: u64,
        host: u64,
    ) -> Result<(), Diagnostic> {
        let Sides { scope, memory: kept, abi } = self.sides;
        let places = |on| {
            let laid_out = record_on(record, span, scope, on);
            laid_out.map_err(|error| Diagnostic::new(error.span, error.to_string()))
        };
        let ((_, in_memory), (_, on_host)) = (places(kept)?, places(Memory::Host(abi))?);
        let body = body_of(record, scope, span)
            .map_err(|error| Diagnostic::new(error.span, error.to_string()))?;
        let first = self.all.len();
        let mut pointers = 0;
        let mut around = (0, None);
        if let Some(inside) = &mut self.inside {
            pointers = inside.pointers.len();
            around = (inside.path.len(), inside.owner);
            // The members of a record without a name are those of the one around it.
            if !std::mem::take(&mut inside.unnamed) || inside.owner.is_none() {
                inside.owner = Some(Owner { record, memory, host });
            }
        }
        for ((field, kept), found) in body.fields.iter().zip(in_memory).zip(on_host) {
            if let Some(note) = field.ty.notes.iter().find(|_| self.is_guest())
                && self.inside.is_none()
            {
                let what = match note.kind {
                    NoteKind::HostOnly => "`__host_only` in structs that are passed by value",
                    _ => "annotations in structs that are passed by value",
                };
                return Err(later(note.span, what));
            }
            if let Some(inside) = &mut self.inside {
                if field.ty.has(|note| *note == NoteKind::HostOnly) {
                    inside.host_only = true;
                    continue;
                }
                if is_boxed(record, scope) {
                    if around.1.is_some() {
                        let message = "a `__boxed` object lies in memory of its own";
                        return Err(Diagnostic::new(span, message).help("hold a pointer to it"));
                    }
                    if field.ty.has(|note| *note == NoteKind::Private) {
                        inside.host_only = true;
                        continue;
                    }
                }
                refuse_notes(field)?;
                inside.path.truncate(around.0);
                inside.unnamed = field.name.is_none();
                if let Some(name) = &field.name {
                    if around.0 > 0 {
                        inside.path.push('.');
                    }
                    inside.path.push_str(&name.name);
                }
            }
            match (kept.bits, found.bits) {
                (None, None) => self.add(&field.ty, memory + kept.offset, host + found.offset)?,
                _ if field.name.is_none() => {} // padding
                _ => self.bit_field(kept, found, memory, host, field.ty.span)?,
            }
        }
        if let Some(inside) = &mut self.inside {
            inside.path.truncate(around.0);
            inside.owner = around.1;
            if record.kind == RecordKind::Union
                && let Some(pointer) = inside.pointers.get(pointers)
            {
                let error = "a pointer in a union: nothing says which member is in use";
                let help = "declare a struct with the member that this function uses";
                return Err(Diagnostic::new(pointer.ty.span, error).help(help));
            }
        }
        if record.kind == RecordKind::Union {
            let members = self.all.split_off(first);
            self.union(members, memory, host, span)?;
        }
        Ok(())
    }

    fn bit_field(
        &mut self,
        kept: Place,
        found: Place,
        memory: u64,
        host: u64,
        span: Span,
    ) -> Result<(), Diagnostic> {
        let (Some(bits), true) = (found.bits, kept.bits == found.bits) else {
            let error = "the guest and the host have the bits of this bit-field elsewhere";
            let help = "declare it with a type that has one size: `int`, `long long`";
            return Err(Diagnostic::new(span, error).help(help));
        };
        let mut left = bits.width;
        let mut shift = bits.shift;
        for byte in 0..found.size {
            let here = left.min(8 - shift);
            let mask = u8::try_from(((1_u32 << here) - 1) << shift).unwrap_or(u8::MAX);
            let (memory, host) = (memory + kept.offset + byte, host + found.offset + byte);
            self.push(memory, host, MoveKind::Bits(mask), span)?;
            left -= here;
            shift = 0;
        }
        Ok(())
    }

    /// Members of a union lie over each other: the bytes of all of them are moved, as they are.
    fn union(
        &mut self,
        members: Vec<Leaf>,
        memory: u64,
        host: u64,
        span: Span,
    ) -> Result<(), Diagnostic> {
        let mut masks = std::collections::BTreeMap::<u64, u8>::new();
        for leaf in members {
            let offset = leaf.host - host;
            let plain = match leaf.kind {
                MoveKind::Bytes(_) | MoveKind::Bits(_) | MoveKind::Bool => true,
                MoveKind::Clear(_)
                | MoveKind::Signed32
                | MoveKind::Unsigned32
                | MoveKind::Extended => false,
            };
            if !plain || leaf.memory - memory != offset {
                let error = "members of this union differ in the guest and on the host";
                let help = "declare a struct with the member that this function uses";
                return Err(Diagnostic::new(span, error).help(help));
            }
            let mask = if let MoveKind::Bits(mask) = leaf.kind { mask } else { u8::MAX };
            for byte in 0..u64::from(leaf.kind.frame_bytes()) {
                *masks.entry(offset + byte).or_default() |= mask;
            }
        }
        for (offset, mask) in masks {
            self.push(memory + offset, host + offset, MoveKind::Bits(mask), span)?;
        }
        Ok(())
    }
}

/// Sorted, with what lies side by side put together.
fn merged(mut leaves: Vec<Leaf>) -> Vec<Leaf> {
    leaves.sort_by_key(|leaf| leaf.host);
    let mut all: Vec<Leaf> = Vec::with_capacity(leaves.len());
    for mut leaf in leaves {
        if let (MoveKind::Bits(mask), Some(last)) = (leaf.kind, all.last_mut())
            && let MoveKind::Bits(other) = last.kind
            && (last.memory, last.host) == (leaf.memory, leaf.host)
        {
            last.kind = MoveKind::Bits(mask | other);
            continue;
        }
        settle(&mut all);
        if leaf.kind == MoveKind::Bits(u8::MAX) {
            leaf.kind = MoveKind::Bytes(1);
        }
        all.push(leaf);
        join(&mut all);
    }
    settle(&mut all);
    all
}

/// All bits of a byte are a byte.
fn settle(all: &mut Vec<Leaf>) {
    if let Some(last) = all.last_mut()
        && last.kind == MoveKind::Bits(u8::MAX)
    {
        last.kind = MoveKind::Bytes(1);
        join(all);
    }
}

/// Puts the last two runs of bytes together if there is nothing between them.
fn join(all: &mut Vec<Leaf>) {
    let [.., before, last] = all.as_mut_slice() else { return };
    if let (MoveKind::Bytes(one), MoveKind::Bytes(two)) = (before.kind, last.kind)
        && before.memory + u64::from(one) == last.memory
        && before.host + u64::from(one) == last.host
        && let Some(both) = one.checked_add(two)
    {
        before.kind = MoveKind::Bytes(both);
        all.pop();
    }
}

/// Whether the guest only has a mirror of such objects.
pub(super) fn is_boxed(record: &Record, scope: &Scope) -> bool {
    let Some(tag) = &record.tag else { return false };
    let notes = scope.record_notes.get(&(record.kind, Arc::clone(&tag.name)));
    notes.is_some_and(|notes| notes.iter().any(|note| note.kind == NoteKind::Boxed))
}

/// Annotations that say nothing of a field whose struct is copied.
fn refuse_notes(field: &Field) -> Result<(), Diagnostic> {
    let pointer = field.ty.pointee().is_some();
    for note in &field.ty.notes {
        let (error, help) = match note.kind {
            NoteKind::In | NoteKind::Out | NoteKind::Inout if !pointer => (
                "only fields of `__boxed` structs have directions of their own",
                "say it of the pointer to the struct",
            ),
            NoteKind::Private => ("only fields of `__boxed` structs are private", "leave it out"),
            NoteKind::Handle => return Err(later(note.span, "descriptors as handles")),
            NoteKind::Range(..) if field.bits.is_some() => {
                ("the range of a bit-field cannot be tested", "leave it out")
            }
            _ => continue,
        };
        return Err(Diagnostic::new(note.span, error).help(help));
    }
    Ok(())
}

fn later(span: Span, what: &str) -> Diagnostic {
    Diagnostic::new(span, format!("{what}: not supported yet")).label("here")
}

fn too_large(span: Span) -> Diagnostic {
    Diagnostic::new(span, "this is too large to be passed by value").help("pass a pointer to it")
}
