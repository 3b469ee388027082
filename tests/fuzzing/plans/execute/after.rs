//! Ops after the call.
use super::*;

impl Executor<'_, '_, '_> {
    pub(super) fn holds(&mut self, condition: Option<std::num::NonZeroU16>) -> bool {
        condition.is_none_or(|condition| !matches!(self.expression(condition.get() - 1, 0), Ok(0)))
    }

    pub(super) fn after(&mut self, op: &Op) -> Checked {
        match *op {
            Op::Consume { slot, condition } => {
                let handle = self.low32_or_wide(slot);
                if handle != 0 && self.holds(condition) {
                    let object =
                        self.memory.handles.get_mut(&handle).expect("trespass: it was entered");
                    object.alive = false;
                }
            }
            Op::EndLoans { slot } => looked(self.low32_or_wide(slot)),
            Op::Measure { expr, to } => {
                let value = self.expression(expr, 0)?;
                self.put(to, &value.to_le_bytes());
            }
            Op::Fits { from, width, param: _ } => {
                if !width.holds(self.operand(from)) {
                    return Err(Stop);
                }
            }
            Op::FitsObject { moves } => {
                let plan = self.plan;
                for one in &plan.moves[usize::from(moves)] {
                    let bytes = || whole(&self.get(one.frame, 8), one.kind == MoveKind::Signed32);
                    let fits = match one.kind {
                        MoveKind::Signed32 => Width::I32.holds(bytes()),
                        MoveKind::Unsigned32 => Width::U32.holds(bytes()),
                        _ => true,
                    };
                    if !fits {
                        return Err(Stop);
                    }
                }
            }
            Op::Inside { from, to, param: _ } => {
                let address = self.guest_address(self.get64(from)).ok_or(Stop)?;
                self.put64(to, address);
            }
            Op::InsideOr { from, to } => {
                let address = self.guest_address(self.get64(from)).unwrap_or(u64::MAX);
                self.put64(to, address);
            }
            Op::Take { from, take, extent, unless, param: _ } => {
                let native = self.get64(from);
                let found = unless.is_some_and(|at| self.get64(at) != u64::MAX);
                if native == 0 || found {
                    return Ok(());
                }
                let len = match extent {
                    TakeExtent::Object(bytes) => bytes.into(),
                    TakeExtent::Counted { count, size } => {
                        let count = u64::try_from(self.operand(count)).map_err(|_| Stop)?;
                        count.checked_mul(size.into()).ok_or(Stop)?
                    }
                    TakeExtent::Text(unit) => {
                        let mut len = 0;
                        loop {
                            let found = self.memory.integer(
                                native + len,
                                unit.into(),
                                false,
                                "a string that is taken",
                            );
                            len += u64::from(unit);
                            if found == 0 {
                                break len;
                            }
                        }
                    }
                };
                let bytes = self.memory.read(native, len, "what is taken");
                self.taken(take, bytes);
            }
            Op::FreeNative { from, callee } => {
                self.get64(from);
                let purpose = &self.plan.callees[usize::from(callee)].purpose;
                assert!(*purpose == Purpose::Free, "trespass: {purpose:?} frees");
            }
            Op::Give { take, to, from, owner, unless, param: _ } => {
                self.get64(from);
                if let Ownership::Handle { slot, .. } = owner {
                    self.low32_or_wide(slot);
                }
                if unless.is_some_and(|at| self.get64(at) != u64::MAX) {
                    return Ok(());
                }
                let taken = self.takes.get_mut(usize::from(take)).and_then(Option::take);
                let address = match taken {
                    None => 0,
                    Some(bytes) => {
                        // The guest's allocator, which is the guest.
                        let address = self.source.integer() & 0xfff;
                        let at = self.inside(address.max(1), bytes.len() as u64)?;
                        self.memory.write(at, &bytes, "a guest copy");
                        address.max(1)
                    }
                };
                self.put64(to, address);
            }
            Op::Adopt { from, to, kind, borrowed: _, parent } => {
                let native = self.get64(from);
                let kind = &self.plan.handle_kinds[usize::from(kind)];
                if let Some(drop) = kind.drop {
                    let purpose = &self.plan.callees[usize::from(drop)].purpose;
                    assert!(*purpose == Purpose::Drop, "trespass: {purpose:?} destroys");
                }
                if let Some(parent) = parent {
                    let parent = self.low32_or_wide(parent.number());
                    if native != 0 && !self.memory.handles.get(&parent).is_some_and(|o| o.alive) {
                        return Err(Stop);
                    }
                }
                let id = kind.id;
                let handle = if native == 0 { 0 } else { self.memory.adopt(native, id) };
                self.put64(to, handle.into());
            }
            Op::StoreCell { slot, from, width } => {
                let address = self.pointer(slot);
                let bytes = self.get(from, width.bytes());
                if address != 0 {
                    let at = self.inside(address, width.bytes() as u64)?;
                    self.memory.write(at, &bytes, "a cell");
                }
            }
            Op::StoreObject { slot, moves } => {
                let (plan, address) = (self.plan, self.pointer(slot));
                let size = plan.ops.iter().find_map(|op| match *op {
                    Op::Room { slot: room, size } if room == slot => Some(size),
                    _ => None,
                });
                let size = size.expect("trespass: no room was asked for");
                let at = self.inside(address, size.into())?;
                for one in &plan.moves[usize::from(moves)] {
                    self.move_one(one, at, size, true);
                }
            }
            Op::Return { from, returns } => self.give(returns, Some(from))?,
            Op::Deep(op) => self.deep_after(op)?,
            Op::Callback(CallbackOp::Keep { closure, holder }) => {
                self.get64(closure);
                holder.map(|holder| self.low32_or_wide(holder.number()));
            }
            Op::Callback(CallbackOp::KeepReturned { closure, handle }) => {
                looked((self.get64(closure), self.get64(handle)));
            }
            Op::Life(op) => self.life_after(op)?,
            ref other => panic!("trespass: {other:?} after the call of an import"),
        }
        Ok(())
    }

    pub fn taken(&mut self, take: u8, bytes: Vec<u8>) {
        let take = usize::from(take);
        if self.takes.len() <= take {
            self.takes.resize(take + 1, None);
        }
        self.takes[take] = Some(bytes);
    }

    /// The guest's pointer for a native one.
    pub fn guest_address(&self, native: u64) -> Option<u64> {
        if native == 0 {
            return Some(0);
        }
        let last = if self.plan.facts.wide { u64::MAX } else { u32::MAX.into() };
        let offset =
            native.checked_sub(GUEST).filter(|at| *at <= self.memory.guest_len().min(last));
        offset.or_else(|| self.copies.guest_address(native, &self.memory))
    }

    pub(super) fn life_after(&mut self, op: LifeOp) -> Checked {
        match op {
            LifeOp::ConsumeHeld { held, condition } => {
                let handle = whole(&self.get(held, 4), false) as u32;
                if handle != 0 && self.holds(condition) {
                    self.memory.handles.get_mut(&handle).expect("trespass: it was entered").alive =
                        false;
                }
            }
            LifeOp::Retain { slot } => looked(self.low32_or_wide(slot)),
            LifeOp::Capture { slot, by } => {
                self.low32_or_wide(slot);
                self.keeper(by);
            }
            LifeOp::HandOver { at, by } => {
                let address = self.get64(at);
                let kept = address == 0 || self.memory.what(address, 0) == Some(What::Kept);
                assert!(kept, "trespass: {address:#x} is handed over");
                self.keeper(by);
            }
            LifeOp::FromCookie { from, to, param: _ } => {
                let value = cookie::to_guest(self.get64(from)).ok_or(Stop)?;
                self.put64(to, value.into());
            }
            LifeOp::Emptied { cell, held, to, param: _ } => {
                let (now, held) = (self.get64(cell), self.get(held, 16));
                let (handle, pointer) =
                    (whole(&held[..8], false) as u64, whole(&held[8..], false) as u64);
                if now != 0 && now != pointer {
                    return Err(Stop);
                }
                let alive = self.memory.handles.get(&(handle as u32)).is_some_and(|o| o.alive);
                self.put64(to, if now != 0 && alive { handle } else { 0 });
            }
            LifeOp::AdoptDescriptor { from, to, kind, borrowed: _, parent } => {
                let value = whole(&self.get(from.at, 4), true);
                parent.map(|parent| self.low32_or_wide(parent.number()));
                let kind = self.plan.handle_kinds[usize::from(kind)].id;
                let handle = if value < 0 {
                    value as u64
                } else {
                    self.memory.adopt(value as u64, kind).into()
                };
                self.put64(to, handle);
            }
            LifeOp::Remember { value, name, of } => {
                self.get(value, 16);
                assert!(usize::from(name) < self.plan.names.len(), "trespass: no such name");
                match of {
                    crate::plan::op::Holder::Slot(slot) => looked(self.low32_or_wide(slot)),
                    crate::plan::op::Holder::Made(at) | crate::plan::op::Holder::Object(at) => {
                        looked(self.get64(at))
                    }
                }
            }
            other => panic!("trespass: {other:?} after the call"),
        }
        Ok(())
    }

    pub(super) fn keeper(&self, by: crate::plan::op::Keeper) {
        match by {
            crate::plan::op::Keeper::Slot(slot) => looked(self.low32_or_wide(slot)),
            crate::plan::op::Keeper::Made(at) => looked(self.get64(at)),
            crate::plan::op::Keeper::Library => {}
        }
    }
}
