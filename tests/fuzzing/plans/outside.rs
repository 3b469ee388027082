//! Plans without a guest on the same memory: calls on plain C values, and calls that native code makes.
//!
//! Caller and callee are played from the prototype, the host's layouts and the C ABI alone. Beside every access it is
//! looked at what arrives: each byte of each argument, and of the result, must be the one that the other side has
//! passed. What travels in no register and on no stack (padding behind the last field) may be lost.
use super::execute::{Executor, run};
use super::machine::{FRAME, Memory, What};
use crate::fuzzing::source::Source;
use crate::plan::abi::{Abi, Assignment, Location, Value, assign};
use crate::plan::frame::{FrameLayout, SCRATCH};
use crate::plan::layout::Scalar;
use crate::plan::moves::MoveKind;
use crate::plan::op::{At, Fetch, NativeOp, Op, Returns, UpcallOp};
use crate::plan::{Kind, Plan};
use crate::signature::Scope;

/// Runs a plan once.
pub fn execute(plan: &Plan, abi: Abi, source: &mut Source<'_>) {
    let assignment = assign(&plan.prototype.function, &Scope::default(), abi);
    let assignment = assignment.expect("it was compiled");
    let passed: Vec<Vec<u8>> =
        assignment.params.iter().map(|value| any(value, false, source)).collect();
    let returned = any(&assignment.result, true, source);
    let mut memory = Memory::new(plan.frame.size.into(), Vec::new());
    let result_at = memory.place(What::Native, vec![0x5a; returned.len()]);
    let mut outside =
        Outside { plan, assignment: &assignment, memory, passed, returned, result_at, source };
    match plan.kind {
        Kind::Call => outside.call(),
        Kind::Closure => outside.upcall(),
        Kind::Import | Kind::Callback => panic!("{:?} has a guest", plan.kind),
    }
}

/// Changes something of one op.
pub fn tamper(plan: &mut Plan, source: &mut Source<'_>) {
    let index = source.below(plan.ops.len());
    let by = [1, 8, 16, 4, 2, 24, 320][usize::from(source.byte() % 7)];
    let down = source.chance(128);
    let number = source.integer();
    let other = |at: At| {
        let offset = if down { at.offset().checked_sub(by) } else { at.offset().checked_add(by) };
        offset.and_then(At::new).unwrap_or(at)
    };
    let small = u16::try_from(number % 4).expect("small");
    let scratch = u32::try_from(number % 640).expect("small");
    let fetch = [
        Fetch::Bool,
        Fetch::Float32,
        Fetch::Float64,
        Fetch::Whole,
        Fetch::Integer(crate::plan::op::Width::I8),
        Fetch::Integer(crate::plan::op::Width::U16),
        Fetch::Integer(crate::plan::op::Width::I32),
        Fetch::Integer(crate::plan::op::Width::U64),
    ][usize::from(source.byte() % 8)];
    let which = source.chance(128);
    match &mut plan.ops[index] {
        Op::Native(NativeOp::Fetch { arg, to, fetch: how }) => match source.byte() % 3 {
            0 => *arg = small,
            1 => *to = other(*to),
            _ => *how = fetch,
        },
        Op::Native(NativeOp::Split { arg, moves }) => *if which { arg } else { moves } = small,
        Op::Native(NativeOp::Destination { to }) => *to = other(*to),
        Op::Native(NativeOp::Deliver { moves }) | Op::Upcall(UpcallOp::ReplySplit { moves }) => {
            *moves = small
        }
        Op::Upcall(
            UpcallOp::Lend { from }
            | UpcallOp::LendBehind { from }
            | UpcallOp::ReplyHidden { from },
        ) => *from = other(*from),
        Op::Upcall(UpcallOp::Join { moves, offset }) => {
            if which {
                *moves = small
            } else {
                *offset = scratch
            }
        }
        Op::Upcall(UpcallOp::Call { result, hidden }) => {
            if which {
                *result = scratch
            } else {
                *hidden = hidden.map(other)
            }
        }
        Op::Upcall(UpcallOp::Reply { fetch: how }) => *how = fetch,
        _ => {
            let list = source.below(plan.moves.len().max(1));
            let Some(moves) = plan.moves.get_mut(list) else { return };
            let one = source.below(moves.len().max(1));
            let Some(one) = moves.get_mut(one) else { return };
            match source.byte() % 3 {
                0 => one.memory = one.memory.wrapping_add(scratch % 40),
                1 => one.frame = other(one.frame),
                _ => one.kind = MoveKind::Bytes(small * 8),
            }
        }
    }
}

