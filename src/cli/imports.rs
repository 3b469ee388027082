//! `imports`: what a guest wants, and what it would get.
use super::page::Page;
use super::report::{ERROR, Failure, GOOD, HEADING, Status};
use super::table::{Cell, Table};
use super::{args, meant, run};
use portcullis::host::{ImportReport, ImportStatus, NativeImport};
use wasmtime::{Engine, Module};

/// Prints a line an import.
pub fn imports(typed: &args::Imports) -> Result<Status, Failure> {
    let permissions = meant::Permissions::read(&typed.permissions)?;
    let (bridge, module) = permissions.guest(&typed.guest, typed.allow_precompiled)?;
    let linked_elsewhere = Elsewhere::of(bridge.engine(), &module)?;
    let reports = bridge.describe(&module);
    let mut page = Page::default();
    if reports.is_empty() {
        page.line(format_args!("{} imports nothing", typed.guest.display()));
        page.show()?;
        return Ok(Status::Good);
    }
    let mut table = Table::default();
    let heads = ["module", "name", "", "from", "tier", "wasm type"];
    table.row(heads.map(|head| Cell::styled(head, HEADING)));
    let mut refused = Vec::new();
    for (number, report) in reports.iter().enumerate() {
        row(&mut table, report, linked_elsewhere.has(number), &mut refused);
    }
    page.lines(0, &table.show(0));
    for (why, names) in grouped(&refused) {
        let names = names.join("\n        ");
        page.line(format_args!("\n{ERROR}denied:{ERROR:#} {names}\n  {why}"));
    }
    page.show()?;
    Ok(if refused.is_empty() { Status::Good } else { Status::Bad })
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

fn row<'r>(
    table: &mut Table,
    report: &'r ImportReport,
    elsewhere: bool,
    refused: &mut Vec<(&'r ImportReport, String)>,
) {
    let granted = || Cell::styled("granted", GOOD);
    let denied = || Cell::styled("denied", ERROR);
    let mut add = |status: Cell, from: &str, tier: &str| {
        let (module, name) = (shown(&report.module), shown(&report.name));
        let wasm_type = report.wasm_type.clone();
        table.row([module.into(), name.into(), status, from.into(), tier.into(), wasm_type.into()]);
    };
    match &report.status {
        ImportStatus::Native(functions) => {
            add(granted(), &distinct(functions, place), &distinct(functions, tier));
        }
        ImportStatus::GuestFree => add(granted(), "the guest's own free", ""),
        ImportStatus::Bridge => add(granted(), "the bridge", ""),
        _ if elsewhere => add(granted(), "WASI", ""),
        ImportStatus::Refused(error) => {
            add(denied(), "", "");
            refused.push((report, error.problem.to_string().replace('\n', "\n  ")));
        }
        _ => {
            add(denied(), "", "");
            refused
                .push((report, "nobody has it: neither WASI nor a granted interface".to_owned()));
        }
    }
}

/// Imports that are refused for the same reason, in the order of the first of them.
fn grouped(refused: &[(&ImportReport, String)]) -> Vec<(String, Vec<String>)> {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for (report, why) in refused {
        let name = format!("{} {}", shown(&report.module), shown(&report.name));
        match groups.iter_mut().find(|(known, _)| known == why) {
            Some((_, names)) => names.push(name),
            None => groups.push((why.clone(), vec![name])),
        }
    }
    groups
}

/// What is to say of each grant of an overloaded function, once if it is the same.
fn distinct(functions: &[NativeImport], say: fn(&NativeImport) -> String) -> String {
    let mut said: Vec<String> = functions.iter().map(say).collect();
    said.dedup();
    said.join(" or ")
}

fn place(function: &NativeImport) -> String {
    match &function.library {
        Some(library) => library.display().to_string(),
        None => "the host".to_owned(),
    }
}

fn tier(function: &NativeImport) -> String {
    match &function.why_no_faster {
        Some(why) => format!("{} ({why})", function.tier),
        None => function.tier.to_string(),
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
}
