//! What one call from wasm into a C function costs: `cargo bench`, or `cargo bench -- --quick`.
//!
//! All contenders (see `support/contenders.rs`) run the same loops over the same C functions, on one
//! core, interleaved within one run. A figure is the median over all rounds of the time of a call,
//! net of the contender's own empty loop, with its 95 % interval; comparisons are medians of what each
//! round says. Raw data stay in `target/bench/calls.csv`.
//!
//! Marshalling is all that this measures: the functions do next to nothing.
#![expect(unsafe_code, reason = "calls C functions through their addresses")]
#[path = "support/by_hand.rs"]
mod by_hand;
#[path = "support/contenders.rs"]
mod contenders;
#[path = "../tests/support/native.rs"]
mod native;
#[path = "support/rows.rs"]
mod rows;

use contenders::{Contender, NAMES, Native};
use portcullis::bench::harness::{self, Effort, Samples};
use portcullis::bench::machine;
use portcullis::bench::statistics::{Interval, Verdict, paired, slope, spread};
use rows::Row;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use wasmtime::Engine;

/// What the command line asks for.
struct Options {
    effort: Effort,
    core: Option<usize>,
    /// Only rows whose title or function contains this.
    filter: Option<String>,
    /// Nothing is measured: this contender alone runs for a while, for a profiler to look at.
    only: Option<String>,
}

const FULL: Effort = Effort { rounds: 201, sample: 200_000.0 };
const QUICK: Effort = Effort { rounds: 15, sample: 50_000.0 };
/// Enough to see that everything works (`cargo test --benches`).
const SMOKE: Effort = Effort { rounds: 1, sample: 1_000.0 };

/// Spreads above this share of the median make a figure weak.
const WIDE_SPREAD: f64 = 0.15;

fn main() -> ExitCode {
    let options = match options(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(problem) => {
            eprintln!(
                "{problem}\nusage: cargo bench -- [--quick] [--core N] [--only CONTENDER] [ROW]"
            );
            return ExitCode::from(2);
        }
    };
    let core = match machine::pin(options.core) {
        Ok(core) => core,
        Err(error) => {
            eprintln!("cannot pin this process to a core: {error}");
            return ExitCode::FAILURE;
        }
    };
    let all = rows::all();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let callees = native::compile(folder, "libcallees.so", &rows::callees(&all), &["-O2"]);
    let loops = native::compile(folder, "libloops.so", &rows::loops(&all), &["-O2", "-ldl"]);
    // Never closed: loops and guests keep addresses in it.
    let native = Box::leak(Box::new(Native::open(&callees, &loops)));
    let mut contenders = contenders::all(&Engine::default(), &all, native);

    if let Some(only) = &options.only {
        return alone(&all, &mut contenders, only, options.filter.as_deref().unwrap_or("add"));
    }
    println!("core {core} of {}", machine::processor());
    println!("wasmtime {}, libffi {}", locked("wasmtime"), locked("libffi-sys"));
    println!("wasmtime's features: {}", features());
    println!("{} rounds, medians with their 95 % intervals", options.effort.rounds);
    for warning in machine::warnings(core) {
        println!("warning: {warning}");
    }
    let mut report = Report::default();
    for (row, contenders) in all.iter().zip(&mut contenders) {
        let wanted =
            options.filter.as_ref().is_none_or(|f| row.title.contains(f) || row.symbol.contains(f));
        if row.slope.is_none() && wanted {
            let mut contenders: Vec<&mut Contender> = contenders.iter_mut().collect();
            let samples = harness::measure(&mut contenders, options.effort);
            report.row(row, &names(&contenders), samples);
        }
    }
    if options.filter.is_none() {
        let mut parts: Vec<(usize, &mut Contender)> = Vec::new();
        for (row, contenders) in all.iter().zip(&mut contenders) {
            if let Some(count) = row.slope {
                parts.extend(contenders.iter_mut().map(|contender| (count, contender)));
            }
        }
        report.slopes(parts, options.effort);
    }
    report.finish();
    ExitCode::SUCCESS
}

/// Runs one contender of one row for a few seconds.
fn alone(rows: &[Row], all: &mut [Vec<Contender>], name: &str, function: &str) -> ExitCode {
    let contenders = rows.iter().zip(all).find(|(row, _)| row.symbol == function);
    let contender = contenders.and_then(|(_, all)| all.iter_mut().find(|one| one.name == name));
    let Some(contender) = contender else {
        eprintln!("no contender `{name}` calls a function `{function}`");
        return ExitCode::from(2);
    };
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(3) {
        (contender.run)(1 << 16);
    }
    ExitCode::SUCCESS
}

