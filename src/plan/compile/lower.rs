//! The wasm type of an import (tool-conventions, BasicCABI.md): how each C type crosses.
use super::CompileError;
use crate::plan::layout::{DataModel, Scalar, Target as Memory, body_of, extent_of, scalar_of};
use crate::plan::{Lowering, WasmType};
use crate::signature::{
    Diagnostic, Field, Float, Function, Integer, Prototype, Scope, Type, TypeKind, Variadic,
};
use std::fmt;

/// How a value crosses between wasm and us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Crossing {
    /// Not at all: it has no bytes (an empty struct).
    Nothing,
    /// As one wasm value. A struct of one scalar crosses as that scalar.
    Scalar(Scalar),
    /// As two `i64`s; a result through memory.
    Two(Scalar),
    /// As a `v128`.
    Vector,
    /// By its address in the guest's memory.
    Address,
}

/// A lowering, and which guest slots belong to which parameter.
pub(super) struct Lowered {
    pub(super) lowering: Lowering,
    /// Of the parameters, those of a typed tail after the named ones.
    pub(super) params: Vec<Crossing>,
    /// The first slot of each.
    pub(super) slots: Box<[u16]>,
    pub(super) result: Crossing,
}

impl Lowered {
    /// Whether slot 0 is the address of the result.
    pub(super) fn is_hidden(&self) -> bool {
        matches!(self.result, Crossing::Two(_) | Crossing::Address)
    }
}

/// The wasm type that a prototype has for guests of that data model. Where C has `long` and its
/// kin, an import may choose between `i32` and `i64`.
///
/// # Errors
/// [`CompileError::Prototype`] for types that do not cross, [`CompileError::WasmType`] when
/// `import` is something else.
pub fn lower(
    prototype: &Prototype,
    scope: &Scope,
    model: DataModel,
    import: Option<&Lowering>,
) -> Result<Lowering, CompileError> {
    lower_all(prototype, scope, model, import).map(|lowered| lowered.lowering)
}

/// As [`lower`], with what it found on the way.
pub(super) fn lower_all(
    prototype: &Prototype,
    scope: &Scope,
    model: DataModel,
    import: Option<&Lowering>,
) -> Result<Lowered, CompileError> {
    let function = &prototype.function;
    let mut errors = Vec::new();
    let mut of = |ty: &Type| {
        crossing(ty, scope, model).unwrap_or_else(|what| {
            errors.push(Diagnostic::new(ty.span, what).label("here"));
            Crossing::Nothing
        })
    };
    let params: Vec<Crossing> = parameter_types(function).map(&mut of).collect();
    let result = match function.result.kind {
        TypeKind::Void => Crossing::Nothing,
        _ => of(&function.result),
    };
    if !errors.is_empty() {
        return Err(CompileError::Prototype(errors));
    }
    let mut lowered = Lowered { lowering: Lowering::default(), params, slots: [].into(), result };
    let mut types = Vec::new();
    if lowered.is_hidden() {
        types.push(word(model));
    }
    let mut slots = Vec::new();
    for crossing in &lowered.params {
        slots.push(super::index_of(types.len()));
        match crossing {
            Crossing::Nothing => {}
            Crossing::Scalar(scalar) => {
                let chosen = import.and_then(|import| import.params.get(types.len()).copied());
                types.push(value_type(*scalar, model, chosen));
            }
            Crossing::Two(_) => types.extend([WasmType::I64; 2]),
            Crossing::Vector => types.push(WasmType::V128),
            Crossing::Address => types.push(word(model)),
        }
    }
    let chosen = import.and_then(|import| import.results.first().copied());
    let results = match lowered.result {
        Crossing::Scalar(scalar) => vec![value_type(scalar, model, chosen)],
        Crossing::Vector => vec![WasmType::V128],
        Crossing::Nothing | Crossing::Two(_) | Crossing::Address => Vec::new(),
    };
    lowered.slots = slots.into();
    lowered.lowering = Lowering { params: types, results };
    match import {
        Some(found) if *found != lowered.lowering => {
            Err(CompileError::WasmType { expected: lowered.lowering, found: found.clone() })
        }
        _ => Ok(lowered),
    }
}

/// The types of all parameters, those of a typed tail after the named ones.
pub(super) fn parameter_types(function: &Function) -> impl Iterator<Item = &Type> {
    let tail = match &function.variadic {
        Variadic::Typed(tail) => tail.as_slice(),
        Variadic::No | Variadic::Untyped(_) => &[],
    };
    function.params.iter().map(|param| &param.ty).chain(tail)
}

fn word(model: DataModel) -> WasmType {
    match model {
        DataModel::Ilp32 => WasmType::I32,
        DataModel::Lp64 => WasmType::I64,
    }
}

