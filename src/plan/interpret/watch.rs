//! Watches native code (`BridgeBuilder::guard`): what a faulty library may have done to its caller.
//!
//! It looks at what a prototype promises and cannot enforce, around each call: that `const` memory is as it
//! was, that the call's frame was only written where native code was given room, that the thread rounds
//! floating-point numbers as before and blocks the signals it blocked. What the thread had is put back. It costs
//! system calls and copies, which is why it is not always done; see SECURITY.md for what it finds and what
//! nothing finds.
//!
//! Not here: what guest code does in a callback. While native code waits the guest may write its own memory,
//! so that `const` is only looked at when none ran.
use super::{CallMemory, Failure, Space, enter_native, weigh};
use crate::plan::Plan;
use crate::plan::binding::Binding;
use crate::plan::diagnose::subject_of;
use crate::plan::frame::{CallRecord, FrameHead};
use crate::plan::op::{At, Count, Direction, Op, Stub};
use crate::plan::problem::{Problem, Subject, Unruly};
use crate::plan::recorder::Bytes;
use crate::signature::TypeKind;
use std::mem::{MaybeUninit, offset_of};
use std::ops::Range;
use std::ptr;

/// Enters native code under the eyes of whoever looks: the guard, the recorder of a profile, or both.
///
/// # Safety
/// As [`super::enter_watched`].
#[cold]
#[inline(never)]
pub(super) unsafe fn enter(
    plan: &Plan,
    binding: &Binding,
    frame: *mut FrameHead,
    stub: Stub,
    memory: *const Option<Box<CallMemory>>,
    guest_has_run: impl FnOnce() -> bool,
) -> Option<Failure> {
    // SAFETY: the caller's promise; the store block lives as long as the binding, and nothing moves the frame. What
    // was copied is looked at while native code does not run.
    unsafe {
        let store = &*binding.store;
        let watch = store.guarded.then(|| Watch::begin(plan, binding, frame));
        let Some(recorder) = &store.recorder else {
            enter_native(plan, binding, frame, stub);
            return watch.and_then(|watch| watch.end(plan, frame, guest_has_run()));
        };
        let space = Space::new(plan, binding, frame);
        // Calls that guest code makes meanwhile have their own.
        let scale = recorder.scale(plan).as_ref();
        let mut bytes = Bytes::default();
        match scale {
            Some(scale) => scale.before(&space, (*memory).as_deref(), &mut bytes),
            None if plan.facts.memory => bytes = weigh::before(&space, (*memory).as_deref()),
            None => {}
        }
        if matches!(stub, Stub::Data(_)) {
            enter_native(plan, binding, frame, stub);
        } else {
            recorder.enter_native();
            enter_native(plan, binding, frame, stub);
            recorder.leave_native();
        }
        match scale {
            Some(scale) => scale.after(&space, (*memory).as_deref(), &mut bytes),
            None if plan.facts.memory => {
                bytes.add(weigh::after(&space, (*memory).as_deref()));
            }
            None => {}
        }
        recorder.bytes(bytes);
        watch.and_then(|watch| watch.end(plan, frame, guest_has_run()))
    }
}

/// How things were before the call.
struct Watch {
    rounding: Rounding,
    signals: libc::sigset_t,
    /// Ranges that native code must not write to, and their bytes.
    constant: Vec<(usize, *const u8, Vec<u8>)>,
    /// The frame, if it is known where native code may write to it.
    frame: Option<(Vec<u8>, Vec<Range<usize>>)>,
}

