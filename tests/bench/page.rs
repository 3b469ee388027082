//! The page, in a browser without a window. Nothing is installed here: `.ci/run` does that.
use crate::show::known;
use portcullis::bench::html;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// What the browser is asked, once the page is laid out: of each plot, how many marks and labels have a size and
/// are inside of the drawing; and whether dark ground is darker than what is written on it.
const QUESTIONS: &str = r#"<script>
addEventListener("load", () => {
  const says = [];
  for (const svg of document.querySelectorAll("figure.plot svg")) {
    const all = svg.getBoundingClientRect();
    const inside = (part) => {
      const box = part.getBoundingClientRect();
      return box.width + box.height > 0 && box.left >= all.left - 1 && box.right <= all.right + 1
        && box.top >= all.top - 1 && box.bottom <= all.bottom + 1;
    };
    const count = (kind) => {
      const parts = [...svg.querySelectorAll(kind)];
      return parts.filter(inside).length + "/" + parts.length;
    };
    says.push([svg.getAttribute("aria-label"), count(".mark"), count("text")].join("; "));
  }
  const narrowest = Math.min(...[...document.querySelectorAll("figure.plot svg")].map((svg) => svg.getBoundingClientRect().width));
  document.body.dataset.narrowest = Math.round(narrowest) + " of " + innerWidth;
  const light = (color) => color.match(/\d+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0);
  const body = getComputedStyle(document.body);
  const contrast = light(body.color) - light(body.backgroundColor);
  document.body.dataset.says = says.join(" | ");
  document.body.dataset.ground = contrast > 300 ? "dark" : contrast < -300 ? "light" : "no contrast";
});
</script>"#;

/// The browser, if there is one. In continuous integration there must be.
fn browser() -> Option<PathBuf> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|file| file.is_file());
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "continuous integration has a browser");
        println!("not looked at: there is no Chromium here");
    }
    found
}

/// The document as the browser has it at last, and what it has logged.
fn opened(browser: &PathBuf, page: &str, dark: bool) -> (String, String) {
    opened_in("1200,2000", browser, page, dark)
}

/// The same in a window of that size.
fn opened_in(size: &str, browser: &PathBuf, page: &str, dark: bool) -> (String, String) {
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("page.html");
    fs::write(&file, page).expect("a file");
    let mut command = Command::new(browser);
    command.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        "--dump-dom",
    ]);
    command.args([&*format!("--window-size={size}"), "--no-first-run"]);
    command.arg(format!("--user-data-dir={}", folder.path().join("profile").display()));
    if dark {
        command.args(["--force-dark-mode", "--blink-settings=preferredColorScheme=0"]);
    }
    let output = command.arg(format!("file://{}", file.display())).output().expect("it starts");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (text(output.stdout), text(output.stderr))
}

fn said<'d>(document: &'d str, name: &str) -> &'d str {
    let (_, rest) = document.split_once(&format!("data-{name}=\"")).expect("the page was laid out");
    rest.split('"').next().unwrap_or_default()
}

/// A drawing has at least so many marks and labels, and all are inside of it and have a size.
fn is_whole(plot: &[&str], marks: u32, labels: u32) {
    let [title, marks_found, labels_found] = plot[..] else { panic!("{plot:?}") };
    for (what, least, counted) in [("marks", marks, marks_found), ("labels", labels, labels_found)]
    {
        let (inside, all) = counted.split_once('/').expect("two numbers");
        assert_eq!(inside, all, "{title}: all {what} are inside of the drawing, and have a size");
        assert!(all.parse::<u32>().expect("a number") >= least, "{title}: {all} {what}");
    }
}

#[test]
fn drawings_of_explain_are_whole_too() {
    let Some(browser) = browser() else { return };
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("explain.html");
    let text = "double f(const struct stamp { long sec; int nsec; short a[6]; } *s, int a, double x, long b, \
                long c, long d, long e, char last)";
    let mut explain = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    let output = explain.args(["explain", text, "--html"]).arg(&file).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let page = fs::read_to_string(file).expect("it was written");
    let page = page.replace("</body>", &format!("{QUESTIONS}</body>"));
    let (document, log) = opened(&browser, &page, false);
    assert!(!log.contains("CONSOLE"), "{log}");
    let plots: Vec<Vec<&str>> =
        said(&document, "says").split(" | ").map(|plot| plot.split("; ").collect()).collect();
    assert_eq!(plots.len(), 2, "{plots:?}");
    // A struct: two sides with three fields each. Registers: a byte a mark.
    is_whole(&plots[0], 8, 11);
    is_whole(&plots[1], 8 * 8, 20);
    // Overloads: a page for all of them, with code in tables, on dark ground.
    let file = folder.path().join("overloads.html");
    let mut explain = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    let set = ["explain", "--grant", "sqlite3", "sqlite3_bind_text", "--html"];
    let output = explain.args(set).arg(&file).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let page = fs::read_to_string(file).expect("it was written");
    let page = page.replace("</body>", &format!("{QUESTIONS}</body>"));
    let (document, log) = opened(&browser, &page, true);
    assert!(!log.contains("CONSOLE"), "{log}");
    assert_eq!(said(&document, "ground"), "dark");
    assert_eq!(
        document.matches("<table class=\"code\">").count(),
        5,
        "the choice, and two codes each"
    );
}

#[test]
fn the_page_opens_without_errors_and_its_plots_have_marks_and_labels() {
    let Some(browser) = browser() else { return };
    // What is looked for is found where it is.
    let broken = "<!DOCTYPE html><script>console.error('something is wrong')</script>";
    let (_, log) = opened(&browser, broken, false);
    assert!(log.contains("CONSOLE") && log.contains("something is wrong"), "{log}");

    let page = html::page(&known()).replace("</body>", &format!("{QUESTIONS}</body>"));
    let (document, log) = opened(&browser, &page, false);
    assert!(!log.contains("CONSOLE"), "{log}");
    let plots: Vec<Vec<&str>> =
        said(&document, "says").split(" | ").map(|plot| plot.split("; ").collect()).collect();
    assert_eq!(plots.len(), 4, "{plots:?}");
    plots.iter().for_each(|plot| is_whole(plot, 6, 8));
    assert_eq!(said(&document, "ground"), "light");
    // A table beside each plot, and nothing of the guest's or user's text is markup.
    assert!(document.matches("<table>").count() >= plots.len());
    assert!(document.contains("too &lt;many&gt; arguments"), "text is escaped");

    let (document, log) = opened(&browser, &page, true);
    assert!(!log.contains("CONSOLE"), "{log}");
    assert_eq!(said(&document, "ground"), "dark");

    // On a small screen plots stay as large as their words must be, and are moved.
    let (document, _) = opened_in("420,900", &browser, &page, false);
    let (narrowest, of) = said(&document, "narrowest").split_once(" of ").expect("two numbers");
    let number = |text: &str| text.parse::<u32>().expect("a number");
    assert_eq!(number(narrowest), 720, "45 rem");
    assert!(number(of) < 720, "the window is smaller: {of}");
}

#[test]
fn the_page_needs_nothing_else() {
    let page = html::page(&known());
    for what in ["<script", "src=", "@import", "url(", "<link rel=\"stylesheet\"", "href=\"http"] {
        assert!(!page.contains(what), "{what}");
    }
    let elsewhere =
        page.matches("http").count() - page.matches("http://www.w3.org/2000/svg").count();
    assert_eq!(elsewhere, 0, "no address but the name of SVG");
}
