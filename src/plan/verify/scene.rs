//! What expressions mean and read: the names of annotations, before and after the call.
use super::demand::Argument;
use super::error::Fault;
use super::meaning::{Names, Tree};
use super::{Checked, Crossing, Verifier};
use crate::plan::expression::Step;
use crate::plan::frame::FrameLayout;
use crate::plan::layout::DataModel;
use crate::plan::op::{At, Fate, Operand, Width};
use crate::signature::Expr;

impl Verifier<'_> {
    /// Where an integer argument can be read.
    pub(super) fn value_of(&self, index: usize) -> Option<Operand> {
        let param = self.params.get(index)?;
        let width = match param.wants {
            Argument::Scalar(scalar) | Argument::Computed(scalar, _) => {
                self.reader.width(scalar, DataModel::Lp64)?
            }
            Argument::Handle { .. } => Width::U64,
            Argument::Copied if self.is_boxed(param.ty) => Width::U64,
            Argument::Buffer { .. }
            | Argument::Copied
            | Argument::Text { .. }
            | Argument::Function { .. }
            | Argument::Integer { .. }
            | Argument::Pointer { .. }
            | Argument::Cookie { .. }
            | Argument::Descriptor { .. }
            | Argument::DescriptorCell { .. }
            | Argument::HandleCell { .. }
            | Argument::Nothing
            | Argument::Two(_)
            | Argument::Vector
            | Argument::Object => return None,
        };
        Some(Operand { at: param.place?, width })
    }

    /// Where the integer behind a pointer can be read.
    pub(super) fn cell_of(&self, index: usize) -> Option<Operand> {
        match self.params.get(index)?.wants {
            Argument::Integer { host, .. } => {
                Some(Operand { at: self.made.cell(index)?, width: host })
            }
            _ => None,
        }
    }

    /// Where an integer result can be read.
    pub(super) fn integer_result(&self) -> Option<Operand> {
        let Crossing::One(scalar) = self.returned else { return None };
        let width = self.reader.width(scalar, DataModel::Lp64)?;
        Some(Operand { at: FrameLayout::result_integer(), width })
    }

    /// Checks that an expression can be evaluated at this point, and returns what it means.
    pub(super) fn expression(&mut self, index: usize) -> Checked<Tree> {
        let table = || Fault::Table { table: "expressions", index };
        let steps = &self.plan.expressions.get(index).ok_or_else(table)?.steps;
        self.used.expressions[index] = true;
        let tree = Tree::of_steps(steps, &self.plan.callees)
            .map_err(|reason| Fault::Expression { index, reason })?;
        for step in steps {
            if let Step::Call { callee, .. } = step {
                self.used.callees[usize::from(*callee)] = true;
            }
        }
        if let Some(at) = self.passed_untested(&tree) {
            return Err(Fault::Unknown { what: "integer whose range was tested", at });
        }
        let mut read = Ok(());
        let mut load = |operand: Operand, as_handle| {
            if read.is_ok() {
                let alive = as_handle && !self.may_be_gone(operand.at);
                read = self.written.read(operand, alive);
            }
        };
        tree.loads(&mut load, &self.plan.callees);
        read.map(|()| tree)
    }

    /// Whether the handle whose pointer is there may have been destroyed by the call.
    pub(super) fn may_be_gone(&self, at: At) -> bool {
        let after = self.index > usize::from(self.plan.call);
        if self.copies.objects.gone_at(at, after) {
            return true;
        }
        after
            && self.params.iter().any(|param| {
                let consumed = matches!(param.wants, Argument::Handle { fate: Fate::Consumed, .. });
                param.place == Some(at) && consumed
            })
    }

    /// What an annotation says, read with the names that are known in this part of the plan.
    pub(super) fn annotation(&self, expr: &Expr, after: bool) -> Option<Tree> {
        let names = Scene { verifier: self, after };
        Tree::of_annotation(expr, &names, self.reader.abi)
    }

    /// Whether `tree` is what an annotation says.
    pub(super) fn means(&self, tree: &Tree, expr: &Expr, after: bool) -> bool {
        self.annotation(expr, after).is_some_and(|annotation| tree.means(&annotation))
    }
}

/// The names of annotations, before or after the call.
pub(super) struct Scene<'v, 'p> {
    pub(super) verifier: &'v Verifier<'p>,
    pub(super) after: bool,
}

impl Scene<'_, '_> {
    pub(super) fn index(&self, name: &str) -> Option<usize> {
        let params = &self.verifier.plan.prototype.function.params;
        params.iter().position(|param| param.name.as_ref().is_some_and(|n| *n.name == *name))
    }
}

impl Names for Scene<'_, '_> {
    fn param(&self, name: &str) -> Option<Operand> {
        self.verifier.value_of(self.index(name)?)
    }

    fn behind(&self, name: &str) -> Option<Operand> {
        self.verifier.cell_of(self.index(name)?)
    }

    fn remembered(&self, handle: &str, name: &str) -> Option<Operand> {
        let at = self.verifier.life.recalled(self.index(handle)?, name)?;
        Some(Operand { at, width: Width::I128 })
    }
    fn data(&self, expr: &Expr) -> Option<Tree> {
        self.behind_copy(expr)
    }

    fn result(&self) -> Option<Operand> {
        if self.after { self.verifier.integer_result() } else { None }
    }
}
