//! The *after* section of plans whose work is to look at values and to write them out. All others
//! leave it to the interpreter.
//!
//! Until the last check has passed nothing is written, so that the interpreter can begin the section
//! anew wherever one fails. What changes more than the guest's memory (handles, guest code) is never
//! begun here.
use super::Lower;
use super::expression::Exact;
use super::places::Word;
use super::values::Known;
use crate::cranelift_backend::Unsupported;
use crate::plan::Plan;
use crate::plan::frame::FrameLayout;
use crate::plan::interpret::assist::copies_go_back;
use crate::plan::moves::{Move, MoveKind};
use crate::plan::op::{At, DeepOp, NativeOp, Op, Operand, Returns, Width};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Type, types};

/// Who does the work after the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cranelift_backend) enum After {
    /// There is none, but for a result that fits.
    None,
    /// The trampoline.
    Compiled,
    /// The interpreter.
    Interpreted,
}

impl After {
    pub(super) fn of(plan: &Plan) -> Result<After, Unsupported> {
        if !plan.facts.after {
            return Ok(After::None);
        }
        let ops = plan.ops.get(usize::from(plan.call) + 1..).unwrap_or_default();
        let compiled = ops.iter().all(|op| step(plan, op).is_some());
        Ok(if compiled { After::Compiled } else { After::Interpreted })
    }

    /// The result registers that somebody reads.
    pub(super) fn results(self, plan: &Plan, returns: Returns) -> (u8, Vec<Type>) {
        match (self, returns) {
            (After::Interpreted, _) => (2, vec![types::I8X16; 2]),
            (After::Compiled, _) => read_by(plan),
            (After::None, Returns::Void | Returns::Record) => (0, Vec::new()),
            (After::None, Returns::Float32) => (0, vec![types::F32]),
            (After::None, Returns::Float64) => (0, vec![types::F64]),
            (After::None, Returns::Vector) => (0, vec![types::I8X16]),
            (
                After::None,
                Returns::Int8
                | Returns::UInt8
                | Returns::Int16
                | Returns::UInt16
                | Returns::Bool
                | Returns::Int32
                | Returns::Int64
                | Returns::Long32
                | Returns::ULong32,
            ) => (1, Vec::new()),
        }
    }
}

/// An op of a section that is compiled.
#[derive(Clone, Copy, Debug)]
enum Step {
    Fits {
        from: Operand,
        width: Width,
    },
    FitsObject {
        moves: u16,
    },
    Inside {
        from: At,
        to: At,
    },
    StoreCell {
        slot: u16,
        from: At,
        width: Width,
    },
    StoreObject {
        slot: u16,
        moves: u16,
    },
    Return {
        from: At,
        returns: Returns,
    },
    /// Nothing: no copy of the plan goes back.
    Nothing,
    Deliver {
        moves: u16,
    },
}

/// What a trampoline does for an op; `None` when the interpreter must do it.
fn step(plan: &Plan, op: &Op) -> Option<Step> {
    let known = |moves: u16| {
        moves_of(plan, moves).iter().all(|one| one.kind != MoveKind::Extended).then_some(moves)
    };
    match *op {
        Op::Fits { from, width, param: _ } => Some(Step::Fits { from, width }),
        Op::FitsObject { moves } => known(moves).map(|moves| Step::FitsObject { moves }),
        Op::Inside { from, to, param: _ } => Some(Step::Inside { from, to }),
        Op::StoreCell { slot, from, width } => Some(Step::StoreCell { slot, from, width }),
        Op::StoreObject { slot, moves } => {
            known(moves).map(|moves| Step::StoreObject { slot, moves })
        }
        Op::Return { from, returns } => Some(Step::Return { from, returns }),
        Op::Deep(DeepOp::Settle | DeepOp::Commit) => {
            (!copies_go_back(plan)).then_some(Step::Nothing)
        }
        Op::Native(NativeOp::Deliver { moves }) => Some(Step::Deliver { moves }),
        Op::Int8 { .. }
        | Op::UInt8 { .. }
        | Op::Int16 { .. }
        | Op::UInt16 { .. }
        | Op::Bool { .. }
        | Op::Int32 { .. }
        | Op::Int64 { .. }
        | Op::Long32 { .. }
        | Op::ULong32 { .. }
        | Op::Float32 { .. }
        | Op::Float64 { .. }
        | Op::Pair { .. }
        | Op::Extended { .. }
        | Op::Vector { .. }
        | Op::Range { .. }
        | Op::Evaluate { .. }
        | Op::Require { .. }
        | Op::Value { .. }
        | Op::Buffer { .. }
        | Op::Text { .. }
        | Op::Object { .. }
        | Op::Address { .. }
        | Op::Room { .. }
        | Op::Format { .. }
        | Op::Cell { .. }
        | Op::PointerCell { .. }
        | Op::TextCell { .. }
        | Op::Handle { .. }
        | Op::Apart { .. }
        | Op::Reserve { .. }
        | Op::Call { .. }
        | Op::Consume { .. }
        | Op::EndLoans { .. }
        | Op::Measure { .. }
        | Op::InsideOr { .. }
        | Op::Take { .. }
        | Op::FreeNative { .. }
        | Op::Give { .. }
        | Op::Adopt { .. }
        | Op::Native(_)
        | Op::Upcall(_)
        | Op::Deep(_)
        | Op::Callback(_)
        | Op::Life(_) => None,
    }
}

