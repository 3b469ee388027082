//! What arguments mean: files read, names resolved, an engine and a bridge built.
use super::args;
use super::kind::{self, Guest, NOT_ALLOWED};
use super::page::complain;
use super::report::{WARNING, from_wasmtime};
use super::similar::similar;
use anyhow::{Context as _, Result, bail};
use portcullis::host::{Bridge, BridgeBuilder, Precompiled, Recording, Tier};
use portcullis::interfaces::{self, Shipped};
use portcullis::plan::Limits;
use portcullis::signature::{Interface, parse_interface};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;
use wasmtime::{Config, Engine, Module};

/// Stack of the thread that guests run on. Only what is used costs memory.
pub const STACK: usize = 256 << 20;

/// How much of it wasm code may use (with what native code below it uses). At least 192 MiB are
/// left to native code, whose recursion nothing bounds: SQLite alone asks for 8.
const WASM_STACK: usize = 64 << 20;

/// How much a guest may use of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    pub timeout: Option<Duration>,
    pub fuel: Option<u64>,
}

/// The engine that guests are compiled for.
pub fn engine() -> Result<Engine> {
    engine_within(Bounds::default())
}

/// The same with such checks in the code of guests as these bounds need.
fn engine_within(bounds: Bounds) -> Result<Engine> {
    let mut config = Config::new();
    config.epoch_interruption(bounds.timeout.is_some()).consume_fuel(bounds.fuel.is_some());
    engine_of(config)
}

/// The engine that runs guests which were compiled ahead of time: where they are in their files.
pub fn engine_in_place() -> Result<Engine> {
    let mut config = Config::new();
    Precompiled::run_in_place(&mut config);
    engine_of(config)
}

fn engine_of(mut config: Config) -> Result<Engine> {
    config.max_wasm_stack(WASM_STACK);
    // No guest runs on a fiber, but the sizes must be consistent.
    config.async_stack_size(STACK);
    Engine::new(&config).map_err(from_wasmtime).context("cannot build an engine for this machine")
}

/// Reads and compiles a guest, binary or text.
pub fn module(engine: &Engine, path: &Path) -> Result<Module> {
    Guest::Module(NOT_ALLOWED).check(path)?;
    compiled(engine, path)
}

#[cfg(feature = "cranelift")]
fn compiled(engine: &Engine, path: &Path) -> Result<Module> {
    Module::from_file(engine, path)
        .map_err(from_wasmtime)
        .with_context(|| format!("{} is not a WebAssembly module that can be run", path.display()))
}

#[cfg(not(feature = "cranelift"))]
fn compiled(_: &Engine, path: &Path) -> Result<Module> {
    bail!(
        "{} must be compiled ahead of time, because this program was built without a compiler (feature \
         `cranelift`): use `portcullis compile` of one that has it, and then --allow-precompiled",
        path.display()
    )
}

/// Opens a guest that was compiled ahead of time.
#[expect(unsafe_code, reason = "whoever types --allow-precompiled vouches for the file")]
pub fn precompiled(path: &Path) -> Result<Precompiled> {
    Guest::Compiled.check(path)?;
    // SAFETY: the user says that the file may be run; `--help` says what that means.
    Ok(unsafe { Precompiled::open(path) }?)
}

/// An interface that the command line names.
#[derive(Clone)]
pub enum Source {
    /// A file.
    File {
        /// Its name as typed.
        name: String,
        /// What is in it.
        text: String,
    },
    /// One that ships with the program.
    Shipped(Shipped),
}