impl Watch {
    /// Begins to watch.
    ///
    /// # Safety
    /// All ops before the plan's call have run in this frame.
    unsafe fn begin(plan: &Plan, binding: &Binding, frame: *mut FrameHead) -> Watch {
        let space = Space::new(plan, binding, frame);
        let before = plan.ops[..plan.call.into()].iter().enumerate();
        // SAFETY: the ops have run, so that so many bytes are there.
        let lent: Vec<_> = before
            .filter_map(|(index, op)| unsafe { Some((index, lent_range(op, &space)?)) })
            .collect();
        // One call may be given the same bytes to read and to write.
        let meets_writable = |one: &LentRange| {
            lent.iter().any(|(_, other)| {
                let (start, end) = (other.start.addr(), other.start.addr() + other.len);
                !other.is_const && one.start.addr() < end && start < one.start.addr() + one.len
            })
        };
        // What deep copies lend in place is not looked at.
        let has_deep = plan.ops.iter().any(|op| matches!(op, Op::Deep(_)));
        let mut constant = Vec::new();
        for (index, one) in lent.iter().filter(|_| !has_deep) {
            if one.is_const && !meets_writable(one) {
                // SAFETY: as above.
                let bytes = unsafe { std::slice::from_raw_parts(one.start, one.len) };
                constant.push((*index, one.start, bytes.to_vec()));
            }
        }
        let frame = writable(plan).map(|writable| {
            let size = usize::from(plan.frame.size);
            // SAFETY: the frame has that size; parts of it may never have been written.
            let bytes = unsafe { bytes_of(frame.cast::<u8>(), size) };
            (bytes, writable)
        });
        Watch { rounding: Rounding::now(), signals: signals(), constant, frame }
    }

    /// What is wrong, if anything. The thread is as it was afterwards.
    ///
    /// # Safety
    /// As [`Watch::begin`]; native code has returned.
    unsafe fn end(
        self,
        plan: &Plan,
        frame: *mut FrameHead,
        guest_has_run: bool,
    ) -> Option<Failure> {
        let about = |problem| (Subject::Call, Problem::Unruly(problem));
        let rounding = Rounding::now();
        let signals_now = signals();
        let mut found = None;
        if rounding != self.rounding {
            self.rounding.restore();
            found = Some(about(Unruly::FloatingPoint));
        }
        if !is_same(&signals_now, &self.signals) {
            // SAFETY: the set is one that the thread had.
            unsafe {
                libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.signals, ptr::null_mut())
            };
            found = found.or_else(|| Some(about(Unruly::Signals)));
        }
        if let Some((before, writable)) = &self.frame {
            // SAFETY: as in `begin`.
            let now = unsafe { bytes_of(frame.cast::<u8>(), before.len()) };
            let changed = (0..before.len()).find(|at| {
                before[*at] != now[*at] && !writable.iter().any(|range| range.contains(at))
            });
            if changed.is_some() {
                found = found.or_else(|| Some(about(Unruly::Frame)));
            }
        }
        for (index, start, bytes) in self.constant.iter().filter(|_| !guest_has_run) {
            // SAFETY: guest memory does not move while no guest code runs, and is not given back.
            let now = unsafe { std::slice::from_raw_parts(*start, bytes.len()) };
            if now != &bytes[..] {
                let subject = subject_of(plan, *index);
                found = found.or(Some((subject, Problem::Unruly(Unruly::Constant))));
            }
        }
        found.map(|told| Failure::Told(Box::new(told)))
    }
}

/// Bytes of the guest's memory that native code is given.
struct LentRange {
    start: *const u8,
    len: usize,
    is_const: bool,
}

/// What an op lends, in place.
///
/// # Safety
/// The op has run.
unsafe fn lent_range(op: &Op, space: &Space<'_>) -> Option<LentRange> {
    // SAFETY: the caller's promise.
    let (at, len, is_const) = unsafe {
        match *op {
            Op::Buffer { to, size, count, param, .. } => {
                let count = match count {
                    Count::Exactly(count) => Some(u64::from(count)),
                    Count::Of(operand) => space.count(operand),
                };
                let is_const = points_to_const(space.plan, param);
                (space.read::<u64>(to), count?.checked_mul(size.into())?, is_const)
            }
            Op::Text { to, extent, .. } => (space.read::<u64>(to), space.read::<u64>(extent), true),
            _ => return None,
        }
    };
    let (at, len) = (usize::try_from(at).ok()?, usize::try_from(len).ok()?);
    (at != 0).then(|| LentRange { start: ptr::with_exposed_provenance(at), len, is_const })
}

