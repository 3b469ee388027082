//! `profile`: what guests print under it, and what it says of them.
use crate::support::*;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

const GUESTS: [&[&str]; 4] = [
    &["--grant", "sqlite3", "guest-examples/sqlite/sqlite.wasm"],
    &["--dir", ".", "--grant", "zlib", "guest-examples/zlib/zlib.wasm", "Cargo.lock"],
    &[
        "--dir",
        ".",
        "--grant",
        "expat",
        "guest-examples/expat/feed.wasm",
        "guest-examples/expat/feed.xml",
    ],
    &["--grant", "libc", "--grant", "datetime", "guest-examples/callbacks/callbacks.wasm"],
];

/// All numbers of a profile that are parts of the wall time.
fn sum(profile: &serde_json::Value) -> f64 {
    let number = |value: &serde_json::Value, name: &str| value[name].as_f64().expect("a number");
    let list = |name: &str| profile[name].as_array().expect("a list").clone();
    let phases: f64 = list("phases").iter().map(|phase| number(phase, "time")).sum();
    let parts = ["native", "marshalling", "transition", "called_back", "allocator"];
    let imports: f64 =
        list("imports").iter().flat_map(|one| parts.map(|part| number(one, part))).sum();
    phases + imports + number(profile, "profiling") + number(profile, "waiting")
}

#[test]
fn guests_print_what_they_print_otherwise_and_the_sums_add_up() {
    let files = folder(&[]);
    let json = files.path().join("profile.json");
    let stacks = files.path().join("stacks.txt");
    for (number, guest) in GUESTS.iter().enumerate() {
        let (plain, _) = run(command().arg("run").args(*guest)).with(0);
        let mut profile = command();
        profile.arg("profile").arg("--json").arg(&json).arg("--folded").arg(&stacks);
        if number == 0 {
            profile.args(["--sample", "2"]);
        }
        profile.args(*guest);
        let (out, err) = run(&mut profile).with(0);
        assert_eq!(out, plain, "{guest:?}");
        assert!(err.contains("The sum is the wall time"), "{err}");
        // Which of them depends on how busy the machine is.
        let verdicts =
            ["a faster tier would save", "What takes how much cannot be said of this run"];
        assert!(verdicts.iter().any(|verdict| err.contains(verdict)), "{err}");
        let text = fs::read_to_string(&json).expect("it was written");
        let value: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
        let (wall, error) = (value["wall"].as_f64(), value["error"].as_f64());
        let (wall, error) = (wall.expect("a number"), error.expect("a number"));
        let wrong = (sum(&value) - wall).abs();
        // Beside the error that it states there is only the arithmetic of floating-point numbers.
        assert!(wrong <= error + wall * 1e-9, "{guest:?}: {wrong} ns of {wall}, {error} stated");
        let imports = value["imports"].as_array().expect("a list");
        assert!(imports.iter().any(|import| import["calls"].as_u64() > Some(0)), "{text}");
        assert!(imports.iter().any(|import| import["fastest"].is_string()), "{text}");
        let folded = fs::read_to_string(&stacks).expect("it was written");
        for line in folded.lines() {
            let (stack, weight) = line.rsplit_once(' ').expect("a weight");
            assert!(!stack.is_empty() && weight.parse::<u64>().is_ok(), "{line}");
        }
        for import in imports {
            let name = import["name"].as_str().expect("a name").replace(';', "_");
            for part in ["native", "marshalling"] {
                let time = import[part].as_f64().expect("a number").round();
                let line = format!(";{name};{part} {time}\n");
                assert!(time < 1.0 || folded.contains(&line), "{line}{folded}");
            }
        }
    }
}

