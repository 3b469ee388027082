//! Guest functions that native code calls, as text: the ops that pass them, and, below the plan, how each
//! type of them is called.
use super::Printer;
use super::names::{bytes, null_name, returns_name};
use super::outside::fetch_name;
use crate::plan::Callback;
use crate::plan::op::{CallbackOp, Lent};
use std::fmt::{self, Write as _};

pub(super) fn mnemonic(op: CallbackOp) -> &'static str {
    match op {
        CallbackOp::Pass { .. } => "pass",
        CallbackOp::Keep { .. } => "keep",
        CallbackOp::KeepReturned { .. } => "keepret",
        CallbackOp::Scalar { .. } | CallbackOp::ScalarWithin { .. } => "scalar",
        CallbackOp::Pair { .. } => "pair",
        CallbackOp::Vector { .. } => "vector",
        CallbackOp::Cookie { .. } => "cookie",
        CallbackOp::Descriptor { .. } => "descr",
        CallbackOp::Function { .. } => "function",
        CallbackOp::Inside { .. } => "inside",
        CallbackOp::Copy { .. } => "copy",
        CallbackOp::Handle { .. } => "handle",
        CallbackOp::Object { .. } => "object",
        CallbackOp::Room { .. } => "room",
        CallbackOp::Enter => "enter",
        CallbackOp::Reply { .. } | CallbackOp::ReplyWithin { .. } => "reply",
        CallbackOp::ReplyVector => "repvector",
        CallbackOp::ReplySplit { .. } => "repsplit",
        CallbackOp::ReplyBehind { .. } => "repbehind",
        CallbackOp::ReplyHandle { .. } => "rephandle",
        CallbackOp::ReplyDescriptor { .. } => "repdescr",
        CallbackOp::ReplyCookie => "repcookie",
        CallbackOp::ReplyText { .. } => "reptext",
        CallbackOp::ReplyBuffer { .. } => "repbuffer",
        CallbackOp::ReplyCopy { .. } => "repcopy",
        CallbackOp::ReplyFunction { .. } => "repfunc",
    }
}

