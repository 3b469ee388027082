//! Annotations' expressions, compiled to postfix steps.
use super::deep::Base;
use super::{Compiler, Placed};
use crate::plan::Purpose;
use crate::plan::abi::Abi;
use crate::plan::expression::{Expression, MAX_DEPTH, Step};
use crate::plan::frame::FrameLayout;
use crate::plan::layout::{DataModel, Scalar, layout_of, scalar_of};
use crate::plan::op::{At, Count, Op, Operand, Width};
use crate::signature::{
    BinaryOp, Builtin, Expr, ExprKind, Ident, NoteKind, Prototype, Type, TypeKind, UnaryOp,
};
use std::sync::Arc;

/// Where an expression is evaluated.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    Before,
    After,
}

impl Compiler<'_> {
    /// Adds an expression to the plan's table.
    pub(super) fn expression(&mut self, expr: &Expr, when: When) -> Option<u16> {
        let mut steps = Vec::new();
        let depth = self.steps(expr, when, &mut steps)?;
        if depth > MAX_DEPTH {
            self.error(
                expr.span,
                format!("this expression needs more than {MAX_DEPTH} values at once"),
                "compute a part of it elsewhere",
            );
            return None;
        }
        Some(self.add_expression(steps, expr.to_string()))
    }

    pub(super) fn add_expression(&mut self, steps: Vec<Step>, text: String) -> u16 {
        let expression = Expression { steps: steps.into(), text: text.into() };
        let known = self.expressions.iter().position(|known| *known == expression);
        let index = known.unwrap_or_else(|| {
            self.expressions.push(expression);
            self.expressions.len() - 1
        });
        super::index_of(index)
    }

    /// A count, computed before the call: a parameter is read where it is, anything else once.
    pub(super) fn count(&mut self, expr: &Expr, param: u16) -> Option<Count> {
        match &expr.kind {
            ExprKind::Integer(value) => {
                if let Ok(value) = u32::try_from(*value) {
                    return Some(Count::Exactly(value));
                }
            }
            ExprKind::Name(name) => {
                if let Some(operand) = self.placed(name).and_then(|placed| placed.value) {
                    return Some(Count::Of(operand));
                }
            }
            ExprKind::Deref(inner) => {
                if let ExprKind::Name(name) = &inner.kind
                    && let Some(operand) = self.placed(name).and_then(|placed| placed.pointee)
                {
                    return Some(Count::Of(operand));
                }
            }
            _ => {}
        }
        let expr = self.expression(expr, When::Before)?;
        let to = self.local(16);
        self.before.computed.push(Op::Evaluate { expr, to, param });
        Some(Count::Of(Operand { at: to, width: Width::I128 }))
    }

    fn placed(&self, name: &Ident) -> Option<Placed> {
        self.prototype.param_index(&name.name).map(|index| self.params[index])
    }

    /// Appends the steps of `expr`; returns how many values they need at once.
    fn steps(&mut self, expr: &Expr, when: When, steps: &mut Vec<Step>) -> Option<usize> {
        let object = self.in_object(expr, when);
        let object = object.map(|(at, offset, ty)| (Base::Behind(at), offset, ty));
        if let Some((base, offset, ty)) = object.or_else(|| self.place_of(expr)) {
            let width = scalar_of(ty).and_then(|scalar| integer_width(scalar, self.target.abi));
            if let (Some(width), Ok(offset)) = (width, u32::try_from(offset)) {
                steps.push(match base {
                    Base::Object => Step::Field { offset, width },
                    Base::Behind(at) => Step::Behind { at, offset, width },
                });
                return Some(1);
            }
        }
        Some(match &expr.kind {
            ExprKind::Integer(value) => {
                steps.push(self.constant(expr, *value)?);
                1
            }
            ExprKind::Name(name) => {
                let Some(operand) = self.placed(name).and_then(|placed| placed.value) else {
                    self.error(
                        expr.span,
                        format!("`{name}` is no integer that is known here"),
                        "expressions read integer parameters, and `*p` of a pointer to one integer",
                    );
                    return None;
                };
                steps.push(Step::Load(operand));
                1
            }
            ExprKind::Deref(inner) => {
                let operand = match &inner.kind {
                    ExprKind::Name(name) => self.placed(name).and_then(|placed| placed.pointee),
                    _ => None,
                };
                let Some(operand) = operand else {
                    self.error(
                        expr.span,
                        format!("`{expr}` is no integer that is known here"),
                        "`*p` reads a parameter that points to one integer",
                    );
                    return None;
                };
                steps.push(Step::Load(operand));
                1
            }
            ExprKind::Return => {
                let operand = (when == When::After).then(|| self.result_operand()).flatten();
                let Some(operand) = operand else {
                    self.error(
                        expr.span,
                        "`return` is no integer that is known here",
                        "only what happens after the call may depend on an integer result",
                    );
                    return None;
                };
                steps.push(Step::Load(operand));
                1
            }
            ExprKind::Member(of, name) => {
                let at = self.recall(expr, of, name)?;
                steps.push(Step::Load(Operand { at, width: Width::I128 }));
                1
            }
            ExprKind::Arrow(..) => {
                self.error(
                    expr.span,
                    format!("`{expr}` is no integer that is known here"),
                    "`p->f` reads an integer of the one struct that a parameter points to; of a \
                     `__boxed` one it must be `__private` or `_Out_`",
                );
                return None;
            }
            ExprKind::SizeOf(ty) => {
                match layout_of(ty, self.target.scope, DataModel::Lp64) {
                    Ok(layout) => {
                        steps.push(self.constant(expr, i128::from(layout.host.size))?);
                    }
                    Err(error) => {
                        self.error(error.span, error.to_string(), "name a complete type");
                        return None;
                    }
                }
                1
            }
            ExprKind::Unary(op, inner) => {
                let depth = self.steps(inner, when, steps)?;
                steps.push(Step::Unary(*op));
                depth
            }
            // `a && b` is `a ? truth(b) : 0`, `a || b` is `!a ? truth(b) : 1`.
            ExprKind::Binary(BinaryOp::And, left, right) => {
                let depth = self.steps(left, when, steps)?;
                depth.max(self.truth_or(right, 0, when, steps)?)
            }
            ExprKind::Binary(BinaryOp::Or, left, right) => {
                let depth = self.steps(left, when, steps)?;
                steps.push(Step::Unary(UnaryOp::Not));
                depth.max(self.truth_or(right, 1, when, steps)?)
            }
            ExprKind::Binary(op, left, right) => {
                let left = self.steps(left, when, steps)?;
                let right = self.steps(right, when, steps)?;
                steps.push(Step::Binary(*op));
                left.max(right + 1)
            }
            ExprKind::Conditional(condition, yes, no) => {
                let depth = self.steps(condition, when, steps)?;
                let jump = steps.len();
                steps.push(Step::JumpIfZero(0));
                let yes = self.steps(yes, when, steps)?;
                let over = steps.len();
                steps.push(Step::Jump(0));
                steps[jump] = Step::JumpIfZero(distance(jump, steps.len()));
                let no = self.steps(no, when, steps)?;
                steps[over] = Step::Jump(distance(over, steps.len()));
                depth.max(yes).max(no)
            }
            ExprKind::Builtin(builtin, arguments) => {
                let mut depth = 0;
                for (position, argument) in arguments.iter().enumerate() {
                    depth = depth.max(position + self.steps(argument, when, steps)?);
                    if position > 0 {
                        match builtin {
                            Builtin::Min => steps.push(Step::Min),
                            Builtin::Max => steps.push(Step::Max),
                            Builtin::Abs => {}
                        }
                    }
                }
                if *builtin == Builtin::Abs {
                    steps.push(Step::Abs);
                }
                depth
            }
            ExprKind::Call(function, arguments) => {
                self.pure_call(expr, function, arguments, when, steps)?
            }
        })
    }

    /// Goes on after a condition: the truth of `arm` when it holds, `otherwise` when not.
    fn truth_or(
        &mut self,
        arm: &Expr,
        otherwise: i64,
        when: When,
        steps: &mut Vec<Step>,
    ) -> Option<usize> {
        let jump = steps.len();
        steps.push(Step::JumpIfZero(0));
        let depth = self.steps(arm, when, steps)?;
        steps.push(Step::Truth);
        steps.push(Step::Jump(1));
        steps[jump] = Step::JumpIfZero(distance(jump, steps.len()));
        steps.push(Step::Constant(otherwise));
        Some(depth)
    }

    fn constant(&mut self, expr: &Expr, value: i128) -> Option<Step> {
        if let Ok(value) = i64::try_from(value) {
            return Some(Step::Constant(value));
        }
        if let Ok(value) = u64::try_from(value) {
            return Some(Step::Large(value));
        }
        self.error(expr.span, "a constant past 64 bits", "write one that fits");
        None
    }

    fn pure_call(
        &mut self,
        expr: &Expr,
        function: &Ident,
        arguments: &[Expr],
        when: When,
        steps: &mut Vec<Step>,
    ) -> Option<usize> {
        if self.is_called {
            self.error(
                expr.span,
                format!("a callback's expressions call no function, not even `{function}`"),
                "let native code pass the number as a parameter of the callback",
            );
            return None;
        }
        let Some(prototype) = (self.target.grants)(&function.name) else {
            self.error(
                expr.span,
                format!("`{function}` is not granted"),
                "declare it in the same interface, with __attribute__((pure)) or ((const))",
            );
            return None;
        };
        let Some((params, result)) = pure_shape(&prototype, self.target.abi) else {
            self.error(
                expr.span,
                format!("`{function}` cannot be called here"),
                "only functions marked pure or const, of at most six integers and handles without conditions, that return an integer, can",
            );
            return None;
        };
        if params.len() != arguments.len() {
            self.error(
                expr.span,
                format!("`{function}` takes {} arguments", params.len()),
                "pass the call's own",
            );
            return None;
        }
        let mut depth = 1;
        for (position, (argument, param)) in
            arguments.iter().zip(&prototype.function.params).enumerate()
        {
            let wants_handle = param.ty.pointee().is_some();
            let named = match &argument.kind {
                ExprKind::Name(name) => self.prototype.param_index(&name.name),
                _ => None,
            };
            let own = named.map(|index| &self.prototype.function.params[index].ty);
            if wants_handle && !own.is_some_and(|own| same_handle(own, &param.ty)) {
                self.error(
                    argument.span,
                    format!("`{function}` wants a `{}` here", param.ty),
                    "pass the parameter of that type",
                );
                return None;
            }
            if wants_handle && !self.may_pass(own, &param.ty, when) {
                self.error(
                    argument.span,
                    format!("`{function}` may not be given this handle here"),
                    "it could be NULL, or gone once the call has consumed it",
                );
                return None;
            }
            if let Some(range) = first_range(&param.ty)
                && !lies_within(argument, &param.ty)
                && !(self.ranged && own.is_some_and(|own| same_ranges(own, &param.ty)))
            {
                self.error(
                    argument.span,
                    format!("`{function}` asks for `{range}` here"),
                    "pass a parameter with the same ranges, or a constant in them",
                );
                return None;
            }
            depth = depth.max(position + self.steps(argument, when, steps)?);
        }
        let callee = self.callee(&function.name, Purpose::Pure { params, result });
        let arguments = u8::try_from(arguments.len()).unwrap_or(u8::MAX);
        steps.push(Step::Call { callee, arguments });
        Some(depth)
    }

    /// Whether a handle of the call may be passed on: it is not NULL where that is refused, and the
    /// call has not destroyed it.
    fn may_pass(&self, own: Option<&Type>, wanted: &Type, when: When) -> bool {
        let nullable = |ty: &Type| ty.has(|note| *note == NoteKind::Nullable);
        let consumed =
            |ty: &Type| ty.has(|note| matches!(note, NoteKind::Consumes | NoteKind::ConsumesIf(_)));
        let made = |ty: &Type| ty.has(|note| *note == NoteKind::Out);
        own.is_some_and(|own| {
            (when == When::After || !made(own))
                && (nullable(wanted) || !nullable(own))
                && (when == When::Before || !consumed(own))
        })
    }

    /// The result register as an integer.
    pub(super) fn result_operand(&self) -> Option<Operand> {
        let width = integer_width(scalar_of(&self.prototype.function.result)?, self.target.abi)?;
        Some(Operand { at: FrameLayout::result_integer(), width })
    }

    /// Where an integer parameter, or a handle, can be read once it has been placed.
    pub(super) fn remember_value(&mut self, index: usize, at: At, width: Width) {
        self.params[index].value = Some(Operand { at, width });
    }
}

