//! What one op can reach: the frame, the guest's values, the guest's memory.
//!
//! Small helpers, each with one pointer operation. Offsets have been checked by the verifier;
//! guest addresses are checked here.
use super::load_integer;
use crate::plan::Plan;
use crate::plan::binding::{Binding, StoreBlock};
use crate::plan::expression::{Environment, EvaluationError};
use crate::plan::frame::{FrameHead, GuestSlot};
use crate::plan::op::{At, Operand, Width};
use crate::plan::{Callee, Purpose};
use std::ffi::c_void;
use std::ptr;

/// A call's frame and binding.
#[derive(Clone, Copy)]
pub struct Space<'a> {
    pub plan: &'a Plan,
    pub binding: &'a Binding,
    pub frame: *mut FrameHead,
}

impl<'a> Space<'a> {
    #[inline]
    pub fn new(plan: &'a Plan, binding: &'a Binding, frame: *mut FrameHead) -> Space<'a> {
        Space { plan, binding, frame }
    }

    /// # Safety
    /// `at` and the bytes of a `T` behind it lie inside the frame and are initialised.
    #[inline]
    pub unsafe fn read<T: Copy>(&self, at: At) -> T {
        // SAFETY: the caller's promise; unaligned, because operands may be parts of wider places.
        unsafe { self.frame.cast::<u8>().add(at.offset()).cast::<T>().read_unaligned() }
    }

    /// # Safety
    /// `at` and the bytes of a `T` behind it lie inside the frame.
    #[inline]
    pub unsafe fn write<T: Copy>(&self, at: At, value: T) {
        // SAFETY: the caller's promise.
        unsafe { self.frame.cast::<u8>().add(at.offset()).cast::<T>().write_unaligned(value) }
    }

    /// The address of a place of the frame.
    #[inline]
    pub fn address(&self, at: At) -> u64 {
        self.frame.expose_provenance() as u64 + at.offset() as u64
    }

    /// # Safety
    /// `slot` is one of the plan's.
    #[inline]
    pub unsafe fn slot(&self, slot: u16) -> *mut GuestSlot {
        // SAFETY: the frame's head is written first of all; the caller has as many slots as the
        // plan.
        unsafe { (*self.frame).guest.add(usize::from(slot)) }
    }

    /// The low 32 bits of a guest value.
    ///
    /// # Safety
    /// As [`Space::slot`]; the slot is initialised.
    #[inline]
    pub unsafe fn slot32(&self, slot: u16) -> u32 {
        // SAFETY: the caller's promise; little-endian hosts only.
        unsafe { self.slot(slot).cast::<u32>().read() }
    }

    /// A guest value of 64 bits.
    ///
    /// # Safety
    /// As [`Space::slot32`].
    #[inline]
    pub unsafe fn slot64(&self, slot: u16) -> u64 {
        // SAFETY: the caller's promise.
        unsafe { self.slot(slot).cast::<u64>().read() }
    }

    /// A guest pointer.
    ///
    /// # Safety
    /// As [`Space::slot32`].
    #[inline]
    pub unsafe fn pointer(&self, slot: u16) -> u64 {
        // SAFETY: the slot is as wide as the data model's pointers.
        unsafe {
            if self.plan.facts.wide { self.slot64(slot) } else { u64::from(self.slot32(slot)) }
        }
    }

    /// An integer of the frame, exactly.
    ///
    /// # Safety
    /// The operand lies inside the frame and is initialised.
    #[inline]
    pub unsafe fn integer(&self, operand: Operand) -> i128 {
        let at = operand.at;
        // SAFETY: the caller's promise.
        unsafe {
            match operand.width {
                Width::U8 => i128::from(self.read::<u8>(at)),
                Width::I8 => i128::from(self.read::<i8>(at)),
                Width::U16 => i128::from(self.read::<u16>(at)),
                Width::I16 => i128::from(self.read::<i16>(at)),
                Width::U32 => i128::from(self.read::<u32>(at)),
                Width::I32 => i128::from(self.read::<i32>(at)),
                Width::U64 => i128::from(self.read::<u64>(at)),
                Width::I64 => i128::from(self.read::<i64>(at)),
                Width::I128 => self.read::<i128>(at),
            }
        }
    }

    /// A count of the frame; `None` when it is negative.
    ///
    /// # Safety
    /// As [`Space::integer`].
    #[inline]
    pub unsafe fn count(&self, operand: Operand) -> Option<u64> {
        // SAFETY: the caller's promise.
        unsafe {
            match operand.width {
                Width::U32 => Some(u64::from(self.read::<u32>(operand.at))),
                Width::U64 => Some(self.read::<u64>(operand.at)),
                _ => u64::try_from(self.integer(operand)).ok(),
            }
        }
    }

    /// The store block.
    #[inline]
    pub fn store(&self) -> &'a StoreBlock {
        // SAFETY: whoever made the binding keeps its store block alive as long (`run`'s contract).
        unsafe { &*self.binding.store }
    }

    /// The `len` bytes of guest memory at `address`; `None` when they are not all inside.
    ///
    /// # Safety
    /// Nothing writes to the memory while the slice is used.
    pub unsafe fn guest_bytes(&self, address: u64, len: u64) -> Option<&'a [u8]> {
        let start = self.inside(address, len)?;
        // SAFETY: the range is inside the memory, which stays where it is until guest code runs.
        Some(unsafe { std::slice::from_raw_parts(start, usize::try_from(len).ok()?) })
    }

    /// The string that an op has placed: address at `text`, length at `extent`; without its
    /// terminator.
    ///
    /// # Safety
    /// A [`Op::Text`](crate::plan::op::Op::Text) that refuses NULL has placed it. Nothing writes to
    /// it while the slice is used.
    pub unsafe fn format(&self, text: At, extent: At) -> &'a [u8] {
        // SAFETY: the caller's promise; its bytes are the guest's memory, which stays where it is
        // until guest code runs, or a copy that lives as long as the call.
        unsafe {
            let start = ptr::with_exposed_provenance::<u8>(self.read::<u64>(text) as usize);
            let length = self.read::<u64>(extent) as usize;
            std::slice::from_raw_parts(start, length.saturating_sub(1))
        }
    }

    /// The native address of `len` bytes at `address`; `None` when they are not all inside.
    #[inline]
    pub fn inside(&self, address: u64, len: u64) -> Option<*mut u8> {
        let size = self.binding.memory_len.get();
        if len > size || address > size - len {
            return None;
        }
        Some(self.binding.memory_base.get().wrapping_add(usize::try_from(address).ok()?))
    }

    /// Writes to guest memory; `None` when the range is not inside.
    ///
    /// # Safety
    /// Nothing else uses the range at the same time.
    pub unsafe fn write_guest(&self, address: u64, bytes: &[u8]) -> Option<()> {
        let to = self.inside(address, u64::try_from(bytes.len()).ok()?)?;
        // SAFETY: the range is inside the guest's memory, which does not overlap the host's bytes.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
        Some(())
    }

    /// Size of a guest pointer in bytes.
    #[inline]
    pub fn pointer_size(&self) -> u64 {
        if self.plan.facts.wide { 8 } else { 4 }
    }

    /// The address of a callee.
    ///
    /// # Safety
    /// `callee` is one of the plan's.
    pub unsafe fn callee(&self, callee: u16) -> (*const c_void, &'a Callee) {
        let index = usize::from(callee);
        // SAFETY: the binding has as many addresses as its plan has callees.
        (unsafe { *self.binding.callees.add(index) }, &self.plan.callees[index])
    }
}

