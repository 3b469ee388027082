//! From a plan to CLIF.
//!
//! A trampoline does what the interpreter does, op by op, with one difference: what the interpreter
//! writes to its frame stays in SSA values ([`places`]). Only what native code is given the address of,
//! and what the interpreter needs when it goes on with the call, is in the frame's memory.
//!
//! ```text
//! status f(binding, slots, frame)
//!
//! entry    memory base and length
//! before   each op; a check that fails goes to ───────────> redo: nothing has happened
//! call     the C function, with CLIF's System V convention
//! after    none, or compiled; a check that fails goes to ─> resume: results into the frame
//!          not compiled: ─────────────────────────────────> resume
//! result   into the first slot ───────────────────────────> done
//! ```
//!
//! Or, entered by the guest's code itself (see [`side`]), with the arguments in registers and on the
//! stack, and the doors as tail calls:
//!
//! ```text
//! result f(context, caller's context, arguments ..)
//! ```
//!
//! Ops are taken by an allow-list: there is no wildcard, and what is not understood has a reason of
//! its own in [`Unsupported`]. The prototype is looked at for one thing only, whether it is variadic:
//! plans that differ in names share their code.
//!
//! Not here: making machine code of it (`compile`), and errors, which only the interpreter makes.
use super::helpers::Helper;
use super::machine::Outside;
use super::signature::NativeSignature;
use super::{Unsupported, direct};
use crate::plan::binding::Binding;
use crate::plan::interpret::assist::{
    Noted, alone, calls_by_stub, calls_out, is_assisted, is_called_out, runs_closures,
};
use crate::plan::op::Op;
use crate::plan::{Kind, Plan};
use cranelift_codegen::ir::{AbiParam, Block, FuncRef, Function, Signature, Value, types};
use cranelift_codegen::isa::{CallConv, TargetFrontendConfig};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use out::Left;
use places::Places;
use std::mem::offset_of;

mod after;
mod arithmetic;
mod call;
mod cells;
mod emit;
mod expression;
mod handles;
mod moves;
mod native;
mod out;
mod places;
mod pointers;
mod scalars;
mod side;
mod values;

pub(super) use after::After;
use side::Side;

/// The namespace of what is outside of the code.
pub(super) const NAMES: u32 = 1;

/// A plan as CLIF.
#[derive(Debug)]
pub(super) struct Lowered {
    pub function: Function,
    pub signature: NativeSignature,
    pub notes: Notes,
    /// It may be left after the call with work to do.
    pub resumes: bool,
}

/// What a reader of the CLIF wants to know.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// By the number of the first instruction of each op: the op.
    pub ops: Vec<(u32, usize)>,
    /// What the code refers to outside of itself, by the index of its name in [`NAMES`].
    pub outside: Vec<Outside>,
    /// By number: what a block is for.
    pub blocks: Vec<(u32, &'static str)>,
    /// The number of the first instruction that belongs to no op any more, and what it is for.
    pub rest: Option<(u32, &'static str)>,
}

/// A plan on its way to CLIF.
struct Lower<'a> {
    plan: &'a Plan,
    b: FunctionBuilder<'a>,
    side: Side,
    frame: Value,
    memory: Option<Memory>,
    places: Places,
    /// Where checks before the call go that fail.
    redo: Block,
    /// Blocks that leave the trampoline, and how. They are filled at the end.
    exits: Vec<(Block, Exit)>,
    /// Guest slots that are NULL or point at so many bytes of the memory.
    checked: Vec<(u16, u64)>,
    after: After,
    /// Where checks after the call go that fail.
    resume: Option<Block>,
    signature: NativeSignature,
    notes: Notes,
    /// Routines that the code knows already.
    helpers: Vec<(Helper, FuncRef)>,
    /// The call was a jump: there is nothing behind it.
    jumped: bool,
    /// Ops before the call are called out for.
    calls_out: bool,
    /// Where checks go that fail now, something is given back.
    undoes: bool,
    /// What was noted on handles, until the call is over.
    noted: Vec<(Value, Noted)>,
    /// The only handle that is marked: see [`alone`].
    alone: Option<(u16, Option<usize>)>,
}

