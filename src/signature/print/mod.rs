//! Types, annotations and expressions back to text.
//!
//! There are two texts of a type. The *canonical* one has every typedef resolved and every
//! annotation right behind what it describes; reading it gives the same type again, under any
//! scope that knows the same tags. That is what `Display` writes. The alternate form (`{:#}`) also
//! spells out the bodies of tagged records and enums where they are first mentioned, so that the
//! empty scope will do. *As written* keeps the names of typedefs; it is for people.
mod printer;

use super::{Expr, Float, Integer, NoteKind, Prototype, RecordKind, Type};
use printer::{LOOSEST, Printer};
use std::fmt::{self, Display};

/// What encloses a marked part while a text is put together; no identifier can hold it.
const MARK: [char; 2] = ['\u{1}', '\u{2}'];

/// The canonical text of a prototype with parts of it marked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Marked {
    pub(super) text: String,
    /// The marked ranges, in bytes.
    ranges: Vec<std::ops::Range<usize>>,
}

impl Marked {
    /// Marks the [`Type`]s and [`Note`]s of a prototype that stand at these addresses.
    pub(super) fn new(prototype: &Prototype, marks: &[*const ()]) -> Self {
        let printer = Printer::marking(marks);
        let mut marked = Marked { text: String::new(), ranges: Vec::new() };
        let mut open = Vec::new();
        for c in printer.prototype(prototype).chars() {
            if c == MARK[0] {
                open.push(marked.text.len());
            } else if c == MARK[1] {
                let end = marked.text.len();
                marked.ranges.extend(open.pop().map(|start| start..end));
            } else {
                marked.text.push(c);
            }
        }
        marked
    }

    /// The line below the text; empty if nothing is marked.
    pub(super) fn carets(&self) -> String {
        // The text is ASCII: a byte is a column.
        let marked = |at: usize| self.ranges.iter().any(|range| range.contains(&at));
        let line: String =
            (0..self.text.len()).map(|at| if marked(at) { '^' } else { ' ' }).collect();
        line.trim_end().to_owned()
    }
}

/// Text in which typedefs keep their names, as [`Type::as_written`] and
/// [`Prototype::as_written`] give it.
#[derive(Clone, Copy, Debug)]
pub struct AsWritten<'a>(Node<'a>);

#[derive(Clone, Copy, Debug)]
enum Node<'a> {
    Type(&'a Type),
    Named(&'a Type, &'a str),
    Prototype(&'a Prototype),
}

impl Type {
    /// The type with the typedef names it was written with: `const uint8_t *__counted_by(len)`.
    #[must_use]
    pub fn as_written(&self) -> AsWritten<'_> {
        AsWritten(Node::Type(self))
    }

    /// A declaration of `name` with this type, typedef names kept: `const uint8_t
    /// *__counted_by(len) buf`.
    #[must_use]
    pub fn declare_as_written<'a>(&'a self, name: &'a str) -> AsWritten<'a> {
        AsWritten(Node::Named(self, name))
    }
}

impl Prototype {
    /// The prototype with the typedef names it was written with.
    ///
    /// ```
    /// use portcullis::signature::{Scope, parse_prototype};
    /// let text = "size_t strlen(const char *s)";
    /// let prototype = parse_prototype(text, &Scope::default())?;
    /// assert_eq!(prototype.as_written().to_string(), text);
    /// assert_eq!(prototype.to_string(), "unsigned long strlen(const char *s)");
    /// # Ok::<(), portcullis::signature::Diagnostics>(())
    /// ```
    #[must_use]
    pub fn as_written(&self) -> AsWritten<'_> {
        AsWritten(Node::Prototype(self))
    }
}

impl Display for AsWritten<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let printer = Printer::keeping_typedefs();
        match self.0 {
            Node::Type(ty) => f.write_str(&printer.declare(ty, String::new())),
            Node::Named(ty, name) => f.write_str(&printer.declare(ty, name.to_owned())),
            Node::Prototype(prototype) => f.write_str(&printer.prototype(prototype)),
        }
    }
}

impl Display for Prototype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Printer::canonical(f).prototype(self))
    }
}

impl Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Printer::canonical(f).declare(self, String::new()))
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Printer::canonical(f).expr(self, LOOSEST))
    }
}

impl Display for NoteKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Printer::canonical(f).note(self))
    }
}

impl Display for RecordKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RecordKind::Struct => "struct",
            RecordKind::Union => "union",
        })
    }
}

impl Display for Integer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Integer::Char => "char",
            Integer::SignedChar => "signed char",
            Integer::UnsignedChar => "unsigned char",
            Integer::Short => "short",
            Integer::UnsignedShort => "unsigned short",
            Integer::Int => "int",
            Integer::UnsignedInt => "unsigned int",
            Integer::Long => "long",
            Integer::UnsignedLong => "unsigned long",
            Integer::LongLong => "long long",
            Integer::UnsignedLongLong => "unsigned long long",
            Integer::Int128 => "__int128",
            Integer::UnsignedInt128 => "unsigned __int128",
        })
    }
}

impl Display for Float {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Float::Float => "float",
            Float::Double => "double",
            Float::LongDouble => "long double",
        })
    }
}
