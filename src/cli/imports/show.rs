//! The table of imports, and what is below it.
use super::super::page::Page;
use super::super::report::{ERROR, GOOD, HEADING};
use super::super::table::{Cell, Table, counted, filled};
use super::{Powers, Wanted, ways_out};

/// How a table is shown.
pub struct Options {
    /// Columns of the terminal, if there is one.
    pub width: Option<usize>,
}

/// Remarks are not made narrower than this: they stand below their rows then.
const NARROW: usize = 24;

impl Options {
    pub fn show(&self, page: &mut Page, wanted: &[Wanted], powers: &[Powers]) {
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
        // Trust in all that a guest says is nothing to copy from a last line.
        let mut once: Vec<&str> = Vec::new();
        for flag in denied.iter().filter_map(|one| one.add.as_deref()).flat_map(ways_out::each) {
            if flag.starts_with("--grant ") && !once.contains(&flag) {
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
            if one.grants.is_none() && one.powers.is_none() {
                page.line("    its comment does not say");
            }
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
