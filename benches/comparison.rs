//! The published comparison: `cargo bench --bench comparison` measures everything of `portcullis bench`, with libffi
//! and gcc's loop beside it, and writes `docs/comparison.md`, its plots, and the raw data.
//!
//! `-- --quick` measures less and writes nothing; `-- --render` measures nothing, and writes page and plots again from
//! the raw data that are there.
#![expect(unsafe_code, reason = "calls C functions through their addresses")]
#[path = "../tests/support/native.rs"]
mod native;

use libffi::low;
use libffi::middle::{Cif, Type};
use libloading::Library;
use portcullis::bench::harness::{Contender, Effort, Loop, measure};
use portcullis::bench::model::{Measured, Run, Times};
use portcullis::bench::row::{Address, Grant, State, symbol};
use portcullis::bench::{self, Options, QUICK, Row, document, text};
use std::ffi::c_void;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::ptr;
use wasmtime::{Caller, Func, FuncType, Result, Store, ValRaw, ValType, format_err};

/// Rounds of the published run: the intervals are narrow with these, and the raw data are small enough to be kept.
const EFFORT: Effort = Effort { rounds: 101, sample: 200_000.0 };
const SMOKE: Effort = Effort { rounds: 1, sample: 1_000.0 };

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |wanted: &str| arguments.iter().any(|argument| argument == wanted);
    let effort = match (has("--quick"), has("--bench")) {
        (true, _) => QUICK,
        (false, true) => EFFORT,
        (false, false) => SMOKE,
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if has("--render") {
        let raw = std::fs::read_to_string(root.join("docs/comparison/raw.json"));
        let raw = raw.unwrap_or_else(|error| panic!("docs/comparison/raw.json: {error}"));
        render(root, &serde_json::from_str(&raw).unwrap_or_else(|error| panic!("{error}")));
        return ExitCode::SUCCESS;
    }
    let options = Options {
        effort,
        core: None,
        command: ["cargo", "bench", "--bench", "comparison"].map(str::to_owned).to_vec(),
        commit: commit(root),
        others: vec![
            format!("libffi {}", locked("libffi-sys")),
            "gcc ".to_owned() + &gcc_version(),
        ],
    };
    let mut rows = bench::rows();
    if effort.rounds == SMOKE.rounds {
        rows.retain(|row| ["ints0", "ints2", "buffer"].contains(&row.id.as_str()));
    }
    let mut said = String::new();
    let measured = bench::run(&rows, options, &[("libffi", &through_libffi)], |row, _| {
        if said != row {
            eprintln!("{row}");
            row.clone_into(&mut said);
        }
    });
    let mut measured = match measured {
        Ok(measured) => measured,
        Err(error) => {
            eprintln!("cannot measure: {error}");
            return ExitCode::FAILURE;
        }
    };
    measured.rows.extend(beside_gcc(&rows, effort));
    println!("{}", text::show(&measured));
    measured.weaknesses().iter().for_each(|warning| println!("warning: {warning}"));
    if effort.rounds != EFFORT.rounds {
        return ExitCode::SUCCESS;
    }
    let raw = serde_json::to_string(&measured).expect("it can be written");
    let path = root.join("docs/comparison/raw.json");
    std::fs::write(&path, raw).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    render(root, &measured);
    ExitCode::SUCCESS
}

/// Writes page and plots of a run.
fn render(root: &Path, measured: &Run) {
    let docs = root.join("docs");
    let read = std::fs::read_to_string(docs.join("comparison.md"));
    let page = read.map_err(|error| error.to_string());
    let page = page.and_then(|page| document::document(&page, measured));
    let page = page.unwrap_or_else(|error| panic!("docs/comparison.md: {error}"));
    let write = |name: &str, text: &str| {
        std::fs::write(docs.join(name), text).unwrap_or_else(|error| panic!("{name}: {error}"));
    };
    write("comparison.md", &page);
    for (name, drawing) in document::drawings(measured) {
        write(&format!("comparison/{name}"), &drawing);
    }
    println!("written: docs/comparison.md and docs/comparison");
}

/// The commit that is measured; it says so if the tree is another.
fn commit(root: &Path) -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").current_dir(root).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    let changed = git(&["status", "--porcelain", "--untracked-files=no"])?;
    Some(if changed.is_empty() { commit } else { commit + " with changes" })
}

/// The version of a package in `Cargo.lock`.
fn locked(package: &str) -> &'static str {
    let (_, rest) = include_str!("../Cargo.lock")
        .split_once(&format!("name = \"{package}\"\nversion = \""))
        .expect("it is a dependency");
    rest.split('"').next().unwrap_or_default()
}

