//! The frame: the one memory layout through which a call's values pass.
//!
//! Interpreter, compiled code and the stubs that enter native code all use it, so it is
//! `#[repr(C)]`, and the test beside it pins every offset.
//!
//! ```text
//!  high  +--------------------------------+
//!        | cells and locals               |  what outlives the call: cells that native code
//!        |   8 or 16 bytes each           |  writes, computed counts, extents
//!        +--------------------------------+  FrameLayout::locals
//!        | stack area                     |  what the callee finds at its stack pointer,
//!        |   8 bytes a slot, 16-aligned   |  first stack argument lowest
//!        +--------------------------------+  FrameHead size (320)
//!        | call record                    |  raw result registers, errno, state
//!        +--------------------------------+  224
//!        | vector registers, 8 x 16       |  xmm0 .. xmm7, low half first
//!        +--------------------------------+  96
//!        | running call                   |  what native code's calls of guest functions find
//!        +--------------------------------+  88
//!        | integer registers, 9 x 8       |  rdi rsi rdx rcx r8 r9 (AAPCS64: x0 .. x8)
//!        +--------------------------------+  16
//!        | binding                        |
//!        | guest slots (pointer)          |  16 bytes each, `ValRaw`'s layout, results over
//!  low   +--------------------------------+  arguments, owned by the caller
//! ```
use super::Binding;
use super::abi::Location;
use super::interpret::callback::Running;
use super::op::At;
use std::mem::offset_of;

/// One guest value: 16 bytes, alignment 8, little-endian, the layout of wasmtime's `ValRaw`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct GuestSlot {
    /// The value, or its low half. Only the low four bytes of an `i32` or `f32` mean something.
    pub low: u64,
    /// The high half of a `v128`.
    pub high: u64,
}

/// What native code left in its result registers, and how far the call has come.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CallRecord {
    /// `rax`, `rdx` (AAPCS64: `x0`, `x1`).
    pub integers: [u64; 2],
    /// `xmm0`, `xmm1` (AAPCS64: `v0`, `v1`), whole.
    pub vectors: [[u64; 2]; 2],
    /// `errno` right after the call, if the plan keeps it.
    pub errno: i32,
    /// 0 before the call, 1 after it.
    pub called: u32,
    /// `st(0)` and `st(1)`, 10 bytes each, the second one [`X87_STRIDE`] bytes behind the first.
    pub x87: [u64; 4],
}

/// The part of a frame whose layout is the same for every plan.
#[derive(Debug)]
#[repr(C, align(16))]
pub struct FrameHead {
    /// The guest's arguments; the result goes over the first.
    pub guest: *mut GuestSlot,
    /// The import that is being called.
    pub binding: *const Binding,
    /// Image of the integer argument registers.
    pub integers: [u64; INTEGER_REGISTERS],
    /// What closures find of the call, in plans that may call back.
    pub running: *mut Running,
    /// Image of the vector argument registers, low half first. Stubs load only the low halves
    /// where a plan has no 16-byte vectors: a wide load after two narrow stores is slow.
    pub vectors: [[u64; 2]; VECTOR_REGISTERS],
    /// Filled by the call.
    pub record: CallRecord,
}

/// Distance of the two x87 registers in a call record.
pub const X87_STRIDE: usize = 16;
/// As many as the ABI with the most has (AAPCS64; SysV x86-64 uses six).
pub const INTEGER_REGISTERS: usize = 9;
/// As many as both ABIs have.
pub const VECTOR_REGISTERS: usize = 8;
/// The largest stack area, in bytes.
pub const MAX_STACK_AREA: usize = 4096;

/// The scratch memory of a closure's call, in bytes: for arguments that registers bring in pieces,
/// and for results that leave in registers.
pub const SCRATCH: usize = 512;

/// Where the variable parts of a plan's frame begin. All in bytes from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FrameLayout {
    /// Size of the stack area, a multiple of 16. It begins at [`FrameLayout::STACK`].
    pub stack: u16,
    /// Alignment of the stack area at the call: 16, or more when an argument asks for it.
    pub stack_align: u16,
    /// Where cells and locals begin; 16-aligned.
    pub locals: u16,
    /// The whole frame, a multiple of 16.
    pub size: u16,
    /// Alignment of its start: 16, or more when memory for a result asks for it.
    pub align: u16,
}

impl FrameLayout {
    /// Where the stack area begins.
    pub const STACK: usize = size_of::<FrameHead>();

    /// Where a closure's stack arguments begin. Its frame lies right below what its caller and its
    /// entry stub have pushed:
    ///
    /// ```text
    ///  high  | stack arguments of the caller  |
    ///        +--------------------------------+  CALLER_STACK
    ///        | return address                 |
    ///        | saved frame pointer            |
    ///        +--------------------------------+  FrameHead size
    ///  low   | FrameHead                      |
    /// ```
    pub const CALLER_STACK: usize = Self::STACK + 16;

