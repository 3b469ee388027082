//! What the embedder has to say: which imports it links, which calls it lets pass, and on what terms.
//!
//! ```text
//! Rules   what the builder was told                 of a bridge
//! Terms   what of it a granted function must heed   of an overload, found when it is linked
//! ```
//!
//! A function with terms is asked for at each call, before anything of the call is looked at. So such
//! functions are never called directly; all others pay nothing.
#![expect(unsafe_code, reason = "reads unchecked wasm values")]
use super::call::call_error;
use super::error::{BuildError, LinkProblem};
use super::grants::Grants;
use super::link::Overload;
use crate::plan::{Problem, WasmType};
use crate::signature::{NoteKind, Prototype};
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, ThreadId};
use wasmtime::{AsContext, AsContextMut, Caller, Memory, Trap, V128, Val, ValRaw};

/// A native function that a guest imports, as far as is known when it is linked. See
/// [`BridgeBuilder::on_link`](super::BridgeBuilder::on_link).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Linking<'a> {
    /// The import's module.
    pub module: &'a str,
    /// The name of the interface that grants the function; of the library, where the guest's own
    /// prototypes stand for it.
    pub interface: &'a str,
    /// What is granted.
    pub prototype: &'a Prototype,
    /// The file of the library; `None` when the embedder supplied the address.
    pub library: Option<&'a Path>,
}

/// A call that a guest is about to make. See [`BridgeBuilder::on_call`](super::BridgeBuilder::on_call).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Calling<'a> {
    /// The import, as errors call it: `zlib.crc32`.
    pub import: &'a str,
    /// What is granted.
    pub prototype: &'a Prototype,
    /// The guest's values, in the order of the import's wasm type. Nothing of them has been checked.
    pub arguments: &'a [Val],
    memory: Option<&'a [u8]>,
}

impl<'a> Calling<'a> {
    /// So many bytes of the memory that pointers point into; `None` when they are not all inside it, or
    /// other threads may write to it.
    #[must_use]
    pub fn bytes(&self, address: u64, len: u64) -> Option<&'a [u8]> {
        let start = usize::try_from(address).ok()?;
        let end = start.checked_add(usize::try_from(len).ok()?)?;
        self.memory?.get(start..end)
    }

    /// The string at an address, without its zero; `None` as [`Calling::bytes`], and when it does not end.
    #[must_use]
    pub fn string(&self, address: u64) -> Option<&'a [u8]> {
        let rest = self.memory?.get(usize::try_from(address).ok()?..)?;
        rest.get(..memchr::memchr(0, rest)?)
    }
}

