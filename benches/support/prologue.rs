//! How benchmarks of one table begin: what the command line asks for, one core, what makes numbers weak.
use portcullis::bench::machine;
use std::process::ExitCode;

/// How many rounds: `cargo bench` asks for `full`, `-- --quick` for `quick`, `cargo test --benches` for
/// one. Pins this thread to a core and says which, and what is known to make figures weak.
///
/// # Errors
/// When the process cannot be pinned, which was said.
pub fn begin(quick: usize, full: usize, what: &str) -> Result<usize, ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |wanted: &str| arguments.iter().any(|argument| argument == wanted);
    let rounds = match (has("--quick"), has("--bench")) {
        (true, _) => quick,
        (false, true) => full,
        (false, false) => 1,
    };
    let core = machine::pin(None).map_err(|error| {
        eprintln!("cannot pin this process to a core: {error}");
        ExitCode::FAILURE
    })?;
    println!("core {core} of {}, {rounds} rounds{what}", machine::processor());
    for warning in machine::warnings(core) {
        println!("warning: {warning}");
    }
    Ok(rounds)
}
