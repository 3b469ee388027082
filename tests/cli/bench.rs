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
fn what_is_shown_fits_the_terminal() {
    let mut bench = command();
    bench.args(["bench", "--quick", "ints0", "ints2"]).env("COLUMNS", "80");
    let (out, _) = run(&mut bench).with(0);
    for line in out.lines() {
        assert!(line.chars().count() <= 80, "{line}\n{out}");
    }
    let whole = out.split_whitespace().collect::<Vec<_>>().join(" ");
    if cfg!(feature = "cranelift") {
        assert!(whole.contains("The first function of a program: "), "{out}");
    }
}

#[test]
fn functions_of_the_users_own_are_measured() {
    let mut bench = command();
    bench.args(["bench", "--quick", "--library", "libm.so.6", "--prototype"]);
    let (out, _) = run(bench.args(["double pow(double x, double y)", "--args", "2.5,_"])).with(0);
    assert!(out.lines().any(|line| line.trim_start().starts_with("pow ")), "{out}");
    assert!(out.contains("  pow, wrap: nobody has written it\n"), "{out}");
    let own = |args: &[&str], says: &str| {
        let mut bench = command();
        bench.args(["bench", "--quick", "--library", "libc.so.6", "--prototype"]).args(args);
        run(&mut bench).says(1, &[says]);
    };
    let mut twice = command();
    twice.args(["bench", "--library", "libc.so.6", "--prototype", "int f(int a"]);
    let (out, err) = run(&mut twice).with(1);
    assert!(out.is_empty() && err.starts_with("error: expected `,` or `)`"), "{err}");
    assert!(err.contains("prototype:1:12"), "{err}");
    own(&["struct s f(int a)"], "`struct s`");
    own(&["int abs(int a)", "--args", "1,2"], "has 2 values, and the function 1 parameters");
    own(&["int abs(int a)", "--args", "x"], "parameter `a` of `abs`: `x` is no integer");
    own(&["int fclose(struct file *f)"], "objects cannot be made up");
    own(&["int no_such_function(int a)"], "`libc.so.6` has no function `no_such_function`");
}

#[test]
fn numbers_that_do_not_fit_are_refused() {
    let refused = |prototype: &str, args: &str, says: &[&str]| {
        let fixed = ["bench", "--quick", "--library", "libc.so.6", "--prototype", prototype];
        run(command().args(fixed).args(["--args", args])).says(1, says);
    };
    let of = "parameter `a` of `abs`";
    refused("int abs(int a)", "2147483648", &[of, "`2147483648`", "-2147483648 to 2147483647"]);
    refused("int abs(unsigned char a)", "-1", &[of, "`-1`", "`unsigned char` holds 0 to 255"]);
    refused("int abs(_Bool a)", "2", &[of, "0 to 1"]);
    refused("int abs(long a)", "0x80000000", &[of, "of which a guest has 4 bytes"]);
    refused("int abs(uint64_t a)", "18446744073709551616", &[of, "0 to 18446744073709551615"]);
    refused("int abs(int a)", "0x-1", &["`0x-1` is no integer"]);
    refused("int abs(float a)", "1e39", &[of, "`1e39`", "`float` holds"]);
    refused("int abs(double a)", "1e309", &[of, "`double` holds"]);
    refused("int atoi(const char *a)", "1,2", &["has 2 values", "`\\,`"]);
}

#[test]
fn what_cannot_be_measured_is_told() {
    run(command().args(["bench", "no_such_function"]))
        .says(2, &["no function has `no_such_function`"]);
    run(command().args(["bench", "ints0", "bufer"]))
        .says(2, &["no function has `bufer`", "did you mean `buffer`?"]);
    run(command().args(["bench", "--core", "fast"])).says(2, &["`fast` is no number of a core"]);
    run(command().args(["bench", "--core", "4000", "ints0"]))
        .says(1, &["cannot measure on that core", "there is no core 4000"]);
    let nowhere = ["bench", "--library", "libnosuch.so.7", "--prototype", "int f(int a)"];
    run(command().args(nowhere))
        .says(1, &["error: the library `libnosuch.so.7` cannot be loaded: ", "No such file"]);
    // The library and the function are there, and a guest needs an allocator for it.
    let module = ["bench", "--library", "libm", "--prototype", "double cos(double x)"];
    run(command().args(module)).says(1, &["the name of an interface", "--library libm.so.6"]);
    // C's loop passes no structs, and the guest has no allocator for the text.
    let needy = "const char *strerror(struct { int number; } error)";
    let mut bench = command();
    bench.args(["bench", "--quick", "--library", "libc.so.6", "--prototype", needy]);
    let (out, err) = run(&mut bench).with(1);
    assert!(out.is_empty() && err.starts_with("error: nothing could be measured\n"), "{err}");
    assert!(err.contains("strerror, C: ") && err.contains("must export an allocator"), "{err}");
    let folder = TempDir::new().expect("a temporary folder");
    let nowhere = folder.path().join("no/such.html");
    // Before anything is measured, so that a mistake elsewhere is not told.
    let mut bench = command();
    let (out, err) = run(bench.args(["bench", "--core", "4000", "--html"]).arg(&nowhere)).with(1);
    assert!(out.is_empty() && err.starts_with("error: cannot write "), "{err}");
    let (out, _) = run(command().args(["bench", "--list"])).with(0);
    for name in [
        "ints2",
        "mixed",
        "buffer",
        "swap",
        "handle",
        "callback",
        "qsort",
        "overloads",
        "sqlite_step",
    ] {
        assert!(out.lines().any(|line| line.starts_with(name)), "{name} is not in:\n{out}");
    }
}
