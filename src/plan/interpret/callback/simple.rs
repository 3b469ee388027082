//! The short way of most callbacks: scalars and pointers to the guest's own memory go in, a scalar comes
//! out. Nothing is brought and nothing must be taken back, so that what does not work is done again the long
//! way, as long as the guest's function has not run.
use super::closure::Closure;
use super::{Kept, Running, reply};
use crate::plan::Plan;
use crate::plan::frame::{FrameHead, GuestSlot};
use crate::plan::interpret::{Both, result};
use crate::plan::op::{CallbackOp, Fetch, Op, Returns};

/// What a callback does, looked at once.
pub(super) struct Simple {
    steps: Box<[Step]>,
    fetch: Option<Fetch>,
}

/// One argument.
#[derive(Clone, Copy)]
struct Step {
    /// Offset in the frame.
    from: u16,
    slot: u16,
    /// `None` for a pointer to the guest's memory.
    returns: Option<Returns>,
}

impl Simple {
    /// `None` for callbacks that have more to do.
    pub(super) fn of(plan: &Plan) -> Option<Simple> {
        let mut simple = Simple { steps: [].into(), fetch: None };
        let mut steps = Vec::new();
        for op in &plan.ops {
            let Op::Callback(op) = *op else { return None };
            match op {
                CallbackOp::Scalar { from, slot, returns } => {
                    let from = u16::try_from(from.offset()).ok()?;
                    steps.push(Step { from, slot, returns: Some(returns) });
                }
                CallbackOp::Inside { from, slot } => {
                    let from = u16::try_from(from.offset()).ok()?;
                    steps.push(Step { from, slot, returns: None });
                }
                CallbackOp::Enter => {}
                CallbackOp::Reply { fetch } => simple.fetch = Some(fetch),
                CallbackOp::Pass { .. }
                | CallbackOp::Keep { .. }
                | CallbackOp::KeepReturned { .. }
                | CallbackOp::Pair { .. }
                | CallbackOp::Vector { .. }
                | CallbackOp::Cookie { .. }
                | CallbackOp::Copy { .. }
                | CallbackOp::Handle { .. }
                | CallbackOp::Object { .. }
                | CallbackOp::Room { .. }
                | CallbackOp::ReplyVector
                | CallbackOp::ReplySplit { .. }
                | CallbackOp::ReplyBehind { .. }
                | CallbackOp::ReplyHandle { .. }
                | CallbackOp::ReplyCookie
                | CallbackOp::ReplyText { .. }
                | CallbackOp::ReplyBuffer { .. } => return None,
            }
        }
        simple.steps = steps.into();
        Some(simple)
    }

    /// Makes one call; `None` when it must be made the long way.
    ///
    /// # Safety
    /// As [`Call::new`](super::call::Call::new), for a closure of the plan that this was made of.
    #[inline(always)]
    pub(super) unsafe fn run(
        &self,
        closure: &Closure,
        running: *mut Running,
        frame: *const FrameHead,
        slots: *mut GuestSlot,
        count: usize,
    ) -> Option<Result<Both, Kept>> {
        let (base, len) = closure.memory();
        // SAFETY: the caller's promise: the plan was verified, so that places and slots exist, and all slots
        // are written before the guest's function runs.
        unsafe {
            for step in &self.steps {
                let raw = frame.cast::<u8>().add(step.from.into()).cast::<u64>().read();
                let low = match step.returns {
                    None if raw == 0 => 0,
                    None => Some(raw.wrapping_sub(base)).filter(|offset| *offset <= len)?,
                    Some(returns) => result::decode(returns, raw, raw).ok()?.unwrap_or(0),
                };
                (&raw mut (*slots.add(step.slot.into())).low).write(low);
            }
            (*running).entered = true;
            if (*(*running).guest).enter(closure.function(), slots, count).is_err() {
                return Some(Err(Kept::Guest));
            }
            Some(Ok(match self.fetch {
                Some(fetch) => reply::scalar(fetch, slots),
                None => Both { integer: 0, vector: 0.0 },
            }))
        }
    }
}
