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
";

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
            for drawing in &section.drawings {
                page.push_str(&format!("<figure class=\"plot\">\n{drawing}</figure>\n"));
            }
            let text = anstream::adapter::strip_str(section.text.trim_end()).to_string();
            if !text.is_empty() {
                let class = if section.heading == "error" { " class=\"error\"" } else { "" };
                page.push_str(&format!("<pre{class}>{}</pre>\n", escaped(&text)));
            }
            page.push_str("</section>\n");
        }
        page.push_str("</article>\n");
    }
    page + "</main>\n</body>\n</html>\n"
}
