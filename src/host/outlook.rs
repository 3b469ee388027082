//! What would become of an import, said without a guest and without loading its library: for `portcullis explain`.
//!
//! Everything here asks the code that links guests: which grants a name means (`grants`), how overloads are told apart
//! (`overload`), what runs a plan (`tier`). What depends on the guest's module is not known here: [`Bridge::describe`]
//! says that of a real one.
//!
//! [`Bridge::describe`]: super::Bridge::describe
use super::direct::Straight;
use super::error::LinkProblem;
use super::grants::{Chosen, Grants, Meaning, Refusal, by_memory};
use super::hot::{CALLS, Job as _, Jobs};
use super::link::not_direct_among;
use super::overload::{self, overlap::Overlap};
use super::tier::{Choice, Runner, Tier};
use super::trampolines::Trampolines;
use crate::cranelift_backend::Stock;
use crate::plan::Plan;
use crate::plan::interpret::Quick;
use crate::plan::template::Template;
use crate::signature::{Diagnostic, Interface, Library, NoteKind, Prototype};
use std::sync::Arc;

/// What an import means.
#[derive(Debug)]
pub enum Import {
    /// These granted prototypes: several are an overload set, as far as they have the import's wasm type.
    Granted(Vec<Meant>),
    /// The guest's own `free`: native code is not called. With the grant of the function that it stands for.
    GuestFree(Box<Meant>),
    /// No interface grants a function of that name.
    Unknown,
}

/// A granted prototype that an import means.
#[derive(Clone, Debug)]
pub struct Meant {
    /// What grants it.
    pub interface: Arc<Interface>,
    /// The library that it is a function of.
    pub library: Library,
    /// The grant; with the importer's own types behind `...`, where the grant leaves those to a format.
    pub prototype: Arc<Prototype>,
    /// It never calls back.
    pub leaf: bool,
}

/// What an import of that name means, a symbol or a prototype, whatever library its module names.
///
/// # Errors
/// What linking would say.
pub fn meaning_of(interfaces: &[Arc<Interface>], name: &str) -> Result<Import, LinkProblem> {
    let mut grants = Grants::default();
    interfaces.iter().for_each(|interface| grants.grant(Arc::clone(interface)));
    let mut problem = None;
    let mut seen: Vec<&str> = Vec::new();
    for library in interfaces.iter().flat_map(|interface| &interface.libraries) {
        if seen.contains(&&*library.file) {
            continue;
        }
        seen.push(&library.file);
        for group in by_memory(&grants.candidates(&library.file)) {
            match grants.meaning(&library.file, name, &group, &[]) {
                Ok(Meaning::Granted(chosen)) => {
                    let meant = chosen.iter().filter_map(|one| Meant::of(one, interfaces));
                    return Ok(Import::Granted(meant.collect()));
                }
                Ok(Meaning::GuestFree(prototype)) => {
                    let granted = interfaces.iter().find_map(|one| Meant::same(one, &prototype));
                    return Ok(granted.map_or(Import::Unknown, |one| Import::GuestFree(one.into())));
                }
                // Nothing is trusted here.
                Ok(Meaning::Trusted { .. }) | Err(Refusal::NotGranted) => {}
                Err(Refusal::Problem(found)) => problem = problem.or(Some(found)),
            }
        }
    }
    problem.map_or(Ok(Import::Unknown), Err)
}

impl Meant {
    /// That very grant of an interface.
    fn same(interface: &Arc<Interface>, prototype: &Arc<Prototype>) -> Option<Meant> {
        let mut grants = interface.grants.iter();
        let grant = grants.find(|grant| Arc::ptr_eq(&grant.prototype, prototype))?;
        Some(Meant {
            interface: Arc::clone(interface),
            library: interface.libraries[grant.library].clone(),
            prototype: Arc::clone(prototype),
            leaf: grant.leaf,
        })
    }

    fn of(chosen: &Chosen<'_>, interfaces: &[Arc<Interface>]) -> Option<Meant> {
        // The same text twice is one grant.
        let same = |one: &&Arc<Interface>| one.text == chosen.interface.text;
        Some(Meant {
            interface: Arc::clone(interfaces.iter().find(same)?),
            library: chosen.library.clone(),
            prototype: Arc::clone(&chosen.prototype),
            leaf: chosen.leaf,
        })
    }
}

