//! `explain`: a prototype, stage by stage.
use crate::support::*;

#[test]
fn explain_shows_every_stage() {
    let crc = "unsigned long crc32(unsigned long crc, const uint8_t buf[len], unsigned len)";
    let (out, _) = portcullis(&["explain", crc]).with(0);
    for part in [
        "unsigned long crc32(unsigned long crc, const unsigned char *__counted_by(len) buf",
        "wasm32",
        "(func (param i32 i32 i32) (result i32))",
        "3 integer registers",
        "plan\n",
        "call",
    ] {
        assert!(out.contains(part), "{part} is not in:\n{out}");
    }
    let (out, _) = portcullis(&["explain", "--model", "wasm64", "--abi", "aapcs64", crc]).with(0);
    assert!(out.contains("(func (param i64 i64 i32) (result i64))"), "{out}");
    assert!(out.contains("AAPCS64") && out.contains("x0"), "{out}");
}

#[cfg(feature = "cranelift")]
#[test]
fn explain_shows_machine_code_and_why_there_is_none() {
    let crc = "unsigned long crc32(unsigned long crc, const uint8_t buf[len], unsigned len)";
    let (out, _) = portcullis(&["explain", crc]).with(0);
    let (cranelift, direct) = ("machine code, cranelift: ", "machine code, direct: ");
    for part in ["CLIF, direct\n", "; redo: the interpreter makes the call\n", cranelift, direct] {
        assert!(out.contains(part), "{part} is not in:\n{out}");
    }
    // What the processor executes, with the op that it is for and the name of what is called.
    let (_, code) = out.split_once(cranelift).expect("it is there");
    for part in ["  ; 2  buffer    slot 1 -> rsi, ", "0000  push rbp\n", "; `crc32`\n", "  L1:\n"] {
        assert!(code.contains(part), "{part} is not in:\n{code}");
    }
    for pseudo in ["unwind", "uninit", "label", "(bad)"] {
        assert!(!code.contains(pseudo), "{pseudo} is in:\n{code}");
    }
    let (out, _) = portcullis(&["explain", "--bytes", crc]).with(0);
    assert!(out.contains("0000  55        "), "{out}");
    let (out, _) = portcullis(&["explain", "long double fabsl(long double x)"]).with(0);
    assert!(out.contains("; enter_native"), "the interpreter's stub makes the call:\n{out}");
    assert!(out.contains("none: a part of the call that the interpreter does"), "{out}");
}

/// The headings of parts, in order.
fn headings(out: &str) -> Vec<&str> {
    out.lines().filter(|line| !line.is_empty() && !line.starts_with(' ')).collect()
}

#[test]
fn parts_are_chosen() {
    let cos = "double cos(double x)";
    let shown = |parts: &str| {
        let (out, _) = portcullis(&["explain", "--show", parts, cos]).with(0);
        headings(&out).join("|")
    };
    assert_eq!(shown("plan"), "prototype|plan");
    assert_eq!(shown("tiers,types"), "prototype|tiers|types");
    let (all, _) = portcullis(&["explain", cos]).with(0);
    assert_eq!(shown("all"), headings(&all).join("|"));
    portcullis(&["explain", "--show", "everything", cos]).says(2, &["registers", "clif"]);
    let (help, _) = portcullis(&["explain", "--help"]).with(0);
    for part in ["import ", "tiers ", "types ", "registers ", "plan ", "clif ", "asm "] {
        assert!(help.contains(&format!("\n  {part}")), "{part} is not in:\n{help}");
    }
}

