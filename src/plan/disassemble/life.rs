//! Ops of what outlives a call, as text.
use super::Printer;
use super::names::null_name;
use crate::plan::op::{At, Fate, Holder, Keeper, LifeOp, Op};

impl Printer<'_> {
    pub(super) fn life(&self, op: LifeOp) -> String {
        match op {
            LifeOp::Cookie { slot, to, with: None } => self.slot_to(slot, to),
            LifeOp::Cookie { slot, to, with: Some(with) } => {
                format!("{}, NULL if slot {} is", self.slot_to(slot, to), with.number())
            }
            LifeOp::Descriptor { slot, to, kind, fate } => {
                let fate = match fate {
                    Fate::Kept => "kept",
                    Fate::Invalidated => "invalidated",
                    Fate::Consumed => "consumed",
                };
                format!("{}, {}, {fate}", self.slot_to(slot, to), self.kind(kind))
            }
            LifeOp::HandleCell { slot, to, cell, held, kind, null, empty } => {
                let (to, cell, held) = (self.slot_to(slot, to), self.at(cell), self.at(held));
                let (null, empty) = (null_name(null), null_name(empty));
                format!(
                    "{to}, cell {cell}, kept at {held}, {}, {null}, in it {empty}",
                    self.kind(kind)
                )
            }
            LifeOp::ConsumeHeld { held, condition } => {
                let condition = condition.map_or(String::new(), |condition| {
                    format!(" if {{{}}}", self.expression(condition.get() - 1))
                });
                format!("the handle at {}{condition}", self.at(held))
            }
            LifeOp::Emptied { cell, held, to, param: _ } => {
                let (cell, held, to) = (self.at(cell), self.at(held), self.at(to));
                format!("{cell} -> {to}, the handle at {held} or 0")
            }
            LifeOp::DescriptorCell { slot, to, cell, null } => {
                let (slot, cell) = (self.slot_to(slot, to), self.at(cell));
                format!("{slot}, cell {cell}, {}", null_name(null))
            }
            LifeOp::Exclusive { slot, own: true } => format!("slot {slot}"),
            LifeOp::Exclusive { slot, own: false } => format!("slot {slot}, by types"),
            LifeOp::Recall { slot, name, to } => {
                format!("{} of slot {slot} -> {}", self.name(name), self.at(to))
            }
            LifeOp::Capturable { slot, by: None } => format!("slot {slot}"),
            LifeOp::Capturable { slot, by: Some(by) } => {
                format!("slot {slot}, not slot {} itself", by.number())
            }
            LifeOp::Keep { at, extent, shared, param: _ } => {
                let shared = if shared { ", shared" } else { "" };
                format!("{} (length {}){shared}", self.at(at), self.at(extent))
            }
            LifeOp::Retain { slot } => format!("slot {slot}"),
            LifeOp::Capture { slot, by } => format!("slot {slot} by {}", self.keeper(by)),
            LifeOp::HandOver { at, by } => {
                format!("copy for {} to {}", self.at(at), self.keeper(by))
            }
            LifeOp::FromCookie { from, to, param: _ } => self.moved(from, to),
            LifeOp::AdoptDescriptor { from, to, kind, borrowed, parent } => {
                let borrowed = if borrowed { ", borrowed" } else { "" };
                let parent = parent
                    .map_or_else(String::new, |slot| format!(", lent by slot {}", slot.number()));
                let (from, to) = (self.operand(from), self.at(to));
                format!("{from} -> {to}, {}, unless negative{borrowed}{parent}", self.kind(kind))
            }
            LifeOp::Remember { value, name, of } => {
                let of = match of {
                    Holder::Slot(slot) => format!("slot {slot}"),
                    Holder::Made(at) => self.at(at),
                    Holder::Object(at) => format!("the object at {}", self.at(at)),
                };
                format!("{} of {of} = {}", self.name(name), self.at(value))
            }
        }
    }

    /// Whether what is placed there is a copy that outlives the call.
    pub(super) fn is_kept(&self, place: At) -> bool {
        let kept = |op: &Op| matches!(op, Op::Life(LifeOp::Keep { at, .. }) if *at == place);
        self.plan.ops.iter().any(kept)
    }

    fn keeper(&self, by: Keeper) -> String {
        match by {
            Keeper::Slot(slot) => format!("slot {slot}"),
            Keeper::Made(at) => self.at(at),
            Keeper::Library => "the library".to_owned(),
        }
    }

    fn name(&self, name: u16) -> &str {
        self.plan.names.get(usize::from(name)).map_or("?", |name| name)
    }

    /// The parameter that an op is about.
    pub(super) fn life_subject(&self, op: LifeOp) -> Option<String> {
        match op {
            LifeOp::Cookie { slot, .. }
            | LifeOp::Descriptor { slot, .. }
            | LifeOp::DescriptorCell { slot, .. }
            | LifeOp::HandleCell { slot, .. }
            | LifeOp::Exclusive { slot, .. }
            | LifeOp::Recall { slot, .. }
            | LifeOp::Capturable { slot, .. }
            | LifeOp::Retain { slot }
            | LifeOp::Capture { slot, .. }
            | LifeOp::Remember { of: Holder::Slot(slot), .. } => Some(self.param_of(slot)),
            LifeOp::Keep { param, .. }
            | LifeOp::FromCookie { param, .. }
            | LifeOp::Emptied { param, .. } => Some(self.param(param)),
            LifeOp::ConsumeHeld { .. } => None,
            LifeOp::HandOver { at, .. } | LifeOp::Remember { of: Holder::Object(at), .. } => {
                self.travels(at)
            }
            LifeOp::AdoptDescriptor { .. } | LifeOp::Remember { of: Holder::Made(_), .. } => None,
        }
    }
}

/// The name of an op.
pub(super) fn mnemonic(op: LifeOp) -> &'static str {
    match op {
        LifeOp::Cookie { .. } => "cookie",
        LifeOp::Descriptor { .. } => "descr",
        LifeOp::DescriptorCell { .. } => "desccell",
        LifeOp::HandleCell { .. } => "handcell",
        LifeOp::ConsumeHeld { .. } => "consume",
        LifeOp::Emptied { .. } => "emptied",
        LifeOp::Exclusive { .. } => "exclusiv",
        LifeOp::Recall { .. } => "recall",
        LifeOp::Capturable { .. } => "maycapt",
        LifeOp::Keep { .. } => "keep",
        LifeOp::Retain { .. } => "retain",
        LifeOp::Capture { .. } => "capture",
        LifeOp::HandOver { .. } => "handover",
        LifeOp::FromCookie { .. } => "uncookie",
        LifeOp::AdoptDescriptor { .. } => "adoptdes",
        LifeOp::Remember { .. } => "remember",
    }
}
