//! Every conversion of C, right and wrong, and any bytes at all.
use super::*;
use proptest::prelude::*;

const NEW: Library = Library { binary: true, exact: true, fast: Some([true, true]) };
const OLD: Library = Library { binary: false, exact: false, fast: None };

/// Arguments whose `*` values are their positions in `values`.
fn try_with(format: &str, kinds: &[Kind], values: &[i32], library: Library) -> Result<(), Mistake> {
    let at = |index: usize| At::new(8 * (index + 1)).expect("small");
    let passed: Vec<Passed> = kinds
        .iter()
        .enumerate()
        .map(|(index, kind)| Passed { kind: *kind, at: at(index) })
        .collect();
    check(format.as_bytes(), &passed, library, |at| {
        values.get(at.offset() / 8 - 1).copied().unwrap_or(0)
    })
}

fn try_one(format: &str, kind: Kind) -> Result<(), Wrong> {
    try_with(format, &[kind], &[], NEW).map_err(|mistake| mistake.wrong)
}

#[test]
fn conversions_take_what_c_says() {
    use Kind::{Double, Int, LongDouble, Text, Wide};
    let rows: [(Kind, &[&str]); 5] = [
        (
            Int,
            &[
                "%d", "%i", "%u", "%o", "%x", "%X", "%b", "%c", "%hhd", "%hu", "%+5.3d", "%-c",
                "%#x", "%08X", "% i", "%w8d", "%w32u", "%wf8x", "%5c", "%#o", "%#b", "%.d",
            ],
        ),
        (
            Wide,
            &[
                "%ld", "%lld", "%jd", "%zu", "%td", "%lx", "%#llo", "%w64d", "%wf64d", "%wf32u",
                "%wf16d", "%020ld", "%lb",
            ],
        ),
        (Double, &["%f", "%F", "%e", "%E", "%g", "%G", "%a", "%A", "%lf", "%#.3g", "%+010.2f"]),
        (LongDouble, &["%Lf", "%LF", "%Le", "%LG", "%La", "%-8.2Lf"]),
        (Text, &["%s", "%10s", "%-10.3s", "%.s", "%.99999s"]),
    ];
    for (kind, formats) in rows {
        for format in formats {
            assert_eq!(try_one(format, kind), Ok(()), "{format}");
            assert_eq!(try_one(&format!("a%%b {format} c%%"), kind), Ok(()), "{format}");
            for other in [Int, Wide, Double, LongDouble, Text] {
                let expected = Wrong::Mismatch { argument: 0, wanted: kind, star: false };
                let expected = if other == kind { Ok(()) } else { Err(expected) };
                assert_eq!(try_one(format, other), expected, "{format}");
            }
            let missing = Wrong::Missing { passed: 0, wanted: kind, star: false };
            let found = try_with(format, &[], &[], NEW).map_err(|mistake| mistake.wrong);
            assert_eq!(found, Err(missing), "{format}");
        }
    }
}

#[test]
fn the_rest_is_refused() {
    let rows: [(Wrong, &[&str]); 9] = [
        (Wrong::Cut, &["%", "%5", "%.", "%-", "%l", "%*", "%hh", "%5.3ll", "100%"]),
        (Wrong::Writes, &["%n", "%hhn", "%ln", "%5n", "%*n"]),
        (Wrong::Address, &["%p", "%20p"]),
        (Wrong::WideText, &["%ls", "%lc", "%S", "%C", "%10ls"]),
        (Wrong::Errno, &["%m", "%5m"]),
        (Wrong::Position, &["%1$d", "%2$*1$d", "%*1$d", "%.*1$f"]),
        (
            Wrong::Unknown,
            &[
                "%y", "%k", "%'d", "%Id", "%w", "%wd", "%w7d", "%wf12d", "%B", "%\u{e9}", "%*5d",
                "%Hf", "%DDf", "%D", "%-.-d", "%lhd", "%qd", "%Zd",
            ],
        ),
        (
            Wrong::Undefined,
            &[
                "%#d", "%#u", "%#c", "%0s", "%0c", "%.2c", "%hf", "%llf", "%zf", "%Ld", "%hs",
                "%lls", "%5%", "%-%", "%l%", "%hc", "%w32f",
            ],
        ),
        (Wrong::TooLong, &["%4096d", "%99999999999999999999d", "%.4096f", "%9999s"]),
    ];
    for (wrong, formats) in rows {
        for format in formats {
            let mistake = try_with(&format!("ab{format}"), &[Kind::Int; 3], &[], NEW);
            let mistake = mistake.expect_err(format);
            assert_eq!(mistake.wrong, wrong, "{format}");
            assert_eq!(mistake.start, if *format == "100%" { 5 } else { 2 }, "{format}");
            assert!(mistake.end <= format.len() + 2, "{format}");
        }
    }
}

