//! A plan of what the parts of the compiler have collected: ops in their order, facts, the frame.
use super::{Compiler, index_of, life};
use crate::plan::abi::Assignment;
use crate::plan::frame::FrameLayout;
use crate::plan::layout::DataModel;
use crate::plan::op::{Op, Returns, Stub};
use crate::plan::{Facts, Kind, Lowering, Plan};
use crate::signature::NoteKind;
use std::sync::Arc;

impl Compiler<'_> {
    pub(super) fn finish(
        mut self,
        lowering: Lowering,
        stub: Stub,
        assignment: &Assignment,
        returns: Returns,
    ) -> Plan {
        if self.adopts > 0 {
            self.before.conditions.push(Op::Reserve { handles: self.adopts });
        }
        let handles = self.before.handles.len() + self.before.taken.len();
        let allocates = !self.after.guest.is_empty();
        if self.target.leaf && !allocates {
            self.without_guest_code();
        }
        let marks = handles > 0
            && (self.has_exclusive()
                || allocates
                || !self.target.leaf
                || (handles > 1 && !self.before.taken.is_empty()));
        // Only an op of its own gives all of a `v128`.
        let after = marks || !self.after.is_empty() || returns == Returns::Vector;
        let returns = if after { self.result_apart(returns, &assignment.result) } else { returns };
        let before = self.before;
        let mut ops = [
            before.scalars,
            before.handles,
            before.taken,
            before.life,
            before.cells,
            before.read,
            before.values,
            before.ranges,
            before.computed,
            before.pointers,
            before.conditions,
        ]
        .concat();
        let call = index_of(ops.len());
        ops.push(Op::Call { stub, returns });
        let sections = self.after;
        ops.extend(
            [
                sections.facts,
                sections.checks,
                sections.guest,
                sections.adopt,
                sections.store,
                sections.result,
            ]
            .concat(),
        );
        let facts = Facts {
            leaf: self.target.leaf,
            memory: ops.iter().any(touches_memory),
            allocates,
            errno: self.prototype.has(|note| *note == NoteKind::Errno),
            marks,
            after,
            wide: self.target.model == DataModel::Lp64,
        };
        let size = (FrameLayout::STACK + self.stack + self.locals).next_multiple_of(16);
        let frame = FrameLayout {
            stack: u16::try_from(self.stack).unwrap_or(u16::MAX),
            stack_align: u16::try_from(assignment.stack_align).unwrap_or(u16::MAX),
            locals: u16::try_from(FrameLayout::STACK + self.stack).unwrap_or(u16::MAX),
            size: u16::try_from(size).unwrap_or(u16::MAX),
            align: self.align,
        };
        Plan {
            prototype: Arc::clone(self.prototype),
            kind: Kind::Import,
            lowering,
            ops: ops.into(),
            call,
            frame,
            expressions: self.expressions.into(),
            ranges: self.ranges.into(),
            moves: self.moves.into(),
            shapes: self.shapes.all.into_iter().flatten().collect(),
            roots: self.shapes.roots.into(),
            records: self.shapes.records.into(),
            slots: self.slots,
            passed: self.passed.into(),
            callees: self.callees.into(),
            handle_kinds: self.kinds.into(),
            names: self.names.into(),
            callbacks: self.callbacks.into(),
            facts,
        }
    }

    /// A call that writes over the end of a string that it reads runs out of the memory: what it
    /// only reads is told apart from what it writes to, by a copy if need be.
    pub(super) fn tell_apart(&mut self) {
        for text in &self.texts {
            for buffer in &self.writable {
                self.before.pointers.push(Op::Apart {
                    text: text.at,
                    text_extent: text.extent,
                    buffer: buffer.at,
                    buffer_extent: buffer.extent,
                });
            }
        }
    }
}

/// Whether an op reads or writes the guest's memory, so that its base and length must be fresh.
fn touches_memory(op: &Op) -> bool {
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
        | Op::Return { .. }
        | Op::Native(_)
        | Op::Upcall(_)
        | Op::Callback(_) => false,
        Op::Life(op) => life::touches_memory(op),
    }
}
