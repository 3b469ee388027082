//! Several grants of one symbol: which one a call gets, and which sets nobody gets.
#![expect(unsafe_code, reason = "grants an interface of its own")]
use crate::mock;
use crate::support::*;
use portcullis::host::{Bridge, LinkProblem};
use portcullis::plan::Problem;
use wasmtime::Engine;

#[test]
fn the_first_overload_whose_ranges_hold_is_called() {
    let text = r#"(module
        (import "mock" "choose" (func $choose (param i32 i32) (result i32)))
        (memory (export "memory") 1) (data (i32.const 64) "four\00")
        (func (export "run") (param i32 i32) (result i32)
            (call $choose (local.get 0) (local.get 1))))"#;
    let mut guest = Guest::new(&mock(), text).unwrap();
    assert_eq!(guest.call::<_, i32>("run", (1, 41)).unwrap(), 42);
    assert_eq!(guest.call::<_, i32>("run", (2, 64)).unwrap(), 4);
    let before = mock::calls();
    let error = trapped(guest.call::<_, i32>("run", (3, 0)));
    assert_eq!(error.problem, Problem::NoOverload { overloads: 2 });
    // The first one would take any integer: an error of the second is its own.
    let error = trapped(guest.call::<_, i32>("run", (2, -1)));
    assert!(
        matches!(error.problem, Problem::Unterminated { .. } | Problem::OutOfBounds { .. }),
        "{error}"
    );
    assert_eq!(mock::calls(), before);
    // A prototype that names its range picks one.
    let one = text.replace("\"choose\"", "\"int choose(int option __range(1), int value)\"");
    let mut guest = Guest::new(&mock(), &one).unwrap();
    assert_eq!(guest.call::<_, i32>("run", (1, 41)).unwrap(), 42);
    let error = trapped(guest.call::<_, i32>("run", (2, 64)));
    assert!(matches!(error.problem, Problem::OutOfRange { .. }), "{error}");
}

/// A bridge that grants these prototypes of the mock library.
fn granting(prototypes: &str) -> Bridge {
    let library = "#pragma portcullis library \"libmock.so\" module \"mock\"";
    let interface = format!("#include \"portcullis.h\"\n{library}\n{prototypes}");
    mock::granted(&Engine::default(), &interface).build().unwrap()
}

/// A guest that calls `name` with two integers.
fn caller(name: &str, result: &str) -> String {
    format!(
        r#"(module (import "mock" "{name}" (func $f (param i32 i32) {result}))
        (memory (export "memory") 1)
        (func (export "run") (param i32 i32) {result} (call $f (local.get 0) (local.get 1))))"#
    )
}

#[test]
fn constants_that_are_computed_choose_as_others_do() {
    let bridge = granting(
        "enum option { TEXT = 1 << 1 };
        int choose(int option __range(sizeof(short) - 1), int value);
        int choose(int option __range(TEXT, TEXT), const char *text);",
    );
    let mut guest = Guest::new(&bridge, &caller("choose", "(result i32)")).unwrap();
    assert_eq!(guest.call::<_, i32>("run", (1, 41)).unwrap(), 42);
    assert_eq!(guest.call::<_, i32>("run", (2, 8)).unwrap(), 0);
    let error = trapped(guest.call::<_, i32>("run", (3, 0)));
    assert_eq!(error.problem, Problem::NoOverload { overloads: 2 });
}

#[test]
fn ranges_that_other_arguments_bound_choose_too() {
    // Both read `b` as they would pass it: the second one has 255 where the guest says -1.
    let bridge = granting(
        "int add(int a __range(0, b - 1), int b);
        int add(int a __range(b, 300) __range(-1000 / b), unsigned char b);",
    );
    let mut guest = Guest::new(&bridge, &caller("add", "(result i32)")).unwrap();
    assert_eq!(guest.call::<_, i32>("run", (1, 5)).unwrap(), 6);
    assert_eq!(guest.call::<_, i32>("run", (5, 300)).unwrap(), 305);
    assert_eq!(guest.call::<_, i32>("run", (260, -1)).unwrap(), 515);
    assert_eq!(guest.call::<_, i32>("run", (-3, -1)).unwrap(), 252);
    let before = mock::calls();
    // Past the end of the second one's range; before it, where 1000 is divided by zero.
    for arguments in [(301, -1), (-1, -256)] {
        let error = trapped(guest.call::<_, i32>("run", arguments));
        assert_eq!(error.problem, Problem::NoOverload { overloads: 2 });
    }
    assert_eq!(mock::calls(), before);
}

#[test]
fn sets_that_no_argument_tells_apart_are_not_linked() {
    for (name, result, set, parameter) in [
        (
            "ignore",
            "",
            "void ignore(const int *limit, int n __range(0, *limit));
            void ignore(const int *limit, int n __range(100));",
            "parameter 2 `n`",
        ),
        (
            "ignore",
            "",
            "void ignore(const int __range(0, 9) *at, int n __range(0, 40));
            void ignore(const int __range(10, 19) *at, int n __range(40, 90));",
            "parameter 1 `at`",
        ),
        (
            "add",
            "(result i32)",
            "int libmock_only(int a, int b) __attribute__((const));
            int add(int a, int b __range(libmock_only(a, 1), 9));
            int add(int a, int b __range(10));",
            "parameter 2 `b`",
        ),
        (
            "add",
            "(result i32)",
            "int add(int a __value(3), int b __range(a, 5));
            int add(int a, int b __range(6));",
            "parameter 2 `b`",
        ),
    ] {
        let error = refused(&granting(set), &caller(name, result));
        assert!(matches!(error.problem, LinkProblem::Overloads(_)), "{error}");
        let text = error.to_string();
        for part in [parameter, "cannot be told apart", "__range(", "help: ", "without overlap"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}

#[test]
fn what_two_interfaces_grant_alike_is_no_set_to_tell_apart() {
    let text = |comment: &str| {
        format!(
            "{comment}\n#pragma portcullis library \"libmock.so\" module \"mock\"
            void ignore(const int __range(0, 9) *at, int n);"
        )
    };
    let builder = mock::granted(&Engine::default(), &text("// one"));
    // SAFETY: it is true of the function, which leaves its arguments alone.
    let builder = unsafe { builder.grant_interface("again.h", &text("// two")) }.unwrap();
    let mut guest = Guest::new(&builder.build().unwrap(), &caller("ignore", "")).unwrap();
    guest.call::<_, ()>("run", (16, 39)).unwrap();
}

#[test]
fn a_range_behind_a_pointer_restricts_an_overload_that_another_one_chooses() {
    let bridge = granting(
        "void ignore(const int __range(0, 9) *at, int n __range(0, 39));
        void ignore(const int __range(10, 19) *at, int n __range(40, 90));",
    );
    let text = caller("ignore", "").replace(
        "(memory (export \"memory\") 1)",
        "(memory (export \"memory\") 1) (data (i32.const 16) \"\\05\\00\\00\\00\\0f\\00\\00\\00\")",
    );
    let mut guest = Guest::new(&bridge, &text).unwrap();
    guest.call::<_, ()>("run", (16, 39)).unwrap();
    guest.call::<_, ()>("run", (20, 40)).unwrap();
    for (at, n) in [(20, 39), (16, 40)] {
        let error = trapped(guest.call::<_, ()>("run", (at, n)));
        assert!(matches!(error.problem, Problem::OutOfRange { .. }), "{error}");
    }
}
