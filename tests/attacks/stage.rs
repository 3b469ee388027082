//! What attacks are made with: the libraries, guests, and how each attempt must end.
use crate::native;
use portcullis::host::{Bridge, BridgeBuilder, LinkError, Natives, Tier};
use portcullis::plan::{CallError, Limits};
use std::path::PathBuf;
use std::sync::OnceLock;
use wasmtime::{Engine, Instance, Linker, Module, Store, Trap};

pub const TIERS: [Tier; 4] = [Tier::Interpreter, Tier::Template, Tier::Cranelift, Tier::Direct];

/// How an attack must end.
#[derive(Clone, Copy, Debug)]
pub enum Ends {
    /// In an error before the native function runs; with this text in it.
    Refused(&'static str),
    /// In an error after the native function has run.
    Caught(&'static str),
    /// In a link error.
    Unlinked(&'static str),
    /// In a trap of the guest's own.
    Trapped(Trap),
    /// With this result: C has done what it was asked, and harmed nobody.
    Harmless(i32),
    /// As the attempt itself says, in Rust.
    Otherwise,
}

impl Ends {
    /// For the table.
    pub fn name(self) -> &'static str {
        match self {
            Ends::Refused(_) => "refused",
            Ends::Caught(_) => "caught",
            Ends::Unlinked(_) => "not linked",
            Ends::Trapped(_) => "trap",
            Ends::Harmless(_) => "harmless",
            Ends::Otherwise => "typed",
        }
    }
}

/// One attack. See the module.
pub struct Attack {
    pub name: &'static str,
    /// What it tries.
    pub tries: &'static str,
    pub ends: Ends,
    attempt: Attempt,
}

enum Attempt {
    /// A guest whose function `go` is called.
    Guest { text: String, limits: Limits },
    /// Whatever else it takes.
    Program(fn(Tier) -> Result<(), String>),
}

impl Attack {
    /// An attack by a guest: its imports as `module.name params -> results` in words of wasm, what it has beside the
    /// usual, and its function `go`.
    pub fn guest(
        name: &'static str,
        tries: &'static str,
        imports: &[&str],
        body: &str,
        ends: Ends,
    ) -> Attack {
        let attempt = Attempt::Guest { text: guest(imports, body), limits: Limits::default() };
        Attack { name, tries, ends, attempt }
    }

    /// With other limits.
    pub fn limited(mut self, to: Limits) -> Attack {
        if let Attempt::Guest { limits, .. } = &mut self.attempt {
            *limits = to;
        }
        self
    }

    /// With something else in the guest's text, once.
    pub fn with(mut self, old: &str, new: &str) -> Attack {
        if let Attempt::Guest { text, .. } = &mut self.attempt {
            assert!(text.contains(old), "{}: {old}", self.name);
            *text = text.replacen(old, new, 1);
        }
        self
    }

    pub fn program(
        name: &'static str,
        tries: &'static str,
        run: fn(Tier) -> Result<(), String>,
    ) -> Attack {
        Attack { name, tries, ends: Ends::Otherwise, attempt: Attempt::Program(run) }
    }

    /// Makes it on a tier.
    pub fn run(&self, tier: Tier) -> Result<(), String> {
        match &self.attempt {
            Attempt::Program(run) => run(tier),
            Attempt::Guest { text, limits } => {
                let bridge = builder(tier).limits(*limits).build();
                self.make(&bridge.map_err(|error| error.to_string())?, text)
            }
        }
    }

    fn make(&self, bridge: &Bridge, text: &str) -> Result<(), String> {
        let mut world = match (World::new(bridge, text), self.ends) {
            (Err(error), Ends::Unlinked(said)) => {
                let error = error.downcast::<LinkError>();
                let error = error.map_err(|error| format!("no link error: {}", text_of(&error)))?;
                return contains(&error.to_string(), said);
            }
            (Err(error), _) => return Err(format!("not linked: {}", text_of(&error))),
            (Ok(_), Ends::Unlinked(_)) => return Err("it was linked".to_owned()),
            (Ok(world), _) => world,
        };
        // Twice: whatever the first attempt leaves behind must not help the second.
        for attempt in 1..=2 {
            let outcome = world.go();
            self.judge(outcome).map_err(|why| format!("attempt {attempt}: {why}"))?;
            world.works()?;
        }
        Ok(())
    }

    fn judge(&self, outcome: wasmtime::Result<i32>) -> Result<(), String> {
        match (outcome, self.ends) {
            (Ok(value), Ends::Harmless(expected)) if value == expected => Ok(()),
            (Ok(value), _) => Err(format!("it returned {value}")),
            (Err(error), Ends::Refused(said)) => call_error(error, false, said),
            (Err(error), Ends::Caught(said)) => call_error(error, true, said),
            (Err(error), Ends::Trapped(trap)) if error.downcast_ref() == Some(&trap) => Ok(()),
            (Err(error), _) => Err(format!("it failed: {}", text_of(&error))),
        }
    }
}

/// A call error with that text in it, after the native function has run or before.
pub fn call_error(error: wasmtime::Error, called: bool, said: &str) -> Result<(), String> {
    let error = error.downcast::<CallError>();
    let error = error.map_err(|error| format!("no call error: {}", text_of(&error)))?;
    if error.called != called {
        return Err(format!("called: {}, {error}", error.called));
    }
    contains(&error.to_string(), said)
}

/// What an error says, without a backtrace of thousands of frames.
pub fn text_of(error: &wasmtime::Error) -> String {
    format!("{error:#}").chars().take(600).collect()
}

pub fn contains(text: &str, part: &str) -> Result<(), String> {
    if text.contains(part) { Ok(()) } else { Err(format!("{part:?} is not in: {text}")) }
}

/// The libraries and their interfaces.
struct Libraries {
    mock: PathBuf,
    callbacks: PathBuf,
    _folder: tempfile::TempDir,
}

fn libraries() -> &'static Libraries {
    static LIBRARIES: OnceLock<Libraries> = OnceLock::new();
    LIBRARIES.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let compile =
            |name, source, flags: &[&str]| native::compile(folder.path(), name, source, flags);
        let mock = compile("libmock.so", include_str!("../hostile/mock.c"), &["-O1"]);
        let source = include_str!("../callbacks/library.c");
        let callbacks = compile("libcb.so", source, &["-O1", "-pthread"]);
        Libraries { mock, callbacks, _folder: folder }
    })
}

