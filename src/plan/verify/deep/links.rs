//! Whether shapes and what their pointers lead to are those of the types.
use super::super::demand::{count_of, counted, find, has, is_text, name_of};
use super::super::error::Fault;
use super::super::meaning::Tree;
use super::super::moves::{Bytes, Origin};
use super::super::{Checked, Scene, Verifier};
use super::data::{Member, Members, Owner, ranges};
use super::names::Inside;
use crate::plan::layout::{Scalar, Target as Memory, scalar_of};
use crate::plan::moves::MoveKind;
use crate::plan::op::{Direction, Null};
use crate::plan::shape::{Link, Reach, Target, Test};
use crate::signature::{Expr, NoteKind, Type, TypeKind};

impl<'p> Verifier<'p> {
    /// Checks what a parameter or result leads to.
    pub(in super::super) fn root(
        &mut self,
        root: u16,
        ty: &Type,
        index: usize,
        after: bool,
    ) -> Checked {
        let entry = usize::from(root);
        let plan = self.plan;
        let Some(link) = plan.roots.get(entry) else {
            return Err(Fault::Table { table: "roots", index: entry });
        };
        if std::mem::replace(&mut self.copies.roots[entry], true) {
            return Err(Fault::Unasked);
        }
        let member = Member { guest: 0, host: 0, ty, owner: None };
        // What `void *` counts are bytes, as in data.
        let is_void = ty.pointee().is_some_and(|pointee| pointee.kind == TypeKind::Void);
        self.link(link, &member, index, !is_void, after)
    }