/// Steps from the jump at `from` to the one at `to`.
fn distance(from: usize, to: usize) -> u16 {
    u16::try_from(to - from - 1).unwrap_or(u16::MAX)
}

/// Whether a handle parameter may stand where another function wants a handle.
fn same_handle(own: &Type, wanted: &Type) -> bool {
    match (own.pointee(), wanted.pointee()) {
        (Some(own), Some(wanted)) => {
            own.kind == wanted.kind && matches!(own.kind, TypeKind::Record(_))
        }
        _ => false,
    }
}

/// The first `__range` of a type.
fn first_range(ty: &Type) -> Option<&NoteKind> {
    ty.notes.iter().map(|note| &note.kind).find(|kind| matches!(kind, NoteKind::Range(..)))
}

/// Whether a constant lies in the `__range`s of a type.
fn lies_within(value: &Expr, ty: &Type) -> bool {
    let Some(value) = value.constant() else { return false };
    ty.notes.iter().any(|note| match &note.kind {
        NoteKind::Range(low, high) => {
            let bounds = low.constant().zip(high.constant());
            bounds.is_some_and(|(low, high)| (low..=high).contains(&value))
        }
        _ => false,
    })
}

/// Whether both types have the same `__range`s, of constants.
fn same_ranges(one: &Type, other: &Type) -> bool {
    let ranges = |ty: &Type| -> Option<Vec<(i128, i128)>> {
        let ranges = ty.notes.iter().filter_map(|note| match &note.kind {
            NoteKind::Range(low, high) => Some(low.constant().zip(high.constant())),
            _ => None,
        });
        ranges.collect()
    };
    let own = ranges(one);
    own.is_some() && own == ranges(other)
}

