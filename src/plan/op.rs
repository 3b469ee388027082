//! The ops of a plan: a small language that says how one call is made.
//!
//! # Names
//!
//! An op of the *before* section is called after the C thing that it decodes (`Int8`, `Text`,
//! `Buffer`), one of the *after* section is a verb (`Consume`, `Take`, `Give`). Fields have the
//! same names everywhere: `slot` is the guest value an op reads, `to` where in the frame it puts
//! what it made, `from` where a value comes from, `param` the parameter that errors talk about.
//!
//! # Sections
//!
//! ```text
//! before   decode, check, place; no side effect outside the frame and the call's own memory
//! call     exactly one `Call`
//! after    facts    what native code has done in any case: `Consume`, `EndLoans`
//!          checks   everything that can still fail: `Inside`, `Fits`, `Measure`, `Take`
//!          guest    guest code: `Give` (its allocator)
//!          commit   cannot fail: `Adopt`, `StoreCell`, `Return`
//! ```
//!
//! [`Op::phase`] names the part an op belongs to; the verifier refuses plans in which the parts
//! are out of order. No `match` over ops has a wildcard arm, so that the compiler drives the
//! addition of an op: see CONTRIBUTING.md for the recipe.
use std::num::NonZeroU16;

mod callback;
mod deep;
mod life;
mod outside;
mod phase;
mod width;

pub use callback::{CallbackOp, Lent, REMOTE};
pub use deep::{Boxing, DeepOp, HandleField};
pub use life::{Holder, Keeper, LifeOp};
pub use outside::{Fetch, NativeOp, UpcallOp};
pub use phase::Phase;
pub use width::Width;

/// A position in the frame: its offset in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct At(NonZeroU16);

impl At {
    /// The position at that offset; `None` for 0 (the frame's header) and beyond 65535.
    #[must_use]
    pub fn new(offset: usize) -> Option<At> {
        NonZeroU16::new(u16::try_from(offset).ok()?).map(At)
    }

    /// The offset in bytes from the start of the frame.
    #[inline]
    #[must_use]
    pub fn offset(self) -> usize {
        usize::from(self.0.get())
    }
}

/// An integer that an earlier op has put into the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Operand {
    /// Where it is.
    pub at: At,
    /// How it is stored.
    pub width: Width,
}

/// An integer whose `__range`s have computed bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ranged {
    /// The integer.
    pub value: Operand,
    /// The parameter that it is the value of, or that points to it.
    pub param: u16,
}

/// How many elements a pointer has behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Count {
    /// As many as the integer there says; a negative one fails.
    Of(Operand),
    /// Always so many.
    Exactly(u32),
}

/// What guest 0 means for a pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Null {
    /// NULL when the count is 0, an error otherwise.
    IfEmpty,
    /// Always NULL.
    Allowed,
    /// Always an error, with a count of 0 too.
    Refused,
}

/// Which way the value of a cell goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Into native code.
    In,
    /// Out of native code; it finds zero.
    Out,
    /// Both.
    InOut,
}

impl Direction {
    /// Whether native code sees the guest's value.
    #[must_use]
    pub fn is_in(self) -> bool {
        matches!(self, Direction::In | Direction::InOut)
    }

    /// Whether the guest sees what native code left.
    #[must_use]
    pub fn is_out(self) -> bool {
        matches!(self, Direction::Out | Direction::InOut)
    }
}

/// Which registers a call needs. A stub that loads fewer is faster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stub {
    /// The integer registers.
    Integers,
    /// Integer and vector registers.
    Registers,
    /// All registers, and the stack area.
    Stack,
    /// As `Stack`, vector registers whole, the stack area aligned to more than 16 bytes if the frame
    /// says so, and so many x87 registers hold the result (0 to 2).
    Whole {
        /// Results in `st(0)` and `st(1)`.
        x87: u8,
    },
    /// None: nothing is called, the function is data that is read.
    Data(Datum),
}

/// What becomes the result of a plan for data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Datum {
    /// The integer or pointer of so many bytes that is there.
    Integer(u8),
    /// The `float` or `double` of so many bytes that is there.
    Vector(u8),
    /// The address: an array is there.
    Address,
}

