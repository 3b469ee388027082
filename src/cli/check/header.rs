//! `check --header`: does each prototype agree with the real header?
//!
//! The C compiler is asked, not a parser of ours. For every function a generated file includes the
//! real headers and declares two kinds of variables: a pointer to whatever the function's type is,
//! whose type the compiler then describes in its debugging information, and arrays whose size is 2
//! if the compiler holds the prototype's type and the real one to be compatible. Lines that it
//! refuses (functions that the header does not have) are taken out and it is asked again.
//!
//! What it says is judged in [`compare`](super::compare).
use super::c_text::{Typedefs, declared_type};
use super::dwarf::{self, Variables};
use super::real::{Real, Records, Signature};
use anyhow::{Context as _, Result, anyhow, bail};
use portcullis::signature::{Interface, Prototype};
use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

/// What the real headers say of one function.
pub enum Declared {
    /// They do not declare it.
    No,
    /// They do.
    As {
        /// The real type.
        signature: Signature,
        /// Whether the compiler says that the prototype has a compatible type.
        compatible: bool,
    },
    /// They declare data.
    Data {
        /// Its real type.
        real: Real,
        /// Whether the compiler says that the prototype has a compatible type.
        compatible: bool,
    },
}

/// What the real headers say of an interface.
pub struct Answers {
    /// Of each grant, in their order.
    pub declared: Vec<Declared>,
    /// The structs and unions that those types speak of.
    pub records: Records,
}

/// What generated lines are said to belong to in the compiler's errors.
const PLACE: &str = "portcullis-check";

/// Asks the compiler about every grant of the interface, in their order.
pub fn ask(interface: &Interface, headers: &[PathBuf], cc: &str) -> Result<Answers> {
    let prototypes: Vec<&Arc<Prototype>> =
        interface.grants.iter().map(|grant| &grant.prototype).collect();
    let mut prologue = String::from("#define _GNU_SOURCE 1\n");
    for header in headers {
        prologue.push_str(&include(header)?);
    }
    // The names of types that prototypes may use. These headers declare no functions to speak of.
    prologue.push_str("#include <stddef.h>\n#include <stdint.h>\n#include <sys/types.h>\n");
    prologue.push_str(&format!("#line 1 \"{PLACE}\"\n"));
    let mut lines: Vec<Option<String>> = Vec::new();
    for (number, prototype) in prototypes.iter().enumerate() {
        // In parentheses it is never a macro with parameters.
        let name = &prototype.name;
        let ask = |kind, typedefs| {
            let ours = declared_type(prototype, typedefs);
            format!(
                "char pc_{kind}_{number}[1 + __builtin_types_compatible_p(__typeof__(({name})), {ours})];"
            )
        };
        lines.push(Some(format!("__typeof__(({name})) *pc_real_{number};")));
        lines.push(Some(ask("standard", Typedefs::Standard(&interface.scope))));
        lines.push(Some(ask("resolved", Typedefs::Resolved(&interface.scope))));
    }
    let mut variables = settle(cc, &prologue, lines)?;
    align(&mut variables, cc, &prologue)?;
    let declared = (0..prototypes.len()).map(|number| {
        let Some(ty) = variables.types.get(&format!("pc_real_{number}")) else {
            return Ok(Declared::No);
        };
        let Real::Pointer(to) = ty.bare() else { return Ok(Declared::No) };
        let compatible = ["standard", "resolved"].iter().any(|kind| {
            variables.sizes.get(&format!("pc_{kind}_{number}")).is_some_and(|size| *size == 2)
        });
        match (to.bare(), prototypes[number].data) {
            (Real::Function(signature), None) => {
                Ok(Declared::As { signature: (**signature).clone(), compatible })
            }
            (Real::Function(_), Some(_)) => {
                bail!("`{}` is a function in the header, not data", prototypes[number].name)
            }
            (_, Some(_)) => Ok(Declared::Data { real: (**to).clone(), compatible }),
            (_, None) => bail!(
                "`{}` is not a function in the header, but of type {to}",
                prototypes[number].name
            ),
        }
    });
    Ok(Answers { declared: declared.collect::<Result<_>>()?, records: variables.records })
}

/// Compiles as many of the lines as the compiler takes.
fn settle(cc: &str, prologue: &str, mut lines: Vec<Option<String>>) -> Result<Variables> {
    loop {
        let mut source = prologue.to_owned();
        for line in &lines {
            source.push_str(line.as_deref().unwrap_or_default());
            source.push('\n');
        }
        match compile(cc, &source)? {
            Compiled::File(file) => return dwarf::read(&file),
            Compiled::Refused(refused) => {
                for line in refused {
                    // Without the function there is nothing to ask about it.
                    let known = line.checked_sub(1).and_then(|line| lines.get(line));
                    if known.is_none_or(Option::is_none) {
                        bail!("the compiler refuses line {line} of the generated file twice");
                    }
                    lines[line - 1] = None;
                }
            }
        }
    }
}

