//! A running call seen from outside: what its frame, its binding and its guest's memory hold.
//!
//! Read only. Everything is read by value: no reference into the frame or into guest memory is
//! ever made, because native code, or another thread of the guest, may hold pointers there.
#![expect(unsafe_code, reason = "reads a frame and guest memory through their raw pointers")]
use crate::plan::expression::Environment;
use crate::plan::frame::{FrameHead, GuestSlot};
use crate::plan::op::{At, Operand, Width};
use crate::plan::{Binding, Plan, Purpose, StoreBlock, WasmType};
use std::ffi::c_void;
use std::sync::atomic::{AtomicU8, Ordering};

/// A call that has stopped.
pub(super) struct View<'a> {
    plan: &'a Plan,
    frame: *const FrameHead,
}

impl<'a> View<'a> {
    /// # Safety
    /// That of [`super::diagnose`], for as long as the view lives.
    pub(super) unsafe fn new(plan: &'a Plan, frame: *const FrameHead) -> View<'a> {
        View { plan, frame }
    }

    /// The guest value of that slot, as 64 bits: an `i32` is zero-extended.
    pub(super) fn slot(&self, slot: u16) -> u64 {
        // SAFETY: `new` was promised a live frame whose `guest` points at as many slots as the
        // plan's lowering has parameters, and the verifier has shown that ops name only those.
        let value: GuestSlot = unsafe { (*self.frame).guest.add(usize::from(slot)).read() };
        match self.slot_type(slot) {
            Some(WasmType::I32 | WasmType::F32) => value.low & 0xffff_ffff,
            _ => value.low,
        }
    }

    /// The wasm type of that slot.
    pub(super) fn slot_type(&self, slot: u16) -> Option<WasmType> {
        self.plan.lowering.params.get(usize::from(slot)).copied()
    }

    fn bytes<const N: usize>(&self, at: At) -> [u8; N] {
        // SAFETY: `new` was promised a pointer to a whole frame of this plan, and the verifier has
        // shown that what ops read ends inside of it. Bytes have no alignment.
        unsafe { self.frame.cast::<u8>().add(at.offset()).cast::<[u8; N]>().read() }
    }

    /// An integer of the frame.
    pub(super) fn operand(&self, operand: Operand) -> i128 {
        let at = operand.at;
        match operand.width {
            Width::U8 => i128::from(u8::from_le_bytes(self.bytes(at))),
            Width::I8 => i128::from(i8::from_le_bytes(self.bytes(at))),
            Width::U16 => i128::from(u16::from_le_bytes(self.bytes(at))),
            Width::I16 => i128::from(i16::from_le_bytes(self.bytes(at))),
            Width::U32 => i128::from(u32::from_le_bytes(self.bytes(at))),
            Width::I32 => i128::from(i32::from_le_bytes(self.bytes(at))),
            Width::U64 => i128::from(u64::from_le_bytes(self.bytes(at))),
            Width::I64 => i128::from(i64::from_le_bytes(self.bytes(at))),
            Width::I128 => i128::from_le_bytes(self.bytes(at)),
        }
    }

    fn binding(&self) -> &Binding {
        // SAFETY: `new` was promised a live frame whose binding is alive; its mutable parts are
        // `Cell`s, and the frame stays on its thread.
        unsafe { &*(*self.frame).binding }
    }

    /// The block of the store that the call runs in.
    pub(super) fn store(&self) -> &StoreBlock {
        // SAFETY: a binding keeps its store block alive, and all of its parts are `Cell`s or
        // behind a `RefCell`.
        unsafe { &*self.binding().store }
    }

    /// Size of the guest's memory in bytes; `None` before the memory is known.
    pub(super) fn memory_size(&self) -> Option<u64> {
        let binding = self.binding();
        (!binding.memory_base.get().is_null()).then(|| binding.memory_len.get())
    }

    /// One byte of the guest's memory, if it has that one.
    fn memory_byte(&self, address: u64) -> Option<u8> {
        let size = self.memory_size()?;
        let offset = usize::try_from(address).ok().filter(|_| address < size)?;
        // SAFETY: the memory has `size` bytes at its base, and memories only grow. Other threads
        // may write there at the same time, therefore the atomic load; `AtomicU8` has alignment 1.
        let byte = unsafe { AtomicU8::from_ptr(self.binding().memory_base.get().add(offset)) };
        Some(byte.load(Ordering::Relaxed))
    }

    /// An integer of the guest's memory, if all of it is inside.
    pub(super) fn memory_integer(&self, address: u64, width: Width) -> Option<i128> {
        let mut bits = 0_u128;
        for index in (0..width.bytes()).rev() {
            let address = address.checked_add(u64::try_from(index).ok()?)?;
            bits = bits << 8 | u128::from(self.memory_byte(address)?);
        }
        Some(extend(bits, width))
    }

    /// Length in bytes, terminator included, of the string of elements of `unit` bytes at that
    /// address; `None` when it does not end inside the memory.
    pub(super) fn string_length(&self, address: u64, unit: u8) -> Option<u64> {
        let size = self.memory_size()?;
        let unit = u64::from(unit.max(1));
        let mut next = address;
        while next.checked_add(unit).is_some_and(|end| end <= size) {
            if (next..next + unit).all(|address| self.memory_byte(address) == Some(0)) {
                return Some(next + unit - address);
            }
            next += unit;
        }
        None
    }

    fn callee(&self, index: u16) -> Option<*const c_void> {
        self.plan.callees.get(usize::from(index))?;
        // SAFETY: a binding has an address for each of its plan's callees, and there is one of
        // that index.
        Some(unsafe { self.binding().callees.add(usize::from(index)).read() })
    }
}

/// Expressions are computed again as the op that failed did it; what they call is `const` or
/// `pure`.
impl Environment for View<'_> {
    fn load(&self, operand: Operand) -> i128 {
        self.operand(operand)
    }

    fn call(&mut self, callee: u16, arguments: &[i128]) -> i128 {
        type Native = unsafe extern "C" fn(u64, u64, u64, u64, u64, u64) -> u64;
        let purpose = self.plan.callees.get(usize::from(callee)).map(|callee| &callee.purpose);
        let (Some(Purpose::Pure { params, result }), Some(address)) =
            (purpose, self.callee(callee))
        else {
            return 0;
        };
        let mut values = [0; 6];
        for ((value, argument), width) in values.iter_mut().zip(arguments).zip(params) {
            *value = low64(extend(argument.cast_unsigned(), *width));
        }
        let [a, b, c, d, e, f] = values;
        // SAFETY: whoever granted the prototype of a `Purpose::Pure` promises that this is a
        // function without side effects of integer parameters, at most six, and an integer
        // result; all travel in integer registers, and registers beyond those that it has are
        // ignored. Where the purpose says so a handle's native pointer is among the arguments:
        // that of a handle that the call has checked and that is still alive.
        let returned =
            unsafe { std::mem::transmute::<*const c_void, Native>(address)(a, b, c, d, e, f) };
        extend(u128::from(returned), *result)
    }
}

/// The low bits of `bits`, as many as `width` has, as the integer that they are.
fn extend(bits: u128, width: Width) -> i128 {
    let unused = 128 - 8 * u32::try_from(width.bytes()).unwrap_or(16);
    let high = bits << unused;
    if width.is_signed() { high.cast_signed() >> unused } else { (high >> unused).cast_signed() }
}

/// Its low 64 bits.
fn low64(value: i128) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = value.to_le_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}
