//! What this machine's C library makes of C23's newer conversions.
#![expect(unsafe_code, reason = "calls snprintf")]
use super::Library;
use std::ffi::CStr;
use std::sync::OnceLock;

impl Library {
    /// The C library of this process, as it shows when it is asked.
    #[must_use]
    pub fn host() -> Library {
        static HOST: OnceLock<Library> = OnceLock::new();
        *HOST.get_or_init(|| {
            let wide = |format| match printed(format, 1 << 32).as_deref() {
                Some(b"4294967296") => Some(true),
                Some(b"0") => Some(false),
                _ => None,
            };
            Library {
                binary: printed(c"%b", 5).as_deref() == Some(b"101"),
                exact: printed(c"%w32u", 7).as_deref() == Some(b"7")
                    && wide(c"%w64u") == Some(true),
                fast: wide(c"%wf16u").zip(wide(c"%wf32u")).map(|(a, b)| [a, b]),
            }
        })
    }
}

/// What the C library prints of a number; of a conversion that it does not know, something else.
fn printed(format: &CStr, value: u64) -> Option<Vec<u8>> {
    let mut buffer = [0_u8; 32];
    // SAFETY: the buffer has so many bytes, and the format takes at most one integer of at most 64
    // bits, which is passed.
    let length =
        unsafe { libc::snprintf(buffer.as_mut_ptr().cast(), buffer.len(), format.as_ptr(), value) };
    let length = usize::try_from(length).ok()?;
    buffer.get(..length).map(<[u8]>::to_vec)
}
