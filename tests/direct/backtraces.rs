//! Native code that looks for its callers finds all of them, also through trampolines that have a frame.
#![expect(unsafe_code, reason = "it plays a C library")]
use crate::World;
use portcullis::host::{Bridge, ImportStatus, Tier};
use std::ffi::{c_int, c_void};
use wasmtime::{Engine, Module};

const INTERFACE: &str = r#"
#pragma portcullis library "libframes.so" module "frames"
long long none(void);
long long four(int a, int b, int c, int d);
long long eight(int a, int b, int c, int d, int e, int f, int g, int h);
long long mixed(int a, int b, int c, int d, long long e, short f, unsigned char g, const uint8_t *__counted_by(n) p, unsigned n);
"#;

/// They do nothing but to be called in the same way.
const GUEST: &str = r#"(module
    (import "frames" "none" (func $none (result i64)))
    (import "frames" "four" (func $four (param i32 i32 i32 i32) (result i64)))
    (import "frames" "eight" (func $eight (param i32 i32 i32 i32 i32 i32 i32 i32) (result i64)))
    (import "frames" "mixed" (func $mixed (param i32 i32 i32 i32 i64 i32 i32 i32 i32) (result i64)))
    (memory (export "memory") 1)
    (func (export "none") (result i64) (call $none))
    (func (export "four") (result i64) (call $four (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4)))
    (func (export "eight") (result i64) (call $eight (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4)
        (i32.const 5) (i32.const 6) (i32.const 7) (i32.const 8)))
    (func (export "mixed") (result i64) (call $mixed (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4)
        (i64.const 5) (i32.const 6) (i32.const 7) (i32.const 8) (i32.const 9))))"#;

unsafe extern "C" {
    /// The C library's: as many callers as the unwinder finds.
    fn backtrace(buffer: *mut *mut c_void, size: c_int) -> c_int;
}

/// How many frames the unwinder finds from here to the start of the thread.
extern "C" fn frames() -> i64 {
    let mut frames = [std::ptr::null_mut(); 512];
    // SAFETY: there is room for so many.
    i64::from(unsafe { backtrace(frames.as_mut_ptr(), 512) })
}

fn bridge() -> Bridge {
    let builder = Bridge::builder(&Engine::default()).max_tier(Tier::Direct);
    // SAFETY: the function takes what comes, and looks at none of it.
    let builder = unsafe { builder.grant_interface("frames.h", INTERFACE) };
    let builder = builder.unwrap_or_else(|error| panic!("{error}"));
    let builder = ["none", "four", "eight", "mixed"].into_iter().fold(builder, |builder, name| {
        // SAFETY: likewise, and it is static.
        unsafe { builder.symbol("libframes.so", name, frames as *const c_void) }
    });
    builder.build().expect("a bridge")
}

#[test]
fn backtraces_go_through_direct_trampolines() {
    let bridge = bridge();
    let module = Module::new(bridge.engine(), GUEST).expect("a module");
    for import in bridge.describe(&module) {
        let ImportStatus::Native(functions) = import.status else { panic!("it is granted") };
        assert_eq!(functions[0].tier, Tier::Direct, "{}", import.name);
    }
    let mut world = World::of(&bridge, &module);
    // Not inlined: each call of it has as many callers.
    #[inline(never)]
    fn found(world: &mut World, name: &str) -> i64 {
        world.call::<(), i64>(name, ()).expect("it passes")
    }
    for _ in 0..2 {
        let mut found = |name| found(&mut world, std::hint::black_box(name));
        // The test, what calls it, the engine, the guest.
        let none = found("none");
        assert!(none > frames(), "{none} frames");
        assert_eq!(found("four"), none, "there is no frame between");
        for name in ["eight", "mixed"] {
            assert_eq!(found(name), none + 1, "{name}: one of the trampoline's own");
        }
    }
}
