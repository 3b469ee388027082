//! A profile for people.
use super::model::{Import, Profile};
use std::fmt::Write as _;

/// Columns: the first one of text, the others of numbers.
#[derive(Default)]
struct Columns {
    rows: Vec<Vec<String>>,
}

impl Columns {
    fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.to_vec());
    }

    fn show(&self, text: &mut String) {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let mut line = String::from("  ");
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let _ = match column {
                    0 => write!(line, "{cell:width$}"),
                    _ => write!(line, "  {cell:>width$}"),
                };
            }
            let _ = writeln!(text, "{}", line.trim_end());
        }
    }
}

/// The whole report.
#[must_use]
pub fn report(profile: &Profile) -> String {
    let mut text = String::new();
    for sentence in &profile.verdict {
        let _ = writeln!(text, "{}", capital(sentence));
    }
    let _ = writeln!(text, "\nWhere the time went:\n");
    parts(profile).show(&mut text);
    let _ = writeln!(
        text,
        "  The sum is the wall time, {}, give or take {}.",
        time(profile.wall),
        time(profile.error)
    );
    let called: Vec<&Import> = profile.imports.iter().filter(|import| import.calls > 0).collect();
    if !called.is_empty() {
        let _ = writeln!(
            text,
            "\nImports, all their calls together; shares are of the time after the start:\n"
        );
        times(profile, &called).show(&mut text);
        moved(&mut text, &called);
        tiers(&mut text, &called);
    }
    let unused = profile.imports.len() - called.len();
    if unused > 0 {
        let imports = if unused == 1 { "import was" } else { "imports were" };
        let _ = writeln!(text, "\n{unused} more {imports} linked and not called.");
    }
    if !called.is_empty() {
        how(profile, &mut text);
    }
    text
}

fn parts(profile: &Profile) -> Columns {
    let mut parts = Columns::default();
    let wall = profile.wall.max(f64::MIN_POSITIVE);
    let mut part = |name: &str, spent: f64| {
        parts.row([name.to_owned(), time(spent), short(spent / wall)]);
    };
    let last = profile.phases.len().saturating_sub(1);
    for (number, phase) in profile.phases.iter().enumerate() {
        match number == last {
            true => part(&format!("{}: its own code, and WASI", phase.name), phase.time),
            false => part(&phase.name, phase.time),
        }
    }
    let sum = |of: fn(&Import) -> f64| -> f64 { profile.imports.iter().map(of).sum() };
    part("native code", sum(|import| import.native));
    part("marshalling: checks, copies, handles", sum(|import| import.marshalling));
    part("transition: guest, host, native code, and back", sum(|import| import.transition));
    for (name, spent) in [
        ("guest functions that native code calls", sum(|import| import.called_back)),
        ("the guest's allocator, for results", sum(|import| import.allocator)),
    ] {
        if spent > 0.0 {
            part(name, spent);
        }
    }
    part("profiling itself", profile.profiling);
    if profile.waiting > 0.0 {
        part("waiting for a core that others had", profile.waiting);
    }
    part("sum", profile.sum());
    parts
}

fn times(profile: &Profile, imports: &[&Import]) -> Columns {
    let mut table = Columns::default();
    let ran = (profile.net() - profile.start()).max(f64::MIN_POSITIVE);
    let back = imports.iter().any(|import| import.callbacks > 0);
    let heads = ["import", "calls", "native", "marshalling", "transition", "share"];
    let mut head: Vec<String> = heads.map(str::to_owned).to_vec();
    if back {
        head.extend(["callbacks", "in callbacks"].map(str::to_owned));
    }
    table.rows.push(head);
    for import in imports {
        let mut row = vec![
            shown(&import.name),
            count(import.calls),
            time(import.native),
            time(import.marshalling),
            time(import.transition),
            short(import.time() / ran),
        ];
        if back && import.callbacks > 0 {
            row.extend([count(import.callbacks), time(import.called_back)]);
        }
        table.rows.push(row);
    }
    table
}

/// Bytes, of those that move any.
fn moved(text: &mut String, imports: &[&Import]) {
    let mut table = Columns::default();
    table.row(["import", "checked", "copied", "transformed", "allocations"].map(str::to_owned));
    for import in imports {
        let bytes = [import.checked, import.copied, import.transformed];
        if bytes.iter().any(|bytes| *bytes > 0) {
            let [checked, copied, transformed] = bytes.map(count);
            table.row([
                shown(&import.name),
                checked,
                copied,
                transformed,
                count(import.allocations),
            ]);
        }
    }
    if table.rows.len() > 1 {
        let _ = writeln!(text, "\nBytes of the guest's memory:\n");
        table.show(text);
    }
}

