//! Whole interfaces: what they grant, and what they may not say. Single prototypes: `tests`.
use super::super::{Integer, Interface, NoteKind, RecordKind, TypeKind, parse_prototype};
use super::*;

const ZLIB: &str = "#pragma portcullis library \"libz.so.1\" module \"zlib\"\n";

fn parse(text: &str) -> Interface {
    let text = format!("{ZLIB}{text}");
    parse_interface("test.h", &text).unwrap_or_else(|errors| panic!("{errors}"))
}

fn messages(text: &str) -> Vec<String> {
    let errors = parse_interface("test.h", text).expect_err(text);
    errors.list().iter().map(|error| error.message.clone()).collect()
}

/// The messages of a text that follows a pragma.
fn granted_messages(text: &str) -> Vec<String> {
    messages(&format!("{ZLIB}{text}"))
}

#[test]
fn all_interfaces_that_ship_are_read() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("interfaces");
    let mut read = 0;
    for entry in std::fs::read_dir(folder).expect("the folder of interfaces") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !name.ends_with(".h") || name == "portcullis.h" {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a readable interface");
        let interface = parse_interface(name, &text).unwrap_or_else(|errors| panic!("{errors}"));
        assert!(!interface.grants.is_empty(), "{name} grants nothing");
        for grant in &interface.grants {
            let printed = grant.prototype.to_string();
            let again = parse_declaration(&printed, &interface.scope);
            let again = again.unwrap_or_else(|errors| panic!("{name}: {errors}"));
            assert_eq!(again, *grant.prototype, "{name}: {printed}");
        }
        read += 1;
    }
    assert!(read >= 4, "only {read} interfaces found");
}

#[test]
fn libraries_and_their_prototypes() {
    let interface = parse(
        "int a(int x);
         #pragma portcullis library \"libm.so.6\" module \"libm\" also \"libc.so.6\" also \"/lib/x.so\"
         int b(int x);
         #pragma portcullis library \"libz.so.1\" module \"zlib\"
         int c(int x), d(void);",
    );
    assert_eq!(interface.libraries.len(), 2);
    assert_eq!(&*interface.libraries[0].file, "libz.so.1");
    assert_eq!(interface.libraries[1].also.len(), 2);
    let of: Vec<_> =
        interface.grants.iter().map(|g| (g.library, g.prototype.to_string())).collect();
    let expected =
        [(0, "int a(int x)"), (1, "int b(int x)"), (0, "int c(int x)"), (0, "int d(void)")];
    assert_eq!(of, expected.map(|(at, text)| (at, text.to_owned())));
    assert_eq!(interface.find("b").count(), 1);
    assert_eq!(interface.find("e").count(), 0);
}

#[test]
fn pragmas_are_checked() {
    for (pragma, message) in [
        ("librari \"x\"", "`#pragma portcullis` names a library"),
        ("library", "a string has to follow here"),
        ("library \"\"", "this is no name"),
        ("library \"../x.so\"", "a relative path means another file everywhere"),
        ("library \"a\" module", "a string has to follow here"),
        ("library \"a\" module \"b\" module \"c\"", "this was said already"),
        ("library \"a\" also \"./b\"", "a relative path means another file everywhere"),
        ("library \"a\" modul \"b\"", "this says nothing about a library"),
    ] {
        let text = format!("#pragma portcullis {pragma}\n");
        assert_eq!(messages(&text), [message], "{pragma}");
    }
    let twice = "#pragma portcullis library \"b\" module \"zlib\"\n";
    assert_eq!(granted_messages(twice), ["two libraries are called `zlib`"]);
    assert_eq!(messages("int f(void);"), ["nothing says which library has `f`"]);
}

