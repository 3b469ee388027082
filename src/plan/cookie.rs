//! Cookies: integers of a guest that C carries as a `void *` and gives back.
//!
//! Each is an address in one range of 4 GiB that the process reserves when the first is made: its
//! start plus the integer. Nothing is mapped there that could be read or written, so that C which
//! dereferences a cookie faults, and what comes back from outside of it was never one. Ranges of
//! different stores need not differ: a cookie gives its holder nothing but the integer.
//!
//! ```text
//!   start              start + n                            start + 2^32
//!   |------------------|------------------------------------|----- guard -----|
//!   cookie 0           cookie n                             1 MiB
//! ```
#![expect(unsafe_code, reason = "reserves addresses")]
use std::ptr;
use std::sync::OnceLock;

/// How many cookies there are.
const COOKIES: usize = 1 << 32;
/// C that takes the highest cookies for the address of an object stays inside of the range.
const GUARD: usize = 1 << 20;

/// The first address, once it is known. `None`: the system refused the range.
static START: OnceLock<Option<u64>> = OnceLock::new();

/// The first address: it stands for 0, as NULL does. `None` when the system refuses the range.
#[must_use]
pub fn start() -> Option<u64> {
    *START.get_or_init(|| {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping at an address of the system's choice touches nothing that exists.
        let start =
            unsafe { libc::mmap(ptr::null_mut(), COOKIES + GUARD, libc::PROT_NONE, flags, -1, 0) };
        (start != libc::MAP_FAILED).then(|| start.expose_provenance() as u64)
    })
}

/// The address that stands for an integer of a guest; `None` when the system refuses the range.
#[must_use]
pub fn to_native(cookie: u32) -> Option<u64> {
    Some(start()? + u64::from(cookie))
}

/// The integer that an address stands for, 0 for NULL; `None` when it is no cookie.
#[must_use]
pub fn to_guest(native: u64) -> Option<u32> {
    if native == 0 {
        return Some(0);
    }
    // Without a range there are no cookies.
    let start = (*START.get()?)?;
    u32::try_from(native.checked_sub(start)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_come_back_and_nothing_else_does() {
        for cookie in [0, 1, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
            let native = to_native(cookie).expect("there is address space");
            assert_ne!(native, 0);
            assert_eq!(to_guest(native), Some(cookie));
        }
        let first = to_native(0).expect("there is address space");
        assert_eq!(to_guest(0), Some(0));
        for planted in [1, first - 1, first + (1 << 32), u64::MAX, &raw const first as u64] {
            assert_eq!(to_guest(planted), None, "{planted:#x}");
        }
    }

    /// In a process of its own, which the fault ends.
    #[test]
    fn c_that_dereferences_a_cookie_faults() {
        const CHILD: &str = "PORTCULLIS_TEST_COOKIE";
        if let Ok(cookie) = std::env::var(CHILD) {
            let cookie = cookie.parse().expect("a number");
            let at = to_native(cookie).expect("there is address space");
            // SAFETY: none: this is what must fault.
            let read = unsafe { ptr::with_exposed_provenance::<u64>(at as usize).read_volatile() };
            panic!("read {read}");
        }
        for cookie in ["0", "4096", "4294967295"] {
            let own = std::env::current_exe().expect("a path");
            let status = std::process::Command::new(own)
                .args(["--exact", "plan::cookie::tests::c_that_dereferences_a_cookie_faults"])
                .env(CHILD, cookie)
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null())
                .status()
                .expect("it starts");
            let signal = std::os::unix::process::ExitStatusExt::signal(&status);
            assert_eq!(signal, Some(libc::SIGSEGV), "{status}");
        }
    }
}
