//! Ranges, counts and strings.
use crate::stage::{Attack, Ends::*};

const SUM: &str = "mock.sum i32 i32 -> i32";
const FILL: &str = "mock.fill i32 i32";
const LENGTH: &str = "mock.length i32 -> i32";
const PAST: &str = "past the memory of 131072 bytes";
const NULL: &str = "the pointer is 0, and NULL is not allowed here";

fn sum(name: &'static str, tries: &'static str, at: i64, n: i64) -> Attack {
    let body = format!(
        r#"(func (export "go") (result i32) (call $sum (i32.const {at}) (i32.const {n})))"#
    );
    Attack::guest(name, tries, &[SUM], &body, Refused(PAST))
}

pub fn attacks() -> Vec<Attack> {
    let go = |body: &str| format!(r#"(func (export "go") (result i32) {body})"#);
    vec![
        sum("one_byte_past", "read one byte past the end of the memory", 131_071, 2),
        sum("wrapped_range", "let address + length wrap around 2^32", 4_294_967_280, 32),
        sum("all_of_32_bits", "read 2^32 - 1 bytes", 0x100, 4_294_967_295),
        sum("the_last_address", "read at address 2^32 - 1", 4_294_967_295, 1),
        sum("far_outside", "read behind the memory", 0x7fff_0000, 16),
        Attack::guest(
            "zero_bytes_at_the_end",
            "pass an empty range behind the memory",
            &[SUM],
            &go("(call $sum (i32.const -1) (i32.const 0))"),
            Harmless(0),
        ),
        Attack::guest(
            "write_past",
            "write one byte past the end of the memory",
            &[FILL],
            &go("(call $fill (i32.const 131064) (i32.const 9)) (i32.const 0)"),
            Refused(PAST),
        ),
        Attack::guest(
            "negative_count",
            "write a negative number of bytes",
            &[FILL],
            &go("(call $fill (i32.const 64) (i32.const -1)) (i32.const 0)"),
            Refused("the count is -1"),
        ),
        Attack::guest(
            "null_with_a_count",
            "read bytes at NULL",
            &[SUM],
            &go("(call $sum (i32.const 0) (i32.const 8))"),
            Refused(NULL),
        ),
        Attack::guest(
            "product_of_counts",
            "let width * height * 4 overflow",
            &["mock.pixels i32 i32 i32 -> i32"],
            &go("(call $pixels (i32.const 64) (i32.const 65537) (i32.const 65537))"),
            Refused(PAST),
        ),
        Attack::guest(
            "product_of_64_bits",
            "let a product of 64-bit counts overflow to a small one",
            &["mock.product i32 i64 i64 -> i32"],
            &go("(call $product (i32.const 64) (i64.const 0x4000000000000000) (i64.const 5))"),
            Refused("past 64 bits"),
        ),
        Attack::guest(
            "count_divided_by_zero",
            "divide by zero in a count",
            &["mock.quotient i32 i32 i32 -> i32"],
            &go("(call $quotient (i32.const 64) (i32.const 5) (i32.const 0))"),
            Refused("zero"),
        ),
        Attack::guest(
            "count_that_overflows_division",
            "divide INT_MIN by -1 in a count",
            &["mock.quotient i32 i32 i32 -> i32"],
            &go("(call $quotient (i32.const 64) (i32.const 0x80000000) (i32.const -1))"),
            Refused(PAST),
        ),
        Attack::guest(
            "count_shifted_away",
            "shift a count by more bits than it has",
            &["mock.shifted i32 i32 -> i32"],
            &go("(call $shifted (i32.const 64) (i32.const 40))"),
            Refused("shift"),
        ),
        Attack::guest(
            "count_of_64_bits",
            "count 2^61 elements of 8 bytes",
            &["mock.sum64 i32 i64 -> i64"],
            &go("(i32.wrap_i64 (call $sum64 (i32.const 64) (i64.const 0x2000000000000000)))"),
            Refused(PAST),
        ),
        Attack::guest(
            "misaligned",
            "let C read a misaligned integer",
            &["mock.load i32 -> i64"],
            &go("(i32.wrap_i64 (call $load (i32.const 65)))"),
            Refused("multiple of 8"),
        ),
        Attack::guest(
            "count_inside_its_buffer",
            "let C overwrite the count that it reads again",
            &["mock.cell i32 i32 -> i32"],
            &go(
                "(i32.store (i32.const 64) (i32.const 16)) (call $cell (i32.const 60) (i32.const 64))",
            ),
            Harmless(16),
        ),
        Attack::guest(
            "count_cell_outside",
            "pass a count whose cell is outside of the memory",
            &["mock.cell i32 i32 -> i32"],
            &go("(call $cell (i32.const 64) (i32.const 131070))"),
            Refused(PAST),
        ),
        Attack::guest(
            "string_without_end",
            "pass a string that does not end in the memory",
            &[LENGTH],
            &go(
                "(memory.fill (i32.const 130000) (i32.const 65) (i32.const 1072)) (call $length (i32.const 130000))",
            ),
            Refused("has no terminator"),
        ),
        Attack::guest(
            "string_ends_with_the_memory",
            "pass a string whose NUL is the last byte",
            &[LENGTH],
            &go(
                "(i32.store8 (i32.const 131070) (i32.const 65)) (i32.store8 (i32.const 131071) (i32.const 0)) (call $length (i32.const 131070))",
            ),
            Harmless(1),
        ),
        Attack::guest(
            "string_outside",
            "pass a string that begins behind the memory",
            &[LENGTH],
            &go("(call $length (i32.const 131072))"),
            Refused(PAST),
        ),
        Attack::guest(
            "copied_string_outside",
            "pass such a string behind a pointer, which is copied",
            &["mock.joined i32 i32 -> i32"],
            &go(
                "(i32.store (i32.const 64) (i32.const 131072)) (call $joined (i32.const 64) (i32.const 1))",
            ),
            Refused(PAST),
        ),
        Attack::guest(
            "wide_string_without_end",
            "pass half a wide character at the end",
            &["mock.wide_length i32 -> i32"],
            &go(
                "(memory.fill (i32.const 131060) (i32.const 65) (i32.const 10)) (i32.store16 (i32.const 131070) (i32.const 65)) (call $wide_length (i32.const 131060))",
            ),
            Refused("has no terminator"),
        ),
        Attack::guest(
            "string_in_its_output",
            "let C overwrite the string that it reads",
            &["mock.repeat i32 i32 i32 -> i32"],
            &go(
                "(i32.store (i32.const 64) (i32.const 0x00636261)) (call $repeat (i32.const 64) (i32.const 60) (i32.const 16))",
            ),
            Harmless(3),
        ),
        Attack::guest(
            "value_out_of_range",
            "pass a value outside of its range",
            &["mock.limited i32 -> i32"],
            &go("(call $limited (i32.const 10))"),
            Refused("10"),
        ),
        Attack::guest(
            "broken_condition",
            "break a condition between two arguments",
            &["mock.leading i32 i32 -> i32"],
            &go("(call $leading (i32.const 5) (i32.const 4))"),
            Refused("4"),
        ),
        Attack::guest(
            "endless_result",
            "have a result that does not fit cut off",
            &["mock.big_size i64 -> i32"],
            &go("(call $big_size (i64.const 0x100000001))"),
            Caught("result"),
        ),
        Attack::guest(
            "out_value_too_large",
            "have an out value that does not fit cut off",
            &["mock.two_out i32 i32 i64 -> i32"],
            &go("(call $two_out (i32.const 64) (i32.const 72) (i64.const 0x100000001))"),
            Caught("parameter 2"),
        ),
        Attack::guest(
            "pointer_to_elsewhere",
            "be told a native address by a function that walks out of the memory",
            &["mock.inside i32 i64 -> i32"],
            &go("(call $inside (i32.const 64) (i64.const 0x10000000))"),
            Caught("result"),
        ),
        Attack::guest(
            "pointer_below",
            "be told a native address below the memory",
            &["mock.inside i32 i64 -> i32"],
            &go("(call $inside (i32.const 64) (i64.const -65))"),
            Caught("result"),
        ),
        Attack::guest(
            "end_to_elsewhere",
            "be told one through an out pointer",
            &["mock.end_of i32 i32 i64 -> i32"],
            &go("(call $end_of (i32.const 64) (i32.const 72) (i64.const 0x10000000))"),
            Caught("parameter 2"),
        ),
        Attack::guest(
            "negative_extent",
            "have a result of negative length copied",
            &["mock.negative_extent i32 -> i32"],
            &go("(call $negative_extent (i32.const -1))"),
            Caught("-1"),
        ),
    ]
}
