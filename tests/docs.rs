//! The documents must stay true: every path that they name exists, every test that they cite
//! exists, and what they show of golden files is what these files say.
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The repository's own Markdown files: at the top, in docs/ and beside the guests.
fn documents() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for folder in [root(), root().join("docs")] {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for entry in entries {
            let path = entry.expect("the folder can be read").path();
            if path.extension().is_some_and(|extension| extension == "md") {
                let text = fs::read_to_string(&path).expect("a document is text");
                found.push((path, text));
            }
        }
    }
    assert!(found.len() >= 3, "README, ARCHITECTURE and CHANGELOG at least");
    found
}

/// What stands between backticks, outside of fenced blocks.
fn code_spans(text: &str) -> Vec<&str> {
    let mut spans = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            spans.extend(line.split('`').skip(1).step_by(2));
        }
    }
    spans
}

#[test]
fn every_path_that_a_document_names_exists() {
    let tops = ["src/", "tests/", "benches/", "interfaces/", "guest-examples/", "docs/", ".ci/"];
    let mut seen = 0;
    for (document, text) in documents() {
        for span in code_spans(&text) {
            let is_path = tops.iter().any(|top| span.starts_with(top))
                && !span.contains(|c: char| c.is_whitespace() || "*<>{}".contains(c))
                && !span.contains("NAME");
            if is_path {
                seen += 1;
                let exists = root().join(span).exists();
                assert!(exists, "{} names {span}, which is not there", document.display());
            }
        }
    }
    assert!(seen >= 20, "only {seen} paths were found: has the way of writing them changed?");
}

/// All Rust sources of library and tests, as one text.
fn sources(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push_str(&fs::read_to_string(&path).expect("a source is text"));
        }
    }
}

#[test]
fn every_test_that_guards_a_trust_rule_exists() {
    let mut all = String::new();
    sources(&root().join("src"), &mut all);
    sources(&root().join("tests"), &mut all);
    for (document, section, at_least) in
        [("ARCHITECTURE.md", "## Trust", 200), ("SECURITY.md", "## What is promised", 40)]
    {
        let text = fs::read_to_string(root().join(document)).expect("it is there");
        let (_, trust) =
            text.split_once(section).unwrap_or_else(|| panic!("{document}: {section}"));
        let trust = trust.split("\n## ").next().unwrap_or(trust);
        let mut seen = 0;
        for row in trust.lines().filter(|line| line.starts_with('|')).skip(2) {
            let guards = row.trim_end_matches('|').rsplit('|').next().unwrap_or_default();
            let names: Vec<&str> = code_spans(guards);
            assert!(!names.is_empty(), "{document}: no test guards: {row}");
            for name in names {
                seen += 1;
                assert!(is_test(&all, name), "{document}: there is no test `{name}`");
            }
        }
        assert!(seen >= at_least, "{document}: only {seen} tests are named");
    }
}

/// Whether there is a test of that name: its attributes are in the same paragraph.
fn is_test(all: &str, name: &str) -> bool {
    let function = format!("fn {name}(");
    all.match_indices(&function).any(|(at, _)| {
        let before = all[..at].rsplit("\n\n").next().unwrap_or_default();
        before.contains("#[test]")
    })
}

#[test]
fn what_documents_show_of_golden_files_is_what_these_say() {
    let mut seen = 0;
    for (document, text) in documents() {
        let mut rest = text.as_str();
        while let Some((_, after)) = rest.split_once("<!-- golden: ") {
            let (path, after) = after.split_once(" -->").expect("the comment ends");
            let block = after.trim_start().strip_prefix("```").expect("a fenced block follows");
            let (_, block) = block.split_once('\n').expect("the fence is a line");
            let (shown, after) = block.split_once("\n```").expect("the block ends");
            let golden = fs::read_to_string(root().join(path)).expect("the golden file is there");
            assert!(
                golden.contains(shown),
                "{} shows something else than {path}:\n{shown}",
                document.display()
            );
            seen += 1;
            rest = after;
        }
    }
    assert!(seen >= 3, "only {seen} golden texts are shown");
}

/// What plans cannot do is refused for good, with what to do instead: no text promises it.
#[test]
fn nothing_is_left_for_later() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut next: Vec<_> = ["src", "interfaces", "tests/golden"].map(|name| root.join(name)).into();
    next.extend(["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(|name| root.join(name)));
    let mut read = 0;
    while let Some(path) = next.pop() {
        if path.is_dir() {
            let entries = std::fs::read_dir(&path).expect("a folder");
            next.extend(entries.map(|entry| entry.expect("an entry").path()));
            continue;
        }
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        read += 1;
        assert!(!text.contains("not supported yet"), "{}", path.display());
    }
    assert!(read > 200, "only {read} files");
}
