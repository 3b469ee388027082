//! Plans of calls on plain C values in memory: what the `ffi` API calls with.
//!
//! Both sides of such a call have the same layout, so that values travel as runs of bytes, padding
//! included; only scalars are converted, to what the ABI asks of their registers. Annotations mean
//! nothing here: a pointer is a pointer.
use super::aggregate::in_pieces;
use super::leaves::Leaf;
use super::lower::parameter_types;
use super::{CompileError, Compiler, index_of};
use crate::plan::abi::{Abi, Assignment, Location, Piece, Value, assign};
use crate::plan::frame::{FrameLayout, MAX_STACK_AREA};
use crate::plan::layout::Scalar;
use crate::plan::moves::{Move, MoveKind};
use crate::plan::op::{At, Direction, Fetch, NativeOp, Op, Returns, Width};
use crate::plan::verify::verify;
use crate::plan::{Facts, Kind, Lowering, Plan};
use crate::signature::{
    Diagnostic, Float, Function, Integer, MAX_PARAMS, Prototype, Scope, Span, Type, TypeKind,
    Variadic,
};
use std::sync::Arc;

/// Compiles and verifies the plan of a call on plain C values.
///
/// # Errors
/// All mistakes of the prototype at once: types that cannot be passed, untyped arguments.
pub fn compile_call(
    prototype: &Arc<Prototype>,
    scope: &Scope,
    abi: Abi,
) -> Result<Plan, CompileError> {
    let mut parts = Parts::of(prototype, scope, abi)?;
    let assignment = parts.assignment.clone();
    if let Some(location) = assignment.result.indirect {
        let to = parts.register(FrameLayout::argument(location), prototype.function.result.span);
        parts.push(to.map(|to| Op::Native(NativeOp::Destination { to })));
    }
    for (arg, (ty, value)) in
        parameter_types(&prototype.function).zip(&assignment.params).enumerate()
    {
        let op = parts.argument(index_of(arg), value, ty.span);
        parts.push(op.map(Op::Native));
    }
    let call = index_of(parts.ops.len());
    let returns = returns(&assignment.result, abi);
    parts.ops.push(Op::Call { stub: Compiler::stub(&assignment), returns });
    if returns == Returns::Record {
        let span = prototype.function.result.span;
        let moves = parts.travels(&assignment.result, FrameLayout::result_register, span);
        let deliver = moves.map(|moves| NativeOp::Deliver { moves: parts.moves(moves) });
        parts.push(deliver.map(Op::Native));
    }
    let stack = parts.stack();
    let end = FrameLayout::STACK + stack;
    parts.finish(prototype, Kind::Call, call, end)
}

/// A plan without a guest that is being put together.
pub(super) struct Parts {
    abi: Abi,
    pub(super) assignment: Assignment,
    pub(super) ops: Vec<Op>,
    moves: Vec<Box<[Move]>>,
    errors: Vec<Diagnostic>,
}

impl Parts {
    /// Nothing but the assignment.
    pub(super) fn of(
        prototype: &Prototype,
        scope: &Scope,
        abi: Abi,
    ) -> Result<Parts, CompileError> {
        let function = &prototype.function;
        let mut errors = Vec::new();
        if prototype.data.is_some() {
            let error = Diagnostic::new(prototype.span, "this declares data, not a function");
            errors.push(error.help("read it through its address"));
        }
        if function.params.len() > MAX_PARAMS {
            let error = format!("more than {MAX_PARAMS} parameters");
            errors.push(Diagnostic::new(prototype.span, error));
        }
        if let Variadic::Typed(tail) = &function.variadic
            && tail.len() > MAX_PARAMS
        {
            let error = format!("more than {MAX_PARAMS} arguments after `...`");
            errors.push(Diagnostic::new(prototype.span, error));
        }
        if let Variadic::Untyped(span) = &function.variadic {
            let message = "the types of the arguments behind `...` are not known";
            errors.push(Diagnostic::new(*span, message).help("name them: `..., int, double`"));
        }
        let result = Some(&function.result).filter(|ty| ty.kind != TypeKind::Void);
        let too_wide = parameter_types(function).chain(result).filter_map(too_wide);
        errors.extend(too_wide);
        let assignment = assign(function, scope, abi);
        match assignment {
            Ok(assignment) if errors.is_empty() => {
                errors.extend(too_much(function, &assignment));
                let parts = Parts { abi, assignment, ops: Vec::new(), moves: Vec::new(), errors };
                parts.checked()
            }
            Err(error) if errors.is_empty() => {
                errors.push(Diagnostic::new(error.span(), error.to_string()));
                Err(CompileError::Prototype(errors))
            }
            _ => Err(CompileError::Prototype(errors)),
        }
    }

