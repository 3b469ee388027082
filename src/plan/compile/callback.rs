//! Guest functions that native code is given: how they are passed, and how native code's calls of
//! them are made.
//!
//! The parameters of a callback obey the rules of results, its result those of parameters
//! (DESIGN 5.2).
use super::deep::own_records;
use super::expression::integer_width;
use super::lower::{Lowered, lower_all};
use super::params::uncounted_null;
use super::{CompileError, Compiler, Target, index_of};
use crate::plan::abi::{Assignment, Location, assign};
use crate::plan::frame::{FrameLayout, MAX_STACK_AREA};
use crate::plan::layout::{DataModel, Scalar, constant_on_host, scalar_of};
use crate::plan::op::{At, CallbackOp, Op, Slot};
use crate::plan::verify::verify;
use crate::plan::{Callback, Facts, Kind, Plan};
use crate::signature::{
    Captor, Diagnostic, Function, Ident, NoteKind, Param, Prototype, Type, TypeKind,
};
use std::sync::Arc;

mod arrival;
mod reply;

impl Compiler<'_> {
    /// A parameter that is a pointer to a function.
    pub(super) fn callback(&mut self, index: usize, param: &Param, to: At) {
        let Some(TypeKind::Function(function)) = param.ty.pointee().map(|ty| &ty.kind) else {
            return;
        };
        let Some(callback) = self.callback_of(function, &param.ty, param.name.as_ref()) else {
            return;
        };
        let slot = self.slots[index];
        let null = uncounted_null(&param.ty);
        let closure = self.local(8);
        let kept = param.ty.has(|note| matches!(note, NoteKind::CapturedBy(_)));
        let pass = CallbackOp::Pass { slot, to, callback, null, closure, kept };
        self.before.pointers.push(Op::Callback(pass));
        for note in &param.ty.notes {
            if let NoteKind::CapturedBy(captor) = &note.kind {
                self.closure_kept(closure, captor);
            }
        }
    }

    /// The entry of the table of callbacks for such functions. `ty` is the pointer, with its
    /// annotations.
    pub(super) fn callback_of(
        &mut self,
        function: &Function,
        ty: &Type,
        name: Option<&Ident>,
    ) -> Option<u16> {
        let name =
            name.cloned().unwrap_or_else(|| Ident { name: "callback".into(), span: ty.span });
        let prototype = Arc::new(Prototype {
            name,
            function: function.clone(),
            notes: Vec::new(),
            span: ty.span,
            data: None,
        });
        let on_trap = ty.notes.iter().find_map(|note| match &note.kind {
            NoteKind::OnTrap(value) => Some(value),
            _ => None,
        });
        let on_trap = match on_trap {
            None => 0,
            Some(value) => {
                let known = constant_on_host(value, self.target.scope, self.target.abi);
                let Some(known) = known.and_then(|value| i64::try_from(value).ok()) else {
                    self.error(value.span, "`__on_trap` takes a constant of 64 bits", "write one");
                    return None;
                };
                let is_scalar = scalar_of(&function.result).is_some_and(|s| s != Scalar::Pointer);
                if known != 0 && !is_scalar {
                    self.error(
                        value.span,
                        "the callback returns no number",
                        "without `__on_trap` C gets zero",
                    );
                    return None;
                }
                known
            }
        };
        match compile_callback(&prototype, self.target) {
            Ok(plan) => {
                let callback = Callback { plan: Arc::new(plan), on_trap };
                let known = self.callbacks.iter().position(|known| *known == callback);
                Some(index_of(known.unwrap_or_else(|| {
                    self.callbacks.push(callback);
                    self.callbacks.len() - 1
                })))
            }
            Err(CompileError::Prototype(errors)) => {
                self.errors.extend(errors);
                None
            }
            Err(error) => {
                self.error(ty.span, error.to_string(), "this is a bug of Portcullis");
                None
            }
        }
    }

    fn closure_kept(&mut self, closure: At, captor: &Captor) {
        let holder = match captor {
            Captor::Global => None,
            Captor::Param(name) => {
                let index = self.prototype.param_index(&name.name);
                let Some(index) = index.filter(|index| self.params[*index].handle) else {
                    self.error(name.span, format!("`{name}` is no handle"), "name one");
                    return;
                };
                Slot::new(self.slots[index])
            }
            Captor::Return => return self.kept_by_result.push(closure),
        };
        self.after.facts.push(Op::Callback(CallbackOp::Keep { closure, holder }));
    }

    /// What the handle that the call returns keeps. `handle` is where the handle will be.
    pub(super) fn keep_by_result(&mut self, handle: At) {
        for closure in std::mem::take(&mut self.kept_by_result) {
            self.after.store.push(Op::Callback(CallbackOp::KeepReturned { closure, handle }));
        }
    }

    /// What native code may not return.
    pub(super) fn refuse_code(&mut self, ty: &Type) {
        self.error(
            ty.span,
            "native code gives the guest a function pointer",
            "a guest cannot call native code by address, and nothing would check such calls: wrap it in a C function that calls it",
        );
    }
}