/// A builder that grants what is attacked.
pub fn builder(tier: Tier) -> BridgeBuilder {
    builder_for(&Engine::default(), tier)
}

pub fn builder_for(engine: &Engine, tier: Tier) -> BridgeBuilder {
    let libraries = libraries();
    let mock = include_str!("../hostile/mock.h");
    let callbacks = include_str!("../callbacks/library.h")
        .replace("@LIBRARY@", libraries.callbacks.to_str().expect("UTF-8"));
    let builder = Bridge::builder(engine).max_tier(tier);
    let builder = builder.library("libmock.so", &libraries.mock).expect("an absolute path");
    // SAFETY: the interfaces are true of the libraries.
    let builder = unsafe { builder.grant_interface("mock.h", mock) }.expect("valid");
    // SAFETY: likewise.
    unsafe { builder.grant_interface("library.h", &callbacks) }.expect("valid")
}

/// A guest's text: memory, table (the functions named `$f0`, `$f1`, ... of `body`, from index 1 on), an allocator, and
/// `works`, which shows that the store can be used.
pub fn guest(imports: &[&str], body: &str) -> String {
    let mut all = String::new();
    for import in imports {
        let (name, ty) = import.split_once(' ').unwrap_or((import, ""));
        let (module, name) = name.split_once('.').expect("`module.name`");
        let (params, result) = ty.split_once("->").unwrap_or((ty, ""));
        let result =
            if result.trim().is_empty() { String::new() } else { format!("(result {result})") };
        all +=
            &format!("(import \"{module}\" \"{name}\" (func ${name} (param {params}) {result}))\n");
    }
    let count = (0..).take_while(|n| body.contains(&format!("(func $f{n} "))).count();
    let elements: String = (0..count).map(|n| format!(" $f{n}")).collect();
    let own = if imports.iter().any(|one| one.starts_with("mock.ordered ")) {
        ""
    } else {
        r#"(import "mock" "ordered" (func $ordered (param i32 i32) (result i32)))"#
    };
    format!(
        r#"(module {all} {own}
        (import "portcullis" "release_callback" (func $release (param i32)))
        (memory (export "memory") 2 8)
        (table (export "__indirect_function_table") 64 funcref)
        (elem (i32.const 1) func{elements})
        (global $next (mut i32) (i32.const 65536))
        (func $malloc (export "malloc") (param $n i32) (result i32)
            (global.get $next)
            (global.set $next (i32.add (global.get $next)
                (i32.and (i32.add (local.get $n) (i32.const 31)) (i32.const -16)))))
        (func $free (export "free") (param i32))
        (func (export "works") (result i32) (call $ordered (i32.const 2) (i32.const 5)))
        {body})"#
    )
}

/// A store with a guest.
pub struct World {
    pub store: Store<Natives>,
    pub instance: Instance,
}

impl World {
    pub fn new(bridge: &Bridge, text: &str) -> wasmtime::Result<World> {
        let mut store = Store::new(bridge.engine(), Natives::default());
        let instance = World::add(bridge, &mut store, text)?;
        Ok(World { store, instance })
    }

    /// Another guest of a store.
    pub fn add(
        bridge: &Bridge,
        store: &mut Store<Natives>,
        text: &str,
    ) -> wasmtime::Result<Instance> {
        let module = Module::new(bridge.engine(), text)?;
        let linker = Linker::new(bridge.engine());
        bridge.instantiate(store, &linker, &module, |natives| natives)
    }

    pub fn call(&mut self, name: &str) -> wasmtime::Result<i32> {
        let function = self.instance.get_typed_func::<(), i32>(&mut self.store, name)?;
        function.call(&mut self.store, ())
    }

    fn go(&mut self) -> wasmtime::Result<i32> {
        self.call("go")
    }

    /// The store can be used.
    pub fn works(&mut self) -> Result<(), String> {
        match self.call("works") {
            Ok(3) => Ok(()),
            Ok(other) => Err(format!("the store cannot be used afterwards: {other}")),
            Err(error) => Err(format!("the store cannot be used afterwards: {}", text_of(&error))),
        }
    }
}
