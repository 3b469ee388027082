//! A row of an overload set: one symbol under two prototypes, told apart by an argument, as `curl_easy_setopt` is.
#![expect(unsafe_code, reason = "plays a C library and calls it through addresses")]
use super::memory::{data, text};
use super::near;
use super::row::{Address, Guest, Row, State, c_loops};
use super::scalars::{near_or, own};
use std::ffi::c_void;
use std::mem::transmute;
use wasmtime::{Caller, Func, Result, format_err};

type Setopt = unsafe extern "C" fn(i32, isize) -> i32;
#[expect(
    clippy::cast_possible_truncation,
    reason = "C's function would take a long of either size"
)]
unsafe extern "C" fn setopt(option: i32, value: isize) -> i32 {
    option.wrapping_add(value as i32).wrapping_add(7)
}

/// Options below this have numbers, those from it on texts: curl's own numbers.
const TEXTS_FROM: i32 = 10_000;

/// The row.
pub(super) fn rows() -> Vec<Row> {
    // The function of two `int`s that is where libraries are does what this one does.
    let address = near_or("ints2", setopt as Setopt as *const c_void);
    let prototype = "int setopt(int option __range(0, 9999), int value)";
    let overloads = format!(
        "int setopt(int option __range({TEXTS_FROM}, 19999), const char *value);\n{prototype};"
    );
    // The second of the two, so that the first one's range is looked at in vain.
    let call = "(call $f (i32.const 13) (local.get $last))";
    vec![Row {
        id: "overloads".to_owned(),
        title: "overloads: setopt(int, const char *) or setopt(int, int)".to_owned(),
        group: "overloads",
        prototype: prototype.to_owned(),
        arguments: None,
        listed: true,
        grant: own(&overloads, vec![("setopt", address)]),
        guest: Guest { rest: data(), ..Guest::chained("bench", "setopt", "i32 i32", "i32", call) },
        c: Box::new(move || {
            // SAFETY: the function is of this type.
            let call = |f, last: i32, _| unsafe {
                transmute::<*const c_void, Setopt>(f)(13, last as isize)
            };
            let near = near::loops("ints2", "int", address, Address(std::ptr::null()));
            Ok(near.unwrap_or_else(|| c_loops(address, 1, call, |last, n| last ^ n)))
        }),
        wrap: Box::new(move |store| {
            let address = std::hint::black_box(address);
            let glue = move |caller: Caller<'_, State>, option: i32, value: i32| -> Result<i32> {
                let value = match option {
                    0..TEXTS_FROM => value as isize,
                    TEXTS_FROM..20_000 => {
                        text(&caller, value.cast_unsigned())?.addr().cast_signed()
                    }
                    _ => return Err(format_err!("no such option")),
                };
                // SAFETY: likewise; the end of a text was looked for.
                Ok(unsafe { transmute::<*const c_void, Setopt>(address.get())(option, value) })
            };
            Ok(Func::wrap(store, glue))
        }),
    }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::guests::bridge;
    use crate::host::{ImportStatus, Tier};
    use wasmtime::{Engine, Module};

    #[test]
    fn a_call_chooses_between_two_grants_and_is_direct() {
        let rows = rows();
        let [row] = &rows[..] else { panic!("one row") };
        let engine = Engine::default();
        let module = Module::new(&engine, row.guest.text(true)).expect("a module");
        let bridge = bridge(&engine, row, Tier::Direct).expect("a bridge");
        let imports = bridge.describe(&module);
        let [import] = &imports[..] else { panic!("{imports:?}") };
        let ImportStatus::Native(functions) = &import.status else { panic!("{import:?}") };
        let tiers: Vec<Tier> = functions.iter().map(|function| function.tier).collect();
        let best = if bridge.makes_code() { Tier::Direct } else { Tier::Template };
        assert_eq!(tiers, [best; 2]);
    }
}
