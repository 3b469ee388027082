//! The few instructions that direct trampolines by hand are made of.
//!
//! Bytes are as Intel's manual numbers registers and opcodes. Jumps inside of the code are short where they reach, like
//! any assembler's.
use crate::cranelift_backend::Part;
use crate::cranelift_backend::machine::{Outside, Patch};
use crate::cranelift_backend::unwind::Row;

/// A register, as instructions number it.
pub(super) type Register = u8;

pub(super) const RAX: Register = 0;
pub(super) const RCX: Register = 1;
pub(super) const RDX: Register = 2;
const RSP: Register = 4;
const RBP: Register = 5;
pub(super) const RSI: Register = 6;
pub(super) const RDI: Register = 7;
pub(super) const R8: Register = 8;
pub(super) const R9: Register = 9;
pub(super) const R10: Register = 10;
pub(super) const R11: Register = 11;

/// How an integer is made wider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Move {
    Zero32,
    Sign32,
    Whole,
    Zero16,
    Sign16,
    Zero8,
    Sign8,
}

impl Move {
    /// Whether it writes 64 bits, and its opcode.
    fn instruction(self) -> (bool, &'static [u8]) {
        match self {
            Move::Zero32 => (false, &[0x8b]),
            Move::Sign32 => (true, &[0x63]),
            Move::Whole => (true, &[0x8b]),
            Move::Zero16 => (false, &[0x0f, 0xb7]),
            Move::Sign16 => (true, &[0x0f, 0xbf]),
            Move::Zero8 => (false, &[0x0f, 0xb6]),
            Move::Sign8 => (true, &[0x0f, 0xbe]),
        }
    }
}

/// An instruction of a 64-bit register and memory.
#[derive(Clone, Copy, Debug)]
pub(super) enum With {
    Load,
    Add,
    Subtract,
    Compare,
    /// The low half of the register.
    Compare32,
}

/// A place in the code that is jumped to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Label {
    /// The ordinary function makes the call.
    Redo,
    /// The handle table is asked.
    Ask,
    /// The handle is NULL, and may be.
    Null,
    /// Everything was checked.
    Ready,
}

impl Label {
    /// What readers see of it.
    pub fn name(self) -> &'static str {
        match self {
            Label::Redo => "redo",
            Label::Ask => "ask",
            Label::Null => "null",
            Label::Ready => "ready",
        }
    }
}

/// When a jump is made.
#[derive(Clone, Copy, Debug)]
pub(super) enum When {
    Always,
    Above,
    AboveOrEqual,
    Equal,
    NotEqual,
    Negative,
}

impl When {
    /// The condition as instructions number it.
    fn condition(self) -> Option<u8> {
        match self {
            When::Always => None,
            When::Above => Some(0x7),
            When::AboveOrEqual => Some(0x3),
            When::Equal => Some(0x4),
            When::NotEqual => Some(0x5),
            When::Negative => Some(0x8),
        }
    }
}

/// Code as it grows.
#[derive(Debug)]
pub(super) struct Code {
    pub bytes: Vec<u8>,
    pub patches: Vec<Patch>,
    /// What the bytes from one on are for.
    pub parts: Vec<(usize, Part)>,
    /// What is on the stack, from which byte on.
    pub rows: Vec<(usize, Row)>,
    /// Whether jumps are 8 bits wide.
    short: bool,
    jumps: Vec<(usize, Label)>,
    pub labels: Vec<(Label, usize)>,
}

impl Code {
    /// Code with short jumps, or if they do not reach, with long ones.
    pub(super) fn assemble(write: impl Fn(&mut Code)) -> Code {
        [true, false]
            .into_iter()
            .find_map(|short| {
                let mut code = Code {
                    bytes: Vec::new(),
                    patches: Vec::new(),
                    parts: Vec::new(),
                    rows: Vec::new(),
                    short,
                    jumps: Vec::new(),
                    labels: Vec::new(),
                };
                write(&mut code);
                code.link().then_some(code)
            })
            .expect("long jumps reach everything")
    }

