//! Handles behind a pointer that the call takes: each is entered once, before handles that nothing is
//! taken of could be; its loss is recorded as annotated, and the guest's cell is written.
use super::demand::{Argument, find};
use super::error::Fault;
use super::written::What;
use super::{Checked, Verifier, once};
use crate::plan::op::{At, Fate, LifeOp};
use crate::signature::NoteKind;
use std::num::NonZeroU16;

impl Verifier<'_> {
    /// A handle is read from its cell.
    pub(super) fn handle_cell(&mut self, op: LifeOp) -> Checked {
        let LifeOp::HandleCell { slot, to, cell, held, kind, null, empty } = op else {
            return Err(Fault::Unasked);
        };
        let index = self.place_bytes(slot, to, 8, What::Address)?;
        let Argument::HandleCell { name, null: n, empty: e } = &self.params[index].wants else {
            return Err(self.disagrees("the type", index));
        };
        self.agrees(null == *n && empty == *e, "the meaning of 0", index)?;
        let name = name.clone();
        self.kind(kind, &name, index)?;
        self.made.set_cell(index, cell);
        self.written.add_local(cell, 8, What::Native, self.index)?;
        self.written.add_local(held, 16, What::Value, self.index)?;
        self.life.held.push((index, held));
        self.entered(Fate::Consumed)
    }

    fn holder_at(&self, held: At) -> Checked<usize> {
        let found = self.life.held.iter().find(|(_, at)| *at == held);
        found.map(|(index, _)| *index).ok_or(Fault::Unknown { what: "handle", at: held })
    }

    /// It has lost an owner.
    pub(super) fn consume_held(&mut self, held: At, condition: Option<NonZeroU16>) -> Checked {
        let index = self.holder_at(held)?;
        let annotation = find(self.params[index].ty, |kind| match kind {
            NoteKind::ConsumesIf(condition) => Some(condition),
            _ => None,
        });
        let same = match (condition, annotation) {
            (None, None) => true,
            (Some(condition), Some(annotation)) => {
                let tree = self.expression(usize::from(condition.get()) - 1)?;
                self.means(&tree, annotation, true)
            }
            _ => false,
        };
        self.agrees(same, "the condition", index)?;
        once(&mut self.outcome.recorded[index])
    }

    /// What the guest gets instead.
    pub(super) fn emptied(&mut self, cell: At, held: At, to: At, param: u16) -> Checked {
        let index = self.holder_at(held)?;
        let own = usize::from(param) == index && self.made.cell(index) == Some(cell);
        self.agrees(own, "the cell", index)?;
        if !self.outcome.recorded[index] {
            return Err(Fault::Sequence("before what becomes of the handle is recorded"));
        }
        self.reaches_guest(index, to)
    }
}
