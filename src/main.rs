//! The command-line program: see `portcullis --help`.
mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::main() {
        Ok(status) => status.into(),
        Err(failure) => {
            failure.report();
            failure.status()
        }
    }
}
