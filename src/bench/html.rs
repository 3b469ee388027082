//! A run as one page that needs nothing else: plots, and the table of each beside it.
use super::model::Run;
use super::plots::plots;
use super::statistics::digits;
use super::svg::{STYLE, escaped};
use super::text::{self, Grid};
use std::fmt::Write as _;

const PAGE: &str = "
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 72rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .5rem; } h2 { font-size: 1.3rem; margin: 3rem 0 .5rem; }
p, dl { max-width: 46rem; } .soft { color: var(--soft); }
figure { margin: 1rem 0; } figure svg { width: 100%; min-width: 45rem; height: auto; display: block; }
figcaption { color: var(--soft); font-size: .9rem; max-width: 46rem; margin-top: .5rem; }
details { margin: .75rem 0; } summary { cursor: pointer; font-weight: 600; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: .875rem; margin: .5rem 0; }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap;
  font-variant-numeric: tabular-nums; } th:first-child, td:first-child { text-align: left; white-space: normal; }
tbody tr:hover { background: var(--faint); } caption { text-align: left; color: var(--soft); padding-bottom: .3rem; }
.warn { border-left: 4px solid var(--c5); padding: .1rem 1rem; background: var(--faint); margin: 1.5rem 0; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; font-size: .9rem; }
dt { color: var(--soft); } dd { margin: 0; } .facts { display: flex; flex-wrap: wrap; gap: 1rem; margin: 1.5rem 0; }
.fact { flex: 1 1 11rem; border: 1px solid var(--line); border-radius: .5rem; padding: .7rem 1rem; }
.fact b { display: block; font-size: 1.5rem; line-height: 1.3; } .fact span { color: var(--soft); font-size: .875rem; }
code { font-size: .9em; }
";

/// The page.
#[must_use]
pub fn page(run: &Run) -> String {
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"data:,\">\n\
         <title>Portcullis: what calls cost</title>\n<style>{STYLE}{PAGE}</style>\n</head>\n<body>\n<main>\n\
         <h1>What calls from WebAssembly into C cost</h1>\n"
    );
    let _ = writeln!(
        page,
        "<p>The same C functions, called by C and by WebAssembly guests, in every way that <code>portcullis</code> \
         has and through a host function that was written by hand. Times are nanoseconds a call, net of the loop \
         around it, on one core, all contenders in turns.</p>"
    );
    facts(&mut page, run);
    warnings(&mut page, run);
    for plot in plots(run) {
        let (id, title, caption) = (plot.id, plot.title, escaped(&plot.caption));
        let drawing = plot.inline();
        let _ = writeln!(
            page,
            "<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{title}</h2>\n<figure class=\"plot\">\n\
             <div class=\"scroll\">\n{drawing}</div>\n<figcaption>{caption}</figcaption>\n</figure>"
        );
        match id {
            "costs" => {
                table(&mut page, &text::costs(run), true);
                table(&mut page, &text::ratios(run), true);
                if let Some(note) = text::below_c(run) {
                    let _ = writeln!(page, "<p class=\"soft\">{}</p>", escaped(&note));
                }
            }
            "split" => table(&mut page, &text::splits(run), false),
            "break-even" => table(&mut page, &text::break_even(run), true),
            _ => table(&mut page, &text::arguments(run), true),
        }
        page.push_str("</section>\n");
    }
    absent(&mut page, run);
    how(&mut page, run);
    page + "</main>\n</body>\n</html>\n"
}

/// What the run says in a few words: each is a comparison of two contenders.
fn facts(page: &mut String, run: &Run) {
    let mut found = Vec::new();
    let row = |id: &str| run.rows.iter().find(|row| row.id == id);
    for (id, name, to, what) in [
        ("ints2", "direct", "C", "C’s time for <code>int f(int, int)</code>, called directly"),
        ("buffer", "direct", "C", "C’s time for a checked buffer, called directly"),
        (
            "ints2",
            "direct",
            "wrap",
            "the time of hand-written glue for <code>int f(int, int)</code>, called directly",
        ),
        (
            "buffer",
            "interpreter",
            "wrap",
            "the time of hand-written glue for a checked buffer, interpreted",
        ),
    ] {
        if let Some(ratio) = row(id).and_then(|row| row.ratio(name, to)) {
            found.push(format!(
                "<div class=\"fact\"><b>{} ×</b><span>{what}</span></div>",
                digits(ratio.median)
            ));
        }
    }
    if !found.is_empty() {
        let _ = writeln!(page, "<div class=\"facts\">{}</div>", found.join("\n"));
    }
}

fn warnings(page: &mut String, run: &Run) {
    let weaknesses = run.weaknesses();
    if weaknesses.is_empty() {
        return;
    }
    let _ = writeln!(
        page,
        "<div class=\"warn\" role=\"note\"><p><b>What makes these numbers weak</b></p><ul>"
    );
    for warning in &weaknesses {
        let _ = writeln!(page, "<li>{}</li>", escaped(warning));
    }
    page.push_str("</ul></div>\n");
}

fn table(page: &mut String, grid: &Grid, open: bool) {
    if grid.rows.is_empty() {
        return;
    }
    let title = escaped(&grid.title);
    let open = if open { " open" } else { "" };
    let _ = writeln!(
        page,
        "<details{open}><summary>{title}</summary><div class=\"scroll\"><table>\n<thead><tr>"
    );
    for head in &grid.heads {
        let _ = write!(page, "<th scope=\"col\">{}</th>", escaped(head));
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for row in &grid.rows {
        page.push_str("<tr>");
        for (column, cell) in row.iter().enumerate() {
            let cell = escaped(cell);
            let _ = match column {
                0 => write!(page, "<th scope=\"row\">{cell}</th>"),
                _ => write!(page, "<td>{cell}</td>"),
            };
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody></table></div></details>\n");
}

fn absent(page: &mut String, run: &Run) {
    let rows: Vec<Vec<String>> = run
        .rows
        .iter()
        .flat_map(|row| {
            row.absent.iter().map(|absent| {
                let why = absent.reason();
                vec![row.title.clone(), absent.name.clone(), why]
            })
        })
        .collect();
    if !rows.is_empty() {
        let heads = ["function", "contender", "why not"].map(str::to_owned).to_vec();
        page.push_str(
            "<section aria-labelledby=\"absent\"><h2 id=\"absent\">What is not possible</h2>\n",
        );
        table(
            page,
            &Grid { title: "Functions that a contender does not take".to_owned(), heads, rows },
            false,
        );
        page.push_str("</section>\n");
    }
}

fn how(page: &mut String, run: &Run) {
    let _ = writeln!(
        page,
        "<section aria-labelledby=\"how\"><h2 id=\"how\">How it was measured</h2>\n\
         <p>C is a loop that calls through a volatile function pointer. <b>wrap</b> is wasmtime’s \
         <code>Func::wrap</code>, written by hand for each function, with memory and callbacks cached. The tiers are those of \
         <code>portcullis run --tier</code>. In each round every contender runs once, in an order that changes; a \
         figure is the median over all rounds, a comparison the median of what the rounds say, with its 95 % \
         interval.</p>\n<dl><dt>machine</dt><dd>{}</dd><dt>command</dt><dd><code>{}</code></dd></dl></section>",
        escaped(&text::machine(run)),
        escaped(&run.command.join(" ")),
    );
}
