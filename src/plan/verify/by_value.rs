//! Values that do not cross as one scalar of at most 64 bits, on the guest's side.
use super::crossing::Crossing;
use super::demand::Argument;
use super::error::Fault;
use super::moves::{Room, rooms};
use super::written::What;
use super::{Checked, Verifier, image};
use crate::plan::abi::{Abi, Value};
use crate::plan::frame::FrameLayout;
use crate::plan::layout::Scalar;
use crate::plan::op::At;
use crate::signature::{Float, Type};

impl Verifier<'_> {
    /// 16 bytes from two slots.
    pub(super) fn pair(&mut self, slot: u16, to: At, extended: bool) -> Checked {
        let index = self.travels(to)?;
        let Argument::Two(scalar) = self.params[index].wants else {
            return Err(self.disagrees("the type", index));
        };
        let is_x87 =
            scalar == Scalar::Float(Float::LongDouble) && self.reader.abi == Abi::SysvX86_64;
        self.agrees(extended == is_x87, "the conversion", index)?;
        self.place_bytes(slot, to, 16, What::Value).map(|_| ())
    }

    /// 16 bytes from a slot.
    pub(super) fn vector(&mut self, slot: u16, to: At) -> Checked {
        let index = self.travels(to)?;
        let is_vector = matches!(self.params[index].wants, Argument::Vector);
        self.agrees(is_vector, "the type", index)?;
        self.place_bytes(slot, to, 16, What::Value).map(|_| ())
    }

    /// A value that wasm passes by address.
    pub(super) fn object(&mut self, slot: u16, size: u32, moves: u16) -> Checked {
        let index = self.plan.param_of(slot);
        let Some(param) = self.params.get(index) else { return Err(Fault::Slot(slot)) };
        let (ty, first) = (param.ty, param.slot);
        if first != slot || !matches!(param.wants, Argument::Object) {
            return Err(Fault::Slot(slot));
        }
        let value = self.assignment.params[index].clone();
        self.same_size(ty, size, index)?;
        let rooms = match value.indirect {
            None => rooms(&value, image).map_err(Fault::Prototype)?,
            Some(_) => vec![self.area(&value, index)?],
        };
        self.check_moves(ty, moves, &rooms, true, index)?;
        if std::mem::replace(&mut self.made.placed[index], true) {
            return Err(Fault::Unasked);
        }
        if value.indirect.is_none() {
            for room in rooms {
                self.written.add(room.at, room.room, What::Value, self.index)?;
            }
        }
        Ok(())
    }

    /// The address of a place among cells and locals is an argument: of a value that the ABI passes
    /// by address, or of the result, of which native code may leave anything as it was.
    pub(super) fn address(&mut self, of: At, to: At, zeroed: u16) -> Checked {
        let travels = |value: &Value| value.indirect.and_then(image) == Some(to);
        let values = self.assignment.params.iter().chain([&self.assignment.result]);
        let index = values.enumerate().find_map(|(index, value)| travels(value).then_some(index));
        let index = index.ok_or(Fault::Area { at: to, bytes: 8, area: "places of addresses" })?;
        let value = self.assignment.params.get(index).unwrap_or(&self.assignment.result);
        let size = usize::try_from(value.extent.size).unwrap_or(usize::MAX);
        let align = usize::try_from(value.extent.align).unwrap_or(usize::MAX).max(16);
        let clear = if index < self.params.len() { 0 } else { size };
        self.agrees(of.offset().is_multiple_of(align), "the alignment", index)?;
        self.agrees(usize::from(zeroed) == clear, "what is zeroed", index)?;
        self.written.add(to, 8, What::Address, self.index)?;
        self.written.add_area(of, size.next_multiple_of(16), What::Value, self.index)?;
        match self.made.areas[index].replace(of) {
            None => Ok(()),
            Some(_) => Err(Fault::Unasked),
        }
    }

    /// Where the value of a parameter, or the result, lies whole in the frame.
    fn area(&self, value: &Value, index: usize) -> Checked<Room> {
        let at = self.made.areas[index];
        let at = at.ok_or(Fault::Sequence("before its value has an address"))?;
        let bytes = value.extent.size;
        let room = usize::try_from(bytes).unwrap_or(usize::MAX);
        Ok(Room { host: 0, bytes, at, room })
    }

    /// Room for the result in the guest's memory.
    pub(super) fn room(&mut self, slot: u16, size: u32) -> Checked {
        let index = self.params.len();
        if slot != 0 || !self.returns_by_address() {
            return Err(Fault::Slot(slot));
        }
        self.same_size(&self.plan.prototype.function.result, size, index)?;
        if std::mem::replace(&mut self.made.room, true) { Err(Fault::Unasked) } else { Ok(()) }
    }

    /// Whether slot 0 is the address of the result.
    pub(super) fn returns_by_address(&self) -> bool {
        matches!(self.returned, Crossing::Two(_) | Crossing::Address)
    }

    /// The moves of the result are right.
    pub(super) fn result_moves(&mut self, moves: u16) -> Checked {
        let index = self.params.len();
        if !self.returns_by_address() {
            return Err(Fault::Unasked);
        }
        let value = self.assignment.result.clone();
        let rooms = match value.indirect {
            None => rooms(&value, FrameLayout::result_register).map_err(Fault::Prototype)?,
            Some(_) => vec![self.area(&value, index)?],
        };
        self.check_moves(&self.plan.prototype.function.result, moves, &rooms, false, index)
    }

    fn same_size(&self, ty: &Type, size: u32, index: usize) -> Checked {
        let expected = self.reader.guest_size(ty).map_err(Fault::Prototype)?;
        self.agrees(u64::from(size) == expected, "the size", index)
    }

    /// The entry of the table of moves is that of a value of that type in those places.
    pub(super) fn check_moves(
        &mut self,
        ty: &Type,
        moves: u16,
        rooms: &[Room],
        inward: bool,
        index: usize,
    ) -> Checked {
        let entry = usize::from(moves);
        let Some(list) = self.plan.moves.get(entry) else {
            return Err(Fault::Table { table: "moves", index: entry });
        };
        self.used.moves[entry] = true;
        let checked = self.reader.check_moves(ty, list, rooms, inward);
        checked.map_err(|reason| Fault::Moves { reason, subject: self.subject(index) })
    }
}
