//! What is shown of a profile: the report, stacks, JSON and the verdict, of profiles that are made up.
//!
//! The report is compared with `tests/golden/profile/report.txt`; `BLESS=1` rewrites it.
use portcullis::profile::{Costs, Import, Part, Profile, Running, SCHEMA, Ways, folded, text};
use std::fs;
use std::path::PathBuf;

const MS: f64 = 1e6;

fn costs() -> Costs {
    Costs {
        transition: 4.0,
        entry: 1.0,
        callback: 9.0,
        timed: 40.0,
        counted: 12.0,
        usual_timed: 60.0,
        usual_counted: 14.0,
        guest: 20.0,
        guest_counted: 4.0,
        floor: 3.0,
        floor_back: 30.0,
        floor_callback: 10.0,
        floor_tier: "direct".to_owned(),
        spread: 0.5,
    }
}

fn part(name: &str, time: f64) -> Part {
    Part { name: name.to_owned(), time }
}

/// A guest that is in SQLite nearly all of the time.
fn planted() -> Profile {
    let step = Import {
        name: "sqlite3.sqlite3_step".to_owned(),
        library: Some(PathBuf::from("/usr/lib/libsqlite3.so.0.8.6")),
        calls: 20_000,
        timed: 20_000,
        native: 970.0 * MS,
        marshalling: 1.9 * MS,
        transition: 0.1 * MS,
        callbacks: 12,
        called_back: 0.5 * MS,
        fastest: Some("cranelift".to_owned()),
        why_no_faster: Some("a function that may call back".to_owned()),
        compiling: Some(0.22 * MS),
        ..Import::default()
    };
    let text = Import {
        name: "sqlite3.sqlite3_column_text".to_owned(),
        library: step.library.clone(),
        calls: 1234,
        timed: 1234,
        native: 1.0 * MS,
        marshalling: 2.0 * MS,
        transition: 0.01 * MS,
        allocator: 0.4 * MS,
        allocations: 1234,
        copied: 1_234_567,
        fastest: Some("direct".to_owned()),
        compiling: Some(0.4 * MS),
        ..Import::default()
    };
    let unused = Import { name: "sqlite3.sqlite3_errmsg".to_owned(), ..Import::default() };
    let mut profile = Profile {
        guest: "sqlite.wasm".to_owned(),
        schema: SCHEMA,
        tier: "interpreter".to_owned(),
        ways: Ways::default(),
        clock: "a planted clock".to_owned(),
        wall: 1000.0 * MS,
        error: 0.02 * MS,
        every: 1,
        every_callback: 1,
        phases: vec![
            part("compiling the guest", 12.0 * MS),
            part("linking and starting it", 2.0 * MS),
            part("the guest", 9.24 * MS),
        ],
        imports: vec![step, text, unused],
        profiling: 0.85 * MS,
        waiting: 0.0,
        running: Vec::new(),
        costs: costs(),
        verdict: Vec::new(),
    };
    profile.judge();
    profile
}

#[test]
fn the_report_is_as_it_was() {
    let profile = planted();
    assert!((profile.sum() - profile.wall).abs() <= profile.error, "the example adds up");
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/profile/report.txt");
    let first =
        "Look for: columns in line, sums that add up, a verdict that the figures bear out.\n\n";
    let report = format!("{first}{}", text::report(&profile));
    if std::env::var_os("BLESS").is_some() {
        fs::create_dir_all(path.parent().expect("a folder")).expect("it can be made");
        fs::write(&path, &report).expect("it can be written");
    }
    let expected = fs::read_to_string(&path).expect("it was blessed");
    assert_eq!(report, expected);
}

#[test]
fn the_verdict_says_where_the_time_is_and_what_is_to_be_gained() {
    let verdict = planted().verdict;
    assert_eq!(
        verdict,
        [
            "99 % of the time is inside libsqlite3",
            "making the calls takes 0.4 %: a faster tier would save at most 0.4 %"
        ]
    );
}