/// A way out of a trampoline whose checks have failed before the call.
#[derive(Clone, Copy)]
enum Exit {
    /// Back to the interpreter.
    Redo,
    /// Likewise, when what the ops before that one have taken is given back.
    Undo { until: usize },
}

/// The guest's memory: it stays as it is until guest code runs.
#[derive(Clone, Copy)]
struct Memory {
    base: Value,
    len: Value,
}

/// The type of trampolines.
pub(super) fn trampoline_signature() -> Signature {
    let mut signature = Signature::new(CallConv::SystemV);
    signature.params.extend([AbiParam::new(types::I64); 3]);
    signature.returns.push(AbiParam::new(types::I32));
    signature
}

/// Who enters a trampoline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Way {
    /// An ordinary host function, with the guest's values in an array.
    Array,
    /// The guest's code.
    Direct,
    /// The `ffi` API, with the addresses of C values.
    Plain,
}

/// The CLIF of a plan.
pub(super) fn lower(
    plan: &Plan,
    way: Way,
    config: TargetFrontendConfig,
    context: &mut FunctionBuilderContext,
) -> Result<Lowered, Unsupported> {
    match (plan.kind, way) {
        (Kind::Import, Way::Array | Way::Direct) | (Kind::Call, Way::Plain) => {}
        (Kind::Import | Kind::Call | Kind::Closure | Kind::Callback, _) => {
            return Err(Unsupported::NoGuest);
        }
    }
    if way == Way::Plain && calls_by_stub(plan) {
        return Err(Unsupported::ByStub);
    }
    if way == Way::Direct {
        may_be_direct(plan)?;
    }
    let after = After::of(plan)?;
    let mut function = Function::new();
    function.signature = match way {
        Way::Array => trampoline_signature(),
        Way::Direct => direct::signature(plan)?,
        Way::Plain => native::signature(),
    };
    let mut b = FunctionBuilder::new(&mut function, context);
    let entry = b.create_block();
    b.append_block_params_for_function_params(entry);
    b.switch_to_block(entry);
    let (side, frame) = Side::enter(&mut b, entry, plan, way)?;
    let redo = b.create_block();
    let mut lower = Lower {
        plan,
        b,
        side,
        frame,
        memory: None,
        places: Places::default(),
        redo,
        exits: vec![(redo, Exit::Redo)],
        checked: Vec::new(),
        after,
        resume: None,
        signature: NativeSignature::default(),
        notes: Notes::default(),
        helpers: Vec::new(),
        jumped: false,
        calls_out: calls_out(plan),
        undoes: false,
        noted: Vec::new(),
        alone: alone(plan),
    };
    lower.pass_gate();
    lower.load_memory();
    for (index, op) in plan.ops.iter().enumerate() {
        lower.note_op(index);
        if index < usize::from(plan.call) {
            lower.before(index, op)?;
        } else if index == usize::from(plan.call) {
            let Op::Call { stub, returns } = *op else {
                return Err(Unsupported::Misplaced { op: index });
            };
            lower.call(stub, returns)?;
        } else if lower.after == After::Compiled {
            lower.after(index, op)?;
        }
    }
    lower.end()?;
    let resumes = lower.resume.is_some() || lower.after == After::Interpreted;
    let Lower { mut b, signature, notes, .. } = lower;
    b.seal_all_blocks();
    b.finalize(config);
    Ok(Lowered { function, signature, notes, resumes })
}

/// Whether the guest's code may enter a trampoline of the plan by itself: it calls out for nothing that needs
/// the call's host function.
///
/// # Errors
/// Why not.
pub(super) fn may_be_direct(plan: &Plan) -> Result<(), Unsupported> {
    if runs_closures(plan) {
        return Err(Unsupported::CallsBack);
    }
    if is_assisted(plan) {
        return Err(Unsupported::CallsOut);
    }
    Ok(())
}

/// What no verified plan leads to.
fn internal(what: &str) -> Unsupported {
    Unsupported::Internal(what.to_owned())
}

