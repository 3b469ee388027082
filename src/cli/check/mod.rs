//! `check`: an interface against its library and its real C header.
//!
//! ```text
//! shapes     what annotations cannot make safe        warnings
//! owners     what seems to lack an annotation         warnings
//! overloads  which of them suit the same arguments     warnings
//! (plans)    what cannot be called                    notes
//! (host)     symbols of the library                   errors
//! header     what the C compiler says of each function
//! compare    and whether the prototype agrees with it errors
//! same       and what is the same type
//! records    and its structs and unions, field by field
//! ```
mod c_text;
mod class;
mod compare;
mod dwarf;
mod header;
mod overloads;
mod owners;
mod real;
mod records;
mod same;
mod shapes;

use super::args;
use super::explain::compile_for;
use super::meant::{self, Source};
use super::page::{Page, complain};
use super::report::{ERROR, Failure, GOOD, HEADING, Status, WARNING};
use super::similar::similar;
use super::table::counted;
use anstyle::Style;
use compare::{Repeat, Side, Told, Verdict};
use portcullis::host::{freed_by, missing_symbols};
use portcullis::plan::abi::Abi;
use portcullis::plan::compile::CompileError;
use portcullis::plan::layout::DataModel;
use portcullis::signature::{Interface, Prototype, Span, with_example_tail};
use std::path::PathBuf;
use std::sync::Arc;

/// Prints what is wrong, what may be dangerous and what no plan can do.
pub fn check(typed: &args::Check) -> Result<Status, Failure> {
    let interface = Source::find(&typed.interface)?.interface()?;
    let libraries = meant::libraries(&typed.library)?;
    for name in &typed.intended {
        let functions = || interface.grants.iter().map(|grant| &*grant.prototype.name.name);
        if !functions().any(|function| function == name) {
            let near = similar(name, functions());
            let near =
                near.first().map_or(String::new(), |near| format!(", did you mean `{near}`?"));
            let message =
                format!("`--intended {name}`: `{}` has no such function{near}", interface.name);
            return Err(Failure::Usage(message));
        }
    }
    let nobody = format!("no pragma of {} names", interface.name);
    meant::warn_of_useless(&typed.library, &meant::library_names(&interface), &nobody);
    if interface.grants.is_empty() {
        complain(format_args!(
            "{ERROR}error:{ERROR:#} {} grants nothing: an interface has `#pragma portcullis library \"libz.so.1\"`, and \
             below it the prototypes of functions",
            interface.name
        ));
        return Ok(Status::Bad);
    }
    let mut report = Report { interface: &interface, page: Page::default(), wrong: 0 };
    report.shapes(&typed.intended);
    report.unsupported();
    report.symbols(&libraries)?;
    // The compiler takes its time and may fail.
    report.page.show()?;
    if !typed.header.is_empty() {
        let answers = header::ask(&interface, &typed.header, &typed.cc)?;
        report.header(&answers);
        report.page.show()?;
    }
    Ok(if report.wrong == 0 { Status::Good } else { Status::Bad })
}

struct Report<'a> {
    interface: &'a Interface,
    page: Page,
    /// What the status says.
    wrong: usize,
}