fn options(arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options { effort: SMOKE, core: None, filter: None, only: None };
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        match &*argument {
            // What `cargo bench` adds.
            "--bench" if options.effort.rounds == SMOKE.rounds => options.effort = FULL,
            "--bench" | "--test" => {}
            "--quick" => options.effort = QUICK,
            "--core" => {
                let core = arguments.next().and_then(|core| core.parse().ok());
                options.core = Some(core.ok_or("--core needs a number")?);
            }
            "--only" => {
                options.only =
                    Some(arguments.next().ok_or("--only needs the name of a contender")?);
            }
            row if !row.starts_with('-') && options.filter.is_none() => {
                options.filter = Some(argument);
            }
            other => return Err(format!("unknown argument `{other}`")),
        }
    }
    Ok(options)
}

/// What wasmtime is built with in the default build of this package, as Cargo resolves it.
fn features() -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut tree = std::process::Command::new(cargo);
    tree.args(["tree", "--offline", "-e", "normal", "--depth", "0", "-p", "wasmtime", "-f", "{f}"]);
    let said = tree.current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let said = said.ok().filter(|said| said.status.success());
    let features = said.and_then(|said| String::from_utf8(said.stdout).ok());
    features.map_or_else(|| "not known".to_owned(), |features| features.trim().to_owned())
}

/// The version of a package in `Cargo.lock`.
fn locked(package: &str) -> &'static str {
    let (_, rest) = include_str!("../Cargo.lock")
        .split_once(&format!("name = \"{package}\"\nversion = \""))
        .expect("it is a dependency");
    rest.split('"').next().unwrap_or_default()
}

fn names(contenders: &[&mut Contender]) -> Vec<&'static str> {
    contenders.iter().map(|contender| contender.name).collect()
}

/// What was found, printed as it comes.
#[derive(Default)]
struct Report {
    raw: String,
    warnings: Vec<String>,
    aims: Vec<(String, Interval, f64)>,
    /// What the interpreter takes for the row of scalars, round by round.
    scalars: Vec<f64>,
}