/// Compiles and verifies the plan of native code's calls of a guest function.
fn compile_callback(prototype: &Arc<Prototype>, target: &Target<'_>) -> Result<Plan, CompileError> {
    // As of a prototype: structs that it defines itself may mention themselves by their tags.
    let own = own_records(prototype, target.scope);
    let scope = (!own.is_empty()).then(|| {
        let mut scope = target.scope.clone();
        scope.records.extend(own);
        scope
    });
    let scope = scope.as_ref().unwrap_or(target.scope);
    let Target { model, abi, handle_types, grants, .. } = *target;
    let target = Target { model, abi, leaf: true, scope, import: None, handle_types, grants };
    let mut compiler = Compiler::new(prototype, &target);
    compiler.is_called = true;
    compiler.refuse_too_many();
    compiler.refuse_unknown_arguments();
    let assignment = match assign(&prototype.function, target.scope, target.abi) {
        Ok(assignment) => assignment,
        Err(error) => {
            compiler.errors.push(Diagnostic::new(error.span(), error.to_string()));
            return Err(CompileError::Prototype(compiler.errors));
        }
    };
    if assignment.stack_size as usize > MAX_STACK_AREA {
        let error = format!("more than {MAX_STACK_AREA} bytes of arguments on the stack");
        compiler.errors.push(Diagnostic::new(prototype.span, error));
    }
    if !compiler.errors.is_empty() {
        return Err(CompileError::Prototype(compiler.errors));
    }
    let lowered = lower_all(prototype, target.scope, target.model, None)?;
    compiler.slots.clone_from(&lowered.slots);
    let ops = compiler.callback_ops(&assignment, &lowered);
    if !compiler.errors.is_empty() {
        return Err(CompileError::Prototype(compiler.errors));
    }
    let plan = compiler.finish_callback(ops, &assignment, lowered);
    verify(&plan, target.abi).map_err(CompileError::Refused)?;
    Ok(plan)
}

