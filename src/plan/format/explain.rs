//! Mistakes of formats as text: which conversion, which argument, what would be right.
use super::{Kind, MOST_CHARACTERS, Mistake, Wrong};
use crate::signature::{Float, Integer, Type, TypeKind};
use std::fmt;

/// A format that does not fit the arguments, or that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatProblem {
    /// The conversion, as far as it was read.
    pub conversion: String,
    /// Offset of its `%` in the format.
    pub at: usize,
    /// What is wrong.
    pub wrong: Wrong,
    /// The argument that it would take.
    pub argument: Option<PassedArgument>,
}

/// An argument that a conversion cannot take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedArgument {
    /// Its number among all arguments of the call, counted from 1.
    pub number: usize,
    /// Its type as it was written.
    pub ty: String,
    /// A conversion that takes it.
    pub fits: String,
}

impl FormatProblem {
    /// `named`: how many parameters stand before the `...`.
    pub(in crate::plan) fn new(
        format: &[u8],
        mistake: Mistake,
        named: usize,
        tail: &[Type],
    ) -> FormatProblem {
        let Mistake { start, end, wrong } = mistake;
        let conversion = format.get(start..end).unwrap_or_default();
        let argument = match wrong {
            Wrong::Mismatch { argument, .. } | Wrong::TooLongPassed { argument, .. } => {
                Some(argument)
            }
            Wrong::Cut
            | Wrong::Writes
            | Wrong::Address
            | Wrong::WideText
            | Wrong::Errno
            | Wrong::Position
            | Wrong::Unknown
            | Wrong::Undefined
            | Wrong::NotHere
            | Wrong::TooLong
            | Wrong::Missing { .. } => None,
        };
        let passed = |index: usize| {
            let ty = tail.get(index)?;
            let fits = fitting(ty, conversion.last().copied().unwrap_or_default());
            Some(PassedArgument {
                number: named + index + 1,
                ty: ty.as_written().to_string(),
                fits,
            })
        };
        FormatProblem {
            conversion: shown(conversion),
            at: start,
            wrong,
            argument: argument.and_then(passed),
        }
    }
}

/// A conversion is the guest's own text: printable, and not a megabyte of it.
fn shown(conversion: &[u8]) -> String {
    const MOST: usize = 40;
    let text = conversion.iter().take(MOST).map(|byte| byte.escape_ascii().to_string());
    let more = if conversion.len() > MOST { "..." } else { "" };
    text.chain([more.to_owned()]).collect()
}

/// A conversion that takes an argument of that type, as near as can be to the one that was written.
fn fitting(ty: &Type, specifier: u8) -> String {
    let specifier = char::from(specifier);
    let kept = |of: &str, usual: char| if of.contains(specifier) { specifier } else { usual };
    match &ty.kind {
        TypeKind::Float(kind) => {
            let length = if *kind == Float::LongDouble { "L" } else { "" };
            format!("%{length}{}", kept("fFeEgGaA", 'f'))
        }
        TypeKind::Pointer(_) => "%s".to_owned(),
        TypeKind::Integer(Integer::Long) => format!("%l{}", kept("dixXob", 'd')),
        TypeKind::Integer(Integer::UnsignedLong) => format!("%l{}", kept("uxXob", 'u')),
        TypeKind::Integer(Integer::LongLong) => format!("%ll{}", kept("dixXob", 'd')),
        TypeKind::Integer(Integer::UnsignedLongLong) => format!("%ll{}", kept("uxXob", 'u')),
        TypeKind::Integer(Integer::UnsignedInt) => format!("%{}", kept("uxXobc", 'u')),
        _ => format!("%{}", kept("dixXobc", 'd')),
    }
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Int => "an `int`",
        Kind::Wide => "an integer of 64 bits",
        Kind::Double => "a `double`",
        Kind::LongDouble => "a `long double`",
        Kind::Text => "a `const char *`",
    }
}

impl fmt::Display for FormatProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FormatProblem { conversion, at, wrong, argument } = self;
        write!(f, "`{conversion}` at byte {at} of the format ")?;
        let star = |star| if star { "takes for its `*`" } else { "takes" };
        match wrong {
            Wrong::Cut => f.write_str("is not complete; a percent sign is written `%%`"),
            Wrong::Writes => f.write_str("would write to memory, which formats may not"),
            Wrong::Address => f.write_str("would tell a native address, which guests never see"),
            Wrong::WideText => f.write_str("takes wide characters, which have another size here"),
            Wrong::Errno => f.write_str("is no conversion of C"),
            Wrong::Position => f.write_str("takes its argument by position: leave out the `$`"),
            Wrong::Unknown => f.write_str("is no conversion of C"),
            Wrong::Undefined => {
                f.write_str("has a flag, precision or length that C does not define for it")
            }
            Wrong::NotHere => f.write_str("is new in C23, and the host's C library lacks it"),
            Wrong::TooLong => write!(f, "asks for more than {MOST_CHARACTERS} characters"),
            Wrong::TooLongPassed { argument: index, value } => {
                let number = argument.as_ref().map_or(*index + 1, |argument| argument.number);
                write!(
                    f,
                    "gets {value} for its `*` from argument {number}: {MOST_CHARACTERS} characters are the most"
                )
            }
            Wrong::Missing { passed, wanted, star: of_star } => {
                let plural = if *passed == 1 { "argument is" } else { "arguments are" };
                write!(
                    f,
                    "{} {}, and only {passed} {plural} passed behind `...`",
                    star(*of_star),
                    name(*wanted)
                )
            }
            Wrong::Mismatch { argument: index, wanted, star: of_star } => {
                write!(f, "{} {}, ", star(*of_star), name(*wanted))?;
                match argument {
                    Some(PassedArgument { number, ty, .. }) if *of_star => {
                        write!(f, "argument {number} is `{ty}`: pass an `int`")
                    }
                    Some(PassedArgument { number, ty, fits }) => {
                        write!(f, "argument {number} is `{ty}`: write `{fits}`")
                    }
                    None => write!(f, "argument {} behind `...` is something else", index + 1),
                }
            }
        }
    }
}
