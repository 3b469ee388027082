//! The wasm type of an import (tool-conventions, BasicCABI.md): one value for each scalar.
use super::CompileError;
use crate::plan::layout::{DataModel, Scalar, scalar_of};
use crate::plan::{Lowering, WasmType};
use crate::signature::{Diagnostic, Float, Integer, Prototype, Type, TypeKind};
use std::fmt;

/// The wasm type that a prototype has for guests of that data model. Where C has `long` and its
/// kin, an import may choose between `i32` and `i64`.
///
/// # Errors
/// [`CompileError::Prototype`] for types that do not cross yet, [`CompileError::WasmType`] when
/// `import` is something else.
pub fn lower(
    prototype: &Prototype,
    model: DataModel,
    import: Option<&Lowering>,
) -> Result<Lowering, CompileError> {
    let mut errors = Vec::new();
    let function = &prototype.function;
    let mut of = |ty: &Type, chosen: Option<WasmType>| match value_type(ty, model) {
        Ok(Choice::One(only)) => only,
        Ok(Choice::Word(natural)) => match chosen {
            Some(chosen @ (WasmType::I32 | WasmType::I64)) => chosen,
            _ => natural,
        },
        Err(what) => {
            let message = format!("{what}: not supported yet");
            errors.push(Diagnostic::new(ty.span, message).label("here"));
            WasmType::I32
        }
    };
    let mut params = Vec::with_capacity(function.params.len());
    for (index, param) in function.params.iter().enumerate() {
        params.push(of(&param.ty, import.and_then(|i| i.params.get(index).copied())));
    }
    let mut results = Vec::new();
    if function.result.kind != TypeKind::Void {
        results.push(of(&function.result, import.and_then(|i| i.results.first().copied())));
    }
    if !errors.is_empty() {
        return Err(CompileError::Prototype(errors));
    }
    let expected = Lowering { params, results };
    match import {
        Some(found) if *found != expected => {
            Err(CompileError::WasmType { expected, found: found.clone() })
        }
        _ => Ok(expected),
    }
}

/// The wasm types that a C type may have.
enum Choice {
    One(WasmType),
    /// `i32` or `i64`; this one by itself.
    Word(WasmType),
}

fn value_type(ty: &Type, model: DataModel) -> Result<Choice, &'static str> {
    let word = match model {
        DataModel::Ilp32 => WasmType::I32,
        DataModel::Lp64 => WasmType::I64,
    };
    let Some(scalar) = scalar_of(ty) else {
        return Err(match ty.kind {
            TypeKind::Record(_) => "a struct or union by value",
            TypeKind::Complex(_) => "complex numbers",
            TypeKind::Vector { .. } => "vectors",
            _ => "this type by value",
        });
    };
    Ok(match scalar {
        Scalar::Bool => Choice::One(WasmType::I32),
        Scalar::Integer(kind) => match kind {
            Integer::Char
            | Integer::SignedChar
            | Integer::UnsignedChar
            | Integer::Short
            | Integer::UnsignedShort
            | Integer::Int
            | Integer::UnsignedInt => Choice::One(WasmType::I32),
            Integer::Long | Integer::UnsignedLong => Choice::Word(word),
            Integer::LongLong | Integer::UnsignedLongLong => Choice::One(WasmType::I64),
            Integer::Int128 | Integer::UnsignedInt128 => return Err("128-bit integers"),
        },
        Scalar::Float(Float::Float) => Choice::One(WasmType::F32),
        Scalar::Float(Float::Double) => Choice::One(WasmType::F64),
        Scalar::Float(Float::LongDouble) => return Err("`long double`"),
        Scalar::Pointer => Choice::One(word),
    })
}

impl fmt::Display for Lowering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(func")?;
        for (what, types) in [("param", &self.params), ("result", &self.results)] {
            if !types.is_empty() {
                write!(f, " ({what}")?;
                for ty in types {
                    write!(f, " {ty}")?;
                }
                f.write_str(")")?;
            }
        }
        f.write_str(")")
    }
}

impl fmt::Display for WasmType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WasmType::I32 => "i32",
            WasmType::I64 => "i64",
            WasmType::F32 => "f32",
            WasmType::F64 => "f64",
            WasmType::V128 => "v128",
            WasmType::FuncRef => "funcref",
            WasmType::ExternRef => "externref",
        })
    }
}
