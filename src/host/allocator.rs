//! The guest's own allocator: what results are copied into, and what its `free` of them calls.
//!
//! `malloc` and `free` as C has them, or `cabi_realloc` of the component model, which frees nothing
//! by itself: then `free` is used if it is there. All of this is guest code. It may trap, call native
//! functions, or return nonsense; whether what it returns lies in the memory is checked by whoever
//! copies something there.
use super::export::Export;
use crate::plan::WasmType;
use crate::plan::layout::DataModel;
use wasmtime::{AsContextMut, Caller, Extern, ExternType, Func, Module, TypedFunc};

/// The allocator as the module exports it.
#[derive(Clone)]
pub(super) struct AllocatorExports {
    model: DataModel,
    allocate: Option<AllocateExport>,
    free: Option<Export>,
}

#[derive(Clone)]
enum AllocateExport {
    Malloc(Export),
    Realloc(Export),
}

/// The allocator of an instance.
#[derive(Clone)]
pub(super) struct Allocator {
    allocate: Option<Allocate>,
    free: Option<Free>,
}

#[derive(Clone)]
enum Allocate {
    Malloc32(TypedFunc<u32, u32>),
    Malloc64(TypedFunc<u64, u64>),
    Realloc32(TypedFunc<(u32, u32, u32, u32), u32>),
    Realloc64(TypedFunc<(u64, u64, u64, u64), u64>),
}

#[derive(Clone)]
enum Free {
    Free32(TypedFunc<u32, ()>),
    Free64(TypedFunc<u64, ()>),
}

impl AllocatorExports {
    /// What `module` exports of an allocator for a memory of that model. Functions of those names
    /// with other types are somebody else's.
    pub(super) fn of(module: &Module, model: DataModel) -> AllocatorExports {
        let word = super::wasm_type::pointer(model);
        let malloc = function(module, "malloc", &[word], &[word]);
        let free = function(module, "free", &[word], &[]);
        let realloc = function(module, "cabi_realloc", &[word; 4], &[word]);
        let allocate = match (malloc.filter(|_| free.is_some()), realloc) {
            (Some(malloc), _) => Some(AllocateExport::Malloc(malloc)),
            (None, realloc) => realloc.map(AllocateExport::Realloc),
        };
        AllocatorExports { model, allocate, free }
    }

    /// Why memory cannot be allocated, if so.
    pub(super) fn why_not_allocate(&self) -> Option<String> {
        let word = super::wasm_type::pointer(self.model);
        match (&self.allocate, &self.free) {
            (Some(_), _) => None,
            (None, None) => Some(format!(
                "the module exports none of `malloc` (func (param {word}) (result {word})), `free` (func (param {word})) and `cabi_realloc`"
            )),
            (None, Some(_)) => Some(format!(
                "the module exports `free`, but no `malloc` (func (param {word}) (result {word}))"
            )),
        }
    }

    /// Why memory cannot be freed, if so.
    pub(super) fn why_not_free(&self) -> Option<String> {
        let word = super::wasm_type::pointer(self.model);
        match &self.free {
            Some(_) => None,
            None => Some(format!("the module exports no `free` (func (param {word}))")),
        }
    }