/// Expressions read the frame and call pure functions of the library.
pub struct FrameEnvironment<'a>(pub Space<'a>);

impl Environment for FrameEnvironment<'_> {
    fn load(&self, operand: Operand) -> i128 {
        // SAFETY: the verifier has shown that earlier ops wrote what expressions read.
        unsafe { self.0.integer(operand) }
    }

    fn field(&self, _: u32, _: Width) -> i128 {
        0 // the verifier has shown that no expression of an op reads a field
    }

    fn behind(&self, at: At, offset: u32, width: Width) -> Result<i128, EvaluationError> {
        // SAFETY: the verifier has shown that the address of a copy was placed there, which lives as
        // long as the call, and that the integer lies inside of it.
        unsafe {
            let copy = self.0.read::<u64>(at);
            if copy == 0 {
                return Err(EvaluationError::Null);
            }
            let copy = ptr::with_exposed_provenance::<u8>(copy as usize);
            Ok(load_integer(copy.add(offset as usize), width))
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the value fits the parameter; of the result only the low bits are its own"
    )]
    fn call(&mut self, callee: u16, arguments: &[i128]) -> Result<i128, EvaluationError> {
        // SAFETY: the verifier has shown that the callee exists.
        let (address, callee) = unsafe { self.0.callee(callee) };
        let Purpose::Pure { params, result } = &callee.purpose else { return Ok(0) };
        let mut registers = [0u64; 6];
        for ((register, argument), width) in registers.iter_mut().zip(arguments).zip(params.iter())
        {
            // A bound that is computed from another number than the call passes would be none.
            if !width.holds(*argument) {
                return Err(EvaluationError::Argument(*argument));
            }
            *register = *argument as u64;
        }
        // SAFETY: the callee is one of the plan's, pure; see `call_pure`.
        let raw = unsafe { call_pure(address, registers) };
        Ok(match result {
            Width::U8 => i128::from(raw as u8),
            Width::I8 => i128::from(raw as i8),
            Width::U16 => i128::from(raw as u16),
            Width::I16 => i128::from(raw as i16),
            Width::U32 => i128::from(raw as u32),
            Width::I32 => i128::from(raw as i32),
            Width::U64 => i128::from(raw),
            Width::I64 | Width::I128 => i128::from(raw as i64),
        })
    }

    #[inline]
    fn load_small(&self, operand: Operand) -> Option<i64> {
        let Operand { at, width } = operand;
        // SAFETY: as in `load`.
        unsafe {
            match width {
                Width::I32 => Some(self.0.read::<i32>(at).into()),
                Width::U32 => Some(self.0.read::<u32>(at).into()),
                Width::I64 => Some(self.0.read::<i64>(at)),
                Width::U64 => self.0.read::<u64>(at).try_into().ok(),
                _ => self.0.integer(operand).try_into().ok(),
            }
        }
    }

    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "only the low bits of a result are its own"
    )]
    fn call_small(&mut self, callee: u16, arguments: &[i64]) -> Option<i64> {
        // SAFETY: as in `call`.
        let (address, callee) = unsafe { self.0.callee(callee) };
        let Purpose::Pure { params, result } = &callee.purpose else { return None };
        let mut registers = [0u64; 6];
        for ((register, &argument), width) in registers.iter_mut().zip(arguments).zip(params.iter())
        {
            let fits = match width {
                Width::I32 => i32::try_from(argument).is_ok(),
                Width::I64 => true,
                Width::U64 => argument >= 0,
                width => width.holds(argument.into()),
            };
            if !fits {
                return None;
            }
            *register = argument.cast_unsigned();
        }
        if !matches!(result, Width::I32 | Width::U32 | Width::I64) {
            return None;
        }
        // SAFETY: as in `call`.
        let raw = unsafe { call_pure(address, registers) };
        Some(match result {
            Width::I32 => (raw as i32).into(),
            Width::U32 => (raw as u32).into(),
            _ => raw.cast_signed(),
        })
    }
}

