//! How a value in memory and the pieces in which it travels correspond.
//!
//! A struct is in the guest's memory, or in that of a caller without wasm, as that one's compiler
//! lays it out; in a call it travels in registers and on the stack as the host's C ABI says. A list
//! of [`Move`]s says for every byte of it where it goes. The same list is read both ways:
//! [`load`] takes a value apart, [`store`] puts one together.
//!
//! Not here: which moves a type has (`compile::moves`), and whether they are right
//! (`verify::aggregate`).
#![expect(unsafe_code, reason = "the frame and the value are reached through raw pointers")]
use super::extended;
use super::op::At;
use std::mem::MaybeUninit;

/// One run of bytes of a value: where it is in memory, where in the frame, and what lies between
/// the two. 12 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Move {
    /// Offset in the value in memory, in bytes.
    pub memory: u32,
    /// Where the bytes travel: the image of a register, a stack slot, a result register of the call
    /// record, a place among cells and locals.
    pub frame: At,
    /// What happens to them.
    pub kind: MoveKind,
}

/// What happens to the bytes of a [`Move`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MoveKind {
    /// So many bytes of the frame are zeroed before others are moved there; memory is not touched,
    /// and nothing happens on the way out.
    Clear(u16),
    /// So many bytes, unchanged.
    Bytes(u16),
    /// Those bits of one byte (of bit-fields). The others keep their value.
    Bits(u8),
    /// One byte: any value but 0 is 1 going in; its lowest bit coming out.
    Bool,
    /// A signed integer of 4 bytes in memory, of 8 in the frame (`long`).
    Signed32,
    /// An unsigned one (`size_t`).
    Unsigned32,
    /// A binary128 in memory, the x87's 80-bit format in the frame; 16 bytes on both sides, of which
    /// the host uses 10.
    Extended,
}

impl Move {
    /// Whether what native code leaves always fits where it goes.
    #[must_use]
    pub fn always_fits(&self) -> bool {
        match self.kind {
            MoveKind::Signed32 | MoveKind::Unsigned32 => false,
            MoveKind::Clear(_)
            | MoveKind::Bytes(_)
            | MoveKind::Bits(_)
            | MoveKind::Bool
            | MoveKind::Extended => true,
        }
    }
}

impl MoveKind {
    /// How many bytes of the value in memory it reads or writes.
    #[must_use]
    pub fn memory_bytes(self) -> u32 {
        match self {
            MoveKind::Clear(_) => 0,
            MoveKind::Bytes(bytes) => bytes.into(),
            MoveKind::Bits(_) | MoveKind::Bool => 1,
            MoveKind::Signed32 | MoveKind::Unsigned32 => 4,
            MoveKind::Extended => 16,
        }
    }

    /// How many bytes of the frame it reads or writes.
    #[must_use]
    pub fn frame_bytes(self) -> u32 {
        match self {
            MoveKind::Clear(bytes) | MoveKind::Bytes(bytes) => bytes.into(),
            MoveKind::Bits(_) | MoveKind::Bool => 1,
            MoveKind::Signed32 | MoveKind::Unsigned32 => 8,
            MoveKind::Extended => 16,
        }
    }
}

/// Bytes as they are, padding that nobody has written among them.
///
/// # Safety
/// Both sides have the size of a `T`.
#[inline(always)]
pub unsafe fn copy<T>(from: *const u8, to: *mut u8) {
    // SAFETY: the caller's promise; nothing of it is looked at.
    unsafe {
        let bytes = from.cast::<MaybeUninit<T>>().read_unaligned();
        to.cast::<MaybeUninit<T>>().write_unaligned(bytes);
    }
}