impl Source {
    /// A file of that name, or else a shipped interface.
    pub fn find(path: &Path) -> Result<Source> {
        let error = match fs::read_to_string(path) {
            Ok(text) => return Ok(Source::File { name: path.display().to_string(), text }),
            Err(error) => error,
        };
        let cannot = || format!("cannot read the interface {}", path.display());
        if error.kind() == ErrorKind::InvalidData
            && let Some(is) = kind::of_no_text(path)
        {
            bail!("`{}` is {is}, not an interface, which is an annotated C header", path.display());
        }
        if error.kind() != ErrorKind::NotFound {
            return Err(error).with_context(cannot);
        }
        let shipped = interfaces::all();
        let bare = path.to_str().map(|name| name.strip_suffix(".h").unwrap_or(name));
        let found = shipped.iter().find(|(file, _)| bare == file.strip_suffix(".h"));
        if let Some((_, shipped)) = found {
            return Ok(Source::Shipped(shipped.clone()));
        }
        let names: Vec<&str> =
            shipped.iter().map(|(file, _)| file.strip_suffix(".h").unwrap_or(file)).collect();
        let meant = similar(bare.unwrap_or_default(), names.iter().copied());
        let meant = meant.first().map_or(String::new(), |name| format!("; did you mean `{name}`?"));
        let meant = if meant.is_empty() { ";" } else { &meant };
        Err(error).with_context(|| {
            format!("{}{meant} the interfaces that ship are {}", cannot(), names.join(", "))
        })
    }

    /// What it grants.
    pub fn interface(&self) -> Result<Interface> {
        match self {
            Source::File { name, text } => Ok(parse_interface(name, text)?),
            Source::Shipped(shipped) => Ok(shipped.interface().clone()),
        }
    }
}

/// What native code a guest may call.
#[derive(Clone)]
pub struct Permissions {
    grants: Vec<Source>,
    trusted: Vec<String>,
    libraries: Vec<(String, PathBuf)>,
    /// `None`: automatic.
    tier: Option<Tier>,
    guard: bool,
    limits: Limits,
}

impl Permissions {
    /// Reads the interfaces.
    pub fn read(typed: &args::Permissions) -> Result<Permissions> {
        for library in &typed.trust_signatures {
            complain(format_args!(
                "{WARNING}warning:{WARNING:#} full trust in the guest for `{library}`: what its \
                 prototypes say is believed"
            ));
        }
        if typed.guard && !matches!(typed.tier, args::Tier::Auto | args::Tier::Interpreter) {
            let why = "native code is watched (--guard), which the interpreter does";
            tracing::info!(target: "portcullis::host", why, "no direct calls, and no other code");
        }
        let mut limits = Limits::default();
        typed.limit.iter().try_for_each(|(name, value)| limits.set(name, *value))?;
        let grants: Vec<Source> =
            typed.grant.iter().map(|path| Source::find(path)).collect::<Result<_>>()?;
        useless(&typed.library, &grants, &typed.trust_signatures);
        Ok(Permissions {
            grants,
            trusted: typed.trust_signatures.clone(),
            libraries: libraries(&typed.library)?,
            tier: match typed.tier {
                args::Tier::Auto => None,
                args::Tier::Interpreter => Some(Tier::Interpreter),
                args::Tier::Template => Some(Tier::Template),
                args::Tier::Cranelift => Some(Tier::Cranelift),
                args::Tier::Direct => Some(Tier::Direct),
            },
            guard: typed.guard,
            limits,
        })
    }

    /// The interfaces that are granted: their names, and texts.
    pub fn interfaces(&self) -> Vec<(String, String)> {
        let interface = |source: &Source| match source {
            Source::File { name, text } => (name.clone(), text.clone()),
            Source::Shipped(shipped) => {
                let interface = shipped.interface();
                (interface.name.to_string(), interface.text.to_string())
            }
        };
        self.grants.iter().map(interface).collect()
    }

    /// The bridge that allows this and no more.
    #[cfg(feature = "cranelift")]
    pub fn bridge(&self, engine: &Engine) -> Result<Bridge> {
        Ok(self.builder(engine)?.build()?)
    }

    /// A guest, and the bridge that it calls.
    ///
    /// The bridge records its calls, if it is told where.
    pub fn guest(
        &self,
        path: &Path,
        precompiled_too: bool,
        bounds: Bounds,
        recording: Option<&Recording>,
    ) -> Result<(Bridge, Module)> {
        let record = |builder: BridgeBuilder| match recording {
            Some(recording) => builder.record(recording),
            None => builder,
        };
        if !precompiled_too {
            let engine = engine_within(bounds)?;
            let bridge = record(self.builder(&engine)?).build()?;
            return Ok((bridge, module(&engine, path)?));
        }
        if bounds != Bounds::default() {
            bail!(
                "the code of a guest that was compiled ahead of time has no checks for --timeout or --fuel"
            );
        }
        let engine = engine_in_place()?;
        let guest = precompiled(path)?;
        let bridge = record(self.builder(&engine)?).make_code(false).precompiled(&guest).build()?;
        let module = bridge.load(&guest).map_err(from_wasmtime);
        Ok((bridge, module.with_context(|| format!("cannot run {}", path.display()))?))
    }