/// How a type crosses; what cannot, and why not.
pub(super) fn crossing(ty: &Type, scope: &Scope, model: DataModel) -> Result<Crossing, String> {
    if let Some(scalar) = scalar_of(ty) {
        return Ok(match scalar {
            Scalar::Float(Float::LongDouble)
            | Scalar::Integer(Integer::Int128 | Integer::UnsignedInt128) => Crossing::Two(scalar),
            Scalar::Bool | Scalar::Integer(_) | Scalar::Float(_) | Scalar::Pointer => {
                Crossing::Scalar(scalar)
            }
        });
    }
    match &ty.kind {
        TypeKind::Complex(_) => Ok(Crossing::Address),
        TypeKind::Vector { bytes: 16, .. } => Ok(Crossing::Vector),
        TypeKind::Vector { bytes, .. } => {
            Err(format!("vectors of {bytes} bytes do not cross to wasm: only those of 16 do"))
        }
        TypeKind::Record(_) => {
            let size = extent_of(ty, scope, Memory::Guest(model)).map_err(|e| e.to_string())?.size;
            if is_empty(ty, scope, model) {
                return Ok(Crossing::Nothing);
            }
            match single_scalar(ty, scope, model) {
                Some((one, crossing)) if one == size => Ok(crossing),
                _ => Ok(Crossing::Address),
            }
        }
        TypeKind::Void
        | TypeKind::Array { .. }
        | TypeKind::Function(_)
        | TypeKind::Bool
        | TypeKind::Integer(_)
        | TypeKind::Float(_)
        | TypeKind::Enum(_)
        | TypeKind::Pointer(_) => Err("this type is not passed by value".to_owned()),
    }
}

/// Whether nothing in a type has a name: unnamed bit-fields and arrays of no elements do not count,
/// a flexible array member does.
fn is_empty(ty: &Type, scope: &Scope, model: DataModel) -> bool {
    match &ty.kind {
        TypeKind::Array { length: None, .. } => false,
        TypeKind::Array { element, .. } => {
            let on =
                |ty| extent_of(ty, scope, Memory::Guest(model)).map_or(1, |extent| extent.size);
            (on(ty) == 0 && on(element) > 0) || is_empty(element, scope, model)
        }
        TypeKind::Record(record) => body_of(record, scope, ty.span).is_ok_and(|body| {
            let padding = |field: &Field| field.bits.is_some() && field.name.is_none();
            body.fields.iter().all(|field| padding(field) || is_empty(&field.ty, scope, model))
        }),
        _ => false,
    }
}

/// The one scalar that a record is made of, and its size: clang passes such a record as that scalar
/// if nothing else takes room in it. Empty members do not count, arrays of one element are their
/// element.
fn single_scalar(ty: &Type, scope: &Scope, model: DataModel) -> Option<(u64, Crossing)> {
    match &ty.kind {
        TypeKind::Array { element, .. } => {
            let on = |ty| extent_of(ty, scope, Memory::Guest(model)).map(|extent| extent.size);
            let (whole, one) = (on(ty).ok()?, on(element).ok()?);
            if whole == one { single_scalar(element, scope, model) } else { None }
        }
        TypeKind::Record(record) => {
            let body = body_of(record, scope, ty.span).ok()?;
            let mut found = None;
            for field in &body.fields {
                if field.bits.is_some() && field.name.is_none() {
                    continue;
                }
                if is_empty(&field.ty, scope, model) {
                    continue;
                }
                if found.is_some() {
                    return None;
                }
                let (size, crossing) = single_scalar(&field.ty, scope, model)?;
                // Of a bit-field some bits of the byte mean nothing: it is no plain `bool`.
                let crossing = match crossing {
                    Crossing::Scalar(Scalar::Bool) if field.bits.is_some() => {
                        Crossing::Scalar(Scalar::Integer(Integer::UnsignedChar))
                    }
                    other => other,
                };
                found = Some((size, crossing));
            }
            found
        }
        TypeKind::Vector { bytes: 16, .. } => Some((16, Crossing::Vector)),
        _ => {
            let scalar = scalar_of(ty)?;
            let crossing = crossing(ty, scope, model).ok()?;
            Some((scalar.guest_size(model).into(), crossing))
        }
    }
}

/// The wasm type of a scalar.
fn value_type(scalar: Scalar, model: DataModel, chosen: Option<WasmType>) -> WasmType {
    match scalar {
        Scalar::Integer(Integer::Long | Integer::UnsignedLong) => match chosen {
            Some(chosen @ (WasmType::I32 | WasmType::I64)) => chosen,
            _ => word(model),
        },
        Scalar::Float(Float::Float) => WasmType::F32,
        Scalar::Float(Float::Double | Float::LongDouble) => WasmType::F64,
        Scalar::Pointer => word(model),
        Scalar::Bool | Scalar::Integer(_) => match scalar.host_size() {
            1..=4 => WasmType::I32,
            _ => WasmType::I64,
        },
    }
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
