//! Trampolines that a guest's code enters by itself, in wasm's own calling convention.
//!
//! wasmtime calls an imported function through four words, a [`FuncRef`]: code in wasm's calling
//! convention, code for the host, a type, and a context that the code is given first. Here the context is
//! a [`Context`], and the code a trampoline of the plan:
//!
//! ```text
//! guest ──> trampoline ──────────────────────────> native function ──> guest
//!               │ gate closed, check failed               │ check failed, work left
//!               └─ redo ──> ordinary host function        └─ resume ──> another one
//! ```
//!
//! Where in wasmtime's structures things are is asked of `wasmtime-environ`; that it is so is shown by
//! the host, on a small module, before the first direct call (`host::facts`).
#![expect(unsafe_code, reason = "says what may be sent between threads")]
use super::Unsupported;
use super::code_memory::Code;
use super::machine::MadeDirect;
use super::registers::{INTEGERS, VECTORS};
use crate::plan::abi::Location;
use crate::plan::binding::Gate;
use crate::plan::{Binding, Plan, WasmType};
use std::cell::Cell;
use std::ffi::c_void;
use wasmtime_environ::{HostPtr, PtrSize};

#[cfg(feature = "cranelift")]
mod clif;
#[cfg_attr(all(target_arch = "x86_64", unix), path = "direct_stubs_x86_64.rs")]
#[cfg_attr(not(all(target_arch = "x86_64", unix)), path = "direct_stubs_unsupported.rs")]
mod stubs;
#[cfg(feature = "cranelift")]
pub(super) use clif::signature;
pub use stubs::{choosing_entry, first_entry, host_entry, interpreter_entry};

/// Code that goes wherever the [`Context`] in the first argument says: what guests enter whose trampolines
/// are made when they are hot. It lies near trampolines, because jumps between regions that are far apart are
/// slow; and each function has one, because a jump that has several targets is slow, too.
#[derive(Debug)]
pub struct Stub(Code);

// SAFETY: code is the same on every thread.
unsafe impl Send for Stub {}
// SAFETY: likewise; nothing of it changes.
unsafe impl Sync for Stub {}

impl Stub {
    /// `None` where there is no memory for code.
    #[must_use]
    pub fn new() -> Option<Stub> {
        let entry = u8::try_from(std::mem::offset_of!(Context, entry)).ok()?;
        // jmp [rdi + entry]
        Code::new(&[0xff, 0x67, entry], 32).ok().map(Stub)
    }

    /// Where it is, as long as it lives.
    #[must_use]
    pub fn start(&self) -> *const c_void {
        self.0.start().cast()
    }
}

/// wasmtime's `VMFuncRef`: what a function is to guests.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct FuncRef {
    /// What the host calls.
    pub array_call: *const c_void,
    /// What guests call. wasmtime fills it for host functions when a module of a store has a use for
    /// it, before the start function of that module runs.
    pub wasm_call: *const c_void,
    /// The number of the function's type in its engine.
    pub type_index: u32,
    /// The first argument of both.
    pub vmctx: *const c_void,
}

