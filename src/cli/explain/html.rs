//! What is explained as one page to share.
use super::Section;
use portcullis::bench::svg::{STYLE, escaped};

const PAGE: &str = "
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font: 600 1.25rem/1.4 ui-monospace, monospace; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 2.2rem 0 .4rem; }
pre { background: var(--faint); padding: .8rem 1rem; border-radius: .4rem; overflow-x: auto; font: 13px/1.45 ui-monospace, monospace; }
figure { margin: .5rem 0; overflow-x: auto; } .error { border-left: 4px solid var(--c5); }
.wrapped { white-space: pre-wrap; overflow-wrap: anywhere; } p { max-width: 46rem; margin: .3rem 0; color: var(--soft); }
summary { cursor: pointer; color: var(--soft); } details pre { margin-top: .4rem; }
";

/// What a part is, for whoever sees it for the first time.
fn about(heading: &str) -> &'static str {
    match heading {
        "prototype" => "What is granted: a C prototype, with annotations that say what C does not.",
        "types" => "How large each type is in the guest and here: what differs is converted.",
        "wasm type" => "The type of the function that the guest imports.",
        "assignment" => "Where the C ABI of this machine wants each argument, and has the result.",
        "registers and stack, a letter a byte" => {
            "The same as a picture: which bytes of which register or stack slot are whose."
        }
        "plan" => {
            "The steps of a call. What stands before the call decodes and checks; it has no effect if a check fails. What \
             stands behind it checks what native code has left, and writes it back last of all."
        }
        clif if clif.starts_with("CLIF") => {
            "The plan as Cranelift's intermediate code, from which machine code is made when the function is called often."
        }
        code if code.starts_with("machine code") => "The machine code itself.",
        _ => "",
    }
}

/// The page of so many functions, each with its title and its parts.
pub fn page(functions: &[(String, Vec<Section>)]) -> String {
    let title = functions.first().map_or("", |(title, _)| title);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"data:,\">\n\
         <title>{}</title>\n<style>{STYLE}{PAGE}</style>\n</head>\n<body>\n<main>\n",
        escaped(title)
    );
    for (title, sections) in functions {
        page.push_str(&format!("<article>\n<h1>{}</h1>\n", escaped(title)));
        for section in sections {
            page.push_str(&format!("<section>\n<h2>{}</h2>\n", escaped(&section.heading)));
            let about = about(&section.heading);
            if !about.is_empty() {
                page.push_str(&format!("<p>{}</p>\n", escaped(about)));
            }
            for drawing in &section.drawings {
                page.push_str(&format!("<figure class=\"plot\">\n{drawing}</figure>\n"));
            }
            let text = anstream::adapter::strip_str(section.text.trim_end()).to_string();
            if !text.is_empty() {
                let class = match &*section.heading {
                    "error" => " class=\"error\"",
                    "prototype" => " class=\"wrapped\"",
                    _ => "",
                };
                let text = format!("<pre{class}>{}</pre>\n", escaped(&text));
                match folded(section) {
                    Some(summary) => page.push_str(&format!(
                        "<details>\n<summary>{summary}</summary>\n{text}</details>\n"
                    )),
                    None => page.push_str(&text),
                }
            }
            page.push_str("</section>\n");
        }
        page.push_str("</article>\n");
    }
    page + "</main>\n</body>\n</html>\n"
}

/// What stands on a text that is opened by whoever wants it.
fn folded(section: &Section) -> Option<&'static str> {
    if !section.drawings.is_empty() && section.heading.starts_with("registers") {
        return Some("as text");
    }
    let is_code = |word: &str| section.heading.starts_with(word);
    (is_code("CLIF") || is_code("machine code")).then_some("show")
}
