//! Which options would have a denied import granted.
//!
//! A reason names one; whether it helps is tried, because what grants a function may contradict what the guest
//! says of it, or may be of a library that is not there.
use super::super::meant::{Looked, Permissions};
use super::super::words::in_options;
use super::Wanted;
use portcullis::host::{ImportReport, ImportStatus};

/// Between options that are needed together.
const AND: &str = " --";

/// How many options an import may need.
const MOST: usize = 4;

/// Each of several options that are needed together.
pub fn each(added: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(added);
    std::iter::from_fn(move || {
        let now = rest?;
        // They begin with two dashes, and names do not.
        let end = now.get(2..).and_then(|now| now.find(AND)).map(|at| at + 2);
        rest = end.map(|end| &now[end + 1..]);
        Some(end.map_or(now, |end| &now[..end]))
    })
}

/// Says for each denied import what to add, if that helps, and else what is in its way then.
pub fn find(permissions: &Permissions, looked: &Looked, wanted: &mut [Wanted]) {
    let mut ways: Vec<Vec<String>> = wanted
        .iter()
        .map(|one| one.denied.as_deref().and_then(flag).into_iter().collect())
        .collect();
    // Those whose way leads nowhere, and why.
    let mut stuck: Vec<Option<String>> = vec![None; wanted.len()];
    for _ in 0..MOST {
        let Some(reports) = with(permissions, looked, &ways, &stuck) else { break };
        let mut is_longer = false;
        for (number, report) in reports.iter().enumerate() {
            let ImportStatus::Refused(error) = &report.status else { continue };
            if ways[number].is_empty() || stuck[number].is_some() {
                continue;
            }
            let why = in_options(&error.problem.to_string());
            match flag(&why).filter(|next| !ways[number].contains(next)) {
                Some(next) if ways[number].len() < MOST => {
                    ways[number].push(next);
                    is_longer = true;
                }
                _ => stuck[number] = Some(why),
            }
        }
        if !is_longer {
            break;
        }
    }
    for ((one, way), stuck) in wanted.iter_mut().zip(ways).zip(stuck) {
        match stuck {
            None if !way.is_empty() => one.add = Some(way.join(" ")),
            None => {}
            Some(why) => {
                let way = way.join(" ");
                one.denied = Some(format!("{WITH}{way}{REFUSED}{why}"));
            }
        }
    }
}

const WITH: &str = "not granted, and with `";
const REFUSED: &str = "` it would be refused: ";

/// The options with which an import would be refused still, and why, if it is denied for that.
pub fn refused_with(denied: &str) -> Option<(&str, &str)> {
    denied.strip_prefix(WITH)?.split_once(REFUSED)
}

/// What imports would get with all these options.
fn with(
    permissions: &Permissions,
    looked: &Looked,
    ways: &[Vec<String>],
    stuck: &[Option<String>],
) -> Option<Vec<ImportReport>> {
    let mut options: Vec<&str> = Vec::new();
    for (way, _) in ways.iter().zip(stuck).filter(|(_, stuck)| stuck.is_none()) {
        for option in way {
            if !options.contains(&&**option) {
                options.push(option);
            }
        }
    }
    if options.is_empty() {
        return None;
    }
    let more = permissions.and(&options).ok()?;
    Some(more.bridge_of(looked).ok()?.describe(&looked.module))
}

/// The option that a reason names as the way out: `--grant zlib`. None when what it names, which is the guest's word,
/// would be more than one word to a shell.
fn flag(why: &str) -> Option<String> {
    let mut spans = why.split('`').skip(1).step_by(2);
    let found = spans.find_map(|span| {
        let (option, name) = span.split_once(' ')?;
        matches!(option, "--grant" | "--trust-signatures").then_some((span, name))
    });
    let (found, name) = found?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
    (name.chars().all(is_plain) && !name.starts_with('-')).then(|| found.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_are_needed_together_are_told_apart() {
        let all = |added: &'static str| each(added).collect::<Vec<_>>();
        assert_eq!(all("--grant zlib"), ["--grant zlib"]);
        assert_eq!(
            all("--grant zlib --trust-signatures q.so --grant a"),
            ["--grant zlib", "--trust-signatures q.so", "--grant a"]
        );
    }

    #[test]
    fn the_way_out_is_found_in_a_reason() {
        let why = "`interfaces/zlib.h` grants it: `--grant zlib`, or `.grant(interfaces::zlib())`";
        assert_eq!(flag(why).as_deref(), Some("--grant zlib"));
        assert_eq!(flag("write one and `--grant` it"), None);
        let why = "for full trust, `--trust-signatures libm.so.6`";
        assert_eq!(flag(why).as_deref(), Some("--trust-signatures libm.so.6"));
        for hostile in ["$(id)", "libq.so --trust-signatures libc.so.6", "a;b", "-x", "\\u{1b}[31m"]
        {
            assert_eq!(flag(&format!("for full trust, `--trust-signatures {hostile}`")), None);
        }
    }
}
