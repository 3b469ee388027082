//! Handles: the entry is looked at; the table is asked where an entry does not say enough.
use super::Lower;
use super::places::Word;
use crate::cranelift_backend::helpers::Helper;
use crate::plan::StoreBlock;
use crate::plan::handles::{Entry, INDEX_BITS};
use crate::plan::interpret::assist::Noted;
use crate::plan::op::{At, Fate, Null};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, InstBuilder, Value, types};
use std::mem::offset_of;

impl Lower<'_> {
    pub(super) fn handle(
        &mut self,
        index: usize,
        (slot, to): (u16, At),
        kind: u16,
        null: Null,
        fate: Fate,
    ) {
        let number = self.pointer(slot);
        if self.plan.facts.wide {
            let fails = self.compare_to(IntCC::UnsignedGreaterThan, number, u32::MAX.into());
            self.refuse(fails);
        }
        let (done, results) = self.meeting(1);
        self.unless_null(number, null, done, 1);
        let store = self.store_block();
        match fate {
            Fate::Kept if !self.plan.facts.marks => {
                let ask = self.cold("the handle table is asked");
                let pointer = self.look_at_entry(store, number, kind, ask);
                self.jump(done, &[pointer]);
                self.b.switch_to_block(ask);
            }
            Fate::Kept | Fate::Invalidated | Fate::Consumed => {}
        }
        let kind = self.handle_type(kind);
        let marks = self.plan.facts.marks;
        let (helper, noted, fate) = match self.alone {
            Some((_, exclusive)) => {
                let alone = if exclusive.is_some() { Helper::ALONE } else { 0 };
                (Helper::EnterAlone, Noted::Alone, fate as u64 | alone)
            }
            None if marks => (Helper::MarkHandle, Noted::Used(fate), fate as u64),
            None => (Helper::EnterHandle, Noted::Used(fate), fate as u64),
        };
        let fate = self.constant(fate);
        // The table knows more than an entry says: what lends a handle may be in use by a call alone.
        let pointer = self.ask(helper, &[store, number, kind, fate]);
        self.check(pointer);
        self.jump(done, &[pointer]);
        self.b.switch_to_block(done);
        self.place(to, Word::integer(results[0]));
        if marks {
            let last = self.alone.and_then(|(_, exclusive)| exclusive).unwrap_or(index);
            self.note_handle(last, number, noted);
        }
    }

    /// The native pointer of a live handle of that kind, by its entry alone; whatever is out of the ordinary
    /// goes to `otherwise`.
    fn look_at_entry(&mut self, store: Value, number: Value, kind: u16, otherwise: Block) -> Value {
        let go_on = |lower: &mut Self, holds: Value| {
            let next = lower.b.create_block();
            lower.b.ins().brif(holds, next, &[], otherwise, &[]);
            lower.b.switch_to_block(next);
        };
        let mask = self.constant((1 << INDEX_BITS) - 1);
        let index = self.b.ins().band(number, mask);
        // 0 while a call has some handles to itself: see `HandleTable::raw_parts`.
        let count = self.load(types::I64, store, StoreBlock::HANDLE_COUNT);
        let known = self.compare(IntCC::UnsignedLessThan, index, count);
        go_on(self, known);
        let entries = self.load(types::I64, store, StoreBlock::HANDLE_ENTRIES);
        let size = self.constant(size_of::<Entry>() as u64);
        let offset = self.b.ins().imul(index, size);
        let entry = self.b.ins().iadd(entries, offset);
        // Of a free slot it is 0, which `number` is not.
        let is = self.load(types::I32, entry, offset_of!(Entry, handle));
        let wanted = self.b.ins().ireduce(types::I32, number);
        let same = self.compare(IntCC::Equal, is, wanted);
        go_on(self, same);
        let is = self.load(types::I32, entry, offset_of!(Entry, kind));
        let wanted = self.handle_type(kind);
        let wanted = self.b.ins().ireduce(types::I32, wanted);
        let same = self.compare(IntCC::Equal, is, wanted);
        go_on(self, same);
        self.load(types::I64, entry, offset_of!(Entry, pointer))
    }

    /// Makes sure that handles can be made after the call.
    pub(super) fn reserve(&mut self, handles: u16) {
        let store = self.store_block();
        let count = self.constant(handles.into());
        let reserved = self.ask(Helper::ReserveHandles, &[store, count]);
        self.check(reserved);
    }
}
