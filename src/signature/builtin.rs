//! The names that every prototype knows: typedefs of the standard headers.
//!
//! Fixed-width names resolve to the C type that has that width under ILP32 *and* LP64, the
//! pointer-sized ones to `long`, whose width follows the data model as theirs does.
use super::{Float, Ident, Integer, Qualifiers, Record, RecordKind, Span, Type, TypeKind};
use Integer::{
    Int, Long, LongLong, Short, SignedChar, UnsignedChar, UnsignedInt, UnsignedLong,
    UnsignedLongLong, UnsignedShort,
};
use std::sync::Arc;

const INTEGERS: [(&str, Integer); 73] = [
    ("int8_t", SignedChar),
    ("int16_t", Short),
    ("int32_t", Int),
    ("int64_t", LongLong),
    ("uint8_t", UnsignedChar),
    ("uint16_t", UnsignedShort),
    ("uint32_t", UnsignedInt),
    ("uint64_t", UnsignedLongLong),
    ("int_least8_t", SignedChar),
    ("int_least16_t", Short),
    ("int_least32_t", Int),
    ("int_least64_t", LongLong),
    ("uint_least8_t", UnsignedChar),
    ("uint_least16_t", UnsignedShort),
    ("uint_least32_t", UnsignedInt),
    ("uint_least64_t", UnsignedLongLong),
    ("int_fast8_t", SignedChar),
    ("int_fast16_t", Long),
    ("int_fast32_t", Long),
    ("int_fast64_t", LongLong),
    ("uint_fast8_t", UnsignedChar),
    ("uint_fast16_t", UnsignedLong),
    ("uint_fast32_t", UnsignedLong),
    ("uint_fast64_t", UnsignedLongLong),
    ("intmax_t", LongLong),
    ("uintmax_t", UnsignedLongLong),
    ("intptr_t", Long),
    ("uintptr_t", UnsignedLong),
    ("ptrdiff_t", Long),
    ("size_t", UnsignedLong),
    ("ssize_t", Long),
    ("rsize_t", UnsignedLong),
    ("wchar_t", Int),
    ("wint_t", UnsignedInt),
    ("char8_t", UnsignedChar),
    ("char16_t", UnsignedShort),
    ("char32_t", UnsignedInt),
    ("u_char", UnsignedChar),
    ("u_short", UnsignedShort),
    ("u_int", UnsignedInt),
    ("u_long", UnsignedLong),
    ("uchar", UnsignedChar),
    ("ushort", UnsignedShort),
    ("uint", UnsignedInt),
    ("ulong", UnsignedLong),
    ("u_int8_t", UnsignedChar),
    ("u_int16_t", UnsignedShort),
    ("u_int32_t", UnsignedInt),
    ("u_int64_t", UnsignedLongLong),
    ("quad_t", LongLong),
    ("u_quad_t", UnsignedLongLong),
    ("time_t", LongLong),
    ("clock_t", LongLong),
    ("suseconds_t", LongLong),
    ("off_t", LongLong),
    ("off64_t", LongLong),
    ("loff_t", LongLong),
    ("blkcnt_t", LongLong),
    ("ino_t", UnsignedLongLong),
    ("dev_t", UnsignedLongLong),
    ("nlink_t", UnsignedLongLong),
    ("fsblkcnt_t", UnsignedLongLong),
    ("fsfilcnt_t", UnsignedLongLong),
    ("rlim_t", UnsignedLongLong),
    ("blksize_t", Long),
    ("mode_t", UnsignedInt),
    ("uid_t", UnsignedInt),
    ("gid_t", UnsignedInt),
    ("id_t", UnsignedInt),
    ("pid_t", Int),
    ("clockid_t", Int),
    ("socklen_t", UnsignedInt),
    ("sa_family_t", UnsignedShort),
];

/// Opaque records of the standard headers, and the tag that each is known by here.
const OPAQUE: [(&str, &str); 3] =
    [("FILE", "FILE"), ("DIR", "DIR"), ("locale_t", "__locale_struct")];

