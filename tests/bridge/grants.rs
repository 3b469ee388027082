//! What is granted, and what a guest is told otherwise.
#![expect(unsafe_code, reason = "grants interfaces of its own")]
use crate::mock;
use crate::support::*;
use portcullis::host::{Bridge, BuildError, ImportStatus, LinkError, LinkProblem, Natives, Tier};
use portcullis::interfaces;
use portcullis::plan::{Limits, Problem};
use wasmtime::{Config, Engine, Linker, Module, Store};

#[test]
fn ten_lines_of_wat_call_the_systems_cosine() {
    let cos = std::fs::read_to_string("guest-examples/cos/cos.wat").unwrap();
    let mut guest = Guest::new(&libm(), &cos).unwrap();
    assert_eq!(guest.call::<f64, f64>("cos_of", 0.5).unwrap(), 0.5f64.cos());
}

#[test]
fn plain_names_and_out_parameters_work() {
    let plain = std::fs::read_to_string("guest-examples/cos/plain.wat").unwrap();
    let mut guest = Guest::new(&libm(), &plain).unwrap();
    assert_eq!(guest.call::<f64, (f64, i32)>("frexp_of", 80.0).unwrap(), (0.625, 7));
}

#[test]
fn nothing_is_callable_that_was_not_granted() {
    let engine = Engine::default();
    let nothing = Bridge::builder(&engine).build().unwrap();
    let error = refused(&nothing, COS);
    let LinkProblem::Denied { hint } = &error.problem else { panic!("{error}") };
    assert!(hint.contains("--grant libm"), "{hint}");
    assert!(hint.contains(".grant(interfaces::libm())"), "{hint}");
}

