//! Golden files: inputs and what the program made of them, side by side.
//!
//! A file in `tests/golden/DIR/` is text of this form. The first line says, in one sentence, what
//! to look for when the file changes.
//!
//! ```text
//! An unknown type offers the nearest name that exists.
//!
//! ---- input
//! int f(unit8_t x)
//! ---- expected
//! error: unknown type name `unit8_t`
//! ```
//!
//! Any number of inputs may follow one another. `BLESS=1 cargo test --release` writes what the
//! program says now into the files; read the diff before you commit it. Under continuous
//! integration (`CI` is set) nothing is ever blessed.
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

const INPUT: &str = "---- input";
const EXPECTED: &str = "---- expected";

/// Renders every input in `tests/golden/DIR` and compares. Returns how many there were, so that a
/// test can ask for a number that cannot shrink by accident.
pub fn golden(dir: &str, render: impl Fn(&str) -> String) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(dir);
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no golden files in {}", folder.display());
    let bless = std::env::var_os("BLESS").is_some();
    assert!(!(bless && std::env::var_os("CI").is_some()), "CI never blesses");
    let mut count = 0;
    let mut differences = String::new();
    for path in files {
        let text = fs::read_to_string(&path).expect("golden files are text");
        let file = File::parse(&path, &text);
        count += file.cases.len();
        let actual = file.render(&render);
        if actual == text {
            continue;
        }
        if bless {
            fs::write(&path, actual).expect("golden files can be written");
        } else {
            let _ = writeln!(differences, "{}:\n{}", path.display(), diff(&text, &actual));
        }
    }
    assert!(
        differences.is_empty(),
        "golden files differ (`BLESS=1 cargo test --release` rewrites them):\n{differences}"
    );
    count
}

/// A golden file.
struct File<'t> {
    sentence: &'t str,
    /// Inputs, each with its newline at the end.
    cases: Vec<String>,
}

impl<'t> File<'t> {
    fn parse(path: &Path, text: &'t str) -> Self {
        let mut lines = text.lines();
        let sentence = lines.next().unwrap_or_default();
        assert!(
            sentence.ends_with('.') && sentence.contains(' '),
            "{}: the first line has to be a sentence that says what to look for",
            path.display()
        );
        let mut cases: Vec<String> = Vec::new();
        let mut in_input = false;
        for line in lines {
            match line {
                INPUT => {
                    in_input = true;
                    cases.push(String::new());
                }
                EXPECTED => in_input = false,
                _ if in_input => {
                    let case = cases.last_mut().expect("inside an input");
                    case.push_str(line);
                    case.push('\n');
                }
                _ => {}
            }
        }
        assert!(!cases.is_empty(), "{}: no `{INPUT}`", path.display());
        File { sentence, cases }
    }

    fn render(&self, render: impl Fn(&str) -> String) -> String {
        let mut text = format!("{}\n", self.sentence);
        for case in &self.cases {
            // What is rendered sees the input without the newline that ends its last line.
            let input = case.strip_suffix('\n').unwrap_or(case);
            let output = render(input);
            let is_marker = |line: &str| line == INPUT || line == EXPECTED;
            assert!(!output.lines().any(is_marker), "a marker inside the output:\n{output}");
            let _ = write!(text, "\n{INPUT}\n{case}{EXPECTED}\n{}\n", output.trim_end());
        }
        text
    }
}

/// The lines that differ, with a few around them.
fn diff(expected: &str, actual: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), actual.lines().collect());
    let same_start = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let rest = old.len().min(new.len()) - same_start;
    let same_end =
        old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    let mut text = String::new();
    for line in &old[same_start.saturating_sub(3)..same_start] {
        let _ = writeln!(text, "  {line}");
    }
    for line in &old[same_start..old.len() - same_end] {
        let _ = writeln!(text, "- {line}");
    }
    for line in &new[same_start..new.len() - same_end] {
        let _ = writeln!(text, "+ {line}");
    }
    text
}
