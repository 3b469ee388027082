//! Commands that are given a guest.
use super::Permissions;
use super::values::{duration, number};
use clap::{Args, ValueHint};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Run a guest: a WASI program, or one function of a module.
///
/// The guest is a WebAssembly module, binary (.wasm) or text (.wat), that may use WASI preview 1.
/// What stands after it are its own arguments.
#[derive(Debug, Args)]
#[command(override_usage = "portcullis run [OPTIONS] <GUEST> [ARGS]...")]
#[command(after_long_help = "\
Examples:
  portcullis run --dir . --grant interfaces/zlib.h guest-examples/zlib/zlib.wasm README.md
  portcullis run --grant sqlite3 guest-examples/sqlite/sqlite.wasm
  portcullis run --grant libm --invoke cos_of guest-examples/cos/cos.wat 0.5
  portcullis run --grant mylib.h --library libmylib.so.1=$PWD/build/libmylib.so guest.wasm

  portcullis run --timeout 10 --limit handles=100 --grant sqlite3 guest-examples/sqlite/sqlite.wasm

Exit status: the guest's own; 134 after a trap; 124 after --timeout; 1 when it could not start; 2 for wrong usage.")]
pub struct Run {
    /// The guest and its arguments
    #[arg(value_name = "GUEST [ARGS]", required = true, trailing_var_arg = true)]
    #[arg(value_hint = ValueHint::FilePath)]
    pub guest_and_args: Vec<OsString>,
    /// Call this export instead of `_start` and print what it returns, a value a line
    ///
    /// The arguments after the guest are its parameters: integers in decimal or 0x hexadecimal,
    /// signed or unsigned, and floating-point numbers.
    #[arg(long, value_name = "NAME")]
    pub invoke: Option<String>,
    #[command(flatten)]
    pub permissions: Permissions,
    /// The guest is a file of `portcullis compile`: machine code, which is run as it is
    ///
    /// No code is made then. Such a file can do anything that this program can: run those that you have
    /// compiled yourself. What it may call must be granted as it was when it was compiled.
    #[arg(long)]
    pub allow_precompiled: bool,
    /// Stop the guest after so long: 5 (seconds), 500ms, 2m, 1h
    ///
    /// It traps where it is, and the exit status is 124, as that of timeout(1). Compiling it does not count. Only guest
    /// code is interrupted: native code, and what WASI waits for, goes on until it returns (timeout(1) ends all of it).
    /// Without this option guest code has no checks for it, and takes no time for them.
    #[arg(long, value_name = "DURATION", help_heading = "How much it may use", value_parser = duration)]
    pub timeout: Option<Duration>,
    /// Stop the guest after so many of its instructions, about
    ///
    /// It traps, and the exit status is 134. Native code costs nothing but what the interface says, `__fuel(n)` a call;
    /// without this option that is not counted, either.
    #[arg(long, value_name = "N", help_heading = "How much it may use", value_parser = number)]
    pub fuel: Option<u64>,
    /// Let the guest see this directory, under its own name or as GUEST
    ///
    /// This confines what the guest does through WASI. Native libraries open what they like: see
    /// the comment of the interface that you grant.
    #[arg(long, value_name = "HOST[::GUEST]", help_heading = "What the guest sees")]
    #[arg(value_hint = ValueHint::DirPath)]
    pub dir: Vec<String>,
    /// Set a variable of the guest's environment; without a value: that of this environment
    #[arg(long, value_name = "NAME[=VALUE]", help_heading = "What the guest sees")]
    pub env: Vec<String>,
}

/// Run a guest as `run` does, and say where its time went: its own code, native code, or the calls between them.
///
/// Prints an import a line, on standard error: calls, time in native code, in marshalling (checks, copies, handles), in the
/// transition from the guest to native code and back, in callbacks; bytes; and in words what that means. All parts
/// together are the wall time, give or take what is said. The interpreter makes all calls meanwhile: docs/profile.md
/// says what that changes. A guest that traps, exits or is interrupted (Ctrl-C) gets its report too.
#[cfg(feature = "cranelift")]
#[derive(Debug, Args)]
#[command(override_usage = "portcullis profile [OPTIONS] <GUEST> [ARGS]...")]
#[command(after_long_help = "\
Examples:
  portcullis profile --dir . --grant zlib guest-examples/zlib/zlib.wasm README.md
  portcullis profile --grant sqlite3 --json profile.json guest-examples/sqlite/sqlite.wasm
  portcullis profile --grant sqlite3 --folded stacks.txt guest-examples/sqlite/sqlite.wasm
  flamegraph.pl --countname ns stacks.txt > profile.svg

Exit status: that of `run`; 130 when it was interrupted.")]
pub struct Profile {
    #[command(flatten)]
    pub run: Run,
    /// Write everything to this file, times in nanoseconds
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub json: Option<PathBuf>,
    /// Write stacks for flame graphs to this file: `guest;libz.so.1.crc32;native 1234`, in nanoseconds
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub folded: Option<PathBuf>,
    /// Time one call in N; default: all, or so few that timing takes at most 30 ns a call or 3 % of the time
    ///
    /// Calls, callbacks and bytes are always counted exactly.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..1 << 32))]
    pub sample: Option<u64>,
}

/// Say what a guest wants, what is granted, and how each call would be made.
///
/// Prints a row an import: granted or denied, and if denied the flag that would allow it; the library that it resolves
/// to; the tier that its calls take, and why no faster one. Below that: why something is denied, what the
/// interfaces give away that grant it (or would), and all missing flags in one line. The exit status is 0 if the guest
/// could be linked as it is, else 1.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  portcullis imports guest-examples/zlib/zlib.wasm
  portcullis imports --grant zlib --grant libm guest-examples/rust/guest.wasm")]
pub struct Imports {
    /// The guest, .wasm or .wat
    #[arg(value_hint = ValueHint::FilePath)]
    pub guest: PathBuf,
    /// Print it as JSON, with the wasm types
    #[arg(long)]
    pub json: bool,
    /// The guest is a file of `portcullis compile`
    #[arg(long)]
    pub allow_precompiled: bool,
    #[command(flatten)]
    pub permissions: Permissions,
}

/// Compile a guest and the calls that it makes ahead of time.
///
/// The file has the guest's machine code and trampolines for what it may call, of the tiers that --tier allows;
/// `run --allow-precompiled` runs it on this kind of machine without making any code. Grant it the same
/// interfaces then.
#[cfg(feature = "cranelift")]
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  portcullis compile --grant zlib guest-examples/zlib/zlib.wasm -o zlib.ready
  portcullis run --allow-precompiled --dir . --grant zlib zlib.ready README.md")]
pub struct Compile {
    /// The guest, .wasm or .wat
    #[arg(value_hint = ValueHint::FilePath)]
    pub guest: PathBuf,
    /// Where to write it
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: PathBuf,
    #[command(flatten)]
    pub permissions: Permissions,
}
