//! Guest programs: random sequences of imports, callbacks, growing memory, changed tables and handles that are gone,
//! nested as deep as callbacks go. After every step two things are looked at: whether the host's state is sound, and
//! whether anything was written beside the guest's memory.
//!
//! ```text
//! steps     what a program does, and what must be true after each step
//! library   the native code, which knows what is alive
//! memory    guest memory between canaries
//! ```
use super::tally::count;
use portcullis::host::{Bridge, Natives, Tier};
use std::sync::{Arc, OnceLock};
use wasmtime::{Config, Engine, Instance, Linker, Module, OptLevel, Store};

mod library;
mod memory;
mod steps;

const TIERS: [Tier; 4] = [Tier::Interpreter, Tier::Template, Tier::Cranelift, Tier::Direct];

/// What a store keeps.
#[derive(Debug, Default)]
pub struct State {
    natives: Natives,
    instances: Vec<Instance>,
}

/// Imports and their wasm types; each has an export of its name that calls it.
const IMPORTS: [(&str, &str, &str); 19] = [
    ("node_new", "i32", "i32"),
    ("node_child", "i32 i32", "i32"),
    ("node_same", "i32", "i32"),
    ("node_get", "i32", "i32"),
    ("node_free", "i32", ""),
    ("node_try_free", "i32 i32", "i32"),
    ("node_name", "i32", "i32"),
    ("node_step", "i32", ""),
    ("node_hold", "i32 i32", ""),
    ("node_each", "i32 i32 i32", "i32"),
    ("node_visit", "i32 i32 i32", "i32"),
    ("node_hook", "i32 i32", ""),
    ("node_fire", "i32 i32", "i32"),
    ("fill", "i32 i32 i32", ""),
    ("sum", "i32 i32", "i32"),
    ("length", "i32", "i32"),
    ("exchange", "i32 i32", "i32"),
    ("points", "i32 i32", "i32"),
    ("text_new", "i32", "i32"),
];

/// Functions of the table: some go on with the program, some trap, one has another type.
const CALLBACKS: &str = r#"
    (func $two (param i32 i32) (result i32) (call $nested (local.get 0) (local.get 1)))
    (func $two_traps (param i32 i32) (result i32) unreachable)
    (func $one (param i32) (result i32) (call $nested (local.get 0) (i32.const -1)))
    (func $one_traps (param i32) (result i32) (i32.div_u (i32.const 1) (i32.const 0)))
    (func $other)
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
    (func (export "set") (param $at i32) (param $from i32)
        (table.set $table (local.get $at) (table.get $table (local.get $from))))
    (func (export "clear") (param i32) (table.set $table (local.get 0) (ref.null func)))
    (func (export "widen") (param i32) (result i32) (table.grow $table (ref.func $one) (local.get 0)))
    (global $next (mut i32) (i32.const 32768))
    (global $live (export "live") (mut i32) (i32.const 0))
    (func (export "malloc") (param $n i32) (result i32)
        (global.set $live (i32.add (global.get $live) (i32.const 1)))
        (drop (call $nested (i32.const 0) (i32.const -2)))
        (global.get $next)
        (global.set $next (i32.and (i32.add (global.get $next)
            (i32.and (i32.add (local.get $n) (i32.const 15)) (i32.const 0xff0))) (i32.const 0xbfff))))
    (func (export "free") (param i32)
        (global.set $live (i32.sub (global.get $live) (i32.const 1))))
"#;

fn text() -> String {
    use std::fmt::Write as _;
    let (mut imports, mut functions) = (String::new(), String::new());
    for (name, params, result) in IMPORTS {
        let result = if result.is_empty() { String::new() } else { format!("(result {result})") };
        let ty = format!("(param {params}) {result}");
        let arguments: String =
            (0..params.split(' ').count()).map(|at| format!(" (local.get {at})")).collect();
        let _ = writeln!(imports, "(import \"nodes\" \"{name}\" (func ${name} {ty}))");
        let _ = writeln!(functions, "(func (export \"{name}\") {ty} (call ${name}{arguments}))");
    }
    format!(
        r#"(module {imports}
        (import "program" "nested" (func $nested (param i32 i32) (result i32)))
        (memory (export "memory") 1 6)
        (table $table (export "__indirect_function_table") 10 20 funcref)
        (elem (i32.const 1) func $two $two_traps $one $one_traps $other $two $one)
        {CALLBACKS} {functions})"#
    )
}

/// Everything that is made once: an engine with guard pages and one with canaries, a bridge for each tier.
struct Stage {
    module: Module,
    bridges: Vec<Bridge>,
    linker: Linker<State>,
}

fn stage(canaries: bool) -> &'static Stage {
    static STAGES: [OnceLock<Stage>; 2] = [OnceLock::new(), OnceLock::new()];
    STAGES[usize::from(canaries)].get_or_init(|| {
        let mut config = Config::new();
        config.cranelift_opt_level(OptLevel::None);
        if canaries {
            config.memory_reservation(1 << 20).memory_guard_size(0).memory_may_move(false);
            config.with_host_memory(Arc::new(memory::Creator));
        }
        let engine = Engine::new(&config).expect("a configuration");
        let bridges = TIERS.map(|tier| bridge(&engine, tier)).into();
        let mut linker = Linker::new(&engine);
        linker.func_wrap("program", "nested", steps::nested).expect("a name of its own");
        let module = Module::new(&engine, text()).unwrap_or_else(|error| panic!("{error:?}"));
        Stage { module, bridges, linker }
    })
}

#[expect(unsafe_code, reason = "grants an interface and gives addresses")]
fn bridge(engine: &Engine, tier: Tier) -> Bridge {
    // SAFETY: the interface is true of the library, which is part of the program.
    let builder = unsafe {
        Bridge::builder(engine).max_tier(tier).grant_interface("nodes.h", library::INTERFACE)
    };
    let builder = builder.unwrap_or_else(|error| panic!("{error}"));
    let builder = library::functions().into_iter().fold(builder, |builder, (name, address)| {
        // SAFETY: likewise.
        unsafe { builder.symbol("libnodes.so", name, address) }
    });
    builder.build().unwrap_or_else(|error| panic!("{error}"))
}

/// The target.
pub fn check(data: &[u8]) {
    let first = data.first().copied().unwrap_or(0);
    let (canaries, tier) = (first & 4 != 0, usize::from(first & 3));
    let stage = stage(canaries);
    let bridge = &stage.bridges[tier];
    steps::begin(data.get(1..).unwrap_or_default());
    let mut store = Store::new(bridge.engine(), State::default());
    for _ in 0..1 + usize::from(first >> 3 & 1) {
        let instance = bridge
            .instantiate(&mut store, &stage.linker, &stage.module, |state| &mut state.natives);
        let instance = instance.unwrap_or_else(|error| panic!("{error:?}"));
        store.data_mut().instances.push(instance);
    }
    count("programs");
    while steps::go_on() {
        steps::step(&mut store, 0);
        steps::sound(&mut store, 0);
    }
    library::ends();
    drop(store);
    // What guests leave goes with the store.
    assert_eq!(library::alive(), (0, 0), "objects and texts are left");
    assert_eq!(memory::untouched(), 0, "memories are left");
}
