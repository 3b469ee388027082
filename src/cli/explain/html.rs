//! What is explained as one page to share.
use super::section::Section;
use super::{Function, Told};
use portcullis::bench::svg::{STYLE, escaped};

const PAGE: &str = "
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 64rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font: 600 1.25rem/1.4 ui-monospace, monospace; overflow-wrap: anywhere; margin: .2rem 0 1rem; }
h2 { font-size: 1.1rem; margin: 2.2rem 0 .4rem; }
pre, .code { background: var(--faint); border-radius: .4rem; font: 13px/1.45 ui-monospace, monospace; }
pre { padding: .8rem 1rem; overflow-x: auto; }
figure { margin: .5rem 0; overflow-x: auto; } .error { border-left: 4px solid var(--c5); }
.wrapped { white-space: pre-wrap; overflow-wrap: anywhere; } p { max-width: 46rem; margin: .3rem 0; color: var(--soft); }
summary { cursor: pointer; color: var(--soft); } details pre, details .scroll { margin-top: .4rem; }
a { color: var(--c8); } .code td.wrapped { white-space: pre-wrap; }
article + article { border-top: 2px solid var(--line); margin-top: 3rem; padding-top: 2rem; }
.number { color: var(--soft); margin: 2.5rem 0 0; } .note { border-left: 4px solid var(--c8); padding-left: .8rem; }
.scroll { overflow-x: auto; } .code { border-collapse: collapse; width: 100%; }
.code th, .code td { text-align: left; vertical-align: top; padding: .05rem .7rem; white-space: pre; font-weight: normal; }
.code thead th, .at { color: var(--soft); }
.code thead th { padding: .4rem .7rem; } .code tbody { border-top: 1px solid var(--line); }
.code tbody th { border-left: 4px solid var(--of); max-width: 19rem; white-space: normal; }
";

/// The page of all that is told.
pub fn page(told: &Told) -> String {
    let title = told.functions.first().map_or("", |function| &function.prototype);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"data:,\">\n\
         <title>{}</title>\n<style>{STYLE}{PAGE}</style>\n</head>\n<body>\n<main>\n",
        escaped(title)
    );
    if let Some(remark) = &told.remark {
        page.push_str(&format!("<p class=\"note\">{}</p>\n", escaped(remark)));
    }
    if let Some(choice) = &told.choice {
        page.push_str(&section(choice));
    }
    for (number, one) in told.functions.iter().enumerate() {
        page.push_str(&article(number, one));
    }
    page + "</main>\n</body>\n</html>\n"
}

fn article(at: usize, Function { number, prototype, sections }: &Function) -> String {
    let mut html = match number {
        Some(number) => {
            format!("<article id=\"overload-{}\">\n<p class=\"number\">{number}</p>\n", at + 1)
        }
        None => "<article>\n".to_owned(),
    };
    html.push_str(&format!("<h1>{}</h1>\n", escaped(prototype)));
    // The prototype is the title.
    let shown = sections.iter().filter(|section| section.heading != "prototype");
    shown.for_each(|one| html.push_str(&section(one)));
    html + "</article>\n"
}

fn section(section: &Section) -> String {
    let mut html = format!("<section>\n<h2>{}</h2>\n", escaped(&section.heading));
    if !section.about.is_empty() {
        html.push_str(&format!("<p>{}</p>\n", escaped(section.about)));
    }
    for drawing in &section.drawings {
        html.push_str(&format!("<figure class=\"plot\">\n{drawing}</figure>\n"));
    }
    let text = anstream::adapter::strip_str(section.text.trim_end()).to_string();
    let text = match &section.table {
        Some(table) => format!("<div class=\"scroll\">\n{table}</div>\n"),
        None if text.is_empty() => String::new(),
        None => format!("<pre{}>{}</pre>\n", class(&section.heading), escaped(&text)),
    };
    let summary = if section.drawings.is_empty() { "show" } else { "as text" };
    match section.folded && !text.is_empty() {
        true => {
            html.push_str(&format!("<details>\n<summary>{summary}</summary>\n{text}</details>\n"))
        }
        false => html.push_str(&text),
    }
    html + "</section>\n"
}

fn class(heading: &str) -> &'static str {
    match heading {
        "error" => " class=\"error\"",
        "import" | "overloads" | "tiers" => " class=\"wrapped\"",
        _ => "",
    }
}
