//! Guests that are compiled ahead of time, with the trampolines of their imports.
//!
//! ```text
//! | the module (ELF) | the guest of a trial (ELF) | trampolines, imports | its length | checksum | MAGIC |
//! ```
//!
//! Most of what a guest calls is known before it runs. For hosts that forbid new machine code while a
//! program runs, everything is made here: the guest's code by wasmtime, that of its imports by Cranelift, and the
//! small guest with which direct calls are tried.
//! Running such a file makes no code at all; plans are compiled all the same, from what is granted *then*,
//! and a trampoline is used only if it was made for exactly that plan.
//!
//! The checksum is for accidents: a file is machine code, and whoever writes one on purpose can do anything.
use super::bridge::{Bridge, Resolved};
use super::direct::Trial;
use super::link::{CallerOf, Link};
use super::module_view::ModuleView;
#[cfg(feature = "cranelift")]
use super::tier::Tier;
use crate::cranelift_backend::{Stock, StockError};
use crate::plan::abi::Abi;
use crate::plan::disassemble::disassemble;
use file::Whole;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wasmtime::{Config, Engine, Module};

mod file;
mod in_place;

/// A guest with the trampolines of its imports. See [`Bridge::precompile`].
#[derive(Debug)]
pub struct Precompiled {
    source: Source,
    stock: Stock,
    imports: Vec<PrecompiledImport>,
}

#[derive(Debug)]
enum Source {
    /// Just compiled: the guest, and the guest of a trial.
    #[cfg_attr(not(feature = "cranelift"), expect(dead_code, reason = "nothing is compiled"))]
    Bytes { module: Vec<u8>, trial: Option<Arc<[u8]>> },
    /// In a file, which wasmtime maps.
    File(Arc<Whole>),
}

/// What became of an import of a guest that was compiled ahead of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PrecompiledImport {
    /// The import's module.
    pub module: String,
    /// Its name.
    pub name: String,
    /// Why there is no trampoline for it: templates or the interpreter make its calls.
    pub declined: Option<String>,
    /// Why guests cannot enter one by themselves.
    pub not_direct: Option<String>,
    /// Its plans, to be read.
    plans: Vec<String>,
}

/// Why a guest that was compiled ahead of time cannot be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrecompiledError {
    /// The file cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Unread {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// The file is something else.
    #[error("{} is no guest that was compiled ahead of time: `portcullis compile` writes those", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file is not what was written.
    #[error("{} is damaged: compile the guest again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// Its trampolines do not fit this program or this processor.
    #[error("{}: {error}", path.display())]
    Stock {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: StockError,
    },
    /// An import is granted, but not as it was when the guest was compiled.
    #[error(
        "import `{}` `{}`: its interface is not the one that the guest was compiled with: compile the guest again",
        module.escape_debug(),
        name.escape_debug()
    )]
    Changed {
        /// The import's module.
        module: String,
        /// Its name.
        name: String,
    },
}

impl Bridge {
    /// Compiles a guest ahead of time: its own code and the trampolines of those imports that are granted
    /// and can have one, of the tiers that this bridge may use. Nothing is run, but libraries are loaded.
    ///
    /// ```no_run
    /// # fn main() -> wasmtime::Result<()> {
    /// use portcullis::host::{Bridge, Precompiled};
    /// use portcullis::interfaces;
    ///
    /// let engine = wasmtime::Engine::default();
    /// let bridge = Bridge::builder(&engine).grant(interfaces::zlib())?.build()?;
    /// let guest = bridge.precompile(&std::fs::read("guest.wasm")?)?;
    /// std::fs::write("guest.ready", guest.to_bytes()?)?;
    ///
    /// // Later, and somewhere else: nothing is compiled.
    /// // SAFETY: we have written the file, and nobody else can.
    /// let guest = unsafe { Precompiled::open("guest.ready") }?;
    /// let builder = Bridge::builder(&engine).grant(interfaces::zlib())?;
    /// let bridge = builder.precompiled(&guest).make_code(false).build()?;
    /// let module = bridge.load(&guest)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the module is not valid, or one of its imports is denied or cannot be linked.
    #[cfg(feature = "cranelift")]
    pub fn precompile(&self, wasm: &[u8]) -> wasmtime::Result<Precompiled> {
        let module = Module::new(self.engine(), wasm)?;
        let view = ModuleView::new(&module);
        let (mut stock, mut imports) = (Stock::new(), Vec::new());
        for import in module.imports() {
            let Some((resolved, _)) = self.shared.resolve(&view, &import, CallerOf::Instance)?
            else {
                let unknown = self.shared.unknown(&import);
                if unknown.is_denial() {
                    return Err(unknown.into());
                }
                continue;
            };
            if let Resolved::Native(link) = resolved {
                let (declined, not_direct) = self.stock_up(&link, &mut stock);
                imports.push(PrecompiledImport {
                    module: import.module().to_owned(),
                    name: import.name().to_owned(),
                    declined,
                    not_direct,
                    plans: plans_of(&link),
                });
            }
        }
        let direct = self.shared.max_tier >= Tier::Direct;
        let trial = if direct { super::direct::guest_ahead(self.engine())? } else { None };
        let source = Source::Bytes { module: module.serialize()?, trial: trial.map(Arc::from) };
        Ok(Precompiled { source, stock, imports })
    }

