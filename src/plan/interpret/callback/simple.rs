//! The short way of most callbacks: scalars and pointers to the guest's own memory go in, a scalar comes
//! out. Nothing is brought and nothing must be taken back, so that what does not work is done again the long
//! way, as long as the guest's function has not run.
use super::closure::Closure;
use super::{Kept, Running, reply};
use crate::plan::Plan;
use crate::plan::frame::{FrameHead, GuestSlot};
use crate::plan::interpret::{Both, result};
use crate::plan::op::{At, CallbackOp, Fetch, Op, Returns, Width};
use std::mem::MaybeUninit;

/// Most guest functions take so many arguments at most; those with more go the long way.
const FEW: usize = 8;

/// What a callback does, looked at once. Arguments depend on nothing but themselves: each kind has a loop
/// of its own.
pub(super) struct Simple {
    /// Pointers to the guest's memory.
    pointers: Box<[Place]>,
    /// 32 bits that are copied as they are.
    narrow: Box<[Place]>,
    /// 64 bits.
    wide: Box<[Place]>,
    decoded: Box<[(Place, Returns)]>,
    reply: Reply,
    /// How many slots the guest's function needs, 1 at least.
    count: usize,
}

/// Where an argument comes from and goes to.
#[derive(Clone, Copy)]
struct Place {
    /// Offset in the frame.
    from: u16,
    slot: u16,
}

/// What C gets.
enum Reply {
    Nothing,
    /// An `int`.
    Int,
    Other(Fetch),
}

impl Simple {
    /// `None` for callbacks that have more to do.
    pub(super) fn of(plan: &Plan) -> Option<Simple> {
        let (mut pointers, mut narrow) = (Vec::new(), Vec::new());
        let (mut wide, mut decoded) = (Vec::new(), Vec::new());
        let place = |from: At, slot| Some(Place { from: u16::try_from(from.offset()).ok()?, slot });
        let mut reply = Reply::Nothing;
        for op in &plan.ops {
            let Op::Callback(op) = *op else { return None };
            match op {
                CallbackOp::Scalar { from, slot, returns } => match returns {
                    Returns::Int32 => narrow.push(place(from, slot)?),
                    Returns::Int64 => wide.push(place(from, slot)?),
                    _ => decoded.push((place(from, slot)?, returns)),
                },
                CallbackOp::Inside { from, slot } => pointers.push(place(from, slot)?),
                CallbackOp::Enter => {}
                CallbackOp::Reply { fetch: Fetch::Integer(Width::I32) } => reply = Reply::Int,
                CallbackOp::Reply { fetch } => reply = Reply::Other(fetch),
                CallbackOp::ScalarWithin { .. }
                | CallbackOp::Pass { .. }
                | CallbackOp::Keep { .. }
                | CallbackOp::KeepReturned { .. }
                | CallbackOp::Pair { .. }
                | CallbackOp::Vector { .. }
                | CallbackOp::Cookie { .. }
                | CallbackOp::Descriptor { .. }
                | CallbackOp::Copy { .. }
                | CallbackOp::Handle { .. }
                | CallbackOp::Function { .. }
                | CallbackOp::Object { .. }
                | CallbackOp::Room { .. }
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
                | CallbackOp::ReplyFunction { .. } => return None,
            }
        }
        let count = plan.lowering.params.len().max(1);
        (count <= FEW).then(|| Simple {
            pointers: pointers.into(),
            narrow: narrow.into(),
            wide: wide.into(),
            decoded: decoded.into(),
            reply,
            count,
        })
    }

    /// Makes one call; `None` when it must be made the long way.
    ///
    /// # Safety
    /// As [`Call::new`](super::call::Call::new), for a closure of the plan that this was made of, but for
    /// the slots.
    #[inline(always)]
    pub(super) unsafe fn run(
        &self,
        closure: &Closure,
        running: *mut Running,
        frame: *const FrameHead,
    ) -> Option<Result<Both, Kept>> {
        let mut few: [MaybeUninit<GuestSlot>; FEW] = [MaybeUninit::uninit(); FEW];
        let slots = few.as_mut_ptr().cast::<GuestSlot>();
        // SAFETY: the caller's promise: the plan was verified, so that places and slots exist, and all slots
        // are written before the guest's function runs. There is room for them: see `of`.
        unsafe {
            let raw = |place: Place| frame.cast::<u8>().add(place.from.into()).cast::<u64>();
            let write = |place: Place, low: u64| {
                (&raw mut (*slots.add(place.slot.into())).low).write(low);
            };
            if !self.pointers.is_empty() {
                let (base, len) = closure.memory();
                for &place in &self.pointers {
                    let raw = raw(place).read();
                    let offset = raw.wrapping_sub(base);
                    if offset > len && raw != 0 {
                        return None;
                    }
                    write(place, if raw == 0 { 0 } else { offset });
                }
            }
            for &place in &self.narrow {
                write(place, u64::from(raw(place).cast::<u32>().read()));
            }
            for &place in &self.wide {
                write(place, raw(place).read());
            }
            for &(place, returns) in &self.decoded {
                let raw = raw(place).read();
                write(place, result::decode(returns, raw, raw).ok()?.unwrap_or(0));
            }
            (*running).entered = true;
            let guest = (*running).guest;
            if (*guest).enter(closure.function(), slots, self.count).is_err() {
                return Some(Err(Kept::Guest));
            }
            Some(Ok(match self.reply {
                Reply::Int => {
                    let value = i64::from(slots.cast::<i32>().read());
                    Both { integer: value.cast_unsigned(), vector: 0.0 }
                }
                Reply::Nothing => Both { integer: 0, vector: 0.0 },
                Reply::Other(fetch) => reply::scalar(fetch, slots),
            }))
        }
    }
}
