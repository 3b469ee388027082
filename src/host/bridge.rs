//! The bridge: what is granted, and everything that stores and threads share.
use super::builder::BridgeBuilder;
use super::denial;
use super::direct;
use super::error::{LinkError, LinkProblem, shorten};
use super::grants::{Candidate, Grants, Meaning, Refusal, by_memory};
use super::hot::Jobs;
use super::library::Libraries;
use super::link::{self, CallerOf, Link, Overload, Request};
use super::link_cache::{Key, LinkCache};
use super::memory::GuestMemory;
use super::module_links::ModuleLinks;
use super::module_view::ModuleView;
use super::not_direct::NotDirect;
use super::plans::{HandleNumbers, Plans};
use super::policy::Rules;
use super::recording::Recording;
use super::store_block::StoreState;
use super::tier::Tier;
use super::trampolines::Trampolines;
use super::typing::Types;
use super::wasm_type::{describe, lowering_of, pointer};
use crate::plan::layout::DataModel;
use crate::plan::{Limits, Lowering, WasmType};
use crate::signature::Prototype;
use std::fmt;
use std::sync::{Arc, OnceLock};
use wasmtime::{Engine, ExternType, FuncType, ImportType};

/// Lets guests call native libraries: the functions that were granted, and nothing else.
///
/// Made once, shared by every store and thread; a clone is another reference to the same bridge.
///
/// ```
/// use portcullis::{host::{Bridge, Natives}, interfaces};
/// use wasmtime::{Engine, Linker, Module, Store};
///
/// #[derive(Default)]
/// struct State { natives: Natives }
///
/// # fn main() -> wasmtime::Result<()> {
/// let engine = Engine::default();
/// let bridge = Bridge::builder(&engine).grant(interfaces::libm())?.build()?;
/// let module = Module::new(&engine, r#"(module
///     (import "libm.so.6" "double cos(double)" (func $cos (param f64) (result f64)))
///     (func (export "cos_of") (param f64) (result f64) (call $cos (local.get 0))))"#)?;
/// let mut store = Store::new(&engine, State::default());
/// let linker = Linker::new(&engine);
/// let instance =
///     bridge.instantiate(&mut store, &linker, &module, |state: &mut State| &mut state.natives)?;
/// let cos_of = instance.get_typed_func::<f64, f64>(&mut store, "cos_of")?;
/// assert_eq!(cos_of.call(&mut store, 0.0)?, 1.0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Bridge {
    pub(super) shared: Arc<Shared>,
}

/// What is behind a bridge.
pub(super) struct Shared {
    pub engine: Engine,
    pub grants: Grants,
    pub libraries: Libraries,
    pub limits: Limits,
    pub rules: Rules,
    pub max_tier: Tier,
    pub plans: Plans,
    pub trampolines: Arc<Trampolines>,
    /// Code is made after so many calls of a function; `None`: when it is linked.
    pub hot_after: Option<u32>,
    pub jobs: Arc<Jobs>,
    pub types: Arc<Types>,
    /// The guest of the trial calls, if it was made ahead of time.
    pub trial: Option<direct::Trial>,
    /// Why there are no direct calls. Found out when somebody wants one.
    pub not_direct: OnceLock<Option<NotDirect>>,
    pub handle_numbers: HandleNumbers,
    pub links: LinkCache,
    pub modules: ModuleLinks,
    /// Calls are recorded there.
    pub recording: Option<Recording>,
}

impl Shared {
    /// The state of one more store.
    pub(super) fn new_store(&self) -> StoreState {
        let recorder = self.recording.as_ref().map(Recording::recorder);
        StoreState::new(self.limits, self.rules.guard, recorder, &self.types)
    }

    /// Why the interpreter makes all calls, if it does.
    pub(super) fn watched(&self) -> Option<&'static str> {
        match (&self.recording, self.rules.guard) {
            (Some(_), _) => Some("calls are profiled, which the interpreter does"),
            (None, true) => Some("native code is watched, which the interpreter does"),
            (None, false) => None,
        }
    }
}

