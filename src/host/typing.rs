//! Which closures have compiled entries, and when those are made: at once, or when closures of their type are
//! called often (then on the thread that makes all such code, see `hot`).
use super::hot::{Job, Jobs};
use super::tier::Tier;
use super::trampolines::{CompiledCallback, Trampolines};
use crate::plan::Plan;
use crate::plan::interpret::callback::{Code, Typing};
use rustc_hash::FxBuildHasher;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

/// The closures' code of a bridge.
pub(super) struct Types {
    trampolines: Arc<Trampolines>,
    jobs: Arc<Jobs>,
    /// Code is made after so many calls of closures of a type; `None`: with the first closure.
    after: Option<u32>,
    /// No code is wanted.
    never: bool,
    hot: Mutex<HashMap<usize, Weak<HotType>, FxBuildHasher>>,
}

/// How a new closure gets its entry.
pub(super) enum Wanted {
    /// It has one now.
    Now(Code),
    /// It will have one when its type is hot.
    Later(Arc<HotType>),
    /// The interpreter makes all its calls.
    Never,
}

/// A type of closures that may become hot.
pub(super) struct HotType {
    /// Of the kind of callbacks. Keeps its address, by which it is known.
    plan: Arc<Plan>,
    calls: AtomicU32,
    after: u32,
    code: OnceLock<Option<CompiledCallback>>,
    /// Weak, because a closure that is gone has its type until its stub is used again: the thread that makes code
    /// goes with the bridge and its stores.
    jobs: Weak<Jobs>,
    own: Weak<HotType>,
}

impl Types {
    pub(super) fn new(
        most: Tier,
        after: Option<u32>,
        trampolines: &Arc<Trampolines>,
        jobs: &Arc<Jobs>,
    ) -> Types {
        let (trampolines, jobs) = (Arc::clone(trampolines), Arc::clone(jobs));
        let hot = Mutex::default();
        Types { trampolines, jobs, after, never: most < Tier::Cranelift, hot }
    }

    /// How a closure of that type, one of callbacks, gets its entry.
    pub(super) fn of(&self, plan: &Arc<Plan>) -> Wanted {
        if self.never {
            return Wanted::Never;
        }
        // What was made ahead of time is there at once.
        if let Some(ready) = self.trampolines.ready_callback(plan) {
            return Wanted::Now(ready.code());
        }
        let Some(after) = self.after else {
            return match self.trampolines.callback_of(plan) {
                Ok(compiled) => Wanted::Now(compiled.code()),
                Err(why) => {
                    let symbol = &plan.prototype.name;
                    tracing::debug!(%symbol, %why, "a closure has no compiled entry");
                    Wanted::Never
                }
            };
        };
        let mut hot = self.hot.lock().unwrap_or_else(PoisonError::into_inner);
        hot.retain(|_, one| one.strong_count() > 0);
        let address = Arc::as_ptr(plan).addr();
        let known = hot.get(&address).and_then(Weak::upgrade);
        let one = known.unwrap_or_else(|| {
            let made = Arc::new_cyclic(|own: &Weak<HotType>| HotType {
                plan: Arc::clone(plan),
                calls: AtomicU32::new(0),
                after: after.max(1),
                code: OnceLock::new(),
                jobs: Arc::downgrade(&self.jobs),
                own: Weak::clone(own),
            });
            hot.insert(address, Arc::downgrade(&made));
            made
        });
        Wanted::Later(one)
    }
}

impl Typing for HotType {
    fn count(&self) -> Option<Code> {
        let calls = self.calls.load(Ordering::Relaxed);
        if calls < self.after {
            if self.calls.fetch_add(1, Ordering::Relaxed) + 1 == self.after
                && let (Some(own), Some(jobs)) = (self.own.upgrade(), self.jobs.upgrade())
            {
                jobs.push(own);
            }
            return None;
        }
        self.code.get()?.as_ref().map(CompiledCallback::code)
    }
}

