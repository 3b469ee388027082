//! Templates: ready-made code for calls of popular shapes, chosen when the plan is built.
//!
//! A template runs a plan whose arguments all travel in registers and need at most a conversion, a
//! bounds check or the search for a terminator, and whose result needs at most a conversion:
//! `cos`, `memset`, `crc32`, `strlen`. There is no frame and no dispatch; integer conversions are
//! two shifts and a mask whatever the type.
//!
//! A template never makes an error. When a check fails it has not called anything and says
//! [`Fallback::Redo`]: the interpreter runs the whole plan and makes the error. When the result
//! does not fit, the function has run: [`Fallback::Resume`] carries the raw result.
//!
//! Not here: plans with handles, cells, `errno`, conditions, stack arguments or an *after* section;
//! [`Template::of`] says why there is none, and the interpreter runs them.
#![expect(unsafe_code, reason = "native functions are called through their addresses")]
use super::Plan;
use super::binding::Binding;
use super::frame::{FrameLayout, GuestSlot};
use super::interpret::{Both, Fallback, Misfit, Reply, give};
use super::op::{At, Count, Null, Op, Operand, Returns, Stub, Width};
use crate::signature::Variadic;
use std::ffi::c_void;
use std::mem::transmute;

/// At most so many integer registers. With more of them, or with both kinds, the interpreter is as
/// fast: a template's words have to be kept somewhere while the others are loaded.
const WORDS: usize = 3;
/// At most so many vector registers.
const DOUBLES: usize = 2;
/// At most so many pointers.
const POINTERS: usize = 3;

/// Code and data for one plan.
#[derive(Clone, Debug)]
pub struct Template {
    shape: Shape,
    words: [Argument; WORDS],
    doubles: [Argument; DOUBLES],
    pointers: [Pointer; POINTERS],
    pointer_count: u8,
    /// Every word has 32 bits, zero-extended.
    narrow: bool,
    returns: Returns,
    reply: Reply,
}

/// Which registers are loaded. Loading one too many costs less than telling them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// Up to three integer registers.
    Words,
    /// Up to two vector registers.
    Doubles,
}

/// Why a plan has no template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    /// Templates are for one processor.
    #[error("not on this processor")]
    Machine,
    /// Neither arguments nor a result.
    #[error("nothing to convert")]
    Empty,
    /// The plan has an *after* section.
    #[error("work after the call")]
    After,
    /// `__errno`
    #[error("keeps errno")]
    Errno,
    /// The function may call guest functions.
    #[error("may call back")]
    CallsBack,
    /// A 64-bit guest memory.
    #[error("64-bit memory")]
    Wide,
    /// A `bool` argument.
    #[error("a bool argument")]
    Bool,
    /// A string that is copied, or must be told apart from a buffer.
    #[error("a string beside a buffer")]
    Text,
    /// `__range`, `__requires`
    #[error("a range or condition")]
    Condition,
    /// A count or argument that is computed.
    #[error("a computed count")]
    Computed,
    /// A pointer to a value that passes through memory of the call.
    #[error("a value in memory")]
    Cell,
    /// A handle.
    #[error("a handle")]
    Handle,
    /// Too many integers and pointers.
    #[error("more than {WORDS} integers and pointers")]
    Words,
    /// Too many floating-point arguments.
    #[error("more than {DOUBLES} floating-point arguments")]
    Doubles,
    /// Floating-point arguments of a variadic function, which is told their number in a register.
    #[error("floating-point arguments of a variadic function")]
    VariadicFloat,
    /// Integers and floating-point numbers.
    #[error("both integers and floating-point numbers")]
    Mixed,
    /// A struct, or a scalar of more than 64 bits.
    #[error("a struct or a scalar of more than 64 bits")]
    Aggregate,
    /// Data of a library.
    #[error("nothing is called")]
    Data,
    /// A plan of the `ffi` API.
    #[error("no guest")]
    NoGuest,
    /// Too many pointers.
    #[error("more than {POINTERS} pointers")]
    Pointers,
}

/// Where an argument comes from and how it is converted: the low bits, sign- or zero-extended.
#[derive(Clone, Copy, Debug, Default)]
struct Argument {
    slot: u16,
    /// 64 less the width in bits.
    shift: u8,
    /// All ones to keep the sign, the width's bits to drop it. 0 for a register that is not used
    /// (then any slot may be read that exists).
    mask: u64,
}

/// A word that is a guest pointer, and what is behind it.
#[derive(Clone, Copy, Debug)]
struct Pointer {
    word: u8,
    align: u8,
    null: Null,
    extent: Extent,
}

