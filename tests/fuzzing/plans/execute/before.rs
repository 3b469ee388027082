//! Ops before the call: decode, check, place.
use super::*;

impl Executor<'_, '_, '_> {
    pub(super) fn before(&mut self, op: &Op) -> Checked {
        match *op {
            Op::Int8 { slot, to } => self.put64(to, self.low32(slot) as i8 as i64 as u64),
            Op::UInt8 { slot, to } => self.put64(to, (self.low32(slot) as u8).into()),
            Op::Int16 { slot, to } => self.put64(to, self.low32(slot) as i16 as i64 as u64),
            Op::UInt16 { slot, to } => self.put64(to, (self.low32(slot) as u16).into()),
            Op::Bool { slot, to } => self.put64(to, (self.low32(slot) != 0).into()),
            Op::Int32 { slot, to } | Op::ULong32 { slot, to } | Op::Float32 { slot, to } => {
                self.put64(to, self.low32(slot).into());
            }
            Op::Int64 { slot, to } | Op::Float64 { slot, to } => self.put64(to, self.low64(slot)),
            Op::Long32 { slot, to } => self.put64(to, self.low32(slot) as i32 as i64 as u64),
            Op::Pair { slot, to } | Op::Extended { slot, to } => {
                let both = [self.low64(slot).to_le_bytes(), self.low64(slot + 1).to_le_bytes()];
                self.put(to, &both.concat());
            }
            Op::Vector { slot, to } => {
                let [low, high] = self.slot(slot, &[WasmType::V128]);
                self.put(to, &[low.to_le_bytes(), high.to_le_bytes()].concat());
            }
            Op::Range { value, set, param: _ } => {
                let value = self.operand(value);
                let ranges = &self.plan.ranges[usize::from(set)];
                if !ranges.iter().any(|(low, high)| (*low..=*high).contains(&value)) {
                    return Err(Stop);
                }
            }
            Op::Evaluate { expr, to, param: _ } | Op::Measure { expr, to } => {
                let value = self.expression(expr, 0)?;
                self.put(to, &value.to_le_bytes());
            }
            Op::Require { expr, of: _ } => {
                if self.expression(expr, 0)? == 0 {
                    return Err(Stop);
                }
            }
            Op::Value { expr, to, width, param: _ } => {
                let value = self.expression(expr, 0)?;
                if !width.holds(value) {
                    return Err(Stop);
                }
                self.put64(to, value as u64);
            }
            Op::Buffer { slot, to, count, size, align, null, param: _, extent } => {
                let count = match count {
                    Count::Exactly(count) => count.into(),
                    Count::Of(operand) => self.operand(operand),
                };
                let count = u64::try_from(count).map_err(|_| Stop)?;
                let bytes = count.checked_mul(size.into()).ok_or(Stop)?;
                let guest = self.pointer(slot);
                let native = if guest == 0 {
                    Self::null(null, bytes == 0)?;
                    0
                } else if bytes == 0 {
                    GUEST + guest.min(self.memory.guest_len())
                } else {
                    assert!(align.is_power_of_two(), "trespass: an alignment of {align}");
                    let native = self.inside(guest, bytes)?;
                    if !guest.is_multiple_of(align.into()) {
                        return Err(Stop);
                    }
                    native
                };
                self.put64(to, native);
                if let Some(extent) = extent {
                    self.put64(extent, if native == 0 { 0 } else { bytes });
                }
            }
            Op::Text { slot, to, unit, null, copy, extent } => {
                let guest = self.pointer(slot);
                self.text(guest, to, unit, null, extent)?;
                if copy {
                    self.apart(to, extent);
                }
            }
            Op::Object { slot, size, moves } => {
                let at = self.inside(self.pointer(slot), size.into())?;
                self.load(moves, at, size);
            }
            Op::Address { of, to, zeroed } => {
                self.put(of, &vec![0; zeroed.into()]);
                self.put64(to, FRAME + of.offset() as u64);
            }
            Op::Room { slot, size } => looked(self.inside(self.pointer(slot), size.into())?),
            Op::Format { text, extent, param: _ } => {
                let (at, len) = (self.get64(text), self.get64(extent));
                let bytes = self.memory.read(at, len.saturating_sub(1), "a format");
                let int = |at| whole(&self.get(at, 4), true) as i32;
                format::check(&bytes, &self.plan.passed, Library::default(), int)
                    .map_err(|_| Stop)?;
            }
            Op::Cell { slot, to, cell, guest, host: _, direction, null } => {
                let address = self.pointer(slot);
                self.put64(cell, 0);
                if address == 0 {
                    Self::null(null, false)?;
                    self.put64(to, 0);
                    return Ok(());
                }
                let bytes = guest.bytes() as u64;
                let at = self.inside(address, bytes)?;
                if direction.is_in() {
                    let value = self.memory.integer(at, bytes, guest.is_signed(), "a cell");
                    self.put64(cell, value as u64);
                }
                self.put64(to, FRAME + cell.offset() as u64);
            }
            Op::PointerCell { slot, to, cell, null } => {
                looked(self.pointer_cell((slot, to, cell), null)?)
            }
            Op::TextCell { slot, to, cell, null, extent } => {
                let at = self.pointer_cell((slot, to, cell), null)?;
                self.put64(extent, 0);
                if let Some(at) = at {
                    let inner =
                        self.memory.integer(at, self.pointer_size(), false, "a cell") as u64;
                    self.text(inner, cell, 1, Null::Allowed, extent)?;
                }
            }
            Op::Handle { slot, to, kind, null, fate } => {
                let handle = self.pointer(slot);
                let native = if handle == 0 {
                    Self::null(null, false)?;
                    0
                } else {
                    self.enter(handle, kind, fate)?
                };
                self.put64(to, native);
            }
            Op::Apart { text, text_extent, buffer, buffer_extent } => {
                let (text_at, text_len) = (self.get64(text), self.get64(text_extent));
                let (at, len) = (self.get64(buffer), self.get64(buffer_extent));
                if text_at < at.saturating_add(len) && at < text_at.saturating_add(text_len) {
                    self.apart(text, text_extent);
                }
            }
            Op::Reserve { handles: _ } => {}
            Op::Deep(op) => self.deep_before(op)?,
            Op::Callback(op) => self.pass(op)?,
            Op::Life(op) => self.life_before(op)?,
            ref other => panic!("trespass: {other:?} before the call of an import"),
        }
        Ok(())
    }

    pub fn enter(&mut self, handle: u64, kind: u16, _: Fate) -> Checked<u64> {
        let kind = self.plan.handle_kinds[usize::from(kind)].id;
        let handle = u32::try_from(handle).map_err(|_| Stop)?;
        let object = self.memory.handles.get(&handle).ok_or(Stop)?;
        if object.kind != kind || !object.alive {
            return Err(Stop);
        }
        self.given += 1;
        Ok(object.pointer)
    }

    pub(super) fn text(&mut self, guest: u64, to: At, unit: u8, null: Null, extent: At) -> Checked {
        let (mut native, mut len) = (0, 0);
        if guest == 0 {
            Self::null(null, false)?;
        } else {
            assert!([1, 2, 4].contains(&unit), "trespass: units of {unit} bytes");
            if !guest.is_multiple_of(unit.into()) {
                return Err(Stop);
            }
            native = self.inside(guest, 0)?;
            loop {
                self.inside(guest + len, unit.into())?;
                let found = self.memory.integer(native + len, unit.into(), false, "a string");
                len += u64::from(unit);
                if found == 0 {
                    break;
                }
            }
        }
        self.put64(to, native);
        self.put64(extent, len);
        Ok(())
    }

    /// Replaces guest bytes by a copy of the call's own.
    pub(super) fn apart(&mut self, to: At, extent: At) {
        let (at, len) = (self.get64(to), self.get64(extent));
        if at != 0 && self.memory.what(at, len) == Some(What::Guest) {
            let bytes = self.memory.read(at, len, "what is copied");
            let copy = self.memory.place(What::Copy(Some(at - GUEST)), bytes);
            self.put64(to, copy);
        }
    }

    pub(super) fn pointer_cell(
        &mut self,
        (slot, to, cell): (u16, At, At),
        null: Null,
    ) -> Checked<Option<u64>> {
        let address = self.pointer(slot);
        self.put64(cell, 0);
        if address == 0 {
            Self::null(null, false)?;
            self.put64(to, 0);
            return Ok(None);
        }
        let at = self.inside(address, self.pointer_size())?;
        self.put64(to, FRAME + cell.offset() as u64);
        Ok(Some(at))
    }

    pub(super) fn pass(&mut self, op: CallbackOp) -> Checked {
        let CallbackOp::Pass { slot, to, callback, null, closure, kept: _ } = op else {
            panic!("trespass: {op:?} in an import");
        };
        assert!(usize::from(callback) < self.plan.callbacks.len(), "trespass: no such callback");
        let index = self.pointer(slot);
        let mut native = 0;
        if index == 0 {
            Self::null(null, false)?;
        } else if index > 3 {
            return Err(Stop);
        } else {
            native = self.memory.opaque();
            self.closures.push(native);
        }
        self.put64(to, native);
        self.put64(closure, native);
        Ok(())
    }

    pub(super) fn life_before(&mut self, op: LifeOp) -> Checked {
        match op {
            LifeOp::Cookie { slot, to, with } => {
                let value = u32::try_from(self.pointer(slot)).map_err(|_| Stop)?;
                let without = with.is_some_and(|with| self.pointer(with.number()) == 0);
                self.put64(to, if without { 0 } else { cookie::to_native(value).ok_or(Stop)? });
            }
            LifeOp::Descriptor { slot, to, kind, fate } => {
                let handle = self.low32(slot);
                let value = self.enter(handle.into(), kind, fate)?;
                self.put64(to, value & 0x7fff);
            }
            LifeOp::DescriptorCell { slot, to, cell, null } => {
                let address = self.pointer(slot);
                self.put64(cell, u64::MAX);
                if address == 0 {
                    Self::null(null, false)?;
                    self.put64(to, 0);
                } else {
                    self.inside(address, 4)?;
                    self.put64(to, FRAME + cell.offset() as u64);
                }
            }
            LifeOp::HandleCell { slot, to, cell, held, kind, null, empty } => {
                self.put(held, &[0; 16]);
                if let Some(at) = self.pointer_cell((slot, to, cell), null)? {
                    let handle =
                        self.memory.integer(at, self.pointer_size(), false, "a cell") as u64;
                    if handle == 0 {
                        return Self::null(empty, false);
                    }
                    let native = self.enter(handle, kind, Fate::Consumed)?;
                    self.put(held, &[handle.to_le_bytes(), native.to_le_bytes()].concat());
                    self.put64(cell, native);
                }
            }
            LifeOp::Exclusive { slot, own: _ } => looked(self.low32_or_wide(slot)),
            LifeOp::Recall { slot, name, to } => {
                let handle = self.low32_or_wide(slot);
                let name = &self.plan.names[usize::from(name)];
                self.put(to, &drawn(name, &[handle.into()]).to_le_bytes());
            }
            LifeOp::Capturable { slot, by } => {
                self.low32_or_wide(slot);
                by.map(|by: Slot| self.low32_or_wide(by.number()));
            }
            LifeOp::Keep { at, extent, shared: _, param: _ } => {
                let (address, len) = (self.get64(at), self.get64(extent));
                if address != 0 {
                    let bytes = self.memory.read(address, len, "what is kept");
                    let kept = self.memory.place(What::Kept, bytes);
                    self.put64(at, kept);
                }
            }
            other => panic!("trespass: {other:?} before the call"),
        }
        Ok(())
    }

    /// A handle: the low half of whatever the slot is.
    pub(super) fn low32_or_wide(&self, slot: u16) -> u32 {
        self.slot(slot, &[WasmType::I32, WasmType::I64])[0] as u32
    }
}
