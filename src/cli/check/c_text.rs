//! Types of an interface as C text that a compiler reads beside the real header.
use super::real::keyword;
use portcullis::signature::{
    Data, Function, NoteKind, Prototype, Qualifiers, Record, Scope, Type, TypeKind, Variadic,
};

/// How typedefs are written. Those of records without a tag always keep their names: C has no other
/// name for such a type.
#[derive(Clone, Copy)]
pub enum Typedefs<'a> {
    /// Those of the standard headers keep their names, those of the interface are resolved:
    /// `int64_t` is `long` to one C library and `long long` to another.
    Standard(&'a Scope),
    /// All are resolved.
    Resolved(&'a Scope),
}

/// The type of a function or of data, without its name: `int (const char *)`, `FILE *`.
pub fn declared_type(prototype: &Prototype, typedefs: Typedefs<'_>) -> String {
    let result = &prototype.function.result;
    match prototype.data {
        None => function(&prototype.function, String::new(), typedefs),
        Some(Data::Value) => type_name(result, typedefs),
        Some(Data::Array) => {
            let length = result.notes.iter().find_map(|note| match &note.kind {
                NoteKind::CountedBy(length) => Some(length.to_string()),
                _ => None,
            });
            let brackets = format!("[{}]", length.unwrap_or_default());
            declare(result.pointee().unwrap_or(result), brackets, typedefs)
        }
    }
}

/// A type without a name.
pub fn type_name(ty: &Type, typedefs: Typedefs<'_>) -> String {
    declare(ty, String::new(), typedefs)
}

fn function(function: &Function, inner: String, typedefs: Typedefs<'_>) -> String {
    let mut params: Vec<String> =
        function.params.iter().map(|param| type_name(&param.ty, typedefs)).collect();
    match function.variadic {
        Variadic::No if params.is_empty() => params.push("void".to_owned()),
        Variadic::No => {}
        Variadic::Untyped(_) | Variadic::Typed(_) => params.push("...".to_owned()),
    }
    declare(&function.result, format!("{inner}({})", params.join(", ")), typedefs)
}

/// A declaration of `inner`.
fn declare(ty: &Type, inner: String, typedefs: Typedefs<'_>) -> String {
    let base = |name: &str| {
        let mut text = String::new();
        for qualifier in qualifiers(ty.quals) {
            text.push_str(qualifier);
            text.push(' ');
        }
        text.push_str(name);
        if !inner.is_empty() {
            text.push(' ');
            text.push_str(&inner);
        }
        text
    };
    if let Some(name) = kept_name(ty, typedefs) {
        return base(name);
    }
    match &ty.kind {
        TypeKind::Void => base("void"),
        TypeKind::Bool => base("_Bool"),
        TypeKind::Integer(kind) => base(&kind.to_string()),
        TypeKind::Float(kind) => base(&kind.to_string()),
        TypeKind::Complex(kind) => base(&format!("{kind} _Complex")),
        TypeKind::Vector { lane, bytes } => {
            let lane = type_name(lane, typedefs);
            base(&format!("__attribute__((vector_size({bytes}))) {lane}"))
        }
        // C has an enum compatible with its integer type, and with no other enum.
        TypeKind::Enum(of) => base(&of.underlying.to_string()),
        TypeKind::Record(record) => base(&tag(record)),
        TypeKind::Pointer(to) => {
            let mut inner = inner;
            for qualifier in qualifiers(ty.quals) {
                inner = format!("{qualifier} {inner}");
            }
            let binds_closer = matches!(to.kind, TypeKind::Array { .. } | TypeKind::Function(_));
            let inner = if binds_closer { format!("(*{inner})") } else { format!("*{inner}") };
            declare(to, inner, typedefs)
        }
        TypeKind::Array { element, length } => {
            let length = match length.as_ref().map(|length| &length.kind) {
                Some(portcullis::signature::ExprKind::Integer(length)) => length.to_string(),
                _ => String::new(),
            };
            declare(element, format!("{inner}[{length}]"), typedefs)
        }
        TypeKind::Function(of) => function(of, inner, typedefs),
    }
}

/// The typedef that the type keeps: that of a standard header that it was written with, through
/// those of the interface, or the one that names a record without a tag.
fn kept_name<'t>(ty: &'t Type, typedefs: Typedefs<'t>) -> Option<&'t str> {
    let (Typedefs::Standard(scope) | Typedefs::Resolved(scope)) = typedefs;
    let mut name = ty.alias.as_deref()?;
    let untagged = matches!(&ty.kind, TypeKind::Record(record) if record.tag.is_none());
    // Every typedef of an interface stands after those that it uses, so that this ends.
    while let Some(of) = scope.typedefs.get(name) {
        match of.alias.as_deref().filter(|next| *next != name) {
            Some(next) => name = next,
            None => return untagged.then_some(name),
        }
    }
    matches!(typedefs, Typedefs::Standard(_)).then_some(name)
}

/// The typedef that names a record without a tag.
pub fn untagged_name<'t>(ty: &'t Type, scope: &'t Scope) -> Option<&'t str> {
    kept_name(ty, Typedefs::Resolved(scope))
}

fn qualifiers(quals: Qualifiers) -> impl Iterator<Item = &'static str> {
    let Qualifiers { is_const, is_volatile, is_restrict, is_atomic } = quals;
    [
        (is_const, "const"),
        (is_volatile, "volatile"),
        (is_restrict, "__restrict"),
        (is_atomic, "_Atomic"),
    ]
    .into_iter()
    .filter_map(|(is, name)| is.then_some(name))
}

/// `struct NAME`.
pub fn tag(record: &Record) -> String {
    let keyword = keyword(record.kind);
    match &record.tag {
        Some(tag) => format!("{keyword} {tag}"),
        None => keyword.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis::signature::parse_interface;

    #[test]
    fn standard_typedefs_stay_and_those_of_the_interface_go() {
        let text = "#pragma portcullis library \"libx.so\"\n\
            typedef off_t where;\n\
            typedef unsigned long word;\n\
            where f(where at, word *_Out_ used, const char *name, int64_t n);\n";
        let interface = parse_interface("x.h", text).expect("correct");
        let prototype = &interface.grants[0].prototype;
        assert_eq!(
            declared_type(prototype, Typedefs::Standard(&interface.scope)),
            "off_t (off_t, unsigned long *, const char *, int64_t)"
        );
        assert_eq!(
            declared_type(prototype, Typedefs::Resolved(&interface.scope)),
            "long long (long long, unsigned long *, const char *, long long)"
        );
    }

    #[test]
    fn records_without_a_tag_keep_the_name_that_is_theirs() {
        let text = "#pragma portcullis library \"libx.so\"\n\
            typedef struct { int quot; int rem; } div_t;\n\
            typedef div_t parts;\n\
            parts f(const div_t *_In_ a, int b);\n";
        let interface = parse_interface("x.h", text).expect("correct");
        let prototype = &interface.grants[0].prototype;
        for typedefs in [Typedefs::Standard(&interface.scope), Typedefs::Resolved(&interface.scope)]
        {
            assert_eq!(declared_type(prototype, typedefs), "div_t (const div_t *, int)");
        }
    }
}