#[test]
fn a_symbol_that_the_interface_leaves_out_is_denied() {
    for name in ["system", "int system(const char *)", "coss"] {
        let guest = format!(r#"(module (import "libm.so.6" "{name}" (func)))"#);
        let error = refused(&libm(), &guest);
        assert!(error.is_denial(), "{error}");
        assert!(error.to_string().contains("libm.h"), "{error}");
    }
    let error = refused(&libm(), r#"(module (import "libm" "coss" (func)))"#).to_string();
    assert!(error.contains("similar names") && error.contains("cos"), "{error}");
}

#[test]
fn modules_that_are_paths_reach_nothing() {
    for module in
        ["./libm.so.6", "/lib/x86_64-linux-gnu/libm.so.6", "../libm.so.6", "libm.so.6\\00"]
    {
        let guest = COS.replace("libm.so.6", module);
        assert!(refused(&libm(), &guest).is_denial(), "{module}");
    }
}

#[test]
fn a_prototype_that_contradicts_its_grant_is_a_link_error() {
    for contradiction in ["float cos(float)", "double cos(double, double)", "double cos(int)"] {
        let guest = format!(r#"(module (import "libm" "{contradiction}" (func)))"#);
        let error = refused(&libm(), &guest);
        assert!(matches!(error.problem, LinkProblem::Contradiction { .. }), "{error}");
        assert!(error.to_string().contains("double cos(double"), "both are shown: {error}");
    }
    // What it leaves out is taken from the grant, what it repeats must be equal.
    let guest = |prototype: &str| {
        format!(
            r#"(module (import "mock" "{prototype}" (func (param i32 i32) (result i32)))
                (memory (export "memory") 1))"#
        )
    };
    Guest::new(&mock(), &guest("unsigned int sum(const uint8_t *, unsigned int)")).unwrap();
    Guest::new(&mock(), &guest("unsigned sum(const uint8_t buf[n], unsigned n)")).unwrap();
    let error = refused(&mock(), &guest("unsigned sum(const uint8_t buf[n / 2], unsigned n)"));
    assert!(matches!(error.problem, LinkProblem::Contradiction { .. }), "{error}");
}

#[test]
fn a_malformed_prototype_is_pointed_at() {
    let error = refused(&libm(), r#"(module (import "libm" "double cos(duoble)" (func)))"#);
    assert!(matches!(error.problem, LinkProblem::Prototype(_)), "{error}");
    assert!(error.to_string().contains("did you mean"), "{error}");
    let long = "x".repeat(90_000);
    let error = refused(&libm(), &format!(r#"(module (import "libm" "int {long}" (func)))"#));
    assert!(error.to_string().len() < 2000, "a long name gets a short error");
}

#[test]
fn a_wrong_wasm_type_shows_both() {
    let cases = [
        "(func (param f32) (result f64))",
        "(func (param f64))",
        "(func (param f64 f64) (result f64))",
        "(func (param v128) (result f64))",
    ];
    for found in cases {
        let error = refused(&libm(), &format!(r#"(module (import "libm" "cos" {found}))"#));
        assert!(matches!(error.problem, LinkProblem::WasmType { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("(func (param f64) (result f64))"), "{text}");
        assert!(text.contains(found), "{text}");
    }
}

#[test]
fn a_long_is_what_the_import_declares() {
    let guest = |ty: &str| {
        format!(
            r#"(module (import "mock" "twice" (func $twice (param {ty}) (result {ty})))
                (func (export "run") (param {ty}) (result {ty}) (call $twice (local.get 0))))"#
        )
    };
    let mut narrow = Guest::new(&mock(), &guest("i32")).unwrap();
    assert_eq!(narrow.call::<i32, i32>("run", -3).unwrap(), -6);
    let error = trapped(narrow.call::<i32, i32>("run", i32::MAX));
    assert!(error.called && matches!(error.problem, Problem::DoesNotFit { .. }), "{error}");
    let mut wide = Guest::new(&mock(), &guest("i64")).unwrap();
    assert_eq!(wide.call::<i64, i64>("run", 1 << 40).unwrap(), 1 << 41);
}

#[test]
fn other_imports_come_from_the_linker_and_so_do_symbols_that_nobody_granted() {
    let bridge = libm();
    let text = r#"(module
        (import "env" "seven" (func $seven (result i32)))
        (import "libm" "home_made" (func $home (result i32)))
        (import "libm" "cos" (func $cos (param f64) (result f64)))
        (func (export "run") (result i32) (i32.add (call $seven) (call $home))))"#;
    let module = Module::new(bridge.engine(), text).unwrap();
    let mut store = Store::new(bridge.engine(), State::default());
    let mut linker = Linker::new(bridge.engine());
    linker.func_wrap("env", "seven", || 7).unwrap();
    linker.func_wrap("libm", "home_made", || 35).unwrap();
    let instance = bridge.instantiate(&mut store, &linker, &module, natives).unwrap();
    let run = instance.get_typed_func::<(), i32>(&mut store, "run").unwrap();
    assert_eq!(run.call(&mut store, ()).unwrap(), 42);
    let error = refused(&bridge, r#"(module (import "env" "seven" (func)))"#);
    assert!(matches!(error.problem, LinkProblem::Unknown), "{error}");
}

#[test]
fn libraries_and_symbols_that_are_not_there() {
    let engine = Engine::default();
    let interface = |library: &str| {
        format!(
            "#pragma portcullis library \"{library}\" module \"m\"\ndouble cosinus(double x);\n"
        )
    };
    let build = |library: &str| {
        // SAFETY: the function does not exist.
        let builder =
            unsafe { Bridge::builder(&engine).grant_interface("m.h", &interface(library)) };
        builder.and_then(|builder| builder.build())
    };
    let guest = r#"(module (import "m" "cosinus" (func (param f64) (result f64))))"#;
    let error = refused(&build("libm.so.6").unwrap(), guest);
    let LinkProblem::SymbolNotFound { symbol, .. } = &error.problem else { panic!("{error}") };
    assert_eq!(symbol, "cosinus");
    let error = refused(&build("libnosuch.so.7").unwrap(), guest);
    let LinkProblem::LibraryNotFound { tried, .. } = &error.problem else { panic!("{error}") };
    assert!(tried.iter().any(|(path, _)| path.ends_with("libnosuch.so.7")), "{error}");
    let error = build("./libm.so.6").unwrap_err();
    assert!(matches!(error, BuildError::Interface(_)), "{error}");
    let error = Bridge::builder(&engine).library("libm.so.6", "../libm.so.6").unwrap_err();
    assert!(matches!(error, BuildError::LibraryName { .. }), "{error}");
}

#[test]
fn symbols_of_dependencies_need_an_also() {
    let engine = Engine::default();
    let build = |also: &str| {
        let interface = format!(
            "#pragma portcullis library \"libm.so.6\" module \"m\" {also}\nint abs(int x);\n"
        );
        // SAFETY: this is the prototype of `abs`.
        let builder = unsafe { Bridge::builder(&engine).grant_interface("m.h", &interface) };
        builder.unwrap().build().unwrap()
    };
    let guest = r#"(module (import "m" "abs" (func $abs (param i32) (result i32)))
        (func (export "run") (result i32) (call $abs (i32.const -5))))"#;
    let error = refused(&build(""), guest);
    assert!(matches!(error.problem, LinkProblem::SymbolElsewhere { .. }), "{error}");
    let mut guest = Guest::new(&build("also \"libc.so.6\""), guest).unwrap();
    assert_eq!(guest.call::<(), i32>("run", ()).unwrap(), 5);
}

#[test]
fn trusted_libraries_believe_the_guest() {
    let engine = Engine::default();
    // SAFETY: the prototype below is true.
    let builder = unsafe { Bridge::builder(&engine).trust_signatures("libm.so.6").unwrap() };
    let bridge = builder.build().unwrap();
    let mut guest = Guest::new(&bridge, COS).unwrap();
    assert_eq!(guest.call::<f64, f64>("cos_of", 0.0).unwrap(), 1.0);
    // Only by prototype, only that library, and only what is correct.
    let plain = COS.replace("double cos(double)", "cos");
    assert!(refused(&bridge, &plain).is_denial());
    assert!(refused(&bridge, &COS.replace("libm.so.6", "libm")).is_denial());
    let error = refused(&bridge, &COS.replace("double cos(double)", "double cos(void *p)"));
    assert!(matches!(error.problem, LinkProblem::Prototype(_)), "{error}");
    // What another library defines is not there, and no interface could say `also`.
    let abs = r#"(module (import "libm.so.6" "int abs(int)" (func (param i32) (result i32))))"#;
    let error = refused(&bridge, abs);
    let text = error.to_string();
    assert!(matches!(error.problem, LinkProblem::SymbolElsewhere { trusted: true, .. }), "{text}");
    assert!(text.contains("from `libc.so.6`") && !text.contains("also"), "{text}");
}

#[test]
fn a_denial_names_what_helps() {
    let nothing = Bridge::builder(&Engine::default()).build().unwrap();
    let hint = |bridge: &Bridge, import: &str| {
        let error = refused(bridge, &format!("(module (import {import}))"));
        let LinkProblem::Denied { hint } = error.problem else { panic!("{error}") };
        hint
    };
    let system = hint(&nothing, r#""libc.so.6" "int system(const char *)" (func)"#);
    assert!(!system.contains("--grant interfaces"), "{system}");
    assert!(system.contains("do not grant `system`"), "{system}");
    for bridge in [&nothing, &libm()] {
        let path = hint(bridge, r#""./libm.so.6" "cos" (func)"#);
        assert!(path.contains("must write the module `libm` or `libm.so.6`"), "{path}");
    }
    let errno = hint(&nothing, r#""portcullis" "errn" (func (result i32))"#);
    assert!(errno.contains("`errno` and `wasi_errno`"), "{errno}");
    let global = hint(&libm(), r#""libm" "signgam" (global i32)"#);
    assert!(global.contains("only functions") && global.contains("global"), "{global}");
}

#[test]
fn errno_is_kept_for_the_guest() {
    let text = r#"(module
        (import "mock" "fail_with" (func $fail (param i32) (result i32)))
        (import "mock" "add" (func $add (param i32 i32) (result i32)))
        (import "portcullis" "errno" (func $errno (result i32)))
        (import "portcullis" "wasi_errno" (func $wasi_errno (result i32)))
        (func (export "run") (param i32) (result i32 i32)
            (drop (call $fail (local.get 0)))
            (drop (call $add (i32.const 1) (i32.const 2)))
            (call $errno) (call $wasi_errno)))"#;
    let mut guest = Guest::new(&mock(), text).unwrap();
    assert_eq!(guest.call::<i32, (i32, i32)>("run", libc::ENOENT).unwrap(), (libc::ENOENT, 44));
    assert_eq!(guest.call::<i32, (i32, i32)>("run", 0).unwrap(), (0, 0));
    let error = refused(&mock(), r#"(module (import "portcullis" "errno" (func)))"#);
    assert!(matches!(error.problem, LinkProblem::WasmType { .. }), "{error}");
}

#[test]
fn errno_is_that_of_the_call_also_when_the_guests_allocator_calls_it_again() {
    let text = r#"(module
        (import "mock" "fail_softly" (func $fail (param i32) (result i32)))
        (import "portcullis" "errno" (func $errno (result i32)))
        (memory (export "memory") 1)
        (global $calls (mut i32) (i32.const 0))
        (func (export "malloc") (param i32) (result i32)
            (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
            (if (i32.eq (global.get $calls) (i32.const 1))
                (then (drop (call $fail (i32.const 5)))))
            (i32.const 1024))
        (func (export "free") (param i32))
        (func (export "run") (result i32) (drop (call $fail (i32.const 9))) (call $errno))
        (func (export "fail") (drop (call $fail (i32.const 9))))
        (func (export "errno") (result i32) (call $errno)))"#;
    let mut guest = Guest::new(&mock(), text).unwrap();
    assert_eq!(guest.call::<(), i32>("run", ()).unwrap(), 9);
    // Whether the call ends well or not.
    let traps = text.replace(
        "(drop (call $fail (i32.const 5)))",
        "(drop (call $fail (i32.const 5))) unreachable",
    );
    let mut guest = Guest::new(&mock(), &traps).unwrap();
    guest.call::<(), ()>("fail", ()).unwrap_err();
    assert_eq!(guest.call::<(), i32>("errno", ()).unwrap(), 9);
}

#[test]
fn what_annotations_name_is_called_in_the_library_that_grants_it() {
    const INTERFACE: &str = r#"
        #include "portcullis.h"
        #pragma portcullis library "libone.so" module "one"
        typedef struct thing thing __drop(thing_close);
        void thing_close(thing *__consumes it);
        void text_free(void *text);
        int add(int a, int b) __attribute__((const));
        #pragma portcullis library "libtwo.so" module "two"
        thing *thing_open(int id);
        char *__null_terminated __freed_by(text_free) text_new(int n);
        unsigned int sum(const uint8_t *__counted_by(add(n, 0)) buf, int n);
    "#;
    let engine = Engine::default();
    // SAFETY: the prototypes are true of the functions that follow, which are static.
    let bridge = unsafe {
        let mut builder = Bridge::builder(&engine).grant_interface("pair.h", INTERFACE).unwrap();
        for name in ["thing_close", "text_free", "add"] {
            builder = builder.symbol("libone.so", name, mock::address(name));
            // The other library has functions of the same names, which nothing grants.
            builder = builder.symbol("libtwo.so", name, mock::address("ignore"));
        }
        for name in ["thing_open", "text_new", "sum"] {
            builder = builder.symbol("libtwo.so", name, mock::address(name));
        }
        builder.build().unwrap()
    };
    let text = r#"(module
        (import "two" "thing_open" (func $open (param i32) (result i32)))
        (import "two" "text_new" (func $text (param i32) (result i32)))
        (import "two" "sum" (func $sum (param i32 i32) (result i32)))
        (memory (export "memory") 1) (data (i32.const 8) "\01\02\03")
        (func (export "malloc") (param i32) (result i32) (i32.const 1024))
        (func (export "free") (param i32))
        (func (export "run") (result i32)
            (drop (call $open (i32.const 61)))
            (drop (call $text (i32.const 1)))
            (call $sum (i32.const 8) (i32.const 3))))"#;
    let mut guest = Guest::new(&bridge, text).unwrap();
    let freed = mock::freed();
    assert_eq!(guest.call::<(), i32>("run", ()).unwrap(), 6);
    assert_eq!(mock::freed(), freed + 1);
    drop(guest);
    assert_eq!(mock::closed().last(), Some(&61));
}

#[test]
fn the_report_says_what_every_import_gets() {
    let bridge = libm();
    let text = r#"(module
        (import "libm" "cos" (func (param f64) (result f64)))
        (import "libm" "double sin(double)" (func (param f32) (result f64)))
        (import "libz.so.1" "crc32" (func))
        (import "env" "memory" (memory 1))
        (import "wasi_snapshot_preview1" "fd_close" (func (param i32) (result i32))))"#;
    let module = Module::new(bridge.engine(), text).unwrap();
    let report = bridge.describe(&module);
    let ImportStatus::Native(functions) = &report[0].status else { panic!("{report:?}") };
    assert_eq!(functions[0].prototype, "double cos(double x)");
    assert_eq!(functions[0].tier, crate::MOST);
    assert!(functions[0].library.as_ref().unwrap().ends_with("libm.so.6"));
    assert_eq!(report[0].wasm_type, "(func (param f64) (result f64))");
    assert!(matches!(
        &report[1].status,
        ImportStatus::Refused(LinkError { problem: LinkProblem::WasmType { .. }, .. })
    ));
    assert!(matches!(&report[2].status, ImportStatus::Refused(error) if error.is_denial()));
    assert!(matches!(report[3].status, ImportStatus::Other));
    assert!(matches!(report[4].status, ImportStatus::Other));
}

#[test]
fn the_interpreter_can_be_asked_for() {
    let engine = Engine::default();
    let builder = Bridge::builder(&engine).grant(interfaces::libm()).unwrap();
    let bridge = builder.max_tier(Tier::Interpreter).build().unwrap();
    let module = Module::new(&engine, COS).unwrap();
    let ImportStatus::Native(functions) = &bridge.describe(&module)[0].status else { panic!() };
    assert_eq!(functions[0].tier, Tier::Interpreter);
    let mut guest = Guest::new(&bridge, COS).unwrap();
    assert_eq!(guest.call::<f64, f64>("cos_of", 0.5).unwrap(), 0.5f64.cos());
}

#[test]
fn engines_and_stores_must_fit() {
    let bridge = libm();
    let other = Engine::default();
    let module = Module::new(&other, COS).unwrap();
    let mut store = Store::new(&other, State::default());
    let linker = Linker::new(&other);
    assert!(bridge.instantiate(&mut store, &linker, &module, natives).is_err());
    let module = Module::new(bridge.engine(), COS).unwrap();
    let mut empty = Store::new(bridge.engine(), ());
    let linker = Linker::new(bridge.engine());
    fn leaked(_: &mut ()) -> &mut Natives {
        Box::leak(Box::default())
    }
    assert!(bridge.instantiate(&mut empty, &linker, &module, leaked).is_err());
}

#[test]
fn fibers_must_leave_room_for_native_code() {
    let mut config = Config::new();
    config.max_wasm_stack(2 << 20);
    let engine = Engine::new(&config).unwrap();
    let error = Bridge::builder(&engine).build().unwrap_err();
    assert!(matches!(error, BuildError::AsyncStack { .. }), "{error}");
    let limits = Limits { stack_reserve: 0, ..Limits::default() };
    assert!(Bridge::builder(&engine).limits(limits).build().is_ok());
}
