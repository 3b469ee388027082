//! `check`: interfaces against libraries and headers.
use crate::support::*;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

/// The interfaces that ship, and the real headers that declare their functions.
pub const SHIPPED: [(&str, &[&str]); 11] = [
    ("libm", &["math.h", "complex.h"]),
    (
        "libc",
        &[
            "ctype.h",
            "inttypes.h",
            "stdio.h",
            "stdlib.h",
            "string.h",
            "strings.h",
            "sys/random.h",
            "time.h",
            "unistd.h",
            "arpa/inet.h",
        ],
    ),
    ("zlib", &["zlib.h"]),
    ("gzfile", &["zlib.h"]),
    ("sqlite3", &["sqlite3.h"]),
    ("streams", &["stdio.h"]),
    ("datetime", &["time.h"]),
    ("cblas", &["cblas.h"]),
    (
        "crypto",
        &[
            "openssl/evp.h",
            "openssl/hmac.h",
            "openssl/rand.h",
            "openssl/crypto.h",
            "openssl/err.h",
            "openssl/sha.h",
            "openssl/md5.h",
        ],
    ),
    ("expat", &["expat.h"]),
    ("gmp", &["gmp.h"]),
];

#[test]
fn every_shipped_interface_agrees_with_library_and_header() {
    let mut skipped = Vec::new();
    for (name, headers) in SHIPPED {
        portcullis(&["check", name]).with(0);
        let there = headers.iter().all(|header| has_header(header));
        if !there {
            skipped.push(name);
            continue;
        }
        let mut check = command();
        check.args(["check", name]);
        for header in headers {
            check.args(["--header", header]);
        }
        let (out, err) = run(&mut check).with(0);
        assert!(out.contains("header: ") && !out.contains("differ"), "{name}:\n{out}{err}");
    }
    if !skipped.is_empty() {
        eprintln!("skipped for want of headers: {}", skipped.join(", "));
    }
    // Those of the C library come with any C compiler.
    assert!(SHIPPED.len() - skipped.len() >= 2, "only without {skipped:?}");
}

fn has_header(name: &str) -> bool {
    let mut cc = Command::new("cc");
    cc.args(["-E", "-x", "c", "-"]).stdin(Stdio::piped());
    let mut child =
        cc.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a C compiler is installed");
    let mut input = child.stdin.take().expect("a pipe");
    writeln!(input, "#include <{name}>").expect("it reads");
    drop(input);
    child.wait().expect("it ends").success()
}

const REAL_HEADER: &str = "
typedef unsigned long word;
struct box;
word agrees(word a, const char *b, struct box *c);
int retyped(int (*callback)(void *), void *arg);
int narrowed(void *handle);
int differs(long a);
short sign(unsigned char a);
int points(unsigned long *out);
int more(int a, int b);
#define macro(x) ((x) + 1)
int (macro)(int x);
";

const INTERFACE: &str = "
#pragma portcullis library \"libx.so\"
typedef unsigned long number;
struct box; struct handle;
number agrees(number a, const char *b, struct box *c);
int retyped(intptr_t callback __range(0), intptr_t arg __range(0));
int narrowed(struct handle *handle);
int differs(int a);
short sign(signed char a);
int points(unsigned *_Out_ out);
int more(int a);
int macro(int x);
int undeclared(int x);
";

