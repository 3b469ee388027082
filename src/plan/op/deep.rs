//! The ops of pointed-to data that native code gets as a copy of the call's own.
use super::{At, Phase};

/// What a call does with the object that a guest's struct mirrors (`__boxed`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Boxing {
    /// Makes it (`_Out_`).
    Made,
    /// Uses it.
    Used,
    /// Ends it (`__consumes`).
    Ended,
    /// Ends it if a condition holds, which a [`DeepOp::End`] knows (`__consumes_if`).
    EndedIf,
}

/// Where in the guest's struct the handle of the object is that it mirrors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HandleField {
    /// Offset in bytes.
    pub at: u32,
    /// How many bytes it has: 4, or the 8 of a guest's pointer.
    pub bytes: u8,
}

/// An op of data whose layouts differ, that holds pointers, or that a bound depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "fields have the same meaning everywhere: see the module of ops")]
pub enum DeepOp {
    /// Copies what the guest's pointer in `slot` points at, as `Plan::roots[root]` says, with all
    /// that it leads to, into memory of the call, handles made pointers. `to` receives the native
    /// address of the copy. One address that is passed twice with one shape is one copy.
    Copy { slot: u16, to: At, root: u16, param: u16 },
    /// The copy whose address [`DeepOp::Copy`] has put at `to` mirrors an object that outlives calls
    /// (`__boxed`), whose address `to` receives instead. Its handle, of `Plan::handle_kinds[kind]`, is
    /// `field.at` bytes into the guest's struct; it is the call's alone, with `alone` this argument's.
    /// `Boxing::Made`: a new object, zero.
    Box {
        slot: u16,
        to: At,
        root: u16,
        kind: u16,
        field: HandleField,
        boxing: Boxing,
        alone: bool,
        param: u16,
    },
    /// The integer `Plan::names[name]` that the handle of the object at `of` (where [`DeepOp::Box`] has
    /// put its address) remembers, to 16 bytes at `to`.
    Recall { of: At, name: u16, to: At },
    /// Copies what [`DeepOp::Copy`] has copied of that root once more, with all that it leads to, to memory
    /// that does not move and outlives the call, whose address `at` receives instead. NULL stays NULL.
    /// [`LifeOp::HandOver`](super::LifeOp::HandOver) gives it to who keeps it.
    Keep { at: At, root: u16, param: u16 },
    /// Writes members and pointers of the mirrors to their objects. Only a reservation may follow: it
    /// is the first thing that lasts.
    Fill,
    /// *Facts.* Native code keeps the functions in copies that are to be kept by a handle that was
    /// passed, or until the guest says otherwise; with `made` (*commit*) those that are to be kept by
    /// the handle whose guest value an [`Op::Adopt`](super::Op::Adopt) has put there.
    KeepFunctions { made: Option<At> },
    /// Reads what native code has left in the objects into their mirrors, and clears the objects'
    /// pointers; the objects that the call ends are gone.
    Fetch,
    /// The object whose address is at `of` is gone if `Plan::expressions[condition]` is not zero, or
    /// cannot be computed.
    End { of: At, condition: u16 },
    /// Looks through every copy that goes back to the guest: integers must fit, pointers that
    /// native code has changed must be ones that the guest can have.
    Settle,
    /// Copies what the native pointer at `from` points at, as `Plan::roots[root]` says, with all that
    /// it leads to, into the host's memory as number `take`: one block, as the guest lays it out.
    /// `unless` as in [`Op::Take`](super::Op::Take).
    Take { from: At, take: u8, root: u16, unless: Option<At>, param: u16 },
    /// Writes every copy that goes back to the guest's memory, members only; new handles are made.
    Commit,
}

impl DeepOp {
    /// The part of a plan that this op belongs to.
    #[must_use]
    pub fn phase(self) -> Phase {
        match self {
            DeepOp::Copy { .. }
            | DeepOp::Box { .. }
            | DeepOp::Keep { .. }
            | DeepOp::Recall { .. }
            | DeepOp::Fill => Phase::Before,
            DeepOp::Fetch | DeepOp::End { .. } | DeepOp::KeepFunctions { made: None } => {
                Phase::Facts
            }
            DeepOp::Settle | DeepOp::Take { .. } => Phase::Checks,
            DeepOp::Commit | DeepOp::KeepFunctions { made: Some(_) } => Phase::Commit,
        }
    }
}
