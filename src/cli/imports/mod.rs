//! `imports`: what a guest wants, what it would get, and what to do about the rest.
//!
//! ```text
//! later     which tier calls will take once there is code for them
//! ways_out  which options would have an import granted: they are tried
//! wasi      what WASI has
//! show      the table
//! ```
mod later;
mod show;
mod wasi;
mod ways_out;

use super::page::Page;
use super::report::{Failure, Status, from_wasmtime};
use super::table::width;
use super::words::{in_options, shown};
use super::{args, meant};
use anyhow::Context as _;
use portcullis::host::{Bridge, ImportReport, ImportStatus, NativeImport};
use portcullis::interfaces;
use serde::Serialize;
use wasi::Wasi;
use wasmtime::Module;

/// The name of the shape of `--json`.
const SCHEMA: &str = "portcullis-imports/1";

/// What is known of one import.
#[derive(Serialize)]
struct Wanted {
    module: String,
    name: String,
    wasm_type: String,
    granted: bool,
    /// Who has it: the file of a library, `WASI`, ...
    from: Option<String>,
    /// What grants it.
    interface: Option<String>,
    tier: Option<String>,
    /// The tier that calls take later, when there is code for them.
    later: Option<String>,
    /// After so many calls.
    after_calls: Option<u32>,
    /// Why there is no faster tier, not later either.
    why_no_faster: Option<String>,
    /// Why it is denied.
    denied: Option<String>,
    /// The options that have it granted, if there are any.
    add: Option<String>,
}

/// What an interface says about what it gives away.
#[derive(Serialize)]
struct Powers {
    interface: String,
    /// Only if what is missing is added.
    missing: bool,
    grants: Option<String>,
    powers: Option<String>,
}

/// Prints a row an import.
pub fn imports(typed: &args::Imports) -> Result<Status, Failure> {
    let permissions = meant::Permissions::read(&typed.permissions)?;
    let looked = permissions.look(&typed.guest, typed.allow_precompiled)?;
    let (bridge, module) = (&looked.bridge, &looked.module);
    let wasi = wasi::of(bridge.engine(), module)?;
    let reports = bridge.describe(module);
    let mut wanted: Vec<Wanted> =
        reports.iter().zip(&wasi).map(|(report, wasi)| Wanted::of(report, wasi)).collect();
    later::tell(&permissions, &looked, &reports, &mut wanted)?;
    wanted.iter_mut().for_each(Wanted::add_remedy);
    ways_out::find(&permissions, &looked, &mut wanted);
    let are_granted = wanted.iter().all(|one| one.granted);
    if let Some(compiled) = looked.compiled.as_ref().filter(|_| are_granted) {
        // Whether it is granted as it was then.
        let loaded = bridge.load(compiled).map_err(from_wasmtime);
        loaded.with_context(|| format!("cannot run {}", typed.guest.display()))?;
    }
    let powers = powers(&permissions, &wanted);
    let mut page = Page::default();
    if typed.json {
        let value = serde_json::json!({ "schema": SCHEMA, "imports": wanted, "powers": powers });
        let json = serde_json::to_string_pretty(&value).context("cannot make JSON of this")?;
        page.line(json);
    } else if wanted.is_empty() {
        page.line(format_args!("{} imports nothing", typed.guest.display()));
    } else {
        show::Options { width: width() }.show(&mut page, &wanted, &powers);
    }
    page.show()?;
    Ok(if are_granted { Status::Good } else { Status::Bad })
}

impl Wanted {
    fn of(report: &ImportReport, wasi: &Wasi) -> Wanted {
        let mut wanted = Wanted {
            module: report.module.clone(),
            name: report.name.clone(),
            wasm_type: report.wasm_type.clone(),
            granted: true,
            from: None,
            interface: None,
            tier: None,
            later: None,
            after_calls: None,
            why_no_faster: None,
            denied: None,
            add: None,
        };
        match &report.status {
            ImportStatus::Native(functions) => {
                wanted.from = distinct(functions, |function| Some(place(function)));
                wanted.interface = distinct(functions, |function| Some(function.interface.clone()));
                wanted.tier = distinct(functions, |function| Some(function.tier.to_string()));
                wanted.why_no_faster = distinct(functions, |function| {
                    function.why_no_faster.as_deref().map(in_options)
                });
            }
            ImportStatus::GuestFree => wanted.from = Some("the guest's own free".to_owned()),
            ImportStatus::Bridge => wanted.from = Some("the bridge".to_owned()),
            ImportStatus::Refused(error) => wanted.deny(error.problem.to_string()),
            _ => match wasi {
                Wasi::Has => wanted.from = Some("WASI".to_owned()),
                Wasi::Not(why) => wanted.deny(why.clone()),
            },
        }
        wanted
    }

    fn deny(&mut self, why: String) {
        self.granted = false;
        self.denied = Some(in_options(&why));
    }

    fn title(&self) -> String {
        const MOST: usize = 80;
        format!("{} {}", shown(&self.module, MOST), shown(&self.name, MOST))
    }

