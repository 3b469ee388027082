//! Tables, files and pages that are made of a run.
use portcullis::bench::model::{FirstCode, Measured, Pays, Run};
use portcullis::bench::statistics::Interval;
use portcullis::bench::{document, html, text};
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
    assert_eq!(even.rows[1][3..], ["100", "5,556 [5,556, 5,556]"]);
    let splits = text::splits(&run);
    let direct = splits.rows.iter().find(|row| row[0].starts_with("buffer") && row[1] == "direct");
    assert_eq!(direct.expect("there is one")[2..], ["4.00", "1.00", "3.00", "0.00", "25"]);
}

/// The row of that name, to be changed.
fn row<'r>(run: &'r mut Run, id: &str) -> &'r mut Measured {
    run.rows.iter_mut().find(|row| row.id == id).expect("it was measured")
}

/// Gives a contender these times.
fn takes(row: &mut Measured, name: &str, ns: [f64; 3]) {
    let times = row.contenders.iter_mut().find(|times| times.name == name);
    times.expect("it was measured").ns = ns.to_vec();
}

#[test]
fn the_call_itself_is_one_figure_a_tier() {
    let mut run = known();
    // The call with arguments is the cheaper one, by more than what C does for it.
    takes(row(&mut run, "ints8"), "interpreter", [12.5; 3]);
    let split = |run: &Run, id: &str, name: &str| {
        let row = run.rows.iter().find(|row| row.id == id).expect("it was measured");
        run.split(row, name)
    };
    for (id, rest) in [("ints0", Some(8.0)), ("ints8", Some(0.0)), ("buffer", Some(9.0))] {
        let found = split(&run, id, "interpreter").expect("there are calls of ints");
        assert_eq!((found.call, found.marshalling()), (12.0, rest), "{id}");
        assert!((found.shares().iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }
    // Less than native work and call together: the figure stays, the shares are cut.
    takes(row(&mut run, "buffer"), "interpreter", [4.0; 3]);
    let found = split(&run, "buffer", "interpreter").expect("likewise");
    assert_eq!((found.native, found.call, found.marshalling()), (1.0, 12.0, None));
    assert_eq!(found.shares(), [0.25, 0.75, 0.0]);
    let splits = text::splits(&run);
    let line = splits.rows.iter().find(|row| row[0].starts_with("buffer")).expect("it is there");
    assert_eq!(line[2..], ["4.00", "1.00", "12.0", "none left", "25"]);
    // Functions of the guest are neither call nor arguments.
    assert_eq!(text::not_split(&run), None);
    row(&mut run, "buffer").prototype = "int apply(int (*f)(int), int x)".to_owned();
    assert_eq!(split(&run, "buffer", "interpreter"), None);
    assert!(!text::splits(&run).rows.iter().any(|row| row[0].starts_with("buffer")));
    let says = text::not_split(&run).expect("it is told");
    assert!(says.starts_with("Not in parts: buffer of 64 B. They call back"), "{says}");
    assert!(html::page(&run).contains("Not in parts: buffer of 64 B."));
}

#[test]
fn code_pays_where_the_difference_is_clear() {
    let mut run = known();
    let pays = |run: &mut Run, direct: [f64; 3]| {
        takes(row(run, "buffer"), "direct", direct);
        row(run, "buffer").pays("direct", "interpreter").expect("both were measured")
    };
    // All rounds say that it is faster, by 1 %: that may lie in where the data are.
    assert_eq!(pays(&mut run, [21.7, 21.75, 21.8]), Pays::Undecided);
    assert_eq!(pays(&mut run, [22.3; 3]), Pays::Undecided);
    assert_eq!(pays(&mut run, [23.0; 3]), Pays::Never);
    // One round in three: no interval excludes 1.
    assert_eq!(pays(&mut run, [2.0, 12.0, 23.0]), Pays::Undecided);
    // 100 µs of code; 20, 16 and 10 ns saved.
    let calls = Interval { low: 5000.0, median: 6250.0, high: 10_000.0 };
    assert_eq!(pays(&mut run, [2.0, 6.0, 12.0]), Pays::From(calls));
    assert_eq!(text::break_even(&run).rows[1][4], "6,250 [5,000, 10,000]");
    assert!(text::break_even(&run).heads[3].contains("warm"));
    assert!(!text::on_break_even(&run).contains("The first function of a program"));
    run.first_code =
        Some(FirstCode { tier: "direct".to_owned(), title: "int f(void)".to_owned(), us: 310.0 });
    for text in [text::show(&run), html::page(&run)] {
        assert!(text.contains("The first function of a program: 310 µs"), "{text}");
    }
    // It is kept, and files without it are read: those of older programs.
    let json = serde_json::to_string(&run).expect("it can be written");
    assert_eq!(serde_json::from_str::<Run>(&json).expect("and read"), run);
    assert!(!serde_json::to_string(&known()).expect("likewise").contains("first_code"));
}

#[test]
fn what_is_faster_than_c_is_told_with_the_reason() {
    let mut run = known();
    assert_eq!(text::below_c(&run), None);
    takes(row(&mut run, "ints0"), "direct", [0.63; 3]);
    let says = text::below_c(&run).expect("it is told");
    assert!(says.contains("(int f(void), direct: 0.63 × C)"), "{says}");
    assert!(!says.contains("far from"), "{says}");
    row(&mut run, "ints0").group = "your own".to_owned();
    let says = text::below_c(&run).expect("it is told");
    assert!(says.contains("in the program's text besides, far from the library"), "{says}");
    assert!(text::show(&run).contains(&says) && html::page(&run).contains("far from the library"));
    // As fast as C, for all that can be said.
    takes(row(&mut run, "ints0"), "direct", [0.99; 3]);
    assert_eq!(text::below_c(&run), None);
}

#[test]
fn warnings_of_the_machine_come_first_and_spreads_are_summed_up() {
    let mut run = known();
    let quiet = run.weaknesses();
    assert_eq!(quiet[0], "other programs are running (load 3)");
    run.warnings.extend((0..20).map(|core| format!("something is wrong with core {core}")));
    // As older programs have written it.
    run.warnings.insert(
        1,
        "x, C: the middle half of the rounds spreads over 46 % of the median".to_owned(),
    );
    takes(row(&mut run, "ints0"), "direct", [2.0, 4.0, 8.0]);
    let ns = &mut row(&mut run, "ints0").contenders[3].ns;
    *ns = vec![1.0, 2.0, 4.0, 6.0, 8.0];
    let said = run.weaknesses();
    assert_eq!(said.len(), 1 + 20 + 1, "{said:?}");
    let spread = &said[21];
    assert!(
        spread.contains(" of 12 figures") && spread.contains("int f(void), direct: 100 %"),
        "{spread}"
    );
    let page = html::page(&run);
    let document = document::document("<!-- bench: machine -->\n<!-- end -->", &run)
        .expect("it has its markers");
    for warning in &said {
        assert!(page.contains(&format!("<li>{warning}</li>")), "{warning}");
        assert!(document.contains(&format!("- {warning}\n")), "{warning}");
    }
}

#[test]
fn narrow_terminals_have_narrow_tables() {
    let mut run = known();
    row(&mut run, "buffer").title = "struct by pointer, the same bytes on both sides".to_owned();
    assert!(
        text::show(&run).lines().any(|line| line.chars().count() > 80),
        "there is something to do"
    );
    for width in [60, 80, 100] {
        let text = text::show_in(&run, Some(width));
        for line in text.lines() {
            assert!(line.chars().count() <= width, "{width}: {line}");
        }
        assert!(
            text.contains("5,556 [5,556, 5,556]") && text.contains("2.00 [2.00, 4.00]"),
            "{text}"
        );
    }
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