impl Report<'_> {
    fn shapes(&mut self, intended: &[String]) {
        let functions = counted(self.interface.grants.len(), "function");
        self.page.line(format_args!("{HEADING}{}{HEADING:#}: {functions}", self.interface.name));
        let mut warnings = shapes::warnings(self.interface);
        warnings.extend(owners::warnings(self.interface));
        warnings.extend(overloads::warnings(self.interface));
        warnings.sort_by_key(|warning| warning.span.start);
        let told: Vec<_> =
            warnings.iter().filter(|one| !intended.contains(&one.function)).collect();
        for warning in &told {
            self.finding(WARNING, "warning", warning.span, &warning.message);
        }
        if let Some(first) = told.first() {
            self.page
                .line(format_args!("    what is meant as it is: --intended {}", first.function));
        }
    }

    /// The functions that cannot be called yet, and why.
    fn unsupported(&mut self) {
        let (interface, abi) = (self.interface, Abi::host_or_default());
        let all: Vec<Arc<Prototype>> =
            interface.grants.iter().map(|grant| Arc::clone(&grant.prototype)).collect();
        let guests = freed_by(interface);
        let (mut refused, mut own) = (0, 0);
        for (grant, prototype) in interface.grants.iter().zip(&all) {
            if guests.contains(&prototype.name.name) {
                own += 1;
                let text = format!(
                    "`{}` is bound to the guest's own `free`: a `__freed_by` names it",
                    prototype.name
                );
                self.finding(HEADING, "free", prototype.name.span, &text);
                continue;
            }
            let scope = &interface.scope;
            let tried = Arc::new(with_example_tail(prototype));
            let plan = compile_for(&tried, scope, grant.leaf, DataModel::Ilp32, abi, &all);
            let Err(error) = plan else { continue };
            refused += 1;
            match error {
                CompileError::Prototype(mistakes) => {
                    for mistake in mistakes {
                        let text = format!("`{}`: {}", prototype.name, mistake.message);
                        self.finding(WARNING, "refused", mistake.span, &text);
                        if let Some(help) = &mistake.help {
                            self.page.lines(4, &format!("help: {help}"));
                        }
                    }
                }
                other => {
                    let text = format!("`{}`: {other}", prototype.name);
                    self.finding(WARNING, "refused", prototype.name.span, &text);
                }
            }
        }
        let mut text = counted(all.len() - refused - own, "function");
        text += " can be called";
        if own > 0 {
            let are = if own == 1 { "is" } else { "are" };
            text += &format!(", {own} {are} bound to the guest's own `free`");
        }
        if refused > 0 {
            text += &format!(", {refused} cannot be");
        }
        self.summary(refused == 0, "calls", &text);
    }

    /// Whether the libraries have the functions.
    fn symbols(&mut self, paths: &[(String, PathBuf)]) -> anyhow::Result<()> {
        let missing = missing_symbols(self.interface, paths)?;
        self.wrong += missing.len();
        // A library that is not there is missing for all of its functions: that is said once.
        let mut problems: Vec<(String, Vec<&str>)> = Vec::new();
        for one in &missing {
            let problem = one.problem.to_string().replace('\n', "\n  ");
            match problems.iter_mut().find(|(known, _)| *known == problem) {
                Some((_, symbols)) => symbols.push(&one.symbol),
                None => problems.push((problem, vec![&one.symbol])),
            }
        }
        for (problem, symbols) in &problems {
            let symbols = listed(symbols);
            self.page.line(format_args!("{ERROR}missing:{ERROR:#} {symbols}: {problem}"));
        }
        let files: Vec<&str> =
            self.interface.libraries.iter().map(|library| &*library.file).collect();
        let files = files.join(" and ");
        if missing.is_empty() {
            self.summary(true, "symbols", &format!("{files}: every function is there"));
        } else {
            let missing = counted(missing.len(), "function");
            self.summary(false, "symbols", &format!("{files}: {missing} missing"));
        }
        Ok(())
    }

    /// Whether the prototypes are those of the real header.
    fn header(&mut self, answers: &header::Answers) {
        let abi = Abi::host_or_default();
        let told = Told::default();
        let side =
            Side { abi, scope: &self.interface.scope, records: &answers.records, told: &told };
        let mut repeated: Vec<(Repeat, Vec<String>)> = Vec::new();
        let (mut agree, mut retyped, mut differ, mut undeclared) = (0, 0, 0, 0);
        for (grant, declared) in self.interface.grants.iter().zip(&answers.declared) {
            let prototype = &grant.prototype;
            let (style, kind, how) = match compare::compare(prototype, declared, side) {
                Verdict::Agrees => {
                    agree += 1;
                    continue;
                }
                Verdict::Retyped(how) => {
                    retyped += 1;
                    (HEADING, "retyped (ABI-equal)", how)
                }
                Verdict::Differs(how) => {
                    differ += 1;
                    (ERROR, "differs", how)
                }
                Verdict::AsTold(repeats) => {
                    differ += 1;
                    let name = format!("`{}`", prototype.name);
                    for repeat in repeats {
                        match repeated.iter_mut().find(|(known, _)| *known == repeat) {
                            Some((_, names)) => names.push(name.clone()),
                            None => repeated.push((repeat, vec![name.clone()])),
                        }
                    }
                    continue;
                }
                Verdict::Undeclared => {
                    undeclared += 1;
                    (ERROR, "not in the header", Vec::new())
                }
            };
            let name = format!("`{}`", prototype.name);
            self.finding(style, kind, prototype.name.span, &name);
            self.page.lines(4, &how.join("\n"));
        }
        for (repeat, names) in repeated {
            self.page.line(format_args!("{ERROR}differs:{ERROR:#} {}: {repeat}", names.join(", ")));
        }
        self.wrong += differ + undeclared;
        let counts = [
            (agree, "agree"),
            (retyped, "retyped (ABI-equal)"),
            (differ, "differ"),
            (undeclared, "not in the header"),
        ];
        let told = counts.iter().filter(|(count, _)| *count > 0);
        let told: Vec<String> = told.map(|(count, what)| format!("{count} {what}")).collect();
        self.summary(differ + undeclared == 0, "header", &told.join(", "));
    }

    /// A line about one place of the interface.
    fn finding(&mut self, style: Style, kind: &str, span: Span, text: &str) {
        let start = usize::try_from(span.start).unwrap_or(usize::MAX);
        let before = self.interface.text.bytes().take(start);
        let line = before.filter(|byte| *byte == b'\n').count() + 1;
        let name = &self.interface.name;
        self.page.line(format_args!("{style}{kind}:{style:#} {name}:{line}: {text}"));
    }

    fn summary(&mut self, good: bool, what: &str, text: &str) {
        let style = if good { GOOD } else { HEADING };
        self.page.line(format_args!("{style}{what}{style:#}: {text}"));
    }
}

/// Some names of many.
fn listed(names: &[&str]) -> String {
    const MOST: usize = 4;
    let shown: Vec<String> = names.iter().take(MOST).map(|name| format!("`{name}`")).collect();
    match names.len().checked_sub(MOST).filter(|more| *more > 0) {
        Some(more) => format!("{} and {more} more", shown.join(", ")),
        None => shown.join(", "),
    }
}
