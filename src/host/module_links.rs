//! What the imports of a module are, so that its next instance does not have to ask for each.
//!
//! ```text
//! address of the module's code ──> Imports   names, types and links, in order; what its exports offer
//! ```
//!
//! An address may have become that of another module since. So what is found there is compared with the module, name by
//! name, type by type and offer by offer: everything that links are made of. Two modules that agree in all of it have the
//! same links, whichever they are. No module is kept alive by that. Comparing takes a tenth of a microsecond an import; so
//! a few small modules that were instantiated last are kept, which are told from others by who they are.
//!
//! Not here: what may change from one instance to the next. Whoever must be asked when something is linked is asked for
//! each instance, and so is the embedder's linker for what is not ours.
use super::bridge::Resolved;
use super::link::Link;
use super::memory::Place;
use super::module_view::ModuleView;
use crate::plan::layout::DataModel;
use rustc_hash::FxBuildHasher;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use wasmtime::{ExternType, FuncType, ImportType, Module};

/// The imports of a module.
#[derive(Debug)]
pub(super) struct Imports {
    all: Box<[Import]>,
    /// How many are not for the bridge.
    theirs: usize,
    offers: Offers,
    /// Since somebody looked for what may be forgotten.
    used: AtomicBool,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Import {
    module: Box<str>,
    name: Box<str>,
    /// `None`: it is no function.
    ty: Option<FuncType>,
    /// `None`: it is not for the bridge.
    ours: Option<Resolved>,
}

impl Import {
    /// What an import is.
    pub(super) fn new(import: &ImportType<'_>, ours: Option<(Resolved, FuncType)>) -> Import {
        let (ours, ty) = match ours {
            Some((ours, ty)) => (Some(ours), Some(ty)),
            None => (None, function(import)),
        };
        Import { module: import.module().into(), name: import.name().into(), ty, ours }
    }

    /// What it is to the bridge, and its type; `None` if it is not for the bridge.
    pub(super) fn ours(&self) -> Option<(&Resolved, &FuncType)> {
        Some((self.ours.as_ref()?, self.ty.as_ref()?))
    }

    fn link(&self) -> Option<&Arc<Link>> {
        match self.ours.as_ref()? {
            Resolved::Native(link) => Some(link),
            Resolved::GuestFree { .. } | Resolved::ReleaseCallback | Resolved::Errno { .. } => None,
        }
    }

    fn is(&self, import: &ImportType<'_>) -> bool {
        *self.name == *import.name()
            && *self.module == *import.module()
            && match (&self.ty, function(import)) {
                (Some(known), Some(found)) => FuncType::eq(known, &found),
                (None, None) => true,
                (Some(_), None) | (None, Some(_)) => false,
            }
    }

    /// How much is kept for it.
    fn weight(&self) -> usize {
        let overloads = self.link().into_iter().flat_map(|link| &link.overloads);
        let plans: usize = overloads.map(|one| one.plan.ops.len()).sum();
        1 + plans + (self.module.len() + self.name.len()) / 64
    }
}

fn function(import: &ImportType<'_>) -> Option<FuncType> {
    match import.ty() {
        ExternType::Func(ty) => Some(ty),
        _ => None,
    }
}

impl Imports {
    /// In their order; `view` has been asked for all that they are made of.
    pub(super) fn new(all: Vec<Import>, view: &ModuleView<'_>) -> Imports {
        let offers = Offers::of(view, &all);
        let theirs = all.iter().filter(|one| one.ours.is_none()).count();
        Imports { all: all.into(), theirs, offers, used: AtomicBool::new(true) }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether the bridge has any of them.
    pub(super) fn has_ours(&self) -> bool {
        self.theirs < self.all.len()
    }

    /// Whether nobody else has any of them.
    pub(super) fn are_all_ours(&self) -> bool {
        self.theirs == 0
    }

    /// In the order of the module.
    pub(super) fn iter(&self) -> std::slice::Iter<'_, Import> {
        self.all.iter()
    }

