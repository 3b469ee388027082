//! Handles behind a pointer that the call takes (`T **__consumes`): `avformat_close_input(&context)`.
use super::Compiler;
use super::expression::When;
use super::params::uncounted_null;
use crate::plan::op::{At, LifeOp, Op};
use crate::signature::{Note, NoteKind, Param, TypeKind};
use std::num::NonZeroU16;

/// The annotation that changes who owns the handle behind a pointer.
pub(super) fn owner_behind(param: &Param) -> Option<&Note> {
    use NoteKind::{Consumes, ConsumesIf, Retains};
    let pointer = param.ty.pointee().is_some_and(|inner| inner.pointee().is_some());
    let mut notes = param.ty.notes.iter();
    notes.find(|note| pointer && matches!(note.kind, Consumes | ConsumesIf(_) | Retains))
}

impl Compiler<'_> {
    /// A handle behind a pointer: it goes in, and does not come back.
    pub(super) fn held(&mut self, index: usize, param: &Param, note: &Note, to: At) {
        let record = match param.ty.pointee().and_then(|inner| inner.pointee()).map(|ty| &ty.kind) {
            Some(TypeKind::Record(record)) if !self.is_complete(record) => record,
            _ => {
                let message = "only handles have owners";
                return self.error(note.span, message, "retype the pointer to one without a body");
            }
        };
        if note.kind == NoteKind::Retains {
            return self.error(
                note.span,
                "a handle that native code leaves behind a pointer is owned anyway",
                "leave it out; a function that adds an owner takes the handle itself",
            );
        }
        if param.ty.has(|n| matches!(n, NoteKind::In | NoteKind::Out)) {
            let message = "what the call takes is read, and what is left is written";
            return self.error(note.span, message, "leave the direction out, or write `_Inout_`");
        }
        let Some(inner) = param.ty.pointee() else { return };
        if inner.has(|n| {
            matches!(n, NoteKind::Borrowed | NoteKind::LifetimeBound(_) | NoteKind::Remember(..))
        }) || self.has_exclusive_types()
        {
            return self.error(
                note.span,
                "what is said of this handle, or of the types beside it, is for handles that are passed \
                 themselves",
                "let a short C function take the handle",
            );
        }
        let (slot, kind) = (self.slots[index], self.kind(record));
        let (cell, held) = (self.local(8), self.local(16));
        let (null, empty) = (uncounted_null(&param.ty), uncounted_null(inner));
        let op = LifeOp::HandleCell { slot, to, cell, held, kind, null, empty };
        self.before.taken.push(Op::Life(op));
        self.held.push((index, cell, held));
    }

    /// What becomes of handles behind pointers.
    pub(super) fn held_after(&mut self) {
        for (index, cell, held) in std::mem::take(&mut self.held) {
            let condition = self.ty(index).notes.iter().find_map(|note| match &note.kind {
                NoteKind::ConsumesIf(condition) => Some(condition),
                _ => None,
            });
            let condition = condition.and_then(|condition| self.expression(condition, When::After));
            let condition = condition.and_then(|index| NonZeroU16::new(index + 1));
            self.after.facts.push(Op::Life(LifeOp::ConsumeHeld { held, condition }));
            let from = self.local(8);
            let param = super::index_of(index);
            self.after.checks.push(Op::Life(LifeOp::Emptied { cell, held, to: from, param }));
            let (slot, width) = (self.slots[index], self.pointer_width());
            self.after.store.push(Op::StoreCell { slot, from, width });
        }
    }
}
