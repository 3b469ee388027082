//! Pointers into the guest's memory: ranges and strings, in place.
use super::places::Word;
use super::{Lower, Memory};
use crate::cranelift_backend::Unsupported;
use crate::cranelift_backend::helpers::Helper;
use crate::plan::op::{At, Count, Null};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, InstBuilder, Value, types};

/// The length of a buffer in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    value: Value,
    /// The greatest that it can be.
    most: i128,
    least: i128,
}

impl Lower<'_> {
    /// Before the call: `bytes` bytes at a guest address lie inside the memory; their native address.
    pub(super) fn inside(&mut self, guest: Value, bytes: u64) -> Result<Value, Unsupported> {
        let Memory { base, len } = self.memory()?;
        if self.plan.facts.wide {
            let size = self.constant(bytes);
            let fits = self.compare(IntCC::UnsignedLessThanOrEqual, size, len);
            self.check(fits);
            let last = self.b.ins().isub(len, size);
            let inside = self.compare(IntCC::UnsignedLessThanOrEqual, guest, last);
            self.check(inside);
        } else {
            // 32 bits and 32 bits: no sum wraps.
            let size = self.constant(bytes);
            let end = self.b.ins().iadd(guest, size);
            let inside = self.compare(IntCC::UnsignedLessThanOrEqual, end, len);
            self.check(inside);
        }
        Ok(self.b.ins().iadd(base, guest))
    }

    /// The bytes of `count` elements of `size` bytes.
    pub(super) fn extent(&mut self, count: Count, size: u32) -> Result<Extent, Unsupported> {
        let (number, (low, high)) = match count {
            Count::Exactly(count) => {
                let value = self.constant(count.into());
                (value, (i128::from(count), i128::from(count)))
            }
            Count::Of(operand) => {
                let number = self.integer(operand)?;
                (number.value, number.bounds())
            }
        };
        if low < 0 {
            let negative = self.compare_to(IntCC::SignedLessThan, number, 0);
            self.refuse(negative);
        }
        let (least, most) = (low.max(0), high.max(0));
        if size == 1 {
            return Ok(Extent { value: number, most, least });
        }
        let factor = self.constant(size.into());
        let most = most * i128::from(size);
        if most > i128::from(u64::MAX) {
            let high = self.b.ins().umulhi(number, factor);
            let fails = self.compare_to(IntCC::NotEqual, high, 0);
            self.refuse(fails);
        }
        let value = self.b.ins().imul(number, factor);
        let most = most.min(i128::from(u64::MAX));
        Ok(Extent { value, most, least: least * i128::from(size) })
    }

    /// A range in place.
    ///
    /// The way of almost all calls has two or three comparisons: a NULL, an end outside, a start that is
    /// not aligned. What is empty may lie anywhere and is looked at apart.
    pub(super) fn buffer(
        &mut self,
        slot: u16,
        to: At,
        bytes: Extent,
        align: u8,
        null: Null,
        extent: Option<At>,
    ) -> Result<(), Unsupported> {
        let Memory { base, len } = self.memory()?;
        let guest = self.pointer(slot);
        // The length is only carried along where somebody wants it.
        let wanted = if extent.is_some() { 2 } else { 1 };
        let (done, results) = self.meeting(wanted);
        let is_null = self.cold("NULL");
        let present = self.b.create_block();
        self.b.ins().brif(guest, present, &[], is_null, &[]);

        self.b.switch_to_block(is_null);
        self.null(null, bytes);
        let zero = self.constant(0);
        self.jump(done, &[zero, zero][..wanted]);

        self.b.switch_to_block(present);
        let odd = if bytes.least == 0 { self.cold("empty, or outside") } else { self.redo };
        let go_on = |lower: &mut Self, fails: Value| {
            let next = lower.b.create_block();
            lower.b.ins().brif(fails, odd, &[], next, &[]);
            lower.b.switch_to_block(next);
        };
        if self.plan.facts.wide || bytes.most > i128::from(u64::MAX >> 1) {
            let long = self.compare(IntCC::UnsignedGreaterThan, bytes.value, len);
            go_on(self, long);
            let last = self.b.ins().isub(len, bytes.value);
            let outside = self.compare(IntCC::UnsignedGreaterThan, guest, last);
            go_on(self, outside);
        } else {
            // Below 2^63 and below 2^32: the sum does not wrap.
            let end = self.b.ins().iadd(guest, bytes.value);
            let outside = self.compare(IntCC::UnsignedGreaterThan, end, len);
            go_on(self, outside);
        }
        if align > 1 {
            let mask = self.constant(u64::from(align) - 1);
            let low = self.b.ins().band(guest, mask);
            go_on(self, low);
        }
        let native = self.b.ins().iadd(base, guest);
        self.jump(done, &[native, bytes.value][..wanted]);

        if odd != self.redo {
            self.b.switch_to_block(odd);
            self.refuse(bytes.value);
            let inside = self.b.ins().umin(guest, len);
            let native = self.b.ins().iadd(base, inside);
            let zero = self.constant(0);
            self.jump(done, &[native, zero][..wanted]);
        }

        self.b.switch_to_block(done);
        self.place(to, Word::integer(results[0]));
        if let Some(extent) = extent {
            self.place(extent, Word::integer(results[1]));
        }
        Ok(())
    }

    /// Before the call: what guest 0 means.
    fn null(&mut self, null: Null, bytes: Extent) {
        match null {
            Null::Allowed => {}
            Null::IfEmpty => self.refuse(bytes.value),
            Null::Refused => self.refuse_always(),
        }
    }

    fn refuse_always(&mut self) {
        let never = self.b.ins().iconst(types::I8, 0);
        self.check(never);
    }

    /// Before the call: goes on in `present` with a pointer that is not NULL, at `done` with `absent`
    /// when it is and may be.
    pub(super) fn unless_null(&mut self, guest: Value, null: Null, done: Block, results: usize) {
        if null == Null::Allowed {
            let present = self.b.create_block();
            let is_null = self.cold("NULL");
            self.b.ins().brif(guest, present, &[], is_null, &[]);
            self.b.switch_to_block(is_null);
            let zero = self.constant(0);
            self.jump(done, &vec![zero; results]);
            self.b.switch_to_block(present);
        } else {
            self.check(guest);
        }
    }

    /// A string in place: its end is searched by a routine outside if it is not near.
    pub(super) fn text(
        &mut self,
        guest: Value,
        to: At,
        unit: u8,
        null: Null,
        extent: At,
    ) -> Result<(), Unsupported> {
        let Memory { base, len } = self.memory()?;
        let (helper, align) = match unit {
            1 => (Helper::TextLength, 1),
            2 => (Helper::TextLength16, 2),
            4 => (Helper::TextLength32, 4),
            _ => return Err(Unsupported::Codegen(format!("characters of {unit} bytes"))),
        };
        let (done, results) = self.meeting(2);
        self.unless_null(guest, null, done, 2);
        let inside = self.compare(IntCC::UnsignedLessThanOrEqual, guest, len);
        self.check(inside);
        if align > 1 {
            let mask = self.constant(align - 1);
            let low = self.b.ins().band(guest, mask);
            self.refuse(low);
        }
        let left = self.b.ins().isub(len, guest);
        let native = self.b.ins().iadd(base, guest);
        if unit == 1 {
            self.short_text(native, left, done);
        }
        let bytes = self.ask(helper, &[native, left]);
        // Every string has a terminator: 0 says that there is none.
        self.check(bytes);
        self.jump(done, &[native, bytes]);
        self.b.switch_to_block(done);
        self.place(to, Word::integer(results[0]));
        self.place(extent, Word::integer(results[1]));
        Ok(())
    }

    /// Most strings are short: looks at the first 16 bytes, and goes to `done` if the string ends there.
    fn short_text(&mut self, native: Value, left: Value, done: Block) {
        let (look, found, long) = (
            self.b.create_block(),
            self.b.create_block(),
            self.cold("a string of 16 bytes or more"),
        );
        let enough = self.compare_to(IntCC::UnsignedGreaterThanOrEqual, left, 16);
        self.b.ins().brif(enough, look, &[], long, &[]);
        self.b.switch_to_block(look);
        let bytes = self.load_guest(types::I8X16, native, 0);
        let zero = self.b.ins().iconst(types::I8, 0);
        let zeros = self.b.ins().splat(types::I8X16, zero);
        let equal = self.b.ins().icmp(IntCC::Equal, bytes, zeros);
        let mask = self.b.ins().vhigh_bits(types::I32, equal);
        self.b.ins().brif(mask, found, &[], long, &[]);
        self.b.switch_to_block(found);
        let index = self.b.ins().ctz(mask);
        let index = self.b.ins().uextend(types::I64, index);
        let one = self.constant(1);
        let length = self.b.ins().iadd(index, one);
        self.jump(done, &[native, length]);
        self.b.switch_to_block(long);
    }

    /// A string and a writable range: when they overlap, the interpreter makes a copy.
    pub(super) fn apart(&mut self, places: [At; 4]) -> Result<(), Unsupported> {
        let mut words = Vec::with_capacity(4);
        for place in places {
            words.push(self.word_bits(place.offset())?.0);
        }
        let [text, text_bytes, buffer, buffer_bytes] = words[..] else { return Ok(()) };
        let text_end = self.b.ins().iadd(text, text_bytes);
        let buffer_end = self.b.ins().iadd(buffer, buffer_bytes);
        let start = self.b.ins().umax(text, buffer);
        let end = self.b.ins().umin(text_end, buffer_end);
        let overlap = self.compare(IntCC::UnsignedLessThan, start, end);
        self.refuse(overlap);
        Ok(())
    }
}
