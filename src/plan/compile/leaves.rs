//! What a value is made of, byte by byte, in two memories at once.
use crate::plan::abi::Abi;
use crate::plan::layout::{Scalar, Target as Memory, extent_of, scalar_of};
use crate::plan::moves::MoveKind;
use crate::plan::op::Direction;
use crate::signature::{Diagnostic, Float, NoteKind, Record, Scope, Span, Type, TypeKind};
use merged::merged;

pub(super) use fields::is_boxed;

mod fields;
mod members;
mod merged;

/// A run of bytes of a value: where it is on either side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    /// Offset where the value is kept: in the guest's memory, or in that of an `ffi` caller.
    pub(super) memory: u64,
    /// Offset in the value as the host's C code has it.
    pub(super) host: u64,
    /// Never `Clear`.
    pub(super) kind: MoveKind,
    /// Which way a field of a `__boxed` struct goes; else both.
    pub(super) direction: Direction,
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
    let mut walk = Walk { sides, all: Vec::new(), inside: None, direction: Direction::InOut };
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
    let mut walk = Walk { sides, all: Vec::new(), inside, direction: Direction::InOut };
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
    /// Of the field that is walked through.
    direction: Direction,
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
        self.all.push(Leaf { memory, host, kind, direction: self.direction });
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
}

fn too_large(span: Span) -> Diagnostic {
    Diagnostic::new(span, "this is too large to be passed by value").help("pass a pointer to it")
}
