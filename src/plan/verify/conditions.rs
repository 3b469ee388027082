//! What must hold of values before the call: `__range` and `__requires`.
use super::constant::Constant;
use super::demand::Argument;
use super::error::Fault;
use super::meaning::Tree;
use super::{Checked, Verifier};
use crate::plan::op::{At, Operand, Ranged};
use crate::signature::{BinaryOp, Expr, NoteKind, Type};

impl Verifier<'_> {
    /// A range whose bounds are constants.
    pub(super) fn range(&mut self, value: Operand, set: u16, param: u16) -> Checked {
        let (index, set) = (usize::from(param), usize::from(set));
        let Some(found) = self.plan.ranges.get(set) else {
            return Err(Fault::Table { table: "ranges", index: set });
        };
        self.used.ranges[set] = true;
        let behind = self.tested(value, param)?;
        let expected = self.constant_bounds(index, behind);
        let same = expected.is_some_and(|expected| {
            expected.len() == found.len()
                && expected
                    .iter()
                    .zip(found)
                    .all(|((low, high), (l, h))| low.may_be(*l) && high.may_be(*h))
        });
        self.agrees(same, "the range", index)?;
        self.made.ranged[index][usize::from(behind)] = true;
        Ok(())
    }

    /// Whether the value that is tested is the one behind a parameter, rather than its own.
    fn tested(&self, value: Operand, param: u16) -> Checked<bool> {
        let index = usize::from(param);
        self.params.get(index).ok_or(Fault::Slot(param))?;
        self.written.read(value, false)?;
        if self.value_of(index) == Some(value) {
            Ok(false)
        } else if self.cell_of(index) == Some(value) {
            Ok(true)
        } else {
            Err(self.disagrees("the value that is tested", index))
        }
    }

    /// A condition that is an expression: a requirement, or the ranges of an integer.
    pub(super) fn require(&mut self, expr: u16, of: Option<Ranged>) -> Checked {
        let tree = self.expression(expr.into())?;
        let Some(Ranged { value, param }) = of else {
            if !self.requirements().iter().flatten().any(|condition| tree.means(condition)) {
                return Err(Fault::Unasked);
            }
            self.made.required.push(tree);
            return Ok(());
        };
        let index = usize::from(param);
        let behind = self.tested(value, param)?;
        let condition = self.within(index, behind, value);
        self.agrees(condition.is_some_and(|c| tree.means(&c)), "the range", index)?;
        self.made.ranged[index][usize::from(behind)] = true;
        Ok(())
    }

    /// Every `__requires`; `None` for one that mentions something that is not known (yet).
    fn requirements(&self) -> Vec<Option<Tree>> {
        let notes = self.plan.prototype.notes.iter();
        notes
            .filter_map(|note| match &note.kind {
                NoteKind::Requires(expr) => Some(self.annotation(expr, false)),
                _ => None,
            })
            .collect()
    }

    /// `lo <= value && value <= hi || ...`
    fn within(&self, index: usize, behind: bool, value: Operand) -> Option<Tree> {
        let less = |a: Tree, b: Tree| Tree::Binary(BinaryOp::LessEqual, a.into(), b.into());
        let mut all: Option<Tree> = None;
        for (low, high) in self.bounds(index, behind) {
            let above = less(self.annotation(low, false)?, Tree::Load(value));
            let below = less(Tree::Load(value), self.annotation(high, false)?);
            let one = Tree::and(above, below);
            all = Some(match all {
                None => one,
                Some(others) => Tree::or(others, one),
            });
        }
        all
    }

    /// An argument of this call that an expression passes on to a function before its ranges were
    /// tested: that function may ask for as much. Ranges that are computed come later.
    pub(super) fn passed_untested(&self, tree: &Tree) -> Option<At> {
        let untested = |at: At| {
            self.params.iter().enumerate().any(|(index, param)| {
                let ranged = || {
                    let bounds = self.constant_bounds(index, false);
                    bounds.is_some_and(|bounds| !bounds.is_empty())
                };
                param.place == Some(at) && !self.made.ranged[index][0] && ranged()
            })
        };
        let mut found = None;
        tree.passes(&mut |at| found = found.or_else(|| Some(at).filter(|at| untested(*at))));
        found
    }

    /// The bounds of a parameter's `__range`s, or of those of what is behind it.
    fn bounds(&self, index: usize, behind: bool) -> Vec<(&Expr, &Expr)> {
        let ty = self.params[index].ty;
        let ty = if behind { ty.pointee() } else { Some(ty) };
        ty.map(ranges).unwrap_or_default()
    }

    /// They, if they are constants.
    fn constant_bounds(&self, index: usize, behind: bool) -> Option<Vec<(Constant, Constant)>> {
        let constant = |expr| self.annotation(expr, false)?.constant();
        let bounds = self.bounds(index, behind).into_iter();
        bounds.map(|(low, high)| Some((constant(low)?, constant(high)?))).collect()
    }

    /// Every `__range` and `__requires` has been tested.
    pub(super) fn conditions_ready(&self) -> Checked {
        let undone = |what, index| Fault::Undone { what, subject: self.subject(index) };
        for index in 0..self.params.len() {
            let [own, behind] = self.made.ranged[index];
            if !own && !self.bounds(index, false).is_empty() {
                return Err(undone("tests the range of", index));
            }
            // Of data that is copied, shapes have them.
            let copied = matches!(self.params[index].wants, Argument::Copied);
            if !behind && !copied && !self.bounds(index, true).is_empty() {
                return Err(undone("tests the range behind", index));
            }
        }
        for condition in self.requirements() {
            let tested = |condition| self.made.required.iter().any(|tree| tree.means(&condition));
            if !condition.is_some_and(tested) {
                let subject = "a condition of the prototype".to_owned();
                return Err(Fault::Undone { what: "tests", subject });
            }
        }
        Ok(())
    }
}

/// The `__range`s of a type.
pub(super) fn ranges(ty: &Type) -> Vec<(&Expr, &Expr)> {
    let notes = ty.notes.iter();
    notes
        .filter_map(|note| match &note.kind {
            NoteKind::Range(low, high) => Some((low, high)),
            _ => None,
        })
        .collect()
}
