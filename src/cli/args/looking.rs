//! Commands that look at functions, interfaces and this program itself.
#[cfg(feature = "cranelift")]
use super::values::core;
use super::values::name_and_value;
use clap::{Args, ValueHint};
use std::path::PathBuf;

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
    #[arg(long, value_name = "NUMBER", value_parser = core)]
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
    /// Do not warn of this function: it is meant as it is
    #[arg(long, value_name = "FUNCTION")]
    pub intended: Vec<String>,
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
