//! Functions of the C library: dates, clocks, vectors of buffers.
#![expect(unsafe_code, reason = "the interface of this test is vouched for")]
use crate::world::{World, guest};
use portcullis::host::Bridge;
use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use wasmtime::Engine;

const INTERFACE: &str = include_str!("../../interfaces/datetime.h");

const DATES: &[(&str, &str, &str)] = &[
    ("gmtime_r", "p p", "p"),
    ("gmtime", "p", "p"),
    ("timegm", "p", "i64"),
    ("strftime", "p p p p", "p"),
    ("asctime_r", "p p", "p"),
    ("clock_gettime", "i32 p", "i32"),
    ("timespec_get", "p i32", "i32"),
];

fn dates(wide: bool) -> World {
    let builder = Bridge::builder(&Engine::default()).max_tier(crate::MOST);
    // SAFETY: the interface is the one that ships, true of the C library.
    let builder = unsafe { builder.grant_interface("datetime.h", INTERFACE) };
    let bridge = builder.unwrap_or_else(|error| panic!("{error}")).build();
    let bridge = bridge.unwrap_or_else(|error| panic!("{error}"));
    World::of(&bridge, wide, &guest("datetime", DATES, wide))
}

/// Seconds since the epoch, and the nine fields that ISO C has.
const MOMENTS: [(i64, [i64; 9]); 4] = [
    (0, [0, 0, 0, 1, 0, 70, 4, 0, 0]),
    (1_000_000_000, [40, 46, 1, 9, 8, 101, 0, 251, 0]),
    (-1, [59, 59, 23, 31, 11, 69, 3, 364, 0]),
    (1 << 33, [32, 56, 12, 16, 2, 342, 3, 74, 0]),
];

#[test]
fn dates_are_what_c_says() {
    for wide in [false, true] {
        let mut world = dates(wide);
        for (seconds, fields) in MOMENTS {
            world.write(64, &seconds.to_le_bytes());
            world.write(128, &[0xee; 64]);
            assert_eq!(world.call("gmtime_r", &[64, 128]), 128, "the guest's own address");
            let found: Vec<i64> = (0..9).map(|at| world.int(128 + at * 4)).collect();
            assert_eq!(found, fields, "{seconds}");
            let size = if wide { 48 } else { 40 };
            assert_eq!(world.bytes(128 + size, 8), [0xee; 8], "nothing behind it is written");
            assert_eq!(world.call("timegm", &[128]), seconds);
            let shared = world.call("gmtime", &[64]);
            let found: Vec<i64> = (0..9).map(|at| world.int(shared + at * 4)).collect();
            assert_eq!(found, fields);
            assert_eq!(
                world.call("gmtime", &[64]),
                shared,
                "one object of the library is one copy"
            );
        }
        assert_eq!(world.counts(), (1, 0));
        // A year that does not fit.
        world.write(64, &i64::MAX.to_le_bytes());
        assert_eq!(world.call("gmtime_r", &[64, 128]), 0);
        assert_eq!(world.call("gmtime", &[64]), 0);
    }
}

#[test]
fn dates_become_text() {
    let mut world = dates(false);
    world.write(64, &1_000_000_000_i64.to_le_bytes());
    world.call("gmtime_r", &[64, 128]);
    world.write(256, b"%Y-%m-%d %H:%M:%S %j\0");
    assert_eq!(world.call("strftime", &[512, 64, 256, 128]), 23);
    assert_eq!(world.text(512), "2001-09-09 01:46:40 252");
    assert_eq!(world.call("strftime", &[512, 5, 256, 128]), 0);
    assert_eq!(world.call("asctime_r", &[128, 1024]), 1024);
    assert_eq!(world.text(1024), "Sun Sep  9 01:46:40 2001\n");
    // The format lies in what is written.
    assert_eq!(world.call("strftime", &[256, 64, 256, 128]), 23);
    assert_eq!(world.text(256), "2001-09-09 01:46:40 252");
    // A pointer where the guest's struct has ended, and one that leaves the memory.
    let end = 400 * 65536;
    assert!(!world.fails("strftime", &[512, 64, 256, end - 36]).1);
    assert!(!world.fails("gmtime_r", &[64, end - 36]).1);
    world.call("gmtime_r", &[64, end - 40]);
}

