//! `bench`: what a call costs, by contender.
use super::args;
use super::output::Output;
use super::page::{Page, complain};
use super::report::{Failure, Status, WARNING};
use super::similar::similar;
use super::table::width;
use super::version::COMMIT;
use anyhow::{Context as _, Result, anyhow, bail};
use indicatif::{HumanDuration, ProgressBar, ProgressState, ProgressStyle};
use portcullis::bench::model::Run;
use portcullis::bench::own::Mistake;
use portcullis::bench::{self, FULL, Options, QUICK, Row, html, own, text};
use portcullis::interfaces;
use std::fs;

/// Measures, and says what was found.
pub fn bench(typed: &args::Bench) -> Result<Status, Failure> {
    let wanted = wanted(typed)?;
    if typed.list {
        let mut page = Page::default();
        for row in &wanted {
            page.line(format_args!("{:<14}{}", row.id, row.title));
        }
        page.show()?;
        return Ok(Status::Good);
    }
    // Before minutes are spent on what cannot be written.
    let files = Files {
        json: Output::wanted(typed.json.as_deref())?,
        csv: Output::wanted(typed.csv.as_deref())?,
        html: Output::wanted(typed.html.as_deref())?,
    };
    Output::all_differ(files.json.iter().chain(&files.csv).chain(&files.html))?;
    let options = Options {
        effort: if typed.quick { QUICK } else { FULL },
        core: typed.core,
        command: std::env::args().collect(),
        commit: COMMIT.map(str::to_owned),
        others: Vec::new(),
    };
    let asked: Vec<String> = wanted.iter().map(|row| row.id.clone()).collect();
    let mut rows = wanted;
    if typed.prototype.is_some() {
        // Calls that do nothing come first: the cheaper one says what the call itself costs.
        let cheap = |row: &Row| matches!(row.arguments, Some(0 | 2));
        rows.splice(0..0, bench::rows().into_iter().filter(cheap));
    }
    let bar = ProgressBar::new(1000);
    let style = ProgressStyle::with_template("{wide_bar} {percent:>3} %{left}  {msg}");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style.with_key(
        "left",
        |state: &ProgressState, text: &mut dyn std::fmt::Write| {
            // Before a part is done nobody knows.
            if state.pos() >= 10 {
                let _ = write!(text, ", {:#} left", HumanDuration(state.eta()));
            }
        },
    ));
    let measured = bench::run(&rows, options, &[], |row, done| {
        // Drawing takes time that nothing is measured in: between rounds.
        let position = permille(done);
        if bar.position() != position || done == 0.0 {
            bar.set_message(row.chars().take(40).collect::<String>());
            bar.set_position(position);
        }
    });
    bar.finish_and_clear();
    let measured = measured.context("cannot measure on that core")?;
    let of_asked = || measured.rows.iter().filter(|row| asked.contains(&row.id));
    if of_asked().all(|row| row.contenders.is_empty()) {
        let why = text::absent(of_asked());
        return Err(anyhow!("nothing could be measured\n{}", why.trim_end()).into());
    }
    let mut page = Page::default();
    page.lines(0, &text::show_in(&measured, width()));
    page.show()?;
    for warning in measured.weaknesses() {
        complain(format_args!("{WARNING}warning:{WARNING:#} {warning}"));
    }
    files.write(&measured)?;
    Ok(Status::Good)
}

/// Where what was measured is written.
struct Files {
    json: Option<Output>,
    csv: Option<Output>,
    html: Option<Output>,
}

impl Files {
    fn write(&self, measured: &Run) -> Result<()> {
        if let Some(output) = &self.json {
            output.write(&serde_json::to_string(measured).context("cannot write JSON")?)?;
        }
        if let Some(output) = &self.csv {
            output.write(&text::csv(measured))?;
        }
        if let Some(output) = &self.html {
            output.write(&html::page(measured))?;
        }
        Ok(())
    }
}

/// The rows that are asked for.
fn wanted(typed: &args::Bench) -> Result<Vec<Row>, Failure> {
    if let (Some(prototype), Some(library)) = (&typed.prototype, &typed.library) {
        return Ok(vec![own(prototype, library, typed.args.as_deref())?]);
    }
    let mut rows = bench::rows();
    for part in &typed.filter {
        if rows.iter().any(|row| row.id.contains(part)) {
            continue;
        }
        let near = similar(part, rows.iter().map(|row| &*row.id));
        let near = near.first().map_or(String::new(), |name| format!(", did you mean `{name}`?"));
        let message = format!("no function has `{part}` in its name{near}; --list shows them");
        return Err(Failure::Usage(message));
    }
    let is_wanted = |row: &Row| typed.filter.iter().any(|part| row.id.contains(part));
    rows.retain(|row| typed.filter.is_empty() || is_wanted(row));
    Ok(rows)
}

/// The row of a function of the user's own.
fn own(prototype: &str, library: &str, args: Option<&str>) -> Result<Row> {
    let library = match library.contains('/') {
        true => fs::canonicalize(library)
            .with_context(|| format!("cannot find the library {library}"))?
            .to_string_lossy()
            .into_owned(),
        false => library.to_owned(),
    };
    if let Some(file) = file_of(&library) {
        bail!("`{library}` is the name of an interface: its library is `--library {file}`");
    }
    own::row(prototype, &library, &args.map(values).unwrap_or_default()).map_err(|mistake| {
        match mistake {
            // Shown with its places.
            Mistake::Prototype(mistakes) => anyhow::Error::new(mistakes),
            Mistake::Other(what) => anyhow!("{what}"),
        }
    })
}

/// The library of a shipped interface that is named instead of it: `libm.so.6` for `libm`.
fn file_of(typed: &str) -> Option<String> {
    let shipped = interfaces::all();
    let mut libraries = shipped.iter().flat_map(|(_, shipped)| &shipped.interface().libraries);
    let found = libraries.find(|library| library.module.as_deref() == Some(typed))?;
    (*found.file != *typed).then(|| found.file.to_string())
}

/// `1,text,_`: a value each, where `\,` is a comma.
fn values(typed: &str) -> Vec<String> {
    let mut values = vec![String::new()];
    let mut rest = typed.chars().peekable();
    while let Some(next) = rest.next() {
        match (next, values.last_mut()) {
            (',', _) => values.push(String::new()),
            ('\\', Some(last)) => last.push(rest.next_if_eq(&',').unwrap_or('\\')),
            (_, Some(last)) => last.push(next),
            (_, None) => {}
        }
    }
    if typed.is_empty() { Vec::new() } else { values }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 1000")]
fn permille(part: f64) -> u64 {
    (part.clamp(0.0, 1.0) * 1000.0) as u64
}

#[cfg(test)]
mod tests {
    use super::values;

    #[test]
    fn values_are_between_commas() {
        assert_eq!(values("1,-2,_"), ["1", "-2", "_"]);
        assert_eq!(values(r"a\,b,c\d,"), ["a,b", r"c\d", ""]);
        assert!(values("").is_empty());
    }
}
