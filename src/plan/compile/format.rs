//! Formats: the op that goes through them, and the table of what they may ask for.
use super::Compiler;
use crate::plan::abi::Assignment;
use crate::plan::format::{Kind, Passed};
use crate::plan::layout::{Scalar, scalar_of};
use crate::plan::op::{Null, Op};
use crate::signature::{Float, NoteKind, Type};
use std::sync::Arc;

impl Compiler<'_> {
    /// A `__format`: the string is there, and has been told apart from everything that is written.
    pub(super) fn format(&mut self, assignment: &Assignment) {
        let prototype = self.prototype;
        let format = prototype.notes.iter().find_map(|note| match note.kind {
            NoteKind::Format(format, _) => Some((note.span, format)),
            _ => None,
        });
        let Some((span, number)) = format else { return };
        let index = usize::try_from(number).unwrap_or(0).wrapping_sub(1);
        let text = self.slots.get(index).and_then(|wanted| {
            self.before.pointers.iter().find_map(|op| match *op {
                Op::Text { slot, to, unit: 1, null: Null::Refused, extent, .. }
                    if slot == *wanted && !self.writable.iter().any(|range| range.at == to) =>
                {
                    Some((to, extent))
                }
                _ => None,
            })
        });
        let Some((text, extent)) = text else {
            let message = format!("parameter {number} is no format string");
            return self.error(span, message, "a format is a `const char *` that is never NULL");
        };
        let all = Arc::clone(&self.all);
        let named = prototype.function.params.len();
        for (param, value) in all.iter().zip(&assignment.params).skip(named) {
            let Some(kind) = kind_of(&param.ty) else {
                let message = format!("no conversion takes a `{}`", param.ty.as_written());
                return self.error(param.span, message, "pass what a conversion takes");
            };
            let Some(piece) = value.pieces.first() else { return };
            let Some(at) = self.place(piece.location, param) else { return };
            self.passed.push(Passed { kind, at });
        }
        let param = super::index_of(index);
        self.before.pointers.push(Op::Format { text, extent, param });
    }
}

fn kind_of(ty: &Type) -> Option<Kind> {
    match scalar_of(ty)? {
        Scalar::Float(Float::Double) => Some(Kind::Double),
        Scalar::Float(Float::LongDouble) => Some(Kind::LongDouble),
        Scalar::Float(Float::Float) | Scalar::Bool => None,
        Scalar::Pointer => {
            let constant = ty.pointee().is_some_and(|p| p.quals.is_const && size_of_one(p));
            let string = constant && super::params::is_text(ty);
            (string && !ty.has(|n| *n == NoteKind::Nullable)).then_some(Kind::Text)
        }
        scalar @ Scalar::Integer(_) => match scalar.host_size() {
            4 => Some(Kind::Int),
            8 => Some(Kind::Wide),
            _ => None,
        },
    }
}

fn size_of_one(ty: &Type) -> bool {
    scalar_of(ty).is_some_and(|scalar| scalar.host_size() == 1)
}
