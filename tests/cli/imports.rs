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
    if cfg!(all(feature = "cranelift", target_arch = "x86_64")) {
        assert!(
            compress.trim_end().ends_with("interpreter  direct after 1000 calls"),
            "{compress}"
        );
    }
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
    assert_eq!(value["schema"], "portcullis-imports/1");
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

#[test]
fn what_becomes_of_calls_is_said_for_each_import() {
    let text = r#"(module
        (import "libm" "double cos(double)" (func (param f64) (result f64)))
        (import "libm" "long double sinl(long double)" (func (param i32 i64 i64)))
        (memory (export "memory") 1))"#;
    let folder = folder(&[("g.wat", text)]);
    let path = folder.path().join("g.wat");
    let (out, _) = run(command().args(["imports", "--grant", "libm"]).arg(&path)).with(0);
    assert!(!out.contains("if that is possible") && !out.contains("max_tier"), "{out}");
    if cfg!(all(feature = "cranelift", target_arch = "x86_64")) {
        let cos = out.lines().find(|line| line.contains("cos(double)")).expect("a row");
        assert!(
            cos.contains(" template ") && cos.trim_end().ends_with(" direct after 1000 calls"),
            "{cos}"
        );
        let mut json = command();
        json.args(["imports", "--json", "--grant", "libm"]);
        let (out, _) = run(json.arg(&path)).with(0);
        let value: serde_json::Value = serde_json::from_str(&out).expect("it is JSON");
        let cos = &value["imports"][0];
        assert_eq!((&cos["later"], &cos["after_calls"]), (&"direct".into(), &1000.into()));
        // As the direct tier itself says it.
        let mut direct = command();
        direct.args(["imports", "--json", "--tier", "direct", "--grant", "libm"]);
        let (out, _) = run(direct.arg(&path)).with(0);
        let direct: serde_json::Value = serde_json::from_str(&out).expect("it is JSON");
        for number in 0..2 {
            let (one, direct) = (&value["imports"][number], &direct["imports"][number]);
            let later = if one["later"].is_null() { &one["tier"] } else { &one["later"] };
            assert_eq!((later, &one["why_no_faster"]), (&direct["tier"], &direct["why_no_faster"]));
        }
    }
}

/// Guests whose imports are denied for many reasons.
const DENIED: &str = r#"(module
    (import "libm" "double cos(double)" (func (param f64) (result f64)))
    (import "libm" "double cos(float)" (func (param f32) (result f64)))
    (import "libm" "sin" (func (param f32) (result f32)))
    (import "libm.so.6" "double nosuch(double)" (func (param f64) (result f64)))
    (import "libz.so.1" "gzopen" (func (param i32 i32) (result i32)))
    (import "libz.so.1" "unsigned crc32(unsigned)" (func (param i32) (result i32)))
    (import "./libz.so.1" "crc32" (func (param i32 i32 i32) (result i32)))
    (import "libnosuch.so.9" "int f(int)" (func (param i32) (result i32)))
    (import "libc.so.6" "int abs(int)" (func (param i32) (result i32)))
    (import "libc.so.6" "int system(const char *)" (func (param i32) (result i32)))
    (import "libdl.so.2" "int atoi(int)" (func (param i32) (result i32)))
    (import "portcullis" "nothing" (func))
    (import "wasi_snapshot_preview1" "nosuch" (func))
    (memory (export "memory") 1))"#;

#[test]
fn what_is_said_to_add_helps_and_else_it_is_said_that_nothing_does() {
    let folder = folder(&[("denied.wat", DENIED)]);
    let denied = folder.path().join("denied.wat");
    let examples = ["cos/cos.wat", "sqlite/sqlite.wasm", "rust/guest.wasm", "expat/feed.wasm"];
    let examples = examples.map(|name| root().join("guest-examples").join(name));
    for guest in examples.iter().chain([&denied]) {
        let look = |options: &[String]| {
            let ended = run(command().args(["imports", "--json"]).args(options).arg(guest));
            let value: serde_json::Value = serde_json::from_str(&ended.out).expect("it is JSON");
            (ended.status, value["imports"].as_array().expect("a list").clone())
        };
        let (_, before) = look(&[]);
        let mut options: Vec<String> = Vec::new();
        for one in before.iter().filter_map(|one| one["add"].as_str()) {
            options.extend(one.split(' ').map(str::to_owned));
        }
        let (status, after) = look(&options);
        for (before, after) in before.iter().zip(&after) {
            let helped = before["granted"] == true || before["add"].is_string();
            assert_eq!(after["granted"] == true, helped, "{before:#} {after:#}");
            assert!(before["granted"] == true || before["denied"].is_string(), "{before:#}");
        }
        assert_eq!(status == Some(0), guest != &denied, "{}", guest.display());
    }
    let (out, _) = run(command().arg("imports").arg(&denied)).with(1);
    assert!(out.contains("add --grant libm"), "{out}");
    assert!(out.contains("with `--grant libm` it would be refused: "), "{out}");
    assert!(out.contains("no option helps: see below"), "{out}");
    assert!(!out.contains("interfaces::"), "{out}");
}

