//! Data of native libraries: where a symbol is that is no function, and whether what is there can be
//! what its prototype says.
use super::error::LinkProblem;
use super::library::{Found, Libraries, NativeAddress, near};
use super::sys;
use crate::plan::layout::{DataModel, layout_of, scalar_of};
use crate::signature::{Data, Expr, NoteKind, Prototype, Scope, Type, TypeKind};
use object::{Object, ObjectSymbol, SymbolKind};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, PoisonError};

/// What must be at a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Code.
    Function,
    /// An object.
    Data {
        /// The least size in bytes that it may have.
        size: u64,
        /// Its alignment.
        align: u64,
    },
}

/// Sizes of the objects that a file defines, by name.
pub(super) type Objects = HashMap<String, u64>;

impl Wanted {
    /// What a prototype says of its symbol.
    pub(super) fn of(prototype: &Prototype, scope: &Scope) -> Wanted {
        let ty = &prototype.function.result;
        match prototype.data {
            None => Wanted::Function,
            Some(Data::Value) => {
                let size = scalar_of(ty).map_or(1, |scalar| scalar.host_size().into());
                Wanted::Data { size, align: size }
            }
            Some(Data::Array) => array(ty, scope),
        }
    }
}

/// An array that has decayed to `pointer`.
fn array(pointer: &Type, scope: &Scope) -> Wanted {
    let element = pointer.pointee().unwrap_or(pointer);
    let (count, bytes): (Option<&Expr>, bool) = pointer
        .notes
        .iter()
        .find_map(|note| match &note.kind {
            NoteKind::CountedBy(count) => Some((Some(count), false)),
            NoteKind::SizedBy(count) => Some((Some(count), true)),
            _ => None,
        })
        .unwrap_or_default();
    let on_host = |ty: &Type| layout_of(ty, scope, DataModel::Lp64).ok().map(|both| both.host);
    let (size, align) = on_host(element).map_or((1, 1), |host| (host.size, u64::from(host.align)));
    let Some(count) = count else { return Wanted::Data { size, align } };
    let mut element = element.clone();
    if bytes {
        element.kind = TypeKind::Bool;
    }
    let kind = TypeKind::Array { element: Box::new(element), length: Some(count.clone()) };
    let whole = on_host(&Type { kind, ..pointer.clone() });
    Wanted::Data { size: whole.map_or(size, |host| host.size), align }
}

impl Libraries {
    /// As [`Libraries::find`], for what is wanted there.
    pub(super) fn find_wanted(
        &self,
        file: &str,
        module: Option<&str>,
        also: &[Arc<str>],
        symbol: &str,
        wanted: Wanted,
    ) -> Result<Found, LinkProblem> {
        let Wanted::Data { size, align } = wanted else {
            return self.find(file, module, also, symbol);
        };
        let fails = |library: &Path, reason: String| {
            let (symbol, library) = (symbol.to_owned(), library.to_owned());
            Err(LinkProblem::Data { symbol, library, reason })
        };
        let misaligned = |address: NativeAddress, library: &Path| {
            let is_aligned = (address.0.addr() as u64).is_multiple_of(align);
            (!is_aligned).then(|| fails(library, format!("is not aligned to {align} bytes")))
        };
        if let Some(address) = self.supplied(file, module, symbol) {
            let found = Ok(Found { address, library: None });
            return misaligned(address, Path::new(file)).unwrap_or(found);
        }
        let libraries = self.load_all(file, also)?;
        let mut elsewhere = None;
        for library in &libraries {
            let Some(address) = library.find(symbol) else { continue };
            let Some(defining) = libraries.iter().find(|library| library.holds(address)) else {
                elsewhere = elsewhere.or_else(|| sys::definer(address));
                continue;
            };
            let path = defining.path();
            let Some(found) = self.objects(path).get(symbol).copied() else {
                return fails(path, "is not data".to_owned());
            };
            if found < size {
                return fails(path, format!("has {found} bytes, its type has {size}"));
            }
            let address = NativeAddress(address);
            if let Some(refused) = misaligned(address, path) {
                return refused;
            }
            // The program may have taken it over, by a copy relocation or with a name of its own:
            // then that is what the library itself uses.
            if let Some(first) = sys::first_of_all(symbol)
                && first != address.0
                && !defining.holds(first)
            {
                let first = sys::definer(first);
                let first = first.map_or("the program".to_owned(), |at| at.display().to_string());
                let reason = format!("is not what the library uses: {first} has taken its place");
                return fails(path, reason);
            }
            return Ok(Found { address, library: Some(path.to_owned()) });
        }
        let library = libraries[0].path().to_owned();
        let symbol = symbol.to_owned();
        Err(match elsewhere {
            Some(definer) => {
                LinkProblem::SymbolElsewhere { symbol, library, definer, trusted: false }
            }
            None => {
                let objects = self.objects(&library);
                let similar = near(&symbol, objects.keys().map(String::as_str));
                LinkProblem::SymbolNotFound { symbol, library, similar }
            }
        })
    }

    fn objects(&self, library: &Path) -> Arc<Objects> {
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = objects.get(library) {
            return Arc::clone(known);
        }
        let found = Arc::new(defined_objects(library));
        objects.insert(library.to_owned(), Arc::clone(&found));
        found
    }
}

/// The objects that the file of a library has in its own table. Those of a thread are not among them.
fn defined_objects(library: &Path) -> Objects {
    let Ok(bytes) = std::fs::read(library) else { return Objects::new() };
    let Ok(file) = object::File::parse(&*bytes) else { return Objects::new() };
    let objects = file
        .dynamic_symbols()
        .filter(|symbol| !symbol.is_undefined() && symbol.kind() == SymbolKind::Data);
    objects.filter_map(|symbol| Some((symbol.name().ok()?.to_owned(), symbol.size()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::parse_prototype;

    fn find(file: &str, text: &str) -> Result<Found, LinkProblem> {
        let scope = Scope::default();
        let prototype = parse_prototype(text, &scope).unwrap_or_else(|errors| panic!("{errors}"));
        let wanted = Wanted::of(&prototype, &scope);
        Libraries::default().find_wanted(file, None, &[], &prototype.name.name, wanted)
    }

    #[test]
    fn data_of_the_c_library_is_found() {
        for text in ["extern FILE *stdout", "extern int opterr", "extern int optind;"] {
            let found = find("libc.so.6", text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert!(found.library.is_some_and(|library| library.ends_with("libc.so.6")), "{text}");
        }
    }

    #[test]
    fn what_is_something_else_is_refused() {
        for (file, text, message) in [
            ("libc.so.6", "extern int abs", "is not data"),
            ("libc.so.6", "extern long opterr", "has 4 bytes, its type has 8"),
            ("libc.so.6", "extern const int stdout[3]", "has 8 bytes, its type has 12"),
            ("libc.so.6", "extern int opter", "nearest names: opterr"),
            ("libm.so.6", "extern int opterr", "not defined by"),
        ] {
            let error = find(file, text).expect_err(text).to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
    }

    #[test]
    fn sizes_are_those_of_the_host() {
        for (text, size, align) in [
            ("extern long n", 8, 8),
            ("extern const char name[]", 1, 1),
            ("extern const uint32_t table[2 * 128]", 1024, 4),
            ("extern const long rows[3]", 24, 8),
            ("extern struct s *s", 8, 8),
        ] {
            let prototype = parse_prototype(text, &Scope::default()).expect(text);
            assert_eq!(Wanted::of(&prototype, &Scope::default()), Wanted::Data { size, align });
        }
    }
}
