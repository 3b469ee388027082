//! How what C passes to a guest function becomes the guest's: the rules of results (DESIGN 5.2).
use super::super::aggregate::{in_pieces, in_place};
use super::super::expression::{When, integer_width};
use super::super::leaves::Inner;
use super::super::life::is_descriptor;
use super::super::lower::{Crossing, Lowered};
use super::super::params::{Pointee, is_text};
use super::super::{Compiler, index_of};
use super::incoming;
use crate::plan::WasmType;
use crate::plan::abi::{Abi, Value};
use crate::plan::layout::{Scalar, constant_on_host};
use crate::plan::op::{At, CallbackOp, Lent, Operand, REMOTE, Returns};
use crate::plan::shape::{Keep, Target};
use crate::signature::{Expr, ExprKind, Float, Lender, Note, NoteKind, Param, Type, TypeKind};

impl<'a> Compiler<'a> {
    /// How an argument of C becomes the guest's.
    pub(super) fn arrival(
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
            Crossing::Scalar(Scalar::Pointer) => self.pointer_arrives(index, first?),
            Crossing::Scalar(_) if is_descriptor(&param.ty) => {
                self.refuse_notes(&param.ty, |kind| *kind == NoteKind::Handle);
                if !self.is_int(&param.ty) {
                    return None;
                }
                let kind = self.descriptor_kind(&param.ty);
                Some(CallbackOp::Descriptor { from: first?, slot, kind })
            }
            Crossing::Scalar(scalar) => {
                self.refuse_notes(&param.ty, |kind| matches!(kind, NoteKind::Range(..)));
                let wasm = lowered.lowering.params.get(usize::from(slot)).copied()?;
                let returns = decoded(scalar, wasm, self.target.abi);
                if returns.is_none() {
                    self.no_scalar(param.span, &param.ty);
                }
                let (from, returns) = (first?, returns?);
                Some(match self.interval(&param.ty, scalar)? {
                    None => CallbackOp::Scalar { from, slot, returns },
                    Some(range) => {
                        let width = integer_width(scalar, self.target.abi)?;
                        let from = Operand { at: from, width };
                        CallbackOp::ScalarWithin { from, slot, returns, range }
                    }
                })
            }
            Crossing::Two(scalar) => {
                self.refuse_notes(&param.ty, |_| false);
                let extended = scalar == Scalar::Float(Float::LongDouble)
                    && self.target.abi == Abi::SysvX86_64;
                let low = first?;
                let high = match value.pieces.as_slice() {
                    [_] => At::new(low.offset() + 8)?,
                    [_, high] => incoming(high.location)?,
                    _ => return None,
                };
                Some(CallbackOp::Pair { low, high, slot, extended })
            }
            Crossing::Vector => Some(CallbackOp::Vector { from: first?, slot }),
            Crossing::Address => {
                let leaves = self.leaves(&param.ty)?;
                let size = self.guest_size(&param.ty)?;
                let behind = match value.indirect {
                    None => None,
                    Some(location) => Some(incoming(location)?),
                };
                let moves = if behind.is_some() {
                    Ok(in_place(&leaves, At::new(REMOTE)?, value.extent.size, false))
                } else {
                    in_pieces(&leaves, value, incoming, false, param.span)
                };
                match moves {
                    Ok(moves) => {
                        let moves = self.moves(moves);
                        Some(CallbackOp::Object { slot, size, moves, behind })
                    }
                    Err(error) => {
                        self.errors.push(error);
                        None
                    }
                }
            }
        }
    }

    pub(super) fn no_scalar(&mut self, span: crate::signature::Span, ty: &Type) {
        let message =
            format!("`{}` does not travel between C and a guest function", ty.as_written());
        self.error(span, message, "pass a pointer to it");
    }

    /// The entry of the table of ranges for an integer's `__range`s; `Some(None)` when it has none.
    #[expect(clippy::option_option, reason = "no plan, no range, a range")]
    pub(super) fn interval(&mut self, ty: &Type, scalar: Scalar) -> Option<Option<u16>> {
        let bounds = ty.notes.iter().filter_map(|note| match &note.kind {
            NoteKind::Range(low, high) => Some((low, high, note.span)),
            _ => None,
        });
        let (mut found, mut first) = (Vec::new(), None);
        for (low, high, span) in bounds {
            let constant = |bound| constant_on_host(bound, self.target.scope, self.target.abi);
            let known = constant(low).zip(constant(high));
            let Some(known) = known.filter(|_| integer_width(scalar, self.target.abi).is_some())
            else {
                let message = "a `__range` in a callback needs an integer and constants";
                self.error(span, message, "write numbers, or let the guest's function look");
                return None;
            };
            found.push(known);
            first = first.or(Some(span));
        }
        if found.is_empty() {
            return Some(None);
        }
        let known = self.ranges.iter().position(|known| **known == *found);
        Some(Some(index_of(known.unwrap_or_else(|| {
            self.ranges.push(found.into());
            self.ranges.len() - 1
        }))))
    }

    /// What annotations ask for that has no meaning in a callback, or would not be safe.
    pub(super) fn refuse_notes(&mut self, ty: &Type, allowed: impl Fn(&NoteKind) -> bool) {
        use NoteKind as N;
        for Note { kind, span } in &ty.notes {
            let (message, help) = match kind {
                kind if allowed(kind) => continue,
                N::Closure(_) => (
                    "a callback is given no function that this could belong to".to_owned(),
                    "write `__cookie`",
                ),
                N::Cookie => (
                    "a cookie is a `void *` that C carries".to_owned(),
                    "C carries an integer as it is: leave `__cookie` out",
                ),
                N::Handle => (
                    "a descriptor is an `int` that is passed by value".to_owned(),
                    "let the guest call a function that takes or leaves it",
                ),
                N::CapturedBy(_) => (
                    "what a callback is given or gives is lent: nothing of it is kept for somebody".to_owned(),
                    "let the guest call a function of the library that is marked so",
                ),
                N::Boxed => (
                    "a callback is given no `__boxed` object: its mirror is where the guest has made it".to_owned(),
                    "pass a cookie, by which the guest's function finds its own",
                ),
                N::Retains | N::Remember(..) | N::Exclusive | N::Consumes | N::ConsumesIf(_)
                | N::Invalidates => (
                    format!("`{kind}` in a callback: its handles are lent, and their owners are those of native code"),
                    "let the guest call a function of the library that is marked so",
                ),
                N::FreedBy(_) => (
                    "memory that one side frees cannot be made by the other".to_owned(),
                    "wrap it in a C function that copies",
                ),
                N::LifetimeBound(_) => (
                    "data that a callback is given is a copy, which ends with it".to_owned(),
                    "hand it out by a function of the library, `__lifetimebound` to a handle",
                ),
                N::Value(_) => (
                    "the arguments of a callback are what native code passes".to_owned(),
                    "leave `__value` out",
                ),
                N::Range(..) => (
                    "a `__range` in a callback needs an integer and constants".to_owned(),
                    "write it after an integer",
                ),
                _ => continue,
            };
            self.error(*span, message, help);
        }
    }

    fn pointer_arrives(&mut self, index: usize, from: At) -> Option<CallbackOp> {
        let (slot, ty) = (self.slots[index], self.ty(index));
        let pointee = ty.pointee()?;
        if ty.has(|note| *note == NoteKind::Cookie) {
            self.refuse_notes(ty, |kind| *kind == NoteKind::Cookie);
            return Some(CallbackOp::Cookie { from, slot });
        }
        match self.pointee(ty) {
            Pointee::Opaque(record) => {
                self.refuse_notes(ty, |kind| matches!(kind, NoteKind::LifetimeBound(_)));
                let lent = self.lent_for(index, ty)?;
                let kind = self.kind(record);
                return Some(CallbackOp::Handle { from, slot, kind, lent });
            }
            Pointee::Code => {
                self.refuse_notes(ty, |_| false);
                return Some(CallbackOp::Function { from, slot });
            }
            _ => {}
        }
        self.refuse_notes(ty, |_| false);
        let counted = count_of(ty);
        if counted.is_some_and(|expr| self.reads_outside(expr)) && pointee.pointee().is_none() {
            // The count is the outer call's: what it counts is the guest's own.
            return Some(CallbackOp::Inside { from, slot });
        }
        if pointee.kind == TypeKind::Void && counted.is_none() {
            return Some(CallbackOp::Inside { from, slot });
        }
        let root = self.brought(index, ty)?;
        Some(CallbackOp::Copy { from, slot, root })
    }

    /// How long a handle lives that a callback is given.
    fn lent_for(&mut self, index: usize, ty: &Type) -> Option<Lent> {
        let lender = ty.notes.iter().find_map(|note| match &note.kind {
            NoteKind::LifetimeBound(lender) => Some(lender),
            _ => None,
        });
        let name = match lender {
            None => return Some(Lent::Callback),
            Some(Lender::Static) => return Some(Lent::Static),
            Some(Lender::Param(name)) => name,
        };
        let before = self.prototype.param_index(&name.name).filter(|other| {
            *other < index && matches!(self.pointee(self.ty(*other)), Pointee::Opaque(_))
        });
        let Some(before) = before else {
            let message = format!("`{name}` is no handle that stands before what it lends");
            self.error(name.span, message, "name a handle before it");
            return None;
        };
        Some(Lent::By(self.slots[before]))
    }

    /// The root of what a pointer leads to that native code passes.
    fn brought(&mut self, index: usize, ty: &'a Type) -> Option<u16> {
        let pointee = ty.pointee()?;
        let said = |note: &NoteKind| matches!(note, NoteKind::In | NoteKind::Out | NoteKind::Inout);
        if pointee.pointee().is_some()
            && !pointee.quals.is_const
            && !is_text(ty)
            && count_of(ty).is_some()
            && !ty.has(said)
        {
            self.error(
                ty.span,
                "this does not say which way its pointers go",
                "add `_In_`, `_Out_` or `_Inout_`, or make the pointers `const`",
            );
            return None;
        }
        if pointee.pointee().is_some()
            && !is_text(ty)
            && count_of(ty).is_none()
            && !ty.has(|n| matches!(n, NoteKind::Single | NoteKind::TerminatedBy(_)))
            && !ty.has(said)
        {
            self.error(
                ty.span,
                "nothing says how many pointers native code passes",
                "write `__counted_by(n)` with a parameter of the callback, `__null_terminated`, or `_Out_` if the guest fills in one",
            );
            return None;
        }
        let name = self.name_of(index);
        let root = self.leads_to(ty, name)?;
        self.refuse_functions(root, ty, false);
        Some(root)
    }

    fn name_of(&self, index: usize) -> String {
        let name = self.all[index].name.as_ref();
        name.map_or_else(|| format!("parameter {}", index + 1), |name| name.to_string())
    }

    /// The root of what a pointer of a callback leads to.
    pub(super) fn leads_to(&mut self, ty: &'a Type, path: String) -> Option<u16> {
        let pointee = ty.pointee()?;
        if self.is_boxed(&pointee.kind) {
            let message = "a callback is given no `__boxed` object: its mirror is where the guest has made it";
            let help = "pass a cookie, by which the guest's function finds its own";
            self.error(ty.span, message, help);
            return None;
        }
        let site = Inner { memory: 0, host: 0, ty, path, owner: None };
        // What `void *` counts are bytes.
        let link = self.link(&site, When::Before, pointee.kind != TypeKind::Void)?;
        Some(self.root(link))
    }

    /// Whether expressions may read what a parameter points at: one object that is there.
    pub(super) fn can_be_read(&self, ty: &Type) -> bool {
        let Some(pointee) = ty.pointee() else { return false };
        let one = count_of(ty).is_none() && pointee.kind != TypeKind::Void;
        let apart = |n: &NoteKind| matches!(n, NoteKind::Cookie | NoteKind::Out);
        let is_code = matches!(pointee.kind, TypeKind::Function(_));
        let is_data = match &pointee.kind {
            TypeKind::Record(record) => self.is_complete(record),
            _ => true,
        };
        one && is_data && !is_code && !ty.has(apart)
    }

    /// Whether an expression names something that is no parameter of the callback.
    pub(super) fn reads_outside(&self, expr: &Expr) -> bool {
        use ExprKind as E;
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

    /// Functions in data that a callback is given are lent like all of it; in data that it returns there are none.
    pub(super) fn refuse_functions(&mut self, root: u16, ty: &Type, returned: bool) {
        let root = self.shapes.roots[usize::from(root)].clone();
        let mut refused = None;
        for link in self.links_from(&root) {
            match link.target {
                Target::Function { .. } if returned => {
                    refused = Some(format!(
                        "`{}` is a function in data that a callback returns",
                        link.path
                    ));
                }
                Target::Function { keep, .. } if keep != Keep::Call => {
                    refused =
                        Some(format!("`{}` in a callback: what it is given is lent", link.path));
                }
                _ => {}
            }
        }
        if let Some(message) = refused {
            self.error(
                ty.span,
                message,
                "let the guest pass it to a function of the library that keeps it",
            );
        }
    }

    /// Whether native code's data and what it leads to stays as it is: nothing of it goes out.
    pub(super) fn only_goes_in(&self, root: u16) -> bool {
        let out = |link: &crate::plan::shape::Link| {
            matches!(link.target, Target::Data(_)) && link.direction.is_out()
        };
        !self.links_from(&self.shapes.roots[usize::from(root)]).any(out)
    }
}

/// The expression that counts what is behind a pointer.
pub(super) fn count_of(ty: &Type) -> Option<&Expr> {
    ty.notes.iter().find_map(|note| match &note.kind {
        NoteKind::CountedBy(e) | NoteKind::CountedByOrNull(e) | NoteKind::SizedBy(e) => Some(e),
        _ => None,
    })
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