impl FuncRef {
    /// By name: where wasmtime has each part, and where it is here.
    #[must_use]
    pub fn layout() -> [(&'static str, usize, usize); 5] {
        use std::mem::offset_of;
        let theirs = HostPtr.vm_func_ref();
        [
            ("VMFuncRef::array_call", theirs.array_call().into(), offset_of!(FuncRef, array_call)),
            ("VMFuncRef::wasm_call", theirs.wasm_call().into(), offset_of!(FuncRef, wasm_call)),
            ("VMFuncRef::type_index", theirs.type_index().into(), offset_of!(FuncRef, type_index)),
            ("VMFuncRef::vmctx", theirs.vmctx().into(), offset_of!(FuncRef, vmctx)),
            ("size of VMFuncRef", theirs.size().into(), size_of::<FuncRef>()),
        ]
    }
}

/// One import of one instance, as direct trampolines see it. Behind it, at [`Context::FRAME`], is the frame
/// of its calls: they are leaves, so that there is one at a time.
#[derive(Debug)]
#[repr(C)]
pub struct Context {
    /// What wasmtime calls a host function's context by.
    pub magic: u32,
    /// 1 when a call waits in the frame to be resumed.
    pub pending: Cell<u32>,
    /// Who may pass: the store's gate, or one that is closed.
    pub gate: Cell<*const Gate>,
    /// The ordinary function that makes whole calls.
    pub redo: Cell<*const FuncRef>,
    /// The ordinary function that does the work after a call.
    pub resume: Cell<*const FuncRef>,
    /// Where the swappable stub goes.
    pub entry: Cell<*const c_void>,
    /// Where the instance keeps `errno`.
    pub errno: *const Cell<i32>,
    /// As for every other way of a call.
    pub binding: Binding,
    /// What makes calls that come by way of [`interpreter_entry`], or chooses the function of those that come by way of
    /// [`choosing_entry`].
    pub interpret: Cell<Option<Interpret>>,
    /// What it finds the import by.
    pub import: Cell<*const c_void>,
    /// Bytes of arguments that such a call takes off the stack.
    pub popped: Cell<u32>,
}

/// Makes a call whose arguments are in those registers, and behind them on the stack; the second argument is the
/// guest's own context.
pub type Interpret =
    unsafe extern "sysv64" fn(*const Context, *const u8, *mut Registers) -> Interpreted;

/// What [`Interpret`] returns, in two registers.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Interpreted {
    /// What is left to do.
    pub halted: Halted,
    /// The guest's result, an integer or the bits of a float; the address of the chosen context.
    pub result: u64,
}

/// How far the interpreter has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Halted {
    /// The call is over.
    Never = 0,
    /// Nothing has happened: the ordinary function makes the call.
    Before = 1,
    /// Native code has run; what is left of the call is in the context's frame, to be resumed.
    After = 2,
}

/// Registers that carry arguments of a guest, as [`interpreter_entry`] lays them down:
///
/// ```text
///            arguments on the stack                             Registers::STACK
///            return address
///            the caller's frame pointer                         Registers::KEPT
///            contexts of the function and of the guest
///            xmm0 .. xmm7, their low halves
/// rsp  ->    rdx, rcx, r8, r9                                   0
/// ```
#[derive(Debug)]
#[repr(C)]
pub struct Registers {
    pub(super) integers: [u64; 4],
    pub(super) vectors: [u64; 8],
    pub(super) context: u64,
    pub(super) caller: u64,
    frame_pointer: u64,
    return_address: u64,
}

impl Registers {
    /// What an entry takes off its stack for them.
    pub const KEPT: usize = std::mem::offset_of!(Registers, frame_pointer);
    /// Where the first argument on the stack is.
    pub const STACK: usize = size_of::<Registers>();

    /// Where an argument is that the guest passes there; `None` when it is no argument.
    #[must_use]
    pub fn offset(place: Location) -> Option<u16> {
        let at = match place {
            // Behind the two contexts.
            Location::Integer(number @ 2..6) => usize::from(number - 2) * 8,
            Location::Vector(number @ 0..8) => {
                std::mem::offset_of!(Registers, vectors) + usize::from(number) * 8
            }
            Location::Stack(at) => Registers::STACK + usize::try_from(at).ok()?,
            Location::Integer(_) | Location::Vector(_) | Location::X87(_) => return None,
        };
        u16::try_from(at).ok()
    }
}

impl Context {
    /// Where the frame begins.
    pub const FRAME: usize = size_of::<Context>().next_multiple_of(Context::ALIGN);
    /// Alignment of a context, and the greatest that a frame may ask for.
    pub const ALIGN: usize = 64;
}

/// Offset of the pointer to the `VMStoreContext` in an instance's context.
#[must_use]
#[inline]
pub fn store_context() -> usize {
    HostPtr.vmcontext_store_context().into()
}

/// Offset of the stack limit in a `VMStoreContext`.
#[must_use]
#[inline]
pub fn stack_limit() -> usize {
    HostPtr.vm_store_context().stack_limit().into()
}

/// Machine code for a plan, in wasm's calling convention.
#[derive(Debug)]
pub struct Direct {
    code: Code,
    resumes: bool,
}

// SAFETY: code is the same on every thread.
unsafe impl Send for Direct {}
// SAFETY: likewise; nothing of it changes.
unsafe impl Sync for Direct {}

