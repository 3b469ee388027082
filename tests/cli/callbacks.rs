//! Guests that leave from inside a callback.
use super::support::{command, folder, guest, path_text, run};
use crate::native;

const SOURCE: &str = r#"
#include <unistd.h>
static void say(const char *text) { const char *end = text; while (*end) end++; write(1, text, end - text); }
int each(int (*f)(int i), int n) {
    int got = 0;
    for (int i = 0; i < n; i++) got += f(i);
    say(got == 1 ? "C ends\n" : "C got something else\n");
    return got;
}
"#;

/// The guest's status is the program's, although native code was in the way: that comes to its end, and of the
/// later callbacks none runs.
#[test]
fn leaving_in_a_callback_ends_the_call_first() {
    let folder = folder(&[(
        "guest.wat",
        r#"(module
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (import "libeach.so" "int each(int (*f)(int i), int n) /* ends */" (func $each (param i32 i32) (result i32)))
            (memory (export "memory") 1)
            (table (export "__indirect_function_table") 2 funcref)
            (elem (i32.const 1) func $f)
            (data (i32.const 0) "\10\00\00\00\06\00\00\00") (data (i32.const 16) "guest\n")
            (func $f (param i32) (result i32)
                (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
                (if (local.get 0) (then (call $exit (i32.const 7))))
                (i32.const 1))
            (func (export "_start")
                (drop (call $each (i32.const 1) (i32.const 5)))
                (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#,
    )]);
    let library = native::compile(folder.path(), "libeach.so", SOURCE, &["-O1"]);
    let mut guest = command();
    guest.args(["run", "--trust-signatures", "libeach.so"]);
    guest.arg(format!("--library=libeach.so={}", path_text(&library)));
    let (out, err) = run(guest.arg(folder.path().join("guest.wat"))).with(7);
    assert_eq!(out, "guest\nguest\nC ends\n", "{err}");
}

/// What happened first is told first, and what is around it not once for each level.
#[test]
fn a_trap_deep_in_callbacks_is_short() {
    let text = r#"(module
        (import "libc" "qsort" (func $qsort (param i32 i32 i32 i32)))
        (memory (export "memory") 1)
        (table (export "__indirect_function_table") 2 funcref)
        (elem (i32.const 1) func $compare)
        (func $compare (param i32 i32) (result i32) (call $sort) (i32.const 0))
        (func $sort (export "_start")
            (call $qsort (i32.const 64) (i32.const 2) (i32.const 4) (i32.const 1))))"#;
    let options = ["--grant", "libc", "--limit", "depth=40"];
    let err = guest(text, &options).says(134, &["the limit `depth` of 40", "the same "]);
    let lines: Vec<&str> = err.lines().collect();
    assert!(lines[0].contains("the guest trapped: ") && lines[0].contains("depth"), "{err}");
    let around = lines.iter().filter(|line| line.contains("a callback did not return"));
    assert_eq!(around.count(), 1, "{err}");
    assert!(lines.len() < 30, "{err}");
}
