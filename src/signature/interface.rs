//! What an interface grants: libraries, prototypes and the names they share.
//!
//! Only the data; the reader of annotated C headers is in the parser beside this file.
use super::{Enum, Ident, Note, Prototype, Record, RecordBody, RecordKind, Span, Type};
use std::collections::HashMap;
use std::sync::Arc;

/// An annotated C header, parsed and checked.
#[derive(Clone, Debug)]
pub struct Interface {
    /// What messages call it: a file name, or `zlib.h` for one that ships with the crate.
    pub name: Arc<str>,
    /// Its text, which every span points into.
    pub text: Arc<str>,
    /// The libraries that its pragmas name, in order.
    pub libraries: Vec<Library>,
    /// The prototypes that it grants, in order. Several of one symbol are an overload set.
    pub grants: Vec<Grant>,
    /// The names that its prototypes, and those of guests that use it, may mention.
    pub scope: Scope,
}

/// `#pragma portcullis library "libz.so.1" module "zlib" also "libc.so.6"`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Library {
    /// What the dynamic linker is asked for.
    pub file: Arc<str>,
    /// The import module that guests may write instead of [`Library::file`].
    pub module: Option<Arc<str>>,
    /// Other libraries that may define its symbols.
    pub also: Vec<Arc<str>>,
    /// The exported memory that guests' pointers point into, when it is not the usual one
    /// (`memory "name"` in the pragma).
    pub memory: Option<Arc<str>>,
    /// What the host does to the library before a guest reaches it (`guard "name"` in the
    /// pragma): the bridge knows the names.
    pub guard: Option<Arc<str>>,
    /// Where the pragma stands.
    pub span: Span,
}

/// Permission to call one prototype of one library.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Index into [`Interface::libraries`].
    pub library: usize,
    /// The prototype, checked.
    pub prototype: Arc<Prototype>,
    /// Whether the function never calls back into a guest: `__leaf`, or an interface without any
    /// callback.
    pub leaf: bool,
}

/// Names that a prototype may mention: typedefs, tags and integer constants.
///
/// The empty scope knows the names of C itself and of the standard headers; these are built into
/// the parser and are never listed here.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Typedefs, resolved.
    pub typedefs: HashMap<Arc<str>, Type>,
    /// Bodies of structs and unions by tag.
    pub records: HashMap<(RecordKind, Arc<str>), Arc<RecordBody>>,
    /// Enums by tag.
    pub enums: HashMap<Arc<str>, Arc<Enum>>,
    /// Enum constants and `#define`d integers.
    pub constants: HashMap<Arc<str>, i128>,
    /// Annotations of opaque types (`__drop`, `__boxed`), by tag.
    pub record_notes: HashMap<(RecordKind, Arc<str>), Vec<Note>>,
}

impl Scope {
    /// The function that destroys a handle of this type (`__drop` on its typedef).
    #[must_use]
    pub fn drop_of(&self, record: &Record) -> Option<&Ident> {
        let tag = record.tag.as_ref()?;
        let notes = self.record_notes.get(&(record.kind, Arc::clone(&tag.name)))?;
        notes.iter().find_map(|note| match &note.kind {
            super::NoteKind::Drop(function) => Some(function),
            _ => None,
        })
    }
}
