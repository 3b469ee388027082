//! What names mean while a text is parsed: the scope that it was given under its own definitions.
use super::super::diagnostic::did_you_mean;
use super::super::{
    Enum, Field, Function, Note, NoteKind, Record, RecordBody, RecordKind, Scope, Span, Type,
    TypeKind, Variadic, builtin,
};
use std::sync::Arc;

/// How many nodes the typedefs and bodies that one text mentions may expand to.
pub(super) const BUDGET: usize = 1 << 24;
/// The largest single type, in nodes, everything that it mentions included.
const MAX_NODES: usize = 1 << 14;
/// The deepest single type, everything that it mentions included.
const MAX_TYPE_DEPTH: usize = 128;

/// The alias of a type whose name is unknown: the mistake is told, nothing else is said about it.
const UNKNOWN: &str = "?";

/// The definitions of a text over those of the scope that it is read in.
pub(in super::super) struct Names<'s> {
    outer: &'s Scope,
    pub(in super::super) own: Scope,
}

impl<'s> Names<'s> {
    pub(super) fn new(outer: &'s Scope) -> Self {
        Names { outer, own: Scope::default() }
    }

    pub(super) fn typedef(&self, name: &str) -> Option<Type> {
        let known = self.own.typedefs.get(name).or_else(|| self.outer.typedefs.get(name));
        known.cloned().or_else(|| builtin::typedef(name))
    }

    pub(in super::super) fn record(
        &self,
        kind: RecordKind,
        tag: &Arc<str>,
    ) -> Option<Arc<RecordBody>> {
        self.record_ref(kind, tag).cloned()
    }

    /// The body that belongs to a tag.
    pub(in super::super) fn record_ref(
        &self,
        kind: RecordKind,
        tag: &Arc<str>,
    ) -> Option<&Arc<RecordBody>> {
        let key = (kind, Arc::clone(tag));
        self.own.records.get(&key).or_else(|| self.outer.records.get(&key))
    }

    /// The body of a record, even where it is mentioned before or inside of it.
    pub(in super::super) fn body(&self, record: &Record) -> Option<Arc<RecordBody>> {
        let by_tag = || self.record(record.kind, &record.tag.as_ref()?.name);
        record.body.clone().or_else(by_tag)
    }

    pub(super) fn enumeration(&self, tag: &str) -> Option<Arc<Enum>> {
        self.own.enums.get(tag).or_else(|| self.outer.enums.get(tag)).cloned()
    }

    pub(super) fn constant(&self, name: &str) -> Option<i128> {
        let known = self.own.constants.get(name).or_else(|| self.outer.constants.get(name));
        known.copied()
    }

    pub(in super::super) fn record_notes(&self, record: &Record) -> &[Note] {
        let Some(tag) = &record.tag else { return &[] };
        let key = (record.kind, Arc::clone(&tag.name));
        let known = self.own.record_notes.get(&key).or_else(|| self.outer.record_notes.get(&key));
        known.map_or(&[], Vec::as_slice)
    }

    /// Whether the record is opaque to the guest: incomplete, or `__boxed`.
    pub(in super::super) fn is_opaque(&self, record: &Record) -> bool {
        self.body(record).is_none()
            || self.record_notes(record).iter().any(|note| note.kind == NoteKind::Boxed)
    }

    /// The type name that was probably meant. Looks at every name there is.
    pub(super) fn similar_type(&self, word: &str) -> Option<String> {
        let records = self.own.records.keys().chain(self.outer.records.keys());
        let mut known: Vec<&str> = builtin::type_names().collect();
        known
            .extend(self.own.typedefs.keys().chain(self.outer.typedefs.keys()).map(|name| &**name));
        known.extend(records.clone().map(|(_, tag)| &**tag));
        known.extend(self.own.enums.keys().chain(self.outer.enums.keys()).map(|tag| &**tag));
        let found = did_you_mean(word, known)?;
        // A tag alone is no type in C: offer it with its keyword.
        if self.typedef(found).is_some() || builtin::type_names().any(|known| known == found) {
            return Some(found.to_owned());
        }
        let keyword = records.clone().find(|(_, tag)| &**tag == found).map(|(kind, _)| *kind);
        Some(keyword.map_or(format!("enum {found}"), |kind| format!("{kind} {found}")))
    }
}

