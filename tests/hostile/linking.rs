//! What cannot be linked: prototypes and interfaces that lie or make no sense, modules that are
//! paths, wasm that is no wasm.
use crate::native;
use crate::rng::{Rng, seed};
use crate::world::{INTERFACE, calls, granted, mock_path, not_linked};
use portcullis::host::{Bridge, BuildError, LinkProblem, Natives};
use portcullis::plan::CallError;
use wasmtime::{Config, Engine, Linker, Module, Store};

fn bridge() -> Bridge {
    granted(&Engine::default(), INTERFACE).build().expect("a bridge")
}

fn import(module: &str, name: &str, ty: &str) -> String {
    format!("(module (import \"{module}\" \"{name}\" (func {ty})) (memory (export \"memory\") 1))")
}

const BINARY: &str = "(param i32 i32) (result i32)";

#[test]
fn a_prototype_that_contradicts_its_grant_is_refused() {
    let bridge = bridge();
    for name in [
        // Another type, another result, another number of parameters.
        "unsigned int sum(const uint8_t *__counted_by(n) data, uint64_t n)",
        "int sum(const uint8_t *__counted_by(n) data, uint32_t n)",
        "unsigned int sum(const uint8_t *__counted_by(n) data, uint32_t n, int more)",
        "unsigned int sum(void)",
        // Less careful.
        "unsigned int sum(uint8_t *__counted_by(n) data, uint32_t n)",
        "unsigned int sum(const uint8_t *__counted_by(1) data, uint32_t n)",
        "unsigned int sum(const uint8_t *__counted_by_or_null(n) data, uint32_t n)",
        "unsigned int sum(const uint8_t *__single data, uint32_t n)",
        "unsigned int sum(struct box *data, uint32_t n)",
        "int limited(int level __range(0, 1000))",
        "int ordered(int a, int b) __requires(1)",
    ] {
        let error = not_linked(&bridge, &import("mock", name, BINARY));
        assert!(matches!(error.problem, LinkProblem::Contradiction { .. }), "{name}: {error}");
        let text = error.to_string();
        assert!(text.contains("mock.h"), "{text}");
    }
}

#[test]
fn a_wasm_type_that_does_not_fit_shows_both() {
    let bridge = bridge();
    for ty in [
        "(param i32) (result i32)",
        "(param i64 i32) (result i32)",
        "(param i32 i32)",
        "(param f32 f32) (result f32)",
        "(param i32 i32) (result i32 i32)",
        "(param v128 i32) (result i32)",
    ] {
        for name in ["sum", "unsigned int sum(const uint8_t data[n], uint32_t n)"] {
            let error = not_linked(&bridge, &import("mock", name, ty));
            let LinkProblem::WasmType { expected, .. } = &error.problem else { panic!("{error}") };
            assert_eq!(expected, "(func (param i32 i32) (result i32))");
        }
    }
}

#[test]
fn a_module_that_is_a_path_reaches_no_file() {
    // A library that leaves a trace as soon as it is loaded.
    let folder = tempfile::tempdir().expect("a temporary folder");
    let trace = folder.path().join("trace");
    let source = format!(
        "#include <stdio.h>\n__attribute__((constructor)) static void loaded(void) \
         {{ FILE *f = fopen(\"{}\", \"w\"); if (f) fclose(f); }}\nint sum(void) {{ return 0; }}\n",
        trace.display()
    );
    let library = native::compile(folder.path(), "libtrace.so", &source, &[]);
    let path = library.display().to_string();
    let bridge = bridge();
    for module in [
        path.as_str(),
        "./libtrace.so",
        "../libtrace.so",
        "libtrace.so",
        "/lib/x86_64-linux-gnu/libc.so.6",
        "libc.so.6",
        "/proc/self/exe",
        "",
        "mock\\00",
        "mock ",
        "MOCK",
        "libmock.so\\00/../x",
        &mock_path().display().to_string(),
    ] {
        for name in ["int sum(void)", "sum", "int system(const char *command)"] {
            let error = not_linked(&bridge, &import(module, name, "(result i32)"));
            let refused =
                matches!(error.problem, LinkProblem::Denied { .. } | LinkProblem::Unknown);
            assert!(refused, "{module}: {error}");
        }
    }
    assert!(!trace.exists(), "a guest's string has reached the dynamic linker");
    // The trace works: the host's own word loads the library.
    // SAFETY: its constructor writes a file.
    drop(unsafe { libloading::Library::new(&library) }.expect("it can be loaded"));
    assert!(trace.exists());
}

#[test]
fn functions_that_were_not_granted_are_denied() {
    let bridge = bridge();
    for name in ["mock_calls", "long mock_calls(void)", "system", "int system(const char *s)", ""] {
        let error = not_linked(&bridge, &import("mock", name, "(result i32)"));
        assert!(
            matches!(error.problem, LinkProblem::Denied { .. } | LinkProblem::Prototype(_)),
            "{name}: {error}"
        );
    }
}

