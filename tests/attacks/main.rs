//! Attacks: what a hostile guest may try, and what becomes of it on every tier.
//!
//! ```sh
//! cargo test --release --test attacks
//! ```
//!
//! prints a table: a row an attack, a column a tier. An attack has failed when it ends with the error that
//! it must end with (or does no harm, where C would not have either), when native code has run only where
//! the error says so, and when the same store can be used afterwards. Why a `main` of its own: the table is
//! what readers want to see, and the tests' own harness hides what passes.
//!
//! The libraries that are attacked are those of `tests/hostile` and `tests/callbacks`, which touch
//! everything that they are given.
#![expect(unsafe_code, reason = "grants C libraries")]

mod callbacks;
mod data;
mod handles;
mod limits;
mod linking;
mod memory;
#[path = "../support/native.rs"]
mod native;
mod programs;
mod resources;
mod stage;

use stage::{Attack, TIERS};
use std::fmt::Write as _;
use std::panic;
use std::process::ExitCode;

/// The issue asks for sixty.
const AT_LEAST: usize = 60;

/// What says how many there are.
const DOCUMENTS: [(&str, &str); 2] = [
    ("README.md", include_str!("../../README.md")),
    ("SECURITY.md", include_str!("../../SECURITY.md")),
];

fn all() -> Vec<Attack> {
    let rooms = [
        memory::attacks(),
        data::attacks(),
        handles::attacks(),
        callbacks::attacks(),
        linking::attacks(),
        resources::attacks(),
        limits::attacks(),
        programs::attacks(),
    ];
    rooms.into_iter().flatten().collect()
}

fn main() -> ExitCode {
    let attacks = all();
    assert!(attacks.len() >= AT_LEAST, "there are {} attacks only", attacks.len());
    for (name, text) in DOCUMENTS {
        let numbers = text.match_indices(" attacks").filter_map(|(at, _)| {
            text[..at].rsplit(|c: char| !c.is_ascii_digit()).next()?.parse::<usize>().ok()
        });
        let numbers: Vec<usize> = numbers.collect();
        let right = !numbers.is_empty() && numbers.iter().all(|number| *number == attacks.len());
        assert!(right, "there are {} attacks, not {numbers:?} as {name} says", attacks.len());
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        attacks.iter().for_each(|attack| println!("{}: test", attack.name));
        return ExitCode::SUCCESS;
    }
    let filters: Vec<&String> =
        arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |attack: &&Attack| {
        filters.is_empty() || filters.iter().any(|filter| attack.name.contains(filter.as_str()))
    };
    let names: Vec<String> = TIERS.iter().map(ToString::to_string).collect();
    let width = attacks.iter().map(|attack| attack.tries.len()).max().unwrap_or(0);
    println!("\n{:<width$}  {:<10}  {}", "what it tries", "ends", names.join("  "));
    let (mut done, mut failed) = (0, String::new());
    for attack in attacks.iter().filter(wanted) {
        let mut marks = String::new();
        for (tier, name) in TIERS.into_iter().zip(&names) {
            let outcome = panic::catch_unwind(|| attack.run(tier))
                .unwrap_or_else(|_| Err("the attempt panicked, see above".to_owned()));
            let mark = if outcome.is_ok() { "ok" } else { "FAILED" };
            let _ = write!(marks, "{mark:<width$}", width = name.len() + 2);
            if let Err(why) = outcome {
                let _ = writeln!(failed, "{} on {name}: {}\n  {why}", attack.name, attack.tries);
            }
        }
        println!("{:<width$}  {:<10}  {}", attack.tries, attack.ends.name(), marks.trim_end());
        done += 1;
    }
    println!("\n{done} attacks, each on {} tiers\n", TIERS.len());
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("these attacks did not end as they must:\n{failed}");
    ExitCode::FAILURE
}