    fn checked(self) -> Result<Parts, CompileError> {
        if self.errors.is_empty() { Ok(self) } else { Err(CompileError::Prototype(self.errors)) }
    }

    pub(super) fn push(&mut self, op: Option<Op>) {
        self.ops.extend(op);
    }

    /// Bytes of stack arguments.
    pub(super) fn stack(&self) -> usize {
        usize::try_from(self.assignment.stack_size).unwrap_or(usize::MAX).next_multiple_of(16)
    }

    /// A register that has an image; only 64-bit Arm has others (`x8`).
    pub(super) fn register(&mut self, at: Option<At>, span: Span) -> Option<At> {
        if at.is_none() {
            let message =
                "a value that does not travel in registers or on the stack: pass a pointer to it";
            self.errors.push(Diagnostic::new(span, message));
        }
        at
    }

    /// The index of a list of moves.
    pub(super) fn moves(&mut self, moves: Box<[Move]>) -> u16 {
        let known = self.moves.iter().position(|known| *known == moves);
        index_of(known.unwrap_or_else(|| {
            self.moves.push(moves);
            self.moves.len() - 1
        }))
    }

    /// How the bytes of a value travel.
    pub(super) fn travels(
        &mut self,
        value: &Value,
        image: impl Fn(Location) -> Option<At>,
        span: Span,
    ) -> Option<Box<[Move]>> {
        let bytes = u16::try_from(value.extent.size).unwrap_or(u16::MAX);
        let whole =
            Leaf { memory: 0, host: 0, kind: MoveKind::Bytes(bytes), direction: Direction::InOut };
        let mut value = value.clone();
        for piece in &mut value.pieces {
            piece.size = used(piece);
        }
        let moves = in_pieces(&[whole], &value, image, false, span);
        moves.map_err(|error| self.errors.push(error)).ok()
    }

    fn argument(&mut self, arg: u16, value: &Value, span: Span) -> Option<NativeOp> {
        if value.indirect.is_some() {
            // 64-bit Arm: a copy of the caller's, which plans without locals have no room for.
            self.register(None, span);
        }
        if let (Some(scalar), [piece]) = (value.scalar, value.pieces.as_slice()) {
            let to = self.register(FrameLayout::argument(piece.location), span)?;
            let fetch = fetch(scalar, self.abi);
            return Some(NativeOp::Fetch { arg, to, fetch });
        }
        let moves = self.travels(value, FrameLayout::argument, span)?;
        match *moves {
            [] => None,
            [Move { memory: 0, frame: to, kind: MoveKind::Bytes(8) }] => {
                Some(NativeOp::Fetch { arg, to, fetch: Fetch::Float64 })
            }
            [Move { memory: 0, frame: to, kind: MoveKind::Bytes(16) }] => {
                Some(NativeOp::Fetch { arg, to, fetch: Fetch::Whole })
            }
            _ => Some(NativeOp::Split { arg, moves: self.moves(moves) }),
        }
    }

    pub(super) fn finish(
        self,
        prototype: &Arc<Prototype>,
        kind: Kind,
        call: u16,
        end: usize,
    ) -> Result<Plan, CompileError> {
        let parts = self.checked()?;
        let small = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
        let stack_align = u16::try_from(parts.assignment.stack_align).unwrap_or(u16::MAX);
        let frame = FrameLayout {
            stack: small(parts.stack()),
            stack_align,
            locals: small(end),
            size: small(end),
            align: 16,
        };
        let after = parts.ops.len() > usize::from(call) + 1;
        let plan = Plan {
            prototype: Arc::clone(prototype),
            kind,
            lowering: Lowering::default(),
            ops: parts.ops.into(),
            call,
            frame,
            expressions: Box::new([]),
            ranges: Box::new([]),
            passed: [].into(),
            moves: parts.moves.into(),
            shapes: [].into(),
            roots: [].into(),
            records: [].into(),
            slots: Box::new([]),
            callees: Box::new([]),
            handle_kinds: Box::new([]),
            names: Box::new([]),
            callbacks: Box::new([]),
            facts: Facts { after, ..Facts::default() },
        };
        verify(&plan, parts.abi).map_err(CompileError::Refused)?;
        Ok(plan)
    }
}

