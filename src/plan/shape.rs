//! Shapes: what pointed-to data is made of, in the guest's memory and on the host.
//!
//! Data that native code may not be given in place passes through memory of the call. A [`Shape`]
//! says how one object of it is copied: which bytes move ([`Carry`]), which values are tested
//! ([`Test`]), and which pointers lead on ([`Link`]). `Plan::shapes` is an arena that may refer to
//! itself, because data may: a list's node has a link whose target is its own shape.
//!
//! ```text
//! shape 0 struct iovec    guest 8 bytes    host 16 bytes
//!   member                4 at 4      <->  8 at 8          iov_len
//!   link                  4 at 0      <->  8 at 0          iov_base: bytes, counted by iov_len
//! ```
//!
//! Not here: who makes shapes (`compile::deep`), who says that they are right (`verify::deep`), and
//! who follows them (`interpret::deep`).
use super::moves::MoveKind;
use super::op::{Direction, Null, Width};

/// One type of pointed-to data.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// As C spells it.
    pub name: Box<str>,
    /// Size of one object in the guest's memory, in bytes: the distance of two elements.
    pub guest_size: u32,
    /// Its alignment there.
    pub guest_align: u32,
    /// Size of one object on the host, in bytes.
    pub host_size: u32,
    /// Its alignment there.
    pub host_align: u32,
    /// The bytes that are copied; together with the links all that is no padding.
    pub moves: Box<[Carry]>,
    /// What messages call the integers that are narrower in the guest's memory, by their offsets on
    /// the host.
    pub names: Box<[(u32, Box<str>)]>,
    /// Integers that have `__range`s.
    pub tests: Box<[Test]>,
    /// Pointers.
    pub links: Box<[Link]>,
}

impl Shape {
    /// Whether an object is the same bytes on both sides, without anything to look at.
    #[must_use]
    pub fn is_flat(&self) -> bool {
        self.links.is_empty() && self.guest_size == self.host_size && self.is_one_run()
    }

    fn is_one_run(&self) -> bool {
        matches!(*self.moves, [Carry { guest: 0, host: 0, kind: MoveKind::Bytes(bytes), .. }]
            if u32::from(bytes) == self.host_size)
    }
}

/// A run of bytes of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Carry {
    /// Offset in the guest's memory.
    pub guest: u32,
    /// Offset on the host.
    pub host: u32,
    /// What happens to the bytes; never `Clear`.
    pub kind: MoveKind,
    /// Of the fields of a `__boxed` struct, whether only its object has them of the guest (`In`) or
    /// only the guest of it (`Out`). Else `InOut`.
    pub direction: Direction,
}

/// An integer that must lie in one of its intervals: going in, or, of `_Out_` data, coming out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Test {
    /// Offset on the host.
    pub host: u32,
    /// How it is stored there.
    pub width: Width,
    /// Pairs of `Plan::expressions`: the least and the greatest value.
    pub intervals: Box<[(u16, u16)]>,
    /// What messages call it: the way from its object.
    pub path: Box<str>,
}

/// A pointer: in an object, or, of `Plan::roots`, what a parameter or a result is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Link {
    /// Offset in the guest's memory.
    pub guest: u32,
    /// Offset on the host.
    pub host: u32,
    /// What messages call it: the way from its object; empty when the object is the pointer.
    pub path: Box<str>,
    /// What it points at.
    pub target: Target,
    /// How many there are.
    pub reach: Reach,
    /// What guest 0 means.
    pub null: Null,
    /// Which way the data behind it goes.
    pub direction: Direction,
}

/// What a pointer points at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// Objects of that shape, copied.
    Data(u16),
    /// Elements in the guest's memory, in place.
    Bytes {
        /// Size of one in bytes.
        size: u32,
        /// What C asks of its address.
        align: u8,
    },
    /// An object that only native code knows.
    Handle {
        /// Index into `Plan::handle_kinds`.
        kind: u16,
        /// One that native code leaves there is not owned.
        borrowed: bool,
    },
    /// A function of the guest's table, of which native code gets a closure.
    Function {
        /// Index into `Plan::callbacks`. `None` in plans of callbacks: there it only comes from native
        /// code, which has it of the guest.
        callback: Option<u16>,
        /// How long native code may call it.
        keep: Keep,
    },
    /// An integer of the guest's, of 32 bits, that native code carries
    /// ([`cookie`](super::cookie)).
    Cookie {
        /// It is NULL when the guest's function at that offset of the same object is 0
        /// (`__closure`).
        with: Option<u32>,
    },
    /// Something without a size: only native code sets such a pointer.
    Native,
}

/// How long native code may call a guest function that it finds in data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Keep {
    /// Until the call is over.
    Call,
    /// While the handle lives that the guest passed in that slot.
    Slot(u16),
    /// While the handle lives that the call returns.
    Result,
    /// Until the guest says otherwise.
    Library,
}

/// How many elements a pointer has behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reach {
    /// One.
    One,
    /// As many as an expression says.
    Counted {
        /// Index into `Plan::expressions`. It may read fields of the object that the link is in.
        expr: u16,
        /// It counts bytes (of the host's layout).
        bytes: bool,
    },
    /// Up to and with the first whose bytes there are all zero.
    Ends {
        /// Offset in an element in the guest's memory.
        guest: u32,
        /// Offset in an element on the host.
        host: u32,
        /// How many bytes, in the guest's memory.
        guest_bytes: u8,
        /// How many bytes, on the host.
        host_bytes: u8,
    },
}