    /// A closure's stack argument at that offset.
    #[must_use]
    pub fn caller_slot(offset: u32) -> Option<At> {
        let offset = usize::try_from(offset).ok()?;
        (offset < MAX_STACK_AREA).then(|| At::new(Self::CALLER_STACK + offset)).flatten()
    }

    /// Image of integer register `number`.
    #[must_use]
    pub fn integer(number: u8) -> Option<At> {
        let number = usize::from(number);
        (number < INTEGER_REGISTERS)
            .then(|| At::new(offset_of!(FrameHead, integers) + 8 * number))
            .flatten()
    }

    /// Image of vector register `number`.
    #[must_use]
    pub fn vector(number: u8) -> Option<At> {
        let number = usize::from(number);
        (number < VECTOR_REGISTERS)
            .then(|| At::new(offset_of!(FrameHead, vectors) + 16 * number))
            .flatten()
    }

    /// The stack slot at that offset of the stack area.
    #[must_use]
    pub fn stack_slot(offset: u32) -> Option<At> {
        let offset = usize::try_from(offset).ok()?;
        (offset < MAX_STACK_AREA).then(|| At::new(Self::STACK + offset)).flatten()
    }

    /// Image of the register or stack slot that an argument travels in; `None` for those that frames
    /// have not.
    #[must_use]
    pub fn argument(location: Location) -> Option<At> {
        match location {
            Location::Integer(number) => Self::integer(number),
            Location::Vector(number) => Self::vector(number),
            Location::Stack(offset) => Self::stack_slot(offset),
            Location::X87(_) => None,
        }
    }

    /// The first integer result register in the call record.
    #[must_use]
    pub fn result_integer() -> At {
        Self::result(0, offset_of!(CallRecord, integers))
    }

    /// The first vector result register in the call record.
    #[must_use]
    pub fn result_vector() -> At {
        Self::result(0, offset_of!(CallRecord, vectors))
    }

    /// A result register in the call record; `None` for the stack and for registers that it has not.
    #[must_use]
    pub fn result_register(location: Location) -> Option<At> {
        let (number, count, stride, first) = match location {
            Location::Integer(number) => (number, 2, 8, offset_of!(CallRecord, integers)),
            Location::Vector(number) => (number, 2, 16, offset_of!(CallRecord, vectors)),
            Location::X87(number) => (number, 2, X87_STRIDE, offset_of!(CallRecord, x87)),
            Location::Stack(_) => return None,
        };
        (number < count).then(|| Self::result(stride * usize::from(number), first))
    }

    fn result(offset: usize, part: usize) -> At {
        At::new(offset_of!(FrameHead, record) + part + offset)
            .expect("the record is not at the start of the frame")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout_is_the_one_that_stubs_read() {
        assert_eq!(size_of::<GuestSlot>(), 16);
        assert_eq!(align_of::<GuestSlot>(), 8);
        assert_eq!(offset_of!(GuestSlot, low), 0);
        assert_eq!(offset_of!(GuestSlot, high), 8);
        assert_eq!(offset_of!(FrameHead, guest), 0);
        assert_eq!(offset_of!(FrameHead, binding), 8);
        assert_eq!(offset_of!(FrameHead, integers), 16);
        assert_eq!(offset_of!(FrameHead, running), 88);
        assert_eq!(offset_of!(FrameHead, vectors), 96);
        assert_eq!(offset_of!(FrameHead, record), 224);
        assert_eq!(offset_of!(CallRecord, integers), 0);
        assert_eq!(offset_of!(CallRecord, vectors), 16);
        assert_eq!(offset_of!(CallRecord, errno), 48);
        assert_eq!(offset_of!(CallRecord, called), 52);
        assert_eq!(offset_of!(CallRecord, x87), 56);
        assert_eq!(size_of::<CallRecord>(), 88);
        assert_eq!(size_of::<FrameHead>(), 320);
        assert_eq!(align_of::<FrameHead>(), 16);
    }

    #[test]
    #[expect(unsafe_code, reason = "the test reads one layout through the other")]
    fn guest_slots_are_wasmtime_values() {
        assert_eq!(size_of::<GuestSlot>(), size_of::<wasmtime::ValRaw>());
        assert!(align_of::<GuestSlot>() <= align_of::<wasmtime::ValRaw>());
        let mut value = wasmtime::ValRaw::f64(1.5f64.to_bits());
        // SAFETY: both are 16 bytes of plain data; the low half of a `ValRaw` made from an `f64`
        // is initialised.
        let low = unsafe { std::ptr::from_mut(&mut value).cast::<u64>().read() };
        assert_eq!(f64::from_bits(low), 1.5);
    }

    #[test]
    fn registers_outside_the_images_have_no_place() {
        assert!(FrameLayout::integer(8).is_some() && FrameLayout::integer(9).is_none());
        assert!(FrameLayout::vector(7).is_some() && FrameLayout::vector(8).is_none());
        assert!(FrameLayout::stack_slot(u32::MAX).is_none());
    }
}
