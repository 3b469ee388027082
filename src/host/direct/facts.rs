//! Whether wasmtime is as direct calls take it to be.
//!
//! They rest on facts that wasmtime does not promise. First it is asked what can be asked; then a guest makes
//! trial calls whose functions write down where they find everything. One fact that does not hold, and there are
//! no direct calls.
//!
//! | fact | shown by |
//! |---|---|
//! | a function is four words, and where each is | `wasmtime-environ`; the words of a function of the guest |
//! | wasmtime takes functions with words of ours | the trial |
//! | guests pass the function's context, their own, and the arguments in these registers and slots | the recorder |
//! | results come in rax or xmm0 | two functions that return marks there |
//! | a guest's context leads to the store's, and that has the stack limit | values of both, during a call |
//! | the words that wasmtime fills are there before a guest runs | the recorder goes on in them |
//!
//! Where no code is made, the guest of the trial has been made ahead of time ([`Trial`]).
#![expect(unsafe_code, reason = "makes functions of wasmtime by hand, and reads its structures")]
use super::Trial;
use super::recorder::{Held, INTEGER, NUMBER, Record, functions};
use crate::cranelift_backend::direct::{FuncRef, places_of, stack_limit, store_context};
use crate::host::not_direct::NotDirect;
use crate::plan::WasmType::{self, F32, F64, I32, I64};
use crate::plan::abi::Location;
use std::mem::MaybeUninit;
use std::sync::{Arc, Mutex, PoisonError};
use wasmtime::{
    AsContextMut, Caller, Enabled, Engine, Extern, Func, FuncType, Instance, Store, ValRaw, ValType,
};
use wasmtime_environ::{HostPtr, PtrSize, VM_ARRAY_CALL_HOST_FUNC_MAGIC, VMCONTEXT_MAGIC};

/// The arguments of the recorder: all registers, and some of the stack.
const PARAMS: [WasmType; 19] =
    [I32, I64, F32, F64, I32, I64, F64, F64, F32, F64, F64, F64, I32, I64, F64, F32, F64, I32, F64];

#[cfg_attr(not(feature = "cranelift"), path = "facts/guest_absent.rs")]
mod guest;

/// Whether an engine's guests may call directly.
///
/// # Errors
/// Why not.
pub(in crate::host) fn check(engine: &Engine, trial: Option<&Trial>) -> Result<(), NotDirect> {
    ask(engine, trial.is_some())?;
    for (part, found, expected) in FuncRef::layout() {
        if found != expected {
            return Err(NotDirect::Layout { part, expected, found });
        }
    }
    try_calls(engine, trial)
}

/// The guest of the trial as wasmtime writes it, for engines that cannot make it; `None` if there are no direct calls
/// anyway.
///
/// # Errors
/// When wasmtime cannot compile it.
#[cfg(feature = "cranelift")]
pub(in crate::host) fn guest_ahead(engine: &Engine) -> wasmtime::Result<Option<Vec<u8>>> {
    ask(engine, false).is_ok().then(|| guest::compiled(engine)?.serialize()).transpose()
}

/// What wasmtime says of itself. An engine that has no compiler may run a guest of a trial that Cranelift has made.
fn ask(engine: &Engine, ahead: bool) -> Result<(), NotDirect> {
    if engine.is_pulley() {
        return Err(NotDirect::Pulley);
    }
    match engine.get_strategy() {
        Some(wasmtime::Strategy::Cranelift | wasmtime::Strategy::Auto) => {}
        None if ahead => {}
        found => {
            let found = found.map_or("no compiler".to_owned(), |found| format!("{found:?}"));
            return Err(NotDirect::Strategy { found });
        }
    }
    if engine.get_guest_debug() {
        return Err(NotDirect::GuestDebug);
    }
    if engine.is_recording() || engine.is_replaying() {
        return Err(NotDirect::Recording);
    }
    let pooling = engine.get_pooling_config();
    if pooling.is_some_and(|pooling| pooling.get_memory_protection_keys() != Enabled::No) {
        return Err(NotDirect::ProtectionKeys);
    }
    Ok(())
}