#[test]
fn stars_take_ints_before_the_value() {
    use Kind::{Double, Int, Text, Wide};
    let with = |format, kinds: &[Kind], values: &[i32]| {
        try_with(format, kinds, values, NEW).map_err(|mistake| mistake.wrong)
    };
    assert_eq!(with("%*.*f|%s", &[Int, Int, Double, Text], &[-12, 3]), Ok(()));
    assert_eq!(
        with("%*d", &[Wide, Int], &[]),
        Err(Wrong::Mismatch { argument: 0, wanted: Int, star: true })
    );
    assert_eq!(
        with("%s%.*f", &[Text], &[]),
        Err(Wrong::Missing { passed: 1, wanted: Int, star: true })
    );
    for value in [4096, -4096, i32::MAX, i32::MIN] {
        let too_long = Err(Wrong::TooLongPassed { argument: 0, value });
        assert_eq!(with("%*d", &[Int, Int], &[value]), too_long);
        let expected = if value < 0 { Ok(()) } else { too_long };
        assert_eq!(with("%.*f", &[Int, Double], &[value]), expected);
        assert_eq!(with("%.*s", &[Int, Text], &[value]), Ok(()));
    }
}

#[test]
fn arguments_that_nothing_takes_are_ignored() {
    assert_eq!(try_with("%d", &[Kind::Int, Kind::Text, Kind::Double], &[], NEW), Ok(()));
    assert_eq!(try_with("", &[Kind::Int], &[], NEW), Ok(()));
}

#[test]
fn what_the_library_lacks_is_refused() {
    for format in ["%b", "%w8d", "%w64d", "%wf16u", "%wf64x"] {
        for kind in [Kind::Int, Kind::Wide] {
            let wrong = try_with(format, &[kind], &[], OLD).map_err(|mistake| mistake.wrong);
            assert_eq!(wrong, Err(Wrong::NotHere), "{format}");
        }
    }
    let narrow = Library { fast: Some([false, true]), ..NEW };
    assert_eq!(try_with("%wf16d%wf32d", &[Kind::Int, Kind::Wide], &[], narrow), Ok(()));
}

#[test]
fn this_machines_library_is_asked() {
    let host = Library::host();
    assert_eq!(host, Library::host());
    // Which of them it knows is its own business; that it knows a part of `wN` only is not.
    assert_eq!(host.exact, host.fast.is_some());
}

proptest! {
    #[test]
    fn no_bytes_panic(format in prop::collection::vec(any::<u8>(), 0..200), kinds in 0..4_usize) {
        let kinds = [Kind::Int, Kind::Text, Kind::Double][..kinds.min(3)].to_vec();
        let at = At::new(8).expect("small");
        let passed: Vec<Passed> = kinds.into_iter().map(|kind| Passed { kind, at }).collect();
        if let Err(mistake) = check(&format, &passed, NEW, |_| 3) {
            prop_assert!(mistake.start < mistake.end && mistake.end <= format.len());
            prop_assert_eq!(format[mistake.start], b'%');
            let text = FormatProblem::new(&format, mistake, 3, &[]).to_string();
            prop_assert!(text.len() < 400 && text.is_ascii(), "{}", text);
        }
    }

    #[test]
    fn what_looks_like_a_format_does_not_panic(
        format in "(%[-+ #0]{0,2}([0-9]{1,5}|\\*)?(\\.([0-9]{1,5}|\\*)?)?(hh|h|l|ll|j|z|t|L|w32|wf8)?[diouxXbcsfgaeGnp%$]|[a-z]){0,30}",
        count in 0..20_usize,
    ) {
        let at = At::new(8).expect("small");
        let passed = vec![Passed { kind: Kind::Int, at }; count];
        let _ = check(format.as_bytes(), &passed, NEW, |_| 3);
    }
}

