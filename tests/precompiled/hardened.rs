//! Where the kernel lets nobody make machine code.
//!
//! The program is run under `PR_SET_MDWE` (nothing becomes executable that was not mapped so) and a filter that refuses
//! executable memory without a file behind it, memory that is writable and executable, and every `mprotect`
//! that asks for executable memory: what systemd's `MemoryDenyWriteExecute` refuses, and more.
//!
//! With `PORTCULLIS_WITHOUT_COMPILER` it is that program, one that was built without a compiler; `.ci/run` builds it.
use super::{GUEST, portcullis, text};
use std::fs;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};

const GRANTS: [&str; 6] = ["--grant", "zlib", "--grant", "libm", "--grant", "libc"];

/// What each export of the guest returns.
const CALLS: [(&[&str], &str); 6] = [
    (&["sorted", "2"], "5"),
    (&["crc", "9"], "-873187034"),
    (&["adler"], "152961502"),
    (&["cos", "0"], "1"),
    (&["exponent", "1024"], "11"),
    (&["sinl", "0", "-9223372036854775808"], "-9223372036854775808"),
];

/// The program to try, and whether it has no compiler.
fn program() -> (PathBuf, bool) {
    match std::env::var_os("PORTCULLIS_WITHOUT_COMPILER") {
        Some(path) => (path.into(), true),
        None => (env!("CARGO_BIN_EXE_portcullis").into(), false),
    }
}

fn statement(code: u32, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

fn jump(code: u32, k: u32, yes: u8, no: u8) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt: yes, jf: no, k }
}

/// See the module.
fn filter() -> Vec<libc::sock_filter> {
    use libc::{BPF_ABS, BPF_JEQ, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_RET, BPF_W};
    let load = |offset| statement(BPF_LD | BPF_W | BPF_ABS, offset);
    let is = |value, yes, no| jump(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no);
    let has = |bits: i32, yes, no| jump(BPF_JMP | BPF_JSET | BPF_K, bits as u32, yes, no);
    let end = |action| statement(BPF_RET | BPF_K, action);
    // The low halves of a call's third and fourth argument; its number is at 0.
    let (third, fourth) = (16 + 2 * 8, 16 + 3 * 8);
    vec![
        load(0),
        is(libc::SYS_mmap as u32, 3, 0),
        is(libc::SYS_mprotect as u32, 7, 0),
        is(libc::SYS_pkey_mprotect as u32, 6, 0),
        end(libc::SECCOMP_RET_ALLOW),
        // mmap
        load(third),
        has(libc::PROT_EXEC, 0, 5),
        has(libc::PROT_WRITE, 5, 0),
        load(fourth),
        has(libc::MAP_ANONYMOUS, 3, 2),
        // mprotect
        load(third),
        has(libc::PROT_EXEC, 1, 0),
        end(libc::SECCOMP_RET_ALLOW),
        end(libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
    ]
}

fn hardened(args: &[&str]) -> Output {
    let mut command = Command::new(program().0);
    command.args(args);
    let filter = filter();
    let harden = move || {
        let program =
            libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
        // SAFETY: system calls with constants and a filter that outlives them.
        let done = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::prctl(libc::PR_SET_MDWE, libc::PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) == 0
                && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program)
                    == 0
        };
        if done { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    // SAFETY: nothing but system calls between fork and exec.
    unsafe { command.pre_exec(harden) };
    command.output().expect("a kernel that knows PR_SET_MDWE: Linux 6.3 or later")
}

#[test]
fn guests_run_where_no_code_can_be_made() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (guest, ready) = (folder.path().join("guest.wat"), folder.path().join("guest.ready"));
    fs::write(&guest, GUEST).expect("a file in it");
    let (guest, ready) = (guest.to_str().expect("UTF-8"), ready.to_str().expect("UTF-8"));
    let compiled = portcullis(&[&["compile", guest, "-o", ready], &GRANTS[..]].concat());
    assert!(compiled.status.success(), "{}", text(&compiled.stderr));

    // Whoever makes code here is stopped, or cannot even try.
    let run = |file: &str, options: &[&str], call: &[&str]| {
        let start = ["run", "--invoke", call[0]];
        hardened(&[&start[..], options, &GRANTS[..], &[file], &call[1..]].concat())
    };
    let refused = run(guest, &[], &["cos", "0"]);
    let expected = if program().1 { "built without a compiler" } else { "Operation not permitted" };
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains(expected), "{}", text(&refused.stderr));

    for tier in ["auto", "cranelift", "direct", "template", "interpreter"] {
        for (call, expected) in CALLS {
            let ran = run(ready, &["--allow-precompiled", "--tier", tier], call);
            let (said, why) = (text(&ran.stdout), text(&ran.stderr));
            assert_eq!(said.trim(), expected, "{tier}: {call:?}: {why}");
        }
        let seen = ["imports", "--allow-precompiled", "--tier", tier];
        let seen = hardened(&[&seen[..], &GRANTS[..], &[ready]].concat());
        let seen = text(&seen.stdout);
        let wanted = if tier == "auto" { "direct" } else { tier };
        assert!(seen.lines().nth(1).is_some_and(|line| line.contains(wanted)), "{tier}:\n{seen}");
    }
    // Errors are the same.
    let past = run(ready, &["--allow-precompiled"], &["crc", "70000"]);
    let past = text(&past.stderr);
    assert!(past.contains("70000 bytes at 0x40 reach past the memory of 65536 bytes"), "{past}");
}
