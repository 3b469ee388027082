//! Objects that guests mirror (`__boxed`): how a parameter that points at a mirror is passed.
use super::Compiler;
use super::deep::is_natives;
use super::expression::When;
use super::leaves;
use crate::plan::layout::{DataModel, Target as Memory, body_of, record_on};
use crate::plan::moves::MoveKind;
use crate::plan::op::{At, Boxing, DeepOp, Direction, HandleField, Null, Op, Width};
use crate::plan::shape::{Link, Reach, Target};
use crate::signature::{Expr, ExprKind, NoteKind, Record, Type, TypeKind};

/// The alignment of the memory that objects get, in bytes.
const ALIGN: u32 = 16;

impl<'a> Compiler<'a> {
    /// Whether a type is one whose objects the guest only has mirrors of.
    pub(super) fn is_boxed(&self, kind: &TypeKind) -> bool {
        matches!(kind, TypeKind::Record(record) if leaves::is_boxed(record, self.target.scope))
    }

    /// Where the guest has the handle: in the first private pointer to a struct without a body, else
    /// in the first private pointer, else in the first four private bytes that are aligned.
    fn handle_field(&self, record: &Record) -> Option<HandleField> {
        let (scope, span) = (self.target.scope, self.prototype.span);
        let body = body_of(record, scope, span).ok()?;
        let (_, places) = record_on(record, span, scope, Memory::Guest(self.target.model)).ok()?;
        let private = || {
            let all = body.fields.iter().zip(&places);
            all.filter(|(field, place)| {
                place.bits.is_none() && field.ty.has(|note| *note == NoteKind::Private)
            })
        };
        let pointer = |opaque: bool| {
            private().find_map(|(field, place)| {
                let found = match &field.ty.pointee()?.kind {
                    TypeKind::Record(record) if opaque => !self.is_complete(record),
                    _ => !opaque,
                };
                found.then_some(place.offset)
            })
        };
        if let Some(at) = pointer(true).or_else(|| pointer(false)) {
            let bytes = if self.target.model == DataModel::Lp64 { 8 } else { 4 };
            return Some(HandleField { at: u32::try_from(at).ok()?, bytes });
        }
        // Fields that lie side by side are one run.
        let (mut start, mut end) = (0, 0);
        for (_, place) in private() {
            if place.offset != end {
                start = place.offset;
            }
            end = place.offset + place.size;
            let at = start.next_multiple_of(4);
            if at + 4 <= end {
                return Some(HandleField { at: u32::try_from(at).ok()?, bytes: 4 });
            }
        }
        None
    }

