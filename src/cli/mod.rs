//! The command-line program.
//!
//! ```text
//! args         arguments as typed
//! meant        what they mean: files read, names resolved
//! run          run a guest            invoke    its parameters and results
//! profile      run it, and say where its time went
//! imports      what a guest wants
//! compile      a guest and its calls as machine code
//! explain      how a C function is called
//! bench        what calls cost
//! check        an interface against library and header
//! completions  scripts for shells
//! page, table  what commands print
//! output       files that they write
//! report       how errors are told, and the exit status
//! ```
//!
//! It is built on the public interface of the library and on nothing else. Nothing here decides
//! what is safe: that is the business of [`portcullis::host`].
mod args;
#[cfg(feature = "cranelift")]
mod bench;
mod check;
#[cfg(feature = "cranelift")]
mod compile;
mod completions;
mod explain;
mod imports;
mod invoke;
mod meant;
#[cfg(feature = "cranelift")]
mod output;
mod page;
#[cfg_attr(not(feature = "cranelift"), path = "profile_absent.rs")]
mod profile;
mod report;
mod run;
mod similar;
mod table;

use args::{Command, Typed};
use clap::Parser as _;
use std::io::{self, IsTerminal as _};
use tracing_subscriber::filter::{EnvFilter, LevelFilter};

pub use report::{Failure, Status};

/// Does what the command line says.
///
/// # Errors
/// What kept it from doing so. [`Failure`] knows how to tell it and with which status to exit.
pub fn main() -> Result<Status, Failure> {
    let typed = Typed::parse();
    tell(typed.verbose, typed.log.as_deref())?;
    match typed.command {
        Command::Run(run) => run::run(&run),
        #[cfg(feature = "cranelift")]
        Command::Profile(profile) => profile::profile(&profile),
        Command::Imports(imports) => imports::imports(&imports),
        #[cfg(feature = "cranelift")]
        Command::Compile(compile) => compile::compile(&compile),
        Command::Explain(explain) => explain::explain(&explain),
        #[cfg(feature = "cranelift")]
        Command::Bench(bench) => bench::bench(&bench),
        Command::Check(check) => check::check(&check),
        Command::Completions(completions) => completions::completions(&completions),
    }
}

/// Sends what the library tells to standard error.
fn tell(verbose: u8, log: Option<&str>) -> Result<(), Failure> {
    let wanted = match (verbose, log) {
        (0, None) => return Ok(()),
        (_, Some(log)) if log.parse::<LevelFilter>().is_ok() => format!("portcullis={log}"),
        (_, Some(log)) => log.to_owned(),
        (1, None) => "portcullis=debug".to_owned(),
        (_, None) => "portcullis=trace".to_owned(),
    };
    let mut filter = EnvFilter::default().add_directive(LevelFilter::WARN.into());
    for part in wanted.split(',').filter(|part| !part.is_empty()) {
        filter = filter.add_directive(part.parse().map_err(|error| {
            Failure::Usage(format!(
                "`--log {part}`: {error}; write a level (error, warn, info, debug, trace), or \
                 `portcullis::host=debug` for a part of the program"
            ))
        })?);
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