#[derive(Clone, Copy, Debug)]
enum Extent {
    /// So many bytes.
    Bytes(u64),
    /// As many elements of `size` bytes as that word says, unsigned.
    Word { word: u8, size: u32 },
    /// Up to the first zero byte.
    Text,
}

impl Argument {
    fn new(slot: u16, width: Width) -> Argument {
        let bits = 8 * width.bytes();
        let mask = if width.is_signed() || bits == 64 { u64::MAX } else { (1 << bits) - 1 };
        Argument { slot, shift: u8::try_from(64 - bits).unwrap_or(0), mask }
    }

    /// # Safety
    /// The slot exists; its low bytes are initialised as far as the width goes.
    #[inline]
    unsafe fn load(self, slots: *const GuestSlot) -> u64 {
        let slot = slots.wrapping_add(usize::from(self.slot));
        // A wasm caller has just stored an `i32` with four bytes: loading more would wait until
        // the store has reached the cache.
        // SAFETY: the slot exists, and of an `i32` its low half is initialised.
        let raw = unsafe {
            if self.shift == 0 {
                slot.cast::<u64>().read()
            } else {
                slot.cast::<u32>().read().into()
            }
        };
        ((raw << self.shift).cast_signed() >> self.shift).cast_unsigned() & self.mask
    }
}

impl Argument {
    /// As [`Argument::load`], of 32 bits that are zero-extended.
    ///
    /// # Safety
    /// As there.
    #[inline(always)]
    unsafe fn load_narrow(self, slots: *const GuestSlot) -> u64 {
        // SAFETY: the caller's promise.
        unsafe { slots.add(usize::from(self.slot)).cast::<u32>().read().into() }
    }
}

impl Template {
    /// The template for a plan.
    ///
    /// # Errors
    /// Why there is none: the interpreter runs the plan.
    pub fn of(plan: &Plan) -> Result<Template, Unsupported> {
        if cfg!(not(all(target_arch = "x86_64", unix))) {
            return Err(Unsupported::Machine);
        }
        if plan.facts.after {
            return Err(Unsupported::After);
        }
        if plan.facts.errno {
            return Err(Unsupported::Errno);
        }
        if !plan.facts.leaf {
            return Err(Unsupported::CallsBack);
        }
        if plan.facts.wide {
            return Err(Unsupported::Wide);
        }
        if plan.lowering.params.is_empty() && plan.lowering.results.is_empty() {
            return Err(Unsupported::Empty);
        }
        let unused = Argument { slot: 0, shift: 0, mask: 0 };
        let none = Pointer { word: 0, align: 1, null: Null::Refused, extent: Extent::Text };
        let mut template = Template {
            shape: Shape::Words,
            words: [unused; WORDS],
            doubles: [unused; DOUBLES],
            pointers: [none; POINTERS],
            pointer_count: 0,
            narrow: false,
            returns: Returns::Void,
            reply: Reply::of(Returns::Void),
        };
        for op in &plan.ops[..usize::from(plan.call)] {
            template.add(op)?;
        }
        let Some(Op::Call { stub, returns }) = plan.ops.get(usize::from(plan.call)) else {
            return Err(Unsupported::After);
        };
        if let Stub::Data(_) = stub {
            return Err(Unsupported::Data);
        }
        (template.returns, template.reply) = (*returns, Reply::of(*returns));
        let narrow = |word: &Argument| word.mask == 0 || word.mask == u32::MAX.into();
        template.narrow = template.words.iter().all(narrow);
        let used = |arguments: &[Argument]| arguments.iter().any(|a| a.mask != 0);
        template.shape = match (used(&template.words), used(&template.doubles)) {
            (_, false) => Shape::Words,
            (false, true) if plan.prototype.function.variadic != Variadic::No => {
                return Err(Unsupported::VariadicFloat);
            }
            (false, true) => Shape::Doubles,
            (true, true) => return Err(Unsupported::Mixed),
        };
        Ok(template)
    }

