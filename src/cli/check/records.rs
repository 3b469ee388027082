//! Compares what is in structs and unions, field by field.
//!
//! Fields meet by their names, anonymous records by their order. A record that is incomplete in the
//! interface is a name and no more; one that is complete there is read and written by calls, so that
//! every field must be where the header has it.
use super::c_text::tag;
use super::compare::{At, Judge, Repeat, Use};
use super::real::{Body, Member};
use portcullis::plan::layout::{Extent, Place, Target, record_on};
use portcullis::signature::{Field, Record, RecordBody, Scope, Span};
use std::sync::Arc;

/// A field on both sides.
struct Pair<'a> {
    at: At,
    field: &'a Field,
    place: &'a Place,
    member: &'a Member,
}

impl Judge<'_> {
    /// Compares a record with one of the header, if it is complete here.
    pub(super) fn record(&mut self, at: &At, record: &Record, span: Span, id: usize) {
        let side = self.side;
        let Some(ours) = body_of(record, side.scope) else { return };
        let key = (std::ptr::from_ref(ours), id);
        if !self.seen.insert(key) {
            return;
        }
        let name = tag(record);
        if let Some(first) = side.told.of(key) {
            let repeat = Repeat { record: name, first };
            if !self.repeats.contains(&repeat) {
                self.repeats.push(repeat);
            }
            return;
        }
        let before = self.differs.len();
        self.contents(at, record, ours, span, id);
        if self.differs.len() > before {
            side.told.tell(key, self.function);
        }
    }

    /// The same of one that was not compared before.
    fn contents(&mut self, at: &At, record: &Record, ours: &'_ RecordBody, span: Span, id: usize) {
        let (side, name) = (self.side, tag(record));
        let Some(real) = side.records.body(id) else {
            self.differs.push(format!("{at}: {name} is complete here, incomplete in the header"));
            return;
        };
        let (extent, places) = match record_on(record, span, side.scope, Target::Host(side.abi)) {
            Ok(layout) => layout,
            Err(error) => {
                self.differs.push(format!("{at}: {name}: {error}"));
                return;
            }
        };
        let before = self.differs.len();
        let (pairs, left) = self.pairs(at, ours, &places, real);
        for Pair { at, field, member, .. } in &pairs {
            self.field(at, field, member);
        }
        for member in left {
            let at = at.field(member.name.as_deref());
            self.differs.push(match member.name {
                Some(_) => format!("{at}: not here, {} in the header", real_text(member)),
                None => format!("{at}: no anonymous record here, but in the header"),
            });
        }
        // A field of another size moves those after it: one thing at a time.
        if self.differs.len() == before {
            self.places(&pairs);
        }
        if self.differs.len() == before {
            self.extents(at, &name, extent, real);
        }
    }

    /// The fields that both sides have, and those that only the header has.
    fn pairs<'a>(
        &mut self,
        at: &At,
        ours: &'a RecordBody,
        places: &'a [Place],
        real: &'a Body,
    ) -> (Vec<Pair<'a>>, Vec<&'a Member>) {
        let mut pairs = Vec::new();
        let mut left: Vec<&'a Member> = real.members.iter().collect();
        for (field, place) in ours.fields.iter().zip(places) {
            let name = field.name.as_ref().map(|name| &*name.name);
            // The compiler does not speak of bit-fields without a name.
            if name.is_none() && field.bits.is_some() {
                continue;
            }
            let at = at.field(name);
            match left.iter().position(|member| member.name.as_deref() == name) {
                Some(index) => {
                    pairs.push(Pair { at, field, place, member: left.remove(index) });
                }
                None => self.differs.push(match name {
                    Some(_) => format!("{at}: {} here, not in the header", ours_text(field)),
                    None => format!("{at}: an anonymous record here, not in the header"),
                }),
            }
        }
        (pairs, left)
    }

    fn field(&mut self, at: &At, field: &Field, member: &Member) {
        if field.bits.map(u64::from) == member.bits {
            if member.bits.is_none() {
                return self.judge(at, &field.ty, &member.ty, Use::Field);
            }
            // The sign decides what a bit-field's highest bit is.
            if self.side.same(&field.ty, &member.ty, true) {
                return;
            }
        }
        self.differs.push(format!(
            "{at}: {} here, {} in the header",
            ours_text(field),
            real_text(member)
        ));
    }

    fn places(&mut self, pairs: &[Pair<'_>]) {
        for Pair { at, place, member, .. } in pairs {
            let here = 8 * place.offset + place.bits.map_or(0, |bits| u64::from(bits.shift));
            let there = member.at;
            if here == there {
                continue;
            }
            let (unit, size) = if member.bits.is_some() { ("bit", 1) } else { ("byte", 8) };
            let (here, there) = (here / size, there / size);
            self.differs
                .push(format!("{at}: at {unit} {here} here, at {unit} {there} in the header"));
        }
    }

    fn extents(&mut self, at: &At, name: &str, ours: Extent, real: &Body) {
        if ours.size != real.size {
            self.differs.push(format!(
                "{at}: {name} has a size of {} here, of {} in the header",
                ours.size, real.size
            ));
        }
        if let Some(align) = real.align.filter(|align| *align != u64::from(ours.align)) {
            self.differs.push(format!(
                "{at}: {name} has an alignment of {} here, of {align} in the header",
                ours.align
            ));
        }
    }
}

/// What is in a record of the interface: its own body, or that of its tag.
fn body_of<'a>(record: &'a Record, scope: &'a Scope) -> Option<&'a RecordBody> {
    let own = record.body.as_ref().or_else(|| {
        let tag = record.tag.as_ref()?;
        scope.records.get(&(record.kind, Arc::clone(&tag.name)))
    });
    own.map(Arc::as_ref)
}

fn ours_text(field: &Field) -> String {
    match field.bits {
        Some(bits) => format!("{} : {bits}", field.ty.as_written()),
        None => field.ty.as_written().to_string(),
    }
}

fn real_text(member: &Member) -> String {
    match member.bits {
        Some(bits) => format!("{} : {bits}", member.ty),
        None => member.ty.to_string(),
    }
}
