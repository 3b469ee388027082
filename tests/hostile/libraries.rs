//! Hostile guests of the libraries whose interfaces ship.
//!
//! Each case is something that C lets one do and that harms the process: most of them were seen to
//! crash the library natively. The rule of the interface that stops it is what is tested here, with
//! the real library behind it.
use crate::world::TIERS;
use portcullis::host::{Bridge, Natives, Tier};
use portcullis::interfaces;
use std::fmt::Write as _;
use wasmtime::{Engine, Linker, Module, Store};

/// What must come of a case.
enum Ends {
    /// A trap, whose whole text has all of these.
    Traps(&'static [&'static str]),
    /// No trap, and this value.
    Returns(i32),
}
use Ends::{Returns, Traps};

/// A guest and its end.
pub struct Case {
    name: &'static str,
    /// Module, function, parameters and results.
    imports: &'static [(&'static str, &'static str, &'static str)],
    /// Functions; `go` is the one that is called.
    body: &'static str,
    ends: Ends,
}

const BINARY: &str = "(param i32 i32) (result i32)";
const UNARY: &str = "(param i32) (result i32)";
const FIVE: &str = "(param i32 i32 i32 i32 i32) (result i32)";
const OPEN: (&str, &str, &str) = ("sqlite3", "sqlite3_open", BINARY);
const EXEC: (&str, &str, &str) = ("sqlite3", "sqlite3_exec", FIVE);
const FUNCTION: (&str, &str, &str) = (
    "sqlite3",
    "sqlite3_create_function_v2",
    "(param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)",
);
const PARSER: (&str, &str, &str) = ("expat", "XML_ParserCreate", UNARY);
const HANDLER: (&str, &str, &str) = ("expat", "XML_SetElementHandler", "(param i32 i32 i32)");
const PARSE: (&str, &str, &str) = ("expat", "XML_Parse", "(param i32 i32 i32 i32) (result i32)");
const DEFLATE_INIT: (&str, &str, &str) =
    ("zlib", "deflateInit_", "(param i32 i32 i32 i32) (result i32)");
const DEFLATE: (&str, &str, &str) = ("zlib", "deflate", BINARY);
const QSORT: (&str, &str, &str) = ("libc", "qsort", "(param i32 i32 i32 i32)");
const CONTEXT: (&str, &str, &str) = ("crypto", "EVP_MD_CTX_new", "(result i32)");
const UPDATE: (&str, &str, &str) =
    ("crypto", "EVP_DigestUpdate", "(param i32 i32 i32) (result i32)");
const DGEMM: (&str, &str, &str) =
    ("cblas", "cblas_dgemm", "(param i32 i32 i32 i32 i32 i32 f64 i32 i32 i32 i32 f64 i32 i32)");

/// Around every case: 300 pages of memory, an allocator that never uses memory again, a table, texts.
const FRAME: &str = r#"
    (memory (export "memory") 300)
    (table (export "__indirect_function_table") 4 funcref)
    (global $next (mut i32) (i32.const 1048576))
    (func (export "malloc") (param $size i32) (result i32)
        (global.get $next)
        (global.set $next (i32.and
            (i32.add (i32.add (global.get $next) (local.get $size)) (i32.const 15))
            (i32.const -16))))
    (func (export "free") (param i32))
    (global $kept (mut i32) (i32.const 0))
    (global $other (mut i32) (i32.const 0))
    (data (i32.const 16) ":memory:\00")
    (data (i32.const 32) "1.2.13\00")
    (data (i32.const 48) "<a/>")
    (data (i32.const 56) "f\00")
    (data (i32.const 64) "CREATE TABLE t(a); INSERT INTO t VALUES (1), (2), (3)\00")
    (data (i32.const 128) "DROP TABLE t\00")
    (data (i32.const 192) "SELECT a FROM t\00")
    (data (i32.const 256) "SELECT f(a) FROM t\00")
    (data (i32.const 320) "PRAGMA empty_result_callbacks = ON\00")
    (data (i32.const 384) "SELECT a FROM t WHERE a > 5\00")"#;

/// A connection with a table of three rows, in `$kept`.
const DATABASE: &str = r#"
    (func $exec (param $sql i32)
        (drop (call $sqlite3_exec (global.get $kept) (local.get $sql) (i32.const 0) (i32.const 0)
            (i32.const 0))))
    (func $database
        (drop (call $sqlite3_open (i32.const 16) (i32.const 8)))
        (global.set $kept (i32.load (i32.const 8)))
        (call $exec (i32.const 64)))"#;