#[test]
fn calls_that_are_the_bottleneck_are_named() {
    let mut profile = planted();
    let name = "libm.so.6.cos".to_owned();
    let (calls, native) = (10_000_000, 50.0 * MS);
    let cos = Import { name, calls, native, marshalling: 300.0 * MS, ..Import::default() };
    profile.imports = vec![Import { transition: 40.0 * MS, ..cos }];
    profile.phases = vec![part("the guest", 610.0 * MS)];
    profile.profiling = 0.0;
    profile.judge();
    assert_eq!(
        profile.verdict,
        [
            "61 % of the time is in the guest's own code and what it does through WASI; 34 % is in making \
             calls",
            "making the calls takes 34 %: a faster tier would save at most 31 %, 100 % of that in libm.so.6.cos \
             (10,000,000 calls, 34.0 ns each beside what native code does)",
        ]
    );
    // The same of a handful of calls says little of a tier.
    assert!(!profile.verdict[1].contains("first calls"));
    profile.imports[0].calls = 7;
    profile.judge();
    assert!(profile.verdict[1].ends_with("mostly what first calls cost, in every tier"));
    profile.imports[0].calls = calls;
    // A call that costs no more than the least cannot be made faster.
    profile.costs.floor = 34.0;
    profile.judge();
    assert!(profile.verdict[1].contains("would save 0 %"), "{:?}", profile.verdict);
}

#[test]
fn where_the_error_is_large_nothing_is_said_of_the_parts() {
    let mut profile = planted();
    for (error, said) in [
        (300.0 * MS, "by 300 ms of 985 ms."),
        (1000.0 * MS, "by all of the 985 ms that they take."),
    ] {
        profile.error = error;
        profile.judge();
        let [only] = profile.verdict.as_slice() else { panic!("{:?}", profile.verdict) };
        assert!(only.contains("cannot be said of this run") && only.contains(said), "{only}");
    }
}

#[test]
fn a_long_start_is_told_and_left_out() {
    let mut profile = planted();
    profile.phases[0].time = 5000.0 * MS;
    profile.wall = 5988.0 * MS;
    profile.judge();
    assert_eq!(
        profile.verdict,
        [
            "99 % of the time after the start is inside libsqlite3",
            "starting the guest took longer than running it, 5.00 s and 985 ms: `portcullis compile` does most of that \
             ahead of time",
            "making the calls takes 0.4 %: a faster tier would save at most 0.4 %"
        ]
    );
}

#[test]
fn who_has_compiled_a_guest_is_not_told_to() {
    let mut profile = planted();
    profile.phases[0].time = 5000.0 * MS;
    profile.wall = 5988.0 * MS;
    let ways = Ways { precompiled: true, ..Ways::default() };
    let profile = profile.with(ways);
    assert_eq!(
        profile.verdict[1],
        "starting the guest took longer than running it, 5.00 s and 985 ms"
    );
}

#[test]
fn what_is_to_be_gained_depends_on_what_is_allowed() {
    let mut profile = planted();
    profile.imports[0].marshalling = 300.0 * MS;
    let said = |profile: &Profile, ways: Ways| {
        let profile = profile.clone().with(ways);
        profile.verdict.iter().find(|said| said.starts_with("making")).expect("it is said").clone()
    };
    let up_to = |most: &str| Ways { most: most.to_owned(), ..Ways::default() };
    for (ways, expected) in [
        (Ways::default(), ": a faster tier would save at most 31 %, "),
        (up_to("template"), ": a tier up to `--tier template` would save at most 31 %, "),
        (
            up_to("interpreter"),
            ": `--tier interpreter` allows no faster way; without it one would save at most 31 %, ",
        ),
    ] {
        let said = said(&profile, ways);
        assert!(said.contains(expected), "{said}");
    }
    let guarded = said(&profile, Ways { guarded: true, ..Ways::default() });
    assert!(guarded.ends_with("and no other tier could save anything"), "{guarded}");
    assert!(!guarded.contains("at most"), "{guarded}");
}