/// What a trial call has seen.
#[derive(Clone, Copy, Debug)]
struct Seen {
    record: Record,
    /// The context that the recorder was given, and that of the guest.
    contexts: [u64; 2],
    magics: [u32; 2],
    /// What the store's context says during the call.
    exit_pc: u64,
    exit_frame: u64,
    stack_limit: u64,
    /// How much stack guests may use.
    wasm_stack: u64,
    types: [u32; 2],
    results: [u64; 3],
}

/// What the `number`th argument of the recorder is.
fn mark(number: usize, ty: WasmType) -> u64 {
    let mark = 0x3ff0_0000_4000_0000 + 0x0001_0001_0001 * (number as u64 + 1);
    match ty {
        I32 | F32 => mark & u64::from(u32::MAX),
        _ => mark,
    }
}

/// What the ordinary function behind the recorder returns.
const RETURNED: u64 = 0x0fed_cba9_8765_4321;

fn try_calls(engine: &Engine, trial: Option<&Trial>) -> Result<(), NotDirect> {
    // A trial takes most of a millisecond. What guests of one engine do, those of engines that compile them alike do too.
    static GOOD: Mutex<Vec<u64>> = Mutex::new(Vec::new());
    const MOST: usize = 64;
    let good = || GOOD.lock().unwrap_or_else(PoisonError::into_inner);
    let kind = guest::kind(engine).filter(|_| trial.is_none());
    if kind.is_some_and(|kind| good().contains(&kind)) {
        return Ok(());
    }
    try_now(engine, trial)?;
    let mut good = good();
    let room = good.len() < MOST;
    good.extend(kind.filter(|_| room));
    Ok(())
}

fn try_now(engine: &Engine, trial: Option<&Trial>) -> Result<(), NotDirect> {
    // Without the frames of a guest that nobody has written.
    let told = |error: wasmtime::Error| NotDirect::NoTrial(error.root_cause().to_string());
    judge(&make_calls(engine, trial).map_err(told)?)
}

/// Makes the trial calls.
fn make_calls(engine: &Engine, trial: Option<&Trial>) -> wasmtime::Result<Seen> {
    let held = Held::new();
    let module = match trial {
        Some(trial) => trial.module(engine)?,
        None => guest::compiled(engine)?,
    };
    let seen = Arc::new(Mutex::new(None));
    // Alive as long as the store, which has their addresses.
    let mut made: Vec<Box<FuncRef>> = Vec::new();
    let mut store = Store::new(engine, ());
    // Guests of engines that bound these begin with none. Others refuse fuel, and need none.
    const AMPLE: u64 = 1 << 62;
    let _ = store.set_fuel(AMPLE);
    store.set_epoch_deadline(AMPLE);
    let types = [
        FuncType::new(engine, PARAMS.map(value_type), [ValType::I64]),
        FuncType::new(engine, [], [ValType::I64]),
        FuncType::new(engine, [], [ValType::F64]),
    ];
    let mut ordinary = Vec::new();
    let mut imports = Vec::new();
    for (ty, code) in types.into_iter().zip(functions()) {
        let seen = Arc::clone(&seen);
        let call = move |mut caller: Caller<'_, ()>, slots: &mut [MaybeUninit<ValRaw>]| {
            *seen.lock().unwrap_or_else(PoisonError::into_inner) = Exit::of(&mut caller);
            slots[0].write(ValRaw::u64(RETURNED));
            Ok(())
        };
        // SAFETY: a value of the type that the recorder's function returns; the others are not called.
        let function = unsafe { Func::new_unchecked(&mut store, ty, call) };
        let words = words_of(function, &mut store);
        // SAFETY: wasmtime's own words, laid out as `wasmtime-environ` says.
        let direct = Box::new(FuncRef { wasm_call: code, ..unsafe { *words } });
        let raw = (&raw const *direct).cast_mut().cast();
        made.push(direct);
        // SAFETY: words of a function of this store, which `made` keeps: those of an ordinary one, but for
        // the code that guests enter, which returns what the type says.
        let direct = unsafe { Func::from_raw(&mut store, raw) };
        imports.extend(direct.map(Into::into));
        ordinary.push(words);
    }
    let instance = Instance::new(&mut store, &module, &imports)?;
    // SAFETY: wasmtime's own words, which it has filled.
    held.go_on_in(unsafe { (*ordinary[0]).wasm_call });
    let mut results = [0; 3];
    results[0] = instance.get_typed_func::<(), u64>(&mut store, "0")?.call(&mut store, ())?;
    let record = held.record();
    results[1] = instance.get_typed_func::<(), u64>(&mut store, "1")?.call(&mut store, ())?;
    let number = instance.get_typed_func::<(), f64>(&mut store, "2")?.call(&mut store, ())?;
    results[2] = number.to_bits();
    let own = instance.get_func(&mut store, "1").map(|own| words_of(own, &mut store));
    let own = own.ok_or_else(|| wasmtime::Error::msg("the guest has no such function"))?;
    // SAFETY: wasmtime's own words of functions of the store, which is alive.
    let (recorder, integer, own) = unsafe { (*ordinary[0], *ordinary[1], *own) };
    // SAFETY: what functions have as contexts begins with 4 bytes by which wasmtime tells them apart.
    let magics = unsafe { [recorder.vmctx.cast::<u32>().read(), own.vmctx.cast::<u32>().read()] };
    let exit = seen.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Exit { pc: exit_pc, frame: exit_frame, stack_limit } =
        exit.ok_or_else(|| wasmtime::Error::msg("the guest's context was not passed"))?;
    Ok(Seen {
        record,
        contexts: [recorder.vmctx.addr() as u64, own.vmctx.addr() as u64],
        magics,
        exit_pc,
        exit_frame,
        stack_limit,
        wasm_stack: engine.get_max_wasm_stack() as u64,
        types: [integer.type_index, own.type_index],
        results,
    })
}

