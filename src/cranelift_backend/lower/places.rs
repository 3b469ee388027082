//! The frame's places as SSA values.
//!
//! ```text
//! place of the frame                   in a trampoline
//! image of an integer register         a word
//! image of a vector register           a float, a double, a whole vector, or words
//! slot of the stack area               a word
//! what an expression has computed      a word and which numbers it can be
//! result registers                     words, from the call on
//! cells, memory for results            memory of the frame: native code has their address
//! ```
//!
//! When the interpreter will do the work after the call, or an op before it, everything is written to the
//! frame's memory too, because it reads it there.
use super::expression::Exact;
use super::{After, Lower};
use crate::cranelift_backend::Unsupported;
use crate::plan::frame::FrameHead;
use crate::plan::op::{At, Operand, Width};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Type, Value, types};
use std::collections::BTreeMap;
use std::mem::offset_of;

/// Eight bytes of the frame.
#[derive(Clone, Copy, Debug)]
pub(super) enum Word {
    /// 64 bits, of which only so many low ones may be set.
    Integer { value: Value, bits: u8 },
    /// An `f32`; zero above it.
    Float32(Value),
    /// An `f64`.
    Float64(Value),
    /// This word and the next one, as a vector of 16 bytes.
    Vector(Value),
    /// The second half of the vector before it.
    Half,
}

impl Word {
    pub(super) fn integer(value: Value) -> Word {
        Word::Integer { value, bits: 64 }
    }
}

/// What is known of the frame.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// By offset, a multiple of 8.
    words: BTreeMap<usize, Word>,
    /// What expressions have computed, by offset: 16 bytes each.
    exact: BTreeMap<usize, Exact>,
    /// Memory that native code has the address of: offset, bytes.
    lent: Vec<(usize, usize)>,
}

impl Places {
    pub(super) fn word(&self, offset: usize) -> Option<Word> {
        self.words.get(&offset).copied()
    }

    pub(super) fn set(&mut self, at: At, word: Word) {
        self.words.insert(at.offset(), word);
    }

    /// What an expression, or the interpreter, has computed and memory has already.
    pub(super) fn set_exact(&mut self, at: At, exact: Exact) {
        self.exact.insert(at.offset(), exact);
        self.words.insert(at.offset(), Word::integer(exact.value));
    }

    /// Native code will have the address of these bytes: from the call on only memory knows them.
    pub(super) fn lend(&mut self, at: At, bytes: usize) {
        self.lent.push((at.offset(), bytes));
    }

    /// Native code has run.
    pub(super) fn forget_lent(&mut self) {
        for (start, bytes) in &self.lent {
            let words: Vec<usize> =
                self.words.range(*start..start + bytes).map(|(offset, _)| *offset).collect();
            for offset in words {
                self.words.remove(&offset);
            }
        }
    }

    /// Whether memory has these bytes.
    pub(super) fn is_lent(&self, offset: usize, bytes: usize) -> bool {
        self.lent.iter().any(|(start, size)| *start <= offset && offset + bytes <= start + size)
    }
}

/// Whether a place is part of a vector register's image.
pub(super) fn is_vector_image(offset: usize) -> bool {
    (offset_of!(FrameHead, vectors)..offset_of!(FrameHead, record)).contains(&offset)
}

