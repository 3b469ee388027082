//! The steps of a program, and what must be true after each.
#![expect(unsafe_code, reason = "reads what compiled code reads")]
use super::{IMPORTS, State, library, memory};
use crate::fuzzing::source::Source;
use crate::fuzzing::tally::count;
use portcullis::plan::handles::{EXCLUSIVE, Entry, INDEX_BITS, TAKEN};
use portcullis::plan::{CallError, StoreBlock};
use std::cell::RefCell;
use wasmtime::{AsContextMut, Caller, Trap, Val};

/// Steps of one program, and how deep they nest.
const STEPS: u32 = 60;
const DEPTH: u32 = 4;

#[derive(Default)]
struct Program {
    bytes: Vec<u8>,
    at: usize,
    steps: u32,
    depth: u32,
    /// Handles that the guest has seen, alive or not.
    handles: Vec<i32>,
}

thread_local! {
    static PROGRAM: RefCell<Program> = RefCell::default();
}

/// Begins a program.
pub fn begin(bytes: &[u8]) {
    PROGRAM.set(Program { bytes: bytes.to_vec(), ..Program::default() });
}

/// Whether there is more of it.
pub fn go_on() -> bool {
    PROGRAM.with_borrow(|program| program.at < program.bytes.len() && program.steps < STEPS)
}

/// Makes choices from the next bytes.
fn choose<R>(f: impl FnOnce(&mut Source<'_>, &[i32]) -> R) -> R {
    PROGRAM.with_borrow_mut(|program| {
        let Program { bytes, at, handles, .. } = program;
        let mut source = Source::new(bytes.get(*at..).unwrap_or_default());
        let result = f(&mut source, handles);
        *at = bytes.len() - source.len();
        result
    })
}

/// A handle, most often one that the guest has seen.
fn handle(source: &mut Source<'_>, handles: &[i32]) -> i32 {
    match source.byte() {
        0..=219 if !handles.is_empty() => {
            // The latest are asked for most often.
            let back = source.below(handles.len().min(8));
            handles[handles.len() - 1 - back]
        }
        220..=239 if !handles.is_empty() => source.pick(handles) ^ 1 << (source.byte() % 31),
        240..=245 => 0,
        _ => source.integer() as i32,
    }
}

/// An address in the guest's memory, or beside it.
fn address(source: &mut Source<'_>) -> i32 {
    match source.byte() {
        0..=159 => i32::from(source.byte()) * 8 + 1024,
        160..=219 => 65536 - i32::from(source.byte()) % 64,
        _ => source.integer() as i32,
    }
}

/// One step. Errors are the guest's business, as long as they are the bridge's or wasm's own.
pub fn step(mut store: impl AsContextMut<Data = State>, depth: u32) -> Option<i32> {
    PROGRAM.with_borrow_mut(|program| program.steps += 1);
    let instances = store.as_context().data().instances.clone();
    let (kind, instance) = choose(|source, _| (source.byte(), source.pick(&instances)));
    let (name, arguments): (&str, Vec<i32>) = choose(|source, handles| match kind {
        0..=199 => {
            let (name, params, _) = IMPORTS[usize::from(kind) % IMPORTS.len()];
            let mut one = || handle(source, handles);
            let arguments = match name {
                "node_new" | "text_new" => vec![source.byte().into()],
                "node_child" | "node_try_free" | "node_fire" => vec![one(), source.byte().into()],
                "node_hold" => vec![one(), one()],
                "node_each" => {
                    let handle = one();
                    vec![(source.byte() % 12).into(), i32::from(source.byte() % 5), handle]
                }
                "node_visit" => {
                    let handle = one();
                    vec![handle, (source.byte() % 12).into(), source.integer() as i32]
                }
                "node_hook" => vec![one(), (source.byte() % 12).into()],
                "fill" | "sum" => {
                    let at = address(source);
                    let n = if source.chance(40) {
                        source.integer() as i32
                    } else {
                        source.byte().into()
                    };
                    [at, n, source.byte().into()][..params.split(' ').count()].to_vec()
                }
                "length" => vec![address(source)],
                "exchange" => vec![address(source), address(source)],
                "points" => vec![address(source), i32::from(source.byte() % 20) - 2],
                _ => vec![one()],
            };
            (name, arguments)
        }
        200..=214 => ("grow", vec![i32::from(source.byte() % 3)]),
        215..=229 => ("set", vec![(source.byte() % 12).into(), (source.byte() % 12).into()]),
        230..=239 => ("clear", vec![(source.byte() % 12).into()]),
        240..=244 => ("widen", vec![i32::from(source.byte() % 4)]),
        _ => ("poke", vec![address(source), source.integer() as i32]),
    });
    if name == "poke" {
        let memory = instance.get_memory(&mut store, "memory").expect("it is exported");
        let at = usize::try_from(arguments[0]).unwrap_or(usize::MAX);
        let _ = memory.write(&mut store, at, &arguments[1].to_le_bytes());
        count("pokes");
        return None;
    }
    PROGRAM.with_borrow_mut(|program| program.depth = depth + 1);
    let function = instance.get_func(&mut store, name).expect("it is exported");
    let mut results = vec![Val::I32(0); function.ty(&store).results().len()];
    let arguments: Vec<Val> = arguments.into_iter().map(Val::I32).collect();
    let ended = function.call(&mut store, &arguments, &mut results);
    PROGRAM.with_borrow_mut(|program| program.depth = depth);
    match ended {
        Ok(()) => {
            count(if depth == 0 { "calls that return" } else { "nested calls that return" });
            let result = results.first().and_then(Val::i32)?;
            let makes = ["node_new", "node_child", "node_same"].contains(&name);
            if makes && result != 0 {
                PROGRAM.with_borrow_mut(|program| program.handles.push(result));
            }
            Some(result)
        }
        Err(error) => {
            let known = error.is::<CallError>() || error.is::<Trap>() || error.is::<Refused>();
            assert!(known, "{name}{arguments:?}: {error:?}");
            count("calls that fail");
            None
        }
    }
}

/// What ends a callback that has enough.
#[derive(Debug)]
struct Refused;

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the program ends its callback")
    }
}