#[test]
fn check_tells_what_agrees_from_what_is_retyped_and_what_differs() {
    let folder = folder(&[("real.h", REAL_HEADER), ("x.h", INTERFACE)]);
    let source = folder.path().join("x.c");
    let mut code = String::new();
    for name in ["agrees", "retyped", "narrowed", "differs", "sign", "points", "more", "macro"] {
        let _ = writeln!(code, "int {name}(void) {{ return 0; }}");
    }
    fs::write(&source, code).expect("a source file");
    let library = folder.path().join("libx.so");
    let built =
        Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status();
    assert!(built.expect("a C compiler is installed").success());
    let mut check = command();
    check.arg("check").arg(folder.path().join("x.h"));
    check.arg("--header").arg(folder.path().join("real.h"));
    check.arg("--library").arg(format!("libx.so={}", path_text(&library)));
    let (out, _) = run(&mut check).with(1);
    for (kind, name) in [
        ("retyped (ABI-equal)", "retyped"),
        ("retyped (ABI-equal)", "narrowed"),
        ("differs", "differs"),
        ("differs", "sign"),
        ("differs", "points"),
        ("differs", "more"),
        ("not in the header", "undeclared"),
        ("missing", "undeclared"),
    ] {
        let said =
            out.lines().any(|line| line.starts_with(kind) && line.contains(&format!("`{name}`")));
        assert!(said, "{kind}: {name} is not in:\n{out}");
    }
    assert!(
        out.contains(
            "parameter 1 `callback`: intptr_t __range(0) here, int (*)(void *) in the header"
        ),
        "{out}"
    );
    assert!(
        out.contains("header: 2 agree, 2 retyped (ABI-equal), 4 differ, 1 not in the header"),
        "{out}"
    );
}

#[test]
fn check_tells_what_is_the_guests_own_free_from_what_cannot_be_called_yet() {
    let (out, _) = portcullis(&["check", "sqlite3"]).with(0);
    assert!(out.contains("`sqlite3_free` is bound to the guest's own `free`"), "{out}");
    let interface = "#pragma portcullis library \"libc.so.6\"\n\
        char *__null_terminated __freed_by(free) strdup(const char *s);\n\
        void free(void *p);\nint puts(struct { const char *text; } s);\n";
    let folder = folder(&[("own.h", interface)]);
    let (out, _) = run(command().arg("check").arg(folder.path().join("own.h"))).with(0);
    for part in [
        "own.h:3: `free` is bound to the guest's own `free`",
        "own.h:4: `puts`: pointers in structs that are passed by value are not followed",
        "1 function can be called, 1 is bound to the guest's own `free`, 1 cannot be",
    ] {
        assert!(out.contains(part), "{part:?} is not in:\n{out}");
    }
}

#[test]
fn check_says_why_a_header_or_compiler_cannot_be_used() {
    portcullis(&["check", "zlib", "--header", "nosuch.h"])
        .says(1, &["the C compiler `cc` cannot compile the header", "nosuch.h"]);
    portcullis(&["check", "zlib", "--header", "zlib.h", "--cc", "nosuchcc"])
        .says(1, &["cannot run the C compiler `nosuchcc`", "--cc"]);
    let folder =
        folder(&[("wrong.h", "#pragma portcullis library \"libx.so\"\nint f(unit8_t x);\n")]);
    run(command().arg("check").arg(folder.path().join("wrong.h")))
        .says(1, &["wrong.h:2:7", "did you mean `uint8_t`"]);
}

#[test]
fn check_says_what_helps_and_a_missing_library_once() {
    let interface = "#pragma portcullis library \"libno-such-one.so.9\"\n\
        int one(int x);\nint two(int x);\nint three(int x);\nint four(int x);\nint five(int x);\n";
    let bound = "#pragma portcullis library \"libc.so.6\"\n\
        int puts(struct { const char *text; } s);\nint getpid(int x);\n";
    let folder = folder(&[("missing.h", interface), ("own.h", bound)]);
    let (out, _) = run(command().arg("check").arg(folder.path().join("missing.h"))).with(1);
    let missing: Vec<&str> = out.lines().filter(|line| line.starts_with("missing:")).collect();
    let [once] = &missing[..] else { panic!("{out}") };
    assert!(once.starts_with("missing: `one`, `two`, `three`, `four` and 1 more: "), "{once}");
    assert!(out.contains("symbols: libno-such-one.so.9: 5 functions missing"), "{out}");
    let (out, _) = run(command().arg("check").arg(folder.path().join("own.h"))).with(0);
    let mut lines = out.lines().skip_while(|line| !line.starts_with("refused:"));
    assert!(lines.next().is_some_and(|line| line.contains("`puts`")), "{out}");
    assert_eq!(lines.next(), Some("    help: pass a pointer to the struct"), "{out}");
}

