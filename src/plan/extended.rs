//! The two formats of `long double`: IEEE binary128 (wasm, 64-bit Arm) and the x87's 80 bits
//! (x86-64; psABI 3.1.2, "Data Representation").
//!
//! ```text
//! binary128   1 sign, 15 exponent, 112 fraction (the leading 1 is not stored)
//! x87         1 sign, 15 exponent, 64 significand (the leading 1 is stored)
//! ```
//!
//! Both have the same exponents, so that only the significand is rounded: to nearest, ties to even,
//! as C converts. A NaN stays one, quiet, with as much of its payload as there is room for.

/// Bits of the x87's fraction below the stored leading one.
const FRACTION: u32 = 63;
/// Bits of a binary128's fraction.
const QUAD_FRACTION: u32 = 112;
const EXPONENT: u128 = 0x7fff;
const LEADING: u64 = 1 << 63;
const QUIET: u64 = 1 << 62;

/// The x87's nearest value, in the low 10 bytes.
///
/// ```
/// use portcullis::plan::extended::{from_binary128, to_binary128};
/// let one_and_a_half = 0x3fff_8000 << 96; // binary128
/// assert_eq!(from_binary128(one_and_a_half), 0x3fff_c000_0000_0000_0000);
/// assert_eq!(to_binary128(0x3fff_c000_0000_0000_0000), one_and_a_half);
/// ```
#[must_use]
pub fn from_binary128(value: u128) -> u128 {
    let sign = (value >> 127) << 79;
    let exponent = value >> QUAD_FRACTION & EXPONENT;
    let fraction = value & ((1 << QUAD_FRACTION) - 1);
    let cut = QUAD_FRACTION - FRACTION;
    let (kept, lost) = (low64(fraction >> cut), fraction & ((1 << cut) - 1));
    if exponent == EXPONENT {
        // Infinity keeps its fraction of 0; the highest fraction bit of a NaN says that it is quiet.
        let quiet = if fraction == 0 { 0 } else { QUIET };
        return sign | EXPONENT << 64 | u128::from(LEADING | quiet | kept);
    }
    let half = 1 << (cut - 1);
    let up = lost > half || (lost == half && kept & 1 == 1);
    let leading = if exponent == 0 { 0 } else { LEADING };
    let (significand, carried) = (leading | kept).overflowing_add(up.into());
    match (carried, exponent) {
        // 1.111...1 became 2: the significand is 1 again, the exponent one more, which may make
        // it infinite.
        (true, _) => sign | (exponent + 1) << 64 | u128::from(LEADING),
        // A denormal value became the least normal one.
        (false, 0) if significand & LEADING != 0 => sign | 1 << 64 | u128::from(significand),
        (false, _) => sign | exponent << 64 | u128::from(significand),
    }
}

/// The same value as a binary128. The upper 6 bytes are not looked at.
#[must_use]
pub fn to_binary128(value: u128) -> u128 {
    let sign = (value >> 79 & 1) << 127;
    let exponent = value >> 64 & EXPONENT;
    let significand = low64(value);
    let fraction = u128::from(significand & !LEADING) << (QUAD_FRACTION - FRACTION);
    if exponent == EXPONENT {
        let quiet = if fraction == 0 { 0 } else { 1 << (QUAD_FRACTION - 1) };
        return sign | EXPONENT << QUAD_FRACTION | quiet | fraction;
    }
    // A "pseudo-denormal" has the exponent of a denormal value and a leading one: it is normal.
    let exponent = if exponent == 0 && significand & LEADING != 0 { 1 } else { exponent };
    // An "unnormal" (no leading one where there must be one) is invalid to the x87: a NaN.
    if exponent != 0 && significand & LEADING == 0 {
        return sign | EXPONENT << QUAD_FRACTION | 1 << (QUAD_FRACTION - 1);
    }
    sign | exponent << QUAD_FRACTION | fraction
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is what is asked for")]
fn low64(value: u128) -> u64 {
    value as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: u128 = 0x3fff << 112;

    #[test]
    fn ties_go_to_even() {
        let x87 = |significand: u64| 0x3fff << 64 | u128::from(significand);
        let half = 1 << 48; // of the lowest bit that is kept
        assert_eq!(from_binary128(ONE), x87(LEADING));
        assert_eq!(from_binary128(ONE | half), x87(LEADING));
        assert_eq!(from_binary128(ONE | half | 1), x87(LEADING | 1));
        assert_eq!(from_binary128(ONE | half << 1 | half), x87(LEADING | 2));
        assert_eq!(from_binary128(ONE | (half - 1)), x87(LEADING));
    }

    #[test]
    fn rounding_up_carries_into_the_exponent() {
        let all = (1 << 112) - 1;
        assert_eq!(from_binary128(ONE | all), 0x4000 << 64 | u128::from(LEADING));
        let largest = 0x7ffe << 112 | all;
        assert_eq!(from_binary128(largest), 0x7fff << 64 | u128::from(LEADING), "infinity");
        assert_eq!(from_binary128(all), 1 << 64 | u128::from(LEADING), "the least normal value");
    }

    #[test]
    fn what_80_bits_hold_comes_back_as_it_was() {
        for value in [
            0_u128,
            1,
            u128::from(LEADING - 1),
            1 << 64 | u128::from(LEADING),
            0x3fff << 64 | u128::from(LEADING | 1),
            0x7fff << 64 | u128::from(LEADING),
            0x7fff << 64 | u128::from(LEADING | QUIET | 12345),
        ] {
            for value in [value, value | 1 << 79] {
                assert_eq!(from_binary128(to_binary128(value)), value, "{value:#x}");
                let padded = value | 0xdead << 80;
                assert_eq!(to_binary128(padded), to_binary128(value), "padding is not looked at");
            }
        }
    }

    #[test]
    fn signalling_and_invalid_values_become_quiet_nans() {
        let signalling = 0x7fff << 112 | 1;
        assert_eq!(from_binary128(signalling), 0x7fff << 64 | u128::from(LEADING | QUIET));
        let unnormal = 0x3fff << 64 | 1;
        assert_eq!(to_binary128(unnormal), 0x7fff << 112 | 1 << 111);
        let pseudo_denormal = u128::from(LEADING);
        assert_eq!(to_binary128(pseudo_denormal), 1 << 112);
    }
}
