//! Warnings about functions that seem to end an object, or to give memory away, without an annotation that says so.
//!
//! Only names tell it, so that an author may mean it otherwise: `--intended`.
use super::shapes::{Warning, pointed_record};
use portcullis::host::freed_by;
use portcullis::signature::{
    Integer, Interface, NoteKind, Param, Prototype, Record, Scope, Type, TypeKind,
};
use std::sync::Arc;

/// All of them.
pub fn warnings(interface: &Interface) -> Vec<Warning> {
    let own = freed_by(interface);
    let mut list = Vec::new();
    for grant in &interface.grants {
        let prototype = &grant.prototype;
        if prototype.data.is_some() || own.contains(&prototype.name.name) {
            continue;
        }
        let ends = ends(prototype, &interface.scope);
        for (span, message) in ends.into_iter().chain(gives(prototype)) {
            let function = prototype.name.to_string();
            let message = format!("`{function}` {message} (judged by its name)");
            list.push(Warning { function, span, message });
        }
    }
    list
}

type Found = (portcullis::signature::Span, String);

/// Words that end something.
const ENDS: [&str; 8] =
    ["free", "destroy", "close", "delete", "dispose", "release", "unref", "finalize"];
/// Words with one of those in them that do not.
const OTHERS: [&str; 8] =
    ["closest", "closed", "freeze", "freed", "freezes", "disclose", "enclose", "freefall"];

/// A function that is named like an end of what it is given.
fn ends(prototype: &Prototype, scope: &Scope) -> Option<Found> {
    let name = prototype.name.name.to_lowercase();
    let is_end = |word: &str| {
        let is = |end: &&str| word.starts_with(*end) || word.ends_with(*end);
        ENDS.iter().find(|end| is(end)).filter(|_| !OTHERS.contains(&word))
    };
    let verb = name.split('_').find_map(is_end)?;
    // `db_release_memory` ends no object.
    if name.ends_with("_memory") {
        return None;
    }
    let first = prototype.function.params.first()?;
    let says = first.ty.has(|note| {
        matches!(note, NoteKind::Consumes | NoteKind::ConsumesIf(_) | NoteKind::Invalidates)
    });
    if says || first.ty.quals.is_const {
        return None;
    }
    match pointed_record(&first.ty) {
        Some(record) if is_opaque(record, scope) => Some((
            first.span,
            format!(
                "seems to end the `{}` that it is given: write `__consumes` (or `__consumes_if(...)`), or guests can go \
                 on using it",
                super::c_text::tag(record)
            ),
        )),
        Some(_) => None,
        None if *verb == "free" && is_memory(first) => Some((
            first.span,
            format!(
                "seems to free what it is given, which is the guest's memory and not the library's: let \
                 `__freed_by({})` name it where the memory comes from, and the guest's import is its own `free`",
                prototype.name
            ),
        )),
        None => None,
    }
}

/// Whether nothing is known of a record but its name.
fn is_opaque(record: &Record, scope: &Scope) -> bool {
    let Some(tag) = &record.tag else { return false };
    record.body.is_none() && !scope.records.contains_key(&(record.kind, Arc::clone(&tag.name)))
}

fn is_memory(param: &Param) -> bool {
    param.ty.pointee().is_some_and(|to| !to.quals.is_const && is_bytes(to))
        && !param.ty.has(|note| matches!(note, NoteKind::Cookie | NoteKind::Closure(_)))
}

fn is_bytes(ty: &Type) -> bool {
    matches!(
        ty.kind,
        TypeKind::Void
            | TypeKind::Integer(Integer::Char | Integer::SignedChar | Integer::UnsignedChar)
    )
}

/// Functions whose result is memory of the C library's own.
const LENT: [&str; 16] = [
    "getenv",
    "secure_getenv",
    "setlocale",
    "strerror",
    "strsignal",
    "asctime",
    "ctime",
    "nl_langinfo",
    "inet_ntoa",
    "dlerror",
    "getlogin",
    "ttyname",
    "tmpnam",
    "gettext",
    "textdomain",
    "gai_strerror",
];

/// A function that is known to return memory which is not the guest's.
fn gives(prototype: &Prototype) -> Option<Found> {
    let result = &prototype.function.result;
    let to = result.pointee().filter(|to| is_bytes(to))?;
    let says = result.has(|note| {
        matches!(
            note,
            NoteKind::FreedBy(_)
                | NoteKind::LifetimeBound(_)
                | NoteKind::Cookie
                | NoteKind::Closure(_)
                | NoteKind::CapturedBy(_)
        )
    });
    if says {
        return None;
    }
    let name = &*prototype.name.name;
    if name.ends_with("strdup") || name.ends_with("strndup") || name.ends_with("_dup") {
        let message = if to.quals.is_const {
            "seems to return new memory, which nobody frees"
        } else {
            "seems to return new memory, of which guests get no copy: each call traps"
        };
        return Some((
            result.span,
            format!("{message}; write `__null_terminated __freed_by(free)`"),
        ));
    }
    if LENT.contains(&name) && !to.quals.is_const {
        let message = "returns memory of the library, of which guests get no copy: each call traps; write `const char *`";
        return Some((result.span, message.to_owned()));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis::interfaces;
    use portcullis::signature::parse_interface;

    fn warned(text: &str) -> Vec<String> {
        let text = format!("#pragma portcullis library \"libx.so\"\nstruct db;\n{text}");
        let interface = parse_interface("x.h", &text).unwrap_or_else(|e| panic!("{e}"));
        warnings(&interface).into_iter().map(|warning| warning.message).collect()
    }

    #[test]
    fn ends_without_an_annotation_are_found() {
        for name in ["db_close", "db_free", "closedb", "regfree", "x_destroy_db", "DB_Release"] {
            let list = warned(&format!("int {name}(struct db *db);"));
            assert!(list.len() == 1 && list[0].contains("`__consumes`"), "{name}: {list:?}");
        }
        let list = warned("void x_free(void *__sized_by(n) p, size_t n);");
        assert!(list.len() == 1 && list[0].contains("`__freed_by(x_free)`"), "{list:?}");
    }

    #[test]
    fn memory_that_is_not_the_guests_is_found() {
        for (text, expected) in [
            (
                "char *strdup(const char *s);",
                "each call traps; write `__null_terminated __freed_by(free)`",
            ),
            (
                "const char *x_strdup(const char *s);",
                "nobody frees; write `__null_terminated __freed_by(free)`",
            ),
            ("char *getenv(const char *name);", "write `const char *`"),
        ] {
            let list = warned(text);
            assert!(list.len() == 1 && list[0].contains(expected), "{text}: {list:?}");
        }
    }

    #[test]
    fn what_is_annotated_or_named_otherwise_is_not() {
        for text in [
            "typedef struct db t __drop(db_close); int db_close(t *__consumes db);",
            "int db_close(struct db *__invalidates db);",
            "int db_is_open(struct db *db);",
            "int db_closest(struct db *db, int x);",
            "int close_all(int how);",
            "int db_release_memory(struct db *db);",
            "void free(void *p); char *__null_terminated __freed_by(free) strdup(const char *s);",
            "const char *getenv(const char *name);",
            "char *strchr(const char *s, int c);",
        ] {
            assert_eq!(warned(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn what_ships_gives_no_such_warning() {
        for (file, shipped) in interfaces::all() {
            let list = warnings(shipped.interface());
            assert!(list.is_empty(), "{file}: {list:?}");
        }
    }
}
