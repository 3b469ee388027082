//! The trampolines of a bridge: one for all functions and instances whose plans need the same code.
//!
//! Not here: making one (`cranelift_backend`), and when one is made (`tier`).
pub(super) use crate::cranelift_backend::Entry;
use crate::cranelift_backend::{Trampoline, identity, same_code};
use crate::plan::Plan;
use rustc_hash::FxBuildHasher;
use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// A trampoline that several may use. It goes with its last user.
#[derive(Clone, Debug)]
pub(super) struct Compiled(Arc<Known>);

#[derive(Debug)]
struct Known {
    trampoline: Trampoline,
    /// What it was made of.
    plan: Arc<Plan>,
}

impl Compiled {
    /// Where it is entered, as long as this lives.
    pub(super) fn entry(&self) -> Entry {
        self.0.trampoline.entry()
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Trampolines {
    known: Mutex<All>,
}

#[derive(Debug, Default)]
struct All {
    by_hash: HashMap<u64, Vec<Weak<Known>>, FxBuildHasher>,
    /// So many were made since it was looked last which of them nobody uses any more.
    made: usize,
}

impl Trampolines {
    /// The trampoline of a plan.
    ///
    /// # Errors
    /// Why it has none.
    pub(super) fn of(&self, plan: &Arc<Plan>) -> Result<Compiled, String> {
        let hash = FxBuildHasher.hash_one(identity(plan));
        if let Some(known) = self.known(hash, plan) {
            return Ok(known);
        }
        // Compiled outside of the lock. Who does the same at the same time is second, and shares.
        let trampoline = Trampoline::compile(plan).map_err(|why| why.to_string())?;
        if let Some(known) = self.known(hash, plan) {
            return Ok(known);
        }
        let made = Arc::new(Known { trampoline, plan: Arc::clone(plan) });
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        all.made += 1;
        if all.made > 64 + all.by_hash.len() {
            all.made = 0;
            all.by_hash.retain(|_, known| {
                known.retain(|one| one.strong_count() > 0);
                !known.is_empty()
            });
        }
        all.by_hash.entry(hash).or_default().push(Arc::downgrade(&made));
        Ok(Compiled(made))
    }

    fn known(&self, hash: u64, plan: &Plan) -> Option<Compiled> {
        let all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = all.by_hash.get(&hash)?.iter().filter_map(Weak::upgrade);
        found.find(|known| same_code(&known.plan, plan)).map(Compiled)
    }
}
