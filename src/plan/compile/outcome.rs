//! What happens after the call: results, out pointers, handles that change hands.
use super::expression::When;
use super::life::is_descriptor;
use super::lower::{Crossing, Lowered};
use super::params::{Pointee, is_text};
use super::{Compiler, fate_of};
use crate::plan::abi::{Location, Piece, Value};
use crate::plan::frame::FrameLayout;
use crate::plan::layout::{DataModel, Scalar, scalar_of};
use crate::plan::op::{At, Fate, Op, Operand, Ownership, Returns, Slot, TakeExtent, Width};
use crate::plan::{Lowering, Purpose, WasmType};
use crate::signature::{Expr, Float, Ident, Lender, NoteKind, Param, Type, TypeKind};
use std::num::NonZeroU16;

impl<'a> Compiler<'a> {
    /// Ops for handles and the result; how the call op decodes the result.
    pub(super) fn outcome(&mut self, value: &Value, lowered: &Lowered) -> Returns {
        self.held_after();
        let returns = self.handles_and_result(value, lowered);
        self.outlives();
        returns
    }

    fn handles_and_result(&mut self, value: &Value, lowered: &Lowered) -> Returns {
        let prototype = self.prototype;
        for (index, param) in prototype.function.params.iter().enumerate() {
            if !self.params[index].handle {
                continue;
            }
            let slot = self.slots[index];
            match fate_of(param) {
                Fate::Kept => {}
                Fate::Invalidated => self.after.facts.push(Op::EndLoans { slot }),
                Fate::Consumed => {
                    let condition = param.ty.notes.iter().find_map(|note| match &note.kind {
                        NoteKind::ConsumesIf(condition) => Some(condition),
                        _ => None,
                    });
                    let condition = condition.and_then(|c| self.expression(c, When::After));
                    let condition = condition.and_then(|index| NonZeroU16::new(index + 1));
                    self.after.facts.push(Op::Consume { slot, condition });
                }
            }
        }
        let result = &prototype.function.result;
        if result.kind == TypeKind::Void {
            return Returns::Void;
        }
        self.check_members(result, lowered.result, value);
        match lowered.result {
            Crossing::Nothing => Returns::Void,
            Crossing::Scalar(Scalar::Pointer) => {
                self.pointer_result(result);
                Returns::Record
            }
            Crossing::Scalar(scalar) if is_descriptor(result) => self.descriptor_back(scalar),
            Crossing::Scalar(scalar) => {
                self.scalar_result(scalar, &lowered.lowering, is_in_integers(value))
            }
            Crossing::Vector => Returns::Vector,
            Crossing::Two(_) | Crossing::Address => {
                self.result_by_address(result, value);
                Returns::Record
            }
        }
    }

    fn scalar_result(&mut self, scalar: Scalar, lowering: &Lowering, in_integers: bool) -> Returns {
        let signed = self.target.abi.is_signed(scalar);
        let narrow = lowering.results.first() == Some(&WasmType::I32);
        match (scalar, scalar.host_size()) {
            (Scalar::Bool, _) => Returns::Bool,
            // The bits are the value, wherever they are.
            (Scalar::Float(Float::Float), _) if in_integers => Returns::Int32,
            (Scalar::Float(Float::Double), _) if in_integers => Returns::Int64,
            (Scalar::Float(Float::Float), _) => Returns::Float32,
            (Scalar::Float(Float::Double), _) => Returns::Float64,
            (_, 1) if signed => Returns::Int8,
            (_, 1) => Returns::UInt8,
            (_, 2) if signed => Returns::Int16,
            (_, 2) => Returns::UInt16,
            (_, 4) => Returns::Int32,
            (_, 8) if !narrow => Returns::Int64,
            (_, 8) if signed => Returns::Long32,
            (_, 8) => Returns::ULong32,
            _ => {
                self.error(
                    self.prototype.function.result.span,
                    "a value of this type cannot be returned",
                    "let the function write it behind a pointer",
                );
                Returns::Void
            }
        }
    }

    fn pointer_result(&mut self, ty: &'a Type) {
        let from = FrameLayout::result_integer();
        let param = super::index_of(self.all.len());
        if let Some(to) = self.incoming(ty, from, param) {
            let returns = self.pointer_returns();
            self.after.result.push(Op::Return { from: to, returns });
        }
    }

    fn pointer_returns(&self) -> Returns {
        match self.target.model {
            DataModel::Ilp32 => Returns::Int32,
            DataModel::Lp64 => Returns::Int64,
        }
    }

    pub(super) fn pointer_width(&self) -> Width {
        match self.target.model {
            DataModel::Ilp32 => Width::U32,
            DataModel::Lp64 => Width::U64,
        }
    }

