//! Memory of the call that native code gets the address of: cells, and room for results.
use super::places::Word;
use super::{Lower, internal};
use crate::cranelift_backend::Unsupported;
use crate::plan::op::{At, Direction, Null, Width};
use cranelift_codegen::ir::{InstBuilder, Value, types};

impl Lower<'_> {
    /// The address of a place of the frame.
    fn address_of(&mut self, at: At) -> Value {
        let offset = self.constant(at.offset() as u64);
        self.b.ins().iadd(self.frame, offset)
    }

    /// An integer of the guest's memory that goes through a cell.
    pub(super) fn cell(
        &mut self,
        slot: u16,
        to: At,
        cell: At,
        guest: Width,
        direction: Direction,
        null: Null,
    ) -> Result<(), Unsupported> {
        let address = self.pointer(slot);
        let (done, results) = self.meeting(2);
        self.unless_null(address, null, done, 2);
        let at = self.inside(address, guest.bytes() as u64)?;
        let value =
            if direction.is_in() { self.guest_integer(at, guest)? } else { self.constant(0) };
        let native = self.address_of(cell);
        self.jump(done, &[native, value]);
        self.b.switch_to_block(done);
        self.end_cell(to, cell, results[0], Word::integer(results[1]));
        self.checked.push((slot, guest.bytes() as u64));
        Ok(())
    }

    /// The cell holds `word`, and native code gets `native`.
    fn end_cell(&mut self, to: At, cell: At, native: Value, word: Word) {
        self.places.set(cell, word);
        self.keep(cell.offset(), word);
        self.places.lend(cell, 8);
        self.place(to, Word::integer(native));
    }

    /// An integer of the guest's memory, extended to 64 bits.
    fn guest_integer(&mut self, at: Value, width: Width) -> Result<Value, Unsupported> {
        let Some(ty) = super::places::integer(width.bytes()) else {
            return Err(internal("a cell of 16 bytes"));
        };
        let low = self.load_guest(ty, at, 0);
        Ok(match (ty == types::I64, width.is_signed()) {
            (true, _) => low,
            (false, true) => self.b.ins().sextend(types::I64, low),
            (false, false) => self.b.ins().uextend(types::I64, low),
        })
    }

    /// A pointer that native code writes.
    pub(super) fn pointer_cell(
        &mut self,
        slot: u16,
        to: At,
        cell: At,
        null: Null,
    ) -> Result<(), Unsupported> {
        let address = self.pointer(slot);
        let (done, results) = self.meeting(1);
        self.unless_null(address, null, done, 1);
        let bytes = self.pointer_width().bytes() as u64;
        self.inside(address, bytes)?;
        let native = self.address_of(cell);
        self.jump(done, &[native]);
        self.b.switch_to_block(done);
        let zero = self.constant(0);
        self.end_cell(to, cell, results[0], Word::Integer { value: zero, bits: 0 });
        self.checked.push((slot, bytes));
        Ok(())
    }

    fn pointer_width(&self) -> Width {
        if self.plan.facts.wide { Width::U64 } else { Width::U32 }
    }

    /// A pointer to a string that native code reads and moves.
    pub(super) fn text_cell(
        &mut self,
        slot: u16,
        to: At,
        cell: At,
        null: Null,
        extent: At,
    ) -> Result<(), Unsupported> {
        let address = self.pointer(slot);
        let (done, results) = self.meeting(3);
        self.unless_null(address, null, done, 3);
        let width = self.pointer_width();
        let at = self.inside(address, width.bytes() as u64)?;
        let inner = self.guest_integer(at, width)?;
        let native = self.address_of(cell);
        // The string and its length go where they belong, to be met with those of NULL.
        self.text(inner, cell, 1, Null::Allowed, extent)?;
        let text = self.word_bits(cell.offset())?.0;
        let length = self.word_bits(extent.offset())?.0;
        self.jump(done, &[native, text, length]);
        self.b.switch_to_block(done);
        self.place(extent, Word::integer(results[2]));
        self.end_cell(to, cell, results[0], Word::integer(results[1]));
        self.checked.push((slot, width.bytes() as u64));
        Ok(())
    }

    /// Memory that native code writes a result to.
    pub(super) fn address(&mut self, of: At, to: At, zeroed: u16) -> Result<(), Unsupported> {
        let zeroed = usize::from(zeroed);
        if zeroed == 0 {
            // What is passed by address has been put there; on this processor nothing is.
            return Err(internal("a value that is passed by its address"));
        }
        let zero = self.constant(0);
        let mut at = 0;
        while at < zeroed {
            let bytes = [8, 4, 2, 1].into_iter().find(|bytes| at + bytes <= zeroed).unwrap_or(1);
            let part = match super::places::integer(bytes) {
                Some(types::I64) | None => zero,
                Some(narrow) => self.b.ins().ireduce(narrow, zero),
            };
            let offset = of.offset() + at;
            let (frame, offset) = (self.frame, i32::try_from(offset).unwrap_or(i32::MAX));
            self.b.ins().store(super::emit::ANY, part, frame, offset);
            at += bytes;
        }
        self.places.lend(of, zeroed);
        let native = self.address_of(of);
        self.place(to, Word::integer(native));
        Ok(())
    }
}
