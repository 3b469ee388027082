//! Pointers in data that lead to no data: guest functions, and cookies.
use super::super::callback::captor;
use super::super::demand::{Argument, find};
use super::super::error::Fault;
use super::super::{Checked, Verifier};
use super::data::Member;
use crate::plan::Kind;
use crate::plan::frame::FrameLayout;
use crate::plan::layout::Target as Memory;
use crate::plan::op::{At, Direction, Op};
use crate::plan::shape::{Keep, Link, Reach, Target};
use crate::signature::{Captor, NoteKind, Type};

/// Which functions in copies native code keeps, by what the ops have done about it.
#[derive(Default)]
pub(in super::super) struct Kept {
    /// Those of handles that were passed, and of the library.
    passed: bool,
    /// Those of the handle that the call returns.
    returned: bool,
}

impl<'p> Verifier<'p> {
    /// A pointer to a function is a closure of the type's own callback, kept by whom the annotation
    /// names.
    pub(super) fn function_in(
        &mut self,
        link: &'p Link,
        member: &Member<'_>,
        index: usize,
    ) -> Checked {
        let Target::Function { callback, keep } = link.target else {
            return self.wrong("a pointer to a function that is none", index);
        };
        if link.reach != Reach::One || link.direction != Direction::In {
            return self.wrong("a pointer to a function", index);
        }
        if self.kept_by(member.ty) != Some(keep) {
            return self.wrong("who keeps a function", index);
        }
        match (callback, self.plan.kind) {
            (Some(callback), Kind::Import) => self.callback_entry(callback, member.ty, index),
            (None, Kind::Callback) => Ok(()),
            _ => self.wrong("a function that comes from elsewhere", index),
        }
    }

    pub(super) fn kept_by(&self, ty: &Type) -> Option<Keep> {
        Some(match captor(ty) {
            None => Keep::Call,
            Some(Captor::Global) => Keep::Library,
            Some(Captor::Return) => Keep::Result,
            Some(Captor::Param(name)) => {
                let index = self.plan.prototype.param_index(&name.name)?;
                let param = self.params.get(index)?;
                let is_handle = matches!(param.wants, Argument::Handle { .. });
                Keep::Slot(is_handle.then_some(param.slot)?)
            }
        })
    }

    /// A cookie, which goes with the function that its annotation names.
    pub(super) fn cookie_in(&self, link: &Link, member: &Member<'_>, index: usize) -> Checked {
        let Target::Cookie { with } = link.target else {
            return self.wrong("a cookie that is none", index);
        };
        let callback = find(member.ty, |kind| match kind {
            NoteKind::Closure(callback) => Some(callback),
            _ => None,
        });
        let expected = callback.map(|callback| {
            let owner = member.owner.as_ref()?;
            let memory = Memory::Guest(self.reader.model);
            let (offset, _) = self.data.field(&owner.record, &callback.name, memory)?;
            u32::try_from(owner.guest + offset).ok()
        });
        let right = match expected {
            None => with.is_none(),
            Some(expected) => expected.is_some() && with == expected,
        };
        if !right || link.reach != Reach::One || link.direction != Direction::In {
            return self.wrong("a cookie", index);
        }
        Ok(())
    }

    /// The links of everything that is copied before the call.
    fn copied_links(&self) -> Vec<&'p Link> {
        self.links_of(self.copies.copied.iter().copied())
    }

    /// These roots, and all links that they lead to.
    pub(in super::super) fn links_of(&self, roots: impl IntoIterator<Item = u16>) -> Vec<&'p Link> {
        let mut seen = vec![false; self.plan.shapes.len()];
        let roots = roots.into_iter().map(|root| &self.plan.roots[usize::from(root)]);
        let mut found: Vec<&Link> = roots.collect();
        let mut next = 0;
        while let Some(link) = found.get(next) {
            next += 1;
            let Target::Data(shape) = link.target else { continue };
            let shape = usize::from(shape);
            if !std::mem::replace(&mut seen[shape], true) {
                found.extend(&self.plan.shapes[shape].links);
            }
        }
        found
    }

    /// Whether functions are copied that are to be kept by the handle that the call returns, or else.
    fn keeps_functions(&self, returned: bool) -> bool {
        self.copied_links().iter().any(|link| match link.target {
            Target::Function { keep: Keep::Slot(_) | Keep::Library, .. } => !returned,
            Target::Function { keep: Keep::Result, .. } => returned,
            _ => false,
        })
    }

    pub(in super::super) fn keep_functions(&mut self, made: Option<At>) -> Checked {
        if !self.keeps_functions(made.is_some()) {
            return Err(Fault::Unasked);
        }
        let kept = &mut self.copies.kept;
        let done = if made.is_some() { &mut kept.returned } else { &mut kept.passed };
        if std::mem::replace(done, true) {
            return Err(Fault::Unasked);
        }
        let Some(made) = made else { return Ok(()) };
        let adopted = self.plan.ops[..self.index].iter().any(|op| {
            matches!(op, Op::Adopt { from, to, .. }
                if *to == made && *from == FrameLayout::result_integer())
        });
        self.agrees(adopted, "the handle", self.params.len())
    }

    /// Every function that is to be kept is.
    pub(super) fn functions_done(&self) -> Checked {
        let Kept { passed, returned } = self.copies.kept;
        if passed != self.keeps_functions(false) || returned != self.keeps_functions(true) {
            let subject = "the functions in copies".to_owned();
            return Err(Fault::Undone { what: "keeps", subject });
        }
        Ok(())
    }
}
