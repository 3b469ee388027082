//! Formats of `printf`: which arguments their conversions take.
//!
//! Native code reads as many arguments as its format asks for, of the types that it names, whatever
//! was passed. So a format is gone through before the call, and accepted only when C23 (7.24.6.1)
//! defines what happens with the arguments that are there. Sizes count, signs do not: an `unsigned`
//! is as good as an `int` for `%d`. Arguments that no conversion takes are allowed, as in C, where
//! they are ignored: the tail belongs to the import, the format to one call of it.
//!
//! Refused beside mistakes: `%n` (it writes), `%p` (it would tell a native address), wide text, `%m`,
//! positions (`%1$d`), and what this machine's C library does not know, because a conversion that is
//! not known takes no argument, and all behind it would take the wrong ones.
//!
//! Pure but for [`Library::host`]. The texts of errors are in `explain`.
use super::op::At;

mod explain;
mod host;

pub use explain::{FormatProblem, PassedArgument};

/// What a conversion can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `int`, `unsigned int`.
    Int,
    /// An integer of 64 bits.
    Wide,
    /// `double`
    Double,
    /// `long double`
    LongDouble,
    /// `const char *`, a string.
    Text,
}

/// An argument behind `...`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Passed {
    /// What it is.
    pub kind: Kind,
    /// Where in the frame its value is placed.
    pub at: At,
}

/// What a C library knows beyond C17.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Library {
    /// `%b`
    pub binary: bool,
    /// `%w32d`
    pub exact: bool,
    /// `%wf32d`: whether its types of at least 16 and at least 32 bits have 64.
    pub fast: Option<[bool; 2]>,
}

/// The largest width, and the largest precision of a number: C promises so many characters of one
/// conversion (7.24.6.1), and libraries allocate what they are asked for.
pub const MOST_CHARACTERS: i32 = 4095;

/// A conversion that cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Offset of its `%`.
    pub start: usize,
    /// Offset past its last byte that was read.
    pub end: usize,
    /// What is wrong with it.
    pub wrong: Wrong,
}

/// What is wrong with a conversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The format ends in it.
    Cut,
    /// `%n`
    Writes,
    /// `%p`
    Address,
    /// `%ls`, `%lc`
    WideText,
    /// `%m`
    Errno,
    /// `%1$d`
    Position,
    /// C has no such conversion.
    Unknown,
    /// C has it, but not with this flag, precision or length.
    Undefined,
    /// C23 has it, this machine's C library does not.
    NotHere,
    /// A width or precision of more than [`MOST_CHARACTERS`].
    TooLong,
    /// The same, passed as an argument.
    TooLongPassed {
        /// Which argument behind `...`, counted from 0.
        argument: usize,
        /// Its value.
        value: i32,
    },
    /// There is no argument left.
    Missing {
        /// How many there are.
        passed: usize,
        /// What it takes.
        wanted: Kind,
        /// It is the `*` that takes it.
        star: bool,
    },
    /// The argument is of another type.
    Mismatch {
        /// Which argument behind `...`, counted from 0.
        argument: usize,
        /// What it takes.
        wanted: Kind,
        /// It is the `*` that takes it.
        star: bool,
    },
}

/// Checks a format, without its terminator, against the arguments that are passed. `int` reads the
/// `int` that is placed there.
///
/// # Errors
/// The first conversion that cannot be made.
pub fn check(
    format: &[u8],
    passed: &[Passed],
    library: Library,
    int: impl Fn(At) -> i32,
) -> Result<(), Mistake> {
    let mut arguments = Arguments { passed, taken: 0 };
    let mut at = 0;
    while let Some(next) = memchr::memchr(b'%', &format[at..]) {
        let start = at + next;
        let mut cursor = Cursor { format, at: start + 1 };
        let read = conversion(&mut cursor, library)
            .and_then(|conversion| conversion.take(&mut arguments, &int));
        at = cursor.at;
        read.map_err(|wrong| Mistake { start, end: at, wrong })?;
    }
    Ok(())
}

struct Arguments<'p> {
    passed: &'p [Passed],
    taken: usize,
}

impl Arguments<'_> {
    /// The next argument, which must be of that kind: its number, and where it is.
    fn next(&mut self, wanted: Kind, star: bool) -> Result<(usize, At), Wrong> {
        let argument = self.taken;
        self.taken += 1;
        match self.passed.get(argument) {
            None => Err(Wrong::Missing { passed: self.passed.len(), wanted, star }),
            Some(passed) if passed.kind == wanted => Ok((argument, passed.at)),
            Some(_) => Err(Wrong::Mismatch { argument, wanted, star }),
        }
    }
}

struct Cursor<'f> {
    format: &'f [u8],
    at: usize,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<u8> {
        self.format.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// A decimal number, if one is here; as large as an `int` may be, if it is larger.
    fn number(&mut self) -> Option<i32> {
        let first = self.at;
        let mut value = 0_i32;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            value = value.saturating_mul(10).saturating_add(i32::from(digit - b'0'));
            self.at += 1;
        }
        (self.at > first).then_some(value)
    }
}

/// A width or a precision.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    None,
    Number(i32),
    Star,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Length {
    None,
    /// `hh`, `h`
    Short,
    /// `l`
    Long,
    /// `ll`, `j`, `z`, `t`
    Longer,
    /// `L`
    LongDouble,
    /// `w32`
    Exact(i32),
    /// `wf32`
    Fast(i32),
}

struct Conversion {
    width: Field,
    precision: Field,
    /// `None` for `%%`.
    takes: Option<Kind>,
}

