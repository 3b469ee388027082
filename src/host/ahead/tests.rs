//! Closures of guests that were made ahead of time, and files whose parts do not fit each other.
#![expect(unsafe_code, reason = "opens machine code that it has just written, and parts of it")]
use super::*;
use crate::host::typing::Wanted;
use crate::host::{BridgeBuilder, Natives};
use std::ffi::{c_int, c_void};
use std::fs;
use wasmtime::{Linker, Store};

const INTERFACE: &str = r#"
#pragma portcullis library "libahead.so" module "ahead"
int each(int (*f)(int a, void *__cookie c), void *__cookie c, int n);
int text(const char *(*f)(int a));
int twice(int a) __leaf;
"#;

const GUEST: &str = r#"(module
    (import "ahead" "each" (func $each (param i32 i32 i32) (result i32)))
    (import "ahead" "text" (func $text (param i32) (result i32)))
    (import "ahead" "twice" (func $twice (param i32) (result i32)))
    (memory (export "memory") 1) (table (export "table") 2 funcref) (elem (i32.const 1) func $f)
    (func $f (param i32 i32) (result i32) (i32.mul (local.get 0) (local.get 1)))
    (func (export "run") (param i32) (result i32)
        (call $each (i32.const 1) (i32.const 7) (call $twice (local.get 0)))))"#;

unsafe extern "C" fn each(
    f: unsafe extern "C" fn(c_int, *mut c_void) -> c_int,
    c: *mut c_void,
    n: c_int,
) -> c_int {
    // SAFETY: the prototype says what it is called with.
    (0..n).map(|a| unsafe { f(a, c) }).sum()
}

extern "C" fn twice(a: c_int) -> c_int {
    2 * a
}

fn builder(engine: &Engine, interface: &str) -> BridgeBuilder {
    // SAFETY: it is true of the functions above; `text` is never called.
    let builder = unsafe { Bridge::builder(engine).grant_interface("ahead.h", interface) };
    let functions = [
        ("each", each as *const c_void),
        ("text", twice as *const c_void),
        ("twice", twice as *const c_void),
    ];
    functions.into_iter().fold(builder.expect("it is correct"), |builder, (name, address)| {
        // SAFETY: as above.
        unsafe { builder.symbol("libahead.so", name, address) }
    })
}

fn compiled(engine: &Engine) -> Vec<u8> {
    let bridge = builder(engine, INTERFACE).max_tier(Tier::Direct).build().expect("a bridge");
    let compiled = bridge.precompile(GUEST.as_bytes()).expect("it can be compiled");
    compiled.to_bytes().expect("and written")
}

fn open(folder: &tempfile::TempDir, bytes: &[u8]) -> Result<Precompiled, PrecompiledError> {
    let path = folder.path().join("guest");
    fs::write(&path, bytes).expect("written");
    // SAFETY: it was written here; what is broken of it is refused before any of it runs.
    unsafe { Precompiled::open(&path) }
}

/// How closures of the first callback of that import get their entry.
fn wanted(bridge: &Bridge, module: &Module, import: usize) -> Wanted {
    let view = ModuleView::new(module);
    let import = module.imports().nth(import).expect("it is there");
    let resolved = bridge.shared.resolve(&view, &import, CallerOf::Instance);
    let Some((Resolved::Native(link), _)) = resolved.expect("it links") else {
        panic!("it is granted")
    };
    bridge.shared.types.of(&link.overloads[0].plan.callbacks[0].plan)
}

#[test]
fn closures_have_the_entries_that_were_made_before() {
    let folder = tempfile::tempdir().expect("a folder");
    let engine = Engine::default();
    let guest = open(&folder, &compiled(&engine)).expect("it was just written");
    for hot in [false, true] {
        let builder = builder(&engine, INTERFACE).precompiled(&guest).make_code(false);
        let builder = if hot { builder.when_hot(3) } else { builder.max_tier(Tier::Direct) };
        let bridge = builder.build().expect("a bridge");
        let module = bridge.load(&guest).expect("all is as it was");
        let Wanted::Now(code) = wanted(&bridge, &module, 0) else {
            panic!("its entry was made before")
        };
        // One entry for all closures of the type.
        let again = wanted(&bridge, &module, 0);
        assert!(matches!(again, Wanted::Now(again) if again.start == code.start));
        assert!(!matches!(wanted(&bridge, &module, 1), Wanted::Now(_)), "it has none on any tier");
        let mut store = Store::new(&engine, Natives::default());
        let linker = Linker::new(&engine);
        let instance = bridge.instantiate(&mut store, &linker, &module, |natives| natives);
        let instance = instance.expect("it starts");
        let run = instance.get_typed_func::<i32, i32>(&mut store, "run").expect("exported");
        assert_eq!(run.call(&mut store, 3).expect("it passes"), 15 * 7);
    }
}

