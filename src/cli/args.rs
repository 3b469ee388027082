//! Arguments as they are typed: names, help and completion, and nothing else.
//!
//! What they mean (files read, interfaces parsed, directories opened) is in
//! [`meant`](super::meant).
use super::version;
use clap::builder::styling::{AnsiColor, Styles};
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum, ValueHint};
use portcullis::plan::Limits;
use std::ffi::OsString;
use std::path::PathBuf;

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
  That of the guest for `run`; 134 after a trap; 1 when something could not be started or a check
  failed; 2 for wrong usage.";

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
    /// info: what is denied, trusted, or not done as asked (no direct calls). debug: what each import is linked to, with
    /// its tier and why no faster one; libraries that are loaded; machine code that is made, with its time; when an import
    /// changes over to it; calls that fail.
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
    /// Bound what the guest may use: handles, depth, copied_bytes, callbacks, ... (--limit handles=100)
    #[arg(long, value_name = "NAME=N", value_parser = limit)]
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

Exit status: the guest's own; 134 after a trap; 1 when it could not start; 2 for wrong usage.")]
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

/// Explain how a C function is called: types, layouts, wasm type, registers, plan.
///
/// Every mistake of the prototype is shown with its place and the way out.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  portcullis explain 'double cos(double x)'
  portcullis explain --grant sqlite3 sqlite3_column_text
  portcullis explain --html crc32.html --grant zlib crc32
  portcullis explain --abi aapcs64 'void *memset(void *_Out_ __sized_by(n) s, int c, size_t n)'")]
pub struct Explain {
    /// A prototype, or the name of a function of a granted interface
    pub prototype: String,
    /// An interface whose types, constants and functions the prototype may mention
    #[arg(long, value_name = "FILE.h", value_hint = ValueHint::FilePath)]
    pub grant: Vec<PathBuf>,
    /// The guest's data model
    #[arg(long, default_value = "wasm32")]
    pub model: Model,
    /// The host's C ABI, `sysv` on x86-64 and `aapcs64` on 64-bit ARM; default: this machine's
    #[arg(long)]
    pub abi: Option<AbiName>,
    /// Write the same, with drawings of registers, stack and structs, as a page that needs nothing but a browser
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub html: Option<PathBuf>,
}

/// Measure what calls cost: C, hand-written glue, and every tier, side by side.
///
/// Everything runs on one core, in turns, many times. Figures are medians over all rounds, net of the empty loop
/// around the calls; comparisons are medians of the ratios within each round, with their 95 % interval. Close other
/// programs first: what disturbs the machine is told as a warning.
///
/// C is a loop that calls through a volatile pointer. `wrap` is the host function that an embedder would write
/// with wasmtime's `Func::wrap`, memory and functions cached.
#[cfg(feature = "cranelift")]
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  portcullis bench --quick
  portcullis bench --html report.html --json raw.json
  portcullis bench ints2 buffer
  portcullis bench --library libm.so.6 --prototype 'double pow(double x, double y)' --args 2.5,3
  portcullis bench --library libz.so.1 \\
      --prototype 'unsigned long adler32(unsigned long a, const uint8_t *__counted_by(n) p, unsigned n)'")]
pub struct Bench {
    /// Only functions with this in their short name (see --list)
    pub filter: Vec<String>,
    /// A few seconds instead of minutes: enough to look at, not to publish
    #[arg(long)]
    pub quick: bool,
    /// Measure on this core; default: the last one of the fastest type
    #[arg(long, value_name = "NUMBER")]
    pub core: Option<usize>,
    /// Say which functions there are, and measure nothing
    #[arg(long)]
    pub list: bool,
    /// Measure a function of your own instead: it is called as this says
    ///
    /// A prototype that is not true of the function can do anything to this process.
    #[arg(long, value_name = "TEXT", requires = "library", conflicts_with = "filter")]
    pub prototype: Option<String>,
    /// The library of that function: a path, or a name for the dynamic linker
    #[arg(long, value_name = "NAME", requires = "prototype")]
    pub library: Option<String>,
    /// Its arguments, one a parameter: numbers, text for strings, `_` for what is to be made up
    ///
    /// They stand between commas; `\,` is one of a text. What is made up: 64 for numbers that count something, else 1
    /// and 0.5; strings; memory of zeros.
    #[arg(long, value_name = "VALUES", requires = "prototype", allow_hyphen_values = true)]
    pub args: Option<String>,
    /// Write everything that was measured, raw data included, to this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub json: Option<PathBuf>,
    /// Write the raw data as a table: function, contender, round, nanoseconds a call
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub csv: Option<PathBuf>,
    /// Write a page with plots, which needs nothing but a browser
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub html: Option<PathBuf>,
}

/// The data models of guests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Model {
    /// 32-bit memory: `long` and pointers have 4 bytes.
    Wasm32,
    /// 64-bit memory: `long` and pointers have 8 bytes.
    Wasm64,
}

/// The C ABIs of hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AbiName {
    /// System V, x86-64.
    Sysv,
    /// 64-bit ARM.
    Aapcs64,
}

/// Check an interface: its text, the library's symbols, and the real C header.
///
/// Reads the interface; looks up every function in the library; warns about shapes that
/// annotations cannot make safe; says which functions cannot be called, and why. With --header
/// the C compiler tells the real type of each function, and each prototype is compared with it: it
/// agrees, or it is retyped to something with the same ABI, or it differs. The exit status is 0 if
/// nothing is wrong (warnings are allowed), else 1.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  portcullis check interfaces/zlib.h --header /usr/include/zlib.h
  portcullis check interfaces/libm.h --header math.h --header complex.h
  portcullis check mylib.h --header mylib.h --cc 'clang -I/opt/mylib/include'")]
pub struct Check {
    /// The interface: an annotated C header, or the name of one that ships (`zlib`)
    #[arg(value_name = "INTERFACE.h", value_hint = ValueHint::FilePath)]
    pub interface: PathBuf,
    /// A real C header of the library; several are included in this order
    ///
    /// A path, or a name that the compiler finds itself (`math.h`).
    #[arg(long, value_name = "HEADER.h", value_hint = ValueHint::FilePath)]
    pub header: Vec<PathBuf>,
    /// The C compiler for --header, with options if need be
    #[arg(long, value_name = "COMMAND", default_value = "cc", requires = "header")]
    pub cc: String,
    /// Load this file where the library NAME is meant
    #[arg(long, value_name = "NAME=PATH", value_parser = name_and_value)]
    pub library: Vec<(String, String)>,
}

/// Print a completion script for a shell.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  portcullis completions bash > ~/.local/share/bash-completion/completions/portcullis
  portcullis completions zsh > ~/.zfunc/_portcullis
  portcullis completions fish > ~/.config/fish/completions/portcullis.fish")]
pub struct Completions {
    /// Which shell
    pub shell: clap_complete::Shell,
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err("write NAME=PATH, for example `libz.so.1=/opt/zlib/libz.so.1`".to_owned()),
    }
}

/// `NAME=N`, N in decimal.
fn limit(typed: &str) -> Result<(String, u64), String> {
    let (name, value) = typed.split_once('=').ok_or("write NAME=N, for example `handles=1000`")?;
    let value = value.parse().map_err(|_| format!("`{value}` is no number"))?;
    Limits::default().set(name, value).map_err(|error| error.to_string())?;
    Ok((name.to_owned(), value))
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

    #[test]
    fn libraries_need_a_name_and_a_path() {
        assert_eq!(name_and_value("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        for wrong in ["", "=", "a=", "=b", "a"] {
            assert!(name_and_value(wrong).is_err(), "{wrong:?}");
        }
    }
}
