//! A part of what is said, for the terminal and for a page.
use crate::cli::args::Part;

/// See the module.
pub struct Section {
    /// What it belongs to; always shown if it belongs to nothing.
    pub part: Option<Part>,
    pub heading: String,
    /// What it is, for whoever sees it for the first time.
    pub about: &'static str,
    pub text: String,
    /// Drawings of the same, for pages.
    pub drawings: Vec<String>,
    /// The same as a table, for pages.
    pub table: Option<String>,
    /// On a page it is opened by whoever wants it.
    pub folded: bool,
}

impl Section {
    pub fn new(
        part: impl Into<Option<Part>>,
        heading: impl Into<String>,
        about: &'static str,
        text: impl Into<String>,
    ) -> Section {
        Section {
            part: part.into(),
            heading: heading.into(),
            about,
            text: text.into(),
            drawings: Vec::new(),
            table: None,
            folded: false,
        }
    }

    pub fn folded(self) -> Section {
        Section { folded: true, ..self }
    }
}
