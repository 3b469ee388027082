//! A guest's module as linking sees it: its memories, its allocator, its prototypes.
use super::allocator::AllocatorExports;
use super::memory::{GuestMemory, memory_of};
use crate::plan::layout::DataModel;
use crate::signature::{Prototype, Scope, parse_prototype};
use std::cell::OnceCell;
use std::sync::Arc;
use wasmtime::Module;

/// See the module.
pub(super) struct ModuleView<'m> {
    pub module: &'m Module,
    /// Its usual memory.
    memory: Result<GuestMemory, String>,
    allocator: OnceCell<AllocatorExports>,
}

impl<'m> ModuleView<'m> {
    pub(super) fn new(module: &'m Module) -> ModuleView<'m> {
        ModuleView { module, memory: memory_of(module, None), allocator: OnceCell::new() }
    }

    /// The memory that pointers point into, for an interface that may name one.
    pub(super) fn memory(&self, named: Option<&str>) -> Result<GuestMemory, String> {
        match named {
            None => self.memory.clone(),
            Some(_) => memory_of(self.module, named),
        }
    }

    /// The allocator of its usual memory.
    pub(super) fn allocator(&self) -> &AllocatorExports {
        self.allocator.get_or_init(|| {
            let model = self.memory.as_ref().map_or(DataModel::Ilp32, |memory| memory.model);
            AllocatorExports::of(self.module, model)
        })
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
