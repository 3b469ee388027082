//! Tables, files and pages that are made of a run.
use portcullis::bench::model::Run;
use portcullis::bench::{document, text};
use std::fs;
use std::path::Path;

/// A run whose numbers are known.
pub fn known() -> Run {
    serde_json::from_str(include_str!("known.json")).expect("it is of this schema")
}

#[test]
fn tables_have_units_and_the_medians_of_raw_data() {
    let run = known();
    let costs = text::costs(&run);
    assert!(costs.heads[1..].iter().all(|head| head.ends_with(", ns")), "{:?}", costs.heads);
    assert_eq!(costs.rows[0], ["int f(void)", "1.00 ±0%", "6.00 ±0%", "20.0 ±0%", "3.00 ±0%"]);
    // 7, 8 and 9.
    assert_eq!(costs.rows[1][2], "8.00 ±12%");
    let ratios = text::ratios(&run);
    assert_eq!(ratios.rows[1][3], "2.00 [2.00, 4.00]");
    let even = text::break_even(&run);
    // 100 µs of code, 18 ns saved a call.
    assert_eq!(even.rows[1][3..], ["100", "5,556"]);
    let splits = text::splits(&run);
    let direct = splits.rows.iter().find(|row| row[0].starts_with("buffer") && row[1] == "direct");
    assert_eq!(direct.expect("there is one")[2..], ["1.00", "3.00", "0.00", "25"]);
}

#[test]
fn raw_data_are_kept() {
    let run = known();
    let csv = text::csv(&run);
    assert!(csv.starts_with("function,contender,round,ns_per_call\nints0,C,0,1\n"), "{csv}");
    assert_eq!(csv.lines().count(), 1 + 3 * 12);
    let json = serde_json::to_string(&run).expect("it can be written");
    assert_eq!(serde_json::from_str::<Run>(&json).expect("and read"), run);
}

#[test]
fn markers_are_filled_and_text_stays() {
    let run = known();
    let text = "a\n<!-- bench: costs -->\nold\n<!-- end -->\nb\n";
    let made = document::document(text, &run).expect("it has its markers");
    assert!(made.starts_with("a\n<!-- bench: costs -->\n\n| function | C, ns |"), "{made}");
    assert!(made.ends_with("\n<!-- end -->\nb\n") && !made.contains("old"), "{made}");
    assert_eq!(document::document(&made, &run).as_deref(), Ok(&*made), "once is enough");
    for wrong in ["<!-- bench: costs -->", "<!-- bench: nothing -->\n<!-- end -->", "<!-- bench: "]
    {
        assert!(document::document(wrong, &run).is_err(), "{wrong}");
    }
}

#[test]
fn the_published_comparison_is_what_its_raw_data_say() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let read =
        |name: &str| fs::read_to_string(docs.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    let run: Run = serde_json::from_str(&read("comparison/raw.json")).expect("it is of the schema");
    let page = read("comparison.md");
    let again = "`cargo bench --bench comparison` writes it";
    assert!(
        document::document(&page, &run).as_deref() == Ok(&*page),
        "docs/comparison.md: {again}"
    );
    for (name, drawing) in document::drawings(&run) {
        assert!(page.contains(&format!("(comparison/{name})")), "{name} is not shown");
        assert!(read(&format!("comparison/{name}")) == drawing, "{name}: {again}");
    }
    for name in ["C", "wrap", "libffi", "interpreter", "template", "cranelift", "direct"] {
        assert!(run.names().contains(&name), "{name} was not measured");
    }
    assert!(run.rounds >= 101 && run.listed().count() >= 17, "it is a full run");
}
