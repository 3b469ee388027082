//! What the embedder keeps in its store's data.
use super::bridge::Shared;
use super::store_block::StoreState;
use crate::plan::StoreBlock;
use std::any::TypeId;
use std::fmt;
use std::sync::{Arc, Weak};

/// Finds the state of native calls again when a store gets another instance, so that all its
/// instances share handles. Keep one in the data of your store:
///
/// ```
/// #[derive(Default)]
/// struct State {
///     natives: portcullis::host::Natives,
/// }
/// ```
///
/// The store's functions own that state, not this: dropping, moving, swapping or replacing it is safe
/// at any time, also into the data of another store. Instances that exist are not affected, and the
/// next one gets state of its own.
#[derive(Default)]
pub struct Natives {
    known: Vec<Known>,
}

/// The state of one store for one bridge.
struct Known {
    /// Address of the store's data.
    owner: Owner,
    /// The bridge; only compared.
    bridge: Weak<Shared>,
    state: Weak<StoreState>,
}

/// Tells stores apart: the address of the store's data, which never moves while the store lives, and its type:
/// closures of a state are entered by code that was compiled for that type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    address: usize,
    ty: TypeId,
}

impl Owner {
    /// The store whose data this is; `None` for data without a size, which may share its address
    /// with something else.
    pub(super) fn of<T: 'static>(data: &T) -> Option<Owner> {
        let address = std::ptr::from_ref(data).addr();
        (size_of::<T>() != 0).then(|| Owner { address, ty: TypeId::of::<T>() })
    }
}

impl Known {
    fn is_of(&self, bridge: &Arc<Shared>) -> bool {
        std::ptr::eq(self.bridge.as_ptr(), Arc::as_ptr(bridge))
    }
}

impl Natives {
    /// The state of the store `owner` for that bridge, if there is one already.
    ///
    /// It is the right one: while a store lives no other has its data at the same address, and a
    /// state of a store that is gone cannot be upgraded, because only the store's own functions
    /// kept it alive.
    pub(super) fn find(&self, owner: Owner, bridge: &Arc<Shared>) -> Option<Arc<StoreState>> {
        let known = self.known.iter().find(|one| one.owner == owner && one.is_of(bridge))?;
        known.state.upgrade()
    }

    /// For tests that look whether a store's state is sound: `f` gets the block of each store that is known here,
    /// and how many closures it has.
    ///
    /// # Safety
    /// The caller has these stores in its hands, or is called by one of them: no other thread runs their guests,
    /// or drops them, meanwhile.
    #[doc(hidden)]
    #[expect(unsafe_code, reason = "the cells of a store are its thread's")]
    pub unsafe fn look_at_state(&self, mut f: impl FnMut(&StoreBlock, usize)) {
        for state in self.known.iter().filter_map(|known| known.state.upgrade()) {
            let closures = state.closures.borrow().count();
            f(&state.block, closures);
        }
    }

    /// Remembers the state of a store.
    pub(super) fn remember(&mut self, owner: Owner, bridge: &Arc<Shared>, state: &Arc<StoreState>) {
        self.known.retain(|known| {
            known.state.strong_count() > 0 && !(known.owner == owner && known.is_of(bridge))
        });
        let (bridge, state) = (Arc::downgrade(bridge), Arc::downgrade(state));
        self.known.push(Known { owner, bridge, state });
    }
}

impl fmt::Debug for Natives {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Natives").field("stores", &self.known.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two types may have one address; no two stores do.
    #[test]
    fn data_of_another_type_is_another_stores() {
        struct Outer {
            inner: u64,
        }
        let data = Outer { inner: 1 };
        let (outer, inner) = (Owner::of(&data), Owner::of(&data.inner));
        assert_eq!(std::ptr::from_ref(&data).addr(), std::ptr::from_ref(&data.inner).addr());
        assert!(outer.is_some() && outer == Owner::of(&data));
        assert_ne!(outer, inner);
        assert_eq!(Owner::of(&()), None, "data without a size has no address of its own");
    }
}