    /// A guest to look at, whatever is granted, and the bridge that it would call.
    pub fn look(&self, path: &Path, precompiled_too: bool) -> Result<Looked> {
        if !precompiled_too {
            let engine = engine()?;
            let module = module(&engine, path)?;
            return Ok(Looked { bridge: self.builder(&engine)?.build()?, module, compiled: None });
        }
        let engine = engine_in_place()?;
        let guest = precompiled(path)?;
        let bridge = self.builder(&engine)?.make_code(false).precompiled(&guest).build()?;
        let module = guest.unlinked(&engine).map_err(from_wasmtime);
        let module = module.with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Looked { bridge, module, compiled: Some(guest) })
    }

    /// The bridge that a guest which is looked at would call with these.
    pub fn bridge_of(&self, looked: &Looked) -> Result<Bridge> {
        let builder = self.builder(looked.bridge.engine())?;
        Ok(match &looked.compiled {
            None => builder,
            Some(guest) => builder.make_code(false).precompiled(guest),
        }
        .build()?)
    }

    /// These and some more, each as it is typed: `--grant zlib`, `--trust-signatures libz.so.1`.
    pub fn and(&self, options: &[&str]) -> Result<Permissions> {
        let mut more = self.clone();
        for option in options {
            match option.split_once(' ') {
                Some(("--grant", name)) => more.grants.push(Source::find(Path::new(name))?),
                Some(("--trust-signatures", name)) => more.trusted.push(name.to_owned()),
                _ => bail!("`{option}` grants nothing"),
            }
        }
        Ok(more)
    }

    /// The same as [`Permissions::bridge`], with another tier.
    #[cfg(feature = "cranelift")]
    pub fn bridge_with(&self, engine: &Engine, tier: Tier) -> Result<Bridge> {
        Ok(self.builder(engine)?.max_tier(tier).build()?)
    }

    /// The fastest tier that is allowed.
    #[cfg(feature = "cranelift")]
    pub fn most(&self) -> Tier {
        self.tier.unwrap_or(Tier::Direct)
    }

    /// Whether native code is watched.
    #[cfg(feature = "cranelift")]
    pub fn is_guarded(&self) -> bool {
        self.guard
    }

    #[expect(unsafe_code, reason = "whoever types --grant or --trust-signatures makes the promise")]
    fn builder(&self, engine: &Engine) -> Result<BridgeBuilder> {
        let mut builder = Bridge::builder(engine);
        if let Some(tier) = self.tier {
            builder = builder.max_tier(tier);
        }
        builder = builder.guard(self.guard).limits(self.limits);
        for (name, path) in &self.libraries {
            builder = builder.library(name, path)?;
        }
        for source in &self.grants {
            builder = match source {
                Source::Shipped(shipped) => builder.grant(shipped.clone()),
                // SAFETY: the user granted this file, whose text says what it promises of native
                // code; `--help` says that a false promise breaks the sandbox.
                Source::File { name, text } => unsafe { builder.grant_interface(name, text) },
            }?;
        }
        for library in &self.trusted {
            // SAFETY: as above, for the prototypes of the guest: `--help` says "full trust".
            builder = unsafe { builder.trust_signatures(library) }?;
        }
        Ok(builder)
    }
}

/// A guest that is looked at.
pub struct Looked {
    pub bridge: Bridge,
    pub module: Module,
    /// If it was compiled ahead of time.
    pub compiled: Option<Precompiled>,
}

/// Paths are relative to the working directory here; the library wants them absolute.
pub fn libraries(typed: &[(String, String)]) -> Result<Vec<(String, PathBuf)>> {
    let mut libraries = Vec::new();
    for (name, path) in typed {
        let absolute = fs::canonicalize(path)
            .with_context(|| format!("cannot find the library file {path} given for {name}"))?;
        libraries.push((name.clone(), absolute));
    }
    Ok(libraries)
}

