//! What is accepted and what it means; what is refused stands in the golden files.
use super::super::{Integer, NoteKind, Scope, Type, TypeKind};
use super::*;

fn parse(text: &str) -> Prototype {
    parse_prototype(text, &Scope::default()).unwrap_or_else(|errors| panic!("{errors}"))
}

fn canonical(text: &str) -> String {
    let prototype = parse(text);
    let printed = prototype.to_string();
    assert_eq!(parse(&format!("{prototype:#}")), prototype, "{printed}");
    printed
}

fn messages(text: &str) -> Vec<String> {
    let errors = parse_prototype(text, &Scope::default()).expect_err(text);
    errors.list().iter().map(|error| error.message.clone()).collect()
}

#[test]
fn the_prototypes_of_the_design() {
    for (text, printed) in [
        ("double cos(double)", "double cos(double)"),
        ("double cos(double x);", "double cos(double x)"),
        (
            "unsigned long crc32(unsigned long, const uint8_t buf[len], unsigned len)",
            "unsigned long crc32(unsigned long, const unsigned char *__counted_by(len) buf, \
             unsigned int len)",
        ),
        (
            "int sqlite3_exec(struct sqlite3 *db, const char *sql, intptr_t callback __range(0), \
             intptr_t arg __range(0), char *__null_terminated __freed_by(sqlite3_free) *_Nullable \
             _Out_ errmsg)",
            "int sqlite3_exec(struct sqlite3 *db, const char *sql, long __range(0) callback, \
             long __range(0) arg, char *__null_terminated __freed_by(sqlite3_free) *_Nullable \
             _Out_ errmsg)",
        ),
        (
            "const void *sqlite3_column_blob(struct sqlite3_stmt *stmt, int col) \
             __sized_by(sqlite3_column_bytes(stmt, col)) __lifetimebound(stmt)",
            "const void *__sized_by(sqlite3_column_bytes(stmt, col)) __lifetimebound(stmt) \
             sqlite3_column_blob(struct sqlite3_stmt *stmt, int col)",
        ),
        (
            "const char *sqlite3_errmsg(struct sqlite3 *db)",
            "const char *sqlite3_errmsg(struct sqlite3 *db)",
        ),
        (
            "long strtol(const char *s, char **end, int base)",
            "long strtol(const char *s, char **end, int base)",
        ),
        (
            "void qsort(void *__sized_by(n * size) base, size_t n, size_t size, \
             int (*cmp)(const void *__sized_by(size) a, const void *__sized_by(size) b))",
            "void qsort(void *__sized_by(n * size) base, unsigned long n, unsigned long size, \
             int (*cmp)(const void *__sized_by(size) a, const void *__sized_by(size) b))",
        ),
        (
            "int snprintf(char *__counted_by(n) s, size_t n, const char *f, ...) __format(printf, 3, 4)",
            "int snprintf(char *__counted_by(n) s, unsigned long n, const char *f, ...) \
             __format(printf, 3, 4)",
        ),
        (
            "int snprintf(char *__counted_by(n) s, size_t n, const char *f, ..., double, int)",
            "int snprintf(char *__counted_by(n) s, unsigned long n, const char *f, ..., double, int)",
        ),
    ] {
        assert_eq!(canonical(text), printed);
    }
}

#[test]
fn data_is_printed_as_it_is_read() {
    let scope = Scope::default();
    for (text, printed) in [
        ("extern int opterr", "extern int opterr"),
        ("extern int32_t n;", "extern int n"),
        ("extern FILE *stdout", "extern struct FILE *__borrowed stdout"),
        ("extern const char *const name", "extern const char *const __lifetimebound(static) name"),
        ("const char extern name[]", "extern const char name[] __lifetimebound(static)"),
        (
            "extern const uint8_t key[2 * 8]",
            "extern const unsigned char key[16] __lifetimebound(static)",
        ),
        (
            "extern const int *__counted_by(3) p",
            "extern const int *__counted_by(3) __lifetimebound(static) p",
        ),
        ("extern char *__null_terminated s", "what `s` points at is not `const`"),
    ] {
        match parse_prototype(text, &scope) {
            Ok(read) => {
                assert_eq!(read.to_string(), printed);
                for again in [printed.to_owned(), read.as_written().to_string()] {
                    let parsed = parse_prototype(&again, &scope);
                    assert_eq!(parsed.unwrap_or_else(|errors| panic!("{errors}")), read, "{again}");
                }
            }
            Err(errors) => assert_eq!(errors.list()[0].message, printed, "{errors}"),
        }
    }
}