#[test]
fn callbacks_cost_something_in_every_tier() {
    let mut profile = planted();
    let (calls, callbacks) = (1_000_000, 2_000_000);
    let name = "libc.so.6.qsort".to_owned();
    let sort = Import { name, calls, callbacks, marshalling: 200.0 * MS, ..Import::default() };
    profile.imports = vec![Import { takes_functions: true, transition: 60.0 * MS, ..sort }];
    // 30 ns of a call and 10 of a callback are left.
    let saved = profile.to_save();
    assert!((saved - (260.0 - 30.0 - 20.0) * MS).abs() < 1.0, "{saved}");
    profile.phases = vec![part("the guest", 260.0 * MS)];
    (profile.wall, profile.profiling) = (520.0 * MS, 0.0);
    profile.judge();
    assert_eq!(
        profile.verdict[1],
        "making the calls takes 50 %: a faster tier would save at most 40 %, 100 % of that in libc.so.6.qsort (1,000,000 \
         calls, 260 ns each with 2,000,000 callbacks beside what native code does)"
    );
}

#[test]
fn waits_are_a_part_of_their_own() {
    let mut profile = planted();
    profile.waiting = 3000.0 * MS;
    profile.wall += 3000.0 * MS;
    profile.judge();
    assert_eq!(profile.verdict[0], "99 % of the time is inside libsqlite3");
    assert_eq!(
        profile.verdict[1],
        "other programs had the core while the guest waited for it, 75 % of the wall time: that is in no other figure"
    );
    assert!((profile.sum() - profile.wall).abs() <= profile.error);
    assert!(text::report(&profile).contains("  waiting for a core that others had"));
    assert!(folded::folded(&profile).contains("\nwaiting for a core 3000000000\n"));
}

/// The members of the file are those that the documentation has.
#[test]
fn documentation_has_every_member() {
    let value = serde_json::to_value(planted()).expect("it is plain data");
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/profile.md");
    let docs = fs::read_to_string(path).expect("it is there");
    let table: Vec<&str> = docs.lines().filter(|line| line.starts_with("| `")).collect();
    let object = |value: &serde_json::Value, path: &str| {
        let members = value.as_object().unwrap_or_else(|| panic!("{path} is an object")).keys();
        members.map(|member| format!("`{member}`")).collect::<Vec<_>>()
    };
    let row = |path: &str| {
        let start = format!("| `{path}`");
        let found = table.iter().find(|line| line.starts_with(&start));
        *found.unwrap_or_else(|| panic!("{path} is not documented"))
    };
    assert_eq!(value["schema"], SCHEMA);
    assert!(row("schema").contains(SCHEMA));
    for member in object(&value, "") {
        let first = |line: &&str| line.split('|').nth(1).is_some_and(|cell| cell.contains(&member));
        assert!(table.iter().any(first), "{member} is not documented");
    }
    let mut running = planted();
    running.running = vec![Running { name: "libc.so.6.sleep".to_owned(), time: None }];
    let running = serde_json::to_value(running).expect("it is plain data");
    for (path, value) in [
        ("ways", &value["ways"]),
        ("costs", &value["costs"]),
        ("phases[]", &value["phases"][0]),
        ("imports[]", &value["imports"][0]),
        ("running[]", &running["running"][0]),
    ] {
        let row = row(path);
        for member in object(value, path) {
            assert!(row.contains(&member), "{member} of {path} is not documented");
        }
    }
}

#[test]
fn bytes_are_named_when_they_are_what_is_slow() {
    let mut profile = planted();
    profile.imports[1].marshalling = 400.0 * MS;
    profile.imports[1].copied = 1234 * 100_000;
    profile.judge();
    let last = profile.verdict.last().expect("there are sentences");
    assert!(
        last.starts_with("sqlite3.sqlite3_column_text moves 100,000 bytes a call"),
        "{:?}",
        profile.verdict
    );
}

