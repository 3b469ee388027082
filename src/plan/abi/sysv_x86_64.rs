//! The System V calling convention of x86-64: psABI section 3.2.3, "Parameter Passing".
use super::{AbiError, Assignment, Location, Role, StackArea, Value};
use crate::plan::layout::{Scalar, scalar_of};
use crate::signature::{Float, Function, Integer, Scope, Type, TypeKind};

/// General-purpose registers in the order in which parameters take them.
const INTEGER_PARAMETERS: [&str; 6] = ["rdi", "rsi", "rdx", "rcx", "r8", "r9"];
/// Vector registers in the order in which parameters take them.
const VECTOR_PARAMETERS: [&str; 8] =
    ["xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7"];
/// General-purpose registers in the order in which results take them.
const INTEGER_RESULTS: [&str; 2] = ["rax", "rdx"];
/// Vector registers in the order in which results take them.
const VECTOR_RESULTS: [&str; 2] = ["xmm0", "xmm1"];
/// The top of the x87 stack: `long double`, and the two parts of a complex one.
const X87_RESULTS: [&str; 2] = ["st0", "st1"];

pub(super) const INTEGER_COUNT: u8 = 6;
pub(super) const VECTOR_COUNT: u8 = 8;
const _: () = assert!(INTEGER_PARAMETERS.len() == INTEGER_COUNT as usize);
const _: () = assert!(VECTOR_PARAMETERS.len() == VECTOR_COUNT as usize);

pub(super) fn register_name(location: Location, role: Role) -> Option<&'static str> {
    let (names, number): (&[&'static str], u8) = match (location, role) {
        (Location::Integer(number), Role::Parameter) => (&INTEGER_PARAMETERS, number),
        (Location::Integer(number), Role::Result) => (&INTEGER_RESULTS, number),
        (Location::Vector(number), Role::Parameter) => (&VECTOR_PARAMETERS, number),
        (Location::Vector(number), Role::Result) => (&VECTOR_RESULTS, number),
        (Location::X87(number), Role::Result) => (&X87_RESULTS, number),
        (Location::X87(_), Role::Parameter) | (Location::Stack(_), _) => return None,
    };
    names.get(usize::from(number)).copied()
}

pub(super) fn assign(function: &Function, _scope: &Scope) -> Result<Assignment, AbiError> {
    let mut taken = Taken { integer: 0, vector: 0, stack: StackArea::new() };
    let result = result(&function.result)?;
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

fn result(ty: &Type) -> Result<Value, AbiError> {
    if ty.kind == TypeKind::Void {
        return Ok(Value::void());
    }
    let Some(scalar) = scalar_of(ty) else { return Err(super::unsupported(ty)) };
    let location = match class(scalar) {
        Some(Class::Integer) => Location::Integer(0),
        Some(Class::Sse) => Location::Vector(0),
        None => return Err(super::unsupported(ty)),
    };
    Ok(Value::of_scalar(scalar, location))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Integer,
    Sse,
}

fn class(scalar: Scalar) -> Option<Class> {
    match scalar {
        Scalar::Integer(Integer::Int128 | Integer::UnsignedInt128)
        | Scalar::Float(Float::LongDouble) => None,
        Scalar::Bool | Scalar::Integer(_) | Scalar::Pointer => Some(Class::Integer),
        Scalar::Float(Float::Float | Float::Double) => Some(Class::Sse),
    }
}

/// What the parameters so far have taken.
struct Taken {
    integer: u8,
    vector: u8,
    stack: StackArea,
}

impl Taken {
    fn parameter(&mut self, ty: &Type) -> Result<Value, AbiError> {
        let Some(scalar) = scalar_of(ty) else { return Err(super::unsupported(ty)) };
        let location = match class(scalar) {
            Some(Class::Integer) if self.integer < INTEGER_COUNT => {
                self.integer += 1;
                Location::Integer(self.integer - 1)
            }
            Some(Class::Sse) if self.vector < VECTOR_COUNT => {
                self.vector += 1;
                Location::Vector(self.vector - 1)
            }
            Some(Class::Integer | Class::Sse) => {
                let size = scalar.host_size();
                self.stack.take(size.into(), size, ty.span)?
            }
            None => return Err(super::unsupported(ty)),
        };
        Ok(Value::of_scalar(scalar, location))
    }
}
