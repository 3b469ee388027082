//! Plans of calls that native code makes.
use super::super::Checked;
use super::super::error::Fault;
use super::{Outside, fetched, index, plain, take};
use crate::plan::abi::{Location, Value};
use crate::plan::frame::FrameLayout;
use crate::plan::op::{At, Fetch, UpcallOp};
use std::collections::BTreeMap;

impl Outside<'_> {
    pub(super) fn upcall(&mut self, op: UpcallOp) -> Checked {
        match op {
            UpcallOp::Lend { from } => {
                let (arg, value) = self.next_argument()?;
                if value.indirect.is_some() || !self.whole_at(&value, arg, from)? {
                    return Err(self.disagrees("the place", arg));
                }
                Ok(())
            }
            UpcallOp::LendBehind { from } => {
                let (arg, value) = self.next_argument()?;
                let right = value.indirect.and_then(incoming) == Some(from);
                if right { Ok(()) } else { Err(self.disagrees("the place", arg)) }
            }
            UpcallOp::Join { moves, offset } => self.join(moves, offset),
            UpcallOp::Call { result, hidden } => self.called_back(result, hidden),
            UpcallOp::Reply { fetch } => {
                self.reply()?;
                let scalar = self.assignment.result.scalar;
                let right = scalar.map(|scalar| fetched(scalar, self.abi)) == Some(fetch)
                    && fetch != Fetch::Whole;
                if right { Ok(()) } else { Err(self.of_result("the conversion")) }
            }
            UpcallOp::ReplySplit { moves } => {
                self.reply()?;
                let result = &self.assignment.result;
                let scalar = result.scalar.map(|scalar| fetched(scalar, self.abi));
                if result.indirect.is_some() || scalar.is_some_and(|fetch| fetch != Fetch::Whole) {
                    return Err(self.of_result("the conversion"));
                }
                let list = self.list(moves)?;
                self.result(list)
            }
            UpcallOp::ReplyHidden { from } => {
                self.reply()?;
                let right = self.assignment.result.indirect.and_then(incoming) == Some(from);
                if right { Ok(()) } else { Err(self.of_result("the place")) }
            }
        }
    }

    fn next_argument(&mut self) -> Checked<(usize, Value)> {
        let arg = self.lent;
        let value = self.param(arg)?.clone();
        self.lent += 1;
        Ok((arg, value))
    }

    /// Whether all bytes of a value lie side by side from there on, aligned.
    fn whole_at(&self, value: &Value, arg: usize, from: At) -> Checked<bool> {
        let mut bytes = 0;
        for piece in &value.pieces {
            if self.place(*piece, arg)? != from.offset() + index(piece.offset) {
                return Ok(false);
            }
            bytes += u64::from(piece.size);
        }
        // The caller has aligned its stack arguments; frames are 16-aligned.
        let on_stack =
            value.pieces.iter().all(|piece| matches!(piece.location, Location::Stack(_)));
        let aligned =
            value.extent.align <= 16 && from.offset().is_multiple_of(index(value.extent.align));
        Ok(bytes == value.extent.size && !value.pieces.is_empty() && (on_stack || aligned))
    }

    fn join(&mut self, moves: u16, offset: u32) -> Checked {
        let (arg, value) = self.next_argument()?;
        let size = value.extent.size;
        let aligned = value.extent.align <= 16 && offset.is_multiple_of(value.extent.align);
        if value.indirect.is_some() || !aligned || !take(&mut self.scratch, offset, size) {
            return Err(self.disagrees("the memory", arg));
        }
        let mut found: BTreeMap<u64, usize> = BTreeMap::new();
        for one in self.list(moves)? {
            for byte in 0..plain(one, size)? {
                let position = one.frame.offset() + usize::try_from(byte).unwrap_or(usize::MAX);
                if found.insert(u64::from(one.memory) + byte, position).is_some() {
                    return Err(self.disagrees("the memory", arg));
                }
            }
        }
        for piece in &value.pieces {
            let at = self.place(*piece, arg)?;
            for byte in 0..piece.size {
                if found.remove(&u64::from(piece.offset + byte)) != Some(at + index(byte)) {
                    return Err(self.disagrees("the place", arg));
                }
            }
        }
        if found.is_empty() { Ok(()) } else { Err(Fault::Unasked) }
    }

    fn called_back(&mut self, result: u32, hidden: Option<At>) -> Checked {
        self.called = true;
        if self.lent != self.assignment.params.len() {
            return Err(Fault::Missing(self.subject(self.lent)));
        }
        let value = &self.assignment.result;
        match (value.indirect, hidden) {
            (None, None) => {
                let (size, align) = (value.extent.size, value.extent.align);
                let aligned = align <= 16 && result.is_multiple_of(16);
                // Whoever runs the plan clears as much as any result in registers has.
                if aligned && size <= 32 && take(&mut self.scratch, result, 32) {
                    Ok(())
                } else {
                    Err(self.of_result("the memory"))
                }
            }
            (Some(location), Some(at)) if incoming(location) == Some(at) && result == 0 => Ok(()),
            _ => Err(self.of_result("the memory")),
        }
    }

    fn reply(&mut self) -> Checked {
        if std::mem::replace(&mut self.replied, true) { Err(Fault::Unasked) } else { Ok(()) }
    }

    fn of_result(&self, what: &'static str) -> Fault {
        self.disagrees(what, self.assignment.params.len())
    }
}

/// Where in the frame a register or stack slot of a call that comes in is.
pub(in crate::plan::verify) fn incoming(location: Location) -> Option<At> {
    match location {
        Location::Integer(number) => FrameLayout::integer(number),
        Location::Vector(number) => FrameLayout::vector(number),
        Location::Stack(offset) => At::new(FrameLayout::CALLER_STACK + index(offset)),
        Location::X87(_) => None,
    }
}
