//! From a meaning to something that can be called: plans, addresses, and how overloads are told
//! apart.
//!
//! A [`Link`] knows nothing of stores and instances: it is made once for an import's text and type
//! and shared by all of them.
use super::bridge::Shared;
use super::data::Wanted;
use super::direct::{Straight, can_choose};
use super::error::LinkProblem;
use super::grants::{Chosen, takes_callback};
use super::guard;
use super::library::{Found, NativeAddress};
use super::overload::{Guard, guards, tell_apart};
use super::plans::Origin;
use super::policy::{Linking, Terms};
use super::tier::{Choice, Tier};
use super::wasm_type::describe;
use crate::plan::abi::Abi;
use crate::plan::compile::{CompileError, Target, compile};
use crate::plan::interpret::Quick;
use crate::plan::layout::DataModel;
use crate::plan::op::{CallbackOp, DeepOp, Null, Op};
use crate::plan::shape;
use crate::plan::{Lowering, Plan};
use crate::signature::{Diagnostic, Diagnostics, Library, NoteKind, Prototype, Scope};
use std::path::PathBuf;
use std::sync::Arc;
use wasmtime::FuncType;

/// An import that is granted and resolved.
#[derive(Debug)]
pub(super) struct Link {
    /// What errors call it: `zlib.crc32`.
    pub name: String,
    /// Its wasm type.
    pub lowering: Lowering,
    /// At least one, in the order of their grants.
    pub overloads: Box<[Arc<Overload>]>,
    /// The exported memory that its pointers point into, if the interface names one.
    pub memory: Option<Arc<str>>,
    /// Some overload works on guest memory.
    pub needs_memory: bool,
    /// Some overload needs the guest's allocator.
    pub allocates: bool,
    /// Some overload takes guest functions.
    pub passes_callbacks: bool,
    /// Some overload cannot be called without one.
    pub needs_table: bool,
    /// Some overload that may call back is given pointers into the guest's memory.
    pub lends_memory: bool,
    /// Calls of some overload must be asked for.
    pub has_terms: bool,
}

impl Link {
    /// The first overload, and the others.
    pub(super) fn overloads(&self) -> (&Arc<Overload>, &[Arc<Overload>]) {
        self.overloads.split_first().expect("`link` makes none without an overload")
    }

    /// Whether calls leave or find something with the instance.
    pub(super) fn needs_instance(&self) -> bool {
        self.needs_memory
            || self.allocates
            || self.passes_callbacks
            || self.overloads.iter().any(|one| one.keeps_errno)
    }
}

/// One granted prototype, compiled and resolved.
#[derive(Debug)]
pub(super) struct Overload {
    pub plan: Arc<Plan>,
    /// The plan as the interpreter's short way takes it, if it does.
    pub quick: Option<Quick>,
    /// And as guests enter it by themselves, where they may.
    pub straight: Option<Straight>,
    /// The plan keeps `errno`.
    pub keeps_errno: bool,
    pub target: NativeAddress,
    /// Addresses of the plan's callees, in its order.
    pub callees: Box<[NativeAddress]>,
    /// What must hold of the arguments if there are other overloads.
    pub guards: Box<[Guard]>,
    pub choice: Choice,
    /// The file of the library; `None` when the embedder supplied the address.
    pub library: Option<PathBuf>,
    /// What grants it, as its author calls it.
    pub interface: Arc<str>,
    /// What calls must heed.
    pub terms: Option<Arc<Terms>>,
}

impl Overload {
    /// What the embedder is told of it.
    pub(super) fn linking<'a>(&'a self, module: &'a str) -> Linking<'a> {
        Linking {
            module,
            interface: &self.interface,
            prototype: &self.plan.prototype,
            library: self.library.as_deref(),
        }
    }
}

/// An import, as far as linking it is concerned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    /// The import's module.
    pub module: &'a str,
    /// Its wasm type; `None` when no prototype has such a type.
    pub lowering: Option<&'a Lowering>,
    /// The same as wasmtime has it, for messages.
    pub ty: &'a FuncType,
    /// The data model of the guest's memory.
    pub model: DataModel,
    /// The exported memory that the interface names.
    pub memory: Option<&'a str>,
    /// Who asks.
    pub caller: CallerOf,
    /// Its memory may move.
    pub may_move: bool,
}

