//! Guests that are compiled ahead of time, with the trampolines of their imports.
//!
//! ```text
//! | the module, as wasmtime writes it (ELF) | trampolines and what they are for | its length | MAGIC |
//! ```
//!
//! Most of what a guest calls is known before it runs. For hosts that forbid new machine code while a
//! program runs, everything is made here: the guest's code by wasmtime, that of its imports by Cranelift.
//! Running such a file makes no code at all; plans are compiled all the same, from what is granted *then*,
//! and a trampoline is used only if it was made for exactly that plan.
use super::bridge::{Bridge, Resolved};
use super::link::{CallerOf, Link};
use super::module_view::ModuleView;
use crate::cranelift_backend::{Stock, StockError};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use wasmtime::{Engine, Module};

/// What such a file ends with.
const MAGIC: [u8; 8] = *b"PRTCLLS1";
/// Length of the trampolines, and the magic.
const TAIL: u64 = 16;

/// A guest with the trampolines of its imports. See [`Bridge::precompile`].
#[derive(Debug)]
pub struct Precompiled {
    module: Source,
    stock: Stock,
    imports: Vec<PrecompiledImport>,
}

#[derive(Debug)]
enum Source {
    /// Just compiled.
    Bytes(Vec<u8>),
    /// In a file, which wasmtime maps.
    File(PathBuf),
}

/// What became of an import of a guest that was compiled ahead of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrecompiledImport {
    /// The import's module.
    pub module: String,
    /// Its name.
    pub name: String,
    /// Why there is no trampoline for it: templates or the interpreter make its calls.
    pub declined: Option<String>,
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
    /// and can have one. Nothing is run, but libraries are loaded.
    ///
    /// ```no_run
    /// # fn main() -> wasmtime::Result<()> {
    /// use portcullis::host::{Bridge, Precompiled, Tier};
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
    /// let bridge = builder.precompiled(&guest).max_tier(Tier::Cranelift).make_code(false).build()?;
    /// let module = bridge.load(&guest)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the module is not valid, or one of its imports is denied or cannot be linked.
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
                let added = plans(&link).try_for_each(|plan| stock.add(plan));
                let declined = added.err().map(|why| why.to_string());
                let (module, name) = (import.module().to_owned(), import.name().to_owned());
                imports.push(PrecompiledImport { module, name, declined });
            }
        }
        Ok(Precompiled { module: Source::Bytes(module.serialize()?), stock, imports })
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
            if known.declined.is_none() && !plans(&link).all(|plan| guest.stock.has(plan)) {
                let (module, name) = (from.to_owned(), name.to_owned());
                return Err(PrecompiledError::Changed { module, name }.into());
            }
        }
        Ok(module)
    }
}

fn plans(link: &Link) -> impl Iterator<Item = &crate::plan::Plan> {
    link.overloads.iter().map(|overload| &*overload.plan)
}

/// What is written behind the module.
#[derive(Serialize, Deserialize)]
struct Behind {
    stock: Vec<u8>,
    imports: Vec<PrecompiledImport>,
}

impl Precompiled {
    /// A guest that [`Precompiled::to_bytes`] was written to a file of.
    ///
    /// # Errors
    /// When the file cannot be read, or its trampolines do not fit this program or processor.
    ///
    /// # Safety
    /// The file has what that function has returned, unchanged, and stays so while any module of it is
    /// in use: it is machine code, of which wasmtime maps a part and runs it.
    #[expect(unsafe_code, reason = "takes the file's word for code")]
    pub unsafe fn open(path: impl AsRef<Path>) -> Result<Precompiled, PrecompiledError> {
        let path = path.as_ref();
        let of = || path.to_owned();
        let behind =
            read_behind(path).map_err(|error| PrecompiledError::Unread { path: of(), error });
        let behind = behind?.ok_or_else(|| PrecompiledError::Foreign { path: of() })?;
        let Ok(Behind { stock, imports }) = postcard::from_bytes(&behind) else {
            return Err(PrecompiledError::Foreign { path: of() });
        };
        // SAFETY: the caller's promise.
        let stock = unsafe { Stock::from_bytes(&stock) };
        let stock = stock.map_err(|error| PrecompiledError::Stock { path: of(), error })?;
        Ok(Precompiled { module: Source::File(of()), stock, imports })
    }

    /// Whether a file ends as such files do.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn is_one(path: impl AsRef<Path>) -> io::Result<bool> {
        read_behind(path.as_ref()).map(|behind| behind.is_some())
    }

    /// What to write to a file.
    ///
    /// # Errors
    /// When the guest itself was read from a file, and that cannot be read any more.
    pub fn to_bytes(&self) -> wasmtime::Result<Vec<u8>> {
        let mut bytes = match &self.module {
            Source::Bytes(bytes) => bytes.clone(),
            // All of it: what is behind the module is what would be written again.
            Source::File(path) => return Ok(std::fs::read(path)?),
        };
        let stock = self.stock.to_bytes()?;
        let behind = postcard::to_allocvec(&Behind { stock, imports: self.imports.clone() })?;
        bytes.extend_from_slice(&behind);
        bytes.extend_from_slice(&(behind.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&MAGIC);
        Ok(bytes)
    }

    /// The imports that are native functions, in order.
    #[must_use]
    pub fn imports(&self) -> &[PrecompiledImport] {
        &self.imports
    }

    /// The trampolines.
    pub(super) fn stock(&self) -> &Stock {
        &self.stock
    }

    #[expect(unsafe_code, reason = "whoever opened the file vouches for it")]
    fn module(&self, engine: &Engine) -> wasmtime::Result<Module> {
        match &self.module {
            // SAFETY: wasmtime has just written these.
            Source::Bytes(bytes) => unsafe { Module::deserialize(engine, bytes) },
            // SAFETY: the promise of `Precompiled::open`. The module is at the start of the file, and
            // says itself how long it is.
            Source::File(path) => unsafe { Module::deserialize_file(engine, path) },
        }
    }
}

/// What is behind the module of such a file; `None` of others.
fn read_behind(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    if size < TAIL {
        return Ok(None);
    }
    let mut tail = [0; TAIL as usize];
    file.seek(SeekFrom::End(-(TAIL as i64)))?;
    file.read_exact(&mut tail)?;
    let (length, magic) = tail.split_at(8);
    let length = length.try_into().map(u64::from_le_bytes).unwrap_or(u64::MAX);
    if magic != MAGIC || length > size - TAIL {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(size - TAIL - length))?;
    let mut behind = Vec::new();
    file.take(length).read_to_end(&mut behind)?;
    Ok(Some(behind))
}
