//! What the tests share: running the program, files for it.
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// How a run of the program ended.
#[derive(Debug)]
pub struct Ended {
    pub status: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ended {
    /// The output, if the status is that one.
    #[track_caller]
    pub fn with(self, status: i32) -> (String, String) {
        assert_eq!(self.status, Some(status), "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        (self.out, self.err)
    }

    /// What was said on standard error, if the status is that one and each of `parts` is said.
    #[track_caller]
    pub fn says(self, status: i32, parts: &[&str]) -> String {
        let (_, err) = self.with(status);
        for part in parts {
            assert!(err.contains(part), "{part:?} is not in:\n{err}");
        }
        err
    }
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.current_dir(root()).stdin(Stdio::null());
    command
}

pub fn run(command: &mut Command) -> Ended {
    let output = command.output().expect("the program was built");
    let text = |bytes| String::from_utf8(bytes).expect("the program prints UTF-8");
    Ended { status: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// The program in the root of the repository, without standard input.
pub fn portcullis(args: &[&str]) -> Ended {
    run(command().args(args))
}

/// A folder with files in it.
pub fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, content) in files {
        fs::write(folder.path().join(name), content).expect("a file in it");
    }
    folder
}

/// Runs a guest in text form with these options.
pub fn guest(text: &str, options: &[&str]) -> Ended {
    let folder = folder(&[("guest.wat", text)]);
    let path = folder.path().join("guest.wat");
    run(command().arg("run").args(options).arg(path))
}

pub fn path_text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}
