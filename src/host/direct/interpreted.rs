//! Direct calls without code of their own: the interpreter, entered straight from the guest's call.
//!
//! ```text
//! guest ──> interpreter_entry ──> interpret ──> the plan's short way ──> native function
//!               │  registers laid down    │
//!               └────── redo, resume <────┘ gate closed, check failed; result does not fit
//! ```
//!
//! The rules are those of trampolines: the gate is asked first, a check that fails before the call goes to *redo*,
//! one behind it to *resume*, and what closures have done where they must not is told by the next call.
//! The short way reads the guest's registers where the entry has laid them down. Plans whose ops look at slots by
//! themselves are entered the ordinary way: to put registers into slots takes what the ordinary way takes.
#![expect(unsafe_code, reason = "reads the guest's registers, and wasmtime's structures")]
use super::Import;
use crate::cranelift_backend::direct::{
    Context, Halted, Interpret, Interpreted, Registers, interpreter_entry, places_of, stack_limit,
    store_context,
};
use crate::plan::abi::Location;
use crate::plan::frame::GuestSlot;
use crate::plan::interpret::{Halt, Quick};
use crate::plan::{Plan, WasmType};
use std::ffi::c_void;

/// A plan's short way, as guests enter it.
#[derive(Debug)]
pub(in crate::host) struct Straight {
    /// For arguments where they were laid down.
    quick: Quick,
    /// Bytes of arguments on the stack.
    popped: u32,
    /// Integers in registers are all that there is.
    simple: bool,
}

impl Straight {
    /// `None` for plans whose short way cannot be entered so.
    pub(in crate::host) fn of(plan: &Plan, quick: &Quick) -> Option<Straight> {
        let plain = |ty: &WasmType| {
            matches!(ty, WasmType::I32 | WasmType::I64 | WasmType::F32 | WasmType::F64)
        };
        let lowering = &plan.lowering;
        if !lowering.params.iter().chain(&lowering.results).all(plain) {
            return None;
        }
        let places = places_of(&lowering.params).ok()?;
        let stack = places.iter().map(|place| match place {
            Location::Stack(at) => at + 8,
            Location::Integer(_) | Location::Vector(_) | Location::X87(_) => 0,
        });
        let at: Option<Vec<u16>> = places.iter().map(|place| Registers::offset(*place)).collect();
        Some(Straight {
            quick: quick.moved(&at?)?,
            popped: stack.max().unwrap_or(0).next_multiple_of(16),
            simple: places.iter().all(|place| matches!(place, Location::Integer(_))),
        })
    }

    /// Whether a call may have to be resumed.
    pub(in crate::host) fn resumes(&self) -> bool {
        self.quick.may_halt_after()
    }

    /// Has calls of a context made so, by guests that enter what this returns. The context is that of `import`, which
    /// has this in its link.
    pub(super) fn prepare(&self, context: &Context, import: *const Import) -> *const c_void {
        let interpret: Interpret = match (self.quick.is_straight(), self.quick.takes_vectors()) {
            (true, true) => interpret::<Loaded<true>>,
            (true, false) => interpret::<Loaded<false>>,
            (false, _) => interpret::<Framed>,
        };
        context.interpret.set(Some(interpret));
        context.import.set(import.cast());
        context.popped.set(self.popped);
        interpreter_entry(self.simple)
    }
}

/// How the short way goes.
trait Way {
    /// # Safety
    /// `quick` is of the plan, moved to where the registers have the arguments of a call.
    unsafe fn run(
        quick: &Quick,
        plan: &Plan,
        context: &Context,
        registers: *mut Registers,
    ) -> Result<u64, Halt>;
}

/// Registers are loaded, and that is all.
struct Loaded<const VECTORS: bool>;
/// Through a frame.
struct Framed;

impl<const VECTORS: bool> Way for Loaded<VECTORS> {
    #[inline(always)]
    unsafe fn run(
        quick: &Quick,
        _: &Plan,
        context: &Context,
        registers: *mut Registers,
    ) -> Result<u64, Halt> {
        // SAFETY: the caller's promise: every argument is where `Quick::moved` was told.
        let result = unsafe { quick.run_straight::<VECTORS>(&context.binding, registers.cast()) };
        result.ok_or(Halt::Before)
    }
}

impl Way for Framed {
    #[inline(always)]
    unsafe fn run(
        quick: &Quick,
        plan: &Plan,
        context: &Context,
        registers: *mut Registers,
    ) -> Result<u64, Halt> {
        // SAFETY: as above, and there is room for a result in front, where arguments are not needed any more.
        unsafe {
            quick.run(plan, &context.binding, registers.cast::<GuestSlot>())?;
            Ok(registers.cast::<u64>().read())
        }
    }
}

/// See [`Interpret`].
///
/// # Safety
/// A guest has just called the import of `context`, which `Straight::prepare` has prepared.
unsafe extern "sysv64" fn interpret<W: Way>(
    context: *const Context,
    caller: *const u8,
    registers: *mut Registers,
) -> Interpreted {
    const CLOSED: Interpreted = Interpreted { halted: Halted::Before, result: 0 };
    // SAFETY: the caller's promise. The guest's context leads to the store's, as the trial has shown, and the gate
    // lives as long as the store.
    let (context, open) = unsafe {
        let context = &*context;
        let store = caller.add(store_context()).cast::<*const u8>().read();
        let limit = store.add(stack_limit()).cast::<usize>().read();
        (context, (*context.gate.get()).lets_pass(limit))
    };
    if !open {
        return CLOSED;
    }
    // SAFETY: the import owns its context.
    let import = unsafe { &*context.import.get().cast::<Import>() };
    if let Some(hot) = import.bound.hot(0) {
        if !hot.is_counted() {
            hot.count();
        } else if let Some(code) = hot.direct() {
            if code.resumes() && context.resume.get().is_null() {
                // The ordinary function can make the door behind the call, and has the next one go there.
                return CLOSED;
            }
            Import::enter_code(context, hot, code);
        }
    }
    let Some((straight, plan)) = import.bound.straight() else { return CLOSED };
    // SAFETY: the caller's promise; the plan is a leaf's, whose calls do not nest.
    match unsafe { W::run(&straight.quick, plan, context, registers) } {
        Ok(result) => Interpreted { halted: Halted::Never, result },
        Err(halt) => halted(import, plan, halt),
    }
}

/// What is left to do when a call has stopped.
#[cold]
#[inline(never)]
fn halted(import: &Import, plan: &Plan, halt: Halt) -> Interpreted {
    let halted = match halt {
        // Plans that stop for good run guest code, and are not entered so.
        Halt::Before | Halt::Stopped(_) => Halted::Before,
        Halt::After(left) => {
            // SAFETY: the context has a frame for calls of its plan, which nobody uses now.
            unsafe { left.leave_in(plan, import.context.frame()) };
            import.context.context().pending.set(1);
            Halted::After
        }
    };
    Interpreted { halted, result: 0 }
}
