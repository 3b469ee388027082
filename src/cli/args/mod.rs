//! Arguments as they are typed: names, help and completion, and nothing else.
//!
//! What they mean (files read, interfaces parsed, directories opened) is in
//! [`meant`](super::meant).
//!
//! ```text
//! guests   run, profile, imports, compile: commands that are given a guest
//! explain  explain
//! looking  bench, check, completions
//! values   how values are written
//! ```
mod explain;
mod guests;
mod looking;
mod values;

use super::version;
use clap::builder::styling::{AnsiColor, Styles};
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum, ValueHint};
use std::path::PathBuf;
use values::{limit, limits, name_and_value};

pub use explain::{AbiName, Explain, Model, Overload, Part};
#[cfg(feature = "cranelift")]
pub use guests::{Compile, Profile};
pub use guests::{Imports, Run};
#[cfg(feature = "cranelift")]
pub use looking::Bench;
pub use looking::{Check, Completions};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const EXAMPLES: &str = "\
Examples:
  A guest compresses a file with the system's zlib. It sees the current directory, and may call
  what interfaces/zlib.h grants:
      portcullis run --dir . --grant interfaces/zlib.h guest-examples/zlib/zlib.wasm README.md

  Call one function that a guest exports, and print what it returns:
      portcullis run --grant libm --invoke cos_of guest-examples/cos/cos.wat 0.5

  See what a guest wants before you run it:
      portcullis imports --grant zlib guest-examples/zlib/zlib.wasm

  See how one C function is called:
      portcullis explain 'unsigned long crc32(unsigned long crc, const uint8_t buf[len], unsigned len)'

  Check an interface of your own against the library and its real header:
      portcullis check mylib.h --header /usr/include/mylib.h

Exit status:
  That of the guest for `run`; 134 after a trap; 124 after --timeout; 1 when something could not be
  started or a check failed; 2 for wrong usage.";

/// Run WebAssembly guests that call native C libraries, by C prototype.
///
/// A guest imports a C function by writing its prototype. Nothing is callable unless an interface
/// grants it: an annotated C header that says how long each buffer is and who owns what. Every
/// pointer is checked against the guest's own memory before native code sees it.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version = version::short(), long_version = version::long(), styles = STYLES, after_long_help = EXAMPLES)]
#[command(subcommand_required = true, arg_required_else_help = true, max_term_width = 100)]
pub struct Typed {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Tell what happens, on standard error (-vv: in detail)
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// The same by level, or for parts of the program: `debug`, `portcullis::host=trace`, several with commas
    ///
    /// Levels are off, error, warn, info, debug and trace. info: what is denied, trusted, or not done as asked (no direct
    /// calls). debug: what each import is linked to, with its tier and why no faster one; libraries that are loaded;
    /// machine code that is made, with its time; when an import changes over to it; calls that fail. trace: instances.
    #[arg(long, global = true, value_name = "LEVEL", conflicts_with = "verbose")]
    pub log: Option<String>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    Run(Run),
    #[cfg(feature = "cranelift")]
    Profile(Profile),
    Imports(Imports),
    #[cfg(feature = "cranelift")]
    Compile(Compile),
    Explain(Explain),
    #[cfg(feature = "cranelift")]
    Bench(Bench),
    Check(Check),
    Completions(Completions),
}

/// What native code a guest may call. Without any of these: none.
#[derive(Debug, Args)]
#[command(next_help_heading = "What the guest may call")]
pub struct Permissions {
    /// Grant an interface: an annotated C header, or the name of one that ships (`zlib`)
    ///
    /// The guest may then call the functions that the interface lists. Whoever wrote the file
    /// promises that its prototypes are true of the library and safe to lend; a false one lets the
    /// guest do anything. The interfaces that ship are cblas, crypto, datetime, expat, gmp, gzfile, libc,
    /// libm, sqlite3, streams and zlib; each says in its comment what it gives away.
    #[arg(long, value_name = "FILE.h", value_hint = ValueHint::FilePath)]
    pub grant: Vec<PathBuf>,
    /// Let the guest's own prototypes stand for this library: FULL TRUST in the guest
    ///
    /// A guest that may write prototypes for a library can make native code read and write
    /// anywhere in this process. Use it for guests that you wrote yourself.
    #[arg(long, value_name = "LIB")]
    pub trust_signatures: Vec<String>,
    /// Load this file where the library NAME is meant
    #[arg(long, value_name = "NAME=PATH", value_parser = name_and_value)]
    pub library: Vec<(String, String)>,
    /// The fastest way to make a call that may be used
    #[arg(long, value_name = "TIER", default_value = "auto")]
    pub tier: Tier,
    /// Watch native code for writes to `const` memory and for what it does to the thread; slow
    #[arg(long)]
    pub guard: bool,
    /// Bound what the guest may use: handles, depth, copied_bytes, callbacks, ...: --help lists all
    #[arg(long, value_name = "NAME=N", value_parser = limit, long_help = limits())]
    pub limit: Vec<(String, u64)>,
}

/// The ways to make a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Tier {
    /// As `template` at first; machine code for what is called often, made while the guest runs.
    Auto,
    /// Step by step; for every function.
    Interpreter,
    /// Ready-made code for popular signatures, the interpreter for the others: no machine code is made.
    Template,
    /// Machine code made for each function, where that is possible.
    Cranelift,
    /// Such code that guests enter by themselves, where that is possible.
    Direct,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_arguments_are_consistent() {
        Typed::command().debug_assert();
    }

    #[test]
    fn what_stands_after_the_guest_is_the_guests() {
        let line = ["portcullis", "run", "--env", "A=1", "g.wasm", "--env", "-h", "--", "x"];
        let Command::Run(run) = Typed::try_parse_from(line).expect("correct").command else {
            panic!("another command")
        };
        assert_eq!(run.guest_and_args, ["g.wasm", "--env", "-h", "--", "x"]);
        assert_eq!(run.env, ["A=1"]);
    }
}
