//! Guest functions that native code is given: how they are passed, and how native code's calls of
//! them are made.
//!
//! The parameters of a callback obey the rules of results, its result those of parameters
//! (DESIGN 5.2).
use super::aggregate::{in_pieces, in_place};
use super::expression::{When, integer_width};
use super::leaves::{Sides, leaves};
use super::lower::{Crossing, Lowered, lower_all};
use super::native::fetch;
use super::params::{Pointee, is_text, uncounted_null};
use super::{CompileError, Compiler, Target, index_of};
use crate::plan::abi::{Abi, Assignment, Location, Value, assign};
use crate::plan::frame::{FrameLayout, MAX_STACK_AREA};
use crate::plan::layout::{
    DataModel, Scalar, Target as Memory, constant_on_host, extent_of, layout_of, scalar_of,
};
use crate::plan::op::{At, CallbackOp, Each, Fetch, Null, Op, REMOTE, Reach, Returns, Slot, Width};
use crate::plan::verify::verify;
use crate::plan::{Callback, Facts, Kind, Plan, WasmType};
use crate::signature::{
    Captor, Diagnostic, Float, Function, Ident, NoteKind, Param, Prototype, Type, TypeKind,
};
use std::sync::Arc;

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
            match &note.kind {
                NoteKind::CapturedBy(captor) => self.closure_kept(closure, captor),
                _ => {}
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
    let target = Target { import: None, leaf: true, ..*target };
    let mut compiler = Compiler::new(prototype, &target);
    compiler.refuse_too_many();
    compiler.refuse_what_comes_later();
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
            ops.extend(self.reply(result, &assignment.result, lowered));
        }
        ops
    }

    /// How an argument of C becomes the guest's.
    fn arrival(
        &mut self,
        index: usize,
        param: &Param,
        crossing: Crossing,
        value: &Value,
        lowered: &Lowered,
    ) -> Option<CallbackOp> {
        let slot = self.slots[index];
        let first = value.pieces.first().and_then(|piece| incoming(piece.location));
        match crossing {
            Crossing::Nothing => None,
            Crossing::Scalar(Scalar::Pointer) => self.pointer_arrives(slot, &param.ty, first?),
            Crossing::Scalar(scalar) => {
                self.refuse_notes(&param.ty);
                let wasm = lowered.lowering.params.get(usize::from(slot)).copied()?;
                let returns = decoded(scalar, wasm, self.target.abi);
                if returns.is_none() {
                    self.later(param.span, "this type in a callback");
                }
                Some(CallbackOp::Scalar { from: first?, slot, returns: returns? })
            }
            Crossing::Two(scalar) => {
                let extended = scalar == Scalar::Float(Float::LongDouble)
                    && self.target.abi == Abi::SysvX86_64;
                let beside = match value.pieces.as_slice() {
                    [_] => true,
                    [low, high] => {
                        let ends = incoming(low.location).zip(incoming(high.location));
                        ends.is_some_and(|(low, high)| low.offset() + 8 == high.offset())
                    }
                    _ => false,
                };
                if !beside {
                    self.later(param.span, "a 128-bit integer whose halves travel apart");
                }
                Some(CallbackOp::Pair { from: first?, slot, extended })
            }
            Crossing::Vector => Some(CallbackOp::Vector { from: first?, slot }),
            Crossing::Address => {
                if value.indirect.is_some() {
                    self.later(param.span, "a value that C passes by its address");
                    return None;
                }
                let leaves = self.leaves(&param.ty)?;
                let size = self.guest_size(&param.ty)?;
                match in_pieces(&leaves, value, incoming, false, param.span) {
                    Ok(moves) => {
                        let moves = self.moves(moves);
                        Some(CallbackOp::Object { slot, size, moves })
                    }
                    Err(error) => {
                        self.errors.push(error);
                        None
                    }
                }
            }
        }
    }

    /// What annotations ask for that callbacks cannot do yet.
    fn refuse_notes(&mut self, ty: &Type) {
        for note in &ty.notes {
            match note.kind {
                NoteKind::Closure(_) => {
                    self.error(
                        note.span,
                        "a callback is given no function that this could belong to",
                        "write `__cookie`",
                    );
                }
                NoteKind::Cookie if !matches!(&ty.kind, TypeKind::Pointer(_)) => {
                    self.later(note.span, "cookies that are no pointers");
                }
                NoteKind::Handle => self.later(note.span, "descriptors as handles"),
                NoteKind::CapturedBy(_) => self.later(note.span, "captures in a callback"),
                NoteKind::Boxed => self.later(note.span, "boxed objects"),
                NoteKind::Retains
                | NoteKind::Remember(..)
                | NoteKind::Exclusive
                | NoteKind::Consumes
                | NoteKind::ConsumesIf(_)
                | NoteKind::Invalidates
                | NoteKind::FreedBy(_)
                | NoteKind::Range(..)
                | NoteKind::LifetimeBound(_) => {
                    self.later(note.span, "this annotation in a callback");
                }
                _ => {}
            }
        }
    }

    fn pointer_arrives(&mut self, slot: u16, ty: &Type, from: At) -> Option<CallbackOp> {
        self.refuse_notes(ty);
        let pointee = ty.pointee()?;
        self.refuse_notes(pointee);
        if ty.has(|note| *note == NoteKind::Cookie) {
            return Some(CallbackOp::Cookie { from, slot });
        }
        if let Some(inner) = pointee.pointee() {
            let reach = self.pointers_arrive(ty, pointee, inner)?;
            return Some(CallbackOp::Copy { from, slot, reach, back: false });
        }
        let writes = !pointee.quals.is_const && !ty.has(|note| *note == NoteKind::In);
        let copy = |reach, back| Some(CallbackOp::Copy { from, slot, reach, back });
        match self.pointee(ty) {
            Pointee::Opaque(record) => {
                let kind = self.borrowed_kind(record);
                Some(CallbackOp::Handle { from, slot, kind })
            }
            Pointee::Bytes => Some(CallbackOp::Inside { from, slot }),
            Pointee::Text => {
                let unit = scalar_of(pointee)
                    .filter(|s| s.guest_size(self.target.model) == s.host_size())
                    .and_then(|scalar| u8::try_from(scalar.host_size()).ok())
                    .filter(|unit| *unit <= 4);
                if unit.is_none() {
                    self.later(ty.span, "terminated arrays of this type");
                }
                copy(Reach::Text(unit?), writes)
            }
            Pointee::Counted(note) => {
                let (NoteKind::CountedBy(expr)
                | NoteKind::CountedByOrNull(expr)
                | NoteKind::SizedBy(expr)) = note
                else {
                    return None;
                };
                if self.reads_outside(expr) {
                    // The count is the outer call's: what it counts is the guest's own.
                    return Some(CallbackOp::Inside { from, slot });
                }
                let by_bytes = matches!(note, NoteKind::SizedBy(_));
                let size = self.counted_size(pointee, by_bytes)?;
                let expr = self.expression(expr, When::Before)?;
                copy(Reach::Counted { expr, size }, writes)
            }
            Pointee::Integer(_) | Pointee::Plain { .. } | Pointee::Deep => {
                let moves = self.remote_moves(pointee)?;
                let size = self.guest_size(pointee)?;
                copy(Reach::Object { size, moves }, writes)
            }
            Pointee::Code => {
                self.refuse_code(ty);
                None
            }
            Pointee::Pointer => {
                self.later(ty.span, "pointers to pointers in a callback");
                None
            }
            Pointee::Cookie => None, // refused above
            Pointee::Later(what) => {
                self.later(ty.span, what);
                None
            }
        }
    }

    /// An array of pointers.
    fn pointers_arrive(&mut self, ty: &Type, pointer: &Type, inner: &Type) -> Option<Reach> {
        self.refuse_notes(inner);
        if let Some(note) =
            ty.notes.iter().find(|n| matches!(n.kind, NoteKind::Out | NoteKind::Inout))
        {
            self.error(
                note.span,
                "a callback cannot leave pointers in native memory",
                "nothing would keep what they point at: let it return one",
            );
            return None;
        }
        let counted = ty.notes.iter().find_map(|note| match &note.kind {
            NoteKind::CountedBy(expr) | NoteKind::CountedByOrNull(expr) => Some(expr),
            _ => None,
        });
        let expr = match counted {
            Some(expr) if !self.reads_outside(expr) => Some(self.expression(expr, When::Before)?),
            None if ty.has(|note| *note == NoteKind::NullTerminated) => None,
            _ => {
                self.error(
                    ty.span,
                    "nothing says how many pointers native code passes",
                    "write `__counted_by(n)` with a parameter of the callback, or `__null_terminated`",
                );
                return None;
            }
        };
        let each = match &inner.kind {
            TypeKind::Record(record) if !self.is_complete(record) => {
                Each::Handle(self.borrowed_kind(record))
            }
            _ if is_text(pointer) => {
                let unit = scalar_of(inner)
                    .filter(|s| s.guest_size(self.target.model) == s.host_size())
                    .and_then(|scalar| u8::try_from(scalar.host_size()).ok())
                    .filter(|unit| *unit <= 4 && scalar_of(inner) != Some(Scalar::Pointer));
                if unit.is_none() {
                    self.later(ty.span, "terminated arrays of this type");
                }
                Each::Text(unit?)
            }
            _ => {
                self.later(
                    ty.span,
                    "pointers to pointers in a callback, but to strings and handles,",
                );
                return None;
            }
        };
        Some(Reach::Pointers { expr, each })
    }

    /// Whether an expression names something that is no parameter of the callback.
    fn reads_outside(&self, expr: &crate::signature::Expr) -> bool {
        use crate::signature::ExprKind as E;
        match &expr.kind {
            E::Name(name) => self.prototype.param_index(&name.name).is_none(),
            E::Integer(_) | E::Return | E::SizeOf(_) => false,
            E::Deref(one) | E::Member(one, _) | E::Arrow(one, _) | E::Unary(_, one) => {
                self.reads_outside(one)
            }
            E::Binary(_, one, other) => self.reads_outside(one) || self.reads_outside(other),
            E::Conditional(a, b, c) => [a, b, c].iter().any(|one| self.reads_outside(one)),
            E::Builtin(_, all) | E::Call(_, all) => all.iter().any(|one| self.reads_outside(one)),
        }
    }

    /// Size of the elements of an array of numbers that look the same on both sides.
    fn counted_size(&mut self, element: &Type, by_bytes: bool) -> Option<u32> {
        if element.kind == TypeKind::Void {
            return Some(1);
        }
        let layout = match layout_of(element, self.target.scope, self.target.model) {
            Ok(layout) => layout,
            Err(error) => {
                self.error(error.span, error.to_string(), "count elements of a complete type");
                return None;
            }
        };
        if scalar_of(element).is_none_or(|s| matches!(s, Scalar::Pointer | Scalar::Bool))
            || layout.guest.size != layout.host.size
        {
            self.later(element.span, "arrays of this type in a callback");
            return None;
        }
        if by_bytes { Some(1) } else { u32::try_from(layout.host.size).ok() }
    }

    /// The moves of a value that lies whole somewhere in native memory.
    fn remote_moves(&mut self, ty: &Type) -> Option<u16> {
        let sides = Sides {
            scope: self.target.scope,
            memory: Memory::Guest(self.target.model),
            abi: self.target.abi,
        };
        let leaves = leaves(ty, sides).map_err(|error| self.errors.push(error)).ok()?;
        let host = extent_of(ty, self.target.scope, Memory::Host(self.target.abi)).ok()?.size;
        if usize::try_from(host).is_ok_and(|size| size > usize::from(u16::MAX) - REMOTE) {
            self.error(ty.span, "a value of more than 64 KiB", "pass less to a callback");
            return None;
        }
        let moves = in_place(&leaves, At::new(REMOTE)?, host, false);
        Some(self.moves(moves))
    }

    /// How what the guest's function returns becomes C's.
    fn reply(&mut self, ty: &Type, value: &Value, lowered: &Lowered) -> Option<CallbackOp> {
        match lowered.result {
            Crossing::Nothing => None,
            Crossing::Scalar(Scalar::Pointer) => self.pointer_reply(ty),
            Crossing::Scalar(scalar) => {
                self.refuse_notes(ty);
                let wasm = lowered.lowering.results.first().copied();
                let fetch = match (fetch(scalar, self.target.abi), wasm) {
                    (Fetch::Integer(Width::I64), Some(WasmType::I32)) => Fetch::Integer(Width::I32),
                    (Fetch::Integer(Width::U64), Some(WasmType::I32)) => Fetch::Integer(Width::U32),
                    (fetch, _) => fetch,
                };
                Some(CallbackOp::Reply { fetch })
            }
            Crossing::Vector => Some(CallbackOp::ReplyVector),
            Crossing::Two(_) | Crossing::Address => {
                let leaves = self.leaves(ty)?;
                let size = self.guest_size(ty)?;
                match value.indirect {
                    None => {
                        let place = FrameLayout::result_register;
                        match in_pieces(&leaves, value, place, true, ty.span) {
                            Ok(moves) => {
                                let moves = self.moves(moves);
                                Some(CallbackOp::ReplySplit { size, moves })
                            }
                            Err(error) => {
                                self.errors.push(error);
                                None
                            }
                        }
                    }
                    Some(location) => {
                        let hidden = incoming(location)?;
                        let host = value.extent.size;
                        let moves = in_place(&leaves, At::new(REMOTE)?, host, true);
                        let moves = self.moves(moves);
                        Some(CallbackOp::ReplyBehind { size, moves, hidden })
                    }
                }
            }
        }
    }

    fn pointer_reply(&mut self, ty: &Type) -> Option<CallbackOp> {
        self.refuse_notes(ty);
        let pointee = ty.pointee()?;
        let null = uncounted_null(ty);
        match self.pointee(ty) {
            Pointee::Opaque(record) => {
                let kind = self.borrowed_kind(record);
                Some(CallbackOp::ReplyHandle { kind, null })
            }
            Pointee::Text => {
                let scalar = scalar_of(pointee)?;
                let same = scalar.guest_size(self.target.model) == scalar.host_size();
                if !same || scalar.host_size() > 4 || !pointee.quals.is_const {
                    self.later(ty.span, "a string like this from a callback");
                    return None;
                }
                let unit = u8::try_from(scalar.host_size()).ok()?;
                Some(CallbackOp::ReplyText { unit, null })
            }
            Pointee::Counted(note) => {
                let (NoteKind::CountedBy(expr)
                | NoteKind::CountedByOrNull(expr)
                | NoteKind::SizedBy(expr)) = note
                else {
                    return None;
                };
                let by_bytes = matches!(note, NoteKind::SizedBy(_));
                let size = self.counted_size(pointee, by_bytes)?;
                let align = scalar_of(pointee).map_or(1, Scalar::host_size);
                let align = u8::try_from(align).unwrap_or(1);
                let expr = Some(self.expression(expr, When::Before)?);
                let null = if ty.has(|n| *n == NoteKind::Nonnull) {
                    Null::Refused
                } else if matches!(note, NoteKind::CountedByOrNull(_)) {
                    Null::Allowed
                } else {
                    Null::IfEmpty
                };
                Some(CallbackOp::ReplyBuffer { expr, size, align, null })
            }
            Pointee::Integer(scalar)
                if scalar.guest_size(self.target.model) == scalar.host_size() =>
            {
                self.one(scalar, null)
            }
            Pointee::Plain { .. } if scalar_of(pointee).is_some() => {
                self.one(scalar_of(pointee)?, null)
            }
            Pointee::Code => {
                self.later(ty.span, "a function from a callback");
                None
            }
            Pointee::Integer(_)
            | Pointee::Plain { .. }
            | Pointee::Deep
            | Pointee::Pointer
            | Pointee::Bytes => {
                self.later(ty.span, "a pointer like this from a callback");
                None
            }
            Pointee::Cookie => Some(CallbackOp::ReplyCookie),
            Pointee::Later(what) => {
                self.later(ty.span, what);
                None
            }
        }
    }

    fn one(&self, scalar: Scalar, null: Null) -> Option<CallbackOp> {
        let size = scalar.host_size();
        let align = u8::try_from(size).ok()?;
        Some(CallbackOp::ReplyBuffer { expr: None, size, align, null })
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
            memory: ops.iter().any(|op| works_on_memory(*op)),
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
            ranges: [].into(),
            moves: self.moves.into(),
            slots: self.slots,
            passed: [].into(),
            callees: self.callees.into(),
            handle_kinds: self.kinds.into(),
            callbacks: [].into(),
            names: self.names.into(),
            shapes: [].into(),
            roots: [].into(),
            records: [].into(),
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
        | CallbackOp::ReplyBuffer { .. } => true,
        CallbackOp::Pass { .. }
        | CallbackOp::Keep { .. }
        | CallbackOp::KeepReturned { .. }
        | CallbackOp::Scalar { .. }
        | CallbackOp::Pair { .. }
        | CallbackOp::Vector { .. }
        | CallbackOp::Cookie { .. }
        | CallbackOp::Enter
        | CallbackOp::Reply { .. }
        | CallbackOp::ReplyVector
        | CallbackOp::ReplyHandle { .. }
        | CallbackOp::ReplyCookie => false,
    }
}

/// Whether an op asks the guest for memory.
fn allocates(op: CallbackOp) -> bool {
    matches!(op, CallbackOp::Copy { .. } | CallbackOp::Object { .. } | CallbackOp::Room { .. })
}

/// How a scalar of C becomes the guest's.
fn decoded(scalar: Scalar, wasm: WasmType, abi: Abi) -> Option<Returns> {
    let signed = abi.is_signed(scalar);
    Some(match (scalar, scalar.host_size(), wasm) {
        (Scalar::Bool, ..) => Returns::Bool,
        (Scalar::Float(Float::Float), ..) => Returns::Float32,
        (Scalar::Float(Float::Double), ..) => Returns::Float64,
        (_, 1, _) if signed => Returns::Int8,
        (_, 1, _) => Returns::UInt8,
        (_, 2, _) if signed => Returns::Int16,
        (_, 2, _) => Returns::UInt16,
        (_, 4, _) => Returns::Int32,
        (_, 8, WasmType::I64) => Returns::Int64,
        (_, 8, _) if signed => Returns::Long32,
        (_, 8, _) => Returns::ULong32,
        _ => return None,
    })
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