/// What must hold of an argument for an overload to be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Position of the parameter.
    pub param: usize,
    /// As the prototype says it: `__range(-1)`.
    pub text: String,
    /// It is looked at before anything else of a call is done. If not, it can only refuse the call.
    pub chooses: bool,
}

/// What must hold for that overload to be taken: of several the first one is, of which all that chooses holds.
#[must_use]
pub fn conditions(plan: &Plan) -> Vec<Condition> {
    let condition = |(param, chooses): (u16, bool)| {
        let param = usize::from(param);
        let found = plan.prototype.function.params.get(param)?;
        let types = std::iter::successors(Some(&found.ty), |ty| ty.pointee());
        let mut notes = types.flat_map(|ty| &ty.notes).map(|note| &note.kind);
        let text = notes.find(|kind| matches!(kind, NoteKind::Range(..)))?.to_string();
        Some(Condition { param, text, chooses })
    };
    let mut conditions: Vec<Condition> =
        overload::ranges(plan).into_iter().filter_map(condition).collect();
    // A range of several intervals is one condition, and so is one in all the data behind a pointer.
    conditions.dedup();
    conditions
}

/// Checks that overloads of one wasm type can be told apart.
///
/// # Errors
/// Why they are not linked, and the position of the one that is to blame.
pub fn tell_apart(plans: &[&Plan]) -> Result<(), (usize, Box<Diagnostic>)> {
    overload::tell_apart(plans)
}

/// Where several of these overloads, which have one wasm type, suit the same arguments.
#[must_use]
pub fn overlaps(plans: &[&Plan]) -> Vec<Overlap> {
    overload::overlap::overlaps(plans)
}

/// What runs a plan on this machine.
#[derive(Clone, Debug)]
pub struct Outlook {
    /// Each tier, the slowest first, and why it does not take the plan.
    pub tiers: Vec<(Tier, Result<(), String>)>,
    /// What makes the first calls where nothing else is asked for.
    pub first: Tier,
    /// Guests enter that by themselves, without a host function in between.
    pub straight: bool,
    /// What makes the others, and after how many calls.
    pub then: Option<(u32, Tier)>,
}

/// What runs a plan on this machine; `alone` if it is no overload of others. What depends on a guest's memory, on the
/// host's hooks and on the engine is taken to be as it usually is.
#[must_use]
pub fn outlook(plan: &Arc<Plan>, alone: bool) -> Outlook {
    let makes_code = cfg!(feature = "cranelift");
    let trampolines = Arc::new(Trampolines::new(Stock::default(), makes_code));
    let not_direct = not_direct_among(plan, alone).map(str::to_owned);
    let template = Template::of(plan).map(drop).map_err(|why| why.to_string());
    let mut tiers = vec![(Tier::Interpreter, Ok(())), (Tier::Template, template)];
    for tier in [Tier::Cranelift, Tier::Direct] {
        let choice = Choice::new(plan, tier, not_direct.clone(), &trampolines, None);
        let why = || choice.declined().unwrap_or_default().to_owned();
        tiers.push((tier, if choice.runner.tier() == tier { Ok(()) } else { Err(why()) }));
    }
    let jobs = Jobs::new(&trampolines);
    let when_hot = makes_code.then_some((CALLS, &jobs));
    let choice = Choice::new(plan, Tier::Direct, not_direct, &trampolines, when_hot);
    let first = choice.runner.tier();
    let quick = Quick::of(plan).filter(|_| alone && choice.may_be_straight());
    let straight = quick.is_some_and(|quick| Straight::of(plan, &quick).is_some());
    let then = match &choice.runner {
        Runner::Hot(hot) => {
            hot.compile(&trampolines);
            Some((CALLS, choice.runner.tier()))
        }
        Runner::Interpreter | Runner::Template(_) | Runner::Compiled(_) | Runner::Direct(_) => None,
    };
    let then = then.filter(|(_, tier)| *tier != first);
    Outlook { tiers, first, straight, then }
}
