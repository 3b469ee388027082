//! Native libraries: which names may be loaded, where a symbol is, and what to say when it is not
//! there.
//!
//! Names come from interfaces and from the embedder; a guest's string never gets here. What the
//! dynamic linker is asked, and how, is in [`sys`](super::sys).
use super::data::Objects;
use super::error::{BuildError, LinkProblem};
use super::sys;
use object::{Object, ObjectSymbol, SymbolKind};
use std::collections::{HashMap, HashSet};
use std::ffi::c_void;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The address of a native function. Which one it is, and that it has the type of its prototype,
/// is the promise of whoever granted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub(super) struct NativeAddress(pub *const c_void);

#[expect(unsafe_code, reason = "an address of code is the same on every thread")]
// SAFETY: it is only a number until it is called, and functions of libraries that stay loaded may
// be called on every thread.
unsafe impl Send for NativeAddress {}
#[expect(unsafe_code, reason = "an address of code is the same on every thread")]
// SAFETY: as above.
unsafe impl Sync for NativeAddress {}

/// A function that was found.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// Its address.
    pub address: NativeAddress,
    /// The file of the library it was looked up in; `None` when the embedder supplied the address.
    pub library: Option<PathBuf>,
}

/// Where symbols come from: libraries that are loaded when they are first needed, and addresses
/// that the embedder supplied.
#[derive(Debug, Default)]
pub(super) struct Libraries {
    /// Files to load instead of what a library's name says.
    paths: HashMap<String, PathBuf>,
    /// Addresses by module or library name and symbol.
    supplied: HashMap<(String, String), NativeAddress>,
    loaded: Mutex<HashMap<PathBuf, Arc<sys::Handle>>>,
    /// Names of the functions that a file defines, read when they are first asked for.
    functions: Mutex<HashMap<PathBuf, Arc<HashSet<String>>>>,
    /// Likewise, of data.
    pub(super) objects: Mutex<HashMap<PathBuf, Arc<Objects>>>,
}

/// Refuses names that the dynamic linker would take for relative paths.
pub(super) fn check_name(name: &str) -> Result<(), BuildError> {
    let refuse = |reason| Err(BuildError::LibraryName { name: name.to_owned(), reason });
    if name.is_empty() {
        refuse("is empty")
    } else if name.contains('\0') {
        refuse("contains a NUL")
    } else if name.contains('/') && !name.starts_with('/') {
        refuse("is a relative path")
    } else {
        Ok(())
    }
}

impl Libraries {
    /// Loads `path` where `name` is meant.
    pub(super) fn redirect(&mut self, name: &str, path: PathBuf) {
        self.paths.insert(name.to_owned(), path);
    }

    /// Uses `address` for `symbol` of the module or library of that name.
    pub(super) fn supply(&mut self, module: &str, symbol: &str, address: NativeAddress) {
        self.supplied.insert((module.to_owned(), symbol.to_owned()), address);
    }

    /// The address of `symbol` of the library `file`, which guests may also call `module`. It must
    /// be defined by that library itself or by one of `also`.
    pub(super) fn find(
        &self,
        file: &str,
        module: Option<&str>,
        also: &[Arc<str>],
        symbol: &str,
    ) -> Result<Found, LinkProblem> {
        if let Some(address) = self.supplied(file, module, symbol) {
            return Ok(Found { address, library: None });
        }
        let libraries = self.load_all(file, also)?;
        let own = &libraries[0];
        let mut stray = None;
        for library in &libraries {
            let Some(address) = library.find(symbol) else { continue };
            if libraries.iter().any(|library| library.holds_code(address))
                || (sys::is_kernels(address) && self.functions(library.path()).contains(symbol))
            {
                let library = Some(library.path().to_owned());
                return Ok(Found { address: NativeAddress(address), library });
            }
            stray = stray.or(Some(address));
        }
        let symbol = symbol.to_owned();
        let library = own.path().to_owned();
        let Some(address) = stray else {
            let functions = self.functions(&library);
            let similar = near(&symbol, functions.iter().map(String::as_str));
            return Err(LinkProblem::SymbolNotFound { symbol, library, similar });
        };
        match sys::definer(address) {
            Some(definer) if libraries.iter().any(|library| library.path() == definer) => {
                Err(LinkProblem::NotAFunction { symbol, library: definer })
            }
            Some(definer) => {
                Err(LinkProblem::SymbolElsewhere { symbol, library, definer, trusted: false })
            }
            None => Err(LinkProblem::NotAFunction { symbol, library }),
        }
    }

