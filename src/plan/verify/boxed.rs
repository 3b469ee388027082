//! Objects that guests mirror (`__boxed`): a struct with a private field, which only such structs
//! have. Every parameter that points at one is first copied, then replaced by its object, once, of
//! the handle's type; the objects are written when all else has been done, and read before anything
//! else is. Their shapes hold no private byte, no bit-field, and no pointer but to counted bytes.
//! What expressions read of an object before the call only native code sets; nothing reads one that is
//! still to be made, or that may have ended.
use super::demand::{fate, find, has, name_of};
use super::error::Fault;
use super::meaning::Tree;
use super::written::What;
use super::{Checked, Scene, Verifier, once};
use crate::plan::layout::{Scalar, Target as Memory, record_on};
use crate::plan::moves::MoveKind;
use crate::plan::op::{At, Boxing, DeepOp, Direction, Fate, HandleField, Null};
use crate::plan::shape::{Reach, Target};
use crate::signature::{Expr, ExprKind, NoteKind, Record, Type, TypeKind};

/// What memory for objects is aligned to, in bytes.
const ALIGNED: u32 = 16;

/// What the ops of objects have done so far.
pub(super) struct Objects {
    /// Copies of mirrors, by parameter: place and root.
    mirrors: Vec<Option<(At, u16)>>,
    /// The object that stands there instead.
    placed: Vec<Option<Boxing>>,
    pub(super) filled: bool,
    pub(super) fetched: bool,
    /// Whether it was decided if the call has ended it.
    ended: Vec<bool>,
}

impl Objects {
    pub(super) fn new(params: usize) -> Objects {
        let (mirrors, placed) = (vec![None; params], vec![None; params]);
        Objects { mirrors, placed, filled: false, fetched: false, ended: vec![false; params] }
    }

    pub(super) fn any(&self) -> bool {
        self.mirrors.iter().any(Option::is_some)
    }

    /// Whether a parameter's object is no object before the call, or may be none after it.
    fn is_gone(&self, index: usize, after: bool) -> bool {
        match self.placed[index] {
            None => true,
            Some(Boxing::Made) => !after,
            Some(Boxing::Ended | Boxing::EndedIf) => after,
            Some(Boxing::Used) => false,
        }
    }

    /// Of an object in the place of a mirror: as [`Objects::is_gone`].
    pub(super) fn gone_at(&self, at: At, after: bool) -> bool {
        let there = |mirror: &Option<(At, u16)>| mirror.is_some_and(|(place, _)| place == at);
        self.mirrors.iter().position(there).is_some_and(|index| self.is_gone(index, after))
    }
}

