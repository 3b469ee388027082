//! What is measured: a C function a row, who grants it, and the loop around it, in wasm and in C.
#![expect(unsafe_code, reason = "calls C functions through their addresses")]
use super::harness::Loop;
use crate::host::Natives;
use crate::interfaces::Shipped;
use std::ffi::c_void;
use std::fmt::Write as _;
use std::path::PathBuf;
use wasmtime::{Func, Memory, Store, Table, TypedFunc};

/// The address of a native function or object, which stays what it is.
#[derive(Clone, Copy, Debug)]
pub struct Address(pub *const c_void);
// SAFETY: it is only a number until somebody calls it, which is unsafe.
unsafe impl Send for Address {}
// SAFETY: likewise.
unsafe impl Sync for Address {}

impl Address {
    /// The address itself.
    #[inline]
    #[must_use]
    pub fn get(self) -> *const c_void {
        self.0
    }
}

/// A function that is measured.
pub struct Row {
    /// What files call it.
    pub id: String,
    /// What tables call it.
    pub title: String,
    /// Under which heading it stands.
    pub group: &'static str,
    /// The prototype that is granted.
    pub prototype: String,
    /// In rows that only differ in the number of parameters: how many.
    pub arguments: Option<usize>,
    /// It has a place of its own in tables, and not only in the one of numbers of parameters.
    pub listed: bool,
    /// How the guest gets it.
    pub grant: Grant,
    /// The guest.
    pub guest: Guest,
    /// The C loops: with calls, and without. Made after all guests.
    pub c: Maker<(Loop, Loop)>,
    /// The host function that an embedder would write.
    pub wrap: Wrap,
}

/// Makes something that may not be possible, and says why it is not.
pub type Maker<T> = Box<dyn Fn() -> Result<T, String>>;
/// Makes a host function, or says why not.
pub type Wrap = Box<dyn Fn(&mut Store<State>) -> Result<Func, String>>;

/// How a guest gets the function.
pub enum Grant {
    /// By an interface that ships.
    Shipped(Shipped),
    /// By an interface of the benchmark's own.
    Text {
        /// The interface.
        text: String,
        /// Functions of this program.
        symbols: Vec<(&'static str, Address)>,
        /// Libraries by name that are loaded from a path.
        libraries: Vec<(String, PathBuf)>,
    },
}

/// A guest's function of one `int`.
pub type Each = TypedFunc<i32, i32>;
/// A guest's comparison.
pub type Compare = TypedFunc<(i32, i32), i32>;

/// What stores hold: for glue that is written by hand, what it needs at each call.
#[derive(Default)]
pub struct State {
    /// The guest's memory.
    pub memory: Option<Memory>,
    /// The guest's functions.
    pub table: Option<Table>,
    /// The native objects, by the number that the guest knows.
    pub objects: Vec<Address>,
    /// A function that has been taken from the table.
    pub callback: Option<(u32, Each)>,
    /// Likewise.
    pub compare: Option<(u32, Compare)>,
    /// What the bridge keeps here.
    pub natives: Natives,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

/// The parts of a guest: a loop that calls `$f`, and the same without the call.
#[derive(Clone, Debug, Default)]
pub struct Guest {
    /// Module and name of the import.
    pub import: (String, String),
    /// Its type: `i32 i32`, and `i32` or nothing.
    pub params: String,
    /// Likewise.
    pub result: String,
    /// Imports that only guests of the bridge have, for `setup`.
    pub imports: String,
    /// What such guests do first: make objects.
    pub setup: String,
    /// How many pages of memory.
    pub pages: u32,
    /// What else is in the module: data, functions, tables.
    pub rest: String,
    /// The type of `$last`, which a call passes on to the next one.
    pub last: &'static str,
    /// One turn with a call; `$n` counts down.
    pub step: String,
    /// One turn without.
    pub nothing: String,
}

impl Guest {
    /// A guest whose calls depend on one another: each takes what the last one gave.
    #[must_use]
    pub fn chained(
        module: &str,
        name: &str,
        params: &str,
        result: &'static str,
        call: &str,
    ) -> Guest {
        Guest {
            import: (module.to_owned(), name.to_owned()),
            params: params.to_owned(),
            result: result.to_owned(),
            pages: 1,
            last: result,
            step: format!("(local.set $last {call})"),
            nothing: match result {
                "f64" => "(local.set $last (f64.mul (f64.const 0.5) (local.get $last)))",
                "i64" => {
                    "(local.set $last (i64.xor (local.get $last) (i64.extend_i32_u (local.get $n))))"
                }
                _ => "(local.set $last (i32.xor (local.get $last) (local.get $n)))",
            }
            .to_owned(),
            ..Guest::default()
        }
    }

