//! A document whose tables are those of a run: what stands between markers is made of the raw data.
//!
//! ```text
//! <!-- bench: costs -->
//! ... whatever was there is replaced ...
//! <!-- end -->
//! ```
use super::model::{Measured, Pays, Run};
use super::plots::plots;
use super::statistics::{Difference, Interval, Time, digits};
use super::text::{self, Grid};
use std::fmt::Write as _;

/// The document with the tables of this run. The text around them stays.
///
/// # Errors
/// When a marker is not known, or has no end.
pub fn document(text: &str, run: &Run) -> Result<String, String> {
    const START: &str = "<!-- bench: ";
    const END: &str = "<!-- end -->";
    let mut made = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(START) {
        let name = &rest[at + START.len()..];
        let (name, _) = name.split_once(" -->").ok_or("a marker has no end")?;
        let head = at + START.len() + name.len() + " -->".len();
        let end = rest.find(END).filter(|end| *end >= head);
        let end = end.ok_or_else(|| format!("what `{name}` begins has no end"))?;
        made.push_str(&rest[..head]);
        let part = part(name, run).ok_or_else(|| format!("`{name}` is no part of a run"))?;
        let _ = write!(made, "\n\n{}\n", part.trim_end());
        made.push('\n');
        made.push_str(END);
        rest = &rest[end + END.len()..];
    }
    made.push_str(rest);
    Ok(made)
}

/// The drawings that such a document shows, by the names of their files.
#[must_use]
pub fn drawings(run: &Run) -> Vec<(String, String)> {
    plots(run).into_iter().map(|plot| (format!("{}.svg", plot.id), plot.file())).collect()
}

fn part(name: &str, run: &Run) -> Option<String> {
    let table = |grid: Grid| Some(grid.markdown());
    match name {
        "machine" => Some(machine(run)),
        "facts" => Some(facts(run)),
        "costs" => table(text::costs(run)),
        "ratios" => Some(noted(&text::ratios(run), text::below_c(run))),
        "split" => Some(noted(
            &text::splits(run),
            Some(
                [Some(text::PARTS.to_owned()), text::not_split(run)]
                    .into_iter()
                    .flatten()
                    .collect::<Vec<_>>()
                    .join("\n\n"),
            ),
        )),
        "break-even" => Some(noted(&text::break_even(run), Some(text::on_break_even(run)))),
        "arguments" => table(text::arguments(run)),
        "gcc" => table(beside_gcc(run)),
        "absent" => table(absent(run)),
        _ => None,
    }
}

/// A table, and what is to be said of it.
fn noted(grid: &Grid, note: Option<String>) -> String {
    let note = note.map(|note| format!("\n{}\n", note.replace('*', "\\*")));
    grid.markdown() + &note.unwrap_or_default()
}

fn machine(run: &Run) -> String {
    let mut text = format!("Measured {}, on {}.\n", &run.when[..10], text::machine(run));
    let _ = write!(text, "\nCommand: `{}`.\n", run.command.join(" "));
    let weaknesses = run.weaknesses();
    if !weaknesses.is_empty() {
        let _ = write!(text, "\nWhat makes these numbers weak:\n\n");
        for warning in weaknesses {
            let _ = writeln!(text, "- {warning}");
        }
    }
    text
}

/// What the run says in words, each with its interval.
fn facts(run: &Run) -> String {
    let row = |id: &str| run.rows.iter().find(|row| row.id == id);
    let mut text = String::new();
    for id in
        ["ints2", "buffer", "text", "swap", "handle", "callback", "qsort", "cos", "sqlite_step"]
    {
        let Some(row) = row(id) else { continue };
        let tiers = ["direct", "cranelift", "template", "interpreter"];
        let Some(fastest) = tiers.into_iter().find(|tier| row.interval(tier).is_some()) else {
            continue;
        };
        let (Some(time), Some(to_c)) = (row.interval(fastest), row.ratio(fastest, "C")) else {
            continue;
        };
        let _ = write!(
            text,
            "- **{}**: `{fastest}` takes {}, {} times C ({} to {})",
            row.title,
            Time(time.median),
            digits(to_c.median),
            digits(to_c.low),
            digits(to_c.high)
        );
        for other in ["wrap", "libffi"] {
            if let Some(ratio) = row.ratio(fastest, other) {
                let _ = write!(text, "; {}", against(ratio, other));
            }
        }
        if let Some(ratio) = row.ratio("interpreter", "libffi") {
            let _ = write!(text, "; the interpreter {}", against(ratio, "libffi"));
        }
        if let Some(calls) = pays(row) {
            let _ = write!(text, "; {calls}");
        }
        text.push_str(".\n");
    }
    text
}

fn against(ratio: Interval, other: &str) -> String {
    let times = digits(ratio.median);
    match ratio.difference() {
        Difference::Faster => format!("{times} times {other} (less)"),
        Difference::Equal => format!("no different from {other} ({times} times)"),
        Difference::Slower => format!("{times} times {other} (more)"),
    }
}

fn pays(row: &Measured) -> Option<String> {
    Some(match row.pays("direct", text::without_code(row))? {
        Pays::From(Interval { low, median, high }) => {
            format!(
                "its code, made by a warm compiler, has paid after {median:.0} calls ({low:.0} to {high:.0})"
            )
        }
        Pays::Undecided => "no difference that would pay for its code".to_owned(),
        Pays::Never => "its code never pays".to_owned(),
    })
}

/// C's loop, as it is compiled with this program, beside gcc's.
fn beside_gcc(run: &Run) -> Grid {
    let heads = ["function", "our loop, ns", "gcc's, ns", "ours, × gcc's"];
    let line = |row: &Measured| {
        let (ours, theirs) = (row.interval("C")?, row.interval("gcc")?);
        let Interval { low, median, high } = row.ratio("C", "gcc")?;
        Some(vec![
            row.title.clone(),
            digits(ours.median),
            digits(theirs.median),
            format!("{} [{}, {}]", digits(median), digits(low), digits(high)),
        ])
    };
    Grid {
        title: String::new(),
        heads: heads.map(str::to_owned).to_vec(),
        rows: run.rows.iter().filter_map(line).collect(),
    }
}

fn absent(run: &Run) -> Grid {
    let mut rows = Vec::new();
    for row in run.listed() {
        for absent in &row.absent {
            let why = absent.reason();
            rows.push(vec![row.title.clone(), absent.name.clone(), why]);
        }
    }
    let heads = ["function", "contender", "why not"].map(str::to_owned).to_vec();
    Grid { title: String::new(), heads, rows }
}