#[test]
fn what_seems_to_lack_an_annotation_is_warned_of_and_can_be_meant() {
    let text = "#pragma portcullis library \"libc.so.6\" module \"c\"\nstruct stream;\n\
                int fclose(struct stream *stream);\nchar *getenv(const char *name);\n";
    let folder = folder(&[("c.h", text)]);
    let check =
        |options: &[&str]| run(command().arg("check").arg(folder.path().join("c.h")).args(options));
    let (out, _) = check(&[]).with(0);
    assert!(out.contains("c.h:3: `fclose` seems to end the `struct stream`"), "{out}");
    assert!(out.contains("c.h:4: `getenv` returns memory of the library"), "{out}");
    assert!(out.contains("what is meant as it is: --intended fclose\n"), "{out}");
    let (out, _) = check(&["--intended", "fclose", "--intended", "getenv"]).with(0);
    assert!(!out.contains("warning") && !out.contains("--intended"), "{out}");
    check(&["--intended", "fclos"]).says(2, &["has no such function, did you mean `fclose`?"]);
}

#[test]
fn overloads_that_share_arguments_are_warned_of() {
    let text = "#pragma portcullis library \"libc.so.6\" module \"c\"\n\
                int setopt(int __range(1, 5) what, long n);\n\
                int setopt(int __range(5, 9) what, const char *s);\n\
                int setopt(int __range(7, 8) what, int n);\n\
                int setopt(int __range(1, 4) what, int64_t n);\n\
                int apart(int __range(1, 4) what, long n);\nint apart(int __range(5, 6) what, int n);\n\
                int wide(int __range(0, 3) a, int __range(0, 3) b);\n\
                int wide(int a, int __range(9, 9) b);\n\
                int wide(int a, int __range(3, 5) b);\n";
    let folder = folder(&[("o.h", text)]);
    let check =
        |options: &[&str]| run(command().arg("check").arg(folder.path().join("o.h")).args(options));
    let (out, _) = check(&[]).with(1);
    for said in [
        "o.h:3: this overload of `setopt` overlaps with the one of line 2 where `what` is 5: the first, of \
         line 2, is taken there",
        "o.h:4: this overload of `setopt` can never be taken: the one of line 3 is first, for all its arguments",
        "o.h:10: this overload of `wide` overlaps with the one of line 8 where `a` is 0 to 3 and `b` is 3: ",
    ] {
        assert!(out.contains(said), "{said} is not in:\n{out}");
    }
    // Another wasm type is another set.
    assert!(!out.contains("overload of `apart`"), "{out}");
    assert_eq!(out.matches("this overload of").count(), 3, "{out}");
    let (out, _) = check(&["--intended", "setopt", "--intended", "wide"]).with(1);
    assert!(!out.contains("warning"), "{out}");
}

#[test]
fn what_ships_has_no_overloads_that_share_arguments() {
    let headers = fs::read_dir(root().join("interfaces"))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path());
    for header in headers.filter(|path| path.extension().is_some_and(|end| end == "h")) {
        // Some of their libraries may not be here, and what guests include is no interface.
        let ended = run(command().arg("check").arg(&header));
        assert!(!ended.out.contains("this overload of"), "{}:\n{}", header.display(), ended.out);
    }
}

#[test]
fn an_interface_without_functions_and_a_library_that_it_does_not_name_are_told() {
    let folder = folder(&[
        ("empty.h", ""),
        ("m.h", "#pragma portcullis library \"libm.so.6\"\ndouble cos(double x);\n"),
    ]);
    let check = |name: &str| {
        let mut check = command();
        check.arg("check").arg(folder.path().join(name));
        check
    };
    let (out, err) = run(&mut check("empty.h")).with(1);
    assert!(err.contains("grants nothing") && !out.contains("symbols"), "{out}{err}");
    let m = folder.path().join("m.h");
    let option = |name: &str| format!("{name}={}", path_text(&m));
    let (_, err) = run(check("m.h").args(["--library", &option("libn.so.6")])).with(0);
    assert!(err.contains("`--library libn.so.6=...` does nothing: no pragma of "), "{err}");
    assert!(err.contains("did you mean `libm.so.6`?"), "{err}");
    let (_, err) = run(check("m.h").args(["--library", &option("libm.so.6")])).with(1);
    assert!(!err.contains("does nothing"), "{err}");
}