impl Report {
    fn row(&mut self, row: &Row, names: &[&'static str], samples: Samples) {
        println!("\n{:<28}{:>24}{:>24}", row.title, "ns a call", "times C");
        let of = |name: &str| names.iter().position(|n| *n == name).map(|at| &samples[at]);
        let c = of("C").expect("every row has it");
        for (name, times) in names.iter().zip(&samples) {
            self.keep(&row.symbol, name, times);
            let ratio = Interval::of(&paired(times, c, |time, c| time / c));
            println!("  {name:<26}{:>24}{:>24}", show(Interval::of(times)), show(ratio));
        }
        for name in NAMES.iter().filter(|name| of(name).is_none()) {
            println!("  {name:<26}{:>24}", "not possible");
        }
        if let Some(times) = of("direct") {
            let mut aim = |what: &str, found: Vec<f64>, most: f64| {
                self.aims.push((
                    format!("direct: {what}, {}", row.title),
                    Interval::of(&found),
                    most,
                ));
            };
            let ratio = || paired(times, c, |time, c| time / c);
            match &*row.symbol {
                "add" | "half" => {
                    // 1.15 times, or 0.4 ns more.
                    let above = |time: f64, c: f64| time - c - (0.15 * c).max(0.4);
                    aim("ns above C and what is allowed", paired(times, c, above), 0.0);
                    if let Some(wrap) = of("wrap") {
                        aim("times wrap", paired(times, wrap, |time, wrap| time / wrap), 0.5);
                    }
                }
                "buffer" | "look" => aim("times C", ratio(), 1.5),
                "text" => aim("ns above C", paired(times, c, |time, c| time - c), 3.0),
                "eight" | "mixed" | "swap" => aim("times C", ratio(), 2.0),
                _ => {}
            }
        }
        let floor = of("floor").expect("likewise");
        if let Some(times) = of("interpreter") {
            match &*row.symbol {
                "add" => self.scalars.clone_from(times),
                "swap" if !self.scalars.is_empty() => {
                    let more = paired(times, &self.scalars, |time, scalar| time - scalar);
                    let share = Interval::of(&paired(&more, c, |more, c| more / c));
                    let what = "interpreter: C calls more than i32(i32, i32), struct{f64, f64}";
                    self.aims.push((what.to_owned(), share, 2.0));
                }
                _ => {}
            }
        }
        for tier in ["interpreter", "template", "cranelift"] {
            let Some(times) = of(tier) else { continue };
            let more = Interval::of(&paired(times, floor, |time, floor| time - floor));
            if row.symbol == "add" {
                self.aims.push((format!("{tier}: ns above the floor, {}", row.title), more, 5.0));
            }
            let Some(libffi) = of("libffi") else { continue };
            let ratio = Interval::of(&paired(times, libffi, |time, libffi| time / libffi));
            self.aims.push((format!("{tier}: times libffi, {}", row.title), ratio, 1.0));
        }
    }

    /// Rows that differ in the number of parameters only.
    fn slopes(&mut self, mut parts: Vec<(usize, &mut Contender)>, effort: Effort) {
        let counts: Vec<usize> = parts.iter().map(|(count, _)| *count).collect();
        let mut contenders: Vec<&mut Contender> = parts.iter_mut().map(|(_, c)| &mut **c).collect();
        let names = names(&contenders);
        let samples = harness::measure(&mut contenders, effort);
        for ((count, name), times) in counts.iter().zip(&names).zip(&samples) {
            self.keep(&format!("ints{count}"), name, times);
        }
        println!("\n{:<16}ns a call with so many i32", "");
        print!("  {:<14}", "");
        (0..=rows::MOST_PARAMS).for_each(|count| print!("{count:>7}"));
        println!("{:>22}", "ns a parameter");
        for name in NAMES {
            print!("  {name:<14}");
            let mut rounds: Vec<Vec<(f64, f64)>> = vec![Vec::new(); effort.rounds];
            for count in 0..=rows::MOST_PARAMS {
                let at = (0..counts.len()).find(|at| counts[*at] == count && names[*at] == name);
                let Some(at) = at else {
                    print!("{:>7}", "-");
                    continue;
                };
                print!("{:>7.2}", Interval::of(&samples[at]).median);
                let x = f64::from(u32::try_from(count).expect("few parameters"));
                for (round, time) in rounds.iter_mut().zip(&samples[at]) {
                    round.push((x, *time));
                }
            }
            if rounds[0].len() < 2 {
                println!();
                continue;
            }
            let slopes: Vec<f64> = rounds.iter().map(|points| slope(points)).collect();
            let found = Interval::of(&slopes);
            println!("{:>22}", show(found));
            if name == "interpreter" {
                self.aims.push((format!("{name}: ns a further scalar argument"), found, 2.0));
            }
        }
    }

    fn keep(&mut self, row: &str, name: &str, times: &[f64]) {
        for (round, time) in times.iter().enumerate() {
            writeln!(self.raw, "{row},{name},{round},{time:.4}")
                .expect("a string takes everything");
        }
        if times.len() > 1 && spread(times) > WIDE_SPREAD {
            self.warnings.push(format!(
                "{row}, {name}: the middle half spreads over {:.0} % of the median",
                100.0 * spread(times)
            ));
        }
    }

    fn finish(self) {
        println!("\naims");
        for (what, found, aim) in &self.aims {
            let verdict = match found.at_most(*aim) {
                Verdict::Met => "met",
                Verdict::Undecided => "undecided",
                Verdict::Missed => "MISSED",
            };
            println!("  {what:<52}{:>24}  at most {aim}: {verdict}", show(*found));
        }
        let weak = self.warnings.len();
        for warning in self.warnings.iter().take(8) {
            println!("warning: {warning}");
        }
        if weak > 8 {
            println!("warning: and {} more like these; close other programs", weak - 8);
        }
        match save(&self.raw) {
            Ok(path) => println!("raw data: {}", path.display()),
            Err(error) => println!("warning: the raw data could not be kept: {error}"),
        }
    }
}

fn show(Interval { low, median, high }: Interval) -> String {
    format!("{median:.2} [{low:.2}, {high:.2}]")
}

fn save(raw: &str) -> std::io::Result<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap_or(Path::new("."));
    let folder = target.join("bench");
    std::fs::create_dir_all(&folder)?;
    let path = folder.join("calls.csv");
    std::fs::write(&path, format!("function,contender,round,ns\n{raw}"))?;
    Ok(path)
}