/// Vectors of 32 and 64 bytes are told apart from other mistakes.
fn too_wide(ty: &Type) -> Option<Diagnostic> {
    match ty.kind {
        TypeKind::Vector { bytes: bytes @ 17.., .. } => Some(
            Diagnostic::new(ty.span, format!("a vector of {bytes} bytes by value"))
                .label("how it travels depends on whether the callee was compiled for AVX")
                .help("pass a pointer to it"),
        ),
        _ => None,
    }
}

/// The first argument that the bounded stack area has no room for.
fn too_much(function: &Function, assignment: &Assignment) -> Option<Diagnostic> {
    let most = u32::try_from(MAX_STACK_AREA).unwrap_or(u32::MAX);
    if assignment.stack_size <= most {
        return None;
    }
    let beyond = |piece: &Piece| match piece.location {
        Location::Stack(offset) => offset.saturating_add(piece.size) > most,
        Location::Integer(_) | Location::Vector(_) | Location::X87(_) => false,
    };
    let values = parameter_types(function).zip(&assignment.params);
    let mut wide = values.filter(|(_, value)| value.pieces.iter().any(beyond));
    let span = wide.next().map_or(function.result.span, |(ty, _)| ty.span);
    let message = format!("more than {MAX_STACK_AREA} bytes of arguments on the stack");
    Some(Diagnostic::new(span, message).help("pass fewer arguments, or a pointer to a struct"))
}

/// Bytes of a piece that mean something: an x87 register has 10.
fn used(piece: &Piece) -> u32 {
    match piece.location {
        Location::X87(_) => piece.size.min(10),
        Location::Integer(_) | Location::Vector(_) | Location::Stack(_) => piece.size,
    }
}

/// How a scalar in memory becomes what its register or stack slot holds.
pub(super) fn fetch(scalar: Scalar, abi: Abi) -> Fetch {
    let of = |signed: Width, unsigned: Width| {
        Fetch::Integer(if abi.is_signed(scalar) { signed } else { unsigned })
    };
    match scalar {
        Scalar::Bool => Fetch::Bool,
        Scalar::Pointer => Fetch::Integer(Width::U64),
        Scalar::Float(Float::Float) => Fetch::Float32,
        Scalar::Float(Float::Double) => Fetch::Float64,
        Scalar::Float(Float::LongDouble)
        | Scalar::Integer(Integer::Int128 | Integer::UnsignedInt128) => Fetch::Whole,
        Scalar::Integer(_) => match scalar.host_size() {
            1 => of(Width::I8, Width::U8),
            2 => of(Width::I16, Width::U16),
            4 => of(Width::I32, Width::U32),
            _ => of(Width::I64, Width::U64),
        },
    }
}

/// How the result gets into its memory.
fn returns(value: &Value, abi: Abi) -> Returns {
    if value.indirect.is_some() || value.pieces.is_empty() {
        return Returns::Void;
    }
    let Some(scalar) = value.scalar else { return Returns::Record };
    match fetch(scalar, abi) {
        Fetch::Bool => Returns::Bool,
        Fetch::Float32 => Returns::Float32,
        Fetch::Float64 => Returns::Float64,
        Fetch::Integer(Width::I8) => Returns::Int8,
        Fetch::Integer(Width::U8) => Returns::UInt8,
        Fetch::Integer(Width::I16) => Returns::Int16,
        Fetch::Integer(Width::U16) => Returns::UInt16,
        Fetch::Integer(Width::I32 | Width::U32) => Returns::Int32,
        Fetch::Integer(Width::I64 | Width::U64) => Returns::Int64,
        Fetch::Integer(Width::I128) | Fetch::Whole => Returns::Record,
    }
}
