//! Handles: read from the table without a call, unless they are marked.
use super::places::Word;
use super::{Exit, Lower};
use crate::cranelift_backend::helpers::Helper;
use crate::plan::binding::StoreBlock;
use crate::plan::handles::{Entry, INDEX_BITS};
use crate::plan::op::{At, Fate, Null};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};
use std::mem::offset_of;

impl Lower<'_> {
    pub(super) fn handle(&mut self, slot: u16, to: At, kind: u16, null: Null, fate: Fate) {
        let number = self.pointer(slot);
        if self.plan.facts.wide {
            let fails = self.compare_to(IntCC::UnsignedGreaterThan, number, u32::MAX.into());
            self.refuse(fails);
        }
        let plan = self.plan;
        let kind = plan.handle_kinds.get(usize::from(kind)).map_or(0, |kind| kind.id.0);
        let (done, results) = self.meeting(1);
        self.unless_null(number, null, done, 1);
        let pointer = if plan.facts.marks {
            self.mark(number, kind, fate)
        } else {
            self.look_up(number, kind, fate)
        };
        self.jump(done, &[pointer]);
        self.b.switch_to_block(done);
        self.place(to, Word::integer(results[0]));
        if plan.facts.marks {
            self.unmark_on_redo(number);
        }
    }

    /// What the table says, if it is such a handle.
    fn look_up(&mut self, number: Value, kind: u32, fate: Fate) -> Value {
        let entries = self.store_word(StoreBlock::HANDLE_ENTRIES);
        let count = self.store_word(StoreBlock::HANDLE_COUNT);
        let mask = self.constant((1 << INDEX_BITS) - 1);
        let index = self.b.ins().band(number, mask);
        let known = self.compare(IntCC::UnsignedLessThan, index, count);
        self.check(known);
        let size = self.constant(size_of::<Entry>() as u64);
        let offset = self.b.ins().imul(index, size);
        let entry = self.b.ins().iadd(entries, offset);
        // Type and generation lie side by side: one comparison for both.
        const { assert!(offset_of!(Entry, generation) == offset_of!(Entry, kind) + 4) };
        let found = self.load(types::I64, entry, offset_of!(Entry, kind));
        let by = self.constant(INDEX_BITS.into());
        let generation = self.b.ins().ushr(number, by);
        let by = self.constant(32);
        let generation = self.b.ins().ishl(generation, by);
        let kind = self.constant(kind.into());
        let wanted = self.b.ins().bor(generation, kind);
        let right = self.compare(IntCC::Equal, found, wanted);
        self.check(right);
        let pointer = self.load(types::I64, entry, offset_of!(Entry, pointer));
        self.check(pointer);
        match fate {
            Fate::Kept => {}
            Fate::Invalidated => self.check_idle(entry),
            Fate::Consumed => {
                self.check_idle(entry);
                let owners = self.load(types::I32, entry, offset_of!(Entry, owners));
                self.check(owners);
            }
        }
        pointer
    }

    fn check_idle(&mut self, entry: Value) {
        let busy = self.load(types::I32, entry, offset_of!(Entry, busy));
        self.refuse(busy);
    }

    /// Marks a handle as in use.
    fn mark(&mut self, number: Value, kind: u32, fate: Fate) -> Value {
        let store = self.store_block();
        let kind = self.constant(kind.into());
        let fate = self.constant(fate as u64);
        let pointer = self.ask(Helper::EnterHandle, &[store, number, kind, fate]);
        self.check(pointer);
        pointer
    }

    /// From here on a check that fails takes the mark back first. NULL has none.
    fn unmark_on_redo(&mut self, number: Value) {
        let then = self.redo;
        self.redo = self.b.create_block();
        self.exits.push((self.redo, Exit::Unmark { handle: number, then }));
    }

    /// Makes sure that handles can be made after the call.
    pub(super) fn reserve(&mut self, handles: u16) {
        let store = self.store_block();
        let count = self.constant(handles.into());
        let reserved = self.ask(Helper::ReserveHandles, &[store, count]);
        self.check(reserved);
    }
}
