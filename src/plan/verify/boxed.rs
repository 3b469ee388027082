//! Objects that guests mirror (`__boxed`): a struct with a private field, which only such structs
//! have. Every parameter that points at one is first copied, then replaced by its object, once, of
//! the handle's type; the objects are written when all else has been done, and read before anything
//! else is. Their shapes hold no private byte, no bit-field, and no pointer but to counted bytes.
use super::demand::{has, name_of};
use super::error::Fault;
use super::{Checked, Verifier};
use crate::plan::layout::{Target as Memory, record_on};
use crate::plan::moves::MoveKind;
use crate::plan::op::{At, Boxing, DeepOp, Direction, Null};
use crate::plan::shape::{Reach, Target};
use crate::signature::{NoteKind, Record, Type, TypeKind};

/// What memory for objects is aligned to, in bytes.
const ALIGNED: u32 = 16;

/// What the ops of objects have done so far.
pub(super) struct Objects {
    /// Copies of mirrors, by parameter: place and root.
    mirrors: Vec<Option<(At, u16)>>,
    /// Whether the object stands there instead.
    placed: Vec<bool>,
    pub(super) filled: bool,
    pub(super) fetched: bool,
}

impl Objects {
    pub(super) fn new(params: usize) -> Objects {
        let (mirrors, placed) = (vec![None; params], vec![false; params]);
        Objects { mirrors, placed, filled: false, fetched: false }
    }

    pub(super) fn any(&self) -> bool {
        self.mirrors.iter().any(Option::is_some)
    }
}

impl Verifier<'_> {
    fn record_of<'t>(&self, ty: &'t Type) -> Option<&'t Record> {
        match &ty.pointee()?.kind {
            TypeKind::Record(record) => Some(record),
            _ => None,
        }
    }

    /// Whether a pointer is to a mirror.
    pub(super) fn is_boxed(&self, ty: &Type) -> bool {
        let body = self.record_of(ty).and_then(|record| self.data.body(record));
        body.is_some_and(|body| body.fields.iter().any(|field| has(&field.ty, &NoteKind::Private)))
    }

    /// A mirror was copied.
    pub(super) fn mirrored(&mut self, index: usize, to: At, root: u16) {
        self.copies.objects.mirrors[index] = Some((to, root));
    }

    /// Where the handle is in the guest's struct.
    fn handle_at(&self, record: &Record) -> Option<u64> {
        let body = self.data.body(record)?;
        let memory = Memory::Guest(self.reader.model);
        let span = self.plan.prototype.span;
        let (_, places) = record_on(record, span, &self.data.scope, memory).ok()?;
        let mut other = None;
        for (field, place) in body.fields.iter().zip(places) {
            let Some(pointee) = field.ty.pointee() else { continue };
            if !has(&field.ty, &NoteKind::Private) {
                continue;
            }
            if let TypeKind::Record(inner) = &pointee.kind
                && self.data.body(inner).is_none()
            {
                return Some(place.offset);
            }
            other = other.or(Some(place.offset));
        }
        other
    }

    /// An op of the *before* section.
    pub(super) fn objects_before(&mut self, op: DeepOp) -> Checked {
        match op {
            DeepOp::Box { slot, to, root, kind, field, boxing, param } => {
                let index = self.param_at(slot)?;
                self.agrees(usize::from(param) == index, "the number", index)?;
                if self.copies.objects.mirrors[index] != Some((to, root))
                    || std::mem::replace(&mut self.copies.objects.placed[index], true)
                {
                    return Err(Fault::Unasked);
                }
                let ty = self.params[index].ty;
                let Some(record) = self.record_of(ty) else { return Err(Fault::Unasked) };
                self.kind(kind, &name_of(record), index)?;
                let same = self.handle_at(record) == Some(field.into());
                self.agrees(same, "the place of the handle", index)?;
                self.mirrorable(root, ty, boxing, index)
            }
            DeepOp::Fill => {
                self.copies.objects.filled = true;
                if self.copies.objects.any() { Ok(()) } else { Err(Fault::Unasked) }
            }
            DeepOp::Copy { .. }
            | DeepOp::Keep { .. }
            | DeepOp::Fetch
            | DeepOp::KeepFunctions { .. }
            | DeepOp::Settle
            | DeepOp::Take { .. }
            | DeepOp::Commit => Err(Fault::Unasked),
        }
    }

    fn mirrorable(&self, root: u16, ty: &Type, boxing: Boxing, index: usize) -> Checked {
        let link = &self.plan.roots[usize::from(root)];
        let expected = match (has(ty, &NoteKind::Consumes), link.direction) {
            (true, Direction::InOut) => Boxing::Ended,
            (true, _) => return self.wrong("an object that ends without being used", index),
            (false, Direction::Out) => Boxing::Made,
            (false, _) => Boxing::Used,
        };
        self.agrees(boxing == expected, "what becomes of the object", index)?;
        let foreign = ty.notes.iter().any(|note| {
            use NoteKind::{CapturedBy, ConsumesIf, Exclusive, Invalidates, Remember, Retains};
            matches!(
                note.kind,
                CapturedBy(_) | ConsumesIf(_) | Exclusive | Invalidates | Remember(..) | Retains
            )
        });
        if foreign || link.reach != Reach::One || link.null != Null::Refused {
            return self.wrong("objects that are passed another way", index);
        }
        let Target::Data(shape) = link.target else {
            return self.wrong("an object without a shape", index);
        };
        let shape = &self.plan.shapes[usize::from(shape)];
        let bits = shape.moves.iter().any(|one| matches!(one.kind, MoveKind::Bits(_)));
        let bytes = shape.links.iter().all(|link| matches!(link.target, Target::Bytes { .. }));
        if bits || !bytes || shape.host_align > ALIGNED {
            return self.wrong("an object that cannot be mirrored", index);
        }
        Ok(())
    }

    /// Every mirror has been replaced by its object, and those have been written.
    pub(super) fn objects_ready(&self) -> Checked {
        let objects = &self.copies.objects;
        let left = objects
            .mirrors
            .iter()
            .zip(&objects.placed)
            .any(|(mirror, placed)| mirror.is_some() != *placed);
        if left || objects.any() != objects.filled {
            return Err(Fault::Undone { what: "places", subject: "the objects".to_owned() });
        }
        Ok(())
    }

    /// The objects are read.
    pub(super) fn fetched(&mut self) -> Checked {
        let again = std::mem::replace(&mut self.copies.objects.fetched, true);
        if again || !self.copies.objects.any() { Err(Fault::Unasked) } else { Ok(()) }
    }
}
