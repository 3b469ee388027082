//! What `--version` says: what this program is made of.
use std::fmt::Write as _;
use std::sync::OnceLock;

/// The commit that it was built from, if that was known then: `PORTCULLIS_COMMIT` was set, or the sources are those of
/// a published package.
pub const COMMIT: Option<&str> = option_env!("PORTCULLIS_COMMIT");

/// One line.
pub fn short() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| match COMMIT {
        Some(commit) => format!("{} ({commit})", env!("CARGO_PKG_VERSION")),
        None => env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// All of it.
pub fn long() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        let compiler = if cfg!(feature = "cranelift") {
            "cranelift"
        } else {
            "none: guests must be compiled ahead of time"
        };
        let native = if cfg!(all(target_arch = "x86_64", target_os = "linux")) {
            "supported"
        } else {
            "not supported on this target: `explain` and `check` work"
        };
        let mut text = short().to_owned();
        for (name, value) in [
            ("commit", COMMIT.unwrap_or("not known: set PORTCULLIS_COMMIT when it is built")),
            ("sources", env!("PORTCULLIS_SOURCES")),
            ("wasmtime", wasmtime_environ::VERSION),
            ("compiler", compiler),
            ("target", env!("PORTCULLIS_TARGET")),
            ("native calls", native),
        ] {
            // A string takes everything.
            let _ = write!(text, "\n{:<14}{value}", format!("{name}:"));
        }
        text
    })
}
