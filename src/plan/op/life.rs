//! The ops of what outlives a call: cookies, descriptors, captures, what a handle remembers.
use super::{At, Fate, Null, Operand, Phase, Slot};
use std::num::NonZeroU16;

/// Who keeps something after the call (`__captured_by`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Keeper {
    /// The handle that the guest passed in that slot; nobody, when it is NULL.
    Slot(u16),
    /// The handle that an [`Op::Adopt`](super::Op::Adopt) has put there (8 bytes); nobody, when it is
    /// 0.
    Made(At),
    /// The library, until the process ends.
    Library,
}

/// A handle that is there after the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Holder {
    /// What the guest passed in that slot.
    Slot(u16),
    /// What an [`Op::Adopt`](super::Op::Adopt) has put there (8 bytes).
    Made(At),
    /// That of the object whose address a [`DeepOp::Box`](super::DeepOp::Box) has put there.
    Object(At),
}

/// An op of something that native code keeps, or gives back later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "fields have the same meaning everywhere: see `op`")]
pub enum LifeOp {
    // ----- before
    /// An integer of the guest's, of 32 bits, as an address of the range that nobody can read
    /// ([`cookie`](crate::plan::cookie)). NULL when the guest's value in the slot `with` is 0: that of a
    /// callback (`__closure`).
    Cookie { slot: u16, to: At, with: Option<Slot> },
    /// A live handle of `Plan::handle_kinds[kind]`, fit for `fate`, that stands for an integer; `to`
    /// receives that, zero-extended. Else as [`Op::Handle`](super::Op::Handle).
    Descriptor { slot: u16, to: At, kind: u16, fate: Fate },
    /// As [`Op::PointerCell`](super::Op::PointerCell), for a descriptor: `cell` (4 bytes) is -1 before.
    DescriptorCell { slot: u16, to: At, cell: At, null: Null },
    /// A handle of `Plan::handle_kinds[kind]` behind the guest's pointer in `slot`, that the call may
    /// destroy: `cell` (8 bytes) has its native pointer, `to` receives the address of `cell`, `held` (16
    /// bytes) keeps handle and pointer. `null`: what 0 means for the pointer, `empty`: for the handle.
    HandleCell { slot: u16, to: At, cell: At, held: At, kind: u16, null: Null, empty: Null },
    /// Until the call is over no other may use what this one has to itself, or what that lends: of the
    /// handle in `slot` and all that lend it, those whose types are `__exclusive`. Arguments of this
    /// call may share them. With `own` the handle itself too, whatever its type, and for this argument
    /// alone. It stands behind all ops that mark handles.
    Exclusive { slot: u16, own: bool },
    /// The integer `Plan::names[name]` that the handle in `slot` remembers, to 16 bytes at `to`.
    Recall { slot: u16, name: u16, to: At },
    /// The handle in `slot` may be kept by another (`by`), or by the library (`None`): it may be
    /// destroyed by no running call, and the store has room for one more capture.
    Capturable { slot: u16, by: Option<Slot> },
    /// Replaces the bytes whose address is at `at` (their length at `extent`) by a copy that does not
    /// move and outlives the call. NULL stays NULL. `shared`: by one that a library keeps already until the
    /// process ends, if its bytes are the same.
    Keep { at: At, extent: At, shared: bool, param: u16 },

    // ----- after: facts; with `Keeper::Made` commit
    /// What [`LifeOp::HandleCell`] has kept at `held` has lost an owner: always, or if
    /// `Plan::expressions[condition - 1]` is not zero or cannot be computed.
    ConsumeHeld { held: At, condition: Option<NonZeroU16> },
    /// The handle in `slot` has an owner more.
    Retain { slot: u16 },
    /// `by` keeps the handle in `slot`.
    Capture { slot: u16, by: Keeper },
    /// `by` keeps what [`LifeOp::Keep`] has copied for `at`.
    HandOver { at: At, by: Keeper },

    // ----- after: checks
    /// The native pointer at `from` must be NULL or lie in the range of cookies; `to` (8 bytes)
    /// receives the guest's integer, 0 for NULL.
    FromCookie { from: At, to: At, param: u16 },

    /// The native pointer that is in `cell` now is NULL or the one that was put there. `to` (8 bytes)
    /// receives what the guest gets: 0, unless the handle at `held` is there and alive.
    Emptied { cell: At, held: At, to: At, param: u16 },

    // ----- after: commit
    /// Makes the integer at `from` a handle of `Plan::handle_kinds[kind]`, or adds an owner to the one
    /// that it has; `to` (8 bytes) receives it. A negative one, or an unsigned one with all bits set, is no
    /// descriptor: it is passed on.
    AdoptDescriptor { from: Operand, to: At, kind: u16, borrowed: bool, parent: Option<Slot> },
    /// Keeps the integer at `value` (16 bytes) with a handle, as `Plan::names[name]`.
    Remember { value: At, name: u16, of: Holder },
}

impl LifeOp {
    /// The part of a plan that this op belongs to.
    #[must_use]
    pub fn phase(self) -> Phase {
        match self {
            LifeOp::Cookie { .. }
            | LifeOp::Descriptor { .. }
            | LifeOp::DescriptorCell { .. }
            | LifeOp::HandleCell { .. }
            | LifeOp::Exclusive { .. }
            | LifeOp::Recall { .. }
            | LifeOp::Capturable { .. }
            | LifeOp::Keep { .. } => Phase::Before,
            LifeOp::ConsumeHeld { .. } | LifeOp::Retain { .. } => Phase::Facts,
            LifeOp::Capture { by, .. } | LifeOp::HandOver { by, .. } => match by {
                Keeper::Slot(_) | Keeper::Library => Phase::Facts,
                Keeper::Made(_) => Phase::Commit,
            },
            LifeOp::FromCookie { .. } | LifeOp::Emptied { .. } => Phase::Checks,
            LifeOp::AdoptDescriptor { .. } | LifeOp::Remember { .. } => Phase::Commit,
        }
    }
}