#[test]
fn formats_and_named_tails_go_together() {
    let text = "int f(const char *s, ..., long double, const char *) __format(printf, 1, 2)";
    assert_eq!(canonical(text), text);
}

#[test]
fn declarators_nest_as_in_c() {
    for (text, printed) in [
        ("void f(int (*a)[4])", "void f(int (*a)[4])"),
        ("void f(int *const a[static 3])", "void f(int *const *__counted_by(3) a)"),
        ("int (f)(int (g)(int))", "int f(int (*g)(int))"),
        (
            "void (*signal(int n, void (*h)(int)))(int)",
            "void (*signal(int n, void (*h)(int)))(int)",
        ),
        ("int f(int (*)(int (*)(char), short))", "int f(int (*)(int (*)(char), short))"),
        (
            "int f(const int *const volatile restrict p)",
            "int f(const int *const volatile restrict p)",
        ),
        (
            "unsigned f(long long unsigned int x, short y)",
            "unsigned int f(unsigned long long x, short y)",
        ),
        ("int f(_Complex float z, long double w)", "int f(float _Complex z, long double w)"),
        ("_Bool f(void)", "bool f(void)"),
        ("int f()", "int f(void)"),
    ] {
        assert_eq!(canonical(text), printed);
    }
}

#[test]
fn annotations_find_what_they_describe() {
    let outer = parse("int f(int **_In_ __counted_by(n) v, int n)");
    let inner = parse("int f(int *__counted_by(n) *_In_ v, int n)");
    let after = parse("int f(int **_In_ v __counted_by(n), int n)");
    assert_eq!(outer, after);
    assert_ne!(outer, inner);
    let ty = &inner.function.params[0].ty;
    assert_eq!(ty.notes.len(), 1);
    assert!(ty.pointee().is_some_and(|p| p.has(|k| matches!(k, NoteKind::CountedBy(_)))));

    let f = parse("struct s *open(const char *path) __errno _Nullable __leaf");
    assert!(f.has(|k| *k == NoteKind::Errno) && f.has(|k| *k == NoteKind::Leaf));
    assert_eq!(f.notes.len(), 2);
    assert!(f.function.result.has(|k| *k == NoteKind::Nullable));
}

#[test]
fn attributes_of_other_compilers() {
    let expected = parse("int f(int x) __attribute__((const))");
    for text in [
        "int f(int x) __attribute__((__const__, nothrow))",
        "__attribute__((const)) int f(int x)",
        "[[gnu::const]] int f(int x)",
        "int f(int x) [[gnu::const]] __attribute__((nonnull(1), warn_unused_result))",
    ] {
        assert_eq!(parse(text), expected, "{text}");
    }
    assert!(
        messages("int f(int x) __attribute__((ms_abi))")[0].contains("this attribute is not known")
    );
    let fd = parse("int f(int fd __attribute__((fd_arg(1))))");
    assert!(fd.function.params[0].ty.has(|k| *k == NoteKind::Handle));
}

#[test]
fn attributes_of_layout_are_kept_or_refused() {
    let expected = parse("int f(float __attribute__((vector_size(16))) x)");
    for text in [
        "int f(__attribute__((vector_size(16))) float x)",
        "int f(float x __attribute__((vector_size(16))))",
    ] {
        assert_eq!(parse(text), expected, "{text}");
    }
    let before = parse("int f(struct s { float __attribute__((vector_size(16))) x[2]; } s)");
    let after = parse("int f(struct s { float x[2] __attribute__((vector_size(16))); } s)");
    let body = |prototype: &Prototype| match &prototype.function.params[0].ty.kind {
        TypeKind::Record(record) => record.body.clone(),
        _ => None,
    };
    assert_eq!(body(&after), body(&before));
    let packed = "int f(struct s { char c; int x __attribute__((packed)); } s)";
    assert!(messages(packed)[0].contains("`packed` on a field"));
}

