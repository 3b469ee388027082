//! Tokens to prototypes: the cursor that all parts of the parser share, and the entry points.
//!
//! The parser reports and goes on, so that one run tells every mistake: a function that returns
//! [`Err(Reported)`](Reported) has told why, and its caller skips to a place where it can resume.
//! What a prototype may *say* is decided here; whether it makes sense, in `check`.
mod annotation;
mod data;
mod declarator;
mod expression;
mod header;
mod names;
mod record;
mod resolve;
mod specifiers;

use super::diagnostic::MAX_ERRORS;
use super::lexer::{Lexer, Tok, Token};
use super::{Diagnostic, Diagnostics, Ident, Prototype, Scope, Span, check};
use std::sync::Arc;

pub(super) use annotation::NAMES as ANNOTATIONS;
pub use header::parse_interface;
pub(super) use names::{Names, is_unknown};

/// The longest prototype that is read.
const MAX_PROTOTYPE: usize = 64 << 10;
/// The longest interface that is read.
const MAX_INTERFACE: usize = 4 << 20;
/// How deep parentheses, braces and derivations may nest in the text.
const MAX_DEPTH: usize = 64;

/// The mistake is in the list already.
#[derive(Debug)]
struct Reported;

type Parse<T> = Result<T, Reported>;

/// Reads one prototype and checks it completely.
///
/// `scope` holds the typedefs, tags and constants that it may mention beside those of C and the
/// standard headers. A `;` at the end is allowed.
///
/// ```
/// use portcullis::signature::{Scope, parse_prototype};
/// let crc = "unsigned long crc32(unsigned long crc, const uint8_t buf[len], unsigned len)";
/// let prototype = parse_prototype(crc, &Scope::default())?;
/// assert_eq!(
///     prototype.to_string(),
///     "unsigned long crc32(unsigned long crc, \
///      const unsigned char *__counted_by(len) buf, unsigned int len)"
/// );
/// # Ok::<(), portcullis::signature::Diagnostics>(())
/// ```
///
/// # Errors
/// Every mistake that it has, each with the place, the reason and the way out.
pub fn parse_prototype(text: &str, scope: &Scope) -> Result<Prototype, Diagnostics> {
    prototype(text, scope, check::Missing::Refused)
}

/// Reads one prototype that will be compared with a grant: what it
/// says must be consistent, but it may leave out what the grant says, the sizes of buffers
/// included.
///
/// # Errors
/// Every mistake that it has.
pub fn parse_declaration(text: &str, scope: &Scope) -> Result<Prototype, Diagnostics> {
    prototype(text, scope, check::Missing::Allowed)
}

fn prototype(text: &str, scope: &Scope, missing: check::Missing) -> Result<Prototype, Diagnostics> {
    const NAME: &str = "prototype";
    if text.len() > MAX_PROTOTYPE {
        return Err(too_long(NAME, text, MAX_PROTOTYPE));
    }
    let (parsed, names, mut errors) = syntax(text, scope);
    if let Some(prototype) = &parsed {
        check::prototype(prototype, &names, missing, &mut errors);
    }
    match parsed {
        Some(prototype) if errors.is_empty() => Ok(prototype),
        _ => Err(finish(NAME, text, errors)),
    }
}

/// Reads one prototype without asking whether it makes sense.
fn syntax<'s>(text: &str, scope: &'s Scope) -> (Option<Prototype>, Names<'s>, Vec<Diagnostic>) {
    let mut lexer = Lexer::new(text);
    let mut tokens = Vec::new();
    let mut errors = Vec::new();
    loop {
        let token = lexer.next();
        match token.tok {
            Tok::End => break,
            Tok::Bad(reason) => push(&mut errors, Diagnostic::new(token.span, reason)),
            Tok::Directive(_) => push(
                &mut errors,
                Diagnostic::new(token.span, "a prototype has no preprocessor directives")
                    .help("write `#define` and the like into an interface"),
            ),
            _ => tokens.push(token),
        }
    }
    let mut parser = Parser::new(tokens, text.len(), scope, errors);
    let parsed = parser.lone_prototype().ok();
    (parsed, parser.names, parser.errors)
}