type LinkHook = dyn Fn(&Linking<'_>) -> Result<(), String> + Send + Sync;
type Selects = dyn Fn(&Linking<'_>) -> bool + Send + Sync;
type CallHook = dyn Fn(&Calling<'_>) -> Result<(), String> + Send + Sync;

/// What a bridge's builder was told.
#[derive(Default)]
pub(super) struct Rules {
    on_link: Vec<Box<LinkHook>>,
    on_call: Vec<(Box<Selects>, Arc<CallHook>)>,
    revocable: Vec<(Arc<str>, Arc<AtomicBool>)>,
    pinned: Vec<(Arc<str>, Arc<OnceLock<ThreadId>>)>,
    /// Native code is watched.
    pub(super) guard: bool,
}

/// What calls of one granted function must heed.
pub(super) struct Terms {
    interface: Arc<str>,
    hooks: Box<[Arc<CallHook>]>,
    revoked: Option<Arc<AtomicBool>>,
    thread: Option<Arc<OnceLock<ThreadId>>>,
    /// Charged before each call.
    fuel: u64,
}

impl Rules {
    pub(super) fn on_link(&mut self, hook: Box<LinkHook>) {
        self.on_link.push(hook);
    }

    pub(super) fn on_call(&mut self, selects: Box<Selects>, hook: Arc<CallHook>) {
        self.on_call.push((selects, hook));
    }

    pub(super) fn revocable(&mut self, interface: &str) {
        if !self.revocable.iter().any(|(known, _)| **known == *interface) {
            self.revocable.push((interface.into(), Arc::default()));
        }
    }

    pub(super) fn pin(&mut self, interface: &str) {
        if !self.pinned.iter().any(|(known, _)| **known == *interface) {
            self.pinned.push((interface.into(), Arc::default()));
        }
    }

    /// Every interface that is named must be granted, or a library trusted: whoever misspells one would
    /// believe that it is watched.
    pub(super) fn check(&self, grants: &Grants) -> Result<(), BuildError> {
        let revocable = self.revocable.iter().map(|(name, _)| name);
        let mut named = revocable.chain(self.pinned.iter().map(|(name, _)| name));
        let known: Vec<&str> =
            grants.interfaces().map(|one| &*one.name).chain(grants.trusted()).collect();
        match named.find(|name| !known.contains(&&***name)) {
            None => Ok(()),
            Some(name) => Err(BuildError::NotGranted {
                interface: name.to_string(),
                granted: known.into_iter().map(str::to_owned).collect(),
            }),
        }
    }

    /// Takes an interface away. `false` when nobody said that this might happen.
    pub(super) fn revoke(&self, interface: &str) -> bool {
        let found = self.revocable.iter().find(|(name, _)| **name == *interface);
        if let Some((_, revoked)) = found {
            revoked.store(true, Ordering::SeqCst);
        }
        found.is_some()
    }

    /// Whether somebody may say that an import is not to be linked.
    pub(super) fn ask_when_linked(&self) -> bool {
        !self.on_link.is_empty() || !self.revocable.is_empty()
    }

    /// Asks whether an import may be linked.
    pub(super) fn ask(&self, linking: &Linking<'_>) -> Result<(), LinkProblem> {
        if let Some((_, revoked)) =
            self.revocable.iter().find(|(name, _)| **name == *linking.interface)
            && revoked.load(Ordering::SeqCst)
        {
            return Err(LinkProblem::Revoked { interface: linking.interface.to_owned() });
        }
        let refused = self.on_link.iter().find_map(|hook| hook(linking).err());
        refused.map_or(Ok(()), |reason| Err(LinkProblem::Refused { reason }))
    }

    /// What calls of a function must heed, if anything.
    pub(super) fn terms(&self, linking: &Linking<'_>) -> Option<Arc<Terms>> {
        let of = |name: &Arc<str>| **name == *linking.interface;
        let hooks = self.on_call.iter().filter(|(selects, _)| selects(linking));
        let revoked = self.revocable.iter().find(|(name, _)| of(name));
        let thread = self.pinned.iter().find(|(name, _)| of(name));
        let fuel = linking.prototype.notes.iter().find_map(|note| match note.kind {
            NoteKind::Fuel(fuel) => Some(fuel),
            _ => None,
        });
        let terms = Terms {
            interface: linking.interface.into(),
            hooks: hooks.map(|(_, hook)| Arc::clone(hook)).collect(),
            revoked: revoked.map(|(_, revoked)| Arc::clone(revoked)),
            thread: thread.map(|(_, thread)| Arc::clone(thread)),
            fuel: fuel.unwrap_or(0),
        };
        let is_free = terms.hooks.is_empty()
            && terms.revoked.is_none()
            && terms.thread.is_none()
            && terms.fuel == 0;
        (!is_free).then(|| Arc::new(terms))
    }
}

impl Terms {
    /// Whether calls want to know the guest's memory.
    pub(super) fn look_at_memory(&self) -> bool {
        !self.hooks.is_empty()
    }

    /// Lets a call pass, and charges for it, or says why not.
    ///
    /// # Safety
    /// There is a slot for each parameter, and it has a value of that type.
    pub(super) unsafe fn ask<T: 'static>(
        &self,
        caller: &mut Caller<'_, T>,
        import: &str,
        overload: &Overload,
        slots: *const ValRaw,
        memory: Option<Memory>,
    ) -> wasmtime::Result<()> {
        let refuse = |problem| Err(call_error(import, problem));
        let interface = || self.interface.to_string();
        if self.revoked.as_ref().is_some_and(|revoked| revoked.load(Ordering::SeqCst)) {
            return refuse(Problem::Revoked { interface: interface() });
        }
        if let Some(thread) = &self.thread
            && *thread.get_or_init(|| thread::current().id()) != thread::current().id()
        {
            return refuse(Problem::OtherThread { interface: interface() });
        }
        if !self.hooks.is_empty() {
            // SAFETY: the caller's promise.
            let arguments = unsafe { values(&overload.plan.lowering.params, slots) };
            let calling = Calling {
                import,
                prototype: &overload.plan.prototype,
                arguments: &arguments,
                memory: memory.as_ref().map(|memory| memory.data(caller.as_context())),
            };
            if let Some(reason) = self.hooks.iter().find_map(|hook| hook(&calling).err()) {
                return refuse(Problem::Refused { reason });
            }
        }
        self.charge(caller)
    }

    /// Nothing is charged where the engine counts no fuel.
    fn charge<T: 'static>(&self, caller: &mut Caller<'_, T>) -> wasmtime::Result<()> {
        if self.fuel == 0 {
            return Ok(());
        }
        let mut store = caller.as_context_mut();
        let Ok(left) = store.get_fuel() else { return Ok(()) };
        match left.checked_sub(self.fuel) {
            Some(left) => store.set_fuel(left),
            None => {
                store.set_fuel(0)?;
                Err(Trap::OutOfFuel.into())
            }
        }
    }
}

/// # Safety
/// As [`Terms::ask`].
unsafe fn values(params: &[WasmType], slots: *const ValRaw) -> Vec<Val> {
    let value = |(index, ty): (usize, &WasmType)| {
        // SAFETY: the caller's promise.
        let raw = unsafe { &*slots.add(index) };
        match ty {
            WasmType::I32 => Val::I32(raw.get_i32()),
            WasmType::I64 => Val::I64(raw.get_i64()),
            WasmType::F32 => Val::F32(raw.get_f32()),
            WasmType::F64 => Val::F64(raw.get_f64()),
            WasmType::V128 => Val::V128(V128::from(raw.get_v128())),
            // No prototype has parameters of these types.
            WasmType::FuncRef => Val::FuncRef(None),
            WasmType::ExternRef => Val::ExternRef(None),
        }
    };
    params.iter().enumerate().map(value).collect()
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("on_link", &self.on_link.len())
            .field("on_call", &self.on_call.len())
            .field("revocable", &self.revocable)
            .field("pinned", &self.pinned)
            .field("guard", &self.guard)
            .finish()
    }
}

impl fmt::Debug for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Terms")
            .field("interface", &self.interface)
            .field("hooks", &self.hooks.len())
            .field("revoked", &self.revoked)
            .field("thread", &self.thread)
            .field("fuel", &self.fuel)
            .finish()
    }
}
