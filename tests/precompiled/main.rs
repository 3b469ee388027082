//! Guests that were compiled ahead of time.
//!
//! What this process itself does is one test, because it looks at every mapping of the process: no machine code is made.
//! [`hardened`] has the program run such guests where the kernel would not let it make any.
#![cfg(all(feature = "cli", feature = "cranelift"))]
#![expect(unsafe_code, reason = "opens machine code that a child process has written")]
use portcullis::host::{Bridge, BridgeBuilder, Natives, Precompiled, PrecompiledError, Tier};
use portcullis::interfaces;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use wasmtime::{Config, Engine, Linker, Store};

mod hardened;

const GUEST: &str = r#"(module
    (import "zlib" "crc32" (func $crc (param i32 i32 i32) (result i32)))
    (import "libz.so.1" "unsigned long adler32(unsigned long, const uint8_t buf[len], unsigned len)"
        (func $adler (param i32 i32 i32) (result i32)))
    (import "libm" "cos" (func $cos (param f64) (result f64)))
    (import "libm" "frexp" (func $frexp (param f64 i32) (result f64)))
    (import "libm" "sinl" (func $sinl (param i32 i64 i64)))
    (import "libc" "qsort" (func $qsort (param i32 i32 i32 i32)))
    (memory (export "memory") 1)
    (table (export "table") 2 funcref) (elem (i32.const 1) func $less)
    (data (i32.const 64) "123456789")
    (data (i32.const 256) "\09\00\00\00\03\00\00\00\07\00\00\00\01\00\00\00\05\00\00\00")
    (func $less (param i32 i32) (result i32)
        (i32.sub (i32.load (local.get 0)) (i32.load (local.get 1))))
    (func (export "sorted") (param i32) (result i32)
        (call $qsort (i32.const 256) (i32.const 5) (i32.const 4) (i32.const 1))
        (i32.load (i32.add (i32.const 256) (i32.shl (local.get 0) (i32.const 2)))))
    (func (export "crc") (param i32) (result i32)
        (call $crc (i32.const 0) (i32.const 64) (local.get 0)))
    (func (export "adler") (result i32) (call $adler (i32.const 1) (i32.const 64) (i32.const 9)))
    (func (export "cos") (param f64) (result f64) (call $cos (local.get 0)))
    (func (export "exponent") (param f64) (result i32)
        (drop (call $frexp (local.get 0) (i32.const 32))) (i32.load (i32.const 32)))
    (func (export "sinl") (param i64 i64) (result i64)
        (call $sinl (i32.const 128) (local.get 0) (local.get 1)) (i64.load (i32.const 136))))"#;

fn portcullis(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(args).output().expect("the program was built")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn open(path: &Path) -> Result<Precompiled, PrecompiledError> {
    // SAFETY: the program has written it, into a folder of this test's. What the test breaks of it is
    // refused before any of it is run.
    unsafe { Precompiled::open(path) }
}

fn builder(engine: &Engine) -> BridgeBuilder {
    let builder = Bridge::builder(engine).grant(interfaces::zlib()).expect("it can be granted");
    let builder = builder.grant(interfaces::libm()).expect("likewise");
    builder.grant(interfaces::libc()).expect("likewise")
}

/// Executable mappings that no file is behind.
fn made_at_run_time() -> Vec<String> {
    let maps = fs::read_to_string("/proc/self/maps").expect("on Linux");
    let anonymous = |line: &&str| {
        let mut words = line.split_whitespace();
        let executable = words.nth(1).is_some_and(|rights| rights.contains('x'));
        let path = words.nth(3).unwrap_or("");
        executable && !path.starts_with('/') && !matches!(path, "[vdso]" | "[vsyscall]")
    };
    maps.lines().filter(anonymous).map(str::to_owned).collect()
}

#[test]
fn everything_is_made_before_and_nothing_while_it_runs() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name);
    let (guest, ready) = (at("guest.wat"), at("guest.ready"));
    fs::write(&guest, GUEST).expect("a file in it");
    let paths = (guest.to_str().expect("UTF-8"), ready.to_str().expect("UTF-8"));
    let grants = ["--grant", "zlib", "--grant", "libm", "--grant", "libc"];
    let compile = |options: &[&str]| {
        let compiled =
            portcullis(&[&["compile", paths.0, "-o", paths.1], &grants[..], options].concat());
        assert!(compiled.status.success(), "{}", text(&compiled.stderr));
        text(&compiled.stdout)
    };
    for (tier, expected) in [
        ("template", "0 of 6 native imports, 0 of them direct"),
        ("cranelift", "6 of 6 native imports, 0 of them direct"),
        ("auto", "6 of 6 native imports, 4 of them direct"),
        ("direct", "6 of 6 native imports, 4 of them direct"),
    ] {
        let said = compile(&["--tier", tier]);
        assert!(said.contains(expected), "{tier}: {said}");
    }
    let said = compile(&[]);
    assert!(said.contains("libm.sinl: not direct: "), "{said}");

    // The program runs it, if it is told that this is code.
    let ran = portcullis(
        &[&["run", "--allow-precompiled", "--invoke", "crc"], &grants[..], &[paths.1, "9"]]
            .concat(),
    );
    assert_eq!(text(&ran.stdout).trim(), "-873187034", "{}", text(&ran.stderr));
    let refused = portcullis(&[&["run", "--invoke", "crc"], &grants[..], &[paths.1, "9"]].concat());
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("--allow-precompiled"), "{}", text(&refused.stderr));

    // And so does a host that makes no code.
    assert_eq!(made_at_run_time(), Vec::<String>::new(), "before anything has happened");
    let guest = open(&ready).expect("it was just written");
    let mut config = Config::new();
    Precompiled::run_in_place(&mut config);
    let in_place = Engine::new(&config).expect("an engine");
    leaves_nothing_behind(&in_place, &ready);
    let engine = Engine::default();
    for (engine, most) in
        [(&engine, Tier::Cranelift), (&engine, Tier::Direct), (&in_place, Tier::Direct)]
    {
        makes_its_calls(engine, &guest, most);
    }
    let bare = builder(&engine).make_code(false).build().expect("a bridge");
    assert_eq!((bare.max_tier(), bare.makes_code()), (Tier::Template, false));
    assert_eq!(made_at_run_time(), Vec::<String>::new(), "after all of it has run");

    refuses_what_has_changed(&engine, &guest);
    refuses_what_is_broken(&ready, &at("broken"));
    assert!(matches!(open(&at("nothing")), Err(PrecompiledError::Unread { .. })));

    // A guest that is compiled here would have been seen.
    let made = wasmtime::Module::new(&engine, GUEST).expect("valid");
    assert_ne!(made_at_run_time(), Vec::<String>::new());
    drop(made);
}