    /// A pointer that native code leaves in a cell of parameter `index`.
    pub(super) fn pointer_out(&mut self, index: usize, ty: &'a Type, cell: At) {
        let slot = self.slots[index];
        if let Some(from) = self.incoming(ty, cell, super::index_of(index)) {
            let width = self.pointer_width();
            self.after.store.push(Op::StoreCell { slot, from, width });
        }
    }

    /// Ops that turn the native pointer at `from`, of type `ty`, into what the guest gets. Returns
    /// where that is. `param` is what errors are about; one past the last is the result.
    fn incoming(&mut self, ty: &'a Type, from: At, param: u16) -> Option<At> {
        let to = self.local(8);
        let lender = ty.notes.iter().find_map(|note| match &note.kind {
            NoteKind::LifetimeBound(lender) => Some(lender),
            _ => None,
        });
        let freed = ty.notes.iter().find_map(|note| match &note.kind {
            NoteKind::FreedBy(function) => Some(function),
            _ => None,
        });
        match self.pointee(ty) {
            Pointee::Opaque(record) => {
                let kind = self.kind(record);
                let borrowed = ty.has(|n| *n == NoteKind::Borrowed);
                let parent = match lender {
                    Some(Lender::Param(name)) => Some(Slot::new(self.handle_slot(name)?)?),
                    Some(Lender::Static) | None => None,
                };
                self.adopts += 1;
                self.after.adopt.push(Op::Adopt { from, to, kind, borrowed, parent });
                if usize::from(param) == self.all.len() {
                    self.keep_by_result(to);
                }
            }
            Pointee::None(what) => {
                self.error(ty.span, format!("{what} is no pointer"), "return a pointer");
                return None;
            }
            Pointee::Cookie => self.cookie_back(from, to, param),
            Pointee::Code => {
                self.refuse_code(ty);
                return None;
            }
            Pointee::Deep | Pointee::Pointer => match (freed, lender) {
                (Some(function), _) => {
                    self.take_deep(ty, from, to, Ownership::Guest, param)?;
                    let callee = self.callee(&function.name, Purpose::Free);
                    self.after.checks.push(Op::FreeNative { from, callee });
                }
                (None, Some(lender)) => {
                    let owner = self.owner(lender)?;
                    if usize::from(param) == self.params.len()
                        && matches!(owner, Ownership::Handle { .. })
                        && ty.has(|note| *note == NoteKind::Inout)
                    {
                        let message =
                            "data with pointers, or of another layout, cannot be copied back";
                        self.error(ty.span, message, "hand out bytes, or write `_In_`");
                        return None;
                    }
                    self.take_deep(ty, from, to, owner, param)?;
                }
                (None, None) => self.after.checks.push(Op::Inside { from, to, param }),
            },
            Pointee::Bytes => self.after.checks.push(Op::Inside { from, to, param }),
            Pointee::Text | Pointee::Counted(_) | Pointee::Integer(_) | Pointee::Plain { .. } => {
                if let Some(function) = freed {
                    self.freed(ty, from, to, function, param)?;
                } else if let Some(lender) = lender {
                    self.lent(ty, from, to, lender, param)?;
                } else if is_static_text(ty) && usize::from(param) == self.params.len() {
                    self.after.checks.push(Op::InsideOr { from, to });
                    self.copied(ty, from, to, Ownership::Static, Some(to), param)?;
                } else {
                    self.after.checks.push(Op::Inside { from, to, param });
                }
            }
        }
        Some(to)
    }

    fn owner(&mut self, lender: &Lender) -> Option<Ownership> {
        Some(match lender {
            Lender::Static => Ownership::Static,
            Lender::Param(name) => Ownership::Handle { slot: self.handle_slot(name)?, back: false },
        })
    }

    fn lent(&mut self, ty: &'a Type, from: At, to: At, lender: &Lender, param: u16) -> Option<()> {
        let mut owner = self.owner(lender)?;
        if let Ownership::Handle { back, .. } = &mut owner {
            let is_result = usize::from(param) == self.params.len();
            *back = is_result && ty.has(|note| *note == NoteKind::Inout);
            if *back && (ty.pointee()?.quals.is_const || self.plain(ty.pointee()?, false).is_none())
            {
                self.error(
                    ty.span,
                    "only plain data that is not `const` can be copied back to native memory",
                    "write `_In_`, or hand out bytes",
                );
                return None;
            }
        }
        self.copied(ty, from, to, owner, None, param).map(|_| ())
    }

    fn freed(
        &mut self,
        ty: &'a Type,
        from: At,
        to: At,
        function: &Ident,
        param: u16,
    ) -> Option<()> {
        self.copied(ty, from, to, Ownership::Guest, None, param)?;
        let callee = self.callee(&function.name, Purpose::Free);
        self.after.checks.push(Op::FreeNative { from, callee });
        Some(())
    }