    /// Whether they are what the imports of that module would be.
    fn are_of(&self, view: &ModuleView<'_>) -> bool {
        let imports = view.module.imports();
        imports.len() == self.all.len()
            && imports.zip(&self.all).all(|(import, known)| known.is(&import))
            && self.offers.are_of(view)
    }

    fn weight(&self) -> usize {
        self.all.iter().map(Import::weight).sum()
    }
}

/// What links ask of a module beside its imports, and have found there.
#[derive(Debug)]
struct Offers {
    memories: Box<[NamedOffer]>,
    table: bool,
    allocate: bool,
    free: bool,
}

/// By the name that an interface has for it; `None`: the usual one.
type NamedOffer = (Option<Box<str>>, Option<MemoryOffer>);

#[derive(Debug, PartialEq)]
struct MemoryOffer {
    model: DataModel,
    may_move: bool,
    imported: Option<usize>,
}

impl Offers {
    fn of(view: &ModuleView<'_>, all: &[Import]) -> Offers {
        let links = || all.iter().filter_map(Import::link);
        let names = view.asked().into_iter().map(Some).chain([None]);
        let memory = |name: Option<Box<str>>| {
            let offer = MemoryOffer::of(view, name.as_deref());
            (name, offer)
        };
        Offers {
            memories: names.map(memory).collect(),
            table: links().any(|link| link.needs_table),
            allocate: links().any(|link| link.allocates),
            free: all.iter().any(|one| matches!(one.ours, Some(Resolved::GuestFree { .. }))),
        }
    }

    fn are_of(&self, view: &ModuleView<'_>) -> bool {
        let mut memories = self.memories.iter();
        memories.all(|(name, offer)| *offer == MemoryOffer::of(view, name.as_deref()))
            && (!self.table || view.table().is_ok())
            && (!self.allocate || view.allocator().why_not_allocate().is_none())
            && (!self.free || view.allocator().why_not_free().is_none())
    }
}

impl MemoryOffer {
    /// `None`: there is no such memory, and no link needs it.
    fn of(view: &ModuleView<'_>, named: Option<&str>) -> Option<MemoryOffer> {
        let memory = view.memory(named).ok()?;
        let imported = match memory.place {
            Place::Import(position) => Some(position),
            Place::Export(_) => None,
        };
        Some(MemoryOffer { model: memory.model, may_move: memory.may_move, imported })
    }
}

/// The imports of modules that have been instantiated lately.
#[derive(Debug, Default)]
pub(super) struct ModuleLinks {
    known: RwLock<Known>,
}

#[derive(Debug, Default)]
struct Known {
    by_address: HashMap<usize, Arc<Imports>, FxBuildHasher>,
    /// Of them all.
    weight: usize,
    /// The last ones, themselves.
    last: VecDeque<(Module, Arc<Imports>)>,
}

/// So many modules are remembered.
const MOST_MODULES: usize = 256;
/// And so many imports, ops of their plans and 64 bytes of their names.
const MOST_WEIGHT: usize = 1 << 17;
/// So many are kept themselves,
const MOST_KEPT: usize = 8;
/// if their code and data have no more bytes than this.
const MOST_BYTES: usize = 1 << 20;

impl ModuleLinks {
    /// The imports of a module, if they are known.
    pub(super) fn get(&self, view: &ModuleView<'_>) -> Option<Arc<Imports>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, found)) =
            known.last.iter().find(|(last, _)| Module::same(last, view.module))
        {
            return Some(Arc::clone(found));
        }
        let found = known.by_address.get(&address(view.module)).map(Arc::clone);
        drop(known);
        let found = found.filter(|found| found.are_of(view))?;
        found.used.store(true, Ordering::Relaxed);
        self.keep(view.module, &found);
        Some(found)
    }

