//! Guest functions that native code calls.
//!
//! # What it proves
//!
//! *Passing.* A pointer to a function comes from the op that makes a closure of a table entry, for a
//! callback whose function is the parameter's own, with its `__on_trap`; it is kept exactly by whom the
//! annotations name.
//!
//! *Calls.* The plan of a callback has exactly one op for each argument, in their order, then the call,
//! then at most one op for the result: each is recomputed from the prototype and must be equal. So every
//! guest slot is written, from the place where the C ABI puts that argument; what pointers lead to is copied
//! by shapes that are those of the types (`deep`); moves are those of the types; ranges are the annotations'.
//! Nothing of a copy that C gets of a result would have to come back. Expressions read arguments only, where they
//! stand, and what those that are no arrays point at; they are the annotations, and call nothing. Handles have no
//! destructor; one that lends has been written before. Tables have no other entries.
//!
//! # What it does not prove
//!
//! What `verify` does not; and that what C passes is what its prototype says.
use super::demand::Argument;
use super::error::{Fault, VerifyError};
use super::meaning::{Names, Tree};
use super::written::What;
use super::{Checked, Verifier};
use crate::plan::abi::Abi;
use crate::plan::disassemble::mnemonic;
use crate::plan::frame::FrameLayout;
use crate::plan::op::{At, CallbackOp, Op, Operand};
use crate::plan::{Callback, Kind, Plan};
use crate::signature::{Captor, Expr, NoteKind, Type, TypeKind};
use reading::Reading;

mod arrival;
mod reading;
mod reply;
mod shown;

