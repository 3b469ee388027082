//! Between wasmtime's types and those of plans.
use crate::plan::layout::DataModel;
use crate::plan::{Lowering, WasmType};
use wasmtime::{FuncType, HeapType, ValType};

/// The wasm type of an import as plans speak of it; `None` when it has a type that no prototype
/// lowers to.
pub(super) fn lowering_of(ty: &FuncType) -> Option<Lowering> {
    Some(Lowering {
        params: ty.params().map(|param| value_type(&param)).collect::<Option<_>>()?,
        results: ty.results().map(|result| value_type(&result)).collect::<Option<_>>()?,
    })
}

fn value_type(ty: &ValType) -> Option<WasmType> {
    Some(match ty {
        ValType::I32 => WasmType::I32,
        ValType::I64 => WasmType::I64,
        ValType::F32 => WasmType::F32,
        ValType::F64 => WasmType::F64,
        ValType::V128 => WasmType::V128,
        ValType::Ref(reference) if reference.is_nullable() => match reference.heap_type() {
            HeapType::Func => WasmType::FuncRef,
            HeapType::Extern => WasmType::ExternRef,
            _ => return None,
        },
        ValType::Ref(_) => return None,
    })
}

/// As in the text format: `(func (param i32 i64) (result f64))`.
pub(super) fn describe(ty: &FuncType) -> String {
    let list = |what: &str, types: Vec<String>| match types.is_empty() {
        true => String::new(),
        false => format!(" ({what} {})", types.join(" ")),
    };
    let params = list("param", ty.params().map(|ty| ty.to_string()).collect());
    let results = list("result", ty.results().map(|ty| ty.to_string()).collect());
    format!("(func{params}{results})")
}

/// The wasm type of pointers in a memory of that model.
pub(super) fn pointer(model: DataModel) -> WasmType {
    match model {
        DataModel::Ilp32 => WasmType::I32,
        DataModel::Lp64 => WasmType::I64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmtime::{Engine, RefType};

    #[test]
    fn scalars_pass_and_foreign_references_do_not() {
        let engine = Engine::default();
        let ty = FuncType::new(&engine, [ValType::I32, ValType::F64], [ValType::I64]);
        let lowering = lowering_of(&ty).expect("scalars");
        assert_eq!(lowering.params, [WasmType::I32, WasmType::F64]);
        assert_eq!(lowering.results, [WasmType::I64]);
        assert_eq!(describe(&ty), "(func (param i32 f64) (result i64))");
        assert_eq!(describe(&FuncType::new(&engine, [], [])), "(func)");
        let never_null = ValType::Ref(RefType::new(false, HeapType::Func));
        assert!(lowering_of(&FuncType::new(&engine, [never_null], [])).is_none());
    }
}
