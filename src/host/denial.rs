//! What a guest is told whose import nobody granted: the flag or grant that would allow it.
//!
//! Only what helps is named: a shipped interface if it grants that very symbol, with how the guest
//! must write the module if it wrote something else.
use super::bridge::OWN_MODULE;
use super::error::{LinkProblem, shorten};
use super::grants::{Candidate, Grants, Refusal, is_symbol};
use super::library::{check_name, near};
use crate::interfaces::{self, Shipped};
use crate::signature::{Library, Scope, parse_declaration};
use wasmtime::ExternType;

/// The hint for an import that neither a grant nor a linker has: `None` when it is probably meant
/// for somebody else.
pub(super) fn hint(module: &str, name: &str, ty: &ExternType, grants: &Grants) -> Option<String> {
    if module == OWN_MODULE {
        return Some(format!("`{OWN_MODULE}` has two functions, `errno` and `wasi_errno`"));
    }
    let candidates = grants.candidates(module);
    let native = !candidates.is_empty() || grants.is_trusted(module);
    let kind = match ty {
        ExternType::Func(_) if native => {
            return Some(symbol_not_granted(module, name, &candidates, grants));
        }
        ExternType::Func(_) => {
            let hint = library_not_granted(module, name, grants);
            return match trusted_otherwise(module, grants) {
                Some(trust) => Some(hint.map_or(trust.clone(), |hint| format!("{trust}; {hint}"))),
                None => hint,
            };
        }
        ExternType::Global(_) => "global",
        ExternType::Table(_) => "table",
        ExternType::Memory(_) => "memory",
        ExternType::Tag(_) => "tag",
    };
    let native = native || library_stem(module).is_some();
    native.then(|| {
        format!("only functions can be imported from a native library, and this is a {kind}")
    })
}

/// A library that is trusted, and probably meant, under another name.
fn trusted_otherwise(module: &str, grants: &Grants) -> Option<String> {
    let stem = library_stem(module).unwrap_or(module);
    let is_it = |trusted: &&str| library_stem(trusted).unwrap_or(trusted) == stem;
    let trusted = grants.trusted().find(is_it)?;
    Some(format!(
        "`{}` is trusted, which is another name than the guest's: `--trust-signatures {}`",
        escaped(trusted),
        escaped(module)
    ))
}

