//! Names that nothing grants: who would, and which are like them.
use crate::cli::similar::similar;
use anyhow::Result;
use portcullis::interfaces;
use portcullis::signature::Interface;
use std::sync::Arc;

/// A name alone is that of a function which an interface grants; fails, because here none does.
pub fn unknown_name(typed: &str, interfaces: &[Arc<Interface>]) -> Result<()> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if typed.is_empty()
        || !typed.chars().all(is_name)
        || typed.starts_with(|c: char| c.is_ascii_digit())
    {
        return Ok(());
    }
    let grants = |interface: &Interface| {
        interface.grants.iter().any(|grant| *grant.prototype.name.name == *typed)
    };
    let shipped: Vec<String> = interfaces::all()
        .iter()
        .filter(|(_, shipped)| grants(shipped.interface()))
        .map(|(file, _)| format!("`--grant {}`", file.strip_suffix(".h").unwrap_or(file)))
        .collect();
    let who: Vec<&str> = interfaces.iter().map(|interface| &*interface.name).collect();
    let mut said = match &who[..] {
        [] => format!("`{typed}` is a name, and no interface is given that grants it"),
        [one] => format!("{one} does not grant `{typed}`"),
        all => format!("none of {} grants `{typed}`", all.join(", ")),
    };
    let names = |interface: &'_ Interface| -> Vec<String> {
        interface.grants.iter().map(|grant| grant.prototype.name.name.to_string()).collect()
    };
    let granted: Vec<String> = interfaces.iter().flat_map(|one| names(one)).collect();
    let near = similar(typed, granted.iter().map(|name| &**name));
    if !shipped.is_empty() {
        said.push_str(&format!(": add {}", shipped.join(" or ")));
    } else if !near.is_empty() {
        let names: Vec<String> = near.iter().take(5).map(|name| format!("`{name}`")).collect();
        said.push_str(&format!("; similar names that it grants: {}", names.join(", ")));
    } else if let elsewhere = elsewhere(typed)
        && !elsewhere.is_empty()
    {
        said.push_str(&format!("; did you mean {}?", elsewhere.join(" or ")));
    } else if who.is_empty() {
        said.push_str(
            ": write its prototype, `double cos(double x)`, or add the interface with --grant",
        );
    } else {
        said.push_str("; write its prototype to see how it would be called");
    }
    anyhow::bail!(said)
}

/// Functions of that name, more or less, which shipped interfaces grant.
fn elsewhere(typed: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (file, shipped) in interfaces::all() {
        let grants = shipped.interface().grants.iter();
        let names: Vec<&str> = grants.map(|grant| &*grant.prototype.name.name).collect();
        let flag = file.strip_suffix(".h").unwrap_or(file);
        for name in similar(typed, names).into_iter().take(3) {
            let distance = strsim::damerau_levenshtein(typed, name);
            found.push((distance, format!("`{name}` (`--grant {flag}`)")));
        }
    }
    found.sort_unstable();
    found.into_iter().take(3).map(|(_, said)| said).collect()
}
