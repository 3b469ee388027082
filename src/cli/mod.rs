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
//! words        the library's words in terms of options
//! kind         what a file is that is no guest
//! output       files that they write
//! report       how errors are told, and the exit status
//! log          what the library tells, and how much of it is shown
//! version      what `--version` says
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
mod kind;
mod log;
mod meant;
#[cfg_attr(not(feature = "cranelift"), expect(dead_code, reason = "only `explain` writes files"))]
mod output;
mod page;
#[cfg_attr(not(feature = "cranelift"), path = "profile_absent.rs")]
mod profile;
mod report;
mod run;
mod similar;
mod table;
mod version;
mod words;

use args::{Command, Typed};
use clap::Parser as _;

pub use report::{Failure, Status};

/// Does what the command line says.
///
/// # Errors
/// What kept it from doing so. [`Failure`] knows how to tell it and with which status to exit.
pub fn main() -> Result<Status, Failure> {
    let typed = Typed::parse();
    log::tell(typed.verbose, typed.log.as_deref())?;
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