/// How the raw result registers become the guest's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Returns {
    /// There is no result.
    Void,
    /// Only into the call record: ops of the *after* section decode it.
    Record,
    /// Zero- or sign-extended from its width to an `i32` (bits above the width are garbage:
    /// psABI 3.2.3 promises nothing about them).
    Int8,
    /// See [`Returns::Int8`].
    UInt8,
    /// See [`Returns::Int8`].
    Int16,
    /// See [`Returns::Int8`].
    UInt16,
    /// The lowest bit of the lowest byte.
    Bool,
    /// 32 bits.
    Int32,
    /// 64 bits.
    Int64,
    /// A signed 64-bit result that must fit an `i32` (`long`), else the call fails.
    Long32,
    /// An unsigned 64-bit result that must fit an `i32` taken as unsigned (`size_t`).
    ULong32,
    /// `f32`
    Float32,
    /// `f64`
    Float64,
    /// `v128`, from the whole register.
    Vector,
}

/// What a `Take` copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TakeExtent {
    /// A string: up to and with its NUL, elements of 1, 2 or 4 bytes.
    Text(u8),
    /// So many elements of `size` bytes.
    Counted {
        /// How many.
        count: Operand,
        /// Size of one element in bytes.
        size: u32,
    },
    /// One object of so many bytes.
    Object(u32),
}

/// What the call does to a handle that it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// Nothing.
    Kept,
    /// Its loans end (`__invalidates`): no running call may use it or what it lends.
    Invalidated,
    /// It may lose an owner (`__consumes`, `__consumes_if`): as `Invalidated`, and it must not be
    /// borrowed.
    Consumed,
}

/// Who owns a guest copy that a `Give` made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ownership {
    /// The guest: it frees it.
    Guest,
    /// The library, for ever: one guest copy for one native address, rewritten when the bytes
    /// there change.
    Static,
    /// The handle that the guest passed in that slot: freed when the loan ends.
    Handle {
        /// The guest value of the handle.
        slot: u16,
        /// What the guest leaves there goes back to native memory when the handle's callback ends; the
        /// handle must be one that a callback was given. One guest copy for one native address.
        back: bool,
    },
}

/// One step of a plan. `Copy`, 28 bytes; tables beside the ops hold what does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "fields have the same meaning everywhere: see the module")]
#[repr(u8)] // a plain tag: dispatch is one load and one jump
pub enum Op {
    // ----- before: scalars. `to` is eight bytes of a register image or stack slot.
    /// The low 8 bits, sign-extended.
    Int8 { slot: u16, to: At },
    /// The low 8 bits, zero-extended.
    UInt8 { slot: u16, to: At },
    /// The low 16 bits, sign-extended.
    Int16 { slot: u16, to: At },
    /// The low 16 bits, zero-extended.
    UInt16 { slot: u16, to: At },
    /// 1 for any non-zero `i32`.
    Bool { slot: u16, to: At },
    /// 32 bits, zero-extended; also for `int`, whose upper half is unspecified in the C ABI.
    Int32 { slot: u16, to: At },
    /// 64 bits.
    Int64 { slot: u16, to: At },
    /// An `i32` that is a signed 64-bit type here, sign-extended (`long`).
    Long32 { slot: u16, to: At },
    /// An `i32` that is an unsigned 64-bit type here, zero-extended (`size_t`).
    ULong32 { slot: u16, to: At },
    /// An `f32`; 16 bytes of a vector register's image or 8 of a stack slot.
    Float32 { slot: u16, to: At },
    /// An `f64`, likewise.
    Float64 { slot: u16, to: At },
    /// The 128 bits of two `i64`s, this slot's and the next one's; `to` has 16 bytes (`__int128`,
    /// and `long double` where it is a binary128).
    Pair { slot: u16, to: At },
    /// As [`Op::Pair`], a binary128 that becomes the x87's format.
    Extended { slot: u16, to: At },
    /// A `v128`; `to` has 16 bytes.
    Vector { slot: u16, to: At },

