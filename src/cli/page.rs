//! What a command prints: collected, then written at once.
use super::report::Failure;
use anyhow::Context as _;
use std::fmt::{Display, Write as _};
use std::io::{ErrorKind, Write as _};

/// Text for standard output. Styles in it are shown on a terminal only.
#[derive(Default)]
pub struct Page {
    text: String,
}

impl Page {
    /// Adds a line.
    pub fn line(&mut self, line: impl Display) {
        // A string takes everything.
        let _ = writeln!(self.text, "{line}");
    }

    /// Adds lines, each after `indent` spaces.
    pub fn lines(&mut self, indent: usize, lines: &str) {
        for line in lines.lines() {
            let indent = if line.is_empty() { 0 } else { indent };
            self.line(format_args!("{:indent$}{line}", ""));
        }
    }

    /// Writes what was added. A reader that went away (`| head`) has seen what it wanted.
    pub fn show(&mut self) -> Result<(), Failure> {
        let mut out = anstream::stdout().lock();
        match out.write_all(self.text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                Err(error).context("cannot write to standard output")?;
            }
            _ => {}
        }
        self.text.clear();
        Ok(())
    }
}

/// Writes a line to standard error. Where that cannot be written to, nobody can be told.
pub fn complain(line: impl Display) {
    let _ = writeln!(anstream::stderr(), "{line}");
}