impl Lower<'_> {
    /// Base and length of the guest's memory, as they are now.
    fn load_memory(&mut self) {
        if self.plan.facts.memory {
            let base = self.binding(types::I64, offset_of!(Binding, memory_base));
            let len = self.binding(types::I64, offset_of!(Binding, memory_len));
            self.memory = Some(Memory { base, len });
        }
    }

    /// One op of the *before* section.
    fn before(&mut self, index: usize, op: &Op) -> Result<(), Unsupported> {
        match *op {
            Op::Int8 { slot, to } => self.narrow(slot, to, types::I8, true),
            Op::UInt8 { slot, to } => self.narrow(slot, to, types::I8, false),
            Op::Int16 { slot, to } => self.narrow(slot, to, types::I16, true),
            Op::UInt16 { slot, to } => self.narrow(slot, to, types::I16, false),
            Op::Bool { slot, to } => self.boolean(slot, to),
            Op::Int32 { slot, to } | Op::ULong32 { slot, to } => self.word32(slot, to, false),
            Op::Long32 { slot, to } => self.word32(slot, to, true),
            Op::Int64 { slot, to } => self.word64(slot, to),
            Op::Float32 { slot, to } => self.float(slot, to, types::F32),
            Op::Float64 { slot, to } => self.float(slot, to, types::F64),
            Op::Pair { slot, to } => self.pair(slot, to),
            Op::Vector { slot, to } => self.vector(slot, to),
            // The frame's memory has it; only the stub reads it.
            Op::Extended { .. } => self.call_out(index, &[]),
            Op::Range { value, set, param: _ } => self.range(value, set)?,
            Op::Evaluate { expr, to, param: _ } => self.evaluate(expr, to)?,
            Op::Require { expr, of: _ } => self.require(expr)?,
            Op::Value { expr, to, width, param: _ } => self.value(expr, to, width)?,
            Op::Buffer { slot, to, count, size, align, null, param: _, extent } => {
                let bytes = self.extent(count, size)?;
                self.buffer(slot, to, bytes, align, null, extent)?;
            }
            Op::Text { to, extent, copy: true, .. } => {
                self.call_out(index, &[Left::Word(to), Left::Word(extent)]);
            }
            Op::Text { slot, to, unit, null, copy: false, extent } => {
                let guest = self.pointer(slot);
                self.text(guest, to, unit, null, extent)?;
            }
            Op::Object { .. } if is_called_out(self.plan, op) => self.call_out(index, &[]),
            Op::Object { slot, size, moves } => self.object(slot, size, moves)?,
            Op::Address { of, to, zeroed } => self.address(of, to, zeroed)?,
            Op::Room { slot, size } => {
                let guest = self.pointer(slot);
                self.inside(guest, size.into())?;
                self.checked.push((slot, size.into()));
            }
            Op::Format { .. } => self.call_out(index, &[]),
            Op::Cell { slot, to, cell, guest, host: _, direction, null } => {
                self.cell(slot, to, cell, guest, direction, null)?;
            }
            Op::PointerCell { slot, to, cell, null } => {
                self.pointer_cell(slot, to, cell, null)?;
            }
            Op::TextCell { slot, to, cell, null, extent } => {
                self.text_cell(slot, to, cell, null, extent)?;
            }
            Op::Handle { slot, to, kind, null, fate } => {
                self.handle(index, (slot, to), kind, null, fate);
            }
            Op::Apart { text, text_extent, buffer, buffer_extent } => {
                self.apart([text, text_extent, buffer, buffer_extent])?;
            }
            Op::Reserve { handles } => self.reserve(handles),
            Op::Native(op) => self.native_before(index, op)?,
            Op::Upcall(_) => return Err(Unsupported::NoGuest),
            Op::Deep(op) => self.deep(index, op)?,
            Op::Callback(op) => self.callback(index, op)?,
            Op::Life(op) => self.life(index, op)?,
            Op::Call { .. }
            | Op::Consume { .. }
            | Op::EndLoans { .. }
            | Op::Measure { .. }
            | Op::Fits { .. }
            | Op::FitsObject { .. }
            | Op::Inside { .. }
            | Op::InsideOr { .. }
            | Op::Take { .. }
            | Op::FreeNative { .. }
            | Op::Give { .. }
            | Op::Adopt { .. }
            | Op::StoreCell { .. }
            | Op::StoreObject { .. }
            | Op::Return { .. } => return Err(Unsupported::Misplaced { op: index }),
        }
        Ok(())
    }

    /// The store block.
    fn store_block(&mut self) -> Value {
        self.binding(types::I64, offset_of!(Binding, store))
    }
}
