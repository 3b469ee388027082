//! What of a library's data can be read.
use super::super::{Data, Diagnostic, Float, Integer, NoteKind, Prototype, TypeKind};
use super::Checker;
use super::class::{Class, is_string};
use super::notes::bare;

impl Checker<'_, '_> {
    /// Whether the guest can get the value of a symbol. If not, this tells why.
    pub(super) fn data(&mut self, prototype: &Prototype, kind: Data) -> bool {
        let ty = &prototype.function.result;
        let name = &prototype.name;
        let refuse = |message: String, help: &str| {
            Some(Diagnostic::new(name.span, message).label(format!("`{}`", bare(ty))).help(help))
        };
        let extent = |kind: &NoteKind| {
            matches!(
                kind,
                NoteKind::CountedBy(_)
                    | NoteKind::SizedBy(_)
                    | NoteKind::CountedByOrNull(_)
                    | NoteKind::NullTerminated
            )
        };
        let constant = ty.pointee().is_some_and(|pointee| pointee.quals.is_const);
        let error = match self.class(ty) {
            Class::Integer | Class::Number => match ty.kind {
                TypeKind::Integer(Integer::Int128 | Integer::UnsignedInt128)
                | TypeKind::Float(Float::LongDouble)
                | TypeKind::Complex(_)
                | TypeKind::Vector { .. } => {
                    refuse(format!("`{name}` has more than 64 bits"), READABLE)
                }
                _ => None,
            },
            Class::Handle if kind == Data::Value => None,
            Class::Characters | Class::VoidPointer | Class::Object if !constant => refuse(
                match kind {
                    Data::Array => format!("the array `{name}` is not `const`"),
                    Data::Value => format!("what `{name}` points at is not `const`"),
                },
                "the guest gets a copy, and only what never changes is copied",
            ),
            Class::Object if kind == Data::Array && !ty.has(extent) => {
                refuse(format!("the array `{name}` has no length"), "write it between the brackets")
            }
            Class::Object if ty.pointee().is_some_and(|p| self.class(p) == Class::Aggregate) => {
                refuse(format!("`{name}` cannot be read"), READABLE)
            }
            Class::Characters | Class::VoidPointer if !is_string(ty) && !ty.has(extent) => refuse(
                format!("nothing says how far `{name}` reaches"),
                "add `__null_terminated`, `__counted_by(e)` or `__sized_by(e)`",
            ),
            Class::Characters | Class::VoidPointer | Class::Object => None,
            Class::Void
            | Class::Aggregate
            | Class::Opaque
            | Class::Array
            | Class::Function
            | Class::Handle
            | Class::Callback
            | Class::Indirect => refuse(format!("`{name}` cannot be read"), READABLE),
        };
        let good = error.is_none();
        error.into_iter().for_each(|error| self.report(error));
        good
    }
}

const READABLE: &str = "what can be read of a library's data: integers, `float`, `double`, pointers \
                        to opaque structs, constant strings and arrays of numbers";
