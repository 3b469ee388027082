//! The checking executor's copies of pointed-to data: see `plan::shape` for what a shape says.
use super::execute::{Checked, Executor, Stop, looked, run};
use super::machine::{Memory, What, whole};
use crate::plan::cookie;
use crate::plan::layout::{Target as Machine, extent_of};
use crate::plan::moves::MoveKind;
use crate::plan::op::{Boxing, DeepOp, Direction, Fate, Null};
use crate::plan::shape::{Link, Reach, Shape, Target};
use crate::signature::Type;
use std::collections::BTreeSet;

mod back;

/// The copies of a call.
#[derive(Debug, Default)]
pub struct Copies {
    all: Vec<Copy>,
    boxes: Vec<Boxed>,
    open: BTreeSet<usize>,
    settled: Vec<(u64, Vec<u8>)>,
}

#[derive(Debug)]
struct Copy {
    shape: u16,
    guest: u64,
    host: u64,
    elements: u64,
    linked: u64,
    inward: bool,
    outward: bool,
    /// Pointers that were put into the copy: where, and what.
    placed: Vec<(u64, u64)>,
}

#[derive(Debug)]
struct Boxed {
    copy: usize,
    object: u64,
    handle: u32,
    kind: u16,
    boxing: Boxing,
    field: (u32, u8),
}

impl Copies {
    /// The guest's address of a byte of a copy.
    pub fn guest_address(&self, native: u64, memory: &Memory) -> Option<u64> {
        if let Some(What::Copy(Some(guest))) = memory.what(native, 0) {
            return memory.start(native).map(|start| guest + (native - start));
        }
        self.all.iter().find_map(|copy| (copy.host == native).then_some(copy.guest))
    }
}

const MOST: usize = 2000;

