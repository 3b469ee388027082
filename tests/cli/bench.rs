//! `bench`.
use crate::support::{command, run};
use portcullis::bench::model::Run;
use std::fs;
use tempfile::TempDir;

#[test]
fn files_say_what_the_terminal_says() {
    let folder = TempDir::new().expect("a temporary folder");
    let [json, csv, html] =
        ["raw.json", "raw.csv", "page.html"].map(|name| folder.path().join(name));
    let mut bench = command();
    // Everything that there is.
    bench.args(["bench", "--quick", "--json"]).arg(&json).arg("--csv").arg(&csv);
    let (out, _) = run(bench.arg("--html").arg(&html)).with(0);
    for part in
        ["Nanoseconds a call", "int f(int, int)", "wrap, ns", "direct, × C", "pays from, calls"]
    {
        assert!(out.contains(part), "{part} is not in:\n{out}");
    }
    let text = fs::read_to_string(json).expect("it was written");
    let measured: Run = serde_json::from_str(&text).expect("it is of the schema");
    assert_eq!(measured.schema, "portcullis-bench/1");
    let row = measured.rows.iter().find(|row| row.id == "ints2").expect("it was measured");
    assert_eq!(row.times("C").map(<[f64]>::len), Some(measured.rounds));
    assert!(out.contains(&measured.when));
    let rows = fs::read_to_string(csv).expect("it was written").lines().count();
    let times = measured.rows.iter().flat_map(|row| &row.contenders).map(|times| times.ns.len());
    assert_eq!(rows, 1 + times.sum::<usize>());
    assert!(fs::read_to_string(html).expect("it was written").contains("</html>"));
}

#[test]
fn functions_of_the_users_own_are_measured() {
    let mut bench = command();
    bench.args(["bench", "--quick", "--library", "libm.so.6", "--prototype"]);
    let (out, _) = run(bench.args(["double pow(double x, double y)", "--args", "2.5,_"])).with(0);
    assert!(out.lines().any(|line| line.trim_start().starts_with("pow ")), "{out}");
    assert!(out.contains("pow, wrap: nobody has written it"), "{out}");
    let own = |args: &[&str], says: &str| {
        let mut bench = command();
        bench.args(["bench", "--quick", "--library", "libc.so.6", "--prototype"]).args(args);
        run(&mut bench).says(1, &[says]);
    };
    own(&["int f(int a", "--args", "1"], "error:");
    own(&["int abs(int a)", "--args", "1,2"], "has 2 values, and the function 1 parameters");
    own(&["int abs(int a)", "--args", "x"], "parameter `a` of `abs`: `x` is no integer");
    own(&["int fclose(struct file *f)"], "objects cannot be made up");
}

#[test]
fn what_cannot_be_measured_is_told() {
    run(command().args(["bench", "no_such_function"]))
        .says(2, &["no function has `no_such_function`"]);
    run(command().args(["bench", "--core", "4000", "ints0"]))
        .says(1, &["cannot measure on that core"]);
    let (out, _) = run(command().args(["bench", "--list"])).with(0);
    for name in ["ints2", "mixed", "buffer", "swap", "handle", "callback", "qsort", "sqlite_step"] {
        assert!(out.lines().any(|line| line.starts_with(name)), "{name} is not in:\n{out}");
    }
}
