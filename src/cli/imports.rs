//! `imports`: what a guest wants, what it would get, and what to do about the rest.
use super::page::Page;
use super::report::{ERROR, Failure, GOOD, HEADING, Status};
use super::table::{Cell, Table, counted, filled, width};
use super::{args, meant, run};
use anyhow::Context as _;
use portcullis::host::{ImportReport, ImportStatus, NativeImport};
use portcullis::interfaces;
use serde::Serialize;
use wasmtime::{Engine, Module};

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
    why_no_faster: Option<String>,
    /// Why it is denied.
    denied: Option<String>,
    /// What would allow it.
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
    let (bridge, module) = permissions.guest(&typed.guest, typed.allow_precompiled, None)?;
    let linked_elsewhere = Elsewhere::of(bridge.engine(), &module)?;
    let reports = bridge.describe(&module);
    let wanted: Vec<Wanted> = reports
        .iter()
        .enumerate()
        .map(|(number, report)| Wanted::of(report, linked_elsewhere.has(number)))
        .collect();
    let powers = powers(&permissions, &wanted);
    let mut page = Page::default();
    if typed.json {
        let value = serde_json::json!({ "imports": wanted, "powers": powers });
        let json = serde_json::to_string_pretty(&value).context("cannot make JSON of this")?;
        page.line(json);
    } else if wanted.is_empty() {
        page.line(format_args!("{} imports nothing", typed.guest.display()));
    } else {
        let options = Options { width: width() };
        options.show(&mut page, &wanted, &powers);
    }
    page.show()?;
    Ok(if wanted.iter().all(|one| one.granted) { Status::Good } else { Status::Bad })
}

impl Wanted {
    fn of(report: &ImportReport, elsewhere: bool) -> Wanted {
        let mut wanted = Wanted {
            module: report.module.clone(),
            name: report.name.clone(),
            wasm_type: report.wasm_type.clone(),
            granted: true,
            from: None,
            interface: None,
            tier: None,
            why_no_faster: None,
            denied: None,
            add: None,
        };
        let deny = |wanted: &mut Wanted, why: String| {
            wanted.granted = false;
            wanted.add = flag(&why);
            wanted.denied = Some(why);
        };
        match &report.status {
            ImportStatus::Native(functions) => {
                wanted.from = distinct(functions, |function| Some(place(function)));
                wanted.interface = distinct(functions, |function| Some(function.interface.clone()));
                wanted.tier = distinct(functions, |function| Some(function.tier.to_string()));
                wanted.why_no_faster =
                    distinct(functions, |function| function.why_no_faster.clone());
            }
            ImportStatus::GuestFree => wanted.from = Some("the guest's own free".to_owned()),
            ImportStatus::Bridge => wanted.from = Some("the bridge".to_owned()),
            _ if elsewhere => wanted.from = Some("WASI".to_owned()),
            ImportStatus::Refused(error) => deny(&mut wanted, error.problem.to_string()),
            _ => {
                let why = "nobody has it: neither WASI nor a granted interface".to_owned();
                deny(&mut wanted, why);
            }
        }
        wanted
    }

    fn title(&self) -> String {
        format!("{} {}", shown(&self.module), shown(&self.name))
    }

    /// What there is to know of it, or to do.
    fn remark(&self) -> String {
        if self.granted {
            return self.why_no_faster.clone().unwrap_or_default();
        }
        match &self.add {
            Some(flag) => format!("add {flag}"),
            None => "see below".to_owned(),
        }
    }
}

/// The option that a reason names as the way out: `--grant zlib`. None when what it names, which is the guest's word,
/// would be more than one word to a shell.
fn flag(why: &str) -> Option<String> {
    let mut spans = why.split('`').skip(1).step_by(2);
    let found = spans.find_map(|span| {
        let (option, name) = span.split_once(' ')?;
        matches!(option, "--grant" | "--trust-signatures").then_some((span, name))
    });
    let (found, name) = found?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
    (name.chars().all(is_plain) && !name.starts_with('-')).then(|| found.to_owned())
}

/// How a table is shown.
struct Options {
    /// Columns of the terminal, if there is one.
    width: Option<usize>,
}

/// Remarks are not made narrower than this: they stand below their rows then.
const NARROW: usize = 24;

impl Options {
    fn show(&self, page: &mut Page, wanted: &[Wanted], powers: &[Powers]) {
        let table = self.table(wanted);
        match self.width.map(|width| width.checked_sub(table.width_but_last() + NARROW)) {
            Some(None) => self.stacked(page, wanted),
            Some(Some(_)) | None => page.lines(0, &table.show_in(0, self.width)),
        }
        let denied: Vec<&Wanted> = wanted.iter().filter(|one| !one.granted).collect();
        for (why, names) in grouped(&denied) {
            let names = some(names).join("\n        ");
            page.line(format_args!("\n{ERROR}denied:{ERROR:#} {names}"));
            page.lines(2, &filled(why, self.width.map(|width| width.saturating_sub(2))));
        }
        self.powers(page, powers);
        let mut once: Vec<&str> = Vec::new();
        // Trust in all that a guest says is nothing to copy from a last line.
        let solves = |flag: &&str| flag.starts_with("--grant ");
        for flag in denied.iter().filter_map(|one| one.add.as_deref()).filter(solves) {
            if !once.contains(&flag) {
                once.push(flag);
            }
        }
        if !denied.is_empty() {
            let what = counted(denied.len(), "import");
            let are = if denied.len() == 1 { "is" } else { "are" };
            page.line(format_args!("\n{what} of {} {are} denied.", wanted.len()));
            if !once.is_empty() {
                page.line(format_args!(
                    "What is missing is a matter of: {}\n(read first what that gives away)",
                    once.join(" ")
                ));
            }
        }
    }