#[test]
fn guests_that_call_nothing_or_were_interrupted_are_told_so() {
    let mut profile = planted();
    profile.running = vec![Running { name: "libc.so.6.sleep".to_owned(), time: Some(2e9) }];
    profile.judge();
    let last = profile.verdict.last().expect("there are sentences");
    assert_eq!(
        last,
        "the guest was interrupted in a call of libc.so.6.sleep that had not returned since 2.00 s"
    );
    profile.running[0].time = None;
    profile.imports.clear();
    profile.judge();
    let last = profile.verdict.last().expect("there are sentences");
    assert_eq!(last, "no native function was called: there is nothing to make faster");
    assert!(!text::report(&profile).contains("Imports"));
}

/// The stacks of a text, and their weights.
fn stacks(text: &str) -> Vec<(Vec<&str>, f64)> {
    text.lines()
        .map(|line| {
            let (stack, weight) = line.rsplit_once(' ').expect("a weight");
            (stack.split(';').collect(), weight.parse().expect("a number"))
        })
        .collect()
}

#[test]
fn stacks_add_up_and_hostile_names_stay_one_frame() {
    let mut profile = planted();
    let text = folded::folded(&profile);
    let found = stacks(&text);
    let sum: f64 = found.iter().map(|(_, weight)| weight).sum();
    assert!((sum - profile.sum()).abs() < found.len() as f64, "{sum} of {}", profile.sum());
    let native = found
        .iter()
        .find(|(stack, _)| stack[..] == ["sqlite.wasm", "sqlite3.sqlite3_step", "native"]);
    assert_eq!(native.expect("it is there").1, 970.0 * MS);
    let callback = found.iter().find(|(stack, _)| stack.last() == Some(&"callback"));
    assert_eq!(callback.expect("it is there").0.len(), 4);
    profile.guest = "a;b 1\nc".to_owned();
    profile.imports[0].name = "x;y\u{1b}.z".to_owned();
    let text = folded::folded(&profile);
    for (stack, _) in stacks(&text) {
        assert!(stack.len() <= 4 && !stack.iter().any(|frame| frame.contains('\u{1b}')), "{text}");
    }
}

#[test]
fn json_has_all_of_it() {
    let profile = planted();
    let json = serde_json::to_string(&profile).expect("it is plain data");
    let value: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
    let number = |pointer: &str| value.pointer(pointer).and_then(serde_json::Value::as_f64);
    assert_eq!(number("/wall"), Some(profile.wall));
    assert_eq!(number("/imports/0/calls"), Some(20_000.0));
    assert_eq!(number("/imports/1/copied"), Some(1_234_567.0));
    assert_eq!(number("/costs/floor"), Some(3.0));
    assert_eq!(value.pointer("/verdict").and_then(|one| one.as_array()).map(Vec::len), Some(2));
}

#[test]
fn times_counts_and_parts_are_short() {
    for (ns, said) in [
        (0.0, "0 ns"),
        (0.6, "0.6 ns"),
        (12.34, "12.3 ns"),
        (999.4, "999 ns"),
        (999.6, "1.00 µs"),
        (12_345.0, "12.3 µs"),
        (999.6e3, "1.00 ms"),
        (1.5e9, "1.50 s"),
        (123e9, "123 s"),
    ] {
        assert_eq!(text::time(ns), said);
    }
    for (part, said) in [
        (0.0, "0 %"),
        (0.0004, "less than 0.1 %"),
        (0.0123, "1.2 %"),
        (0.0996, "10 %"),
        (0.97, "97 %"),
        (1.0, "100 %"),
    ] {
        assert_eq!(text::percent(part), said);
    }
    for (number, said) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
        assert_eq!(text::count(number), said);
    }
}
