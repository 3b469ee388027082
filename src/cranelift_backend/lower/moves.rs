//! Values that are no scalars: taken apart into words, put together from words.
use super::emit::ANY;
use super::places::{Word, integer, is_vector_image};
use super::values::Known;
use super::{Lower, internal};
use crate::cranelift_backend::Unsupported;
use crate::plan::moves::{Move, MoveKind};
use crate::plan::op::Width;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};

impl Lower<'_> {
    /// A value of the guest's memory, on its way into the call.
    pub(super) fn object(&mut self, slot: u16, size: u32, moves: u16) -> Result<(), Unsupported> {
        let guest = self.pointer(slot);
        let at = self.inside(guest, size.into())?;
        self.split(at, moves)
    }

    /// A value at a native address, likewise.
    pub(super) fn split(&mut self, at: Value, moves: u16) -> Result<(), Unsupported> {
        let plan = self.plan;
        for one in plan.moves.get(usize::from(moves)).map_or(&[][..], |moves| moves) {
            let frame = one.frame.offset();
            if frame >= usize::from(plan.frame.locals) {
                return Err(internal("a value that is passed by its address"));
            }
            self.take_apart(at, one, frame)?;
        }
        Ok(())
    }

    fn take_apart(&mut self, at: Value, one: &Move, frame: usize) -> Result<(), Unsupported> {
        match one.kind {
            MoveKind::Clear(bytes) => {
                let zero = self.constant(0);
                for run in runs(frame, bytes.into()) {
                    self.insert(run, zero, 0);
                }
            }
            MoveKind::Bytes(16) if is_vector_image(frame) && frame.is_multiple_of(16) => {
                let value = self.load_guest(types::I8X16, at, one.memory);
                self.set_word(frame, Word::Vector(value));
            }
            MoveKind::Bytes(bytes) => {
                for run in runs(frame, bytes.into()) {
                    let offset = one.memory + u32::try_from(run.from).unwrap_or(u32::MAX);
                    let float = match run.bytes {
                        4 => Some(types::F32),
                        8 => Some(types::F64),
                        _ => None,
                    };
                    if let Some(ty) = float
                        && is_vector_image(run.at)
                        && run.at.is_multiple_of(8)
                        && self.is_blank(run.at)
                    {
                        let value = self.load_guest(ty, at, offset);
                        let word = if ty == types::F32 { Word::Float32 } else { Word::Float64 };
                        self.set_word(run.at, word(value));
                        continue;
                    }
                    let value = self.guest_bytes(at, offset, run.bytes);
                    self.insert(run, value, 8 * run.bytes);
                }
            }
            MoveKind::Bits(mask) => {
                let byte = self.guest_bytes(at, one.memory, 1);
                let bits = self.constant(mask.into());
                let bits = self.b.ins().band(byte, bits);
                self.insert_masked(frame, mask, bits)?;
            }
            MoveKind::Bool => {
                let byte = self.guest_bytes(at, one.memory, 1);
                let truth = self.compare_to(IntCC::NotEqual, byte, 0);
                let value = self.b.ins().uextend(types::I64, truth);
                self.insert(Run { at: frame, from: 0, bytes: 1 }, value, 1);
            }
            MoveKind::Signed32 | MoveKind::Unsigned32 => {
                let low = self.load_guest(types::I32, at, one.memory);
                let value = if one.kind == MoveKind::Signed32 {
                    self.b.ins().sextend(types::I64, low)
                } else {
                    self.b.ins().uextend(types::I64, low)
                };
                for run in runs(frame, 8) {
                    let by = self.constant(8 * run.from as u64);
                    let part = self.b.ins().ushr(value, by);
                    let part = self.cut(part, run.bytes);
                    self.insert(run, part, 8 * run.bytes);
                }
            }
            MoveKind::Extended => return Err(internal("an x87 format")),
        }
        Ok(())
    }

    /// Whether nothing, or zero, is in a word.
    fn is_blank(&self, offset: usize) -> bool {
        matches!(self.places.word(offset), None | Some(Word::Integer { bits: 0, .. }))
    }

    /// So many bytes (at most 8) of the guest's memory, zero-extended.
    fn guest_bytes(&mut self, at: Value, offset: u32, bytes: usize) -> Value {
        self.load_bytes(at, offset as usize, bytes)
    }

    /// So many bytes (at most 8) of any memory, zero-extended.
    pub(super) fn load_bytes(&mut self, at: Value, offset: usize, bytes: usize) -> Value {
        let mut whole: Option<Value> = None;
        let mut done = 0;
        while done < bytes {
            let part = [8, 4, 2, 1].into_iter().find(|part| done + part <= bytes).unwrap_or(1);
            let from = i32::try_from(offset + done).unwrap_or(i32::MAX);
            let ty = integer(part).unwrap_or(types::I8);
            let low = self.b.ins().load(ty, ANY, at, from);
            let mut value = if part < 8 { self.b.ins().uextend(types::I64, low) } else { low };
            if done > 0 {
                let by = self.constant(8 * done as u64);
                value = self.b.ins().ishl(value, by);
            }
            whole = Some(match whole {
                Some(before) => self.b.ins().bor(before, value),
                None => value,
            });
            done += part;
        }
        whole.unwrap_or_else(|| self.constant(0))
    }

    /// Puts bytes into a word. `value` is zero above so many bits.
    fn insert(&mut self, run: Run, value: Value, bits: usize) {
        let (offset, shift) = (run.at & !7, 8 * (run.at & 7));
        if run.bytes == 8 {
            let bits = u8::try_from(bits).unwrap_or(64);
            return self.set_word(offset, Word::Integer { value, bits });
        }
        let mut value = value;
        if shift > 0 {
            let by = self.constant(shift as u64);
            value = self.b.ins().ishl(value, by);
        }
        let mask = ((1_u64 << (8 * run.bytes)) - 1) << shift;
        self.merge(offset, mask, value, shift + bits);
    }

    /// Some bits of one byte.
    fn insert_masked(&mut self, at: usize, mask: u8, value: Value) -> Result<(), Unsupported> {
        let (offset, shift) = (at & !7, 8 * (at & 7));
        let by = self.constant(shift as u64);
        let value = self.b.ins().ishl(value, by);
        self.merge(offset, u64::from(mask) << shift, value, shift + 8);
        Ok(())
    }

    /// Replaces the bits of `mask` in a word. `value` has no others, and none above so many.
    fn merge(&mut self, offset: usize, mask: u64, value: Value, bits: usize) {
        let bits = u8::try_from(bits).unwrap_or(64);
        // What nobody has written is padding: zero serves.
        let old = if self.is_blank(offset) { None } else { self.word_bits(offset).ok() };
        let word = match old {
            None => Word::Integer { value, bits },
            Some((old, old_bits)) => {
                let mut kept = old;
                if u32::from(old_bits) > mask.trailing_zeros() {
                    let others = self.constant(!mask);
                    kept = self.b.ins().band(old, others);
                }
                let value = self.b.ins().bor(kept, value);
                Word::Integer { value, bits: bits.max(old_bits) }
            }
        };
        self.set_word(offset, word);
    }

    /// After the call: every integer of a value is one that the guest can hold.
    pub(super) fn fits_object(&mut self, moves: u16) -> Result<(), Unsupported> {
        let plan = self.plan;
        for one in plan.moves.get(usize::from(moves)).map_or(&[][..], |moves| moves) {
            let (from, width) = match one.kind {
                MoveKind::Signed32 => (Width::I64, Width::I32),
                MoveKind::Unsigned32 => (Width::U64, Width::U32),
                MoveKind::Clear(_)
                | MoveKind::Bytes(_)
                | MoveKind::Bits(_)
                | MoveKind::Bool
                | MoveKind::Extended => continue,
            };
            let value = self.bytes_at(one.frame.offset(), 8)?;
            let number = super::expression::Exact::of(value, from);
            let known = self.fits_width(number, width);
            self.check_after(known);
        }
        Ok(())
    }

    /// After the call: puts a value together at a native address.
    pub(super) fn put_together(&mut self, moves: u16, at: Value) -> Result<(), Unsupported> {
        let plan = self.plan;
        for one in plan.moves.get(usize::from(moves)).map_or(&[][..], |moves| moves) {
            let frame = one.frame.offset();
            match one.kind {
                MoveKind::Clear(_) => {}
                MoveKind::Bytes(16) if let Some(Word::Vector(value)) = self.places.word(frame) => {
                    self.store_guest(value, at, one.memory);
                }
                MoveKind::Bytes(bytes) => {
                    for run in runs(frame, bytes.into()) {
                        let offset = one.memory + u32::try_from(run.from).unwrap_or(u32::MAX);
                        if let Some(Word::Float64(value)) = self.places.word(run.at)
                            && run.bytes == 8
                        {
                            self.store_guest(value, at, offset);
                            continue;
                        }
                        let value = self.bytes_at(run.at, run.bytes)?;
                        self.store_bytes(value, at, offset, run.bytes);
                    }
                }
                MoveKind::Bits(mask) => {
                    let new = self.bytes_at(frame, 1)?;
                    let old = self.guest_bytes(at, one.memory, 1);
                    let (taken, kept) = (self.constant(mask.into()), self.constant((!mask).into()));
                    let (new, old) = (self.b.ins().band(new, taken), self.b.ins().band(old, kept));
                    let both = self.b.ins().bor(new, old);
                    self.store_bytes(both, at, one.memory, 1);
                }
                MoveKind::Bool => {
                    let byte = self.bytes_at(frame, 1)?;
                    let one_bit = self.constant(1);
                    let bit = self.b.ins().band(byte, one_bit);
                    self.store_bytes(bit, at, one.memory, 1);
                }
                MoveKind::Signed32 | MoveKind::Unsigned32 => {
                    let value = self.bytes_at(frame, 4)?;
                    self.store_bytes(value, at, one.memory, 4);
                }
                MoveKind::Extended => return Err(internal("an x87 format")),
            }
        }
        Ok(())
    }

    /// Writes the low bytes of a value (at most 8) to the guest's memory.
    pub(super) fn store_bytes(&mut self, value: Value, at: Value, offset: u32, bytes: usize) {
        let mut done = 0;
        while done < bytes {
            let part = [8, 4, 2, 1].into_iter().find(|part| done + part <= bytes).unwrap_or(1);
            let mut rest = value;
            if done > 0 {
                let by = self.constant(8 * done as u64);
                rest = self.b.ins().ushr(value, by);
            }
            let ty = integer(part).unwrap_or(types::I8);
            let low = if part < 8 { self.b.ins().ireduce(ty, rest) } else { rest };
            self.store_guest(low, at, offset + u32::try_from(done).unwrap_or(u32::MAX));
            done += part;
        }
    }

    /// After the call: goes on if the condition holds.
    pub(super) fn check_after(&mut self, known: Known) {
        let holds = match known {
            Known::Always => return,
            Known::Never => self.b.ins().iconst(types::I8, 0),
            Known::If(holds) => holds,
        };
        let next = self.b.create_block();
        let resume = self.resume_block();
        self.b.ins().brif(holds, next, &[], resume, &[]);
        self.b.switch_to_block(next);
    }
}

/// Bytes of one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    /// Where in the frame.
    at: usize,
    /// How many bytes of the whole stand before them.
    from: usize,
    bytes: usize,
}

/// The parts of a run of bytes by the words that they lie in.
fn runs(at: usize, bytes: usize) -> impl Iterator<Item = Run> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let left = bytes.checked_sub(from).filter(|left| *left > 0)?;
        let here = at + from;
        let run = Run { at: here, from, bytes: left.min(8 - (here & 7)) };
        from += run.bytes;
        Some(run)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_end_where_words_end() {
        let all: Vec<Run> = runs(22, 12).collect();
        let run = |at, from, bytes| Run { at, from, bytes };
        assert_eq!(all, [run(22, 0, 2), run(24, 2, 8), run(32, 10, 2)]);
        assert_eq!(runs(16, 0).count(), 0);
    }
}