    fn link(
        &mut self,
        link: &'p Link,
        member: &Member<'_>,
        index: usize,
        is_root: bool,
        after: bool,
    ) -> Checked {
        let ty = member.ty;
        let same = u64::from(link.guest) == member.guest && u64::from(link.host) == member.host;
        if !same {
            return self.wrong("a pointer is elsewhere", index);
        }
        let Some(pointee) = ty.pointee() else { return self.wrong("no pointer", index) };
        let lent =
            |kind: &NoteKind| matches!(kind, NoteKind::FreedBy(_) | NoteKind::LifetimeBound(_));
        let foreign = |kind: &NoteKind| {
            use NoteKind::{CapturedBy, Remember};
            let own = is_root && !after;
            let kept = matches!(kind, CapturedBy(_)) && !own && !is_function(pointee);
            kept || !is_root && (lent(kind) || matches!(kind, Remember(..)))
        };
        if ty.notes.iter().any(|note| foreign(&note.kind)) {
            return self.wrong("an annotation that copies do not have", index);
        }
        if self.is_boxed(ty) && (!is_root || after) {
            return self.wrong("a boxed object inside of other data", index);
        }
        let nullable = has(ty, &NoteKind::Nullable);
        let mut null = if nullable { Null::Allowed } else { Null::Refused };
        let is_cookie = |kind: &NoteKind| matches!(kind, NoteKind::Cookie | NoteKind::Closure(_));
        let leads_nowhere = if ty.notes.iter().any(|note| is_cookie(&note.kind)) {
            Some(self.cookie_in(link, member, index))
        } else if is_function(pointee) {
            Some(self.function_in(link, member, index))
        } else {
            None
        };
        if let Some(checked) = leads_nowhere {
            let way =
                |kind: &NoteKind| matches!(kind, NoteKind::In | NoteKind::Out | NoteKind::Inout);
            if is_root || link.null != null || ty.notes.iter().any(|note| way(&note.kind)) {
                return self.wrong("a pointer that leads nowhere", index);
            }
            return checked;
        }
        if let TypeKind::Record(record) = &pointee.kind
            && !self.data.is_data(record)
        {
            let Target::Handle { kind, borrowed } = link.target else {
                return self.wrong("a handle that is none", index);
            };
            let direction = link.direction == Direction::In && link.reach == Reach::One;
            let way =
                |kind: &NoteKind| matches!(kind, NoteKind::In | NoteKind::Out | NoteKind::Inout);
            let unsaid = !ty.notes.iter().any(|note| way(&note.kind));
            let right = borrowed == has(ty, &NoteKind::Borrowed)
                && link.null == null
                && direction
                && unsaid;
            if !right || after {
                return self.wrong("a handle", index);
            }
            return self.kind(kind, &name_of(record), index);
        }
        // How many there are.
        let count = counted(ty);
        let field = find(ty, |kind| match kind {
            NoteKind::TerminatedBy(field) => Some(field),
            _ => None,
        });
        let mut by_bytes = false;
        match (count, field, link.reach) {
            (Some((note, bytes)), _, Reach::Counted { expr, bytes: found }) => {
                by_bytes = bytes && pointee.kind != TypeKind::Void;
                let tree = self.expression(expr.into())?;
                let annotation = count_of(note).map_err(Fault::Prototype)?;
                if !self.means_inside(&tree, annotation, member.owner.as_ref(), after && is_root) {
                    return self.wrong("a count", index);
                }
                let in_place = matches!(link.target, Target::Bytes { .. });
                if found != (by_bytes && !in_place) {
                    return self.wrong("the unit of a count", index);
                }
                let or_null = matches!(note, NoteKind::CountedByOrNull(_)) || nullable;
                null = match (has(ty, &NoteKind::Nonnull), or_null) {
                    (true, _) => Null::Refused,
                    (false, true) => Null::Allowed,
                    (false, false) => Null::IfEmpty,
                };
            }
            (None, field, Reach::Ends { guest, host, guest_bytes, host_bytes }) => {
                if field.is_none() && !is_text(ty) {
                    return self.wrong("an end that nothing tells", index);
                }
                let mut at = (0, 0);
                let mut end = pointee.clone();
                if let (Some(field), TypeKind::Record(record)) = (field, &pointee.kind) {
                    let model = self.reader.model;
                    let one = self.data.field(record, &field.name, Memory::Guest(model));
                    let two = self.data.field(record, &field.name, Memory::Host(self.reader.abi));
                    let (Some((one, ty)), Some((two, _))) = (one, two) else {
                        return self.wrong("an end without a place", index);
                    };
                    (at, end) = ((one, two), ty);
                }
                let (small, large) = self.data.extents(&end).map_err(Fault::Prototype)?;
                let right = scalar_of(&end).is_some()
                    && (u64::from(guest), u64::from(host)) == at
                    && (u64::from(guest_bytes), u64::from(host_bytes)) == (small.size, large.size);
                if !right {
                    return self.wrong("the end of an array", index);
                }
            }
            (None, None, Reach::One) if !is_text(ty) => {}
            _ => return self.wrong("how many there are", index),
        }
        if link.null != null {
            return self.wrong("the meaning of 0", index);
        }
        // A pointer without a size in an object is only ever set by native code.
        let bytes = scalar_of(pointee)
            .is_some_and(|scalar| matches!(scalar, Scalar::Integer(_)) && scalar.host_size() == 1);
        let sizeless = pointee.kind == TypeKind::Void || bytes && !has(ty, &NoteKind::Single);
        if link.reach == Reach::One && !is_root && sizeless {
            let right = link.target == Target::Native;
            return if right { Ok(()) } else { self.wrong("data without a size", index) };
        }
        // Which way it goes.
        let pointers = pointee.pointee().is_some() && !pointee.quals.is_const;
        let direction = if has(ty, &NoteKind::Inout) {
            Direction::InOut
        } else if has(ty, &NoteKind::Out) {
            Direction::Out
        } else if has(ty, &NoteKind::In) || pointee.quals.is_const || pointers && is_text(ty) {
            Direction::In
        } else if pointers {
            Direction::Out
        } else {
            Direction::InOut
        };
        if link.direction != direction {
            return self.wrong("a direction", index);
        }
        let in_place = !is_root
            && !matches!(pointee.kind, TypeKind::Record(_))
            && !matches!(link.reach, Reach::Ends { .. });
        let same = self.data.same_bytes(pointee, direction.is_in()).filter(|_| in_place);
        match (same, link.target) {
            (Some(extent), Target::Bytes { size, align }) => {
                let unit = if by_bytes { 1 } else { extent.size };
                let right = u64::from(size) == unit && u32::from(align) == extent.align;
                if right { Ok(()) } else { self.wrong("the elements of a buffer", index) }
            }
            (None, Target::Data(shape)) => self.shape(shape, pointee, index, after),
            _ => self.wrong("what a pointer leads to", index),
        }
    }

