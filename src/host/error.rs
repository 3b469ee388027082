//! What can go wrong before a call: a bridge that cannot be built, an import that cannot be linked.
//!
//! Both arrive as [`wasmtime::Error`]s that downcast to the types here. What can go wrong with a
//! call is [`CallError`](crate::plan::CallError), which is the trap's error and downcasts too.
use crate::signature::Diagnostics;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why a [`Bridge`](super::Bridge) cannot be built.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Native calls need x86-64 Linux. Parsing, plans and `explain` work everywhere.
    #[error("native calls are supported on x86-64 Linux only, this is {arch} {os}")]
    UnsupportedHost {
        /// The processor's architecture.
        arch: &'static str,
        /// The operating system.
        os: &'static str,
    },
    /// The text of an interface has mistakes.
    #[error("{0}")]
    Interface(Diagnostics),
    /// A library's name may not reach the dynamic linker.
    #[error(
        "the library name `{}` {reason}: write a plain name such as `libz.so.1`, or an absolute path",
        name.escape_debug()
    )]
    LibraryName {
        /// The name.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The builder was told something of an interface that it does not grant.
    #[error(
        "the interface `{}` is not granted, so that nothing can be said of it; granted: {}",
        interface.escape_debug(),
        granted.join(", ")
    )]
    NotGranted {
        /// Its name.
        interface: String,
        /// Those that are granted, and libraries that are trusted.
        granted: Vec<String>,
    },
    /// Guest code on a fiber could leave too little stack for native code.
    #[error(
        "the engine's `async_stack_size` of {stack} bytes less its `max_wasm_stack` of {wasm} leaves {} for native code, and `Limits::stack_reserve` asks for {reserve}: raise `Config::async_stack_size`",
        stack - wasm
    )]
    AsyncStack {
        /// `Config::async_stack_size`
        stack: u64,
        /// `Config::max_wasm_stack`
        wasm: u64,
        /// [`Limits::stack_reserve`](crate::plan::Limits::stack_reserve)
        reserve: u64,
    },
}

/// Why a module cannot be linked.
#[derive(Debug, Error)]
#[error("import `{}` `{}`: {problem}", shown(module), shown(name))]
pub struct LinkError {
    /// Module of the import.
    pub module: String,
    /// Its name: a symbol or a prototype.
    pub name: String,
    /// What is wrong.
    pub problem: LinkProblem,
}

impl LinkError {
    /// Whether nobody has granted the import, rather than something being wrong with it.
    #[must_use]
    pub fn is_denial(&self) -> bool {
        matches!(self.problem, LinkProblem::Denied { .. })
    }
}

/// What is wrong with one import. See [`LinkError`].
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LinkProblem {
    /// What the interface asks the host to do to the library first could not be done.
    #[error("the guard `{guard}` of the library cannot be installed: {reason}")]
    Guard {
        /// Its name.
        guard: String,
        /// Why not.
        reason: String,
    },
    /// Nothing grants it.
    #[error("not granted: {hint}")]
    Denied {
        /// The flag or grant that would allow it.
        hint: String,
    },
    /// The embedder's hook does not let it be linked.
    #[error("the host refuses it: {reason}")]
    Refused {
        /// Why, in its words.
        reason: String,
    },
    /// The embedder has taken the interface away.
    #[error("the host has revoked `{interface}`")]
    Revoked {
        /// Its name.
        interface: String,
    },
    /// Neither the bridge nor the embedder's linker knows it.
    #[error("unknown: no interface names such a module, and the linker does not define it")]
    Unknown,
    /// The import's name is no correct prototype.
    #[error("the name is no prototype that can be used\n{0}")]
    Prototype(Diagnostics),
    /// The import's name is longer than names may be.
    #[error(
        "the name has {bytes} bytes; the limit `prototype_bytes` of {longest} is exceeded, which the host can raise"
    )]
    TooLong {
        /// Its length.
        bytes: usize,
        /// [`Limits::prototype_bytes`](crate::plan::Limits::prototype_bytes)
        longest: u32,
    },
    /// The guest's prototype contradicts the grant.
    #[error("the prototype contradicts what `{interface}` grants\n{difference}")]
    Contradiction {
        /// The interface.
        interface: String,
        /// Both prototypes, with the difference marked.
        difference: String,
    },
    /// The function takes arguments whose types only its importer knows.
    #[error(
        "`{symbol}` takes what its format asks for: import it by a prototype that names the types behind `...`, such as\n  {example}"
    )]
    OpenTail {
        /// The function.
        symbol: String,
        /// A prototype that names some.
        example: String,
    },
    /// The wasm type of the import is not that of the prototype.
    #[error(
        "the wasm type does not fit the prototype\n  the module declares: {found}\n  the prototype needs: {expected}\n  prototype: {prototype}"
    )]
    WasmType {
        /// The granted prototype.
        prototype: String,
        /// Its wasm type.
        expected: String,
        /// The type that the module declares.
        found: String,
    },
    /// The prototype needs what is not supported.
    #[error("{0}")]
    Unsupported(Diagnostics),
    /// Several grants of the function cannot be told apart before a call.
    #[error("{0}")]
    Overloads(Diagnostics),
    /// The compiler of plans made a plan that the verifier refuses: a bug of this crate.
    #[error("the plan is invalid, which is a bug in portcullis: {0}")]
    InvalidPlan(String),
    /// A library cannot be loaded.
    #[error(
        "the library `{library}` cannot be loaded{}\n  {}",
        tried_text(tried, similar),
        place_text(library, *is_given)
    )]
    LibraryNotFound {
        /// The name that was looked for.
        library: String,
        /// It was looked for where [`BridgeBuilder::library`](super::BridgeBuilder::library) says, and nowhere else.
        is_given: bool,
        /// The paths that were tried, each with what the dynamic linker said.
        tried: Vec<(PathBuf, String)>,
        /// Libraries with a similar name in the same directories.
        similar: Vec<PathBuf>,
    },
    /// A library has no such function.
    #[error("`{symbol}` is not defined by {}{}", library.display(), similar_text(similar))]
    SymbolNotFound {
        /// The symbol.
        symbol: String,
        /// The file that was loaded.
        library: PathBuf,
        /// Functions of the library with a similar name, the nearest first.
        similar: Vec<String>,
    },
    /// The symbol was found, but another library defines it.
    #[error(
        "`{symbol}` is not defined by {} itself but by {}: {}",
        library.display(), definer.display(), elsewhere_text(definer, *trusted)
    )]
    SymbolElsewhere {
        /// The symbol.
        symbol: String,
        /// The file that was loaded.
        library: PathBuf,
        /// The file that defines it.
        definer: PathBuf,
        /// The library is trusted, so that no interface could name the other one.
        trusted: bool,
    },
    /// The symbol does not stand for code.
    #[error("`{symbol}` of {} is data, not a function", library.display())]
    NotAFunction {
        /// The symbol.
        symbol: String,
        /// The file that defines it.
        library: PathBuf,
    },
    /// The symbol does not stand for data of its type.
    #[error("`{symbol}` of {} {reason}", library.display())]
    Data {
        /// The symbol.
        symbol: String,
        /// The file that defines it.
        library: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Pointers need a guest memory, and there is none that can be used.
    #[error("the prototype has pointers, so a guest memory is needed: {reason}")]
    Memory {
        /// Why there is none.
        reason: String,
    },
    /// Function pointers need a function table, and there is none that can be used.
    #[error("the prototype has pointers to functions, so a function table is needed: {reason}")]
    Table {
        /// Why there is none.
        reason: String,
    },
    /// Results need the guest's allocator, and there is none that can be used.
    #[error(
        "the guest must export an allocator, `malloc` and `free` or `cabi_realloc`, because {why}: {reason}"
    )]
    Allocator {
        /// What it is needed for.
        why: &'static str,
        /// What is missing.
        reason: String,
    },
}

