//! The log that the functions of a batch's library write what they received to.
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