    /// `Take` and `Give`.
    fn copied(
        &mut self,
        ty: &'a Type,
        from: At,
        to: At,
        owner: Ownership,
        unless: Option<At>,
        param: u16,
    ) -> Option<()> {
        if self.plain(ty.pointee()?, false).is_none() {
            return self.take_deep(ty, from, to, owner, param);
        }
        let extent = self.extent(ty)?;
        let take = self.takes;
        self.takes = take.checked_add(1)?;
        self.after.checks.push(Op::Take { from, take, extent, unless, param });
        self.after.guest.push(Op::Give { take, to, from, owner, unless, param });
        Some(())
    }

    /// How far a native pointer reaches.
    fn extent(&mut self, ty: &Type) -> Option<TakeExtent> {
        let pointee = ty.pointee()?;
        let (expr, by_bytes) = match self.pointee(ty) {
            Pointee::Text => {
                let unit = scalar_of(pointee).and_then(|s| u8::try_from(s.host_size()).ok());
                return unit.map(TakeExtent::Text);
            }
            Pointee::Counted(NoteKind::CountedBy(e) | NoteKind::CountedByOrNull(e)) => (e, false),
            Pointee::Counted(NoteKind::SizedBy(e)) => (e, true),
            _ => {
                let size = self.element_size(pointee)?;
                return Some(TakeExtent::Object(size));
            }
        };
        let size = if by_bytes || pointee.kind == TypeKind::Void {
            1
        } else {
            self.element_size(pointee)?
        };
        let count = self.count_after(expr)?;
        Some(TakeExtent::Counted { count, size })
    }

    fn element_size(&self, ty: &Type) -> Option<u32> {
        // What differs on the host is taken as a shape: see `copied`.
        self.plain(ty, false).and_then(|extent| u32::try_from(extent.size).ok())
    }

    /// A count that is computed after the call.
    fn count_after(&mut self, expr: &Expr) -> Option<Operand> {
        let expr = self.expression(expr, When::After)?;
        let to = self.local(16);
        self.after.checks.push(Op::Measure { expr, to });
        Some(Operand { at: to, width: Width::I128 })
    }

    /// Whether the result, or what native code leaves behind a pointer, is lent by that parameter.
    pub(super) fn lends(&self, param: &Param) -> bool {
        let function = &self.prototype.function;
        let left = function.params.iter().filter_map(|param| param.ty.pointee());
        let named = |note: &NoteKind| match note {
            NoteKind::LifetimeBound(Lender::Param(name)) => {
                param.name.as_ref().is_some_and(|own| own.name == name.name)
            }
            _ => false,
        };
        std::iter::once(&function.result).chain(left).any(|ty| ty.has(named))
    }

    /// The guest slot of the handle parameter of that name.
    pub(super) fn handle_slot(&mut self, name: &Ident) -> Option<u16> {
        let index = self.prototype.param_index(&name.name);
        let handle = index.filter(|index| self.params[*index].handle);
        if handle.is_none() {
            self.error(
                name.span,
                format!("`{name}` is no handle"),
                "name a parameter that points to an incomplete struct",
            );
        }
        let index = handle?;
        if fate_of(&self.prototype.function.params[index]) == Fate::Consumed {
            self.error(
                name.span,
                format!(
                    "`{name}` may be gone after the call: it can neither lend nor keep anything"
                ),
                "name a handle that the call leaves alone",
            );
            return None;
        }
        Some(self.slots[index])
    }

    /// Splits the result off the call op, for plans with an *after* section.
    pub(super) fn result_apart(&mut self, returns: Returns, value: &Value) -> Returns {
        let (integer, vector) = (FrameLayout::result_integer(), FrameLayout::result_vector());
        let param = super::index_of(self.params.len());
        let mut fits = |from, width| {
            self.after.checks.push(Op::Fits {
                from: Operand { at: integer, width: from },
                width,
                param,
            });
            (integer, Returns::Int32)
        };
        let (from, decode) = match returns {
            Returns::Void | Returns::Record => return returns,
            Returns::Long32 => fits(Width::I64, Width::I32),
            Returns::ULong32 => fits(Width::U64, Width::U32),
            Returns::Vector if is_in_integers(value) => (integer, returns),
            Returns::Float32 | Returns::Float64 | Returns::Vector => (vector, returns),
            Returns::Int8
            | Returns::UInt8
            | Returns::Int16
            | Returns::UInt16
            | Returns::Bool
            | Returns::Int32
            | Returns::Int64 => (integer, returns),
        };
        self.after.result.push(Op::Return { from, returns: decode });
        Returns::Record
    }
}

/// Whether a result comes in integer registers, as a struct of one floating member does that has an
/// array of no elements beside it (`plan::abi`).
fn is_in_integers(value: &Value) -> bool {
    matches!(value.pieces.first(), Some(Piece { location: Location::Integer(_), .. }))
}

/// `const char *` with nothing said about who lends it: the library's own, for ever, unless it
/// points into the guest's memory.
fn is_static_text(ty: &Type) -> bool {
    is_text(ty) && ty.pointee().is_some_and(|pointee| pointee.quals.is_const)
}