#[cfg(feature = "cranelift")]
#[test]
fn tiers_are_told_with_what_keeps_faster_ones_away() {
    let tiers = |args: &[&str]| {
        let (out, _) = run(command().args(["explain", "--show", "tiers"]).args(args)).with(0);
        out
    };
    let out = tiers(&["double cos(double x)"]);
    assert!(out.contains("  direct       yes: ") && out.contains("written by hand"), "{out}");
    assert!(out.contains("its template makes the first 1000 calls"), "{out}");
    let out = tiers(&["--grant", "libc", "qsort"]);
    assert!(out.contains("  direct       no: a function that may call back\n"), "{out}");
    assert!(out.contains("`cranelift` makes the others"), "{out}");
    let out = tiers(&["--abi", "aapcs64", "double cos(double x)"]);
    assert!(out.contains("none: calls are made on x86-64 Linux"), "{out}");
}

#[test]
fn explain_says_which_overload_a_call_gets() {
    let prepare = ["explain", "--grant", "sqlite3", "sqlite3_prepare_v2"];
    let (out, _) = portcullis(&prepare).with(0);
    let said = out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        said.contains("`sqlite3_prepare_v2` is granted 2 times. An import of it gets"),
        "{out}"
    );
    assert!(
        said.contains("taken where prototype 1 nByte __range(-1) int sqlite3_prepare_v2("),
        "{out}"
    );
    assert_eq!(headings(&out)[..2], ["overloads", "prototype, overload 1 of 2"], "{out}");
    assert!(out.contains("\nprototype, overload 2 of 2\n") && !out.contains("CLIF, "), "{out}");
    // One of them is explained like any function.
    let (out, _) = run(command().args(prepare).args(["--overload", "2"])).with(0);
    assert_eq!(headings(&out)[..2], ["prototype, overload 2 of 2", "import"], "{out}");
    let ended = run(command().args(prepare).args(["--overload", "3"]));
    ended.says(2, &["`--overload 3`: sqlite3_prepare_v2 is granted 2 times here"]);
}

#[test]
fn many_overloads_are_a_table_and_those_that_cannot_be_told_apart_a_mistake() {
    let option = |number: i32| format!("int set(int o __range({number}), long v);\n");
    let head = "#pragma portcullis library \"libo.so\"\n";
    let many = head.to_owned() + &(1..8).map(option).collect::<String>();
    let late = head.to_owned()
        + "int get(const int *__single p, int n __range(*p, 9));\nint get(const int *__single p, int n __range(10, 20));\n";
    let types =
        head.to_owned() + "int put(int v __range(0, 9));\nint put(long long v __range(10, 20));\n";
    let files = folder(&[("many.h", &many), ("late.h", &late), ("types.h", &types)]);
    let explain = |file: &str, args: &[&str]| {
        run(command().arg("explain").arg("--grant").arg(files.path().join(file)).args(args))
    };
    let (out, _) = explain("many.h", &["set"]).with(0);
    assert!(out.contains("\n  7  o __range(7)") && !out.contains("\nprototype"), "{out}");
    assert!(out.contains("`--overload NUMBER` explains one of them"), "{out}");
    let (out, _) = explain("many.h", &["--overload", "all", "--show", "plan", "set"]).with(0);
    assert_eq!(out.matches("\nplan\n").count(), 7, "{out}");
    let (out, err) = explain("late.h", &["get"]).with(1);
    assert!(err.contains("cannot be told apart by the `__range` of parameter 2 `n`"), "{err}");
    assert!(out.contains("always (the call itself: n __range(*p, 9))"), "{out}");
    // Nothing has to be told apart where the import's type does it.
    let (out, _) = explain("types.h", &["put"]).with(0);
    assert!(out.contains("(func (param i64) (result i32))  v __range(10, 20)"), "{out}");
}