#[test]
fn conditions_choose_what_is_read() {
    let interface = parse(
        "#ifndef GUARD_H
         #define GUARD_H
         #ifdef __cplusplus
         extern \"C\" { it's skipped
         #endif
         #if defined(__PORTCULLIS__) && !defined __cplusplus && __STDC_VERSION__ >= 201112L
         int yes1(void);
         #elif 1
         int no1(void);
         #else
         int no2(void);
         #endif
         #if 0
         # if 1
         int no3(void);
         # else
         int no4(void);
         # endif
         #elif UNKNOWN + 2 == 2
         int yes2(void);
         #endif
         #undef GUARD_H
         #ifndef GUARD_H
         extern \"C\" { int yes3(void); }
         extern int yes4(void);
         #endif
         #endif
         PORTCULLIS_MODULE(\"zlib\") int yes5(void); PORTCULLIS_END",
    );
    let names: Vec<_> = interface.grants.iter().map(|g| g.prototype.name.to_string()).collect();
    assert_eq!(names, ["yes1", "yes2", "yes3", "yes4", "yes5"]);
}

#[test]
fn directives_are_checked() {
    for (text, message) in [
        ("#if 1\n", "this condition has no `#endif`"),
        ("#endif\n", "this `#endif` ends no condition"),
        ("#else\n#endif\n", "this `#else` has no `#if`"),
        ("#if 0\n#else\n#else\n#endif\n", "this `#else` follows an `#else`"),
        ("#if\n#endif\n", "expected an expression, found the end"),
        ("#if 1 / 0\n#endif\n", "a division by zero"),
        ("#if 1 2\n#endif\n", "expected an operator after an expression, found `2`"),
        ("#ifdef 3\n#endif\n", "`#ifdef` takes one name"),
        ("#define 3\n", "`#define` takes a name"),
        ("#define A 1\n#define A 2\n", "`A` is defined twice, differently"),
        ("#include <zlib.h>\n", "this header is not read"),
        ("#include \"stdint.h\" \n#inclue <stdint.h>\n", "there is no directive of this name"),
        ("#error no\n", "the interface refuses: no"),
    ] {
        assert_eq!(messages(text)[0], message, "{text}");
    }
}

#[test]
fn macros_are_replaced_and_integers_kept() {
    let interface = parse(
        "#define ZEXTERN extern
         #define ZEXPORT
         #define MAX_WBITS 15 /* window */
         #define SIZE (1 << MAX_WBITS) \\
             + 1
         #define NEGATIVE (-2)
         #define CAST ((void (*)(void *))0)
         #define TEXT \"1.2\"
         #define LOOP LOOP
         #define MIN(a, b) ((a) < (b) ? (a) : (b))
         #define voidpf void *
         enum level { LOW = -1, HIGH = SIZE };
         #define BEST HIGH
         ZEXTERN int ZEXPORT f(const voidpf __sized_by(SIZE) p, int n __range(LOW, HIGH));
         #undef MAX_WBITS
         #define MAX_WBITS 16",
    );
    assert_eq!(
        interface.grants[0].prototype.to_string(),
        "int f(const void *__sized_by(32769) p, int __range(-1, 32769) n)"
    );
    let constant = |name: &str| interface.scope.constants.get(name).copied();
    assert_eq!(constant("MAX_WBITS"), Some(16));
    assert_eq!(constant("SIZE"), Some(65537));
    assert_eq!(constant("NEGATIVE"), Some(-2));
    assert_eq!(constant("BEST"), Some(32769));
    for none in ["CAST", "TEXT", "LOOP", "MIN", "voidpf", "ZEXPORT"] {
        assert_eq!(constant(none), None, "{none}");
    }
    assert_eq!(
        granted_messages("#define F(x) x\nint f(int x __range(F(1)));"),
        ["`F` is a macro with parameters"]
    );
}

#[test]
fn annotations_keep_their_meaning() {
    let interface = parse(
        "#define __counted_by(n)
         #define _Nullable
         #define PORTCULLIS_MODULE(name)
         PORTCULLIS_MODULE(\"zlib\")
         int f(char *_Nullable __counted_by(4) b);",
    );
    assert_eq!(
        interface.grants[0].prototype.to_string(),
        "int f(char *_Nullable __counted_by(4) b)"
    );
}

#[test]
fn of_an_unknown_type_nothing_more_is_said() {
    let found = granted_messages(
        "typedef unit8_t byte;
         typedef byte *bytes;
         int f(bytes b, byte *p, byte x __counted_by(3));",
    );
    assert_eq!(found, ["unknown type name `unit8_t`"]);
}

#[test]
fn guests_may_use_the_names_of_an_interface() {
    let interface = parse(
        "typedef struct sqlite3 sqlite3 __drop(close_db);
         typedef unsigned char Byte;
         #define LIMIT 9
         int close_db(sqlite3 *__consumes db);",
    );
    let guest = "int f(sqlite3 *db, const Byte buf[LIMIT])";
    let prototype = parse_prototype(guest, &interface.scope).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(
        prototype.to_string(),
        "int f(struct sqlite3 *db, const unsigned char *__counted_by(9) buf)"
    );
    let record = prototype.function.params[0].ty.pointee().map(|p| p.kind.clone());
    let Some(TypeKind::Record(record)) = record else { panic!("no record") };
    let drop = interface.scope.drop_of(&record).map(ToString::to_string);
    assert_eq!(drop.as_deref(), Some("close_db"));
}

#[test]
fn records_may_be_completed_later() {
    let interface = parse(
        "typedef struct list list;
         int sum(list *l);
         struct list { int value; struct list *next; };",
    );
    let ty = &interface.grants[0].prototype.function.params[0].ty;
    let Some(TypeKind::Record(record)) = ty.pointee().map(|p| &p.kind) else { panic!("no record") };
    assert_eq!(record.body.as_ref().map(|body| body.fields.len()), Some(2));
    let key = (RecordKind::Struct, "list".into());
    assert!(interface.scope.records.contains_key(&key));
}

#[test]
fn typedefs_carry_their_annotations() {
    let interface = parse(
        "typedef int fd_t __handle;
         typedef const char *_Nullable name_t;
         int shut(fd_t fd __consumes);
         int open_it(name_t name);",
    );
    let param = |at: usize| &interface.grants[at].prototype.function.params[0].ty;
    assert_eq!(param(0).kind, TypeKind::Integer(Integer::Int));
    assert!(param(0).has(|k| *k == NoteKind::Handle));
    assert!(param(1).has(|k| *k == NoteKind::Nullable));
    let written = interface.grants[0].prototype.as_written().to_string();
    assert_eq!(written, "int shut(fd_t __consumes fd)");
}

#[test]
fn functions_are_leaves_unless_something_calls_back() {
    let leaves = |text: &str| -> Vec<bool> { parse(text).grants.iter().map(|g| g.leaf).collect() };
    assert_eq!(leaves("int f(int x); int g(int x) __leaf;"), [true, true]);
    assert_eq!(
        leaves("int f(int x); int g(int x) __leaf; int h(int (*cb)(int));"),
        [false, true, false]
    );
    assert_eq!(
        leaves(
            "struct ops { int x; struct { int (*run)(int); } in; }; int f(struct ops *o); int g(void);"
        ),
        [false, false]
    );
    // Retyped to an integer that has to be 0, it is no callback any more.
    assert_eq!(leaves("int f(intptr_t callback __range(0));"), [true]);
}

#[test]
fn overloads_differ_in_ranges() {
    let set = parse(
        "int opt(struct curl *c, int o __range(1, 9), long v);
         int opt(struct curl *c, int o __range(10), const char *v);",
    );
    assert_eq!(set.find("opt").count(), 2);
    for same in [
        "int f(int x); int f(int x);",
        "int f(int x); int f(long x);",
        "int f(int x __range(1)); int f(int x);",
        "int f(int x __range(1)); int f(long x __range(1));",
    ] {
        assert_eq!(granted_messages(same), ["`f` is granted twice"], "{same}");
    }
    // Another library may have a function of the same name.
    let other = "#pragma portcullis library \"b\"\n";
    assert_eq!(parse(&format!("int f(int x);\n{other}int f(int x);")).grants.len(), 2);
}

#[test]
fn contradictions_between_declarations() {
    for (text, message) in [
        ("typedef int t; typedef long t;", "`t` is defined twice"),
        ("typedef int size_t;", "`size_t` is defined twice"),
        (
            "struct s { int a; }; struct s { int b; };",
            "`struct s` is defined twice, with different bodies",
        ),
        ("enum e { A }; enum e { B };", "`enum e` is defined twice, with different constants"),
        ("enum { A }; enum { B, A };", "`A` is defined twice, with different values"),
        ("int opterr;", "this declares no function"),
        ("extern char **environ;", "`environ` cannot be read"),
        ("extern struct t { int a; } t;", "`t` cannot be read"),
        ("extern int (*hook)(int);", "`hook` cannot be read"),
        ("extern long double pi;", "`pi` has more than 64 bits"),
        ("extern char *optarg;", "what `optarg` points at is not `const`"),
        ("extern char name[16];", "the array `name` is not `const`"),
        ("extern const int table[];", "the array `table` has no length"),
        ("extern const void *start;", "nothing says how far `start` reaches"),
        ("extern const char *const names[3];", "`names` cannot be read"),
        ("extern int x __errno;", "`__errno` describes a function, and this is data"),
        ("int f(void) { return 1; }", "an interface has no function bodies"),
        ("static inline int f(void);", "`static` has no place here: a library does not export it"),
        ("int;", "this declares nothing"),
        ("typedef struct s s __drop(f);", "this interface does not grant `f`"),
        (
            "typedef struct s s __drop(f); int f(s *p);",
            "`f` destroys a `struct s`, but does not say that it does",
        ),
        ("typedef struct s s __drop(f); int f(int x);", "`f` cannot be what destroys a `struct s`"),
        (
            "typedef int s __drop(f);",
            "`__drop(f)` describes the typedef of an opaque struct, or of a `__handle`",
        ),
        (
            "typedef struct s s __drop(f); typedef struct s t __drop(g); int f(s *__consumes x); int g(s *__consumes x);",
            "`struct s` is destroyed in two ways",
        ),
        (
            "char *__null_terminated __freed_by(free) f(void);",
            "this interface does not grant `free`",
        ),
        ("char *__null_terminated __freed_by(g) f(void); void g(int x);", "`g` cannot free memory"),
        ("int f(char b[g(n)], int n); int g(int n);", "`g` is not said to be free of side effects"),
        (
            "int f(char b[g(n, n)], int n); int g(int n) __attribute__((pure));",
            "`g` takes 1 arguments, found 2",
        ),
        (
            "int f(char b[g(s)], struct s *s); int g(struct t *t) __attribute__((pure));",
            "`s` is not the `struct t *` that is asked for",
        ),
        (
            "int f(char b[g(n)], int n); double g(int n) __attribute__((pure));",
            "`g` does not return an integer",
        ),
        ("int f(struct h *h, char b[h.size]);", "nothing remembers `size`"),
    ] {
        assert_eq!(granted_messages(text)[0], message, "{text}");
    }
    for fine in [
        "typedef int t; typedef int t; typedef unsigned long size_t;",
        "struct s { int a; }; struct s { int a; }; enum e { A = 1 }; enum e { A = 1 };",
        "char *__null_terminated __freed_by(free) f(void); void free(void *p);",
        "struct h *make(int n) __remember(size = n); int f(struct h *h, char b[h.size]);",
    ] {
        parse(fine);
    }
}

#[test]
fn attributes_of_typedefs_are_kept_or_refused() {
    let vector = "typedef float v4 __attribute__((vector_size(16)));";
    let kind = |text: &str| parse(text).scope.typedefs["v4"].kind.clone();
    assert_eq!(kind(vector), kind("typedef float __attribute__((vector_size(16))) v4;"));
    for text in [
        "typedef int t __attribute__((aligned(32)));",
        "typedef __attribute__((aligned(32))) int t;",
        "typedef struct { char c; int x; } t __attribute__((packed));",
    ] {
        assert_eq!(granted_messages(text)[0], "the layout of a typedef is that of its type");
    }
    parse("typedef struct { char c; int x; } __attribute__((packed, aligned(8))) t;");
}

#[test]
fn one_mistake_does_not_hide_the_next() {
    let found = granted_messages(
        "int f(unit8_t x);
         int 3;
         typedef struct s s __drop(missing);
         int g(int x; int h(void *p);
         } struct { };
         int i(void *q);",
    );
    for (part, times) in [("`unit8_t`", 1), ("`q` has no size", 1), ("found `3`", 1), ("grant", 0)]
    {
        assert_eq!(found.iter().filter(|m| m.contains(part)).count(), times, "{part} {found:?}");
    }
}

#[test]
fn hostile_interfaces_end_in_an_error() {
    // A quarter of the limit shows what grows faster than the text, in a quarter of the time.
    let most = MAX_INTERFACE / 4;
    let chain = |last: &str| {
        let link = |n: usize| format!("#define M{n} M{m} M{m}\n", m = n + 1);
        (0..60).map(link).collect::<String>() + &format!("#define M60 {last}\nM0")
    };
    let deep: String = (0..100_000).map(|n| format!("#define D{n} D{}\n", n + 1)).collect();
    let fat: String =
        (1..60).map(|n| format!("typedef int (*t{n})(t{m}, t{m}, t{m});\n", m = n - 1)).collect();
    let typedefs: String = (0..20_000).map(|n| format!("typedef int type_{n};")).collect();
    let unknown: String = (0..20_000).map(|n| format!("int f(tyep_{n} x);")).collect();
    let wide: String =
        (1..200).map(|n| format!("typedef struct {{ s{m} a, b; }} s{n};\n", m = n - 1)).collect();
    for text in [
        "*".repeat(MAX_INTERFACE + 1),
        "(".repeat(most),
        "}".repeat(most),
        "int f(int x);".repeat(most / 13),
        "#if 1\n".repeat(most / 6),
        "struct{".repeat(most / 7),
        "extern \"C\"{".repeat(most / 11) + "int",
        chain("x"),
        chain(""),
        deep + "int f(int x[D0]);",
        "typedef int t0;".to_owned() + &fat,
        "typedef struct { int a; } s0;".to_owned() + &wide,
        typedefs + &unknown,
        "#define ".repeat(most / 8),
        "/*".repeat(most / 2),
        "\\\n".repeat(most / 2) + "@",
        "int a".to_owned() + &",a".repeat(most / 2),
        "\"".repeat(most),
    ] {
        let errors = parse_interface("hostile.h", &text).expect_err("hostile text");
        assert!(!errors.list().is_empty() && errors.list().len() <= MAX_ERRORS);
        assert!(!errors.to_string().is_empty());
    }
}

#[test]
fn boxed_structs_have_a_place_for_the_handle() {
    let text = |body: &str| {
        format!(
            "#pragma portcullis library \"l.so\" module \"l\"\n\
             typedef {body} st __boxed __drop(st_end);\n\
             int st_init(st *_Out_ s);\nint st_end(st *__consumes s);"
        )
    };
    for (body, said) in [
        ("struct st { unsigned used, cap; }", "no place for the guest's handle"),
        ("union st { unsigned used; void *__private at; }", "a `__boxed` object is a struct"),
    ] {
        let errors = parse_interface("st.h", &text(body)).expect_err(body).to_string();
        assert!(errors.contains(said), "{errors}");
    }
    let good = text("struct st { unsigned used; unsigned cap __private; }");
    assert!(parse_interface("st.h", &good).is_ok());
}
