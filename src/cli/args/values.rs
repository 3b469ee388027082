//! How values of options are written.
use portcullis::plan::Limits;
use std::time::Duration;

/// `NAME=PATH`.
pub fn name_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err("write NAME=PATH, for example `libz.so.1=/opt/zlib/libz.so.1`".to_owned()),
    }
}

/// `NAME=N`, N in decimal.
pub fn limit(typed: &str) -> Result<(String, u64), String> {
    let (name, value) = typed.split_once('=').ok_or("write NAME=N, for example `handles=1000`")?;
    let value = value.parse().map_err(|_| format!("`{value}` is no number"))?;
    Limits::default().set(name, value).map_err(|error| error.to_string())?;
    Ok((name.to_owned(), value))
}

/// A number, in decimal.
pub fn number(typed: &str) -> Result<u64, String> {
    typed.parse().map_err(|_| format!("`{typed}` is no number of 64 bits"))
}

/// The number of a core.
#[cfg(feature = "cranelift")]
pub fn core(typed: &str) -> Result<usize, String> {
    typed.parse().map_err(|_| format!("`{typed}` is no number of a core: they count from 0"))
}

/// `5`, `5s`, `500ms`, `2m`, `1h`, `1.5`: more than nothing.
pub fn duration(typed: &str) -> Result<Duration, String> {
    let digits = typed.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &typed[digits.len()..] {
        "" | "s" => 1.0,
        "ms" => 1e-3,
        "us" => 1e-6,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        unit => return Err(format!("`{unit}` is no unit of time: write s, ms, us, m or h")),
    };
    let is_plain = digits.starts_with(|c: char| c.is_ascii_digit());
    let number: f64 = digits
        .parse()
        .ok()
        .filter(|_| is_plain)
        .ok_or("write a number and a unit, for example `5s` or `500ms`")?;
    let seconds = number * unit;
    if seconds > LONGEST {
        return Err("that is longer than 1000 years: leave the option out for no bound".to_owned());
    }
    let duration = Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?;
    if duration.is_zero() {
        return Err("a guest needs more than no time".to_owned());
    }
    Ok(duration)
}

/// A thousand years, in seconds.
const LONGEST: f64 = 1000.0 * 365.25 * 24.0 * 3600.0;

/// What `--help` says of `--limit`.
pub fn limits() -> String {
    let defaults = Limits::default();
    let mut text = String::from(
        "Bound what the guest may use: NAME=N, several times for several limits. What goes beyond is refused: the call \
         traps, or the import is not linked.\n",
    );
    for (name, meaning) in Limits::MEANINGS {
        let usual = defaults.get(name).unwrap_or_default();
        text += &format!("\n  {name}: {meaning} [default: {usual}]");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit_or_are_seconds() {
        for (typed, ms) in [("5", 5000), ("1.5s", 1500), ("500ms", 500), ("2m", 120_000)] {
            assert_eq!(duration(typed), Ok(Duration::from_millis(ms)), "{typed}");
        }
        for wrong in ["", "s", "0", "-1", "5d", "1e400", "inf", "nan", "5 s", "+1", "0.0000001us"] {
            assert!(duration(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn durations_beyond_all_bounds_are_told_in_words() {
        let error = duration("99999999999999999999h").expect_err("too long");
        assert!(error.contains("longer than 1000 years"), "{error}");
        assert!(duration("99999h").is_ok());
    }

    #[test]
    fn libraries_need_a_name_and_a_path() {
        assert_eq!(name_and_value("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        for wrong in ["", "=", "a=", "=b", "a"] {
            assert!(name_and_value(wrong).is_err(), "{wrong:?}");
        }
    }
}
