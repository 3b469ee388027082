//! What a user who has misspelt a name may have meant.

/// The names that look most like `typed`, and those that begin with it, the nearest first.
pub fn similar<'n>(typed: &str, names: impl IntoIterator<Item = &'n str>) -> Vec<&'n str> {
    // Everything begins with nothing.
    if typed.is_empty() {
        return Vec::new();
    }
    let near = 2.max(typed.len() / 4).min(typed.len() / 2);
    let distance = |name| strsim::damerau_levenshtein(typed, name);
    let mut found: Vec<(usize, &str)> = names
        .into_iter()
        .map(|name| (distance(name), name))
        .filter(|(distance, name)| *distance <= near || name.starts_with(typed))
        .collect();
    found.sort_unstable();
    let nearest = found.first().map_or(0, |(distance, _)| *distance);
    found.retain(|(distance, name)| *distance == nearest || name.starts_with(typed));
    found.dedup();
    found.into_iter().map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::similar;

    #[test]
    fn names_that_look_alike_are_found_and_no_others() {
        let names = ["zlib", "libm", "libc", "sqlite3", "gmp"];
        assert_eq!(similar("zlb", names), ["zlib"]);
        assert_eq!(similar("slite3", names), ["sqlite3"]);
        assert_eq!(similar("sqlite", names), ["sqlite3"]);
        assert_eq!(similar("libn", names), ["libc", "libm"]);
        assert!(similar("nosuch", names).is_empty());
        // Two letters of two would be anything.
        assert!(similar("xy", names).is_empty() && similar("", names).is_empty());
    }
}
