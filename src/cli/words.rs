//! The library's words in those of the command line, and a guest's in a length that can be read.

/// A guest's text on one line, and not too long: what is in the middle is left out.
pub fn shown(text: &str, most: usize) -> String {
    const GAP: &str = "...";
    let escaped: Vec<char> = text.chars().take(most + 1).flat_map(char::escape_debug).collect();
    if escaped.len() <= most {
        return escaped.into_iter().collect();
    }
    let behind = most / 4;
    let before = most.saturating_sub(behind + GAP.len());
    // From the end, each character as a whole.
    let mut end: Vec<String> = Vec::new();
    let mut length = 0;
    for next in text.chars().rev() {
        let next = next.escape_debug().to_string();
        length += next.chars().count();
        if length > behind {
            break;
        }
        end.push(next);
    }
    end.reverse();
    escaped.into_iter().take(before).chain(GAP.chars()).chain(end.concat().chars()).collect()
}

/// What the library says to programs that embed it, and what that is on the command line.
const WORDS: [(&str, &str); 7] = [
    (
        "unknown: no interface names such a module, and the linker does not define it",
        "nobody has it: neither WASI nor a granted interface",
    ),
    ("wasm trap: all fuel consumed by WebAssembly", FUEL),
    ("all fuel consumed by WebAssembly", FUEL),
    (", or `BridgeBuilder::library`", ""),
    ("`max_tier` allows no faster one", "`--tier` allows no faster one"),
    ("`max_tier` does not allow it", "`--tier` does not allow it"),
    ("give the bridge a lower `max_tier`", "choose a lower `--tier`"),
];

const FUEL: &str = "all fuel consumed: --fuel gives more";

/// A message of the library in terms of options.
pub fn in_options(text: &str) -> String {
    let mut told = with_limit(&without_calls(text));
    for (theirs, ours) in WORDS {
        if told.contains(theirs) {
            told = told.replace(theirs, ours);
        }
    }
    told
}

/// Which option raises a limit that a message names.
fn with_limit(text: &str) -> String {
    let limit = text.split_once("the limit `").and_then(|(_, rest)| rest.split_once('`'));
    let Some((limit, _)) = limit else { return text.to_owned() };
    let option = format!("`--limit {limit}=N` raises it");
    text.replace("the host can raise it", &option)
        .replace("is exceeded, which the host can raise", &format!("is exceeded; {option}"))
}

/// Without ``, or `.grant(interfaces::libm())` ``, which is an embedder's way to say what stands before it.
fn without_calls(text: &str) -> String {
    const START: &str = ", or `.grant(interfaces::";
    let mut told = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(START) {
        let (before, found) = rest.split_at(at);
        told.push_str(before);
        match found[START.len()..].find("())`") {
            Some(end) => rest = &found[START.len() + end + "())`".len()..],
            None => {
                told.push_str(START);
                rest = &found[START.len()..];
            }
        }
    }
    told.push_str(rest);
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_is_one_short_line_with_both_its_ends() {
        assert_eq!(shown("double cos(double x)", 80), "double cos(double x)");
        let long = shown(&format!("\u{1b}[31m\n{}end", "x".repeat(1 << 20)), 80);
        assert!(long.chars().count() <= 80 && !long.contains(['\u{1b}', '\n']), "{long}");
        assert!(long.starts_with("\\u{1b}[31m\\nxxx") && long.ends_with("xxend"), "{long}");
        let controls = shown(&"\u{7}".repeat(1000), 40);
        assert!(controls.chars().count() <= 40, "{controls}");
        assert_eq!(shown("", 10), "");
    }

    #[test]
    fn the_librarys_words_become_options() {
        let why =
            "`interfaces/libm.h` grants it: `--grant libm`, or `.grant(interfaces::libm())`; or x";
        assert_eq!(in_options(why), "`interfaces/libm.h` grants it: `--grant libm`; or x");
        let cut = "it: `--grant libm`, or `.grant(interfaces::";
        assert_eq!(in_options(cut), cut);
        let why = "if it is elsewhere: `--library q.so=PATH`, or `BridgeBuilder::library`";
        assert_eq!(in_options(why), "if it is elsewhere: `--library q.so=PATH`");
        let why = "the limit `handles` of 5 is reached; the host can raise it";
        let ours = "the limit `handles` of 5 is reached; `--limit handles=N` raises it";
        assert_eq!(in_options(why), ours);
        assert_eq!(in_options("`max_tier` allows no faster one"), "`--tier` allows no faster one");
    }
}