    fn means_inside(&self, tree: &Tree, expr: &Expr, owner: Option<&Owner>, after: bool) -> bool {
        let names = Inside { scene: Scene { verifier: self, after }, owner };
        Tree::of_annotation(expr, &names, self.reader.abi).is_some_and(|a| tree.means(&a))
    }

    /// Checks that a shape is that of a type, and those that it leads to.
    fn shape(&mut self, number: u16, ty: &Type, index: usize, after: bool) -> Checked {
        let entry = usize::from(number);
        let plan = self.plan;
        let Some(shape) = plan.shapes.get(entry) else {
            return Err(Fault::Table { table: "shapes", index: entry });
        };
        if let Some(known) = &self.copies.types[entry] {
            let same = known.kind == ty.kind && known.notes == ty.notes;
            if !same {
                return self.wrong("a shape of another type", index);
            }
            // What native code leaves has no handles; it was not looked at for that before.
            return Ok(());
        }
        self.copies.types[entry] = Some(ty.clone());
        let mut whole = ty.clone();
        if let TypeKind::Record(record) = &mut whole.kind
            && record.body.is_none()
        {
            record.body = self.data.body(record);
        }
        let (guest, host) = self.data.extents(&whole).map_err(Fault::Prototype)?;
        let found = [
            (shape.guest_size.into(), shape.guest_align),
            (shape.host_size.into(), shape.host_align),
        ];
        if found != [(guest.size, guest.align), (host.size, host.align)] {
            return self.wrong("the size of a shape", index);
        }
        let mut members = Members::default();
        self.data.members(&whole, 0, 0, None, &mut members).map_err(Fault::Prototype)?;
        let mut moved = Bytes::new();
        for one in &shape.moves {
            for byte in 0..one.kind.frame_bytes() {
                let memory = u64::from(one.guest);
                let origin = match one.kind {
                    MoveKind::Clear(_) => return self.wrong("a move that clears", index),
                    MoveKind::Bytes(_) => {
                        Origin::Plain { memory: memory + u64::from(byte), mask: u8::MAX }
                    }
                    MoveKind::Bits(mask) => Origin::Plain { memory, mask },
                    kind => Origin::Converted { kind, memory, index: byte },
                };
                let at = u64::from(one.host) + u64::from(byte);
                if one.direction != *members.ways.get(&at).unwrap_or(&Direction::InOut) {
                    return self.wrong("the direction of a member", index);
                }
                if moved.insert(u64::from(one.host) + u64::from(byte), origin).is_some() {
                    return self.wrong("a byte that is moved twice", index);
                }
            }
        }
        if moved != members.bytes {
            return self.wrong("other bytes than the type has", index);
        }
        if shape.tests.len() != members.ranged.len() || shape.links.len() != members.pointers.len()
        {
            return self.wrong("members that are not looked at", index);
        }
        for (test, member) in shape.tests.iter().zip(&members.ranged) {
            self.range_inside(test, member, index)?;
        }
        for (link, member) in shape.links.iter().zip(&members.pointers) {
            self.link(link, member, index, false, after)?;
        }
        Ok(())
    }

    fn range_inside(&mut self, test: &'p Test, member: &Member<'_>, index: usize) -> Checked {
        let ranges = ranges(member.ty);
        let place = u64::from(test.host) == member.host
            && Some(test.width) == self.data.width(member.ty)
            && test.intervals.len() == ranges.len();
        if !place {
            return self.wrong("a range", index);
        }
        for ((low, high), (least, greatest)) in test.intervals.iter().zip(ranges) {
            for (expr, bound) in [(low, least), (high, greatest)] {
                let tree = self.expression((*expr).into())?;
                if !self.means_inside(&tree, bound, member.owner.as_ref(), false) {
                    return self.wrong("the bound of a range", index);
                }
            }
        }
        Ok(())
    }
}

fn is_function(ty: &Type) -> bool {
    matches!(ty.kind, TypeKind::Function(_))
}
