//! The file of a guest that was compiled ahead of time.
use super::PrecompiledError;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// What such a file ends with.
const MAGIC: [u8; 8] = *b"PRTCLLS2";
/// Length of what is behind the modules, the checksum, and the magic.
pub(super) const TAIL: usize = 24;
/// Modules begin at multiples of this, so that they can be mapped.
pub(super) const PAGE: usize = 4096;

/// A file that was found to be whole.
#[derive(Debug)]
pub(super) struct Whole {
    pub file: File,
    pub size: u64,
    /// Where the guest of the trial is, and how long.
    pub trial: (u64, u64),
}

impl Whole {
    /// Opens a file, and reads what is behind its modules.
    pub(super) fn open(path: &Path) -> Result<(Whole, Vec<u8>), PrecompiledError> {
        let of = || path.to_owned();
        let unread = |error| PrecompiledError::Unread { path: of(), error };
        let file = File::open(path).map_err(unread)?;
        let size = file.metadata().map_err(unread)?.len();
        let Some(tail) = Tail::read(&file, size).map_err(unread)? else {
            return Err(PrecompiledError::Foreign { path: of() });
        };
        let damaged = || PrecompiledError::Damaged { path: of() };
        let mut sum = Checksum::new();
        let (mut at, mut buffer) = (0, vec![0; 1 << 16]);
        let end = size - TAIL as u64;
        while at < end {
            let part = usize::try_from(end - at).unwrap_or(usize::MAX).min(buffer.len());
            file.read_exact_at(&mut buffer[..part], at).map_err(unread)?;
            sum.add(&buffer[..part]);
            at += part as u64;
        }
        if sum.value(tail.length) != tail.checksum {
            return Err(damaged());
        }
        let start = end.checked_sub(tail.length).ok_or_else(damaged)?;
        let length = usize::try_from(tail.length).map_err(|_| damaged())?;
        let mut behind = vec![0; length];
        file.read_exact_at(&mut behind, start).map_err(unread)?;
        Ok((Whole { file, size, trial: (0, 0) }, behind))
    }

    /// All of it.
    pub(super) fn bytes(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(self.size).map_err(io::Error::other)?];
        self.file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }
}

/// Whether a file ends as such files do.
pub(super) fn is_one(path: &Path) -> io::Result<bool> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    Ok(Tail::read(&file, size)?.is_some())
}

/// Writes what is behind the modules, and the tail.
pub(super) fn finish(bytes: &mut Vec<u8>, behind: &[u8]) {
    bytes.extend_from_slice(behind);
    let mut sum = Checksum::new();
    bytes.chunks(1 << 16).for_each(|part| sum.add(part));
    let length = behind.len() as u64;
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&sum.value(length).to_le_bytes());
    bytes.extend_from_slice(&MAGIC);
}

struct Tail {
    length: u64,
    checksum: u64,
}

impl Tail {
    /// The tail of such a file; `None` of others.
    fn read(file: &File, size: u64) -> io::Result<Option<Tail>> {
        let Some(at) = size.checked_sub(TAIL as u64) else { return Ok(None) };
        let mut tail = [0; TAIL];
        file.read_exact_at(&mut tail, at)?;
        let word = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&tail[at..at + 8]);
            u64::from_le_bytes(word)
        };
        let (length, checksum) = (word(0), word(8));
        Ok((tail[16..] == MAGIC).then_some(Tail { length, checksum }))
    }
}

/// A checksum that every change of a single word changes, of parts that are multiples of 8 bytes but for the last.
struct Checksum(u64);

impl Checksum {
    /// An odd number, so that no multiplication loses anything.
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

    fn new() -> Checksum {
        Checksum(Self::FACTOR)
    }

    fn add(&mut self, part: &[u8]) {
        for eight in part.chunks(8) {
            let mut word = [0; 8];
            word[..eight.len()].copy_from_slice(eight);
            self.word(u64::from_le_bytes(word));
        }
    }

    fn word(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(Self::FACTOR);
    }

    fn value(mut self, length: u64) -> u64 {
        self.word(length);
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_changed_byte_is_found() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        let mut bytes: Vec<u8> = (0..200_u8).collect();
        finish(&mut bytes, b"something behind it");
        std::fs::write(&path, &bytes).expect("written");
        let (whole, behind) = Whole::open(&path).expect("it is whole");
        assert_eq!(behind, b"something behind it");
        assert_eq!(whole.bytes().expect("it is there"), bytes);
        for at in 0..bytes.len() {
            for bit in [1, 0x80] {
                let mut other = bytes.clone();
                other[at] ^= bit;
                std::fs::write(&path, &other).expect("written");
                match Whole::open(&path) {
                    Err(PrecompiledError::Damaged { .. }) => assert!(at < bytes.len() - 8),
                    Err(PrecompiledError::Foreign { .. }) => assert!(at >= bytes.len() - 8),
                    other => panic!("{at}: {other:?}"),
                }
            }
        }
        for length in 0..bytes.len() {
            std::fs::write(&path, &bytes[..length]).expect("written");
            let error = Whole::open(&path).expect_err("it is cut off");
            assert!(matches!(error, PrecompiledError::Foreign { .. }), "{length}: {error}");
        }
    }
}