    fn add(&mut self, op: &Op) -> Result<(), Unsupported> {
        match *op {
            Op::Int8 { slot, to } => self.word(slot, to, Width::I8),
            Op::UInt8 { slot, to } => self.word(slot, to, Width::U8),
            Op::Int16 { slot, to } => self.word(slot, to, Width::I16),
            Op::UInt16 { slot, to } => self.word(slot, to, Width::U16),
            Op::Int32 { slot, to } | Op::ULong32 { slot, to } => self.word(slot, to, Width::U32),
            Op::Long32 { slot, to } => self.word(slot, to, Width::I32),
            Op::Int64 { slot, to } => self.word(slot, to, Width::U64),
            Op::Float32 { slot, to } => self.double(slot, to, Width::U32),
            Op::Float64 { slot, to } => self.double(slot, to, Width::U64),
            Op::Buffer { slot, to, count, size, align, null, param: _, extent: _ } => {
                self.word(slot, to, Width::U32)?;
                let extent = match count {
                    Count::Exactly(count) => {
                        let bytes = u64::from(count).checked_mul(u64::from(size));
                        Extent::Bytes(bytes.ok_or(Unsupported::Computed)?)
                    }
                    Count::Of(Operand { at, width: Width::U32 | Width::U64 }) => {
                        let word = word_of(at).map_err(|_| Unsupported::Computed)?;
                        Extent::Word { word, size }
                    }
                    Count::Of(_) => return Err(Unsupported::Computed),
                };
                self.pointer(Pointer { word: word_of(to)?, align, null, extent })
            }
            Op::Text { slot, to, unit: 1, null, copy: false, extent: _ } => {
                self.word(slot, to, Width::U32)?;
                let extent = Extent::Text;
                self.pointer(Pointer { word: word_of(to)?, align: 1, null, extent })
            }
            Op::Text { .. } | Op::Apart { .. } => Err(Unsupported::Text),
            Op::Bool { .. } => Err(Unsupported::Bool),
            Op::Range { .. } | Op::Require { .. } => Err(Unsupported::Condition),
            Op::Evaluate { .. } | Op::Value { .. } => Err(Unsupported::Computed),
            Op::Cell { .. } | Op::PointerCell { .. } | Op::TextCell { .. } => {
                Err(Unsupported::Cell)
            }
            Op::Handle { .. } | Op::Reserve { .. } => Err(Unsupported::Handle),
            Op::Pair { .. }
            | Op::Extended { .. }
            | Op::Vector { .. }
            | Op::Object { .. }
            | Op::Address { .. }
            | Op::Room { .. } => Err(Unsupported::Aggregate),
            Op::Format { .. } => Err(Unsupported::Condition),
            Op::Native(_) | Op::Upcall(_) => Err(Unsupported::NoGuest),
            Op::Deep(_) => Err(Unsupported::Aggregate),
            Op::Callback(_) => Err(Unsupported::CallsBack),
            Op::Life(_) => Err(Unsupported::Handle),
            Op::Call { .. }
            | Op::Consume { .. }
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
            | Op::EndLoans { .. }
            | Op::Return { .. } => Err(Unsupported::After),
        }
    }

    fn word(&mut self, slot: u16, to: At, width: Width) -> Result<(), Unsupported> {
        let word = self.words.get_mut(usize::from(word_of(to)?)).ok_or(Unsupported::Words)?;
        *word = Argument::new(slot, width);
        Ok(())
    }

    fn double(&mut self, slot: u16, to: At, width: Width) -> Result<(), Unsupported> {
        // Of a struct that C passes as an integer; the bits are the value.
        if word_of(to).is_ok() {
            return self.word(slot, to, width);
        }
        let number = (0..DOUBLES).find(|n| register(*n, FrameLayout::vector) == Some(to));
        self.doubles[number.ok_or(Unsupported::Doubles)?] = Argument::new(slot, width);
        Ok(())
    }

    fn pointer(&mut self, pointer: Pointer) -> Result<(), Unsupported> {
        let free = self.pointers.get_mut(usize::from(self.pointer_count));
        *free.ok_or(Unsupported::Pointers)? = pointer;
        self.pointer_count += 1;
        Ok(())
    }

    /// Makes the call.
    ///
    /// # Errors
    /// See [`Fallback`].
    ///
    /// # Safety
    /// As [`super::interpret::run`], for the plan that the template was made of.
    #[inline]
    pub unsafe fn run(&self, binding: &Binding, slots: *mut GuestSlot) -> Result<(), Fallback> {
        // SAFETY: the caller's promise; every argument's slot exists, and a register that the
        // function does not have is loaded from slot 0, which exists for every template.
        let both = unsafe {
            match self.shape {
                Shape::Words => {
                    let [a, b, c] = self.load(binding, slots)?;
                    type Three = unsafe extern "C" fn(u64, u64, u64) -> Both;
                    transmute::<*const c_void, Three>(binding.target)(a, b, c)
                }
                Shape::Doubles => {
                    let [w, x] = self.doubles;
                    type Two = unsafe extern "C" fn(f64, f64) -> Both;
                    transmute::<*const c_void, Two>(binding.target)(
                        f64::from_bits(w.load(slots)),
                        f64::from_bits(x.load(slots)),
                    )
                }
            }
        };
        if self.reply.is_bits() {
            // SAFETY: a plan with a result has a slot for it.
            unsafe { (&raw mut (*slots).low).write(self.reply.bits(&both)) };
            return Ok(());
        }
        // SAFETY: the caller's promise.
        unsafe { self.give(&both, slots) }
    }