    // ----- before: values and conditions
    /// Fails unless `value` lies in one of the intervals of `Plan::ranges[set]`.
    Range { value: Operand, set: u16, param: u16 },
    /// Computes `Plan::expressions[expr]` once and keeps it, 16 bytes.
    Evaluate { expr: u16, to: At, param: u16 },
    /// Fails when `Plan::expressions[expr]` is zero: a `__requires`, or, of an integer, that it
    /// lies in one of its `__range`s.
    Require { expr: u16, of: Option<Ranged> },
    /// Places the value of an expression instead of the guest's (`__value`); fails when `width`
    /// does not hold it.
    Value { expr: u16, to: At, width: Width, param: u16 },

    // ----- before: pointers. `to` receives the native address.
    /// `count` elements of `size` bytes in the guest's memory, in place. The whole range must lie
    /// inside; its start must be a multiple of `align` unless it is empty. When `extent` is
    /// there, the length in bytes is kept at it (8 bytes).
    Buffer {
        slot: u16,
        to: At,
        count: Count,
        size: u32,
        align: u8,
        null: Null,
        param: u8,
        extent: Option<At>,
    },
    /// A string in the guest's memory: elements of `unit` bytes up to the first zero one, which
    /// must lie inside. In place unless `copy`; then, and when [`Op::Apart`] says so, native
    /// code gets a copy of the call's own. Its length in bytes, terminator included, is kept at
    /// `extent` (8 bytes).
    Text { slot: u16, to: At, unit: u8, null: Null, copy: bool, extent: At },
    /// A value of `size` bytes that C passes and wasm passes by its address in the guest's memory: it
    /// is taken apart as `Plan::moves[moves]` says.
    Object { slot: u16, size: u32, moves: u16 },
    /// Places the address of a place of the frame: of a value that the C ABI passes by address, of
    /// the memory that a result goes to. So many bytes there are `zeroed`: all of a result, because
    /// the guest gets its members whether native code has written them or not.
    Address { of: At, to: At, zeroed: u16 },
    /// `size` bytes in the guest's memory that [`Op::StoreObject`] will write.
    Room { slot: u16, size: u32 },
    /// The conversions of the format whose address is at `text` (its length at `extent`) must be
    /// ones that take what is in `Plan::passed`. Native code reads the same bytes: it stands behind
    /// every [`Op::Apart`] of that string.
    Format { text: At, extent: At, param: u16 },
    /// One integer in the guest's memory that goes through the call's own memory, because its
    /// layouts differ or because a bound depends on it: `guest` in the guest's memory, `host` at
    /// `cell` in the frame (8 bytes, zero before). `to` receives the address of `cell`.
    Cell {
        slot: u16,
        to: At,
        cell: At,
        guest: Width,
        host: Width,
        direction: Direction,
        null: Null,
    },
    /// A guest pointer in the guest's memory (4 or 8 bytes: the data model's) that native code
    /// fills. `cell` (8 bytes of the frame) is NULL before; `to` receives its address.
    PointerCell { slot: u16, to: At, cell: At, null: Null },
    /// As [`Op::PointerCell`], but the guest's pointer goes in: a string inside the guest's
    /// memory that native code only reads, in place (so only for leaf functions), or NULL. The
    /// place of the string's length is `extent` (8 bytes).
    TextCell { slot: u16, to: At, cell: At, null: Null, extent: At },
    /// A live handle of `Plan::handle_kinds[kind]`, fit for `fate`. When the plan runs guest code,
    /// or has several handles of which one is not `Kept`, handles are marked as in use until the
    /// call is over; ops whose fate is not `Kept` come last.
    Handle { slot: u16, to: At, kind: u16, null: Null, fate: Fate },
    /// Copies the string whose address is at `text` (the `to` of an [`Op::Text`] or the cell of an
    /// [`Op::TextCell`], its length at `text_extent`) into the call's own memory if it overlaps the
    /// writable range at `buffer`.
    Apart { text: At, text_extent: At, buffer: At, buffer_extent: At },
    /// Makes sure that so many handles can be made after the call.
    Reserve { handles: u16 },

