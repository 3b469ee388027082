//! The trampolines of a bridge: one for all functions and instances whose plans need the same code.
//!
//! Not here: making one (`cranelift_backend`), and when one is made (`tier`).
use super::tier::Tier;
use crate::cranelift_backend::callback::Typed;
use crate::cranelift_backend::direct::{self, Direct};
pub(super) use crate::cranelift_backend::{Entry, run};
use crate::cranelift_backend::{Stock, Trampoline, Unsupported, identity, same_code};
use crate::plan::Plan;
use crate::plan::interpret::callback::Code;
use rustc_hash::FxBuildHasher;
use std::collections::HashMap;
use std::ffi::c_void;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

/// A trampoline that several may use. It goes with its last user.
#[derive(Clone, Debug)]
pub(super) struct Compiled(Arc<Known<Trampoline>>);

/// Likewise, one that guests enter by themselves.
#[derive(Clone, Debug)]
pub(super) struct CompiledDirect(Arc<Known<Direct>>);

#[derive(Debug)]
struct Known<C> {
    code: C,
    /// What it was made of.
    plan: Arc<Plan>,
}

/// Likewise, the entry of closures.
#[derive(Clone, Debug)]
pub(super) struct CompiledCallback(Arc<Known<Arc<Typed>>>);

impl CompiledCallback {
    /// What closures install. They share the code, which goes with the last of them.
    pub(super) fn code(&self) -> Code {
        let code = self.0.code.entry();
        // The shelf finds it again as long as anybody has this.
        Code { owner: Arc::new(self.clone()), ..code }
    }
}

impl Compiled {
    /// Where it is entered, as long as this lives.
    pub(super) fn entry(&self) -> Entry {
        self.0.code.entry()
    }
}

impl CompiledDirect {
    /// Where it is entered, as long as this lives.
    pub(super) fn start(&self) -> *const c_void {
        self.0.code.start()
    }