#[test]
fn a_prototype_is_compared_with_its_grant() {
    let explain = |text: &str| portcullis(&["explain", "--grant", "zlib", text]);
    let (out, _) = explain("uLong crc32(uLong, const Bytef *, uInt)").with(0);
    assert!(out.contains("The prototype agrees with what `zlib.h` grants."), "{out}");
    assert!(out.contains("__counted_by(len) buf"), "the grant is explained:\n{out}");
    assert!(out.contains("(import \"zlib\" \"uLong crc32(uLong, const Bytef *, uInt)\" "), "{out}");
    let wrong = explain("uLong crc32(uLong, const Bytef *, int)");
    let difference = "parameter 3 `len` is `int`, granted is `uInt`";
    wrong.says(1, &["contradicts what `zlib.h` grants", difference, "without --grant"]);
    let (out, _) = explain("uLong checksum(uLong, const Bytef *__counted_by(n) p, uInt n)").with(0);
    assert!(out.contains("zlib.h grants no `checksum`: this is how it would be called"), "{out}");
    let (out, _) = portcullis(&["explain", "--grant", "sqlite3", "sqlite3_free"]).with(0);
    assert!(out.contains("is its own `free`") && !out.contains("\nplan\n"), "{out}");
}

#[test]
fn explain_knows_the_functions_of_a_granted_interface() {
    let (out, _) = portcullis(&["explain", "--grant", "sqlite3", "sqlite3_prepare_v2"]).with(0);
    assert!(out.contains("sqlite3_stmt"), "{out}");
    // Both grants of an overloaded function.
    assert_eq!(out.matches("prototype, overload ").count(), 2, "{out}");
    let (out, _) = portcullis(&["explain", "--grant", "zlib", "crc32"]).with(0);
    assert!(
        out.contains("(import \"zlib\" \"crc32\" (func (param i32 i32 i32) (result i32)))"),
        "{out}"
    );
    assert!(out.contains("granted by zlib.h, of libz.so.1"), "{out}");
}

#[test]
fn explain_points_at_every_mistake() {
    let wrong = "int f(unit8_t x, const uint8_t *buf)";
    let err = portcullis(&["explain", wrong]).says(
        1,
        &[
            "unknown type name `unit8_t`",
            "did you mean `uint8_t`",
            "`buf` has no size",
            "counted_by",
        ],
    );
    assert_eq!(err.matches(wrong).count(), 2, "each with its place:\n{err}");
    assert!(err.contains("^^^^^^^"), "{err}");
    // What cannot be done is shown after what is known.
    let (out, err) = portcullis(&["explain", "int f(struct { const char *p; } s)"]).with(1);
    assert!(out.contains("assignment") && !out.contains("plan"), "{out}");
    assert!(err.contains("are not followed") && err.contains("^^^"), "{err}");
}

#[test]
fn explain_shows_formats_and_data() {
    let (out, _) = portcullis(&["explain", "--grant", "libc", "snprintf"]).with(0);
    assert!(out.contains("..., double, int, const char *"), "{out}");
    assert!(out.contains("format    ") && out.contains("passed"), "{out}");
    let (out, _) = portcullis(&["explain", "extern int opterr"]).with(0);
    assert!(out.contains("reads 4 bytes; result int32"), "{out}");
    let error = portcullis(&["explain", "int printf(const char *f, ...) __format(printf, 1, 2)"]);
    error.says(1, &["the types of the arguments behind `...` are not known", "^^^"]);
}

#[test]
fn a_tail_of_ones_own_is_explained_with_the_grants_format() {
    let explain = |text: &str| portcullis(&["explain", "--grant", "streams", text]).with(0).0;
    let out = explain("int fprintf(FILE*, const char*, ..., const char*)");
    assert!(out.contains("format"), "{out}");
    assert!(out.contains("__format(printf"), "{out}");
    // Another type behind the `...` is another plan.
    assert_ne!(out, explain("int fprintf(FILE*, const char*, ..., int)"));
}

