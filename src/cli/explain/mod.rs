//! `explain`: how a C function is called, stage by stage.
//!
//! ```text
//! subject     what the command line names: grants, or a prototype     names   who would grant a name
//! overloads   which of several a call gets
//! types, drawing, code                                                 what is said of each
//! section     a part of that       html   all of it as a page
//! ```
//!
//! Nothing is decided here: what an import means, how overloads are chosen and what runs a plan says
//! [`portcullis::host`], as it does when a guest is linked.
mod code;
mod drawing;
mod html;
mod names;
mod overloads;
mod section;
mod subject;
mod types;

use super::args::{self, Overload, Part};
use super::output::Output;
use super::page::{Page, complain};
use super::report::{ERROR, Failure, HEADING, Status};
use super::table::{filled, width};
use drawing::Drawing;
use portcullis::plan::Plan;
use portcullis::plan::abi::{self, Abi};
use portcullis::plan::compile::{CompileError, lower};
use portcullis::plan::disassemble::disassemble;
use portcullis::plan::layout::DataModel;
use portcullis::signature::{Diagnostic, Diagnostics};
use section::Section;
use std::sync::Arc;
use subject::{Set, Subject};

pub use subject::compile_for;

/// So many overloads are told one after the other if nobody says which.
const FEW: usize = 4;

/// For whom, and how.
#[derive(Clone, Copy)]
struct How {
    model: DataModel,
    abi: Abi,
    /// Machine code with its bytes.
    bytes: bool,
}

/// Explains a prototype, or what interfaces grant by that name.
pub fn explain(typed: &args::Explain) -> Result<Status, Failure> {
    let how = How {
        model: match typed.model {
            args::Model::Wasm32 => DataModel::Ilp32,
            args::Model::Wasm64 => DataModel::Lp64,
        },
        abi: match typed.abi {
            Some(args::AbiName::Sysv) => Abi::SysvX86_64,
            Some(args::AbiName::Aapcs64) => Abi::Aapcs64,
            None => Abi::host_or_default(),
        },
        bytes: typed.bytes,
    };
    let file = Output::wanted(typed.html.as_deref())?;
    let set = Set::find(typed)?;
    let count = set.subjects.len();
    if let Some(Overload::Number(number)) = typed.overload
        && number > count
    {
        return Err(Failure::Usage(format!(
            "`--overload {number}`: {} is granted {} here",
            set.subjects[0].prototype.name,
            if count == 1 { "once".to_owned() } else { format!("{count} times") }
        )));
    }
    let (told, errors) = how.tell(&set);
    let shown = Shown::of(typed, count);
    let mut page = Page::default();
    shown.print(&told, &mut page);
    page.show()?;
    errors.iter().for_each(complain);
    if let Some(file) = file {
        file.write(&html::page(&told))?;
    }
    Ok(if errors.is_empty() { Status::Good } else { Status::Bad })
}

/// All that is told.
struct Told {
    remark: Option<String>,
    /// How overloads are chosen, if there are several.
    choice: Option<Section>,
    functions: Vec<Function>,
}

/// Of one function, or overload.
struct Function {
    /// `overload 1 of 2`, if there are several.
    number: Option<String>,
    prototype: String,
    sections: Vec<Section>,
}

impl How {
    /// Says everything, up to what is not supported; and the mistakes.
    fn tell(self, set: &Set) -> (Told, Vec<String>) {
        let count = set.subjects.len();
        let plans: Vec<_> = set.subjects.iter().map(|one| one.plan(self.model, self.abi)).collect();
        let made: Vec<Option<Arc<Plan>>> =
            plans.iter().map(|plan| plan.as_ref().ok().cloned()).collect();
        let mut errors = Vec::new();
        let mut choice = overloads::section(&set.subjects, &made);
        if let Some(mistake) = overloads::mistake(&set.subjects, &made) {
            errors.push(mistake.colored());
            choice.iter_mut().for_each(|choice| choice.text.push_str(&format!("\n{mistake}")));
        }
        let mut functions = Vec::new();
        for (number, (subject, plan)) in set.subjects.iter().zip(plans).enumerate() {
            let mut sections = Vec::new();
            let done = self.sections(subject, plan, count == 1, &mut sections);
            if let Err(error) = done {
                let told = subject.refused(error);
                sections.push(Section::new(None, "error", "", told.clone()));
                errors.push(told);
            }
            functions.push(Function {
                number: (count > 1).then(|| overloads::title(number, count)),
                prototype: subject.prototype.to_string(),
                sections,
            });
        }
        (Told { remark: set.remark.clone(), choice, functions }, errors)
    }

