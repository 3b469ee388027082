//! Guests of one library each. What they do is asked of them from outside, with numbers that change.

/// Memory, an allocator that never uses memory again, a table that begins with the functions of `elements`, and a
/// counter of callbacks.
fn frame(imports: &str, elements: &str, body: &str) -> String {
    format!(
        r#"(module {imports}
        (memory (export "memory") 8 16)
        (table (export "__indirect_function_table") 64 funcref)
        (elem (i32.const 1) func {elements})
        (global $callbacks (export "callbacks") (mut i32) (i32.const 0))
        (func $called (global.set $callbacks (i32.add (global.get $callbacks) (i32.const 1))))
        (global $next (mut i32) (i32.const 262144))
        (func (export "malloc") (param $size i32) (result i32)
            (global.get $next)
            (global.set $next (i32.and
                (i32.add (i32.add (global.get $next) (local.get $size)) (i32.const 15))
                (i32.const -16))))
        (func (export "free") (param i32))
        {body})"#
    )
}

/// Where guests find what they work on, and where results go.
pub const INPUT: usize = 4096;
pub const OUTPUT: usize = 65536;

/// `qsort` of `n` integers at `INPUT`, by function 1 (in order), 2 (traps at the 10th call), 3 (leaves with
/// an error of the embedder's at the 10th) or 4 (sorts again inside of itself, without end).
pub fn sort() -> String {
    frame(
        r#"(import "libc" "qsort" (func $qsort (param i32 i32 i32 i32)))
           (import "env" "leave" (func $leave))"#,
        "$up $trap $exit $again",
        r#"(func $compare (param $a i32) (param $b i32) (result i32)
            (local.set $a (i32.load (local.get $a))) (local.set $b (i32.load (local.get $b)))
            (i32.sub (i32.gt_s (local.get $a) (local.get $b))
                (i32.lt_s (local.get $a) (local.get $b))))
        (func $up (param i32 i32) (result i32)
            (call $called) (call $compare (local.get 0) (local.get 1)))
        (func $trap (param i32 i32) (result i32)
            (call $called)
            (if (i32.ge_u (global.get $callbacks) (i32.const 10)) (then unreachable))
            (call $compare (local.get 0) (local.get 1)))
        (func $exit (param i32 i32) (result i32)
            (call $called)
            (if (i32.ge_u (global.get $callbacks) (i32.const 10)) (then (call $leave)))
            (call $compare (local.get 0) (local.get 1)))
        (func $again (param i32 i32) (result i32)
            (call $called)
            (call $qsort (i32.const 4096) (i32.const 8) (i32.const 4) (i32.const 4))
            (i32.const 0))
        (func (export "sort") (param $n i32) (param $by i32)
            (call $qsort (i32.const 4096) (local.get $n) (i32.const 4) (local.get $by)))"#,
    )
}

/// Checksums and compression, at once and in a stream that nobody ends.
pub fn zlib() -> String {
    frame(
        r#"(import "zlib" "crc32" (func $crc32 (param i32 i32 i32) (result i32)))
        (import "zlib" "compress2" (func $compress2 (param i32 i32 i32 i32 i32) (result i32)))
        (import "zlib" "uncompress" (func $uncompress (param i32 i32 i32 i32) (result i32)))
        (import "zlib" "deflateInit_" (func $deflateInit_ (param i32 i32 i32 i32) (result i32)))
        (import "zlib" "deflate" (func $deflate (param i32 i32) (result i32)))
        (import "zlib" "deflateEnd" (func $deflateEnd (param i32) (result i32)))
        (data (i32.const 32) "1.2.13\00")"#,
        "",
        r#"(func (export "crc") (param $n i32) (param $times i32) (result i32) (local $sum i32)
            (loop $again
                (local.set $sum (call $crc32 (i32.const 0) (i32.const 4096) (local.get $n)))
                (br_if $again
                    (local.tee $times (i32.sub (local.get $times) (i32.const 1)))))
            (local.get $sum))
        (func (export "squeeze") (param $n i32) (param $level i32) (result i32)
            (i32.store (i32.const 8) (i32.const 65536))
            (if (call $compress2 (i32.const 65536) (i32.const 8) (i32.const 4096) (local.get $n)
                    (local.get $level)) (then unreachable))
            (i32.load (i32.const 8)))
        ;; What was squeezed, back to 131072: its length.
        (func (export "stretch") (param $n i32) (result i32)
            (i32.store (i32.const 8) (i32.const 65536))
            (if (call $uncompress (i32.const 131072) (i32.const 8) (i32.const 65536)
                    (local.get $n)) (then unreachable))
            (i32.load (i32.const 8)))
        ;; A stream over `n` bytes, ended or not.
        (func (export "stream") (param $n i32) (param $end i32) (result i32)
            (memory.fill (i32.const 512) (i32.const 0) (i32.const 56))
            (if (call $deflateInit_ (i32.const 512) (i32.const 6) (i32.const 32) (i32.const 56))
                (then unreachable))
            (i32.store (i32.const 512) (i32.const 4096))
            (i32.store (i32.const 516) (local.get $n))
            (i32.store (i32.const 524) (i32.const 65536))
            (i32.store (i32.const 528) (i32.const 65536))
            (drop (call $deflate (i32.const 512) (i32.const 0)))
            (if (local.get $end) (then (drop (call $deflateEnd (i32.const 512)))))
            (i32.load (i32.const 520)))
        ;; One that reaches past the memory.
        (func (export "outside") (result i32)
            (call $crc32 (i32.const 0) (i32.const 524280) (i32.const 9)))"#,
    )
}

