//! A file that a command writes when it is done, opened before it begins: that a path cannot be written is told
//! before an hour of work, and what is there stays as it is until there is something to take its place.
use anyhow::{Context as _, Result, bail};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// See the module. A file that was made for nothing is removed when this goes.
#[derive(Debug)]
pub struct Output {
    path: PathBuf,
    file: File,
    /// Whether nobody misses it when nothing is written.
    empty: AtomicBool,
}

impl Output {
    /// Opens or makes the file of an option, if there is one.
    pub fn wanted(path: Option<&Path>) -> Result<Option<Output>> {
        path.map(Output::open).transpose()
    }

    /// Opens or makes a file.
    pub fn open(path: &Path) -> Result<Output> {
        let cannot = || format!("cannot write {}", path.display());
        let mut write = OpenOptions::new();
        write.write(true);
        let (file, empty) = match write.clone().create_new(true).open(path) {
            Ok(file) => (file, true),
            // A link to nowhere is there too, and makes what it names.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                (write.create(true).truncate(false).open(path).with_context(cannot)?, false)
            }
            Err(error) => return Err(error).with_context(cannot),
        };
        Ok(Output { path: path.to_owned(), file, empty: AtomicBool::new(empty) })
    }

    /// Each of the files is another one.
    pub fn all_differ<'o>(outputs: impl IntoIterator<Item = &'o Output>) -> Result<()> {
        let mut seen = Vec::new();
        for output in outputs {
            let Ok(about) = output.file.metadata() else { continue };
            let this = (about.dev(), about.ino());
            // What is written to a terminal or a pipe stands one after the other.
            if about.is_file() && seen.contains(&this) {
                bail!("{} would be written twice: name another file", output.path.display());
            }
            seen.push(this);
        }
        Ok(())
    }

    /// Whether that is the same file.
    pub fn is_at(&self, path: &Path) -> bool {
        let same = |here: &fs::Metadata, there: &fs::Metadata| {
            (here.dev(), here.ino()) == (there.dev(), there.ino())
        };
        self.file.metadata().ok().zip(fs::metadata(path).ok()).is_some_and(|(h, t)| same(&h, &t))
    }

    /// Writes it, in place of what was there.
    pub fn write(&self, text: &str) -> Result<()> {
        self.write_bytes(text.as_bytes())
    }

    /// The same of what is no text.
    pub fn write_bytes(&self, bytes: &[u8]) -> Result<()> {
        let write = || {
            // Pipes and devices have no length.
            if self.file.metadata()?.is_file() {
                self.file.set_len(0)?;
            }
            (&self.file).write_all(bytes)
        };
        self.empty.store(false, Ordering::Relaxed);
        write().with_context(|| format!("cannot write {}", self.path.display()))
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if self.empty.load(Ordering::Relaxed) {
            // It is only left empty if this does not work.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_stays_until_something_takes_its_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let [old, new] = ["old", "new"].map(|name| folder.path().join(name));
        fs::write(&old, "a long text of yesterday").expect("it can be written");
        let read = |path: &Path| fs::read_to_string(path).expect("it can be read");
        drop((Output::open(&old).expect("it is there"), Output::open(&new).expect("it is made")));
        assert_eq!(read(&old), "a long text of yesterday");
        assert!(!new.exists());
        for path in [&old, &new] {
            let output = Output::open(path).expect("it can be written");
            output.write("short").expect("it can be written");
            drop(output);
            assert_eq!(read(path), "short");
        }
    }

    #[test]
    fn what_cannot_be_written_is_told_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        for path in [folder.path().join("no/such"), folder.path().to_owned()] {
            let error = Output::open(&path).expect_err("it cannot be written").to_string();
            assert_eq!(error, format!("cannot write {}", path.display()));
        }
    }

    #[test]
    fn one_file_is_not_written_twice() {
        let folder = tempfile::tempdir().expect("a folder");
        let [one, other, same] = ["one", "other", "same"].map(|name| folder.path().join(name));
        let outputs = [&one, &other].map(|path| Output::open(path).expect("it is made"));
        assert!(Output::all_differ(&outputs).is_ok());
        std::os::unix::fs::symlink(&one, &same).expect("it is made");
        let again = Output::open(&same).expect("it is there");
        let error = Output::all_differ(outputs.iter().chain([&again])).expect_err("it is");
        assert!(error.to_string().contains("same would be written twice"), "{error}");
        let nowhere = Path::new("/dev/null");
        let [a, b] = [(); 2].map(|()| Output::open(nowhere).expect("it is there"));
        assert!(Output::all_differ([&a, &b]).is_ok());
        a.write("gone").expect("it takes anything");
        drop(a);
        assert!(nowhere.exists());
    }
}
