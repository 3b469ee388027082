//! `check`: an interface against its library and its real C header.
//!
//! ```text
//! shapes     what annotations cannot make safe        warnings
//! (plans)    what cannot be called yet                notes
//! (host)     symbols of the library                   errors
//! header     what the C compiler says of each function
//! compare    and whether the prototype agrees with it errors
//! ```
mod c_text;
mod compare;
mod dwarf;
mod header;
mod real;
mod shapes;

use super::args;
use super::explain::compile_for;
use super::meant::{self, Source};
use super::report::{ERROR, Failure, GOOD, HEADING, Status, WARNING};
use super::table::counted;
use anyhow::Result;
use compare::Verdict;
use portcullis::host::missing_symbols;
use portcullis::plan::abi::Abi;
use portcullis::plan::compile::CompileError;
use portcullis::plan::layout::DataModel;
use portcullis::signature::{Interface, Prototype, Span};
use std::path::PathBuf;
use std::sync::Arc;

/// Prints what is wrong, what may be dangerous and what is not supported yet.
pub fn check(typed: &args::Check) -> Result<Status, Failure> {
    let interface = Source::find(&typed.interface)?.interface()?;
    let libraries = meant::libraries(&typed.library)?;
    let mut findings = Findings { interface: &interface, wrong: 0 };
    let functions = counted(interface.grants.len(), "function");
    anstream::println!("{HEADING}{}{HEADING:#}: {functions}", interface.name);
    findings.shapes();
    findings.unsupported();
    findings.symbols(&libraries)?;
    if !typed.header.is_empty() {
        let declared = header::ask(&interface, &typed.header, &typed.cc)?;
        findings.header(&declared);
    }
    Ok(if findings.wrong == 0 { Status::Good } else { Status::Bad })
}

/// What is found is told at once.
struct Findings<'a> {
    interface: &'a Interface,
    /// What the status says.
    wrong: usize,
}

impl Findings<'_> {
    fn shapes(&self) {
        for warning in shapes::warnings(self.interface) {
            let place = self.place(warning.span);
            anstream::println!("{WARNING}warning:{WARNING:#} {place}: {}", warning.message);
        }
    }

    /// The functions that cannot be called yet, and why.
    fn unsupported(&self) {
        let grants = &self.interface.grants;
        let others: Vec<Arc<Prototype>> =
            grants.iter().map(|grant| Arc::clone(&grant.prototype)).collect();
        let (mut callable, mut not_yet) = (0, 0);
        for grant in grants {
            let (scope, abi) = (&self.interface.scope, Abi::host_or_default());
            let prototype = &grant.prototype;
            match compile_for(prototype, scope, grant.leaf, DataModel::Ilp32, abi, &others) {
                Ok(_) => callable += 1,
                Err(CompileError::Prototype(mistakes)) => {
                    not_yet += 1;
                    for mistake in mistakes {
                        let place = self.place(mistake.span);
                        anstream::println!(
                            "{WARNING}not yet:{WARNING:#} {place}: `{}`: {}",
                            prototype.name,
                            mistake.message
                        );
                    }
                }
                Err(other) => {
                    not_yet += 1;
                    anstream::println!(
                        "{WARNING}not yet:{WARNING:#} `{}`: {other}",
                        prototype.name
                    );
                }
            }
        }
        if not_yet == 0 {
            good("calls", &format!("{} can be called", counted(callable, "function")));
        } else {
            let callable = counted(callable, "function");
            anstream::println!("calls: {callable} can be called, {not_yet} cannot be yet");
        }
    }

    /// Whether the libraries have the functions.
    fn symbols(&mut self, paths: &[(String, PathBuf)]) -> Result<()> {
        let missing = missing_symbols(self.interface, paths)?;
        self.wrong += missing.len();
        for one in &missing {
            let problem = one.problem.to_string().replace('\n', "\n  ");
            anstream::println!("{ERROR}missing:{ERROR:#} `{}`: {problem}", one.symbol);
        }
        let files: Vec<&str> =
            self.interface.libraries.iter().map(|library| &*library.file).collect();
        let files = files.join(" and ");
        if missing.is_empty() {
            good("symbols", &format!("{files} has every function"));
        } else {
            let missing = counted(missing.len(), "function");
            anstream::println!("symbols: {missing} missing in {files}");
        }
        Ok(())
    }

    /// Whether the prototypes are those of the real header.
    fn header(&mut self, declared: &[header::Declared]) {
        let abi = Abi::host_or_default();
        let (mut agree, mut retyped, mut differ, mut undeclared) = (0, 0, 0, 0);
        for (grant, declared) in self.interface.grants.iter().zip(declared) {
            let prototype = &grant.prototype;
            let place = self.place(prototype.name.span);
            let tell = |how: &[String]| {
                for line in how {
                    anstream::println!("    {line}");
                }
            };
            match compare::compare(prototype, declared, abi) {
                Verdict::Agrees => agree += 1,
                Verdict::Retyped(how) => {
                    retyped += 1;
                    let name = &prototype.name;
                    anstream::println!(
                        "{HEADING}retyped{HEADING:#} (ABI-equal): {place}: `{name}`"
                    );
                    tell(&how);
                }
                Verdict::Differs(how) => {
                    differ += 1;
                    let name = &prototype.name;
                    anstream::println!("{ERROR}differs:{ERROR:#} {place}: `{name}`");
                    tell(&how);
                }
                Verdict::Undeclared => {
                    undeclared += 1;
                    let name = &prototype.name;
                    anstream::println!("{ERROR}not in the header:{ERROR:#} {place}: `{name}`");
                }
            }
        }
        self.wrong += differ + undeclared;
        let mut text = format!("{agree} agree");
        for (count, what) in [
            (retyped, "retyped (ABI-equal)"),
            (differ, "differ"),
            (undeclared, "not in the header"),
        ] {
            if count > 0 {
                text.push_str(&format!(", {count} {what}"));
            }
        }
        if differ + undeclared == 0 {
            good("header", &text);
        } else {
            anstream::println!("header: {text}");
        }
    }

    /// `zlib.h:12`
    fn place(&self, span: Span) -> String {
        let start = usize::try_from(span.start).unwrap_or(usize::MAX);
        let before = self.interface.text.bytes().take(start);
        let line = before.filter(|byte| *byte == b'\n').count() + 1;
        format!("{}:{line}", self.interface.name)
    }
}

fn good(what: &str, text: &str) {
    anstream::println!("{GOOD}{what}{GOOD:#}: {text}");
}