/// Opens, loads and runs it many times: neither files stay open nor memory mapped.
fn leaves_nothing_behind(engine: &Engine, ready: &Path) {
    let files = || fs::read_dir("/proc/self/fd").expect("on Linux").count();
    let mappings = || {
        let maps = fs::read_to_string("/proc/self/maps").expect("on Linux");
        let path = ready.to_str().expect("UTF-8");
        maps.lines().filter(|line| line.ends_with(path)).count()
    };
    assert_eq!(mappings(), 0);
    let before = files();
    for turn in 0..20 {
        let guest = open(ready).expect("it was just written");
        let bridge = builder(engine).precompiled(&guest).make_code(false).build();
        let bridge = bridge.expect("a bridge");
        let mut last = None;
        for _ in 0..50 {
            // The one before goes with this.
            last = Some(bridge.load(&guest).expect("all is as it was"));
        }
        // The file is not needed any more.
        drop(guest);
        let mut store = Store::new(engine, Natives::default());
        let (linker, module) = (Linker::new(engine), last.expect("the last of them"));
        let instance = bridge.instantiate(&mut store, &linker, &module, |natives| natives);
        let crc = instance.expect("it links").get_typed_func::<i32, i32>(&mut store, "crc");
        let crc = crc.expect("exported").call(&mut store, 9).expect("no trap");
        assert_eq!(crc.cast_unsigned(), 0xcbf4_3926);
        // A mapped module is a few lines: what is executable, and what lies before and behind it.
        assert!(mappings() <= 12, "turn {turn}: {}", mappings());
    }
    // The other test of this program has pipes open while its guest runs.
    let closed = (0..1000).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        files() <= before + 1
    });
    assert!(closed, "{} open files after {before}", files());
    let other = engine.clone();
    let path = ready.to_owned();
    std::thread::spawn(move || {
        let guest = open(&path).expect("it was just written");
        let bridge =
            builder(&other).precompiled(&guest).make_code(false).build().expect("a bridge");
        drop(bridge.load(&guest).expect("all is as it was"));
    })
    .join()
    .expect("it does not panic");
    assert!(mappings() <= 6, "{} are left", mappings());
}

