//! Trampolines: machine code that Cranelift makes of a plan.
//!
//! ```text
//! Plan ──lower──> CLIF ──verify, compile──> machine code ──code_memory──> Trampoline
//!        signature: where each word of a call goes         unwind: how to walk through it
//! ```
//!
//! A [`Trampoline`] makes the checks of a plan, calls the C function and decodes its result, all
//! inline. It never makes an error: what fails goes back to the interpreter through one of two doors
//! (see [`Status`]), and native code is called once, whichever way a call goes.
//!
//! With the feature `trampolines` alone there is everything but the compiler: code that was made ahead of time
//! ([`Stock`]) gets its place and is entered. The feature `cranelift` is what makes code.
//!
//! Not here: who has which trampoline and when one is made (`host`).
#![expect(unsafe_code, reason = "enters compiled code")]
use crate::plan::Plan;
use crate::plan::binding::Binding;
use crate::plan::frame::{FrameHead, GuestSlot};
#[cfg(feature = "cranelift")]
use crate::plan::interpret::assist::calls_by_stub;
use crate::plan::interpret::assist::{copies_go_back, is_assisted, run_assisted};
use crate::plan::interpret::{self, Guest, Stop};
use code_memory::Code;
use machine::Machine;
use std::mem::transmute;

#[cfg(all(feature = "cli", feature = "cranelift"))]
pub mod assembly;
pub mod callback;
mod code_memory;
#[cfg(feature = "cranelift")]
mod compile;
pub mod direct;
#[cfg(feature = "cranelift")]
mod emitted;
mod helpers;
#[cfg(feature = "cranelift")]
mod jump;
#[cfg(feature = "cranelift")]
mod lower;
mod machine;
#[cfg_attr(not(feature = "cranelift"), path = "make_absent.rs")]
mod make;
#[cfg(feature = "cranelift")]
pub mod plain;
#[cfg(feature = "cranelift")]
mod print;
#[cfg(feature = "cranelift")]
#[cfg_attr(all(target_arch = "x86_64", unix), path = "probe_x86_64.rs")]
#[cfg_attr(not(all(target_arch = "x86_64", unix)), path = "probe_unsupported.rs")]
pub mod probe;
mod registers;
#[cfg(feature = "cranelift")]
pub mod signature;
mod stock;
mod unsupported;
mod unwind;

pub use crate::plan::interpret::Status;
pub(crate) use code_memory::{in_use as code_in_use, memory_file};
#[cfg(feature = "cranelift")]
pub use emitted::{Emitted, Part};
#[cfg(feature = "cranelift")]
pub use print::{Listing, direct_listing, listing, portable_listing};
pub use stock::{Stock, StockError};
pub use unsupported::Unsupported;

/// Machine code for a plan.
#[derive(Debug)]
pub struct Trampoline {
    entry: Entry,
    code: Code,
}

// SAFETY: code is the same on every thread.
unsafe impl Send for Trampoline {}
// SAFETY: likewise; nothing of it changes.
unsafe impl Sync for Trampoline {}

/// Where a trampoline is entered: `status f(binding, slots, frame)`.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    function: Function,
    /// It calls out: see [`assist`](interpret::assist).
    assisted: bool,
}

type Function = unsafe extern "C" fn(*const Binding, *mut GuestSlot, *mut FrameHead) -> u32;

impl Trampoline {
    /// The trampoline of a plan.
    ///
    /// # Errors
    /// Why it has none.
    pub fn compile(plan: &Plan) -> Result<Trampoline, Unsupported> {
        Trampoline::place(&make::array(plan)?, plan)
    }

    /// Gives code that was made of such a plan a place.
    fn place(made: &Machine, plan: &Plan) -> Result<Trampoline, Unsupported> {
        let code = made.place(&plan.handle_kinds)?;
        // SAFETY: the code is a function of this type: `lower::trampoline_signature`.
        let function = unsafe { transmute::<*const u8, Function>(code.start()) };
        let entry = Entry { function, assisted: is_assisted(plan) };
        Ok(Trampoline { entry, code })
    }

    /// Where it is entered, as long as it lives.
    #[must_use]
    pub fn entry(&self) -> Entry {
        self.entry
    }