/// Whose functions a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum CallerOf {
    /// An instance's own.
    Instance,
    /// Those of a linker, which belong to no instance.
    Linker,
}

/// Links an import to granted prototypes: to all those that have its wasm type.
pub(super) fn granted(
    shared: &Shared,
    request: Request<'_>,
    chosen: &[Chosen<'_>],
) -> Result<Link, LinkProblem> {
    let (mut overloads, mut kept) = (Vec::new(), Vec::new());
    let mut wrong_type = None;
    for one in chosen {
        let source = Source {
            prototype: &one.prototype,
            scope: &one.interface.scope,
            text: (&one.interface.name, &one.interface.text),
            interface: &one.interface.name,
            leaf: one.leaf,
            origin: one.origin,
            siblings: &|symbol| one.sibling(symbol).map(|found| Arc::clone(found.prototype)),
        };
        let find = Find {
            own: &|symbol| {
                let wanted = Wanted::of(&one.prototype, &one.interface.scope);
                find_in(shared, one.library, symbol, wanted)
            },
            // A name that nothing grants can only be one of its own library.
            callee: &|symbol| {
                let library = one.sibling(symbol).map_or(one.library, |found| found.library);
                find_in(shared, library, symbol, Wanted::Function)
            },
        };
        match overload(shared, request, &source, find, chosen.len() == 1) {
            Ok(overload) => {
                overloads.push(Arc::new(overload));
                kept.push(one);
            }
            Err(problem @ LinkProblem::WasmType { .. }) => {
                wrong_type = wrong_type.or(Some(problem));
            }
            Err(problem) => return Err(problem),
        }
    }
    let plans: Vec<&Plan> = overloads.iter().map(|one| &*one.plan).collect();
    tell_apart(&plans).map_err(|(position, mistake)| {
        let Chosen { interface, .. } = kept[position];
        let (name, text) = (&interface.name, &interface.text);
        LinkProblem::Overloads(Diagnostics::new(&**name, &**text, vec![*mistake]))
    })?;
    let symbol = chosen.first().map_or("", |first| &first.prototype.name.name);
    link(request, symbol, overloads, wrong_type)
}

/// Links an import to the guest's own prototype. `own` are all prototypes that the module has for
/// the library.
pub(super) fn trusted(
    shared: &Shared,
    request: Request<'_>,
    text: &str,
    prototype: &Arc<Prototype>,
    origin: Origin,
    own: &[Arc<Prototype>],
) -> Result<Link, LinkProblem> {
    let leaf = prototype.has(|note| *note == NoteKind::Leaf)
        || !own.iter().any(|prototype| takes_callback(&prototype.function));
    let source = Source {
        prototype,
        scope: &Scope::default(),
        text: ("import name", text),
        interface: request.module,
        leaf,
        origin,
        siblings: &|symbol| own.iter().find(|other| *other.name.name == *symbol).cloned(),
    };
    let find = |symbol: &str, wanted| {
        let found = shared.libraries.find_wanted(request.module, None, &[], symbol, wanted);
        found.map_err(|problem| match problem {
            LinkProblem::SymbolElsewhere { symbol, library, definer, trusted: _ } => {
                LinkProblem::SymbolElsewhere { symbol, library, definer, trusted: true }
            }
            other => other,
        })
    };
    let own = Wanted::of(prototype, &Scope::default());
    let find =
        Find { own: &|symbol| find(symbol, own), callee: &|symbol| find(symbol, Wanted::Function) };
    let overload = overload(shared, request, &source, find, true)?;
    link(request, &prototype.name.name, vec![Arc::new(overload)], None)
}

fn link(
    request: Request<'_>,
    symbol: &str,
    overloads: Vec<Arc<Overload>>,
    wrong_type: Option<LinkProblem>,
) -> Result<Link, LinkProblem> {
    let needs_memory = plans(&overloads).any(|plan| plan.facts.memory);
    let allocates = overloads.iter().any(|one| {
        let needed = |callback: u16| one.plan.callbacks[usize::from(callback)].plan.facts.allocates;
        one.plan.facts.allocates || needed_callbacks(&one.plan).any(needed)
    });
    let lends_memory = plans(&overloads).any(lends_memory);
    match (overloads.first(), wrong_type) {
        (Some(first), _) => Ok(Link {
            name: format!("{}.{symbol}", request.module),
            lowering: first.plan.lowering.clone(),
            memory: request.memory.map(Arc::from),
            needs_memory,
            allocates,
            passes_callbacks: overloads.iter().any(|one| !one.plan.callbacks.is_empty()),
            needs_table: overloads.iter().any(|one| needed_callbacks(&one.plan).next().is_some()),
            lends_memory,
            has_terms: overloads.iter().any(|one| one.terms.is_some()),
            overloads: overloads.into(),
        }),
        (None, Some(problem)) => Err(problem),
        (None, None) => Err(LinkProblem::Unknown),
    }
}

/// The plans of overloads, and of the callbacks that they take.
fn plans(overloads: &[Arc<Overload>]) -> impl Iterator<Item = &Plan> {
    overloads.iter().flat_map(|one| {
        let callbacks = one.plan.callbacks.iter().map(|callback| &*callback.plan);
        std::iter::once(&*one.plan).chain(callbacks)
    })
}

/// The callbacks, by their numbers, that must not be NULL. Whoever passes NULL for all others needs neither a
/// table nor an allocator; whoever does not is told what is missing when the call is made.
fn needed_callbacks(plan: &Plan) -> impl Iterator<Item = u16> {
    plan.ops.iter().filter_map(|op| match op {
        Op::Callback(CallbackOp::Pass { callback, null, .. }) if *null != Null::Allowed => {
            Some(*callback)
        }
        _ => None,
    })
}

/// Whether native code has pointers into the guest's memory while guest code may run.
fn lends_memory(plan: &Plan) -> bool {
    let lends = |op: &Op| match op {
        Op::Buffer { .. } | Op::Text { copy: false, .. } | Op::TextCell { .. } => true,
        Op::Callback(CallbackOp::ReplyBuffer { .. }) => true,
        // Buffers that are in data are lent where they are.
        Op::Deep(DeepOp::Copy { .. }) | Op::Callback(CallbackOp::ReplyCopy { .. }) => {
            let in_place = |link: &shape::Link| matches!(link.target, shape::Target::Bytes { .. });
            plan.shapes.iter().any(|shape| shape.links.iter().any(in_place))
        }
        _ => false,
    };
    !plan.facts.leaf && plan.ops.iter().any(lends)
}

/// A prototype and where it comes from.
struct Source<'a> {
    prototype: &'a Arc<Prototype>,
    scope: &'a Scope,
    /// Name and text that its spans point into.
    text: (&'a str, &'a str),
    /// What grants it.
    interface: &'a str,
    leaf: bool,
    origin: Origin,
    siblings: &'a dyn Fn(&str) -> Option<Arc<Prototype>>,
}

