//! Errors that point into the text they are about.
//!
//! A [`Diagnostic`] is one mistake, [`Diagnostics`] is every mistake of one text. Later stages (the
//! plan compiler, of what it refuses) build diagnostics of their own from the spans that
//! the parser left in the types, so the constructors are public.
use super::Span;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// At most so many mistakes of one text are told: nobody reads more, and hostile text has
/// millions.
pub(super) const MAX_ERRORS: usize = 40;

/// One mistake: where, what, and what to do about it.
///
/// ```
/// use portcullis::signature::{Diagnostic, Span};
/// let unsupported = Diagnostic::new(Span { start: 4, end: 9 }, "a callback is not possible here")
///     .label("this parameter")
///     .help("retype it: `intptr_t hook __range(0)`");
/// assert_eq!(unsupported.span.start, 4);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The text that it is about.
    pub span: Span,
    /// What is wrong, in lower case, without a full stop.
    pub message: String,
    /// A few words beside the caret; may be empty.
    pub label: String,
    /// What would have been right.
    pub help: Option<String>,
    /// Other places of the same text that matter (`first said here`).
    pub related: Vec<(Span, String)>,
}

impl Diagnostic {
    /// A mistake at a place.
    pub fn new(span: Span, message: impl Into<String>) -> Self {
        Diagnostic {
            span,
            message: message.into(),
            label: String::new(),
            help: None,
            related: Vec::new(),
        }
    }

    /// Adds the words beside the caret.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Adds the way out.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Points at a second place.
    #[must_use]
    pub fn related(mut self, span: Span, label: impl Into<String>) -> Self {
        self.related.push((span, label.into()));
        self
    }
}

/// Everything that is wrong with one text. Displays as compilers do, with carets.
///
/// ```
/// use portcullis::signature::{Scope, parse_prototype};
/// let errors = parse_prototype("int f(unit8_t x)", &Scope::default()).unwrap_err();
/// assert!(errors.to_string().contains("did you mean `uint8_t`"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostics {
    name: Arc<str>,
    text: Arc<str>,
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Mistakes of the text that messages call `name` (a file, or `prototype`).
    pub fn new(
        name: impl Into<Arc<str>>,
        text: impl Into<Arc<str>>,
        list: Vec<Diagnostic>,
    ) -> Self {
        Diagnostics { name: name.into(), text: text.into(), list }
    }

    /// The same mistakes under another name for the text.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = name.into();
        self
    }

    /// What messages call the text.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text that the spans point into.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The mistakes, in the order of the text.
    #[must_use]
    pub fn list(&self) -> &[Diagnostic] {
        &self.list
    }

    /// What [`Display`](fmt::Display) shows, with terminal colours.
    #[must_use]
    pub fn colored(&self) -> String {
        self.render(&Renderer::styled())
    }

    fn render(&self, renderer: &Renderer) -> String {
        // One report a mistake, so that each starts with its own `error:` line.
        let reports = self.list.iter().map(|mistake| {
            let source = Snippet::source(&*self.text).path(&*self.name).annotations(
                mistake
                    .related
                    .iter()
                    .map(|(span, label)| {
                        AnnotationKind::Context.span(self.range(*span)).label(label.as_str())
                    })
                    .chain([AnnotationKind::Primary
                        .span(self.range(mistake.span))
                        .label(Some(mistake.label.as_str()).filter(|label| !label.is_empty()))]),
            );
            let mut group: Group<'_> =
                Level::ERROR.primary_title(mistake.message.as_str()).element(source);
            if let Some(help) = &mistake.help {
                group = group.element(Level::HELP.message(help.as_str()));
            }
            renderer.render(&[group])
        });
        reports.collect::<Vec<_>>().join("\n\n")
    }

    /// A span as the renderer wants it: inside the text, between characters.
    fn range(&self, span: Span) -> Range<usize> {
        let boundary = |offset: u32| {
            let mut at = usize::try_from(offset).unwrap_or(usize::MAX).min(self.text.len());
            while !self.text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let start = boundary(span.start);
        start..boundary(span.end).max(start)
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(&Renderer::plain()))
    }
}

impl std::error::Error for Diagnostics {}

/// The candidate that `word` was probably meant to be.
pub(super) fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // Long words of hostile text would make the distance expensive; no real name is that long.
    if word.len() > 64 {
        return None;
    }
    candidates
        .into_iter()
        .filter(|candidate| candidate.len().abs_diff(word.len()) <= 3)
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| {
            let (shorter, most) = (candidate.len().min(word.len()), (candidate.len() + 2) / 4);
            // A word in which every letter is wrong was not meant to be this one.
            *distance < shorter && *distance <= most.max(1)
        })
        // Ties go to the first in the alphabet, whatever order a hash map gave them in.
        .min_by(|a, b| a.0.cmp(&b.0).then(a.1.cmp(b.1)))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str, span: Span) -> String {
        Diagnostics::new("t", text, vec![Diagnostic::new(span, "wrong").label("here").help("fix")])
            .to_string()
    }

    #[test]
    fn carets_stand_under_the_span() {
        let shown = show("int f(x)", Span { start: 6, end: 7 });
        assert_eq!(
            shown,
            "error: wrong\n --> t:1:7\n  |\n1 | int f(x)\n  |       ^ here\n  |\n  = help: fix"
        );
    }

    #[test]
    fn spans_outside_or_inside_characters_are_safe() {
        for text in ["", "é", "aé\0b", "\u{1b}[31m\n\n"] {
            for start in 0..6 {
                for end in 0..6 {
                    let shown = show(text, Span { start, end });
                    assert!(shown.contains("wrong"));
                    assert!(
                        !shown.contains(['\u{1b}', '\0']),
                        "control characters pass: {shown:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn only_near_words_are_offered() {
        let names = ["uint8_t", "uint16_t", "size_t", "n"];
        assert_eq!(did_you_mean("unit8_t", names), Some("uint8_t"));
        assert_eq!(did_you_mean("sizet", names), Some("size_t"));
        assert_eq!(did_you_mean("xyz", names), None);
        assert_eq!(did_you_mean("m", names), None);
        assert_eq!(did_you_mean(&"x".repeat(1 << 20), names), None);
    }
}
