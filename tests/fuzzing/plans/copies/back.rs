//! Data with pointers on its way back.
use super::*;

impl Executor<'_, '_, '_> {
    pub(super) fn misfits(&self, shape: &Shape, object: u64) -> bool {
        shape.moves.iter().any(|one| {
            let value = |signed| {
                self.memory.integer(object + u64::from(one.host), 8, signed, "what goes back")
            };
            match one.kind {
                MoveKind::Signed32 => i32::try_from(value(true)).is_err(),
                MoveKind::Unsigned32 => u32::try_from(value(false)).is_err(),
                _ => false,
            }
        })
    }

    pub fn deep_after(&mut self, op: DeepOp) -> Checked {
        match op {
            DeepOp::Fetch => {
                for at in 0..self.copies.boxes.len() {
                    let one = &self.copies.boxes[at];
                    let (copy, object, handle) =
                        (&self.copies.all[one.copy], one.object, one.handle);
                    let (shape, host, ended) = (copy.shape, copy.host, one.boxing == Boxing::Ended);
                    self.transfer(shape, object, host, Direction::Out);
                    if ended && let Some(object) = self.memory.handles.get_mut(&handle) {
                        object.alive = false;
                    }
                }
            }
            DeepOp::KeepFunctions { made } => looked(made.map(|made| self.get64(made))),
            DeepOp::End { of, condition } => {
                let object = self.get64(of);
                assert!(
                    self.copies.boxes.iter().any(|one| one.object == object),
                    "trespass: {object:#x} ends"
                );
                let _ = self.expression(condition, 0);
            }
            DeepOp::Settle => return self.settle(),
            DeepOp::Commit => self.commit()?,
            DeepOp::Take { from, take, root, unless, param: _ } => {
                let native = self.get64(from);
                let found = unless.is_some_and(|at| self.get64(at) != u64::MAX);
                if native != 0 && !found {
                    let link = self.plan.roots[usize::from(root)].clone();
                    let mut bytes = 0;
                    self.take_in(&link, native, 0, &mut (0, &mut bytes))?;
                    self.taken(take, vec![0; bytes.min(4096)]);
                }
            }
            other => panic!("trespass: {other:?} after the call"),
        }
        Ok(())
    }

    pub(super) fn settle(&mut self) -> Checked {
        let mut settled = Vec::new();
        for index in 0..self.copies.all.len() {
            if !self.copies.all[index].outward {
                continue;
            }
            let (number, guest, host, elements, inward) = {
                let copy = &self.copies.all[index];
                (copy.shape, copy.guest, copy.host, copy.elements, copy.inward)
            };
            let shape = self.shape(number).clone();
            for element in 0..elements {
                let object = host + element * u64::from(shape.host_size);
                if self.misfits(&shape, object) {
                    return Err(Stop);
                }
                if !inward {
                    self.tested(&shape, object)?;
                }
                for link in &shape.links {
                    let at = object + u64::from(link.host);
                    let native =
                        self.memory.integer(at, 8, false, "a pointer that goes back") as u64;
                    let placed = self.copies.all[index]
                        .placed
                        .iter()
                        .find(|(place, _)| *place == at)
                        .map_or(0, |(_, n)| *n);
                    if native == placed && inward {
                        continue;
                    }
                    let value = match link.target {
                        Target::Handle { kind, .. } if native != 0 => {
                            let kind = self.plan.handle_kinds[usize::from(kind)].id;
                            self.memory.adopt(native, kind).into()
                        }
                        Target::Function { .. } if native != 0 => {
                            if !self.closures.contains(&native) {
                                return Err(Stop);
                            }
                            1
                        }
                        Target::Cookie { .. } => cookie::to_guest(native).ok_or(Stop)?.into(),
                        _ => self.guest_address(native).ok_or(Stop)?,
                    };
                    let bytes = value.to_le_bytes()
                        [..usize::try_from(self.pointer_size()).expect("small")]
                        .to_vec();
                    settled.push((
                        guest + element * u64::from(shape.guest_size) + u64::from(link.guest),
                        bytes,
                    ));
                }
            }
        }
        self.copies.settled = settled;
        Ok(())
    }

    pub(super) fn commit(&mut self) -> Checked {
        for index in 0..self.copies.all.len() {
            if !self.copies.all[index].outward {
                continue;
            }
            let (number, guest, host, elements) = {
                let copy = &self.copies.all[index];
                (copy.shape, copy.guest, copy.host, copy.elements)
            };
            let shape = self.shape(number).clone();
            for element in 0..elements {
                for one in &shape.moves {
                    let (inner, outer) =
                        (u64::from(one.kind.memory_bytes()), u64::from(one.kind.frame_bytes()));
                    let found = self.memory.read(
                        host + element * u64::from(shape.host_size) + u64::from(one.host),
                        outer,
                        "a copy",
                    );
                    let at = self.inside(
                        guest + element * u64::from(shape.guest_size) + u64::from(one.guest),
                        inner,
                    )?;
                    let mut to = self.memory.read(at, inner, "an object");
                    run(one.kind, &found, &mut to, true);
                    self.memory.write(at, &to, "an object");
                }
            }
        }
        for (at, bytes) in std::mem::take(&mut self.copies.settled) {
            let at = self.inside(at, bytes.len() as u64)?;
            self.memory.write(at, &bytes, "a pointer");
        }
        let plan = self.plan;
        for at in 0..self.copies.boxes.len() {
            let (made, object, kind, guest, field) = {
                let one = &self.copies.boxes[at];
                (
                    one.boxing == Boxing::Made,
                    one.object,
                    one.kind,
                    self.copies.all[one.copy].guest,
                    one.field,
                )
            };
            if made {
                let handle = self.memory.adopt(object, plan.handle_kinds[usize::from(kind)].id);
                let bytes = u64::from(handle).to_le_bytes()[..usize::from(field.1)].to_vec();
                let at = self.inside(guest + u64::from(field.0), field.1.into())?;
                self.memory.write(at, &bytes, "a handle in a mirror");
            }
        }
        Ok(())
    }

    /// What a native pointer leads to is taken; how many objects, and how many bytes.
    pub(super) fn take_in(
        &mut self,
        link: &Link,
        native: u64,
        object: u64,
        spent: &mut (usize, &mut usize),
    ) -> Checked {
        spent.0 += 1;
        if native == 0 || spent.0 > MOST {
            return Ok(());
        }
        let size = match link.target {
            Target::Data(shape) => u64::from(self.shape(shape).host_size),
            Target::Bytes { size, .. } => size.into(),
            Target::Handle { .. } | Target::Native => return Ok(()),
            Target::Function { .. } => {
                return if self.closures.contains(&native) { Ok(()) } else { Err(Stop) };
            }
            Target::Cookie { .. } => return cookie::to_guest(native).map(drop).ok_or(Stop),
        };
        let (elements, linked) = match link.reach {
            Reach::One => (1, 1),
            Reach::Counted { expr, bytes } => {
                let count = u64::try_from(self.expression(expr, object)?).map_err(|_| Stop)?;
                let count = if bytes { count / size.max(1) } else { count };
                (count, count)
            }
            Reach::Ends { host, host_bytes, .. } => {
                let mut end = 0;
                while whole(
                    &self.memory.read(
                        native + end * size + u64::from(host),
                        host_bytes.into(),
                        "an array that is taken",
                    ),
                    false,
                ) != 0
                {
                    end += 1;
                }
                (end + 1, end)
            }
        };
        let bytes = elements.checked_mul(size).ok_or(Stop)?;
        self.memory.read(native, bytes, "what is taken");
        *spent.1 += usize::try_from(bytes).map_err(|_| Stop)?;
        let Target::Data(number) = link.target else { return Ok(()) };
        let shape = self.shape(number).clone();
        for element in 0..elements {
            let object = native + element * size;
            for one in &shape.moves {
                self.memory.read(
                    object + u64::from(one.host),
                    one.kind.frame_bytes().into(),
                    "a member that is taken",
                );
            }
            if self.misfits(&shape, object) {
                return Err(Stop);
            }
            self.tested(&shape, object)?;
            if element < linked {
                for one in &shape.links {
                    let pointer = self.memory.integer(
                        object + u64::from(one.host),
                        8,
                        false,
                        "a pointer that is taken",
                    ) as u64;
                    self.take_in(one, pointer, object, spent)?;
                }
            }
        }
        Ok(())
    }
}