/// What the context of a store says while a guest's call of the host runs.
struct Exit {
    pc: u64,
    frame: u64,
    stack_limit: u64,
}

impl Exit {
    fn of(caller: &mut Caller<'_, ()>) -> Option<Exit> {
        let own = caller.get_export("1").and_then(Extern::into_func)?;
        let words = words_of(own, &mut *caller);
        let offsets = HostPtr.vm_store_context();
        // SAFETY: wasmtime's own words of a function of the guest, laid out as `wasmtime-environ` says, whose
        // context is an instance's if it begins like one; that leads to the store's.
        unsafe {
            let context = (*words).vmctx;
            if context.cast::<u32>().read() != VMCONTEXT_MAGIC {
                return None;
            }
            let store = context.byte_add(store_context()).cast::<*const u8>().read();
            let word = |offset: usize| store.byte_add(offset).cast::<u64>().read();
            Some(Exit {
                pc: word(offsets.last_wasm_exit_pc().into()),
                frame: word(offsets.last_wasm_exit_trampoline_fp().into()),
                stack_limit: word(stack_limit()),
            })
        }
    }
}

fn words_of(function: Func, store: impl AsContextMut) -> *const FuncRef {
    function.to_raw(store).cast_const().cast()
}

fn value_type(ty: WasmType) -> ValType {
    match ty {
        I32 => ValType::I32,
        F32 => ValType::F32,
        F64 => ValType::F64,
        _ => ValType::I64,
    }
}

