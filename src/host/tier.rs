//! Which way a plan is run. This is the one place where that is chosen.
#![expect(unsafe_code, reason = "runs plans")]
use super::hot::{Hot, HotCode, Jobs};
use super::trampolines::{self, Compiled, CompiledDirect, Entry, Trampolines};
use crate::plan::frame::GuestSlot;
use crate::plan::interpret::{self, Fallback, Guest, Stop};
use crate::plan::template::Template;
use crate::plan::{Binding, Plan};
use std::fmt;
use std::sync::Arc;

/// A way to run plans, the slowest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tier {
    /// Op by op; runs every plan.
    Interpreter,
    /// Ready-made code for popular shapes.
    #[default]
    Template,
    /// Machine code that is made for the plan when a function is linked.
    Cranelift,
    /// The same, entered by the guest's code itself. It rests on facts that wasmtime does not promise and that
    /// are tried first (see [`NotDirect`](super::NotDirect)); it knows nothing of
    /// call hooks (wasmtime's `Store::call_hook`).
    Direct,
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Tier::Interpreter => "interpreter",
            Tier::Template => "template",
            Tier::Cranelift => "cranelift",
            Tier::Direct => "direct",
        })
    }
}

/// What runs a plan.
#[derive(Debug)]
pub(super) enum Runner {
    Interpreter,
    Template(Template),
    Compiled(Compiled),
    /// Guests enter it by themselves; what it leaves to the host the interpreter does.
    Direct(CompiledDirect),
    /// What runs it until it is called often, and then a trampoline.
    Hot(Arc<Hot>),
}

/// What runs a plan, and why nothing faster does.
#[derive(Debug)]
pub(super) struct Choice {
    pub runner: Runner,
    /// Why there is no trampoline, if one was asked for.
    declined: Option<String>,
    /// Why guests may not call the function directly, whatever its plan is.
    #[cfg_attr(
        not(feature = "cranelift"),
        expect(dead_code, reason = "asked when code is made ahead of time")
    )]
    not_direct: Option<String>,
    /// Whether guests may enter the interpreter by themselves, as long as there is no code.
    straight: bool,
}

impl Choice {
    /// The fastest way, up to `most`, that takes this plan. `not_direct` says why its import may not be
    /// called directly, `when_hot` after how many calls code is made, and by whom; else it is made now.
    pub(super) fn new(
        plan: &Arc<Plan>,
        most: Tier,
        not_direct: Option<String>,
        trampolines: &Trampolines,
        when_hot: Option<(u32, &Arc<Jobs>)>,
    ) -> Choice {
        let (runner, declined) = choose(plan, most, not_direct.as_deref(), trampolines, when_hot);
        let straight = most >= Tier::Direct
            && match &runner {
                Runner::Hot(hot) => hot.may_be_direct(),
                Runner::Interpreter | Runner::Template(_) => not_direct.is_none(),
                Runner::Compiled(_) | Runner::Direct(_) => false,
            };
        Choice { runner, declined, not_direct, straight }
    }

    /// Whether guests may enter the interpreter by themselves, as long as there is no code.
    pub(super) fn may_be_straight(&self) -> bool {
        self.straight
    }

    /// Why guests may not call the function directly, whatever its plan is; `None` if they may.
    #[cfg(feature = "cranelift")]
    pub(super) fn not_direct(&self) -> Option<&str> {
        self.not_direct.as_deref()
    }

    /// Why there is no trampoline, if one was asked for.
    #[cfg(feature = "cli")]
    pub(super) fn declined(&self) -> Option<&str> {
        self.declined.as_deref()
    }

    /// The interpreter, which watches what native code does, or times it.
    pub(super) fn watched(why: &str) -> Choice {
        let why = Some(why.to_owned());
        Choice {
            runner: Runner::Interpreter,
            declined: why.clone(),
            not_direct: why,
            straight: false,
        }
    }

    /// What becomes of calls after some of them; `None` when that is known already.
    pub(super) fn later(&self) -> Option<String> {
        match &self.runner {
            Runner::Hot(hot) if hot.code().is_none() => Some(hot.outlook()),
            _ => None,
        }
    }

