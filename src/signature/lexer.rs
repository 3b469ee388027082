//! Text to tokens.
//!
//! Knows comments, line continuations, and that a line which starts with `#` is a directive; what
//! directives mean is `preprocess`'s business. Never fails: what is no token becomes
//! [`Tok::Bad`], because the text of a group that `#if` skips may hold anything.
use super::Span;

/// A token and where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'t> {
    pub(super) tok: Tok<'t>,
    pub(super) span: Span,
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tok<'t> {
    Ident(&'t str),
    /// An integer or character constant.
    Integer(i128),
    /// What is between the quotes, escapes as written.
    Str(&'t str),
    Punct(&'static str),
    /// A whole line that starts with `#`, continuations included.
    Directive(&'t str),
    /// No token of C; says why.
    Bad(&'static str),
    End,
}

/// Longest first, so that the first that matches is the right one.
const PUNCTUATION: [&str; 39] = [
    "...", "<<=", ">>=", "->", "<<", ">>", "<=", ">=", "==", "!=", "&&", "||", "##", "+=", "-=",
    "(", ")", "[", "]", "{", "}", ",", ";", ":", "*", "&", "|", "^", "~", "!", "+", "-", "/", "%",
    "<", ">", "=", "?", ".",
];

/// The tokens of a text, one after the other; [`Tok::End`] for ever at its end.
pub(super) struct Lexer<'t> {
    text: &'t str,
    at: usize,
    /// Only white space so far on this line.
    line_start: bool,
    /// What to add to offsets: the text is a part of a larger one.
    base: usize,
}

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Lexer { text, at: 0, line_start: true, base: 0 }
    }

    /// For the inside of a directive, which stands at `base` in the whole text. No line of it is a
    /// directive again.
    pub(super) fn inside_directive(text: &'t str, base: u32) -> Self {
        let base = usize::try_from(base).unwrap_or(usize::MAX);
        Lexer { text, at: 0, line_start: false, base }
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn span(&self, start: usize) -> Span {
        // Texts are limited to a few MiB before they come here.
        let offset = |at: usize| u32::try_from(self.base + at).unwrap_or(u32::MAX);
        Span { start: offset(start), end: offset(self.at) }
    }

    /// Skips white space and comments; an unterminated comment is a bad token.
    fn skip_blanks(&mut self) -> Option<&'static str> {
        loop {
            let rest = self.rest();
            let bytes = rest.as_bytes();
            match bytes {
                [b'\n', ..] => {
                    self.line_start = true;
                    self.at += 1;
                }
                [b' ' | b'\t' | b'\r' | 0x0b | 0x0c, ..] => self.at += 1,
                [b'\\', b'\n', ..] => self.at += 2,
                [b'\\', b'\r', b'\n', ..] => self.at += 3,
                [b'/', b'/', ..] => self.at += line_length(rest),
                [b'/', b'*', ..] => match rest[2..].find("*/") {
                    Some(length) => self.at += length + 4,
                    None => {
                        self.at = self.text.len();
                        return Some("this comment has no end");
                    }
                },
                _ => return None,
            }
        }
    }

    pub(super) fn next(&mut self) -> Token<'t> {
        let before = self.at;
        if let Some(reason) = self.skip_blanks() {
            return Token { tok: Tok::Bad(reason), span: self.span(before) };
        }
        let start = self.at;
        let first_on_line = std::mem::take(&mut self.line_start);
        let rest = self.rest();
        let tok = match rest.chars().next() {
            None => Tok::End,
            Some('#') if first_on_line => {
                self.at += line_length(rest);
                Tok::Directive(&self.text[start..self.at])
            }
            Some(c) if is_ident_start(c) => {
                self.at += rest.find(|c| !is_ident(c)).unwrap_or(rest.len());
                Tok::Ident(&self.text[start..self.at])
            }
            Some('0'..='9') => self.number(),
            Some(quote @ ('"' | '\'')) => self.quoted(quote),
            Some(c) => match PUNCTUATION.iter().find(|p| rest.starts_with(**p)) {
                Some(punct) => {
                    self.at += punct.len();
                    Tok::Punct(punct)
                }
                None => {
                    self.at += c.len_utf8();
                    Tok::Bad(match c {
                        '\0' => "a NUL byte is no part of C",
                        '#' => "`#` starts a directive only at the start of a line",
                        _ => "this character is no part of C",
                    })
                }
            },
        };
        Token { tok, span: self.span(start) }
    }

    /// An integer constant with its suffix. A floating constant is a bad token: nothing in the
    /// language takes one.
    fn number(&mut self) -> Tok<'t> {
        let rest = self.rest();
        let length = rest
            .char_indices()
            .find(|&(at, c)| {
                let exponent_sign = matches!(c, '+' | '-')
                    && matches!(rest.as_bytes()[at - 1], b'e' | b'E' | b'p' | b'P')
                    && !rest.starts_with("0x");
                !(is_ident(c) || matches!(c, '.' | '\'') || exponent_sign)
            })
            .map_or(rest.len(), |(at, _)| at);
        self.at += length;
        let word = &rest[..length];
        if word.len() > 64 {
            return Tok::Bad("this constant does not fit 64 bits");
        }
        let lower = word.replace('\'', "").to_ascii_lowercase();
        let (digits, radix) = if let Some(digits) = lower.strip_prefix("0x") {
            (digits, 16)
        } else if let Some(digits) = lower.strip_prefix("0b") {
            (digits, 2)
        } else if lower.len() > 1 && lower.starts_with('0') {
            (&lower[1..], 8)
        } else {
            (&lower[..], 10)
        };
        let suffix_at = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
        let (digits, suffix) = digits.split_at(suffix_at);
        if !matches!(suffix, "" | "u" | "l" | "ul" | "lu" | "ll" | "ull" | "llu") {
            let octal = lower.len() == 1 + suffix.len() && radix == 8;
            // `08` and `0ul` differ in what follows the zero.
            if !(octal && matches!(suffix, "u" | "l" | "ul" | "lu" | "ll" | "ull" | "llu")) {
                return Tok::Bad("this is no integer constant");
            }
        }
        if digits.is_empty() {
            // Only `0` with a suffix may have no further digit.
            return if radix == 8 {
                Tok::Integer(0)
            } else {
                Tok::Bad("this is no integer constant")
            };
        }
        match u64::from_str_radix(digits, radix) {
            Ok(value) => Tok::Integer(i128::from(value)),
            Err(_) => Tok::Bad("this constant does not fit 64 bits"),
        }
    }

    fn quoted(&mut self, quote: char) -> Tok<'t> {
        let rest = self.rest();
        let mut escaped = false;
        let mut end = None;
        for (at, c) in rest.char_indices().skip(1) {
            match c {
                '\n' => break,
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                c if c == quote => {
                    end = Some(at);
                    break;
                }
                _ => {}
            }
        }
        let Some(end) = end else {
            self.at += line_length(rest).max(1);
            return Tok::Bad(if quote == '"' {
                "this string has no closing quote on its line"
            } else {
                "this character constant has no closing quote on its line"
            });
        };
        self.at += end + 1;
        let inside = &rest[1..end];
        if quote == '"' {
            return Tok::Str(inside);
        }
        match character(inside) {
            Some(value) => Tok::Integer(value),
            None => Tok::Bad("this is no character constant"),
        }
    }
}

