//! Data of libraries that is not what its prototype says.
use crate::world::{granted, not_linked};
use portcullis::host::{Bridge, LinkProblem};
use wasmtime::{Engine, Instance, Linker, Module, Store};

const PRAGMA: &str = "#pragma portcullis library \"libmock.so\" module \"mock\"\n";

fn bridge(declarations: &str) -> Bridge {
    let interface = format!("{PRAGMA}{declarations}");
    granted(&Engine::default(), &interface).build().unwrap_or_else(|error| panic!("{error}"))
}

fn guest(name: &str) -> String {
    format!(
        r#"(module (import "mock" "{name}" (func $get (result i32)))
        (memory (export "memory") 1)
        (func (export "malloc") (param i32) (result i32) (i32.const 64))
        (func (export "free") (param i32))
        (export "get" (func $get)))"#
    )
}

#[test]
fn what_the_file_has_decides() {
    for (declaration, name, message) in [
        ("extern long mock_level;", "mock_level", "has 4 bytes, its type has 8"),
        ("extern const uint32_t mock_table[4];", "mock_table", "has 12 bytes, its type has 16"),
        ("extern const char mock_name[9];", "mock_name", "has 8 bytes, its type has 9"),
        ("extern int mock_calls;", "mock_calls", "is not data"),
        ("int mock_level(void);", "mock_level", "is data, not a function"),
        ("extern int mock_levle;", "mock_levle", "nearest names: mock_level"),
        ("extern FILE *stdout;", "stdout", "is not defined by"),
    ] {
        let error = not_linked(&bridge(declaration), &guest(name)).to_string();
        assert!(error.contains(message), "{declaration}: {error}");
    }
}

/// A thread's own variable has an address on each thread; `dlsym` tells that of this one.
#[test]
fn variables_of_threads_are_no_data() {
    let error = not_linked(&bridge("extern int mock_own;"), &guest("mock_own"));
    let wrong = matches!(
        error.problem,
        LinkProblem::Data { .. }
            | LinkProblem::SymbolElsewhere { .. }
            | LinkProblem::SymbolNotFound { .. }
    );
    assert!(wrong, "{error}");
}

#[test]
fn what_is_as_it_says_is_read() {
    let bridge = bridge("extern int mock_level;\nextern const char mock_name[];");
    for (name, expected) in [("mock_level", 5), ("mock_name", 64)] {
        let module = Module::new(bridge.engine(), guest(name)).expect("the guest is valid");
        let mut store = Store::new(bridge.engine(), portcullis::host::Natives::default());
        let linker = Linker::new(bridge.engine());
        let instance: Instance = bridge
            .instantiate(&mut store, &linker, &module, |natives| natives)
            .unwrap_or_else(|error| panic!("{error:?}"));
        let get = instance.get_typed_func::<(), i32>(&mut store, "get").expect("it is exported");
        assert_eq!(get.call(&mut store, ()).expect("it is read"), expected, "{name}");
    }
}
