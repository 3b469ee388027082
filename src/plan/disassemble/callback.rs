//! Guest functions that native code calls, as text: the ops that pass them, and, below the plan, how each
//! type of them is called.
use super::Printer;
use super::names::{bytes, null_name, returns_name};
use super::outside::fetch_name;
use crate::plan::Callback;
use crate::plan::op::{CallbackOp, Each, Reach};
use std::fmt::{self, Write as _};

pub(super) fn mnemonic(op: CallbackOp) -> &'static str {
    match op {
        CallbackOp::Pass { .. } => "pass",
        CallbackOp::Keep { .. } => "keep",
        CallbackOp::KeepReturned { .. } => "keepret",
        CallbackOp::Scalar { .. } => "scalar",
        CallbackOp::Pair { .. } => "pair",
        CallbackOp::Vector { .. } => "vector",
        CallbackOp::Cookie { .. } => "cookie",
        CallbackOp::Inside { .. } => "inside",
        CallbackOp::Copy { .. } => "copy",
        CallbackOp::Handle { .. } => "handle",
        CallbackOp::Object { .. } => "object",
        CallbackOp::Room { .. } => "room",
        CallbackOp::Enter => "enter",
        CallbackOp::Reply { .. } => "reply",
        CallbackOp::ReplyVector => "repvector",
        CallbackOp::ReplySplit { .. } => "repsplit",
        CallbackOp::ReplyBehind { .. } => "repbehind",
        CallbackOp::ReplyHandle { .. } => "rephandle",
        CallbackOp::ReplyCookie => "repcookie",
        CallbackOp::ReplyText { .. } => "reptext",
        CallbackOp::ReplyBuffer { .. } => "repbuffer",
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
            CallbackOp::Pair { from, slot, extended } => {
                let x87 = if extended { ", from the x87's format" } else { "" };
                format!("{} -> slots {slot} and {}{x87}", self.at(from), slot + 1)
            }
            CallbackOp::Vector { from, slot }
            | CallbackOp::Cookie { from, slot }
            | CallbackOp::Inside { from, slot } => {
                format!("{} -> slot {slot}", self.at(from))
            }
            CallbackOp::Copy { from, slot, reach, back } => {
                let reach = match reach {
                    Reach::Text(1) => "string".to_owned(),
                    Reach::Text(unit) => format!("string of {unit}-byte elements"),
                    Reach::Counted { expr, size } => {
                        format!("{{{}}} x {}", self.expression(expr), bytes(size.into()))
                    }
                    Reach::Object { size, moves } => {
                        format!("{}, moves {moves}", bytes(size.into()))
                    }
                    Reach::Pointers { expr, each } => {
                        let count = match expr {
                            None => "pointers up to NULL".to_owned(),
                            Some(expr) => format!("{{{}}} pointers", self.expression(expr)),
                        };
                        match each {
                            Each::Text(1) => format!("{count} to strings"),
                            Each::Text(unit) => {
                                format!("{count} to strings of {unit}-byte elements")
                            }
                            Each::Handle(kind) => format!("{count} to {}", self.kind(kind)),
                        }
                    }
                };
                let back = if back { ", and back" } else { "" };
                format!("{} -> slot {slot}, inside or copy of {reach}{back}", self.at(from))
            }
            CallbackOp::Handle { from, slot, kind } => {
                format!("{} -> slot {slot}, {}", self.at(from), self.kind(kind))
            }
            CallbackOp::Object { slot, size, moves } => {
                format!("moves {moves} -> {} of memory at slot {slot}", bytes(size.into()))
            }
            CallbackOp::Room { size } => format!("{} of memory at slot 0", bytes(size.into())),
            CallbackOp::Enter => "the guest's function".to_owned(),
            CallbackOp::Reply { fetch } => format!("slot 0, {}", fetch_name(fetch)),
            CallbackOp::ReplyVector | CallbackOp::ReplyCookie => "slot 0".to_owned(),
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
            | CallbackOp::Pair { slot, .. }
            | CallbackOp::Vector { slot, .. }
            | CallbackOp::Cookie { slot, .. }
            | CallbackOp::Inside { slot, .. }
            | CallbackOp::Copy { slot, .. }
            | CallbackOp::Handle { slot, .. }
            | CallbackOp::Object { slot, .. } => Some(self.param_of(slot)),
            CallbackOp::Room { .. }
            | CallbackOp::Reply { .. }
            | CallbackOp::ReplyVector
            | CallbackOp::ReplySplit { .. }
            | CallbackOp::ReplyBehind { .. }
            | CallbackOp::ReplyHandle { .. }
            | CallbackOp::ReplyCookie
            | CallbackOp::ReplyText { .. }
            | CallbackOp::ReplyBuffer { .. } => Some("result".to_owned()),
            CallbackOp::Enter | CallbackOp::Keep { .. } | CallbackOp::KeepReturned { .. } => None,
        }
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
