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
    let declined: Vec<_> = imports.iter().filter(|import| import.declined.is_some()).collect();
    let mut page = Page::default();
    page.line(format_args!(
        "{}: {} bytes, with trampolines for {} of {}",
        typed.output.display(),
        bytes.len(),
        imports.len() - declined.len(),
        counted(imports.len(), "native import"),
    ));
    for import in declined {
        let why = import.declined.as_deref().unwrap_or_default();
        page.line(format_args!("  {}.{}: {why}", import.module, import.name));
    }
    page.show()?;
    Ok(Status::Good)
}
