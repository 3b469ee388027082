//! What a plan becomes: which tiers take it, its CLIF, its machine code.
use super::section::Section;
use crate::cli::args::Part;
use crate::cli::table::{Table, filled, width};
use portcullis::host::{Outlook, Tier, outlook};
use portcullis::plan::Plan;
use portcullis::plan::abi::Abi;
use std::sync::Arc;

/// What each tier says to a plan. `alone`: the function has no other overloads.
pub fn tiers(plan: &Arc<Plan>, abi: Abi, alone: bool) -> Section {
    let text = match abi == Abi::SysvX86_64 {
        true => said(&outlook(plan, alone), &Codes::of(plan)),
        false => format!(
            "none: calls are made on x86-64 Linux; what follows is how they would be for {}",
            abi.name()
        ),
    };
    Section::new(
        Part::Tiers,
        "tiers",
        "The ways to make the call, the slowest first, and why not all of them can.",
        text,
    )
}

fn said(outlook: &Outlook, codes: &Codes) -> String {
    let mut table = Table::default();
    for (tier, taken) in &outlook.tiers {
        let said = match (taken, tier) {
            (Err(why), _) => format!("no: {why}"),
            (Ok(()), Tier::Interpreter) => "yes: takes every function".to_owned(),
            (Ok(()), Tier::Template) => "yes: ready-made code for such a signature".to_owned(),
            (Ok(()), Tier::Cranelift) => {
                format!("yes: {}, entered by a host function", codes.size("cranelift"))
            }
            (Ok(()), Tier::Direct) => {
                format!("yes: {}, entered by the guest's code itself", codes.size("direct"))
            }
        };
        table.row([tier.to_string().into(), said.into()]);
    }
    let straight = match outlook.straight {
        true => ", which guests enter by themselves",
        false => "",
    };
    let first = named(outlook.first);
    let run = match outlook.then {
        Some((calls, then)) => format!(
            "Where no tier is asked for, {first} makes the first {calls} calls{straight}; then code is made, and {} makes the \
             others.",
            named(then)
        ),
        None => format!("Where no tier is asked for, {first} makes all calls{straight}."),
    };
    let wide = Some(width().map_or(100, |width| width.saturating_sub(2)));
    let rest = "What else decides, a guest's memory and the host's hooks, `portcullis imports GUEST` knows.";
    format!("{}\n{}\n{}\n", table.show(0), filled(&run, wide), filled(rest, wide))
}

fn named(tier: Tier) -> &'static str {
    match tier {
        Tier::Interpreter => "the interpreter",
        Tier::Template => "its template",
        Tier::Cranelift => "`cranelift`",
        Tier::Direct => "`direct`",
    }
}

#[cfg(feature = "cranelift")]
pub use made::{Codes, sections};

/// Nobody makes code.
#[cfg(not(feature = "cranelift"))]
mod absent {
    use super::*;

    pub struct Codes;

    impl Codes {
        pub fn of(_: &Plan) -> Codes {
            Codes
        }

        pub fn size(&self, _: &str) -> String {
            "machine code that was made ahead of time".to_owned()
        }
    }

    pub fn sections(_: &Arc<Plan>, _: Abi, _: bool) -> Vec<Section> {
        let why = "none: built without a compiler (feature `cranelift`)";
        vec![Section::new(Part::Asm, "machine code", "", why)]
    }
}
#[cfg(not(feature = "cranelift"))]
pub use absent::{Codes, sections};

#[cfg(feature = "cranelift")]
mod made {
    use super::*;
    use crate::cli::explain::drawing::COLORS;
    use portcullis::bench::svg::escaped;
    use portcullis::cranelift_backend::assembly::{self, Line, heading, hexadecimal};
    use portcullis::cranelift_backend::{Listing, Unsupported, direct_listing, listing};
    use std::collections::BTreeSet;

    /// What `--tier cranelift` and `--tier direct` make of a plan, and what native code enters when it calls the guest's
    /// functions.
    pub struct Codes {
        all: Vec<(String, Arc<Plan>, Result<Listing, Unsupported>)>,
    }

