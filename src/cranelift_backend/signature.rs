//! From an assignment to a CLIF signature.
//!
//! The C type of an argument says nothing any more: the plan's ops have cut every value to words
//! and placed each in the image of a register or in a slot of the stack area. So the parameters of
//! the CLIF signature are not those of the prototype but the *places*, in an order that makes
//! Cranelift's System V convention give each its own:
//!
//! ```text
//! i64 ..       rdi rsi rdx rcx r8 r9      as many as are used; all six when the stack is
//! f32 f64 ..   xmm0 .. xmm7               as many as are used
//! i64 ..       the stack, from its lowest slot
//! ```
//!
//! Integer parameters go to the stack once the six registers are taken, so that registers which
//! the C function does not read are filled (with zero) in front of stack arguments. Nothing here needs
//! `StructArgument`, whose alignment Cranelift ignores, or 16-byte stack slots.
//!
//! [`locations`] says where Cranelift puts what, and [`NativeSignature::clif`] compares that with the
//! places before any code is made. That it is right is shown by trial calls: see `probe`.
use super::Unsupported;
use crate::plan::abi::Location;
use cranelift_codegen::ir::{AbiParam, Signature, Type, types};
use cranelift_codegen::isa::CallConv;

pub use super::registers::{INTEGERS, RESULTS, VECTORS};

/// The places that a call fills, and those that it leaves results in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct NativeSignature {
    /// So many integer registers.
    pub integers: u8,
    /// The vector registers by what is in each: `f32`, `f64` or a vector of 16 bytes.
    pub vectors: Vec<Type>,
    /// So many slots of 8 bytes.
    pub stack: u16,
    /// So many integer registers of the result.
    pub integer_results: u8,
    /// The vector registers of the result.
    pub vector_results: Vec<Type>,
}

impl NativeSignature {
    /// Integer registers with those that are only filled.
    #[must_use]
    pub fn passed_integers(&self) -> u8 {
        if self.stack > 0 { INTEGERS } else { self.integers }
    }

    /// The places in the order of the CLIF signature's parameters.
    pub fn places(&self) -> impl Iterator<Item = Location> {
        let integers = (0..self.passed_integers()).map(Location::Integer);
        let vectors = (0..).zip(&self.vectors).map(|(number, _)| Location::Vector(number));
        let stack = (0..u32::from(self.stack)).map(|slot| Location::Stack(8 * slot));
        integers.chain(vectors).chain(stack)
    }

    /// The places of results, likewise.
    pub fn result_places(&self) -> impl Iterator<Item = Location> {
        let integers = (0..self.integer_results).map(Location::Integer);
        let vectors = (0..).zip(&self.vector_results).map(|(number, _)| Location::Vector(number));
        integers.chain(vectors)
    }

    /// The CLIF signature of the C function.
    ///
    /// # Errors
    /// When Cranelift would not put everything where it belongs.
    pub fn clif(&self) -> Result<Signature, Unsupported> {
        let mut signature = Signature::new(CallConv::SystemV);
        let word = AbiParam::new(types::I64);
        let vectors =
            |types: &[Type]| types.iter().map(|ty| AbiParam::new(*ty)).collect::<Vec<_>>();
        signature.params.extend((0..self.passed_integers()).map(|_| word));
        signature.params.extend(vectors(&self.vectors));
        signature.params.extend((0..self.stack).map(|_| word));
        signature.returns.extend((0..self.integer_results).map(|_| word));
        signature.returns.extend(vectors(&self.vector_results));
        let same = |wanted: &mut dyn Iterator<Item = Location>, found: Vec<Option<Location>>| {
            let mut found = found.into_iter();
            loop {
                match (wanted.next(), found.next()) {
                    (None, None) => return Ok(()),
                    (Some(wanted), Some(Some(found))) if wanted == found => {}
                    (wanted, found) => {
                        return Err(Unsupported::Location { wanted, found: found.flatten() });
                    }
                }
            }
        };
        same(&mut self.places(), locations(&signature))?;
        same(&mut self.result_places(), result_locations(&signature))?;
        Ok(signature)
    }
}

/// Where Cranelift's System V convention puts the parameters of a signature: each takes the next
/// register of its kind, and the stack when there is none left. `None` for what is not of 4 or 8 bytes,
/// or a vector of 16, or extended or special in any way.
#[must_use]
pub fn locations(signature: &Signature) -> Vec<Option<Location>> {
    let (mut integers, mut vectors, mut stack) = (0, 0, 0);
    let mut each = |param: &AbiParam| {
        if *param != AbiParam::new(param.value_type) {
            return None;
        }
        match kind(param.value_type)? {
            Kind::Integer if integers < INTEGERS => {
                integers += 1;
                Some(Location::Integer(integers - 1))
            }
            Kind::Vector if vectors < VECTORS => {
                vectors += 1;
                Some(Location::Vector(vectors - 1))
            }
            Kind::Integer | Kind::Vector => {
                let size = param.value_type.bytes().max(8);
                let at = u32::next_multiple_of(stack, size);
                stack = at + size;
                Some(Location::Stack(at))
            }
        }
    };
    signature.params.iter().map(&mut each).collect()
}

/// As [`locations`], of results.
#[must_use]
pub fn result_locations(signature: &Signature) -> Vec<Option<Location>> {
    let (mut integers, mut vectors) = (0, 0);
    let mut each = |param: &AbiParam| {
        if *param != AbiParam::new(param.value_type) {
            return None;
        }
        match kind(param.value_type)? {
            Kind::Integer if integers < RESULTS => {
                integers += 1;
                Some(Location::Integer(integers - 1))
            }
            Kind::Vector if vectors < RESULTS => {
                vectors += 1;
                Some(Location::Vector(vectors - 1))
            }
            Kind::Integer | Kind::Vector => None,
        }
    };
    signature.returns.iter().map(&mut each).collect()
}

enum Kind {
    Integer,
    Vector,
}

fn kind(ty: Type) -> Option<Kind> {
    match ty {
        types::I64 => Some(Kind::Integer),
        types::F32 | types::F64 => Some(Kind::Vector),
        _ if ty.is_vector() && ty.bytes() == 16 => Some(Kind::Vector),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_are_filled_before_the_stack_is_used() {
        let signature = NativeSignature {
            integers: 1,
            vectors: vec![types::F64, types::F32],
            stack: 2,
            integer_results: 1,
            vector_results: vec![types::F64],
        };
        let clif = signature.clif().expect("it fits");
        assert_eq!(clif.params.len(), 6 + 2 + 2);
        let found = locations(&clif);
        assert_eq!(found[5], Some(Location::Integer(5)));
        assert_eq!(found[7], Some(Location::Vector(1)));
        assert_eq!(found[8..], [Some(Location::Stack(0)), Some(Location::Stack(8))]);
    }

    #[test]
    fn what_has_no_place_is_declined() {
        let signature = NativeSignature { vectors: vec![types::F64; 9], ..Default::default() };
        let error = signature.clif().expect_err("there are eight");
        let (wanted, found) = (Some(Location::Vector(8)), Some(Location::Stack(0)));
        assert_eq!(error, Unsupported::Location { wanted, found });
        let signature = NativeSignature { integer_results: 3, ..Default::default() };
        assert!(signature.clif().is_err());
        let signature = NativeSignature { integers: 7, ..Default::default() };
        let (wanted, found) = (Some(Location::Integer(6)), Some(Location::Stack(0)));
        assert_eq!(signature.clif(), Err(Unsupported::Location { wanted, found }));
        let signature = NativeSignature { vectors: vec![types::I32], ..Default::default() };
        assert!(signature.clif().is_err());
    }
}
