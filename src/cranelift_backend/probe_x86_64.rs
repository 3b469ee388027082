//! Trial calls: does Cranelift put each value where the C ABI wants it?
//!
//! A function is compiled that calls another one with a signature as those of trampolines, and a
//! different mark in every place. It calls the *recorder*, which writes all argument registers and
//! the stack down before anything else and returns marks in all result registers. Then the places
//! are compared.
//!
//! One trial of all places there are is made before the first trampoline; tests try the signatures of
//! thousands of plans.
#![expect(unsafe_code, reason = "calls a function with every register")]
use super::Unsupported;
use super::compile::{Compiler, compiler};
use super::signature::{INTEGERS, NativeSignature, VECTORS};
use crate::plan::abi::Location;
use cranelift_codegen::ir::{AbiParam, Function, InstBuilder, MemFlagsData, Signature, types};
use cranelift_codegen::isa::CallConv;
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use std::arch::naked_asm;
use std::mem::{offset_of, transmute};
use std::sync::{Mutex, PoisonError};

/// Slots of the stack that are recorded.
const STACK: usize = 512;

/// What the recorder has found, and what it returns.
#[repr(C, align(16))]
struct Record {
    integers: [u64; INTEGERS as usize],
    vectors: [[u64; 2]; VECTORS as usize],
    stack: [u64; STACK],
    /// How many slots of the stack are to be recorded.
    slots: u64,
    /// Returned in rax, rdx.
    integer_results: [u64; 2],
    /// Returned in xmm0, xmm1.
    vector_results: [[u64; 2]; 2],
}

const EMPTY: Record = Record {
    integers: [0; INTEGERS as usize],
    vectors: [[0; 2]; VECTORS as usize],
    stack: [0; STACK],
    slots: 0,
    integer_results: [0; 2],
    vector_results: [[0; 2]; 2],
};

/// Of the trial that holds [`TRIAL`]: the recorder has no argument that it could come in.
static mut RECORD: Record = EMPTY;
static TRIAL: Mutex<()> = Mutex::new(());

/// Writes down what it is called with.
///
/// # Safety
/// [`TRIAL`] is held, and `RECORD.slots` slots of the caller's stack are readable.
#[unsafe(naked)]
unsafe extern "sysv64" fn recorder() {
    naked_asm!(
        "lea r11, [rip + {record}]",
        "mov [r11], rdi",
        "mov [r11 + 8], rsi",
        "mov [r11 + 16], rdx",
        "mov [r11 + 24], rcx",
        "mov [r11 + 32], r8",
        "mov [r11 + 40], r9",
        "movups [r11 + {vectors}], xmm0",
        "movups [r11 + {vectors} + 16], xmm1",
        "movups [r11 + {vectors} + 32], xmm2",
        "movups [r11 + {vectors} + 48], xmm3",
        "movups [r11 + {vectors} + 64], xmm4",
        "movups [r11 + {vectors} + 80], xmm5",
        "movups [r11 + {vectors} + 96], xmm6",
        "movups [r11 + {vectors} + 112], xmm7",
        "mov rcx, [r11 + {slots}]",
        "2:",
        "test rcx, rcx",
        "jz 3f",
        // The return address lies below the first slot.
        "mov rax, [rsp + 8 * rcx]",
        "mov [r11 + 8 * rcx + {stack} - 8], rax",
        "dec rcx",
        "jmp 2b",
        "3:",
        "mov rax, [r11 + {integer_results}]",
        "mov rdx, [r11 + {integer_results} + 8]",
        "movups xmm0, [r11 + {vector_results}]",
        "movups xmm1, [r11 + {vector_results} + 16]",
        "ret",
        record = sym RECORD,
        vectors = const offset_of!(Record, vectors),
        stack = const offset_of!(Record, stack),
        slots = const offset_of!(Record, slots),
        integer_results = const offset_of!(Record, integer_results),
        vector_results = const offset_of!(Record, vector_results),
    )
}

/// Tries a signature: every value must arrive where the C ABI wants it.
///
/// # Errors
/// [`Unsupported::Probe`] when one does not; whatever else forbids a trial.
pub fn attempt(signature: &NativeSignature) -> Result<(), Unsupported> {
    attempt_with(compiler()?, signature)
}

/// Tries every place that there is.
pub(super) fn try_everything(compiler: &Compiler) -> Result<(), Unsupported> {
    let vectors = [types::F64, types::F32, types::I8X16].into_iter().cycle();
    let all = NativeSignature {
        integers: INTEGERS,
        vectors: vectors.take(VECTORS.into()).collect(),
        stack: 3,
        integer_results: 2,
        vector_results: vec![types::F64, types::I8X16],
    };
    attempt_with(compiler, &all)
}

/// The mark of a place: two words, of which small values have only the first, or a half of it.
fn mark(place: Location) -> [u64; 2] {
    let number = match place {
        Location::Integer(number) => 0x100 + u64::from(number),
        Location::Vector(number) => 0x200 + u64::from(number),
        Location::X87(number) => 0x300 + u64::from(number),
        Location::Stack(offset) => 0x1000 + u64::from(offset),
    };
    [number << 40 | 0x4000_0000 | number, number << 16 | 0x7]
}

