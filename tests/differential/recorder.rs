//! The log that the functions of a batch's library write what they received to.
use crate::model::{Place, Received};
use libloading::Library;
use std::path::Path;

/// The recording side of a loaded library.
pub struct Recorder {
    library: Library,
}

impl Recorder {
    /// Of a library that `text::c` wrote.
    pub fn open(library: &Path) -> Recorder {
        // SAFETY: it has no constructors.
        let library = unsafe { Library::new(library) };
        Recorder { library: library.unwrap_or_else(|error| panic!("{error}")) }
    }

    fn number(&self, function: &str) -> usize {
        // SAFETY: both functions of that shape are `size_t f(void)`.
        unsafe {
            let function = self.library.get::<extern "C" fn() -> usize>(function);
            function.expect("every library has it")()
        }
    }

    /// Forgets everything.
    pub fn reset(&self) {
        // SAFETY: `void log_reset(void)`.
        unsafe { self.library.get::<extern "C" fn()>("log_reset").expect("every library has it")() }
    }

    /// How many calls there were.
    pub fn calls(&self) -> usize {
        self.number("log_calls")
    }

    /// What they recorded.
    pub fn log(&self) -> Vec<u8> {
        let used = self.number("log_used");
        // SAFETY: `const unsigned char *log_bytes(void)` returns a static array of which so many
        // bytes are in use; nothing is called while the slice lives.
        unsafe {
            let bytes = self.library.get::<extern "C" fn() -> *const u8>("log_bytes");
            std::slice::from_raw_parts(bytes.expect("every library has it")(), used).to_vec()
        }
    }
}

/// Compares a log with what should be in it; `base` is where the guest's memory begins.
pub fn compare(
    log: &[u8],
    expected: &[Received],
    base: usize,
    memory: usize,
) -> Result<(), String> {
    let mut rest = log;
    for (position, one) in expected.iter().enumerate() {
        let length = match one {
            Received::Bytes(bytes) => bytes.len(),
            Received::Pointer(_) => 8,
        };
        let Some((found, after)) = rest.split_at_checked(length) else {
            return Err(format!("the log ends before entry {position}, {one:?}"));
        };
        rest = after;
        match one {
            Received::Bytes(bytes) if found == bytes => {}
            Received::Bytes(bytes) => {
                return Err(format!("entry {position}: received {found:?} instead of {bytes:?}"));
            }
            Received::Pointer(place) => {
                let found = u64::from_le_bytes(found.try_into().expect("8 bytes"));
                let offset = usize::try_from(found).expect("64 bits").wrapping_sub(base);
                let right = match place {
                    Place::Null => found == 0,
                    Place::Guest(at) => u64::try_from(offset).ok() == Some(*at),
                    Place::Copy => found != 0 && offset > memory,
                    Place::Call => found != 0 && found % 8 == 0 && offset > memory,
                };
                if !right {
                    return Err(format!(
                        "entry {position}: the pointer {found:#x} (guest memory begins at {base:#x}) should be {place:?}"
                    ));
                }
            }
        }
    }
    if rest.is_empty() { Ok(()) } else { Err(format!("{} bytes too many were logged", rest.len())) }
}
