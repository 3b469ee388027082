use super::super::{Scope, parse_declaration, parse_prototype};
use super::*;

fn compare(guest: &str, grant: &str) -> Result<(), Disagreement> {
    let scope = Scope::default();
    let guest = parse_declaration(guest, &scope).unwrap_or_else(|errors| panic!("{errors}"));
    let grant = parse_prototype(grant, &scope).unwrap_or_else(|errors| panic!("{errors}"));
    agree(&guest, &grant)
}

#[test]
fn the_same_call_in_other_words() {
    for (guest, grant) in [
        ("double cos(double)", "double cos(double x)"),
        ("extern FILE *stdout", "extern struct FILE *stdout"),
        ("extern const char name[]", "extern const char name[16]"),
        ("extern char const *const version", "extern const char *version __null_terminated"),
        ("int32_t f(uint64_t a)", "int f(const unsigned long long x)"),
        ("int f(const int x)", "int f(int)"),
        // What is left out comes from the grant.
        (
            "int f(const void *p, int n, void *q)",
            "int f(const void *__sized_by(n) data, int n, void *_Out_ __sized_by(n) out) __errno",
        ),
        // Names become positions.
        (
            "int f(const uint8_t b[count * 2], int count)",
            "int f(const uint8_t *__counted_by(n * 2) p, int n)",
        ),
        ("int f(char b[4 + 4])", "int f(char *__counted_by(8) b)"),
        (
            "struct s *g(struct db *d) __lifetimebound(d)",
            "struct s *__lifetimebound(handle) g(struct db *handle)",
        ),
        // The order of annotations means nothing, nor does saying what is meant anyway.
        (
            "int f(char *_Nullable _Out_ __counted_by(n) p, int n)",
            "int f(char *__counted_by(n) _Out_ _Nullable p, int n)",
        ),
        (
            "long strtol(const char *_In_ _Nonnull __null_terminated s, char **_Out_ end, int b)",
            "long strtol(const char *s, char **end, int b)",
        ),
        ("void f(int *_Inout_ x)", "void f(int *x)"),
        // One of two ranges.
        ("int f(int x __range(3))", "int f(int x __range(1) __range(3))"),
        // Callbacks: names of either level.
        (
            "void qsort(void *b, size_t n, size_t w, int (*c)(const void *__sized_by(w), const void *))",
            "void qsort(void *__sized_by(n * size) base, size_t n, size_t size, \
             int (*cmp)(const void *__sized_by(size) a, const void *__sized_by(size) b))",
        ),
        ("int f(enum color c)", "int f(enum color { RED = -1, GREEN } c)"),
        ("int f(struct p *p)", "int f(struct p { int x; } *p)"),
        (
            "int printf(const char *, ..., double, int)",
            "int printf(const char *f, ...) __format(printf, 1, 2)",
        ),
    ] {
        compare(guest, grant).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn what_differs_is_named() {
    for (guest, grant, message) in [
        ("int f(void)", "long f(void)", "the result is `int`, granted is `long`"),
        ("int g(void)", "int f(void)", "the guest names `g`, granted is `f`"),
        ("int f(int, int)", "int f(int)", "2 parameters, granted are 1"),
        ("int f(char)", "int f(signed char)", "parameter 1 is `char`, granted is `signed char`"),
        ("long f(void)", "long long f(void)", "the result is `long`, granted is `long long`"),
        (
            "int f(struct a *x)",
            "int f(struct b *x)",
            "what parameter 1 `x` points at is `struct a`, granted is `struct b`",
        ),
        (
            "int f(char *s)",
            "int f(const char *s)",
            "what parameter 1 `s` points at is `char`, granted is `const char`: `const` differs",
        ),
        ("int f(int *s)", "int f(int s)", "parameter 1 `s` is `int *`, granted is `int`"),
        (
            "int f(const char b[n], int n)",
            "int f(const char *__counted_by(2 * m) b, int m)",
            "`__counted_by(n)` is said of parameter 1 `b`, the grant says `__counted_by(2 * m)`",
        ),
        (
            "int f(const char b[m], int n, int m)",
            "int f(const char b[m], int m, int n)",
            "`__counted_by(m)` is said of parameter 1 `b`, the grant says `__counted_by(m)`",
        ),
        (
            "int f(int x) __errno",
            "int f(int x)",
            "`__errno` is said of the function, the grant does not",
        ),
        (
            "int f(int *_Out_ x)",
            "int f(int *x)",
            "`_Out_` is said of parameter 1 `x`, the grant does not",
        ),
        (
            "int f(const char *_Nullable x)",
            "int f(const char *x)",
            "`_Nullable` is said of parameter 1 `x`, the grant does not",
        ),
        (
            "int f(int (*g)(int))",
            "int f(int (*g)(long))",
            "parameter 1 of what parameter 1 `g` points at is `int`, granted is `long`",
        ),
        (
            "int f(int (*a)[3])",
            "int f(int (*a)[4])",
            "what parameter 1 `a` points at has another length than its grant",
        ),
        (
            "int f(const char *, ...)",
            "int f(const char *, ..., int)",
            "`...` without the types of the grant",
        ),
        ("int f(const char *)", "int f(const char *, ..., int)", "no `...`, the grant has it"),
        (
            "int f(int, ..., int)",
            "int f(int, ..., long)",
            "argument 1 after `...` is `int`, granted is `long`",
        ),
        ("int f(enum a x)", "int f(enum b x)", "parameter 1 `x` is `enum a`, granted is `enum b`"),
    ] {
        let error = compare(guest, grant).expect_err(guest);
        assert_eq!(error.differences()[0].message, message);
    }
}

#[test]
fn both_texts_are_shown_with_the_differences_marked() {
    let error = compare(
        "unsigned int crc32(unsigned long, const char buf[len], unsigned int len, int)",
        "unsigned long crc32(unsigned long crc, const uint8_t *__counted_by(len) buf, unsigned len)",
    );
    assert_eq!(
        error.expect_err("four differences").to_string(),
        "\
the guest's prototype of `crc32` disagrees with its grant
  the result is `unsigned int`, granted is `unsigned long`
  4 parameters, granted are 3
  what parameter 2 `buf` points at is `const char`, granted is `const uint8_t`
guest: unsigned int crc32(unsigned long, const char *__counted_by(len) buf, unsigned int len, int)
       ^^^^^^^^^^^^                      ^^^^^^^^^^                                           ^^^
grant: unsigned long crc32(unsigned long crc, const unsigned char *__counted_by(len) buf, unsigned int len)
       ^^^^^^^^^^^^^                          ^^^^^^^^^^^^^^^^^^^"
    );
}

#[test]
fn spans_point_into_both_texts() {
    let (guest, grant) = ("int f(int *__counted_by(4) p)", "int f(int *__counted_by(5) p)");
    let error = compare(guest, grant).expect_err("another count");
    let Difference { guest: a, grant: b, .. } = &error.differences()[0];
    let cut = |text: &str, span: &Span| text[span.start as usize..span.end as usize].to_owned();
    assert_eq!(cut(guest, a), "__counted_by(4)");
    assert_eq!(cut(grant, b), "__counted_by(5)");
}