/// One run on its way to native code.
///
/// # Safety
/// As many bytes as `kind` asks for are readable at `from` and writable at `to`.
#[inline(always)]
pub unsafe fn load_run(kind: MoveKind, from: *const u8, to: *mut u8) {
    // SAFETY: the caller's promise. Nothing is aligned: structs may be packed, and guests need not
    // align what the host only copies.
    unsafe {
        match kind {
            MoveKind::Bytes(16) => copy::<u128>(from, to),
            MoveKind::Bytes(8) => copy::<u64>(from, to),
            MoveKind::Bytes(4) => copy::<u32>(from, to),
            MoveKind::Bytes(bytes) => from.copy_to_nonoverlapping(to, bytes.into()),
            MoveKind::Clear(8) => to.cast::<u64>().write_unaligned(0),
            MoveKind::Clear(bytes) => to.write_bytes(0, bytes.into()),
            MoveKind::Bits(mask) => to.write(to.read() & !mask | from.read() & mask),
            MoveKind::Bool => to.write(u8::from(from.read() != 0)),
            MoveKind::Signed32 => {
                to.cast::<i64>().write_unaligned(from.cast::<i32>().read_unaligned().into());
            }
            MoveKind::Unsigned32 => {
                to.cast::<u64>().write_unaligned(from.cast::<u32>().read_unaligned().into());
            }
            MoveKind::Extended => {
                let value = u128::from_le_bytes(from.cast::<[u8; 16]>().read());
                to.cast::<[u8; 16]>().write(extended::from_binary128(value).to_le_bytes());
            }
        }
    }
}

/// One run on its way back. Integers are cut: [`misfit_run`] comes first.
///
/// # Safety
/// As [`load_run`].
#[inline(always)]
pub unsafe fn store_run(kind: MoveKind, from: *const u8, to: *mut u8) {
    // SAFETY: the caller's promise.
    unsafe {
        match kind {
            MoveKind::Bytes(16) => copy::<u128>(from, to),
            MoveKind::Bytes(8) => copy::<u64>(from, to),
            MoveKind::Bytes(4) => copy::<u32>(from, to),
            MoveKind::Bytes(bytes) => from.copy_to_nonoverlapping(to, bytes.into()),
            MoveKind::Clear(_) => {}
            MoveKind::Bits(mask) => to.write(to.read() & !mask | from.read() & mask),
            MoveKind::Bool => to.write(from.read() & 1),
            MoveKind::Signed32 | MoveKind::Unsigned32 => {
                to.cast::<u32>().write_unaligned(from.cast::<u32>().read_unaligned());
            }
            MoveKind::Extended => {
                let value = u128::from_le_bytes(from.cast::<[u8; 16]>().read());
                to.cast::<[u8; 16]>().write(extended::to_binary128(value).to_le_bytes());
            }
        }
    }
}

/// The integer of a run, if it does not fit on its way back.
///
/// # Safety
/// As many bytes as `kind` asks for are readable at `from`.
#[inline(always)]
#[must_use]
pub unsafe fn misfit_run(kind: MoveKind, from: *const u8) -> Option<i128> {
    // SAFETY: the caller's promise.
    let value = || unsafe { from.cast::<u64>().read_unaligned() };
    match kind {
        MoveKind::Signed32 => {
            let value = value().cast_signed();
            i32::try_from(value).is_err().then_some(value.into())
        }
        MoveKind::Unsigned32 => {
            let value = value();
            u32::try_from(value).is_err().then_some(value.into())
        }
        MoveKind::Clear(_)
        | MoveKind::Bytes(_)
        | MoveKind::Bits(_)
        | MoveKind::Bool
        | MoveKind::Extended => None,
    }
}

/// From memory to the frame.
///
/// # Safety
/// Every move's bytes lie inside the frame at `frame`, and inside readable memory at `memory`.
#[inline]
pub unsafe fn load(moves: &[Move], frame: *mut u8, memory: *const u8) {
    for one in moves {
        // SAFETY: the caller's promise.
        unsafe {
            load_run(one.kind, memory.add(one.memory as usize), frame.add(one.frame.offset()));
        }
    }
}

