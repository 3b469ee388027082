//! How integers are stored.

/// How an integer is stored in the frame or in memory, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say sign and width in bits")]
pub enum Width {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    /// A 128-bit signed integer: the exact value of an expression.
    I128,
}

impl Width {
    /// Size in bytes.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Width::U8 | Width::I8 => 1,
            Width::U16 | Width::I16 => 2,
            Width::U32 | Width::I32 => 4,
            Width::U64 | Width::I64 => 8,
            Width::I128 => 16,
        }
    }

    /// Whether negative values exist.
    #[must_use]
    pub fn is_signed(self) -> bool {
        match self {
            Width::U8 | Width::U16 | Width::U32 | Width::U64 => false,
            Width::I8 | Width::I16 | Width::I32 | Width::I64 | Width::I128 => true,
        }
    }

    /// The least and the greatest value.
    #[must_use]
    pub fn bounds(self) -> (i128, i128) {
        match self {
            Width::U8 => (0, 0xff),
            Width::I8 => (-0x80, 0x7f),
            Width::U16 => (0, 0xffff),
            Width::I16 => (-0x8000, 0x7fff),
            Width::U32 => (0, 0xffff_ffff),
            Width::I32 => (-0x8000_0000, 0x7fff_ffff),
            Width::U64 => (0, u64::MAX as i128),
            Width::I64 => (i64::MIN as i128, i64::MAX as i128),
            Width::I128 => (i128::MIN, i128::MAX),
        }
    }

    /// The value that the low bits are: those above the width are ignored.
    #[must_use]
    pub fn of_low(self, low: u64) -> i128 {
        let unused = 64 - 8 * self.bytes().min(8);
        if self.is_signed() {
            i128::from((low << unused).cast_signed() >> unused)
        } else {
            i128::from((low << unused) >> unused)
        }
    }

    /// Whether `value` is one of this width's values.
    #[must_use]
    pub fn holds(self, value: i128) -> bool {
        let (low, high) = self.bounds();
        (low..=high).contains(&value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_hold_their_bounds_and_nothing_beyond() {
        for width in [
            Width::U8,
            Width::I8,
            Width::U16,
            Width::I16,
            Width::U32,
            Width::I32,
            Width::U64,
            Width::I64,
        ] {
            let (low, high) = width.bounds();
            assert!(width.holds(low) && width.holds(high));
            assert!(!width.holds(low - 1) && !width.holds(high + 1));
            assert_eq!(high - low, (1i128 << (8 * width.bytes())) - 1);
        }
    }
}