/// Calls a pure function of the library.
///
/// # Safety
/// It is one of a plan's callees, and the registers hold its arguments.
#[inline]
unsafe fn call_pure(address: *const c_void, registers: [u64; 6]) -> u64 {
    let [a, b, c, d, e, f] = registers;
    type Six = unsafe extern "C" fn(u64, u64, u64, u64, u64, u64) -> u64;
    // SAFETY: the binding's callees are functions of the types in the plan: integers and handles in at most
    // six integer registers. Registers beyond its own parameters are of no concern to a C function.
    unsafe { std::mem::transmute::<*const c_void, Six>(address)(a, b, c, d, e, f) }
}

/// As [`FrameEnvironment`], for an expression that belongs to an object.
pub struct ObjectEnvironment<'a> {
    pub space: Space<'a>,
    /// The object, as the host has it; null where the expression belongs to none.
    pub object: *const u8,
}

impl Environment for ObjectEnvironment<'_> {
    fn load(&self, operand: Operand) -> i128 {
        FrameEnvironment(self.space).load(operand)
    }

    fn field(&self, offset: u32, width: Width) -> i128 {
        // SAFETY: the verifier has shown that only expressions of objects read fields, and that those
        // lie inside of them; the object lives as long as this.
        unsafe { load_integer(self.object.add(offset as usize), width) }
    }

    fn behind(&self, at: At, offset: u32, width: Width) -> Result<i128, EvaluationError> {
        FrameEnvironment(self.space).behind(at, offset, width)
    }

    fn call(&mut self, callee: u16, arguments: &[i128]) -> Result<i128, EvaluationError> {
        FrameEnvironment(self.space).call(callee, arguments)
    }
}