/// A parser with a handler for the starts of elements, which calls `$inside`.
const DOCUMENT: &str = r#"
    (elem (i32.const 1) func $start)
    (func $start (param i32 i32 i32) (call $inside))
    (func (export "go") (result i32)
        (global.set $kept (call $XML_ParserCreate (i32.const 0)))
        (call $XML_SetElementHandler (global.get $kept) (i32.const 1) (i32.const 0))
        (drop (call $XML_Parse (global.get $kept) (i32.const 48) (i32.const 4) (i32.const 1)))
        (global.get $other))"#;

/// `$init` makes a stream for compression at 512, with 64 bytes of room at 4096 and no input.
const STREAM: &str = r#"
    (func $init
        (drop (call $deflateInit_ (i32.const 512) (i32.const 6) (i32.const 32) (i32.const 56)))
        (i32.store (i32.const 524) (i32.const 4096))
        (i32.store (i32.const 528) (i32.const 64)))"#;

pub const CASES: &[Case] = &[
    Case {
        name: "elements without a size",
        imports: &[QSORT],
        body: r#"(elem (i32.const 1) func $compare)
            (func $compare (param i32 i32) (result i32) (i32.const 0))
            (func (export "go") (result i32)
                (call $qsort (i32.const 1024) (i32.const 4) (i32.const 0) (i32.const 1))
                (i32.const 0))"#,
        ends: Traps(&["libc.qsort: ", "the call requires `size > 0", "size = 0"]),
    },
    Case {
        name: "more to sort than the C library sorts safely",
        imports: &[QSORT],
        body: r#"(elem (i32.const 1) func $compare)
            (func $compare (param i32 i32) (result i32) (i32.const 0))
            (func (export "go") (result i32)
                (call $qsort (i32.const 1024) (i32.const 0x1100000) (i32.const 1) (i32.const 1))
                (i32.const 0))"#,
        ends: Traps(&["libc.qsort: ", "the call requires `size > 0", "size = 1"]),
    },
    Case {
        name: "a search whose comparison traps",
        imports: &[("libc", "bsearch", FIVE)],
        body: r#"(elem (i32.const 1) func $compare)
            (func $compare (param i32 i32) (result i32) unreachable)
            (func (export "go") (result i32)
                (call $bsearch (i32.const 7) (i32.const 1024) (i32.const 4) (i32.const 4)
                    (i32.const 1)))"#,
        ends: Traps(&["unreachable"]),
    },
    Case {
        name: "the clock of another process",
        imports: &[("datetime", "clock_gettime", BINARY)],
        body: r#"(func (export "go") (result i32)
            (call $clock_gettime (i32.const -6) (i32.const 1024)))"#,
        ends: Traps(&[
            "datetime.clock_gettime: parameter 1 \"clock\"",
            "the value -6 is not allowed",
        ]),
    },
    Case {
        name: "rows that overlap",
        imports: &[DGEMM],
        body: r#"(func (export "go") (result i32)
            (call $cblas_dgemm (i32.const 101) (i32.const 111) (i32.const 111) (i32.const 2)
                (i32.const 2) (i32.const 3) (f64.const 1) (i32.const 1024) (i32.const 2)
                (i32.const 2048) (i32.const 2) (f64.const 0) (i32.const 4096) (i32.const 2))
            (i32.const 0))"#,
        ends: Traps(&["cblas.cblas_dgemm: ", "the call requires `lda >= ", "lda = 2"]),
    },
    Case {
        name: "a matrix that reaches past the memory",
        imports: &[DGEMM],
        // 300 pages less five numbers of eight bytes.
        body: r#"(func (export "go") (result i32)
            (call $cblas_dgemm (i32.const 101) (i32.const 111) (i32.const 111) (i32.const 2)
                (i32.const 2) (i32.const 3) (f64.const 1) (i32.const 19660760) (i32.const 3)
                (i32.const 2048) (i32.const 2) (f64.const 0) (i32.const 4096) (i32.const 2))
            (i32.const 0))"#,
        ends: Traps(&["parameter 8 \"A\"", "48 bytes at 0x12bffd8 reach past the memory"]),
    },
    Case {
        name: "a digest that was not begun",
        imports: &[CONTEXT, UPDATE],
        body: r#"(func (export "go") (result i32)
            (call $EVP_DigestUpdate (call $EVP_MD_CTX_new) (i32.const 1024) (i32.const 4)))"#,
        ends: Traps(&["crypto.EVP_DigestUpdate: ", "remembers no `ready`"]),
    },
    Case {
        name: "a digest that has ended",
        imports: &[
            CONTEXT,
            UPDATE,
            ("crypto", "EVP_sha256", "(result i32)"),
            ("crypto", "EVP_DigestInit_ex", "(param i32 i32 i32) (result i32)"),
            ("crypto", "EVP_DigestFinal_ex", "(param i32 i32 i32) (result i32)"),
        ],
        body: r#"(func (export "go") (result i32)
            (global.set $kept (call $EVP_MD_CTX_new))
            (drop (call $EVP_DigestInit_ex (global.get $kept) (call $EVP_sha256) (i32.const 0)))
            (drop (call $EVP_DigestUpdate (global.get $kept) (i32.const 1024) (i32.const 4)))
            (drop (call $EVP_DigestFinal_ex (global.get $kept) (i32.const 2048) (i32.const 0)))
            (call $EVP_DigestUpdate (global.get $kept) (i32.const 1024) (i32.const 4)))"#,
        ends: Traps(&["crypto.EVP_DigestUpdate: ", "the call requires `ctx.ready == 1`"]),
    },
    Case {
        name: "an authorizer that drops the table",
        imports: &[
            OPEN,
            EXEC,
            ("sqlite3", "sqlite3_set_authorizer", "(param i32 i32 i32) (result i32)"),
        ],
        body: r#"DATABASE (elem (i32.const 1) func $deny)
            (func $deny (param i32 i32 i32 i32 i32 i32) (result i32)
                (call $exec (i32.const 128)) (i32.const 0))
            (func (export "go") (result i32)
                (call $database)
                (drop (call $sqlite3_set_authorizer (global.get $kept) (i32.const 1) (i32.const 0)))
                (call $exec (i32.const 192))
                (i32.const 0))"#,
        ends: Traps(&["sqlite3.sqlite3_exec: parameter 1 \"db\""]),
    },
    Case {
        name: "a progress handler that steps through another statement",
        imports: &[
            OPEN,
            EXEC,
            ("sqlite3", "sqlite3_progress_handler", "(param i32 i32 i32 i32)"),
            ("sqlite3", "sqlite3_prepare_v2", FIVE),
            ("sqlite3", "sqlite3_step", UNARY),
        ],
        body: r#"DATABASE (elem (i32.const 1) func $progress)
            (func $progress (param i32) (result i32) (call $sqlite3_step (global.get $other)))
            (func (export "go") (result i32)
                (call $database)
                (drop (call $sqlite3_prepare_v2 (global.get $kept) (i32.const 192) (i32.const -1)
                    (i32.const 8) (i32.const 0)))
                (global.set $other (i32.load (i32.const 8)))
                (drop (call $sqlite3_prepare_v2 (global.get $kept) (i32.const 192) (i32.const -1)
                    (i32.const 8) (i32.const 0)))
                (call $sqlite3_progress_handler (global.get $kept) (i32.const 1) (i32.const 1)
                    (i32.const 0))
                (call $sqlite3_step (i32.load (i32.const 8))))"#,
        ends: Traps(&["sqlite3.sqlite3_step: parameter 1 "]),
    },
    Case {
        name: "a row callback that closes the connection",
        imports: &[OPEN, EXEC, ("sqlite3", "sqlite3_close", UNARY)],
        body: r#"DATABASE (elem (i32.const 1) func $row)
            (func $row (param i32 i32 i32 i32) (result i32)
                (call $sqlite3_close (global.get $kept)))
            (func (export "go") (result i32)
                (call $database)
                (call $sqlite3_exec (global.get $kept) (i32.const 192) (i32.const 1) (i32.const 0)
                    (i32.const 0)))"#,
        ends: Traps(&["sqlite3.sqlite3_close: parameter 1 "]),
    },
    Case {
        name: "a value that is used after its callback",
        imports: &[OPEN, EXEC, FUNCTION, ("sqlite3", "sqlite3_value_int", UNARY)],
        body: r#"DATABASE (elem (i32.const 1) func $f)
            (func $f (param i32 i32 i32) (global.set $other (i32.load (local.get 2))))
            (func (export "go") (result i32)
                (call $database)
                (drop (call $sqlite3_create_function_v2 (global.get $kept) (i32.const 56)
                    (i32.const 1) (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 0)
                    (i32.const 0) (i32.const 0)))
                (call $exec (i32.const 256))
                (call $sqlite3_value_int (global.get $other)))"#,
        ends: Traps(&["sqlite3.sqlite3_value_int: parameter 1 "]),
    },
    Case {
        name: "a context that is used after its callback",
        imports: &[OPEN, EXEC, FUNCTION, ("sqlite3", "sqlite3_result_int", "(param i32 i32)")],
        body: r#"DATABASE (elem (i32.const 1) func $f)
            (func $f (param i32 i32 i32) (global.set $other (local.get 0)))
            (func (export "go") (result i32)
                (call $database)
                (drop (call $sqlite3_create_function_v2 (global.get $kept) (i32.const 56)
                    (i32.const 1) (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 0)
                    (i32.const 0) (i32.const 0)))
                (call $exec (i32.const 256))
                (call $sqlite3_result_int (global.get $other) (i32.const 1))
                (i32.const 0))"#,
        ends: Traps(&["sqlite3.sqlite3_result_int: parameter 1 "]),
    },
    Case {
        name: "an aggregate that asks for a byte too much",
        imports: &[OPEN, EXEC, FUNCTION, ("sqlite3", "sqlite3_aggregate_context", BINARY)],
        body: r#"DATABASE (elem (i32.const 1) func $step $final)
            (func $step (param i32 i32 i32)
                (drop (call $sqlite3_aggregate_context (local.get 0) (i32.const 65))))
            (func $final (param i32))
            (func (export "go") (result i32)
                (call $database)
                (drop (call $sqlite3_create_function_v2 (global.get $kept) (i32.const 56)
                    (i32.const 1) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 1)
                    (i32.const 2) (i32.const 0)))
                (call $exec (i32.const 256))
                (i32.const 0))"#,
        ends: Traps(&["sqlite3.sqlite3_aggregate_context: parameter 2 \"nBytes\"", "65"]),
    },
    Case {
        name: "a row callback without values",
        imports: &[OPEN, EXEC],
        // It is called once, with a number of columns and NULL for their values.
        body: r#"DATABASE (elem (i32.const 1) func $row)
            (func $row (param i32 i32 i32 i32) (result i32)
                (global.set $other (i32.add (global.get $other)
                    (i32.add (local.get 1) (i32.eqz (local.get 2)))))
                (i32.const 0))
            (func (export "go") (result i32)
                (call $database)
                (call $exec (i32.const 320))
                (drop (call $sqlite3_exec (global.get $kept) (i32.const 384) (i32.const 1)
                    (i32.const 0) (i32.const 0)))
                (global.get $other))"#,
        ends: Returns(2),
    },
    Case {
        name: "a handler that frees its parser",
        imports: &[PARSER, HANDLER, PARSE, ("expat", "XML_ParserFree", "(param i32)")],
        body: r#"DOCUMENT (func $inside (call $XML_ParserFree (global.get $kept)))"#,
        ends: Traps(&["expat.XML_ParserFree: parameter 1 "]),
    },
    Case {
        name: "a handler that resets its parser",
        imports: &[PARSER, HANDLER, PARSE, ("expat", "XML_ParserReset", BINARY)],
        body: r#"DOCUMENT
            (func $inside (drop (call $XML_ParserReset (global.get $kept) (i32.const 0))))"#,
        ends: Traps(&["expat.XML_ParserReset: parameter 1 "]),
    },
    Case {
        name: "a handler that parses on",
        imports: &[PARSER, HANDLER, PARSE],
        body: r#"DOCUMENT
            (func $inside (drop (call $XML_Parse (global.get $kept) (i32.const 48) (i32.const 4)
                (i32.const 1))))"#,
        ends: Traps(&["expat.XML_Parse: parameter 1 "]),
    },
    Case {
        name: "a handler that asks for the line",
        imports: &[PARSER, HANDLER, PARSE, ("expat", "XML_GetCurrentLineNumber", UNARY)],
        body: r#"DOCUMENT
            (func $inside
                (global.set $other (call $XML_GetCurrentLineNumber (global.get $kept))))"#,
        ends: Returns(1),
    },
    Case {
        name: "compression into a stream for decompression",
        imports: &[("zlib", "inflateInit_", "(param i32 i32 i32) (result i32)"), DEFLATE],
        body: r#"(func (export "go") (result i32)
            (drop (call $inflateInit_ (i32.const 512) (i32.const 32) (i32.const 56)))
            (call $deflate (i32.const 512) (i32.const 0)))"#,
        ends: Traps(&["zlib.deflate: parameter 1 \"strm\""]),
    },
    Case {
        name: "a copy of a stream that has ended",
        imports: &[DEFLATE_INIT, DEFLATE, ("zlib", "deflateEnd", UNARY)],
        body: r#"STREAM (func (export "go") (result i32)
            (call $init)
            (memory.copy (i32.const 1024) (i32.const 512) (i32.const 56))
            (drop (call $deflateEnd (i32.const 512)))
            (call $deflate (i32.const 1024) (i32.const 0)))"#,
        ends: Traps(&["zlib.deflate: parameter 1 \"strm\""]),
    },
    Case {
        name: "input that reaches past the memory",
        imports: &[DEFLATE_INIT, DEFLATE],
        // 300 pages less ten bytes, and a hundred of them.
        body: r#"STREAM (func (export "go") (result i32)
            (call $init)
            (i32.store (i32.const 512) (i32.const 19660790))
            (i32.store (i32.const 516) (i32.const 100))
            (call $deflate (i32.const 512) (i32.const 0)))"#,
        ends: Traps(&["zlib.deflate: parameter 1 \"strm\"", "next_in", "100 bytes"]),
    },
    Case {
        name: "a stream whose state was overwritten",
        imports: &[DEFLATE_INIT, DEFLATE],
        body: r#"STREAM (func (export "go") (result i32)
            (call $init)
            (memory.fill (i32.const 536) (i32.const 0x41) (i32.const 20))
            (call $deflate (i32.const 512) (i32.const 0)))"#,
        ends: Traps(&["zlib.deflate: parameter 1 \"strm\""]),
    },
];