/// What grows faster than these texts does not come to an end here.
#[test]
fn endless_and_deep_prototypes_are_refused() {
    let bridge = bridge();
    let repeated = |text: &str, times: usize| text.repeat(times);
    for name in [
        format!("int sum({})", repeated("int, ", 16_000)),
        format!("int sum({})", repeated("(", 60_000)),
        format!("int sum(int a[{}])", repeated("(1+", 20_000)),
        format!("int {}sum(void)", repeated("*", 60_000)),
        format!("int sum(int {})", repeated("(*", 30_000)),
        format!("int sum(struct {{ {} }} a)", repeated("struct { ", 7_000)),
        format!("int sum(int a {})", repeated("__range(1) ", 6_000)),
        format!("int sum(int a {})", repeated("__attribute__((x)) ", 3_000)),
        format!("int sum({} a)", repeated("unknown_type_t ", 4_000)),
        format!("int sum(int a[{}])", repeated("9", 60_000)),
        repeated("/*", 30_000),
        repeated("\u{e9}", 40_000),
        format!("{}int sum(void)", repeated(" ", 90_000)),
    ] {
        assert!(name.len() < 100_000, "wasm itself allows no longer names");
        let error = not_linked(&bridge, &import("mock", &name, BINARY));
        assert!(error.to_string().len() < 20_000, "an error as long as the text that it refuses");
    }
    // wasm allows no name of a megabyte; whoever reads such a text from elsewhere gets the same.
    let megabyte = format!("int sum({})", repeated("int a, ", 150_000));
    assert!(Module::new(bridge.engine(), import("mock", &megabyte, BINARY)).is_err());
    let scope = portcullis::signature::Scope::default();
    let errors = portcullis::signature::parse_prototype(&megabyte, &scope).expect_err("too long");
    assert!(errors.to_string().len() < 1000, "{errors}");
}

#[test]
fn an_interface_that_contradicts_itself_grants_nothing() {
    for (text, says) in [
        ("int f(int *__counted_by(n) a);", "there is no parameter `n`"),
        ("int f(int a, int a);", "two parameters are called `a`"),
        ("int f(const int *_Out_ a);", "`_Out_`, but what it points at is `const`"),
        ("int f(int *_In_ _Out_ a);", "`_Out_` contradicts `_In_`"),
        ("int f(int *_Nullable _Nonnull a);", "`_Nonnull` contradicts `_Nullable`"),
        (
            "int f(int *__counted_by(1) __sized_by(4) a);",
            "`__sized_by(4)` contradicts `__counted_by(1)`",
        ),
        ("int f(int a __range(10, 1));", "no value is in the range from 10 to 1"),
        ("int f(void *a);", "`a` has no size"),
        ("typedef int t; typedef long t; int f(t a);", "`t` is defined twice"),
        ("int f(int a); long f(int a);", "`f` is granted twice"),
        ("int f(int a); int f(int a, int b);", "`f` is granted twice"),
        (
            "typedef struct s s __drop(nothing); s *f(void);",
            "this interface does not grant `nothing`",
        ),
        (
            "typedef struct s s; void f(s *__lifetimebound(s) a);",
            "`__lifetimebound(s)` describes a pointer that is returned, or given to a callback",
        ),
        ("char *__null_terminated __freed_by(g) f(void);", "this interface does not grant `g`"),
        (
            "int f(double a __range(1, 2));",
            "`__range(1, 2)` describes an integer that the guest gives",
        ),
        ("int f(int a) __requires(b > 0);", "there is no parameter `b`"),
        ("int f(int n __value(m));", "there is no parameter `m`"),
        ("#define A A\nint f(int a __range(A));", "there is no parameter `A`"),
        ("#ifdef X\nint f(int a);", "this condition has no `#endif`"),
        ("int f(int a)", "expected `,` or `;` after a declaration, found the end"),
        ("static int x;", "`static` has no place here: a library does not export it"),
        ("int f(int) { return 1; }", "an interface has no function bodies"),
    ] {
        let text = format!("#pragma portcullis library \"libmock.so\" module \"mock\"\n{text}\n");
        // SAFETY: nothing is ever called.
        let granted =
            unsafe { Bridge::builder(&Engine::default()).grant_interface("bad.h", &text) };
        let Err(BuildError::Interface(errors)) = granted else { panic!("accepted:\n{text}") };
        let shown = errors.to_string();
        let first = format!("error: {says}\n --> bad.h:");
        assert!(shown.starts_with(&first), "{text}\n{shown}");
    }
    for library in ["../libmock.so", "./libmock.so", "x/libmock.so", ""] {
        let text =
            format!("#pragma portcullis library \"{library}\" module \"mock\"\nint f(int a);\n");
        // SAFETY: nothing is ever called.
        let granted =
            unsafe { Bridge::builder(&Engine::default()).grant_interface("bad.h", &text) };
        assert!(granted.is_err(), "{library}");
    }
}

