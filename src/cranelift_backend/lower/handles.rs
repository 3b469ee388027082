//! Handles: the table is asked.
use super::Lower;
use super::places::Word;
use crate::cranelift_backend::helpers::Helper;
use crate::plan::interpret::assist::Noted;
use crate::plan::op::{At, Fate, Null};
use cranelift_codegen::ir::condcodes::IntCC;

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
        let kind = self.handle_type(kind);
        let noted = Noted::Used(fate);
        let fate = self.constant(fate as u64);
        let marks = self.plan.facts.marks;
        let helper = if marks { Helper::MarkHandle } else { Helper::EnterHandle };
        // The table knows more than an entry says: what lends a handle may be in use by a call alone.
        let pointer = self.ask(helper, &[store, number, kind, fate]);
        self.check(pointer);
        self.jump(done, &[pointer]);
        self.b.switch_to_block(done);
        self.place(to, Word::integer(results[0]));
        if marks {
            self.note_handle(index, number, noted);
        }
    }

    /// Makes sure that handles can be made after the call.
    pub(super) fn reserve(&mut self, handles: u16) {
        let store = self.store_block();
        let count = self.constant(handles.into());
        let reserved = self.ask(Helper::ReserveHandles, &[store, count]);
        self.check(reserved);
    }
}