/// Runs the guest on a bridge that makes no code.
fn makes_its_calls(engine: &Engine, guest: &Precompiled, most: Tier) {
    let bridge = builder(engine).precompiled(guest).max_tier(most).make_code(false);
    let bridge = bridge.build().expect("a bridge");
    assert_eq!((bridge.max_tier(), bridge.makes_code()), (most, false));
    let module = bridge.load(guest).expect("all is as it was");
    let tiers: Vec<_> = bridge
        .describe(&module)
        .into_iter()
        .map(|import| match import.status {
            portcullis::host::ImportStatus::Native(found) => (import.name, found[0].tier),
            other => panic!("{other:?}"),
        })
        .collect();
    // `sinl` needs the x87's registers, which guests cannot fill; `qsort` calls back.
    let not_direct = |name: &str| matches!(name, "sinl" | "qsort");
    let expected = |name: &str| if not_direct(name) { Tier::Cranelift } else { most };
    let right = tiers.iter().all(|(name, tier)| *tier == expected(name));
    assert!(right, "{tiers:?}, {:?}", bridge.why_not_direct());
    let mut store = Store::new(engine, Natives::default());
    let linker = Linker::new(engine);
    let instance = bridge.instantiate(&mut store, &linker, &module, |natives| natives);
    let instance = instance.expect("it links");
    let crc = instance.get_typed_func::<i32, i32>(&mut store, "crc").expect("exported");
    assert_eq!(crc.call(&mut store, 9).expect("no trap").cast_unsigned(), 0xcbf4_3926);
    let past =
        crc.call(&mut store, 70_000).expect_err("it is not that large").root_cause().to_string();
    assert!(past.contains("70000 bytes at 0x40 reach past the memory of 65536 bytes"), "{past}");
    let adler = instance.get_typed_func::<(), i32>(&mut store, "adler").expect("exported");
    assert_eq!(adler.call(&mut store, ()).expect("no trap"), 0x091e_01de);
    let cos = instance.get_typed_func::<f64, f64>(&mut store, "cos").expect("exported");
    assert_eq!(cos.call(&mut store, 0.0).expect("no trap"), 1.0);
    let exponent = instance.get_typed_func::<f64, i32>(&mut store, "exponent").expect("exported");
    assert_eq!(exponent.call(&mut store, 1024.0).expect("no trap"), 11);
    let sorted = instance.get_typed_func::<i32, i32>(&mut store, "sorted").expect("exported");
    let numbers = [0, 1, 2, 3, 4].map(|at| sorted.call(&mut store, at).expect("no trap"));
    assert_eq!(numbers, [1, 3, 5, 7, 9]);
    // sinl(-0.0) is -0.0.
    let sinl = instance.get_typed_func::<(i64, i64), i64>(&mut store, "sinl").expect("exported");
    assert_eq!(sinl.call(&mut store, (0, i64::MIN)).expect("no trap"), i64::MIN);
}

/// What is not granted, or not as it was, is refused.
fn refuses_what_has_changed(engine: &Engine, guest: &Precompiled) {
    let bare = Bridge::builder(engine).precompiled(guest).build().expect("a bridge");
    let denied = bare.load(guest).expect_err("nothing is granted").to_string();
    assert!(denied.contains("`zlib` `crc32`: not granted"), "{denied}");
    let text = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("interfaces").join(name);
        fs::read_to_string(path).expect("it ships")
    };
    let (zlib, libm) = (text("zlib.h"), text("libm.h"));
    // The second means the same to machine code, and something else to whoever reads it.
    for (before, after, import) in [
        ("uLong crc32(uLong crc,", "uLong crc32(uLong crc __range(0),", "crc32"),
        ("long double sinl(long double x)", "long double sinl(long double x) __leaf", "sinl"),
    ] {
        let replaced = [zlib.replace(before, after), libm.replace(before, after)];
        assert_ne!(replaced, [zlib.clone(), libm.clone()], "{before} is in one of them");
        let mut builder = Bridge::builder(engine);
        for (name, text) in ["zlib.h", "libm.h"].iter().zip(&replaced) {
            // SAFETY: they are narrower than what ships, or say the same in more words.
            builder = unsafe { builder.grant_interface(name, text) }.expect("an interface");
        }
        let other = builder.precompiled(guest).make_code(false).build().expect("a bridge");
        let changed = other.load(guest).expect_err("it has changed");
        let changed = changed.downcast_ref::<PrecompiledError>().expect("it says so");
        assert!(
            matches!(changed, PrecompiledError::Changed { name, .. } if name == import),
            "{changed}"
        );
    }
}

/// Neither is what somebody has broken or what is something else.
fn refuses_what_is_broken(ready: &Path, broken: &Path) {
    let whole = fs::read(ready).expect("it is there");
    let refused = |bytes: &[u8], what: &str| {
        fs::write(broken, bytes).expect("a file");
        match open(broken) {
            Err(error) => error,
            Ok(_) => panic!("{what} is taken for a guest"),
        }
    };
    // Everything that leads to anything else is at the start of the modules and at the end of the file.
    let ends = (0..600).chain(whole.len() - 600..whole.len());
    for at in ends.chain((600..whole.len() - 600).step_by(997)) {
        let mut other = whole.clone();
        other[at] ^= 0x10;
        match refused(&other, &format!("a file with another byte at {at}")) {
            PrecompiledError::Damaged { .. } => assert!(at < whole.len() - 8),
            PrecompiledError::Foreign { .. } => assert!(at >= whole.len() - 8),
            other => panic!("{at}: {other}"),
        }
    }
    let lengths = (0..100).chain((100..whole.len()).step_by(499));
    for length in lengths.chain(whole.len() - 100..whole.len()) {
        let error = refused(&whole[..length], &format!("{length} bytes of a file"));
        assert!(matches!(error, PrecompiledError::Foreign { .. }), "{length}: {error}");
    }
    let mut longer = whole.clone();
    longer.extend_from_slice(&whole[whole.len() - 24..]);
    assert!(matches!(refused(&longer, "a longer file"), PrecompiledError::Damaged { .. }));
}