    // ----- call
    /// Calls the binding's function. Result registers (and `errno`, if the plan keeps it) go to
    /// the call record, then the result is decoded as `returns` says.
    Call { stub: Stub, returns: Returns },

    // ----- after: facts
    /// The handle that the guest passed in `slot` has lost an owner: always, or if
    /// `Plan::expressions[condition]` is not zero. A condition that cannot be computed counts as
    /// true.
    Consume { slot: u16, condition: Option<NonZeroU16> },

    /// The loans of the handle in `slot` have ended (`__invalidates`). The guest's memory is freed
    /// when the call is over; what this call lends is not among them.
    EndLoans { slot: u16 },

    // ----- after: checks
    /// Computes an expression, as [`Op::Evaluate`] does.
    Measure { expr: u16, to: At },
    /// The integer at `from` must be one of `width`'s values (what the guest can hold).
    Fits { from: Operand, width: Width, param: u16 },
    /// Every integer of `Plan::moves[moves]` that is narrower in the guest's memory must fit there.
    FitsObject { moves: u16 },
    /// The native pointer at `from` must be NULL, or point into (or just past) the guest's memory
    /// or a copy that the call made of a part of it. `to` (8 bytes) receives the guest's pointer.
    Inside { from: At, to: At, param: u16 },
    /// As [`Op::Inside`], but a pointer to elsewhere is not an error: `to` receives all ones, and
    /// the `Take` and `Give` with the same number do their work.
    InsideOr { from: At, to: At },
    /// Copies what the native pointer at `from` points at into the host's memory as number
    /// `take`. Nothing is taken from NULL. `unless`: nothing is taken either when the 8 bytes
    /// there are not all ones (see [`Op::InsideOr`]).
    Take { from: At, take: u8, extent: TakeExtent, unless: Option<At>, param: u16 },
    /// Calls `Plan::callees[callee]` with the native pointer at `from`, unless it is NULL
    /// (`__freed_by`; the bytes have been taken).
    FreeNative { from: At, callee: u16 },

    // ----- after: guest code
    /// Allocates guest memory for what was taken as number `take`, copies it there, and puts the
    /// guest's pointer at `to` (8 bytes; 0 when nothing was taken, untouched under `unless`).
    Give { take: u8, to: At, from: At, owner: Ownership, unless: Option<At>, param: u16 },

    // ----- after: commit
    /// Makes the native pointer at `from` a handle of `Plan::handle_kinds[kind]`, or adds an owner
    /// to the one that it has; `to` (8 bytes) receives it, 0 for NULL. `parent` is the guest slot
    /// of the handle that lends it.
    Adopt { from: At, to: At, kind: u16, borrowed: bool, parent: Option<Slot> },
    /// Writes the low bytes of the 8 at `from` to the guest address in `slot`, unless that is 0.
    StoreCell { slot: u16, from: At, width: Width },
    /// Puts the result together in the guest's memory, at the address in `slot`, as
    /// `Plan::moves[moves]` says.
    StoreObject { slot: u16, moves: u16 },
    /// The result from the call record or a place of the frame, decoded as `returns` says
    /// (never `Record`).
    Return { from: At, returns: Returns },

    // ----- plans without a guest
    /// A call on plain C values.
    Native(NativeOp),
    /// A call that native code makes.
    Upcall(UpcallOp),

    // ----- before and after; each says its part
    /// Data that native code gets as a copy of the call's own.
    Deep(DeepOp),
    /// Guest functions that native code calls.
    Callback(CallbackOp),
    /// What outlives a call.
    Life(LifeOp),
}

/// A guest slot where one may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot(NonZeroU16);

impl Slot {
    /// The slot of that number.
    #[must_use]
    pub fn new(number: u16) -> Option<Slot> {
        NonZeroU16::new(number.checked_add(1)?).map(Slot)
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> u16 {
        self.0.get() - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ops_stay_small() {
        assert!(size_of::<Op>() <= 28, "an op is {} bytes", size_of::<Op>());
    }
}