/// The checksum is right, and something else is not.
#[test]
fn parts_that_do_not_fit_each_other_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let engine = Engine::default();
    let good = compiled(&engine);
    let (whole, behind) = {
        drop(open(&folder, &good).expect("it was just written"));
        Whole::open(&folder.path().join("guest")).expect("likewise")
    };
    let modules = whole.bytes().expect("it is there");
    let modules = &modules[..modules.len() - file::TAIL - behind.len()];
    let parts = || postcard::from_bytes::<Behind>(&behind).expect("it was just written");
    let with = |change: &dyn Fn(&mut Behind)| {
        let (mut bytes, mut parts) = (modules.to_vec(), parts());
        change(&mut parts);
        file::finish(&mut bytes, &postcard::to_allocvec(&parts).expect("plain data"));
        bytes
    };
    let load = |bytes: &[u8]| -> Result<Module, String> {
        let guest = open(&folder, bytes).map_err(|error| error.to_string())?;
        let bridge = builder(&engine, INTERFACE).precompiled(&guest).make_code(false).build();
        bridge.expect("a bridge").load(&guest).map_err(|error| format!("{error:?}"))
    };
    load(&with(&|_| {})).expect("nothing was changed");

    let end = good.len() as u64;
    let outside: [(u64, u64); 4] = [(end, 1), (u64::MAX, 2), (0, end + 1), (1 << 40, 1 << 40)];
    for trial in outside {
        let error = load(&with(&|parts| parts.trial = trial)).expect_err("it is outside");
        assert!(error.contains("is damaged: compile the guest again"), "{trial:?}: {error}");
    }
    for stock in [Vec::new(), vec![0; 64], b"\x05wrong".to_vec()] {
        let error = load(&with(&|parts| parts.stock.clone_from(&stock))).expect_err("no stock");
        assert!(error.contains("trampolines") && error.contains("compile the guest"), "{error}");
    }
    let cut = |parts: &mut Behind| parts.stock.truncate(parts.stock.len() / 2);
    let error = load(&with(&cut)).expect_err("half a stock");
    assert!(error.contains("cannot be read"), "{error}");
    let renamed = |parts: &mut Behind| parts.imports[0].plans[0] += " ";
    let error = load(&with(&renamed)).expect_err("another plan");
    assert!(error.contains("its interface is not the one"), "{error}");
    let swapped = |parts: &mut Behind| {
        let [first, .., last] = parts.imports.as_mut_slice() else { panic!("there are some") };
        std::mem::swap(&mut first.plans, &mut last.plans);
    };
    let error = load(&with(&swapped)).expect_err("those of another import");
    assert!(error.contains("its interface is not the one"), "{error}");

    // What is behind the modules is something else, or longer than it is.
    let mut bytes = modules.to_vec();
    file::finish(&mut bytes, b"nothing that means anything");
    assert!(load(&bytes).expect_err("it means nothing").contains("is damaged"));
    let mut bytes = modules.to_vec();
    file::finish(&mut bytes, &[&behind[..], b"more"].concat());
    assert!(load(&bytes).expect_err("there is more of it").contains("is damaged"));
    // The module is something else.
    for module in [vec![0; modules.len()], modules[..100].to_vec()] {
        let mut bytes = module;
        file::finish(&mut bytes, &behind);
        assert!(load(&bytes).is_err());
    }
    // A trial that is none: there are no direct calls, and it is said why.
    let guest = open(&folder, &with(&|parts| parts.trial = (0, 4096))).expect("it is inside");
    let builder = builder(&engine, INTERFACE).precompiled(&guest).max_tier(Tier::Direct);
    let bridge = builder.make_code(false).build().expect("a bridge");
    let why = bridge.why_not_direct().expect("there is no trial").to_string();
    assert!(why.contains("not possible"), "{why}");
}
