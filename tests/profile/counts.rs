//! Bytes, against a model that is written down here.
use super::support::{adds_up, run};
use portcullis::plan::recorder::Sampling;

/// Each function is called `times` times.
fn guest(times: u32) -> String {
    format!(
        r#"(module
        (import "planted" "fill" (func $fill (param i32 i32)))
        (import "planted" "read" (func $read (param i32 i32 i32)))
        (import "planted" "hello" (func $hello (result i32)))
        (import "planted" "turn" (func $turn (param i32)))
        (memory (export "memory") 1)
        (data (i32.const 64) "four\00")
        (global $heap (mut i32) (i32.const 4096))
        (func (export "malloc") (param i32) (result i32)
            (global.get $heap)
            (global.set $heap (i32.add (global.get $heap) (i32.const 16))))
        (func (export "free") (param i32))
        (func (export "run") (local $n i32)
            (local.set $n (i32.const {times}))
            (loop $more
                (call $fill (i32.const 128) (i32.const 256))
                (call $read (i32.const 512) (i32.const 100) (i32.const 64))
                (drop (call $hello))
                (call $turn (i32.const 1024))
                (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))"#
    )
}

#[test]
fn bytes_are_those_of_the_model_whether_calls_are_timed_or_not() {
    for (times, every) in [(1, 1), (10, 1), (1000, 50)] {
        let ran = run(&guest(times), Sampling::Every(every));
        ran.ended.as_ref().expect("it ends well");
        let n = u64::from(times);
        let bytes = |name: &str| {
            let import = ran.import(name);
            assert_eq!(import.calls, n);
            [import.checked, import.copied, import.transformed].map(|sum| sum / n)
        };
        // A buffer of 8 bytes in place; an `unsigned long` of 4, which goes out through a cell.
        assert_eq!(bytes("planted.fill"), [8 + 4, 0, 4]);
        // 100 bytes in place, and a string of 4 with its end.
        assert_eq!(bytes("planted.read"), [100 + 5, 0, 0]);
        // A string that native code has: copied with its end. What copies of constants there are is known then.
        assert_eq!(bytes("planted.hello"), [0, 6, 0]);
        // Three numbers of 4 bytes here and 8 there: looked at once, 24 bytes made of them, 12 on the way back.
        assert_eq!(bytes("planted.turn"), [12, 0, 24 + 12]);
        if every == 1 {
            adds_up(&ran.profile);
        }
        let hello = ran.import("planted.hello");
        assert!(hello.allocations >= 1 && hello.allocations <= n, "{}", hello.allocations);
    }
}