/// The mistakes of a text in its order, no more than anyone reads.
fn finish(name: &str, text: &str, mut errors: Vec<Diagnostic>) -> Diagnostics {
    errors.sort_by_key(|error| error.span.start);
    // `int f(x), g(x)`: the specifiers are checked with each of the two.
    let place = |error: &Diagnostic| (error.span.start, error.span.end);
    errors.dedup_by(|b, a| place(a) == place(b) && a.message == b.message);
    errors.truncate(MAX_ERRORS);
    Diagnostics::new(name, text, errors)
}

fn too_long(name: &str, text: &str, limit: usize) -> Diagnostics {
    // Only its beginning is kept: an error should not be as long as the text that it refuses.
    let mut end = 60.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let message = format!("{} bytes are too long, at most {limit} are read", text.len());
    let span = Span { start: 0, end: u32::try_from(end).unwrap_or(0) };
    Diagnostics::new(name, &text[..end], vec![Diagnostic::new(span, message)])
}

/// Adds a mistake unless there are enough of them.
fn push(errors: &mut Vec<Diagnostic>, error: Diagnostic) {
    if errors.len() < MAX_ERRORS {
        errors.push(error);
    }
}

/// A cursor over the tokens of a text and what is known so far.
struct Parser<'t, 's> {
    tokens: Vec<Token<'t>>,
    /// How many brackets are open around each token.
    levels: Vec<usize>,
    at: usize,
    /// Where the text ends.
    end: u32,
    names: Names<'s>,
    errors: Vec<Diagnostic>,
    depth: usize,
    /// How many nodes typedefs and bodies may still add: they can grow exponentially with the
    /// text.
    budget: usize,
}

impl<'t, 's> Parser<'t, 's> {
    fn new(tokens: Vec<Token<'t>>, end: usize, scope: &'s Scope, errors: Vec<Diagnostic>) -> Self {
        let end = u32::try_from(end).unwrap_or(u32::MAX);
        let budget = names::BUDGET;
        let levels = levels(&tokens);
        let names = Names::new(scope);
        Parser { tokens, levels, at: 0, end, names, errors, depth: 0, budget }
    }

    fn lone_prototype(&mut self) -> Parse<Prototype> {
        let prototype = self.prototype_declaration()?;
        self.eat(";");
        if self.peek() != Tok::End {
            return self.fail(
                Diagnostic::new(self.span(), "the prototype is over here")
                    .label("what follows belongs to nothing"),
            );
        }
        Ok(prototype)
    }

