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
    let (cranelift, direct) = ("machine code, cranelift\n", "machine code, direct\n");
    for part in ["CLIF, direct\n", "; 2  buffer", "redo: the interpreter", cranelift, direct] {
        assert!(out.contains(part), "{part} is not in:\n{out}");
    }
    let (out, _) = portcullis(&["explain", "long double fabsl(long double x)"]).with(0);
    assert!(out.contains("%enter_native"), "the interpreter's stub makes the call:\n{out}");
    assert!(out.contains("none: a part of the call that the interpreter does"), "{out}");
}

#[test]
fn explain_knows_the_functions_of_a_granted_interface() {
    let (out, _) = portcullis(&["explain", "--grant", "sqlite3", "sqlite3_prepare_v2"]).with(0);
    assert!(out.contains("sqlite3_stmt"), "{out}");
    // Both grants of an overloaded function.
    assert_eq!(out.matches("prototype\n").count(), 2, "{out}");
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
    let text = "int since(const struct stamp { long sec; int nsec; void *p; unsigned b : 3; } *s, const char *t)";
    let _ = run(command().args(["explain", text, "--html"]).arg(&path));
    let page = std::fs::read_to_string(&path).expect("it was written");
    for part in [
        "<h2>registers and stack, a letter a byte</h2>",
        "<title>rdi, byte 0: s</title>",
        "stamp: the guest&#39;s 16 bytes beside the host&#39;s 32",
        "+0 sec, 4 B",
        "+0 sec, 8 B",
        "sign-extended",
        "the same bytes",
        "checked, made an address",
        "at 12, bits 0..3",
        "const char *t",
        "<p>The type of the function that the guest imports.</p>",
        "<summary>as text</summary>",
    ] {
        assert!(page.contains(part), "{part} is not in:\n{page}");
    }
    assert!(!page.contains('\u{1b}') && !page.contains("<script"), "text and drawings only");
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
