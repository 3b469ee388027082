//! Plans of calls that native code makes: what the `ffi` API's closures are called with.
//!
//! A value that lies whole and aligned in the image of a register, or on the caller's stack, is lent
//! in place. Only values in several registers are put together in scratch memory.
use super::native::{Parts, fetch};
use super::{CompileError, index_of};
use crate::plan::Kind;
use crate::plan::Plan;
use crate::plan::abi::{Abi, Location, Value};
use crate::plan::frame::{FrameLayout, SCRATCH};
use crate::plan::op::{At, Fetch, Op, UpcallOp};
use crate::signature::{Prototype, Scope, Span, TypeKind};
use std::sync::Arc;

/// Compiles and verifies the plan of a closure.
///
/// # Errors
/// As [`compile_call`](super::compile_call).
pub fn compile_closure(
    prototype: &Arc<Prototype>,
    scope: &Scope,
    abi: Abi,
) -> Result<Plan, CompileError> {
    let mut parts = Parts::of(prototype, scope, abi)?;
    let assignment = parts.assignment.clone();
    let mut scratch = Scratch::default();
    let function = &prototype.function;
    for (ty, value) in super::lower::parameter_types(function).zip(&assignment.params) {
        let op = lend(&mut parts, &mut scratch, value, ty.span);
        parts.push(op.map(Op::Upcall));
    }
    let call = index_of(parts.ops.len());
    let span = function.result.span;
    let result = &assignment.result;
    let hidden = result.indirect.and_then(|location| parts.register(incoming(location), span));
    let memory = if result.indirect.is_some() { 0 } else { scratch.take(result.extent.size) };
    parts.push(Some(Op::Upcall(UpcallOp::Call { result: memory, hidden })));
    let reply = match (hidden, result.scalar.map(|scalar| fetch(scalar, abi))) {
        (Some(from), _) => Some(UpcallOp::ReplyHidden { from }),
        _ if function.result.kind == TypeKind::Void || result.pieces.is_empty() => None,
        (None, Some(fetch)) if fetch != Fetch::Whole => Some(UpcallOp::Reply { fetch }),
        (None, _) => {
            let moves = parts.travels(result, FrameLayout::result_register, span);
            moves.map(|moves| UpcallOp::ReplySplit { moves: parts.moves(moves) })
        }
    };
    parts.push(reply.map(Op::Upcall));
    let end = FrameLayout::CALLER_STACK + parts.stack();
    parts.finish(prototype, Kind::Closure, call, end)
}

/// Room in the scratch memory, 16-aligned.
#[derive(Default)]
struct Scratch {
    end: usize,
}

impl Scratch {
    /// All arguments in registers and one result in registers take less than there is.
    fn take(&mut self, size: u64) -> u32 {
        let start = self.end;
        self.end += usize::try_from(size).unwrap_or(SCRATCH).next_multiple_of(16);
        u32::try_from(start).unwrap_or(u32::MAX)
    }
}

fn lend(parts: &mut Parts, scratch: &mut Scratch, value: &Value, span: Span) -> Option<UpcallOp> {
    if let Some(location) = value.indirect {
        let from = parts.register(incoming(location), span)?;
        return Some(UpcallOp::LendBehind { from });
    }
    if let Some(from) = in_place(value) {
        return Some(UpcallOp::Lend { from });
    }
    let moves = parts.travels(value, incoming, span)?;
    let offset = scratch.take(value.extent.size);
    Some(UpcallOp::Join { moves: parts.moves(moves), offset })
}

/// Where all bytes of a value lie side by side, aligned.
fn in_place(value: &Value) -> Option<At> {
    let first = value.pieces.first()?;
    let from = incoming(first.location)?;
    let mut end = 0;
    for piece in &value.pieces {
        let at = incoming(piece.location)?;
        if piece.offset != end || at.offset() != from.offset() + usize::try_from(end).ok()? {
            return None;
        }
        end += piece.size;
    }
    let on_stack = matches!(first.location, Location::Stack(_));
    let aligned = on_stack
        || (value.extent.align <= 16
            && from.offset().is_multiple_of(usize::try_from(value.extent.align).ok()?));
    (u64::from(end) == value.extent.size && aligned).then_some(from)
}

/// Where in the frame a register or stack slot of a call that comes in is.
fn incoming(location: Location) -> Option<At> {
    match location {
        Location::Integer(number) => FrameLayout::integer(number),
        Location::Vector(number) => FrameLayout::vector(number),
        Location::Stack(offset) => FrameLayout::caller_slot(offset),
        Location::X87(_) => None,
    }
}
