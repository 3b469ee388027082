//! Measures: row after row, everything of one row interleaved.
use super::guests::{Entry, Extra, contenders};
use super::harness::{Contender, Effort, measure_with};
use super::model::{Absent, Machine, Measured, Program, Run, SCHEMA, Times, iso};
use super::row::Row;
use super::{code, machine};
use std::time::{SystemTime, UNIX_EPOCH};
use wasmtime::Engine;

/// A run that is to be believed.
pub const FULL: Effort = Effort { rounds: 201, sample: 200_000.0 };
/// A run to look at.
pub const QUICK: Effort = Effort { rounds: 31, sample: 50_000.0 };

/// Functions that take longer than this, in nanoseconds, have fewer rounds, so that none takes minutes.
const LONG: f64 = 2e6;

/// What to measure, and how.
#[derive(Debug)]
pub struct Options {
    /// How much.
    pub effort: Effort,
    /// On which core; the last one of the fastest type unless somebody says so.
    pub core: Option<usize>,
    /// The command line, to be kept.
    pub command: Vec<String>,
    /// The commit, if it is known.
    pub commit: Option<String>,
    /// What else is to be said of versions.
    pub others: Vec<String>,
}

/// Measures `rows` on one core. `extra` are further contenders; `told` hears what is being measured, and how much
/// of everything is done, from 0 to 1.
///
/// # Errors
/// When this thread cannot be pinned to the core.
pub fn run(
    rows: &[Row],
    options: Options,
    extra: &[Extra<'_>],
    mut told: impl FnMut(&str, f64),
) -> std::io::Result<Run> {
    let core = machine::pin(options.core)?;
    // Before any guest is compiled.
    let first_code = code::first(rows);
    let mut warnings = machine::warnings(core);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let cpus = machine::here();
    let Options { effort, command, commit, others, .. } = options;
    let engine = Engine::default();
    let preempted = machine::preemptions();
    let mut measured = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let done = |part: f64| (as_f64(number) + part) / as_f64(rows.len());
        told(&row.title, done(0.0));
        let entries = contenders(&engine, row, extra);
        measured.push(one(row, entries, effort, |part| told(&row.title, done(part))));
    }
    let preempted = machine::preemptions() - preempted;
    // A disturbance now and then is what medians are for.
    if preempted > 100 {
        warnings.push(format!(
            "other programs have taken core {core} away {preempted} times: close them, and measure again"
        ));
    }
    Ok(Run {
        schema: SCHEMA.to_owned(),
        when: iso(now.as_secs()),
        command,
        program: Program {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit,
            wasmtime: wasmtime_version().to_owned(),
            others,
        },
        machine: Machine {
            processor: machine::processor(),
            cores: cpus.online.len(),
            core,
            core_type: cpus.type_of(core).map(|ty| ty.name.clone()),
            governor: cpus.governors.get(&core).cloned(),
            system: system(),
        },
        rounds: effort.rounds,
        sample_ns: effort.sample,
        warnings,
        first_code,
        rows: measured,
    })
}

/// Measures the contenders of one row.
fn one(row: &Row, entries: Vec<Entry>, effort: Effort, mut told: impl FnMut(f64)) -> Measured {
    let mut present: Vec<Contender> = Vec::new();
    let mut absent = Vec::new();
    for (name, made) in entries {
        match made {
            Ok(contender) => present.push(contender),
            Err(why) => absent.push(Absent { name: name.to_owned(), why }),
        }
    }
    let mut effort = effort;
    for contender in &mut present {
        let start = std::time::Instant::now();
        (contender.run)(1);
        if start.elapsed().as_secs_f64() * 1e9 > LONG {
            effort.rounds = effort.rounds.min(15);
        }
    }
    let mut contenders: Vec<&mut Contender> = present.iter_mut().collect();
    let names: Vec<String> = contenders.iter().map(|one| one.name.to_owned()).collect();
    let mut round = 0;
    let samples = measure_with(&mut contenders, effort, || {
        round += 1;
        told(as_f64(round) / as_f64(effort.rounds));
    });
    // More digits than the clock has say nothing.
    let short = |ns: Vec<f64>| ns.into_iter().map(|ns| (ns * 1e3).round() / 1e3).collect();
    let times = names.into_iter().zip(samples);
    Measured {
        id: row.id.clone(),
        title: row.title.clone(),
        group: row.group.to_owned(),
        prototype: row.prototype.clone(),
        arguments: row.arguments,
        listed: row.listed,
        contenders: times.map(|(name, ns)| Times { name, ns: short(ns) }).collect(),
        absent,
        code: code::code(row, effort.rounds.min(51)),
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers of rounds and rows, far below 2^52")]
fn as_f64(n: usize) -> f64 {
    n as f64
}

#[cfg(feature = "cranelift")]
fn wasmtime_version() -> &'static str {
    wasmtime_environ::VERSION
}

#[cfg(not(feature = "cranelift"))]
fn wasmtime_version() -> &'static str {
    "48"
}

/// The operating system's name and version.
fn system() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    format!("{} {}", std::env::consts::OS, read("/proc/sys/kernel/osrelease"))
}