    fn peek(&self) -> Tok<'t> {
        self.peek_at(0)
    }

    fn peek_at(&self, ahead: usize) -> Tok<'t> {
        self.tokens.get(self.at + ahead).map_or(Tok::End, |token| token.tok)
    }

    /// Where the next token stands.
    fn span(&self) -> Span {
        self.tokens.get(self.at).map_or(Span { start: self.end, end: self.end }, |token| token.span)
    }

    /// Where the last token stood.
    fn last_span(&self) -> Span {
        let last = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        last.map_or(Span::default(), |token| token.span)
    }

    /// From `start` to the end of the last token.
    fn since(&self, start: Span) -> Span {
        Span { start: start.start, end: self.last_span().end.max(start.start) }
    }

    fn advance(&mut self) {
        self.at = (self.at + 1).min(self.tokens.len());
    }

    fn is(&self, punct: &str) -> bool {
        matches!(self.peek(), Tok::Punct(next) if next == punct)
    }

    /// Whether this word is next.
    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Tok::Ident(next) if next == word)
    }

    fn eat(&mut self, punct: &str) -> bool {
        let found = self.is(punct);
        if found {
            self.advance();
        }
        found
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        if found {
            self.advance();
        }
        found
    }

    fn expect(&mut self, punct: &str, context: &str) -> Parse<()> {
        if self.eat(punct) {
            return Ok(());
        }
        self.fail(self.unexpected(&format!("`{punct}`"), context))
    }

    fn ident(&mut self, what: &str) -> Parse<Ident> {
        if let Tok::Ident(name) = self.peek() {
            let ident = Ident { name: Arc::from(name), span: self.span() };
            self.advance();
            return Ok(ident);
        }
        self.fail(self.unexpected(what, ""))
    }

    /// `expected X, found Y`
    fn unexpected(&self, expected: &str, context: &str) -> Diagnostic {
        let found = match self.peek() {
            Tok::Ident(word) if word.len() <= 64 => format!("`{word}`"),
            Tok::Ident(_) => "a very long word".to_owned(),
            Tok::Integer(value) => format!("`{value}`"),
            Tok::Str(_) => "a string".to_owned(),
            Tok::Punct(punct) => format!("`{punct}`"),
            Tok::Directive(_) => "a directive".to_owned(),
            Tok::Bad(_) => "what is no C".to_owned(),
            Tok::End => "the end".to_owned(),
        };
        let blank = if context.is_empty() { "" } else { " " };
        Diagnostic::new(self.span(), format!("expected {expected}{blank}{context}, found {found}"))
    }

    fn report(&mut self, error: Diagnostic) {
        push(&mut self.errors, error);
    }

    fn fail<T>(&mut self, error: Diagnostic) -> Parse<T> {
        self.report(error);
        Err(Reported)
    }

    /// Runs a part of the grammar that can contain itself.
    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parse<T>) -> Parse<T> {
        if self.depth == MAX_DEPTH {
            let error = Diagnostic::new(
                self.span(),
                format!("this is nested too deep: {MAX_DEPTH} levels are the most"),
            );
            self.report(error);
            // Nothing after it can be trusted, and skipping it level by level would take for ever.
            self.at = self.tokens.len();
            return Err(Reported);
        }
        self.depth += 1;
        let result = parse(self);
        self.depth -= 1;
        result
    }

    /// How many brackets are open around token `at`.
    fn level(&self, at: usize) -> usize {
        self.levels.get(at).copied().unwrap_or(0)
    }

    /// Skips to one of `stops` that stands in the same brackets as token `from`, or to the end of
    /// these brackets; what it stops at is not eaten.
    fn skip_to(&mut self, from: usize, stops: &[&str]) {
        let home = self.level(from);
        while self.peek() != Tok::End {
            let level = self.level(self.at);
            let stop = matches!(self.peek(), Tok::Punct(punct) if stops.contains(&punct));
            if level < home || level == home && stop {
                return;
            }
            self.advance();
        }
    }
}

/// How many brackets are open around each token; a bracket counts neither itself nor its partner.
/// A `;` closes all parentheses: none of C's can hold one, so that one `)` that is missing does
/// not hide the rest of an interface.
fn levels(tokens: &[Token<'_>]) -> Vec<usize> {
    let mut open: Vec<&str> = Vec::new();
    // What was opened since the last brace that is still open.
    let brace = |open: &[&str]| open.iter().rposition(|bracket| *bracket == "{");
    let level = |token: &Token<'_>| {
        match token.tok {
            Tok::Punct(close @ (")" | "]")) => {
                let opening = if close == ")" { "(" } else { "[" };
                let found = open.iter().rposition(|bracket| *bracket == opening);
                if found > brace(&open) {
                    open.truncate(found.unwrap_or(0));
                }
            }
            Tok::Punct("}") => open.truncate(brace(&open).unwrap_or(open.len())),
            Tok::Punct(";") => open.truncate(brace(&open).map_or(0, |at| at + 1)),
            _ => {}
        }
        let level = open.len();
        if let Tok::Punct(punct @ ("(" | "[" | "{")) = token.tok {
            open.push(punct);
        }
        level
    };
    tokens.iter().map(level).collect()
}

#[cfg(test)]
mod header_tests;
#[cfg(test)]
mod round_trip_tests;
#[cfg(test)]
mod tests;
