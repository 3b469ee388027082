//! `completions`: scripts that complete the command line in a shell.
use super::args::{self, Typed};
use super::page::Page;
use super::report::{Failure, Status};
use clap::CommandFactory as _;

/// Prints the script.
pub fn completions(typed: &args::Completions) -> Result<Status, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(typed.shell, &mut Typed::command(), "portcullis", &mut script);
    let mut page = Page::default();
    page.lines(0, &String::from_utf8_lossy(&script));
    page.show()?;
    Ok(Status::Good)
}