impl std::error::Error for Refused {}

/// The import of the guest's callbacks and of its allocator: the program goes on in there.
pub fn nested(mut caller: Caller<'_, State>, a: i32, b: i32) -> wasmtime::Result<i32> {
    let depth = PROGRAM.with_borrow(|program| program.depth);
    count("nested programs");
    if b >= 0 {
        // It may be a handle, which dies with the callback.
        PROGRAM.with_borrow_mut(|program| program.handles.push(a));
    }
    sound(&mut caller, depth);
    let (steps, end, value) =
        choose(|source, _| (source.below(4), source.chance(30), source.byte()));
    if depth < DEPTH {
        for _ in 0..steps {
            if !go_on() {
                break;
            }
            step(&mut caller, depth);
            PROGRAM.with_borrow_mut(|program| program.depth = depth);
            sound(&mut caller, depth);
        }
    }
    if end { Err(wasmtime::Error::new(Refused)) } else { Ok(value.into()) }
}

/// What must be true after every step.
pub fn sound(mut store: impl AsContextMut<Data = State>, depth: u32) {
    memory::untouched();
    let instances = store.as_context().data().instances.clone();
    let mut given = 0;
    for instance in &instances {
        let live = instance.get_global(&mut store, "live").expect("it is exported");
        given += i64::from(live.get(&mut store).unwrap_i32());
    }
    let context = store.as_context();
    let look = |block: &StoreBlock, closures| {
        count("looked at");
        // Those of functions that can be in the tables, for two types.
        assert!(closures <= 7 * 3 * instances.len(), "{closures} closures");
        block_is_sound(block, depth, given);
    };
    // SAFETY: `store` is the only one that is known there, and this thread's.
    unsafe { context.data().natives.look_at_state(look) };
}

fn block_is_sound(block: &StoreBlock, depth: u32, given: i64) {
    let running = block.depth.get();
    assert!(running <= DEPTH * 2 + 2, "{running} calls are running");
    assert!(depth > 0 || running == 0, "{running} calls are running when none is");
    let (entries, count) = block.look_at_handles(|table| table.raw_parts());
    // What compiled code reads.
    let word = |offset: usize| {
        // SAFETY: both words lie inside of the block, at these offsets.
        unsafe { std::ptr::from_ref(block).cast::<u8>().add(offset).cast::<usize>().read() }
    };
    assert_eq!(word(StoreBlock::HANDLE_ENTRIES), entries.addr(), "the block's first entry");
    assert_eq!(word(StoreBlock::HANDLE_COUNT), count, "the block's number of entries");
    // SAFETY: the table does not change meanwhile.
    let entries: &[Entry] = unsafe { std::slice::from_raw_parts(entries, count) };
    let mut live = 0;
    let mut captured = 0;
    for (index, entry) in entries.iter().enumerate().filter(|(_, entry)| !entry.pointer.is_null()) {
        live += 1;
        captured += entry.captured;
        let handle = entry.generation << INDEX_BITS | u32::try_from(index).expect("few");
        assert_eq!(entry.handle, handle, "a handle");
        assert!(
            library::is_alive(entry.pointer.addr()),
            "handle {handle:#x} stands for what is gone"
        );
        if depth == 0 {
            assert_eq!(entry.busy, 0, "handle {handle:#x} is in use when no call runs");
            assert_eq!(
                entry.flags & (EXCLUSIVE | TAKEN),
                0,
                "handle {handle:#x} is held when no call runs"
            );
        }
        assert!(
            entry.parent == 0
                || entries
                    .get(entry.parent as usize)
                    .is_some_and(|parent| { !parent.pointer.is_null() && parent.lends > 0 }),
            "handle {handle:#x} has no parent"
        );
    }
    block.look_at_handles(|table| {
        assert_eq!(table.live(), live, "handles");
        assert!(i64::from(table.lent()) <= given.max(0), "{} copies of {given}", table.lent());
        assert!(depth > 0 || table.captures() > 0 || captured == 0, "captures");
        assert!(live > 0 || table.captures() == 0, "{} captures of nothing", table.captures());
        assert!(live > 0 || table.lent() == 0, "{} copies of nothing", table.lent());
    });
}
