//! Places of the frame, entries of a plan's tables, and the stub that a call needs.
use super::{Compiler, MAX_AREA, index_of};
use crate::plan::abi::{Assignment, Location, Piece};
use crate::plan::frame::{FrameLayout, MAX_STACK_AREA};
use crate::plan::layout::Extent;
use crate::plan::moves::Move;
use crate::plan::op::{At, Stub};
use crate::plan::{Callee, HandleKind, Purpose};
use crate::signature::{Param, Record, Span};
use std::sync::Arc;

impl Compiler<'_> {
    /// The image of an argument's register or stack slot.
    pub(super) fn place(&mut self, location: Location, param: &Param) -> Option<At> {
        let at = FrameLayout::argument(location);
        if at.is_none() {
            self.error(
                param.span,
                format!("more than {MAX_STACK_AREA} bytes of arguments on the stack"),
                "pass fewer parameters, or a pointer to a struct",
            );
        }
        at
    }

    /// A new place for something of 8 or 16 bytes that the call keeps.
    pub(super) fn local(&mut self, bytes: usize) -> At {
        let offset = FrameLayout::STACK + self.stack + self.locals;
        let offset = offset.next_multiple_of(bytes);
        self.locals = offset + bytes - FrameLayout::STACK - self.stack;
        // A frame of 255 parameters with all that they may need stays below 64 KiB.
        At::new(offset).expect("a frame is smaller than 64 KiB")
    }

    /// A new place for a value of that size, aligned as it asks and at least 16-aligned.
    pub(super) fn area(&mut self, extent: Extent, span: Span) -> Option<At> {
        let size = usize::try_from(extent.size).ok().filter(|size| *size <= MAX_AREA);
        if size.is_none() {
            self.error(
                span,
                format!("a value of more than {MAX_AREA} bytes"),
                "pass a pointer to it",
            );
        }
        let align = u16::try_from(extent.align).ok()?.max(16);
        self.align = self.align.max(align);
        let start = FrameLayout::STACK + self.stack;
        let offset = (start + self.locals).next_multiple_of(align.into());
        self.locals = offset + size?.next_multiple_of(16) - start;
        At::new(offset)
    }

    /// The index of a list of moves.
    pub(super) fn moves(&mut self, moves: Box<[Move]>) -> u16 {
        let known = self.moves.iter().position(|known| *known == moves);
        index_of(known.unwrap_or_else(|| {
            self.moves.push(moves);
            self.moves.len() - 1
        }))
    }

    /// The index of a handle type in the plan's table.
    pub(super) fn kind(&mut self, record: &Record) -> u16 {
        let id = self.handle_type(record);
        if let Some(index) = self.kinds.iter().position(|kind| kind.id == id) {
            return index_of(index);
        }
        let drop = self.target.scope.drop_of(record).cloned();
        // A callback is lent its handles: nothing destroys them.
        let drop = drop.filter(|_| !self.is_called);
        let drop = drop.map(|function| self.callee(&function.name, Purpose::Drop));
        let name = match &record.tag {
            Some(tag) => format!("{} {tag}", record_keyword(record)),
            None => record_keyword(record).to_owned(),
        };
        self.kinds.push(HandleKind { id, name: name.into(), drop });
        index_of(self.kinds.len() - 1)
    }

    /// The index of a callee in the plan's table.
    pub(super) fn callee(&mut self, symbol: &Arc<str>, purpose: Purpose) -> u16 {
        let callee = Callee { symbol: Arc::clone(symbol), purpose };
        if let Some(index) = self.callees.iter().position(|known| *known == callee) {
            return index_of(index);
        }
        self.callees.push(callee);
        index_of(self.callees.len() - 1)
    }

    /// The least stub that loads every register that has an argument.
    pub(super) fn stub(assignment: &Assignment) -> Stub {
        let values = || assignment.params.iter().chain([&assignment.result]);
        let pieces = || values().flat_map(|value| &value.pieces);
        let x87 = pieces().filter(|piece| matches!(piece.location, Location::X87(_))).count();
        // `Stub::Integers` keeps the first vector register of a result only.
        let is_second_vector = |piece: &Piece| matches!(piece.location, Location::Vector(1..));
        let is_wide =
            pieces().any(|piece| piece.size > 8 && matches!(piece.location, Location::Vector(_)));
        if x87 > 0 || is_wide || assignment.stack_align > 16 {
            Stub::Whole { x87: u8::try_from(x87).unwrap_or(2) }
        } else if assignment.stack_size > 0 {
            Stub::Stack
        } else if assignment.vector_registers > 0 || pieces().any(is_second_vector) {
            Stub::Registers
        } else {
            Stub::Integers
        }
    }
}

fn record_keyword(record: &Record) -> &'static str {
    match record.kind {
        crate::signature::RecordKind::Struct => "struct",
        crate::signature::RecordKind::Union => "union",
    }
}
