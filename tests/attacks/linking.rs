//! Imports: names, types and prototypes that promise something else.
use crate::stage::{Attack, Ends::*, guest};

/// An import of that name, which nobody calls.
fn import(
    name: &'static str,
    tries: &'static str,
    of: (&str, &str, &str),
    said: &'static str,
) -> Attack {
    let (module, import, ty) = of;
    let import = format!(r#"(import "{module}" "{import}" (func {ty}))"#);
    let attack = Attack::guest(
        name,
        tries,
        &[],
        r#"(func (export "go") (result i32) (i32.const 0))"#,
        Unlinked(said),
    );
    attack.with("(module ", &format!("(module {import}"))
}

const TWO: &str = "(param i32 i32) (result i32)";

pub fn attacks() -> Vec<Attack> {
    let contradicts = |name, tries, prototype: &str, ty: &str| {
        import(name, tries, ("mock", prototype, ty), "contradicts what `mock.h` grants")
    };
    let long = format!("int sum({})", "const ".repeat(10_000));
    let deep = format!("int sum(int {}x{})", "(".repeat(20_000), ")".repeat(20_000));
    assert!(guest(&[], "").starts_with("(module "));
    vec![
        import(
            "not_granted",
            "import what nobody grants",
            ("libc.so.6", "int system(const char *command)", "(param i32) (result i32)"),
            "not granted",
        ),
        import(
            "symbol_not_granted",
            "import another symbol of a granted library",
            ("mock", "mock_calls", "(result i64)"),
            "not granted",
        ),
        import(
            "path_as_a_module",
            "name a library by a path",
            (
                "/lib/x86_64-linux-gnu/libc.so.6",
                "int system(const char *command)",
                "(param i32) (result i32)",
            ),
            "not granted",
        ),
        import(
            "path_that_climbs",
            "name one by a path that climbs",
            ("../../lib/x86_64-linux-gnu/libc.so.6", "system", "(param i32) (result i32)"),
            "not granted",
        ),
        import(
            "module_with_nul",
            "end the library's name early",
            ("mock\\00.h", "sum", TWO),
            "unknown",
        ),
        import(
            "symbol_is_a_path",
            "name a symbol by a path",
            ("mock", "../sum", TWO),
            "no prototype",
        ),
        import(
            "symbol_with_a_version",
            "ask for another version of a symbol",
            ("mock", "sum@GLIBC_2.2.5", TWO),
            "no prototype",
        ),
        contradicts(
            "annotation_count",
            "promise a shorter buffer",
            "unsigned int sum(const uint8_t *__counted_by(1) data, uint32_t n)",
            TWO,
        ),
        contradicts(
            "annotation_null",
            "let NULL pass",
            "unsigned int sum(const uint8_t *__counted_by_or_null(n) data, uint32_t n)",
            TWO,
        ),
        contradicts(
            "annotation_bytes",
            "count bytes instead of elements",
            "uint64_t sum64(const uint64_t *__sized_by(n) data, size_t n)",
            "(param i32 i64) (result i64)",
        ),
        contradicts(
            "annotation_const",
            "have a `const` buffer written",
            "unsigned int sum(uint8_t *__counted_by(n) data, uint32_t n)",
            TWO,
        ),
        contradicts(
            "annotation_direction",
            "have an output taken for an input",
            "void fill(uint8_t *_In_ __counted_by(n) data, int n)",
            "(param i32 i32)",
        ),
        contradicts(
            "annotation_range",
            "widen a range",
            "int limited(int level __range(0, 1000))",
            "(param i32) (result i32)",
        ),
        contradicts(
            "annotation_condition",
            "weaken a condition",
            "int ordered(int a, int b) __requires(1)",
            TWO,
        ),
        contradicts(
            "annotation_consumes",
            "have an object freed that it only reads",
            "int box_get(box *__consumes b)",
            "(param i32) (result i32)",
        ),
        contradicts(
            "annotation_lifetime",
            "have a child outlive its parent",
            "box *box_child(box *parent, int value) __borrowed",
            TWO,
        ),
        contradicts(
            "annotation_lender",
            "have a string outlive its object",
            "const char *__lifetimebound(static) box_name(box *b)",
            "(param i32) (result i32)",
        ),
        contradicts(
            "annotation_leaf",
            "say that it never calls back",
            "int sort(int *a, int *b) __leaf",
            TWO,
        ),
        contradicts(
            "annotation_errno",
            "ask for `errno` where it is not kept",
            "int sort(int *a, int *b) __errno",
            TWO,
        ),
        contradicts(
            "annotation_retains",
            "have an object counted that is not",
            "int box_get(box *__retains b)",
            "(param i32) (result i32)",
        ),
        contradicts(
            "annotation_invalidates",
            "have what it lends end",
            "int box_get(box *__invalidates b)",
            "(param i32) (result i32)",
        ),
        contradicts(
            "annotation_exclusive",
            "have an object shut for others",
            "int box_get(box *__exclusive b)",
            "(param i32) (result i32)",
        ),
        contradicts(
            "annotation_nullable",
            "let a NULL object pass",
            "int box_get(box *_Nullable b)",
            "(param i32) (result i32)",
        ),
        contradicts(
            "annotation_captured",
            "have an object kept for ever",
            "int box_get(box *b __escapes)",
            "(param i32) (result i32)",
        ),
        contradicts(
            "annotation_freed",
            "have a string freed that its object owns",
            "const char *__freed_by(box_free) box_name(box *b)",
            "(param i32) (result i32)",
        ),
        contradicts(
            "annotation_value",
            "have another value passed",
            "unsigned int sum(const uint8_t *__counted_by(n) data, uint32_t n __value(1))",
            TWO,
        ),
        contradicts(
            "annotation_remember",
            "have an object remember a number",
            "int box_get(box *__remember(n = 1) b)",
            "(param i32) (result i32)",
        ),
        contradicts(
            "annotation_consumes_if",
            "have an object freed now and then",
            "int box_get(box *__consumes_if(return == 0) b)",
            "(param i32) (result i32)",
        ),
        contradicts(
            "annotation_fuel",
            "name another price",
            "int ordered(int a, int b) __fuel(1)",
            TWO,
        ),
        contradicts(
            "annotation_terminated",
            "have a range end at a zero",
            "unsigned int sum(const uint8_t *__null_terminated data, uint32_t n)",
            TWO,
        ),
        contradicts(
            "annotation_single",
            "have one element passed for many",
            "unsigned int sum(const uint8_t *__single data, uint32_t n)",
            TWO,
        ),
        import(
            "annotation_trap_value",
            "choose what C gets of a trap",
            ("cb", "int apply(int (*f)(int) __on_trap(1), int x)", TWO),
            "contradicts what `library.h` grants",
        ),
        import(
            "annotation_kept_function",
            "have a function kept for ever",
            ("cb", "int apply(int (*f)(int) __escapes, int x)", TWO),
            "contradicts what `library.h` grants",
        ),
        contradicts(
            "narrower_parameter",
            "declare a parameter narrower",
            "unsigned int sum(const uint8_t *data, uint16_t n)",
            TWO,
        ),
        contradicts(
            "handle_as_a_pointer",
            "declare a handle a pointer to bytes",
            "int box_get(uint8_t *b)",
            "(param i32) (result i32)",
        ),
        import(
            "another_wasm_type",
            "declare another wasm type",
            ("mock", "sum", "(param i64 i32) (result i32)"),
            "does not fit",
        ),
        import(
            "endless_prototype",
            "exhaust the parser with a prototype of 60 KB",
            ("mock", &long, TWO),
            "no prototype",
        ),
        import(
            "deep_prototype",
            "exhaust its stack with 20,000 parentheses",
            ("mock", &deep, TWO),
            "no prototype",
        ),
        import(
            "untyped_tail",
            "leave the types behind `...` open",
            ("mock", "print", "(param i32 i32 i32) (result i32)"),
            "format",
        ),
        import(
            "unknown_annotation",
            "invent an annotation",
            ("mock", "unsigned int sum(const uint8_t *__trusted data, uint32_t n)", TWO),
            "__trusted",
        ),
    ]
}
