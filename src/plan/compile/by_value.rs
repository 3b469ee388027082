//! Values that do not cross as one scalar of at most 64 bits.
use super::Compiler;
use super::aggregate::{in_pieces, in_place};
use super::leaves::{Leaf, Sides, leaves};
use super::lower::Crossing;
use crate::plan::abi::{Abi, Value};
use crate::plan::frame::FrameLayout;
use crate::plan::layout::{Scalar, Target as Memory, extent_of};
use crate::plan::op::Op;
use crate::signature::{Float, Param, Type, TypeKind};

impl Compiler<'_> {
    fn sides(&self) -> Sides<'_> {
        let memory = Memory::Guest(self.target.model);
        Sides { scope: self.target.scope, memory, abi: self.target.abi }
    }

    /// What a value is made of. Mistakes are kept.
    pub(super) fn leaves(&mut self, ty: &Type) -> Option<Vec<Leaf>> {
        let found = leaves(ty, self.sides());
        found.map_err(|error| self.errors.push(error)).ok()
    }

    /// Size of a type in the guest's memory.
    pub(super) fn guest_size(&mut self, ty: &Type) -> Option<u32> {
        let extent = extent_of(ty, self.target.scope, Memory::Guest(self.target.model)).ok()?;
        u32::try_from(extent.size).ok()
    }

    /// Struct members that no plan can pass are told, also of structs that cross as a scalar.
    pub(super) fn check_members(&mut self, ty: &Type, crossing: Crossing, value: &Value) {
        match (&ty.kind, crossing) {
            (kind, _) if self.is_boxed(kind) => {
                self.error(
                    ty.span,
                    "a `__boxed` object lies in memory of its own and is never passed by value",
                    "pass a pointer to it",
                );
            }
            (_, Crossing::Nothing) if !value.pieces.is_empty() || value.indirect.is_some() => {
                self.error(
                    ty.span,
                    "C passes this struct although it has no members, and wasm does not",
                    "pass a pointer to it",
                );
            }
            // GCC's way with a member after which an array of no large elements stands.
            (TypeKind::Record(_), Crossing::Scalar(_) | Crossing::Vector)
                if value.indirect.is_some() =>
            {
                self.error(
                    ty.span,
                    "C returns this struct through memory, and wasm as one value",
                    "pass a pointer to it, which the function fills in",
                );
            }
            (TypeKind::Record(_), Crossing::Scalar(_) | Crossing::Two(_) | Crossing::Vector) => {
                let _ = self.leaves(ty);
            }
            _ => {}
        }
    }

    /// A parameter that does not cross as one scalar of at most 64 bits.
    pub(super) fn by_value(
        &mut self,
        index: usize,
        param: &Param,
        crossing: Crossing,
        value: &Value,
    ) {
        let slot = self.slots[index];
        match crossing {
            Crossing::Nothing | Crossing::Scalar(_) => {}
            Crossing::Two(scalar) => {
                let extended = scalar == Scalar::Float(Float::LongDouble)
                    && self.target.abi == Abi::SysvX86_64;
                let Some(piece) = value.pieces.first() else { return };
                let Some(to) = self.place(piece.location, param) else { return };
                let op = if extended { Op::Extended { slot, to } } else { Op::Pair { slot, to } };
                self.before.scalars.push(op);
            }
            Crossing::Vector => {
                let Some(piece) = value.pieces.first() else { return };
                let Some(to) = self.place(piece.location, param) else { return };
                self.before.scalars.push(Op::Vector { slot, to });
            }
            Crossing::Address => self.object(slot, param, value),
        }
    }

    /// A value that wasm passes by address.
    fn object(&mut self, slot: u16, param: &Param, value: &Value) {
        let Some(leaves) = self.leaves(&param.ty) else { return };
        let Some(size) = self.guest_size(&param.ty) else { return };
        let moves = match value.indirect {
            None => match in_pieces(&leaves, value, FrameLayout::argument, true, param.span) {
                Ok(moves) => moves,
                Err(error) => return self.errors.push(error),
            },
            Some(location) => {
                let host = value.extent.size;
                let Some(of) = self.area(value.extent, param.span) else { return };
                let Some(to) = self.place(location, param) else { return };
                self.before.pointers.push(Op::Address { of, to, zeroed: 0 });
                in_place(&leaves, of, host, true)
            }
        };
        let moves = self.moves(moves);
        self.before.pointers.push(Op::Object { slot, size, moves });
    }

    /// A result that wasm returns through memory: at the address in slot 0.
    pub(super) fn result_by_address(&mut self, ty: &Type, value: &Value) {
        let Some(leaves) = self.leaves(ty) else { return };
        let Some(size) = self.guest_size(ty) else { return };
        let moves = match value.indirect {
            None => match in_pieces(&leaves, value, FrameLayout::result_register, false, ty.span) {
                Ok(moves) => moves,
                Err(error) => return self.errors.push(error),
            },
            Some(location) => {
                let host = value.extent.size;
                let Some(of) = self.area(value.extent, ty.span) else { return };
                let Some(to) = FrameLayout::argument(location) else { return };
                let Ok(zeroed) = u16::try_from(host) else { return };
                self.before.pointers.push(Op::Address { of, to, zeroed });
                in_place(&leaves, of, host, false)
            }
        };
        let moves = self.moves(moves);
        self.before.pointers.push(Op::Room { slot: 0, size });
        self.after.checks.push(Op::FitsObject { moves });
        self.after.store.push(Op::StoreObject { slot: 0, moves });
    }
}
