//! The type of direct trampolines, in Cranelift's words.
use super::super::Unsupported;
use super::Context;
use crate::plan::{Plan, WasmType};
use cranelift_codegen::ir::{AbiParam, Signature, Type, types};
use cranelift_codegen::isa::CallConv;

fn type_of(ty: WasmType) -> Result<Type, Unsupported> {
    match ty {
        WasmType::I32 => Ok(types::I32),
        WasmType::I64 => Ok(types::I64),
        WasmType::F32 => Ok(types::F32),
        WasmType::F64 => Ok(types::F64),
        WasmType::V128 => Ok(types::I8X16),
        WasmType::FuncRef | WasmType::ExternRef => Err(Unsupported::Reference),
    }
}

/// The type of a plan's direct trampoline: that of the import, behind the two contexts.
pub(in crate::cranelift_backend) fn signature(plan: &Plan) -> Result<Signature, Unsupported> {
    let word = AbiParam::new(types::I64);
    let mut signature = Signature::new(CallConv::Tail);
    signature.params.extend([word, word]);
    for param in &plan.lowering.params {
        signature.params.push(AbiParam::new(type_of(*param)?));
    }
    for result in &plan.lowering.results {
        signature.returns.push(AbiParam::new(type_of(*result)?));
    }
    if usize::from(plan.frame.align) > Context::ALIGN {
        return Err(Unsupported::StackAlign { align: plan.frame.align });
    }
    Ok(signature)
}

#[cfg(test)]
mod tests {
    use super::super::places_of;
    use super::*;
    use crate::cranelift_backend::signature::locations;

    /// What is known of the convention without a compiler is what is known of the compiler.
    #[test]
    fn parameters_lie_where_cranelift_puts_them() {
        use WasmType::{F32, F64, I32, I64, V128};
        let mut several = vec![I32, F64, I64, F32, V128];
        for _ in 0..4 {
            let mut signature = Signature::new(CallConv::Tail);
            signature.params.extend([AbiParam::new(types::I64); 2]);
            for param in &several {
                let ty = type_of(*param).expect("a number");
                let ty = if ty == types::I32 { types::I64 } else { ty };
                signature.params.push(AbiParam::new(ty));
            }
            let expected: Option<Vec<_>> = locations(&signature).into_iter().skip(2).collect();
            assert_eq!(places_of(&several).ok(), expected, "{several:?}");
            several.extend(several.clone());
        }
        assert_eq!(places_of(&[WasmType::ExternRef]), Err(Unsupported::Reference));
    }
}
