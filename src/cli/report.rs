//! How errors are told, and the status that the program exits with.
use super::page::complain;
use super::words::{in_options, shown};
use anstyle::{AnsiColor, Style};
use portcullis::host::{BuildError, LinkError, LinkProblem};
use portcullis::signature::Diagnostics;
use std::error::Error;
use std::fmt::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;
use wasmtime::WasmBacktrace;

/// The style of `error:`.
pub const ERROR: Style = AnsiColor::Red.on_default().bold();
/// The style of `warning:`.
pub const WARNING: Style = AnsiColor::Yellow.on_default().bold();
/// The style of what is as it should be.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// The style of headings.
pub const HEADING: Style = Style::new().bold();

/// How the program ends when it did what it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// All is well: 0.
    Good,
    /// It looked, and what it saw is not well: 1.
    Bad,
    /// The guest's own status.
    Guest(i32),
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> ExitCode {
        ExitCode::from(match status {
            Status::Good => 0,
            Status::Bad => 1,
            // As the operating system does with what is given to `exit`.
            Status::Guest(status) => status.to_le_bytes()[0],
        })
    }
}

/// Why the program could not do what it was told.
#[derive(Debug)]
pub enum Failure {
    /// The command line makes no sense: 2.
    Usage(String),
    /// Something could not be read, understood, linked or started: 1.
    Start(anyhow::Error),
    /// The guest trapped: 134, which is what shells say of a process that aborted.
    Trap(wasmtime::Error),
    /// The guest took longer than it may: 124, which is what timeout(1) says.
    Late(wasmtime::Error, Duration),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Failure {
        Failure::Start(error)
    }
}

impl Failure {
    /// Tells it on standard error.
    pub fn report(&self) {
        match self {
            Failure::Usage(message) => {
                complain(format_args!(
                    "{ERROR}error:{ERROR:#} {message}\n\nFor more information, try '--help'."
                ));
            }
            Failure::Start(error) => complain(Chain(error.as_ref())),
            Failure::Trap(error) => complain(trap(error)),
            Failure::Late(error, most) => complain(late(error, *most)),
        }
    }

    /// The status to exit with.
    #[must_use]
    pub fn status(&self) -> ExitCode {
        ExitCode::from(match self {
            Failure::Usage(_) => 2,
            Failure::Start(_) => 1,
            Failure::Trap(_) => 134,
            Failure::Late(..) => 124,
        })
    }
}

/// A library's error as one of ours, its causes kept.
pub fn from_wasmtime(error: wasmtime::Error) -> anyhow::Error {
    anyhow::Error::from_boxed(error.into_boxed_dyn_error())
}

/// An error and what caused it, a line each. Mistakes in a text are shown with their places.
struct Chain<'a>(&'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut next = Some(self.0);
        let mut first = true;
        let mut said = String::new();
        while let Some(error) = next {
            next = error.source();
            let (text, mistakes) = match mistakes(error) {
                Some((text, mistakes)) => (text, Some(mistakes)),
                None => (in_options(&error.to_string()), None),
            };
            // Wrappers often repeat what they wrap.
            if !text.is_empty() && !said.contains(&text) {
                if first {
                    write!(f, "{ERROR}error:{ERROR:#} {text}")?;
                } else {
                    write!(f, "\n  {HEADING}because:{HEADING:#} {}", indented(&text))?;
                }
                first = false;
            }
            if let Some(mistakes) = mistakes {
                if !first {
                    f.write_str("\n\n")?;
                }
                write!(f, "{}", mistakes.colored())?;
                return Ok(());
            }
            said = text;
        }
        Ok(())
    }
}

/// The mistakes in a text that an error is about, and what it says besides.
fn mistakes<'e>(error: &'e (dyn Error + 'static)) -> Option<(String, &'e Diagnostics)> {
    if let Some(diagnostics) = error.downcast_ref::<Diagnostics>() {
        return Some((String::new(), diagnostics));
    }
    if let Some(BuildError::Interface(diagnostics)) = error.downcast_ref() {
        return Some((String::new(), diagnostics));
    }
    match error.downcast_ref::<LinkError>() {
        Some(
            error @ LinkError {
                problem:
                    LinkProblem::Prototype(mistakes)
                    | LinkProblem::Unsupported(mistakes)
                    | LinkProblem::Overloads(mistakes),
                ..
            },
        ) => {
            let text = error.to_string();
            // Behind the first line, or in it, come the mistakes themselves without colours.
            let title = text.lines().next().unwrap_or_default();
            let title = title.split(": error: ").next().unwrap_or_default();
            Some((title.to_owned(), mistakes))
        }
        _ => None,
    }
}

fn indented(text: &str) -> String {
    text.replace('\n', "\n  ")
}

