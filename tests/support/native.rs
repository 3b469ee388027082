//! Shared libraries of C functions, compiled by gcc while the test runs.
use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles `source` into `folder/name`, a shared library.
pub fn compile(folder: &Path, name: &str, source: &str, flags: &[&str]) -> PathBuf {
    let file = folder.join(name).with_extension("c");
    let library = folder.join(name);
    std::fs::write(&file, source).expect("a file in the temporary folder");
    let output = Command::new("gcc")
        .args(["-std=gnu11", "-shared", "-fPIC", "-w"])
        .args(flags)
        .arg("-o")
        .arg(&library)
        .arg(&file)
        .output()
        .expect("gcc is installed");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "gcc refuses {}:\n{said}", file.display());
    library
}