fn attempt_with(compiler: &Compiler, signature: &NativeSignature) -> Result<(), Unsupported> {
    let (function, words) = caller(compiler, signature)?;
    let code = compiler.finish(function, &[])?.place(&[])?;
    let mut memory = vec![0_u64; words];
    for (place, at) in signature.places().zip((0..).step_by(2)) {
        memory[at..at + 2].copy_from_slice(&mark(place));
    }
    let results = signature.result_places().count();
    let first_result = words - 2 * results;
    let _held = TRIAL.lock().unwrap_or_else(PoisonError::into_inner);
    let record = &raw mut RECORD;
    // SAFETY: the lock is held, so that nobody else touches the record. The function reads and writes
    // `words` words and calls the recorder, which is given the stack arguments that it records.
    let record = unsafe {
        record.write(Record {
            slots: signature.stack.min(STACK as u16).into(),
            integer_results: [mark(Location::Integer(0))[0], mark(Location::Integer(1))[0]],
            vector_results: [mark(Location::Vector(0)), mark(Location::Vector(1))],
            ..EMPTY
        });
        type Caller = unsafe extern "C" fn(*const (), *mut u64);
        transmute::<*const u8, Caller>(code.start())(recorder as *const (), memory.as_mut_ptr());
        &*record
    };
    let mut word = 0;
    let mut same = |wanted: u64, found: u64| {
        word += 1;
        if wanted == found {
            Ok(())
        } else {
            Err(Unsupported::Probe { word: word - 1, wanted, found })
        }
    };
    for (place, ty) in signature.places().zip(types_of(signature)) {
        let (low, high) = match place {
            Location::Integer(number) => (record.integers[usize::from(number)], 0),
            Location::Vector(number) => {
                let [low, high] = record.vectors[usize::from(number)];
                (low, high)
            }
            Location::Stack(offset) => match record.stack.get(offset as usize / 8) {
                Some(low) => (*low, 0),
                None => continue,
            },
            Location::X87(_) => (0, 0),
        };
        compare(mark(place), [low, high], ty.bytes(), &mut same)?;
    }
    let results = signature.result_places().zip(result_types_of(signature));
    for ((place, ty), at) in results.zip((first_result..).step_by(2)) {
        compare(mark(place), [memory[at], memory[at + 1]], ty.bytes(), &mut same)?;
    }
    Ok(())
}

/// Compares the bytes that a value has.
fn compare(
    wanted: [u64; 2],
    found: [u64; 2],
    bytes: u32,
    same: &mut impl FnMut(u64, u64) -> Result<(), Unsupported>,
) -> Result<(), Unsupported> {
    let low = if bytes == 4 { u64::from(u32::MAX) } else { u64::MAX };
    same(wanted[0] & low, found[0] & low)?;
    if bytes == 16 { same(wanted[1], found[1]) } else { Ok(()) }
}

fn types_of(signature: &NativeSignature) -> impl Iterator<Item = types::Type> {
    let integers = (0..signature.passed_integers()).map(|_| types::I64);
    let stack = (0..signature.stack).map(|_| types::I64);
    integers.chain(signature.vectors.iter().copied()).chain(stack)
}

fn result_types_of(signature: &NativeSignature) -> impl Iterator<Item = types::Type> {
    let integers = (0..signature.integer_results).map(|_| types::I64);
    integers.chain(signature.vector_results.iter().copied())
}

/// `void f(target, memory)`: calls the target with what is in memory, two words a value, and writes
/// the results behind. Also how many words there are.
fn caller(
    compiler: &Compiler,
    signature: &NativeSignature,
) -> Result<(Function, usize), Unsupported> {
    let native = signature.clif()?;
    let mut function = Function::new();
    function.signature = Signature::new(CallConv::SystemV);
    function.signature.params.extend([AbiParam::new(types::I64); 2]);
    let mut context = FunctionBuilderContext::new();
    let mut b = FunctionBuilder::new(&mut function, &mut context);
    let entry = b.create_block();
    b.append_block_params_for_function_params(entry);
    b.switch_to_block(entry);
    b.seal_block(entry);
    let (target, memory) = (b.block_params(entry)[0], b.block_params(entry)[1]);
    let flags = MemFlagsData::new().with_notrap();
    let mut offset = 0;
    let mut arguments = Vec::new();
    for ty in types_of(signature) {
        arguments.push(b.ins().load(ty, flags, memory, offset));
        offset += 16;
    }
    let native = b.import_signature(native);
    let call = b.ins().call_indirect(native, target, &arguments);
    for result in b.inst_results(call).to_vec() {
        b.ins().store(flags, result, memory, offset);
        offset += 16;
    }
    b.ins().return_(&[]);
    b.finalize(compiler.isa.frontend_config());
    Ok((function, usize::try_from(offset).unwrap_or(0) / 8))
}
