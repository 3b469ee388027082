//! What holds for every command: usage, help, completions, colours, output.
use crate::check::SHIPPED;
use crate::support::*;
use std::fs;
use std::process::Stdio;

#[test]
fn wrong_usage_is_2() {
    for (args, said) in [
        (&[][..], "Usage:"),
        (&["run"], "required"),
        (&["frobnicate"], "unrecognized subcommand"),
        (
            &["run", "--tier", "warp", "x.wasm"],
            "[possible values: auto, interpreter, template, cranelift, direct]",
        ),
        (&["run", "--library", "libz", "x.wasm"], "NAME=PATH"),
        (&["run", "--env", "=x", "guest-examples/cos/cos.wat"], "--env =x"),
        (&["run", "--dir", "x::", "guest-examples/cos/cos.wat"], "HOST::GUEST"),
        (&["explain"], "required"),
        (&["check", "zlib", "--cc", "gcc"], "--header"),
    ] {
        portcullis(args).says(2, &[said]);
    }
}

#[test]
fn help_teaches_and_lists_what_ships() {
    let (out, _) = portcullis(&["--help"]).with(0);
    for part in [
        "run",
        "profile",
        "imports",
        "compile",
        "explain",
        "check",
        "completions",
        "Examples:",
        "134",
    ] {
        assert!(out.contains(part), "{part} is not in:\n{out}");
    }
    for name in ["run", "profile", "imports", "compile", "explain", "check", "completions"] {
        let (out, _) = portcullis(&[name, "--help"]).with(0);
        assert!(out.contains("Examples:"), "{name}:\n{out}");
    }
    let (out, _) = portcullis(&["run", "--help"]).with(0);
    for said in ["depth: how deep", "[default: 256]", "loans: ", "captures: ", "at most 65536"] {
        assert!(out.contains(said), "{said} is not in:\n{out}");
    }
    let ships: Vec<&str> = SHIPPED.iter().map(|(name, _)| *name).collect();
    assert!(ships.iter().all(|name| out.contains(name)), "{out}");
}

#[test]
fn every_shell_gets_completions() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (out, _) = portcullis(&["completions", shell]).with(0);
        assert!(out.contains("trust-signatures"), "{shell}");
    }
    portcullis(&["completions", "csh"]).says(2, &["bash"]);
}

#[test]
fn there_are_no_colours_where_no_terminal_is() {
    for args in [
        &["run", "guest-examples/cos/cos.wat"][..],
        &["explain", "int f(unit8_t x)"],
        &["explain", "double cos(double x)"],
        &["imports", "guest-examples/zlib/zlib.wasm"],
        &["check", "libm"],
        &["--help"],
        &["-vv", "run", "--grant", "libm", "--invoke", "cos_of", "guest-examples/cos/cos.wat", "1"],
    ] {
        let ended = portcullis(args);
        assert!(!ended.out.contains('\u{1b}') && !ended.err.contains('\u{1b}'), "{ended:?}");
    }
}

#[test]
fn output_that_nobody_reads_is_no_error_and_output_that_cannot_be_written_is() {
    for args in
        [&["explain", "double cos(double x)"][..], &["completions", "bash"], &["check", "libm"]]
    {
        let mut child = command().args(args).stdout(Stdio::piped()).spawn().expect("it was built");
        drop(child.stdout.take());
        assert_eq!(child.wait().expect("it ends").code(), Some(0), "{args:?}");
        let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("a Linux system");
        // Standard output is given here, so that only the error comes back.
        let output = command().args(args).stdout(full).stderr(Stdio::piped()).spawn();
        let output = output.expect("it was built").wait_with_output().expect("it ends");
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {err}");
        assert!(err.contains("cannot write to standard output"), "{err}");
    }
}

