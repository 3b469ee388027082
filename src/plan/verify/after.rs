//! The *after* section: what native code has left becomes the guest's.
use super::demand::{Argument, Incoming, Owner, Reach};
use super::error::Fault;
use super::meaning::Tree;
use super::written::What;
use super::{Checked, Verifier};
use crate::plan::Purpose;
use crate::plan::layout::DataModel;
use crate::plan::op::{At, DeepOp, Fate, Op, Operand, Ownership, Returns, Slot, TakeExtent, Width};
use crate::signature::{Expr, Ident, NoteKind};
use std::collections::HashMap;
use std::num::NonZeroU16;

mod done;

/// What the ops of the section have done so far. Where it is by parameter, the result comes last.
pub(super) struct Outcome {
    /// What the guest gets instead of a native pointer.
    guest: Vec<Option<At>>,
    /// The `to` of an `InsideOr`.
    pending: Vec<Option<At>>,
    /// The number under which a copy was taken.
    taken: Vec<Option<u8>>,
    takes: u8,
    given: Vec<bool>,
    freed: Vec<bool>,
    /// Whether a value was tested to fit what the guest can hold.
    fits: Vec<bool>,
    /// Whether the call's effect on a handle was recorded.
    pub(super) recorded: Vec<bool>,
    /// Whether what a cell holds was stored.
    stored: Vec<bool>,
    /// What was computed where.
    measured: HashMap<At, Tree>,
    /// Handles that were made.
    adopted: u16,
    returned: bool,
}

impl Outcome {
    pub(super) fn new(params: usize) -> Outcome {
        let places = params + 1;
        Outcome {
            guest: vec![None; places],
            pending: vec![None; places],
            taken: vec![None; places],
            takes: 0,
            given: vec![false; places],
            freed: vec![false; places],
            fits: vec![false; places],
            recorded: vec![false; places],
            stored: vec![false; places],
            measured: HashMap::new(),
            adopted: 0,
            returned: false,
        }
    }
}

impl Outcome {
    /// What the guest gets instead of what native code left.
    pub(super) fn reached(&self, index: usize) -> Option<At> {
        self.guest.get(index).copied().flatten()
    }

    /// Whether what a cell holds was stored.
    pub(super) fn is_stored(&self, index: usize) -> bool {
        self.stored.get(index).copied().unwrap_or_default()
    }

    /// Notes that a handle is made.
    pub(super) fn adopts(&mut self) {
        self.adopted += 1;
    }
}

/// Notes that something was done, which must not be done twice.
pub(super) fn once(done: &mut bool) -> Checked {
    if std::mem::replace(done, true) { Err(Fault::Unasked) } else { Ok(()) }
}

