//! A call that has stopped, as its ops saw it: what its frame, its binding and its guest's memory
//! hold. Read only, and safe to use once made.
#![expect(unsafe_code, reason = "reads a frame and guest memory through their raw pointers")]
use crate::plan::expression::{EvaluationError, evaluate};
use crate::plan::format::{FormatProblem, Library, check};
use crate::plan::frame::FrameHead;
use crate::plan::interpret::{FrameEnvironment, Space, load_integer, text_length};
use crate::plan::moves::{Move, MoveKind, misfit};
use crate::plan::op::{At, Operand, Width};
use crate::plan::{Plan, Problem, StoreBlock, WasmType};
use crate::signature::Variadic;

/// A call that has stopped.
pub(super) struct View<'a>(Space<'a>);

impl<'a> View<'a> {
    /// # Safety
    /// That of [`super::diagnose`], for as long as the view lives.
    pub(super) unsafe fn new(plan: &'a Plan, frame: *const FrameHead) -> View<'a> {
        // SAFETY: the caller promises a live frame whose binding is alive.
        let binding = unsafe { &*(*frame).binding };
        View(Space::new(plan, binding, frame.cast_mut()))
    }

    /// The guest value of that slot, as 64 bits: an `i32` is zero-extended.
    pub(super) fn slot(&self, slot: u16) -> u64 {
        // SAFETY: `new` was promised as many slots as the plan's lowering has parameters, and the
        // verifier has shown that ops name only those.
        unsafe {
            match self.slot_type(slot) {
                Some(WasmType::I32 | WasmType::F32) => u64::from(self.0.slot32(slot)),
                _ => self.0.slot64(slot),
            }
        }
    }

    /// The wasm type of that slot.
    pub(super) fn slot_type(&self, slot: u16) -> Option<WasmType> {
        self.0.plan.lowering.params.get(usize::from(slot)).copied()
    }

    /// What does not fit on its way out of the frame.
    pub(super) fn misfit(&self, moves: &[Move]) -> Option<Problem> {
        // SAFETY: the verifier has shown that moves stay inside the frame.
        let (index, value) = unsafe { misfit(moves, self.0.frame.cast()) }?;
        let signed = moves.get(index)?.kind == MoveKind::Signed32;
        Some(Problem::DoesNotFit { value, width: if signed { Width::I32 } else { Width::U32 } })
    }

    /// What of the value that the pointer at `from` points at does not fit the guest's memory; the moves'
    /// frame begins `before` bytes before it.
    pub(super) fn misfit_behind(&self, moves: &[Move], from: At, before: usize) -> Option<Problem> {
        // SAFETY: the verifier has shown that a pointer is there, and its prototype says that such a value
        // is where it points.
        let found = unsafe {
            let start = self.0.read::<*const u8>(from);
            misfit(moves, start.wrapping_sub(before))
        };
        let (index, value) = found?;
        let signed = moves.get(index)?.kind == MoveKind::Signed32;
        Some(Problem::DoesNotFit { value, width: if signed { Width::I32 } else { Width::U32 } })
    }

    /// What is wrong with the format that was placed there.
    pub(super) fn format(&self, text: At, extent: At) -> Option<Problem> {
        let plan = self.0.plan;
        // SAFETY: the verifier has shown that a string which is not NULL was placed there, and that
        // an `int` is where a `*` may look for one; neither guest nor native code runs meanwhile.
        let (format, mistake) = unsafe {
            let format = self.0.format(text, extent);
            let int = |at| self.0.read::<i32>(at);
            (format, check(format, &plan.passed, Library::host(), int).err()?)
        };
        let function = &plan.prototype.function;
        let tail = match &function.variadic {
            Variadic::Typed(tail) => tail.as_slice(),
            Variadic::No | Variadic::Untyped(_) => &[],
        };
        let problem = FormatProblem::new(format, mistake, function.params.len(), tail);
        Some(Problem::Format(Box::new(problem)))
    }

    /// An integer of the frame.
    pub(super) fn operand(&self, operand: Operand) -> i128 {
        // SAFETY: the verifier has shown that what ops read lies inside the frame and was written
        // by earlier ones, which `new` was promised have run.
        unsafe { self.0.integer(operand) }
    }

    /// The value of an expression. It is computed again as the op that failed did it; what it calls
    /// is `const` or `pure`.
    pub(super) fn value(&self, expr: u16) -> Result<i128, EvaluationError> {
        let expression = &self.0.plan.expressions[usize::from(expr)];
        evaluate(expression, &mut FrameEnvironment(self.0))
    }

    /// The block of the store that the call runs in.
    pub(super) fn store(&self) -> &StoreBlock {
        self.0.store()
    }

    /// Size of the guest's memory in bytes; `None` before the memory is known.
    pub(super) fn memory_size(&self) -> Option<u64> {
        let binding = self.0.binding;
        (!binding.memory_base.get().is_null()).then(|| binding.memory_len.get())
    }

    /// An integer of the guest's memory, if all of it is inside.
    pub(super) fn memory_integer(&self, address: u64, width: Width) -> Option<i128> {
        let bytes = u64::try_from(width.bytes()).ok()?;
        self.memory_size()?;
        let at = self.0.inside(address, bytes)?;
        // SAFETY: so many bytes are inside the guest's memory.
        Some(unsafe { load_integer(at, width) })
    }

    /// Length in bytes, terminator included, of the string of elements of `unit` bytes at that
    /// address; `None` when it does not end inside the memory.
    pub(super) fn string_length(&self, address: u64, unit: u8) -> Option<usize> {
        let left = self.memory_size()?.checked_sub(address)?;
        // SAFETY: neither guest nor native code runs while the slice is looked at.
        let bytes = unsafe { self.0.guest_bytes(address, left) }?;
        text_length(bytes, unit.max(1))
    }
}
