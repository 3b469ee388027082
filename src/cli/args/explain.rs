//! What `explain` is told.
use clap::{Args, ValueEnum, ValueHint};
use std::path::PathBuf;

/// Explain how a C function is called: which tiers take it, types, registers, plan, CLIF, machine code.
///
/// What is told, in this order (--show chooses):
///
///   import     what grants it, and how a guest's module imports it
///   tiers      which ways to make the call there are, and why not the others
///   types      how large each value is in the guest and here; structs, field by field
///   registers  where the C ABI wants each argument, byte by byte
///   plan       the steps of a call: checks, conversions, the call, what is written back
///   clif       the plan as Cranelift's intermediate code
///   asm        the machine code, disassembled, each instruction beside its step
///
/// Of a function that is granted more than once it is first told how a call gets one of them.
/// Every mistake of a prototype is shown with its place and the way out.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
#[command(after_long_help = "\
Examples:
  portcullis explain 'double cos(double x)'
  portcullis explain --grant zlib --show tiers,plan crc32
  portcullis explain --grant sqlite3 --overload 2 sqlite3_bind_text
  portcullis explain --grant libc 'int snprintf(char *, size_t, const char *, ..., double)'
  portcullis explain --grant zlib --html crc32.html crc32
  portcullis explain --abi aapcs64 'void *memset(void *_Out_ __sized_by(n) s, int c, size_t n)'

Exit status: 0; 1 when it could not be linked or called like this; 2 for wrong usage.")]
pub struct Explain {
    /// A prototype, or the name of a function of a granted interface
    ///
    /// A prototype of a function that is granted is compared with the grant, as a guest's import is, and the grant is
    /// explained.
    pub prototype: String,
    /// An interface whose types, constants and functions the prototype may mention
    #[arg(long, value_name = "FILE.h", value_hint = ValueHint::FilePath)]
    pub grant: Vec<PathBuf>,
    /// Tell only this; several with commas. Default: everything, of several overloads all but clif and asm
    #[arg(long, value_name = "PARTS", value_delimiter = ',')]
    pub show: Vec<Part>,
    /// Of several overloads only that one, or `all` where there are many
    #[arg(long, value_name = "NUMBER", value_parser = overload)]
    pub overload: Option<Overload>,
    /// Show machine code with its bytes
    #[arg(long)]
    pub bytes: bool,
    /// The guest's data model
    #[arg(long, default_value = "wasm32")]
    pub model: Model,
    /// The host's C ABI, `sysv` on x86-64 and `aapcs64` on 64-bit ARM; default: this machine's
    #[arg(long)]
    pub abi: Option<AbiName>,
    /// Write all of it, with drawings of registers, stack and structs, as a page that needs nothing but a browser
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub html: Option<PathBuf>,
}

/// The parts of an explanation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// What grants it, and how a guest imports it.
    Import,
    /// Which ways to make the call there are.
    Tiers,
    /// Types and structs, in the guest and here.
    Types,
    /// Where arguments are.
    Registers,
    /// The steps of a call.
    Plan,
    /// Cranelift's intermediate code.
    Clif,
    /// Machine code.
    Asm,
    /// Everything.
    All,
}

/// Which overloads are explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overload {
    /// Each of them.
    All,
    /// That one; the first is 1.
    Number(usize),
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

fn overload(typed: &str) -> Result<Overload, String> {
    match (typed, typed.parse()) {
        ("all", _) => Ok(Overload::All),
        (_, Ok(number @ 1..)) => Ok(Overload::Number(number)),
        _ => Err("write the number of an overload, or `all`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overloads_have_numbers_from_1_on() {
        assert_eq!(overload("2"), Ok(Overload::Number(2)));
        assert_eq!(overload("all"), Ok(Overload::All));
        for wrong in ["0", "-1", "", "first"] {
            assert!(overload(wrong).is_err(), "{wrong:?}");
        }
    }
}
