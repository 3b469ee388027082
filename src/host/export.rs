//! An export of a guest's module, looked up through the `Caller` of a call or in the instance.
use std::sync::Arc;
use wasmtime::{Caller, Extern, Module, ModuleExport};

/// See the module.
#[derive(Clone)]
pub(super) struct Export {
    name: Arc<str>,
    index: ModuleExport,
}

impl Export {
    /// The export of that name.
    pub(super) fn of(module: &Module, name: &str) -> Option<Export> {
        Some(Export { name: name.into(), index: module.get_export_index(name)? })
    }

    /// Where it is in instances of the module.
    pub(super) fn index(&self) -> &ModuleExport {
        &self.index
    }

    /// The export of the instance that calls, if that is one of this module.
    pub(super) fn of_caller<T>(&self, caller: &mut Caller<'_, T>) -> Option<Extern> {
        // When the host itself calls, the caller is no instance, and wasmtime 48 panics when it is
        // asked which module it is of. Only instances of modules have exports by name.
        caller.get_export(&self.name)?;
        caller.get_module_export(&self.index)
    }
}
