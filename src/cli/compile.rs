//! `compile`: a guest and its calls as machine code, in a file.
use super::imports::denied;
use super::kind::Guest;
use super::output::Output;
use super::page::Page;
use super::report::{Failure, Status, from_wasmtime};
use super::run::not_started;
use super::table::counted;
use super::words::{in_options, shown};
use super::{args, meant};
use anyhow::{Context as _, anyhow};
use portcullis::host::LinkError;
use std::fs;

/// Compiles a guest ahead of time and says what became of its imports.
pub fn compile(typed: &args::Compile) -> Result<Status, Failure> {
    let permissions = meant::Permissions::read(&typed.permissions)?;
    let engine = meant::engine()?;
    Guest::Module(
        "`run --allow-precompiled` runs it as it is; to compile it again, name the .wasm or .wat file that it was \
         made of",
    )
    .check(&typed.guest)?;
    let wasm = fs::read(&typed.guest)
        .with_context(|| format!("cannot read the guest {}", typed.guest.display()))?;
    let bridge = permissions.bridge(&engine)?;
    let output = Output::open(&typed.output)?;
    if output.is_at(&typed.guest) {
        return Err(anyhow!(
            "{} is the guest itself, which would be overwritten: name another file",
            typed.output.display()
        )
        .into());
    }
    let compiled = match bridge.precompile(&wasm) {
        Ok(compiled) => compiled,
        Err(error) if error.is::<LinkError>() => {
            let denied = denied(&bridge, &meant::module(&engine, &typed.guest)?);
            return Err(not_started(error, &typed.guest, &denied));
        }
        Err(error) => {
            let error = from_wasmtime(error);
            return Err(error.context(format!("cannot compile {}", typed.guest.display())).into());
        }
    };
    let bytes = compiled.to_bytes().map_err(from_wasmtime)?;
    output.write_bytes(&bytes)?;
    let imports = compiled.imports();
    let direct = imports.iter().filter(|import| import.not_direct.is_none()).count();
    let none = imports.iter().filter(|one| one.declined.is_some() && one.not_direct.is_some());
    let mut page = Page::default();
    page.line(format_args!(
        "{}: {} bytes, with trampolines for {} of {}, {direct} of them direct",
        typed.output.display(),
        bytes.len(),
        imports.len() - none.count(),
        counted(imports.len(), "native import"),
    ));
    for import in imports {
        let (what, why) = match (&import.declined, &import.not_direct) {
            (Some(why), Some(_)) => ("no trampoline", why),
            (None, Some(why)) if direct > 0 => ("not direct", why),
            _ => continue,
        };
        let (module, name) = (shown(&import.module, 80), shown(&import.name, 80));
        page.line(format_args!("  {module}.{name}: {what}: {}", in_options(why)));
    }
    page.show()?;
    Ok(Status::Good)
}
