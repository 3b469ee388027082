//! `imports`: what a guest wants and what it gets.
use crate::support::*;

#[test]
fn imports_lists_what_is_wanted_and_fails_when_something_is_denied() {
    let guest = "guest-examples/rust/guest.wasm";
    let (out, _) = portcullis(&["imports", "--grant", "libm", "--grant", "zlib", guest]).with(0);
    let line = |needle: &str| {
        let found = out.lines().find(|line| line.contains(needle));
        found.unwrap_or_else(|| panic!("{needle} is not in:\n{out}")).to_owned()
    };
    let cos = line("double cos");
    assert!(cos.contains("granted") && cos.contains("libm.so.6"), "{cos}");
    assert!(cos.contains("(func (param f64) (result f64))"), "{cos}");
    assert!(cos.contains("template"), "{cos}");
    let compress = line("int compress");
    assert!(compress.contains("interpreter (direct after 1000 calls"), "{compress}");
    assert!(line("fd_write").contains("WASI"));
    assert!(!out.contains("denied"), "{out}");

    let slow = ["imports", "--tier", "template", "--grant", "zlib", "--grant", "libm", guest];
    let (slow, _) = portcullis(&slow).with(0);
    assert!(slow.contains("interpreter (work after the call)"), "{slow}");

    let (out, _) = portcullis(&["imports", "--grant", "libm", guest]).with(1);
    assert!(out.contains("denied") && out.contains("--grant zlib"), "{out}");

    let folder =
        folder(&[("g.wat", r#"(module (import "wasi_snapshot_preview1" "nosuch" (func)))"#)]);
    let (out, _) = run(command().arg("imports").arg(folder.path().join("g.wat"))).with(1);
    assert!(out.contains("nosuch") && out.contains("denied"), "{out}");
}