#[test]
fn registers_are_drawn_byte_by_byte() {
    let text = "long f(int a, struct point { double x, y; } p, char c, long d, long e, long g, long h, short i)";
    let (out, _) = portcullis(&["explain", "--abi", "sysv", text]).with(0);
    let drawn = |name: &str| {
        let line = out.lines().find(|line| line.starts_with(&format!("    {name} ")));
        line.unwrap_or_else(|| panic!("{name} is not in:\n{out}"))
            .split_whitespace()
            .collect::<Vec<_>>()
    };
    assert_eq!(drawn("rdi"), ["rdi", "aaaa....", "a"]);
    assert_eq!(drawn("xmm1"), ["xmm1", "bbbbbbbb........", "p"]);
    assert_eq!(drawn("rsi"), ["rsi", "c.......", "c"]);
    assert_eq!(drawn("stack+0"), ["stack+0", "hh......", "i"]);
    assert_eq!(drawn("rax"), ["rax", "rrrrrrrr", "result"]);
    // A struct in memory has its eightbytes there, and one that is returned so its address in a register.
    let text = "struct big { long a[3]; char b; } f(struct big *__single _In_ p, struct big q)";
    let (out, _) = portcullis(&["explain", "--abi", "sysv", text]).with(0);
    assert!(out.contains("rdi       rrrrrrrr          address of result"), "{out}");
    assert!(
        out.contains("stack+24  b.......          q") || out.contains("stack+24  bbbbbbbb"),
        "{out}"
    );
}

#[test]
fn pages_have_drawings_of_registers_and_structs() {
    let files = folder(&[]);
    let path = files.path().join("page.html");
    let text = "int since(const struct stamp { long sec; int nsec; void *p; unsigned b : 3; const char *q; } *s, const char *t)";
    let _ = run(command().args(["explain", text, "--html"]).arg(&path));
    let page = std::fs::read_to_string(&path).expect("it was written");
    for part in [
        "<h2>registers and stack, a letter a byte</h2>",
        "<title>rdi, byte 0: s</title>",
        "stamp: the guest&#39;s 20 bytes beside the host&#39;s 40",
        "+0 sec, 4 B",
        "+0 sec, 8 B",
        "sign-extended",
        "the same bytes",
        // As the plan does it.
        "set by native code only",
        "copied, with what it points at",
        "at 12, bits 0..3",
        "const char *t",
        "<p>How a guest&#39;s module says, as text, that it wants the function.</p>",
        "<summary>as text</summary>",
        #[cfg(feature = "cranelift")]
        "<th rowspan=\"",
        #[cfg(feature = "cranelift")]
        "<td class=\"at\">0000</td><td class=\"at\">55</td><td>push rbp</td>",
    ] {
        assert!(page.contains(part), "{part} is not in:\n{page}");
    }
    assert!(!page.contains('\u{1b}') && !page.contains("<script"), "text and drawings only");
    let set = ["explain", "--grant", "sqlite3", "sqlite3_prepare_v2", "--html"];
    let _ = run(command().args(set).arg(&path));
    let page = std::fs::read_to_string(&path).expect("it was written");
    for part in ["<a href=\"#overload-2\">2</a>", "<article id=\"overload-2\">", "overload 2 of 2"]
    {
        assert!(page.contains(part), "{part} is not in:\n{page}");
    }
}

#[test]
fn a_name_that_nothing_grants_is_told_with_what_would() {
    for (args, said) in [
        (
            &["--grant", "sqlite3", "sqlite3_opn"][..],
            "sqlite3.h does not grant `sqlite3_opn`; similar names that it grants: `sqlite3_open`",
        ),
        (&["--grant", "sqlite3", "crc32"], "sqlite3.h does not grant `crc32`: add `--grant zlib`"),
        (&["qsorrt"], "; did you mean `qsort` (`--grant libc`)"),
        (
            &["--grant", "zlb", "crc32"],
            "cannot read the interface zlb; did you mean `zlib`? the interfaces",
        ),
        (&["cos"], "`cos` is a name, and no interface is given that grants it: add `--grant libm`"),
        (&["--grant", "libm", "frobnicate"], "write its prototype to see how it would be called"),
    ] {
        let ended = run(command().arg("explain").args(args));
        ended.says(1, &[said]);
    }
}
