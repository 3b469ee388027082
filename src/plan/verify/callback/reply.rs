//! What native code gets of what a guest function returns.
use super::super::Checked;
use super::super::crossing::Crossing;
use super::super::demand::Elements;
use super::super::error::Fault;
use super::super::moves::rooms;
use super::super::outside::closure::incoming;
use super::reading::Reading;
use super::shown::{Given, is_descriptor, refuse_but};
use crate::plan::WasmType;
use crate::plan::abi::Location;
use crate::plan::frame::FrameLayout;
use crate::plan::layout::{DataModel, Scalar};
use crate::plan::op::{CallbackOp, Fetch, Width};
use crate::plan::shape::{Link, Target};
use crate::signature::{Float, NoteKind};

impl Reading<'_> {
    pub(super) fn reply(&mut self, op: CallbackOp) -> Checked {
        let (index, ty) = (self.crossings.len(), self.result());
        let value = self.inner.assignment.result.clone();
        let right = match self.inner.returned {
            Crossing::Nothing => false,
            Crossing::One(Scalar::Pointer) => return self.pointer_reply(op),
            Crossing::One(scalar) if is_descriptor(ty, scalar) => {
                refuse_but(ty, |kind| *kind == NoteKind::Handle).map_err(Fault::Prototype)?;
                let CallbackOp::ReplyDescriptor { kind } = op else {
                    return self.equal(false, index);
                };
                let name = self.inner.reader.descriptor(ty).map_err(Fault::Prototype)?;
                return self.inner.kind(kind, &name, index);
            }
            Crossing::One(scalar) => {
                refuse_but(ty, |kind| matches!(kind, NoteKind::Range(..)))
                    .map_err(Fault::Prototype)?;
                let wasm = self.inner.plan.lowering.results.first().copied();
                let wanted = self.fetch(scalar, wasm)?;
                let (fetch, range) = match op {
                    CallbackOp::Reply { fetch } => (fetch, None),
                    CallbackOp::ReplyWithin { fetch, range } => (fetch, Some(range)),
                    _ => return self.equal(false, index),
                };
                self.equal(fetch == wanted, index)?;
                return self.interval(range, ty, index);
            }
            Crossing::Vector => {
                let first = value.pieces.first().map(|piece| piece.location);
                first == Some(Location::Vector(0)) && op == CallbackOp::ReplyVector
            }
            Crossing::Two(_) | Crossing::Address => {
                let wanted = self.guest_size(ty)?;
                return match (value.indirect, op) {
                    (None, CallbackOp::ReplySplit { size, moves }) if size == wanted => {
                        let rooms = rooms(&value, FrameLayout::result_register);
                        let rooms = rooms.map_err(Fault::Prototype)?;
                        self.inner.check_moves(ty, moves, &rooms, true, index)
                    }
                    (Some(location), CallbackOp::ReplyBehind { size, moves, hidden })
                        if size == wanted && incoming(location) == Some(hidden) =>
                    {
                        let room = self.remote(ty)?;
                        self.inner.check_moves(ty, moves, &[room], true, index)
                    }
                    _ => self.equal(false, index),
                };
            }
        };
        self.equal(right, index)
    }

    /// How a scalar result is read.
    fn fetch(&self, scalar: Scalar, wasm: Option<WasmType>) -> Checked<Fetch> {
        let narrow = wasm == Some(WasmType::I32);
        Ok(match scalar {
            Scalar::Bool => Fetch::Bool,
            Scalar::Float(Float::Float) => Fetch::Float32,
            Scalar::Float(Float::Double) => Fetch::Float64,
            _ => Fetch::Integer(match self.inner.reader.width(scalar, DataModel::Lp64) {
                Some(Width::I64) if narrow => Width::I32,
                Some(Width::U64) if narrow => Width::U32,
                Some(width) => width,
                None => return Err(Fault::Prototype("a result without a width".to_owned())),
            }),
        })
    }

    fn pointer_reply(&mut self, op: CallbackOp) -> Checked {
        let (index, ty) = (self.crossings.len(), self.result());
        let given = self.inner.data.given(ty).map_err(Fault::Prototype)?;
        match (given, op) {
            (Given::Cookie, CallbackOp::ReplyCookie) => Ok(()),
            (Given::Object(name, null), CallbackOp::ReplyHandle { kind, null: n }) => {
                self.equal(null == n, index)?;
                self.inner.kind(kind, &name, index)
            }
            (Given::Function(null), CallbackOp::ReplyFunction { callback, null: n }) => {
                self.equal(null == n, index)?;
                self.inner.callback_entry(callback, ty, index)
            }
            (Given::Text(unit, null), CallbackOp::ReplyText { unit: u, null: n }) => {
                self.memory = true;
                self.equal((unit, null) == (u.into(), n), index)
            }
            (
                Given::InPlace { count, size, align, null },
                CallbackOp::ReplyBuffer { expr, size: s, align: a, null: n },
            ) => {
                self.memory = true;
                self.equal((size, align, null) == (s.into(), a.into(), n), index)?;
                match (count, expr) {
                    (Elements::One, None) => Ok(()),
                    (Elements::Counted(annotation), Some(expr)) => {
                        self.means(expr, annotation, index)
                    }
                    _ => self.equal(false, index),
                }
            }
            (Given::Copied, CallbackOp::ReplyCopy { root }) => {
                self.memory = true;
                self.leads(root, ty, index)?;
                let is_function = |link: &&Link| matches!(link.target, Target::Function { .. });
                if self.inner.links_of([root]).iter().any(is_function) {
                    return self.inner.wrong("a function in data from a callback", index);
                }
                if self.inner.goes_out(&[root]) {
                    return self.inner.wrong("a copy that C would write to", index);
                }
                Ok(())
            }
            _ => self.equal(false, index),
        }
    }
}