#[test]
fn long_formats_come_to_an_end() {
    for format in ["%%".repeat(1 << 20), format!("%{}d", "0".repeat(1 << 21)), "x".repeat(1 << 22)]
    {
        let _ = try_with(&format, &[Kind::Int], &[], NEW);
    }
    let many = "%d".repeat(1 << 20);
    assert!(try_with(&many, &[Kind::Int; 7], &[], NEW).is_err());
}

/// glibc says itself what a format takes.
#[cfg(target_env = "gnu")]
mod glibc {
    #![expect(unsafe_code, reason = "asks the C library")]
    use super::*;
    use std::ffi::{CString, c_char, c_int};

    unsafe extern "C" {
        fn parse_printf_format(format: *const c_char, n: usize, types: *mut c_int) -> usize;
    }

    /// The kinds of arguments that a format takes (`printf.h`); `None` if one is of no kind that is
    /// known here.
    fn kinds(format: &str) -> Option<Vec<Kind>> {
        const LONG_LONG: c_int = 1 << 8;
        const LONG: c_int = 1 << 9;
        let format = CString::new(format).expect("no NUL in it");
        let mut types = [0; 128];
        // SAFETY: the format ends with NUL, and there is room for so many types.
        let count =
            unsafe { parse_printf_format(format.as_ptr(), types.len(), types.as_mut_ptr()) };
        let kind = |ty: &c_int| match (ty & 0xff, ty & !0xff) {
            (0, flags) if flags & (LONG | LONG_LONG) != 0 => Some(Kind::Wide),
            (0 | 1, _) => Some(Kind::Int),
            (3, 0) => Some(Kind::Text),
            (7, LONG_LONG) => Some(Kind::LongDouble),
            (7, _) => Some(Kind::Double),
            _ => None,
        };
        types.get(..count)?.iter().map(kind).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn takes_what_we_say(
            format in "([a-z ]|%%|%[-+ #0]{0,2}([0-9]{1,4}|\\*)?(\\.([0-9]{1,4}|\\*)?)?(|hh|h|l|ll|j|z|t|L|w32|wf8)[diouxXbcsfFeaGn]){0,6}",
        ) {
            let at = At::new(8).expect("small");
            let passed = |kinds: &[Kind]| -> Vec<Passed> {
                kinds.iter().map(|kind| Passed { kind: *kind, at }).collect()
            };
            let with = |kinds: &[Kind]| {
                check(format.as_bytes(), &passed(kinds), Library::host(), |_| 3)
                    .map_err(|mistake| mistake.wrong)
            };
            let Some(theirs) = kinds(&format) else { return Ok(()) };
            match with(&theirs) {
                Ok(()) => if let [fewer @ .., last] = &theirs[..] {
                    let missing = matches!(
                        with(fewer),
                        Err(Wrong::Missing { wanted, .. }) if wanted == *last
                    );
                    prop_assert!(missing, "{:?} takes fewer than {:?}", format, theirs);
                },
                Err(wrong @ (Wrong::Missing { .. } | Wrong::Mismatch { .. })) => {
                    prop_assert!(false, "{:?} takes {:?}: {:?}", format, theirs, wrong);
                }
                // Refused for another reason.
                Err(_) => {}
            }
        }
    }

    #[test]
    fn the_oracle_knows_what_it_is_asked() {
        use Kind::{Double, Int, LongDouble, Text, Wide};
        assert_eq!(
            kinds("%d %ld %lld %s %*.*f %Lf %c %hhd %zu"),
            Some(vec![Int, Wide, Wide, Text, Int, Int, Double, LongDouble, Int, Int, Wide])
        );
    }
}