    /// Keeps the module for now, if it is small.
    fn keep(&self, module: &Module, imports: &Arc<Imports>) {
        let range = module.image_range();
        if range.end.addr() - range.start.addr() > MOST_BYTES {
            return;
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have been first.
        if known.last.iter().any(|(last, _)| Module::same(last, module)) {
            return;
        }
        let too_many = known.last.len() >= MOST_KEPT;
        let dropped = if too_many { known.last.pop_front() } else { None };
        known.last.push_back((module.clone(), Arc::clone(imports)));
        drop(known);
        // Its memory may be given back now, which takes time.
        drop(dropped);
    }

    /// Remembers the imports of a module.
    pub(super) fn insert(&self, module: &Module, imports: &Arc<Imports>) {
        let added = imports.weight();
        if added > MOST_WEIGHT / 4 {
            return;
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let Known { by_address, weight, .. } = &mut *known;
        if let Some(before) = by_address.remove(&address(module)) {
            *weight -= before.weight();
        }
        if by_address.len() >= MOST_MODULES || *weight + added > MOST_WEIGHT {
            by_address.retain(|_, imports| imports.used.swap(false, Ordering::Relaxed));
            *weight = by_address.values().map(|imports| imports.weight()).sum();
        }
        if by_address.len() >= MOST_MODULES || *weight + added > MOST_WEIGHT {
            (*by_address, *weight) = (HashMap::default(), 0);
        }
        *weight += added;
        by_address.insert(address(module), Arc::clone(imports));
        drop(known);
        self.keep(module, imports);
    }
}

/// Modules that live have addresses of their own.
fn address(module: &Module) -> usize {
    module.image_range().start.addr()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Bridge, Natives};
    use crate::interfaces;
    use wasmtime::{Engine, Linker, Store};

    fn libm(engine: &Engine) -> Bridge {
        let builder = Bridge::builder(engine).grant(interfaces::libm()).expect("it is correct");
        builder.build().expect("a bridge")
    }

    fn instantiate(bridge: &Bridge, module: &Module) {
        let mut store = Store::new(bridge.engine(), Natives::default());
        let linker = Linker::new(bridge.engine());
        let made = bridge.instantiate(&mut store, &linker, module, |natives| natives);
        made.unwrap_or_else(|error| panic!("{error:?}"));
    }

    fn module(engine: &Engine, more: &str) -> Module {
        let text = format!(
            r#"(module (import "libm.so.6" "double cos(double)" (func (param f64) (result f64))) {more})"#
        );
        Module::new(engine, text).expect("a module")
    }

    #[test]
    fn a_module_is_known_from_its_first_instance_on() {
        let engine = Engine::default();
        let (bridge, other) = (libm(&engine), libm(&engine));
        let cos = module(&engine, "");
        assert!(bridge.shared.modules.get(&ModuleView::new(&cos)).is_none());
        instantiate(&bridge, &cos);
        let known = bridge.shared.modules.get(&ModuleView::new(&cos)).expect("it is known");
        instantiate(&bridge, &cos);
        let still = bridge.shared.modules.get(&ModuleView::new(&cos)).expect("it is known");
        assert!(Arc::ptr_eq(&known, &still));
        assert!(other.shared.modules.get(&ModuleView::new(&cos)).is_none());
        // At its address, but another one.
        let more = module(&engine, "(memory (export \"memory\") 1)");
        assert!(known.are_of(&ModuleView::new(&cos)) && !known.are_of(&ModuleView::new(&more)));
    }

    #[test]
    fn few_of_thousands_of_modules_are_remembered_and_fewer_kept() {
        let engine = Engine::default();
        let bridge = libm(&engine);
        let kept: Vec<Module> = (0..3000)
            .map(|_| module(&engine, ""))
            .inspect(|module| instantiate(&bridge, module))
            .collect();
        let count = || {
            let known = bridge.shared.modules.known.read().expect("not poisoned");
            assert!(known.last.len() <= MOST_KEPT);
            let weight: usize = known.by_address.values().map(|one| one.weight()).sum();
            assert_eq!(known.weight, weight);
            known.by_address.len()
        };
        assert!((1..=MOST_MODULES).contains(&count()));
        let mut known =
            kept.iter().map(|module| bridge.shared.modules.get(&ModuleView::new(module)));
        assert!(known.any(|imports| imports.is_some()));
        drop(kept);
        // Those that are gone leave their addresses, and with them their entries, to those that come.
        for _ in 0..300 {
            instantiate(&bridge, &module(&engine, ""));
        }
        assert!((1..=MOST_MODULES).contains(&count()));
    }
}