    impl Codes {
        pub fn of(plan: &Arc<Plan>) -> Codes {
            let mut all = vec![
                ("cranelift".to_owned(), Arc::clone(plan), listing(plan)),
                ("direct".to_owned(), Arc::clone(plan), direct_listing(plan)),
            ];
            for (number, callback) in plan.callbacks.iter().enumerate() {
                let entry = Arc::clone(&callback.plan);
                let made = listing(&entry);
                all.push((format!("callback {number}"), entry, made));
            }
            Codes { all }
        }

        /// How much code there is.
        pub fn size(&self, of: &str) -> String {
            let found = self.all.iter().find(|(what, ..)| what == of);
            match found {
                Some((_, _, Ok(listing))) => {
                    let by_hand = if listing.clif.is_none() { ", written by hand" } else { "" };
                    format!("{} bytes of machine code{by_hand}", listing.code.bytes.len())
                }
                _ => "machine code".to_owned(),
            }
        }
    }

    /// CLIF and machine code. `bytes`: with the bytes of each instruction.
    pub fn sections(plan: &Arc<Plan>, abi: Abi, bytes: bool) -> Vec<Section> {
        const CLIF: &str = "The plan as Cranelift's intermediate code, from which machine code is made when the function is called \
                            often.";
        const CODE: &str = "What the processor executes: the bytes that are run, and which step of the plan each instruction \
                            is for. An instruction that serves several stands where it is first needed.";
        let mut sections = Vec::new();
        if abi != Abi::SysvX86_64 {
            return sections;
        }
        for (what, plan, made) in Codes::of(plan).all {
            let code = format!("machine code, {what}");
            let listing = match made {
                Ok(listing) => listing,
                Err(why) => {
                    sections.push(Section::new(Part::Asm, code, CODE, format!("none: {why}")));
                    continue;
                }
            };
            let by_hand = || "none: this code is written instruction by instruction".to_owned();
            let clif = listing.clif.clone().unwrap_or_else(by_hand);
            let folded = listing.clif.is_some();
            let clif = Section::new(Part::Clif, format!("CLIF, {what}"), CLIF, clif);
            sections.push(if folded { clif.folded() } else { clif });
            let size = listing.code.bytes.len();
            let text = assembly::text(&listing.code, &plan, bytes);
            let lines = assembly::lines(&listing.code, &plan);
            let section = Section::new(Part::Asm, format!("{code}: {size} bytes"), CODE, text);
            sections.push(Section { table: Some(table(&lines, &plan)), ..section }.folded());
        }
        sections
    }

    /// Instructions beside the ops that they are for.
    fn table(lines: &[Line], plan: &Plan) -> String {
        let mut html = "<table class=\"code\">\n<thead><tr><th>for</th><th>at</th><th>bytes</th><th>instruction</th><th></th></tr></thead>\n"
            .to_owned();
        let mut seen = BTreeSet::new();
        for run in lines.chunk_by(|one, next| one.part == next.part) {
            let part = run[0].part;
            let name = heading(part, plan, false);
            let again = !seen.insert(name.clone());
            let (color, named) = match (part.op(), again) {
                (Some(op), true) => (COLORS[op % COLORS.len()], heading(part, plan, true)),
                (Some(op), false) => (COLORS[op % COLORS.len()], name),
                (None, _) => (0, name),
            };
            html.push_str(&format!("<tbody style=\"--of:var(--c{color})\">\n"));
            for (number, line) in run.iter().enumerate() {
                html.push_str("<tr>");
                if number == 0 {
                    let rows = run.len();
                    html.push_str(&format!("<th rowspan=\"{rows}\">{}</th>", escaped(&named)));
                }
                let label = line.label.as_ref().map(|label| format!("<b>{}:</b> ", escaped(label)));
                html.push_str(&format!(
                    "<td class=\"at\">{:04x}</td><td class=\"at\">{}</td><td>{}{}</td><td class=\"at\">{}</td></tr>\n",
                    line.offset,
                    hexadecimal(&line.bytes),
                    label.unwrap_or_default(),
                    escaped(&line.text),
                    escaped(line.comment.as_deref().unwrap_or_default())
                ));
            }
            html.push_str("</tbody>\n");
        }
        html + "</table>\n"
    }
}