    /// A parameter that points at a mirror, to which `link` leads.
    pub(super) fn boxed(&mut self, index: usize, ty: &'a Type, to: At, link: Link) {
        let Some(TypeKind::Record(record)) = ty.pointee().map(|pointee| &pointee.kind) else {
            return;
        };
        let span = ty.span;
        if link.null != Null::Refused || link.reach != Reach::One {
            return self.error(
                span,
                "a `__boxed` object is passed alone and never NULL",
                "pass a pointer to one",
            );
        }
        let ends_if = ty.notes.iter().find_map(|note| match &note.kind {
            NoteKind::ConsumesIf(condition) => Some(condition),
            _ => None,
        });
        let boxing = match link.direction {
            _ if ty.has(|note| *note == NoteKind::Consumes) => Boxing::Ended,
            _ if ends_if.is_some() => Boxing::EndedIf,
            Direction::Out => Boxing::Made,
            Direction::In | Direction::InOut => Boxing::Used,
        };
        let ends = matches!(boxing, Boxing::Ended | Boxing::EndedIf);
        if ends && link.direction != Direction::InOut {
            return self.error(
                span,
                "what a call ends it cannot only read or make",
                "leave the direction out",
            );
        }
        for note in &ty.notes {
            let (error, help) = match note.kind {
                NoteKind::CapturedBy(_) => (
                    "nobody keeps a `__boxed` object: what it points at is the guest's while a call runs",
                    "hand out a handle, and let a short C function fill it in",
                ),
                NoteKind::Retains => (
                    "a `__boxed` object has one owner: the memory that it lies in",
                    "count owners with a handle of a struct without a body",
                ),
                NoteKind::Invalidates => {
                    ("a `__boxed` object lends nothing that could end", "leave it out")
                }
                _ => continue,
            };
            return self.error(note.span, error, help);
        }
        let Some(field) = self.handle_field(record) else {
            return self.error(
                span,
                "this `__boxed` struct has no place for the guest's handle",
                "write `__private` at a field of at least four aligned bytes that is no business of the \
                 guest's",
            );
        };
        let Target::Data(shape) = link.target else { return };
        let Some(Some(shape)) = self.shapes.all.get(usize::from(shape)) else { return };
        let lasts = |link: &Link| matches!(link.target, Target::Bytes { .. });
        if !shape.links.iter().all(lasts) {
            return self.error(
                span,
                "a public pointer of a `__boxed` object leads to more than bytes with a count",
                "make the field `__private`",
            );
        }
        let bits = shape.moves.iter().any(|one| matches!(one.kind, MoveKind::Bits(_)));
        if bits || shape.host_align > ALIGN {
            return self.error(
                span,
                "bit-fields and large alignments cannot be mirrored",
                "wrap the function",
            );
        }
        let kind = self.kind(record);
        let root = self.root(link);
        self.shapes.copied.push(root);
        let (slot, param) = (self.slots[index], super::index_of(index));
        self.before.read.push(Op::Deep(DeepOp::Copy { slot, to, root, param }));
        let alone = ty.has(|note| *note == NoteKind::Exclusive);
        let op = DeepOp::Box { slot, to, root, kind, field, boxing, alone, param };
        self.before.read.push(Op::Deep(op));
        // What pure functions are given, and expressions read.
        self.remember_value(index, to, Width::U64);
        self.params[index].object = Some((to, boxing));
    }

    /// The ops that write objects, read them again, and end them.
    pub(super) fn objects(&mut self) {
        let any = |op: &Op| matches!(op, Op::Deep(DeepOp::Box { .. }));
        if !self.before.read.iter().any(any) {
            return;
        }
        self.before.conditions.push(Op::Deep(DeepOp::Fill));
        let mut facts = vec![Op::Deep(DeepOp::Fetch)];
        for index in 0..self.all.len() {
            let Some((of, Boxing::EndedIf)) = self.params[index].object else { continue };
            let condition = self.ty(index).notes.iter().find_map(|note| match &note.kind {
                NoteKind::ConsumesIf(condition) => Some(condition),
                _ => None,
            });
            if let Some(condition) = condition.and_then(|c| self.expression(c, When::After)) {
                facts.push(Op::Deep(DeepOp::End { of, condition }));
            }
        }
        facts.append(&mut self.after.facts);
        self.after.facts = facts;
    }

    /// Place, offset and type of an integer of an object (`p->f`) that the guest does not set: before
    /// the call only native code may have done that.
    pub(super) fn in_object(&self, expr: &Expr, when: When) -> Option<(At, u64, &'a Type)> {
        let ExprKind::Arrow(of, field) = &expr.kind else { return None };
        let ExprKind::Name(name) = &of.kind else { return None };
        let index = self.prototype.param_index(&name.name)?;
        let (at, boxing) = self.params[index].object?;
        let TypeKind::Record(record) = &self.ty(index).pointee()?.kind else { return None };
        let (offset, ty) = self.field(record, &field.name, Memory::Host(self.target.abi))?;
        let known = match (when, boxing) {
            (When::Before, Boxing::Made) | (When::After, Boxing::Ended | Boxing::EndedIf) => false,
            (When::Before, _) => is_natives(ty),
            (When::After, _) => true,
        };
        known.then_some((at, offset, ty))
    }
}
