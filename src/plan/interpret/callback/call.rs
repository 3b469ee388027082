//! One call of a guest function by native code.
use super::bring::Brought;
use super::closure::Closure;
use super::{Kept, Running, reply};
use crate::plan::diagnose::{diagnose, subject_of};
use crate::plan::frame::{FrameHead, GuestSlot};
use crate::plan::interpret::{Both, Failure, Guest, Space, result};
use crate::plan::op::{At, CallbackOp, Op};
use crate::plan::problem::{CallbackProblem, Problem, Subject};

/// See the module.
pub(super) struct Call<'a> {
    pub(super) closure: &'a Closure,
    pub(super) running: *mut Running,
    pub(super) frame: *mut FrameHead,
    pub(super) slots: *mut GuestSlot,
    count: usize,
    /// What only some calls have.
    pub(super) brought: Option<Box<Brought>>,
}

impl<'a> Call<'a> {
    /// # Safety
    /// `frame` is what the closure's entry has filled, `slots` are `count` slots, as many as the guest's
    /// function has parameters and at least one. `running` is a call of the closure's store, on this
    /// thread, whose native code is what calls; nobody else uses it meanwhile.
    pub(super) unsafe fn new(
        closure: &'a Closure,
        running: *mut Running,
        frame: *mut FrameHead,
        slots: *mut GuestSlot,
        count: usize,
    ) -> Call<'a> {
        Call { closure, running, frame, slots, count, brought: None }
    }

    pub(super) fn space(&self) -> Space<'a> {
        Space::new(self.closure.plan(), self.closure.binding(), self.frame)
    }

    /// The host's side of the running call.
    pub(super) fn guest(&mut self) -> &mut (dyn Guest + 'static) {
        // SAFETY: `new` was promised that it is alive, and that nobody else uses it.
        unsafe { &mut *(*self.running).guest }
    }

    /// Makes the call. Whatever happens, nothing of it is left behind.
    #[inline(always)]
    pub(super) fn make(mut self) -> Result<Both, Kept> {
        match self.run() {
            Ok(both) if self.brought.is_none() => Ok(both),
            outcome => self.end(outcome),
        }
    }

    #[inline(always)]
    fn run(&mut self) -> Result<Both, (usize, Failure)> {
        let (closure, frame, slots) = (self.closure, self.frame, self.slots);
        // SAFETY: `new` was promised that the frame is this closure's. Its plan was verified: ops stay
        // inside the frame, C's stack arguments and the guest's slots, of which all are written before
        // the guest's function runs.
        unsafe {
            (&raw mut (*frame).guest).write(slots);
            (&raw mut (*frame).binding).write(closure.binding());
            if closure.may_move() {
                self.refresh();
            }
            let read = |from: At| frame.cast::<u8>().add(from.offset()).cast::<u64>().read();
            let write = |slot: u16, low: u64| {
                (&raw mut (*slots.add(usize::from(slot))).low).write(low);
            };
            for (index, op) in closure.plan().ops.iter().enumerate() {
                let Op::Callback(op) = *op else { continue };
                let done = match op {
                    CallbackOp::Scalar { from, slot, returns } => {
                        let raw = read(from);
                        result::decode(returns, raw, raw)
                            .map(|low| write(slot, low.unwrap_or(0)))
                            .map_err(Failure::from)
                    }
                    CallbackOp::Inside { from, slot } => match self.inside(read(from)) {
                        Some(address) => {
                            write(slot, address);
                            Ok(())
                        }
                        None => self.inside_slowly(read(from), slot),
                    },
                    CallbackOp::Enter => self.enter(),
                    CallbackOp::Reply { fetch } => return Ok(reply::scalar(fetch, slots)),
                    CallbackOp::ReplyWithin { .. }
                    | CallbackOp::ReplyVector
                    | CallbackOp::ReplySplit { .. }
                    | CallbackOp::ReplyBehind { .. }
                    | CallbackOp::ReplyHandle { .. }
                    | CallbackOp::ReplyDescriptor { .. }
                    | CallbackOp::ReplyCookie
                    | CallbackOp::ReplyText { .. }
                    | CallbackOp::ReplyBuffer { .. }
                    | CallbackOp::ReplyCopy { .. }
                    | CallbackOp::ReplyFunction { .. } => {
                        return self.reply(op).map_err(|failure| (index, failure));
                    }
                    CallbackOp::ScalarWithin { .. }
                    | CallbackOp::Pair { .. }
                    | CallbackOp::Vector { .. }
                    | CallbackOp::Cookie { .. }
                    | CallbackOp::Descriptor { .. }
                    | CallbackOp::Copy { .. }
                    | CallbackOp::Handle { .. }
                    | CallbackOp::Function { .. }
                    | CallbackOp::Object { .. }
                    | CallbackOp::Room { .. } => self.arrive(op),
                    CallbackOp::Pass { .. }
                    | CallbackOp::Keep { .. }
                    | CallbackOp::KeepReturned { .. } => Ok(()),
                };
                if let Err(failure) = done {
                    return Err((index, failure));
                }
            }
        }
        Ok(Both { integer: 0, vector: 0.0 })
    }

    /// The guest's address of a native one inside its memory, as far as that is known to reach.
    #[inline(always)]
    pub(super) fn inside(&self, native: u64) -> Option<u64> {
        if native == 0 {
            return Some(0);
        }
        let (base, len) = self.closure.memory();
        let offset = native.wrapping_sub(base);
        (offset <= len).then_some(offset)
    }

    /// As [`Call::inside`], when it is not where it was looked for.
    #[cold]
    pub(super) fn find(&mut self, native: u64) -> Option<u64> {
        self.refresh();
        self.inside(native).or_else(|| {
            let native = usize::try_from(native).ok()?;
            // SAFETY: the running call is alive, and nobody else looks at its memory meanwhile.
            unsafe { (*self.running).memory.as_ref()?.unchanged_address(native) }
        })
    }

    #[cold]
    fn inside_slowly(&mut self, native: u64, slot: u16) -> Result<(), Failure> {
        let address = self.find(native).ok_or(Failure::Check)?;
        // SAFETY: the slot is one of the plan's.
        unsafe { (&raw mut (*self.slots.add(usize::from(slot))).low).write(address) };
        Ok(())
    }

    /// Brings the closure's binding up to date.
    pub(super) fn refresh(&mut self) {
        let closure = self.closure;
        // SAFETY: the function is one that the host has made a closure of.
        unsafe { self.guest().refresh_for(closure.function(), closure.binding()) }
    }

    /// Calls the guest's function.
    #[inline(always)]
    fn enter(&mut self) -> Result<(), Failure> {
        if self.brought.is_some() {
            self.give()?;
        }
        let (function, slots, count) = (self.closure.function(), self.slots, self.count);
        // SAFETY: the running call is alive. The function has the wasm type of the plan's lowering, for
        // which there are slots, and all of them have been written.
        unsafe {
            (*self.running).entered = true;
            self.guest().enter(function, slots, count)?;
        }
        Ok(())
    }

    /// Takes back what the call has brought, and says what has happened.
    #[cold]
    fn end(&mut self, outcome: Result<Both, (usize, Failure)>) -> Result<Both, Kept> {
        let plan = self.closure.plan();
        let outcome = outcome.map_err(|(index, failure)| {
            let (subject, problem) = match failure {
                Failure::Guest => return Kept::Guest,
                // SAFETY: the frame is as the failed op left it.
                Failure::Check => unsafe { diagnose(plan, index, self.frame) },
                Failure::Known(problem) => (subject_of(plan, index), *problem),
                Failure::Told(kept) => *kept,
            };
            let callback = plan.prototype.name.to_string();
            let problem = CallbackProblem::Inside { callback, subject, problem };
            let problem = Problem::Callback(Box::new(problem));
            Kept::Problem(Box::new((Subject::Call, problem)))
        });
        let trapped = matches!(outcome, Err(Kept::Guest));
        let taken_back = self.take_back(outcome.is_ok(), trapped);
        outcome.and_then(|both| taken_back.map(|()| both))
    }
}