#[test]
fn expressions_bind_as_in_c_and_fold() {
    for (text, printed) in [
        ("a + b * 2", "a + b * 2"),
        ("(a + b) * 2", "(a + b) * 2"),
        ("a - (b - 1)", "a - (b - 1)"),
        ("a - b - 1", "a - b - 1"),
        ("2 * 3 + a", "6 + a"),
        ("a << 1 | b & 3", "a << 1 | b & 3"),
        ("(a ? b : 1) ? 2 : 3", "(a ? b : 1) ? 2 : 3"),
        ("a ? b ? 1 : 2 : 3", "a ? b ? 1 : 2 : 3"),
        ("-a - -1", "-a - -1"),
        ("- -a", "- -a"),
        ("!(a && b) || a == b", "!(a && b) || a == b"),
        ("min(a, b, 'A') * sizeof(long)", "min(a, b, 65) * sizeof(long)"),
        ("*p + q->x", "*p + q->x"),
        ("-9223372036854775808 + a", "-9223372036854775808 + a"),
        ("true ? 4 : 5", "4"),
    ] {
        let prototype = canonical(&format!(
            "int f(char *__counted_by({text}) v, int a, int b, int *p, struct s {{ int x; }} *q)"
        ));
        let expected = format!("char *__counted_by({printed}) v,");
        assert!(prototype.contains(&expected), "{prototype}");
    }
}

#[test]
fn a_parameter_hides_a_constant() {
    let mut scope = Scope::default();
    scope.constants.insert("N".into(), 7);
    let counted = |text: &str| {
        let prototype = parse_prototype(text, &scope).unwrap_or_else(|e| panic!("{e}"));
        prototype.to_string()
    };
    assert_eq!(counted("int f(char b[2 * N])"), "int f(char *__counted_by(14) b)");
    assert_eq!(counted("int f(char b[2 * N], int N)"), "int f(char *__counted_by(2 * N) b, int N)");
}

#[test]
fn typedefs_of_the_scope_move_to_where_they_are_mentioned() {
    let mut scope = Scope::default();
    let mut ty = parse("char *__null_terminated f(const char *s)").function.result;
    ty.span = Span { start: 5000, end: 6000 };
    ty.notes[0].span = ty.span;
    scope.typedefs.insert("text_t".into(), ty);
    let text = "int f(text_t _Nullable s)";
    let prototype = parse_prototype(text, &scope).unwrap_or_else(|e| panic!("{e}"));
    let s = &prototype.function.params[0].ty;
    assert_eq!((s.span.start, s.span.end), (6, 12));
    assert_eq!((s.notes[0].span.start, s.notes[0].span.end), (6, 12));
    assert_eq!(prototype.to_string(), "int f(char *__null_terminated _Nullable s)");
    assert_eq!(prototype.as_written().to_string(), "int f(text_t _Nullable s)");
}

#[test]
fn records_and_enums_have_bodies() {
    let text = "int f(struct point { int x, y[2]; const char *name; unsigned flags : 3; } *p, \
                enum color { RED, GREEN = 5, BLUE } c)";
    let prototype = parse(text);
    assert_eq!(
        format!("{prototype:#}"),
        "int f(struct point { int x; int y[2]; const char *name; unsigned int flags : 3; } *p, \
         enum color { RED = 0, GREEN = 5, BLUE = 6 } c)"
    );
    assert_eq!(prototype.to_string(), "int f(struct point *p, enum color c)");
    assert_eq!(parse(&format!("{prototype:#}")), prototype);
    let TypeKind::Enum(color) = &prototype.function.params[1].ty.kind else { panic!("no enum") };
    assert_eq!(color.underlying, Integer::UnsignedInt);
}

#[test]
fn every_mistake_is_told_at_once() {
    let found = messages(
        "int f(unit8_t *a, void *buf, size_t len, const int *_Out_ q, int x __range(3, 1), \
         char *__counted_by(lne) t)",
    );
    assert_eq!(
        found,
        [
            "unknown type name `unit8_t`",
            "`buf` has no size",
            "`_Out_`, but what it points at is `const`",
            "no value is in the range from 3 to 1",
            "there is no parameter `lne`",
        ]
    );
}

#[test]
fn a_declaration_may_leave_out_what_the_grant_says() {
    let text = "void *memcpy(void *d, const void *s, size_t n)";
    assert!(parse_declaration(text, &Scope::default()).is_ok());
    assert_eq!(messages(text), ["`d` has no size", "`s` has no size"]);
    assert!(parse_declaration("int f(int x __consumes)", &Scope::default()).is_err());
}