    fn sections(
        self,
        subject: &Subject,
        plan: Result<Arc<Plan>, CompileError>,
        alone: bool,
        sections: &mut Vec<Section>,
    ) -> Result<(), CompileError> {
        let How { model, abi, bytes } = self;
        let prototype = &subject.prototype;
        let what = "What is granted: a C prototype, with annotations that say what C does not.";
        sections.push(Section::new(None, "prototype", what, prototype.to_string()));
        let types = types::section(subject, plan.as_deref().ok(), model, abi);
        let lowering = match lower(prototype, &subject.scope, model, None) {
            Ok(lowering) => lowering,
            Err(error) => {
                sections.push(types);
                return Err(error);
            }
        };
        sections.push(subject.import(&lowering.to_string()));
        if subject.own_free {
            return Ok(());
        }
        if let Ok(plan) = &plan {
            sections.push(code::tiers(plan, abi, alone));
        }
        sections.push(types);
        if let Ok(assignment) = abi::assign(&prototype.function, &subject.scope, abi) {
            let text = abi::describe(&assignment, &prototype.function, abi);
            let what = "Where the C ABI of this machine wants each argument, and has the result.";
            sections.push(Section::new(Part::Registers, "assignment", what, text));
            let drawing = Drawing::new(&assignment, &prototype.function, abi);
            let what =
                "The same as a picture: which bytes of which register or stack slot are whose.";
            let heading = "registers and stack, a letter a byte";
            let mut section = Section::new(Part::Registers, heading, what, drawing.text());
            if !section.text.is_empty() {
                section.drawings.push(drawing.svg());
                sections.push(section.folded());
            }
        }
        let plan = plan?;
        let what = "The steps of a call. What stands before the call decodes and checks; it has no effect if a check fails. What \
                    stands behind it checks what native code has left, and writes it back last of all.";
        sections.push(Section::new(Part::Plan, "plan", what, disassemble(&plan, abi)));
        sections.extend(code::sections(&plan, abi, bytes));
        Ok(())
    }
}

impl Subject {
    /// Who has it, and how a guest's module says that it wants it.
    fn import(&self, ty: &str) -> Section {
        let module = match &self.library {
            Some(library) => library.module.as_deref().unwrap_or(&library.file),
            None => "LIBRARY",
        };
        let ty = ty.strip_prefix("(func").map_or(ty, |rest| rest.strip_suffix(')').unwrap_or(rest));
        let mut text = format!("(import \"{module}\" \"{}\" (func{ty}))\n", self.imported_as);
        if let Some(library) = &self.library {
            text.push_str(&format!("granted by {}, of {}\n", self.name, library.file));
        }
        let what = "How a guest's module says, as text, that it wants the function.";
        Section::new(Part::Import, "import", what, text)
    }

    fn refused(&self, error: CompileError) -> String {
        match error {
            CompileError::Prototype(list) => self.mistakes(list).colored(),
            other => format!("{ERROR}error:{ERROR:#} {other}"),
        }
    }

    fn mistakes(&self, list: Vec<Diagnostic>) -> Diagnostics {
        Diagnostics::new(Arc::clone(&self.name), Arc::clone(&self.text), list)
    }
}

/// What is shown on a terminal.
struct Shown {
    parts: Vec<Part>,
    /// The overload, if one is asked for.
    only: Option<usize>,
    /// Overloads are only listed.
    listed: bool,
    /// Code was left out, and nobody has said so.
    short: bool,
}

impl Shown {
    fn of(typed: &args::Explain, count: usize) -> Shown {
        let only = match typed.overload {
            Some(Overload::Number(number)) => Some(number - 1),
            Some(Overload::All) | None => None,
        };
        let several = count > 1 && only.is_none();
        let short = several && typed.show.is_empty();
        let listed = count > FEW && typed.overload.is_none();
        Shown { parts: typed.show.clone(), only, listed, short }
    }

    fn has(&self, part: Option<Part>) -> bool {
        match part {
            None => true,
            Some(Part::Clif | Part::Asm) if self.short => false,
            Some(part) => {
                let parts = &self.parts;
                parts.is_empty() || parts.contains(&part) || parts.contains(&Part::All)
            }
        }
    }

    fn print(&self, told: &Told, page: &mut Page) {
        let mut first = true;
        let mut section = |page: &mut Page, heading: &str, text: &str| {
            if !std::mem::replace(&mut first, false) {
                page.line("");
            }
            page.line(format_args!("{HEADING}{heading}{HEADING:#}"));
            page.lines(2, text.trim_end_matches('\n'));
        };
        let wide = width().map_or(100, |width| width.saturating_sub(2));
        if let Some(remark) = &told.remark {
            section(page, "note", &filled(remark, Some(wide)));
        }
        if let Some(choice) = told.choice.as_ref().filter(|_| self.only.is_none()) {
            section(page, &choice.heading, &choice.text);
        }
        if self.listed {
            page.line("\n`--overload NUMBER` explains one of them, `--overload all` each.");
            return;
        }
        for (number, function) in told.functions.iter().enumerate() {
            if self.only.is_some_and(|only| only != number) {
                continue;
            }
            for one in function.sections.iter().filter(|one| self.has(one.part)) {
                // Mistakes are told on standard error.
                if one.heading == "error" {
                    continue;
                }
                match &function.number {
                    Some(number) if one.heading == "prototype" => {
                        section(page, &format!("prototype, {number}"), &one.text);
                    }
                    _ => section(page, &one.heading, &one.text),
                }
            }
        }
        if self.short {
            page.line("\nCLIF and machine code: `--overload NUMBER`, or `--show all`.");
        }
    }
}