impl Lower<'_> {
    /// Whether all places are written to memory, too.
    fn keeps(&self) -> bool {
        self.after == After::Interpreted || self.calls_out
    }

    /// Puts a word there.
    pub(super) fn place(&mut self, to: At, word: Word) {
        self.set_word(to.offset(), word);
    }

    pub(super) fn set_word(&mut self, offset: usize, word: Word) {
        self.places.words.insert(offset, word);
        if let Word::Vector(_) = word {
            self.places.words.insert(offset + 8, Word::Half);
        }
        if self.keeps() {
            self.keep(offset, word);
        }
    }

    /// Writes a word to the frame's memory.
    pub(super) fn keep(&mut self, offset: usize, word: Word) {
        match word {
            Word::Integer { value, .. } | Word::Float64(value) | Word::Vector(value) => {
                self.store(value, self.frame, offset);
            }
            Word::Float32(_) => {
                if let Some(value) = self.bits_of(word) {
                    self.store(value, self.frame, offset);
                }
            }
            Word::Half => {}
        }
    }

    /// Puts what an expression has computed there.
    pub(super) fn place_exact(&mut self, to: At, exact: Exact) {
        self.places.set_exact(to, exact);
        if self.keeps() {
            let high = if exact.is_negative_possible() {
                let sign = self.constant(63);
                self.b.ins().sshr(exact.value, sign)
            } else {
                self.constant(0)
            };
            self.store(exact.value, self.frame, to.offset());
            self.store(high, self.frame, to.offset() + 8);
        }
    }

    /// The 64 bits of a word; `None` for a half of a vector.
    fn bits_of(&mut self, word: Word) -> Option<Value> {
        let plain = MemFlagsData::new();
        match word {
            Word::Integer { value, .. } => Some(value),
            Word::Float32(value) => {
                let bits = self.b.ins().bitcast(types::I32, plain, value);
                Some(self.b.ins().uextend(types::I64, bits))
            }
            Word::Float64(value) => Some(self.b.ins().bitcast(types::I64, plain, value)),
            Word::Vector(_) | Word::Half => None,
        }
    }

    /// The 64 bits at an offset that is a multiple of 8, with how many of them may be set.
    pub(super) fn word_bits(&mut self, offset: usize) -> Result<(Value, u8), Unsupported> {
        let missing = Unsupported::Place { at: At::new(offset).ok_or(Unsupported::NoGuest)? };
        match self.places.word(offset) {
            Some(Word::Integer { value, bits }) => Ok((value, bits)),
            Some(word @ (Word::Float32(_) | Word::Float64(_))) => {
                let bits = if let Word::Float32(_) = word { 32 } else { 64 };
                self.bits_of(word).map(|value| (value, bits)).ok_or(missing)
            }
            Some(Word::Vector(value)) => Ok((self.half(value, 0), 64)),
            Some(Word::Half) => match self.places.word(offset.wrapping_sub(8)) {
                Some(Word::Vector(value)) => Ok((self.half(value, 1), 64)),
                _ => Err(missing),
            },
            None => Err(missing),
        }
    }

    pub(super) fn half(&mut self, vector: Value, number: u8) -> Value {
        let little = MemFlagsData::new().with_endianness(cranelift_codegen::ir::Endianness::Little);
        let words = self.b.ins().bitcast(types::I64X2, little, vector);
        self.b.ins().extractlane(words, number)
    }

    /// So many bytes (at most 8) at any offset, zero-extended.
    pub(super) fn bytes_at(&mut self, offset: usize, bytes: usize) -> Result<Value, Unsupported> {
        if self.places.is_lent(offset, bytes) && self.places.word(offset & !7).is_none() {
            // No more than what was lent: what lies behind it is nobody's.
            return Ok(self.load_bytes(self.frame, offset, bytes));
        }
        let (start, shift) = (offset & !7, 8 * (offset & 7));
        let (low, bits) = self.word_bits(start)?;
        let mut value = low;
        if shift > 0 {
            let by = self.constant(shift as u64);
            value = self.b.ins().ushr(low, by);
        }
        let mut known = usize::from(bits).saturating_sub(shift);
        let here = 8 - (offset & 7);
        if bytes > here {
            let (high, _) = self.word_bits(start + 8)?;
            let by = self.constant(8 * here as u64);
            let high = self.b.ins().ishl(high, by);
            value = self.b.ins().bor(value, high);
            known = 64;
        }
        Ok(if bytes >= 8 || known <= 8 * bytes { value } else { self.cut(value, bytes) })
    }

    /// The low bytes of a value, zero above them.
    pub(super) fn cut(&mut self, value: Value, bytes: usize) -> Value {
        match integer(bytes) {
            Some(types::I64) => value,
            Some(narrow) => {
                let low = self.b.ins().ireduce(narrow, value);
                self.b.ins().uextend(types::I64, low)
            }
            None => {
                let mask = self.constant((1 << (8 * bytes)) - 1);
                self.b.ins().band(value, mask)
            }
        }
    }

    /// An integer of the frame.
    pub(super) fn integer(&mut self, operand: Operand) -> Result<Exact, Unsupported> {
        let Operand { at, width } = operand;
        if width == Width::I128 {
            let exact = self.places.exact.get(&at.offset()).copied();
            return exact.ok_or(Unsupported::Place { at });
        }
        let value = self.bytes_at(at.offset(), width.bytes())?;
        let value = match integer(width.bytes()) {
            Some(narrow) if width.is_signed() && narrow != types::I64 => {
                let low = self.b.ins().ireduce(narrow, value);
                self.b.ins().sextend(types::I64, low)
            }
            _ => value,
        };
        Ok(Exact::of(value, width))
    }
}

/// The integer type of so many bytes.
pub(super) fn integer(bytes: usize) -> Option<Type> {
    match bytes {
        1 => Some(types::I8),
        2 => Some(types::I16),
        4 => Some(types::I32),
        8 => Some(types::I64),
        _ => None,
    }
}