impl Printer<'_> {
    pub(super) fn callback(&self, op: CallbackOp) -> String {
        match op {
            CallbackOp::Pass { slot, to, callback, null, closure, kept } => {
                let kept = if kept { ", may be kept" } else { "" };
                format!(
                    "{}, callback {callback}, {}, closure -> {}{kept}",
                    self.slot_to(slot, to),
                    null_name(null),
                    self.at(closure)
                )
            }
            CallbackOp::Keep { closure, holder: None } => {
                format!("closure {}, until it is released", self.at(closure))
            }
            CallbackOp::Keep { closure, holder: Some(slot) } => {
                format!("closure {}, while slot {} lives", self.at(closure), slot.number())
            }
            CallbackOp::KeepReturned { closure, handle } => {
                format!("closure {}, while {} lives", self.at(closure), self.at(handle))
            }
            CallbackOp::Scalar { from, slot, returns } => {
                format!("{} -> slot {slot}, {}", self.at(from), returns_name(returns))
            }
            CallbackOp::ScalarWithin { from, slot, returns, range } => {
                let (from, returns) = (self.at(from.at), returns_name(returns));
                format!("{from} -> slot {slot}, {returns} in {}", self.range(range))
            }
            CallbackOp::Pair { low, high, slot, extended } => {
                let x87 = if extended { ", from the x87's format" } else { "" };
                let from = if high.offset() == low.offset() + 8 {
                    self.at(low)
                } else {
                    format!("{} and {}", self.at(low), self.at(high))
                };
                format!("{from} -> slots {slot} and {}{x87}", slot + 1)
            }
            CallbackOp::Descriptor { from, slot, kind } => {
                format!("{} -> slot {slot}, {}", self.at(from), self.kind(kind))
            }
            CallbackOp::Vector { from, slot }
            | CallbackOp::Cookie { from, slot }
            | CallbackOp::Function { from, slot }
            | CallbackOp::Inside { from, slot } => {
                format!("{} -> slot {slot}", self.at(from))
            }
            CallbackOp::Copy { from, slot, root } => {
                format!("{} -> slot {slot}, {}", self.at(from), self.root(root))
            }
            CallbackOp::Handle { from, slot, kind, lent } => {
                let lent = match lent {
                    Lent::Callback => String::new(),
                    Lent::By(slot) => format!(", lent by slot {slot}"),
                    Lent::Static => ", lent for ever".to_owned(),
                };
                format!("{} -> slot {slot}, {}{lent}", self.at(from), self.kind(kind))
            }
            CallbackOp::Object { slot, size, moves, behind } => {
                let behind =
                    behind.map_or_else(String::new, |at| format!(" behind {}", self.at(at)));
                let size = bytes(size.into());
                format!("moves {moves}{behind} -> {size} of memory at slot {slot}")
            }
            CallbackOp::Room { size } => format!("{} of memory at slot 0", bytes(size.into())),
            CallbackOp::Enter => "the guest's function".to_owned(),
            CallbackOp::Reply { fetch } => format!("slot 0, {}", fetch_name(fetch)),
            CallbackOp::ReplyWithin { fetch, range } => {
                format!("slot 0, {} in {}", fetch_name(fetch), self.range(range))
            }
            CallbackOp::ReplyVector | CallbackOp::ReplyCookie => "slot 0".to_owned(),
            CallbackOp::ReplyDescriptor { kind } => format!("slot 0, {}", self.kind(kind)),
            CallbackOp::ReplyCopy { root } => format!("slot 0, {}", self.root(root)),
            CallbackOp::ReplyFunction { callback, null } => {
                format!("slot 0, callback {callback}, {}", null_name(null))
            }
            CallbackOp::ReplySplit { size, moves } => {
                format!("{} of memory, moves {moves}", bytes(size.into()))
            }
            CallbackOp::ReplyBehind { size, moves, hidden } => format!(
                "{} of memory, moves {moves} -> where {} points",
                bytes(size.into()),
                self.at(hidden)
            ),
            CallbackOp::ReplyHandle { kind, null } => {
                format!("slot 0, {}, {}", self.kind(kind), null_name(null))
            }
            CallbackOp::ReplyText { unit, null } => {
                format!("slot 0, string of {}, copy, {}", bytes(unit.into()), null_name(null))
            }
            CallbackOp::ReplyBuffer { expr, size, align, null } => {
                let count = expr.map_or_else(
                    || "1".to_owned(),
                    |expr| format!("{{{}}}", self.expression(expr)),
                );
                let size = bytes(size.into());
                format!("slot 0, {count} x {size} aligned to {align}, {}", null_name(null))
            }
        }
    }

    pub(super) fn callback_comment(&self, op: CallbackOp) -> Option<String> {
        match op {
            CallbackOp::Pass { slot, .. }
            | CallbackOp::Scalar { slot, .. }
            | CallbackOp::ScalarWithin { slot, .. }
            | CallbackOp::Descriptor { slot, .. }
            | CallbackOp::Function { slot, .. }
            | CallbackOp::Pair { slot, .. }
            | CallbackOp::Vector { slot, .. }
            | CallbackOp::Cookie { slot, .. }
            | CallbackOp::Inside { slot, .. }
            | CallbackOp::Copy { slot, .. }
            | CallbackOp::Handle { slot, .. }
            | CallbackOp::Object { slot, .. } => Some(self.param_of(slot)),
            CallbackOp::Room { .. }
            | CallbackOp::Reply { .. }
            | CallbackOp::ReplyWithin { .. }
            | CallbackOp::ReplyVector
            | CallbackOp::ReplySplit { .. }
            | CallbackOp::ReplyBehind { .. }
            | CallbackOp::ReplyHandle { .. }
            | CallbackOp::ReplyDescriptor { .. }
            | CallbackOp::ReplyCookie
            | CallbackOp::ReplyText { .. }
            | CallbackOp::ReplyBuffer { .. }
            | CallbackOp::ReplyCopy { .. }
            | CallbackOp::ReplyFunction { .. } => Some("result".to_owned()),
            CallbackOp::Enter | CallbackOp::Keep { .. } | CallbackOp::KeepReturned { .. } => None,
        }
    }

    /// The intervals of an entry of the table of ranges.
    pub(super) fn range(&self, set: u16) -> String {
        let intervals = self.plan.ranges.get(usize::from(set));
        intervals.map_or_else(String::new, |intervals| self.intervals(intervals))
    }

    /// The plans of callbacks, below that of the call.
    pub(super) fn callbacks(&self, text: &mut String) -> fmt::Result {
        for (number, Callback { plan, on_trap }) in self.plan.callbacks.iter().enumerate() {
            writeln!(text, "\ncallback {number}, {on_trap} after a trap")?;
            let mut inner = String::new();
            Printer { plan, abi: self.abi }.plan(&mut inner)?;
            for line in inner.lines() {
                writeln!(text, "{}", format!("  {line}").trim_end())?;
            }
        }
        Ok(())
    }
}