#[test]
#[cfg(feature = "cranelift")]
fn a_compiled_guest_is_looked_at_as_a_plain_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let ready = folder.path().join("guest.ready");
    let guest = "guest-examples/rust/guest.wasm";
    let mut compile = command();
    compile.args(["compile", "--grant", "libm", "--grant", "zlib", guest, "-o"]);
    run(compile.arg(&ready)).with(0);
    let look = |options: &[&str]| {
        run(command().args(["imports", "--allow-precompiled"]).args(options).arg(&ready))
    };
    let (out, _) = look(&[]).with(1);
    assert!(out.contains("add --grant libm") && out.contains("add --grant zlib"), "{out}");
    let (out, _) = look(&["--grant", "libm", "--grant", "zlib"]).with(0);
    assert!(out.contains("granted") && !out.contains("denied"), "{out}");
}

#[test]
fn a_library_that_is_not_there_is_to_be_named() {
    let text = r#"(module (import "ns" "f" (func (param i32) (result i32))))"#;
    let header = "#pragma portcullis library \"libnosuch.so.3\" module \"ns\"\nint f(int a);\n";
    let folder = folder(&[("ns.h", header), ("ns.wat", text)]);
    let mut look = command();
    look.args(["imports", "--grant"]).arg(folder.path().join("ns.h"));
    let (out, _) = run(look.arg(folder.path().join("ns.wat"))).with(1);
    assert!(out.contains("denied  ") && out.contains("--library libnosuch.so.3=PATH\n"), "{out}");
    assert!(out.contains("name its file: ") && !out.contains("no option helps"), "{out}");
}

#[test]
fn imports_of_wasi_must_be_as_wasi_has_them() {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func (param i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
        (import "wasi_snapshot_preview1" "fd_wriet" (func (param i32)))
        (import "wasi_unstable" "fd_write" (func (param i32)))
        (import "env" "memory" (memory 1))
        (func (export "_start")))"#;
    let folder = folder(&[("w.wat", text)]);
    let path = folder.path().join("w.wat");
    let (out, _) = run(command().arg("imports").arg(&path)).with(1);
    for said in [
        "WASI has it as (func (param i32 i32 i32 i32) (result i32)), and the guest wants (func (param i32))",
        "WASI preview 1 has nothing of that name",
        "this is a WASI older than preview 1",
        "nobody has it: neither WASI nor a granted interface",
        "4 imports of 5 are denied",
    ] {
        assert!(out.contains(said), "{said} is not in:\n{out}");
    }
    let memory = r#"(module (import "env" "memory" (memory 1)) (func (export "_start")))"#;
    guest(memory, &[]).says(1, &["nobody has it: neither WASI nor a granted interface"]);
}

#[test]
fn hostile_names_are_short_wherever_they_are_told() {
    let (long, module) = ("y".repeat(100_000), "m".repeat(100_000));
    let text = format!(
        r#"(module (import "{module}\1b[31m.so" "int f{long}(int)" (func $f (param i32) (result i32)))
            (import "libm" "double {long}(double)" (func (param f64) (result f64)))
            (import "libm" "{long}\0a\1b[2J" (func))
            (func (export "x{long}")))"#
    );
    let folder = folder(&[("g.wat", &text)]);
    let path = folder.path().join("g.wat");
    let commands: [&[&str]; 5] = [
        &["imports"],
        &["run"],
        &["run", "--invoke", "nosuch"],
        &["imports", "--grant", "libm"],
        &["--log", "debug", "run", "--grant", "libm"],
    ];
    for options in commands {
        let ended = run(command().args(options).arg(&path));
        let all = ended.out + &ended.err;
        assert!(all.len() < 12_000, "{options:?}: {} bytes", all.len());
        assert!(!all.contains('\u{1b}'), "{options:?}: {all}");
        assert!(all.lines().all(|line| line.len() < 2000), "{options:?}: {all}");
    }
}