/// What stands behind a `%`.
fn conversion(cursor: &mut Cursor<'_>, library: Library) -> Result<Conversion, Wrong> {
    let (mut hash, mut zero, mut other) = (false, false, false);
    loop {
        match cursor.peek() {
            Some(b'#') => hash = true,
            Some(b'0') => zero = true,
            Some(b'-' | b'+' | b' ') => other = true,
            _ => break,
        }
        cursor.at += 1;
    }
    let width = field(cursor)?;
    let precision = match cursor.eat(b'.') {
        // A point alone is a precision of zero.
        true => match field(cursor)? {
            Field::None => Field::Number(0),
            some => some,
        },
        false => Field::None,
    };
    let length = length(cursor)?;
    let specifier = cursor.peek().ok_or(Wrong::Cut)?;
    cursor.at += 1;
    let defined = |holds: bool| if holds { Ok(()) } else { Err(Wrong::Undefined) };
    let takes = match specifier {
        b'd' | b'i' | b'u' | b'o' | b'x' | b'X' | b'b' => {
            if specifier == b'b' && !library.binary {
                return Err(Wrong::NotHere);
            }
            defined(!hash || !matches!(specifier, b'd' | b'i' | b'u'))?;
            Some(integer(length, library)?)
        }
        b'f' | b'F' | b'e' | b'E' | b'g' | b'G' | b'a' | b'A' => Some(match length {
            Length::None | Length::Long => Kind::Double,
            Length::LongDouble => Kind::LongDouble,
            Length::Short | Length::Longer | Length::Exact(_) | Length::Fast(_) => {
                return Err(Wrong::Undefined);
            }
        }),
        b'c' | b's' => {
            if length == Length::Long {
                return Err(Wrong::WideText);
            }
            let no_precision = specifier == b's' || precision == Field::None;
            defined(!hash && !zero && no_precision && length == Length::None)?;
            Some(if specifier == b's' { Kind::Text } else { Kind::Int })
        }
        b'%' => {
            let bare = (width, precision, length) == (Field::None, Field::None, Length::None);
            defined(bare && !(hash || zero || other))?;
            None
        }
        b'n' => return Err(Wrong::Writes),
        b'p' => return Err(Wrong::Address),
        b'm' => return Err(Wrong::Errno),
        b'S' | b'C' => return Err(Wrong::WideText),
        _ => return Err(Wrong::Unknown),
    };
    let too_long = |field| matches!(field, Field::Number(number) if number > MOST_CHARACTERS);
    if too_long(width) || takes != Some(Kind::Text) && too_long(precision) {
        return Err(Wrong::TooLong);
    }
    Ok(Conversion { width, precision, takes })
}

fn field(cursor: &mut Cursor<'_>) -> Result<Field, Wrong> {
    let star = cursor.eat(b'*');
    let number = cursor.number();
    if number.is_some() && cursor.eat(b'$') {
        return Err(Wrong::Position);
    }
    match (star, number) {
        (false, None) => Ok(Field::None),
        (false, Some(number)) => Ok(Field::Number(number)),
        (true, None) => Ok(Field::Star),
        (true, Some(_)) => Err(Wrong::Unknown),
    }
}

fn length(cursor: &mut Cursor<'_>) -> Result<Length, Wrong> {
    let Some(first) = cursor.peek() else { return Err(Wrong::Cut) };
    if !matches!(first, b'h' | b'l' | b'j' | b'z' | b't' | b'L' | b'w') {
        return Ok(Length::None);
    }
    cursor.at += 1;
    Ok(match first {
        b'h' => {
            cursor.eat(b'h');
            Length::Short
        }
        b'l' if cursor.eat(b'l') => Length::Longer,
        b'l' => Length::Long,
        b'L' => Length::LongDouble,
        b'w' => {
            let fast = cursor.eat(b'f');
            let bits = cursor.number().ok_or(Wrong::Unknown)?;
            if fast { Length::Fast(bits) } else { Length::Exact(bits) }
        }
        _ => Length::Longer,
    })
}

/// What an integer conversion of that length takes.
fn integer(length: Length, library: Library) -> Result<Kind, Wrong> {
    let wide = match length {
        Length::None | Length::Short => false,
        Length::Long | Length::Longer => true,
        Length::LongDouble => return Err(Wrong::Undefined),
        Length::Exact(bits @ (8 | 16 | 32 | 64)) if library.exact => bits == 64,
        Length::Fast(bits @ (8 | 16 | 32 | 64)) if library.fast.is_some() => match bits {
            8 => false,
            16 => library.fast.is_some_and(|[wide, _]| wide),
            32 => library.fast.is_some_and(|[_, wide]| wide),
            _ => true,
        },
        Length::Exact(8 | 16 | 32 | 64) | Length::Fast(8 | 16 | 32 | 64) => {
            return Err(Wrong::NotHere);
        }
        Length::Exact(_) | Length::Fast(_) => return Err(Wrong::Unknown),
    };
    Ok(if wide { Kind::Wide } else { Kind::Int })
}

impl Conversion {
    /// Takes its arguments, those of `*` first.
    fn take(self, arguments: &mut Arguments<'_>, int: &impl Fn(At) -> i32) -> Result<(), Wrong> {
        let Conversion { width, precision, takes } = self;
        if width == Field::Star {
            let (argument, at) = arguments.next(Kind::Int, true)?;
            let value = int(at);
            // A negative one is a flag `-` and a width.
            if value.unsigned_abs() > MOST_CHARACTERS.unsigned_abs() {
                return Err(Wrong::TooLongPassed { argument, value });
            }
        }
        if precision == Field::Star {
            let (argument, at) = arguments.next(Kind::Int, true)?;
            let value = int(at);
            // A negative one is none.
            if value > MOST_CHARACTERS && takes != Some(Kind::Text) {
                return Err(Wrong::TooLongPassed { argument, value });
            }
        }
        match takes {
            Some(kind) => arguments.next(kind, false).map(|_| ()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
