//! Data of a library: a plan whose call is a read.
use super::Compiler;
use crate::plan::layout::{Scalar, scalar_of};
use crate::plan::op::{Datum, Stub};
use crate::signature::Data;

impl Compiler<'_> {
    /// How data is read; `None` for functions.
    pub(super) fn data_stub(&mut self) -> Option<Stub> {
        let data = self.prototype.data?;
        let function = &self.prototype.function;
        let scalar = scalar_of(&function.result).filter(|scalar| scalar.host_size() <= 8);
        let datum = match (data, scalar) {
            (Data::Array, Some(Scalar::Pointer)) => Some(Datum::Address),
            (Data::Value, Some(scalar)) => {
                let bytes = u8::try_from(scalar.host_size()).unwrap_or(8);
                let vector = scalar.is_float();
                Some(if vector { Datum::Vector(bytes) } else { Datum::Integer(bytes) })
            }
            _ => None,
        };
        if datum.is_none() || !function.params.is_empty() || !self.prototype.notes.is_empty() {
            self.error(
                self.prototype.span,
                "data of this type cannot be read",
                "numbers, pointers and arrays can; a short C function returns anything else",
            );
        }
        datum.map(Stub::Data)
    }
}