    /// Makes the trampolines of an import. Why it has none, and why none of the direct kind.
    #[cfg(feature = "cranelift")]
    fn stock_up(&self, link: &Link, stock: &mut Stock) -> (Option<String>, Option<String>) {
        let not_allowed = |tier| {
            let why = "`max_tier` does not allow it";
            (self.shared.max_tier < tier).then(|| why.to_owned())
        };
        let (mut declined, mut not_direct) =
            (not_allowed(Tier::Cranelift), not_allowed(Tier::Direct));
        for overload in &link.overloads {
            let (plan, why) = (&overload.plan, overload.choice.not_direct());
            // Each overload is direct by itself.
            let why = not_allowed(Tier::Direct).or_else(|| why.map(str::to_owned));
            let why = why.or_else(|| stock.add_direct(plan).err().map(|why| why.to_string()));
            not_direct = not_direct.or(why);
            declined = declined.or_else(|| stock.add(plan).err().map(|why| why.to_string()));
            if self.shared.max_tier >= Tier::Cranelift {
                for callback in &plan.callbacks {
                    // Those that have no entry are the interpreter's, which needs nothing.
                    let _ = stock.add_callback(&callback.plan);
                }
            }
        }
        (declined, not_direct)
    }

    /// The module of a guest that was compiled ahead of time, if all that it calls is granted as it was
    /// then. Nothing is compiled.
    ///
    /// # Errors
    /// When the module was made by another wasmtime or for another engine; a [`PrecompiledError`] when an
    /// interface has changed; as [`Bridge::instantiate`] when an import is denied.
    pub fn load(&self, guest: &Precompiled) -> wasmtime::Result<Module> {
        let module = guest.module(self.engine())?;
        let view = ModuleView::new(&module);
        for import in module.imports() {
            let (from, name) = (import.module(), import.name());
            let same = |one: &&PrecompiledImport| one.module == from && one.name == name;
            let Some(known) = guest.imports.iter().find(same) else { continue };
            let Some((Resolved::Native(link), _)) =
                self.shared.resolve(&view, &import, CallerOf::Instance)?
            else {
                return Err(self.shared.unknown(&import).into());
            };
            if known.plans != plans_of(&link) {
                let (module, name) = (from.to_owned(), name.to_owned());
                return Err(PrecompiledError::Changed { module, name }.into());
            }
        }
        Ok(module)
    }
}

/// What an import means: prototypes, steps and data, all that a changed interface changes.
fn plans_of(link: &Link) -> Vec<String> {
    let plans = link.overloads.iter().map(|overload| &overload.plan);
    plans.map(|plan| disassemble(plan, Abi::host_or_default())).collect()
}

/// What is written behind the modules.
#[derive(Serialize, Deserialize)]
struct Behind {
    /// Where the guest of the trial is, and how long; its length is 0 if there is none.
    trial: (u64, u64),
    stock: Vec<u8>,
    imports: Vec<PrecompiledImport>,
}