#[test]
fn what_interfaces_say_keeps_its_lists_and_silence_is_told() {
    let text = r#"(module (import "m" "cos" (func (param f64) (result f64))))"#;
    let header = "#pragma portcullis library \"libm.so.6\" module \"m\"\ndouble cos(double x);\n";
    let listed = format!(
        "/* Grants: cosines.\n *\n * Powers of the library's own: two:\n *  - Files: one, as it\n *    says.\n *  - Code.\n */\n{header}"
    );
    let folder = folder(&[("bare.h", header), ("listed.h", &listed), ("m.wat", text)]);
    let look = |name: &str| {
        let mut look = command();
        look.arg("imports").arg("--grant").arg(folder.path().join(name));
        run(look.arg(folder.path().join("m.wat"))).with(0).0
    };
    assert!(
        look("bare.h").contains("bare.h\n    its comment does not say\n"),
        "{}",
        look("bare.h")
    );
    let out = look("listed.h");
    let list = "    powers: two:\n      - Files: one, as it says.\n      - Code.\n";
    assert!(out.contains(list), "{out}");
}

#[test]
fn the_table_says_what_helps_where_no_name_does() {
    let look = |options: &[&str], guest: &str| {
        let (out, _) = run(command().arg("imports").args(options).arg(guest)).with(1);
        out
    };
    let out = look(&[], "guest-examples/files/lines.wasm");
    assert!(
        out.contains("grant a header: --grant FILE.h") && !out.contains("no option helps"),
        "{out}"
    );
    assert!(
        out.contains("no interface that ships by name has it: write one, or grant a header"),
        "{out}"
    );
    let (out, _) = portcullis(&[
        "imports",
        "--grant",
        "interfaces/files.h",
        "guest-examples/files/lines.wasm",
    ])
    .with(0);
    assert!(!out.contains("denied"), "{out}");

    let vendor =
        r#"(module (import "libvendor.so" "f" (func)) (import "env" "memory" (memory 1)))"#;
    let math = r#"(module (import "libm" "cos" (func (param f64) (result f64))))"#;
    let folder = folder(&[("v.wat", vendor), ("m.wat", math), ("no.so", "nothing")]);
    let path = |name: &str| path_text(&folder.path().join(name)).to_owned();
    let out = look(&[], &path("v.wat"));
    assert!(out.contains("grant a header of your own: --grant FILE.h"), "{out}");
    // Nothing grants a memory.
    assert!(out.contains("no option helps: see below"), "{out}");
    // A library that is elsewhere, and not granted yet.
    let elsewhere = format!("libm.so.6={}", path("no.so"));
    let out = look(&["--library", &elsewhere], &path("m.wat"));
    let said = "add --grant libm, and name its file: --library libm.so.6=PATH";
    assert!(out.contains(said), "{out}");
}

#[test]
fn a_function_that_may_call_back_has_its_remedy() {
    let text = r#"(module (import "cb" "f" (func (param i32 i32) (result i32)))
        (memory (export "memory") 1))"#;
    let header = |leaf: &str| {
        format!(
            "#pragma portcullis library \"libc.so.6\" module \"cb\"\n\
             int each(int (*f)(int i), int n);\n\
             int strcmp(const char *a, const char *b){leaf};\n"
        )
    };
    let folder = folder(&[
        ("back.h", &header("")),
        ("leaf.h", &header(" __leaf")),
        ("g.wat", &text.replace("\"f\"", "\"strcmp\"")),
    ]);
    let look = |name: &str| {
        let mut look = command();
        look.args(["imports", "--tier", "direct", "--grant"]).arg(folder.path().join(name));
        run(look.arg(folder.path().join("g.wat"))).with(0).0
    };
    let remedy = "a function that may call back (if it never does: `__leaf` in its prototype)";
    if cfg!(all(feature = "cranelift", target_arch = "x86_64")) {
        assert!(look("back.h").contains(remedy), "{}", look("back.h"));
        assert!(look("leaf.h").contains("direct"), "{}", look("leaf.h"));
    }
    assert!(!look("leaf.h").contains("__leaf"), "{}", look("leaf.h"));
}
