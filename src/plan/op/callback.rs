//! The ops of guest functions that native code calls.
//!
//! [`Pass`](CallbackOp::Pass), [`Keep`](CallbackOp::Keep) and
//! [`KeepReturned`](CallbackOp::KeepReturned) are ops of imports. All others are ops of plans of the
//! kind [`Callback`](crate::plan::Kind::Callback), in which everything goes the other way: what C
//! passes stands in the frame (as in that of a closure, see
//! [`FrameLayout::caller_slot`](crate::plan::frame::FrameLayout::caller_slot)), and each op puts one
//! argument into guest slots; then the guest's function runs; then one op makes C's result of what it
//! has returned.
use super::{At, Fetch, Null, Operand, Phase, Returns};

/// An op of a call that passes a guest function, or of native code's call of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "fields have the same meaning everywhere: see the module of ops")]
pub enum CallbackOp {
    // ----- of imports
    /// *Before.* A function of the guest's table, of the wasm type of `Plan::callbacks[callback]`. `to`
    /// receives the address of a closure, which native code may call until the call is over, or
    /// longer if it is `kept`; `closure` (8 bytes) the host's own name of it, 0 for NULL.
    Pass { slot: u16, to: At, callback: u16, null: Null, closure: At, kept: bool },
    /// *Facts.* Native code keeps the closure: until the guest says otherwise, or while the handle
    /// that the guest passed in `holder` lives.
    Keep { closure: At, holder: Option<super::Slot> },
    /// *Commit.* Native code keeps the closure while the handle lives whose guest value an
    /// [`Op::Adopt`](super::Op::Adopt) has put at `handle`.
    KeepReturned { closure: At, handle: At },

    // ----- before: what C has passed
    /// The scalar at `from`, decoded as `returns` decodes results; fails when it does not fit.
    Scalar { from: At, slot: u16, returns: Returns },
    /// As `Scalar`, of an integer that must be in one of the intervals `Plan::ranges[range]`.
    ScalarWithin { from: Operand, slot: u16, returns: Returns, range: u16 },
    /// 16 bytes, in two halves, that become two `i64`s; `extended`: from the x87's format.
    Pair { low: At, high: At, slot: u16, extended: bool },
    /// The 16 bytes of a `v128`.
    Vector { from: At, slot: u16 },
    /// A cookie, or NULL: the guest's integer; fails for every other pointer.
    Cookie { from: At, slot: u16 },
    /// An integer that becomes a handle of `Plan::handle_kinds[kind]`, as long as `Handle`'s. A negative one is
    /// passed on.
    Descriptor { from: At, slot: u16, kind: u16 },
    /// A pointer to the guest's memory, or to what the running call has copied of it.
    Inside { from: At, slot: u16 },
    /// What the pointer leads to, as `Plan::roots[root]` says, copied to the guest's memory for as long as its
    /// function runs, with all that it leads to; what is the same bytes on both sides and in the guest's memory
    /// already is not copied. What goes out is copied back when the function has returned.
    Copy { from: At, slot: u16, root: u16 },
    /// An object that becomes a handle of `Plan::handle_kinds[kind]`, unless there was one already; `lent` says
    /// for how long.
    Handle { from: At, slot: u16, kind: u16, lent: Lent },
    /// A guest function's closure of this store: its index in the table. NULL is 0; fails for every other
    /// function.
    Function { from: At, slot: u16 },
    /// A value that wasm passes by its address: put together in the guest's memory, `size` bytes, as
    /// `Plan::moves[moves]` says. `behind`: it lies where the pointer there points, and the moves' frame begins
    /// [`REMOTE`] bytes before that.
    Object { slot: u16, size: u32, moves: u16, behind: Option<At> },
    /// Guest memory of so many bytes, whose address (in slot 0) the guest's function gets for its
    /// result.
    Room { size: u32 },

    // ----- call
    /// Calls the guest's function.
    Enter,

    // ----- after: what C gets
    /// *Commit.* A scalar, read from slot 0 as `fetch` says; any non-zero `i32` is `true`.
    Reply { fetch: Fetch },
    /// *Checks.* As `Reply`, of an integer that must be in one of the intervals `Plan::ranges[range]`.
    ReplyWithin { fetch: Fetch, range: u16 },
    /// *Commit.* A `v128`.
    ReplyVector,
    /// *Checks.* A value that wasm has returned through memory, taken apart into the call record as
    /// `Plan::moves[moves]` says.
    ReplySplit { size: u32, moves: u16 },
    /// *Checks.* As `ReplySplit`, to where the pointer at `hidden` points; the moves' frame begins
    /// [`REMOTE`] bytes before that.
    ReplyBehind { size: u32, moves: u16, hidden: At },
    /// *Checks.* A live handle.
    ReplyHandle { kind: u16, null: Null },
    /// *Checks.* A live handle that stands for an integer, which C gets. A negative one is passed on.
    ReplyDescriptor { kind: u16 },
    /// *Checks.* An integer that C gets as a cookie.
    ReplyCookie,
    /// *Checks.* A string; C gets a copy, which lives as long as the running call, or as the closure if that may
    /// be kept.
    ReplyText { unit: u8, null: Null },
    /// *Checks.* `count` elements of `size` bytes in the guest's memory, in place: so many, or the
    /// value of `Plan::expressions[expr]`.
    ReplyBuffer { expr: Option<u16>, size: u32, align: u8, null: Null },
    /// *Checks.* What the guest's pointer leads to, as `Plan::roots[root]` says; C gets a copy, which lives as
    /// long as the running call.
    ReplyCopy { root: u16 },
    /// *Checks.* A function of the guest's table, of the wasm type of `Plan::callbacks[callback]`, as a closure
    /// that may be called as long as the running call lasts.
    ReplyFunction { callback: u16, null: Null },
}

/// How long a handle lives that a callback is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lent {
    /// Until the guest's function has returned.
    Callback,
    /// As long as the handle in that slot, which an op before has written; if that is 0, until the guest's
    /// function has returned.
    By(u16),
    /// As long as the store.
    Static,
}

/// Where the frame of moves begins whose bytes are not in a frame: so many bytes before them.
pub const REMOTE: usize = 16;

impl CallbackOp {
    /// The part of a plan that this op belongs to.
    #[must_use]
    pub fn phase(self) -> Phase {
        match self {
            CallbackOp::Pass { .. }
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
            | CallbackOp::Room { .. } => Phase::Before,
            CallbackOp::Enter => Phase::Call,
            CallbackOp::Keep { .. } => Phase::Facts,
            CallbackOp::ReplyWithin { .. }
            | CallbackOp::ReplySplit { .. }
            | CallbackOp::ReplyBehind { .. }
            | CallbackOp::ReplyHandle { .. }
            | CallbackOp::ReplyDescriptor { .. }
            | CallbackOp::ReplyCookie
            | CallbackOp::ReplyText { .. }
            | CallbackOp::ReplyBuffer { .. }
            | CallbackOp::ReplyCopy { .. }
            | CallbackOp::ReplyFunction { .. } => Phase::Checks,
            CallbackOp::KeepReturned { .. }
            | CallbackOp::Reply { .. }
            | CallbackOp::ReplyVector => Phase::Commit,
        }
    }
}
