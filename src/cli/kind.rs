//! What a file is that is none of those that a command takes, told by how it begins.
use anyhow::{Context as _, Result, bail};
use portcullis::host::Precompiled;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

/// What a guest's file should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guest {
    /// A module, to be compiled. The text is what to do with one that is compiled already.
    Module(&'static str),
    /// What `portcullis compile` has written.
    Compiled,
}

/// What commands that run a guest say of one that is compiled already.
pub const NOT_ALLOWED: &str = "it is machine code, which is used only with --allow-precompiled";

impl Guest {
    /// Refuses what is something else, and says what it is.
    pub fn check(self, path: &Path) -> Result<()> {
        let name = path.display();
        let about = fs::metadata(path).with_context(|| format!("cannot read the guest {name}"))?;
        if about.is_dir() {
            bail!("`{name}` is a directory: name a file in it, .wasm or .wat");
        }
        // What can be read once is left to those who need it.
        if !about.is_file() {
            return Ok(());
        }
        let head = head(path).with_context(|| format!("cannot read the guest {name}"))?;
        let is_compiled = Precompiled::is_one(path).unwrap_or(false);
        match (self, is_compiled, Kind::of(&head)) {
            (Guest::Compiled, true, _) | (Guest::Module(_), false, Kind::Module | Kind::Text) => {
                Ok(())
            }
            (Guest::Module(what_to_do), true, _) => {
                bail!("`{name}` was compiled ahead of time: {what_to_do}")
            }
            (Guest::Module(_), false, kind) => {
                bail!("`{name}` is {}, not a WebAssembly module{}", kind.is(), kind.way_out())
            }
            (Guest::Compiled, false, Kind::Module | Kind::Text) => bail!(
                "`{name}` is no guest that was compiled ahead of time, which `portcullis compile` writes: leave \
                 --allow-precompiled out"
            ),
            (Guest::Compiled, false, kind) => bail!(
                "`{name}` is {}, no guest that was compiled ahead of time, which `portcullis compile` writes",
                kind.is()
            ),
        }
    }
}

/// What an interface's file is, if it cannot be read as text.
pub fn of_no_text(path: &Path) -> Option<String> {
    match Kind::of(&head(path).ok()?) {
        Kind::Text => None,
        kind => Some(kind.is()),
    }
}

/// How the file begins.
fn head(path: &Path) -> Result<Vec<u8>, std::io::Error> {
    let mut head = Vec::new();
    File::open(path)?.take(4096).read_to_end(&mut head)?;
    Ok(head)
}

/// Files that people take for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Module,
    Text,
    /// What it is, and what to do.
    Other(&'static str, &'static str),
}

impl Kind {
    fn of(head: &[u8]) -> Kind {
        const COMPONENT: Kind = Kind::Other(
            "a WebAssembly component",
            ": build the guest as a module (for WASI preview 1: `wasm32-wasip1`), or take the core module out of it",
        );
        const UNPACK: &str = ": unpack it first";
        match head {
            [] => Kind::Other("empty", ""),
            [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => Kind::Module,
            [0, b'a', b's', b'm', _, 0, 1, 0, ..] => COMPONENT,
            [0, b'a', b's', b'm', ..] => Kind::Other("WebAssembly of an unknown version", ""),
            [0x7f, b'E', b'L', b'F', ..] => match head.get(16) {
                Some(1) => Kind::Other(
                    "an ELF object file",
                    ": compile the guest for WebAssembly (`--target=wasm32-wasip1`)",
                ),
                _ => Kind::Other(
                    "an ELF program or shared library",
                    ": a guest is compiled for WebAssembly; libraries are named by interfaces, and with --library",
                ),
            },
            [b'!', b'<', b'a', b'r', b'c', b'h', b'>', ..] => {
                Kind::Other("an archive of object files (.a)", ": link it with a guest")
            }
            [b'B', b'C', 0xc0, 0xde, ..] => {
                Kind::Other("LLVM bitcode", ": compile it to WebAssembly")
            }
            [0x1f, 0x8b, ..] => Kind::Other("compressed (gzip)", UNPACK),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Kind::Other("compressed (zstd)", UNPACK),
            [0xfd, b'7', b'z', b'X', b'Z', ..] => Kind::Other("compressed (xz)", UNPACK),
            [b'B', b'Z', b'h', ..] => Kind::Other("compressed (bzip2)", UNPACK),
            [b'P', b'K', 3, 4, ..] => Kind::Other("a ZIP archive", UNPACK),
            [b'M', b'Z', ..] if head.contains(&0) => Kind::Other("a Windows program", ""),
            text => Kind::of_text(text, COMPONENT),
        }
    }

    fn of_text(head: &[u8], component: Kind) -> Kind {
        let text = match std::str::from_utf8(head) {
            Ok(text) => text,
            // The end of what was read may be in the middle of a character.
            Err(error) if error.error_len().is_none() => {
                std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default()
            }
            Err(_) => return Kind::Other("binary data of another kind", ""),
        };
        if text.contains('\0') {
            return Kind::Other("binary data of another kind", "");
        }
        let is_component = text.trim_start().strip_prefix('(').is_some_and(|rest| {
            let rest = rest.trim_start().strip_prefix("component");
            rest.is_some_and(|rest| rest.starts_with([' ', ')', '\n', '\t', '\r', '$']))
        });
        if is_component { component } else { Kind::Text }
    }

    fn is(self) -> String {
        match self {
            Kind::Module => "a WebAssembly module".to_owned(),
            Kind::Text => "text".to_owned(),
            Kind::Other(is, _) => is.to_owned(),
        }
    }

    fn way_out(self) -> &'static str {
        match self {
            Kind::Module | Kind::Text => "",
            Kind::Other(_, way_out) => way_out,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_by_how_they_begin() {
        for (head, kind) in [
            (&b"\0asm\x01\0\0\0"[..], Kind::Module),
            (b"(module)", Kind::Text),
            (b" ( module)", Kind::Text),
            (b"(components)", Kind::Text),
            ("ä".as_bytes(), Kind::Text),
            (&"ä".as_bytes()[..1], Kind::Text),
        ] {
            assert_eq!(Kind::of(head), kind, "{head:?}");
        }
        for (head, is) in [
            (&b""[..], "empty"),
            (b"\0asm\x0d\0\x01\0", "a WebAssembly component"),
            (b"(component)", "a WebAssembly component"),
            (b"\n(component $c (core module))", "a WebAssembly component"),
            (b"\0asm\x07\0\0\0", "WebAssembly of an unknown version"),
            (b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0", "an ELF program or shared library"),
            (b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x01\0", "an ELF object file"),
            (b"\x1f\x8b\x08", "compressed (gzip)"),
            (b"a\0b", "binary data of another kind"),
            (b"\xff\xfe", "binary data of another kind"),
        ] {
            assert_eq!(Kind::of(head).is(), is, "{head:?}");
        }
    }
}
