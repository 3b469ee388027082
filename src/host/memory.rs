//! Which of a module's memories its pointers point into.
//!
//! The memory of the *importing* instance: the exported one that the interface names, else the
//! export `memory`, else the only one. Which it is, is known from the module alone; where it is,
//! only from an instance (see [`instance`](super::instance)).
use super::export::Export;
use crate::plan::layout::DataModel;
use wasmtime::{Engine, ExternType, MemoryType, Module};

/// A memory of a module.
#[derive(Clone)]
pub(super) struct GuestMemory {
    pub place: Place,
    /// 32-bit memories hold ILP32 data, 64-bit ones LP64.
    pub model: DataModel,
    /// Whether it may move when it grows.
    pub may_move: bool,
}

/// Where an instance has its memory.
#[derive(Clone)]
pub(super) enum Place {
    /// It exports it.
    Export(Export),
    /// It imports it: the position among the imports.
    Import(usize),
}

/// The memory that `module`'s pointers point into, or why there is none.
pub(super) fn memory_of(module: &Module, named: Option<&str>) -> Result<GuestMemory, String> {
    if let Some(name) = named {
        return exported(module, name).unwrap_or_else(|| {
            Err(format!("the interface names the exported memory `{name}`, which the module lacks"))
        });
    }
    if let Some(found) = exported(module, "memory") {
        return found;
    }
    let imported: Vec<(usize, MemoryType)> = module
        .imports()
        .enumerate()
        .filter_map(|(position, import)| Some((position, import.ty().memory()?.clone())))
        .collect();
    let own = usize::try_from(module.resources_required().num_memories).unwrap_or(usize::MAX);
    match (imported.as_slice(), own) {
        ([], 0) => Err("the module has none".to_owned()),
        ([(position, ty)], 0) => checked(module.engine(), Place::Import(*position), ty),
        ([], 1) => {
            let name = module.exports().find(|export| export.ty().memory().is_some());
            name.and_then(|export| exported(module, export.name())).unwrap_or_else(|| {
                Err("the module does not export its memory: export it as `memory`".to_owned())
            })
        }
        (imported, own) => Err(format!(
            "the module has {} memories: export the one that is meant as `memory`",
            imported.len().saturating_add(own)
        )),
    }
}

fn exported(module: &Module, name: &str) -> Option<Result<GuestMemory, String>> {
    let ExternType::Memory(ty) = module.get_export(name)? else { return None };
    Some(checked(module.engine(), Place::Export(Export::of(module, name)?), &ty))
}

fn checked(engine: &Engine, place: Place, ty: &MemoryType) -> Result<GuestMemory, String> {
    if ty.is_shared() {
        return Err("the memory is shared between threads: what was checked of a call could change before native code reads \
                    it; give the guest a memory of its own".to_owned());
    }
    let model = if ty.is_64() { DataModel::Lp64 } else { DataModel::Ilp32 };
    Ok(GuestMemory { place, model, may_move: may_move(engine, ty) })
}

/// Whether memories of that type may move when they grow. They never do inside their reservation,
/// which wasmtime's own code relies on. An imported memory may be smaller than its import allows,
/// not larger.
pub(super) fn may_move(engine: &Engine, ty: &MemoryType) -> bool {
    const ADDRESSABLE: u64 = 1 << 32;
    let declared = ty.maximum().and_then(|pages| pages.checked_mul(ty.page_size()));
    let largest = match (declared, ty.is_64()) {
        (Some(bytes), true) => bytes,
        (None, true) => u64::MAX,
        (bytes, false) => bytes.unwrap_or(ADDRESSABLE).min(ADDRESSABLE),
    };
    engine.get_memory_may_move() && largest > engine.get_memory_reservation()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmtime::Config;

    fn find(text: &str, named: Option<&str>) -> Result<GuestMemory, String> {
        let engine = Engine::new(Config::new().wasm_memory64(true).wasm_multi_memory(true))
            .expect("the features exist");
        let module = Module::new(&engine, format!("(module {text})")).expect("valid text");
        memory_of(&module, named)
    }

    fn reason(text: &str, named: Option<&str>) -> String {
        find(text, named).err().expect("there is none")
    }

    #[test]
    fn the_named_one_then_memory_then_the_only_one() {
        let two = r#"(memory (export "memory") 1) (memory (export "heap") i64 1)"#;
        assert_eq!(find(two, None).expect("`memory`").model, DataModel::Ilp32);
        assert_eq!(find(two, Some("heap")).expect("`heap`").model, DataModel::Lp64);
        assert!(find(r#"(memory (export "other") 1)"#, None).is_ok());
        let imported = r#"(func) (import "env" "memory" (memory 1))"#.replace("(func) ", "");
        assert!(matches!(find(&imported, None).expect("the only one").place, Place::Import(0)));
    }

    #[test]
    fn only_what_may_outgrow_its_reservation_moves() {
        let mut config = Config::new();
        config.wasm_memory64(true).memory_reservation(4 << 30);
        let engine = Engine::new(&config).expect("valid");
        let moves = |ty| may_move(&engine, &ty);
        assert!(!moves(MemoryType::new(1, None)));
        assert!(moves(MemoryType::new64(1, None)));
        assert!(!moves(MemoryType::new64(1, Some(100))));
        let engine = Engine::new(config.memory_reservation(1 << 20)).expect("valid");
        assert!(may_move(&engine, &MemoryType::new(1, None)));
        assert!(!may_move(&engine, &MemoryType::new(1, Some(16))));
        let engine = Engine::new(config.memory_may_move(false)).expect("valid");
        assert!(!may_move(&engine, &MemoryType::new(1, None)));
    }

    #[test]
    fn what_is_missing_or_unclear_is_said() {
        assert!(reason("", None).contains("has none"));
        assert!(reason("(memory 1)", None).contains("does not export"));
        assert!(reason(r#"(memory 1) (memory (export "m") 1)"#, None).contains("2 memories"));
        assert!(reason(r#"(memory (export "memory") 1)"#, Some("heap")).contains("`heap`"));
        assert!(reason(r#"(func (export "heap"))"#, Some("heap")).contains("`heap`"));
    }
}
