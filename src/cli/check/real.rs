//! Types as a real C header has them: what the C compiler said.
use portcullis::signature::RecordKind;
use std::fmt;

/// A type of C.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Real {
    /// `void`
    Void,
    /// An integer type, character types and enums included.
    Integer {
        /// As C spells it.
        name: String,
        /// Its size in bytes.
        size: u64,
        /// Whether it has a sign.
        signed: bool,
    },
    /// `_Bool`
    Bool,
    /// A real floating type.
    Float {
        /// As C spells it.
        name: String,
        /// Its size in bytes.
        size: u64,
    },
    /// A pointer.
    Pointer(Box<Real>),
    /// A function, behind a pointer.
    Function(Box<Signature>),
    /// A complex floating type.
    Complex {
        /// As C spells it.
        name: String,
        /// Its size in bytes: both parts.
        size: u64,
    },
    /// A vector of GCC.
    Vector {
        /// What its lanes are.
        lane: Box<Real>,
        /// Size of the whole in bytes.
        bytes: u64,
    },
    /// An array, behind a pointer or in a record.
    Array {
        /// What its elements are.
        element: Box<Real>,
        /// How many; `None` of `[]`.
        length: Option<u64>,
    },
    /// `struct` or `union`.
    Record {
        /// Which of the two.
        kind: RecordKind,
        /// With its keyword; `None` without a tag.
        tag: Option<String>,
        /// What is in it, in [`Records`]: a record may lead back to itself.
        id: usize,
    },
    /// A typedef.
    Typedef {
        /// Its name.
        name: String,
        /// What it stands for.
        of: Box<Real>,
    },
    /// A qualified type.
    Qualified {
        /// `const`, `volatile`, `restrict`, `_Atomic`.
        qualifier: &'static str,
        /// The type without it.
        of: Box<Real>,
    },
    /// Something else: decimal and fixed-point numbers.
    Other(String),
}

/// A function type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The result.
    pub result: Real,
    /// The parameters.
    pub params: Vec<Real>,
    /// Whether `...` follows.
    pub variadic: bool,
    /// Whether the parameters are declared at all: `int f()` says nothing of them in older C.
    pub prototyped: bool,
}

/// What is in the structs and unions that types speak of.
#[derive(Clone, Debug, Default)]
pub struct Records {
    /// By [`Real::Record::id`]; `None` of an incomplete one.
    pub bodies: Vec<Option<Body>>,
}

/// A complete struct or union.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// Its size in bytes.
    pub size: u64,
    /// Its alignment in bytes, where that is known.
    pub align: Option<u64>,
    /// Its fields in order, without unnamed bit-fields.
    pub members: Vec<Member>,
}

/// A field of a struct or union.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name; `None` of an anonymous record.
    pub name: Option<String>,
    /// Its type.
    pub ty: Real,
    /// Where it starts, in bits.
    pub at: u64,
    /// How many bits a bit-field has.
    pub bits: Option<u64>,
}

impl Records {
    /// What is in a record; `None` if it is incomplete.
    pub fn body(&self, id: usize) -> Option<&Body> {
        self.bodies.get(id)?.as_ref()
    }
}

impl Real {
    /// The type itself, without typedefs and qualifiers.
    pub fn bare(&self) -> &Real {
        match self {
            Real::Typedef { of, .. } | Real::Qualified { of, .. } => of.bare(),
            other => other,
        }
    }

    /// The typedef that names a record without a tag.
    pub fn untagged_name(&self) -> Option<&str> {
        match self {
            Real::Qualified { of, .. } => of.untagged_name(),
            Real::Typedef { name, of } => of
                .untagged_name()
                .or_else(|| matches!(of.bare(), Real::Record { tag: None, .. }).then_some(name)),
            _ => None,
        }
    }

    /// Whether objects of the type are read-only.
    pub fn is_const(&self) -> bool {
        match self {
            Real::Typedef { of, .. } => of.is_const(),
            Real::Qualified { qualifier, of } => *qualifier == "const" || of.is_const(),
            _ => false,
        }
    }

    /// A declaration of `inner` with this type.
    fn declare(&self, inner: String) -> String {
        let base = |name: &str| {
            if inner.is_empty() || inner.starts_with(')') {
                format!("{name}{inner}")
            } else {
                format!("{name} {inner}")
            }
        };
        match self {
            Real::Void => base("void"),
            Real::Bool => base("_Bool"),
            Real::Integer { name, .. }
            | Real::Float { name, .. }
            | Real::Complex { name, .. }
            | Real::Typedef { name, .. }
            | Real::Other(name) => base(name),
            Real::Record { kind, tag, .. } => base(tag.as_deref().unwrap_or(keyword(*kind))),
            Real::Vector { lane, bytes } => {
                base(&format!("__attribute__((vector_size({bytes}))) {lane}"))
            }
            Real::Array { element, length } => {
                let length = length.map(|length| length.to_string()).unwrap_or_default();
                element.declare(format!("{inner}[{length}]"))
            }
            Real::Pointer(to) => match to.as_ref() {
                Real::Function(_) | Real::Array { .. } => to.declare(format!("(*{inner})")),
                _ => to.declare(format!("*{inner}")),
            },
            Real::Function(signature) => {
                let mut params: Vec<String> =
                    signature.params.iter().map(|param| param.declare(String::new())).collect();
                if signature.variadic {
                    params.push("...".to_owned());
                } else if params.is_empty() && signature.prototyped {
                    params.push("void".to_owned());
                }
                signature.result.declare(format!("{inner}({})", params.join(", ")))
            }
            Real::Qualified { qualifier, of } => match of.bare() {
                // The qualifier of a pointer stands behind its star.
                Real::Pointer(_) if !matches!(**of, Real::Typedef { .. }) => {
                    let space = if inner.is_empty() { "" } else { " " };
                    of.declare(format!("{qualifier}{space}{inner}"))
                }
                _ => format!("{qualifier} {}", of.declare(inner)),
            },
        }
    }
}

/// The keyword of a record.
pub fn keyword(kind: RecordKind) -> &'static str {
    match kind {
        RecordKind::Struct => "struct",
        RecordKind::Union => "union",
    }
}

impl fmt::Display for Real {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.declare(String::new()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_written_as_c_has_them() {
        let int = Real::Integer { name: "int".to_owned(), size: 4, signed: true };
        let constant = |of: Real| Real::Qualified { qualifier: "const", of: Box::new(of) };
        let pointer = |to: Real| Real::Pointer(Box::new(to));
        let chars = Real::Integer { name: "char".to_owned(), size: 1, signed: true };
        let callback = Signature {
            result: int.clone(),
            params: vec![pointer(Real::Void), pointer(pointer(chars.clone()))],
            variadic: false,
            prototyped: true,
        };
        let callback = pointer(Real::Function(Box::new(callback)));
        let array = Real::Array { element: Box::new(int.clone()), length: Some(3) };
        assert_eq!(array.to_string(), "int [3]");
        assert_eq!(pointer(array).to_string(), "int (*)[3]");
        assert_eq!(pointer(constant(chars)).to_string(), "const char *");
        assert_eq!(constant(pointer(int)).to_string(), "int *const");
        assert_eq!(callback.to_string(), "int (*)(void *, char **)");
        assert_eq!(pointer(callback).to_string(), "int (**)(void *, char **)");
    }
}
