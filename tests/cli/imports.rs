//! `imports`: what a guest wants and what it gets.
use crate::support::*;

#[test]
fn imports_lists_what_is_wanted_and_fails_when_something_is_denied() {
    let guest = "guest-examples/rust/guest.wasm";
    let (out, _) = portcullis(&["imports", "--grant", "libm", "--grant", "zlib", guest]).with(0);
    let line = |needle: &str| {
        let found = out.lines().find(|line| line.contains(needle));
        found.unwrap_or_else(|| panic!("{needle} is not in:\n{out}")).to_owned()
    };
    let cos = line("double cos");
    assert!(cos.contains("granted") && cos.contains("libm.so.6"), "{cos}");
    assert!(cos.contains("template"), "{cos}");
    let compress = line("int compress");
    assert!(compress.contains("interpreter  direct after 1000 calls"), "{compress}");
    assert!(line("fd_write").contains("WASI"));
    assert!(!out.contains("denied"), "{out}");

    let slow = ["imports", "--tier", "template", "--grant", "zlib", "--grant", "libm", guest];
    let (slow, _) = portcullis(&slow).with(0);
    assert!(slow.contains("interpreter  work after the call"), "{slow}");
    for said in ["what the guest gets with it", "grants: pure computation", "powers: none"] {
        assert!(slow.contains(said), "{said} is not in:\n{slow}");
    }

    let (out, _) = portcullis(&["imports", "--grant", "libm", guest]).with(1);
    assert!(out.contains("denied") && out.contains("add --grant zlib"), "{out}");
    assert!(out.contains("What is missing is a matter of: --grant zlib\n"), "{out}");
    assert!(out.contains("zlib.h (not granted yet)"), "{out}");

    let folder =
        folder(&[("g.wat", r#"(module (import "wasi_snapshot_preview1" "nosuch" (func)))"#)]);
    let (out, _) = run(command().arg("imports").arg(folder.path().join("g.wat"))).with(1);
    assert!(out.contains("nosuch") && out.contains("denied"), "{out}");
}

#[test]
fn narrow_terminals_get_lines_that_fit() {
    let guest = ["imports", "--grant", "libm", "guest-examples/zlib/zlib.wasm"];
    for width in [50, 100, 120] {
        let ended = run(command().args(guest).env("COLUMNS", width.to_string()));
        let (out, _) = ended.with(1);
        for line in out.lines().filter(|line| line.contains(' ')) {
            // A name, or an option, is not broken.
            let longest = line.split(' ').map(str::len).max().unwrap_or(0);
            let fits = line.chars().count() <= width.max(longest + 8);
            assert!(fits || line.starts_with("denied:") || line.starts_with("        "), "{line}");
        }
    }
    let wide = run(command().args(guest).env("COLUMNS", "300")).with(1).0;
    let narrow = run(command().args(guest).env("COLUMNS", "50")).with(1).0;
    let rows = |text: &str| text.lines().filter(|line| line.contains("crc32")).count();
    assert!(rows(&wide) > 0 && narrow.lines().count() > wide.lines().count(), "{narrow}");
}

#[test]
fn json_has_what_the_table_has_and_types() {
    let guest = ["imports", "--json", "--grant", "libm", "guest-examples/rust/guest.wasm"];
    let (out, _) = portcullis(&guest).with(1);
    let value: serde_json::Value = serde_json::from_str(&out).expect("it is JSON");
    let imports = value["imports"].as_array().expect("a list");
    let of = |name: &str| {
        let named =
            |one: &&serde_json::Value| one["name"].as_str().is_some_and(|n| n.contains(name));
        imports.iter().find(named).unwrap_or_else(|| panic!("{name} is not in {out}"))
    };
    let cos = of("double cos");
    assert_eq!(cos["granted"], true);
    assert_eq!(cos["wasm_type"], "(func (param f64) (result f64))");
    assert_eq!((&cos["interface"], &cos["tier"]), (&"libm.h".into(), &"template".into()));
    let compress = of("int compress");
    assert_eq!((&compress["granted"], &compress["add"]), (&false.into(), &"--grant zlib".into()));
    assert!(compress["denied"].as_str().is_some_and(|why| why.contains("grants it")), "{out}");
    assert_eq!(of("fd_write")["from"], "WASI");
    let powers = value["powers"].as_array().expect("a list");
    let zlib = powers.iter().find(|one| one["interface"] == "zlib.h").expect("it is missing");
    assert_eq!(zlib["missing"], true);
}

#[test]
fn many_denied_imports_are_named_in_the_table_alone() {
    let (out, _) = run(command().args(["imports", "guest-examples/sqlite/sqlite.wasm"])).with(1);
    assert_eq!(out.matches("sqlite3 sqlite3_column_double ").count(), 1, "{out}");
    assert!(out.contains("        and 21 more\n") && out.contains("25 imports of 32"), "{out}");
}