    /// The text of the module. `bridged`: with what only guests of the bridge have.
    #[must_use]
    pub fn text(&self, bridged: bool) -> String {
        let Guest { import: (module, name), params, result, last, .. } = self;
        let result = if result.is_empty() { String::new() } else { format!("(result {result})") };
        let (imports, setup) = match bridged {
            true => (&*self.imports, &*self.setup),
            false => ("", ""),
        };
        let mut text = format!(
            "(module\n(import \"{module}\" \"{name}\" (func $f (param {params}) {result}))\n{imports}\n\
             (memory (export \"memory\") {})\n(global $h (mut i32) (i32.const 0))\n{}\n\
             (func (export \"setup\") (local $i i32) {setup})\n",
            self.pages, self.rest
        );
        for (name, step) in [("run", &self.step), ("empty", &self.nothing)] {
            write!(
                text,
                "(func (export \"{name}\") (param $n i32) (result {last}) (local $last {last})
  (local.set $last ({last}.const 1))
  (loop $again
    {step}
    (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
  (local.get $last))\n"
            )
            .expect("a string takes everything");
        }
        text + ")"
    }
}

/// A value that an empty loop keeps in a register, so that the loop is not optimised away.
pub trait Held: Copy + 'static {
    /// The same value, of which the compiler knows nothing any more.
    #[must_use]
    fn held(self) -> Self;
}

macro_rules! held {
    ($ty:ty, $x86:ident $x86_text:literal, $arm:ident $arm_text:literal) => {
        impl Held for $ty {
            #[inline(always)]
            fn held(mut self) -> $ty {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: no instruction at all.
                unsafe {
                    std::arch::asm!($x86_text, inout($x86) self, options(nomem, nostack, preserves_flags));
                }
                #[cfg(target_arch = "aarch64")]
                // SAFETY: likewise.
                unsafe {
                    std::arch::asm!($arm_text, inout($arm) self, options(nomem, nostack, preserves_flags));
                }
                #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
                {
                    self = std::hint::black_box(self);
                }
                self
            }
        }
    };
}
held!(i32, reg "/* {0:e} */", reg "/* {0:w} */");
held!(i64, reg "/* {0} */", reg "/* {0} */");
held!(f64, xmm_reg "/* {0} */", vreg "/* {0:d} */");

/// C's loops: each turn reads the function's address from a variable that is volatile, and calls it with what
/// the last turn gave and what is left of the loop. The other loop does `nothing` instead.
pub fn c_loops<T: Held>(
    address: Address,
    start: T,
    call: impl Fn(*const c_void, T, i32) -> T + 'static,
    nothing: impl Fn(T, i32) -> T + 'static,
) -> (Loop, Loop) {
    let run = move |turns: u32| {
        let address = address.get();
        let (mut last, mut n) = (start, turns.cast_signed());
        while n != 0 {
            // SAFETY: it is a variable of this function.
            let function = unsafe { std::ptr::read_volatile(&raw const address) };
            last = call(function, last, n);
            n -= 1;
        }
        std::hint::black_box(last);
    };
    let empty = move |turns: u32| {
        let (mut last, mut n) = (start, turns.cast_signed());
        while n != 0 {
            last = nothing(last, n).held();
            n -= 1;
        }
        std::hint::black_box(last);
    };
    (Box::new(run), Box::new(empty))
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Row").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The address of a symbol of a library of the system, which is never closed.
///
/// # Errors
/// When it is not there: what the dynamic linker says.
pub fn symbol(library: &str, name: &str) -> Result<Address, String> {
    use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
    // SAFETY: libraries of the system that well-known interfaces name, or the user, whose constructors do no harm.
    let opened = unsafe { Library::open(Some(library), RTLD_NOW | RTLD_LOCAL) };
    let opened = opened.map_err(|error| {
        format!("the library `{library}` cannot be loaded: {}", innermost(&error))
    })?;
    // SAFETY: only its address is taken.
    let found = unsafe { opened.get::<*const c_void>(name) }.map(|symbol| symbol.into_raw());
    let address = found.map_err(|error| {
        format!("the library `{library}` has no function `{name}`: {}", innermost(&error))
    })?;
    std::mem::forget(opened);
    Ok(Address(address.cast_const()))
}

/// What the dynamic linker says, which is behind what the crate says.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
