//! A run as plain text: tables for the terminal, and raw data as CSV.
use super::model::{Measured, Pays, Run};
use super::statistics::{Interval, Time, digits};
use std::fmt::Write as _;

/// A table: heads, and rows of cells. All but the first column are numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grid {
    /// What it shows.
    pub title: String,
    /// One a column, with its unit.
    pub heads: Vec<String>,
    /// The cells.
    pub rows: Vec<Vec<String>>,
}

impl Grid {
    /// The table, numbers at the right of their columns.
    #[must_use]
    pub fn text(&self) -> String {
        let all = || std::iter::once(&self.heads).chain(&self.rows);
        let width = |column: usize| {
            all().filter_map(|row| Some(row.get(column)?.chars().count())).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.heads.len()).map(width).collect();
        let mut text = format!("{}\n", self.title);
        for row in all() {
            let mut line = String::from(" ");
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let blanks = " ".repeat(width - cell.chars().count());
                let (before, behind) = if column == 0 { ("", &*blanks) } else { (&*blanks, "") };
                let _ = write!(line, " {before}{cell}{behind} ");
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    /// The table in Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = format!("| {} |\n|---|", self.heads.join(" | "));
        text.push_str(&"--:|".repeat(self.heads.len().saturating_sub(1)));
        text.push('\n');
        for row in &self.rows {
            let cells: Vec<String> =
                row.iter().map(|cell| cell.replace('|', "\\|").replace('*', "\\*")).collect();
            let _ = writeln!(text, "| {} |", cells.join(" | "));
        }
        text
    }
}

/// What is said where there is nothing.
const NOTHING: &str = "–";

/// What a call costs, by function and contender.
#[must_use]
pub fn costs(run: &Run) -> Grid {
    let names = run.names();
    let mut heads = vec!["function".to_owned()];
    heads.extend(names.iter().map(|name| format!("{name}, ns")));
    let cell = |row: &Measured, name: &str| match (row.interval(name), row.spread(name)) {
        (None, _) => NOTHING.to_owned(),
        (Some(found), None) => digits(found.median),
        (Some(found), Some(spread)) => {
            format!("{} ±{:.0}%", digits(found.median), 50.0 * spread)
        }
    };
    let line = |row: &Measured| {
        std::iter::once(row.title.clone()).chain(names.iter().map(|name| cell(row, name))).collect()
    };
    Grid {
        title: "Nanoseconds a call, median ± half of the width of the middle half of all rounds"
            .to_owned(),
        heads,
        rows: run.listed().map(line).collect(),
    }
}

/// How many times as long as C.
#[must_use]
pub fn ratios(run: &Run) -> Grid {
    let mut names = run.names();
    names.retain(|name| *name != "C");
    let mut heads = vec!["function".to_owned()];
    heads.extend(names.iter().map(|name| format!("{name}, × C")));
    let cell = |row: &Measured, name: &str| {
        row.ratio(name, "C").map_or(NOTHING.to_owned(), |Interval { low, median, high }| {
            format!("{} [{}, {}]", digits(median), digits(low), digits(high))
        })
    };
    let line = |row: &Measured| {
        std::iter::once(row.title.clone()).chain(names.iter().map(|name| cell(row, name))).collect()
    };
    Grid {
        title: "Times C, median of the ratios of all rounds with its 95 % interval".to_owned(),
        heads,
        rows: run.listed().map(line).collect(),
    }
}

/// What a call costs, by number of `int`s.
#[must_use]
pub fn arguments(run: &Run) -> Grid {
    let rows = run.by_arguments();
    let mut heads = vec!["contender".to_owned()];
    heads.extend(rows.iter().map(|(count, _)| format!("{count} int, ns")));
    let line = |name: &&str| {
        let cell = |(_, row): &(usize, &Measured)| {
            row.interval(name).map_or(NOTHING.to_owned(), |found| digits(found.median))
        };
        std::iter::once((*name).to_owned()).chain(rows.iter().map(cell)).collect()
    };
    Grid {
        title: "Nanoseconds a call of a function of so many ints, median".to_owned(),
        heads,
        rows: if rows.len() < 2 { Vec::new() } else { run.names().iter().map(line).collect() },
    }
}

/// The contenders whose time is split.
pub const SPLIT: [&str; 4] = ["interpreter", "template", "cranelift", "direct"];

/// Where the time of calls goes.
#[must_use]
pub fn splits(run: &Run) -> Grid {
    let heads = [
        "function",
        "tier",
        "native work, ns",
        "the call itself, ns",
        "arguments and result, ns",
        "native, %",
    ];
    let mut rows = Vec::new();
    for row in run.listed() {
        for name in SPLIT {
            let Some(split) = run.split(row, name) else { continue };
            let all = split.native + split.call + split.marshalling;
            rows.push(vec![
                row.title.clone(),
                name.to_owned(),
                digits(split.native),
                digits(split.call),
                digits(split.marshalling),
                format!("{:.0}", 100.0 * split.native / all),
            ]);
        }
    }
    Grid {
        title: "Where the time of a call goes, from medians".to_owned(),
        heads: heads.map(str::to_owned).to_vec(),
        rows,
    }
}

/// From how many calls on machine code pays.
#[must_use]
pub fn break_even(run: &Run) -> Grid {
    let heads = [
        "function",
        "cranelift: code, µs",
        "pays from, calls",
        "direct: code, µs",
        "pays from, calls",
    ];
    let mut rows = Vec::new();
    for row in run.listed() {
        let mut line = vec![row.title.clone()];
        for tier in ["cranelift", "direct"] {
            let code = row.code(tier);
            line.push(code.map_or(NOTHING.to_owned(), |code| digits(code.median)));
            line.push(match row.pays(tier, without_code(row)) {
                None => NOTHING.to_owned(),
                Some(Pays::From(calls)) => grouped(calls),
                Some(Pays::Undecided) => "no difference".to_owned(),
                Some(Pays::Never) => "never".to_owned(),
            });
        }
        if line[1..].iter().any(|cell| cell != NOTHING) {
            rows.push(line);
        }
    }
    Grid {
        title: "From how many calls on machine code pays, against template or interpreter"
            .to_owned(),
        heads: heads.map(str::to_owned).to_vec(),
        rows,
    }
}

/// The fastest tier that makes no machine code.
#[must_use]
pub fn without_code(row: &Measured) -> &'static str {
    let median = |name: &str| row.interval(name).map(|found| found.median);
    match (median("template"), median("interpreter")) {
        (Some(template), Some(interpreter)) if template < interpreter => "template",
        (Some(_), None) => "template",
        _ => "interpreter",
    }
}

