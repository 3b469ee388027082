//! `--invoke`: parameters from text, results to text, both as `wasmtime run --invoke` has them.
use anyhow::{Result, bail};
use std::num::ParseIntError;
use wasmtime::{Val, ValType};

/// A parameter of that type. Integers are decimal or, after `0x`, hexadecimal; signed or unsigned.
pub fn parse(text: &str, ty: &ValType) -> Result<Val> {
    Ok(match ty {
        ValType::I32 => {
            let value = integer(text, i32::from_str_radix, u32::from_str_radix, u32::cast_signed)?;
            Val::I32(value)
        }
        ValType::I64 => {
            let value = integer(text, i64::from_str_radix, u64::from_str_radix, u64::cast_signed)?;
            Val::I64(value)
        }
        ValType::F32 => Val::F32(text.parse::<f32>()?.to_bits()),
        ValType::F64 => Val::F64(text.parse::<f64>()?.to_bits()),
        ValType::V128 => Val::V128(match text.strip_prefix("0x") {
            Some(digits) => u128::from_str_radix(digits, 16)?.into(),
            None => text.parse::<u128>()?.into(),
        }),
        ValType::Ref(_) => bail!("a parameter of type {ty} cannot be given on the command line"),
    })
}

type Parse<T> = fn(&str, u32) -> Result<T, ParseIntError>;

/// Signed if it fits, else unsigned with the same bits.
fn integer<S, U>(text: &str, signed: Parse<S>, unsigned: Parse<U>, same: fn(U) -> S) -> Result<S> {
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return Ok(same(unsigned(digits, 16)?));
    }
    match signed(text, 10) {
        Ok(value) => Ok(value),
        Err(_) => Ok(same(unsigned(text, 10)?)),
    }
}

/// A result as it is printed.
pub fn show(value: &Val) -> String {
    let reference = |name, is_null: bool| format!("<{}{name}>", if is_null { "null " } else { "" });
    match value {
        Val::I32(value) => value.to_string(),
        Val::I64(value) => value.to_string(),
        Val::F32(bits) => f32::from_bits(*bits).to_string(),
        Val::F64(bits) => f64::from_bits(*bits).to_string(),
        Val::V128(value) => value.as_u128().to_string(),
        Val::FuncRef(value) => reference("funcref", value.is_none()),
        Val::ExternRef(value) => reference("externref", value.is_none()),
        Val::AnyRef(value) => reference("anyref", value.is_none()),
        Val::ExnRef(value) => reference("exnref", value.is_none()),
        Val::ContRef(value) => reference("contref", value.is_none()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn i32(text: &str) -> Option<i32> {
        parse(text, &ValType::I32).ok()?.i32()
    }

    #[test]
    fn integers_may_be_signed_unsigned_or_hexadecimal() {
        assert_eq!(i32("-1"), Some(-1));
        assert_eq!(i32("4294967295"), Some(-1));
        assert_eq!(i32("0xffffffff"), Some(-1));
        assert_eq!(i32("-2147483648"), Some(i32::MIN));
        for wrong in ["", "4294967296", "-2147483649", "0x", "0x1_0", "1.0", "x", " 1"] {
            assert_eq!(i32(wrong), None, "{wrong:?}");
        }
        let long = parse("18446744073709551615", &ValType::I64).expect("fits");
        assert_eq!(long.i64(), Some(-1));
    }

    #[test]
    fn numbers_are_printed_in_decimal_and_shortest() {
        for (value, text) in [
            (Val::I32(-1), "-1"),
            (Val::I64(i64::MIN), "-9223372036854775808"),
            (Val::F64(0.5_f64.cos().to_bits()), "0.8775825618903728"),
            (Val::F32(1.0_f32.to_bits()), "1"),
            (Val::F64(f64::NAN.to_bits()), "NaN"),
            (Val::F64(f64::NEG_INFINITY.to_bits()), "-inf"),
            (Val::F64(1e21_f64.to_bits()), "1000000000000000000000"),
            (Val::FuncRef(None), "<null funcref>"),
        ] {
            assert_eq!(show(&value), text);
        }
    }

    #[test]
    fn floating_point_parameters_take_every_spelling_of_rust() {
        for text in ["0.5", "-0", "1e300", "inf", "NaN", "-.5"] {
            assert!(parse(text, &ValType::F64).is_ok(), "{text}");
        }
        assert!(parse("0,5", &ValType::F64).is_err());
    }
}
