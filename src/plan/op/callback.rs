//! The ops of guest functions that native code calls.
//!
//! [`Pass`](CallbackOp::Pass), [`Keep`](CallbackOp::Keep) and
//! [`KeepReturned`](CallbackOp::KeepReturned) are ops of imports. All others are ops of plans of the
//! kind [`Callback`](crate::plan::Kind::Callback), in which everything goes the other way: what C
//! passes stands in the frame (as in that of a closure, see
//! [`FrameLayout::caller_slot`](crate::plan::frame::FrameLayout::caller_slot)), and each op puts one
//! argument into guest slots; then the guest's function runs; then one op makes C's result of what it
//! has returned.
use super::{At, Fetch, Null, Phase, Returns};

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
    /// 16 bytes that become two `i64`s; `extended`: from the x87's format.
    Pair { from: At, slot: u16, extended: bool },
    /// The 16 bytes of a `v128`.
    Vector { from: At, slot: u16 },
    /// A cookie, or NULL: the guest's integer; fails for every other pointer.
    Cookie { from: At, slot: u16 },
    /// A pointer to the guest's memory, or to what the running call has copied of it.
    Inside { from: At, slot: u16 },
    /// As `Inside`, but of what is elsewhere the guest gets a copy in its own memory, for as long as
    /// its function runs. `back`: what the guest leaves there is copied back then.
    Copy { from: At, slot: u16, reach: Reach, back: bool },
    /// An object that becomes a handle of `Plan::handle_kinds[kind]`, which is gone when the guest's
    /// function has returned, unless there was one already.
    Handle { from: At, slot: u16, kind: u16 },
    /// A value that wasm passes by its address: put together in the guest's memory, `size` bytes, as
    /// `Plan::moves[moves]` says.
    Object { slot: u16, size: u32, moves: u16 },
    /// Guest memory of so many bytes, whose address (in slot 0) the guest's function gets for its
    /// result.
    Room { size: u32 },

    // ----- call
    /// Calls the guest's function.
    Enter,

    // ----- after: what C gets
    /// *Commit.* A scalar, read from slot 0 as `fetch` says; any non-zero `i32` is `true`.
    Reply { fetch: Fetch },
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
    /// *Checks.* An integer that C gets as a cookie.
    ReplyCookie,
    /// *Checks.* A string; C gets a copy, which lives as long as the running call.
    ReplyText { unit: u8, null: Null },
    /// *Checks.* `count` elements of `size` bytes in the guest's memory, in place: so many, or the
    /// value of `Plan::expressions[expr]`.
    ReplyBuffer { expr: Option<u16>, size: u32, align: u8, null: Null },
}

/// Where the frame of moves begins whose bytes are not in a frame: so many bytes before them.
pub const REMOTE: usize = 16;

/// What a pointer of native code points at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reach {
    /// A string of elements of so many bytes.
    Text(u8),
    /// So many elements of `size` bytes as `Plan::expressions[expr]` says.
    Counted {
        /// The expression.
        expr: u16,
        /// Size of one element in bytes.
        size: u32,
    },
    /// One value, of `size` bytes in the guest's memory, as `Plan::moves[moves]` says; their frame
    /// begins [`REMOTE`] bytes before it.
    Object {
        /// Size in bytes.
        size: u32,
        /// The moves.
        moves: u16,
    },
    /// Pointers: as many as `Plan::expressions[expr]` says, else up to and without a NULL. What they point
    /// at becomes the guest's as `each` says; NULL becomes 0.
    Pointers {
        /// The expression.
        expr: Option<u16>,
        /// What each of them points at.
        each: Each,
    },
}

/// What the pointers in an array point at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Each {
    /// A string of elements of so many bytes, of which the guest gets a copy behind the array.
    Text(u8),
    /// An object, as in [`CallbackOp::Handle`].
    Handle(u16),
}

impl CallbackOp {
    /// The part of a plan that this op belongs to.
    #[must_use]
    pub fn phase(self) -> Phase {
        match self {
            CallbackOp::Pass { .. }
            | CallbackOp::Scalar { .. }
            | CallbackOp::Pair { .. }
            | CallbackOp::Vector { .. }
            | CallbackOp::Cookie { .. }
            | CallbackOp::Inside { .. }
            | CallbackOp::Copy { .. }
            | CallbackOp::Handle { .. }
            | CallbackOp::Object { .. }
            | CallbackOp::Room { .. } => Phase::Before,
            CallbackOp::Enter => Phase::Call,
            CallbackOp::Keep { .. } => Phase::Facts,
            CallbackOp::ReplySplit { .. }
            | CallbackOp::ReplyBehind { .. }
            | CallbackOp::ReplyHandle { .. }
            | CallbackOp::ReplyCookie
            | CallbackOp::ReplyText { .. }
            | CallbackOp::ReplyBuffer { .. } => Phase::Checks,
            CallbackOp::KeepReturned { .. }
            | CallbackOp::Reply { .. }
            | CallbackOp::ReplyVector => Phase::Commit,
        }
    }
}