/// A table of `n` rows; what is left of it depends on `leave`: 0 everything is closed, 1 a statement and the
/// connection stay, 2 the connection is used after it was closed.
pub fn sqlite() -> String {
    frame(
        r#"(import "sqlite3" "sqlite3_open" (func $open (param i32 i32) (result i32)))
        (import "sqlite3" "sqlite3_exec" (func $exec (param i32 i32 i32 i32 i32) (result i32)))
        (import "sqlite3" "sqlite3_prepare_v2"
            (func $prepare (param i32 i32 i32 i32 i32) (result i32)))
        (import "sqlite3" "sqlite3_bind_int" (func $bind (param i32 i32 i32) (result i32)))
        (import "sqlite3" "sqlite3_step" (func $step (param i32) (result i32)))
        (import "sqlite3" "sqlite3_reset" (func $reset (param i32) (result i32)))
        (import "sqlite3" "sqlite3_column_int" (func $int (param i32 i32) (result i32)))
        (import "sqlite3" "sqlite3_column_text" (func $text (param i32 i32) (result i32)))
        (import "sqlite3" "sqlite3_finalize" (func $finalize (param i32) (result i32)))
        (import "sqlite3" "sqlite3_close" (func $close (param i32) (result i32)))
        (data (i32.const 16) ":memory:\00")
        (data (i32.const 64) "CREATE TABLE t(a, b)\00")
        (data (i32.const 128) "INSERT INTO t VALUES (?, 'seven77')\00")
        (data (i32.const 192) "SELECT a, b FROM t ORDER BY a\00")"#,
        "$row",
        r#"(func $row (param i32 i32 i32 i32) (result i32) (call $called) (i32.const 0))
        (func $statement (param $db i32) (param $sql i32) (result i32)
            (if (call $prepare (local.get $db) (local.get $sql) (i32.const -1) (i32.const 8)
                (i32.const 0)) (then unreachable))
            (i32.load (i32.const 8)))
        ;; The sum of the integers at 4096, as SQLite has kept them, with the lengths of its texts.
        (func (export "rows") (param $n i32) (param $leave i32) (result i32)
            (local $db i32) (local $stmt i32) (local $i i32) (local $sum i32)
            (if (call $open (i32.const 16) (i32.const 8)) (then unreachable))
            (local.set $db (i32.load (i32.const 8)))
            (if (call $exec (local.get $db) (i32.const 64) (i32.const 0) (i32.const 0) (i32.const 0))
                (then unreachable))
            (local.set $stmt (call $statement (local.get $db) (i32.const 128)))
            (loop $insert
                (drop (call $bind (local.get $stmt) (i32.const 1)
                    (i32.load (i32.add (i32.const 4096) (i32.shl (local.get $i) (i32.const 2))))))
                (if (i32.ne (call $step (local.get $stmt)) (i32.const 101)) (then unreachable))
                (drop (call $reset (local.get $stmt)))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $insert (i32.lt_u (local.get $i) (local.get $n))))
            (drop (call $finalize (local.get $stmt)))
            (drop (call $exec (local.get $db) (i32.const 192) (i32.const 1) (i32.const 0)
                (i32.const 0)))
            (local.set $stmt (call $statement (local.get $db) (i32.const 192)))
            (block $done (loop $select
                (br_if $done (i32.ne (call $step (local.get $stmt)) (i32.const 100)))
                (local.set $sum (i32.add (local.get $sum) (call $int (local.get $stmt) (i32.const 0))))
                (if (i32.ne (i32.load8_u (i32.add (call $text (local.get $stmt) (i32.const 1))
                    (i32.const 5))) (i32.const 0x37)) (then unreachable))
                (br $select)))
            (if (i32.ne (local.get $leave) (i32.const 1)) (then
                (drop (call $finalize (local.get $stmt)))
                (if (call $close (local.get $db)) (then unreachable))))
            (if (i32.eq (local.get $leave) (i32.const 2)) (then
                (drop (call $close (local.get $db)))))
            (local.get $sum))"#,
    )
}