/// For a symbol that the granted interfaces of its library do not have.
fn symbol_not_granted(
    module: &str,
    name: &str,
    candidates: &[Candidate<'_>],
    grants: &Grants,
) -> String {
    let Some(first) = candidates.first() else {
        return "a trusted library's functions are imported by prototype, `double cos(double)`"
            .to_owned();
    };
    let symbol = symbol_of(name, first.scope()).unwrap_or_else(|| name.to_owned());
    let mut hint = format!("`{}` does not grant `{}`", first.interface_name(), escaped(&symbol));
    let file = &first.library().file;
    let shipped = ShippedLibrary::all(|library| library.file == *file);
    if let Some(other) = shipped.iter().find(|other| other.grants(&symbol)) {
        hint.push_str("; ");
        hint.push_str(&other.offer(module, name, grants));
        return hint;
    }
    let mut names: Vec<&str> = candidates.iter().flat_map(Candidate::symbols).collect();
    names.sort_unstable();
    names.dedup();
    let similar = near(&symbol, names.into_iter());
    if similar.is_empty() {
        hint.push_str("; ");
        hint.push_str(OWN_INTERFACE);
    } else {
        hint.push_str(&format!("; similar names that it grants: {}", similar.join(", ")));
    }
    hint
}

/// For a module that no granted interface names, when it looks like a native library.
fn library_not_granted(module: &str, name: &str, grants: &Grants) -> Option<String> {
    let stem = library_stem(module);
    let is_shipped =
        interfaces::NAMES.iter().any(|(_, file)| file.strip_suffix(".h") == Some(module));
    if stem.is_none() && !is_shipped && is_symbol(name) {
        return None;
    }
    let shipped = ShippedLibrary::all(|library| {
        names(library, module) || (stem.is_some() && library_stem(&library.file) == stem)
    });
    if let Some(first) = shipped.first() {
        let symbol = symbol_of(name, &first.shipped.interface().scope);
        // What cannot be read is judged when it is granted.
        let grants_it = |one: &&ShippedLibrary| symbol.as_ref().is_none_or(|name| one.grants(name));
        let offers: Vec<_> =
            shipped.iter().filter(grants_it).map(|one| one.offer(module, name, grants)).collect();
        if !offers.is_empty() {
            return Some(offers.join("; or "));
        }
        let symbol = symbol.unwrap_or_default();
        let files: Vec<_> =
            shipped.iter().map(|one| format!("`interfaces/{}`", one.file)).collect();
        let verb = if files.len() == 1 { "does" } else { "do" };
        return Some(format!(
            "{} {verb} not grant `{}`; {OWN_INTERFACE}",
            files.join(" and "),
            escaped(&symbol)
        ));
    }
    let granted: Vec<&str> = grants
        .interfaces()
        .flat_map(|interface| &interface.libraries)
        .flat_map(|library| std::iter::once(&*library.file).chain(library.module.as_deref()))
        .collect();
    let plain = file_name(module);
    let same = granted.iter().find(|known| **known == plain).map(|known| (*known).to_owned());
    let similar = same.or_else(|| near(module, granted.into_iter()).into_iter().next());
    let nameable = check_name(module).is_ok();
    let module = escaped(module);
    if let Some(similar) = similar {
        return Some(format!(
            "no granted interface names `{module}`; did the guest mean `{similar}`"
        ));
    }
    if !nameable {
        return Some(format!(
            "no interface can name `{module}`: the guest must write a plain name such as `libz.so.1`, or an absolute path"
        ));
    }
    let mut hint = format!(
        "no granted interface names `{module}`: write one that begins with `#pragma portcullis library \"{module}\"` and `--grant` it"
    );
    if !is_symbol(name) {
        hint.push_str(&format!(
            ", or, for full trust in the guest's own prototypes, `--trust-signatures {module}`"
        ));
    }
    Some(hint)
}

const OWN_INTERFACE: &str = "add its prototype to an interface of your own and `--grant` that";

/// A library of a shipped interface.
struct ShippedLibrary {
    /// The function of [`interfaces`] that returns the interface.
    rust: &'static str,
    file: &'static str,
    shipped: Shipped,
    library: usize,
}

impl ShippedLibrary {
    /// Those for which `f` holds.
    fn all(f: impl Fn(&Library) -> bool) -> Vec<ShippedLibrary> {
        let mut found = Vec::new();
        for ((rust, file), (_, shipped)) in interfaces::NAMES.iter().zip(interfaces::all()) {
            let libraries = &shipped.interface().libraries;
            if let Some(library) = libraries.iter().position(&f) {
                found.push(ShippedLibrary { rust, file, library, shipped });
            }
        }
        found
    }

    fn library(&self) -> &Library {
        &self.shipped.interface().libraries[self.library]
    }

    fn grants(&self, symbol: &str) -> bool {
        let grants = &self.shipped.interface().grants;
        grants
            .iter()
            .any(|grant| grant.library == self.library && *grant.prototype.name.name == *symbol)
    }

    /// Why an import by that prototype would be refused although the interface has its function.
    fn refusal(&self, module: &str, name: &str) -> Option<LinkProblem> {
        let library = self.library();
        let module = if names(library, module) { module } else { &library.file };
        let mut grants = Grants::default();
        grants.grant(self.shipped.clone().into_interface());
        match grants.meaning(module, name, &grants.candidates(module), &[]) {
            Err(Refusal::Problem(problem)) => Some(problem),
            Ok(_) | Err(Refusal::NotGranted) => None,
        }
    }

    /// How a guest that wrote `module` gets a function of it.
    fn offer(&self, module: &str, name: &str, grants: &Grants) -> String {
        let ShippedLibrary { rust, file, .. } = self;
        if let Some(why) = self.refusal(module, name) {
            let bare = file.strip_suffix(".h").unwrap_or(file);
            return format!("not granted, and with `--grant {bare}` it would be refused: {why}");
        }
        let mut offer = format!("`interfaces/{file}` grants it");
        let text = &self.shipped.interface().text;
        if grants.interfaces().all(|granted| granted.text != *text) {
            offer.push_str(&format!(
                ": `--grant {}`, or `.grant(interfaces::{rust}())`",
                file.strip_suffix(".h").unwrap_or(file)
            ));
        }
        let library = self.library();
        if !names(library, module) {
            let names = library.module.as_deref().into_iter().chain([&*library.file]);
            let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
            offer.push_str(&format!(
                "; the guest must write the module {}, not `{}`",
                names.join(" or "),
                escaped(module)
            ));
        }
        offer
    }
}

/// Whether an import of `module` means that library.
fn names(library: &Library, module: &str) -> bool {
    *library.file == *module || library.module.as_deref() == Some(module)
}

/// The function that an import's name means; `None` when that cannot be told.
fn symbol_of(name: &str, scope: &Scope) -> Option<String> {
    if is_symbol(name) {
        return Some(name.to_owned());
    }
    if let Ok(declaration) = parse_declaration(name, scope) {
        return Some(declaration.name.to_string());
    }
    // A prototype with mistakes, or one that needs the names of another interface.
    let (head, _) = name.split_once('(')?;
    let word = head.trim_end().rsplit(|c: char| c != '_' && !c.is_ascii_alphanumeric()).next()?;
    is_symbol(word).then(|| word.to_owned())
}

/// `libz` of `/lib/libz.so.1`; `None` for what is no library's name.
fn library_stem(module: &str) -> Option<&str> {
    let (stem, rest) = file_name(module).split_once(".so")?;
    (rest.is_empty() || rest.starts_with('.')).then_some(stem)
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn escaped(text: &str) -> String {
    shorten(text, 80)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COS: &str = "double cos(double)";

    #[test]
    fn shipped_interfaces_are_offered_for_their_libraries() {
        let grants = Grants::default();
        let hint = |module, name| library_not_granted(module, name, &grants).expect("a library");
        for module in ["libm", "libm.so.6"] {
            let hint = hint(module, COS);
            assert!(hint.contains("--grant libm`"), "{hint}");
            assert!(!hint.contains("must write"), "{hint}");
        }
        for module in ["./libm.so.6", "/usr/lib/libm.so.6", "libm.so"] {
            let hint = hint(module, COS);
            assert!(hint.contains("--grant libm`"), "{hint}");
            assert!(hint.contains("must write the module `libm` or `libm.so.6`"), "{hint}");
        }
        let hint_of_crc32 = hint("libz.so.1", "crc32");
        assert!(hint_of_crc32.contains("interfaces/zlib.h"), "{hint_of_crc32}");
        assert!(!hint_of_crc32.contains("gzfile"), "{hint_of_crc32}");
        let hint_of_vendor = hint("libvendor.so", COS);
        assert!(hint_of_vendor.contains("--trust-signatures libvendor.so"), "{hint_of_vendor}");
        // Trust is in prototypes.
        let hint_of_vendor = hint("libvendor.so", "cos");
        assert!(!hint_of_vendor.contains("--trust-signatures"), "{hint_of_vendor}");
        let hint_of_path = hint("./libvendor.so", COS);
        assert!(!hint_of_path.contains("--"), "{hint_of_path}");
    }

    #[test]
    fn a_flag_is_named_only_if_it_helps() {
        let mut grants = Grants::default();
        for name in ["system", "int system(const char *)", "int system(const cahr *)"] {
            let hint = library_not_granted("libc.so.6", name, &grants).expect("a library");
            assert!(hint.contains("`interfaces/libc.h` and "), "{hint}");
            assert!(hint.contains(" do not grant `system`; "), "{hint}");
            assert!(!hint.contains("--grant interfaces"), "{hint}");
        }
        // What is granted already is only written wrongly.
        grants.grant(interfaces::libm().into_interface());
        let hint = library_not_granted("./libm.so.6", COS, &grants).expect("a library");
        assert!(hint.contains("`libm` or `libm.so.6`") && !hint.contains("--grant"), "{hint}");
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
        let hint = |module, symbol| {
            symbol_not_granted(module, symbol, &grants.candidates(module), &grants)
        };
        let gzopen = hint("libz.so.1", "gzopen");
        assert!(gzopen.contains("--grant gzfile`"), "{gzopen}");
        assert!(!gzopen.contains("must write"), "{gzopen}");
        let gzopen = hint("zlib", "gzFile gzopen(const char *path, const char *mode)");
        assert!(gzopen.contains("--grant gzfile`"), "{gzopen}");
        assert!(gzopen.contains("must write the module `gzfile` or `libz.so.1`"), "{gzopen}");
        let crc31 = hint("zlib", "crc31");
        assert!(crc31.contains("crc32"), "{crc31}");
    }
}