fn gcc_version() -> String {
    let output = Command::new("gcc").arg("-dumpfullversion").output();
    output.map_or_else(
        |_| "none".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

/// gcc's loops around the functions of three rows, which they are given.
const LOOPS: &str = "#include <stddef.h>
static volatile double sink;
static char data[64] = \"portcull\";
void run_ints2(int (*f)(int, int), int n) { int (*volatile g)(int, int) = f; int last = 1; for (; n; n--) last = g(last, n); sink = last; }
void empty_ints2(void *f, int n) { int last = 1; for (; n; n--) { last ^= n; __asm__ volatile(\"\" : \"+r\"(last)); } sink = last; }
void run_half(double (*f)(double), int n) { double (*volatile g)(double) = f; double last = 1; for (; n; n--) last = g(last); sink = last; }
void empty_half(void *f, int n) { double last = 1; for (; n; n--) { last = 0.5 * last; __asm__ volatile(\"\" : \"+x\"(last)); } sink = last; }
void run_buffer(int (*f)(const void *, int, size_t), int n) { int (*volatile g)(const void *, int, size_t) = f; int last = 1; for (; n; n--) last = g(data, last, 64); sink = last; }
void empty_buffer(void *f, int n) { int last = 1; for (; n; n--) { last ^= n; __asm__ volatile(\"\" : \"+r\"(last)); } sink = last; }
";

/// The loop that is compiled with the program, and gcc's, around the same functions.
fn beside_gcc(rows: &[Row], effort: Effort) -> Vec<Measured> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = native::compile(folder, "libcomparison.so", LOOPS, &["-O2"]);
    // SAFETY: it has no constructors. It is never closed.
    let library: &'static Library =
        Box::leak(Box::new(unsafe { Library::new(path) }.expect("it was just compiled")));
    let mut measured = Vec::new();
    for row in rows.iter().filter(|row| ["ints2", "half", "buffer"].contains(&row.id.as_str())) {
        let address = address(row).expect("a function of this program");
        let gcc = |kind: &str| -> Loop {
            type Turns = unsafe extern "C" fn(*const c_void, i32);
            // SAFETY: every loop is of this type.
            let run =
                *unsafe { library.get::<Turns>(format!("{kind}_{}", row.id)) }.expect("defined");
            Box::new(move |turns| {
                // SAFETY: likewise, and the function is the one that the loop is for.
                unsafe { run(address.get(), i32::try_from(turns).expect("a moderate number")) };
            })
        };
        let (run, empty) = (row.c)().expect("this program has it");
        let mut ours = Contender { name: "C", run, empty };
        let mut theirs = Contender { name: "gcc", run: gcc("run"), empty: gcc("empty") };
        let names = ["C", "gcc"];
        let samples = measure(&mut [&mut ours, &mut theirs], effort);
        let times = names.into_iter().zip(samples);
        measured.push(Measured {
            id: format!("gcc_{}", row.id),
            title: row.title.clone(),
            group: "C's loop beside gcc's".to_owned(),
            prototype: row.prototype.clone(),
            arguments: None,
            listed: false,
            contenders: times.map(|(name, ns)| Times { name: name.to_owned(), ns }).collect(),
            absent: Vec::new(),
            code: Vec::new(),
        });
    }
    measured
}

/// Where a row's function is.
fn address(row: &Row) -> std::result::Result<Address, String> {
    match &row.grant {
        Grant::Text { symbols, .. } => {
            let found = symbols.iter().find(|(name, _)| *name == row.guest.import.1);
            found.map(|(_, address)| *address).ok_or_else(|| "it is nowhere".to_owned())
        }
        Grant::Shipped(shipped) => {
            let library = shipped.interface().libraries.first().ok_or("it names no library")?;
            symbol(&library.file, &row.guest.import.1)
        }
    }
}

/// What glue does to an argument before libffi gets it.
#[derive(Clone, Copy)]
enum Prepare {
    /// Nothing: libffi reads the guest's value where it is.
    InPlace,
    /// Widens it to 64 bits.
    Wide,
    /// Checks that as many bytes as that argument says are inside of the memory.
    Buffer(usize),
    /// Looks for the end of the string.
    Text,
}

/// A prepared call.
struct Prepared {
    cif: Cif,
    address: Address,
    arguments: Vec<Prepare>,
}
// SAFETY: it is only read; libffi does not write to a prepared call.
unsafe impl Send for Prepared {}
// SAFETY: likewise.
unsafe impl Sync for Prepared {}

const MOST_ARGUMENTS: usize = 18;

/// The types of a row's function, its result last; `None` where glue without a compiler for prototypes would have to be
/// written for the one function.
fn types(row: &Row) -> Option<(Vec<(Type, Prepare)>, Type)> {
    use Prepare::{Buffer, InPlace, Text, Wide};
    let int = || (Type::i32(), InPlace);
    let many = |n: usize, ty: fn() -> Type| (0..n).map(move |_| (ty(), InPlace));
    Some(match &*row.id {
        "half" | "cos" => (vec![(Type::f64(), InPlace)], Type::f64()),
        "mixed" => (
            many(6, Type::i64).chain(many(8, Type::f64)).chain(many(4, Type::i64)).collect(),
            Type::i64(),
        ),
        "buffer" => (vec![(Type::pointer(), Buffer(2)), int(), (Type::u64(), Wide)], Type::i32()),
        "text" => (vec![(Type::pointer(), Text), int()], Type::i32()),
        "crc32_64" | "crc32_65536" => {
            (vec![(Type::u64(), Wide), (Type::pointer(), Buffer(2)), int()], Type::u64())
        }
        _ => (many(row.arguments?, Type::i32).collect(), Type::i32()),
    })
}

/// `Func::new_unchecked` and libffi, driven by a table as any generic glue is.
fn through_libffi(row: &Row, store: &mut Store<State>) -> std::result::Result<Func, String> {
    let (params, result) =
        types(row).ok_or("libffi converts no data, knows no handles and chooses no overloads")?;
    let (types, arguments): (Vec<Type>, Vec<Prepare>) = params.into_iter().unzip();
    let prepared = Prepared { cif: Cif::new(types, result), address: address(row)?, arguments };
    let value = |text: &str| match text {
        "i64" => ValType::I64,
        "f64" => ValType::F64,
        _ => ValType::I32,
    };
    let ty = FuncType::new(
        store.engine(),
        row.guest.params.split_whitespace().map(value),
        row.guest.result.split_whitespace().map(value),
    );
    let call = move |caller: Caller<'_, State>, slots: &mut [std::mem::MaybeUninit<ValRaw>]| {
        let prepared = &prepared;
        let memory = || caller.data().memory.map(|memory| memory.data(&caller)).unwrap_or_default();
        let slots = slots.as_mut_ptr().cast::<ValRaw>();
        let mut widened = [0u64; MOST_ARGUMENTS];
        let mut pointers = [ptr::null_mut::<c_void>(); MOST_ARGUMENTS];
        for (at, prepare) in prepared.arguments.iter().enumerate() {
            // SAFETY: there is a slot for each parameter.
            let slot = unsafe { slots.add(at) };
            // SAFETY: likewise, initialised by wasmtime.
            let number = |slot: *const ValRaw| unsafe { (*slot).get_u32() } as usize;
            let value = match prepare {
                Prepare::InPlace => {
                    pointers[at] = slot.cast();
                    continue;
                }
                Prepare::Wide => number(slot) as u64,
                Prepare::Buffer(length) => {
                    // SAFETY: the length is a parameter too.
                    let (start, length) = (number(slot), number(unsafe { slots.add(*length) }));
                    let end = start.checked_add(length);
                    let bytes = end.and_then(|end| memory().get(start..end));
                    bytes.ok_or_else(|| format_err!("out of bounds"))?.as_ptr() as u64
                }
                Prepare::Text => {
                    let bytes = memory().get(number(slot)..).unwrap_or_default();
                    memchr::memchr(0, bytes).ok_or_else(|| format_err!("unterminated"))?;
                    bytes.as_ptr() as u64
                }
            };
            widened[at] = value;
            pointers[at] = ptr::from_mut(&mut widened[at]).cast();
        }
        let mut result = 0_u64;
        // SAFETY: the prepared call is that of the function; the arguments are of its types; no result is
        // larger.
        unsafe {
            let function = low::CodePtr(prepared.address.get().cast_mut());
            libffi::raw::ffi_call(
                prepared.cif.as_raw_ptr(),
                Some(*function.as_safe_fun()),
                (&raw mut result).cast(),
                pointers.as_mut_ptr(),
            );
            *slots = ValRaw::u64(result);
        }
        Result::Ok(())
    };
    // SAFETY: the function leaves a result of its type in the first slot.
    Ok(unsafe { Func::new_unchecked(store, ty, call) })
}