/// Counts the elements of the document at `INPUT`. What is left: a parser (1), nothing (0); the handler may free the
/// parser that calls it (2), which is refused.
pub fn expat() -> String {
    frame(
        r#"(import "expat" "XML_ParserCreate" (func $create (param i32) (result i32)))
        (import "expat" "XML_SetElementHandler" (func $handlers (param i32 i32 i32)))
        (import "expat" "XML_Parse" (func $parse (param i32 i32 i32 i32) (result i32)))
        (import "expat" "XML_ParserFree" (func $free_parser (param i32)))"#,
        "$start $end $hostile",
        r#"(global $parser (mut i32) (i32.const 0))
        (global $count (mut i32) (i32.const 0))
        (func $start (param i32 i32 i32)
            (call $called) (global.set $count (i32.add (global.get $count) (i32.const 1))))
        (func $end (param i32 i32) (call $called))
        (func $hostile (param i32 i32 i32) (call $free_parser (global.get $parser)))
        (func (export "elements") (param $n i32) (param $leave i32) (result i32)
            (global.set $count (i32.const 0))
            (global.set $parser (call $create (i32.const 0)))
            (call $handlers (global.get $parser)
                (select (i32.const 3) (i32.const 1) (i32.eq (local.get $leave) (i32.const 2)))
                (i32.const 2))
            (if (i32.ne (i32.const 1) (call $parse (global.get $parser) (i32.const 4096)
                (local.get $n) (i32.const 1))) (then unreachable))
            (if (i32.eqz (local.get $leave)) (then (call $free_parser (global.get $parser))))
            (global.get $count))"#,
    )
}