/// Warns of libraries that nothing names: a name that is misspelt would do nothing, and say nothing.
fn useless(typed: &[(String, String)], grants: &[Source], trusted: &[String]) {
    if let Some(names) = named(grants, trusted) {
        warn_of_useless(
            typed,
            &names,
            "no interface that is granted, and no --trust-signatures, names",
        );
    }
}

/// The libraries that these name, if they can be read: mistakes are told when an interface is granted.
fn named(grants: &[Source], trusted: &[String]) -> Option<Vec<String>> {
    let mut names: Vec<String> = trusted.to_vec();
    for source in grants {
        names.extend(library_names(&source.interface().ok()?));
    }
    Some(names)
}

/// What an interface names, and `--library` may say where it is.
pub fn library_names(interface: &Interface) -> Vec<String> {
    let libraries = interface.libraries.iter();
    let all = libraries.flat_map(|library| {
        let also = library.also.iter().map(|name| name.to_string());
        std::iter::once(library.file.to_string()).chain(also)
    });
    all.collect()
}

/// Warns of each that is not among these names: `nobody` names it.
pub fn warn_of_useless(typed: &[(String, String)], names: &[String], nobody: &str) {
    for (name, _) in typed.iter().filter(|(name, _)| !names.contains(name)) {
        let near = similar(name, names.iter().map(String::as_str));
        let near = near.first().map_or(String::new(), |near| format!("; did you mean `{near}`?"));
        complain(format_args!(
            "{WARNING}warning:{WARNING:#} `--library {name}=...` does nothing: {nobody} `{name}`{near}"
        ));
    }
}

/// `HOST` or `HOST::GUEST`: a directory and the name that the guest knows it by.
pub fn directory(typed: &str) -> Result<(PathBuf, String)> {
    let (host, guest) = typed.split_once("::").unwrap_or((typed, typed));
    if host.is_empty() || guest.is_empty() {
        bail!("`--dir {typed}`: write a directory, or HOST::GUEST");
    }
    Ok((PathBuf::from(host), guest.to_owned()))
}

/// `NAME=VALUE`, or the `NAME` of a variable of this process.
pub fn variable(typed: &str) -> Result<(String, String)> {
    if let Some((name, value)) = typed.split_once('=') {
        if name.is_empty() {
            bail!("`--env {typed}`: the name is missing");
        }
        return Ok((name.to_owned(), value.to_owned()));
    }
    match std::env::var(typed) {
        Ok(value) => Ok((typed.to_owned(), value)),
        Err(error) => bail!("`--env {typed}`: {error} here; write NAME=VALUE to give it a value"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn directories_have_one_name_or_two() {
        let both = |host: &str, guest: &str| (PathBuf::from(host), guest.to_owned());
        assert_eq!(directory("/a").ok(), Some(both("/a", "/a")));
        assert_eq!(directory("/a::/b").ok(), Some(both("/a", "/b")));
        assert_eq!(directory("a:b").ok(), Some(both("a:b", "a:b")));
        for wrong in ["", "::", "a::", "::b"] {
            assert!(directory(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn variables_may_hold_anything_but_need_a_name() {
        assert_eq!(variable("A=b=c").ok(), Some(("A".to_owned(), "b=c".to_owned())));
        assert_eq!(variable("A=").ok(), Some(("A".to_owned(), String::new())));
        assert!(variable("=b").is_err());
        let error = variable("PORTCULLIS_NO_SUCH_VARIABLE").expect_err("it is not set");
        assert!(error.to_string().contains("NAME=VALUE"), "{error}");
    }

    #[test]
    fn shipped_interfaces_are_found_by_name_and_others_say_which_there_are() {
        for name in ["zlib", "zlib.h"] {
            assert!(matches!(Source::find(Path::new(name)), Ok(Source::Shipped(_))), "{name}");
        }
        for name in ["zlip", "elsewhere/zlib.h", ""] {
            let error = Source::find(Path::new(name)).err().expect("there is none");
            assert!(error.to_string().contains("sqlite3, streams, zlib"), "{error}");
        }
    }
}
