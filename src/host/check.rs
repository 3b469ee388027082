//! Whether libraries have what an interface grants of them.
use super::data::Wanted;
use super::error::{BuildError, LinkProblem};
use super::library::{Libraries, check_name};
use crate::signature::Interface;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

/// A function or data that an interface grants and its library does not have.
#[derive(Debug)]
pub struct MissingSymbol {
    /// The symbol.
    pub symbol: Arc<str>,
    /// The library as the interface calls it.
    pub library: Arc<str>,
    /// What is wrong.
    pub problem: LinkProblem,
}

/// The functions and data that `interface` grants and that its libraries, which are loaded for it, do not
/// have. `paths` are files to load instead of what a library's name says.
///
/// # Errors
/// When the interface or `paths` have a relative path.
pub fn missing_symbols(
    interface: &Interface,
    paths: &[(String, PathBuf)],
) -> Result<Vec<MissingSymbol>, BuildError> {
    let mut libraries = Libraries::default();
    for (name, path) in paths {
        check_name(&path.to_string_lossy())?;
        libraries.redirect(name, path.clone());
    }
    for library in &interface.libraries {
        check_name(&library.file)?;
        library.also.iter().try_for_each(|also| check_name(also))?;
    }
    let mut missing = Vec::new();
    let mut seen = HashSet::new();
    for grant in &interface.grants {
        let library = &interface.libraries[grant.library];
        let symbol = &grant.prototype.name.name;
        if !seen.insert((&library.file, symbol)) {
            continue;
        }
        let wanted = Wanted::of(&grant.prototype, &interface.scope);
        let (module, also) = (library.module.as_deref(), &library.also);
        let found = libraries.find_wanted(&library.file, module, also, symbol, wanted);
        if let Err(problem) = found {
            let (symbol, library) = (Arc::clone(symbol), Arc::clone(&library.file));
            missing.push(MissingSymbol { symbol, library, problem });
        }
    }
    Ok(missing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::parse_interface;

    #[test]
    fn what_is_missing_is_listed_once() {
        let text = "#pragma portcullis library \"libm.so.6\"\n\
                    double cos(double x);\ndouble cosinus(double x);\n\
                    int pick(int o __range(1), int v);\nint pick(int o __range(2), double v);\n";
        let interface = parse_interface("m.h", text).unwrap_or_else(|errors| panic!("{errors}"));
        let missing = missing_symbols(&interface, &[]).expect("no paths");
        let symbols: Vec<&str> = missing.iter().map(|one| &*one.symbol).collect();
        assert_eq!(symbols, ["cosinus", "pick"]);
        let paths = [("libm.so.6".to_owned(), PathBuf::from("/nowhere/libm.so.6"))];
        let missing = missing_symbols(&interface, &paths).expect("an absolute path");
        assert!(
            missing.iter().all(|one| matches!(one.problem, LinkProblem::LibraryNotFound { .. }))
        );
        assert_eq!(missing.len(), 3);
        let paths = [("libm.so.6".to_owned(), PathBuf::from("./libm.so.6"))];
        assert!(missing_symbols(&interface, &paths).is_err());
    }
}