    /// The address that the embedder has supplied.
    pub(super) fn supplied(
        &self,
        file: &str,
        module: Option<&str>,
        symbol: &str,
    ) -> Option<NativeAddress> {
        let mut names = module.into_iter().chain([file]);
        names.find_map(|name| self.supplied.get(&(name.to_owned(), symbol.to_owned())).copied())
    }

    /// The library itself, and those that its interface names beside it.
    pub(super) fn load_all(
        &self,
        file: &str,
        also: &[Arc<str>],
    ) -> Result<Vec<Arc<sys::Handle>>, LinkProblem> {
        let also = also.iter().map(|name| &**name);
        std::iter::once(file).chain(also).map(|name| self.load(name)).collect()
    }

    fn functions(&self, library: &Path) -> Arc<HashSet<String>> {
        let mut functions = self.functions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = functions.get(library) {
            return Arc::clone(known);
        }
        let found = Arc::new(defined_functions(library));
        functions.insert(library.to_owned(), Arc::clone(&found));
        found
    }

    fn load(&self, name: &str) -> Result<Arc<sys::Handle>, LinkProblem> {
        let given = self.paths.get(name);
        let path = given.map_or(Path::new(name), PathBuf::as_path);
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(library) = loaded.get(path) {
            return Ok(Arc::clone(library));
        }
        match sys::Handle::open(path) {
            Ok(library) => {
                tracing::debug!(name, path = %library.path().display(), "loaded a native library");
                let library = Arc::new(library);
                loaded.insert(path.to_owned(), Arc::clone(&library));
                Ok(library)
            }
            Err(reason) => Err(not_loaded(name, path, given.is_some(), reason)),
        }
    }
}

/// The error of a library that cannot be loaded, with every path that was tried.
fn not_loaded(name: &str, path: &Path, is_given: bool, reason: String) -> LinkProblem {
    const MISSING: &str = "there is no such file";
    let library = name.to_owned();
    if path.is_absolute() {
        let said = if path.exists() { reason } else { MISSING.to_owned() };
        let similar = path.parent().map(|at| similar_files(path, &[at.to_owned()]));
        let similar = similar.unwrap_or_default();
        return LinkProblem::LibraryNotFound {
            library,
            is_given,
            tried: vec![(path.to_owned(), said)],
            similar,
        };
    }
    let directories = sys::search_directories();
    let tried = directories.iter().map(|directory| {
        let file = directory.join(path);
        let said = if file.exists() { reason.clone() } else { MISSING.to_owned() };
        (file, said)
    });
    let mut tried: Vec<_> = tried.collect();
    if tried.is_empty() {
        tried.push((path.to_owned(), reason));
    }
    let similar = similar_files(path, &directories);
    LinkProblem::LibraryNotFound { library, is_given, tried, similar }
}

/// Shared libraries in `directories` that may have been meant: `libz.so.1` for `libz.so`.
fn similar_files(wanted: &Path, directories: &[PathBuf]) -> Vec<PathBuf> {
    const MOST: usize = 3;
    let Some(wanted) = wanted.file_name().and_then(|name| name.to_str()) else {
        return Vec::new();
    };
    let stem = |name: &str| name.split(".so").next().unwrap_or(name).to_owned();
    let wanted_stem = stem(wanted);
    let mut found: Vec<(usize, PathBuf)> = Vec::new();
    for directory in directories {
        let Ok(entries) = std::fs::read_dir(directory) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| name.contains(".so")) else { continue };
            let distance = strsim::damerau_levenshtein(&wanted_stem, &stem(name));
            if distance <= usize::from(wanted_stem.len() > 5) {
                found.push((distance, directory.join(name)));
            }
        }
    }
    found.sort();
    found.dedup_by(|a, b| a.1.file_name() == b.1.file_name());
    found.into_iter().map(|(_, path)| path).take(MOST).collect()
}

/// The at most three names that `wanted` may have been meant to be, the nearest first.
pub(super) fn near<'n>(wanted: &str, names: impl Iterator<Item = &'n str>) -> Vec<String> {
    const MOST: usize = 3;
    // Nobody's real name is that long, and the distance of long names is expensive.
    if wanted.len() > 100 {
        return Vec::new();
    }
    let furthest = (wanted.len() / 4).max(1);
    let mut found: Vec<(usize, &str)> = names
        .filter(|name| name.len().abs_diff(wanted.len()) <= furthest)
        .map(|name| (strsim::damerau_levenshtein(wanted, name), name))
        .filter(|(distance, _)| *distance <= furthest)
        .collect();
    found.sort_unstable();
    found.dedup();
    found.into_iter().map(|(_, name)| name.to_owned()).take(MOST).collect()
}