impl Precompiled {
    /// A guest that [`Precompiled::to_bytes`] was written to a file of.
    ///
    /// # Errors
    /// When the file cannot be read, is damaged, or its trampolines do not fit this program or processor.
    ///
    /// # Safety
    /// The file has what that function has returned, and stays so while any module of it is
    /// in use: it is machine code, of which wasmtime maps a part and runs it. A checksum finds accidents, not
    /// attacks.
    #[expect(unsafe_code, reason = "takes the file's word for code")]
    pub unsafe fn open(path: impl AsRef<Path>) -> Result<Precompiled, PrecompiledError> {
        let path = path.as_ref();
        let of = || path.to_owned();
        let (mut whole, behind) = Whole::open(path)?;
        let Ok((Behind { trial, stock, imports }, [])) = postcard::take_from_bytes(&behind) else {
            return Err(PrecompiledError::Damaged { path: of() });
        };
        if trial.0.checked_add(trial.1).is_none_or(|end| end > whole.size) {
            return Err(PrecompiledError::Damaged { path: of() });
        }
        whole.trial = trial;
        // SAFETY: the caller's promise.
        let stock = unsafe { Stock::from_bytes(&stock) };
        let stock = stock.map_err(|error| PrecompiledError::Stock { path: of(), error })?;
        Ok(Precompiled { source: Source::File(Arc::new(whole)), stock, imports })
    }

    /// Whether a file ends as such files do.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn is_one(path: impl AsRef<Path>) -> io::Result<bool> {
        file::is_one(path.as_ref())
    }

    /// Has an engine run code of such files where it is: mapped to be executed from the start, as the dynamic linker
    /// does it with libraries. Without this, wasmtime maps a file to be read and then asks for its code to be
    /// executable (`mprotect`), which some hosts forbid (`PR_SET_MDWE`, systemd's `MemoryDenyWriteExecute`).
    ///
    /// A module's part of the file is mapped as long as the module lives, and at most until the thread that has dropped
    /// the last of it ends or loads another; the file itself is not kept open.
    pub fn run_in_place(config: &mut Config) {
        in_place::configure(config);
    }

    /// What to write to a file.
    ///
    /// # Errors
    /// When the guest itself was read from a file, and that cannot be read any more.
    pub fn to_bytes(&self) -> wasmtime::Result<Vec<u8>> {
        let (module, trial) = match &self.source {
            Source::Bytes { module, trial } => (module, trial),
            // All of it: what is behind the module is what would be written again.
            Source::File(whole) => return Ok(whole.bytes()?),
        };
        let trial = trial.as_deref().unwrap_or_default();
        let mut bytes = module.clone();
        bytes.resize(bytes.len().next_multiple_of(file::PAGE), 0);
        let behind = Behind {
            trial: (bytes.len() as u64, trial.len() as u64),
            stock: self.stock.to_bytes()?,
            imports: self.imports.clone(),
        };
        bytes.extend_from_slice(trial);
        file::finish(&mut bytes, &postcard::to_allocvec(&behind)?);
        Ok(bytes)
    }

    /// The imports that are native functions, in order.
    #[must_use]
    pub fn imports(&self) -> &[PrecompiledImport] {
        &self.imports
    }

    /// The module, to look at what it wants ([`Bridge::describe`]), whatever is granted. [`Bridge::load`] is for those
    /// who run it.
    ///
    /// # Errors
    /// When it was made by another wasmtime or for another engine.
    pub fn unlinked(&self, engine: &Engine) -> wasmtime::Result<Module> {
        self.module(engine)
    }

    /// The trampolines.
    pub(super) fn stock(&self) -> &Stock {
        &self.stock
    }

    /// The guest of trial calls.
    #[expect(unsafe_code, reason = "wasmtime has just written it")]
    pub(super) fn trial(&self) -> Option<Trial> {
        match &self.source {
            Source::Bytes { trial, .. } => {
                let trial = Arc::clone(trial.as_ref()?);
                // SAFETY: wasmtime has just written it.
                let load = move |engine: &Engine| unsafe { Module::deserialize(engine, &trial) };
                Some(Trial(Arc::new(load)))
            }
            Source::File(whole) if whole.trial.1 > 0 => {
                let whole = Arc::clone(whole);
                Some(Trial(Arc::new(move |engine| in_place::trial(engine, &whole))))
            }
            Source::File(_) => None,
        }
    }

    #[expect(unsafe_code, reason = "whoever opened the file vouches for it")]
    fn module(&self, engine: &Engine) -> wasmtime::Result<Module> {
        match &self.source {
            // SAFETY: wasmtime has just written these.
            Source::Bytes { module, .. } => unsafe { Module::deserialize(engine, module) },
            Source::File(whole) => in_place::module(engine, whole),
        }
    }
}

#[cfg(all(test, feature = "cranelift"))]
mod tests;
