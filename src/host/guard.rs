//! Guards: what the host does to a library before a guest reaches it.
//!
//! Some libraries have a language of their own that no prototype confines. An interface may name a
//! guard (`#pragma portcullis library "..." guard "sqlite3"`), which closes what can be closed; the
//! guards are listed here. A library whose guard cannot be installed is not callable.
//!
//! **sqlite3.** The SQL function `fts3_tokenizer` turns blobs into code pointers and back. From the
//! first link on, every *new* connection of the process to that library, the embedder's own
//! included, lacks it, is "defensive" (SQL cannot corrupt the database file on purpose), and has
//! lower limits on the length of `LIKE` patterns and on the depth of triggers, whose recursion
//! would use megabytes of native stack. URI file names are switched off for the whole process
//! (`file:x?cache=shared` is then the name of a file): connections that share a cache share a
//! schema, which a callback of one could change under the other, and only URIs ask for one. That
//! can only be said before SQLite is first used: if the process has used it already, and it was
//! compiled to take URIs, it is not guarded and not callable.
#![expect(unsafe_code, reason = "calls the library that it guards")]
use super::error::LinkProblem;
use super::library::Found;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::transmute;
use std::ptr;
use std::sync::OnceLock;

/// Looks a symbol of the guarded library up.
pub(super) type Find<'a> = &'a dyn Fn(&str) -> Result<Found, LinkProblem>;

/// The names that interfaces may use.
pub(super) const NAMES: [&str; 1] = ["sqlite3"];

/// Installs a guard. Installing one again does nothing.
///
/// # Errors
/// When the library has no place for it, or refuses it.
pub(super) fn install(name: &str, find: Find<'_>) -> Result<(), LinkProblem> {
    match name {
        "sqlite3" => sqlite3(find),
        _ => Err(failed(name, format!("there is no such guard, only {}", NAMES.join(", ")))),
    }
}

fn failed(guard: &str, reason: impl Into<String>) -> LinkProblem {
    LinkProblem::Guard { guard: guard.to_owned(), reason: reason.into() }
}

type CreateFunction = unsafe extern "C" fn(
    *mut c_void,
    *const c_char,
    c_int,
    c_int,
    *mut c_void,
    *const c_void,
    *const c_void,
    *const c_void,
    *const c_void,
) -> c_int;
type Configure = unsafe extern "C" fn(*mut c_void, c_int, ...) -> c_int;
type Limit = unsafe extern "C" fn(*mut c_void, c_int, c_int) -> c_int;
type Config = unsafe extern "C" fn(c_int, ...) -> c_int;
type CompiledWith = unsafe extern "C" fn(*const c_char) -> c_int;
type Entry = unsafe extern "C" fn(*mut c_void, *mut *mut c_char, *const c_void) -> c_int;
type AutoExtension = unsafe extern "C" fn(Entry) -> c_int;

/// The functions of the one SQLite of the process that is guarded.
struct Sqlite {
    create_function: CreateFunction,
    configure: Configure,
    limit: Limit,
    auto_extension: AutoExtension,
    /// Whether no file name of the process is a URI.
    without_uris: bool,
}

static SQLITE: OnceLock<Sqlite> = OnceLock::new();

fn sqlite3(find: Find<'_>) -> Result<(), LinkProblem> {
    const NAME: &str = "sqlite3";
    let address = |symbol| find(symbol).map(|found| found.address.0);
    // SAFETY: the interface that names this guard promises that the library is SQLite, whose
    // functions of these names have had these types since version 3.8.7.
    let found = unsafe {
        Sqlite {
            create_function: transmute::<*const c_void, CreateFunction>(address(
                "sqlite3_create_function_v2",
            )?),
            configure: transmute::<*const c_void, Configure>(address("sqlite3_db_config")?),
            limit: transmute::<*const c_void, Limit>(address("sqlite3_limit")?),
            auto_extension: transmute::<*const c_void, AutoExtension>(address(
                "sqlite3_auto_extension",
            )?),
            without_uris: false,
        }
    };
    // SAFETY: see above; these two are as old as version 3.6.23.
    let (config, compiled_with) = unsafe {
        (
            transmute::<*const c_void, Config>(address("sqlite3_config")?),
            transmute::<*const c_void, CompiledWith>(address("sqlite3_compileoption_used")?),
        )
    };
    let auto_extension = found.auto_extension;
    // Once only: the next line initialises the library, which then refuses to be configured.
    let guarded = SQLITE
        .get_or_init(|| Sqlite { without_uris: without_uris(config, compiled_with), ..found });
    if !ptr::fn_addr_eq(guarded.auto_extension, auto_extension) {
        return Err(failed(NAME, "another SQLite of this process is guarded already"));
    }
    if !guarded.without_uris {
        let how = "was in use before and takes URIs: switch them off with \
                   sqlite3_config(SQLITE_CONFIG_URI, 0) before its first use, or grant it first";
        return Err(failed(NAME, format!("SQLite {how}")));
    }
    // SAFETY: see above. SQLite calls the entry for each new connection; it ignores an entry that
    // it has already.
    match unsafe { auto_extension(guard_connection) } {
        0 => Ok(()),
        code => Err(failed(NAME, format!("SQLite does not accept it (error {code})"))),
    }
}

/// Makes every file name a plain one. Returns whether it is so.
fn without_uris(config: Config, compiled_with: CompiledWith) -> bool {
    const CONFIG_URI: c_int = 17;
    let off: c_int = 0;
    // SAFETY: the functions are SQLite's (see `sqlite3`); this option takes an `int`.
    unsafe { config(CONFIG_URI, off) == 0 || compiled_with(c"USE_URI".as_ptr()) == 0 }
}

/// Called by SQLite for each new connection. One for which it fails does not open.
unsafe extern "C" fn guard_connection(
    connection: *mut c_void,
    _error: *mut *mut c_char,
    _api: *const c_void,
) -> c_int {
    const TOKENIZER: &CStr = c"fts3_tokenizer";
    const UTF8: c_int = 1;
    const DEFENSIVE: c_int = 1010;
    const LIKE_PATTERN_LENGTH: c_int = 8;
    const TRIGGER_DEPTH: c_int = 10;
    const ERROR: c_int = 1;
    let Some(sqlite) = SQLITE.get() else { return ERROR };
    // SAFETY: SQLite gives us a connection that is open. A function without code is deleted; each
    // number of arguments is a function of its own.
    unsafe {
        for arguments in 1..=2 {
            let (none, nothing) = (ptr::null_mut(), ptr::null());
            let code = (sqlite.create_function)(
                connection,
                TOKENIZER.as_ptr(),
                arguments,
                UTF8,
                none,
                nothing,
                nothing,
                nothing,
                nothing,
            );
            if code != 0 {
                return code;
            }
        }
        (sqlite.limit)(connection, LIKE_PATTERN_LENGTH, 1000);
        (sqlite.limit)(connection, TRIGGER_DEPTH, 100);
        let on: c_int = 1;
        (sqlite.configure)(connection, DEFENSIVE, on, ptr::null_mut::<c_int>())
    }
}