/// The functions that the file of a library has in its own table. The C library has `time` and a
/// few more there, and lets them resolve to the kernel's code.
fn defined_functions(library: &Path) -> HashSet<String> {
    let Ok(bytes) = std::fs::read(library) else { return HashSet::new() };
    let Ok(file) = object::File::parse(&*bytes) else { return HashSet::new() };
    let functions = file.dynamic_symbols().filter(|symbol| {
        // Indirect functions (`cos`, `memcpy`) are of no kind that the reader knows.
        !symbol.is_undefined() && matches!(symbol.kind(), SymbolKind::Text | SymbolKind::Unknown)
    });
    functions.filter_map(|symbol| symbol.name().ok().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(file: &str, also: &[&str], symbol: &str) -> Result<Found, LinkProblem> {
        let also: Vec<Arc<str>> = also.iter().map(|name| Arc::from(*name)).collect();
        Libraries::default().find(file, None, &also, symbol)
    }

    #[test]
    fn names_that_are_relative_paths_are_refused() {
        for name in ["libz.so.1", "/usr/lib/libz.so.1"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", "./libz.so.1", "../libz.so.1", "lib/libz.so.1", "libz\0.so"] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_symbol_of_a_dependency_is_refused_unless_the_interface_names_it() {
        assert!(find("libm.so.6", &[], "cos").is_ok());
        let error = find("libm.so.6", &[], "system").expect_err("libc defines it");
        let LinkProblem::SymbolElsewhere { definer, .. } = &error else { panic!("{error}") };
        assert!(definer.ends_with("libc.so.6"));
        assert!(error.to_string().contains("also \"libc.so.6\""), "{error}");
        assert!(find("libm.so.6", &["libc.so.6"], "strlen").is_ok());
    }

    #[test]
    fn what_the_c_library_leaves_to_the_kernel_is_its_own() {
        for symbol in ["time", "gettimeofday", "clock_gettime"] {
            assert!(find("libc.so.6", &[], symbol).is_ok(), "{symbol}");
            assert!(find("libm.so.6", &[], symbol).is_err(), "{symbol}");
            assert!(find("libm.so.6", &["libc.so.6"], symbol).is_ok(), "{symbol}");
        }
    }

    #[test]
    fn data_is_not_called() {
        let error = find("libc.so.6", &[], "environ").expect_err("it is a variable");
        assert!(matches!(error, LinkProblem::NotAFunction { .. }), "{error}");
    }

    #[test]
    fn a_misspelt_symbol_gets_its_neighbours() {
        let error = find("libm.so.6", &[], "coss").expect_err("there is none");
        let LinkProblem::SymbolNotFound { similar, .. } = &error else { panic!("{error}") };
        assert!(similar.contains(&"cos".to_owned()) && similar.len() <= 3, "{similar:?}");
    }

    #[test]
    fn a_missing_library_says_where_it_was_looked_for_and_what_is_there() {
        let error = find("libm.so", &[], "cos").err();
        // With a compiler installed, libm.so exists and is a linker script: an error all the same.
        let Some(LinkProblem::LibraryNotFound { tried, similar, .. }) = &error else {
            panic!("{error:?}")
        };
        assert!(!tried.is_empty() && tried.iter().all(|(path, _)| path.ends_with("libm.so")));
        assert!(similar.iter().any(|path| path.ends_with("libm.so.6")), "{similar:?}");
    }

    #[test]
    fn supplied_addresses_come_first_and_load_nothing() {
        let mut libraries = Libraries::default();
        let address = NativeAddress(std::ptr::without_provenance(0x1234));
        libraries.supply("mock", "f", address);
        let found = libraries.find("libnosuch.so", Some("mock"), &[], "f").expect("supplied");
        assert_eq!((found.address, found.library), (address, None));
        assert!(libraries.find("libnosuch.so", Some("mock"), &[], "g").is_err());
    }

    #[test]
    fn a_redirected_name_loads_the_other_file() {
        let mut libraries = Libraries::default();
        libraries.redirect("libnosuch.so", PathBuf::from("libm.so.6"));
        assert!(libraries.find("libnosuch.so", None, &[], "cos").is_ok());
    }
}