    /// Size of its code in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.code.size()
    }

    /// Makes a call, whole.
    ///
    /// # Errors
    /// As [`interpret::run`].
    ///
    /// # Safety
    /// As [`run`], which this is.
    pub unsafe fn run(
        &self,
        plan: &Plan,
        binding: &Binding,
        slots: *mut GuestSlot,
        guest: &mut dyn Guest,
    ) -> Result<(), Box<Stop>> {
        // SAFETY: the caller's promise; it is alive.
        unsafe { run(self.entry, plan, binding, slots, guest) }
    }
}

impl Entry {
    /// Whether the trampoline calls out to the interpreter, so that it must be entered by [`run`].
    #[must_use]
    pub fn is_assisted(self) -> bool {
        self.assisted
    }

    /// Makes a call, as far as it goes.
    ///
    /// # Safety
    /// If it [is assisted](Entry::is_assisted), the call is one of
    /// [`run_assisted`]. Else
    /// as [`interpret::run`], for the plan that the trampoline was made of
    /// or one that [has the same code](same_code); the trampoline is alive. `frame` is as large and as
    /// aligned as that plan's frames, and nothing else uses it.
    #[inline]
    pub unsafe fn enter(
        self,
        binding: &Binding,
        slots: *mut GuestSlot,
        frame: *mut FrameHead,
    ) -> Status {
        // SAFETY: the code does what the verified plan says; the rest is the caller's promise.
        match unsafe { (self.function)(binding, slots, frame) } {
            0 => Status::Done,
            1 => Status::Redo,
            _ => Status::Resume,
        }
    }
}

/// Makes a call through a trampoline, and goes on where it stops.
///
/// # Errors
/// As [`interpret::run`].
///
/// # Safety
/// As [`interpret::run`], for the plan that the trampoline was made of or one that [has the same
/// code](same_code); the trampoline is alive.
#[inline(never)]
pub unsafe fn run(
    entry: Entry,
    plan: &Plan,
    binding: &Binding,
    slots: *mut GuestSlot,
    guest: &mut dyn Guest,
) -> Result<(), Box<Stop>> {
    // SAFETY: the caller's promise. The frame is one of the plan; a trampoline that wants the call
    // redone has done nothing, or given everything back, and one that wants it resumed has filled the frame.
    interpret::with_frame(plan, |frame| unsafe {
        let enter = || entry.enter(binding, slots, frame);
        let status = if entry.assisted {
            run_assisted(plan, binding, slots, frame, guest, None, enter)?
        } else {
            enter()
        };
        match status {
            Status::Done => Ok(()),
            Status::Redo => interpret::run(plan, binding, slots, guest),
            Status::Resume => interpret::resume(plan, frame, guest),
        }
    })
}

/// The places that a plan's call fills, and those that its result is in.
///
/// # Errors
/// Why the plan has no trampoline, or that this does not make the call itself.
#[cfg(feature = "cranelift")]
pub fn signature_of(plan: &Plan) -> Result<signature::NativeSignature, Unsupported> {
    if calls_by_stub(plan) {
        return Err(Unsupported::ByStub);
    }
    Ok(compile::compiler()?.lower(plan, lower::Way::Array)?.signature)
}

/// Whether one trampoline serves both plans: they differ in names only.
#[must_use]
pub fn same_code(one: &Plan, other: &Plan) -> bool {
    identity(one) == identity(other)
}

/// Everything of a plan that its code depends on.
#[must_use]
pub fn identity(plan: &Plan) -> impl std::hash::Hash + Eq + std::fmt::Debug + '_ {
    use crate::signature::Variadic;
    let Plan {
        prototype,
        kind,
        lowering: _,
        ops,
        call,
        frame,
        expressions,
        ranges,
        moves,
        slots: _,
        passed,
        callees,
        handle_kinds,
        facts,
        // Only the interpreter's own ops read these, which are given the plan of the call; of shapes and roots
        // it counts whether anything goes back.
        shapes: _,
        roots: _,
        records: _,
        names: _,
        // Whether there are any decides what stands around the call.
        callbacks,
    } = plan;
    let closures = !callbacks.is_empty();
    let back = copies_go_back(plan);
    let variadic = prototype.function.variadic != Variadic::No;
    let purposes: Vec<_> = callees.iter().map(|callee| &callee.purpose).collect();
    let kinds: Vec<_> = handle_kinds.iter().map(|kind| (kind.id, kind.drop)).collect();
    let steps: Vec<_> = expressions.iter().map(|expression| &expression.steps).collect();
    let code = (ops, *call, *frame, steps, ranges, moves);
    (code, *kind, passed, purposes, kinds, *facts, (variadic, closures, back))
}

#[cfg(all(test, feature = "cranelift"))]
mod tests;