/// From the frame to memory. Integers are cut: [`misfit`] comes first.
///
/// # Safety
/// As [`load`], and the memory is writable.
#[inline]
pub unsafe fn store(moves: &[Move], frame: *const u8, memory: *mut u8) {
    for one in moves {
        // SAFETY: the caller's promise.
        unsafe {
            store_run(one.kind, frame.add(one.frame.offset()), memory.add(one.memory as usize));
        }
    }
}

/// The first integer that does not fit on its way out, and the move that it belongs to.
///
/// # Safety
/// As [`store`]; the memory is not reached.
#[must_use]
pub unsafe fn misfit(moves: &[Move], frame: *const u8) -> Option<(usize, i128)> {
    moves.iter().enumerate().find_map(|(index, one)| {
        // SAFETY: the caller's promise.
        let value = unsafe { misfit_run(one.kind, frame.add(one.frame.offset())) };
        value.map(|value| (index, value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_stay_small() {
        assert!(size_of::<Move>() <= 12, "a move is {} bytes", size_of::<Move>());
    }

    fn at(offset: usize) -> At {
        At::new(offset).expect("not the start")
    }

    #[test]
    fn values_go_in_and_come_out_member_by_member() {
        let moves = [
            Move { memory: 0, frame: at(8), kind: MoveKind::Clear(32) },
            Move { memory: 0, frame: at(8), kind: MoveKind::Bool },
            Move { memory: 1, frame: at(9), kind: MoveKind::Bits(0x3c) },
            Move { memory: 4, frame: at(16), kind: MoveKind::Signed32 },
            Move { memory: 8, frame: at(24), kind: MoveKind::Unsigned32 },
            Move { memory: 12, frame: at(32), kind: MoveKind::Bytes(3) },
        ];
        let mut memory = [0xff_u8; 16];
        memory[12..15].copy_from_slice(&[1, 2, 3]);
        let mut frame = [0xee_u8; 48];
        // SAFETY: all moves stay inside both arrays.
        unsafe { load(&moves, frame.as_mut_ptr(), memory.as_ptr()) };
        let mut expected = [0xee_u8; 48];
        expected[8..40].fill(0);
        expected[8] = 1;
        expected[9] = 0x3c;
        expected[16..24].fill(0xff);
        expected[24..28].fill(0xff);
        expected[32..35].copy_from_slice(&[1, 2, 3]);
        assert_eq!(frame, expected);

        let mut out = [0xaa_u8; 16];
        // SAFETY: likewise.
        unsafe {
            assert_eq!(misfit(&moves, frame.as_ptr()), None);
            store(&moves, frame.as_ptr(), out.as_mut_ptr());
        }
        let mut expected = [0xaa_u8; 16];
        expected[0] = 1;
        expected[1] = 0xaa & !0x3c | 0x3c;
        expected[4..12].fill(0xff);
        expected[12..15].copy_from_slice(&[1, 2, 3]);
        assert_eq!(out, expected);
    }

    #[test]
    fn the_first_integer_that_does_not_fit_is_told() {
        let moves = [
            Move { memory: 0, frame: at(8), kind: MoveKind::Signed32 },
            Move { memory: 4, frame: at(16), kind: MoveKind::Unsigned32 },
        ];
        let told = |signed: i64, unsigned: u64| {
            let mut frame = [0_u8; 24];
            frame[8..16].copy_from_slice(&signed.to_le_bytes());
            frame[16..].copy_from_slice(&unsigned.to_le_bytes());
            // SAFETY: both moves stay inside the array.
            unsafe { misfit(&moves, frame.as_ptr()) }
        };
        assert_eq!(told(i32::MIN.into(), u32::MAX.into()), None);
        assert_eq!(told(-(1 << 31) - 1, 1 << 32), Some((0, -(1 << 31) - 1)));
        assert_eq!(told(-1, 1 << 32), Some((1, 1 << 32)));
    }
}
