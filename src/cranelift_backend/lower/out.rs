//! Ops that are called out for: the interpreter runs its own, in the call's frame.
//!
//! Of plans with such ops all places are written to the frame's memory too, and what the ops leave there
//! is loaded from it. What they have taken (copies, marks, uses of closures) is given back by a routine
//! on every way to *redo*; on the other ways out the host does it, when the call is over.
use super::expression::Exact;
use super::places::Word;
use super::{Exit, Lower};
use crate::cranelift_backend::Unsupported;
use crate::cranelift_backend::helpers::Helper;
use crate::plan::interpret::assist::{Noted, runs_closures};
use crate::plan::op::{At, CallbackOp, DeepOp, LifeOp, Width};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};

/// What an op has left in the frame, for compiled code to read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Left {
    /// Eight bytes: a pointer, a length, an argument.
    Word(At),
    /// An integer of 16 bytes.
    Integer(At),
    /// Eight bytes that native code has the address of.
    Cell(At),
}

impl Lower<'_> {
    /// Calls out for an op of the *before* section.
    pub(super) fn call_out(&mut self, index: usize, left: &[Left]) {
        if !self.undoes {
            self.undo_from_here(index);
        }
        let number = self.constant(index as u64);
        let frame = self.frame;
        let fine = self.ask(Helper::Step, &[frame, number]);
        self.check(fine);
        let plan = self.plan;
        let noted = plan.ops.get(index).and_then(Noted::by).filter(|_| plan.facts.marks);
        if let Some((slot, noted)) = noted {
            // A live handle has 32 bits; of a descriptor the guest has stored no more.
            let handle = self.slot(types::I32, slot);
            let handle = self.b.ins().uextend(types::I64, handle);
            self.note_handle(index, handle, noted);
        }
        for place in left {
            match *place {
                Left::Word(at) => {
                    let value = self.load(types::I64, self.frame, at.offset());
                    self.places.set(at, Word::integer(value));
                }
                Left::Integer(at) => self.small_integer(at),
                Left::Cell(at) => self.places.lend(at, 8),
            }
        }
    }

    /// An integer of 16 bytes. One that does not fit 64, signed, is left to the interpreter.
    fn small_integer(&mut self, at: At) {
        let low = self.load(types::I64, self.frame, at.offset());
        let high = self.load(types::I64, self.frame, at.offset() + 8);
        let bits = self.constant(63);
        let sign = self.b.ins().sshr(low, bits);
        let fits = self.compare(IntCC::Equal, sign, high);
        self.check(fits);
        self.places.set_exact(at, Exact::of(low, Width::I64));
    }

    /// An op of copied data.
    pub(super) fn deep(&mut self, index: usize, op: DeepOp) -> Result<(), Unsupported> {
        match op {
            DeepOp::Copy { to, .. } | DeepOp::Box { to, .. } => {
                self.call_out(index, &[Left::Word(to)]);
            }
            DeepOp::Keep { at, .. } => self.call_out(index, &[Left::Word(at)]),
            DeepOp::Recall { to, .. } => self.call_out(index, &[Left::Integer(to)]),
            DeepOp::Fill => self.call_out(index, &[]),
            DeepOp::KeepFunctions { .. }
            | DeepOp::Fetch
            | DeepOp::End { .. }
            | DeepOp::Settle
            | DeepOp::Take { .. }
            | DeepOp::Commit => return Err(Unsupported::Misplaced { op: index }),
        }
        Ok(())
    }

    /// A function of the guest that native code is given.
    pub(super) fn callback(&mut self, index: usize, op: CallbackOp) -> Result<(), Unsupported> {
        match op {
            CallbackOp::Pass { to, .. } => {
                self.call_out(index, &[Left::Word(to)]);
                // It is in use from here on.
                self.undo_from_here(index + 1);
                Ok(())
            }
            CallbackOp::Keep { .. }
            | CallbackOp::KeepReturned { .. }
            | CallbackOp::Scalar { .. }
            | CallbackOp::ScalarWithin { .. }
            | CallbackOp::Pair { .. }
            | CallbackOp::Vector { .. }
            | CallbackOp::Cookie { .. }
            | CallbackOp::Descriptor { .. }
            | CallbackOp::Inside { .. }
            | CallbackOp::Copy { .. }
            | CallbackOp::Handle { .. }
            | CallbackOp::Function { .. }
            | CallbackOp::Object { .. }
            | CallbackOp::Room { .. }
            | CallbackOp::Enter
            | CallbackOp::Reply { .. }
            | CallbackOp::ReplyWithin { .. }
            | CallbackOp::ReplyVector
            | CallbackOp::ReplySplit { .. }
            | CallbackOp::ReplyBehind { .. }
            | CallbackOp::ReplyHandle { .. }
            | CallbackOp::ReplyDescriptor { .. }
            | CallbackOp::ReplyCookie
            | CallbackOp::ReplyText { .. }
            | CallbackOp::ReplyBuffer { .. }
            | CallbackOp::ReplyCopy { .. }
            | CallbackOp::ReplyFunction { .. } => Err(Unsupported::Misplaced { op: index }),
        }
    }

    /// Something that outlives the call.
    pub(super) fn life(&mut self, index: usize, op: LifeOp) -> Result<(), Unsupported> {
        match op {
            LifeOp::Cookie { to, .. } | LifeOp::Descriptor { to, .. } => {
                self.call_out(index, &[Left::Word(to)]);
            }
            LifeOp::DescriptorCell { to, cell, .. } | LifeOp::HandleCell { to, cell, .. } => {
                self.call_out(index, &[Left::Word(to), Left::Cell(cell)]);
            }
            LifeOp::Recall { to, .. } => self.call_out(index, &[Left::Integer(to)]),
            LifeOp::Keep { at, .. } => self.call_out(index, &[Left::Word(at)]),
            // The op that has entered the handle has done it.
            LifeOp::Exclusive { .. } if self.alone.is_some() => {}
            LifeOp::Exclusive { .. } | LifeOp::Capturable { .. } => self.call_out(index, &[]),
            LifeOp::ConsumeHeld { .. }
            | LifeOp::Retain { .. }
            | LifeOp::Capture { .. }
            | LifeOp::HandOver { .. }
            | LifeOp::FromCookie { .. }
            | LifeOp::Emptied { .. }
            | LifeOp::AdoptDescriptor { .. }
            | LifeOp::Remember { .. } => return Err(Unsupported::Misplaced { op: index }),
        }
        Ok(())
    }

    /// Checks that fail from here on give back what the ops before `until` have taken.
    fn undo_from_here(&mut self, until: usize) {
        self.redo = self.b.create_block();
        self.exits.push((self.redo, Exit::Undo { until }));
        self.undoes = true;
    }

    /// The op has noted something on a handle, until the call is over.
    pub(super) fn note_handle(&mut self, index: usize, handle: Value, noted: Noted) {
        self.noted.push((handle, noted));
        self.undo_from_here(index + 1);
    }

    /// The call is over and has ended well: nothing is noted on its handles any more.
    pub(super) fn leave_handles(&mut self) {
        let noted = std::mem::take(&mut self.noted);
        if noted.is_empty() {
            return;
        }
        let store = self.store_block();
        for (handle, noted) in noted {
            let noted = self.constant(Helper::noted(noted));
            self.help(Helper::LeaveHandle, &[store, handle, noted]);
        }
    }

    /// Native code runs next: closures of the store may be called.
    pub(super) fn begin_call(&mut self) {
        if runs_closures(self.plan) {
            let frame = self.frame;
            self.help(Helper::BeginCall, &[frame]);
        }
    }

    /// They may not any more. Whether all is well; `None`: that is not asked.
    pub(super) fn end_call(&mut self) -> Option<Value> {
        runs_closures(self.plan).then(|| {
            let frame = self.frame;
            self.ask(Helper::EndCall, &[frame])
        })
    }
}
