//! Callbacks where embedders make instances otherwise: through a linker, asynchronously, with other memories.
use crate::library::{Guest, State, bridge, builder, refused, text};
use portcullis::host::LinkError;
use portcullis::plan::CallbackProblem;
use wasmtime::{Config, Engine, Linker, Module, Store};

const APPLY: (&str, &str) = ("apply", "(param i32 i32) (result i32)");
const GUEST: &str = r#"(func $f (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3)))
    (func (export "go") (param i32) (result i32) (call $apply (i32.const 1) (local.get 0)))"#;

#[test]
fn a_linkers_functions_take_callbacks() {
    let bridge = bridge();
    let module = Module::new(bridge.engine(), text(&[APPLY], "$f", GUEST)).expect("valid");
    let mut linker = Linker::<State>::new(bridge.engine());
    bridge.add_to_linker(&mut linker, &module, |state| &mut state.natives).expect("it links");
    let pre = linker.instantiate_pre(&module).expect("complete");
    let mut store = Store::new(bridge.engine(), State::default());
    for _ in 0..3 {
        let instance = pre.instantiate(&mut store).expect("it starts");
        let go = instance.get_typed_func::<i32, i32>(&mut store, "go").expect("exported");
        assert_eq!(go.call(&mut store, 5).expect("it works"), 33);
    }
}

/// wasmtime does not allow it, and nothing undefined happens.
#[test]
fn under_call_async_a_callback_is_refused() {
    let mut config = Config::new();
    config.async_stack_size(4 << 20);
    let engine = Engine::new(&config).expect("valid");
    let bridge = builder(&engine).build().expect("valid");
    let mut guest = Guest::new(&bridge, &text(&[APPLY], "$f", GUEST));
    let go = guest.instance.get_typed_func::<i32, i32>(&mut guest.store, "go").expect("exported");
    let mut call = std::pin::pin!(go.call_async(&mut guest.store, 5));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(done) = call.as_mut().poll(&mut context) else {
        panic!("nothing is waited for")
    };
    assert_eq!(refused(done), CallbackProblem::Async);
}

#[test]
fn memory_that_moves_is_not_lent_to_what_calls_back() {
    let mut config = Config::new();
    config.memory_reservation(0).memory_may_move(true);
    let engine = Engine::new(&config).expect("valid");
    let bridge = builder(&engine).build().expect("valid");
    let sort = r#"(func $f (param i32 i32) (result i32) (i32.const 0))
        (func (export "go") (call $qsort (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 1)))"#;
    let guest = text(&[("qsort", "(param i32 i32 i32 i32)")], "$f", sort);
    let error = Guest::try_new(&bridge, &guest).expect_err("it moves");
    let error = error.downcast::<LinkError>().expect("a link error");
    assert!(error.to_string().contains("it may move when it grows"), "{error}");
    // Scalars, and copies, are no matter; where the memory is now is looked up each time.
    let functions = r#"(func $f (param i32) (result i32)
            (drop (memory.grow (i32.const 10)))
            (i32.load8_u (local.get 0)))
        (func (export "go") (result i32)
            (i32.add (call $with_text (i32.const 1) (i32.const 0)) (call $with_text (i32.const 1) (i32.const 1))))"#;
    let guest = text(&[("with_text", "(param i32 i32) (result i32)")], "$f", functions);
    let mut guest = Guest::new(&bridge, &guest);
    assert_eq!(guest.run::<_, i32>("go", ()), i32::from(b'h') + i32::from(b'l'));
    assert_eq!(guest.live(), 0);
}
