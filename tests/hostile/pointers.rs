//! Pointers and counts: every edge of the memory, every way in which a count goes wrong.
use crate::rng::{Rng, seed};
use crate::world::{INTERFACE, MEMORY, TIERS, World, calls, everywhere, granted};
use portcullis::host::Natives;
use wasmtime::Val::{I32, I64};
use wasmtime::{Engine, Linker, Module, Store};

const SUM: &str = "parameter 1 \"data\" (const uint8_t *__counted_by(n))";
/// What a range that leaves the memory is called.
fn past(bytes: u32, address: u32, memory: i32) -> String {
    let (noun, verb) = if bytes == 1 { ("byte", "reaches") } else { ("bytes", "reach") };
    format!("{bytes} {noun} at {address:#x} {verb} past the memory of {memory} bytes")
}

const ALL: i32 = -1; // 2^32 - 1 as guests see it

#[test]
fn a_range_may_end_with_the_memory_and_not_one_byte_later() {
    everywhere(|world| {
        for (at, n) in [(0x1000, 16), (MEMORY - 16, 16), (MEMORY - 1, 1), (1, MEMORY - 1)] {
            world.write(at, &[1]);
            assert!(world.call("sum", &[I32(at), I32(n)]) >= 1);
        }
        for (at, n) in [
            (MEMORY - 16, 17),
            (MEMORY - 1, 2),
            (MEMORY, 1),
            (MEMORY + 1, 1),
            (1, MEMORY),
            (1, MEMORY + 1),
            (ALL, 1),
            (ALL, 2),
            (ALL, ALL),
            (1, ALL),
            (i32::MIN, i32::MIN),
            (0x1000, 70000),
        ] {
            let (address, bytes) = (at.cast_unsigned(), n.cast_unsigned());
            let message = format!("{SUM}: {}", past(bytes, address, MEMORY));
            world.refused("sum", &[I32(at), I32(n)], &message);
        }
    });
}

#[test]
fn an_empty_range_may_be_anywhere() {
    everywhere(|world| {
        for at in [0, 1, MEMORY - 1, MEMORY, MEMORY + 1, i32::MIN, ALL] {
            assert_eq!(world.call("sum", &[I32(at), I32(0)]), 0);
        }
        // Nothing is written there, and zero is only NULL.
        world.call("fill", &[I32(ALL), I32(0)]);
        world.refused(
            "strict",
            &[I32(0), I32(0)],
            "parameter 1 \"data\" (const uint8_t *_Nonnull __counted_by(n)): the pointer is 0, and NULL is not allowed here",
        );
        assert_eq!(world.call("strict", &[I32(ALL), I32(0)]), -1);
    });
}

#[test]
fn zero_is_no_address() {
    everywhere(|world| {
        let message = format!("{SUM}: the pointer is 0, and NULL is not allowed here");
        world.refused("sum", &[I32(0), I32(1)], &message);
        world.refused("sum", &[I32(0), I32(ALL)], &message);
        world.refused(
            "length",
            &[I32(0)],
            "parameter 1 \"s\" (const char *): the pointer is 0, and NULL is not allowed here",
        );
        world.refused(
            "load",
            &[I32(0)],
            "parameter 1 \"at\" (const int64_t *): the pointer is 0, and NULL is not allowed here",
        );
        assert_eq!(world.call("optional", &[I32(0)]), -1);
        // `__counted_by_or_null`: NULL whatever the count is.
        assert!(world.try_call("mean", &[I32(0), I32(9)]).is_ok());
    });
}

