//! Every shipped interface is an ordinary header for C and C++ compilers.
//!
//! Whether the interfaces agree with the real headers is what `portcullis check` says; here it is only
//! about `interfaces/portcullis.h` erasing every annotation, and about the built guests importing
//! from the module that the pragma names.
use std::path::{Path, PathBuf};
use std::process::Command;

fn interfaces() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("interfaces")
}

fn headers() -> Vec<PathBuf> {
    let mut headers: Vec<_> = std::fs::read_dir(interfaces())
        .expect("the folder of the interfaces")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "h"))
        .collect();
    headers.sort();
    assert!(headers.len() >= 14, "portcullis.h and thirteen interfaces, got {headers:?}");
    headers
}

fn must_accept(compiler: &mut Command) {
    let output = compiler.output().unwrap_or_else(|error| panic!("{compiler:?}: {error}"));
    assert!(output.status.success(), "{compiler:?}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// A file that includes one header twice, so that include guards are tried too.
fn includer(folder: &Path, header: &Path, extension: &str) -> PathBuf {
    let name = header.file_name().expect("a file name").to_string_lossy();
    let path = folder.join(format!("{name}.{extension}"));
    std::fs::write(&path, format!("#include \"{name}\"\n#include \"{name}\"\nint unit;\n"))
        .expect("a temporary file");
    path
}

#[test]
fn c_and_cxx_compilers_accept_every_interface_without_a_warning() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let flags = ["-fsyntax-only", "-Wall", "-Wextra", "-Werror"];
    for header in headers() {
        let c = includer(folder.path(), &header, "c");
        for standard in ["-std=c99", "-std=c11", "-std=c2x"] {
            let mut compiler = Command::new("cc");
            must_accept(compiler.args(flags).arg(standard).arg("-I").arg(interfaces()).arg(&c));
        }
        let cxx = includer(folder.path(), &header, "cc");
        let mut compiler = Command::new("c++");
        must_accept(compiler.args(flags).arg("-std=c++17").arg("-I").arg(interfaces()).arg(&cxx));
    }
}

/// The names of the modules that pragmas open, in the order in which they stand.
fn pragma_modules(text: &str) -> Vec<&str> {
    text.lines()
        .filter(|line| line.starts_with("#pragma portcullis library"))
        .map(|line| {
            let (_, rest) = line.split_once("module \"").expect("a pragma that names a module");
            rest.split_once('"').expect("a closing quote").0
        })
        .collect()
}

#[test]
fn the_two_views_of_an_interface_name_the_same_module() {
    for header in headers() {
        if header.ends_with("portcullis.h") {
            continue;
        }
        let text = std::fs::read_to_string(&header).expect("a readable header");
        let modules = pragma_modules(&text);
        assert_eq!(modules.len(), 1, "{}", header.display());
        let view = format!("PORTCULLIS_MODULE(\"{}\")", modules[0]);
        assert!(text.contains(&view), "{} lacks {view}", header.display());
    }
}

/// Imports of a built guest, as (module, name).
fn imports(guest: &str) -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("guest-examples").join(guest);
    let module = wasmtime::Module::from_file(&wasmtime::Engine::default(), &path)
        .unwrap_or_else(|error| panic!("{}: {error:?}", path.display()));
    module
        .imports()
        .filter(|import| import.module() != "wasi_snapshot_preview1")
        .map(|import| (import.module().to_owned(), import.name().to_owned()))
        .collect()
}

#[test]
fn guests_in_c_import_from_the_module_of_their_header() {
    for (guest, module, function) in [
        ("zlib/zlib.wasm", "zlib", "compress2"),
        ("sqlite/sqlite.wasm", "sqlite3", "sqlite3_prepare_v2"),
        ("sqlite-functions/functions.wasm", "sqlite3", "sqlite3_create_function_v2"),
        ("expat/feed.wasm", "expat", "XML_SetElementHandler"),
        ("png/picture.wasm", "png", "pngshim_encode"),
        ("blas/blas.wasm", "cblas", "cblas_dgemm"),
        ("digest/digest.wasm", "crypto", "EVP_DigestUpdate"),
        ("gmp/numbers.wasm", "gmp", "__gmpz_powm"),
        ("deflate-stream/stream.wasm", "zlib", "deflateInit_"),
    ] {
        let imports = imports(guest);
        assert!(imports.iter().all(|(from, _)| from == module), "{guest}: {imports:?}");
        assert!(imports.iter().any(|(_, name)| name == function), "{guest}: {imports:?}");
    }
}

#[test]
fn the_guest_of_two_libraries_imports_from_both() {
    let imports = imports("callbacks/callbacks.wasm");
    for (module, function) in [("libc", "qsort"), ("datetime", "gmtime")] {
        let is_it = |(from, name): &(String, String)| from == module && name == function;
        assert!(imports.iter().any(is_it), "{module}.{function}: {imports:?}");
    }
    assert!(imports.iter().all(|(from, _)| from == "libc" || from == "datetime"), "{imports:?}");
}

#[test]
fn guests_without_a_header_import_by_prototype() {
    for guest in ["rust/guest.wasm", "zig/guest.wasm"] {
        let imports = imports(guest);
        assert!(imports.len() >= 2, "{guest}: {imports:?}");
        for (module, name) in imports {
            assert!(["libm.so.6", "libz.so.1"].contains(&module.as_str()), "{guest}: {module}");
            assert!(name.contains('('), "{guest}: {name} is no prototype");
        }
    }
}
