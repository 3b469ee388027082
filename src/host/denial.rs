//! What a guest is told whose import nobody granted: the flag or grant that would allow it.
use super::grants::{Candidate, Grants, is_symbol};
use super::library::near;
use crate::interfaces;

/// The hint for a symbol that the granted interfaces of its library do not have.
pub(super) fn symbol_not_granted(symbol: &str, candidates: &[Candidate<'_>]) -> String {
    let Some(first) = candidates.first() else {
        return "a trusted library's functions are imported by prototype, `double cos(double)`"
            .to_owned();
    };
    let mut hint = format!("`{}` does not grant `{}`", first.interface_name(), escaped(symbol));
    if let Some((rust, file)) = shipped_with(&first.library().file, symbol) {
        hint.push_str(&format!(
            ", `interfaces/{file}` does: `--grant interfaces/{file}`, or `.grant(interfaces::{rust}())`"
        ));
        return hint;
    }
    let mut names: Vec<&str> = candidates.iter().flat_map(Candidate::symbols).collect();
    names.sort_unstable();
    names.dedup();
    let similar = near(symbol, names.into_iter());
    if similar.is_empty() {
        hint.push_str("; add its prototype to an interface of your own and `--grant` that");
    } else {
        hint.push_str(&format!("; similar names that it grants: {}", similar.join(", ")));
    }
    hint
}

/// The hint for a module that no granted interface names, when it looks like a native library:
/// `None` when the import is probably meant for somebody else.
pub(super) fn library_not_granted(module: &str, name: &str, grants: &Grants) -> Option<String> {
    let shipped = interfaces::NAMES.iter().filter(|(_, file)| {
        let stem = file.trim_end_matches(".h");
        module == stem || library_stem(module) == Some(stem)
    });
    let shipped: Vec<_> = shipped.collect();
    if !shipped.is_empty() {
        let ways = shipped.iter().map(|(rust, file)| {
            format!("`--grant interfaces/{file}`, or `.grant(interfaces::{rust}())`")
        });
        return Some(format!("allow it with {}", ways.collect::<Vec<_>>().join(", or ")));
    }
    let is_library = library_stem(module).is_some();
    if !is_library && is_symbol(name) && !name.is_empty() {
        return None;
    }
    let names = grants
        .interfaces()
        .flat_map(|interface| &interface.libraries)
        .flat_map(|library| std::iter::once(&*library.file).chain(library.module.as_deref()));
    let similar = near(module, names);
    if let Some(first) = similar.first() {
        return Some(format!(
            "no granted interface names `{}`; did the guest mean `{first}`",
            escaped(module)
        ));
    }
    let module = escaped(module);
    Some(format!(
        "no granted interface names `{module}`: write one that begins with `#pragma portcullis library \"{module}\"` and `--grant` it, or, for full trust in the guest's own prototypes, `--trust-signatures {module}`"
    ))
}

/// `libz` of `libz.so.1` is the shipped `zlib`, and so on; `None` for what is no library name.
fn library_stem(module: &str) -> Option<&str> {
    let file = module.rsplit('/').next().unwrap_or(module);
    let (stem, rest) = file.split_once(".so")?;
    if !(rest.is_empty() || rest.starts_with('.')) {
        return None;
    }
    Some(match stem {
        "libz" => "zlib",
        "libsqlite3" => "sqlite3",
        stem => stem,
    })
}

/// The shipped interface that grants `symbol` of that library.
fn shipped_with(library: &str, symbol: &str) -> Option<(&'static str, &'static str)> {
    let all = interfaces::all();
    let (file, _) = all.iter().find(|(_, shipped)| {
        let interface = shipped.interface();
        interface.grants.iter().any(|grant| {
            *grant.prototype.name.name == *symbol
                && *interface.libraries[grant.library].file == *library
        })
    })?;
    interfaces::NAMES.iter().find(|(_, name)| name == file).copied()
}

fn escaped(text: &str) -> String {
    text.chars().take(100).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_interfaces_are_offered_for_their_libraries() {
        let grants = Grants::default();
        let hint = |module| library_not_granted(module, "double cos(double)", &grants);
        for module in ["libm", "libm.so.6", "/usr/lib/libm.so.6"] {
            let hint = hint(module).expect("a library");
            assert!(hint.contains("--grant interfaces/libm.h"), "{hint}");
        }
        assert!(hint("libz.so.1").expect("a library").contains("interfaces/zlib.h"));
        let hint = hint("libvendor.so").expect("a library");
        assert!(hint.contains("--trust-signatures libvendor.so"), "{hint}");
    }

    #[test]
    fn imports_of_other_kinds_are_left_to_the_linker() {
        let grants = Grants::default();
        assert!(library_not_granted("wasi_snapshot_preview1", "fd_write", &grants).is_none());
        assert!(library_not_granted("env", "memory", &grants).is_none());
        assert!(library_not_granted("env", "int f(int)", &grants).is_some());
    }

    #[test]
    fn a_symbol_of_another_shipped_interface_is_found() {
        let mut grants = Grants::default();
        grants.grant(interfaces::zlib().into_interface());
        let candidates = grants.candidates("zlib");
        let hint = symbol_not_granted("gzopen", &candidates);
        assert!(hint.contains("interfaces/gzfile.h"), "{hint}");
        let hint = symbol_not_granted("crc31", &candidates);
        assert!(hint.contains("crc32"), "{hint}");
    }
}