    /// The allocator of an instance, whose exports `look_up` finds.
    pub(super) fn resolve<T>(
        &self,
        caller: &mut Caller<'_, T>,
        look_up: impl Fn(&mut Caller<'_, T>, &Export) -> Option<Extern>,
    ) -> Option<Allocator> {
        let mut find = |export: &Export| look_up(caller, export)?.into_func();
        let allocate = match &self.allocate {
            Some(AllocateExport::Malloc(export)) => Some((find(export)?, false)),
            Some(AllocateExport::Realloc(export)) => Some((find(export)?, true)),
            None => None,
        };
        let free = match &self.free {
            Some(export) => Some(find(export)?),
            None => None,
        };
        Allocator::new(caller, self.model, allocate, free)
    }
}

/// The export of that name, if it is a function of that type.
fn function(
    module: &Module,
    name: &str,
    params: &[WasmType],
    results: &[WasmType],
) -> Option<Export> {
    let ExternType::Func(ty) = module.get_export(name)? else { return None };
    let lowering = super::wasm_type::lowering_of(&ty)?;
    (lowering.params == params && lowering.results == results)
        .then(|| Export::of(module, name))
        .flatten()
}

impl Allocator {
    fn new<T>(
        caller: &Caller<'_, T>,
        model: DataModel,
        allocate: Option<(Func, bool)>,
        free: Option<Func>,
    ) -> Option<Allocator> {
        let allocate = match (model, allocate) {
            (_, None) => None,
            (DataModel::Ilp32, Some((f, false))) => Some(Allocate::Malloc32(f.typed(caller).ok()?)),
            (DataModel::Ilp32, Some((f, true))) => Some(Allocate::Realloc32(f.typed(caller).ok()?)),
            (DataModel::Lp64, Some((f, false))) => Some(Allocate::Malloc64(f.typed(caller).ok()?)),
            (DataModel::Lp64, Some((f, true))) => Some(Allocate::Realloc64(f.typed(caller).ok()?)),
        };
        let free = match (model, free) {
            (_, None) => None,
            (DataModel::Ilp32, Some(f)) => Some(Free::Free32(f.typed(caller).ok()?)),
            (DataModel::Lp64, Some(f)) => Some(Free::Free64(f.typed(caller).ok()?)),
        };
        Some(Allocator { allocate, free })
    }

    /// Asks for memory. `None` when the module exports nothing that gives any, or when the memory
    /// cannot be as large; guest address 0 when the guest has none left.
    pub(super) fn allocate(
        &self,
        mut store: impl AsContextMut,
        size: u64,
        align: u32,
    ) -> Option<wasmtime::Result<u64>> {
        // C asks for at least one byte, so that 0 means failure.
        let size = size.max(1);
        Some(match self.allocate.as_ref()? {
            Allocate::Malloc32(malloc) => {
                malloc.call(&mut store, u32::try_from(size).ok()?).map(u64::from)
            }
            Allocate::Malloc64(malloc) => malloc.call(&mut store, size),
            Allocate::Realloc32(realloc) => {
                let size = u32::try_from(size).ok()?;
                realloc.call(&mut store, (0, 0, align, size)).map(u64::from)
            }
            Allocate::Realloc64(realloc) => realloc.call(&mut store, (0, 0, align.into(), size)),
        })
    }

    /// Frees memory; where there is no `free`, it stays the guest's.
    pub(super) fn free(&self, mut store: impl AsContextMut, address: u64) -> wasmtime::Result<()> {
        match &self.free {
            None => Ok(()),
            Some(Free::Free32(free)) => match u32::try_from(address) {
                Ok(address) => free.call(&mut store, address),
                // An address beyond a 32-bit memory was never allocated there.
                Err(_) => Ok(()),
            },
            Some(Free::Free64(free)) => free.call(&mut store, address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmtime::Engine;

    fn exports(text: &str) -> AllocatorExports {
        let engine = Engine::default();
        let module = Module::new(&engine, format!("(module {text})")).expect("valid text");
        AllocatorExports::of(&module, DataModel::Ilp32)
    }

    const MALLOC: &str = r#"(func (export "malloc") (param i32) (result i32) (i32.const 8))"#;
    const FREE: &str = r#"(func (export "free") (param i32))"#;
    const REALLOC: &str =
        r#"(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8))"#;

    #[test]
    fn malloc_needs_free_and_cabi_realloc_needs_nothing() {
        assert!(exports(&format!("{MALLOC}{FREE}")).why_not_allocate().is_none());
        assert!(exports(REALLOC).why_not_allocate().is_none());
        assert!(exports(REALLOC).why_not_free().is_some());
        assert!(exports(MALLOC).why_not_allocate().is_some());
        let reason = exports(FREE).why_not_allocate().expect("no malloc");
        assert!(reason.contains("no `malloc` (func (param i32) (result i32))"), "{reason}");
        assert!(exports(FREE).why_not_free().is_none());
    }

    #[test]
    fn functions_of_other_types_are_not_the_allocator() {
        let other = r#"(func (export "malloc") (param i64) (result i32) (i32.const 8))"#;
        assert!(exports(&format!("{other}{FREE}")).why_not_allocate().is_some());
    }
}
