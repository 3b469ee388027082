//! How values cross to wasm, as the verifier reads it (tool-conventions, BasicCABI.md).
use super::demand::{Reader, Reading};
use crate::plan::layout::{DataModel, Scalar, Target, extent_of, record_on, scalar_of};
use crate::plan::{Lowering, WasmType};
use crate::signature::{Float, Function, Integer, Scope, Type, TypeKind};

/// What wasm has for a C value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Crossing {
    Nothing,
    One(Scalar),
    Two(Scalar),
    Vector,
    Address,
}

/// What a type is made of, in the guest's memory.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Atom {
    Scalar(Scalar),
    Vector,
    /// Something that is never passed as one value.
    Other,
}

impl Reader {
    /// How a value of that type crosses.
    pub(super) fn crossing(&self, ty: &Type) -> Reading<Crossing> {
        let of = |atom| {
            Ok(match atom {
                Atom::Scalar(
                    scalar @ (Scalar::Float(Float::LongDouble)
                    | Scalar::Integer(Integer::Int128 | Integer::UnsignedInt128)),
                ) => Crossing::Two(scalar),
                Atom::Scalar(scalar) => Crossing::One(scalar),
                Atom::Vector => Crossing::Vector,
                Atom::Other => Crossing::Address,
            })
        };
        match &ty.kind {
            TypeKind::Void => Ok(Crossing::Nothing),
            TypeKind::Complex(_) => Ok(Crossing::Address),
            TypeKind::Vector { bytes: 16, .. } => Ok(Crossing::Vector),
            TypeKind::Record(_) => {
                let whole = self.guest_size(ty)?;
                let mut atoms = Vec::new();
                self.atoms(ty, &mut atoms)?;
                match atoms.as_slice() {
                    [] => Ok(Crossing::Nothing),
                    [(atom, size)] if *size == whole => of(*atom),
                    _ => Ok(Crossing::Address),
                }
            }
            _ => of(Atom::Scalar(scalar_of(ty).ok_or("a value that does not cross")?)),
        }
    }

    pub(super) fn guest_size(&self, ty: &Type) -> Reading<u64> {
        let extent = extent_of(ty, &Scope::default(), Target::Guest(self.model));
        extent.map(|extent| extent.size).map_err(|error| error.to_string())
    }

    /// The first few scalars of a type, with their sizes.
    fn atoms(&self, ty: &Type, all: &mut Vec<(Atom, u64)>) -> Reading<()> {
        if all.len() > 1 {
            return Ok(());
        }
        let size = self.guest_size(ty).unwrap_or(0);
        match &ty.kind {
            TypeKind::Array { length: None, .. } => all.push((Atom::Other, 0)),
            TypeKind::Array { element, .. } => {
                let one = self.guest_size(element)?;
                if size == 0 && one > 0 {
                    return Ok(()); // of no elements
                }
                let before = all.len();
                self.atoms(element, all)?;
                if all.len() > before && one != size {
                    all.push((Atom::Other, size));
                }
            }
            TypeKind::Record(record) => {
                let body = record.body.as_ref().ok_or("a struct without a body")?;
                if body.fields.iter().any(|field| !field.ty.notes.is_empty()) {
                    return Err("an annotation in a struct that is passed by value".to_owned());
                }
                for field in &body.fields {
                    match (field.bits, &field.name) {
                        (Some(_), None) => {}
                        // Only some bits of its byte are a value.
                        (Some(_), Some(_)) if field.ty.kind == TypeKind::Bool => {
                            all.push((Atom::Scalar(Scalar::Integer(Integer::UnsignedChar)), 1));
                        }
                        _ => self.atoms(&field.ty, all)?,
                    }
                }
            }
            TypeKind::Vector { bytes: 16, .. } => all.push((Atom::Vector, size)),
            _ => all.push((scalar_of(ty).map_or(Atom::Other, Atom::Scalar), size)),
        }
        Ok(())
    }

    /// Size of a field's record, and where its fields are, in both memories.
    pub(super) fn places(
        &self,
        record: &crate::signature::Record,
        ty: &Type,
        host: bool,
    ) -> Reading<Vec<crate::plan::layout::Place>> {
        let target = if host { Target::Host(self.abi) } else { Target::Guest(self.model) };
        let laid_out = record_on(record, ty.span, &Scope::default(), target);
        laid_out.map(|(_, places)| places).map_err(|error| error.to_string())
    }

    /// The parameter whose slots are wrong, one past the last for the result; and if all are right,
    /// the first slot of each.
    pub(super) fn slots(
        &self,
        lowering: &Lowering,
        params: &[Crossing],
        result: Crossing,
    ) -> Result<Vec<u16>, usize> {
        let word = match self.model {
            DataModel::Ilp32 => WasmType::I32,
            DataModel::Lp64 => WasmType::I64,
        };
        let hidden = matches!(result, Crossing::Two(_) | Crossing::Address);
        let results_fit = match (lowering.results.as_slice(), result) {
            ([], Crossing::Nothing | Crossing::Two(_) | Crossing::Address) => true,
            ([one], Crossing::One(scalar)) => self.is(scalar, *one),
            ([one], Crossing::Vector) => *one == WasmType::V128,
            _ => false,
        };
        let mut rest = lowering.params.iter().copied();
        if !results_fit || (hidden && rest.next() != Some(word)) {
            return Err(params.len());
        }
        let mut slots = Vec::with_capacity(params.len());
        for (index, crossing) in params.iter().enumerate() {
            let first = lowering.params.len() - rest.len();
            slots.push(u16::try_from(first).map_err(|_| index)?);
            let fits = match crossing {
                Crossing::Nothing => true,
                Crossing::One(scalar) => rest.next().is_some_and(|wasm| self.is(*scalar, wasm)),
                Crossing::Two(_) => {
                    let pair = [rest.next(), rest.next()];
                    pair.into_iter().all(|wasm| wasm == Some(WasmType::I64))
                }
                Crossing::Vector => rest.next() == Some(WasmType::V128),
                Crossing::Address => rest.next() == Some(word),
            };
            if !fits {
                return Err(index);
            }
        }
        if rest.len() > 0 { Err(params.len()) } else { Ok(slots) }
    }

    /// Whether a scalar may cross as that wasm type.
    fn is(&self, scalar: Scalar, wasm: WasmType) -> bool {
        let word = match self.model {
            DataModel::Ilp32 => WasmType::I32,
            DataModel::Lp64 => WasmType::I64,
        };
        match scalar {
            Scalar::Pointer => wasm == word,
            Scalar::Float(Float::Float) => wasm == WasmType::F32,
            Scalar::Float(Float::Double) => wasm == WasmType::F64,
            Scalar::Integer(Integer::Long | Integer::UnsignedLong) => {
                matches!(wasm, WasmType::I32 | WasmType::I64)
            }
            Scalar::Bool | Scalar::Integer(_) => match scalar.host_size() {
                1..=4 => wasm == WasmType::I32,
                8 => wasm == WasmType::I64,
                _ => false,
            },
            Scalar::Float(Float::LongDouble) => false,
        }
    }
}

/// The types of all parameters, those of a typed tail after the named ones.
pub(super) fn all_params(function: &Function) -> Vec<&Type> {
    let tail = match &function.variadic {
        crate::signature::Variadic::Typed(tail) => tail.as_slice(),
        crate::signature::Variadic::No | crate::signature::Variadic::Untyped(_) => &[],
    };
    function.params.iter().map(|param| &param.ty).chain(tail).collect()
}
