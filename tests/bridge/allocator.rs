//! Results that are copied into the guest's memory.
use crate::mock;
use crate::support::*;
use portcullis::host::LinkProblem;
use portcullis::plan::Problem;

/// A bump allocator that counts what it frees.
const ALLOCATOR: &str = r#"
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 1024))
    (global $freed (mut i32) (i32.const 0))
    (func (export "malloc") (param i32) (result i32)
        (local $at i32)
        (local.set $at (global.get $next))
        (global.set $next (i32.add (global.get $next) (i32.and
            (i32.add (local.get 0) (i32.const 15)) (i32.const -16))))
        (local.get $at))
    (func (export "free") (param i32)
        (global.set $freed (i32.add (global.get $freed) (i32.const 1))))
    (func (export "freed") (result i32) (global.get $freed))
    (func (export "at") (param i32) (result i32) (i32.load8_u (local.get 0)))"#;

fn guest(imports: &str, functions: &str) -> String {
    format!("(module {imports} {ALLOCATOR} {functions})")
}

/// The NUL-terminated text at that address.
fn text(guest: &mut Guest, address: i32) -> String {
    let bytes = (address..).map(|at| guest.call::<i32, i32>("at", at).unwrap());
    bytes.take_while(|byte| *byte != 0).map(|byte| char::from(byte as u8)).collect()
}

#[test]
fn a_returned_constant_is_copied_once() {
    let text_of = guest(
        r#"(import "mock" "greeting" (func $greeting (result i32)))"#,
        r#"(func (export "run") (result i32) (call $greeting))"#,
    );
    let mut guest = Guest::new(&mock(), &text_of).unwrap();
    let first = guest.call::<(), i32>("run", ()).unwrap();
    assert_eq!(text(&mut guest, first), "hello from outside");
    assert_eq!(guest.call::<(), i32>("run", ()).unwrap(), first);
    // Another instance of the same store has a copy of its own.
    let bridge = mock();
    let mut guest = Guest::new(&bridge, &text_of).unwrap();
    let second = guest.add(&bridge, &text_of).unwrap();
    guest.call::<(), i32>("run", ()).unwrap();
    let at = guest.call_in::<(), i32>(&second, "run", ()).unwrap();
    assert_eq!(guest.call_in::<i32, i32>(&second, "at", at).unwrap(), i32::from(b'h'));
}