/// Compares what a trial has seen with what direct calls take for granted.
fn judge(seen: &Seen) -> Result<(), NotDirect> {
    let same = |what: &str, expected: u64, found: u64| {
        let what = what.to_owned();
        if expected == found { Ok(()) } else { Err(NotDirect::Trial { what, expected, found }) }
    };
    let Seen { record, contexts, magics, types, results, .. } = seen;
    same(
        "the mark of a host function's context",
        VM_ARRAY_CALL_HOST_FUNC_MAGIC.into(),
        magics[0].into(),
    )?;
    same("the mark of an instance's context", VMCONTEXT_MAGIC.into(), magics[1].into())?;
    same("the first argument", contexts[0], record.integers[0])?;
    same("the second argument", contexts[1], record.integers[1])?;
    let places = places_of(&PARAMS).map_err(|why| NotDirect::NoTrial(why.to_string()))?;
    for (number, (place, ty)) in places.into_iter().zip(PARAMS).enumerate() {
        let word = match place {
            Location::Integer(number) => record.integers.get(usize::from(number)).copied(),
            Location::Vector(number) => record.vectors.get(usize::from(number)).map(|v| v[0]),
            // The return address lies below the first.
            Location::Stack(offset) => record.stack.get(1 + offset as usize / 8).copied(),
            Location::X87(_) => None,
        };
        let Some(word) = word else { continue };
        let bits = if let I32 | F32 = ty { u64::from(u32::MAX) } else { u64::MAX };
        same(&format!("parameter {number}"), mark(number, ty), word & bits)?;
    }
    same("the return address", seen.exit_pc, record.stack[0])?;
    // A trampoline pushes the frame pointer below it.
    same("the trampoline's frame", seen.exit_frame.wrapping_add(8), record.stack_pointer)?;
    let below = record.stack_pointer.wrapping_sub(seen.stack_limit);
    if below > seen.wasm_stack.saturating_add(64 << 10) {
        let expected = record.stack_pointer.saturating_sub(seen.wasm_stack);
        let what = "the stack limit".to_owned();
        return Err(NotDirect::Trial { what, expected, found: seen.stack_limit });
    }
    same("the number of a function's type", types[0].into(), types[1].into())?;
    same("the result of an ordinary function", RETURNED, results[0])?;
    same("an integer result", INTEGER, results[1])?;
    same("a floating-point result", NUMBER, results[2])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen() -> Seen {
        make_calls(&Engine::default(), None).expect("a trial")
    }

    #[test]
    fn this_wasmtime_is_as_expected() {
        assert_eq!(check(&Engine::default(), None), Ok(()));
        judge(&seen()).expect("it was before");
    }

    /// What a trial has seen, with one change: it must not pass.
    #[track_caller]
    fn refused(seen: &Seen, what: &str, change: impl FnOnce(&mut Seen)) {
        let mut other = *seen;
        change(&mut other);
        match judge(&other) {
            Err(NotDirect::Trial { what: found, .. }) => {
                assert!(found.contains(what), "{found}, not {what}");
            }
            judged => panic!("{what}: {judged:?}"),
        }
    }

    #[test]
    fn every_fact_that_does_not_hold_is_found() {
        let seen = &seen();
        for register in 0..6 {
            let what = ["first", "second", "0", "1", "4", "5"][register];
            refused(seen, what, |seen| seen.record.integers[register] ^= 1);
        }
        for register in 0..8 {
            refused(seen, "parameter", |seen| seen.record.vectors[register][0] ^= 1);
        }
        for slot in 1..6 {
            refused(seen, "parameter", |seen| seen.record.stack[slot] ^= 1);
        }
        refused(seen, "return address", |seen| seen.record.stack[0] ^= 1);
        refused(seen, "frame", |seen| seen.record.stack_pointer ^= 16);
        refused(seen, "second", |seen| seen.record.integers.swap(1, 2));
        refused(seen, "stack limit", |seen| seen.stack_limit = 0);
        refused(seen, "stack limit", |seen| seen.stack_limit = u64::MAX);
        refused(seen, "mark of a host", |seen| seen.magics[0] ^= 1);
        refused(seen, "mark of an inst", |seen| seen.magics[1] ^= 1);
        refused(seen, "type", |seen| seen.types[0] ^= 1);
        for (number, what) in ["ordinary", "integer", "floating"].into_iter().enumerate() {
            refused(seen, what, |seen| seen.results[number] ^= 1);
        }
    }

    #[test]
    fn trials_on_many_threads_do_not_disturb_each_other() {
        let threads: Vec<_> =
            (0..4).map(|_| std::thread::spawn(|| check(&Engine::default(), None))).collect();
        for thread in threads {
            assert_eq!(thread.join().expect("it does not panic"), Ok(()));
        }
    }
}