/// Where symbols are looked up.
#[derive(Clone, Copy)]
struct Find<'a> {
    /// The function itself, or the data.
    own: guard::Find<'a>,
    /// What its annotations name: the interface may grant that of another library.
    callee: guard::Find<'a>,
}

/// Looks a symbol of a granted library up, once what guards the library is in place.
fn find_in(
    shared: &Shared,
    library: &Library,
    symbol: &str,
    wanted: Wanted,
) -> Result<Found, LinkProblem> {
    let find = |symbol: &str, wanted| {
        let Library { file, module, also, .. } = library;
        shared.libraries.find_wanted(file, module.as_deref(), also, symbol, wanted)
    };
    if let Some(guard) = &library.guard {
        guard::install(guard, &|symbol| find(symbol, Wanted::Function))?;
    }
    find(symbol, wanted)
}

fn overload(
    shared: &Shared,
    request: Request<'_>,
    source: &Source<'_>,
    find: Find<'_>,
    alone: bool,
) -> Result<Overload, LinkProblem> {
    let handle_types = shared.handle_numbers.of(source.origin);
    let target = Target {
        model: request.model,
        abi: Abi::host_or_default(),
        leaf: source.leaf,
        scope: source.scope,
        import: request.lowering,
        handle_types: &handle_types,
        grants: source.siblings,
    };
    let wrong_type = |expected: &Lowering| LinkProblem::WasmType {
        prototype: source.prototype.to_string(),
        expected: expected.to_string(),
        found: describe(request.ty),
    };
    let plan = compile(source.prototype, &target).map_err(|error| match error {
        CompileError::WasmType { expected, .. } => wrong_type(&expected),
        error => not_compiled(error, source),
    })?;
    if request.lowering.is_none() {
        return Err(wrong_type(&plan.lowering));
    }
    let found = (find.own)(&source.prototype.name.name)?;
    let callees = plan.callees.iter().map(|callee| Ok((find.callee)(&callee.symbol)?.address));
    let callees = callees.collect::<Result<Box<[_]>, LinkProblem>>()?;
    let plan = shared.plans.intern(plan);
    let linking = Linking {
        module: request.module,
        interface: source.interface,
        prototype: source.prototype,
        library: found.library.as_deref(),
    };
    let terms = shared.rules.terms(&linking);
    let not_direct = (shared.max_tier >= Tier::Direct)
        .then(|| why_not_direct(shared, request, &plan, alone, terms.is_some()))
        .flatten();
    let when_hot = shared.hot_after.map(|after| (after, &shared.jobs));
    let watched = shared.watched();
    let choice = match watched {
        Some(why) => Choice::watched(why),
        None => Choice::new(&plan, shared.max_tier, not_direct, &shared.trampolines, when_hot),
    };
    tracing::debug!(
        module = request.module,
        symbol = %source.prototype.name,
        library = found.library.as_ref().map(|path| display(path.display())),
        tier = %choice.runner.tier(),
        later = choice.later(),
        why_no_faster = choice.why_not_later(&plan),
        "linked a native function"
    );
    let guards = guards(&plan);
    let (target, library) = (found.address, found.library);
    // The interpreter's short way looks at nothing.
    let quick = (!shared.rules.guard).then(|| Quick::of(&plan)).flatten();
    let straight = quick.as_ref().filter(|_| alone && choice.may_be_straight());
    let straight = straight.and_then(|quick| Straight::of(&plan, quick));
    let keeps_errno = plan.facts.errno;
    let interface = source.interface.into();
    Ok(Overload {
        plan,
        quick,
        straight,
        keeps_errno,
        target,
        callees,
        guards,
        choice,
        library,
        interface,
        terms,
    })
}

