//! Scalars: from a slot to a register or the stack.
use super::Lower;
use super::places::{Word, is_vector_image};
use crate::plan::op::At;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Type, types};

impl Lower<'_> {
    /// The low bits of an `i32`.
    pub(super) fn narrow(&mut self, slot: u16, to: At, ty: Type, signed: bool) {
        // The low bytes of what the guest has stored: little-endian.
        let low = self.slot(ty, slot);
        let word = if signed {
            Word::integer(self.b.ins().sextend(types::I64, low))
        } else {
            let bits = if ty == types::I8 { 8 } else { 16 };
            Word::Integer { value: self.b.ins().uextend(types::I64, low), bits }
        };
        self.place(to, word);
    }

    pub(super) fn boolean(&mut self, slot: u16, to: At) {
        let value = self.slot(types::I32, slot);
        let zero = self.b.ins().iconst(types::I32, 0);
        let truth = self.compare(IntCC::NotEqual, value, zero);
        let value = self.b.ins().uextend(types::I64, truth);
        self.place(to, Word::Integer { value, bits: 1 });
    }

    pub(super) fn word32(&mut self, slot: u16, to: At, signed: bool) {
        let low = self.slot(types::I32, slot);
        let word = if signed {
            Word::integer(self.b.ins().sextend(types::I64, low))
        } else {
            Word::Integer { value: self.b.ins().uextend(types::I64, low), bits: 32 }
        };
        self.place(to, word);
    }

    pub(super) fn word64(&mut self, slot: u16, to: At) {
        let value = self.slot(types::I64, slot);
        self.place(to, Word::integer(value));
    }

    /// An `f32` or `f64`: as itself for a vector register, as a word for the stack.
    pub(super) fn float(&mut self, slot: u16, to: At, ty: Type) {
        if !is_vector_image(to.offset()) {
            return if ty == types::F32 {
                self.word32(slot, to, false);
            } else {
                self.word64(slot, to);
            };
        }
        let value = self.slot(ty, slot);
        let word = if ty == types::F32 { Word::Float32(value) } else { Word::Float64(value) };
        self.place(to, word);
    }

    /// Two `i64`s.
    pub(super) fn pair(&mut self, slot: u16, to: At) {
        let (low, high) = (self.slot(types::I64, slot), self.slot(types::I64, slot + 1));
        self.set_word(to.offset(), Word::integer(low));
        self.set_word(to.offset() + 8, Word::integer(high));
    }

    /// A `v128`.
    pub(super) fn vector(&mut self, slot: u16, to: At) {
        if is_vector_image(to.offset()) {
            let value = self.slot(types::I8X16, slot);
            return self.place(to, Word::Vector(value));
        }
        let [low, high] = self.slot_halves(slot);
        self.set_word(to.offset(), Word::integer(low));
        self.set_word(to.offset() + 8, Word::integer(high));
    }
}