#[test]
fn products_of_counts_and_sizes_do_not_wrap() {
    everywhere(|world| {
        // 2^61 elements of 8 bytes are 0 modulo 2^64.
        for n in [1 << 61, i64::MIN, -1, (1 << 61) + 1, 8193] {
            let bytes = u128::from(n.cast_unsigned()) * 8;
            let message = format!(
                "parameter 1 \"data\" (const uint64_t *__counted_by(n)): {bytes} bytes at 0x8 reach past the memory of 65536 bytes"
            );
            world.refused("sum64", &[I32(8), I64(n)], &message);
        }
        // 65536 x 65536 is 0 modulo 2^32, and so are its bytes.
        world.refused(
            "pixels",
            &[I32(8), I32(65536), I32(65536)],
            "parameter 1 \"data\" (const uint32_t *__counted_by(width * height)): 17179869184 bytes at 0x8 reach past the memory of 65536 bytes",
        );
        world.refused(
            "pixels",
            &[I32(8), I32(ALL), I32(ALL)],
            "parameter 1 \"data\" (const uint32_t *__counted_by(width * height)): 73786976260478468100 bytes at 0x8 reach past the memory of 65536 bytes",
        );
    });
}

#[test]
fn counts_that_have_no_value_are_refused() {
    everywhere(|world| {
        let quotient =
            |text| format!("parameter 1 \"data\" (const uint8_t *__counted_by(a {text} b)): ");
        world.refused(
            "quotient",
            &[I32(8), I32(4), I32(0)],
            &(quotient("/") + "`a / b` divides by zero, where a = 4, b = 0"),
        );
        world.refused(
            "remainder_of",
            &[I32(8), I32(4), I32(0)],
            &(quotient("%") + "`a % b` divides by zero, where a = 4, b = 0"),
        );
        // The one division of C that overflows is exact here, and far too much.
        world.refused(
            "quotient",
            &[I32(8), I32(i32::MIN), I32(-1)],
            &(quotient("/") + "2147483648 bytes at 0x8 reach past the memory of 65536 bytes"),
        );
        world.refused(
            "quotient",
            &[I32(8), I32(-9), I32(3)],
            &(quotient("/") + "the count is -3, below zero"),
        );
        world.refused(
            "product",
            &[I32(8), I64(i64::MAX), I64(i64::MAX)],
            &(quotient("*")
                + "`a * b` has a value past 64 bits, where a = 9223372036854775807, b = 9223372036854775807"),
        );
        world.refused(
            "product",
            &[I32(8), I64(i64::MIN), I64(1)],
            &(quotient("*") + "the count is -9223372036854775808, below zero"),
        );
        let shift = "parameter 1 \"data\" (const uint8_t *__counted_by(1 << s)): ";
        for (s, text) in [
            (-1, "`1 << s` shifts by -1 bits, where s = -1".to_owned()),
            (128, "`1 << s` shifts by 128 bits, where s = 128".to_owned()),
            (64, "`1 << s` has a value past 64 bits, where s = 64".to_owned()),
            (32, "4294967296 bytes at 0x8 reach past the memory of 65536 bytes".to_owned()),
        ] {
            world.refused("shifted", &[I32(8), I32(s)], &format!("{shift}{text}"));
        }
        world.refused(
            "fill",
            &[I32(8), I32(-1)],
            "parameter 1 \"data\" (uint8_t *_Out_ __counted_by(n)): the count is -1, below zero",
        );
        assert_eq!(world.call("shifted", &[I32(8), I32(3)]), 0);
    });
}

#[test]
fn what_c_dereferences_is_aligned() {
    everywhere(|world| {
        for at in [1, 2, 4, 7, MEMORY - 9] {
            let address = at;
            world.refused(
                "sum64",
                &[I32(at), I64(1)],
                &format!("parameter 1 \"data\" (const uint64_t *__counted_by(n)): the address {address:#x} is not a multiple of 8"),
            );
            world.refused(
                "load",
                &[I32(at)],
                &format!("parameter 1 \"at\" (const int64_t *): the address {address:#x} is not a multiple of 8"),
            );
        }
        world.refused(
            "wide_length",
            &[I32(3)],
            "parameter 1 \"s\" (const uint16_t *__null_terminated): the address 0x3 is not a multiple of 2",
        );
        // Nothing is dereferenced in an empty array.
        assert_eq!(world.call("sum64", &[I32(1), I64(0)]), 0);
        assert_eq!(world.call("sum64", &[I32(MEMORY - 8), I64(1)]), 0);
        world.refused(
            "sum64",
            &[I32(MEMORY), I64(1)],
            "parameter 1 \"data\" (const uint64_t *__counted_by(n)): 8 bytes at 0x10000 reach past the memory of 65536 bytes",
        );
    });
}