    /// Fills in where jumps lead. Whether they reach.
    fn link(&mut self) -> bool {
        for (end, label) in &self.jumps {
            let (_, at) =
                self.labels.iter().find(|(known, _)| known == label).expect("it is there");
            let distance = i32::try_from(*at).expect("small") - i32::try_from(*end).expect("small");
            if self.short {
                let Ok(distance) = i8::try_from(distance) else { return false };
                self.bytes[end - 1] = distance.cast_unsigned();
            } else {
                self.bytes[end - 4..*end].copy_from_slice(&distance.to_le_bytes());
            }
        }
        true
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// From here on instructions are for that.
    pub(super) fn part(&mut self, part: Part) {
        self.parts.push((self.bytes.len(), part));
    }

    /// From here on that is on the stack.
    pub(super) fn row(&mut self, row: Row) {
        self.rows.push((self.bytes.len(), row));
    }

    pub(super) fn label(&mut self, label: Label) {
        self.labels.push((label, self.bytes.len()));
    }

    pub(super) fn jump(&mut self, when: When, to: Label) {
        match (when.condition(), self.short) {
            (None, true) => self.raw(&[0xeb, 0]),
            (None, false) => self.raw(&[0xe9, 0, 0, 0, 0]),
            (Some(condition), true) => self.raw(&[0x70 | condition, 0]),
            (Some(condition), false) => self.raw(&[0x0f, 0x80 | condition, 0, 0, 0, 0]),
        }
        self.jumps.push((self.bytes.len(), to));
    }

    /// An instruction of `register` and the memory at `base` and an offset.
    pub(super) fn memory(&mut self, with: With, register: Register, base: Register, offset: usize) {
        let (wide, opcode) = match with {
            With::Load => (true, 0x8b),
            With::Add => (true, 0x03),
            With::Subtract => (true, 0x2b),
            With::Compare => (true, 0x3b),
            With::Compare32 => (false, 0x3b),
        };
        let offset = i32::try_from(offset).expect("structures are small");
        let mut bytes = prefix(wide, register, base);
        bytes.push(opcode);
        if let Ok(near) = i8::try_from(offset) {
            bytes.extend([operands(0x40, register, base), near.cast_unsigned()]);
        } else {
            bytes.push(operands(0x80, register, base));
            bytes.extend(offset.to_le_bytes());
        }
        self.raw(&bytes);
    }

    /// A jump to the address at `base` and an offset.
    pub(super) fn jump_through(&mut self, base: Register, offset: usize) {
        let near = i8::try_from(offset).expect("structures are small").cast_unsigned();
        let bytes = [0xff, operands(0x40, 4, base), near];
        self.raw(&bytes);
    }

    /// `to` gets `from`.
    pub(super) fn widen(&mut self, how: Move, to: Register, from: Register) {
        let (wide, opcode) = how.instruction();
        let is_byte = matches!(how, Move::Zero8 | Move::Sign8);
        let mut bytes = prefix(wide, to, from);
        let means_it = !is_byte || has_low_byte(from) || !bytes.is_empty();
        assert!(means_it, "the instruction would mean another register");
        bytes.extend_from_slice(opcode);
        bytes.push(operands(0xc0, to, from));
        self.raw(&bytes);
    }

    /// `to` gets what is so far above the frame pointer, as wide as the guest has stored it: a wider load would
    /// wait for the store to reach the cache.
    pub(super) fn widen_argument(&mut self, how: Move, to: Register, above: u32) {
        let (wide, opcode) = how.instruction();
        let mut bytes = prefix(wide, to, RBP);
        bytes.extend_from_slice(opcode);
        bytes.push(operands(0x80, to, RBP));
        bytes.extend(above.to_le_bytes());
        self.raw(&bytes);
    }

    /// What is so far above the stack pointer gets `from`.
    pub(super) fn store(&mut self, above: u32, from: Register) {
        let mut bytes = prefix(true, from, RSP);
        bytes.extend([0x89, 0x80 | (from & 7) << 3 | RSP, 0x24]);
        bytes.extend(above.to_le_bytes());
        self.raw(&bytes);
    }

    /// `to` plus `from`, 64 bits.
    pub(super) fn add(&mut self, to: Register, from: Register) {
        let bytes = [prefix(true, to, from), vec![0x03, operands(0xc0, to, from)]].concat();
        self.raw(&bytes);
    }

    /// `to` plus a number, 64 bits.
    pub(super) fn add_number(&mut self, to: Register, number: u32) {
        let mut bytes = prefix(true, 0, to);
        bytes.extend([0x81, operands(0xc0, 0, to)]);
        bytes.extend(number.to_le_bytes());
        self.raw(&bytes);
    }

    /// `register` times a number, 64 bits.
    pub(super) fn multiply(&mut self, register: Register, number: u32) {
        let mut bytes = prefix(true, register, register);
        bytes.extend([0x69, operands(0xc0, register, register)]);
        bytes.extend(number.to_le_bytes());
        self.raw(&bytes);
    }

    /// The low 32 bits of a register and a number; the others are zero.
    pub(super) fn and_number(&mut self, register: Register, number: u32) {
        let mut bytes = prefix(false, 0, register);
        bytes.extend([0x81, operands(0xc0, 4, register)]);
        bytes.extend(number.to_le_bytes());
        self.raw(&bytes);
    }

    /// A register, moved so many bits up.
    pub(super) fn shift_left(&mut self, register: Register, bits: u8) {
        let mut bytes = prefix(true, 0, register);
        bytes.extend([0xc1, operands(0xc0, 4, register), bits]);
        self.raw(&bytes);
    }

    /// The stack pointer goes so far down.
    pub(super) fn make_room(&mut self, bytes: u32) {
        let mut code = vec![0x48, 0x81, 0xec];
        code.extend(bytes.to_le_bytes());
        self.raw(&code);
    }

    /// What a register is: zero, negative.
    pub(super) fn test(&mut self, register: Register, wide: bool) {
        let mut bytes = prefix(wide, register, register);
        bytes.extend([0x85, operands(0xc0, register, register)]);
        self.raw(&bytes);
    }

    /// Which of some low bits of a register are set.
    pub(super) fn test_bits(&mut self, register: Register, bits: u8) {
        let mut bytes = prefix(false, 0, register);
        assert!(has_low_byte(register), "the instruction would mean another register");
        bytes.extend([0xf6, operands(0xc0, 0, register), bits]);
        self.raw(&bytes);
    }

    /// `register` gets what is known when the code gets its place.
    pub(super) fn outside(&mut self, register: Register, what: Outside) {
        let at = u32::try_from(self.bytes.len() + 2).expect("small");
        self.patches.push(Patch { at, what });
        let mut bytes = prefix(true, 0, register);
        bytes.extend([0xb8 | register & 7, 0, 0, 0, 0, 0, 0, 0, 0]);
        self.raw(&bytes);
    }

    /// `register` gets zero.
    pub(super) fn clear(&mut self, register: Register) {
        let mut bytes = prefix(false, register, register);
        bytes.extend([0x31, operands(0xc0, register, register)]);
        self.raw(&bytes);
    }

    pub(super) fn push(&mut self, register: Register) {
        let mut bytes = prefix(false, 0, register);
        bytes.push(0x50 | register & 7);
        self.raw(&bytes);
    }

    pub(super) fn pop(&mut self, register: Register) {
        let mut bytes = prefix(false, 0, register);
        bytes.push(0x58 | register & 7);
        self.raw(&bytes);
    }
}

/// The prefix, where one is needed: 64 bits, and the fourth bits of both registers.
fn prefix(wide: bool, register: Register, base: Register) -> Vec<u8> {
    let bits = u8::from(wide) << 3 | (register >> 3) << 2 | base >> 3;
    if bits == 0 { Vec::new() } else { vec![0x40 | bits] }
}

/// The byte that names both operands.
fn operands(mode: u8, register: Register, base: Register) -> u8 {
    assert!(mode == 0xc0 || !matches!(base & 7, 4), "such a base needs one more byte");
    mode | (register & 7) << 3 | base & 7
}

/// Whether instructions without a prefix mean the lowest byte of a register by its number; numbers 4 to 7 are the
/// second bytes of the first four.
fn has_low_byte(register: Register) -> bool {
    !(4..8).contains(&register)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What GNU `as` makes of the same text.
    #[test]
    fn instructions_are_encoded_as_the_manual_says() {
        let one = |write: fn(&mut Code)| {
            let code = Code::assemble(write);
            code.bytes
        };
        let expect = |write: fn(&mut Code), bytes: &[u8]| assert_eq!(one(write), bytes);
        expect(|c| c.memory(With::Load, R11, RSI, 8), &[0x4c, 0x8b, 0x5e, 0x08]);
        expect(|c| c.memory(With::Subtract, R11, RAX, 0), &[0x4c, 0x2b, 0x58, 0x00]);
        expect(|c| c.memory(With::Compare, R11, RAX, 8), &[0x4c, 0x3b, 0x58, 0x08]);
        expect(|c| c.memory(With::Compare32, R10, RAX, 8), &[0x44, 0x3b, 0x50, 0x08]);
        expect(
            |c| c.memory(With::Add, RAX, R11, 0x130),
            &[0x49, 0x03, 0x83, 0x30, 0x01, 0x00, 0x00],
        );
        expect(|c| c.widen(Move::Zero32, RDI, RDX), &[0x8b, 0xfa]);
        expect(|c| c.widen(Move::Sign32, RSI, RCX), &[0x48, 0x63, 0xf1]);
        expect(|c| c.widen(Move::Whole, RDX, R8), &[0x49, 0x8b, 0xd0]);
        expect(|c| c.widen(Move::Sign8, RCX, R9), &[0x49, 0x0f, 0xbe, 0xc9]);
        expect(|c| c.widen_argument(Move::Zero32, R8, 16), &[0x44, 0x8b, 0x85, 16, 0, 0, 0]);
        expect(|c| c.store(8, R11), &[0x4c, 0x89, 0x9c, 0x24, 8, 0, 0, 0]);
        expect(|c| c.add(RAX, R10), &[0x49, 0x03, 0xc2]);
        expect(|c| c.add_number(RAX, 0x1234), &[0x48, 0x81, 0xc0, 0x34, 0x12, 0, 0]);
        expect(|c| c.multiply(R10, 24), &[0x4d, 0x69, 0xd2, 24, 0, 0, 0]);
        expect(|c| c.and_number(RAX, 0xf_ffff), &[0x81, 0xe0, 0xff, 0xff, 0x0f, 0]);
        expect(|c| c.shift_left(RAX, 6), &[0x48, 0xc1, 0xe0, 6]);
        expect(|c| c.test(RDX, false), &[0x85, 0xd2]);
        expect(|c| c.test(R10, true), &[0x4d, 0x85, 0xd2]);
        expect(|c| c.test_bits(R8, 7), &[0x41, 0xf6, 0xc0, 7]);
        expect(|c| c.clear(R11), &[0x45, 0x31, 0xdb]);
        expect(|c| c.push(RDI), &[0x57]);
        expect(|c| c.pop(R9), &[0x41, 0x59]);
        expect(|c| c.jump_through(RAX, 8), &[0xff, 0x60, 0x08]);
    }

    #[test]
    fn jumps_are_as_long_as_they_must_be() {
        let code = |between: usize| {
            Code::assemble(|code| {
                code.label(Label::Ready);
                code.jump(When::Above, Label::Redo);
                (0..between).for_each(|_| code.raw(&[0x90]));
                code.jump(When::Always, Label::Ready);
                code.label(Label::Redo);
            })
        };
        let short = code(4);
        assert_eq!(short.bytes, [0x77, 6, 0x90, 0x90, 0x90, 0x90, 0xeb, 0xf8]);
        let long = code(200);
        assert_eq!(long.bytes[..6], [0x0f, 0x87, 205, 0, 0, 0]);
        assert_eq!(long.bytes[206..], [0xe9, 0x2d, 0xff, 0xff, 0xff]);
    }
}