#[test]
fn logs_are_told_by_level_and_part() {
    let run = |log: &str, more: &[&str]| {
        let guest = "guest-examples/cos/cos.wat";
        let fixed = ["--log", log, "run", "--grant", "libm", "--invoke", "cos_of"];
        let arguments: Vec<&str> = fixed.iter().chain(more).copied().chain([guest, "0"]).collect();
        portcullis(&arguments)
    };
    let (_, err) = run("debug", &["--tier", "template"]).with(0);
    assert!(err.contains("linked a native function") && err.contains("symbol=cos"), "{err}");
    assert!(err.contains("tier=template") && err.contains("`max_tier` allows"), "{err}");
    let linked = err.lines().find(|line| line.contains("linked a native function"));
    let path = linked.and_then(|line| line.split_once(" library=")).expect("it is told").1;
    assert!(path.starts_with('/') && !path.contains("Some("), "{err}");
    if cfg!(all(feature = "cranelift", target_arch = "x86_64")) {
        let (_, err) = run("debug", &[]).with(0);
        assert!(err.contains(" later=\"direct after 1000 calls"), "{err}");
        assert!(!err.contains("why_no_faster="), "{err}");
    }
    assert!(!err.contains("made machine code"), "{err}");
    let (_, err) = run("warn", &[]).with(0);
    assert_eq!(err, "");
    let (_, err) = run("portcullis::host::library=debug", &[]).with(0);
    assert!(err.contains("loaded a native library") && !err.contains("linked"), "{err}");
    if cfg!(all(feature = "cranelift", target_arch = "x86_64")) {
        let (_, err) = run("debug", &["--tier", "cranelift"]).with(0);
        let made = err.lines().find(|line| line.contains("made machine code")).expect("it is told");
        assert!(made.contains("tier=\"cranelift\"") && made.contains(" us="), "{made}");
    }
    run("loud=very=much", &[]).says(2, &["`--log loud=very=much`", "is no level"]);
    run("debgu", &[]).says(2, &["`debgu` is no level, did you mean `debug`?", "info, debug"]);
    run("info,portcullis::hots=debug", &[]).says(2, &["did you mean `portcullis::host`?"]);
    let denied = portcullis(&["--log", "info", "run", "guest-examples/cos/cos.wat"]);
    assert!(denied.err.contains("denied an import"), "{}", denied.err);
}

#[test]
fn verbose_tells_what_happens() {
    let run =
        ["-v", "run", "--grant", "libm", "--invoke", "cos_of", "guest-examples/cos/cos.wat", "0"];
    let (out, err) = portcullis(&run).with(0);
    assert_eq!(out, "1\n");
    assert!(err.contains("loaded a native library"), "{err}");
    assert!(!err.contains("bound the imports"), "{err}");
    let detailed = portcullis(&[&["-vv"], &run[1..]].concat());
    assert!(detailed.err.contains("bound the imports of an instance"), "{}", detailed.err);
}

#[test]
fn the_version_says_what_the_program_is_made_of() {
    let (out, _) = portcullis(&["--version"]).with(0);
    assert!(out.starts_with(concat!("portcullis ", env!("CARGO_PKG_VERSION"))), "{out}");
    let line = |name: &str| {
        let value = out.lines().find_map(|line| line.strip_prefix(name));
        value.unwrap_or_else(|| panic!("{name} is not in:\n{out}")).trim().to_owned()
    };
    let locked = include_str!("../../Cargo.lock");
    let wasmtime = format!("name = \"wasmtime\"\nversion = \"{}\"", line("wasmtime:"));
    assert!(locked.contains(&wasmtime), "{out}");
    assert_eq!(line("compiler:") == "cranelift", cfg!(feature = "cranelift"), "{out}");
    assert!(line("target:").starts_with(std::env::consts::ARCH), "{out}");
    let commit = option_env!("PORTCULLIS_COMMIT").unwrap_or("not known");
    assert!(line("commit:").starts_with(commit), "{out}");
    let (short, _) = portcullis(&["-V"]).with(0);
    assert_eq!(Some(short.trim_end()), out.lines().next());
}

#[test]
fn shells_know_what_ships_and_what_can_be_limited() {
    let folder = folder(&[("zlocal.h", "")]);
    let (script, _) = portcullis(&["completions", "bash"]).with(0);
    std::fs::write(folder.path().join("script"), script).expect("it can be written");
    let complete = |words: &[&str]| {
        let last = words.last().expect("words");
        let line = format!(
            "source ./script; COMP_WORDS=({}); COMP_CWORD={}; compopt() {{ :; }}; \
             _portcullis portcullis {last} {}; echo \"${{COMPREPLY[@]}}\"",
            words.join(" "),
            words.len() - 1,
            words[words.len() - 2]
        );
        let mut bash = std::process::Command::new("bash");
        run(bash.args(["--norc", "-c", &line]).current_dir(folder.path())).with(0).0
    };
    assert_eq!(complete(&["portcullis", "run", "--grant", "zl"]), "zlib zlocal.h\n");
    assert_eq!(complete(&["portcullis", "explain", "--grant", "sql"]), "sqlite3\n");
    assert_eq!(complete(&["portcullis", "imports", "--limit", "dep"]), "depth=\n");
    assert_eq!(complete(&["portcullis", "run", "--log", "de"]), "debug\n");
    let (zsh, _) = portcullis(&["completions", "zsh"]).with(0);
    assert!(zsh.contains(":FILE.h:_portcullis_grant'") && zsh.contains("_portcullis_grant() {"));
    assert!(zsh.contains(":(handles= depth="), "{zsh}");
    let (fish, _) = portcullis(&["completions", "fish"]).with(0);
    assert!(fish.lines().any(|line| line.contains("-l grant") && line.contains(" sqlite3 ")));
}