fn guest(case: &Case) -> String {
    let mut imports = String::new();
    for (module, name, ty) in case.imports {
        writeln!(imports, "(import \"{module}\" \"{name}\" (func ${name} {ty}))")
            .expect("a string");
    }
    let body = case.body.replacen("DATABASE", DATABASE, 1);
    let body = body.replacen("DOCUMENT", DOCUMENT, 1).replacen("STREAM", STREAM, 1);
    format!("(module {imports} {FRAME} {body})")
}

fn bridge(tier: Tier) -> Bridge {
    let mut builder = Bridge::builder(&Engine::default()).max_tier(tier);
    for (file, shipped) in interfaces::all() {
        builder = builder.grant(shipped).unwrap_or_else(|error| panic!("{file}: {error}"));
    }
    builder.build().unwrap_or_else(|error| panic!("{error}"))
}

/// What is wrong with a case.
pub fn check(bridge: &Bridge, case: &Case) -> Result<(), String> {
    let name = case.name;
    let module = Module::new(bridge.engine(), guest(case));
    let module = module.map_err(|error| format!("{name}: {error:?}"))?;
    let mut store = Store::new(bridge.engine(), Natives::default());
    let linker = Linker::new(bridge.engine());
    let instance = bridge.instantiate(&mut store, &linker, &module, |natives| natives);
    let instance = instance.map_err(|error| format!("{name}: {error:#}"))?;
    let go = instance.get_typed_func::<(), i32>(&mut store, "go").expect("it is exported");
    match (go.call(&mut store, ()), &case.ends) {
        (Ok(value), Returns(expected)) if value == *expected => Ok(()),
        (Ok(value), _) => Err(format!("{name}: it returned {value}")),
        (Err(error), Returns(_)) => Err(format!("{name}: {error:#}")),
        (Err(error), Traps(says)) => {
            let error = format!("{error:#}");
            match says.iter().find(|what| !error.contains(**what)) {
                Some(what) => Err(format!("{name}: {what:?} is not in: {error}")),
                None => Ok(()),
            }
        }
    }
}

#[test]
fn libraries_are_not_harmed_by_what_c_would_allow() {
    for tier in TIERS {
        let bridge = bridge(tier);
        let wrong: Vec<String> =
            CASES.iter().filter_map(|case| check(&bridge, case).err()).collect();
        assert!(wrong.is_empty(), "{tier}:\n{}", wrong.join("\n"));
    }
}