impl Direct {
    /// The direct trampoline of a plan.
    ///
    /// # Errors
    /// Why it has none.
    pub fn compile(plan: &Plan) -> Result<Direct, Unsupported> {
        Direct::place(&super::make::direct(plan)?, plan)
    }

    /// Gives code that was made of such a plan a place.
    pub(super) fn place(made: &MadeDirect, plan: &Plan) -> Result<Direct, Unsupported> {
        Ok(Direct { code: made.machine.place(&plan.handle_kinds)?, resumes: made.resumes })
    }

    /// Where guests enter it, as long as it lives.
    #[must_use]
    pub fn start(&self) -> *const c_void {
        self.code.start().cast()
    }

    /// Size of its code in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.code.size()
    }

    /// Whether it may leave work after the call to be done.
    #[must_use]
    pub fn resumes(&self) -> bool {
        self.resumes
    }
}

/// Whether one direct trampoline serves both plans.
#[must_use]
pub fn same_code(one: &Plan, other: &Plan) -> bool {
    one.lowering == other.lowering && super::same_code(one, other)
}

/// Where the guest's code passes each of an import's parameters: behind the two contexts, as C would.
///
/// # Errors
/// When there are references among them.
pub fn places_of(params: &[WasmType]) -> Result<Vec<Location>, Unsupported> {
    let (mut integers, mut vectors, mut stack) = (2, 0, 0_u32);
    let mut place = |ty: &WasmType| {
        type Register = fn(u8) -> Location;
        let (next, most, register, size): (&mut u8, u8, Register, u32) = match ty {
            // Both take a whole register, or a slot.
            WasmType::I32 | WasmType::I64 => (&mut integers, INTEGERS, Location::Integer, 8),
            WasmType::F32 | WasmType::F64 => (&mut vectors, VECTORS, Location::Vector, 8),
            WasmType::V128 => (&mut vectors, VECTORS, Location::Vector, 16),
            WasmType::FuncRef | WasmType::ExternRef => return Err(Unsupported::Reference),
        };
        if *next < most {
            *next += 1;
            return Ok(register(*next - 1));
        }
        let at = stack.next_multiple_of(size);
        stack = at + size;
        Ok(Location::Stack(at))
    };
    params.iter().map(&mut place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::offset_of;

    #[test]
    fn compiled_code_finds_the_words_of_a_context() {
        assert_eq!(offset_of!(Context, magic), 0);
        assert_eq!(offset_of!(Context, pending), 4);
        assert_eq!(offset_of!(Context, gate), 8);
        assert_eq!(offset_of!(Context, redo), 16);
        assert_eq!(offset_of!(Context, resume), 24);
        assert_eq!(offset_of!(Context, entry), 32);
        assert_eq!(offset_of!(Context, errno), 40);
        assert_eq!(offset_of!(Context, binding), 48);
        assert_eq!(offset_of!(Context, interpret), 96);
        assert_eq!(offset_of!(Context, import), 104);
        assert_eq!(offset_of!(Context, popped), 112);
        assert_eq!((size_of::<Context>(), Context::FRAME), (120, 128));
    }

    #[test]
    fn entries_lay_registers_down_where_they_are_looked_for() {
        assert_eq!(offset_of!(Registers, integers), 0);
        assert_eq!(offset_of!(Registers, vectors), 32);
        assert_eq!((offset_of!(Registers, context), offset_of!(Registers, caller)), (96, 104));
        // With the frame pointer and the return address the stack is aligned to 16 bytes.
        assert_eq!((Registers::KEPT, Registers::STACK), (112, 128));
        assert_eq!(Registers::offset(Location::Integer(2)), Some(0));
        assert_eq!(Registers::offset(Location::Integer(5)), Some(24));
        assert_eq!(Registers::offset(Location::Integer(1)), None);
        assert_eq!(Registers::offset(Location::Vector(7)), Some(88));
        assert_eq!(Registers::offset(Location::Stack(8)), Some(136));
        assert_eq!(offset_of!(Interpreted, result), 8);
    }

    #[test]
    fn function_references_are_wasmtimes() {
        for (part, theirs, ours) in FuncRef::layout() {
            assert_eq!(theirs, ours, "{part}");
        }
    }
}
