//! `errno` numbers: the host's, and those that WASI guests know.
//!
//! A guest that imports `portcullis.errno` gets the number of the host's C library,
//! `portcullis.wasi_errno` translates it into the numbering of `wasi_snapshot_preview1`, which
//! wasi-libc's `errno.h` uses.

/// The WASI number of the host's `errno`. Numbers that WASI does not have become `EIO` (29).
#[must_use]
pub fn wasi_errno(host: i32) -> i32 {
    const EIO: i32 = 29;
    if host == 0 {
        return 0;
    }
    TABLE.iter().find(|(number, _)| *number == host).map_or(EIO, |(_, wasi)| *wasi)
}

/// No bridge is ever built elsewhere.
#[cfg(not(target_os = "linux"))]
const TABLE: [(i32, i32); 0] = [];

/// In the order of WASI's numbers. Where two names have one number on the host (`EAGAIN` and
/// `EWOULDBLOCK`), WASI has one name too.
#[rustfmt::skip]
#[cfg(target_os = "linux")]
const TABLE: [(i32, i32); 75] = [
    (libc::E2BIG, 1), (libc::EACCES, 2), (libc::EADDRINUSE, 3), (libc::EADDRNOTAVAIL, 4),
    (libc::EAFNOSUPPORT, 5), (libc::EAGAIN, 6), (libc::EALREADY, 7), (libc::EBADF, 8),
    (libc::EBADMSG, 9), (libc::EBUSY, 10), (libc::ECANCELED, 11), (libc::ECHILD, 12),
    (libc::ECONNABORTED, 13), (libc::ECONNREFUSED, 14), (libc::ECONNRESET, 15),
    (libc::EDEADLK, 16), (libc::EDESTADDRREQ, 17), (libc::EDOM, 18), (libc::EDQUOT, 19),
    (libc::EEXIST, 20), (libc::EFAULT, 21), (libc::EFBIG, 22), (libc::EHOSTUNREACH, 23),
    (libc::EIDRM, 24), (libc::EILSEQ, 25), (libc::EINPROGRESS, 26), (libc::EINTR, 27),
    (libc::EINVAL, 28), (libc::EIO, 29), (libc::EISCONN, 30), (libc::EISDIR, 31),
    (libc::ELOOP, 32), (libc::EMFILE, 33), (libc::EMLINK, 34), (libc::EMSGSIZE, 35),
    (libc::EMULTIHOP, 36), (libc::ENAMETOOLONG, 37), (libc::ENETDOWN, 38),
    (libc::ENETRESET, 39), (libc::ENETUNREACH, 40), (libc::ENFILE, 41), (libc::ENOBUFS, 42),
    (libc::ENODEV, 43), (libc::ENOENT, 44), (libc::ENOEXEC, 45), (libc::ENOLCK, 46),
    (libc::ENOLINK, 47), (libc::ENOMEM, 48), (libc::ENOMSG, 49), (libc::ENOPROTOOPT, 50),
    (libc::ENOSPC, 51), (libc::ENOSYS, 52), (libc::ENOTCONN, 53), (libc::ENOTDIR, 54),
    (libc::ENOTEMPTY, 55), (libc::ENOTRECOVERABLE, 56), (libc::ENOTSOCK, 57),
    (libc::ENOTSUP, 58), (libc::ENOTTY, 59), (libc::ENXIO, 60), (libc::EOVERFLOW, 61),
    (libc::EOWNERDEAD, 62), (libc::EPERM, 63), (libc::EPIPE, 64), (libc::EPROTO, 65),
    (libc::EPROTONOSUPPORT, 66), (libc::EPROTOTYPE, 67), (libc::ERANGE, 68), (libc::EROFS, 69),
    (libc::ESPIPE, 70), (libc::ESRCH, 71), (libc::ESTALE, 72), (libc::ETIMEDOUT, 73),
    (libc::ETXTBSY, 74), (libc::EXDEV, 75),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wasi_number_is_reached_once() {
        for (position, (host, wasi)) in TABLE.iter().enumerate() {
            assert_eq!(usize::try_from(*wasi), Ok(position + 1));
            assert_eq!(wasi_errno(*host), *wasi, "host number {host} stands there twice");
        }
    }

    #[test]
    fn known_numbers_are_those_of_wasi_libc() {
        assert_eq!(wasi_errno(0), 0);
        assert_eq!(wasi_errno(libc::ENOENT), 44);
        assert_eq!(wasi_errno(libc::EINVAL), 28);
        assert_eq!(wasi_errno(libc::ERANGE), 68);
        assert_eq!(wasi_errno(libc::EWOULDBLOCK), 6);
    }

    #[test]
    fn numbers_that_wasi_lacks_are_input_output_errors() {
        assert_eq!(wasi_errno(libc::ENOTBLK), 29);
        assert_eq!(wasi_errno(-1), 29);
        assert_eq!(wasi_errno(i32::MAX), 29);
    }
}
