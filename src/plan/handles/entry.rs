//! One handle: what is known of the object that it stands for.
use std::ffi::c_void;
use std::ptr;
use thiserror::Error;

/// Number of a handle's type, unique in a process: handles of one type are interchangeable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct HandleType(pub u32);

impl HandleType {
    /// Bit of the number of a type that is `__exclusive`.
    const ALONE: u32 = 1 << 31;
    /// The greatest number that a type may be given.
    pub const LAST: u32 = HandleType::ALONE - 1;

    /// The type of that number whose handles a call has to itself (`__exclusive`).
    #[must_use]
    pub fn alone(self) -> HandleType {
        HandleType(self.0 | HandleType::ALONE)
    }

    /// Whether a call has handles of this type to itself.
    #[must_use]
    pub fn is_alone(self) -> bool {
        self.0 & HandleType::ALONE != 0
    }
}

/// Bits of a handle that are its index.
pub const INDEX_BITS: u32 = 20;
/// The greatest generation. The topmost bit of a handle stays clear: no handle is negative as an
/// `i32`, so that one which stands for a descriptor is never taken for an error.
pub(super) const LAST_GENERATION: u32 = (1 << (31 - INDEX_BITS)) - 1;

/// A native function that destroys an object: `int f(T *)` or `void f(T *)`, or, for a descriptor,
/// `int f(int)`.
pub type Destructor = *const c_void;

/// One handle. 64 bytes, alignment 8.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Entry {
    /// The native object; null when the slot is free. Of a descriptor, one more than the integer
    /// (see [`descriptor_pointer`]).
    pub pointer: *mut c_void,
    /// Its type.
    pub kind: HandleType,
    /// The generation of the handle that stands for it now, or of the last one.
    pub generation: u32,
    /// The handle itself; 0 when the slot is free. Compiled code asks for nothing else but this and the type.
    pub handle: u32,
    /// Zero.
    pub(super) unused: u32,
    /// How many times native code has given it away and not been given it back. 0 for a borrowed
    /// one.
    pub owners: u32,
    /// How many running calls use it.
    pub busy: u32,
    /// Index of the handle that lends it; 0 for none.
    pub parent: u32,
    /// Whether anything is lent by it (children or guest copies).
    pub lends: u32,
    /// What destroys it when the store goes; null for nothing.
    pub drop: Destructor,
    /// Order of creation.
    pub serial: u64,
    /// How many captures forbid that it be destroyed: of itself, or of something that it lends.
    pub captured: u32,
    /// [`EXCLUSIVE`], [`TAKEN`], [`DESCRIPTOR`], [`FOR_EVER`].
    pub flags: u32,
}

/// A running call has it to itself (`__exclusive`): no other may use it or what it lends.
pub const EXCLUSIVE: u32 = 1;
/// A running call may destroy it.
pub const TAKEN: u32 = 2;
/// It stands for an integer.
pub const DESCRIPTOR: u32 = 4;
/// Native code keeps it, or something that it lends, until the process ends.
pub const FOR_EVER: u32 = 8;

pub(super) const FREE: Entry = Entry {
    pointer: ptr::null_mut(),
    kind: HandleType(0),
    generation: 0,
    handle: 0,
    unused: 0,
    owners: 0,
    busy: 0,
    parent: 0,
    lends: 0,
    drop: ptr::null(),
    serial: 0,
    captured: 0,
    flags: 0,
};

/// The pointer that an entry has for a descriptor. 0 is a valid descriptor, and must not look like
/// a free slot.
#[must_use]
pub fn descriptor_pointer(value: u32) -> *mut c_void {
    ptr::without_provenance_mut(value as usize + 1)
}

/// The descriptor for which an entry has that pointer.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "made of 32 bits by `descriptor_pointer`")]
pub fn descriptor_value(pointer: *mut c_void) -> u32 {
    pointer.addr().wrapping_sub(1) as u32
}

/// Why a guest value is not a usable handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HandleError {
    /// It never was one.
    #[error("is no handle")]
    Forged,
    /// It was one.
    #[error("is a handle that is no longer alive")]
    Stale,
    /// It is one of another type.
    #[error("is a handle of another type")]
    WrongType,
    /// It is to be consumed or invalidated, and a running call uses it or something it lends; or a
    /// running call has it, or what lends it, to itself.
    #[error("is in use by a call that has not returned")]
    Busy,
    /// It is to be consumed and is only borrowed.
    #[error("is borrowed: it cannot be consumed")]
    Borrowed,
    /// It is to be consumed, and a living handle keeps it or something it lends.
    #[error("is kept by another object, or something that it lends is")]
    Captured,
    /// It is to be kept by another handle, and a running call may destroy it.
    #[error("may be destroyed by a call that has not returned, and cannot be kept")]
    Doomed,
}

/// No more handles can be made: the limit, or 2^20 slots used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the store has no room for {wanted} more handles (limit {limit})")]
pub struct Full {
    /// How many were asked for.
    pub wanted: u32,
    /// The limit in force.
    pub limit: u32,
}
