//! The fuzz targets without a fuzzer: each check on fixed seeds and on the committed corpus, so often that
//! it takes about a second. Which inputs are tried does not depend on time.
pub use portcullis::{plan, signature};
use seeds::Rng;
use std::path::Path;

#[path = "../fuzzing/mod.rs"]
mod fuzzing;
#[path = "../support/rng.rs"]
#[allow(dead_code, reason = "inputs are bytes, and little else")]
mod seeds;

// What the differential suite has: its parts find each other in the root.
#[path = "../differential/case.rs"]
mod case;
#[path = "../differential/compare.rs"]
mod compare;
#[path = "../differential/generate.rs"]
#[allow(dead_code, reason = "no batches")]
mod generate;
#[path = "../differential/model.rs"]
mod model;
#[path = "../fuzzing/rng.rs"]
mod rng;
#[path = "../differential/text.rs"]
#[allow(dead_code, reason = "no C")]
mod text;

#[global_allocator]
static ALLOCATOR: fuzzing::meter::Counting = fuzzing::meter::Counting;

/// Runs `check` on the corpus of a target, and on random bytes: `seeds` times up to `length` of them. At least so
/// many of them must have meant something.
fn smoke(target: &str, check: fn(&[u8]), (seeds, length): (usize, usize), floors: &[(&str, u64)]) {
    let mut executions = 0;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("an entry of the corpus").path())
        .collect();
    files.sort();
    for file in &files {
        let bytes =
            std::fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        tried(
            &format!("fuzz/corpus/{target}/{}", file.file_name().unwrap_or_default().display()),
            check,
            &bytes,
        );
        executions += 1;
    }
    let seed = seeds::seed(0x706f_7274);
    for number in 0..seeds {
        let mut rng = Rng::new(seed.wrapping_add(number as u64 * 0x1_0000_0001));
        let bytes: Vec<u8> =
            (0..rng.below(length + 1)).map(|_| rng.next().to_le_bytes()[0]).collect();
        tried(&format!("random input {number}"), check, &bytes);
        executions += 1;
    }
    println!("{target}: {executions} executions, {} of them from the corpus", files.len());
    assert!(executions >= seeds + files.len() && !files.is_empty(), "{executions} executions");
    let counted = fuzzing::tally::counted();
    println!("{target}: {counted:?}");
    for (what, floor) in floors {
        let found = counted.get(what).copied().unwrap_or_default();
        assert!(found >= *floor, "{what}: only {found}");
    }
}

/// Says which input it was when a check panics.
fn tried(what: &str, check: fn(&[u8]), bytes: &[u8]) {
    struct Says<'a>(&'a str, &'a [u8]);
    impl Drop for Says<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                println!("{}: {:?}", self.0, self.1);
            }
        }
    }
    let _says = Says(what, bytes);
    check(bytes);
}

#[test]
fn no_text_panics() {
    smoke(
        "prototypes",
        fuzzing::prototypes::check,
        (2500, 300),
        &[("valid prototypes", 400), ("valid interfaces", 100), ("errors", 2500), ("plans", 2500)],
    );
}

#[test]
fn plans() {
    smoke(
        "plans",
        fuzzing::plans::check,
        (2500, 2500),
        &[
            ("compiled", 2000),
            ("executed", 6000),
            ("called", 4000),
            ("refused", 1000),
            ("accepted mutants", 20),
        ],
    );
}

#[test]
fn calls() {
    smoke(
        "calls",
        fuzzing::calls::check,
        (300, 600),
        &[
            ("calls that return", 450),
            ("calls that fail", 50),
            ("wild calls that return", 350),
            ("wild calls that fail", 600),
            ("interpreter", 300),
            ("template", 5),
            ("cranelift", 50),
            ("direct", 100),
        ],
    );
}

#[test]
fn guests() {
    smoke(
        "guests",
        fuzzing::guests::check,
        (500, 600),
        &[
            ("programs", 500),
            ("calls that return", 6000),
            ("calls that fail", 6000),
            ("nested programs", 800),
            ("nested calls that return", 600),
            ("looked at", 15_000),
        ],
    );
}

/// The executor can fail: of the plans that the verifier refuses, many do what it looks for.
#[test]
fn the_executor_finds_what_the_verifier_refuses() {
    trespass(fuzzing::plans::refused, 1500, (1000, 300, 12));
}

/// And of those without a guest.
#[test]
fn the_executor_finds_what_the_verifier_refuses_without_a_guest() {
    trespass(fuzzing::plans::refused_without_a_guest, 1500, (300, 200, 5));
}

/// Of so many inputs, at least so many must make a plan that is refused, so many of these one that trespasses, in so many ways.
fn trespass(check: fn(&[u8]) -> bool, inputs: u64, at_least: (usize, usize, usize)) {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let (mut refused, mut found) = (0, std::collections::BTreeMap::<String, usize>::new());
    for number in 0..inputs {
        let mut rng = Rng::new(number);
        let bytes: Vec<u8> = (0..2000).map(|_| rng.next().to_le_bytes()[0]).collect();
        let ended = std::panic::catch_unwind(|| check(&bytes));
        match ended {
            Ok(was_refused) => refused += usize::from(was_refused),
            Err(panic) => {
                refused += 1;
                let said = panic.downcast_ref::<String>().map_or("index", String::as_str);
                let class = said.split(|c: char| c.is_ascii_digit() || "{`(".contains(c)).next();
                *found.entry(class.unwrap_or_default().to_owned()).or_default() += 1;
            }
        }
    }
    std::panic::set_hook(hook);
    let all: usize = found.values().sum();
    println!("{refused} plans were refused, {all} of them trespass: {found:#?}");
    let right = refused >= at_least.0 && all >= at_least.1 && found.len() >= at_least.2;
    assert!(right, "{all} of {refused}: {found:#?}");
}
