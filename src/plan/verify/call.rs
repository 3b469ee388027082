//! The call itself: its stub, and how its result is decoded.
use super::crossing::Crossing;
use super::error::Fault;
use super::written::What;
use super::{Checked, Verifier};
use crate::plan::abi::Location;
use crate::plan::frame::FrameLayout;
use crate::plan::op::{At, Op, Returns, Stub};

impl Verifier<'_> {
    /// Checks the call itself.
    pub(super) fn call(&mut self, op: &Op) -> Checked {
        let Op::Call { stub, returns } = *op else { return Err(Fault::Call) };
        let needs = match self.plan.prototype.data {
            Some(data) => self.data_stub(data)?,
            None => self.stub(),
        };
        let result = self.params.len();
        self.agrees(stub == needs, "the stub", result)?;
        let expected = match self.direct()? {
            Some(Returns::Vector) => Returns::Record,
            Some(_) if self.plan.facts.after => Returns::Record,
            Some(direct) => direct,
            None if self.result.is_some() || self.returns_by_address() => Returns::Record,
            None => Returns::Void,
        };
        self.agrees(returns == expected, "the conversion", result)?;
        let what = match self.integer_result() {
            Some(operand) => Some((operand.at, What::Integer(operand.width))),
            None if self.result.is_some() => Some((FrameLayout::result_integer(), What::Native)),
            None if matches!(self.returned, Crossing::One(_)) => {
                Some((self.result_register(), What::Float))
            }
            None => None,
        };
        what.map_or(Ok(()), |(at, what)| self.written.add(at, 8, what, self.index))
    }

    /// The first result register that has a part of the result; a vector register without any.
    pub(super) fn result_register(&self) -> At {
        match self.assignment.result.pieces.first().map(|piece| piece.location) {
            Some(Location::Integer(_)) => FrameLayout::result_integer(),
            Some(Location::Vector(_) | Location::X87(_) | Location::Stack(_)) | None => {
                FrameLayout::result_vector()
            }
        }
    }

    /// The stub that loads every register that has an argument, and no more than must be.
    fn stub(&self) -> Stub {
        let assignment = &self.assignment;
        let travelling = assignment.params.iter().chain([&assignment.result]);
        let (mut x87, mut whole) = (0, assignment.stack_align > 16);
        let mut vectors = assignment.vector_registers;
        for piece in travelling.flat_map(|value| &value.pieces) {
            match piece.location {
                Location::X87(_) => x87 += 1,
                Location::Vector(number) => {
                    whole |= piece.size > 8;
                    // The second one of a result is kept by those that load some.
                    vectors |= number;
                }
                Location::Integer(_) | Location::Stack(_) => {}
            }
        }
        match (x87, whole, self.plan.frame.stack, vectors) {
            (0, false, 0, 0) => Stub::Integers,
            (0, false, 0, _) => Stub::Registers,
            (0, false, ..) => Stub::Stack,
            _ => Stub::Whole { x87 },
        }
    }

    /// How a scalar result is decoded; `None` for pointers and `void`.
    pub(super) fn direct(&self) -> Checked<Option<Returns>> {
        let scalar = match self.returned {
            Crossing::One(scalar) if self.result.is_none() => scalar,
            Crossing::Vector => return Ok(Some(Returns::Vector)),
            Crossing::One(_) | Crossing::Nothing | Crossing::Two(_) | Crossing::Address => {
                return Ok(None);
            }
        };
        let wasm = self.plan.lowering.results.first();
        let mut returns = wasm.and_then(|wasm| self.reader.returns(scalar, *wasm));
        if self.result_register() == FrameLayout::result_integer() {
            // In an integer register the bits of a floating value are those of an integer.
            returns = match returns {
                Some(Returns::Float32) => Some(Returns::Int32),
                Some(Returns::Float64) => Some(Returns::Int64),
                other => other,
            };
        }
        returns.map(Some).ok_or_else(|| Fault::Lowering(self.subject(self.params.len())))
    }
}