/// A store that a bridge cannot work with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Bridge, store and module are not of one engine.
    #[error("bridge, store and module must be of one engine")]
    OtherEngine,
    /// The store's data has no size, so that the [`Natives`](super::Natives) cannot be in it.
    #[error("the data of the store has no room for `Natives`: it has no size")]
    NoData,
    /// Imports that were prepared for another store.
    #[error("the imports were prepared for another store")]
    OtherStore,
}

/// What helps against [`LinkProblem::SymbolElsewhere`].
fn elsewhere_text(definer: &Path, trusted: bool) -> String {
    let name = file_name(definer);
    if trusted {
        format!("the guest must import it from `{name}`, which needs a grant of its own")
    } else {
        format!("the interface may say `also \"{name}\"`")
    }
}

/// A name of an import.
fn shown(name: &str) -> String {
    shorten(name, 200)
}

/// Names are the guest's own text: no control characters, and not a megabyte of it. What is left out is in the middle.
pub(super) fn shorten(name: &str, most: usize) -> String {
    let count = name.chars().count();
    if count <= most {
        return name.escape_debug().to_string();
    }
    let head: String = name.chars().take(most - most / 4).collect();
    let tail: String = name.chars().skip(count - most / 4).collect();
    format!("{}...{}", head.escape_debug(), tail.escape_debug())
}

/// What helps against [`LinkProblem::LibraryNotFound`].
fn place_text(library: &str, is_given: bool) -> String {
    if is_given {
        format!(
            "this file was named for it: name another one, `--library {library}=PATH`, or `BridgeBuilder::library`, or none"
        )
    } else {
        format!("if it is elsewhere: `--library {library}=PATH`, or `BridgeBuilder::library`")
    }
}

fn tried_text(tried: &[(PathBuf, String)], similar: &[PathBuf]) -> String {
    let mut text = String::new();
    for (path, reason) in tried {
        text.push_str(&format!("\n  tried {}: {reason}", path.display()));
    }
    if !similar.is_empty() {
        let names: Vec<_> = similar.iter().map(|path| path.display().to_string()).collect();
        text.push_str(&format!("\n  there is: {}", names.join(", ")));
    }
    text
}

fn similar_text(similar: &[String]) -> String {
    if similar.is_empty() {
        String::new()
    } else {
        format!("; nearest names: {}", similar.join(", "))
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_symbol_names_its_neighbours() {
        let error = LinkError {
            module: "zlib".into(),
            name: "crc31".into(),
            problem: LinkProblem::SymbolNotFound {
                symbol: "crc31".into(),
                library: "/usr/lib/libz.so.1".into(),
                similar: vec!["crc32".into(), "crc32_z".into()],
            },
        };
        assert_eq!(
            error.to_string(),
            "import `zlib` `crc31`: `crc31` is not defined by /usr/lib/libz.so.1; nearest names: crc32, crc32_z"
        );
    }

    #[test]
    fn hostile_names_are_shortened_and_escaped() {
        let name = format!("\u{1b}[31m{}", "x".repeat(1 << 20));
        let module = format!("m\n{}end", "y".repeat(1 << 20));
        let error = LinkError { module, name: name + "(int a)", problem: LinkProblem::Unknown };
        let text = error.to_string();
        assert!(text.len() < 600 && !text.contains(['\u{1b}', '\n']), "{text}");
        assert!(text.contains("yyend` `") && text.contains("xx(int a)`"), "{text}");
    }
}
