//! How what a guest function returns becomes C's: the rules of parameters (DESIGN 5.2).
use super::super::Compiler;
use super::super::aggregate::{in_pieces, in_place};
use super::super::expression::When;
use super::super::life::is_descriptor;
use super::super::lower::{Crossing, Lowered};
use super::super::native::fetch;
use super::super::params::{Pointee, uncounted_null};
use super::incoming;
use crate::plan::WasmType;
use crate::plan::abi::Value;
use crate::plan::frame::FrameLayout;
use crate::plan::layout::{Scalar, scalar_of};
use crate::plan::op::{At, CallbackOp, Fetch, Null, REMOTE, Width};
use crate::signature::{NoteKind, Type};

impl<'a> Compiler<'a> {
    /// How what the guest's function returns becomes C's.
    pub(super) fn reply(&mut self, value: &Value, lowered: &Lowered) -> Option<CallbackOp> {
        let ty: &'a Type = &self.prototype.function.result;
        match lowered.result {
            Crossing::Nothing => None,
            Crossing::Scalar(Scalar::Pointer) => self.pointer_reply(ty),
            Crossing::Scalar(_) if is_descriptor(ty) => {
                self.refuse_notes(ty, |kind| *kind == NoteKind::Handle);
                if !self.is_int(ty) {
                    return None;
                }
                let kind = self.descriptor_kind(ty);
                Some(CallbackOp::ReplyDescriptor { kind })
            }
            Crossing::Scalar(scalar) => {
                self.refuse_notes(ty, |kind| matches!(kind, NoteKind::Range(..)));
                let wasm = lowered.lowering.results.first().copied();
                let fetch = match (fetch(scalar, self.target.abi), wasm) {
                    (Fetch::Integer(Width::I64), Some(WasmType::I32)) => Fetch::Integer(Width::I32),
                    (Fetch::Integer(Width::U64), Some(WasmType::I32)) => Fetch::Integer(Width::U32),
                    (fetch, _) => fetch,
                };
                Some(match self.interval(ty, scalar)? {
                    None => CallbackOp::Reply { fetch },
                    Some(range) => CallbackOp::ReplyWithin { fetch, range },
                })
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

    fn pointer_reply(&mut self, ty: &'a Type) -> Option<CallbackOp> {
        self.refuse_notes(ty, |kind| *kind == NoteKind::Cookie);
        let pointee = ty.pointee()?;
        let null = uncounted_null(ty);
        match self.pointee(ty) {
            Pointee::Opaque(record) => {
                let kind = self.kind(record);
                Some(CallbackOp::ReplyHandle { kind, null })
            }
            Pointee::Text if pointee.quals.is_const => {
                let unit = u8::try_from(scalar_of(pointee)?.host_size()).ok()?;
                Some(CallbackOp::ReplyText { unit, null })
            }
            Pointee::Counted(note) if self.is_plain_reply(pointee) => {
                let (NoteKind::CountedBy(expr)
                | NoteKind::CountedByOrNull(expr)
                | NoteKind::SizedBy(expr)) = note
                else {
                    return None;
                };
                let extent = self.plain(pointee, true)?;
                let by_bytes = matches!(note, NoteKind::SizedBy(_));
                let size = if by_bytes { 1 } else { u32::try_from(extent.size).ok()? };
                let align = u8::try_from(extent.align).unwrap_or(1);
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
            Pointee::Code => {
                let function = match &pointee.kind {
                    crate::signature::TypeKind::Function(function) => function,
                    _ => return None,
                };
                let callback = self.callback_of(function, ty, None)?;
                Some(CallbackOp::ReplyFunction { callback, null })
            }
            Pointee::Cookie => Some(CallbackOp::ReplyCookie),
            Pointee::Bytes => {
                let message = "the callback returns a pointer, and nothing says how far it reaches";
                self.error(
                    ty.span,
                    message,
                    "write `__sized_by(n)` after its `*`, or `__cookie` if C only carries it",
                );
                None
            }
            Pointee::Integer(_)
            | Pointee::Plain { .. }
            | Pointee::Deep
            | Pointee::Pointer
            | Pointee::Text
            | Pointee::Counted(_)
            | Pointee::None(_) => {
                if super::arrival::count_of(ty).is_none()
                    && !ty
                        .has(|n| matches!(n, NoteKind::NullTerminated | NoteKind::TerminatedBy(_)))
                    && self.is_plain_reply(pointee)
                {
                    // One object, which C may write to: it is the guest's memory.
                    let extent = self.plain(pointee, true)?;
                    let (size, align) =
                        (u32::try_from(extent.size).ok()?, u8::try_from(extent.align).ok()?);
                    return Some(CallbackOp::ReplyBuffer { expr: None, size, align, null });
                }
                let root = self.leads_to(ty, "return".to_owned())?;
                self.refuse_functions(root, ty, true);
                if !self.only_goes_in(root) {
                    self.error(
                        ty.span,
                        "C would write to a copy of what the callback returns, and nobody would see it",
                        "make what is pointed at `const`, or write `_In_`",
                    );
                    return None;
                }
                Some(CallbackOp::ReplyCopy { root })
            }
        }
    }

    /// Whether what a callback returns is lent to C where it is: the same bytes on both sides, of which none is
    /// looked at.
    fn is_plain_reply(&self, pointee: &Type) -> bool {
        pointee.pointee().is_none() && self.plain(pointee, true).is_some_and(|one| one.size > 0)
    }
}
