//! A run as plain text: tables for the terminal, and raw data as CSV.
pub use super::grid::Grid;
use super::grid::wrapped;
use super::model::{Measured, Pays, Run};
use super::statistics::{Difference, Interval, SYSTEMATIC, Time, digits};
use std::fmt::Write as _;

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

/// What is to be said where something takes less time than C: C's loop is not the least that a call can cost.
#[must_use]
pub fn below_c(run: &Run) -> Option<String> {
    let mut found = Vec::new();
    let mut far = false;
    for row in run.listed() {
        for times in row.contenders.iter().filter(|times| times.name != "C") {
            let ratio = row.ratio(&times.name, "C");
            let Some(ratio) = ratio.filter(|ratio| ratio.clear() == Difference::Faster) else {
                continue;
            };
            found.push(format!("{}, {}: {} × C", row.title, times.name, digits(ratio.median)));
            far |= row.is_far();
        }
    }
    if found.is_empty() {
        return None;
    }
    let place = match far {
        true => {
            " Around functions of libraries, your own among them, it is in the program's text besides, far from the library, \
             and a call from afar takes longer than one from where the code of guests is."
        }
        false => "",
    };
    Some(format!(
        "Less time than C ({}): that is no call that C could not make as fast. C's loop is one loop of many that could be, \
         and where loop and function lie makes differences of that size.{place}",
        found.join("; ")
    ))
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
        "in all, ns",
        "native work, ns",
        "the call itself, ns",
        "arguments, result, rest, ns",
        "native, %",
    ];
    let mut rows = Vec::new();
    for row in run.listed() {
        for name in SPLIT {
            let Some(split) = run.split(row, name) else { continue };
            rows.push(vec![
                row.title.clone(),
                name.to_owned(),
                digits(split.total),
                digits(split.native),
                digits(split.call),
                split.marshalling().map_or("none left".to_owned(), digits),
                format!("{:.0}", 100.0 * split.shares()[0]),
            ]);
        }
    }
    Grid {
        title: "Where the time of a call goes, from medians".to_owned(),
        heads: heads.map(str::to_owned).to_vec(),
        rows,
    }
}

/// How the [parts](splits) are found.
pub const PARTS: &str = "Native work is what C takes for the same call beyond the least that it takes for a function of ints. The \
    call itself is the least that the tier takes, beyond native work, for any function of ints: one figure a tier. \
    What is left is arguments and result, checked, copied, converted, and the rest: also of a function of ints that costs more than the cheapest one. Where a call takes less than the first two together nothing is \
    left, and their shares are cut to what the call takes.";

/// Which functions have no parts, and why.
#[must_use]
pub fn not_split(run: &Run) -> Option<String> {
    let back = run.listed().filter(|row| row.calls_back()).map(|row| &*row.title);
    let back: Vec<&str> = back.collect();
    (!back.is_empty()).then(|| {
        format!(
            "Not in parts: {}. They call back, and the time that the guest's functions take, and the way to them, is \
             neither the call's nor its arguments'; it was not measured apart.",
            back.join("; ")
        )
    })
}

/// From how many calls on machine code pays.
#[must_use]
pub fn break_even(run: &Run) -> Grid {
    let heads = [
        "function",
        "cranelift: code, warm, µs",
        "pays from, calls",
        "direct: code, warm, µs",
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
                Some(Pays::From(Interval { low, median, high })) => {
                    format!("{} [{}, {}]", grouped(median), grouped(low), grouped(high))
                }
                Some(Pays::Undecided) => "no difference".to_owned(),
                Some(Pays::Never) => "never".to_owned(),
            });
        }
        if line[1..].iter().any(|cell| cell != NOTHING) {
            rows.push(line);
        }
    }
    Grid {
        title: "From how many calls on machine code pays, against template or interpreter, where the compiler is warm: \
                the code is made again and again"
            .to_owned(),
        heads: heads.map(str::to_owned).to_vec(),
        rows,
    }
}

/// What to know of the [table](break_even): what the first code costs, and what counts as a difference.
#[must_use]
pub fn on_break_even(run: &Run) -> String {
    let first = run.first_code.as_ref().map_or(String::new(), |first| {
        format!(
            " The first function of a program: {} (`{}` for {}, one sample: the first code that was made in this run).",
            Time(first.us * 1e3),
            first.tier,
            first.title
        )
    });
    format!(
        "These are the times of a compiler that has made the same code before; the first code that a program makes costs many times as much.\
         {first} No difference: the interval of the ratio does not differ from 1 by more than {:.0} %, which may lie in the \
         place of data and loops. In brackets: the ends of the intervals of code and saving together.",
        100.0 * SYSTEMATIC
    )
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
    show_in(run, None)
}

/// The same for one of so many columns.
#[must_use]
pub fn show_in(run: &Run, width: Option<usize>) -> String {
    let mut text = wrapped(&machine(run), width, "  ");
    let notes = [None, below_c(run), None, Some(on_break_even(run))];
    let grids = [costs(run), ratios(run), arguments(run), break_even(run)];
    for (grid, note) in grids.iter().zip(notes).filter(|(grid, _)| !grid.rows.is_empty()) {
        let _ = write!(text, "\n{}", grid.text_in(width));
        if let Some(note) = note {
            text.push_str(&wrapped(&format!("  {note}"), width, "  "));
        }
    }
    let absent = absent(run.listed());
    if !absent.is_empty() {
        let _ = write!(text, "\nNot possible\n{}", wrapped(&absent, width, "    "));
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