/// Bytes of a value of a type; `bool` is what its type can be where C has made it.
fn any(value: &Value, from_c: bool, source: &mut Source<'_>) -> Vec<u8> {
    let size = usize::try_from(value.extent.size).expect("small");
    let mut bytes: Vec<u8> =
        (0..size).map(|at| source.byte() ^ (at as u8).wrapping_mul(37).wrapping_add(1)).collect();
    if value.scalar == Some(Scalar::Bool) && from_c {
        bytes[0] &= 1;
    }
    bytes
}

/// The bytes of a value that travel: where each run of them begins in it, where it travels, and how many.
fn travelling(value: &Value) -> impl Iterator<Item = (usize, Location, usize)> {
    value.pieces.iter().map(|piece| {
        let size = match piece.location {
            // The x87's registers have ten bytes.
            Location::X87(_) => 10,
            Location::Integer(_) | Location::Vector(_) | Location::Stack(_) => piece.size,
        };
        (piece.offset as usize, piece.location, size as usize)
    })
}

/// Whether an argument or a result is what was passed.
fn arrives(value: &Value, passed: &[u8], found: &[u8], what: &str) {
    let mut expected = passed.to_vec();
    if value.scalar == Some(Scalar::Bool) {
        expected[0] = u8::from(expected[0] != 0);
    }
    let same = |start: usize, len: usize| expected[start..start + len] == found[start..start + len];
    let right = if value.indirect.is_some() {
        expected == found
    } else {
        travelling(value).all(|(start, _, len)| same(start, len))
    };
    assert!(right, "trespass: {what} is {found:02x?} instead of {expected:02x?}");
}

/// Where a register or stack slot of a call that comes in is.
fn incoming(location: Location) -> u64 {
    let at = match location {
        Location::Stack(offset) => FrameLayout::caller_slot(offset),
        other => FrameLayout::argument(other),
    };
    FRAME + at.expect("it has a place").offset() as u64
}

struct Outside<'p, 's, 'a> {
    plan: &'p Plan,
    assignment: &'p Assignment,
    memory: Memory,
    /// What the caller passes.
    passed: Vec<Vec<u8>>,
    /// What the callee returns.
    returned: Vec<u8>,
    /// The caller's memory for it.
    result_at: u64,
    source: &'s mut Source<'a>,
}