/// Asks for the alignment of every record that has a name: debugging information tells it only
/// where the header does, and nothing of `packed`.
fn align(variables: &mut Variables, cc: &str, prologue: &str) -> Result<()> {
    let Variables { records, names, .. } = variables;
    names.retain(|(_, id)| records.body(*id).is_some());
    if names.is_empty() {
        return Ok(());
    }
    let asked = names.iter().enumerate();
    let asked =
        asked.map(|(number, (name, _))| Some(format!("char pc_align_{number}[_Alignof({name})];")));
    let sizes = settle(cc, prologue, asked.collect())?.sizes;
    for (number, (_, id)) in names.iter().enumerate() {
        if let Some(size) = sizes.get(&format!("pc_align_{number}"))
            && let Some(body) = &mut records.bodies[*id]
        {
            body.align = Some(*size);
        }
    }
    Ok(())
}

/// A file by its path, anything else as the compiler finds it.
fn include(header: &Path) -> Result<String> {
    let name = header.to_str().filter(|name| !name.contains(['"', '\n', '>', '\\']));
    let name = name.ok_or_else(|| anyhow!("the header's name {header:?} cannot be included"))?;
    match fs::canonicalize(header) {
        Ok(path) if path.is_file() => Ok(format!("#include \"{}\"\n", path.display())),
        _ => Ok(format!("#include <{name}>\n")),
    }
}

enum Compiled {
    /// The object file.
    File(Vec<u8>),
    /// The lines that the compiler refuses, counted from 1.
    Refused(Vec<usize>),
}

/// Runs the compiler.
fn compile(cc: &str, source: &str) -> Result<Compiled> {
    let directory = Scratch::new()?;
    let output = directory.0.join("types.so");
    let mut words = cc.split_whitespace();
    let program = words.next().ok_or_else(|| anyhow!("`--cc` names no compiler"))?;
    let cannot = || format!("cannot run the C compiler `{cc}`: name another with --cc");
    let options = "-x c -O0 -g -gdwarf-4 -gz=none -w -fno-builtin -fPIC -shared -nostdlib -o";
    let mut child = Command::new(program)
        .args(words)
        .args(options.split(' ').map(OsStr::new))
        .arg(&output)
        .arg("-")
        // Errors are read, so they must be in the language of the source.
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(cannot)?;
    if let Some(mut input) = child.stdin.take() {
        // A compiler that gave up early says why below.
        let _ = input.write_all(source.as_bytes());
    }
    let ended = child.wait_with_output().with_context(cannot)?;
    if ended.status.success() {
        let file = fs::read(&output).context("cannot read what the C compiler wrote")?;
        return Ok(Compiled::File(file));
    }
    let said = String::from_utf8_lossy(&ended.stderr);
    let refused = refused_lines(&said);
    if refused.is_empty() {
        bail!("the C compiler `{cc}` cannot compile the header:\n{}", shortened(&said));
    }
    Ok(Compiled::Refused(refused))
}

/// The lines of the generated file that errors are about: `portcullis-check:7:14: error: ...`.
fn refused_lines(said: &str) -> Vec<usize> {
    let mut lines: Vec<usize> = said
        .lines()
        .filter(|line| line.contains("error:"))
        .filter_map(|line| {
            let place = line.strip_prefix(PLACE)?.strip_prefix(':')?;
            place.split(':').next()?.parse().ok()
        })
        .collect();
    lines.sort_unstable();
    lines.dedup();
    lines
}

fn shortened(text: &str) -> String {
    const MOST: usize = 20;
    let lines: Vec<&str> = text.lines().take(MOST).collect();
    lines.join("\n")
}

/// A directory that is removed in the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Scratch> {
        for attempt in 0..100 {
            let name = format!("portcullis-check-{}-{attempt}", std::process::id());
            let path = std::env::temp_dir().join(name);
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Scratch(path)),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(error).with_context(|| format!("cannot create {}", path.display()));
                }
            }
        }
        bail!("cannot create a directory in {}", std::env::temp_dir().display())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A directory left in the temporary one harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_in_generated_lines_are_told_from_those_in_headers() {
        let said = "portcullis-check:7:14: error: 'f' undeclared\n\
            portcullis-check:7:3: error: again\n\
            portcullis-check:9:1: note: not this\n\
            /usr/include/x.h:3:1: error: unknown type name 'y'\n";
        assert_eq!(refused_lines(said), [7]);
    }

    #[test]
    fn names_that_would_break_out_of_the_include_are_refused() {
        assert!(include(Path::new("a\"\n#error x")).is_err());
        assert_eq!(include(Path::new("math.h")).expect("a name"), "#include <math.h>\n");
    }
}
