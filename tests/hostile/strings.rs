//! Strings: where they end, and who writes to them meanwhile.
use crate::world::{MEMORY, everywhere};
use wasmtime::Val::I32;

#[test]
fn a_string_may_end_with_the_memory_and_must_end_inside() {
    everywhere(|world| {
        world.write(MEMORY - 4, b"abc\0");
        assert_eq!(world.call("length", &[I32(MEMORY - 4)]), 3);
        assert_eq!(world.call("length", &[I32(MEMORY - 1)]), 0);
        world.write(MEMORY - 4, b"abcd");
        for at in [MEMORY - 4, MEMORY - 1] {
            let message = format!(
                "parameter 1 \"s\" (const char *): the string at {at:#x} has no terminator before the end of the memory of 65536 bytes"
            );
            world.refused("length", &[I32(at)], &message);
            let message = message.replace("(const char *)", "(const char *_Nullable)");
            world.refused("optional", &[I32(at)], &message);
        }
        for at in [MEMORY, MEMORY + 1, -1, i32::MIN] {
            let address = at.cast_unsigned();
            let message = format!(
                "parameter 1 \"s\" (const char *): 1 byte at {address:#x} reaches past the memory of 65536 bytes"
            );
            world.refused("length", &[I32(at)], &message);
        }
        // A memory without a single zero.
        world.write(0, &[b'x'; 65536]);
        assert!(world.try_call("length", &[I32(1)]).is_err());
    });
}

#[test]
fn a_string_of_wide_units_ends_with_a_whole_unit() {
    everywhere(|world| {
        let message = |at: i32| {
            format!(
                "parameter 1 \"s\" (const uint16_t *__null_terminated): the string at {at:#x} has no terminator before the end of the memory of 65536 bytes"
            )
        };
        // Zero bytes that are halves of two units end nothing.
        world.write(MEMORY - 6, &[0x61, 0, 0, 0x62, 1, 0]);
        world.refused("wide_length", &[I32(MEMORY - 6)], &message(MEMORY - 6));
        world.write(MEMORY - 2, &[0, 0]);
        assert_eq!(world.call("wide_length", &[I32(MEMORY - 6)]), 2);
        assert_eq!(world.call("wide_length", &[I32(MEMORY - 2)]), 0);
        world.refused(
            "wide_length",
            &[I32(MEMORY - 1)],
            "parameter 1 \"s\" (const uint16_t *__null_terminated): 2 bytes at 0xffff reach past the memory of 65536 bytes",
        );
    });
}

/// Strings that are copied, because something points at them, are told as strings in place are.
#[test]
fn a_string_behind_a_pointer_must_end_inside_too() {
    const WORDS: &str = "parameter 1 \"words\" (const char *const *__counted_by(n)): `words[1]`: ";
    const LABEL: &str = "parameter 1 \"of\" (const struct label *): `of->wide`: ";
    everywhere(|world| {
        world.write(MEMORY - 4, b"abc\0");
        world.write(64, &[MEMORY - 4, MEMORY - 1].map(i32::to_le_bytes).concat());
        assert_eq!(world.call("joined", &[I32(64), I32(2)]), 3);
        world.write(MEMORY - 4, b"abcd");
        world.write(32, b"ab\0");
        world.write(64, &32_i32.to_le_bytes());
        for at in [MEMORY - 4, MEMORY - 1] {
            world.write(68, &at.to_le_bytes());
            let message = format!(
                "{WORDS}the string at {at:#x} has no terminator before the end of the memory of 65536 bytes"
            );
            world.refused("joined", &[I32(64), I32(2)], &message);
        }
        for at in [MEMORY, MEMORY + 1, -1, i32::MIN] {
            world.write(68, &at.to_le_bytes());
            let address = at.cast_unsigned();
            let message =
                format!("{WORDS}1 byte at {address:#x} reaches past the memory of 65536 bytes");
            world.refused("joined", &[I32(64), I32(2)], &message);
        }
        // Half a unit, a whole one that ends nothing, and none.
        world.write(64, &[5, MEMORY - 2].map(i32::to_le_bytes).concat());
        world.refused("labelled", &[I32(64)], &format!("{LABEL}the string at 0xfffe has no terminator before the end of the memory of 65536 bytes"));
        world.write(MEMORY - 2, &[0, 0]);
        assert_eq!(world.call("labelled", &[I32(64)]), 5);
        for at in [MEMORY - 1, MEMORY] {
            world.write(68, &at.to_le_bytes());
            let message = format!("{LABEL}2 bytes at {at:#x} reach past the memory of 65536 bytes");
            world.refused("labelled", &[I32(64)], &message);
        }
    });
}

#[test]
fn a_string_that_overlaps_an_output_is_a_copy() {
    everywhere(|world| {
        // The function overwrites `to` as it reads `s`; were they the same memory, the terminator
        // would go and it would run out of the guest's memory.
        for (s, to, n) in [(1024, 1024, 4), (1024, 1020, 16), (1024, 1027, 1), (1024, 1000, 25)] {
            world.write(1000, &[0; 64]);
            world.write(1024, b"abc\0");
            assert_eq!(world.call("repeat", &[I32(s), I32(to), I32(n)]), 3, "{to} {n}");
        }
        // To the very end of the memory.
        world.write(MEMORY - 4, b"abc\0");
        assert_eq!(world.call("repeat", &[I32(MEMORY - 4), I32(MEMORY - 4), I32(4)]), 3);
        assert_eq!(world.read::<4>(MEMORY - 4), *b"xxxx");
    });
}