/// What other tiers would do, if somebody has asked.
fn tiers(text: &mut String, imports: &[&Import]) {
    let mut table = Columns::default();
    table.row(["import", "fastest tier", "compiling", ""].map(str::to_owned));
    for import in imports {
        let Some(fastest) = &import.fastest else { continue };
        let compiling = import.compiling.map_or(String::new(), time);
        let why = import.why_no_faster.clone().unwrap_or_default();
        table.row([shown(&import.name), fastest.clone(), compiling, why]);
    }
    if table.rows.len() > 1 {
        let _ = writeln!(
            text,
            "\nThe fastest tier that could make the calls, and how long its machine code took to make\n(after the guest had \
             run; not in the sum):\n"
        );
        left_last(&mut table);
        table.show(text);
    }
}

/// Reasons are text: all of one length, they stand on the left.
fn left_last(table: &mut Columns) {
    let last = |row: &Vec<String>| row.last().map_or(0, |cell| cell.chars().count());
    let width = table.rows.iter().map(last).max().unwrap_or(0);
    for row in &mut table.rows {
        if let Some(cell) = row.last_mut() {
            *cell = format!("{cell:width$}");
        }
    }
}

/// How all this was measured.
fn how(profile: &Profile, text: &mut String) {
    let costs = &profile.costs;
    let timed: u64 = profile.imports.iter().map(|import| import.timed).sum();
    let calls: u64 = profile.imports.iter().map(|import| import.calls).sum();
    let _ =
        writeln!(text, "\nThe {} made all calls. The clock was {}.", profile.tier, profile.clock);
    let mut which = match profile.every {
        1 => "Every call was timed".to_owned(),
        every => format!(
            "Counts are exact; times are of {} calls of {}, in the end one in {every}",
            count(timed),
            count(calls)
        ),
    };
    if profile.every_callback > 1 {
        let _ = write!(which, ", and of one callback in {}", profile.every_callback);
    }
    let _ = writeln!(
        text,
        "{which}. Timing a call costs {}, only counting it {} ({} and {} where guest code may run in it); timing a callback \
         {}, counting it {}.",
        time(costs.timed),
        time(costs.counted),
        time(costs.usual_timed),
        time(costs.usual_counted),
        time(costs.guest),
        time(costs.guest_counted)
    );
    let _ = writeln!(
        text,
        "A call that does nothing: {} from the guest and back, {} into native code and back; a callback {}. By the {} tier: \
         {} in all; {} if it is given a guest function, {} a callback.",
        time(costs.transition),
        time(costs.entry),
        time(costs.callback),
        costs.floor_tier,
        time(costs.floor),
        time(costs.floor_back),
        time(costs.floor_callback)
    );
}

/// A guest's text on one line, and not too long.
fn shown(name: &str) -> String {
    const MOST: usize = 48;
    let name = name.escape_debug().to_string();
    if name.chars().count() <= MOST {
        return name;
    }
    name.chars().take(MOST - 3).chain("...".chars()).collect()
}

fn capital(sentence: &str) -> String {
    let mut letters = sentence.chars();
    let first: String = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

/// A time in a unit that suits it: three digits.
#[must_use]
pub fn time(nanoseconds: f64) -> String {
    let (value, unit) = match nanoseconds {
        ns if ns < 999.5 => (ns, "ns"),
        ns if ns < 999.5e3 => (ns / 1e3, "µs"),
        ns if ns < 999.5e6 => (ns / 1e6, "ms"),
        ns => (ns / 1e9, "s"),
    };
    let digits = match value {
        value if value < 0.05 => return format!("0 {unit}"),
        value if value < 9.995 => 2,
        value if value < 99.95 => 1,
        _ => 0,
    };
    let digits = if unit == "ns" { digits.min(1) } else { digits };
    format!("{value:.digits$} {unit}")
}

/// A part of the whole.
#[must_use]
pub fn percent(part: f64) -> String {
    match part * 100.0 {
        part if part <= 0.0 => "0 %".to_owned(),
        part if part < 0.1 => "less than 0.1 %".to_owned(),
        part if part < 9.95 => format!("{part:.1} %"),
        part => format!("{part:.0} %"),
    }
}

/// The same for tables.
fn short(part: f64) -> String {
    percent(part).replace("less than", "<")
}

/// `1,234,567`
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