/// Calls of a guest, as it makes them by its own account.
#[test]
fn calls_and_callbacks_are_counted_exactly() {
    let sort = r#"(module
        (import "libc" "qsort" (func $qsort (param i32 i32 i32 i32)))
        (import "libc" "abs" (func $abs (param i32) (result i32)))
        (memory (export "memory") 1)
        (table (export "__indirect_function_table") 2 funcref)
        (elem (i32.const 1) $compare)
        (global $compared (mut i32) (i32.const 0))
        (func $compare (param i32 i32) (result i32)
            (global.set $compared (i32.add (global.get $compared) (i32.const 1)))
            (i32.sub (i32.load (local.get 0)) (i32.load (local.get 1))))
        (func (export "sorted") (param $n i32) (result i32) (local $i i32)
            (loop $more
                (i32.store offset=16 (i32.mul (local.get $i) (i32.const 4))
                    (call $abs (i32.sub (i32.const 50) (local.get $i))))
                (br_if $more (i32.lt_u
                    (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
            (call $qsort (i32.const 16) (local.get $n) (i32.const 4) (i32.const 1))
            (global.get $compared)))"#;
    let files = folder(&[("sort.wat", sort)]);
    let json = files.path().join("profile.json");
    for more in [&[][..], &["--sample", "10"]] {
        let mut profile = command();
        profile.args(["profile", "--grant", "libc", "--json"]).arg(&json).args(more);
        profile.args(["--invoke", "sorted"]).arg(files.path().join("sort.wat")).arg("100");
        let (out, err) = run(&mut profile).with(0);
        let compared: u64 = out.trim().parse().expect("a number");
        let text = fs::read_to_string(&json).expect("it was written");
        let value: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
        let imports = value["imports"].as_array().expect("a list");
        let of =
            |name: &str| imports.iter().find(|one| one["name"] == name).expect("it was called");
        assert_eq!(of("libc.qsort")["callbacks"].as_u64(), Some(compared), "{err}");
        assert_eq!(of("libc.qsort")["calls"].as_u64(), Some(1));
        // 100 elements of 4 bytes are checked, in place.
        assert_eq!(of("libc.qsort")["checked"].as_u64(), Some(400));
        assert_eq!(of("libc.abs")["calls"].as_u64(), Some(100));
        assert!(err.contains("callbacks"), "{err}");
        if !more.is_empty() {
            assert!(err.contains("Counts are exact; times are of "), "{err}");
            assert!(of("libc.abs")["timed"].as_u64() < Some(50), "{text}");
        }
    }
}

#[test]
fn guests_that_end_badly_are_reported_and_told_as_ever() {
    let trap = r#"(module
        (import "libm" "cos" (func $cos (param f64) (result f64)))
        (func (export "_start") (drop (call $cos (f64.const 0))) (unreachable)))"#;
    let exit = r#"(module
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (import "libm" "cos" (func $cos (param f64) (result f64)))
        (memory (export "memory") 1)
        (func (export "_start") (drop (call $cos (f64.const 0))) (call $exit (i32.const 7))))"#;
    let files = folder(&[("trap.wat", trap), ("exit.wat", exit)]);
    for (file, status) in [("trap.wat", 134), ("exit.wat", 7)] {
        let path = files.path().join(file);
        let ended = |what: &str| run(command().args([what, "--grant", "libm"]).arg(&path));
        let (_, plain) = ended("run").with(status);
        let (_, err) = ended("profile").with(status);
        assert!(err.contains("libm.cos") && err.ends_with(&plain), "{err}");
    }
}

#[test]
fn guests_that_cannot_start_have_no_profile() {
    for (guest, status) in [
        (&["nosuch.wasm"][..], 1),
        (&["guest-examples/zlib/zlib.wasm"], 1),
        (&["README.md"], 1),
        (&["--sample", "0", "guest-examples/cos/cos.wat"], 2),
        (&["--invoke", "nosuch", "--grant", "libm", "guest-examples/cos/cos.wat"], 2),
    ] {
        let ended = run(command().arg("profile").args(guest));
        let (out, err) = ended.with(status);
        assert!(out.is_empty() && err.contains("error:") && !err.contains("wall time"), "{err}");
        if !guest.contains(&"--sample") {
            let (_, plain) = run(command().arg("run").args(guest)).with(status);
            assert_eq!(err, plain);
        }
    }
    // Files are looked at first: what is there stays, and what was made for nothing goes.
    let files = folder(&[("old.json", "of yesterday")]);
    let at = |name: &str| files.path().join(name).display().to_string();
    let (old, new, nowhere) = (at("old.json"), at("new.txt"), at("no/such.json"));
    for (outputs, said) in [
        (["--json", &nowhere, "--folded", &new], "such.json"),
        (["--json", &old, "--folded", &old], "would be written twice"),
        (["--json", &old, "--folded", &new], "nosuch.wasm"),
    ] {
        let ended = run(command().arg("profile").args(outputs).arg("nosuch.wasm"));
        ended.says(1, &["error:", said]);
        assert_eq!(fs::read_to_string(&old).expect("it is there"), "of yesterday");
        assert!(!files.path().join("new.txt").exists());
    }
    let full = ["profile", "--json", "/dev/full", "--grant", "libm", "--invoke", "cos_of"];
    let ended = run(command().args(full).args(["guest-examples/cos/cos.wat", "0"]));
    let (out, err) = ended.with(1);
    assert!(out == "1\n" && err.contains("cannot write /dev/full"), "{err}");
}

#[test]
fn a_guest_that_is_interrupted_is_reported() {
    // It says that it has begun, and never ends.
    let guest = r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "libm" "cos" (func $cos (param f64) (result f64)))
        (memory (export "memory") 1)
        (data (i32.const 0) "\10\00\00\00\06\00\00\00")
        (data (i32.const 16) "begun\n")
        (func (export "_start")
            (drop (call $cos (f64.const 0)))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
            (loop $ever (br $ever))))"#;
    let files = folder(&[("ever.wat", guest)]);
    let mut profile = command();
    profile.args(["profile", "--grant", "libm"]).arg(files.path().join("ever.wat"));
    profile.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = profile.spawn().expect("it was built");
    let mut begun = String::new();
    let mut out = BufReader::new(child.stdout.take().expect("it is a pipe"));
    out.read_line(&mut begun).expect("it can be read");
    assert_eq!(begun, "begun\n");
    let id = child.id().to_string();
    let killed =
        Command::new("kill").args(["-INT", &id]).status().expect("there is such a program");
    assert!(killed.success());
    let ended = child.wait_with_output().expect("it ends");
    let err = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(130), "{err}");
    assert!(err.contains("The sum is the wall time") && err.contains("libm.cos"), "{err}");
}
