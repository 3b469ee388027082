//! `check --header`: types that are more than one scalar, against what a C compiler says of them.
use crate::support::*;
use std::process::{Command, Stdio};

/// The C compilers of this machine whose debugging information is read.
fn compilers() -> Vec<&'static str> {
    let runs = |name: &&str| {
        let mut cc = Command::new(name);
        cc.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
        cc.status().is_ok_and(|status| status.success())
    };
    let mut all = vec!["cc"];
    all.extend(["gcc", "clang"].into_iter().filter(runs));
    all
}

/// What `check` says of the header, with each compiler. Nothing is asked of the library.
#[track_caller]
fn checked(ours: &str, real: &str, verify: impl Fn(&str)) {
    let ours = format!("#pragma portcullis library \"libc.so.6\"\n{ours}");
    let folder = folder(&[("real.h", real), ("x.h", &ours)]);
    for cc in compilers() {
        let mut check = command();
        check.arg("check").arg(folder.path().join("x.h")).args(["--cc", cc]);
        check.arg("--header").arg(folder.path().join("real.h"));
        let Ended { out, err, .. } = run(&mut check);
        assert!(out.contains("header: "), "{cc}:\n{out}{err}");
        verify(&format!("{cc}:\n{out}"));
    }
}

#[track_caller]
fn agree(ours: &str, real: &str, functions: usize) {
    checked(ours, real, |out| {
        assert!(out.ends_with(&format!("header: {functions} agree\n")), "{out}");
    });
}

/// One function differs, and all that is said of it begins like this.
#[track_caller]
fn differs(ours: &str, real: &str, how: &[&str]) {
    checked(ours, real, |out| {
        let said: Vec<&str> = out.lines().filter_map(|line| line.strip_prefix("    ")).collect();
        let told = said.iter().zip(how).all(|(said, how)| said.starts_with(how));
        assert!(told && said.len() == how.len(), "{how:?} is not all of:\n{out}");
        assert!(out.ends_with("header: 1 differ\n"), "{out}");
    });
}

/// One function has another type that looks the same to the machine.
#[track_caller]
fn retyped(ours: &str, real: &str, how: &str) {
    checked(ours, real, |out| {
        assert!(out.contains(how), "{how:?} is not in:\n{out}");
        assert!(out.ends_with("header: 1 retyped (ABI-equal)\n"), "{out}");
    });
}

const TAKES: &str = "int takes(struct r *_In_ p);";

/// The same struct behind a pointer, with these fields.
#[track_caller]
fn fields_differ(ours: &str, real: &str, how: &[&str]) {
    let ours = format!("struct r {{ {ours} }};\n{TAKES}\n");
    let real = format!("struct r {{ {real} }};\nint takes(struct r *p);\n");
    differs(&ours, &real, how);
}

#[test]
fn a_struct_by_value_has_the_fields_of_the_header() {
    let function = "struct point turn(struct point p);";
    differs(
        &format!("struct point {{ float x; }};\n{function}"),
        &format!("struct point {{ double x, y; }};\n{function}"),
        &[
            "parameter 1 `p`, field `x`: float here, double in the header",
            "parameter 1 `p`, field `y`: not here, double in the header",
        ],
    );
    let point = format!("struct point {{ double x, y; }};\n{function}");
    agree(&point, &point, 1);
    differs(
        "struct s { int a; };\nvoid get(void);",
        "struct s { int a; };\nstruct s get(void);",
        &["result: void here, struct s in the header"],
    );
}

