//! The checking executor: runs the ops of an import's plan as their documentation says, and looks at every
//! access.
//!
//! It is not the interpreter and shares nothing with it: memory is simulated (see `machine`), positions of the
//! frame are checked against its parts, slots against their wasm types, what is read must have been written.
//! Native code is played by `native`, from the prototype alone. A check of an op that does not hold ends the
//! call, as it should; everything else that goes wrong is a trespass, and panics.
use super::copies::Copies;
use super::machine::{FRAME, GUEST, Memory, What, drawn, whole};
use super::native::{Native, is_guests};
use crate::fuzzing::source::Source;
use crate::plan::abi::{Abi, Assignment, Location, Value, assign};
use crate::plan::cookie;
use crate::plan::expression::{Environment, EvaluationError, evaluate};
use crate::plan::format::{self, Library};
use crate::plan::frame::FrameLayout;
use crate::plan::layout::Scalar;
use crate::plan::moves::{Move, MoveKind, load_run, store_run};
use crate::plan::op::{
    At, CallbackOp, Count, Fate, LifeOp, Null, Op, Operand, Ownership, Phase, Returns, Slot, Stub,
    TakeExtent, Width,
};
use crate::plan::{Plan, Purpose, WasmType};
use crate::signature::{Scope, TypeKind};

mod after;
mod before;
mod call;

/// A check does not hold: the call ends with an error.
#[derive(Debug)]
pub struct Stop;

pub type Checked<T = ()> = Result<T, Stop>;

/// Where no op may write before the call: what closures find, and the call record.
const RUNNING: std::ops::Range<usize> = 88..96;
const RECORD: std::ops::Range<usize> = 224..320;

/// A call that is being made.
pub struct Executor<'p, 's, 'a> {
    pub plan: &'p Plan,
    pub abi: Abi,
    pub scope: &'p Scope,
    pub memory: Memory,
    pub slots: Vec<[u64; 2]>,
    pub source: &'s mut Source<'a>,
    pub copies: Copies,
    pub closures: Vec<u64>,
    called: bool,
    takes: Vec<Option<Vec<u8>>>,
    /// Handles that the call was given, by slot.
    given: u64,
}

impl<'p, 's, 'a> Executor<'p, 's, 'a> {
    pub fn new(
        (plan, abi, scope): (&'p Plan, Abi, &'p Scope),
        memory: Memory,
        slots: Vec<[u64; 2]>,
        source: &'s mut Source<'a>,
    ) -> Executor<'p, 's, 'a> {
        Executor {
            plan,
            abi,
            scope,
            memory,
            slots,
            source,
            copies: Copies::default(),
            closures: Vec::new(),
            called: false,
            takes: Vec::new(),
            given: 0,
        }
    }

    /// Makes the call. Whether native code has run.
    pub fn run(mut self) -> bool {
        for op in &self.plan.ops {
            let done = match op.phase() {
                Phase::Before => self.before(op),
                Phase::Call => {
                    self.call(op);
                    Ok(())
                }
                Phase::Facts | Phase::Checks | Phase::Guest | Phase::Commit => {
                    let done = self.after(op);
                    assert!(
                        done.is_ok() || op.phase() != Phase::Commit || self.may_run_out(op),
                        "trespass: a commit fails: {op:?}"
                    );
                    done
                }
            };
            if done.is_err() {
                return self.called;
            }
        }
        true
    }

    /// Adopting may fail for want of a lender that the call itself has ended.
    fn may_run_out(&self, op: &Op) -> bool {
        matches!(op, Op::Adopt { .. } | Op::Return { .. } | Op::Life(_))
    }

    // ----- the frame and the slots

    pub fn put(&mut self, at: At, bytes: &[u8]) {
        let range = at.offset()..at.offset() + bytes.len();
        let over = |part: &std::ops::Range<usize>| range.start < part.end && part.start < range.end;
        assert!(range.start >= 16, "trespass: the frame's head is written at {at:?}");
        assert!(!over(&RUNNING), "trespass: {at:?} is the running call's");
        assert!(self.called || !over(&RECORD), "trespass: {at:?} is the call record");
        self.memory.write(FRAME + range.start as u64, bytes, "the frame");
    }

    pub fn put64(&mut self, at: At, value: u64) {
        self.put(at, &value.to_le_bytes());
    }

    pub fn get(&self, at: At, bytes: usize) -> Vec<u8> {
        self.memory.read(FRAME + at.offset() as u64, bytes as u64, "the frame")
    }

    pub fn get64(&self, at: At) -> u64 {
        whole(&self.get(at, 8), false) as u64
    }

    fn operand(&self, operand: Operand) -> i128 {
        whole(&self.get(operand.at, operand.width.bytes()), operand.width.is_signed())
    }

    fn slot(&self, slot: u16, types: &[WasmType]) -> [u64; 2] {
        let ty = self.plan.lowering.params[usize::from(slot)];
        assert!(types.contains(&ty), "trespass: slot {slot} is {ty:?}");
        self.slots[usize::from(slot)]
    }

    fn low32(&self, slot: u16) -> u32 {
        self.slot(slot, &[WasmType::I32, WasmType::F32])[0] as u32
    }

    fn low64(&self, slot: u16) -> u64 {
        self.slot(slot, &[WasmType::I64, WasmType::F64])[0]
    }

    pub fn pointer(&self, slot: u16) -> u64 {
        if self.plan.facts.wide { self.low64(slot) } else { self.low32(slot).into() }
    }

    pub fn pointer_size(&self) -> u64 {
        if self.plan.facts.wide { 8 } else { 4 }
    }

    /// The address of guest bytes, if they are inside.
    pub fn inside(&self, address: u64, len: u64) -> Checked<u64> {
        let size = self.memory.guest_len();
        if len > size || address > size - len { Err(Stop) } else { Ok(GUEST + address) }
    }

    fn null(null: Null, empty: bool) -> Checked {
        match null {
            Null::Allowed => Ok(()),
            Null::IfEmpty if empty => Ok(()),
            Null::IfEmpty | Null::Refused => Err(Stop),
        }
    }

    pub fn expression(&mut self, expr: u16, object: u64) -> Checked<i128> {
        let expression = &self.plan.expressions[usize::from(expr)];
        evaluate(expression, &mut Reading { of: self, object }).map_err(|_| Stop)
    }
}

