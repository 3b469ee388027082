//! Links by what an import says, so that another instance of a module costs a look-up an import.
use super::link::{Link, Request};
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
}

/// Guests choose how they spell their imports, so that this would grow without bound.
const MOST_LINKS: usize = 1 << 14;
/// Longer names are linked anew each time.
const LONGEST_NAME: usize = 512;

/// The links of a bridge.
#[derive(Debug, Default)]
pub(super) struct LinkCache {
    links: RwLock<HashMap<Key, Arc<Link>>>,
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
        })
    }
}

impl LinkCache {
    pub(super) fn get(&self, key: &Key) -> Option<Arc<Link>> {
        self.links.read().unwrap_or_else(PoisonError::into_inner).get(key).map(Arc::clone)
    }

    pub(super) fn insert(&self, key: Key, link: &Arc<Link>) {
        let mut links = self.links.write().unwrap_or_else(PoisonError::into_inner);
        if links.len() < MOST_LINKS {
            links.insert(key, Arc::clone(link));
        }
    }
}