    /// As [`Choice::why_no_faster`], but nothing of what comes [later](Choice::later).
    pub(super) fn why_not_later(&self, plan: &Plan) -> Option<String> {
        if self.later().is_some() { None } else { self.why_no_faster(plan) }
    }

    /// Why no faster tier runs this plan; `None` when there is no faster one.
    pub(super) fn why_no_faster(&self, plan: &Plan) -> Option<String> {
        match (&self.runner, &self.declined) {
            (Runner::Direct(_), _) => None,
            (Runner::Hot(hot), _) => match hot.code() {
                Some(Ok(HotCode::Direct(_))) => None,
                Some(Ok(HotCode::Array { not_direct, .. })) => not_direct.clone(),
                Some(Err(why)) => Some(why.to_owned()),
                None => Some(hot.outlook()),
            },
            (Runner::Compiled(_), Some(why)) => Some(why.clone()),
            (Runner::Compiled(_), None) => Some(ALLOWED.to_owned()),
            (Runner::Template(_), None) => Some(ALLOWED.to_owned()),
            (Runner::Template(_), Some(why)) => Some(why.clone()),
            (Runner::Interpreter, declined) => match (Template::of(plan), declined) {
                (Ok(_), None) => Some(ALLOWED.to_owned()),
                (Ok(_), Some(why)) => Some(why.clone()),
                (Err(why), None) => Some(why.to_string()),
                (Err(template), Some(why)) => Some(format!("{why}; no template: {template}")),
            },
        }
    }
}

/// See [`Choice::new`]; also why there is no trampoline, if one was asked for.
fn choose(
    plan: &Arc<Plan>,
    most: Tier,
    not_direct: Option<&str>,
    trampolines: &Trampolines,
    when_hot: Option<(u32, &Arc<Jobs>)>,
) -> (Runner, Option<String>) {
    let mut declined = None;
    let why_not = || not_direct.map(str::to_owned);
    if most >= Tier::Cranelift
        && let Some((after, jobs)) = when_hot
    {
        let not_direct = match most {
            Tier::Direct => why_not(),
            _ => Some(ALLOWED.to_owned()),
        };
        // What was made ahead of time is there at once.
        if not_direct.is_none()
            && let Some(compiled) = trampolines.ready_direct(plan)
        {
            return (Runner::Direct(compiled), None);
        }
        // The host's way into code takes as long as all that a template does.
        if let Some(why) = &not_direct
            && let Ok(template) = Template::of(plan)
        {
            return (Runner::Template(template), Some(why.clone()));
        }
        return (Runner::Hot(Hot::new(plan, after, not_direct, jobs)), None);
    }
    if most >= Tier::Direct {
        match why_not().map_or_else(|| trampolines.direct_of(plan), Err) {
            Ok(compiled) => return (Runner::Direct(compiled), declined),
            Err(why) => declined = Some(why),
        }
    }
    if most >= Tier::Cranelift {
        match trampolines.of(plan) {
            Ok(compiled) => return (Runner::Compiled(compiled), declined),
            Err(why) => declined = Some(why),
        }
    }
    if most >= Tier::Template
        && let Ok(template) = Template::of(plan)
    {
        return (Runner::Template(template), declined);
    }
    (Runner::Interpreter, declined)
}

const ALLOWED: &str = "`max_tier` allows no faster one";

impl Runner {
    /// Where the trampoline of the host's calls is entered, if there is one now.
    #[inline]
    pub(super) fn entry(&self) -> Option<Entry> {
        match self {
            Runner::Compiled(compiled) => Some(compiled.entry()),
            Runner::Hot(hot) => hot.entry(),
            Runner::Interpreter | Runner::Template(_) | Runner::Direct(_) => None,
        }
    }

    /// One more call that something else than [`Runner::run`] makes.
    #[inline]
    pub(super) fn count(&self) {
        match self {
            Runner::Hot(hot) => hot.count(),
            Runner::Interpreter | Runner::Template(_) | Runner::Compiled(_) | Runner::Direct(_) => {
            }
        }
    }