#[test]
fn a_struct_behind_a_pointer_has_the_fields_of_the_header() {
    let at = |what: &str| format!("parameter 1 `p`, field {what}");
    let one = |ours, real, how: &str| fields_differ(ours, real, &[&at(how)]);
    one("int a; int b;", "int a; int c; int b;", "`c`: not here, int in the header");
    one("int a; int b;", "int a;", "`b`: int here, not in the header");
    one("int a; long b;", "int a; double b;", "`b`: long here, double in the header");
    let moved = [
        at("`a`: at byte 0 here, at byte 4 in the header"),
        at("`b`: at byte 4 here, at byte 0 in the header"),
    ];
    fields_differ("int a; int b;", "int b; int a;", &moved.each_ref().map(|how| &**how));
    one("int a[3];", "int a[4];", "`a`: int [3] here, int [4] in the header");
    one("char a[8];", "signed char *a;", "`a`: char [8] here, signed char * in the header");
    one("unsigned a : 3;", "unsigned a : 4;", "`a`: unsigned int : 3 here, unsigned int : 4 in");
    one("int a : 3;", "int a;", "`a`: int : 3 here, int in the header");
    one("int a : 3;", "unsigned a : 3;", "`a`: int : 3 here, unsigned int : 3 in the header");
    one(
        "int a : 3; int : 2; int b : 3;",
        "int a : 3; int b : 3;",
        "`b`: at bit 5 here, at bit 3 in",
    );
    one("struct { int b; } a;", "struct { float b; } a;", "`a.b`: int here, float in the header");
    one(
        "union { int b; float c; };",
        "union { int b; double c; };",
        "`c`: float here, double in the header",
    );
    one(
        "struct r *_Nullable a; int b;",
        "struct r *a; float b;",
        "`b`: int here, float in the header",
    );
}

#[test]
fn size_and_alignment_are_those_of_the_header() {
    let record = |attribute: &str| format!("struct {attribute} r {{ int a; int b; }};\n");
    let real = "int takes(struct r *p);";
    let (plain, packed) = (record(""), record("__attribute__((packed))"));
    let wide = record("__attribute__((aligned(16)))");
    let align = "parameter 1 `p`: struct r has an alignment of";
    differs(
        &format!("{plain}{TAKES}"),
        &format!("{packed}{real}"),
        &[&format!("{align} 4 here, of 1 in the header")],
    );
    differs(
        &format!("{packed}{TAKES}"),
        &format!("{plain}{real}"),
        &[&format!("{align} 1 here, of 4 in the header")],
    );
    differs(
        &format!("{plain}{TAKES}"),
        &format!("{wide}{real}"),
        &[
            "parameter 1 `p`: struct r has a size of 8 here, of 16 in the header",
            &format!("{align} 4 here, of 16 in the header"),
        ],
    );
    agree(&format!("{packed}{TAKES}"), &format!("{packed}{real}"), 1);
}

#[test]
fn records_that_lead_back_to_themselves_are_compared_once() {
    let tree = |kind: &str, null: &str| {
        format!(
            "struct leaf {{ {kind} value; }};\n\
             struct node {{ struct node *{null} left, *{null} right; struct tree *{null} in; struct leaf *leaf; }};\n\
             struct tree {{ struct node *root; int count; }};\n"
        )
    };
    let (null, nothing) = ("_Nullable", "");
    let (ours, real) = ("int walk(struct tree *_In_ t);", "int walk(struct tree *t);");
    let walk = format!("{}{ours}", tree("int", null));
    agree(&walk, &format!("{}{real}", tree("int", nothing)), 1);
    differs(
        &walk,
        &format!("{}{real}", tree("float", nothing)),
        &["parameter 1 `t`, field `root->leaf->value`: int here, float in the header"],
    );
}

#[test]
fn what_is_incomplete_here_is_a_name_and_nothing_more() {
    agree(
        "struct box; struct lid;\nint use(struct box *b, struct lid *l);",
        "struct box { int a; struct lid *l; }; struct lid;\nint use(struct box *b, struct lid *l);",
        1,
    );
    differs(
        &format!("struct r {{ int a; }};\n{TAKES}"),
        "struct r;\nint takes(struct r *p);",
        &["parameter 1 `p`: struct r is complete here, incomplete in the header"],
    );
}

#[test]
fn records_without_a_tag_are_compared_by_their_fields() {
    let div = "typedef struct { int quot; int rem; } div_t;\ndiv_t div(int a, int b);";
    agree(div, "#include <stdlib.h>\n", 1);
    agree(div, div, 1);
    differs(
        "typedef struct { int quot; long rem; } div_t;\ndiv_t div(int a, int b);",
        "#include <stdlib.h>\n",
        &["result, field `rem`: long here, int in the header"],
    );
    // Names that differ are another type to C, and nothing else to the machine.
    retyped(
        "typedef struct { int quot; int rem; } parts;\nparts div(int a, int b);",
        "#include <stdlib.h>\n",
        "result: parts here, div_t in the header",
    );
    retyped(
        "struct parts { int quot; int rem; };\nstruct parts div(int a, int b);",
        "#include <stdlib.h>\n",
        "result: struct parts here, div_t in the header",
    );
}