/// What an import of a module is to the bridge.
#[derive(Clone, Debug)]
pub(super) enum Resolved {
    /// A native function.
    Native(Arc<Link>),
    /// The guest's own `free`, which takes a 64-bit address if `wide`. `name` is what errors call
    /// the import.
    GuestFree { wide: bool, name: Arc<str> },
    /// Native code is done with a callback.
    ReleaseCallback,
    /// `errno` of the last call that kept it, in the host's or in WASI's numbering.
    Errno { wasi: bool },
}

/// A function that a module imports.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    module: &'a str,
    name: &'a str,
    ty: &'a FuncType,
    caller: CallerOf,
}

/// The module of the bridge's own imports.
pub(super) const OWN_MODULE: &str = "portcullis";

impl Bridge {
    /// A bridge that grants nothing yet.
    #[must_use]
    pub fn builder(engine: &Engine) -> BridgeBuilder {
        BridgeBuilder::new(engine)
    }

    /// The engine that it was built for.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.shared.engine
    }

    /// Why guests of this engine cannot call directly, although [`Tier::Direct`] allows it: some fact that
    /// direct calls rest on does not hold. `None`: they can. Functions may have further reasons of their own
    /// (see [`Bridge::describe`]).
    #[must_use]
    pub fn why_not_direct(&self) -> Option<NotDirect> {
        self.shared.not_direct()
    }

    /// Takes an interface away from all guests, also from those that run: each further call of its functions
    /// fails, and nothing is linked to them any more. A call that another thread is making goes on to its
    /// end; what handles own is still destroyed with their stores. `false`, and nothing happens, when
    /// [`BridgeBuilder::revocable`] was not told of it.
    #[must_use = "an interface that is not revocable stays"]
    pub fn revoke(&self, interface: &str) -> bool {
        let revoked = self.shared.rules.revoke(interface);
        tracing::info!(interface, revoked, "an interface is taken away");
        revoked
    }

    /// The fastest tier that calls of this bridge can reach. One that [makes no code](Bridge::makes_code) reaches what was
    /// made ahead of time for it, else templates.
    #[must_use]
    pub fn max_tier(&self) -> Tier {
        let most = self.shared.max_tier;
        if self.makes_code() { most } else { most.min(self.shared.trampolines.ready_tier()) }
    }

    /// Whether it may make machine code while the program runs.
    #[must_use]
    pub fn makes_code(&self) -> bool {
        self.shared.max_tier >= Tier::Cranelift && self.shared.trampolines.makes_code()
    }

    /// The bounds on what one store's guests may use.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.shared.limits
    }
}