/// Nor here.
#[test]
fn hostile_interfaces_end() {
    let doubling: String = (0..40).fold("typedef struct { int a; } t0;\n".to_owned(), |text, n| {
        text + &format!("typedef struct {{ t{n} a, b; }} t{};\n", n + 1)
    });
    let macros: String = (0..60).fold("#define M0 1\n".to_owned(), |text, n| {
        text + &format!("#define M{} (M{n} + M{n})\n", n + 1)
    });
    for text in [
        doubling + "int f(t40 a);\n",
        macros + "int f(int a __range(M60));\n",
        "#ifdef A\n".repeat(100_000),
        "#define A B\n#define B A\nint f(int a __range(A));\n".to_owned(),
        "typedef ".repeat(200_000),
        "x".repeat(5 << 20),
        "int f(int a);\n".repeat(20_000),
        "enum e { ".to_owned() + &"a, ".repeat(100_000) + "};",
    ] {
        let text = format!("#pragma portcullis library \"libmock.so\" module \"mock\"\n{text}");
        // SAFETY: nothing is ever called.
        drop(unsafe { Bridge::builder(&Engine::default()).grant_interface("bad.h", &text) });
    }
}

#[test]
fn a_start_function_gets_no_more_than_others() {
    let bridge = bridge();
    let run = |body: &str| {
        let text = format!(
            "(module (import \"mock\" \"sum\" (func $sum {BINARY})) \
             (import \"mock\" \"box_get\" (func $get (param i32) (result i32))) \
             (memory (export \"memory\") 1) (func $start {body}) (start $start))"
        );
        let module = Module::new(bridge.engine(), text).expect("valid");
        let mut store = Store::new(bridge.engine(), Natives::default());
        let linker = Linker::new(bridge.engine());
        bridge.instantiate(&mut store, &linker, &module, |natives| natives)
    };
    let before = calls();
    assert!(run("(drop (call $sum (i32.const 8) (i32.const 100)))").is_ok());
    assert_eq!(calls(), before + 1);
    for body in [
        "(drop (call $sum (i32.const 8) (i32.const 70000)))",
        "(drop (call $sum (i32.const -1) (i32.const 1)))",
        "(drop (call $get (i32.const 0x100001)))",
        "unreachable",
    ] {
        let error = run(body).expect_err("the start function traps");
        assert_eq!(error.is::<CallError>(), body != "unreachable", "{error:?}");
    }
    assert_eq!(calls(), before + 1);
}

/// A guest that tries out what a mutation of it may still be able to do.
const VICTIM: &str = r#"(module
    (import "mock" "sum" (func $sum (param i32 i32) (result i32)))
    (import "mock" "int length(const char *s)" (func $length (param i32) (result i32)))
    (import "mock" "box_new" (func $new (param i32) (result i32)))
    (import "mock" "box_free" (func $free (param i32)))
    (memory (export "memory") 1) (data (i32.const 64) "text\00")
    (func (export "go") (result i32)
        (call $free (call $new (i32.const 3)))
        (drop (call $length (i32.const 64)))
        (call $sum (i32.const 64) (i32.const 5))))"#;

#[test]
fn broken_wasm_breaks_nothing() {
    let seed = seed(23);
    let mut rng = Rng::new(seed);
    let mut config = Config::new();
    // Mutated code may run for ever.
    config.consume_fuel(true);
    let engine = Engine::new(&config).expect("fuel exists");
    let bridge = granted(&engine, INTERFACE).build().expect("a bridge");
    let binary = wat::parse_str(VICTIM).expect("valid");
    let run = |bytes: &[u8]| -> Option<wasmtime::Result<i32>> {
        let module = Module::new(&engine, bytes).ok()?;
        let mut store = Store::new(&engine, Natives::default());
        store.set_fuel(100_000).expect("fuel is on");
        let linker = Linker::new(&engine);
        let instance = bridge.instantiate(&mut store, &linker, &module, |natives| natives).ok()?;
        let go = instance.get_typed_func::<(), i32>(&mut store, "go").ok()?;
        Some(go.call(&mut store, ()))
    };
    let (mut valid, mut ran) = (0, 0);
    for _ in 0..3000 {
        let mut bytes = binary.clone();
        match rng.below(4) {
            0 => bytes.truncate(rng.below(bytes.len())),
            1 => {
                let at = rng.below(bytes.len());
                bytes.insert(at, rng.next().to_le_bytes()[0]);
            }
            _ => {
                for _ in 0..=rng.below(3) {
                    let at = rng.below(bytes.len());
                    bytes[at] = rng.next().to_le_bytes()[0];
                }
            }
        }
        valid += usize::from(Module::validate(&engine, &bytes).is_ok());
        ran += usize::from(run(&bytes).is_some());
    }
    assert!(valid > 100 && ran > 20, "of 3000 mutants {valid} are valid and {ran} ran");
    let sum = run(&binary).expect("it is valid").expect("it does not trap");
    assert_eq!(sum, i32::from(b't') + i32::from(b'e') + i32::from(b'x') + i32::from(b't'));
}