    fn table(&self, wanted: &[Wanted]) -> Table {
        let mut table = Table::default();
        let heads = ["import", "", "from", "tier", "why not faster, or what to add"];
        table.row(heads.map(|head| Cell::styled(head, HEADING)));
        for one in wanted {
            table.row([
                one.title().into(),
                verdict(one),
                one.from.clone().unwrap_or_default().into(),
                one.tier.clone().unwrap_or_default().into(),
                one.remark().into(),
            ]);
        }
        table
    }

    /// An import a paragraph, for narrow terminals.
    fn stacked(&self, page: &mut Page, wanted: &[Wanted]) {
        let inner = self.width.map(|width| width.saturating_sub(4));
        for one in wanted {
            let style = if one.granted { GOOD } else { ERROR };
            let said = if one.granted { "granted" } else { "denied" };
            page.lines(0, &filled(&one.title(), self.width));
            let from = one.from.iter().chain(&one.tier).cloned().collect::<Vec<_>>().join(", ");
            let from = if from.is_empty() { from } else { format!(": {from}") };
            page.line(format_args!("    {style}{said}{style:#}{from}"));
            let remark = one.remark();
            if !remark.is_empty() {
                page.lines(4, &filled(&remark, inner));
            }
        }
    }

    /// What interfaces give away.
    fn powers(&self, page: &mut Page, powers: &[Powers]) {
        if powers.is_empty() {
            return;
        }
        page.line(format_args!("\n{HEADING}what the guest gets with it{HEADING:#}"));
        for one in powers {
            let if_added = if one.missing { " (not granted yet)" } else { "" };
            page.line(format_args!("  {}{if_added}", one.interface));
            for (title, text) in [("grants", &one.grants), ("powers", &one.powers)] {
                if let Some(text) = text {
                    // Paragraphs are long: where no terminal says how wide it is, it is as wide as many are.
                    let inner = self.width.unwrap_or(100).saturating_sub(4);
                    page.lines(4, &filled(&format!("{title}: {text}"), Some(inner)));
                }
            }
        }
    }
}

fn verdict(one: &Wanted) -> Cell {
    if one.granted { Cell::styled("granted", GOOD) } else { Cell::styled("denied", ERROR) }
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
        wanted.iter().any(|one| one.add.as_deref() == Some(&*format!("--grant {bare}")))
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
    let first = first.trim_start_matches([':', '.']).trim();
    let all: Vec<&str> = std::iter::once(first).chain(rest).collect();
    Some(all.join(" ").trim_end_matches(':').to_owned())
}

/// The imports that WASI has.
struct Elsewhere {
    known: Vec<bool>,
}

impl Elsewhere {
    fn of(engine: &Engine, module: &Module) -> Result<Elsewhere, Failure> {
        let linker = run::linker(engine)?;
        let mut store = run::store(engine, wasmtime_wasi::WasiCtxBuilder::new().build_p1());
        let known = module
            .imports()
            .map(|import| linker.get_by_import(&mut store, &import).is_some())
            .collect();
        Ok(Elsewhere { known })
    }

    fn has(&self, number: usize) -> bool {
        self.known.get(number).copied().unwrap_or(false)
    }
}

/// Imports that are refused for the same reason, in the order of the first of them.
fn grouped<'w>(refused: &[&'w Wanted]) -> Vec<(&'w str, Vec<String>)> {
    let mut groups: Vec<(&str, Vec<String>)> = Vec::new();
    for one in refused {
        let why = one.denied.as_deref().unwrap_or_default();
        match groups.iter_mut().find(|(known, _)| *known == why) {
            Some((_, names)) => names.push(one.title()),
            None => groups.push((why, vec![one.title()])),
        }
    }
    groups
}

/// Of many names the first: the table has them all.
fn some(mut names: Vec<String>) -> Vec<String> {
    const SHOWN: usize = 4;
    if names.len() > SHOWN + 1 {
        let more = names.len() - SHOWN;
        names.truncate(SHOWN);
        names.push(format!("and {more} more"));
    }
    names
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

/// A guest's text on one line, and not too long.
fn shown(text: &str) -> String {
    const MOST: usize = 80;
    let escaped = text.escape_debug().to_string();
    if escaped.chars().count() <= MOST {
        return escaped;
    }
    escaped.chars().take(MOST - 3).chain("...".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_stay_on_one_short_line() {
        assert_eq!(shown("double cos(double x)"), "double cos(double x)");
        let shown = shown(&format!("\u{1b}[31m\n{}", "x".repeat(1000)));
        assert!(shown.chars().count() == 80 && !shown.contains(['\u{1b}', '\n']), "{shown}");
    }

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

    #[test]
    fn the_way_out_is_found_in_a_reason() {
        let why = "`interfaces/zlib.h` grants it: `--grant zlib`, or `.grant(interfaces::zlib())`";
        assert_eq!(flag(why).as_deref(), Some("--grant zlib"));
        assert_eq!(flag("write one and `--grant` it"), None);
        let why = "for full trust, `--trust-signatures libm.so.6`";
        assert_eq!(flag(why).as_deref(), Some("--trust-signatures libm.so.6"));
        for hostile in ["$(id)", "libq.so --trust-signatures libc.so.6", "a;b", "-x", "\\u{1b}[31m"]
        {
            assert_eq!(flag(&format!("for full trust, `--trust-signatures {hostile}`")), None);
        }
    }
}