impl fmt::Debug for Bridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let interfaces: Vec<&str> =
            self.shared.grants.interfaces().map(|interface| &*interface.name).collect();
        f.debug_struct("Bridge")
            .field("interfaces", &interfaces)
            .field("limits", &self.shared.limits)
            .field("max_tier", &self.shared.max_tier)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn not_direct(&self) -> Option<NotDirect> {
        let found = self.not_direct.get_or_init(|| {
            let why = direct::check(&self.engine, self.trial.as_ref()).err();
            if let Some(why) = &why {
                tracing::info!(%why, "no direct calls");
            }
            why
        });
        found.clone()
    }

    /// What `import` is, `None` when it is not for the bridge: the embedder's linker may have it.
    pub(super) fn resolve(
        &self,
        view: &ModuleView<'_>,
        import: &ImportType<'_>,
        caller: CallerOf,
    ) -> Result<Option<(Resolved, FuncType)>, Box<LinkError>> {
        let ExternType::Func(ty) = import.ty() else { return Ok(None) };
        let (module, name) = (import.module(), import.name());
        let wanted = Wanted { module, name, ty: &ty, caller };
        let resolved = self.resolve_function(view, wanted);
        let resolved = resolved.map_err(|problem| not_linked(import, problem))?;
        let Some(resolved) = resolved else { return Ok(None) };
        self.ask(import, &resolved)?;
        Ok(Some((resolved, ty)))
    }

    /// Asks the embedder whether an import may be linked.
    pub(super) fn ask(
        &self,
        import: &ImportType<'_>,
        resolved: &Resolved,
    ) -> Result<(), Box<LinkError>> {
        let Resolved::Native(link) = resolved else { return Ok(()) };
        if !self.rules.ask_when_linked() {
            return Ok(());
        }
        let ask = |overload: &Arc<Overload>| self.rules.ask(&overload.linking(import.module()));
        link.overloads.iter().try_for_each(ask).map_err(|problem| not_linked(import, problem))
    }

    /// Why an import that nobody has is refused, which is done now.
    pub(super) fn unknown(&self, import: &ImportType<'_>) -> LinkError {
        let error = self.would_be_unknown(import);
        let (from, wanted) = (shorten(import.module(), 200), shorten(import.name(), 200));
        tracing::info!(module = %from, name = %wanted, problem = %error.problem, "denied an import");
        error
    }

    /// Why an import that nobody has would be refused.
    pub(super) fn would_be_unknown(&self, import: &ImportType<'_>) -> LinkError {
        let (module, name) = (import.module(), import.name());
        let hint = denial::hint(module, name, &import.ty(), &self.grants);
        let problem = hint.map_or(LinkProblem::Unknown, |hint| LinkProblem::Denied { hint });
        LinkError { module: module.to_owned(), name: name.to_owned(), problem }
    }

    fn resolve_function(
        &self,
        view: &ModuleView<'_>,
        wanted: Wanted<'_>,
    ) -> Result<Option<Resolved>, LinkProblem> {
        let Wanted { module, name, ty, .. } = wanted;
        if module == OWN_MODULE {
            return own_import(name, ty);
        }
        let candidates = self.grants.candidates(module);
        let longest = self.limits.prototype_bytes;
        let ours = !candidates.is_empty() || self.grants.is_trusted(module);
        if ours && name.len() as u64 > u64::from(longest) {
            return Err(LinkProblem::TooLong { bytes: name.len(), longest });
        }
        if candidates.is_empty() {
            return match self.grants.is_trusted(module) {
                true => self.resolve_among(view, wanted, &[], None),
                false => Ok(None),
            };
        }
        for group in by_memory(&candidates) {
            let memory = group[0].library().memory.as_deref();
            let found = self.resolve_among(view, wanted, &group, memory)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// As [`Shared::resolve_function`], among grants for one memory.
    fn resolve_among(
        &self,
        view: &ModuleView<'_>,
        wanted: Wanted<'_>,
        candidates: &[Candidate<'_>],
        memory_name: Option<&str>,
    ) -> Result<Option<Resolved>, LinkProblem> {
        let Wanted { module, name, ty, caller } = wanted;
        let memory = view.memory(memory_name);
        let lowering = lowering_of(ty);
        let request = Request {
            module,
            lowering: lowering.as_ref(),
            ty,
            model: memory.as_ref().map_or(DataModel::Ilp32, |memory| memory.model),
            memory: memory_name,
            caller,
            may_move: memory.as_ref().is_ok_and(|memory| memory.may_move),
        };
        // What a trusted guest's import means depends on its other imports too.
        let key = match self.grants.is_trusted(module) {
            true => None,
            false => Key::new(name, &request),
        };
        if let Some(link) = key.as_ref().and_then(|key| self.links.get(key)) {
            check_instance(view, &link, &memory)?;
            return Ok(Some(Resolved::Native(link)));
        }
        match self.link(view, request, name, candidates)? {
            Some(Linked::Native(link)) => {
                check_instance(view, &link, &memory)?;
                let link = Arc::new(link);
                if let Some(key) = key {
                    self.links.insert(key, &link);
                }
                Ok(Some(Resolved::Native(link)))
            }
            Some(Linked::GuestFree(prototype)) => {
                check_free(view, request, &prototype)?;
                let wide = request.model == DataModel::Lp64;
                let name = format!("{module}.{}", prototype.name).into();
                Ok(Some(Resolved::GuestFree { wide, name }))
            }
            None => Ok(None),
        }
    }

    /// What an import of a known library means; `None` when it is not granted.
    fn link(
        &self,
        view: &ModuleView<'_>,
        request: Request<'_>,
        name: &str,
        candidates: &[Candidate<'_>],
    ) -> Result<Option<Linked>, LinkProblem> {
        let own = if self.grants.is_trusted(request.module) {
            view.own_prototypes(request.module)
        } else {
            Vec::new()
        };
        match self.grants.meaning(request.module, name, candidates, &own) {
            Ok(Meaning::Granted(chosen)) => {
                link::granted(self, request, &chosen).map(Linked::Native).map(Some)
            }
            Ok(Meaning::Trusted { prototype, origin }) => {
                link::trusted(self, request, name, &prototype, origin, &own)
                    .map(Linked::Native)
                    .map(Some)
            }
            Ok(Meaning::GuestFree(prototype)) => Ok(Some(Linked::GuestFree(prototype))),
            Err(Refusal::NotGranted) => Ok(None),
            Err(Refusal::Problem(problem)) => Err(problem),
        }
    }
}

fn not_linked(import: &ImportType<'_>, problem: LinkProblem) -> Box<LinkError> {
    let (module, name) = (import.module().to_owned(), import.name().to_owned());
    let error = LinkError { module, name, problem };
    tracing::debug!(%error, "an import cannot be linked");
    Box::new(error)
}

enum Linked {
    Native(Link),
    /// With the prototype of the native function that it stands for.
    GuestFree(Arc<Prototype>),
}

/// `portcullis.errno`, `portcullis.wasi_errno` and `portcullis.release_callback`.
fn own_import(name: &str, ty: &FuncType) -> Result<Option<Resolved>, LinkProblem> {
    let number = Lowering { params: Vec::new(), results: vec![WasmType::I32] };
    let (prototype, expected, resolved) = match name {
        "errno" => ("int errno(void)", number, Resolved::Errno { wasi: false }),
        "wasi_errno" => ("int wasi_errno(void)", number, Resolved::Errno { wasi: true }),
        "release_callback" => {
            let index = Lowering { params: vec![WasmType::I32], results: Vec::new() };
            ("void release_callback(void (*callback)())", index, Resolved::ReleaseCallback)
        }
        _ => return Ok(None),
    };
    if lowering_of(ty).as_ref() == Some(&expected) {
        return Ok(Some(resolved));
    }
    Err(LinkProblem::WasmType {
        prototype: prototype.to_owned(),
        expected: expected.to_string(),
        found: describe(ty),
    })
}

/// The guest's `free` must be there, and the import must have its type.
fn check_free(
    view: &ModuleView<'_>,
    request: Request<'_>,
    prototype: &Prototype,
) -> Result<(), LinkProblem> {
    let word = pointer(request.model);
    let expected = Lowering { params: vec![word], results: Vec::new() };
    if request.lowering != Some(&expected) {
        return Err(LinkProblem::WasmType {
            prototype: prototype.to_string(),
            expected: expected.to_string(),
            found: describe(request.ty),
        });
    }
    match view.allocator().why_not_free() {
        None => Ok(()),
        Some(reason) => Err(LinkProblem::Allocator {
            why: "what this function frees was copied into the guest's memory",
            reason,
        }),
    }
}

/// What a link asks of the instance must be there.
fn check_instance(
    view: &ModuleView<'_>,
    link: &Link,
    memory: &Result<GuestMemory, String>,
) -> Result<(), LinkProblem> {
    if let Err(reason) = memory
        && link.needs_memory
    {
        return Err(LinkProblem::Memory { reason: reason.clone() });
    }
    if link.needs_table
        && let Err(reason) = view.table()
    {
        return Err(LinkProblem::Table { reason });
    }
    if link.lends_memory
        && let Ok(memory) = memory
        && memory.may_move
    {
        let reason = "it may move when it grows, and a function that may call back must not be given pointers into it: give it a maximum within the engine's `memory_reservation`, or mark the function `__leaf` if it never calls back";
        return Err(LinkProblem::Memory { reason: reason.to_owned() });
    }
    if link.allocates
        && let Some(reason) = view.allocator().why_not_allocate()
    {
        let why = "what the native function returns is copied into the guest's memory";
        return Err(LinkProblem::Allocator { why, reason });
    }
    Ok(())
}
