//! Arguments of native code's call: each is what its type says.
use super::super::Checked;
use super::super::crossing::Crossing;
use super::super::error::Fault;
use super::super::moves::{Room, rooms};
use super::super::outside::closure::incoming;
use super::reading::{Reading, is_integer};
use super::shown::{Shown, is_descriptor, refuse_but};
use crate::plan::abi::Abi;
use crate::plan::layout::{DataModel, Scalar, Target, extent_of};
use crate::plan::op::{At, CallbackOp, Lent, REMOTE};
use crate::plan::shape::{Keep, Link, Target as Leads};
use crate::signature::{Float, Lender, NoteKind, Scope, Type, TypeKind};

impl Reading<'_> {
    pub(super) fn arrival(&mut self, op: CallbackOp, index: usize, crossing: Crossing) -> Checked {
        let (ty, slot) = (self.inner.params[index].ty, self.inner.params[index].slot);
        let right = match crossing {
            Crossing::Nothing => false,
            Crossing::One(Scalar::Pointer) => return self.pointer(op, index),
            Crossing::One(scalar) if is_descriptor(ty, scalar) => {
                refuse_but(ty, |kind| *kind == NoteKind::Handle).map_err(Fault::Prototype)?;
                let CallbackOp::Descriptor { from, slot: s, kind } = op else {
                    return self.equal(false, index);
                };
                self.equal((from, s) == (self.place(index)?, slot), index)?;
                let name = self.inner.reader.descriptor(ty).map_err(Fault::Prototype)?;
                return self.inner.kind(kind, &name, index);
            }
            Crossing::One(scalar) => {
                refuse_but(ty, |kind| matches!(kind, NoteKind::Range(..)))
                    .map_err(Fault::Prototype)?;
                let wasm = self.inner.plan.lowering.params.get(usize::from(slot)).copied();
                let returns = wasm.and_then(|wasm| self.inner.reader.returns(scalar, wasm));
                let (from, s, r, range) = match op {
                    CallbackOp::Scalar { from, slot, returns } => (from, slot, returns, None),
                    CallbackOp::ScalarWithin { from, slot, returns, range } => {
                        let width = self.inner.reader.width(scalar, DataModel::Lp64);
                        self.equal(width == Some(from.width), index)?;
                        (from.at, slot, returns, Some(range))
                    }
                    _ => return self.equal(false, index),
                };
                self.equal((from, s) == (self.place(index)?, slot), index)?;
                self.equal(returns == Some(r), index)?;
                return self.interval(range, ty, index);
            }
            Crossing::Two(scalar) => {
                refuse_but(ty, |_| false).map_err(Fault::Prototype)?;
                let extended = scalar == Scalar::Float(Float::LongDouble)
                    && self.inner.reader.abi == Abi::SysvX86_64;
                let (low, high) = match *self.places(index)? {
                    [low] => (low, At::new(low.offset() + 8).ok_or(Fault::Unasked)?),
                    [low, high] => (low, high),
                    _ => return self.equal(false, index),
                };
                op == CallbackOp::Pair { low, high, slot, extended }
            }
            Crossing::Vector => op == CallbackOp::Vector { from: self.place(index)?, slot },
            Crossing::Address => {
                let size = self.guest_size(ty)?;
                let value = self.inner.assignment.params[index].clone();
                let CallbackOp::Object { slot: s, size: n, moves, behind } = op else {
                    return self.equal(false, index);
                };
                let indirect = match value.indirect {
                    None => None,
                    Some(location) => Some(incoming(location).ok_or(Fault::Unasked)?),
                };
                self.equal((s, n, behind) == (slot, size, indirect), index)?;
                (self.memory, self.allocates) = (true, true);
                let rooms = match indirect {
                    None => rooms(&value, incoming).map_err(Fault::Prototype)?,
                    Some(_) => vec![self.remote(ty)?],
                };
                return self.inner.check_moves(ty, moves, &rooms, false, index);
            }
        };
        self.equal(right, index)
    }

    /// The intervals of an integer are those of its annotations.
    pub(super) fn interval(&mut self, range: Option<u16>, ty: &Type, index: usize) -> Checked {
        let bounds = super::super::conditions::ranges(ty);
        let Some(set) = range else { return self.equal(bounds.is_empty(), index) };
        let entry = usize::from(set);
        let Some(found) = self.inner.plan.ranges.get(entry) else {
            return Err(Fault::Table { table: "ranges", index: entry });
        };
        self.inner.used.ranges[entry] = true;
        let same = is_integer(ty)
            && !bounds.is_empty()
            && bounds.len() == found.len()
            && bounds.into_iter().zip(found).all(|((low, high), (l, h))| {
                let is = |bound, value: i128| {
                    let tree = self.inner.annotation(bound, false);
                    tree.and_then(|tree| tree.constant()).is_some_and(|one| one.may_be(value))
                };
                is(low, *l) && is(high, *h)
            });
        self.inner.agrees(same, "the range", index)
    }

    fn pointer(&mut self, op: CallbackOp, index: usize) -> Checked {
        let (ty, slot) = (self.inner.params[index].ty, self.inner.params[index].slot);
        let at = self.place(index)?;
        let known = |expr: &_| self.inner.annotation(expr, false).is_some();
        let shown = self.inner.data.shown(ty, &known).map_err(Fault::Prototype)?;
        match (shown, op) {
            (Shown::Object(name, lender), CallbackOp::Handle { from, slot: s, kind, lent }) => {
                self.memory = true;
                self.equal((from, s) == (at, slot), index)?;
                let right = match (lender, lent) {
                    (None, Lent::Callback) | (Some(Lender::Static), Lent::Static) => true,
                    (Some(Lender::Param(name)), Lent::By(slot)) => {
                        self.lends(&name.name, slot, index)
                    }
                    _ => false,
                };
                self.inner.agrees(right, "who lends it", index)?;
                self.inner.kind(kind, &name, index)
            }
            (Shown::Cookie, CallbackOp::Cookie { from, slot: s })
            | (Shown::Function, CallbackOp::Function { from, slot: s }) => {
                self.equal((from, s) == (at, slot), index)
            }
            (Shown::Inside, CallbackOp::Inside { from, slot: s }) => {
                self.memory = true;
                self.equal((from, s) == (at, slot), index)
            }
            (Shown::Copied, CallbackOp::Copy { from, slot: s, root }) => {
                (self.memory, self.allocates) = (true, true);
                self.equal((from, s) == (at, slot), index)?;
                self.leads(root, ty, index)
            }
            _ => self.equal(false, index),
        }
    }

    /// A root is that of a pointer of the callback.
    pub(super) fn leads(&mut self, root: u16, ty: &Type, index: usize) -> Checked {
        if self.inner.is_boxed(ty) {
            return self.inner.wrong("a boxed object in a callback", index);
        }
        self.inner.root(root, ty, index, false)?;
        let kept = |link: &&Link| matches!(link.target, Leads::Function { keep, .. } if keep != Keep::Call);
        if self.inner.links_of([root]).iter().any(kept) {
            return self.inner.wrong("a function that is kept", index);
        }
        Ok(())
    }

    /// Whether the handle in that slot is the parameter of that name, which stands before `index`.
    fn lends(&self, name: &str, slot: u16, index: usize) -> bool {
        let Some(lender) = self.inner.plan.prototype.param_index(name) else { return false };
        let is_handle = self.inner.params.get(lender).is_some_and(|param| {
            let pointee = param.ty.pointee().map(|pointee| &pointee.kind);
            let is_opaque = matches!(pointee, Some(TypeKind::Record(record)) if self.inner.data.body(record).is_none());
            param.slot == slot && is_opaque
        });
        lender < index && is_handle
    }

    /// A value that lies whole in native memory.
    pub(super) fn remote(&self, ty: &Type) -> Checked<Room> {
        let extent = extent_of(ty, &Scope::default(), Target::Host(self.inner.reader.abi));
        let bytes = extent.map_err(|error| Fault::Prototype(error.to_string()))?.size;
        let at = At::new(REMOTE).ok_or(Fault::Unasked)?;
        let room = usize::try_from(bytes).unwrap_or(usize::MAX);
        Ok(Room { host: 0, bytes, at, room })
    }
}