impl Executor<'_, '_, '_> {
    fn shape(&self, number: u16) -> &Shape {
        &self.plan.shapes[usize::from(number)]
    }

    pub fn deep_before(&mut self, op: DeepOp) -> Checked {
        match op {
            DeepOp::Copy { slot, to, root, param: _ } => {
                let link = self.plan.roots[usize::from(root)].clone();
                let guest = self.pointer(slot);
                let native = self.link_in(&link, guest, None)?;
                self.put64(to, native);
            }
            DeepOp::Box { slot, to, root: _, kind, field, boxing, alone: _, param } => {
                let mirror = self.get64(to);
                let guest = self.pointer(slot);
                let copy = self.copies.all.iter().position(|copy| copy.host == mirror);
                let copy = copy.expect("trespass: there is no mirror");
                assert!(self.copies.all[copy].elements == 1, "trespass: several mirrors");
                let ty = self.pointee_of(param);
                let size = extent_of(&ty, self.scope, Machine::Host(self.abi))
                    .map_or(0, |extent| extent.size);
                let (object, handle) = if boxing == Boxing::Made {
                    (
                        self.memory
                            .place(What::Object, vec![0; usize::try_from(size).expect("small")]),
                        0,
                    )
                } else {
                    let bytes = u64::from(field.bytes);
                    assert!([4, 8].contains(&bytes), "trespass: a handle of {bytes} bytes");
                    let at = self.inside(guest + u64::from(field.at), bytes)?;
                    let value =
                        self.memory.integer(at, bytes, false, "a handle in a mirror") as u64;
                    let fate = if boxing == Boxing::Used { Fate::Kept } else { Fate::Consumed };
                    (self.enter(value, kind, fate)?, value as u32)
                };
                // What the library calls its own object is as large as the type says, and nothing else is there.
                assert!(
                    self.memory.what(object, size) == Some(What::Object),
                    "trespass: {object:#x} is no object"
                );
                self.copies.boxes.push(Boxed {
                    copy,
                    object,
                    handle,
                    kind,
                    boxing,
                    field: (field.at, field.bytes),
                });
                self.put64(to, object);
            }
            DeepOp::Recall { of, name, to } => {
                let object = self.get64(of);
                let handle =
                    self.copies.boxes.iter().find(|one| one.object == object).map(|one| one.handle);
                let handle = handle.expect("trespass: there is no object");
                let name = &self.plan.names[usize::from(name)];
                self.put(to, &super::machine::drawn(name, &[handle.into()]).to_le_bytes());
            }
            DeepOp::Keep { at, root, param: _ } => {
                let native = self.get64(at);
                let link = &self.plan.roots[usize::from(root)];
                if native != 0 {
                    let Target::Data(shape) = link.target else { return Ok(()) };
                    let elements = self
                        .copies
                        .all
                        .iter()
                        .find(|copy| copy.host == native && copy.shape == shape);
                    let elements =
                        elements.expect("trespass: what is kept was not copied").elements;
                    let bytes = elements * u64::from(self.shape(shape).host_size);
                    let bytes = self.memory.read(native, bytes, "what is kept");
                    let kept = self.memory.place(What::Kept, bytes);
                    self.put64(at, kept);
                }
            }
            DeepOp::Fill => {
                for at in 0..self.copies.boxes.len() {
                    let (copy, object, made) = {
                        let one = &self.copies.boxes[at];
                        (&self.copies.all[one.copy], one.object, one.boxing == Boxing::Made)
                    };
                    if copy.inward && !made {
                        self.transfer(copy.shape, copy.host, object, Direction::In);
                    }
                }
            }
            other => panic!("trespass: {other:?} before the call"),
        }
        Ok(())
    }

    fn pointee_of(&self, param: u16) -> Type {
        let params = &self.plan.prototype.function.params;
        params[usize::from(param)].ty.pointee().expect("trespass: no pointer").clone()
    }

    fn transfer(&mut self, shape: u16, from: u64, to: u64, way: Direction) {
        let shape = self.shape(shape).clone();
        for one in shape
            .moves
            .iter()
            .filter(|one| one.direction == Direction::InOut || one.direction == way)
        {
            let bytes = one.kind.frame_bytes().into();
            let found = self.memory.read(from + u64::from(one.host), bytes, "a mirror");
            self.memory.write(to + u64::from(one.host), &found, "a mirror");
        }
        for link in &shape.links {
            let found = self.memory.read(from + u64::from(link.host), 8, "a mirror");
            self.memory.write(to + u64::from(link.host), &found, "a mirror");
        }
    }

    /// The native pointer for a guest's; `inside`: the guest's and the host's object that it is in.
    fn link_in(&mut self, link: &Link, guest: u64, inside: Option<(u64, u64)>) -> Checked<u64> {
        let object = inside.map_or(0, |(_, host)| host);
        let count = match link.reach {
            Reach::One | Reach::Ends { .. } => 1,
            Reach::Counted { expr, bytes } => {
                let units = u64::try_from(self.expression(expr, object)?).map_err(|_| Stop)?;
                match (bytes, link.target) {
                    (true, Target::Data(shape)) => {
                        let size = u64::from(self.shape(shape).host_size.max(1));
                        if units % size != 0 {
                            return Err(Stop);
                        }
                        units / size
                    }
                    _ => units,
                }
            }
        };
        if let Target::Cookie { with } = link.target {
            if let (Some(with), Some((start, _))) = (with, inside) {
                let at = self.inside(start + u64::from(with), self.pointer_size())?;
                if self.memory.integer(at, self.pointer_size(), false, "a function") == 0 {
                    return Ok(0);
                }
            }
            return cookie::to_native(u32::try_from(guest).map_err(|_| Stop)?).ok_or(Stop);
        }
        if guest == 0 {
            let allowed = match link.null {
                Null::Allowed => true,
                Null::IfEmpty => count == 0,
                Null::Refused => matches!(link.target, Target::Native),
            };
            return if allowed { Ok(0) } else { Err(Stop) };
        }
        match link.target {
            Target::Native => Err(Stop),
            Target::Handle { kind, .. } => self.enter(guest, kind, Fate::Kept),
            Target::Function { callback, .. } => {
                let callback =
                    callback.expect("trespass: an import knows the type of its functions");
                assert!(
                    usize::from(callback) < self.plan.callbacks.len(),
                    "trespass: no such callback"
                );
                if guest > 3 {
                    return Err(Stop);
                }
                let native = self.memory.opaque();
                self.closures.push(native);
                Ok(native)
            }
            Target::Cookie { .. } => Err(Stop),
            Target::Bytes { size, align } => {
                let bytes = count.checked_mul(size.into()).ok_or(Stop)?;
                if bytes > 0 && !guest.is_multiple_of(align.into()) {
                    return Err(Stop);
                }
                if bytes == 0 {
                    Ok(super::machine::GUEST + guest.min(self.memory.guest_len()))
                } else {
                    self.inside(guest, bytes)
                }
            }
            Target::Data(number) => self.data_in(link, (number, count), guest),
        }
    }

    fn data_in(&mut self, link: &Link, (number, count): (u16, u64), guest: u64) -> Checked<u64> {
        let shape = self.shape(number).clone();
        let (guest_size, host_size) = (u64::from(shape.guest_size), u64::from(shape.host_size));
        let (mut elements, mut linked) = (count, count);
        if let Reach::Ends { guest: at, guest_bytes, .. } = link.reach {
            assert!(
                u64::from(at) + u64::from(guest_bytes) <= guest_size.max(1),
                "trespass: {link:?}"
            );
            elements = 0;
            loop {
                let from = self.inside(
                    guest.checked_add(elements * guest_size.max(1)).ok_or(Stop)?,
                    guest_size.max(1),
                )?;
                let field = self.memory.read(
                    from + u64::from(at),
                    guest_bytes.into(),
                    "an array that ends",
                );
                elements += 1;
                if field.iter().all(|byte| *byte == 0) {
                    break;
                }
            }
            linked = elements - 1;
        }
        let len = elements.checked_mul(guest_size).ok_or(Stop)?;
        if elements > 1 << 20 {
            return Err(Stop);
        }
        let from = if len > 0 { self.inside(guest, len)? } else { 0 };
        let known =
            self.copies.all.iter().position(|copy| {
                (copy.guest, copy.shape, copy.elements) == (guest, number, elements)
            });
        let index = match known {
            Some(known) if self.copies.open.contains(&known) => return Err(Stop),
            Some(known) => known,
            None => {
                if self.copies.all.len() >= MOST {
                    return Err(Stop);
                }
                let bytes = usize::try_from(elements * host_size).expect("not many");
                let host = self.memory.place(What::Copy(None), vec![0; bytes]);
                let copy = Copy {
                    shape: number,
                    guest,
                    host,
                    elements,
                    linked: 0,
                    inward: false,
                    outward: false,
                    placed: Vec::new(),
                };
                self.copies.all.push(copy);
                self.copies.all.len() - 1
            }
        };
        let host = self.copies.all[index].host;
        self.copies.all[index].outward |= link.direction.is_out();
        if !link.direction.is_in() {
            return Ok(host);
        }
        if !self.copies.all[index].inward {
            self.copies.all[index].inward = true;
            for element in 0..elements {
                for one in &shape.moves {
                    let (inner, outer) = (one.kind.memory_bytes(), one.kind.frame_bytes());
                    assert!(
                        one.guest + inner <= shape.guest_size
                            && one.host + outer <= shape.host_size,
                        "trespass: {one:?}"
                    );
                    let found = self.memory.read(
                        from + element * guest_size + u64::from(one.guest),
                        inner.into(),
                        "an object",
                    );
                    let at = host + element * host_size + u64::from(one.host);
                    let mut to = self.memory.read(at, outer.into(), "a copy");
                    run(one.kind, &found, &mut to, false);
                    self.memory.write(at, &to, "a copy");
                }
            }
            if let (Reach::Ends { host: at, host_bytes, .. }, true) = (link.reach, elements > 0) {
                let at = host + (elements - 1) * host_size + u64::from(at);
                self.memory.write(at, &vec![0; host_bytes.into()], "the end of an array");
            }
            for element in 0..elements {
                self.tested(&shape, host + element * host_size)?;
            }
        }
        let first = self.copies.all[index].linked;
        self.copies.all[index].linked = first.max(linked);
        if !shape.links.is_empty() && first < linked {
            if self.copies.open.len() > 100 {
                return Err(Stop);
            }
            self.copies.open.insert(index);
            for element in first..linked {
                for one in &shape.links {
                    let size = self.pointer_size();
                    assert!(
                        u64::from(one.guest) + size <= guest_size
                            && u64::from(one.host) + 8 <= host_size,
                        "trespass: {one:?}"
                    );
                    let start = guest + element * guest_size;
                    let pointer = self.inside(start + u64::from(one.guest), size)?;
                    let pointer = self.memory.integer(pointer, size, false, "a pointer") as u64;
                    let object = host + element * host_size;
                    let native = self.link_in(one, pointer, Some((start, object)))?;
                    let at = object + u64::from(one.host);
                    self.memory.write(at, &native.to_le_bytes(), "a pointer of a copy");
                    self.copies.all[index].placed.push((at, native));
                }
            }
            self.copies.open.remove(&index);
        }
        Ok(host)
    }

    fn tested(&mut self, shape: &Shape, object: u64) -> Checked {
        for test in &shape.tests {
            let bytes = test.width.bytes() as u64;
            assert!(
                u64::from(test.host) + bytes <= u64::from(shape.host_size),
                "trespass: {test:?}"
            );
            let value = self.memory.integer(
                object + u64::from(test.host),
                bytes,
                test.width.is_signed(),
                "a test",
            );
            let mut holds = false;
            for (low, high) in &test.intervals {
                let (low, high) = (self.expression(*low, object)?, self.expression(*high, object)?);
                holds |= (low..=high).contains(&value);
            }
            if !holds {
                return Err(Stop);
            }
        }
        Ok(())
    }
}