impl<'p> Verifier<'p> {
    /// Checks one op of the section.
    pub(super) fn after(&mut self, op: &Op) -> Checked {
        if self.outcome.returned {
            return Err(Fault::Sequence("behind `Return`"));
        }
        match *op {
            Op::Consume { slot, condition } => self.consume(slot, condition),
            Op::Measure { expr, to } => {
                let tree = self.expression(expr.into())?;
                self.outcome.measured.insert(to, tree);
                self.written.add_local(to, 16, What::Integer(Width::I128), self.index)
            }
            Op::Fits { from, width, param } => self.fits(from, width, param),
            Op::Inside { from, to, param } => {
                let index = self.source(from)?;
                self.agrees(usize::from(param) == index, "the number", index)?;
                let inside = matches!(self.incoming(index), Some(Incoming::Inside));
                self.agrees(inside, "the way to the guest", index)?;
                self.reaches_guest(index, to)
            }
            Op::InsideOr { from, to } => {
                let index = self.source(from)?;
                let owner = self.copy_of(index)?.1;
                let either = matches!(owner, Owner::StaticUnlessInside);
                self.agrees(either, "the way to the guest", index)?;
                self.outcome.pending[index] = Some(to);
                self.written.add_local(to, 8, What::Pending, self.index)
            }
            Op::Take { from, take, extent, unless, param } => {
                self.take(from, take, extent, unless, param)
            }
            Op::FreeNative { from, callee } => {
                let index = self.source(from)?;
                let Owner::Guest(function) = self.copy_of(index)?.1 else {
                    return Err(self.disagrees("the owner", index));
                };
                let name = function.name.clone();
                let callee = self.callee(callee, &Purpose::Free)?;
                self.agrees(callee.symbol == name, "the function that frees", index)?;
                if self.outcome.taken[index].is_none() {
                    return Err(Fault::Sequence("before its bytes are taken"));
                }
                once(&mut self.outcome.freed[index])
            }
            Op::Give { take, to, from, owner, unless, param } => {
                self.give(take, to, from, owner, unless, param)
            }
            Op::Adopt { from, to, kind, borrowed, parent } => {
                self.adopt(from, to, kind, borrowed, parent)
            }
            Op::StoreCell { slot, from, width } => self.store(slot, from, width),
            Op::EndLoans { slot } => self.record(slot, Fate::Invalidated),
            Op::Deep(op) => match op {
                DeepOp::Settle => self.settle(),
                DeepOp::Take { .. } => self.take_deep(op),
                DeepOp::Commit => self.commit(),
                DeepOp::Fetch => self.fetched(),
                DeepOp::KeepFunctions { made } => self.keep_functions(made),
                DeepOp::End { of, condition } => self.ends(of, condition),
                DeepOp::Copy { .. }
                | DeepOp::Box { .. }
                | DeepOp::Keep { .. }
                | DeepOp::Recall { .. }
                | DeepOp::Fill => Err(Fault::Unasked),
            },
            Op::FitsObject { moves } => {
                self.result_moves(moves)?;
                once(&mut self.outcome.fits[self.params.len()])
            }
            Op::StoreObject { slot: 0, moves } => {
                self.result_moves(moves)?;
                let result = self.params.len();
                if !self.outcome.fits[result] {
                    return Err(Fault::Sequence("before the result was tested to fit"));
                }
                once(&mut self.outcome.stored[result])
            }
            Op::StoreObject { slot, .. } => Err(Fault::Slot(slot)),
            Op::Life(op) => self.life_after(op),
            Op::Return { from, returns } => {
                self.gives_result(from, returns)?;
                once(&mut self.outcome.returned)
            }
            Op::Callback(op) => self.callback(op),
            Op::Int8 { .. }
            | Op::UInt8 { .. }
            | Op::Int16 { .. }
            | Op::UInt16 { .. }
            | Op::Bool { .. }
            | Op::Int32 { .. }
            | Op::Int64 { .. }
            | Op::Long32 { .. }
            | Op::ULong32 { .. }
            | Op::Float32 { .. }
            | Op::Float64 { .. }
            | Op::Pair { .. }
            | Op::Extended { .. }
            | Op::Vector { .. }
            | Op::Object { .. }
            | Op::Address { .. }
            | Op::Room { .. }
            | Op::Format { .. }
            | Op::Range { .. }
            | Op::Native(_)
            | Op::Upcall(_)
            | Op::Evaluate { .. }
            | Op::Require { .. }
            | Op::Value { .. }
            | Op::Buffer { .. }
            | Op::Text { .. }
            | Op::Cell { .. }
            | Op::PointerCell { .. }
            | Op::TextCell { .. }
            | Op::Handle { .. }
            | Op::Apart { .. }
            | Op::Reserve { .. }
            | Op::Call { .. } => Err(Fault::Unasked),
        }
    }

    /// The parameter whose only slot that is.
    pub(super) fn param_at(&self, slot: u16) -> Checked<usize> {
        let index = self.plan.param_of(slot);
        let own = self.params.get(index).is_some_and(|param| param.slot == slot);
        if own { Ok(index) } else { Err(Fault::Slot(slot)) }
    }

    /// Notes that the call's effect on the handle in `slot` is recorded, which must be `fate`.
    fn record(&mut self, slot: u16, fate: Fate) -> Checked {
        let index = self.param_at(slot)?;
        match self.params.get(index).map(|param| &param.wants) {
            Some(Argument::Handle { fate: f, .. } | Argument::Descriptor { fate: f, .. })
                if *f == fate =>
            {
                once(&mut self.outcome.recorded[index])
            }
            _ => Err(Fault::Slot(slot)),
        }
    }

    fn consume(&mut self, slot: u16, condition: Option<NonZeroU16>) -> Checked {
        self.record(slot, Fate::Consumed)?;
        let index = self.param_at(slot)?;
        let annotation = self.params[index].ty.notes.iter().find_map(|note| match &note.kind {
            NoteKind::ConsumesIf(expr) => Some(expr),
            _ => None,
        });
        let same = match (condition, annotation) {
            (None, None) => true,
            (Some(condition), Some(annotation)) => {
                let tree = self.expression(usize::from(condition.get()) - 1)?;
                self.means(&tree, annotation, true)
            }
            _ => false,
        };
        self.agrees(same, "the condition", index)
    }

