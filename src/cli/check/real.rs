//! Types as a real C header has them: what the C compiler said.
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
    /// `struct` or `union`, by its tag.
    Record {
        /// With its keyword; `None` without a tag.
        tag: Option<String>,
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
    /// Something else: complex numbers, vectors, arrays.
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

impl Real {
    /// The type itself, without typedefs and qualifiers.
    pub fn bare(&self) -> &Real {
        match self {
            Real::Typedef { of, .. } | Real::Qualified { of, .. } => of.bare(),
            other => other,
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
            Real::Integer { name, .. } | Real::Float { name, .. } | Real::Typedef { name, .. } => {
                base(name)
            }
            Real::Record { tag } => base(tag.as_deref().unwrap_or("struct")),
            Real::Other(name) => base(name),
            Real::Pointer(to) => match to.as_ref() {
                Real::Function(_) => to.declare(format!("(*{inner})")),
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
        assert_eq!(pointer(constant(chars)).to_string(), "const char *");
        assert_eq!(constant(pointer(int)).to_string(), "int *const");
        assert_eq!(callback.to_string(), "int (*)(void *, char **)");
        assert_eq!(pointer(callback).to_string(), "int (**)(void *, char **)");
    }
}
