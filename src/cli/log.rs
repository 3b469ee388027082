//! `--verbose` and `--log`: what the library tells, on standard error.
use super::report::Failure;
use super::similar::similar;
use std::io::{self, IsTerminal as _};
use tracing_subscriber::filter::{EnvFilter, LevelFilter};

/// How much is told, the least first.
pub const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// The parts of the library that tell something.
const PARTS: [&str; 3] = ["portcullis", "portcullis::host", "portcullis::plan"];

/// Sends what the library tells to standard error.
pub fn tell(verbose: u8, log: Option<&str>) -> Result<(), Failure> {
    let wanted = match (verbose, log) {
        (0, None) => return Ok(()),
        (_, Some(log)) => log,
        (1, None) => "debug",
        (_, None) => "trace",
    };
    let mut filter = EnvFilter::default().add_directive(LevelFilter::WARN.into());
    for part in wanted.split(',') {
        let directive = directive(part.trim()).map_err(Failure::Usage)?;
        let read = directive.parse();
        filter = filter.add_directive(
            read.map_err(|error| Failure::Usage(format!("`--log {part}`: {error}")))?,
        );
    }
    let colors = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(colors)
        .without_time()
        .init();
    Ok(())
}

/// `LEVEL`, which is for this program, or `PART=LEVEL`.
fn directive(typed: &str) -> Result<String, String> {
    let shown = typed.escape_debug();
    let (part, level) = match typed.split_once('=') {
        Some((part, level)) => (part, level),
        None if typed == "portcullis" || typed.contains("::") => {
            return Err(format!("`--log {shown}` says no level: write `{shown}=debug`"));
        }
        None => ("portcullis", typed),
    };
    if !LEVELS.contains(&&*level.to_ascii_lowercase()) {
        let near = similar(level, LEVELS);
        let near = near.first().map_or(String::new(), |near| format!(", did you mean `{near}`?"));
        return Err(format!(
            "`--log {shown}`: `{}` is no level{near}; write one of {}, or `portcullis::host=debug` for a part of the \
             program",
            level.escape_debug(),
            LEVELS.join(", ")
        ));
    }
    let is_path = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let is_known = PARTS.contains(&part)
        || PARTS[1..].iter().any(|known| part.strip_prefix(known).is_some_and(is_below));
    let is_ours = part == "portcullis" || part.starts_with("portcullis:");
    if part.is_empty() || !part.chars().all(is_path) || (is_ours && !is_known) {
        let near = similar(part, PARTS);
        let near = near.first().map_or(String::new(), |near| format!(", did you mean `{near}`?"));
        return Err(format!(
            "`--log {shown}`: `{}` is no part of the program{near}; those that tell something are {}",
            part.escape_debug(),
            PARTS.join(", ")
        ));
    }
    Ok(format!("{part}={level}"))
}

/// `::host` behind `portcullis`.
fn is_below(rest: &str) -> bool {
    rest.starts_with("::")
}

#[cfg(test)]
mod tests {
    use super::directive;

    #[test]
    fn a_level_is_for_this_program() {
        assert_eq!(directive("debug").as_deref(), Ok("portcullis=debug"));
        assert_eq!(directive("OFF").as_deref(), Ok("portcullis=OFF"));
        for part in ["portcullis::host=trace", "portcullis::host::link=info", "wasmtime=warn"] {
            assert_eq!(directive(part).as_deref(), Ok(part));
        }
    }

    #[test]
    fn what_is_neither_a_level_nor_a_part_with_one_is_refused() {
        let why = |typed| directive(typed).expect_err(typed);
        assert!(why("debgu").contains("did you mean `debug`?"), "{}", why("debgu"));
        assert!(why("3").contains("write one of off, error, warn"), "{}", why("3"));
        assert!(why("portcullis::host=lots").contains("`lots` is no level"));
        assert!(why("portcullis::hots=debug").contains("did you mean `portcullis::host`?"));
        assert!(why("portcullis::host").contains("says no level"));
        for wrong in ["", "=debug", "a b=debug", "portcullis::hostess=debug", "host[x]=info"] {
            assert!(!why(wrong).contains("did you mean `off`"), "{wrong}");
        }
    }
}