impl Scene<'_, '_> {
    /// `p->f` of an object: what native code alone sets, or, after the call, has left.
    pub(super) fn in_object(&self, expr: &Expr) -> Option<Tree> {
        let ExprKind::Arrow(of, field) = &expr.kind else { return None };
        let ExprKind::Name(name) = &of.kind else { return None };
        let verifier = self.verifier;
        let index = self.index(&name.name)?;
        let objects = &verifier.copies.objects;
        if objects.is_gone(index, self.after) {
            return None;
        }
        let (at, _) = objects.mirrors[index]?;
        let record = verifier.record_of(verifier.params[index].ty)?;
        let host = Memory::Host(verifier.reader.abi);
        let (offset, ty) = verifier.data.field(record, &field.name, host)?;
        let natives = has(&ty, &NoteKind::Private) || has(&ty, &NoteKind::Out);
        let known = self.after || natives;
        let width = verifier.data.width(&ty).filter(|_| known)?;
        Some(Tree::Behind(at, u32::try_from(offset).ok()?, width))
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

    /// Where the handle is in the guest's struct: a pointer, or private bytes side by side.
    fn handle_at(&self, record: &Record) -> Option<HandleField> {
        let body = self.data.body(record)?;
        let memory = Memory::Guest(self.reader.model);
        let span = self.plan.prototype.span;
        let (_, places) = record_on(record, span, &self.data.scope, memory).ok()?;
        let mut other = None;
        let mut bytes = std::collections::BTreeSet::new();
        for (field, place) in body.fields.iter().zip(places) {
            if !has(&field.ty, &NoteKind::Private) || place.bits.is_some() {
                continue;
            }
            let at = u32::try_from(place.offset).ok()?;
            bytes.extend(at..at.checked_add(u32::try_from(place.size).ok()?)?);
            let Some(pointee) = field.ty.pointee() else { continue };
            let pointer = u8::try_from(Scalar::Pointer.guest_size(self.reader.model)).ok()?;
            let found = HandleField { at, bytes: pointer };
            if let TypeKind::Record(inner) = &pointee.kind
                && self.data.body(inner).is_none()
            {
                return Some(found);
            }
            other = other.or(Some(found));
        }
        let whole = |at: &&u32| at.is_multiple_of(4) && (1..4).all(|n| bytes.contains(&(**at + n)));
        other.or_else(|| bytes.iter().find(whole).map(|at| HandleField { at: *at, bytes: 4 }))
    }

    /// An op of the *before* section.
    pub(super) fn objects_before(&mut self, op: DeepOp) -> Checked {
        match op {
            DeepOp::Box { slot, to, root, kind, field, boxing, alone, param } => {
                let index = self.param_at(slot)?;
                self.agrees(usize::from(param) == index, "the number", index)?;
                if self.copies.objects.mirrors[index] != Some((to, root))
                    || self.copies.objects.placed[index].replace(boxing).is_some()
                {
                    return Err(Fault::Unasked);
                }
                let ty = self.params[index].ty;
                let Some(record) = self.record_of(ty) else { return Err(Fault::Unasked) };
                self.kind(kind, &name_of(record), index)?;
                let same = self.handle_at(record) == Some(field);
                self.agrees(same, "the place of the handle", index)?;
                let own = has(ty, &NoteKind::Exclusive);
                self.agrees(alone == own, "whether it is shared", index)?;
                self.mirrorable(root, ty, boxing, index)?;
                self.written.becomes(to, What::Object)
            }
            DeepOp::Recall { of, name, to } => {
                let index = self.travels(of)?;
                if self.copies.objects.is_gone(index, false) {
                    return Err(Fault::Unknown { what: "object", at: of });
                }
                self.recalls(index, name, to)
            }
            DeepOp::Fill => {
                self.copies.objects.filled = true;
                if self.copies.objects.any() { Ok(()) } else { Err(Fault::Unasked) }
            }
            DeepOp::Copy { .. }
            | DeepOp::Keep { .. }
            | DeepOp::Fetch
            | DeepOp::KeepFunctions { .. }
            | DeepOp::End { .. }
            | DeepOp::Settle
            | DeepOp::Take { .. }
            | DeepOp::Commit => Err(Fault::Unasked),
        }
    }

    fn mirrorable(&self, root: u16, ty: &Type, boxing: Boxing, index: usize) -> Checked {
        let link = &self.plan.roots[usize::from(root)];
        let expected = match (fate(ty), link.direction) {
            (Fate::Consumed, Direction::InOut) if condition(ty).is_some() => Boxing::EndedIf,
            (Fate::Consumed, Direction::InOut) => Boxing::Ended,
            (Fate::Kept, Direction::Out) => Boxing::Made,
            (Fate::Kept, _) => Boxing::Used,
            _ => return self.wrong("an object that ends without being used", index),
        };
        self.agrees(boxing == expected, "what becomes of the object", index)?;
        let foreign = ty
            .notes
            .iter()
            .any(|note| matches!(note.kind, NoteKind::CapturedBy(_) | NoteKind::Retains));
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
            .any(|(mirror, placed)| mirror.is_some() != placed.is_some());
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
    /// It is decided whether an object has ended.
    pub(super) fn ends(&mut self, of: At, expr: u16) -> Checked {
        let index = self.travels(of)?;
        let objects = &self.copies.objects;
        if objects.placed[index] != Some(Boxing::EndedIf) || !objects.fetched {
            return Err(Fault::Unasked);
        }
        let tree = self.expression(expr.into())?;
        let asked = condition(self.params[index].ty);
        let same = asked.is_some_and(|asked| self.means(&tree, asked, true));
        self.agrees(same, "the condition", index)?;
        once(&mut self.copies.objects.ended[index])
    }

    /// Everything that must happen to objects after the call has.
    pub(super) fn objects_done(&self) -> Checked {
        let objects = &self.copies.objects;
        if objects.any() != objects.fetched {
            let subject = "the objects".to_owned();
            return Err(Fault::Undone { what: "reads", subject });
        }
        let left = (0..self.params.len())
            .find(|at| objects.placed[*at] == Some(Boxing::EndedIf) && !objects.ended[*at]);
        match left {
            Some(index) => {
                let subject = self.subject(index);
                Err(Fault::Undone { what: "decides whether it has ended:", subject })
            }
            None => Ok(()),
        }
    }

    /// The parameter whose object's address is there, after the mirrors were written.
    pub(super) fn object_at(&self, of: At) -> Checked<usize> {
        let index = self.travels(of)?;
        let placed = self.copies.objects.placed[index].is_some() && self.copies_written();
        if placed { Ok(index) } else { Err(Fault::Unknown { what: "object", at: of }) }
    }

    pub(super) fn is_object(&self, index: usize) -> bool {
        self.copies.objects.placed.get(index).is_some_and(Option::is_some)
    }
}

/// When an object has ended (`__consumes_if`).
fn condition(ty: &Type) -> Option<&Expr> {
    find(ty, |kind| match kind {
        NoteKind::ConsumesIf(condition) => Some(condition),
        _ => None,
    })
}