impl Job for HotType {
    fn compile(&self, trampolines: &Trampolines) {
        let symbol = &self.plan.prototype.name;
        self.code.get_or_init(|| match trampolines.callback_of(&self.plan) {
            Ok(code) => {
                tracing::debug!(%symbol, "made an entry of hot closures");
                Some(code)
            }
            Err(why) => {
                tracing::debug!(%symbol, %why, "hot closures have no compiled entry");
                None
            }
        });
    }
}

impl fmt::Debug for Types {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Types").field("after", &self.after).finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "cranelift"))]
mod tests {
    use super::*;
    use crate::cranelift_backend::Stock;
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

    fn callback(text: &str) -> Arc<Plan> {
        let scope = Scope::default();
        let prototype = parse_prototype(text, &scope).unwrap_or_else(|error| panic!("{error}"));
        let target = Target {
            model: DataModel::Ilp32,
            abi: Abi::SysvX86_64,
            leaf: false,
            scope: &scope,
            import: None,
            handle_types: &OneType,
            grants: &|_| None,
        };
        let plan = compile(&Arc::new(prototype), &target);
        let plan = plan.unwrap_or_else(|error| panic!("{error}"));
        Arc::clone(&plan.callbacks[0].plan)
    }

    fn types(most: Tier, after: Option<u32>, makes_code: bool) -> Types {
        let trampolines = Arc::new(Trampolines::new(Stock::new(), makes_code));
        let jobs = Jobs::new(&trampolines);
        Types::new(most, after, &trampolines, &jobs)
    }

    fn now(types: &Types, plan: &Arc<Plan>) -> Option<Code> {
        match types.of(plan) {
            Wanted::Now(code) => Some(code),
            Wanted::Later(_) | Wanted::Never => None,
        }
    }

    #[test]
    fn closures_share_their_code_while_one_has_it() {
        let types = types(Tier::Cranelift, None, true);
        let one =
            now(&types, &callback("void f(int (*g)(int a, void *__cookie b), void *__cookie b)"));
        let other =
            now(&types, &callback("void f(int (*h)(int c, void *__cookie d), void *__cookie d)"));
        let (one, other) = (one.expect("it is compiled"), other.expect("it is compiled"));
        assert_eq!((one.start, one.integers), (other.start, 2));
        let wide = now(&types, &callback("void f(int (*g)(long long a))")).expect("it is compiled");
        assert_ne!(wide.start, one.start);
        let kept = Arc::downgrade(&other.owner);
        drop(one);
        assert!(kept.upgrade().is_some());
        drop(other);
        assert!(kept.upgrade().is_none());
    }

    #[test]
    fn nothing_is_made_where_nothing_may_be() {
        let plan = callback("void f(int (*g)(int a))");
        assert!(now(&types(Tier::Template, None, true), &plan).is_none());
        assert!(now(&types(Tier::Direct, None, false), &plan).is_none());
        let data = callback("void f(const char *(*g)(int a))");
        assert!(now(&types(Tier::Cranelift, None, true), &data).is_none());
    }

    #[test]
    fn a_type_is_hot_for_all_its_closures() {
        let types = types(Tier::Direct, Some(10), true);
        let plan = callback("void f(double (*g)(double a, float b))");
        let later = || match types.of(&plan) {
            Wanted::Later(hot) => hot,
            Wanted::Now(_) | Wanted::Never => panic!("it must become hot first"),
        };
        let (one, other) = (later(), later());
        assert!(Arc::ptr_eq(&one, &other));
        for _ in 0..5 {
            assert!(one.count().is_none() && other.count().is_none());
        }
        let code = loop {
            match other.count() {
                Some(code) => break code,
                None => std::thread::yield_now(),
            }
        };
        assert_eq!(code.integers, 0);
        assert_eq!(one.count().map(|code| code.start), Some(code.start));
    }
}
