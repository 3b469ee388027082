//! Data of a library: `extern int opterr`, `extern FILE *stdout`, `extern const char version[]`.
use super::super::{Data, Diagnostic, Function, Lender, Note, NoteKind, Prototype, Type, TypeKind};
use super::super::{Span, Variadic};
use super::declarator::{Declarator, decay};
use super::specifiers::{Specifiers, Storage};
use super::{Parse, Parser, Reported};

impl Parser<'_, '_> {
    /// The prototype that a declarator makes that is no function's.
    pub(super) fn finish_data(
        &mut self,
        specifiers: &Specifiers,
        mut declarator: Declarator,
        start: Span,
    ) -> Parse<Prototype> {
        let span = self.since(start);
        let Some(name) = declarator.name.take() else { return Err(Reported) };
        if specifiers.storage != Storage::Extern {
            return self.fail(
                Diagnostic::new(name.span, "this declares no function")
                    .label("no parameter list follows")
                    .help(
                        "a prototype looks like `double cos(double x)`, data of a library like \
                         `extern int opterr`",
                    ),
            );
        }
        for note in specifiers.function_notes.iter().chain(&declarator.trailing.notes) {
            if note.kind.describes_function() {
                let error = format!("`{}` describes a function, and this is data", note.kind);
                self.report(Diagnostic::new(note.span, error));
            }
        }
        declarator.trailing.notes.retain(|note| !note.kind.describes_function());
        let ty = self.declared_type(specifiers.ty.clone(), declarator)?;
        let function = Function { result: ty, params: Vec::new(), variadic: Variadic::No };
        let data = Some(Data::Value);
        let mut prototype = Prototype { name, function, notes: Vec::new(), span, data };
        self.resolve_prototype(&mut prototype);
        let result = &mut prototype.function.result;
        if let TypeKind::Array { .. } = result.kind {
            prototype.data = Some(Data::Array);
            *result = decay(result.clone());
        }
        imply(result);
        Ok(prototype)
    }
}

/// What a pointer that is read as data means when nothing else is said: the library keeps what it
/// points at.
fn imply(ty: &mut Type) {
    let Some(pointee) = ty.pointee() else { return };
    let kind = match pointee.kind {
        TypeKind::Record(_) => NoteKind::Borrowed,
        TypeKind::Function(_) | TypeKind::Pointer(_) => return,
        _ => NoteKind::LifetimeBound(Lender::Static),
    };
    let said = |kind: &NoteKind| {
        matches!(
            kind,
            NoteKind::Borrowed
                | NoteKind::LifetimeBound(_)
                | NoteKind::FreedBy(_)
                | NoteKind::Cookie
                | NoteKind::Closure(_)
        )
    };
    if !ty.has(said) {
        ty.notes.push(Note { kind, span: ty.span });
    }
}