fn points_to_const(plan: &Plan, param: u8) -> bool {
    let param = plan.prototype.function.params.get(usize::from(param));
    match param.map(|param| &param.ty.kind) {
        Some(TypeKind::Pointer(pointee) | TypeKind::Array { element: pointee, .. }) => {
            pointee.quals.is_const
        }
        _ => false,
    }
}

/// Where in the frame native code, and the stub that enters it, may write; `None` when only ops know that
/// are not looked at here.
fn writable(plan: &Plan) -> Option<Vec<Range<usize>>> {
    let record = offset_of!(FrameHead, record);
    let record = record..record + size_of::<CallRecord>();
    let mut all = vec![record];
    let mut add = |at: At, len: usize| all.push(at.offset()..at.offset() + len);
    for op in &plan.ops[..plan.call.into()] {
        match *op {
            Op::Cell { cell, direction: Direction::Out | Direction::InOut, .. }
            | Op::PointerCell { cell, .. } => {
                add(cell, 8);
            }
            // A callee may write to its own argument.
            Op::Address { of, zeroed: 0, .. } => add(of, usize::from(plan.frame.size)),
            Op::Address { of, zeroed, .. } => add(of, zeroed.into()),
            Op::Deep(_) | Op::Callback(_) | Op::Life(_) => return None,
            _ => {}
        }
    }
    Some(all)
}

/// A copy of memory of which parts may never have been written.
///
/// # Safety
/// So many bytes are there.
#[cfg(target_arch = "x86_64")]
unsafe fn bytes_of(start: *const u8, len: usize) -> Vec<u8> {
    let mut bytes = vec![0u8; len];
    // SAFETY: the caller's promise. The machine knows no bytes that were never written: what it copies is
    // whatever is there, and stays so until somebody writes it.
    unsafe {
        std::arch::asm!(
            "rep movsb",
            inout("rsi") start => _, inout("rdi") bytes.as_mut_ptr() => _, inout("rcx") len => _,
            options(nostack, preserves_flags)
        );
    }
    bytes
}

/// Not looked at elsewhere.
#[cfg(not(target_arch = "x86_64"))]
unsafe fn bytes_of(_: *const u8, _: usize) -> Vec<u8> {
    Vec::new()
}

fn signals() -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: nothing is changed; all zeros are a set.
    unsafe {
        libc::pthread_sigmask(libc::SIG_SETMASK, ptr::null(), set.as_mut_ptr());
        set.assume_init()
    }
}

fn is_same(a: &libc::sigset_t, b: &libc::sigset_t) -> bool {
    // SAFETY: sets are bits that were zero before they were filled.
    (1..=64).all(|signal| unsafe { libc::sigismember(a, signal) == libc::sigismember(b, signal) })
}

/// How a thread rounds, and which floating-point exceptions it hears of: MXCSR without its flags, and the control
/// word of the x87 unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rounding {
    sse: u32,
    x87: u16,
}

#[cfg(target_arch = "x86_64")]
impl Rounding {
    /// Bits of MXCSR that are set by what was calculated.
    const FLAGS: u32 = 0x3f;

    fn now() -> Rounding {
        let (mut sse, mut x87) = (0u32, 0u16);
        // SAFETY: both are stored, nothing else happens.
        unsafe {
            std::arch::asm!(
                "stmxcsr [{sse}]", "fnstcw [{x87}]",
                sse = in(reg) &raw mut sse, x87 = in(reg) &raw mut x87, options(nostack, preserves_flags)
            );
        }
        Rounding { sse: sse & !Rounding::FLAGS, x87 }
    }

    fn restore(self) {
        // SAFETY: these are the words that the thread had.
        unsafe {
            std::arch::asm!(
                "ldmxcsr [{sse}]", "fldcw [{x87}]",
                sse = in(reg) &raw const self.sse, x87 = in(reg) &raw const self.x87,
                options(nostack, preserves_flags)
            );
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
impl Rounding {
    fn now() -> Rounding {
        Rounding { sse: 0, x87: 0 }
    }

    fn restore(self) {}
}
