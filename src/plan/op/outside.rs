//! The ops of plans without a guest: calls on plain C values (`ffi` calls), and calls that native
//! code makes to us (`ffi` closures).
use super::{At, Width};

/// How one C scalar is read from memory for a register or stack slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fetch {
    /// An integer of that width, sign- or zero-extended to 8 bytes (16 bytes as they are).
    Integer(Width),
    /// Any value but 0 is 1.
    Bool,
    /// `float`: 4 bytes, the rest of the 8 is zero.
    Float32,
    /// `double`, and whatever else has 8 bytes that travel as they are.
    Float64,
    /// 16 bytes as they are: vectors, `long double`, `__int128`, structs in neighbouring registers.
    Whole,
}

/// An op of a call on plain C values. The argument numbered `arg` is where `args[arg]` points, the
/// result goes where the caller says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NativeOp {
    /// *Before.* Reads a scalar and places it.
    Fetch {
        /// The argument.
        arg: u16,
        /// A register image or stack slot.
        to: At,
        /// How.
        fetch: Fetch,
    },
    /// *Before.* Takes a value apart as `Plan::moves[moves]` says.
    Split {
        /// The argument.
        arg: u16,
        /// The moves.
        moves: u16,
    },
    /// *Before.* Places the address where the result goes (a hidden pointer).
    Destination {
        /// A register image.
        to: At,
    },
    /// *Commit.* Puts the result together as `Plan::moves[moves]` says.
    Deliver {
        /// The moves, from the call record.
        moves: u16,
    },
}

/// An op of a call that native code makes. The frame holds the registers that it passed; its stack
/// arguments lie behind the frame's head, the return address and one saved register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UpcallOp {
    /// *Before.* The next argument lies whole in the frame.
    Lend {
        /// Where.
        from: At,
    },
    /// *Before.* The next argument lies where that place of the frame points.
    LendBehind {
        /// The place of the address.
        from: At,
    },
    /// *Before.* The next argument is put together in scratch memory, as `Plan::moves[moves]` says.
    Join {
        /// The moves.
        moves: u16,
        /// Where in the scratch memory.
        offset: u32,
    },
    /// *Call.* Calls the closure. It writes its result to scratch memory at `result`, or, if there
    /// is a hidden pointer, to where that points.
    Call {
        /// Where in the scratch memory.
        result: u32,
        /// The place of the hidden pointer.
        hidden: Option<At>,
    },
    /// *Commit.* The result is a scalar of at most 8 bytes: it is read as `fetch` says, into `rax` if
    /// it is an integer, into `xmm0` if not.
    Reply {
        /// How it is stored.
        fetch: Fetch,
    },
    /// *Commit.* Takes the result apart into the call record, as `Plan::moves[moves]` says.
    ReplySplit {
        /// The moves.
        moves: u16,
    },
    /// *Commit.* The result is the hidden pointer.
    ReplyHidden {
        /// Its place.
        from: At,
    },
}