/// Objects of the test's own library, with hooks and names that they keep, and data that is copied.
pub fn things() -> String {
    frame(
        r#"(import "soak" "thing_new" (func $new (param i32 i32) (result i32)))
        (import "soak" "thing_child" (func $child (param i32 i32) (result i32)))
        (import "soak" "thing_free" (func $free_thing (param i32)))
        (import "soak" "thing_id" (func $id (param i32) (result i32)))
        (import "soak" "thing_name" (func $name (param i32) (result i32)))
        (import "soak" "thing_hook" (func $hook (param i32 i32)))
        (import "soak" "thing_fire" (func $fire_thing (param i32 i32) (result i32)))
        (import "soak" "total" (func $total (param i32 i32) (result i32)))
        (import "soak" "twice" (func $twice (param i32 i32) (result i32)))
        (import "soak" "keep" (func $keep (param i32)))
        (import "soak" "fire" (func $fire (param i32) (result i32)))
        (import "soak" "ordered" (func $ordered (param i32 i32) (result i32)))
        (import "portcullis" "release_callback" (func $release (param i32)))
        (data (i32.const 16) "a name\00")"#,
        "$f $trap $deep $g $h",
        r#"(func $f (param i32) (result i32) (call $called) (i32.add (local.get 0) (i32.const 1)))
        (func $g (param i32) (result i32) (call $called) (i32.add (local.get 0) (i32.const 2)))
        (func $h (param i32) (result i32) (call $called) (i32.add (local.get 0) (i32.const 3)))
        (func $trap (param i32) (result i32) (call $called) unreachable)
        (func $deep (param i32) (result i32)
            (call $called) (call $twice (i32.const 3) (i32.add (local.get 0) (i32.const 1))))
        ;; Objects with a child and a hook each; every second pair is destroyed.
        (func (export "objects") (param $n i32) (result i32)
            (local $thing i32) (local $child i32) (local $sum i32)
            (loop $again
                (local.set $thing (call $new (local.get $n) (i32.const 16)))
                (local.set $child (call $child (local.get $thing) (i32.const 7)))
                (call $hook (local.get $thing) (i32.const 1))
                (call $hook (local.get $child) (i32.add (i32.const 4)
                    (i32.and (local.get $n) (i32.const 1))))
                (local.set $sum (i32.add (local.get $sum) (i32.add
                    (i32.add (call $id (local.get $thing)) (call $name (local.get $thing)))
                    (i32.add (call $fire_thing (local.get $thing) (local.get $n))
                        (call $name (local.get $child))))))
                (if (i32.and (local.get $n) (i32.const 1)) (then
                    (call $free_thing (local.get $child))
                    (call $free_thing (local.get $thing))))
                (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
            (local.get $sum))
        ;; Two structs with pointers: 6 letters and 3 numbers each.
        (func (export "copied") (param $a i32) (param $b i32) (result i32)
            (i32.store (i32.const 1024) (local.get $a))
            (i32.store (i32.const 1028) (local.get $b))
            (i32.store (i32.const 1032) (i32.const 1))
            (i32.store (i32.const 2048) (i32.const 16)) (i32.store (i32.const 2052) (i32.const 3))
            (i32.store (i32.const 2056) (i32.const 1024))
            (i32.store (i32.const 2060) (i32.const 16)) (i32.store (i32.const 2064) (i32.const 3))
            (i32.store (i32.const 2068) (i32.const 1024))
            (call $total (i32.const 2048) (i32.const 2)))
        (func (export "kept") (param $x i32) (result i32) (local $y i32)
            (call $keep (i32.const 1))
            (local.set $y (call $fire (local.get $x)))
            (call $keep (i32.const 0))
            (call $release (i32.const 1))
            (local.get $y))
        (func (export "called") (param $f i32) (param $x i32) (result i32)
            (call $twice (local.get $f) (local.get $x)))
        (func (export "stale") (result i32) (local $thing i32)
            (local.set $thing (call $new (i32.const 1) (i32.const 0)))
            (call $free_thing (local.get $thing))
            (call $id (local.get $thing)))
        (func (export "orphan") (result i32) (local $thing i32) (local $child i32)
            (local.set $thing (call $new (i32.const 1) (i32.const 0)))
            (local.set $child (call $child (local.get $thing) (i32.const 2)))
            (call $free_thing (local.get $thing))
            (call $id (local.get $child)))
        (func (export "forged") (param $handle i32) (result i32) (call $id (local.get $handle)))
        (func (export "loop") (param $n i32) (result i32) (local $sum i32)
            (loop $again
                (local.set $sum (i32.add (local.get $sum)
                    (call $ordered (local.get $n) (i32.const 1000))))
                (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
            (local.get $sum))"#,
    )
}

/// A digest and a number that nobody frees.
pub fn forgetful(module: &str) -> String {
    match module {
        "crypto" => frame(
            r#"(import "crypto" "EVP_sha256" (func $sha256 (result i32)))
            (import "crypto" "EVP_MD_CTX_new" (func $new (result i32)))
            (import "crypto" "EVP_DigestInit_ex" (func $init (param i32 i32 i32) (result i32)))
            (import "crypto" "EVP_DigestUpdate" (func $update (param i32 i32 i32) (result i32)))"#,
            "",
            r#"(func (export "go") (param $n i32) (result i32) (local $ctx i32)
                (local.set $ctx (call $new))
                (drop (call $init (local.get $ctx) (call $sha256) (i32.const 0)))
                (call $update (local.get $ctx) (i32.const 4096) (local.get $n)))"#,
        ),
        _ => frame(
            r#"(import "gmp" "__gmpz_init" (func $init (param i32)))
            (import "gmp" "__gmpz_fac_ui" (func $fac (param i32 i32)))
            (import "gmp" "__gmpz_get_ui" (func $get (param i32) (result i32)))
            (import "gmp" "__gmpz_fdiv_ui" (func $mod (param i32 i32) (result i32)))"#,
            "",
            // A factorial has every number up to its own for a divisor.
            r#"(func (export "go") (param $n i32) (result i32)
                (memory.fill (i32.const 512) (i32.const 0) (i32.const 16))
                (call $init (i32.const 512))
                (call $fac (i32.const 512) (local.get $n))
                (i32.eqz (call $mod (i32.const 512) (local.get $n))))"#,
        ),
    }
}