/// The type that stands for an unknown name.
pub(super) fn unknown(span: Span) -> Type {
    let int = TypeKind::Integer(super::super::Integer::Int);
    Type { alias: Some(Arc::from(UNKNOWN)), span, ..builtin::plain(int) }
}

/// Whether a mistake about this type has been told already.
pub(in super::super) fn is_unknown(ty: &Type) -> bool {
    if ty.alias.as_deref() == Some(UNKNOWN) {
        return true;
    }
    match &ty.kind {
        TypeKind::Pointer(inner) => is_unknown(inner),
        TypeKind::Array { element, .. } => is_unknown(element),
        TypeKind::Function(function) => is_unknown(&function.result),
        _ => false,
    }
}

/// Gives a type that was defined elsewhere the place where it is mentioned, all of it.
pub(super) fn move_to(ty: &mut Type, span: Span) {
    ty.span = span;
    for note in &mut ty.notes {
        note.span = span;
    }
    match &mut ty.kind {
        TypeKind::Pointer(inner) => move_to(inner, span),
        TypeKind::Array { element, .. } => move_to(element, span),
        TypeKind::Vector { lane, .. } => move_to(lane, span),
        TypeKind::Function(function) => {
            let Function { result, params, variadic } = &mut **function;
            move_to(result, span);
            for param in params {
                param.span = span;
                move_to(&mut param.ty, span);
            }
            match variadic {
                Variadic::No => {}
                Variadic::Untyped(at) => *at = span,
                Variadic::Typed(tail) => tail.iter_mut().for_each(|ty| move_to(ty, span)),
            }
        }
        TypeKind::Record(Record { tag, .. }) => {
            if let Some(tag) = tag {
                tag.span = span;
            }
        }
        TypeKind::Void
        | TypeKind::Bool
        | TypeKind::Integer(_)
        | TypeKind::Float(_)
        | TypeKind::Complex(_)
        | TypeKind::Enum(_) => {}
    }
}

/// How large a type is with everything that it mentions, as far as anyone who walks it would go.
pub(super) struct Size {
    nodes: usize,
}

impl Size {
    /// The number of nodes, or what is wrong with the type.
    pub(super) fn of(ty: &Type) -> Result<usize, &'static str> {
        let mut size = Size { nodes: 0 };
        size.ty(ty, 0)?;
        Ok(size.nodes)
    }

    pub(super) fn of_body(body: &RecordBody) -> Result<usize, &'static str> {
        let mut size = Size { nodes: 0 };
        size.body(body, 0)?;
        Ok(size.nodes)
    }

    fn ty(&mut self, ty: &Type, depth: usize) -> Result<(), &'static str> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err("this type is too large once its typedefs and tags are resolved");
        }
        if depth > MAX_TYPE_DEPTH {
            return Err("this type is nested too deep once its typedefs are resolved");
        }
        match &ty.kind {
            TypeKind::Pointer(inner) => self.ty(inner, depth + 1),
            TypeKind::Array { element, .. } => self.ty(element, depth + 1),
            TypeKind::Vector { lane, .. } => self.ty(lane, depth + 1),
            TypeKind::Function(function) => {
                self.ty(&function.result, depth + 1)?;
                for param in &function.params {
                    self.ty(&param.ty, depth + 1)?;
                }
                match &function.variadic {
                    Variadic::No | Variadic::Untyped(_) => Ok(()),
                    Variadic::Typed(tail) => tail.iter().try_for_each(|ty| self.ty(ty, depth + 1)),
                }
            }
            TypeKind::Record(Record { body: Some(body), .. }) => self.body(body, depth + 1),
            TypeKind::Enum(enumeration) => {
                self.nodes += enumeration.constants.len();
                Ok(())
            }
            TypeKind::Record(Record { body: None, .. })
            | TypeKind::Void
            | TypeKind::Bool
            | TypeKind::Integer(_)
            | TypeKind::Float(_)
            | TypeKind::Complex(_) => Ok(()),
        }
    }

    fn body(&mut self, body: &RecordBody, depth: usize) -> Result<(), &'static str> {
        body.fields.iter().try_for_each(|Field { ty, .. }| self.ty(ty, depth))
    }
}
