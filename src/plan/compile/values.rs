//! What annotations say of values: ranges, and values that are computed.
use super::Compiler;
use super::expression::{When, integer_width};
use crate::plan::layout::{Scalar, constant_on_host, scalar_of};
use crate::plan::op::{At, Op, Ranged};
use crate::signature::{BinaryOp, Expr, ExprKind, NoteKind, Param, Type};

impl Compiler<'_> {
    /// An argument whose value is that of an expression (`__value`).
    pub(super) fn computed(&mut self, index: usize, param: &Param, to: At) {
        let Some(value) = value_note(&param.ty) else { return };
        let Some(scalar) = scalar_of(&param.ty) else { return };
        let Some(width) = integer_width(scalar, self.target.abi) else { return };
        let expr = if scalar == Scalar::Bool {
            let zero = Expr { kind: ExprKind::Integer(0), span: value.span };
            let kind = ExprKind::Binary(BinaryOp::NotEqual, value.clone().into(), zero.into());
            self.expression(&Expr { kind, span: value.span }, When::Before)
        } else {
            self.expression(value, When::Before)
        };
        if let Some(expr) = expr {
            let param = super::index_of(index);
            self.before.values.push(Op::Value { expr, to, width, param });
            self.remember_value(index, to, width);
        }
    }

    /// The `__range`s of a parameter or of the integer behind it.
    pub(super) fn ranges(&mut self, index: usize, ty: &Type) {
        let bounds: Vec<(&Expr, &Expr)> = ty
            .notes
            .iter()
            .filter_map(|note| match &note.kind {
                NoteKind::Range(low, high) => Some((low, high)),
                _ => None,
            })
            .collect();
        let all = std::sync::Arc::clone(&self.all);
        let param = &all[index];
        let placed = self.params[index];
        let behind = !std::ptr::eq(ty, &raw const param.ty);
        let operand = if behind { placed.pointee } else { placed.value };
        if bounds.is_empty() || (placed.handle && !behind) {
            return;
        }
        let Some(value) = operand else {
            self.error(ty.span, "`__range` needs an integer", "write it after an integer");
            return;
        };
        let constant = |bound| constant_on_host(bound, self.target.scope, self.target.abi);
        let constants: Option<Vec<(i128, i128)>> =
            bounds.iter().map(|(low, high)| Some((constant(low)?, constant(high)?))).collect();
        if let Some(constants) = constants {
            let known = self.ranges.iter().position(|known| **known == *constants);
            let set = known.unwrap_or_else(|| {
                self.ranges.push(constants.into());
                self.ranges.len() - 1
            });
            let set = super::index_of(set);
            self.before.ranges.push(Op::Range { value, set, param: super::index_of(index) });
            return;
        }
        // Bounds that are computed: the condition as an expression.
        let Some(name) = &param.name else {
            self.error(ty.span, "computed bounds need a parameter with a name", "give it one");
            return;
        };
        let mut read = Expr { kind: ExprKind::Name(name.clone()), span: name.span };
        if behind {
            read = Expr { span: read.span, kind: ExprKind::Deref(Box::new(read)) };
        }
        let binary = |op, left: &Expr, right: &Expr| Expr {
            span: left.span.to(right.span),
            kind: ExprKind::Binary(op, Box::new(left.clone()), Box::new(right.clone())),
        };
        let within = bounds.iter().map(|(low, high)| {
            let above = binary(BinaryOp::LessEqual, low, &read);
            binary(BinaryOp::And, &above, &binary(BinaryOp::LessEqual, &read, high))
        });
        let any = within.reduce(|all, one| binary(BinaryOp::Or, &all, &one));
        if let Some(expr) = any.and_then(|any| self.expression(&any, When::Before)) {
            let of = Some(Ranged { value, param: super::index_of(index) });
            self.before.conditions.push(Op::Require { expr, of });
        }
    }
}

/// The expression of `__value`.
pub(super) fn value_note(ty: &Type) -> Option<&Expr> {
    ty.notes.iter().find_map(|note| match &note.kind {
        NoteKind::Value(expr) => Some(expr),
        _ => None,
    })
}
