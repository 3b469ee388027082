//! What bounds are worth, as C has them.
use super::*;

impl Native<'_, '_, '_> {
    pub(super) fn integer_at(&self, ty: &Type, at: u64) -> Option<i128> {
        let scalar = scalar_of(ty).filter(|scalar| !scalar.is_float())?;
        let size = u64::from(scalar.host_size());
        let known = self.memory.is_known(at, size);
        known.then(|| self.memory.integer(at, size, self.abi.is_signed(scalar), "a bound"))
    }

    /// The value of an expression, as C has it; `None` when it has none.
    pub(super) fn value(&self, e: &Expr, within: Option<Within<'_>>) -> Option<i128> {
        let param = |name: &str| {
            let params = &self.function.params;
            let index =
                params.iter().position(|p| p.name.as_ref().is_some_and(|n| &*n.name == name))?;
            Some((&params[index].ty, self.arguments.get(index)?))
        };
        match &e.kind {
            ExprKind::Integer(value) => Some(*value),
            ExprKind::Return => self.result,
            ExprKind::Name(name) => {
                if let Some(within) = within
                    && let Some((ty, at)) = self.field(within.record, &name.name)
                {
                    return self.integer_at(&ty, within.at + at);
                }
                let (ty, bytes) = param(&name.name)?;
                let scalar = scalar_of(ty)?;
                Some(whole(bytes, scalar != Scalar::Pointer && self.abi.is_signed(scalar)))
            }
            ExprKind::Deref(inner) => {
                let ExprKind::Name(name) = &inner.kind else { return None };
                if let Some(within) = within
                    && let Some((ty, at)) = self.field(within.record, &name.name)
                {
                    let pointer = self.memory.integer(within.at + at, 8, false, "a bound") as u64;
                    return self.integer_at(ty.pointee()?, pointer);
                }
                let (ty, bytes) = param(&name.name)?;
                self.integer_at(ty.pointee()?, whole(bytes, false) as u64)
            }
            ExprKind::Arrow(inner, field) => {
                let ExprKind::Name(name) = &inner.kind else { return None };
                let (ty, bytes) = param(&name.name)?;
                let (ty, at) = self.field(record_of(ty.pointee()?)?, &field.name)?;
                let pointer = whole(bytes, false) as u64;
                if pointer == 0 { None } else { self.integer_at(&ty, pointer + at) }
            }
            ExprKind::Member(inner, field) => {
                let ExprKind::Name(name) = &inner.kind else { return None };
                let (_, bytes) = param(&name.name)?;
                let (handle, _) = self.memory.handle_of(whole(bytes, false) as u64)?;
                Some(drawn(&field.name, &[handle.into()]))
            }
            ExprKind::SizeOf(ty) => extent_of(ty, self.scope, Target::Host(self.abi))
                .ok()
                .map(|extent| extent.size.into()),
            ExprKind::Unary(op, inner) => {
                let value = self.value(inner, within)?;
                match op {
                    UnaryOp::Negate => value.checked_neg(),
                    UnaryOp::Complement => Some(!value),
                    UnaryOp::Not => Some((value == 0).into()),
                }
            }
            ExprKind::Binary(BinaryOp::And, left, right) => {
                let left = self.value(left, within)? != 0;
                if left { Some((self.value(right, within)? != 0).into()) } else { Some(0) }
            }
            ExprKind::Binary(BinaryOp::Or, left, right) => {
                let left = self.value(left, within)? != 0;
                if left { Some(1) } else { Some((self.value(right, within)? != 0).into()) }
            }
            ExprKind::Binary(op, left, right) => {
                let (left, right) = (self.value(left, within)?, self.value(right, within)?);
                let shift = || u32::try_from(right).ok().filter(|by| *by < 128);
                match op {
                    BinaryOp::Multiply => left.checked_mul(right),
                    BinaryOp::Divide => left.checked_div(right),
                    BinaryOp::Remainder => left.checked_rem(right),
                    BinaryOp::Add => left.checked_add(right),
                    BinaryOp::Subtract => left.checked_sub(right),
                    BinaryOp::ShiftLeft => {
                        let by = shift()?;
                        Some(left << by).filter(|shifted| shifted >> by == left)
                    }
                    BinaryOp::ShiftRight => Some(left >> shift()?),
                    BinaryOp::Less => Some((left < right).into()),
                    BinaryOp::LessEqual => Some((left <= right).into()),
                    BinaryOp::Greater => Some((left > right).into()),
                    BinaryOp::GreaterEqual => Some((left >= right).into()),
                    BinaryOp::Equal => Some((left == right).into()),
                    BinaryOp::NotEqual => Some((left != right).into()),
                    BinaryOp::BitAnd => Some(left & right),
                    BinaryOp::BitXor => Some(left ^ right),
                    BinaryOp::BitOr => Some(left | right),
                    BinaryOp::And | BinaryOp::Or => None,
                }
            }
            ExprKind::Conditional(condition, then, otherwise) => {
                let holds = self.value(condition, within)? != 0;
                self.value(if holds { then } else { otherwise }, within)
            }
            ExprKind::Builtin(builtin, all) => {
                let values: Option<Vec<i128>> = all.iter().map(|e| self.value(e, within)).collect();
                let values = values?.into_iter();
                match builtin {
                    Builtin::Abs => values.last()?.checked_abs(),
                    Builtin::Min => values.min(),
                    Builtin::Max => values.max(),
                }
            }
            ExprKind::Call(name, arguments) => {
                let arguments: Option<Vec<i128>> =
                    arguments.iter().map(|e| self.value(e, within)).collect();
                Some(drawn(&name.name, &arguments?))
            }
        }
    }
}

pub(super) fn reads_result(e: &Expr) -> bool {
    match &e.kind {
        ExprKind::Return => true,
        ExprKind::Integer(_) | ExprKind::Name(_) | ExprKind::SizeOf(_) => false,
        ExprKind::Deref(e)
        | ExprKind::Member(e, _)
        | ExprKind::Arrow(e, _)
        | ExprKind::Unary(_, e) => reads_result(e),
        ExprKind::Binary(_, a, b) => reads_result(a) || reads_result(b),
        ExprKind::Conditional(a, b, c) => reads_result(a) || reads_result(b) || reads_result(c),
        ExprKind::Builtin(_, all) | ExprKind::Call(_, all) => all.iter().any(reads_result),
    }
}
