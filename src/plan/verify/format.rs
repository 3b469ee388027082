//! Formats: their op, and the table of what is passed.
use super::demand::Argument;
use super::error::Fault;
use super::{Checked, Verifier};
use crate::plan::format::{Kind, Passed};
use crate::plan::layout::{DataModel, Scalar};
use crate::plan::op::{At, Null, Width};
use crate::signature::{Float, NoteKind};

impl Verifier<'_> {
    /// The parameter that is a format.
    fn format_param(&self) -> Option<usize> {
        self.plan.prototype.notes.iter().find_map(|note| match note.kind {
            NoteKind::Format(format, _) => usize::try_from(format).ok()?.checked_sub(1),
            _ => None,
        })
    }

    pub(super) fn format(&mut self, text: At, extent: At, param: u16) -> Checked {
        let index = self.format_param().ok_or(Fault::Unasked)?;
        self.agrees(usize::from(param) == index, "the number", index)?;
        let same = matches!(
            self.params.get(index).map(|param| &param.wants),
            Some(Argument::Text { unit: 1, null: Null::Refused, writable: false })
        );
        self.agrees(same, "the type of the format", index)?;
        if !self.made.strings.contains(&(index, text, extent)) {
            return Err(Fault::Unknown { what: "format", at: text });
        }
        match self.made.format.replace(text) {
            None => Ok(()),
            Some(_) => Err(Fault::Unasked),
        }
    }

    /// A format has been gone through, and the table says what is passed behind `...`.
    pub(super) fn format_ready(&self) -> Checked {
        let table = |index| Fault::Unused { table: "passed", index };
        let Some(index) = self.format_param() else {
            return if self.plan.passed.is_empty() { Ok(()) } else { Err(table(0)) };
        };
        if self.made.format.is_none() {
            return Err(Fault::Undone { what: "goes through", subject: self.subject(index) });
        }
        let named = self.plan.prototype.function.params.len();
        let count = self.params.len() - named;
        if self.plan.passed.len() > count {
            return Err(table(count));
        }
        for (index, param) in self.params.iter().enumerate().skip(named) {
            let expected = self.conversion_kind(&param.wants).zip(param.place);
            let expected = expected.map(|(kind, at)| Passed { kind, at });
            let found = self.plan.passed.get(index - named).copied();
            self.agrees(expected.is_some() && expected == found, "what is passed", index)?;
        }
        Ok(())
    }

    /// What a conversion can take of an argument.
    fn conversion_kind(&self, wants: &Argument<'_>) -> Option<Kind> {
        match *wants {
            Argument::Scalar(Scalar::Float(Float::Double)) => Some(Kind::Double),
            Argument::Scalar(scalar) => match self.reader.width(scalar, DataModel::Lp64)? {
                Width::I32 | Width::U32 => Some(Kind::Int),
                Width::I64 | Width::U64 => Some(Kind::Wide),
                Width::U8 | Width::I8 | Width::U16 | Width::I16 | Width::I128 => None,
            },
            Argument::Two(Scalar::Float(Float::LongDouble)) => Some(Kind::LongDouble),
            Argument::Text { unit: 1, null: Null::Refused, writable: false } => Some(Kind::Text),
            Argument::Two(_)
            | Argument::Copied
            | Argument::Text { .. }
            | Argument::Nothing
            | Argument::Function { .. }
            | Argument::Vector
            | Argument::Object
            | Argument::Computed(..)
            | Argument::Handle { .. }
            | Argument::Cookie { .. }
            | Argument::Descriptor { .. }
            | Argument::DescriptorCell { .. }
            | Argument::HandleCell { .. }
            | Argument::Buffer { .. }
            | Argument::Integer { .. }
            | Argument::Pointer { .. } => None,
        }
    }
}
