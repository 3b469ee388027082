//! A guest's module as linking sees it: its memories, its allocator, its prototypes.
use super::allocator::AllocatorExports;
use super::export::Export;
use super::memory::{GuestMemory, memory_of};
use crate::plan::layout::DataModel;
use crate::signature::{Prototype, Scope, parse_prototype};
use std::cell::{OnceCell, RefCell};
use std::sync::Arc;
use wasmtime::{ExternType, Module};

/// See the module.
pub(super) struct ModuleView<'m> {
    pub module: &'m Module,
    /// Its usual memory.
    memory: Result<GuestMemory, String>,
    allocator: OnceCell<AllocatorExports>,
    /// Those that interfaces name, as far as somebody has asked.
    named: RefCell<Vec<Named>>,
}

/// A memory, or why it is not there, by its name.
type Named = (Box<str>, Result<GuestMemory, String>);

impl<'m> ModuleView<'m> {
    pub(super) fn new(module: &'m Module) -> ModuleView<'m> {
        let memory = memory_of(module, None);
        ModuleView { module, memory, allocator: OnceCell::new(), named: RefCell::default() }
    }

    /// The memory that pointers point into, for an interface that may name one.
    pub(super) fn memory(&self, named: Option<&str>) -> Result<GuestMemory, String> {
        let Some(name) = named else { return self.memory.clone() };
        let mut known = self.named.borrow_mut();
        if let Some((_, found)) = known.iter().find(|(known, _)| **known == *name) {
            return found.clone();
        }
        let found = memory_of(self.module, named);
        known.push((name.into(), found.clone()));
        found
    }

    /// The names by which [`ModuleView::memory`] was asked for memories.
    pub(super) fn asked(&self) -> Vec<Box<str>> {
        self.named.borrow().iter().map(|(name, _)| name.clone()).collect()
    }

    /// The allocator of its usual memory.
    pub(super) fn allocator(&self) -> &AllocatorExports {
        self.allocator.get_or_init(|| {
            let model = self.memory.as_ref().map_or(DataModel::Ilp32, |memory| memory.model);
            AllocatorExports::of(self.module, model)
        })
    }

    /// The table that function pointers are indices of, or why there is none.
    pub(super) fn table(&self) -> Result<Export, String> {
        const USUAL: &str = "__indirect_function_table";
        let is_table = |name: &str| match self.module.get_export(name)? {
            ExternType::Table(ty) if ty.element().heap_type().is_func() => {
                Export::of(self.module, name)
            }
            _ => None,
        };
        if let Some(found) = is_table(USUAL) {
            return Ok(found);
        }
        let mut all = self.module.exports().filter_map(|export| is_table(export.name()));
        match (all.next(), all.next()) {
            (Some(only), None) => Ok(only),
            (Some(_), Some(_)) => {
                Err(format!("the module exports several tables, and none as `{USUAL}`"))
            }
            (None, _) => Err(format!(
                "the module exports no function table: export it as `{USUAL}` (wasm-ld: `--export-table`)"
            )),
        }
    }

    /// The correct prototypes under which it imports functions of that library.
    pub(super) fn own_prototypes(&self, library: &str) -> Vec<Arc<Prototype>> {
        let imports = self.module.imports().filter(|import| import.module() == library);
        let scope = Scope::default();
        imports
            .filter_map(|import| parse_prototype(import.name(), &scope).ok())
            .map(Arc::new)
            .collect()
    }
}
