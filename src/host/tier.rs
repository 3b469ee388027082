//! Which way a plan is run. This is the one place where that is chosen.
#![expect(unsafe_code, reason = "runs plans")]
use crate::plan::frame::GuestSlot;
use crate::plan::interpret::{self, Fallback, Guest, Stop};
use crate::plan::template::Template;
use crate::plan::{Binding, Plan};
use std::fmt;

/// A way to run plans, the slowest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tier {
    /// Op by op; runs every plan.
    Interpreter,
    /// Ready-made code for popular shapes.
    #[default]
    Template,
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Tier::Interpreter => "interpreter",
            Tier::Template => "template",
        })
    }
}

/// What runs a plan.
#[derive(Debug)]
pub(super) enum Runner {
    Interpreter,
    Template(Template),
}

impl Runner {
    /// The fastest way, up to `most`, that takes this plan.
    pub(super) fn choose(plan: &Plan, most: Tier) -> Runner {
        if most >= Tier::Template
            && let Ok(template) = Template::of(plan)
        {
            return Runner::Template(template);
        }
        Runner::Interpreter
    }

    pub(super) fn tier(&self) -> Tier {
        match self {
            Runner::Interpreter => Tier::Interpreter,
            Runner::Template(_) => Tier::Template,
        }
    }

    /// Why no faster tier runs this plan; `None` when there is no faster one.
    pub(super) fn why_no_faster(&self, plan: &Plan) -> Option<String> {
        match self {
            Runner::Template(_) => None,
            Runner::Interpreter => Some(match Template::of(plan) {
                Ok(_) => "`max_tier` allows no faster one".to_owned(),
                Err(why) => why.to_string(),
            }),
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
                Runner::Interpreter => interpret(plan, binding, slots, guest),
                Runner::Template(template) => match template.run(binding, slots) {
                    Ok(()) => Ok(()),
                    Err(fallback) => fall_back(fallback, plan, binding, slots, guest),
                },
            }
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