/// A trap: what happened, and where in the guest.
fn trap(error: &wasmtime::Error) -> String {
    let mut text = String::new();
    // One of the errors is the backtrace itself, which is shown below in a shorter form.
    let backtrace = error.downcast_ref::<WasmBacktrace>();
    let long_form = backtrace.map(ToString::to_string);
    let mut reasons: Vec<String> = error
        .chain()
        .map(ToString::to_string)
        .filter(|reason| Some(reason) != long_form.as_ref())
        .map(|reason| in_options(&reason))
        .collect();
    if reasons.is_empty() {
        reasons.push(error.to_string());
    }
    // What did not return is told behind what happened there.
    let is_around = |reason: &String| reason.ends_with(DID_NOT_RETURN);
    let around = reasons.iter().take(reasons.len() - 1).take_while(|one| is_around(one)).count();
    let _ = write!(text, "{ERROR}error:{ERROR:#} the guest trapped: {}", reasons[around]);
    for reason in &reasons[around + 1..] {
        let _ = write!(text, "\n  {HEADING}because:{HEADING:#} {}", indented(reason));
    }
    for reason in folded(reasons[..around].iter().rev()) {
        let _ = write!(text, "\n  {HEADING}so that:{HEADING:#} {}", indented(&reason));
    }
    if let Some(backtrace) = backtrace {
        frames(&mut text, backtrace);
    }
    text
}

/// How the library ends what it says of guest functions that native code has called.
const DID_NOT_RETURN: &str = " did not return";

/// Equal ones that follow each other as one, and of many others the first.
fn folded<'r>(reasons: impl Iterator<Item = &'r String>) -> Vec<String> {
    const MOST: usize = 8;
    let mut runs: Vec<(&String, usize)> = Vec::new();
    for reason in reasons {
        match runs.last_mut() {
            Some((last, count)) if *last == reason => *count += 1,
            _ => runs.push((reason, 1)),
        }
    }
    let more = runs.len().saturating_sub(MOST);
    let told = |(reason, count): &(&String, usize)| match count - 1 {
        0 => (*reason).clone(),
        more => format!("{reason} (and the same {more} times more, around it)"),
    };
    let mut all: Vec<String> = runs.iter().take(MOST).map(told).collect();
    if more > 0 {
        all.push(format!("and {more} more, around them"));
    }
    all
}

/// A guest that was stopped, and where it was.
fn late(error: &wasmtime::Error, most: Duration) -> String {
    let mut text = format!(
        "{ERROR}error:{ERROR:#} the guest was stopped: it took longer than --timeout, {most:?}"
    );
    if let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() {
        frames(&mut text, backtrace);
    }
    text
}

/// The guest's frames, innermost first, a line each.
fn frames(text: &mut String, backtrace: &WasmBacktrace) {
    const MOST: usize = 16;
    let frames = backtrace.frames();
    if frames.is_empty() {
        return;
    }
    let _ = write!(text, "\n  {HEADING}in the guest:{HEADING:#}");
    for (number, frame) in frames.iter().take(MOST).enumerate() {
        let name = match frame.func_name() {
            Some(name) => shown(name, 120),
            None => format!("function {}", frame.func_index()),
        };
        let _ = write!(text, "\n    {number}: {name}");
        if let Some(offset) = frame.module_offset() {
            let _ = write!(text, " at {offset:#x}");
        }
        for symbol in frame.symbols() {
            if let (Some(file), Some(line)) = (symbol.file(), symbol.line()) {
                let _ = write!(text, " ({file}:{line})");
            }
        }
    }
    if frames.len() > MOST {
        let _ = write!(text, "\n    and {} more", frames.len() - MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guests_status_is_what_the_operating_system_would_make_of_it() {
        for (status, code) in [(0, 0), (7, 7), (-1, 255), (256, 0)] {
            assert_eq!(ExitCode::from(Status::Guest(status)), ExitCode::from(code));
        }
    }

    #[test]
    fn equal_reasons_that_follow_each_other_are_one() {
        let all = |list: &[&str]| {
            let list: Vec<String> = list.iter().map(ToString::to_string).collect();
            folded(list.iter())
        };
        assert_eq!(
            all(&["a", "a", "a", "b", "a"]),
            ["a (and the same 2 times more, around it)", "b", "a"]
        );
        let other = ["a", "b"].repeat(20);
        let told = all(&other);
        assert_eq!((told.len(), &*told[8]), (9, "and 32 more, around them"));
    }

    #[test]
    fn causes_follow_in_order_and_repetitions_are_left_out() {
        let error =
            anyhow::anyhow!("no such file").context("cannot read it").context("cannot start");
        assert_eq!(
            anstream::adapter::strip_str(&Chain(error.as_ref()).to_string()).to_string(),
            "error: cannot start\n  because: cannot read it\n  because: no such file"
        );
        let error = anyhow::anyhow!("twice").context("twice");
        assert_eq!(
            anstream::adapter::strip_str(&Chain(error.as_ref()).to_string()).to_string(),
            "error: twice"
        );
    }
}