    /// What there is to know of it, or to do.
    fn remark(&self) -> String {
        if self.granted {
            let later = self.later.as_ref().zip(self.after_calls);
            let later = later.map(|(tier, calls)| format!("{tier} after {calls} calls"));
            return match (later, &self.why_no_faster) {
                (Some(later), Some(why)) => format!("{later}; no faster: {why}"),
                (later, why) => later.or_else(|| why.clone()).unwrap_or_default(),
            };
        }
        match &self.add {
            Some(flag) => format!("add {flag}"),
            None => {
                let why = self.denied.as_deref().unwrap_or_default();
                match library(why) {
                    Some((None, option)) => format!("name its file: {option}"),
                    Some((Some(way), option)) => format!("add {way}, and name its file: {option}"),
                    None if why.contains("--grant` it") || why.contains("--grant` that") => {
                        "grant a header of your own: --grant FILE.h".to_owned()
                    }
                    None if why.contains(OWN_HEADER) => "grant a header: --grant FILE.h".to_owned(),
                    None => "no option helps: see below".to_owned(),
                }
            }
        }
    }

    /// Why there is no faster tier, with what there is to do about it.
    fn add_remedy(&mut self) {
        const CALLS_BACK: &str = "a function that may call back";
        if let Some(why) = &mut self.why_no_faster
            && !why.contains("__leaf")
        {
            *why = why.replace(
                CALLS_BACK,
                &format!("{CALLS_BACK} (if it never does: `__leaf` in its prototype)"),
            );
        }
    }
}

/// What helps where nothing that can be named does.
const OWN_HEADER: &str = "no interface that ships by name has it: write one, or grant a header by its path (--grant FILE.h)";

/// The option that names the file of a library: `--library libz.so.1=PATH`. And those that grant it first, if it
/// is not granted.
fn library(why: &str) -> Option<(Option<String>, String)> {
    let (way, why) = match ways_out::refused_with(why) {
        Some((way, why)) => (Some(shown(way, 80)), why),
        None => (None, why),
    };
    let is_it = why.starts_with("the library ");
    let option = why.split('`').find(|span| span.starts_with("--library "))?;
    is_it.then(|| (way, shown(option, 80)))
}

/// An import that a guest would not get.
pub struct Denied {
    pub module: String,
    pub name: String,
    pub why: String,
}

/// Those that a guest would not get, as the table has them.
pub fn denied(bridge: &Bridge, module: &Module) -> Vec<Denied> {
    // Without WASI nothing is said of it.
    let Ok(wasi) = wasi::of(bridge.engine(), module) else { return Vec::new() };
    let reports = bridge.describe(module);
    let wanted = reports.iter().zip(&wasi).map(|(report, wasi)| Wanted::of(report, wasi));
    let denied = wanted
        .filter_map(|one| Some(Denied { module: one.module, name: one.name, why: one.denied? }));
    denied.collect()
}

/// What is given away by the interfaces that grant something here, or would.
fn powers(permissions: &meant::Permissions, wanted: &[Wanted]) -> Vec<Powers> {
    let uses = |name: &str| {
        let mut used = wanted.iter().filter_map(|one| one.interface.as_deref());
        used.any(|used| used.split(" or ").any(|used| used == name))
    };
    let granted = permissions.interfaces().into_iter().filter(|(name, _)| uses(name));
    let granted = granted.map(|(name, text)| (name, text, false));
    let asked = |file: &str| {
        let bare = file.strip_suffix(".h").unwrap_or(file);
        let option = format!("--grant {bare}");
        let mut added = wanted.iter().filter_map(|one| one.add.as_deref());
        added.any(|added| ways_out::each(added).any(|one| one == option))
    };
    let missing = interfaces::all()
        .into_iter()
        .filter(|(file, _)| asked(file))
        .map(|(file, shipped)| (file.to_owned(), shipped.interface().text.to_string(), true));
    let of = |(interface, text, missing): (String, String, bool)| Powers {
        interface,
        missing,
        grants: paragraph(&text, "Grants:"),
        powers: paragraph(&text, POWERS),
    };
    granted.chain(missing).map(of).collect()
}

/// How comments of interfaces begin to say what a library can do by itself.
const POWERS: &str = "Powers of the library's own";

/// What an interface's comment says behind these words, to the end of the paragraph, with the list in it.
fn paragraph(text: &str, words: &str) -> Option<String> {
    let mut lines = text.lines().map(|line| line.trim().trim_start_matches(['/', '*']).trim());
    let first = lines.find_map(|line| line.strip_prefix(words))?;
    let rest: Vec<&str> = lines.take_while(|line| !line.is_empty()).collect();
    let mut told = first.trim_start_matches([':', '.']).trim().to_owned();
    for line in rest {
        told.push_str(if line.starts_with("- ") { "\n  " } else { " " });
        told.push_str(line);
    }
    Some(told.trim().trim_end_matches(':').to_owned())
}

/// What is to say of each grant of an overloaded function, once if it is the same.
fn distinct(
    functions: &[NativeImport],
    say: impl Fn(&NativeImport) -> Option<String>,
) -> Option<String> {
    let mut said: Vec<String> = functions.iter().filter_map(say).collect();
    said.dedup();
    (!said.is_empty()).then(|| said.join(" or "))
}

fn place(function: &NativeImport) -> String {
    match &function.library {
        Some(library) => library.display().to_string(),
        None => "the host".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_interface_that_ships_says_what_it_grants() {
        for (file, shipped) in interfaces::all() {
            let text = &shipped.interface().text;
            let grants = paragraph(text, "Grants:").unwrap_or_default();
            assert!(grants.len() > 10 && !grants.contains('*'), "{file}: {grants:?}");
            let powers = paragraph(text, POWERS).unwrap_or_default();
            assert!(powers.len() > 3 && !powers.contains('*'), "{file}: {powers:?}");
        }
    }
}
