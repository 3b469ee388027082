//! Data of a library: nothing is called, and what is read is the result.
use super::crossing::Crossing;
use super::error::Fault;
use super::{Checked, Verifier};
use crate::plan::layout::Scalar;
use crate::plan::op::{Datum, Stub};
use crate::signature::{Data, Float, Variadic};

impl Verifier<'_> {
    /// The stub that reads what the prototype declares.
    pub(super) fn data_stub(&self, data: Data) -> Checked<Stub> {
        let prototype = &self.plan.prototype;
        let refuse = |reason: &str| Err(Fault::Prototype(reason.to_owned()));
        let function = &prototype.function;
        if !function.params.is_empty() || function.variadic != Variadic::No {
            return refuse("data has no parameters");
        }
        if !prototype.notes.is_empty() {
            return refuse("annotations of a function describe data");
        }
        let Crossing::One(scalar) = self.returned else {
            return refuse("data that is no scalar of at most 64 bits");
        };
        Ok(Stub::Data(match (data, scalar) {
            (Data::Array, Scalar::Pointer) => Datum::Address,
            (Data::Array, _) => return refuse("an array that is no pointer"),
            (Data::Value, Scalar::Float(Float::Float)) => Datum::Vector(4),
            (Data::Value, Scalar::Float(Float::Double)) => Datum::Vector(8),
            (Data::Value, scalar) => match scalar.host_size() {
                1 => Datum::Integer(1),
                2 => Datum::Integer(2),
                4 => Datum::Integer(4),
                8 => Datum::Integer(8),
                _ => return refuse("data that is no scalar of at most 64 bits"),
            },
        }))
    }
}
