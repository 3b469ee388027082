//! `bench`: what a call costs, by contender.
use super::args;
use super::page::{Page, complain};
use super::report::{Failure, Status, WARNING};
use anyhow::{Context as _, Result, anyhow};
use indicatif::{ProgressBar, ProgressStyle};
use portcullis::bench::{self, FULL, Options, QUICK, Row, html, own, text};
use std::fs;
use std::path::Path;

/// Measures, and says what was found.
pub fn bench(typed: &args::Bench) -> Result<Status, Failure> {
    let mut rows = rows(typed)?;
    if typed.list {
        let mut page = Page::default();
        for row in &rows {
            page.line(format_args!("{:<14}{}", row.id, row.title));
        }
        page.show()?;
        return Ok(Status::Good);
    }
    if !typed.filter.is_empty() {
        let wanted = |row: &Row| typed.filter.iter().any(|part| row.id.contains(part));
        rows.retain(wanted);
        if rows.is_empty() {
            let names = typed.filter.join("`, `");
            let message = format!("no function has `{names}` in its name; --list shows them");
            return Err(Failure::Usage(message));
        }
    }
    let options = Options {
        effort: if typed.quick { QUICK } else { FULL },
        core: typed.core,
        command: std::env::args().collect(),
        commit: None,
        others: Vec::new(),
    };
    let bar = ProgressBar::new(1000);
    let style = ProgressStyle::with_template("{wide_bar} {percent:>3} %, {eta} left  {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
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
    let mut page = Page::default();
    page.lines(0, &text::show(&measured));
    page.show()?;
    warn(&measured.warnings);
    if let Some(path) = &typed.json {
        let json = serde_json::to_string(&measured).context("cannot write JSON")?;
        write(path, &json)?;
    }
    if let Some(path) = &typed.csv {
        write(path, &text::csv(&measured))?;
    }
    if let Some(path) = &typed.html {
        write(path, &html::page(&measured))?;
    }
    Ok(Status::Good)
}

fn rows(typed: &args::Bench) -> Result<Vec<Row>> {
    let (Some(prototype), Some(library)) = (&typed.prototype, &typed.library) else {
        return Ok(bench::rows());
    };
    let library = match library.contains('/') {
        true => fs::canonicalize(library)
            .with_context(|| format!("cannot find the library {library}"))?
            .to_string_lossy()
            .into_owned(),
        false => library.clone(),
    };
    let row = own::row(prototype, &library, &typed.args).map_err(|why| anyhow!("{why}"))?;
    // Calls that do nothing come first: they say what the call itself costs.
    let mut rows = bench::rows();
    rows.retain(|row| row.arguments == Some(0));
    rows.push(row);
    Ok(rows)
}

fn warn(warnings: &[String]) {
    const MOST: usize = 8;
    for warning in warnings.iter().take(MOST) {
        complain(format_args!("{WARNING}warning:{WARNING:#} {warning}"));
    }
    if let Some(more) = warnings.len().checked_sub(MOST).filter(|more| *more > 0) {
        complain(format_args!("{WARNING}warning:{WARNING:#} and {more} more like these"));
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 1000")]
fn permille(part: f64) -> u64 {
    (part.clamp(0.0, 1.0) * 1000.0) as u64
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
