//! Every C type by value: random signatures, with gcc as the judge.
//!
//! ```text
//! generate ── types ──┬── c_text     one C file a batch: types, `make`, `hash`, callees, callers
//!                     └── contender  who calls what: gcc itself, libffi, `ffi` calls and closures
//! library  the compiled batch, loaded; values that gcc makes and hashes; this file compares
//! ```
//!
//! gcc knows what a value is: it makes values from a seed and hashes their members, so this test
//! holds no layouts of its own. A contender is right when callee and caller hash what they should.
//! Structs nest to depth 4; there are unions, arrays, packed and over-aligned records, bit-fields,
//! all scalars, `__int128`, `long double`, complex numbers, vectors, up to 20 parameters, typed
//! variadic tails. Of sixteen batches one is optimised and one is compiled by clang where it is
//! installed (without `__int128`, of which clang before 18 puts a half into the last register, and
//! without tails and members that have no bytes, which clang passes in its own way).
//!
//! libffi is a second opinion on the types that it can express, one case in five. Where the two
//! differ gcc is right; `second` lists the kinds of calls where they are known to:
//!
//! - a result that is a struct of one `long double`, which libffi 3.5 leaves in st0.
//!
//! What a `long double` looks like is known here, so this is about x86-64 alone.
#![cfg(all(target_arch = "x86_64", unix))]
#![expect(unsafe_code, reason = "calls C functions that were generated")]
use contender::{Call, Contender, Gcc};
use coverage::Coverage;
use generate::{Batch, Menu};
use library::Loaded;
use rng::Rng;
use second::Libffi;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
#[cfg(feature = "cranelift")]
use subject::Compiled;
use subject::{Calls, Closures};

mod c_text;
mod contender;
mod coverage;
mod generate;
mod library;
mod named;
#[path = "../support/native.rs"]
mod native;
#[expect(dead_code, reason = "nothing is shuffled here")]
#[path = "../support/rng.rs"]
mod rng;
mod second;
mod subject;
mod types;

/// Functions: batches of so many, and how many batches.
const BATCH: usize = 1_000;
const BATCHES: usize = 51;
/// Types with a tag in a batch.
const TYPES: usize = 70;
/// gcc takes nearly all of the time.
const THREADS: usize = 2;

#[cfg(feature = "cranelift")]
static CONTENDERS: [&dyn Contender; 5] = [&Gcc, &Libffi, &Calls, &Compiled, &Closures];
#[cfg(not(feature = "cranelift"))]
static CONTENDERS: [&dyn Contender; 4] = [&Gcc, &Libffi, &Calls, &Closures];

#[test]
fn random_signatures_agree_with_gcc() {
    let seed = rng::seed(0x506f_7274_6375_6c6c);
    let has_clang = Command::new("clang").arg("--version").output().is_ok();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let coverage = Mutex::new(Coverage::default());
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= BATCHES {
                        return;
                    }
                    let offset = u64::try_from(number).expect("few") << 32;
                    let mut rng = Rng::new(seed.wrapping_add(offset));
                    let compiler = Compiler::of(number, has_clang);
                    let gcc = compiler.name == "gcc";
                    let menu = Menu { types: TYPES, cases: BATCH, gcc };
                    let batch = generate::batch(number, menu, &mut rng);
                    run(&batch, compiler, folder.path(), &mut rng, &coverage);
                }
            });
        }
    });
    let coverage = coverage.into_inner().expect("no thread has panicked");
    print!("{coverage}");
    coverage.check(BATCHES * BATCH, &CONTENDERS);
}

/// Who compiles a batch, and how.
#[derive(Clone, Copy)]
struct Compiler {
    name: &'static str,
    level: &'static str,
}

impl Compiler {
    /// Code that is not optimised is compiled three times as fast. Optimised code relies on what it
    /// may, and leaves what it may: the upper bits of narrow integers, registers, the red zone.
    fn of(number: usize, has_clang: bool) -> Compiler {
        let (name, level) = match number % 16 {
            1 => ("gcc", "-O2"),
            5 if has_clang => ("clang", "-O1"),
            5 => ("gcc", "-O1"),
            _ => ("gcc", "-O0"),
        };
        Compiler { name, level }
    }
}

/// Runs one batch with every contender.
fn run(
    batch: &Batch,
    compiler: Compiler,
    folder: &Path,
    rng: &mut Rng,
    coverage: &Mutex<Coverage>,
) {
    let Compiler { name, level } = compiler;
    // Nothing unwinds through these functions, and the tables take a tenth of the time.
    let flags = [level, "-fno-asynchronous-unwind-tables"];
    let (file, source) = (c_text::library_name(batch), c_text::source(batch));
    let path = native::compile_with(name, folder, &file, &source, &flags);
    let library = Arc::new(Loaded::open(&path, batch));
    let mut own = Coverage::default();
    for case in &batch.cases {
        own.count(batch, case, name);
        let call = Call { batch, case, library: &library, seed: rng.next() };
        for contender in CONTENDERS {
            if !contender.takes(batch, case) {
                continue;
            }
            let mut values = call.begin();
            let outcome = contender.run(&call, &mut values);
            let wrong = match outcome {
                Ok(outcome) if outcome == values.expected => None,
                Ok(outcome) if outcome.seen != values.expected.seen => {
                    Some("the callee received other arguments".to_owned())
                }
                Ok(_) => Some("the caller received another result".to_owned()),
                Err(error) => Some(error),
            };
            if let (Some(_), Some(excuse)) = (&wrong, contender.excuse(&call)) {
                own.excuse(contender.name(), excuse);
                continue;
            }
            let wrong = wrong.map(|error| {
                format!(
                    "{} in batch {} ({name} {level}): {error}\n{}{}",
                    contender.name(),
                    batch.number,
                    c_text::declarations(batch, case).trim_start_matches(c_text::PRELUDE),
                    c_text::prototype(batch, case),
                )
            });
            own.ran(contender.name(), wrong);
        }
    }
    coverage.lock().expect("no thread has panicked").add(own);
}