#[test]
fn fields_may_be_retyped() {
    retyped(
        "struct r { unsigned a; const char *s; };\nint takes(struct r p);",
        "struct r { int a; char *s; };\nint takes(struct r p);",
        "parameter 1 `p`, field `a`: unsigned int here, int in the header",
    );
    let long = |kind: &str| format!("struct r {{ {kind} a; }};\nint takes(struct r p);");
    agree(&long("long long"), &long("long"), 1);
}

#[test]
fn records_of_callbacks_are_compared() {
    differs(
        "struct p { float x; };\nint each(int (*f)(const struct p *p));",
        "struct p { double x; };\nint each(int (*f)(const struct p *p));",
        &["parameter 1 `f`, its parameter 1, field `x`: float here, double in the header"],
    );
}

#[test]
fn complex_types_agree_by_what_they_are() {
    agree(
        "double _Complex csqrt(double _Complex z);\nfloat cabsf(float _Complex z);\n\
         long double cabsl(long double _Complex z);",
        "#include <complex.h>\n",
        3,
    );
    differs(
        "float _Complex csqrt(double _Complex z);",
        "#include <complex.h>\n",
        &["result: float _Complex here, double _Complex in the header"],
    );
    differs(
        "struct z { float _Complex z; };\nint f(struct z z);",
        "struct z { double _Complex z; };\nint f(struct z z);",
        &["parameter 1 `z`, field `z`: float _Complex here, double _Complex in the header"],
    );
    agree(
        "struct z { float _Complex z; };\nint f(struct z z);",
        "struct z { float _Complex z; };\nint f(struct z z);",
        1,
    );
}

#[test]
fn vectors_and_wide_scalars_agree_by_what_they_are() {
    let four = "typedef float four __attribute__((vector_size(16)));\n";
    let function = "four scale(four a, float b);";
    agree(&format!("{four}{function}"), &format!("{four}{function}"), 1);
    retyped(
        "typedef int four __attribute__((vector_size(16)));\nint sum(four a);",
        &format!("{four}int sum(four a);"),
        "parameter 1 `a`: int __attribute__((vector_size(16))) here, \
         __attribute__((vector_size(16))) float in the header",
    );
    differs(
        "typedef float four __attribute__((vector_size(8)));\nint sum(four a);",
        &format!("{four}int sum(four a);"),
        &["parameter 1 `a`: float __attribute__((vector_size(8))) here, \
           __attribute__((vector_size(16))) float in the header"],
    );
    let wide = "struct w { __int128 i; unsigned __int128 u; long double l; };\n\
        __int128 f(struct w w, unsigned __int128 u, long double l);";
    agree(wide, wide, 1);
    differs(
        "int f(long i);",
        "int f(__int128 i);",
        &["parameter 1 `i`: long here, __int128 in the header"],
    );
}

#[test]
fn a_struct_that_differs_is_told_once_with_the_functions_that_use_it() {
    let text = |field: &str| {
        format!(
            "struct part {{ {field} part; }};\nstruct s {{ int same; struct part inner; }};\n\
             void f(const struct s *s);\nvoid g(int n, const struct s *t);\n\
             void h(const struct s *u);\nvoid i(const struct part *p, int n);\nvoid j(int n);\n"
        )
    };
    checked(&text("int"), &text("long"), |out| {
        assert_eq!(out.matches("int here, long").count(), 1, "{out}");
        assert!(out.contains("`f`\n    parameter 1 `s`, field `inner.part`: int here"), "{out}");
        assert!(out.contains("differs: `g`, `h`: struct s differs, as told for `f`\n"), "{out}");
        assert!(out.contains("differs: `i`: struct part differs, as told for `f`\n"), "{out}");
        assert!(out.contains("1 agree, 4 differ"), "{out}");
    });
}