    /// Gives the guest a result that has to be looked at, or none.
    ///
    /// # Safety
    /// As [`Template::run`].
    #[inline(never)]
    unsafe fn give(&self, both: &Both, slots: *mut GuestSlot) -> Result<(), Fallback> {
        // SAFETY: a plan with a result has a slot for it.
        let given = unsafe { give(self.returns, both, slots) };
        given.map_err(|Misfit| Fallback::Resume { integer: both.integer })
    }

    /// The words, pointers checked.
    ///
    /// # Safety
    /// As [`Template::run`].
    #[inline]
    unsafe fn load(
        &self,
        binding: &Binding,
        slots: *const GuestSlot,
    ) -> Result<[u64; WORDS], Fallback> {
        let mut words = [0; WORDS];
        for (word, argument) in words.iter_mut().zip(&self.words) {
            // SAFETY: the caller's promise; the low half of every slot is there.
            *word = unsafe {
                if self.narrow { argument.load_narrow(slots) } else { argument.load(slots) }
            };
        }
        if self.pointer_count == 0 {
            return Ok(words);
        }
        // SAFETY: the caller's promise.
        unsafe { self.check(binding, words) }
    }

    /// The words, those that are pointers checked.
    ///
    /// # Safety
    /// As [`Template::run`].
    #[inline]
    unsafe fn check(
        &self,
        binding: &Binding,
        mut words: [u64; WORDS],
    ) -> Result<[u64; WORDS], Fallback> {
        for pointer in &self.pointers[..usize::from(self.pointer_count)] {
            let address = words.get(usize::from(pointer.word)).copied().unwrap_or(0);
            let extent = match pointer.extent {
                Extent::Bytes(bytes) => Some(bytes),
                Extent::Word { word, size } => {
                    let count = words.get(usize::from(word)).copied().unwrap_or(u64::MAX);
                    count.checked_mul(u64::from(size))
                }
                // SAFETY: as `run`: this thread has the memory for itself.
                Extent::Text => unsafe { text_extent(binding, address, pointer.null) },
            };
            let native = pointer.check(binding, address, extent.ok_or(Fallback::Redo)?);
            if let Some(word) = words.get_mut(usize::from(pointer.word)) {
                *word = native.ok_or(Fallback::Redo)?;
            }
        }
        Ok(words)
    }
}

impl Pointer {
    /// The native address of a range; `None` when the interpreter should say why not.
    #[inline]
    fn check(&self, binding: &Binding, address: u64, bytes: u64) -> Option<u64> {
        let size = binding.memory_len.get();
        // Guest 0, empty ranges and their rules are rare: the interpreter knows them.
        if address == 0 || bytes == 0 {
            let is_null = address == 0
                && (self.null == Null::Allowed || (bytes == 0 && self.null == Null::IfEmpty));
            return is_null.then_some(0);
        }
        if bytes > size || address > size - bytes || address & (u64::from(self.align) - 1) != 0 {
            return None;
        }
        Some(binding.memory_base.get().expose_provenance() as u64 + address)
    }
}

/// Length of the string at `address`, its terminator included.
///
/// # Safety
/// Nothing writes to the binding's memory meanwhile.
#[inline]
unsafe fn text_extent(binding: &Binding, address: u64, null: Null) -> Option<u64> {
    if address == 0 {
        return (null == Null::Allowed).then_some(0);
    }
    let left = binding.memory_len.get().checked_sub(address)?;
    let start = binding.memory_base.get().wrapping_add(usize::try_from(address).ok()?);
    // SAFETY: `left` bytes from there on are the rest of the guest's memory.
    let bytes = unsafe { std::slice::from_raw_parts(start, usize::try_from(left).ok()?) };
    memchr::memchr(0, bytes).map(|at| at as u64 + 1)
}

/// Number of the integer register whose image is at `at`.
fn word_of(at: At) -> Result<u8, Unsupported> {
    let number = (0..WORDS).find(|number| register(*number, FrameLayout::integer) == Some(at));
    number.and_then(|number| u8::try_from(number).ok()).ok_or(Unsupported::Words)
}

fn register(number: usize, image: fn(u8) -> Option<At>) -> Option<At> {
    image(u8::try_from(number).ok()?)
}