#[test]
fn clocks_are_read() {
    for wide in [false, true] {
        let mut world = dates(wide);
        world.write(64, &[0xee; 24]);
        assert_eq!(world.call("clock_gettime", &[0, 64]), 0);
        let seconds = i64::from_le_bytes(world.bytes(64, 8).try_into().unwrap());
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        assert!(seconds.abs_diff(now.try_into().unwrap()) < 5, "{seconds}");
        assert!((0..1_000_000_000).contains(&world.word(72)));
        if !wide {
            assert_eq!(world.bytes(76, 4), [0xee; 4], "padding is the guest's own");
        }
        assert_eq!(world.call("timespec_get", &[64, 1]), 1);
        assert!(!world.fails("clock_gettime", &[-2, 64]).1);
    }
}

const VECTORS: &str = r#"
#pragma portcullis library "libc.so.6" module "vectors"
struct iovec { void *__sized_by(iov_len) iov_base; size_t iov_len; };
ssize_t readv(int fd, const struct iovec *__counted_by(n) iov, int n);
ssize_t writev(int fd, const struct iovec *__counted_by(n) iov, int n);
"#;

#[test]
fn vectors_of_buffers_go_through_a_pipe() {
    for wide in [false, true] {
        let builder = Bridge::builder(&Engine::default()).max_tier(crate::MOST);
        // SAFETY: both prototypes are those of POSIX.
        let builder = unsafe { builder.grant_interface("vectors.h", VECTORS) };
        let bridge = builder.unwrap_or_else(|error| panic!("{error}")).build();
        let bridge = bridge.unwrap_or_else(|error| panic!("{error}"));
        let declared = &[("readv", "i32 p i32", "p"), ("writev", "i32 p i32", "p")];
        let mut world = World::of(&bridge, wide, &guest("vectors", declared, wide));
        let (mut reader, mut writer) = std::io::pipe().unwrap();
        let (from, to) = (i64::from(reader.as_raw_fd()), i64::from(writer.as_raw_fd()));
        let size = world.size();
        let vector = |world: &mut World, parts: &[(i64, i64)]| {
            for (index, (base, len)) in (0..).zip(parts) {
                world.put_word(64 + index * 2 * size, *base);
                world.put_word(64 + index * 2 * size + size, *len);
            }
        };
        world.write(1000, b"Hello, world");
        vector(&mut world, &[(1007, 5), (1005, 2), (0, 0), (1000, 5)]);
        assert_eq!(world.call("writev", &[to, 64, 4]), 12);
        let mut found = [0; 12];
        reader.read_exact(&mut found).unwrap();
        assert_eq!(&found, b"world, Hello");
        writer.write_all(b"0123456789").unwrap();
        vector(&mut world, &[(2000, 3), (2100, 100)]);
        assert_eq!(world.call("readv", &[from, 64, 2]), 10);
        assert_eq!((world.text(2000), world.text(2100)), ("012".to_owned(), "3456789".to_owned()));
        vector(&mut world, &[(2000, 3), (400 * 65536 - 3, 4)]);
        let (text, called) = world.fails("readv", &[from, 64, 2]);
        assert!(!called && text.contains("iov[1].iov_base"), "{text}");
        // The vector lies in its own first buffer: what C reads of it later is the copy.
        vector(&mut world, &[(64, 4 * size), (3000, 8)]);
        let mut long = vec![b'x'; usize::try_from(4 * size).unwrap()];
        long.extend_from_slice(b"the rest");
        writer.write_all(&long).unwrap();
        assert_eq!(world.call("readv", &[from, 64, 2]), 4 * size + 8);
        assert_eq!(world.text(3000), "the rest");
        assert_eq!(world.bytes(64, 4), *b"xxxx");
    }
}
