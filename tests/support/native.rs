//! Shared libraries of C functions, compiled while the test runs.
use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles `source` into `folder/name`, a shared library.
pub fn compile(folder: &Path, name: &str, source: &str, flags: &[&str]) -> PathBuf {
    compile_with("gcc", folder, name, source, flags)
}

/// The same with a compiler of that name, which takes gcc's options.
pub fn compile_with(
    compiler: &str,
    folder: &Path,
    name: &str,
    source: &str,
    flags: &[&str],
) -> PathBuf {
    let file = folder.join(name).with_extension("c");
    let library = folder.join(name);
    std::fs::write(&file, source).expect("a file in the temporary folder");
    // What `.ci/sanitize` has everything compiled with.
    let more = std::env::var("PORTCULLIS_TEST_CFLAGS").unwrap_or_default();
    let output = Command::new(compiler)
        .args(["-std=gnu11", "-shared", "-fPIC", "-w"])
        .args(flags)
        .arg("-o")
        .arg(&library)
        .arg(&file)
        .args(more.split_whitespace())
        .output()
        .expect("the compiler is installed");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{compiler} refuses {}:\n{said}", file.display());
    library
}