impl Verifier<'_> {
    /// An op of an import.
    pub(super) fn callback(&mut self, op: CallbackOp) -> Checked {
        match op {
            CallbackOp::Pass { slot, to, callback, null, closure, kept } => {
                let index = self.place_bytes(slot, to, 8, What::Address)?;
                let ty = self.params[index].ty;
                let Argument::Function { null: n } = self.params[index].wants else {
                    return Err(self.disagrees("the type", index));
                };
                self.agrees(null == n, "the meaning of 0", index)?;
                self.agrees(kept == captor(ty).is_some(), "whether it is kept", index)?;
                self.written.add_local(closure, 8, What::Closure, self.index)?;
                self.made.closures.push((index, closure));
                self.callback_entry(callback, ty, index)
            }
            CallbackOp::Keep { closure, holder } => {
                let index = self.closure_of(closure)?;
                let right = match captor(self.params[index].ty) {
                    Some(Captor::Global) => holder.is_none(),
                    Some(Captor::Param(name)) => holder.is_some_and(|slot| {
                        let index = self.plan.param_of(slot.number());
                        let is_handle = self.params.get(index).is_some_and(|param| {
                            param.slot == slot.number()
                                && matches!(param.wants, Argument::Handle { .. })
                        });
                        let names = self.plan.prototype.param_index(&name.name);
                        is_handle && names == Some(index)
                    }),
                    Some(Captor::Return) | None => false,
                };
                self.agrees(right, "who keeps it", index)?;
                self.keep(index)
            }
            CallbackOp::KeepReturned { closure, handle } => {
                let index = self.closure_of(closure)?;
                let right = captor(self.params[index].ty) == Some(&Captor::Return);
                self.agrees(right, "who keeps it", index)?;
                let result = self.params.len();
                let adopted = self.plan.ops[..self.index].iter().any(|op| {
                    matches!(op, Op::Adopt { from, to, .. }
                        if *to == handle && *from == FrameLayout::result_integer())
                });
                self.agrees(adopted, "the handle", result)?;
                self.keep(index)
            }
            CallbackOp::Scalar { .. }
            | CallbackOp::ScalarWithin { .. }
            | CallbackOp::Pair { .. }
            | CallbackOp::Vector { .. }
            | CallbackOp::Cookie { .. }
            | CallbackOp::Descriptor { .. }
            | CallbackOp::Inside { .. }
            | CallbackOp::Copy { .. }
            | CallbackOp::Handle { .. }
            | CallbackOp::Function { .. }
            | CallbackOp::Object { .. }
            | CallbackOp::Room { .. }
            | CallbackOp::Enter
            | CallbackOp::Reply { .. }
            | CallbackOp::ReplyWithin { .. }
            | CallbackOp::ReplyVector
            | CallbackOp::ReplySplit { .. }
            | CallbackOp::ReplyBehind { .. }
            | CallbackOp::ReplyHandle { .. }
            | CallbackOp::ReplyDescriptor { .. }
            | CallbackOp::ReplyCookie
            | CallbackOp::ReplyText { .. }
            | CallbackOp::ReplyBuffer { .. }
            | CallbackOp::ReplyCopy { .. }
            | CallbackOp::ReplyFunction { .. } => Err(Fault::Unasked),
        }
    }

    fn closure_of(&self, closure: At) -> Checked<usize> {
        let found = self.made.closures.iter().find(|(_, at)| *at == closure);
        found.map(|(index, _)| *index).ok_or(Fault::Unknown { what: "closure", at: closure })
    }

    fn keep(&mut self, index: usize) -> Checked {
        if self.made.kept.contains(&index) {
            return Err(Fault::Unasked);
        }
        self.made.kept.push(index);
        Ok(())
    }

    /// The entry of the table of callbacks is that of a pointer to a function.
    pub(super) fn callback_entry(&mut self, callback: u16, ty: &Type, index: usize) -> Checked {
        let entry = usize::from(callback);
        let Some(Callback { plan, on_trap }) = self.plan.callbacks.get(entry) else {
            return Err(Fault::Table { table: "callbacks", index: entry });
        };
        self.used.callbacks[entry] = true;
        let function = ty.pointee().map(|ty| &ty.kind);
        let same =
            matches!(function, Some(TypeKind::Function(f)) if **f == plan.prototype.function);
        self.agrees(same, "the function", index)?;
        let same = plan.kind == Kind::Callback && plan.facts.wide == self.plan.facts.wide;
        self.agrees(same, "the kind", index)?;
        let wanted = ty.notes.iter().find_map(|note| match &note.kind {
            NoteKind::OnTrap(value) => Some(value),
            _ => None,
        });
        let right = match wanted {
            None => *on_trap == 0,
            Some(value) => {
                let tree = Tree::of_annotation(value, &Nothing, self.reader.abi);
                let value = tree.and_then(|tree| tree.constant());
                value.is_some_and(|value| value.may_be((*on_trap).into()))
            }
        };
        self.agrees(right, "the value after a trap", index)?;
        verify(plan, self.reader.abi)
            .map_err(|error| Fault::Callback { index: entry, error: Box::new(error) })
    }

    /// Every closure that is to be kept is.
    pub(super) fn kept_ready(&self) -> Checked {
        for (index, _) in &self.made.closures {
            if captor(self.params[*index].ty).is_some() && !self.made.kept.contains(index) {
                return Err(Fault::Undone { what: "keeps", subject: self.subject(*index) });
            }
        }
        Ok(())
    }
}

pub(super) fn captor(ty: &Type) -> Option<&Captor> {
    ty.notes.iter().find_map(|note| match &note.kind {
        NoteKind::CapturedBy(captor) => Some(captor),
        _ => None,
    })
}

struct Nothing;

impl Names for Nothing {
    fn param(&self, _: &str) -> Option<Operand> {
        None
    }
    fn behind(&self, _: &str) -> Option<Operand> {
        None
    }
    fn result(&self) -> Option<Operand> {
        None
    }
    fn remembered(&self, _: &str, _: &str) -> Option<Operand> {
        None
    }
    fn data(&self, _: &Expr) -> Option<Tree> {
        None
    }
}

/// Decides whether the plan of a callback may run.
pub(super) fn verify(plan: &Plan, abi: Abi) -> Result<(), VerifyError> {
    let whole = |context| move |fault| VerifyError { op: None, context, fault };
    let mut reading = Reading::new(plan, abi).map_err(whole("prototype"))?;
    reading.frame().map_err(whole("frame"))?;
    for (index, op) in plan.ops.iter().enumerate() {
        let checked = match op {
            Op::Callback(op) => reading.op(*op, index),
            _ => Err(Fault::Unasked),
        };
        checked.map_err(|fault| VerifyError { op: Some(index), context: mnemonic(op), fault })?;
    }
    reading.done().map_err(whole("end"))
}