/// A whole number with its thousands apart.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// One line about machine and effort.
#[must_use]
pub fn machine(run: &Run) -> String {
    let machine = &run.machine;
    let ty = machine.core_type.as_ref().map(|ty| format!(", one of the {ty}")).unwrap_or_default();
    let governor = machine.governor.as_deref().unwrap_or("not known");
    format!(
        "core {} of {}{ty} ({} cores, governor {governor}, {}); portcullis {}{}, wasmtime {}{}; \
         {} rounds, samples of at least {}; {}",
        machine.core,
        machine.processor,
        machine.cores,
        machine.system,
        run.program.version,
        run.program.commit.as_ref().map(|commit| format!(" ({commit})")).unwrap_or_default(),
        run.program.wasmtime,
        run.program.others.iter().map(|other| format!(", {other}")).collect::<String>(),
        run.rounds,
        Time(run.sample_ns),
        run.when,
    )
}

/// Everything, for a terminal.
#[must_use]
pub fn show(run: &Run) -> String {
    let mut text = format!("{}\n", machine(run));
    for grid in [costs(run), ratios(run), arguments(run), break_even(run)] {
        if !grid.rows.is_empty() {
            let _ = write!(text, "\n{}", grid.text());
        }
    }
    let absent = absent(run.listed());
    if !absent.is_empty() {
        let _ = write!(text, "\nNot possible\n{absent}");
    }
    text
}

/// A line a reason: `cos, C and wrap: the library cannot be loaded`.
#[must_use]
pub fn absent<'r>(rows: impl IntoIterator<Item = &'r Measured>) -> String {
    let mut text = String::new();
    for row in rows {
        for (names, why) in row.reasons() {
            let _ = writeln!(text, "  {}, {}: {why}", row.title, listed(&names));
        }
    }
    text
}

/// `one, another and a third`.
fn listed(names: &[&str]) -> String {
    match names {
        [names @ .., last] if !names.is_empty() => format!("{} and {last}", names.join(", ")),
        names => names.concat(),
    }
}

/// The raw data.
#[must_use]
pub fn csv(run: &Run) -> String {
    let mut text = String::from("function,contender,round,ns_per_call\n");
    for row in &run.rows {
        for times in &row.contenders {
            for (round, ns) in times.ns.iter().enumerate() {
                let _ = writeln!(text, "{},{},{round},{ns}", row.id, times.name);
            }
        }
    }
    text
}