    /// Whether it may leave work after the call to be done.
    pub(super) fn resumes(&self) -> bool {
        self.0.code.resumes()
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Trampolines {
    array: Shelf<Trampoline>,
    direct: Shelf<Direct>,
    callbacks: Shelf<Arc<Typed>>,
    /// What was made ahead of time.
    stock: Stock,
    /// Whether what is not there may be made.
    makes_code: bool,
}

/// Code of one kind.
#[derive(Debug)]
struct Shelf<C> {
    known: Mutex<All<C>>,
}

#[derive(Debug)]
struct All<C> {
    by_hash: HashMap<u64, Vec<Weak<Known<C>>>, FxBuildHasher>,
    /// So many were in use when it was looked last.
    used: usize,
}

impl<C> Default for Shelf<C> {
    fn default() -> Shelf<C> {
        Shelf { known: Mutex::new(All { by_hash: HashMap::default(), used: 0 }) }
    }
}

/// Why there is none where none may be made.
const NONE_MADE: &str = "none was made ahead of time, and the bridge makes no code";
/// So many that nobody uses any more may be remembered beside as many as are in use.
const UNUSED: usize = 64;

impl Trampolines {
    /// None yet but those in `stock`; others are made only if the bridge may make code.
    pub(super) fn new(stock: Stock, makes_code: bool) -> Trampolines {
        let (array, direct, callbacks) = (Shelf::default(), Shelf::default(), Shelf::default());
        Trampolines { array, direct, callbacks, stock, makes_code }
    }

    /// Whether what is not there may be made.
    pub(super) fn makes_code(&self) -> bool {
        self.makes_code
    }

    /// The fastest tier that there is something ready for.
    pub(super) fn ready_tier(&self) -> Tier {
        match (self.stock.is_empty(), self.stock.has_direct()) {
            (_, true) => Tier::Direct,
            (false, false) => Tier::Cranelift,
            (true, false) => Tier::Template,
        }
    }

    /// A trampoline that nobody has yet.
    fn make(&self, plan: &Plan) -> Result<Trampoline, String> {
        match self.stock.trampoline(plan) {
            Ok(Some(ready)) => Ok(ready),
            Ok(None) if self.makes_code => {
                told("cranelift", plan, || Trampoline::compile(plan), Trampoline::size)
            }
            Ok(None) => Err(NONE_MADE.to_owned()),
            Err(why) => Err(why.to_string()),
        }
    }

    /// Likewise, one that guests enter by themselves.
    fn make_direct(&self, plan: &Plan) -> Result<Direct, String> {
        match self.stock.direct(plan) {
            Ok(Some(ready)) => Ok(ready),
            Ok(None) if self.makes_code => {
                told("direct", plan, || Direct::compile(plan), Direct::size)
            }
            Ok(None) => Err(NONE_MADE.to_owned()),
            Err(why) => Err(why.to_string()),
        }
    }

    /// The direct trampoline of a plan, if it was made ahead of time.
    pub(super) fn ready_direct(&self, plan: &Arc<Plan>) -> Option<CompiledDirect> {
        let none = || NONE_MADE.to_owned();
        let ready = |plan: &Plan| self.stock.direct(plan).ok().flatten().ok_or_else(none);
        if self.stock.is_empty() {
            return None;
        }
        self.direct.of(plan, direct::same_code, ready).ok().map(CompiledDirect)
    }

    /// The trampoline of a plan.
    ///
    /// # Errors
    /// Why it has none.
    pub(super) fn of(&self, plan: &Arc<Plan>) -> Result<Compiled, String> {
        self.array.of(plan, same_code, |plan| self.make(plan)).map(Compiled)
    }

    /// The direct trampoline of a plan.
    ///
    /// # Errors
    /// Why it has none.
    pub(super) fn direct_of(&self, plan: &Arc<Plan>) -> Result<CompiledDirect, String> {
        self.direct.of(plan, direct::same_code, |plan| self.make_direct(plan)).map(CompiledDirect)
    }

    /// Likewise, the entry of closures whose calls that plan describes.
    pub(super) fn ready_callback(&self, plan: &Arc<Plan>) -> Option<CompiledCallback> {
        let none = || NONE_MADE.to_owned();
        let ready = |plan: &Plan| {
            let ready = self.stock.callback(plan).ok().flatten();
            ready.map(Arc::new).ok_or_else(none)
        };
        if self.stock.is_empty() {
            return None;
        }
        self.callbacks.of(plan, direct::same_code, ready).ok().map(CompiledCallback)
    }

    /// The entry of closures whose calls that plan describes.
    ///
    /// # Errors
    /// Why the interpreter makes them.
    pub(super) fn callback_of(&self, plan: &Arc<Plan>) -> Result<CompiledCallback, String> {
        let compile = |plan: &Plan| match self.stock.callback(plan) {
            Ok(Some(ready)) => Ok(Arc::new(ready)),
            Ok(None) if self.makes_code => {
                Typed::compile(plan).map(Arc::new).map_err(|why| why.to_string())
            }
            Ok(None) => Err(NONE_MADE.to_owned()),
            Err(why) => Err(why.to_string()),
        };
        self.callbacks.of(plan, direct::same_code, compile).map(CompiledCallback)
    }
}

/// Makes code, and tells how long that took.
fn told<C>(
    tier: &'static str,
    plan: &Plan,
    make: impl FnOnce() -> Result<C, Unsupported>,
    size: fn(&C) -> usize,
) -> Result<C, String> {
    let start = Instant::now();
    let made = make();
    let (symbol, us) = (&plan.prototype.name, start.elapsed().as_micros());
    match &made {
        Ok(code) => tracing::debug!(tier, %symbol, us, bytes = size(code), "made machine code"),
        Err(why) => tracing::debug!(tier, %symbol, us, %why, "no machine code"),
    }
    made.map_err(|why| why.to_string())
}

impl<C> Shelf<C> {
    fn of(
        &self,
        plan: &Arc<Plan>,
        same: fn(&Plan, &Plan) -> bool,
        compile: impl Fn(&Plan) -> Result<C, String>,
    ) -> Result<Arc<Known<C>>, String> {
        let hash = FxBuildHasher.hash_one(identity(plan));
        if let Some(known) = self.known(hash, plan, same) {
            return Ok(known);
        }
        // Compiled outside of the lock. Who does the same at the same time is second, and shares.
        let code = compile(plan)?;
        if let Some(known) = self.known(hash, plan, same) {
            return Ok(known);
        }
        let made = Arc::new(Known { code, plan: Arc::clone(plan) });
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let All { by_hash, used } = &mut *all;
        if by_hash.len() >= 2 * *used + UNUSED {
            by_hash.retain(|_, known| {
                known.retain(|one| one.strong_count() > 0);
                !known.is_empty()
            });
            *used = by_hash.len();
        }
        by_hash.entry(hash).or_default().push(Arc::downgrade(&made));
        Ok(made)
    }

    fn known(
        &self,
        hash: u64,
        plan: &Plan,
        same: fn(&Plan, &Plan) -> bool,
    ) -> Option<Arc<Known<C>>> {
        let all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = all.by_hash.get(&hash)?.iter().filter_map(Weak::upgrade);
        found.find(|known| same(&known.plan, plan))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::abi::Abi;
    use crate::plan::compile::{Target, compile};
    use crate::plan::handles::HandleType;
    use crate::plan::layout::DataModel;
    use crate::signature::{Record, Scope, parse_prototype};

    struct OneType;
    impl crate::plan::HandleTypes for OneType {
        fn number(&self, _: &Record) -> HandleType {
            HandleType(1)
        }
    }

    fn plan(text: &str) -> Arc<Plan> {
        let scope = Scope::default();
        let prototype = parse_prototype(text, &scope).unwrap_or_else(|error| panic!("{error}"));
        let target = Target {
            model: DataModel::Ilp32,
            abi: Abi::SysvX86_64,
            leaf: true,
            scope: &scope,
            import: None,
            handle_types: &OneType,
            grants: &|_| None,
        };
        Arc::new(compile(&Arc::new(prototype), &target).unwrap_or_else(|error| panic!("{error}")))
    }

    #[test]
    fn plans_that_differ_in_names_share_their_code_while_it_is_used() {
        let all = Trampolines::new(Stock::new(), true);
        let cos = all.of(&plan("double cos(double x)")).expect("it is compiled");
        let sin = all.of(&plan("double sin(double angle)")).expect("it is compiled");
        assert!(Arc::ptr_eq(&cos.0, &sin.0));
        let float = all.of(&plan("float cosf(float x)")).expect("it is compiled");
        assert!(!Arc::ptr_eq(&cos.0, &float.0));
        let used = Arc::downgrade(&cos.0);
        drop(cos);
        assert!(used.upgrade().is_some());
        drop(sin);
        assert!(used.upgrade().is_none(), "nobody uses it any more");
        let again = all.of(&plan("double tan(double x)")).expect("it is compiled");
        assert_eq!(Arc::strong_count(&again.0), 1);
    }

    #[test]
    fn what_nobody_uses_is_forgotten() {
        let all = Trampolines::new(Stock::new(), true);
        let kept = all.of(&plan("int f(int a)")).expect("it is compiled");
        for number in 0..200 {
            let text = format!("int f(int a __range(0, {number}))");
            drop(all.of(&plan(&text)).expect("it is compiled"));
        }
        let hashes = all.array.known.lock().expect("not poisoned").by_hash.len();
        assert!(hashes < 150, "{hashes} are remembered");
        assert!(Arc::ptr_eq(&kept.0, &all.of(&plan("int g(int b)")).expect("it is known").0));
    }
}
