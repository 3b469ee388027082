//! Results that native code writes through a hidden pointer: memory of the call, which has to be as aligned
//! as the type asks, and holds nothing that the guest must not see.
use crate::native;
use crate::world::{TIERS, World};
use portcullis::host::{Bridge, Tier};
use wasmtime::{Engine, Val};

const SOURCE: &str = "
    union partly { char c; long l[8]; };
    union partly partly(void) { union partly p; p.c = 7; return p; }
    /* What is left of the address of its result. */
    asm(\".globl place; .type place, @function; place: mov %rdi, %rax; mov %edi, %ecx; and $63, %ecx;\"
        \"mov %ecx, (%rdi); movl $5, 4(%rdi); ret\");
    asm(\".globl large; .type large, @function; large: mov %rdi, %rax; mov %edi, %ecx; and $4095, %ecx;\"
        \"mov %ecx, (%rdi); movl $6, 4(%rdi); ret\");
";
const INTERFACE: &str = "
    #pragma portcullis library \"libresults.so\" module \"results\"
    union partly { char c; int64_t l[8]; } partly(void) __leaf;
    struct __attribute__((aligned(64))) place { unsigned left, five; } place(long a) __leaf;
    struct __attribute__((aligned(4096))) large { unsigned left, six; }
        large(int a, int b, int c, int d, int e, int f, int g) __leaf;
";

fn world(tier: Tier) -> (World, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = native::compile(folder.path(), "libresults.so", SOURCE, &["-O2"]);
    let engine = Engine::default();
    let builder = Bridge::builder(&engine).max_tier(tier);
    let builder = builder.library("libresults.so", &path).expect("an absolute path");
    // SAFETY: the interface is true of the source above.
    let builder = unsafe { builder.grant_interface("results.h", INTERFACE) };
    let bridge = builder.and_then(|builder| builder.build()).unwrap_or_else(|e| panic!("{e}"));
    let guest = r#"(module
        (import "results" "partly" (func $partly (param i32)))
        (import "results" "place" (func $place (param i32 i32)))
        (import "results" "large" (func $large (param i32 i32 i32 i32 i32 i32 i32 i32)))
        (memory (export "memory") 1)
        (func (export "partly") (param i32) (call $partly (local.get 0)))
        (func (export "place") (param i32) (call $place (local.get 0) (local.get 0)))
        (func (export "large") (param i32) (call $large (local.get 0) (i32.const 1) (i32.const 2)
            (i32.const 3) (i32.const 4) (i32.const 5) (i32.const 6) (i32.const 7))))"#;
    (World::with_guest(&bridge, tier, guest), folder)
}

/// What the function leaves as it was is zero, not what the host had in that memory.
#[test]
fn what_native_code_does_not_write_is_zero() {
    for tier in TIERS {
        let (mut world, _folder) = world(tier);
        for _ in 0..3 {
            world.write(128, &[0xee; 64]);
            world.call("partly", &[Val::I32(128)]);
            let mut expected = [0; 64];
            expected[0] = 7;
            assert_eq!(world.read::<64>(128), expected, "{tier}");
        }
    }
}

/// The memory of a result is aligned as its type asks.
#[test]
fn results_are_aligned() {
    for tier in TIERS {
        let (mut world, _folder) = world(tier);
        for (name, expected) in [("place", [0, 0, 0, 0, 5]), ("large", [0, 0, 0, 0, 6])] {
            world.call(name, &[Val::I32(4096)]);
            assert_eq!(world.read::<5>(4096), expected, "{name}, {tier}");
        }
    }
}
