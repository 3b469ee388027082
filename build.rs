//! Tells programs of different sources apart: compiled code that is kept in files belongs to one of them. And what
//! `portcullis --version` says of how it was built.
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// What compiled code depends on: plans and what runs them.
const SOURCES: [&str; 4] = ["src/signature", "src/plan", "src/cranelift_backend", "src/host"];

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let mut files = Vec::new();
    for folder in SOURCES {
        println!("cargo::rerun-if-changed={folder}");
        collect(&root.join(folder), &mut files)?;
    }
    files.sort();
    // FNV-1a: this only has to differ by accident.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for file in files {
        for byte in fs::read(file)? {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    println!("cargo::rustc-env=PORTCULLIS_SOURCES={hash:016x}");
    let target = env::var("TARGET").unwrap_or_default();
    println!("cargo::rustc-env=PORTCULLIS_TARGET={target}");
    println!("cargo::rerun-if-env-changed=PORTCULLIS_COMMIT");
    if let Some(commit) = commit(&root) {
        println!("cargo::rustc-env=PORTCULLIS_COMMIT={commit}");
    }
    Ok(())
}

/// The commit, if somebody says so or the sources are a published package. Git is not asked: this would have to run
/// again at each commit, or say what was true once.
fn commit(root: &Path) -> Option<String> {
    let is_one = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
    if let Ok(told) = env::var("PORTCULLIS_COMMIT") {
        return Some(told).filter(|told| is_one(told));
    }
    let packaged = fs::read_to_string(root.join(".cargo_vcs_info.json")).ok()?;
    let (_, rest) = packaged.split_once("\"sha1\"")?;
    let commit = rest.split('"').nth(1)?;
    Some(commit.to_owned()).filter(|commit| is_one(commit))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