#[test]
fn returned_pointers_need_an_origin() {
    for fine in [
        "char *strchr(const char *s, int c)",
        "const char *zlibVersion(void)",
        "struct sqlite3 *f(void)",
        "char *__null_terminated __freed_by(free) f(void)",
        "int *__lifetimebound(static) __errno_location(void)",
        "void *__cookie f(struct s *h)",
        "int f(struct db *db, const char **tail, const char *sql)",
        "char *fgets(char *_Out_ __counted_by(n) s, int n, FILE *f)",
    ] {
        parse(fine);
    }
    for refused in [
        "char *f(void)",
        "void *f(struct s *h)",
        "int *f(int x)",
        "void *__lifetimebound(h) f(struct s *h)",
        "void *__freed_by(free) f(void)",
        "int f(struct db *db, void **out)",
        "int f(struct db *v[n], int n)",
    ] {
        assert_eq!(messages(refused).len(), 1, "{refused}: {:?}", messages(refused));
    }
}

#[test]
fn hostile_text_ends_in_an_error() {
    let huge = 1 << 20;
    let most = MAX_PROTOTYPE - 100;
    for text in [
        "*".repeat(huge),
        "(".repeat(huge),
        format!("int f{}", "(".repeat(most)),
        format!("int f(int {}x)", "*".repeat(most)),
        format!("int f(int {}x", "(".repeat(most)),
        format!("int f(int x{})", "[1]".repeat(most / 3)),
        format!("int f(int x[{}1])", "(".repeat(most)),
        format!("int f(int x[{}1])", "-".repeat(most)),
        format!("int f(int n, char x[{}1])", "n+".repeat(most / 2)),
        format!("int f(int n, char x[{}1])", "n?1:".repeat(most / 4)),
        format!("int f({}int x)", "int,".repeat(most / 4)),
        format!("int f({}", "struct{".repeat(most / 7)),
        format!("int f({}", "int(*)(".repeat(most / 7)),
        format!("int f({}", "__attribute__((".repeat(most / 15)),
        format!("int f(int x) {}", "__zounted_by(".repeat(most / 13)),
        format!("int f({}", "@".repeat(most)),
        format!("int f({}", "unit8_t x,".repeat(most / 10)),
        format!("int f(enum {{ {} }} e)", "a=1,".repeat(most / 4)),
        format!("int f({}char *__counted_by({}1) x)", "int name,".repeat(250), "naem+".repeat(250)),
        format!("int f({}int x)", "char b[naem],".repeat(250)),
        format!("int f(int x) {}", "_a ".repeat(most / 3)),
        format!("int f({}x)", "_Atomic(".repeat(most / 8)),
        format!("int f(int x[sizeof({}))", "sizeof(int[".repeat(most / 12)),
        "x".repeat(most),
        "\0".repeat(most),
        "é".repeat(most / 2),
        "int f(int x[18446744073709551616])".to_owned(),
        "int f(int x[9223372036854775807 * 4])".to_owned(),
        "int f(int x[1 / 0])".to_owned(),
        "int f(int x) /*".to_owned(),
        String::new(),
        ";".to_owned(),
    ] {
        let errors = parse_prototype(&text, &Scope::default()).expect_err("hostile text");
        assert!(!errors.list().is_empty() && errors.list().len() <= MAX_ERRORS);
        assert!(!errors.to_string().is_empty());
    }
}

#[test]
fn structs_that_double_are_refused() {
    let mut text = "int f(struct s0 { int a; } *p0".to_owned();
    for level in 1..40 {
        let before = level - 1;
        text += &format!(", struct s{level} {{ struct s{before} a, b; }} *p{level}");
    }
    text.push(')');
    let found = messages(&text);
    assert!(found[0].contains("too large"), "{found:?}");
}

#[test]
fn deep_types_can_be_dropped_compared_and_printed() {
    let stars = "*".repeat(MAX_DEPTH - 1);
    let mut scope = Scope::default();
    for level in 0..8 {
        let base = if level == 0 { "int".to_owned() } else { format!("t{}", level - 1) };
        let text = format!("int f({base} {stars}x)");
        let Ok(prototype) = parse_declaration(&text, &scope) else {
            assert!(level >= 2, "two levels are not too deep");
            return;
        };
        let ty: Type = prototype.function.params[0].ty.clone();
        assert_eq!(ty, ty.clone());
        assert!(!ty.to_string().is_empty());
        scope.typedefs.insert(format!("t{level}").into(), ty);
    }
    panic!("nothing stops typedefs from growing deep");
}