    /// After how many calls code is made, if it is not there yet and may be made then.
    pub(super) fn when_hot(&self) -> Option<u32> {
        match self {
            Runner::Hot(hot) => hot.code().is_none().then(|| hot.after()),
            Runner::Interpreter | Runner::Template(_) | Runner::Compiled(_) | Runner::Direct(_) => {
                None
            }
        }
    }

    pub(super) fn tier(&self) -> Tier {
        match self {
            Runner::Interpreter => Tier::Interpreter,
            Runner::Template(_) => Tier::Template,
            Runner::Compiled(_) => Tier::Cranelift,
            Runner::Direct(_) => Tier::Direct,
            Runner::Hot(hot) => match (hot.code(), &hot.template) {
                (Some(Ok(HotCode::Direct(_))), _) => Tier::Direct,
                (Some(Ok(HotCode::Array { .. })), _) => Tier::Cranelift,
                (_, Some(_)) => Tier::Template,
                (_, None) => Tier::Interpreter,
            },
        }
    }

    /// Makes one call.
    ///
    /// # Errors
    /// As [`interpret::run`].
    ///
    /// # Safety
    /// As [`interpret::run`], for the plan that this was chosen for.
    #[inline]
    pub(super) unsafe fn run(
        &self,
        plan: &Plan,
        binding: &Binding,
        slots: *mut GuestSlot,
        guest: &mut dyn Guest,
    ) -> Result<(), Box<Stop>> {
        // SAFETY: the caller's promise.
        unsafe {
            match self {
                Runner::Interpreter | Runner::Direct(_) => interpret(plan, binding, slots, guest),
                Runner::Template(template) => run_template(template, plan, binding, slots, guest),
                Runner::Hot(hot) => match (hot.entry(), &hot.template) {
                    (Some(entry), _) => trampolines::run(entry, plan, binding, slots, guest),
                    (None, template) => {
                        hot.count();
                        match template {
                            Some(template) => run_template(template, plan, binding, slots, guest),
                            None => interpret(plan, binding, slots, guest),
                        }
                    }
                },
                Runner::Compiled(compiled) => {
                    trampolines::run(compiled.entry(), plan, binding, slots, guest)
                }
            }
        }
    }
}

/// Makes a call through a template.
///
/// # Safety
/// As [`Runner::run`]; the template is that of the plan.
#[inline]
unsafe fn run_template(
    template: &Template,
    plan: &Plan,
    binding: &Binding,
    slots: *mut GuestSlot,
    guest: &mut dyn Guest,
) -> Result<(), Box<Stop>> {
    // SAFETY: the caller's promise.
    unsafe {
        match template.run(binding, slots) {
            Ok(()) => Ok(()),
            Err(fallback) => fall_back(fallback, plan, binding, slots, guest),
        }
    }
}

/// Goes on where a template has stopped. Apart, so that templates need no room for a frame.
///
/// # Safety
/// As [`Runner::run`]; a template has just fallen back like this.
#[cold]
#[inline(never)]
unsafe fn fall_back(
    fallback: Fallback,
    plan: &Plan,
    binding: &Binding,
    slots: *mut GuestSlot,
    guest: &mut dyn Guest,
) -> Result<(), Box<Stop>> {
    // SAFETY: the caller's promise. A template that fell back before the call has done nothing;
    // after it, native code is not called again.
    unsafe {
        match fallback {
            Fallback::Redo => interpret::run(plan, binding, slots, guest),
            Fallback::Resume { integer } => {
                interpret::resume_with(plan, binding, slots, integer, guest)
            }
        }
    }
}

/// The interpreter, apart for the same reason.
///
/// # Safety
/// As [`interpret::run`].
#[inline(never)]
unsafe fn interpret(
    plan: &Plan,
    binding: &Binding,
    slots: *mut GuestSlot,
    guest: &mut dyn Guest,
) -> Result<(), Box<Stop>> {
    // SAFETY: the caller's promise.
    unsafe { interpret::run(plan, binding, slots, guest) }
}