impl Outside<'_, '_, '_> {
    fn put(&mut self, at: At, bytes: &[u8]) {
        let (start, end) = (at.offset(), at.offset() + bytes.len());
        assert!(start >= 16, "trespass: the frame's head is written at {at:?}");
        assert!(start >= 96 || end <= 88, "trespass: {at:?} is the running call's");
        self.memory.write(FRAME + start as u64, bytes, "the frame");
    }

    fn get(&self, at: At, bytes: usize) -> Vec<u8> {
        self.memory.read(FRAME + at.offset() as u64, bytes as u64, "the frame")
    }

    fn get64(&self, at: At) -> u64 {
        u64::from_le_bytes(self.get(at, 8).try_into().expect("eight bytes"))
    }

    /// A value of `size` bytes at `at` is taken apart, or (`out`) put together, from or in the frame.
    fn moves(&mut self, moves: u16, at: u64, size: u64, out: bool) {
        let plan = self.plan;
        for one in &plan.moves[usize::from(moves)] {
            let (inner, outer) = (one.kind.memory_bytes(), one.kind.frame_bytes() as usize);
            let end = u64::from(one.memory) + u64::from(inner);
            assert!(end <= size, "trespass: {one:?} of a value of {size} bytes");
            let (frame, place) = (FRAME + one.frame.offset() as u64, at + u64::from(one.memory));
            let (from, to) = if out { (frame, place) } else { (place, frame) };
            let (reads, writes) =
                if out { (outer, inner as usize) } else { (inner as usize, outer) };
            let bytes = self.memory.read(from, reads as u64, "a move");
            let mut moved = vec![0; writes];
            run(one.kind, &bytes, &mut moved, out);
            if out {
                self.memory.write(to, &moved, "a move out");
            } else {
                self.put(one.frame, &moved);
            }
        }
    }

    /// A scalar as registers have it.
    fn fetched(&self, fetch: Fetch, at: u64) -> Vec<u8> {
        let (bytes, signed) = match fetch {
            Fetch::Integer(width) => (width.bytes(), width.is_signed()),
            Fetch::Bool => (1, false),
            Fetch::Float32 => (4, false),
            Fetch::Float64 => (8, false),
            Fetch::Whole => (16, false),
        };
        let value = self.memory.integer(at, bytes as u64, signed, "a scalar");
        let value = if fetch == Fetch::Bool { i128::from(value != 0) } else { value };
        value.to_le_bytes()[..bytes.max(8)].to_vec()
    }

    // ----- calls

    fn call(&mut self) {
        let args: Vec<u64> = self
            .passed
            .clone()
            .into_iter()
            .collect::<Vec<_>>()
            .into_iter()
            .map(|bytes| self.memory.place(What::Native, bytes))
            .collect();
        let plan = self.plan;
        for op in &plan.ops {
            match *op {
                Op::Native(NativeOp::Fetch { arg, to, fetch }) => {
                    let bytes = self.fetched(fetch, args[usize::from(arg)]);
                    self.put(to, &bytes);
                }
                Op::Native(NativeOp::Split { arg, moves }) => {
                    let size = self.assignment.params[usize::from(arg)].extent.size;
                    self.moves(moves, args[usize::from(arg)], size, false);
                }
                Op::Native(NativeOp::Destination { to }) => {
                    self.put(to, &self.result_at.to_le_bytes());
                }
                Op::Native(NativeOp::Deliver { moves }) => {
                    self.moves(moves, self.result_at, self.assignment.result.extent.size, true);
                }
                Op::Call { stub, returns } => {
                    Executor::loads(stub, self.assignment);
                    self.native(returns);
                }
                ref other => panic!("trespass: {other:?} in a call"),
            }
        }
        let found = self.memory.read(self.result_at, self.returned.len() as u64, "the result");
        arrives(&self.assignment.result, &self.returned, &found, "the result");
    }

    /// The function that is called.
    fn native(&mut self, returns: Returns) {
        for (value, passed) in self.assignment.params.iter().zip(&self.passed) {
            let found = Executor::argument(&self.memory, value);
            arrives(value, passed, &found, "an argument");
        }
        let result = &self.assignment.result;
        // Every result register has some value.
        for at in FrameLayout::result_integer().offset()..FrameLayout::STACK {
            let garbage = self.source.byte();
            self.memory.write(FRAME + at as u64, &[garbage], "the record");
        }
        if let Some(hidden) = result.indirect {
            let at = self.get64(FrameLayout::argument(hidden).expect("it has a place"));
            assert_eq!(at, self.result_at, "trespass: a result at {at:#x}");
            self.memory.write(at, &self.returned, "a hidden result");
            self.put(FrameLayout::result_integer(), &at.to_le_bytes());
            return;
        }
        for (start, location, len) in travelling(result) {
            let at = FrameLayout::result_register(location).expect("it has a place");
            let bytes = self.returned[start..start + len].to_vec();
            self.put(at, &bytes);
        }
        let (integer, vector) = (FrameLayout::result_integer(), FrameLayout::result_vector());
        let (from, len) = match returns {
            Returns::Void | Returns::Record => return,
            Returns::Int8 | Returns::UInt8 | Returns::Bool => (integer, 1),
            Returns::Int16 | Returns::UInt16 => (integer, 2),
            Returns::Int32 => (integer, 4),
            Returns::Int64 => (integer, 8),
            Returns::Float32 => (vector, 4),
            Returns::Float64 => (vector, 8),
            Returns::Long32 | Returns::ULong32 | Returns::Vector => {
                panic!("trespass: {returns:?} in a call")
            }
        };
        let mut bytes = self.get(from, len);
        if returns == Returns::Bool {
            bytes[0] &= 1;
        }
        self.memory.write(self.result_at, &bytes, "the result");
    }

    // ----- closures

    /// What the caller leaves in registers and on the stack.
    fn comes_in(&mut self) {
        for (value, passed) in self.assignment.params.iter().zip(&self.passed) {
            if let Some(location) = value.indirect {
                let at = self.memory.place(What::Native, passed.clone());
                self.memory.write(incoming(location), &at.to_le_bytes(), "an address");
                continue;
            }
            for (start, location, len) in travelling(value) {
                let mut bytes = passed[start..start + len].to_vec();
                // Above it there is something, or nothing.
                bytes.resize(len.next_multiple_of(8), self.source.byte());
                self.memory.write(incoming(location), &bytes, "an argument");
            }
        }
        if let Some(location) = self.assignment.result.indirect {
            let at = self.result_at.to_le_bytes();
            self.memory.write(incoming(location), &at, "the result's address");
        }
    }

    fn upcall(&mut self) {
        for (value, passed) in self.assignment.params.iter().zip(&mut self.passed) {
            if value.scalar == Some(Scalar::Bool) {
                passed[0] &= 1;
            }
        }
        self.comes_in();
        let scratch = self.memory.room(What::Native, SCRATCH);
        let (mut lent, mut result) = (Vec::new(), 0);
        let plan = self.plan;
        let size = self.assignment.result.extent.size;
        let is_integer = |location: &Location| matches!(location, Location::Integer(_));
        for op in &plan.ops {
            let Op::Upcall(op) = *op else { panic!("trespass: {op:?} in a closure") };
            match op {
                UpcallOp::Lend { from } => lent.push(FRAME + from.offset() as u64),
                UpcallOp::LendBehind { from } => lent.push(self.get64(from)),
                UpcallOp::Join { moves, offset } => {
                    let size = self.assignment.params[lent.len()].extent.size;
                    lent.push(scratch + u64::from(offset));
                    self.moves(moves, scratch + u64::from(offset), size, true);
                }
                UpcallOp::Call { result: offset, hidden } => {
                    result = match hidden {
                        Some(at) => self.get64(at),
                        None => scratch + u64::from(offset),
                    };
                    if hidden.is_none() {
                        // So much is cleared.
                        self.memory.write(result, &[0; 32], "the result's memory");
                    }
                    self.closure(&lent, result);
                }
                UpcallOp::Reply { fetch } => {
                    let bytes = self.fetched(fetch, result);
                    let pieces = &self.assignment.result.pieces;
                    let at = if pieces.iter().any(|piece| is_integer(&piece.location)) {
                        FrameLayout::result_integer()
                    } else {
                        FrameLayout::result_vector()
                    };
                    self.put(at, &bytes);
                }
                UpcallOp::ReplySplit { moves } => self.moves(moves, result, size, false),
                UpcallOp::ReplyHidden { from } => {
                    let at = self.get64(from).to_le_bytes();
                    self.put(FrameLayout::result_integer(), &at);
                }
            }
        }
        self.goes_out();
    }

    /// The closure: it gets the addresses of its arguments.
    fn closure(&mut self, lent: &[u64], result: u64) {
        assert_eq!(lent.len(), self.passed.len(), "trespass: {} arguments", lent.len());
        let look = |memory: &Memory, passed: &[Vec<u8>]| {
            for ((value, passed), at) in self.assignment.params.iter().zip(passed).zip(lent) {
                let size = value.extent.size;
                assert!(
                    memory.region(*at, size).is_some(),
                    "trespass: {size} bytes of an argument at {at:#x}"
                );
                let mut found = passed.clone();
                for (start, _, len) in travelling(value) {
                    let bytes = memory.read(at + start as u64, len as u64, "an argument");
                    found[start..start + len].copy_from_slice(&bytes);
                }
                if value.indirect.is_some() {
                    found = memory.read(*at, size, "an argument");
                }
                arrives(value, passed, &found, "an argument");
            }
        };
        look(&self.memory, &self.passed);
        self.memory.write(result, &self.returned, "the result");
        look(&self.memory, &self.passed);
    }

    /// What the caller finds.
    fn goes_out(&mut self) {
        let result = &self.assignment.result;
        if result.indirect.is_some() {
            let at = self.get64(FrameLayout::result_integer());
            assert_eq!(at, self.result_at, "trespass: the result's address is {at:#x}");
            let found = self.memory.read(at, result.extent.size, "a hidden result");
            return arrives(result, &self.returned, &found, "the result");
        }
        let mut found = self.returned.clone();
        for (start, location, len) in travelling(result) {
            let at = FrameLayout::result_register(location).expect("it has a place");
            found[start..start + len].copy_from_slice(&self.get(at, len));
        }
        arrives(result, &self.returned, &found, "the result");
    }
}