/// One run of bytes, either way.
#[expect(unsafe_code, reason = "moves are made")]
pub fn run(kind: MoveKind, from: &[u8], to: &mut [u8], out: bool) {
    let (inner, outer) = (kind.memory_bytes() as usize, kind.frame_bytes() as usize);
    let (reads, writes) = if out { (outer, inner) } else { (inner, outer) };
    assert!(from.len() >= reads && to.len() >= writes, "both sides are as large as the move");
    // SAFETY: just checked.
    unsafe {
        if out {
            store_run(kind, from.as_ptr(), to.as_mut_ptr());
        } else {
            load_run(kind, from.as_ptr(), to.as_mut_ptr());
        }
    }
}

/// What an expression reads, looked at.
struct Reading<'e, 'p, 's, 'a> {
    of: &'e Executor<'p, 's, 'a>,
    object: u64,
}

impl Environment for Reading<'_, '_, '_, '_> {
    fn load(&self, operand: Operand) -> i128 {
        self.of.operand(operand)
    }

    fn field(&self, offset: u32, width: Width) -> i128 {
        assert!(self.object != 0, "trespass: a field of nothing");
        self.of.memory.integer(
            self.object + u64::from(offset),
            width.bytes() as u64,
            width.is_signed(),
            "a field",
        )
    }

    fn behind(&self, at: At, offset: u32, width: Width) -> Result<i128, EvaluationError> {
        let object = self.of.get64(at);
        if object == 0 {
            return Err(EvaluationError::Null);
        }
        Ok(self.of.memory.integer(
            object + u64::from(offset),
            width.bytes() as u64,
            width.is_signed(),
            "behind",
        ))
    }

    fn call(&mut self, callee: u16, arguments: &[i128]) -> Result<i128, EvaluationError> {
        let callee = &self.of.plan.callees[usize::from(callee)];
        let Purpose::Pure { params, .. } = &callee.purpose else {
            panic!("trespass: {:?} is called by an expression", callee.purpose)
        };
        assert!(params.len() == arguments.len() && params.len() <= 6, "trespass: {arguments:?}");
        for (width, argument) in params.iter().zip(arguments) {
            if !width.holds(*argument) {
                return Err(EvaluationError::Argument(*argument));
            }
        }
        Ok(drawn(&callee.symbol, arguments))
    }
}

/// Something was read, which is all that matters.
pub fn looked<T>(_: T) {}
