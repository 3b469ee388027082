//! Links by what an import says, so that another instance of a module costs a look-up an import.
use super::link::{CallerOf, Link, Request};
use crate::plan::Lowering;
use crate::plan::layout::DataModel;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Everything that a link depends on, beside the grants.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    module: Box<str>,
    name: Box<str>,
    lowering: Lowering,
    model: DataModel,
    memory: Option<Box<str>>,
    caller: CallerOf,
    may_move: bool,
}

/// Guests choose how they spell their imports, so that this would grow without bound.
const MOST_LINKS: usize = 1 << 14;
/// Longer names are linked anew each time.
const LONGEST_NAME: usize = 512;
/// And so is what is beyond so many ops: an import with a long tail has a large plan.
const MOST_OPS: usize = 1 << 17;

/// The links of a bridge.
#[derive(Debug, Default)]
pub(super) struct LinkCache {
    links: RwLock<Links>,
}

#[derive(Debug, Default)]
struct Links {
    by_key: HashMap<Key, Arc<Link>>,
    /// Of all their plans.
    ops: usize,
}

impl Key {
    /// `None` for what is not worth keeping.
    pub(super) fn new(name: &str, request: &Request<'_>) -> Option<Key> {
        if name.len() > LONGEST_NAME {
            return None;
        }
        Some(Key {
            module: request.module.into(),
            name: name.into(),
            lowering: request.lowering?.clone(),
            model: request.model,
            memory: request.memory.map(Box::from),
            caller: request.caller,
            may_move: request.may_move,
        })
    }
}

impl LinkCache {
    pub(super) fn get(&self, key: &Key) -> Option<Arc<Link>> {
        let links = self.links.read().unwrap_or_else(PoisonError::into_inner);
        links.by_key.get(key).map(Arc::clone)
    }

    pub(super) fn insert(&self, key: Key, link: &Arc<Link>) {
        let ops: usize = link.overloads.iter().map(|one| one.plan.ops.len()).sum();
        let mut links = self.links.write().unwrap_or_else(PoisonError::into_inner);
        let Links { by_key, ops: all } = &mut *links;
        if by_key.len() < MOST_LINKS && *all + ops <= MOST_OPS {
            let before = by_key.insert(key, Arc::clone(link));
            *all += if before.is_none() { ops } else { 0 };
        }
    }
}
