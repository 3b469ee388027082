//! Exhaustion: of handles, closures, memory, stack and time.
use crate::stage::{Attack, Ends::*};
use portcullis::plan::Limits;
use wasmtime::Trap;

pub fn attacks() -> Vec<Attack> {
    let with_text = "cb.with_text i32 i32 -> i32";
    let name = &["mock.box_new i32 -> i32", "mock.box_name i32 -> i32"];
    let text = r#"(func $f0 (param i32) (result i32) (i32.const 0))
        (func (export "go") (result i32) (call $with_text (i32.const 1) (i32.const 0)))"#;
    vec![
        Attack::guest("handles_without_end", "make 100,000 objects", &["mock.box_new i32 -> i32"],
            r#"(func (export "go") (result i32) (local $n i32)
                (loop $more (drop (call $box_new (i32.const 1)))
                    (br_if $more (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 100000))))
                (i32.const 0))"#,
            Refused("the limit `handles` of 65536")),
        Attack::guest("callbacks_without_end", "register more functions than a store may", &["cb.keep i32"],
            r#"(table $many 1 funcref)
            (func $f0 (param i32) (result i32) (i32.const 0)) (func $f1 (param i32) (result i32) (i32.const 1)) (func $f2 (param i32) (result i32) (i32.const 2))
            (func (export "go") (result i32) (local $n i32)
                (loop $more (call $keep (i32.add (i32.rem_u (local.get $n) (i32.const 3)) (i32.const 1)))
                    (br_if $more (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 100000))))
                (i32.const 0))"#,
            Refused("the limit `callbacks` of 2"))
            .limited(Limits { callbacks: 2, ..Limits::default() }),
        Attack::guest("prototype_without_end", "import by a longer name than a guest may", &["mock.sum i32 i32 -> i32"],
            r#"(func (export "go") (result i32) (i32.const 0))"#, Unlinked("the limit `prototype_bytes` of 70"))
            .with("\"sum\"", "\"unsigned int sum(const uint8_t *__counted_by(n) data, uint32_t n)           \"")
            .limited(Limits { prototype_bytes: 70, ..Limits::default() }),
        Attack::guest("copies_without_end", "have more copied than a call may", &["cb.steady i32 i32 i32 -> i32"],
            r#"(func $f0 (param i32) (result i32) (i32.const 0))
            (func (export "go") (result i32)
                (memory.fill (i32.const 512) (i32.const 65) (i32.const 70000))
                (call $steady (i32.const 512) (i32.const 80000) (i32.const 1)))"#,
            Refused("the limit `copied_bytes` of 65536"))
            .limited(Limits { copied_bytes: 65536, ..Limits::default() }),
        Attack::guest("loans_without_end", "have more lent than a store may", &["mock.box_new i32 -> i32", "mock.box_name i32 -> i32"],
            r#"(func (export "go") (result i32) (local $n i32)
                (loop $more (drop (call $box_name (call $box_new (i32.const 1))))
                    (br_if $more (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 5))))
                (i32.const 0))"#,
            Caught("the limit `loans` of 3"))
            .limited(Limits { loans: 3, ..Limits::default() }),
        Attack::guest("no_memory_from_malloc", "return NULL from the guest's own `malloc`", name,
            r#"(func (export "go") (result i32) (call $box_name (call $box_new (i32.const 1))))"#,
            Caught("allocator"))
            .with("(global.get $next)\n", "(i32.const 0)\n"),
        Attack::guest("wild_malloc", "return a wild address from the guest's own `malloc`", name,
            r#"(func (export "go") (result i32) (call $box_name (call $box_new (i32.const 1))))"#,
            Caught("allocator"))
            .with("(global.get $next)\n", "(i32.const 0x7fffffff)\n"),
        Attack::guest("wild_malloc_in_a_callback", "return one while native code waits", &[with_text], text, Caught("allocator"))
            .with("(global.get $next)\n", "(i32.const -8)\n"),
        Attack::guest("trap_in_malloc", "trap in the guest's own `malloc`", name,
            r#"(func (export "go") (result i32) (call $box_name (call $box_new (i32.const 1))))"#,
            Trapped(Trap::UnreachableCodeReached))
            .with("(global.get $next)\n", "unreachable (global.get $next)\n"),
        Attack::guest("call_from_malloc", "free the object in the `malloc` for its own name",
            &["mock.box_new i32 -> i32", "mock.box_name i32 -> i32", "mock.box_free i32"],
            r#"(global $b (mut i32) (i32.const 0))
            (func (export "go") (result i32)
                (global.set $b (call $box_new (i32.const 1))) (drop (call $box_name (global.get $b))) (i32.const 5))"#,
            Refused("in use"))
            .with("(global.get $next)\n", "(call $box_free (global.get $b)) (global.get $next)\n"),
        Attack::guest("guests_own_stack", "recur in guest code under native code", &["cb.apply i32 i32 -> i32"],
            r#"(func $f0 (param i32) (result i32) (call $f0 (local.get 0)))
            (func (export "go") (result i32) (call $apply (i32.const 1) (i32.const 3)))"#,
            Trapped(Trap::StackOverflow)),
    ]
}
