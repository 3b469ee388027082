//! Gates that threads have opened: see [`Gate`](crate::plan::binding::Gate).
//!
//! A gate says of which stack calls may come. When the thread of that stack ends, another thread may get
//! the same addresses with less room, so that its gates are closed then.
use super::stack;
use crate::plan::binding::Strays;
use rustc_hash::FxBuildHasher;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Weak};

thread_local! {
    static OPENED: RefCell<Opened> = RefCell::default();
}

/// By their addresses, which are theirs as long as they are known here.
#[derive(Default)]
struct Opened {
    stores: HashMap<usize, Weak<Strays>, FxBuildHasher>,
    /// So many were there when it was looked last.
    living: usize,
}

/// So many stores that are gone may be remembered beside as many as there are.
const GONE: usize = 64;

impl Opened {
    fn remember(&mut self, strays: &Arc<Strays>) {
        let address = Arc::as_ptr(strays).addr();
        self.stores.entry(address).or_insert_with(|| Arc::downgrade(strays));
        if self.stores.len() > 2 * self.living + GONE {
            self.stores.retain(|_, store| store.strong_count() > 0);
            self.living = self.stores.len();
        }
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        for strays in self.stores.values().filter_map(Weak::upgrade) {
            strays.gate.close();
        }
    }
}

/// Lets guest code of a store call directly, if it runs on this stack: of which `reserve` bytes must be left
/// to native code, and guest code may use `wasm`.
pub(super) fn open(strays: &Arc<Strays>, reserve: u64, wasm: usize) {
    let limits = stack::limits(reserve, wasm);
    if limits.is_empty() {
        return;
    }
    // A thread that is ending opens nothing.
    let known = OPENED.try_with(|opened| opened.borrow_mut().remember(strays));
    if known.is_ok() {
        strays.open(limits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESERVE: u64 = 256 << 10;
    const WASM: usize = 512 << 10;

    #[test]
    fn a_gate_is_closed_when_its_thread_ends() {
        let strays = Arc::<Strays>::default();
        let other = Arc::clone(&strays);
        let limit = std::thread::spawn(move || {
            open(&other, RESERVE, WASM);
            let here = std::mem::MaybeUninit::<u8>::uninit();
            let limit = here.as_ptr().addr() - WASM;
            assert!(other.gate.lets_pass(limit));
            limit
        });
        let limit = limit.join().expect("it does not panic");
        assert!(!strays.gate.lets_pass(limit));
    }

    #[test]
    fn stores_that_are_gone_are_forgotten() {
        let thread = std::thread::spawn(|| {
            for _ in 0..1000 {
                open(&Arc::default(), RESERVE, WASM);
            }
            let known = OPENED.with_borrow(|opened| opened.stores.len());
            assert!(known <= GONE + 1, "{known} are remembered");
        });
        thread.join().expect("it does not panic");
    }
}
