//! `completions`: scripts that complete the command line in a shell.
use super::args::{self, Typed};
use super::report::{Failure, Status};
use anyhow::Context as _;
use clap::CommandFactory as _;
use std::io::{self, Write as _};

/// Prints the script.
pub fn completions(typed: &args::Completions) -> Result<Status, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(typed.shell, &mut Typed::command(), "portcullis", &mut script);
    io::stdout().write_all(&script).context("cannot write the script")?;
    Ok(Status::Good)
}
