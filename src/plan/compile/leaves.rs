//! What a value is made of, byte by byte, in two memories at once.
use crate::plan::abi::Abi;
use crate::plan::layout::{
    Place, Scalar, Target as Memory, body_of, extent_of, record_on, scalar_of,
};
use crate::plan::moves::MoveKind;
use crate::signature::{
    Diagnostic, Float, NoteKind, Record, RecordKind, Scope, Span, Type, TypeKind,
};

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
    let mut walk = Walk { sides, all: Vec::new() };
    walk.add(ty, 0, 0)?;
    Ok(merged(walk.all))
}

struct Walk<'a> {
    sides: Sides<'a>,
    all: Vec<Leaf>,
}

impl Walk<'_> {
    fn push(
        &mut self,
        memory: u64,
        host: u64,
        kind: MoveKind,
        span: Span,
    ) -> Result<(), Diagnostic> {
        if self.all.len() == MAX_LEAVES {
            let message = format!("a value passed by value has more than {MAX_LEAVES} members");
            return Err(Diagnostic::new(span, message).help("pass a pointer to it"));
        }
        self.all.push(Leaf { memory, host, kind });
        Ok(())
    }

    fn bytes(&mut self, memory: u64, host: u64, bytes: u64, span: Span) -> Result<(), Diagnostic> {
        let bytes = u16::try_from(bytes).map_err(|_| too_large(span))?;
        self.push(memory, host, MoveKind::Bytes(bytes), span)
    }

    fn is_guest(&self) -> bool {
        matches!(self.sides.memory, Memory::Guest(_))
    }

    fn add(&mut self, ty: &Type, memory: u64, host: u64) -> Result<(), Diagnostic> {
        let span = ty.span;
        if ty.quals.is_atomic && self.is_guest() {
            return Err(later(span, "`_Atomic` by value"));
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
            TypeKind::Array { length: None, .. } => Ok(()), // a flexible array member has no bytes
            TypeKind::Array { element, .. } => self.array(ty, element, memory, host),
            TypeKind::Record(record) => self.record(record, span, memory, host),
            TypeKind::Void
            | TypeKind::Function(_)
            | TypeKind::Bool
            | TypeKind::Integer(_)
            | TypeKind::Float(_)
            | TypeKind::Enum(_)
            | TypeKind::Pointer(_) => Err(later(span, "this type by value")),
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
                Err(later(span, "pointers in structs that are passed by value"))
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
        ty: &Type,
        element: &Type,
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
        self.add(element, memory, host)?;
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

    fn record(
        &mut self,
        record: &Record,
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
        for ((field, kept), found) in body.fields.iter().zip(in_memory).zip(on_host) {
            if let Some(note) = field.ty.notes.iter().find(|_| self.is_guest()) {
                let what = match note.kind {
                    NoteKind::HostOnly => "`__host_only` in structs that are passed by value",
                    _ => "annotations in structs that are passed by value",
                };
                return Err(later(note.span, what));
            }
            match (kept.bits, found.bits) {
                (None, None) => self.add(&field.ty, memory + kept.offset, host + found.offset)?,
                _ if field.name.is_none() => {} // padding
                _ => self.bit_field(kept, found, memory, host, field.ty.span)?,
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
            return Err(later(span, "bit-fields whose bits are elsewhere on the host"));
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
                return Err(later(span, "a union whose members differ on the host"));
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

fn later(span: Span, what: &str) -> Diagnostic {
    Diagnostic::new(span, format!("{what}: not supported yet")).label("here")
}

fn too_large(span: Span) -> Diagnostic {
    Diagnostic::new(span, "this is too large to be passed by value").help("pass a pointer to it")
}