/// How an integer of the host is stored.
pub(super) fn integer_width(scalar: Scalar, abi: Abi) -> Option<Width> {
    match scalar {
        Scalar::Bool => Some(Width::U8),
        Scalar::Integer(_) => width_of(scalar.host_size(), abi.is_signed(scalar)),
        Scalar::Float(_) | Scalar::Pointer => None,
    }
}

/// The width of so many bytes.
pub(super) fn width_of(bytes: u32, signed: bool) -> Option<Width> {
    Some(match (bytes, signed) {
        (1, false) => Width::U8,
        (1, true) => Width::I8,
        (2, false) => Width::U16,
        (2, true) => Width::I16,
        (4, false) => Width::U32,
        (4, true) => Width::I32,
        (8, false) => Width::U64,
        (8, true) => Width::I64,
        _ => return None,
    })
}

/// Widths of parameters and result of a function that expressions may call.
fn pure_shape(prototype: &Arc<Prototype>, abi: Abi) -> Option<(Box<[Width]>, Width)> {
    if !prototype.has(|note| matches!(note, NoteKind::Pure | NoteKind::Const))
        || prototype.function.params.len() > 6
    {
        return None;
    }
    // What else the prototype asks for would have to be tested before each call.
    let asks = |note: &NoteKind| {
        use NoteKind::{CapturedBy, Exclusive, Handle, Retains};
        use NoteKind::{Consumes, ConsumesIf, Invalidates, Requires, Value};
        matches!(note, Requires(_) | Value(_) | Consumes | ConsumesIf(_) | Invalidates)
            || matches!(note, CapturedBy(_) | Exclusive | Handle | Retains)
    };
    if prototype.has(asks) || prototype.function.params.iter().any(|param| param.ty.has(asks)) {
        return None;
    }
    let params = prototype.function.params.iter().map(|param| match scalar_of(&param.ty)? {
        Scalar::Pointer => Some(Width::U64),
        // A `bool` other than 0 and 1 would be undefined behaviour.
        Scalar::Bool => None,
        scalar => integer_width(scalar, abi),
    });
    let params = params.collect::<Option<Box<[Width]>>>()?;
    Some((params, integer_width(scalar_of(&prototype.function.result)?, abi)?))
}
