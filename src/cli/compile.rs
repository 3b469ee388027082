//! `compile`: a guest and its calls as machine code, in a file.
use super::page::Page;
use super::report::{Failure, Status, from_wasmtime};
use super::table::counted;
use super::{args, meant};
use anyhow::Context as _;
use std::fs;

/// Compiles a guest ahead of time and says what became of its imports.
pub fn compile(typed: &args::Compile) -> Result<Status, Failure> {
    let permissions = meant::Permissions::read(&typed.permissions)?;
    let engine = meant::engine()?;
    let wasm = fs::read(&typed.guest)
        .with_context(|| format!("cannot read the guest {}", typed.guest.display()))?;
    let bridge = permissions.bridge(&engine)?;
    let compiled = bridge
        .precompile(&wasm)
        .map_err(from_wasmtime)
        .with_context(|| format!("cannot compile {}", typed.guest.display()))?;
    let bytes = compiled.to_bytes().map_err(from_wasmtime)?;
    fs::write(&typed.output, &bytes)
        .with_context(|| format!("cannot write {}", typed.output.display()))?;
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
        page.line(format_args!("  {}.{}: {what}: {why}", import.module, import.name));
    }
    page.show()?;
    Ok(Status::Good)
}