#[test]
fn bits_above_a_narrow_count_are_ignored() {
    everywhere(|world| {
        // `unsigned short`: 65536 + 1 is 1.
        world.write(64, &2.5f64.to_le_bytes());
        assert!(world.try_call("mean", &[I32(64), I32(65537)]).is_ok());
        let last = MEMORY - 8;
        assert!(world.try_call("mean", &[I32(last), I32(0x1234_0001)]).is_ok());
        world.refused(
            "mean",
            &[I32(last), I32(0x1234_0002)],
            "parameter 1 \"data\" (const double *__counted_by_or_null(n)): 16 bytes at 0xfff8 reach past the memory of 65536 bytes",
        );
    });
}

#[test]
fn a_count_cell_inside_its_own_buffer_is_read_once() {
    everywhere(|world| {
        // Native code overwrites the count while it reads it: on the same memory it would run away.
        world.write(1024, &8u32.to_le_bytes());
        world.write(1032, &[0x55; 8]);
        assert_eq!(world.call("cell", &[I32(1024), I32(1024)]), 8);
        assert_eq!(world.read::<8>(1032), [0x55; 8], "nothing behind the buffer was written");
        // The guest finds what is written back last: the count.
        assert_eq!(world.read::<8>(1024), [8, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
        // A cell at the end of its buffer, and one that is half outside.
        world.write(MEMORY - 4, &64u32.to_le_bytes());
        assert_eq!(world.call("cell", &[I32(MEMORY - 64), I32(MEMORY - 4)]), 64);
        world.refused(
            "cell",
            &[I32(1024), I32(MEMORY - 3)],
            "parameter 2 \"len\" (uint32_t *): 4 bytes at 0xfffd reach past the memory of 65536 bytes",
        );
        world.write(2048, &u32::MAX.to_le_bytes());
        world.refused(
            "cell",
            &[I32(2048), I32(2048)],
            "parameter 1 \"buf\" (char *__counted_by(*len)): 4294967295 bytes at 0x800 reach past the memory of 65536 bytes",
        );
    });
}

#[test]
fn the_length_of_the_memory_is_that_of_now() {
    everywhere(|world| {
        let message = format!("{SUM}: {}", past(1, 0x10000, MEMORY));
        world.refused("sum", &[I32(MEMORY), I32(1)], &message);
        world.memory.grow(&mut world.store, 1).expect("there is room");
        assert_eq!(world.call("sum", &[I32(MEMORY), I32(MEMORY)]), 0);
        let message = format!("{SUM}: {}", past(1, 0x20000, 2 * MEMORY));
        world.refused("sum", &[I32(2 * MEMORY), I32(1)], &message);
    });
}

#[test]
fn values_outside_of_their_ranges_and_conditions_are_refused() {
    everywhere(|world| {
        for good in [1, 9, -1] {
            assert_eq!(world.call("limited", &[I32(good)]), i64::from(good));
        }
        for bad in [0, 10, -2, i32::MAX, i32::MIN] {
            let message = format!(
                "parameter 1 \"level\" (int __range(1, 9) __range(-1)): the value {bad} is not allowed, only 1 to 9 or -1"
            );
            world.refused("limited", &[I32(bad)], &message);
        }
        world.refused("ordered", &[I32(5), I32(4)], "the call requires `a < b`, but a = 5, b = 4");
        // The guest's own value is never looked at.
        assert_eq!(world.call("sized", &[I32(8), I64(10), I32(77)]), 20);
        world.refused(
            "sized",
            &[I32(8), I64(-1), I32(77)],
            "parameter 3 \"size\" (uint32_t __value(n * 2)): `n * 2` has a value past 64 bits, where n = 18446744073709551615",
        );
        world.refused(
            "sized",
            &[I32(8), I64(1 << 31), I32(77)],
            "parameter 3 \"size\" (uint32_t __value(n * 2)): the value 4294967296 does not fit: 0 to 4294967295 can be held",
        );
    });
}

#[test]
fn computed_ranges_name_the_value_and_what_bounds_it() {
    everywhere(|world| {
        assert_eq!(world.call("leading", &[I32(3), I32(6)]), 6);
        assert_eq!(world.call("leading", &[I32(3), I32(0)]), 0);
        world.refused(
            "leading",
            &[I32(5), I32(3)],
            "parameter 2 \"lda\" (int __range(n, n * 2) __range(0)): the value 3 is not allowed, only n to n * 2 or 0, where n = 5",
        );
        world.write(16, &(-4i32).to_le_bytes());
        world.write(24, &8i32.to_le_bytes());
        assert_eq!(world.call("behind", &[I32(24), I32(16)]), -4);
        world.refused(
            "behind",
            &[I32(16), I32(24)],
            "parameter 2 \"value\" (int __range(-*limit, *limit) *_Inout_): the value 8 is not allowed, only -*limit to *limit, where *limit = -4",
        );
        assert_eq!(world.call("share", &[I32(6), I32(3), I32(2)]), 2);
        world.refused(
            "share",
            &[I32(6), I32(0), I32(2)],
            "parameter 3 \"c\" (int __range(0, a / b)): `0 <= c && c <= a / b` divides by zero, where c = 2, a = 6, b = 0",
        );
    });
}

#[test]
fn ten_thousand_random_calls_never_leave_the_memory() {
    let seed = seed(7);
    everywhere(|world| {
        let mut rng = Rng::new(seed);
        let (mut refused, mut made) = (0, 0);
        for _ in 0..10_000 {
            let (at, n) = (edge(&mut rng), edge(&mut rng));
            let inside = u64::from(at) + u64::from(n) <= 65536;
            let fine = n == 0 || (at != 0 && inside);
            let before = calls();
            let call = [I32(at.cast_signed()), I32(n.cast_signed())];
            assert_eq!(world.try_call("sum", &call).is_ok(), fine, "{at:#x} {n:#x}");
            assert_eq!(calls() - before, i64::from(fine));
            *(if fine { &mut made } else { &mut refused }) += 1;
        }
        assert!(made > 1000 && refused > 1000, "{made} calls, {refused} refusals");
    });
}

/// A number near something.
fn edge(rng: &mut Rng) -> u32 {
    let near = *rng.pick(&[0, 16, 0x8000, 0xffff, 0x1_0000, 0x8000_0000, u32::MAX]);
    let by = u32::try_from(rng.below(5)).expect("small");
    if rng.chance(1, 2) { near.wrapping_sub(by) } else { near.wrapping_add(by) }
}

#[test]
fn guests_without_a_byte_of_memory_get_empty_ranges_only() {
    for tier in TIERS {
        let bridge =
            granted(&Engine::default(), INTERFACE).max_tier(tier).build().expect("a bridge");
        let text = r#"(module (import "mock" "sum" (func $sum (param i32 i32) (result i32)))
            (memory (export "memory") 0)
            (func (export "sum") (param i32 i32) (result i32) (call $sum (local.get 0) (local.get 1))))"#;
        let module = Module::new(bridge.engine(), text).expect("valid");
        let mut store = Store::new(bridge.engine(), Natives::default());
        let linker = Linker::new(bridge.engine());
        let instance = bridge.instantiate(&mut store, &linker, &module, |natives| natives);
        let instance = instance.unwrap_or_else(|error| panic!("{error:?}"));
        let memory = instance.get_memory(&mut store, "memory").expect("it is exported");
        let mut world = World { tier, store, instance, memory };
        for at in [0, 1, ALL] {
            assert_eq!(world.call("sum", &[I32(at), I32(0)]), 0);
        }
        let before = calls();
        assert!(world.try_call("sum", &[I32(1), I32(1)]).is_err());
        assert_eq!(calls(), before);
    }
}
