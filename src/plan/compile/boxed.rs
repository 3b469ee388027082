//! Objects that guests mirror (`__boxed`): how a parameter that points at a mirror is passed.
use super::Compiler;
use super::leaves;
use crate::plan::layout::{Target as Memory, body_of, record_on};
use crate::plan::moves::MoveKind;
use crate::plan::op::{At, Boxing, DeepOp, Direction, Null, Op};
use crate::plan::shape::{Link, Reach, Target};
use crate::signature::{NoteKind, Record, Type, TypeKind};

/// The alignment of the memory that objects get, in bytes.
const ALIGN: u32 = 16;

impl<'a> Compiler<'a> {
    /// Whether a type is one whose objects the guest only has mirrors of.
    pub(super) fn is_boxed(&self, kind: &TypeKind) -> bool {
        matches!(kind, TypeKind::Record(record) if leaves::is_boxed(record, self.target.scope))
    }

    /// Where the guest has the handle: in the first private pointer to a struct without a body, else
    /// in the first private pointer.
    fn handle_field(&self, record: &Record) -> Option<u32> {
        let (scope, span) = (self.target.scope, self.prototype.span);
        let body = body_of(record, scope, span).ok()?;
        let (_, places) = record_on(record, span, scope, Memory::Guest(self.target.model)).ok()?;
        let private = |opaque: bool| {
            body.fields.iter().zip(&places).find_map(|(field, place)| {
                let pointee = field.ty.pointee()?;
                let found = match &pointee.kind {
                    TypeKind::Record(record) if opaque => !self.is_complete(record),
                    _ => !opaque,
                };
                let private = field.ty.has(|note| *note == NoteKind::Private);
                (private && found).then_some(place.offset)
            })
        };
        u32::try_from(private(true).or_else(|| private(false))?).ok()
    }

    /// A parameter that points at a mirror, to which `link` leads.
    pub(super) fn boxed(&mut self, index: usize, ty: &'a Type, to: At, link: Link, early: bool) {
        let Some(TypeKind::Record(record)) = ty.pointee().map(|pointee| &pointee.kind) else {
            return;
        };
        let span = ty.span;
        if early {
            return self.error(
                span,
                "a bound cannot read a `__boxed` object",
                "let the call take a number",
            );
        }
        if link.null != Null::Refused || link.reach != Reach::One {
            return self.error(
                span,
                "a `__boxed` object is passed alone and never NULL",
                "pass a pointer to one",
            );
        }
        let boxing = match link.direction {
            _ if ty.has(|note| *note == NoteKind::Consumes) => Boxing::Ended,
            Direction::Out => Boxing::Made,
            Direction::In | Direction::InOut => Boxing::Used,
        };
        if boxing == Boxing::Ended && link.direction != Direction::InOut {
            return self.error(
                span,
                "what a call ends it cannot only read or make",
                "leave the direction out",
            );
        }
        if let Some(note) = ty.notes.iter().find(|note| {
            use NoteKind::{CapturedBy, ConsumesIf, Exclusive, Invalidates, Remember, Retains};
            matches!(
                note.kind,
                CapturedBy(_) | ConsumesIf(_) | Exclusive | Invalidates | Remember(..) | Retains
            )
        }) {
            return self.later(note.span, "this of a `__boxed` object");
        }
        let Some(field) = self.handle_field(record) else {
            return self.error(
                span,
                "this `__boxed` struct has no place for the guest's handle",
                "write `__private` at a pointer field that is no business of the guest's",
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
        self.before.pointers.push(Op::Deep(DeepOp::Copy { slot, to, root, param }));
        let op = DeepOp::Box { slot, to, root, kind, field, boxing, param };
        self.before.pointers.push(Op::Deep(op));
    }

    /// The ops that write objects and read them again.
    pub(super) fn objects(&mut self) {
        let any = |op: &Op| matches!(op, Op::Deep(DeepOp::Box { .. }));
        if self.before.pointers.iter().any(any) {
            self.before.conditions.push(Op::Deep(DeepOp::Fill));
            self.after.facts.insert(0, Op::Deep(DeepOp::Fetch));
        }
    }
}