impl Compiler<'_> {
    fn callback_ops(&mut self, assignment: &Assignment, lowered: &Lowered) -> Vec<CallbackOp> {
        let all = Arc::clone(&self.all);
        for (index, (param, value)) in all.iter().zip(&assignment.params).enumerate() {
            if let (Some(piece), Some(scalar)) = (value.pieces.first(), scalar_of(&param.ty))
                && let Some(at) = incoming(piece.location)
                && let Some(width) = integer_width(scalar, self.target.abi)
            {
                self.remember_value(index, at, width);
            }
            if self.can_be_read(&param.ty) {
                self.params[index].copy =
                    value.pieces.first().and_then(|piece| incoming(piece.location));
            }
        }
        let mut ops = Vec::new();
        for (index, (param, value)) in all.iter().zip(&assignment.params).enumerate() {
            let crossing = lowered.params[index];
            self.check_members(&param.ty, crossing, value);
            ops.extend(self.arrival(index, param, crossing, value, lowered));
        }
        let result = &self.prototype.function.result;
        if lowered.is_hidden()
            && let Some(size) = self.guest_size(result)
        {
            ops.push(CallbackOp::Room { size });
        }
        ops.push(CallbackOp::Enter);
        if result.kind != TypeKind::Void {
            self.check_members(result, lowered.result, &assignment.result);
            ops.extend(self.reply(&assignment.result, lowered));
        }
        ops
    }

    fn finish_callback(
        self,
        ops: Vec<CallbackOp>,
        assignment: &Assignment,
        lowered: Lowered,
    ) -> Plan {
        let call = ops.iter().position(|op| *op == CallbackOp::Enter).unwrap_or(ops.len());
        let stack = assignment.stack_size.next_multiple_of(16) as usize;
        let end = FrameLayout::CALLER_STACK + stack;
        let small = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
        let frame = FrameLayout {
            stack: small(stack),
            stack_align: u16::try_from(assignment.stack_align).unwrap_or(u16::MAX),
            locals: small(end),
            size: small(end),
            align: 16,
        };
        let facts = Facts {
            leaf: false,
            memory: ops.iter().any(|op| works_on_memory(*op))
                || self.callbacks.iter().any(|callback| callback.plan.facts.memory),
            allocates: ops.iter().any(|op| allocates(*op)),
            errno: false,
            marks: false,
            after: ops.len() > call + 1,
            wide: self.target.model == DataModel::Lp64,
        };
        Plan {
            prototype: Arc::clone(self.prototype),
            kind: Kind::Callback,
            lowering: lowered.lowering,
            ops: ops.into_iter().map(Op::Callback).collect(),
            call: index_of(call),
            frame,
            expressions: self.expressions.into(),
            ranges: self.ranges.into(),
            moves: self.moves.into(),
            slots: self.slots,
            passed: [].into(),
            callees: self.callees.into(),
            handle_kinds: self.kinds.into(),
            callbacks: self.callbacks.into(),
            names: self.names.into(),
            shapes: self.shapes.all.into_iter().flatten().collect(),
            roots: self.shapes.roots.into(),
            records: self.shapes.records.into(),
            facts,
        }
    }
}

/// Whether an op deals with the guest's memory.
fn works_on_memory(op: CallbackOp) -> bool {
    match op {
        CallbackOp::Inside { .. }
        | CallbackOp::Copy { .. }
        // What it lends may have to be copied back.
        | CallbackOp::Handle { .. }
        | CallbackOp::Object { .. }
        | CallbackOp::Room { .. }
        | CallbackOp::ReplySplit { .. }
        | CallbackOp::ReplyBehind { .. }
        | CallbackOp::ReplyText { .. }
        | CallbackOp::ReplyBuffer { .. }
        | CallbackOp::ReplyCopy { .. } => true,
        CallbackOp::Pass { .. }
        | CallbackOp::Keep { .. }
        | CallbackOp::KeepReturned { .. }
        | CallbackOp::Scalar { .. }
        | CallbackOp::ScalarWithin { .. }
        | CallbackOp::Pair { .. }
        | CallbackOp::Vector { .. }
        | CallbackOp::Cookie { .. }
        | CallbackOp::Descriptor { .. }
        | CallbackOp::Function { .. }
        | CallbackOp::Enter
        | CallbackOp::Reply { .. }
        | CallbackOp::ReplyWithin { .. }
        | CallbackOp::ReplyVector
        | CallbackOp::ReplyHandle { .. }
        | CallbackOp::ReplyDescriptor { .. }
        | CallbackOp::ReplyCookie
        | CallbackOp::ReplyFunction { .. } => false,
    }
}

/// Whether an op asks the guest for memory.
fn allocates(op: CallbackOp) -> bool {
    matches!(op, CallbackOp::Copy { .. } | CallbackOp::Object { .. } | CallbackOp::Room { .. })
}

/// Where in the frame of a callback a register or stack slot of C's call is.
fn incoming(location: Location) -> Option<At> {
    match location {
        Location::Integer(number) => FrameLayout::integer(number),
        Location::Vector(number) => FrameLayout::vector(number),
        Location::Stack(offset) => FrameLayout::caller_slot(offset),
        Location::X87(_) => None,
    }
}
