//! The part of C's preprocessor that interfaces use.
//!
//! Conditions, object-like macros (integers, words that stand for nothing, names of types), and
//! includes of headers that the parser knows by heart. No file is ever read. Function-like macros
//! may be defined, for C compilers, but not used. `#pragma portcullis` goes through to the parser.
use super::diagnostic::{MAX_ERRORS, did_you_mean};
use super::lexer::{Lexer, Tok, Token};
use super::parse::ANNOTATIONS;
use super::{Diagnostic, Span, builtin};
use std::collections::HashMap;

/// How many tokens an interface may have once its macros are replaced, and how many replacements
/// there may be on the way: macros can grow exponentially with the text.
const MAX_TOKENS: usize = 1 << 21;
/// How deep macros may mention one another.
const MAX_MACRO_DEPTH: usize = 64;

/// The text without its directives.
pub(super) struct Preprocessed<'t> {
    pub(super) tokens: Vec<Token<'t>>,
    /// The object-like macros that are defined at the end, with what they stand for.
    pub(super) macros: Vec<(&'t str, Vec<Token<'t>>)>,
    pub(super) errors: Vec<Diagnostic>,
}

/// Decides what is read and replaces macros. `evaluate` computes the condition of an `#if`.
pub(super) fn preprocess<'t>(
    text: &'t str,
    evaluate: &dyn Fn(Vec<Token<'t>>, Span) -> Result<bool, Vec<Diagnostic>>,
) -> Preprocessed<'t> {
    let mut state = State {
        lexer: Lexer::new(text),
        macros: HashMap::new(),
        conditions: Vec::new(),
        tokens: Vec::new(),
        errors: Vec::new(),
        steps: 0,
        evaluate,
    };
    state.run();
    let names: Vec<&'t str> = state.macros.keys().copied().collect();
    let mut macros = Vec::new();
    for name in names {
        let Some(Macro { body, function_like: false, span }) = state.macros.get(name).cloned()
        else {
            continue;
        };
        // Nothing of what such a macro lacks matters: it may be meant for C alone.
        let (mut expanded, mut ignored) = (Vec::new(), Vec::new());
        state.expand_all(&body, span, &mut vec![name], &mut expanded, &mut ignored);
        macros.push((name, expanded));
    }
    // A hash map has no order, messages must have one.
    macros.sort_by_key(|(name, _)| *name);
    Preprocessed { tokens: state.tokens, macros, errors: state.errors }
}

#[derive(Clone)]
struct Macro<'t> {
    body: Vec<Token<'t>>,
    function_like: bool,
    span: Span,
}

/// An `#if` that is open.
struct Condition {
    span: Span,
    /// Whether this group is read.
    active: bool,
    /// Whether some group of this `#if` was read, or none may be.
    done: bool,
    else_seen: bool,
}

struct State<'t, 'e> {
    lexer: Lexer<'t>,
    macros: HashMap<&'t str, Macro<'t>>,
    conditions: Vec<Condition>,
    tokens: Vec<Token<'t>>,
    errors: Vec<Diagnostic>,
    steps: usize,
    evaluate: &'e dyn Fn(Vec<Token<'t>>, Span) -> Result<bool, Vec<Diagnostic>>,
}

