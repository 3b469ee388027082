//! What pointers lead to, as text: the guest's struct beside the host's, a line for each member.
use super::Printer;
use super::names::{bytes, direction_name, null_name, width_name};
use crate::plan::moves::MoveKind;
use crate::plan::op::{Boxing, DeepOp, Direction};
use crate::plan::shape::{Carry, Keep, Link, Reach, Shape, Target, Test};
use std::fmt::{self, Write as _};

impl Printer<'_> {
    pub(super) fn deep(&self, op: DeepOp) -> String {
        match op {
            DeepOp::Copy { slot, to, root, param: _ } => {
                format!("{}, {}", self.slot_to(slot, to), self.root(root))
            }
            DeepOp::Box { slot, to, root: _, kind, field, boxing, alone, param: _ } => {
                let what = match boxing {
                    Boxing::Made => "made",
                    Boxing::Used => "used",
                    Boxing::Ended => "ended",
                    Boxing::EndedIf => "perhaps ended",
                };
                let kind = self.plan.handle_kinds.get(usize::from(kind));
                let name = kind.map_or("?", |kind| &*kind.name);
                let alone = if alone { ", this argument's alone" } else { "" };
                let field = field.at;
                format!("{}, {what} {name}, handle {field} bytes in{alone}", self.slot_to(slot, to))
            }
            DeepOp::Recall { of, name, to } => {
                let name = self.plan.names.get(usize::from(name)).map_or("?", |name| &**name);
                format!("{name} of the object at {} -> {}", self.at(of), self.at(to))
            }
            DeepOp::End { of, condition } => {
                format!("the object at {} if {{{}}}", self.at(of), self.expression(condition))
            }
            DeepOp::Keep { at, root, param: _ } => format!("{}, {}", self.at(at), self.root(root)),
            DeepOp::Fill | DeepOp::Fetch => "the objects".to_owned(),
            DeepOp::Settle => "the copies".to_owned(),
            DeepOp::Take { from, take, root, unless, param: _ } => {
                let unless = self.unless(unless);
                format!("{} as {take}, {}{unless}", self.at(from), self.root(root))
            }
            DeepOp::Commit => "the copies".to_owned(),
            DeepOp::KeepFunctions { made: None } => "the functions in the copies".to_owned(),
            DeepOp::KeepFunctions { made: Some(made) } => {
                format!("the functions in the copies by {}", self.at(made))
            }
        }
    }

    pub(super) fn root(&self, root: u16) -> String {
        self.plan.roots.get(usize::from(root)).map_or("?".to_owned(), |link| self.leads(link))
    }

    pub(super) fn shapes(&self, text: &mut String) -> fmt::Result {
        if !self.plan.shapes.is_empty() {
            writeln!(text, "shapes")?;
        }
        for (index, shape) in self.plan.shapes.iter().enumerate() {
            let Shape { name, guest_size, guest_align, host_size, host_align, .. } = shape;
            writeln!(
                text,
                "{index:>4}  {name}: guest {} aligned to {guest_align}, host {} aligned to {host_align}",
                bytes((*guest_size).into()),
                bytes((*host_size).into()),
            )?;
            let mut lines: Vec<(u32, String)> = Vec::new();
            for one in &shape.moves {
                lines.push((one.host, self.carried(shape, one)));
            }
            for link in &shape.links {
                let places = format!("pointer at {} <-> {}", link.guest, link.host);
                let path = if link.path.is_empty() { "itself" } else { &link.path };
                lines.push((link.host, format!("{places:<30}; {path}: {}", self.leads(link))));
            }
            for test in &shape.tests {
                lines.push((test.host, self.test(test)));
            }
            lines.sort_by_key(|(at, _)| *at);
            for (_, line) in lines {
                writeln!(text, "      {line}")?;
            }
        }
        Ok(())
    }

    fn carried(&self, shape: &Shape, one: &Carry) -> String {
        let Carry { guest, host, kind, direction } = *one;
        let text = match kind {
            MoveKind::Clear(bytes) => format!("clear {bytes} at {host}"),
            MoveKind::Bytes(bytes) => format!("{bytes} at {guest} <-> {host}"),
            MoveKind::Bits(mask) => format!("bits {mask:#04x} at {guest} <-> {host}"),
            MoveKind::Bool => format!("bool at {guest} <-> {host}"),
            MoveKind::Signed32 => format!("i32 at {guest} <-> i64 at {host}"),
            MoveKind::Unsigned32 => format!("u32 at {guest} <-> u64 at {host}"),
            MoveKind::Extended => format!("binary128 at {guest} <-> x87 at {host}"),
        };
        let text = match direction {
            Direction::In => text.replace("<->", "->"),
            Direction::Out => text.replace("<->", "<-"),
            Direction::InOut => text,
        };
        match shape.names.iter().find(|(at, name)| *at == host && !name.is_empty()) {
            Some((_, name)) => format!("{text:<30}; {name}"),
            None => text,
        }
    }

    fn test(&self, test: &Test) -> String {
        let intervals = test.intervals.iter().map(|(low, high)| {
            format!("{{{}}}..{{{}}}", self.expression(*low), self.expression(*high))
        });
        let intervals: Vec<String> = intervals.collect();
        format!("{} at {} in {}", width_name(test.width), test.host, intervals.join(" or "))
    }

    /// What a pointer leads to.
    fn leads(&self, link: &Link) -> String {
        let Link { target, reach, null, direction, .. } = link;
        let mut text = match *target {
            Target::Data(shape) => format!("shape {shape}"),
            Target::Bytes { size, align: _ } => format!("{} in place", bytes(size.into())),
            Target::Handle { kind, borrowed } => {
                let borrowed = if borrowed { ", borrowed" } else { "" };
                return format!("handle of {}{borrowed}, {}", self.kind(kind), null_name(*null));
            }
            Target::Function { callback, keep } => {
                let kept = match keep {
                    Keep::Call => String::new(),
                    Keep::Slot(slot) => format!(", kept by slot {slot}"),
                    Keep::Result => ", kept by the result".to_owned(),
                    Keep::Library => ", kept".to_owned(),
                };
                let what = match callback {
                    Some(callback) => format!("closure of callback {callback}"),
                    None => "function of the guest".to_owned(),
                };
                return format!("{what}{kept}, {}", null_name(*null));
            }
            Target::Cookie { with: None } => return "cookie".to_owned(),
            Target::Cookie { with: Some(with) } => {
                return format!("cookie, NULL with the function at {with}");
            }
            Target::Native => return "set by native code only".to_owned(),
        };
        // Writing to a string does not fail.
        let _ = match *reach {
            Reach::One => Ok(()),
            Reach::Counted { expr, bytes: false } => {
                write!(text, " x {{{}}}", self.expression(expr))
            }
            Reach::Counted { expr, bytes: true } => {
                write!(text, ", {{{}}} bytes of them", self.expression(expr))
            }
            Reach::Ends { guest, guest_bytes, .. } => {
                write!(text, " up to a zero in {} at {guest}", bytes(guest_bytes.into()))
            }
        };
        format!("{text}, {}, {}", direction_name(*direction), null_name(*null))
    }
}