/// Why guests do not call a function directly that they otherwise could.
fn why_not_direct(
    shared: &Shared,
    request: Request<'_>,
    plan: &Plan,
    alone: bool,
    has_terms: bool,
) -> Option<String> {
    let why = match request.caller {
        _ if has_terms => {
            "each call is asked for: the host hooks, pins or may revoke it, or it costs fuel"
        }
        CallerOf::Linker => "the functions of a linker belong to no instance",
        CallerOf::Instance => match not_direct_among(plan, alone) {
            Some(why) => why,
            None if plan.facts.memory && request.may_move => "the memory may move",
            None => return shared.not_direct().map(|why| why.to_string()),
        },
    };
    Some(why.to_owned())
}

/// Likewise, if it is because there are other overloads.
pub(super) fn not_direct_among(plan: &Plan, alone: bool) -> Option<&'static str> {
    (!alone && !can_choose(&plan.lowering))
        .then_some("one of several overloads, with a vector or a reference among its arguments")
}

fn not_compiled(error: CompileError, source: &Source<'_>) -> LinkProblem {
    let (name, text) = source.text;
    let list: Vec<Diagnostic> = match error {
        CompileError::Prototype(list) => list,
        other => return LinkProblem::InvalidPlan(other.to_string()),
    };
    LinkProblem::Unsupported(Diagnostics::new(name, text, list))
}