impl<'t> State<'t, '_> {
    fn report(&mut self, error: Diagnostic) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(error);
        }
    }

    fn active(&self) -> bool {
        self.conditions.last().is_none_or(|condition| condition.active)
    }

    fn run(&mut self) {
        while self.steps < MAX_TOKENS {
            self.steps += 1;
            let token = self.lexer.next();
            match token.tok {
                Tok::End => break,
                Tok::Directive(line) => self.directive(line, token.span),
                _ if !self.active() => {}
                _ => {
                    let (mut tokens, mut errors) = (Vec::new(), Vec::new());
                    self.expand(token, token.span, &mut Vec::new(), &mut tokens, &mut errors);
                    self.tokens.append(&mut tokens);
                    for error in errors {
                        self.report(error);
                    }
                }
            }
        }
        if self.steps >= MAX_TOKENS {
            let span = self.lexer.next().span;
            self.report(Diagnostic::new(span, "this interface is too large with its macros"));
        }
        for open in std::mem::take(&mut self.conditions) {
            self.report(Diagnostic::new(open.span, "this condition has no `#endif`"));
        }
    }

    /// Adds what a token stands for.
    fn expand(
        &mut self,
        token: Token<'t>,
        place: Span,
        within: &mut Vec<&'t str>,
        tokens: &mut Vec<Token<'t>>,
        errors: &mut Vec<Diagnostic>,
    ) {
        self.steps += 1;
        if self.steps >= MAX_TOKENS {
            return;
        }
        match token.tok {
            Tok::Ident(word) if !within.contains(&word) => {
                let Some(found) = self.macros.get(word) else {
                    return tokens.push(Token { span: place, ..token });
                };
                if found.function_like {
                    let error = format!("`{word}` is a macro with parameters");
                    errors.push(
                        Diagnostic::new(place, error)
                            .related(found.span, "defined here")
                            .help("interfaces cannot use these: write out what it stands for"),
                    );
                    // As a name it disturbs what is around it least.
                    return tokens.push(Token { span: place, ..token });
                }
                if within.len() >= MAX_MACRO_DEPTH {
                    let error = "macros mention one another too deep here";
                    return errors.push(Diagnostic::new(place, error));
                }
                let body = found.body.clone();
                within.push(word);
                self.expand_all(&body, place, within, tokens, errors);
                within.pop();
            }
            Tok::Bad(reason) => errors.push(Diagnostic::new(place, reason)),
            _ => tokens.push(Token { span: place, ..token }),
        }
    }

    fn expand_all(
        &mut self,
        body: &[Token<'t>],
        place: Span,
        within: &mut Vec<&'t str>,
        tokens: &mut Vec<Token<'t>>,
        errors: &mut Vec<Diagnostic>,
    ) {
        for token in body {
            self.expand(*token, place, within, tokens, errors);
        }
    }

    fn directive(&mut self, line: &'t str, span: Span) {
        let inside = &line[1..];
        let mut lexer = Lexer::inside_directive(inside, span.start + 1);
        let mut words = Vec::new();
        loop {
            let token = lexer.next();
            if token.tok == Tok::End {
                break;
            }
            words.push(token);
        }
        let Some((first, rest)) = words.split_first() else { return };
        let Tok::Ident(name) = first.tok else {
            if self.active() {
                self.report(Diagnostic::new(first.span, "this is no directive"));
            }
            return;
        };
        match name {
            "if" | "ifdef" | "ifndef" => return self.open(name, rest, span),
            "elif" | "elifdef" | "elifndef" | "else" => return self.other(name, rest, span),
            "endif" => {
                if self.conditions.pop().is_none() {
                    self.report(Diagnostic::new(span, "this `#endif` ends no condition"));
                }
                return;
            }
            _ if !self.active() => return,
            _ => {}
        }
        match name {
            "define" => self.define(rest, span),
            "undef" => match rest {
                [Token { tok: Tok::Ident(name), .. }] => {
                    self.macros.remove(name);
                }
                _ => self.report(Diagnostic::new(span, "`#undef` takes one name")),
            },
            "include" => self.include(inside, span),
            "pragma" => {
                if matches!(rest.first(), Some(Token { tok: Tok::Ident("portcullis"), .. })) {
                    self.tokens.push(Token { tok: Tok::Directive(line), span });
                }
            }
            "error" => {
                let text: String = inside.trim_start()[5..].trim().chars().take(200).collect();
                self.report(Diagnostic::new(span, format!("the interface refuses: {text}")));
            }
            "warning" | "line" | "ident" => {}
            _ => {
                let known = ["define", "include", "pragma", "undef", "ifdef", "ifndef", "endif"];
                let error = Diagnostic::new(first.span, "there is no directive of this name");
                self.report(match did_you_mean(name, known) {
                    Some(similar) => error.help(format!("did you mean `#{similar}`?")),
                    None => error,
                });
            }
        }
    }

    fn open(&mut self, name: &str, rest: &[Token<'t>], span: Span) {
        let holds = self.active() && self.condition(name, rest, span);
        let done = holds || !self.active();
        self.conditions.push(Condition { span, active: holds, done, else_seen: false });
    }

    fn other(&mut self, name: &str, rest: &[Token<'t>], span: Span) {
        let Some(condition) = self.conditions.last_mut() else {
            return self.report(Diagnostic::new(span, format!("this `#{name}` has no `#if`")));
        };
        if condition.else_seen {
            return self
                .report(Diagnostic::new(span, format!("this `#{name}` follows an `#else`")));
        }
        condition.else_seen = name == "else";
        condition.active = false;
        if condition.done {
            return;
        }
        let holds = name == "else" || self.condition(&name[2..], rest, span);
        if let Some(condition) = self.conditions.last_mut() {
            condition.active = holds;
            condition.done = holds;
        }
    }

    /// The condition of `#if`, `#ifdef` or `#ifndef`.
    fn condition(&mut self, name: &str, rest: &[Token<'t>], span: Span) -> bool {
        if name == "if" {
            return self.expression(rest, span);
        }
        let [Token { tok: Tok::Ident(word), .. }] = rest else {
            self.report(Diagnostic::new(span, format!("`#{name}` takes one name")));
            return false;
        };
        self.is_defined(word) == (name == "ifdef")
    }

    fn is_defined(&self, word: &str) -> bool {
        matches!(word, "__PORTCULLIS__" | "__STDC__" | "__STDC_VERSION__" | "__STDC_HOSTED__")
            || self.macros.contains_key(word)
    }

    fn expression(&mut self, rest: &[Token<'t>], span: Span) -> bool {
        let (mut tokens, mut errors) = (Vec::new(), Vec::new());
        let mut rest = rest.iter();
        while let Some(token) = rest.next() {
            if token.tok != Tok::Ident("defined") {
                self.expand(*token, token.span, &mut Vec::new(), &mut tokens, &mut errors);
                continue;
            }
            let word = match rest.as_slice() {
                [Token { tok: Tok::Ident(word), .. }, ..] => {
                    rest.next();
                    Some(word)
                }
                [
                    Token { tok: Tok::Punct("("), .. },
                    Token { tok: Tok::Ident(word), .. },
                    Token { tok: Tok::Punct(")"), .. },
                    ..,
                ] => {
                    rest.nth(2);
                    Some(word)
                }
                _ => None,
            };
            match word {
                Some(word) => {
                    let tok = Tok::Integer(i128::from(self.is_defined(word)));
                    tokens.push(Token { tok, span: token.span });
                }
                None => errors.push(Diagnostic::new(token.span, "`defined` takes one name")),
            }
        }
        for token in &mut tokens {
            if let Tok::Ident(word) = token.tok {
                // As C has it: a name that is no macro is 0.
                token.tok = Tok::Integer(match word {
                    "__PORTCULLIS__" | "__STDC__" | "__STDC_HOSTED__" | "true" => 1,
                    "__STDC_VERSION__" => 202_311,
                    _ => 0,
                });
            }
        }
        let result = if errors.is_empty() { (self.evaluate)(tokens, span) } else { Err(errors) };
        result.unwrap_or_else(|errors| {
            for error in errors {
                self.report(error);
            }
            false
        })
    }

    fn define(&mut self, rest: &[Token<'t>], span: Span) {
        let Some((Token { tok: Tok::Ident(name), span: at }, body)) = rest.split_first() else {
            return self.report(Diagnostic::new(span, "`#define` takes a name"));
        };
        // A header may bring its own way to hide annotations from compilers; here they mean something.
        if ANNOTATIONS.contains(name) || matches!(*name, "PORTCULLIS_MODULE" | "PORTCULLIS_END") {
            return;
        }
        let function_like = body
            .first()
            .is_some_and(|token| token.tok == Tok::Punct("(") && token.span.start == at.end);
        let body = body.to_vec();
        let same = |known: &Macro<'_>| {
            known.function_like == function_like
                && known.body.iter().map(|t| t.tok).eq(body.iter().map(|t| t.tok))
        };
        if let Some(known) = self.macros.get(name)
            && !same(known)
        {
            let error = format!("`{name}` is defined twice, differently");
            let error = Diagnostic::new(*at, error)
                .label("the second time")
                .related(known.span, "the first")
                .help(format!("`#undef {name}` in between, if that is meant"));
            self.report(error);
        }
        self.macros.insert(name, Macro { body, function_like, span: *at });
    }

    fn include(&mut self, inside: &'t str, span: Span) {
        let what = inside.trim_start()["include".len()..].trim();
        let header = what
            .strip_prefix('<')
            .and_then(|rest| rest.split_once('>'))
            .or_else(|| what.strip_prefix('"').and_then(|rest| rest.split_once('"')))
            .map(|(header, _)| header);
        let Some(header) = header else {
            return self.report(Diagnostic::new(span, "`#include` takes `<header.h>`"));
        };
        let known = builtin::HEADERS.contains(&header);
        if known || header.ends_with("/portcullis.h") {
            return;
        }
        let error = Diagnostic::new(span, "this header is not read")
            .label("only `portcullis.h` and standard headers are known");
        self.report(match did_you_mean(header, builtin::HEADERS) {
            Some(similar) => error.help(format!("did you mean `{similar}`?")),
            None => error.help(
                "copy the declarations that are granted, or hide the line from Portcullis with \
                 `#ifndef __PORTCULLIS__`",
            ),
        });
    }
}
