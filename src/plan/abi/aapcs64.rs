//! The calling convention of 64-bit Arm on Linux: AAPCS64 section 6.8.2, "Parameter passing rules".
//!
//! Not that of Apple or Windows, which differ from it.
use super::{AbiError, Assignment, Location, Role, StackArea, Value};
use crate::plan::layout::{Scalar, scalar_of};
use crate::signature::{Float, Function, Integer, Scope, Type, TypeKind};

/// General-purpose registers of parameters and results in order, then the one that holds the
/// address of a hidden result (section 6.9, "Result return").
const INTEGER: [&str; 9] = ["x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8"];
/// Vector registers of parameters and results in order.
const VECTOR: [&str; 8] = ["v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7"];

pub(super) const INTEGER_COUNT: u8 = 8;
pub(super) const VECTOR_COUNT: u8 = 8;
const _: () = assert!(INTEGER.len() == INTEGER_COUNT as usize + 1);
const _: () = assert!(VECTOR.len() == VECTOR_COUNT as usize);

pub(super) fn register_name(location: Location, role: Role) -> Option<&'static str> {
    match (location, role) {
        (Location::Integer(8), Role::Result) | (Location::X87(_) | Location::Stack(_), _) => None,
        (Location::Integer(number), _) => INTEGER.get(usize::from(number)).copied(),
        (Location::Vector(number), _) => VECTOR.get(usize::from(number)).copied(),
    }
}

pub(super) fn assign(function: &Function, _scope: &Scope) -> Result<Assignment, AbiError> {
    // A result travels as the first parameter of its type would.
    let result = if function.result.kind == TypeKind::Void {
        Value::void()
    } else {
        Taken::new().parameter(&function.result)?
    };
    let mut taken = Taken::new();
    let params = super::parameter_types(function)?
        .map(|ty| taken.parameter(ty))
        .collect::<Result<Vec<Value>, AbiError>>()?;
    Ok(Assignment {
        params,
        result,
        stack_size: taken.stack.whole(),
        stack_align: taken.stack.align,
        integer_registers: taken.integer,
        vector_registers: taken.vector,
    })
}

/// What the parameters so far have taken: NGRN, NSRN and NSAA of the standard.
struct Taken {
    integer: u8,
    vector: u8,
    stack: StackArea,
}

impl Taken {
    fn new() -> Self {
        Taken { integer: 0, vector: 0, stack: StackArea::new() }
    }

    fn parameter(&mut self, ty: &Type) -> Result<Value, AbiError> {
        let Some(scalar) = scalar_of(ty) else { return Err(super::unsupported(ty)) };
        let location = match scalar {
            Scalar::Integer(Integer::Int128 | Integer::UnsignedInt128)
            | Scalar::Float(Float::LongDouble) => return Err(super::unsupported(ty)),
            Scalar::Float(_) if self.vector < VECTOR_COUNT => {
                self.vector += 1;
                Location::Vector(self.vector - 1)
            }
            Scalar::Bool | Scalar::Integer(_) | Scalar::Pointer if self.integer < INTEGER_COUNT => {
                self.integer += 1;
                Location::Integer(self.integer - 1)
            }
            Scalar::Bool | Scalar::Integer(_) | Scalar::Pointer | Scalar::Float(_) => {
                let size = scalar.host_size();
                self.stack.take(size.into(), size, ty.span)?
            }
        };
        Ok(Value::of_scalar(scalar, location))
    }
}
