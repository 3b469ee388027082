//! What an op reads, checks and writes, as text.
use super::Printer;
use super::names::{bytes, direction_name, null_name, returns_name, width_name};
use crate::plan::op::{Count, Datum, Fate, Op, Ownership, Stub, TakeExtent};
use std::fmt::Write as _;

impl Printer<'_> {
    pub(super) fn op(&self, op: &Op) -> String {
        match *op {
            Op::Int8 { slot, to }
            | Op::UInt8 { slot, to }
            | Op::Int16 { slot, to }
            | Op::UInt16 { slot, to }
            | Op::Bool { slot, to }
            | Op::Int32 { slot, to }
            | Op::Int64 { slot, to }
            | Op::Long32 { slot, to }
            | Op::ULong32 { slot, to }
            | Op::Float32 { slot, to }
            | Op::Float64 { slot, to }
            | Op::Vector { slot, to } => self.slot_to(slot, to),
            Op::Pair { slot, to } | Op::Extended { slot, to } => {
                format!("slots {slot} and {} -> {}", slot + 1, self.at(to))
            }
            Op::Object { slot, size, moves } => {
                format!("slot {slot}, {}, moves {moves}", bytes(size.into()))
            }
            Op::Address { of, to, zeroed: 0 } => format!("of {} -> {}", self.at(of), self.at(to)),
            Op::Address { of, to, zeroed } => {
                let zeroed = bytes(zeroed.into());
                format!("of {} -> {}, {zeroed} zeroed", self.at(of), self.at(to))
            }
            Op::Room { slot, size } => format!("slot {slot}, {}", bytes(size.into())),
            Op::Format { text, extent, param: _ } => {
                format!("{} (length {})", self.at(text), self.at(extent))
            }
            Op::FitsObject { moves } => format!("moves {moves}"),
            Op::StoreObject { slot, moves } => format!("moves {moves} -> memory at slot {slot}"),
            Op::Native(op) => self.native(op),
            Op::Upcall(op) => self.upcall(op),
            Op::Deep(op) => self.deep(op),
            Op::Callback(op) => self.callback(op),
            Op::Life(op) => self.life(op),
            Op::Range { value, set, param: _ } => {
                format!("{} in {}", self.operand(value), self.range(set))
            }
            Op::Evaluate { expr, to, param: _ } | Op::Measure { expr, to } => {
                format!("{{{}}} -> {}", self.expression(expr), self.at(to))
            }
            Op::Require { expr, of: _ } => format!("{{{}}}", self.expression(expr)),
            Op::Value { expr, to, width, param: _ } => {
                let expression = self.expression(expr);
                format!("{{{expression}}} -> {} as {}", self.at(to), width_name(width))
            }
            Op::Buffer { slot, to, count, size, align, null, param: _, extent } => {
                let mut text = self.slot_to(slot, to);
                let count = match count {
                    Count::Of(operand) => self.operand(operand),
                    Count::Exactly(count) => count.to_string(),
                };
                let _ = write!(text, ", {count} x {}", bytes(size.into()));
                if align > 1 {
                    let _ = write!(text, " aligned to {align}");
                }
                let _ = write!(text, ", {}", null_name(null));
                if let Some(extent) = extent {
                    let writable = if self.is_kept(to) { "" } else { " writable," };
                    let _ = write!(text, ",{writable} length -> {}", self.at(extent));
                }
                text
            }
            Op::Text { slot, to, unit, null, copy, extent } => {
                let slot = self.slot_to(slot, to);
                let copy = if copy { ", copied" } else { "" };
                let (null, extent) = (null_name(null), self.at(extent));
                let unit = if unit == 1 {
                    String::new()
                } else {
                    format!(", units of {}", bytes(unit.into()))
                };
                format!("{slot}{unit}{copy}, {null}, length -> {extent}")
            }
            Op::Cell { slot, to, cell, guest, host, direction, null } => format!(
                "{}, cell {}, guest {}, host {}, {}, {}",
                self.slot_to(slot, to),
                self.at(cell),
                width_name(guest),
                width_name(host),
                direction_name(direction),
                null_name(null)
            ),
            Op::PointerCell { slot, to, cell, null } => {
                let (slot, cell) = (self.slot_to(slot, to), self.at(cell));
                format!("{slot}, cell {cell}, {}", null_name(null))
            }
            Op::TextCell { slot, to, cell, null, extent } => {
                let (slot, cell) = (self.slot_to(slot, to), self.at(cell));
                let (null, extent) = (null_name(null), self.at(extent));
                format!("{slot}, cell {cell}, {null}, length -> {extent}")
            }
            Op::Handle { slot, to, kind, null, fate } => {
                let fate = match fate {
                    Fate::Kept => "kept",
                    Fate::Invalidated => "invalidated",
                    Fate::Consumed => "consumed",
                };
                let (slot, kind) = (self.slot_to(slot, to), self.kind(kind));
                format!("{slot}, {kind}, {}, {fate}", null_name(null))
            }
            Op::Apart { text, text_extent, buffer, buffer_extent } => format!(
                "{} (length {}) from {} (length {})",
                self.at(text),
                self.at(text_extent),
                self.at(buffer),
                self.at(buffer_extent)
            ),
            Op::Reserve { handles } => handles.to_string(),
            Op::Call { stub, returns } => {
                let stub = match stub {
                    Stub::Data(Datum::Integer(1) | Datum::Vector(1)) => "reads 1 byte",
                    Stub::Data(Datum::Integer(2) | Datum::Vector(2)) => "reads 2 bytes",
                    Stub::Data(Datum::Integer(4) | Datum::Vector(4)) => "reads 4 bytes",
                    Stub::Data(Datum::Integer(_) | Datum::Vector(_)) => "reads 8 bytes",
                    Stub::Data(Datum::Address) => "address of the array",
                    Stub::Integers => "integer registers",
                    Stub::Registers => "all registers",
                    Stub::Stack => "all registers, stack",
                    Stub::Whole { x87: 0 } => "whole registers, stack",
                    Stub::Whole { x87: 1 } => "whole registers, stack, st(0)",
                    Stub::Whole { .. } => "whole registers, stack, st(0) and st(1)",
                };
                format!("{stub}; {}", returns_name(returns))
            }
            Op::Consume { slot, condition } => match condition {
                Some(condition) => {
                    format!("slot {slot} if {{{}}}", self.expression(condition.get() - 1))
                }
                None => format!("slot {slot}"),
            },
            Op::Fits { from, width, param: _ } => {
                format!("{} in {}", self.operand(from), width_name(width))
            }
            Op::Inside { from, to, param: _ } | Op::InsideOr { from, to } => self.moved(from, to),
            Op::Take { from, take, extent, unless, param: _ } => {
                let extent = match extent {
                    TakeExtent::Text(1) => "string".to_owned(),
                    TakeExtent::Text(unit) => format!("string, units of {}", bytes(unit.into())),
                    TakeExtent::Counted { count, size } => {
                        format!("{} x {}", self.operand(count), bytes(size.into()))
                    }
                    TakeExtent::Object(size) => bytes(size.into()),
                };
                format!("{} -> copy {take}, {extent}{}", self.at(from), self.unless(unless))
            }
            Op::FreeNative { from, callee } => {
                format!("{} by {}", self.at(from), self.callee(callee))
            }
            Op::Give { take, to, from, owner, unless, param: _ } => {
                let owner = match owner {
                    Ownership::Guest => "the guest's".to_owned(),
                    Ownership::Static => format!("the library's, by {}", self.at(from)),
                    Ownership::Handle { slot, back: false } => format!("lent by slot {slot}"),
                    Ownership::Handle { slot, back: true } => {
                        format!("lent by slot {slot}, and back to {}", self.at(from))
                    }
                };
                format!("copy {take} -> {}, {owner}{}", self.at(to), self.unless(unless))
            }
            Op::Adopt { from, to, kind, borrowed, parent } => {
                let mut text = format!("{}, {}", self.moved(from, to), self.kind(kind));
                if borrowed {
                    text.push_str(", borrowed");
                }
                if let Some(parent) = parent {
                    let _ = write!(text, ", lent by slot {}", parent.number());
                }
                text
            }
            Op::StoreCell { slot, from, width } => {
                format!("{} {} -> memory at slot {slot}", width_name(width), self.at(from))
            }
            Op::EndLoans { slot } => format!("slot {slot}"),
            Op::Return { from, returns } => {
                format!("{}; {}", self.at(from), returns_name(returns))
            }
        }
    }
}
