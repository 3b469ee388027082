//! What a module wants of the host, and what it would get.
use super::bridge::{Bridge, Resolved};
use super::error::LinkError;
use super::link::CallerOf;
use super::module_view::ModuleView;
use super::tier::Tier;
use super::wasm_type::describe;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use wasmtime::{ExternType, Module};

/// One import of a module. See [`Bridge::describe`].
#[derive(Debug)]
pub struct ImportReport {
    /// The import's module.
    pub module: String,
    /// Its name: a symbol, a prototype, or something that is not for the bridge.
    pub name: String,
    /// Its type as in the text format; what it is, if it is no function.
    pub wasm_type: String,
    /// What it would get.
    pub status: ImportStatus,
    /// How long it took to find that out: machine code that was made for it counts, libraries that it was the first to
    /// want as well.
    pub took: Duration,
}

/// What an import would get.
#[derive(Debug)]
#[non_exhaustive]
pub enum ImportStatus {
    /// These native functions; several are an overload set.
    Native(Vec<NativeImport>),
    /// The guest's own `free`: the native function frees what is copied into the guest's memory.
    GuestFree,
    /// The bridge's own answer (`portcullis.errno`).
    Bridge,
    /// Nothing: it is denied, or cannot be linked.
    Refused(LinkError),
    /// Whatever the embedder's linker has; the bridge does not know it.
    Other,
}

/// A native function that an import is bound to.
#[derive(Clone, Debug)]
pub struct NativeImport {
    /// What errors and profiles call it: `libz.so.1.crc32`.
    pub name: String,
    /// What grants it: the name of an interface, or of a library that is trusted.
    pub interface: String,
    /// The granted prototype.
    pub prototype: String,
    /// The file of the library; `None` when the embedder supplied the address.
    pub library: Option<PathBuf>,
    /// How calls are run.
    pub tier: Tier,
    /// As long as there is no code for it, guests enter the interpreter by themselves, without a host function in
    /// between.
    pub straight: bool,
    /// Code is made for it after so many calls, if that is possible, and takes them over.
    pub when_hot: Option<u32>,
    /// Why by no faster tier; `None` when there is no faster one.
    pub why_no_faster: Option<String>,
}

impl Bridge {
    /// What each import of `module` would get, in order. Libraries are loaded for it.
    #[must_use]
    pub fn describe(&self, module: &Module) -> Vec<ImportReport> {
        let view = ModuleView::new(module);
        let report = module.imports().map(|import| {
            let start = Instant::now();
            let status = match self.shared.resolve(&view, &import, CallerOf::Instance) {
                Ok(Some((resolved, _))) => status_of(resolved),
                Ok(None) => {
                    let unknown = self.shared.would_be_unknown(&import);
                    if unknown.is_denial() {
                        ImportStatus::Refused(unknown)
                    } else {
                        ImportStatus::Other
                    }
                }
                Err(error) => ImportStatus::Refused(*error),
            };
            let (module, name) = (import.module().to_owned(), import.name().to_owned());
            ImportReport {
                module,
                name,
                wasm_type: type_of(&import.ty()),
                status,
                took: start.elapsed(),
            }
        });
        report.collect()
    }
}

fn status_of(resolved: Resolved) -> ImportStatus {
    match resolved {
        Resolved::Native(link) => {
            let functions = link.overloads.iter().map(|overload| NativeImport {
                name: link.name.clone(),
                interface: overload.interface.to_string(),
                prototype: overload.plan.prototype.to_string(),
                library: overload.library.clone(),
                tier: overload.choice.runner.tier(),
                straight: overload.straight.is_some(),
                when_hot: overload.choice.runner.when_hot(),
                why_no_faster: overload.choice.why_no_faster(&overload.plan),
            });
            ImportStatus::Native(functions.collect())
        }
        Resolved::GuestFree { .. } => ImportStatus::GuestFree,
        Resolved::Errno { .. } | Resolved::ReleaseCallback => ImportStatus::Bridge,
    }
}

fn type_of(ty: &ExternType) -> String {
    match ty {
        ExternType::Func(ty) => describe(ty),
        ExternType::Global(_) => "global".to_owned(),
        ExternType::Table(_) => "table".to_owned(),
        ExternType::Memory(_) => "memory".to_owned(),
        ExternType::Tag(_) => "tag".to_owned(),
    }
}
