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

    /// Makes sure that handles can be made after the call.
    pub(super) fn reserve(&mut self, handles: u16) {
        let store = self.store_block();
        let count = self.constant(handles.into());
        let reserved = self.ask(Helper::ReserveHandles, &[store, count]);
        self.check(reserved);
    }
}
