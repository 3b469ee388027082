//! What is said of a plan as a whole: its facts, and tables without idle entries.
use super::error::Fault;
use super::{Checked, Verifier};
use crate::plan::Purpose;
use crate::plan::op::{Fate, LifeOp, Op};
use crate::signature::NoteKind;

impl Verifier<'_> {
    /// Facts agree with the ops and with what the prototype says.
    pub(super) fn facts(&self) -> Checked {
        let (ops, facts) = (&self.plan.ops, self.plan.facts);
        let fates = || {
            ops.iter().filter_map(|op| match op {
                Op::Handle { fate, .. } | Op::Life(LifeOp::Descriptor { fate, .. }) => Some(*fate),
                Op::Life(LifeOp::HandleCell { .. }) => Some(Fate::Consumed),
                _ => None,
            })
        };
        let allocates = ops.iter().any(|op| matches!(op, Op::Give { .. }));
        let takes = fates().any(|fate| fate != Fate::Kept);
        let marks = match fates().count() {
            0 => false,
            1 => allocates || !facts.leaf || self.life.has_exclusive(),
            _ => allocates || !facts.leaf || takes || self.life.has_exclusive(),
        };
        let behind_call = ops.len() > usize::from(self.plan.call) + 1;
        let prototype = &self.plan.prototype;
        for (fact, expected, found) in [
            ("memory", ops.iter().any(uses_memory), facts.memory),
            ("allocates", allocates, facts.allocates),
            ("errno", prototype.has(|note| *note == NoteKind::Errno), facts.errno),
            ("marks", marks, facts.marks),
            ("after", marks || behind_call, facts.after),
            ("leaf", facts.leaf || prototype.has(|note| *note == NoteKind::Leaf), facts.leaf),
        ] {
            if expected != found {
                return Err(Fault::Fact(fact));
            }
        }
        Ok(())
    }

    /// Every entry of a table is used; destroyers of handles are marked as such.
    pub(super) fn tables(&mut self) -> Checked {
        for kind in 0..self.plan.handle_kinds.len() {
            if let Some(drop) = self.plan.handle_kinds[kind].drop {
                self.callee(drop, &Purpose::Drop)?;
            }
            let id = self.plan.handle_kinds[kind].id;
            if self.plan.handle_kinds[..kind].iter().any(|other| other.id == id) {
                return Err(Fault::Unused { table: "handle kinds", index: kind });
            }
        }
        for index in 0..self.plan.callees.len() {
            if self.plan.callees[..index].iter().any(|other| {
                let one = &self.plan.callees[index];
                let pure = |purpose: &Purpose| matches!(purpose, Purpose::Pure { .. });
                other.symbol == one.symbol
                    && (other.purpose == one.purpose || pure(&other.purpose) && pure(&one.purpose))
            }) {
                return Err(Fault::Unused { table: "callees", index });
            }
        }
        if let Some(index) = self.life.idle_name() {
            return Err(Fault::Unused { table: "names", index });
        }
        for index in 0..self.plan.names.len() {
            if self.plan.names[..index].contains(&self.plan.names[index]) {
                return Err(Fault::Unused { table: "names", index });
            }
        }
        for (table, used) in [
            ("expressions", &self.used.expressions),
            ("ranges", &self.used.ranges),
            ("callees", &self.used.callees),
            ("handle kinds", &self.used.kinds),
            ("moves", &self.used.moves),
            ("callbacks", &self.used.callbacks),
        ] {
            if let Some(index) = used.iter().position(|used| !used) {
                return Err(Fault::Unused { table, index });
            }
        }
        Ok(())
    }
}

/// Whether an op reads or writes the guest's memory, or compares addresses with its own.
fn uses_memory(op: &Op) -> bool {
    match op {
        Op::Buffer { .. }
        | Op::Text { .. }
        | Op::Cell { .. }
        | Op::PointerCell { .. }
        | Op::TextCell { .. }
        | Op::Apart { .. }
        | Op::Object { .. }
        | Op::Room { .. }
        | Op::StoreObject { .. }
        | Op::Inside { .. }
        | Op::InsideOr { .. }
        | Op::Give { .. }
        | Op::Deep(_)
        | Op::StoreCell { .. } => true,
        Op::Life(op) => {
            use LifeOp as L;
            matches!(op, L::DescriptorCell { .. } | L::HandleCell { .. } | L::Keep { .. })
        }
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
        | Op::Address { .. }
        | Op::Format { .. }
        | Op::FitsObject { .. }
        | Op::Native(_)
        | Op::Upcall(_)
        | Op::Callback(_)
        | Op::Range { .. }
        | Op::Evaluate { .. }
        | Op::Require { .. }
        | Op::Value { .. }
        | Op::Handle { .. }
        | Op::Reserve { .. }
        | Op::Call { .. }
        | Op::Consume { .. }
        | Op::Measure { .. }
        | Op::Fits { .. }
        | Op::Take { .. }
        | Op::FreeNative { .. }
        | Op::Adopt { .. }
        | Op::EndLoans { .. }
        | Op::Return { .. } => false,
    }
}