/// The SIMD types of x86 and wasm headers: lane, size in bytes.
const VECTORS: [(&str, Lane, u32); 7] = [
    ("__m64", Lane::Integer(LongLong), 8),
    ("__m128", Lane::Float(Float::Float), 16),
    ("__m128d", Lane::Float(Float::Double), 16),
    ("__m128i", Lane::Integer(LongLong), 16),
    ("__m256", Lane::Float(Float::Float), 32),
    ("__m256d", Lane::Float(Float::Double), 32),
    ("__m256i", Lane::Integer(LongLong), 32),
];

#[derive(Clone, Copy)]
enum Lane {
    Integer(Integer),
    Float(Float),
}

/// Words that start a type and are no typedef: for did-you-mean.
const KEYWORDS: [&str; 14] = [
    "void", "bool", "_Bool", "char", "short", "int", "long", "float", "double", "signed",
    "unsigned", "struct", "union", "enum",
];

/// Headers that interfaces may include; the names above are what they are for.
pub(super) const HEADERS: [&str; 37] = [
    "portcullis.h",
    "assert.h",
    "complex.h",
    "ctype.h",
    "dirent.h",
    "errno.h",
    "fcntl.h",
    "fenv.h",
    "float.h",
    "inttypes.h",
    "limits.h",
    "locale.h",
    "math.h",
    "netinet/in.h",
    "setjmp.h",
    "signal.h",
    "stdarg.h",
    "stdalign.h",
    "stdbool.h",
    "stddef.h",
    "stdint.h",
    "stdio.h",
    "stdlib.h",
    "string.h",
    "strings.h",
    "sys/socket.h",
    "sys/stat.h",
    "sys/time.h",
    "sys/types.h",
    "sys/uio.h",
    "tgmath.h",
    "time.h",
    "uchar.h",
    "unistd.h",
    "wchar.h",
    "wctype.h",
    "immintrin.h",
];

/// What a name of the standard headers stands for.
pub(super) fn typedef(name: &str) -> Option<Type> {
    if let Some((_, integer)) = INTEGERS.iter().find(|(known, _)| *known == name) {
        return Some(plain(TypeKind::Integer(*integer)));
    }
    if let Some((_, lane, bytes)) = VECTORS.iter().find(|(known, ..)| *known == name) {
        let lane = match lane {
            Lane::Integer(integer) => TypeKind::Integer(*integer),
            Lane::Float(float) => TypeKind::Float(*float),
        };
        return Some(plain(TypeKind::Vector { lane: Box::new(plain(lane)), bytes: *bytes }));
    }
    let (_, tag) = OPAQUE.iter().find(|(known, _)| *known == name)?;
    let tag = Some(Ident { name: Arc::from(*tag), span: Span::default() });
    let record = plain(TypeKind::Record(Record { kind: RecordKind::Struct, tag, body: None }));
    // This one is a pointer already where C has it.
    Some(if name == "locale_t" { plain(TypeKind::Pointer(Box::new(record))) } else { record })
}

/// Every name that [`typedef`] knows, and the words of C that start a type.
pub(super) fn type_names() -> impl Iterator<Item = &'static str> {
    INTEGERS
        .iter()
        .map(|(name, _)| *name)
        .chain(VECTORS.iter().map(|(name, ..)| *name))
        .chain(OPAQUE.iter().map(|(name, _)| *name))
        .chain(KEYWORDS)
}

/// A type without qualifiers, annotations or place.
pub(super) fn plain(kind: TypeKind) -> Type {
    Type {
        kind,
        quals: Qualifiers::default(),
        notes: Vec::new(),
        alias: None,
        span: Span::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_resolve() {
        let names: Vec<_> = type_names().filter(|name| !KEYWORDS.contains(name)).collect();
        for (at, name) in names.iter().enumerate() {
            assert!(typedef(name).is_some(), "{name}");
            assert!(!names[..at].contains(name), "{name} twice");
        }
        assert!(typedef("int").is_none());
    }

    #[test]
    fn pointer_sized_names_follow_the_data_model() {
        for (name, integer) in [("size_t", UnsignedLong), ("intptr_t", Long), ("ssize_t", Long)] {
            assert_eq!(typedef(name).map(|t| t.kind), Some(TypeKind::Integer(integer)));
        }
        assert_eq!(typedef("int64_t").map(|t| t.kind), Some(TypeKind::Integer(LongLong)));
    }
}