    fn fits(&mut self, from: Operand, width: Width, param: u16) -> Checked {
        let index = usize::from(param);
        self.written.read(from, false)?;
        let expected = match self.params.get(index).map(|param| &param.wants) {
            Some(Argument::Integer { guest, .. }) => (self.cell_of(index), Some(*guest)),
            Some(_) => return Err(Fault::Unasked),
            None if index == self.params.len() => {
                let fits = match self.direct()? {
                    Some(Returns::Long32) => Some(Width::I32),
                    Some(Returns::ULong32) => Some(Width::U32),
                    _ => None,
                };
                (self.integer_result(), fits)
            }
            None => return Err(Fault::Slot(param)),
        };
        self.agrees(expected == (Some(from), Some(width)), "what must fit", index)?;
        once(&mut self.outcome.fits[index])
    }

    /// Whose native pointer is at `from`: a parameter's, or the result (one past the last).
    pub(super) fn source(&self, from: At) -> Checked<usize> {
        if self.written.at(from) != Some(What::Native) {
            return Err(Fault::Unknown { what: "native pointer", at: from });
        }
        let cell = (0..self.params.len()).find(|index| self.made.cell(*index) == Some(from));
        Ok(cell.unwrap_or(self.params.len()))
    }

    pub(super) fn incoming(&self, index: usize) -> Option<&Incoming<'p>> {
        match self.params.get(index) {
            Some(param) => param.incoming.as_ref(),
            None => self.result.as_ref(),
        }
    }

    /// Extent and owner of the copy that the guest gets.
    fn copy_of(&self, index: usize) -> Checked<(&Reach<'p>, &Owner<'p>)> {
        match self.incoming(index) {
            Some(Incoming::Copy { extent, owner }) => Ok((extent, owner)),
            _ => Err(self.disagrees("the way to the guest", index)),
        }
    }

    /// Notes where the guest's pointer is.
    pub(super) fn reaches_guest(&mut self, index: usize, to: At) -> Checked {
        self.written.add_local(to, 8, What::ForGuest, self.index)?;
        match self.outcome.guest[index].replace(to) {
            None => Ok(()),
            Some(_) => Err(Fault::Unasked),
        }
    }

    fn take(
        &mut self,
        from: At,
        take: u8,
        extent: TakeExtent,
        unless: Option<At>,
        param: u16,
    ) -> Checked {
        let index = self.source(from)?;
        self.agrees(usize::from(param) == index, "the number", index)?;
        let (reach, owner) = self.copy_of(index)?;
        let same = match (extent, reach) {
            (TakeExtent::Text(unit), Reach::Text(expected)) => u32::from(unit) == *expected,
            (TakeExtent::Object(size), Reach::Object(expected)) => u64::from(size) == *expected,
            (TakeExtent::Counted { count, size }, Reach::Counted(annotation, expected)) => {
                self.written.read(count, false)?;
                u64::from(size) == *expected && self.is_measured(count, annotation)
            }
            _ => false,
        };
        self.agrees(same, "the extent", index)?;
        self.unless(index, owner, unless)?;
        self.taken_as(index, take)
    }

    /// Notes that a copy was taken under that number.
    pub(super) fn taken_as(&mut self, index: usize, take: u8) -> Checked {
        if take != self.outcome.takes || self.outcome.taken[index].is_some() {
            return Err(Fault::Sequence("under a number that is not the next one"));
        }
        self.outcome.taken[index] = Some(take);
        self.outcome.takes = take.checked_add(1).ok_or(Fault::Unasked)?;
        Ok(())
    }

    pub(super) fn is_measured(&self, count: Operand, annotation: &Expr) -> bool {
        let measured = self.outcome.measured.get(&count.at);
        measured.is_some_and(|tree| self.means(tree, annotation, true))
    }

    /// A copy is left out when the pointer was found inside the guest's memory, and only then.
    fn unless(&self, index: usize, owner: &Owner<'_>, unless: Option<At>) -> Checked {
        let expected = match owner {
            Owner::StaticUnlessInside => self.outcome.pending[index],
            Owner::Guest(_) | Owner::Lent(..) | Owner::Static => None,
        };
        let needs = matches!(owner, Owner::StaticUnlessInside);
        self.agrees(unless == expected && unless.is_some() == needs, "the copy", index)
    }

    fn give(
        &mut self,
        take: u8,
        to: At,
        from: At,
        owner: Ownership,
        unless: Option<At>,
        param: u16,
    ) -> Checked {
        let index = self.source(from)?;
        self.agrees(usize::from(param) == index, "the number", index)?;
        if self.outcome.taken[index] != Some(take) {
            return Err(Fault::Sequence("without its bytes having been taken"));
        }
        let expected = self.copy_of(index)?.1;
        let same = match (owner, expected) {
            (Ownership::Guest, Owner::Guest(_))
            | (Ownership::Static, Owner::Static | Owner::StaticUnlessInside) => true,
            (Ownership::Handle { slot, back }, Owner::Lent(name, b)) => {
                back == *b && self.is_handle_slot(slot, name)
            }
            _ => false,
        };
        self.agrees(same, "the owner", index)?;
        self.unless(index, expected, unless)?;
        once(&mut self.outcome.given[index])?;
        match unless {
            None => self.reaches_guest(index, to),
            Some(pending) => {
                self.agrees(to == pending, "the copy", index)?;
                self.written.settle(to)?;
                self.outcome.guest[index] = Some(to);
                Ok(())
            }
        }
    }

    /// Whether guest slot `slot` holds the handle parameter of that name.
    pub(super) fn is_handle_slot(&self, slot: u16, name: &Ident) -> bool {
        let Ok(slot) = self.param_at(slot) else { return false };
        let params = &self.plan.prototype.function.params;
        let named = params.get(slot).and_then(|param| param.name.as_ref());
        let is_handle = matches!(
            self.params.get(slot).map(|param| &param.wants),
            Some(Argument::Handle { .. } | Argument::Descriptor { .. })
        );
        is_handle && named.is_some_and(|param| param.name == name.name)
    }

    fn adopt(
        &mut self,
        from: At,
        to: At,
        kind: u16,
        borrowed: bool,
        parent: Option<Slot>,
    ) -> Checked {
        let index = self.source(from)?;
        let Some(Incoming::Object { name, borrowed: b, lender }) = self.incoming(index) else {
            return Err(self.disagrees("the way to the guest", index));
        };
        self.agrees(borrowed == *b, "the owner", index)?;
        let same = match (parent, lender) {
            (None, None) => true,
            (Some(slot), Some(name)) => self.is_handle_slot(slot.number(), name),
            _ => false,
        };
        self.agrees(same, "the lender", index)?;
        let name = name.clone();
        self.kind(kind, &name, index)?;
        self.outcome.adopted += 1;
        self.reaches_guest(index, to)
    }

    fn pointer_width(&self) -> Width {
        match self.reader.model {
            DataModel::Ilp32 => Width::U32,
            DataModel::Lp64 => Width::U64,
        }
    }

    fn store(&mut self, slot: u16, from: At, width: Width) -> Checked {
        let index = self.param_at(slot)?;
        match self.params.get(index).map(|param| &param.wants) {
            Some(Argument::Integer { guest, host, direction, .. }) if direction.is_out() => {
                let same = self.made.cell(index) == Some(from) && width == *guest;
                self.agrees(same, "what is stored", index)?;
                if guest != host && !self.outcome.fits[index] {
                    return Err(Fault::Sequence("before the value was tested to fit"));
                }
            }
            Some(Argument::Pointer { .. } | Argument::HandleCell { .. }) => {
                let same = self.outcome.guest[index] == Some(from)
                    && self.written.at(from) == Some(What::ForGuest)
                    && width == self.pointer_width();
                self.agrees(same, "what is stored", index)?;
            }
            Some(Argument::DescriptorCell { .. }) => self.stores_descriptor(index, from, width)?,
            _ => return Err(Fault::Slot(slot)),
        }
        once(&mut self.outcome.stored[index])
    }

    fn gives_result(&self, from: At, returns: Returns) -> Checked {
        let index = self.params.len();
        let expected = match self.direct()? {
            Some(direct) => {
                if !self.plan.facts.after {
                    return Err(Fault::Unasked);
                }
                let decoded = match direct {
                    Returns::Long32 | Returns::ULong32 => {
                        if !self.outcome.fits[index] {
                            return Err(Fault::Sequence("before the result was tested to fit"));
                        }
                        Returns::Int32
                    }
                    _ => direct,
                };
                (self.result_register(), decoded)
            }
            None => {
                let at = self.outcome.guest[index].ok_or(Fault::Unasked)?;
                let returns = match (self.reader.model, &self.result) {
                    (_, Some(Incoming::Descriptor { .. })) | (DataModel::Ilp32, _) => {
                        Returns::Int32
                    }
                    (DataModel::Lp64, _) => Returns::Int64,
                };
                (at, returns)
            }
        };
        self.agrees((from, returns) == expected, "the result", index)
    }
}
