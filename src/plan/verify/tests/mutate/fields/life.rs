//! One op of what outlives a call with another value in one of its fields.
use super::super::{numbers, operands};
use super::Fields;
use crate::plan::op::{At, Fate, Holder, Keeper, LifeOp, Op, Slot};
use std::num::NonZeroU16;

const FATES: [Fate; 3] = [Fate::Kept, Fate::Invalidated, Fate::Consumed];

impl Fields<'_> {
    pub(super) fn life(&mut self, op: LifeOp) {
        let slots = || [None, Slot::new(0), Slot::new(1), Slot::new(2), Slot::new(99)];
        match op {
            LifeOp::Cookie { slot, to, with } => {
                let make = |slot, to, with| Op::Life(LifeOp::Cookie { slot, to, with });
                self.slots(slot, |slot| make(slot, to, with));
                self.moved("to", |to| make(slot, to, with));
                self.each("with", slots(), |with| make(slot, to, with));
                self.each("kind", [Op::Int64 { slot, to }], |op| op);
            }
            LifeOp::Descriptor { slot, to, kind, fate } => {
                let make =
                    |slot, to, kind, fate| Op::Life(LifeOp::Descriptor { slot, to, kind, fate });
                self.slots(slot, |slot| make(slot, to, kind, fate));
                self.moved("to", |to| make(slot, to, kind, fate));
                self.each("entry", numbers(kind), |kind| make(slot, to, kind, fate));
                self.each("fate", FATES, |fate| make(slot, to, kind, fate));
                self.each("kind", [Op::Int32 { slot, to }], |op| op);
            }
            LifeOp::DescriptorCell { slot, to, cell, null } => {
                let make = |slot, to, cell, null| {
                    Op::Life(LifeOp::DescriptorCell { slot, to, cell, null })
                };
                self.slots(slot, |slot| make(slot, to, cell, null));
                self.moved("to", |to| make(slot, to, cell, null));
                self.moved("cell", |cell| make(slot, to, cell, null));
                self.nulls(|null| make(slot, to, cell, null));
                self.each("kind", [Op::PointerCell { slot, to, cell, null }], |op| op);
            }
            LifeOp::HandleCell { slot, to, cell, held, kind, null, empty } => {
                let make = |slot, to, cell, held, kind, null, empty| {
                    Op::Life(LifeOp::HandleCell { slot, to, cell, held, kind, null, empty })
                };
                self.slots(slot, |slot| make(slot, to, cell, held, kind, null, empty));
                self.moved("to", |to| make(slot, to, cell, held, kind, null, empty));
                self.moved("cell", |cell| make(slot, to, cell, held, kind, null, empty));
                self.moved("held", |held| make(slot, to, cell, held, kind, null, empty));
                self.each("entry", numbers(kind), |kind| {
                    make(slot, to, cell, held, kind, null, empty)
                });
                self.nulls(|null| make(slot, to, cell, held, kind, null, empty));
                self.nulls(|empty| make(slot, to, cell, held, kind, null, empty));
                self.each("kind", [Op::PointerCell { slot, to, cell, null }], |op| op);
            }
            LifeOp::ConsumeHeld { held, condition } => {
                let make = |held, condition| Op::Life(LifeOp::ConsumeHeld { held, condition });
                self.moved("held", |held| make(held, condition));
                let other = [None, NonZeroU16::new(1), NonZeroU16::new(2), NonZeroU16::new(99)];
                self.each("condition", other, |condition| make(held, condition));
            }
            LifeOp::Emptied { cell, held, to, param } => {
                let make =
                    |cell, held, to, param| Op::Life(LifeOp::Emptied { cell, held, to, param });
                self.moved("cell", |cell| make(cell, held, to, param));
                self.moved("held", |held| make(cell, held, to, param));
                self.moved("to", |to| make(cell, held, to, param));
                self.params(param, |param| make(cell, held, to, param));
            }
            LifeOp::Exclusive { slot, own } => {
                self.slots(slot, |slot| Op::Life(LifeOp::Exclusive { slot, own }));
                self.each("own", [!own], |own| Op::Life(LifeOp::Exclusive { slot, own }));
            }
            LifeOp::Recall { slot, name, to } => {
                let make = |slot, name, to| Op::Life(LifeOp::Recall { slot, name, to });
                self.slots(slot, |slot| make(slot, name, to));
                self.each("entry", numbers(name), |name| make(slot, name, to));
                self.moved("to", |to| make(slot, name, to));
            }
            LifeOp::Capturable { slot, by } => {
                self.slots(slot, |slot| Op::Life(LifeOp::Capturable { slot, by }));
                self.each("by", slots(), |by| Op::Life(LifeOp::Capturable { slot, by }));
            }
            LifeOp::Keep { at, extent, shared, param } => {
                let make = |at, extent, shared, param| {
                    Op::Life(LifeOp::Keep { at, extent, shared, param })
                };
                self.moved("operand", |at| make(at, extent, shared, param));
                self.moved("operand", |extent| make(at, extent, shared, param));
                self.each("shared", [!shared], |shared| make(at, extent, shared, param));
                self.params(param, |param| make(at, extent, shared, param));
            }
            LifeOp::Retain { slot } => {
                self.slots(slot, |slot| Op::Life(LifeOp::Retain { slot }));
                self.each("kind", [None], |condition| Op::Consume { slot, condition });
            }
            LifeOp::Capture { slot, by } => {
                self.slots(slot, |slot| Op::Life(LifeOp::Capture { slot, by }));
                let keepers = self.keepers();
                self.each("by", keepers, |by| Op::Life(LifeOp::Capture { slot, by }));
            }
            LifeOp::HandOver { at, by } => {
                self.moved("operand", |at| Op::Life(LifeOp::HandOver { at, by }));
                let keepers = self.keepers();
                self.each("by", keepers, |by| Op::Life(LifeOp::HandOver { at, by }));
            }
            LifeOp::FromCookie { from, to, param } => {
                let make = |from, to, param| Op::Life(LifeOp::FromCookie { from, to, param });
                self.moved("operand", |from| make(from, to, param));
                self.moved("to", |to| make(from, to, param));
                self.params(param, |param| make(from, to, param));
                self.each("kind", [Op::Inside { from, to, param }], |op| op);
            }
            LifeOp::AdoptDescriptor { from, to, kind, borrowed, parent } => {
                let make = |from, to, kind, borrowed, parent| {
                    Op::Life(LifeOp::AdoptDescriptor { from, to, kind, borrowed, parent })
                };
                let from_others = operands(from, self.places);
                self.each("operand", from_others, |from| make(from, to, kind, borrowed, parent));
                self.moved("to", |to| make(from, to, kind, borrowed, parent));
                self.each("entry", numbers(kind), |kind| make(from, to, kind, borrowed, parent));
                self.each("owner", [!borrowed], |borrowed| make(from, to, kind, borrowed, parent));
                self.each("owner", slots(), |parent| make(from, to, kind, borrowed, parent));
                let adopt = Op::Adopt { from: from.at, to, kind, borrowed, parent };
                self.each("kind", [adopt], |op| op);
            }
            LifeOp::Remember { value, name, of } => {
                let make = |value, name, of| Op::Life(LifeOp::Remember { value, name, of });
                self.moved("operand", |value| make(value, name, of));
                self.each("entry", numbers(name), |name| make(value, name, of));
                let slots = [0, 1, 2, 99].map(Holder::Slot);
                self.each("of", slots, |of| make(value, name, of));
                self.moved("of", |at| make(value, name, Holder::Made(at)));
                self.moved("of", |at| make(value, name, Holder::Object(at)));
            }
        }
    }

    fn keepers(&self) -> Vec<Keeper> {
        let slots = [0, 1, 2, 99].map(Keeper::Slot).into_iter();
        let made = self.places.iter().map(|at: &At| Keeper::Made(*at));
        slots.chain(made).chain([Keeper::Library]).collect()
    }
}
