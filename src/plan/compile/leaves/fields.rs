//! What annotations say of the fields of a struct that is copied.
use crate::plan::op::Direction;
use crate::signature::{Diagnostic, Field, NoteKind, Record, Scope};
use std::sync::Arc;

/// Which way a field of a `__boxed` struct goes. What is said of a pointer is said of what it points at.
pub(super) fn own_direction(field: &Field) -> Direction {
    if field.ty.pointee().is_some() {
        Direction::InOut
    } else if field.ty.has(|note| *note == NoteKind::In) {
        Direction::In
    } else if field.ty.has(|note| *note == NoteKind::Out) {
        Direction::Out
    } else {
        Direction::InOut
    }
}

/// Whether the guest only has a mirror of such objects.
pub(in super::super) fn is_boxed(record: &Record, scope: &Scope) -> bool {
    let Some(tag) = &record.tag else { return false };
    let notes = scope.record_notes.get(&(record.kind, Arc::clone(&tag.name)));
    notes.is_some_and(|notes| notes.iter().any(|note| note.kind == NoteKind::Boxed))
}

/// Annotations that say nothing of a field whose struct is copied.
pub(super) fn refuse_notes(field: &Field, boxed: bool) -> Result<(), Diagnostic> {
    let pointer = field.ty.pointee().is_some();
    for note in &field.ty.notes {
        let (error, help) = match note.kind {
            NoteKind::Range(..) if boxed && own_direction(field) == Direction::Out => {
                ("what only native code sets has no range to be tested", "leave it out")
            }
            NoteKind::In | NoteKind::Out | NoteKind::Inout if !pointer && !boxed => (
                "only fields of `__boxed` structs have directions of their own",
                "say it of the pointer to the struct",
            ),
            NoteKind::Private => ("only fields of `__boxed` structs are private", "leave it out"),
            NoteKind::Handle => {
                ("descriptors in data do not become handles", "pass one at a time, as a parameter")
            }
            NoteKind::Range(..) if field.bits.is_some() => {
                ("the range of a bit-field cannot be tested", "leave it out")
            }
            _ => continue,
        };
        return Err(Diagnostic::new(note.span, error).help(help));
    }
    Ok(())
}