#[test]
fn without_an_allocator_the_guest_is_not_linked() {
    let import = r#"(import "mock" "greeting" (func (result i32)))"#;
    let error = refused(&mock(), &format!(r#"(module {import} (memory (export "memory") 1))"#));
    assert!(matches!(error.problem, LinkProblem::Allocator { .. }), "{error}");
    assert!(error.to_string().contains("`malloc` (func (param i32) (result i32))"), "{error}");
    let import = r#"(import "mock" "text_free" (func (param i32)))"#;
    let error = refused(&mock(), &format!(r#"(module {import} (memory (export "memory") 1))"#));
    assert!(matches!(error.problem, LinkProblem::Allocator { .. }), "{error}");
    let wrong = guest(r#"(import "mock" "text_free" (func (param i64)))"#, "");
    let error = refused(&mock(), &wrong);
    assert!(matches!(error.problem, LinkProblem::WasmType { .. }), "{error}");
}

#[test]
fn a_function_that_frees_is_the_guests_own_free() {
    let text_of = guest(
        r#"(import "mock" "text_new" (func $new (param i32) (result i32)))
           (import "mock" "void text_free(void *text)" (func $free (param i32)))"#,
        r#"(func (export "run") (param i32) (result i32) (call $new (local.get 0)))
           (func (export "drop") (param i32) (call $free (local.get 0)))"#,
    );
    let mut guest = Guest::new(&mock(), &text_of).unwrap();
    let before = mock::freed();
    let at = guest.call::<i32, i32>("run", 12).unwrap();
    assert_eq!(text(&mut guest, at), "text 12");
    assert_eq!(mock::freed(), before + 1, "the native text was freed when it was copied");
    guest.call::<i32, ()>("drop", at).unwrap();
    assert_eq!(guest.call::<(), i32>("freed", ()).unwrap(), 1);
    guest.call::<i32, ()>("drop", 0).unwrap();
    assert_eq!(guest.call::<(), i32>("freed", ()).unwrap(), 1, "NULL is nothing to free");
    assert_eq!(mock::freed(), before + 1);
}

#[test]
fn loans_end_with_their_handle_even_from_another_instance() {
    let bridge = mock();
    let lender = guest(
        r#"(import "mock" "thing_open" (func $open (param i32) (result i32)))
           (import "mock" "thing_name" (func $name (param i32) (result i32)))"#,
        r#"(func (export "open") (param i32) (result i32) (call $open (local.get 0)))
           (func (export "name") (param i32) (result i32) (call $name (local.get 0)))"#,
    );
    let closer = r#"(module
        (import "mock" "thing_close" (func $close (param i32)))
        (func (export "close") (param i32) (call $close (local.get 0))))"#;
    let mut guest = Guest::new(&bridge, &lender).unwrap();
    let closer = guest.add(&bridge, closer).unwrap();
    let thing = guest.call::<i32, i32>("open", 3).unwrap();
    let name = guest.call::<i32, i32>("name", thing).unwrap();
    assert_eq!(text(&mut guest, name), "thing 3");
    guest.call_in::<i32, ()>(&closer, "close", thing).unwrap();
    assert_eq!(guest.call::<(), i32>("freed", ()).unwrap(), 1);
    let error = trapped(guest.call::<i32, i32>("name", thing));
    assert!(matches!(error.problem, Problem::Handle { .. }), "{error}");
}

#[test]
fn cabi_realloc_will_do() {
    let text_of = r#"(module
        (import "mock" "greeting" (func $greeting (result i32)))
        (memory (export "memory") 1)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
        (func (export "at") (param i32) (result i32) (i32.load8_u (local.get 0)))
        (func (export "run") (result i32) (call $greeting)))"#;
    let mut guest = Guest::new(&mock(), text_of).unwrap();
    assert_eq!(guest.call::<(), i32>("run", ()).unwrap(), 4096);
    assert_eq!(text(&mut guest, 4096), "hello from outside");
}

#[test]
fn hostile_allocators_harm_nobody() {
    let with = |malloc: &str| {
        format!(
            r#"(module
            (import "mock" "greeting" (func $greeting (result i32)))
            (memory (export "memory") 1)
            (func (export "malloc") (param i32) (result i32) {malloc})
            (func (export "free") (param i32))
            (func $run (export "run") (result i32) (call $greeting)))"#
        )
    };
    for address in ["(i32.const 0)", "(i32.const -4)", "(i32.const 65530)"] {
        let mut guest = Guest::new(&mock(), &with(address)).unwrap();
        let error = trapped(guest.call::<(), i32>("run", ()));
        assert!(error.called && matches!(error.problem, Problem::Allocation { .. }), "{error}");
    }
    // A trap in the allocator is the guest's own trap.
    let mut guest = Guest::new(&mock(), &with("unreachable")).unwrap();
    let error = guest.call::<(), i32>("run", ()).unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&wasmtime::Trap::UnreachableCodeReached));
    assert!(format!("{error:?}").contains("mock.greeting"), "{error:?}");
    // An allocator that allocates through the same import never ends by itself.
    let recursive = with("(call $run)");
    let run = move || {
        let mut guest = Guest::new(&mock(), &recursive).unwrap();
        guest.call::<(), i32>("run", ()).unwrap_err();
    };
    std::thread::Builder::new().stack_size(4 << 20).spawn(run).unwrap().join().unwrap();
    // One that grows the memory is fine.
    let growing = "(drop (memory.grow (i32.const 1))) (i32.const 65536)";
    let mut guest = Guest::new(&mock(), &with(growing)).unwrap();
    assert_eq!(guest.call::<(), i32>("run", ()).unwrap(), 65536);
}

#[test]
fn a_starting_instance_allocates() {
    let text_of = guest(
        r#"(import "mock" "greeting" (func $greeting (result i32)))"#,
        r#"(global $kept (mut i32) (i32.const 0))
           (func $start (global.set $kept (call $greeting)))
           (start $start)
           (func (export "run") (result i32) (call $greeting))
           (func (export "kept") (result i32) (global.get $kept))"#,
    );
    let mut guest = Guest::new(&mock(), &text_of).unwrap();
    let kept = guest.call::<(), i32>("kept", ()).unwrap();
    assert_eq!(text(&mut guest, kept), "hello from outside");
    assert_eq!(guest.call::<(), i32>("run", ()).unwrap(), kept);
}