fn moves_of(plan: &Plan, moves: u16) -> &[Move] {
    plan.moves.get(usize::from(moves)).map_or(&[], |moves| moves)
}

/// The result registers that the compiled section of a plan reads.
fn read_by(plan: &Plan) -> (u8, Vec<Type>) {
    let mut places: Vec<(At, usize)> = Vec::new();
    let ops = plan.ops.get(usize::from(plan.call) + 1..).unwrap_or_default();
    for step in ops.iter().filter_map(|op| step(plan, op)) {
        match step {
            Step::Nothing => {}
            Step::Fits { from, .. } => places.push((from.at, from.width.bytes())),
            Step::StoreCell { from, .. } | Step::Inside { from, .. } => places.push((from, 8)),
            Step::Return { from, returns } => {
                places.push((from, if returns == Returns::Vector { 16 } else { 8 }));
            }
            Step::FitsObject { moves }
            | Step::StoreObject { moves, .. }
            | Step::Deliver { moves } => {
                let of = |one: &Move| (one.frame, one.kind.frame_bytes() as usize);
                places.extend(moves_of(plan, moves).iter().map(of));
            }
        }
    }
    let reads = |at: At, skip: usize, bytes: usize| {
        let start = at.offset() + skip;
        places.iter().any(|(at, size)| at.offset() < start + bytes && start < at.offset() + size)
    };
    let integer = FrameLayout::result_integer();
    let integers = (0..2_u8).rev().find(|number| reads(integer, 8 * usize::from(*number), 8));
    let vector = FrameLayout::result_vector();
    let last = (0..2_usize).rev().find(|number| reads(vector, 16 * number, 16));
    let kind = |number: usize| match reads(vector, 16 * number + 8, 8) {
        true => types::I8X16,
        false => types::F64,
    };
    let vectors = last.map_or(0..0, |last| 0..last + 1).map(kind).collect();
    (integers.map_or(0, |last| last + 1), vectors)
}

impl Lower<'_> {
    /// One op of the section.
    pub(super) fn after(&mut self, index: usize, op: &Op) -> Result<(), Unsupported> {
        let misplaced = Unsupported::Misplaced { op: index };
        match step(self.plan, op).ok_or(misplaced.clone())? {
            Step::Fits { from, width } => {
                let number = self.integer(from)?;
                let known = self.fits_width(number, width);
                self.check_after(known);
                Ok(())
            }
            Step::FitsObject { moves } => self.fits_object(moves),
            Step::Inside { from, to } => self.guest_pointer(from, to),
            Step::StoreCell { slot, from, width } => {
                if !self.has_checked(slot, width.bytes() as u64) {
                    return Err(misplaced);
                }
                self.store_cell(slot, from, width)
            }
            Step::StoreObject { slot, moves } => {
                let ends = moves_of(self.plan, moves).iter();
                let end = ends.map(|one| one.memory + one.kind.memory_bytes()).max();
                if !self.has_checked(slot, end.unwrap_or(0).into()) {
                    return Err(misplaced);
                }
                let guest = self.pointer(slot);
                let memory = self.memory()?;
                let at = self.b.ins().iadd(memory.base, guest);
                self.put_together(moves, at)
            }
            Step::Return { from, returns } => self.return_from(from, returns),
            Step::Nothing => Ok(()),
            Step::Deliver { moves } => self.native_after(index, NativeOp::Deliver { moves }),
        }
    }

    /// A native pointer into the guest's memory. Others are for the interpreter.
    fn guest_pointer(&mut self, from: At, to: At) -> Result<(), Unsupported> {
        let memory = self.memory()?;
        let native = self.integer(Operand { at: from, width: Width::U64 })?.value;
        let (done, results) = self.meeting(1);
        let present = self.b.create_block();
        self.b.ins().brif(native, present, &[], done, &[native.into()]);
        self.b.switch_to_block(present);
        let offset = self.b.ins().isub(native, memory.base);
        let inside = self.compare(IntCC::UnsignedLessThanOrEqual, offset, memory.len);
        self.check_after(Known::If(inside));
        if !self.plan.facts.wide {
            // Just past 4 GiB there is no pointer.
            let known = self.fits_width(Exact::of(offset, Width::U64), Width::U32);
            self.check_after(known);
        }
        self.jump(done, &[offset]);
        self.b.switch_to_block(done);
        self.place(to, Word::integer(results[0]));
        Ok(())
    }

    /// Writes what native code left in a cell. The cell's op has checked the address.
    fn store_cell(&mut self, slot: u16, from: At, width: Width) -> Result<(), Unsupported> {
        let value = self.integer(Operand { at: from, width: Width::U64 })?.value;
        let guest = self.pointer(slot);
        let (present, done) = (self.b.create_block(), self.b.create_block());
        self.b.ins().brif(guest, present, &[], done, &[]);
        self.b.switch_to_block(present);
        let memory = self.memory()?;
        let at = self.b.ins().iadd(memory.base, guest);
        self.store_bytes(value, at, 0, width.bytes().min(8));
        self.jump(done, &[]);
        self.b.switch_to_block(done);
        Ok(())
    }
}