/// Bytes to the end of the line, continued lines included, its newline not.
fn line_length(text: &str) -> usize {
    let mut end = 0;
    loop {
        end += text[end..].find('\n').unwrap_or(text.len() - end);
        let line = text[..end].strip_suffix('\r').unwrap_or(&text[..end]);
        if end == text.len() || !line.ends_with('\\') {
            return end;
        }
        end += 1;
    }
}

/// The value of a character constant, as C's `int`.
fn character(inside: &str) -> Option<i128> {
    let value = match inside.strip_prefix('\\') {
        None => {
            let mut chars = inside.chars();
            let c = chars.next().filter(char::is_ascii)?;
            chars.next().is_none().then_some(u32::from(c))?
        }
        Some("n") => 10,
        Some("t") => 9,
        Some("r") => 13,
        Some("a") => 7,
        Some("b") => 8,
        Some("f") => 12,
        Some("v") => 11,
        Some(same @ ("\\" | "'" | "\"" | "?")) => u32::from(same.chars().next()?),
        Some(hex) if hex.starts_with('x') => u32::from(u8::from_str_radix(&hex[1..], 16).ok()?),
        Some(octal) => u32::from(u8::from_str_radix(octal, 8).ok()?),
    };
    Some(i128::from(value))
}

fn is_ident_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || c == '$'
}

fn is_ident(c: char) -> bool {
    is_ident_start(c) || c.is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lex(text: &str) -> Vec<Tok<'_>> {
        let mut lexer = Lexer::new(text);
        let mut tokens = Vec::new();
        loop {
            match lexer.next().tok {
                Tok::End => return tokens,
                tok => tokens.push(tok),
            }
        }
    }

    #[test]
    fn words_numbers_and_marks() {
        use Tok::{Ident, Integer, Punct};
        assert_eq!(
            lex("a->b 0x1F 010 0b11 0 0ul 42u 'A' '\\n' ..., <<"),
            [
                Ident("a"),
                Punct("->"),
                Ident("b"),
                Integer(31),
                Integer(8),
                Integer(3),
                Integer(0),
                Integer(0),
                Integer(42),
                Integer(65),
                Integer(10),
                Punct("..."),
                Punct(","),
                Punct("<<")
            ]
        );
        assert_eq!(lex("18446744073709551615"), [Integer(i128::from(u64::MAX))]);
    }

    #[test]
    fn comments_and_continuations_are_blanks() {
        assert_eq!(lex("a/* b */ // c \\\n d\n\\\ne"), [Tok::Ident("a"), Tok::Ident("e")]);
    }

    #[test]
    fn directives_are_lines() {
        assert_eq!(
            lex("a # b\n  #pragma x \\\n y\nc"),
            [
                Tok::Ident("a"),
                Tok::Bad("`#` starts a directive only at the start of a line"),
                Tok::Ident("b"),
                Tok::Directive("#pragma x \\\n y"),
                Tok::Ident("c")
            ]
        );
    }

    #[test]
    fn what_is_no_token_is_bad_and_nothing_panics() {
        for text in [
            "18446744073709551616",
            "0x",
            "1.5",
            "08",
            "1e5",
            "1e+5",
            "'",
            "''",
            "\"abc",
            "/* x",
            "é",
            "\0",
            "'\\xfff'",
            "0b2",
            "12ab",
            "@",
            "'é'",
            "\\",
        ] {
            assert!(lex(text).iter().any(|t| matches!(t, Tok::Bad(_))), "{text:?} {:?}", lex(text));
        }
        assert_eq!(lex(&"9".repeat(1 << 20)).len(), 1);
    }
}
